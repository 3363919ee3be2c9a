"""`PairAdapter`: a text and the text that should come out of it, for translation and summarisation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise.data.fields import shorten
from gatewise.data.text import TextData
from gatewise.data.text_common import check_most, range_in_words, size_notes, sizes_of, take, whole_or_none
from gatewise.data.vocabulary import Text, Unit, Vocabulary
from gatewise.errors import DataError
from gatewise.sequences import EOS
from gatewise.types import Example, Results


@dataclass(frozen=True)
class PairAdapter:
    """Texts and their answers as numbers, each with ``EOS`` at its end.

    Attributes:
        source: numbers the tokens of the texts.
        target: numbers the tokens of the answers; the same vocabulary where both sides share one.
        max_length: most tokens of a text before its ``EOS``; of a longer one only its head is read. None keeps all.
        max_target_length: the same of an answer.

    Raises:
        OptionError: a length below 1.
    """

    source: Vocabulary
    target: Vocabulary
    max_length: int | None = None
    max_target_length: int | None = None

    def __post_init__(self) -> None:
        check_most("max_length", self.max_length)
        check_most("max_target_length", self.max_target_length)

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
        max_target_length: int | None = None,
        shared: bool = False,
    ) -> "PairAdapter":
        """The vocabularies of both sides of the training data.

        Args:
            data: training data as read; its targets are texts.
            unit: what a token is, on both sides.
            size: most tokens to know on each side, the special ones included.
            min_count: a token that is rarer is unknown.
            lowercase: make no difference between upper and lower case, in the answers either.
            max_length: most tokens of a text.
            max_target_length: most tokens of an answer.
            shared: one vocabulary for both sides, as copying from the text needs.

        Returns:
            The fitted adapter.

        Raises:
            DataError: no targets, targets that are not texts, or a side without any token.
            OptionError: an option out of range.
        """
        targets = _targets(data)

        def fit(texts: Sequence[Text]) -> Vocabulary:
            return Vocabulary.fit(
                texts,
                unit=unit,
                size=size,
                min_count=min_count,
                lowercase=lowercase,
                leading_space=True,  # copied from within a text, a word may begin the answer
                where=lambda index: data.where(index % len(data)),
            )

        if shared:
            both = fit(_Both(data.texts, targets))
            return cls(both, both, max_length, max_target_length)
        return cls(fit(data.texts), fit(targets), max_length, max_target_length)

    @property
    def shared(self) -> bool:
        """Whether a number means the same token on both sides."""
        return self.source == self.target

    def encode(self, data: TextData) -> list[Example]:
        """Every text as ``[T]`` int64 with its answer ``[S]`` int64; both end with ``EOS``, an empty one has only it.

        Args:
            data: as read; without targets the examples have none.

        Returns:
            One example a text, in the order of the data.

        Raises:
            DataError: a target that is not a text; names file and row.
        """
        inputs = _ended(self.source, data.texts, self.max_length, data)
        if data.targets is None:
            return [Example(text) for text in inputs]
        answers = _ended(self.target, _targets(data), self.max_target_length, data)
        both = zip(inputs, answers, data.targets, strict=True)
        return [Example(text, answer, reference=target) for text, answer, target in both]

    def notes(self, data: TextData) -> list[str]:
        """Texts and answers that are cut or empty, tokens that are unknown."""
        sizes = sizes_of(self.source, data.texts, self.max_length)
        notes = size_notes(sizes, self.source.unit, self.max_length)
        if data.targets is None:
            return notes
        sizes = sizes_of(self.target, data.targets, self.max_target_length)
        return [*notes, *size_notes(sizes, self.target.unit, self.max_target_length, texts="answers")]

    def summary(self, data: TextData) -> str:
        """Sizes of the vocabularies, lengths of texts and answers, in a line."""
        both = f"{len(self.source):,} {self.source.unit} for both sides"
        apart = f"{len(self.source):,} {self.source.unit} to {len(self.target):,} {self.target.unit}"
        texts = range_in_words(sizes_of(self.source, data.texts, self.max_length))
        line = f"{both if self.shared else apart}, {texts} tokens a text"
        if data.targets is None:
            return line
        return f"{line}, {range_in_words(sizes_of(self.target, data.targets, self.max_target_length))} an answer"

    def columns(self, data: TextData, results: Results) -> dict[str, list[Any]]:
        """``row, id, answer``, one row a text; ``id`` where the data have names."""
        return {
            "row": list(range(len(results.predictions))),
            **({} if data.ids is None else {"id": list(data.ids)}),
            "answer": [prediction.value for prediction in results.predictions],
        }

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """What the rows of the embeddings, and of the scores, stand for."""
        answers = self.target.tokens
        parts = ("decoder.embedding.", "decoder.weight", "decoder.bias")
        return {"source_embedding.": self.source.tokens, **dict.fromkeys(parts, answers)}

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON; a shared vocabulary stands there once."""
        return {
            "source": self.source.to_plain(),
            "target": None if self.shared else self.target.to_plain(),
            "max_length": self.max_length,
            "max_target_length": self.max_target_length,
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "PairAdapter":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: an entry is missing, or one too many is there.
            TypeError: an entry of another type; in a nested one pydantic.ValidationError.
        """

        def vocabulary(plain: dict[str, Any] | None) -> Vocabulary | None:
            return None if plain is None else Vocabulary.from_plain(plain)

        parts = take(
            content,
            source=Vocabulary.from_plain,
            target=vocabulary,
            max_length=whole_or_none,
            max_target_length=whole_or_none,
        )
        return cls(**{**parts, "target": parts["target"] or parts["source"]})


class _Both(Sequence[Text]):
    """Texts, then answers, without a copy of either."""

    def __init__(self, texts: Sequence[Text], answers: Sequence[Text]) -> None:
        self._sides = texts, answers

    def __len__(self) -> int:
        return sum(map(len, self._sides))

    def __getitem__(self, index: Any) -> Any:
        texts, answers = self._sides
        return texts[index] if index < len(texts) else answers[index - len(texts)]


def _ended(vocabulary: Vocabulary, texts: Sequence[Text], most: int | None, data: TextData) -> Iterator[np.ndarray]:
    for numbers in vocabulary.encode_all(texts, where=data.where):
        yield np.append(numbers[:most], EOS)


def _targets(data: TextData) -> Sequence[str]:
    if data.targets is None or not len(data):
        got = "none" if len(data) else "no text at all"
        raise DataError(f"{data.source}: expected an answer for each text, got {got}. Name the target column.")
    for index, target in enumerate(data.targets):
        if not isinstance(target, str):
            raise DataError(
                f"{data.where(index)}: expected a text as the answer, got {shorten(repr(target))}. "
                "All targets must be of one kind."
            )
    return data.targets
