"""`read_handwriting`: strokes of a pen, or images of lines, from files and from Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.files import suffixes
from gatewise.data.images import ENDINGS, image_size, is_dark_on_light, line_of, read_image, width_when_scaled
from gatewise.data.inkml import CLASSES, Ink, read_inkml
from gatewise.data.media import Loaded, MediaData, MediaOptions, left_out
from gatewise.data.media_arrays import Answers, answers_of, cut, read_arrays, usable
from gatewise.data.picture_files import find_pictures, probed, targets_in_python
from gatewise.data.recordings import TEXTS, MediaFiles
from gatewise.data.strokes import as_drawing, checked_points
from gatewise.errors import DataError

LOOKED_AT = 8  # images that are decoded to tell what was understood


def read_handwriting(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """Reads drawings or images of lines, with a class or a transcript for each.

    Args:
        data: ``.npz``: all points end to end, ``xy`` or ``x [sum, 2 or 3]`` with ``lengths``, or ``[N, T, 2 or 3]``;
            the pen in the third column or in ``pen_up``, 1 at the end of a stroke; y counts downwards, as on a
            screen, unless ``y_up`` is true; or images ``x [N, H, W]``, or their
            columns end to end ``[sum, H]`` with ``lengths``. Beside them ``text``, or ``label`` or ``y`` (with
            ``classes``, the names of numbered labels). ``.inkml``: a file or a folder. Images: a folder with one
            folder a class, or a manifest. In Python: a list of arrays ``[T, 2 or 3]`` or of images ``[H, W]``, of
            paths, or a tuple (items, targets); or `MediaData`, which is returned as it is.
        targets: one an item, where ``data`` does not hold them itself; classes, unless ``options.target`` is "text".
        options: which columns, the height of lines, what to do with files of no use.
        texts: targets must be transcripts; else the source says it: a ``text`` is one, a ``label`` a class.
        require_target: whether some targets missing among others are an error.

    Returns:
        Items of kind ``"strokes"`` or ``"lines"``.

    Raises:
        DataError: a file that is missing, damaged or of another kind; shapes that do not fit; names file and item.
    """
    if isinstance(data, MediaData):
        return data
    if isinstance(data, tuple) and len(data) == 2 and targets is None:
        data, targets = data
    if isinstance(data, str | Path):
        path = Path(data)
        if suffixes(path)[0] == ".npz":
            return _of_npz(path, options, texts=texts, require_target=require_target)
    elif _holds_arrays(data):
        return _of_arrays(data, targets, options, texts=texts)
    ink = _is_ink(data)
    files, texts = find_pictures(
        data,
        targets,
        options,
        (".inkml",) if ink else ENDINGS,
        "drawings" if ink else "images",
        texts=texts,
        require_target=require_target and not ink,  # their answers may be in the files themselves
    )
    if not ink and any(path.suffix.lower() == ".inkml" for path in files.paths):
        ink = True
        if not all(path.suffix.lower() == ".inkml" for path in files.paths):
            raise DataError(f"{files.source}: expected .inkml files or images, got both. Put them into two tables.")
    if ink:
        return _of_inkml(files, options, texts=texts, require_target=require_target)
    return _of_images(files, options, texts=texts)


def _is_ink(data: Any) -> bool:
    """Whether a path is that of an InkML file, or of a folder that has one."""
    if not isinstance(data, str | Path):
        return False
    path = Path(data)
    return suffixes(path)[0] == ".inkml" or (path.is_dir() and next(path.rglob("*.inkml"), None) is not None)


def _holds_arrays(data: Any) -> bool:
    if hasattr(data, "shape"):
        return True
    return isinstance(data, Sequence) and bool(len(data)) and not isinstance(data[0], str | Path | dict)


def _of_npz(path: Path, options: MediaOptions, *, texts: bool, require_target: bool) -> MediaData:
    arrays, key = read_arrays(path, ("xy", "x"))
    source, rows, lengths = str(path), arrays[key], arrays.get("lengths")
    if rows.dtype.kind not in "biuf":
        raise DataError(f"{source}: expected numbers in {key}, got {rows.dtype}. Save points or pixels.")
    strokes = key == "xy" or (rows.ndim >= 2 and rows.shape[-1] in (2, 3))
    items: Sequence[np.ndarray]
    if strokes:
        items, kept, skipped, layout = _drawings(arrays, key, source, skip_bad=options.skip_bad)
        count = len(kept) + len(skipped)
    else:
        # Columns end to end are images lying on their side; stacked ones are upright.
        found = cut(rows, lengths if rows.ndim == 2 else None, source, key, steps_axis=2)
        images = [image.T for image in found] if rows.ndim == 2 else found
        kept, skipped = usable(images, _check_image, source, skip_bad=options.skip_bad)
        items, layout = _lines([images[i] for i in kept], options.height)
        count = len(images)
    answers = answers_of(arrays, count, source, options, texts=texts, require_target=require_target)
    data = MediaData(
        "strokes" if strokes else "lines",
        items,
        np.array([len(item) for item in items], dtype=np.int64),
        source=source,
        layout=f'arrays: {"points" if strokes else "images"} from "{key}", {answers.told}; {layout}',
        skipped=left_out(skipped, count, "drawings" if strokes else "images"),
    )
    return _with(data, answers, kept)


def _with(data: MediaData, answers: Answers, kept: Sequence[int]) -> MediaData:
    def pick(values: list[str] | None) -> list[str] | None:
        return None if values is None else [values[i] for i in kept]

    return MediaData(
        data.kind,
        data.items,
        data.steps,
        pick(answers.targets),
        texts=answers.texts,
        classes=answers.classes,
        ids=pick(answers.ids),
        groups=pick(answers.groups),
        source=data.source,
        layout=data.layout,
        skipped=data.skipped,
    )


def _drawings(
    arrays: dict[str, np.ndarray], key: str, source: str, *, skip_bad: bool
) -> tuple[list[np.ndarray], list[int], tuple[str, ...], str]:
    """Drawings, the places of those that are of use, what was left out, and how y was understood."""
    rows, lengths = arrays[key], arrays.get("lengths")
    found = cut(rows, lengths, source, key, steps_axis=2)
    pens: list[np.ndarray] | None = None
    if "pen_up" in arrays:
        if arrays["pen_up"].shape != rows.shape[:-1]:
            raise DataError(
                f"{source}: expected pen_up of shape {rows.shape[:-1]}, one a point, got {arrays['pen_up'].shape}. "
                "Save one for each."
            )
        pens = cut(arrays["pen_up"], lengths, source, "pen_up", steps_axis=1)
    kept, skipped = usable(found, checked_points, source, skip_bad=skip_bad)
    upwards = _counts_upwards(arrays, source)
    drawings = [as_drawing(found[i], None if pens is None else pens[i], upwards=upwards) for i in kept]
    told = "y counts upwards (y_up) and is turned" if upwards else "y counts downwards"
    if not upwards and max(float(found[i][:, 1].max()) for i in kept) < 0:
        told += "; none is above 0: if it counts upwards, save y_up=True beside it"
    return drawings, kept, skipped, told


def _counts_upwards(arrays: dict[str, np.ndarray], source: str) -> bool:
    """What the file says of its y, never what its drawings look like: one is read the same whatever is beside it."""
    said = arrays.get("y_up", np.False_)
    if said.shape not in ((), (1,)) or said.dtype.kind not in "biu" or int(said.item()) not in (0, 1):
        raise DataError(
            f"{source}: expected y_up to be one True or False, got {said.dtype} of shape {said.shape}. "
            "It says whether y counts upwards in all drawings of the file."
        )
    return bool(said.item())


def _check_image(image: np.ndarray, where: str) -> None:
    if image.ndim != 2 or not image.size:
        raise DataError(f"{where}: expected an image [H, W], got shape {image.shape}. Leave it out.")
    if not np.isfinite(image).all():
        raise DataError(f"{where}: expected finite pixels, got NaN or infinity. Correct it.")
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > (255 if image.dtype.kind in "iu" else 1):
        raise DataError(
            f"{where}: expected pixels from 0 to 255 as whole numbers, or to 1 with fractions, got {low:g} to "
            f"{high:g}. Scale them."
        )


def _lines(images: list[np.ndarray], height: int) -> tuple[list[np.ndarray], str]:
    return [line_of(image, height) for image in images], _told(images[:LOOKED_AT], height)


def _told(images: Sequence[np.ndarray], height: int) -> str:
    dark = sum(map(is_dark_on_light, images))
    ink = f"dark on light in {dark} of the first {len(images)}" if 0 < dark < len(images) else "dark on light"
    return f"ink is {ink if dark else 'light on dark'}, scaled to {height} pixels of height"


def _of_images(files: MediaFiles, options: MediaOptions, *, texts: bool) -> MediaData:
    height = options.height

    def probe(path: Path) -> int:
        if options.skip_bad:  # the header alone does not tell whether the rest can be read
            read_image(path)
        return width_when_scaled(*image_size(path), height)

    widths, files, skipped = probed(files, probe, skip_bad=options.skip_bad)
    told = _told([read_image(path) for path in files.paths[:LOOKED_AT]], height)
    return MediaData(
        "lines",
        Loaded(lambda i: line_of(read_image(files.paths[i]), height), len(widths), files.paths),
        np.array(widths, dtype=np.int64),
        files.targets,
        texts=texts,
        ids=files.ids,
        groups=files.groups,
        rows=files.rows,
        source=files.source,
        layout=f"{files.layout}; {told}",
        skipped=left_out(skipped, len(files) + len(skipped), "images"),
    )


def _of_inkml(files: MediaFiles, options: MediaOptions, *, texts: bool, require_target: bool) -> MediaData:
    found, files, skipped = probed(files, read_inkml, skip_bad=options.skip_bad)
    places = [place for place, inks in enumerate(found) for _ in inks]
    inks = [ink for drawings in found for ink in drawings]
    names = [
        ink.name or files.paths[place].name + (f"#{k}" if len(drawings) > 1 else "")
        for place, drawings in enumerate(found)
        for k, ink in enumerate(drawings)
    ]
    targets, are_texts, told = None, texts, files.layout
    if files.targets is not None:
        targets = [files.targets[place] for place in places]
    else:
        targets, are_texts = _annotated(inks, names, options, files.source, texts=texts, required=require_target)
        told += f", {'text' if are_texts else 'label'} from annotations" if targets else ", no annotations"
    return MediaData(
        "strokes",
        [ink.points for ink in inks],
        np.array([len(ink.points) for ink in inks], dtype=np.int64),
        targets,
        texts=are_texts,
        ids=names,
        groups=None if files.groups is None else [files.groups[place] for place in places],
        rows=None if files.rows is None else [files.rows[place] for place in places],
        source=files.source,
        layout=f"InkML: {told}; y counts downwards",
        skipped=left_out(skipped, len(files) + len(skipped), "files"),
    )


def _annotated(
    inks: Sequence[Ink], names: Sequence[str], options: MediaOptions, source: str, *, texts: bool, required: bool
) -> tuple[list[str] | None, bool]:
    """Transcripts where every drawing has one, else classes."""
    wanted = None if options.target is None else options.target.lower() not in CLASSES
    as_texts = [ink.text for ink in inks]
    as_labels = [ink.label for ink in inks]
    are_texts = texts or (wanted if wanted is not None else any(as_texts) or not any(as_labels))
    answers = as_texts if are_texts else as_labels
    if not any(answers):
        return None, are_texts
    if None in answers:
        if not required:
            return None, are_texts
        raise DataError(
            f"{source}, {names[answers.index(None)]}: expected an annotation of type "
            f"{'truth' if are_texts else 'label'} as the others have, got none. Add it, or leave the file out."
        )
    return [answer for answer in answers if answer is not None], are_texts


def _of_arrays(data: Any, targets: Any, options: MediaOptions, *, texts: bool) -> MediaData:
    """Drawings or images in Python; an image has a height beyond 3."""
    source = "memory"
    try:
        items = [np.asarray(item) for item in data]
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{source}: expected arrays of numbers, got others ({error}). Give [T, 3] or [H, W]."
        ) from error
    if not items:
        raise DataError(f"{source}: expected drawings or images, got none. Give at least one.")
    strokes = all(item.ndim == 2 and item.shape[1] in (2, 3) for item in items)
    check = checked_points if strokes else _check_image
    kept, skipped = usable(items, check, source, skip_bad=options.skip_bad)
    found: Sequence[np.ndarray]
    if strokes:
        found, layout = [as_drawing(items[i]) for i in kept], "points; y counts downwards"
    else:
        found, layout = _lines([items[i] for i in kept], options.height)
    are_texts = texts or (options.target or "").lower() in TEXTS  # nothing else names targets that come in a list
    answers = targets_in_python(targets, len(items), texts=are_texts)
    return MediaData(
        "strokes" if strokes else "lines",
        found,
        np.array([len(item) for item in found], dtype=np.int64),
        None if answers is None else [answers[i] for i in kept],
        texts=are_texts,
        source=source,
        layout=layout,
        skipped=left_out(skipped, len(items), "drawings" if strokes else "images"),
    )
