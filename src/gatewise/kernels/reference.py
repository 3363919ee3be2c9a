"""The reference kernel: the sheet, step by step, in plain PyTorch. Serves every variant on every device."""

import torch
from torch import Tensor

from gatewise.equations import (
    Saved,
    StepGradients,
    hold,
    input_gradient,
    step_backward,
    weight_gradients,
    widen,
)
from gatewise.kernels.contract import Gates, Inputs, Request, allocate
from gatewise.kernels.recurrence import (
    Gradients,
    acts_at,
    allocate_d_input,
    allocate_results,
    cuts_in_order,
    initial_state,
    lift,
    scan,
)
from gatewise.kernels.tracing import hidden_of_output, zero_after_end
from gatewise.sequences import in_order
from gatewise.types import State


class Reference:
    """``equations.step`` forward and ``equations.step_backward`` backward: what faster kernels are written after."""

    name = "reference"

    def why_not(self, request: Request) -> str | None:
        """Nothing is beyond it but integers."""
        return None if request.dtype.is_floating_point else f"computes in floating point, not in {request.dtype}"

    def tape_shapes(self, inputs: Inputs) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """One tensor for each field of :class:`~gatewise.equations.Saved`, with ``[D, T]`` in front."""
        steps, batch_size, _ = inputs.input.shape
        leading = (len(inputs.weights), steps, batch_size)
        dtype = inputs.input.dtype
        wide = torch.promote_types(dtype, torch.float32)
        per_gate = inputs.weights[0].weight_ih.shape[0] if inputs.cell.norm == "layer" else 0
        cell_sized = ((*leading, inputs.hidden_size), wide)
        return [((*leading, inputs.output_size), dtype), *[cell_sized] * 6, ((*leading, per_gate), wide)]

    def forward(self, inputs: Inputs, *, save: bool) -> tuple[Tensor, State, list[Tensor]]:
        """Steps through time, and puts on the tape what each step saves."""
        inputs = inputs.without_padding()
        output, last = allocate_results(inputs)
        tape = [allocate(shape, inputs.input, dtype) for shape, dtype in self.tape_shapes(inputs)] if save else []
        size = inputs.output_size
        for direction in range(len(inputs.weights)):
            state = initial_state(inputs, direction)
            for t, acts, state, saved in scan(inputs, direction):
                h = state.h if acts.alive is None else torch.where(acts.alive, state.h, 0.0)
                output[t, :, direction * size : (direction + 1) * size] = h
                for memory, value in zip(tape, saved, strict=False):  # an empty tape saves nothing
                    memory[direction, t] = value
            last.h[direction] = state.h
            last.c[direction] = state.c
        return output, last, tape

    def backward(
        self,
        inputs: Inputs,
        output: Tensor,
        tape: list[Tensor],
        d_output: Tensor | None,
        d_state: tuple[Tensor | None, Tensor | None],
        *,
        with_input: bool,
    ) -> Gradients:
        """Steps back through time; the parameters' gradients are taken over all steps at once."""
        inputs = inputs.without_padding()
        _, d_first = allocate_results(inputs)
        d_input = allocate_d_input(inputs, with_input=with_input)
        d_weights, d_inputs = [], []
        for direction, weights in enumerate(inputs.weights):
            saved = Saved(*(memory[direction] for memory in tape))  # [T, B, ...]
            d_steps, d_state_0 = self._scan_back(inputs, direction, saved, d_output, d_state)
            d_first.h[direction] = d_state_0.h
            d_first.c[direction] = d_state_0.c
            m_h = None if inputs.masks.hidden is None else inputs.masks.hidden[direction]
            d_weights.append(weight_gradients(inputs.cell, inputs.input, saved, d_steps, weights, m_h=m_h))
            if with_input:
                d_inputs.append(input_gradient(inputs.input, d_steps, weights))
        if with_input:
            d_input.copy_(sum(d_inputs[1:], start=d_inputs[0]))
        return Gradients(d_input, d_first, tuple(d_weights))

    def trace(self, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """All of it stands on the tape; only what zoneout made of the cell is computed again."""
        output, last, tape = self.forward(inputs, save=True)
        saved = Saved(*tape)
        k_c, rate = inputs.masks.zoneout_c, inputs.cell.zoneout[1]
        c = hold(saved.c_star, saved.c_prev, k_c if k_c is not None else (1 - rate if rate else None), None)  # (8)
        gates = Gates(saved.i, saved.f, saved.g, saved.o, c, hidden_of_output(inputs, output))
        return output, last, zero_after_end(gates, inputs.lengths)

    def _scan_back(
        self,
        inputs: Inputs,
        direction: int,
        saved: Saved,
        d_output: Tensor | None,
        d_state: tuple[Tensor | None, Tensor | None],
    ) -> tuple[StepGradients, State]:
        """The gradients of every step, ``[T, B, ...]``, and of the state before the first."""
        size, weights = inputs.output_size, inputs.weights[direction]
        steps, cuts = len(inputs.input), cuts_in_order(inputs, direction)
        d_h, d_c = (
            torch.zeros_like(widen(like)) if d is None else widen(d[direction])
            for d, like in zip(d_state, initial_state(inputs, direction), strict=True)
        )
        batch_size, gates = len(d_h), weights.weight_ih.shape[0]
        sizes = (gates, gates, inputs.hidden_size, size)  # in the order of StepGradients
        d_steps = StepGradients(*(allocate((steps, batch_size, n), d_h) for n in sizes))
        for t in reversed(in_order(steps, reverse=direction == 1)):
            acts = acts_at(inputs, direction, t)
            if d_output is not None:
                d_out = d_output[t, :, direction * size : (direction + 1) * size]
                d_h = d_h + (d_out if acts.alive is None else torch.where(acts.alive, d_out, 0.0))
            at_t = Saved(*(memory[t] for memory in saved))
            (d_h, d_c), inside = step_backward(inputs.cell, at_t, State(d_h, d_c), weights, acts)
            for memory, value in zip(d_steps, inside, strict=True):
                memory[t] = value
            if cuts is not None:
                d_h, d_c = d_h.masked_fill(cuts[t], 0.0), d_c.masked_fill(cuts[t], 0.0)
        return d_steps, State(d_h, d_c)


reference = lift(Reference())
