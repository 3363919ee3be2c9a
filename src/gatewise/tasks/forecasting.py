"""What comes next in a series: numbers, or what they may be, for each step of a horizon."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gatewise import metrics
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.errors import ConfigError, DataError
from gatewise.likelihoods import LEVELS, Likelihood, make_likelihood
from gatewise.models.config import ModelConfig, build
from gatewise.models.forecaster import Layout, WindowModel
from gatewise.tasks.collate import windows
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Example, Loss, Monitor, Outputs, Prediction, Results, Window

Arrays = Callable[[np.ndarray, np.ndarray], float]


def forecasting(config: LossConfig, adapter: SeriesAdapter) -> Task:
    """The task of forecasting series.

    Args:
        config: what the forecast says of a value, and which quantiles it tells.
        adapter: fitted on the training data.

    Returns:
        The task. ``Prediction.value`` is ``[h][K]``, in units of the data: the mean, or of quantiles and Student's t
        the median; its quantiles are those of ``loss.levels``. What is NaN in the references counts nowhere.

    Raises:
        ConfigError: a setting that forecasts have no use for.
    """
    check_loss(config, "forecasting", "distribution", "levels", "unit")
    likelihood = make_likelihood(config.distribution, config.levels or LEVELS)
    if likelihood.quantile is None and config.levels != LossConfig().levels:
        raise ConfigError(
            f'loss.levels: expected none with distribution "{likelihood.name}", got {config.levels}. It forecasts a '
            'number alone; take "quantile" for levels.'
        )
    if 0.5 not in (config.levels or LEVELS):
        raise ConfigError(
            f"loss.levels: expected 0.5 among them, whose value is the forecast itself, got {config.levels}. Add it."
        )
    if config.unit != "window" and not likelihood.power:
        raise ConfigError(
            f'loss.unit: expected "window" with distribution "{likelihood.name}", got "{config.unit}". It is for '
            "squared, absolute and quantile."
        )
    unit = torch.tensor(adapter.std, dtype=torch.float64) if config.unit == "channel" else None

    def build_model(model: ModelConfig) -> nn.Module:
        return WindowModel(build(model, {"layout": layout_of(adapter), "likelihood": likelihood}))  # type: ignore[arg-type]

    def collate(examples: Sequence[Example]) -> Batch:
        if likelihood.name == "negative-binomial":
            _check_counts(examples)
        return windows(examples)

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        window = batch.inputs
        units = None if unit is None else unit.to(window.scale.device)
        return likelihood.loss(outputs.scores, batch.targets, window.loc, window.scale, units)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        return _predictions(likelihood, model, batch, outputs)

    probabilistic = likelihood.quantile is not None
    measures: dict[str, Callable[[Results], float]] = {
        "mse": _of_observed(metrics.mse),
        "mae": _of_observed(metrics.mae),
        "scaled_mse": _scaled(metrics.mse, adapter),
        "scaled_mae": _scaled(metrics.mae, adapter),
        "smape": _of_observed(metrics.smape),
        "mase": mase,
        "rse": _last_step(metrics.relative_error),
    }
    monitor = {"squared": "scaled_mse", "absolute": "scaled_mae", "huber": "scaled_mae"}
    return Task(
        name="forecasting",
        collate=collate,
        build=build_model,
        loss=loss,
        predict=predict,
        references=lambda batch: [] if batch.references is None else [one.tolist() for one in batch.references],
        metrics={**measures, "wql": partial(wql, levels=likelihood.levels)} if probabilistic else measures,
        monitor=Monitor(monitor.get(likelihood.name, "wql"), "min"),
    )


def layout_of(adapter: SeriesAdapter) -> Layout:
    """The sizes that the data decide."""
    return Layout(
        num_channels=adapter.num_channels,
        context_length=adapter.context_length,
        horizon=adapter.horizon,
        past_size=adapter.input_size,
        future_size=adapter.future_size,
        static_size=adapter.static_size,
        season=adapter.season,
    )


def _predictions(likelihood: Likelihood, model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
    window: Window = batch.inputs
    loc, scale = (part.double()[:, None] for part in (window.loc, window.scale))  # [B, 1, K]
    parameters = outputs.scores.to(torch.promote_types(outputs.scores.dtype, torch.float32))
    values = likelihood.point(parameters, loc, scale)
    told = _quantiles(likelihood, model, batch, parameters, loc, scale)
    answers = (values.double() * scale + loc).cpu().numpy()
    bands = [(level, (band.double() * scale + loc).cpu().numpy()) for level, band in told]
    naive = [None] * len(answers) if window.naive_error is None else window.naive_error.cpu().numpy()
    return [
        Prediction(
            answer.tolist(),
            quantiles=[(level, band[row].astype(np.float32)) for level, band in bands] or None,
            naive_error=naive[row],
        )
        for row, answer in enumerate(answers)
    ]


def _quantiles(
    likelihood: Likelihood, model: nn.Module, batch: Batch, parameters: Tensor, loc: Tensor, scale: Tensor
) -> list[tuple[float, Tensor]]:
    """Level and scaled values ``[B, h, K]`` of each; none of a point forecast."""
    if likelihood.quantile is None:
        return []
    levels = torch.tensor(likelihood.levels, device=parameters.device, dtype=parameters.dtype)
    forecaster = _inner(model)
    if forecaster.draws:
        bands = of_paths(forecaster.sample(batch.inputs, batch.lengths).to(levels.dtype), likelihood.levels)
    else:
        wanted = levels.expand(*parameters.shape[:-1], len(levels))
        bands = likelihood.quantile(parameters, wanted, loc, scale).movedim(-1, 0)
    return list(zip(likelihood.levels, bands, strict=True))


def of_paths(paths: Tensor, levels: Sequence[float]) -> Tensor:
    """Quantiles ``[Q, ...]`` of draws ``[N, ...]``, on straight lines between neighbours (numpy's default).

    torch's own function refuses more than 16 million numbers.
    """
    ascending = paths.sort(0).values
    places = [level * (len(paths) - 1) for level in levels]
    after = [min(int(place) + 1, len(paths) - 1) for place in places]
    return torch.stack(
        [
            torch.lerp(ascending[int(place)], ascending[following], place - int(place))
            for place, following in zip(places, after, strict=True)
        ]
    )


def _inner(model: nn.Module) -> Any:
    """The forecaster, whatever it is wrapped in."""
    return next(part for part in model.modules() if hasattr(part, "draws"))


def _check_counts(examples: Sequence[Example]) -> None:
    for example in examples:
        if example.reference is None:
            continue
        values = np.asarray(example.reference)
        wrong = values[(values < 0) | (np.abs(values - np.round(values)) > 1e-6 * np.maximum(1, np.abs(values)))]
        if len(wrong):
            raise DataError(
                f"forecasting: expected counts 0, 1, 2, ... for a negative binomial, got {wrong[0]:g}. "
                'Take loss.distribution "student-t" or "quantile".'
            )


# Metrics -------------------------------------------------------------------------------------------------------------


def _arrays(results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Values and references, ``[N, h, K]`` float64."""
    values = np.asarray([prediction.value for prediction in results.predictions], dtype=np.float64)
    return values, np.asarray(results.references, dtype=np.float64)


def _masked(metric: Arrays, values: np.ndarray, references: np.ndarray) -> float:
    observed = ~np.isnan(references)
    return metric(values[observed], references[observed]) if observed.any() else float("nan")


def _of_observed(metric: Arrays) -> Callable[[Results], float]:
    """Over all observed values alike."""
    return lambda results: _masked(metric, *_arrays(results))


def _scaled(metric: Arrays, adapter: SeriesAdapter) -> Callable[[Results], float]:
    """In units of each channel's deviation in the training data, as long-horizon benchmarks report it."""

    def measure(results: Results) -> float:
        deviation = np.asarray(adapter.std, dtype=np.float64)
        values, references = _arrays(results)
        return _masked(metric, values / deviation, references / deviation)

    return measure


def _last_step(metric: Arrays) -> Callable[[Results], float]:
    """Of the last step of the horizon alone."""

    def measure(results: Results) -> float:
        values, references = _arrays(results)
        return _masked(metric, values[:, -1], references[:, -1])

    return measure


def mase(results: Results) -> float:
    """Of the forecasts that know the naive error of their series; NaN without any."""
    known = [row for row, prediction in enumerate(results.predictions) if prediction.naive_error is not None]
    if not known:
        return float("nan")
    values, references = _arrays(results)
    errors = np.stack([np.asarray(results.predictions[row].naive_error) for row in known])
    return metrics.mase(values[known], references[known], errors)


def wql(results: Results, levels: Sequence[float] = LEVELS) -> float:
    """Of the quantiles; an answer without any (a baseline) is sure of itself: each of its ``levels`` is the same."""
    values, references = _arrays(results)
    first = results.predictions[0].quantiles
    if first is None:
        bands = [(level, values) for level in levels]
    else:
        each = [prediction.quantiles or () for prediction in results.predictions]
        bands = [(level, np.stack([one[q][1] for one in each])) for q, (level, _) in enumerate(first)]
    return metrics.weighted_quantile_loss(bands, references, observed=~np.isnan(references))
