"""Which sequences share a batch. The order is a pure function of (seed, epoch), so a resumed run goes on exactly.

A batch is an int64 array of positions. Batches are cut as evenly as possible: at most ``batch_size`` sequences each,
and no straggler of one at the end, which batch norm could not take.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from gatewise.errors import OptionError
from gatewise.types import Example

WINDOW = 50  # batches that are sorted by length together: long enough to save padding, short enough to mix
T = TypeVar("T")


def epoch_order(
    lengths: Sequence[int] | np.ndarray, batch_size: int, *, seed: int, epoch: int, bucket: bool = True
) -> list[np.ndarray]:
    """The batches of one epoch of training.

    Args:
        lengths: steps of each sequence, ``[N]``.
        batch_size: most sequences in a batch.
        seed: of the run.
        epoch: from 0; each has another order.
        bucket: put sequences of similar length together, so that little is padded; which ones still changes with
            every epoch. No effect where all are equally long.

    Returns:
        Positions of each batch, int64; together every sequence once.

    Raises:
        OptionError: a batch size below 1.
    """
    count = _batches(len(lengths), batch_size)
    rng = np.random.default_rng((seed, epoch))
    batches = np.array_split(rng.permutation(len(lengths)), count) if count else []
    if bucket:
        windows = [batches[start : start + WINDOW] for start in range(0, count, WINDOW)]
        batches = [batch for window in windows for batch in _by_length(window, np.asarray(lengths))]
    return [batches[i] for i in rng.permutation(count)]


def carried_order(count: int, rows: int) -> list[np.ndarray]:
    """Batches of examples that follow one another, such as the stretches of a long text: each row reads on.

    The examples are cut into ``rows`` equal runs, read side by side: row r of batch k is example ``r * K + k``. So the
    state that a row has after one batch is where it starts in the next.

    Args:
        count: examples, in the order in which they follow one another.
        rows: runs side by side, the size of a batch.

    Returns:
        Positions of each batch, int64; together every example once. In the last batches rows may be missing at the end.

    >>> [batch.tolist() for batch in carried_order(7, 3)]
    [[0, 3, 6], [1, 4], [2, 5]]
    """
    if rows < 1:
        raise OptionError(f"batch_size: expected at least 1, got {rows}. 32 is a good start.")
    run = math.ceil(count / rows)
    batches = [np.arange(start, count, run, dtype=np.int64) for start in range(run)]
    return [batch for batch in batches if len(batch)]


def evaluation_order(lengths: Sequence[int] | np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches of all sequences, the longest first: least padding, and what does not fit in memory fails at once.

    `in_file_order` puts the answers back in the order of the file.
    """
    count = _batches(len(lengths), batch_size)
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    return list(np.array_split(order, count)) if count else []


def in_file_order(answers: Sequence[T], batches: Sequence[np.ndarray]) -> list[T]:
    """Answers one after another in the order of the batches -> in the order of the file."""
    if not batches:
        return []
    return [answers[i] for i in np.argsort(np.concatenate(batches), kind="stable")]


def shard(batches: Sequence[np.ndarray], *, rank: int, world_size: int) -> list[np.ndarray]:
    """One process' part of every batch: the same number of batches each, together exactly the batches given.

    A loss scaled by the global count then gives the same gradient on any number of processes.

    Args:
        batches: of all processes, the same list on each.
        rank: this process, from 0.
        world_size: how many there are.

    Returns:
        As many batches as given.

    Raises:
        OptionError: a batch with fewer sequences than there are processes, or a rank that is not among them.
    """
    if not 0 <= rank < world_size:
        raise OptionError(f"rank: expected 0 to {world_size - 1}, got {rank}. Ranks count from 0.")
    if (smallest := min((len(batch) for batch in batches), default=world_size)) < world_size:
        raise OptionError(
            f"batch_size: expected at least {world_size} sequences in every batch, one a process, got {smallest}. "
            "Use larger batches or fewer processes."
        )
    return [batch[rank::world_size] for batch in batches]


def padding_share(batches: Sequence[np.ndarray], lengths: Sequence[int] | np.ndarray) -> float:
    """The share of steps that are padding when each batch is as long as its longest sequence, 0 to 1."""
    lengths = np.asarray(lengths, dtype=np.int64)
    computed = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    real = sum(int(lengths[batch].sum()) for batch in batches)
    return 1 - real / computed if computed else 0.0


def steps_of(examples: Sequence[Example]) -> np.ndarray:
    """``[N]`` int64: steps of each example; examples that are made when asked for know theirs without."""
    lengths = getattr(examples, "lengths", None)
    return np.array([example.steps for example in examples], dtype=np.int64) if lengths is None else lengths


def _batches(sequences: int, batch_size: int) -> int:
    if batch_size < 1:
        raise OptionError(f"batch_size: expected at least 1, got {batch_size}. 32 is a good start.")
    return math.ceil(sequences / batch_size)


def _by_length(window: list[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
    together = np.concatenate(window)
    together = together[np.argsort(lengths[together], kind="stable")]
    return np.split(together, np.cumsum([len(batch) for batch in window])[:-1])
