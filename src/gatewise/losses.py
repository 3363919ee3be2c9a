"""Losses: a sum and what it was summed over, so that means over ragged batches and many processes are exact."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatewise.sequences import mask_of_lengths
from gatewise.types import Loss

# From so many classes on, scores are looked at in blocks that stay in cache: a vocabulary's do not fit at once.
LARGE = 4096
BLOCK = 64  # rows


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
    if weights is None and scores.shape[1] >= LARGE and scores.device.type == "cpu":
        return Loss(_LargeCrossEntropy.apply(scores, targets, smoothing), len(targets))  # type: ignore[no-untyped-call]
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


# What is divided by where nothing of a batch can be learnt: its gradient is zero, and must not become NaN.
NOTHING = 1e-9


def ctc(scores: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Loss:
    """Negative log-likelihood of texts by connectionist temporal classification (Graves et al. 2006); blank is 0.

    It is counted per symbol, since a batch may hold short and long texts: what each of its symbols costs can then be
    compared from data set to data set, and gradients are of the size that other tasks have. An empty text counts as
    one symbol. Both sums are over rows and depend on nothing else in the batch, so means over an epoch are exact.

    A text that needs more steps than there are (one a symbol, and one between two equal ones) is impossible whatever
    the scores. Such rows are left out of total and count; :func:`ctc_fits` tells which they are.

    Args:
        scores: ``[B, T, V]``, before the softmax; float32 at least inside.
        lengths: ``[B]``, real steps of each row.
        targets: ``[B, S]`` numbers of symbols above 0; beyond a row's length they may be anything.
        target_lengths: ``[B]``, symbols of each row.

    Returns:
        The loss summed over the rows that fit.
    """
    fits = ctc_fits(lengths, targets, target_lengths)
    # Without a step there is nothing but the empty text, which is then certain.
    chosen = (fits & (lengths > 0)).nonzero().squeeze(1)
    counted = float(target_lengths[fits].clamp(min=1).sum())
    if not len(chosen):
        return Loss(scores.sum() * 0.0, counted or NOTHING)
    total = F.ctc_loss(
        _wide(scores[chosen]).log_softmax(-1).transpose(0, 1),
        targets[chosen],
        lengths[chosen],
        target_lengths[chosen],
        reduction="sum",
    )
    return Loss(total, counted)


def ctc_fits(lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Which rows have steps enough for their text: ``[B]`` bool; arguments as in :func:`ctc`."""
    within = mask_of_lengths(target_lengths, targets.shape[1])
    repeated = (targets[:, 1:] == targets[:, :-1]) & within[:, 1:]
    return target_lengths + repeated.sum(1) <= lengths


class _LargeCrossEntropy(torch.autograd.Function):
    """As ``F.cross_entropy`` over many classes on a CPU, summed: one pass over the scores instead of six.

    The gradient, softmax less target, is made while a block is at hand, in the scores' dtype; float32 inside.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        total = torch.zeros((), dtype=torch.promote_types(scores.dtype, torch.float32))
        gradient = torch.empty_like(scores) if ctx.needs_input_grad[0] else None
        for start in range(0, len(scores), BLOCK):
            rows = slice(start, start + BLOCK)
            block, chosen = _wide(scores[rows]), targets[rows, None]
            log_sum = torch.logsumexp(block, 1, keepdim=True)
            total += log_sum.sum() - (1 - smoothing) * block.gather(1, chosen).sum()
            if smoothing:
                total -= smoothing * block.mean(1).sum()
            if gradient is not None:
                slope = (block - log_sum).exp_()
                slope.scatter_add_(1, chosen, slope.new_full(chosen.shape, smoothing - 1))
                gradient[rows] = slope.sub_(smoothing / scores.shape[1]) if smoothing else slope
        ctx.gradient = gradient
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradient * d_total.to(ctx.gradient.dtype), None, None


def _wide(scores: Tensor) -> Tensor:
    """Float32 at least: sums, and logarithms of sums of exponentials, lose too much in 16 bits."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _masked_sum(values: Tensor, mask: Tensor | None) -> Loss:
    if mask is None:
        return Loss(values.sum(), values.numel())
    return Loss(values.masked_fill(~mask[..., None], 0.0).sum(), mask.sum() * values.shape[-1])
