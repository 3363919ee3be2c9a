"""What every kernel must pass: named cases with ugly sizes, every variant alone, and all their combinations."""

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gatewise.accuracy import excess
from gatewise.cell import PLAIN, Cell, Weights
from gatewise.equations import widen
from gatewise.kernels.contract import Gates, Inputs, Kernel, Masks, Request
from gatewise.kernels.recurrence import scan, unroll
from gatewise.types import State

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """One layer and one call. ``lengths`` has ``B`` entries; masks are drawn for the rates in the cell."""

    name: str
    T: int = 5
    B: int = 2
    I: int = 3
    H: int = 7
    P: int = 0
    directions: int = 1
    cell: Cell = PLAIN
    lengths: tuple[int, ...] | None = None
    resets: bool = False
    state: bool = True
    bias: bool = True
    evaluation: bool = False  # no masks: dropout is off and zoneout acts by its mean

    def request(self, dtype: torch.dtype, device: str = "cpu") -> Request:
        """The case as a request for a gradient."""
        return Request(
            self.cell.without_dropout() if self.evaluation else self.cell, dtype, device, self.I, self.H, self.P,
            self.bias, self.directions, self.T, self.B, self.lengths is not None, self.resets, self.state,
            differentiable=True,
        )  # fmt: skip

    def inputs(self, dtype: torch.dtype, device: str = "cpu", seed: int = 0) -> Inputs:
        """Leaves that require grad; the same values at every call and in every dtype: bfloat16 can hold them all."""
        draw = torch.Generator().manual_seed(seed)

        def leaf(*shape: int, scale: float = 1.0) -> Tensor:
            values = torch.randn(shape, generator=draw, dtype=torch.float64) * scale
            return values.bfloat16().to(device, dtype).requires_grad_()

        size = self.P or self.H
        shapes = self.cell.parameter_shapes(self.I, self.H, proj_size=self.P, bias=self.bias)
        weights = tuple(
            Weights(**{name: leaf(*shape, scale=shape[-1] ** -0.5) for name, shape in shapes.items()})
            for _ in range(self.directions)
        )
        state = State(leaf(self.directions, self.B, size), leaf(self.directions, self.B, self.H))
        x = leaf(self.T, self.B, self.I).detach()
        lengths, resets = None, None
        if self.lengths is not None:
            lengths = torch.tensor(self.lengths, device=device)
            alive = torch.arange(self.T, device=device)[:, None] < lengths
            x = x.masked_fill(~alive[..., None], torch.nan)  # which no kernel may let through
        if self.resets:
            resets = (torch.rand(self.T, self.B, generator=draw) < 0.3).to(device)
            resets = resets if lengths is None else resets & alive
        cell = self.cell.without_dropout() if self.evaluation else self.cell
        masks = Masks() if self.evaluation else self._masks(draw, dtype, device)
        return Inputs(cell, x.requires_grad_(), weights, state if self.state else None, lengths, resets, masks)

    def _masks(self, draw: torch.Generator, dtype: torch.dtype, device: str) -> Masks:
        row, at_each = (self.directions, self.B), (self.directions, self.T, self.B)

        def mask(rate: float, *shape: int, scale: float) -> Tensor | None:
            kept = (torch.rand(shape, generator=draw) >= rate) * scale
            return kept.bfloat16().to(device, dtype) if rate else None

        cell, size = self.cell, self.P or self.H
        return Masks(
            mask(cell.hidden_dropout, *row, size, scale=1 / (1 - cell.hidden_dropout)),
            mask(cell.recurrent_dropout, *at_each, self.H, scale=1 / (1 - cell.recurrent_dropout)),
            mask(cell.zoneout[0], *at_each, size, scale=1.0),
            mask(cell.zoneout[1], *at_each, self.H, scale=1.0),
        )


CELLS = {
    "peephole": Cell(peephole=True),
    "coupled": Cell(coupled=True),
    "no forget gate": Cell(forget=False),
    "layer norm": Cell(norm="layer"),
    "hidden dropout": Cell(hidden_dropout=0.25),
    "recurrent dropout": Cell(recurrent_dropout=0.25),
    "zoneout": Cell(zoneout=(0.25, 0.5)),
    "zoneout of h": Cell(zoneout=(0.5, 0.0)),
    "zoneout of c": Cell(zoneout=(0.0, 0.5)),
    "everything": Cell(peephole=True, norm="layer", hidden_dropout=0.25, recurrent_dropout=0.25, zoneout=(0.25, 0.5)),
}

