"""The reference model on both sides: training, inference, streaming."""

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gatewise.benchmark.contender import TORCH_COMPUTES, Contender, autocast, why_not_served
from gatewise.benchmark.models import NO_STATE, TorchBiLSTM, our_name, ours, torchs
from gatewise.benchmark.outcomes import Outcome, what_is_wrong
from gatewise.benchmark.settings import Work
from gatewise.kernels.cpu import library
from gatewise.kernels.select import use_kernel
from gatewise.models.encoder import stateful_step
from gatewise.models.sequence_model import SequenceModel

CHECKED_ROWS = 8
"""Of a smaller batch several are checked: how wrong PyTorch is about two scores is luck."""


def train(work: Work, kernel: str) -> list[Contender]:
    """Training steps."""
    torch.manual_seed(1)
    x, y = torch.randn(work.B, work.T, work.I), torch.randint(2, (work.B,))
    batches = [(x, y), *((torch.randn_like(x), y) for _ in range(CHECKED_ROWS // work.B - 1))]

    def outcome(model: nn.Module, dtype: str, rename: Callable[[str], str] = lambda name: name) -> Outcome:
        wide = torch.float64 if dtype == "float64" else torch.float32
        return _together([_scores_and_gradients(model, x.to(wide), y, dtype, rename) for x, y in batches])

    @cache
    def truth() -> Outcome:
        return outcome(torchs(dropout=0.0).double(), "float64")

    def check(dtype: str) -> str | None:
        """Without dropout, whose random numbers are not torch's; with the batch's own statistics."""
        actual = outcome(ours(torchs(), kernel, dropout=0.0), dtype, our_name)
        if TORCH_COMPUTES[dtype]:
            # Without the library our batch norm is torch's on [B*T, C], whose sums are rougher.
            orders = (False, True) if library.why_not() else (False,)
            plain = [outcome(torchs(dropout=0.0, flat_norm=flat), dtype) for flat in orders]
        else:
            plain = [outcome(ours(torchs(), "reference", dropout=0.0), dtype, our_name)]
        return what_is_wrong(actual, plain, truth(), terms=work.B * work.T)

    theirs = torchs()
    found = [Contender("torch", training_step(theirs, x, y, "float32"))]
    for dtype in work.dtypes:
        step = training_step(ours(theirs, kernel), x, y, dtype)
        reason = why_not_served(work, kernel, dtype, differentiable=True)
        found.append(Contender(dtype, step, "torch", lambda dtype=dtype: check(dtype), not_served=reason))  # type: ignore[misc]
    return found


def training_step(
    model: nn.Module, x: Tensor, y: Tensor, dtype: str, mark: Callable[[str], object] = lambda _: None
) -> Callable[[], None]:
    """Forward, cross entropy, backward, Adam; bfloat16 by autocast, with weights in float32.

    Args:
        model: in training from now on.
        x: inputs.
        y: classes.
        dtype: of the forward pass.
        mark: told of each part that begins.
    """
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def step() -> None:
        mark("optimizer")
        optimizer.zero_grad()
        with autocast(dtype):
            loss = cross_entropy(_scores(model, x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        mark("optimizer")
        optimizer.step()

    return step


def infer(work: Work, kernel: str) -> list[Contender]:
    """Scores of a batch."""
    torch.manual_seed(1)
    batches = torch.randn(max(1, CHECKED_ROWS // work.B), work.B, work.T, work.I)

    def scores(model: nn.Module, dtype: str) -> Callable[[int], Tensor]:
        """A model converted to bfloat16 as a whole: nothing is cast at each call."""
        wanted = getattr(torch, dtype)
        model, inputs = copy.deepcopy(model).eval().to(wanted), list(batches.to(wanted))
        return lambda number: _scores(model, inputs[number])

    def run(model: nn.Module, dtype: str) -> Callable[[], Tensor]:
        return partial(scores(model, dtype), 0)

    def check(dtype: str) -> str | None:
        plain = theirs if TORCH_COMPUTES[dtype] else ours(theirs, "reference")
        runs = (scores(ours(theirs, kernel), dtype), scores(plain, dtype), scores(theirs, "float64"))
        with torch.inference_mode():
            actual, baseline, truth = (
                _together([Outcome({"scores": run(number)}, {}) for number in range(len(batches))]) for run in runs
            )
        return what_is_wrong(actual, [baseline], truth, terms=work.T)

    theirs = torchs()
    found = [Contender("torch", run(theirs, "float32"), inference=True)]
    for dtype in work.dtypes:
        mine, reason = run(ours(theirs, kernel), dtype), why_not_served(work, kernel, dtype)
        found.append(Contender(dtype, mine, "torch", lambda dtype=dtype: check(dtype), True, reason))  # type: ignore[misc]
    return found


def _scores(model: nn.Module, x: Tensor) -> Tensor:
    scores: Tensor = model(x)[0] if isinstance(model, TorchBiLSTM) else model(x)
    return scores


def _scores_and_gradients(
    model: nn.Module, x: Tensor, y: Tensor, dtype: str, rename: Callable[[str], str] = lambda name: name
) -> Outcome:
    model.zero_grad()
    with autocast(dtype):
        scores = _scores(model.train(), x)
        loss = cross_entropy(scores, y)
    loss.backward()  # type: ignore[no-untyped-call]
    found = dict(model.named_parameters())
    gradients = {f"gradient of {name}": found[rename(name)].grad for name, _ in TorchBiLSTM().named_parameters()}
    return Outcome({"scores": scores.detach()}, {name: d for name, d in gradients.items() if d is not None})


def _together(outcomes: list[Outcome]) -> Outcome:
    """Several, as one."""
    results, gradients = ({name: torch.stack([part[name] for part in parts]) for name in parts[0]}
                          for parts in zip(*outcomes, strict=True))  # fmt: skip
    return Outcome(results, gradients)


def streaming(work: Work, kernel: str) -> list[Contender]:
    """One step of one sequence after another, the state carried on."""
    torch.manual_seed(1)
    xs = torch.randn(32, 1, work.T, work.I)

    def pushes(model: SequenceModel | TorchBiLSTM) -> Outcome:
        dtype = next(model.parameters()).dtype
        push = stream(model, kernel)
        with torch.inference_mode():
            return Outcome({"h": torch.stack([push(x.to(dtype)) for x in xs])}, {})

    def check(dtype: str) -> str | None:
        wanted = getattr(torch, dtype)
        actual = pushes(ours(model(), kernel, bidirectional=False).to(wanted))
        plain = model() if TORCH_COMPUTES[dtype] else ours(model(), "reference", bidirectional=False)
        return what_is_wrong(actual, [pushes(plain.to(wanted))], pushes(model().double()), terms=len(xs))

    def model() -> TorchBiLSTM:
        return torchs(bidirectional=False).eval()

    def contender(model: SequenceModel | TorchBiLSTM, dtype: str, against: str | None, **more: Any) -> Contender:
        push, x = stream(model.to(getattr(torch, dtype)), kernel), xs[0].to(getattr(torch, dtype))
        return Contender(dtype if against else "torch", lambda: push(x), against, inference=True, **more)

    found = [contender(model(), "float32", None)]
    for dtype in work.dtypes:
        reason = why_not_served(work, kernel, dtype, directions=1, initial_state=True)
        mine = ours(model(), kernel, bidirectional=False)
        found.append(contender(mine, dtype, "torch", check=lambda dtype=dtype: check(dtype), not_served=reason))
    return found


def stream(model: SequenceModel | TorchBiLSTM, kernel: str) -> Callable[[Tensor], Tensor]:
    """A function from the next step ``[1, 1, 1]`` to the last layer's h ``[1, H]``, which carries the state along."""
    model = model.eval()
    if isinstance(model, SequenceModel) and kernel in ("auto", "cpu"):
        with use_kernel(kernel):
            push_step = stateful_step(model.encoder)
        return lambda x: push_step(x[0])
    state: Any = NO_STATE if isinstance(model, TorchBiLSTM) else None

    def push(x: Tensor) -> Tensor:
        nonlocal state
        if isinstance(model, SequenceModel):
            _, last, state = model.encoder(x, None, state)
        else:
            last, state = model.stack(x, state)
        return last  # type: ignore[no-any-return]

    return push
