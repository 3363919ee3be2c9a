"""``gatewise probe``."""

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

    from gatewise.inspection.probes import Probes


WIDEST = 30  # letters of a name


def probe(
    run: RunArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page with each unit shown on the text, .html.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="The table as CSV on standard output, nothing else.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find units that follow the text: the position in a line, an open quotation, capitals; or that tell a class.

    Each unit is chosen on one half of the data and measured on the other; beside it stands what chance would give.

    Example: `gatewise probe runs/shakespeare --data test.txt`
    """
    from gatewise.api import load
    from gatewise.api.pages import check_page
    from gatewise.api.probing import read_to_probe, units_to_read

    if out is not None:
        check_page(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    read = read_to_probe(loaded, data)
    with progress(units_to_read(loaded, read), "reading") as advance:
        found = loaded.probe(read, on_tokens=advance)
    if out is not None:
        from gatewise.reports.probes import page_of
        from gatewise.training.files import write_atomic

        write_atomic(out, page_of(found, title=loaded.path.name))
        errors.print(f"Page: {out}", highlight=False, markup=False, soft_wrap=True)
    if csv:
        typer.echo(found.table().write_csv(), nl=False)
        return
    output.print(_table(found))
    for note in found.notes:
        errors.print(note, highlight=False, markup=False, soft_wrap=True)


def _table(found: "Probes") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from gatewise.inspection.layers import unit_name
    from gatewise.reports.words import shorten

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("", "best unit"):
        table.add_column(head)  # wrapped where there is little room, so that no figure is cut
    for head in ("held out", "chance"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in found.probes:
        if one.unit is None:
            table.add_row(Text(shorten(printable(one.name), WIDEST)), "", "", "", one.verdict)
            continue
        where = unit_name(*one.unit)
        middle, what = ("0.5 ", "AUC") if one.kind == "yes-no" else ("", "r")
        figures = (f"{what} {one.held_out:.2f}", f"{middle}± {one.chance:.2f}")
        table.add_row(Text(shorten(printable(one.name), WIDEST)), Text(where), *figures, one.verdict)
    return table
