"""``gatewise inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, ThreadsOption, errors, output, progress
from gatewise.cli.rows import row_numbers


def inspect(
    run: RunArgument,
    data: DataOption = None,
    rows: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Which sequences, from 0.  [default: --count of them]")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How many, right and wrong answers among them.  [default: 8]"),
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
    from gatewise.api.explorer import PAGE, explore, parts_of
    from gatewise.api.pages import check_page
    from gatewise.training.files import write_atomic

    chosen = row_numbers(rows)
    if out is not None:
        check_page(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    with progress(parts_of(chosen, count), "looking inside") as advance:
        page = explore(loaded, data, rows=chosen, count=count, on_step=advance)
    target = out or loaded.path / PAGE
    write_atomic(target, page.html)
    for note in page.notes:
        errors.print(note, highlight=False, markup=False, soft_wrap=True)
    output.print(f"Page: {target}", highlight=False, markup=False, soft_wrap=True)
