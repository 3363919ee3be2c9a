"""A sequence as the explorer shows it, whatever it is: lines, tokens, a spectrogram, frames."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gatewise.api.explorer_sample import Looked
from gatewise.api.steps import as_read, step_names
from gatewise.api.tracing import RunTrace
from gatewise.data.corpus import CorpusAdapter, Surprisal
from gatewise.data.media import MediaData
from gatewise.data.text import TextData
from gatewise.nn.spectrogram import LogMel, trimmed
from gatewise.reports import explorer_parts as parts
from gatewise.reports.explorer import Item, Kind, Lines, Picture, Strip
from gatewise.reports.shading import visible
from gatewise.tasks import Data

if TYPE_CHECKING:
    from gatewise.api.run import Run

STRETCH = 600  # points of an example's line
LINES = 3  # channels of it
PEN = ("x", "y", "pen lifted")


class Shown(NamedTuple):
    """What the axis of a sequence is, and what is drawn of it; see :class:`~gatewise.reports.explorer.Row`.

    ``explained``: the steps of the input that an explanation, and of sound the layers too, stand for: of a recording
    whose quiet ends were left out not all of them.
    """

    steps: int
    unit: str
    names: list[str] | None
    rate: float | None
    channels: tuple[str, ...]
    explained: tuple[float, float]
    lines: Lines | None = None
    picture: Picture | None = None
    surprise: Strip | None = None


def kind_of(data: Data) -> Kind:
    """What a sequence of these data is to the eye."""
    if isinstance(data, TextData):
        return "tokens"
    if isinstance(data, MediaData):
        return "sound" if data.kind == "audio" else "pictures" if data.kind in ("lines", "frames") else "numbers"
    return "numbers"


def shown_of(run: "Run", data: Data, row: int, found: RunTrace, explanation: Any) -> Shown:
    """One sequence of the data, to be drawn.

    Args:
        run: whose data side it is.
        data: as read.
        row: which of them.
        found: its trace.
        explanation: what decided; None where nobody can say.
    """
    steps = int(found.trace.lengths[0])
    if isinstance(data, TextData):
        names = [visible(name) for name in found.axis[0]]
        return Shown(
            steps, "character" if _characters(run) else "token", names, None, (), (0, steps), surprise=_surprise(found)
        )
    important = None
    if explanation is not None and explanation.attribution.values.ndim == 2:
        important = np.abs(explanation.attribution.values).sum(0)
    if isinstance(data, MediaData):
        return _medium(run, data, data.items[row], steps)
    values = np.asarray(found.inputs[0], dtype=np.float64).reshape(steps, -1)
    channels = _channels(run, values.shape[1])
    if important is not None and len(important) != len(channels):
        important = None
    names = found.axis[0]
    plain = names == [str(step) for step in range(steps)]
    lines = parts.lines_of(values, channels, important=important)
    return Shown(steps, "step", None if plain else list(names), None, channels, (0, steps), lines)


def _characters(run: "Run") -> bool:
    found = getattr(run.adapter, "vocabulary", None)
    return found is not None and found.unit == "characters"


def _channels(run: "Run", count: int) -> tuple[str, ...]:
    """Names of the columns of what the model read."""
    adapter: Any = run.adapter
    names: tuple[str, ...] = ()
    if hasattr(adapter, "inputs"):
        names = tuple(adapter.inputs.channels)
    elif hasattr(adapter, "names"):
        names = (*adapter.names, *adapter.past.names, *adapter.future.names)
    return (*names, *(f"column {k}" for k in range(len(names), count)))[:count]


def _medium(run: "Run", data: MediaData, item: np.ndarray, steps: int) -> Shown:
    rate = data.rate
    whole = (0.0, float(steps))
    if data.kind == "audio":
        wave = np.nan_to_num(np.asarray(item, dtype=np.float64))
        picture = parts.spectrogram(wave, rate or 1.0)
        lines = parts.lines_of(wave[:, None], ("sound",), unit="")
        return Shown(steps, "sample", None, rate, (), heard(run, item), lines, picture)
    if data.kind == "frames":
        return Shown(steps, "frame", None, rate, (), whole, picture=parts.film(item))
    if data.kind == "lines":
        return Shown(steps, "column", None, None, (), whole, picture=parts.ink(item))
    if data.kind == "strokes":
        return Shown(steps, "point", None, None, PEN, whole, parts.lines_of(item, PEN, unit="place"))
    joints = np.asarray(item, dtype=np.float64).reshape(len(item), -1)
    names = tuple(f"joint {k} {axis}" for k in range(joints.shape[1] // 3) for axis in "xyz")
    spread = np.nan_to_num(joints).std(0)
    return Shown(
        steps, "frame", None, rate, names, whole, parts.lines_of(joints, names, important=spread, unit="place")
    )


def heard(run: "Run", wave: np.ndarray) -> tuple[float, float]:
    """The samples of a recording that its frames stand for: all, but for quiet ends where a model leaves them out."""
    mel = next((part for part in run.model.modules() if isinstance(part, LogMel)), None)
    if mel is None or not mel.trim or len(wave) < mel.window_size:
        return 0.0, float(len(wave))
    x = torch.from_numpy(np.nan_to_num(np.asarray(wave, dtype=np.float32))).to(mel.window)
    x = x / x.square().mean().sqrt().clamp(min=1e-8)
    frames = mel.log_energies(x.unfold(0, mel.window_size, mel.hop_size))[None]
    kept, count = trimmed(frames, None, mel.trim)
    first = int((frames[0] == kept[0, 0]).all(1).nonzero()[0])
    begin = first * mel.hop_size + (mel.window_size - mel.hop_size) / 2
    return max(begin, 0.0), min(begin + int(count) * mel.hop_size, float(len(wave)))


def _surprise(found: RunTrace) -> Strip | None:
    """Of a language model, what each character cost to be told, under the one that came before it."""
    value = found.predictions[0].value
    if not isinstance(value, Surprisal) or not len(value.bits):
        return None
    meaning = "Under each token, how surprising the one after it was, in bits: the brighter, the less it was expected."
    bits = np.asarray(value.bits, dtype=np.float64)
    return replace(parts.strip(bits, (), meaning, (0, len(bits))), names=["surprise"], diverging=False)


def item_of(run: "Run", looked: Looked, place: int) -> Item:
    """A sequence of the sample, of which stretches are shown.

    Args:
        run: whose data side it is.
        looked: at the sample.
        place: of the sequence in it.
    """
    row, data, example = looked.rows[place], looked.sample, looked.examples[place]
    of_text = isinstance(run.adapter, CorpusAdapter)
    name = f"stretch {row}" if of_text else f"row {row}"
    truth = looked.results.references[place] if looked.results.references else None
    truth = truth if isinstance(truth, str) and len(truth) < 40 else ""
    one = data if of_text else data.subset([place])
    if isinstance(data, TextData):
        names = [visible(token) for token in step_names(run, one, example, None)]
        return Item(row, name, truth, example.steps, names=names)
    if isinstance(data, MediaData):
        rate = data.rate if data.kind == "audio" else None
        return Item(row, name, truth, example.steps, rate, packed=parts.pack(_sketch(data, place), parts.COARSE))
    values = np.nan_to_num(np.asarray(as_read(run, one, example), dtype=np.float64))[:, :LINES]
    per = parts.bins(len(values), STRETCH)
    return Item(row, name, truth, example.steps, packed=parts.pack(parts.means(values, per).T, parts.COARSE))


def _sketch(data: MediaData, place: int) -> np.ndarray:
    """A line or two of a recording, drawing or film: loudness, place of the pen, brightness, place of a joint."""
    item = np.nan_to_num(np.asarray(data.items[place], dtype=np.float64))
    per = parts.bins(len(item), STRETCH)
    if data.kind == "audio":
        values = np.sqrt(parts.means(item[:, None] ** 2, per))
    elif data.kind == "strokes":
        values = parts.means(item[:, :2], per)
    elif data.kind == "skeletons":
        values = parts.means(item.reshape(len(item), -1)[:, :LINES], per)
    else:
        values = parts.means(item.reshape(len(item), -1).mean(1, keepdims=True), per)
    return np.ascontiguousarray(values.T)
