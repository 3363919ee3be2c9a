import lzma

import numpy as np
import pytest

from gatewise.data import ReadOptions, read
from gatewise.errors import DataError, OptionError


@pytest.mark.parametrize("separator", ["\t", ",", "  "])
def test_separators_and_trailing_gaps(write, separator):
    lines = [["1.0", "1", "NaN", "3"], ["-1.0", "4", "NaN", "NaN"]]
    data = read(write("a.txt", "\n".join(separator.join(line) for line in lines)))
    np.testing.assert_array_equal(data.sequences[0], [[1], [np.nan], [3]])
    assert data.sequences[1].tolist() == [[4]]
    assert data.targets == ["1", "-1"] and data.rows == [1, 2]


def test_numbers_with_a_fraction_are_a_regression(write):
    path = write("a.tsv", "0.5\t1\t2\n2\t3\t4\n")
    assert read(path).targets == [0.5, 2.0]
    assert read(path, ReadOptions(task="classification")).targets == ["0.5", "2"]


def test_labels_stay_text(write):
    assert read(write("a.tsv", "007\t1\nnone\t2\n")).targets == ["007", "none"]
    with pytest.raises(DataError, match=r'row 2, column 1: expected a number, got "walk"'):
        read(write("a.tsv", "1\t1\nwalk\t2\n"), ReadOptions(task="regression"))


def test_no_label_at_all(write):
    assert read(write("a.tsv", "NaN\t1\n?\t2\n")).targets is None
    with pytest.raises(DataError, match=r"row 2, column 1: expected a target, got none"):
        read(write("a.tsv", "1\t1\n?\t2\n"))


def test_a_header_makes_it_a_table(write):
    data = read(write("a.tsv", "kind\ts0\ts1\na\t1\t2\nb\t3\t4\n"), ReadOptions(target=("kind",)))
    assert data.targets == ["a", "b"] and data.sequences[1].tolist() == [[3], [4]]
    data = read(write("a.tsv", "name\t0\t1\na\t1\t2\nb\t3\t4\n"))
    assert data.targets is None and data.sequences[1].tolist() == [[3], [4]]


def test_xz(tmp_path):
    path = tmp_path / "a.tsv.xz"
    path.write_bytes(lzma.compress(b"a\t1\nb\t2\n"))
    assert read(path).targets == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\t3\n1\t2\n", r"row 2: expected 3 fields as in the first line, got 2"),
        ("1\t2\t3\n\n1\t2\tx\n", r'row 3, column 3: expected a number, got "x"'),
        ("1\t2\n1\tNaN\n", r"row 2: expected at least one value"),
        ("1\n2\n", r"row 1: expected a label and values, got 1"),
    ],
)
def test_what_is_wrong_is_named(write, text, message):
    with pytest.raises(DataError, match=r"bad\.tsv, " + message):
        read(write("bad.tsv", text))


def test_unknown_task(write):
    with pytest.raises(OptionError, match=r'classification or regression, got "clasification".*Did you mean'):
        read(write("a.tsv", "1\t2\n"), ReadOptions(task="clasification"))
