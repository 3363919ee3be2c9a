import pytest
import torch
from torch import nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.nn.initializers import initialize, initialize_chrono
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell

H = 8
EYE = torch.eye(H)


@pytest.mark.parametrize(
    ("layer", "gates"),
    [
        (LSTM(3, H, 2, bidirectional=True), 4),
        (LSTM(3, H, cell=Cell(coupled=True)), 3),
        (LSTMCell(3, H), 4),
        (nn.LSTM(3, H, bidirectional=True), 4),
        (nn.GRU(3, H), 3),
        (nn.RNN(3, H), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_gate_is_orthogonal_and_xavier(layer, gates):
    initialize(nn.Sequential(nn.Identity(), layer))
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_hh"):
            blocks = parameter.split(H)
            assert len(blocks) == gates
            for block in blocks:
                torch.testing.assert_close(block @ block.T, EYE, atol=1e-5, rtol=0)
        if name.startswith("weight_ih"):
            bound = (6 / (parameter.shape[1] + H)) ** 0.5
            assert 0.8 * bound < parameter.abs().max() <= bound


@pytest.mark.parametrize("layer", [LSTM(3, H, 2, bidirectional=True), nn.LSTM(3, H), LSTMCell(3, H)], ids=str)
def test_the_forget_bias_is_one_in_total_and_the_others_zero(layer):
    initialize(layer)
    parameters = dict(layer.named_parameters())
    for name in (name for name in parameters if name.startswith("bias_ih")):
        total = parameters[name] + parameters[name.replace("ih", "hh")]
        assert total.tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H
        assert (parameters[name.replace("ih", "hh")] == 0).all()


@pytest.mark.parametrize("layer", [nn.GRU(3, H), nn.RNN(3, H), LSTM(3, H, cell=Cell(forget=False))], ids=str)
def test_without_a_forget_gate_every_bias_is_zero(layer):
    initialize(layer)
    assert all((p == 0).all() for name, p in layer.named_parameters() if name.startswith("bias"))


def test_variants_start_neutral():
    layer = LSTM(3, H, proj_size=4, bias=False, cell=Cell(peephole=True, norm="layer"))
    initialize(layer)
    assert (layer.weight_peephole_l0 == 0).all()
    assert all((gain == 1).all() for gain in (layer.gain_ih_l0, layer.gain_hh_l0, layer.gain_c_l0))
    torch.testing.assert_close(layer.weight_hr_l0 @ layer.weight_hr_l0.T, torch.eye(4), atol=1e-5, rtol=0)


def test_other_layers_are_left_alone():
    model = nn.Sequential(nn.Linear(2, 2), LSTM(2, 3))
    before = model[0].weight.clone()
    initialize(model)
    assert torch.equal(model[0].weight, before)


def test_chrono_remembers_for_the_range_it_is_given():
    """A forget gate of sigmoid(log u) keeps a unit for about u + 1 steps."""
    layer = LSTM(3, 500)
    initialize_chrono(layer, longest=100)
    i, f, g, o = layer.bias_ih_l0.detach().split(500)
    steps = 1 / (1 - f.sigmoid())
    assert steps.min() >= 2
    assert 90 < steps.max() <= 100
    assert torch.equal(i, -f)
    assert (g == 0).all()
    assert (o == 0).all()
    with pytest.raises(OptionError, match="at least 3 steps, got 2"):
        initialize_chrono(layer, longest=2)
