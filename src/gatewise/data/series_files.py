"""Series from tables, frames and arrays: sorted by time, put on regular steps, gaps as missing values."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.arrays import from_pandas
from gatewise.data.calendar import frequency_of, moments_after, places_of, season_of, step_of
from gatewise.data.columns import assign_roles, names_in, numbers_in, texts_in
from gatewise.data.dataset import ReadOptions, default_channels
from gatewise.data.delimited import parse_csv
from gatewise.data.fields import MISSING, is_missing, is_number, shorten
from gatewise.data.files import decode, load_bytes, suffixes
from gatewise.data.memory import sequences_of
from gatewise.data.series import SeriesData, SeriesOptions
from gatewise.data.series_times import TIME_NAMES, looks_like_times, moment_in, times_in
from gatewise.errors import DataError

if TYPE_CHECKING:
    import polars as pl

FORMATS = (".csv", ".tsv", ".txt", ".parquet")
UNNAMED = "first column"  # what a column without a name is called here
COUNTED = "none"  # as the name of the column of times: count the steps
_PART = re.compile(r"(?P<file>.+)@(?P<since>[^@]*)\.\.(?P<until>[^@]*)", re.DOTALL)
_YEARS = range(1000, 3000)  # numbers that may be years where there are dates
FEW = 4  # ways from row to row: from fewer nobody tells gaps from another frequency
_MOST_FILLED = 4  # times the rows that are there


def read_series(data: Any, options: SeriesOptions = SeriesOptions()) -> SeriesData:  # noqa: B008  frozen
    """Series to forecast.

    A table has a row a step: with ``id`` many series, without it one; every target column is a channel. Rows at the end
    in which no target is known are steps to forecast, of which the covariates known ahead are kept.

    Args:
        data: a file (.csv .tsv .txt .parquet, also .gz .xz), of which ``FILE@FROM..UNTIL`` takes a part: nothing from
            UNTIL on is read, and what stands before FROM is context only; a series that begins at UNTIL or later is
            left out. Both are times, or numbers of steps from 0, and may be left out. With dates, a number from 1000 to
            2999 is a year if the dates have it, or end in the year before, and else a step; what could be both is
            refused. Or a Polars or pandas frame, an array ``[T]`` or ``[T, K]`` of one series, a list of such arrays,
            or `SeriesData`, which is returned as it is.
        options: which column plays which role.

    Returns:
        The series.

    Raises:
        DataError: no such file or column, text where a number belongs, the same time twice, times that are not
            regular, or a static value that changes; names file, row and column. A part without steps, or of a step
            after the end of the longest series.

    Example:
        >>> data = read_series([np.arange(3.0), np.arange(5.0)])
        >>> data.lengths.tolist(), data.target_names
        ([3, 5], ('value',))
    """
    if isinstance(data, SeriesData):
        return data
    if isinstance(data, str | Path):
        return _read_file(str(data), options)
    if type(data).__name__ == "DataFrame":
        frame = data if type(data).__module__.startswith("polars") else _indexed(data)
        return _from_frame(frame, "memory", options, np.arange(len(frame)))
    return _from_arrays(data, options)


def has_no_columns(data: Any) -> bool:
    """Whether these are arrays."""
    return not isinstance(data, str | Path | SeriesData) and type(data).__name__ != "DataFrame"


def file_of(data: str) -> str:
    """The file's name without the part that is taken of it.

    >>> file_of("a.csv@2017-10-24.."), file_of("a.csv")
    ('a.csv', 'a.csv')
    """
    found = None if Path(data).exists() else _PART.fullmatch(data)
    return found["file"] if found else data


def _read_file(name: str, options: SeriesOptions) -> SeriesData:
    file = file_of(name)
    frame, lines = _table(Path(file), options)
    data = _from_frame(frame, file, options, lines)
    if file == name:
        return data
    part = _PART.fullmatch(name)
    assert part is not None
    bounds = _bounds(data)
    since, until = (part[end].strip() for end in ("since", "until"))
    starts = _places(data, since, name) if since else data.firsts
    stops = _places(data, until, name) if until else data.lengths.tolist()
    data = data.since(starts).until(stops)
    if not (data.lengths > np.array(data.firsts)).any():
        raise DataError(f"{name}: expected steps from FROM to UNTIL, got none. The file {bounds}.")
    return replace(_without_empty(data), source=name)


def _places(data: SeriesData, text: str, name: str) -> list[int]:
    """The first step of each series that is not before this time, or the step of this number."""
    lengths = data.lengths.tolist()
    number = int(text) if re.fullmatch(r"\d+", text) else None
    if data.times is None and number is None:
        raise DataError(f'{name}: expected the number of a step, got "{shorten(text)}". These data have no times.')
    if number is not None and (data.times is None or _is_step_of_dates(data, number, name)):
        if number > max(lengths):
            raise DataError(
                f"{name}: expected a step from 0 to {max(lengths)}, got {number}. The file {_bounds(data)}."
                + ("" if data.times is None else " Write a time as 1990-01-01.")
            )
        return [min(number, length) for length in lengths]
    assert data.times is not None
    try:
        moment = moment_in(text, data.times[0])
    except DataError as error:
        raise DataError(f"{name}: expected FILE@FROM..UNTIL with times or numbers of steps. {error}") from error
    return [int(np.searchsorted(times, moment)) for times in data.times]


def _is_step_of_dates(data: SeriesData, number: int, name: str) -> bool:
    """Whether data have dates and this number, one that is no year of theirs, is a step."""
    assert data.times is not None
    if data.times[0].dtype.kind != "M":
        return False
    ends = np.array([end for times in data.times for end in (times[0], times[-1])])
    years = ends.astype("datetime64[Y]").astype(np.int64) + 1970
    if number not in _YEARS or not years.min() <= number <= years.max() + 1:
        return True
    if number <= (longest := int(data.lengths.max())):
        raise DataError(
            f"{name}: expected a year or a step, got {number}, which may be both: the dates are of {years.min()} to "
            f"{years.max()}, the steps 0 to {longest}. Write {number}-01-01, or take a step outside these years."
        )
    return False


def _without_empty(data: SeriesData) -> SeriesData:
    """Without the series of which nothing is before UNTIL, and a note that says so."""
    kept = np.flatnonzero(data.lengths > 0)
    if len(kept) == len(data):
        return data
    left_out = len(data) - len(kept)
    note = f"{left_out:,} of {len(data):,} series begin after the part that is read, and are left out"
    return replace(data.subset(kept), notes=(*data.notes, note))


def _bounds(data: SeriesData) -> str:
    """Where the longest series ends and begins."""
    lengths = data.lengths
    last = int(np.argmax(lengths))
    if data.times is None:
        return f"ends at step {lengths[last]}"
    times = data.times[last]
    return f"ends at {_shown(times[-1:])} and begins at {_shown(times[:1])}"


def _table(path: Path, options: SeriesOptions) -> tuple["pl.DataFrame", np.ndarray]:
    """The rows of a file and how errors number them."""
    import polars as pl

    source, (kind, _) = str(path), suffixes(path)
    if path.is_file() and kind not in FORMATS:
        raise DataError(
            f"{source}: expected a file that ends in {', '.join(FORMATS)} (or these with .gz, .xz, .bz2), "
            f'got "{kind or path.name}". Rename or convert it.'
        )
    content = load_bytes(path)
    if kind == ".parquet":
        try:
            frame = pl.read_parquet(io.BytesIO(content))
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{source}: expected a Parquet file, got damaged content ({reason}). Fetch it again."
            ) from error
        return frame, np.arange(len(frame))
    text = decode(content, source)
    if kind == ".txt" and _is_spaced(text):
        text = "\n".join("\t".join(line.split()) for line in text.splitlines())
        content = text.encode()
    frame, lines = parse_csv(content, text, source)
    return (_unwrapped(frame, source, options, lines)) if options.wrapped else (frame, lines)


def _is_spaced(text: str) -> bool:
    """Whether numbers stand in columns between spaces."""
    fields = text.lstrip().split("\n", 1)[0].split()
    return len(fields) > 1 and all(map(is_number, fields))


def _unwrapped(
    frame: "pl.DataFrame", source: str, options: SeriesOptions, lines: np.ndarray
) -> tuple["pl.DataFrame", np.ndarray]:
    """One column of what runs on from row to row."""
    import polars as pl

    if options.id is not None or options.target is not None or options.past or options.future or options.static:
        raise DataError(f"{source}: expected no names of columns for a series that runs on from row to row, got some.")
    values = np.stack([numbers_in(frame[name], source, lines) for name in frame.columns], axis=1)
    return pl.DataFrame({"value": values.reshape(-1)}), np.repeat(lines, values.shape[1])


def _indexed(frame: Any) -> "pl.DataFrame":
    """A pandas frame; its index is a column where it holds times."""
    if getattr(frame.index.dtype, "kind", "O") == "M":
        frame = frame.reset_index(names=frame.index.name or "time")
    return from_pandas(frame)


def _from_arrays(data: Any, options: SeriesOptions) -> SeriesData:
    if any((options.id, options.time, options.target, options.past, options.future, options.static)):
        raise DataError("memory: expected no names of columns with arrays, got some. Give a data frame.")
    whole = isinstance(data, np.ndarray) or type(data).__module__.startswith("torch")
    several = np.asarray(data) if whole else data
    if isinstance(several, np.ndarray) and several.dtype != object and several.ndim < 3:
        several = [several]
    values = [part.copy() for part in sequences_of(several, "memory")]
    for index, part in enumerate(values):
        if np.isinf(part).any() or not len(part) or np.isnan(part).all():
            raise DataError(
                f"memory, series {index}: expected finite numbers, got none or an infinite one. Correct it."
            )
    channels = values[0].shape[1]
    return SeriesData(
        values,
        target_names=("value",) if channels == 1 else default_channels(channels),
        season=options.season or 1,
        layout=f"{len(values)} series, steps counted",
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of a table in the order of series and time, as arrays; ``series [rows]`` numbers the series."""

    source: str
    lines: np.ndarray
    series: np.ndarray
    names: list[str] | None
    times: np.ndarray | None
    time_name: str
    values: np.ndarray
    past: np.ndarray
    future: np.ndarray

    def of(self, index: int) -> str:
        """How an error names series ``index``."""
        return "" if self.names is None else f" of series {self.names[index]}"


