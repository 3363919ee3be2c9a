"""Sentences with tags: columns of words, CoNLL-U, JSON lines, and what is wrong with them."""

import json

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data.conll import read_tagged
from gatewise.data.text import TextOptions
from gatewise.errors import DataError

TEXTS, TAGS = [("Ann", "sleeps", "#now"), ("Yes",)], [("B-PER", "O", "O"), ("O",)]
RECORDS = [{"tokens": list(words), "tags": list(tags)} for words, tags in zip(TEXTS, TAGS, strict=True)]
TABS = "-DOCSTART-\t-X-\n\nAnn\tB-PER\nsleeps\tO\n#now\tO\n\n\n\t\r\nYes\tO"
UNIVERSAL = """# newdoc
# sent_id = s-1
# text = Vámonos
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\tV\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_

# sent_id = s-2
1\t# 1\t# 1\tNOUN\tN\t_\t0\troot\t_\t_
1.1\tgone\tgo\tVERB\tV\t_\t_\t_\t_\t_
"""
FILES = {
    "a.conll": TABS,
    "a.txt": TABS,
    "a.annotated": TABS.replace("\n", "\r\n"),
    "b.conll": "Ann NNP B-PER\nsleeps VBZ O\n#now RB  O \n\nYes UH O\n\n",
    "a.jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS),
}


