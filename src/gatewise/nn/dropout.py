"""Dropout for sequences: independent at every step, or one mask for the whole sequence."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.kernels.cpu import norm as fused

_LEVELS = 65536  # a random number is 16 bits wide


class SequenceDropout(nn.Module):
    """Zeroes values with probability ``p`` in training and scales the others so that the mean stays.

    Args:
        p: probability of zeroing a value. On a CPU, outside torch.compile, it is rounded to 1/65536 and the scale
            follows the rounded value.
        locked: one mask a sequence, the same at every step (variational dropout), instead of a new one each step.

    Shape:
        - input, output: ``[B, T, C]``, or ``[B, C]`` where ``locked`` is False

    Raises:
        OptionError: ``p`` is not in ``[0, 1)``.

    Example:
        >>> y = SequenceDropout(0.5, locked=True)(torch.ones(2, 4, 3))
        >>> bool((y == y[:, :1]).all())
        True

    References:
        Srivastava et al. 2014. Gal & Ghahramani 2016 for the locked mask.
    """

    def __init__(self, p: float = 0.5, *, locked: bool = False) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise OptionError(f"SequenceDropout: expected p in [0, 1), got {p}. It is the share that is zeroed.")
        self.p = p
        self.locked = locked

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = (x.shape[0], 1, *x.shape[2:]) if self.locked else x.shape
        if torch.compiler.is_compiling() or (self.locked and x.device.type != "cpu"):
            # A compiler fuses the drawing with what follows. Through a mask of its own: the shape function that torch
            # 2.13 has for dropout's backward is wrong about strides (contiguous, where eager keeps the gradient's).
            return x * F.dropout(x.new_ones(shape), self.p)
        if not self.locked and fused.why_not(x) is None:
            return fused.dropout(x, self.p)
        return x * _cpu_mask(self.p, shape, x.dtype) if x.device.type == "cpu" else F.dropout(x, self.p)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"p={self.p}, locked={self.locked}"


def dropout(x: Tensor, p: float) -> Tensor:
    """A new mask for every value, by the compiled kernel where it serves."""
    if p == 1 or torch.compiler.is_compiling() or fused.why_not(x) is not None:  # the kernel never drops all
        return F.dropout(x, p)
    return fused.dropout(x, p)


def dropout_mask(p: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros with probability ``p``, and ``1 / (1 - p)`` elsewhere, in the dtype and on the device of ``like``.

    The same numbers give the same mask in every dtype and for every kernel, so that they can be compared.
    """
    if torch.compiler.is_compiling() or like.device.type != "cpu":
        return like.new_empty(shape).bernoulli_(1 - p).div_(1 - p)
    if not fused.draws():
        return _cpu_mask(p, shape, like.dtype)
    mask = fused.dropout(torch.ones(shape, dtype=torch.float32, device="cpu"), p)
    if like.dtype == torch.float32:
        return mask
    dropped = fused.dropped_of(p)
    return (mask > 0).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def _cpu_mask(p: float, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype) -> Tensor:
    """Zeros, and ``1 / (1 - p)`` elsewhere.

    torch draws one number a value on a single thread, which costs several times as much; four 16-bit numbers from each
    64-bit draw are as random.
    """
    count = torch.Size(shape).numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device="cpu").random_(-(2**63), None)
    uniform = words.view(torch.int16)[:count].view(shape)  # -32768 .. 32767
    dropped = min(round(p * _LEVELS), _LEVELS - 1)
    keep = uniform >= dropped - _LEVELS // 2
    return keep.to(dtype).mul_(_LEVELS / (_LEVELS - dropped))
