"""Keeping freed memory for the next step, instead of giving it back to the system and asking again."""

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tells glibc's allocator to keep what is freed; for a process that trains, not for a library to do unasked.

    Training allocates the same large buffers in every step. By default each is a fresh mapping whose pages the system
    fills with zeros first, which costs about as long as the arithmetic: on one core the step of the `bilstm` recipe
    takes 0.16 s instead of 0.31 s by PyTorch's own kernel.

    Returns:
        Whether anything was changed: glibc on Linux only.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_M_TOP_PAD, 64 * 2**20))
