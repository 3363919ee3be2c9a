import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from gatewise.data import ReadOptions, SequenceData, from_python
from gatewise.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(2, 3, 2)


@pytest.mark.parametrize(
    "data",
    [
        X,
        torch.from_numpy(X),
        torch.from_numpy(X).requires_grad_(),
        torch.from_numpy(X).bfloat16(),
        list(X),
        list(torch.from_numpy(X)),
        X.tolist(),
    ],
)
def test_arrays_tensors_and_lists(data):
    read = from_python(data, [1, 0])
    np.testing.assert_array_equal(np.stack(read.sequences), X)
    assert read.sequences[0].dtype == np.float64 and read.targets == ["1", "0"] and read.channels == ("c0", "c1")


def test_one_channel_and_unequal_lengths():
    assert from_python(X[:, :, 0]).sequences[1].tolist() == [[6], [8], [10]]
    assert from_python([[1, 2, 3], [4]]).lengths.tolist() == [3, 1]
    assert from_python([np.array([1, 2]), torch.tensor([[3.0]])]).sequences[1].tolist() == [[3]]


@pytest.mark.parametrize(
    ("targets", "task", "expected"),
    [
        (np.array(["a", "b"]), None, ["a", "b"]),
        (torch.tensor([3, 1]), None, ["3", "1"]),
        (np.array([1.0, 2.0]), None, ["1", "2"]),
        (np.array([1.0, 2.5]), None, [1.0, 2.5]),
        ([1, 2], "regression", [1.0, 2.0]),
        (pd.Series(["a", "b"]), None, ["a", "b"]),
        (pl.Series([0.5, 1.0]), None, [0.5, 1.0]),
        ((label for label in "ab"), None, ["a", "b"]),
        (pd.Categorical(["a", "b"]), None, ["a", "b"]),
        (None, None, None),
    ],
)
def test_kinds_of_targets(targets, task, expected):
    assert from_python((X, targets), options=ReadOptions(task=task)).targets == expected


def test_vectors_and_steps_as_targets():
    data = from_python(X, np.array([[1, 2], [3, 4]]))
    assert data.targets[1].tolist() == [3, 4] and data.target_names == ("y0", "y1")
    assert from_python([[1, 2], [3]], [torch.tensor([[0.5], [1]]), [[2.0]]]).targets[0].tolist() == [[0.5], [1]]


class Pairs(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.from_numpy(X[index]), "ab"[index]


class Broken(Pairs):
    def __getitem__(self, index):
        if index == 1:
            raise OSError("no such file\nin two lines")
        return super().__getitem__(index)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(X)


def test_datasets():
    assert from_python(Pairs()).targets == ["a", "b"]
    assert from_python(TensorDataset(torch.from_numpy(X), torch.tensor([1, 0]))).targets == ["1", "0"]
    assert from_python([(X[0], "a"), (X[1], "b")]).targets == ["a", "b"]
    with pytest.raises(DataError, match="got a stream"):
        from_python(Stream())
    with pytest.raises(DataError, match=r"item 1 of the dataset: .*got OSError: no such file in two lines\. "):
        from_python(Broken())


@pytest.mark.parametrize("library", [pd, pl])
def test_frames(library):
    columns = {"id": [1, 1, 2], "x": [1.0, None, 3.0], "day": ["2024-02-01", "2024-01-01", "2024-01-01"]}
    frame = library.DataFrame({**columns, "kind": ["u", "u", "v"]})
    data = from_python(frame, options=ReadOptions(id="id", time="day", target=("kind",)))
    np.testing.assert_array_equal(data.sequences[0], [[np.nan], [1]])
    assert data.ids == ["1", "2"] and data.targets == ["u", "v"] and data.channels == ("x",)
    with pytest.raises(DataError, match=r'memory: expected a column "kin".*Did you mean "kind"'):
        from_python(frame, options=ReadOptions(target=("kin",)))


def test_pandas_kinds_of_columns():
    frame = pd.DataFrame(
        {
            0: pd.array([1, None], dtype="Int64"),
            "time": pd.to_datetime(["2024-01-02", "2024-01-01"]),
            "flag": [True, False],
            "kind": pd.Categorical(["u", "u"]),
        }
    )
    data = from_python(frame, options=ReadOptions(time="time", target=("kind",)))
    np.testing.assert_array_equal(data.sequences[0], [[np.nan, 0], [1, 1]])
    assert data.channels == ("0", "flag") and data.targets == ["u"]


def test_pandas_objects():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [object(), object()], "z": [{"a": 1}, [2]]})
    assert len(from_python(frame)) == 2  # neither has a role
    for name in "yz":
        with pytest.raises(DataError, match=rf"memory, column {name}: expected one text, number .*got Object\. Name"):
            from_python(frame, options=ReadOptions(target=(name,)))


