"""STUB: reads clips or skeletons."""

from typing import Any

from gatewise.data.media import MediaData, MediaOptions


def read_video(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """STUB."""
    raise NotImplementedError
