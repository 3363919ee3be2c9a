"""Looking inside: every LSTM layer tells what happened in it, chunk after chunk, while a model runs as it always does.

A full record of a layer is several times as large as its output. Here rows and time are cut into pieces, each runs as a
layer of its own from the state that the one before it left, tells, and is forgotten. What a piece holds is small enough
for the processor's caches, so that reading it costs little beside computing it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gatewise.kernels.contract import Gates, Inputs, Kernel, Masks, Request, allocate
from gatewise.kernels.select import note, select
from gatewise.nn.pieces import cuts_of, initial_of, part_of, piece_of, states_like, turned
from gatewise.types import State

# Measured on a CPU, see benchmarks/speed/trace.py. More rows leave its caches, fewer leave the kernel's vectors idle.
PIECE_ROWS = (16, 32)
PIECE_BYTES = 100_000_000  # of gates, in all


@dataclass(frozen=True, slots=True)
class WholeRun:
    """One layer run over one batch.

    Attributes:
        module: the LSTM.
        layer: which of its layers.
        directions: ``D``.
        batch_size: ``B``.
        steps: ``T``.
        lengths: ``[B]``, real steps of each row; None for all ``T``.
    """

    module: nn.Module
    layer: int
    directions: int
    batch_size: int
    steps: int
    lengths: Tensor | None


@dataclass(frozen=True, slots=True)
class LayerRun:
    """A piece of a layer's run: one direction, some rows, some steps.

    Attributes:
        whole: what it is a piece of.
        direction: 0 or 1.
        rows: those of the batch.
        start: first step.
        stop: the step after the last.
        lengths: ``[b]``, real steps of each row within this piece; None for all of it.
        gates: ``[1, t, b, H]``, in the order of time; zero beyond ``lengths``.
    """

    whole: WholeRun
    direction: int
    rows: slice
    start: int
    stop: int
    lengths: Tensor | None
    gates: Gates


Consume = Callable[[LayerRun], None]
_consume: ContextVar[Consume | None] = ContextVar("gatewise_consume", default=None)


@contextmanager
def record_layers(consume: Consume) -> Iterator[None]:
    """Every :class:`~gatewise.nn.lstm.LSTM` run inside the ``with`` tells what happens in it, piece by piece.

    Outputs are as ever; no gradient is kept. Pieces come layer after layer; within one, rows after rows, first one
    direction and then the other, each from the step that it takes first to its last. A batch without rows or steps
    tells nothing. Holds for this thread or task only, and not inside a compiled model, which keeps what it was compiled
    with.

    Args:
        consume: called with each piece; what it is given is its own.

    Example:
        >>> from gatewise.nn.lstm import LSTM
        >>> seen = []
        >>> with record_layers(seen.append):
        ...     output, _ = LSTM(4, 8, bidirectional=True)(torch.randn(5, 3, 4))
        >>> [(run.direction, run.gates.c.shape) for run in seen]
        [(0, torch.Size([1, 5, 3, 8])), (1, torch.Size([1, 5, 3, 8]))]
    """
    token = _consume.set(consume)
    try:
        with torch.no_grad():
            yield
    finally:
        _consume.reset(token)


def consumer() -> Consume | None:
    """Who wants to be told here; None: nobody."""
    return _consume.get()


def run_recorded(
    request: Request, inputs: Inputs, name: str, module: nn.Module, layer: int, consume: Consume
) -> tuple[Tensor, State]:
    """As :func:`~gatewise.kernels.select.run_layer`, in pieces, each told to ``consume``.

    Args:
        request: the layer as a whole.
        inputs: likewise.
        name: kernel, or ``"auto"``. Long sequences run one direction at a time, with an initial state.
        module: the LSTM, for ``consume``.
        layer: which of its layers.
        consume: is told.

    Raises:
        KernelUnavailable: the named kernel cannot serve, with the reason.
    """
    kernel = select(request._replace(differentiable=False, initial_state=True), name)
    note(kernel.name)
    x = inputs.input
    steps, batch_size, _ = x.shape
    whole = WholeRun(module, layer, len(inputs.weights), batch_size, steps, inputs.lengths)
    output, last = (
        allocate((steps, batch_size, whole.directions * inputs.output_size), x),
        states_like(inputs, whole.directions),
    )
    many, length = _sizes(request)
    call = _Recorded(kernel, request, whole, consume, length)
    with torch.no_grad():
        for first in range(0, batch_size, many):
            rows = slice(first, min(first + many, batch_size))
            run = call.at_once if length >= steps else call.in_pieces
            run(_rows(inputs, rows), rows, output[:, rows], State(last.h[:, rows], last.c[:, rows]))
    return output, last


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A layer's run over some rows; results go where the last two arguments of its methods say."""

    kernel: Kernel
    request: Request
    whole: WholeRun
    consume: Consume
    length: int

    def at_once(self, inputs: Inputs, rows: slice, output: Tensor, last: State) -> None:
        """All steps, and both directions."""
        inputs = _without_full_lengths(inputs)
        y, state, gates = self._trace(inputs)
        output.copy_(y)
        for part, found in zip(last, state, strict=True):
            part.copy_(found)
        for direction in range(self.whole.directions if self.whole.steps else 0):
            of_direction = Gates(*(part[direction : direction + 1] for part in gates))
            self.consume(LayerRun(self.whole, direction, rows, 0, self.whole.steps, inputs.lengths, of_direction))

    def in_pieces(self, inputs: Inputs, rows: slice, output: Tensor, last: State) -> None:
        """One direction after the other, some steps after the others, from the state that those left."""
        steps, length = self.whole.steps, self.length
        for direction in range(self.whole.directions):
            here = part_of(output, direction, inputs.output_size)
            state, cuts = initial_of(inputs, direction), cuts_of(inputs, direction)
            starts = range(0, steps, length)
            for start in starts if direction == 0 else reversed(starts):
                stop = min(start + length, steps)
                piece = _without_full_lengths(piece_of(inputs, direction, start, stop, state, cuts))
                y, state, found = self._trace(piece)
                here[start:stop] = turned(y, piece.lengths, direction)
                gates = Gates(*(turned(part[0], piece.lengths, direction)[None] for part in found))
                self.consume(LayerRun(self.whole, direction, rows, start, stop, piece.lengths, gates))
            last.h[direction], last.c[direction] = state.h[0], state.c[0]

    def _trace(self, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        steps, batch_size, _ = inputs.input.shape
        asked = self.request._replace(
            directions=len(inputs.weights), steps=steps, batch_size=batch_size, ragged=inputs.lengths is not None,
            initial_state=inputs.state is not None, differentiable=False,
        )  # fmt: skip
        return self.kernel.trace(asked, inputs)


def _sizes(request: Request) -> tuple[int, int]:
    """Rows and steps of a piece: all steps, if not of fewer rows than serve a kernel well."""
    cells = max(1, PIECE_BYTES // (4 * len(Gates._fields) * request.hidden_size * request.directions))
    whole = cells // max(request.steps, 1)  # rows of which all steps fit
    least, most = PIECE_ROWS
    rows = min(max(request.batch_size, 1), max(least, min(whole, most) if request.device == "cpu" else whole))
    return rows, max(cells // rows, 1)


def _rows(inputs: Inputs, rows: slice) -> Inputs:
    """The same layer over some rows of the batch."""
    state, (m_h, *by_step) = inputs.state, inputs.masks
    return replace(
        inputs,
        input=inputs.input[:, rows],
        state=None if state is None else State(*(part[:, rows] for part in state)),
        lengths=None if inputs.lengths is None else inputs.lengths[rows],
        resets=None if inputs.resets is None else inputs.resets[:, rows],
        masks=Masks(
            None if m_h is None else m_h[:, rows], *(None if mask is None else mask[:, :, rows] for mask in by_step)
        ),
    )


def _without_full_lengths(piece: Inputs) -> Inputs:
    """The same without lengths where they say nothing: kernels are faster so."""
    lengths = piece.lengths
    return replace(piece, lengths=None) if lengths is not None and bool((lengths == len(piece.input)).all()) else piece
