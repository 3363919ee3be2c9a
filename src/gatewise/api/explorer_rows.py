"""A sequence of the explorer: its trace, what decided, and all that the page says of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gatewise.api.explorer_items import Shown, kind_of, shown_of
from gatewise.api.memory import Memory
from gatewise.api.tracing import RunTrace
from gatewise.data.corpus import CorpusAdapter
from gatewise.errors import GatewiseError
from gatewise.inspection.jacobian import jacobian_spectrum
from gatewise.inspection.layers import layer_called
from gatewise.inspection.trace import LayerTrace
from gatewise.reports import explorer_parts as parts
from gatewise.reports import explorer_words as words
from gatewise.reports.explorer import Kind, Row, Strip
from gatewise.tasks import Data
from gatewise.types import Prediction

if TYPE_CHECKING:
    from gatewise.api.run import Run

MINUS = "\N{MINUS SIGN}"
WORK = 3e9  # of the Jacobians of a sequence: steps times the cube of the size of the state


@dataclass(frozen=True)
class Traced:
    """A sequence with what was found of it; ``layers`` are thinned, ``per`` steps a column."""

    row: int
    run: RunTrace
    layers: list[LayerTrace]
    per: list[int]
    covers: list[tuple[float, float]]
    jacobians: list[np.ndarray | None]
    explanation: Any
    shown: Shown
    reference: Any


def traced(run: "Run", data: Data, row: int, left_out: dict[str, str]) -> Traced:
    """Traces and explains a sequence; what cannot be had is put into ``left_out``, by part of the page, in words."""
    found = run.trace(data, rows=[row])
    explanation = None
    try:
        explanation = run.explain(data, row=row, step=_asked(found))
    except GatewiseError as error:
        left_out["explanation"] = f"Which parts decided is not told here: {error}"
    layers, per, covers, jacobians = [], [], [], []
    for k, layer in enumerate(found.trace.layers):
        if layer.repeats > 1:
            left_out["channels"] = "The model reads each channel by itself; gates and cells are those of the first one."
        cover = found.trace.covers(k, 0)
        covers.append((float(cover[0, 0]), float(cover[-1, 1])) if len(cover) else (0.0, 1.0))
        jacobians.append(_jacobian(run, layer, left_out))
        per.append(parts.bins(int(layer.lengths[0])))
        layers.append(parts.thinned(layer, per[-1]))
    shown = shown_of(run, data, row, found, explanation)
    if kind_of(data) == "sound":  # quiet ends may have been left out
        covers = [shown.explained] * len(covers)
    reference = next(iter(found.references or []), None)
    return Traced(row, found, layers, per, covers, jacobians, explanation, shown, reference)


def _asked(found: RunTrace) -> int | None:
    """Where every step has an answer, the one to explain: a wrong one, a tag that says something, the middle."""
    value = found.predictions[0].value
    if not isinstance(value, list) or len(value) != int(found.trace.lengths[0]):
        return None
    truth = (found.references or [None])[0]
    if truth is not None and value and isinstance(value[0], str):
        wrong = [step for step, (one, other) in enumerate(zip(value, truth, strict=True)) if one != other]
        if wrong:
            return wrong[0]
    said = [step for step, one in enumerate(value) if isinstance(one, str) and one != "O"]
    return said[0] if said else len(value) // 2


def _jacobian(run: "Run", layer: LayerTrace, left_out: dict[str, str]) -> np.ndarray | None:
    """The largest singular value of each step ``[D, T']`` of the first row, where it can be had in a second or two."""
    steps, size = int(layer.lengths[0]), layer.cell.shape[-1] + layer.hidden.shape[-1]
    if layer.first or steps * layer.cell.shape[2] * size**3 > WORK:
        left_out["jacobian"] = (
            f"The Jacobian of each step is left out: {steps:,} steps of {size:,} values would take minutes."
        )
        return None
    lstm, number = layer_called(run.model, layer.name)
    with torch.no_grad():
        one = parts.first_rows(layer)
        device = next(lstm.parameters()).device
        values = jacobian_spectrum(parts.moved(one, device), lstm.cell.without_dropout(), lstm.weights()[number])
    return np.asarray(values[0, :steps].T.cpu().numpy())


def row_of(run: "Run", one: Traced, kind: Kind, most: int, memory: Memory | None) -> Row:
    """All that the page says of a sequence; ``most`` is the largest whole number of the packed values."""
    prediction: Prediction = one.run.predictions[0]
    said = words.told(prediction, one.reference)
    shown, explanation = one.shown, one.explanation
    facts, why, strips = list(said.facts), [], []
    start, stretch = shown.steps // 2, None
    if explanation is not None:
        each = explanation.per_step
        names = shown.names if kind == "tokens" and shown.names and len(each) == len(shown.names) else None
        target = explanation.attribution.target
        cover = shown.explained
        why.append(words.decided(each, names, shown.unit, target=target, rate=shown.rate, cover=cover))
        strips.append(_strip(explanation, shown))
        stretch = words.decisive(each, cover) if kind != "tokens" else None
        start = int(np.interp(int(np.abs(each).argmax()) + 0.5, [0, len(each)], cover))
    if shown.surprise is not None:
        strips.append(shown.surprise)
    if kind == "tokens" and isinstance(prediction.value, list) and shown.names:
        why.append(words.tagged(shown.names, prediction.value, one.reference))
    if memory is not None:
        facts.append(_remembers(memory))
        why.append(memory.words)
    layers = [
        parts.stretch(layer, 0, cover, most, jacobian=jacobian, per=per)
        for layer, cover, jacobian, per in zip(one.layers, one.covers, one.jacobians, one.per, strict=True)
    ]
    return Row(
        row=one.row,
        label=f"{one.row}: {said.short}{f' ({said.verdict})' if said.verdict else ''}",
        facts=facts,
        why=why,
        verdict=said.verdict,
        right=said.right,
        steps=shown.steps,
        unit=shown.unit,
        names=shown.names,
        rate=shown.rate,
        start=min(start, shown.steps - 1),
        decisive=stretch,
        carried=isinstance(run.adapter, CorpusAdapter) and one.row > 0,
        lines=shown.lines,
        picture=shown.picture,
        strips=strips,
        layers=layers,
    )


def _strip(explanation: Any, shown: Shown) -> Strip:
    found = explanation.attribution
    begin, end = (f"{value:.3g}".replace("-", MINUS) for value in (found.score - found.difference, found.score))
    meaning = (
        f"The strip is {found.method.replace('-', ' ')}: what each part adds to {found.target}, orange for it and blue "
        f"against it, from {begin} with nothing in the input to {end}."
    )
    if shown.explained != (0, shown.steps):
        meaning += " Where nothing is drawn, at the ends, it is quiet, and the model does not listen."
    return parts.strip(found.values, explanation.features, meaning, shown.explained)


def _remembers(memory: Memory) -> tuple[str, str, str]:
    """The card on memory: how near half of what decides lies."""
    main = memory.horizon
    if not main.scale > 0:
        return ("Memory", "none", "nothing in the input moves the answer")
    near = {"end": "of the end", "ends": "of either end", "forecast": "before the forecast"}.get(main.name, "back")
    half, ninety = (f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in (main.half, main.ninety))
    return (
        "Memory",
        f"{half} {memory.unit}s",
        f"half of what decides lies within so many {near}, nine tenths within {ninety}",
    )
