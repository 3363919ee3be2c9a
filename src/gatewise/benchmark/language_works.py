"""A language model on both sides: training steps and generation, in tokens."""

import copy
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise import losses
from gatewise.benchmark.contender import TORCH_COMPUTES, Contender, autocast, why_not_served
from gatewise.benchmark.outcomes import Outcome, what_is_wrong
from gatewise.benchmark.settings import Work
from gatewise.decoding.sampling import sample
from gatewise.kernels.select import use_kernel
from gatewise.models.language_model import LanguageModel, lstm_lm

CHECKED_TOKENS = 16


class TorchLanguageModel(nn.Module):
    """The recipe ``lstm-lm`` with two layers of one size, without dropout, as one writes it in PyTorch.

    Args:
        vocabulary_size: tokens.
        size: of the embedding and of both layers.

    Shape:
        - tokens ``[B, T]``, state of both layers or None; returns scores ``[B, T, V]`` and the state
    """

    def __init__(self, vocabulary_size: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.lstm = nn.LSTM(size, size, num_layers=2, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, state = self.lstm(self.embedding(tokens), state)
        return F.linear(h, self.embedding.weight, self.bias), state


def torchs(work: Work) -> TorchLanguageModel:
    """PyTorch's model of a work: ``I`` tokens, size ``H``."""
    torch.manual_seed(0)
    return TorchLanguageModel(work.I, work.H)


def ours(theirs: TorchLanguageModel, kernel: str) -> LanguageModel:
    """The recipe with the same weights."""
    vocabulary_size, size = theirs.embedding.weight.shape
    model = lstm_lm(
        vocabulary_size,
        embedding_size=size,
        hidden_sizes=(size, size),
        input_dropout=0.0,
        variational_dropout=0.0,
        dropout=0.0,
        kernel=kernel,
    )
    model.load_state_dict({our_name(name): value for name, value in theirs.state_dict().items()})
    return model.to(theirs.bias.dtype)


def our_name(name: str) -> str:
    """A parameter of :class:`TorchLanguageModel` by its name in the recipe.

    >>> our_name("lstm.weight_ih_l1"), our_name("bias")
    ('encoder.layers.1.weight_ih_l0', 'bias')
    """
    if not name.startswith("lstm."):
        return name
    parameter, layer = name.removeprefix("lstm.").rsplit("_l", 1)
    return f"encoder.layers.{layer}.{parameter}_l0"


def language(work: Work, kernel: str) -> list[Contender]:
    """Training steps: forward, cross entropy, backward, Adam."""
    torch.manual_seed(1)
    tokens = torch.randint(work.I, (work.B, work.T + 1))

    @cache
    def truth() -> Outcome:
        return _loss_and_gradients(torchs(work).double(), tokens, "float64")

    def check(dtype: str) -> str | None:
        actual = _loss_and_gradients(ours(torchs(work), kernel), tokens, dtype)
        plain = torchs(work) if TORCH_COMPUTES[dtype] else ours(torchs(work), "reference")
        return what_is_wrong(actual, [_loss_and_gradients(plain, tokens, dtype)], truth(), terms=work.B * work.T)

    theirs = torchs(work)
    found = [Contender("torch", _training_step(theirs, tokens, "float32"))]
    for dtype in work.dtypes:
        step = _training_step(ours(theirs, kernel), tokens, dtype)
        reason = why_not_served(work, kernel, dtype, directions=1, differentiable=True)
        found.append(Contender(dtype, step, "torch", lambda dtype=dtype: check(dtype), not_served=reason))  # type: ignore[misc]
    return found


def _training_step(model: nn.Module, tokens: Tensor, dtype: str) -> Callable[[], None]:
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        _loss(model, tokens, dtype).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _loss(model: nn.Module, tokens: Tensor, dtype: str) -> Tensor:
    """The mean loss, each side by its own function."""
    given, following = tokens[:, :-1], tokens[:, 1:].flatten()
    with autocast(dtype):
        if isinstance(model, TorchLanguageModel):
            scores = model(given)[0].flatten(0, 1)
            return F.cross_entropy(scores.to(torch.promote_types(scores.dtype, torch.float32)), following)
        loss = losses.cross_entropy(model(given).flatten(0, 1), following)
    return loss.total / loss.count


def _loss_and_gradients(model: nn.Module, tokens: Tensor, dtype: str) -> Outcome:
    model.zero_grad()
    loss = _loss(model, tokens, dtype)
    loss.backward()  # type: ignore[no-untyped-call]
    rename = str if isinstance(model, TorchLanguageModel) else our_name
    vocabulary_size, size = model.get_parameter("embedding.weight").shape
    names = [name for name, _ in TorchLanguageModel(vocabulary_size, size).named_parameters()]
    gradients = {name: model.get_parameter(rename(name)).grad for name in names}
    return Outcome({"loss": loss.detach()}, {name: d for name, d in gradients.items() if d is not None})


def generation(work: Work, kernel: str) -> list[Contender]:
    """One token after another: scores of the next, and a draw from them."""
    torch.manual_seed(1)
    tokens = torch.randint(work.I, (CHECKED_TOKENS,))

    def scores(model: nn.Module) -> Outcome:
        step = _stepper(model, kernel)
        return Outcome({"scores": torch.cat([step(token[None]) for token in tokens])}, {})

    def check() -> str | None:
        theirs = torchs(work).eval()
        return what_is_wrong(
            scores(ours(theirs, kernel).eval()),
            [scores(theirs)],
            scores(copy.deepcopy(theirs).double()),
            terms=CHECKED_TOKENS,
        )

    theirs = torchs(work).eval()
    reason = why_not_served(work, kernel, "float32", directions=1, initial_state=True)
    return [
        Contender("torch", _writer(theirs, kernel, lambda s: torch.multinomial(s.softmax(-1), 1)[0]), inference=True),
        Contender(
            "float32", _writer(ours(theirs, kernel).eval(), kernel, sample), "torch", check, True, not_served=reason
        ),
    ]


def _stepper(model: nn.Module, kernel: str) -> Callable[[Tensor], Tensor]:
    """From a token ``[1]`` to scores ``[1, V]``, the state kept."""
    if isinstance(model, LanguageModel):
        with use_kernel(kernel):
            return model.stream()
    state = None

    def step(token: Tensor) -> Tensor:
        nonlocal state
        with torch.inference_mode():
            scores, state = model(token[None], state)
        return scores[:, 0]  # type: ignore[no-any-return]

    return step


def _writer(model: nn.Module, kernel: str, draw: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    step, token = _stepper(model, kernel), torch.zeros(1, dtype=torch.int64)

    def write() -> None:
        nonlocal token
        token = draw(step(token))

    return write
