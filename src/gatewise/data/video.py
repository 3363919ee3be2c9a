"""`read_video`: clips of frames or of skeletons, from files and from Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.clips import ENDINGS, count_frames, even, fit_array, read_clip
from gatewise.data.files import suffixes
from gatewise.data.media import Loaded, MediaData, MediaOptions, left_out
from gatewise.data.media_arrays import Answers, answers_of, cut, read_arrays, usable
from gatewise.data.picture_files import find_pictures, probed, targets_in_python
from gatewise.errors import DataError


def read_video(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """Reads clips, with a class for each.

    Args:
        data: films: a folder with one folder a class, a manifest, a single file, or a list of paths. ``.npz`` of
            frames: ``x`` uint8 ``[N, T, H, W]`` or ``[N, T, H, W, 1 or 3]``, or end to end with ``lengths``; of
            skeletons: ``x`` of fractions ``[N, T, joints, 3 or 4]`` (the fourth, a confidence, is left out), or end to
            end with ``lengths``; beside them ``label`` or ``y``, with ``classes`` for numbers. In Python: a list of
            such arrays, or a tuple (clips, targets); or `MediaData`, which is returned as it is.
        targets: one a clip, where ``data`` does not hold them itself.
        options: which columns, size and number of frames, what to do with files of no use.
        texts: refused: films are not transcribed.
        require_target: whether some targets missing among others are an error.

    Returns:
        Items of kind ``"frames"``, or ``"skeletons"``. Frames of files are ``size x size`` pixels of three colours:
        the longer side scaled to ``size``, black at both sides of the shorter one; without a size, to the longer side
        of the first clip. Frames in arrays are made smaller where they are larger, and else stay.

    Raises:
        DataError: a file that is missing, damaged or of another kind; shapes that do not fit; names file and item.
    """
    if isinstance(data, MediaData):
        return data
    if texts:
        raise DataError("video: expected class labels, got transcripts. Name the column of the label with --target.")
    if isinstance(data, tuple) and len(data) == 2 and targets is None:
        data, targets = data
    if isinstance(data, str | Path) and suffixes(Path(data))[0] == ".npz":
        return _of_npz(Path(data), options, require_target=require_target)
    if hasattr(data, "shape") or (isinstance(data, Sequence) and len(data) and hasattr(data[0], "shape")):
        arrays = [np.asarray(item) for item in data]
        answers = targets_in_python(targets, len(arrays), texts=False)
        return _clips(arrays, "memory", options, Answers(answers, False, None, None, None, "arrays"))
    return _of_files(data, targets, options, require_target=require_target)


def _of_npz(path: Path, options: MediaOptions, *, require_target: bool) -> MediaData:
    arrays, key = read_arrays(path, ("x", "frames", "joints"))
    rows, lengths, source = arrays[key], arrays.get("lengths"), str(path)
    if rows.dtype.kind == "f":
        axes = 3
    elif rows.dtype == np.uint8:
        axes = 4 if rows.shape[-1] in (1, 3) and rows.ndim >= 4 else 3
    else:
        raise DataError(
            f"{source}: expected frames as uint8 or skeletons as fractions in {key}, got {rows.dtype}. Convert them."
        )
    clips = cut(rows, lengths, source, key, steps_axis=axes)
    answers = answers_of(arrays, len(clips), source, options, texts=False, require_target=require_target)
    if answers.texts and answers.targets is not None:
        raise DataError(f"{source}: expected class labels, got transcripts. Save them as label.")
    return _clips(clips, source, options, answers._replace(told=f'arrays "{key}", {answers.told}'))


def _clips(clips: list[np.ndarray], source: str, options: MediaOptions, answers: Answers) -> MediaData:
    """Clips in memory, with what stands beside them."""
    kept, skipped = usable(clips, _check, source, skip_bad=options.skip_bad)
    first = clips[kept[0]]
    for place in kept:
        if clips[place].shape[1:] != first.shape[1:] or clips[place].dtype.kind != first.dtype.kind:
            raise DataError(
                f"{source}, item {place}: expected frames of shape {first.shape[1:]} as in the first, got "
                f"{clips[place].shape[1:]}. Only the number of frames may differ."
            )
    chosen = [clips[place][even(len(clips[place]), options.frames)] for place in kept]
    skeletons = first.dtype.kind == "f"
    items: Sequence[np.ndarray]
    layout = answers.told
    if skeletons:
        items = [clip[..., :3].astype(np.float32) for clip in chosen]
        layout += f"; skeletons of {first.shape[1]} joints"
    else:
        items = Loaded(lambda i: fit_array(chosen[i], options.size), len(chosen))
        layout += f"; frames of {' x '.join(map(str, items[0].shape[1:]))}"

    def pick(values: list[str] | None) -> list[str] | None:
        return None if values is None else [values[place] for place in kept]

    return MediaData(
        "skeletons" if skeletons else "frames",
        items,
        np.array([len(clip) for clip in chosen], dtype=np.int64),
        pick(answers.targets),
        classes=answers.classes,
        ids=pick(answers.ids),
        groups=pick(answers.groups),
        source=source,
        layout=layout,
        skipped=left_out(skipped, len(clips), "clips"),
    )


def _check(clip: np.ndarray, where: str) -> None:
    joints = clip.dtype.kind == "f" and clip.ndim == 3 and clip.shape[2] in (3, 4)
    frames = clip.dtype == np.uint8 and (clip.ndim == 3 or (clip.ndim == 4 and clip.shape[3] in (1, 3)))
    if not (joints or frames):
        raise DataError(
            f"{where}: expected frames [T, H, W] or [T, H, W, 1 or 3] as uint8, or joints [T, J, 3 or 4] with "
            f"fractions, got {clip.dtype} of shape {clip.shape}. Convert them."
        )
    if not clip.size:
        raise DataError(f"{where}: expected a clip, got shape {clip.shape}. Leave it out.")


def _of_files(data: Any, targets: Any, options: MediaOptions, *, require_target: bool) -> MediaData:
    files, texts = find_pictures(data, targets, options, ENDINGS, "films", require_target=require_target)
    if texts and files.targets is not None:
        raise DataError(f"{files.source}: expected class labels, got transcripts. Name the column with --target.")

    def probe(path: Path) -> tuple[int, int]:
        frames, shape = count_frames(path)
        if options.skip_bad:  # what the container says does not tell whether the rest can be read
            read_clip(path, np.arange(frames), shape, claimed=frames)
        return frames, max(shape)

    found, files, skipped = probed(files, probe, skip_bad=options.skip_bad)
    size = options.size or found[0][1]
    wanted = [even(frames, options.frames) for frames, _ in found]
    told = f"every frame is fitted into {size} x {size}, what is left is black"
    return MediaData(
        "frames",
        Loaded(
            lambda i: read_clip(files.paths[i], wanted[i], (size, size), claimed=found[i][0]), len(wanted), files.paths
        ),
        np.array([len(places) for places in wanted], dtype=np.int64),
        files.targets,
        ids=files.ids,
        groups=files.groups,
        rows=files.rows,
        source=files.source,
        layout=f"{files.layout}; {told}",
        skipped=left_out(skipped, len(files) + len(skipped), "films"),
    )
