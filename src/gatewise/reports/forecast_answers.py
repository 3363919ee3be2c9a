"""Forecasts of windows as arrays, beside those of the baselines: what the report of a forecasting shows, in numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.series_windows import Windows
from gatewise.reports.content import Measured, Report
from gatewise.reports.words import number
from gatewise.tasks import TASKS
from gatewise.tasks.baselines import BLOCK, baselines, fit_linear, linear
from gatewise.types import Prediction, Results

MODEL = "model"
FITTED = 1e10  # multiplications of the linear baseline's fit: with more, windows are left out


@dataclass(frozen=True)
class Answers:
    """What the model and the baselines said of each window, in units of the data.

    Attributes:
        data: the series.
        names: the ``K`` channels.
        std: ``[K]``, deviations in the training data.
        places: ``[N, 2]`` series and first step to be forecast.
        references: ``[N, h, K]``, NaN where unobserved.
        forecasts: ``"model"`` and each baseline, ``[N, h, K]``.
        levels: of the quantiles; none of a forecast of numbers alone.
        quantiles: ``[Q, N, h, K]``.
        naive_errors: ``[N, K]``, NaN if unknown.
        metrics: by forecast and name.
        monitor: the metric by which the best epoch was chosen; smaller is better.
        fitted_on: every so many windows of the training data were used to fit the linear baseline.
    """

    data: SeriesData
    names: tuple[str, ...]
    std: np.ndarray
    places: np.ndarray
    references: np.ndarray
    forecasts: Mapping[str, np.ndarray]
    levels: tuple[float, ...]
    quantiles: np.ndarray
    naive_errors: np.ndarray
    metrics: Mapping[str, Mapping[str, float]]
    monitor: str
    fitted_on: int

    @property
    def horizon(self) -> int:
        """``h``."""
        return int(self.references.shape[1])

    @property
    def best_baseline(self) -> str | None:
        """The baseline with the smallest error, as ``monitor`` has it; None where that is not defined."""
        found = {name: self.metrics[name][self.monitor] for name in self.forecasts if name != MODEL}
        known = {name: value for name, value in found.items() if np.isfinite(value)}
        return min(known, key=known.__getitem__) if known else None

    @property
    def better(self) -> list[str]:
        """Baselines that the model does not beat, the best first."""
        own = self.metrics[MODEL][self.monitor]
        found = {name: self.metrics[name][self.monitor] for name in self.forecasts if name != MODEL}
        return sorted((name for name, value in found.items() if not value > own), key=found.__getitem__)

    def errors(self, name: str = MODEL) -> np.ndarray:
        """``[N, h, K]`` forecast less what happened; NaN where that was not observed."""
        return np.asarray(self.forecasts[name] - self.references)

    @property
    def bands(self) -> list[tuple[float, int, int]]:
        """What each band should hold, and which levels are its ends; the widest first."""
        levels, count = self.levels, len(self.levels)
        return [(levels[count - 1 - q] - levels[q], q, count - 1 - q) for q in range(count // 2)]

    def series_name(self, series: int) -> str:
        """The name of a series, or its number from 0."""
        return f"series {series}" if self.data.ids is None else str(self.data.ids[series])


def answers_of(report: Report, measured: Measured) -> Answers:
    """Gathers the model's answers, and forecasts the same windows by the baselines; worked out once for each set.

    The linear baseline is fitted by least squares on the training windows: nothing else is fitted here.
    """
    found = measured.memo.get("answers")
    if not isinstance(found, Answers):
        found = measured.memo["answers"] = _answers(report, measured)
    return found


def _answers(report: Report, measured: Measured) -> Answers:
    adapter: SeriesAdapter = report.adapter
    predictions = measured.results.predictions
    references = np.asarray(measured.results.references, dtype=np.float64)
    windows, learnt = adapter.encode(measured.data), adapter.encode(report.train_data)
    every = _stride(len(learnt), adapter)
    others = _forecast_again(adapter, adapter.at(report.train_data, learnt.places[::every]), windows)
    forecasts = {MODEL: _values(predictions), **others}
    task = TASKS[report.config.task](report.config.loss, adapter)
    monitor = task.monitor.metric
    wanted = [monitor, *(name for name in measured.metrics if name in task.metrics and name != monitor)]
    rows = list(references)
    naive_errors = [one.naive_error for one in predictions]
    metrics = {MODEL: {name: measured.metrics[name] for name in wanted}}
    for name in others:
        said = [Prediction(value, naive_error=unit) for value, unit in zip(forecasts[name], naive_errors, strict=True)]
        results = Results(float("nan"), said, rows)  # arrays in the place of lists: much is measured
        metrics[name] = {metric: task.metrics[metric](results) for metric in wanted}
    levels = tuple(level for level, _ in predictions[0].quantiles or ())
    quantiles = [
        np.stack([np.asarray((one.quantiles or ())[q][1], dtype=np.float64) for one in predictions])
        for q in range(len(levels))
    ]
    unknown = np.full(adapter.num_channels, np.nan)
    return Answers(
        data=measured.data,
        names=adapter.names,
        std=np.array(adapter.std),
        places=windows.places,
        references=references,
        forecasts=forecasts,
        levels=levels,
        quantiles=np.stack(quantiles) if quantiles else np.zeros((0, *references.shape)),
        naive_errors=np.array([unknown if unit is None else unit for unit in naive_errors], dtype=np.float64),
        metrics=metrics,
        monitor=monitor,
        fitted_on=every,
    )


def _stride(windows: int, adapter: SeriesAdapter) -> int:
    """So that the fit takes a few seconds at most; its cost is that of one product of all windows."""
    cost = windows * adapter.num_channels * (adapter.context_length + 1) * (adapter.context_length + adapter.horizon)
    return max(1, int(np.ceil(cost / FITTED)))


def _forecast_again(adapter: SeriesAdapter, learnt: Windows, windows: Windows) -> dict[str, np.ndarray]:
    """The baselines' forecasts ``[N, h, K]``: each window is cut once for all of them."""
    channels = adapter.num_channels
    fitted = fit_linear(learnt, channels, adapter.context_length, adapter.horizon)
    blocks = []
    for start in range(0, len(windows), BLOCK):
        examples = windows[start : start + BLOCK]
        naive = {name: _values(said) for name, said in baselines(adapter, [], examples).items()}
        blocks.append({**naive, "linear": np.stack(linear(fitted, examples, channels))})
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _values(predictions: Sequence[Prediction]) -> np.ndarray:
    return np.array([one.value for one in predictions], dtype=np.float64)


def mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def by_step(answers: Answers) -> dict[str, np.ndarray]:
    """Mean absolute error of each forecast at each step of the horizon, ``[h]``.

    In units of the data; of several channels in those of their deviations.
    """
    unit = answers.std if len(answers.names) > 1 else 1.0
    return {name: mean(np.abs(answers.errors(name)) / unit, axis=(0, 2)) for name in answers.forecasts}


def window_errors(answers: Answers) -> np.ndarray:
    """``[N, K]`` mean absolute error of the model, to compare windows of unequal series and channels.

    In units of the naive error of each; of the channel's deviation, where the naive error of any is not known.
    """
    errors = mean(np.abs(answers.errors()), axis=1)
    known = np.isfinite(answers.naive_errors) & (answers.naive_errors > 0)
    return np.asarray(errors / (answers.naive_errors if known.all() else answers.std))


def below(answers: Answers) -> np.ndarray:
    """``[Q]`` how often what happened was not above each quantile."""
    observed = ~np.isnan(answers.references)
    return np.array([np.mean((answers.references <= band)[observed]) for band in answers.quantiles])


def inside(answers: Answers, low: int, high: int) -> np.ndarray:
    """``[N, h, K]`` 1 where what happened lay between two quantiles, 0 where not, NaN where unobserved."""
    actual, bands = answers.references, answers.quantiles
    return np.where(np.isnan(actual), np.nan, (actual >= bands[low]) & (actual <= bands[high]))


def chosen_windows(answers: Answers, context: int, *, most: int = 12) -> dict[str, list[tuple[int, int]]]:
    """Windows and channels to draw: with the largest errors, in the middle, with the smallest, and with gaps.

    None is drawn twice, and none of a kind overlaps another of the same series and channel.

    Args:
        answers: of all windows.
        context: steps that are drawn before each.
        most: drawn at most.
    """
    errors = window_errors(answers)
    places = np.argwhere(np.isfinite(errors))
    order = places[np.argsort(errors[tuple(places.T)], kind="stable")]  # the smallest first
    middle = order[np.argsort(np.abs(np.arange(len(order)) - (len(order) - 1) / 2), kind="stable")]
    gaps = [place for place in middle if _has_gaps(answers, place, context)]
    kinds: dict[str, Iterable[np.ndarray]] = {
        "The largest errors": order[::-1],
        "In the middle": middle,
        "The smallest errors": order[: len(order) // 2],
        "With missing values": gaps,
    }
    each = most // (4 if gaps else 3)
    taken: list[tuple[int, int]] = []
    found = {}
    for kind, candidates in kinds.items():
        found[kind] = _apart(answers, candidates, taken, each)
        taken += found[kind]
    return found


def _apart(
    answers: Answers, order: Iterable[np.ndarray], taken: Sequence[tuple[int, int]], count: int
) -> list[tuple[int, int]]:
    """The first so many that are not taken, and of which no two forecast the same step."""
    found: list[tuple[int, int]] = []
    for place in order:
        if len(found) == count:
            break
        window, channel = place.tolist()
        series, origin = answers.places[window].tolist()
        others = [answers.places[n].tolist() for n, k in found if k == channel]
        apart = all(other != series or abs(start - origin) >= answers.horizon for other, start in others)
        if apart and (window, channel) not in taken:
            found.append((window, channel))
    return found


def _has_gaps(answers: Answers, place: np.ndarray, context: int) -> bool:
    window, channel = place.tolist()
    series, origin = answers.places[window].tolist()
    seen = answers.data.values[series][max(0, origin - context) : origin + answers.horizon, channel]
    return bool(np.isnan(seen).any())


def verdict(answers: Answers, metric: str) -> str:
    """Whether the model beats the baselines, in words; ``metric`` is what the monitored one is called."""
    own, better = answers.metrics[MODEL][answers.monitor], answers.better
    others = [name for name in answers.forecasts if name != MODEL]
    told = {name: f"{number(answers.metrics[name][answers.monitor])}" for name in others}
    if not np.isfinite(own):
        return f"The model's {metric} is not a number, so it cannot be compared with the baselines."
    if not better:
        listed = ", ".join(f"{named(name)} {told[name]}" for name in others)
        return f"The model beats every baseline: its {metric} is {number(own)} ({listed})."
    listed = _and([f"{named(name)} ({told[name]})" for name in better])
    beaten = [f"{named(name)} ({told[name]})" for name in others if name not in better]
    verb = "baseline is" if len(better) == 1 else "baselines are"
    rest = f"; it beats {_and(beaten)}" if beaten else ""
    return f"The {listed} {verb} better: the model's {metric} is {number(own)}{rest}."


def named(name: str) -> str:
    """A forecast's name as a reader writes it."""
    return name.replace("-", " ")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
