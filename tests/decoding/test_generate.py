"""Texts that go on as their model says."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from gatewise.decoding.generate import INCOMPLETE, TextPieces, generate
from gatewise.errors import OptionError
from gatewise.models.language_model import lstm_lm
from gatewise.sequences import BOS, PAD, UNK


class Chain:
    """Scores that depend on the last token only: a Markov chain. It writes down what it was given."""

    def __init__(self, size=8):
        self.table = torch.randn(size, size, generator=torch.Generator().manual_seed(5)) * 2
        self.read = []

    def __call__(self, tokens):
        assert tokens.shape == (1,)
        self.read += tokens.tolist()
        return self.table[tokens]


def texts(count=20, **options):
    return [list(generate(Chain(), [4], **{"max_length": 30, "seed": seed, **options})) for seed in range(count)]


def test_the_prompt_is_read_and_then_each_token_once():
    chain = Chain()
    drawn = list(generate(chain, [3, 5, 4], max_length=6, seed=1))
    assert len(drawn) == 6
    assert chain.read == [3, 5, 4, *drawn[:-1]]


def test_tokens_come_as_they_are_asked_for():
    chain = Chain()
    stream = generate(chain, [3, 4], max_length=1000)
    assert chain.read == []
    first = next(stream)
    assert chain.read == [3, 4]
    next(stream)
    assert chain.read == [3, 4, first]


def test_greedy_is_a_loop_over_the_best():
    chain, token, expected = Chain(), 4, []
    for _ in range(12):
        token = int(chain.table[token].index_fill(0, torch.tensor([PAD, UNK, BOS]), -math.inf).argmax())
        expected.append(token)
    assert list(generate(Chain(), [4], max_length=12, temperature=0)) == expected


def test_a_seed_is_a_text_and_nothing_global_changes():
    before = torch.get_rng_state()
    first = texts()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert texts() == first
    assert len({tuple(text) for text in first}) == 20
    streams = [generate(Chain(), [4], max_length=30, seed=seed) for seed in range(20)]
    side_by_side = list(zip(*streams, strict=True))  # other draws in between change nothing
    assert [list(text) for text in zip(*side_by_side, strict=True)] == first


def test_options_reach_the_draw():
    assert all(not {PAD, UNK, BOS} & set(text) for text in texts())
    assert any(PAD in text for text in texts(forbidden=()))
    best = {tuple(text) for text in texts(top_k=1)} | {tuple(text) for text in texts(top_p=1e-9)}
    assert best == {tuple(text) for text in texts(temperature=0)}
    assert len(best) == 1


def test_a_text_ends_at_its_stop():
    for free, stopped in zip(texts(), texts(stop=6), strict=True):
        assert stopped == list(itertools.takewhile(lambda token: token != 6, free))
    assert texts(1, max_length=0) == [[]]


def test_mistakes_show_at_the_call_not_at_the_first_token():
    for options, message in (
        ({"prompt": []}, "prompt: .*got none"),
        ({"max_length": -1}, "max_length: .*got -1"),
        ({"temperature": -1}, "temperature: .*got -1"),
        ({"top_k": 0}, "top_k: .*got 0"),
        ({"top_p": 0}, "top_p: .*got 0"),
    ):
        with pytest.raises(OptionError, match=message):
            generate(Chain(), **{"prompt": [4], "max_length": 3, **options})


def test_a_trained_model_says_what_it_has_read():
    text = torch.tensor([[4, 5, 6, 4, 7, 3] * 4])  # what follows a 4 only the one before it tells
    model = lstm_lm(8, embedding_size=16, hidden_sizes=(16,), input_dropout=0, variational_dropout=0, dropout=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(80):
        optimizer.zero_grad()
        F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[0, 1:]).backward()
        optimizer.step()
    step = model.stream()
    assert list(generate(step, text[0, :8].tolist(), max_length=16, temperature=0)) == text[0, 8:].tolist()
    step.reset()
    assert list(generate(step, [4], max_length=9, top_p=0.8, stop=3)) == [5, 6, 4, 7]


def utf8(numbers):
    return bytes(numbers).decode(errors="replace")


WORDS = ["(", "the", ",", "é", ")", "'", "dog"]


def spaced(numbers):
    """Words, punctuation joined to the one before."""
    joined = ""
    for number in numbers:
        word = WORDS[number % len(WORDS)]
        joined += word if not joined or word in ",)'" or joined.endswith("(") else f" {word}"
    return joined


def pieces_of(decode, tokens):
    pieces = TextPieces(decode)
    return [pieces.push(token) for token in tokens], pieces.end()


@pytest.mark.parametrize("text", ["", "plain", "né €5 → 👍🏽 日本", "a" * 200 + "é" * 200, "𝄞" * 100])
def test_pieces_are_whole_characters_and_make_up_the_text(text):
    pieces, end = pieces_of(utf8, text.encode())
    assert end == ""
    assert "".join(pieces) == text
    assert INCOMPLETE not in "".join(pieces)
    assert max(map(len, pieces), default=0) <= 1


@pytest.mark.parametrize("seed", range(200))
def test_pieces_of_any_bytes_make_up_what_is_decoded_at_once(seed):
    random = torch.Generator().manual_seed(seed)
    kinds = torch.tensor([0x41, 0x80, 0xBF, 0xC3, 0xE2, 0x82, 0xED, 0xA0, 0xF0, 0x9F, 0xF4, 0xFF])
    tokens = kinds[torch.randint(len(kinds), (150,), generator=random)].tolist()
    pieces, end = pieces_of(utf8, tokens)
    assert "".join(pieces) + end == utf8(tokens)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_words_keep_their_spaces(seed):
    tokens = torch.randint(7, (200,), generator=torch.Generator().manual_seed(seed)).tolist()
    pieces, end = pieces_of(spaced, tokens)
    assert "".join(pieces) + end == spaced(tokens)


def test_a_text_broken_off_inside_a_character():
    pieces, end = pieces_of(utf8, "a€".encode()[:-1])
    assert (pieces, end) == (["a", "", ""], INCOMPLETE)


def test_a_piece_costs_the_same_however_long_the_text():
    longest = 0

    def decode(numbers):
        nonlocal longest
        longest = max(longest, len(numbers))
        return utf8(numbers)

    for tokens in ([65] * 1000, [0xFF] * 1000):
        pieces, end = pieces_of(decode, tokens)
        assert "".join(pieces) + end == utf8(tokens)
    assert longest == 64


def test_a_decoder_that_takes_text_back_is_refused():
    pieces = TextPieces(lambda numbers: "ab" if len(numbers) == 1 else "xyz")
    pieces.push(0)
    with pytest.raises(OptionError, match="add to 'ab', got 'xyz'"):
        pieces.push(0)
