"""Beam search: the likeliest answers of a model that writes token by token."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gatewise.errors import OptionError, RunError
from gatewise.sequences import BOS, EOS

S = TypeVar("S")


class Hypothesis(NamedTuple):
    """An answer.

    Its tokens without the end; the sum of their log-probabilities and that of the end; where it was asked for, one row
    of attention ``[T]`` a token.
    """

    tokens: list[int]
    score: float
    attention: list[list[float]] | None = None


class _Ended(NamedTuple):
    """A hypothesis that has ended: behind the row ``row`` of step ``step``."""

    ranked: float
    score: float
    step: int
    row: int


class _Trail:
    """What every step chose, to be followed back."""

    def __init__(self) -> None:
        self.tokens: list[list[int]] = []  # of each step's rows, the token that led there
        self.parents: list[list[int]] = []  # and the row of the step before that it came from
        self.attention: list[Tensor] = []  # of each step, what its rows looked at [N, T]

    def follow(self, ended: _Ended) -> tuple[list[int], list[int]]:
        """The tokens and, for each, the row that chose it."""
        tokens, rows, row = [], [], ended.row
        for step in range(ended.step, 0, -1):
            tokens.append(self.tokens[step][row])
            row = self.parents[step][row]
            rows.append(row)
        return tokens[::-1], rows[::-1]

    def hypotheses(self, finished: list[list[_Ended]]) -> list[list[Hypothesis]]:
        looked = [part.float().cpu().numpy() for part in self.attention]

        def read(ended: _Ended) -> Hypothesis:
            tokens, rows = self.follow(ended)
            shares = [looked[step][row].tolist() for step, row in enumerate(rows)] if looked else None
            return Hypothesis(tokens, ended.score, shares)

        return [[read(ended) for ended in sorted(of_row, key=lambda one: -one.ranked)] for of_row in finished]


@torch.no_grad()
def beam_search(
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    state: S,
    *,
    rows: int,
    beam_size: int,
    max_length: int | Sequence[int],
    reorder: Callable[[S, Tensor, Tensor | None], S],
    length_penalty: float = 0.0,
    attention: Callable[[S], Tensor] | None = None,
    bos: int = BOS,
    eos: int = EOS,
    device: torch.device | str = "cpu",
) -> list[list[Hypothesis]]:
    r"""The best answers for each row, found by following the ``beam_size`` best beginnings.

    A beginning whose end is among the ``beam_size`` best continuations is put aside as finished. A row is done when
    ``beam_size`` have finished, or when no open one can beat the best that has; it then leaves the batch. At
    ``max_length`` only the end may follow. Finished ones are ranked by

    .. math::
        \frac{\log p(y)}{((5 + |y|) / 6)^\alpha}

    with the end counted in :math:`|y|`. One beam is greedy search. Of equals the first is taken: of the better
    beginning, then of the smaller token.

    Args:
        step: the latest token of each open answer, ``[N]``, and the state to log-probabilities ``[N, V]`` of the next
            and the state then. What may not follow has ``-inf``. At first ``N`` is ``rows``, later a multiple of the
            rows that are not done.
        state: at the beginning.
        rows: how many answers are sought.
        beam_size: how many beginnings are followed for each.
        max_length: most tokens of an answer without its end; one number, or one a row.
        reorder: the state with other rows: ``(state, rows [N], kept)`` where ``rows`` says which of the state's rows
            each one carries on from, and ``kept``, unless it is None, which of the sought answers are not done.
        length_penalty: :math:`\alpha`; 0 prefers short answers, for each token makes them less likely.
        attention: from a state what its rows have just looked at, ``[N, T]``; None: hypotheses have none.
        bos: token that every answer begins behind.
        eos: token that ends an answer.
        device: where ``step`` takes its tokens.

    Returns:
        Up to ``beam_size`` hypotheses for each row, best first; at least one, unless no end can be reached.

    Raises:
        OptionError: an option is out of range.
        RunError: a log-probability is NaN.

    References:
        Sutskever, Vinyals & Le 2014; Wu et al. 2016, equation 14 (length penalty, without coverage).

    Example:
        With a :class:`~gatewise.models.seq2seq.Seq2Seq`, its outputs (in evaluation) and the batch they are of::

            source, lengths = batch.inputs.source, batch.lengths
            found = beam_search(
                model.step,
                model.start(outputs.encoded, lengths, source),
                rows=len(source),
                beam_size=model.beam_size,
                max_length=model.max_answer,
                reorder=model.reorder,
                length_penalty=model.length_penalty,
                attention=lambda state: state.attention,
                device=source.device,
            )
            best = [of_row[0] for of_row in found]  # tokens, score, attention [S][T with padding]

        A model without memory, in which token 1 ends an answer and token 2 is the likeliest:

        >>> log_probs = torch.tensor([0.0, 0.3, 0.7]).log()
        >>> def step(tokens, state): return log_probs.expand(len(tokens), 3), state
        >>> [best, *_], = beam_search(
        ...     step, None, rows=1, beam_size=3, max_length=4, reorder=lambda state, rows, kept: state, bos=0, eos=1)
        >>> best.tokens, round(best.score, 4)
        ([], -1.204)
    """
    limits = [max_length] * rows if isinstance(max_length, int) else list(max_length)
    _check_options(rows, beam_size, limits, length_penalty)
    trail = _Trail()
    finished: list[list[_Ended]] = [[] for _ in range(rows)]
    sought = list(range(rows))  # the answers that are not done
    tokens = torch.full((rows,), bos, device=device)
    scores = torch.zeros(rows, 1, device=device)  # [R, K], of the open ones
    trail.tokens.append([])
    trail.parents.append([])
    for length in range(max(limits, default=-1) + 1):
        if not sought:
            break
        log_probs, state = step(tokens, state)
        if attention is not None:
            trail.attention.append(attention(state))
        stop = [limits[row] <= length for row in sought]
        best = _continue(scores, log_probs, stop, beam_size=beam_size, eos=eos)
        penalty = ((6 + length) / 6) ** length_penalty
        for place, row, score in best.ended:
            finished[sought[place]].append(_Ended(score / penalty, score, length, row))
        stay = [
            place
            for place, (row, score) in enumerate(zip(sought, best.scores[:, 0].tolist(), strict=True))
            if not _done(finished[row], score / ((6 + limits[row]) / 6) ** length_penalty, beam_size)
        ]
        kept = None if len(stay) == len(sought) else torch.tensor(stay, dtype=torch.int64, device=device)
        sought = [sought[place] for place in stay]
        scores, parents, tokens = (part if kept is None else part[kept] for part in best[:3])
        parents, tokens = parents.flatten(), tokens.flatten()
        trail.parents.append(parents.tolist())
        trail.tokens.append(tokens.tolist())
        if sought:
            state = reorder(state, parents, kept)
    return trail.hypotheses(finished)


class _Best(NamedTuple):
    """The best ways to go on, ``[R, K']`` each, and which hypotheses end: place of the answer, row, score."""

    scores: Tensor
    parents: Tensor
    tokens: Tensor
    ended: list[tuple[int, int, float]]


def _continue(scores: Tensor, log_probs: Tensor, stop: list[bool], *, beam_size: int, eos: int) -> _Best:
    """The best continuations of ``scores [R, K]`` by ``log_probs [N, V]``; where ``stop [R]``, only ends."""
    R, K = scores.shape
    V = log_probs.shape[1]
    candidates = scores.to(torch.promote_types(log_probs.dtype, torch.float32))[:, :, None] + log_probs.view(R, K, V)
    if any(stop):
        goes_on = torch.arange(V, device=log_probs.device) != eos
        stopped = torch.tensor(stop, device=log_probs.device)[:, None, None]
        candidates = candidates.masked_fill(stopped & goes_on, -torch.inf)
    # At most K of them end, so this many hold beam_size that do not, where there are so many.
    values, index = first_best(candidates.flatten(1), min(beam_size + K, K * V))
    if bool(values[:, 0].isnan().any()):
        raise RunError("beam_search: expected log-probabilities, got NaN. The model has diverged; train with a lower "
                       "learning rate.")  # fmt: skip
    rows = index // V + torch.arange(R, device=index.device)[:, None] * K
    tokens = index % V
    ends = tokens == eos
    among_best = ends[:, :beam_size] & (values[:, :beam_size] > -torch.inf)
    ended = []
    if bool(among_best.any()):
        places, _ = among_best.nonzero(as_tuple=True)
        found = (part[:, :beam_size][among_best].tolist() for part in (rows, values))
        ended = list(zip(places.tolist(), *found, strict=True))
    open_ones = ends.to(torch.int8).sort(dim=1, stable=True).indices[:, : min(beam_size, K * (V - 1))]
    return _Best(values.gather(1, open_ones), rows.gather(1, open_ones), tokens.gather(1, open_ones), ended)


def first_best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest of each row, largest first, and where they are; of equals the first.

    :func:`torch.topk` leaves open which of equals it takes.

    >>> first_best(torch.tensor([[1.0, 3.0, 1.0, 3.0, 1.0]]), 3)
    (tensor([[3., 3., 1.]]), tensor([[1, 3, 0]]))
    """
    size = scores.shape[1]
    values, index = scores.topk(min(k + 1, size), dim=1)
    if k < size:
        least = values[:, k - 1 : k]
        tied = ((least == values[:, k:]) & (least > -torch.inf)).squeeze(1)
        if bool(tied.any()):
            some, least = scores[tied], least[tied]
            from_the_end = torch.arange(size - 1, -1, -1, device=scores.device)
            # All above the least, then the first of its equals; fewer than k are above.
            preference = torch.where(some > least, size, torch.where(some == least, from_the_end, -1))
            index[tied, :k] = preference.topk(k, dim=1).indices
    index = index[:, :k].sort(dim=1).values
    values, order = scores.gather(1, index).sort(dim=1, descending=True, stable=True)
    return values, index.gather(1, order)


def _done(finished: list[_Ended], bound: float, beam_size: int) -> bool:
    """``bound``: what the best open one is worth if it ends as late as it may, without losing anything more."""
    if bound == -torch.inf or len(finished) >= beam_size:
        return True
    return bool(finished) and bound <= max(one.ranked for one in finished)


def _check_options(rows: int, beam_size: int, limits: list[int], length_penalty: float) -> None:
    if beam_size < 1:
        raise OptionError(f"beam_search: expected beam_size of at least 1, got {beam_size}. 1 is greedy search.")
    if not length_penalty >= 0:
        raise OptionError(f"beam_search: expected length_penalty of at least 0, got {length_penalty}.")
    if len(limits) != rows or min(limits, default=0) < 0:
        raise OptionError(f"beam_search: expected max_length of at least 0 for each of {rows} rows, got {limits}.")
