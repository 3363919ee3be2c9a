"""Batch normalisation over padded sequences."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from gatewise.errors import ShapeError
from gatewise.kernels.cpu import norm as fused
from gatewise.nn.dropout import SequenceDropout


def _processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _summed(x: Tensor) -> Tensor:
    """The sum over all processes, differentiable: a batch cut differently then has the same statistics."""
    return all_reduce(x) if _processes() > 1 else x  # type: ignore[no-untyped-call]


class SequenceBatchNorm(nn.Module):
    r"""Batch normalisation of each feature over the real steps of a batch, followed by dropout.

    .. math::
        y_{bt} = \gamma \odot \frac{x_{bt} - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta,
        \qquad \mu, \sigma^2 \text{ over all } (b, t) \text{ with } t < \text{length}_b

    On a batch without padding this is :class:`torch.nn.BatchNorm1d` on ``[B*T, C]``, whose parameter and buffer names,
    momentum and unbiased running variance it shares. torch's own would count padding as data: a sequence would then be
    normalised differently next to a longer one. Several processes (``torch.distributed``) share their statistics.

    Args:
        num_features: features per step, ``C``.
        eps: added to the variance.
        momentum: share of the batch in the running statistics.
        dropout: probability of zeroing a value afterwards, in training.

    Shape:
        - input: ``[B, T, C]``; padding may hold anything, even NaN
        - mask: ``[B, T]`` bool, True = real, or None where every step is
        - output: ``[B, T, C]``; zero in the padding

    Raises:
        ShapeError: the last size is not ``num_features``; or in training, fewer than two real steps in the batch.

    Example:
        >>> norm = SequenceBatchNorm(3)
        >>> x = torch.randn(2, 4, 3)
        >>> mask = torch.tensor([[True, True, True, True], [True, False, False, False]])
        >>> y = norm(x, mask)
        >>> bool((y[1, 1:] == 0).all()), bool(y[mask].mean(0).abs().max() < 1e-6)
        (True, True)

    References:
        Ioffe & Szegedy 2015. Laurent et al. 2016 for statistics over time and batch together in recurrent networks.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.dropout = SequenceDropout(dropout)
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if x.shape[-1] != self.num_features:
            raise ShapeError(
                f"SequenceBatchNorm: expected {self.num_features} features in the last size, got {tuple(x.shape)}. "
                "The last size must equal num_features."
            )
        if self.training:
            self._check_count(x, mask)
        if self.why_not_fused(x) is None:
            return self._fused(x, mask)
        if self.training and mask is None and _processes() > 1:
            mask = x.new_ones(x.shape[:-1], dtype=torch.bool)
        y = self._dense(x) if mask is None or not self.training else self._masked(x, mask)
        if mask is not None:
            y = y.masked_fill(~mask[..., None], 0.0)
        return self.dropout(y)  # type: ignore[no-any-return]

    def why_not_fused(self, x: Tensor) -> str | None:
        """Why plain PyTorch serves ``x`` and not the CPU kernel, in one line; None: the kernel does."""
        if x.dim() != 3:
            return f"it takes [B, T, C], and the input has {x.dim()} dimensions"
        if self.training and _processes() > 1:
            return "several processes share their statistics"
        return fused.why_not(x, self.weight, self.bias)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift ``[C]``, wide, of what it does to a step in evaluation: ``x * scale + shift``."""
        wide = torch.promote_types(self.running_var.dtype, torch.float32)
        scale = self.weight * torch.rsqrt(self.running_var.to(wide) + self.eps)
        return scale, self.bias - self.running_mean * scale

    def _fused(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y, moments = fused.batch_norm(
            x,
            mask,
            self.weight,
            self.bias,
            given=None if self.training else (self.running_mean, self.running_var),
            eps=self.eps,
            dropout=self.dropout.p if self.dropout.training else 0.0,
        )
        if self.training:
            self._track(moments[0], moments[2])
        return y

    def _track(self, mean: Tensor, unbiased: Tensor) -> None:
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)

    def _check_count(self, x: Tensor, mask: Tensor | None) -> None:
        if torch.compiler.is_compiling() and mask is not None:
            return  # reading a value would break the graph
        count = x.shape[:-1].numel() if mask is None else int(mask.sum())
        if count < 2:
            raise ShapeError(
                f"SequenceBatchNorm: expected at least 2 real steps to train on, got {count}. "
                "Use longer sequences or larger batches."
            )

    def _dense(self, x: Tensor) -> Tensor:
        """Every step is real, or the statistics are given: torch's own, fastest on ``[B*T, C]``."""
        if self.training:
            self.num_batches_tracked += 1
        y = F.batch_norm(
            x.reshape(-1, self.num_features),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.reshape(x.shape)

    def _masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Statistics ``[C]`` over the real steps of all processes, in float32 at least."""
        # Zeroed before any arithmetic: NaN times zero is NaN, in the output and in every gradient.
        x = x.masked_fill(~mask[..., None], 0.0)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = _summed(mask.sum())
        mean = _summed(wide.sum((0, 1))) / count
        variance = _summed(((wide - mean) * mask[..., None]).square().sum((0, 1))) / count
        self._track(mean, variance * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias - mean * scale, wide, scale).to(x.dtype)

    def extra_repr(self) -> str:
        """The sizes, for ``repr``."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
