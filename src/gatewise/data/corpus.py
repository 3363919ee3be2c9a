"""`CorpusAdapter`: texts end to end, cut into stretches that predict their next token, for language models."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np

from gatewise.data.text import TextData
from gatewise.data.text_common import take, whole
from gatewise.data.vocabulary import Text, Unit, Vocabulary
from gatewise.errors import DataError, OptionError
from gatewise.sequences import EOS, UNK
from gatewise.types import Example, Results

IN_MEMORY = 64 * 2**20  # bytes of tokens; more lie in a temporary file


class Surprisal(NamedTuple):
    """What a language model answers for an example.

    Attributes:
        bits: ``-log2 p`` of each of its target tokens.
        characters: how many characters of text these tokens stand for.
    """

    bits: list[float]
    characters: int


class CorpusExamples(Sequence[Example]):
    """The stretches of a long text, made when asked for.

    Example ``i`` has ``input = tokens[i*steps : (i+1)*steps]`` and the same shifted by one as ``target``, both int64;
    every example but the first follows the one before. The last may be shorter, but has at least one step.

    Args:
        tokens: ``[M]`` of an unsigned type, at least two.
        steps: of an example.

    Example:
        >>> examples = CorpusExamples(np.arange(6, dtype=np.uint16), steps=3)
        >>> [(example.input.tolist(), example.target.tolist(), example.follows) for example in examples]
        [([0, 1, 2], [1, 2, 3], False), ([3, 4], [4, 5], True)]
    """

    def __init__(self, tokens: np.ndarray, steps: int) -> None:
        self.tokens = tokens
        self.steps = steps

    def __len__(self) -> int:
        return math.ceil((len(self.tokens) - 1) / self.steps)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]  # IndexError beyond the end; negative ones count from there
        start = place * self.steps
        stretch = np.array(self.tokens[start : start + self.steps + 1], dtype=np.int64)
        return Example(stretch[:-1], stretch[1:], follows=place > 0)

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each example, without making any."""
        lengths = np.full(len(self), self.steps, dtype=np.int64)
        lengths[-1] = len(self.tokens) - 1 - (len(self) - 1) * self.steps
        return lengths


