"""`generate`: a language model writes on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from gatewise.data.text_adapters import CorpusAdapter
from gatewise.decoding.generate import TextPieces
from gatewise.decoding.generate import generate as draw
from gatewise.errors import RunError
from gatewise.models.language_model import LanguageModel
from gatewise.training.threads import cpu_threads

if TYPE_CHECKING:
    from gatewise.api.run import Run


def generate(
    run: "Run",
    prompt: str = "",
    *,
    max_length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:
    """A text in the manner of what the run was trained on, piece by piece as it is drawn.

    Args:
        run: of a language model.
        prompt: what it goes on from; it is not repeated.
        max_length: tokens to draw.
        temperature: below 1 likelier, above 1 stranger; 0 always takes the likeliest token.
        top_k: draw from the k likeliest tokens only; None for all.
        top_p: draw from the smallest set of tokens that has this probability.
        seed: of the drawing: the same one, the same text.

    Returns:
        Pieces of text, some of them empty; joined they are the text after the prompt.

    Raises:
        RunError: the run is no language model.
        OptionError: an option is out of range.
    """
    model, adapter = run.model, run.adapter
    if not isinstance(model, LanguageModel) or not isinstance(adapter, CorpusAdapter):
        raise RunError(f"{run.path}: expected a language model to generate with, got a {run.config.task}. Train one.")
    with cpu_threads(1):  # a token is too little work to share
        step = model.stream()
    tokens = [adapter.line_end, *adapter.vocabulary.encode(prompt).tolist()]
    drawn = draw(step, tokens, max_length=max_length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return _pieces(drawn, TextPieces(adapter.text), tokens)


def _pieces(drawn: Iterator[int], pieces: TextPieces, prompt: list[int]) -> Iterator[str]:
    for token in prompt:
        pieces.push(token)
    with cpu_threads(1), torch.inference_mode():
        for token in drawn:
            yield pieces.push(token)
        yield pieces.end()
