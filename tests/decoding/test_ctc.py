"""CTC's decoders against every path there is."""

import itertools
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.data.ngram import NGram
from gatewise.decoding.ctc import align, best_path, collapse, prefix_beam_search, steps_needed
from gatewise.errors import DataError, OptionError, RunError
from gatewise.sequences import BOS, EOS


def random_scores(seed, steps, symbols, sharpness=1.5):
    scores = np.random.default_rng(seed).normal(size=(steps, symbols)) * sharpness
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def text_of(path):
    """By the definition: repeats once, then blanks out."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != 0)


def paths(log_probs):
    """Every path with its log-probability."""
    steps, symbols = log_probs.shape
    for path in itertools.product(range(symbols), repeat=steps):
        yield path, sum(log_probs[t, symbol] for t, symbol in enumerate(path))


def every_text(log_probs):
    """The log-probability of every text that can be read: the sum over its paths."""
    found = {}
    for path, log_p in paths(log_probs):
        text = text_of(path)
        found[text] = np.logaddexp(found.get(text, -np.inf), log_p)
    return found


@pytest.mark.parametrize(("steps", "symbols"), [(0, 3), (1, 2), (3, 4), (5, 3), (6, 3), (8, 2)])
def test_a_wide_search_is_exact(steps, symbols):
    for seed in range(4):
        log_probs = random_scores(seed, steps, symbols)
        truth = every_text(log_probs)
        found = prefix_beam_search(log_probs, beam_size=10_000, least=0.0)
        assert {tuple(one.symbols) for one in found} == set(truth)
        for one in found:
            assert one.score == pytest.approx(truth[tuple(one.symbols)], abs=1e-9)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_all_texts_together_are_certain():
    found = prefix_beam_search(random_scores(0, 6, 3), beam_size=10_000, least=0.0)
    assert sum(math.exp(one.score) for one in found) == pytest.approx(1)


def test_scores_are_those_of_torch():
    log_probs = random_scores(1, 9, 5)
    for one in prefix_beam_search(log_probs, beam_size=20_000, least=0.0)[:30]:
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs), torch.tensor(one.symbols), (9,), (len(one.symbols),), reduction="sum"
        )
        assert one.score == pytest.approx(-float(loss), abs=1e-9)


class Bigrams:
    """A model of random pairs, which also checks how it is called."""

    def __init__(self, symbols):
        self.table = random_scores(9, max(symbols, EOS + 1), max(symbols, EOS + 1))

    def step(self, state, symbol):
        assert (state is None) == (symbol == BOS), "symbol 2 is no text symbol here"
        return self.table[symbol], (*(state or ()), symbol)


def fused(text, log_p, model, weight, bonus):
    pairs = itertools.pairwise((BOS, *text, EOS))
    return log_p + weight * sum(model.table[one, other] for one, other in pairs) + bonus * len(text)


@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.7), (0.5, 0.0), (1.3, 1.1), (0.4, -0.6)])
def test_the_search_weighs_in_a_language_model(weight, bonus):
    model = Bigrams(2)
    for seed in range(3):
        log_probs = random_scores(seed, 5, 2)  # symbols 0 and 1
        truth = {text: fused(text, p, model, weight, bonus) for text, p in every_text(log_probs).items()}
        found = prefix_beam_search(
            log_probs, beam_size=1000, least=0.0, language_model=model, lm_weight=weight, length_bonus=bonus
        )
        assert tuple(found[0].symbols) == max(truth, key=truth.get)
        for one in found:
            assert one.score == pytest.approx(truth[tuple(one.symbols)], abs=1e-9)


def test_a_language_model_changes_the_text():
    scores = [[0.1, 0.0, 0.0, 0.0, 0.5, 0.4], [0.9, 0.0, 0.0, 0.0, 0.05, 0.05]] * 2 + [[0.0, 0.0, 0.0, 0.0, 0.5, 0.5]]
    log_probs = np.log(np.maximum(scores, 1e-30))
    ngram = NGram.fit([np.array([5, 5, 5])] * 50, order=3, size=6)
    alone = prefix_beam_search(log_probs, beam_size=16)[0].symbols
    together = prefix_beam_search(log_probs, beam_size=16, language_model=ngram, lm_weight=1.0)[0].symbols
    assert alone == [4, 4, 5]
    assert together == [5, 5]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 4), st.integers(1, 5))
def test_a_narrow_search_claims_no_more_than_there_is(seed, steps, symbols, beam_size):
    log_probs = random_scores(seed, steps, symbols)
    truth = every_text(log_probs)
    found = prefix_beam_search(log_probs, beam_size=beam_size)
    assert 1 <= len(found) <= beam_size
    assert len({tuple(one.symbols) for one in found}) == len(found)
    for one in found:
        assert one.score <= truth[tuple(one.symbols)] + 1e-9


def test_certain_symbols_and_long_sequences():
    T = 3000  # the product of so many probabilities is below what a float holds
    log_probs = np.log(np.full((T, 5), 0.2))
    log_probs[:, 1:4] = -np.inf
    log_probs[:, [0, 4]] = math.log(0.5)
    found = prefix_beam_search(log_probs, beam_size=4)
    assert all(math.isfinite(one.score) for one in found)
    certain = np.full((4, 3), -np.inf)
    certain[range(4), [1, 1, 0, 2]] = 0.0
    best = prefix_beam_search(certain, beam_size=8)
    assert (best[0].symbols, best[0].score, len(best)) == ([1, 2], 0.0, 1)


def test_the_search_is_quick_enough():
    """200 steps of 30 symbols with 16 beginnings, as a trained model scores them; 300 of these take seconds."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 30))
    scores[np.arange(200), np.where(rng.random(200) < 0.7, 0, rng.integers(1, 30, 200))] += 7
    log_probs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    started = time.process_time()
    prefix_beam_search(log_probs, beam_size=16)
    assert time.process_time() - started < 0.5  # about 0.03 where nothing else runs


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 12))
def test_collapsing_in_two_parts_is_collapsing_at_once(path, cut):
    path, cut = np.array(path, dtype=np.int64), min(cut, len(path))
    whole = collapse(path)
    assert tuple(whole) == text_of(path)
    before = path[cut - 1] if cut else 0
    assert [*collapse(path[:cut]), *collapse(path[cut:], before=before)] == list(whole)


