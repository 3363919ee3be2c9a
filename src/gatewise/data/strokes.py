"""Strokes of a pen: the features a model is given, and points from files and arrays."""

import numpy as np

from gatewise.errors import DataError

LARGEST = 1e12  # of a coordinate: differences and their squares stay finite, also in float32
FEATURES = ("x", "y", "dx", "dy", "cos", "sin", "pen_up")


def stroke_features(points: np.ndarray) -> np.ndarray:
    """What a model reads of a drawing; it stays as it is where the drawing is moved or made larger.

    Args:
        points: ``[T, 3]``: x, y, and 1 where the pen is lifted after the point.

    Returns:
        ``[T, 7]`` float32. x and y about the middle of the drawing, its larger side from -1 to 1; the way from the
        point before, dx and dy, over the root mean square of all ways that were drawn (0 at the first point); its
        direction as cosine and sine (0 without a way); the pen. A drawing of one point is zeros and its pen.

    Example:
        >>> features = stroke_features(np.array([[0, 0, 0], [4, 0, 0], [4, 2, 1]]))
        >>> features[:, :2].tolist()
        [[-1.0, -0.5], [1.0, -0.5], [1.0, 0.5]]
        >>> features[:, 4:].tolist()
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    position = points[:, :2].astype(np.float64)
    low, high = position.min(0), position.max(0)
    size = float((high - low).max()) / 2
    position = (position - (low + high) / 2) / (size or 1.0)
    way = np.diff(position, axis=0, prepend=position[:1])
    length = np.hypot(way[:, 0], way[:, 1])
    drawn = length[1:][points[:-1, 2] < 0.5]  # a way in the air says nothing of how densely the pen was read
    usual = float(np.sqrt(np.mean(drawn**2))) if len(drawn) else 0.0
    usual = usual or float(length.max()) or 1.0
    direction = way / np.where(length > 0, length, 1.0)[:, None]
    return np.concatenate([position, way / usual, direction, points[:, 2:3]], axis=1, dtype=np.float32)


def checked_points(points: np.ndarray, where: str) -> None:
    """Raises DataError unless ``points [T, 2 or 3]`` can be a drawing: some points, all finite."""
    if points.ndim != 2 or points.shape[1] not in (2, 3) or points.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: expected points [T, 2] or [T, 3] of numbers, got {points.dtype} of shape {points.shape}. "
            "A point is x, y and whether the pen is lifted after it."
        )
    if not len(points):
        raise DataError(f"{where}: expected a drawing, got no point. Leave it out.")
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise DataError(f"{where}, point {bad}: expected finite numbers, got {points[bad].tolist()}. Correct it.")
    if (np.abs(points[:, :2].astype(np.float64)) > LARGEST).any():
        bad = int(np.flatnonzero((np.abs(points[:, :2].astype(np.float64)) > LARGEST).any(1))[0])
        raise DataError(
            f"{where}, point {bad}: expected coordinates up to {LARGEST:g}, got {points[bad, :2].tolist()}. Correct it."
        )


def as_drawing(points: np.ndarray, pen_up: np.ndarray | None = None, *, upwards: bool = False) -> np.ndarray:
    """``[T, 3]`` float32 with y downwards; the pen is lifted after the last point in any case.

    Args:
        points: ``[T, 2]``, or ``[T, 3]`` with the pen.
        pen_up: ``[T]``, where the points do not have it; without, the drawing is one stroke.
        upwards: the y given counts upwards.
    """
    drawing = np.zeros((len(points), 3), dtype=np.float32)
    # About the first point, in float64: coordinates of a large page would lose their fraction in float32.
    drawing[:, :2] = points[:, :2].astype(np.float64) - points[0, :2].astype(np.float64)
    if upwards:
        drawing[:, 1] *= -1
    if pen_up is not None:
        drawing[:, 2] = pen_up != 0
    elif points.shape[1] == 3:
        drawing[:, 2] = points[:, 2] != 0
    drawing[-1, 2] = 1
    return drawing
