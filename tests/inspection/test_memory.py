"""The memory horizon against brute force and closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from gatewise.errors import OptionError, ShapeError
from gatewise.inspection.memory import Answered, Curves, memory_horizon, within
from gatewise.models.recipes import RECIPES
from gatewise.nn import LSTM

F = 0.9


class Forgetting(nn.Module):
    """An LSTM whose cell is c_t = f c_{t-1} + i g with a constant f, and that answers with its last cell state.

    Gates do not look at anything; g is tanh(w x), linear for the small x of the tests. The gradient of the answer by
    x_{T-1-k} is then proportional to f^k.
    """

    def __init__(self, per_step=False):
        super().__init__()
        self.lstm = LSTM(1, 1, batch_first=True, dtype=torch.float64)
        self.per_step = per_step
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.zero_()
            self.lstm.bias_ih_l0[1] = float(np.log(F / (1 - F)))
            self.lstm.bias_ih_l0[3] = 40.0  # o = 1: h = tanh(c), and c is small
            self.lstm.weight_ih_l0[2] = 1.0

    def forward(self, x, lengths=None):
        steps, (_, c) = self.lstm(x, lengths=lengths)
        return steps if self.per_step else c[0]


def small(*shape):
    return 1e-4 * torch.randn(*shape, dtype=torch.float64)


def test_known_horizon_of_a_cell_that_forgets_at_a_constant_rate():
    torch.manual_seed(0)
    (found,) = memory_horizon(Forgetting(), small(5, 300, 1), target=0)
    assert found.name == "end"
    assert found.lags.tolist() == list(range(300))
    assert found.influence == pytest.approx(F ** np.arange(300), rel=1e-4)
    # Half of a geometric series lies within ln(1/2) / ln(f) steps.
    assert found.half == pytest.approx(np.log(0.5) / np.log(F), abs=0.05)
    assert found.ninety == pytest.approx(np.log(0.1) / np.log(F), abs=0.05)
    assert found.counts.tolist() == [5] * 300
    assert found.loss_influence is None


def test_known_horizon_of_answers_a_step():
    torch.manual_seed(0)
    (found,) = memory_horizon(Forgetting(per_step=True), small(4, 400, 1), target=0, loss=lambda s: 3 * s[..., 0])
    assert found.name == "past"  # nothing comes from what is ahead
    assert found.influence[:50] == pytest.approx(F ** np.arange(50), rel=1e-4)
    assert found.half == pytest.approx(np.log(0.5) / np.log(F), abs=0.05)
    assert found.loss_influence == pytest.approx(found.influence)
    assert found.loss_scale == pytest.approx(3 * found.scale)
    assert found.counts[0] == 4 * 8


def test_ragged_rows_are_measured_from_their_own_end():
    torch.manual_seed(0)
    x = small(4, 60, 1)
    lengths = torch.tensor([60, 20, 1, 0])
    x[1, 20:] = torch.nan
    (found,) = memory_horizon(Forgetting(), x, lengths, target=0)
    assert found.influence == pytest.approx(F ** np.arange(60), rel=1e-4)
    assert found.counts[[0, 1, 19, 20, 59]].tolist() == [3, 2, 2, 1, 1]


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_are_those_of_differences(pool, bidirectional):
    """The curve written out: every value of every step moved up and down."""
    torch.manual_seed(1)
    model = (
        RECIPES["lstm"](2, 3, hidden_sizes=(4,), pool=pool, bidirectional=bidirectional, stem_channels=())
        .double()
        .eval()
    )
    x, lengths = torch.randn(3, 8, 2).double(), torch.tensor([8, 5, 1])
    target = [0, 2, 1]
    slopes = torch.zeros(3, 8, 2).double()
    with torch.no_grad():
        for t in range(8):
            for i in range(2):
                ends = []
                for sign in (1, -1):
                    moved = x.clone()
                    moved[:, t, i] += sign * 1e-6
                    ends.append(model(moved, lengths)[range(3), target])
                slopes[:, t, i] = (ends[0] - ends[1]) / 2e-6
    norms = slopes.norm(dim=2).numpy()
    found = {one.name: one for one in memory_horizon(model, x, lengths, target=target)}
    by_lag = {"end": [[] for _ in range(8)], "ends": [[] for _ in range(8)], "beginning": [[] for _ in range(8)]}
    for row, length in enumerate(lengths.tolist()):
        for t in range(length):
            by_lag["end"][length - 1 - t].append(norms[row, t])
            by_lag["beginning"][t].append(norms[row, t])
            by_lag["ends"][min(t, length - 1 - t)].append(norms[row, t])
    assert set(found) == (set(by_lag) if bidirectional else {"end"})
    for name, one in found.items():
        lists = [values for values in by_lag[name] if values]
        assert one.counts.tolist() == [len(values) for values in lists]
        means = np.array([np.mean(values) for values in lists])
        assert one.scale == pytest.approx(means.max(), rel=1e-6)
        assert one.influence == pytest.approx(means / means.max(), rel=1e-5, abs=1e-8)
        assert one.half == pytest.approx(within(np.array([np.sum(values) for values in lists]), 0.5), rel=1e-5)


def test_what_steps_pass_on_to_a_pooled_answer():
    """Each step's own share of a mean reaches back as the cell forgets, though the answer sees all steps alike."""
    torch.manual_seed(0)
    model = Forgetting(per_step=True)
    x = small(6, 200, 1).requires_grad_()
    steps = model(x)
    curves = Curves(looks_ahead=False, steps=20)
    every = torch.full((6,), 200)
    curves.add(Answered(x, every, steps.mean((1, 2)), None, None, steps, every))
    passed, end = curves.horizons()
    assert (passed.name, end.name) == ("passed past", "end")
    assert passed.influence[:30] == pytest.approx(F ** np.arange(30), rel=1e-4)
    assert passed.half < 10
    assert end.half == pytest.approx(100, rel=0.1)


