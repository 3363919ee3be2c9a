"""The pictures of a comparison, as plotly figures. A setup has the same colour in all of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.reports.style import NEUTRAL, PALETTE, figure, label, marks, plain, reference_line
from gatewise.reports.words import counted, told_apart

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ROW = 34  # pixels
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")


def color(place: int) -> str:
    """Of a setup."""
    return PALETTE[place % len(PALETTE)]


def whiskers(
    names: Sequence[str],
    values: Sequence[tuple[float, float, float]],
    *,
    texts: Sequence[str],
    title: str = "",
    first: int = 0,
    zero: bool = False,
    share: bool = False,
    named: bool = True,
) -> "Figure":
    """A dot and its interval for each setup, below one another.

    Args:
        names: of the setups.
        values: value and both ends of each; NaN for none.
        texts: of each, shown at the pointer.
        title: of the axis.
        first: the place of the first one among all setups, for its colour.
        zero: whether to mark where zero is.
        share: whether values are shares, told in per cent.
        named: whether the axis tells the names; else a legend beside the figure does.
    """
    shorts = told_apart(names, 28)
    traces: list[dict[str, Any]] = []
    for place, (value, low, high) in enumerate(values):
        known = all(map(np.isfinite, (low, high)))
        bars = {"type": "data", "symmetric": False, "thickness": 2, "width": 5}
        bars |= {"array": plain([high - value]), "arrayminus": plain([value - low])} if known else {"visible": False}
        traces.append(
            {
                "type": "scatter",
                "x": plain([value]),
                "y": [place],
                "name": label(names[place], 40),
                "mode": "markers",
                "marker": {"size": 10, "color": color(first + place), "symbol": MARKERS[(first + place) % 6]},
                "error_x": bars | {"color": color(first + place)},
                "text": [label(texts[place], 120)],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name, 28) for name in shorts]}
    ends = [end for row in values for end in row if np.isfinite(end)] + ([0.0] if zero else [])
    margin = 0.06 * (max(ends, default=0) - min(ends, default=0)) or 0.05
    axis: dict[str, Any] = {"range": [min(ends) - margin, max(ends) + margin]} if ends else {}
    axis |= {"nticks": 5, **({"title": {"text": title}} if title else {}), **({"tickformat": ".3~%"} if share else {})}
    return figure(
        traces,
        (92 if title else 44) + ROW * len(names),
        {
            "showlegend": False,
            "xaxis": axis,
            "yaxis": {**(ticks if named else {"tickvals": []}), "range": [len(names) - 0.5, -0.5], "showgrid": False},
            "shapes": [_zero()] if zero else [],
        },
    )


def over_epochs(
    names: Sequence[str],
    lines: Sequence[Sequence[tuple[Sequence[int], Sequence[float]]]],
    *,
    title: str,
    best: Sequence[Sequence[int | None]],
) -> "Figure":
    """One line a run, in the colour of its setup; a dot where its best epoch is.

    Args:
        names: of the setups.
        lines: epochs and values of each run of each setup.
        title: of the vertical axis.
        best: epoch of each run.
    """
    traces: list[dict[str, Any]] = []
    longest = 0
    for place, runs in enumerate(lines):
        for run, (epochs, values) in enumerate(runs):
            part = np.asarray(values, dtype=np.float64)
            longest = max([longest, *epochs])
            style = {"color": color(place), "width": 2 if len(runs) == 1 else 1.3}
            traces.append(
                {
                    "type": "scatter",
                    "x": list(epochs),
                    "y": plain(part),
                    "name": label(names[place], 40),
                    "legendgroup": str(place),
                    "showlegend": run == 0,
                    "mode": marks(part)["mode"],
                    "line": style,
                    "marker": {"size": marks(part)["size"], "line": {"width": 0}},
                    "hovertemplate": "epoch %{x}: %{y:.4~g}",
                }
            )
            chosen = best[place][run]
            if chosen in list(epochs):
                traces.append(
                    {
                        "type": "scatter",
                        "x": [chosen],
                        "y": plain([part[list(epochs).index(chosen)]]),
                        "legendgroup": str(place),
                        "showlegend": False,
                        "mode": "markers",
                        "marker": {"size": 9, "color": color(place), "symbol": MARKERS[place % 6]},
                        "hovertemplate": "best epoch %{x}: %{y:.4~g}<extra></extra>",
                    }
                )
    few = {"dtick": 1} if longest <= 8 else {}
    return figure(
        traces,
        320,
        {
            "xaxis": {"title": {"text": "epoch"}, "tickformat": "d", **few},
            "yaxis": {"title": {"text": title}},
            "showlegend": len(names) > 1,
        },
    )


def who_is_right(first: str, others: Sequence[str], counts: Sequence[tuple[int, int]]) -> "Figure":
    """On how many sequences just one of two runs is right: to the left the first, to the right each other one.

    Args:
        first: name of the run that the others are compared with.
        others: their names.
        counts: only the first, only the other.
    """
    places = list(range(len(others)))
    most = max([1, *(count for row in counts for count in row)])
    shared = {"type": "bar", "orientation": "h", "y": places, "textposition": "outside", "cliponaxis": False}
    traces = [
        shared
        | {
            "x": [sign * row[side] for row in counts],
            "marker": {"color": [color(0 if side == 0 else place + 1) for place in places]},
            "text": [f"{row[side]:,}" for row in counts],
            "customdata": [label(first if side == 0 else name, 60) for name in others],
            "hovertemplate": "only %{customdata}: %{text}<extra></extra>",
        }
        for side, sign in ((0, -1), (1, 1))
    ]
    edge = {"x": 0, "yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False}
    last = f"only {label(others[0], 22)}" if len(others) == 1 else "only the other"
    ticks = {"tickvals": places, "ticktext": [label(name, 28) for name in told_apart(others, 28)]}
    return figure(
        traces,
        70 + 40 * len(others),
        {
            "barmode": "overlay",
            "bargap": 0.35,
            "showlegend": False,
            "margin": {"t": 28},
            "xaxis": {"range": [-1.25 * most, 1.25 * most], "showticklabels": False, "showgrid": False},
            "yaxis": {**(ticks if len(others) > 1 else {"tickvals": []}), "autorange": "reversed", "showgrid": False},
            "shapes": [_zero()],
            "annotations": [
                edge | {"text": f"only {label(first, 22)}", "xanchor": "right", "xshift": -8},
                edge | {"text": last, "xanchor": "left", "xshift": 8},
            ],
        },
    )


def _zero() -> dict[str, Any]:
    """A line where zero is."""
    line = {"color": NEUTRAL, "dash": "dash", "width": 1.5}
    return {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def by_class(classes: Sequence[str], shares: Mapping[str, Sequence[float]], counts: Sequence[int]) -> "Figure":
    """The share of each class that each setup finds.

    Args:
        classes: names of the K classes.
        shares: ``[K]`` of each setup, NaN where there are none.
        counts: ``[K]``, how many there are.
    """
    shorts = told_apart(classes, 22)
    rows = len(shares)
    traces = [
        {
            "type": "scatter",
            "x": plain(part),
            "y": [k + (place - (rows - 1) / 2) * 0.5 / rows for k in range(len(classes))],
            "name": label(name, 40),
            "mode": "markers",
            "marker": {"size": 8, "color": color(place), "symbol": MARKERS[place % 6]},
            "customdata": [f"{label(one, 60)}, {counted(n, 'time')}" for one, n in zip(classes, counts, strict=True)],
            "hovertemplate": "%{customdata}: %{x:.1%}",
        }
        for place, (name, part) in enumerate(shares.items())
    ]
    ticks = {"tickvals": list(range(len(classes))), "ticktext": [label(name, 22) for name in shorts]}
    return figure(
        traces,
        96 + len(classes) * max(20, 9 * rows + 8),
        {
            "xaxis": {"title": {"text": "share found"}, "tickformat": ".0%"},
            "yaxis": {**ticks, "range": [len(classes) - 0.5, -0.5]},
            "legend": {"traceorder": "normal"},
        },
    )


def against(first: np.ndarray, other: np.ndarray, *, names: tuple[str, str], metric: str, place: int = 1) -> "Figure":
    """A point for each unit: the metric of one run over that of the other; on the line both are alike.

    Args:
        first: ``[U]``.
        other: ``[U]``.
        names: of both.
        metric: what is drawn.
        place: of the other among all setups, for its colour.
    """
    known = np.isfinite(first) & np.isfinite(other)
    both = np.concatenate([first[known], other[known], [0.0]])
    low, high = float(np.quantile(both, 0.002)), float(np.quantile(both, 0.998))
    margin = (high - low) * 0.04 or 1.0
    axis = {"range": [low - margin, high + margin]}
    points = {
        "type": "scatter",
        "x": plain(first[known]),
        "y": plain(other[known]),
        "mode": "markers",
        "marker": {"size": 6, "color": color(place), "opacity": 0.45 if known.sum() > 100 else 0.8},
        "hovertemplate": f"{label(names[0])} %{{x:.4~g}}<br>{label(names[1])} %{{y:.4~g}}<extra></extra>",
    }
    line = [low - margin, high + margin]
    return figure(
        [reference_line(line, line, "alike"), points],
        380,
        {
            "showlegend": False,
            "xaxis": {**axis, "title": {"text": f"{metric} of {label(names[0], 30)}"}},
            "yaxis": {**axis, "title": {"text": f"{metric} of {label(names[1], 30)}"}},
        },
    )


def bars(names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> "Figure":
    """One number a setup, as bars from zero with the number in words."""
    most = max([value for value in values if np.isfinite(value)], default=1.0) or 1.0
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": plain(values),
        "y": list(range(len(names))),
        "marker": {"color": [color(place) for place in range(len(names))]},
        "text": [label(text, 30) for text in texts],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [label(name, 60) for name in names],
        "hovertemplate": "%{customdata}: %{text}<extra></extra>",
    }
    return figure(
        [trace],
        24 + 30 * len(names),
        {
            "showlegend": False,
            "bargap": 0.35,
            "margin": {"l": 4, "r": 6, "t": 6, "b": 4},
            "xaxis": {"range": [0, 1.45 * most], "visible": False},
            "yaxis": {"tickvals": [], "range": [len(names) - 0.5, -0.5], "showgrid": False},
        },
    )
