"""`run.memory`: how far back the answers of a trained run reach, and how gradients get there."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.api.rows import Rows, checked_count, checked_rows, read_answered
from gatewise.data.batching import steps_of
from gatewise.data.series import SeriesData
from gatewise.errors import DataError, RunError
from gatewise.inspection.flow import GradientFlow, captured, flow_of
from gatewise.inspection.jacobian import StepSpectrum, spectra
from gatewise.inspection.memory import STEPS, Answered, Curves, Horizon, reads_backwards
from gatewise.models.forecaster import Forecaster
from gatewise.models.seq2seq import Seq2Seq
from gatewise.nn.crf import marginals, viterbi
from gatewise.reports.words import counted
from gatewise.tasks import Task
from gatewise.training.evaluate import OnBatch, follows
from gatewise.training.fit import make_fabric
from gatewise.training.gradients import Entered, entered, evaluated, frozen
from gatewise.training.threads import cpu_threads
from gatewise.types import Batch, Example, Outputs

if TYPE_CHECKING:
    from gatewise.api.run import Run

ROWS = 64  # sequences that are looked at, where nobody says which
TEXT_ROWS = 8  # long stretches of a text that is read on
FLOW_ROWS = 4  # of them, whose gradients are followed through every layer and step
AT_ONCE = 4096  # steps of input in a batch: bounds memory
JOINED = 512  # tokens of a text that is read on: its stretches are put together to so many
OF_TOKENS = ("text-classification", "tagging", "language-model")


@dataclass(frozen=True)
class Memory:
    """How far back the answers of a run reach.

    Attributes:
        horizons: the main one first; see :mod:`gatewise.inspection.memory` for what their names mean.
        spectrum: of every LSTM layer and direction, the largest singular value of the Jacobian of some steps.
        flow: |dL/dh_t| and |dL/dc_t| of every recurrent layer, for the sequences ``flow_rows``; of the loss, or of the
            answers' scores where there are no targets.
        flow_rows: which sequences those are.
        of: what was differentiated, in words.
        by: what it was differentiated by, in words.
        unit: what a distance counts: ``"step"``, ``"token"`` or ``"frame"``.
        rows: which sequences were looked at, counted from 0.
        answers: how many answers of them.
        words: what came out, in a few plain sentences.
    """

    horizons: tuple[Horizon, ...]
    spectrum: tuple[StepSpectrum, ...]
    flow: tuple[GradientFlow, ...]
    flow_rows: tuple[int, ...]
    of: str
    by: str
    unit: str
    rows: tuple[int, ...]
    answers: int
    words: str

    @property
    def horizon(self) -> Horizon:
        """The main one."""
        return self.horizons[0]


def memory(
    run: "Run",
    model: nn.Module,
    data: Any = None,
    targets: Any = None,
    *,
    rows: Rows | None = None,
    count: int | None = None,
    steps: int = STEPS,
    seed: int = 0,
    on_batch: OnBatch | None = None,
) -> Memory:
    """How strongly the answers, and the loss, depend on what was seen so many steps before.

    The time it takes grows with the number of rows and ``steps`` and the length of a sequence, not with the data.

    Args:
        run: a trained run.
        model: its model, as its task runs it.
        data: as in :func:`gatewise.train`; default: the run's own test file. With targets the loss is looked at too.
        targets: one a sequence, where ``data`` has none in it.
        rows: which sequences, counted from 0: one or several. Of a forecaster windows whose answers are known.
        count: how many, drawn by lot, where nobody says which; None for 64, or 8 stretches of 512 tokens of a text that
            is read on.
        steps: answers of a sequence that are looked at, where it has several.
        seed: of the lots.
        on_batch: told how many sequences were done.

    Raises:
        DataError: the data cannot be read, or are empty.
        OptionError: a row that there is not, or ``count`` or ``steps`` below 1.
        RunError: the run's model attends from one sequence to another, where distances mean nothing.
    """
    inner = model.get_submodule("model")
    if isinstance(inner, Seq2Seq):
        raise RunError(
            f"{run.path}: expected a model that reads one sequence, got a run of {run.config.task}, whose answers look "
            "anywhere in the source by attention. Look at the attention of its predictions."
        )
    drawn = checked_count(count, rows)
    read = read_answered(run, data, targets, windows=True)
    examples = run.adapter.encode(read)
    noun = "windows" if isinstance(read, SeriesData) else "stretches" if follows(examples) else read.noun
    if rows is None and len(examples):
        drawn = drawn or (TEXT_ROWS if follows(examples) else ROWS)
        rows = sorted(np.random.default_rng(seed).permutation(len(examples))[:drawn].tolist())
    chosen = checked_rows(rows, len(examples), source=read.source, noun=noun)
    settings = replace(run.config.train, device=run.device)
    device = make_fabric(settings, distributed=False).device
    model.to(device)
    reader = _Reader(run.task, inner)
    curves = Curves(looks_ahead=reads_backwards(inner.get_submodule("encoder")), steps=steps, seed=seed)
    random = np.random.default_rng([seed, 1])
    with cpu_threads(run.threads or settings.threads or 1), evaluated(model):
        with frozen(model):
            for some in _batches(examples, chosen):
                batch = run.task.collate([_joined(examples, row) for row in some]).to(device)
                for found in reader.answered(model, batch, random, steps):
                    curves.add(found)
                (on_batch or _nobody)(len(some))
        horizons = curves.horizons()
        few = [chosen[int(place)] for place in np.linspace(0, len(chosen) - 1, min(FLOW_ROWS, len(chosen)))]
        spectrum, flow = _inside(run.task, model, run.task.collate([_joined(examples, row) for row in few]).to(device))
    if not horizons:
        raise DataError(f"data: expected sequences with steps in them, got {counted(len(chosen), 'empty one')}.")
    return Memory(
        horizons, spectrum, flow, tuple(few), reader.of, reader.by, reader.unit, tuple(chosen), curves.answers,
        in_words(horizons, unit=reader.unit, length=float(np.median(reader.read))),
    )  # fmt: skip


def _nobody(sequences: int) -> None:
    """Nobody is told."""


def _joined(examples: Sequence[Example], row: int) -> Example:
    """A sequence; of a text that is read on, with the stretches that follow, up to :data:`JOINED` tokens."""
    example = examples[row]
    if not follows(examples):
        return example
    parts, steps = [example], example.steps
    while row + len(parts) < len(examples) and steps < JOINED and examples[row + len(parts)].follows:
        parts.append(examples[row + len(parts)])
        steps += parts[-1].steps
    tokens, following = (np.concatenate([getattr(part, name) for part in parts]) for name in ("input", "target"))
    return Example(tokens[:JOINED], following[:JOINED])


def _batches(examples: Sequence[Example], rows: list[int]) -> Iterator[list[int]]:
    """Rows of similar length together, :data:`AT_ONCE` steps at most in a batch of several."""
    if follows(examples):
        steps = dict.fromkeys(rows, JOINED)
    else:
        steps = dict(zip(rows, steps_of([examples[row] for row in rows]).tolist(), strict=True))
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: steps[row]):
        if batch and (len(batch) + 1) * steps[row] > AT_ONCE:
            yield batch
            batch = []
        batch.append(row)
    yield batch


# From a batch to answers that can be differentiated -------------------------------------------------------------------


class _Reader:
    """What is differentiated by what, for one task and model; ``by`` and ``unit`` are known after the first batch."""

    def __init__(self, task: Task, inner: Any) -> None:
        self.task, self.inner = task, inner
        self.read: list[int] = []  # steps of every row
        self.by, self.unit = "", "step"
        self.of = {
            "regression": "the number that is answered, scaled as in training",
            "forecasting": "the forecasts of single steps and channels, scaled as the model sees the series",
        }.get(task.name, "the score of the answer")

    def answered(self, model: nn.Module, batch: Batch, random: np.random.Generator, steps: int) -> Iterator[Answered]:
        """A batch answered; of a forecast once for each of some of its numbers."""
        entry = entered(model, batch)
        self.read += entry.lengths.tolist()
        if entry.numbers:
            self.by = "the numbers of each step, scaled as the model sees them"
        else:
            self.unit = "token" if self.task.name in OF_TOKENS else "frame"
            self.by = f"the vector of each {self.unit} that the first recurrent layer over them reads"
        if isinstance(self.inner, Forecaster):
            yield from self._forecasts(entry, batch, random, steps)
        else:
            yield self._answer(entry, batch, random)

    def _answer(self, entry: Entered, batch: Batch, random: np.random.Generator) -> Answered:
        x, lengths, outputs = entry[:3]
        scores, has_targets = outputs.scores, batch.targets is not None
        if scores.ndim == 2:
            losses = self.task.loss(outputs, batch).total[None] if has_targets else None
            return Answered(x, lengths, self._one(scores, random), losses, None, outputs.encoded, outputs.lengths)
        if scores.ndim == 4:
            path = nn.utils.rnn.pad_sequence(
                [torch.tensor(row, dtype=torch.int64) for row in viterbi(scores, outputs.lengths)], batch_first=True
            )
            path = nn.functional.pad(path, (0, scores.shape[1] - path.shape[1])).to(scores.device)
            # The first row: what is added there for the tag before depends on no input.
            one = scores[:, :, 0].gather(-1, path[..., None]).squeeze(-1)
            return Answered(x, lengths, one, _of_tags(scores, batch, outputs.lengths), outputs.lengths)
        per_step = has_targets and batch.targets.shape[:2] == scores.shape[:2] and self._stands_at_steps(batch)  # type: ignore[union-attr]
        losses_at = self._losses_at(outputs, batch) if per_step else None
        return Answered(x, lengths, self._one(scores, random), losses_at, outputs.lengths)

    def _one(self, scores: Tensor, random: np.random.Generator) -> Tensor:
        """The largest score, ``[B, ..., K]`` to ``[B, ...]``; of numbers one of them, drawn by lot."""
        if self.task.name != "regression":
            return scores.amax(-1)
        number = torch.from_numpy(random.integers(scores.shape[-1], size=scores.shape[:-1])).to(scores.device)
        return scores.gather(-1, number[..., None]).squeeze(-1)

    def _stands_at_steps(self, batch: Batch) -> bool:
        return batch.target_lengths is not None and torch.equal(batch.target_lengths, batch.lengths)

    def _losses_at(self, outputs: Outputs, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The loss of one step a row, ``[B]`` steps to a sum: that of a batch of sequences of one step."""

        def losses(at: Tensor) -> Tensor:
            assert batch.targets is not None
            row = torch.arange(len(at), device=at.device)
            real = (outputs.lengths > 0).to(torch.int64)
            one_step = Outputs(outputs.scores[row, at][:, None], real)
            answers = Batch(None, real, batch.targets[row, at][:, None], real)
            return self.task.loss(one_step, answers).total[None]

        return losses

    def _forecasts(self, entry: Entered, batch: Batch, random: np.random.Generator, steps: int) -> Iterator[Answered]:
        window, outputs = batch.inputs, entry.outputs
        loc, scale = self.inner.units(window)
        rows = outputs.scores if not self.inner.independent else _in_rows(outputs.scores)
        point = self.inner.in_windows(self.inner.likelihood.point(rows, loc, scale)[..., None])[..., 0]  # [B, h, K]
        losses = None if batch.targets is None else self.task.loss(outputs, batch).total[None]
        row = torch.arange(len(point), device=point.device)
        for _ in range(steps):
            step, channel = (torch.from_numpy(random.integers(size, size=len(point))) for size in point.shape[1:])
            chosen = point[row, step.to(point.device), channel.to(point.device)]
            yield Answered(entry.x, entry.lengths, chosen, losses, at_the_end=True)


