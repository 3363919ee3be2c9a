import time

import numpy as np
import polars as pl
import pytest

from gatewise.data import ReadOptions, read
from gatewise.errors import DataError

LONG = "id,t,x,y,kind,who\nb,2,1,10,walk,P\na,1,2,,run,Q\nb,1,3,30,walk,P\n"
OPTIONS = ReadOptions(id="id", time="t", target=("kind",), group="who")


def test_long_form(write):
    data = read(write("a.csv", LONG), OPTIONS)
    assert data.ids == ["b", "a"] and data.targets == ["walk", "run"] and data.groups == ["P", "Q"]
    assert data.channels == ("x", "y") and data.target_names == ("kind",) and data.rows == [4, 3]
    np.testing.assert_array_equal(data.sequences[0], [[3, 30], [1, 10]])
    np.testing.assert_array_equal(data.sequences[1], [[2, np.nan]])


def test_long_form_without_time_keeps_the_order_of_the_file(write):
    data = read(write("a.csv", LONG), ReadOptions(id="id", features=("y", "x")))
    assert data.channels == ("y", "x") and data.sequences[0].tolist() == [[10, 1], [30, 3]] and data.targets is None


def test_wide_form(write):
    text = "name,kind,s0,s1,s2,who\nu,1.0,1,2,3,P\nv,2.0,4,,,Q\nw,1.0,NA,?,null,P\n"
    options = ReadOptions(id="name", target=("kind",), group="who")
    with pytest.raises(DataError, match=r"row 4: expected at least one value"):
        read(write("a.csv", text), options)
    data = read(write("a.csv", text.replace("null", "9")), options)
    assert data.ids == ["u", "v", "w"] and data.targets == ["1", "2", "1"] and data.channels == ("c0",)
    assert data.lengths.tolist() == [3, 1, 3] and np.isnan(data.sequences[2][:2]).all()


def test_parquet_is_the_same_as_csv(write, tmp_path):
    pl.read_csv(write("a.csv", LONG)).write_parquet(tmp_path / "a.parquet")
    ours, theirs = read(tmp_path / "a.parquet", OPTIONS), read(tmp_path / "a.csv", OPTIONS)
    for left, right in zip(ours.sequences, theirs.sequences, strict=True):
        np.testing.assert_array_equal(left, right)
    assert (ours.targets, ours.ids, ours.groups) == (theirs.targets, theirs.ids, theirs.groups)


@pytest.mark.parametrize(
    ("times", "order"),
    [
        ("10,9,1e1", None),
        ("10,9,8.5", [2, 1, 0]),
        ("2024-02,2023-12,2024-01", [1, 2, 0]),
        ("2024/02/01,2024-01-31,2024-01-30T10:00", [2, 1, 0]),
        ("2024-01-01 10:00:00.5,2024-01-01 10:00:00,2024-01-01 09:00:00", [2, 1, 0]),
    ],
)
def test_forms_of_time(write, times, order):
    rows = "".join(f"a,{moment},{i}\n" for i, moment in enumerate(times.split(",")))
    path = write("a.csv", "id,t,x\n" + rows)
    if order is None:
        with pytest.raises(DataError, match=r"row 4, column t: expected each time once for id a, got 1e1 as in row 2"):
            read(path, ReadOptions(id="id", time="t"))
    else:
        assert read(path, ReadOptions(id="id", time="t")).sequences[0][:, 0].tolist() == order


def test_targets_that_change_are_one_a_step(write):
    path = write("a.csv", "id,x,y,z\na,1,0.5,1\na,2,1,1\nb,3,2,7\n")
    data = read(path, ReadOptions(id="id", target=("y",)))
    assert [target.tolist() for target in data.targets] == [[[0.5], [1]], [[2]]] and data.channels == ("x", "z")
    data = read(path, ReadOptions(id="id", target=("y", "z"), task="regression"))
    assert data.targets[0].tolist() == [[0.5, 1], [1, 1]] and data.target_names == ("y", "z")
    assert read(path, ReadOptions(id="id", target=("z",), task="regression")).targets == [1.0, 7.0]


def test_a_gap_among_targets_of_steps(write):
    path = write("a.csv", "id,x,y\na,1,0.5\na,2,\n")
    with pytest.raises(DataError, match=r"row 3, column y: expected a target, got none"):
        read(path, ReadOptions(id="id", target=("y",)))
    assert read(path, ReadOptions(id="id", target=("y",)), require_target=False).targets is None


