"""Layers that tell what happens in them run as they do otherwise, in pieces of any size."""

import pytest
import torch

from gatewise import LSTM, Cell
from gatewise.kernels import KERNELS, record_kernels, use_kernel
from gatewise.nn import tracing
from gatewise.nn.tracing import record_layers
from gatewise.testing import assert_as_accurate
from gatewise.testing.kernels import plain_trace

VARIANTS = {
    "plain": {},
    "peephole": {"cell": Cell(peephole=True)},
    "coupled": {"cell": Cell(coupled=True)},
    "no forget gate": {"cell": Cell(forget=False)},
    "layer norm": {"cell": Cell(norm="layer")},
    "zoneout": {"cell": Cell(zoneout=(0.2, 0.3))},
    "dropout": {"cell": Cell(hidden_dropout=0.3, recurrent_dropout=0.2)},
    "projection": {"proj_size": 3},
    "two layers": {"num_layers": 2},
}


@pytest.fixture(params=[3, 100], ids=["three steps at once", "all steps at once"])
def small_pieces(request, monkeypatch):
    """Two rows at once; all steps of them run in both directions at once."""
    monkeypatch.setattr(tracing, "_sizes", lambda _: (2, request.param))


def whole(runs):
    """The pieces of one layer put together: ``[D, T, B, H]`` of each gate, in the order of time."""
    first = runs[0].whole
    found = {}
    for name in ("i", "f", "g", "o", "c", "h"):
        size = getattr(runs[0].gates, name).shape[-1]
        dtype = getattr(runs[0].gates, name).dtype
        found[name] = torch.full((first.directions, first.steps, first.batch_size, size), torch.nan, dtype=dtype)
    for run in runs:
        for name, values in run.gates._asdict().items():
            found[name][run.direction, run.start : run.stop, run.rows] = values[0]
    return found


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_pieces_are_the_layer(variant, training, small_pieces, monkeypatch, nan_filled_memory):
    """In float64, against the equations step by step on the very inputs of each layer, masks included."""
    torch.manual_seed(0)
    lstm = LSTM(2, 5, bidirectional=True, dtype=torch.float64, **VARIANTS[variant]).train(training)
    x, lengths = torch.randn(8, 5, 2, dtype=torch.float64), torch.tensor([8, 1, 0, 5, 7])
    resets = torch.rand(8, 5) < 0.2
    size = lstm.proj_size or 5
    state = torch.randn(2 * lstm.num_layers, 5, size).double(), torch.randn(2 * lstm.num_layers, 5, 5).double()
    given, told = [], []
    run_recorded = tracing.run_recorded

    def spy(request, inputs, *rest):
        given.append((request, inputs))
        return run_recorded(request, inputs, *rest)

    monkeypatch.setattr("gatewise.nn.lstm.run_recorded", spy)
    torch.manual_seed(1)
    with record_layers(told.append):
        output, last = lstm(x, state, lengths=lengths, resets=resets)
    torch.manual_seed(1)
    plain, plain_last = lstm(x, state, lengths=lengths, resets=resets)
    torch.testing.assert_close(output, plain.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, plain_last, rtol=1e-12, atol=1e-12)
    for layer, (request, inputs) in enumerate(given):
        found = whole([run for run in told if run.whole.layer == layer])
        _, _, truth = plain_trace(request, inputs)
        for name, values in truth._asdict().items():
            torch.testing.assert_close(found[name], values.detach(), rtol=1e-12, atol=1e-12, msg=f"{variant}, {name}")


@pytest.mark.parametrize("kernel", [kernel.name for kernel in KERNELS])
def test_every_kernel_tells_the_same(kernel, small_pieces):
    torch.manual_seed(0)
    lstm = LSTM(2, 17, bidirectional=True)
    x, lengths = torch.randn(8, 5, 2), torch.tensor([8, 1, 0, 5, 7])
    told = []
    with use_kernel(kernel), record_layers(told.append), record_kernels() as ran:
        lstm(x, lengths=lengths)
    assert ran == [kernel]
    exact, coarse = [], []
    with use_kernel("reference"):
        with record_layers(coarse.append):
            lstm(x, lengths=lengths)
        with record_layers(exact.append):
            lstm.double()(x.double(), lengths=lengths)
    for name, values in whole(told).items():
        assert_as_accurate(values, whole(coarse)[name], whole(exact)[name], factor=4.0, what=f"{kernel}, {name}")


def test_bfloat16_under_autocast(small_pieces, monkeypatch):
    """Gates are at least float32, and cutting costs no digits beside the reference that runs the layer uncut."""
    torch.manual_seed(0)
    lstm, x, told, uncut, exact = LSTM(2, 9), torch.randn(7, 3, 2), [], [], []
    with torch.autocast("cpu", torch.bfloat16):
        with record_layers(told.append):
            output, _ = lstm(x)
        assert output.dtype == torch.bfloat16
        monkeypatch.setattr(tracing, "_sizes", lambda _: (3, 7))
        with use_kernel("reference"), record_layers(uncut.append):
            lstm(x)
    with use_kernel("reference"), record_layers(exact.append):
        lstm.double()(x.double())
    assert len(uncut) == 1
    for name, values in whole(told).items():
        assert values.dtype == torch.float32
        assert_as_accurate(values, whole(uncut)[name], whole(exact)[name], what=name)


def test_rows_and_steps_are_cut_to_a_size_that_memory_bounds():
    told = []
    with record_layers(told.append):
        LSTM(1, 64)(torch.zeros(900, 70, 1))
    assert max(run.gates.c.nbytes for run in told) * 6 <= tracing.PIECE_BYTES
    assert sum(run.gates.c.shape[1] * run.gates.c.shape[2] for run in told) == 900 * 70


def test_nothing_is_told_outside_and_no_gradient_is_kept():
    lstm, x, told = LSTM(2, 3), torch.randn(4, 1, 2, requires_grad=True), []
    with record_layers(told.append):
        output, _ = lstm(x)
    assert not output.requires_grad
    count = len(told)
    output, _ = lstm(x)
    assert output.requires_grad
    assert len(told) == count == 1


def test_checkpointed_layers_and_other_layouts_tell_too():
    x, told = torch.randn(3, 6, 2), []
    with record_layers(told.append):
        LSTM(2, 4, batch_first=True, checkpoint_steps=2)(x)
        LSTM(2, 4)(x[0])  # unbatched
    assert [(run.whole.batch_size, run.whole.steps) for run in told] == [(3, 6), (1, 6)]


def test_an_empty_batch_tells_nothing():
    told = []
    with record_layers(told.append):
        output, _ = LSTM(2, 4)(torch.zeros(0, 3, 2))
        lengthless, _ = LSTM(2, 4)(torch.zeros(3, 0, 2), (torch.ones(1, 0, 4), torch.ones(1, 0, 4)))
    assert told == []
    assert output.shape == (0, 3, 4)
    assert lengthless.shape == (3, 0, 4)
