"""What several commands share: their options, and how numbers are shown."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars

errors = Console(stderr=True)
output = Console()

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Numbers: .ts .tsv .txt .csv .parquet .npz. Texts: .txt .csv .tsv .parquet .jsonl .conll .conllu, or two "
        "files line by line, SOURCE,TARGET. Also .gz .xz. Series: also a part, FILE@FROM..UNTIL.",
    ),
]
DeviceOption = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, max=1024, help="CPU threads.")]
IdOption = Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Tables: which sequence a row is of.")]
TimeOption = Annotated[str | None, typer.Option("--time", metavar="COLUMN", help="Tables: orders the steps.")]
FeaturesOption = Annotated[
    str | None, typer.Option("--features", metavar="COLUMN,...", help="Tables: input columns.  [default: the rest]")
]
TargetOption = Annotated[str | None, typer.Option("--target", metavar="COLUMN,...", help="Tables: the answer.")]
TextOption = Annotated[
    str | None, typer.Option("--text", metavar="COLUMN", help='Tables, JSON lines: the text.  [default: "text" ...]')
]
GroupOption = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="Whose sequence it is: one side of the split only.")
]

OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help=".csv, .parquet or .jsonl.  [default: CSV on standard output]"),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")]
SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Recordings, images, films: leave out what cannot be read, and count it.")
]


def names(text: str | None) -> list[str] | None:
    """``"a, b"`` as a list."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def metrics_table(columns: Mapping[str, Mapping[str, float]]) -> Table:
    """Metrics of several data sets side by side."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in columns:
        table.add_column(Text(name), justify="right")
    rows = list(dict.fromkeys(metric for column in columns.values() for metric in column))
    for metric in rows:
        table.add_row(metric, *(show(column[metric]) if metric in column else "" for column in columns.values()))
    return table


def show(value: Any) -> str:
    """A number as people read it."""
    return str(value) if isinstance(value, int) else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"


def printable(text: str) -> str:
    r"""A text of somebody's data for a terminal: what would steer it, or turn its lines around, is spelt out.

    >>> printable("tab\tand \x1b[31mred")
    'tab\\tand \\x1b[31mred'
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def tell(text: str) -> None:
    """A line on standard error."""
    errors.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """What a user should know, on standard error; ``text`` without its full stop."""
    tell(f"Note: {text}.")


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Refuses a file ``--out`` that could not be written, before anything is computed."""
    from gatewise.api.predictions import check_target

    if out is not None:
        check_target(out, overwrite=overwrite)


def show_frame(frame: "polars.DataFrame", out: Path | None, what: str) -> None:
    """A table as CSV on standard output, or in the file ``--out`` and then ``what`` is told to be there."""
    from gatewise.api.predictions import write_frame

    if out is None:
        typer.echo(frame.write_csv(), nl=False)
        return
    write_frame(out, frame)
    tell(f"{what} in {out}")


@contextmanager
def progress(total: int, what: str) -> Iterator[Any]:
    """A bar on standard error for work on ``total`` sequences; yields the function that moves it on."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
