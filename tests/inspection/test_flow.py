"""Gradients by every state, and the Jacobian of a step, against differences and autograd."""

import pytest
import torch
from torch import nn

from gatewise.cell import Cell
from gatewise.equations import NOTHING, Acts, project_input, step
from gatewise.errors import OptionError
from gatewise.inspection.flow import Direction, captured, directions_of, gradient_flow, layers_of, saved_at, walk
from gatewise.inspection.jacobian import jacobian_spectrum, singular_values, spectra, step_jacobian
from gatewise.inspection.trace import LayerTrace, trace
from gatewise.models.encoder import RaggedRecurrent
from gatewise.nn import LSTM
from gatewise.types import State

CELLS = {
    "plain": Cell(),
    "peephole": Cell(peephole=True),
    "coupled": Cell(coupled=True),
    "norm": Cell(norm="layer"),
    "no forget gate": Cell(forget=False),
    "zoneout": Cell(zoneout=(0.1, 0.3)),
    "everything": Cell(peephole=True, norm="layer", zoneout=(0.2, 0.1), hidden_dropout=0.2, recurrent_dropout=0.3),
}
LENGTHS = torch.tensor([7, 4, 1, 0])


def layer(cell, *, seed=0, proj_size=0, **options):
    torch.manual_seed(seed)
    made = LSTM(3, 4, cell=cell, proj_size=proj_size, batch_first=True, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2).add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_jacobian_is_that_of_autograd(cell, proj_size):
    one = directions_of(layer(cell, proj_size=proj_size))[0][0]
    size = one.sizes[0]
    x, h, c = torch.randn(3, 3).double(), torch.randn(3, size).double(), torch.randn(3, 4).double()
    found = step_jacobian(cell, saved_at(one, x, State(h, c)), one.weights)
    for n in range(3):

        def after(both, n=n):
            state = (both[None, :size], both[None, size:])
            return torch.cat(one.advance(x[n : n + 1], state), 1)[0]

        truth = torch.autograd.functional.jacobian(after, torch.cat([h[n], c[n]]))
        torch.testing.assert_close(found[n], truth)
        torch.testing.assert_close(singular_values(found)[n], torch.linalg.matrix_norm(truth, 2))
        torch.testing.assert_close(singular_values(found, largest=False)[n], torch.linalg.svdvals(truth))


def test_below_one_gradients_shrink_and_above_it_they_may_shrink_too():
    """What the largest singular value bounds: |J^T d| <= s |d| for every d, and no more."""
    lstm = layer(Cell())
    with torch.no_grad():
        lstm.weight_hh_l0.mul_(4)
    one = directions_of(lstm)[0][0]
    state = State(*torch.zeros(2, 1, 4).double())
    (jacobian,) = step_jacobian(Cell(), saved_at(one, torch.zeros(1, 3).double(), state), one.weights)
    (largest,) = singular_values(jacobian[None])
    d = nn.functional.normalize(torch.randn(1000, 8).double())
    lengths = (d @ jacobian).norm(dim=1)
    assert (lengths <= largest * (1 + 1e-9)).all()
    assert lengths.min() < 1 < largest


def test_spectrum_of_a_cell_that_only_forgets():
    """No recurrent weights: c_t = f c_{t-1} + ..., so the Jacobian is f on c and what o lets through to h."""
    one = layer(Cell())
    with torch.no_grad():
        for name, parameter in one.named_parameters():
            parameter.zero_()
            if name == "bias_ih_l0":
                parameter[4:8] = torch.logit(torch.tensor(0.9, dtype=torch.float64))
    x = torch.zeros(1, 5, 3, dtype=torch.float64)
    with captured(one) as calls:
        one(x)
    (found,) = spectra(calls)
    # h_t = o tanh(c_t) with o = 1/2 at c = 0: dh/dc = 0.45, dc/dc = 0.9
    assert found.largest == pytest.approx([(0.9**2 + 0.45**2) ** 0.5] * 5)
    assert found.steps.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_spectrum_of_a_trace_is_that_of_the_run(bidirectional):
    lstm = layer(Cell(peephole=True, norm="layer", zoneout=0.1), bidirectional=bidirectional).eval()
    x = torch.randn(4, 7, 3).double()
    with captured(lstm) as calls:
        lstm(x, lengths=LENGTHS)
    (one,) = layers_of(calls[0])
    gates = {name: [] for name in "ifgo"}
    states = [walk(one, d) for d in range(len(one.directions))]
    for d, direction in enumerate(one.directions):
        before = State(*(part.clone() for part in one.firsts[d]))
        made = {name: torch.zeros(7, 4, 4).double() for name in "ifgo"}
        for t in reversed(range(7)) if d else range(7):
            saved = saved_at(direction, one.x[t], before)
            for name in "ifgo":
                made[name][t] = getattr(saved, name)
            before = State(
                *(torch.where((t < LENGTHS)[:, None], s[t], b) for s, b in zip(states[d], before, strict=True))
            )
        for name in "ifgo":
            gates[name].append(made[name])
    i, f, g, o = (torch.stack(gates[name], 2).transpose(0, 1) for name in "ifgo")  # [B, T, D, H]
    h, c = (torch.stack([s[k] for s in states], 2).transpose(0, 1) for k in (0, 1))
    traced = LayerTrace("", i, f, g, o, c, h, LENGTHS)
    found = jacobian_spectrum(traced, lstm.cell, lstm.weights()[0])
    assert not found[2, 1:].any()
    for spectrum in spectra(calls):
        expected = found[spectrum.rows, spectrum.steps, spectrum.direction]
        assert len(expected) == LENGTHS.sum()
        torch.testing.assert_close(torch.from_numpy(spectrum.largest), expected)


