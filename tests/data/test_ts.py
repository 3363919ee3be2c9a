import gzip

import numpy as np
import pytest

from gatewise.data import Labels, ReadOptions, read
from gatewise.errors import DataError

HEADER = "@problemName P\n@timeStamps false\n@dimensions 2\n@classLabel true b a\n@data\n"


def test_ragged_channels_and_missing_values(write):
    data = read(write("a.ts", "# a comment\n" + HEADER + "1,2,?:4,NaN,6:b\n\n7:8:a\n"))
    np.testing.assert_array_equal(data.sequences[0], [[1, 4], [2, np.nan], [np.nan, 6]])
    assert data.sequences[1].tolist() == [[7, 8]]
    assert data.targets == ["b", "a"] and data.classes == ("b", "a") and data.rows == [7, 9]
    assert Labels.fit(data).classes == ("b", "a")


def test_crlf_and_capital_keys(write):
    data = read(write("a.ts", (HEADER + "1:2:a\n").replace("@data", "@DATA").replace("\n", "\r\n")))
    assert data.targets == ["a"] and data.sequences[0].tolist() == [[1, 2]]


def test_without_class_label(write):
    data = read(write("a.ts", HEADER.replace("true b a", "false") + "1,2:3,4\n"))
    assert data.targets is None and data.classes is None and data.sequences[0].shape == (2, 2)


def test_unknown_answers_give_no_targets(write):
    assert read(write("a.ts", HEADER + "1:2:?\n3:4:?\n")).targets is None
    path = write("b.ts", HEADER + "1:2:a\n3:4:?\n")
    with pytest.raises(DataError, match=r"b\.ts, row 7: expected a target"):
        read(path)
    assert read(path, require_target=False).targets is None


def test_regression(write):
    text = HEADER.replace("@classLabel true b a", "@targetlabel true") + "1:2:0.5\n3:4:2\n"
    assert read(write("a.ts", text)).targets == [0.5, 2.0]
    assert read(write("a.ts", text), ReadOptions(task="classification")).targets == ["0.5", "2"]


def test_gzip(tmp_path):
    path = tmp_path / "a.TS.gz"
    path.write_bytes(gzip.compress((HEADER + "1:2:a\n").encode()))
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1:2:3:a\n", r"row 6: expected 2 channels, got 3"),
        (HEADER + "1:2\n", r"row 6: expected 2 channels, got 1"),
        (HEADER + "1,2:3:a\n", r"row 6, column c1: expected 2 values as in the first channel, got 1"),
        (HEADER + "1,2:3,x:a\n", r'row 6, column c1, step 1: expected a number, got "x"'),
        (HEADER + "1:2:c\n", r'row 6: expected a label that @classLabel declares \(b, a\), got "c"'),
        (HEADER, r"expected sequences after @data, got none"),
        ("@problemName P\n", r"expected a line @data"),
        ("1,2:a\n", r'row 1: expected a line that begins with @ before @data, got "1,2:a"'),
        (HEADER + "(0,1),(1,2):(0,3):a\n", r"row 6: expected plain values, got time stamps"),
        (HEADER.replace("Stamps false", "Stamps true") + "1:2:a\n", r"expected values without time stamps"),
        (HEADER.replace("sions 2", "sions 0") + ":a\n", r'expected a number after @dimensions, got "0"'),
        (HEADER.replace("sions 2", "sions " + "9" * 5000) + "1:2:a\n", r'after @dimensions, got "9999.*\.\.\."'),
        (HEADER.replace("sions 2", "sions two") + "1:2:a\n", r'expected a number after @dimensions, got "two"'),
    ],
)
def test_what_is_wrong_is_named(write, text, message):
    with pytest.raises(DataError, match=r"bad\.ts" + ".*" + message) as caught:
        read(write("bad.ts", text))
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_class_declared_twice_counts_once(write):
    assert read(write("a.ts", HEADER.replace("b a", "1 2 1.0") + "1:2:2\n")).classes == ("1", "2")


def test_columns_cannot_be_named(write):
    path = write("a.ts", HEADER + "1:2:a\n")
    for options, role, name in (
        (ReadOptions(group="who"), "group", "who"),
        (ReadOptions(id="n"), "id", "n"),
        (ReadOptions(time="t"), "time", "t"),
        (ReadOptions(features=("x", "y")), "features", "x, y"),
        (ReadOptions(target=("kind",)), "target", "kind"),
    ):
        with pytest.raises(DataError, match=rf'a\.ts: expected no column for {role}, got "{name}".*leave out --{role}'):
            read(path, options)
    assert len(read(path, ReadOptions(target=("kind",)), require_target=False)) == 1  # data to predict on may lack it
