"""STUB: strokes of a pen."""

import numpy as np


def stroke_features(points: np.ndarray) -> np.ndarray:
    """STUB."""
    return points
