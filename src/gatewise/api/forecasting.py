"""Forecasts of a trained run: the future of series, how well it would have done until now, and series that grow."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.calendar import DAY, UNITS, parse_step
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.series_files import file_of
from gatewise.data.series_split import cut_in_time
from gatewise.data.series_windows import Windows, origins_of
from gatewise.errors import DataError, OptionError, RunError
from gatewise.tasks import SIDES
from gatewise.tasks.baselines import baselines
from gatewise.training.evaluate import OnBatch, measure, run_model
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads
from gatewise.types import Prediction, Results

if TYPE_CHECKING:
    import polars as pl

    from gatewise.api.run import Run

OnNote = Callable[[str], None]
MOST_STEPS = 100_000  # of a forecast: what a model could be trained for
LAST_DATE = np.datetime64("2262-01-01")  # that nanoseconds since 1970 reach, to the year


def forecast(
    run: "Run", data: Any = None, *, horizon: int | None = None, on_note: OnNote | None = None
) -> "pl.DataFrame":
    """What comes after the end of each series.

    A longer horizon than the model was trained for is reached by going on from its own forecasts: its values (median or
    mean) are taken as if they had been observed, so that the bands of later steps are too narrow.

    Args:
        run: of a forecasting.
        data: as in :func:`gatewise.train`; default: what the run was trained on.
        horizon: steps; None for as many as it was trained for.
        on_note: told what a user should know; None warns.

    Returns:
        A row for each series and step: ``series`` (where there are several, or names), ``time`` or ``step``, each
        channel, and its quantiles ``<channel>_q10`` where the model gives any.

    Raises:
        RunError: the run forecasts nothing, or its training data are not there.
        OptionError: a horizon below 1, beyond 100,000, or after the last date that can be told (in 2262).
        DataError: the data cannot be read or do not fit, or what is known ahead ends before the horizon.
    """
    import polars as pl

    adapter = _adapter(run)
    read = _read(run, data)
    predictions = _future(run, read, adapter.horizon if horizon is None else horizon, on_note or _warn)
    places = np.stack([np.arange(len(read)), read.lengths], axis=1)
    return pl.DataFrame(adapter.table(read, places, predictions))


def _future(run: "Run", data: SeriesData, horizon: int, on_note: OnNote) -> list[Prediction]:
    """One forecast of so many steps a series."""
    if horizon < 1:
        raise OptionError(f"horizon: expected at least 1, got {horizon}.")
    if horizon > MOST_STEPS:
        raise OptionError(f"horizon: expected at most {MOST_STEPS:,} steps, got {horizon:,}. Forecast fewer.")
    adapter = _adapter(run)
    _check_ahead(adapter, data, horizon, on_note)
    _check_calendar(adapter, data, horizon)
    if horizon > adapter.horizon:
        on_note(
            f"The model was trained for {adapter.horizon} steps; from step {adapter.horizon + 1} on it goes on from "
            "its own forecasts, and bands are too narrow"
        )
    parts: list[list[Prediction]] = []
    grown = data
    while (done := sum(_steps(part) for part in parts)) < horizon:
        answers = answer(run, adapter.encode_future(_padded(adapter, grown))).predictions
        parts.append([_cut(one, horizon - done) for one in answers])
        values = [np.asarray(one.value, dtype=np.float64) for one in answers]
        ends = [len(part) for part in grown.values]
        times = [adapter.times(grown, i, end + adapter.horizon)[end:] for i, end in enumerate(ends)]
        grown = grown.extended(values, times=times)
    return [_one_after_another([part[i] for part in parts]) for i in range(len(data))]


def _check_calendar(adapter: SeriesAdapter, data: SeriesData, horizon: int) -> None:
    """Raises OptionError where a forecast would go on beyond the last date that nanoseconds count to."""
    step = data.step or adapter.step
    if data.times is None or step is None or data.times[0].dtype.kind != "M":
        return
    count, unit = parse_step(step)
    days = count * {"mo": 31, "me": 31, "b": 1.4}.get(unit, UNITS.get(unit, 0) / DAY)
    left = LAST_DATE - max(times[-1] for times in data.times).astype("datetime64[D]")
    if horizon * days > left.astype(np.int64):  # beyond, the numbers wrap around to 1677
        raise OptionError(
            f"horizon: expected a forecast that ends before {LAST_DATE}, got {horizon:,} steps ({adapter.frequency}). "
            "Forecast fewer."
        )


def _check_ahead(adapter: SeriesAdapter, data: SeriesData, horizon: int, on_note: OnNote) -> None:
    empty = total = 0
    for index, known in enumerate(data.future or ()):
        missing = np.isnan(known[len(data.values[index]) :][:horizon])
        empty, total = empty + int(missing.sum()), total + missing.size
        if len(missing) and (columns := np.flatnonzero(missing.all(0))).size:
            raise DataError(
                f"{data.where(index)}: expected {adapter.future.names[columns[0]]} to be known after the last value, "
                "got only missing values. Fill it in."
            )
        if (ahead := len(known) - len(data.values[index])) < horizon:
            raise DataError(
                f"{data.where(index)}: expected {horizon} rows after the last value with "
                f"{', '.join(adapter.future.names)}, got {ahead}. What is known ahead has to reach as far as the "
                "forecast."
            )
    if empty:
        on_note(f"{empty:,} of {total:,} values known ahead ({', '.join(adapter.future.names)}) are missing")


def _padded(adapter: SeriesAdapter, data: SeriesData) -> SeriesData:
    """With rows of missing values where a last block reaches beyond what was asked for, and so what is known ahead."""
    if data.future is None:
        return data
    lacking = [
        max(0, len(values) + adapter.horizon - len(known))
        for values, known in zip(data.values, data.future, strict=True)
    ]
    more = [np.full((rows, len(data.future_names)), np.nan) for rows in lacking]
    return replace(data, future=[np.concatenate(pair) for pair in zip(data.future, more, strict=True)])


def _steps(predictions: Sequence[Prediction]) -> int:
    return len(predictions[0].value)


def _cut(prediction: Prediction, steps: int) -> Prediction:
    bands = prediction.quantiles
    cut = None if bands is None else [(level, band[:steps]) for level, band in bands]
    return prediction._replace(value=prediction.value[:steps], quantiles=cut)


def _one_after_another(parts: Sequence[Prediction]) -> Prediction:
    values = [row for part in parts for row in part.value]
    if parts[0].quantiles is None:
        return parts[0]._replace(value=values)
    bands = [
        (level, np.concatenate([np.asarray((part.quantiles or ())[i][1]) for part in parts]))
        for i, (level, _) in enumerate(parts[0].quantiles)
    ]
    return parts[0]._replace(value=values, quantiles=bands)


def answer(run: "Run", windows: Windows, *, on_batch: OnBatch | None = None) -> Results:
    """The model's forecasts of windows."""
    settings = replace(run.config.train, device=run.device)
    fabric = make_fabric(settings, distributed=False)
    model = fabric.setup_module(run._batch_model).eval()  # Fabric's wrapper begins in training mode
    with cpu_threads(run.threads or settings.threads or 1):
        return run_model(
            run.task,
            model,
            windows,
            fabric=fabric,
            batch_size=2 * settings.batch_size,
            on_batch=on_batch or (lambda windows: None),
        )


