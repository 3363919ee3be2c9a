"""The memory horizon: how strongly an answer, and the loss, depend on what was seen some steps before.

The gradient of a score by the input of each step is exact; its length says how much a small change there would move the
score. Over many sequences the mean length by distance is a curve, and how far back half and nine tenths of it lie are
its figures. From where the distance counts depends on the answer:

- one answer a sequence: from the last step (``"end"``); where a layer reads backwards too, also from the first
  (``"beginning"``) and from the nearer of both (``"ends"``)
- an answer a step: from the step that is answered, back (``"past"``) and, where the model looks ahead, ahead
  (``"future"``), averaged over some steps
- an answer pooled over the steps of an encoder (mean, maximum, attention): such an answer sees every step at once, and
  distances from an end say little. What single steps pass on to it does say how far the encoder remembers: likewise
  back and ahead (``"passed past"``, ``"passed future"``)
- a forecast: from its first step back (``"forecast"``)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.lstm import LSTM
from gatewise.training.gradients import evaluated

STEPS = 8  # answers a row whose gradients are taken, where there is one a step


@dataclass(frozen=True)
class Horizon:
    """How strongly answers depend on what was seen at each distance.

    Attributes:
        name: from where the distance counts: ``"end"``, ``"beginning"``, ``"ends"``, ``"past"``, ``"future"``,
            ``"passed past"``, ``"passed future"`` or ``"forecast"``.
        lags: ``[K']`` distances in steps, ascending; of a forecast from 1, ahead from 1, else from 0.
        influence: ``[K']`` mean length of the gradient of an answer by the input at that distance, over the answers
            that have a step there; divided by :attr:`scale`, so that the largest is 1. All 0 where nothing matters.
        scale: the largest mean length, in units of the score by those of the input.
        counts: ``[K']`` how many steps the mean is over.
        half, ninety: within how many steps half and nine tenths of the summed lengths lie, of all answers together;
            between whole steps by a straight line. NaN where nothing matters.
        loss_influence, loss_scale, loss_half, loss_ninety: likewise of the loss; None and NaN where there is none.
    """

    name: str
    lags: np.ndarray
    influence: np.ndarray
    scale: float
    counts: np.ndarray
    half: float
    ninety: float
    loss_influence: np.ndarray | None = None
    loss_scale: float = float("nan")
    loss_half: float = float("nan")
    loss_ninety: float = float("nan")


class Answered(NamedTuple):
    """A batch that a model has answered, still in its graph.

    Attributes:
        x: what the answers are differentiated by, ``[B, T, ...]``; requires a gradient.
        lengths: ``[B]`` int64, real steps of ``x``: the first ones of a row, or the last ones if ``at_the_end``.
        scores: what is differentiated: ``[B]``, or ``[B, T']`` for an answer a step.
        losses: the loss of each of them in the same shape, or a function from step numbers ``[B]`` to ``[B]``; None:
            there is none.
        answer_lengths: ``[B]`` int64, real steps of ``T'``; None for one answer a row.
        encoded: ``[B, T', F]``, the steps that a pool made the answer of, in the graph; None where nobody asks.
        encoded_lengths: ``[B]``, real steps of it.
        at_the_end: padding stands before the real steps.
    """

    x: Tensor
    lengths: Tensor
    scores: Tensor
    losses: Tensor | Callable[[Tensor], Tensor] | None = None
    answer_lengths: Tensor | None = None
    encoded: Tensor | None = None
    encoded_lengths: Tensor | None = None
    at_the_end: bool = False


class Curves:
    """Sums of influence by distance, over as many batches as one likes, in the memory of the longest.

    Args:
        looks_ahead: whether a layer reads backwards. (Convolutions may look ahead a little too, and that is seen.)
        steps: answers a row whose gradients are taken, where there is one a step.
        seed: of which those are.
    """

    def __init__(self, *, looks_ahead: bool, steps: int = STEPS, seed: int = 0) -> None:
        if steps < 1:
            raise OptionError(f"steps: expected at least 1, got {steps}. It counts answers of a row.")
        self.looks_ahead, self.steps = looks_ahead, steps
        self.random = np.random.default_rng(seed)
        self.sums: dict[str, _Sums] = {}
        self.answers = 0

    def add(self, found: Answered) -> None:
        """Takes in a batch."""
        if found.answer_lengths is not None:
            self._add_steps(found)
            return
        losses = found.losses
        assert not callable(losses)
        norms = _influence(found.scores, found.x)
        loss_norms = None if losses is None else _influence(losses, found.x)
        place, left, real = _places(found)
        self.answers += int((found.lengths > 0).sum())
        if found.at_the_end:
            self._put("forecast", left + 1, real, norms, loss_norms)
            return
        if found.encoded is not None and found.encoded_lengths is not None:
            self._add_passed(found, found.encoded, found.encoded_lengths)
        if self.looks_ahead:
            self._put("ends", torch.minimum(place, left), real, norms, loss_norms)
        self._put("end", left, real, norms, loss_norms)
        if self.looks_ahead:
            self._put("beginning", place, real, norms, loss_norms)

    def _add_steps(self, found: Answered) -> None:
        lengths = found.answer_lengths
        assert lengths is not None
        for _ in range(self.steps):
            low, high = (lengths // 4, -(-3 * lengths // 4)) if self.looks_ahead else (lengths // 2, lengths)
            at = self._drawn(low, high)  # not near an end, beyond which there is nothing to depend on
            scores = _at(found.scores, at)
            losses = found.losses
            if losses is not None:
                losses = losses(at) if callable(losses) else _at(losses, at)
            norms = _influence(scores, found.x)
            loss_norms = None if losses is None else _influence(losses, found.x)
            self._put_around("", found, at, lengths, norms, loss_norms)
            self.answers += int((lengths > 0).sum())

    def _add_passed(self, found: Answered, encoded: Tensor, lengths: Tensor) -> None:
        """What single steps of an encoder pass on to the pooled score, drawn by how much that is."""
        (to_answer,) = torch.autograd.grad(
            found.scores.sum(), encoded, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        if not to_answer.any():  # the answer is made of the last state alone
            return
        sizes = to_answer.detach().norm(dim=2).cpu().double()  # [B, T']
        for _ in range(self.steps):
            at = self._drawn_by(sizes).to(encoded.device)
            direction = nn.functional.normalize(_at(to_answer, at), dim=1)
            norms = _influence((_at(encoded, at) * direction).sum(1), found.x)
            self._put_around("passed ", found, at, lengths, norms, None)

    def _put_around(
        self, prefix: str, found: Answered, at: Tensor, lengths: Tensor, norms: Tensor, loss_norms: Tensor | None
    ) -> None:
        place, _, real = _places(found)
        now = ((at + 1) * found.lengths // lengths.clamp(min=1) - 1)[:, None]  # a stem may have shortened the row
        self._put(f"{prefix}past", now - place, real & (place <= now), norms, loss_norms)
        self._put(f"{prefix}future", place - now, real & (place > now), norms, loss_norms)

    def _put(self, name: str, lags: Tensor, real: Tensor, norms: Tensor, loss_norms: Tensor | None) -> None:
        real, lags = real.cpu(), lags.cpu()
        of_loss = None if loss_norms is None else loss_norms[real].numpy()
        self.sums.setdefault(name, _Sums()).add(lags[real].numpy(), norms[real].numpy(), of_loss)

    def _drawn(self, low: Tensor, high: Tensor) -> Tensor:
        """One number a row from ``low`` up to below ``high``."""
        where = self.random.random(len(low)) * (high - low).clamp(min=1).cpu().numpy()
        return low + torch.from_numpy(where.astype(np.int64)).to(low.device)

    def _drawn_by(self, sizes: Tensor) -> Tensor:
        """One step a row, as likely as its size; the first where all are 0."""
        until = sizes.cumsum(1).numpy()
        drawn = self.random.random(len(until)) * until[:, -1]
        found = [np.searchsorted(row, value, side="right") for row, value in zip(until, drawn, strict=True)]
        return torch.tensor([min(int(step), sizes.shape[1] - 1) for step in found])

    def horizons(self) -> tuple[Horizon, ...]:
        """The curves so far; one that is zero throughout is left out unless it is the first."""
        made = [sums.horizon(name) for name, sums in self.sums.items() if sums.counts.any()]
        return tuple(one for place, one in enumerate(made) if place == 0 or one.scale > 0)


class _Sums:
    """Sums and counts by distance, growing with the largest."""

    def __init__(self) -> None:
        self.answers, self.losses = np.zeros(0), np.zeros(0)
        self.counts = np.zeros(0, np.int64)
        self.with_loss = False

    def add(self, lags: np.ndarray, norms: np.ndarray, loss_norms: np.ndarray | None) -> None:
        if not len(lags):
            return
        missing = int(lags.max()) + 1 - len(self.counts)
        if missing > 0:
            self.answers, self.losses = np.pad(self.answers, (0, missing)), np.pad(self.losses, (0, missing))
            self.counts = np.pad(self.counts, (0, missing))
        size = len(self.counts)
        self.counts += np.bincount(lags, minlength=size)
        self.answers += np.bincount(lags, norms, size)
        if loss_norms is not None:
            self.losses += np.bincount(lags, loss_norms, size)
            self.with_loss = True

    def horizon(self, name: str) -> Horizon:
        lags = np.flatnonzero(self.counts)
        lags = np.arange(lags[0], lags[-1] + 1)
        counts = self.counts[lags]
        influence, scale = _curve(self.answers[lags], counts)
        half, ninety = (within(self.answers[lags], share) for share in (0.5, 0.9))
        if not self.with_loss:
            return Horizon(name, lags, influence, scale, counts, half, ninety)
        sums = self.losses[lags]
        of_loss, loss_scale = _curve(sums, counts)
        return Horizon(
            name, lags, influence, scale, counts, half, ninety,
            of_loss, loss_scale, within(sums, 0.5), within(sums, 0.9),
        )  # fmt: skip


def _curve(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """Means that are 1 at the largest, and what it was."""
    means = sums / np.maximum(counts, 1)
    scale = float(means.max())
    return means / (scale or 1.0), scale


def within(sums: np.ndarray, share: float) -> float:
    """Within how many steps, the nearest first, a share of the total lies; NaN of a total of 0.

    >>> within(np.array([2.0, 1.0, 1.0]), 0.5), within(np.array([2.0, 1.0, 1.0]), 0.9)
    (1.0, 2.6)
    """
    until = np.concatenate([[0.0], np.cumsum(sums)])
    if not until[-1] > 0:
        return float("nan")
    wanted = share * until[-1]
    step = int(np.searchsorted(until, wanted))  # the first by which it is reached
    return float(round(step - 1 + (wanted - until[step - 1]) / sums[step - 1], 9))


def _influence(values: Tensor, x: Tensor) -> Tensor:
    """The length ``[B, T]`` float64 of the gradient of each row's value by each of its steps, on the CPU."""
    (gradient,) = torch.autograd.grad(values.sum(), x, retain_graph=True, allow_unused=True, materialize_grads=True)
    wide = gradient.detach().cpu().double()  # Apple's GPU has no float64
    return wide.abs() if wide.ndim == 2 else wide.flatten(2).norm(dim=2)


def _places(found: Answered) -> tuple[Tensor, Tensor, Tensor]:
    """Of each step of ``x`` its number within the row, how many follow it there, and whether it is real: ``[B, T]``."""
    steps = found.x.shape[1]
    t = torch.arange(steps, device=found.x.device)[None]
    lengths = found.lengths[:, None]
    place = t - (steps - lengths) if found.at_the_end else t.expand(len(found.x), -1)
    return place, lengths - 1 - place, (place >= 0) & (place < lengths)


def _at(values: Tensor, steps: Tensor) -> Tensor:
    """``[B, T, ...]`` at one step a row."""
    if values.shape[1] == 0:
        return values.sum(1)
    return values[torch.arange(len(values), device=values.device), steps.clamp(0, values.shape[1] - 1)]


def reads_backwards(model: nn.Module) -> bool:
    """Whether a recurrent layer inside it is bidirectional."""
    return any(module.bidirectional for module in model.modules() if isinstance(module, LSTM | nn.RNNBase))


def memory_horizon(
    module: nn.Module,
    x: Tensor,
    lengths: Tensor | None = None,
    *,
    target: int | Sequence[int] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[Horizon, ...]:
    """How far back the answers of a model of one's own reach, from exact gradients.

    Args:
        module: called as ``module(x, lengths=lengths)``, without ``lengths`` where there are none; gives scores
            ``[B, K]``, or ``[B, T, K]`` for an answer a step. It runs in evaluation; its mode is put back.
        x: numbers ``[B, T, I]``; of tokens give the embedded ones. Padding may hold anything.
        lengths: ``[B]``, or None for all ``T``.
        target: which of the ``K`` scores, or one for each row; None for the largest.
        loss: from the scores to losses ``[B]`` or ``[B, T]``, of every row, and step, by itself; None for none.
        steps: answers a row whose gradients are taken, where there is one a step: so many backward passes.
        seed: of which those are.

    Returns:
        The main horizon first; see the module for what there may be.

    Raises:
        ShapeError: ``x`` or the scores have another shape, or ``x`` is not floating.
        OptionError: ``steps`` is below 1.

    Example:
        >>> class Mean(nn.Module):
        ...     def forward(self, x):
        ...         return x.mean(1)
        >>> (horizon,) = memory_horizon(Mean(), torch.randn(3, 10, 2), target=0)
        >>> horizon.half, horizon.influence.tolist() == [1.0] * 10
        (5.0, True)
    """
    if x.ndim < 2 or not x.is_floating_point():
        raise ShapeError(f"memory_horizon: expected numbers of shape (batch, time, features), got {tuple(x.shape)} of "
                         f"{x.dtype}. Of tokens give the embedded ones.")  # fmt: skip
    curves = Curves(looks_ahead=reads_backwards(module), steps=steps, seed=seed)
    every = torch.full((len(x),), x.shape[1], device=x.device)
    real = every if lengths is None else lengths.to(x.device, torch.int64)
    with evaluated(module):
        leaf = x.detach().clone().requires_grad_()
        scores = module(leaf) if lengths is None else module(leaf, lengths=lengths)
        if not isinstance(scores, Tensor) or scores.ndim not in (2, 3) or len(scores) != len(x):
            raise ShapeError(f"memory_horizon: expected scores (batch, classes) or (batch, time, classes), got "
                             f"{tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__}. "
                             "Wrap the module so that it gives scores.")  # fmt: skip
        losses = None if loss is None else loss(scores)
        chosen = _chosen(scores, target)
        curves.add(Answered(leaf, real, chosen, losses, real if scores.ndim == 3 else None))
    return curves.horizons()


def _chosen(scores: Tensor, target: int | Sequence[int] | None) -> Tensor:
    """One of the ``K`` scores of every answer: ``[B, ..., K]`` to ``[B, ...]``."""
    if target is None:
        return scores.amax(-1)
    number = torch.as_tensor(target, device=scores.device)
    number = number.expand(len(scores)).view(-1, *[1] * (scores.ndim - 1))
    return scores.gather(-1, number.expand(*scores.shape[:-1], 1)).squeeze(-1)
