"""`gatewise inspect`: one page in which to scrub through sequences and see gates, memory and what decided."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.api.explorer_items import LINES, heard, item_of, kind_of
from gatewise.api.explorer_rows import Traced, row_of, traced
from gatewise.api.explorer_sample import (
    ROWS,
    Looked,
    look_through,
    memory_of,
    named_rows,
    rows_to_show,
    summaries_of,
)
from gatewise.api.memory import Memory
from gatewise.api.pages import check_page
from gatewise.api.rows import Rows, checked_count, read_answered
from gatewise.data.series import SeriesData
from gatewise.data.vocabulary import Vocabulary
from gatewise.inspection.examples import Found
from gatewise.inspection.layers import layers_by_module
from gatewise.inspection.units import UnitSummary
from gatewise.reports import explorer_parts as parts
from gatewise.reports.explorer import (
    Curve,
    Examples,
    Explorer,
    Item,
    Layer,
    Places,
    Remembered,
    render,
)
from gatewise.reports.words import counted
from gatewise.training.files import write_atomic

if TYPE_CHECKING:
    from gatewise.api.run import Run

SAMPLE = 200
PAGE = "inspect.html"  # in the run's directory
SAFE = 7_500_000  # bytes of traces on the page
HORIZONS = {
    "end": "back from the end",
    "beginning": "on from the beginning",
    "ends": "from the nearer end",
    "past": "before",
    "future": "after",
    "passed past": "before, within the encoder",
    "passed future": "after, within the encoder",
    "forecast": "before the forecast",
}


class Page(NamedTuple):
    """The page, and what a user should know of it, a sentence each."""

    html: str
    notes: list[str]


def explore(
    run: "Run",
    data: Any = None,
    targets: Any = None,
    *,
    rows: Rows | None = None,
    count: int | None = None,
    sample: int = SAMPLE,
    on_step: Callable[[int], None] = lambda done: None,
) -> Page:
    """The page for a run and a data set.

    Sequences that are traced, explained and drawn are few; where each unit is most active is looked for in a sample.
    Memory does not grow with the data set.

    Args:
        run: a trained run with LSTM layers.
        data: as in :func:`gatewise.train`; default: the run's own test file.
        targets: one a sequence, where ``data`` has none in it.
        rows: which sequences, counted from 0: one or several.
        count: how many, where nobody says which: right and wrong answers among them where references are known. None
            for 8.
        sample: sequences in which examples of the units are looked for.
        on_step: told of each part that is done: of :func:`parts_of` in all.

    Raises:
        OptionError: a row that there is not, ``count`` below 1, or a model without LSTM layers.
        DataError: the data cannot be read, or do not fit the run.
    """
    layers_by_module(run.model, who="inspect")
    wanted = checked_count(count, rows) or ROWS
    read = read_answered(run, data, targets)
    if isinstance(read, SeriesData):
        read = replace(read, targets=None)  # the steps after their end are forecast
    looked = look_through(run, read, max(sample, wanted))
    on_step(1)
    chosen = rows_to_show(looked, wanted) if rows is None else named_rows(rows, looked)
    left_out: dict[str, str] = {}
    summaries = summaries_of(run, looked.sample, left_out)
    on_step(1)
    memory = memory_of(run, data, targets, looked.rows, left_out)
    on_step(1)
    found = []
    for row in chosen:
        found.append(traced(run, read, row, left_out))
        on_step(1)
    kept, most, notes = _fitting(found)
    layers, gallery = _layers(run, kept, looked, summaries)
    kind = kind_of(read)
    page = Explorer(
        title=run.path.name,
        subtitle=_subtitle(run, looked, len(kept)),
        kind=kind,
        rows=[row_of(run, one, kind, most, memory) for one in kept],
        layers=layers,
        gallery=gallery,
        memory=None if memory is None else _remembered(memory),
        most=most,
        spaced=_spaced(run),
        around=8 if _spaced(run) else 30,
        searched=_searched(looked, kept[0].shown.channels),
        left_out=left_out,
    )
    return Page(render(page), notes)


def inspect(
    run: "Run",
    data: Any = None,
    targets: Any = None,
    *,
    out: str | Path | None = None,
    rows: Rows | None = None,
    count: int | None = None,
) -> Path:
    """Writes the page of :func:`explore`.

    Args:
        run: a trained run.
        data: as in :func:`gatewise.train`; default: the run's own test file.
        targets: one a sequence, where ``data`` has none in it.
        out: the file, ``.html``; default: ``inspect.html`` in the run's directory. It is replaced where it exists.
        rows: which sequences, counted from 0: one or several.
        count: how many, where nobody says which; None for 8.

    Returns:
        The path.

    Raises:
        OptionError: ``out`` is no HTML file, there is no such row, or the model has no LSTM layers.
        DataError: the data cannot be read, or do not fit the run.
        RunError: there is no folder to write to.
    """
    target = check_page(run.path / PAGE if out is None else out)
    write_atomic(target, explore(run, data, targets, rows=rows, count=count).html)
    return target


def parts_of(rows: Sequence[int] | None, count: int | None = None) -> int:
    """How often ``on_step`` is told of a part, at most."""
    return 3 + ((count or ROWS) if rows is None else len(rows))


def _fitting(traced: list[Traced]) -> tuple[list[Traced], int, list[str]]:
    """As many sequences as the page has room for, how finely their values are kept, and a note where some are not."""
    sizes = [sum(parts.cost(layer, 0) for layer in one.layers) * 4 / 3 for one in traced]
    if 2 * sum(sizes) <= SAFE:
        return traced, parts.FINE, []
    count = max(1, int((np.cumsum(sizes) <= SAFE).sum()))
    if count == len(traced):
        return traced, parts.COARSE, []
    note = f"The page has room for {counted(count, 'sequence')} of {len(traced)}; name those you want (rows)."
    return traced[:count], parts.COARSE, [note]


# The model ------------------------------------------------------------------------------------------------------------


def _layers(
    run: "Run", kept: Sequence[Traced], looked: Looked, summaries: dict[str, UnitSummary]
) -> tuple[list[Layer], list[Item]]:
    """What is known of the layers, with examples from the gallery."""
    channels = kept[0].shown.channels
    gallery: dict[int, int] = {}
    layers = []
    for k, layer in enumerate(kept[0].layers):
        spans = parts.spans_of([one.layers[k] for one in kept])
        made = parts.layer_of(layer, spans, summaries.get(layer.name), channels=channels)
        found = looked.found.get(layer.name)
        layers.append(made if found is None else replace(made, examples=_examples(run, found, looked, gallery)))
    items = [item_of(run, looked, place) for place in gallery]
    return layers, items


def _examples(run: "Run", found: dict[str, Found], looked: Looked, gallery: dict[int, int]) -> Examples:
    covers = _covers(run, looked)

    def places(kind: str) -> Places:
        sequence, place, value = (part.flatten().tolist() for part in found[kind])
        numbers = [-1 if one < 0 else gallery.setdefault(one, len(gallery)) for one in sequence]
        at = [
            0 if one < 0 else int(np.interp(where, (0, 1), covers[one]))
            for one, where in zip(sequence, place, strict=True)
        ]
        return Places(numbers, at, [float(f"{one:.3g}") for one in value])

    return Examples(found["input"].sequence.shape[-1], places("input"), places("cell"))


def _covers(run: "Run", looked: Looked) -> list[tuple[float, float]]:
    """The steps of each sequence of the sample that its layers stand for."""
    if kind_of(looked.sample) == "sound":
        return [heard(run, looked.sample.items[place]) for place in range(len(looked.rows))]  # type: ignore[union-attr]
    return [(0.0, float(example.steps)) for example in looked.examples]


def _remembered(memory: Memory) -> Remembered:
    ahead = memory.horizon.name.replace("past", "future")  # beside what lies behind, what lies ahead
    curves = [
        Curve(
            HORIZONS.get(one.name, one.name),
            _thin(one.lags),
            _thin(np.round(one.influence, 4)),
            *(float(f"{value:.4g}") if np.isfinite(value) else None for value in (one.half, one.ninety)),
        )
        for one in memory.horizons[:1] + tuple(one for one in memory.horizons[1:] if one.name == ahead)
    ]
    seen = f"From the exact gradients of {memory.of} by {memory.by}, of {counted(len(memory.rows), 'sequence')}."
    return Remembered(curves, f"{memory.unit}s away", [memory.words, seen])


def _thin(values: np.ndarray, most: int = 600) -> list[float]:
    """At most so many of them, evenly."""
    if len(values) <= most:
        return [float(value) for value in values]
    return [float(values[place]) for place in np.linspace(0, len(values) - 1, most).round().astype(int)]


def _subtitle(run: "Run", looked: Looked, rows: int) -> str:
    task, source = run.config.task.replace("-", " ").capitalize(), Path(looked.sample.source).name
    return f"{task}; {rows} of {counted(looked.size, *looked.noun)} of {source}"


def _searched(looked: Looked, channels: tuple[str, ...]) -> str:
    """Where examples were looked for, and what is drawn of them."""
    text = f"Looked for in {counted(len(looked.rows), *looked.noun)} of {looked.size:,}, one place in each; steps are "
    text += "those of the input."
    if len(channels) > 1:
        text += f" Of each, {', '.join(channels[:LINES])} are drawn."
    return text


def _spaced(run: "Run") -> bool:
    """Whether tokens are words, with spaces between them."""
    found = [value for value in vars(run.adapter).values() if isinstance(value, Vocabulary)]
    return not found or found[0].unit == "words"
