"""Texts with labels and plain corpora: what is a text, what is a label, and what is said when that is not clear."""

import json
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from gatewise.data.lines import MappedLines, Selected
from gatewise.data.text import TextData, TextOptions
from gatewise.data.text_files import read_corpus, read_labelled
from gatewise.errors import DataError

RECORDS = [{"text": "a fine film", "label": "good"}, {"text": 'so "so", 1', "label": "bad"}]
TEXTS, LABELS = ["a fine film", 'so "so", 1'], ["good", "bad"]


def json_lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


FILES = {
    "a.jsonl": json_lines(RECORDS),
    "a.json": json.dumps(RECORDS),
    "a.csv": 'text,label\na fine film,good\n"so ""so"", 1",bad\n',
    "b.csv": 'label;text\ngood;a fine film\nbad;"so ""so"", 1"\n',
    "a.tsv": 'text\tlabel\r\na fine film\tgood\r\nso "so", 1\tbad\r\n',
    "b.tsv": 'text\tlabel\na fine film\tgood\n"so ""so"", 1"\tbad\n',
    "a.txt": 'good a fine film\n\nbad so "so", 1',
    "b.txt": 'good\ta fine film\nbad\tso "so", 1\n',
    "c": '__label__good a fine film\n__label__bad   so "so", 1\r\n',
    "train.ft": '__label__good\ta fine film\n__label__bad\tso "so", 1\n',
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(write, name):
    data = read_labelled(write(name, FILES[name]))
    assert list(data.texts) == TEXTS and data.targets == LABELS and data.layout
    assert data.ids is data.groups is data.classes is None and not data.lines


def test_frames_and_lists_say_the_same(tmp_path):
    frame = pl.DataFrame(RECORDS)
    frame.write_parquet(path := tmp_path / "a.parquet")
    for data in (
        frame,
        pd.DataFrame(RECORDS),
        path,
        RECORDS,
        list(zip(TEXTS, LABELS, strict=True)),
        (TEXTS, LABELS),
        (np.array(TEXTS), pl.Series(LABELS)),
    ):
        found = read_labelled(data)
        assert found.texts == TEXTS and found.targets == LABELS
    assert read_labelled(TEXTS, LABELS).targets == LABELS
    assert read_labelled(TEXTS, torch.tensor([1, 0])).targets == ["1", "0"]
    assert read_labelled(TEXTS).targets is None
    assert read_labelled(TEXTS, [1.0, None], require_target=False).targets is None


@pytest.mark.parametrize(
    ("records", "options", "texts", "labels"),
    [
        ([{"sentence": "a b", "text": "c"}], {}, ["c"], None),
        ([{"id": "7", "Body": "a", "Target": 3.0}], {}, ["a"], ["3"]),
        ([{"review": "a", "stars": 3, "index": 9}], {}, ["a"], ["3"]),
        ([{"text": "a", "answer": True, "id": 1}], {}, ["a"], ["True"]),
        ([{"a": "x", "b": "y", "c": "z"}], {"text": "b", "target": "c"}, ["y"], ["z"]),
        ([{"subject": "a", "label": "x"}], {}, ["a"], ["x"]),
    ],
)
def test_which_column_is_what(records, options, texts, labels):
    data = read_labelled(records, options=TextOptions(**options), require_target=labels is not None)
    assert data.texts == texts and data.targets == labels


def test_ids_groups_and_rows(write):
    path = write("a.csv", 'who,n,text,label\nann,1.0,"two\nlines",x\nbob,2.0,b,y\n')
    data = read_labelled(path, options=TextOptions(id="n", group="who"))
    assert data.ids == ["1", "2"] and data.groups == ["ann", "bob"] and data.rows == [2, 4]
    assert data.where(1) == f"{path}, row 4 (id 2)"
    assert data.layout == 'CSV: text from "text", label from "label", ids from "n", groups from "who"'
    assert read_labelled(path, options=TextOptions(group="whom"), require_target=False).groups is None


LABELLED = "1 fine\n0 dull\n1 good\n"


@pytest.mark.parametrize(
    ("text", "classes", "target", "labels"),
    [
        (LABELLED, None, None, None),
        (LABELLED, ["0", "1", "2"], None, ["1", "0", "1"]),
        (LABELLED, ["0", "1"], "none", None),
        (LABELLED, None, "first", ["1", "0", "1"]),
        (LABELLED, ["0", "1"], "sentiment", ["1", "0", "1"]),  # the column of the training file is no matter here
        ("no label\nin these\n1 line\n", ["0", "1"], None, None),
        ("__label__a x\n__label__b y\n", None, None, ["a", "b"]),
    ],
)
def test_labels_in_a_file_to_predict_on_are_never_read_as_text(write, text, classes, target, labels):
    path = write("a.test", text)
    data = read_labelled(path, options=TextOptions(target=target), require_target=False, classes=classes)
    assert data.targets == labels
    assert [line.split()[-1] for line in data.texts] == [line.split()[-1] for line in text.splitlines()]
    assert (labels is None) == any(line in text.splitlines() for line in data.texts)
    assert ("without labels" in data.layout) == (labels is None)
    assert '".test" is no format' in data.layout


def test_lines_to_predict_on_keep_their_places(write):
    data = read_labelled(write("a.txt", "one\n\n two \n\n"), require_target=False)
    assert data.texts == ["one", "", "two", ""] and list(data.rows) == [1, 2, 3, 4]


def test_a_column_of_known_labels_is_told_by_its_values(write):
    path = write("a.csv", "review,stars\nfine film,5\ndull,1\n")
    assert read_labelled(path, require_target=False, classes=["1", "5"]).targets == ["5", "1"]
    assert read_labelled(path, require_target=False, classes=["good", "bad"]).targets is None
    assert read_labelled(path, require_target=False).targets is None


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.jsonl", '{"text": "a", "label": "x"}\n\n[1]\n', {}, r"row 3: expected a JSON object .*got a list"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', {}, r"row 2: expected a JSON object, got .*text"),
        ("a.jsonl", "[" * 100_000, {}, r"expected a JSON object, got"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": 5, "label": "x"}', {}, r"row 2.*text: .*got the int 5"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"label": "x"}', {}, r"row 2, column text: expected text, got none"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}', {}, r"row 2, column label: expected a target, got n"),
        ("a.jsonl", '{"text": "a", "label": ["x"]}', {}, r"row 1, column label: expected a label, got a list"),
        ("a.jsonl", '{"text": "a\\ud800", "label": "x"}', {}, r"row 1, column text: .*half a character, U\+D800"),
        ("a.csv", "text,label\na,x\n", {"target": "lable"}, r'a column "lable", got none.*mean "label"'),
        ("a.csv", "text,label\na,x\n", {"text": "txt"}, r'a column "txt", got none.*mean "text"'),
        ("a.csv", "text,label\na,x\n", {"text": "label", "target": "label"}, r'one role for the column "label"'),
        ("a.csv", "text,label\na,x\n", {"id": "nr"}, r'a column "nr", got none'),
        ("a.csv", "a,b,c\nx,y,z\n", {}, r'expected a column "text", got a, b, c. Say which column is the text'),
        ("a.csv", "text,b,c\nx,y,z\n", {}, r'expected a column "label", got text, b, c. Say which'),
        ("a.csv", "text,label\n", {}, r"got only a header"),
        ("a.csv", "text,label\na,b,c\n", {}, r"row 2: expected 2 fields.*got 3"),
        ("a.tsv", "text\tlabel\na\n", {}, r"row 2: expected 2 fields.*got 1"),
        ("a.tsv", "1\tgood film\n0\tdull\n", {}, r'row 1: expected names of columns, got "1"'),
        ("a.tsv", "text\tlabel\n", {}, r"expected rows of data, got none"),
        ("a.txt", "good a\n?\tb\n", {}, r"row 2: expected a target, got none"),
        ("a.txt", "__label__x __label__y b\n", {}, r"row 1: expected one label, got several"),
        ("a.txt", "good a\n", {"target": "label"}, r'expected no column for target, got "label"'),
        ("a.txt", "\ufeff", {}, r"got only blank lines"),
        ("a.txt", "".join(f"word{i} of a text\n" for i in range(30)), {}, r'got 30 different ones in 30 .*"word0"'),
        ("a.txt", "a\0b", {}, r"row 1: expected text, got a NUL byte"),
        ("a.txt", "  \n", {}, r"got an empty file"),
        ("a.parquet", "PAR1", {}, r"expected a Parquet file, got damaged"),
    ],
)
def test_what_is_wrong_is_named(write, name, text, options, message):
    path = write(name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_labelled(path, options=TextOptions(**options))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_text_is_not_taken_for_a_header(write):
    assert read_labelled(write("a.csv", "review\na fine film\n"), require_target=False).texts == ["a fine film"]
    with pytest.raises(DataError, match=r'expected a column "text", got a fine film\. Say which'):
        read_labelled(write("a.csv", "a fine film\na dull one\n"), require_target=False)


def test_half_a_file_of_labels_is_an_error(write):
    path = write("a.txt", "1 fine\n0 dull\n7 odd\n")
    with pytest.raises(DataError, match=r'row 3: .*got "7" here and labels in 2 of 3 lines. Say target "first"'):
        read_labelled(path, require_target=False, classes=["0", "1"])


@pytest.mark.parametrize(
    ("data", "targets", "message"),
    [
        ([], None, "expected at least one of the texts, got none"),
        (["a"], ["x", "y"], "expected 1 targets, one a text, got 2"),
        (["a", 3], None, "text 1: expected text, got the int 3"),
        (["a"], [["x"]], "text 0, column label: expected a label, got a list"),
        (["a", "b"], ["x", None], "text 1.*expected a target, got none"),
        ({"a"}, None, "expected a path, a list of texts or a data frame, got a set"),
        (7, None, "got the int 7"),
        (pl.DataFrame({"text": ["a"]}), ["x"], "expected no separate targets"),
        (pl.DataFrame({"text": []}), None, "expected rows of data, got none"),
        (pl.DataFrame({"text": ["a"]}).lazy(), None, "got a LazyFrame"),
        ("no such file", None, "expected a file, got nothing of that name"),
        ("x" * 10_000, None, "expected a file, got nothing of that name"),
    ],
)
def test_python_errors(data, targets, message):
    with pytest.raises(DataError, match=message):
        read_labelled(data, targets)


def test_quotes_in_a_tsv_that_are_no_quotes(write):
    path = write("a.tsv", 'text\tlabel\n"so he said\tx\nno " here\ty\n')
    data = read_labelled(path)
    assert data.texts == ['"so he said', 'no " here'] and "quotes are part of the text" in data.layout


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt", "b.txt"])
def test_a_very_long_text(write, name):
    long = "word, " * 1_700_000  # 10 MB
    content = {
        "a.csv": f'text,label\n"{long}\nmore",x\nb,y\n',
        "a.tsv": f'text\tlabel\n"{long}\nmore"\tx\nb\ty\n',
        "a.jsonl": json_lines([{"text": f"{long}\nmore", "label": "x"}, {"text": "b", "label": "y"}]),
        "a.txt": f"x {long}more\ny b\n",
        "b.txt": f"x\t{long}more\ny\tb\n",
    }[name]
    begun = time.perf_counter()
    data = read_labelled(write(name, content))
    assert time.perf_counter() - begun < 10
    assert data.targets == ["x", "y"] and len(data.texts[0]) - len(long) in (4, 5) and data.texts[1] == "b"


def test_a_subset_keeps_what_belongs_together(write):
    data = read_labelled(write("a.csv", "n,text,label\na,A,x\nb,B,y\nc,C,x\n"), options=TextOptions(id="n"))
    part = data.subset(np.array([2, 0]))
    assert (part.texts, part.targets, part.ids, part.rows) == (["C", "A"], ["x", "x"], ["c", "a"], [4, 2])
    assert part.layout == data.layout and len(part) == 2
    assert TextData([("a", "bc"), "abc"]).lengths.tolist() == [2, 3]


def test_a_corpus_is_its_lines(write):
    path = write("a.txt", "\n one \r\n\ntwo")
    data = read_corpus(path)
    assert isinstance(data.texts, MappedLines) and list(data.texts) == ["", " one ", "", "two"]
    assert data.lines and data.targets is None and data.lengths.tolist() == [0, 5, 0, 3]
    part = data.subset([1, 3])
    assert isinstance(part.texts, Selected) and list(part.texts) == [" one ", "two"] and part.lines
    assert part.where(1) == f"{path}, row 4"


def test_a_corpus_of_documents(write, tmp_path):
    path = write("a.jsonl", json_lines([{"id": 1, "text": " a\n"}, {"id": 2, "text": ""}]))
    data = read_corpus(path, TextOptions(id="id"))
    assert data.texts == [" a\n", ""] and data.ids == ["1", "2"] and not data.lines
    assert read_corpus(["a", "b"]).texts == ["a", "b"]
    assert read_corpus(pd.DataFrame({"doc": ["a b", "c"], "n": [1, 2]})).texts == ["a b", "c"]
    with pytest.raises(DataError, match="text 1: expected text, got none"):
        read_corpus(["a", None])
    with pytest.raises(DataError, match='expected a column "text", got a, b'):
        read_corpus(pl.DataFrame({"a": ["x"], "b": ["y"]}))


@pytest.mark.parametrize(("part", "count", "positive"), [("train", 6920, 3610), ("dev", 872, 444), ("test", 1821, 909)])
def test_sst(archive, part, count, positive):
    path = archive(f"sst/stsa.binary.{part}.xz")
    data = read_labelled(path)
    assert len(data) == count and data.targets.count("1") == positive and data.targets.count("0") == count - positive
    again = read_labelled(path, require_target=False, classes=["0", "1"])
    assert again.texts == data.texts and again.targets == data.targets
    assert read_labelled(path, require_target=False).targets is None


def test_tiny_shakespeare(archive):
    data = read_corpus(archive("tinyshakespeare/input.txt.xz"))
    whole = "".join(f"{line}\n" for line in data.texts)
    assert len(whole) == 1_115_394 and len(set(whole)) == 65 and whole.startswith("First Citizen:\nBefore we")


@pytest.mark.parametrize(("part", "tokens"), [("train", 2_088_628), ("valid", 217_646), ("test", 245_569)])
def test_wikitext(archive, part, tokens):
    data = read_corpus(archive(f"wikitext2/wiki.{part}.tokens.xz"))
    assert sum(len(line.split()) + 1 for line in data.texts) == tokens  # an <eos> a line
