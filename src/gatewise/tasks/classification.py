"""One class per sequence."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from gatewise import losses, metrics
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.targets import Labels
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build
from gatewise.models.sequence_model import BatchModel
from gatewise.tasks.collate import with_labels
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Example, Loss, Monitor, Outputs, Prediction, Results


def classification(config: LossConfig, adapter: SequenceAdapter) -> Task:
    """The task of telling classes apart.

    Args:
        config: class weights and label smoothing.
        adapter: fitted on the training data; its targets are labels.

    Returns:
        The task; its predictions are labels with the probability of each class.

    Raises:
        ConfigError: the adapter's targets are numbers.
    """
    labels = adapter.labels
    if labels is None:
        raise ConfigError("classification: expected class labels as targets, got numbers. Train a regression.")
    sizes = {"input_size": adapter.input_size, "num_classes": len(labels.classes)}

    def build_model(model: ModelConfig) -> nn.Module:
        if model.pool == "none":
            raise ConfigError('classification: expected a pool, got "none". Choose last, mean, max or attention.')
        return BatchModel(build(model, sizes))

    return of_labels("classification", config, labels, with_labels, build_model)


def of_labels(
    name: str,
    config: LossConfig,
    labels: Labels,
    collate: Callable[[Sequence[Example]], Batch],
    build_model: Callable[[ModelConfig], nn.Module],
) -> Task:
    """A task with one class a sequence, whatever the sequences are made of."""
    check_loss(config, name, "class_weights", "label_smoothing")
    class_weights = torch.tensor(labels.balanced_weights()) if config.class_weights == "balanced" else None

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        weights = None if class_weights is None else class_weights.to(outputs.scores.device)
        return losses.cross_entropy(outputs.scores, batch.targets, weights=weights, smoothing=config.label_smoothing)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        rows = outputs.scores.cpu().double().softmax(-1).tolist()
        attention = shares(outputs, batch)
        return [
            Prediction(labels.decode(labels.decide(row)), row, share)
            for row, share in zip(rows, attention, strict=True)
        ]

    def references(batch: Batch) -> list[str]:
        return [] if batch.targets is None else [labels.decode(number) for number in batch.targets.tolist()]

    return Task(
        name=name,
        collate=collate,
        build=build_model,
        loss=loss,
        predict=predict,
        references=references,
        metrics=_metrics(labels),
        monitor=Monitor("accuracy" if class_weights is None else "balanced_accuracy", "max"),
    )


def shares(outputs: Outputs, batch: Batch) -> list[np.ndarray | None]:
    """What share each real step of a row has in its answer ``[T]``, of sound each frame; None without attention.

    Arrays: lists of numbers would take eight times the memory.
    """
    if outputs.attention is None:
        return [None] * len(batch.lengths)
    lengths = batch.lengths if outputs.attended is None else outputs.attended
    rows = zip(outputs.attention.detach().float().cpu().numpy(), lengths.tolist(), strict=True)
    return [row[:length].copy() for row, length in rows]


def _metrics(labels: Labels) -> dict[str, Callable[[Results], float]]:
    number = {label: k for k, label in enumerate(labels.classes)}

    def of_numbers(metric: Callable[[Sequence[int], Sequence[int], int], float]) -> Callable[[Results], float]:
        def measure(results: Results) -> float:
            predicted = [number[prediction.value] for prediction in results.predictions]
            return metric(predicted, [number[label] for label in results.references], len(number))

        return measure

    def auroc(results: Results) -> float:
        positive = [prediction.probabilities[1] for prediction in results.predictions if prediction.probabilities]
        return metrics.auroc(positive, [number[label] for label in results.references])

    chosen = {
        "accuracy": of_numbers(metrics.accuracy),
        "balanced_accuracy": of_numbers(metrics.balanced_accuracy),
        "f1": of_numbers(metrics.f1),
    }
    return {**chosen, "auroc": auroc} if len(number) == 2 else chosen
