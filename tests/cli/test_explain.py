"""``gatewise explain``."""

import io

import polars as pl


def test_why_in_words_as_a_table_and_as_a_page(gatewise, trained, tmp_path):
    words = ("explain", trained / "run", "--data", trained / "test.csv", "--row", 2)
    answer = gatewise(*words, "--out", tmp_path / "why.html")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("Row 2: log-odds of ")
    assert f"Page: {tmp_path / 'why.html'}" in answer.err
    assert "log-odds of" in (tmp_path / "why.html").read_text()
    table = pl.read_csv(io.StringIO(gatewise(*words, "--csv").out))
    assert table.columns == ["step", "name", "feature", "value"]
    told = float(answer.out.split("values add up to ")[1].split(".\n")[0].rstrip("."))
    assert abs(table["value"].sum() - told) <= 1e-3 * abs(told) + 1e-6


def test_what_cannot_be_explained(mistake, trained, tmp_path):
    words = ("explain", trained / "run", "--data", trained / "test.csv")
    assert "row: expected 0 to 23, got 24" in mistake(*words, "--row", 24)
    assert 'Did you mean "down"' in mistake(*words, "--target", "dwn")
    assert 'Did you mean "occlusion"' in mistake(*words, "--method", "oclusion")
    assert "step: expected none" in mistake(*words, "--step", 1)
    assert "ending in .html" in mistake(*words, "--out", tmp_path / "why.txt")