@dataclass(frozen=True)
class Backtest:
    """How well a run and the forecasts that cost nothing would have done.

    Attributes:
        windows: how many were forecast.
        horizon: steps of each.
        metrics: by ``"model"`` and baseline, the metrics of the task.
        verdict: which of them the model beats, in words.
        notes: what a user should know, a sentence each.
        forecasts: the model's own, a row for each window and step, as :func:`forecast` gives them.
    """

    windows: int
    horizon: int
    metrics: Mapping[str, Mapping[str, float]]
    verdict: str
    notes: tuple[str, ...]
    forecasts: "pl.DataFrame"

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON; without the forecasts."""
        return asdict(replace(self, forecasts=None))  # type: ignore[arg-type]


def backtest(
    run: "Run", data: Any = None, *, windows: int = 20, stride: int = 1, on_batch: OnBatch | None = None
) -> Backtest:
    """Forecasts again what is known by now, from one origin after another, beside the naive and linear forecasts.

    Args:
        run: of a forecasting.
        data: as in :func:`gatewise.train`; default: the run's test file, else what it was trained on.
        windows: most origins of each series, counted from its end.
        stride: steps from one origin to the next (a rolling origin: Tashman 2000).
        on_batch: told how many windows were done.

    Returns:
        Metrics of all, and in words whether the model beats the others.

    Raises:
        RunError: the run forecasts nothing.
        OptionError: windows or stride below 1.
        DataError: the data cannot be read or do not fit, or no series is long enough for a window.
    """
    import polars as pl

    if windows < 1 or stride < 1:
        raise OptionError(f"windows, stride: expected at least 1, got {windows} and {stride}.")
    adapter = _adapter(run)
    read = _read(run, run.config.data.test if data is None else data)
    adapter.encode(read)  # what does not fit, and a series that is too short, is told in one place
    firsts = read.firsts
    origins = [origins_of(values, firsts[i], adapter.shape) for i, values in enumerate(read.values)]
    chosen = [part[::-1][::stride][:windows][::-1] for part in origins]
    places = np.array([(i, origin) for i, part in enumerate(chosen) for origin in part.tolist()], dtype=np.int64)
    examples = adapter.at(read, places)
    results = answer(run, examples, on_batch=on_batch)
    notes = _overlap(run, read, places)
    train, why_not = _training_windows(run)
    others = baselines(adapter, train, examples)
    metrics = {"model": measure(run.task, results)}
    for name, predictions in others.items():
        metrics[name] = measure(run.task, Results(float("nan"), predictions, results.references))
    return Backtest(
        len(examples),
        adapter.horizon,
        {name: _without(measured, "count", "loss") for name, measured in metrics.items()},
        verdict(metrics, run.task.monitor.metric),
        (*notes, *why_not),
        pl.DataFrame(adapter.table(read, places, results.predictions)),
    )


def verdict(metrics: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """Whether ``"model"`` has a smaller error than each of the others, in words.

    >>> verdict({"model": {"mae": 2.0}, "naive": {"mae": 3.0}, "linear": {"mae": 1.5}}, "mae")
    'The model does not beat the linear forecast (mae 2 to 1.5); it beats the naive one (3).'
    """
    own = metrics["model"][metric]
    others = {name.replace("-", " "): measured[metric] for name, measured in metrics.items() if name != "model"}
    worse = [f"the {name} one ({value:.4g})" for name, value in others.items() if value > own]
    better = [name for name, value in others.items() if not value > own]
    if not better:
        return f"The model ({metric} {own:.4g}) beats {_listed(worse).replace(' one (', ' forecast (', 1)}."
    first, *more = better
    told = f"The model does not beat the {first} forecast ({metric} {own:.4g} to {others[first]:.4g})"
    told += "".join(f", nor the {name} one ({others[name]:.4g})" for name in more)
    return f"{told}; it beats {_listed(worse)}." if worse else f"{told}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _without(metrics: Mapping[str, float], *names: str) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in names}


def _overlap(run: "Run", data: SeriesData, places: np.ndarray) -> list[str]:
    """Says how many of these steps the model has learnt from: a backtest on them flatters it."""
    config = run.config.data
    if config.train is None or Path(file_of(config.train)).resolve() != Path(file_of(data.source)).resolve():
        return []
    learnt_from = _read(run, None)  # of the same file, so that steps count alike
    in_time = config.valid is None and config.valid_fraction > 0 and config.split in ("auto", "time")
    in_time = in_time and (config.split == "time" or data.groups is None)
    train = cut_in_time(learnt_from, config)[0] if in_time else learnt_from
    ends = dict(zip(_names(train), train.lengths.tolist(), strict=True))  # parts may hold other series
    names = _names(data)
    learnt = sum(origin < ends.get(names[series], 0) for series, origin in places.tolist())
    if not learnt:
        return []
    return [f"{learnt:,} of {len(places):,} windows forecast steps that the model has learnt from: too hopeful"]


def _names(data: SeriesData) -> Sequence[Any]:
    """What each series is known by: its name, or else its position."""
    return range(len(data)) if data.ids is None else data.ids


def _training_windows(run: "Run") -> tuple[Any, tuple[str, ...]]:
    """What the linear forecast is fitted on, or why it is left out."""
    try:
        return run._prepared_again().train, ()
    except (RunError, DataError) as error:
        return [], (f"no linear forecast: {str(error).rstrip('.')}",)


class LiveForecast:
    """Series that grow: what is observed is pushed, and what comes is asked for at any time.

    Only what a forecast looks back on is kept where the series have times; the answers are those of the whole series.

    Args:
        run: of a forecasting.
        data: the series until now, as in :func:`gatewise.train`.

    Example:
        live = LiveForecast(run, "load.csv")
        live.push([412.0])
        live.forecast()
    """

    def __init__(self, run: "Run", data: Any) -> None:
        self._run = run
        self._adapter = _adapter(run)
        self._data = self._shortened(_read(run, data))

    def push(self, values: Any, *, series: int = 0, past: Any = None, future: Any = None) -> None:
        """Adds steps to the end of a series.

        Args:
            values: ``[K]`` of one step, or ``[n, K]``; NaN where unobserved.
            series: its position.
            past: ``[P]`` or ``[n, P]``: covariates known until now; without them they are missing.
            future: ``[F]`` or ``[m, F]``: more rows of what is known ahead, after those that are known already.

        Raises:
            DataError: another number of channels or covariates.
        """
        data = self._data
        if not 0 <= series < len(data):
            raise OptionError(f"series: expected 0 to {len(data) - 1}, got {series}.")
        more = _rows(values, data.target_names, "values")
        beside = None if past is None else _rows(past, data.past_names, "past")
        ahead = np.zeros((0, len(data.future_names))) if future is None else _rows(future, data.future_names, "future")
        if beside is not None and len(beside) != len(more):
            raise DataError(f"past: expected {len(more)} rows as of values, got {len(beside)}.")
        if np.isinf(more).any():
            raise DataError("values: expected finite numbers, or NaN where nothing was observed, got an infinite one.")
        end = len(data.values[series])
        following = self._adapter.times(data, series, end + len(more))[end:]

        def at(rows: np.ndarray) -> list[np.ndarray]:
            return [rows if i == series else rows[:0] for i in range(len(data))]

        missing = np.full((len(more), len(data.past_names)), np.nan)
        grown = data.extended(
            at(more), times=at(following), past=at(missing if beside is None else beside), future=at(ahead)
        )
        self._data = self._shortened(grown)

    def forecast(self, horizon: int | None = None) -> "pl.DataFrame":
        """What comes after the last step that was pushed; see :func:`forecast`."""
        return forecast(self._run, self._data, horizon=horizon)

    def _shortened(self, data: SeriesData) -> SeriesData:
        """Without what no forecast looks back on; where steps are counted they would be counted anew."""
        if data.times is None or self._adapter.scale == "series":
            return data
        return data.last(self._adapter.context_length)


def _rows(values: Any, names: Sequence[str], what: str) -> np.ndarray:
    """``[n, K]`` float64."""
    rows = np.atleast_1d(np.asarray(values, dtype=np.float64))
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise DataError(f"{what}: expected [{len(names)}] or [n, {len(names)}] numbers, got shape {np.shape(values)}.")
    return rows


def _adapter(run: "Run") -> SeriesAdapter:
    if not isinstance(run.adapter, SeriesAdapter):
        raise RunError(f"{run.path}: expected a forecasting, got a run of {run.config.task}. Train one.")
    return run.adapter


def _read(run: "Run", data: Any) -> SeriesData:
    """Series as read with the run's columns; those that it was trained on, where none are given."""
    if data is None:
        data = run.config.data.train
    if data is None:
        raise RunError(f"{run.path}: expected data, got none, and the run was trained on data in memory. Give them.")
    found = SIDES[run.config.task].read(data, None, run.config.data, run.adapter, False)
    assert isinstance(found, SeriesData)
    return replace(found, targets=())


def _warn(note: str) -> None:
    warnings.warn(f"{note}.", stacklevel=5)  # at the line that calls Run.forecast
