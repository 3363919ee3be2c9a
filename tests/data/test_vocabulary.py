import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewise.data import subwords
from gatewise.data.vocabulary import SPECIALS, UNITS, Vocabulary
from gatewise.data.words import join_words, looks_tokenised, split_words
from gatewise.errors import DataError, OptionError
from gatewise.reports.shading import pieces_of_text
from gatewise.sequences import BOS, EOS, PAD, UNK

PROSE = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps.",
    "Isn't it 3.5 miles? No; it's (about) 4,000 yards!",
    "Zwölf Boxkämpfer jagen Eva quer über den großen Sylter Deich. 😀 今天 天气",
] * 4


@pytest.fixture(scope="module")
def vocabularies():
    return {unit: Vocabulary.fit(PROSE, unit=unit, size=400) for unit in UNITS}


def test_most_frequent_first_and_ties_by_alphabet():
    vocabulary = Vocabulary.fit(["c b a", "c b d", "c"])
    assert vocabulary.tokens == (*SPECIALS, "c", "b", "a", "d")
    assert Vocabulary.fit(["c b a", "c b d", "c"], size=6).tokens == (*SPECIALS, "c", "b")
    assert Vocabulary.fit(["c b a", "c b d", "c"], min_count=2).tokens == (*SPECIALS, "c", "b")
    assert Vocabulary.fit(["aab", "a"], unit="characters").tokens == (*SPECIALS, "a", "\n", "b")
    assert len(Vocabulary.fit(["a"], unit="bytes", size=9)) == 260


@given(st.lists(st.text("abcd ", max_size=12), min_size=1, max_size=6), st.integers(5, 9), st.integers(1, 3))
@example(["a"], 5, 1)
def test_words_are_those_that_counting_gives(texts, size, min_count):
    counts = Counter(word for text in texts for word in text.split())
    if not counts:
        with pytest.raises(DataError, match="at least one word, got none"):
            Vocabulary.fit(texts)
        return
    vocabulary = Vocabulary.fit(texts, size=size, min_count=min_count)
    expected = [word for word, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if count >= min_count]
    assert list(vocabulary.tokens[4:]) == expected[: size - 4]
    numbers = [vocabulary.encode(text).tolist() for text in texts]
    known = vocabulary.tokens[4:]
    assert numbers == [[4 + known.index(w) if w in known else UNK for w in text.split()] for text in texts]


def test_special_tokens_in_a_text_are_unknown_words():
    vocabulary = Vocabulary.fit(["<unk> a <eos> <pad> <bos>", "<unk>"])
    assert vocabulary.tokens == (*SPECIALS, "a")
    assert vocabulary.encode("<unk> a <eos> <pad> <bos>").tolist() == [UNK, 4, UNK, UNK, UNK]
    assert Vocabulary.fit(["<UNK> a"], lowercase=True).tokens == (*SPECIALS, "a")
    assert vocabulary.encode(("<eos>", "a")).tolist() == [UNK, 4]


def test_no_text_is_encoded_to_padding_begin_or_end(vocabularies):
    for vocabulary in vocabularies.values():
        numbers = vocabulary.encode("<pad> <bos> <eos><eos> \0")
        assert not set(numbers.tolist()) & {PAD, BOS, EOS}


@pytest.mark.parametrize("unit", ["bytes", "subwords"])
@settings(max_examples=60)
@given(st.text(max_size=60))
@example("<eos> <unk>\r\n\t a  b\u00a0\u2028 \u200d 👩\u200d👩 i̇İ")
@example("")
def test_bytes_and_subwords_lose_nothing(vocabularies, unit, text):
    vocabulary = vocabularies[unit]
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == text
    assert UNK not in numbers
    assert vocabulary.characters(numbers) == len(text)
    assert len(vocabulary.pieces(text)) == len(numbers)
    lowered = Vocabulary(unit, vocabulary.tokens, True, model=vocabulary.model)
    assert lowered.decode(lowered.encode(text)) == text.lower()


