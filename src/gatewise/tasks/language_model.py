"""What comes next: the probability of each token given all before it."""

import math

import torch
from torch import Tensor, nn

from gatewise import losses
from gatewise.data.corpus import CorpusAdapter, Surprisal
from gatewise.models.config import build
from gatewise.models.sequence_model import BatchModel
from gatewise.tasks.collate import tokens_with_next
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Loss, Monitor, Outputs, Prediction, Results


def language_model(config: LossConfig, adapter: CorpusAdapter) -> Task:
    """The task of predicting the next token.

    Args:
        config: label smoothing.
        adapter: fitted on the training text.

    Returns:
        The task; a prediction is the surprisal of each token that came, in bits: its negative logarithm to base 2. The
        perplexity is two to the power of their mean, and bits per character are their sum over the characters.

    Raises:
        ConfigError: settings that are for other tasks.
    """
    check_loss(config, "language-model", "label_smoothing")
    sizes = {"vocabulary_size": len(adapter.vocabulary)}

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        found = losses.token_cross_entropy(
            outputs.scores, batch.targets, batch.lengths, smoothing=config.label_smoothing
        )
        return found if outputs.penalty is None else Loss(found.total + outputs.penalty * found.count, found.count)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        bits = _surprisal(outputs.scores, batch.targets)
        rows = zip(bits.tolist(), references(batch), strict=True)
        return [Prediction(Surprisal(row[: len(truth.bits)], truth.characters)) for row, truth in rows]

    def references(batch: Batch) -> list[Surprisal]:
        assert batch.targets is not None
        rows = zip(batch.inputs[:, 0].tolist(), batch.targets.tolist(), batch.lengths.tolist(), strict=True)
        count = adapter.vocabulary.characters
        return [Surprisal([0.0] * length, count(row[:length], before=first)) for first, row, length in rows]

    return Task(
        name="language-model",
        collate=tokens_with_next,
        build=lambda model: BatchModel(build(model, sizes)),
        loss=loss,
        predict=predict,
        references=references,
        metrics={"perplexity": _perplexity, "bits_per_character": _bits_per_character},
        monitor=Monitor("perplexity", "min"),
    )


def _surprisal(scores: Tensor, targets: Tensor | None) -> Tensor:
    """Bits ``[B, T]`` of each target."""
    assert targets is not None
    wide = scores.float()
    chosen = wide.gather(-1, targets[..., None]).squeeze(-1)
    return (torch.logsumexp(wide, -1) - chosen) / math.log(2)


def _perplexity(results: Results) -> float:
    bits = sum(sum(prediction.value.bits) for prediction in results.predictions)
    mean = bits / sum(len(prediction.value.bits) for prediction in results.predictions)
    return math.inf if mean >= 1024 else float(2**mean)  # a training that went astray is measured, too


def _bits_per_character(results: Results) -> float:
    bits = float(sum(sum(prediction.value.bits) for prediction in results.predictions))
    characters: int = sum(truth.characters for truth in results.references)
    return bits / characters
