"""Metrics against counting by hand."""

import math

import numpy as np
import pytest

from gatewise import metrics

PREDICTED = [0, 0, 1, 1, 2, 0, 1, 2, 2, 2]
ACTUAL = [0, 1, 1, 1, 2, 0, 0, 2, 1, 2]


def test_accuracy():
    assert metrics.accuracy(PREDICTED, ACTUAL, 3) == pytest.approx(0.7)


def test_balanced_accuracy():
    assert metrics.balanced_accuracy(PREDICTED, ACTUAL, 3) == pytest.approx((2 / 3 + 2 / 4 + 3 / 3) / 3)
    assert metrics.balanced_accuracy([0] * 100, [0] * 99 + [1], 2) == pytest.approx(0.5)


def test_f1_is_the_mean_over_classes():
    def of(k):
        true = sum(p == a == k for p, a in zip(PREDICTED, ACTUAL, strict=True))
        precision, recall = true / PREDICTED.count(k), true / ACTUAL.count(k)
        return 2 * precision * recall / (precision + recall)

    assert metrics.f1(PREDICTED, ACTUAL, 3) == pytest.approx(np.mean([of(k) for k in range(3)]))


def test_auroc_counts_pairs():
    rng = np.random.default_rng(0)
    actual = rng.integers(2, size=40)
    score = np.round(0.7 * rng.random(40) + 0.3 * actual, 1)  # with ties
    pairs = [float(p > n) + 0.5 * float(p == n) for p in score[actual == 1] for n in score[actual == 0]]
    assert metrics.auroc(score.tolist(), actual.tolist()) == pytest.approx(np.mean(pairs))
    assert math.isnan(metrics.auroc([0.1, 0.2], [1, 1]))


def test_errors_of_numbers():
    predicted, actual = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [2.0]])
    assert metrics.mse(predicted, actual) == pytest.approx(5 / 3)
    assert metrics.mae(predicted, actual) == pytest.approx(1.0)
    assert metrics.r2(predicted, actual) == pytest.approx(1 - 5 / 2)
    assert metrics.r2(actual, actual) == 1.0
    assert math.isnan(metrics.r2(predicted, np.ones((3, 1))))
    assert math.isnan(metrics.r2(np.full((60, 1), 36.5), np.full((60, 1), 0.1) + 36.5))
