"""What a report says of texts, whatever the task: how many, how long, of which tokens."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gatewise.data.text import TextData
from gatewise.data.vocabulary import SPECIALS, Text, Vocabulary
from gatewise.reports import page, plots, shading
from gatewise.reports.content import Report
from gatewise.reports.page import Html
from gatewise.reports.words import NOTHING, counted, number, percent, shorten
from gatewise.sequences import UNK

TEXTS = 10_000  # of a set that are measured at most,
CHARACTERS = 4_000_000  # and about so much of them
FREQUENT = 10
UNKNOWN = 10
ONE = {"words": "word", "characters": "character", "bytes": "byte", "subwords": "subword"}


def texts_of(data: TextData) -> Sequence[Text]:
    """The texts themselves."""
    return data.texts


def answers_of(data: TextData) -> Sequence[Text]:
    """The texts that should come out of them."""
    return data.targets or []


class Side(NamedTuple):
    """Texts of one kind: what they are called, the numbers of their tokens, and where they are in the data."""

    noun: str
    vocabulary: Vocabulary
    texts: Callable[[TextData], Sequence[Text]] = texts_of


class Counts(NamedTuple):
    """What was counted in the texts of a set: all of them, or those that were drawn by lot.

    Attributes:
        texts: how many there are.
        lengths: tokens of each text that was looked at.
        tokens: how often each number occurs in them, ``[V]``.
    """

    texts: int
    lengths: np.ndarray
    tokens: np.ndarray

    @property
    def whole(self) -> bool:
        """Whether all texts were looked at."""
        return self.texts == len(self.lengths)

    @property
    def unknown(self) -> float:
        """Share of tokens that are not known; NaN without tokens."""
        return float(self.tokens[UNK] / self.tokens.sum()) if self.tokens.sum() else float("nan")


def drawn(count: int, most: int = TEXTS) -> np.ndarray:
    """Places of at most so many of ``count`` things, by the same lot each time, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def counts_of(vocabulary: Vocabulary, texts: Sequence[Text]) -> Counts:
    """Encodes the texts, or some of them, and counts."""
    kept: list[Text] = []
    characters = 0
    order = np.random.default_rng(0).permutation(drawn(len(texts)))
    for place in order.tolist():
        kept.append(texts[place])
        characters += len(shading.as_text(kept[-1]))
        if characters > CHARACTERS:
            break
    lengths, tokens = [], np.zeros(len(vocabulary), dtype=np.int64)
    for numbers in vocabulary.encode_all(kept):
        lengths.append(len(numbers))
        tokens += np.bincount(numbers, minlength=len(vocabulary))
    return Counts(len(texts), np.array(lengths, dtype=np.int64), tokens)


def overview(report: Report, sides: Sequence[Side]) -> list[Html]:
    """Sizes, lengths, vocabulary and what there is to know of the texts of every set."""
    counts = {
        side.noun: {name: counts_of(side.vocabulary, side.texts(split)) for name, split in report.splits.items()}
        for side in sides
    }
    padding = f"{percent(report.padding)} of the tokens in training batches are padding."
    parts = [page.paragraph(f"{_vocabularies(sides)} {padding}"), _sizes(sides, counts), _notes(report)]
    for side in sides:
        of_side = counts[side.noun]
        unknown = _unknown(report, side) if any(part.tokens[UNK] for part in of_side.values()) else Html("")
        frequent = _frequent(side, of_side["training"], unknown, several=len(sides) > 1)
        parts.append(page.columns(_lengths(side, of_side), frequent))
    return parts


def _vocabularies(sides: Sequence[Side]) -> str:
    if len(sides) > 1 and sides[0].vocabulary == sides[1].vocabulary:
        return f"A vocabulary of {_vocabulary(sides[0].vocabulary)} for both sides."
    known = [f"{_vocabulary(side.vocabulary)}{f' for the {side.noun}s' if len(sides) > 1 else ''}" for side in sides]
    return f"A vocabulary of {', and one of '.join(known)}."


def _vocabulary(vocabulary: Vocabulary) -> str:
    lowered = ", upper and lower case alike" if vocabulary.lowercase else ""
    return f"{counted(len(vocabulary) - len(SPECIALS), ONE[vocabulary.unit])}{lowered}"


