r"""From the scores of connectionist temporal classification (CTC) to symbols, and back to where they are.

A path names a symbol or the blank at each step. Its text is what is left when symbols that repeat without a blank
between them count once and blanks are taken out: ``a a - a b b`` reads ``a a b``. A text is as likely as all of its
paths together.

Everything here takes one sequence of natural log-probabilities ``[T, V]`` in numpy; symbol 0 is the blank.

References:
    Graves et al. 2006 (CTC, best path); Graves & Jaitly 2014, Hannun et al. 2014 (prefix search with a language model).
"""

import heapq
import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from gatewise.errors import DataError, OptionError, RunError
from gatewise.sequences import BOS, EOS

BLANK = 0
LEAST = 1e-4  # symbols below this probability at a step are not followed


class SymbolModel(Protocol):
    """A language model of symbols: what follows what."""

    def step(self, state: Any, symbol: int) -> tuple[np.ndarray, Any]:
        """Log-probabilities ``[V]`` of what follows ``symbol``, that of the end at ``EOS``, and the state then.

        A text begins with the state None and the symbol ``BOS``.
        """
        ...


class Reading(NamedTuple):
    """A text in numbers of symbols, and the logarithm of its probability, language model and bonus included."""

    symbols: list[int]
    score: float


def best_path(log_probs: np.ndarray) -> Reading:
    """The text of the likeliest path, ``[T, V]``: quick, and mostly the likeliest text.

    >>> best_path(np.log([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])).symbols
    [1, 1]
    """
    path = _checked(log_probs).argmax(1)
    score = float(log_probs[np.arange(len(path)), path].sum())
    return Reading(collapse(path).tolist(), score)


def collapse(path: np.ndarray, *, before: int = BLANK) -> np.ndarray:
    """The text of a path ``[T]`` that goes on behind the symbol ``before``.

    >>> collapse(np.array([1, 1, 0, 1, 2, 2, 0])).tolist()
    [1, 1, 2]
    """
    previous = np.concatenate([[before], path[:-1]])[: len(path)]
    text: np.ndarray = path[(path != BLANK) & (path != previous)]
    return text


class _Said(NamedTuple):
    """Of a language model, weighted: a factor for each symbol, what the end adds, and the array that it gave.

    That is kept so that no other takes its place in memory: it is known by that.
    """

    factors: list[float]
    end: float
    log_probs: np.ndarray


class _Prefixes:
    """The beginnings that were looked at, as a tree: each a number, its last symbol and the beginning before it."""

    def __init__(self, size: int, model: SymbolModel | None, weight: float, bonus: float) -> None:
        self.size, self.model, self.weight = size, model, weight
        self.keys, self.symbols, self.parents = [-1], [-1], [-1]
        self._numbers = {-1: 0}
        self._bonus = bonus
        self._constant = [math.exp(bonus)] * size
        self._said: dict[int, _Said] = {}
        self._states: dict[int, Any] = {}
        self._weighted: dict[int, _Said] = {}

    def at(self, key: int) -> int:
        """The beginning of a key: of the number of the beginning before it, times ``V``, plus its last symbol."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            parent, symbol = divmod(key, self.size)
            self.keys.append(key)
            self.symbols.append(symbol)
            self.parents.append(parent)
        return number

    def factors(self, prefix: int) -> list[float]:
        """By what each symbol's probability is multiplied behind a beginning ``[V]``."""
        return self._constant if self.model is None else self._ask(self.model, prefix).factors

    def _ask(self, model: SymbolModel, prefix: int) -> "_Said":
        """What the model says behind a beginning."""
        said = self._said.get(prefix)
        if said is None:
            # The model has read the beginning before this one: a beginning is only followed behind that.
            parent = self.parents[prefix]
            state, symbol = (None, BOS) if parent < 0 else (self._states[parent], self.symbols[prefix])
            log_probs, self._states[prefix] = model.step(state, symbol)
            said = self._weighted.get(id(log_probs))  # an n-gram gives the same array for all that end alike
            if said is None:
                weighted = self.weight * log_probs
                said = _Said(np.exp(weighted + self._bonus).tolist(), float(weighted[EOS]), log_probs)
                self._weighted[id(log_probs)] = said
            self._said[prefix] = said
        return said

    def end(self, prefix: int) -> float:
        """What the end of the text behind a beginning adds to its score."""
        return 0.0 if self.model is None else self._ask(self.model, prefix).end

    def text(self, prefix: int) -> list[int]:
        """The symbols of a beginning."""
        symbols = []
        while prefix > 0:
            symbols.append(self.symbols[prefix])
            prefix = self.parents[prefix]
        return symbols[::-1]


