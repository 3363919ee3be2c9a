"""The task of forecasting: its checks, units, gaps, quantiles, metrics; and the baselines against their definitions."""

import json

import numpy as np
import pytest
import torch

from gatewise import metrics
from gatewise.data.config import SeriesConfig
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.errors import ConfigError, DataError
from gatewise.models.config import ModelConfig
from gatewise.tasks.baselines import baselines, context, fit_linear, linear
from gatewise.tasks.forecasting import forecasting, of_paths
from gatewise.tasks.task import LossConfig
from gatewise.testing.tasks import (
    check_length_one,
    check_one_equals_many,
    check_padding_is_ignored,
    check_task,
)
from gatewise.types import Results

SMALL = ModelConfig(recipe="forecaster", hidden_sizes=(12,), embedding_size=12, decoder_size=16, patch_size=4)
CONFIG = SeriesConfig(context_length=10, horizon=3, season=4)


def toy(*, counts=True, gaps=True, lengths=(30, 22, 9)):
    """Three series of two channels; the last is too short for a whole context."""
    rng = np.random.default_rng(0)
    values = [rng.poisson(20 + 8 * np.sin(np.pi / 2 * np.arange(n))[:, None], (n, 2)).astype(float) for n in lengths]
    if not counts:
        values = [part / 7 - 3 for part in values]
    if gaps:
        values[0][4:6, 0] = values[0][20, 1] = values[1][-1, 0] = np.nan
    past = [rng.normal(size=(n, 1)) for n in lengths]
    future = [rng.normal(size=(n + 3, 1)) for n in lengths]
    static = [("a",), ("b",), ("a",)]
    names = {"target_names": ("x", "y"), "past_names": ("p",), "future_names": ("f",), "static_names": ("s",)}
    return SeriesData(values, past=past, future=future, static=static, season=4, **names)


def make(name="squared", data=None, **loss):
    data = data or toy()
    adapter = SeriesAdapter.fit(data, CONFIG)
    return forecasting(LossConfig(distribution=name, **loss), adapter), adapter, adapter.encode(data)


def spread(examples, count=16):
    """Some of them from everywhere: short contexts and gaps too."""
    return [examples[i] for i in np.linspace(0, len(examples) - 1, count).astype(int)]


@pytest.mark.parametrize(
    ("name", "options"),
    [("squared", {}), ("quantile", {"independent": False}), ("squared", {"head": "autoregressive"})],
)
def test_checks_of_the_task(name, options):
    task, _, examples = make(name)
    check_task(task, ModelConfig(**{**vars(SMALL), **options}), spread(examples))