def _from_frame(frame: "pl.DataFrame", source: str, options: SeriesOptions, lines: np.ndarray) -> SeriesData:
    if not len(frame):
        raise DataError(f"{source}: expected rows of data, got none. Check where the table comes from.")
    frame = frame.rename({"": UNNAMED}) if "" in frame.columns else frame
    columns = frame.columns
    time = _time_column(frame, options)
    if UNNAMED in columns and time != UNNAMED:
        frame = frame.drop(UNNAMED)  # where pandas keeps its row numbers
    others = (*options.past, *options.future, *options.static)
    roles = ReadOptions(id=options.id, time=time, features=options.target, target=others, group=options.group)
    frame, found = assign_roles(frame, source, roles, lines, require_target=True)
    times = None if time is None else times_in(frame[time], source, lines)
    series, names = _numbered(None if options.id is None else names_in(frame[options.id], source, lines), len(frame))
    order = np.lexsort((np.arange(len(frame)), *(() if times is None else (times.moments,)), series))
    rows = _Rows(
        source,
        lines[order],
        series[order],
        names,
        None if times is None else times.moments[order],
        time or "",
        _numbers(frame, found.features, source, lines)[order],
        _numbers(frame, options.past, source, lines)[order],
        _numbers(frame, options.future, source, lines)[order],
    )
    _refuse_twice(rows, several=options.id is None)
    step = options.step if rows.times is not None and options.step is not None else _step(rows)
    bounds = np.searchsorted(rows.series, np.arange(rows.series[-1] + 2))
    if rows.times is not None and options.step is not None:
        _refuse_other_frequency(rows, bounds, options.step)
    parts = [_regular(rows, a, b, step) for a, b in pairwise(bounds.tolist())]
    notes = _notes([times.note] if times is not None else [], parts, known_ahead=bool(options.future))
    firsts = rows.lines[bounds[:-1]]
    data = SeriesData(
        [part.values for part in parts],
        None if rows.times is None else [part.times for part in parts],
        [part.past for part in parts] if options.past else None,
        [part.future for part in parts] if options.future else None,
        _statics(frame[order], options.static, rows, bounds) if options.static else None,
        target_names=found.features,
        past_names=options.past,
        future_names=options.future,
        static_names=options.static,
        ids=names,
        groups=None if options.group is None else _constant(frame[order], options.group, rows, bounds),
        step=step,
        season=options.season or season_of(step),
        source=source,
        rows=firsts.tolist(),
        notes=tuple(notes),
    )
    used = {*found.features, *others, options.id, time, options.group}
    ahead = sum(part.ahead for part in parts) if options.future else 0
    return replace(data, layout=_layout(data, time, ahead, [name for name in columns if name not in {*used, UNNAMED}]))


