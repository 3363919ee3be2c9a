import lzma
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import corpus
from gatewise.data.corpus import CorpusAdapter, CorpusExamples, Surprisal, token_array
from gatewise.data.text import TextData
from gatewise.errors import DataError, OptionError
from gatewise.sequences import EOS
from gatewise.types import Prediction, Results

LINES = TextData(["a rose is a rose", "", "is it ?"], lines=True)


@given(st.lists(st.integers(0, 300), min_size=2, max_size=40), st.integers(1, 12))
def test_every_token_but_the_first_is_predicted_once_from_the_one_before(numbers, steps):
    examples = CorpusExamples(np.array(numbers, dtype=np.uint16), steps)
    listed = list(examples)
    assert len(listed) == len(examples)
    assert np.concatenate([example.input for example in listed]).tolist() == numbers[:-1]
    assert np.concatenate([example.target for example in listed]).tolist() == numbers[1:]
    assert examples.lengths.tolist() == [example.steps for example in listed]
    assert {example.steps for example in listed[:-1]} <= {steps} and 1 <= listed[-1].steps <= steps
    assert [example.follows for example in listed] == [False] + [True] * (len(listed) - 1)
    assert listed[0].input.dtype == listed[0].target.dtype == examples.lengths.dtype == np.int64
    assert repr(examples[-1]) == repr(listed[-1]) and repr(examples[1:]) == repr(listed[1:])
    with pytest.raises(IndexError):
        examples[len(examples)]


def test_every_line_of_words_ends():
    adapter = CorpusAdapter.fit(LINES, steps=4)
    tokens = adapter.encode(LINES).tokens
    expected = [number for line in LINES.texts for number in (*adapter.vocabulary.encode(line), EOS)]
    assert tokens.tolist() == expected and tokens.dtype == np.uint16
    assert adapter.vocabulary.characters(tokens) == len("a rose is a rose\n\nis it ?\n")


@pytest.mark.parametrize("unit", ["characters", "bytes", "subwords"])
def test_lines_keep_their_ends_and_documents_get_one(unit):
    adapter = CorpusAdapter.fit(LINES, unit=unit, steps=4)
    text = "a rose is a rose\n\nis it ?\n"
    tokens = adapter.encode(LINES).tokens
    assert adapter.vocabulary.decode(tokens) == text and EOS not in tokens
    assert adapter.vocabulary.characters(tokens) == len(text)
    documents = adapter.encode(TextData(["a rose\nis", "is it ?"])).tokens
    assert np.flatnonzero(documents == EOS).tolist() == [
        len(adapter.vocabulary.encode("a rose\nis")),
        len(documents) - 1,
    ]
    assert adapter.vocabulary.characters(documents) == len("a rose\nisis it ?")


def test_the_type_holds_the_vocabulary():
    assert token_array([np.array([65535])], 65536).dtype == np.uint16
    large = token_array([np.array([65536, 3])], 65537)
    assert large.dtype == np.uint32 and large.tolist() == [65536, 3]


@pytest.mark.parametrize("limit", [0, 100, 199, 200, 10_000])
def test_a_large_text_lies_in_a_file_without_a_name(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(corpus, "IN_MEMORY", limit)
    monkeypatch.setattr(corpus.tempfile, "tempdir", str(tmp_path))
    parts = [np.arange(start, start + 10) for start in range(0, 100, 10)]
    tokens = token_array(iter(parts), 300)
    assert isinstance(tokens, np.memmap) == (limit < 200)
    assert tokens.tolist() == list(range(100))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full, which only Linux has")
def test_a_full_disk_is_named(monkeypatch):
    monkeypatch.setattr(corpus, "IN_MEMORY", 0)
    monkeypatch.setattr(corpus.tempfile, "TemporaryFile", lambda: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    with pytest.raises(DataError, match=r"corpus: expected room for the tokens in .*No space left"):
        token_array([np.arange(100_000)], 300)


def test_what_the_user_is_told():
    adapter = CorpusAdapter.fit(LINES, size=6, steps=4)
    assert adapter.summary(LINES) == "6 words; 11 tokens in stretches of 4"
    assert adapter.notes(LINES) == ["4 of 11 words (36.36%) are unknown"]
    assert CorpusAdapter.fit(LINES).notes(LINES) == []


def test_table_of_surprisals():
    adapter = CorpusAdapter.fit(LINES, steps=7)
    predictions = [Prediction(Surprisal([float(i)] * steps, 9)) for i, steps in enumerate((7, 3))]
    table = adapter.columns(LINES, Results(0.0, predictions, []))
    assert table == {
        "row": [0] * 7 + [1] * 3,
        "step": [*range(7), *range(3)],
        "token": ["rose", "is", "a", "rose", "<eos>", "<eos>", "is", "it", "?", "<eos>"],
        "bits": [0.0] * 7 + [1.0] * 3,
    }


def test_errors():
    with pytest.raises(OptionError, match="steps: expected at least 1, got 0"):
        CorpusAdapter.fit(LINES, steps=0)
    with pytest.raises(DataError, match=r"x\.txt: expected a text of at least two tokens, got 1"):
        CorpusAdapter.fit(LINES).encode(TextData([""], source="x.txt", lines=True))


def test_wikitext2_has_its_published_size(archive):
    with lzma.open(archive("wikitext2/wiki.train.tokens.xz"), "rt", encoding="utf-8") as file:
        data = TextData(file.read().split("\n")[:-1], lines=True)
    adapter = CorpusAdapter.fit(data, steps=70)
    assert len(adapter.encode(data).tokens) == 2_088_628
    assert len(adapter.vocabulary) == 33_278 + 2  # the published size, which has no padding and no beginning
