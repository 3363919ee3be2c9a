"""`render`: a run as one HTML file that needs nothing else."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tomli_w

from gatewise.data.dataset import SequenceData
from gatewise.reports import classification, page, plots, regression
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.words import counted, duration, listed, number, percent
from gatewise.tasks import TASKS
from gatewise.training.config import to_plain

CHANNELS = 20  # rows of the table of channels


@dataclass(frozen=True)
class Chapters:
    """What a task adds to a report: numbers for its headline, and parts of the chapters on data and on results."""

    headline: Callable[[Report, Measured], list[tuple[str, str, str]]]
    data: Callable[[Report], list[Html]]
    results: Callable[[Report, Measured], list[Html]]


REPORTS = {
    "classification": Chapters(classification.headline, classification.data, classification.results),
    "regression": Chapters(regression.headline, regression.data, regression.results),
}


def render(report: Report) -> str:
    """The whole page: data, training, results, and how to do it again. Trains nothing and runs no model.

    Args:
        report: everything that it shows.

    Returns:
        HTML of about 5 MB, nearly all of it the library that draws; it loads nothing from anywhere.
    """
    task = REPORTS[report.config.task]
    shown = report.shown
    results = task.results(report, shown) if shown else [page.paragraph("Nothing was measured.")]
    chapters = {
        "Data": page.join(*_data(report), *task.data(report)),
        "Training": _training(report),
        "Results": page.join(*results),
        "Settings": _settings(report),
    }
    return page.page(f"{report.title}: {report.config.task}", _header(report, task, shown), chapters)


def _header(report: Report, task: Chapters, shown: Measured | None) -> Html:
    source = report.config.data.train or "data given in Python"
    epoch = "none" if report.best_epoch is None else f"{report.best_epoch} of {len(report.history)}"
    cards = [
        *(task.headline(report, shown) if shown else []),
        ("Best epoch", epoch, "its weights are kept"),
        ("Training time", duration(report.seconds), report.device),
        ("Parameters", f"{report.parameters:,}", f"numbers that were learnt; recipe {report.config.model.recipe}"),
    ]
    return page.join(
        Html(f"<h1>{page.text(report.title)}</h1>"),
        Html(f'<p class="kind">{page.text(report.config.task.capitalize())} of {page.text(source)}</p>'),
        page.facts(cards),
    )


def _data(report: Report) -> list[Html]:
    """Sizes, lengths and channels: what every task has."""
    scaler = report.adapter.inputs
    rows = [[name, *_size(split)] for name, split in report.splits.items()]
    sizes = page.table(
        ["Set", "Sequences", "Steps: fewest", "median", "most", "Missing values"], rows, name="Sizes of the data sets"
    )
    sentence = f"{counted(len(scaler.channels), 'channel')}: {listed(list(scaler.channels))}. "
    sentence += f"{percent(report.padding)} of the values in training batches are padding."
    return [page.paragraph(sentence), sizes, page.columns(_lengths(report), _channels(report))]


def _size(split: SequenceData) -> list[str]:
    lengths = split.lengths
    if not len(lengths):
        return ["0", *["—"] * 4]
    steps = [f"{lengths.min():,}", number(float(np.median(lengths))), f"{lengths.max():,}"]
    values = sum(sequence.size for sequence in split.sequences)
    missing = sum(int(np.isnan(sequence).sum()) for sequence in split.sequences)
    return [f"{len(split):,}", *steps, percent(missing / values if values else 0.0)]


def _lengths(report: Report) -> Html:
    lengths = {name: split.lengths for name, split in report.splits.items() if len(split)}
    found = np.unique(np.concatenate(list(lengths.values())))
    if len(found) == 1:
        return page.subsection("Lengths", page.paragraph(f"Every sequence has {counted(int(found[0]), 'step')}."))
    picture = page.picture(
        plots.histogram(lengths, title="steps"),
        caption="How long the sequences are, as shares of each set; the sets should look alike.",
        alt=f"Histogram of lengths, {found.min()} to {found.max()} steps.",
    )
    return page.subsection("Lengths", picture)


def _channels(report: Report) -> Html:
    scaler = report.adapter.inputs
    steps = sum(len(sequence) for sequence in report.train_data.sequences)
    missing = sum((np.isnan(sequence).sum(axis=0) for sequence in report.train_data.sequences), np.zeros(1))
    shares = np.broadcast_to(missing / max(steps, 1), (len(scaler.channels),))
    rows = [
        [name, number(mean), number(std), percent(float(share))]
        for name, mean, std, share in zip(scaler.channels, scaler.mean, scaler.std, shares, strict=True)
    ]
    more = page.paragraph(f"The first {CHANNELS} of {len(rows)} channels.") if len(rows) > CHANNELS else Html("")
    head = ["Channel", "Mean", "Standard deviation", "Missing values"]
    return page.subsection("Channels", page.table(head, rows[:CHANNELS], name="Channels in the training data"), more)


def _training(report: Report) -> Html:
    if not report.history:
        return page.paragraph("No epoch was finished.")
    monitor = TASKS[report.config.task](report.config.loss, report.adapter).monitor
    epochs, best = [line["epoch"] for line in report.history], report.best_epoch
    marked = "" if best is None else f" The dotted line marks the best epoch, {best}."
    metric = monitor.metric.replace("_", " ")
    losses = {"training": _column(report, "train_loss"), "validation": _column(report, "valid_loss")}
    chosen = {metric: _column(report, f"valid_{monitor.metric}")}
    rate = _column(report, "lr")
    best_value = number(float(chosen[metric][epochs.index(best)])) if best is not None else "—"
    better = "higher" if monitor.mode == "max" else "lower"
    pictures = [
        page.picture(
            plots.curves(epochs, losses, title="loss", best=best, height=300),
            caption="The loss is what training makes small. Validation rising while training falls means that the "
            f"model learns its examples by heart.{marked}",
            alt=f"Training and validation loss over {counted(len(epochs), 'epoch')}; "
            f"last {number(losses['training'][-1])} and {number(losses['validation'][-1])}.",
        ),
        page.picture(
            plots.curves(epochs, chosen, title=f"validation {metric}", best=best, height=300),
            caption=f"The number by which the best epoch is chosen ({better} is better); at best {best_value}.{marked}",
            alt=f"Validation {metric} over {counted(len(epochs), 'epoch')}; at best {best_value}.",
        ),
    ]
    learning_rate = page.picture(
        plots.curves(epochs, {"learning rate": rate}, title="learning rate", zero=True, height=200),
        caption=f"The learning rate is how far a step goes; its schedule here is {report.config.train.schedule}.",
        alt=f"Learning rate over epochs, at most {number(max(rate))}.",
    )
    checked = {f"{name} loss": values for name, values in losses.items()} | chosen
    undefined = [name for name, values in checked.items() if not all(map(np.isfinite, values))]
    gaps = page.paragraph(f"Not a number in some epochs: {', '.join(undefined)}.") if undefined else Html("")
    return page.join(page.columns(*pictures, learning_rate), gaps)


def _column(report: Report, name: str) -> list[float]:
    return [float(line.get(name, float("nan"))) for line in report.history]


def _settings(report: Report) -> Html:
    again = f"gatewise train --config config.toml --out {shlex.quote(report.title + '-again')}"
    words = "Save the settings below as config.toml, then:"
    if report.config.data.train is None:
        words = "The data were given in Python, and so they must be again: save the settings below as config.toml and "
        words += "give the same data to gatewise.train with config=“config.toml”."
    rows = [["device", report.device], *([name, version] for name, version in report.versions.items())]
    plain: dict[str, Any] = to_plain(report.config)
    return page.join(
        page.subsection("Do it again", page.paragraph(words), *(_command(again) if report.config.data.train else [])),
        page.subsection("Settings of this run", page.code(tomli_w.dumps(plain), name="the settings")),
        page.subsection("Environment", page.table(["What", "Version"], rows, name="Environment")),
    )


def _command(line: str) -> list[Html]:
    return [page.code(line, name="the command")]


__all__ = ["REPORTS", "Chapters", "Measured", "Report", "render"]
