"""Where the input of a model can be changed by a little: its numbers, or the vectors that stand for its tokens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatewise.errors import ShapeError
from gatewise.models.forecaster import Forecaster
from gatewise.models.language_model import LanguageModel
from gatewise.models.seq2seq import Seq2Seq
from gatewise.models.tagger import Tagger
from gatewise.models.text_classifier import TextClassifier
from gatewise.nn.spectrogram import LogMel
from gatewise.types import Batch, Outputs

OF_TOKENS = (TextClassifier, Tagger, LanguageModel, Seq2Seq)


class Entry(NamedTuple):
    """What one sequence is to a model, at the first place where it is differentiable.

    Attributes:
        x: ``[T, ...]``: the input itself; of tokens their vectors ``[T, E]``; of sound the frames ``[T', M]`` after
            :class:`~gatewise.nn.spectrogram.LogMel`; of strokes that a model brings to its own points, these points.
        baseline: the same with nothing in it: zeros, of sound the mean frame of the training data.
        run: from other such inputs ``[P, T, ...]`` to the model's outputs, ``P`` rows.
        of: ``"input"``, ``"tokens"``, ``"frames"`` or ``"points"``.
    """

    x: Tensor
    baseline: Tensor
    run: Callable[[Tensor], Outputs]
    of: str


def entry_of(model: nn.Module, batch: Batch, state: Any = None) -> Entry:
    """The entry of a model for the one sequence of a batch.

    The outputs are those of ``model(batch, state)`` where ``run`` is given ``x``; everything else stays as it is.

    Args:
        model: as a task trains it, ``model(batch, state=None) -> Outputs``; in evaluation, inside
            :func:`~gatewise.training.gradients.evaluated` where gradients are taken.
        batch: of one row.
        state: the recurrent state that it reads on from; None for none.

    Raises:
        ShapeError: more than one row, or a sequence without steps.
    """
    if len(batch.lengths) != 1 or int(batch.lengths[0]) < 1:
        raise ShapeError(f"entry_of: expected one sequence with at least a step, got lengths {batch.lengths.tolist()}.")
    for part in model.modules():
        if isinstance(part, OF_TOKENS):
            return _after(model, part.input_dropout, batch, state, "tokens")
        if isinstance(part, LogMel):
            return _after(model, part, batch, state, "frames", shift=None if part.norm is None else part.norm.bias)
        if getattr(part, "uneven", False):
            return _after(model, part, batch, state, "points")
    first = batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs[0]
    x = first[0]

    def run(points: Tensor) -> Outputs:
        rows = repeated(batch, len(points))
        inputs = points if isinstance(batch.inputs, Tensor) else rows.inputs._replace(past=points)
        return model(rows._replace(inputs=inputs), _state_rows(state, len(points)))  # type: ignore[no-any-return]

    return Entry(x, _empty(model, x), run, "input")


def _empty(model: nn.Module, x: Tensor) -> Tensor:
    """Zeros; of a window of a series the marks of what was observed stay: they are no part of what is explained."""
    baseline = torch.zeros_like(x)
    for part in model.modules():
        if isinstance(part, Forecaster):
            channels = part.layout.num_channels
            baseline[:, channels : 2 * channels] = x[:, channels : 2 * channels]
    return baseline


def _after(
    model: nn.Module, part: nn.Module, batch: Batch, state: Any, of: str, *, shift: Tensor | None = None
) -> Entry:
    """The entry at the output of a part of the model."""
    seen: list[Tensor] = []

    def watch(_module: nn.Module, _args: Any, output: Any) -> None:
        frames, lengths = output if isinstance(output, tuple) else (output, None)
        seen.append(frames[0] if lengths is None else frames[0, : int(lengths[0])])

    with torch.no_grad(), _hooked(part, watch):
        model(batch, state)
    x = seen[0].detach()

    def run(points: Tensor) -> Outputs:
        def put(_module: nn.Module, _args: Any, output: Any) -> Any:
            return (points, None) if isinstance(output, tuple) else points

        with _hooked(part, put):
            return model(repeated(batch, len(points)), _state_rows(state, len(points)))  # type: ignore[no-any-return]

    baseline = torch.zeros_like(x) if shift is None else shift.detach().to(x).expand_as(x).clone()
    return Entry(x, baseline, run, of)


@contextmanager
def _hooked(part: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handle = part.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def repeated(batch: Batch, rows: int) -> Batch:
    """The one row of a batch, so many times; without targets."""
    inputs = _rows(batch.inputs, rows)
    return Batch(inputs, batch.lengths.expand(rows))


def _rows(value: Any, rows: int) -> Any:
    if isinstance(value, Tensor):
        return value.expand(rows, *value.shape[1:])
    return type(value)(*(_rows(part, rows) for part in value)) if isinstance(value, tuple) else value


def _state_rows(state: Any, rows: int) -> Any:
    """The states ``[D, 1, H]`` of each layer for so many rows."""
    if isinstance(state, Tensor):
        return state.expand(state.shape[0], rows, *state.shape[2:]).contiguous()
    if state is None:
        return None
    parts = [_state_rows(part, rows) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
