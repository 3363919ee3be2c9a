"""CSV text to a polars frame of text columns, with the line of every row."""

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gatewise.data.dataset import default_channels
from gatewise.data.fields import counts_up, is_number
from gatewise.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = (",", ";", "\t", "|")


def parse_csv(content: bytes, text: str, source: str) -> tuple["pl.DataFrame", np.ndarray]:
    """Reads a whole file; the separator is told from the first line.

    A first line of numbers only is data, and the columns are called ``c0 c1 ...``; the exception is 0 1 2 ... or
    1 2 3 ..., which pandas writes as column names.

    Args:
        content: the bytes, for polars.
        text: the same, decoded.
        source: what errors begin with.

    Returns:
        The frame, every column text with null where nothing stands, and ``[rows]`` int64 line numbers from 1.

    Raises:
        DataError: only a header, a column name that occurs twice, a row of another width, or a quote without its end.
    """
    import polars as pl

    if "\r" in text and "\n" not in text:
        raise DataError(f"{source}: expected lines that end in a line feed, got carriage returns alone. Save it anew.")
    end = text.find("\n")
    first_line = (text if end < 0 else text[:end]).rstrip("\r")
    separator = max(SEPARATORS, key=first_line.count)
    header = next(csv.reader([first_line], delimiter=separator), [])
    has_header = not all(map(is_number, header)) or counts_up(header)
    names = [name.strip() for name in header] if has_header else list(default_channels(len(header)))
    _check_names(names, source)
    plain = default_channels(len(names))
    if has_header:  # polars leaves the quotes of a quoted quote in a name
        content = separator.join(plain).encode() + (content[content.index(b"\n") :] if end >= 0 else b"")
    try:
        frame = pl.read_csv(
            content,
            has_header=has_header,
            schema=dict.fromkeys(plain, pl.String),
            separator=separator,
            infer_schema=False,
        )
        frame.columns = names
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{source}: expected rows of data, got only a header. Check how it was written.") from error
    except pl.exceptions.PolarsError as error:
        _refuse_width(text, separator, len(names), source)
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{source}: expected a table with one record a line, got: {reason}. Check the quotes."
        ) from error
    lines = np.arange(len(frame), dtype=np.int64) + 1 + has_header
    a_line_each = '"' not in text or len(frame) + has_header == text.count("\n") + (not text.endswith("\n"))
    if not a_line_each:
        lines = np.array([line for line, _ in _records(text, separator)][has_header:], dtype=np.int64)
    if frame[names[-1]].null_count():
        suspects = lines[frame[:, -1].is_null().to_numpy()].tolist()
        records = _records_at(suspects, text, separator) if a_line_each else _records(text, separator)
        blank = _blank_lines(records, set(suspects), len(names), source)
        keep = ~np.isin(lines, blank)
        frame, lines = frame.filter(keep), lines[keep]
    if not len(frame):
        raise DataError(f"{source}: expected rows of data, got only a header. Check how it was written.")
    return frame, lines


def _check_names(names: list[str], source: str) -> None:
    if not names:
        raise DataError(f"{source}, row 1: expected column names, got an empty line. Begin with the header.")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f'{source}, row 1: expected different column names, got "{name}" twice. Rename one.')


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on; slow, for files with line breaks in quotes and for errors."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begin = 1
    for record in reader:
        yield begin, record
        begin = reader.line_num + 1


def _refuse_width(text: str, separator: str, width: int, source: str) -> None:
    for line, record in _records(text, separator):
        if record and len(record) != width:
            _refuse(source, line, width, len(record))


def _refuse(source: str, line: int, width: int, got: int) -> None:
    raise DataError(
        f"{source}, row {line}: expected {width} fields as in the first line, got {got}. "
        "Leave a missing value empty, and put text that contains the separator in quotes."
    )


def _records_at(wanted: list[int], text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records on these lines, where every record is one line."""
    lines = text.split("\n")
    for line in wanted:
        yield line, next(csv.reader([lines[line - 1].rstrip("\r")], delimiter=separator), [])


def _blank_lines(records: Iterator[tuple[int, list[str]]], suspects: set[int], width: int, source: str) -> list[int]:
    """Polars fills rows that are too short with null, and blank lines too: refuses the former, finds the latter.

    Only rows whose last value is null can be either; these are the suspects.
    """
    blank = []
    for line, record in records:
        if line not in suspects:
            continue
        if not any(field.strip() for field in record) and len(record) < max(width, 2):
            blank.append(line)
        elif len(record) != width:
            _refuse(source, line, width, len(record))
    return blank
