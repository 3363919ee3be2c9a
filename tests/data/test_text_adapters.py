import json
from dataclasses import replace

import numpy as np
import pytest

from gatewise.data.adapter import adapter_from_json, adapter_to_json
from gatewise.data.text import TextData
from gatewise.data.text_adapters import CorpusAdapter, PairAdapter, TaggingAdapter, TextAdapter
from gatewise.errors import DataError, OptionError
from gatewise.metrics import bio_spans
from gatewise.models.seq2seq import seq2seq
from gatewise.sequences import EOS, UNK
from gatewise.types import Prediction, Results

REVIEWS = TextData(["good film", "bad bad film", "so so", ""], ["pos", "neg", "neg", "pos"], ids=list("wxyz"))
SENTENCES = TextData(
    [("EU", "rejects", "German", "call"), ("Donaudampfschifffahrtsgesellschaft", "!")],
    [("B-ORG", "O", "B-MISC", "O"), ("B-ORG", "O")],
    source="x.conll",
    rows=[1, 6],
)
PAIRS = TextData(["ein Hund", "zwei Hunde laufen", "ein Haus"], ["a dog", "two dogs run", "a house"])


def fitted(kind, **options):
    data = {TextAdapter: REVIEWS, TaggingAdapter: SENTENCES, CorpusAdapter: REVIEWS, PairAdapter: PAIRS}[kind]
    return kind.fit(data, **options), data


def results(*values, probabilities=None):
    return Results(0.0, [Prediction(value, probabilities) for value in values], [])


def test_texts_with_labels():
    adapter, data = fitted(TextAdapter)
    assert adapter.vocabulary.tokens[4:] == ("bad", "film", "so", "good")
    examples = adapter.encode(data)
    assert [example.input.tolist() for example in examples] == [[7, 5], [4, 4, 5], [6, 6], [UNK]]
    assert [example.target for example in examples] == [1, 0, 0, 1]
    assert all(example.input.dtype == np.int64 and example.steps == len(example.input) for example in examples)
    assert [example.target for example in adapter.encode(replace(data, targets=None))] == [None] * 4


@pytest.mark.parametrize("unit", ["words", "characters", "bytes", "subwords"])
def test_a_text_is_encoded_as_its_vocabulary_says_and_cut(unit):
    adapter, data = fitted(TextAdapter, unit=unit)
    cut, _ = fitted(TextAdapter, unit=unit, max_length=2)
    for text, whole, short in zip(data.texts, adapter.encode(data), cut.encode(data), strict=True):
        assert whole.input.tolist() == (adapter.vocabulary.encode(text).tolist() or [UNK])
        assert short.input.tolist() == whole.input.tolist()[:2]


def test_what_the_user_is_told():
    adapter, data = fitted(TextAdapter, max_length=2)
    assert adapter.summary(data) == "8 words, 0 to 3 tokens a text; 2 classes"
    assert adapter.notes(data) == [
        "1 of 4 texts are longer than 2 words and cut there, the longest has 3",
        "1 of 4 texts are empty",
    ]
    assert adapter.notes(TextData(["good", "ugly film"])) == ["1 of 3 words of the texts (33.33%) are unknown"]
    assert adapter.notes(TextData(["good"])) == []


