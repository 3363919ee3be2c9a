"""Where each unit of a model is most active across many sequences, in constant memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gatewise.nn.tracing import LayerRun

EACH = 10


class Found(NamedTuple):
    """The places of the units of a layer, ``[D, H, each]``, the strongest first.

    Attributes:
        sequence: number of the sequence; -1 where there are fewer of them than places.
        place: where in the sequence, from 0 at its beginning to 1 at its end: the middle of the layer's step.
        value: of the gate, or of the cell.
    """

    sequence: Tensor
    place: Tensor
    value: Tensor


@dataclass
class _Best:
    """Of the batch that runs: the size and the step of the best place so far, and its value, ``[D, B, H]``."""

    size: Tensor
    step: Tensor
    value: Tensor
    lengths: Tensor  # [B], of the layer


class Strongest:
    """Finds the sequences in which a unit's input gate is most open, and those in which its cell is largest in size.

    Of each sequence only its own strongest place counts, so that one sequence does not fill the list. To be given to
    :func:`~gatewise.nn.tracing.record_layers`, with :meth:`finish` after every batch::

        found = Strongest(names_by_layer(model, who="examples"))
        with record_layers(found.consume):
            for rows in batches:
                model(...)
                found.finish(rows)

    Args:
        names: what a layer is called, by module and number of its layer, as
            :func:`~gatewise.inspection.layers.names_by_layer` gives them; others are not looked at.
        each: how many places a unit has.
    """

    def __init__(self, names: Mapping[tuple[nn.Module, int], str], *, each: int = EACH) -> None:
        self.names, self.each = names, each
        self.found: dict[str, dict[str, Found]] = {}
        self._batch: dict[str, dict[str, _Best]] = {}

    def consume(self, run: LayerRun) -> None:
        """Takes in a piece of a layer's run."""
        name = self.names.get((run.whole.module, run.whole.layer))
        if name is None:
            return
        best = self._batch.setdefault(name, {})
        for kind, values in (("input", run.gates.i[0]), ("cell", run.gates.c[0])):
            if kind not in best or (run.start == 0 and run.rows.start == 0 and run.direction == 0):
                best[kind] = _nothing(run, values)
            _put(best[kind], run, values)

    def finish(self, sequences: Sequence[int]) -> None:
        """A batch has run; its rows were these sequences. Rows that a model makes of one sequence stand together."""
        numbers = torch.as_tensor(list(sequences), dtype=torch.int64)
        for name, kinds in self._batch.items():
            merged = self.found.setdefault(name, {})
            for kind, best in kinds.items():
                merged[kind] = _merge(merged.get(kind), best, numbers, self.each)
        self._batch = {}


def _nothing(run: LayerRun, values: Tensor) -> _Best:
    shape = (run.whole.directions, run.whole.batch_size, values.shape[-1])
    lengths = run.whole.lengths
    every = torch.full((run.whole.batch_size,), run.whole.steps) if lengths is None else lengths.cpu()
    return _Best(torch.full(shape, -1.0), torch.zeros(shape, dtype=torch.int64), torch.zeros(shape), every)


def _put(best: _Best, run: LayerRun, values: Tensor) -> None:
    """The strongest step of a piece ``[t, b, H]``, where it is stronger than what was seen of its rows before."""
    size = values.abs()
    if run.lengths is not None:
        steps = torch.arange(len(values), device=values.device)[:, None]
        size = size.masked_fill((steps >= run.lengths)[..., None], -1.0)
    most, at = size.max(0)  # [b, H]
    value = values.gather(0, at[None])[0]
    most, at, value = most.float().cpu(), (at + run.start).cpu(), value.float().cpu()
    here = (run.direction, run.rows)
    better = most > best.size[here]
    best.step[here] = torch.where(better, at, best.step[here])
    best.value[here] = torch.where(better, value, best.value[here])
    best.size[here] = torch.where(better, most, best.size[here])


def _merge(before: Found | None, best: _Best, numbers: Tensor, each: int) -> Found:
    """The strongest of those of before and those of a batch."""
    directions, rows, units = best.size.shape
    repeats = rows // len(numbers)
    place = (best.step + 0.5) / best.lengths.clamp(min=1)[None, :, None]
    # Of several rows that belong to one sequence, the strongest.
    size, which = best.size.view(directions, len(numbers), repeats, units).max(2)
    parts = [
        part.view(directions, len(numbers), repeats, units).gather(2, which[:, :, None])[:, :, 0]
        for part in (place, best.value)
    ]
    place, value = (part.transpose(1, 2) for part in parts)  # [D, H, B]
    size = size.transpose(1, 2)
    sequence = torch.where(size >= 0, numbers.expand_as(size), -1)
    if before is not None:
        sequence = torch.cat([before.sequence, sequence], -1)
        place, value = torch.cat([before.place, place], -1), torch.cat([before.value, value], -1)
    known = value.abs().masked_fill(sequence < 0, -1.0)
    order = known.argsort(dim=-1, descending=True, stable=True)[..., :each]
    return Found(*(part.gather(-1, order) for part in (sequence, place, value)))
