"""One network learns one problem: fresh sequences at every step, until it is solved or the steps are spent."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from gatewise.errors import OptionError
from gatewise.experiments.gradients import Reach, reach
from gatewise.experiments.models import Network, seeded
from gatewise.experiments.problems import Judged, Problem

RIGHT = 0.99
"""Share of fresh sequences that must be right for a problem to count as solved."""
RECENT = 2000
"""Sequences looked back on while learning, each seen before its own update, as in the paper."""
TEST = 2560
"""Fresh sequences of the test that decides, as many as in the paper."""
TEST_ROWS = 256  # of them at a time: memory
CURVE = 200  # points of a learning curve, at most

Watch = Callable[[int, float], None]
"""Is told after each stretch of steps: the step, and the share of recent sequences that were right."""


@dataclass(frozen=True)
class Settings:
    """How every network of an experiment learns.

    Args:
        hidden_size: units.
        batch_size: fresh sequences a step.
        lr: of Adam, constant.
        clip: largest norm of the gradient; longer ones are shortened to it.
        steps: at most so many; 0 measures gradients at the start alone.
        minutes: of processor time, all threads together, that a network may take at most. How far that goes depends on
            the machine: a network that it ends is not finished, and counts neither as solved nor as failed.

    Raises:
        OptionError: a value is out of range.
    """

    hidden_size: int = 32
    batch_size: int = 32
    lr: float = 0.01
    clip: float = 1.0
    steps: int = 3000
    minutes: float = 30.0

    def __post_init__(self) -> None:
        for name, least in (("hidden_size", 1), ("batch_size", 1), ("steps", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"experiment: expected {name} to be a whole number from {least}, got {value!r}.")
        for name in ("lr", "clip", "minutes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise OptionError(f"experiment: expected {name} to be above 0, got {value!r}.")


@dataclass(frozen=True)
class Finished:
    """What came of one network.

    Attributes:
        model, length, seed: which.
        end: ``"solved"``, or why it stopped without: ``"steps"``, ``"diverged"``, or ``"time"``, which means that it
            was not finished.
        steps: taken. ``sequences``: seen in them.
        right: share of the test that is right; NaN without steps, as error and loss.
        error: mean error over the test, as the problem measures it.
        loss: mean loss of the test.
        seconds: of learning, tests included, by the clock; ``cpu_seconds`` by the processor.
        parameters: of the network.
        curve_step, curve_loss, curve_right: learning curves: means over the stretch that ends at the step.
        start, after: how far gradients reach before the first step and after the last; ``after`` None without steps.
    """

    model: str
    length: int
    seed: int
    end: str
    steps: int
    sequences: int
    right: float
    error: float
    loss: float
    seconds: float
    cpu_seconds: float
    parameters: int
    curve_step: list[int]
    curve_loss: list[float]
    curve_right: list[float]
    start: Reach
    after: Reach | None

    @property
    def solved(self) -> bool:
        """Whether it was."""
        return self.end == "solved"

    @property
    def complete(self) -> bool:
        """Whether it went to its end; else processor time ran out, which says nothing about the network."""
        return self.end != "time"


class _Curve:
    """Means over stretches of steps."""

    def __init__(self, stretch: int) -> None:
        self.stretch = stretch
        self.step: list[int] = []
        self.loss: list[float] = []
        self.right: list[float] = []
        self._part: list[tuple[float, float]] = []

    def add(self, step: int, loss: float, right: float, *, last: bool) -> bool:
        """Whether a stretch is complete."""
        self._part.append((loss, right))
        if step % self.stretch and not last:
            return False
        losses, rights = zip(*self._part, strict=True)
        self.step.append(step)
        self.loss.append(_rounded(sum(losses) / len(losses)))
        self.right.append(_rounded(sum(rights) / len(rights)))
        self._part = []
        return True


def learn(
    problem: Problem, model: str, length: int, seed: int, settings: Settings, *, watch: Watch | None = None
) -> Finished:
    """One network on one problem of one length.

    Solved is a problem when, as in the paper, the last 2,000 sequences were right before the network learnt from them
    (99 % of them here), and then 99 % of 2,560 fresh ones are.

    Args:
        problem: what to learn.
        model: a name in :data:`gatewise.experiments.models.MODELS`.
        length: ``T``.
        seed: of weights and data; the same seed has the same data for every model.
        settings: how.
        watch: is told of progress.

    Returns:
        What came of it. The same arguments give the same numbers, time apart, unless time ran out.
    """
    network = seeded(model, problem, length=length, hidden_size=settings.hidden_size, seed=seed)
    fresh, test, probe = (Generator().manual_seed(1000 * (seed + 1) + part) for part in range(3))
    start = reach(network, problem, length, probe)
    began, began_cpu = time.perf_counter(), time.process_time()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
    curve = _Curve(max(1, -(-settings.steps // CURVE)))
    recent: deque[float] = deque(maxlen=-(-RECENT // settings.batch_size))
    step, end, tested = 0, "steps", None
    while step < settings.steps:
        step += 1
        judged = _step(network, problem, length, settings, optimizer, fresh)
        loss, right = judged.loss.item(), judged.right.float().mean().item()
        recent.append(right)
        late = time.process_time() - began_cpu > 60 * settings.minutes
        done = curve.add(step, loss, right, last=step == settings.steps or late)
        if watch is not None and done:
            watch(step, curve.right[-1])
        if not math.isfinite(loss):
            end = "diverged"
            break
        if len(recent) == recent.maxlen and sum(recent) / len(recent) >= RIGHT:
            tested = _test(network, problem, length, test)
            if tested[0] >= RIGHT:
                end = "solved"
                break
            recent.clear()
        if late:
            end = "time"
            break
    if end != "solved":
        tested = _test(network, problem, length, test) if step else (math.nan,) * 3
    assert tested is not None
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    right, error, loss = tested
    return Finished(
        model=model,
        length=length,
        seed=seed,
        end=end,
        steps=step,
        sequences=step * settings.batch_size,
        right=right,
        error=error,
        loss=loss,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        parameters=sum(p.numel() for p in network.parameters()),
        curve_step=curve.step,
        curve_loss=curve.loss,
        curve_right=curve.right,
        start=_rounded_reach(start),
        after=_rounded_reach(reach(network, problem, length, probe)) if step else None,
    )


def _step(
    network: Network,
    problem: Problem,
    length: int,
    settings: Settings,
    optimizer: torch.optim.Optimizer,
    generator: Generator,
) -> Judged:
    inputs, lengths, targets = problem.draw(settings.batch_size, length, generator, True)
    judged = problem.judge(network(inputs, lengths), targets)
    optimizer.zero_grad()
    judged.loss.backward()  # type: ignore[no-untyped-call]
    norm: Tensor = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
    if torch.isfinite(norm):  # a gradient that has exploded beyond all numbers teaches nothing
        optimizer.step()
    return judged


@torch.no_grad()
def _test(network: Network, problem: Problem, length: int, generator: Generator) -> tuple[float, float, float]:
    """Share right, mean error and mean loss over fresh sequences."""
    parts = []
    for _ in range(TEST // TEST_ROWS):
        inputs, lengths, targets = problem.draw(TEST_ROWS, length, generator, True)
        judged = problem.judge(network(inputs, lengths), targets)
        parts.append((judged.right.float().mean().item(), judged.errors.mean().item(), judged.loss.item()))
    right, error, loss = (sum(column) / len(parts) for column in zip(*parts, strict=True))
    return right, error, loss


def _rounded(value: float) -> float:
    """Five digits that matter: small in a file."""
    return float(f"{value:.5g}")


def _rounded_reach(measured: Reach) -> Reach:
    return Reach(measured.lags, [_rounded(v) for v in measured.inputs], [_rounded(v) for v in measured.state])
