"""``gatewise inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, ThreadsOption, errors, output, progress
from gatewise.errors import OptionError


def inspect(
    run: RunArgument,
    data: DataOption = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...|COUNT",
            help="Which sequences, from 0, or how many of the first.  [default: 8, right and wrong answers]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page, .html.  [default: inspect.html of the run]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Look inside: a page to scrub through sequences and see gates, memory and what decided.

    One file, which works offline: pick a sequence, move through time, click a unit to see where else it opens.

    Example: `gatewise inspect runs/vowels --data test.ts --rows 0,5,7`
    """
    from gatewise.api import load
    from gatewise.api.explorer import PAGE, check_page, explore, parts_of
    from gatewise.training.files import write_atomic

    chosen = which_rows(rows)
    if out is not None:
        check_page(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    with progress(parts_of(chosen), "looking inside") as advance:
        page = explore(loaded, data, rows=chosen, on_step=advance)
    target = out or loaded.path / PAGE
    write_atomic(target, page.html)
    for note in page.notes:
        errors.print(note, highlight=False, markup=False, soft_wrap=True)
    output.print(f"Page: {target}", highlight=False, markup=False, soft_wrap=True)


def which_rows(text: str | None) -> list[int] | int | None:
    """Row numbers, or how many.

    >>> which_rows("0,5,7"), which_rows("12"), which_rows("3,"), which_rows(None)
    ([0, 5, 7], 12, [3], None)

    Raises:
        OptionError: something else.
    """
    if text is None:
        return None
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found or not all(part.isdecimal() for part in found):
        raise OptionError(
            f'--rows: expected row numbers such as 0,5,7, or how many, got "{text}". Rows count from 0; "3," is row 3.'
        )
    return [int(part) for part in found] if "," in text else int(found[0])
