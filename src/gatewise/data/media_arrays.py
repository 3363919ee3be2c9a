"""Drawings, pictures and films that stand in arrays: an ``.npz`` file, or Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gatewise.data.fields import NO_LABEL, label_text
from gatewise.data.files import load_bytes
from gatewise.data.media import MediaOptions
from gatewise.data.npz import load_arrays
from gatewise.data.recordings import TEXTS
from gatewise.errors import DataError, did_you_mean

LABELS = ("label", "y", "class")


class Answers(NamedTuple):
    """Targets and names that stand beside arrays, as in `MediaData`."""

    targets: list[str] | None
    texts: bool
    classes: tuple[str, ...] | None
    ids: list[str] | None
    groups: list[str] | None
    told: str


def read_arrays(path: Path, names: Sequence[str]) -> tuple[dict[str, np.ndarray], str]:
    """All arrays of an ``.npz`` file, and which of ``names`` holds the data.

    Raises:
        DataError: none of them is there, or what `load_arrays` raises.
    """
    arrays = load_arrays(load_bytes(path), str(path))
    key = next((name for name in names if name in arrays), None)
    if key is None:
        wanted = " or ".join(f'"{name}"' for name in names)
        raise DataError(
            f"{path}: expected an array {wanted}, got {', '.join(arrays) or 'none'}. "
            f"Save it as np.savez({names[0]}=...)."
        )
    return arrays, key


def cut(rows: np.ndarray, lengths: np.ndarray | None, source: str, key: str, *, steps_axis: int) -> list[np.ndarray]:
    """One array an item, without copies.

    Args:
        rows: all items end to end, or stacked with one axis more; with ``lengths`` those are cut to them.
        lengths: ``[N]`` steps of each, or None for stacked items of equal length.
        source: what errors begin with.
        key: what the array is called.
        steps_axis: dimensions of one item, its steps first.

    Raises:
        DataError: lengths that do not fit, or no lengths with items end to end.
    """
    stacked = rows.ndim == steps_axis + 1
    if not stacked and rows.ndim != steps_axis:
        raise DataError(
            f"{source}: expected {key} with {steps_axis} dimensions end to end or {steps_axis + 1} stacked, "
            f"got shape {rows.shape}. Reshape it."
        )
    if lengths is None:
        if not stacked:
            raise DataError(
                f"{source}: expected lengths beside {key} of shape {rows.shape}, got none. "
                "Save the steps of each item as lengths."
            )
        return list(rows)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise DataError(
            f"{source}: expected lengths as whole numbers of shape [N], none below 0, got {lengths.dtype} of shape "
            f"{lengths.shape}. Save the steps of each item."
        )
    if stacked:
        if len(lengths) != len(rows) or (lengths > rows.shape[1]).any():
            raise DataError(
                f"{source}: expected {len(rows)} lengths of at most {rows.shape[1]} steps, got {len(lengths)} of at "
                f"most {lengths.max(initial=0)}. Save one for each item."
            )
        return [row[:length] for row, length in zip(rows, lengths, strict=True)]
    if int(lengths.sum()) != len(rows):
        raise DataError(
            f"{source}: expected lengths that sum to the {len(rows)} steps of {key}, got a sum of {lengths.sum()}. "
            "Items stand end to end."
        )
    return np.split(rows, np.cumsum(lengths)[:-1])


def answers_of(
    arrays: dict[str, np.ndarray], count: int, source: str, options: MediaOptions, *, texts: bool, require_target: bool
) -> Answers:
    """Targets, names and groups that stand beside the data.

    ``text`` holds transcripts; ``label`` or ``y`` classes, as text, or as numbers with their names in ``classes``.

    Args:
        arrays: of the file.
        count: items.
        source: what errors begin with.
        options: names of other arrays for target, id and group.
        texts: targets must be transcripts.
        require_target: whether a named target that is absent, or one that is missing, is an error.

    Raises:
        DataError: an array that is named and not there, or of another length; a label beyond ``classes``.
    """
    key, are_texts = _target_key(arrays, source, options, texts=texts, require_target=require_target)
    classes = None
    targets: list[str] | None = None
    if key is not None:
        targets = _column(arrays[key], key, count, source, as_it_is=are_texts)
        missing = [i for i, target in enumerate(targets) if target.strip().lower() in NO_LABEL]
        if missing and require_target:
            raise DataError(f"{source}, item {missing[0]}, {key}: expected a target, got none. Fill it in.")
        targets = None if missing else targets
        if not are_texts and "classes" in arrays and arrays[key].dtype.kind in "iu":
            classes = tuple(_column(arrays["classes"], "classes", len(arrays["classes"]), source))
            targets = None if targets is None else [_class(number, classes, source, key) for number in arrays[key]]
    ids = options.id or ("ids" if "ids" in arrays else "names" if "names" in arrays else None)
    group = options.group
    for name, role in ((ids, "id"), (group, "group")):
        if name is not None and name not in arrays and require_target:
            raise DataError(f'{source}: expected an array "{name}" for {role}, got none. {did_you_mean(name, arrays)}')
    return Answers(
        targets,
        are_texts,
        classes,
        _column(arrays[ids], ids, count, source) if ids in arrays else None,
        _column(arrays[group], group, count, source) if group in arrays else None,
        "no targets" if key is None else f'{"text" if are_texts else "label"} from "{key}"',
    )


def _target_key(
    arrays: dict[str, np.ndarray], source: str, options: MediaOptions, *, texts: bool, require_target: bool
) -> tuple[str | None, bool]:
    named = options.target
    if named is not None and (require_target or named in arrays):
        if named not in arrays:
            raise DataError(f'{source}: expected an array "{named}", got none. {did_you_mean(named, arrays)}')
        return named, texts or named.lower() in TEXTS
    key = next((name for name in (*TEXTS, *LABELS) if name in arrays), None)
    return key, texts or key in TEXTS


def _column(values: np.ndarray, key: str, count: int, source: str, *, as_it_is: bool = False) -> list[str]:
    if values.shape != (count,):
        raise DataError(f"{source}: expected {key} of shape ({count},), got {values.shape}. Save one for each item.")
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    return texts if as_it_is else [label_text(text) for text in texts]


def _class(number: Any, classes: tuple[str, ...], source: str, key: str) -> str:
    if not 0 <= number < len(classes):
        raise DataError(
            f"{source}, {key}: expected numbers from 0 to {len(classes) - 1}, the places in classes, got {number}. "
            "Correct it."
        )
    return classes[int(number)]


def usable(
    items: Sequence[np.ndarray], check: Any, source: str, *, skip_bad: bool
) -> tuple[list[int], tuple[str, ...]]:
    """Places of the items that ``check(item, where)`` lets through; the others raise, or are told where skipped.

    Raises:
        DataError: an item of no use that may not be skipped, or none is left.
    """
    kept, skipped = [], []
    for place, item in enumerate(items):
        try:
            check(item, f"{source}, item {place}")
        except DataError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
        else:
            kept.append(place)
    if not kept:
        raise DataError(f"{source}: expected items of use, got none. {skipped[0] if skipped else 'It is empty.'}")
    return kept, tuple(skipped)
