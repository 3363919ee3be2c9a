"""What a trace of a model says, and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gatewise import LSTM, Cell, OptionError, recipes, use_kernel
from gatewise.inspection.layers import layer_called
from gatewise.inspection.trace import GATES, trace
from gatewise.inspection.units import units
from gatewise.likelihoods import make_likelihood
from gatewise.models.forecaster import Layout, forecaster
from gatewise.models.language_model import lstm_lm
from gatewise.models.pictures import line_lstm
from gatewise.models.seq2seq import seq2seq
from gatewise.models.sequence_model import spread_shares
from gatewise.models.tagger import tagger
from gatewise.models.text_classifier import text_lstm
from gatewise.types import Pair, Window, Words

torch.manual_seed(0)
X, LENGTHS = torch.randn(5, 12, 3), torch.tensor([12, 7, 1, 12, 4])


def names(found):
    return [layer.name for layer in found.layers]


def test_the_equations_hold_in_what_is_traced():
    """(5) and (7) of the sheet, from step to step, in both directions of every layer."""
    model = recipes.bilstm(input_size=3, num_classes=2).eval()
    found = trace(model, X, LENGTHS)
    with torch.no_grad():
        torch.testing.assert_close(found.scores, model(X, LENGTHS), rtol=1e-5, atol=1e-6)
    assert names(found) == ["encoder.layers.0", "encoder.layers.1", "encoder.layers.2"]
    for layer in found.layers:
        i, f, g, o, c, h = (getattr(layer, name) for name in GATES)
        torch.testing.assert_close(h, o * c.tanh(), rtol=1e-5, atol=1e-6)
        for row, length in enumerate(LENGTHS.tolist()):
            before = torch.cat([torch.zeros(1, c.shape[3]), c[row, : length - 1, 0]])
            after = torch.cat([c[row, 1:length, 1], torch.zeros(1, c.shape[3])])
            for direction, held in ((0, before), (1, after)):
                here = (row, slice(0, length), direction)
                torch.testing.assert_close(c[here], f[here] * held + i[here] * g[here], rtol=1e-5, atol=1e-6)
            assert all((part[row, length:] == 0).all() for part in (i, f, g, o, c, h))


def test_layers_folded_with_a_batch_norm_are_traced_as_they_act():
    """The same with the norm by itself: hooks keep it from being folded into the weights."""
    model = recipes.bilstm(input_size=3, num_classes=2).eval()
    for norm in model.encoder.between:
        nn.init.uniform_(norm.running_mean, -1, 1)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    x = torch.randn(90, 12, 3)  # so large that it is folded
    folded = trace(model, x)
    handles = [norm.register_forward_hook(lambda *_: None) for norm in model.encoder.between]
    plain = trace(model, x)
    for handle in handles:
        handle.remove()
    for one, other in zip(folded.layers, plain.layers, strict=True):
        torch.testing.assert_close(one.cell, other.cell, rtol=1e-4, atol=1e-5)


def test_several_layers_and_kinds_of_cells_by_name():
    lstm = LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, cell=Cell(coupled=True), proj_size=2).eval()
    found = trace(lstm, X, LENGTHS)
    assert names(found) == ["lstm", "lstm.l1"]
    assert found.layers[0].hidden.shape == (5, 12, 2, 2)
    assert found.layers[0].cell.shape == (5, 12, 2, 4)
    assert layer_called(lstm, "lstm.l1") == (lstm, 1)
    first = found.layers[0]
    torch.testing.assert_close(first.forget_gate[0], 1 - first.input_gate[0])
    with use_kernel("reference"):
        again = trace(lstm.double(), X.double(), LENGTHS)
    for name in GATES:
        torch.testing.assert_close(getattr(first, name), getattr(again.layers[0], name), rtol=1e-4, atol=1e-6)
    time_first = trace(LSTM(3, 4), X.transpose(0, 1)).layers[0]
    assert time_first.cell.shape == (5, 12, 1, 4)
    assert trace(LSTM(3, 4), X[0]).layers[0].cell.shape == (1, 12, 1, 4)


def test_models_of_texts_and_lines():
    tokens = torch.randint(4, 30, (3, 9))
    lengths = torch.tensor([9, 4, 2])
    assert names(trace(text_lstm(30, 2, hidden_sizes=(4, 4)).eval(), tokens, lengths)) == [
        "encoder.layers.0",
        "encoder.layers.1",
    ]
    assert names(trace(lstm_lm(30, embedding_size=4, hidden_sizes=(4,)).eval(), tokens)) == ["encoder.layers.0"]
    words = Words(tokens, torch.randint(4, 20, (3, 9, 5)))
    found = trace(tagger(30, 20, 3, None, hidden_sizes=(4,)).eval(), words, lengths)
    assert names(found) == ["encoder.layers.0"]  # not the layer over the characters of a word
    model = seq2seq(30, 30, embedding_size=4, hidden_sizes=(3,), decoder_size=4).eval()
    found = trace(model, Pair(tokens, tokens), lengths)
    assert names(found) == ["encoder.layers.0"]  # not the decoder, which reads answers
    found = trace(line_lstm(8, 10, image_channels=(4,), hidden_sizes=(4,)).eval(), torch.rand(3, 40, 8))
    assert names(found) == ["encoder.layers.0"]
    assert found.layers[0].cell.shape[1] == 20  # every second column
    np.testing.assert_array_equal(found.covers(0, 0), [[2 * t, 2 * t + 2] for t in range(20)])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_what_a_step_covers_is_where_its_share_goes(steps, left):
    """As attention is spread over the input: a step's share falls within what it covers, and all of it is covered."""
    x, lengths = torch.zeros(1, left, 1), torch.tensor([left])
    layer = trace(LSTM(1, 1, batch_first=True), x).layers[0]
    covers = layer.covers(0, steps)
    assert covers[0, 0] == 0
    assert covers[-1, 1] == steps
    for t, (start, stop) in enumerate(covers):
        shares = torch.nn.functional.one_hot(torch.tensor([t]), left).double()
        spread = spread_shares(shares, lengths, torch.tensor([steps]), steps)[0]
        assert spread[start:stop].sum() == pytest.approx(1)


