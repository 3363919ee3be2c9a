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


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_many_classes_are_those_of_torch(dtype, smoothing):
    generator = torch.Generator().manual_seed(0)
    scores = (4 * torch.randn(2 * losses.BLOCK + 3, losses.LARGE, generator=generator)).to(dtype)
    targets = torch.randint(losses.LARGE, (len(scores),), generator=generator)
    ours, theirs = scores.clone().requires_grad_(), scores.double().requires_grad_()
    loss = losses.cross_entropy(ours, targets, smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(theirs, targets, reduction="sum", label_smoothing=smoothing)
    (loss.total / 7).backward()
    (expected / 7).backward()
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-12 if dtype == torch.float64 else 1e-5)
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-7, torch.bfloat16: 1e-3}[dtype]
    torch.testing.assert_close(
        ours.grad.double(), theirs.grad, atol=tolerance, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5
    )
    with torch.no_grad():
        assert losses.cross_entropy(scores, targets, smoothing=smoothing).total == loss.total


def test_an_answer_a_step_counts_real_steps():
    scores, targets = torch.randn(3, 5, 4), torch.randint(4, (3, 5))
    loss = losses.token_cross_entropy(scores, targets, torch.tensor([5, 2, 0]))
    rows = torch.cat([scores[0], scores[1, :2]]), torch.cat([targets[0], targets[1, :2]])
    assert loss.count == 7
    assert loss.total.item() == pytest.approx(losses.cross_entropy(*rows).total.item(), rel=1e-6)