@settings(max_examples=60)
@given(st.text(max_size=40), st.text(min_size=1, max_size=40), st.booleans())
def test_characters_are_code_points(text, training, lowercase):
    vocabulary = Vocabulary.fit([training], unit="characters", lowercase=lowercase)
    text, training = (text.lower(), training.lower()) if lowercase else (text, training)
    numbers = vocabulary.encode(text)
    assert [vocabulary.tokens[n] if n != UNK else None for n in numbers] == [
        c if c in training or c == "\n" else None for c in text
    ]
    assert vocabulary.decode(numbers) == "".join(c if c in training or c == "\n" else "\ufffd" for c in text)
    assert vocabulary.characters(numbers) == len(text)
    assert vocabulary.pieces(text) == list(text)


def test_bytes_are_those_of_utf8():
    vocabulary = Vocabulary.fit(["a"], unit="bytes")
    assert vocabulary.encode("é\n").tolist() == [4 + byte for byte in "é\n".encode()]
    assert vocabulary.pieces("é\nx") == ["\\xc3", "\\xa9", "\\x0a", "x"]
    assert vocabulary.decode([4 + 0xC3]) == "\ufffd"  # half a character
    assert vocabulary.decode([BOS, 4 + 97, EOS, PAD]) == "a"


def test_subwords_are_learnt_and_shown(vocabularies):
    vocabulary = vocabularies["subwords"]
    assert vocabulary.pieces("the dog sleeps") == ["the", " dog", " sleeps"]
    assert len(vocabulary) <= 400
    assert Vocabulary.fit(PROSE, unit="subwords", size=400) == vocabulary
    assert len(Vocabulary.fit(PROSE, unit="subwords", size=300)) == 300


@settings(max_examples=60)
@given(st.text(max_size=40))
@example("")
@example(" ")
@example("  a")
@example("fox\n the")
def test_a_leading_space_makes_the_first_word_the_token_that_it_is_elsewhere(spaced, text):
    numbers = spaced.encode(text)
    assert spaced.decode(numbers) == text.removeprefix(" ")
    assert spaced.decode(numbers, begins=False) in (text, f" {text}")
    assert numbers.tolist() == spaced.encode(f" {text.removeprefix(' ')}" if text.strip(" ") else text).tolist()
    assert "".join(piece.text for piece in pieces_of_text(spaced, text)) == text.removeprefix(" ")


@pytest.fixture(scope="module")
def spaced():
    return Vocabulary.fit(PROSE, unit="subwords", size=400, leading_space=True)


def test_a_word_can_be_copied_to_the_beginning(spaced, vocabularies):
    assert spaced.leading_space and not any(v.leading_space for v in vocabularies.values())
    assert spaced.encode("dog").tolist() == spaced.encode("the dog").tolist()[1:]
    assert vocabularies["subwords"].encode("dog").tolist() != vocabularies["subwords"].encode("the dog").tolist()[1:]
    assert Vocabulary.from_plain(json.loads(json.dumps(spaced.to_plain()))).leading_space


