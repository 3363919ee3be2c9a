"""Memory for large results, kept for the next step when it is freed: ``csrc/memory.cpp``."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewise.kernels.cpu import library

LARGE = 2**20
"""Bytes from which on a tensor's memory comes from here: below, malloc keeps what is freed by itself."""


class _Block:
    """One block: held by the array over it, which is held by the tensor's storage."""

    def __init__(self, size: int) -> None:
        self._give = library.memory().gatewise_memory_give
        self._address: int | None = library.memory().gatewise_memory_take(size)
        if self._address is None:
            raise MemoryError(f"gatewise: {size} bytes of memory are not to be had. Use smaller batches.")
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (self._address, False), "version": 3}

    def __del__(self) -> None:
        if getattr(self, "_address", None) is not None:
            self._give(self._address)


def serves(like: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Whether the memory of such a tensor beside ``like`` comes from here."""
    plain: Any = (Tensor, torch.nn.Parameter)  # and no stand-in, whose sizes are symbols
    if type(like) not in plain or like.device.type != "cpu" or library.why_not() is not None:
        return False
    return math.prod(shape) * dtype.itemsize >= LARGE


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU, uninitialised."""
    block = np.asarray(_Block(math.prod(shape) * dtype.itemsize))
    # Detached: a view that was made under no_grad may not be changed in place where gradients are recorded.
    return torch.from_numpy(block).view(dtype).view(shape).detach()


def held() -> int:
    """Bytes that are taken from the system, in use or kept for the next step."""
    return int(library.memory().gatewise_memory_held())
