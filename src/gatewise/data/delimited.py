"""CSV text to a polars frame of text columns, with the line of every row."""

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gatewise.data.dataset import default_channels
from gatewise.data.fields import is_number
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

    end = text.find("\n")
    first_line = (text if end < 0 else text[:end]).rstrip("\r")
    separator = max(SEPARATORS, key=first_line.count)
    header = next(csv.reader([first_line], delimiter=separator), [])
    has_header = not all(map(is_number, header)) or _counts_up(header)
    names = [name.strip() for name in header] if has_header else list(default_channels(len(header)))
    _check_names(names, source)
    try:
        frame = pl.read_csv(
            content,
            has_header=has_header,
            schema=dict.fromkeys(names, pl.String),
            separator=separator,
            infer_schema=False,
        )
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{source}: expected rows of data, got only a header. Check how it was written.") from error
    except pl.exceptions.PolarsError as error:
        _refuse_width(text, separator, len(names), source)
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{source}: expected a table with one record a line, got: {reason}. Check the quotes."
        ) from error
    lines = np.arange(len(frame), dtype=np.int64) + (2 if has_header else 1)
    in_one_line = '"' not in text or text.rstrip("\n").count("\n") + 1 == len(frame) + has_header
    if not in_one_line:
        numbers = [number for number, _ in _records(text, separator)]
        lines = np.array(numbers[-len(frame) :] if len(frame) else [], dtype=np.int64)
    if frame[names[-1]].null_count():
        frame, lines = _check_short(frame, lines, text, separator, source)
    if not len(frame):
        raise DataError(f"{source}: expected rows of data, got only a header. Check how it was written.")
    return frame, lines


def _counts_up(header: list[str]) -> bool:
    return header in ([str(i) for i in range(len(header))], [str(i + 1) for i in range(len(header))])


def _check_names(names: list[str], source: str) -> None:
    if not names:
        raise DataError(f"{source}, row 1: expected column names, got an empty line. Begin with the header.")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f'{source}, row 1: expected different column names, got "{name}" twice. Rename one.')


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on; slow, for files with line breaks in quotes and for errors."""
    reader = csv.reader(text.split("\n"), delimiter=separator)
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


def _check_short(
    frame: "pl.DataFrame", lines: np.ndarray, text: str, separator: str, source: str
) -> tuple["pl.DataFrame", np.ndarray]:
    """Rows too short end in null, as do rows whose last value is missing; blank lines are left out."""
    suspects = set(lines[frame[:, -1].is_null().to_numpy()].tolist())
    blank = set()
    in_one_line = len(lines) < 2 or int(lines[-1] - lines[0]) == len(lines) - 1
    records: Iterator[tuple[int, list[str]]]
    if in_one_line:
        all_lines = text.split("\n")
        rows = ((n, all_lines[n - 1].rstrip("\r") if n <= len(all_lines) else "") for n in sorted(suspects))
        records = ((n, next(csv.reader([row], delimiter=separator), [])) for n, row in rows)
    else:
        records = _records(text, separator)
    for line, record in records:
        if line in suspects and len(record) != len(frame.columns):
            if not any(field.strip() for field in record):
                blank.add(line)
            else:
                _refuse(source, line, len(frame.columns), len(record))
    if len(frame.columns) == 1:
        blank = suspects
    if not blank:
        return frame, lines
    keep = ~np.isin(lines, list(blank))
    return frame.filter(keep), lines[keep]
