"""What the pictures show, as numbers: intervals, confusion, scores by class, curves over thresholds, calibration."""

import math
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # 95 % of a normal distribution lie within so many deviations


class Interval(NamedTuple):
    """Where the true value lies with 95 % confidence."""

    low: float
    high: float


def wilson(right: int, count: int) -> Interval:
    """Wilson's interval of a share; unlike the textbook one it holds near 0 and 1 and for few examples.

    >>> low, high = wilson(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    share, z = right / count, Z95
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(0.0 if right == 0 else middle - half, 1.0 if right == count else middle + half)


def mean_interval(sums: np.ndarray, counts: np.ndarray) -> Interval | None:
    """Of a mean over steps that come in sequences: steps of one sequence are alike, so sequences are what counts.

    Args:
        sums: ``[N]``, of each sequence.
        counts: ``[N]``, values in each sum.

    Returns:
        None for fewer than two sequences or values that are not finite.
    """
    n = len(sums)
    if n < 2 or not np.isfinite(sums).all():
        return None
    mean = sums.sum() / counts.sum()
    deviation = math.sqrt(float(((sums - mean * counts) ** 2).sum()) * n / (n - 1)) / counts.sum()
    return Interval(max(float(mean - Z95 * deviation), 0.0), float(mean + Z95 * deviation))


def confusion_counts(said: np.ndarray, right: np.ndarray, num_classes: int) -> np.ndarray:
    """``[K, K]``: how often a sequence of the class of the row was said to be of the class of the column."""
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (right, said), 1)
    return counts


class ClassScores(NamedTuple):
    """``[K]`` each; NaN where nothing can be said."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_scores(counts: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class from a confusion matrix ``[K, K]``."""
    hits, said, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ClassScores(hits / said, hits / support, 2 * hits / (said + support), support)


class ThresholdCurve(NamedTuple):
    """What each threshold would give, from the strictest to the loosest; ``[M]`` each."""

    threshold: np.ndarray
    false_positive_rate: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


def threshold_curve(probabilities: np.ndarray, positive: np.ndarray) -> ThresholdCurve:
    """Rates where everything from a threshold on is said to be positive, one entry a distinct probability.

    Args:
        probabilities: ``[N]``, of the positive class.
        positive: ``[N]`` bool, what is right; both kinds occur.

    Returns:
        The curve; its first entry, threshold infinity, says positive to nothing.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # equal probabilities stand or fall together
    true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    return ThresholdCurve(
        np.append(np.inf, ranked[last]),
        np.append(0.0, false / (~positive).sum()),
        np.append(0.0, true / positive.sum()),
        np.append(1.0, true / (true + false)),
    )


class Calibration(NamedTuple):
    """Ten bins of probability: mean probability and share that came true (NaN where empty), and how many."""

    edges: np.ndarray
    probability: np.ndarray
    share: np.ndarray
    counts: np.ndarray
    error: float


def calibration(probabilities: np.ndarray, happened: np.ndarray, *, bins: int = 10) -> Calibration:
    """Whether what is said with probability p comes true in a share p of cases.

    Args:
        probabilities: ``[N]``, 0 to 1.
        happened: ``[N]`` bool.
        bins: of equal width; a bin holds its left edge, the last one also 1.

    Returns:
        The bins, and the expected calibration error: the mean gap of both, weighted by how many are in a bin.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        probability = np.bincount(place, weights=probabilities, minlength=bins) / count
        share = np.bincount(place, weights=happened.astype(float), minlength=bins) / count
    gap = np.where(count > 0, np.abs(probability - share), 0.0)
    return Calibration(edges, probability, share, count, float((gap * count).sum() / count.sum()))
