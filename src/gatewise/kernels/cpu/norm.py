"""Batch normalisation followed by dropout, and dropout alone, by ``csrc/batch_norm.h``: as operators.

Dropout is a pure function of a seed and of where a value stands, made again in the backward pass: nothing is stored.
Second derivatives are made from plain PyTorch, as :mod:`gatewise.kernels.recurrence` does.
"""

from ctypes import byref
from typing import Any

import torch
from torch import Tensor

from gatewise.errors import ShapeError
from gatewise.kernels.contract import allocate
from gatewise.kernels.cpu import api, library
from gatewise.kernels.recurrence import looked_through
from gatewise.kernels.select import forced_kernel

DTYPES = {torch.float32: 0, torch.bfloat16: 1}  # gatewise_dtype
LEVELS = 65536  # a random number is 16 bits wide
LARGEST = 2**31 - 1  # rows and steps are counted in 32 bits


def why_not(x: Tensor, *parameters: Tensor) -> str | None:
    """Why these operators cannot serve ``x`` and these parameters, in one line; None: they can. Looks at no value."""
    if (forced := forced_kernel()) not in ("auto", "cpu"):
        return f'kernel "{forced}" is in force'
    if x.device.type != "cpu":
        return f"it runs on a CPU, and the input is on {x.device.type}"
    if reason := _library_why_not():
        return reason
    for dtype in (x.dtype, *(parameter.dtype for parameter in parameters)):
        if dtype not in (torch.float32, x.dtype) or dtype not in DTYPES:
            return (
                f"it computes in float32 or bfloat16, with parameters in float32 or the input's dtype, not in {dtype}"
            )
    if not torch.compiler.is_compiling() and looked_through():
        return "forward-mode differentiation and torch.func look through operators"
    return None


def draws() -> bool:
    """Whether :func:`dropout` can draw a mask, whatever kernel is in force and will read it."""
    return _library_why_not() is None and not looked_through()


