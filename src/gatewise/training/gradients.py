"""Watches the gradients of a training: how long they are, and whether they explode or vanish on the way back.

Lengths come with every step: clipping needs them anyway. How far a gradient reaches is measured on a few sequences, at
the ends of epochs 1, 2, 3, 5, 9, 17 and so on, in evaluation: nothing random is drawn and no weight changes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.backends import cudnn

from gatewise.models.forecaster import Forecaster
from gatewise.nn.attention import LastState
from gatewise.nn.lstm import LSTM
from gatewise.sequences import mask_of_lengths
from gatewise.tasks.task import Task
from gatewise.training.checkpoint import Progress
from gatewise.types import Batch, Example, Outputs, Window

ROWS = 8  # sequences on which the reach is measured
TENTHS = 10  # parts of a sequence that are compared
SPIKE = 100.0  # times the usual length of the first epoch: exploding, where nothing shortens it
LONG = 1000.0  # usual length, in units of what it is shortened to (or of 1): exploding in any case
LOST = 1e-7  # share of the gradient that float32 loses in a sum with the rest: vanishing


class Entered(NamedTuple):
    """A batch that a model has answered, and where its gradient may be taken.

    Attributes:
        x: ``[B, T, ...]``, requires a gradient: the numbers that went in; of tokens, sounds and pictures the vectors
            that the encoder read.
        lengths: ``[B]``, real steps of ``x``.
        outputs: of the model.
        numbers: whether ``x`` is the input itself.
        at_the_end: padding stands before the real steps (windows of series).
    """

    x: Tensor
    lengths: Tensor
    outputs: Outputs
    numbers: bool
    at_the_end: bool


def entered(model: nn.Module, batch: Batch) -> Entered:
    """Runs a model so that it can be differentiated by what it reads, step by step.

    Args:
        model: as a task runs it; what it wraps, ``model.model``, has an ``encoder`` where it does not read numbers.
        batch: on the model's device.
    """
    inputs, dtype = batch.inputs, next(model.parameters()).dtype
    if isinstance(inputs, Window):
        x = inputs.past.to(dtype, copy=True).requires_grad_()
        return Entered(x, batch.lengths, _run(model, batch._replace(inputs=inputs._replace(past=x))), True, True)
    if isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.ndim == 3:
        x = inputs.to(dtype, copy=True).requires_grad_()
        return Entered(x, batch.lengths, _run(model, batch._replace(inputs=x)), True, False)
    seen: list[tuple[Tensor, Tensor]] = []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x = args[0].detach().clone().requires_grad_()
        lengths = args[1] if len(args) > 1 else None
        seen.append((x, torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths))
        return (x, *args[1:])

    handle = model.get_submodule("model.encoder").register_forward_pre_hook(enter)
    try:
        outputs = _run(model, batch)
    finally:
        handle.remove()
    return Entered(*seen[0], outputs, False, False)


def _run(model: nn.Module, batch: Batch) -> Outputs:
    """With scores in the dtype in which Fabric hands them to a loss, also of a model in float64."""
    outputs: Outputs = model(batch)
    return outputs._replace(scores=outputs.scores.to(torch.get_default_dtype()))


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """The model in evaluation and differentiable, on every device: cuDNN's recurrent layers are not, there."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.enable_grad(), cudnn.flags(enabled=False):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No gradient is computed for the parameters: only what else asks for one costs time."""
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)


class Reach(NamedTuple):
    """How the gradient of the loss is spread over a sequence.

    Attributes:
        least: the mean length of the gradient in the tenth of a sequence that gets least, by that in the one that gets
            most; the median of some sequences.
        tenth: which that is, from 0.
        steps: of the longest of them.
    """

    least: float
    tenth: int
    steps: int


