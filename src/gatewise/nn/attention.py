"""Pooling, from one vector a step to one a sequence; and attention, by which a decoder looks at steps of its input."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gatewise.errors import OptionError, did_you_mean

LARGEST_PIECE = 2**25
"""Values that additive scores keep for the backward pass at a time; beyond, they are computed again in pieces."""


class Pool(Protocol):
    """Reduces ``steps [B, T, F]`` to ``[B, F]``.

    ``mask [B, T]`` is True at real steps, or None where all are; ``last [B, F]`` is the encoder's final hidden state.
    Padded steps are zero. A row without real steps gives zeros.
    """

    def __call__(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor: ...


class LastState(nn.Module):
    """The hidden state after each row's last step, of both directions: the last step of one, the first of the other."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return last


class MeanPool(nn.Module):
    """The mean over the real steps."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        if mask is None:
            return steps.mean(1)
        count = mask.sum(1, keepdim=True).clamp(min=1)
        return steps.masked_fill(~mask[..., None], 0.0).sum(1) / count


class MaxPool(nn.Module):
    """The largest value of each feature over the real steps."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        if mask is None:
            return steps.amax(1)
        largest = steps.masked_fill(~mask[..., None], -torch.inf).amax(1)
        return largest.masked_fill(~mask.any(1, keepdim=True), 0.0)


class AttentionPool(nn.Module):
    r"""A weighted mean over the real steps, the weights learnt.

    .. math::
        u_t = v^\top \tanh(W s_t + b), \qquad \alpha = \mathrm{softmax}(u), \qquad y = \sum_t \alpha_t s_t

    Args:
        size: features per step, ``F``.

    Shape:
        - steps ``[B, T, F]``, mask ``[B, T]`` or None; output ``[B, F]``

    References:
        Bahdanau et al. 2015 (additive scores); Yang et al. 2016 (attention as pooling).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, T]``: what share each step has; zero in the padding."""
        scores: Tensor = self.score(torch.tanh(self.projection(steps))).squeeze(-1)
        if mask is None:
            return scores.softmax(1)
        # The lowest finite number, not -inf: a row without real steps must not become 0/0.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return scores.softmax(1) * mask

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return (self.weights(steps, mask)[:, None] @ steps).squeeze(1)


class PerStep(nn.Module):
    """No pooling: the answer is one per step."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return steps


POOLS = ("last", "mean", "max", "attention", "none")


def make_pool(name: str, size: int) -> nn.Module:
    """The pooling of this name over ``size`` features; ``"none"`` keeps every step.

    Raises:
        OptionError: no pooling has this name.
    """
    if name == "attention":
        return AttentionPool(size)
    simple = {"last": LastState, "mean": MeanPool, "max": MaxPool, "none": PerStep}
    if name not in simple:
        raise OptionError(f'pool: expected one of {", ".join(POOLS)}, got "{name}". {did_you_mean(name, POOLS)}')
    return simple[name]()


# Attention of a decoder ---------------------------------------------------------------------------------------------


class Memory(NamedTuple):
    """What a decoder attends to, prepared once.

    ``values [B, T, M]`` and ``keys [B, T, A]``, zero in the padding; ``mask [B, T]``, True at real steps, or None where
    all are.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor | None


class Attention(Protocol):
    """Looks a query up in a memory. All queries at once or one a call: the answer to a query is its own.

    ``prepare`` takes ``memory [B, T, M]``, whose padding may hold anything, and its mask. A call takes ``queries
    [B, S, Q]`` and returns the context ``[B, S, M]`` and the weights ``[B, S, T]``: a distribution over the real steps
    and zero in the padding; float32 at least. A row without real steps gets zeros for both.
    """

    def prepare(self, memory: Tensor, mask: Tensor | None) -> Memory: ...

    def __call__(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]: ...