def test_unknown_labels_and_other_targets():
    adapter, _ = fitted(TextAdapter)
    with pytest.raises(DataError, match=r'x\.csv, row 7: expected one of the labels neg, pos, got "poss".*mean "pos"'):
        adapter.encode(TextData(["good"], ["poss"], source="x.csv", rows=[7]))
    with pytest.raises(DataError, match=r'memory: expected at least two classes, got only "a"'):
        TextAdapter.fit(TextData(["x", "y"], ["a", "a"]))
    with pytest.raises(DataError, match="expected a target for each"):
        TextAdapter.fit(TextData(["x"]))
    with pytest.raises(DataError, match=r"row 2: expected a class label"):
        TextAdapter.fit(TextData(["x", "y"], ["a", ("b", "c")], rows=[1, 2]))
    with pytest.raises(OptionError, match="max_length: expected at least 1, got 0"):
        TextAdapter.fit(REVIEWS, max_length=0)
    with pytest.raises(DataError, match=r"x\.jsonl, row 2: .*surrogate"):
        TextAdapter.fit(TextData(["x", "\ud800"], ["a", "b"], source="x.jsonl", rows=[1, 2]))
    with pytest.raises(DataError, match=r"row 2: .*surrogate"):
        fitted(TextAdapter, unit="subwords")[0].encode(TextData(["x", "\ud800"], rows=[1, 2]))


def test_vectors_to_begin_with(write):
    path = write("v.txt", "good 1 2\nbird 3 4\nFILM 5 6\n")
    adapter, data = fitted(TextAdapter, embeddings=path)
    assert adapter.vectors.shape == (8, 2) and adapter.vectors[7].tolist() == [1, 2]
    assert adapter.notes(data)[-1] == "1 of 4 words have a vector in the file of embeddings"
    again = adapter_from_json(adapter_to_json(adapter))
    assert again == adapter and again.vectors is None
    tagger, _ = fitted(TaggingAdapter, lowercase=True, embeddings=write("t.txt", "german 1 2\n"))
    assert tagger.vectors[tagger.words.encode(("GERMAN",))[0]].tolist() == [1, 2]


def test_words_with_their_spelling_and_tags():
    adapter, data = fitted(TaggingAdapter)
    assert adapter.tags == ("O", "B-MISC", "B-ORG")
    first, second = adapter.encode(data)
    assert first.target.tolist() == [2, 0, 1, 0] and second.target.tolist() == [2, 0]
    assert first.input.words.tolist() == adapter.words.encode(data.texts[0]).tolist()
    assert first.steps == 4 and first.input.characters.shape == (4, 7)
    for word, spelling in zip(data.texts[0], first.input.characters, strict=True):
        assert adapter.characters.decode(spelling) == word
        assert (spelling[len(word) :] == 0).all() and (spelling[: len(word)] > UNK).all()
    long = data.texts[1][0]
    assert adapter.characters.decode(second.input.characters[0]) == long[:10] + long[-10:]
    assert [array.dtype for array in (*first.input, first.target)] == [np.int64] * 3


def test_lower_case_is_of_words_only():
    adapter, _ = fitted(TaggingAdapter, lowercase=True, min_count=1)
    (upper,), (lower,) = (adapter.encode(TextData([(word,)])) for word in ("EU", "eu"))
    assert upper.input.words.tolist() == lower.input.words.tolist() != [UNK]
    assert upper.input.characters.tolist() != lower.input.characters.tolist()
    assert upper.target is None


def test_plain_text_can_be_tagged():
    adapter, _ = fitted(TaggingAdapter)
    data = TextData(["EU call!", ""], ids=["a", "b"])
    first, empty = adapter.encode(data)
    assert first.input.words.tolist() == adapter.words.encode(("EU", "call", "!")).tolist()
    assert (empty.input.words.tolist(), empty.input.characters.tolist()) == ([UNK], [[UNK]])
    assert adapter.encode(TextData([("", "call")]))[0].input.characters[0].tolist() == [UNK, 0, 0, 0]
    assert adapter.columns(data, results(["B-ORG", "O", "O"], ["O"])) == {
        "row": [0, 0, 0],
        "id": ["a", "a", "a"],
        "step": [0, 1, 2],
        "word": ["EU", "call", "!"],
        "tag": ["B-ORG", "O", "O"],
    }


