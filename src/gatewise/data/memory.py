"""From arrays in memory to sequences and targets: shapes told apart and checked once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewise.data.fields import check_task, parse_targets
from gatewise.errors import DataError


def sequences_of(x: Any, source: str, *, lengths: np.ndarray | None = None) -> list[np.ndarray]:
    """Each sequence as ``[T, I]`` float64.

    Args:
        x: ``[N, T, I]`` or ``[N, T]``; a list of ``[T, I]`` or ``[T]``; with ``lengths`` also
            ``[sum, I]`` or ``[sum]``.
        source: what errors begin with.
        lengths: ``[N]`` steps of each sequence.

    Returns:
        One array a sequence.

    Raises:
        DataError: another shape, unequal numbers of channels, values that are not numbers, or lengths that do not fit.
    """
    if isinstance(x, np.ndarray) and lengths is not None:
        parts: Sequence[Any] = _cut(x, np.asarray(lengths), source)
    elif isinstance(x, np.ndarray) and x.dtype != object and x.ndim not in (2, 3):
        raise DataError(
            f"{source}: expected sequences as [N, T, I] or [N, T], got an array of shape {x.shape}. "
            "Reshape it so that each step is one row of numbers."
        )
    else:
        parts = x
    sequences = [_sequence(part, f"{source}, sequence {i}") for i, part in enumerate(parts)]
    if not sequences:
        raise DataError(f"{source}: expected at least one sequence, got none. Check where the data comes from.")
    for i, sequence in enumerate(sequences):
        if sequence.shape[1] != sequences[0].shape[1]:
            raise DataError(
                f"{source}, sequence {i}: expected {sequences[0].shape[1]} channels as in the first one, "
                f"got {sequence.shape[1]}. A sequence is [T, I]; only T may differ."
            )
    return sequences


def targets_of(
    y: Any, lengths: Sequence[int], source: str, task: str | None, *, required: bool = True
) -> list[Any] | None:
    """One target a sequence, of one kind: labels, floats, ``[K]`` or, one row a step, ``[T, K]``.

    Args:
        y: one a sequence, as a list or an array: a label, a number, ``[K]`` numbers, or ``[T, K]`` with one row a
            step; or one row a step, end to end, as an array whose length is the sum.
        lengths: steps of each sequence.
        source: what errors begin with.
        task: as in `ReadOptions`.
        required: whether some missing among others is an error.

    Returns:
        One target a sequence, or None.

    Raises:
        DataError: another number of targets, unequal kinds, a missing one, or text where a number belongs.
    """
    check_task(task)
    if y is None:
        return None
    if not isinstance(y, Sequence | np.ndarray) or isinstance(y, str | bytes) or getattr(y, "ndim", 1) == 0:
        raise DataError(
            f"{source}: expected a list or an array of targets, one a sequence, got {_kind(y)}. "
            "Give each sequence its target."
        )
    total = sum(lengths)
    if isinstance(y, np.ndarray) and y.ndim and len(y) == total != len(lengths):
        y = np.split(y.reshape(total, -1), np.cumsum(lengths)[:-1])  # end to end, one row a step
    if len(y) != len(lengths):
        raise DataError(
            f"{source}: expected {len(lengths)} targets, one a sequence, got {len(y)}. Give each sequence its target."
        )
    if all(np.ndim(target) == 0 for target in y):
        texts = [_text(target) for target in y]
        return parse_targets(texts, task, lambda i: f"{source}, sequence {i}", required=required)
    vectors = [_vector(y[i], lengths[i], f"{source}, sequence {i}", task) for i in range(len(lengths))]
    for i, vector in enumerate(vectors):
        if vector.ndim != vectors[0].ndim or vector.shape[-1] != vectors[0].shape[-1]:
            raise DataError(
                f"{source}, sequence {i}: expected targets like the first ones, of shape {vectors[0].shape}, "
                f"got {vector.shape}. One row a step is [T, K], also where K is 1."
            )
    return vectors


def _cut(x: np.ndarray, lengths: np.ndarray, source: str) -> list[np.ndarray]:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise DataError(
            f"{source}: expected lengths as whole numbers of shape [N], none below 0, got {lengths.dtype} of shape "
            f"{lengths.shape}. Save the steps of each sequence."
        )
    if x.ndim == 3:
        if len(lengths) != len(x) or (lengths > x.shape[1]).any():
            raise DataError(
                f"{source}: expected {len(x)} lengths of at most {x.shape[1]} steps, got {len(lengths)} of at most "
                f"{lengths.max(initial=0)}. x [N, T, I] needs one for each row."
            )
        return [row[:length] for row, length in zip(x, lengths, strict=True)]
    if x.ndim not in (1, 2) or lengths.sum() != len(x):
        raise DataError(
            f"{source}: expected lengths that sum to the {len(x)} steps of x, got a sum of {lengths.sum()} "
            f"with x of shape {x.shape}. Sequences stand end to end in [sum, I]."
        )
    return np.split(x, np.cumsum(lengths)[:-1])


def _sequence(part: Any, where: str) -> np.ndarray:
    try:
        if isinstance(part, np.ma.MaskedArray):  # masked: missing, whatever number stands beneath
            part = np.ma.filled(part.astype(np.float64), np.nan)
        array = np.asarray(part)
        array = array.astype(np.float64) if array.dtype.kind in "biufO" else array
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{where}: expected an array of numbers, got {type(part).__name__} ({error}). Give [T, I]."
        ) from error
    if array.dtype != np.float64:
        raise DataError(f"{where}: expected numbers, got {array.dtype}. Turn text into numbers first.")
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise DataError(f"{where}: expected [T, I] or [T], got an array of shape {array.shape}. Reshape it.")
    return array[:, None] if array.ndim == 1 else array


def _kind(value: Any) -> str:
    return f"a single {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _text(target: Any) -> str:
    value = target.item() if hasattr(target, "item") else target
    if isinstance(value, bytes):  # as HDF5 and ARFF readers give text
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _vector(target: Any, steps: int, where: str, task: str | None) -> np.ndarray:
    """``[K]``, or ``[T, K]`` with one row a step."""
    array = np.asarray(target)
    if array.dtype.kind not in "biuf" or task == "classification":
        raise DataError(
            f"{where}: expected one label a sequence, got {array.shape} of them. A label for each step of numeric "
            "channels is not offered yet; give one a sequence, or numbers for a regression."
        )
    values = array.astype(np.float64)
    if values.ndim not in (1, 2):
        raise DataError(f"{where}: expected targets [K] or [T, K], got shape {array.shape}. Reshape them.")
    if values.ndim == 2 and len(values) != steps:
        raise DataError(f"{where}: expected one target a step, {steps} in all, got {len(values)}. Give each one.")
    if np.isnan(values).any():
        raise DataError(f"{where}: expected targets without gaps, got a missing one. Fill it in or leave it out.")
    return values
