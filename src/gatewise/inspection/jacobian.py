"""The Jacobian of one step of an LSTM: what it does to a small change of the state, and to a gradient on its way back.

A gradient goes back through n steps as through a product of n such matrices: where their largest singular values stay
below 1 it vanishes, and it can only explode where some are above (Pascanu, Mikolov & Bengio 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from gatewise.cell import Cell, Weights
from gatewise.equations import Saved, step_backward, widen
from gatewise.inspection.flow import Call, Layer, acts_of, layers_of, saved_at, walk
from gatewise.inspection.trace import LayerTrace
from gatewise.types import State

AT_ONCE = 2**24  # values of the gates' gradients held at once
WORK = 1e10  # steps times the cube of the size of their Jacobian, of a layer's direction: a few seconds
LEAST = 2  # steps in any case


@dataclass(frozen=True)
class StepSpectrum:
    """The largest singular value of d(h_t, c_t) / d(h_{t-1}, c_{t-1}) at some steps of one direction of one layer.

    Attributes:
        layer: its path in the model.
        direction: its number in :data:`~gatewise.inspection.layers.DIRECTIONS`.
        rows: ``[N]`` which sequence of the batch.
        steps: ``[N]`` which step of it, from 0, at the time of its input.
        largest: ``[N]`` float64.
    """

    layer: str
    direction: int
    rows: np.ndarray
    steps: np.ndarray
    largest: np.ndarray


def step_jacobian(cell: Cell, saved: Saved, weights: Weights) -> Tensor:
    """d(h_t, c_t) / d(h_{t-1}, c_{t-1}) of single steps, exact, for every cell, outside training.

    Args:
        cell: which equations.
        saved: what :func:`gatewise.equations.step` left of ``N`` steps; ``[N, ...]``.
        weights: of the direction.

    Returns:
        ``[N, S, S]`` with ``S = (P or H) + H``: a row for each value of the new state, h first; a column for each of
        the old one. In the dtype of ``saved``.
    """
    cell = cell.without_dropout()
    acts = acts_of(cell)
    count, hidden_size = saved.c_prev.shape
    output_size = saved.h_prev.shape[1]
    size = output_size + hidden_size
    basis = torch.eye(size, dtype=saved.c_prev.dtype, device=saved.c_prev.device)
    at_once = max(1, AT_ONCE // (size * cell.num_gates * hidden_size))
    parts = []
    for start in range(0, count, at_once):
        some = [part[start : start + at_once] for part in saved]
        steps = len(some[0])
        repeated = Saved(*(part.repeat_interleave(size, 0) for part in some))
        rows = basis.repeat(steps, 1)
        d_state = State(rows[:, :output_size], rows[:, output_size:])
        d_h, d_c = step_backward(cell, repeated, d_state, weights, acts)[0]
        parts.append(torch.cat([d_h, d_c], 1).view(steps, size, size))
    return torch.cat(parts) if parts else basis.new_zeros(0, size, size)


def singular_values(jacobians: Tensor, *, largest: bool = True) -> Tensor:
    """The largest singular value of each matrix ``[N, S, S]``, or all ``[N, S]``, descending; float64, on the CPU.

    The largest is the root of the largest eigenvalue of the matrix times its transpose, several times as quick to find.
    """
    wide = jacobians.cpu().double()  # Apple's GPU has no float64
    if not largest:
        values: Tensor = torch.linalg.svdvals(wide)
        return values
    if not len(wide):
        return wide.new_zeros(0)
    squares: Tensor = torch.linalg.eigvalsh(wide @ wide.mT)[:, -1]
    return squares.clamp(min=0).sqrt()


def jacobian_spectrum(traced: LayerTrace, cell: Cell, weights: tuple[Weights, ...], *, largest: bool = True) -> Tensor:
    """Singular values of every step's Jacobian, from the gates and states of a trace.

    Args:
        traced: a layer, from its first step on (``first`` is 0) and from a state of zeros.
        cell: its equations.
        weights: one a direction, as :meth:`gatewise.nn.LSTM.weights` gives them for a layer.
        largest: the largest of each step only.

    Returns:
        ``[B, T', D]`` float64, or ``[B, T', D, S]``, descending; zero in the padding. Of the second direction that of
        the step which ends at this time.
    """
    alive = torch.arange(traced.cell.shape[1], device=traced.cell.device) < traced.lengths[:, None]  # [B, T']
    by_direction = []
    for direction, given in enumerate(weights):
        own = Weights(*(None if w is None else w.detach() for w in given))  # type: ignore[arg-type]
        dtype = widen(own.weight_hh).dtype
        i, f, g, o, h, c = (
            part[:, :, direction][alive].to(dtype)
            for part in (
                traced.input_gate, traced.forget_gate, traced.candidate, traced.output_gate,
                _before(traced.hidden, alive, direction), _before(traced.cell, alive, direction),
            )
        )  # fmt: skip
        r = widen(linear(h.to(own.weight_hh.dtype), own.weight_hh)) if own.gain_hh is not None else h[:, :0]
        values = singular_values(step_jacobian(cell, Saved(h, c, i, f, g, o, f * c + i * g, r), own), largest=largest)
        found = values.new_zeros(*alive.shape, *values.shape[1:])
        found[alive.cpu()] = values
        by_direction.append(found)
    return torch.stack(by_direction, 2)


def _before(states: Tensor, alive: Tensor, direction: int) -> Tensor:
    """``[B, T', D, H]``: at each step the state before it, zeros before a direction's first."""
    found = torch.zeros_like(states)
    if direction == 0:
        found[:, 1:] = states[:, :-1]
    else:
        found[:, :-1] = states[:, 1:] * alive[:, 1:, None, None]
    return found


def spectra(calls: Sequence[Call], *, work: float = WORK) -> tuple[StepSpectrum, ...]:
    """The spectrum of every LSTM among some runs, at as many steps, evenly spread, as ``work`` allows.

    Args:
        calls: as captured; GRUs and plain RNNs are passed over.
        work: bounds the number of steps times the cube of the size of the state.
    """
    found = []
    for call in calls:
        for layer in layers_of(call):
            found += [_spectrum(layer, d, work) for d, one in enumerate(layer.directions) if one.cell is not None]
    return tuple(found)


@torch.no_grad()
def _spectrum(layer: Layer, direction: int, work: float) -> StepSpectrum:
    one = layer.directions[direction]
    assert one.cell is not None
    assert one.weights is not None
    afterwards = walk(layer, direction)
    real = [(row, t) for row, length in enumerate(layer.lengths.tolist()) for t in range(length)]
    count = min(len(real), max(LEAST, int(work / sum(one.sizes) ** 3)))
    chosen = [real[place] for place in np.linspace(0, len(real) - 1, count).round().astype(int)] if real else []
    rows, steps = (np.array(part, np.int64) for part in (zip(*chosen, strict=True) if chosen else ([], [])))
    before = []
    for part, first in zip(afterwards, layer.firsts[direction], strict=True):
        before.append(_state_before(part, first, layer.lengths, rows, steps, direction))
    saved = saved_at(one, layer.x[steps, rows], State(*before))
    largest = singular_values(step_jacobian(one.cell, saved, one.weights))
    return StepSpectrum(layer.name, direction, rows, steps, largest.numpy())


def _state_before(
    states: Tensor, first: Tensor, lengths: Tensor, rows: np.ndarray, steps: np.ndarray, direction: int
) -> Tensor:
    """Of ``[T, B, ...]`` after each step, what was there before some of them: ``[N, ...]``."""
    at = steps + (1 if direction else -1)
    begins = at >= lengths.cpu().numpy()[rows] if direction else at < 0
    found = states[np.where(begins, steps, at), rows]
    return torch.where(torch.from_numpy(begins).to(found.device)[:, None], first[rows], found)
