"""What the steps of a sequence and their features are called, and what stands there."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gatewise.data.corpus import CorpusAdapter
from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.pair_adapter import PairAdapter
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.tagging_adapter import TaggingAdapter
from gatewise.data.text import TextData
from gatewise.data.text_adapters import TextAdapter
from gatewise.inspection.entries import Entry
from gatewise.nn.spectrogram import LogMel
from gatewise.sequences import EOS
from gatewise.tasks import Data
from gatewise.types import Example

if TYPE_CHECKING:
    from gatewise.api.run import Run


def step_names(run: "Run", data: Data, example: Example, entry: Entry | None) -> list[str]:
    """The name of each step of an entry, or of the input where there is none: tokens, times, numbers.

    Args:
        run: the run.
        data: the one sequence as read; of a language model all of the text.
        example: the same as the model takes it.
        entry: where its attributions are.
    """
    adapter: Any = run.adapter
    if entry is not None and entry.of in ("points", "frames"):
        count = len(entry.x)
        return _times_of_frames(run, example, count) if entry.of == "frames" else [f"point {k}" for k in range(count)]
    if isinstance(adapter, CorpusAdapter):
        return [_visible(adapter.vocabulary.shown[number]) for number in example.input]
    if isinstance(adapter, TextAdapter | TaggingAdapter | PairAdapter):
        return _tokens(adapter, data, example)
    if isinstance(adapter, SeriesAdapter):
        return _times_of_steps(adapter, data, example)
    if isinstance(adapter, MediaAdapter) and adapter.rate:
        return [f"{step / adapter.rate:.4g} s" for step in range(example.steps)]
    return [str(step) for step in range(example.steps)]


def as_read(run: "Run", data: Data, example: Example) -> np.ndarray:
    """What stands at each step, ``[T, I]`` in units of the data, or token numbers ``[T]``; items of media as read."""
    adapter: Any = run.adapter
    if isinstance(adapter, SequenceAdapter):
        sequence = data.sequences[0][: example.steps]  # type: ignore[union-attr]
        missing = example.steps - len(sequence)  # steps put on to a fixed length
        return np.pad(np.asarray(sequence, dtype=np.float64), ((0, missing), (0, 0)), constant_values=np.nan)
    if isinstance(adapter, SeriesAdapter):
        window, count = example.input, adapter.num_channels
        values = np.where(window.past[:, count : 2 * count] > 0, window.past[:, :count], np.nan)
        covariates = window.past[:, columns_of_past(adapter)[count:]]
        return np.concatenate([values * window.scale + window.loc, covariates], axis=1)
    if isinstance(adapter, TaggingAdapter):
        return np.asarray(example.input.words)
    return np.asarray(example.input)


def columns_of_past(adapter: SeriesAdapter) -> list[int]:
    """Which columns of a window's past are values and covariates: neither marks nor the calendar."""
    marks = range(adapter.num_channels, 2 * adapter.num_channels)
    until = adapter.input_size - 2 * len(adapter.calendar)
    return [column for column in range(until) if column not in marks]


def columns_of(run: "Run", entry: Entry) -> tuple[tuple[str, ...], list[int]]:
    """Names of the features of an entry and their columns; no names where they have none."""
    adapter: Any = run.adapter
    if isinstance(adapter, SeriesAdapter):
        return (*adapter.names, *adapter.past.names, *adapter.future.names), columns_of_past(adapter)
    every = list(range(entry.x.shape[-1]))
    if isinstance(adapter, SequenceAdapter):
        channels = adapter.inputs.channels
        marks = [f"{name} missing" for name in channels] if adapter.inputs.missing == "indicator" else []
        return (*channels, *marks), every
    if entry.of == "frames":
        return tuple(f"{centre:.0f} Hz" for centre in _mel_of(run.model).centres.tolist()), every
    return (), every


def baseline_of(run: "Run", entry: Entry) -> torch.Tensor:
    """The entry's own baseline, but for what the data's side knows better."""
    adapter: Any = run.adapter
    baseline = entry.baseline.clone()
    if isinstance(adapter, SequenceAdapter) and adapter.inputs.mode == "none":  # zero is then no mean
        means = torch.tensor(adapter.inputs.mean, dtype=baseline.dtype, device=baseline.device)
        baseline[:, : len(means)] = means
    if isinstance(adapter, SeriesAdapter) and adapter.calendar:  # there is no time without an hour
        cycles = 2 * len(adapter.calendar)
        baseline[:, -cycles:] = entry.x[:, -cycles:]
    return baseline


def _tokens(adapter: TextAdapter | TaggingAdapter | PairAdapter, data: Data, example: Example) -> list[str]:
    """As they are spelt in the text; what is put after its end is shown as such."""
    vocabulary = {TextAdapter: "vocabulary", TaggingAdapter: "words", PairAdapter: "source"}[type(adapter)]
    known: Any = getattr(adapter, vocabulary)
    assert isinstance(data, TextData)
    spelt = known.pieces(data.texts[0])[: example.steps]
    return [_visible(token) for token in spelt] + [known.shown[EOS]] * (example.steps - len(spelt))


def _visible(token: str) -> str:
    return token.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}") or token


def _times_of_steps(adapter: SeriesAdapter, data: Any, example: Example) -> list[str]:
    steps, until = example.steps, len(data.values[0])
    times = adapter.times(data, 0, until)[-steps:]
    before = steps - len(times)  # the window reaches back before the series begins
    if times.dtype.kind != "M":
        return [""] * before + [str(time) for time in times.tolist()]
    unit = next(unit for unit in ("D", "m", "s", "ns") if bool((times == times.astype(f"datetime64[{unit}]")).all()))
    return [""] * before + [str(time).replace("T", " ") for time in times.astype(f"datetime64[{unit}]")]


def _times_of_frames(run: "Run", example: Example, count: int) -> list[str]:
    """The middle of each frame in seconds."""
    mel = _mel_of(run.model)
    first = _first_frame(mel, example, count)
    middles = ((first + np.arange(count)) * mel.hop_size + mel.window_size / 2) / mel.sample_rate
    return [f"{middle:.3f} s" for middle in middles]


@torch.no_grad()
def _first_frame(mel: LogMel, example: Example, count: int) -> int:
    """How many quiet frames at the beginning were left out."""
    if not mel.trim:
        return 0
    samples = torch.from_numpy(example.input)[None].to(mel.window)
    left, whole = mel(samples)[0][0, :count], copy.copy(mel)
    whole.trim = 0.0
    every = whole(samples)[0][0]
    places = range(len(every) - count + 1)
    # Each recording is normalised over what is left of it: frames are alike, not equal.
    return min(places, key=lambda place: float((every[place : place + count] - left).std(0).sum()), default=0)


def _mel_of(model: nn.Module) -> LogMel:
    return next(part for part in model.modules() if isinstance(part, LogMel))
