"""Student's t of setups: against tables, definitions, and how often it is wrong where nothing differs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.inspection.student import Part, incomplete_beta, infer, student_p, student_quantile

LEGENDRE = np.polynomial.legendre.leggauss(200)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (9, 2.262157), (30, 2.042272)],
)
def test_quantiles_are_those_of_the_tables(freedom, quantile):
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, abs=1e-6)
    assert student_p(quantile, freedom) == pytest.approx(0.05, abs=1e-7)


@given(st.floats(-30, 30), st.floats(1, 300))
def test_p_is_the_area_of_the_tails(t, freedom):
    """The density (Student 1908), integrated over what lies between, by tan(angle) * sqrt(freedom)."""
    nodes, weights = LEGENDRE
    end = math.atan(abs(t) / math.sqrt(freedom))
    between = end / 2 * (weights * np.cos(end / 2 * (nodes + 1)) ** (freedom - 1)).sum()
    whole = math.sqrt(math.pi) / 2 * math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2))
    assert student_p(t, freedom) == pytest.approx(1 - between / whole, abs=1e-9)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
def test_incomplete_beta_counts_throws(a, b, x):
    """Of whole numbers it is the chance of a or more of a + b - 1 throws of a coin that falls right with x."""
    n = a + b - 1
    exact = sum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert incomplete_beta(a, b, x) == pytest.approx(exact, abs=1e-12)


def still(sign, values):
    """Runs that are the same on all data."""
    values = np.array(values, dtype=float)
    return Part(sign, values, np.repeat(values[:, None], 50, axis=1))


def test_of_data_that_change_nothing_it_is_the_test_of_welch():
    """By hand: variances 1 and 14 / 3 of 3 and 4 runs, so 1 / 3 + 7 / 6 = 3 / 2, and 2.25 / (1 / 18 + 49 / 108)."""
    found = infer([still(1, [4.0, 5.0, 6.0]), still(-1, [0.0, 1.0, 2.0, 5.0])], 1000)
    freedom = 2.25 / ((1 / 3) ** 2 / 2 + (7 / 6) ** 2 / 3)
    assert found.value == 3.0
    assert found.p == pytest.approx(student_p(3 / math.sqrt(1.5), freedom), rel=1e-12)
    assert found.high - 3 == pytest.approx(math.sqrt(1.5) * student_quantile(0.975, freedom))
    assert found.low == pytest.approx(6 - found.high)


def test_what_all_runs_share_does_not_go_away_with_more_of_them():
    """Hundred runs that differ by nothing but the data, on 50 sequences: as wide as one run."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, 4000)
    part = Part(1, np.full(100, 3.0), np.tile(3 + shared, (100, 1)))
    found = infer([part], 51)
    assert found.high - 3 == pytest.approx(2.0086 * math.sqrt(51 / 50), rel=0.03)  # t of 50


def test_runs_that_chance_makes_equal_are_no_proof():
    """Two accuracies of 40 sequences each are often the same; that their runs do not vary does not follow."""
    rng = np.random.default_rng(1)
    right = rng.random((2, 2, 40)) < 0.8
    right[:, 1] = right[:, 0][:, ::-1]  # as many right, elsewhere
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=500)
    parts = [Part(sign, one.mean(1), one @ counts.T / 40) for sign, one in zip((1, -1), right, strict=True)]
    assert np.var(parts[0].values) == 0
    assert infer(parts, 40).high - infer(parts, 40).low > 0.2


def test_nothing_that_varies_tells_nothing_of_chance():
    apart = infer([still(1, [1.0, 1.0]), still(-1, [0.0, 0.0])], 10)
    assert apart.value == 1.0
    assert math.isnan(apart.p)
    assert infer([still(1, [0.5, 0.5]), still(-1, [0.5, 0.5])], 10).p == 1.0
    assert all(map(math.isnan, infer([still(1, [0.1, 0.4])], 1)[1:]))
    lost = infer([Part(1, np.array([1.0, math.nan]), np.ones((2, 50)))], 10)
    assert math.isnan(lost.low)


@pytest.mark.parametrize("runs", [2, 3, 5])
@pytest.mark.parametrize("seeds", [0.0, 0.3])
def test_with_few_seeds_it_is_seldom_wrong(runs, seeds):
    """Setups with equal true means, 60 sequences: at most 5 of 100 trials tell them apart, give or take 3.5 in 400."""
    rng = np.random.default_rng(runs)

    def setup(sign, hard):
        right = hard + rng.normal(0, seeds, (runs, 1)) + rng.normal(0, 0.5, (runs, 60)) > 0
        return Part(sign, right.mean(1), right @ counts.T / 60)

    wrong = 0
    for _ in range(400):
        counts = rng.multinomial(60, np.full(60, 1 / 60), size=100)
        hard = rng.normal(1, 1, 60)
        wrong += infer([setup(1, hard), setup(-1, hard)], 60).p < 0.05
    assert wrong / 400 <= 0.085


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_where_seeds_alone_differ_it_is_seldom_wrong(runs):
    """Here resampled runs are wrong most often: 34, 13 and 10 of 100 with 2, 3 and 5 runs a side."""
    rng = np.random.default_rng(1)
    wrong = np.mean(
        [infer([still(sign, rng.normal(size=runs)) for sign in (1, -1)], 1000).p < 0.05 for _ in range(600)]
    )
    assert wrong <= 0.077  # 5 of 100, give or take 2.7 in 600


def test_what_differs_is_found():
    """Five runs a side, ten deviations apart."""
    rng = np.random.default_rng(0)
    parts = [still(sign, rng.normal(0.1 * sign, 0.02, 5)) for sign in (1, -1)]
    found = infer(parts, 100)
    assert found.p < 1e-3
    assert found.low < 0.2 < found.high
