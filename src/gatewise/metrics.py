"""Metrics over plain lists of answers; torchmetrics where it has the metric.

Fractions are 0 to 1, errors in the units of the data. Names are those of ``evaluate --json``.
"""

from collections.abc import Sequence

import numpy as np
import torch


def accuracy(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Share of right answers."""
    return float(np.mean(np.asarray(predictions) == np.asarray(references)))


def balanced_accuracy(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Mean over the classes that occur of the share of right answers in each: 1/K for a model that always says one."""
    predicted, actual = np.asarray(predictions), np.asarray(references)
    return float(np.mean([np.mean(predicted[actual == k] == k) for k in np.unique(actual)]))


def f1(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Mean over the classes of F1, the harmonic mean of precision and recall (macro F1)."""
    from torchmetrics.functional.classification import multiclass_f1_score

    value = multiclass_f1_score(torch.tensor(predictions), torch.tensor(references), num_classes, average="macro")
    return float(value)


def auroc(probabilities: Sequence[float], references: Sequence[int]) -> float:
    """Area under the ROC curve of two classes: the chance that a positive is ranked above a negative.

    NaN where only one class occurs.
    """
    from torchmetrics.functional.classification import binary_auroc

    if len(set(references)) < 2:
        return float("nan")
    return float(binary_auroc(torch.tensor(probabilities, dtype=torch.float64), torch.tensor(references)))


def mse(predictions: np.ndarray, references: np.ndarray) -> float:
    """Mean squared error."""
    return float(np.mean((predictions - references) ** 2))


def mae(predictions: np.ndarray, references: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(predictions - references)))


def r2(predictions: np.ndarray, references: np.ndarray) -> float:
    """Share of the variance explained: 1 is perfect, 0 is the mean of the references; NaN where they do not vary.

    Values ``[N, K]``; the mean over the K targets.
    """
    residual = ((predictions - references) ** 2).sum(0)
    spread = ((references - references.mean(0)) ** 2).sum(0)
    # The mean of equal numbers is off by a rounding: what is left of them is no spread.
    rounding = (1e-12 * np.abs(references).max(0)) ** 2 * len(references)
    if not np.all(spread > rounding):
        return float("nan")
    return float(np.mean(1 - residual / spread))
