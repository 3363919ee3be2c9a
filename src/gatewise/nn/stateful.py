"""One time step after another, the state kept in between: what a live stream needs."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gatewise.cell import Weights
from gatewise.equations import Acts, project_input, step, widen
from gatewise.errors import OptionError, ShapeError
from gatewise.kernels.cpu import stack
from gatewise.kernels.select import forced_kernel, note
from gatewise.nn.lstm import LSTM, after_affine
from gatewise.types import State


class StatefulStep:
    """A stack of LSTM layers that takes one step a call and remembers its state.

    The outputs are those of the layers, in evaluation, run over the whole sequence at once. The weights are copied when
    this is built: build it anew after training. No gradient passes through. Where the compiled CPU kernel serves, a
    step is one call of it, whatever the number of layers, and takes microseconds.

    Args:
        layers: from the input to the output, each in one direction; one may itself have several layers.
        affines: for each of them None, or scale and shift ``[I]`` of its input: a folded batch normalisation.
        batch_size: how many streams run side by side, ``B``.

    Attributes:
        kernel: what computes: ``"cpu"``, or ``"reference"``: the equations in plain PyTorch.

    Shape:
        - input ``[B, I]``, or ``[I]`` where ``batch_size`` is 1; of the weights' dtype
        - output ``[B, P or H]`` of the last layer, or ``[P or H]``

    Raises:
        OptionError: a layer looks ahead or does not fit the one before, or an affine cannot be folded.
        ShapeError: the input has another shape or dtype.

    Example:
        >>> layers = [LSTM(3, 8), LSTM(8, 4)]
        >>> step = StatefulStep(layers)
        >>> x = torch.randn(5, 1, 3)
        >>> whole, _ = layers[1](layers[0](x)[0])
        >>> bool(torch.allclose(torch.stack([step(x_t) for x_t in x]), whole, atol=1e-6))
        True
    """

    def __init__(
        self,
        layers: Sequence[LSTM],
        *,
        affines: Sequence[tuple[Tensor, Tensor] | None] | None = None,
        batch_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise OptionError(f"StatefulStep: expected batch_size of at least 1, got {batch_size}. It counts streams.")
        if not layers:
            raise OptionError("StatefulStep: expected at least one layer, got none. Pass a list of LSTMs.")
        self._layers: list[stack.Layer] = []
        for lstm, affine in zip(layers, affines or [None] * len(layers), strict=True):
            self._layers += _layers_of(lstm, affine, batch_size)
        _check_chain(self._layers)
        first, last = self._layers[0], self._layers[-1]
        self._dtype, self._device = first.weights.weight_ih.dtype, first.weights.weight_ih.device
        self._shape = torch.Size([batch_size, first.weights.weight_ih.shape[1]])
        self._output_shape = last.state.h.shape
        serves = forced_kernel() in ("auto", "cpu") and stack.why_not(self._layers) is None
        self._stack = stack.Stack(self._layers) if serves else None
        self.kernel = "cpu" if serves else "reference"

    @property
    def state(self) -> list[State]:
        """The state of each layer, h ``[B, P or H]`` and c ``[B, H]``, at least float32: write into it to set it."""
        return [layer.state for layer in self._layers]

    def reset(self, rows: Tensor | None = None) -> None:
        """Forgets everything, or what the given rows (indices or a mask) have seen."""
        for part in (part for layer in self._layers for part in layer.state):
            if rows is None:
                part.zero_()
            else:
                part[rows] = 0

    @torch.no_grad()
    def _by_equations(self, x: Tensor) -> Tensor:
        for cell, weights, state in self._layers:
            keep_h, keep_c = (1 - rate if rate else None for rate in cell.zoneout)  # zoneout acts by its mean
            after, _ = step(cell, project_input(x, weights), state, weights, Acts(k_h=keep_h, k_c=keep_c))
            state.h.copy_(after.h)
            state.c.copy_(after.c)
            x = state.h
        return x.clone()

    def __reduce__(self) -> str:
        raise TypeError("StatefulStep: cannot be copied or pickled. Build another from the layers, and copy its state.")

    def __call__(self, x: Tensor) -> Tensor:
        """The next step."""
        if x.shape != self._shape or x.dtype != self._dtype or x.device != self._device:
            return self._reshaped(x)
        note(self.kernel)
        if self._stack is None:
            return self._by_equations(x)
        output = torch.empty(self._output_shape, dtype=self._dtype, device=self._device)
        self._stack.step(x if x.is_contiguous() else x.contiguous(), output)
        return output

    def _reshaped(self, x: Tensor) -> Tensor:
        batch_size = self._shape[0]
        if batch_size == 1 and x.shape == self._shape[1:] and x.dtype == self._dtype and x.device == self._device:
            return self(x[None])[0]
        raise ShapeError(
            f"StatefulStep: expected {tuple(self._shape)} of {self._dtype} on {self._device}, got {tuple(x.shape)} of "
            f"{x.dtype} on {x.device}. A call takes one step of each stream."
        )


def _check_chain(layers: list[stack.Layer]) -> None:
    """Each layer must take what the one before it gives: the library reads it without a look."""
    for before, after in pairwise(layers):
        gives, takes = before.state.h, after.weights.weight_ih
        if (gives.shape[1], gives.dtype, gives.device) != (takes.shape[1], takes.dtype, takes.device):
            raise OptionError(
                f"StatefulStep: expected a layer that takes {gives.shape[1]} features of {gives.dtype} on "
                f"{gives.device}, as the one before gives, got {takes.shape[1]} of {takes.dtype} on {takes.device}. "
                "Pass the layers of one stack, in order."
            )


def _layers_of(lstm: LSTM, affine: tuple[Tensor, Tensor] | None, batch_size: int) -> list[stack.Layer]:
    if lstm.bidirectional:
        raise OptionError(f"StatefulStep: expected layers of one direction, got {lstm}. The other begins at the end, "
                          "which a stream does not have.")  # fmt: skip
    if affine is not None and (not lstm.bias or lstm.cell.norm is not None):
        raise OptionError(f"StatefulStep: expected a layer with bias and without layer norm after an affine, got "
                          f"{lstm}. Apply the affine to its input.")  # fmt: skip
    found = []
    for depth, (given,) in enumerate(lstm.weights()):
        folded = given if depth > 0 or affine is None else after_affine(given, *affine)
        weights = Weights(**{name: w.detach().clone() for name, w in folded._asdict().items() if w is not None})
        zeros = weights.weight_ih.new_zeros
        size = lstm.proj_size or lstm.hidden_size
        state = State(zeros(batch_size, size), widen(zeros(batch_size, lstm.hidden_size)))
        found.append(stack.Layer(lstm.cell.without_dropout(), weights, state))
    return found