def _in_rows(scores: Tensor) -> Tensor:
    """``[B, h, K, P]`` as ``[B*K, h, 1, P]``: each channel a row, as a forecaster that reads them alone has them."""
    return scores.transpose(1, 2).flatten(0, 1)[:, :, None]


def _of_tags(scores: Tensor, batch: Batch, lengths: Tensor) -> Callable[[Tensor], Tensor] | None:
    """The negative log-probability of the right tag of one step a row, given the whole row; None without tags."""
    if batch.targets is None:
        return None
    chances = marginals(scores, lengths)
    right = chances.gather(-1, batch.targets[..., None]).squeeze(-1)
    surprise = -right.clamp(min=torch.finfo(right.dtype).tiny).log()
    return lambda at: surprise[torch.arange(len(at), device=at.device), at]


# Gradients and Jacobians inside, and what they say --------------------------------------------------------------------


def _inside(task: Task, model: nn.Module, batch: Batch) -> tuple[tuple[StepSpectrum, ...], tuple[GradientFlow, ...]]:
    """The spectrum of the steps and the flow of the gradient, of a few rows."""
    with captured(model.get_submodule("model.encoder")) as calls:
        outputs = entered(model, batch).outputs
        if batch.targets is None:
            total = outputs.scores.amax(-1).sum()
        else:
            loss = task.loss(outputs, batch)
            total = loss.total / loss.count
    calls = [call._replace(name=f"encoder.{call.name}") for call in calls]
    return spectra(calls), flow_of(calls, total)


