"""The pictures of recordings, drawings and films, as plotly figures of plain arrays."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.reports import pixels
from gatewise.reports.style import NEUTRAL, PALETTE, figure, label, plain, thin
from gatewise.reports.words import counted, percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WAVE, MARK = PALETTE[0], PALETTE[1]
TICKS = (250, 1000, 2000, 4000, 8000, 16000)  # hertz
PIECES = 24  # of a drawing, each in a colour of its own
EARLY, MIDDLE, LATE = (0, 114, 178), (204, 121, 167), (213, 94, 0)  # of PALETTE: seen on white and on black
SHOWN = 8  # frames or poses of a clip
PIXELS = 96  # of a frame's longer side
SLOT = 60  # pixels across for a frame or a pose, about
BARS = 60  # pixels down for their shares of attention
TALL = 1.6  # of a pose, in slots
LINE = 80  # pixels down for a line of writing
LETTER = 13  # pixels across for a character of an answer
WIDEST = 1050  # pixels that a page has across
ATTENDED = 240  # points of a line of attention


class Letter(NamedTuple):
    """A character of an answer, from where to where of the input it was read, 0 to 1, and whether it is right."""

    text: str
    start: float
    end: float
    right: bool = True


def audio(
    wave: np.ndarray,
    rate: float,
    *,
    shares: np.ndarray | None = None,
    letters: Sequence[Letter] = (),
    height: int = 170,
) -> "Figure":
    """A recording: its wave above, below it the loudness of its frequencies, over seconds.

    Args:
        wave: ``[T]``, -1 to 1.
        rate: samples a second.
        shares: attention to each frame ``[F]``, evenly over the recording; None for none.
        letters: what was read where; drawn between the two.
        height: of the figure, in pixels, without the strip of attention.
    """
    seconds = len(wave) / rate
    known = np.nan_to_num(np.asarray(wave, dtype=np.float64))
    kept = thin(known) if len(known) else np.zeros(0, np.int64)
    spectrum = pixels.spectrogram(known, rate)
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": (spectrum.decibels + pixels.FLOOR).round().astype(np.uint8),  # written down as bytes
            "x0": spectrum.start,
            "dx": spectrum.step,
            "zmin": 0,
            "zmax": pixels.FLOOR,
            "showscale": False,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": plain(kept / rate),
            "y": plain(known[kept].round(4)),
            "mode": "lines",
            "line": {"color": WAVE, "width": 1},
            "yaxis": "y2",
            "hoverinfo": "skip",
        },
    ]
    foot = 34 if shares is not None else 0
    whole = height + foot
    low, high = (foot + 6) / whole if foot else 0.0, (0.66 * height + foot) / whole
    peak = float(np.abs(known).max(initial=0.0)) or 1.0
    layout: dict[str, Any] = {
        **_panel(),
        "xaxis": {
            "range": [0, max(seconds, 1e-3)],
            "ticksuffix": " s",
            "nticks": 5,
            "tickangle": 0,
            "anchor": "free",
            "position": 0,
        }
        | {"showgrid": False},
        "yaxis": {**_hertz(spectrum.hertz), "domain": [low, high]},
        "yaxis2": {"visible": False, "range": [-1.1 * peak, 1.1 * peak], "domain": [high + 22 / whole, 1.0]},
    }
    if shares is not None:
        traces.append(_strip(shares, seconds))
        layout["yaxis3"] = {"visible": False, "rangemode": "tozero", "domain": [0.0, low - 6 / whole]}
    _write(layout, [_scaled(letter, seconds) for letter in letters], y=high, bottom=low)
    return figure(traces, whole, layout)


def _hertz(bands: np.ndarray) -> dict[str, Any]:
    ticks = [hertz for hertz in TICKS if hertz <= bands[-1]]
    places = np.interp(pixels.mel(np.array(ticks, dtype=np.float64)), pixels.mel(bands), np.arange(len(bands)))
    names = [f"{hertz} Hz" if hertz < 1000 else f"{hertz // 1000} kHz" for hertz in ticks]
    return {"tickvals": plain(places), "ticktext": names, "showgrid": False, "range": [-0.5, len(bands) - 0.5]}


def _strip(shares: np.ndarray, seconds: float) -> dict[str, Any]:
    """Attention over time, as an area that sums to one."""
    count = min(len(shares), ATTENDED)
    until = np.concatenate([[0.0], np.cumsum(shares)])
    parts = np.diff(np.interp(np.linspace(0, len(shares), count + 1), np.arange(len(until)), until))
    places = (np.arange(count) + 0.5) * seconds / max(count, 1)
    return {
        "type": "scatter",
        "x": plain(places),
        "y": plain(np.round(parts, 5)),
        "mode": "lines",
        "fill": "tozeroy",
        "line": {"color": MARK, "width": 1, "shape": "hvh"},
        "yaxis": "y3",
        "hovertemplate": "%{x:.2f} s: %{y:.1%}<extra>attention</extra>",
    }


def _scaled(letter: Letter, length: float, offset: float = 0.0) -> Letter:
    return letter._replace(start=letter.start * length + offset, end=letter.end * length + offset)


def _write(layout: dict[str, Any], letters: Sequence[Letter], *, y: float, bottom: float) -> None:
    """Characters above what they were read from, with a band over it; ``y`` and ``bottom`` on the paper."""
    if not letters:
        return
    layout["annotations"] = [
        {
            "x": (letter.start + letter.end) / 2,
            "y": y,
            "yref": "paper",
            "yanchor": "bottom",
            "text": written(letter),
            "showarrow": False,
            "font": {"size": 12, **({} if letter.right else {"color": MARK})},
        }
        for letter in letters
    ]
    layout["shapes"] = [
        {
            "type": "rect",
            "x0": letter.start,
            "x1": letter.end,
            "yref": "paper",
            "y0": bottom,
            "y1": y,
            "line": {"width": 1, "color": NEUTRAL if letter.right else MARK},  # neighbours stay apart
            "fillcolor": NEUTRAL if letter.right else MARK,
            "opacity": 0.28,
        }
        for letter in letters
    ]


def written(letter: Letter) -> str:
    """A character as a picture shows it: a space as a mark, a wrong one in bold and brackets."""
    text = "␣" if letter.text == " " else label(letter.text)
    return text if letter.right else f"<b>[{text}]</b>"


def strokes(
    points: np.ndarray, *, shares: np.ndarray | None = None, letters: Sequence[Letter] = (), height: int = 190
) -> "Figure":
    """A drawing as the pen made it, from blue to orange in the order of time; a ring marks where it began.

    Args:
        points: ``[T, 3]``: x, y downwards, and 1 where the pen is lifted after the point.
        shares: attention to each point ``[T]``: the larger, the larger its dot.
        letters: what was read where, written below it.
        height: of the figure, in pixels.
    """
    x, y = (np.asarray(points[:, k], dtype=np.float64) for k in (0, 1))
    lifted = np.flatnonzero(points[:, 2] > 0.5) if len(points) else np.zeros(0, np.int64)
    gaps = set(lifted.tolist())
    edges = np.unique(np.linspace(0, max(len(points) - 1, 0), min(PIECES, max(len(points), 2)) + 1).round().astype(int))
    traces: list[dict[str, Any]] = []
    if shares is not None:
        traces.append(_dots(x, y, shares))
    for k, (first, last) in enumerate(pairwise(edges.tolist())):
        line: list[list[float | None]] = [[], []]
        for i in range(first, last + 1):
            line[0].append(float(f"{x[i]:.5g}"))
            line[1].append(float(f"{y[i]:.5g}"))
            if i in gaps and i < last:
                line[0].append(None)
                line[1].append(None)
        traces.append(_pen(line, colour((k + 0.5) / (len(edges) - 1))))
    ends = dict.fromkeys([*lifted.tolist(), *([len(points) - 1] if len(points) else [])])
    lone = [i for i in ends if i == 0 or i - 1 in gaps]  # a dot of the pen is no line
    if lone:
        tint = [colour(i / max(len(points) - 1, 1)) for i in lone]
        traces.append(_marks(x[lone], y[lone], {"size": 4, "color": tint}))
    if len(points):
        ring = {"size": 9, "color": "rgba(0,0,0,0)", "line": {"color": colour(0.0), "width": 1.5}}
        traces.append(_marks(x[:1], y[:1], ring))
    layout = {**_panel(), "xaxis": {"visible": False}, "yaxis": {**_equal(), "autorange": "reversed"}}
    if letters and len(points):
        layout |= {"annotations": _below(x, letters), "margin": {"l": 4, "r": 6, "t": 6, "b": 24}}
    return figure(traces, height, layout)


def _pen(line: list[list[float | None]], color: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": line[0],
        "y": line[1],
        "mode": "lines",
        "line": {"color": color, "width": 2.5},
        "hoverinfo": "skip",
    }


def _marks(x: np.ndarray, y: np.ndarray, marker: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "x": plain(x), "y": plain(y), "mode": "markers", "marker": marker, "hoverinfo": "skip"}


def _dots(x: np.ndarray, y: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
    """Attention to the points of a drawing: the area of a dot is its share."""
    kept = np.flatnonzero(shares > 0.05 * shares.max(initial=0.0))
    kept = kept[np.argsort(-shares[kept], kind="stable")[:150]]
    sizes = 26 * np.sqrt(shares[kept] / max(float(shares.max(initial=0.0)), 1e-12))
    return {
        "type": "scatter",
        "x": plain(x[kept]),
        "y": plain(y[kept]),
        "mode": "markers",
        "marker": {"size": plain(sizes), "color": NEUTRAL, "opacity": 0.3, "line": {"width": 0}},
        "customdata": [percent(float(share)) for share in shares[kept]],
        "hovertemplate": "%{customdata} of the attention<extra></extra>",
    }


def _below(x: np.ndarray, letters: Sequence[Letter]) -> list[dict[str, Any]]:
    """Characters under the points that they were read from."""
    found = []
    for letter in letters:
        first = min(int(letter.start * len(x)), len(x) - 1)
        part = slice(first, max(int(np.ceil(letter.end * len(x))), first + 1))
        found.append(
            {
                "x": float(x[part].mean()),
                "y": 0,
                "yref": "paper",
                "yshift": -4,
                "yanchor": "top",
                "text": written(letter),
                "showarrow": False,
                "font": {"size": 12, **({} if letter.right else {"color": MARK})},
            }
        )
    return found


def colour(place: float) -> str:
    """The colour of a time, 0 to 1: blue, then pink, then orange."""
    first, second, part = (EARLY, MIDDLE, 2 * place) if place < 0.5 else (MIDDLE, LATE, 2 * place - 1)
    mixed = (round(a + (b - a) * min(max(part, 0.0), 1.0)) for a, b in zip(first, second, strict=True))
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def line_image(ink: np.ndarray, *, letters: Sequence[Letter] = (), shares: np.ndarray | None = None) -> "Figure":
    """The image of a line of writing.

    Args:
        ink: ``[T, height]``, 0 for paper to 1 for ink, column by column.
        letters: what was read where, written above it.
        shares: attention to each column, as an area below it.
    """
    columns, rows = ink.shape
    grey = 255 - np.clip(255 * np.nan_to_num(ink.T), 0, 255)
    size = {"x": -0.5, "y": -0.5, "sizex": columns, "sizey": rows}
    picture = {"source": pixels.data_uri(grey.astype(np.uint8)), "sizing": "stretch", "layer": "below", **size}
    zoom = min(max(LINE / max(rows, 1), LETTER * len(letters) / max(columns, 1)), WIDEST / max(columns, 1), 8.0)
    height = zoom * rows + (30 if letters else 12)
    foot = 0 if shares is None else 40
    layout: dict[str, Any] = {
        **_panel(),
        "margin": {"l": 4, "r": 4, "t": 24 if letters else 6, "b": 4},
        "images": [{"xref": "x", "yref": "y", **picture}],
        "xaxis": {"visible": False, "range": [-0.5, columns - 0.5], "constrain": "domain", "constraintoward": "left"},
        "yaxis": {**_equal(), "range": [rows - 0.5, -0.5], "domain": [foot / (height + foot), 1.0]},
    }
    # A figure without a trace has no axes that could be drawn on.
    traces = [{"type": "scatter", "x": [0], "y": [0], "mode": "markers", "opacity": 0, "hoverinfo": "skip"}]
    if shares is not None:
        traces.append(_strip(shares, columns) | {"yaxis": "y2", "hovertemplate": "%{y:.1%}<extra>attention</extra>"})
        layout["yaxis2"] = {"visible": False, "rangemode": "tozero", "domain": [0.0, (foot - 6) / (height + foot)]}
    placed = [_scaled(letter, columns, -0.5) for letter in letters]
    _write(layout, placed, y=1.0, bottom=foot / (height + foot))
    return figure(traces, round(height + foot), layout)


def frames(clip: np.ndarray, *, rate: float | None = None, shares: np.ndarray | None = None) -> "Figure":
    """A strip of frames, at even distances over the clip, each with the attention that its stretch got.

    Args:
        clip: ``[T, H, W, C]`` uint8.
        rate: frames a second, for their times; None numbers them.
        shares: attention to each frame ``[T]``; None for none.
    """
    stretches = stretches_of(len(clip))
    places = [int(stretch[len(stretch) // 2]) for stretch in stretches]
    tall = min(max(SLOT * clip.shape[1] / max(clip.shape[2], 1), 30), 140)
    foot = 0 if shares is None else BARS
    images = [
        {
            "source": pixels.data_uri(pixels.smaller(clip[place], PIXELS)),
            "xref": "x",
            "yref": "paper",
            "x": k,
            "xanchor": "center",
            "y": 1.0,
            "sizex": 0.94,
            "sizey": tall / (tall + foot),
            "sizing": "contain",
            "yanchor": "top",
        }
        for k, place in enumerate(places)
    ]
    layout = {"images": images, "xaxis": _times(places, rate)}
    return _with_bars(len(places), [], stretches, shares, layout, tall=tall)


def skeleton(joints: np.ndarray, *, rate: float | None = None, shares: np.ndarray | None = None) -> "Figure":
    """Poses of a skeleton at even distances over a clip, seen from the front: x to the right, y upwards.

    Args:
        joints: ``[T, J, 3]``.
        rate: frames a second, for their times; None numbers them.
        shares: attention to each frame ``[T]``; None for none.
    """
    known = np.nan_to_num(np.asarray(joints, dtype=np.float64))
    stretches = stretches_of(len(known))
    places = [int(stretch[len(stretch) // 2]) for stretch in stretches]
    bones = bones_of(known)
    flat = known[places][..., :2] if places else np.zeros((0, 1, 2))  # [S, J, 2]
    # Poses stand one unit apart, all in the same scale, each about its own middle; they rise and fall together.
    middle = (flat.min(1) + flat.max(1)) / 2  # [S, 2]
    low, high = (flat[..., 1].min(), flat[..., 1].max()) if flat.size else (0.0, 1.0)
    middle[:, 1] = (low + high) / 2
    across = 2 * float(np.abs(flat - middle[:, None])[..., 0].max(initial=0.0))
    scale = max(across / 0.94, float(high - low) / (0.96 * TALL), 1e-9)
    traces = []
    for k, pose in enumerate(flat):
        at = (pose - middle[k]) / scale + [k, 0.0]
        x: list[float | None] = []
        y: list[float | None] = []
        for a, b in bones:
            x += [float(f"{at[a, 0]:.4f}"), float(f"{at[b, 0]:.4f}"), None]
            y += [float(f"{at[a, 1]:.4f}"), float(f"{at[b, 1]:.4f}"), None]
        traces.append(_pen([x, y], NEUTRAL) | {"line": {"color": NEUTRAL, "width": 1}, "yaxis": "y2"})
        traces.append(_marks(at[:, 0].round(4), at[:, 1].round(4), {"size": 3.5, "color": WAVE}) | {"yaxis": "y2"})
    tall, foot = TALL * SLOT, 0 if shares is None else BARS
    layout = {
        "xaxis": {**_times(places, rate), "constrain": "domain"},
        "yaxis2": {**_equal(), "domain": [foot / (tall + foot), 1.0], "range": [-TALL / 2, TALL / 2]},
    }
    return _with_bars(len(places), traces, stretches, shares, layout, tall=tall)


def stretches_of(steps: int, most: int = SHOWN) -> list[np.ndarray]:
    """The steps of a clip in at most so many stretches, all of the same length but the last, which may be shorter."""
    length = max(-(-steps // most), 1)
    return [np.arange(first, min(first + length, steps)) for first in range(0, steps, length)]


def bones_of(joints: np.ndarray) -> list[tuple[int, int]]:
    """Which joints of ``[T, J, 3]`` to join: the tree of the least length over their mean distances (Prim 1957)."""
    count = joints.shape[1] if len(joints) else 0
    if count < 2:
        return []
    some = joints[np.linspace(0, len(joints) - 1, min(len(joints), 20)).astype(int)]
    distances = np.linalg.norm(some[:, :, None] - some[:, None], axis=-1).mean(0)  # [J, J]
    nearest, origin = distances[0].copy(), np.zeros(count, np.int64)
    outside = set(range(1, count))
    bones = []
    while outside:
        new = min(outside, key=lambda joint: float(nearest[joint]))
        bones.append((int(origin[new]), new))
        outside.remove(new)
        closer = distances[new] < nearest
        nearest[closer], origin[closer] = distances[new][closer], new
    return bones


def _with_bars(
    count: int,
    traces: list[dict[str, Any]],
    stretches: Sequence[np.ndarray],
    shares: np.ndarray | None,
    layout: dict[str, Any],
    *,
    tall: float,
) -> "Figure":
    """A strip of ``count`` pictures, ``tall`` pixels high, and under each what its stretch got of the attention."""
    foot = 0 if shares is None else BARS
    parts = [0.0] * count if shares is None else [float(shares[stretch].sum()) for stretch in stretches]
    bars: dict[str, Any] = {
        "type": "bar",
        "x": list(range(count)),
        "y": plain(parts),
        "width": 0.8,
        "marker": {"color": MARK},
        "hovertemplate": "%{y:.1%} of the attention<extra></extra>",
        "text": [percent(round(part, 3)) for part in parts],
        "textposition": "outside",
        "textfont": {"size": 9},
        "cliponaxis": False,
    }
    if shares is None:
        bars |= {"opacity": 0, "hoverinfo": "skip", "hovertemplate": None, "text": None}
    top = {"range": [0, 1.5 * max([*parts, 1e-9])], "domain": [0.0, max(foot - 8, 1) / (tall + foot)]}
    return figure([*traces, bars], round(tall + foot + 34), {**_panel(), **layout, "yaxis": {"visible": False, **top}})


def _times(places: Sequence[int], rate: float | None) -> dict[str, Any]:
    names = [f"{place / rate:.1f} s" if rate else str(place) for place in places]
    return {
        "tickvals": list(range(len(places))),
        "ticktext": names,
        "range": [-0.5, SHOWN - 0.5],
        "showgrid": False,
    }


def _equal() -> dict[str, Any]:
    """A hidden axis with the same scale as that across."""
    return {"visible": False, "scaleanchor": "x", "scaleratio": 1, "constrain": "domain"}


def _panel() -> dict[str, Any]:
    return {"showlegend": False, "margin": {"l": 4, "r": 6, "t": 6, "b": 4}, "font": {"size": 10}}


def rates_by_length(names: Sequence[str], rates: Sequence[float], counts: Sequence[int]) -> "Figure":
    """Character error rates of texts of some lengths.

    Args:
        names: of the lengths.
        rates: error rate of each.
        counts: texts of each.
    """
    bars = {
        "type": "bar",
        "x": list(range(len(names))),
        "y": plain(rates),
        "customdata": [counted(count, "text") for count in counts],
        "marker": {"color": PALETTE[0]},
        "hovertemplate": "%{y:.1%} (%{customdata})<extra></extra>",
    }
    layout = {
        "bargap": 0.25,
        "xaxis": {
            "tickvals": list(range(len(names))),
            "ticktext": list(names),
            "title": {"text": "characters of the reference"},
        },
        "yaxis": {"title": {"text": "character error rate"}, "tickformat": ".1~%", "rangemode": "tozero"},
    }
    return figure([bars], 260, layout)
