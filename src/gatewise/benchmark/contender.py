"""One of those that run in turn, and which kernel serves it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from gatewise.benchmark.settings import Work
from gatewise.cell import PLAIN
from gatewise.errors import KernelUnavailable
from gatewise.kernels import Request, select
from gatewise.kernels.native import ONEDNN_HAS_BFLOAT16

TORCH_COMPUTES = {"float32": True, "bfloat16": ONEDNN_HAS_BFLOAT16}
"""Elsewhere, or held to an older instruction set, torch's LSTM fails in bfloat16 or is rougher than plain PyTorch: the
reference kernel then says how wrong one may be."""


@dataclass(frozen=True)
class Contender:
    """One of those that run in turn.

    Args:
        name: ``"torch"``, a dtype or an option of the cell.
        run: what is timed.
        against: the contender that it is compared with; None: others are compared with it.
        check: what is wrong with what it computes, or None; ``run`` is not called for it.
        inference: runs under ``torch.inference_mode``.
        not_served: why no kernel does this; it then is not run.
    """

    name: str
    run: Callable[[], object]
    against: str | None = None
    check: Callable[[], str | None] = lambda: None
    inference: bool = False
    not_served: str | None = None


def request_of(work: Work, dtype: str, **facts: Any) -> Request:
    """What a layer of both directions asks of a kernel; ``facts`` add or replace."""
    known: dict[str, Any] = {"cell": PLAIN, "directions": 2} | facts
    return Request(
        dtype=getattr(torch, dtype), device="cpu", input_size=work.I, hidden_size=work.H, steps=work.T,
        batch_size=work.B, **known,
    )  # fmt: skip


def why_not_served(work: Work, kernel: str, dtype: str, **facts: Any) -> str | None:
    """Why this cannot be measured. The reference kernel, hundreds of times slower, is measured only if it is named."""
    request = request_of(work, dtype, **facts)
    try:
        serving = select(request, kernel).name
    except KernelUnavailable as error:
        return str(error)
    return "only the reference kernel serves this here" if serving == "reference" != kernel else None


def autocast(dtype: str) -> AbstractContextManager[Any]:
    """bfloat16 as one trains in it: the weights stay in float32."""
    return torch.autocast("cpu", torch.bfloat16) if dtype == "bfloat16" else nullcontext()
