"""The decoder: a recurrent network that answers token by token and looks at the source while it does."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.pointer import mix_copy
from gatewise.nn.attention import Memory, make_attention
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.embedding import TokenEmbedding
from gatewise.sequences import BOS, PAD, UNK
from gatewise.types import State

FORBIDDEN = (PAD, UNK, BOS)
"""What no answer holds."""


class DecoderState(NamedTuple):
    """Where a decoder stands. ``N`` answers are written side by side, the same number for each of ``R`` sources.

    ``h`` and ``c``, ``[N, L, H]``, of each layer; ``fed [N, H]``, the attentional vector of the step before (``[N, 0]``
    without input feeding); ``attention [N, T]``, the weights of that step. Of the sources: ``memory``, and their tokens
    ``source [R, T]``.
    """

    h: Tensor
    c: Tensor
    fed: Tensor
    attention: Tensor
    memory: Memory
    source: Tensor


class _Look(NamedTuple):
    """What comes of attending.

    The attentional vector ``[R, K, H]``, the weights ``[R, K, T]``, and all that the gate of copying sees; else None.
    """

    attentional: Tensor
    weights: Tensor
    features: Tensor | None


class Decoder(nn.Module):
    r"""LSTM layers over the answer so far, attention over the source, and scores for the next token.

    With :math:`h_s` the last layer's output and :math:`c_s` the attention's context for it:

    .. math::
        h_0 = \tanh(W_b m), \qquad \tilde h_s = \tanh(W_c [c_s; h_s]), \qquad z_s = W_o \tilde h_s + b

    Args:
        embedding: of the answer's tokens.
        memory_size: values of a step of the source, ``M``.
        decoder_size: units of each layer, ``H``.
        num_layers: ``L``.
        attention: ``"additive"`` or ``"multiplicative"``.
        input_feeding: each step also sees the attentional vector of the one before. Training then goes step by step and
            takes longer.
        input_dropout: on the embedded tokens, one mask a sequence.
        variational_dropout: between layers, one mask a sequence; with input feeding or sampling a new one each step.
        dropout: on the attentional vector.
        tied: the scores' weights are the embedding's, through a projection if the sizes differ.
        copy: tokens of the source may be copied (:func:`~gatewise.models.pointer.mix_copy`).
        sampling_decay: ``k`` of scheduled sampling; 0: training always sees the true answer so far.
        cell: which LSTM equations.
        kernel: which implementation.

    Raises:
        OptionError: ``sampling_decay`` is neither 0 nor at least 1, or the cell has a mask a sequence and steps are
            taken one by one.

    References:
        Luong, Pham & Manning 2015 (attentional vector, input feeding); Bengio et al. 2015 (scheduled sampling); Press &
        Wolf 2017 (tied weights); See, Liu & Manning 2017 (copying).
    """

    calls: Tensor

    def __init__(
        self,
        embedding: TokenEmbedding,
        memory_size: int,
        decoder_size: int,
        *,
        num_layers: int = 1,
        attention: str = "additive",
        input_feeding: bool = True,
        input_dropout: float = 0.0,
        variational_dropout: float = 0.0,
        dropout: float = 0.0,
        tied: bool = True,
        copy: bool = False,
        sampling_decay: float = 0.0,
        cell: Cell | None = None,
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        _check_options(sampling_decay, cell, step_by_step=input_feeding or sampling_decay > 0)
        vocabulary_size, embedding_size = embedding.weight.shape
        self.input_feeding, self.sampling_decay = input_feeding, float(sampling_decay)
        self.embedding = embedding
        self.input_dropout = SequenceDropout(input_dropout, locked=True)
        self.layers = Encoder(
            embedding_size + (decoder_size if input_feeding else 0),
            (decoder_size,) * num_layers,
            bidirectional=False,
            variational_dropout=variational_dropout,
            cell=cell,
            kernel=kernel,
        )
        self.bridge = nn.Linear(memory_size, 2 * num_layers * decoder_size)
        self.attention = make_attention(attention, memory_size, decoder_size)
        self.combine = nn.Linear(memory_size + decoder_size, decoder_size, bias=False)
        self.dropout = SequenceDropout(dropout)
        self.projection = (
            nn.Linear(decoder_size, embedding_size, bias=False) if tied and decoder_size != embedding_size else None
        )
        self.weight = None if tied else nn.Parameter(torch.empty(vocabulary_size, decoder_size).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.gate = nn.Linear(memory_size + decoder_size + embedding_size, 1) if copy else None
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def start(self, last: Tensor, memory: Memory, source: Tensor) -> DecoderState:
        """One answer a source, nothing said yet: from the encoder's last states ``[R, M]``."""
        h, c = self.bridge(last).tanh().unflatten(1, (2, len(self.layers.layers), -1)).unbind(1)
        fed = h.new_zeros(len(h), h.shape[2] if self.input_feeding else 0)
        return DecoderState(h, c, fed, memory.values.new_zeros(source.shape), memory, source)

    def forward(self, shifted: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Scores ``[B, S, V]`` and attention ``[B, S, T]`` for answers that are known.

        Args:
            shifted: ``[B, S]``, the answers behind their beginning.
            state: from :meth:`start`.

        Returns:
            Both; when copying, the scores are log-probabilities.
        """
        sampling = self.training and self.sampling_decay > 0
        if shifted.shape[1] and (self.input_feeding or sampling):
            look = self._step_by_step(shifted, state, sampling=sampling)
        else:
            embedded = self.input_dropout(self.embedding(shifted))
            hidden = self.layers(embedded, None, _of_layers(state)).steps
            look = self._look(hidden, embedded, state.memory)
        return self._scores(look, state.source), look.weights

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Log-probabilities ``[N, V]`` of what follows ``tokens [N]``, the latest of each answer; and the state then.

        What no answer may hold (padding, unknown, beginning) has ``-inf``; the others are not scaled up for it.
        """
        look, state = self._advance(self.embedding(tokens)[:, None], state)
        scores = self._scores(look, state.source).flatten(0, 1)
        log_probs = scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1)
        return _forbid(log_probs), state

    def _advance(self, embedded: Tensor, state: DecoderState) -> tuple[_Look, DecoderState]:
        """One step: ``embedded [N, 1, E]``."""
        x = torch.cat([embedded, state.fed[:, None]], 2) if self.input_feeding else embedded
        encoded = self.layers(x, None, _of_layers(state))
        groups = len(state.source)  # the answers to one source attend together: its memory is not copied for each
        hidden, seen = (part.reshape(groups, -1, part.shape[2]) for part in (encoded.steps, embedded))
        look = self._look(hidden, seen, state.memory)
        h, c = (torch.stack([part[0] for part in parts], 1) for parts in zip(*encoded.state, strict=True))
        fed = look.attentional.flatten(0, 1) if self.input_feeding else state.fed
        return look, DecoderState(h, c, fed, look.weights.flatten(0, 1), state.memory, state.source)

    def _step_by_step(self, shifted: Tensor, state: DecoderState, *, sampling: bool) -> _Look:
        """Every step's :class:`_Look`, joined over time ``[B, S, ...]``."""
        looks: list[_Look] = []
        embedded = self.embedding(shifted)
        kept = self.input_dropout(torch.ones_like(embedded[:, :1]))  # whatever the tokens are, one mask a sequence
        share = torch.sigmoid(math.log(self.sampling_decay) - self.calls / self.sampling_decay) if sampling else None
        for s in range(shifted.shape[1]):
            x = embedded[:, s : s + 1]
            if share is not None and s > 0:
                true = torch.rand(len(shifted), device=shifted.device) < share
                x = torch.where(true[:, None, None], x, self.embedding(self._sample(looks[-1], state.source)))
            look, state = self._advance(x * kept, state)
            looks.append(look)
        if sampling:
            self.calls += 1
        attentional, weights, features = zip(*looks, strict=True)
        joined = None if self.gate is None else torch.cat(features, 1)
        return _Look(torch.cat(attentional, 1), torch.cat(weights, 1), joined)

    @torch.no_grad()
    def _sample(self, look: _Look, source: Tensor) -> Tensor:
        """A token ``[B, 1]`` from the model's own distribution."""
        scores = _forbid(self._scores(look, source).squeeze(1).float())
        return torch.multinomial(scores.softmax(-1), 1)

    def _look(self, hidden: Tensor, embedded: Tensor, memory: Memory) -> _Look:
        """``hidden [R, K, H]``, ``embedded [R, K, E]``."""
        context, weights = self.attention(hidden, memory)
        attentional = self.dropout(torch.tanh(self.combine(torch.cat([context, hidden], 2))))
        return _Look(attentional, weights, None if self.gate is None else torch.cat([context, hidden, embedded], 2))

    def _scores(self, look: _Look, source: Tensor) -> Tensor:
        x = look.attentional if self.projection is None else self.projection(look.attentional)
        scores = F.linear(x, self.embedding.weight if self.weight is None else self.weight, self.bias)
        if self.gate is None:
            return scores
        return mix_copy(scores, self.gate(look.features), look.weights, source)


