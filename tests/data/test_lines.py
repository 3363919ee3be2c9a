"""Lines that stay on disk are those that Python itself finds, and what is wrong with a file is told by row and byte."""

import bz2
import gzip
import lzma
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import lines as module
from gatewise.data.lines import Selected, map_lines, read_lines
from gatewise.errors import DataError


def expected_lines(text):
    """The definition, spelt out: a line ends at a line feed, which a carriage return may precede."""
    found = text.split("\n")
    return [line.removesuffix("\r") for line in (found[:-1] if found[-1] == "" else found)]


@given(st.text(st.sampled_from("ab é𝄞\n\r\u2028\x85\x0c"), min_size=1, max_size=60), st.integers(1, 9))
def test_lines_are_those_of_the_definition(tmp_path_factory, text, chunk):
    if text.isspace() or ("\r" in text and "\n" not in text):
        return
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)  # characters and line ends across the borders of what is read at once
        mapped = map_lines(path)
    assert list(mapped) == expected_lines(text) == read_lines(path)
    assert len(mapped) == len(list(mapped))


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path):
    """Reading beyond the end of a file that is mapped ends the process; here it is an error."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456\n" * 4000)
    mapped = map_lines(path)
    assert mapped[3999] == "0123456"
    with path.open("r+b") as file:
        file.truncate(80)
    with pytest.raises(DataError, match=r"a\.txt: expected the 32,000 bytes that it had at first, got 80"):
        mapped[3999]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)])
def test_packed_files(tmp_path, suffix, pack):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(b"one\n\ntwo"))
    assert list(map_lines(path)) == ["one", "", "two"]
    path.write_bytes(pack(bytes(range(1, 128)) * 100)[:-10])
    with pytest.raises(DataError, match=rf"a\.txt.*expected a {suffix} file, got damaged"):
        map_lines(path)
    path.write_bytes(pack(b""))
    with pytest.raises(DataError, match="got an empty file"):
        map_lines(path)


def test_indices_and_slices(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {i}\n" for i in range(10)))
    mapped = map_lines(path)
    assert mapped[-1] == "line 9" and mapped[np.int64(3)] == "line 3"
    assert list(mapped[8:1:-3]) == ["line 8", "line 5", "line 2"]
    for wrong in (10, -11):
        with pytest.raises(IndexError):
            mapped[wrong]


def test_a_selection_of_a_selection_looks_at_the_first_sequence():
    whole = range(1000, 2000)
    part = Selected(Selected(whole, np.arange(100, 200)), np.array([5, -1]))
    assert part.sequence is whole and list(part) == [1105, 1199] and part[1:][0] == 1199


def test_the_file_stays_on_disk(tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes((b"x" * 999 + b"\n") * 40_000)  # 40 MB
    tracemalloc.start()
    mapped = map_lines(path)
    assert len(mapped) == 40_000 and mapped[39_999] == "x" * 999
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1e6 and peak < 20e6


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("chunk", [1 << 22, 1, 3])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b" \n\t\r\n", "got an empty file"),
        (b"\xef\xbb\xbf", "got an empty file"),
        (b"good\nab\xff\n", r"row 2: .*UTF-8 text, got the byte 0xff \(byte 3 of the row, byte 8 of the file\)"),
        (b"good\nab\xe2\x82\n", r"row 2: .*got the byte 0xe2 \(byte 3 of the row, byte 8 of the file\)"),
        (b"good\nab\xe2\x82", r"row 2: .*got the byte 0xe2 \(byte 3 of the row, byte 8 of the file\)"),
        (b"\xef\xbb\xbfa\xe9\n", r"row 1: .*got the byte 0xe9 \(byte 2 of the row, byte 5 of the file\)"),
        (b"a\nb\n\0", r"row 3: expected text, got a NUL byte"),
        ("a\nb".encode("utf-16"), "expected UTF-8 text, got UTF-16"),
        (b"a\rb\r", "got carriage returns alone"),
    ],
)
def test_what_is_wrong_is_told_alike_by_both_readers(tmp_path, monkeypatch, content, message, chunk, suffix):
    monkeypatch.setattr(module, "CHUNK", chunk)
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match=message) as caught:
        map_lines(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    if content != b"\xef\xbb\xbf":  # no line to read_lines, and its callers say so
        with pytest.raises(DataError, match=message):
            read_lines(path)


def test_missing_file_folder_and_endless_name(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.txt: expected a file, got nothing of that name"):
        map_lines(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match="got a folder"):
        map_lines(tmp_path)
    with pytest.raises(DataError, match="got nothing of that name"):
        map_lines(tmp_path / ("x" * 5000))
