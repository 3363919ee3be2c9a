"""The data against the papers' definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.errors import OptionError
from gatewise.experiments import PROBLEMS, problem
from gatewise.experiments.problems import (
    DISTRACTORS,
    draw_adding,
    draw_copy,
    draw_long_lag,
    draw_noise_free,
    draw_order,
    draw_order_of_three,
    draw_two_sequences,
    judge_class,
    judge_copy,
    judge_next,
    judge_sum,
)

EVERY = [each for variants in PROBLEMS.values() for each in variants]
few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@few
@given(seed=seeds, length=st.integers(20, 120), vary=st.booleans())
def test_adding_is_that_of_section_5_4(seed, length, vary):
    inputs, lengths, targets = draw_adding(8, length, generator(seed), vary)
    assert inputs.shape == (lengths.max(), 8, 2)
    assert ((lengths >= length) & (lengths <= length + (length // 10 if vary else 0))).all()
    assert inputs[..., 0].abs().max() <= 1
    for row in range(8):
        values, marks = inputs[: lengths[row], row].unbind(1)
        assert not inputs[lengths[row] :, row].any()
        assert marks[0] == marks[-1] == -1
        marked = (marks == 1).nonzero()[:, 0].tolist()
        assert set(marks[1:-1].tolist()) <= {0.0, 1.0}
        assert len(marked) in (1, 2)  # one of the two may be the first pair, whose value counts as zero
        assert max(marked) < length // 2 - 1 or max(marked) < 10
        assert min(marked) < 10 or len(marked) == 1
        assert targets[row].item() == pytest.approx(0.5 + values[marked].sum().item() / 4, abs=1e-6)


def test_adding_marks_every_place_of_the_paper_and_no_other():
    inputs, _, _ = draw_adding(20_000, 40, generator(0))
    share = (inputs[..., 1] == 1).float().mean(1)
    assert (share[1:19] > 0).all()
    assert not share[19:].any()
    assert share[10:19].mean().item() == pytest.approx(1 / 18, rel=0.03)  # one of the 18 that are left


def test_adding_has_the_blind_loss_that_is_told():
    _, _, targets = draw_adding(30_000, 100, generator(0))
    assert targets.var().item() == pytest.approx(problem("adding").blind(100), rel=0.03)


@few
@given(seed=seeds, length=st.integers(1, 60))
def test_copy_is_that_of_arjovsky(seed, length):
    inputs, lengths, targets = draw_copy(4, length, generator(seed))
    assert inputs.shape == (length + 20, 4, 10)
    assert (lengths == length + 20).all()
    assert (inputs.sum(2) == 1).all()
    tokens = inputs.argmax(2)
    assert (tokens[:10] < 8).all()
    assert (tokens[10 : 10 + length - 1] == 8).all()
    assert (tokens[10 + length - 1] == 9).all()
    assert (tokens[-10:] == 8).all()
    assert (targets[: length + 10] == 8).all()
    assert torch.equal(targets[-10:], tokens[:10])


def test_copy_without_memory_is_as_good_as_is_told():
    """The best that remembers nothing: blanks are certain, the symbols a guess."""
    length = 30
    _, _, targets = draw_copy(500, length, generator(0))
    scores = torch.full((length + 20, 500, 9), -1e4)
    scores[: length + 10, :, 8] = 0
    scores[length + 10 :, :, :8] = 0
    assert judge_copy(scores, targets).loss.item() == pytest.approx(problem("copy").blind(length), rel=1e-5)


@few
@given(seed=seeds, length=st.integers(3, 40))
def test_noise_free_sequence_is_that_of_task_2a(seed, length):
    inputs, lengths, targets = draw_noise_free(6, length, generator(seed))
    tokens = inputs.argmax(2)
    assert (lengths == length).all()
    assert inputs.shape[2] == length + 1  # p + 1 symbols
    assert (tokens[0] >= length - 1).all()
    assert (tokens[1:] == torch.arange(length - 1).unsqueeze(1)).all()
    assert torch.equal(targets[:-1], tokens[1:])
    assert torch.equal(targets[-1], tokens[0])


@few
@given(seed=seeds, length=st.integers(5, 60), vary=st.booleans())
def test_long_lag_is_that_of_task_2c(seed, length, vary):
    inputs, lengths, targets = draw_long_lag(6, length, generator(seed), vary)
    assert inputs.shape[2] == DISTRACTORS + 4
    if not vary:
        assert (lengths == length - 1).all()  # the last symbol is asked for, not shown
    for row in range(6):
        tokens = inputs[: lengths[row], row].argmax(1)
        assert (inputs[: lengths[row], row].sum(1) == 1).all()
        assert not inputs[lengths[row] :, row].any()
        assert tokens[0] == DISTRACTORS + 1
        assert tokens[1] - DISTRACTORS - 2 == targets[row]
        assert tokens[-1] == DISTRACTORS
        assert (tokens[2:-1] < DISTRACTORS).all()
        assert len(tokens[2:-1]) >= length - 4


def test_long_lag_goes_on_with_probability_nine_tenths():
    _, lengths, _ = draw_long_lag(5000, 5, generator(0))
    more = (lengths - 4).float()
    assert more.mean().item() == pytest.approx(9, rel=0.05)  # q + 14 steps in all: 4 + q + 9, and the answer's own
    assert (more == 0).float().mean().item() == pytest.approx(0.1, abs=0.015)
    assert (more == 3).float().mean().item() == pytest.approx(0.1 * 0.9**3, abs=0.015)


def test_two_sequences_are_those_of_task_3a():
    inputs, lengths, targets = draw_two_sequences(5000, 60, generator(0))
    assert torch.equal(inputs[0, :, 0], 2.0 * targets - 1)
    noise = torch.cat([inputs[1:n, row, 0] for row, n in enumerate(lengths.tolist())])
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.var().item() == pytest.approx(0.2, rel=0.02)
    assert lengths.min() == 60
    assert lengths.max() == 66


@few
@given(seed=seeds, length=st.sampled_from([20, 57, 100, 130]), vary=st.booleans())
@pytest.mark.parametrize(
    ("draw", "places"), [(draw_order, (0.1, 0.5)), (draw_order_of_three, (0.1, 0.33, 0.66))], ids=["6a", "6b"]
)
def test_order_is_that_of_section_5_6(draw, places, seed, length, vary):
    inputs, lengths, targets = draw(6, length, generator(seed), vary)
    for row in range(6):
        tokens = inputs[: lengths[row], row].argmax(1)
        assert (inputs[: lengths[row], row].sum(1) == 1).all()
        assert not inputs[lengths[row] :, row].any()
        assert tokens[0] == 4
        assert tokens[-1] == 5
        at = (tokens >= 6).nonzero()[:, 0]
        assert len(at) == len(places)
        for place, where in zip(places, at.tolist(), strict=True):
            assert round(place * length) <= where <= round(place * length) + length // 10
        digits = "".join("01"[t - 6] for t in tokens[at])
        assert int(digits, 2) == targets[row]
        rest = tokens[1:-1]
        assert ((rest < 4) | (rest >= 6)).all()


def test_order_at_100_has_the_places_of_the_paper():
    inputs, lengths, _ = draw_order(3000, 100, generator(0))
    at = (inputs[..., 6:].sum(2) > 0).any(1).nonzero()[:, 0].tolist()
    assert at == [*range(10, 21), *range(50, 61)]
    assert set(lengths.tolist()) == set(range(100, 111))


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one.name}-{one.variant}")
def test_the_same_seed_draws_the_same(one):
    first, second = (one.draw(4, one.shortest, generator(3), True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = one.draw(64, one.shortest, generator(4), True)
    assert not torch.equal(other.targets, one.draw(64, one.shortest, generator(5), True).targets)
    assert first.inputs.shape[2] == one.input_size(one.shortest)
    assert first.inputs.dtype == torch.float32


def test_a_sum_is_right_below_4_hundredths():
    judged = judge_sum(torch.tensor([[0.5], [0.539], [0.461], [0.541]]), torch.full((4,), 0.5))
    assert judged.right.tolist() == [True, True, True, False]
    assert judged.loss.item() == pytest.approx((2 * 0.039**2 + 0.041**2) / 4, rel=1e-3)


def test_a_class_is_right_if_every_output_is_near():
    scores = torch.tensor([[0.79, 0.21], [0.81, 0.19], [0.19, 0.81]]).log()
    assert judge_class(scores, torch.tensor([0, 0, 0]), 0.2).right.tolist() == [False, True, False]
    assert judge_class(scores, torch.tensor([0, 0, 0]), 0.3).right.tolist() == [True, True, False]


def test_copies_are_right_only_as_a_whole():
    _, _, targets = draw_copy(3, 5, generator(0))
    scores = torch.nn.functional.one_hot(targets, 9).float() * 20
    scores[-1, 0] = scores[-1, 0].roll(1)
    scores[0, 1] = scores[0, 1].roll(1)  # a blank that is wrong is no symbol
    judged = judge_copy(scores, targets)
    assert judged.right.tolist() == [False, True, True]
    assert judged.errors.tolist() == pytest.approx([0.1, 0, 0])


def test_the_next_symbol_counts_at_the_last_step():
    _, _, targets = draw_noise_free(2, 6, generator(0))
    scores = torch.zeros(6, 2, 7)
    scores[-1] = torch.nn.functional.one_hot(targets[-1], 7) * 20.0
    judged = judge_next(scores, targets)
    assert judged.right.all()
    assert judged.loss.item() == pytest.approx(math.log(7) * 5 / 6, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "variant", "match"),
    [("ading", None, "adding"), ("order", "6c", "6a, 6b"), ("adding", "5", "Leave it out")],
)
def test_unknown_ones_are_refused(name, variant, match):
    with pytest.raises(OptionError, match=match):
        problem(name, variant)
