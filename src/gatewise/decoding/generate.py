"""A text, token after token, and its characters as they become complete."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from gatewise.decoding.sampling import check_options, sample
from gatewise.errors import OptionError
from gatewise.sequences import BOS, PAD, UNK

INCOMPLETE = "\ufffd"  # what a decoder writes for bytes that are no character, or not yet one


def generate(
    step: Callable[[Tensor], Tensor],
    prompt: Sequence[int],
    *,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    stop: int | None = None,
    forbidden: Sequence[int] = (PAD, UNK, BOS),
) -> Iterator[int]:
    """Carries a text on: each token is drawn from the scores after those before it.

    The prompt is read at the first token asked for, and each token costs one call of ``step``. The random numbers are
    this call's own: the same seed gives the same text, whatever else is drawn.

    Args:
        step: from the next token ``[1]`` int64 to the scores ``[1, V]`` of what follows; it remembers what it has read
            (:meth:`gatewise.models.language_model.LanguageModel.stream`), and this call goes on from there.
        prompt: how the text begins; where nothing is given, what ends a line or a text: a new one follows.
        max_length: most tokens to draw.
        temperature: as in :func:`~gatewise.decoding.sampling.sample`, also the next two.
        top_k: how many tokens to choose from; None for all.
        top_p: which probability to choose from.
        seed: of the random numbers.
        stop: the token at which the text ends; it is not given out. None for none.
        forbidden: tokens that are never drawn.

    Returns:
        The tokens drawn, one by one, without the prompt.

    Raises:
        OptionError: the prompt is empty, or an option is out of range.

    Example:
        >>> def count(token):  # after each number its successor
        ...     return torch.eye(10)[token + 1]
        >>> list(generate(count, [4], max_length=9, temperature=0, stop=8))
        [5, 6, 7]
    """
    check_options(temperature=temperature, top_k=top_k, top_p=top_p)
    if len(prompt) == 0:
        raise OptionError("prompt: expected at least one token, got none. Begin with the token that ends a line or a "
                          "text: a new one follows it.")  # fmt: skip
    if max_length < 0:
        raise OptionError(f"max_length: expected at least 0 tokens, got {max_length}.")
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Iterator[int]:
        for token in prompt[:-1]:
            step(torch.tensor([token]))
        token = prompt[-1]
        for _ in range(max_length):
            scores = step(torch.tensor([token])).cpu()  # the same random numbers for every device
            drawn = sample(
                scores, temperature=temperature, top_k=top_k, top_p=top_p, forbidden=forbidden, generator=generator
            )
            token = int(drawn)
            if token == stop:
                return
            yield token

    return draw()


class TextPieces:
    """The text of tokens that come one by one, where a token may be a part of a character.

    The pieces, and what :meth:`end` returns, joined are ``decode`` of all tokens. Push the tokens of a prompt too, so
    that a space after its last word is not lost.

    Args:
        decode: from token numbers to their text; another token only adds to it, but for a last character that was
            incomplete (U+FFFD, as UTF-8 decoders write it). It is given at most the last 64 tokens: what it writes for
            one must not depend on those further back than 32.

    Raises:
        OptionError: ``decode`` took back what it had written.

    Example:
        >>> pieces = TextPieces(lambda numbers: bytes(numbers).decode(errors="replace"))
        >>> [pieces.push(byte) for byte in "né!".encode()], pieces.end()
        (['n', '', 'é', '!'], '')
    """

    KEPT = 32

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._given = ""  # what was returned of the text of these tokens

    def push(self, token: int) -> str:
        """The characters that this token completes; may be empty."""
        self._tokens.append(token)
        piece = self._new(self._decode(self._tokens).removesuffix(INCOMPLETE))
        if len(self._tokens) == 2 * self.KEPT:  # the cost of a token must not grow with the text
            self._tokens = self._tokens[self.KEPT :]
            self._given = self._decode(self._tokens).removesuffix(INCOMPLETE)
        return piece

    def end(self) -> str:
        """What is left at the end of the text: the mark of a character that was never completed, or nothing."""
        return self._new(self._decode(self._tokens))

    def _new(self, text: str) -> str:
        if not text.startswith(self._given):
            raise OptionError(f"TextPieces: expected decode to add to {self._given[-20:]!r}, got {text[-20:]!r}. "
                              "Decode the whole text at once instead.")  # fmt: skip
        piece = text[len(self._given) :]
        self._given = text
        return piece
