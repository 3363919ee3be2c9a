"""From a path to bytes or text: compression, encoding, and what may be wrong with a file."""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

from gatewise.errors import DataError

COMPRESSIONS = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}


def suffixes(path: Path) -> tuple[str, str]:
    """The suffix of the format and that of the compression, in lower case; ``""`` where there is none.

    >>> suffixes(Path("a/FordA_TRAIN.tsv.XZ")), suffixes(Path("model.v2.csv"))
    (('.tsv', '.xz'), ('.csv', ''))
    """
    compression = path.suffix.lower()
    if compression not in COMPRESSIONS:
        return compression, ""
    return Path(path.stem).suffix.lower(), compression


def load_bytes(path: Path) -> bytes:
    """The content of a file, unpacked.

    Args:
        path: of the file.

    Returns:
        All bytes.

    Raises:
        DataError: no such file, a folder, no permission, an empty file, or one whose compression is damaged.
    """
    who = str(path)
    if not path.exists():
        raise DataError(f"{who}: expected a file, got nothing of that name. Check the path.")
    if path.is_dir():
        raise DataError(f"{who}: expected a file, got a folder. Name a file in it.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{who}: expected a file that can be read, got: {error.strerror}. Check it.") from error
    compression = suffixes(path)[1]
    if compression and content:
        try:
            content = COMPRESSIONS[compression](content)
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            raise DataError(
                f"{who}: expected a {compression} file, got damaged or cut off content ({error}). Fetch it again."
            ) from error
    if not content or content.isspace():
        raise DataError(f"{who}: expected data, got an empty file. Check how it was written.")
    return content


def decode(content: bytes, who: str) -> str:
    """Bytes as UTF-8 text; a byte order mark at the start is left out.

    Args:
        content: all bytes of a file.
        who: how an error names the file.

    Returns:
        The text.

    Raises:
        DataError: another encoding, or NUL bytes; names the line.
    """
    for wrong, name in ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if content.startswith(wrong):
            raise DataError(f"{who}: expected UTF-8 text, got {name}. Save the file as UTF-8.")
    if (at := content.find(b"\0")) >= 0:
        raise DataError(
            f"{who}, row {_line(content, at)}: expected text, got a NUL byte. The file is damaged or not text."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{who}, row {_line(content, error.start)}: expected UTF-8 text, got the byte "
            f"0x{content[error.start]:02x}. Save the file as UTF-8."
        ) from error


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1
