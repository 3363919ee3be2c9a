"""What may be wrong with a file before its format matters."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from gatewise.data import ReadOptions, read
from gatewise.errors import DataError

TABLE = b"a,b\n1,2\n3,4\n"


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)])
def test_packed_files(tmp_path, suffix, pack):
    whole, cut = tmp_path / f"whole.csv{suffix}", tmp_path / f"cut.csv{suffix}"
    whole.write_bytes(pack(TABLE))
    assert len(read(str(whole))) == 2
    cut.write_bytes(pack(TABLE * 100)[:-10])
    with pytest.raises(DataError, match=rf"cut\.csv.*expected a {suffix} file, got damaged"):
        read(cut)
    cut.write_bytes(TABLE)
    with pytest.raises(DataError, match=rf"cut\.csv.*expected a {suffix} file, got damaged"):
        read(cut)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"got an empty file"),
        ("a.csv", b" \n\n", r"got an empty file"),
        ("a.csv.gz", b"", r"got an empty file"),
        ("a.csv", b"a,b\n", r"got only a header"),
        ("a.csv", b"a,b\n1,\xe9\n", r"row 2: expected UTF-8 text, got the byte 0xe9"),
        ("a.csv", b"a,b\n1,2\n3,\0\n", r"row 3: expected text, got a NUL byte"),
        ("a.csv", "a,b\n1,2".encode("utf-16"), r"expected UTF-8 text, got UTF-16"),
        ("a.parquet", b"PAR1 no", r"expected a Parquet file, got damaged content"),
        ("a.npz", b"PK no", r"expected an \.npz archive, got damaged content"),
        ("a.npz", b"garbage", r"expected an \.npz archive, got damaged content \(no zip archive\)"),
        ("a.xlsx", b"x", r'ends in \.ts, \.tsv, .*got "\.xlsx"'),
        ("noname", b"x", r'got "noname"'),
        ("a.gz", b"x", r"ends in"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.ts: expected a file, got nothing of that name"):
        read(tmp_path / "nothing.ts")
    with pytest.raises(DataError, match=r"expected a file, got a folder"):
        read(tmp_path)


def test_byte_order_mark_is_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TABLE)
    assert len(read(path)) == 2
    assert read(path, ReadOptions(id="a")).ids == ["1", "3"]


def test_npz_layouts(tmp_path):
    path = tmp_path / "a.npz"
    x = np.arange(12.0).reshape(2, 3, 2)
    np.savez(path, x=x, y=np.array(["a", "b"]), ids=np.array([7, 8]), groups=np.array(["p", "q"]), names=np.array([1]))
    data = read(path)
    np.testing.assert_array_equal(data.sequences[1], x[1])
    assert data.targets == ["a", "b"] and data.ids == ["7", "8"] and data.groups == ["p", "q"]
    assert data.channels == ("c0", "c1")
    np.savez(path, x=x[..., 0].astype(np.int16), y=np.array([0.5, 1.0]))
    data = read(path)
    assert data.sequences[0].tolist() == [[0], [2], [4]] and data.targets == [0.5, 1.0]
    np.savez(path, x=x.reshape(6, 2), lengths=np.array([1, 5]), y=np.arange(6.0).reshape(6, 1))
    data = read(path)
    assert data.lengths.tolist() == [1, 5] and data.targets[1].tolist() == [[1], [2], [3], [4], [5]]
    np.savez(path, x=x, lengths=np.array([1, 3]))
    assert read(path).lengths.tolist() == [1, 3] and read(path).targets is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.array([{}], dtype=object)}, r"got pickled objects, which are never loaded"),
        ({"y": np.zeros(3)}, r'expected an array "x", got y'),
        ({"x": np.zeros((4, 2)), "lengths": np.array([1, 2])}, r"lengths that sum to the 4 steps of x, got a sum of 3"),
        ({"x": np.zeros((4, 2)), "lengths": np.array([1.5, 2.5])}, r"lengths as whole numbers"),
        ({"x": np.zeros((4, 2, 1)), "lengths": np.array([1, 2, 3, 1])}, r"4 lengths of at most 2 steps, got 4 of at m"),
        ({"x": np.zeros((4, 2, 3, 3))}, r"an array of shape \(4, 2, 3, 3\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3)}, r"expected 4 targets, one a sequence, got 3"),
        ({"x": np.array([["a"]])}, r"sequence 0: expected numbers, got <U1"),
        ({"x": np.zeros((4, 2)), "lenghts": np.array([1])}, r'got "lenghts"\. Did you mean "lengths"'),
        ({"x": np.zeros((4, 2)), "ids": np.zeros(3)}, r"expected ids of shape \(4,\), one a sequence, got \(3,\)"),
        ({"x": np.zeros((4, 2)), "y": np.array(3)}, r"expected a list or an array of targets.*got a single int64"),
        ({"x": np.zeros((0, 2))}, r"expected at least one sequence, got none"),
    ],
)
def test_npz_errors(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"bad\.npz" + ".*" + message):
        read(path)


def test_npz_has_no_columns(tmp_path):
    path = tmp_path / "a.npz"
    arrays = {"x": np.zeros((2, 3)), "y": np.array(["a", "b"])}
    np.savez(path, **arrays, ids=np.arange(2), groups=np.array(["p", "q"]))
    assert read(path, ReadOptions(id="ids", group="groups", target=("y",))).groups == ["p", "q"]
    for options in (ReadOptions(group="who"), ReadOptions(id="n"), ReadOptions(time="t"), ReadOptions(target=("z",))):
        with pytest.raises(DataError, match=r"a\.npz: expected no column for .*takes the arrays x, .*groups"):
            read(path, options)
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r'expected no column for group, got "groups"'):
        read(path, ReadOptions(group="groups"))
