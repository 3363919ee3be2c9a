"""Sources and targets: which line belongs to which, from two files or from one."""

import json

import pandas as pd
import polars as pl
import pytest

from gatewise.data.pairs import read_pairs
from gatewise.data.text import TextOptions
from gatewise.errors import DataError

SOURCES, TARGETS = ["ein Hund , der läuft", "zwei"], ["a dog , running", "two"]
PAIRS = list(zip(SOURCES, TARGETS, strict=True))
FILES = {
    "a.tsv": "".join(f"{source}\t{target}\n" for source, target in PAIRS),
    "b.tsv": "target\tsource\n" + "".join(f"{target}\t{source}\n" for source, target in PAIRS),
    "a.txt": "".join(f"{source}\t{target}\r\n" for source, target in PAIRS),
    "a.csv": "body,subject\n" + "".join(f'"{source}","{target}"\n' for source, target in PAIRS),
    "a.jsonl": "".join(json.dumps({"document": s, "summary": t, "source": "web"}) + "\n" for s, t in PAIRS),
    "b.jsonl": "".join(json.dumps({"text": s, "summary": t, "id": 5}) + "\n" for s, t in PAIRS),
}


@pytest.mark.parametrize("require_target", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(write, name, require_target):
    data = read_pairs(write(name, FILES[name]), require_target=require_target)
    assert data.texts == SOURCES and data.targets == TARGETS and data.layout


def test_two_files_in_every_way(write):
    de, en = write("a.de", "\n".join(SOURCES)), write("a.en", "\n".join(TARGETS) + "\n")
    for data, targets in ((f"{de},{en}", None), ((de, en), None), ((str(de), str(en)), None), (de, str(en))):
        found = read_pairs(data, targets)
        assert found.texts == SOURCES and found.targets == TARGETS and list(found.rows) == [1, 2]
        assert "a.de to a.en" in found.layout and found.where(1) == f"{de}, {en}, row 2"


def test_commas_in_the_names_of_files(write):
    whole = write("x,y.txt", "a\tb\n")
    assert read_pairs(str(whole)).targets == ["b"]
    one, two = write("p,q.de", "a\n"), write("p,q.en", "b\n")
    assert read_pairs(f"{one},{two}").targets == ["b"]
    with pytest.raises(DataError, match=r"nothing\.en: expected a file, got nothing"):
        read_pairs(f"{write('a.de', 'a')},{one.parent / 'nothing.en'}")


def test_python_says_the_same():
    records = [{"source": source, "target": target} for source, target in PAIRS]
    for data in (PAIRS, (SOURCES, TARGETS), pl.DataFrame(records), pd.DataFrame(records), records):
        found = read_pairs(data)
        assert found.texts == SOURCES and found.targets == TARGETS
    assert read_pairs(SOURCES, TARGETS).targets == TARGETS
    assert read_pairs(SOURCES, require_target=False).targets is None


def test_which_column_is_what(write):
    path = write("a.csv", "n,de,en,text,summary\n1,x,y,z,w\n")
    data = read_pairs(path, options=TextOptions(text="de", target="en", id="n"))
    assert data.texts == ["x"] and data.targets == ["y"] and data.ids == ["1"]
    assert read_pairs(path).targets == ["w"]
    path = write("a.tsv", "x\ty\tCC-BY\nz\tw\tCC-BY\n")
    assert read_pairs(path, options=TextOptions(text="2", target="1")).texts == ["y", "w"]
    with pytest.raises(DataError, match=r"got 3 fields\. Say which they are, by number"):
        read_pairs(path)
    path = write("b.tsv", "german\tenglish\nx\ty\n")
    assert read_pairs(path, options=TextOptions(text="english", target="german")).texts == ["y"]
    assert read_pairs(path).texts == ["german", "x"] and "without names" in read_pairs(path).layout


def test_sources_alone(write):
    path = write("a.de", "eins\n\nzwei\t2\n")
    data = read_pairs(path, options=TextOptions(target="en"), require_target=False)
    assert data.texts == ["eins", "", "zwei\t2"] and data.targets is None and "one source a line" in data.layout
    assert read_pairs(write("a.jsonl", '{"body": "a", "date": "b"}'), require_target=False).targets is None


def test_blank_sides_are_left_out_of_training_and_counted(write):
    de, en = write("a.de", "eins\n\ndrei\n \nfuenf\n"), write("a.en", "one\ntwo\n\n\nfive\n")
    data = read_pairs((de, en))
    assert data.texts == ["eins", "fuenf"] and data.targets == ["one", "five"] and list(data.rows) == [1, 5]
    assert "3 pairs left out because a side is blank, the first in row 2" in data.layout
    kept = read_pairs((de, en), require_target=False)
    assert kept.texts == ["eins", "", "drei", "", "fuenf"] and kept.targets == ["one", "two", "", "", "five"]
    with pytest.raises(DataError, match="got only such of which one side is blank"):
        read_pairs([("a", ""), ("", "b")])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "eins\n", r"row 1: expected a source and a target with a tab between them, got no tab"),
        ("a.txt", "a\tb\n\nc\n", r"row 3: expected 2 fields as in row 1, got 1"),
        ("a.tsv", "a\tb\nc\td\te\n", r"row 2: expected 2 fields as in row 1, got 3"),
        (
            "a.jsonl",
            '{"source": "a", "target": "b"}\n{"source": "a"}',
            r"row 2, column target: expected text, got none",
        ),
        ("a.jsonl", '{"source": {"de": "a"}, "target": "b"}', r"row 1, column source: expected text, got a dict"),
        ("a.csv", "source,b,c\nx,y,z\n", r'expected a column "target", got source, b, c'),
    ],
)
def test_what_is_wrong_is_named(write, name, text, message):
    path = write(name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_one_side_longer(write):
    de, en = write("a.de", "1\n2\n3\n"), write("a.en", "1\n")
    with pytest.raises(DataError, match=r"as many lines in both, got 3 and 1\. Row 2 of .*a\.de is the first"):
        read_pairs(de, en)
    with pytest.raises(DataError, match=r"got 1 and 3\. Row 2 of .*a\.de is the first"):
        read_pairs(en, de)


@pytest.mark.parametrize(
    ("data", "targets", "options", "message"),
    [
        (["a"], None, {}, "expected a target for each text, got none"),
        (["a"], ["b", "c"], {}, "expected 1 targets, one a text, got 2"),
        (["a"], [5], {}, "target 0: expected text, got the int 5"),
        (["a"], ["b"], {"text": "de"}, 'expected no column for text, got "de"'),
        (["a"], "b.txt", {}, 'a list of targets.* got the text "b.txt"'),
    ],
)
def test_python_errors(data, targets, options, message):
    with pytest.raises(DataError, match=message):
        read_pairs(data, targets, TextOptions(**options))


@pytest.mark.parametrize(("part", "count"), [("train", 29000), ("val", 1014), ("test_2016_flickr", 1000)])
def test_multi30k(archive, part, count):
    paths = [archive(f"multi30k/{part}.lc.norm.tok.{language}.xz") for language in ("en", "de")]
    data = read_pairs(f"{paths[0]},{paths[1]}")
    assert len(data) == count == len(data.targets) and 11 < sum(len(text.split()) for text in data.texts) / count < 15


@pytest.mark.parametrize(("part", "count"), [("train", 14436), ("dev", 1960), ("test", 1906)])
def test_aeslc(archive, part, count):
    data = read_pairs(archive(f"aeslc/{part}.jsonl.xz"), options=TextOptions(id="id"))
    assert len(data) == count and len(set(data.ids)) == count
    assert 3 < sum(len(target.split()) for target in data.targets) / count < 5.5
