"""What a report says of numeric sequences, whatever the task: how many, how long, of which channels."""

import numpy as np

from gatewise.data.dataset import SequenceData
from gatewise.data.scaling import Scaler
from gatewise.reports import page, plots
from gatewise.reports.content import Report
from gatewise.reports.page import Html
from gatewise.reports.words import counted, listed, number, percent

CHANNELS = 20  # rows of the table of channels


def overview(report: Report) -> list[Html]:
    """Sizes, lengths and channels."""
    scaler: Scaler = report.adapter.inputs
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
    scaler: Scaler = report.adapter.inputs
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
