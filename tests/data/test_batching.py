from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import epoch_order, evaluation_order, in_file_order, padding_share, shard
from gatewise.data.batching import carried_order
from gatewise.errors import OptionError

lengths_of_any = st.lists(st.integers(0, 100), max_size=200)


@given(lengths_of_any, st.integers(1, 40), st.integers(0, 9), st.booleans())
def test_every_sequence_once_in_batches_of_nearly_one_size(lengths, batch_size, epoch, bucket):
    batches = epoch_order(lengths, batch_size, seed=1, epoch=epoch, bucket=bucket)
    assert sorted(np.concatenate([*batches, np.empty(0, int)]).tolist()) == list(range(len(lengths)))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == -(-len(lengths) // batch_size) and max(sizes, default=0) <= batch_size
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    again = epoch_order(lengths, batch_size, seed=1, epoch=epoch, bucket=bucket)
    assert all(np.array_equal(left, right) for left, right in zip(batches, again, strict=True))


def test_another_epoch_and_another_seed_give_another_order():
    lengths = np.arange(100)
    first = np.concatenate(epoch_order(lengths, 10, seed=0, epoch=0))
    for seed, epoch in ((0, 1), (1, 0)):
        assert not np.array_equal(first, np.concatenate(epoch_order(lengths, 10, seed=seed, epoch=epoch)))


def test_company_changes_with_the_epoch():
    lengths = np.random.default_rng(0).integers(5, 200, 4000)
    neighbours = [
        {tuple(sorted(pair)) for batch in epoch_order(lengths, 32, seed=0, epoch=epoch) for pair in pairwise(batch)}
        for epoch in (0, 1)
    ]
    assert len(neighbours[0] & neighbours[1]) < 0.1 * len(neighbours[0])


def test_bucketing_saves_padding():
    lengths = np.random.default_rng(0).integers(5, 200, 4000)
    plain = padding_share(epoch_order(lengths, 32, seed=0, epoch=0, bucket=False), lengths)
    bucketed = padding_share(epoch_order(lengths, 32, seed=0, epoch=0), lengths)
    assert plain > 0.4 and bucketed < 0.03
    assert padding_share(evaluation_order(lengths, 32), lengths) < 0.01


def test_padding_share_by_hand():
    assert padding_share([np.array([0, 1]), np.array([2])], [4, 1, 7]) == pytest.approx(3 / 15)
    assert padding_share([], []) == 0.0


@given(lengths_of_any, st.integers(1, 40))
def test_answers_come_back_in_file_order(lengths, batch_size):
    batches = evaluation_order(lengths, batch_size)
    assert in_file_order([i for batch in batches for i in batch.tolist()], batches) == list(range(len(lengths)))
    longest = [max(lengths[i] for i in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@given(st.integers(8, 100), st.integers(8, 20), st.integers(1, 4))
def test_shards_are_the_batches(count, batch_size, world_size):
    batches = epoch_order([1] * count, batch_size, seed=0, epoch=0)
    shards = [shard(batches, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert {len(part) for part in shards} == {len(batches)}
    for parts, batch in zip(zip(*shards, strict=True), batches, strict=True):
        assert sorted(np.concatenate(parts).tolist()) == sorted(batch.tolist()) and all(len(part) for part in parts)


def test_errors():
    with pytest.raises(OptionError, match="batch_size: expected at least 1, got 0"):
        epoch_order([1], 0, seed=0, epoch=0)
    with pytest.raises(OptionError, match="expected at least 3 sequences in every batch, one a process, got 2"):
        shard([np.arange(2)], rank=0, world_size=3)
    with pytest.raises(OptionError, match="rank: expected 0 to 1, got 2"):
        shard([np.arange(2)], rank=2, world_size=2)


@given(st.integers(0, 300), st.integers(1, 40))
def test_each_row_of_a_carried_order_reads_on(count, rows):
    batches = carried_order(count, rows)
    assert sorted(np.concatenate([*batches, np.empty(0, int)]).tolist()) == list(range(count))
    assert max(map(len, batches), default=0) <= rows
    for before, after in pairwise(batches):
        assert len(after) <= len(before)  # rows end, the last ones first; none begins later
        np.testing.assert_array_equal(after, before[: len(after)] + 1)


def test_a_carried_order_needs_a_row():
    with pytest.raises(OptionError, match="expected at least 1, got 0"):
        carried_order(5, 0)
