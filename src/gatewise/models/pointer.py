"""Copying: an answer made of words of its own and of words of the source."""

import torch
import torch.nn.functional as F
from torch import Tensor

ABSENT = -1e9
"""Logarithm of the probability of what the source does not hold: finite, so that its gradient is zero and not NaN."""


def mix_copy(scores: Tensor, gate: Tensor, weights: Tensor, source: Tensor) -> Tensor:
    r"""Log-probabilities of either generating a token or copying it from the source.

    .. math::
        p(w) = g \, \mathrm{softmax}(z)_w + (1 - g) \sum_{t : x_t = w} \alpha_t

    Source and answer share their numbers. With subwords nothing is out of vocabulary, so it needs no extension.

    Args:
        scores: ``[B, S, V]``, before the softmax, ``z``.
        gate: ``[B, S, 1]``, before the sigmoid that makes it ``g``.
        weights: ``[B, S, T]``, the attention ``α``: zero in the padding.
        source: ``[B, T]``, the tokens ``x``; padding may hold any token.

    Returns:
        ``[B, S, V]``, float32 at least; finite, also where a probability is nearly zero.

    References:
        See, Liu & Manning 2017, equation 9.

    Example:
        >>> source, weights = torch.tensor([[3, 1, 3]]), torch.tensor([[[0.5, 0.2, 0.3]]])
        >>> never = torch.tensor([[[-100.0]]])
        >>> [round(p, 3) for p in mix_copy(torch.zeros(1, 1, 4), never, weights, source).exp().flatten().tolist()]
        [0.0, 0.2, 0.0, 0.8]
    """
    wide = torch.promote_types(scores.dtype, torch.float32)
    gate, weights = gate.to(wide), weights.to(wide)
    generated = scores.to(wide).log_softmax(-1) + F.logsigmoid(gate)
    copied = torch.zeros_like(generated).scatter_add(2, source[:, None].expand(weights.shape), weights)
    log_copied = copied.clamp(min=torch.finfo(wide).tiny).log().masked_fill(copied == 0, ABSENT)
    return torch.logaddexp(generated, log_copied + F.logsigmoid(-gate))
