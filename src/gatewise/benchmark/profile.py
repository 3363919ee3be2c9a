"""Where the time of a training step goes: marks on a clock where each part begins."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.benchmark.model_works import training_step
from gatewise.benchmark.models import ours, torchs
from gatewise.benchmark.settings import Work

BETWEEN, REST = "batch norm and dropout", "dense layers and loss"


class Marks:
    """A clock that is told what begins; each part lasts until the next."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, float]] = []

    def __call__(self, part: str) -> None:
        """``part`` begins."""
        self.marks.append((part, time.perf_counter()))

    def milliseconds(self) -> dict[str, float]:
        """Of each part, up to now; and begins anew."""
        self("end")
        times: dict[str, float] = {}
        for (part, start), (_, end) in zip(self.marks, self.marks[1:], strict=False):
            times[part] = times.get(part, 0.0) + 1e3 * (end - start)
        self.marks.clear()
        return times


def profile(work: Work, kernel: str, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each part of a training step, ``{"gatewise": {part: ms}, "torch": {part: ms}}``.

    Forward, a part begins where an LSTM layer begins or ends; backward, where the gradient by a layer's output or input
    is there. Nothing else is measured, so nothing else is slowed: the parts add up to the step.
    """
    torch.manual_seed(1)
    x, y = torch.randn(work.B, work.T, work.I), torch.randint(2, (work.B,))
    theirs = torchs()
    mine = ours(theirs, kernel)
    sides: dict[str, tuple[nn.Module, list[nn.Module]]] = {
        "gatewise": (mine, list(mine.encoder.layers)),
        "torch": (theirs, [theirs.lstm1, theirs.lstm2, theirs.lstm3]),
    }
    steps = {}
    for side, (model, layers) in sides.items():
        mark = Marks()
        for number, layer in enumerate(layers, 1):
            _mark_layer(layer, mark, f"LSTM {number}", last=number == len(layers))
        steps[side] = (training_step(model, x, y, work.dtypes[0], mark), mark)
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for warm in (True, True, *[False] * rounds):
        for side, (step, mark) in steps.items():
            step()
            times = mark.milliseconds()
            if not warm:
                found[side].append(times)
    return {
        side: {part: statistics.median(times[part] for times in of_side) for part in of_side[0]}
        for side, of_side in found.items()
    }


def _mark_layer(layer: nn.Module, mark: Marks, name: str, *, last: bool) -> None:
    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        mark(f"{name}, forward")
        x = inputs[0]
        if x.requires_grad:
            x.register_hook(lambda _: mark(f"{BETWEEN}, backward"))

    def after(_: nn.Module, __: Any, outputs: tuple[Tensor, tuple[Tensor, Tensor]]) -> None:
        mark(REST if last else f"{BETWEEN}, forward")
        output, state = outputs
        for y in (output, *state):
            if y.requires_grad:
                y.register_hook(lambda _: mark(f"{name}, backward"))  # type: ignore[no-untyped-call]

    layer.register_forward_pre_hook(before)
    layer.register_forward_hook(after)
