"""The pictures of an experiment's page, as plotly figures."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gatewise.experiments.drawing import COLORS, DASHES, Line
from gatewise.experiments.models import MODELS
from gatewise.experiments.results import Summary
from gatewise.reports.style import figure, plain, reference_line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 340


def lines(
    drawn: Sequence[Line],
    *,
    x: str,
    y: str,
    log: bool = False,
    share: bool = False,
    reference: tuple[float, str] | None = None,
) -> "Figure":
    """Lines with bands.

    Args:
        drawn: one a model.
        x: name of the horizontal axis.
        y: name of the vertical axis.
        log: whether y is drawn by its powers of ten.
        share: whether y is a share of 1.
        reference: a height to compare with, and its name.
    """
    traces: list[Mapping[str, Any]] = []
    for line in drawn:
        traces += [*_band(line), _middle(line, share=share)]
    if reference is not None and drawn:
        ends = [min(line.x[0] for line in drawn), max(line.x[-1] for line in drawn)]
        traces.append(reference_line(ends, [reference[0]] * 2, reference[1]))
    axis: dict[str, Any] = {"title": {"text": y}}
    if log:
        axis |= {"type": "log", "exponentformat": "power", **_decades(drawn)}
    if share:
        axis |= {"tickformat": ".0%", "range": [-0.03, 1.03]}
    return figure(
        traces, HEIGHT, {"xaxis": {"title": {"text": x}}, "yaxis": axis, "hovermode": "closest", "showlegend": True}
    )


def _middle(line: Line, *, share: bool) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": line.x,
        "y": plain(line.y),
        "name": line.title,
        "legendgroup": line.model,
        "mode": "lines" if len(line.x) > 2 else "lines+markers",
        "line": {"color": COLORS[line.model], "width": 2, "dash": DASHES.get(line.model, "solid")},
        "hovertemplate": f"{line.title}, %{{x}}: %{{y:{'.1%' if share else '.3~g'}}}<extra></extra>",
    }


def _band(line: Line) -> list[dict[str, Any]]:
    """Lowest and highest of the seeds; nothing where there is one."""
    if line.low == line.high:
        return []
    color = COLORS[line.model]
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    edge = {
        "type": "scatter", "x": line.x, "mode": "lines", "line": {"width": 0, "color": color},
        "legendgroup": line.model, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip
    return [
        {**edge, "y": plain(line.low)},
        {**edge, "y": plain(line.high), "fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},0.18)"},
    ]


def _decades(drawn: Sequence[Line]) -> dict[str, Any]:
    """A range of whole powers of ten, and so many of them between two lines of the grid that about seven are drawn."""
    values = [value for line in drawn for value in (*line.low, *line.high) if value > 0]
    if not values:
        return {}
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    return {"range": [low, high], "dtick": max(1, math.ceil((high - low) / 7))}


def success(summaries: Sequence[Summary]) -> "Figure":
    """Share of the finished seeds that solved it, with intervals: one row of dots a model, one column a length."""
    summaries = [each for each in summaries if each.seeds]  # a share of none is nothing to draw
    lengths = sorted({each.length for each in summaries})
    models = [name for name in MODELS if any(each.model == name for each in summaries)]
    traces = []
    for model in models:
        cells = [each for each in summaries if each.model == model]
        offset = (models.index(model) - (len(models) - 1) / 2) * 0.8 / max(len(models), 1)
        traces.append(
            {
                "type": "scatter",
                "x": [lengths.index(each.length) + offset for each in cells],
                "y": [each.band.share for each in cells],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [each.band.high - each.band.share for each in cells],
                    "arrayminus": [each.band.share - each.band.low for each in cells],
                    "thickness": 1.5,
                    "width": 4,
                },
                "customdata": [[each.solved, each.seeds, each.length] for each in cells],
                "name": MODELS[model].title,
                "mode": "markers",
                "marker": {"color": COLORS[model], "size": 10},
                "hovertemplate": f"{MODELS[model].title}, T = %{{customdata[2]:,}}: %{{customdata[0]}} of "
                "%{customdata[1]}<extra></extra>",
            }
        )
    return figure(
        traces,
        HEIGHT,
        {
            "xaxis": {
                "title": {"text": "length T, steps"},
                "tickvals": list(range(len(lengths))),
                "ticktext": [f"{length:,}" for length in lengths],
                "range": [-0.5, len(lengths) - 0.5],
            },
            "yaxis": {"title": {"text": "seeds that solved it"}, "tickformat": ".0%", "range": [-0.03, 1.03]},
        },
    )
