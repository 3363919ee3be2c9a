"""Lines of text: all of a small file, or mapped into memory and decoded when somebody asks."""

import codecs
import mmap
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np

from gatewise.data.files import (
    DAMAGE,
    damaged_file,
    decode,
    empty_file,
    load_bytes,
    mark_length,
    nul_byte,
    open_unpacked,
    suffixes,
    wrong_byte,
)
from gatewise.errors import DataError

CHUNK = 1 << 22  # bytes looked at together


class Selected(Sequence[Any]):
    """Some items of a sequence, looked up when asked for: a part of something that is too large to copy.

    Args:
        sequence: anything with numbered items; another selection is looked through.
        indices: ``[N]`` int64, which items, in which order.

    Example:
        >>> part = Selected(range(100, 200), np.array([7, 3]))
        >>> list(part), list(part[1:])
        ([107, 103], [103])
    """

    def __init__(self, sequence: Sequence[Any], indices: np.ndarray) -> None:
        self.sequence: Sequence[Any] = sequence.sequence if isinstance(sequence, Selected) else sequence
        self.indices: np.ndarray = sequence.indices[indices] if isinstance(sequence, Selected) else indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> "Selected": ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Selected(self.sequence, self.indices[index])
        return self.sequence[int(self.indices[index])]


class MappedLines(Sequence[str]):
    r"""The lines of a UTF-8 file that stays on disk; what is held in memory is where each line begins.

    A line ends with ``\n`` or ``\r\n``, which is not part of it; the last one may lack it. Empty lines are lines.

    Args:
        content: the whole file.
        starts: ``[N + 1]`` int64, where each line begins; the last one is where the last line ends.
        who: names the file in errors.

    Raises:
        DataError: where a line is asked for, the file has been cut off since. To read on would end the process.
    """

    def __init__(self, content: mmap.mmap, starts: np.ndarray, who: str) -> None:
        self._content = content
        self._starts = starts
        self._who = who

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Selected: ...

    def __getitem__(self, index: int | slice) -> str | Selected:
        if isinstance(index, slice):
            return Selected(self, np.arange(len(self))[index])
        place = range(len(self))[index]
        if (left := self._content.size()) < len(self._content):
            raise DataError(
                f"{self._who}: expected the {len(self._content):,} bytes that it had at first, got {left:,}. Leave "
                "data alone while they are learnt from, and begin again."
            )
        line = self._content[int(self._starts[place]) : int(self._starts[place + 1])]
        return line.decode("utf-8").removesuffix("\n").removesuffix("\r")


def read_lines(path: Path) -> list[str]:
    """All lines of a text file, unpacked, without their ends.

    Args:
        path: of the file.

    Returns:
        The lines; empty ones are kept, a line feed at the end of the file begins none.

    Raises:
        DataError: what `load_bytes` and `decode` raise, or line ends that are carriage returns alone.
    """
    text = decode(load_bytes(path), str(path))
    if "\r" in text and "\n" not in text:
        raise _old_line_ends(str(path))
    lines = text.split("\n")  # not splitlines: U+2028 and the like are characters of the text
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def map_lines(path: Path) -> MappedLines:
    """The lines of a text file of any size, on disk; a compressed one is unpacked into a file without a name.

    The whole file is looked through once, a piece at a time, so that a wrong encoding is an error now and not in the
    midst of training.

    Args:
        path: of the file.

    Returns:
        The lines, decoded when asked for.

    Raises:
        DataError: no such file, an empty or damaged one, another encoding than UTF-8, NUL bytes, or line ends that are
            carriage returns alone; names row and byte.
    """
    who = str(path)
    with open_unpacked(path) as file:
        content = _map_unpacked(file, who, suffixes(path)[1])
    return MappedLines(content, _line_starts(content, who), who)


def _map_unpacked(file: IO[bytes], who: str, compression: str) -> mmap.mmap:
    if not compression:
        return _map(file, who)
    with tempfile.TemporaryFile() as unpacked:
        try:
            shutil.copyfileobj(file, unpacked, CHUNK)
            unpacked.flush()
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:  # a damaged file has no number
                raise DataError(
                    f"{who}: expected room to unpack it in {tempfile.gettempdir()}, got: {error.strerror}. "
                    "Unpack it elsewhere and name that file."
                ) from error
            raise damaged_file(who, compression, error) from error
        return _map(unpacked, who)


def _map(file: IO[bytes], who: str) -> mmap.mmap:
    if not file.seek(0, os.SEEK_END):
        raise empty_file(who)  # nothing cannot be mapped
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _line_starts(content: mmap.mmap, who: str) -> np.ndarray:
    """``[N + 1]`` int64 as in `MappedLines`; checks the encoding of the whole file on the way."""
    begin = mark_length(content[:3], who)
    starts = [np.array([begin], dtype=np.int64)]
    decoder = codecs.getincrementaldecoder("utf-8")()
    blank = True
    for at in range(begin, len(content), CHUNK):
        chunk = content[at : at + CHUNK]
        row = sum(map(len, starts))
        if (nul := chunk.find(b"\0")) >= 0:
            raise nul_byte(who, row + chunk.count(b"\n", 0, nul))
        pending = len(decoder.getstate()[0])  # the first bytes of a character that goes on in this chunk
        try:
            decoder.decode(chunk, final=at + CHUNK >= len(content))
        except UnicodeDecodeError as error:
            wrong = at - pending + error.start
            place = wrong - max(content.rfind(b"\n", 0, wrong) + 1, begin)
            row += chunk.count(b"\n", 0, max(wrong - at, 0))
            raise wrong_byte(who, row, place, wrong, content[wrong]) from error
        blank = blank and chunk.isspace()
        starts.append(np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == ord("\n")) + at + 1)
    if blank:
        raise empty_file(who)
    found = np.concatenate(starts)
    if len(found) == 1 and content.find(b"\r") >= 0:
        raise _old_line_ends(who)
    return found if found[-1] == len(content) else np.append(found, len(content))


def _old_line_ends(who: str) -> DataError:
    return DataError(f"{who}: expected lines that end in a line feed, got carriage returns alone. Save it anew.")
