"""Language models: the scores of the next token, over a whole text or one step at a time."""

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.models.encoder import Encoder, stateful_step
from gatewise.models.sequence_model import at_the_door, every_length
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.nn.lstm import LSTM
from gatewise.sequences import mask_of_lengths
from gatewise.types import Outputs


class LanguageModel(nn.Module):
    r"""After each token of a text, scores of the token that follows.

    .. math::
        x_t = E_{w_t}, \qquad h_t = \mathrm{encoder}(x_1 \dots x_t), \qquad s_t = W h_t + b

    with :math:`W = E` where the weights are tied. In training the model adds to the loss, with the locked dropout
    :math:`m`, :math:`\alpha \, \mathrm{mean}((m \odot h_t)^2) + \beta \, \mathrm{mean}((h_t - h_{t-1})^2)` over the
    real steps: :attr:`Outputs.penalty`, None where both weights are 0.

    Args:
        embedding: vectors of the tokens ``[V, E]``.
        encoder: of one direction, from ``E`` features.
        input_dropout: share of the embedded features that is zeroed, the same ones at every step.
        dropout: the same of the encoder's output.
        tied: the weights of the scores are the embedding's; else they are the model's own.
        activation_regularization: :math:`\alpha`.
        temporal_regularization: :math:`\beta`.

    Shape:
        - tokens ``[B, T]`` int64, lengths ``[B]`` or None; padding may hold any token
        - state: one recurrent state a layer, as returned for the stretch of text before, or None. It is part of the
          graph that gave it: the caller detaches it
        - returns scores ``[B, T, V]``, before the softmax; in 16 bits under autocast

    Raises:
        OptionError: the encoder reads backwards, or sizes do not fit one another.
        ShapeError: tokens are not ``[B, T]``, or a length is below 0 or above T.

    Example:
        >>> model = lstm_lm(vocabulary_size=50).eval()
        >>> tokens = torch.randint(50, (2, 7))
        >>> first = model.run(tokens[:, :4])
        >>> second = model.run(tokens[:, 4:], state=first.state)
        >>> bool(torch.allclose(torch.cat([first.scores, second.scores], 1), model(tokens), atol=1e-5))
        True

    References:
        Inan, Khosravi & Socher 2017; Press & Wolf 2017 (tied weights). Gal & Ghahramani 2016 (locked dropout).
        Merity, McCann & Socher 2017 (the two penalties).
    """

    def __init__(
        self,
        embedding: TokenEmbedding,
        encoder: Encoder,
        *,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        tied: bool = True,
        activation_regularization: float = 0.0,
        temporal_regularization: float = 0.0,
    ) -> None:
        super().__init__()
        _check_parts(embedding, encoder, tied=tied)
        _check_weight("activation_regularization", activation_regularization)
        _check_weight("temporal_regularization", temporal_regularization)
        self.embedding = embedding
        self.input_dropout = SequenceDropout(input_dropout, locked=True)
        self.encoder = encoder
        self.dropout = SequenceDropout(dropout, locked=True)
        self.activation_regularization = activation_regularization
        self.temporal_regularization = temporal_regularization
        vocabulary_size, size = embedding.weight.shape[0], encoder.output_size
        # Tied weights have one name: a file that holds each tensor once then holds them once.
        self.weight = None if tied else nn.Parameter(torch.empty(vocabulary_size, size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        if self.weight is not None:
            nn.init.uniform_(self.weight, -1 / math.sqrt(size), 1 / math.sqrt(size))

    @property
    def score_weight(self) -> Tensor:
        """What the encoder's output is multiplied with, ``[V, H]``: the embedding's weights where they are tied."""
        return self.embedding.weight if self.weight is None else self.weight

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.run(tokens, lengths).scores

    def run(self, tokens: Tensor, lengths: Tensor | None = None, state: Any = None) -> Outputs:
        """Scores with the state to carry on from, and in training the penalty."""
        if tokens.dim() != 2:
            raise ShapeError(f"LanguageModel: expected token numbers of shape (batch, time), got "
                             f"{tuple(tokens.shape)}. Add or drop a dimension.")  # fmt: skip
        x, lengths = at_the_door(self.embedding(tokens), lengths)
        encoded = self.encoder(self.input_dropout(x), lengths, state)
        dropped = self.dropout(encoded.steps)
        scores = F.linear(dropped, self.score_weight, self.bias)
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        penalty = self._penalty(encoded.steps, dropped, mask)
        return Outputs(scores, every_length(x, lengths), encoded.state, penalty=penalty)

    def stream(self, *, batch_size: int = 1) -> "Stepper":
        """The model, in evaluation, one token a call."""
        return Stepper(self, batch_size=batch_size)

    def _penalty(self, steps: Tensor, dropped: Tensor, mask: Tensor | None) -> Tensor | None:
        alpha, beta = self.activation_regularization, self.temporal_regularization
        if not self.training or not (alpha or beta):
            return None
        changes = steps[:, 1:] - steps[:, :-1]
        if mask is None:
            return alpha * _mean_square(dropped, None) + beta * _mean_square(changes, None)
        both = mask[:, 1:]  # a step is real only where the one before is
        changes = changes.masked_fill(~both[..., None], 0.0)
        return alpha * _mean_square(dropped, mask.sum()) + beta * _mean_square(changes, both.sum())


class Stepper:
    """A language model that takes one token a call, of each text, and remembers what it has read.

    The scores are those of :meth:`LanguageModel.run`, in evaluation, over the whole text. Weights are copied when this
    is built: build it anew after training. No gradient passes through. An encoder of LSTMs runs as
    :class:`~gatewise.nn.StatefulStep`, in microseconds; torch's GRU and RNN run on a sequence of one step.

    Args:
        model: a language model.
        batch_size: how many texts run side by side, ``B``.

    Shape:
        - tokens ``[B]`` int64, on any device; returns scores ``[B, V]`` of what follows

    Raises:
        OptionError: ``batch_size`` is below 1.
        ShapeError: tokens have another shape or are none of the vocabulary.

    Example:
        >>> model = lstm_lm(vocabulary_size=50).eval()
        >>> step, tokens = model.stream(), torch.randint(50, (9,))
        >>> one_by_one = torch.cat([step(token[None]) for token in tokens])
        >>> bool(torch.allclose(one_by_one, model(tokens[None])[0], atol=1e-5))
        True
    """

    def __init__(self, model: LanguageModel, *, batch_size: int = 1) -> None:
        if batch_size < 1:
            raise OptionError(f"Stepper: expected batch_size of at least 1, got {batch_size}. It counts texts.")
        self._shape = torch.Size([batch_size])
        self._embedding = copy.deepcopy(model.embedding).eval()
        tied = model.weight is None
        self._weight = (self._embedding.weight if model.weight is None else model.weight).detach()
        if not tied:
            self._weight = self._weight.clone()
        self._bias = model.bias.detach().clone()
        serves = all(isinstance(layer, LSTM) for layer in model.encoder.layers)
        self._step = stateful_step(model.encoder, batch_size=batch_size) if serves else _Carried(model.encoder)

    def reset(self) -> None:
        """Forgets what was read."""
        self._step.reset()

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """The next token of each text."""
        if tokens.shape != self._shape:
            raise ShapeError(f"Stepper: expected tokens of shape {tuple(self._shape)}, got {tuple(tokens.shape)}. "
                             "A call takes one token of each text.")  # fmt: skip
        h = self._step(self._embedding(tokens.to(self._bias.device)))
        if len(h) == 1:  # a matrix by a vector: torch's product of matrices would first lay out the weights anew
            return torch.addmv(self._bias, self._weight, h[0])[None]
        return torch.addmm(self._bias, h, self._weight.T)


class _Carried:
    """One step a call of an encoder that no kernel steps through: a sequence of one, its state carried."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = copy.deepcopy(encoder).eval()
        self._state: tuple[Any, ...] | None = None

    def reset(self) -> None:
        self._state = None

    def __call__(self, x: Tensor) -> Tensor:
        encoded = self._encoder(x[:, None], None, self._state)
        self._state = encoded.state
        return encoded.last  # type: ignore[no-any-return]


def lstm_lm(
    vocabulary_size: int,
    *,
    embedding_size: int = 256,
    hidden_sizes: tuple[int, ...] = (256, 256),
    encoder: str = "lstm",
    embedding_dropout: float = 0.0,
    input_dropout: float = 0.1,
    variational_dropout: float = 0.2,
    dropout: float = 0.2,
    weight_drop: float = 0.0,
    tied: bool = True,
    activation_regularization: float = 0.0,
    temporal_regularization: float = 0.0,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> LanguageModel:
    """The default: small enough for a laptop, for characters and for words.

    Embedding(256) → locked dropout → LSTM(256) → locked dropout → LSTM(256) → locked dropout → scores, with the
    embedding's weights.

    Args:
        vocabulary_size: tokens, ``V``.
        embedding_size: features of a token.
        hidden_sizes: units, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        embedding_dropout: share of the vocabulary that is dropped whole in a training step.
        input_dropout: of the embedded tokens, the same at every step.
        variational_dropout: between layers, the same at every step.
        dropout: before the scores, the same at every step.
        weight_drop: share of the recurrent weights that is zeroed in a training step.
        tied: the weights of the scores are those of the embedding.
        activation_regularization: weight of the mean square of the last layer's outputs.
        temporal_regularization: weight of the mean square of their changes.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        The model.

    Raises:
        OptionError: ``tied``, and the last of ``hidden_sizes`` is not ``embedding_size``.
    """
    body = Encoder(
        embedding_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=False,
        variational_dropout=variational_dropout,
        weight_drop=weight_drop,
        cell=cell,
        kernel=kernel,
    )
    return LanguageModel(
        TokenEmbedding(vocabulary_size, embedding_size, embedding_dropout),
        body,
        input_dropout=input_dropout,
        dropout=dropout,
        tied=tied,
        activation_regularization=activation_regularization,
        temporal_regularization=temporal_regularization,
    )


def awd_lstm(
    vocabulary_size: int,
    *,
    embedding_size: int = 400,
    hidden_sizes: tuple[int, ...] = (1150, 1150, 400),
    embedding_dropout: float = 0.1,
    input_dropout: float = 0.65,
    variational_dropout: float = 0.25,
    dropout: float = 0.4,
    weight_drop: float = 0.5,
    tied: bool = True,
    activation_regularization: float = 2.0,
    temporal_regularization: float = 1.0,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> LanguageModel:
    """The AWD-LSTM for the words of WikiText-2, with its authors' sizes and rates: 33.6 million weights.

    Theirs reaches a perplexity of 68.6 in validation and 65.8 in the test, after 750 epochs of averaged SGD and more of
    fine-tuning. Their code drops 0.2 between layers on WikiText-2 and 0.25 on the Penn Treebank.

    Args:
        vocabulary_size: tokens, ``V``.
        embedding_size: features of a token.
        hidden_sizes: units, one number a layer.
        embedding_dropout: share of the vocabulary that is dropped whole in a training step.
        input_dropout: of the embedded tokens, the same at every step.
        variational_dropout: between layers, the same at every step.
        dropout: before the scores, the same at every step.
        weight_drop: share of the recurrent weights that is zeroed in a training step.
        tied: the weights of the scores are those of the embedding.
        activation_regularization: weight of the mean square of the last layer's outputs.
        temporal_regularization: weight of the mean square of their changes.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        The model.

    Raises:
        OptionError: ``tied``, and the last of ``hidden_sizes`` is not ``embedding_size``.

    References:
        Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models.
    """
    return lstm_lm(
        vocabulary_size,
        embedding_size=embedding_size,
        hidden_sizes=hidden_sizes,
        embedding_dropout=embedding_dropout,
        input_dropout=input_dropout,
        variational_dropout=variational_dropout,
        dropout=dropout,
        weight_drop=weight_drop,
        tied=tied,
        activation_regularization=activation_regularization,
        temporal_regularization=temporal_regularization,
        cell=cell,
        kernel=kernel,
    )


def _mean_square(x: Tensor, steps: Tensor | None) -> Tensor:
    """The mean of ``x² [B, T, H]``, zero in the padding, over so many real steps; in float32 at least."""
    total = x.to(torch.promote_types(x.dtype, torch.float32)).square().sum()
    if steps is None:
        return total / max(x.numel(), 1)
    return total / (steps * x.shape[-1]).clamp(min=1)


def _check_parts(embedding: TokenEmbedding, encoder: Encoder, *, tied: bool) -> None:
    recurrent = [layer for layer in encoder.modules() if isinstance(layer, LSTM | nn.RNNBase)]
    if any(layer.bidirectional for layer in recurrent):
        raise OptionError("LanguageModel: expected an encoder of one direction, got a bidirectional one. "
                          "The other direction would see what is to be foretold.")  # fmt: skip
    embedding_size = embedding.weight.shape[1]
    if recurrent[0].input_size != embedding_size:
        raise OptionError(f"LanguageModel: expected an encoder of {embedding_size} features, as embedded, got one of "
                          f"{recurrent[0].input_size}.")  # fmt: skip
    if tied and encoder.output_size != embedding_size:
        raise OptionError(f"tied: expected the last of hidden_sizes to be embedding_size, {embedding_size}, got "
                          f"{encoder.output_size}. Make them equal, or set tied to false.")  # fmt: skip


def _check_weight(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise OptionError(f"{name}: expected a number of at least 0, got {value}. 0 switches it off.")
