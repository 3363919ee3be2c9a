"""``gatewise bench``."""

import json as json_format
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from gatewise.cli.common import ThreadsOption, errors, names, output

if TYPE_CHECKING:
    from gatewise.benchmark import Report
    from gatewise.benchmark.tables import Table


def bench(
    work: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORK]...",
            help="train, infer, layers, ragged, variants, streaming, language, generation, profile.  "
            "[default: something of each]",
            show_default=False,
        ),
    ] = None,
    threads: ThreadsOption = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N,...", help="Of the reference model.  [default: 1,32,64]")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes for each figure.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="In each process, at least.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="In each process, at least.")] = 0.5,
    kernel: Annotated[str, typer.Option(metavar="NAME", help="Which of ours; see gatewise kernels.")] = "auto",
    dtype: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Ours: float32, bfloat16. Torch's is float32.")
    ] = None,
    isa: Annotated[
        str | None, typer.Option(help="Hold both sides to an instruction set: sse2, avx2, avx512 or avx512_bf16.")
    ] = None,
    allocator: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="default; kept: both sides keep freed memory; tuned: and have huge pages."
        ),
    ] = "default,tuned",
    steps: Annotated[int | None, typer.Option(min=1, help="Another length for all sequences.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables for a page.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
) -> None:
    """Measure gatewise and PyTorch side by side on this machine: medians, spread, ratios.

    Example: `gatewise bench train infer --threads 1`

    Without WORK one or two minutes for something of each; a group that is named is measured in full. Nothing is told of
    the speed of a kernel that computes something wrong, and the exit code is then 1.
    """
    from gatewise.benchmark import BenchmarkError, Settings, bench

    settings = Settings(
        work=tuple(work or ()),
        threads=threads,
        batch_sizes=_numbers(batch_size),
        processes=processes,
        rounds=rounds,
        seconds=seconds,
        kernel=kernel,
        dtypes=tuple(names(dtype) or ()),
        isa=isa,
        allocators=tuple(names(allocator) or ()),
        steps=steps,
    )
    try:
        with _progress() as watch:
            report = bench(settings, watch=watch)
    except BenchmarkError as error:
        errors.print(f"gatewise: {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if json:
        typer.echo(json_format.dumps(report.to_plain(), ensure_ascii=False))
    else:
        _show(report, markdown=markdown)
    if not report.is_right:
        raise typer.Exit(1)


def _numbers(text: str | None) -> tuple[int, ...]:
    from gatewise.errors import OptionError

    try:
        return tuple(int(word) for word in names(text) or ())
    except ValueError:
        raise OptionError(f"bench: expected --batch-size of whole numbers, got {text!r}. Try 1,32,64.") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A bar on standard error, moved on by what begins."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)
        started = [0]

        def watch(what: str, total: int) -> None:
            bar.update(task, description=what, total=total, completed=started[0])
            started[0] += 1

        yield watch


def _show(report: "Report", *, markdown: bool) -> None:
    from gatewise.benchmark.tables import busy, header, method, tables

    def say(text: str) -> None:
        output.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"{header(report)}.\n")
    for table in tables(report):
        say(f"{table.to_markdown()}\n") if markdown else _show_table(table)
    say(method(report))
    if warning := busy(report):
        errors.print(warning, style="bold red", highlight=False, markup=False, soft_wrap=True)


def _show_table(table: "Table") -> None:
    from rich.table import Table as Shown
    from rich.text import Text

    shown = Shown(title=Text(table.title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if number > 1 or "," in column else "left")
    for row in table.rows:
        shown.add_row(*(Text(cell.replace("`", "")) for cell in row))
    output.print(shown)
    output.print()
