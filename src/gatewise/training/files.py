"""Writing that leaves either the old file or the new one, whatever happens."""

import os
from pathlib import Path


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replaces a file in one step: written beside it, flushed to disk, renamed.

    Args:
        path: the file; its folder exists.
        content: text is written as UTF-8.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
