"""`describe_media`: what a set of recordings, drawings or films holds, before anyone trains on it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gatewise.data.batching import epoch_order, padding_share
from gatewise.data.describe import BATCH_SIZE, FEW_EXAMPLES, IMBALANCE
from gatewise.data.media import NOUNS, Kind, Loaded, MediaData
from gatewise.data.text_description import Spread, as_lines, in_words, listed
from gatewise.errors import DataError

STEPS: dict[Kind, str] = {
    "audio": "samples",
    "strokes": "points",
    "lines": "columns",
    "frames": "frames",
    "skeletons": "frames",
}
LONG = 10  # times the median
DENSE = 30.0  # characters a second: nobody speaks so fast


@dataclass(frozen=True)
class Transcripts:
    """What the transcripts hold.

    Attributes:
        characters: how many a transcript has.
        characters_in_all: of all together.
        words: how many a transcript has.
        words_in_all: the same.
        alphabet: (character, times), the most frequent first.
        different: how many different transcripts there are.
        empty: transcripts without a character.
    """

    characters: Spread
    characters_in_all: int
    words: Spread
    words_in_all: int
    alphabet: tuple[tuple[str, int], ...]
    different: int
    empty: int


@dataclass(frozen=True)
class MediaDescription:
    """What a set of recordings, drawings or films holds.

    Attributes:
        source: the folder or file, or ``"memory"``.
        layout: how it was understood.
        kind: audio, strokes, lines, frames or skeletons.
        items: how many there are.
        shape: of a step of the first item: ``()`` of sound, ``(H, W, C)`` of a frame.
        steps: samples, points, columns or frames of an item.
        rate: steps a second; None where there is no such thing.
        seconds: of all together; None without a rate.
        classes: (label, items) of each class, in the order of the declaration, else the most frequent first; None
            where there are no labels.
        transcripts: what they hold; None where there are none.
        padding: share of padding in batches of 32 with items of similar length together, as in training, 0 to 1.
        ids: whether items have names.
        groups: (group, items) of each, the most frequent first; None without groups.
        notes: what was left out and what looks suspicious, one sentence each.
    """

    source: str
    layout: str
    kind: Kind
    items: int
    shape: tuple[int, ...]
    steps: Spread
    rate: float | None
    seconds: float | None
    classes: tuple[tuple[str, int], ...] | None
    transcripts: Transcripts | None
    padding: float
    ids: bool
    groups: tuple[tuple[str, int], ...] | None
    notes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text, for JSON."""
        return asdict(self)

    def rows(self, noun: str) -> list[tuple[str, str]]:
        """(what, value) pairs for a table; notes are apart. ``noun`` is what items are called."""
        rows = [*([("read as", self.layout)] if self.layout else []), (noun, f"{self.items:,}")]
        if self.rate is not None and self.seconds is not None:
            each = Spread(*(value / self.rate for value in (self.steps.min, self.steps.median, self.steps.max)))
            rows.append(("rate", f"{self.rate:,.6g} {STEPS[self.kind]} a second"))
            rows.append(("seconds", f"{in_words(each)}; {_clock(self.seconds)} in all"))
        rows.append((STEPS[self.kind], in_words(self.steps)))
        if len(self.shape) > 1:
            rows.append(("of a step", " x ".join(map(str, self.shape))))
        if self.classes is not None:
            rows.append(("classes", _counted(self.classes, self.items)))
        if self.transcripts is not None:
            rows += _transcript_rows(self.transcripts)
        if self.classes is None and self.transcripts is None:
            rows.append(("target", "none"))
        rows.append(("padding", f"{self.padding:.1%} of batches of {BATCH_SIZE}"))
        if self.groups is not None:
            rows.append(("groups", _counted(self.groups, self.items)))
        return rows

    def to_text(self) -> str:
        """A few lines for a terminal."""
        return as_lines(self.source, self.rows(NOUNS[self.kind]), self.notes)


def describe_media(data: MediaData, *, unread: bool = False) -> MediaDescription:
    """Counts, lengths, classes or transcripts, groups, and notes on what looks suspicious; loads the first item alone.

    Args:
        data: as read.
        unread: nobody has looked beyond the headers of its files yet: a note says so.

    Returns:
        A plain record; ``to_text`` and ``to_plain`` show it.

    Raises:
        DataError: there is no item.

    Example:
        >>> data = MediaData("audio", [np.zeros(4), np.zeros(6)], np.array([4, 6]), ["a", "b"], rate=2.0)
        >>> describe_media(data).seconds, describe_media(data).classes
        (5.0, (('a', 1), ('b', 1)))
    """
    if not len(data):
        raise DataError(f"{data.source}: expected at least one of the {data.noun}, got none. There is nothing to tell.")
    targets = data.targets
    transcripts = None if targets is None or not data.texts else _transcripts(targets)
    classes = None if targets is None or data.texts else _classes(targets, data.classes)
    return MediaDescription(
        source=data.source,
        layout=data.layout,
        kind=data.kind,
        items=len(data),
        shape=tuple(data.items[0].shape[1:]),
        steps=_spread(data.steps),
        rate=data.rate,
        seconds=float(data.steps.sum() / data.rate) if data.rate else None,
        classes=classes,
        transcripts=transcripts,
        padding=padding_share(epoch_order(data.steps, BATCH_SIZE, seed=0, epoch=0), data.steps),
        ids=data.ids is not None,
        groups=None if data.groups is None else tuple(Counter(data.groups).most_common()),
        notes=(
            *(note.rstrip(".") for note in data.skipped),
            *(_of_headers(data) if unread else ()),
            *_length_notes(data),
            *_class_notes(classes, data.noun),
            *(_transcript_notes(data, targets, transcripts) if targets is not None and transcripts else ()),
        ),
    )


