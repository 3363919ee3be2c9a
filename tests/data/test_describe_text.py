import json

import numpy as np
import pytest

from gatewise.data.conll import read_tagged
from gatewise.data.describe_text import describe_text, seems_text
from gatewise.data.pairs import read_pairs
from gatewise.data.text import TextData
from gatewise.data.text_files import read_corpus
from gatewise.errors import DataError
from gatewise.metrics import bio_spans


def test_labelled_texts_are_counted():
    texts = ["a fine film", "a dull film", "", "a fine film", "so so"]
    told = describe_text(TextData(texts, ["1", "0", "0", "0", "1"], classes=("0", "1", "2"), rows=range(1, 6)))
    assert told.texts == 5 and told.classes == (("0", 3), ("1", 2), ("2", 0))
    assert told.tags is None and told.spans is None and told.answer is None and told.ratio is None
    side = told.text
    assert (side.words.min, side.words.median, side.words.max, side.words_in_all) == (0, 3, 3, 11)
    assert (side.characters.max, side.characters_in_all) == (11, 38)
    assert side.alphabet == len(set("".join(texts)))
    assert (side.vocabulary, side.once, side.empty) == (5, 1, 1)  # a fine film dull so; dull
    assert told.repeated == 1 and told.repeated_share == 1 / 4 and told.contradicted == 1
    notes = " | ".join(told.notes)
    assert "1 of 5 texts have no word, the first: row 3" in notes
    assert "1 of 5 texts repeat another one, the first: row 4 as row 1" in notes
    assert "texts that occur with different answers: 1" in notes
    assert 'few texts of the classes "0" (3), "1" (2), "2" (0)' in notes
    assert json.loads(json.dumps(told.to_plain()))["classes"] == [["0", 3], ["1", 2], ["2", 0]]
    assert "3 (0: 3 (60.0%), 1: 2 (40.0%), 2: 0 (0.0%))" in told.to_text() and "note: " in told.to_text()


@pytest.mark.parametrize("seed", range(5))
def test_repeats_and_new_words_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=rng.integers(0, 4))) for _ in range(60)]
    labels = [str(label) for label in rng.integers(2, size=60)]
    told = describe_text(TextData(texts, labels))
    filled = [(text, label) for text, label in zip(texts, labels, strict=True) if text]
    seen, repeated = set(), 0
    for text, _ in filled:
        repeated += text in seen
        seen.add(text)
    assert told.repeated == repeated and told.repeated_share == repeated / len(filled)
    torn = {text for text, label in filled if {other for same, other in filled if same == text} != {label}}
    assert told.contradicted == len(torn)
    before = set(" ".join(texts[:54]).split())
    last = " ".join(texts[54:]).split()
    assert told.text.new == sum(word not in before for word in last) / len(last)


def test_tags_and_spans(write):
    text = "Ann B-PER\nJo I-PER\nsees O\n\nBob I-PER\nin O\nRio B-LOC\nYork B-LOC\n\n"
    data = read_tagged(write("a.conll", text))
    told = describe_text(data)
    assert dict(told.tags) == {"B-PER": 1, "I-PER": 2, "O": 2, "B-LOC": 2} and told.classes is None
    assert dict(told.spans) == {"PER": 2, "LOC": 2}
    assert "1 of 4 spans begin with I- instead of B-, the first: row 5" in told.notes
    assert told.text.tokenised and (told.text.words.min, told.text.words.max) == (3, 4)


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_those_that_are_measured(seed):
    rng = np.random.default_rng(seed)
    tags = [tuple(rng.choice(["O", "B-X", "I-X", "B-Y-Z", "I-Y-Z"], size=6)) for _ in range(5)]
    expected = [kind for sentence in tags for _, _, kind in bio_spans(sentence)]
    told = describe_text(TextData([("w",) * 6] * 5, tags))
    assert dict(told.spans or ()) == {kind: expected.count(kind) for kind in set(expected)}


def test_other_tags_have_no_spans():
    assert describe_text(TextData([("a", "b")], [("NOUN", "VERB")])).spans is None
    assert describe_text(TextData([("a", "b")], [("B-X", "E-X")])).spans is None


def test_pairs_have_two_sides(write):
    data = read_pairs(write("a.txt", "ein hund .\ta dog .\nnein\tno no no\ngleich\tgleich\nein hund .\tone dog !\n"))
    told = describe_text(data, labelled=False)
    assert told.classes is None and told.answer is not None
    assert (told.text.vocabulary, told.answer.vocabulary) == (5, 7)
    assert (told.ratio.min, told.ratio.median, told.ratio.max) == (1, 1, 3)
    assert told.equal == 1 and told.repeated == 1 and told.contradicted == 1
    text = told.to_text()
    assert "answer: words" in text and "equal sides" in text and "25.0%" in text


def test_lines_of_a_text_may_be_blank_and_repeat(write):
    told = describe_text(read_corpus(write("a.txt", "To be.\n\nTo be.\n\nOr not.\n")))
    assert told.lines and told.texts == 5 and told.repeated == 1 and told.text.empty == 2
    assert not any("repeat" in note or "no word" in note for note in told.notes)
    assert "empty" in told.to_text() and "lines" in told.to_text() and told.contradicted is None
    assert not told.text.tokenised and told.text.vocabulary == 5  # To be . Or not


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("a \x07 bell", "control characters"),
        ("a \x85 line", "control characters"),
        ("a \ufeff mark", "control characters"),
        ("a lost \ufffd", "U+FFFD"),
        ("café au lait".encode().decode("latin-1"), "read as Latin-1"),
        ("don\u2019t".encode().decode("cp1252"), "read as Latin-1"),
        ("word " * 1001, "more than 1,000 words"),
    ],
)
def test_oddities_are_told_with_their_place(text, note):
    told = describe_text(TextData(["fine", text], rows=[3, 9]))
    assert [n for n in told.notes if note in n] == [n for n in told.notes if n.endswith("the first: row 9")] != []


@pytest.mark.parametrize("text", ["tab\there", "café ñandú Ünder", "你好 мир", "a\nb", "word " * 1000])
def test_what_is_usual_is_no_oddity(text):
    assert describe_text(TextData([text, "fine"])).notes == ()


def test_a_single_text_has_no_last_tenth():
    assert describe_text(TextData(["a b c"])).text.new is None
    assert describe_text(TextData([""])).to_text()


def test_no_text_is_an_error():
    with pytest.raises(DataError, match="expected at least one text, got none"):
        describe_text(TextData([]))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", "{}", True),
        ("a.conllu", "", True),
        ("a.txt", "To be or not\n\nthat is the question\n", True),
        ("a.csv", "text,label\nA fine film,1\nso very dull,0\n", True),
        ("a.csv", "t0,t1,label\n1,2,left hand\n", False),
        ("a.csv", "t0,t1,label\n1,2,up\n", False),
        ("a.txt", "1 2 3\n2 3 4\n", False),
        ("a.npz", "PK\0 some words here", False),
        ("a.txt.gz", "no gzip", False),
    ],
)
def test_what_seems_text(write, name, content, expected):
    assert seems_text(write(name, content)) is expected


def test_a_file_that_is_not_there_is_no_text(tmp_path):
    assert not seems_text(tmp_path / "no.txt") and not seems_text(tmp_path)


def test_public_corpora(archive):
    told = describe_text(read_tagged(archive("wnut17/wnut17train.conll.xz")))
    assert told.texts == 3394 and dict(told.spans)["person"] == 660
