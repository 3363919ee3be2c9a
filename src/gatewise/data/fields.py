"""From text fields to numbers and targets; shared by all formats, so that "missing" and "label" mean one thing."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewise.errors import DataError, OptionError, did_you_mean

MISSING = frozenset({"", "?", "na", "n/a", "<na>", "nan", "null", "none"})  # in lower case
NO_LABEL = MISSING - {"null", "none"}  # these two are names of classes
TASKS = ("classification", "regression")
_INTEGRAL = re.compile(r"[+-]?\d+\.\d*(e[+-]?\d+)?", re.IGNORECASE)


def is_missing(text: str) -> bool:
    """Whether a field holds no value: empty, ``?``, ``NA``, ``N/A``, ``NaN``, ``null`` or ``None``, in any case."""
    return text.strip().lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a field is a number; a missing value is none."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def counts_up(texts: Sequence[str]) -> bool:
    """Whether fields read 0 1 2 ... or 1 2 3 ..., as column names that a program made up do."""
    return bool(texts) and list(texts) in ([str(i) for i in range(len(texts))], [str(i + 1) for i in range(len(texts))])


def parse_numbers(texts: Sequence[str], where: Callable[[int], str]) -> np.ndarray:
    """``[T]`` float64; missing values are NaN.

    Args:
        texts: one field a value.
        where: names field ``i`` in an error.

    Returns:
        The numbers, in the order of the fields.

    Raises:
        DataError: a field that is neither a number nor missing.
    """
    try:
        return np.array(list(map(float, texts)), dtype=np.float64)  # all are numbers: the usual case, and the fast one
    except ValueError:
        return np.array([_number(text, i, where) for i, text in enumerate(texts)], dtype=np.float64)


def _number(text: str, index: int, where: Callable[[int], str]) -> float:
    try:
        return float(text)
    except ValueError:
        if is_missing(text):
            return math.nan
        raise DataError(
            f'{where(index)}: expected a number, got "{shorten(text)}". Correct it, or leave it empty if it is missing.'
        ) from None


def label_text(text: str) -> str:
    """A label as it is kept: trimmed, and a whole number without its decimals.

    >>> [label_text(text) for text in (" 1.0", "-1.0000000e+00", "007", "walking")]
    ['1', '-1', '007', 'walking']
    """
    text = text.strip()
    if _INTEGRAL.fullmatch(text) and (number := float(text)).is_integer():
        return str(int(number))
    return text


def check_task(task: str | None) -> None:
    """Raises OptionError unless the task is one of ``TASKS`` or None."""
    if task is not None and task not in TASKS:
        raise OptionError(f'task: expected {" or ".join(TASKS)}, got "{task}". {did_you_mean(task, TASKS)}')


def parse_targets(
    texts: Sequence[str], task: str | None, where: Callable[[int], str], *, required: bool = True
) -> list[Any] | None:
    """One target a sequence: labels (``str``) or numbers (``float``); None if there is none at all.

    Args:
        texts: one field a sequence.
        task: ``"classification"``, ``"regression"``, or None: numbers of which one has a fraction are a regression.
        where: names field ``i`` in an error.
        required: whether some missing among others is an error; else they give None together.

    Returns:
        The targets, or None.

    Raises:
        DataError: a missing target among others, or text where a regression needs a number.
    """
    check_task(task)
    missing = [text.strip().lower() in NO_LABEL for text in texts]
    if all(missing) or (any(missing) and not required):
        return None
    if any(missing):
        raise DataError(f"{where(missing.index(True))}: expected a target, got none. Fill it in or leave the row out.")
    if task is None:
        task = "regression" if has_fractions(texts) else "classification"
    if task == "classification":
        return [label_text(text) for text in texts]
    return [_number(text, i, where) for i, text in enumerate(texts)]


def has_fractions(texts: Sequence[str]) -> bool:
    """Whether all fields are numbers and at least one of them is not whole; missing ones do not count."""
    try:
        numbers = np.array([float(text) for text in texts if not is_missing(text)])
    except ValueError:
        return False
    return bool((np.isfinite(numbers) & (numbers != np.round(numbers))).any())


def target_names(targets: Sequence[Any] | None) -> tuple[str, ...]:
    """Names where the source has none: ``label``, ``target``, or ``y0 y1 ...`` for several values."""
    if not targets:
        return ()
    if isinstance(targets[0], str):
        return ("label",)
    return tuple(f"y{k}" for k in range(np.shape(targets[0])[-1])) if np.ndim(targets[0]) else ("target",)


def shorten(text: str, most: int = 40) -> str:
    """Text as an error quotes it, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."
