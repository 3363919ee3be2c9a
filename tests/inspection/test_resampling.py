"""Metrics of resamples are the task's own metrics of what was drawn; intervals cover what is known to be true."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.data.config import DataConfig, SeriesConfig
from gatewise.data.dataset import SequenceData
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.inspection.comparison import bootstrap_p, interval
from gatewise.inspection.resampling import SUMS, bootstrap, of_sums, statistics_of
from gatewise.inspection.verdict import KINDS
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.types import Prediction, Results
from reports import invented_media, invented_texts


def of_report(report):
    config, results = report.config, report.measured[-1].results
    return TASKS[config.task](config.loss, report.adapter), report.adapter, results


def regression(per_step):
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 6, 30)
    sequences = [rng.normal(size=(n, 2)) for n in lengths]
    truths = [1e5 + 3 * rng.normal(size=(n, 2) if per_step else 2) for n in lengths]  # far from zero
    adapter = SIDES["regression"].fit(SequenceData(sequences, truths, ("x", "y"), ("a", "b")), DataConfig())
    said = [Prediction((y + rng.normal(size=y.shape)).tolist()) for y in truths]
    return TASKS["regression"](LossConfig(), adapter), adapter, Results(0.0, said, [y.tolist() for y in truths])


def forecasting(distribution):
    """With gaps, windows without a naive error, and one in which nothing was observed at the last step."""
    rng = np.random.default_rng(2)
    data = SeriesData([rng.normal(size=(40, 2)) + 50], target_names=("x", "y"))
    adapter = SeriesAdapter.fit(data, SeriesConfig(context_length=8, horizon=3, season=4))
    task = TASKS["forecasting"](LossConfig(distribution=distribution), adapter)
    references = rng.normal(size=(25, 3, 2)) + 50
    references[rng.random(references.shape) < 0.15] = np.nan
    references[3, -1] = np.nan
    said = np.where(np.isnan(references), 50, references) + rng.normal(size=references.shape)
    levels = LossConfig().levels
    predictions = [
        Prediction(
            row.tolist(),
            quantiles=[(level, row + level - 0.5) for level in levels] if distribution == "quantile" else None,
            naive_error=None if i % 5 == 0 else np.array([0.0 if i % 7 == 0 else 0.9, np.nan if i % 4 == 0 else 1.2]),
        )
        for i, row in enumerate(said)
    ]
    return task, adapter, Results(0.0, predictions, references.tolist())


def every_task():
    yield "regression", regression(per_step=False)
    yield "regression a step", regression(per_step=True)
    yield "forecasting", forecasting("squared")
    yield "forecasting of quantiles", forecasting("quantile")
    for module in (invented_texts, invented_media):
        for name, report in module.every_report().items():
            yield name, of_report(report)


EVERY = dict(every_task())


def drawn(results, counts, clusters):
    """What a resample holds, by definition."""
    rows = [i for unit, times in enumerate(counts) for _ in range(times) for i in np.flatnonzero(clusters == unit)]
    return Results(0.0, [results.predictions[i] for i in rows], [results.references[i] for i in rows])


def test_every_task_is_held_to_its_own_metrics():
    names = {task.name for task, _, _ in EVERY.values()}
    with_labels = {"classification", "video", "audio-classification", "text-classification"}
    assert names | with_labels == set(TASKS)
    assert set(SUMS) | with_labels == set(TASKS)


@pytest.mark.parametrize("name", EVERY)
def test_a_resample_has_the_metrics_of_what_was_drawn(name):
    task, adapter, results = EVERY[name]
    rng = np.random.default_rng(0)
    few = rng.permutation(len(results.predictions))[:20]  # small, so that classes go missing and values tie
    results = Results(0.0, [results.predictions[i] for i in few], [results.references[i] for i in few])
    clusters = np.arange(len(few)) // 2 if len(few) > 8 else np.arange(len(few))
    size = int(clusters.max()) + 1
    counts = np.stack(
        [np.ones(size, int), *(np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(6))]
    )
    statistics = statistics_of(task, adapter, results, clusters)
    assert list(statistics) == list(task.metrics)
    for metric, statistic in statistics.items():
        expected = [task.metrics[metric](drawn(results, row, clusters)) for row in counts]
        np.testing.assert_allclose(statistic(counts), expected, rtol=2e-6, atol=1e-9, err_msg=metric)


def classes(said, right, *, names=("a", "b", "c"), chances=None):
    sequences = [np.zeros((2, 1)) + i for i in range(len(names))]
    adapter = SIDES["classification"].fit(SequenceData(sequences, list(names), ("x",)), DataConfig())
    chances = chances or [None] * len(said)
    return (
        TASKS["classification"](LossConfig(), adapter),
        adapter,
        Results(
            0.0,
            [Prediction(names[k], chance) for k, chance in zip(said, chances, strict=True)],
            [names[k] for k in right],
        ),
    )


def test_every_metric_of_every_task_has_a_direction():
    """A new one is said to be better upwards or downwards, or this fails; what chooses epochs must say the same."""
    two = classes([0, 1, 1, 0], [0, 1, 0, 0], names=("a", "b"), chances=[[0.7, 0.3]] * 4)
    tasks = [*EVERY.values(), two]
    assert set(KINDS) == {metric for task, _, _ in tasks for metric in task.metrics}
    for task, _, results in tasks:
        assert KINDS[task.monitor.metric].higher == (task.monitor.mode == "max"), task.name
        for metric, measure in task.metrics.items():
            assert KINDS[metric].least <= measure(results) <= KINDS[metric].most, metric


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_answers_of_any_classes(pairs, seed):
    task, adapter, results = classes(*zip(*pairs, strict=True))
    clusters = np.arange(len(pairs))
    counts = np.random.default_rng(seed).multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=3)
    for metric, statistic in statistics_of(task, adapter, results, clusters).items():
        expected = [task.metrics[metric](drawn(results, row, clusters)) for row in counts]
        np.testing.assert_allclose(statistic(counts), expected, rtol=1e-6, err_msg=metric)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9, 0.3]), st.booleans()), min_size=1, max_size=15))
@settings(max_examples=40, deadline=None)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(pairs):
    chances = [[1 - p, p] for p, _ in pairs]
    right = [int(one) for _, one in pairs]
    task, adapter, results = classes(right, right, names=("a", "b"), chances=chances)
    counts = np.random.default_rng(0).integers(0, 3, size=(4, len(pairs)))
    area = statistics_of(task, adapter, results, np.arange(len(pairs)))["auroc"](counts)
    for found, row in zip(area, counts, strict=True):
        high = [p for (p, one), times in zip(pairs, row, strict=True) for _ in range(times) if one]
        low = [p for (p, one), times in zip(pairs, row, strict=True) for _ in range(times) if not one]
        if high and low:
            expected = np.mean([(a > b) + (a == b) / 2 for a in high for b in low])
            assert found == pytest.approx(expected)
        else:
            assert np.isnan(found)


def test_draws_are_with_replacement_and_the_same_for_all_runs():
    seen = []

    def note(counts):
        seen.append(counts)
        return counts[:, 0].astype(float)

    draws = bootstrap([{"m": note}, {"m": note}], 5, resamples=4000, seed=3)
    assert np.array_equal(seen[0], seen[1])
    assert (seen[0].sum(1) == 5).all()
    assert seen[0].mean(0) == pytest.approx(np.ones(5), abs=0.06)
    assert seen[0].var(0) == pytest.approx(np.full(5, 0.8), abs=0.08)  # binomial(5, 1/5)
    assert np.array_equal(draws[0]["m"], draws[1]["m"])


def test_memory_does_not_change_what_is_drawn(monkeypatch):
    statistic = of_sums(np.arange(7.0), lambda sums: sums[0], np.arange(7))
    whole = bootstrap([{"m": statistic}], 7, resamples=100, seed=0)[0]["m"]
    monkeypatch.setattr("gatewise.inspection.resampling.BLOCK", 60)
    steps = []
    parts = bootstrap([{"m": statistic}], 7, resamples=100, seed=0, on_step=steps.append)[0]["m"]
    assert np.array_equal(whole, parts)
    assert sum(steps) == 100
    assert len(steps) > 5


def covered(truth, make, *, trials=300, resamples=400):
    """Share of simulated data sets whose interval holds the truth."""
    rng = np.random.default_rng(4)
    hits = 0
    for trial in range(trials):
        statistic, clusters = make(rng)
        draws = bootstrap([{"m": statistic}], clusters, resamples=resamples, seed=trial)[0]["m"]
        low, high = interval(draws)
        hits += low <= truth <= high
    return hits / trials


def test_intervals_cover_the_truth_as_often_as_they_say():
    """95 of 100, give or take 3.8 in 300 trials and a little for what percentiles lack."""

    def accuracy(rng):
        right = rng.random(150) < 0.8
        return of_sums(np.stack([right, np.ones(150)], 1), lambda sums: sums[0] / sums[1], np.arange(150)), 150

    assert 0.905 <= covered(0.8, accuracy) <= 0.985


def test_sequences_of_one_group_belong_together():
    """Thirty people of whom each has ten like answers: drawn one by one, intervals are far too narrow."""

    def by(clusters):
        def make(rng):
            of_person = rng.normal(0, 1, 30)
            values = np.repeat(of_person, 10) + 0.1 * rng.normal(size=300)
            parts = np.stack([values, np.ones(300)], 1)
            return of_sums(parts, lambda sums: sums[0] / sums[1], clusters), int(clusters.max()) + 1

        return make

    assert covered(0.0, by(np.repeat(np.arange(30), 10))) >= 0.89
    assert covered(0.0, by(np.arange(300))) <= 0.6


def test_a_difference_is_surer_than_two_intervals():
    """Paired: what both runs find hard cancels out."""
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 5, 200)
    one, other = (of_sums(np.stack([hard + rng.normal(shift, 0.1, 200), np.ones(200)], 1), lambda s: s[0] / s[1],
                          np.arange(200)) for shift in (0.0, 0.1))  # fmt: skip
    first, second = bootstrap([{"m": one}, {"m": other}], 200, resamples=1000, seed=0)
    low, high = interval(second["m"] - first["m"])
    assert 0.05 < low < 0.1 < high < 0.15
    assert interval(first["m"])[1] > interval(second["m"])[0]  # alone they overlap
    assert bootstrap_p(second["m"] - first["m"]) == pytest.approx(2 / 1001)


@pytest.mark.parametrize(
    ("name", "said", "right"),
    [
        ("translation", ["", "a"], ["b c", "d"]),  # nothing is right
        ("translation", ["a dog ran off there", "it is"], ["a dog sat over there", "it was"]),  # no run of four words
        ("speech-to-text", ["a b", "c"], ["", "c"]),  # a reference without a word
        ("speech-to-text", ["", "a"], ["", ""]),  # none with any
    ],
)
def test_texts_at_the_edges(name, said, right):
    task, adapter, _ = next(made for made in EVERY.values() if made[0].name == name)
    results = Results(0.0, [Prediction(one) for one in said], right)
    clusters, counts = np.arange(2), np.array([[1, 1], [2, 0], [0, 2]])
    for metric, statistic in statistics_of(task, adapter, results, clusters).items():
        expected = [task.metrics[metric](drawn(results, row, clusters)) for row in counts]
        np.testing.assert_allclose(statistic(counts), expected, rtol=1e-9, err_msg=metric)
