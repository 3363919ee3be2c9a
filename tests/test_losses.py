"""Losses against their definitions; sums over parts equal sums over the whole."""

import pytest
import torch
import torch.nn.functional as F

from gatewise import losses
from gatewise.sequences import mask_of_lengths


def test_cross_entropy_is_torchs():
    scores, targets = torch.randn(7, 4), torch.randint(4, (7,))
    weights = torch.tensor([1.0, 0.5, 2.0, 0.1])
    plain = losses.cross_entropy(scores, targets)
    torch.testing.assert_close(plain.total / plain.count, F.cross_entropy(scores, targets))
    loss = losses.cross_entropy(scores, targets, weights=weights, smoothing=0.1)
    torch.testing.assert_close(
        loss.total / loss.count, F.cross_entropy(scores, targets, weight=weights, label_smoothing=0.1)
    )


@pytest.mark.parametrize(
    ("loss", "definition"),
    [
        (losses.squared_error, lambda e: e**2),
        (losses.absolute_error, abs),
        (losses.huber, lambda e: 0.5 * e**2 if abs(e) < 1 else abs(e) - 0.5),
    ],
)
def test_errors_by_definition(loss, definition):
    scores, targets = 2 * torch.randn(3, 4, 2, dtype=torch.float64), torch.randn(3, 4, 2, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 0])
    scores[1, 2:] = float("nan")  # whatever stands in the padding
    got = loss(scores, targets, mask_of_lengths(lengths, 4))
    steps = [(b, t) for b in range(3) for t in range(lengths[b])]
    expected = sum(definition(float(scores[b, t, k] - targets[b, t, k])) for b, t in steps for k in range(2))
    assert float(got.total) == pytest.approx(expected, rel=1e-5)
    assert int(got.count) == 2 * len(steps)
    flat = loss(scores[:, 0], targets[:, 0])
    assert float(flat.count) == 6


def test_padding_has_no_gradient():
    scores = torch.randn(2, 3, 1, requires_grad=True)
    losses.squared_error(scores, torch.zeros(2, 3, 1), mask_of_lengths(torch.tensor([3, 1]), 3)).total.backward()
    assert torch.all(scores.grad[1, 1:] == 0)
    assert torch.all(scores.grad[0] != 0)


def test_parts_add_up():
    scores, targets = torch.randn(10, 3), torch.randint(3, (10,))
    weights = torch.rand(3)
    whole = losses.cross_entropy(scores, targets, weights=weights)
    parts = [losses.cross_entropy(scores[i::3], targets[i::3], weights=weights) for i in range(3)]
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    torch.testing.assert_close(sum(part.count for part in parts), whole.count)