def test_long_sentences_are_cut_with_their_tags():
    adapter, data = fitted(TaggingAdapter, max_length=2, min_count=2)
    first, _ = adapter.encode(data)
    assert first.steps == len(first.target) == len(first.input.characters) == 2
    assert first.input.characters.shape == (2, 7)
    assert adapter.columns(data, results(["O", "O"], ["O", "O"]))["word"] == [*data.texts[0][:2], *data.texts[1]]
    assert adapter.notes(data) == [
        "1 of 2 texts are longer than 2 words and cut there, the longest has 4",
        "6 of 6 words of the texts (100.00%) are unknown; they are known by their spelling only",
    ]
    assert adapter.summary(data).endswith("2 to 4 words a text; 3 tags")


def test_errors_of_tags():
    adapter, _ = fitted(TaggingAdapter)
    with pytest.raises(DataError, match=r'y, row 3: expected one of the labels O, B-MISC, B-ORG, got "B-LOC"'):
        adapter.encode(TextData([("EU",)], [("B-LOC",)], source="y", rows=[3]))
    with pytest.raises(DataError, match=r"x\.conll, row 6: expected one tag a word, 2 in all, got 1"):
        TaggingAdapter.fit(replace(SENTENCES, targets=[SENTENCES.targets[0], ("O",)]))
    with pytest.raises(DataError, match=r"x\.conll, row 1: expected one tag a word, got 'O'"):
        TaggingAdapter.fit(replace(SENTENCES, targets=["O", "O"]))
    with pytest.raises(DataError, match=r'expected at least two tags, got only "O"'):
        TaggingAdapter.fit(TextData([("a", "b")], [("O", "O")]))
    with pytest.raises(DataError, match=r"expected tags for each text.*got none"):
        TaggingAdapter.fit(TextData([("a", "b")]))


def test_pairs():
    adapter, data = fitted(PairAdapter)
    first = adapter.encode(data)[0]
    assert first.input.tolist() == [*adapter.source.encode("ein Hund"), EOS]
    assert first.target.tolist() == [*adapter.target.encode("a dog"), EOS]
    assert "dog" not in adapter.source.tokens and not adapter.shared
    assert adapter.encode(replace(data, targets=None))[0].target is None
    assert adapter.encode(TextData([""], [""]))[0].input.tolist() == [EOS]
    assert adapter.summary(data) == "10 words to 10 words, 2 to 3 tokens a text, 2 to 3 an answer"
    assert adapter.columns(data, results("x", "y", "z")) == {"row": [0, 1, 2], "answer": ["x", "y", "z"]}


def test_pairs_with_one_vocabulary():
    adapter, data = fitted(PairAdapter, shared=True)
    assert adapter.shared and {"ein", "dog"} <= set(adapter.source.tokens)
    again = PairAdapter.from_plain(json.loads(json.dumps(adapter.to_plain())))
    assert again == adapter and again.shared
    assert adapter.summary(data).startswith("16 words for both sides")
    with pytest.raises(DataError, match=r"row 2: .*surrogate"):
        PairAdapter.fit(TextData(["a", "b"], ["c", "\ud800"], rows=[1, 2]), shared=True)


def test_long_pairs_are_cut_before_their_end():
    adapter, data = fitted(PairAdapter, max_length=2, max_target_length=1)
    assert [example.steps for example in adapter.encode(data)] == [3, 3, 3]
    assert all(len(example.target) == 2 and example.target[-1] == EOS for example in adapter.encode(data))
    assert adapter.notes(data) == [
        "1 of 3 texts are longer than 2 words and cut there, the longest has 3",
        "3 of 3 answers are longer than 1 words and cut there, the longest has 3",
    ]


def test_errors_of_pairs():
    with pytest.raises(DataError, match=r"row 2: expected a text as the answer, got \('b', 'c'\)"):
        PairAdapter.fit(TextData(["x", "y"], ["a", ("b", "c")], rows=[1, 2]))
    with pytest.raises(DataError, match="expected an answer for each text, got none"):
        PairAdapter.fit(TextData(["x"]))
    with pytest.raises(OptionError, match="max_target_length: expected at least 1, got -1"):
        PairAdapter.fit(PAIRS, max_target_length=-1)