def test_spectrum_of_a_real_trace():
    lstm = layer(Cell(norm="layer"), num_layers=2, bidirectional=True).eval()
    x = torch.randn(4, 7, 3).double()
    with captured(lstm) as calls:
        lstm(x, lengths=LENGTHS)
    traced = trace(lstm, x, LENGTHS).layers
    for depth in range(2):
        found = jacobian_spectrum(traced[depth], lstm.cell, lstm.weights()[depth])
        for spectrum in spectra(calls)[2 * depth : 2 * depth + 2]:
            expected = found[spectrum.rows, spectrum.steps, spectrum.direction]
            torch.testing.assert_close(torch.from_numpy(spectrum.largest), expected, rtol=1e-5, atol=1e-6)  # float32


def step_in_words(cell, weights, x, h, c, *, cell_moved):
    """A step as the sheet has it, for all variants but dropout and no forget gate, its cell moved before h is made."""

    def norm(values, gain):
        return values if gain is None else nn.functional.layer_norm(values, values.shape[-1:], eps=1e-5) * gain

    p_i, p_f, p_o = torch.zeros(3, 1).double() if weights.weight_peephole is None else weights.weight_peephole
    a = norm(x @ weights.weight_ih.T, weights.gain_ih) + norm(h @ weights.weight_hh.T, weights.gain_hh)
    i, f, g, o = (a + weights.bias_ih + weights.bias_hh).chunk(4, 1)
    i, f, g = (i + p_i * c).sigmoid(), (f + p_f * c).sigmoid(), g.tanh()
    fresh = f * c + i * g + cell_moved
    out = (o + p_o * fresh).sigmoid() * norm(fresh, weights.gain_c).tanh()
    if weights.weight_hr is not None:
        out = out @ weights.weight_hr.T
    z_h, z_c = cell.zoneout
    return z_h * h + (1 - z_h) * out, z_c * c + (1 - z_c) * fresh


def brute_force(cell, direction, x, lengths, weigh, *, reverse, at, what, unit):
    """dL/dh_t or dL/dc_t of one unit by central differences: it is moved at step ``at``, and all that follows from it.

    h once it is made; c before h is made of it.
    """
    moved = []
    for sign in (1, -1):
        states = tuple(torch.zeros(x.shape[1], size, dtype=x.dtype) for size in direction.sizes)
        total = x.new_zeros(x.shape[1])
        for t in reversed(range(len(x))) if reverse else range(len(x)):
            alive = (t < lengths)[:, None]
            by = [torch.zeros(size).double() for size in direction.sizes]
            if t == at:
                by[what][unit] = sign * 1e-6
            h, c = step_in_words(cell, direction.weights, x[t], *states, cell_moved=by[1])
            states = tuple(torch.where(alive, n, o) for n, o in zip((h + by[0], c), states, strict=True))
            total = total + (torch.where(alive, states[0], 0.0) * weigh[t]).sum(1)
        moved.append(total + sum((state**2).sum(1) for state in states))
    return (moved[0] - moved[1]) / 2e-6


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("name", ["plain", "peephole", "zoneout", "everything"])
def test_flow_is_that_of_differences(name, proj_size, reverse, monkeypatch):
    monkeypatch.setattr("gatewise.inspection.flow.CHUNK", 3)  # borders within the sequence
    lstm = layer(CELLS[name], bidirectional=True, proj_size=proj_size).eval()
    size = proj_size or 4
    x, weigh = torch.randn(4, 7, 3).double(), torch.randn(4, 7, 2 * size).double()
    (flow,) = gradient_flow(lstm, lambda: loss_of(*lstm(x, lengths=LENGTHS), weigh))
    d = int(reverse)
    direction = directions_of(lstm)[0][d]
    own = weigh.transpose(0, 1)[..., size * d : size * (d + 1)]
    for at in (0, 2, 3, 6):
        for what, part in enumerate((flow.hidden, flow.cell)):
            truth = torch.stack(
                [
                    brute_force(
                        lstm.cell, direction, x.transpose(0, 1), LENGTHS, own,
                        reverse=reverse, at=at, what=what, unit=unit,
                    )
                    for unit in range(direction.sizes[what])
                ]
            ).norm(dim=0)  # fmt: skip
            torch.testing.assert_close(part[:, at, d], truth, rtol=1e-6, atol=1e-7)


