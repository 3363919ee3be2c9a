"""Rows mean the same wherever they are asked for: numbers of sequences, from 0; how many is a count."""

import inspect

import numpy as np
import pytest

import gatewise
from gatewise.api.rows import checked_count, checked_rows, picked, read_answered
from gatewise.errors import DataError, OptionError

X = np.random.default_rng(0).normal(size=(24, 6, 2))
Y = ["up" if row % 2 else "down" for row in range(24)]
LOOKS = ("trace", "memory", "inspect", "explain", "units", "probe")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"train.epochs": 1, "train.threads": 1, "model.hidden_sizes": [4]}
    out = tmp_path_factory.mktemp("rows") / "run"
    return gatewise.train("classification", data=X, targets=Y, out=out, settings=settings, progress=False, report=False)


def checked(rows, count=24, name="rows"):
    return checked_rows(rows, count, source="a.csv", noun="sequences", name=name)


@pytest.mark.parametrize("rows", [3, np.int64(3), [3], (3,), range(3, 4), np.array([3]), {3: "three"}])
def test_whole_numbers_of_any_kind_are_rows(rows):
    assert checked(rows) == [3]
    assert type(checked(rows)[0]) is int


@pytest.mark.parametrize(
    "rows", [True, [True], np.bool_(True), 2.0, [1, 2.5], np.array([1.0]), np.array(3), "3", ["3"], None, []]
)
def test_nothing_else_is(rows):
    with pytest.raises(OptionError, match="rows: expected numbers of rows, got "):
        checked(rows)


def test_rows_that_there_are_not():
    for row in (-1, 24):
        with pytest.raises(OptionError, match=f"rows: expected 0 to 23, got {row}. a.csv has 24 sequences."):
            checked([0, row])
    with pytest.raises(OptionError, match=r"each row once, got \[1, 2, 1\]"):
        checked([1, 2, np.int64(1)])
    with pytest.raises(OptionError, match=r"row: expected the number of a row, got \[1\]"):
        checked([1], name="row")
    with pytest.raises(DataError, match=r"a\.csv: expected at least one sequence"):
        checked(0, 0)


def test_a_count_is_whole_and_stands_alone():
    assert checked_count(None, [1]) is None
    assert checked_count(np.int32(5)) == 5
    for wrong in (0, -1, True, 2.0, "3", [3]):
        with pytest.raises(OptionError, match="count: expected at least 1, got "):
            checked_count(wrong)
    with pytest.raises(OptionError, match="count: expected none with rows, got 3"):
        checked_count(3, 0)


@pytest.mark.parametrize("look", ["trace", "memory", "inspect"])
def test_all_that_looks_inside_follows_the_same_rule(run, look):
    for rows, message in ((24, "0 to 23, got 24"), ([0, -1], "0 to 23, got -1"), (True, "got True"), ("3", "got '3'"),
                          ([1, 1], "each row once"), (1.5, r"got 1\.5")):  # fmt: skip
        with pytest.raises(OptionError, match=f"^rows: .*{message}"):
            getattr(run, look)(X, rows=rows)


def test_a_row_is_that_row_and_a_count_is_so_many(run):
    assert run.trace(X, rows=np.int64(5)).rows == [5]
    assert run.memory(X, rows=5).rows == (5,)
    assert len(run.memory(X, count=5).rows) == 5
    assert run.explain(X, row=5).row == 5
    page = run.inspect(X, rows=5).read_text(encoding="utf-8")
    assert '"row":5,' in page
    assert '"row":0,' not in page.split('"gallery"')[0]


@pytest.mark.parametrize("look", LOOKS)
def test_everything_takes_data_and_targets(look):
    parameters = list(inspect.signature(getattr(gatewise.Run, look)).parameters.values())
    assert [one.name for one in parameters[:3]] == ["self", "data", "targets"]
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[3:])


def test_data_are_read_with_their_answers(run):
    assert read_answered(run, X, Y).targets == Y
    assert read_answered(run, X).targets is None
    read = run.read(X, Y, require_target=True)
    assert read_answered(run, read) is read
    with pytest.raises(DataError, match="no separate targets with data as read"):
        read_answered(run, read, Y)
    with pytest.raises(DataError, match=r"23|24"):
        read_answered(run, X, Y[1:])


def test_what_is_picked_is_what_the_whole_would_give(run):
    read = read_answered(run, X, Y)
    whole = run.adapter.encode(read)
    found, _ = picked(run, read, [7, 2])
    for one in found:
        np.testing.assert_array_equal(one.example.input, whole[one.row].input)
        np.testing.assert_array_equal(one.data.sequences[0], X[one.row])
        assert one.data.targets == [Y[one.row]]
