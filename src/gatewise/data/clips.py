"""Films: how many frames a file has, and some of them, fitted into one shape. Read by PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gatewise.data.picture_files import missing_library
from gatewise.errors import DataError

ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".gif")
ENOUGH = 0.9  # share of the frames a file promises that must come out of it


def even(count: int, most: int | None) -> np.ndarray:
    """Places of at most so many of ``count`` frames, evenly over them, each in the middle of its stretch.

    >>> even(10, 3).tolist(), even(2, 3).tolist()
    ([1, 5, 8], [0, 1])
    """
    if most is None or count <= most:
        return np.arange(count)
    return ((np.arange(most) + 0.5) * count / most).astype(np.int64)


def count_frames(path: Path) -> tuple[int, tuple[int, int]]:
    """Frames that the file promises, and height and width of one; packets are counted, nothing is decoded.

    Raises:
        DataError: no film that PyAV reads, or one without a picture.
    """
    with _opened(path) as (container, stream):
        frames = sum(1 for packet in container.demux(stream) if packet.size)
        height, width = stream.codec_context.height, stream.codec_context.width
    if not frames or not height or not width:
        raise DataError(f"{path}: expected a film, got {frames} frames of {width} x {height}. Leave it out.")
    return frames, (height, width)


def read_clip(path: Path, places: np.ndarray, shape: tuple[int, int], *, claimed: int) -> np.ndarray:
    """Some frames of a film.

    Args:
        path: of the file.
        places: ``[T]`` which frames, ascending, counted over ``claimed``.
        shape: height and width to fit them into, the aspect kept, in the middle of black.
        claimed: frames that `count_frames` found. Where a few fewer or more are decoded, places are stretched to them.

    Returns:
        ``[T, height, width, 3]`` uint8, red, green and blue.

    Raises:
        DataError: the content is damaged, or a tenth of the frames is missing.
    """
    with _opened(path) as (container, stream):
        frames = [fitted(frame, shape) for frame in container.decode(stream)]
    if len(frames) < ENOUGH * claimed:
        raise DataError(f"{path}: expected {claimed} frames as the file promises, got {len(frames)}. It is cut off.")
    if len(frames) != claimed:
        places = np.minimum((places * len(frames)) // claimed, len(frames) - 1)
    return np.stack([frames[place] for place in places.tolist()])


def fitted(frame: Any, shape: tuple[int, int]) -> np.ndarray:
    """A frame of PyAV ``[height, width, 3]`` uint8 in the middle of black."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # a telephone that was held upright
    high, wide = (frame.width, frame.height) if turns % 2 else (frame.height, frame.width)
    height, width = _inside((high, wide), shape)
    size = {"width": height, "height": width} if turns % 2 else {"width": width, "height": height}
    picture: np.ndarray = frame.reformat(format="rgb24", interpolation="AREA", **size).to_ndarray()
    page: np.ndarray = _centred(np.rot90(picture, turns)[None], shape)[0]
    return page


def fit_array(clip: np.ndarray, size: int | None) -> np.ndarray:
    """``[T, H, W]`` or ``[T, H, W, C]`` uint8 to ``[T, H', W', C]``: the longer side at most ``size``."""
    clip = clip[..., None] if clip.ndim == 3 else clip
    height, width = clip.shape[1:3]
    if size is None or max(height, width) <= size:
        return clip
    shape = _inside((height, width), (size, size))
    frames = torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2).float()
    small = F.interpolate(frames, shape, mode="bilinear", antialias=True, align_corners=False)
    fitted_clip: np.ndarray = small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return fitted_clip


def _inside(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of something scaled to fit into a shape, its aspect kept."""
    scale = min(shape[0] / size[0], shape[1] / size[1])
    return max(1, min(shape[0], round(size[0] * scale))), max(1, min(shape[1], round(size[1] * scale)))


def _centred(frames: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    above, left = (shape[0] - frames.shape[1]) // 2, (shape[1] - frames.shape[2]) // 2
    page = np.zeros((len(frames), *shape, frames.shape[3]), dtype=np.uint8)
    page[:, above : above + frames.shape[1], left : left + frames.shape[2]] = frames
    return page


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first stream of pictures; what PyAV raises while they are read names the file."""
    try:
        import av
    except ImportError as error:
        raise missing_library("av", "video", "films") from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: expected a film, got a file without pictures. Leave it out.")
            stream = container.streams.video[0]
            yield container, stream
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a film, got damaged or other content ({error}). Convert it.") from error
