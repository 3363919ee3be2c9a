"""Which sequences a user means, and how they are read: one rule for all that looks inside a run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.data.corpus import CorpusAdapter
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.errors import DataError, OptionError
from gatewise.tasks import SIDES, Data
from gatewise.types import Example

if TYPE_CHECKING:
    from gatewise.api.run import Run

Rows = Sequence[int] | int
"""Numbers of sequences as the data set counts them, from 0; never how many."""


class Picked(NamedTuple):
    """One sequence.

    Attributes:
        row: its number.
        data: it alone, as read; of a language model all of the text.
        example: it as the model takes it.
    """

    row: int
    data: Data
    example: Example


def read_answered(run: "Run", data: Any, targets: Any = None, *, windows: bool = False) -> Data:
    """Data as read, with their answers where every sequence has one.

    Args:
        run: whose data they are.
        data: as in :func:`gatewise.train`, or as ``run.read`` gave them, which are left as they are; default: the run's
            own test file.
        targets: one a sequence, where ``data`` has none in it.
        windows: of series the windows whose answers are known; else their ends, which are yet to be forecast.

    Raises:
        DataError: the data cannot be read, do not fit the run, or have targets of their own.
    """
    found: Data
    if isinstance(data, Data):
        if targets is not None:
            raise DataError(f"{data.source}: expected no separate targets with data as read, got some. Leave them out.")
        found = data
    elif data is None:
        found = run.read(None, targets, require_target=True)
    else:
        found = SIDES[run.config.task].read(data, targets, run.config.data, run.adapter, False)
    if isinstance(found, SeriesData):
        return found if windows or found is data else replace(found, targets=None)
    partly = found.targets is not None and any(target is None for target in found.targets)
    return replace(found, targets=None) if partly else found


def checked_rows(rows: Any, count: int, *, source: str, noun: str, name: str = "rows") -> list[int]:
    """Row numbers as a list.

    Args:
        rows: one or several whole numbers, of Python or of numpy.
        count: how many sequences there are.
        source: of the data.
        noun: what a sequence is called, in the plural.
        name: of the option: ``"row"`` takes one number.

    Raises:
        OptionError: something else, a row that there is not, or one that is named twice.
        DataError: there are no sequences.

    Example:
        >>> checked_rows(np.array([2, 0]), 3, source="a.csv", noun="sequences")
        [2, 0]
    """
    if count == 0:
        raise DataError(f"{source}: expected at least one sequence, got none. Give some.")
    try:
        asked = [rows] if name == "row" or isinstance(rows, str | bytes) else list(rows)
    except TypeError:  # a single one
        asked = [rows]
    if not asked or not all(_whole(row) for row in asked):
        what = "the number of a row" if name == "row" else "numbers of rows"
        raise OptionError(f"{name}: expected {what}, got {rows!r}. Rows count from 0.")
    for row in asked:
        if not 0 <= row < count:
            raise OptionError(f"{name}: expected 0 to {count - 1}, got {row}. {source} has {count:,} {noun}.")
    if len(set(asked)) < len(asked):
        raise OptionError(f"{name}: expected each row once, got {[*map(int, asked)]}. Leave the second one out.")
    return [int(row) for row in asked]


def checked_count(count: Any, rows: Any = None) -> int | None:
    """How many sequences; None where nobody says.

    Raises:
        OptionError: it is no whole number from 1, or ``rows`` are named too.
    """
    if count is None:
        return None
    if not _whole(count) or count < 1:
        raise OptionError(f"count: expected at least 1, got {count!r}. It counts sequences.")
    if rows is not None:
        raise OptionError(f"count: expected none with rows, got {count}. Rows say which sequences, count how many.")
    return int(count)


def picked(run: "Run", data: Data, rows: Rows, *, name: str = "rows") -> tuple[list[Picked], Sequence[Example]]:
    """The sequences of these rows, and all stretches of a text that is read on; nothing else is encoded in full.

    Args:
        run: whose data they are.
        data: as read.
        rows: of a language model stretches of the text, of a forecaster windows.
        name: of the option, ``"rows"`` or ``"row"``.

    Returns:
        The sequences; and all examples where they are stretches or windows of what is read, else those of the rows.

    Raises:
        OptionError, DataError: as :func:`checked_rows`.
    """
    adapter: Any = run.adapter
    noun = {CorpusAdapter: "stretches", SeriesAdapter: "windows"}.get(type(adapter))
    if noun is None:
        chosen = checked_rows(rows, len(data), source=data.source, noun=data.noun, name=name)
        found = adapter.encode(data.subset(chosen))
        return [Picked(row, data.subset([row]), found[place]) for place, row in enumerate(chosen)], found
    whole = adapter.encode(data)
    chosen = checked_rows(rows, len(whole), source=data.source, noun=noun, name=name)
    return [Picked(row, _until(data, whole, row), whole[row]) for row in chosen], whole


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _until(data: Data, whole: Any, row: int) -> Data:
    """The one series of a window, up to its end: nothing after it is looked at; a text as it is."""
    if not isinstance(data, SeriesData):
        return data
    series, origin = whole.place(row)
    one = data.subset([series])
    return replace(one, values=[one.values[0][:origin]])
