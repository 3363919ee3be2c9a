"""Long sequences: a layer that keeps its state at a few steps and computes the others again when it is differentiated.

A layer of ``T`` steps leaves a tape for its backward pass, several times as large as its output. Here time is cut into
chunks. The forward pass leaves no tape, only the state at the border before each chunk. The backward pass takes the
last chunk first, runs it again from its border, now with a tape, differentiates it and forgets it. With chunks of a few
times the square root of ``T``, borders and tape together grow with that; the layer's input and output remain.

torch.utils.checkpoint does the same for any function. Called on every chunk it would leave the pieces of outputs and of
gradients to autograd, which joins them in new memory, several more tensors of all ``T`` steps. Here each chunk writes
where its results belong.

References:
    Chen, Xu, Zhang & Guestrin 2016, Training deep nets with sublinear memory cost; Gruslys et al. 2016,
    Memory-efficient backpropagation through time.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatewise.cell import Cell, Weights
from gatewise.equations import widen
from gatewise.errors import OptionError
from gatewise.kernels.contract import Inputs, Kernel, Masks, Request, allocate
from gatewise.kernels.recurrence import looked_through
from gatewise.kernels.select import note, run_layer, select
from gatewise.nn.pieces import cuts_of, initial_of, part_of, piece_of, states_like, turned
from gatewise.types import State

ROOTS = 4
"""Square roots of the length in a chunk, where nobody says: a call costs as much as a few dozen steps of a small layer,
and beside the layer's input and output the tape of such a chunk is still small."""


def check_steps(steps: int | None) -> int | None:
    """The number itself, if it can be one of steps of a chunk.

    Raises:
        OptionError: it is no integer from 0 on, nor None.
    """
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 0):
        raise OptionError(f"checkpoint_steps: expected None, 0 or a number of steps, got {steps!r}. "
                          "0 lets the length decide.")  # fmt: skip
    return steps


def chunk_steps(steps: int, length: int) -> int:
    """How many steps a chunk has: ``steps``, or for 0 four times the square root of ``length``.

    >>> chunk_steps(0, 10_000), chunk_steps(500, 10_000)
    (400, 500)
    """
    return steps or ROOTS * (math.isqrt(max(length, 1) - 1) + 1)


def run_in_chunks(request: Request, inputs: Inputs, name: str, steps: int) -> tuple[Tensor, State]:
    """As :func:`~gatewise.kernels.select.run_layer`, with a tape of one chunk at a time.

    The equations are the same, step for step, and so are masks: they come with ``inputs``. Where no gradient is asked
    for there is no tape, and the layer runs whole. So it does inside a compiled graph, which keeps its own, and under
    forward-mode AD and torch.func, which look through. Second derivatives are those of the whole layer, with its tape.

    Args:
        request: the layer as a whole.
        inputs: likewise.
        name: kernel, or ``"auto"``. It runs one direction at a time, with an initial state.
        steps: of a chunk; 0 as :func:`chunk_steps` says.

    Raises:
        KernelUnavailable: the named kernel cannot serve, with the reason.
    """
    if request.compiling or not request.differentiable or looked_through():
        return run_layer(request, inputs, name)
    if request.steps == 0 or request.batch_size == 0:
        return run_layer(request, inputs, name)
    length = min(chunk_steps(steps, request.steps), request.steps)
    one = request._replace(directions=1, steps=length, initial_state=True)
    kernel = select(one, name)
    note(kernel.name)
    names = tuple(field for field, w in inputs.weights[0]._asdict().items() if w is not None)
    plan = _Plan(kernel, one, inputs.cell, length, names)
    flat = [w for weights in inputs.weights for w in weights if w is not None]
    output, h_n, c_n = _Chunks.apply(
        plan, inputs.input, *(inputs.state or (None, None)), inputs.lengths, inputs.resets, *inputs.masks, *flat
    )  # type: ignore[no-untyped-call]
    return output, State(h_n, c_n)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything about a call that is no tensor; ``request`` is that of a chunk."""

    kernel: Kernel
    request: Request
    cell: Cell
    steps: int
    names: tuple[str, ...]

    def inputs(self, tensors: tuple[Any, ...]) -> Inputs:
        """The layer's inputs, from the tensors as :func:`run_in_chunks` passes them."""
        x, h_0, c_0, lengths, resets, *masks = tensors[:_FIRST_WEIGHT]
        flat, n = tensors[_FIRST_WEIGHT:], len(self.names)
        weights = tuple(
            Weights(**dict(zip(self.names, flat[at : at + n], strict=True))) for at in range(0, len(flat), n)
        )
        state = None if h_0 is None else State(h_0, c_0)
        return Inputs(self.cell, x, weights, state, lengths, resets, Masks(*masks))

    def run(self, inputs: Inputs, *, differentiable: bool) -> tuple[Tensor, State]:
        """One chunk of one direction."""
        request = self.request._replace(steps=len(inputs.input), differentiable=differentiable)
        return self.kernel.run(request, inputs)

    def chunks(self, length: int, *, reverse: bool) -> list[tuple[int, int]]:
        """First step and the one after the last of each chunk, in the order in which a direction visits them."""
        cuts = [(start, min(start + self.steps, length)) for start in range(0, length, self.steps)]
        return cuts[::-1] if reverse else cuts


