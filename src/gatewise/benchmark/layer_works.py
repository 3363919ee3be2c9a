"""Single layers on both sides: dense, ragged, and every option of the cell."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatewise.benchmark.contender import TORCH_COMPUTES, Contender, autocast, request_of, why_not_served
from gatewise.benchmark.outcomes import Outcome, what_is_wrong
from gatewise.benchmark.settings import Work
from gatewise.cell import PLAIN, Cell
from gatewise.errors import KernelUnavailable
from gatewise.kernels import select, use_kernel
from gatewise.nn.lstm import LSTM

CELLS = {
    "peephole": Cell(peephole=True),
    "coupled": Cell(coupled=True),
    "forget=False": Cell(forget=False),
    "norm": Cell(norm="layer"),
    "hidden_dropout": Cell(hidden_dropout=0.25),
    "recurrent_dropout": Cell(recurrent_dropout=0.25),
    "zoneout": Cell(zoneout=(0.25, 0.25)),
    "projection": PLAIN,
}
"""Each option of the cell alone; the last projects to half the units."""


@dataclass(frozen=True)
class _Call:
    """Forward and backward of a layer of both directions: the input, the gradient by the output, the lengths."""

    x: Tensor
    d_output: Tensor
    lengths: Tensor | None = None

    def forward(self, layer: nn.Module) -> tuple[Tensor, Any]:
        if self.lengths is None:
            output, state = layer(self.x)
            return output, state
        if isinstance(layer, LSTM):
            output, state = layer(self.x, lengths=self.lengths)
            return output, state
        packed = pack_padded_sequence(self.x, self.lengths, batch_first=True, enforce_sorted=False)
        packed, state = layer(packed)
        output, _ = pad_packed_sequence(packed, batch_first=True, total_length=self.x.shape[1])
        return output, state

    def to(self, dtype: torch.dtype) -> "_Call":
        return _Call(self.x.detach().to(dtype).requires_grad_(), self.d_output.to(dtype), self.lengths)

    def runner(self, layer: nn.Module, dtype: str) -> Callable[[], tuple[Tensor, Any]]:
        """What is timed. bfloat16 by autocast."""
        d_output = self.d_output.to(getattr(torch, dtype))

        def run() -> tuple[Tensor, Any]:
            self.x.grad = None
            layer.zero_grad()
            with autocast(dtype):
                output, state = self.forward(layer)
            output.backward(d_output)  # type: ignore[no-untyped-call]
            return output, state

        return run

    def outcome(self, layer: nn.Module, dtype: str = "float32", seed: int = 0) -> Outcome:
        """Everything computed; masks are drawn from the seed."""
        torch.manual_seed(seed)
        output, (h, c) = self.runner(layer, dtype)()
        results = {"output": output, "h": h, "c": c}
        leaves: Mapping[str, Tensor] = {"the input": self.x, **dict(layer.named_parameters())}
        gradients = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        return Outcome({name: y.detach() for name, y in results.items()}, gradients)


def _call(work: Work, size: int | None = None) -> _Call:
    torch.manual_seed(1)
    x = torch.randn(work.B, work.T, work.I, requires_grad=True)
    lengths = None
    if work.group == "ragged":  # 55 % full, in no order
        lengths = torch.linspace(0.1 * work.T, work.T, work.B).long().clamp(min=1)[torch.randperm(work.B)]
    return _Call(x, torch.randn(work.B, work.T, 2 * (size or work.H)), lengths)


def layers(work: Work, kernel: str) -> list[Contender]:
    """A layer of both directions, dense or ragged as the group of the work says."""
    call = _call(work)
    theirs = nn.LSTM(work.I, work.H, batch_first=True, bidirectional=True)

    def mine(kernel: str) -> LSTM:
        layer = LSTM(work.I, work.H, batch_first=True, bidirectional=True, kernel=kernel)
        layer.load_state_dict(theirs.state_dict())
        return layer

    @cache
    def truth() -> Outcome:
        return call.to(torch.float64).outcome(copy.deepcopy(theirs).double(), "float64")

    def check(dtype: str) -> str | None:
        actual = call.outcome(mine(kernel), dtype)
        plain = copy.deepcopy(theirs) if TORCH_COMPUTES[dtype] else mine("reference")
        return what_is_wrong(actual, [call.outcome(plain, dtype)], truth(), terms=work.B * work.T)

    found = [Contender("torch", call.runner(theirs, "float32"))]
    for dtype in work.dtypes:
        run = call.runner(mine(kernel), dtype)
        reason = why_not_served(work, kernel, dtype, ragged=call.lengths is not None, differentiable=True)
        found.append(Contender(dtype, run, "torch", lambda dtype=dtype: check(dtype), not_served=reason))  # type: ignore[misc]
    return found


def variants(work: Work, kernel: str) -> list[Contender]:
    """Each option beside the plain cell on the kernel that serves the option."""
    found: dict[str, Contender] = {}
    dtype = work.dtypes[0]

    def add(name: str, cell: Cell, proj_size: int, kernel: str, against: str | None) -> None:
        call = _call(work, proj_size)
        torch.manual_seed(2)
        layer = LSTM(
            work.I, work.H, batch_first=True, bidirectional=True, cell=cell, proj_size=proj_size, kernel=kernel
        )

        def check() -> str | None:
            actual = call.outcome(copy.deepcopy(layer), dtype)
            with use_kernel("reference"):
                baseline = call.outcome(copy.deepcopy(layer), dtype)
                truth = call.to(torch.float64).outcome(copy.deepcopy(layer).double(), "float64")
            return what_is_wrong(actual, [baseline], truth, terms=work.B * work.T)

        found[name] = Contender(name, call.runner(layer, dtype), against, check)

    for name, cell in CELLS.items():
        proj_size = work.H // 2 if name == "projection" else 0
        request = request_of(work, dtype, cell=cell, proj_size=proj_size, differentiable=True)
        try:
            serving = select(request, kernel).name
        except KernelUnavailable as error:
            found[name] = Contender(name, lambda: None, plain_on(kernel), not_served=str(error))
            continue
        against = plain_on(serving)
        if against not in found:
            add(against, PLAIN, 0, serving, None)
        add(name, cell, proj_size, serving, against)
    return list(found.values())


def plain_on(kernel: str) -> str:
    """The name of the plain cell's contender."""
    return f"plain cell on {kernel}"