@pytest.mark.parametrize("name", ["absolute", "huber", "quantile", "normal", "student-t", "negative-binomial"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_no_answer_depends_on_the_batch_or_on_padding(name, head):
    """Of distributions, which no eight examples bring to a loss of zero."""
    task, _, examples = make(name)
    torch.manual_seed(0)
    samples = 5 if head == "autoregressive" else None
    model = task.build(ModelConfig(**{**vars(SMALL), "head": head, "samples": samples})).eval()
    few = spread(examples, 8)
    check_padding_is_ignored(task, model, few)
    check_one_equals_many(task, model, few)
    check_length_one(task, model, few)


def answered(task, examples, config=SMALL):
    torch.manual_seed(0)
    model = task.build(config).eval()
    batch = task.collate(examples)
    with torch.no_grad():
        outputs = model(batch)
    return batch, outputs, task.predict(model, batch, outputs), task.references(batch)


def test_answers_and_references_are_in_the_units_of_the_data():
    data = toy()
    task, _, examples = make(data=data)
    batch, outputs, predictions, references = answered(task, examples[:6])
    for row, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        series, origin = examples.place(row)
        np.testing.assert_array_equal(reference, data.values[series][origin : origin + 3])
        window = examples[row].input
        value = outputs.scores[row, :, :, 0].double().numpy() * window.scale + window.loc
        np.testing.assert_allclose(prediction.value, value)
        np.testing.assert_array_equal(prediction.naive_error, window.naive_error)
        assert prediction.quantiles is None
        json.dumps(prediction.value)
    assert int(torch.isnan(batch.targets).sum()) == sum(np.isnan(np.array(one)).sum() for one in references)


@pytest.mark.parametrize("name", ["quantile", "normal", "student-t", "negative-binomial"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_quantiles_are_told_in_order_and_around_the_answer(name, head):
    task, _, examples = make(name, levels=(0.05, 0.5, 0.9))
    config = ModelConfig(**{**vars(SMALL), "head": head})
    _, _, predictions, _ = answered(task, examples[:6], config)
    for prediction in predictions:
        assert [level for level, _ in prediction.quantiles] == [0.05, 0.5, 0.9]
        low, middle, high = (band for _, band in prediction.quantiles)
        assert low.shape == (3, 2)
        assert low.dtype == np.float32
        assert bool((low <= middle).all())
        assert bool((middle <= high).all())
        assert bool((low < high).all())
        if name != "negative-binomial" and head == "direct":
            np.testing.assert_allclose(middle, prediction.value, rtol=1e-5)
        if name == "negative-binomial" and head == "direct":
            np.testing.assert_array_equal(middle, np.round(middle))
            assert bool((low >= 0).all())


def test_quantiles_of_paths_are_numpys():
    paths = torch.randn(21, 2, 3, dtype=torch.float64)
    expected = np.quantile(paths.numpy(), [0.03, 0.5, 0.999], axis=0)
    np.testing.assert_allclose(of_paths(paths, (0.03, 0.5, 0.999)).numpy(), expected)


def test_what_was_not_observed_counts_nowhere():
    data = toy()
    task, adapter, examples = make(data=data)
    batch, outputs, predictions, references = answered(task, examples)
    actual = np.array(references)
    observed = ~np.isnan(actual)
    values = np.array([prediction.value for prediction in predictions])
    assert not observed.all()
    assert int(task.loss(outputs, batch).count) == observed.sum()
    results = Results(0.0, predictions, references)
    error = (values - actual)[observed]
    assert task.metrics["mse"](results) == pytest.approx(np.mean(error**2))
    assert task.metrics["mae"](results) == pytest.approx(np.mean(np.abs(error)))
    scaled = ((values - actual) / np.array(adapter.std))[observed]
    assert task.metrics["scaled_mse"](results) == pytest.approx(np.mean(scaled**2))
    naive = np.stack([example.input.naive_error for example in examples])
    assert task.metrics["mase"](results) == pytest.approx(metrics.mase(values, actual, naive))


def test_errors_in_units_of_the_channel():
    """The loss is then what benchmarks measure, whatever the windows were scaled by."""
    for name, metric in (("squared", "scaled_mse"), ("absolute", "scaled_mae")):
        task, _, examples = make(name, unit="channel")
        batch, outputs, predictions, references = answered(task, examples[:8])
        loss = task.loss(outputs, batch)
        measured = task.metrics[metric](Results(0.0, predictions, references))
        assert float(loss.total / loss.count) == pytest.approx(measured, rel=1e-5)
    with pytest.raises(ConfigError, match='expected "window" with distribution "student-t", got "channel"'):
        make("student-t", unit="channel")


def test_the_quantile_loss_of_results():
    task, _, examples = make("quantile", levels=(0.2, 0.5))
    _, _, predictions, references = answered(task, examples)
    actual = np.array(references)
    bands = [(level, np.stack([one.quantiles[q][1] for one in predictions])) for q, level in enumerate((0.2, 0.5))]
    measured = task.metrics["wql"](Results(0.0, predictions, references))
    assert measured == pytest.approx(metrics.weighted_quantile_loss(bands, actual, observed=~np.isnan(actual)))
    assert task.monitor == ("wql", "min")
    sure = [prediction._replace(quantiles=None) for prediction in predictions]
    values = np.array([one.value for one in predictions])
    error = actual - values
    each = [2 * np.nansum(np.maximum(q * error, (q - 1) * error)) / np.nansum(np.abs(actual)) for q in (0.2, 0.5)]
    assert task.metrics["wql"](Results(0.0, sure, references)) == pytest.approx(np.mean(each))
    with pytest.raises(ConfigError, match=r"expected 0\.5 among them"):
        make("quantile", levels=(0.1, 0.9))


def test_counts_only_for_a_negative_binomial():
    task, _, examples = make("negative-binomial", toy(counts=False))
    with pytest.raises(DataError, match=r"expected counts 0, 1, 2, ... for a negative binomial, got -?\d"):
        task.collate(examples[:4])
    with pytest.raises(ConfigError, match=r"expected no loss\.class_weights, got balanced"):
        make(class_weights="balanced")


# Baselines -----------------------------------------------------------------------------------------------------------


def test_naive_forecasts_by_definition():
    data = toy()
    _, adapter, examples = make(data=data)
    answers = baselines(adapter, examples, examples)
    assert list(answers) == ["naive", "seasonal-naive", "linear"]
    for row, example in enumerate(examples):
        series, origin = examples.place(row)
        past = data.values[series][max(0, origin - 10) : origin]
        for k in range(2):
            seen = np.flatnonzero(~np.isnan(past[:, k]))
            naive = [answer[k] for answer in answers["naive"][row].value]
            np.testing.assert_allclose(naive, [past[seen[-1], k]] * 3, rtol=1e-5)
            for step in range(3):
                same = [t for t in seen if (len(past) + step - t) % 4 == 0]
                expected = past[same[-1], k] if same else past[seen[-1], k]
                assert answers["seasonal-naive"][row].value[step][k] == pytest.approx(expected, rel=1e-5)
        np.testing.assert_array_equal(answers["naive"][row].naive_error, example.input.naive_error)


def test_the_past_comes_back_in_the_units_of_the_data():
    data = toy()
    _, _, examples = make(data=data)
    series, origin = examples.place(0)
    np.testing.assert_allclose(context(examples[0].input, 2), data.values[series][origin - 10 : origin], rtol=1e-5)


def test_the_linear_forecast_is_least_squares():
    data = toy(gaps=False, lengths=(120, 90, 60))
    _, _, examples = make(data=data)
    weights = fit_linear(examples, 2, 10, 3)
    assert weights.shape == (2, 11, 3)
    for k in range(2):
        x = np.stack([example.input.past[:, k].astype(np.float64) for example in examples])
        y = np.stack([example.target[:, k].astype(np.float64) for example in examples]) - x[:, -1:]
        x = np.concatenate([x - x[:, -1:], np.ones((len(x), 1))], 1)
        # Ridge as rows more, that want each weight to be 0.
        ridge = np.diag([1.0] * 10 + [1e-3])
        expected, *_ = np.linalg.lstsq(np.concatenate([x, ridge]), np.concatenate([y, np.zeros((11, 3))]), rcond=None)
        np.testing.assert_allclose(weights[k], expected, atol=1e-8)


def test_the_linear_forecast_of_each_channel_is_that_of_it_alone():
    """Gaps of a channel's horizon leave out windows of that channel alone."""
    data = toy(lengths=(120, 90, 60))
    _, _, examples = make(data=data)
    weights = fit_linear(examples, 2, 10, 3)
    for k in range(2):
        x, y = [], []
        for example in examples:
            observed = example.input.past[:, 2 + k] > 0
            past = np.where(observed, example.input.past[:, k], np.nan).astype(np.float64)
            last = past[observed][-1] if observed.any() else 0.0
            row = np.zeros(11)
            row[10 - len(past) : 10], row[10] = np.where(observed, past - last, 0.0), 1.0
            if not np.isnan(example.target[:, k]).any():
                x.append(row)
                y.append(example.target[:, k].astype(np.float64) - last)
        assert 0 < len(x) < len(examples)
        x, y = np.array(x), np.array(y)
        expected = np.linalg.solve(x.T @ x + np.diag([1.0] * 10 + [1e-6]), x.T @ y)
        np.testing.assert_allclose(weights[k], expected, rtol=1e-9, atol=1e-11)


def test_the_linear_forecast_goes_on_with_a_straight_line_and_with_a_season():
    t = np.arange(200.0)
    values = np.stack([3 * t + 7, 50 + 10 * np.sin(np.pi / 2 * t)], 1)
    data = SeriesData([values], target_names=("line", "wave"), season=4)
    adapter = SeriesAdapter.fit(data, CONFIG)
    examples = adapter.encode(data)
    weights = fit_linear(examples, 2, 10, 3)
    for example, answer in zip(examples, linear(weights, examples, 2), strict=True):
        np.testing.assert_allclose(answer, example.reference, rtol=0.02, atol=0.5)


def test_without_a_season_or_training_windows_there_is_less():
    data = SeriesData([np.arange(40.0)[:, None]], season=1)
    adapter = SeriesAdapter.fit(data, SeriesConfig(context_length=10, horizon=3, season=1))
    examples = adapter.encode(data)
    assert list(baselines(adapter, [], examples)) == ["naive"]
    assert list(baselines(adapter, examples, examples)) == ["naive", "linear"]
