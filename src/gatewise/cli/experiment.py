"""``gatewise experiment``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.common import ThreadsOption, errors, names, output

if TYPE_CHECKING:
    from gatewise.experiments import Finished, Results


SHOWN = ("model", "T", "solved", "steps", "wrong", "a seed", "parameters")
"""Columns that a terminal has room for; the page has all."""


def experiment(
    name: Annotated[list[str], typer.Argument(metavar="NAME", help="adding, copy, noise or order.")],
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAME ...",
            help="rnn, gru, gru-chrono, lstm-1997, lstm-no-bias, lstm, lstm-chrono.  "
            "[default: rnn gru lstm-1997 lstm lstm-chrono]",
        ),
    ] = None,
    lengths: Annotated[
        str | None, typer.Option(metavar="T ...", help="Steps of the sequences.  [default: 100]")
    ] = None,
    seeds: Annotated[int, typer.Option(help="So many networks of each, from seed 0.")] = 1,
    variant: Annotated[
        str | None, typer.Option(metavar="N", help="The paper's task: noise 2c, 2a, 3a; order 6a, 6b.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Of a network, at most; 0: gradients at the start alone.  [default: 3000]")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of processor time, a network at most.  [default: 30]")] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Units.  [default: 32]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Fresh sequences a step.  [default: 32]")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of Adam.  [default: 0.01]")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient.  [default: 1]")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="results.json, report.html.  [default: runs/experiment-NAME]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew in --out.")] = False,
    as_is: Annotated[bool, typer.Option("--as-is", help="Learn nothing more: show what --out holds.")] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg|.png", help="Draw it into a file (needs matplotlib).")
    ] = None,
    panel: Annotated[str, typer.Option(help="Of the picture: gradients, carousel, learning, success or all.")] = "all",
    threads: ThreadsOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
) -> None:
    """Run a founding experiment of the LSTM: which networks bridge which time lags, and why.

    Example: `gatewise experiment adding`

    A minute or two. In full: `gatewise experiment adding --lengths 100 400 1000 --seeds 5 --models rnn gru gru-chrono
    lstm-1997 lstm-no-bias lstm lstm-chrono --out runs/adding`. Each finished network is kept: after Ctrl-C the same
    command goes on, and one with more seeds, lengths or models adds to what there is. What it shows: docs/why-lstm.md.
    """
    from gatewise.api.experiments import experiment as run
    from gatewise.experiments import check_picture, draw_picture
    from gatewise.experiments.runner import DEFAULT_MODELS
    from gatewise.training.files import to_json

    name_, models_, lengths_ = _lists(name, models, lengths)
    if picture is not None:
        check_picture(picture, panel)
    folder = out or Path("runs") / f"experiment-{name_}"
    given = {"steps": steps, "minutes": minutes, "hidden_size": hidden_size, "batch_size": batch_size, "lr": lr}
    settings = _settings(given | {"clip": clip})
    try:
        with _progress(settings.steps) as (watch, on_finished):
            results = run(
                name_,
                variant=variant,
                models=models_ or DEFAULT_MODELS,
                lengths=lengths_ or [100],
                seeds=seeds,
                settings=settings,
                out=folder,
                overwrite=overwrite,
                as_is=as_is,
                threads=threads,
                watch=watch,
                on_finished=on_finished,
            )
    except KeyboardInterrupt:
        _say(f"Stopped. What is finished is kept in {folder}; the same command goes on.", errors)
        raise typer.Exit(130) from None
    if picture is not None:
        draw_picture(results, picture, panel)
    if json:
        typer.echo(to_json({"experiment": name_, "results": [_line(each) for each in results.summaries()]}))
        return
    _show(results)
    _say(f"\nReport:  {folder / 'report.html'}" + (f"\nPicture: {picture}" if picture else ""), output)


def _lists(words: list[str], models: str | None, lengths: str | None) -> tuple[str, list[str], list[int]]:
    """The experiment, its models and lengths. Lists may be typed with commas or spaces.

    What follows a list's first word arrives as further arguments: numbers are lengths, words are models.
    """
    from gatewise.errors import OptionError

    first, *rest = words
    found = {"models": names(models) or [], "lengths": names(lengths) or []}
    for word in rest:
        for part in names(word) or []:
            kind = "lengths" if part.lstrip("-").isdigit() else "models"
            if not found[kind]:
                raise OptionError(f"experiment: expected one NAME, got {part!r} beside {first!r}. "
                                  f"Put --{kind} before it.")  # fmt: skip
            found[kind].append(part)
    try:
        return first, found["models"], [int(part) for part in found["lengths"]]
    except ValueError:
        raise OptionError(f"experiment: expected --lengths of whole numbers, got {lengths!r}. "
                          "Try --lengths 100 400.") from None  # fmt: skip


def _settings(given: dict[str, Any]) -> Any:
    from gatewise.experiments import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def _progress(steps: int) -> Iterator[tuple[Callable[[Any, int, float], None], Callable[["Finished"], None]]]:
    """A bar on standard error for the network that learns, and a line for each that has."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from gatewise.experiments import MODELS
    from gatewise.reports.words import duration, percent

    columns = (TextColumn("{task.description:<32}"), BarColumn(bar_width=24), MofNCompleteColumn(),
               TextColumn("{task.fields[right]} right"), TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=steps or 1, right="0%")

        def watch(key: Any, step: int, right: float) -> None:
            what = f"{MODELS[key.model].title}, T = {key.length:,}, seed {key.seed}"
            bar.update(task, description=what, completed=step, right=percent(right))

        def on_finished(one: "Finished") -> None:
            bar.reset(task, right="0%")
            what = f"{MODELS[one.model].title}, T = {one.length:,}, seed {one.seed}: {_outcome(one)}"
            _say(f"{what}, {duration(one.seconds)}", bar.console)

        yield watch, on_finished


def _outcome(one: "Finished") -> str:
    from gatewise.reports.words import percent

    if one.solved:
        return f"solved after {one.steps:,} steps"
    if one.end == "diverged":
        return f"diverged at step {one.steps:,}"
    if not one.complete:
        return f"not finished, stopped by --minutes at step {one.steps:,}"
    return f"{percent(one.right)} right, steps spent" if one.steps else "gradients measured"


def _show(results: "Results") -> None:
    from rich.table import Table
    from rich.text import Text

    from gatewise.experiments.page import HEAD, row

    shown = Table(title=Text(results.problem.title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    columns = [place for place, column in enumerate(HEAD) if column in SHOWN]
    for place in columns:
        shown.add_column(Text(HEAD[place]), justify="right" if place else "left", no_wrap=True)
    for each in results.summaries():
        cells = row(each)
        shown.add_row(*(Text(cells[place]) for place in columns))
    output.print(shown)


def _line(summary: Any) -> dict[str, Any]:
    plain: dict[str, Any] = summary._asdict()
    return plain | {"band": summary.band._asdict()}


def _say(text: str, console: Any) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
