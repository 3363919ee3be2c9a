"""A task: a flat record of functions. The training loop knows nothing else about what it trains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig
from gatewise.types import Batch, Example, Loss, Monitor, Outputs, Prediction, Results


@dataclass(frozen=True)
class Task:
    """What is learnt, and how it is measured.

    Attributes:
        name: as on the command line.
        collate: encoded examples to a padded batch; targets are None if the first example has none.
        build: a model, called as ``model(batch, state=None) -> Outputs``.
        loss: summed loss of a batch.
        predict: one answer a row; takes the model too, since some search with it (beam search).
        references: what the answers should have been, in their form.
        metrics: name to function of all results.
        monitor: the metric that decides which epoch was best.
    """

    name: str
    collate: Callable[[Sequence[Example]], Batch]
    build: Callable[[ModelConfig], nn.Module]
    loss: Callable[[Outputs, Batch], Loss]
    predict: Callable[[nn.Module, Batch, Outputs], list[Prediction]]
    references: Callable[[Batch], list[Any]]
    metrics: Mapping[str, Callable[[Results], float]]
    monitor: Monitor


@dataclass(frozen=True)
class LossConfig:
    """What the loss punishes. Each task reads its own."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  read by pydantic where settings are checked

    class_weights: Literal["none", "balanced"] = "none"
    """Balanced: an error in a rare class costs as much in total as in a common one (classification)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread over all classes (classification)."""
    missed_cost: Annotated[float, Field(ge=0, le=20)] = 0.0
    """Tagging with spans: what it costs more to miss a word of a span than to see one where there is none; above 0 more
    are found, and more of them are wrong."""
    error: Literal["squared", "absolute", "huber"] = "squared"
    """What a wrong value costs (regression)."""
    distribution: Literal["squared", "absolute", "huber", "quantile", "normal", "student-t", "negative-binomial"] = (
        "squared"
    )
    """What a forecast says of each value: a number alone (squared, absolute, huber: what an error costs), quantiles, a
    normal distribution, Student's t (for outliers), or negative binomial (for counts)."""
    unit: Literal["window", "channel"] = "window"
    """Errors of a forecast count in units of its window's deviation, or of its channel's in the training data
    (squared, absolute and quantile: what benchmarks measure, where all series are of one size)."""
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Which quantiles a forecast tells, ascending; not of numbers alone (forecasting)."""


def check_loss(config: LossConfig, task: str, *used: str) -> None:
    """Refuses settings that a task has no use for: one that does nothing is a mistake.

    Raises:
        ConfigError: names the first of them.
    """
    for setting in fields(config):
        value = getattr(config, setting.name)
        if setting.name not in used and value != setting.default:
            raise ConfigError(f"{task}: expected no loss.{setting.name}, got {value}. Leave it out.")