class AdditiveAttention(nn.Module):
    r"""Attention by a small network.

    .. math::
        e_{st} = v^\top \tanh(W q_s + U m_t + b), \qquad \alpha_s = \mathrm{softmax}(e_s), \qquad
        c_s = \sum_t \alpha_{st} m_t

    Args:
        memory_size: values of a step of the memory, ``M``.
        query_size: values of a query, ``Q``.
        size: units of the network, ``A``; None for ``query_size``.

    Shape:
        - as :class:`Attention`

    Example:
        >>> attention = AdditiveAttention(3, 4)
        >>> memory = attention.prepare(torch.randn(2, 5, 3), torch.tensor([[True] * 5, [True] * 2 + [False] * 3]))
        >>> context, weights = attention(torch.randn(2, 7, 4), memory)
        >>> context.shape, weights[1, 0, 2:].tolist()
        (torch.Size([2, 7, 3]), [0.0, 0.0, 0.0])

    References:
        Bahdanau, Cho & Bengio 2015, appendix A.1.2.
    """

    def __init__(self, memory_size: int, query_size: int, *, size: int | None = None) -> None:
        super().__init__()
        size = query_size if size is None else size
        self.key = nn.Linear(memory_size, size)
        self.query = nn.Linear(query_size, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False)

    def prepare(self, memory: Tensor, mask: Tensor | None) -> Memory:
        """Values and keys of every step, once for all queries; see :class:`Attention`."""
        values = _without_padding(memory, mask)
        return Memory(values, _without_padding(self.key(values), mask), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        queries = self.query(queries)
        B, S, A = queries.shape
        at_a_time = max(1, LARGEST_PIECE // max(1, B * memory.keys.shape[1] * A))
        if at_a_time >= S:
            return _look_up(self._scores(queries, memory.keys), memory)
        pieces = []
        for some in torch.split(queries, at_a_time, 1):
            if torch.is_grad_enabled():
                pieces.append(
                    checkpoint(self._scores, some, memory.keys, use_reentrant=False, preserve_rng_state=False)
                )
            else:
                pieces.append(self._scores(some, memory.keys))
        return _look_up(torch.cat(pieces, 1), memory)

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``[B, S, T]`` of queries ``[B, S, A]``. All values between are needed at once: tanh acts in place."""
        scores: Tensor = self.score((queries[:, :, None] + keys[:, None]).tanh_())
        return scores.squeeze(-1)


class MultiplicativeAttention(nn.Module):
    r"""Attention by a bilinear form ("general"): less work and less memory than :class:`AdditiveAttention`.

    .. math::
        e_{st} = q_s^\top W m_t, \qquad \alpha_s = \mathrm{softmax}(e_s), \qquad c_s = \sum_t \alpha_{st} m_t

    Args:
        memory_size: values of a step of the memory, ``M``.
        query_size: values of a query, ``Q``.

    Shape:
        - as :class:`Attention`; ``A`` is ``Q``

    References:
        Luong, Pham & Manning 2015, equation 8.
    """

    def __init__(self, memory_size: int, query_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def prepare(self, memory: Tensor, mask: Tensor | None) -> Memory:
        """Values and keys of every step, once for all queries; see :class:`Attention`."""
        values = _without_padding(memory, mask)
        return Memory(values, self.key(values), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        return _look_up(queries @ memory.keys.transpose(1, 2), memory)


ATTENTIONS = ("additive", "multiplicative")


def make_attention(name: str, memory_size: int, query_size: int) -> AdditiveAttention | MultiplicativeAttention:
    """The attention of this name.

    Raises:
        OptionError: no attention has this name.
    """
    if name == "additive":
        return AdditiveAttention(memory_size, query_size)
    if name == "multiplicative":
        return MultiplicativeAttention(memory_size, query_size)
    raise OptionError(
        f'attention: expected one of {", ".join(ATTENTIONS)}, got "{name}". {did_you_mean(name, ATTENTIONS)}'
    )


def _without_padding(steps: Tensor, mask: Tensor | None) -> Tensor:
    """Filled, never multiplied: the padding may hold NaN."""
    return steps if mask is None else steps.masked_fill(~mask[..., None], 0.0)


def _look_up(scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Context ``[B, S, M]`` and weights ``[B, S, T]``, of scores ``[B, S, T]``."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if memory.mask is None:
        weights = scores.softmax(-1)
    else:
        mask = memory.mask[:, None]
        # The lowest finite number, as in AttentionPool.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask
    return weights.to(memory.values.dtype) @ memory.values, weights
