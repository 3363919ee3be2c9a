"""`SeriesData`: values that go on in time, to be forecast, with what is known beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gatewise.data.calendar import frequency_of
from gatewise.data.dataset import place_in_source


@dataclass(frozen=True)
class SeriesOptions:
    """Which column of a table plays which role.

    Attributes:
        id: column that names the series of a row; without it the table is one series.
        time: column of the times. Default: the first column of dates; without one, steps are counted.
        target: columns to forecast. Default: every column of numbers without another role.
        group: column that says whose series it is.
        past: columns that help and are known until now.
        future: columns that are known ahead, too (prices, holidays).
        static: columns that do not change within a series, numbers or categories.
        season: steps of the main season; None for that of the frequency.
        step: the frequency, where it is known already: that of a trained run.
        wrapped: one series that runs on from row to row (twelve months a line).
    """

    id: str | None = None
    time: str | None = None
    target: tuple[str, ...] | None = None
    group: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    season: int | None = None
    step: str | None = None
    wrapped: bool = False


@dataclass(frozen=True)
class SeriesData:
    """Series as read, at regular steps: nothing scaled, cut into windows or filled in.

    Attributes:
        values: one ``[T, K]`` float64 array each; a missing value is NaN.
        times: ``[T]`` each, datetime64[ns] (UTC, or without a zone) or int64; None where steps are only counted.
        past: ``[T, P]`` float64 each: known until now; None without.
        future: ``[T + more, F]`` float64 each: known ahead; ``more`` rows stand after the last value. None without.
        static: one row each, numbers (NaN if missing) and categories (text, empty if missing); None without.
        target_names, past_names, future_names, static_names: of the columns of these.
        ids: the name of each series; None where it has none.
        groups: whose series it is; None unless asked for.
        step: between two rows, such as ``"1h"``, ``"15m"``, ``"1mo"``, ``"1b"`` (business days), ``"2i"`` (whole
            numbers); None where steps are only counted.
        season: steps of the main season, 1 where there is none.
        first_target: of each series, the first step that may be forecast: those before it are only context. None for 0.
        targets: None asks for what comes after the end; anything else for the known values from ``first_target`` on.
        source: the file, or ``"memory"``; errors begin with it.
        layout: how the source was understood, in words.
        rows: where each series begins in its file, for errors; may be None.
        classes: None: what is forecast are numbers.
        notes: what was filled in or left out, a sentence each.

    Example:
        >>> data = SeriesData([np.arange(5.0)[:, None]], target_names=("y",))
        >>> len(data), data.lengths.tolist(), data.frequency
        (1, [5], 'steps')
    """

    values: Sequence[np.ndarray]
    times: Sequence[np.ndarray] | None = None
    past: Sequence[np.ndarray] | None = None
    future: Sequence[np.ndarray] | None = None
    static: Sequence[tuple[float | str, ...]] | None = None
    target_names: tuple[str, ...] = ("value",)
    past_names: tuple[str, ...] = ()
    future_names: tuple[str, ...] = ()
    static_names: tuple[str, ...] = ()
    ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    step: str | None = None
    season: int = 1
    first_target: Sequence[int] | None = None
    targets: Sequence[Any] | None = ()
    source: str = "memory"
    layout: str = ""
    rows: Sequence[int] | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def noun(self) -> Literal["series"]:
        """What one of them is called, in the plural."""
        return "series"

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each series."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    @property
    def frequency(self) -> str:
        """The steps in words: ``"hourly"``, ``"monthly"``; ``"steps"`` where they are only counted."""
        return "steps" if self.step is None else frequency_of(self.step)

    @property
    def firsts(self) -> list[int]:
        """``first_target`` of each series, as numbers."""
        return [0] * len(self) if self.first_target is None else list(self.first_target)

    def subset(self, indices: Sequence[int] | np.ndarray) -> "SeriesData":
        """The series at these positions, in this order."""
        places = [int(i) for i in indices]

        def pick(parts: Sequence[Any] | None) -> list[Any] | None:
            return None if parts is None else [parts[i] for i in places]

        return replace(
            self,
            values=pick(self.values) or [],
            times=pick(self.times),
            past=pick(self.past),
            future=pick(self.future),
            static=pick(self.static),
            ids=pick(self.ids),
            groups=pick(self.groups),
            first_target=pick(self.first_target),
            rows=pick(self.rows),
        )

    def until(self, stops: Sequence[int]) -> "SeriesData":
        """Each series up to a step of its own, that one excluded; what is known ahead stays known."""
        return replace(
            self,
            values=[values[:stop] for values, stop in zip(self.values, stops, strict=True)],
            times=_until(self.times, stops),
            past=_until(self.past, stops),
            first_target=[min(first, stop) for first, stop in zip(self.firsts, stops, strict=True)],
        )

    def since(self, firsts: Sequence[int]) -> "SeriesData":
        """The same where only steps from these on are to be forecast."""
        return replace(self, first_target=[max(given, own) for given, own in zip(firsts, self.firsts, strict=True)])

    def extended(
        self,
        values: Sequence[np.ndarray],
        *,
        times: Sequence[np.ndarray] | None = None,
        past: Sequence[np.ndarray] | None = None,
        future: Sequence[np.ndarray] | None = None,
    ) -> "SeriesData":
        """The same with more steps at the end of each series.

        Args:
            values: ``[n, K]`` more of each series.
            times: ``[n]`` of these, where the series have times.
            past: ``[n, P]`` of these; without them they are missing.
            future: more rows of what is known ahead, after those that are known already.

        Returns:
            The longer series.
        """
        unknown = [np.full((len(more), len(self.past_names)), np.nan) for more in values]
        return replace(
            self,
            values=_joined(self.values, values),
            times=None if self.times is None or times is None else _joined(self.times, times),
            past=None if self.past is None else _joined(self.past, past or unknown),
            future=self.future if self.future is None or future is None else _joined(self.future, future),
        )

    def last(self, steps: int) -> "SeriesData":
        """The last so many steps of each series, and what is known ahead of them."""
        starts = [max(0, len(values) - steps) for values in self.values]

        def end(parts: Sequence[np.ndarray] | None) -> list[np.ndarray] | None:
            return None if parts is None else [part[start:] for part, start in zip(parts, starts, strict=True)]

        return replace(
            self,
            values=end(self.values) or [],
            times=end(self.times),
            past=end(self.past),
            future=end(self.future),
            first_target=[max(0, first - start) for first, start in zip(self.firsts, starts, strict=True)],
        )

    def where(self, index: int) -> str:
        """How an error names series ``index``: file and line where known, else its number."""
        return place_in_source(self.source, index, rows=self.rows, ids=self.ids, noun="series")


def _joined(parts: Sequence[np.ndarray], more: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate([part, end]) for part, end in zip(parts, more, strict=True)]


def _until(parts: Sequence[np.ndarray] | None, stops: Sequence[int]) -> list[np.ndarray] | None:
    return None if parts is None else [part[:stop] for part, stop in zip(parts, stops, strict=True)]
