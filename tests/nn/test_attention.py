"""Pooling against loops over single rows."""

import pytest
import torch

from gatewise.errors import OptionError
from gatewise.nn.attention import POOLS, AttentionPool, make_pool
from gatewise.sequences import mask_of_lengths

LENGTHS = torch.tensor([6, 1, 0, 4])


def by_hand(name, pool, row):
    """The pooled value of one sequence without padding."""
    if len(row) == 0:
        return torch.zeros(row.shape[1])
    if name == "mean":
        return row.mean(0)
    if name == "max":
        return row.max(0).values
    weights = torch.softmax(torch.stack([pool.score(torch.tanh(pool.projection(step)))[0] for step in row]), 0)
    return sum(weight * step for weight, step in zip(weights, row, strict=True))


@pytest.mark.parametrize("name", ["mean", "max", "attention"])
def test_ragged_equals_each_row_alone(name):
    pool = make_pool(name, 3)
    steps = torch.randn(4, 6, 3)
    steps = steps.masked_fill(~mask_of_lengths(LENGTHS, 6)[..., None], 0.0)
    pooled = pool(steps, mask_of_lengths(LENGTHS, 6), torch.zeros(4, 3))
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(pooled[row], by_hand(name, pool, steps[row, :length]))
    dense = pool(steps[:1], None, torch.zeros(1, 3))
    torch.testing.assert_close(dense[0], by_hand(name, pool, steps[0]))


def test_last_and_none():
    steps, last = torch.randn(2, 4, 3), torch.randn(2, 5)
    assert make_pool("last", 3)(steps, None, last) is last
    assert make_pool("none", 3)(steps, None, last) is steps


def test_attention_weights_are_a_distribution():
    weights = AttentionPool(3).weights(torch.randn(4, 6, 3), mask_of_lengths(LENGTHS, 6))
    torch.testing.assert_close(weights.sum(1), (LENGTHS > 0).float())
    assert torch.all(weights[~mask_of_lengths(LENGTHS, 6)] == 0)


def test_unknown_pool():
    with pytest.raises(OptionError, match=r'got "atention".*"attention"'):
        make_pool("atention", 3)
    assert all(make_pool(name, 3) for name in POOLS)
