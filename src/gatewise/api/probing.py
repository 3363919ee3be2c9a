"""Units of a trained run that follow a property of the text it reads, or tell a class."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from gatewise.api.rows import read_answered
from gatewise.data.adapter import labels_of
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.tagging_adapter import TaggingAdapter
from gatewise.data.text import TextData
from gatewise.data.text_adapters import TextAdapter
from gatewise.data.vocabulary import SPECIALS, Vocabulary
from gatewise.errors import DataError, OptionError, RunError
from gatewise.inspection.class_probes import probe_classes
from gatewise.inspection.layers import layers_by_module
from gatewise.inspection.probes import SHOWN, Probes, Stretch, probe_text
from gatewise.inspection.text_properties import Property, text_properties
from gatewise.inspection.units import UnitCounter
from gatewise.models.language_model import LanguageModel
from gatewise.sequences import EOS, UNK
from gatewise.tasks import Data
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads
from gatewise.types import Batch, Example

if TYPE_CHECKING:
    from gatewise.api.run import Run

MOST_TOKENS = 1_000_000  # of a longer text the beginning is read
ROWS = 8  # stretches of a part of a text that are read side by side
STEPS = 256  # of each of them at once
BEGINNING = 100  # tokens of each that do not count: the state is still that of a beginning
LEAST_TOKENS = 4 * ROWS * BEGINNING
TEXTS = 32  # read at once, where there are many
LEAST_ROWS = 20
OF_TEXTS = (CorpusAdapter, TextAdapter, TaggingAdapter)

OnTokens = Callable[[int], None]


class Reading(NamedTuple):
    """What is read of some data: properties of all of it, and each part in stretches.

    Attributes:
        properties: without values.
        parts: values ``[m, P]`` of the tokens that count, of the part to choose on and of that to measure on.
        stretches: of each part, made as they are asked for.
        tokens: in both.
        notes: what a reader must know.
        passage: the first tokens of the part to measure on, as they are spelt.
    """

    properties: list[Property]
    parts: tuple[np.ndarray, np.ndarray]
    stretches: tuple[Iterable[Stretch], Iterable[Stretch]]
    tokens: int
    notes: tuple[str, ...]
    passage: tuple[str, ...]


def probe(run: "Run", data: Any = None, targets: Any = None, *, on_tokens: OnTokens = lambda tokens: None) -> Probes:
    """Which unit follows best how far a line has come, whether a quotation is open, and the like; which tells a class.

    Units are chosen by their cell state on the first half of a long text, or on half of many sequences, drawn by lot,
    and measured on the rest; what chance would give is told beside.

    Args:
        run: a language model, or a run that tags or classifies.
        data: as in :func:`gatewise.train`, or as ``run.read`` gave them; default: the run's own test file.
            Classes are looked for only where they have answers.
        targets: one a sequence, where ``data`` has none in it.
        on_tokens: told how many tokens (sequences, where they are no texts) were read.

    Returns:
        A unit and its figures for each property of the text, and for each class.

    Raises:
        RunError: the run has no LSTM, or neither reads texts nor tells classes.
        DataError: the data cannot be read, do not fit the run, are too short, or have a class that the run does not
            know.

    References:
        Karpathy, Johnson & Fei-Fei 2015, Visualizing and understanding recurrent networks.
    """
    read = read_to_probe(run, data, targets)
    layers = layers_of(run)
    fabric = make_fabric(replace(run.config.train, device=run.device, precision="32"), distributed=False)
    run._batch_model.to(fabric.device).eval()
    with cpu_threads(run.threads or run.config.train.threads or 1):
        found = _probe_texts(run, read, layers, on_tokens) if isinstance(run.adapter, OF_TEXTS) else None
        labels = labels_of(run.adapter)
        if labels is None or read.targets is None:
            assert found is not None  # else layers_of or read_to_probe has refused
            return found if labels is None else replace(found, notes=(*found.notes, _without_classes(run, read)))
        classes = _probe_classes(run, read, labels.classes, on_tokens if found is None else lambda sequences: None)
    if found is None:
        return classes
    return replace(found, probes=(*found.probes, *classes.probes))


def read_to_probe(run: "Run", data: Any, targets: Any = None) -> Data:
    """The data as read, with their classes where the run tells classes and the data have them.

    Raises:
        DataError: the data cannot be read, or a run that reads no texts gets data without classes.
    """
    read = read_answered(run, data, targets)
    if read.targets is None and not isinstance(run.adapter, OF_TEXTS) and labels_of(run.adapter) is not None:
        raise DataError(
            f"{read.source}: expected a class for every sequence, got none. Units are looked for that tell them: give "
            f"{_its_classes(run)}."
        )
    return read


def _its_classes(run: "Run") -> str:
    """Where classes are expected, in words."""
    column = run.config.data.target
    named = "" if column is None else f', in the column "{column if isinstance(column, str) else ", ".join(column)}"'
    return f"targets, or a file that has them{named}"


def _without_classes(run: "Run", data: Data) -> str:
    return (
        f"No unit was looked for that tells a class: {data.source} has none for every text. Give {_its_classes(run)}."
    )


def layers_of(run: "Run") -> dict[nn.Module, str]:
    """The LSTMs that read the steps of a run's sequences, and their paths in its model.

    Raises:
        RunError: there are none, or the run neither reads texts nor tells classes.
    """
    if not isinstance(run.adapter, OF_TEXTS) and labels_of(run.adapter) is None:
        raise RunError(
            f"{run.path}: expected a run that reads texts (language-model, tagging) or tells classes, got a "
            f"{run.config.task}. What its units do is in run.units(data)."
        )
    try:
        return {part: name for part, name in layers_by_module(run.model, who="probe").items()}  # noqa: C416  wider
    except OptionError as error:
        raise RunError(f"{run.path}: expected LSTM layers, got {run.config.model.encoder}, without cells.") from error


def units_to_read(run: "Run", data: Data) -> int:
    """How many tokens (sequences, where they are no texts) :func:`probe` reads at most, for a progress bar."""
    if not isinstance(run.adapter, OF_TEXTS):
        return len(data)
    assert isinstance(data, TextData)
    if isinstance(run.adapter, CorpusAdapter):
        return min(len(run.adapter.encode(data).tokens), MOST_TOKENS)
    return sum(example.steps for example in run.adapter.encode(data))


def _probe_texts(run: "Run", data: Data, layers: dict[nn.Module, str], on_tokens: OnTokens) -> Probes:
    reading = _of_corpus(run, data) if isinstance(run.adapter, CorpusAdapter) else _of_texts(run, data)
    select, measure = reading.stretches
    found, units = probe_text(select, measure, reading.properties, reading.parts, layers, on_tokens=on_tokens)
    return Probes(found, reading.tokens, units, reading.notes, reading.passage)


def _probe_classes(run: "Run", data: Data, classes: tuple[str, ...], on_rows: OnTokens) -> Probes:
    """Which unit tells each class, over whole sequences: half of them to choose on, the others to measure on."""
    device = next(run.model.parameters()).device
    if len(data) < LEAST_ROWS:
        raise DataError(
            f"{data.source}: expected at least {LEAST_ROWS} sequences, half to choose units on and half to measure "
            f"them on, got {len(data)}. Give more."
        )
    halves = _halves(len(data))
    found = []
    for rows in halves:
        counter = UnitCounter(run.model, classes=classes)
        for some in np.array_split(rows, -(-len(rows) // TEXTS)):
            batch = run.task.collate(list(run.adapter.encode(data.subset(some)))).to(device)
            with counter.batch(batch.inputs, batch.lengths, batch.targets):
                run._batch_model(batch)
            on_rows(len(some))
        found.append(counter.summaries())
    units = sum(layer.cell_mean.size for layer in found[0])
    return Probes(probe_classes(found[0], found[1], len(halves[1])), len(data), units)


def _halves(count: int) -> tuple[list[int], list[int]]:
    """Which of many sequences to choose units on, and which to measure them on: by lot, always the same.

    Not every second one: files alternate between classes.
    """
    drawn = np.random.default_rng(0).permutation(count)
    select, measure = np.sort(drawn[: count // 2]).tolist(), np.sort(drawn[count // 2 :]).tolist()
    return select, measure


def _of_corpus(run: "Run", data: Data) -> Reading:
    """One long text: the first half to choose on, the second to measure on, each in some rows side by side."""
    adapter = run.adapter
    assert isinstance(adapter, CorpusAdapter)
    tokens = adapter.encode(data).tokens  # type: ignore[arg-type]
    notes = []
    if len(tokens) > MOST_TOKENS:
        notes.append(f"Of {len(tokens):,} tokens the first {MOST_TOKENS:,} were read.")
        tokens = tokens[:MOST_TOKENS]
    if len(tokens) < LEAST_TOKENS:
        raise DataError(
            f"{data.source}: expected at least {LEAST_TOKENS:,} tokens to choose units on one half and measure them on "
            f"the other, got {len(tokens):,}. Give more text."
        )
    table = _pieces_of_numbers(adapter.vocabulary)
    properties = _chosen(adapter.vocabulary, text_properties([table[number] for number in tokens.tolist()]))
    steps = len(tokens) // 2 // ROWS
    shape = (2, ROWS, steps)
    values = _stacked(properties)[: 2 * ROWS * steps].reshape(*shape, len(properties))
    numbers = np.asarray(tokens[: 2 * ROWS * steps], dtype=np.int64).reshape(shape)
    part = values[:, :, BEGINNING:].reshape(2, -1, len(properties))
    stretches = (_rows(run, numbers[half], values[half]) for half in (0, 1))
    passage = [table[number] for number in numbers[1, 0, BEGINNING : BEGINNING + SHOWN].tolist()]
    return Reading(
        properties, (part[0], part[1]), (next(stretches), next(stretches)), numbers.size, tuple(notes), tuple(passage)
    )


def _rows(run: "Run", numbers: np.ndarray, values: np.ndarray) -> Iterator[Stretch]:
    """``[B, T]`` tokens, a stretch of time after the other, the state carried on."""
    model, device = run.model, next(run.model.parameters()).device
    assert isinstance(model, LanguageModel)
    state: Any = None
    for start in range(0, numbers.shape[1], STEPS):
        here = slice(start, min(start + STEPS, numbers.shape[1]))
        tokens = torch.from_numpy(numbers[:, here].copy()).to(device)

        def go(tokens: torch.Tensor = tokens) -> None:
            nonlocal state
            state = model.run(tokens, None, state).state

        real = np.broadcast_to(np.arange(here.start, here.stop) >= BEGINNING, tokens.shape)
        yield Stretch(go, values[:, here].copy(), real.copy(), range(len(numbers)))


def _of_texts(run: "Run", data: Data) -> Reading:
    """Many texts: half of them to choose on, the others to measure on."""
    adapter: Any = run.adapter
    vocabulary = adapter.words if isinstance(adapter, TaggingAdapter) else adapter.vocabulary
    assert isinstance(data, TextData)
    examples = list(adapter.encode(data))
    pieces = [_pieces(vocabulary, text, example.steps) for text, example in zip(data.texts, examples, strict=True)]
    found = [_chosen(vocabulary, text_properties(of_text)) for of_text in pieces]
    if len(examples) < 2:
        raise DataError(
            f"{data.source}: expected at least two texts, to choose units on some and measure them on others, got "
            f"{len(examples)}. Give more."
        )
    values = [_stacked(properties) for properties in found]
    halves = _halves(len(examples))
    parts = [np.concatenate([values[row] for row in rows]) for rows in halves]
    stretches = [_batches(run, examples, values, rows) for rows in halves]
    tokens = sum(map(len, values))
    passage = [piece for row in halves[1][:SHOWN] for piece in pieces[row]][:SHOWN]
    return Reading(found[0], (parts[0], parts[1]), (stretches[0], stretches[1]), tokens, (), tuple(passage))


def _batches(run: "Run", examples: list[Example], values: list[np.ndarray], rows: list[int]) -> Iterator[Stretch]:
    """Texts, a few at a time."""
    device = next(run.model.parameters()).device
    for first in range(0, len(rows), TEXTS):
        some = rows[first : first + TEXTS]
        batch = run.task.collate([examples[row]._replace(target=None) for row in some]).to(device)
        longest = int(batch.lengths.max())
        padded = np.zeros((len(some), longest, values[0].shape[1]), dtype=np.float32)
        for place, row in enumerate(some):
            padded[place, : len(values[row])] = values[row]

        def go(batch: Batch = batch) -> None:
            run._batch_model(batch)

        yield Stretch(go, padded, np.arange(longest) < batch.lengths.cpu().numpy()[:, None], some)


def _stacked(properties: list[Property]) -> np.ndarray:
    """``[M, P]`` float32."""
    return np.stack([one.values.astype(np.float32) for one in properties], axis=1)


def _chosen(vocabulary: Vocabulary, properties: list[Property]) -> list[Property]:
    """Without what a unit of tokens cannot show."""
    whole = vocabulary.unit == "words"
    return [one for one in properties if not (whole and one.name == "position in the word")]


def _pieces(vocabulary: Vocabulary, text: str | tuple[str, ...], steps: int) -> list[str]:
    """The text in as many pieces as it has tokens, words with a space before them."""
    if vocabulary.unit == "bytes":
        table = _pieces_of_numbers(vocabulary)
        return [table[number] for number in vocabulary.encode(text)[:steps]] or [" "]
    space = " " if vocabulary.unit == "words" else ""
    return [space + piece for piece in vocabulary.pieces(text)[:steps]] or [" "]  # an empty text is one unknown token


def _pieces_of_numbers(vocabulary: Vocabulary) -> list[str]:
    """The text of each token; the end of a text is that of a line."""
    if vocabulary.unit == "bytes":
        pieces = [chr(max(0, number - len(SPECIALS))) for number in range(len(vocabulary))]
    else:
        space = " " if vocabulary.unit == "words" else ""
        pieces = [space + token for token in vocabulary.shown]
    pieces[: len(SPECIALS)] = [pieces[UNK] if number == UNK else " " for number in range(len(SPECIALS))]
    pieces[EOS] = "\n"
    return pieces
