"""The pictures of a forecasting's report, as plotly figures: plain functions of plain numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.reports.style import NEUTRAL, PALETTE, figure, label, marks, plain, reference_line, thin

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HAPPENED, SAID, COMPARED = PALETTE[0], PALETTE[1], PALETTE[2]
OTHERS = (PALETTE[3], PALETTE[5], PALETTE[4])
_BAND = "rgba(213,94,0,{})"  # PALETTE[1]
_OPACITY = 0.15  # of each band; they lie over one another
_PANEL = {"showlegend": False, "margin": {"l": 4, "r": 6, "t": 6, "b": 4}, "font": {"size": 10}}


class Part(NamedTuple):
    """A stretch of a series: whose it is, where its steps stand on the axis ``[T]``, and its values ``[T]``."""

    name: str
    times: np.ndarray
    values: np.ndarray
    color: str


def _lone(values: np.ndarray) -> dict[str, Any]:
    known = np.concatenate([[False], np.isfinite(values), [False]])
    lone = known[1:-1] & ~known[:-2] & ~known[2:]
    return {"mode": "lines+markers", "size": (5 * lone).tolist()} if lone.any() else {"mode": "lines", "size": 4}


def on_axis(times: np.ndarray) -> list[Any]:
    """Times as plotly reads them: dates as text, numbers as they are."""
    if times.dtype.kind != "M":
        return [int(moment) for moment in times]
    days = times.astype("datetime64[D]")
    return np.datetime_as_string(times, unit="D" if (days == times).all() else "s").tolist()  # type: ignore[no-any-return]


def _line(part: Part, hover: str, *, dots: bool = False, **style: Any) -> dict[str, Any]:
    """One line; with ``dots`` each of few points is marked, else only those that stand alone."""
    kept = thin(part.values)
    points = marks(part.values[kept]) if dots else _lone(part.values[kept])
    return {
        "type": "scatter",
        "x": on_axis(part.times[kept]),
        "y": plain(part.values[kept]),
        "name": label(part.name),
        "mode": points["mode"],
        "marker": {"size": points["size"], "color": part.color, "line": {"width": 0}},
        "line": {"color": part.color, "width": 1.4, **style},
        "hovertemplate": hover,
    }


def _border(place: Any) -> dict[str, Any]:
    line = {"color": NEUTRAL, "dash": "dot", "width": 1.5}
    return {"type": "line", "x0": place, "x1": place, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def whole_series(parts: Sequence[Part], *, height: int) -> "Figure":
    """A series from its beginning to its end, one colour a data set, a dotted line where another one begins.

    Args:
        parts: in the order of time.
        height: of the figure.
    """
    borders = [_border(on_axis(part.times[:1])[0]) for part in parts[1:]]
    # A line to the next part's first value: no gap in what has none.
    joined = [_reaching(part, following) for part, following in zip(parts, [*parts[1:], None], strict=True)]
    traces = [_line(part, "%{x}: %{y:.4~g}") for part in joined]
    layout = {**_PANEL, "xaxis": _axis(parts[0].times, 8), "yaxis": {"nticks": 5}, "shapes": borders}
    return figure(traces, height, layout)


def _reaching(part: Part, following: Part | None) -> Part:
    if following is None:
        return part
    times = np.concatenate([part.times, following.times[:1]])
    return part._replace(times=times, values=np.concatenate([part.values, following.values[:1]]))


def _axis(times: np.ndarray, ticks: int) -> dict[str, Any]:
    if times.dtype.kind == "M":
        return {"type": "date", "nticks": ticks}
    return {"nticks": ticks, "tickformat": "d"}


def fan(
    times: np.ndarray,
    happened: np.ndarray,
    said: np.ndarray,
    *,
    bands: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    compared: tuple[str, np.ndarray] | None = None,
) -> "Figure":
    """A forecast over what came before it and what happened.

    Args:
        times: ``[C + h]``.
        happened: ``[C + h]``, NaN where unobserved.
        said: ``[h]``, of the last h steps.
        bands: lower and upper end ``[h]`` of each, the widest first.
        compared: name and values ``[h]`` of another forecast.
    """
    ahead = times[len(times) - len(said) :]
    traces: list[dict[str, Any]] = []
    for place, (low, high) in enumerate(bands):
        edge = {"type": "scatter", "x": on_axis(ahead), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        if len(ahead) == 1:
            traces.append(_whisker(ahead, low, high, 8 - 3 * place))
            continue
        filled = {"fill": "tonexty", "fillcolor": _BAND.format(_OPACITY)}
        traces += [{**edge, "y": plain(low)}, {**edge, "y": plain(high), **filled}]
    hover = "%{x}: %{y:.4~g}"
    traces.append(_line(Part("what happened", times, happened, HAPPENED), hover))
    if compared is not None:
        traces.append(_line(Part(compared[0], ahead, compared[1], COMPARED), hover, dash="2px,2px"))
    traces.append(_line(Part("forecast", ahead, said, SAID), hover, width=1.8))
    layout = {**_PANEL, "xaxis": _axis(times, 4), "yaxis": {"nticks": 4}, "shapes": [_border(_before(times, ahead))]}
    return figure(traces, 170, layout)


def _before(times: np.ndarray, ahead: np.ndarray) -> Any:
    """The last known step; the first forecast one where nothing is known before."""
    return on_axis(times[max(0, len(times) - len(ahead) - 1) :][:1])[0]


def _whisker(ahead: np.ndarray, low: np.ndarray, high: np.ndarray, width: int) -> dict[str, Any]:
    """A band of a single step has no width to fill."""
    x = on_axis(ahead)
    line = {"width": max(2, width), "color": _BAND.format(0.35)}
    return {
        "type": "scatter",
        "x": x * 2,
        "y": plain([*low, *high]),
        "mode": "lines",
        "line": line,
        "hoverinfo": "skip",
    }


def colors_of(names: Sequence[str], best: str | None) -> dict[str, str]:
    """The model as forecasts are drawn, the best baseline as it is drawn beside them, and the others."""
    model, *others = names
    rest = [name for name in others if name != best]
    found = {model: SAID} | dict(zip(rest, OTHERS, strict=False))
    return found if best is None else found | {best: COMPARED}


def by_step(
    lines: Mapping[str, np.ndarray], colors: Mapping[str, str], *, title: str, percent: bool = False
) -> "Figure":
    """A number for each step of the horizon, from 1; the first line is the model's.

    Args:
        lines: ``[h]`` each.
        colors: of the lines.
        title: of the vertical axis.
        percent: whether numbers are shares.
    """
    traces = []
    for place, (name, values) in enumerate(lines.items()):
        steps = np.arange(1, len(values) + 1)
        hover = "step %{x}: %{y:.1%}" if percent else "step %{x}: %{y:.4~g}"
        style = {"width": 2.4} if place == 0 else {"width": 1.4, "dash": "dash"}
        traces.append(_line(Part(name, steps, values, colors[name]), hover, dots=True, **style))
    count = len(next(iter(lines.values())))
    ticks = {"dtick": 1} if count <= 12 else {}
    return figure(
        traces,
        300,
        {
            "xaxis": {"title": {"text": "step of the horizon"}, "tickformat": "d", **ticks},
            "yaxis": {"title": {"text": title}, "rangemode": "tozero", **({"tickformat": ".0%"} if percent else {})},
            "showlegend": len(traces) > 1,
        },
    )


def calibration(levels: Sequence[float], found: np.ndarray) -> "Figure":
    """How often what happened was not above each quantile; on the diagonal where as often as it should be.

    Args:
        levels: ``[Q]``, 0 to 1.
        found: ``[Q]``, shares.
    """
    points = {
        "type": "scatter",
        "x": plain(levels),
        "y": plain(found),
        "name": "found",
        "mode": "lines+markers",
        "line": {"color": SAID, "width": 2},
        "marker": {"size": 7, "color": SAID, "line": {"width": 0}},
        "hovertemplate": "level %{x:.0%}: %{y:.1%} below<extra></extra>",
    }
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%"}
    layout = {
        "xaxis": {**axis, "title": {"text": "level of the quantile"}},
        "yaxis": {**axis, "title": {"text": "of what happened was not above it"}},
        "showlegend": False,
    }
    return figure([reference_line([0, 1], [0, 1], "right"), points], 300, layout)


def season(lines: Mapping[str, np.ndarray], *, phases: Sequence[str], what: str, title: str) -> "Figure":
    """What is usual at each step of a season.

    Args:
        lines: ``[s]`` of each channel.
        phases: names of the steps, or none for their numbers.
        what: title of the steps' axis.
        title: of the values' axis.
    """
    traces = []
    for place, (name, values) in enumerate(lines.items()):
        part = Part(name, np.arange(1, len(values) + 1), values, PALETTE[place % len(PALETTE)])
        line = _line(part, "%{x}: %{y:.4~g}", dots=True, width=2)
        traces.append({**line, "x": list(phases)} if phases else line)
    layout = {
        "xaxis": {"title": {"text": what}, **({"type": "category"} if phases else {"tickformat": "d"})},
        "yaxis": {"title": {"text": title}, "zeroline": True, "zerolinecolor": NEUTRAL},
        "showlegend": len(traces) > 1,
    }
    return figure(traces, 260, layout)
