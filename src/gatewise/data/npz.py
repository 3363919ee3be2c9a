"""``.npz``: NumPy's own archive of arrays, read without pickle."""

import io
import zipfile
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.data.dataset import ReadOptions, SequenceData, default_channels, refuse_columns
from gatewise.data.fields import shorten, target_names
from gatewise.data.memory import sequences_of, targets_of
from gatewise.errors import DataError, did_you_mean

KEYS = ("x", "y", "lengths", "ids", "groups")


def read_npz(content: bytes, source: str, options: ReadOptions, *, require_target: bool) -> SequenceData:
    """Reads ``x`` with the optional ``y``, ``lengths``, ``ids`` and ``groups``.

    Arrays of other names are left alone.

    ``x`` is ``[N, T, I]`` or ``[N, T]``; with ``lengths`` also all sequences end to end, ``[sum, I]`` or ``[sum]``.

    Args:
        content: of the file.
        source: what errors begin with.
        options: what targets are read as.
        require_target: whether some targets missing among others are an error.

    Returns:
        Sequences with whatever targets and names the file holds.

    Raises:
        DataError: options that name columns, a damaged archive, pickled objects, no ``x``, or sizes that do not fit one
            another.
    """
    arrays = load_arrays(content, source)
    if "x" not in arrays:
        raise DataError(
            f'{source}: expected an array "x", got {", ".join(arrays) or "none"}. Save it as np.savez(x=...).'
        )
    for name in sorted(arrays.keys() - set(KEYS)):  # others may stand beside them, but not misspelt ones
        if (hint := did_you_mean(name.lower(), KEYS)).startswith("Did you mean"):
            raise DataError(f'{source}: expected arrays {", ".join(KEYS)}, got "{name}". {hint}')
    unnamed = replace(  # an array may be named as what it is
        options,
        id=None if options.id == "ids" and "ids" in arrays else options.id,
        group=None if options.group == "groups" and "groups" in arrays else options.group,
        target=None if options.target == ("y",) and "y" in arrays else options.target,
    )
    advice = "An .npz file has no columns; leave out --{role}: it takes the arrays " + f"{', '.join(KEYS)}."
    refuse_columns(unnamed, source, advice, require_target=require_target)
    sequences = sequences_of(arrays["x"], source, lengths=arrays.get("lengths"))
    lengths = [len(sequence) for sequence in sequences]
    targets = targets_of(arrays.get("y"), lengths, source, options.task, required=require_target)
    return SequenceData(
        sequences,
        targets,
        channels=default_channels(sequences[0].shape[1]),
        target_names=target_names(targets),
        ids=_names(arrays.get("ids"), "ids", len(sequences), source),
        groups=_names(arrays.get("groups"), "groups", len(sequences), source),
        source=source,
    )


def load_arrays(content: bytes, source: str) -> dict[str, np.ndarray]:
    """Every array of an archive by its name; raises DataError for a damaged one, or for pickled objects."""
    try:
        archive: Any = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{source}: expected an archive of arrays, got a single one. Save it as np.savez(x=...).")
        with archive:
            return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        RuntimeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        pickled = "allow_pickle" in str(error)
        if pickled and zipfile.is_zipfile(io.BytesIO(content)):
            raise DataError(
                f"{source}: expected arrays of numbers or text, got pickled objects, which are never loaded. "
                "Save unequal sequences end to end with lengths."
            ) from error
        reason = "no zip archive" if pickled else shorten(str(error), 100)
        raise DataError(
            f"{source}: expected an .npz archive, got damaged content ({reason}). Save it again."
        ) from error


def _names(values: np.ndarray | None, key: str, count: int, source: str) -> list[str] | None:
    if values is None:
        return None
    if values.shape != (count,):
        raise DataError(
            f"{source}: expected {key} of shape ({count},), one a sequence, got {values.shape}. Save one for each."
        )
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