@dataclass(frozen=True)
class CorpusAdapter:
    r"""A text as one row of tokens.

    Words: every text, a line where the data are lines, ends with ``EOS``. Other units: the lines of one text have
    their ``\n``; texts that are documents of their own end with ``EOS``.

    Attributes:
        vocabulary: numbers the tokens.
        steps: of an example: how far the gradient goes back.

    Raises:
        OptionError: fewer than one step.
    """

    vocabulary: Vocabulary
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise OptionError(f"steps: expected at least 1, got {self.steps}. 64 is a good start.")

    @classmethod
    def fit(
        cls,
        data: TextData,
        *,
        unit: Unit = "words",
        size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
        steps: int = 64,
    ) -> "CorpusAdapter":
        """The vocabulary of the training text.

        Args:
            data: training text as read; targets are not looked at.
            unit: what a token is.
            size: most tokens to know, the special ones included.
            min_count: a token that is rarer is unknown.
            lowercase: make no difference between upper and lower case.
            steps: of an example.

        Returns:
            The fitted adapter. Subwords are learnt on the first 20 million characters.

        Raises:
            DataError: texts without any token.
            OptionError: an option out of range.
        """
        vocabulary = Vocabulary.fit(
            data.texts, unit=unit, size=size, min_count=min_count, lowercase=lowercase, where=data.where
        )
        return cls(vocabulary, steps)

    def encode(self, data: TextData) -> CorpusExamples:
        """The texts end to end, in one pass; more than 64 MB of tokens lie in an unnamed temporary file.

        Args:
            data: as read.

        Returns:
            The examples in their order, made when asked for.

        Raises:
            DataError: fewer than two tokens, or no room for the temporary file.
        """
        tokens = token_array(self._parts(data), len(self.vocabulary))
        if len(tokens) < 2:
            raise DataError(f"{data.source}: expected a text of at least two tokens, got {len(tokens)}. Add text.")
        return CorpusExamples(tokens, self.steps)

    def _parts(self, data: TextData) -> Iterator[np.ndarray]:
        within_lines = data.lines and self.vocabulary.unit != "words"
        texts = map(_with_line_end, data.texts) if within_lines else data.texts
        for numbers in self.vocabulary.encode_all(texts, where=data.where):
            yield numbers if within_lines else np.append(numbers, EOS)

    def notes(self, data: TextData) -> list[str]:
        """The share of unknown tokens."""
        tokens = self.encode(data).tokens
        if not (unknown := int((tokens == UNK).sum())):
            return []
        return [f"{unknown:,} of {len(tokens):,} {self.vocabulary.unit} ({unknown / len(tokens):.2%}) are unknown"]

    def summary(self, data: TextData) -> str:
        """Size of the vocabulary and of the text, in a line."""
        tokens = len(self.encode(data).tokens)
        return f"{len(self.vocabulary):,} {self.vocabulary.unit}; {tokens:,} tokens in stretches of {self.steps:,}"

    def columns(self, data: TextData, results: Results) -> dict[str, list[Any]]:
        """``row, step, token, bits``, one row a predicted token; ``row`` is the example."""
        columns: dict[str, list[Any]] = {"row": [], "step": [], "token": [], "bits": []}
        for row, (example, prediction) in enumerate(zip(self.encode(data), results.predictions, strict=True)):
            columns["row"] += [row] * example.steps
            columns["step"] += range(example.steps)
            columns["token"] += [self.vocabulary.shown[number] for number in example.target]
            columns["bits"] += prediction.value.bits
        return columns

    @property
    def line_end(self) -> int:
        """The token after which a line or a text begins."""
        newline = [] if self.vocabulary.unit == "words" else self.vocabulary.encode("\n").tolist()
        return EOS if newline in ([], [UNK]) else newline[-1]

    def text(self, numbers: Sequence[int]) -> str:
        """The text of these tokens, its lines as they were."""
        if self.vocabulary.unit != "words":
            return self.vocabulary.decode(numbers)
        ends = [place for place, number in enumerate(numbers) if number == EOS]
        lines = [
            numbers[start:end]
            for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(numbers)], strict=True)
        ]
        return "\n".join(self.vocabulary.decode(line) for line in lines)

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """What the rows of the embeddings, and of the scores, stand for."""
        return {
            "embedding.": self.vocabulary.tokens,
            "model.weight": self.vocabulary.tokens,
            "model.bias": self.vocabulary.tokens,
        }

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON."""
        return {"vocabulary": self.vocabulary.to_plain(), "steps": self.steps}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "CorpusAdapter":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: an entry is missing, or one too many is there.
            TypeError: an entry of another type; in a nested one pydantic.ValidationError.
        """
        return cls(**take(content, vocabulary=Vocabulary.from_plain, steps=whole))


def token_array(parts: Iterable[np.ndarray], size: int) -> np.ndarray:
    """Token numbers end to end, ``[M]`` uint16 or uint32, read-only.

    Args:
        parts: token numbers, in their order.
        size: of the vocabulary; decides the type.

    Returns:
        The array; memory-mapped from a file without a name where it is large. It goes when the array goes.

    Raises:
        DataError: no room for the file.
    """
    dtype = np.dtype(np.uint16 if size <= 2**16 else np.uint32)
    parts = iter(parts)
    held = bytearray()
    for part in parts:
        held += part.astype(dtype).tobytes()
        if len(held) > IN_MEMORY:
            return _in_file(held, parts, dtype)
    return np.frombuffer(bytes(held), dtype=dtype)


def _in_file(held: bytearray, parts: Iterator[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(held)
            held.clear()
            for part in parts:
                file.write(part.astype(dtype).tobytes())
            file.flush()
            return np.memmap(file, dtype=dtype, mode="r")
    except OSError as error:
        raise DataError(
            f"corpus: expected room for the tokens in {tempfile.gettempdir()}, got: {error.strerror}. "
            "Free some, or set TMPDIR to another folder."
        ) from error


def _with_line_end(text: Text) -> str:
    return (text if isinstance(text, str) else " ".join(text)) + "\n"
