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


def test_symmetric_error():
    assert metrics.smape(np.array([2.0, 0.0, 1.0]), np.array([1.0, 0.0, -1.0])) == pytest.approx((2 / 3 + 0 + 2) / 3)


def test_error_in_units_of_the_naive_one():
    predicted = np.zeros((3, 2, 2))
    actual = np.array([[[1.0, 8], [3, np.nan]], [[5, 2], [5, 2]], [[7, 7], [7, 7]]])
    naive = np.array([[2.0, 4.0], [0.0, 1.0], [np.nan, np.nan]])  # what never changed, and what is unknown, is left out
    assert metrics.mase(predicted, actual, naive) == pytest.approx(np.mean([0.5, 1.5, 2.0, 2.0, 2.0]))
    assert math.isnan(metrics.mase(predicted[2:], actual[2:], naive[2:]))


def test_quantile_loss_by_hand():
    actual = np.array([1.0, -4.0, np.nan])
    bands = [(0.1, np.array([0.0, 0.0, 9.0])), (0.5, np.array([2.0, -3.0, 9.0]))]
    low, middle = 2 * (0.1 * 1 + 0.9 * 4), 2 * 0.5 * (1 + 1)
    loss = metrics.weighted_quantile_loss(bands, actual, observed=~np.isnan(actual))
    assert loss == pytest.approx((low + middle) / 2 / 5)
    alone = metrics.weighted_quantile_loss(bands[1:], np.array([1.0, -4.0, 9.0]))
    assert alone == pytest.approx(2 / 14)
    assert math.isnan(metrics.weighted_quantile_loss(bands, np.zeros(3)))


def test_relative_error():
    actual = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert metrics.relative_error(np.full((2, 2), 3.0), actual) == pytest.approx(1.0)
    assert metrics.relative_error(actual + 0.5, actual) == pytest.approx(math.sqrt(4 * 0.25 / 14))
    assert math.isnan(metrics.relative_error(actual, np.ones((2, 2))))
