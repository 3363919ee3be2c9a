"""The number that an answer comes down to, so that it can be explained."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gatewise.nn.crf import FORBIDDEN, log_partition


def log_odds(scores: Tensor, chosen: int) -> Tensor:
    r"""How much more probable a class is than all others together, :math:`\ln p_k - \ln(1 - p_k)`, in nats.

    A score by itself says nothing: a softmax stays as it is where a number is added to all of them. This is what is
    left when such numbers cancel; of two classes it is the difference of their scores.

    Args:
        scores: ``[..., K]``, before the softmax.
        chosen: the class.

    Returns:
        ``[...]``, float32 at least.

    Example:
        >>> round(log_odds(torch.tensor([2.0, 0.5]), 0).item(), 4)
        1.5
    """
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    others = torch.cat([wide[..., :chosen], wide[..., chosen + 1 :]], -1)
    return wide[..., chosen] - torch.logsumexp(others, -1)


def tag_log_odds(scores: Tensor, lengths: Tensor, step: int, chosen: int) -> Tensor:
    """The same for the tag of a word, under a conditional random field: of all sequences with it to all without it.

    Args:
        scores: ``[B, T, K, K]``.
        lengths: ``[B]``.
        step: of the word.
        chosen: the tag.

    Returns:
        ``[B]``.
    """
    here = torch.arange(scores.shape[-1], device=scores.device) == chosen
    at = (torch.arange(scores.shape[1], device=scores.device) == step)[:, None, None]
    with_it = scores.masked_fill(at & ~here, FORBIDDEN)
    without = scores.masked_fill(at & here, FORBIDDEN)
    return log_partition(with_it, lengths) - log_partition(without, lengths)


def log_probability(scores: Tensor, tokens: Tensor, step: int | None) -> Tensor:
    """Of an answer that is written token by token, ``ln p``; of one of its tokens the log-odds.

    Args:
        scores: ``[B, S, V]``.
        tokens: ``[S]``, the answer.
        step: which token; None for all of them.

    Returns:
        ``[B]``.
    """
    if step is not None:
        return log_odds(scores[:, step], int(tokens[step]))
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1)
    return wide[:, : len(tokens)].gather(-1, tokens.expand(len(scores), -1)[..., None]).sum((1, 2))


def transcript_log_probability(scores: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
    """``ln p`` of a transcript under connectionist temporal classification, over all its alignments.

    Args:
        scores: ``[B, T, V]``, blank 0.
        tokens: ``[S]``, the transcript.
        lengths: ``[B]``, steps of the scores.

    Returns:
        ``[B]``.

    References:
        Graves et al. 2006.
    """
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1).transpose(0, 1)
    count = torch.full((len(scores),), len(tokens))
    return -F.ctc_loss(wide, tokens.expand(len(scores), -1), lengths, count, reduction="none")
