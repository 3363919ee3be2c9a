"""The seam: registered operators, compiling, second derivatives."""

import shutil

import pytest
import torch
import torch._dynamo.testing
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gatewise.cell import Cell
from gatewise.kernels.recurrence import _pack
from gatewise.kernels.reference import reference
from gatewise.nn.lstm import LSTM
from gatewise.testing import Case

EVERYTHING = Cell(peephole=True, norm="layer", hidden_dropout=0.25, recurrent_dropout=0.25, zoneout=(0.25, 0.5))
SMALL = [
    Case("plain", T=3, B=2, I=2, H=2),
    Case("ragged, both directions", T=3, B=3, I=1, H=2, directions=2, lengths=(3, 0, 1), state=False),
    Case("resets", T=4, B=2, I=1, H=2, resets=True, directions=2),
    Case("everything", T=2, B=2, I=2, H=3, P=2, cell=EVERYTHING, lengths=(2, 1)),
    Case("coupled", T=2, B=2, I=1, H=2, cell=Cell(coupled=True, peephole=True), state=False),
]
each_case = pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)


@each_case
def test_operators_are_registered_soundly(case):
    inputs = case.inputs(torch.float32)
    torch.library.opcheck(torch.ops.gatewise.reference_forward, (*_pack(inputs), True))
    with torch.no_grad():
        call = _pack(inputs)
        output, h_n, _, tape = torch.ops.gatewise.reference_forward(*call, True)
        gradients = (torch.ones_like(output), torch.ones_like(h_n), None)
        torch.library.opcheck(torch.ops.gatewise.reference_backward, (*call, output, tape, *gradients, True))


@each_case
def test_first_and_second_derivatives(case):
    inputs = case.inputs(torch.float64)
    call = _pack(inputs)
    leaves = [t for t in (*call[:3], *call[3]) if t is not None]

    def run(*_):
        output, state = reference.run(case.request(torch.float64), inputs)
        return output, *state

    assert gradcheck(run, leaves, fast_mode=True)
    assert gradgradcheck(run, leaves, fast_mode=True)


def test_second_derivative_where_the_state_comes_from_the_input():
    """The recomputed backward must not run on from the input through the state that was made of it."""
    lstm = LSTM(2, 3, kernel="reference", dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(x):
        first = torch.cat([x[0], x[0, :, :1]], -1)[None]
        return lstm(x, (first, first * 2))[0]

    assert gradcheck(run, x)
    assert gradgradcheck(run, x)


class Tagger(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.lstm = LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, **options)
        self.head = nn.Linear(8, 2)

    def forward(self, x, lengths=None):
        return self.head(self.lstm(x, lengths=lengths)[0])


INDUCTOR = pytest.param(
    "inductor",
    EVERYTHING,
    marks=pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler"),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of inductor's own
@pytest.mark.parametrize(("backend", "cell"), [("aot_eager", Cell()), ("aot_eager", EVERYTHING), INDUCTOR])
def test_compiles_into_one_graph(backend, cell):
    model = Tagger(cell=cell).eval()
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 2, 0])
    expected, actual = model(x, lengths), compiled(x, lengths)
    expected_gradients = torch.autograd.grad(expected.square().sum(), list(model.parameters()))
    gradients = torch.autograd.grad(actual.square().sum(), list(model.parameters()))
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(gradients, expected_gradients)


def test_another_length_does_not_compile_anew():
    torch.compiler.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(Tagger().eval(), backend=counter, fullgraph=True, dynamic=True)
    compiled(torch.randn(3, 5, 3))
    compiled_once = counter.frame_count
    for steps in (9, 12):
        compiled(torch.randn(3, steps, 3))
    assert counter.frame_count == compiled_once


def test_a_compiled_layer_in_training_draws_its_masks():
    model = LSTM(3, 4, cell=Cell(recurrent_dropout=0.5))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = torch.randn(6, 2, 3)
    assert not torch.equal(compiled(x)[0], compiled(x)[0])


def test_nothing_is_saved_where_no_gradient_is_asked_for():
    inputs = SMALL[0].inputs(torch.float32)
    *_, tape = torch.ops.gatewise.reference_forward(*_pack(inputs), False)
    assert tape == []


def test_frozen_weights_get_no_gradient_and_the_rest_does():
    lstm, x = LSTM(3, 4, kernel="reference"), torch.randn(5, 2, 3)
    lstm.weight_ih_l0.requires_grad_(False)
    lstm(x)[0].sum().backward()
    assert lstm.weight_ih_l0.grad is None
    twin = LSTM(3, 4, kernel="native")
    twin.load_state_dict(lstm.state_dict())
    twin(x)[0].sum().backward()
    torch.testing.assert_close(lstm.weight_hh_l0.grad, twin.weight_hh_l0.grad)
