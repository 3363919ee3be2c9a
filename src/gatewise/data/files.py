"""From a path to bytes or text: compression, encoding, and what may be wrong with a file."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from gatewise.errors import DataError

COMPRESSIONS = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
DAMAGE = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error)  # what unpacking raises


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
    check_file(path)
    who = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(who, error) from error
    compression = suffixes(path)[1]
    if compression and content:
        try:
            content = COMPRESSIONS[compression](content)
        except DAMAGE as error:
            raise damaged_file(who, compression, error) from error
    if not content or content.isspace():
        raise empty_file(who)
    return content


def open_unpacked(path: Path) -> IO[bytes]:
    """A file opened to be read as a stream of its unpacked bytes; reading it may raise one of ``DAMAGE``.

    Args:
        path: of the file.

    Returns:
        The open file; whoever asked closes it.

    Raises:
        DataError: no such file, a folder, or no permission.
    """
    check_file(path)
    try:
        opened: IO[bytes] = OPENERS.get(suffixes(path)[1], Path.open)(path, "rb")
    except OSError as error:
        raise _unreadable(str(path), error) from error
    return opened


def check_file(path: Path) -> None:
    """Raises DataError unless there is a file of this name."""
    try:
        exists = path.exists()
    except OSError:  # longer than a name may be
        exists = False
    if not exists:
        raise DataError(f"{path}: expected a file, got nothing of that name. Check the path.")
    if path.is_dir():
        raise DataError(f"{path}: expected a file, got a folder. Name a file in it.")


def _unreadable(who: str, error: OSError) -> DataError:
    return DataError(f"{who}: expected a file that can be read, got: {error.strerror}. Check it.")


def damaged_file(who: str, compression: str, error: Exception) -> DataError:
    """The error of a file that does not unpack."""
    return DataError(f"{who}: expected a {compression} file, got damaged or cut off content ({error}). Fetch it again.")


def empty_file(who: str) -> DataError:
    """The error of a file that holds nothing but white space."""
    return DataError(f"{who}: expected data, got an empty file. Check how it was written.")


def wrong_byte(who: str, row: int, place: int, at: int, byte: int) -> DataError:
    """The error of a byte that is not UTF-8: byte ``place`` of its row and byte ``at`` of the file, both from 0."""
    return DataError(
        f"{who}, row {row}: expected UTF-8 text, got the byte 0x{byte:02x} (byte {place + 1} of the row, "
        f"byte {at + 1} of the file). Save the file as UTF-8."
    )


def nul_byte(who: str, row: int) -> DataError:
    """The error of a NUL byte."""
    return DataError(f"{who}, row {row}: expected text, got a NUL byte. The file is damaged or not text.")


def mark_length(head: bytes, who: str) -> int:
    """How many bytes of byte order mark a UTF-8 file begins with, 0 or 3; raises DataError for that of UTF-16."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{who}: expected UTF-8 text, got UTF-16. Save the file as UTF-8.")
    return len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0


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
    begin = mark_length(content, who)
    if (at := content.find(b"\0")) >= 0:
        raise nul_byte(who, _line(content, at))
    try:
        return content[begin:].decode("utf-8") if begin else content.decode("utf-8")
    except UnicodeDecodeError as error:
        at = begin + error.start
        place = at - max(content.rfind(b"\n", 0, at) + 1, begin)
        raise wrong_byte(who, _line(content, at), place, at, content[at]) from error


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1
