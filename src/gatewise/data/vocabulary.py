"""`Vocabulary`: from a text to numbers and back, by words, characters, bytes or subwords."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gatewise.data import subwords
from gatewise.data.record import record
from gatewise.data.words import join_words, looks_tokenised, space_table, split_words
from gatewise.errors import DataError, OptionError, did_you_mean
from gatewise.sequences import EOS, UNK

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Unit = Literal["words", "characters", "bytes", "subwords"]
Text = str | tuple[str, ...]

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")  # the tokens of PAD, UNK, BOS and EOS
UNITS: tuple[Unit, ...] = ("words", "characters", "bytes", "subwords")
SUBWORDS = 8_000  # tokens where no size is given
BYTES = (*SPECIALS, *(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in range(256)))
UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Vocabulary:
    r"""The tokens that are known, and the number of each.

    A text is a ``str``, or a tuple of words where the file itself says what a word is: such words are taken as they
    are; for other units they are joined by spaces. ``<unk>`` in a text of words is the unknown word, and so are the
    names of the other special tokens.

    Attributes:
        unit: ``"words"``; ``"characters"`` (Unicode code points, ``\n`` among them); ``"bytes"`` (of UTF-8, all 256);
            ``"subwords"`` (byte-level BPE). Only words and characters can be unknown.
        tokens: the token of each number: ``<pad> <unk> <bos> <eos>``, then the most frequent first.
        lowercase: whether upper and lower case are the same.
        tokenised: punctuation stands apart in the data. The unit ``"words"`` is then what spaces separate, else what
            :func:`gatewise.data.words.split_words` finds; and BLEU counts words in the same way.
        model: of subwords, the tokenizer of the library ``tokenizers`` as JSON text; else None.

    Raises:
        DataError: other special tokens, the same token twice, or a subword model that does not fit.

    Example:
        >>> vocabulary = Vocabulary.fit(["a rose is a rose", "is it?"])
        >>> vocabulary.encode("a rose, is it?").tolist()
        [4, 6, 1, 5, 8, 7]
        >>> vocabulary.decode([4, 6, 5, 8, 7])
        'a rose is it?'
    """

    unit: Unit
    tokens: tuple[str, ...]
    lowercase: bool = False
    tokenised: bool = False
    model: str | None = None

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        if self.tokens[: len(SPECIALS)] != SPECIALS:
            got = ", ".join(self.tokens[: len(SPECIALS)]) or "none"
            raise DataError(f"Vocabulary: expected {', '.join(SPECIALS)} as the first tokens, got {got}.")
        if len(set(self.tokens)) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise DataError(f'Vocabulary: expected each token once, got "{twice}" twice. Take the second one out.')
        if (self.model is None) == (self.unit == "subwords"):
            raise DataError(f"Vocabulary: expected a model with subwords and with nothing else, got {self.unit}.")
        if self.unit == "characters" and any(len(token) != 1 for token in self.tokens[len(SPECIALS) :]):
            raise DataError("Vocabulary: expected single characters as tokens, got longer ones. Use words.")
        if self.unit == "bytes" and self.tokens != BYTES:
            raise DataError(f"Vocabulary: expected the 256 bytes in their order, got {len(self.tokens)} other tokens.")
        if self.model is not None:
            _ = self._tokenizer  # a damaged model is found here, not at the first text

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def fit(
        cls,
        texts: Sequence[Text],
        *,
        unit: Unit = "words",
        size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
        tokenised: bool | None = None,
        leading_space: bool = False,
        where: Callable[[int], str] = "text {}".format,
    ) -> "Vocabulary":
        """The tokens of the training data, the most frequent first, those of equal count in the order of the alphabet.

        Args:
            texts: of the training data.
            unit: what a token is.
            size: most tokens, with the four special ones; None for all of them, and for 8,000 subwords. Bytes are
                always 260.
            min_count: a word or character that occurs less often is unknown; subwords are merged from pairs that
                occur so often.
            lowercase: make no difference between upper and lower case.
            tokenised: as the attribute; None measures it on the texts.
            leading_space: of subwords, as :attr:`leading_space`.
            where: how an error names text ``i``.

        Returns:
            The vocabulary. Subwords are learnt on the first 20 million characters.

        Raises:
            DataError: texts without any token, or with half of a surrogate pair.
            OptionError: an unknown unit, a size without room for a token, or a count below 1.
        """
        _check_options(unit, size, min_count)
        tokenised = looks_tokenised(texts) if tokenised is None else tokenised
        for index, text in enumerate(texts):
            _check_unicode(text, where(index))
        if unit == "bytes":
            return cls(unit, BYTES, lowercase, tokenised)
        if unit == "subwords":
            prepared = (_joined(text, lowercase) for text in texts)
            model, tokens = subwords.train(
                prepared,
                size=size or SUBWORDS,
                min_count=min_count,
                specials=SPECIALS,
                leading_space=leading_space,
            )
            return cls(unit, tokens, lowercase, tokenised, model)
        if unit == "characters":
            counts = _count_characters(texts, lowercase)
            counts["\n"] = max(counts["\n"] + len(texts), min_count)  # the end of a line is always known
        else:
            counts = _count_words(texts, lowercase, tokenised)
        if not counts:
            raise DataError("Vocabulary: expected texts with at least one word, got none. Check which column is read.")
        known = sorted((token for token, count in counts.items() if count >= min_count), key=lambda t: (-counts[t], t))
        room = None if size is None else size - len(SPECIALS)
        return cls(unit, (*SPECIALS, *known[:room]), lowercase, tokenised)

    def encode(self, text: Text, *, where: str = "Vocabulary") -> np.ndarray:
        """``[T]`` int64, without ``BOS`` and ``EOS``; no step at all for an empty text.

        Args:
            text: of any length.
            where: how an error names it.

        Returns:
            The numbers; ``UNK`` for a token that is not known.

        Raises:
            DataError: half of a surrogate pair, which no UTF-8 file holds.
        """
        if self.unit == "words":
            words = self._words(text)
            return np.fromiter(map(self._numbers.get, words, repeat(UNK)), dtype=np.int64, count=len(words))
        _check_unicode(text, where)
        joined = _joined(text, self.lowercase)
        if self.unit == "subwords":
            return np.array(next(subwords.encode_all(self._tokenizer, [joined])), dtype=np.int64)
        if self.unit == "bytes":
            return np.frombuffer(joined.encode(), dtype=np.uint8).astype(np.int64) + len(SPECIALS)
        codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
        return self._number_of_code[np.minimum(codes, len(self._number_of_code) - 1)]

    def encode_all(
        self, texts: Iterable[Text], *, where: Callable[[int], str] = "text {}".format
    ) -> Iterator[np.ndarray]:
        """:meth:`encode` of each text; subwords many texts at once, on all cores. ``where`` names text ``i``."""
        if self.unit != "subwords":
            for index, text in enumerate(texts):
                yield self.encode(text, where=where(index))
            return

        def prepared() -> Iterator[str]:
            for index, text in enumerate(texts):
                _check_unicode(text, where(index))
                yield _joined(text, self.lowercase)

        for numbers in subwords.encode_all(self._tokenizer, prepared()):
            yield np.array(numbers, dtype=np.int64)

    def pieces(self, text: Text) -> list[str]:
        """The part of the text that each token of :meth:`encode` stands for, for showing; words as they are spelt."""
        if self.unit == "words":
            words = text if isinstance(text, tuple) else split_words(text, tokenised=self.tokenised)
            return list(words)
        if self.unit == "characters":
            return list(_joined(text, self.lowercase))
        return [self.shown[number] for number in self.encode(text)]

    def decode(self, numbers: Sequence[int] | np.ndarray, *, begins: bool = True) -> str:
        """The text of these numbers, without ``<pad>``, ``<bos>`` and ``<eos>``.

        An unknown word reads ``<unk>``, an unknown character U+FFFD. Words are joined by spaces; where punctuation did
        not stand apart in the data, it is put back onto its word. Of the other units nothing is lost but case, if
        ``lowercase``, and the unknown; with a :attr:`leading_space`, a space that a text begins with.

        Args:
            numbers: of tokens, ``[T]``.
            begins: whether a text begins with them, or they stand within one.

        Returns:
            The text.
        """
        kept = [int(number) for number in numbers if number == UNK or number > EOS]
        if self.unit == "words":
            return join_words([self.tokens[number] for number in kept], tokenised=self.tokenised)
        if self.unit == "characters":
            return "".join(self.shown[number] for number in kept)
        if self.unit == "subwords":
            text = self._tokenizer.decode([number for number in kept if number != UNK], skip_special_tokens=False)
            return text.removeprefix(" ") if begins and self.leading_space else text
        return bytes(number - len(SPECIALS) for number in kept if number != UNK).decode(errors="replace")

    def characters(self, numbers: Sequence[int] | np.ndarray, *, before: int = EOS) -> int:
        """How many characters of text these tokens stand for, to give a loss in bits per character.

        Words count with the space before them and ``EOS`` as the end of its line: lines of words count as many
        characters as they have. In other units ``EOS`` is no character, the end of a line is a token of its own. An
        unknown word counts as ``<unk>``.

        Args:
            numbers: of tokens, ``[T]``.
            before: the token before the first one, where they are a stretch of a longer text.

        Returns:
            The count; stretches of a text add up to the count of the text.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        count = int(self._lengths[numbers].sum())
        if self.unit == "words":
            previous = np.concatenate([[before], numbers])[: len(numbers)]
            may_precede, may_follow = self._spaces
            count += int((may_precede[numbers] & may_follow[previous]).sum())
        return count

    def to_plain(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "Vocabulary":
        """What :meth:`to_plain` gave, strictly.

        Raises:
            KeyError: a field is missing, or one too many is there.
            pydantic.ValidationError: a field of another type, or tokens that do not fit.
        """
        return record(cls, content)

    def _words(self, text: Text) -> Sequence[str]:
        words = text if isinstance(text, tuple) else split_words(text, tokenised=self.tokenised)
        return [word.lower() for word in words] if self.lowercase else words

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Without the special tokens: their names in a text are unknown words."""
        return {token: number for number, token in enumerate(self.tokens) if number >= len(SPECIALS)}

    @cached_property
    def _number_of_code(self) -> np.ndarray:
        """The number of each code point up to one beyond the largest that is known, which is unknown."""
        table = np.full(max(map(ord, self._numbers), default=0) + 2, UNK, dtype=np.int64)
        for character, number in self._numbers.items():
            table[ord(character)] = number
        return table

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        assert self.model is not None
        return subwords.load(self.model, self.tokens)

    @cached_property
    def leading_space(self) -> bool:
        """Whether a text of subwords is read with a space before it: its first word is then the token it is elsewhere.

        What is copied from the middle of one text to the beginning of another needs it; a text that is cut into
        stretches or written on, as by a language model, must not have it.
        """
        return self.model is not None and subwords.has_leading_space(self._tokenizer)

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Each token as a reader would see it: subwords with their space, an incomplete character as U+FFFD."""
        if self.unit == "subwords":
            symbols = subwords.byte_of_symbol()
            texts = (bytes(symbols[symbol] for symbol in token) for token in self.tokens[len(SPECIALS) :])
            return (*SPECIALS, *(text.decode(errors="replace") for text in texts))
        if self.unit == "characters":
            return tuple(UNKNOWN_CHARACTER if number == UNK else token for number, token in enumerate(self.tokens))
        return self.tokens

    @cached_property
    def _lengths(self) -> np.ndarray:
        """``[V]`` int64: characters of each token without spaces around it; a byte that begins none counts 0."""
        if self.unit == "bytes":
            own = [int(byte & 0xC0 != 0x80) for byte in range(256)]
        elif self.unit == "subwords":
            symbols = subwords.byte_of_symbol()
            own = [sum(symbols[symbol] & 0xC0 != 0x80 for symbol in token) for token in self.tokens[len(SPECIALS) :]]
        else:
            own = [len(token) for token in self.tokens[len(SPECIALS) :]]
        words = self.unit == "words"
        return np.array([0, len(SPECIALS[UNK]) if words else 1, 0, int(words), *own], dtype=np.int64)

    @cached_property
    def _spaces(self) -> tuple[np.ndarray, np.ndarray]:
        """``[V]`` bool: a space may stand before the token, and after it; of the special tokens only by ``<unk>``."""
        before, after = space_table(self.tokens, tokenised=self.tokenised)
        for table in (before, after):
            table[: len(SPECIALS)] = [number == UNK for number in range(len(SPECIALS))]
        return before, after


def _joined(text: Text, lowercase: bool) -> str:
    joined = text if isinstance(text, str) else " ".join(text)
    return joined.lower() if lowercase else joined


def _count_characters(texts: Sequence[Text], lowercase: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_joined(text, lowercase))
    return counts


def _count_words(texts: Sequence[Text], lowercase: bool, tokenised: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        words = text if isinstance(text, tuple) else split_words(text, tokenised=tokenised)
        counts.update(map(str.lower, words) if lowercase else words)
    for special in SPECIALS:
        del counts[special]
    return counts


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise OptionError(f'unit: expected {", ".join(UNITS)}, got "{unit}". {did_you_mean(unit, UNITS)}')


def _check_options(unit: str, size: int | None, min_count: int) -> None:
    _check_unit(unit)
    least = len(BYTES) if unit == "subwords" else len(SPECIALS) + 1
    if size is not None and size < least and unit != "bytes":
        raise OptionError(f"size: expected at least {least} {unit}, the special tokens included, got {size}.")
    if min_count < 1:
        raise OptionError(f"min_count: expected at least 1, got {min_count}. 1 keeps every token.")


def _check_unicode(text: Text, where: str) -> None:
    """Refuses half of a surrogate pair, which JSON can spell but UTF-8 cannot hold."""
    try:
        _joined(text, lowercase=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: expected Unicode text, got half of a surrogate pair at character {error.start}. Take it out."
        ) from error
