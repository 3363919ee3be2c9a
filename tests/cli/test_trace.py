"""``gatewise trace`` as typed."""

import numpy as np
import polars as pl
import pytest

from gatewise.cli.trace import stretch_of
from gatewise.errors import OptionError


def test_a_table_and_arrays_are_written(gatewise, trained, monkeypatch):
    monkeypatch.chdir(trained)
    answer = gatewise("trace", "run", "--data", "test.csv", "--rows", "3,1", "--out", "trace.parquet")
    assert answer.code == 0, answer
    assert answer.err.startswith("Row 3: ")
    assert "8 units of 1 layers in trace.parquet" in answer.err
    frame = pl.read_parquet("trace.parquet")
    assert frame["row"].unique().sort().to_list() == [1, 3]
    assert {"layer", "unit", "step", "at", "forget_gate", "cell"} <= set(frame.columns)
    answer = gatewise("trace", "run", "--out", "trace.npz", "--steps", "1..3")  # of its own test file
    assert answer.code == 0, answer
    with np.load("trace.npz") as arrays:
        assert arrays["encoder.layers.0/cell"].shape[1] == 2
        assert arrays["axis/0"].tolist() == ["1", "2"]


def test_mistakes_are_one_line(mistake, trained, monkeypatch):
    monkeypatch.chdir(trained)
    here = ("trace", "run", "--data", "test.csv")
    (trained / "there.csv").write_text("mine")
    assert "got one that exists" in mistake(*here, "--out", "there.csv")
    assert (trained / "there.csv").read_text() == "mine"
    assert ".parquet, .csv, .npz" in mistake(*here, "--out", "t.xlsx")
    assert "expected 0 to" in mistake(*here, "--rows", 5000, "--out", "t.csv")
    assert 'got "5"' in mistake(*here, "--steps", "5", "--out", "t.csv")
    assert "got (2, 900)" in mistake(*here, "--steps", "2..900", "--out", "t.csv")
    assert "--out" in mistake(*here)
    assert not (trained / "t.csv").exists()


def test_a_file_is_replaced_where_that_is_asked(gatewise, trained, monkeypatch):
    monkeypatch.chdir(trained)
    (trained / "old.csv").write_text("old")
    assert gatewise("trace", "run", "--out", "old.csv", "--overwrite").code == 0
    assert (trained / "old.csv").read_text().startswith("row,layer,")


def test_a_stretch_in_words():
    assert stretch_of(" 3..20 ") == (3, 20)
    for wrong in ("3", "3..", "..", "a..b", "-1..3"):
        with pytest.raises(OptionError, match="FROM"):
            stretch_of(wrong)
