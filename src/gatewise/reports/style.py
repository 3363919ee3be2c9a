"""How every figure looks, light and dark, and how values get into it."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.reports.words import shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, told apart by colour-blind eyes too, without those too pale for a line on white."""
NEUTRAL = "#8A8F98"
"""Of lines to compare with: a diagonal, a threshold."""
FOR, AGAINST, NEITHER = (224, 106, 16), (46, 150, 214), (138, 143, 152)
"""Orange is for an answer, or above the middle, blue against it, or below: everywhere, as ``for`` and ``against`` in
page.css and ``DIVERGING`` in explorer_tools.js. Seen on white and on black, and told apart by colour-blind eyes."""
DIVERGING = [
    [0.0, "rgb({},{},{})".format(*AGAINST)],
    [0.5, "rgba({},{},{},0.10)".format(*NEITHER)],
    [1.0, "rgb({},{},{})".format(*FOR)],
]
"""The scale of plotly between them."""
POINTS = 500
"""Steps that a drawn sequence keeps at most."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def template(*, dark: bool = False) -> dict[str, Any]:
    """A plotly template: what no figure says itself."""
    ink, grid, paper, pale, deep = (
        ("#C9CED6", "#2C323B", "#171B21", "#1F242C", "#1C7CC0")
        if dark
        else ("#3B424C", "#E6E8EB", "#FFFFFF", "#F3F5F7", "#005A8E")
    )
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 8},
        "ticks": "",
        "exponentformat": "power",
    }
    layout = {
        "font": {"family": FONT, "size": 12, "color": ink},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(PALETTE),
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": {"text": ""}},
        "hoverlabel": {"bgcolor": paper, "bordercolor": grid, "font": {"color": ink, "family": FONT}},
        "xaxis": axis,
        "yaxis": axis,
    }
    scale = [[0.0, pale], [1.0, deep]]
    return {"layout": layout, "data": {"heatmap": [{"colorscale": scale, "type": "heatmap"}]}}


def label(text: str, limit: int = 24) -> str:
    """A user's text for plotly, which reads some tags: shortened and escaped."""
    return html.escape(shorten(text, limit), quote=False)


def plain(values: np.ndarray | Sequence[float]) -> list[float | None]:
    """Numbers of six digits that matter, None for what is not finite: small in a file, and a gap in a line."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)]


def thin(values: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Which steps of a long series to draw: the lowest and the highest of each stretch, so that no peak is lost.

    Args:
        values: ``[T]``; NaN for missing.
        points: at most so many.

    Returns:
        Steps in order, ``[min(T, points)]`` or fewer.
    """
    if len(values) <= points:
        return np.arange(len(values))
    kept: set[int] = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), (points - 2) // 2):
        part = values[stretch]
        if np.isnan(part).all():
            kept.add(int(stretch[0]))  # a gap stays a gap
        else:
            kept |= {int(stretch[np.nanargmin(part)]), int(stretch[np.nanargmax(part)])}
    return np.array(sorted(kept))


def marks(values: np.ndarray) -> dict[str, Any]:
    """How a line of ``[T]`` values marks its points: all where they are few, else those between two gaps."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    lone = known[1:-1] & ~known[:-2] & ~known[2:]
    if len(values) <= 30:
        return {"mode": "lines+markers", "size": 4 if len(values) > 1 else 7}
    return {"mode": "lines+markers", "size": (4 * lone).tolist()} if lone.any() else {"mode": "lines", "size": 4}


def figure(traces: Sequence[Mapping[str, Any]], height: int, layout: Mapping[str, Any]) -> "Figure":
    """A plotly figure of plain traces, ``height`` pixels high."""
    from plotly.graph_objects import Figure

    drawn = Figure(layout={"height": height, "template": template(), **layout})
    drawn.add_traces(list(traces))
    return drawn


def reference_line(x: Sequence[float], y: Sequence[float], name: str) -> dict[str, Any]:
    """A dashed line to compare with."""
    return {
        "type": "scatter",
        "x": list(x),
        "y": list(y),
        "name": name,
        "mode": "lines",
        "line": {"color": NEUTRAL, "dash": "dash", "width": 1},
        "hoverinfo": "skip",
    }
