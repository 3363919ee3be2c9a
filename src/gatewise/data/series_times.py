"""The column of times of a table, in whatever way dates are written."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.calendar import DAY
from gatewise.data.columns import check_present, numbers_in
from gatewise.data.fields import is_number, shorten
from gatewise.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# How a date is written; the groups are named year, month, day, quarter, word (a month's name), one and two.
_DATES = (
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"(?P<one>\d{1,2})[-/.](?P<two>\d{1,2})[-/.](?P<year>\d{4})",
    r"(?P<word>[A-Za-z]{3,9})\.?[ -](?:(?P<day>\d{1,2}),?[ -])?(?P<year>\d{4})",
    r"(?P<day>\d{1,2})\.?[ -](?P<word>[A-Za-z]{3,9})\.?[ -](?P<year>\d{4})",
    r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])",
)
_CLOCK = r"(?:(?:T| +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d{1,9})?))? ?(?P<half>[AaPp][Mm])?)?"
_ZONE = r" ?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EXAMPLES = "2024-05-31, 2024-05, 2024Q2, 31.5.2024, 5/31/2024, May 31 2024, or 2024-05-31 12:00:00"
# Names of a column of times; a column of dates needs none.
TIME_NAMES = ("date", "time", "datetime", "timestamp", "ds", "year", "t", "step")
_SECONDS = (10**8, 4 * 10**9)  # since 1970: from 1973 to 2096


@dataclass(frozen=True)
class Times:
    """``[rows]`` times as datetime64[ns] or int64, and what a user should know of how they were read."""

    moments: np.ndarray
    note: str = ""


def looks_like_times(column: "pl.Series") -> bool:
    """Whether the first values of a column are dates or times, and not numbers."""
    import polars as pl

    if column.dtype.is_temporal():
        return True
    if column.dtype != pl.String:
        return False
    head = [text.strip() for text in column.drop_nulls().head(5).to_list() if text.strip()]
    return bool(head) and all(not is_number(text) and _form_of(text) is not None for text in head)


def times_in(column: "pl.Series", source: str, lines: np.ndarray) -> Times:
    """Times from dates, dates with a clock, whole numbers, seconds since 1970, or text that is one of these.

    Times with a zone become UTC; where all of them are at midnight, the zone is left out instead, for they are days.

    Args:
        column: of the table.
        source: what errors begin with.
        lines: ``[rows]`` how errors number the rows.

    Returns:
        The times, in the order of the rows.

    Raises:
        DataError: a row without a time, or with one that is written in another way than the first; names row and
            column.
    """
    import polars as pl

    check_present(column, source, lines)
    if column.dtype.is_temporal():
        return _of_temporal(column, source)
    text = column.dtype in (pl.String, pl.Categorical, pl.Enum)
    if not text or is_number(str(column[0]).strip()):
        return _of_numbers(numbers_in(column, source, lines), column.name, source, lines)
    return _of_texts(column.cast(pl.String).str.strip_chars(), source, lines)


def moment_in(text: str, like: np.ndarray) -> Any:
    """One time as a user writes it, of the kind of these.

    Raises:
        DataError: it is not one.
    """
    if like.dtype.kind != "M":
        if not re.fullmatch(r"-?\d+", text.strip()):
            raise DataError(f'time: expected a whole number as in the data, got "{shorten(text)}".')
        return np.int64(int(text))
    import polars as pl

    whole = re.fullmatch(r"\d{4}", text.strip())
    column = pl.Series("time", [f"{text.strip()}-01" if whole else text.strip()])
    return _of_texts(column, f'"{shorten(text)}"', np.zeros(1, dtype=np.int64)).moments[0]


def _of_temporal(column: "pl.Series", source: str) -> Times:
    import polars as pl

    if column.dtype in (pl.Time, pl.Duration):
        raise DataError(f"{source}, column {column.name}: expected dates, got {column.dtype}. Name another column.")
    zone = getattr(column.dtype, "time_zone", None)
    note = ""
    if zone is not None:
        local = column.dt.replace_time_zone(None)
        days = bool((local.dt.truncate("1d") == local).all())
        column = local if days else column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        note = _zone_note(days=days)
    return Times(column.cast(pl.Datetime("ns")).to_numpy().astype("datetime64[ns]"), note)


def _zone_note(*, days: bool) -> str:
    return "times are days; their zone is left out" if days else "times have a zone and are taken as UTC"


def _of_numbers(numbers: np.ndarray, name: str, source: str, lines: np.ndarray) -> Times:
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)))
    if len(wrong):
        raise DataError(
            f"{source}, row {lines[wrong[0]]}, column {name}: expected a date or a whole number as the time, got "
            f"{numbers[wrong[0]]:g}. Leave --time out to count the steps."
        )
    whole = numbers.astype(np.int64)
    low, high = int(whole.min()), int(whole.max())
    if low >= 18000101 and high <= 22001231:
        years, months, days = whole // 10000, whole // 100 % 100, whole % 100
        if ((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all():
            return Times(_dates(years, months, days, [str(value) for value in whole.tolist()], name, source, lines))
    for unit, size in (("s", 1), ("ms", 1000)):
        if _SECONDS[0] * size <= low and high <= _SECONDS[1] * size:
            words = "seconds" if unit == "s" else "milliseconds"
            return Times(whole.astype(f"datetime64[{unit}]").astype("datetime64[ns]"), f"times are {words} since 1970")
    return Times(whole)


def _form_of(text: str) -> str | None:
    """The pattern that a text is written in."""
    return next((form for date in _DATES if re.fullmatch(form := f"{date}{_CLOCK}{_ZONE}", text)), None)


def _of_texts(texts: "pl.Series", source: str, lines: np.ndarray) -> Times:
    import polars as pl

    form = _form_of(str(texts[0])) or f"{_DATES[0]}{_CLOCK}{_ZONE}"
    parts = texts.to_frame().select(pl.col(texts.name).str.extract_groups(f"^{form}$")).to_series().struct.unnest()
    wrong = np.flatnonzero(parts["year"].is_null().to_numpy())
    if len(wrong):
        raise DataError(
            f"{source}, row {lines[wrong[0]]}, column {texts.name}: expected a time such as {_EXAMPLES}, "
            f'like that of the first row, got "{shorten(texts[int(wrong[0])])}". Write all alike, year first.'
        )

    def numbers(name: str, default: int) -> np.ndarray:
        if name not in parts.columns:
            return np.full(len(texts), default, dtype=np.int64)
        return parts[name].cast(pl.Int64).fill_null(default).to_numpy()

    months, days = numbers("month", 1), numbers("day", 1)
    if "one" in parts.columns:
        months, days = _month_and_day(numbers("one", 1), numbers("two", 1), texts, source, lines)
    elif "word" in parts.columns:
        months = _named_months(parts["word"], texts, source, lines)
    elif "quarter" in parts.columns:
        months = 3 * numbers("quarter", 1) - 2
    moments = _dates(numbers("year", 1970), months, days, texts.to_list(), texts.name, source, lines)
    clock = _clock(parts, numbers)
    if len(wrong := np.flatnonzero((clock < 0) | (clock >= DAY))):
        row = int(wrong[0])
        raise DataError(
            f"{source}, row {lines[row]}, column {texts.name}: expected a time from 00:00 to 23:59:59, got "
            f'"{shorten(texts[row])}". Correct it.'
        )
    moments = moments + clock.astype("timedelta64[ns]")
    return _without_zone(moments, parts["zone"])


def _month_and_day(
    one: np.ndarray, two: np.ndarray, texts: "pl.Series", source: str, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of two numbers is the month: the one that never exceeds 12; days come first before full stops."""
    if "." in str(texts[0]) or (one > 12).any():
        return two, one
    if (two > 12).any():
        return one, two
    raise DataError(
        f"{source}, row {lines[0]}, column {texts.name}: expected dates of which day and month can be told apart, got "
        f'"{texts[0]}" and no number above 12 in any row. Write them year first.'
    )


