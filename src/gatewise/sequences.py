"""Ragged batches: lengths and masks, padding, cuts, and the order of time.

A batch of sequences of different lengths is padded to the longest. Row ``b`` is *alive* at steps ``t < lengths[b]``.
Layers work time-major, ``[T, B, ...]``; masks that users hold are ``[B, T]`` with True = real.
"""

import torch
from torch import Tensor

# The numbers of the tokens that every vocabulary begins with: padding, an unknown token, beginning and end of a text.
PAD, UNK, BOS, EOS = 0, 1, 2, 3


def mask_of_lengths(lengths: Tensor, steps: int) -> Tensor:
    """True where a row is alive: ``[B]`` integers to ``[B, T]`` bool.

    >>> mask_of_lengths(torch.tensor([3, 1, 0]), steps=3).int().tolist()
    [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    """
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def lengths_of_mask(mask: Tensor) -> Tensor:
    """How many steps each row has: ``[B, T]`` bool, True first and then False, to ``[B]`` int64.

    >>> lengths_of_mask(torch.tensor([[True, True, False], [False, False, False]])).tolist()
    [2, 0]
    """
    return mask.sum(1)


def zero_padding(input: Tensor, lengths: Tensor) -> Tensor:
    """A copy of ``input`` ``[T, B, ...]`` with zeros where a row is not alive.

    For whoever reads there: a NaN in padding would reach the gradient even through ``where``.
    Zero *times* padding would keep the NaN, so the padding is filled, never multiplied.
    """
    alive = mask_of_lengths(lengths, input.shape[0]).T  # [T, B]
    return input.masked_fill(~alive.reshape(*alive.shape, *[1] * (input.dim() - 2)), 0.0)


def in_order(steps: int, *, reverse: bool) -> range:
    """The steps in the order in which a direction visits them.

    >>> list(in_order(3, reverse=True))
    [2, 1, 0]
    """
    return range(steps - 1, -1, -1) if reverse else range(steps)


def cuts_of_resets(resets: Tensor, *, reverse: bool) -> Tensor:
    """Where a direction starts from zero before it takes a step; both ``[T, B]`` bool.

    A reset at step ``t`` cuts the row between ``t-1`` and ``t``. The forward direction crosses that cut on its way into
    step ``t``, the reverse direction on its way into ``t-1``: each piece is then as if it had been run alone.

    >>> resets = torch.tensor([[True], [False], [True]])
    >>> cuts_of_resets(resets, reverse=True).flatten().tolist()
    [False, True, False]
    """
    if not reverse:
        return resets
    return torch.cat([resets[1:], torch.zeros_like(resets[:1])])