def _time_column(frame: "pl.DataFrame", options: SeriesOptions) -> str | None:
    """The column named, else the first of dates, one of whole numbers that is called so, or the rows' own name."""
    if options.time is not None:
        return None if options.time == COUNTED and COUNTED not in frame.columns else options.time
    taken = {options.id, options.group, *(options.target or ()), *options.past, *options.future, *options.static}
    free = [name for name in frame.columns if name not in taken]
    if (dates := next((name for name in free if looks_like_times(frame[name])), None)) is not None:
        return dates
    called = [name for name in free if name.lower() in TIME_NAMES or name == UNNAMED]
    return next((name for name in called if _all_whole(frame[name])), None)


def _all_whole(column: "pl.Series") -> bool:
    import polars as pl

    numbers = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    return bool(np.isfinite(numbers).all() and (numbers == np.round(numbers)).all())


def _numbered(names: list[str] | None, count: int) -> tuple[np.ndarray, list[str] | None]:
    """``[rows]`` the number of each row's series, in order of first appearance, and their names."""
    if names is None:
        return np.zeros(count, dtype=np.int64), None
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64), list(numbers)


def _numbers(frame: "pl.DataFrame", names: Sequence[str], source: str, lines: np.ndarray) -> np.ndarray:
    """``[rows, columns]`` float64, NaN where missing; infinite numbers are refused."""
    columns = [numbers_in(frame[name], source, lines) for name in names]
    for name, column in zip(names, columns, strict=True):
        if len(wrong := np.flatnonzero(np.isinf(column))):
            raise DataError(
                f"{source}, row {lines[wrong[0]]}, column {name}: expected a finite number, got "
                f"{column[wrong[0]]:g}. Correct it, or leave it empty if it is missing."
            )
        if np.isnan(column).all():
            raise DataError(
                f"{source}, column {name}: expected numbers, got only missing values. Leave the column out."
            )
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))


