"""Small changes to the inputs in training, so that little data go further."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.nn.dropout import SequenceDropout


@dataclass(frozen=True)
class Augment:
    """Which changes; none by default. Sizes are in units of the scaled inputs, whose standard deviation is 1.

    Attributes:
        noise: standard deviation of Gaussian noise added to every value.
        scale: each sequence is multiplied by a factor drawn from N(1, scale²).
        dropout: probability of zeroing a value.

    Raises:
        OptionError: a size below 0 or above 100, or a probability of 1 and more.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  read by pydantic where settings are checked

    noise: float = 0.0
    scale: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.noise <= 100 and 0 <= self.scale <= 100 and 0 <= self.dropout < 1):
            raise OptionError(f"Augment: expected noise and scale from 0 to 100 and dropout in [0, 1), got {self}.")


class Augmentation(nn.Module):
    """Applies an :class:`Augment` in training; outside it changes nothing.

    Args:
        augment: which changes.

    Shape:
        - input, output: ``[B, T, I]``

    References:
        Um et al. 2017, Data augmentation of wearable sensor data (jittering and scaling).
    """

    def __init__(self, augment: Augment) -> None:
        super().__init__()
        self.augment = augment
        self.dropout = SequenceDropout(augment.dropout)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if self.augment.noise > 0:
            x = x + self.augment.noise * torch.randn_like(x)
        if self.augment.scale > 0:
            factor = torch.randn(x.shape[0], *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
            x = x * (1 + self.augment.scale * factor)
        return self.dropout(x)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"noise={self.augment.noise}, scale={self.augment.scale}"
