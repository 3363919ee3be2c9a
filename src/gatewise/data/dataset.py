"""`SequenceData`: what every reader returns and everything after it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.errors import DataError


@dataclass(frozen=True)
class SequenceData:
    """Sequences of one kind with their targets, as read: nothing scaled, padded or filled in.

    Attributes:
        sequences: one ``[T, I]`` float64 array each (T may differ, I may not); a missing value is NaN.
        targets: None, or one a sequence: a ``str`` (a class label, always text), a ``float``, a ``[K]`` float array,
            or a ``[T, K]`` float array with one row a step. All of the same kind.
        channels: names of the I input channels; ``default_channels(I)`` where the source names none.
        target_names: names of the K target values of a regression; one name for a label.
        classes: labels that the file itself declares (``@classLabel`` of .ts), in its order; None without.
        ids: the name of each sequence in its file; None where it has none.
        groups: the group of each sequence (a person, a machine); None unless asked for.
        source: the file, or ``"memory"``; errors begin with it.
        layout: how a table was understood, in words; empty for other formats.
        rows: where each sequence stands in its file (line number from 1, or row of a table), for errors; may be None.
    """

    sequences: Sequence[np.ndarray]
    targets: Sequence[Any] | None = None
    channels: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    source: str = "memory"
    rows: Sequence[int] | None = None
    layout: str = ""

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def noun(self) -> str:
        """What one of them is called, in the plural."""
        return "sequences"

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each sequence."""
        return np.array([len(sequence) for sequence in self.sequences], dtype=np.int64)

    def subset(self, indices: Sequence[int] | np.ndarray) -> "SequenceData":
        """The sequences at these positions, in this order."""

        def pick(values: Sequence[Any] | None) -> list[Any] | None:
            return None if values is None else [values[int(i)] for i in indices]

        return replace(
            self,
            sequences=pick(self.sequences) or [],
            targets=pick(self.targets),
            ids=pick(self.ids),
            groups=pick(self.groups),
            rows=pick(self.rows),
        )

    def where(self, index: int) -> str:
        """How an error names sequence ``index``: file and line where known, else its number."""
        return place_in_source(self.source, index, rows=self.rows, ids=self.ids, noun="sequence")


def place_in_source(
    source: str, index: int, *, rows: Sequence[int] | None, ids: Sequence[str] | None, noun: str
) -> str:
    """How an error names one of the data: file and line where known, else its number.

    >>> place_in_source("a.csv", 1, rows=[2, 5], ids=["x", "y"], noun="text")
    'a.csv, row 5 (id y)'
    """
    name = f" (id {ids[index]})" if ids is not None else ""
    return f"{source}, row {rows[index]}{name}" if rows is not None else f"{source}, {noun} {index}{name}"


@dataclass(frozen=True)
class ReadOptions:
    """How a table becomes sequences; formats that say it themselves (.ts, .npz, arrays) take only ``task``.

    Long form (one row a step) with a ``time`` column or where the values of ``id`` repeat, else wide form (one row a
    sequence, its features are the steps of one channel).

    Attributes:
        id: column that names the sequence a row belongs to (long form; without it the table is one sequence), or the
            row's own name (wide form).
        time: column to sort the steps by (long form), numbers or dates; default: the order in the file.
        features: input columns; default: every numeric column with a name that has no other role.
        target: the answer; one column, or several for a regression. In long form a value that changes within a
            sequence is one answer a step.
        group: column that names whose sequence it is.
        task: what the targets are read as: ``"classification"`` (labels, kept as text) or ``"regression"`` (numbers);
            None decides from the file: numbers with a fraction are a regression, all else is labels.
    """

    id: str | None = None
    time: str | None = None
    features: tuple[str, ...] | None = None
    target: tuple[str, ...] | None = None
    group: str | None = None
    task: str | None = None


def default_channels(count: int) -> tuple[str, ...]:
    """Names for channels that have none.

    >>> default_channels(3)
    ('c0', 'c1', 'c2')
    """
    return tuple(f"c{i}" for i in range(count))


def refuse_columns(options: ReadOptions, source: str, advice: str, *, require_target: bool) -> None:
    """Refuses options that name columns, for a source that has none.

    Args:
        options: as the user gave them.
        source: what errors begin with.
        advice: the end of the message; ``{role}`` stands for the option.
        require_target: pass False for data to predict on, which may lack the target column of the training data.

    Raises:
        DataError: a column is named.
    """
    for role in ("id", "time", "features", "target", "group"):
        if (named := getattr(options, role)) and (role != "target" or require_target):
            got = named if isinstance(named, str) else ", ".join(named)
            raise DataError(f'{source}: expected no column for {role}, got "{got}". {advice.format(role=role)}')