def test_frames_of_targets():
    assert from_python(X, pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.5]})).targets[1].tolist() == [2, 4.5]


def test_arrays_have_no_columns():
    options = ReadOptions(group="who")
    for data in (X, list(X), Pairs()):
        with pytest.raises(DataError, match=r'memory: expected no column for group, got "who".*leave group out'):
            from_python(data, options=options)
    with pytest.raises(DataError, match='expected no column for target, got "kind"'):
        from_python(X, ["a", "b"], ReadOptions(target=("kind",)))
    # a run trained on a table predicts on arrays
    assert len(from_python(X, options=ReadOptions(target=("kind",)), require_target=False)) == 2


def test_pandas_names_that_clash():
    with pytest.raises(DataError, match='got "0" twice'):
        from_python(pd.DataFrame({0: [1.0], "0": [2.0]}))


def test_pandas_times_with_a_zone():
    day = pd.to_datetime(["2024-01-02T00:00Z", "2024-01-01T00:00Z"])
    data = from_python(pd.DataFrame({"t": day, "x": [1.0, 2.0]}), options=ReadOptions(time="t"))
    assert data.sequences[0].tolist() == [[2], [1]]


def test_paths_and_data_pass_through(write):
    data = SequenceData([X[0]])
    assert from_python(data) is data
    assert len(from_python(str(write("a.csv", "x,y\n1,2\n")))) == 1


@pytest.mark.parametrize(
    ("data", "targets", "message"),
    [
        (5, None, "got int"),
        ({"x": X}, None, "got dict"),
        (np.zeros(3), None, r"got an array of shape \(3,\)"),
        ([np.zeros((2, 1)), np.zeros((2, 3))], None, "sequence 1: expected 1 channels as in the first one, got 3"),
        ([np.zeros((2, 1, 1))], None, r"sequence 0: expected \[T, I\] or \[T\], got an array of shape \(2, 1, 1\)"),
        ([["a"]], None, "sequence 0: expected numbers, got <U1"),
        ([[[1, 2], [3]]], None, "sequence 0: expected an array of numbers, got list"),
        (X, [1], "expected 2 targets, one a sequence, got 1"),
        (X, ["a", None], "sequence 1: expected a target, got none"),
        (X, [np.zeros(2), np.zeros((3, 1))], r"sequence 1: expected targets like the first ones"),
        (X, [np.zeros((3, 1)), np.zeros((2, 1))], "sequence 1: expected one target a step, 3 in all, got 2"),
        (X, [["a", "b", "c"]] * 2, "A label for each step of numeric channels is not offered yet"),
        (X, 5, "expected a list or an array of targets, one a sequence, got int"),
        (X, "ab", "expected a list or an array of targets, one a sequence, got str"),
        (X, torch.tensor(5), "expected a list or an array of targets.*got a single int64"),
        (X, {0: "a", 1: "b"}, "expected a list or an array of targets, one a sequence, got dict"),
        (pl.DataFrame({"x": [1]}).lazy(), None, r"expected a data frame, got a polars LazyFrame.*collect\(\)"),
        (pd.Series([1.0]), None, "expected a data frame, got a pandas Series"),
        (torch.ones(2, 3).to_sparse(), None, "expected a dense tensor of numbers, got one of layout sparse_coo"),
        (torch.ones(2, 3, device="meta"), None, "expected a dense tensor of numbers, got one .* on meta"),
        (X, torch.ones(2, device="meta"), "expected a dense tensor of numbers, got one .* on meta"),
        (pl.DataFrame({"x": [1]}), [1], "no separate targets with DataFrame"),
    ],
)
def test_what_is_wrong_is_named(data, targets, message):
    with pytest.raises(DataError, match="memory.*" + message) as caught:
        from_python(data, targets)
    assert "\n" not in str(caught.value)


def test_import_is_light():
    heavy = "import sys, gatewise.data; print([n for n in ('pandas', 'polars', 'pyarrow') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_masked_values_are_missing():
    masked = np.ma.masked_equal([[1.0, 2.0, -9999.0], [3.0, 4.0, 5.0]], -9999.0)
    for data in (masked, list(masked)):
        found = from_python(data, ["a", "b"]).sequences[0][:, 0]
        assert np.array_equal(found, [1.0, 2.0, np.nan], equal_nan=True)


def test_bytes_are_text():
    assert from_python(np.zeros((2, 3)), np.array([b"walk", b"run"])).targets == ["walk", "run"]
