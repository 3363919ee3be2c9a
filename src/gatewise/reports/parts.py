"""What the reports of all tasks share: drawings of sequences, the table of metrics, names of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatewise.data.scaling import Scaler
from gatewise.reports import page, plots
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.words import counted, number, percent, shorten
from gatewise.tasks import Data

CHANNELS = 6  # drawn at most: as many as there are colours
UNEQUAL = 10.0  # channels this many times wider than others would hide them


class Drawing(NamedTuple):
    """A sequence to draw, what stands above it, and figures below it."""

    values: np.ndarray
    title: str
    note: str
    below: tuple[object, ...] = ()


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its name, what it says, and whether it is a share."""

    name: str
    meaning: str
    share: bool = True

    def show(self, value: float) -> str:
        """The value, rounded."""
        return percent(value) if self.share else number(value)


def metrics_table(report: Report, words: Mapping[str, Metric], *, noun: str = "sequence") -> Html:
    """Every metric of every measured data set; those without words keep their names. ``noun``: what was counted."""
    rows = [[f"{noun.capitalize()}s", *(f"{len(measured.data):,}" for measured in report.measured)]]
    names = dict.fromkeys(name for measured in report.measured for name in measured.metrics if name != "count")
    for name in names:
        metric = words.get(name, Metric(name.replace("_", " ").capitalize(), "", share=False))
        values = [measured.metrics.get(name, float("nan")) for measured in report.measured]
        rows.append([metric.name, *(metric.show(value) for value in values)])
    known = [words[name] for name in names if name in words]
    return page.join(
        page.table(["", *(measured.name for measured in report.measured)], rows, name="Metrics by data set"),
        page.paragraph(" ".join(f"{metric.name}: {metric.meaning}." for metric in known)),
    )


def about(measured: Measured, *, many: str | None = None) -> str:
    """What a reader must know of where the results come from; ``many`` says of how many, if not of sequences."""
    many = many or counted(len(measured.results.references), "sequence")
    if measured.name == "validation":
        return f"Measured on the validation data, {many}. The best epoch was chosen on them, so this flatters a little."
    if measured.name == "test":
        return f"Measured on the test data, {many}. They were neither learnt from nor chosen on."
    return f"Measured on {measured.name}, {many}."


def row_name(data: Data, index: int) -> str:
    """Where a sequence or a text stands: its row in predictions, counted from 0, and its line in the file.

    >>> from gatewise.data.dataset import SequenceData
    >>> row_name(SequenceData([], ids=["a7"], rows=[12]), 0)
    'row 0, line 12, id a7'
    """
    place = f"row {index}" if data.rows is None else f"row {index}, line {data.rows[index]}"
    return place if data.ids is None else f"{place}, id {shorten(str(data.ids[index]), 40)}"


def drawings(items: Sequence[Drawing], scaler: Scaler) -> Html:
    """Sequences as small drawings with one vertical axis for all, and the names of their lines.

    Where some channels are far wider than others, each is drawn in deviations from its mean.
    """
    width = len(scaler.channels)
    shown = scaler.channels[:CHANNELS]
    std = np.array(scaler.std[:CHANNELS])
    scaled = len(shown) > 1 and std.max() > UNEQUAL * std.min()
    mean, std = (np.array(scaler.mean[:CHANNELS]), std) if scaled else (0.0, 1.0)  # type: ignore[assignment]
    series = [(item.values[:, :CHANNELS] - mean) / std for item in items]
    value_range = _range(series)
    sentences = []
    if width > CHANNELS:
        sentences.append(f"Of {width} channels the first {CHANNELS} are drawn.")
    if scaled:
        sentences.append("Each channel is drawn in standard deviations from its mean, since their units differ widely.")
    panels = [
        page.panel(
            plots.sequence(values, channels=shown, value_range=value_range),
            *item.below,
            title=item.title,
            note=item.note,
            alt=f"{item.title}: {counted(len(item.values), 'step')} of {counted(width, 'channel')}. {item.note}",
        )
        for item, values in zip(items, series, strict=True)
    ]
    return page.join(
        page.legend(shown), page.panels(panels), page.paragraph(" ".join(sentences)) if sentences else Html("")
    )


def _range(series: Sequence[np.ndarray]) -> tuple[float, float] | None:
    known = [values[np.isfinite(values)] for values in series]
    known = [values for values in known if values.size]
    if not known:
        return None
    return float(min(values.min() for values in known)), float(max(values.max() for values in known))