def _refuse_twice(rows: _Rows, *, several: bool) -> None:
    if rows.times is None:
        return
    twice = np.flatnonzero((np.diff(rows.series) == 0) & (rows.times[1:] == rows.times[:-1]))
    if not len(twice):
        return
    at = int(twice[0])
    advice = "If these are several series, name their column with --id." if several else "Take one of the two out."
    raise DataError(
        f"{rows.source}, row {rows.lines[at + 1]}, column {rows.time_name}: expected each time"
        f"{rows.of(int(rows.series[at]))} once, got {_shown(rows.times[at : at + 1])} as in row {rows.lines[at]}. "
        f"{advice}"
    )


def _shown(moments: np.ndarray) -> str:
    """The first of these times as text, without a clock at midnight."""
    if moments.dtype.kind != "M":
        return str(moments[0])
    midnight = moments[0] == moments[0].astype("datetime64[D]")
    return str(moments[0].astype("datetime64[D]" if midnight else "datetime64[s]")).replace("T", " ")


def _step(rows: _Rows) -> str | None:
    if rows.times is None:
        return None
    bounds = np.flatnonzero(np.diff(rows.series)) + 1
    return step_of(np.split(rows.times, bounds))


@dataclass(frozen=True)
class _Regular:
    """One series on regular steps; ``gaps`` and ``filled`` count what was not there, ``ahead`` the rows to forecast."""

    values: np.ndarray
    times: np.ndarray
    past: np.ndarray
    future: np.ndarray
    gaps: int
    filled: int
    ahead: int


def _regular(rows: _Rows, start: int, stop: int, step: str | None) -> _Regular:
    """Rows ``start`` to ``stop`` of one series, with a row of NaN at each step that is missing."""
    index = int(rows.series[start])
    count = stop - start
    places = np.arange(count)
    times = np.zeros(0)
    if rows.times is not None:
        moments = rows.times[start:stop]
        if step is not None:
            places = places_of(moments, step)
            _refuse_irregular(rows, start, places, step)
            times = moments_after(moments[0], step, np.arange(places[-1] + 1))
        else:
            times = moments
    total = int(places[-1]) + 1

    def spread(columns: np.ndarray) -> np.ndarray:
        full = np.full((total, columns.shape[1]), np.nan)
        full[places] = columns[start:stop]
        return full

    values = spread(rows.values)
    known = np.flatnonzero(~np.isnan(values).all(axis=1))
    if not len(known):
        raise DataError(
            f"{rows.source}, row {rows.lines[start]}: expected a known value{rows.of(index)}, got only missing ones. "
            "Leave the series out."
        )
    end = int(known[-1]) + 1
    gaps = int((np.diff(places) > 1).sum())
    return _Regular(
        values[:end], times[:end], spread(rows.past)[:end], spread(rows.future), gaps, total - count, total - end
    )


def _refuse_other_frequency(rows: _Rows, bounds: np.ndarray, step: str) -> None:
    """Raises DataError where the times are not those that a run was trained on: most are further apart, or nearer."""
    own = _step(rows)
    assert rows.times is not None
    if own is None or frequency_of(own) == frequency_of(step):
        return
    parts = [rows.times[a:b] for a, b in pairwise(bounds.tolist())]
    if (own[-1] == "i") == (step[-1] == "i"):  # dates and dates, or numbers and numbers
        places = [places_of(part, step) for part in parts]
        apart = np.concatenate([np.diff(part) for part in places])
        if min(int(part.min()) for part in places) >= 0 and (len(apart) < FEW or float(np.mean(apart == 1)) >= 0.5):
            return  # gaps
    raise DataError(
        f"{rows.source}, column {rows.time_name}: expected times as in training ({frequency_of(step)}), got others "
        f"({frequency_of(own)}). Bring them to these, or train on such data."
    )


