"""From data as read to encoded examples: split, fit the adapter on the training side, encode both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewise.data.adapter import Adapter
from gatewise.data.media import MediaData
from gatewise.data.split import folds, split, split_notes
from gatewise.errors import ConfigError
from gatewise.tasks import SIDES, Data
from gatewise.training.config import Config
from gatewise.types import Example


@dataclass(frozen=True)
class Prepared:
    """All that a training takes.

    Attributes:
        train, valid: encoded examples.
        train_data, valid_data: the same sequences as read.
        adapter: fitted on ``train_data``.
        notes: what a user should know of the split.
    """

    train: Sequence[Example]
    valid: Sequence[Example]
    train_data: Data
    valid_data: Data
    adapter: Adapter
    notes: list[str]


def prepare(data: Data, valid: Data | None, config: Config) -> Prepared:
    """Splits (where no validation data are given), measures the training side, encodes.

    Args:
        data: all that may be learnt from.
        valid: data to choose the best epoch on, or None to take a part of ``data``.
        config: of the run.

    Returns:
        Examples and adapter.

    Raises:
        DataError: the data do not fit the task, or cannot be split.
        ConfigError: folds and validation data are both asked for.
    """
    notes: list[str] = []
    side = SIDES[config.task]
    if side.classes is not None:
        # All classes of the file are known, even one that a split by group or time leaves out of training.
        data = replace(data, classes=side.classes(data))
    if valid is None and side.cut is not None and _in_time(data, config):
        data, valid = side.cut(data, config.data)
    elif valid is None:
        chosen, held_out = split_indices(data, config)
        notes = split_notes(data, chosen, held_out) if len(held_out) and _usual(data, config) == "stratified" else []
        data, valid = data.subset(chosen), data.subset(held_out)
    elif config.data.folds is not None:
        raise ConfigError("data.folds: expected no validation file beside it, got one. Leave out one of the two.")
    adapter = side.fit(data, config.data)
    notes += adapter.notes(data)
    train_examples = adapter.encode(data)
    valid_examples = adapter.encode(valid) if len(valid) else []
    return Prepared(train_examples, valid_examples, data, valid, adapter, notes)


def _in_time(data: Data, config: Config) -> bool:
    """Whether validation data are the end of each series, rather than some of them."""
    held_out = config.data.valid_fraction > 0 or config.data.folds is not None
    return held_out and (config.data.split == "time" or (config.data.split == "auto" and data.groups is None))


def split_indices(data: Data, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Positions to learn from and to choose on: a pure function of the data and the settings."""
    way = _way(data, config)
    if config.data.valid_fraction == 0 and config.data.folds is None:
        return np.arange(len(data)), np.arange(0)
    if config.data.folds is not None:
        return folds(data, config.data.folds, by=way, seed=config.train.seed)[(config.data.fold or 1) - 1]
    return split(data, fraction=config.data.valid_fraction, by=way, seed=config.train.seed)


def _way(data: Data, config: Config) -> str:
    if config.data.split != "auto":
        return config.data.split
    return "group" if data.groups is not None else _usual(data, config)


def _usual(data: Data, config: Config) -> str:
    """How data of a task are split where nothing else is known of them."""
    way = SIDES[config.task].split
    transcripts = isinstance(data, MediaData) and data.texts
    return "random" if way == "stratified" and transcripts else way
