"""Subwords by byte-level byte-pair encoding, which knows every text: the library ``tokenizers`` learns and splits."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gatewise.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TRAINING_CHARACTERS = 20_000_000  # of the corpus, from its start: merges hardly change beyond it, the time does
LONG = 100_000  # characters; longer texts are cut for speed, where a cut changes nothing
BATCH = 1_000_000  # characters that are encoded together
_CUT = re.compile(r"(?<=\S) (?=\w)")  # a subword never reaches across the place before such a space


def train(
    texts: Iterable[str], *, size: int, min_count: int, specials: Sequence[str], leading_space: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Learns the merges, on at most the first 20 million characters.

    Sennrich, Haddow & Birch 2016 (byte-pair encoding), over bytes as in Radford et al. 2019 (GPT-2). The same texts
    give the same subwords.

    Args:
        texts: as they will be encoded.
        size: most tokens, with the special ones and the 256 bytes.
        min_count: merge only pairs that occur so often.
        specials: tokens of the first numbers; no text is ever encoded to one of them.
        leading_space: a text that begins with no space is read as if it did.

    Returns:
        The tokenizer as JSON text, and the token of each number.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=leading_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first(texts), trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = []  # else "<eos>" in a text would become the special token
    vocabulary = content["model"]["vocab"]
    return json.dumps(content, ensure_ascii=False), tuple(sorted(vocabulary, key=vocabulary.__getitem__))


def _first(texts: Iterable[str]) -> Iterator[str]:
    left = TRAINING_CHARACTERS
    for text in texts:
        if left <= 0:
            return
        yield text[:left]
        left -= len(text)


def load(model: str, tokens: Sequence[str]) -> "Tokenizer":
    """The tokenizer that JSON text describes.

    Raises:
        DataError: damaged text, or other tokens than those it was kept with.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(model)
    except Exception as error:  # the library raises nothing more precise
        raise DataError(f"Vocabulary: expected a subword model, got: {error}. Train again.") from error
    found = tokenizer.get_vocab(with_added_tokens=False)
    if found != {token: number for number, token in enumerate(tokens)}:
        raise DataError(
            f"Vocabulary: expected the {len(tokens)} tokens of the subword model in their order, got others. "
            "Train again."
        )
    return tokenizer


def has_leading_space(tokenizer: "Tokenizer") -> bool:
    """Whether a text that begins with no space is read as if it did."""
    return bool(tokenizer.pre_tokenizer.add_prefix_space)


def encode_all(tokenizer: "Tokenizer", texts: Iterable[str]) -> Iterator[list[int]]:
    """The numbers of each text, one list a text; many short texts, or the parts of a long one, on all cores."""
    batch: list[str] = []
    waiting = 0
    for text in texts:
        if len(text) > LONG:
            yield from _flush(tokenizer, batch)
            yield [number for part in _flush(tokenizer, _parts(text)) for number in part]
            batch, waiting = [], 0
            continue
        batch.append(text)
        waiting += len(text) + 1
        if waiting >= BATCH:
            yield from _flush(tokenizer, batch)
            batch, waiting = [], 0
    yield from _flush(tokenizer, batch)


def _flush(tokenizer: "Tokenizer", batch: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(batch)] if batch else []


def _parts(text: str) -> list[str]:
    """A long text in parts of about ``LONG`` characters; end to end they give the same subwords as the whole."""
    cuts = [0]
    while match := _CUT.search(text, cuts[-1] + LONG):
        cuts.append(match.start())
    return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def byte_of_symbol() -> dict[str, int]:
    """Which byte each character of a byte-level token stands for: 256 of them.

    Bytes that print stand for themselves; the others follow from U+0100 on, as GPT-2 has it.

    >>> symbols = byte_of_symbol()
    >>> len(symbols), symbols["a"], symbols["\u0120"]
    (256, 97, 32)
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {**{chr(byte): byte for byte in printing}, **{chr(256 + at): byte for at, byte in enumerate(others)}}
