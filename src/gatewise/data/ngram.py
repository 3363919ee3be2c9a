"""`NGram`: which symbol follows the last few, counted on texts; a language model for small data."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import OptionError
from gatewise.sequences import BOS, EOS

KEPT = 65_536  # distributions that stay in memory


class _Followers(NamedTuple):
    """What followed a history: symbols ``[F]`` and how often each ``[F]``."""

    symbols: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class NGram:
    r"""Symbols foretold from those before them, with the smoothing of Witten and Bell.

    .. math::
        p(s \mid h) = \frac{c(h, s) + n(h) \, p(s \mid h')}{c(h) + n(h)}

    with :math:`c` the counts, :math:`n(h)` the number of different symbols that followed history :math:`h`, and
    :math:`h'` the history without its first symbol; below the empty history all symbols are equally likely.

    Attributes:
        order: symbols that are counted together: each is foretold from ``order - 1`` before it.
        size: symbols that there are, ``V``, with the four special ones. The end is ``EOS``; the others of the four are
            impossible.
        counts: how often each ``order`` symbols in a row occurred; a text begins with ``BOS`` as often as needed.

    Raises:
        OptionError: an order below 1.

    Example:
        >>> ngram = NGram.fit([np.array([4, 5, 4, 5])], order=3, size=6)
        >>> log_probs, state = ngram.step(None, BOS)
        >>> log_probs, state = ngram.step(state, 4)
        >>> int(log_probs.argmax()), round(float(np.exp(log_probs).sum()), 6)
        (5, 1.0)

    References:
        Witten & Bell 1991; Chen & Goodman 1999, section 2.5.
    """

    order: int
    size: int
    counts: dict[tuple[int, ...], int]

    def __post_init__(self) -> None:
        if self.order < 1 or any(len(gram) != self.order for gram in self.counts):
            raise OptionError(f"NGram: expected an order of at least 1, and counts of it, got {self.order}.")

    @classmethod
    def fit(cls, texts: Iterable[np.ndarray], *, order: int, size: int) -> "NGram":
        """Counts texts in numbers of symbols ``[S]``, of ``size`` symbols."""
        counts: Counter[tuple[int, ...]] = Counter()
        for text in texts:
            symbols = [*[BOS] * (order - 1), *map(int, text), EOS]
            counts.update(zip(*(symbols[k:] for k in range(order)), strict=False))
        return cls(order, size, dict(counts))

    def step(self, state: Any, symbol: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """What follows ``symbol``: log-probabilities ``[V]``, and the state then; at first None and ``BOS``."""
        before = (BOS,) * (self.order - 1) if state is None else (*state, symbol)
        state = self._known_part(before)
        return self._log_probs(state), state

    def log_prob(self, text: np.ndarray) -> float:
        """The natural logarithm of a text's probability, its end included."""
        total, state, symbol = 0.0, None, BOS
        for following in [*map(int, text), EOS]:
            log_probs, state = self.step(state, symbol)
            total += float(log_probs[following])
            symbol = following
        return total

    def to_plain(self) -> dict[str, Any]:
        """For JSON: the symbols of a count as a text of numbers."""
        counts = {" ".join(map(str, gram)): count for gram, count in self.counts.items()}
        return {"order": self.order, "size": self.size, "counts": counts}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "NGram":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: a field is missing or one too many, or something in it is no count.
        """
        if content.keys() != {"order", "size", "counts"}:
            raise KeyError("expected order, size and counts")
        order, size = int(content["order"]), int(content["size"])
        try:
            counts = {tuple(map(int, gram.split())): int(count) for gram, count in content["counts"].items()}
            if any(not 0 <= symbol < size for gram in counts for symbol in gram) or min(counts.values()) < 1:
                raise KeyError("counts: expected numbers of symbols and counts above 0")
            return cls(order, size, counts)
        except ValueError as error:  # OptionError too
            raise KeyError(f"counts: {error}") from error

    @cached_property
    def _followers(self) -> dict[tuple[int, ...], _Followers]:
        """Of every history that occurred, of any length: those of shorter ones are sums over those of longer ones."""
        tables: dict[tuple[int, ...], Counter[int]] = {}
        for gram, count in self.counts.items():
            for start in range(self.order):
                tables.setdefault(gram[start:-1], Counter())[gram[-1]] += count
        return {
            history: _Followers(np.array(list(table)), np.array(list(table.values()), dtype=np.float64))
            for history, table in tables.items()
        }

    def _known_part(self, history: tuple[int, ...]) -> tuple[int, ...]:
        """The longest end of a history that occurred: nothing is known of more."""
        history = history[max(0, len(history) - self.order + 1) :]
        while history and history not in self._followers:
            history = history[1:]
        return history

    @cached_property
    def _log_probs(self) -> Any:
        """Log-probabilities ``[V]`` behind a history that occurred, the latest kept."""

        @lru_cache(maxsize=KEPT)
        def log_probs(history: tuple[int, ...]) -> np.ndarray:
            with np.errstate(divide="ignore"):
                log_p: np.ndarray = np.log(self._probabilities(history))
                return log_p

        return log_probs

    def _probabilities(self, history: tuple[int, ...]) -> np.ndarray:
        possible = np.arange(self.size) >= EOS
        p = possible / possible.sum()
        for start in range(len(history), -1, -1):
            if found := self._followers.get(history[start:]):
                kinds = len(found.symbols)
                p = p * kinds
                p[found.symbols] += found.counts
                p /= found.counts.sum() + kinds
        return p  # type: ignore[no-any-return]
