"""`TextDescription`: what `describe_text` found in texts, as a record and in words."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the most of some numbers."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Side:
    """What the texts hold, or what the answers hold.

    Attributes:
        words: how many a text has, punctuation among them.
        characters: how many a text has; of words given as such, with a space between them.
        words_in_all: of all texts together.
        characters_in_all: the same.
        alphabet: how many different characters there are.
        vocabulary: how many different words there are.
        once: how many of these occur a single time.
        new: share of the words in the last tenth of the texts that the texts before do not have, 0 to 1; None for a
            single text.
        tokenised: whether punctuation stands apart, so that words are what spaces separate.
        empty: texts without a word.
    """

    words: Spread
    characters: Spread
    words_in_all: int
    characters_in_all: int
    alphabet: int
    vocabulary: int
    once: int
    new: float | None
    tokenised: bool
    empty: int


@dataclass(frozen=True)
class TextDescription:
    """What a set of texts holds.

    Attributes:
        source: the file, or ``"memory"``.
        layout: how it was understood.
        texts: how many there are.
        lines: whether they are the successive lines of one text.
        text: what they hold.
        answer: the same of the answers, where these are texts; else None.
        ratio: words of an answer for each word of its text, of pairs without an empty side; else None.
        equal: pairs whose two sides are the same; None without answers that are texts.
        classes: (label, texts) of each class, the most frequent first; None where there are no labels.
        tags: (tag, words) of each tag, the most frequent first; None where there are no tags.
        spans: (type, spans) of each type, the most frequent first, where the tags are BIO; else None.
        repeated: texts with a word that repeat an earlier one.
        repeated_share: their share of the texts with a word, 0 to 1.
        contradicted: different texts that occur with more than one answer; None without answers.
        ids: whether texts have names.
        groups: number of groups; None without groups.
        notes: what looks suspicious, one sentence each.
    """

    source: str
    layout: str
    texts: int
    lines: bool
    text: Side
    answer: Side | None
    ratio: Spread | None
    equal: int | None
    classes: tuple[tuple[str, int], ...] | None
    tags: tuple[tuple[str, int], ...] | None
    spans: tuple[tuple[str, int], ...] | None
    repeated: int
    repeated_share: float
    contradicted: int | None
    ids: bool
    groups: int | None
    notes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text, for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """(what, value) pairs for a table; notes are apart."""
        rows = [*([("read as", self.layout)] if self.layout else []), (self._unit + "s", f"{self.texts:,}")]
        if self.answer is None:
            rows += _side_rows(self.text, f"a {self._unit}", "")
        else:
            rows += [*_side_rows(self.text, "a text", "text: "), *_side_rows(self.answer, "an answer", "answer: ")]
        if self.ratio is not None:
            rows.append(("ratio", f"{in_words(self.ratio)} words of the answer a word of the text"))
        if self.equal is not None:
            rows.append(("equal sides", f"{self.equal:,} ({self.equal / self.texts:.1%})" if self.equal else "none"))
        for name, counts in (("classes", self.classes), ("tags", self.tags), ("spans", self.spans)):
            if counts is not None:
                rows.append((name, _counts_in_words(counts)))
        repeated = f"{self.repeated:,} {self._unit}s ({self.repeated_share:.1%})" if self.repeated else "none"
        rows.append(("repeated", repeated))
        if self.text.empty:
            rows.append(("empty", f"{self.text.empty:,} of {self.texts:,} {self._unit}s"))
        if self.groups is not None:
            rows.append(("groups", f"{self.groups:,}"))
        return rows

    @property
    def _unit(self) -> str:
        return "line" if self.lines else "text"

    def to_text(self) -> str:
        """A few lines for a terminal."""
        return as_lines(self.source, self.rows(), self.notes)


def _side_rows(side: Side, unit: str, prefix: str) -> list[tuple[str, str]]:
    words = f"{in_words(side.words)} {unit}; {side.words_in_all:,} in all"
    characters = f"{in_words(side.characters)} {unit}; {side.characters_in_all:,} in all, {side.alphabet:,} different"
    rows = [(f"{prefix}words", words), (f"{prefix}characters", characters)]
    once = f", {side.once:,} of them once ({side.once / side.vocabulary:.1%})" if side.vocabulary else ""
    rows.append((f"{prefix}vocabulary", f"{side.vocabulary:,} words{once}"))
    if side.new is not None:
        rows.append((f"{prefix}new words", f"{side.new:.1%} of the words of the last tenth do not occur before it"))
    apart = "stands apart: words are what spaces separate"
    rows.append((f"{prefix}punctuation", apart if side.tokenised else "is attached to words, and split off"))
    return rows


def as_lines(source: str, rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """A description for a terminal: the source, (what, value) pairs one below another, and notes.

    >>> print(as_lines("a.csv", [("rows", "3"), ("classes", "2")], ["one row is empty"]))
    a.csv
      rows     3
      classes  2
      note: one row is empty
    """
    width = max(len(name) for name, _ in rows)
    lines = [source, *(f"  {name:<{width}}  {value}" for name, value in rows)]
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])


def in_words(spread: Spread) -> str:
    """As people read numbers.

    >>> in_words(Spread(1, 2.5, 1200)), in_words(Spread(3, 3, 3))
    ('1 to 1,200, median 2.5', '3')
    """
    least, middle, most = (f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in astuple(spread))
    return least if spread.min == spread.max else f"{least} to {most}, median {middle}"


def _counts_in_words(counts: tuple[tuple[str, int], ...]) -> str:
    total = sum(count for _, count in counts)
    return f"{len(counts)} ({listed([f'{name}: {count:,} ({count / total:.1%})' for name, count in counts], 10)})"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown}, ... {len(names) - most:,} more" if len(names) > most else shown
