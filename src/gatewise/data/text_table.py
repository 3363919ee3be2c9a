"""`TextTable`: records that have named values - JSON lines, CSV, TSV, Parquet, data frames, lists of dicts."""

import contextlib
import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.data.delimited import parse_csv
from gatewise.data.fields import is_missing, is_number, label_text, parse_targets, shorten
from gatewise.data.files import decode, load_bytes, suffixes
from gatewise.errors import DataError, did_you_mean

FORMATS = {".jsonl": "JSON lines", ".json": "JSON", ".csv": "CSV", ".tsv": "TSV", ".parquet": "Parquet"}
UNASKED = ("", "id", "idx", "index")  # columns that nobody means unless they name them


@dataclass(frozen=True)
class TextTable:
    """Columns of equal length; a value that is missing is None.

    Attributes:
        columns: the values of each column, of whatever type the source gives them.
        rows: where each record stands in its file: line number from 1, or row of a table from 0; None for Python.
        source: what errors begin with.
        form: what the source is, in words.
    """

    columns: dict[str, list[Any]]
    rows: Sequence[int] | None
    source: str
    form: str

    def where(self, index: int, column: str) -> str:
        """How an error names a value."""
        place = f"text {index}" if self.rows is None else f"row {self.rows[index]}"
        return f"{self.source}, {place}, column {column}"

    def is_text(self, column: str) -> bool:
        """Whether a column holds text that is neither numbers nor empty throughout."""
        return any(
            isinstance(value, str) and not is_number(value) and not is_missing(value) for value in self.columns[column]
        )

    def texts(self, column: str) -> list[str]:
        """Every value of a column as text; raises DataError for one that is none."""
        for index, value in enumerate(self.columns[column]):
            check_text(value, self.where(index, column))
        return self.columns[column]

    def labels(self, column: str, *, required: bool) -> list[str] | None:
        """Every value as a label; None if all are missing, or some of them and that is no error."""
        values = self.columns[column]
        for index, value in enumerate(values):
            if not isinstance(value, str | int | float | None):
                raise DataError(
                    f"{self.where(index, column)}: expected a label, got {kind_of(value)}. A label is text or a number."
                )
        texts = ["" if value is None else str(value) for value in values]
        return parse_targets(texts, "classification", lambda index: self.where(index, column), required=required)

    def names(self, column: str | None, *, required: bool = True) -> list[str] | None:
        """Ids or groups: every value as text; None without such a column, where it is not required."""
        if column is None or (column not in self.columns and not required):
            return None
        self.check(column)
        values = self.columns[column]
        for index, value in enumerate(values):
            if value is None or value == "":
                raise DataError(f"{self.where(index, column)}: expected a name, got none. Fill it in.")
        return [label_text(str(value)) for value in values]

    def check(self, column: str) -> None:
        """Raises DataError unless there is such a column."""
        if column not in self.columns:
            raise DataError(
                f'{self.source}: expected a column "{column}", got none of that name. '
                f"{did_you_mean(column, self.columns)}"
            )

    def known(self, names: Sequence[str], taken: Sequence[str | None] = ()) -> str | None:
        """The first of these names that is a column, in whatever case, and not taken."""
        columns = {column.lower(): column for column in reversed(self.columns) if column not in taken}
        return next((columns[name] for name in names if name in columns), None)

    def only(self, taken: Sequence[str | None], *, textual: bool = False) -> str | None:
        """The one column that is left, not taken and not called id; None if there are none or several."""
        left = [column for column in self.columns if column not in taken and column.lower() not in UNASKED]
        left = [column for column in left if not textual or self.is_text(column)]
        return left[0] if len(left) == 1 else None

    def missing(self, role: str, names: Sequence[str]) -> DataError:
        """The error of a role that no column could be found for."""
        near = [column for column in self.columns if difflib.get_close_matches(column.lower(), names, n=1, cutoff=0.8)]
        example = f', perhaps "{shorten(near[0])}"' if near else ""
        return DataError(
            f'{self.source}: expected a column "{names[0]}", got {", ".join(map(shorten, self.columns))}. '
            f"Say which column is the {role}{example}."
        )

    def layout(self, *used: tuple[str, str | None]) -> str:
        """How the table was understood: pairs of a role and its column."""
        roles = [f'{role} from "{column}"' for role, column in used if column is not None]
        unused = [f'"{column}"' for column in self.columns if column not in {column for _, column in used}]
        rest = f"; not used: {', '.join(unused[:6])}{', ...' if len(unused) > 6 else ''}" if unused else ""
        return f"{self.form}: {', '.join(roles)}{rest}"


