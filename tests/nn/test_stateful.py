"""A step at a time is the whole at once."""

import copy

import pytest
import torch

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.kernels import use_kernel
from gatewise.kernels.cpu import library
from gatewise.models.encoder import Encoder, stateful_step
from gatewise.nn import LSTM
from gatewise.nn.stateful import StatefulStep

KERNELS = ["reference", *(["auto"] if library.why_not() is None else [])]
CELLS = [
    Cell(),
    Cell(peephole=True, zoneout=(0.2, 0.3), hidden_dropout=0.5),
    Cell(coupled=True),
    Cell(norm="layer", forget=False),
]
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def built(kernel, *args, **options):
    with use_kernel(kernel):
        step = StatefulStep(*args, **options)
    assert step.kernel == ("reference" if kernel == "reference" else "cpu")
    return step


@each_kernel
@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_steps_are_the_whole_sequence(kernel, cell, dtype, batch_size):
    layers = [LSTM(3, 20, 2, cell=cell, dtype=dtype), LSTM(20, 17, proj_size=5, cell=cell, dtype=dtype)]
    for layer in layers:
        layer.eval()
    x = torch.randn(30, batch_size, 3).to(dtype)
    step = built(kernel, layers, batch_size=batch_size)
    outputs = torch.stack([step(x_t) for x_t in x])
    with torch.no_grad():
        middle, first = layers[0](x)
        whole, last = layers[1](middle)
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(outputs, whole, atol=tolerance, rtol=tolerance)
    assert [len(step.state), *step.state[2].h.shape] == [3, batch_size, 5]
    torch.testing.assert_close(step.state[1].c.to(dtype), first.c[1], atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(step.state[2].h, last.h[0], atol=tolerance, rtol=tolerance)


@each_kernel
def test_an_encoder_with_its_batch_norm_folded(kernel):
    encoder = Encoder(1, (64, 64, 32), bidirectional=False, batch_norm=True).eval()
    for norm in encoder.between:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 50, 1)
    with use_kernel(kernel):
        step = stateful_step(encoder)
    outputs = torch.stack([step(x[:, t]) for t in range(50)], 1)
    with torch.no_grad():
        torch.testing.assert_close(outputs, encoder(x).steps, atol=1e-5, rtol=1e-5)


@each_kernel
def test_state_can_be_forgotten_and_set(kernel):
    step = built(kernel, [LSTM(2, 4)], batch_size=3)
    x = torch.randn(3, 2)
    first = step(x)
    seen = [part.clone() for part in step.state[0]]
    assert not torch.equal(step(x), first)
    step.reset()
    assert torch.equal(step(x), first)
    after = step(x)
    step.reset(torch.tensor([True, False, False]))
    for part, then in zip(step.state[0], seen, strict=True):
        part[1:] = then[1:]
    again = step(x)
    assert torch.equal(again[0], first[0])
    torch.testing.assert_close(again[1:], after[1:])


@each_kernel
def test_one_stream_needs_no_batch_and_any_memory_will_do(kernel):
    layer = LSTM(3, 4)
    one, other = built(kernel, [layer]), built(kernel, [layer])
    x = torch.randn(10, 6)[:, ::2]
    for x_t in x:
        assert torch.equal(one(x_t), other(x_t[None])[0])


@each_kernel
def test_weights_are_those_at_the_time_it_was_built(kernel):
    layer = LSTM(3, 4)
    step, x = built(kernel, [layer]), torch.randn(3)
    before = step(x)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
    step.reset()
    assert torch.equal(step(x), before)


def test_layers_must_fit_one_another():
    for first, second in ((LSTM(3, 4), LSTM(5, 6)), (LSTM(3, 4, dtype=torch.bfloat16), LSTM(4, 6))):
        with pytest.raises(OptionError, match=r"StatefulStep: expected a layer that takes 4 features"):
            StatefulStep([first, second])


@each_kernel
def test_tensors_without_memory_of_their_own_are_refused(kernel):
    step = built(kernel, [LSTM(3, 4)])
    with pytest.raises(ShapeError, match=r"on cpu, got .* on meta"):
        step(torch.randn(1, 3, device="meta"))
    with torch.device("meta"):
        assert step(torch.randn(1, 3, device="cpu")).device.type == "cpu"
    with pytest.raises(TypeError, match="Build another"):
        copy.deepcopy(step)


def test_what_cannot_be_streamed_is_refused():
    with pytest.raises(OptionError, match="one direction"):
        StatefulStep([LSTM(3, 4, bidirectional=True)])
    with pytest.raises(OptionError, match="at least one layer"):
        StatefulStep([])
    with pytest.raises(OptionError, match="batch_size"):
        StatefulStep([LSTM(3, 4)], batch_size=0)
    with pytest.raises(OptionError, match="affine"):
        StatefulStep([LSTM(3, 4, bias=False)], affines=[(torch.ones(3), torch.zeros(3))])
    with pytest.raises(OptionError, match="expected LSTM layers, got RaggedRecurrent"):
        stateful_step(Encoder(3, (4,), kind="gru", bidirectional=False))
    for wrong in (torch.randn(2, 3), torch.randn(1, 4), torch.randn(1, 3).double(), torch.randn(1, 1, 3)):
        with pytest.raises(ShapeError, match=r"StatefulStep: expected \(1, 3\)"):
            StatefulStep([LSTM(3, 4)])(wrong)