def batch_norm(
    x: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    *,
    given: tuple[Tensor, Tensor] | None,
    eps: float,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """``[B, T, C]`` normalised over the real steps, then dropped out; zero in the padding. In memory ordered as ``x``.

    Also returns what it was normalised by, ``[3, C]`` in float32: mean, ``1 / sqrt(variance + eps)``, and the variance
    over n - 1, or the given one.

    Args:
        x: ``[B, T, C]``; padding may hold anything. :func:`why_not` has nothing against it.
        mask: ``[B, T]`` bool, True = real, or None where every step is.
        weight: ``[C]``.
        bias: ``[C]``.
        given: mean and variance ``[C]`` to normalise by; None: those of this batch.
        eps: added to the variance.
        dropout: probability of zeroing a value, rounded to 1/65536. The seed is one draw from torch's generator.
    """
    dropped = dropped_of(dropout)
    mean, variance = given or (None, None)
    seed = _draw_seed() if dropped else None
    return torch.ops.gatewise.batch_norm(x, mask, weight, bias, mean, variance, seed, dropped, eps)  # type: ignore[no-any-return]


def dropout(x: Tensor, p: float) -> Tensor:
    """``x`` with dropout of probability ``p``, rounded to 1/65536. The seed is one draw from torch's generator."""
    dropped = dropped_of(p)
    if not dropped:
        return x
    if x.dim() == 3 and x.stride(0) < x.stride(1):  # as a batch-first LSTM returns it: in the order of its memory
        return torch.ops.gatewise.dropout(x.transpose(0, 1), _draw_seed(), dropped).transpose(0, 1)  # type: ignore[no-any-return]
    return torch.ops.gatewise.dropout(x, _draw_seed(), dropped)  # type: ignore[no-any-return]


def dropped_of(p: float) -> int:
    """Of 65536 values, how many become zero; never all."""
    return min(round(p * LEVELS), LEVELS - 1)


def _draw_seed() -> Tensor:
    return torch.randint(0, 2**63 - 1, (), device="cpu")


def _library_why_not() -> str | None:
    return library.why_not()


# A graph cannot load a library: the question is answered while compiling. (As in kernels/select.py.)
_library_why_not._dynamo_marked_constant = True  # type: ignore[attr-defined]


# Calls of the library ------------------------------------------------------------------------------------------------


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _sequence(x: Tensor) -> api.Sequence:
    """``[B, T, C]`` whose last stride is 1."""
    return api.Sequence(x.data_ptr(), x.stride(1), x.stride(0), 1)


def _with_rows(x: Tensor) -> Tensor:
    """``[B, T, C]`` with the values of a row one behind the other."""
    return x if x.stride(2) == 1 else x.contiguous()


def _allocate_like(x: Tensor) -> Tensor:
    """Memory of the shape of ``x`` ``[B, T, C]``, time outside if it is there in ``x``."""
    B, T, C = x.shape
    return allocate((T, B, C), x).transpose(0, 1) if x.stride(0) < x.stride(1) else allocate((B, T, C), x)


def _wide(x: Tensor) -> Tensor:
    # .to and .contiguous cost a microsecond each, also where they do nothing.
    return x if x.dtype == torch.float32 and x.is_contiguous() else x.float().contiguous()


def _norm(x: Tensor, mask: Tensor | None, seed: Tensor | None, dropped: int, eps: float) -> api.Norm:
    """What forward and backward have in common."""
    B, T, C = x.shape
    call = api.Norm(T=T, B=B, C=C, dtype=DTYPES[x.dtype], threads=torch.get_num_threads(), eps=eps, dropped=dropped)
    call.seed, call.input = _address(seed), _sequence(x)
    if mask is not None:
        call.mask, call.mask_stride_t, call.mask_stride_b = mask.data_ptr(), mask.stride(1), mask.stride(0)
    return call


def _check(
    x: Tensor, mask: Tensor | None, vectors: tuple[Tensor | None, ...], seed: Tensor | None, dropped: int
) -> None:
    """The library checks nothing.

    Raises:
        ShapeError: a tensor is not what its pointer will be taken for.
    """
    if x.dim() != 3 or x.dtype not in DTYPES or max(x.shape) > LARGEST:
        _refuse("x of shape (batch, time, features) in float32 or bfloat16", x)
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != torch.bool or mask.device.type != "cpu"):
        _refuse(f"a mask of shape {tuple(x.shape[:2])} and dtype bool on the CPU", mask)
    for vector in vectors:
        if vector is not None and (vector.shape != x.shape[2:] or vector.device.type != "cpu"):
            _refuse(f"weight, bias, mean and variance of shape {tuple(x.shape[2:])} on the CPU", vector)
    _check_seed(seed, dropped)


def _check_seed(seed: Tensor | None, dropped: int) -> None:
    if not 0 <= dropped < LEVELS:
        raise ShapeError(f"dropout: expected 0 to {LEVELS - 1} of {LEVELS} values to drop, got {dropped}. Never all.")
    if seed is not None and (seed.numel() != 1 or seed.dtype != torch.int64 or seed.device.type != "cpu"):
        _refuse("a seed of one int64 on the CPU", seed)
    if seed is None and dropped:
        raise ShapeError("dropout: expected a seed where values are dropped, got None. Draw one.")


def _refuse(expected: str, got: Tensor) -> None:
    raise ShapeError(f"batch_norm: expected {expected}, got {tuple(got.shape)}, {got.dtype} on {got.device}. "
                     "One mask value a step, one parameter a feature.")  # fmt: skip


def _finish(failed: int) -> None:
    if failed:
        raise MemoryError("gatewise: expected memory for the sums of a batch norm, got none. Use a smaller batch.")


