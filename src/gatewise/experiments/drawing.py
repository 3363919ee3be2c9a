"""What the pictures show, as plain numbers: lines with bands, for the page (plotly) and for files (matplotlib)."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

import numpy as np

from gatewise.experiments.gradients import Reach, carousel
from gatewise.experiments.learning import Finished
from gatewise.experiments.models import MODELS, seeded
from gatewise.experiments.results import Results

COLORS = {
    "rnn": "#D55E00",
    "gru": "#E69F00",
    "gru-chrono": "#CC79A7",
    "lstm-1997": "#009E73",
    "lstm-no-bias": "#8A8F98",
    "lstm": "#56B4E9",
    "lstm-chrono": "#0072B2",
}
"""Of each model, everywhere: Okabe and Ito's and a grey, told apart by colour-blind eyes, on white and on black."""
DASHES: dict[str, Literal["solid", "dash", "dot"]] = {"gru-chrono": "dash", "lstm-no-bias": "dot"}
GRADIENTS = ("state, start", "inputs, start", "inputs, after")
"""Which gradients there are curves of; see :mod:`gatewise.experiments.gradients`."""


class Line(NamedTuple):
    """A model's line over ``x``: the median of its seeds and their range."""

    model: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]

    @property
    def title(self) -> str:
        """The model as people say it."""
        return MODELS[self.model].title


def success(results: Results) -> list[Line]:
    """Share of the finished seeds that solved it over length, with 95 % intervals after Wilson."""
    lines = []
    for model in results.models:
        cells = [each for each in results.summaries() if each.model == model and each.seeds]
        if not cells:
            continue
        bands = [each.band for each in cells]
        lines.append(
            Line(
                model,
                [float(each.length) for each in cells],
                [band.share for band in bands],
                [band.low for band in bands],
                [band.high for band in bands],
            )
        )
    return lines


def curves(results: Results, length: int, what: Literal["right", "loss"] = "right") -> list[Line]:
    """Learning curves of finished seeds at a length over steps; one that has solved it stays where it ended."""
    lines = []
    for model in results.models:
        runs = [each for each in results.of(model, length) if each.curve_step and each.complete]
        if runs:
            grid = sorted({step for each in runs for step in each.curve_step})
            lines.append(_line(model, [float(step) for step in grid], [_on(grid, each, what) for each in runs]))
    return lines


def gradients(results: Results, length: int, which: str) -> list[Line]:
    """Norms of gradients at a length over lag, as they were measured: one of :data:`GRADIENTS`.

    A line ends (NaN) where a gradient has fallen beneath the smallest number that float64 holds, 1e-308.
    """
    lines = []
    for model in results.models:
        reaches = [reach for each in results.of(model, length) if (reach := _reach(each, which)) is not None]
        if reaches:
            rows = [reach.state if which.startswith("state") else reach.inputs for reach in reaches]
            lines.append(_positive(_line(model, [float(lag) for lag in reaches[0].lags], rows)))
    return lines


def carousels(results: Results, length: int) -> list[Line]:
    """What forget gates alone keep over lag, as their biases have it: see :func:`gradients.carousel`.

    One line for each model with forget gates whose gradients at the start were measured at that length.
    """
    lines = []
    for model in results.models:
        runs = results.of(model, length)
        made = [seeded(model, results.problem, length=length, hidden_size=results.settings.hidden_size, seed=each.seed)
                for each in runs]  # fmt: skip
        kept = [gates for network in made if (gates := network.forget_gates()) is not None]
        if kept:
            lags = runs[0].start.lags
            rows = [carousel(gates, lags) for gates in kept]
            lines.append(_positive(_line(model, [float(lag) for lag in lags], rows)))
    return lines


def _reach(finished: Finished, which: str) -> Reach | None:
    if which.endswith("after"):
        return finished.after if finished.complete else None
    return finished.start


def _on(grid: Sequence[int], finished: Finished, what: str) -> list[float]:
    """A seed's curve at the steps of a grid: its latest value at each."""
    values = finished.curve_right if what == "right" else finished.curve_loss
    places = np.searchsorted(finished.curve_step, grid, side="right") - 1
    return [values[place] if place >= 0 else math.nan for place in places]


def _line(model: str, x: list[float], rows: Sequence[Sequence[float]]) -> Line:
    columns = [[value for value in column if not math.isnan(value)] or [math.nan] for column in zip(*rows, strict=True)]
    return Line(model, x, [median(c) for c in columns], [min(c) for c in columns], [max(c) for c in columns])


def _positive(line: Line) -> Line:
    """With gaps for zeros, which have no logarithm."""
    y, low, high = ([value or math.nan for value in values] for values in (line.y, line.low, line.high))
    return line._replace(y=y, low=low, high=high)
