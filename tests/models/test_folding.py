"""In inference a batch norm becomes part of the next layer's weights: the same numbers, one pass less."""

import pytest
import torch
from torch import nn

from gatewise.cell import Cell
from gatewise.models import encoder
from gatewise.models.encoder import Encoder, folds
from gatewise.nn.lstm import LSTM
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths
from gatewise.testing import assert_as_accurate

B, T, C = 6, 300, 3
LENGTHS = torch.tensor([T, 0, 1, 299, 150, 7])


def make(cell=None, **options):
    """An encoder in evaluation whose batch norms do something."""
    made = Encoder(C, (16, 12, 9), batch_norm=True, dropout=0.5, cell=cell, **options)
    with torch.no_grad():
        for norm in made.between:
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.05, 0.5)
            norm.weight.uniform_(-1, 1)
            norm.bias.normal_()
    return made.eval()


@pytest.fixture
def folded(monkeypatch):
    """Counts layers that were folded; ``folded.on = False`` runs them unfolded."""

    class Count(list):
        on = True

    count = Count()

    def counting(*args):
        if count.on and folds(*args):
            count.append(args[1])
            return True
        return False

    monkeypatch.setattr(encoder, "folds", counting)
    return count


def both(model, x, lengths, folded, state=None):
    with torch.no_grad():
        folded.on = True
        fast = model(x, lengths, state)
        folded.on = False
        return fast, model(x, lengths, state)


@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", [Cell(), Cell(peephole=True), Cell(coupled=True), Cell(zoneout=(0.1, 0.2))], ids=str)
def test_the_same_numbers(folded, cell, bidirectional, ragged):
    model, x = make(cell, bidirectional=bidirectional), torch.randn(B, T, C)
    lengths = LENGTHS if ragged else None
    if ragged:
        x = x.masked_fill(~mask_of_lengths(lengths, T)[..., None], torch.nan)
    fast, slow = both(model, x, lengths, folded)
    assert len(folded) == 2
    exact = model.double()(x.double(), lengths)
    for name in ("steps", "last"):
        assert_as_accurate(
            getattr(fast, name), getattr(slow, name), getattr(exact, name).detach(), factor=4, what=name
        )  # the rounding is another, and no baseline is without luck
    for a, b in zip(fast.state, slow.state, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_float64_and_a_carried_state(folded):
    model, x = make(bidirectional=False).double(), torch.randn(B, T, C).double()
    with torch.no_grad():
        state = model(x[:, :5]).state  # too few rows to fold
    fast, slow = both(model, x, LENGTHS, folded, state)
    assert len(folded) == 2
    torch.testing.assert_close(fast.steps, slow.steps)


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16(folded, autocast):
    model, x = make(), torch.randn(B, T, C)
    exact = model.double()(x.double(), LENGTHS).steps.detach()
    model = model.float() if autocast else model.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        fast, slow = both(model, x if autocast else x.bfloat16(), LENGTHS, folded)
    assert len(folded) == 2
    assert fast.steps.dtype == slow.steps.dtype == torch.bfloat16
    assert_as_accurate(fast.steps, slow.steps, exact)


def test_parameters_that_change_count_at_once(folded):
    """There is no cache to be out of date, whatever way a parameter is written."""
    model, x = make(), torch.randn(B, T, C)
    for change in (
        lambda: model.between[0].weight.data.mul_(2),
        lambda: model.layers[1].weight_ih_l0.data.mul_(0.5),
        lambda: model.between[1].running_mean.add_(1),
    ):
        change()
        fast, slow = both(model, x, None, folded)
        torch.testing.assert_close(fast.steps, slow.steps, rtol=1e-4, atol=1e-5)


def test_where_it_is_not_folded():
    norm, lstm, x = SequenceBatchNorm(4, dropout=0.1).eval(), LSTM(4, 5, batch_first=True).eval(), torch.randn(2, 90, 4)
    assert not folds(norm, lstm, x), "a gradient may be asked for"
    with torch.no_grad():
        assert folds(norm, lstm, x)
        assert not folds(norm, lstm, x[:, :9]), "smaller than the weights"
        assert not folds(norm, LSTM(4, 5, bias=False), x)
        assert not folds(norm, LSTM(4, 5, cell=Cell(norm="layer")), x)
        assert not folds(SequenceBatchNorm(4).train(), lstm, x)
        norm.dropout.train()
        assert not folds(norm, lstm, x), "dropout acts"
        norm.eval()
        handle = lstm.register_forward_hook(lambda *_: None)
        assert not folds(norm, lstm, x), "somebody watches"
        handle.remove()
        assert folds(norm, lstm, x)


def test_other_layers_are_left_alone(folded):
    both(Encoder(C, (8, 8), kind="gru", batch_norm=True).eval(), torch.randn(B, T, C), LENGTHS, folded)
    both(Encoder(C, (8, 8), batch_norm=False, dropout=0.5).eval(), torch.randn(B, T, C), LENGTHS, folded)
    assert folded == []


def test_forward_affine_is_the_layer_after_scale_and_shift():
    for batch_first in (True, False):
        lstm = LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=batch_first).double()
        nn.init.normal_(lstm.bias_hh_l0)
        x, scale, shift = (torch.randn(*size).double() for size in ((4, 6, 3), (3,), (3,)))
        expected, state = lstm(x * scale + shift)
        actual, last = lstm.forward_affine(x, scale=scale, shift=shift)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(last.c, state.c)
