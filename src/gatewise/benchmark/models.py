"""torch's side: the founding architecture as one writes it in PyTorch, and the same weights for ours."""

from typing import Any

import torch
from torch import Tensor, nn

from gatewise.models.recipes import bilstm
from gatewise.models.sequence_model import SequenceModel

PREFIXES = {
    "lstm1": "encoder.layers.0",
    "norm1": "encoder.between.0",
    "lstm2": "encoder.layers.1",
    "norm2": "encoder.between.1",
    "lstm3": "encoder.layers.2",
    "dense1": "head.0",
    "dense2": "head.2",
}
"""Modules of :class:`TorchBiLSTM`, and those of the recipe."""

NO_STATE = (None, None, None)


class TorchBiLSTM(nn.Module):
    """The recipe ``bilstm`` in plain PyTorch.

    Args:
        bidirectional: False: as a model must be that streams.
        dropout: after each batch normalisation.
        flat_norm: normalise ``[B*T, C]`` instead of ``[B, C, T]``: the same, summed in another order.

    Shape:
        - x ``[B, T, 1]``, state as returned or :data:`NO_STATE`; returns scores ``[B, 2]`` and the state of each layer
    """

    def __init__(self, *, bidirectional: bool = True, dropout: float = 0.5, flat_norm: bool = False) -> None:
        super().__init__()
        self.flat_norm = flat_norm
        directions = 2 if bidirectional else 1
        self.lstm1 = nn.LSTM(1, 64, batch_first=True, bidirectional=bidirectional)
        self.norm1 = nn.BatchNorm1d(64 * directions)
        self.lstm2 = nn.LSTM(64 * directions, 64, batch_first=True, bidirectional=bidirectional)
        self.norm2 = nn.BatchNorm1d(64 * directions)
        self.lstm3 = nn.LSTM(64 * directions, 32, batch_first=True, bidirectional=bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.dense1 = nn.Linear(32 * directions, 32)
        self.dense2 = nn.Linear(32, 2)

    def forward(self, x: Tensor, state: tuple[Any, ...] = NO_STATE) -> tuple[Tensor, tuple[Any, ...]]:
        last, state = self.stack(x, state)
        return self.dense2(torch.relu(self.dense1(last))), state

    def stack(self, x: Tensor, state: tuple[Any, ...] = NO_STATE) -> tuple[Tensor, tuple[Any, ...]]:
        """The recurrent layers: the last h of each direction, ``[B, D*32]``, and the state of each layer."""
        x, first = self.lstm1(x, state[0])
        x = self.dropout(self._norm(self.norm1, x))
        x, second = self.lstm2(x, state[1])
        x = self.dropout(self._norm(self.norm2, x))
        _, third = self.lstm3(x, state[2])
        return torch.cat(list(third[0]), 1), (first, second, third)

    def _norm(self, norm: nn.Module, x: Tensor) -> Tensor:
        if self.flat_norm:
            return norm(x.flatten(0, 1)).view_as(x)  # type: ignore[no-any-return]
        return norm(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


def torchs(*, bidirectional: bool = True, dropout: float = 0.5, flat_norm: bool = False) -> TorchBiLSTM:
    """The model with weights and batch statistics as after some training: no scale is 1, no shift is 0.

    Half of the units before the ReLU are clearly on, half clearly off: at its edge a rounding would turn a whole
    gradient on or off, and no comparison could tell that from a mistake.
    """
    torch.manual_seed(0)
    model = TorchBiLSTM(bidirectional=bidirectional, dropout=dropout, flat_norm=flat_norm)
    with torch.no_grad():
        for norm in (model.norm1, model.norm2):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
            norm.running_mean.normal_(0, 0.05)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.01, 0.1)  # type: ignore[union-attr]
        model.dense1.bias.copy_(torch.tensor([1.0, -1.0]).repeat(16))
    return model


def ours(theirs: TorchBiLSTM, kernel: str, *, bidirectional: bool = True, dropout: float = 0.5) -> SequenceModel:
    """The recipe with the same weights and statistics."""
    model = bilstm(1, 2, bidirectional=bidirectional, dropout=dropout, kernel=kernel)
    model.load_state_dict({our_name(name): value for name, value in theirs.state_dict().items()})
    return model


def our_name(name: str) -> str:
    """A parameter of :class:`TorchBiLSTM` by its name in the recipe.

    >>> our_name("lstm2.weight_ih_l0")
    'encoder.layers.1.weight_ih_l0'
    """
    module, parameter = name.split(".", 1)
    return f"{PREFIXES[module]}.{parameter}"
