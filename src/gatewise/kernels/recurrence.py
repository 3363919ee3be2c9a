"""From a raw kernel, two functions on plain tensors, to a differentiable one that compiles, exports and checks.

A raw kernel computes ``forward`` and ``backward`` and knows nothing of autograd. :func:`lift` registers both as
operators, ``gatewise::<name>_forward`` and ``_backward``, so that ``torch.compile`` sees one opaque call a layer.

Second derivatives are served here, once for all kernels: when a backward pass must itself be differentiated, it is made
again from :func:`gatewise.equations.step`, whose every operation autograd knows. (Never inside the operator: autograd
does not reach there.)
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gatewise.cell import Cell, Weights
from gatewise.equations import Acts, Saved, project_input, step, widen
from gatewise.kernels.contract import Gates, Inputs, Masks, Request, allocate
from gatewise.sequences import cuts_of_resets, in_order
from gatewise.types import State


class Gradients(NamedTuple):
    """The loss by everything that a layer was computed from."""

    input: Tensor  # [T, B, I]; of size 0 where nobody asked
    state: State  # [D, B, P or H] and [D, B, H], also when no state was given
    weights: tuple[Weights, ...]


class RawKernel(Protocol):
    """What a kernel's author writes; dtypes and shapes as in :class:`~gatewise.kernels.contract.Inputs`."""

    name: str

    def why_not(self, request: Request) -> str | None:
        """See :class:`~gatewise.kernels.contract.Kernel`."""

    def tape_shapes(self, inputs: Inputs) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shape and dtype of each tensor that ``forward`` leaves for ``backward``. Reads shapes only."""

    def forward(self, inputs: Inputs, *, save: bool) -> tuple[Tensor, State, list[Tensor]]:
        """Output, last state and tape, new and contiguous; an empty tape unless ``save``."""

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
        """None for a gradient that is zero. ``with_input``: whether anyone asks for that of the input."""

    def trace(self, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """As ``forward``, with what happened inside; see :class:`~gatewise.kernels.contract.Kernel`."""


def looked_through() -> bool:
    """Whether forward-mode AD or a transform of torch.func is at work. torch has no public question for it."""
    forward_mode: int = torch.autograd.forward_ad._current_level
    return forward_mode >= 0 or torch._C._functorch.peek_interpreter_stack() is not None


def lift(raw: RawKernel) -> "LiftedKernel":
    """Registers a raw kernel's operators and returns the kernel. Once a name and process."""
    _register(raw)
    return LiftedKernel(raw)


