"""What torch does to modules from outside: forward mode, torch.func, checkpointing, frozen and empty things."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jvp, vmap
from torch.utils.checkpoint import checkpoint

from gatewise import LSTM, Cell, from_torch, to_torch, use_kernel
from gatewise.errors import OptionError
from gatewise.nn.initializers import initialize, initialize_chrono

# torch imports its forward-mode formulas when they are first used, through what it has itself deprecated.
TORCHS_OWN = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

CELLS = [Cell(), Cell(peephole=True, norm="layer")]


@TORCHS_OWN
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_forward_mode_is_the_finite_difference(cell):
    lstm = LSTM(2, 3, cell=cell, bidirectional=True).double()
    x, v = torch.randn(4, 2, 2).double(), torch.randn(4, 2, 2).double()
    with use_kernel("reference"):
        _, tangent = jvp(lambda x: lstm(x)[0], (x,), (v,))
        step = 1e-6
        difference = (lstm(x + step * v)[0] - lstm(x - step * v)[0]) / (2 * step)
    assert tangent.abs().max() > 1e-3
    torch.testing.assert_close(tangent, difference, atol=1e-8, rtol=1e-6)


@TORCHS_OWN
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_per_sample_gradients_and_hessians(cell):
    lstm = LSTM(2, 3, cell=cell, batch_first=True).double()
    parameters = {name: p.detach() for name, p in lstm.named_parameters()}
    x = torch.randn(4, 5, 2).double()

    def loss(parameters, row):
        return functional_call(lstm, parameters, (row[None],))[0].square().sum()

    with use_kernel("reference"):
        each = vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
        lstm.zero_grad()
        lstm(x)[0].square().sum().backward()
        for name, p in lstm.named_parameters():
            torch.testing.assert_close(each[name].sum(0), p.grad, msg=name)
        second = hessian(lambda row: loss(parameters, row))(x[0, :2])
    assert torch.allclose(second.reshape(4, 4), second.reshape(4, 4).T)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_activation_checkpointing(cell):
    lstm, x = LSTM(3, 4, cell=cell), torch.randn(5, 2, 3, requires_grad=True)
    lstm(x)[0].square().sum().backward()
    expected, x.grad = x.grad, None
    checkpoint(lambda x: lstm(x)[0], x, use_reentrant=False).square().sum().backward()
    assert torch.equal(x.grad, expected)


@pytest.mark.parametrize("shape", [(0, 2, 3), (5, 0, 3)])
@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_nothing_has_zero_gradients_and_its_own_state(shape, kernel):
    lstm = LSTM(3, 4, kernel=kernel)
    h_0, c_0 = torch.randn(1, shape[1], 4), torch.randn(1, shape[1], 4)
    kept = h_0.clone()
    output, (h, c) = lstm(torch.randn(shape), (h_0, c_0))
    output.sum().backward()
    assert all(torch.all(p.grad == 0) for p in lstm.parameters())
    h.add_(1)
    assert torch.equal(h_0, kept)
    _, (h, c) = lstm(torch.randn(shape))
    h.add_(1)
    assert torch.all(c == 0)


def test_frozen_weights_stay_frozen():
    theirs = nn.LSTM(3, 4)
    theirs.weight_hh_l0.requires_grad_(False)
    ours = from_torch(theirs)
    for module in (ours, to_torch(ours)):
        assert [p.requires_grad for p in module.parameters()] == [True, False, True, True]


def test_parametrized_weights_are_refused():
    theirs = torch.nn.utils.parametrizations.spectral_norm(nn.LSTM(3, 4), "weight_hh_l0")
    with pytest.raises(OptionError, match="remove_parametrizations"):
        from_torch(theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_initialize_in_sixteen_bits(dtype):
    lstm = LSTM(3, 4, dtype=dtype)
    initialize(lstm)
    gate = lstm.weight_hh_l0[:4].float()
    torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=2e-2, rtol=0)


@pytest.mark.parametrize("layer", [LSTM(3, 4, cell=Cell(coupled=True)), LSTM(3, 4, bias=False), nn.GRU(3, 4)], ids=str)
def test_chrono_needs_forget_biases(layer):
    with pytest.raises(OptionError, match="forget gates and biases"):
        initialize_chrono(layer, 100)


@pytest.mark.parametrize("kernel", ["auto", "reference"])
def test_many_gradients_at_once(kernel):
    lstm, x = LSTM(2, 3, kernel=kernel), torch.randn(4, 1, 2, requires_grad=True)
    y, _ = lstm(x)
    directions = torch.eye(y.numel()).reshape(-1, *y.shape)
    (together,) = torch.autograd.grad(y, x, directions, is_grads_batched=True, retain_graph=True)
    one_by_one = torch.stack([torch.autograd.grad(y, x, d, retain_graph=True)[0] for d in directions])
    torch.testing.assert_close(together, one_by_one)
