"""What the adapters of texts share: counts of encoded texts, as notes in words, and strict reading."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from gatewise.data.vocabulary import Text, Vocabulary
from gatewise.errors import OptionError
from gatewise.sequences import UNK


class Sizes(NamedTuple):
    """Counts of encoded texts before any cut.

    Attributes:
        texts: how many there are.
        shortest: tokens of the shortest one.
        longest: tokens of the longest one.
        tokens: of all together.
        unknown: how many of these are not known.
        cut: how many texts are longer than is allowed.
        empty: how many have no token.
    """

    texts: int
    shortest: int
    longest: int
    tokens: int
    unknown: int
    cut: int
    empty: int


def sizes_of(vocabulary: Vocabulary, texts: Iterable[Text], most: int | None) -> Sizes:
    """Encodes the texts once, keeping none, and counts."""
    lengths, unknown = [], 0
    for numbers in vocabulary.encode_all(texts):
        lengths.append(len(numbers))
        unknown += int((numbers == UNK).sum())
    return Sizes(
        len(lengths),
        min(lengths, default=0),
        max(lengths, default=0),
        sum(lengths),
        unknown,
        0 if most is None else sum(length > most for length in lengths),
        lengths.count(0),
    )


def size_notes(sizes: Sizes, unit: str, most: int | None, *, texts: str = "texts") -> list[str]:
    """What a user should know of these texts, a sentence each; nothing where all is as expected."""
    notes = []
    if sizes.cut:
        notes.append(
            f"{sizes.cut:,} of {sizes.texts:,} {texts} are longer than {most:,} {unit} and cut there, "
            f"the longest has {sizes.longest:,}"
        )
    if sizes.unknown:
        share = sizes.unknown / sizes.tokens
        notes.append(f"{sizes.unknown:,} of {sizes.tokens:,} {unit} of the {texts} ({share:.2%}) are unknown")
    if sizes.empty:
        notes.append(f"{sizes.empty:,} of {sizes.texts:,} {texts} are empty")
    return notes


def range_in_words(sizes: Sizes) -> str:
    """``"3 to 52"``, or ``"7"`` where all are equally long."""
    if sizes.shortest == sizes.longest:
        return f"{sizes.longest:,}"
    return f"{sizes.shortest:,} to {sizes.longest:,}"


def head(numbers: np.ndarray, most: int | None) -> np.ndarray:
    """The first ``most`` tokens; one unknown token for an empty text, since a row of a batch needs a step."""
    return numbers[:most] if len(numbers) else np.array([UNK], dtype=np.int64)


def check_most(name: str, most: int | None) -> None:
    """Refuses a limit below 1."""
    if most is not None and most < 1:
        raise OptionError(f"{name}: expected at least 1, got {most}. Leave it out to keep texts whole.")


def take(content: dict[str, Any], **readers: Callable[[Any], Any]) -> dict[str, Any]:
    """Reads exactly these entries.

    Raises:
        KeyError: one is missing, or one too many is there.
    """
    if unknown := content.keys() - readers.keys():
        raise KeyError(f"unknown {', '.join(sorted(unknown))}")
    if absent := readers.keys() - content.keys():
        raise KeyError(f"no {', '.join(sorted(absent))}")
    return {name: reader(content[name]) for name, reader in readers.items()}


def whole(value: Any) -> int:
    """A whole number, as JSON has it.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def whole_or_none(value: Any) -> int | None:
    """The same, or nothing."""
    return None if value is None else whole(value)


def texts_or_raise(value: Any) -> tuple[str, ...]:
    """Several texts, as JSON has them.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise TypeError(f"expected texts, got {value!r}")
    return tuple(value)
