"""`TaggingAdapter`: words with their spelling, and one tag a word."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.embeddings import read_embeddings
from gatewise.data.targets import Labels
from gatewise.data.text import TextData
from gatewise.data.text_common import (
    check_most,
    head,
    range_in_words,
    size_notes,
    sizes_of,
    take,
    texts_or_raise,
    whole_or_none,
)
from gatewise.data.vocabulary import Vocabulary
from gatewise.errors import DataError
from gatewise.sequences import UNK
from gatewise.types import Example, Results, Words

SPELLING = 20  # characters of a word: of a longer one the first and the last ten, where prefixes and endings are
OUTSIDE = "O"  # the tag of words that are part of nothing


@dataclass(frozen=True)
class TaggingAdapter:
    """Sentences as words and characters, with a tag for each word.

    A word that is not known, or too rare, still has its spelling; characters keep their case even where ``words`` are
    lower-cased.

    Attributes:
        words: numbers the words of the training data.
        characters: numbers the characters of the training data.
        tags: ``O`` first where there is one, then by alphabet; the number of a tag is its place.
        max_length: most words of a sentence; of a longer one only its head is tagged. None keeps all.
        vectors: ``[V, E]`` float32, embeddings to begin with; None after reading from a file: the model has them then.
        found: how many words of the vocabulary have a vector in the file of embeddings.

    Raises:
        DataError: fewer than two tags, or the same twice.
        OptionError: a length below 1.
    """

    words: Vocabulary
    characters: Vocabulary
    tags: tuple[str, ...]
    max_length: int | None = None
    vectors: np.ndarray | None = field(default=None, compare=False, repr=False)
    found: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_most("max_length", self.max_length)
        if (self.words.unit, self.characters.unit) != ("words", "characters"):
            raise DataError(
                "TaggingAdapter: expected vocabularies of words and of characters, "
                f"got {self.words.unit} and {self.characters.unit}."
            )
        _ = self._labels  # what is wrong with the tags is found here, not at the first text

    @cached_property
    def _labels(self) -> Labels:
        return Labels(self.tags)

    @classmethod
    def fit(
        cls,
        data: TextData,
        *,
        size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
        max_length: int | None = None,
        embeddings: str | Path | None = None,
    ) -> "TaggingAdapter":
        """Words, characters and tags of the training data.

        Args:
            data: training data as read; tags that it declares are known, whether they occur or not.
            size: most words to know, the special tokens included.
            min_count: a word that is rarer is known by its spelling only.
            lowercase: words make no difference between upper and lower case; characters still do.
            max_length: most words of a sentence.
            embeddings: file of word vectors; only words of the training data are kept.

        Returns:
            The fitted adapter.

        Raises:
            DataError: no tags, a single one, another number of tags than words, or an unreadable file of vectors.
            OptionError: an option out of range.
        """
        check_most("max_length", max_length)
        # Words given as such say nothing about plain text to be tagged later: that is split by its punctuation.
        tokenised = False if all(isinstance(text, tuple) for text in data.texts) else None
        words = Vocabulary.fit(
            data.texts, size=size, min_count=min_count, lowercase=lowercase, tokenised=tokenised, where=data.where
        )
        found = set(data.classes or ())
        for index, tags in enumerate(_targets(data)):
            found.update(_checked(tags, words.pieces(data.texts[index]), data.where(index)))
        if len(found) < 2:
            got = f'only "{found.pop()}"' if found else "none"
            raise DataError(f"{data.source}: expected at least two tags, got {got}. There is nothing to tell apart.")
        characters = Vocabulary.fit(data.texts, unit="characters", where=data.where)
        tags = tuple(sorted(found, key=lambda tag: (tag != OUTSIDE, tag)))
        if embeddings is None:
            return cls(words, characters, tags, max_length)
        return cls(words, characters, tags, max_length, *read_embeddings(embeddings, words))

    def encode(self, data: TextData) -> list[Example]:
        """Every sentence as `Words` ``[T]``, ``[T, C]`` int64, with the numbers of its tags ``[T]`` int64.

        ``C`` is the longest word of the sentence, at most 20. A sentence without words is one unknown word, with the
        first tag as its target. An ``I-X`` that begins a span (IOB1) is read as ``B-X``, where there is that tag.

        Args:
            data: as read; without targets the examples have none.

        Returns:
            One example a sentence, in the order of the data.

        Raises:
            DataError: a tag that the training data does not have, or another number of tags than words; names file
                and row.
        """
        spellings: dict[str, np.ndarray] = {}
        examples = []
        for index, text in enumerate(data.texts):
            pieces = self.words.pieces(text)
            words = head(self.words.encode(tuple(pieces)), self.max_length)
            for piece in pieces:
                if piece not in spellings:
                    spellings[piece] = self._spelling(piece, data.where(index))
            input = Words(words, _padded([spellings[piece] for piece in pieces[: self.max_length]]))
            examples.append(Example(input, self._tags(data, index, pieces)))
        return examples

    def _spelling(self, word: str, where: str) -> np.ndarray:
        numbers = head(self.characters.encode(word, where=where), None)
        if len(numbers) <= SPELLING:
            return numbers
        return np.concatenate([numbers[: SPELLING // 2], numbers[-(SPELLING // 2) :]])

    def _tags(self, data: TextData, index: int, pieces: Sequence[str]) -> np.ndarray | None:
        if data.targets is None:
            return None
        tags = _checked(data.targets[index], pieces, data.where(index))[: self.max_length]
        numbers = [self._labels.encode(tag, where=data.where(index)) for tag in _begun(tags, self.tags)]
        return np.array(numbers or [0], dtype=np.int64)

    def notes(self, data: TextData) -> list[str]:
        """Sentences that are cut, words that are unknown, empty sentences, words without a vector."""
        notes = size_notes(sizes_of(self.words, data.texts, self.max_length), "words", self.max_length)
        notes = [f"{note}; they are known by their spelling only" if "unknown" in note else note for note in notes]
        if self.found is not None:
            notes.append(f"{self.found:,} of {len(self.words) - 4:,} words have a vector in the file of embeddings")
        return notes

    def summary(self, data: TextData) -> str:
        """Sizes of the vocabularies, lengths of the sentences, number of tags, in a line."""
        sizes = sizes_of(self.words, data.texts, self.max_length)
        return (
            f"{len(self.words):,} words of {len(self.characters):,} characters, {range_in_words(sizes)} words a text; "
            f"{len(self.tags)} tags"
        )

    def columns(self, data: TextData, results: Results) -> dict[str, list[Any]]:
        """``row, id, step, word, tag``, one row a word; ``id`` where the data have names."""
        rows = [
            (row, step, word, tag)
            for row, prediction in enumerate(results.predictions)
            for step, (word, tag) in enumerate(
                zip(self.words.pieces(data.texts[row])[: self.max_length], prediction.value, strict=False)
            )
        ]
        return {
            "row": [row for row, _, _, _ in rows],
            **({} if data.ids is None else {"id": [data.ids[row] for row, _, _, _ in rows]}),
            "step": [step for _, step, _, _ in rows],
            "word": [word for _, _, word, _ in rows],
            "tag": [tag for _, _, _, tag in rows],
        }

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """What the rows of the embeddings, and of the scores, stand for."""
        return {
            "model.embedding.": self.words.tokens,
            "spelling.embedding.": self.characters.tokens,
            ".head.": self.tags,
            ".crf.": self.tags,
        }

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON; without the vectors, which the model has."""
        return {
            "words": self.words.to_plain(),
            "characters": self.characters.to_plain(),
            "tags": list(self.tags),
            "max_length": self.max_length,
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "TaggingAdapter":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: an entry is missing, or one too many is there.
            TypeError: an entry of another type; in a nested one pydantic.ValidationError.
        """
        vocabulary = Vocabulary.from_plain
        return cls(
            **take(content, words=vocabulary, characters=vocabulary, tags=texts_or_raise, max_length=whole_or_none)
        )


def _padded(spellings: Sequence[np.ndarray]) -> np.ndarray:
    """``[T, C]`` int64, zero beyond each word's last character; one unknown character for no word at all."""
    if not spellings:
        return np.array([[UNK]], dtype=np.int64)
    lengths = np.array([len(spelling) for spelling in spellings])
    padded = np.zeros((len(spellings), lengths.max()), dtype=np.int64)
    padded[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(spellings)
    return padded


def _begun(tags: Sequence[str], known: Sequence[str]) -> list[str]:
    """The same spans, each beginning with ``B-X`` where that is a known tag: after anything else BIO forbids ``I-X``.

    >>> _begun(["I-LOC", "I-LOC", "O", "I-PER"], ["O", "B-LOC", "I-LOC", "I-PER"])
    ['B-LOC', 'I-LOC', 'O', 'I-PER']
    """
    begun = []
    for before, tag in pairwise((OUTSIDE, *tags)):
        begin = "B" + tag[1:]
        headless = tag.startswith("I-") and before not in (begin, tag)
        begun.append(begin if headless and begin in known else tag)
    return begun


def _targets(data: TextData) -> Sequence[Any]:
    if data.targets is None or not len(data):
        got = "none" if len(data) else "no text at all"
        raise DataError(f"{data.source}: expected tags for each text, one a word, got {got}. Name the target column.")
    return data.targets


def _checked(tags: Any, pieces: Sequence[str], where: str) -> Sequence[str]:
    if not isinstance(tags, tuple | list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"{where}: expected one tag a word, got {tags!r:.40}. Give each word its tag.")
    if len(tags) != len(pieces):
        raise DataError(
            f"{where}: expected one tag a word, {len(pieces)} in all, got {len(tags)}. Give each word its tag."
        )
    return tags