def _forward(
    x: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor, mean: Tensor | None, variance: Tensor | None,
    seed: Tensor | None, dropped: int, eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    _check(x, mask, (weight, bias, mean, variance), seed, dropped)
    if (mean is None) != (variance is None):
        raise ShapeError("batch_norm: expected mean and variance, or neither, got one of them. Pass both.")
    x = _with_rows(x)
    y, moments = _forward_shapes(x)
    call = _norm(x, mask, seed, dropped, eps)
    parameters = [None if p is None else _wide(p) for p in (weight, bias, mean, variance)]  # kept alive until the end
    call.weight, call.bias, call.mean, call.variance = (_address(p) for p in parameters)
    call.output, call.moments = _sequence(y), moments.data_ptr()
    _finish(library.functions(library.isa()).norm_forward(byref(call)))
    return y, moments


def _forward_shapes(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    x = _with_rows(x)
    return _allocate_like(x), allocate((3, x.shape[2]), x, torch.float32)


def _backward(
    d_y: Tensor, x: Tensor, mask: Tensor | None, weight: Tensor, moments: Tensor, seed: Tensor | None, dropped: int,
    eps: float, given: bool, with_input: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    _check(x, mask, (weight,), seed, dropped)
    if d_y.shape != x.shape or d_y.dtype != x.dtype:
        _refuse(f"d_output as the input, {tuple(x.shape)} and {x.dtype}", d_y)
    if moments.shape != (3, x.shape[2]) or moments.dtype != torch.float32 or not moments.is_contiguous():
        _refuse(f"contiguous moments of shape {(3, x.shape[2])} in float32", moments)
    x, d_y = _with_rows(x), _with_rows(d_y)
    d_x, d_weight, d_bias = (allocate((0,), x), *(allocate((x.shape[2],), x, torch.float32) for _ in range(2)))
    call = _norm(x, mask, seed, dropped, eps)
    weight_wide = _wide(weight)
    call.weight, call.moments, call.d_output = weight_wide.data_ptr(), moments.data_ptr(), _sequence(d_y)
    if given:
        call.mean = call.variance = moments.data_ptr()  # not looked at: only that they are there
    if with_input:
        d_x = _allocate_like(x)
        call.d_input = _sequence(d_x)
    call.d_weight, call.d_bias = d_weight.data_ptr(), d_bias.data_ptr()
    _finish(library.functions(library.isa()).norm_backward(byref(call)))
    return d_x, d_weight.to(weight.dtype), d_bias.to(weight.dtype)


def _backward_shapes(d_y: Tensor, x: Tensor, mask: Any, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    d_x = _allocate_like(_with_rows(x)) if rest[-1] else x.new_empty(0)
    return d_x, weight.new_empty(x.shape[2]), weight.new_empty(x.shape[2])


def _dropout(x: Tensor, seed: Tensor, dropped: int) -> Tensor:
    _check_seed(seed, dropped)
    if x.dtype not in DTYPES:
        _refuse("x in float32 or bfloat16", x)
    x = x.contiguous()
    y = _dropout_shapes(x)
    call = api.Dropout(n=x.numel(), dtype=DTYPES[x.dtype], threads=torch.get_num_threads(), dropped=dropped)
    call.seed, call.input, call.output = seed.data_ptr(), x.data_ptr(), y.data_ptr()
    library.functions(library.isa()).dropout(byref(call))
    return y


def _dropout_shapes(x: Tensor, *_: Any) -> Tensor:
    return allocate(tuple(x.shape), x)


# Derivatives ---------------------------------------------------------------------------------------------------------


def _save_norm(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, dropped, eps = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.dropped, ctx.eps = dropped, eps
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])


def _differentiate_norm(ctx: Any, d_y: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    x, mask, weight, bias, mean, variance, seed, moments = ctx.saved_tensors
    nothing = (None,) * 5
    if d_y is None:
        return (None,) * 4 + nothing
    wanted = ctx.needs_input_grad
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        d_x, d_weight, d_bias = _recomputed(d_y, x, mask, weight, bias, mean, variance, seed, ctx.dropped, ctx.eps)
    else:
        given = mean is not None
        d_x, d_weight, d_bias = torch.ops.gatewise.batch_norm_backward(
            d_y, x, mask, weight, moments, seed, ctx.dropped, ctx.eps, given, wanted[0]
        )
    found = (d_x, None, d_weight, d_bias)
    return *(d if asked else None for d, asked in zip(found, wanted, strict=False)), *nothing


def _recomputed(
    d_y: Tensor, x: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor, mean: Tensor | None,
    variance: Tensor | None, seed: Tensor | None, dropped: int, eps: float,
) -> list[Tensor | None]:  # fmt: skip
    """The same gradients, differentiable: autograd through plain PyTorch, from views (as in ``recurrence``)."""
    entries = [tensor.view_as(tensor) for tensor in (x, weight, bias)]
    y = plain(entries[0], mask, entries[1], entries[2], mean, variance, seed, dropped, eps)
    wanted = [entry for entry in entries if entry.requires_grad]
    found = iter(torch.autograd.grad([y], wanted, [d_y], create_graph=True))
    return [next(found) if entry.requires_grad else None for entry in entries]


def plain(
    x: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor, mean: Tensor | None, variance: Tensor | None,
    seed: Tensor | None, dropped: int, eps: float,
) -> Tensor:  # fmt: skip
    """The output of the operator, from operations that autograd knows."""
    padding = x.new_zeros(x.shape[:2], dtype=torch.bool) if mask is None else ~mask
    padding = padding[..., None]  # [B, T, 1]
    wide = x.masked_fill(padding, 0.0).float()
    if mean is None or variance is None:
        count = (~padding).sum()
        mean = wide.sum((0, 1)) / count
        variance = (wide - mean).masked_fill(padding, 0.0).square().sum((0, 1)) / count
    y = (wide - mean) * (torch.rsqrt(variance + eps) * weight) + bias
    if seed is not None:
        y = y * _factors(x.shape, seed, dropped)
    return y.masked_fill(padding, 0.0).to(x.dtype)


def _factors(shape: torch.Size, seed: Tensor, dropped: int) -> Tensor:
    """What dropout multiplies by, ``[B, T, C]``: the operator's output where the normalised value is 1."""
    zeros, ones = torch.zeros(shape), torch.ones(shape[2])
    y, _ = torch.ops.gatewise.batch_norm(zeros, None, zeros[0, 0], ones, zeros[0, 0], ones, seed, dropped, 0.0)
    return y  # type: ignore[no-any-return]


def _save_dropout(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    _, seed, ctx.dropped = inputs
    ctx.save_for_backward(seed)


def _differentiate_dropout(ctx: Any, d_y: Tensor) -> tuple[Tensor, None, None]:
    return torch.ops.gatewise.dropout(d_y, *ctx.saved_tensors, ctx.dropped), None, None


def _register() -> None:
    for name, schema, compute, shapes in (
        (
            "batch_norm",
            "(Tensor x, Tensor? mask, Tensor weight, Tensor bias, Tensor? mean, Tensor? variance, Tensor? seed, "
            "int dropped, float eps) -> (Tensor output, Tensor moments)",
            _forward,
            _forward_shapes,
        ),
        (
            "batch_norm_backward",
            "(Tensor d_output, Tensor x, Tensor? mask, Tensor weight, Tensor moments, Tensor? seed, int dropped, "
            "float eps, bool given, bool with_input) -> (Tensor d_input, Tensor d_weight, Tensor d_bias)",
            _backward,
            _backward_shapes,
        ),
        ("dropout", "(Tensor x, Tensor seed, int dropped) -> Tensor", _dropout, _dropout_shapes),
    ):
        torch.library.define(f"gatewise::{name}", schema)
        torch.library.impl(f"gatewise::{name}", "CPU", compute)
        torch.library.register_fake(f"gatewise::{name}", shapes)
    torch.library.register_autograd("gatewise::batch_norm", _differentiate_norm, setup_context=_save_norm)
    torch.library.register_autograd("gatewise::dropout", _differentiate_dropout, setup_context=_save_dropout)


_register()