def test_channels_read_one_by_one_have_rows_of_their_own():
    layout = Layout(num_channels=3, context_length=16, horizon=2, past_size=6, future_size=0, static_size=0)
    model = forecaster_of(layout)
    window = Window(torch.randn(2, 16, 6), torch.zeros(2, 2, 0), torch.zeros(2, 0),
                                   torch.zeros(2, 3), torch.ones(2, 3))  # fmt: skip
    found = trace(model, window)
    (layer,) = found.layers
    assert layer.repeats == 3
    assert layer.cell.shape[:2] == (6, 4)
    frame = found.table()
    assert frame["row"].unique().sort().to_list() == [0, 1]
    assert frame["channel"].unique().sort().to_list() == [0, 1, 2]
    one = frame.filter(row=1, channel=2, unit=0, step=3)["cell"].item()
    assert one == pytest.approx(layer.cell[5, 3, 0, 0].item())


def forecaster_of(layout):
    return forecaster(layout, make_likelihood("squared"), hidden_sizes=(5,), patch_size=4, independent=True).eval()


@pytest.mark.parametrize("steps", [(0, 12), (3, 8), (11, 12)])
def test_a_stretch_is_that_of_the_whole(steps):
    model = recipes.bilstm(input_size=3, num_classes=2).eval()
    whole, part = trace(model, X, LENGTHS), trace(model, X, LENGTHS, steps=steps)
    for one, other in zip(whole.layers, part.layers, strict=True):
        assert other.first == steps[0]
        assert torch.equal(one.cell[:, slice(*steps)], other.cell)
        assert torch.equal(other.lengths, (LENGTHS - steps[0]).clamp(0, steps[1] - steps[0]))
        assert torch.equal(other.whole, LENGTHS)
        np.testing.assert_array_equal(other.covers(0, 12)[:, 0], np.arange(*steps))
    assert part.table()["step"].min() == steps[0]
    assert torch.equal(whole.scores, part.scores)


