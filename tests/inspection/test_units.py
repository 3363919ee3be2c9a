"""Summaries of units are what numpy makes of the full trace."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gatewise import LSTM, Cell, OptionError, recipes, use_kernel
from gatewise.inspection.sums import Spread
from gatewise.inspection.trace import trace
from gatewise.inspection.units import MEASURES, UnitCounter, units
from gatewise.nn import tracing
from gatewise.sequences import mask_of_lengths

torch.manual_seed(0)
X, LENGTHS = torch.randn(23, 30, 3) + 0.3, torch.tensor([30, 1, 0, *torch.randint(2, 31, (20,)).tolist()])
CLASSES = torch.arange(23) % 3


def expected(layer, x=X, lengths=LENGTHS, classes=CLASSES):
    """Every measure by its definition, in float64, from a trace that holds everything."""
    real = mask_of_lengths(layer.lengths, layer.cell.shape[1]).numpy()
    i, f, o, c, h = (
        getattr(layer, name).numpy()[real].astype(np.float64)
        for name in ("input_gate", "forget_gate", "output_gate", "cell", "hidden")
    )  # [n, D, H]
    found = {"cell_mean": c.mean(0), "cell_std": c.std(0), "hidden_std": h.std(0)}
    for name, gate in (("input", i), ("forget", f), ("output", o)):
        found |= {
            f"{name}_mean": gate.mean(0),
            f"{name}_open": (gate > 0.9).mean(0),
            f"{name}_shut": (gate < 0.1).mean(0),
        }
    with np.errstate(divide="ignore"):
        found["half_life"] = math.log(2) / np.abs(np.log(f).mean(0))
    _, D, H = c.shape
    steps = x.numpy()[mask_of_lengths(lengths, x.shape[1]).numpy()]
    found["with_input"] = np.array(
        [[[np.corrcoef(c[:, d, u], steps[:, k])[0, 1] for k in range(x.shape[2])] for u in range(H)] for d in range(D)]
    )
    kept = layer.lengths > 0
    means = (layer.cell.double().sum(1) / layer.lengths.clamp(min=1)[:, None, None])[kept].numpy()
    found["with_class"] = np.array(
        [[[np.corrcoef(means[:, d, u], (classes[kept] == k).numpy())[0, 1] for k in range(3)] for u in range(H)]
         for d in range(D)]
    )  # fmt: skip
    return found


@pytest.mark.parametrize("kernel", ["auto", "native", "reference"])
def test_every_measure_is_its_definition(kernel, monkeypatch):
    monkeypatch.setattr(tracing, "_sizes", lambda request: (4, 7))  # many pieces, all ragged
    model = recipes.bilstm(input_size=3, num_classes=2).eval()
    nn.init.normal_(model.encoder.layers[0].weight_ih_l0, std=3.0)  # gates that open and shut
    with use_kernel(kernel):
        found = units(model, X, LENGTHS, classes=CLASSES, batch_size=10)
        traced = trace(model, X, LENGTHS)
    assert 0.05 < found[0].input_open.mean() < 0.95
    for summary, layer in zip(found, traced.layers, strict=True):
        assert summary.layer == layer.name
        assert summary.steps == LENGTHS.sum()
        for name, values in expected(layer).items():
            np.testing.assert_allclose(getattr(summary, name), values, rtol=2e-5, atol=2e-6, err_msg=name)


def test_how_rows_are_batched_and_cut_does_not_matter(monkeypatch):
    lstm = LSTM(3, 5, batch_first=True, bidirectional=True)
    one = units(lstm, X, LENGTHS, classes=CLASSES, batch_size=23)[0]
    monkeypatch.setattr(tracing, "_sizes", lambda request: (3, 2))
    other = units(lstm, X, LENGTHS, classes=CLASSES, batch_size=4)[0]
    for name in (*MEASURES, "with_input", "with_class"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-6, err_msg=name)


def test_padding_may_hold_anything():
    lstm = LSTM(3, 5, batch_first=True)
    broken = X.masked_fill(~mask_of_lengths(LENGTHS, 30)[..., None], torch.nan)
    for name in (*MEASURES, "with_input"):
        clean, dirty = (getattr(units(lstm, x, LENGTHS)[0], name) for x in (X, broken))
        np.testing.assert_array_equal(clean, dirty)


def test_memory_of_units_whose_gates_are_set_by_hand():
    """f = sigmoid(b): half of the cell is gone after ln 2 / -ln f steps; without a forget gate it never is."""
    lstm = LSTM(1, 3, batch_first=True)
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0[3:6] = torch.tensor([0.0, 4.0, 9.0])
    (found,) = units(lstm, torch.randn(4, 9, 1))
    f = 1 / (1 + np.exp(-np.array([0.0, 4.0, 9.0])))
    np.testing.assert_allclose(found.half_life[0], math.log(2) / -np.log(f), rtol=1e-3)
    np.testing.assert_array_equal(found.forget_open[0], [0, 1, 1])
    np.testing.assert_array_equal(found.order("half_life"), [[0, 2], [0, 1], [0, 0]])
    assert np.isnan(found.with_input).all()  # the cell never moves: there is no correlation
    (endless,) = units(LSTM(1, 3, batch_first=True, cell=Cell(forget=False)), torch.randn(4, 9, 1))
    assert np.isinf(endless.half_life).all()


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
def test_memory_with_zoneout_is_that_of_a_cell_that_decays(options):
    """Nothing comes in, and the cell falls from 1: its half-life is read off its states."""
    lstm = LSTM(1, 3, batch_first=True, cell=Cell(zoneout=(0.1, 0.4)), **options).eval()
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        for bias in (part for name, part in lstm.named_parameters() if name.startswith("bias_ih")):
            bias[:6] = torch.tensor([-40.0, -40, -40, 0, 2, 4])

    class FromOne(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = lstm

        def forward(self, x):
            full = torch.ones(lstm.num_directions, len(x), 3)
            return lstm(x, (0 * full, full))[0]

    x = torch.zeros(2, 9, 1)
    (found,), (layer,) = units(FromOne(), x), trace(FromOne(), x).layers
    cell = layer.cell[0].double().numpy()  # [T, D, H]
    steps = cell if cell.shape[1] == 1 else np.stack([cell[:, 0], cell[::-1, 1]], 1)
    np.testing.assert_allclose(found.half_life, -8 * math.log(2) / np.log(steps[8] / steps[0]), rtol=1e-4)
    assert layer.zoneout == 0.4
    np.testing.assert_allclose(found.half_life[0, 0], math.log(2) / -math.log(0.4 + 0.6 * 0.5), rtol=1e-5)
    plain = LSTM(1, 3, batch_first=True, cell=Cell(forget=False, zoneout=0.3))
    assert np.isinf(units(plain, x)[0].half_life).all()


def test_a_unit_that_is_the_input_correlates_with_it():
    """Shut the forget gate and open the input gate: c = tanh(w x), and for small w that is x."""
    lstm = LSTM(2, 2, batch_first=True)
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0.copy_(torch.tensor([20.0, 20, -20, -20, 0, 0, 0, 0]))
        lstm.weight_ih_l0[4:6] = torch.tensor([[1e-3, 0.0], [0.0, -1e-3]])
    (found,) = units(lstm, torch.randn(8, 50, 2))
    np.testing.assert_allclose(found.with_input[0].diagonal(), [1, -1], atol=1e-4)
    np.testing.assert_array_equal(found.order("with_input", channel=1)[0], [0, 1])


def test_where_a_stem_shortens_the_input_its_mean_is_compared():
    stem = nn.AvgPool1d(2)

    class Shortened(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = LSTM(3, 4, batch_first=True)

        def forward(self, x, lengths=None):
            return self.lstm(stem(x.transpose(1, 2)).transpose(1, 2), lengths=None if lengths is None else lengths // 2)

    model, lengths = Shortened(), LENGTHS // 2 * 2
    (found,) = units(model, X, lengths)
    halved = stem(X.transpose(1, 2)).transpose(1, 2)
    wanted = expected(trace(model, X, lengths).layers[0], halved, lengths // 2)["with_input"]
    np.testing.assert_allclose(found.with_input, wanted, atol=1e-5)


def test_tokens_have_no_channels():
    embedding, lstm = nn.Embedding(9, 3), LSTM(3, 4, batch_first=True)
    counter = UnitCounter(lstm)
    tokens = torch.randint(9, (5, 7))
    with counter.batch(tokens, torch.full((5,), 7)):
        lstm(embedding(tokens))
    (found,) = counter.summaries()
    assert found.with_input is None
    assert found.with_class is None
    assert found.steps == 35


def test_sums_of_many_parts_keep_their_digits():
    """A cell far from zero that hardly moves: its deviation is not lost in the squares."""
    rng = np.random.default_rng(0)
    values = torch.tensor(1e4 + 1e-3 * rng.normal(size=(1000, 2)))
    spread = Spread()
    for part in values.split(7):
        spread.add(len(part), part.mean(0), (part - part.mean(0)).square().sum(0))
    np.testing.assert_allclose(spread.mean, values.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(spread.squares.numpy() / 1000), values.numpy().std(0), rtol=1e-6)


def test_table_and_order():
    lstm = LSTM(3, 4, batch_first=True, bidirectional=True, proj_size=2)
    (found,) = units(lstm, X, LENGTHS, classes=CLASSES)
    frame = found.table()
    assert len(frame) == 8
    assert frame.columns[:3] == ["layer", "direction", "unit"]
    assert frame.columns[-6:] == [*(f"with_input_{k}" for k in range(3)), *(f"with_class_{k}" for k in range(3))]
    line = frame.filter(direction="reverse", unit=3)
    assert line["half_life"].item() == found.half_life[1, 3]
    assert line["hidden_std"].item() is None
    assert line["with_class_1"].item() == found.with_class[1, 3, 1]
    for by in ("forget_open", "with_class"):
        order = found.order(by)
        assert sorted(map(tuple, order)) == [(d, u) for d in range(2) for u in range(4)]
        values = found.forget_open if by == "forget_open" else np.abs(found.with_class).max(2)
        assert (np.diff(values[tuple(order.T)]) <= 0).all()
    with pytest.raises(OptionError, match=r"got 'half_live'\. Did you mean .half_life."):
        found.order("half_live")


def test_what_has_no_units_says_so():
    with pytest.raises(OptionError, match=r"units: expected a model with LSTM layers of gatewise, got .* with RNN"):
        units(recipes.bilstm(input_size=3, num_classes=2, encoder="rnn"), X)
    with pytest.raises(OptionError, match="got none that did"):
        UnitCounter(LSTM(3, 4)).summaries()