@pytest.mark.parametrize("require_target", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(write, name, require_target):
    data = read_tagged(write(name, FILES[name]), require_target=require_target)
    assert data.texts == TEXTS and data.targets == TAGS and data.lengths.tolist() == [3, 1]
    assert data.layout and data.ids is None


def test_python_says_the_same(tmp_path):
    pl.DataFrame(RECORDS).write_parquet(path := tmp_path / "a.parquet")
    sentences, tags = [list(words) for words in TEXTS], [list(row) for row in TAGS]
    pairs = list(zip(TEXTS, TAGS, strict=True))
    for data in (path, pl.DataFrame(RECORDS), pd.DataFrame(RECORDS), RECORDS, pairs, (sentences, tags)):
        found = read_tagged(data)
        assert found.texts == TEXTS and found.targets == TAGS
    assert read_tagged([("a", "b"), ("c", "d")]).texts == [("a", "b"), ("c", "d")]  # two sentences, not two pairs
    assert read_tagged(["a b", "c"], ["X Y", "Z"]).targets == [("X", "Y"), ("Z",)]
    assert read_tagged([["a", "b"]], [[3, 0]]).targets == [("3", "0")]


WORD = st.text(st.sampled_from("aé#-_\u00a0\u20281"), min_size=1, max_size=4).filter(lambda w: w[0] != "-")


@given(st.lists(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, sentences):
    path = tmp_path_factory.getbasetemp() / "any.conll"
    path.write_bytes("\n\n".join("\n".join("\t".join(row) for row in rows) for rows in sentences).encode())
    data = read_tagged(path)
    assert data.texts == [tuple(word for word, _ in rows) for rows in sentences]
    assert data.targets == [tuple(tag for _, tag in rows) for rows in sentences]
    lines = path.read_bytes().decode().split("\n")
    assert [lines[row - 1].split("\t")[0] for row in data.rows] == [words[0] for words in data.texts]


def test_columns_by_number(write):
    path = write("a.conll", "1 Ann NNP O\n2 ran VBD O\n")
    data = read_tagged(path, options=TextOptions(text="2", target="3"))
    assert data.texts == [("Ann", "ran")] and data.targets == [("NNP", "VBD")]
    assert "words from column 2 of 4, tags from column 3" in data.layout


@pytest.mark.parametrize("name", ["a.conllu", "a.txt"])
def test_conll_u(write, name):
    path = write(name, UNIVERSAL)
    data = read_tagged(path)
    assert data.texts == [("vamos", "nos"), ("# 1",)] and data.targets == [("VERB", "PRON"), ("NOUN",)]
    assert data.ids == ["s-1", "s-2"] and data.rows == [5, 9]
    for target, tags in (("xpos", ("V", "P")), ("deprel", ("root", "obj")), ("lemma", ("ir", "nosotros"))):
        assert read_tagged(path, options=TextOptions(target=target)).targets[0] == tags
    assert read_tagged(path, options=TextOptions(target="5")).targets[0] == ("V", "P")
    with pytest.raises(DataError, match=r'one of 10 columns, got "upso"\. Did you mean "upos"'):
        read_tagged(path, options=TextOptions(target="upso"))
    with pytest.raises(DataError, match=r'expected tags in column feats, got "_" throughout'):
        read_tagged(path, options=TextOptions(target="feats"))
    assert read_tagged(path, options=TextOptions(target="feats"), require_target=False).targets is None


@pytest.mark.parametrize(
    ("name", "text", "texts"),
    [
        ("a.txt", "Ann sleeps\n\nnot  well\n", [("Ann", "sleeps"), (), ("not", "well")]),
        ("a.txt", "Ann\nsleeps\n", [("Ann",), ("sleeps",)]),
        ("a.txt", "Ann\nsleeps\n\nYes\n", [("Ann", "sleeps"), ("Yes",)]),
        ("a.txt", "The cat sat .\nIt sat .\n", [("The", "cat", "sat", "."), ("It", "sat", ".")]),
        ("a.conll", "Ann\nsleeps\n", [("Ann", "sleeps")]),
    ],
)
def test_words_to_predict_on(write, name, text, texts):
    data = read_tagged(write(name, text), require_target=False)
    assert data.texts == texts and data.targets is None and "without tags" in data.layout


def test_the_column_of_training_may_be_absent_to_predict(write):
    path = write("a.conll", "Ann\tNNP\n")
    assert read_tagged(path, options=TextOptions(target="4"), require_target=False).targets is None
    with pytest.raises(DataError, match=r'expected one of 2 columns, got "4"'):
        read_tagged(path, options=TextOptions(target="4"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conll", "a\tO\n\nb\tO\nc\n", r'row 4: expected 2 columns, got 1 in "c"'),
        ("a.conll", "a\tO\nb\tO\tX\n", r"row 2: expected 2 columns, got 3"),
        ("a.conll", "a O\n\n\nb\n", r"row 4: expected 2 columns, got 1"),
        ("a.conll", "a\tO\n\tO\n", r"row 2: expected a word in column 1, got nothing"),
        ("a.conll", "a\tO\nb\t\n", r"row 2: expected a tag in column 2, got nothing"),
        ("a.conll", "\na\nb\n", r"row 2: expected a word and its tag, got one column"),
        ("a.conll", "-DOCSTART- O\n\n", r"expected a word a line, got none"),
        ("a.conllu", "1\ta\ta\tX\n", r"row 1: expected 10 columns, got 4"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["X"]}\n{"tokens": ["a", "b"], "tags": ["X"]}', r"row 2.*2 tags.*got 1"),
        ("a.jsonl", '{"tokens": ["a", 1], "tags": ["X", "Y"]}', r"row 1, .*word 1: expected text, got the int 1"),
        ("a.jsonl", '{"tokens": ["a", ""], "tags": ["X", "Y"]}', r"row 1, .*word 1: expected a word, got an empty"),
        ("a.jsonl", '{"tokens": [], "tags": []}', r"row 1.*expected at least one word"),
        ("a.jsonl", '{"tokens": {"a": 1}, "tags": ["X"]}', r"row 1, column tokens: expected a list of words, got a d"),
        ("a.jsonl", '{"tokens": ["a"]}', r'expected a column "tags", got tokens'),
    ],
)
def test_what_is_wrong_is_named(write, name, text, message):
    path = write(name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_tagged(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_python_errors():
    with pytest.raises(DataError, match="text 0: expected 2 tags, one a word, got 1"):
        read_tagged([["a", "b"]], [["X"]])
    with pytest.raises(DataError, match="text 0: expected a list of words, got the int 5"):
        read_tagged([5], [["X"]])


ENTITIES = ("person", "location", "corporation", "product", "creative-work", "group")


@pytest.mark.parametrize(
    ("name", "sentences", "words"),
    [
        ("ud_english_ewt/en_ewt-ud-train.conllu.xz", 12544, 204577),
        ("ud_english_ewt/en_ewt-ud-dev.conllu.xz", 2001, 25147),
        ("ud_english_ewt/en_ewt-ud-test.conllu.xz", 2077, 25094),
        ("wnut17/wnut17train.conll.xz", 3394, 62730),
        ("wnut17/emerging.dev.conll.xz", 1009, 15733),
        ("wnut17/emerging.test.annotated.xz", 1287, 23394),
    ],
)
def test_public_data(archive, name, sentences, words):
    data = read_tagged(archive(name))
    assert len(data) == sentences and data.lengths.sum() == words
    assert [len(tags) for tags in data.targets] == data.lengths.tolist()
    kinds = {tag for tags in data.targets for tag in tags}
    assert len(kinds) == 17 if "ewt" in name else kinds <= {"O"} | {f"{b}-{kind}" for b in "BI" for kind in ENTITIES}
    assert (data.ids is not None) == ("ewt" in name)
    if "test" in name:
        again = read_tagged(archive(name), require_target=False)
        assert again.texts == data.texts and again.targets == data.targets
