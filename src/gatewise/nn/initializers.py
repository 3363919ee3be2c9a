"""How weights begin.

A bare :class:`gatewise.nn.LSTM` starts like PyTorch's, so that a seed means the same in both. Models start like this:
input weights Xavier uniform (Glorot & Bengio 2010), recurrent weights orthogonal (Saxe, McClelland & Ganguli 2014),
each gate by itself; forget gates open (Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015).
"""

from typing import Any

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.nn.lstm import LSTM
from gatewise.nn.lstm_cell import LSTMCell

RECURRENT = (LSTM, LSTMCell, nn.RNNBase, nn.RNNCellBase)


def initialize(module: nn.Module, *, forget_bias: float = 1.0) -> None:
    """Initialise every recurrent layer inside ``module``, in place; other layers are left alone.

    Input weights are Xavier uniform and recurrent weights orthogonal, gate by gate; biases are zero, except that each
    forget gate starts at ``forget_bias`` in total (in ``bias_ih``; ``bias_hh`` is zero). Peepholes start at zero,
    gains at one, projections orthogonal.

    Args:
        module: any module; it may be a recurrent layer (ours, or torch's LSTM, GRU and RNN) or contain some.
        forget_bias: the forget gates' bias. 1 keeps ``sigmoid(1) = 73 %`` of the cell state a step.

    Example:
        >>> lstm = LSTM(4, 8)
        >>> initialize(lstm)
        >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0)[8:16].tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    for layer in recurrent_layers(module):
        for name, parameter in layer.named_parameters(recurse=False):
            _initialize_one(name, parameter, layer.hidden_size)
        for bias in _forget_biases(layer):
            nn.init.constant_(bias, forget_bias)


def initialize_chrono(module: nn.Module, longest: int) -> None:
    """Chrono initialisation of every LSTM in ``module``: gates that remember for 1 to ``longest`` steps.

    Forget biases are ``log(u)`` with ``u`` uniform in ``[1, longest - 1]``, input biases their negatives. Everything
    else is as :func:`initialize` leaves it.

    Args:
        module: as for :func:`initialize`; must have forget gates.
        longest: the longest dependency to expect, in steps; at least 3.

    Raises:
        OptionError: ``longest`` is below 3, or a recurrent layer has no forget gate with a bias.

    References:
        Tallec & Ollivier 2018, Can recurrent neural networks warp time?
    """
    if longest < 3:
        raise OptionError(f"initialize_chrono: expected longest of at least 3 steps, got {longest}.")
    initialize(module)
    layers = recurrent_layers(module)
    if not layers or not all(_forget_biases(layer) for layer in layers):
        raise OptionError(
            "initialize_chrono: expected LSTMs with forget gates and biases, got a layer without. "
            "Leave out coupled=True, forget=False and bias=False."
        )
    for layer in layers:
        for forget, input_gate in zip(_forget_biases(layer), _input_biases(layer), strict=True):
            with torch.no_grad():
                forget.uniform_(1, longest - 1).log_()
                input_gate.copy_(-forget)


def recurrent_layers(module: nn.Module) -> list[Any]:
    """Every recurrent layer inside ``module``, itself included."""
    return [layer for layer in module.modules() if isinstance(layer, RECURRENT)]


def _initialize_one(name: str, parameter: Tensor, hidden_size: int) -> None:
    if name.startswith("weight_ih"):
        for gate in torch.split(parameter, hidden_size):
            nn.init.xavier_uniform_(gate)
    elif name.startswith("weight_hh"):
        for gate in torch.split(parameter, hidden_size):
            _orthogonal(gate)
    elif name.startswith("weight_hr"):
        _orthogonal(parameter)
    elif name.startswith("gain"):
        nn.init.ones_(parameter)
    else:  # biases and peepholes
        nn.init.zeros_(parameter)


def _orthogonal(weight: Tensor) -> None:
    """In place; drawn in at least float32, for torch has no QR of 16-bit matrices."""
    drawn = nn.init.orthogonal_(weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True))
    with torch.no_grad():
        weight.copy_(drawn)


def _forget_biases(layer: Any) -> list[Tensor]:
    """The second quarter of every ``bias_ih``, for a cell with a forget gate of its own; views."""
    return [gates[1] for gates in _input_side_biases(layer)]


def _input_biases(layer: Any) -> list[Tensor]:
    return [gates[0] for gates in _input_side_biases(layer)]


def _input_side_biases(layer: Any) -> list[tuple[Tensor, ...]]:
    biases = [p.detach() for name, p in layer.named_parameters(recurse=False) if name.startswith("bias_ih")]
    has_forget_gate = isinstance(layer, nn.LSTM | nn.LSTMCell) or (
        isinstance(layer, LSTM | LSTMCell) and layer.cell.num_gates == 4
    )
    return [torch.split(bias, layer.hidden_size) for bias in biases] if has_forget_gate else []
