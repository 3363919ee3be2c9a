"""`render`: a run as one HTML file that needs nothing else."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tomli_w

from gatewise.reports import (
    classification,
    forecasting,
    language_model,
    media,
    page,
    pairs,
    plots,
    regression,
    tagging,
    text_classification,
)
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.words import counted, duration, number, percent
from gatewise.tasks import TASKS
from gatewise.training.config import to_plain

# Those whose names are no words.
METRICS = {"scaled_mse": "scaled MSE", "scaled_mae": "scaled MAE", "wql": "quantile loss", "mase": "MASE"}
METRICS |= {"f1": "F1", "bleu": "BLEU", "rouge1": "ROUGE-1", "r2": "R²", "wer": "WER", "cer": "CER"}


@dataclass(frozen=True)
class Chapters:
    """What a task adds to a report: numbers for its headline, and parts of the chapters on data and on results."""

    headline: Callable[[Report, Measured], list[tuple[str, str, str]]]
    data: Callable[[Report], list[Html]]
    results: Callable[[Report, Measured], list[Html]]


REPORTS = {
    "classification": Chapters(classification.headline, classification.data, classification.results),
    "regression": Chapters(regression.headline, regression.data, regression.results),
    "text-classification": Chapters(
        text_classification.headline, text_classification.data, text_classification.results
    ),
    "tagging": Chapters(tagging.headline, tagging.data, tagging.results),
    "language-model": Chapters(language_model.headline, language_model.data, language_model.results),
    "translation": Chapters(pairs.headline, pairs.data, pairs.results),
    "summarisation": Chapters(pairs.headline, pairs.data, pairs.results),
    "audio-classification": Chapters(media.headline, media.data, media.results),
    "speech-to-text": Chapters(media.headline, media.data, media.results),
    "handwriting": Chapters(media.headline, media.data, media.results),
    "video": Chapters(media.headline, media.data, media.results),
    "forecasting": Chapters(forecasting.headline, forecasting.data, forecasting.results),
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
        "Data": page.join(*task.data(report)),
        "Training": _training(report),
        "Results": page.join(*results),
        "Settings": _settings(report),
    }
    return page.page(f"{report.title}: {_title(report.config.task).lower()}", _header(report, task, shown), chapters)


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
        Html(f'<p class="kind">{page.text(_title(report.config.task))} of {page.text(source)}</p>'),
        page.facts(cards),
    )


def _title(task: str) -> str:
    """A task's name as a reader writes it."""
    return task.replace("-", " ").capitalize()


def _training(report: Report) -> Html:
    if not report.history:
        return page.paragraph("No epoch was finished.")
    monitor = TASKS[report.config.task](report.config.loss, report.adapter).monitor
    epochs, best = [line["epoch"] for line in report.history], report.best_epoch
    marked = "" if best is None else f" The dotted line marks the best epoch, {best}."
    metric = METRICS.get(monitor.metric, monitor.metric)
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
    gradients = [_gradients(report, epochs, best)] if any("grad_norm" in line for line in report.history) else []
    checked = {f"{name} loss": values for name, values in losses.items()} | chosen
    undefined = [name for name, values in checked.items() if not all(map(np.isfinite, values))]
    gaps = page.paragraph(f"Not a number in some epochs: {', '.join(undefined)}.") if undefined else Html("")
    return page.join(page.columns(*pictures, learning_rate, *gradients), gaps)


def _gradients(report: Report, epochs: list[int], best: int | None) -> Html:
    """How long the gradients were, which runs of before have not written down."""
    norms, clipped = _column(report, "grad_norm"), _column(report, "clipped")
    limit = report.config.train.clip_norm
    shortened = "They were never shortened (train.clip_norm is 0)."
    if limit:
        share = [value for value in clipped if np.isfinite(value)]
        shortened = f"Those longer than {number(limit)} are shortened to it before a step (train.clip_norm): "
        shortened += f"{percent(float(np.mean(share)))} of all steps." if share else "none was measured."
    return page.picture(
        plots.curves(epochs, {"gradient": norms}, title="gradient length", zero=True, best=best, height=200),
        caption=f"The mean length of an epoch's gradients: how hard the loss pulls at the weights. {shortened}",
        alt=f"Mean length of the gradients over epochs; at most {number(float(np.nanmax(norms)))}, at last "
        f"{number(norms[-1])}.",
    )


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