def _named_months(words: "pl.Series", texts: "pl.Series", source: str, lines: np.ndarray) -> np.ndarray:
    numbers = {word: index + 1 for index, word in enumerate(_MONTHS)}
    months = np.array([numbers.get(word[:3].lower(), 0) for word in words.to_list()], dtype=np.int64)
    if len(wrong := np.flatnonzero(months == 0)):
        row = int(wrong[0])
        raise DataError(
            f"{source}, row {lines[row]}, column {texts.name}: expected an English name of a month, got "
            f'"{shorten(texts[row])}". Write times year first: 2024-05-31.'
        )
    return months


def _dates(
    years: np.ndarray,
    months: np.ndarray,
    days: np.ndarray,
    texts: list[str],
    name: str,
    source: str,
    lines: np.ndarray,
) -> np.ndarray:
    """``[rows]`` datetime64[ns] at midnight; raises DataError for the 30th of February and for years out of range."""
    month = (years - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (months - 1)
    lengths = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    right = (months >= 1) & (months <= 12) & (days >= 1) & (days <= lengths) & (years >= 1678) & (years <= 2261)
    if len(wrong := np.flatnonzero(~right)):
        row = int(wrong[0])
        raise DataError(
            f"{source}, row {lines[row]}, column {name}: expected a day of the calendar from 1678 to 2261, got "
            f'"{shorten(texts[row])}". Correct it.'
        )
    return np.asarray((month.astype("datetime64[D]") + (days - 1)).astype("datetime64[ns]"))


def _clock(parts: "pl.DataFrame", numbers: Any) -> np.ndarray:
    """``[rows]`` nanoseconds since midnight; -1 for a minute or second above 59."""
    import polars as pl

    minutes = numbers("minute", 0)
    hours, halves = numbers("hour", 0), parts["half"].str.to_lowercase().fill_null("").to_numpy()
    hours = np.where(halves == "", hours, hours % 12 + 12 * (halves == "pm"))
    seconds = parts["second"].fill_null("0")
    whole = seconds.str.extract(r"^(\d+)").cast(pl.Int64).to_numpy()
    fraction = seconds.str.extract(r"\.(\d+)$").fill_null("0").str.pad_end(9, "0").cast(pl.Int64).to_numpy()
    nanoseconds = ((hours * 60 + minutes) * 60 + whole) * 1_000_000_000 + fraction
    return np.where((minutes > 59) | (whole > 59), -1, nanoseconds)


def _without_zone(moments: np.ndarray, zones: "pl.Series") -> Times:
    if zones.is_null().all():
        return Times(moments)
    if (moments == moments.astype("datetime64[D]")).all():
        return Times(moments, _zone_note(days=True))
    shifts = {zone: _shift(zone) for zone in zones.unique().to_list()}
    minutes = np.array([shifts[zone] for zone in zones.to_list()], dtype="timedelta64[m]")
    return Times(moments - minutes, _zone_note(days=False))


def _shift(zone: str | None) -> int:
    """Minutes that a clock of this zone is ahead of UTC."""
    if zone in (None, "Z", "UTC"):
        return 0
    assert zone is not None
    sign = -1 if zone[0] == "-" else 1
    return sign * (60 * int(zone[1:3]) + int(zone[-2:]))
