"""Reads recordings: folders, manifests, single files, and arrays in Python."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.audio_files import (
    SUFFIXES,
    Header,
    one_channel,
    read_header,
    read_samples,
    resampled_length,
)
from gatewise.data.fields import label_text
from gatewise.data.media import Loaded, MediaData, MediaOptions, left_out
from gatewise.data.recordings import MediaFiles, find_media, of_table
from gatewise.data.text_table import table_of
from gatewise.errors import DataError

NOUN = "recordings"


def read_audio(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """Recordings with their labels or transcripts; each is decoded when it is asked for.

    All are brought to one rate, ``options.rate`` or that of most of them, and to one channel, the mean. Headers are
    read now. Contents are read now where their format can hold numbers that are not finite, and with
    ``options.skip_bad``; else damage behind a good header is an error when the recording is first asked for.

    Args:
        data: a folder with one folder of recordings a class; a folder with ``metadata.csv`` (or ``.tsv``, ``.jsonl``)
            or the path of such a manifest, with the columns ``file_name`` and ``label`` or ``text``; a data frame or a
            list of dicts with them; a list of paths; a list of arrays ``[T]`` or ``[T, channels]``, floats from -1 to 1
            or integers of full scale, at ``options.rate``. Without targets also a single file, or a folder of them.
            `MediaData` is returned as it is.
        targets: a label or transcript for each, where ``data`` is a list; else None.
        options: roles of columns, the rate, and whether to leave out what cannot be read.
        texts: whether targets are transcripts rather than labels.
        require_target: whether recordings without targets are an error.

    Returns:
        The recordings; ids are names of files relative to the folder.

    Raises:
        DataError: no recordings, no targets, a manifest's mistakes with their rows; unless ``options.skip_bad``, a
            recording that is missing, damaged, empty or not finite, with its name and what is wrong.
    """
    if isinstance(data, MediaData):
        return data
    if isinstance(data, str | Path):
        if targets is not None:
            raise DataError(
                f"{data}: expected no separate targets with a folder or a manifest, got some. "
                "Name their column with data.target."
            )
        files = find_media(Path(data), options, SUFFIXES, NOUN, texts=texts, require_target=require_target)
        return _from_files(files, options, texts=texts)
    if (table := table_of(data)) is not None:
        files = of_table(table, Path(), options, texts=texts, require_target=require_target)
        return _from_files(files, options, texts=texts)
    items, answers = _listed(data, targets, texts=texts, require_target=require_target)
    if all(isinstance(item, str | Path) for item in items):
        paths = [Path(item) for item in items]
        files = MediaFiles(paths, [path.as_posix() for path in paths], "memory", "a list of paths", answers)
        return _from_files(files, options, texts=texts)
    return _from_arrays(items, answers, options, texts=texts)


# Files --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bad:
    """A recording that was left out, and why."""

    name: str
    reason: str


def _from_files(files: MediaFiles, options: MediaOptions, *, texts: bool) -> MediaData:
    bad: list[_Bad] = []
    headers: list[Header] = []
    good = []
    for index, path in enumerate(files.paths):
        try:
            headers.append(read_header(path))
            good.append(index)
        except DataError as error:
            bad.append(_left_out(files, index, error, options))
    _check_some(files, good, bad)
    rate = options.rate or _usual_rate(headers)
    files, skipped_before = files.keep(good), bad
    items = _lazy(files, headers, rate)
    found, more = _look_through(files, headers, items, options)
    if more:
        _check_some(files, found, [*skipped_before, *more])
        files, headers = files.keep(found), [headers[i] for i in found]
        items = _lazy(files, headers, rate)
    return MediaData(
        "audio",
        items,
        np.array([resampled_length(header.samples, header.rate, rate) for header in headers], dtype=np.int64),
        files.targets,
        texts=texts,
        rate=float(rate),
        ids=files.ids,
        groups=files.groups,
        rows=files.rows,
        source=files.source,
        layout=_layout(files.layout, headers, rate),
        skipped=_note([*skipped_before, *more], len(files)),
    )


def _lazy(files: MediaFiles, headers: Sequence[Header], rate: int) -> Loaded:
    def load(index: int) -> np.ndarray:
        try:
            return read_samples(files.paths[index], headers[index], rate)
        except DataError as error:
            raise _unreadable(files.where(index), error) from error

    return Loaded(load, len(files), files.paths)


def _look_through(
    files: MediaFiles, headers: Sequence[Header], items: Loaded, options: MediaOptions
) -> tuple[list[int], list[_Bad]]:
    """Decodes what may hold a surprise: which recordings are good, and what is wrong with the others."""
    good, bad = [], []
    for index, header in enumerate(headers):
        try:
            if header.any_number or options.skip_bad:
                items[index]
            good.append(index)
        except DataError as error:
            bad.append(_left_out(files, index, error, options))
    return good, bad


def _left_out(files: MediaFiles, index: int, error: DataError, options: MediaOptions) -> _Bad:
    """Raises unless what cannot be read may be left out."""
    cause = error.__cause__ if isinstance(error.__cause__, DataError) else error
    if not options.skip_bad:
        raise _unreadable(files.where(index), cause) from error
    return _Bad(files.ids[index], str(cause))


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(f"{where}: expected a recording, got {error}. Mend it, or leave it out with data.media.skip_bad.")


def _check_some(files: MediaFiles, good: Sequence[int], bad: Sequence[_Bad]) -> None:
    if not good:
        first = f"{bad[0].name} ({bad[0].reason})" if bad else "none"
        raise DataError(
            f"{files.source}: expected {NOUN} that can be read, got none of {len(bad)}, the first: {first}. "
            "Check the files."
        )


def _usual_rate(headers: Sequence[Header]) -> int:
    """That of most recordings; between equals the higher, which loses nothing."""
    counts = Counter(header.rate for header in headers)
    return max(counts, key=lambda rate: (counts[rate], rate))


def _layout(form: str, headers: Sequence[Header], rate: int) -> str:
    """How the source was understood, and what was resampled."""
    others = Counter(header.rate for header in headers if header.rate != rate)
    parts = [form]
    for other, count in sorted(others.items()):
        parts.append(f"{count:,} of {len(headers):,} {NOUN} resampled from {other:,} to {rate:,} Hz")
    return "; ".join(parts)


def _note(bad: Sequence[_Bad], kept: int) -> tuple[str, ...]:
    return left_out([f"{one.name} ({one.reason})" for one in bad], len(bad) + kept, NOUN)


# Python -------------------------------------------------------------------------------------------------------------


def _listed(data: Any, targets: Any, *, texts: bool, require_target: bool) -> tuple[list[Any], list[str] | None]:
    """Recordings and targets of two lists, or of a tuple of both."""
    if targets is None and isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], list | tuple):
        data, targets = data
    if not isinstance(data, list | tuple) and not (isinstance(data, np.ndarray) and data.ndim > 1):
        raise DataError(
            f"memory: expected a path, a data frame, or a list of paths or arrays, got {type(data).__name__}. "
            "Put a single recording into a list."
        )
    items = list(data)
    if not items:
        raise DataError(f"memory: expected {NOUN}, got an empty list. Check where they come from.")
    if targets is None:
        if require_target:
            raise DataError(f"memory: expected a target for each of {len(items)} {NOUN}, got none. Give targets.")
        return items, None
    answers = [str(target) if texts else label_text(str(target)) for target in targets]
    if len(answers) != len(items):
        raise DataError(f"memory: expected {len(items)} targets, one a recording, got {len(answers)}. Give one each.")
    return items, answers


def _from_arrays(
    items: Sequence[Any], targets: Sequence[str] | None, options: MediaOptions, *, texts: bool
) -> MediaData:
    if options.rate is None:
        raise DataError("memory: expected the samples a second of the arrays, got none. Say it with data.media.rate.")
    bad: list[_Bad] = []
    arrays: list[np.ndarray] = []
    good = []
    for index, item in enumerate(items):
        try:
            arrays.append(_one_array(item))
            good.append(index)
        except DataError as error:
            if not options.skip_bad:
                raise _unreadable(f"memory, recording {index}", error) from error
            bad.append(_Bad(str(index), str(error)))
    ids = [str(index) for index in range(len(items))]
    kept = MediaFiles([], ids, "memory", "a list of arrays")
    _check_some(kept, good, bad)
    return MediaData(
        "audio",
        arrays,
        np.array([len(array) for array in arrays], dtype=np.int64),
        None if targets is None else [targets[i] for i in good],
        texts=texts,
        rate=float(options.rate),
        ids=[ids[i] for i in good] if bad else None,
        layout="a list of arrays",
        skipped=_note(bad, len(arrays)),
    )


def _one_array(item: Any) -> np.ndarray:
    """``[T]`` float32 of an array or tensor; the reason in a DataError where it is none."""
    array = np.asarray(item)
    if array.ndim not in (1, 2) or not (np.issubdtype(array.dtype, np.number)) or np.iscomplexobj(array):
        raise DataError(f"{array.dtype} of shape {array.shape} instead of numbers [T] or [T, channels]")
    if not array.size:
        raise DataError("no samples")
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise DataError(f"more channels than samples, shape {array.shape}: turn it around")
    if np.issubdtype(array.dtype, np.integer):
        array = _of_full_scale(array)
    return one_channel(array)


def _of_full_scale(array: np.ndarray) -> np.ndarray:
    """Integers to -1 to 1; unsigned ones have silence in the middle."""
    limits = np.iinfo(array.dtype)
    half = (float(limits.max) - float(limits.min) + 1) / 2
    return ((array.astype(np.float64) - limits.min) / half - 1).astype(np.float32)