class LiftedKernel:
    """A raw kernel behind :class:`~gatewise.kernels.contract.Kernel`."""

    def __init__(self, raw: RawKernel) -> None:
        self.name = raw.name
        self.why_not = raw.why_not
        self._raw = raw
        self._forward = getattr(torch.ops.gatewise, f"{raw.name}_forward").default

    def run(self, request: Request, inputs: Inputs) -> tuple[Tensor, State]:
        """One call of the registered operator, or of what stands behind it where nobody needs to see it.

        Under forward-mode differentiation and :mod:`torch.func`, which look through an operator's equations and not at
        its formula, the equations themselves run.
        """
        if not request.compiling and looked_through():
            return unroll(inputs)
        if not (request.differentiable or request.compiling) and type(inputs.input) is Tensor:
            output, state, _ = self._raw.forward(inputs, save=False)  # an operator would add a third to a short call
            return output, state
        output, h_n, c_n, _ = self._forward(*_pack(inputs), request.differentiable)
        return output, State(h_n, c_n)

    def trace(self, request: Request, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """Nobody asks for a gradient: the raw kernel's own."""
        with torch.no_grad():
            return self._raw.trace(inputs)


# The operators ------------------------------------------------------------------------------------------------------
# A schema has no room for a Cell, so it travels as scalars; of Weights, those that are there travel with their names.

_CALL = (
    "Tensor input, Tensor? h_0, Tensor? c_0, Tensor[] weights, Tensor? lengths, Tensor? resets, "
    "Tensor? m_h, Tensor? m_g, Tensor? k_h, Tensor? k_c, str[] names, "
    "bool peephole, bool coupled, bool layer_norm, bool forget, float zoneout_h, float zoneout_c"
)
_FORWARD = f"({_CALL}, bool save) -> (Tensor output, Tensor h_n, Tensor c_n, Tensor[] tape)"
_BACKWARD = (
    f"({_CALL}, Tensor output, Tensor[] tape, Tensor? d_output, Tensor? d_h_n, Tensor? d_c_n, bool with_input)"
    " -> (Tensor d_input, Tensor d_h_0, Tensor d_c_0, Tensor[] d_weights)"
)
_WEIGHTS = 3  # position in the schema
_TENSORS = 10  # the first arguments, which are tensors or the list of weights


def _pack(inputs: Inputs) -> tuple[Any, ...]:
    cell, first = inputs.cell, inputs.weights[0]
    return (
        inputs.input,
        *(inputs.state or (None, None)),
        [w for weights in inputs.weights for w in weights if w is not None],
        inputs.lengths,
        inputs.resets,
        *inputs.masks,
        [name for name, w in zip(Weights._fields, first, strict=True) if w is not None],
        *(cell.peephole, cell.coupled, cell.norm == "layer", cell.forget, *cell.zoneout),
    )


def _unpack(call: tuple[Any, ...]) -> Inputs:
    input, h_0, c_0, flat, lengths, resets, m_h, m_g, k_h, k_c, names, *options = call
    peephole, coupled, layer_norm, forget, *zoneout = options
    cell = Cell(peephole, coupled, "layer" if layer_norm else None, forget, zoneout=(zoneout[0], zoneout[1]))
    state = None if h_0 is None else State(h_0, c_0)
    masks = Masks(m_h, m_g, k_h, k_c)
    return Inputs(cell, input, _directions(flat, names), state, lengths, resets, masks)


def _directions(flat: list[Tensor], names: list[str]) -> tuple[Weights, ...]:
    """``[first direction's..., second's...]`` to one :class:`Weights` a direction."""
    n = len(names)
    return tuple(Weights(**dict(zip(names, flat[at : at + n], strict=True))) for at in range(0, len(flat), n))


def _register(raw: RawKernel) -> None:
    forward_name, backward_name = f"gatewise::{raw.name}_forward", f"gatewise::{raw.name}_backward"

    def forward(*args: Any) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        *call, save = args
        output, state, tape = raw.forward(_unpack(tuple(call)), save=save)
        return output, *state, tape

    def forward_shapes(*args: Any) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        *call, save = args
        inputs = _unpack(tuple(call))
        output, state = allocate_results(inputs)
        tape = raw.tape_shapes(inputs) if save else []
        return output, *state, [inputs.input.new_empty(shape, dtype=dtype) for shape, dtype in tape]

    def backward(*args: Any) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        *call, output, tape, d_output, d_h_n, d_c_n, with_input = args
        inputs = _unpack(tuple(call))
        d = raw.backward(inputs, output, tape, d_output, (d_h_n, d_c_n), with_input=with_input)
        return d.input, *d.state, [d_w for weights in d.weights for d_w in weights if d_w is not None]

    def backward_shapes(*args: Any) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        *call, _, _, _, _, _, with_input = args
        inputs = _unpack(tuple(call))
        _, state = allocate_results(inputs)
        return allocate_d_input(inputs, with_input=with_input), *state, [torch.empty_like(w) for w in call[_WEIGHTS]]

    for name, schema, compute, shapes in (
        (forward_name, _FORWARD, forward, forward_shapes),
        (backward_name, _BACKWARD, backward, backward_shapes),
    ):
        torch.library.define(name, schema, tags=torch.Tag.needs_contiguous_strides)
        torch.library.impl(name, "CompositeExplicitAutograd", compute)
        torch.library.register_fake(name, shapes)
    operator = getattr(torch.ops.gatewise, f"{raw.name}_backward").default
    torch.library.register_autograd(
        forward_name, lambda ctx, *d: _formula(operator, ctx, *d), setup_context=_save_for_formula
    )


def allocate_results(inputs: Inputs) -> tuple[Tensor, State]:
    """Output ``[T, B, D*(P or H)]`` and state ``[D, B, ...]`` for a kernel to fill."""
    x, directions, size = inputs.input, len(inputs.weights), inputs.output_size
    steps, batch_size, _ = x.shape
    h_n = allocate((directions, batch_size, size), x)
    c_n = allocate((directions, batch_size, inputs.hidden_size), x)
    return allocate((steps, batch_size, directions * size), x), State(h_n, c_n)


def allocate_d_input(inputs: Inputs, *, with_input: bool) -> Tensor:
    """Room for the gradient of the input, or a tensor of size 0."""
    return allocate(tuple(inputs.input.shape) if with_input else (0,), inputs.input)


# The derivative -----------------------------------------------------------------------------------------------------


def _save_for_formula(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    call, (result, _, _, tape) = inputs[:-1], output
    tensors, weights = call[:_TENSORS], call[_WEIGHTS]
    ctx.save_for_backward(*tensors[:_WEIGHTS], *tensors[_WEIGHTS + 1 :], *weights, result, *tape)
    ctx.num_weights, ctx.options = len(weights), call[_TENSORS:]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*tape)


def _batched(*d_results: Tensor | None) -> bool:
    """Whether many gradients are asked for at once (``is_grads_batched``). torch has no public question for it."""
    batched = torch._C._functorch.is_legacy_batchedtensor
    return any(d is not None and batched(d) for d in d_results)


def _formula(
    operator: Any, ctx: Any, d_output: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None, _: Any
) -> Any:
    saved = ctx.saved_tensors  # once: under activation checkpointing a second look is an error
    others, rest = saved[: _TENSORS - 1], saved[_TENSORS - 1 :]
    weights, output, tape = rest[: ctx.num_weights], rest[ctx.num_weights], rest[ctx.num_weights + 1 :]
    call = (*others[:_WEIGHTS], list(weights), *others[_WEIGHTS:], *ctx.options)
    wanted = ctx.needs_input_grad
    if not torch.compiler.is_compiling() and (torch.is_grad_enabled() or _batched(d_output, d_h_n, d_c_n)):
        d_input, d_h_0, d_c_0, *d_weights = _recomputed(call, (d_output, d_h_n, d_c_n))
    else:
        d_input, d_h_0, d_c_0, d_weights = operator(*call, output, tape, d_output, d_h_n, d_c_n, wanted[0])
    nothing = [None] * (len(call) - _WEIGHTS)  # for the rest of the schema, `save` included
    has_state = call[1] is not None
    return (
        d_input if wanted[0] else None,
        d_h_0 if has_state else None,
        d_c_0 if has_state else None,
        list(d_weights),
        *nothing,
    )


def _recomputed(call: tuple[Any, ...], d_results: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """The same gradients, differentiable: autograd through :func:`unroll`.

    Each tensor enters through a view of its own: where h_0 was itself computed from the input, say, the gradient by the
    input must stop at the view and not run on through h_0.
    """
    with torch.enable_grad():
        sources = [call[0], call[1], call[2], *call[_WEIGHTS]]
        entries = [None if source is None else source.view_as(source) for source in sources]
        output, state = unroll(_unpack((*entries[:_WEIGHTS], entries[_WEIGHTS:], *call[_WEIGHTS + 1 :])))
        results = [
            (y, d) for y, d in zip((output, *state), d_results, strict=True) if d is not None and y.requires_grad
        ]
        wanted = [entry for entry in entries if entry is not None and entry.requires_grad]
        found = iter(
            torch.autograd.grad([y for y, _ in results], wanted, [d for _, d in results], create_graph=True,
                                allow_unused=True, materialize_grads=True)
        )  # fmt: skip
        return [next(found) if entry is not None and entry.requires_grad else None for entry in entries]


# One direction after the other, one step after the other --------------------------------------------------------------


def unroll(inputs: Inputs) -> tuple[Tensor, State]:
    """A layer as plain PyTorch, differentiated by autograd: slow, and the truth. As ``Kernel.run``."""
    inputs = inputs.without_padding()
    outputs, states = [], []
    for direction in range(len(inputs.weights)):
        state = initial_state(inputs, direction)
        steps: dict[int, Tensor] = {}
        for t, acts, state, _ in scan(inputs, direction):
            steps[t] = state.h if acts.alive is None else torch.where(acts.alive, state.h, 0.0)
        in_time = [steps[t] for t in range(len(steps))]
        outputs.append(torch.stack(in_time) if in_time else inputs.input.new_zeros(0, *state.h.shape))
        states.append(State(state.h, state.c.to(inputs.input.dtype)))
    h_n, c_n = zip(*states, strict=True)
    return torch.cat(outputs, -1), State(torch.stack(h_n), torch.stack(c_n))


def scan(inputs: Inputs, direction: int) -> Iterator[tuple[int, Acts, State, Saved]]:
    """Every step of one direction, in its order: ``t``, what acted, the state after it, what it leaves behind.

    The input must be without padding.
    """
    reverse, weights = direction == 1, inputs.weights[direction]
    x_proj = project_input(inputs.input, weights)  # [T, B, G*H]
    cuts = cuts_in_order(inputs, direction)
    state = initial_state(inputs, direction)
    for t in in_order(len(x_proj), reverse=reverse):
        if cuts is not None:
            state = State(state.h.masked_fill(cuts[t], 0.0), state.c.masked_fill(cuts[t], 0.0))
        acts = acts_at(inputs, direction, t)
        state, saved = step(inputs.cell, x_proj[t], state, weights, acts)
        yield t, acts, state, saved


def initial_state(inputs: Inputs, direction: int) -> State:
    """H ``[B, P or H]`` in the dtype of the input and c ``[B, H]``, wide."""
    if inputs.state is not None:
        return State(inputs.state.h[direction], widen(inputs.state.c[direction]))
    x = inputs.input
    h = x.new_zeros(x.shape[1], inputs.output_size)
    return State(h, widen(x.new_zeros(x.shape[1], inputs.hidden_size)))


def cuts_in_order(inputs: Inputs, direction: int) -> Tensor | None:
    """``[T, B, 1]`` bool: start from zero before this step."""
    if inputs.resets is None:
        return None
    return cuts_of_resets(inputs.resets, reverse=direction == 1)[..., None]


def acts_at(inputs: Inputs, direction: int, t: int) -> Acts:
    """What acts on step ``t``: the rows alive and the masks; zoneout by its mean where no mask is given."""
    m_h, m_g, k_h, k_c = inputs.masks
    zoneout_h, zoneout_c = inputs.cell.zoneout
    return Acts(
        alive=None if inputs.lengths is None else (t < inputs.lengths)[:, None],
        m_h=None if m_h is None else m_h[direction],
        m_g=None if m_g is None else m_g[direction, t],
        k_h=k_h[direction, t] if k_h is not None else (1 - zoneout_h if zoneout_h else None),
        k_c=k_c[direction, t] if k_c is not None else (1 - zoneout_c if zoneout_c else None),
    )