_FIRST_WEIGHT = 9  # among the tensors: input, h_0, c_0, lengths, resets and four masks come before


class _Chunks(torch.autograd.Function):
    """A layer whose tape is one chunk's."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Any) -> tuple[Tensor, Tensor, Tensor]:
        inputs = plan.inputs(tensors)
        x, size, directions = inputs.input, inputs.output_size, len(inputs.weights)
        steps, batch_size, _ = x.shape
        output = allocate((steps, batch_size, directions * size), x)
        count = -(-steps // plan.steps)
        borders = states_like(inputs, directions, count)
        last = states_like(inputs, directions)
        for direction in range(directions):
            part = part_of(output, direction, size)
            cuts, state = cuts_of(inputs, direction), initial_of(inputs, direction)
            for number, (start, stop) in enumerate(plan.chunks(steps, reverse=direction == 1)):
                borders.h[direction, number], borders.c[direction, number] = state.h[0], state.c[0]
                piece = piece_of(inputs, direction, start, stop, state, cuts)
                y, state = plan.run(piece, differentiable=False)
                part[start:stop] = turned(y, piece.lengths, direction)
            last.h[direction], last.c[direction] = state.h[0], state.c[0]
        ctx.plan = plan
        ctx.save_for_backward(*tensors, *borders)
        ctx.set_materialize_grads(False)
        return output, *last

    @staticmethod
    def backward(ctx: Any, *d_results: Tensor | None) -> tuple[Any, ...]:
        *tensors, h, c = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]  # the plan is no tensor
        device = tensors[0].device.type
        autocast = torch.is_autocast_enabled(device)  # the layer ran without
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            if torch.is_grad_enabled():
                return None, *_twice(ctx.plan, tuple(tensors), d_results, wanted)
            return None, *_back(ctx.plan, tuple(tensors), State(h, c), d_results, wanted)


def _back(
    plan: _Plan,
    tensors: tuple[Any, ...],
    borders: State,
    d_results: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    """The gradients of ``tensors``, chunk after chunk from each direction's last; None where nobody asked."""
    inputs, d_output = plan.inputs(tensors), d_results[0]
    x, directions, n = inputs.input, len(inputs.weights), len(plan.names)
    d_x = allocate(tuple(x.shape), x) if wanted[0] else None
    d_first = states_like(inputs, directions)
    flat = list(zip(tensors[_FIRST_WEIGHT:], wanted[_FIRST_WEIGHT:], strict=True))
    sums = [torch.zeros_like(widen(w)) for w, _ in flat]  # wide: in 16 bits a long sum would lose small parts
    for direction in range(directions):
        of_direction = slice(direction * n, (direction + 1) * n)
        leaves = [w.detach().requires_grad_(asked) for w, asked in flat[of_direction]]
        weights = Weights(**dict(zip(plan.names, leaves, strict=True)))
        cuts = cuts_of(inputs, direction)
        d_last = [None if d is None else d[direction : direction + 1] for d in d_results[1:]]
        chunks = list(enumerate(plan.chunks(len(x), reverse=direction == 1)))
        for number, (start, stop) in reversed(chunks):
            state = State(*(border[direction, number][None] for border in borders))
            piece = replace(piece_of(inputs, direction, start, stop, state, cuts), weights=(weights,))
            d_y = None
            if d_output is not None:
                d_y = turned(part_of(d_output, direction, inputs.output_size)[start:stop], piece.lengths, direction)
            d_piece, *d_last, d_weights = _differentiated(plan, piece, (d_y, *d_last), with_input=wanted[0])
            if d_x is not None:
                d_piece = turned(d_piece, piece.lengths, direction)
                d_x[start:stop] = d_piece if direction == 0 else d_x[start:stop] + d_piece
            for total, d_w in zip(sums[of_direction], d_weights, strict=True):
                total.add_(d_w)
        for first, d in zip(d_first, d_last, strict=True):
            assert d is not None  # at least one chunk was differentiated, and that gives it
            first[direction] = d[0]
    d_state = [d if asked else None for d, asked in zip(d_first, wanted[1:3], strict=True)]
    d_flat = [total.to(w.dtype) if asked else None for total, (w, asked) in zip(sums, flat, strict=True)]
    return [d_x, *d_state, *[None] * (_FIRST_WEIGHT - 3), *d_flat]