def test_the_best_path():
    for seed in range(5):
        log_probs = random_scores(seed, 5, 3)
        best, log_p = max(paths(log_probs), key=lambda one: one[1])
        found = best_path(log_probs)
        assert tuple(found.symbols) == text_of(best)
        assert found.score == pytest.approx(log_p)


def spans_of(path):
    """First step of each symbol of a path, and the one after its last."""
    spans, t = [], 0
    for symbol, group in itertools.groupby(path):
        n = len(list(group))
        if symbol != 0:
            spans.append([t, t + n])
        t += n
    return spans


@pytest.mark.parametrize("text", [(), (1,), (1, 2), (2, 2), (1, 1, 2), (2, 1, 2, 1)])
def test_alignment_is_the_likeliest_path_of_the_text(text):
    for seed in range(6):
        log_probs = random_scores(seed, 6, 3)
        best, _ = max((one for one in paths(log_probs) if text_of(one[0]) == text), key=lambda one: one[1])
        assert align(log_probs, np.array(text, dtype=np.int64)).tolist() == spans_of(best)


@pytest.mark.parametrize("steps", [40, 900])
def test_alignment_of_the_best_path_is_that_path(steps):
    log_probs = random_scores(3, steps, 6, sharpness=3)
    path = log_probs.argmax(1)
    assert align(log_probs, np.array(best_path(log_probs).symbols)).tolist() == spans_of(path)


def test_a_text_may_fill_every_step():
    log_probs = random_scores(0, 3, 4)
    assert align(log_probs, np.array([1, 2, 1])).tolist() == [[0, 1], [1, 2], [2, 3]]
    with pytest.raises(DataError, match=r"at least 4 steps for 3 symbols, got 3"):
        align(log_probs, np.array([1, 1, 2]))
    assert steps_needed(np.array([1, 1, 2])) == 4