def reach(task: Task, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Reach | None:
    """How far the gradient of the loss gets, on a few examples; None where none of them has ten steps."""
    places = np.linspace(0, len(examples) - 1, min(ROWS, len(examples))).round().astype(int)
    batch = task.collate([examples[place] for place in places]).to(device)
    with evaluated(model), frozen(model):
        entry = entered(model, batch)
        total = task.loss(entry.outputs, batch).total
        if not total.requires_grad:  # nothing of these examples can be learnt
            return None
        (gradient,) = torch.autograd.grad(total, entry.x, allow_unused=True, materialize_grads=True)
    norms = gradient.cpu().double().flatten(2).norm(dim=2).numpy()  # Apple's GPU has no float64
    real = mask_of_lengths(entry.lengths, norms.shape[1])
    if isinstance(batch.inputs, Window):  # padded before their first step; what was not observed has no gradient
        channels = batch.inputs.loc.shape[1]
        real = real.flip(1) & (batch.inputs.past[..., channels : 2 * channels] > 0).any(2)
    return _spread(norms, real.cpu().numpy())


def _spread(norms: np.ndarray, real: np.ndarray) -> Reach | None:
    """From lengths of gradients ``[B, T]``, where they are real, to what the poorest tenth of a row gets."""
    shares, steps = [], 0
    for row, counts in zip(norms, real, strict=True):
        values = row[counts]
        tenths = [part.mean() for part in np.array_split(values, TENTHS)] if len(values) >= TENTHS else []
        if tenths and math.isfinite(max(tenths)) and max(tenths) > 0:
            shares.append(np.array(tenths) / max(tenths))
            steps = max(steps, len(values))
    if not shares:
        return None
    least = [row.min() for row in shares]
    middling = shares[int(np.argsort(least)[len(least) // 2])]
    return Reach(float(middling.min()), int(middling.argmin()), steps)


class Watch:
    """Lengths of the gradients of an epoch, and what a user should know of them, said once a training each.

    What it remembers is part of the :class:`~gatewise.training.checkpoint.Progress`, so that a training that goes on
    says what it would have said.

    Args:
        clip_norm: to which gradients are shortened; 0 for never.
        lr: learning rate, to be named.
    """

    def __init__(self, clip_norm: float, lr: float) -> None:
        self.clip_norm, self.lr = clip_norm, lr
        self.pending: list[Tensor] = []

    def take(self, norm: Tensor) -> None:
        """The length of a step's gradient, before it is shortened; on its device, nobody waits for it."""
        self.pending.append(norm.detach())

    def settle(self, progress: Progress) -> None:
        """Puts what was taken into the progress."""
        if self.pending:
            progress.norms += torch.stack(self.pending).tolist()
            self.pending = []

    def end_epoch(self, progress: Progress) -> tuple[float | None, float | None, list[str]]:
        """The mean length, the share of steps that were shortened, and notes; forgets the epoch."""
        self.settle(progress)
        # In float16 a length may be infinite: that step is left out.
        norms = np.array([norm for norm in progress.norms if math.isfinite(norm)])
        progress.norms = []
        if not len(norms):
            return None, None, []
        if progress.usual_norm is None:
            progress.usual_norm = float(np.median(norms))
        clipped = float((norms > self.clip_norm).mean()) if self.clip_norm else None
        return float(norms.mean()), clipped, self._exploding(progress, norms)

    def _exploding(self, progress: Progress, norms: np.ndarray) -> list[str]:
        usual, median = progress.usual_norm or 0.0, float(np.median(norms))
        long = median > LONG * (self.clip_norm or 1.0)
        spike = not self.clip_norm and usual > 0 and norms.max() > SPIKE * max(usual, median)
        grown = usual > 0 and median > SPIKE * usual
        if "exploding" in progress.warned or not (long or spike or grown):
            return []
        progress.warned.append("exploding")
        seen = f"the longest in epoch {progress.epoch} has a length of {norms.max():,.3g}, the usual one {median:,.3g}"
        if progress.epoch > 1:
            seen += f", in the first epoch {usual:,.3g}"
        advice = f"Lower train.lr (now {self.lr:g})"
        if not self.clip_norm:
            advice = f"Shorten them with train.clip_norm (now 0; 1 is usual), or lower train.lr (now {self.lr:g})"
        return [f"Gradients explode: {seen}. {advice}"]

    def wants_reach(self, progress: Progress, model: nn.Module) -> bool:
        """Whether to measure it at the end of this epoch, ``progress.epoch`` of them being over.

        Only where an answer is made of the last state, to which all gradients must go back. Elsewhere they enter at
        every step, and a step without any is one that the model is sure of, or does not attend to.
        """
        before = progress.epoch - 1
        if "vanishing" in progress.warned or before & (before - 1) != 0:
            return False
        return any(isinstance(module, LastState | Forecaster) for module in model.modules())

    def vanishing(self, progress: Progress, found: Reach | None, model: nn.Module) -> list[str]:
        """A note where twice running a part of the sequence got no gradient to speak of."""
        lost = found is not None and found.least < LOST
        twice, progress.lost = lost and progress.lost, lost
        if found is None or not twice:
            return []
        progress.warned.append("vanishing")
        where = "beginning" if found.tenth < 3 else "middle" if found.tenth < 7 else "end"
        size = f"less than {LOST:g}" if found.least == 0 else f"{found.least:.1g}"
        return [
            f"Gradients vanish: the {where} of a sequence of {found.steps:,} steps gets {size} times the gradient of "
            f"other parts, and nothing is learnt from it. If it matters: {_advice(model)}"
        ]


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The length of the gradient of all parameters together; on their device."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def _advice(model: nn.Module) -> str:
    """What may help a gradient on its way, by what the model has not yet; settings by name."""
    layers = [m for m in model.modules() if isinstance(m, LSTM | nn.RNNBase)]
    found = []
    if any(isinstance(layer, nn.RNN) for layer in layers):
        found.append('model.encoder "lstm"')
    if any(isinstance(module, LastState) for module in model.modules()):
        found.append('model.pool "mean" or "attention"')
        if not any(layer.bidirectional for layer in layers):
            found.append("model.bidirectional true")
    if any(isinstance(module, Forecaster) for module in model.modules()):
        found.append("a larger model.patch_size")
    return ", ".join([*found, "or a training on shorter sequences first (init)"])
