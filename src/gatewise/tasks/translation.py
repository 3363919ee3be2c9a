"""A text for a text: translation, and summarisation."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import nn

from gatewise import losses, metrics
from gatewise.data.text_adapters import PairAdapter
from gatewise.decoding.beam import Hypothesis, beam_search
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, build, resolve
from gatewise.models.seq2seq import PairModel, Seq2Seq
from gatewise.tasks.collate import sources_with_answers
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Loss, Monitor, Outputs, Prediction, Results


def translation(config: LossConfig, adapter: PairAdapter) -> Task:
    """The task of translating.

    Args:
        config: label smoothing.
        adapter: fitted on the training data.

    Returns:
        The task; its predictions are texts, found by beam search, with the share of each token of the source in each
        token of the answer. Measured by BLEU.

    Raises:
        ConfigError: settings that are for other tasks.
    """

    def bleu(results: Results) -> float:
        answers = [prediction.value for prediction in results.predictions]
        return metrics.bleu(answers, results.references, tokenised=adapter.target.tokenised)

    return _of_pairs("translation", config, adapter, {"bleu": bleu}, Monitor("bleu", "max"))


def summarisation(config: LossConfig, adapter: PairAdapter) -> Task:
    """The task of summarising; as :func:`translation`, but measured by ROUGE."""

    def rouge(name: str) -> Callable[[Results], float]:
        return lambda results: metrics.rouge(
            [prediction.value for prediction in results.predictions], results.references, name
        )

    measures = {f"rouge{n}": rouge(f"rouge{n}") for n in ("1", "2", "L")}
    return _of_pairs("summarisation", config, adapter, measures, Monitor("rouge1", "max"))


def _search(model: Seq2Seq, batch: Batch, outputs: Outputs) -> list[Hypothesis]:
    """The best answer to each source that the model's own search finds."""
    source = batch.inputs.source
    assert outputs.encoded is not None
    encoded = outputs.encoded.to(model.decoder.bias.dtype)  # Fabric gives outputs in 32 bits, the weights may have 64
    found = beam_search(
        model.step,
        model.start(encoded, batch.lengths, source),
        rows=len(source),
        beam_size=model.beam_size,
        max_length=model.max_answer,
        reorder=model.reorder,
        length_penalty=model.length_penalty,
        attention=lambda state: state.attention,
        device=source.device,
    )
    return [of_row[0] for of_row in found]


def _of_pairs(
    name: str,
    config: LossConfig,
    adapter: PairAdapter,
    measures: Mapping[str, Callable[[Results], float]],
    monitor: Monitor,
) -> Task:
    check_loss(config, name, "label_smoothing")
    sizes = {"source_size": len(adapter.source), "target_size": len(adapter.target)}

    def build_model(model: ModelConfig) -> nn.Module:
        if resolve(model).copy and not adapter.shared:
            raise ConfigError(
                f"{name}: expected data.text.shared with model.copy, got two vocabularies. Set it to true."
            )
        built = build(model, sizes)
        assert isinstance(built, Seq2Seq)
        return PairModel(built)

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        assert batch.target_lengths is not None
        return losses.token_cross_entropy(
            outputs.scores, batch.targets, batch.target_lengths, smoothing=config.label_smoothing
        )

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        inner = model.get_submodule("model")
        assert isinstance(inner, Seq2Seq)
        found = _search(inner, batch, outputs)
        lengths = batch.lengths.tolist()
        answers = []
        for best, length in zip(found, lengths, strict=True):
            # An array: as lists of numbers the attention of a whole data set takes eight times the memory.
            attention = np.array([row[:length] for row in best.attention or ()], dtype=np.float32)
            answers.append(Prediction(adapter.target.decode(best.tokens), None, attention))
        return answers

    def references(batch: Batch) -> list[str]:
        return batch.references or []

    return Task(
        name=name,
        collate=sources_with_answers,
        build=build_model,
        loss=loss,
        predict=predict,
        references=references,
        metrics=measures,
        monitor=monitor,
    )