def loss_of(output, state, weigh):
    return (output * weigh).sum() + (state[0] ** 2).sum() + (state[1] ** 2).sum()


@pytest.mark.parametrize("kind", ["ours", "torch", "gru", "rnn"])
def test_flow_of_several_layers_is_that_of_each_by_itself(kind):
    """Two layers in one module against two modules, whose first layer's output autograd knows."""
    torch.manual_seed(0)
    options = {"batch_first": True, "bidirectional": True, "dtype": torch.float64}
    make = {"ours": LSTM, "torch": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind]
    both = make(3, 4, num_layers=2, **options)
    first, second = make(3, 4, **options), make(8, 4, **options)
    for name, value in both.named_parameters():
        target, mine = (first, name) if "_l0" in name else (second, name.replace("_l1", "_l0"))
        getattr(target, mine).data.copy_(value)
    x = torch.randn(2, 9, 3).double()
    stack = nn.ModuleList([first, second])
    together = gradient_flow(both, lambda: both(x)[0][:, 3].square().sum())
    apart = gradient_flow(stack, lambda: second(first(x)[0])[0][:, 3].square().sum())
    name = {"ours": "lstm", "torch": "lstm"}.get(kind, kind)
    assert [one.layer for one in together] == [name, f"{name}.l1"]
    if kind == "ours":
        assert [one.name for one in trace(both, x).layers] == [name, f"{name}.l1"]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one.hidden, other.hidden)
        assert (one.cell is None) == (kind in ("gru", "rnn"))
        if one.cell is not None:
            torch.testing.assert_close(one.cell, other.cell)


def last_of(layer, x, lengths):
    last = layer(x, lengths=lengths)[1]
    return (last if isinstance(last, torch.Tensor) else last[0]).sum()


def test_flow_through_a_plain_rnn_vanishes_as_its_weight_says():
    """h_t = tanh(w h_{t-1}) at h = 0: dL/dh_t is w^(T-1-t)."""
    rnn = RaggedRecurrent(nn.RNN(1, 1, batch_first=True, bias=False))
    with torch.no_grad():
        rnn.layer.weight_hh_l0.fill_(0.5)
    x, lengths = torch.zeros(2, 11, 1), torch.tensor([11, 6])
    (flow,) = gradient_flow(rnn, lambda: last_of(rnn, x, lengths))
    assert flow.hidden[0, :, 0].tolist() == pytest.approx([0.5 ** (10 - t) for t in range(11)])
    assert flow.hidden[1, :, 0].tolist() == pytest.approx([0.5 ** (5 - t) for t in range(6)] + [0.0] * 5)


def test_the_last_cell_counts_through_the_hidden_state_that_is_made_of_it():
    """L = sum h_T with h_T = o tanh(c_T): the textbook's dL/dc_T is o (1 - tanh(c_T)^2)."""
    lstm = layer(Cell())
    x = torch.randn(2, 6, 3).double()
    (flow,) = gradient_flow(lstm, lambda: last_of(lstm, x, None))
    (last,) = trace(lstm.eval(), x).layers
    c, o = last.cell[:, -1, 0].double(), last.output_gate[:, -1, 0].double()
    torch.testing.assert_close(flow.cell[:, -1, 0], (o * (1 - c.tanh() ** 2)).norm(dim=1), rtol=1e-5, atol=1e-6)


def test_the_model_is_left_as_it_was():
    lstm = LSTM(2, 3, batch_first=True, cell=Cell(hidden_dropout=0.5)).train()
    x = torch.randn(1, 4, 2)
    first, second = (gradient_flow(lstm, lambda: last_of(lstm, x, None))[0].hidden for _ in range(2))
    assert torch.equal(first, second)
    assert lstm.training
    assert not lstm._forward_hooks
    assert all(parameter.grad is None for parameter in lstm.parameters())


def test_bad_input():
    with pytest.raises(OptionError, match="expected a model with recurrent layers, got one in which none ran"):
        gradient_flow(nn.Linear(2, 2), lambda: torch.zeros(()))
    lstm = LSTM(2, 3)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 2)])
    with pytest.raises(OptionError, match="expected lstm to run on a padded batch"):
        gradient_flow(lstm, lambda: lstm(packed)[1].h.sum() + 0)


def test_a_step_of_the_walk_is_a_step_of_the_sheet():
    one = directions_of(layer(Cell(zoneout=0.25)))[0][0]
    assert isinstance(one, Direction)
    x, state = torch.randn(2, 3).double(), State(torch.randn(2, 4).double(), torch.randn(2, 4).double())
    acts = Acts(k_h=0.75, k_c=0.75)
    expected = step(one.cell, project_input(x, one.weights), state, one.weights, acts)[0]
    for mine, theirs in zip(one.advance(x, state), expected, strict=True):
        assert torch.equal(mine, theirs)
    plain = step(one.cell, project_input(x, one.weights), state, one.weights, NOTHING)[0]
    assert not torch.equal(plain.h, expected.h)