def _sizes(sides: Sequence[Side], counts: dict[str, dict[str, Counts]]) -> Html:
    rows = []
    several = len(sides) > 1
    for name in counts[sides[0].noun]:
        for side in sides:
            rows.append([f"{name}, {side.noun}s" if several else name, *_size(counts[side.noun][name])])
    noun = "Texts" if several else f"{sides[0].noun.capitalize()}s"
    head = ["Set", noun, "Tokens: in all", "fewest", "median", "most", "Unknown"]
    sampled = [part for of_side in counts.values() for part in of_side.values() if not part.whole]
    table = page.table(head, rows, name="Sizes of the data sets")
    if not sampled:
        return table
    most = max(len(part.lengths) for part in sampled)
    return page.join(table, page.paragraph(f"Of large sets, at most {most:,} texts were looked at, drawn by lot."))


def _size(counts: Counts) -> list[str]:
    lengths = counts.lengths
    if not len(lengths):
        return [f"{counts.texts:,}", "0", *[NOTHING] * 4]
    total = int(lengths.sum())
    in_all = f"{total:,}" if counts.whole else f"about {number(float(f'{lengths.mean() * counts.texts:.3g}'))}"
    steps = [f"{lengths.min():,}", number(float(np.median(lengths))), f"{lengths.max():,}"]
    return [f"{counts.texts:,}", in_all, *steps, percent(counts.unknown)]


def _notes(report: Report) -> Html:
    """What the adapter has to say of each set."""
    filled = [(name, split) for name, split in report.splits.items() if len(split)]
    notes = [f"{name}: {note}" for name, split in filled for note in report.adapter.notes(split)]
    return page.bullets([f"{note.rstrip('.')}." for note in notes])


def _lengths(side: Side, counts: dict[str, Counts]) -> Html:
    title = f"Lengths of the {side.noun}s"
    lengths = {name: part.lengths for name, part in counts.items() if len(part.lengths)}
    if not lengths:
        return page.subsection(title, page.paragraph("There are none."))
    everything = np.concatenate(list(lengths.values()))
    low, high = int(everything.min()), int(everything.max())
    if low == high:
        return page.subsection(title, page.paragraph(f"Every {side.noun} has {counted(low, 'token')}."))
    # A few texts that are far longer than the others would leave no room for these.
    edge = int(np.percentile(everything, 99))
    cut = high > 2 * edge > 0
    shown = {name: np.minimum(part, 2 * edge) for name, part in lengths.items()} if cut else lengths
    caption = f"How long the {side.noun}s are, as shares of each set; the sets should look alike."
    if cut:
        caption += f" Those of more than {2 * edge:,} tokens are counted there."
    picture = page.picture(
        plots.histogram(shown, title="tokens"),
        caption=caption,
        alt=f"Histogram of lengths of the {side.noun}s, {low} to {high} tokens.",
    )
    return page.subsection(title, picture)


def _frequent(side: Side, counts: Counts, unknown: Html, *, several: bool) -> Html:
    """The commonest tokens of the training data, and what is said of the unknown ones."""
    unit = ONE[side.vocabulary.unit]
    title = f"The commonest {unit}s" + (f" of the {side.noun}s" if several else "")
    known = counts.tokens.copy()
    known[: len(SPECIALS)] = 0
    order = [int(place) for place in np.argsort(-known, kind="stable")[:FREQUENT] if known[place]]
    if not order:
        return page.subsection(title, page.paragraph("There are none."))
    rows = [
        [_shown(side.vocabulary, place), f"{known[place]:,}", percent(float(known[place] / counts.tokens.sum()))]
        for place in order
    ]
    once = int((known == 1).sum()) if counts.whole else 0
    rare = f" {counted(once, unit)} of the vocabulary occur{'s' if once == 1 else ''} but once." if once else ""
    return page.subsection(
        title,
        page.paragraph(f"In the training data{'' if counts.whole else ', as far as it was looked at'}.{rare}"),
        page.table([unit.capitalize(), "Times", "Share"], rows, name=title),
        unknown,
    )


def _shown(vocabulary: Vocabulary, place: int) -> str:
    token = vocabulary.shown[place]
    return shading.visible(token if token.isspace() else shorten(token, 40) if token.strip() == token else token[:40])


def _unknown(report: Report, side: Side) -> Html:
    """Which words of the set that was measured last are not known."""
    name, data = list(report.splits.items())[-1]
    if side.vocabulary.unit != "words":
        return Html("")
    texts = side.texts(data)
    unknown: Counter[str] = Counter()
    for place in drawn(len(texts), 2000).tolist():
        numbers, words = side.vocabulary.encode(texts[place]), side.vocabulary.pieces(texts[place])
        unknown.update(word for word, known in zip(words, numbers != UNK, strict=True) if not known)
    if not unknown:
        return Html("")
    commonest = ", ".join(f"{shorten(word, 30)} ({count:,})" for word, count in unknown.most_common(UNKNOWN))
    return page.paragraph(f"Unknown words of {name}, the commonest: {commonest}.")
