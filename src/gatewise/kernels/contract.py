"""What a kernel is: two functions over one LSTM layer of one or two directions.

A kernel has no parameters and no randomness of its own. ``why_not`` looks at facts that are known before any value is;
``run`` computes. Everything is time-major, ``[T, B, ...]``, with any strides (a ``batch_first`` module passes a view).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gatewise.cell import Cell, Weights
from gatewise.kernels.cpu import memory as kept
from gatewise.sequences import zero_padding
from gatewise.types import State


class Request(NamedTuple):
    """The facts about a layer and a call that decide which kernels can serve. Hashable; holds no tensor."""

    cell: Cell
    dtype: torch.dtype
    device: str  # torch.device.type
    input_size: int
    hidden_size: int
    proj_size: int = 0
    bias: bool = True
    directions: int = 1
    steps: int = 1
    batch_size: int = 1
    ragged: bool = False  # lengths are given
    resets: bool = False  # resets are given
    initial_state: bool = False  # a state is given; zeros otherwise
    differentiable: bool = False  # a gradient may be asked for
    compiling: bool = False  # inside torch.compile or torch.export


class Masks(NamedTuple):
    """Drawn by the layer, in training only. Dropout masks are divided by 1 - rate already; None: does not act."""

    hidden: Tensor | None = None  # m_h [D, B, P or H]
    recurrent: Tensor | None = None  # m_g [D, T, B, H]
    zoneout_h: Tensor | None = None  # k_h [D, T, B, P or H]; None with a rate in the cell: its mean, 1 - rate
    zoneout_c: Tensor | None = None  # k_c [D, T, B, H]


NO_MASKS = Masks()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a layer is computed from.

    Attributes:
        cell: which equations.
        input: ``[T, B, I]``; beyond ``lengths`` it may hold anything, even NaN: see :meth:`without_padding`.
        weights: one :class:`~gatewise.cell.Weights` a direction, in the dtype of the input.
        state: h ``[D, B, P or H]`` and c ``[D, B, H]``; None for zeros.
        lengths: ``[B]`` int64 on the input's device; None: all ``T``.
        resets: ``[T, B]`` bool, False beyond ``lengths``: each cuts its row before that step.
        masks: dropout and zoneout.
    """

    cell: Cell
    input: Tensor
    weights: tuple[Weights, ...]
    state: State | None = None
    lengths: Tensor | None = None
    resets: Tensor | None = None
    masks: Masks = NO_MASKS

    @property
    def hidden_size(self) -> int:
        """``H``."""
        return self.weights[0].weight_ih.shape[0] // self.cell.num_gates

    def without_padding(self) -> "Inputs":
        """The same with zeros beyond ``lengths``, for a kernel that reads there."""
        return self if self.lengths is None else replace(self, input=zero_padding(self.input, self.lengths))

    @property
    def output_size(self) -> int:
        """``P``, or ``H`` without projection: the size of h."""
        return self.weights[0].weight_hh.shape[1]


class Gates(NamedTuple):
    """What happened inside a layer, in at least float32; every field is ``[D, T, B, H]``, of h ``P`` if projected.

    After the sigmoids and tanh of the sheet (2) to (6); c and h as the next step sees them, after (8) and (9). Without
    a forget gate ``f = 1``, coupled ``f = 1 - i``. Zero in the padding.
    """

    i: Tensor  # input gate
    f: Tensor  # forget gate
    g: Tensor  # candidate, before recurrent dropout
    o: Tensor  # output gate
    c: Tensor  # cell state
    h: Tensor  # hidden state


class Kernel(Protocol):
    """One implementation of a layer."""

    @property
    def name(self) -> str:
        """The word by which users choose it."""

    def why_not(self, request: Request) -> str | None:
        """Why it cannot serve, in one line; None: it can. Pure, and without a look at any value."""

    def run(self, request: Request, inputs: Inputs) -> tuple[Tensor, State]:
        """Output ``[T, B, D*(P or H)]``, zero beyond lengths, and the state after each row's last step. Differentiable.

        Only for a request that ``why_not`` has nothing against.
        """

    def trace(self, request: Request, inputs: Inputs) -> tuple[Tensor, State, Gates]:
        """As ``run``, without a gradient, and what happened inside: of this kernel's own run, not of another's.

        It holds all of it at once: callers cut long sequences (:mod:`gatewise.nn.tracing`).
        """


def allocate(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for a kernel to fill, uninitialised. Tests replace :data:`filled_with` to find what was never filled."""
    dtype = dtype or like.dtype
    memory = kept.empty(shape, dtype) if kept.serves(like, shape, dtype) else like.new_empty(shape, dtype=dtype)
    if filled_with is not None:
        memory.fill_(filled_with)
    return memory


filled_with: float | None = None
"""None, or NaN in tests."""
