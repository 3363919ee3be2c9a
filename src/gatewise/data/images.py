"""Images of written lines: read, made grey, ink found, scaled to one height."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gatewise.data.picture_files import missing_library
from gatewise.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pbm")
LARGEST = 50_000_000  # pixels of an image: beyond, it is a scan of something else, or a small file that unpacks forever


def width_when_scaled(width: int, height: int, to_height: int) -> int:
    """Columns of an image scaled to another height, its aspect kept; at least one.

    >>> width_when_scaled(100, 50, 28), width_when_scaled(1, 500, 28)
    (56, 1)
    """
    return max(1, round(width * to_height / height))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height as the image is looked at; its pixels are not decoded.

    Raises:
        DataError: no image that Pillow reads, or one of zero or of too many pixels.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = _orientation(image) >= 5  # the camera was held upright: rows are columns
    return (height, width) if turned else (width, height)


def _orientation(image: Any) -> int:
    """How the camera was held, 1 to 8; of a PNG that says so behind its pixels 1, or all would have to be decoded."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    said = image.getexif().get(0x0112, 1)
    return said if said in range(1, 9) else 1


def read_image(path: Path) -> np.ndarray:
    """``[H, W]`` float32 grey from 0, black, to 1; what is transparent is white.

    Raises:
        DataError: as `image_size`, or the pixels are damaged.
    """
    from PIL import Image, ImageOps

    with _opened(path) as image:
        try:
            upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
            if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
                values = np.asarray(upright, dtype=np.float32)
                whole = 65535 if upright.mode != "F" else 255 if values.max(initial=0) > 1 else 1
                grey: np.ndarray = (values / np.float32(whole)).clip(0, 1)
                return grey
            if upright.has_transparency_data:
                seen = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
            return np.asarray(upright.convert("L"), dtype=np.float32) / 255
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            raise _damaged(path, error) from error


def _opened(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_library("pillow", "images", "images") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is looked at here
            image = Image.open(path)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise _damaged(path, error) from error
    width, height = image.size
    if width < 1 or height < 1 or width * height > LARGEST:
        image.close()
        raise DataError(
            f"{path}: expected an image of 1 to {LARGEST:,} pixels, got {width} x {height}. Cut it into lines."
        )
    return image


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: expected an image, got damaged or other content ({error}). Save it again.")


def is_dark_on_light(grey: np.ndarray) -> bool:
    """Whether the ink is darker than the paper. Paper is what most pixels show: ink pulls the mean from the median."""
    return float(grey.mean(dtype=np.float64)) <= float(np.median(grey))


def line_of(grey: np.ndarray, height: int) -> np.ndarray:
    """What a model reads of an image of a line.

    Args:
        grey: ``[H, W]``; from 0 to 1, or whole numbers up to 255.
        height: pixels to scale ``H`` to; the aspect stays.

    Returns:
        ``[T, height]`` float32, column by column from the left: 0 where it is as bright as the paper (the median) or
        on its other side, to 1 for ink that is a whole black or white away from it.

    Example:
        >>> page = np.full((2, 3), 255, dtype=np.uint8)
        >>> page[0, 1] = 0
        >>> line_of(page, 2).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    values = grey.astype(np.float32) / (255 if grey.dtype.kind in "iu" else 1)
    paper = np.float32(np.median(values))
    ink = paper - values if is_dark_on_light(values) else values - paper
    ink = np.clip(ink, 0, 1)
    width = width_when_scaled(grey.shape[1], grey.shape[0], height)
    if ink.shape != (height, width):
        ink = F.interpolate(
            torch.from_numpy(ink)[None, None], (height, width), mode="bilinear", antialias=True, align_corners=False
        )[0, 0].numpy()
    return np.ascontiguousarray(ink.T)
