"""The plain data that passes between modules. Nothing here has behaviour beyond moving to a device.

Batches and outputs are NamedTuples, not dataclasses: torch's and Lightning's own tools (data parallelism, casting to a
precision) look into tuples.

Shape letters, everywhere: ``B`` batch, ``T`` time, ``I`` input features, ``H`` hidden units, ``P`` projection,
``G`` gates, ``D`` directions, ``L`` layers, ``K`` classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class State(NamedTuple):
    """Hidden state and cell state, ``h`` first as in torch.

    Of a module: ``[L*D, B, P or H]`` and ``[L*D, B, H]``, layer-major.
    """

    h: Tensor
    c: Tensor


class Example(NamedTuple):
    """One encoded sequence and what should come out of it, ready for a batch.

    Attributes:
        input: ``[T, I]`` float32, token numbers ``[T]`` int64, or a NamedTuple of arrays that all begin with ``T``.
        target: a class number, a vector ``[K]``, values per step ``[T, K]``, numbers per step ``[T]`` or of a sequence
            of its own ``[S]``, or None.
        follows: it carries on where the example before it ended: a stretch of a longer sequence.
        reference: the answer as it was read, where the target has lost something of it (a text that was cut, unknown
            words); else None.
    """

    input: Any
    target: Any = None
    follows: bool = False
    reference: Any = None

    @property
    def steps(self) -> int:
        """``T``."""
        return len(self.input if isinstance(self.input, np.ndarray) else self.input[0])


class Words(NamedTuple):
    """The words of a text and how they are spelt, by numbers; arrays in an example, tensors in a batch.

    ``words [T]`` or ``[B, T]``, ``characters [T, C]`` or ``[B, T, C]``, zero beyond each word's last character.
    """

    words: Any
    characters: Any


class Pair(NamedTuple):
    """The tokens of a source ``[B, T]``, and of its answer ``[B, S]``; None where there is no answer yet.

    The answer is shifted by one: it begins with ``BOS`` and lacks its last token.
    """

    source: Any
    shifted: Any = None


class Window(NamedTuple):
    """A stretch of a series and what is known of the steps after it; arrays in an example, tensors in a batch.

    ``C`` steps are context, ``h`` steps are to be forecast, ``K`` channels of the series. A batch has ``[B, ...]``.

    Attributes:
        past: ``[C, I]`` float32: ``K`` scaled values, 0 where unobserved; ``K`` times 1 where observed, else 0; then
            covariates known until now, those known ahead, and features of the calendar.
        future: ``[h, F]`` float32, may be ``F = 0``: those known ahead, and features of the calendar, as in ``past``.
        static: ``[S]`` float32, may be ``S = 0``: what does not change within a series.
        loc, scale: ``[K]`` float64: a value in units of the data is ``scaled * scale + loc``.
        naive_error: ``[K]`` float64: mean absolute error of the seasonal naive forecast of one step in all of the
            series before the steps to be forecast, in units of the data (the denominator of MASE); NaN if unknown.
    """

    past: Any
    future: Any
    static: Any
    loc: Any
    scale: Any
    naive_error: Any = None


class Batch(NamedTuple):
    """Several examples, padded.

    Attributes:
        inputs: ``[B, T, I]``, or token numbers ``[B, T]``; a task with several inputs uses a NamedTuple of tensors.
        lengths: ``[B]`` int64, real steps of each row. Padding may hold anything.
        targets: ``[B]``, ``[B, K]``, ``[B, T]``, ``[B, T, K]`` or ``[B, S]``; None when only predictions are wanted.
        target_lengths: None for one target a row, ``lengths`` itself for one a step, else its own.
        continues: ``[B]`` bool, rows that carry on the state of the batch before; None for none of them.
        references: the answers as they were read, where the targets have lost something of them.
    """

    inputs: Any
    lengths: Tensor
    targets: Tensor | None = None
    target_lengths: Tensor | None = None
    continues: Tensor | None = None
    references: list[Any] | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(*(_to_device(part, device) for part in self))


def _to_device(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(*(_to_device(part, device) for part in value)) if isinstance(value, tuple) else value


class Outputs(NamedTuple):
    """What a model returns.

    Attributes:
        scores: ``[B, K]``, or ``[B, T, K]`` for an answer per step; before any softmax. Of a conditional random field
            ``[B, T, K, K]``: from the tag before to the tag at each step, transitions added.
        lengths: ``[B]``, valid steps of per-step scores.
        state: the recurrent state after the last step, to carry on from; None where a model has none.
        encoded: ``[B, T, D*H]``, what a decoder attends to; None where nobody asks.
        attention: shares that the answer gives to the steps of the input: ``[B, T]``, or ``[B, S, T]`` for an answer
            of ``S`` steps; zero in the padding. Of sound to its frames ``[B, F]``. None where a model does not attend.
        penalty: what the model itself adds to the mean loss in training (activation regularisation); else None.
        attended: ``[B]``, valid steps of ``attention`` where it is not of the steps of the input; else None.
    """

    scores: Tensor
    lengths: Tensor
    state: Any = None
    encoded: Tensor | None = None
    attention: Tensor | None = None
    penalty: Tensor | None = None
    attended: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """A summed loss and how many targets it was summed over: means over ragged batches are then exact.

    ``count`` may be fractional: class weights count an example by its weight.
    """

    total: Tensor
    count: Tensor | float


class Prediction(NamedTuple):
    """An answer.

    Attributes:
        value: a label, a number, a list of either, or a text.
        probabilities: one float a class, in the order of the adapter's labels; None where there are none.
        attention: which share of it comes from each step of the input ``[T]``, of sound from each frame of the model
            ``[F]``, evenly over the recording, or one such row for each of its own steps ``[S][T]``; None where the
            model does not attend.
        quantiles: of a forecast, pairs of a level between 0 and 1 and the values at it ``[h, K]``, in units of the
            data like ``value``; None where there are none.
        naive_error: of a forecast ``[K]``, that of its window (:class:`Window`); None elsewhere.
        spans: of a transcript ``[S, 2]``, for each character the first step of the input that it was read from and
            the one after the last; None elsewhere.
    """

    value: Any
    probabilities: Sequence[float] | None = None
    attention: Any = None
    quantiles: Sequence[tuple[float, Any]] | None = None
    naive_error: Any = None
    spans: Any = None


@dataclass(frozen=True)
class Results:
    """Everything that a metric may look at: mean loss, predictions and references of a whole data set, in its order.

    ``references`` holds what ``Prediction.value`` should have been, in the same form.
    """

    loss: float
    predictions: list[Prediction]
    references: list[Any]


class Monitor(NamedTuple):
    """The metric by which the best epoch is chosen, and whether ``"max"`` or ``"min"`` is better."""

    metric: str
    mode: str
