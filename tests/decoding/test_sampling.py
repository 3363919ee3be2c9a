"""Drawing tokens, against the definition written out."""

import math

import pytest
import torch

from gatewise.decoding.sampling import sample
from gatewise.errors import OptionError, ShapeError

TEMPERATURES = (0.3, 1.0, 2.5)


def definition(scores, *, temperature=1.0, top_k=None, top_p=1.0, forbidden=()):
    """The probability of each token of one row, in plain Python."""
    left = sorted((token for token in range(len(scores)) if token not in forbidden), key=lambda token: -scores[token])
    left = left[:top_k]
    shares = {token: math.exp(scores[token] / temperature) for token in left}
    total = sum(shares.values())
    kept, reached = [], 0.0
    for token in left:
        kept.append(token)
        reached += shares[token] / total
        if reached >= top_p:
            break
    total = sum(shares[token] for token in kept)
    return [shares[token] / total if token in kept else 0.0 for token in range(len(scores))]


def random_case(seed):
    """Scores of one row, and options."""
    random = torch.Generator().manual_seed(seed)

    def among(values):
        return values[int(torch.randint(len(values), (1,), generator=random))]

    size = among([1, 2, 5, 9])
    scores = (torch.randn(size, generator=random, dtype=torch.float64) * 2).tolist()
    count = int(torch.randint(size, (1,), generator=random))
    forbidden = torch.randperm(size, generator=random)[:count].tolist()
    options = {"temperature": among(TEMPERATURES), "top_k": among([None, 1, 2, 3, 20])}
    return scores, {**options, "top_p": among([1.0, 0.9, 0.5, 1e-9]), "forbidden": forbidden}


@pytest.mark.parametrize("seed", range(40))
def test_frequencies_are_those_of_the_definition(seed):
    scores, options = random_case(seed)
    expected = torch.tensor(definition(scores, **options), dtype=torch.float64)
    rows, generator = 4000, torch.Generator().manual_seed(seed)
    drawn = sample(torch.tensor([scores]).expand(rows, -1), generator=generator, **options)
    counts = drawn.bincount(minlength=len(scores)).double()
    possible = expected > 0
    assert counts[~possible].sum() == 0
    # Pearson's chi-square; tokens that are hardly ever expected are left out of it.
    frequent = expected * rows > 5
    chi_square = ((counts - expected * rows).square() / (expected * rows))[frequent].sum()
    freedom = int(frequent.sum())
    assert chi_square < freedom + 4.5 * math.sqrt(2 * freedom)


def test_rows_are_drawn_apart():
    scores = torch.full((3, 4), -50.0)
    scores[0, 2] = scores[1, 0] = scores[2, 3] = 50.0
    for options in ({}, {"top_k": 2}, {"top_p": 0.9}, {"top_k": 3, "top_p": 0.5}, {"temperature": 0}):
        assert sample(scores, **options).tolist() == [2, 0, 3]


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.95}, {"temperature": 0}], ids=str)
def test_a_forbidden_token_never_comes(options):
    scores = torch.randn(2000, 6)
    scores[:, [1, 4]] = 100.0
    drawn = sample(scores, forbidden=[4, 1], **options)
    assert not set(drawn.tolist()) & {1, 4}
    assert (scores[:, 1] == 100).all()


@pytest.mark.parametrize("kind", ["a draw of 0", "the largest draw"])
def test_the_ends_of_the_random_numbers_fall_on_tokens_that_may_be_drawn(kind, monkeypatch):
    drawn = 0.0 if kind == "a draw of 0" else 1 - 2**-53  # what torch.rand gives at its ends
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.full(shape, drawn, dtype=torch.float64))
    for size in (3, 1000):
        scores = torch.randn(50, size)
        ends = [0, size - 1]
        middle = sample(scores, forbidden=ends)
        assert not set(middle.tolist()) & set(ends)
        allowed = scores.index_fill(1, torch.tensor(ends), -torch.inf).sort(1, descending=True).indices
        place = 0 if drawn == 0 else 1
        for options in ({"top_k": 2}, {"top_p": 1e-9, "top_k": size}):
            best = sample(scores, forbidden=ends, **options)
            which = min(place, size - 3) if "top_p" not in options else 0
            assert torch.equal(best, allowed[:, which])


def test_temperature_0_takes_the_best_and_small_ones_approach_it():
    scores = torch.randn(50, 7)
    assert torch.equal(sample(scores, temperature=0, top_k=2, top_p=0.1), scores.argmax(1))
    for temperature in (1e-6, 5e-324):
        assert torch.equal(sample(scores, temperature=temperature), scores.argmax(1))


def test_equal_scores_are_cut_to_exactly_k():
    drawn = sample(torch.zeros(1, 9).expand(2000, -1), top_k=4)
    assert len(drawn.unique()) == 4


def test_the_smallest_set_that_reaches_p_and_no_more():
    quarters = torch.zeros(1, 4).expand(2000, -1)
    for top_p, count in ((0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (0.76, 4)):
        assert len(sample(quarters, top_p=top_p).unique()) == count


def test_large_scores_and_16_bits():
    scores = torch.tensor([[3e38, -3e38, 0.0]])
    assert sample(scores, top_p=0.9).item() == 0
    low = torch.tensor([[0.0, 9.0, -torch.inf]], dtype=torch.bfloat16)
    assert sample(low, top_k=1).item() == 1


def test_the_generator_decides_and_the_global_one_is_left_alone():
    scores = torch.randn(100, 20)

    def draw(seed):
        return sample(scores, top_p=0.9, generator=torch.Generator().manual_seed(seed))

    before = torch.get_rng_state()
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_refused():
    scores = torch.randn(2, 5)
    for temperature in (-0.1, math.inf, math.nan):
        with pytest.raises(OptionError, match=f"temperature: .*got {temperature}"):
            sample(scores, temperature=temperature)
    for top_p in (0.0, -1.0, 1.1, math.nan):
        with pytest.raises(OptionError, match=rf"top_p: .*\(0, 1\], got {top_p}"):
            sample(scores, top_p=top_p)
    for top_k in (0, -3):
        with pytest.raises(OptionError, match=f"top_k: expected at least 1.*got {top_k}"):
            sample(scores, top_k=top_k)
    for token in (5, -1):
        with pytest.raises(OptionError, match=rf"forbidden: .*0 to 4, got \[{token}\]"):
            sample(scores, forbidden=[token])
    with pytest.raises(OptionError, match="got all 5"):
        sample(scores, forbidden=[4, 3, 2, 1, 0])
    with pytest.raises(ShapeError, match=r"\(batch, vocabulary\), got \(5,\)"):
        sample(scores[0])
    for bad in (math.nan, math.inf):
        wrong = scores.clone()
        wrong[1, 2] = bad
        for temperature in (0, 1):
            with pytest.raises(ShapeError, match=f"finite largest score.*{bad}"):
                sample(wrong, temperature=temperature)
    with pytest.raises(ShapeError, match="-inf"):
        sample(torch.full((1, 3), -math.inf))
