"""What each part of a sequence adds to an answer, drawn on the sequence: lines, maps, texts and drawings.

One scale of colours everywhere: orange adds to the score, blue takes from it, and what has no colour does neither.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.inspection.attribution import Attribution
from gatewise.reports import page
from gatewise.reports.page import Html
from gatewise.reports.shading import visible, window
from gatewise.reports.style import DIVERGING, NEITHER, NEUTRAL, POINTS, figure, label, plain, thin
from gatewise.reports.words import counted, number, shorten

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LINES = 6  # channels drawn as lines at most: those that add most
LINE_HEIGHT, ROW_HEIGHT, STRIP_HEIGHT = 130, 16, 22
TEXT_LIMIT = 6_000  # characters of a text that are shown
FAINT = 0.04
NAMED = 40  # rows of a map whose names are shown


class Explained(NamedTuple):
    """What is drawn of an explanation.

    Attributes:
        attribution: what each part adds.
        axis: the name of each of ``T`` steps.
        features: names of the columns of its values; none where a step has one value.
        inputs: what stands at each step: ``[T, ...]``, or token numbers ``[T]``.
    """

    attribution: Attribution
    axis: Sequence[str]
    features: Sequence[str]
    inputs: np.ndarray


def page_of(attribution: Attribution, axis: Sequence[str], features: Sequence[str], inputs: np.ndarray, *,
            title: str) -> str:  # fmt: skip
    """A page of its own.

    Args:
        attribution: what each part adds.
        axis: the name of each of ``T`` steps.
        features: names of the columns of its values; none where a step has one value.
        inputs: what stands at each step: ``[T, ...]``, or token numbers ``[T]``.
        title: of the page.
    """
    one = Explained(attribution, axis, features, inputs)
    header = page.join(
        Html(f"<h1>{page.text(title)}</h1>"), Html(f'<p class="kind">{page.text(_kind(attribution))}</p>')
    )
    chapters = {
        "Where it comes from": page.join(
            facts(attribution), drawing(one), page.paragraph(legend(attribution, map_above=_has_map_above(one)))
        )
    }
    return page.page(title, header, {**chapters, "What adds most": strongest(one)})


def facts(attribution: Attribution) -> Html:
    """The score, what it is without the sequence, and what the values miss of the difference."""
    found = attribution
    if found.method == "attention":
        return page.paragraph(f"What is shown: {found.target}.")
    missed = found.residual
    note = f"{found.steps:,} points on the path" if found.method == "integrated-gradients" else "what parts do together"
    if not found.complete:
        note += "; not exact to the tolerance"
    return page.facts(
        [
            ("Score", number(found.score), found.target),
            ("Without the sequence", number(found.score - found.difference), "the baseline's"),
            ("Values add up to", f"{found.values.sum():+.4g}", f"of {found.difference:+.4g}"),
            ("Left over", f"{missed:+.2g}", note),
        ]
    )


def legend(attribution: Attribution, *, map_above: bool = False) -> str:
    """How to read the drawing; ``map_above``: the input is drawn above it as a map."""
    return _reading(attribution) + (
        " Above it the input, each row in deviations from its own mean: the darker, the higher." if map_above else ""
    )


def _reading(attribution: Attribution) -> str:
    if attribution.method == "attention":
        return (
            "The stronger the orange, the larger the share of attention. Attention says where a model looked, not why."
        )
    words = "Orange speaks for the answer, blue against it; without colour it made no difference. "
    if attribution.method == "occlusion":
        return words + (
            f"{_windows(attribution.window)} at a time was replaced by what says nothing; its value is by how much the "
            "score fell."
        )
    return words + "Values are parts of the score: added up they are its difference from the baseline's."


def drawing(one: Explained) -> Html:
    """A sequence coloured by what its steps add: a text, a drawing with a pen, frames, or lines over time."""
    values, inputs = one.attribution.values, np.asarray(one.inputs)
    if inputs.ndim == 1 and np.issubdtype(inputs.dtype, np.integer):
        return text(one.axis, values)
    name = f"{one.attribution.target}: what each of {counted(len(one.axis), 'step')} adds"
    if one.axis and one.axis[0].startswith("point "):
        return page.chart(path(inputs[:, :2], values, one.axis), alt=name, max_width=420)
    if (inputs.ndim == 2 and inputs.shape[1] <= LINES) or inputs.ndim == 1:
        return page.chart(series(one), alt=name)
    return page.chart(heat_map(one), alt=name)


def text(tokens: Sequence[str], values: np.ndarray, *, spaced: bool = True) -> Html:
    """A text whose tokens are shaded, orange for and blue against; of a long one the part that says most.

    Args:
        tokens: as they are shown; words are set apart by spaces.
        values: ``[T]``.
        spaced: put a space between words; else the tokens have their own.
    """
    full = float(np.abs(values).max(initial=0.0)) or 1.0
    words = spaced and any(len(token) > 1 for token in tokens)
    first, last = window([len(token) + words for token in tokens], np.abs(values).tolist(), TEXT_LIMIT)
    spans = []
    for token, value in zip(tokens[first:last], values[first:last].tolist(), strict=True):
        strength = abs(value) / full
        shown = page.text(token if token.strip() or token == " " else visible(token))
        end = "\n" if token in ("\n", "↵") else " " if words else ""
        if strength < FAINT:
            spans.append(shown + end)
            continue
        kind = "for" if value > 0 else "against"
        spans.append(f'<span class="{kind}" style="--s:{strength:.2f}" title="{value:+.3g}">{shown}</span>{end}')
    content = ("…" if first else "") + "".join(spans) + ("…" if last < len(tokens) else "")
    return Html(f'<p class="passage" dir="auto">{content}</p>')


def series(one: Explained) -> "Figure":
    """Lines over the steps with points coloured by what they add, and a strip of the same below, a row a channel."""
    inputs = np.asarray(one.inputs, dtype=np.float64).reshape(len(one.axis), -1)
    values = one.attribution.values.reshape(len(one.axis), -1)
    names = list(one.features) or [f"channel {k}" for k in range(inputs.shape[1])]
    full = _full(values)
    rows = inputs.shape[1]
    strips = STRIP_HEIGHT if values.shape[1] == 1 else ROW_HEIGHT * values.shape[1]
    height = rows * LINE_HEIGHT + strips + 90
    part = (height - 90 - strips) / (height - 90) / rows if rows else 0.0
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    for k in range(rows):
        column = values[:, k] if k < values.shape[1] and values.shape[1] > 1 else values[:, 0]
        traces += _line(inputs[:, k], column, one.axis, full, f"y{k + 2}")
        top = 1.0 - k * part
        title = shorten(names[k], 20) if rows > 1 else ""
        axes[f"yaxis{k + 2}"] = {"domain": [top - 0.86 * part, top], "nticks": 4, "title": {"text": label(title)}}
    traces.append(_map(values, one.axis, names[: values.shape[1]], full))
    axes["yaxis"] = {"domain": [0.0, max(0.02, 1.0 - rows * part - 0.03)], "showgrid": False, **_rows(names, values)}
    return figure(traces, height, {"showlegend": False, "xaxis": _steps(one.axis), **axes, **_margins()})


def heat_map(one: Explained) -> "Figure":
    """Channels over steps coloured by what they add; above it, where there are as many, the channels themselves."""
    count = len(one.axis)
    values = one.attribution.values.reshape(count, -1)
    inputs = np.asarray(one.inputs, dtype=np.float64).reshape(count, -1)
    names = list(one.features) if len(one.features) == values.shape[1] else [str(k) for k in range(values.shape[1])]
    above = _has_map_above(one)
    if not above and values.shape[1] > 256:  # the pixels of a film: what each frame adds
        values, names = values.sum(1, keepdims=True), [""]
    size = STRIP_HEIGHT if values.shape[1] == 1 else int(np.clip(ROW_HEIGHT * values.shape[1], 120, 360))
    height = (2 * size if above else size) + 110
    traces = [_map(values, one.axis, names, _full(values))]
    axes: dict[str, Any] = {"yaxis": {"domain": [0, 0.47 if above else 1], "showgrid": False, **_rows(names, values)}}
    if above:
        deviation = inputs.std(0)
        scaled = (inputs - inputs.mean(0)) / np.where(deviation > 0, deviation, 1.0)
        x, shown = _binned(scaled, np.mean)
        axes["yaxis2"] = {"domain": [0.53, 1], "showgrid": False, "title": {"text": "input"}, **_rows(names, values)}
        axes["yaxis"]["title"] = {"text": "adds"}
        traces.append(
            {"type": "heatmap", "x": x, "z": [plain(row) for row in shown.T], "yaxis": "y2", "showscale": False,
             "hoverinfo": "skip"}
        )  # fmt: skip
    return figure(traces, height, {"showlegend": False, "xaxis": _steps(one.axis), **axes, **_margins()})


def _has_map_above(one: Explained) -> bool:
    """Whether a map of what adds has one of the input above it: it does where both have the same rows."""
    inputs, values = np.asarray(one.inputs), one.attribution.values
    return inputs.ndim == 2 and inputs.shape == values.shape and LINES < values.shape[1] <= 256


def path(points: np.ndarray, values: np.ndarray, names: Sequence[str]) -> "Figure":
    """What was drawn with a pen, its points coloured by what they add.

    Args:
        points: ``[T, 2]``, x and y downwards.
        values: ``[T]``.
        names: of the points.
    """
    trace = {
        "type": "scatter",
        "x": plain(points[:, 0]),
        "y": plain(points[:, 1]),
        "mode": "lines+markers",
        "line": {"color": "rgba({},{},{},0.5)".format(*NEITHER), "width": 2},
        "marker": _colored(values, _full(values)),
        "text": [f"{name}: {value:+.3g}" for name, value in zip(names, values.tolist(), strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
    }
    bare = {"visible": False, "scaleanchor": "x"}
    return figure([trace], 360, {"xaxis": {"visible": False}, "yaxis": {**bare, "autorange": "reversed"}, **_margins()})


def strongest(one: Explained, most: int = 12) -> Html:
    """A table of the steps that add or take most; steps that were occluded together stand in one line."""
    values = one.attribution.values.reshape(len(one.axis), -1)
    named = any(name != str(step) for step, name in enumerate(one.axis))
    several = len(one.features) == values.shape[1] > 1
    attends = one.attribution.method == "attention"
    parts = [(start, stop, k) for k in range(values.shape[1]) for start, stop in _together(one.attribution, k)]
    adds = [float(values[start:stop, k].sum()) for start, stop, k in parts]
    rows = []
    for place in np.argsort(-np.abs(adds), kind="stable")[:most].tolist():
        start, stop, k = parts[place]
        ends = [start] if stop == start + 1 else [start, stop - 1]
        name = [" to ".join(visible(one.axis[step]) for step in ends)] if named else []
        shown = f"{adds[place]:.1%}" if attends else f"{adds[place]:+.4g}"
        rows.append([" to ".join(map(str, ends)), *name, *([one.features[k]] if several else []), shown])
    head = ["Step", *(["Name"] if named else []), *(["Channel"] if several else []), "Share" if attends else "Adds"]
    return page.table(head, rows, name="Steps that add most", texts=len(head) - 1)


def _together(attribution: Attribution, k: int) -> list[tuple[int, int]]:
    """Stretches of steps that belong together: windows of an occlusion, else each step."""
    values = attribution.values.reshape(len(attribution.values), -1)[:, k]
    if attribution.window <= 1:
        return [(step, step + 1) for step in range(len(values))]
    starts = range(0, len(values), attribution.window)
    return [(start, min(start + attribution.window, len(values))) for start in starts]


def _line(values: np.ndarray, adds: np.ndarray, axis: Sequence[str], full: float, yaxis: str) -> list[dict[str, Any]]:
    """A grey line and on it points in the colours of what they add."""
    kept = thin(values) if len(values) else np.zeros(0, np.int64)
    x, y = kept.tolist(), plain(values[kept])
    text = [f"{axis[step]}: {values[step]:.4g}, adds {adds[step]:+.3g}" for step in kept.tolist()]
    return [
        {"type": "scatter", "x": x, "y": y, "yaxis": yaxis, "mode": "lines", "hoverinfo": "skip",
         "line": {"color": NEUTRAL, "width": 1}},
        {"type": "scatter", "x": x, "y": y, "yaxis": yaxis, "mode": "markers",
            "cliponaxis": False, "text": text,
         "marker": _colored(adds[kept], full),
         "hovertemplate": "%{text}<extra></extra>"},
    ]  # fmt: skip


def _map(values: np.ndarray, axis: Sequence[str], names: Sequence[str], full: float) -> dict[str, Any]:
    x, shown = _binned(values, np.sum)
    starts = [int(np.ceil(place)) for place in x]
    where = [axis[step] for step in starts]
    return {
        "type": "heatmap",
        "x": x,
        "z": [plain(row) for row in shown.T],
        "customdata": [[[label(name), step] for step in where] for name in names],
        "zmin": -full,
        "zmax": full,
        "colorscale": DIVERGING,
        "colorbar": {
            "title": {"text": "adds"},
            "thickness": 10,
            "lenmode": "pixels",
            "len": 150,
            "y": 1.0,
            "yanchor": "top",
            "outlinewidth": 0,
            "nticks": 5,
            "tickformat": "+.2~g",
        },
        "hovertemplate": "%{customdata[1]} %{customdata[0]}: %{z:+.3g}<extra></extra>",
    }


def _binned(values: np.ndarray, how: Any) -> tuple[list[float], np.ndarray]:
    """Middles of as many bins as can be seen, and what stands in them ``[bins, I]``."""
    bins = np.array_split(np.arange(len(values)), min(len(values), POINTS))
    return [float(part.mean()) for part in bins], np.stack([how(values[part], axis=0) for part in bins])


def _colored(values: np.ndarray, full: float) -> dict[str, Any]:
    """Points in the colours of values, the larger the more they say: nobody needs to see colours for that."""
    sizes = 3 + 7 * np.clip(np.abs(np.nan_to_num(values)) / full, 0, 1)
    return {
        "size": plain(sizes),
        "opacity": 1,
        "color": plain(values),
        "cmin": -full,
        "cmax": full,
        "colorscale": DIVERGING,
        "line": {"width": 0},
    }


def _full(values: np.ndarray) -> float:
    """The value of the full colour: the largest, or what all but 1 in 200 stay under, were it alone far out."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(min(sizes.max(initial=0.0), 3 * np.quantile(sizes, 0.995))) if sizes.size and sizes.max() else 1.0


