"""`generate`: a language model writes on."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from gatewise.data.text_adapters import CorpusAdapter
from gatewise.data.vocabulary import SPECIALS, Vocabulary
from gatewise.decoding.generate import INCOMPLETE, TextPieces
from gatewise.decoding.generate import generate as draw
from gatewise.errors import OptionError, RunError
from gatewise.models.language_model import LanguageModel
from gatewise.sequences import UNK
from gatewise.training.fit import make_fabric
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
    on_note: Callable[[str], None] | None = None,
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
        on_note: told what of the prompt the model does not know; None warns.

    Returns:
        Pieces of text, some of them empty; joined they are the text after the prompt.

    Raises:
        RunError: the run is no language model.
        OptionError: an option is out of range.
        ConfigError: the run's device does not exist here.
        DataError: the prompt has half of a surrogate pair.
    """
    model, adapter = run.model, run.adapter
    if not isinstance(model, LanguageModel) or not isinstance(adapter, CorpusAdapter):
        raise RunError(
            f"{run.path}: expected a language model to generate with, got a run of {run.config.task}. Train one."
        )
    if not 0 <= seed < 2**31:  # as train.seed
        raise OptionError(f"seed: expected 0 to {2**31 - 1}, got {seed}. Choose another.")
    # Refuses a device that is not here. Left to itself, the model stays where it is: a token is too little for a GPU.
    fabric = make_fabric(replace(run.config.train, device=run.device, precision="32"), distributed=False)
    if run.device != "auto":
        model.to(fabric.device)
    prompted = adapter.vocabulary.encode(prompt, where="prompt").tolist()
    if note := _unknown(adapter.vocabulary, prompt, prompted):
        (on_note or _warn)(note)
    with cpu_threads(1):  # a token is too little work to share
        step = model.stream()
    tokens = [adapter.line_end, *prompted]
    drawn = draw(step, tokens, max_length=max_length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    # An unknown character at the end of the prompt looks like half of one that is completed later; it never is.
    held = INCOMPLETE if adapter.vocabulary.unit == "characters" and tokens[-1] == UNK else ""
    return _pieces(drawn, TextPieces(adapter.text), tokens, held)


def _pieces(drawn: Iterator[int], pieces: TextPieces, prompt: list[int], held: str) -> Iterator[str]:
    """The text after the prompt; ``held`` is what ``pieces`` still has of the prompt."""
    for token in prompt:
        pieces.push(token)
    with cpu_threads(1), torch.inference_mode():
        for token in drawn:
            yield pieces.push(token).removeprefix(held)
            held = ""
        yield pieces.end().removeprefix(held)


def _unknown(vocabulary: Vocabulary, prompt: str, numbers: list[int]) -> str | None:
    """What a user should know of a prompt; ``<unk>`` itself is meant."""
    pieces = zip(vocabulary.pieces(prompt), numbers, strict=True)
    unknown = [piece for piece, number in pieces if number == UNK and piece != SPECIALS[UNK]]
    if not unknown:
        return None
    different = [f'"{piece}"' for piece in dict.fromkeys(unknown)]
    shown = ", ".join(different[:6]) + (", ..." if len(different) > 6 else "")
    return f"the model does not know {len(unknown)} of the {len(numbers)} {vocabulary.unit} of the prompt: {shown}"


def _warn(note: str) -> None:
    warnings.warn(f"{note}.", stacklevel=4)  # at the line that calls Run.generate