CASES = (
    Case("plain", B=3, T=17, I=5, H=33),
    Case("one step", B=1, T=1, I=1, H=8),
    Case("one unit", B=3, T=4, I=2, H=1),
    Case("no steps", B=2, T=0),
    Case("no rows", B=0, T=3),
    Case("no bias", bias=False),
    Case("no initial state", B=4, T=9, state=False),
    Case("both directions", B=3, T=11, I=6, H=17, directions=2),
    Case("projection", B=3, T=7, H=9, P=4),
    Case("projection, both directions, ragged", B=3, T=7, H=9, P=4, directions=2, lengths=(7, 0, 3)),
    Case("ragged", B=5, T=19, I=4, H=40, lengths=(19, 7, 1, 0, 19)),
    Case("ragged, no full row", B=3, T=9, lengths=(4, 0, 2)),
    Case("ragged, all empty", B=2, T=3, lengths=(0, 0)),
    Case("ragged, all full", B=2, T=6, lengths=(6, 6)),
    Case("ragged, both directions", B=5, T=19, I=4, H=13, lengths=(19, 7, 1, 0, 19), directions=2),
    Case("ragged, both directions, no state", B=5, T=19, H=13, lengths=(19, 7, 1, 0, 19), directions=2, state=False),
    Case("resets", B=3, T=12, resets=True),
    Case("resets, both directions, ragged", B=4, T=12, resets=True, directions=2, lengths=(12, 5, 0, 1)),
    *(Case(name, B=3, T=9, I=4, H=31, cell=cell) for name, cell in CELLS.items()),
    *(
        Case(f"{name}, in evaluation", B=3, T=9, cell=CELLS[name], evaluation=True)
        for name in ("zoneout", "everything")
    ),
    Case(
        "everything at once", B=4, T=9, P=3, directions=2, cell=CELLS["everything"], lengths=(9, 4, 0, 1), resets=True
    ),
)
"""Each names what it is there for."""


