"""From data as read to encoded examples: split, fit the adapter on the training side, encode both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewise.data.adapter import SequenceAdapter
from gatewise.data.dataset import SequenceData
from gatewise.data.split import folds, split, split_notes
from gatewise.data.targets import Labels
from gatewise.errors import ConfigError
from gatewise.tasks import TARGETS, fit_adapter
from gatewise.training.config import Config, DataConfig
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
    train_data: SequenceData
    valid_data: SequenceData
    adapter: SequenceAdapter
    notes: list[str]


def prepare(data: SequenceData, valid: SequenceData | None, config: Config) -> Prepared:
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
    whole = TARGETS[config.task](data)
    if isinstance(whole, Labels):
        # All classes of the file are known, even one that a split by group or time leaves out of training.
        data = replace(data, classes=whole.classes)
    if valid is None:
        chosen, held_out = split_indices(data, config)
        notes = split_notes(data, chosen, held_out) if len(held_out) else []
        data, valid = data.subset(chosen), data.subset(held_out)
    elif config.data.folds is not None:
        raise ConfigError("data.folds: expected no validation file beside it, got one. Leave out one of the two.")
    adapter = fit_adapter(
        config.task, data, scale=config.data.scale, missing=config.data.missing, length=config.data.length
    )
    train_examples, valid_examples = adapter.encode(data), adapter.encode(valid)
    return Prepared(train_examples, valid_examples, data, valid, adapter, notes)


def split_indices(data: SequenceData, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Positions to learn from and to choose on: a pure function of the data and the settings."""
    way = _way(data, config.data)
    if config.data.valid_fraction == 0 and config.data.folds is None:
        return np.arange(len(data)), np.arange(0)
    if config.data.folds is not None:
        return folds(data, config.data.folds, by=way, seed=config.train.seed)[(config.data.fold or 1) - 1]
    return split(data, fraction=config.data.valid_fraction, by=way, seed=config.train.seed)


def _way(data: SequenceData, config: DataConfig) -> str | None:
    if config.split != "auto":
        return config.split
    return "group" if data.groups is not None else None
