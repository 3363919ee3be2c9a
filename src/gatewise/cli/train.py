"""``gatewise train``."""

import os
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    FeaturesOption,
    GroupOption,
    IdOption,
    TargetOption,
    TextOption,
    ThreadsOption,
    TimeOption,
    errors,
    metrics_table,
    names,
    output,
)

if TYPE_CHECKING:
    from gatewise.api import CrossValidation, Run

Outcome = TypeVar("Outcome")


def train(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="classification, regression, text-classification, tagging, language-model, translation, "
            "summarisation, forecasting, audio-classification, speech-to-text, handwriting or video.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Measured at the end; nothing is chosen by it.")
    ] = None,
    valid: Annotated[
        str | None, typer.Option(metavar="FILE", help="Chooses the best epoch.  [default: a part of the data]")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run directory.  [default: runs/TASK-TIME]")] = None,
    recipe: Annotated[str | None, typer.Option(help="Model, as in docs/settings.md.  [default: the task's]")] = None,
    kernel: Annotated[
        str | None, typer.Option(help="What computes the LSTM: auto, or a name that `gatewise kernels` lists.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    id: IdOption = None,
    time: TimeOption = None,
    features: FeaturesOption = None,
    target: TargetOption = None,
    group: GroupOption = None,
    text: TextOption = None,
    tokens: Annotated[str | None, typer.Option(help="Texts: words, characters, bytes or subwords.")] = None,
    embeddings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts: word vectors to begin with (word2vec, GloVe).")
    ] = None,
    length: Annotated[int | None, typer.Option(metavar="N", help="Cut or pad every sequence to N steps.")] = None,
    context: Annotated[int | None, typer.Option(metavar="N", help="Forecasting: steps to look back on.")] = None,
    horizon: Annotated[int | None, typer.Option(metavar="N", help="Forecasting: steps to forecast.")] = None,
    scale: Annotated[str | None, typer.Option(help="channel, sequence or none.")] = None,
    missing: Annotated[str | None, typer.Option(help="Missing values: mean, previous or indicator.")] = None,
    split: Annotated[str | None, typer.Option(help="Validation part: auto, stratified, group, time or random.")] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="Cross-validation: K trainings, mean and spread.")
    ] = None,
    class_weights: Annotated[str | None, typer.Option(help="none or balanced.")] = None,
    threshold: Annotated[str | None, typer.Option(help="Two classes: 0 to 1, or auto.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="C.toml", help="Settings from a file; options win.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, e.g. model.dropout=0.2.")
    ] = None,
    init: Annotated[Path | None, typer.Option(metavar="RUN", help="Start from another run's weights.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    precision: Annotated[str | None, typer.Option(help="32, bf16, 16 or 64.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
) -> None:
    """Train a model on sequences or texts in a file, measure it, and write a report.

    Example: `gatewise train classification --data train.ts --test test.ts --out runs/vowels`

    Every setting is in the run's config.toml; `--set NAME=VALUE` reaches those that have no option of their own.
    """
    from gatewise import api
    from gatewise.training.config import parse_setting
    from gatewise.training.fit import InterruptedTraining

    options: dict[str, Any] = {
        "model.recipe": recipe,
        "model.kernel": kernel,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "data.id": id,
        "data.time": time,
        "data.features": names(features),
        "data.target": names(target),
        "data.group": group,
        "data.text.column": text,
        "data.text.tokens": tokens,
        "data.text.embeddings": None if embeddings is None else str(embeddings),
        "data.length": length,
        "data.series.context_length": context,
        "data.series.horizon": horizon,
        "data.scale": scale,
        "data.missing": missing,
        "data.split": split,
        "data.folds": folds,
        "loss.class_weights": class_weights,
        "threshold": _number_or_word(threshold),
        "train.seed": seed,
        "train.device": device,
        "train.threads": threads,
        "train.precision": precision,
    }
    settings = dict(parse_setting(text) for text in set or [])
    settings |= {name: value for name, value in options.items() if value is not None}

    def start(training: Callable[..., Outcome]) -> Outcome:
        return training(
            task,
            data=data,
            valid=valid,
            test=test,
            out=out,
            config=config,
            settings=settings,
            resume=resume,
            overwrite=overwrite,
            init=init,
            progress=not quiet,
        )

    if quiet:
        warnings.simplefilter("ignore")  # notes on the data
    try:
        if _has_folds(config, settings):
            validated = start(api.cross_validate)
            if not quiet:
                _show_folds(validated)
        else:
            run = start(api.train)
            if not quiet and os.environ.get("RANK", "0") == "0":  # under torchrun the first process speaks for all
                _show_run(run)
    except InterruptedTraining as stop:
        _say(f"{stop} Go on with:\n  {_resume_command(stop.path)}", errors)
        raise typer.Exit(130) from None


def _say(text: str, console: Console = output) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _show_run(run: "Run") -> None:
    from gatewise.tasks import SIDES

    results = run.results
    output.print()
    output.print(metrics_table({name: value for name, value in results.items() if isinstance(value, dict)}))
    _say(f"\nBest epoch {results['best_epoch']} of {results['epochs']}.")
    if "threshold" in results:
        _say(f'Threshold {results["threshold"]:.3f}: above it the answer is "{run.classes[1]}".')
    _say(f"Report:  {run.path / 'report.html'}")
    _say(f"Use it:  gatewise {SIDES[run.config.task].usage.format(run=shlex.quote(str(run.path)))}")


def _show_folds(folds: "CrossValidation") -> None:
    output.print(metrics_table(folds.columns()))
    _say(f"\nRuns: {folds.path}/fold-*")


def _has_folds(config: Path | None, settings: dict[str, Any]) -> bool:
    """Whether all folds are asked for, by an option or in the file."""
    from gatewise.training.config import merge, read_toml

    data = merge(read_toml(config) if config is not None else {}, settings).get("data")
    return isinstance(data, dict) and "folds" in data and "fold" not in data


def _resume_command(path: Path) -> str:
    """The command that was typed, with what it takes to go on."""
    if path.name.startswith("fold-"):
        path = path.parent
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    more = [] if any(word == "--out" or word.startswith("--out=") for word in words) else ["--out", str(path)]
    more += [] if "--resume" in words else ["--resume"]
    end = words.index("--") if "--" in words else len(words)  # what follows it is no option
    return shlex.join(["gatewise", *words[:end], *more, *words[end:]])


def _number_or_word(text: str | None) -> float | str | None:
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        return text
