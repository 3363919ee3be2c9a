"""``gatewise probe``."""

import io

import polars as pl

from texts import TINY, words_of, write_corpus


def test_units_that_tell_a_class(gatewise, trained):
    answer = gatewise("probe", trained / "run", "--data", trained / "test.csv")
    assert answer.code == 0, answer.err
    assert "class down" in answer.out
    assert "encoder.layers.0" in answer.out
    table = pl.read_csv(io.StringIO(gatewise("probe", trained / "run", "--data", trained / "test.csv", "--csv").out))
    assert table["property"].to_list() == ["class down", "class up"]
    assert table["held_out"].is_between(-1, 1).all()


def test_units_that_follow_a_text(gatewise, tmp_path):
    text = write_corpus(tmp_path / "a.txt", count=100, line='He said "no" (once).')
    words = words_of({**TINY, "data.text.tokens": "characters"})
    assert gatewise("train", "language-model", "--data", text, "--out", tmp_path / "run", *words).code == 0
    write_corpus(tmp_path / "b.txt", count=200, line='He said "no" (once).')
    answer = gatewise("probe", tmp_path / "run", "--data", tmp_path / "b.txt")
    assert answer.code == 0, answer.err
    page = tmp_path / "units.html"
    assert gatewise("probe", tmp_path / "run", "--data", tmp_path / "b.txt", "--out", page).code == 0
    assert "On the text" in page.read_text()
    for name in ("position in the line", "inside double quotes", "inside parentheses"):
        assert name in answer.out


def test_what_cannot_be_probed(mistake, trained, tmp_path):
    assert "at least 20 sequences" in mistake(
        "probe", trained / "run", "--data", _first(trained / "test.csv", tmp_path)
    )
    (tmp_path / "there.html").touch()
    for name, words in (("there.html", "got one that exists"), ("units.txt", "ending in .html")):
        assert words in mistake("probe", trained / "run", "--data", trained / "test.csv", "--out", tmp_path / name)
    assert "missing.csv" in mistake("probe", trained / "run", "--data", tmp_path / "missing.csv")


def _first(table, folder):
    (folder / "short.csv").write_text("\n".join(table.read_text().splitlines()[:6]) + "\n")
    return folder / "short.csv"
