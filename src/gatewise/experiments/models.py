"""The recurrent networks that are compared: one layer, one linear answer, the same number of units."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, did_you_mean
from gatewise.experiments.problems import Problem
from gatewise.nn.initializers import initialize, initialize_chrono
from gatewise.nn.lstm import LSTM

INPUT_GATE_BIAS = -3.0  # of the cell of 1997: its input gates start almost shut (sections 5.4 and 4 of the paper)


class Model(NamedTuple):
    """How a network is made, and what to call it. ``make(I, H, longest)`` gives its recurrent layer, initialised."""

    title: str
    make: Callable[[int, int, int], nn.Module]


def _rnn(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    return _initialized(nn.RNN(input_size, hidden_size))


def _gru(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    return _initialized(nn.GRU(input_size, hidden_size))


def _gru_chrono(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    """Torch's update gate z keeps, ``h = (1 - z) n + z h``: its bias starts at ``log(u)`` (Tallec & Ollivier 2018)."""
    layer = nn.GRU(input_size, hidden_size)
    initialize(layer)
    with torch.no_grad():
        layer.get_parameter("bias_ih_l0")[hidden_size : 2 * hidden_size].uniform_(1, longest - 1).log_()
    return layer


def _lstm_1997(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    layer = LSTM(input_size, hidden_size, cell=Cell(forget=False))
    initialize(layer)
    with torch.no_grad():
        layer.get_parameter("bias_ih_l0")[:hidden_size].fill_(INPUT_GATE_BIAS)
    return layer


def _lstm(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    return _initialized(LSTM(input_size, hidden_size))


def _lstm_no_bias(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    return _initialized(LSTM(input_size, hidden_size), forget_bias=0.0)


def _lstm_chrono(input_size: int, hidden_size: int, longest: int) -> nn.Module:
    layer = LSTM(input_size, hidden_size)
    initialize_chrono(layer, longest)
    return layer


def _initialized(layer: nn.Module, *, forget_bias: float = 1.0) -> nn.Module:
    initialize(layer, forget_bias=forget_bias)
    return layer


MODELS = {
    "rnn": Model("plain RNN", _rnn),
    "gru": Model("GRU", _gru),
    "gru-chrono": Model("GRU, chrono", _gru_chrono),
    "lstm-1997": Model("cell of 1997", _lstm_1997),
    "lstm-no-bias": Model("LSTM, forget bias 0", _lstm_no_bias),
    "lstm": Model("LSTM, forget bias 1", _lstm),
    "lstm-chrono": Model("LSTM, chrono", _lstm_chrono),
}
"""The networks by name, in the order in which they are shown."""


def check_model(name: str) -> str:
    """A network's name.

    Raises:
        OptionError: there is none of this name.
    """
    if name not in MODELS:
        raise OptionError(
            f"experiment: expected models of {', '.join(MODELS)}, got {name!r}. {did_you_mean(name, MODELS)}"
        )
    return name


class Network(nn.Module):
    """One recurrent layer and a linear answer, at each row's last step or at every step.

    Every layer starts with Xavier and orthogonal weights (:mod:`gatewise.nn.initializers`); only gates' biases differ.

    Args:
        model: a name in :data:`MODELS`.
        problem: what it is for.
        length: ``T``; chrono initialisation expects dependencies of so many steps.
        hidden_size: ``H``.

    Shape:
        - inputs: ``[T, B, I]``, lengths ``[B]``
        - scores: ``[B, K]``, or ``[T, B, K]`` if every step is answered
    """

    def __init__(self, model: str, problem: Problem, *, length: int, hidden_size: int) -> None:
        super().__init__()
        make = MODELS[check_model(model)].make
        self.layer = make(problem.input_size(length), hidden_size, max(length, 3))
        self.answer = nn.Linear(hidden_size, problem.output_size(length))
        self.every_step = problem.every_step

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Scores; see the class."""
        hidden, last = self.run(inputs, lengths=lengths)
        return self.answer(hidden if self.every_step else last)  # type: ignore[no-any-return]

    def run(self, inputs: Tensor, *, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states ``[T, B, H]``, and each row's last one ``[B, H]``."""
        if isinstance(self.layer, LSTM):
            hidden, state = self.layer(inputs, lengths=lengths)
            return hidden, state.h[0]
        hidden, _ = self.layer(inputs)
        return hidden, hidden[lengths - 1, torch.arange(len(lengths))]  # what follows a row's end changes nothing in it

    def forget_gates(self) -> Tensor | None:
        """What each unit's forget gate says to an input and a state of zeros, ``[H]``; None without forget gates."""
        if not isinstance(self.layer, LSTM) or not self.layer.cell.forget:
            return None
        units = slice(self.layer.hidden_size, 2 * self.layer.hidden_size)
        bias = self.layer.get_parameter("bias_ih_l0") + self.layer.get_parameter("bias_hh_l0")
        return torch.sigmoid(bias.detach().double()[units])

    def advance(self, inputs: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        """The state after some steps: ``(h,)`` or ``(h, c)``, each ``[1, B, H]``."""
        given: Any = state
        if state is not None and len(state) == 1:
            given = state[0]
        _, after = self.layer(inputs, given)
        return (after,) if isinstance(after, Tensor) else tuple(after)


def seeded(model: str, problem: Problem, *, length: int, hidden_size: int, seed: int) -> Network:
    """A network as a seed begins it; the randomness of others is left alone. Arguments: see :class:`Network`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(model, problem, length=length, hidden_size=hidden_size)
