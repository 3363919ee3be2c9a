"""Windows of series, cut when they are asked for, and where they may begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.types import Example, Window

MOST_WINDOWS = 20_000
_FLAT = 1e-3  # a deviation below this share of the largest value: the window does not vary
_OF_LEVEL = 0.02  # what a window that does not vary is scaled by, at most, as a share of its level


@dataclass(frozen=True)
class WindowShape:
    """How windows are cut.

    Attributes:
        context: ``C``, steps that are looked back on.
        horizon: ``h``, steps to be forecast.
        season: steps of the main season.
        scale: ``"window"``, ``"series"``, ``"channel"`` or ``"none"``.
        mean, std: ``[K]`` of the training part.
        typical: ``[K]`` deviation of a window of the training part, in the middle of all.
    """

    context: int
    horizon: int
    season: int
    scale: str
    mean: np.ndarray
    std: np.ndarray
    typical: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """One series, ready to be cut: its values, and beside them what the model reads of its other columns.

    Attributes:
        values: ``[T, K]`` float64, NaN where unobserved.
        beside: ``[T, ...]`` float32: covariates and calendar.
        known: ``[T + h, F]`` float32: what is known ahead, as in the last columns of ``beside``.
        static: ``[S]`` float32.
    """

    values: np.ndarray
    beside: np.ndarray
    known: np.ndarray
    static: np.ndarray


class Cutter:
    """Cuts windows out of one series.

    Args:
        series: what is cut.
        shape: how.
    """

    def __init__(self, series: Prepared, shape: WindowShape) -> None:
        self.series = series
        self.shape = shape

    def window(self, origin: int) -> Window:
        """The window whose first step to be forecast is ``origin``; zeros, unobserved, before the series begins."""
        shape, series = self.shape, self.series
        begin = max(0, origin - shape.context)
        values = series.values[begin:origin]  # [at most C, K]
        observed = self._observed[begin:origin]
        loc, scale = self._scaling(values, observed, origin)
        channels = values.shape[1]
        past = np.zeros((shape.context, 2 * channels + series.beside.shape[1]), dtype=np.float32)
        here = past[shape.context - len(values) :]
        here[:, :channels] = (values - loc) / scale
        here[:, :channels][~observed] = 0
        here[:, channels : 2 * channels] = observed
        here[:, 2 * channels :] = series.beside[begin:origin]
        future = series.known[origin : origin + shape.horizon]
        return Window(past, future, series.static, loc, scale, self._errors[min(origin, len(self._errors) - 1)])

    def answer(self, origin: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """``[h, K]`` what comes: scaled as the window is (float32), and as it was read (float64)."""
        values = self.series.values[origin : origin + self.shape.horizon]
        return ((values - window.loc) / window.scale).astype(np.float32), values.copy()

    def _scaling(self, values: np.ndarray, observed: np.ndarray, origin: int) -> tuple[np.ndarray, np.ndarray]:
        """``[K]`` mean and deviation to scale by; those of the channel where nothing is observed."""
        shape = self.shape
        if shape.scale == "none":
            return np.zeros_like(shape.mean), np.ones_like(shape.std)
        if shape.scale == "channel":
            return shape.mean.copy(), shape.std.copy()
        if shape.scale == "series":
            count, loc, deviation, largest = (part[origin] for part in self._running)
        else:
            count, loc, deviation, largest = moments(values, observed)
        any_, varies = count > 0, deviation > _FLAT * largest
        if varies.all():
            return np.asarray(loc), np.asarray(deviation)
        loc = np.where(any_, loc, shape.mean)
        # What does not vary has no deviation to scale by: then that of most windows, or a share of its level.
        level = _OF_LEVEL * np.abs(loc)
        usual = np.where(level > 0, np.minimum(shape.typical, level), shape.typical)
        scale = np.where(varies, deviation, np.maximum(deviation, usual))
        return np.asarray(loc), np.where(any_, scale, shape.std)

    @cached_property
    def _observed(self) -> np.ndarray:
        """``[T, K]`` bool."""
        return np.asarray(~np.isnan(self.series.values))

    @cached_property
    def _running(self) -> tuple[np.ndarray, ...]:
        """Count, mean, deviation and largest absolute value of all that comes before each step, ``[T + 1, K]`` each."""
        values, observed = self.series.values, self._observed
        first = np.array(
            [column[seen][0] if seen.any() else 0.0 for column, seen in zip(values.T, observed.T, strict=True)]
        )
        moved = np.where(observed, values - first, 0)  # sums of squares lose digits far from zero
        count = _before(observed.astype(np.float64))
        mean = _before(moved) / np.maximum(count, 1)
        variance = np.maximum(_before(moved**2) / np.maximum(count, 1) - mean**2, 0)
        largest = np.maximum.accumulate(np.where(observed, np.abs(values), 0), axis=0)
        largest = np.concatenate([np.zeros((1, values.shape[1])), largest])
        return count, mean + first, np.sqrt(variance), largest

    @cached_property
    def _errors(self) -> np.ndarray:
        """``[T + 1, K]`` mean absolute seasonal difference of all that comes before each step, NaN without any."""
        values, season = self.series.values, self.shape.season
        differences = np.full(values.shape, np.nan)
        differences[season:] = np.abs(values[season:] - values[: max(0, len(values) - season)])
        known = ~np.isnan(differences)
        count = _before(known.astype(np.float64))
        return np.where(count > 0, _before(np.where(known, differences, 0)) / np.maximum(count, 1), np.nan)


def moments(values: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean, deviation and largest absolute value of the observed values of each channel, ``[K]`` each."""
    count = observed.sum(axis=0)
    if count.size and count.min() == len(values) > 0:  # the usual case, and the fast one
        mean = values.mean(axis=0)
        centred = values - mean
        return count, mean, np.sqrt((centred * centred).mean(axis=0)), np.abs(values).max(axis=0)
    divisor = np.maximum(count, 1)
    mean = np.where(observed, values, 0).sum(axis=0) / divisor
    centred = np.where(observed, values - mean, 0)
    largest = np.where(observed, np.abs(values), 0).max(axis=0, initial=0)
    return count, mean, np.sqrt((centred**2).sum(axis=0) / divisor), largest


