"""``gatewise explain``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    RunArgument,
    ThreadsOption,
    errors,
    output,
    printable,
    progress,
)

if TYPE_CHECKING:
    from rich.table import Table

    from gatewise.api.explanation import Explanation

MOST = 12  # steps that are listed
WIDEST = 24  # letters of a name: figures must not be cut for it


def explain(
    run: RunArgument,
    data: DataOption = None,
    row: Annotated[int, typer.Option(metavar="N", help="Which sequence, from 0.")] = 0,
    method: Annotated[
        str, typer.Option(help="integrated-gradients, occlusion, or attention where the model has it.")
    ] = "integrated-gradients",
    target: Annotated[
        str | None, typer.Option(help="Which class, tag, target, channel or token.  [default: the answer]")
    ] = None,
    step: Annotated[int | None, typer.Option(metavar="N", help="Which answer, where there is one a step.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page with the sequence in colours, .html.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Every value as CSV on standard output, nothing else.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Say why: which steps of a sequence, and which of their channels, made the answer.

    Example: `gatewise explain runs/vowels --data test.ts --row 3 --out why.html`
    """
    from gatewise.api import load
    from gatewise.api.pages import check_page

    if out is not None:
        check_page(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    with progress(1, "explaining") as advance:
        found = loaded.explain(data, row=row, method=method, target=target, step=step)
        advance(1)
    if out is not None:
        errors.print(f"Page: {found.write(out)}", highlight=False, markup=False, soft_wrap=True)
    if csv:
        typer.echo(found.table().write_csv(), nl=False)
        return
    output.print(printable(str(found)), highlight=False, markup=False, soft_wrap=True)
    output.print(_table(found))


def _table(found: "Explanation") -> "Table":
    """The steps that add or take most."""
    from rich.table import Table
    from rich.text import Text

    from gatewise.reports.words import shorten

    frame = found.table()
    frame = frame[frame["value"].abs().arg_sort(descending=True)[:MOST]]
    several = frame["feature"].n_unique() > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("step", "name", *(["channel"] if several else []), "adds"):
        figure = head in ("step", "adds")
        table.add_column(head, justify="right" if figure else "left", no_wrap=figure)
    for step, name, feature, value in frame.iter_rows():
        names = [Text(shorten(printable(part), WIDEST)) for part in (name, *([feature] if several else []))]
        table.add_row(str(step), *names, "" if math.isnan(value) else f"{value:+.4g}")
    return table
