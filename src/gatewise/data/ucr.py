"""The text format of the UCR archive: one line a sequence, its label first, then one value a step."""

import numpy as np

from gatewise.data.dataset import ReadOptions, SequenceData, default_channels
from gatewise.data.fields import parse_numbers, parse_targets, target_names
from gatewise.errors import DataError


def read_ucr(text: str, source: str, options: ReadOptions, *, require_target: bool) -> SequenceData:
    """Reads a whole file; values are separated by tabs, commas or spaces, told from the first line.

    Every line has the same number of fields; missing values at its end mean a shorter sequence.

    Args:
        text: of the file.
        source: what errors begin with.
        options: what targets are read as.
        require_target: whether some targets missing among others are an error.

    Returns:
        Sequences with whatever targets and names the file holds.

    Raises:
        DataError: a line of another width, one without any value, or text where a number belongs.
    """
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    separator = separator_of(lines[0][1])
    width = len(lines[0][1].split(separator))
    labels: list[str] = []
    sequences: list[np.ndarray] = []
    for number, line in lines:
        fields = line.split(separator)
        where = f"{source}, row {number}"
        if len(fields) != width or width < 2:
            wanted = f"{width} fields as in the first line" if width > 1 else "a label and values"
            raise DataError(
                f"{where}: expected {wanted}, got {len(fields)}. Fill shorter sequences up with NaN at the end."
            )
        labels.append(fields[0])
        values = parse_numbers(fields[1:], lambda i, where=where: f"{where}, column {i + 2}")  # type: ignore[misc]
        present = np.flatnonzero(~np.isnan(values))
        if not len(present):
            raise DataError(f"{where}: expected at least one value, got only missing ones. Leave the line out.")
        sequences.append(values[: present[-1] + 1, None])
    rows = [number for number, _ in lines]
    targets = parse_targets(
        labels, options.task, lambda i: f"{source}, row {rows[i]}, column 1", required=require_target
    )
    return SequenceData(
        sequences, targets, channels=default_channels(1), target_names=target_names(targets), source=source, rows=rows
    )


def separator_of(line: str) -> str | None:
    """Tab or comma if the line has one, else None: any white space."""
    return next((separator for separator in ("\t", ",") if separator in line), None)
