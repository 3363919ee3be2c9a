"""``gatewise generate``."""

import sys
from typing import Annotated

import typer

from gatewise.cli.common import DeviceOption, RunArgument, errors


def generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    max_length: Annotated[int, typer.Option(min=0, help="Tokens to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 likelier, above 1 stranger; 0 for the likeliest token each time.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(metavar="K", help="Draw from the K likeliest tokens only.")] = None,
    top_p: Annotated[
        float, typer.Option(metavar="P", help="Draw from the fewest tokens that together have probability P.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same text.")] = 0,
    device: DeviceOption = None,
) -> None:
    """Let a language model write on, to the terminal as it is drawn.

    Example: `gatewise generate runs/shakespeare --prompt "ROMEO:" --temperature 0.8`
    """
    from gatewise.api import load

    loaded = load(run, device=device or "auto")
    pieces = loaded.generate(
        prompt,
        max_length=max_length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        on_note=lambda note: errors.print(f"Note: {note}.", highlight=False, markup=False, soft_wrap=True),
    )
    sys.stdout.write(prompt)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
