"""PyTorch's own LSTM (oneDNN on CPU, cuDNN on CUDA) behind the contract: a second opinion, the baseline of speed."""

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatewise.kernels.contract import Gates, Inputs, Request
from gatewise.kernels.tracing import gates_of_output
from gatewise.types import State

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
ONEDNN_HAS_BFLOAT16 = HAS_ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
SHUT = 1e30  # far more than any pre-activation of a model that trains, and within bfloat16


class Native:
    """``torch.lstm``, one layer a call."""

    name = "native"

    def why_not(self, request: Request) -> str | None:
        """It knows the plain equations only, and cannot be captured."""
        if variants := request.cell.variants():
            return f"torch.nn.LSTM does not offer {', '.join(variants)}"
        if request.resets:
            return "torch.nn.LSTM cannot reset the state inside a sequence"
        if request.compiling:
            return "torch.nn.LSTM breaks the graph of torch.compile"
        if request.dtype not in DTYPES:
            return f"torch.nn.LSTM does not compute in {request.dtype}"
        if request.device == "cpu" and request.dtype.itemsize < 4 and not _by_onednn(request):
            return f"torch.nn.LSTM keeps c in {request.dtype} where oneDNN does not serve, and it must be float32"
        return None

    def run(self, request: Request, inputs: Inputs) -> tuple[Tensor, State]:
        """Dense, or packed where rows really end at different steps."""
        state = inputs.state or _zeros(request, inputs.input)
        if request.steps == 0 or request.batch_size == 0:  # torch refuses both
            return _nothing(request, inputs, state)
        if inputs.lengths is None:
            return _dense(request, inputs, state)
        lengths = inputs.lengths.cpu()
        if bool((lengths == request.steps).all()):
            return _dense(request, inputs, state)
        inputs = inputs.without_padding()  # rows of length 0 run for a step
        if _by_onednn(request):
            return _held(request, inputs, state)
        return _packed(request, inputs, state, lengths)

    def trace(self, request: Request, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """Its output tells every gate: one product over all steps makes them again, and the cell follows from them."""
        with torch.no_grad():
            output, state = self.run(request._replace(differentiable=False), inputs)
            return output, state, gates_of_output(inputs, output)


def _zeros(request: Request, like: Tensor) -> State:
    batch = (request.directions, request.batch_size)
    c_0 = like.new_zeros(*batch, request.hidden_size)
    return State(like.new_zeros(*batch, request.proj_size) if request.proj_size else c_0, c_0)


def _nothing(request: Request, inputs: Inputs, state: State) -> tuple[Tensor, State]:
    """The initial state again, in memory of its own; and an output without values, from which gradients are zero."""
    size = request.directions * inputs.output_size
    output = inputs.input.new_zeros(request.steps, request.batch_size, size)
    for weights in inputs.weights:
        for w in weights:
            output = output if w is None else output + w.sum()
    return output, State(state.h.clone(), state.c.clone())


def _dense(request: Request, inputs: Inputs, state: State) -> tuple[Tensor, State]:
    flat = [w for weights in inputs.weights for w in weights if w is not None]
    both = request.directions == 2
    lstm = _projected if request.proj_size and request.device == "cpu" else torch.lstm
    output, h_n, c_n = lstm(inputs.input, state, flat, request.bias, 1, 0.0, request.differentiable, both, False)
    return output, State(h_n, c_n)


def _by_onednn(request: Request) -> bool:
    """Whether torch computes this by oneDNN: never packed, so ragged only where :func:`_held` is exact."""
    if request.device != "cpu" or request.proj_size or not HAS_ONEDNN:
        return False
    if request.ragged and request.directions == 2 and request.initial_state:
        return False
    return request.dtype == torch.float32 or (request.dtype == torch.bfloat16 and ONEDNN_HAS_BFLOAT16)


def _held(request: Request, inputs: Inputs, state: State) -> tuple[Tensor, State]:
    """Dense, on an input with one more feature, 1 in padding, that shuts i and opens f: there, c stays what it is.

    By oneDNN this is two to four times as fast as packing when half of the steps are padding. It is exact, for
    sigmoid(-SHUT) is 0 and sigmoid(SHUT) is 1, and every gradient in padding is 0. Only h does not stay: forward, where
    padding comes last, the h that counts is the output at the last real step; in reverse, where it comes first, c stays
    zero and so does h = o * tanh(c), which is why another initial state is packed.
    """
    lengths, hidden_size = inputs.lengths, request.hidden_size
    assert lengths is not None
    padding = (torch.arange(request.steps, device=lengths.device)[:, None] >= lengths)[..., None]  # [T, B, 1]
    shut = inputs.input.new_tensor([-SHUT, SHUT, 0.0, 0.0]).repeat_interleave(hidden_size)[:, None]  # i f g o
    held = replace(
        inputs,
        input=torch.cat([inputs.input, padding.to(inputs.input.dtype)], -1),
        weights=tuple(w._replace(weight_ih=torch.cat([w.weight_ih, shut], 1)) for w in inputs.weights),
    )
    output, (h_n, c_n) = _dense(request, held, state)
    output = output.masked_fill(padding, 0.0)
    last = output[(lengths - 1).clamp(min=0), torch.arange(request.batch_size), :hidden_size]
    h_n = torch.cat([torch.where((lengths == 0)[:, None], state.h[0], last)[None], h_n[1:]])
    return output, State(h_n, c_n)


def _packed(request: Request, inputs: Inputs, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Rows of length 0, which torch refuses, run for one step of zeros; then their state is put back."""
    packed = pack_padded_sequence(inputs.input, lengths.clamp(min=1), enforce_sorted=False)
    data, batch_sizes, order, back = packed
    assert order is not None
    assert back is not None
    flat = [w for weights in inputs.weights for w in weights if w is not None]
    sorted_state = (state.h.index_select(1, order), state.c.index_select(1, order))
    both = request.directions == 2
    data, h_n, c_n = torch.lstm(
        data, batch_sizes, sorted_state, flat, request.bias, 1, 0.0, request.differentiable, both
    )
    output, _ = pad_packed_sequence(PackedSequence(data, batch_sizes, order, back), total_length=request.steps)
    h_n, c_n = h_n.index_select(1, back), c_n.index_select(1, back)
    if bool((lengths == 0).any()):
        empty = (lengths == 0).to(output.device)[:, None]
        output = output.masked_fill(empty, 0.0)
        h_n, c_n = torch.where(empty, state.h, h_n), torch.where(empty, state.c, c_n)
    return output, State(h_n, c_n)


def _projected(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """There are no projections in oneDNN: torch says so in a warning, and computes without it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        output, h_n, c_n = torch.lstm(*args)
    return output, h_n, c_n


native = Native()
