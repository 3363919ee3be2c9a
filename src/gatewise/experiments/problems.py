r"""The founding problems, drawn fresh: what is shown, what is asked, and when an answer is right.

After Hochreiter & Schmidhuber 1997, *Long short-term memory*, section 5 (adding, noise, order), and Arjovsky, Shah &
Bengio 2016, *Unitary evolution recurrent neural networks*, section 4.1 (copy). Their lengths are free here; at those of
the papers the data are those of the papers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from gatewise.errors import OptionError, did_you_mean

COPIED = 10  # symbols to copy
DISTRACTORS = 50  # p of task 2c: symbols that mean nothing


class Sample(NamedTuple):
    """Sequences and what should come out of them.

    ``inputs [T, B, I]`` float32, zero beyond each row's own end; ``lengths [B]`` int64; ``targets``: ``[B]`` float32 or
    int64 for an answer at the end, ``[T, B]`` int64 for one at every step.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


class Judged(NamedTuple):
    """Of answers: the loss to descend ``[]``, the error of each row ``[B]``, and whether the row is right ``[B]``."""

    loss: Tensor
    errors: Tensor
    right: Tensor


Draw = Callable[[int, int, Generator, bool], Sample]
Judge = Callable[[Tensor, Tensor], Judged]


@dataclass(frozen=True)
class Problem:
    """A founding problem.

    Attributes:
        name: of the experiment.
        variant: of the paper's tasks, where there are several; else "".
        title: as a heading.
        input_size: ``I`` of a length.
        output_size: ``K``.
        shortest: least length.
        every_step: whether each step is answered, or the end alone.
        draw: ``(B, T, generator, vary) -> Sample``. T is the least length of a sequence (copy: the blank between); with
            ``vary`` rows are longer by chance, as in the paper, else they have exactly the least length.
        judge: ``(scores, targets) -> Judged``; scores ``[B, K]``, or ``[T, B, K]`` with ``every_step``.
        blind: the loss of the best answer that remembers nothing, at a length.
        task: one sentence: what is asked.
        criterion: one sentence: when a sequence is right.
    """

    name: str
    variant: str
    title: str
    input_size: Callable[[int], int]
    output_size: Callable[[int], int]
    shortest: int
    every_step: bool
    draw: Draw
    judge: Judge
    blind: Callable[[int], float]
    task: str
    criterion: str


