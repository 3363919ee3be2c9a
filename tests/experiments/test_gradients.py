"""Gradients by lag against brute force, and what the theory says of them."""

import copy
import math

import pytest
import torch

from gatewise.experiments import MODELS, Network, problem
from gatewise.experiments.gradients import carousel, input_gradients, lags_of, reach, state_gradients
from gatewise.nn.lstm import LSTM

ADDING = problem("adding")
STEPS, HIDDEN, ROWS = 24, 5, 3


def made(model, steps=STEPS):
    torch.manual_seed(1)
    return Network(model, ADDING, length=steps, hidden_size=HIDDEN).double()


def one_step(network, x, h, c):
    """One step by the layer itself."""
    if isinstance(network.layer, LSTM):
        _, (h, c) = network.layer(x[None], (h[None], c[None]))
        return h[0], c[0]
    _, h = network.layer(x[None], h[None])
    return h[0], c


@pytest.mark.parametrize("model", MODELS)
def test_state_gradients_are_those_of_the_full_jacobian(model):
    """Brute force: the Jacobian of h_T by the whole state k steps before, column by column."""
    network = made(model)
    inputs, _, _ = ADDING.draw(ROWS, STEPS, torch.Generator().manual_seed(0), False)
    inputs = inputs.double()
    u = torch.randn(ROWS, HIDDEN, dtype=torch.float64)
    lags = [0, 1, 7, STEPS - 1]
    found = state_gradients(network, inputs, u, lags)
    is_lstm = isinstance(network.layer, LSTM)
    for place, lag in enumerate(lags):
        for row in range(ROWS):
            x = inputs[:, row : row + 1]
            with torch.no_grad():
                h = c = torch.zeros(1, HIDDEN, dtype=torch.float64)
                for t in range(STEPS - lag):
                    h, c = one_step(network, x[t], h, c)

            def last(h, c, x=x, lag=lag):
                for t in range(STEPS - lag, STEPS):
                    h, c = one_step(network, x[t], h, c)
                return h[0]

            by_h, by_c = torch.autograd.functional.jacobian(last, (h, c))
            jacobian = torch.cat([by_h[:, 0], by_c[:, 0]] if is_lstm else [by_h[:, 0]], dim=1)
            assert found[place, row].item() == pytest.approx((u[row] @ jacobian).norm().item(), rel=1e-9)


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm-1997", "lstm"])
def test_input_gradients_are_those_of_differences(model):
    network = made(model)
    inputs, lengths, targets = ADDING.draw(ROWS, STEPS, torch.Generator().manual_seed(0), True)
    inputs = inputs.double()
    found = input_gradients(network, ADDING, inputs, lengths, targets)
    eps = 1e-5
    for t in (0, 3, STEPS - 1):
        by_difference = torch.zeros(ROWS, 2, dtype=torch.float64)
        for feature in range(2):
            moved = []
            for sign in (1, -1):
                shifted = inputs.clone()
                shifted[t, :, feature] += sign * eps
                with torch.no_grad():
                    moved.append((network(shifted, lengths)[:, 0] - targets.double()).square())
            by_difference[:, feature] = (moved[0] - moved[1]) / (2 * eps)
        torch.testing.assert_close(found[t], by_difference.norm(dim=1), rtol=1e-5, atol=1e-10)
    beyond = [found[n:, row] for row, n in enumerate(lengths.tolist())]
    assert not torch.cat(beyond).any()


@pytest.mark.parametrize("name", ["copy", "noise", "order"])
def test_every_problem_can_be_measured(name):
    one = problem(name)
    network = Network("lstm-chrono", one, length=20, hidden_size=4)
    before = copy.deepcopy(network.state_dict())
    measured = reach(network, one, 20, torch.Generator().manual_seed(0), rows=2)
    assert len(measured.lags) == len(measured.inputs) == len(measured.state)
    assert all(math.isfinite(value) and value > 0 for value in measured.inputs)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert next(network.parameters()).dtype == torch.float32


def test_an_lstm_alone_with_its_carousel_keeps_what_it_forgets():
    """Without recurrent weights the state's gradient is exactly o tanh'(c) times the product of forget gates."""
    network = made("lstm-chrono", 40)
    layer = network.layer
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    f = torch.sigmoid((layer.bias_ih_l0 + layer.bias_hh_l0)[HIDDEN : 2 * HIDDEN])
    inputs = torch.zeros(40, 1, 2, dtype=torch.float64)
    norms = []
    for unit in range(HIDDEN):
        u = torch.zeros(1, HIDDEN, dtype=torch.float64)
        u[0, unit] = 1
        norms.append(state_gradients(network, inputs, u, [0, 5, 30])[:, 0])
    norms = torch.stack(norms, 1)  # [lag, unit]
    torch.testing.assert_close(norms[2] / norms[1], f**25)


def test_the_carousel_is_the_derivative_of_the_cell_with_h_held():
    """Brute force: the cell runs with recurrent weights of zero, so that nothing of c comes back through h."""
    network = made("lstm-chrono", 40)
    gates = network.forget_gates()
    layer = network.layer
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    h = torch.zeros(1, 1, HIDDEN, dtype=torch.float64)

    def cell(c):
        return layer(torch.zeros(7, 1, 2, dtype=torch.float64), (h, c[None, None]))[1][1][0, 0]

    jacobian = torch.autograd.functional.jacobian(cell, torch.randn(HIDDEN, dtype=torch.float64))
    assert carousel(gates, [0, 7]) == pytest.approx([1, jacobian.norm().item() / math.sqrt(HIDDEN)])
    assert gates.var() > 0
    assert made("lstm").forget_gates().tolist() == pytest.approx([1 / (1 + math.exp(-1))] * HIDDEN)
    assert made("lstm-1997").forget_gates() is None
    assert made("gru").forget_gates() is None


def test_a_plain_rnn_forgets_exponentially_and_chrono_does_not():
    generator = torch.Generator().manual_seed(0)
    ends = {}
    for model in ("rnn", "lstm", "lstm-chrono", "gru-chrono"):
        torch.manual_seed(0)
        network = Network(model, ADDING, length=300, hidden_size=16)
        ends[model] = reach(network, ADDING, 300, generator, rows=4).state[-1]
    assert ends["lstm-chrono"] > 1e-3
    assert ends["gru-chrono"] > 1e-3
    assert ends["rnn"] < 1e-6
    assert ends["lstm"] < 1e-4


def test_lags_begin_at_the_end_and_reach_the_beginning():
    assert lags_of(1) == [0]
    assert lags_of(1000)[0] == 0
    assert lags_of(1000)[-1] == 999
    assert len(lags_of(1000)) == 101
