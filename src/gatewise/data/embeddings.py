"""Word vectors from a file, to begin with: the text formats of word2vec and GloVe."""

import bz2
import gzip
import lzma
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from gatewise.data.fields import shorten
from gatewise.data.files import suffixes
from gatewise.data.vocabulary import SPECIALS, Vocabulary
from gatewise.errors import DataError, OptionError
from gatewise.sequences import PAD, UNK

RANDOM_STD = 0.1  # of the vectors of words that the file does not have
OPEN = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


class Embeddings(NamedTuple):
    """Vectors of a vocabulary, ``[V, E]`` float32, and how many of its words the file has."""

    vectors: np.ndarray
    found: int


def read_embeddings(path: str | Path, vocabulary: Vocabulary) -> Embeddings:
    """The vectors of the words of a vocabulary.

    A line is a word and its E numbers, between spaces (Pennington et al. 2014, GloVe); a first line ``V E`` is passed
    over (Mikolov et al. 2013, word2vec in text form). Words that the vocabulary does not have are not kept. A word
    that the file has only in lower case takes that vector; one that the file does not have gets a small random one,
    the same at every reading; padding is zero. Of a word on several lines the first counts.

    Args:
        path: of the file; .gz, .xz and .bz2 are unpacked on the way.
        vocabulary: of words.

    Returns:
        The vectors and the number of words found.

    Raises:
        DataError: no such file, damaged, not such lines, or none of the words; names the row.
        OptionError: a vocabulary of another unit than words.
    """
    path = Path(path)
    if vocabulary.unit != "words":
        raise OptionError(f"embeddings: expected a vocabulary of words, got {vocabulary.unit}. Leave the file out.")
    if path.is_dir():
        raise DataError(f"{path}: expected a file of word vectors, got a folder. Name a file in it.")
    if not path.is_file():
        raise DataError(f"{path}: expected a file of word vectors, got nothing of that name. Check the path.")
    try:
        with OPEN.get(suffixes(path)[1], Path.open)(path, "rb") as file:  # type: ignore[operator]
            return _read(file, str(path), vocabulary)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: expected a file that can be read, got: {error}. Fetch it again.") from error


def _read(file: IO[bytes], who: str, vocabulary: Vocabulary) -> Embeddings:
    exact = {token.encode(): number for number, token in enumerate(vocabulary.tokens) if number >= len(SPECIALS)}
    exact[SPECIALS[UNK].encode()] = UNK
    lowered: dict[bytes, list[int]] = defaultdict(list)
    for token, number in exact.items():
        if (lower := token.decode().lower().encode()) != token:
            lowered[lower].append(number)
    vectors: np.ndarray | None = None
    found = np.zeros(len(vocabulary), dtype=np.int64)  # [V]: 2 by itself, 1 by its lower case
    size = 0
    for row, line in _lines(file):
        if vectors is None:
            if (size := line.count(b" ")) < 2:
                raise DataError(
                    f'{who}, row {row}: expected a word and its numbers, got "{_shown(line)}". '
                    "Word vectors are text, one word a line."
                )
            vectors = np.random.default_rng(0).standard_normal((len(vocabulary), size), dtype=np.float32) * RANDOM_STD
            vectors[PAD] = 0
        if (spaces := line.count(b" ")) < size:
            raise DataError(
                f"{who}, row {row}: expected a word and {size} numbers as in the first line, got {spaces} numbers. "
                "The file is damaged or cut off."
            )
        word = line.split(b" ", 1)[0] if spaces == size else line.rsplit(b" ", size)[0]  # a few words have spaces
        matches = [(exact[word], 2)] if word in exact else []
        matches += [(number, 1) for number in lowered.get(word, ())]
        for number, quality in matches:
            if found[number] < quality:
                vectors[number], found[number] = _vector(line, size, who, row), quality
    words = int((found[len(SPECIALS) :] > 0).sum())
    if vectors is None or not words:
        raise DataError(f"{who}: expected vectors for some of the words, got none. Check language and format.")
    return Embeddings(vectors, words)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Row from 1 and line without its end; without a first line of word2vec, and without empty ones."""
    for row, content in enumerate(file, start=1):
        line = content.rstrip().replace(b"\t", b" ")
        header = row == 1 and len(line.split()) == 2 and all(part.isdigit() for part in line.split())
        if line and not header:
            yield row, line


def _vector(line: bytes, size: int, who: str, row: int) -> np.ndarray:
    fields = line.rsplit(b" ", size)[1:]
    try:
        vector = np.array([float(field) for field in fields], dtype=np.float32)
    except ValueError:
        raise DataError(
            f'{who}, row {row}: expected a word and {size} numbers, got "{_shown(line)}". Correct the line.'
        ) from None
    if not np.isfinite(vector).all():
        raise DataError(f'{who}, row {row}: expected finite numbers, got "{_shown(line)}". Correct the line.')
    return vector


def _shown(line: bytes) -> str:
    return shorten(line.decode(errors="replace"))
