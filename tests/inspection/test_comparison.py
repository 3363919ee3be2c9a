"""McNemar, Holm, intervals and words, each against its definition."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.inspection.comparison import (
    Agreement,
    Difference,
    Estimate,
    agreement,
    bootstrap_p,
    holm,
    interval,
    mcnemar,
)
from gatewise.inspection.verdict import verdict
from gatewise.types import Prediction, Results


@pytest.mark.parametrize("n", range(13))
def test_mcnemar_counts_every_outcome_of_the_coins(n):
    """All 2^n ways in which n coins may fall: how many are at least as lopsided as what was seen."""
    heads = [sum(coins) for coins in product((0, 1), repeat=n)]
    for b in range(n + 1):
        at_least = sum(abs(2 * k - n) >= abs(2 * b - n) for k in heads)
        assert mcnemar(b, n - b) == pytest.approx(float(Fraction(at_least, 2**n)), rel=1e-15)


def test_mcnemar_of_many_is_exact_and_symmetric():
    n, b = 3000, 1400
    exact = 2 * sum(Fraction(math.comb(n, k), 2**n) for k in range(b + 1))
    assert mcnemar(b, n - b) == pytest.approx(float(exact), rel=1e-14)
    assert mcnemar(n - b, b) == mcnemar(b, n - b)
    assert mcnemar(5, 5) == 1.0


def test_mcnemar_is_seldom_wrong_where_there_is_no_difference():
    """Of exact tests at 5 %, at most 5 % find what is not there."""
    rng = np.random.default_rng(0)
    found = np.mean([mcnemar(b, 40 - b) < 0.05 for b in rng.binomial(40, 0.5, 2000).tolist()])
    assert 0.01 < found <= 0.06


def stepwise(ps):
    """Holm as he puts it: the smallest p against alpha / m, the next against alpha / (m - 1), until one fails."""

    def rejected(alpha):
        order, kept = sorted(range(len(ps)), key=lambda i: ps[i]), set()
        for rank, i in enumerate(order):
            if ps[i] > alpha / (len(ps) - rank):
                break
            kept.add(i)
        return kept

    return rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_his_steps_reject(ps, alpha):
    corrected = holm(ps)
    if min(abs(p - alpha) for p in corrected) > 1e-9:
        assert {i for i, p in enumerate(corrected) if p <= alpha} == stepwise(ps)(alpha)
    assert all(after >= before for before, after in zip(ps, corrected, strict=True))


def test_holm_leaves_out_what_is_not_known():
    assert holm([0.02, float("nan"), 0.04])[::2] == [0.04, 0.04]
    assert math.isnan(holm([0.02, float("nan")])[1])


@given(st.lists(st.integers(-3, 3), min_size=200, max_size=300))
def test_p_is_small_just_where_the_interval_leaves_zero_out(values):
    draws = np.array(values, dtype=float)
    low, high = interval(draws)
    if low > 0 or high < 0:
        assert bootstrap_p(draws) <= 0.06
    if low < 0 < high:
        assert bootstrap_p(draws) > 0.04
    assert bootstrap_p(-draws) == bootstrap_p(draws)


def test_what_is_not_defined_counts_nowhere():
    draws = np.array([1.0, np.nan, 2.0, np.nan, 3.0])
    assert interval(draws) == interval(draws[[0, 2, 4]])
    assert all(map(math.isnan, interval(np.full(5, np.nan))))
    assert math.isnan(bootstrap_p(np.full(5, np.nan)))
    assert bootstrap_p(np.zeros(2000)) == 1.0
    assert bootstrap_p(np.ones(1999)) == 2 / 2000


def answers(said, right="aabb"):
    return Results(0.0, [Prediction(one) for one in said], list(right))


def test_who_is_right_where():
    assert agreement(answers("aaba"), answers("abbb"), independent=True) == Agreement(2, 1, 1, 0, 1.0)
    assert agreement(answers("bbaa"), answers("bbaa"), independent=True) == Agreement(0, 0, 0, 4, 1.0)
    assert math.isnan(agreement(answers("aaba"), answers("abbb"), independent=False).p)


def difference(value, low, high, p, *, metric="accuracy", told=None, same=False):
    return Difference("B", {metric: Estimate(value, low, high)}, p, "McNemar", same, told)


def test_words():
    told = Agreement(500, 12, 19, 69, 0.02)
    better = verdict("accuracy", "A", difference(0.012, 0.003, 0.021, 0.02, told=told), where="600 sequences")
    assert better == (
        "B is better than A: accuracy higher by 1.2 points [0.3, 2.1] on 600 sequences; just one of them is right on "
        "31, B on 19 and A on 12, p = 0.02."
    )
    worse = verdict("accuracy", "A", difference(-0.012, -0.021, -0.003, 0.02), where="600 sequences")
    assert worse == "A is better than B: accuracy higher by 1.2 points [0.3, 2.1] on 600 sequences, p = 0.02."
    lower = verdict("mse", "A", difference(-0.5, -0.8, -0.1, 0.0004, metric="mse"), where="12 series")
    assert lower == "B is better than A: MSE lower by 0.5 [0.1, 0.8] on 12 series, p < 0.001."
    higher = verdict("wer", "A", difference(0.02, 0.01, 0.03, 0.01, metric="wer"), where="9 texts")
    assert higher == "A is better than B: word error rate lower by 2.0 points [1.0, 3.0] on 9 texts, p = 0.01."
    none = verdict("accuracy", "A", difference(0.01, -0.02, 0.04, 0.5), where="120 sequences")
    assert none == (
        "No difference can be seen on 120 sequences: the accuracy of B less that of A is +1.0 points [-2.0, +4.0], "
        "p = 0.5."
    )
    doubtful = verdict("accuracy", "A", difference(-0.04, -0.08, -0.01, 0.125), where="100 sequences")
    assert "The interval alone leaves 0 out" in doubtful
    same = verdict("bleu", "A", difference(0, 0, 0, 1.0, metric="bleu", same=True), where="5 texts")
    assert same == "A and B give the same answers on 5 texts."
    lone = verdict("mse", "A", difference(0.1, math.nan, math.nan, math.nan, metric="mse"), where="1 sequence")
    assert "Nothing can be said" in lone
    mixed = Difference("B", {"accuracy": Estimate(0.03, math.nan, math.nan)}, math.nan, "none", False)
    assert verdict("accuracy", "A (3 runs)", mixed, where="9 texts") == (
        "Nothing can be said of A (3 runs) and B as setups, since one of them is a single run, which does not tell how "
        "others like it would do: the accuracy of B less that of A (3 runs) is +3.0 points on 9 texts."
    )
    undefined = verdict("r2", "A", difference(math.nan, math.nan, math.nan, math.nan, metric="r2"), where="2 sequences")
    assert "cannot be compared" in undefined
