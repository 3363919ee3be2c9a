"""Steps of time: how far apart the rows of a series are, where it goes on, and what a calendar says of a moment.

Times are datetime64[ns], or int64 where they are whole numbers of anything. A step is a number and a unit, as in
Polars: ``"15m"``, ``"1h"``, ``"7d"``; ``"1mo"`` a month (the same day of each), ``"1me"`` (its last day), ``"1b"``
(Monday to Friday), ``"2i"`` whole numbers.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.errors import DataError

UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
MINUTE, HOUR, DAY = UNITS["m"], UNITS["h"], UNITS["d"]
WEEK = 7 * DAY
YEAR = 365.2425 * DAY
_STEP = re.compile(r"([1-9]\d*)(ns|us|ms|s|mo|me|m|h|d|b|i)")
_WORDS = {
    "1s": "every second",
    "1m": "every minute",
    "1h": "hourly",
    "1d": "daily",
    "7d": "weekly",
    "1b": "on business days",
    "1mo": "monthly",
    "3mo": "quarterly",
    "12mo": "yearly",
    "1i": "counted",
}
_NAMES = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours"}
_NAMES |= {"d": "days", "b": "business days", "mo": "months", "i": "counts"}


def parse_step(step: str) -> tuple[int, str]:
    """``"15m"`` as ``(15, "m")``.

    Raises:
        DataError: not a step.
    """
    found = _STEP.fullmatch(step)
    if found is None:
        raise DataError(f'step: expected a number and a unit such as "15m", "1h", "1mo", got "{step}".')
    return int(found[1]), found[2]


def frequency_of(step: str) -> str:
    """A step in words.

    >>> [frequency_of(step) for step in ("1h", "30m", "7d", "1me", "6mo")]
    ['hourly', 'every 30 minutes', 'weekly', 'monthly', 'every 6 months']
    """
    count, unit = parse_step(step)
    unit = "mo" if unit == "me" else unit
    return _WORDS.get(f"{count}{unit}", f"every {count} {_NAMES[unit]}")


def season_of(step: str | None) -> int:
    """Steps of the main season: a day of hours, a week of days, a year of weeks, months or quarters; else 1.

    >>> [season_of(step) for step in ("1h", "15m", "1d", "7d", "1b", "1mo", "3mo", "12mo", "1i", None)]
    [24, 96, 7, 52, 5, 12, 4, 1, 1, 1]
    """
    if step is None:
        return 1
    count, unit = parse_step(step)
    if unit in ("mo", "me"):
        return 12 // count if 12 % count == 0 else 1
    if unit in ("b", "i"):
        return 5 if (count, unit) == (1, "b") else 1
    size = count * UNITS[unit]
    if size == WEEK:
        return 52
    if size >= DAY:
        return 7 if size == DAY else 1
    span = DAY if size >= MINUTE else HOUR
    return span // size if span % size == 0 else 1


def step_of(times: Sequence[np.ndarray]) -> str | None:
    """The step that most rows are apart, of series sorted by time; None where no series has two rows.

    The others have to be a whole number of these apart: then rows are missing between them, and the series is regular
    (:func:`places_of` raises otherwise). Months are known by their days: all the same, or all the last.

    Args:
        times: ``[T]`` each, ascending, all of the same dtype.

    Returns:
        The step.
    """
    several = [moments for moments in times if len(moments) > 1]
    if not several:
        return None
    if several[0].dtype.kind != "M":
        return f"{_most_common(several)}i"
    whole = np.concatenate(several)
    if (unit := _unit_of_months(whole)) is not None:
        months = [_months(moments) for moments in several]
        if min(int(np.diff(part).min()) for part in months) > 0:
            return f"{int(np.gcd.reduce(np.concatenate([np.diff(part) for part in months])))}{unit}"
    size = _most_common([moments.astype("datetime64[ns]").astype(np.int64) for moments in several])
    if size == DAY and _only_business_days(whole):
        return "1b"
    unit = next(unit for unit in reversed(UNITS) if size % UNITS[unit] == 0)
    return f"{size // UNITS[unit]}{unit}"


def _most_common(times: Sequence[np.ndarray]) -> int:
    sizes, counts = np.unique(np.concatenate([np.diff(moments) for moments in times]), return_counts=True)
    return int(sizes[np.argmax(counts)])


def _unit_of_months(times: np.ndarray) -> str | None:
    """Whether all these stand on the same day of their months, or all on the last one, at the same hour."""
    since = times - times.astype("datetime64[M]")
    if (since == since[0]).all():
        return "mo"
    left = (times.astype("datetime64[M]") + 1).astype("datetime64[ns]") - times
    return "me" if (left == left[0]).all() and left[0] <= np.timedelta64(1, "D") else None


def _only_business_days(times: np.ndarray) -> bool:
    """Whether a weekend never occurs in times that are long enough for one, and that begin at the same hour."""
    days = times.astype("datetime64[D]")
    return len(times) > 8 and bool(np.is_busday(days).all()) and bool((times - days == times[0] - days[0]).all())


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64)


def places_of(times: np.ndarray, step: str) -> np.ndarray:
    """``[T]`` int64: how many steps each moment is after the first; -1 where it is no whole number of them.

    >>> days = np.array(["2024-01-05", "2024-01-08", "2024-01-09"], dtype="datetime64[ns]")
    >>> places_of(days, "1b").tolist(), places_of(days, "3d").tolist()
    ([0, 1, 2], [0, 1, -1])
    """
    count, unit = parse_step(step)
    if unit == "i":
        places = times.astype(np.int64) - int(times[0])
        regular = np.ones(len(times), dtype=bool)
    elif unit in ("mo", "me"):
        places = _months(times) - _months(times[:1])
        regular = moments_after(times[0], f"1{unit}", places) == times
    elif unit == "b":
        days = times.astype("datetime64[D]")
        places = np.busday_count(days[0], days)
        regular = np.is_busday(days) & (times - days == times[0] - days[0])
    else:
        places = (times - times[0]).astype("timedelta64[ns]").astype(np.int64)
        count *= UNITS[unit]
        regular = np.ones(len(times), dtype=bool)
    return np.where(regular & (places % count == 0), places // count, -1)


def moments_after(start: Any, step: str, places: np.ndarray) -> np.ndarray:
    """The moments so many steps after ``start``: what :func:`places_of` takes back.

    >>> moments_after(np.datetime64("2024-01-31", "ns"), "1me", np.array([1, 2])).astype("datetime64[D]").tolist()
    [datetime.date(2024, 2, 29), datetime.date(2024, 3, 31)]
    """
    count, unit = parse_step(step)
    counts = np.asarray(places, dtype=np.int64) * count
    if unit == "i":
        return np.asarray(int(start) + counts)
    moment = np.datetime64(start, "ns")
    if unit in ("mo", "me"):
        month = moment.astype("datetime64[M]")
        if unit == "mo":
            return np.asarray((month + counts).astype("datetime64[ns]") + (moment - month))
        left = (month + 1).astype("datetime64[ns]") - moment  # of the month
        return np.asarray((month + counts + 1).astype("datetime64[ns]") - left)
    if unit == "b":
        day = moment.astype("datetime64[D]")
        return np.asarray(np.busday_offset(day, counts, roll="forward").astype("datetime64[ns]") + (moment - day))
    return np.asarray(moment + (counts * UNITS[unit]).astype("timedelta64[ns]"))


# What comes back: the span of one round, and where in it a moment is, 0 to 1.
_ROUNDS = {"hour": HOUR, "day": DAY, "week": WEEK, "month": YEAR / 12, "year": YEAR}
CYCLES = tuple(_ROUNDS)
_EPOCH_IS_THURSDAY = 3


def cycles_of(step: str | None, steps: int) -> tuple[str, ...]:
    """Which of ``CYCLES`` vary from step to step, and came round twice in so many steps.

    One that has not would only say how far a series has got, which is never seen again.

    >>> cycles_of("1h", 8640), cycles_of("1mo", 144), cycles_of(None, 99)
    (('day', 'week'), ('year',), ())
    """
    if step is None or step.endswith("i"):
        return ()
    count, unit = parse_step(step)
    size = {"mo": YEAR / 12, "me": YEAR / 12, "b": DAY}.get(unit) or UNITS[unit]
    size *= count
    span = size * steps * (7 / 5 if unit == "b" else 1)
    return tuple(
        name
        for name, around in _ROUNDS.items()
        if size < around / 2
        and span >= 2 * around
        and not (name == "hour" and size > 10 * MINUTE)
        and not (name == "month" and size != DAY)
    )


def calendar_features(times: np.ndarray, cycles: Sequence[str]) -> np.ndarray:
    """Sine and cosine of where each moment is in each cycle: a clock's hand has no jump at midnight.

    Args:
        times: ``[T]`` datetime64[ns].
        cycles: names out of ``CYCLES``.

    Returns:
        ``[T, 2 * cycles]`` float32.
    """
    phases = [_phase(times, name) for name in cycles]
    waves = [wave(2 * np.pi * phase) for phase in phases for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=1).astype(np.float32) if waves else np.zeros((len(times), 0), dtype=np.float32)


def _phase(times: np.ndarray, cycle: str) -> np.ndarray:
    """``[T]`` float64, 0 to 1."""
    nanoseconds = times.astype("datetime64[ns]").astype(np.int64)
    days = nanoseconds / DAY
    if cycle in ("hour", "day"):
        return np.asarray((nanoseconds % int(_ROUNDS[cycle])) / _ROUNDS[cycle])
    if cycle == "week":
        return np.asarray(((days + _EPOCH_IS_THURSDAY) % 7) / 7)
    month = times.astype("datetime64[M]")
    first = month.astype("datetime64[D]").astype(np.int64)
    length = (month + 1).astype("datetime64[D]").astype(np.int64) - first
    within = (days - first) / length
    return within if cycle == "month" else np.asarray((month.astype(np.int64) % 12 + within) / 12)
