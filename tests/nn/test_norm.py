"""SequenceBatchNorm against torch's, with and without padding."""

import pytest
import torch
from torch import nn

from gatewise.errors import ShapeError
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths

LENGTHS = torch.tensor([5, 2, 0, 4])


def twins(**options):
    """Ours and torch's with the same weights, in float64."""
    ours, theirs = SequenceBatchNorm(3, **options).double(), nn.BatchNorm1d(3, **options).double()
    with torch.no_grad():
        theirs.weight.uniform_(0.5, 2)
        theirs.bias.normal_()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
def test_equals_batch_norm_of_the_real_steps(ragged):
    ours, theirs = twins()
    x = torch.randn(4, 5, 3, dtype=torch.float64) * 3 + 1
    mask = mask_of_lengths(LENGTHS, 5) if ragged else None
    real = torch.ones(4, 5, dtype=torch.bool) if mask is None else mask
    for _ in range(3):  # running statistics too
        x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = ours(x1, mask), theirs(x2[real])
        torch.testing.assert_close(y[real], expected)
        assert torch.all(y[~real] == 0)
        weights = torch.randn_like(expected)
        (y[real] * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(x1.grad, x2.grad)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], buffer, msg=name)
    torch.testing.assert_close(ours.eval()(x, mask)[real], theirs.eval()(x[real]))


@pytest.mark.parametrize("training", [True, False])
def test_padding_may_hold_nan(training):
    ours, _ = twins()
    ours.train(training)
    mask = mask_of_lengths(LENGTHS, 5)
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    dirty = x.masked_fill(~mask[..., None], float("nan")).requires_grad_()
    clean = x.masked_fill(~mask[..., None], 0.0)
    y = ours(dirty, mask)
    y.sum().backward()
    assert torch.isfinite(dirty.grad).all()
    assert torch.all(dirty.grad[~mask] == 0)
    again = twins()[0].train(training)
    again.load_state_dict(ours.state_dict() | {"running_mean": torch.zeros(3), "running_var": torch.ones(3)})
    torch.testing.assert_close(y, again(clean, mask))


def test_longer_padding_changes_nothing():
    ours, _ = twins()
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    longer = torch.cat([x, torch.full((4, 3, 3), 7.0, dtype=torch.float64)], 1)
    short = ours(x, mask_of_lengths(LENGTHS, 5))
    torch.testing.assert_close(ours(longer, mask_of_lengths(LENGTHS, 8))[:, :5], short)


def test_gradcheck_ragged():
    ours, _ = twins()
    x = torch.randn(4, 5, 3, dtype=torch.float64, requires_grad=True)
    ours.momentum = 0.0  # gradcheck calls it many times
    assert torch.autograd.gradcheck(lambda x: ours(x, mask_of_lengths(LENGTHS, 5)), x)


def test_low_precision_keeps_its_dtype():
    norm = SequenceBatchNorm(3).bfloat16()
    assert norm(torch.randn(2, 4, 3).bfloat16(), mask_of_lengths(torch.tensor([4, 2]), 4)).dtype == torch.bfloat16


def test_errors_tell_sizes():
    with pytest.raises(ShapeError, match=r"3 features.*\(2, 4, 5\)"):
        SequenceBatchNorm(3)(torch.randn(2, 4, 5))
    with pytest.raises(ShapeError, match=r"at least 2 real steps.*got 1"):
        SequenceBatchNorm(3)(torch.randn(2, 4, 3), mask_of_lengths(torch.tensor([1, 0]), 4))
