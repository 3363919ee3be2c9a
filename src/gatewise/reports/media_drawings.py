"""Recordings, drawings and films as parts of a page: what one looks like, and where the model looked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gatewise.data.media import Kind, MediaData
from gatewise.reports import media_plots, page, pixels
from gatewise.reports.media_plots import Letter
from gatewise.reports.page import Html
from gatewise.reports.words import counted, percent
from gatewise.types import Prediction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SMALL: tuple[Kind, ...] = ("audio", "strokes")  # many side by side
WIDTHS: dict[Kind, int] = {"audio": 0, "strokes": 0, "lines": 760, "frames": 760, "skeletons": 760}
UNITS: dict[Kind, tuple[str, str]] = {
    "audio": ("second", "seconds"),
    "strokes": ("point", "points"),
    "lines": ("column", "columns"),
    "frames": ("frame", "frames"),
    "skeletons": ("frame", "frames"),
}
KEYS: dict[Kind, str] = {
    "audio": "Above the wave of the sound over time, below it its frequencies, low ones at the bottom: the stronger "
    "the colour, the louder, down to 60 dB below the loudest moment. Figures in dB are "
    "the mean loudness; 0 is the most that a file holds.",
    "strokes": "Drawn as the pen moved: blue first, orange last; a ring marks where it began.",
    "lines": "As the model reads it, scaled to its height, one column after the other.",
    "frames": "Frames at even distances over each clip, with the time of each, or its number.",
    "skeletons": "Poses at even distances over each clip, from the front: the first coordinate to the right, the "
    "second upwards. Which joints are joined is guessed from their distances.",
}
ATTENTION: dict[Kind, str] = {
    "audio": "The orange strip at the foot is the share of attention that each moment got.",
    "strokes": "Grey dots are attention: the larger a dot, the larger the share of the point.",
    "lines": "The orange strip at the foot is the share of attention that each column got.",
    "frames": "Under each frame stands the share of attention that it and those around it got: what decided.",
    "skeletons": "Under each pose stands the share of attention that it and those around it got: what decided.",
}


class Item(NamedTuple):
    """Something to draw: where it stands, what is written above it, what the model said of it, and parts below."""

    place: int
    title: str
    note: str
    prediction: Prediction | None = None
    letters: tuple[Letter, ...] = ()
    below: tuple[Html, ...] = ()


def noun(data: MediaData) -> str:
    """What one of them is called.

    >>> noun(MediaData("frames", [], np.zeros(0, np.int64)))
    'clip'
    """
    return data.noun.removesuffix("s")


def length(data: MediaData, place: int) -> str:
    """How long one is, in words."""
    steps = int(data.steps[place])
    if data.kind == "audio" and data.rate:
        return f"{steps / data.rate:.2f} s"
    words = counted(steps, *UNITS[data.kind])
    return f"{words}, {steps / data.rate:.1f} s" if data.rate else words


def key(kind: Kind, *, attends: bool) -> Html:
    """How to read the drawings."""
    return page.paragraph(KEYS[kind] + (f" {ATTENTION[kind]}" if attends else ""))


def attends(predictions: Sequence[Prediction]) -> bool:
    """Whether the model says where it looked."""
    return any(prediction.attention is not None for prediction in predictions)


def shares(data: MediaData, item: Item) -> np.ndarray | None:
    """What share of the attention each step got, of sound each frame of the model; None without any."""
    if item.prediction is None or item.prediction.attention is None:
        return None
    found: np.ndarray = np.nan_to_num(np.asarray(item.prediction.attention, dtype=np.float64))
    fits = found.ndim == 1 and (data.kind == "audio" or len(found) == int(data.steps[item.place]))
    return found if fits and found.any() else None


def drawings(data: MediaData, items: Sequence[Item], *, wide: bool = False) -> Html:
    """These items of the data, each loaded once, small ones side by side; ``wide`` ones below one another."""
    drawn = [_drawn(data, item, wide=wide) for item in items]
    return page.panels(drawn) if data.kind in SMALL and not wide else page.cards(drawn, wide=wide)


def _drawn(data: MediaData, item: Item, *, wide: bool) -> Html:
    values = data.items[item.place]
    note = f"{length(data, item.place)}; {item.note}"
    if data.kind == "audio":
        loud = pixels.loudness(values)
        note = f"{length(data, item.place)}, {'silent' if np.isinf(loud) else f'{loud:.0f} dB'}; {item.note}"
    figure = _figure(data, values, item)
    alt = f"{noun(data).capitalize()}: {item.title}. {length(data, item.place)}.{_looked(data, item)}"
    if data.kind in SMALL and not wide:
        return page.panel(figure, title=item.title, note=note, alt=alt)
    width = max(WIDTHS[data.kind], 760 if item.letters else 0)
    if data.kind == "lines":
        width = int(min(max(4 * len(values), media_plots.LETTER * len(item.letters) + 40, 200), media_plots.WIDEST))
    least = media_plots.LETTER * len(item.letters) if len(item.letters) > 24 else 0
    chart = page.chart(figure, alt=alt, min_width=least, max_width=max(width, least) if width else 0)
    return page.card(chart, *item.below, title=item.title, note=note)


def _figure(data: MediaData, values: np.ndarray, item: Item) -> "Figure":
    seen, letters = shares(data, item), item.letters
    if data.kind == "audio":
        return media_plots.audio(values, data.rate or 1.0, shares=seen, letters=letters)
    if data.kind == "strokes":
        return media_plots.strokes(values, shares=seen, letters=letters)
    if data.kind == "lines":
        return media_plots.line_image(values, letters=letters, shares=seen)
    draw = media_plots.frames if data.kind == "frames" else media_plots.skeleton
    return draw(values, rate=data.rate, shares=seen)


def _looked(data: MediaData, item: Item) -> str:
    """Where most of the attention went, in words."""
    seen = shares(data, item)
    if seen is None or len(seen) < 2:
        return ""
    parts = [(float(seen[part].sum()), part) for part in media_plots.stretches_of(len(seen))]
    most, part = max(parts, key=lambda pair: pair[0])
    if data.rate:
        each = int(data.steps[item.place]) / data.rate / len(seen)  # seconds
        where = f"{part[0] * each:.2f} to {(part[-1] + 1) * each:.2f} s"
    else:
        where = f"{UNITS[data.kind][1]} {part[0]} to {part[-1]}"
    return f" Most attention, {percent(most)}, to {where}."
