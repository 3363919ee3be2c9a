"""A text for a sequence that is longer than it, by connectionist temporal classification (CTC)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gatewise import losses, metrics
from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.ngram import NGram
from gatewise.data.vocabulary import SPECIALS
from gatewise.decoding.ctc import BLANK, Reading, SymbolModel, align, best_path, prefix_beam_search, steps_needed
from gatewise.errors import ConfigError, DataError
from gatewise.models.config import ModelConfig
from gatewise.models.transcriber import Search
from gatewise.tasks.collate import with_transcripts
from gatewise.tasks.task import LossConfig, Task, check_loss
from gatewise.types import Batch, Example, Loss, Monitor, Outputs, Prediction, Results

# An example is tried whose text needs more than this share of the steps that its length should give: the model's real
# number of steps is only known once it has run.
DOUBTFUL = 0.5
TRIED = 16  # at once


def of_transcripts(
    name: str, config: LossConfig, adapter: MediaAdapter, build_model: Callable[[ModelConfig], nn.Module]
) -> Task:
    """The task of writing down what a sequence says.

    Args:
        name: of the task.
        config: nothing of it is used.
        adapter: fitted on data with transcripts.
        build_model: a :class:`~gatewise.models.transcriber.Transcriber` of a configuration.

    Returns:
        The task; its predictions are texts, with the steps that each character was read from.

    Raises:
        ConfigError: a setting of the loss that is for other tasks.
    """
    check_loss(config, name)
    vocabulary = adapter.vocabulary

    def build(model: ModelConfig) -> nn.Module:
        if model.lm_weight and adapter.ngram is None:
            raise ConfigError(
                f"model.lm_weight: expected data.media.ngram_order above 0 with it, got {model.lm_weight} without. "
                "Set it to 6."
            )
        return build_model(model)

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        assert batch.target_lengths is not None
        return losses.ctc(outputs.scores, outputs.lengths, batch.targets, batch.target_lengths)

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        search = model.get_submodule("search")
        assert isinstance(search, Search)
        answers = []
        lengths = zip(batch.lengths.tolist(), outputs.lengths.tolist(), strict=True)
        for row, (steps, kept) in zip(readable(outputs.scores), lengths, strict=True):
            log_probs = row[:kept]
            symbols = read(log_probs, search, adapter.ngram).symbols
            spans = in_steps(align(log_probs, np.array(symbols, dtype=np.int64)), kept, steps)
            answers.append(Prediction(vocabulary.decode(symbols), spans=spans))
        return answers

    def references(batch: Batch) -> list[str]:
        texts = [text.strip() for text in batch.references or []]
        return [text.lower() for text in texts] if vocabulary.lowercase else texts

    def rate(metric: Callable[[Sequence[str], Sequence[str]], float]) -> Callable[[Results], float]:
        return lambda results: metric([prediction.value for prediction in results.predictions], results.references)

    return Task(
        name=name,
        collate=with_transcripts,
        build=build,
        loss=loss,
        predict=predict,
        references=references,
        metrics={"wer": rate(metrics.wer), "cer": rate(metrics.cer)},
        monitor=Monitor("cer", "min"),
    )


def readable(scores: Tensor) -> np.ndarray:
    """Log-probabilities ``[B, T, V]`` float64 of scores, without the symbols that stand for no character."""
    no_character = torch.arange(scores.shape[-1]) < len(SPECIALS)
    no_character[BLANK] = False
    return scores.detach().cpu().double().masked_fill(no_character, -torch.inf).log_softmax(-1).numpy()


def read(log_probs: np.ndarray, search: Search, ngram: NGram | None = None) -> Reading:
    """The text of one sequence ``[T, V]`` as a search finds it, with its own language model or the n-gram."""
    if search.beam_size == 1:
        return best_path(log_probs)
    model: SymbolModel | None = search.language_model or ngram
    return prefix_beam_search(
        log_probs,
        beam_size=search.beam_size,
        language_model=model,
        lm_weight=search.lm_weight,
        length_bonus=search.length_bonus,
    )[0]


def in_steps(spans: np.ndarray, scores: int, steps: int) -> np.ndarray:
    """Spans ``[S, 2]`` in steps of the scores, in steps of the input, of which there are so many."""
    return (spans * (steps / max(scores, 1))).round().astype(np.int64)


def too_short(model: nn.Module, examples: Sequence[Example], where: Callable[[int], str]) -> list[str]:
    """Which examples have fewer steps, once the model has shortened them, than their transcripts need.

    Only those are tried with the model that could be: the others are long enough for twice their text.

    Args:
        model: in evaluation mode.
        examples: with targets.
        where: how a note names example ``i``.

    Returns:
        A sentence, or none.

    Raises:
        DataError: all of them are too short.
    """
    lengths = getattr(examples, "lengths", None)
    steps = np.array([one.steps for one in examples]) if lengths is None else np.asarray(lengths)
    needed = np.array([steps_needed(target) for target in _targets(examples)])
    if not len(needed):
        return []  # classes, not texts
    longest = int(steps.argmax())
    kept = _steps_of_scores(model, [examples[longest]])[0]
    doubtful = np.flatnonzero(needed > DOUBTFUL * steps * (kept / max(1, steps[longest])))
    found: list[int] = []
    for start in range(0, len(doubtful), TRIED):
        chosen = doubtful[start : start + TRIED].tolist()
        given = _steps_of_scores(model, [examples[i] for i in chosen])
        found += [i for i, scores in zip(chosen, given, strict=True) if scores < needed[i]]
    if not found:
        return []
    first = f"The first is {where(found[0])}: {needed[found[0]]} steps are needed"
    if len(found) == len(examples):
        raise DataError(
            f"expected sequences long enough for their transcripts, got none of {len(examples):,}. {first}. Check "
            "which transcript belongs to which, or shorten sequences less (model.stem_strides)."
        )
    return [
        f"{len(found):,} of {len(examples):,} to learn from are too short for their transcripts and teach nothing. "
        f"{first}"
    ]


def _targets(examples: Sequence[Example]) -> Sequence[np.ndarray]:
    """The texts as numbers, without making inputs where that can be had; none where targets are classes."""
    targets = getattr(examples, "targets", None)
    targets = [one.target for one in examples] if targets is None else targets
    return [target for target in targets if isinstance(target, np.ndarray)]


def _steps_of_scores(model: nn.Module, examples: Sequence[Example]) -> list[int]:
    with torch.no_grad():
        outputs: Outputs = model(with_transcripts(examples))
    return outputs.lengths.tolist()
