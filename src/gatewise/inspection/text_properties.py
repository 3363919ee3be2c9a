"""What can be said of each place in a text by reading it: how far into a line it is, whether inside quotes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

TAB = 4  # columns


@dataclass(frozen=True)
class Property:
    """A property of each token of a text, known once the token is read and nothing after it.

    Attributes:
        name: in words.
        kind: ``"number"``, or ``"yes-no"``.
        values: ``[M]`` float32, or bool.
    """

    name: str
    kind: Literal["number", "yes-no"]
    values: np.ndarray


def text_properties(pieces: list[str]) -> list[Property]:
    """The properties of a text in pieces: characters, or longer tokens.

    A token longer than a character has the number at its last character, and the yes of any of its characters.

    Args:
        pieces: the text, token by token, with the spaces and line feeds between them; none may be empty.

    Returns:
        Properties of ``M`` tokens each, whether they occur or not.

    Example:
        >>> found = {one.name: one.values.tolist() for one in text_properties(list('a (b)'))}
        >>> found["position in the line"], found["inside parentheses"]
        ([0.0, 1.0, 2.0, 3.0, 4.0], [False, False, True, True, False])
    """
    sizes = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    text = "".join(pieces)
    ends = sizes.cumsum()
    numbers, marks = _numbers(text), _marks(text)
    if len(text) == len(pieces):
        return [
            *(Property(name, "number", values.astype(np.float32)) for name, values in numbers.items()),
            *(Property(name, "yes-no", values) for name, values in marks.items()),
        ]
    return [
        *(Property(name, "number", values[ends - 1].astype(np.float32)) for name, values in numbers.items()),
        *(Property(name, "yes-no", np.logical_or.reduceat(values, ends - sizes)) for name, values in marks.items()),
    ]


def _numbers(text: str) -> dict[str, np.ndarray]:
    """``[M]`` int64 each, a number a character."""
    newline, word = _is(text, "\n".__eq__), _in_word(text)
    begins = _before(newline)
    space = _is(text, lambda character: character in " \t")
    leading = space & (_since(begins) == _since(begins | _before(~space)))  # nothing but spaces in the line until here
    columns = np.where(_is(text, "\t".__eq__), TAB, 1)
    ended = _is(text, lambda character: character in ".!?")
    return {
        "position in the line": _since(begins),
        "position in the word": np.where(word, _since(word & ~_before(word)) + 1, 0),
        "position in the sentence": _since(_before(ended & ~_next(ended))),
        "lines since an empty line": _sum_within(newline & ~_blank(text), _before(_blank(text))),
        "indentation of the line": _sum_within(leading * columns, begins),
    }


def _marks(text: str) -> dict[str, np.ndarray]:
    """``[M]`` bool each, yes or no a character."""
    paragraph = _before(_blank(text))
    straight = _sum_within(_is(text, '"'.__eq__), paragraph) % 2 == 1
    curly = _depth(text, "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}", paragraph) > 0
    word, lower = _in_word(text), _is(text, str.islower)
    begins = word & ~_before(word)
    capitals = word & (_since(begins) >= 1) & (_sum_within(lower, begins) == 0)
    return {
        "inside double quotes": straight | curly,
        "inside parentheses": _depth(text, "(", ")", paragraph) > 0,
        "inside brackets or braces": _depth(text, "[{", "]}", paragraph) > 0,
        "a capital letter": _is(text, str.isupper),
        "a word in capitals": capitals & ~_is(text, str.isdigit),
        "a digit": _is(text, str.isdigit),
    }


def _is(text: str, holds: Callable[[str], bool]) -> np.ndarray:
    """Whether something holds of each character, ``[M]`` bool; asked once a character of the alphabet."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    alphabet, place = np.unique(codes, return_inverse=True)
    known = np.array([holds(chr(code)) for code in alphabet], dtype=bool)
    return np.asarray(known[place])


def _in_word(text: str) -> np.ndarray:
    """Letters and digits, and an apostrophe between two of them."""
    letter = _is(text, str.isalnum)
    apostrophe = _is(text, lambda character: character in "'\N{RIGHT SINGLE QUOTATION MARK}")
    return np.asarray(letter | (apostrophe & _before(letter)))


def _blank(text: str) -> np.ndarray:
    """The line feed of an empty line."""
    newline = _is(text, "\n".__eq__)
    return np.asarray(newline & _before(newline))


def _before(mask: np.ndarray) -> np.ndarray:
    """At each place what the one before it is."""
    return np.concatenate([[False], mask[:-1]]) if len(mask) else mask


def _next(mask: np.ndarray) -> np.ndarray:
    return np.concatenate([mask[1:], [False]]) if len(mask) else mask


def _since(begins: np.ndarray) -> np.ndarray:
    """Places since the last beginning, 0 at it; from the text's own beginning before the first."""
    places = np.arange(len(begins))
    return places - np.maximum.accumulate(np.where(begins, places, 0))


def _sum_within(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The sum of the values from the last beginning to each place, both included."""
    total = np.cumsum(values, dtype=np.int64)
    places = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    return total - total[places] + np.asarray(values, dtype=np.int64)[places]


def _depth(text: str, opens: str, closes: str, begins: np.ndarray) -> np.ndarray:
    """How many are open, of what was opened since the last beginning; what closes nothing counts for nothing."""
    step = _is(text, opens.__contains__).astype(np.int64) - _is(text, closes.__contains__)
    depth = _sum_within(step, begins)
    # Less the lowest that it has been since the beginning, where that is below zero: ranks part the stretches.
    rank = np.cumsum(begins) * (2 * len(begins) + 2)
    lowest = np.minimum.accumulate(np.minimum(depth, 0) - rank) + rank
    return np.asarray(depth - lowest)