def prefix_beam_search(
    log_probs: np.ndarray,
    *,
    beam_size: int,
    language_model: SymbolModel | None = None,
    lm_weight: float = 0.0,
    length_bonus: float = 0.0,
    least: float = LEAST,
) -> list[Reading]:
    r"""The likeliest texts, found by following the ``beam_size`` likeliest beginnings from step to step.

    All paths of a beginning are summed, those that end in a blank apart from those that end in its last symbol: only
    behind a blank can that symbol come twice. Ranked, and reported, is

    .. math::
        \log p_\text{ctc}(y) + \alpha \log p_\text{lm}(y, \text{end}) + \beta |y|

    Args:
        log_probs: ``[T, V]``; a symbol that must not be written has ``-inf``.
        beam_size: how many beginnings are followed. With enough of them, and ``least`` 0, the search is exact.
        language_model: scores texts.
        lm_weight: :math:`\alpha`.
        length_bonus: :math:`\beta`, for each symbol: a language model makes every symbol less likely.
        least: symbols below this probability at a step are not tried there.

    Returns:
        At most ``beam_size`` readings, best first; at least one.

    Raises:
        OptionError: ``beam_size`` below 1, or a weight without a language model.
        RunError: a log-probability is NaN.

    References:
        Hannun et al. 2014, First-pass large vocabulary continuous speech recognition using bi-directional recurrent
        DNNs, algorithm 1; Graves & Jaitly 2014.

    Example:
        The likeliest path is blank twice; three paths that read 1 are likelier together.

        >>> log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])
        >>> best_path(log_probs).symbols, prefix_beam_search(log_probs, beam_size=4)[0].symbols
        ([], [1])
    """
    if beam_size < 1:
        raise OptionError(f"prefix_beam_search: expected beam_size of at least 1, got {beam_size}.")
    if lm_weight and language_model is None:
        raise OptionError(f"prefix_beam_search: expected a language model with lm_weight {lm_weight}, got none.")
    model = language_model if lm_weight else None
    tree = _Prefixes(log_probs.shape[1], model, lm_weight, length_bonus)
    beam = [(0, 1.0, 0.0)]  # beginning, and the probability of its paths that end in a blank, and in its last symbol
    scale = 0.0  # of them all, a logarithm: the likeliest beginning always has 1
    for probabilities in np.exp(_checked(log_probs, np.float64)):
        beam, largest = _next_step(tree, beam, probabilities, beam_size, least)
        scale += math.log(largest)
    found = [Reading(tree.text(one), math.log(p + q) + scale + tree.end(one)) for one, p, q in beam]
    return sorted(found, key=lambda reading: -reading.score)


