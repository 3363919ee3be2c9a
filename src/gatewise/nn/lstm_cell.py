"""One step at a time, for loops that a layer cannot express."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.cell import PLAIN, Cell, Weights
from gatewise.equations import Acts, project_input, step, widen
from gatewise.errors import OptionError, ShapeError
from gatewise.types import State


class LSTMCell(nn.Module):
    """One LSTM step, as :class:`torch.nn.LSTMCell` with a choice of equations.

    Computes :func:`gatewise.equations.step`. Dropout and zoneout of the cell draw new masks at each call in training;
    :class:`~gatewise.nn.lstm.LSTM` draws a hidden dropout mask once a sequence and is the better choice for it.

    Args:
        input_size: features per step, ``I``.
        hidden_size: units, ``H``.
        bias: whether there are ``bias_ih`` and ``bias_hh``.
        device: where the parameters live.
        dtype: of the parameters.
        cell: which equations. Default: the plain LSTM.

    Shape:
        - input: ``[B, I]`` or ``[I]``
        - hx: h and c, ``[B, H]`` or ``[H]``; default zeros
        - returned: ``State(h, c)``, of the shape of hx, in the dtype of the input

    Raises:
        OptionError: a size is not positive, or the cell has hidden dropout.
        ShapeError: a size does not fit.

    Example:
        >>> cell = LSTMCell(4, 8)
        >>> h, c = cell(torch.randn(3, 4))
        >>> h.shape, bool((h.abs() < 1).all())
        (torch.Size([3, 8]), True)

    References:
        Hochreiter & Schmidhuber 1997, Long short-term memory.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: Cell = PLAIN,
    ) -> None:
        super().__init__()
        for name, size in {"input_size": input_size, "hidden_size": hidden_size}.items():
            if not isinstance(size, int) or size < 1:
                raise OptionError(f"LSTMCell: expected {name} to be a positive integer, got {size!r}.")
        if cell.hidden_dropout:
            raise OptionError(f"LSTMCell: expected hidden_dropout 0, got {cell.hidden_dropout}. "
                              "One step cannot keep a mask for a sequence; use LSTM.")  # fmt: skip
        self.input_size, self.hidden_size, self.bias, self.cell = input_size, hidden_size, bias, cell
        shapes = cell.parameter_shapes(input_size, hidden_size, bias=bias)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self._names = [name if name in shapes else None for name in Weights._fields]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch: uniform in ±1/sqrt(H), from the same random numbers; gains are one."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> State:
        """The next state; see the class."""
        if input.dim() == 1:
            state = None if hx is None else (hx[0][None], hx[1][None])
            return State(*(part[0] for part in self.forward(input[None], state)))
        if input.dim() != 2 or input.shape[1] != self.input_size:
            raise ShapeError(f"LSTMCell: expected input of shape (batch, {self.input_size}), got "
                             f"{tuple(input.shape)}. The last size must equal input_size.")  # fmt: skip
        expected = (len(input), self.hidden_size)
        if hx is None:
            zeros = input.new_zeros(expected)
            hx = (zeros, zeros)
        for name, part in zip("hc", hx, strict=True):
            if part.shape != expected:
                raise ShapeError(f"LSTMCell: expected {name} of shape {expected}, got {tuple(part.shape)}. "
                                 "A state has one row for each row of the input.")  # fmt: skip
        found: Any = [None if name is None else getattr(self, name) for name in self._names]
        weights = Weights(*found)
        x_proj = project_input(input, weights)
        (h, c), _ = step(self.cell, x_proj, State(hx[0], widen(hx[1])), weights, self._acts(input))
        return State(h, c.to(h.dtype))

    def _acts(self, input: Tensor) -> Acts:
        """Masks in training; outside it zoneout by its mean."""
        cell, shape = self.cell, (len(input), self.hidden_size)
        zoneout = [_keep(rate, shape, input, training=self.training) for rate in cell.zoneout]
        m_g = None
        if self.training and (rate := cell.recurrent_dropout):
            m_g = input.new_empty(shape).bernoulli_(1 - rate).div_(1 - rate)
        return Acts(m_g=m_g, k_h=zoneout[0], k_c=zoneout[1])

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        shown += [] if self.bias else ["bias=False"]
        shown += [] if self.cell == PLAIN else [f"cell={self.cell!r}"]
        return ", ".join(shown)


def _keep(rate: float, shape: tuple[int, int], like: Tensor, *, training: bool) -> Tensor | float | None:
    if not rate:
        return None
    return like.new_empty(shape).bernoulli_(1 - rate) if training else 1 - rate