def _refuse_irregular(rows: _Rows, start: int, places: np.ndarray, step: str) -> None:
    assert rows.times is not None
    index = int(rows.series[start])
    if len(wrong := np.flatnonzero(places < 0)):
        at = start + int(wrong[0])
        raise DataError(
            f"{rows.source}, row {rows.lines[at]}, column {rows.time_name}: expected regular times{rows.of(index)} "
            f"({frequency_of(step)}, as most are), got {_shown(rows.times[at:])} after {_shown(rows.times[at - 1 :])}. "
            f"Bring the series to regular times, or count its steps with --time {COUNTED}."
        )
    if places[-1] >= _MOST_FILLED * len(places) + 100:
        widest = start + int(np.argmax(np.diff(places)))
        raise DataError(
            f"{rows.source}, row {rows.lines[widest + 1]}, column {rows.time_name}: expected regular times"
            f"{rows.of(index)} ({frequency_of(step)}), got {len(places):,} rows for {places[-1] + 1:,} steps, with "
            f"nothing from {_shown(rows.times[widest:])} to {_shown(rows.times[widest + 1 :])}. Bring the series to "
            f"regular times, or count its steps with --time {COUNTED}."
        )


def _statics(
    frame: "pl.DataFrame", names: Sequence[str], rows: _Rows, bounds: np.ndarray
) -> list[tuple[float | str, ...]]:
    """One row a series: numbers where the column has nothing else, else categories."""
    columns: list[list[float | str]] = []
    for name in names:
        texts = _constant(frame, name, rows, bounds)
        if all(is_missing(text) or is_number(text) for text in texts):
            columns.append([float("nan") if is_missing(text) else float(text) for text in texts])
        else:
            columns.append(["" if is_missing(text) else text for text in texts])
    return list(zip(*columns, strict=True))


def _constant(frame: "pl.DataFrame", name: str, rows: _Rows, bounds: np.ndarray) -> list[str]:
    """The one value that each series has in a column, missing ones left out."""
    texts = np.array([text.strip() for text in texts_in(frame[name])], dtype=object)
    values = []
    for index, (start, stop) in enumerate(pairwise(bounds.tolist())):
        known = [at for at in range(start, stop) if texts[at].lower() not in MISSING]
        if other := [at for at in known if texts[at] != texts[known[0]]]:
            raise DataError(
                f"{rows.source}, row {rows.lines[other[0]]}, column {name}: expected one value{rows.of(index)}, got "
                f'"{shorten(texts[other[0]])}" after "{shorten(texts[known[0]])}". What changes in time is a '
                "covariate: data.series.past or data.series.future."
            )
        values.append(texts[known[0]] if known else "")
    return values


def _notes(notes: Iterable[str], parts: Sequence[_Regular], *, known_ahead: bool) -> list[str]:
    """What a user should know of how the rows became series."""
    told = [note for note in notes if note]
    if gaps := sum(part.gaps for part in parts):
        filled = sum(part.filled for part in parts)
        told.append(f"{_count(gaps, 'gap')}, {_count(filled, 'step')}, {'is' if gaps == 1 else 'are'} missing values")
    missing = sum(int(np.isnan(part.values).sum()) - part.filled * part.values.shape[1] for part in parts)
    if missing > 0:
        total = sum(part.values.size for part in parts)
        told.append(f"{missing:,} of {total:,} values are missing")
    if not known_ahead and (ahead := sum(part.ahead for part in parts)):
        told.append(f"{_count(ahead, 'row')} at the end without a known value left out: steps to forecast")
    return told


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _layout(data: SeriesData, time: str | None, ahead: int, unused: list[str]) -> str:
    """How the table was understood, so that a misunderstanding is seen before anyone trains on it."""
    times = "steps counted" if time is None else f'{data.frequency}, times in "{time}"'
    known = f"; {_count(ahead, 'row')} known ahead" if ahead else ""
    names = ", ".join(data.target_names[:8]) + (", ..." if len(data.target_names) > 8 else "")
    rest = f"; not used: {', '.join(unused[:6])}{', ...' if len(unused) > 6 else ''}" if unused else ""
    return f"{len(data):,} series, {times}; to forecast: {names}{known}{rest}"
