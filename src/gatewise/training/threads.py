"""How many CPU threads a training uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Arithmetic of one time step, in floating-point operations, from which on more threads clearly pay.
_WORTH_SHARING = 10e6


def suggested_threads(batch_size: int, hidden_size: int) -> int:
    """One thread for a small LSTM, else as many as torch would take.

    Two threads nearly halve the step of a small model while both cores are free, and make it longer by half when
    another program wants one of them (benchmarks/RESULTS.md); by PyTorch's own kernel, twice as long. Which it will be
    nobody knows, so few surprises come first: ``--threads`` says otherwise.

    Args:
        batch_size: sequences in a step.
        hidden_size: units of the largest layer.

    Returns:
        A number of threads.

    Example:
        >>> suggested_threads(32, 64)
        1
    """
    operations = 8 * batch_size * hidden_size**2  # two for each weight of the four recurrent matrices
    return 1 if operations < _WORTH_SHARING else torch.get_num_threads()


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Has torch use so many CPU threads inside the ``with``."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
