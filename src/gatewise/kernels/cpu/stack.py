"""A stack of layers, one time step a call: laid out once, then a single call of the library."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatewise.cell import Cell, Weights
from gatewise.errors import ShapeError
from gatewise.kernels.contract import Inputs, Request
from gatewise.kernels.cpu import api, library
from gatewise.kernels.cpu.kernel import DTYPES, Call, check, cpu
from gatewise.types import State


class Layer(NamedTuple):
    """One layer of one direction."""

    cell: Cell
    weights: Weights
    state: State  # h [B, P or H] and c [B, H], which is float32; each step leaves the next one here


def why_not(layers: Sequence[Layer]) -> str | None:
    """Why the library cannot serve, in one line; None: it can."""
    for layer in layers:
        weights, (h, c) = layer.weights, layer.state
        proj_size = h.shape[1] if weights.weight_hr is not None else 0
        request = Request(
            layer.cell, h.dtype, h.device.type, weights.weight_ih.shape[1], c.shape[1], proj_size,
            bias=weights.bias_ih is not None, batch_size=len(h), initial_state=True,
        )  # fmt: skip
        if reason := cpu.why_not(request):
            return reason
    return None


class Stack:
    """The layers' weights as they are now, in the library's own order."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        calls = [_call(layer) for layer in layers]
        array = (api.Layer * len(calls))(*(call.layer for call in calls))
        functions = library.functions(library.isa())
        size = functions.stack_bytes(array, len(calls))
        self._room = torch.empty(size + 64, dtype=torch.uint8, device="cpu")
        self._memory = (self._room.data_ptr() + 63) // 64 * 64
        # What the library writes, under names of our own: the caller's tensors may be given other memory.
        self._states = [[part.detach() for part in layer.state] for layer in layers]
        self._dtype = DTYPES[layers[0].state.h.dtype]
        self._step = functions.stack_step
        functions.stack_make(array, len(calls), self._memory)

    def step(self, x: Tensor, output: Tensor) -> None:
        """From ``x [B, I]`` to the last layer's ``output [B, P or H]``; both contiguous and of the weights' dtype."""
        addresses = x.data_ptr(), output.data_ptr()
        if not all(addresses) or x.is_neg():  # a tensor of torch.compile's, say, without memory
            raise ShapeError(f"stack: expected tensors with memory, got {type(x).__name__}. Convert them.")
        self._step(self._memory, self._dtype, *addresses)


def _call(layer: Layer) -> Call:
    (h, c), weights = layer.state, layer.weights
    narrow = State(h[None], c[None].to(h.dtype))  # as a kernel takes it
    inputs = Inputs(layer.cell, h.new_zeros(1, len(h), weights.weight_ih.shape[1]), (weights,), narrow)
    check(inputs)
    call = Call(inputs)
    assert h.is_contiguous() and c.is_contiguous() and c.dtype == torch.float32
    call.layer.threads = call.layer.wide_c = 1
    call.layer.h_0 = call.layer.h_n = h.data_ptr()
    call.layer.c_0 = call.layer.c_n = c.data_ptr()
    return call
