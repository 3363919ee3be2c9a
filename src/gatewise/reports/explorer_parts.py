"""The explorer's records from arrays: packed values, lines, pictures, strips, the stretches of a trace, units."""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gatewise.inspection.layers import DIRECTIONS
from gatewise.inspection.trace import LayerTrace
from gatewise.inspection.units import UnitSummary
from gatewise.reports import pixels
from gatewise.reports.explorer import Layer, Lines, Order, Packed, Picture, Stretch, Strip
from gatewise.reports.words import percent

FINE, COARSE = 65535, 255
COLUMNS = 2000  # of a layer's steps that are shown; beyond, each is a mean
POINTS = 4000  # of a line
SHOWN = 6  # channels drawn to begin with
STRIPS = 12  # channels with a strip of their own
FILM = 12  # pictures of a clip
GATES = ("input_gate", "forget_gate", "output_gate")
STATES = ("candidate", "cell", "hidden")


def pack(values: np.ndarray, most: int, *, bounds: tuple[float, float] | None = None) -> Packed:
    """Values ``[R, N]`` as whole numbers; each row between its own lowest and highest, or all within ``bounds``.

    What is not finite becomes the lowest. An error is at most half of ``(hi - lo) / most``.

    Example:
        >>> pack(np.array([[0.0, 0.5, 1.0]]), 255, bounds=(0.0, 1.0)).d
        'AID/'
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    if bounds is None:
        known = np.isfinite(finite)
        low = np.where(known, finite, np.inf).min(axis=1, initial=np.inf)
        high = np.where(known, finite, -np.inf).max(axis=1, initial=-np.inf)
        low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
        # Rounded before they are used: what is written is then what was meant.
        low, high = _six(low - 1e-6 * np.abs(low)), _six(high + 1e-6 * np.abs(high))
    else:
        low, high = np.full(len(values), bounds[0]), np.full(len(values), bounds[1])
    width = np.where(high > low, high - low, 1.0)
    share = np.clip(np.nan_to_num((finite - low[:, None]) / width[:, None]), 0, 1)
    whole = (share * most + 0.5).astype("<u2" if most > COARSE else "u1")
    return Packed(
        base64.b64encode(np.ascontiguousarray(whole).tobytes()).decode("ascii"),
        bounds[0] if bounds else low.tolist(),
        bounds[1] if bounds else high.tolist(),
        most,
        *values.shape,
    )


def _six(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.6g}") for value in values])


def bins(steps: int, most: int = COLUMNS) -> int:
    """How many steps are one column, so that there are no more than ``most``.

    >>> bins(2000), bins(2001), bins(0)
    (1, 2, 1)
    """
    return max(1, -(-steps // most))


def means(values: np.ndarray, per: int) -> np.ndarray:
    """Means of ``per`` steps each of ``[T, ...]``, the last of what is left.

    >>> means(np.arange(5.0), 2).tolist()
    [0.5, 2.5, 4.0]
    """
    if per == 1 or not len(values):
        return values
    starts = np.arange(0, len(values), per)
    counts = np.minimum(per, len(values) - starts)
    return np.asarray(np.add.reduceat(values, starts, axis=0) / counts.reshape(-1, *[1] * (values.ndim - 1)))


def thinned(layer: LayerTrace, per: int) -> LayerTrace:
    """The first row of a trace, its padding left out, with the means of ``per`` steps each."""
    steps = int(layer.lengths[0])
    return _mapped(
        layer,
        lambda values: torch.from_numpy(means(values[0, :steps].double().numpy(), per)).float()[None],
        torch.tensor([-(-steps // per)]),
    )


def first_rows(layer: LayerTrace) -> LayerTrace:
    """The first row of a trace alone, without its padding."""
    steps = int(layer.lengths[0])
    return _mapped(layer, lambda values: values[:1, :steps], layer.lengths[:1])


def moved(layer: LayerTrace, device: torch.device) -> LayerTrace:
    """The same on another device."""
    return _mapped(layer, lambda values: values.to(device), layer.lengths.to(device))


def _mapped(layer: LayerTrace, change: Callable[[torch.Tensor], torch.Tensor], lengths: torch.Tensor) -> LayerTrace:
    fields: dict[str, Any] = {name: change(getattr(layer, name)) for name in (*GATES, *STATES)}
    return replace(layer, **fields, lengths=lengths)


def stretch(
    layer: LayerTrace,
    row: int,
    cover: tuple[float, float],
    most: int,
    *,
    jacobian: np.ndarray | None = None,
    per: int = 1,
) -> Stretch:
    """One row of a trace, packed.

    Args:
        layer: the trace.
        row: of ``B``.
        cover: the steps of the input that its real steps cover.
        most: the largest whole number.
        jacobian: the largest singular value of each step of the layer ``[D, T']``; None for none.
        per: steps of the layer of which each step of the trace is the mean (:func:`thinned`).
    """
    columns = int(layer.lengths[row])
    directions: list[dict[str, Packed | None]] = []
    for d in range(layer.cell.shape[2]):
        found: dict[str, Packed | None] = {}
        for name in (*GATES, *STATES):
            values = getattr(layer, name)[row, :columns, d].double().numpy().T
            found[name] = pack(values, most, bounds=(0.0, 1.0) if name in GATES else None)
        found["jacobian"] = None if jacobian is None else pack(means(jacobian[d], per)[None], FINE)
        directions.append(found)
    begin, end = cover
    return Stretch(begin, end, columns, per, directions)


def cost(layer: LayerTrace, row: int) -> int:
    """Values that a row of a layer puts on the page."""
    units = 5 * layer.cell.shape[-1] + layer.hidden.shape[-1]
    return int(layer.lengths[row]) * layer.cell.shape[2] * units


def layer_of(
    layer: LayerTrace, spans: dict[str, float], summary: UnitSummary | None, *, channels: Sequence[str] = ()
) -> Layer:
    """What is known of a layer beyond one sequence; ``channels`` names those of the input."""
    directions, units = layer.cell.shape[2:]
    orders = orders_of(summary, channels) if summary is not None else []
    orders.append(Order("index", "number", [list(range(units)) for _ in range(directions)]))
    half_life = habits = None
    if summary is not None:
        half_life = [[_life(value) for value in row] for row in summary.half_life.tolist()]
        habits = [[habit(summary, d, unit) for unit in range(units)] for d in range(directions)]
    return Layer(
        layer.name,
        list(DIRECTIONS[:directions]),
        units,
        layer.hidden.shape[-1],
        spans,
        orders,
        half_life,
        habits,
        zoneout=layer.zoneout,
    )


def _life(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def orders_of(summary: UnitSummary, channels: Sequence[str] = ()) -> list[Order]:
    """Units by what they do over the data set, the strongest first."""
    measures: list[tuple[str, str, np.ndarray]] = [
        ("half_life", "longest memory", summary.half_life),
        ("input_mean", "most open input gate", summary.input_mean),
        ("forget_mean", "most open forget gate", summary.forget_mean),
        ("output_mean", "most open output gate", summary.output_mean),
        ("cell_std", "how much the cell moves", summary.cell_std),
    ]
    if summary.with_input is not None and summary.with_input.shape[-1]:
        found = np.abs(np.nan_to_num(summary.with_input))
        measures.append(("with_input", "correlation with the input", found.max(-1)))
        if 1 < found.shape[-1] <= SHOWN:
            names = [*channels, *(str(k) for k in range(len(channels), found.shape[-1]))]
            measures += [(f"input-{k}", f"correlation with {names[k]}", found[..., k]) for k in range(found.shape[-1])]
    if summary.with_class is not None and summary.with_class.shape[-1]:
        found = np.abs(np.nan_to_num(summary.with_class))
        if found.shape[-1] > 2:
            measures.append(("with_class", "correlation with a class", found.max(-1)))
            shown = list(enumerate(summary.classes))[:40]
            measures += [(f"class-{k}", f"correlation with “{name}”", found[..., k]) for k, name in shown]
        else:
            measures.append(("with_class", "correlation with the class", found.max(-1)))
    return [
        Order(key, name, np.argsort(-np.nan_to_num(values, posinf=np.inf), axis=-1, kind="stable").tolist())
        for key, name, values in measures
    ]


def habit(summary: UnitSummary, direction: int, unit: int) -> str:
    """What a unit usually does, in a sentence."""
    at = (direction, unit)
    parts = [
        f"{name} open in {percent(float(wide[at]))} and shut in {percent(float(shut[at]))}"
        for name, wide, shut in (
            ("input gate", summary.input_open, summary.input_shut),
            ("forget gate", summary.forget_open, summary.forget_shut),
            ("output gate", summary.output_open, summary.output_shut),
        )
    ]
    words = f"Over the data set: {', '.join(parts)} of the steps (above 0.9, below 0.1)."
    if summary.with_class is not None and summary.classes:
        found = np.nan_to_num(summary.with_class[at])
        best = int(np.abs(found).argmax())
        words += f" Its mean cell goes with class “{summary.classes[best]}”: correlation {found[best]:+.2f}."
    return words.replace("-", "\N{MINUS SIGN}") if "correlation -" in words else words


def spans_of(layers: Sequence[LayerTrace]) -> dict[str, float]:
    """What gets the full colour: the size that all but one in two hundred values of the states have."""
    found = {}
    for name in STATES:
        values = [
            getattr(layer, name)[row, : int(layer.lengths[row])].abs().flatten()
            for layer in layers
            for row in range(len(layer.lengths))
        ]
        every = np.concatenate([value.numpy() for value in values]) if values else np.ones(1)
        size = float(np.quantile(every, 0.995)) if every.size else 1.0
        found[name] = 1.0 if name == "candidate" else float(f"{max(size, 1e-3):.2g}")
    return found


def lines_of(
    values: np.ndarray, names: Sequence[str], *, important: np.ndarray | None = None, unit: str = "value"
) -> Lines:
    """A series ``[T, I]`` as lines.

    Of more than :data:`POINTS` steps the lowest and the highest of each stretch are kept, so that no peak is lost.

    Args:
        values: NaN where missing.
        names: of the channels.
        important: of each channel ``[I]``; the most important are drawn to begin with. None: the first.
        unit: what the values are.
    """
    values = np.asarray(values, dtype=np.float64)
    places = None
    if len(values) > POINTS:
        values, places = _extremes(values)
    rows = values.T
    known = np.isfinite(rows)
    low = np.where(known, rows, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, rows, -np.inf).max(axis=1, initial=-np.inf)
    order = np.arange(len(rows)) if important is None else np.argsort(-important, kind="stable")
    missing = np.flatnonzero(~known.ravel()).tolist()
    return Lines(
        list(names),
        pack(rows, FINE),
        [float(f"{value:.6g}") if math.isfinite(value) else 0.0 for value in low],
        [float(f"{value:.6g}") if math.isfinite(value) else 0.0 for value in high],
        order[:SHOWN].tolist(),
        "the first" if important is None else "those that decided most",
        unit,
        places,
        missing or None,
    )


def _extremes(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Two points of each stretch, with the lowest and the highest of every channel."""
    edges = np.linspace(0, len(values), POINTS // 2 + 1).astype(int)[:-1]
    filled = np.where(np.isfinite(values), values, np.nan)
    low = np.fmin.reduceat(filled, edges, axis=0)
    high = np.fmax.reduceat(filled, edges, axis=0)
    widths = np.diff([*edges, len(values)])
    places = np.stack([edges + widths // 4, edges + 3 * widths // 4], axis=1).ravel()
    return np.stack([low, high], axis=1).reshape(-1, values.shape[1]), places.tolist()


def spectrogram(wave: np.ndarray, rate: float) -> Picture:
    """A recording's frequencies over time, low ones at the bottom, the louder the brighter."""
    found = pixels.spectrogram(wave, rate)
    share = (found.decibels + pixels.FLOOR) / pixels.FLOOR
    colours = _viridis()[(share[::-1] * 255).round().astype(int)]
    step = found.step * rate
    begin = found.start * rate - step / 2
    top = found.hertz[-1]
    high = f"{top / 1000:.2g} kHz" if top >= 1000 else f"{top:.0f} Hz"
    return Picture(pixels.data_uri(colours), begin, begin + step * colours.shape[1], high, f"{found.hertz[0]:.0f} Hz")


def _viridis() -> np.ndarray:
    """256 colours of viridis (Smith & van der Walt 2015), drawn through 17 of them."""
    written = (
        "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 "
        "d8e219 fde725"
    )
    stops = np.array([list(bytes.fromhex(one)) for one in written.split()], dtype=np.float64)
    places = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.interp(places, range(len(stops)), stops[:, k]) for k in range(3)], axis=1).round().astype("u1")


def film(frames: np.ndarray) -> Picture:
    """Frames ``[T, H, W, C]`` at even distances, side by side, each where its time is."""
    count = min(len(frames), FILM)
    edges = np.linspace(0, len(frames), count + 1)
    chosen = [pixels.smaller(frames[int((edges[k] + edges[k + 1]) / 2)], 72) for k in range(count)]
    whole = np.concatenate([np.pad(one, ((0, 0), (1, 1), (0, 0)), constant_values=128) for one in chosen], axis=1)
    return Picture(pixels.data_uri(whole), 0, len(frames), aspect=whole.shape[1] / whole.shape[0])


def ink(columns: np.ndarray) -> Picture:
    """A line of writing ``[T, height]``, 0 for paper to 1 for ink."""
    return Picture(
        pixels.data_uri((255 * (1 - np.clip(columns.T, 0, 1))).round().astype("u1")),
        0,
        len(columns),
        aspect=len(columns) / columns.shape[1],
    )


def strip(values: np.ndarray, names: Sequence[str], meaning: str, cover: tuple[float, float]) -> Strip:
    """Attributions ``[T]`` or ``[T, I]``: of several channels their sum, and those of the most important ones.

    ``cover``: the steps of the input that they stand for, evenly.
    """
    rows = values[None] if values.ndim == 1 else values.reshape(len(values), -1).T
    labels = ["decided"]
    if 1 < len(rows) == len(names):
        strongest = np.argsort(-np.abs(rows).sum(axis=1), kind="stable")[:STRIPS]
        if all(name.endswith(" Hz") for name in names):
            strongest = np.sort(strongest)[::-1]  # high ones at the top, as in a spectrogram
        labels = ["all", *(names[k] for k in strongest)]
        rows = np.concatenate([rows.sum(axis=0, keepdims=True), rows[strongest]])
    elif len(rows) > 1:
        rows = rows.sum(axis=0, keepdims=True)
    per = bins(rows.shape[1])
    size = np.abs(rows)
    most = float(np.quantile(size, 0.995)) if size.size else 0.0
    most = float(f"{(most or float(size.max(initial=0.0)) or 1.0):.4g}")
    return Strip(labels, pack(means(rows.T, per).T, FINE), bool((rows < 0).any()), most, meaning, *cover)