def lattice(T: int = 5, B: int = 2, H: int = 7) -> tuple[Case, ...]:
    """Every combination of gates, peepholes, norm, dropout, zoneout, ragged rows and directions, at one small size."""
    gates: tuple[dict[str, bool], ...] = ({}, {"coupled": True}, {"forget": False})
    cases = []
    for gate, flags in itertools.product(gates, itertools.product((False, True), repeat=6)):
        peephole, norm, dropout, zoneout, ragged, both = flags
        rate = 0.3 if dropout else 0.0
        cell = Cell(peephole=peephole, norm="layer" if norm else None, hidden_dropout=rate, recurrent_dropout=rate,
                    zoneout=(0.3, 0.4) if zoneout else (0.0, 0.0), **gate)  # fmt: skip
        name = f"{cell}{' ragged' * ragged}{' both directions' * both}"
        lengths = (T, T // 2, *[1] * (B - 2)) if ragged else None
        cases.append(Case(name, T=T, B=B, H=H, cell=cell, lengths=lengths, directions=1 + both))
    return tuple(cases)


Run = Callable[[Request, Inputs], tuple[Tensor, State]]


def outcome(run: Run, case: Case, dtype: torch.dtype, device: str = "cpu", seed: int = 0) -> dict[str, Tensor]:
    """Everything that a run gives, by name: output, h_n, c_n, and the gradient by everything that has one."""
    inputs = case.inputs(dtype, device, seed)
    output, state = run(case.request(dtype, device), inputs)
    results = {"output": output, "h_n": state.h, "c_n": state.c}
    leaves = _leaves(inputs)
    loss = sum((_weighting(y) * y.double()).sum() for y in results.values() if y.requires_grad)
    if not isinstance(loss, Tensor):  # nothing was computed from anything: no step, no row
        return results
    found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return {name: y.detach() for name, y in results.items()} | {
        f"d_{name}": d for name, d in zip(leaves, found, strict=True)
    }


def plain(_: Request, inputs: Inputs) -> tuple[Tensor, State]:
    """The equations under autograd: the truth in float64, the baseline in any other dtype."""
    return unroll(inputs)


Trace = Callable[[Request, Inputs], tuple[Tensor, State, Gates]]


def insides(trace: Trace, case: Case, dtype: torch.dtype, device: str = "cpu", seed: int = 0) -> dict[str, Tensor]:
    """Everything that a trace gives, by name: output, h_n, c_n, and each of the gates."""
    request = case.request(dtype, device)._replace(differentiable=False)
    with torch.no_grad():
        output, state, gates = trace(request, case.inputs(dtype, device, seed))
    return {"output": output, "h_n": state.h, "c_n": state.c, **gates._asdict()}


def plain_trace(request: Request, inputs: Inputs) -> tuple[Tensor, State, Gates]:
    """What a trace should be, step by step from the equations."""
    inputs = inputs.without_padding()
    found = []
    for direction in range(len(inputs.weights)):
        steps: dict[int, Gates] = {}
        for t, acts, state, saved in scan(inputs, direction):
            inside = Gates(saved.i, saved.f, saved.g, saved.o, state.c, widen(state.h))
            steps[t] = inside if acts.alive is None else Gates(*(torch.where(acts.alive, x, 0.0) for x in inside))
        found.append([torch.stack(part) for part in zip(*(steps[t] for t in range(len(steps))), strict=True)])
    if request.steps == 0:
        wide, rows = widen(inputs.input), (request.directions, 0, request.batch_size)
        sizes = [*[inputs.hidden_size] * 5, inputs.output_size]
        return *plain(request, inputs), Gates(*(wide.new_zeros(*rows, size) for size in sizes))
    return *plain(request, inputs), Gates(*(torch.stack(part) for part in zip(*found, strict=True)))


def _leaves(inputs: Inputs) -> dict[str, Tensor]:
    found = {"input": inputs.input}
    if inputs.state is not None:
        found |= {"h_0": inputs.state.h, "c_0": inputs.state.c}
    for suffix, weights in zip(("", "_reverse"), inputs.weights, strict=False):
        found |= {f"{name}{suffix}": w for name, w in weights._asdict().items() if w is not None}
    return found


def _weighting(y: Tensor) -> Tensor:
    """A fixed direction to take the gradient in: no two entries the same."""
    return torch.linspace(-1, 1, y.numel(), dtype=torch.float64, device=y.device).cos().reshape(y.shape)


DRAWS, FAR = 9, 8.0
"""How many draws settle a doubt; and how far beyond what is allowed no draw may be."""


@dataclass(frozen=True)
class KernelCheck:
    """One thing that a kernel must pass: call it. Skips, with the kernel's own reason, where it does not serve.

    Every result and every gradient must be as accurate as plain PyTorch's. Both errors are the largest of a few
    roundings, so one draw in thirty exceeds twice the other by chance: then more are drawn, and their median counts.
    """

    kernel: Kernel
    case: Case
    dtype: torch.dtype
    factor: float = 2.0
    baseline: Run = plain  # whose error is the measure, and the truth in float64

    def __call__(self) -> None:
        """Raises AssertionError where it is not."""
        if reason := self.kernel.why_not(self.case.request(self.dtype)):
            pytest.skip(reason)
        _settle(str(self), self._shares)

    def _shares(self, seed: int) -> dict[str, float]:
        """Each result's error as a share of what is allowed."""
        actual = outcome(self.kernel.run, self.case, self.dtype, seed=seed)
        coarse = torch.float32 if self.dtype == torch.float64 else self.dtype
        baseline = outcome(self.baseline, self.case, coarse, seed=seed)
        exact = outcome(self.baseline, self.case, torch.float64, seed=seed)
        for name, result in actual.items():
            assert result.dtype == self.dtype, f"{self}, {name}: expected {self.dtype}, got {result.dtype}"
            assert result.shape == exact[name].shape, f"{self}, {name}: got shape {tuple(result.shape)}"
        return {
            name: excess(result, baseline[name], exact[name], factor=self.factor) for name, result in actual.items()
        }

    def __str__(self) -> str:
        return f"{self.kernel.name}-{self.case.name}-{self.dtype}".replace("torch.", "")


@dataclass(frozen=True)
class TraceCheck:
    """What a kernel says of its insides must be as accurate as plain PyTorch, step by step; and its output stays."""

    kernel: Kernel
    case: Case
    dtype: torch.dtype
    factor: float = 2.0

    def __call__(self) -> None:
        """Raises AssertionError where it is not."""
        if reason := self.kernel.why_not(self.case.request(self.dtype)._replace(differentiable=False)):
            pytest.skip(reason)
        _settle(str(self), self._shares)

    def _shares(self, seed: int) -> dict[str, float]:
        actual = insides(self.kernel.trace, self.case, self.dtype, seed=seed)
        coarse = torch.float32 if self.dtype == torch.float64 else self.dtype
        baseline = insides(plain_trace, self.case, coarse, seed=seed)
        exact = insides(plain_trace, self.case, torch.float64, seed=seed)
        wide = torch.promote_types(self.dtype, torch.float32)
        for name, result in actual.items():
            expected = wide if name in Gates._fields else self.dtype
            assert result.dtype == expected, f"{self}, {name}: expected {expected}, got {result.dtype}"
            assert result.shape == exact[name].shape, f"{self}, {name}: got shape {tuple(result.shape)}"
        return {
            name: excess(result, baseline[name], exact[name], factor=self.factor) for name, result in actual.items()
        }

    def __str__(self) -> str:
        return f"{self.kernel.name}-trace-{self.case.name}-{self.dtype}".replace("torch.", "")


def _settle(check: str, shares_of: Callable[[int], dict[str, float]]) -> None:
    """Raises AssertionError where an error exceeds what is allowed; in doubt, by the median of several draws."""
    shares = shares_of(0)
    if max(shares.values()) <= 1:
        return
    draws = [shares, *(shares_of(seed) for seed in range(1, DRAWS))]
    for name in shares:
        found = [draw[name] for draw in draws]
        message = f"{check}, {name}: error in {DRAWS} draws is {[round(x, 2) for x in found]} times what is allowed"
        assert max(found) <= FAR, message
        assert statistics.median(found) <= 1, message


def kernel_checks(
    kernel: Kernel,
    cases: tuple[Case, ...] = CASES,
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    *,
    factor: float = 2.0,
) -> tuple[KernelCheck, ...]:
    """The conformance suite of a kernel, one check for each case and dtype."""
    return tuple(KernelCheck(kernel, case, dtype, factor) for dtype in dtypes for case in cases)


def trace_checks(
    kernel: Kernel,
    cases: tuple[Case, ...] = CASES,
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    *,
    factor: float = 2.0,
) -> tuple[TraceCheck, ...]:
    """The same for what a kernel says of its insides."""
    return tuple(TraceCheck(kernel, case, dtype, factor) for dtype in dtypes for case in cases)
