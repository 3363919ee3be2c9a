"""The tasks, spelled out: a name, the function that makes the task, the function that fits its adapter."""

from collections.abc import Callable
from dataclasses import replace

from gatewise.data.adapter import SequenceAdapter
from gatewise.data.dataset import SequenceData
from gatewise.data.scaling import Scaler
from gatewise.data.targets import Labels, Values
from gatewise.models.config import ModelConfig
from gatewise.tasks.classification import classification
from gatewise.tasks.regression import regression
from gatewise.tasks.task import LossConfig, Task

TASKS = {"classification": classification, "regression": regression}
# How each task measures its targets.
TARGETS: dict[str, Callable[[SequenceData], Labels | Values]] = {"classification": Labels.fit, "regression": Values.fit}


def fit_adapter(
    task: str, data: SequenceData, *, scale: str = "channel", missing: str = "mean", length: int | None = None
) -> SequenceAdapter:
    """Measures training data for a task: how to scale them, which classes or values there are.

    Args:
        task: its name.
        data: training data only.
        scale: ``"channel"``, ``"sequence"`` or ``"none"``, as in :class:`gatewise.data.scaling.Scaler`.
        missing: ``"mean"``, ``"previous"`` or ``"indicator"``, likewise.
        length: steps to cut or pad every sequence to, or None.

    Returns:
        What a model of this task needs to know of its data.

    Raises:
        DataError: the data do not fit the task.
    """
    inputs = Scaler.fit(data, mode=scale, missing=missing, length=length)
    return SequenceAdapter(inputs, TARGETS[task](data))


def fit_model(config: ModelConfig, adapter: SequenceAdapter) -> ModelConfig:
    """What the data decide of a model that the settings leave open: an answer a step needs every step kept."""
    if isinstance(adapter.targets, Values) and adapter.targets.per_step and config.pool is None:
        return replace(config, pool="none")
    return config


__all__ = ["TARGETS", "TASKS", "LossConfig", "Task", "classification", "fit_adapter", "fit_model", "regression"]