def _before(values: np.ndarray) -> np.ndarray:
    """``[T + 1, K]`` sums of the rows before each."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])


def origins_of(values: np.ndarray, first: int, shape: WindowShape) -> np.ndarray:
    """Steps at which a forecast of known values may begin.

    Only where the whole context exists; in a series that is too short for any, where a season of it does. Left out are
    those with nothing observed in their context, or nothing to be forecast.

    Args:
        values: ``[T, K]`` of the series.
        first: the first step that may be forecast.
        shape: of the windows.

    Returns:
        ``[windows]`` int64, ascending.
    """
    last = len(values) - shape.horizon
    start = max(first, shape.context)
    if start > last:
        start = max(first, min(shape.season + 1, last), 1)
    origins = np.arange(start, last + 1)
    seen = np.concatenate([[0], np.cumsum(~np.isnan(values).all(axis=1))])
    looked_at = seen[origins] - seen[np.maximum(origins - shape.context, 0)]
    comes = seen[np.minimum(origins + shape.horizon, len(values))] - seen[origins]
    return np.asarray(origins[(looked_at > 0) & (comes > 0)])


def thinned(origins: Sequence[np.ndarray], stride: int | None) -> np.ndarray:
    """``[windows, 2]`` series and origin: every ``stride``-th of each series, counted from its end.

    Args:
        origins: of each series.
        stride: None for the smallest that leaves at most ``MOST_WINDOWS``.

    Returns:
        int64.
    """
    stride = stride or max(1, -(-sum(map(len, origins)) // MOST_WINDOWS))
    chosen = [part[::-1][::stride][::-1] for part in origins]
    return np.concatenate(
        [np.zeros((0, 2), dtype=np.int64)]
        + [np.stack([np.full(len(part), index), part], axis=1) for index, part in enumerate(chosen)]
    )


class Windows(Sequence[Example]):
    """Windows as examples, each cut when it is asked for.

    Args:
        cutter: of series ``i``; called once for each that is needed.
        places: ``[N, 2]`` series and origin of each window.
        context: steps of each.
        answers: whether what comes is known.
    """

    def __init__(
        self, cutter: Callable[[int], Cutter], places: np.ndarray, context: int, *, answers: bool = True
    ) -> None:
        self._make = cutter
        self._cutters: dict[int, Cutter] = {}
        self.places = places
        self._context = context
        self._answers = answers

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        series, origin = self.place(range(len(self))[index])
        if series not in self._cutters:
            self._cutters[series] = self._make(series)
        cutter = self._cutters[series]
        window = cutter.window(origin)
        if not self._answers:
            return Example(window)
        target, reference = cutter.answer(origin, window)
        return Example(window, target, reference=reference)

    def place(self, index: int) -> tuple[int, int]:
        """The series of a window, and its first step that is to be forecast."""
        series, origin = self.places[index].tolist()
        return series, origin

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each window's context."""
        return np.full(len(self), self._context, dtype=np.int64)
