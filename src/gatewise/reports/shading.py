"""Texts as they stand, each token shaded: by the attention it got, by how much it surprised."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from gatewise.data.vocabulary import UNKNOWN_CHARACTER, Text, Vocabulary
from gatewise.data.words import spaces_between
from gatewise.reports import page
from gatewise.reports.page import Html
from gatewise.sequences import EOS

FAINT = 0.04  # a shade that nobody would see
EVEN = 4  # times an equal share: the least that gets the full shade
JOINER = "\N{ZERO WIDTH JOINER}"
TONES = range(0x1F3FB, 0x1F400)  # of an emoji's skin
SPLIT = 8  # tokens that one character may be cut into, more or less: at most four bytes


class Piece(NamedTuple):
    """A part of a text that can be shown: the text with the space before it, and which tokens it is made of."""

    text: str
    start: int
    end: int


class Shade(NamedTuple):
    """A part of a text with how strongly it is shaded, 0 to 1, and what is said when a pointer rests on it."""

    text: str
    strength: float = 0.0
    note: str = ""


def pieces_of_text(vocabulary: Vocabulary, text: Text) -> list[Piece]:
    """A text in the pieces that its tokens stand for, spelt as it is; tokens that are parts of a character together.

    >>> vocabulary = Vocabulary.fit(["so it is, so be it"])
    >>> [piece.text for piece in pieces_of_text(vocabulary, "So, it is")]
    ['So', ',', ' it', ' is']
    """
    if vocabulary.unit == "words":
        words = vocabulary.pieces(text)
        return _as_written(text, words) if isinstance(text, str) else _of_words(words, tokenised=vocabulary.tokenised)
    if vocabulary.unit == "characters":
        return _joined(Piece(piece, i, i + 1) for i, piece in enumerate(vocabulary.pieces(text)))
    return pieces_of_numbers(vocabulary, vocabulary.encode(text).tolist())


def pieces_of_numbers(vocabulary: Vocabulary, numbers: Sequence[int]) -> list[Piece]:
    r"""The same of token numbers; ``EOS`` is the end of a line.

    >>> vocabulary = Vocabulary.fit(["so it is, so be it"])
    >>> [piece.text for piece in pieces_of_numbers(vocabulary, [5, EOS, 5, 7, 6])]
    ['so', '\n', 'so', ' be', ',']
    """
    if vocabulary.unit == "words":
        words = ["\n" if number == EOS else vocabulary.tokens[number] for number in numbers]
        return _of_words(words, tokenised=vocabulary.tokenised)
    return _joined(_characters(vocabulary, numbers))


def _as_written(text: str, words: Sequence[str]) -> list[Piece]:
    """Each word with the spaces that stand before it in the text."""
    pieces = []
    end = 0
    for i, word in enumerate(words):
        start = text.index(word, end)
        pieces.append(Piece(f" {word}" if start > end and i else word, i, i + 1))
        end = start + len(word)
    return pieces


def _of_words(words: Sequence[str], *, tokenised: bool) -> list[Piece]:
    spaces = spaces_between(words, tokenised=tokenised)
    pieces = []
    for i, (word, space) in enumerate(zip(words, spaces, strict=True)):
        space = space and word != "\n" and words[i - 1] != "\n"  # noqa: PLW2901
        pieces.append(Piece(f" {word}" if space else word, i, i + 1))
    return pieces


def _characters(vocabulary: Vocabulary, numbers: Sequence[int]) -> Iterator[Piece]:
    """Tokens as text; those that hold but a part of a character wait for the rest of it."""
    start = 0
    while start < len(numbers):
        end = start + 1
        text = "\n" if numbers[start] == EOS else vocabulary.decode(numbers[start:end], begins=not start)
        if vocabulary.unit in ("bytes", "subwords") and text.endswith(UNKNOWN_CHARACTER):
            for longer in range(start + 2, min(start + SPLIT, len(numbers)) + 1):
                whole = vocabulary.decode(numbers[start:longer], begins=not start)
                if UNKNOWN_CHARACTER not in whole:
                    end, text = longer, whole
                    break
        yield Piece(text, start, end)
        start = end


def _joined(pieces: Iterator[Piece]) -> list[Piece]:
    """Accents, joiners and the like with the character that they belong to: apart they would look wrong."""
    found: list[Piece] = []
    for piece in pieces:
        if found and piece.text and (_belongs(piece.text[0]) or found[-1].text.endswith(JOINER)):
            found[-1] = Piece(found[-1].text + piece.text, found[-1].start, piece.end)
        else:
            found.append(piece)
    return found


def _belongs(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character == JOINER or ord(character) in TONES


def clip(text: str, limit: int) -> str:
    """At most about ``limit`` characters from the beginning, with an ellipsis; no word is cut, nor an emoji.

    >>> clip("a rose is a rose", 8), clip("a rose", 8), clip("a" * 9, 4)
    ('a rose…', 'a rose', 'aaaa…')
    """
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    end = limit
    while end < len(text) and (_belongs(text[end]) or text[end - 1] == JOINER):
        end += 1
    space = text.rfind(" ", 0, end + 1)
    return text[: space if space > end - 30 and space > 0 else end].rstrip() + "…"


def window(lengths: Sequence[int], weights: Sequence[float], limit: int) -> tuple[int, int]:
    """The stretch of at most ``limit`` characters with the largest weight, as first piece and the one after the last.

    Args:
        lengths: characters of each piece.
        weights: of each piece.
        limit: characters; a piece that alone is longer is a stretch of its own.

    Example:
        >>> window([5, 5, 5, 5, 5, 5], [0, 0, 0, 0, 9, 0], 15)
        (3, 6)
    """
    if sum(lengths) <= limit:
        return 0, len(lengths)
    core = 0.6 * limit  # what is around the weights is shown, too
    weight = [0.0, *accumulate(weights)]
    size = [0, *accumulate(lengths)]
    best, start = (0, 1), 0
    for end in range(1, len(lengths) + 1):
        while start < end - 1 and size[end] - size[start] > core:
            start += 1
        if weight[end] - weight[start] > weight[best[1]] - weight[best[0]] + 1e-12:
            best = start, end
    return _widened(size, best, limit)


def _widened(size: Sequence[int], stretch: tuple[int, int], limit: int) -> tuple[int, int]:
    """Piece by piece on both sides, as long as there is room."""
    first, last = stretch
    grown = True
    while grown:
        grown = False
        if first > 0 and size[last] - size[first - 1] <= limit:
            first, grown = first - 1, True
        if last < len(size) - 1 and size[last + 1] - size[first] <= limit:
            last, grown = last + 1, True
    return first, last


def shaded(shades: Sequence[Shade], *, kind: str, before: bool = False, after: bool = False) -> Html:
    """A passage of text with its shades; nothing of it is read from left to right where its letters are not.

    Args:
        shades: in their order.
        kind: ``"attention"`` or ``"surprisal"``, which decides the colour.
        before: something was left out before it.
        after: the same after it.
    """
    content = "".join(map(_span, shades))
    content = ("…" if before else "") + content + ("…" if after else "")
    return Html(f'<p class="passage {kind}" dir="auto">{content}</p>')


def _span(shade: Shade) -> str:
    if shade.strength < FAINT:
        return page.text(shade.text)
    note = f' title="{page.text(shade.note)}"' if shade.note else ""
    style = f"--s:{min(shade.strength, 1):.2f}"
    bare = shade.text.lstrip(" ")
    if not bare.strip("\n"):  # spaces, and the ends of lines, are shown where something is to be said of them
        mark = "↵" if "\n" in bare else " "
        return f'<span style="{style}"{note}>{mark}</span>{bare}'
    space = " " * (len(shade.text) - len(bare))
    return f'{space}<span style="{style}"{note}>{page.text(bare)}</span>'


def attended(vocabulary: Vocabulary, text: Text, attention: Sequence[float] | None, *, limit: int) -> Html:
    """A text shaded by the share of attention of each token; of a long one the stretch that got most.

    Args:
        vocabulary: that the text was encoded with.
        text: as read.
        attention: a share for each token that was read, fewer than the text has where it was cut; None for no shades.
        limit: characters to show.
    """
    pieces = pieces_of_text(vocabulary, text)
    shares = np.concatenate([[0.0], np.cumsum(np.nan_to_num(attention if attention is not None else []))])
    read = len(shares) - 1
    of_piece = [float(shares[min(piece.end, read)] - shares[min(piece.start, read)]) for piece in pieces]
    first, last = window([len(piece.text) for piece in pieces], of_piece, limit)
    # Shades are of the largest share, unless attention is spread so evenly that the largest says little.
    full = max(max(of_piece, default=0.0), min(1.0, EVEN / max(read, 1)))
    shades = [
        Shade(piece.text[: 2 * limit], share / full, f"{share:.1%}")
        for piece, share in zip(pieces[first:last], of_piece[first:last], strict=True)
    ]
    if not shades:
        return Html('<p class="passage quiet">(empty)</p>')
    return shaded(shades, kind="attention", before=first > 0, after=last < len(pieces))


def plain(text: str, *, limit: int) -> Html:
    """A text without shades, clipped."""
    if not text.strip():
        return Html('<p class="passage quiet">(empty)</p>')
    return Html(f'<p class="passage" dir="auto">{page.text(clip(text, limit))}</p>')


def as_text(text: Text) -> str:
    """Words in a row, where the file gave words."""
    return text if isinstance(text, str) else " ".join(text)


def visible(token: str) -> str:
    r"""A token by itself: what has no ink gets some.

    >>> visible(" the"), visible("\n"), visible("\t")
    ('␣the', '↵', '⇥')
    """
    if not token.strip(" \n\t\r"):
        return token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥").replace("\r", "⇤")
    start = len(token) - len(token.lstrip(" "))
    return "␣" * start + token[start:]