def _steps(axis: Sequence[str]) -> dict[str, Any]:
    """The horizontal axis, with the names of some steps."""
    count = len(axis)
    numbers = all(name == str(place) for place, name in enumerate(axis))
    bare = {"showgrid": False, "zeroline": False, "range": [-0.5, count - 0.5]}
    if numbers:
        return {**bare, "title": {"text": "step"}, "nticks": 12}
    few = 6 if max(map(len, axis), default=0) > 8 else 10
    places = list(range(0, count, max(1, -(-count // few))))
    return {**bare, "tickangle": 0, "tickvals": places, "ticktext": [label(axis[place], 16) for place in places]}


def _rows(names: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    if values.shape[1] == 1:
        return {"showticklabels": False}
    places = list(range(0, values.shape[1], max(1, -(-values.shape[1] // NAMED))))
    if values.shape[1] > NAMED // 2:
        places = list(range(0, values.shape[1], max(1, -(-values.shape[1] // 10))))
    return {"tickvals": places, "ticktext": [label(names[place], 16) for place in places]}


def _margins() -> dict[str, Any]:
    return {"margin": {"l": 8, "r": 8, "t": 10, "b": 8}}


def _kind(attribution: Attribution) -> str:
    names = {"integrated-gradients": "Integrated gradients", "occlusion": "Occlusion", "attention": "Attention"}
    return f"{names[attribution.method]}: {attribution.target}"


def _windows(width: int) -> str:
    return "One step" if width == 1 else f"A window of {width} steps"
