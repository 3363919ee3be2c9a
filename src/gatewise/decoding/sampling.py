"""Drawing the next token from its scores."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gatewise.errors import OptionError, ShapeError


def sample(
    scores: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    forbidden: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draws one token a row, with probability :math:`\mathrm{softmax}(s / \tau)` over the tokens that are left.

    First the forbidden tokens go, then all but the ``top_k`` best, then, in the distribution of those that are left,
    all but the smallest set of best tokens whose probability reaches ``top_p``.

    Args:
        scores: ``[B, V]``, before the softmax; any floating dtype.
        temperature: :math:`\tau`. Below 1 the likely become likelier; 0 takes the best token.
        top_k: how many tokens to choose from; None for all.
        top_p: which probability to choose from, in ``(0, 1]``; the best token always stays.
        forbidden: tokens that are never drawn.
        generator: where the random numbers come from, on the device of ``scores``; None for torch's own.

    Returns:
        Token numbers ``[B]``, int64.

    Raises:
        OptionError: an option is out of range, or no token is left.
        ShapeError: scores are not ``[B, V]``, or a row has no largest finite score.

    Example:
        >>> scores = torch.tensor([[2.0, 1.0, 0.0, 3.0]])
        >>> sample(scores, temperature=0).item(), sample(scores, top_p=0.1, forbidden=[3]).item()
        (3, 0)

    References:
        Fan, Lewis & Dauphin 2018 (top k); Holtzman et al. 2020 (top p).
    """
    check_options(temperature=temperature, top_k=top_k, top_p=top_p)
    if scores.dim() != 2:
        raise ShapeError(f"sample: expected scores of shape (batch, vocabulary), got {tuple(scores.shape)}. "
                         "Pass one row a text.")  # fmt: skip
    scores = _without(scores.double(), forbidden)  # 64 bits: sums of shares over 100,000 tokens
    best, token = scores.max(1)
    if not best.isfinite().all():
        raise ShapeError(f"sample: expected a finite largest score in each row, got {best.tolist()}. "
                         "The model has diverged, or all of its tokens are ruled out.")  # fmt: skip
    if temperature == 0:
        return token
    scores = (scores - best[:, None]) / temperature  # 0 at most: no temperature is too small
    if top_k is not None and top_k < scores.shape[1]:
        scores, tokens = scores.topk(top_k, 1)  # the best first
    elif top_p < 1:
        scores, tokens = scores.sort(1, descending=True)
    else:
        return _draw(scores.softmax(1), generator)[:, 0]
    shares = scores.softmax(1)
    if top_p < 1:
        before = shares.cumsum(1) - shares  # the probability of all better ones
        shares = shares.masked_fill(before >= top_p, 0.0)
    return tokens.gather(1, _draw(shares, generator))[:, 0]


def check_options(*, temperature: float, top_k: int | None, top_p: float) -> None:
    """Checks how tokens are to be drawn; names as in :func:`sample`.

    Raises:
        OptionError: an option is out of range.
    """
    if not 0 <= temperature < math.inf:
        raise OptionError(f"temperature: expected a number of at least 0, got {temperature}. 0 takes the best token.")
    if top_k is not None and top_k < 1:
        raise OptionError(f"top_k: expected at least 1 token to choose from, got {top_k}. Leave it out for all.")
    if not 0 < top_p <= 1:
        raise OptionError(f"top_p: expected a probability in (0, 1], got {top_p}. 1 leaves all tokens.")


def _draw(shares: Tensor, generator: torch.Generator | None) -> Tensor:
    """One place a row ``[B, 1]``, with probability proportional to its share; never one whose share is 0.

    The first place where the summed shares exceed a random part of their total. torch.multinomial draws a random number
    for each share, which over a vocabulary takes longer than a step of the model.
    """
    sums = shares.cumsum(1)
    part = torch.rand(len(shares), 1, dtype=shares.dtype, device=shares.device, generator=generator)
    return torch.searchsorted(sums, part * sums[:, -1:], right=True)  # part < 1, and so is the product < the total


def _without(scores: Tensor, forbidden: Sequence[int]) -> Tensor:
    size = scores.shape[1]
    if not forbidden:
        return scores
    if not all(0 <= token < size for token in forbidden):
        raise OptionError(f"forbidden: expected token numbers 0 to {size - 1}, got {list(forbidden)}.")
    if len(set(forbidden)) == size:
        raise OptionError(f"forbidden: expected to leave a token to draw, got all {size}. Allow one.")
    return scores.index_fill(1, torch.tensor(list(forbidden), device=scores.device), -torch.inf)
