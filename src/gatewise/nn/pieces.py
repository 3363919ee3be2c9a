"""A stretch of one direction of a layer as a layer of its own: what runs a layer in chunks is made of these."""

import torch
from torch import Tensor

from gatewise.kernels.contract import Inputs, Masks
from gatewise.sequences import cuts_of_resets
from gatewise.types import State


def piece_of(inputs: Inputs, direction: int, start: int, stop: int, state: State, cuts: Tensor | None) -> Inputs:
    """Steps ``start..stop`` of one direction as a layer of its own, which every kernel knows how to run: forward."""
    lengths = None if inputs.lengths is None else (inputs.lengths - start).clamp(0, stop - start)

    def at_each_step(values: Tensor | None) -> Tensor | None:
        return None if values is None else turned(values[start:stop], lengths, direction)

    m_h, *by_step = [None if mask is None else mask[direction] for mask in inputs.masks]
    by_step = [None if mask is None else mask[None] for mask in map(at_each_step, by_step)]
    x = at_each_step(inputs.input)
    assert x is not None
    masks = Masks(None if m_h is None else m_h[None], *by_step)
    return Inputs(inputs.cell, x, (inputs.weights[direction],), state, lengths, at_each_step(cuts), masks)


def turned(x: Tensor, lengths: Tensor | None, direction: int) -> Tensor:
    """``[T, B, ...]``, for the second direction with each row's real steps from last to first; again: as it was.

    Padding stays where it is, so that a row still begins with its real steps.
    """
    if direction == 0:
        return x
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device=x.device)[:, None]
    return x[torch.where(t < lengths, lengths - 1 - t, t), torch.arange(x.shape[1], device=x.device)]


def part_of(output: Tensor, direction: int, size: int) -> Tensor:
    """What of ``[T, B, D*(P or H)]`` belongs to a direction."""
    return output[..., direction * size : (direction + 1) * size]


def cuts_of(inputs: Inputs, direction: int) -> Tensor | None:
    """Where a direction starts from zero, ``[T, B]``."""
    return None if inputs.resets is None else cuts_of_resets(inputs.resets, reverse=direction == 1)


def initial_of(inputs: Inputs, direction: int) -> State:
    """The state before a direction's first step, ``[1, B, ...]``."""
    if inputs.state is not None:
        return State(*(part[direction : direction + 1] for part in inputs.state))
    x = inputs.input
    batch_size = x.shape[1]
    return State(x.new_zeros(1, batch_size, inputs.output_size), x.new_zeros(1, batch_size, inputs.hidden_size))


def states_like(inputs: Inputs, *leading: int) -> State:
    """Room for states, ``[*leading, B, ...]``."""
    x = inputs.input
    shape = (*leading, x.shape[1])
    return State(x.new_empty(*shape, inputs.output_size), x.new_empty(*shape, inputs.hidden_size))
