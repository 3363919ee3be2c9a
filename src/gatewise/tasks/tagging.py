"""One tag per word: parts of speech, names of people and places."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gatewise import losses, metrics
from gatewise.data.text_adapters import TaggingAdapter
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build, resolve
from gatewise.models.sequence_model import BatchModel
from gatewise.nn.crf import bio_transitions, log_partition, marginals, sequence_score, viterbi
from gatewise.tasks.collate import words_with_tags
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.tasks.text_classification import begin_with
from gatewise.types import Batch, Loss, Monitor, Outputs, Prediction, Results


def tagging(config: LossConfig, adapter: TaggingAdapter) -> Task:
    """The task of tagging words.

    Args:
        config: label smoothing, where there is no conditional random field; the cost of what is missed.
        adapter: fitted on the training data.

    Returns:
        The task; a prediction is a list of tags, one a word, its probabilities those of the tags given. Tags in the BIO
        scheme (``B-person``, ``I-person``, ``O``) are measured as spans too, and only sequences of tags that the scheme
        allows are answered by a conditional random field.

    Raises:
        ConfigError: settings that are for other tasks.
    """
    check_loss(config, "tagging", "label_smoothing", "missed_cost")
    tags = adapter.tags
    spans = metrics.has_spans(tags)
    outside = tags.index("O") if "O" in tags else None
    if config.missed_cost and (not spans or outside is None):
        raise ConfigError(
            f"tagging: expected no loss.missed_cost for tags that are no spans, got {config.missed_cost}. Leave it out."
        )

    def build_model(model: ModelConfig) -> nn.Module:
        if resolve(model).crf and config.label_smoothing:
            raise ConfigError(
                f"tagging: expected no loss.label_smoothing with model.crf, got {config.label_smoothing}. "
                "Leave it out, or set model.crf to false."
            )
        sizes = {
            "vocabulary_size": len(adapter.words),
            "num_characters": len(adapter.characters),
            "num_tags": len(tags),
            "allowed": bio_transitions(tags) if spans else None,
        }
        built = build(model, sizes)
        begin_with(built, adapter.vectors)
        return BatchModel(built)

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        scores = outputs.scores
        if config.missed_cost and outside is not None:
            scores = with_cost(scores, batch.targets, config.missed_cost, outside)
        if scores.ndim == 4:
            total = log_partition(scores, batch.lengths).sum()
            total = total - sequence_score(scores, batch.targets, batch.lengths).sum()
            return Loss(total, batch.lengths.sum())
        return losses.token_cross_entropy(scores, batch.targets, batch.lengths, smoothing=config.label_smoothing)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        scores, lengths = outputs.scores, batch.lengths
        if scores.ndim == 4:
            best, chances = viterbi(scores, lengths), marginals(scores, lengths)
        else:
            best, chances = _trimmed(scores.argmax(-1), lengths), scores.cpu().double().softmax(-1)
        return [
            Prediction([tags[number] for number in row], [chance[t][number] for t, number in enumerate(row)])
            for row, chance in zip(best, chances.tolist(), strict=True)
        ]

    def references(batch: Batch) -> list[list[str]]:
        if batch.targets is None:
            return []
        return [[tags[number] for number in row] for row in _trimmed(batch.targets, batch.lengths)]

    measures: dict[str, Callable[[Results], float]] = {"accuracy": _accuracy}
    if spans:
        measures = {"f1": _span_f1, **measures}
    return Task(
        name="tagging",
        collate=words_with_tags,
        build=build_model,
        loss=loss,
        predict=predict,
        references=references,
        metrics=measures,
        monitor=Monitor("f1" if spans else "accuracy", "max"),
    )


def with_cost(scores: Tensor, targets: Tensor, cost: float, outside: int) -> Tensor:
    """Scores in whose light to learn: the tag of no span is rated higher wherever there is one.

    A model must then prefer the span by ``cost`` more, and so finds more of them. The score of the right tags is as it
    was, since they never are ``O`` there: a softmax-margin (Gimpel & Smith 2010) with a cost for what is missed alone
    (Mohit et al. 2012).

    Args:
        scores: ``[B, T, K]``, or ``[B, T, K, K]`` of a conditional random field.
        targets: ``[B, T]``, right tags.
        cost: added, in nats.
        outside: number of the tag ``O``.

    Returns:
        Scores of the same shape.
    """
    raised = torch.zeros_like(scores)
    raised[..., outside] = cost
    within = (targets != outside).view(*targets.shape, *[1] * (scores.ndim - 2))
    return scores + raised * within


def _trimmed(numbers: Tensor, lengths: Tensor) -> list[list[int]]:
    return [row[:length] for row, length in zip(numbers.tolist(), lengths.tolist(), strict=True)]


def _accuracy(results: Results) -> float:
    """Share of words with the right tag."""
    pairs = zip(results.predictions, results.references, strict=True)
    right: list[bool] = [a == b for prediction, tags in pairs for a, b in zip(prediction.value, tags, strict=True)]
    return sum(right) / max(1, len(right))


def _span_f1(results: Results) -> float:
    return metrics.span_f1([prediction.value for prediction in results.predictions], results.references)