def test_every_byte_has_its_symbol():
    from tokenizers import pre_tokenizers

    symbols = subwords.byte_of_symbol()
    assert set(symbols) == set(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for character in ("a", " ", "\n", "\x00", "\x7f", "é", "\u00ad", "€", "\U0001f600"):
        ((piece, _),) = split.pre_tokenize_str(character)
        assert bytes(symbols[symbol] for symbol in piece) == character.encode()


def test_a_long_text_is_cut_where_nothing_changes(vocabularies, monkeypatch):
    vocabulary = vocabularies["subwords"]
    text = "\n\n".join(PROSE) + "  two  spaces   three\u00a0 end "
    whole = vocabulary.encode(text).tolist()
    for long in (1, 2, 7, 50):
        monkeypatch.setattr(subwords, "LONG", long)
        assert "".join(subwords._parts(text)) == text and len(subwords._parts(text)) > 5
        assert vocabulary.encode(text).tolist() == whole


@settings(max_examples=100)
@given(st.text("ab 's.1\n\t\u00a0\u0085\u200b\x1cé", min_size=3, max_size=60))
def test_any_text_may_be_cut_there(vocabularies, text):
    tokenizer = vocabularies["subwords"]._tokenizer
    parts = subwords._CUT.split(text)
    parts = [parts[0], *(f" {part}" for part in parts[1:])]
    assert [number for part in parts for number in tokenizer.encode(part).ids] == tokenizer.encode(text).ids


@pytest.mark.parametrize("unit", UNITS)
def test_many_texts_at_once(vocabularies, unit, monkeypatch):
    texts = [*PROSE[:5], "", ("the", "dog"), PROSE[1] * 3, "x"]
    monkeypatch.setattr(subwords, "LONG", 100)
    monkeypatch.setattr(subwords, "BATCH", 150)
    together = list(vocabularies[unit].encode_all(texts))
    assert [numbers.tolist() for numbers in together] == [vocabularies[unit].encode(text).tolist() for text in texts]
    assert {numbers.dtype for numbers in together} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't pay 3.5 or 1,000, ok?", ["don't", "pay", "3.5", "or", "1,000", ",", "ok", "?"]),
        ("a <unk>.b 'quoted' it’s", ["a", "<unk>", ".", "b", "'", "quoted", "'", "it’s"]),  # noqa: RUF001
        ("今天好。hello世界", ["今", "天", "好", "。", "hello", "世", "界"]),
        ("go 😀!\n\tnow", ["go", "😀", "!", "now"]),
        ("हिन्दी e\u0301t\u00e9", ["हिन्दी", "e\u0301t\u00e9"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_words_and_punctuation(text, words):
    assert split_words(text, tokenised=False) == words


@given(st.text(max_size=60))
def test_splitting_loses_only_spaces(text):
    for tokenised in (True, False):
        words = split_words(text, tokenised=tokenised)
        assert "".join(words) == "".join(text.split())
        assert all(words) and not any(any(map(str.isspace, word)) for word in words)


def test_whether_punctuation_stands_apart_is_measured():
    assert looks_tokenised(["He said , yes .", "Mr. X left ."] * 9 + ["So be it ."] * 90)
    assert not looks_tokenised(["He said, yes."])
    assert not looks_tokenised(["今天很好。"])
    assert looks_tokenised([("Hello.", "you"), "no punctuation"])
    assert Vocabulary.fit(["He said , yes ."]).encode("said,").tolist() == [UNK]
    assert len(Vocabulary.fit(["He said, yes."]).encode("said,")) == 2


def test_real_texts_are_told_apart(archive):
    import lzma

    def lines(name):
        with lzma.open(archive(name), "rt", encoding="utf-8") as file:
            return [next(file) for _ in range(2000)]

    assert not looks_tokenised(lines("tinyshakespeare/input.txt.xz"))
    for name in ("sst/stsa.fine.train.xz", "multi30k/train.lc.norm.tok.de.xz", "wikitext2/wiki.train.tokens.xz"):
        assert looks_tokenised(lines(name)), name


def test_decoding_words():
    apart = Vocabulary.fit(["( Yes ) , he said : no !"])
    assert apart.decode(apart.encode("( Yes ) , maybe !")) == "( Yes ) , <unk> !"
    attached = Vocabulary.fit(["(Yes), he said: no!"])
    assert attached.decode(attached.encode("he said (no): yes!")) == "he said (no): <unk>!"
    assert attached.decode([BOS, *attached.encode("no!"), EOS, PAD, PAD]) == "no!"
    assert attached.decode([]) == ""


def test_lowercase_makes_no_difference():
    vocabulary = Vocabulary.fit(["The THE the cat"], lowercase=True)
    assert vocabulary.tokens == (*SPECIALS, "the", "cat")
    assert vocabulary.encode("CAT tHe").tolist() == vocabulary.encode(("Cat", "the")).tolist() == [5, 4]
    assert vocabulary.pieces("CAT tHe") == ["CAT", "tHe"]


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(["a", "don't", "(", ")", ",", "xx", "!"])), max_size=5), st.booleans())
def test_characters_of_lines_of_words(lines, tokenised):
    vocabulary = Vocabulary("words", (*SPECIALS, "a", "don't", "(", ")", ",", "!"), tokenised=tokenised)  # not "xx"
    numbers = [number for line in lines for number in (*vocabulary.encode(tuple(line)), EOS)]
    text = "".join(
        join_words([word.replace("xx", "<unk>") for word in line], tokenised=tokenised) + "\n" for line in lines
    )
    assert vocabulary.characters(numbers) == len(text)
    for cut in range(1, len(numbers)):
        stretches = vocabulary.characters(numbers[:cut]) + vocabulary.characters(numbers[cut:], before=numbers[cut - 1])
        assert stretches == len(text)


