"""The columns of a table: which plays which role, and what stands in them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gatewise.data.dataset import ReadOptions
from gatewise.data.fields import MISSING, label_text, shorten
from gatewise.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

DATE = r"^\d{4}([-/]\d\d([-/]\d\d([T ]\d\d:\d\d(:\d\d([.]\d+)?)?Z?)?)?)?$"


@dataclass(frozen=True)
class Roles:
    """The input columns and the target columns; the other roles are as in `ReadOptions`."""

    features: tuple[str, ...]
    targets: tuple[str, ...]


def assign_roles(
    frame: "pl.DataFrame", source: str, options: ReadOptions, lines: np.ndarray, *, require_target: bool
) -> tuple["pl.DataFrame", Roles]:
    """Holds the options against the table; features not named are the numeric columns that have no other role.

    A column without a name, where pandas keeps its row numbers, is never a feature unless asked for. Text of which
    most are numbers counts as numeric: that the rest are not is then an error, rather than silently a column less.

    Args:
        frame: the whole table.
        source: what errors begin with.
        options: the columns asked for.
        lines: ``[rows]`` how errors number the rows.
        require_target: whether an absent target column is an error.

    Returns:
        The columns that have a role, the features among them as float64 with NaN for missing values; and the roles.

    Raises:
        DataError: no such column, a column in two roles, no feature, or one that holds something else than numbers.
    """
    import polars as pl

    targets = options.target or ()
    if not require_target and any(name not in frame.columns for name in targets):
        targets = ()
    given = [name for name in (options.id, options.time, options.group) if name is not None]
    taken = [*given, *targets, *(options.features or ())]
    for name in taken:
        if name not in frame.columns:
            raise DataError(
                f'{source}: expected a column "{name}", got none of that name. {did_you_mean(name, frame.columns)}'
            )
        if taken.count(name) > 1:
            raise DataError(f'{source}: expected one role for the column "{name}", got two. Name another column.')
    named = options.features
    free = [name for name in frame.columns if name and name not in (*taken, *(options.target or ()))]
    features = []
    for name in free if named is None else named:
        numbers, wrong = _to_numbers(frame[name])
        if named is None and (numbers is None or len(wrong) > np.count_nonzero(~np.isnan(numbers))):
            continue  # a column of text
        _refuse(frame[name], numbers, wrong, source, lines)
        features.append(pl.Series(name, numbers))
    if not features:
        raise DataError(f"{source}: expected columns of numbers as features, got none. Name them.")
    roles = Roles(tuple(column.name for column in features), targets)
    return pl.DataFrame([*(_readable(frame[name], source, lines) for name in (*given, *targets)), *features]), roles


def _readable(column: "pl.Series", source: str, lines: np.ndarray) -> "pl.Series":
    """The column, bytes as text; raises DataError for lists, structures and Python objects."""
    import polars as pl

    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise DataError(
            f"{source}, column {column.name}: expected one text, number or time a row, got {column.dtype}. "
            "Name another column."
        )
    if column.dtype != pl.Binary:
        return column
    for row, value in enumerate(column):
        try:
            (value or b"").decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}, row {lines[row]}, column {column.name}: expected UTF-8 text, got the byte "
                f"0x{value[error.start]:02x}. Save the column as text."
            ) from error
    return column.cast(pl.String)


def numbers_in(column: "pl.Series", source: str, lines: np.ndarray) -> np.ndarray:
    """``[rows]`` float64; missing values are NaN.

    Args:
        column: of the table.
        source: what errors begin with.
        lines: ``[rows]`` how errors number the rows.

    Returns:
        The numbers of the column.

    Raises:
        DataError: text that is no number, or a column of another kind such as dates; names row and column.
    """
    numbers, wrong = _to_numbers(column)
    _refuse(column, numbers, wrong, source, lines)
    assert numbers is not None
    return numbers


def _refuse(column: "pl.Series", numbers: np.ndarray | None, wrong: np.ndarray, source: str, lines: np.ndarray) -> None:
    if numbers is None:
        raise DataError(
            f"{source}, column {column.name}: expected numbers, got {column.dtype}. Leave it out of the features."
        )
    if len(wrong):
        raise DataError(
            f"{source}, row {lines[wrong[0]]}, column {column.name}: expected a number, "
            f'got "{shorten(str(column[int(wrong[0])]))}". Correct it, or leave it empty if it is missing.'
        )


def names_in(column: "pl.Series", source: str, lines: np.ndarray) -> list[str]:
    """Text of every row, as ids and groups are kept.

    Args:
        column: of the table.
        source: what errors begin with.
        lines: ``[rows]`` how errors number the rows.

    Returns:
        One text a row.

    Raises:
        DataError: a row without one.
    """
    check_present(column, source, lines)
    return [label_text(text) for text in texts_in(column)]


def check_present(column: "pl.Series", source: str, lines: np.ndarray) -> None:
    """Raises DataError at the first row where nothing stands."""
    import polars as pl

    absent = column.is_null() | (column == "" if column.dtype == pl.String else column.is_null())
    if absent.any():
        raise DataError(
            f"{source}, row {lines[int(absent.arg_max() or 0)]}, column {column.name}: expected a value, got none. "
            "Fill it in or leave the row out."
        )


def texts_in(column: "pl.Series") -> list[str]:
    """Text of every row; empty where nothing stands."""
    import polars as pl

    texts: list[str] = column.cast(pl.String).fill_null("").to_list()
    return texts


def moments_in_time(column: "pl.Series", source: str, lines: np.ndarray) -> np.ndarray:
    """``[rows]`` numbers in the order of time: from numbers, dates and times, or text that is one of these.

    Args:
        column: of the table.
        source: what errors begin with.
        lines: ``[rows]`` how errors number the rows.

    Returns:
        Numbers to sort by; equal ones are the same time.

    Raises:
        DataError: a row without a time, or text in another form; dates are written year first.
    """
    import polars as pl

    check_present(column, source, lines)
    if column.dtype.is_temporal():
        return column.to_physical().to_numpy()
    numbers, wrong = _to_numbers(column)
    if numbers is not None and not len(wrong) and not np.isnan(numbers).any():
        return numbers
    texts = column.cast(pl.String).str.strip_chars()
    dates = texts.str.contains(DATE)
    if not dates.all():
        row = int((~dates).arg_max() or 0)
        raise DataError(
            f"{source}, row {lines[row]}, column {column.name}: expected a number or a date such as 2024-05-31 or "
            f'2024-05-31T12:00:00, got "{shorten(texts[row])}". Write it so, or leave --time out to keep the order.'
        )
    # year first, so the order of the text is the order of time
    return texts.str.replace_all("/", "-").str.replace("T", " ").str.strip_chars("Z").rank("dense").to_numpy()


def changes_in(column: "pl.Series") -> np.ndarray:
    """``[rows]`` bool: True where a value differs from the one in the row above; the first row is False."""
    changed: np.ndarray = column.ne_missing(column.shift(1)).to_numpy().copy()
    changed[:1] = False
    return changed


def _to_numbers(column: "pl.Series") -> tuple[np.ndarray | None, np.ndarray]:
    """Numbers ``[rows]`` with NaN, and the rows where something else stands; None for kinds that are never numbers."""
    import polars as pl

    none = np.empty(0, dtype=np.int64)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy(), none
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return None, none
    texts = column.cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    suspects = np.flatnonzero((numbers.is_null() & texts.is_not_null()).to_numpy())
    if len(suspects):
        missing = texts[suspects].str.to_lowercase().is_in(list(MISSING)).to_numpy()
        suspects = suspects[~missing]
    return numbers.fill_null(float("nan")).to_numpy(), suspects
