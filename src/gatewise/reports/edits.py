"""What it takes to make one text of another: substitutions, insertions and deletions, one by one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SAMPLES = 1_000  # of a bootstrap
EDIT = 1 << 20  # the cost of an edit; a substitution costs one more, so that of the fewest edits fewest replace


class Edit(NamedTuple):
    """A piece of the reference and what was written for it; None where there is none: inserted, or left out."""

    right: str | None
    written: str | None

    @property
    def same(self) -> bool:
        """Whether it was written as it should be."""
        return self.right == self.written


def align(right: Sequence[str], written: Sequence[str]) -> list[Edit]:
    """The fewest edits from a reference to what was written (Levenshtein 1966), in order.

    Args:
        right: the pieces of the reference: characters, or words.
        written: those of the answer.

    Returns:
        One edit for each pair of pieces; of several ways with the fewest edits, one that keeps the most as it is.

    Example:
        >>> [tuple(edit) for edit in align("one", "on e")]
        [('o', 'o'), ('n', 'n'), (None, ' '), ('e', 'e')]
    """
    costs = _costs(right, written)
    i, j = len(right), len(written)
    found = []
    while i or j:
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (EDIT + 1) * (right[i - 1] != written[j - 1]):
            i, j = i - 1, j - 1
            found.append(Edit(right[i], written[j]))
        elif i and costs[i, j] == costs[i - 1, j] + EDIT:
            i -= 1
            found.append(Edit(right[i], None))
        else:
            j -= 1
            found.append(Edit(None, written[j]))
    return found[::-1]


def mistakes(edits: Sequence[Edit]) -> int:
    """How many of them change something."""
    return sum(not edit.same for edit in edits)


def _costs(right: Sequence[str], written: Sequence[str]) -> np.ndarray:
    """Least cost ``[R + 1, W + 1]`` from each beginning of the one to each beginning of the other."""
    numbers = {piece: k for k, piece in enumerate({*right, *written})}
    answer = np.array([numbers[piece] for piece in written], dtype=np.int64)
    places = EDIT * np.arange(len(written) + 1)
    costs = np.empty((len(right) + 1, len(written) + 1), dtype=np.int64)
    costs[0] = places
    for i, piece in enumerate(right, start=1):
        row = costs[i - 1] + EDIT  # left out
        row[1:] = np.minimum(row[1:], costs[i - 1, :-1] + (EDIT + 1) * (answer != numbers[piece]))
        # Inserted: each costs one more than what stands before it, whatever is least up to there.
        costs[i] = np.minimum.accumulate(row - places) + places
    return costs


def bootstrap(sums: np.ndarray, counts: np.ndarray, *, samples: int = SAMPLES) -> tuple[float, float]:
    """Between which rates 95 % of samples of the same size lie, whole texts being drawn anew (Efron 1979).

    Args:
        sums: mistakes in each text ``[N]``.
        counts: pieces of each text ``[N]``.
        samples: how many are drawn, always the same.

    Returns:
        The percentiles 2.5 and 97.5 of the sum of mistakes by the sum of pieces.
    """
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(samples):
        chosen = rng.integers(len(sums), size=len(sums))
        rates.append(float(sums[chosen].sum()) / max(float(counts[chosen].sum()), 1.0))
    low, high = np.percentile(rates, [2.5, 97.5])
    return float(low), float(high)
