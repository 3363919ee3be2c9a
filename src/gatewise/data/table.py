"""A table to sequences: long form, one row a step; wide form, one row a sequence. From CSV, Parquet and data frames."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.columns import (
    Roles,
    assign_roles,
    changes_in,
    check_present,
    moments_in_time,
    names_in,
    numbers_in,
    texts_in,
)
from gatewise.data.dataset import ReadOptions, SequenceData, default_channels
from gatewise.data.delimited import parse_csv
from gatewise.data.fields import check_task, has_fractions, label_text, parse_targets
from gatewise.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def read_csv(content: bytes, text: str, source: str, options: ReadOptions, *, require_target: bool) -> SequenceData:
    """Reads a CSV file; see `from_frame` and ``parse_csv`` for what it raises."""
    frame, lines = parse_csv(content, text, source)
    return from_frame(frame, source, options, lines=lines, require_target=require_target)


def read_parquet(content: bytes, source: str, options: ReadOptions, *, require_target: bool) -> SequenceData:
    """Reads a Parquet file; its rows count from 0. See `from_frame` for what it raises."""
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{source}: expected a Parquet file, got damaged content ({reason}). Fetch it again."
        ) from error
    return from_frame(frame, source, options, require_target=require_target)


def from_frame(
    frame: "pl.DataFrame",
    source: str,
    options: ReadOptions,
    *,
    lines: np.ndarray | None = None,
    require_target: bool = True,
) -> SequenceData:
    """Sequences of a table: long form with a time column or ids that repeat, else wide form.

    Wide: the feature columns are the steps of one channel in column order; missing values at the end of a row mean a
    shorter sequence. Long: rows of one id belong together wherever they stand, sequences in order of first appearance.

    Args:
        frame: any columns; text is read as numbers where it is.
        source: what errors begin with.
        options: which column plays which role.
        lines: ``[rows]`` how errors number the rows; from 0 if None.
        require_target: whether a target that is absent or incomplete is an error; else there are no targets then.

    Returns:
        Sequences with the targets, ids and groups of the columns named.

    Raises:
        DataError: no rows, no such column, a column in two roles, text where a number belongs, a missing id, time or
            target, the same id and time twice, or a label or group that changes within a sequence.
    """
    check_task(options.task)
    if not len(frame):
        raise DataError(f"{source}: expected rows of data, got none. Check where the table comes from.")
    lines = np.arange(len(frame)) if lines is None else lines
    if not require_target and options.group not in frame.columns:
        options = replace(options, group=None)  # to predict, nobody needs to know whose sequence it is
    columns = frame.columns
    frame, roles = assign_roles(frame, source, options, lines, require_target=require_target)
    for name in (options.id, options.group):
        if name is not None:
            frame = frame.with_columns(_by_name(frame[name]))
    table = _Table(frame, source, options, roles, lines, require_target)
    repeats = options.id is not None and frame[options.id].n_unique() < len(frame)
    long = options.time is not None or repeats
    data = _long(table) if long else _wide(table)
    return replace(data, layout=_layout(roles, options, columns, long=long))


def _by_name(column: "pl.Series") -> "pl.Series":
    """Ids that are written in two ways, ``1`` and ``1.0``, are one."""
    import polars as pl

    written = column.drop_nulls().unique().cast(pl.String).to_list()
    names = {text: label_text(text) for text in written}
    if len(set(names.values())) == len(names):
        return column
    return column.cast(pl.String).replace(names)


def _layout(roles: Roles, options: ReadOptions, columns: Sequence[str], *, long: bool) -> str:
    """How the table was understood, so that a misunderstanding is seen before anyone trains on it."""
    first, last = roles.features[0], roles.features[-1]
    used = {*roles.features, *roles.targets, options.id, options.time, options.group}
    unused = [name for name in columns if name and name not in used]
    form = "long table, one row a step" if long else f"wide table, one row a sequence with steps {first} to {last}"
    return f"{form}; not used: {', '.join(unused[:6])}{', ...' if len(unused) > 6 else ''}" if unused else form


@dataclass(frozen=True)
class _Table:
    """A frame with everything that is needed to read it; ``lines`` numbers its rows."""

    frame: "pl.DataFrame"
    source: str
    options: ReadOptions
    roles: Roles
    lines: np.ndarray
    require_target: bool

    def rows(self, positions: np.ndarray) -> "_Table":
        """Some of the rows, in this order."""
        if len(positions) == len(self.lines) and (np.diff(positions) == 1).all():
            return self  # all of them, as they stand
        return replace(self, frame=self.frame[positions], lines=self.lines[positions])

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """``[rows, columns]`` float64 with NaN for missing values."""
        return np.stack([numbers_in(self.frame[name], self.source, self.lines) for name in names], axis=1)

    def names(self, column: str | None) -> list[str] | None:
        """Text of every row, or None without a column."""
        return None if column is None else names_in(self.frame[column], self.source, self.lines)

    def where(self, row: int, column: str) -> str:
        """How an error names a cell."""
        return f"{self.source}, row {self.lines[row]}, column {column}"


def _wide(table: _Table) -> SequenceData:
    steps = table.numbers(table.roles.features)  # [N, T]
    present = ~np.isnan(steps)
    if not (some := present.any(axis=1)).all():
        raise DataError(
            f"{table.source}, row {table.lines[np.argmin(some)]}: expected at least one value, got only missing ones. "
            "Leave the row out."
        )
    lengths = steps.shape[1] - np.argmax(present[:, ::-1], axis=1)  # up to the last value of each row
    return SequenceData(
        [row[:length, None] for row, length in zip(steps, lengths.tolist(), strict=True)],
        _row_targets(table),
        channels=default_channels(1),
        target_names=table.roles.targets,
        ids=table.names(table.options.id),
        groups=table.names(table.options.group),
        source=table.source,
        rows=table.lines.tolist(),
    )


def _long(table: _Table) -> SequenceData:
    options = table.options
    order, first = _order(table)
    starts = np.flatnonzero(np.diff(first[order], prepend=-1))  # where each sequence begins
    bounds = [*starts.tolist(), len(order)]
    ordered = table.rows(order)
    if options.group is not None and len(changed := _changes_within(ordered.frame[options.group], starts)):
        raise DataError(
            f"{ordered.where(int(changed[0]), options.group)}: expected one group a sequence, got another than in the "
            "row before. A group is the person or the machine that a sequence belongs to."
        )
    steps = ordered.numbers(table.roles.features)  # [rows, I]
    heads = ordered.rows(starts)
    return SequenceData(
        [steps[start:stop] for start, stop in pairwise(bounds)],
        _step_targets(ordered, bounds),
        channels=table.roles.features,
        target_names=table.roles.targets,
        ids=heads.names(options.id),
        groups=heads.names(options.group),
        source=table.source,
        rows=heads.lines.tolist(),
    )


def _order(table: _Table) -> tuple[np.ndarray, np.ndarray]:
    """``[rows]``: rows sorted by sequence, then time; and for each row, the first row of its sequence."""
    import polars as pl

    frame, options = table.frame, table.options
    first = np.zeros(len(frame), dtype=np.int64)
    if options.id is not None:
        check_present(frame[options.id], table.source, table.lines)
        numbered = pl.DataFrame({"id": frame[options.id], "row": np.arange(len(frame))})
        first = numbered.select(pl.col("row").min().over("id")).to_series().to_numpy()
    if options.time is None:
        return np.argsort(first, kind="stable"), first
    time = moments_in_time(frame[options.time], table.source, table.lines)
    order = np.lexsort((time, first))  # stable
    twice = np.flatnonzero((np.diff(first[order]) == 0) & (np.diff(time[order]) == 0))
    if len(twice):
        earlier, later = order[twice[0] : twice[0] + 2].tolist()
        sequence = "" if options.id is None else f" for id {frame[options.id][later]}"
        raise DataError(
            f"{table.where(later, options.time)}: expected each time once{sequence}, got "
            f"{frame[options.time][later]} as in row {table.lines[earlier]}. Take one of the two out."
        )
    return order, first


def _changes_within(column: "pl.Series", starts: np.ndarray) -> np.ndarray:
    """Rows of the sorted table that differ from the step before in the same sequence."""
    changed = changes_in(column)
    changed[starts] = False
    return np.flatnonzero(changed)


def _row_targets(table: _Table) -> list[Any] | None:
    """One target a row: labels or floats of one column, ``[K]`` of several."""
    if not table.roles.targets:
        return None
    if len(table.roles.targets) == 1:
        name = table.roles.targets[0]
        texts = texts_in(table.frame[name])
        return parse_targets(texts, table.options.task, lambda i: table.where(i, name), required=table.require_target)
    numbers = _numeric_targets(table)
    return None if numbers is None else list(numbers)


def _step_targets(ordered: _Table, bounds: list[int]) -> list[Any] | None:
    """One target a sequence where none changes within a sequence; else ``[T, K]``, one row a step."""
    starts = np.array(bounds[:-1])
    targets, task = ordered.roles.targets, ordered.options.task
    changed = {name: _changes_within(ordered.frame[name], starts) for name in targets}
    if not any(len(rows) for rows in changed.values()):
        return _row_targets(ordered.rows(starts))
    if len(targets) == 1 and task != "regression":
        column = ordered.frame[targets[0]]
        if task == "classification" or not has_fractions(texts_in(column)):
            row = int(changed[targets[0]][0])
            raise DataError(
                f"{ordered.where(row, targets[0])}: expected one label a sequence, "
                f'got "{column[row]}" after "{column[row - 1]}". A label for each step of numeric channels is not '
                "offered yet; give one label a sequence, or read numbers as a regression."
            )
    numbers = _numeric_targets(ordered)
    return None if numbers is None else [numbers[start:stop] for start, stop in pairwise(bounds)]


def _numeric_targets(table: _Table) -> np.ndarray | None:
    """``[rows, K]`` float64 without gaps; None if nothing is there, or too little and that is no error."""
    targets = table.roles.targets
    if table.options.task == "classification":
        raise DataError(
            f"{table.source}: expected one column of labels as target, got {', '.join(targets)}. Name one of them."
        )
    numbers = table.numbers(targets)
    gaps = np.isnan(numbers)
    if gaps.all() or (gaps.any() and not table.require_target):
        return None
    if gaps.any():
        row, column = np.argwhere(gaps)[0].tolist()
        raise DataError(
            f"{table.where(row, targets[column])}: expected a target, got none. Fill it in or leave the row out."
        )
    return numbers