def draw_adding(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """The adding problem, section 5.4.

    Pairs of a value in [-1, 1] and a marker. Two pairs are marked 1: one of the first ten, and another one of the first
    ``T/2 - 1``; the first and the last pair are marked -1, all others 0. Where the first pair is one of the two, its
    value counts as zero. Asked for at the end is ``0.5 + (X1 + X2) / 4``, at least ``T/2`` steps later.
    """
    lengths = _lengths(batch_size, length, generator, vary)
    steps, rows = int(lengths.max()), torch.arange(batch_size)
    values = torch.rand(steps, batch_size, generator=generator) * 2 - 1
    first = torch.randint(0, 10, (batch_size,), generator=generator)
    second = torch.randint(0, length // 2 - 2, (batch_size,), generator=generator)
    second += second >= first  # one of the first T/2 - 1 that is not marked yet
    marks = torch.zeros(steps, batch_size)
    marks[first, rows] = marks[second, rows] = 1.0
    marks[0] = marks[lengths - 1, rows] = -1.0
    terms = [values[place, rows] * (place > 0) for place in (first, second)]
    inputs = torch.stack([values * _alive(lengths), marks], dim=2)
    return Sample(inputs, lengths, 0.5 + (terms[0] + terms[1]) / 4)


def draw_copy(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """Copy memory: ten symbols of eight, ``T - 1`` blanks, a mark, ten blanks; asked for in these last ten steps.

    Targets are ``T + 10`` blanks and then the ten symbols. All rows have ``T + 20`` steps.
    """
    symbols = torch.randint(0, 8, (COPIED, batch_size), generator=generator)
    tokens = torch.full((length + 2 * COPIED, batch_size), 8)  # 8: blank
    tokens[:COPIED] = symbols
    tokens[COPIED + length - 1] = 9  # from here on
    targets = torch.full_like(tokens, 8)
    targets[-COPIED:] = symbols
    return Sample(_one_hot(tokens, 10), torch.full((batch_size,), len(tokens)), targets)


def draw_noise_free(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """Task 2a: ``(y, a1 ... ap-1, y)`` or ``(x, a1 ... ap-1, x)``; each step predicts the next symbol.

    Only the last symbol takes memory: of the first one, ``p`` steps ago. ``T = p`` steps are seen; the symbols are
    0 to p-2 for a, then x and y.
    """
    kind = torch.randint(0, 2, (batch_size,), generator=generator)
    tokens = torch.arange(-1, length - 1).unsqueeze(1).repeat(1, batch_size)
    tokens[0] = length - 1 + kind
    targets = torch.cat([tokens[1:], tokens[:1]])
    return Sample(_one_hot(tokens, length + 1), torch.full((batch_size,), length), targets)


def draw_long_lag(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """Task 2c: ``b``, then ``x`` or ``y``, then at least ``q = T - 4`` distractors, then ``e``: which was it, x or y?

    After q distractors each further symbol is a distractor with probability 9/10, else the trigger ``e``. The answer is
    due when e is seen, so that ``T - 1`` steps or more are seen. Symbols: 50 distractors, e, b, x, y.
    """
    kind = torch.randint(0, 2, (batch_size,), generator=generator)
    more = torch.zeros(batch_size, dtype=torch.int64)
    if vary:
        chance = 1 - torch.rand(batch_size, generator=generator, dtype=torch.float64)  # in (0, 1]
        more = torch.floor(torch.log(chance) / math.log(0.9)).to(torch.int64)
    lengths = length - 1 + more
    steps, rows = int(lengths.max()), torch.arange(batch_size)
    tokens = torch.randint(0, DISTRACTORS, (steps, batch_size), generator=generator)
    tokens[0] = DISTRACTORS + 1
    tokens[1] = DISTRACTORS + 2 + kind
    tokens[lengths - 1, rows] = DISTRACTORS
    inputs = _one_hot(tokens, DISTRACTORS + 4) * _alive(lengths).unsqueeze(2)
    return Sample(inputs, lengths, kind)


def draw_two_sequences(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """Task 3a, N = 1: the first value tells the class, 1 or -1; noise of variance 0.2 follows on the same line."""
    lengths = _lengths(batch_size, length, generator, vary)
    kind = torch.randint(0, 2, (batch_size,), generator=generator)
    values = torch.randn(int(lengths.max()), batch_size, generator=generator) * math.sqrt(0.2)
    values[0] = 2.0 * kind - 1
    return Sample((values * _alive(lengths)).unsqueeze(2), lengths, kind)


def draw_order(
    batch_size: int, length: int, generator: Generator, vary: bool = True, *, places: tuple[float, ...] = (0.1, 0.5)
) -> Sample:
    """Temporal order, task 6a (6b with three places): which of X and Y came first, which second?

    ``E``, then symbols of a, b, c, d, then ``B``; at one step of each of the stretches ``[p T, p T + T/10]`` stands X
    or Y instead. Their order is the class, read as a binary number: XX is 0, XY 1, YX 2, YY 3. Symbols: a, b, c, d, E,
    B, X, Y.
    """
    lengths = _lengths(batch_size, length, generator, vary)
    steps, rows = int(lengths.max()), torch.arange(batch_size)
    tokens = torch.randint(0, 4, (steps, batch_size), generator=generator)
    tokens[0] = 4
    tokens[lengths - 1, rows] = 5
    kind = torch.zeros(batch_size, dtype=torch.int64)
    for place in places:
        start = round(place * length)
        at = torch.randint(start, start + length // 10 + 1, (batch_size,), generator=generator)
        which = torch.randint(0, 2, (batch_size,), generator=generator)
        tokens[at, rows] = 6 + which
        kind = 2 * kind + which
    return Sample(_one_hot(tokens, 8) * _alive(lengths).unsqueeze(2), lengths, kind)


def draw_order_of_three(batch_size: int, length: int, generator: Generator, vary: bool = True) -> Sample:
    """Task 6b: three symbols, eight classes."""
    return draw_order(batch_size, length, generator, vary, places=(0.1, 0.33, 0.66))


def _lengths(batch_size: int, length: int, generator: Generator, vary: bool) -> Tensor:
    """Uniform in ``T .. T + T/10``."""
    if not vary:
        return torch.full((batch_size,), length)
    return torch.randint(length, length + length // 10 + 1, (batch_size,), generator=generator)


def _alive(lengths: Tensor) -> Tensor:
    """``[T, B]``: 1 where a row has not ended, else 0."""
    return (torch.arange(int(lengths.max())).unsqueeze(1) < lengths).float()


def _one_hot(tokens: Tensor, symbols: int) -> Tensor:
    return F.one_hot(tokens, symbols).float()


def judge_sum(scores: Tensor, targets: Tensor) -> Judged:
    """Squared error; right below 0.04, as in section 5.4."""
    error = scores[:, 0] - targets
    return Judged(error.square().mean(), error.abs(), error.abs() < 0.04)


def judge_class(scores: Tensor, targets: Tensor, limit: float) -> Judged:
    """Cross-entropy; right if every class's probability is nearer than ``limit`` to 0 or 1, as it should be."""
    wanted = F.one_hot(targets, scores.shape[1])
    errors = (scores.softmax(1) - wanted).abs().amax(1)
    return Judged(F.cross_entropy(scores, targets), errors, errors < limit)


def judge_copy(scores: Tensor, targets: Tensor) -> Judged:
    """Cross-entropy over all steps; right if all ten symbols are. The error is the share of them that is wrong."""
    wrong = scores[-COPIED:].argmax(2) != targets[-COPIED:]
    return Judged(F.cross_entropy(scores.flatten(0, 1), targets.flatten()), wrong.float().mean(0), ~wrong.any(0))


def judge_next(scores: Tensor, targets: Tensor) -> Judged:
    """Cross-entropy over all steps; right if the last symbol's probabilities are nearer than 0.25 to what they are."""
    last = judge_class(scores[-1], targets[-1], 0.25)
    return last._replace(loss=F.cross_entropy(scores.flatten(0, 1), targets.flatten()))


def _within(limit: float) -> Judge:
    return lambda scores, targets: judge_class(scores, targets, limit)


PROBLEMS = {
    "adding": (
        Problem(
            "adding", "", "The adding problem", lambda length: 2, lambda length: 1, 20, False, draw_adding, judge_sum,
            lambda length: (1 + 0.9) / 3 / 16,
            "Two of many values are marked; their sum is asked for at the end.",
            "A sequence is right if the answer, scaled to 0 to 1, is less than 0.04 off.",
        ),
    ),
    "copy": (
        Problem(
            "copy", "", "Copy memory", lambda length: 10, lambda length: 9, 1, True, draw_copy, judge_copy,
            lambda length: COPIED * math.log(8) / (length + 2 * COPIED),
            "Ten symbols are shown and asked for again after a blank.",
            "A sequence is right if all ten symbols are.",
        ),
    ),
    "noise": (
        Problem(
            "noise", "2c", "Long time lag with noise", lambda length: DISTRACTORS + 4, lambda length: 2, 5, False,
            draw_long_lag, _within(0.2), lambda length: math.log(2),
            "x or y, then random symbols that mean nothing, then a trigger: which of the two was it?",
            "A sequence is right if both outputs are less than 0.2 off.",
        ),
        Problem(
            "noise", "2a", "Long time lag without noise", lambda length: length + 1, lambda length: length + 1, 3, True,
            draw_noise_free, judge_next, lambda length: math.log(2) / length,
            "A sequence that is always the same but for its first symbol, which returns at its end: what comes next?",
            "A sequence is right if every output at the last step is less than 0.25 off.",
        ),
        Problem(
            "noise", "3a", "Noise and signal on one line", lambda length: 1, lambda length: 2, 2, False,
            draw_two_sequences, _within(0.2), lambda length: math.log(2),
            "The first value tells the class, all others are noise on the same line.",
            "A sequence is right if both outputs are less than 0.2 off.",
        ),
    ),
    "order": (
        Problem(
            "order", "6a", "Temporal order", lambda length: 8, lambda length: 4, 20, False, draw_order, _within(0.3),
            lambda length: math.log(4),
            "Two of many symbols are X or Y, the others mean nothing: in which order did they come?",
            "A sequence is right if all four outputs are less than 0.3 off.",
        ),
        Problem(
            "order", "6b", "Temporal order of three", lambda length: 8, lambda length: 8, 20, False,
            draw_order_of_three, _within(0.3), lambda length: math.log(8),
            "Three of many symbols are X or Y, the others mean nothing: in which order did they come?",
            "A sequence is right if all eight outputs are less than 0.3 off.",
        ),
    ),
}  # fmt: skip
"""The experiments by name; the first variant of each is its default."""


def problem(name: str, variant: str | None = None) -> Problem:
    """A founding problem by its name, and by the paper's number where there are several.

    Raises:
        OptionError: there is none of this name or number.

    Example:
        >>> problem("order").variant, problem("order", "6b").output_size(100)
        ('6a', 8)
    """
    if name not in PROBLEMS:
        raise OptionError(
            f"experiment: expected one of {', '.join(PROBLEMS)}, got {name!r}. {did_you_mean(name, PROBLEMS)}"
        )
    offered = {each.variant: each for each in PROBLEMS[name]}
    if variant is None:
        return PROBLEMS[name][0]
    if variant not in offered or not variant:
        numbers = ", ".join(filter(None, offered))
        advice = f"Choose from {numbers}." if numbers else "Leave it out."
        raise OptionError(f"experiment {name}: expected --variant of the paper's tasks, got {variant!r}. {advice}")
    return offered[variant]
