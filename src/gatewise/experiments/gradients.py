r"""How far gradients reach: exact, by reverse differentiation in float64, lag by lag.

Two curves over the lag ``k``, both on sequences of exactly ``T`` steps:

- *inputs*: :math:`|\partial L / \partial x_{T-k}|`, of the loss at the last step, which is what learning sees;
- *state*: the root mean square of :math:`|\partial (u \cdot h_T) / \partial s_{T-k}|` over random directions ``u`` of
  length one, with ``s`` all that the layer carries on: ``h``, or ``(h, c)`` of an LSTM. It is 1 at lag 0, and at any
  lag the Frobenius norm of :math:`\partial h_T / \partial s_{T-k}` over the root of ``H``.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from gatewise.experiments.models import Network
from gatewise.experiments.problems import Problem

ROWS = 16
POINTS = 101


class Reach(NamedTuple):
    """Norms of gradients by lag: ``lags`` in steps, from 0; the others as long. Means over the rows."""

    lags: list[int]
    inputs: list[float]
    state: list[float]


def reach(network: Network, problem: Problem, length: int, generator: Generator, *, rows: int = ROWS) -> Reach:
    """How far the gradients of a network reach at a length, on fresh sequences.

    Args:
        network: is copied to float64 and not changed.
        problem: what its inputs are drawn from.
        length: ``T``.
        generator: draws the sequences and the directions.
        rows: sequences to average over.
    """
    exact = copy.deepcopy(network).double()
    inputs, lengths, targets = problem.draw(rows, length, generator, False)
    inputs = inputs.double()
    lags = lags_of(len(inputs))
    by_input = input_gradients(exact, problem, inputs, lengths, targets)
    directions = torch.randn(rows, exact.answer.in_features, generator=generator, dtype=torch.float64)
    by_state = state_gradients(exact, inputs, directions / directions.norm(dim=1, keepdim=True), lags)
    picked = by_input.flip(0)[torch.tensor(lags)]
    return Reach(lags, picked.mean(1).tolist(), by_state.square().mean(1).sqrt().tolist())


def lags_of(steps: int, points: int = POINTS) -> list[int]:
    """At most so many lags, evenly from 0 to ``steps - 1``.

    >>> lags_of(5), lags_of(1000, points=4)
    ([0, 1, 2, 3, 4], [0, 333, 666, 999])
    """
    if steps <= points:
        return list(range(steps))
    return [round(place * (steps - 1) / (points - 1)) for place in range(points)]


def carousel(forget_gates: Tensor, lags: Sequence[int]) -> list[float]:
    r"""What is left after ``k`` steps of forgetting alone, by lag: the root mean square of ``f ** k`` over the units.

    That is the Frobenius norm of :math:`\partial c_T / \partial c_{T-k}` with ``h`` held, over the root of ``H``, if
    the gates stay as they are.

    Args:
        forget_gates: ``f``, ``[H]``.
        lags: ``k``, each.

    >>> carousel(torch.tensor([0.5, 0.5]), [0, 1, 3])
    [1.0, 0.5, 0.125]
    """
    return [(forget_gates**lag).square().mean().sqrt().item() for lag in lags]


def input_gradients(network: Network, problem: Problem, inputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
    """``[T, B]``: the norm of the gradient of each row's loss at its last step with respect to each step's input."""
    leaf = inputs.detach().requires_grad_()
    scores = network(leaf, lengths)
    if problem.every_step:
        last = torch.nn.functional.cross_entropy(scores[-1], targets[-1], reduction="sum")
    else:
        last = problem.judge(scores, targets.double() if targets.is_floating_point() else targets).loss * len(lengths)
    (gradient,) = torch.autograd.grad(last, leaf)
    norms: Tensor = gradient.norm(dim=2)
    return norms


def state_gradients(network: Network, inputs: Tensor, directions: Tensor, lags: Sequence[int]) -> Tensor:
    """``[K', B]``: norms of ``d(u . h_T) / d(state k steps before)``, ``directions [B, H]``, lags in ascending order.

    The layer is run in pieces that end where a lag begins; the states in between are what is differentiated by.
    """
    steps = len(inputs)
    states: list[tuple[Tensor, ...]] = []
    state: tuple[Tensor, ...] | None = None
    for start, end in _pieces(steps, lags):
        state = network.advance(inputs[start:end], state)
        states.append(state)
    assert state is not None
    answer = (state[0][0] * directions).sum()
    parts = [part for each in states for part in each]
    gradients = torch.autograd.grad(answer, parts, allow_unused=True)
    width = len(state)
    norms = []
    for first in range(0, len(gradients), width):
        squares = [g[0].square().sum(1) for g in gradients[first : first + width] if g is not None]
        norms.append(torch.stack(squares).sum(0).sqrt())
    return torch.stack(norms[::-1])


def _pieces(steps: int, lags: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of the sequence, in order, that end ``k`` steps before its end for each lag ``k``.

    >>> _pieces(10, [0, 3, 9])
    [(0, 1), (1, 7), (7, 10)]
    """
    ends = [steps - lag for lag in reversed(lags)]
    return list(zip([0, *ends[:-1]], ends, strict=True))