def test_several_targets_of_a_row(write):
    data = read(write("a.csv", "x,y,z\n1,2,3\n4,5,6\n"), ReadOptions(target=("y", "z")))
    assert [target.tolist() for target in data.targets] == [[2, 3], [5, 6]]


def test_labels_that_change_are_refused(write):
    with pytest.raises(DataError, match=r'row 3, column y: expected one label a sequence, got "n" after "m"'):
        read(write("a.csv", "id,x,y\na,1,m\na,2,n\n"), ReadOptions(id="id", target=("y",)))


def test_data_to_predict_on(write):
    path = write("a.csv", "name,s0,s1\nu,1,2\n")
    options = ReadOptions(id="name", target=("kind",))
    with pytest.raises(DataError, match=r'expected a column "kind", got none of that name'):
        read(path, options)
    assert read(path, options, require_target=False).targets is None
    some = write("b.csv", "name,s0,kind\nu,1,a\nv,2,\n")
    with pytest.raises(DataError, match=r"row 3, column kind: expected a target, got none"):
        read(some, options)
    assert read(some, options, require_target=False).targets is None
    assert read(write("c.csv", "name,s0,kind\nu,1,\nv,2,\n"), options).targets is None


def test_separators_quotes_and_header_forms(write):
    data = read(write("a.csv", 'id;"the x"\n"a;1";1\n"a;1";2\n'), ReadOptions(id="id"))
    assert data.ids == ["a;1"] and data.channels == ("the x",)
    data = read(write("a.csv", '"a ""x""",b,y\n\n1,2,3\n'), ReadOptions(id="b", time="y"))
    assert data.channels == ('a "x"',) and data.ids == ["2"] and data.rows == [3]
    assert len(read(write("a.csv", "0,1,2\n5,6,7\n"))) == 1  # as pandas numbers its columns
    assert len(read(write("a.csv", "3,1,2\n5,6,7\n"))) == 2  # no header
    assert read(write("a.csv", ",x\n0,5\n1,6\n")).lengths.tolist() == [1, 1]  # the index of pandas is no step


def test_line_numbers_are_those_of_an_editor(write):
    data = read(write("a.csv", 'id,x\n"a\nb",1\n\nc,2\r\n"a\nb",3\n'), ReadOptions(id="id"))
    assert data.ids == ["a\nb", "c"] and data.rows == [2, 5]
    with pytest.raises(DataError, match=r"row 6, column x"):
        read(write("a.csv", 'id,x\n"a\nb",1\n\nc,2\n"a\nb",z\nd,5\n'))


def test_line_break_in_the_last_record(write):
    data = read(write("a.csv", 'x,note\n1,a\n2,"b\nc"\n'), ReadOptions(features=("x",)))
    assert data.rows == [2, 3]
    assert read(write("a.csv", 'note,x,y\nb,1,\n"b\nc",2,')).lengths.tolist() == [1, 1]


def test_blank_lines_are_left_out(write):
    assert read(write("a.csv", "x\n1\n\n2\n\n")).rows == [2, 4]
    assert read(write("a.csv", "x,y\n1,2\n\n  \n3,4\n\n")).rows == [2, 5]


