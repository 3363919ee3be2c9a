"""STUB: reads strokes or images of lines."""

from typing import Any

from gatewise.data.media import MediaData, MediaOptions


def read_handwriting(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """STUB."""
    raise NotImplementedError
