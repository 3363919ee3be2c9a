"""The ``.ts`` format of the UEA and UCR archives: a header of ``@`` lines, then one line a sequence.

Channels are separated by ``:``, values by ``,``; the last field is the label or the target where the header says so.
"""

from dataclasses import dataclass

import numpy as np

from gatewise.data.dataset import ReadOptions, SequenceData, default_channels, refuse_columns
from gatewise.data.fields import is_missing, label_text, parse_numbers, parse_targets, shorten, target_names
from gatewise.errors import DataError


@dataclass(frozen=True)
class _Header:
    """What the ``@`` lines say; ``first`` is the number of the line after ``@data``."""

    first: int
    channels: int | None
    classes: tuple[str, ...] | None
    answer: str | None  # "classification", "regression", or None where lines end without one


def read_ts(text: str, source: str, options: ReadOptions, *, require_target: bool) -> SequenceData:
    """Reads a whole file.

    Args:
        text: of the file.
        source: what errors begin with.
        options: what targets are read as.
        require_target: whether some targets missing among others are an error.

    Returns:
        Sequences with whatever targets and names the file holds.

    Raises:
        DataError: options that name columns, no header or no data, another number of channels than declared,
            channels of unequal length in one line, a label that is not declared, time stamps, or text where a
            number belongs; names row and column.
    """
    advice = "A .ts file has no columns; leave out --{role}."
    refuse_columns(options, source, advice, require_target=require_target)
    lines = text.split("\n")
    header = _header(lines, source)
    channels = header.channels
    sequences: list[np.ndarray] = []
    answers: list[str] = []
    rows: list[int] = []
    for number, line in enumerate(lines[header.first - 1 :], start=header.first):
        line = line.strip()  # noqa: PLW2901
        if not line or line.startswith("#"):
            continue
        parts = line.split(":")
        if header.answer:
            answers.append(parts.pop())
        if channels is None:
            channels = len(parts)
        sequences.append(_sequence(parts, channels, f"{source}, row {number}"))
        rows.append(number)
    if not sequences:
        raise DataError(f"{source}: expected sequences after @data, got none. The file holds only a header.")

    def where(index: int) -> str:
        return f"{source}, row {rows[index]}"

    task = options.task or header.answer
    targets = parse_targets(answers, task, where, required=require_target) if header.answer else None
    classes = header.classes if task == "classification" else None
    for index, target in enumerate(targets or ()):
        if classes is not None and target not in classes:
            raise DataError(
                f"{where(index)}: expected a label that @classLabel declares ({', '.join(classes)}), "
                f'got "{shorten(target)}". Correct the label or add it to the header.'
            )
    return SequenceData(
        sequences,
        targets,
        channels=default_channels(sequences[0].shape[1]),
        target_names=target_names(targets),
        classes=classes,
        source=source,
        rows=rows,
    )


def _header(lines: list[str], source: str) -> _Header:
    entries: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0].lower()
        if not key.startswith("@"):
            raise DataError(
                f'{source}, row {number}: expected a line that begins with @ before @data, got "{shorten(line)}". '
                "A .ts file has a header; see the format's description."
            )
        if key == "@data":
            return _understand(entries, number + 1, source)
        entries[key] = words[1:]
    raise DataError(f"{source}: expected a line @data, got only a header. The sequences follow after it.")


def _understand(entries: dict[str, list[str]], first: int, source: str) -> _Header:
    if _says_true(entries.get("@timestamps")):
        raise DataError(
            f"{source}: expected values without time stamps, got @timeStamps true. "
            "Write the values alone, one a step, and @timeStamps false."
        )
    declared = entries.get("@dimensions") or entries.get("@dimension")
    if declared and not (declared[0].isdecimal() and len(declared[0]) < 10 and int(declared[0])):
        raise DataError(
            f'{source}: expected a number after @dimensions, got "{shorten(declared[0])}". '
            "Write how many channels, 1 or more."
        )
    channels = int(declared[0]) if declared else 1 if _says_true(entries.get("@univariate")) else None
    if _says_true(labels := entries.get("@classlabel")):
        return _Header(
            first, channels, tuple(dict.fromkeys(map(label_text, (labels or [])[1:]))) or None, "classification"
        )
    return _Header(first, channels, None, "regression" if _says_true(entries.get("@targetlabel")) else None)


def _says_true(words: list[str] | None) -> bool:
    return bool(words) and words is not None and words[0].lower() == "true"


def _sequence(parts: list[str], channels: int, where: str) -> np.ndarray:
    """``[T, I]`` from the channels of one line."""
    if parts and parts[0].lstrip().startswith("("):
        raise DataError(
            f"{where}: expected plain values, got time stamps in (time, value) pairs. Write the values alone."
        )
    if len(parts) != channels:
        raise DataError(
            f"{where}: expected {channels} channels, got {len(parts)}. Channels are separated by a colon, "
            "and the answer comes last."
        )
    columns = [_channel(part, c, where) for c, part in enumerate(parts)]
    for c, column in enumerate(columns):
        if len(column) != len(columns[0]):
            raise DataError(
                f"{where}, column c{c}: expected {len(columns[0])} values as in the first channel, got {len(column)}. "
                "Write ? for what is missing."
            )
    return np.stack(columns, axis=1)


def _channel(part: str, channel: int, where: str) -> np.ndarray:
    if is_missing(part):
        return np.full(1, np.nan)
    return parse_numbers(part.split(","), lambda step: f"{where}, column c{channel}, step {step}")