def _of_headers(data: MediaData) -> tuple[str, ...]:
    """That files may still hold a surprise, where items are loaded from files when they are asked for."""
    if not isinstance(data.items, Loaded) or not data.items.paths:
        return ()
    return (
        f"only the headers of these {len(data):,} files were read: one that is damaged further on shows in training",
    )


def _spread(values: Sequence[int] | np.ndarray) -> Spread:
    found = np.asarray(values)
    return Spread(float(found.min()), float(np.median(found)), float(found.max()))


def _classes(targets: Sequence[str], declared: tuple[str, ...] | None) -> tuple[tuple[str, int], ...]:
    counts = Counter(targets)
    names = dict.fromkeys((*(declared or ()), *(label for label, _ in counts.most_common())))
    return tuple((name, counts[name]) for name in names)


def _transcripts(targets: Sequence[str]) -> Transcripts:
    texts = [text.strip() for text in targets]
    words = [len(text.split()) for text in texts]
    return Transcripts(
        characters=_spread([len(text) for text in texts]),
        characters_in_all=sum(map(len, texts)),
        words=_spread(words),
        words_in_all=sum(words),
        alphabet=tuple(Counter(character for text in texts for character in text).most_common()),
        different=len(set(texts)),
        empty=texts.count(""),
    )


def _transcript_rows(found: Transcripts) -> list[tuple[str, str]]:
    commonest = listed([f"{_visible(character)}: {count:,}" for character, count in found.alphabet], 8)
    return [
        ("transcripts", f"{found.different:,} different"),
        ("characters", f"{in_words(found.characters)} a transcript; {found.characters_in_all:,} in all"),
        ("words", f"{in_words(found.words)} a transcript; {found.words_in_all:,} in all"),
        ("alphabet", f"{len(found.alphabet):,} ({commonest})"),
    ]


def _visible(character: str) -> str:
    return "space" if character == " " else character if character.isprintable() else f"U+{ord(character):04X}"


def _counted(counts: tuple[tuple[str, int], ...], total: int) -> str:
    if len({count for _, count in counts}) == 1 < len(counts):
        return f"{len(counts)}, {counts[0][1]:,} each ({listed([name for name, _ in counts], 10)})"
    return f"{len(counts)} ({listed([f'{name}: {count:,} ({count / total:.1%})' for name, count in counts], 10)})"


def _clock(seconds: float) -> str:
    """A time as people say it.

    >>> _clock(7.25), _clock(83), _clock(7384)
    ('7.2 s', '1 min 23 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _length_notes(data: MediaData) -> list[str]:
    median = float(np.median(data.steps))
    far = np.flatnonzero(data.steps > LONG * median)
    if not len(far):
        return []
    longest = int(data.steps.argmax())
    times = data.steps[longest] / median
    return [
        f"{len(far):,} of {len(data):,} {data.noun} are more than {LONG} times as long as most, up to {times:.0f} "
        f"times: {data.where(longest)}; a batch is as large as its longest"
    ]


def _class_notes(classes: tuple[tuple[str, int], ...] | None, noun: str) -> list[str]:
    if not classes:
        return []
    notes = []
    if len(classes) == 1:
        notes.append(f'all {noun} are of the class "{classes[0][0]}"')
    if few := [f'"{label}" ({count})' for label, count in classes if count < FEW_EXAMPLES]:
        notes.append(f"few {noun} of the class{'es' if len(few) > 1 else ''} {listed(few)}")
    present = [count for _, count in classes if count]
    if present and max(present) >= IMBALANCE * min(present):
        notes.append(
            f"classes are unbalanced, {max(present):,} {noun} to {min(present):,}; look at F1 beside accuracy, "
            "and consider class weights"
        )
    return notes


def _transcript_notes(data: MediaData, targets: Sequence[str], found: Transcripts) -> list[str]:
    notes = []
    lengths = np.array([len(text.strip()) for text in targets])
    if found.empty:
        first = int(np.flatnonzero(lengths == 0)[0])
        notes.append(f"{found.empty:,} of {len(data):,} transcripts are empty, the first: {data.where(first)}")
    seldom = [_visible(character) for character, count in found.alphabet if count < FEW_EXAMPLES]
    if seldom:
        notes.append(f"{len(seldom):,} characters occur fewer than {FEW_EXAMPLES} times: {listed(seldom, 12)}")
    most = data.steps / data.rate * DENSE if data.kind == "audio" and data.rate else data.steps
    dense = np.flatnonzero(lengths > most)
    if len(dense):
        what = f"more than {DENSE:.0f} characters a second" if data.kind == "audio" else "more characters than steps"
        notes.append(
            f"{len(dense):,} of {len(data):,} transcripts have {what}, the first: {data.where(int(dense[0]))}; they "
            "may belong to others"
        )
    return notes
