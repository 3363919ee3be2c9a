import copy

import pytest
import torch

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.nn import from_torch, to_torch
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell

I, H, B = 3, 5, 4
CELLS = [Cell(), Cell(peephole=True, norm="layer"), Cell(coupled=True), Cell(forget=False), Cell(zoneout=(0.1, 0.2))]


@pytest.mark.parametrize("bias", [True, False])
def test_equals_torch_with_the_same_seed(bias):
    torch.manual_seed(1)
    theirs = torch.nn.LSTMCell(I, H, bias=bias)
    torch.manual_seed(1)
    ours = LSTMCell(I, H, bias=bias)
    x, state = torch.randn(B, I), (torch.randn(B, H), torch.randn(B, H))
    torch.testing.assert_close(tuple(ours(x, state)), theirs(x, state))
    torch.testing.assert_close(tuple(ours(x)), theirs(x))
    torch.testing.assert_close(tuple(ours(x[0])), theirs(x[0]))
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_loop_over_the_cell_is_the_layer(cell):
    layer, one = LSTM(I, H, cell=cell).eval(), LSTMCell(I, H, cell=cell).eval()
    one.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    x, state = torch.randn(6, B, I), None
    for t in range(6):
        state = one(x[t], state)
    last = layer(x)[1]
    torch.testing.assert_close((state.h, state.c), (last.h[0], last.c[0]))


@pytest.mark.parametrize("option", [{"recurrent_dropout": 0.5}, {"zoneout": 0.5}], ids=str)
def test_masks_are_drawn_in_training_only(option):
    one, x = LSTMCell(I, H, cell=Cell(**option)), torch.randn(B, I)
    assert not torch.equal(one(x).c, one(x).c)
    one.eval()
    assert torch.equal(one(x).c, one(x).c)


def test_sizes_and_options_are_checked():
    with pytest.raises(ShapeError, match=r"\(batch, 3\), got \(4, 7\)"):
        LSTMCell(I, H)(torch.zeros(B, 7))
    with pytest.raises(ShapeError, match=r"c of shape \(4, 5\), got \(4, 6\)"):
        LSTMCell(I, H)(torch.zeros(B, I), (torch.zeros(B, H), torch.zeros(B, 6)))
    with pytest.raises(OptionError, match=r"hidden_dropout 0, got 0.5"):
        LSTMCell(I, H, cell=Cell(hidden_dropout=0.5))
    with pytest.raises(OptionError, match=r"hidden_size.*got -1"):
        LSTMCell(I, -1)


def test_to_and_from_torch_and_copies():
    theirs = torch.nn.LSTMCell(I, H, bias=False)
    ours, x = from_torch(theirs), torch.randn(B, I)
    torch.testing.assert_close(tuple(ours(x)), theirs(x))
    torch.testing.assert_close(to_torch(ours)(x), theirs(x))
    assert torch.equal(copy.deepcopy(ours)(x).h, ours(x).h)
    with pytest.raises(OptionError, match="does not offer coupled"):
        to_torch(LSTMCell(I, H, cell=Cell(coupled=True)))


def test_representation_shows_what_differs():
    assert (
        repr(LSTMCell(3, 4, bias=False, cell=Cell(coupled=True)))
        == "LSTMCell(3, 4, bias=False, cell=Cell(coupled=True))"
    )
