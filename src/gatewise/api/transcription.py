"""Transcripts of files, and of a live stream."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.text_adapters import CorpusAdapter
from gatewise.data.vocabulary import SPECIALS, Vocabulary
from gatewise.decoding.ctc import BLANK, collapse
from gatewise.errors import OptionError, RunError, ShapeError
from gatewise.models.language_model import LanguageModel
from gatewise.models.sequence_model import SequenceModel
from gatewise.nn.lstm import LSTM
from gatewise.sequences import BOS, EOS
from gatewise.tasks.transcription import readable
from gatewise.training.threads import cpu_threads

if TYPE_CHECKING:
    from gatewise.api.run import Run


WIDE = 16  # beginnings to follow where nobody says but a language model is to be heard


class Transcript(NamedTuple):
    """What one item says.

    Attributes:
        name: of the item; None where it has none.
        text: what was read.
        spans: for each character of the text where it begins and where it ends ``[S, 2]``: in seconds, or in steps
            where items have no rate.
    """

    name: str | None
    text: str
    spans: np.ndarray


def transcripts(
    run: "Run",
    data: Any,
    *,
    beam_size: int | None = None,
    language_model: "Run | str | Path | None" = None,
    lm_weight: float | None = None,
    length_bonus: float | None = None,
    skip_bad: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Transcript]:
    """What recordings or drawings say, and where.

    Args:
        run: of a task with transcripts.
        data: as the run was trained on, or a single file, a list of files, a list of arrays; a text in it is not looked
            at.
        beam_size: beginnings that the search follows; None for the run's own, and at least 16 where there is something
            to weigh in. With 1 the likeliest path is read.
        language_model: a run of task language-model over characters, or its directory, in the place of the n-gram of
            the training transcripts.
        lm_weight: weight of the language model; None for the run's own, and where that is 0 but a language model is
            given, 0.5.
        length_bonus: added for each character; None for the run's own.
        skip_bad: leave out what cannot be read.
        on_note: told how much of it there was.

    Returns:
        One transcript an item, in order.

    Raises:
        RunError: the run gives no transcripts, or the language model has no characters.
        OptionError: an option is out of range, or a weight has nothing to weigh.
        DataError: a file cannot be read; it is named.
    """
    adapter = _adapter_of(run)
    model = None if language_model is None else _symbol_model(language_model, adapter.vocabulary)
    with _searching(run, beam_size, model, lm_weight, length_bonus):
        found = run.read(data, skip_bad=skip_bad)
        for note in getattr(found, "skipped", ()):
            on_note(note.rstrip("."))
        predictions = run.run(found).predictions
    seconds = 1.0 if adapter.rate is None else 1 / adapter.rate
    names = [None] * len(predictions) if found.ids is None else found.ids
    return [Transcript(name, one.value, one.spans * seconds) for name, one in zip(names, predictions, strict=True)]


@contextmanager
def _searching(
    run: "Run", beam_size: int | None, model: "RunModel | None", weight: float | None, bonus: float | None
) -> Iterator[None]:
    """The run with another search for a while."""
    search = run.search
    before, own = (search.beam_size, search.lm_weight, search.length_bonus), search.language_model
    if beam_size is None:
        beam_size = max(before[0], WIDE) if model is not None or weight or bonus else before[0]
    if beam_size == 1:  # the likeliest path: what the run's own search weighs in is left out with it
        before_weight, before_bonus = 0.0, 0.0
    else:
        before_weight, before_bonus = before[1] or (0.5 if model is not None else 0.0), before[2]
    weight = before_weight if weight is None else weight
    bonus = before_bonus if bonus is None else bonus
    if model is not None and not weight:
        raise OptionError(f"lm_weight: expected a number above 0 with a language model, and a beam, got {weight} with "
                          f"a beam_size of {beam_size}. Leave both out.")  # fmt: skip
    if weight and model is None and _adapter_of(run).ngram is None:
        raise OptionError(f"lm_weight: expected a language model with it, got {weight} and a run without. Name one, or "
                          "train with data.media.ngram_order=6.")  # fmt: skip
    try:
        search.set(beam_size=beam_size, lm_weight=weight, length_bonus=bonus)
        search.language_model = model
        yield
    finally:
        search.set(beam_size=before[0], lm_weight=before[1], length_bonus=before[2])
        search.language_model = own


def _adapter_of(run: "Run") -> MediaAdapter:
    adapter = run.adapter
    if not isinstance(adapter, MediaAdapter) or adapter.labels is not None:
        raise RunError(
            f"{run.path}: expected a run that gives transcripts, got a run of {run.config.task} that gives none. "
            "Train speech-to-text."
        )
    return adapter


class RunModel:
    """A language model over characters, asked for the symbols of a transcriber.

    Args:
        model: in evaluation mode.
        adapter: of the language model's run.
        vocabulary: the transcriber's.
    """

    def __init__(self, model: LanguageModel, adapter: CorpusAdapter, vocabulary: Vocabulary) -> None:
        self._model = model
        numbers = [int(adapter.vocabulary.encode(token)[0]) for token in vocabulary.tokens[len(SPECIALS) :]]
        end = adapter.line_end
        self._begin = end
        self._numbers = np.array([end] * len(SPECIALS) + numbers)
        self._impossible = [number for number in range(len(SPECIALS)) if number != EOS]

    @torch.inference_mode()
    def step(self, state: Any, symbol: int) -> tuple[np.ndarray, Any]:
        """As :class:`~gatewise.decoding.ctc.SymbolModel`."""
        token = self._begin if symbol == BOS else int(self._numbers[symbol])
        device = next(self._model.parameters()).device
        outputs = self._model.run(torch.tensor([[token]], device=device), None, state)
        log_probs: np.ndarray = outputs.scores[0, -1].double().log_softmax(-1).cpu().numpy()[self._numbers]
        log_probs[self._impossible] = -np.inf
        return log_probs, outputs.state


def _symbol_model(given: "Run | str | Path", vocabulary: Vocabulary) -> RunModel:
    from gatewise.api.run import load

    run = load(given) if isinstance(given, str | Path) else given
    model, adapter = run.model, run.adapter
    if not isinstance(model, LanguageModel) or not isinstance(adapter, CorpusAdapter):
        raise RunError(f"{run.path}: expected a language model, got a run of {run.config.task}. Train one on texts.")
    if adapter.vocabulary.unit != "characters":
        raise RunError(
            f"{run.path}: expected a language model of characters, got one of {adapter.vocabulary.unit}. "
            "Train it with data.text.tokens=characters."
        )
    return RunModel(model, adapter, vocabulary)


# A live stream ------------------------------------------------------------------------------------------------------


class LiveTranscriber:
    """Writes down a recording, or a drawing, while it comes in, in constant memory; made by ``run.transcriber()``.

    The texts of all calls, joined, are what ``run.transcribe(..., beam_size=1)`` gives for the whole, however it was
    cut. After :meth:`finish` it is ready for the next one.

    Args:
        run: of a task with transcripts whose model does not look ahead.

    Raises:
        RunError: the run gives no transcripts.
        OptionError: the model looks ahead; says what does.

    Example:
        For a run trained with ``model.bidirectional=false``, and ``chunks`` of samples ``[n]``, -1 to 1, at its rate::

            live = gatewise.load("runs/speech").transcriber()
            for chunk in chunks:
                print(live.push(chunk), end="", flush=True)
            print(live.finish())
    """

    def __init__(self, run: "Run") -> None:
        self._adapter = _adapter_of(run)
        model = run.model
        if not isinstance(model, SequenceModel):
            raise OptionError(f"transcriber: expected a SequenceModel, got {type(model).__name__}. It cannot stream.")
        if ahead := looks_ahead(model):
            raise OptionError(f"transcriber: expected a model that does not look ahead, got one with {ahead}. Train it "
                              "with model.bidirectional=false.")  # fmt: skip
        self._model = model
        self._blocks: list[Any] = [block.stream() for block in model.stem]  # type: ignore[operator]
        self._begin()

    def _begin(self) -> None:
        self._state: Any = None
        self._last = BLANK  # of the path

    def push(self, chunk: Any) -> str:
        """The text that the next part adds: samples ``[n]``, or steps ``[n, I]`` as the model is given them.

        Raises:
            ShapeError: the part has another shape.
        """
        weight = next(self._model.parameters())
        part = torch.as_tensor(np.asarray(chunk, dtype=np.float32)).to(weight)
        if part.shape[1:] != self._adapter.shape:
            wanted = ", ".join(["n", *map(str, self._adapter.shape)])
            raise ShapeError(f"LiveTranscriber: expected a part of shape ({wanted}), got {tuple(part.shape)}.")
        return self._through(part, self._blocks)

    def finish(self) -> str:
        """The text that is left; then everything is forgotten."""
        text = ""
        for place, block in enumerate(self._blocks):
            rest = block.finish()
            if rest is not None and len(rest):
                text += self._through(rest, self._blocks[place + 1 :])
        self._begin()
        return text

    def _through(self, part: Tensor, blocks: Sequence[Any]) -> str:
        """The text of steps that still have to go through some of the stem."""
        with cpu_threads(1), torch.inference_mode():
            for block in blocks:
                if not len(part):
                    return ""
                part = block.push(part)
            if not len(part):
                return ""
            encoded = self._model.encoder(part[None], None, self._state)
            self._state = encoded.state
            scores: Tensor = self._model.head(self._model.pool(encoded.steps, None, encoded.last))
        path = readable(scores)[0].argmax(1)
        symbols = collapse(path, before=self._last)
        self._last = int(path[-1])
        return self._adapter.vocabulary.decode(symbols)


def looks_ahead(model: SequenceModel) -> str | None:
    """What of a model needs to see what comes later; None if nothing does.

    Raises:
        OptionError: a block of the stem does, by one of its options.
    """
    for layer in model.encoder.modules():
        if isinstance(layer, LSTM | nn.RNNBase) and layer.bidirectional:
            return "layers that also read backwards (bidirectional)"
    for block in model.stem:
        if not hasattr(block, "stream"):
            return f"a {type(block).__name__}, which needs the whole"
        block.stream()  # type: ignore[operator]  # says itself what it would have to see
    return None
