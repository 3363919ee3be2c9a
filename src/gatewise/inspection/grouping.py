"""What is drawn together when data are resampled: sequences, their groups, series, stretches of them or of a text."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewise.data.corpus import CorpusExamples
from gatewise.data.series import SeriesData
from gatewise.data.series_windows import Windows
from gatewise.tasks import Data

FEW_SERIES = 10  # with fewer, stretches of them are drawn
TOKENS = 512  # of a stretch of text, at least


class Clusters(NamedTuple):
    """What is resampled: what belongs together, often one sequence each.

    Attributes:
        of_runs: ``[N]`` int64 for each run, the cluster of each of its predictions, 0 to ``size - 1``.
        size: how many there are.
        words: what they are: ``"370 sequences"``.
    """

    of_runs: list[np.ndarray]
    size: int
    words: str

    @property
    def single(self) -> bool:
        """Whether each prediction is drawn by itself, so that one is independent of the next."""
        return self.size == len(self.of_runs[0])


def clusters_of(data: Data, examples: Sequence[Any]) -> Clusters:
    """What is independent of what, as far as the data tell.

    Steps of one text, and windows of one series, are alike, and so are the sequences of one group (a person): drawn one
    by one they would make every interval too narrow. A text is drawn in stretches of 512 tokens or more. Series are
    drawn whole; where there are fewer than ten, in stretches twice as long as the horizon, a block bootstrap.

    Args:
        data: as read; its groups say what belongs together.
        examples: the encoded data of each run.

    Returns:
        The clusters; the same ones for all runs, however these cut a text.
    """
    first = examples[0]
    if isinstance(first, CorpusExamples):
        step = math.lcm(*(one.steps for one in examples))
        step *= -(-TOKENS // step)
        return _named([np.arange(len(one)) * one.steps // step for one in examples], f"stretches of {step:,} tokens")
    if isinstance(first, Windows) and isinstance(data, SeriesData):
        found, words = _of_series(data, first)
        return _named([found] * len(examples), f"{words} ({len(first):,} windows)")
    if data.groups is not None:
        return _named([_codes(data.groups)] * len(examples), f"groups ({len(first):,} {data.noun})")
    return _named([np.arange(len(first))] * len(examples), data.noun)


def _of_series(data: SeriesData, windows: Windows) -> tuple[np.ndarray, str]:
    series, origins = windows.places.T
    if data.groups is not None and len(set(data.groups)) >= FEW_SERIES:
        return _codes(np.asarray(data.groups, dtype=str)[series]), "groups"
    if len(np.unique(series)) >= FEW_SERIES:
        return _codes(series), "series"
    steps = 2 * len(windows[0].reference)
    stretches = series * (int(origins.max()) + 1) + origins // steps
    return _codes(stretches), f"stretches of {steps:,} steps"


def _codes(names: Any) -> np.ndarray:
    """Names as numbers from 0."""
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1], dtype=np.int64)


def _named(of_runs: list[np.ndarray], noun: str) -> Clusters:
    count = int(of_runs[0].max()) + 1
    return Clusters(of_runs, count, f"{count:,} {noun if count != 1 else _singular(noun)}")


def _singular(noun: str) -> str:
    head, *rest = noun.split(" ")
    return " ".join([{"stretches": "stretch", "series": "series"}.get(head, head.removesuffix("s")), *rest])
