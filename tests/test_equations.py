"""The sheet by independent means: hand numbers, autograd, algebraic limits."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from gatewise.cell import Cell, Weights
from gatewise.equations import (
    Acts,
    input_gradient,
    normalise,
    normalise_backward,
    project_input,
    step,
    step_backward,
    weight_gradients,
)
from gatewise.types import State

B, I, H, P = 2, 3, 5, 4
GATES = ({}, {"coupled": True}, {"forget": False})


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def keep(*shape):
    return (torch.rand(shape) > 0.4).double()


def lattice():
    for gate, *flags in itertools.product(GATES, *[(False, True)] * 8):
        peephole, norm, m_h, m_g, k_h, k_c, proj, alive = flags
        size = P if proj else H
        acts = Acts(
            alive=torch.tensor([[True], [False]]) if alive else None,
            m_h=keep(B, size) / 0.6 if m_h else None,
            m_g=keep(B, H) / 0.6 if m_g else None,
            k_h=keep(B, size) if k_h else None,
            k_c=0.7 if k_c else None,
        )
        yield Cell(peephole=peephole, norm="layer" if norm else None, **gate), P * proj, acts


def weights_of(cell, proj_size=0):
    shapes = cell.parameter_shapes(I, H, proj_size=proj_size)
    return Weights(**{name: normal(*shape) for name, shape in shapes.items()})


def test_the_hand_derivation_is_autograds_for_every_combination():
    for cell, proj_size, acts in lattice():
        weights, x = weights_of(cell, proj_size), normal(B, I)
        state = State(normal(B, proj_size or H), normal(B, H))
        after, saved = step(cell, project_input(x, weights), state, weights, acts)
        d_after = State(*(torch.randn_like(part) for part in after))
        present = [w for w in weights if w is not None]
        expected = torch.autograd.grad(after, [x, *state, *present], d_after)
        with torch.no_grad():
            d_before, inside = step_backward(cell, saved, d_after, weights, acts)
            d_weights = weight_gradients(cell, x, saved, inside, weights, m_h=acts.m_h)
            d_x = input_gradient(x, inside, weights)
        actual = [d_x, *d_before, *(d for d in d_weights if d is not None)]
        for name, a, e in zip(["x", "h", "c", *Weights._fields], actual, expected, strict=False):
            assert torch.allclose(a, e, rtol=1e-10, atol=1e-11), (cell, proj_size, acts, name)


@pytest.mark.parametrize("cell", [Cell(), Cell(peephole=True, norm="layer"), Cell(peephole=True, coupled=True)])
def test_step_is_twice_differentiable(cell):
    weights, x, state = weights_of(cell), normal(B, I), State(normal(B, H), normal(B, H))
    present = [w for w in weights if w is not None]

    def run(*_):
        return tuple(step(cell, project_input(x, weights), state, weights)[0])

    assert gradcheck(run, [x, *state, *present], fast_mode=True)
    assert gradgradcheck(run, [x, *state, *present], fast_mode=True)


def one_unit(cell, a, peephole=None):
    """A step of one unit whose pre-activations are exactly ``a``, from h = 0.5 and c = 2."""
    gates = cell.num_gates
    weights = Weights(torch.zeros(gates, 1), torch.zeros(gates, 1),
                      weight_peephole=None if peephole is None else torch.tensor(peephole)[:, None])  # fmt: skip
    state, _ = step(cell, torch.tensor([a]), State(torch.tensor([[0.5]]), torch.tensor([[2.0]])), weights)
    return state.h.item(), state.c.item()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_one_step_by_hand():
    """ln 3 and -ln 3 make gates of 3/4 and 1/4; atanh(1/2) a candidate of 1/2; h takes the tanh of the cell state."""
    a = [math.log(3), -math.log(3), math.atanh(0.5), 0.0]
    h, c = one_unit(Cell(), a)
    assert c == pytest.approx(1 / 4 * 2 + 3 / 4 * 1 / 2)
    assert h == pytest.approx(1 / 2 * math.tanh(0.875))
    assert h != pytest.approx(1 / 2 * 1 / 2, rel=0.1)  # not o * tanh of the candidate, as some course notes print


def test_one_step_of_a_coupled_cell_by_hand():
    h, c = one_unit(Cell(coupled=True), [math.log(3), math.atanh(0.5), 0.0])
    assert c == pytest.approx(1 / 4 * 2 + 3 / 4 * 1 / 2)
    assert h == pytest.approx(1 / 2 * math.tanh(0.875))


def test_one_step_of_the_1997_cell_by_hand():
    h, c = one_unit(Cell(forget=False), [0.0, math.atanh(0.5), 0.0])
    assert c == pytest.approx(2 + 1 / 2 * 1 / 2)
    assert h == pytest.approx(1 / 2 * math.tanh(2.25))


def test_one_step_with_peepholes_by_hand():
    """i and f see the old cell state, 2; o sees the new one."""
    h, c = one_unit(Cell(peephole=True), [0.0, 0.0, math.atanh(0.5), 0.0], peephole=[0.5, -0.5, 1.0])
    assert c == pytest.approx(sigmoid(-1.0) * 2 + sigmoid(1.0) / 2)
    assert h == pytest.approx(sigmoid(c) * math.tanh(c))


def test_layer_norm_is_torchs():
    x = normal(4, 7)
    assert torch.allclose(normalise(x), torch.nn.functional.layer_norm(x, (7,)))
    d = torch.randn_like(x)
    assert torch.allclose(normalise_backward(d, x), torch.autograd.grad(normalise(x), x, d)[0])


def test_layer_norm_forgets_the_scale_of_the_weights():
    cell = Cell(norm="layer")
    weights, x, state = weights_of(cell), normal(B, I), State(normal(B, H), normal(B, H))
    scaled = weights._replace(weight_ih=weights.weight_ih * 100, weight_hh=weights.weight_hh * 100)
    first, second = (step(cell, project_input(x, w), state, w)[0] for w in (weights, scaled))
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


@given(st.integers(0, 2**31), st.booleans())
def test_an_open_forget_gate_and_a_shut_input_gate_keep_c(seed, peephole):
    torch.manual_seed(seed)
    cell = Cell(peephole=peephole)
    weights, state = weights_of(cell), State(normal(B, H), normal(B, H))
    x_proj = torch.cat([torch.full((B, H), -1e3), torch.full((B, H), 1e3), torch.randn(B, 2 * H)], -1).double()
    after, _ = step(cell, x_proj, state, weights)
    assert torch.equal(after.c, state.c)


@given(st.integers(0, 2**31))
def test_full_zoneout_changes_nothing(seed):
    torch.manual_seed(seed)
    weights, state = weights_of(Cell()), State(normal(B, H), normal(B, H))
    after, _ = step(Cell(), torch.randn(B, 4 * H).double(), state, weights, Acts(k_h=0.0, k_c=0.0))
    assert torch.equal(after.c, state.c)
    assert torch.equal(after.h, state.h)


@given(st.integers(0, 2**31))
def test_coupled_gates_mix_old_and_candidate(seed):
    """c is a convex mixture, so it never leaves the range of what it is made of."""
    torch.manual_seed(seed)
    cell = Cell(coupled=True)
    weights, state = weights_of(cell), State(normal(B, H), normal(B, H))
    after, saved = step(cell, 3 * torch.randn(B, 3 * H).double(), state, weights)
    low, high = torch.minimum(state.c, saved.g), torch.maximum(state.c, saved.g)
    assert (after.c >= low - 1e-12).all()
    assert (after.c <= high + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_gates_and_c_are_wide(dtype):
    weights = Weights(*(None if w is None else w.to(dtype) for w in weights_of(Cell())))
    x_proj = project_input(torch.randn(B, I).to(dtype), weights)
    (h, c), saved = step(Cell(), x_proj, State(torch.randn(B, H).to(dtype), torch.randn(B, H)), weights)
    assert h.dtype == dtype
    assert {x_proj.dtype, c.dtype, saved.i.dtype, saved.c_star.dtype} == {torch.float32}


def test_nan_is_passed_on():
    weights, state = weights_of(Cell()), State(normal(B, H), normal(B, H))
    x_proj = torch.randn(B, 4 * H).double()
    x_proj[0, 0] = torch.nan
    (h, c), _ = step(Cell(), x_proj, state, weights)
    assert c[0, 0].isnan()
    assert h[0, 0].isnan()
    assert not h[1].isnan().any()
