"""Which part of an input made a score what it is: integrated gradients and occlusion.

Both take any function from inputs to scores, so they can be used on a model of one's own:

    found = integrated_gradients(lambda x: model(x)[:, 1], sequence, torch.zeros_like(sequence))
    found.values.sum(), found.difference
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatewise.errors import OptionError, ShapeError

Score = Callable[[Tensor], Tensor]
"""From ``[P, T, ...]`` inputs, all of the same length, to the score ``[P]`` of each."""

ORDER = 8  # of Gauss and Legendre's rule on each piece of the path: exact for polynomials of degree 15
STEPS = 16  # points on the path to begin with
MOST_STEPS = 1024
TOLERANCE = 5e-3
SETTLED = 0.01  # values are, when twice the points change them by no larger share in all
AT_ONCE = 16_384  # time steps in one call of a model: bounds memory whatever the number of points
WINDOWS = 60  # that a sequence is cut into at most, to be occluded


@dataclass(frozen=True)
class Attribution:
    """What each part of an input adds to a score.

    Attributes:
        values: in units of the score: ``[T, I]``, or the shape that the input has; ``[T]`` for tokens, and where all
            features of a step are taken together.
        method: ``"integrated-gradients"``, ``"occlusion"`` or ``"attention"``.
        target: the score, in words.
        difference: the score of the input less that of the baseline.
        residual: ``difference`` less the sum of the values. Of integrated gradients the error of completeness; of
            occlusion what only several windows together do; NaN of attention, whose shares are no parts of a score.
        score: of the input.
        steps: gradients computed in the last round, or inputs occluded; 0 for attention.
        complete: whether the integral was computed as exactly as was asked for.
        window: steps that were occluded together; 0 elsewhere.
    """

    values: np.ndarray
    method: str
    target: str
    difference: float
    residual: float
    score: float
    steps: int = 0
    complete: bool = True
    window: int = 0


def integrated_gradients(
    score: Score,
    x: Tensor,
    baseline: Tensor,
    *,
    target: str = "score",
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
    at_once: int = AT_ONCE,
) -> Attribution:
    r"""Integrated gradients of a score along the straight path from a baseline to the input.

    .. math::
        a_{ti} = (x_{ti} - x'_{ti}) \int_0^1 \frac{\partial s(x' + \alpha (x - x'))}{\partial x_{ti}} \, d\alpha,
        \qquad \sum_{ti} a_{ti} = s(x) - s(x')

    The integral is a sum over the points of Gauss and Legendre's rule, on 2, 4, 8 ... equal pieces of the path. Points
    are doubled until the sum differs from :math:`s(x) - s(x')` by no more than ``tolerance``, and the values from those
    of half the points by no more than a hundredth: the first alone may hold by chance. Memory does not grow with their
    number.

    Args:
        score: from inputs ``[P, T, ...]`` to scores ``[P]``, differentiable.
        x: the input ``[T, ...]``, floating.
        baseline: an input that says nothing, of the same shape.
        target: the score in words.
        steps: points to begin with; a multiple of 8.
        tolerance: as a share of the difference of scores, or of a hundredth of the sum of the values' sizes if that is
            more: where much cancels, float32 tells no finer.
        most_steps: points at most; what is then still missing is told.
        at_once: time steps, of all points together, in one call of ``score``.

    Returns:
        Values of the shape of ``x``, float64.

    Raises:
        ShapeError: ``x`` and ``baseline`` differ in shape, or ``score`` does not give one number an input.
        OptionError: a number of points that is no multiple of 8, or a tolerance that is not above 0.

    Example:
        >>> weight = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
        >>> found = integrated_gradients(lambda x: (x * weight).sum((1, 2)), torch.ones(2, 2), torch.zeros(2, 2))
        >>> found.values.round(6).tolist(), found.difference
        ([[1.0, -2.0], [0.5, 0.0]], -0.5)

    References:
        Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks.
    """
    _check(x, baseline, at_once)
    if steps < ORDER or steps % ORDER or most_steps < steps or not tolerance > 0:
        raise OptionError(
            f"integrated_gradients: expected steps in multiples of {ORDER}, most_steps no fewer, and a tolerance above "
            f"0, got {steps}, {most_steps} and {tolerance}. Leave them out for {STEPS}, {MOST_STEPS} and {TOLERANCE}."
        )
    ends = _scores(score, torch.stack([baseline, x]), at_once)
    difference = float(ends[1] - ends[0])
    before, pieces = None, steps // ORDER
    while True:
        values = _integral(score, x, baseline, pieces, at_once)
        size = np.abs(values).sum()
        allowed = tolerance * max(abs(difference), 0.01 * float(size))
        residual = difference - float(values.sum())
        settled = before is not None and float(np.abs(values - before).sum()) <= SETTLED * float(size)
        complete = abs(residual) <= allowed and settled
        if complete or 2 * pieces * ORDER > most_steps:
            break
        before, pieces = values, 2 * pieces
    return Attribution(
        values, "integrated-gradients", target, difference, residual, float(ends[1]), pieces * ORDER, complete
    )


def _integral(score: Score, x: Tensor, baseline: Tensor, pieces: int, at_once: int) -> np.ndarray:
    """The mean gradient along the path, times the way; in float64."""
    points, weights = np.polynomial.legendre.leggauss(ORDER)
    begins = np.arange(pieces)[:, None]
    alphas = torch.tensor((begins + (points + 1) / 2).ravel() / pieces)
    shares = torch.tensor(np.tile(weights / 2, pieces) / pieces)
    way = x - baseline
    total = torch.zeros(x.shape, dtype=torch.float64)
    together = max(1, at_once // max(1, len(x)))
    for some, share in zip(torch.split(alphas, together), torch.split(shares, together), strict=True):
        along = some.to(x).view(-1, *[1] * x.ndim)
        inputs = torch.lerp(baseline.expand(len(some), *x.shape), x.expand(len(some), *x.shape), along)
        inputs = inputs.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_one_each(score(inputs), len(some)).sum(), inputs)
        total += torch.tensordot(share, gradient.detach().cpu().double(), 1)
    return (total * way.detach().cpu().double()).numpy()


def occlusion(
    score: Score,
    x: Tensor,
    windows: Sequence[tuple[int, int]] | None,
    baseline: Tensor,
    *,
    each_channel: bool = True,
    target: str = "score",
    at_once: int = AT_ONCE,
) -> Attribution:
    """How much a score drops when a stretch of the input is replaced by the baseline.

    The drop is shared evenly by the steps of the stretch, so that values of any width add up to drops; where windows
    overlap, a step has the mean of what they give it. Where a score is a sum of terms of single steps and channels, the
    values are those of integrated gradients.

    Args:
        score: from inputs ``[P, T, ...]`` to scores ``[P]``; no gradient is asked for.
        x: the input ``[T, ...]``.
        windows: stretches, first step and the one after the last; None for those of :func:`windows_of`.
        baseline: what stands in their place, of the shape of ``x``.
        each_channel: occlude one feature of ``[T, I]`` at a time, the others staying; else all of a step together.
        target: the score in words.
        at_once: time steps in one call of ``score``.

    Returns:
        Values ``[T, I]``, or ``[T]`` where features are taken together; float64. ``residual`` is what is left of the
        difference: nothing must make it 0.

    Raises:
        ShapeError: ``x`` and ``baseline`` differ in shape, or ``each_channel`` for an input that is not ``[T, I]``.
        OptionError: a window that is empty or beyond the sequence.

    References:
        Zeiler & Fergus 2014, Visualizing and understanding convolutional networks.
    """
    _check(x, baseline, at_once)
    if each_channel and x.ndim != 2:
        raise ShapeError(f"occlusion: expected an input [T, I] for each_channel, got {tuple(x.shape)}. Take it off.")
    stretches = windows_of(len(x)) if windows is None else list(windows)
    for start, stop in stretches:
        if not 0 <= start < stop <= len(x):
            raise OptionError(f"occlusion: expected windows within 0 to {len(x)}, got {start} to {stop}.")
    parts = [(start, stop, k) for start, stop in stretches for k in (range(x.shape[1]) if each_channel else (None,))]
    ends = _scores(score, torch.stack([baseline, x]), at_once)
    drops = np.empty(len(parts))
    together = max(1, at_once // max(1, len(x)))
    for begin in range(0, len(parts), together):
        some = parts[begin : begin + together]
        inputs = x.expand(len(some), *x.shape).clone()
        for row, (start, stop, k) in enumerate(some):
            chosen = ... if k is None else (..., k)
            inputs[row, start:stop][chosen] = baseline[start:stop][chosen]
        drops[begin : begin + len(some)] = float(ends[1]) - _scores(score, inputs, at_once)
    shape = tuple(x.shape) if each_channel else (len(x),)
    values, times = np.zeros(shape), np.zeros(shape)
    for (start, stop, k), drop in zip(parts, drops, strict=True):
        place = slice(start, stop) if k is None else (slice(start, stop), k)
        values[place] += drop / (stop - start)
        times[place] += 1
    values /= np.maximum(times, 1)
    difference = float(ends[1] - ends[0])
    return Attribution(
        values,
        "occlusion",
        target,
        difference,
        difference - float(values.sum()),
        float(ends[1]),
        len(parts),
        window=max((stop - start for start, stop in stretches), default=0),
    )


def windows_of(steps: int, most: int = WINDOWS) -> list[tuple[int, int]]:
    """Windows of one width, side by side, ``most`` of them at most: from 31 to 60 of a sequence of more than 30 steps.

    >>> windows_of(3), len(windows_of(61)), len(windows_of(500))
    ([(0, 1), (1, 2), (2, 3)], 31, 56)
    """
    width = max(1, -(-steps // most))
    return [(start, min(start + width, steps)) for start in range(0, steps, width)]


@torch.no_grad()
def _scores(score: Score, inputs: Tensor, at_once: int) -> np.ndarray:
    """Scores ``[P]`` float64, a few inputs at a time."""
    together = max(1, at_once // max(1, inputs.shape[1]))
    found = [_one_each(score(some), len(some)).double().cpu() for some in torch.split(inputs, together)]
    return torch.cat(found).numpy()


def _one_each(scores: Tensor, count: int) -> Tensor:
    if scores.shape != (count,):
        raise ShapeError(f"score: expected one number for each of {count} inputs, got {tuple(scores.shape)}.")
    return scores


def _check(x: Tensor, baseline: Tensor, at_once: int) -> None:
    if x.shape != baseline.shape or not x.is_floating_point() or x.ndim == 0:
        raise ShapeError(
            f"attribution: expected floating input and baseline of one shape [T, ...], got {tuple(x.shape)} "
            f"{x.dtype} and {tuple(baseline.shape)}."
        )
    if at_once < 1:
        raise OptionError(f"at_once: expected at least 1 step, got {at_once}.")
