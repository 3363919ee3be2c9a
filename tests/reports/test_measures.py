import math

import numpy as np
import pytest

from gatewise import metrics
from gatewise.reports import measures


def test_wilson_solves_its_equation():
    for right, count in [(0, 7), (1, 7), (450, 500), (7, 7)]:
        low, high = measures.wilson(right, count)
        share = right / count
        for end in (low, high):  # its ends are where the observed share lies 1.96 deviations off
            if 0 < end < 1:
                assert abs(share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / count), rel=1e-5)
        assert 0 <= low <= share <= high <= 1


def test_mean_interval_of_single_values_is_the_usual_one():
    errors = np.random.default_rng(0).exponential(1.0, 50)
    low, high = measures.mean_interval(errors, np.ones(50))
    half = 1.959964 * errors.std(ddof=1) / math.sqrt(50)
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), rel=1e-5)


def test_mean_interval_counts_sequences_not_steps():
    sums, counts = np.array([1.0, 3.0, 2.0]), np.array([1, 1, 1])
    assert measures.mean_interval(sums * 100, counts * 100) == pytest.approx(measures.mean_interval(sums, counts))
    assert measures.mean_interval(sums[:1], counts[:1]) is None
    assert measures.mean_interval(np.array([1.0, math.nan]), counts[:2]) is None


def test_class_scores_by_brute_force():
    rng = np.random.default_rng(1)
    said, right = rng.integers(0, 4, 60), rng.integers(0, 3, 60)  # class 3 is never right, class 4 never occurs
    counts = measures.confusion_counts(said, right, 5)
    scores = measures.class_scores(counts)
    for k in range(5):
        hits = sum(s == r == k for s, r in zip(said, right, strict=True))
        assert counts[k, k] == hits
        of_said, of_right = sum(said == k), sum(right == k)
        for value, part, whole in [(scores.precision[k], hits, of_said), (scores.recall[k], hits, of_right)]:
            assert math.isnan(value) if whole == 0 else value == pytest.approx(part / whole)
        if of_said and of_right and hits:
            p, r = scores.precision[k], scores.recall[k]
            assert scores.f1[k] == pytest.approx(2 * p * r / (p + r))
        assert scores.support[k] == of_right
    assert math.isnan(scores.f1[4])


def test_threshold_curve_by_brute_force():
    rng = np.random.default_rng(2)
    probabilities, positive = rng.integers(0, 12, 80) / 12, rng.random(80) < 0.4  # with many ties
    curve = measures.threshold_curve(probabilities, positive)
    assert list(curve.threshold) == [np.inf, *sorted(set(probabilities), reverse=True)]
    for threshold, false_alarms, recall, precision in zip(*curve, strict=True):
        said = probabilities >= threshold
        assert recall == pytest.approx((said & positive).sum() / positive.sum())
        assert false_alarms == pytest.approx((said & ~positive).sum() / (~positive).sum())
        assert precision == pytest.approx((said & positive).sum() / said.sum() if said.any() else 1.0)
    x, y = curve.false_positive_rate, curve.recall
    area = float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
    assert area == pytest.approx(metrics.auroc(probabilities.tolist(), positive.astype(int).tolist()))


def test_calibration_by_brute_force():
    rng = np.random.default_rng(3)
    chances = np.append(rng.random(300), [0.0, 1.0, 0.5])
    happened = rng.random(303) < chances**2
    bins = measures.calibration(chances, happened)
    error = 0.0
    for k in range(10):
        inside = [i for i, p in enumerate(chances) if k / 10 <= p < (k + 1) / 10 or (k == 9 and p == 1.0)]
        assert bins.counts[k] == len(inside)
        assert bins.share[k] == pytest.approx(happened[inside].mean())
        assert bins.probability[k] == pytest.approx(chances[inside].mean())
        error += abs(happened[inside].mean() - chances[inside].mean()) * len(inside) / 303
    assert bins.error == pytest.approx(error)


def test_calibration_with_empty_bins():
    bins = measures.calibration(np.array([0.95, 0.95]), np.array([True, False]))
    assert bins.error == pytest.approx(0.45)
    assert np.isnan(bins.share[:9]).all()
