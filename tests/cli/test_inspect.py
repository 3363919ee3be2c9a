"""``gatewise inspect`` as typed."""

import pytest

from gatewise.cli.rows import row_numbers
from gatewise.errors import OptionError


def test_a_page_is_written(gatewise, trained, monkeypatch):
    monkeypatch.chdir(trained)
    answer = gatewise("inspect", "run", "--data", "test.csv", "--rows", "1,3", "--out", "page.html")
    assert answer.code == 0, answer
    assert answer.out == "Page: page.html\n"
    page = (trained / "page.html").read_text(encoding="utf-8")
    assert '"row":1' in page
    assert '"row":3' in page
    answer = gatewise("inspect", "run", "--count", 2)  # of its own test file, beside the run
    assert answer.code == 0, answer
    assert (trained / "run" / "inspect.html").exists()
    assert gatewise("inspect", "run", "--count", 2).code == 0  # its own page may be replaced


def test_mistakes_are_one_line(mistake, trained, monkeypatch):
    monkeypatch.chdir(trained)
    (trained / "there.html").write_text("mine")
    assert "got one that exists" in mistake("inspect", "run", "--data", "test.csv", "--out", "there.html")
    assert (trained / "there.html").read_text() == "mine"
    assert ".html" in mistake("inspect", "run", "--data", "test.csv", "--out", "page.pdf")
    assert "rows: expected 0 to 23, got 5000" in mistake("inspect", "run", "--data", "test.csv", "--rows", "0,5000")
    assert "count: expected none with rows" in mistake("inspect", "run", "--rows", "0", "--count", 3)
    assert 'got "a"' in mistake("inspect", "run", "--data", "test.csv", "--rows", "a")
    assert "nothing.csv" in mistake("inspect", "run", "--data", "nothing.csv")
    assert "nowhere" in mistake("inspect", "nowhere")


def test_rows_in_words():
    assert row_numbers(" 0, 5,7 ") == [0, 5, 7]
    assert row_numbers("12") == [12]
    for wrong in ("", ",", "4,", "1..3", "-1", "1,b"):
        with pytest.raises(OptionError, match="0,5,7"):
            row_numbers(wrong)
