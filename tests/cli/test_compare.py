"""``gatewise compare`` as it is typed."""

import json
import shutil

import pytest

import gatewise
from tables import write_wide


@pytest.fixture(scope="module")
def runs(trained, tmp_path_factory):
    """Two runs that were trained on one file, a copy of the first, and the file of both."""
    place = tmp_path_factory.mktemp("runs")
    settings = {"data.target": ["label"], "train.epochs": 1, "train.seed": 5, "model.hidden_sizes": [4]}
    gatewise.train(
        "classification", data=trained / "train.csv", test=trained / "test.csv", out=place / "b", settings=settings,
        progress=False, report=False,
    )  # fmt: skip
    shutil.copytree(trained / "run", place / "a-0")
    shutil.copytree(trained / "run", place / "a-1")
    return place


def test_what_is_printed(gatewise, runs):
    answer = gatewise("compare", runs / "a-0", runs / "b", "--resamples", 200)
    assert answer.code == 0
    first, *_ = answer.out.splitlines()
    assert "24 sequences" in first
    for text in ("accuracy", "F1", "AUC", "parameters", "sequences a second", "train.seed", "train.epochs"):
        assert text in answer.out
    assert "data.target" not in answer.out  # does not differ
    assert "200 resamples of 24 sequences" in answer.out
    assert "Note: Intervals from 24 sequences are rough" in answer.err


def test_json_is_all_of_it(gatewise, runs):
    answer = gatewise("compare", runs / "a-0", runs / "a-1", runs / "b", "--json", "--no-speed", "--resamples", 100)
    told = json.loads(answer.out)
    assert [setup["name"] for setup in told["setups"]] == ["a-0", "a-1", "b"]
    assert told["differences"][0]["same"] is True
    assert told["differences"][0]["p"] == 1.0
    assert told["setups"][0]["rate"]["value"] is None
    assert len(told["words"]) == 2
    assert answer.err == ""


def test_seeds_of_a_setup(gatewise, runs):
    answer = gatewise("compare", runs / "a-0", runs / "a-1", "vs", runs / "b", "--no-speed", "--resamples", 100)
    assert answer.code == 0
    assert "a (2 runs)" in answer.out
    assert "±" in answer.out


def test_a_page(gatewise, mistake, runs, tmp_path):
    page = tmp_path / "page.html"
    answer = gatewise("compare", runs / "a-0", runs / "b", "--out", page, "--no-speed", "--resamples", 100)
    assert f"Page: {page}" in answer.out
    content = page.read_text()
    assert content.startswith("<!DOCTYPE html>")
    for title in ("Metrics", "Answers", "Training", "Speed and size", "Settings"):
        assert f"<h2>{title}</h2>" in content
    words = ("compare", runs / "a-0", runs / "b", "--out")
    assert "got one that exists" in mistake(*words, page)
    assert "expected a name ending in .html" in mistake(*words, tmp_path / "page.pdf")
    assert "expected a folder to write to" in mistake(*words, tmp_path / "no" / "page.html")
    page.write_text("old")
    assert gatewise(*words, page, "--overwrite", "--no-speed", "--resamples", 100).code == 0
    assert page.read_text() != "old"


def test_mistakes_are_told_in_a_line(mistake, runs, tmp_path):
    assert "at least two runs, got 1" in mistake("compare", runs / "a-0")
    assert "at least two runs" in mistake("compare", runs / "a-0", "vs")
    assert "each run once" in mistake("compare", runs / "a-0", runs / "a-0")
    assert "no.csv" in mistake("compare", runs / "a-0", runs / "b", "--data", tmp_path / "no.csv")
    other = write_wide(tmp_path / "other.csv", labels=("left", "right"))
    assert "left" in mistake("compare", runs / "a-0", runs / "b", "--data", other)
    assert "expected a run directory" in mistake("compare", runs / "a-0", tmp_path)
