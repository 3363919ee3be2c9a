"""`TextAdapter`, for one label a text; and under one roof the adapters of the other tasks on text."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.data.corpus import CorpusAdapter
from gatewise.data.embeddings import read_embeddings
from gatewise.data.pair_adapter import PairAdapter
from gatewise.data.record import record
from gatewise.data.sequence_adapter import label_columns
from gatewise.data.tagging_adapter import TaggingAdapter
from gatewise.data.targets import Labels
from gatewise.data.text import TextData
from gatewise.data.text_common import check_most, head, range_in_words, size_notes, sizes_of, take, whole_or_none
from gatewise.data.vocabulary import Unit, Vocabulary
from gatewise.types import Example, Results

__all__ = ["CorpusAdapter", "PairAdapter", "TaggingAdapter", "TextAdapter"]


@dataclass(frozen=True)
class TextAdapter:
    """Texts with one label each, as numbers.

    Attributes:
        vocabulary: numbers the tokens.
        labels: numbers the classes.
        max_length: most tokens of a text; of a longer one only its head is read. None keeps all.
        vectors: ``[V, E]`` float32, embeddings to begin with; None after reading from a file: the model has them then.
        found: how many words of the vocabulary have a vector in the file of embeddings.

    Raises:
        OptionError: a length below 1.
    """

    vocabulary: Vocabulary
    labels: Labels
    max_length: int | None = None
    vectors: np.ndarray | None = field(default=None, compare=False, repr=False)
    found: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_most("max_length", self.max_length)

    @classmethod
    def fit(
        cls,
        data: TextData,
        *,
        unit: Unit = "words",
        size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
        max_length: int | None = None,
        embeddings: str | Path | None = None,
    ) -> "TextAdapter":
        """Vocabulary and labels of the training data.

        Args:
            data: training data as read.
            unit: what a token is.
            size: most tokens to know, the special ones included.
            min_count: a token that is rarer is unknown.
            lowercase: make no difference between upper and lower case.
            max_length: most tokens of a text.
            embeddings: file of word vectors; only words of the training data are kept.

        Returns:
            The fitted adapter.

        Raises:
            DataError: no labels, a single class, texts without a token, or a file of vectors that cannot be read.
            OptionError: an option out of range, or embeddings of another unit than words.
        """
        check_most("max_length", max_length)
        labels = Labels.fit(data)
        vocabulary = Vocabulary.fit(
            data.texts,
            unit=unit,
            size=size,
            min_count=min_count,
            lowercase=lowercase,
            leading_space=True,
            where=data.where,
        )
        if embeddings is None:
            return cls(vocabulary, labels, max_length)
        return cls(vocabulary, labels, max_length, *read_embeddings(embeddings, vocabulary))

    def with_labels(self, labels: Labels) -> "TextAdapter":
        """The same with other labels."""
        return replace(self, labels=labels)

    def encode(self, data: TextData) -> list[Example]:
        """Every text as ``[T]`` int64 with the number of its class; an empty text is one unknown token.

        Args:
            data: as read; without targets the examples have none.

        Returns:
            One example a text, in the order of the data.

        Raises:
            DataError: a label that the training data does not have; names file and row.
        """
        numbers = self.vocabulary.encode_all(data.texts, where=data.where)
        inputs = (head(text, self.max_length) for text in numbers)
        if data.targets is None:
            return [Example(text) for text in inputs]
        labels = [self.labels.encode(label, where=data.where(index)) for index, label in enumerate(data.targets)]
        return [Example(text, label) for text, label in zip(inputs, labels, strict=True)]

    def notes(self, data: TextData) -> list[str]:
        """Texts that are cut, tokens that are unknown, empty texts, words without a vector."""
        sizes = sizes_of(self.vocabulary, data.texts, self.max_length)
        notes = size_notes(sizes, self.vocabulary.unit, self.max_length)
        if self.found is not None:
            notes.append(
                f"{self.found:,} of {len(self.vocabulary) - 4:,} words have a vector in the file of embeddings"
            )
        return notes

    def summary(self, data: TextData) -> str:
        """Size of the vocabulary, lengths of the texts, number of classes, in a line."""
        sizes = sizes_of(self.vocabulary, data.texts, self.max_length)
        classes = len(self.labels.classes)
        return (
            f"{len(self.vocabulary):,} {self.vocabulary.unit}, {range_in_words(sizes)} tokens a text; {classes} classes"
        )

    def columns(self, data: TextData, results: Results) -> dict[str, list[Any]]:
        """``row, id, label, p_<class>...``, one row a text; ``id`` where the data have names."""
        return label_columns(self.labels, data.ids, results)

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """What the rows of the embeddings, and of the scores, stand for."""
        return {".embedding.": self.vocabulary.tokens, ".head.": self.labels.classes}

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON; without the vectors, which the model has."""
        return {
            "vocabulary": self.vocabulary.to_plain(),
            "labels": asdict(self.labels),
            "max_length": self.max_length,
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "TextAdapter":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: an entry is missing, or one too many is there.
            TypeError: an entry of another type; in a nested one pydantic.ValidationError.
        """
        return cls(
            **take(
                content,
                vocabulary=Vocabulary.from_plain,
                labels=lambda labels: record(Labels, labels),
                max_length=whole_or_none,
            )
        )
