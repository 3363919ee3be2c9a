"""Losses: a sum and what it was summed over, so that means over ragged batches and many processes are exact."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gatewise.sequences import mask_of_lengths
from gatewise.types import Loss


def cross_entropy(scores: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Loss:
    """Cross-entropy of class scores.

    Args:
        scores: ``[B, K]``, before the softmax.
        targets: ``[B]`` class numbers.
        weights: ``[K]`` weight of each class, or None. The count is then the sum of the weights.
        smoothing: share of the target spread over all classes (Szegedy et al. 2016).

    Returns:
        The loss summed over rows.
    """
    total = F.cross_entropy(_wide(scores), targets, weight=weights, reduction="sum", label_smoothing=smoothing)
    return Loss(total, len(targets) if weights is None else weights[targets].sum())


def token_cross_entropy(scores: Tensor, targets: Tensor, lengths: Tensor, *, smoothing: float = 0.0) -> Loss:
    """Cross-entropy of an answer a step.

    Args:
        scores: ``[B, T, K]``, before the softmax.
        targets: ``[B, T]`` class numbers; beyond a row's length they may be anything.
        lengths: ``[B]``, real steps of each row.
        smoothing: share of the target spread over all classes.

    Returns:
        The loss summed over the real steps.
    """
    if bool((lengths == scores.shape[1]).all()):
        return cross_entropy(scores.flatten(0, 1), targets.flatten(), smoothing=smoothing)
    mask = mask_of_lengths(lengths, scores.shape[1])
    return cross_entropy(scores[mask], targets[mask], smoothing=smoothing)


def squared_error(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Loss:
    """Squared error, summed over the values of every row, or over those of every real step.

    Args:
        scores: ``[B, K]`` or ``[B, T, K]``.
        targets: the same shape.
        mask: ``[B, T]``, True at real steps; None for one answer a row.
    """
    return _masked_sum((_wide(scores) - targets).square(), mask)


def absolute_error(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Loss:
    """Absolute error; shapes as in :func:`squared_error`."""
    return _masked_sum((_wide(scores) - targets).abs(), mask)


def huber(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Loss:
    """Huber's loss with its corner at 1 (squared inside, absolute outside); shapes as in :func:`squared_error`."""
    return _masked_sum(F.huber_loss(_wide(scores), targets.to(_wide(scores).dtype), reduction="none"), mask)


def _wide(scores: Tensor) -> Tensor:
    """Float32 at least: sums, and logarithms of sums of exponentials, lose too much in 16 bits."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _masked_sum(values: Tensor, mask: Tensor | None) -> Loss:
    if mask is None:
        return Loss(values.sum(), values.numel())
    return Loss(values.masked_fill(~mask[..., None], 0.0).sum(), mask.sum() * values.shape[-1])
