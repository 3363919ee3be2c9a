"""`describe_text`: what a file of texts holds, before anyone trains on it; with whatever looks suspicious."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.describe import FEW_EXAMPLES, IMBALANCE
from gatewise.data.files import DAMAGE, open_unpacked, suffixes
from gatewise.data.text import TextData
from gatewise.data.text_description import Side, Spread, TextDescription, listed
from gatewise.data.vocabulary import Text
from gatewise.data.words import looks_tokenised, split_words
from gatewise.errors import DataError

VERY_LONG = 1000  # words
LAST = 10  # the last tenth is compared with what stands before it
TEXT_SUFFIXES = (".jsonl", ".json", ".conll", ".conllu", ".iob", ".iob2", ".bio")
HEAD = 1 << 16  # bytes that are looked at to see whether a file is prose
# C0 and C1 controls but for tab, line feed and carriage return; a byte order mark in the midst of a text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
_REPLACED = re.compile("\ufffd")
_MISREAD = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac")  # UTF-8 that was once read as Latin-1
_WORDS_IN_A_ROW = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")


def describe_text(data: TextData, *, labelled: bool = True) -> TextDescription:
    """Counts, lengths, classes or tags, vocabulary, repeated texts, and notes on what looks suspicious.

    The texts are looked at one after the other; of each only its lengths and a hash are kept.

    Args:
        data: as read.
        labelled: targets of one ``str`` a text are labels; else they are texts themselves.

    Returns:
        A plain record; ``to_text`` and ``to_plain`` show it.

    Raises:
        DataError: there is no text.

    Example:
        >>> told = describe_text(TextData(["a fine film", "so so", "so so"], ["1", "0", "1"]))
        >>> told.text.vocabulary, told.classes, told.contradicted
        (4, (('1', 2), ('0', 1)), 1)
    """
    if not len(data):
        raise DataError(f"{data.source}: expected at least one text, got none. There is nothing to describe.")
    tagged = data.targets is not None and not isinstance(data.targets[0], str)
    looked = _Looked(data.texts)
    answers = None if data.targets is None or tagged or labelled else _Looked(data.targets)
    both = None if answers is None else (looked.words > 0) & (answers.words > 0)
    classes = _counts(data.targets, data.classes) if data.targets is not None and not tagged and labelled else None
    tags = _counts(tag for sentence in data.targets for tag in sentence) if data.targets and tagged else None
    spans = _Spans(data) if tags is not None and _are_bio([tag for tag, _ in tags]) else None
    repeats = _Repeats(looked, None if data.targets is None else _hashes(data.targets))
    return TextDescription(
        source=data.source,
        layout=data.layout,
        texts=len(data),
        lines=data.lines,
        text=looked.side(),
        answer=None if answers is None else answers.side(),
        ratio=None if answers is None or not np.any(both) else _spread_of(answers.words[both] / looked.words[both]),
        equal=None if answers is None else int(((looked.hashes == answers.hashes) & both).sum()),
        classes=classes,
        tags=tags,
        spans=None if spans is None else spans.counts,
        repeated=repeats.count,
        repeated_share=repeats.share,
        contradicted=None if data.targets is None else repeats.contradicted,
        ids=data.ids is not None,
        groups=None if data.groups is None else len(set(data.groups)),
        notes=(
            *looked.notes(data, "lines" if data.lines else "texts"),
            *(answers.notes(data, "answers") if answers else ()),
            *_class_notes(classes),
            *_tag_notes(tags),
            *(spans.notes(data) if spans else ()),
            *repeats.notes(data),
        ),
    )


def seems_text(path: Path) -> bool:
    """Whether a file is text rather than numbers: by its name, or because most of its lines have words side by side.

    Args:
        path: of any file; what cannot be read is no text.

    Returns:
        A guess, made from the first 64 KiB.
    """
    if suffixes(path)[0] in TEXT_SUFFIXES:
        return True
    try:
        with open_unpacked(path) as file:
            head = file.read(HEAD)
    except (*DAMAGE, DataError):
        return False
    lines = [line for line in head.decode(errors="replace").splitlines() if line.strip()]
    prose = sum(_WORDS_IN_A_ROW.search(line) is not None for line in lines)
    return b"\0" not in head and 2 * prose > len(lines)


class _Looked:
    """One pass over texts: lengths ``[N]``, hashes ``[N]``, words and how often each occurs."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.tokenised = looks_tokenised(texts)
        self.counts: Counter[str] = Counter()
        self.alphabet: set[str] = set()
        self.found: dict[str, list[int]] = {"control characters": [], "U+FFFD": [], "misread": []}
        words, characters, hashes = [], [], []
        known: set[str] = set()
        new = tail = 0
        last = len(texts) - max(len(texts) // LAST, 1)
        for index, (text, pieces) in enumerate(self._pieces(texts)):
            if index == last:
                known = set(self.counts)
            if index >= last:
                new += sum(piece not in known for piece in pieces)
                tail += len(pieces)
            self.counts.update(pieces)
            self._look_for_oddities(text, index)
            words.append(len(pieces))
            characters.append(len(text))
            hashes.append(hash(text))
        self.words = np.array(words, dtype=np.int64)
        self.characters = np.array(characters, dtype=np.int64)
        self.hashes = np.array(hashes, dtype=np.int64)  # two of 64 bits are the same by chance in no file that exists
        self.new = new / tail if last and tail else None

    def _pieces(self, texts: Sequence[Text]) -> Iterator[tuple[str, Sequence[str]]]:
        for text in texts:
            if isinstance(text, str):
                yield text, split_words(text, tokenised=self.tokenised)
            else:
                yield " ".join(text), text

    def _look_for_oddities(self, text: str, index: int) -> None:
        self.alphabet.update(text)
        if text.isascii() and text.isprintable():
            return  # nearly all texts
        for name, pattern in (("control characters", _CONTROL), ("U+FFFD", _REPLACED), ("misread", _MISREAD)):
            if pattern.search(text):
                self.found[name].append(index)

    def side(self) -> Side:
        return Side(
            words=_spread_of(self.words),
            characters=_spread_of(self.characters),
            words_in_all=int(self.words.sum()),
            characters_in_all=int(self.characters.sum()),
            alphabet=len(self.alphabet),
            vocabulary=len(self.counts),
            once=sum(count == 1 for count in self.counts.values()),
            new=self.new,
            tokenised=self.tokenised,
            empty=int((self.words == 0).sum()),
        )

    def notes(self, data: TextData, texts: str) -> list[str]:
        control, replaced, misread = self.found.values()
        cases = [
            (control, "have control characters"),
            (replaced, "have U+FFFD, which stands for a character that was lost"),
            (misread, 'seem to be UTF-8 that was read as Latin-1 ("Ã©" for "é")'),
            (np.flatnonzero(self.words > VERY_LONG).tolist(), f"have more than {VERY_LONG:,} words"),
        ]
        if not data.lines:  # a text may have blank lines
            cases.append((np.flatnonzero(self.words == 0).tolist(), "have no word"))
        return [
            f"{len(which):,} of {len(data):,} {texts} {what}, the first: {_place(data, which[0])}"
            for which, what in cases
            if which
        ]


class _Repeats:
    """Texts that occur again: share of all, the first of them, and whether their answers agree."""

    def __init__(self, looked: _Looked, answers: np.ndarray | None) -> None:
        places = np.flatnonzero(looked.words)  # an empty text repeats nothing
        hashes = looked.hashes[places]
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        again = np.setdiff1d(np.arange(len(places)), first)
        self.count = len(again)
        self.share = len(again) / len(places) if len(places) else 0.0
        self.pair = (int(places[again[0]]), int(places[first[which[again[0]]]])) if len(again) else None
        self.contradicted = 0
        if answers is not None and len(places):
            different = np.unique(np.stack([which, answers[places]]), axis=1)  # [2, *]: each text with each answer
            self.contradicted = int((np.bincount(different[0]) > 1).sum())

    def notes(self, data: TextData) -> list[str]:
        if self.pair is None or data.lines:  # of the lines of a text many repeat
            return []
        second, first = (_place(data, index) for index in self.pair)
        notes = [f"{self.count:,} of {len(data):,} texts repeat another one, the first: {second} as {first}"]
        if self.contradicted:
            notes.append(f"texts that occur with different answers: {self.contradicted:,}")
        return notes


class _Spans:
    """Spans of tags in the BIO scheme, and those that begin without a B, as ``metrics.bio_spans`` counts them."""

    def __init__(self, data: TextData) -> None:
        counts: Counter[str] = Counter()
        self.headless: list[int] = []  # texts, one entry a span
        for index, tags in enumerate(data.targets or ()):
            for before, tag in pairwise(("O", *tags)):
                prefix, _, kind = tag.partition("-")
                if prefix == "B":
                    counts[kind] += 1
                elif prefix == "I" and before not in (f"B-{kind}", tag):
                    counts[kind] += 1
                    self.headless.append(index)
        self.counts = tuple(counts.most_common())

    def notes(self, data: TextData) -> list[str]:
        if not self.headless:
            return []
        spans = sum(count for _, count in self.counts)
        return [f"{len(self.headless):,} of {spans:,} spans begin with I- instead of B-, the first: "
                f"{_place(data, self.headless[0])}"]  # fmt: skip


def _are_bio(tags: Sequence[str]) -> bool:
    """Whether tags are O, B-X and I-X throughout.

    >>> _are_bio(["O", "B-PER"]), _are_bio(["O", "I-PER", "E-PER"]), _are_bio(["O"])
    (True, False, False)
    """
    inside = [tag for tag in tags if tag != "O"]
    return bool(inside) and all(tag[:2] in ("B-", "I-") for tag in inside)


def _counts(labels: Iterable[str], declared: Sequence[str] | None = None) -> tuple[tuple[str, int], ...]:
    """The most frequent first; declared ones that do not occur last."""
    counts = Counter(labels)
    return (*counts.most_common(), *((label, 0) for label in declared or () if label not in counts))


def _hashes(targets: Sequence[Any]) -> np.ndarray:
    return np.fromiter(map(hash, targets), dtype=np.int64, count=len(targets))


def _class_notes(classes: tuple[tuple[str, int], ...] | None) -> list[str]:
    if not classes:
        return []
    notes = [f'all texts are of the class "{classes[0][0]}"'] if len(classes) == 1 else []
    if few := [f'"{label}" ({count:,})' for label, count in classes if count < FEW_EXAMPLES]:
        notes.append(f"few texts of the class{'es' if len(few) > 1 else ''} {listed(few)}")
    present = [count for _, count in classes if count]
    if max(present) >= IMBALANCE * min(present):
        notes.append(
            f"classes are unbalanced, {max(present):,} texts to {min(present):,}; look at F1 beside accuracy, "
            "and consider class weights"
        )
    return notes


def _tag_notes(tags: tuple[tuple[str, int], ...] | None) -> list[str]:
    """Not that they are unbalanced: of tags O is always the most frequent by far."""
    if not tags:
        return []
    notes = [f'all words have the tag "{tags[0][0]}"'] if len(tags) == 1 else []
    if few := [f'"{tag}" ({count:,})' for tag, count in tags if count < FEW_EXAMPLES]:
        notes.append(f"few words with the tag{'s' if len(few) > 1 else ''} {listed(few)}")
    return notes


def _spread_of(numbers: np.ndarray) -> Spread:
    return Spread(float(numbers.min()), float(np.median(numbers)), float(numbers.max()))


def _place(data: TextData, index: int) -> str:
    """Where a text stands in its file, which is named above."""
    return data.where(index).removeprefix(f"{data.source}, ")