def _differentiated(
    plan: _Plan, piece: Inputs, d_results: tuple[Tensor | None, ...], *, with_input: bool
) -> tuple[Any, ...]:
    """Runs a chunk once more and differentiates it: by its input (if anyone asks), h, c and weights."""
    with torch.enable_grad():
        x = piece.input.detach().requires_grad_(with_input)
        assert piece.state is not None
        state = State(*(part.detach().requires_grad_() for part in piece.state))
        output, last = plan.run(replace(piece, input=x, state=state), differentiable=True)
    results = [(y, d) for y, d in zip((output, *last), d_results, strict=True) if d is not None]
    leaves = [x, *state, *(w for w in piece.weights[0] if w is not None)]
    found = iter(
        torch.autograd.grad([y for y, _ in results], [leaf for leaf in leaves if leaf.requires_grad],
                            [d for _, d in results], allow_unused=True, materialize_grads=True)
    )  # fmt: skip
    d_x, d_h, d_c, *d_weights = [next(found) if leaf.requires_grad else torch.zeros(()) for leaf in leaves]
    return d_x, d_h, d_c, d_weights


def _twice(
    plan: _Plan, tensors: tuple[Any, ...], d_results: tuple[Tensor | None, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The same gradients, differentiable: of the layer in one piece, from views (as in ``kernels.recurrence``)."""
    entries = [tensor.view_as(tensor) if asked else tensor for tensor, asked in zip(tensors, wanted, strict=True)]
    inputs = plan.inputs(tuple(entries))
    outputs, states = [], []
    for direction in range(len(inputs.weights)):
        cuts, state = cuts_of(inputs, direction), initial_of(inputs, direction)
        piece = piece_of(inputs, direction, 0, len(inputs.input), state, cuts)
        y, last = plan.run(piece, differentiable=True)
        outputs.append(turned(y, piece.lengths, direction))
        states.append(last)
    results = (torch.cat(outputs, -1), *(torch.cat(part) for part in zip(*states, strict=True)))
    pairs = [(y, d) for y, d in zip(results, d_results, strict=True) if d is not None]
    found = iter(
        torch.autograd.grad([y for y, _ in pairs], [e for e, asked in zip(entries, wanted, strict=True) if asked],
                            [d for _, d in pairs], create_graph=True, allow_unused=True, materialize_grads=True)
    )  # fmt: skip
    return [next(found) if asked else None for asked in wanted]
