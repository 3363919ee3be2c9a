"""Skeletons: the features a model is given."""

import numpy as np


def skeleton_features(joints: np.ndarray) -> np.ndarray:
    """What a model reads of the movement of a skeleton: postures and movements, wherever and however large it is.

    A frame in which every joint stands at the origin, or one is not finite, was not seen: it is as the frame before it
    (those at the beginning as the first that was seen).

    Args:
        joints: ``[T, J, 3]``, the second coordinate upwards or downwards.

    Returns:
        ``[T, 6 J]`` float32, triples of coordinates: first each joint from the mean of all joints, in units of the
        skeleton's size (the root mean square of these distances over the clip); then its way since the frame before
        in tenths of that size (0 in the first). Zeros where no frame was seen.

    Example:
        >>> joints = np.array([[[0, 1, 5], [0, -1, 5]], [[1, 1, 5], [1, -1, 5]]])
        >>> skeleton_features(joints).round(3).tolist()[1]
        [0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 10.0, 0.0, 0.0, 10.0, 0.0, 0.0]
    """
    positions = joints.astype(np.float64)
    seen = np.isfinite(positions).all((1, 2)) & (positions != 0).any((1, 2))
    steps, count = positions.shape[:2]
    if not seen.any():
        return np.zeros((steps, 6 * count), dtype=np.float32)
    last = np.maximum.accumulate(np.where(seen, np.arange(steps), -1))
    positions = positions[np.where(last < 0, int(np.argmax(seen)), last)]
    posture = positions - positions.mean(1, keepdims=True)
    size = float(np.sqrt((posture[seen] ** 2).sum(-1).mean())) or 1.0
    way = np.diff(positions, axis=0, prepend=positions[:1])
    features = np.concatenate([posture, 10 * way], axis=1) / size  # [T, 2 J, 3]
    return features.reshape(steps, -1).astype(np.float32)
