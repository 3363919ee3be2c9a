"""``gatewise compare``."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatewise.cli.common import DataOption, DeviceOption, ThreadsOption, errors, note, output

if TYPE_CHECKING:
    from gatewise.inspection.comparison import Comparison

BETWEEN = "vs"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Run directories; 'vs' between those of one setup and the next."),
    ],
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A page with pictures: .html.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="How often to draw the sequences anew.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Measure how fast each answers.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Runs side by side on the same data: metrics with intervals, tests, speed, parameters, settings that differ.

    Without `--data` on the test file of the runs, where all have the same one. Several runs of one setup (seeds):
    their mean, as in `gatewise compare runs/a-* vs runs/b-*`.

    Example: `gatewise compare runs/lstm runs/bilstm --data test.ts --out comparison.html`
    """
    from gatewise import api
    from gatewise.training.files import to_json

    with _steps() as on_step:
        found = api.compare(
            _setups(runs),
            data,
            resamples=resamples,
            seed=seed,
            speed=speed,
            device=device or "auto",
            threads=threads,
            out=out,
            overwrite=overwrite,
            on_step=on_step,
        )
    if json:
        typer.echo(to_json(found.to_plain()))
        return
    _show(found)
    if out is not None:
        _say(f"\nPage: {out}")


def _setups(runs: list[Path]) -> list[list[Path]]:
    """``a b c`` is three setups, ``a b vs c`` two."""
    if Path(BETWEEN) not in runs:
        return [[run] for run in runs]
    setups: list[list[Path]] = [[]]
    for run in runs:
        if run == Path(BETWEEN):
            setups.append([])
        else:
            setups[-1].append(run)
    return setups


@contextmanager
def _steps() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for one thing after another; yields what is told how far each is."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _show(found: "Comparison") -> None:
    for sentence in found.words:
        _say(sentence)
    output.print()
    _print(_metrics(found))
    deviation = (
        "; of several runs by Student's t; ± is the deviation from run to run"
        if any(len(setup.runs) > 1 for setup in found.setups)
        else ""
    )
    _say(
        f"\nDifference from {found.setups[0].name}, of per cent in points. 95 % intervals from {found.resamples:,} "
        f"resamples of {found.clusters}, the same for all (seed {found.seed}){deviation}.\n"
    )
    _print(_costs(found))
    if found.settings:
        output.print()
        _print(_settings(found))
    for sentence in found.notes:
        note(sentence)


def _print(table: Table) -> None:
    """A table, as wide as it is: a terminal folds its lines, and a file has no width."""
    from rich.measure import Measurement

    wide = Measurement.get(output, output.options.update(max_width=10_000), table).maximum
    Console(width=max(output.width, wide)).print(table)


def _say(text: str) -> None:
    output.print(text, highlight=False, markup=False, soft_wrap=True)


def _metrics(found: "Comparison") -> Table:
    from gatewise.inspection.verdict import change, name_of, shown, span

    table = _table("", "", "95 %", "difference", "95 %")
    for metric in found.setups[0].metrics:
        table.add_row(Text(name_of(metric), style="bold"))
        for place, setup in enumerate(found.setups):
            one = setup.metrics[metric]
            value = shown(metric, one.value)
            value += f" ± {span(metric, one.deviation)}" if len(setup.runs) > 1 else ""
            cells = [f"  {setup.name}", value, _ends(shown(metric, one.low), shown(metric, one.high))]
            if place:
                less = found.differences[place - 1].metrics[metric]
                cells += [change(metric, less.value), _ends(change(metric, less.low), change(metric, less.high))]
            table.add_row(*map(Text, cells))
    return table


def _ends(low: str, high: str) -> str:
    return f"[{low.rstrip('%')}, {high.rstrip('%')}]"


def _costs(found: "Comparison") -> Table:
    table = _table("", "recipe", "parameters", "training", "best epoch", f"{found.rate_unit} a second [quartiles]")
    for setup in found.setups:
        epochs = ", ".join("-" if epoch is None else str(epoch) for epoch in setup.best_epochs)
        speed = setup.rate
        rate = "-" if math.isnan(speed.value) else f"{speed.value:,.0f} [{speed.low:,.0f}, {speed.high:,.0f}]"
        cells = (setup.name, setup.recipe, f"{setup.parameters:,}", f"{setup.minutes:.1f} min", epochs, rate)
        table.add_row(*map(Text, cells))
    return table


def _settings(found: "Comparison") -> Table:
    table = _table("settings that differ", *(setup.name for setup in found.setups))
    for name, values in found.settings.items():
        table.add_row(*map(Text, (name, *values)))
    return table


def _table(*head: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
    return table
