"""Pooling: from one vector a step to one vector a sequence."""

from typing import Protocol

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError, did_you_mean


class Pool(Protocol):
    """Reduces ``steps [B, T, F]`` to ``[B, F]``.

    ``mask [B, T]`` is True at real steps, or None where all are; ``last [B, F]`` is the encoder's final hidden state.
    Padded steps are zero. A row without real steps gives zeros.
    """

    def __call__(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor: ...


class LastState(nn.Module):
    """The hidden state after each row's last step, of both directions: the last step of one, the first of the other."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return last


class MeanPool(nn.Module):
    """The mean over the real steps."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        if mask is None:
            return steps.mean(1)
        count = mask.sum(1, keepdim=True).clamp(min=1)
        return steps.masked_fill(~mask[..., None], 0.0).sum(1) / count


class MaxPool(nn.Module):
    """The largest value of each feature over the real steps."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        if mask is None:
            return steps.amax(1)
        largest = steps.masked_fill(~mask[..., None], -torch.inf).amax(1)
        return largest.masked_fill(~mask.any(1, keepdim=True), 0.0)


class AttentionPool(nn.Module):
    r"""A weighted mean over the real steps, the weights learnt.

    .. math::
        u_t = v^\top \tanh(W s_t + b), \qquad \alpha = \mathrm{softmax}(u), \qquad y = \sum_t \alpha_t s_t

    Args:
        size: features per step, ``F``.

    Shape:
        - steps ``[B, T, F]``, mask ``[B, T]`` or None; output ``[B, F]``

    References:
        Bahdanau et al. 2015 (additive scores); Yang et al. 2016 (attention as pooling).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, steps: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, T]``: what share each step has; zero in the padding."""
        scores: Tensor = self.score(torch.tanh(self.projection(steps))).squeeze(-1)
        if mask is None:
            return scores.softmax(1)
        # The lowest finite number, not -inf: a row without real steps must not become 0/0.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return scores.softmax(1) * mask

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return (self.weights(steps, mask)[:, None] @ steps).squeeze(1)


class PerStep(nn.Module):
    """No pooling: the answer is one per step."""

    def forward(self, steps: Tensor, mask: Tensor | None, last: Tensor) -> Tensor:
        return steps


POOLS = ("last", "mean", "max", "attention", "none")


def make_pool(name: str, size: int) -> nn.Module:
    """The pooling of this name over ``size`` features; ``"none"`` keeps every step.

    Raises:
        OptionError: no pooling has this name.
    """
    if name == "attention":
        return AttentionPool(size)
    simple = {"last": LastState, "mean": MeanPool, "max": MaxPool, "none": PerStep}
    if name not in simple:
        raise OptionError(f'pool: expected one of {", ".join(POOLS)}, got "{name}". {did_you_mean(name, POOLS)}')
    return simple[name]()
