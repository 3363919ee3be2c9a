"""The pictures of a report, as plotly figures: plain functions of plain numbers, to be used alone as well.

Those of classes are in :mod:`gatewise.reports.class_plots`.

    from gatewise.reports import plots
    plots.sequence(values, channels=("x", "y", "z")).show()
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.reports.style import NEUTRAL, PALETTE, figure, label, marks, plain, reference_line, thin
from gatewise.reports.words import counted, number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PANEL_HEIGHT = 150
SCATTER_POINTS = 2000


def _line(values: np.ndarray, name: str, color: str, **style: Any) -> dict[str, Any]:
    """One line of a drawing; with few points, or some that stand alone, each is marked."""
    kept = thin(values)
    points = marks(values[kept])
    return {
        "type": "scatter",
        "x": kept.tolist(),
        "y": plain(values[kept]),
        "name": label(name),
        "mode": points["mode"],
        "marker": {"size": points["size"], "color": color, "line": {"width": 0}},
        "line": {"color": color, "width": 1.4, **style},
        "hovertemplate": "step %{x}: %{y:.4~g}",
    }


def sequence(
    values: np.ndarray, *, channels: Sequence[str], value_range: tuple[float, float] | None = None
) -> "Figure":
    """A sequence over its steps, one line a channel.

    Args:
        values: ``[T, I]``; a missing value, NaN, is a gap.
        channels: names of the I channels.
        value_range: of the vertical axis, to compare with other drawings; default: that of the values.
    """
    traces = [_line(values[:, i], channel, PALETTE[i % len(PALETTE)]) for i, channel in enumerate(channels)]
    return figure(traces, PANEL_HEIGHT, _panel(len(values), value_range))


def answers(reference: np.ndarray, prediction: np.ndarray, *, names: Sequence[str]) -> "Figure":
    """Right answers (solid) and predictions (dashed) over the steps of a sequence, one colour a target.

    Args:
        reference: ``[T, K]``.
        prediction: ``[T, K]``.
        names: of the K targets.
    """
    traces = []
    for k, name in enumerate(names):
        color = PALETTE[k % len(PALETTE)]
        what = "" if len(names) == 1 else f" {name}"
        traces += [
            _line(reference[:, k], f"right{what}", NEUTRAL if len(names) == 1 else color),
            _line(prediction[:, k], f"said{what}", PALETTE[1] if len(names) == 1 else color, dash="3px,2px"),
        ]
    return figure(traces, PANEL_HEIGHT, _panel(len(reference), None))


def _panel(steps: int, value_range: tuple[float, float] | None) -> dict[str, Any]:
    """Layout of one small drawing among many."""
    low, high = value_range or (0.0, 0.0)
    return {
        "showlegend": False,
        "margin": {"l": 4, "r": 6, "t": 6, "b": 4},
        "font": {"size": 10},
        "xaxis": {"nticks": 5} if steps > 1 else {"tickvals": [0]},
        "yaxis": {"nticks": 4, **({"range": _widened(low, high)} if value_range else {})},
    }


def _widened(low: float, high: float, share: float = 0.05) -> list[float]:
    margin = (high - low) * share or abs(high) * share or 1.0
    return [float(low - margin), float(high + margin)]


def histogram(values: Mapping[str, np.ndarray], *, title: str, zero: bool = False) -> "Figure":
    """How values are spread, as the share of each set of them that falls in a bin; infinite ones are left out.

    Args:
        values: ``[N]`` of each set; whole numbers of a narrow range get a bin each.
        title: of the axis.
        zero: whether to mark where zero is.
    """
    known = {name: np.asarray(part, dtype=np.float64) for name, part in values.items()}
    known = {name: part[np.isfinite(part)] for name, part in known.items()}
    edges = _edges(np.concatenate(list(known.values())))
    traces = []
    for place, (name, part) in enumerate(known.items()):
        if not len(part):
            continue
        counts = np.histogram(part, edges)[0]
        traces.append(
            {
                "type": "bar",
                "x": plain((edges[:-1] + edges[1:]) / 2),
                "y": plain(counts / len(part)),
                "customdata": [
                    [counted(int(count), "time"), number(low), number(high)]
                    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
                ],
                "name": label(name),
                "marker": {"color": PALETTE[place % len(PALETTE)]},
                "hovertemplate": "%{customdata[1]} to %{customdata[2]}: %{y:.1%} (%{customdata[0]})",
            }
        )
    line = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": NEUTRAL}}
    return figure(
        traces,
        260,
        {
            "bargap": 0.06,
            "xaxis": {"title": {"text": title}},
            "yaxis": {"title": {"text": "share"}, "tickformat": ".0%", "rangemode": "tozero"},
            "showlegend": len(traces) > 1,
            "shapes": [line] if zero else [],
        },
    )


def _edges(values: np.ndarray, bins: int = 30) -> np.ndarray:
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    if not high / 2 - low / 2 < 1e300 or high - low <= 64 * np.spacing(max(abs(low), abs(high))):
        return np.array([low - 0.5, high + 0.5])  # too far apart, or too near, to be told apart
    if high - low < bins and (values == np.round(values)).all():
        return np.arange(low, high + 2) - 0.5
    return np.histogram_bin_edges(values, bins)


def curves(
    epochs: Sequence[int],
    lines: Mapping[str, Sequence[float]],
    *,
    title: str,
    best: int | None = None,
    zero: bool = False,
    height: int = 260,
) -> "Figure":
    """Numbers by epoch.

    Args:
        epochs: from 1.
        lines: of each name one number an epoch; NaN is a gap.
        title: of the vertical axis.
        best: epoch to mark.
        zero: whether the axis begins at zero.
        height: of the figure.
    """
    traces: list[dict[str, Any]] = []
    for i, (name, values) in enumerate(lines.items()):
        part = np.asarray(values, dtype=np.float64)
        points = marks(part)
        traces.append(
            {
                "type": "scatter",
                "x": list(epochs),
                "y": plain(part),
                "name": label(name),
                "mode": points["mode"],
                "line": {"color": PALETTE[i % len(PALETTE)], "width": 2},
                "marker": {"size": points["size"], "line": {"width": 0}},
                "hovertemplate": "epoch %{x}: %{y:.4~g}",
            }
        )
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": "epoch"}, "tickformat": "d", **({"dtick": 1} if len(epochs) <= 8 else {})},
        "yaxis": {"title": {"text": title}, "rangemode": "tozero" if zero or len(epochs) == 1 else "normal"},
        "showlegend": len(traces) > 1,
    }
    if best is not None:
        layout["shapes"] = [
            {
                "type": "line",
                "x0": best,
                "x1": best,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": NEUTRAL, "dash": "dot", "width": 1.5},
            }
        ]
    return figure(traces, height, layout)


def predicted_against_actual(predicted: np.ndarray, actual: np.ndarray, *, name: str) -> "Figure":
    """One point an answer; on the diagonal where it is right. At most 2000 points, drawn by lot.

    Args:
        predicted: ``[N]``.
        actual: ``[N]``.
        name: of the target.
    """
    finite = np.flatnonzero(np.isfinite(predicted) & np.isfinite(actual))
    if len(finite) > SCATTER_POINTS:
        finite = np.random.default_rng(0).choice(finite, SCATTER_POINTS, replace=False)
    both = np.concatenate([predicted[finite], actual[finite]])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    points = {
        "type": "scatter",
        "x": plain(actual[finite]),
        "y": plain(predicted[finite]),
        "name": "answers",
        "mode": "markers",
        "marker": {"size": 6, "color": PALETTE[0], "opacity": 0.55 if len(finite) > 100 else 0.8},
        "hovertemplate": "right %{x:.4~g}, said %{y:.4~g}<extra></extra>",
    }
    axis = {"range": _widened(low, high)}
    return figure(
        [reference_line([low, high], [low, high], "perfect"), points],
        340,
        {
            "xaxis": {**axis, "title": {"text": f"right {label(name)}"}},
            "yaxis": {**axis, "title": {"text": f"said {label(name)}"}},
            "showlegend": False,
        },
    )