def test_an_impossible_text_is_refused():
    log_probs = random_scores(0, 4, 4)
    log_probs[:, 3] = -np.inf
    with pytest.raises(DataError, match="probability 0"):
        align(log_probs, np.array([1, 3]))


def test_wrong_arguments_are_refused():
    log_probs = random_scores(0, 2, 3)
    with pytest.raises(OptionError, match="at least 1, got 0"):
        prefix_beam_search(log_probs, beam_size=0)
    with pytest.raises(OptionError, match=r"language model with lm_weight 0\.5"):
        prefix_beam_search(log_probs, beam_size=2, lm_weight=0.5)
    with pytest.raises(OptionError, match=r"shape \(1, 2, 3\)"):
        best_path(log_probs[None])
    log_probs[1, 1] = np.nan
    for decode in (
        best_path,
        lambda scores: prefix_beam_search(scores, beam_size=2),
        lambda s: align(s, np.array([1])),
    ):
        with pytest.raises(RunError, match="NaN"):
            decode(log_probs)
    with pytest.raises(RunError, match="possible at each step"):
        prefix_beam_search(np.full((1, 3), -np.inf), beam_size=2)


# N-grams


def by_the_formula(texts, order, size, history, symbol):
    """Witten-Bell, counted anew from the texts for each history."""
    possible = size - 3
    p = 0.0 if symbol < EOS else 1 / possible
    for length in range(order):
        end = history[len(history) - length :]
        following = [
            row[k]
            for row in ([BOS] * (order - 1) + list(text) + [EOS] for text in texts)
            for k in range(order - 1, len(row))
            if tuple(row[k - length : k]) == tuple(end)
        ]
        if not following:
            return p
        kinds = len(set(following))
        p = (following.count(symbol) + kinds * p) / (len(following) + kinds)
    return p


@pytest.mark.parametrize("order", [1, 2, 4])
def test_an_ngram_is_its_formula(order):
    rng = np.random.default_rng(order)
    texts = [rng.integers(4, 7, rng.integers(0, 9)) for _ in range(12)]
    ngram = NGram.fit(texts, order=order, size=8)  # symbol 7 never occurs
    for text in [*texts[:4], np.array([7, 4, 7]), np.array([6, 6, 6, 6, 6])]:
        state, symbol, history, total = None, BOS, (BOS,) * (order - 1), 0.0
        for following in [*text.tolist(), EOS]:
            log_probs, state = ngram.step(state, symbol)
            expected = [by_the_formula(texts, order, 8, history, k) for k in range(8)]
            np.testing.assert_allclose(np.exp(log_probs), expected, atol=1e-12)
            assert np.exp(log_probs).sum() == pytest.approx(1)
            total += log_probs[following]
            symbol, history = following, (*history, following)
        assert ngram.log_prob(text) == pytest.approx(total)


def test_an_ngram_prefers_what_it_has_seen():
    ngram = NGram.fit([np.array([4, 5, 6])] * 3 + [np.array([5, 4])], order=3, size=7)
    assert ngram.log_prob(np.array([4, 5, 6])) > ngram.log_prob(np.array([6, 5, 4])) > -math.inf


def test_an_ngram_comes_back_from_its_plain_form():
    ngram = NGram.fit([np.array([4, 5, 4, 6]), np.array([], dtype=np.int64)], order=3, size=7)
    again = NGram.from_plain(ngram.to_plain())
    assert again == ngram
    for wrong in ({"order": 4}, {"size": 5}, {"counts": {"4 x 5": 1}}, {"counts": {"2 2 4": 0}}, {"more": 1}):
        with pytest.raises(KeyError):
            NGram.from_plain({**ngram.to_plain(), **wrong})
    with pytest.raises(OptionError, match="got 0"):
        NGram.fit([np.array([4])], order=0, size=5)
