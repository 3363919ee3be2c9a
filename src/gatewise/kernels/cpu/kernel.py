"""The kernel ``cpu``: checks everything, then passes pointers to the compiled library, which checks nothing."""

import ctypes
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from gatewise.cell import Cell, Weights
from gatewise.errors import KernelUnavailable, ShapeError
from gatewise.kernels.contract import Gates, Inputs, Request, allocate
from gatewise.kernels.cpu import api, library
from gatewise.kernels.recurrence import Gradients, allocate_d_input, allocate_results, lift
from gatewise.kernels.tracing import hidden_of_output, zero_after_end
from gatewise.types import State

DTYPES = {torch.float32: 0, torch.bfloat16: 1}  # gatewise_dtype
LARGEST = 2**31 - 1  # rows and steps are counted in 32 bits
MOST = 2**62  # bytes of one tensor


class Cpu:
    """A whole layer a call, in C++: every variant, ragged rows and resets, without packing and without copies."""

    name = "cpu"

    def why_not(self, request: Request) -> str | None:
        """It wants its library, a CPU, and float32 or bfloat16."""
        if request.device != "cpu":
            return f"it runs on a CPU, not on {request.device}"
        if request.dtype not in DTYPES:
            return f"it computes in float32 and bfloat16, not in {request.dtype}"
        return library.why_not()

    def tape_shapes(self, inputs: Inputs) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """One piece of memory, laid out as ``csrc/layer.h`` says."""
        steps, batch_size, _ = inputs.input.shape
        lanes = library.functions(library.isa()).lanes
        blocks = (inputs.hidden_size + lanes - 1) // lanes
        norm = inputs.cell.norm == "layer"
        planes = 5 + (_keep_mean(inputs.cell.zoneout[1]) != 1 or inputs.masks.zoneout_c is not None) + 8 * norm
        size = len(inputs.weights) * steps * batch_size * (blocks * planes * lanes + 2 * norm)
        return [((size,), torch.float32)]

    def forward(self, inputs: Inputs, *, save: bool) -> tuple[Tensor, State, list[Tensor]]:
        """One call of ``gatewise_functions.forward``."""
        check(inputs)
        tape = [allocate(shape, inputs.input, dtype) for shape, dtype in self.tape_shapes(inputs)] if save else []
        return *self._forward(inputs, *(api.TAPE, tape[0]) if save else (api.NOTHING, None)), tape

    def trace(self, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """The same call; it leaves each gate in memory of its own, in the order of time."""
        check(inputs)
        steps, batch_size, _ = inputs.input.shape
        directions, hidden_size = len(inputs.weights), inputs.hidden_size
        lanes = library.functions(library.isa()).lanes
        whole = (hidden_size + lanes - 1) // lanes * lanes
        planes = allocate((5, directions, steps, batch_size, whole), inputs.input, torch.float32)
        output, last = self._forward(inputs, api.TRACE, planes)
        i, f, g, o, c = planes[..., :hidden_size].unbind()
        gates = Gates(i, f, g, o, c, hidden_of_output(inputs, output))
        return output, last, zero_after_end(gates, inputs.lengths)

    def _forward(self, inputs: Inputs, save: int, memory: Tensor | None) -> tuple[Tensor, State]:
        call = Call(inputs)
        output, last = allocate_results(inputs)
        call.layer.output, call.layer.h_n, call.layer.c_n = call.of(output), call.of(last.h), call.of(last.c)
        call.layer.save, call.layer.tape = save, call.of(memory)
        call.run("forward")
        return output, last

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
        """One call of ``gatewise_functions.backward``."""
        check(inputs)
        self._check_backward(inputs, output, tape, d_output, d_state)
        call = Call(inputs)
        d_input = allocate_d_input(inputs, with_input=with_input)
        _, d_first = allocate_results(inputs)
        d_weights = tuple(_like(weights) for weights in inputs.weights)
        layer = call.layer
        layer.output, layer.tape = call.of(output), call.of(tape[0])
        if d_output is not None:
            layer.d_output = call.sequence(d_output)
        layer.d_h_n, layer.d_c_n = (call.of(d) for d in d_state)
        layer.d_input = call.of(d_input) if with_input else None
        layer.d_h_0, layer.d_c_0 = call.of(d_first.h), call.of(d_first.c)
        for direction, weights in enumerate(d_weights):
            layer.d_weights[direction] = call.weights(weights)
        call.run("backward")
        return Gradients(d_input, d_first, d_weights)

    def _check_backward(
        self,
        inputs: Inputs,
        output: Tensor,
        tape: list[Tensor],
        d_output: Tensor | None,
        d_state: tuple[Tensor | None, Tensor | None],
    ) -> None:
        x, size, directions = inputs.input, inputs.output_size, len(inputs.weights)
        steps, batch_size, _ = x.shape
        dtype = x.dtype
        _expect("output", output, (steps, batch_size, directions * size), dtype)
        [(shape, wide)] = self.tape_shapes(inputs)
        if len(tape) != 1:
            raise ShapeError(f"kernel 'cpu': expected one tensor as tape, got {len(tape)}. It comes from forward.")
        _expect("tape", tape[0], shape, wide)
        if not tape[0].is_contiguous():
            raise ShapeError("kernel 'cpu': expected a contiguous tape, got another. It comes from forward.")
        if d_output is not None:
            _expect("d_output", d_output, tuple(output.shape), dtype)
        for name, d, of in zip(("d_h_n", "d_c_n"), d_state, (size, inputs.hidden_size), strict=True):
            if d is not None:
                _expect(name, d, (directions, batch_size, of), dtype)


class Call:
    """A ``gatewise_layer`` and the tensors that it points into, which must live as long as the call."""

    def __init__(self, inputs: Inputs) -> None:
        self._alive: list[Tensor] = []
        x, cell = inputs.input, inputs.cell
        steps, batch_size, input_size = x.shape
        layer = api.Layer()
        layer.T, layer.B, layer.I, layer.H = steps, batch_size, input_size, inputs.hidden_size
        layer.P, layer.D = inputs.output_size, len(inputs.weights)
        layer.dtype, layer.threads = DTYPES[x.dtype], torch.get_num_threads()
        layer.forget = 1 if cell.coupled else 0 if cell.forget else 2  # gatewise_forget
        layer.norm = cell.norm == "layer"
        layer.project = inputs.weights[0].weight_hr is not None
        for direction, weights in enumerate(inputs.weights):
            layer.weights[direction] = self.weights(weights)
        layer.input = self.sequence(x)
        if inputs.state is not None:
            layer.h_0, layer.c_0 = self.of(inputs.state.h), self.of(inputs.state.c)
        layer.lengths, layer.resets = self.of(inputs.lengths), self.of(inputs.resets)
        layer.mask_h, layer.mask_g, layer.keep_h, layer.keep_c = (self.of(mask) for mask in inputs.masks)
        layer.keep_h_mean, layer.keep_c_mean = (_keep_mean(rate) for rate in cell.zoneout)
        self.layer = layer

    def of(self, tensor: Tensor | None) -> int | None:
        """The address of a tensor's values, one behind the other; they are copied if they lie otherwise."""
        if tensor is None:
            return None
        tensor = tensor.contiguous()
        self._alive.append(tensor)
        return tensor.data_ptr()

    def sequence(self, tensor: Tensor) -> api.Sequence:
        """A tensor ``[T, B, n]`` where and as it lies."""
        self._alive.append(tensor)
        return api.Sequence(tensor.data_ptr(), *tensor.stride())

    def weights(self, weights: Weights) -> api.Weights:
        """The addresses of a direction's parameters."""
        return api.Weights(*(self.of(w) for w in weights))

    def run(self, function: str) -> None:
        """Calls the library.

        Raises:
            MemoryError: there is too little for a workspace.
        """
        if getattr(library.functions(library.isa()), function)(ctypes.byref(self.layer)):
            raise MemoryError("kernel 'cpu': too little memory for a workspace. Use smaller batches.")


def _like(weights: Weights) -> Weights:
    """Room for the gradients."""
    room = {name: allocate(tuple(w.shape), w) for name, w in weights._asdict().items() if w is not None}
    return Weights(**room)


def _keep_mean(rate: float) -> float:
    """What zoneout takes of the new state on average, as the library will see it: a float32."""
    return ctypes.c_float(1.0 - rate).value


def check(inputs: Inputs) -> None:
    """Everything that the library takes on trust.

    Raises:
        ShapeError: a size, dtype or device does not fit, or a length is out of range.
        KernelUnavailable: the sizes are beyond what it can count.
    """
    x, weights = inputs.input, inputs.weights
    if x.dim() != 3 or x.dtype not in DTYPES:
        raise ShapeError(f"kernel 'cpu': expected input [T, B, I] of float32 or bfloat16, got {tuple(x.shape)} of "
                         f"{x.dtype}. Convert it.")  # fmt: skip
    if not 1 <= len(weights) <= 2:
        raise ShapeError(f"kernel 'cpu': expected one or two directions, got {len(weights)}. Run others separately.")
    for name, tensor, shape, dtype in _expected(inputs):
        if tensor is not None:
            _expect(name, tensor, shape, dtype)
    steps, batch_size, _ = x.shape
    if max(steps, batch_size, inputs.hidden_size, inputs.output_size, x.shape[2]) > LARGEST:
        raise KernelUnavailable(f"kernel 'cpu': expected sizes up to {LARGEST}, got {tuple(x.shape)}. Cut the input.")
    widest = 16 * (x.shape[2] + 16 * inputs.hidden_size + inputs.output_size)
    if steps * batch_size * widest > MOST:
        raise KernelUnavailable(f"kernel 'cpu': expected a layer that memory can hold, got {tuple(x.shape)}. Cut it.")
    lengths = inputs.lengths
    if lengths is not None and batch_size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ShapeError(f"kernel 'cpu': expected lengths in 0..{steps}, got {int(lengths.min())} to "
                         f"{int(lengths.max())}. A length counts steps, and the input has so many.")  # fmt: skip


def _expected(inputs: Inputs) -> Iterator[tuple[str, Tensor | None, tuple[int, ...], torch.dtype]]:
    """Every tensor with the shape and dtype that it must have."""
    x, cell = inputs.input, inputs.cell
    steps, batch_size, input_size = x.shape
    first, dtype, directions = inputs.weights[0], x.dtype, len(inputs.weights)
    if first.weight_ih.dim() != 2 or first.weight_hh.dim() != 2 or first.weight_ih.shape[0] % cell.num_gates:
        raise ShapeError(f"kernel 'cpu': expected weights [G*H, I] and [G*H, P] with G = {cell.num_gates}, got "
                         f"{tuple(first.weight_ih.shape)} and {tuple(first.weight_hh.shape)}.")  # fmt: skip
    hidden_size, size = inputs.hidden_size, inputs.output_size
    if hidden_size < 1 or size < 1:
        raise ShapeError(f"kernel 'cpu': expected at least one unit, got {hidden_size} and {size}.")
    projects, bias = first.weight_hr is not None, first.bias_ih is not None
    shapes = _parameter_shapes(cell, input_size, hidden_size, size if projects else 0, bias)
    if not projects and size != hidden_size:
        raise ShapeError(f"kernel 'cpu': expected weight_hh of {hidden_size} columns, got {size}. "
                         "Only with weight_hr may h have another size.")  # fmt: skip
    for weights in inputs.weights:
        for name, w in zip(Weights._fields, weights, strict=True):
            if (w is None) != (name not in shapes):
                raise ShapeError(f"kernel 'cpu': expected {', '.join(shapes)}, got {name} "
                                 f"{'missing' if w is None else 'as well'}.")  # fmt: skip
            if w is not None:
                yield name, w, shapes[name], dtype
    state, masks = inputs.state, inputs.masks
    yield "input", x, (steps, batch_size, input_size), dtype
    if state is not None:
        yield "h_0", state.h, (directions, batch_size, size), dtype
        yield "c_0", state.c, (directions, batch_size, hidden_size), dtype
    yield "lengths", inputs.lengths, (batch_size,), torch.int64
    yield "resets", inputs.resets, (steps, batch_size), torch.bool
    yield "mask of hidden dropout", masks.hidden, (directions, batch_size, size), dtype
    yield "mask of recurrent dropout", masks.recurrent, (directions, steps, batch_size, hidden_size), dtype
    yield "mask of zoneout of h", masks.zoneout_h, (directions, steps, batch_size, size), dtype
    yield "mask of zoneout of c", masks.zoneout_c, (directions, steps, batch_size, hidden_size), dtype


@lru_cache(maxsize=256)
def _parameter_shapes(
    cell: Cell, input_size: int, hidden_size: int, proj_size: int, bias: bool
) -> dict[str, tuple[int, ...]]:
    return cell.parameter_shapes(input_size, hidden_size, proj_size=proj_size, bias=bias)


def _expect(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor.shape != shape or tensor.dtype != dtype:
        raise ShapeError(f"kernel 'cpu': expected {name} {shape} of {dtype}, got {tuple(tensor.shape)} of "
                         f"{tensor.dtype}.")  # fmt: skip
    if not tensor.is_cpu or tensor.layout != torch.strided or tensor.is_neg():
        raise ShapeError(f"kernel 'cpu': expected {name} as a plain tensor on the CPU, got {tensor.layout} on "
                         f"{tensor.device}. Convert it.")  # fmt: skip


cpu = lift(Cpu())