def reorder(state: DecoderState, rows: Tensor, kept: Tensor | None = None) -> DecoderState:
    """The state with other answers in the place of those it had.

    Args:
        state: of ``N`` answers to ``R`` sources.
        rows: which of the ``N`` each answer carries on from; as many for each source that stays.
        kept: which of the ``R`` sources stay, ascending; None for all of them.
    """
    memory, source = state.memory, state.source
    if kept is not None:
        mask = None if memory.mask is None else memory.mask[kept]
        memory, source = Memory(memory.values[kept], memory.keys[kept], mask), source[kept]
    return DecoderState(state.h[rows], state.c[rows], state.fed[rows], state.attention[rows], memory, source)


def _of_layers(state: DecoderState) -> tuple[State, ...]:
    """``h`` and ``c`` of each layer, ``[1, N, H]``, as the layers take them."""
    return tuple(State(h[None], c[None]) for h, c in zip(state.h.unbind(1), state.c.unbind(1), strict=True))


def _forbid(log_probs: Tensor) -> Tensor:
    """``-inf`` for what no answer holds."""
    return log_probs.index_fill(1, torch.tensor(FORBIDDEN, device=log_probs.device), -torch.inf)


def _check_options(sampling_decay: float, cell: Cell | None, *, step_by_step: bool) -> None:
    if sampling_decay != 0 and not (math.isfinite(sampling_decay) and sampling_decay >= 1):
        raise OptionError(f"sampling_decay: expected 0 or at least 1, got {sampling_decay}. "
                          "It is the k of k / (k + exp(i / k)), i counting batches.")  # fmt: skip
    if step_by_step and cell is not None and cell.hidden_dropout:
        raise OptionError(f"decoder: expected a cell without hidden_dropout, got {cell.hidden_dropout}. Steps taken "
                          "one by one cannot keep its mask; leave out input_feeding and sampling_decay.")  # fmt: skip
