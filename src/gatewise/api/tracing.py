"""Traces and summaries of units of a trained run, with the sequences' own steps on the axis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gatewise.api.rows import Rows, picked, read_answered
from gatewise.api.steps import as_read, step_names
from gatewise.data.adapter import labels_of
from gatewise.errors import OptionError
from gatewise.inspection.trace import GATES, MAX_BYTES, Trace, recording
from gatewise.inspection.units import UnitCounter, UnitSummary
from gatewise.training.carry import Carry
from gatewise.training.evaluate import OnBatch, follows, measuring_order
from gatewise.training.files import write_atomic
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads
from gatewise.types import Batch, Example, Prediction

if TYPE_CHECKING:
    import polars

    from gatewise.api.run import Run

SUFFIXES = (".parquet", ".csv", ".npz")


@dataclass(frozen=True)
class RunTrace:
    """What happened inside a run's model while it read some sequences of a data set.

    Attributes:
        trace: every gate and state.
        axis: the name of each step of the input, a list for each sequence: tokens, sample numbers, times, frames.
        inputs: what stands at each step, an array for each sequence: ``[T, I]`` in units of the data, or token numbers
            ``[T]``.
        predictions: the run's answers.
        references: what the answers should have been; None without targets.
        rows: which sequences of the data set, counted from 0.
        steps: the stretch that was traced, ``(from, until)``; None for all. ``axis`` and ``inputs`` are cut to it.
    """

    trace: Trace
    axis: list[list[str]]
    inputs: list[np.ndarray]
    predictions: list[Prediction]
    references: list[Any] | None
    rows: list[int]
    steps: tuple[int, int] | None = None

    def table(self) -> "polars.DataFrame":
        """As :meth:`Trace.table`, with rows as the data set counts them, and ``at``, the name of the input's step.

        Where a stem shortens a sequence it is the first of the steps that the layer's step stands for.
        """
        import polars

        frame = self.trace.table().with_columns(polars.col("row").replace_strict(
            dict(enumerate(self.rows)), return_dtype=polars.Int64))  # fmt: skip
        first = 0 if self.steps is None else self.steps[0]
        names = []
        for layer in self.trace.layers:
            for row, number in enumerate(self.rows):
                cover = layer.covers(row * layer.repeats, int(self.trace.lengths[row]))[:, 0]
                places = (cover - first).clip(0, max(len(self.axis[row]) - 1, 0))
                at = [self.axis[row][place] for place in places] if self.axis[row] else [""] * len(places)
                names.append(
                    polars.DataFrame(
                        {
                            "row": np.full(len(at), number, np.int64),
                            "layer": [layer.name] * len(at),
                            "step": np.arange(len(at), dtype=np.int32) + layer.first,
                            "at": at,
                        }
                    ).with_columns(polars.col("layer").cast(frame.schema["layer"]))
                )
        return frame.join(polars.concat(names), on=["row", "layer", "step"], how="left", maintain_order="left")

    def arrays(self) -> dict[str, np.ndarray]:
        """As :meth:`Trace.arrays`, with ``rows``, and of each row ``axis/<row>`` and ``inputs/<row>``."""
        found = self.trace.arrays() | {"rows": np.array(self.rows, dtype=np.int64)}
        for row, axis, inputs in zip(self.rows, self.axis, self.inputs, strict=True):
            found |= {f"axis/{row}": np.array(axis, dtype=np.str_), f"inputs/{row}": inputs}
        return found

    def write(self, path: str | Path) -> Path:
        """Writes the table as ``.parquet`` or ``.csv``, or the arrays as ``.npz``; whole or not at all.

        Returns:
            The path.

        Raises:
            OptionError: another suffix.
        """
        from gatewise.api.predictions import write_frame

        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise OptionError(f'trace: expected a name ending in {", ".join(SUFFIXES)}, got "{path}".')
        if path.suffix != ".npz":
            write_frame(path, self.table())
            return path
        import io

        buffer = io.BytesIO()
        arrays: dict[str, Any] = self.arrays()
        np.savez_compressed(buffer, **arrays)
        write_atomic(path, buffer.getvalue())
        return path


def trace(
    run: "Run",
    data: Any = None,
    targets: Any = None,
    *,
    rows: Rows = 0,
    steps: tuple[int, int] | None = None,
    max_bytes: int = MAX_BYTES,
) -> RunTrace:
    """What happens inside the run's model, in evaluation, while it reads some sequences.

    Of a language model a row is a stretch of the text, read on from all that stands before it, as where it is measured.
    Of a forecaster it is a series, whose end is forecast; of data read with their targets, a window.

    Args:
        run: the trained run.
        data: as in :func:`gatewise.train`, or as ``run.read`` gave them; default: the run's own test file.
        targets: one a sequence, where ``data`` has none in it; they become ``references``.
        rows: which sequences, counted from 0: one or several.
        steps: a stretch ``(from, until)`` of each of them, traced without holding the rest; None for all.
        max_bytes: the most that the trace may take.

    Returns:
        The trace, with names for the steps.

    Raises:
        OptionError: a row or steps that there are not, a trace too large, or a model without LSTM layers.
        DataError: the data cannot be read, or do not fit the run.
    """
    chosen, whole = picked(run, read_answered(run, data, targets), rows)
    settings = replace(run.config.train, device=run.device)
    fabric = make_fabric(settings, distributed=False)
    model = fabric.setup_module(run._batch_model).eval()  # Fabric's wrapper begins in training mode
    with cpu_threads(run.threads or settings.threads or 1), torch.inference_mode():
        parts = [[one] for one in chosen] if follows(whole) else [chosen]
        traces, predictions, references = [], [], []
        for part in parts:
            batch = run.task.collate([one.example for one in part]).to(fabric.device)
            state = state_before(run, model, whole, part[0].row, fabric) if follows(whole) else None
            with recording(run.model, batch.lengths.cpu(), steps=steps, max_bytes=max_bytes) as found:
                outputs = model(batch, state)
            traces.append(found.trace(outputs))
            predictions += run.task.predict(model, batch, outputs)
            references += run.task.references(batch)
    first, until = steps or (0, None)
    return RunTrace(
        _joined(traces),
        [step_names(run, one.data, one.example, None)[first:until] for one in chosen],
        [as_read(run, one.data, one.example)[first:until] for one in chosen],
        predictions,
        references or None,
        [one.row for one in chosen],
        steps,
    )


def units(
    run: "Run", data: Any = None, targets: Any = None, *, on_batch: OnBatch | None = None
) -> tuple[UnitSummary, ...]:
    """What each unit of each LSTM layer does over a whole data set, in constant memory.

    Args:
        run: the trained run.
        data: as in :func:`gatewise.train`, or as ``run.read`` gave them; default: the run's own test file. With class
            labels the units are also compared with the classes.
        targets: one a sequence, where ``data`` has none in it.
        on_batch: told how many sequences were done.

    Returns:
        One summary a layer.

    Raises:
        OptionError: the model has no LSTM layer.
        DataError: the data cannot be read, or do not fit the run.
    """
    read = read_answered(run, data, targets)
    examples = run.adapter.encode(read)
    labels = labels_of(run.adapter) if read.targets is not None else None
    counter = UnitCounter(run.model, classes=() if labels is None else labels.classes)
    settings = replace(run.config.train, device=run.device)
    fabric = make_fabric(settings, distributed=False)
    model = fabric.setup_module(run._batch_model).eval()
    carry = Carry()
    with cpu_threads(run.threads or settings.threads or 1), torch.inference_mode():
        for indices in measuring_order(examples, 2 * settings.batch_size):
            some = [examples[i] for i in indices]
            batch, state = carry.resume(run.task.collate(some).to(fabric.device), some, indices)
            with counter.batch(_channels(batch), batch.lengths, None if labels is None else batch.targets):
                outputs = model(batch, state)
            if follows(examples):
                carry.keep(outputs.state, indices)
            if on_batch is not None:
                on_batch(len(indices))
    return counter.summaries()


def state_before(run: "Run", model: Any, examples: Sequence[Example], row: int, fabric: Any) -> Any:
    """The state before a stretch of a long text: from the beginning of the run in which it is measured."""
    order = measuring_order(examples, 1)
    side = next(int(np.flatnonzero(indices == row)[0]) for indices in order if row in indices)
    state = None
    for place in range(int(order[0][side]), row):
        state = model(run.task.collate([examples[place]]).to(fabric.device), state).state
    return state


def _channels(batch: Batch) -> Any:
    """What cells are correlated with: of a window of a series what is known of its past."""
    return getattr(batch.inputs, "past", batch.inputs)


def _joined(traces: Sequence[Trace]) -> Trace:
    """Traces of the same model, one after the other; the shorter ones padded with zeros."""
    if len(traces) == 1:
        return traces[0]
    layers = []
    for parts in zip(*(found.layers for found in traces), strict=True):
        longest = max(part.cell.shape[1] for part in parts)

        def padded(values: Tensor, longest: int = longest) -> Tensor:
            return torch.nn.functional.pad(values, (0, 0, 0, 0, 0, longest - values.shape[1]))

        arrays = {name: torch.cat([padded(getattr(part, name)) for part in parts]) for name in GATES}
        whole = None if parts[0].whole is None else torch.cat([part.whole for part in parts if part.whole is not None])
        lengths = torch.cat([part.lengths for part in parts])
        layers.append(replace(parts[0], **arrays, lengths=lengths, whole=whole))
    scores = [found.scores for found in traces if found.scores is not None]
    same = len(scores) == len(traces) and len({score.shape[1:] for score in scores}) == 1
    return Trace(tuple(layers), torch.cat([found.lengths for found in traces]), torch.cat(scores) if same else None)
