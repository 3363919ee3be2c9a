"""Numbers for a sequence: one, several, or some at every step."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from gatewise import losses, metrics
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.targets import Values
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build
from gatewise.models.sequence_model import BatchModel
from gatewise.sequences import mask_of_lengths
from gatewise.tasks.collate import with_values
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Loss, Monitor, Outputs, Prediction, Results

ERRORS = {"squared": losses.squared_error, "absolute": losses.absolute_error, "huber": losses.huber}


def regression(config: LossConfig, adapter: SequenceAdapter) -> Task:
    """The task of predicting numbers.

    Args:
        config: what a wrong value costs.
        adapter: fitted on the training data; its targets are values.

    Returns:
        The task; a prediction is a number, a list of K numbers, or such a list for each step.

    Raises:
        ConfigError: the adapter's targets are labels.
    """
    values = adapter.targets
    if not isinstance(values, Values):
        raise ConfigError("regression: expected numbers as targets, got class labels. Train a classification.")
    check_loss(config, "regression", "error")
    error = ERRORS[config.error]

    def build_model(model: ModelConfig) -> nn.Module:
        if values.per_step:
            if model.pool not in (None, "none"):
                raise ConfigError(
                    f'regression: expected pool "none" for an answer a step, got "{model.pool}". Leave model.pool out.'
                )
            model = replace(model, pool="none")
        elif model.pool == "none":
            raise ConfigError('regression: expected a pool for one answer a sequence, got "none". Choose mean or last.')
        return BatchModel(build(model, {"input_size": adapter.input_size, "num_classes": len(values.names)}))

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        mask = mask_of_lengths(outputs.lengths, outputs.scores.shape[1]) if values.per_step else None
        return error(outputs.scores, batch.targets, mask)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        return [Prediction(answer) for answer in _answers(values, outputs.scores, outputs.lengths)]

    def references(batch: Batch) -> list[object]:
        return [] if batch.targets is None else _answers(values, batch.targets, batch.lengths)

    return Task(
        name="regression",
        collate=with_values,
        build=build_model,
        loss=loss,
        predict=predict,
        references=references,
        metrics={
            "mse": _of_arrays(metrics.mse, values),
            "mae": _of_arrays(metrics.mae, values),
            "r2": _of_arrays(metrics.r2, values),
        },
        monitor=Monitor("mse", "min"),
    )


def _answers(values: Values, scaled: Tensor, lengths: Tensor) -> list[object]:
    """A number, ``[K]`` or ``[T][K]`` a row, in the units of the data; a single target needs no list."""
    decoded = values.decode(scaled.double().cpu().numpy())  # [B, K] or [B, T, K]
    if len(values.names) == 1:
        decoded = decoded[..., 0]
    if values.per_step:
        return [row[:length].tolist() for row, length in zip(decoded, lengths.tolist(), strict=True)]
    return decoded.tolist()  # type: ignore[no-any-return]


def _of_arrays(metric: Callable[[np.ndarray, np.ndarray], float], values: Values) -> Callable[[Results], float]:
    """Lifts a metric of ``[N, K]`` arrays to results; the steps of all sequences count alike."""

    def measure(results: Results) -> float:
        return metric(
            flatten([prediction.value for prediction in results.predictions], values),
            flatten(list(results.references), values),
        )

    return measure


def flatten(answers: list[object], values: Values) -> np.ndarray:
    """Answers of :func:`regression` as ``[N, K]``, or ``[steps, K]`` where they are one a step."""
    rows = [np.asarray(answer, dtype=np.float64).reshape(-1, len(values.names)) for answer in answers]
    return np.concatenate(rows)
