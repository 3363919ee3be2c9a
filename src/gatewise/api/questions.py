"""Which number an explanation explains: the score behind an answer of a run, by the words that a user has for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gatewise.data.adapter import labels_of
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.pair_adapter import PairAdapter
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.tagging_adapter import TaggingAdapter
from gatewise.data.targets import Values
from gatewise.data.text import TextData
from gatewise.data.vocabulary import Vocabulary
from gatewise.errors import OptionError, RunError, did_you_mean
from gatewise.inspection import scores
from gatewise.likelihoods import make_likelihood
from gatewise.sequences import UNK
from gatewise.tasks import Data
from gatewise.types import Batch, Example, Outputs, Prediction

if TYPE_CHECKING:
    from gatewise.api.run import Run


class Question(NamedTuple):
    """A score and what it is called.

    Attributes:
        score: from the outputs for ``P`` inputs to ``[P]``.
        target: the score in words, with its unit.
        batch: what the model is run on: with the answer so far, where one is written token by token.
    """

    score: Callable[[Outputs], Tensor]
    target: str
    batch: Batch


class Asked(NamedTuple):
    """One sequence, what the run says of it, and what a user wants to know."""

    run: "Run"
    data: Data
    example: Example
    batch: Batch
    prediction: Prediction
    target: Any
    step: int | None


def question(asked: Asked) -> Question:
    """The score that is asked about.

    Raises:
        OptionError: a class, a channel or a token that the run does not know; a step that is missing or out of range.
        RunError: a task whose answers come down to no score.
    """
    if labels_of(asked.run.adapter) is not None:
        return _of_class(asked)
    if (of := QUESTIONS.get(type(asked.run.adapter))) is None:
        raise RunError(
            f"{asked.run.path}: expected a task with scores to explain, got a run of {asked.run.config.task}."
        )
    return of(asked)


def _of_class(asked: Asked) -> Question:
    labels = labels_of(asked.run.adapter)
    assert labels is not None
    _no_step(asked)
    chosen = _named(asked, labels.classes, "class", str(asked.prediction.value))
    return Question(
        lambda outputs: scores.log_odds(outputs.scores, chosen),
        f"log-odds of {labels.classes[chosen]}",
        asked.batch,
    )


def _of_value(asked: Asked) -> Question:
    values = asked.run.adapter.targets  # type: ignore[attr-defined]
    assert isinstance(values, Values)
    chosen = _named(asked, values.names, "target", values.names[0])
    mean, std = values.mean[chosen], values.std[chosen]
    if not values.per_step:
        _no_step(asked)
        return Question(lambda outputs: outputs.scores[:, chosen] * std + mean, values.names[chosen], asked.batch)
    step = _step(asked, len(asked.prediction.value), "steps")
    return Question(
        lambda outputs: outputs.scores[:, step, chosen] * std + mean,
        f"{values.names[chosen]} at step {step}",
        asked.batch,
    )


def _of_tag(asked: Asked) -> Question:
    adapter = asked.run.adapter
    assert isinstance(adapter, TaggingAdapter)
    step = _step(asked, len(asked.prediction.value), "words")
    chosen = _named(asked, adapter.tags, "tag", asked.prediction.value[step])

    def score(outputs: Outputs) -> Tensor:
        if outputs.scores.ndim == 4:
            return scores.tag_log_odds(outputs.scores, outputs.lengths, step, chosen)
        return scores.log_odds(outputs.scores[:, step], chosen)

    return Question(score, f"log-odds of {adapter.tags[chosen]} for word {step}", asked.batch)


def _of_next_token(asked: Asked) -> Question:
    adapter = asked.run.adapter
    assert isinstance(adapter, CorpusAdapter)
    steps = asked.example.steps
    step = steps - 1 if asked.step is None else _step(asked, steps, "tokens")
    chosen = int(asked.example.target[step]) if asked.target is None else _token(adapter.vocabulary, asked.target)
    shown = adapter.vocabulary.shown[chosen]
    return Question(
        lambda outputs: scores.log_odds(outputs.scores[:, step], chosen),
        f"log-odds of {shown!r} after token {step}",
        asked.batch,
    )


def _of_forecast(asked: Asked) -> Question:
    adapter, config = asked.run.adapter, asked.run.config
    assert isinstance(adapter, SeriesAdapter)
    chosen = _named(asked, adapter.names, "channel", adapter.names[0])
    step = None if asked.step is None else _step(asked, adapter.horizon, "steps ahead")
    likelihood = make_likelihood(config.loss.distribution, config.loss.levels)
    loc, scale = (asked.batch.inputs[place] for place in (3, 4))  # [1, K] float64

    def score(outputs: Outputs) -> Tensor:
        rows = len(outputs.scores)
        units = [part.expand(rows, -1)[:, None] for part in (loc, scale)]
        wide = outputs.scores.to(torch.promote_types(outputs.scores.dtype, torch.float32))
        values = likelihood.point(wide, *units).double() * units[1] + units[0]  # [P, h, K]
        of_channel: Tensor = values[:, :, chosen]
        return of_channel.mean(1) if step is None else of_channel[:, step]

    what = f"mean of the next {adapter.horizon} steps" if step is None else f"step {step} ahead"
    return Question(score, f"forecast of {adapter.names[chosen]}, {what}", asked.batch)


def _of_answer(asked: Asked) -> Question:
    """Of a text that is written in answer: its log-probability, or the log-odds of one of its tokens."""
    adapter, value = asked.run.adapter, asked.prediction.value
    assert isinstance(adapter, PairAdapter)
    _no_target(asked, "the answer that the run gives")
    assert isinstance(asked.data, TextData)
    written = replace(asked.data, targets=[value])
    example = adapter.encode(written)[0]
    batch = asked.run.task.collate([example]).to(asked.batch.lengths.device)
    assert batch.targets is not None
    tokens = batch.targets[0]
    if asked.step is None:
        return Question(
            lambda o: scores.log_probability(o.scores, tokens, None), "log-probability of the answer", batch
        )
    step = _step(asked, len(tokens), "tokens of the answer")
    shown = adapter.target.shown[int(tokens[step])]
    return Question(
        lambda outputs: scores.log_probability(outputs.scores, tokens, step),
        f"log-odds of {shown!r} as token {step} of the answer",
        batch,
    )


def _of_transcript(asked: Asked) -> Question:
    adapter = asked.run.adapter
    assert isinstance(adapter, MediaAdapter)
    _no_target(asked, "the transcript that the run gives")
    _no_step(asked)
    numbers = torch.from_numpy(adapter.vocabulary.encode(asked.prediction.value)).to(asked.batch.lengths.device)
    if not len(numbers):
        raise RunError(f"{asked.run.path}: expected a transcript to explain, got an empty one. Choose another row.")
    return Question(
        lambda outputs: scores.transcript_log_probability(outputs.scores, numbers, outputs.lengths),
        "log-probability of the transcript",
        asked.batch,
    )


def _named(asked: Asked, names: Sequence[str], noun: str, default: str) -> int:
    """The place of the target that was asked for; numbers count for their text."""
    wanted = default if asked.target is None else str(asked.target)
    if wanted not in names:
        raise OptionError(
            f'target: expected a {noun} of {asked.run.path}, got "{wanted}". {did_you_mean(wanted, names)}'
        )
    return list(names).index(wanted)


def _token(vocabulary: Vocabulary, wanted: Any) -> int:
    numbers = vocabulary.encode(str(wanted))
    if len(numbers) != 1 or numbers[0] == UNK:
        got = "one that it does not know" if len(numbers) == 1 else f"{len(numbers)} of them"
        raise OptionError(f"target: expected one token of the run's {vocabulary.unit}, got {got} in {str(wanted)!r}.")
    return int(numbers[0])


def _step(asked: Asked, count: int, noun: str) -> int:
    step = asked.step
    if step is None:
        raise OptionError(
            f"step: expected one of the {count} {noun}, got none. The answer has one score for each; name it, from 0."
        )
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step < count:
        raise OptionError(f"step: expected 0 to {count - 1}, got {step}. There are {count} {noun}.")
    return int(step)


def _no_step(asked: Asked) -> None:
    if asked.step is not None:
        raise OptionError(f"step: expected none, got {asked.step}. The answer is for the sequence as a whole.")


def _no_target(asked: Asked, what: str) -> None:
    if asked.target is not None:
        raise OptionError(f"target: expected none, got {asked.target!r}. What is explained is {what}.")


# By the adapter, of those whose answers are no classes.
QUESTIONS: dict[type, Callable[[Asked], Question]] = {
    SequenceAdapter: _of_value,
    TaggingAdapter: _of_tag,
    CorpusAdapter: _of_next_token,
    SeriesAdapter: _of_forecast,
    PairAdapter: _of_answer,
    MediaAdapter: _of_transcript,
}