def test_both_directions_of_answers_a_step():
    torch.manual_seed(2)
    model = RECIPES["lstm"](2, 3, hidden_sizes=(4,), pool="none").eval()
    past, future = memory_horizon(model, torch.randn(3, 30, 2), torch.tensor([30, 12, 0]), steps=5)
    assert (past.name, future.name) == ("past", "future")
    assert (past.lags[0], future.lags[0]) == (0, 1)
    assert past.counts[0] == 10  # two rows that have steps, five of each
    again = memory_horizon(model, torch.randn(3, 30, 2), torch.tensor([30, 12, 0]), steps=5, seed=1)
    assert len(again) == 2


def test_a_seed_means_the_same_steps():
    torch.manual_seed(2)
    model, x = RECIPES["lstm"](2, 3, hidden_sizes=(4,), pool="none"), torch.randn(3, 30, 2)
    first, same, other = (memory_horizon(model, x, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first.influence, same.influence)
    assert not np.array_equal(first.influence, other.influence)


def test_within():
    geometric = 0.5 ** np.arange(60)
    assert within(geometric, 0.5) == pytest.approx(1.0)
    assert within(geometric, 0.75) == pytest.approx(2.0)
    assert within(np.ones(10), 0.25) == pytest.approx(2.5)
    assert np.isnan(within(np.zeros(3), 0.5))


def test_an_answer_that_nothing_moves():
    (found,) = memory_horizon(LastOf(0.0), torch.randn(2, 5, 1))
    assert found.influence.tolist() == [0.0] * 5
    assert np.isnan(found.half)


class LastOf(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        return self.weight * x[:, -1]


def test_bad_input():
    model = LastOf(1.0)
    with pytest.raises(ShapeError, match=r"expected numbers of shape .* got \(2, 5\) of torch.int64"):
        memory_horizon(model, torch.zeros(2, 5, dtype=torch.int64))
    with pytest.raises(OptionError, match="steps: expected at least 1, got 0"):
        memory_horizon(model, torch.zeros(2, 5, 1), steps=0)
    with pytest.raises(ShapeError, match=r"expected scores .* got tuple"):
        memory_horizon(LSTM(1, 1), torch.zeros(2, 5, 1))