def test_table_and_arrays_hold_the_same():
    lstm = LSTM(3, 4, bidirectional=True, batch_first=True, proj_size=2)
    found = trace(lstm, X, LENGTHS)
    frame, arrays = found.table(), found.arrays()
    assert frame.columns == ["row", "layer", "direction", "unit", "step", *GATES]
    assert len(frame) == LENGTHS.sum() * 2 * 4
    for row, direction, unit, step in ((0, 1, 1, 11), (1, 0, 0, 6), (4, 1, 1, 2)):
        line = frame.filter(row=row, direction=("forward", "reverse")[direction], unit=unit, step=step)
        for name in GATES:
            assert line[name].item() == arrays[f"lstm/{name}"][row, step, direction, unit]
    assert frame.filter(frame["unit"] >= 2)["hidden"].null_count() == LENGTHS.sum() * 2 * 2
    assert frame.filter(frame["unit"] < 2)["hidden"].null_count() == 0
    np.testing.assert_array_equal(arrays["lengths"], LENGTHS)


def test_what_cannot_be_traced_says_so():
    with pytest.raises(OptionError, match="LSTM layers of gatewise, got SequenceModel with GRU"):
        trace(recipes.bilstm(input_size=3, num_classes=2, encoder="gru"), X)
    with pytest.raises(OptionError, match="got Linear with none"):
        trace(nn.Linear(3, 3), X)
    lstm = LSTM(3, 64, batch_first=True)
    with pytest.raises(OptionError, match=r"at most 10.0 kB, got 5 rows of 12 steps that take 92.2 kB.*steps="):
        trace(lstm, X, max_bytes=10_000)
    assert trace(lstm, X, max_bytes=10_000, steps=(3, 4)).layers[0].cell.shape[1] == 1
    with pytest.raises(OptionError, match=r"of the 12 steps, got \(8, 20\)"):
        trace(lstm, X, steps=(8, 20))
    with pytest.raises(OptionError, match="to run once, got first running again"):
        trace(Twice(), X)
    with pytest.raises(OptionError, match=r"units: .* to run once, got first running again"):
        units(Twice(), X)
    with pytest.raises(OptionError, match="takes lengths, got Twice"):
        trace(Twice(), X, LENGTHS)
    with pytest.raises(OptionError, match="for each of the 5 sequences, got 7 in first"):
        trace(Other(), X)
    with pytest.raises(OptionError, match="'encoder'"):
        layer_called(lstm, "encoder")


@pytest.mark.parametrize("look", [trace, units])
def test_a_compiled_module_is_named_as_such(look):
    """Of one that is not, the sequences are to blame."""
    compiled, inside = torch.compile(LSTM(3, 4, batch_first=True), backend="eager"), nn.Sequential(LSTM(3, 4))
    inside[0].compile(backend="eager")
    for module in (compiled, inside):
        with pytest.raises(OptionError, match=r"the module is compiled.*before torch\.compile"):
            look(module, X)
    with pytest.raises(OptionError, match="may have no steps"):
        look(LSTM(3, 4, batch_first=True), X[:, :0])


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = LSTM(3, 3, batch_first=True)

    def forward(self, x):
        return self.first(self.first(x)[0])


class Other(Twice):
    def forward(self, x):
        return self.first(torch.cat([x, x[:2]]))


def test_a_trace_takes_what_it_says_and_no_more():
    """The size that is refused is that of the arrays."""
    model = recipes.bilstm(input_size=3, num_classes=2).eval()
    size = sum(getattr(layer, name).nbytes for layer in trace(model, X).layers for name in GATES)
    trace(model, X, max_bytes=size)
    with pytest.raises(OptionError, match=f"that take {size / 1e3:.1f} kB"):
        trace(model, X, max_bytes=size - 1)


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        (torch.zeros(2, 5, 3).numpy(), None, "x: expected a tensor of sequences"),
        (torch.zeros(3), None, "x: expected a tensor of sequences"),
        (None, None, "x: expected a tensor of sequences"),
        (torch.zeros(2, 5, 3), [5, 3], "expected lengths as a tensor, got list"),
    ],
)
def test_what_it_cannot_read_is_told(x, lengths, message):
    with pytest.raises(OptionError, match=message):
        trace(LSTM(3, 4, batch_first=True), x, lengths)


@pytest.mark.parametrize("steps", [(0,), 5, "ab", (1.5, 2.5), (True, 3)])
def test_a_stretch_is_two_whole_numbers(steps):
    with pytest.raises(OptionError, match="steps: expected a stretch"):
        trace(LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), steps=steps)