def in_words(horizons: Sequence[Horizon], *, unit: str, length: float) -> str:
    """What horizons say, in a few sentences.

    Args:
        horizons: the main one first.
        unit: what a distance counts.
        length: of a middling sequence, in units.
    """
    main = horizons[0]
    if not main.scale > 0:
        return "Nothing in the input moves the answers."
    sentences = {
        "end": "Half of what decides lies within the {last}, nine tenths within {ninety}, {long}.",
        "ends": "Half of what decides lies within {half} of either end, nine tenths within {ninety}, {long}.",
        "forecast": "Half of what decides a forecast lies within the {last} before it, nine tenths within {ninety}, "
        "{long}.",
        "past": "Half of what decides the answer to a {unit} lies within {own}, nine tenths within {ninety}.",
        "future": "Of what it knows of later {unit}s, half lies within {half}, nine tenths within {ninety}.",
        "passed past": "Of what the encoder passes on at a {unit}, half comes from {own}, nine tenths from {ninety}.",
        "passed future": "Of what it knows of later {unit}s, half lies within {half}, nine tenths within {ninety}.",
    }
    said = []
    for one in horizons:
        if one.name not in sentences or (one.name in ("end", "ends") and one is not main):
            continue
        half, last = math.ceil(one.half), f"last {_n(one.half, unit)}"
        parts = {
            "half": _n(one.half, unit),
            "ninety": _n(one.ninety),
            "last": f"last {unit}" if half == 1 else last,
            "own": f"the {unit} itself" if half == 1 else f"the {last} up to it",
            "long": f"in a sequence of {counted(math.ceil(length), unit)} (the median)",
            "unit": unit,
        }
        said.append(sentences[one.name].format(**parts))
    return " ".join(said)


def _n(steps: float, unit: str = "") -> str:
    """So many whole steps, with their noun."""
    return counted(math.ceil(steps), unit) if unit else f"{math.ceil(steps):,}"
