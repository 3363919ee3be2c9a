"""Linear-chain conditional random field: the best sequence of tags, not the best tag of each step.

The field is a tensor of scores ``[B, T, K, K]``: ``scores[b, t, i, j]`` is what row ``b`` gives for tag ``j`` at step
``t`` after tag ``i`` at the step before. At ``t = 0``, where nothing was before, every row ``i`` is alike. The
functions of this module take such scores, whatever made them, and the lengths ``[B]``:

    sequence_score    of given tags: the sum of their scores
    log_partition     log of the sum over all sequences of tags of exp(score); log-likelihood = score - log_partition
    marginals         the probability of each tag at each step
    viterbi           the sequence of tags with the highest score

They compute in float32 at least. What stands beyond a row's length, scores or tags, is not looked at; a row of length
0 has one sequence of tags, the empty one, of score 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError, ShapeError
from gatewise.sequences import mask_of_lengths

# Finite, so that no gradient is NaN where every way into a tag is forbidden; exp of it is 0 in every dtype, and scores
# beside it keep three decimals in float32.
FORBIDDEN = -1e4


class CRF(nn.Module):
    r"""From scores of single tags to those of a linear-chain conditional random field.

    .. math::
        s(y) = a_{y_1} + \sum_{t=1}^{T} e_{t, y_t} + \sum_{t=2}^{T} A_{y_{t-1}, y_t} + b_{y_T}, \qquad
        p(y) = \frac{\exp s(y)}{\sum_{y'} \exp s(y')}

    with emissions ``e``, and ``transitions`` A, ``start`` a and ``end`` b learnt; these begin at zero, where every step
    is by itself.

    Args:
        num_tags: ``K``.
        allowed: bool ``[K+1, K]``: which tag (column) may follow which (row); the last row, which may begin. None: all.
            As :func:`bio_transitions` gives it. No gradient asks a forbidden transition for a better score.

    Shape:
        - emissions ``[B, T, K]``, lengths ``[B]`` or None for all ``T``
        - returns scores ``[B, T, K, K]``, of float32 at least; each forbidden transition lowers a score by 10,000

    Raises:
        OptionError: ``num_tags`` is not positive, or ``allowed`` has another shape or dtype.
        ShapeError: the emissions are not ``[B, T, K]``.

    Example:
        >>> crf = CRF(3, bio_transitions(["O", "B-LOC", "I-LOC"]))
        >>> emissions = torch.tensor([[[1.0, 0.0, 9.0], [0.0, 0.0, 9.0]]])
        >>> viterbi(crf(emissions), torch.tensor([2]))
        [[1, 2]]

    References:
        Lafferty, McCallum & Pereira 2001, Conditional random fields; Lample et al. 2016, Neural architectures for named
        entity recognition (over a BiLSTM).
    """

    allowed: Tensor | None

    def __init__(self, num_tags: int, allowed: Tensor | None = None) -> None:
        super().__init__()
        if not isinstance(num_tags, int) or num_tags < 1:
            raise OptionError(f"CRF: expected num_tags to be a positive integer, got {num_tags!r}.")
        shape = (num_tags + 1, num_tags)
        if allowed is not None and (allowed.shape != shape or allowed.dtype != torch.bool):
            raise OptionError(f"CRF: expected allowed of shape {shape} and dtype bool, got {tuple(allowed.shape)} and "
                              f"{allowed.dtype}. Its last row says which tags may begin.")  # fmt: skip
        self.num_tags = num_tags
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        # Not in the state dict: it follows from the tags, not from training.
        self.register_buffer("allowed", allowed, persistent=False)

    def forward(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags:
            raise ShapeError(f"CRF: expected emissions of shape (batch, time, {self.num_tags}), got "
                             f"{tuple(emissions.shape)}. One score a tag.")  # fmt: skip
        transitions, start = self._permitted()
        steps = torch.arange(emissions.shape[1], device=emissions.device)
        last = emissions.shape[1] - 1 if lengths is None else lengths.to(emissions.device)[:, None] - 1
        into = torch.where((steps == 0)[:, None, None], start, transitions)  # [T, K, K]
        beyond = torch.where((steps == last)[..., None, None], _wide(self.end), 0.0)  # [B or none, T, 1, K]
        return _wide(emissions)[:, :, None] + into + beyond

    def _permitted(self) -> tuple[Tensor, Tensor]:
        """``transitions [K, K]`` and ``start [K]``, the forbidden ones at a constant."""
        transitions, start = _wide(self.transitions), _wide(self.start)
        if self.allowed is None:
            return transitions, start
        return transitions.masked_fill(~self.allowed[:-1], FORBIDDEN), start.masked_fill(~self.allowed[-1], FORBIDDEN)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        forbidden = 0 if self.allowed is None else int((~self.allowed).sum())
        return f"{self.num_tags}, forbidden={forbidden}" if forbidden else f"{self.num_tags}"


def log_partition(scores: Tensor, lengths: Tensor) -> Tensor:
    """Log of the sum of exp(score) over all sequences of tags (forward algorithm).

    Args:
        scores: ``[B, T, K, K]``.
        lengths: ``[B]``.

    Returns:
        ``[B]``.

    Example:
        >>> log_partition(torch.zeros(1, 3, 2, 2), torch.tensor([3])).exp()  # 2 * 2 * 2 sequences
        tensor([8.])
    """
    scores, alive = _readable(scores, lengths)
    if scores.shape[1] == 0:
        return scores.sum((1, 2, 3))  # zeros, with a gradient
    first, *rest = scores.unbind(1)  # not scores[:, t], whose gradient is as large as all scores, at every step
    after = first[:, 0]  # [B, K]: log of the sum over all beginnings that end in each tag
    for t, into in enumerate(rest, 1):
        grown = torch.logsumexp(after[:, :, None] + into, 1)
        after = torch.where(alive[:, t, None], grown, after)
    return torch.logsumexp(after, 1).masked_fill(~alive[:, 0], 0.0)


def sequence_score(scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """The score of one sequence of tags a row.

    Args:
        scores: ``[B, T, K, K]``.
        tags: ``[B, T]`` tag numbers.
        lengths: ``[B]``.

    Returns:
        ``[B]``.
    """
    alive = mask_of_lengths(lengths.to(scores.device), scores.shape[1])
    tags = tags.masked_fill(~alive, 0)
    before = torch.cat([tags[:, :1], tags[:, :-1]], 1)  # at the first step any row will do
    rows = scores.flatten(2).gather(2, (before * scores.shape[3] + tags)[..., None]).squeeze(2)
    return _wide(rows).masked_fill(~alive, 0.0).sum(1)


def marginals(scores: Tensor, lengths: Tensor) -> Tensor:
    """The probability of each tag at each step, given the whole row (forward-backward algorithm).

    Args:
        scores: ``[B, T, K, K]``.
        lengths: ``[B]``.

    Returns:
        ``[B, T, K]``; zero beyond the lengths.
    """
    scores, alive = _readable(scores, lengths)
    if scores.shape[1] == 0:
        return scores[:, :, 0]
    first, *rest = scores.unbind(1)
    ahead = [first[:, 0]]  # log of the sum over all beginnings that end in each tag
    for into in rest:
        ahead.append(torch.logsumexp(ahead[-1][:, :, None] + into, 1))
    back = [torch.zeros_like(ahead[0])]  # log of the sum over all that may follow each tag; 0 at the last step
    for t in range(len(rest), 0, -1):
        grown = torch.logsumexp(rest[t - 1] + back[-1][:, None, :], 2)
        back.append(torch.where(alive[:, t, None], grown, back[-1]))
    shares = (torch.stack(ahead, 1) + torch.stack(back[::-1], 1)).softmax(2)
    return shares.masked_fill(~alive[..., None], 0.0)


@torch.no_grad()
def viterbi(scores: Tensor, lengths: Tensor) -> list[list[int]]:
    """The best sequence of tags of each row, of the length of the row; :func:`sequence_score` says how good it is.

    Args:
        scores: ``[B, T, K, K]``.
        lengths: ``[B]``.

    Returns:
        Tag numbers, one list a row.
    """
    scores, alive = _readable(scores, lengths)
    batch_size, steps, num_tags, _ = scores.shape
    if steps == 0:
        return [[] for _ in range(batch_size)]
    first, *rest = scores.unbind(1)
    best, stay = first[:, 0], torch.arange(num_tags, device=scores.device)
    came_from = []
    for t, into in enumerate(rest, 1):
        grown, before = (best[:, :, None] + into).max(1)
        # In padding each tag comes from itself: the way back reaches the row's last step unchanged.
        came_from.append(torch.where(alive[:, t, None], before, stay))
        best = torch.where(alive[:, t, None], grown, best)
    path = [best.argmax(1, keepdim=True)]
    for before in reversed(came_from):
        path.append(before.gather(1, path[-1]))
    rows = torch.cat(path[::-1], 1).tolist()
    return [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]


def bio_transitions(tags: Sequence[str]) -> Tensor:
    """Which tag may follow which: ``I-X`` only ``B-X`` and ``I-X``, so it cannot begin; every other tag may follow all.

    A tag ``I-X`` without a ``B-X`` among the tags is free too: such tags are not BIO, or no sequence would have it.

    Args:
        tags: the names of the tags; columns and rows come in their order.

    Returns:
        Bool ``[K+1, K]``, the last row for the beginning.

    Example:
        >>> bio_transitions(["O", "B-LOC", "I-LOC"]).int().tolist()
        [[1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 1, 0]]
    """
    number = {tag: k for k, tag in enumerate(tags)}
    allowed = torch.ones(len(tags) + 1, len(tags), dtype=torch.bool)
    for tag, inside in number.items():
        begin = number.get("B" + tag[1:])
        if tag[:1] == "I" and tag[1:2] in ("", "-") and begin is not None:
            allowed[:, inside] = False
            allowed[[begin, inside], inside] = True
    return allowed


def _wide(values: Tensor) -> Tensor:
    """Float32 at least: sums over many steps lose too much in 16 bits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _readable(scores: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Wide scores, zero in the padding, and where rows are alive ``[B, T]``.

    A NaN there would reach the gradient even through ``where``.
    """
    alive = mask_of_lengths(lengths.to(scores.device), scores.shape[1])
    return _wide(scores).masked_fill(~alive[..., None, None], 0.0), alive
