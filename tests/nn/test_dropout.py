"""SequenceDropout: its rate, its scale, its masks."""

import pytest
import torch

from gatewise.errors import OptionError
from gatewise.nn.dropout import SequenceDropout, dropout
from gatewise.nn.lstm import LSTM


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_rate_and_mean(p):
    torch.manual_seed(0)
    y = SequenceDropout(p)(torch.ones(64, 128, 33))
    n = y.numel()
    assert abs((y == 0).float().mean().item() - p) < 5 * (p * (1 - p) / n) ** 0.5  # five standard deviations
    kept = y[y != 0]
    assert kept.unique().numel() == 1
    assert kept[0].item() == pytest.approx(1 / (1 - p), rel=1e-4)


def test_neighbours_are_independent():
    """Four values share one 64-bit draw: no correlation may be left between them."""
    torch.manual_seed(0)
    dropped = (SequenceDropout(0.5)(torch.ones(1, 1, 400_000)) == 0).double().flatten()
    for lag in (1, 2, 3, 4):
        a, b = dropped[:-lag] - 0.5, dropped[lag:] - 0.5
        assert abs((a * b).mean().item() / 0.25) < 5 / len(a) ** 0.5


def test_locked_mask_is_one_a_sequence():
    torch.manual_seed(0)
    y = SequenceDropout(0.5, locked=True)(torch.ones(8, 16, 32))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert not torch.equal(y[0], y[1])


def test_same_seed_same_mask_and_evaluation_is_identity():
    dropout, x = SequenceDropout(0.5), torch.randn(3, 5, 7)
    torch.manual_seed(3)
    first = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(x))
    assert dropout.eval()(x) is x
    assert SequenceDropout(0.0)(x) is x


def test_gradient_is_the_mask():
    x = torch.ones(4, 5, 6, requires_grad=True)
    y = SequenceDropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0])
def test_rate_out_of_range(p):
    with pytest.raises(OptionError, match=rf"\[0, 1\).*{p}"):
        SequenceDropout(p)


def test_a_rate_of_one_drops_everything():
    assert dropout(torch.ones(400, 400), 1.0).max() == 0
    assert LSTM(3, 4, 2, dropout=1.0)(torch.randn(5, 2, 3))[0].isfinite().all()


def test_another_default_device_changes_nothing():
    x = torch.ones(4, 50, 8)
    with torch.device("meta"):
        y = SequenceDropout(0.5)(x)
    assert set(y.unique().tolist()) == {0.0, 2.0}
