"""What a kernel's run was, made from what it leaves: parts of ``Kernel.trace`` that several kernels need."""

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatewise.equations import project_input, split_gates, widen
from gatewise.kernels.contract import Gates, Inputs
from gatewise.sequences import in_order, mask_of_lengths


def hidden_of_output(inputs: Inputs, output: Tensor) -> Tensor:
    """``[T, B, D*(P or H)]`` as ``[D, T, B, P or H]``, wide. In padding both are zero."""
    steps, batch_size, _ = inputs.input.shape
    return widen(output.reshape(steps, batch_size, len(inputs.weights), inputs.output_size).permute(2, 0, 1, 3))


def zero_after_end(gates: Gates, lengths: Tensor | None) -> Gates:
    """The same, zero in the padding, whatever was there. May write where they stand."""
    if lengths is None:
        return gates
    padding = ~mask_of_lengths(lengths, gates.i.shape[1]).T[..., None]  # [T, B, 1]
    if not bool(padding.any()):
        return gates
    i, f, g, o, c = (part.masked_fill_(padding, 0.0) for part in gates[:-1])
    return Gates(i, f, g, o, c, gates.h)


def gates_of_output(inputs: Inputs, output: Tensor) -> Gates:
    """The gates of a plain cell that gave this output, one product over all steps; and the cell that follows."""
    inputs = inputs.without_padding()
    hidden = hidden_of_output(inputs, output)
    found = [_direction(inputs, direction, hidden[direction]) for direction in range(len(inputs.weights))]
    i, f, g, o, c = (torch.stack(part) for part in zip(*found, strict=True))
    return zero_after_end(Gates(i, f, g, o, c, hidden), inputs.lengths)


def _direction(inputs: Inputs, direction: int, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    weights, reverse = inputs.weights[direction], direction == 1
    h_prev = _step_before(inputs, direction, h).to(weights.weight_hh.dtype)
    a = project_input(inputs.input, weights) + widen(linear(h_prev, weights.weight_hh))  # (1)
    a_i, a_f, a_g, a_o = split_gates(inputs.cell, a)
    assert a_f is not None  # a plain cell has four gates
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()  # (2) (3) (4) (6)
    c_prev = i.new_zeros(i.shape[1:]) if inputs.state is None else widen(inputs.state.c[direction])
    c = torch.empty_like(i)
    for t in in_order(len(i), reverse=reverse):
        c_star = torch.addcmul(f[t] * c_prev, i[t], g[t])  # (5)
        c_prev = c_star if inputs.lengths is None else torch.where((t < inputs.lengths)[:, None], c_star, c_prev)
        c[t] = c_prev
    return i, f, g, o, c


def _step_before(inputs: Inputs, direction: int, h: Tensor) -> Tensor:
    """H before each step, ``[T, B, P or H]``: in reverse a row begins with its own last step."""
    steps = len(h)
    first = h.new_zeros(h.shape[1:]) if inputs.state is None else widen(inputs.state.h[direction])
    if direction == 0:
        return torch.cat([first[None], h[:-1]])[:steps]
    after = torch.cat([h[1:], first[None]])[:steps]
    if inputs.lengths is None:
        return after
    t = torch.arange(steps, device=h.device)[:, None]
    return torch.where((t == inputs.lengths - 1)[..., None], first, after)
