"""`SeriesAdapter`: windows of series: what came before, and the steps that are to be forecast."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gatewise.data.calendar import calendar_features, cycles_of, frequency_of, moments_after
from gatewise.data.dataset import default_channels
from gatewise.data.record import record
from gatewise.data.series import SeriesData
from gatewise.data.series_windows import (
    Cutter,
    Prepared,
    Windows,
    WindowShape,
    moments,
    origins_of,
    thinned,
)
from gatewise.errors import DataError
from gatewise.types import Prediction, Results

if TYPE_CHECKING:
    from gatewise.data.config import SeriesConfig

LONGEST_DEFAULT = 512  # steps that a forecast looks back on where nobody says
SHORTEST_HORIZON = 6
_SAMPLED = 1000  # windows whose deviation is looked at


@dataclass(frozen=True)
class Covariates:
    """Columns beside the values, scaled to mean 0 and deviation 1; a missing value becomes the mean."""

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, names: tuple[str, ...], columns: Sequence[np.ndarray] | None, source: str) -> "Covariates":
        """Measures columns ``[T, P]`` of each series."""
        if columns is None:
            return cls()
        mean, std = _mean_and_std(np.concatenate(columns), names, source)
        return cls(names, tuple(mean.tolist()), tuple(std.tolist()))

    def encode(self, columns: np.ndarray) -> np.ndarray:
        """``[T, P]`` float32."""
        scaled = (columns - np.array(self.mean)) / np.array(self.std)
        return np.asarray(np.nan_to_num(scaled, nan=0.0), dtype=np.float32)


@dataclass(frozen=True)
class Static:
    """One column that does not change within a series: a number, or one of ``classes`` (one-hot; zeros if unknown)."""

    name: str
    classes: tuple[str, ...] | None = None
    mean: float = 0.0
    std: float = 1.0

    @property
    def size(self) -> int:
        """Numbers that stand for it."""
        return 1 if self.classes is None else len(self.classes)

    @classmethod
    def fit(cls, name: str, values: Sequence[float | str]) -> "Static":
        """Measures one value a series."""
        if any(isinstance(value, str) for value in values):
            return cls(name, tuple(sorted({str(value) for value in values} - {""})))
        known = np.array([value for value in values if not np.isnan(float(value))], dtype=np.float64)
        if not len(known):
            return cls(name)
        return cls(name, None, float(known.mean()), float(known.std()) or 1.0)

    def encode(self, value: float | str, where: str) -> list[float]:
        """The numbers that stand for a value."""
        if self.classes is not None:
            text = value if isinstance(value, str) else f"{value:g}"
            return [float(text == name) for name in self.classes]
        if isinstance(value, str) and value:
            raise DataError(
                f'{where}, column {self.name}: expected a number as in training, got "{value}". Correct it.'
            )
        number = float("nan") if value == "" else float(value)
        return [0.0 if np.isnan(number) else (number - self.mean) / self.std]


@dataclass(frozen=True)
class SeriesAdapter:
    """What was measured on the training part of the series, and how they are cut into windows.

    Attributes:
        names: the ``K`` channels to forecast.
        mean, std: of each over the training part; 1 for a channel that does not vary.
        typical: deviation of each in a window of the training part, in the middle of all.
        step: between two rows; None where they are only counted.
        season: steps of the main season.
        context_length: ``C``, steps that a forecast looks back on.
        horizon: ``h``, steps that it gives.
        scale: by what windows are scaled.
        stride: steps from one window to the next; None for as few as leave 20,000 windows.
        past, future: covariates known until now, and ahead.
        static: what does not change within a series.
        calendar: cycles of the calendar that are told.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    typical: tuple[float, ...]
    step: str | None
    season: int
    context_length: int
    horizon: int
    scale: Literal["window", "series", "channel", "none"] = "window"
    stride: int | None = None
    past: Covariates = Covariates()
    future: Covariates = Covariates()
    static: tuple[Static, ...] = ()
    calendar: tuple[str, ...] = ()

    @classmethod
    def fit(cls, data: SeriesData, config: "SeriesConfig") -> "SeriesAdapter":
        """Measures the training part.

        Args:
            data: training data as read; all of them are measured.
            config: what is asked for.

        Returns:
            The fitted adapter, everything decided that the settings leave open.

        Raises:
            DataError: no series, one with no value in a channel, or none with context and horizon.
        """
        if not len(data):
            raise DataError(f"{data.source}: expected series, got none. Check the file.")
        mean, std = _mean_and_std(np.concatenate(data.values), data.target_names, data.source)
        horizon = horizon_of(config, data.season)
        longest = int(data.lengths.max())
        context = config.context_length or _default_context(longest, data.season, horizon)
        if longest < context + horizon:
            raise _too_short(data, context, horizon)
        statics = data.static or [() for _ in data.values]
        typical = _typical(data.values, context, std)
        return cls(
            data.target_names,
            tuple(mean.tolist()),
            tuple(std.tolist()),
            tuple(typical.tolist()),
            data.step,
            data.season,
            context,
            horizon,
            config.scale,
            config.stride,
            Covariates.fit(data.past_names, data.past, data.source),
            Covariates.fit(data.future_names, _within(data), data.source),
            tuple(Static.fit(name, [row[i] for row in statics]) for i, name in enumerate(data.static_names)),
            cycles_of(data.step, longest) if config.calendar else (),
        )

    @property
    def num_channels(self) -> int:
        """``K``."""
        return len(self.names)

    @property
    def future_size(self) -> int:
        """``F``: numbers that are known of each step ahead."""
        return len(self.future.names) + 2 * len(self.calendar)

    @property
    def input_size(self) -> int:
        """``I``: numbers of each step that is looked back on."""
        return 2 * self.num_channels + len(self.past.names) + self.future_size

    @property
    def static_size(self) -> int:
        """``S``: numbers that do not change within a series."""
        return sum(column.size for column in self.static)

    @property
    def frequency(self) -> str:
        """The steps in words."""
        return "steps" if self.step is None else frequency_of(self.step)

    @property
    def shape(self) -> WindowShape:
        """How windows are cut."""
        measured = (np.array(part, dtype=np.float64) for part in (self.mean, self.std, self.typical))
        return WindowShape(self.context_length, self.horizon, self.season, self.scale, *measured)

    def encode(self, data: SeriesData) -> Windows:
        """Every window of known values from ``first_target`` on; of data without targets, as `encode_future`.

        Args:
            data: as read.

        Returns:
            One example a window, in the order of the series and of time, cut when asked for: the input a `Window`, the
            target ``[h, K]`` float32 scaled like the window and NaN where unobserved, the reference ``[h, K]`` float64
            as it was read.

        Raises:
            DataError: other channels (or in another order), steps or covariates than in training, or no window at all.
        """
        if data.targets is None:
            return self.encode_future(data)
        self._check(data)
        shape = self.shape
        firsts = data.firsts
        origins = [origins_of(values, firsts[i], shape) for i, values in enumerate(data.values)]
        places = thinned(origins, self.stride)
        if not len(places):
            raise _too_short(data, self.context_length, self.horizon)
        return self.at(data, places)

    def at(self, data: SeriesData, places: np.ndarray) -> Windows:
        """The windows at these places, ``[N, 2]`` series and first step to be forecast; all of it known."""
        return Windows(lambda index: self._cutter(data, index), places, self.context_length)

    def encode_future(self, data: SeriesData) -> Windows:
        """One window at the end of each series, of which nobody knows yet what comes.

        Args:
            data: as read.

        Returns:
            One example a series, without target and reference.

        Raises:
            DataError: as `encode`; a series without a step; or what is known ahead ends before the horizon.
        """
        self._check(data)
        if len(empty := np.flatnonzero(data.lengths == 0)):
            raise DataError(
                f"{data.where(int(empty[0]))}: expected steps that a forecast looks back on, got none. Leave it out."
            )
        for index, known in enumerate(data.future or ()):
            if (ahead := len(known) - len(data.values[index])) < self.horizon:
                raise DataError(
                    f"{data.where(index)}: expected {self.horizon} rows after the last value with "
                    f"{', '.join(self.future.names)}, got {ahead}. What is known ahead has to reach as far as the "
                    "forecast."
                )
        places = np.stack([np.arange(len(data)), data.lengths], axis=1)
        return Windows(lambda index: self._cutter(data, index), places, self.context_length, answers=False)

    def _check(self, data: SeriesData) -> None:
        if len(data.target_names) != self.num_channels:
            raise DataError(
                f"{data.source}: expected {self.num_channels} channels as in training ({', '.join(self.names[:6])}), "
                f"got {len(data.target_names)} ({', '.join(data.target_names[:6])}). Name them with --target."
            )
        if data.target_names != self.names and not (_is_unnamed(data.target_names) or _is_unnamed(self.names)):
            raise DataError(
                f"{data.source}: expected the channels of training in their order, {_differing(self.names, data)}. "
                "Name them with --target in that order."
            )
        if self.step is not None and data.step not in (None, self.step):
            raise DataError(
                f"{data.source}: expected {self.frequency} times as in training, got {data.frequency}. Resample them."
            )
        given = (data.past_names, data.future_names, data.static_names)
        wanted = (self.past.names, self.future.names, tuple(column.name for column in self.static))
        for kind, names, needed in zip(("past", "future", "static"), given, wanted, strict=True):
            if names != needed:
                raise DataError(
                    f"{data.source}: expected data.series.{kind} as in training ({', '.join(needed) or 'none'}), got "
                    f"{', '.join(names) or 'none'}."
                )
        if self.calendar and (data.times is None or data.times[0].dtype.kind != "M"):
            raise DataError(f"{data.source}: expected dates as in training, got none. Name their column with --time.")

    def _cutter(self, data: SeriesData, index: int) -> Cutter:
        values = data.values[index]
        steps = len(values) + self.horizon
        parts = [np.zeros((steps, 0), dtype=np.float32)]
        if data.future is not None:
            known = self.future.encode(data.future[index][:steps])
            parts.append(np.pad(known, ((0, steps - len(known)), (0, 0))))
        if self.calendar:
            parts.append(calendar_features(self.times(data, index, steps), self.calendar))
        ahead = np.concatenate(parts, axis=1)
        beside = ahead[: len(values)]
        if data.past is not None:
            beside = np.concatenate([self.past.encode(data.past[index]), beside], axis=1)
        row = () if data.static is None else data.static[index]
        numbers = [
            number
            for column, value in zip(self.static, row, strict=True)
            for number in column.encode(value, data.where(index))
        ]
        return Cutter(Prepared(values, beside, ahead, np.array(numbers, dtype=np.float32)), self.shape)

    def times(self, data: SeriesData, index: int, steps: int) -> np.ndarray:
        """``[steps]`` the times of a series, going on after its end; numbers from 0 where steps are counted."""
        step = data.step or self.step
        if data.times is None or step is None:
            return np.arange(steps)
        return moments_after(data.times[index][0], step, np.arange(steps))

    def notes(self, data: SeriesData) -> list[str]:
        """What was filled in, and what cannot be learnt from."""
        notes = list(data.notes)
        shape, firsts = self.shape, data.firsts
        short = sum(not len(origins_of(values, firsts[i], shape)) for i, values in enumerate(data.values))
        if short and data.targets is not None:
            notes.append(f"{short:,} of {len(data):,} series are too short for a window, and left out")
        flat = [name for name, values in zip(self.names, self._spread(data), strict=True) if values == 0]
        if flat:
            notes.append(f"channels that do not vary: {', '.join(flat[:6])}{', ...' if len(flat) > 6 else ''}")
        return notes

    def _spread(self, data: SeriesData) -> list[float]:
        whole = np.concatenate(data.values)
        return [float(np.nanmax(column) - np.nanmin(column)) for column in whole.T]

    def summary(self, data: SeriesData) -> str:
        """Sizes of the series and the windows in a line."""
        shortest, longest = int(data.lengths.min()), int(data.lengths.max())
        length = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        steps = "steps" if self.step is None else f"steps ({self.frequency}, a season of {self.season})"
        channels = f", {self.num_channels} channels" if self.num_channels > 1 else ""
        return (
            f"{length} {steps}{channels}; {len(self.encode(data)):,} windows that look {self.context_length:,} steps "
            f"back and {self.horizon:,} ahead"
        )

    def columns(self, data: SeriesData, results: Results) -> dict[str, list[Any]]:
        """A row for each step of each forecast: series, time, each channel and its quantiles.

        ``series`` only where there are names or several; ``origin``, the last known step's time, only where there are
        several forecasts of one series; ``time`` is called ``step`` where steps are counted, from 0. Quantiles are
        called ``<channel>_q10``.
        """
        return self.table(data, self.encode(data).places, results.predictions)

    def table(self, data: SeriesData, places: np.ndarray, predictions: Sequence[Prediction]) -> dict[str, list[Any]]:
        """The columns of forecasts at these places ``[N, 2]``, of as many steps as the forecasts have."""
        values = np.array([prediction.value for prediction in predictions], dtype=np.float64)  # [N, h, K]
        horizon = values.shape[1]
        several = len(np.unique(places[:, 0])) < len(places)
        counted = data.times is None or (data.step or self.step) is None
        lead: dict[str, list[Any]] = {}
        if data.ids is not None or len(data) > 1:
            names = data.ids or [str(i) for i in range(len(data))]
            lead["series"] = [names[series] for series, _ in places.tolist() for _ in range(horizon)]
        times = {
            series: self.times(data, series, len(data.values[series]) + horizon)
            for series in np.unique(places[:, 0]).tolist()
        }
        if several:
            lead["origin"] = _as_list(
                [times[series][origin - 1] for series, origin in places.tolist() for _ in range(horizon)]
            )
        moments_ = np.concatenate([times[series][origin : origin + horizon] for series, origin in places.tolist()])
        lead["step" if counted else "time"] = _as_list(moments_)
        answers: dict[str, list[Any]] = {}
        for k, name in enumerate(self.names):
            name = f"{name}_" if name in lead else name  # noqa: PLW2901
            answers[name] = values[:, :, k].reshape(-1).tolist()
            for place, (level, _) in enumerate(predictions[0].quantiles or ()):
                bands = [np.asarray((one.quantiles or ())[place][1], dtype=np.float64) for one in predictions]
                answers[f"{name}_q{100 * level:g}"] = np.stack(bands)[:, :, k].reshape(-1).tolist()
        return {**lead, **answers}

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """The head's numbers are of these channels."""
        return {".head.": self.names}

    def to_plain(self) -> dict[str, Any]:
        """For ``adapter.json``."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "SeriesAdapter":
        """What :meth:`to_plain` gave, strictly."""
        return record(cls, content)


def _is_unnamed(names: tuple[str, ...]) -> bool:
    """Whether these are the names of channels that have none."""
    return names in (("value",), default_channels(len(names)))


def _differing(names: Sequence[str], data: SeriesData) -> str:
    """The first channel that is not as in training, for an error."""
    place, name, got = next(
        (i, *pair) for i, pair in enumerate(zip(names, data.target_names, strict=True)) if pair[0] != pair[1]
    )
    return f'channel {place + 1} "{name}", got "{got}"'


def horizon_of(config: "SeriesConfig", season: int) -> int:
    """Steps to forecast: as asked for, else a season."""
    return config.horizon or max(season, SHORTEST_HORIZON)


def _default_context(longest: int, season: int, horizon: int) -> int:
    """Three seasons and at least two horizons, but no more than half of what the longest series leaves for it.

    A context of all would leave a single window.
    """
    room = longest - horizon
    wanted = min(max(3 * season, 2 * horizon), max(LONGEST_DEFAULT, season))
    return max(1, min(wanted, max(room // 2, min(season, room))))


def _typical(values: Sequence[np.ndarray], context: int, std: np.ndarray) -> np.ndarray:
    """``[K]`` median deviation of stretches of a context's length, of those that vary; that of the channel if none."""
    stretches = [part[start : start + context] for part in values for start in range(0, len(part), context)]
    chosen = stretches[:: max(1, len(stretches) // _SAMPLED)]
    deviations = np.stack([moments(part, ~np.isnan(part))[2] for part in chosen])  # [stretches, K]
    middle = [np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in deviations.T]
    return np.where(np.array(middle) > 0, middle, std)


def _mean_and_std(columns: np.ndarray, names: Sequence[str], source: str) -> tuple[np.ndarray, np.ndarray]:
    """``[K]`` each, of the observed values; raises DataError for a column without any."""
    count, mean, std, _ = moments(columns, ~np.isnan(columns))
    for name, seen, centre, deviation in zip(names, count, mean, std, strict=True):
        if not seen:
            raise DataError(
                f"{source}, column {name}: expected numbers in the training part, got only missing values. "
                "Leave the column out."
            )
        if not np.isfinite([centre, deviation]).all():
            raise DataError(f"{source}, column {name}: expected numbers that can be squared, got larger ones.")
    return mean, np.where(std > 0, std, 1.0)


def _within(data: SeriesData) -> list[np.ndarray] | None:
    """What is known ahead, as far as the values go: what is beyond belongs to nobody's training part."""
    if data.future is None:
        return None
    return [known[: len(values)] for known, values in zip(data.future, data.values, strict=True)]


def _too_short(data: SeriesData, context: int, horizon: int) -> DataError:
    longest = int(np.argmax(data.lengths))
    return DataError(
        f"{data.where(longest)}: expected at least {context + horizon:,} points (data.series.context_length "
        f"{context:,} + data.series.horizon {horizon:,}), got {int(data.lengths[longest]):,} in the longest series. "
        "Lower one of the two."
    )


def _as_list(moments_: Any) -> list[Any]:
    """Times as Python's own: dates where none has a clock."""
    whole = np.asarray(moments_)
    if whole.dtype.kind != "M":
        return whole.tolist()  # type: ignore[no-any-return]
    days = whole.astype("datetime64[D]")
    return (days if (days == whole).all() else whole.astype("datetime64[us]")).tolist()  # type: ignore[no-any-return]