def test_table_of_labels():
    adapter, data = fitted(TextAdapter)
    table = adapter.columns(data.subset([0, 1]), results("pos", "pos", probabilities=[0.25, 0.75]))
    assert table == {
        "row": [0, 1],
        "id": ["w", "x"],
        "label": ["pos", "pos"],
        "p_neg": [0.25, 0.25],
        "p_pos": [0.75, 0.75],
    }


ALL = [
    (TextAdapter, {"max_length": 3, "lowercase": True}),
    (TextAdapter, {"unit": "subwords"}),
    (TaggingAdapter, {"min_count": 2}),
    (CorpusAdapter, {"unit": "characters", "steps": 5}),
    (PairAdapter, {"max_length": 9, "unit": "bytes"}),
]


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_json_round_trip(kind, options):
    adapter, data = fitted(kind, **options)
    again = adapter_from_json(adapter_to_json(adapter))
    assert again == adapter and type(again) is kind
    for one, other in zip(adapter.encode(data), again.encode(data), strict=True):
        assert repr(one) == repr(other)


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_damaged_adapters(kind, options):
    adapter, _ = fitted(kind, **options)
    content = json.loads(adapter_to_json(adapter))
    names = [name for name in content if name not in ("format", "kind")]
    changes = [{"colour": 1}, *({name: True} for name in names), *({name: "x"} for name in names)]
    vocabularies = [name for name in names if isinstance(content[name], dict) and "tokens" in content[name]]
    changes += [{name: {**content[name], "tokens": ["a"]}} for name in vocabularies]
    changes += [{name: {**content[name], "model": "{}"}} for name in vocabularies]
    for change in changes:
        with pytest.raises(DataError, match=r"a\.json: expected the adapter of a run, got damaged text") as caught:
            adapter_from_json(json.dumps({**content, **change}), source="a.json")
        assert "\n" not in str(caught.value)
    for name in names:
        with pytest.raises(DataError, match=f"damaged text .*no {name}"):
            adapter_from_json(json.dumps({key: value for key, value in content.items() if key != name}))


def test_a_tag_that_a_split_leaves_out_is_known():
    """As with the classes of other tasks: prepare declares those of the whole file."""
    whole = replace(SENTENCES, classes=("B-LOC", "B-MISC", "B-ORG", "O"))
    adapter = TaggingAdapter.fit(whole.subset([1]))
    assert adapter.tags == ("O", "B-LOC", "B-MISC", "B-ORG")
    assert len(adapter.encode(whole.subset([0]))) == 1


def test_spans_begin_with_b_where_there_is_one():
    """IOB1 has B only between spans that touch; a field of BIO gives I after O no chance."""
    tags = ("I-LOC", "I-LOC", "B-LOC", "O", "I-LOC", "I-PER", "I-PER")
    data = TextData([("w",) * 7], [tags])
    adapter = TaggingAdapter.fit(data)
    (example,) = adapter.encode(data)
    read = [adapter.tags[number] for number in example.target]
    assert read == ["B-LOC", "I-LOC", "B-LOC", "O", "B-LOC", "I-PER", "I-PER"]
    assert bio_spans(read) == bio_spans(tags)


@pytest.mark.parametrize("shared", [False, True])
def test_every_row_of_a_token_has_a_meaning(shared):
    adapter, _ = fitted(PairAdapter, shared=shared)
    sizes = len(adapter.source), len(adapter.target)
    model = seq2seq(*sizes, embedding_size=3, hidden_sizes=(2,), decoder_size=7, tied=False, copy=shared)
    meanings = adapter.meanings()
    of_tokens = {name for name, value in model.state_dict().items() if value.dim() and value.shape[0] in sizes}
    assert of_tokens == {name for name in model.state_dict() if any(part in f"model.{name}" for part in meanings)}