def test_numeric_column_with_a_slip_is_not_left_out(write):
    with pytest.raises(DataError, match=r'row 3, column x: expected a number, got "2,5"'):
        read(write("a.csv", 'x,y\n1,1\n"2,5",2\n3,3\n'))
    assert read(write("a.csv", "note,y\nfine,1\n2,2\nbad,3\n")).lengths.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (LONG, ReadOptions(id="idd"), r'expected a column "idd", got none of that name\. Did you mean "id"'),
        (LONG, ReadOptions(id="id", group="id"), r'one role for the column "id", got two'),
        (LONG, ReadOptions(features=("x", "x")), r'one role for the column "x", got two'),
        (LONG, ReadOptions(id="id", features=("kind",)), r'row 2, column kind: expected a number, got "walk"'),
        (LONG, ReadOptions(id="id", target=("kind", "x")), None),
        (LONG, ReadOptions(id="id", target=("x", "y"), task="classification"), r"one column of labels as target"),
        (LONG, ReadOptions(id="id", target=("kind",), task="regression"), r'row 2, column kind: .*got "walk"'),
        (LONG + "b,1,9,9,walk,P\n", OPTIONS, r"row 5, column t: expected each time once for id b, got 1 as in row 4"),
        (LONG + ",1,9,9,walk,P\n", OPTIONS, r"row 5, column id: expected a value, got none"),
        (LONG + "b,,9,9,walk,P\n", OPTIONS, r"row 5, column t: expected a value, got none"),
        (LONG + "b,3,9,9,walk,Q\n", OPTIONS, r"row 5, column who: expected one group a sequence"),
        (LONG + "b,3,9,9,run,P\n", OPTIONS, r'row 5, column kind: .*got "run" after "walk"'),
        (LONG + "c,3,9,9,,P\n", OPTIONS, r"row 5, column kind: expected a target, got none"),
        (LONG + "c,soon,9,9,run,P\n", OPTIONS, r'row 5, column t: .*got "soon"|row 2, column t: .*got "2"'),
        ("a,b\n1,2,3\n", ReadOptions(), r"row 2: expected 2 fields as in the first line, got 3"),
        ("a,b\n1,2\n3\n4,\n", ReadOptions(), r"row 3: expected 2 fields as in the first line, got 1"),
        ('a,b\n"x\ny",2\n3\n', ReadOptions(), r"row 4: expected 2 fields as in the first line, got 1"),
        ('a,b\n"x,2\n3,4\n', ReadOptions(), r"row 2: expected 2 fields|expected a table"),
        ("a,a\n1,2\n", ReadOptions(), r'row 1: expected different column names, got "a" twice'),
        ("a,b\nx,y\n", ReadOptions(), r"expected columns of numbers as features, got none"),
        ("x,y,z\n1,2,\n1,2,3\n", ReadOptions(target=("y", "z")), r"row 2, column z: expected a target, got none"),
    ],
)
def test_what_is_wrong_is_named(write, text, options, message):
    with pytest.raises(DataError, match=message or r"row 2, column kind"):
        read(write("bad.csv", text), options)


def test_dates_are_no_feature(tmp_path):
    frame = pl.DataFrame({"t": [1, 2], "x": [1.0, 2.0]}).with_columns(day=pl.datetime(2024, 1, pl.col("t")))
    frame.write_parquet(tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet", ReadOptions(time="day"))
    assert data.channels == ("t", "x") and data.rows == [0]
    with pytest.raises(DataError, match=r"column day: expected numbers, got Datetime"):
        read(tmp_path / "a.parquet", ReadOptions(features=("day",)))


def test_large_table_is_quick(tmp_path):
    rows = 200_000
    numbers = np.arange(rows)
    frame = pl.DataFrame({"id": numbers // 50, "x": numbers / 7, "y": numbers % 3, "kind": numbers // 50 % 2})
    frame.write_csv(tmp_path / "a.csv")
    begin = time.perf_counter()
    data = read(tmp_path / "a.csv", ReadOptions(id="id", target=("kind",)))
    assert time.perf_counter() - begin < 5  # a tenth of a second here; a loop over rows would take far more
    assert len(data) == 4000 and data.sequences[-1][-1, 1] == (rows - 1) % 3


@pytest.mark.parametrize("role", ["id", "time", "group", "target"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1], [2]], r"a\.parquet, column y: expected one text, number or time a row, got List"),
        ([{"a": 1}, {"a": 2}], r"a\.parquet, column y: .*got Struct"),
        ([b"a", b"\xff"], r"a\.parquet, row 1, column y: expected UTF-8 text, got the byte 0xff"),
    ],
)
def test_columns_that_are_no_text(tmp_path, role, values, message):
    pl.DataFrame({"x": [1.0, 2.0], "y": values}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.parquet", ReadOptions(**{role: ("y",) if role == "target" else "y"}))


def test_bytes_are_text(tmp_path):
    pl.DataFrame({"x": [1.0, 2.0], "y": [b"u", b"v"]}).write_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", ReadOptions(target=("y",))).targets == ["u", "v"]


def test_ids_written_in_two_ways_are_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,t,x,who,y\n1,0,1,5,a\n1.0,1,2,5.0,a\n 1,2,3,5,a\n2,0,4,6,b\n")
    data = read(path, ReadOptions(id="id", time="t", features=("x",), target=("y",), group="who"))
    assert data.ids == ["1", "2"]
    assert data.groups == ["5", "6"]
    assert data.lengths.tolist() == [3, 1]