def check_text(value: Any, where: str) -> None:
    """Raises DataError unless a value is text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected text, got {kind_of(value)}. Give one text here.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{where}: expected text, got half a character, U+{ord(value[error.start]):04X}. "
                "Mend it where it was written."
            ) from error


def kind_of(value: Any) -> str:
    """A value as an error names it.

    >>> kind_of(None), kind_of(3), kind_of([1])
    ('none', 'the int 3', 'a list')
    """
    if value is None:
        return "none"
    if isinstance(value, int | float):
        return f"the {type(value).__name__} {value}"
    return f'the text "{shorten(value)}"' if isinstance(value, str) else f"a {type(value).__name__}"


def read_table(path: Path) -> TextTable:
    """Reads a file of one of ``FORMATS``.

    Args:
        path: of the file; ``.gz``, ``.xz`` and ``.bz2`` are unpacked.

    Returns:
        All its columns. A field of a CSV or TSV that is empty is an empty text, not a missing one.

    Raises:
        DataError: no such file, an empty or damaged one, a line that is not a JSON object, a header that cannot be one,
            a row of another width.
    """
    content, source, kind = load_bytes(path), str(path), suffixes(path)[0]
    if kind == ".parquet":
        return _parquet(content, source)
    text = decode(content, source)
    if kind in (".jsonl", ".json"):
        return _json(text, source)
    return _tsv(text, source) if kind == ".tsv" else _csv(content, text, source)


def table_of(data: Any) -> TextTable | None:
    """A Polars or pandas frame, or a list of mappings; None if it is something else."""
    library = type(data).__module__.split(".")[0]
    if library in ("polars", "pandas") and type(data).__name__ == "DataFrame":
        if library == "polars":
            columns = data.to_dict(as_series=False)
        else:
            columns = {str(name): _listed(column) for name, column in data.items()}
        return _checked(TextTable(columns, list(range(len(data))), "memory", f"{library} frame"))
    if isinstance(data, list | tuple) and data and all(isinstance(item, Mapping) for item in data):
        return _checked(TextTable(_columns(data), None, "memory", "list of dicts"))
    return None


def _checked(table: TextTable) -> TextTable:
    if not table.columns or not len(next(iter(table.columns.values()))):
        raise DataError(f"{table.source}: expected rows of data, got none. Check where the table comes from.")
    return table


def _listed(column: Any) -> list[Any]:
    """Values of a pandas column, None for whatever pandas calls missing."""
    gone = column.isna().tolist()
    return [None if missing else value for value, missing in zip(column.tolist(), gone, strict=True)]


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {str(name): [record.get(name) for record in records] for name in names}


def _parquet(content: bytes, source: str) -> TextTable:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{source}: expected a Parquet file, got damaged content ({reason}). Fetch it again."
        ) from error
    return _checked(TextTable(frame.to_dict(as_series=False), list(range(len(frame))), source, FORMATS[".parquet"]))


def _json(text: str, source: str) -> TextTable:
    """One object a line; blank lines are left out. Or one list of objects, whose rows count from 0."""
    if text.lstrip().startswith("["):
        found = _parsed(text, source)
        records, rows = (found, list(range(len(found)))) if isinstance(found, list) else ([found], [0])
    else:
        lines = [(row, line) for row, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows = [row for row, _ in lines]
        records = [_parsed(line, f"{source}, row {row}") for row, line in lines]
    for row, record in zip(rows, records, strict=True):
        if not isinstance(record, dict):
            raise DataError(
                f'{source}, row {row}: expected a JSON object such as {{"text": ...}}, got {kind_of(record)}. '
                "Write one object a line."
            )
    return _checked(TextTable(_columns(records), rows, source, FORMATS[".jsonl"]))


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{where}: expected a JSON object, got "{shorten(text[:200])}" ({error}). Write one object a line.'
        ) from error


def _csv(content: bytes, text: str, source: str) -> TextTable:
    with _long_fields(len(text)):
        frame, lines = parse_csv(content, text, source)
    _check_header(frame.columns, source)
    columns = {name: frame[name].fill_null("").to_list() for name in frame.columns}
    return TextTable(columns, lines.tolist(), source, FORMATS[".csv"])


def _tsv(text: str, source: str) -> TextTable:
    """Quotes are those of CSV where the whole file reads as such, else they are part of the text."""
    form = FORMATS[".tsv"]
    rows, records = _split(text)
    if '"' in text:
        quoted = _unquoted(text, len(records[0]) if records else 0)
        if quoted is None:
            form += " (quotes are part of the text)"
        else:
            rows, records = quoted
    if not records:
        raise DataError(f"{source}: expected rows of data, got none. Check how it was written.")
    names = [name.strip() for name in records[0]]
    _check_header(names, source)
    for row, record in zip(rows, records, strict=True):
        if len(record) != len(names):
            raise DataError(
                f"{source}, row {row}: expected {len(names)} fields as in the first line, got {len(record)}. "
                "Leave a missing value empty, and let no text contain a tab."
            )
    columns = {name: [record[place] for record in records[1:]] for place, name in enumerate(names)}
    return _checked(TextTable(columns, rows[1:], source, form))


def _split(text: str) -> tuple[list[int], list[list[str]]]:
    """Lines that are not blank, with their numbers, cut at the tabs."""
    lines = [(row, line.removesuffix("\r")) for row, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [row for row, _ in lines], [line.split("\t") for _, line in lines]


def _unquoted(text: str, width: int) -> tuple[list[int], list[list[str]]] | None:
    """The same with fields in quotes; None where the file does not read like that."""
    rows, records, begin = [], [], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        with _long_fields(len(text)):
            for record in reader:
                if any(record):
                    rows.append(begin)
                    records.append(record)
                begin = reader.line_num + 1
    except csv.Error:
        return None
    return (rows, records) if all(len(record) == width for record in records) else None


@contextlib.contextmanager
def _long_fields(size: int) -> Iterator[None]:
    """The csv module refuses fields above 128 KiB unless told otherwise; a text may be longer."""
    limit = csv.field_size_limit(max(size, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _check_header(names: Sequence[str], source: str) -> None:
    for name in names:
        if is_number(name):
            raise DataError(
                f'{source}, row 1: expected names of columns, got "{shorten(name)}". '
                "Begin the file with a line such as: label, text."
            )
        if list(names).count(name) > 1:
            raise DataError(
                f'{source}, row 1: expected different column names, got "{shorten(name)}" twice. Rename one, or begin '
                "the file with a line of names."
            )
