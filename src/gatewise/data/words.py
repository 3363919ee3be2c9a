"""What a word is: between spaces where punctuation already stands apart, else by one regular expression."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

SAMPLE = 200_000  # words that are looked at to see whether punctuation stands apart
ATTACHED = 0.1  # share of sentence punctuation at the end of a word up to which it does: "Mr." and "U.S." stay whole

# Without spaces between words, each character is one: kana, Chinese characters, full-width forms of them.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Marks that Python does not count as letters but that belong to the one before: accents, vowel signs, joiners.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u200c\u200d"
_WORD = rf"[^\W{_ALONE}](?:[^\W{_ALONE}]|[{_MARKS}])*"
_TOKEN = re.compile(rf"<\w+>|\d+(?:[.,]\d+)+|{_WORD}(?:['\u2019]{_WORD})*|\S")

_WIDE = "\u3002\uff01\uff1f\uff0c\u3001"  # full stop, exclamation and question mark, commas of Chinese and Japanese
_SENTENCE_END = frozenset(f".,!?;:{_WIDE}")
_CLOSING = frozenset(f".,!?;:)]}}'\u2019\u201d\u00bb%\u2026{_WIDE}")  # no space before
_OPENING = frozenset("([{\u201c\u00ab\u00bf\u00a1")  # no space after


def split_words(text: str, *, tokenised: bool) -> list[str]:
    """The words of a text, punctuation among them.

    Args:
        text: of any length; line ends are spaces.
        tokenised: split at spaces only.

    Returns:
        The words in their order and spelling; none of them is empty or has a space in it.

    Example:
        >>> split_words("Don't pay 3.5 <unk>, (now)!", tokenised=False)
        ["Don't", 'pay', '3.5', '<unk>', ',', '(', 'now', ')', '!']
        >>> split_words("do n't , Mr. X", tokenised=True)
        ['do', "n't", ',', 'Mr.', 'X']
    """
    return text.split() if tokenised else _TOKEN.findall(text)


def looks_tokenised(texts: Iterable[str | tuple[str, ...]]) -> bool:
    """Whether punctuation already stands apart from words, measured on the first words of the texts.

    Texts without any punctuation, and words given as such, count as tokenised.
    """
    attached = apart = seen = 0
    for text in texts:
        if isinstance(text, str):
            words = text.split()
            seen += len(words)
            ends = [word for word in words[:SAMPLE] if word[-1] in _SENTENCE_END]
            attached += sum(len(word) > 1 and word[-2].isalnum() for word in ends)
            apart += sum(len(word) == 1 for word in ends)
        if seen >= SAMPLE:
            break
    return attached <= ATTACHED * (attached + apart)


def spaces_between(words: Sequence[str], *, tokenised: bool) -> list[bool]:
    """Whether a space stands before each word of a line, as :func:`join_words` writes it; never before the first."""
    if tokenised:
        return [index > 0 for index in range(len(words))]
    return [index > 0 and word not in _CLOSING and words[index - 1] not in _OPENING for index, word in enumerate(words)]


def join_words(words: Sequence[str], *, tokenised: bool) -> str:
    """Words as a line of text: a space between any two; where not ``tokenised``, none before a comma and its like.

    >>> join_words(["So", "(", "now", ")", ",", "go", "!"], tokenised=False)
    'So (now), go!'
    """
    spaces = spaces_between(words, tokenised=tokenised)
    return "".join(f" {word}" if space else word for word, space in zip(words, spaces, strict=True))


def space_table(tokens: Sequence[str], *, tokenised: bool) -> tuple[np.ndarray, np.ndarray]:
    """For each token, ``[V]`` bool: whether a space may stand before it, and whether one may after it."""
    if tokenised:
        return np.ones(len(tokens), dtype=bool), np.ones(len(tokens), dtype=bool)
    before = np.array([token not in _CLOSING for token in tokens], dtype=bool)
    after = np.array([token not in _OPENING for token in tokens], dtype=bool)
    return before, after
