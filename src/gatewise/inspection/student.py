"""Setups of several runs: what their mean is likely to be of other runs and on other data, by Student's t."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Inference(NamedTuple):
    """A mean or a difference of means, its 95 % interval and the two-sided p of 0; NaN where they cannot be told."""

    value: float
    low: float
    high: float
    p: float


class Part(NamedTuple):
    """The runs of one setup.

    Attributes:
        sign: 1, or -1 where the mean is taken away.
        values: ``[n]``, the metric of each run; two or more.
        draws: ``[n, R]``, that of each run on the same resamples of the data.
    """

    sign: int
    values: np.ndarray
    draws: np.ndarray


def infer(parts: Sequence[Part], clusters: int, *, level: float = 0.95) -> Inference:
    """The sum of the means of setups, each by its sign, with what seeds and what data may change of it.

    The variance has a part for each setup, that of its runs by their number, and a part of the data, which all runs
    share: that of the resamples, less what runs do each for itself, which is in the former already. Degrees of freedom
    are Welch's: ``n - 1`` for each setup, ``U - 1`` for the data (Satterthwaite 1946; Welch 1947). Runs are taken to
    be normally distributed. With data that change nothing this is Welch's test.

    Args:
        parts: one setup, or two that are compared.
        clusters: ``U``, how many were resampled.
        level: of the interval.

    Returns:
        NaN, but for the value, where nothing was resampled; where nothing varies, an interval without width and no p.
    """
    value = float(sum(part.sign * part.values.mean() for part in parts))
    drawn = sum(part.sign * part.draws.mean(0) for part in parts)  # [R]
    known = np.isfinite(drawn)
    if clusters < 2 or np.count_nonzero(known) < 2 or not math.isfinite(value):
        return Inference(value, math.nan, math.nan, math.nan)
    whole = clusters / (clusters - 1)  # resamples vary by (U - 1) / U of what data do
    shared = whole * float(np.var(drawn[known], ddof=1))
    variances, freedoms = [], []
    for part in parts:
        n, draws = len(part.values), part.draws[:, known]
        own = whole * float(np.var(draws - draws.mean(0), axis=1, ddof=1).sum()) / (n * (n - 1))
        shared -= own
        # Accuracies of two runs are easily the same: they vary no less than their resamples say.
        variances.append(max(float(np.var(part.values, ddof=1)) / n, own))
        freedoms.append(n - 1)
    variances.append(max(0.0, shared))
    freedoms.append(clusters - 1)
    variance = sum(variances)
    if variance <= (1e-12 * max(1.0, abs(value))) ** 2:  # nothing varies, so of chance nothing is known
        return Inference(value, value, value, math.nan if value else 1.0)
    freedom = variance**2 / sum(v**2 / df for v, df in zip(variances, freedoms, strict=True))
    error = math.sqrt(variance)
    half = error * student_quantile((1 + level) / 2, freedom)
    return Inference(value, value - half, value + half, student_p(value / error, freedom))


def student_p(t: float, freedom: float) -> float:
    """Probability that Student's t is as far from 0 as this, on either side.

    >>> round(student_p(2.776445, 4), 6), round(student_p(1.959964, 1e6), 5), student_p(0.0, 2.5)
    (0.05, 0.05, 1.0)
    """
    square = t * t
    if square < freedom:  # a small t would be lost in a share near 1
        return max(0.0, 1 - incomplete_beta(0.5, freedom / 2, square / (freedom + square)))
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square))


def student_quantile(level: float, freedom: float) -> float:
    """What Student's t stays below with a probability above 1/2.

    >>> round(student_quantile(0.975, 1), 4), round(student_quantile(0.975, 9), 4)
    (12.7062, 2.2622)
    """
    return _root(lambda t: student_p(t, freedom) - 2 * (1 - level))


def _root(falling: Callable[[float], float]) -> float:
    """Where a falling function of positive numbers is 0."""
    low, high = 0.0, 1.0
    while falling(high) > 0:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function ``I_x(a, b)``, by its continued fraction (DLMF 8.17.22).

    >>> round(incomplete_beta(2, 3, 0.4), 10)  # 1 - (1 - x)^4 - 4 x (1 - x)^3
    0.5248
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there it converges slowly: by the symmetry of I
        return 1 - incomplete_beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x) - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b) - math.log(a)
    return math.exp(front) * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """``1 / (1 + d1 / (1 + d2 / ...))``, by Lentz's method."""
    above, below = math.inf, 1.0  # what the fraction was multiplied and divided by last
    found = 1.0
    for k in range(1, 100_000):
        m, odd = divmod(k, 2)
        if odd:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        above, below = 1 + term / above, 1 / (1 + term * below)
        found *= above * below
        if k > 1 and abs(1 - above * below) < 1e-15:
            break
    return found
