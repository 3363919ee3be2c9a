"""STUB: reads recordings."""

from typing import Any

from gatewise.data.media import MediaData, MediaOptions


def read_audio(
    data: Any, targets: Any, options: MediaOptions, *, texts: bool = False, require_target: bool = True
) -> MediaData:
    """STUB."""
    raise NotImplementedError