@pytest.mark.parametrize("unit", UNITS)
def test_json_round_trip(vocabularies, unit):
    vocabulary = vocabularies[unit]
    again = Vocabulary.from_plain(json.loads(json.dumps(vocabulary.to_plain(), ensure_ascii=False)))
    assert again == vocabulary
    assert again.encode(PROSE[2]).tolist() == vocabulary.encode(PROSE[2]).tolist()


def test_words_given_as_such_keep_their_form(vocabularies):
    vocabulary = Vocabulary.fit([("New York", "3.5%", "")])
    assert vocabulary.tokens == (*SPECIALS, "", "3.5%", "New York")
    assert vocabulary.encode(("New York", "3.5%")).tolist() == [6, 5]
    for unit in ("characters", "bytes", "subwords"):
        assert vocabularies[unit].encode(("the", "dog")).tolist() == vocabularies[unit].encode("the dog").tolist()


def test_errors():
    with pytest.raises(OptionError, match=r'unit: expected .*got "word".*mean "words"'):
        Vocabulary.fit(["a"], unit="word")
    with pytest.raises(OptionError, match=r"size: expected at least 5 words.*got 4"):
        Vocabulary.fit(["a"], size=4)
    with pytest.raises(OptionError, match=r"size: expected at least 260 subwords.*got 100"):
        Vocabulary.fit(["a"], unit="subwords", size=100)
    with pytest.raises(OptionError, match=r"min_count: expected at least 1, got 0"):
        Vocabulary.fit(["a"], min_count=0)
    with pytest.raises(DataError, match=r"x, row 1: .*surrogate pair at character 2"):
        Vocabulary.fit(["a", "b \ud800"], where=lambda i: f"x, row {i}")
    with pytest.raises(DataError, match=r"row 9: .*surrogate pair at character 0"):
        Vocabulary.fit(["a"], unit="subwords").encode("\udc00", where="row 9")


def test_vocabularies_that_do_not_fit(vocabularies):
    subword = vocabularies["subwords"]
    for wrong, message in [
        (("words", ("a", "b")), "as the first tokens, got a, b"),
        (("words", (*SPECIALS, "a", "a")), '"a" twice'),
        (("words", SPECIALS, False, False, "{}"), "expected a model with subwords"),
        (("subwords", subword.tokens), "expected a model with subwords"),
        (("subwords", subword.tokens, False, False, "{}"), "expected a subword model, got"),
        (("subwords", (*subword.tokens[:-2], *subword.tokens[:-3:-1]), False, False, subword.model), "in their order"),
        (("characters", (*SPECIALS, "ab")), "single characters"),
        (("bytes", (*SPECIALS, "a")), "256 bytes"),
    ]:
        with pytest.raises(DataError, match=message):
            Vocabulary(*wrong)


def test_damaged_json_is_refused(vocabularies):
    from pydantic import ValidationError

    plain = json.loads(json.dumps(vocabularies["words"].to_plain()))
    for change, error in [
        ({"colour": 1}, KeyError),
        ({"tokens": "abc"}, ValidationError),
        ({"tokens": [*SPECIALS, 5]}, ValidationError),
        ({"tokens": ["a"]}, ValidationError),
        ({"lowercase": 1}, ValidationError),
        ({"unit": "word"}, ValidationError),
    ]:
        with pytest.raises(error):
            Vocabulary.from_plain({**plain, **change})
    del plain["model"]
    with pytest.raises(KeyError, match="no model"):
        Vocabulary.from_plain(plain)
