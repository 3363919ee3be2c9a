"""Implementations of one LSTM layer, and the choice between them.

``contract`` says what a kernel is, ``recurrence`` makes one out of two raw functions, ``select`` chooses.
"""

from gatewise.kernels.contract import Gates, Inputs, Kernel, Masks, Request
from gatewise.kernels.select import KERNELS, describe, explain, record_kernels, run_layer, select, use_kernel

__all__ = [
    "KERNELS",
    "Gates",
    "Inputs",
    "Kernel",
    "Masks",
    "Request",
    "describe",
    "explain",
    "record_kernels",
    "run_layer",
    "select",
    "use_kernel",
]
