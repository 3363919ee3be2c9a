"""Gradients inside recurrent layers: how strongly a loss depends on every hidden and cell state of every step.

A layer is one function to autograd, and its kernel keeps the gradients of the states between steps to itself. Here the
model runs as it is, with its kernels, and gives the gradient of each layer's output and last state. From there each
layer is walked once more, one step of :mod:`gatewise.equations` at a time, a few steps of tape at once. The result is
exact, and the same whatever kernel ran.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatewise.cell import PLAIN, Cell, Weights
from gatewise.equations import Acts, Saved, project_input, step
from gatewise.errors import OptionError
from gatewise.inspection.layers import layer_name, path_of
from gatewise.models.encoder import RaggedRecurrent
from gatewise.nn.lstm import LSTM
from gatewise.sequences import mask_of_lengths
from gatewise.training.gradients import evaluated
from gatewise.types import State

CHUNK = 64  # steps whose tape is held at once

States = tuple[Tensor, ...]  # (h, c) of an LSTM, (h,) of others; each [B, ...]
Run = Callable[[Tensor, States], tuple[States, Tensor | None]]
"""One step: ``x [B, I]`` and the states before it, to those after it and, of an LSTM, c* of equation (5)."""


@dataclass(frozen=True)
class GradientFlow:
    """How strongly a loss depends on each state of one layer.

    Attributes:
        layer: its path in the model, ``"encoder.layers.0"``; of a module of several layers ``".l1"`` follows for the
            second of them. ``"lstm"`` (``"gru"``, ``"rnn"``) where the model is the layer.
        hidden: ``[B, T', D]`` float64, on the CPU: the length of dL/dh_t, through the step's output and all that
            follows from it; zero in the padding. The second direction stands at the time of its input.
        cell: likewise of dL/dc_t, through the step's own hidden state (and peephole) as well as the next cell: of the
            cell as equation (5) of :mod:`gatewise.equations` makes it, before zoneout holds a part of it. None where
            there is no cell state (GRU, plain RNN).
        lengths: ``[B]`` int64, steps of ``T'`` that are real.
    """

    layer: str
    hidden: Tensor
    cell: Tensor | None
    lengths: Tensor


class Call(NamedTuple):
    """One run of a recurrent module: what went in, cut off from the graph, and what came out, still in it."""

    name: str
    module: Any
    x: Tensor  # [T, B, I]
    states: States | None  # each [L*D, B, ...]
    lengths: Tensor  # [B]
    output: Tensor  # as the module gave it
    last: States
    batch_first: bool


def gradient_flow(model: nn.Module, loss: Callable[[], Tensor]) -> tuple[GradientFlow, ...]:
    """|dL/dh_t| and |dL/dc_t| for every recurrent layer, step and row that a loss is computed through.

    Memory beyond the model's own run grows with :data:`CHUNK` steps, not with the sequence.

    Args:
        model: holds LSTMs (ours or torch's), GRUs or RNNs. It runs in evaluation, without dropout; its mode is put
            back.
        loss: runs the model and returns a scalar.

    Returns:
        One a layer, in the order in which they ran.

    Raises:
        OptionError: no recurrent layer ran, or one ran on a PackedSequence.

    Example:
        >>> lstm = LSTM(2, 3, batch_first=True)
        >>> (flow,) = gradient_flow(lstm, lambda: lstm(torch.randn(4, 9, 2))[0][:, -1].sum())
        >>> flow.hidden.shape, bool((flow.hidden[:, -1] > 0).all())
        (torch.Size([4, 9, 1]), True)
        >>> bool((flow.cell[:, -1] > 0).all())  # through h = o tanh(c)
        True

    References:
        Hochreiter 1991; Bengio, Simard & Frasconi 1994 (vanishing gradients); Pascanu, Mikolov & Bengio 2013.
    """
    with evaluated(model), captured(model) as calls:
        total = loss()
    if not calls:
        raise OptionError("gradient_flow: expected a model with recurrent layers, got one in which none ran.")
    return flow_of(calls, total)


@contextmanager
def captured(model: nn.Module) -> Iterator[list[Call]]:
    """Every run of a recurrent module inside the ``with``, in their order."""
    calls: list[Call] = []
    handles = []
    inner = {module.layer for module in model.modules() if isinstance(module, RaggedRecurrent)}
    for name, module in model.named_modules():
        if isinstance(module, LSTM | RaggedRecurrent | nn.RNNBase) and module not in inner:
            handles.append(module.register_forward_hook(_recorder(name, calls), with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _recorder(name: str, calls: list[Call]) -> Any:
    def record(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        x = args[0] if args else kwargs["input"]
        if not isinstance(x, Tensor) or x.dim() != 3 or kwargs.get("resets") is not None:
            raise OptionError(f"gradient_flow: expected {path_of(module, name)} to run on a padded batch (batch, time, "
                              "features) without resets, got something else. Pass lengths.")  # fmt: skip
        batch_first = isinstance(module, RaggedRecurrent) or module.batch_first
        before = args[1] if len(args) > 1 else kwargs.get("hx", kwargs.get("h_0"))
        states = None if before is None else tuple(part.detach() for part in _as_states(before))
        output, last = result
        x = x.detach().transpose(0, 1) if batch_first else x.detach()
        lengths = kwargs.get("lengths")
        lengths = torch.full((x.shape[1],), len(x), device=x.device) if lengths is None else lengths.to(x.device)
        x = torch.where(mask_of_lengths(lengths, len(x)).T[..., None], x, 0.0)  # padding may hold anything
        calls.append(Call(path_of(module, name), module, x, states, lengths, output, _as_states(last), batch_first))

    return record


def _as_states(state: Any) -> States:
    return (state,) if isinstance(state, Tensor) else tuple(state)


class Direction(NamedTuple):
    """One direction of one layer, one step at a time; of an LSTM with what it is made of."""

    run: Run
    sizes: tuple[int, ...]  # of the states
    cell: Cell | None = None
    weights: Weights | None = None

    def advance(self, x: Tensor, states: States) -> States:
        """The states after a step on ``x [B, I]``."""
        return self.run(x, states)[0]


def directions_of(module: Any) -> list[list[Direction]]:
    """Every layer and direction of a recurrent module."""
    if isinstance(module, RaggedRecurrent):
        module = module.layer
    if isinstance(module, LSTM):
        cell = module.cell.without_dropout()
        return [[_lstm(cell, weights) for weights in layer] for layer in module.weights()]
    suffixes = ("", "_reverse") if module.bidirectional else ("",)
    return [[_torch_layer(module, f"_l{layer}{suffix}") for suffix in suffixes] for layer in range(module.num_layers)]


def acts_of(cell: Cell) -> Acts:
    """What acts on a step outside training: zoneout by its mean."""
    zone_h, zone_c = cell.zoneout
    return Acts(k_h=1 - zone_h if zone_h else None, k_c=1 - zone_c if zone_c else None)


def _lstm(cell: Cell, weights: Weights) -> Direction:
    weights = Weights(*(None if w is None else w.detach() for w in weights))  # type: ignore[arg-type]
    acts = acts_of(cell)

    def run(x: Tensor, states: States) -> tuple[States, Tensor]:
        after, saved = step(cell, project_input(x, weights), State(*states), weights, acts)
        return after, saved.c_star

    return Direction(run, (weights.weight_hh.shape[1], weights.weight_ih.shape[0] // cell.num_gates), cell, weights)


def _torch_layer(module: Any, suffix: str) -> Direction:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    found = {name: getattr(module, name + suffix, None) for name in names}
    found = {name: None if w is None else w.detach() for name, w in found.items()}
    if isinstance(module, nn.LSTM):
        return _lstm(PLAIN, Weights(**found))  # type: ignore[arg-type]
    del found["weight_hr"]
    relu = isinstance(module, nn.RNN) and module.nonlinearity == "relu"
    one: Any = torch.gru_cell if isinstance(module, nn.GRU) else torch.rnn_relu_cell if relu else torch.rnn_tanh_cell
    weights = list(found.values())
    return Direction(lambda x, states: ((one(x, states[0], *weights),), None), (module.hidden_size,))


class Layer(NamedTuple):
    """One layer of a module that ran: what it read, and from which states it began."""

    name: str
    directions: list[Direction]
    x: Tensor  # [T, B, I]
    firsts: list[States]  # one a direction
    lengths: Tensor  # [B]


def layers_of(call: Call) -> list[Layer]:
    """The layers of a module that ran; those above the first read what is computed anew, a step at a time."""
    layers: list[Layer] = []
    x = call.x
    found = directions_of(call.module)
    for depth, directions in enumerate(found):
        firsts = [_first(call, depth * len(directions) + d, one) for d, one in enumerate(directions)]
        layer = Layer(layer_name(call.name, depth), directions, x, firsts, call.lengths)
        layers.append(layer)
        if depth + 1 < len(found):
            x = torch.cat([walk(layer, d)[0] for d in range(len(directions))], -1)
    return layers


def flow_of(calls: list[Call], loss: Tensor) -> tuple[GradientFlow, ...]:
    """As :func:`gradient_flow`, of runs that were captured and the loss that was made of them."""
    wanted = [tensor for call in calls for tensor in (call.output, *call.last)]
    found = iter(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))
    flows: list[GradientFlow] = []
    for call in calls:
        d_output = next(found)
        d_last = tuple(next(found) for _ in call.last)
        flows += _of_call(call, d_output.transpose(0, 1) if call.batch_first else d_output, d_last)
    return tuple(flows)


def _of_call(call: Call, d_output: Tensor, d_last: States) -> list[GradientFlow]:
    """The flow of every layer of one module, from its last layer down."""
    flows = []
    for depth, layer in reversed(list(enumerate(layers_of(call)))):
        count = len(layer.directions)
        size = d_output.shape[2] // count
        d_inputs, by_direction = torch.zeros_like(layer.x), []
        for d in range(count):
            d_end = tuple(part[depth * count + d] for part in d_last)
            norms, d_x = _back(layer, d, d_output[..., d * size : (d + 1) * size], d_end)
            d_inputs += d_x
            by_direction.append(norms)
        d_output = d_inputs
        parts = [torch.stack(part, -1).transpose(0, 1) for part in zip(*by_direction, strict=True)]  # [B, T, D]
        flows.append(GradientFlow(layer.name, parts[0], parts[1] if len(parts) > 1 else None, layer.lengths.cpu()))
    return flows[::-1]


def _first(call: Call, place: int, one: Direction) -> States:
    if call.states is not None:
        return tuple(part[place] for part in call.states)
    return tuple(call.x.new_zeros(call.x.shape[1], size) for size in one.sizes)


@torch.no_grad()
def walk(layer: Layer, direction: int) -> list[Tensor]:
    """The states after every step, each ``[T, B, ...]``, at the time of their input; zero in the padding."""
    one, x, states, lengths = layer.directions[direction], layer.x, layer.firsts[direction], layer.lengths
    alive = mask_of_lengths(lengths, len(x)).T[..., None]  # [T, B, 1]
    found = [x.new_zeros(len(x), x.shape[1], size) for size in one.sizes]
    for t in _times(len(x), reverse=direction == 1):
        states = _held(one.advance(x[t], states), states, alive[t])
        for part, state in zip(found, states, strict=True):
            part[t] = state * alive[t]
    return found


def _times(steps: int, *, reverse: bool) -> list[int]:
    return list(range(steps))[::-1] if reverse else list(range(steps))


def _held(new: States, old: States, alive: Tensor) -> States:
    return tuple(torch.where(alive, after, before) for after, before in zip(new, old, strict=True))


def _back(layer: Layer, direction: int, d_output: Tensor, d_last: States) -> tuple[list[Tensor], Tensor]:
    """Lengths of the gradients by h and c* ``[T, B]`` float64, and the gradient by the input ``[T, B, I]``."""
    one, x, first = layer.directions[direction], layer.x, layer.firsts[direction]
    alive = mask_of_lengths(layer.lengths, len(x)).T[..., None]
    times = _times(len(x), reverse=direction == 1)
    chunks = [times[at : at + CHUNK] for at in range(0, len(times), CHUNK)]
    borders = [first]
    with torch.no_grad():
        for chunk in chunks[:-1]:
            states = borders[-1]
            for t in chunk:
                states = _held(one.advance(x[t], states), states, alive[t])
            borders.append(states)
    norms = [torch.zeros(x.shape[:2], dtype=torch.float64) for _ in one.sizes]  # on the CPU: others may lack float64
    real = alive[..., 0].cpu()
    d_x, d_states = torch.zeros_like(x), d_last
    for chunk, border in zip(reversed(chunks), reversed(borders), strict=True):
        leaf = x[chunk].requires_grad_()  # indexed by a list: a copy
        start = tuple(part.detach().requires_grad_() for part in border)
        found, states = [], start
        with torch.enable_grad():
            for place, t in enumerate(chunk):
                # views: each stands for the state of this very step, also where it only holds the one before
                after, c_star = one.run(leaf[place], states)
                states = tuple(part.view_as(part) for part in _held(after, states, alive[t]))
                found.append((states[0],) if c_star is None else (states[0], c_star))
            outputs = [torch.where(alive[t], h, 0.0) for t, (h, *_) in zip(chunk, found, strict=True)]
        flat = [part for parts in found for part in parts]
        d_flat = torch.autograd.grad(
            [*outputs, *states],
            [*flat, *start, leaf],
            [*(d_output[t] for t in chunk), *d_states],
            allow_unused=True,
            materialize_grads=True,
        )
        width = len(start)
        for place, t in enumerate(chunk):
            for part, d in zip(norms, d_flat[place * width : (place + 1) * width], strict=True):
                part[t] = d.cpu().double().norm(dim=1) * real[t]
        d_states, d_x[chunk] = d_flat[-1 - width : -1], d_flat[-1]
    return norms, d_x


def saved_at(one: Direction, x: Tensor, states: State) -> Saved:
    """What single steps of an LSTM leave for their derivative: ``x [N, I]`` and the states before them ``[N, ...]``."""
    assert one.cell is not None
    assert one.weights is not None
    return step(one.cell, project_input(x, one.weights), states, one.weights, acts_of(one.cell))[1]