def _next_step(
    tree: _Prefixes, beam: list[tuple[int, float, float]], probabilities: np.ndarray, beam_size: int, least: float
) -> tuple[list[tuple[int, float, float]], float]:
    """The best beginnings after one more step ``[V]``, the best of them with probability 1, and what it had."""
    tried = np.flatnonzero(probabilities[1:] >= max(least, 5e-324)) + 1
    each = probabilities.tolist()
    # A beginning is known by its key, so that those which do not stay need no place in the tree.
    after = {}
    for prefix, blank, repeated in beam:
        last = tree.symbols[prefix]
        after[tree.keys[prefix]] = ((blank + repeated) * each[BLANK], repeated * each[last] if last >= 0 else 0.0)
    # So many stay with at least this: what is new and has less is not among the best.
    bound = min(p + q for p, q in after.values()) if len(beam) >= beam_size else 0.0
    symbols = [(symbol, each[symbol]) for symbol in tried.tolist()]
    for prefix, blank, repeated in beam if symbols else ():
        both, last, factors, first = blank + repeated, tree.symbols[prefix], tree.factors(prefix), prefix * tree.size
        for symbol, probability in symbols:
            value = (blank if symbol == last else both) * probability * factors[symbol]
            there = after.get(first + symbol)
            if there is not None:
                after[first + symbol] = (there[0], there[1] + value)
            elif value > bound:
                after[first + symbol] = (0.0, value)
    best = heapq.nlargest(beam_size, after.items(), key=lambda one: one[1][0] + one[1][1])
    largest = sum(best[0][1])
    if largest == 0:
        raise RunError("prefix_beam_search: expected a symbol that is possible at each step, got none. "
                       "The scores are no log-probabilities.")  # fmt: skip
    return [(tree.at(key), p / largest, q / largest) for key, (p, q) in best if p + q > 0], largest


def align(log_probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Where each symbol of a text is, on its likeliest path (Viterbi): first step and the one after the last.

    Args:
        log_probs: ``[T, V]``.
        targets: the text, ``[S]`` numbers of symbols.

    Returns:
        ``[S, 2]`` int64. Blanks stand between the spans, so they need not touch.

    Raises:
        DataError: fewer steps than the text needs, or no path of it is possible.
        RunError: a log-probability is NaN.

    Example:
        >>> align(np.log([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), np.array([1, 1])).tolist()
        [[0, 2], [3, 4]]
    """
    targets = np.asarray(targets, dtype=np.int64)
    T, S = len(log_probs), len(targets)
    if (needed := steps_needed(targets)) > T:
        raise DataError(f"align: expected at least {needed} steps for {S} symbols, got {T}. Give a longer sequence.")
    if not S:
        return np.zeros((0, 2), dtype=np.int64)
    states = np.zeros(2 * S + 1, dtype=np.int64)  # a blank before, between and behind the symbols
    states[1::2] = targets
    may_skip = np.zeros(2 * S + 1, dtype=bool)  # the blank before it
    may_skip[3::2] = targets[1:] != targets[:-1]
    emitted = _checked(log_probs, np.float64)[:, states]  # [T, 2S+1]
    best = np.full(2 * S + 1, -np.inf)
    best[:2] = emitted[0, :2]
    moves = np.zeros((T, 2 * S + 1), dtype=np.int8)  # how many states back each one came from
    for t in range(1, T):
        from_before = np.concatenate([[-np.inf], best[:-1]])
        skipped = np.where(may_skip, np.concatenate([[-np.inf, -np.inf], best[:-2]]), -np.inf)
        ways = np.stack([best, from_before, skipped])
        moves[t] = ways.argmax(0)
        best = ways.max(0) + emitted[t]
    state = 2 * S if best[-1] >= best[-2] else 2 * S - 1
    if best[state] == -np.inf:
        raise DataError("align: expected a text that the scores allow, got one of probability 0. Check its symbols.")
    path = np.zeros(T, dtype=np.int64)
    for t in range(T - 1, -1, -1):
        path[t] = state
        state -= int(moves[t, state])
    places = 2 * np.arange(S) + 1
    return np.stack([np.searchsorted(path, places), np.searchsorted(path, places, side="right")], 1)


def steps_needed(targets: np.ndarray) -> int:
    """The fewest steps in which a text ``[S]`` can be written: one a symbol, and a blank between two equal ones.

    >>> steps_needed(np.array([1, 1, 2])), steps_needed(np.array([]))
    (4, 0)
    """
    return len(targets) + int((targets[1:] == targets[:-1]).sum())


def _checked(log_probs: np.ndarray, dtype: Any = None) -> np.ndarray:
    if log_probs.ndim != 2:
        raise OptionError(f"ctc: expected log-probabilities [T, V], got shape {log_probs.shape}. Pass one sequence.")
    if np.isnan(log_probs).any():
        raise RunError("ctc: expected log-probabilities, got NaN. The model has diverged; train with a lower rate.")
    return log_probs if dtype is None else log_probs.astype(dtype)
