"""The pictures of a classification, as plotly figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.reports.measures import Calibration, ThresholdCurve
from gatewise.reports.style import PALETTE, figure, label, plain, reference_line
from gatewise.reports.words import counted, number, percent, told_apart

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 340


def class_counts(counts: Mapping[str, Sequence[int]], *, classes: Sequence[str], noun: str = "sequence") -> "Figure":
    """How many sequences of each class there are in each set.

    Args:
        counts: ``[K]`` of each set.
        classes: names of the K classes.
        noun: what is counted, if not sequences.
    """
    places = list(range(len(classes)))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "y": places,
            "x": list(part),
            "name": label(name),
            "customdata": [label(text, 60) for text in classes],
            "marker": {"color": PALETTE[i % len(PALETTE)]},
            "hovertemplate": "%{customdata}: %{x:,}",
        }
        for i, (name, part) in enumerate(counts.items())
    ]
    most = 44 if len(classes) <= 12 else 28 if len(classes) <= 25 else 18
    height = 70 + len(classes) * min(most, 12 * len(traces) + 8)
    return figure(
        traces,
        height,
        {
            "barmode": "group",
            "bargap": 0.25,
            "xaxis": {"title": {"text": f"{noun}s"}, "rangemode": "tozero"},
            "yaxis": {**_class_axis(classes, 20), "range": [len(classes) - 0.5, -0.5], "showgrid": False},
            "legend": {"traceorder": "normal"},
            "showlegend": len(traces) > 1,
        },
    )


def _class_axis(classes: Sequence[str], limit: int) -> dict[str, Any]:
    """Names at numbered places: two names that look alike once shortened stay apart."""
    return {
        "tickvals": list(range(len(classes))),
        "ticktext": [label(name, limit) for name in told_apart(classes, limit)],
    }


def confusion(counts: np.ndarray, *, classes: Sequence[str]) -> "Figure":
    """What was right (rows) and what was said (columns); the darker, the larger the share of its row.

    Args:
        counts: ``[K, K]``.
        classes: names of the K classes. Up to 12, a cell shows count and share; up to 25, the count.
    """
    size = len(classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
    names = [label(name, 60) for name in classes]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": [[0.0 if value is None else value for value in plain(row)] for row in shares],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "customdata": [
            [[int(counts[i, j]), names[i], names[j], percent(shares[i, j])] for j in range(size)] for i in range(size)
        ],
        "hovertemplate": "right: %{customdata[1]}<br>said: %{customdata[2]}"
        "<br>%{customdata[0]:,} times, %{customdata[3]} of this row<extra></extra>",
    }
    if size <= 12:
        trace["text"] = [
            [f"{n:,}<br>{percent(share)}" if n else "" for n, share in zip(*row, strict=True)]
            for row in zip(counts.tolist(), shares.tolist(), strict=True)
        ]
    elif size <= 25:
        trace["text"] = [[f"{n:,}" if n else "" for n in row] for row in counts.tolist()]
    if "text" in trace:
        trace |= {"texttemplate": "%{text}", "textfont": {"size": 11 if size <= 12 else 10}}
    limit, cell = (20, 90) if size <= 3 else (14, 44) if size <= 12 else (12, 24) if size <= 25 else (12, 15)
    ticks = _class_axis(classes, limit) | {"showgrid": False}
    if size > 25:
        ticks["tickfont"] = {"size": 9}
    return figure(
        [trace],
        110 + cell * size,
        {
            "xaxis": {**ticks, "title": {"text": "said"}, "side": "top", "tickangle": 0 if size <= 3 else -45},
            "margin": {"r": 12 if size <= 3 else 60},  # the last of the slanted names
            "yaxis": {**ticks, "title": {"text": "right"}, "autorange": "reversed"},
        },
    )


def roc(curve: ThresholdCurve, *, chosen: tuple[float, float], threshold: float) -> "Figure":
    """Hits against false alarms for every threshold, with the chosen one marked.

    Args:
        curve: of :func:`gatewise.reports.measures.threshold_curve`.
        chosen: false positive rate and recall at the threshold in use.
        threshold: the one in use.
    """
    line = _threshold_line(curve, curve.false_positive_rate, curve.recall)
    diagonal = reference_line([0, 1], [0, 1], "a coin")
    return _square([diagonal, line, _mark(chosen, threshold)], "false alarms (false positive rate)", "found (recall)")


def precision_recall(curve: ThresholdCurve, *, chosen: tuple[float, float], threshold: float, base: float) -> "Figure":
    """Precision against recall for every threshold, with the chosen one marked.

    Args:
        curve: of :func:`gatewise.reports.measures.threshold_curve`.
        chosen: recall and precision at the threshold in use.
        threshold: the one in use.
        base: share of positives: the precision of a coin.
    """
    line = _threshold_line(curve, curve.recall, curve.precision)
    traces = [reference_line([0, 1], [base, base], "a coin"), line]
    if np.isfinite(chosen).all():
        traces.append(_mark(chosen, threshold))
    return _square(traces, "found (recall)", "right when said (precision)")


def _threshold_line(curve: ThresholdCurve, x: np.ndarray, y: np.ndarray, points: int = 600) -> dict[str, Any]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), points)).round().astype(int))
    return {
        "type": "scatter",
        "x": plain(x[kept]),
        "y": plain(y[kept]),
        "customdata": [number(value) for value in curve.threshold[kept]],
        "name": "this model",
        "mode": "lines+markers" if len(x) <= 30 else "lines",
        "marker": {"size": 4},
        "line": {"color": PALETTE[0], "width": 2},
        "hovertemplate": "threshold %{customdata}: %{x:.1%}, %{y:.1%}<extra></extra>",
    }


def _mark(point: tuple[float, float], threshold: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": plain([point[0]]),
        "y": plain([point[1]]),
        "name": f"threshold {number(threshold)}",
        "mode": "markers",
        "marker": {"size": 11, "color": PALETTE[1], "symbol": "diamond"},
        "hovertemplate": "%{x:.1%}, %{y:.1%}",
    }


def _square(traces: Sequence[Mapping[str, Any]], x: str, y: str) -> "Figure":
    """Two shares against each other."""
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.25}
    layout = {"xaxis": {**axis, "title": {"text": x}}, "yaxis": {**axis, "title": {"text": y}}}
    return figure(traces, HEIGHT, layout)


def reliability(bins: Calibration, *, title: str, noun: str = "sequence") -> "Figure":
    """How often what is said with a probability comes true, and how often each probability is said.

    Args:
        bins: of :func:`gatewise.reports.measures.calibration`.
        title: of the horizontal axis.
        noun: what is counted, if not sequences.
    """
    seen = bins.counts > 0
    middle = (bins.edges[:-1] + bins.edges[1:]) / 2
    truth = {
        "type": "scatter",
        "x": plain(bins.probability[seen]),
        "y": plain(bins.share[seen]),
        "customdata": [counted(int(count), noun) for count in bins.counts[seen]],
        "name": "this model",
        "mode": "lines+markers",
        "marker": {"size": 8},
        "line": {"color": PALETTE[0], "width": 1.5},
        "hovertemplate": "said %{x:.1%}, came true %{y:.1%} (%{customdata})<extra></extra>",
    }
    counts = {
        "type": "bar",
        "x": plain(middle),
        "y": [int(count) for count in bins.counts],
        "yaxis": "y2",
        "name": "how many",
        "showlegend": False,
        "width": 0.09,
        "marker": {"color": PALETTE[5]},
        "hovertemplate": "%{y:,}<extra></extra>",
    }
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "dtick": 0.25}
    return figure(
        [reference_line([0, 1], [0, 1], "perfect"), truth, counts],
        HEIGHT + 60,
        {
            "xaxis": {**axis, "title": {"text": title}, "anchor": "y2"},
            "yaxis": {**axis, "title": {"text": "came true"}, "domain": [0.34, 1]},
            "yaxis2": {"title": {"text": "how many"}, "domain": [0, 0.24], "nticks": 4, "rangemode": "tozero"},
        },
    )
