"""Sums over the rows of a matrix, for each column: in one pass of the library, where there is one, and by torch."""

import ctypes

import torch
from torch import Tensor

from gatewise.kernels.cpu import api, library


def column_sums(x: Tensor, centre: Tensor, *, above: float, below: float) -> Tensor:
    """What there is to know of each column of ``x [n, H]``, for means, deviations and shares.

    Args:
        x: floating point.
        centre: ``[H]``, of the same dtype; squares about a place near the values lose no digits.
        above: a threshold.
        below: another.

    Returns:
        ``[4, H]`` of the same dtype: the sum, how many values are above, how many below, and the sum of the squares of
        ``x - centre``.

    Example:
        >>> column_sums(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([2.0]), above=5.0, below=2.0).flatten()
        tensor([ 9.,  1.,  1., 17.])
    """
    if serves(x):
        return _by_library(x, centre, above, below)
    return by_torch(x, centre, above=above, below=below)


def serves(x: Tensor) -> bool:
    """Whether the library computes it."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.stride(1) == 1
    return plain and library.why_not() is None


def by_torch(x: Tensor, centre: Tensor, *, above: float, below: float) -> Tensor:
    """As :func:`column_sums`, a pass for each operation."""
    away = x - centre
    sums = [x.sum(0), (x > above).sum(0), (x < below).sum(0), (away * away).sum(0)]
    return torch.stack([part.to(x.dtype) for part in sums])


def _by_library(x: Tensor, centre: Tensor, above: float, below: float) -> Tensor:
    (n, size), centre = x.shape, centre.contiguous()
    assert centre.shape == (size,) and centre.dtype == x.dtype and not x.is_neg()
    sums = x.new_empty(4, size)
    call = api.Columns(n, size, x.stride(0), above, below, x.data_ptr(), centre.data_ptr(), sums.data_ptr())
    library.functions(library.isa()).column_sums(ctypes.byref(call))
    return sums
