"""The sample of a data set that the explorer looks through: where units are most active, and answers to choose from."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.api.memory import Memory
from gatewise.api.rows import Rows, checked_rows
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.errors import GatewiseError, OptionError
from gatewise.inspection.examples import Found, Strongest
from gatewise.inspection.layers import names_by_layer
from gatewise.inspection.units import UnitSummary
from gatewise.nn.tracing import record_layers
from gatewise.tasks import Data
from gatewise.training.evaluate import measuring_order, run_model
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads
from gatewise.types import Example, Results

if TYPE_CHECKING:
    from gatewise.api.run import Run

ROWS = 8
REMEMBERED = 32  # sequences of the sample whose gradients are taken


class Looked(NamedTuple):
    """What a look through a sample of the data found.

    ``size`` sequences in all, of which ``rows`` were looked at; ``noun``: what one and several of them are called;
    ``sample`` holds those that were looked at, as read (of a language model all of the text), ``examples`` as the model
    takes them; ``found`` has the places of the units, by layer.
    """

    size: int
    noun: tuple[str, str]
    rows: list[int]
    sample: Data
    examples: list[Example]
    results: Results
    found: dict[str, dict[str, Found]]


def look_through(run: "Run", data: Data, sample: int) -> Looked:
    """Runs the model over the sample, and keeps where each unit is most active."""
    if sample < 1:
        raise OptionError(f"sample: expected at least 1, got {sample}. It counts sequences.")
    examples = run.adapter.encode(data)
    count = len(examples)
    corpus = isinstance(run.adapter, CorpusAdapter)
    if corpus:  # stretches that read on from one another
        rows = list(range(min(sample, count)))
    else:
        rows = sorted(set(np.linspace(0, count - 1, min(sample, count)).round().astype(int).tolist()))
    some = [examples[row] for row in rows]
    settings = replace(run.config.train, device=run.device)
    fabric = make_fabric(settings, distributed=False)
    model = run._batch_model.to(fabric.device)
    found = Strongest(names_by_layer(run.model, who="inspect"))
    batches = iter(measuring_order(some, settings.batch_size))
    with record_layers(found.consume), cpu_threads(run.threads or settings.threads or 1):
        results = run_model(
            run.task,
            model,
            some,
            fabric=fabric,
            batch_size=settings.batch_size,
            on_batch=lambda done: found.finish(next(batches).tolist()),
        )
    noun = ("stretch", "stretches") if corpus else (data.noun.removesuffix("s"), data.noun)
    if isinstance(data, SeriesData):
        noun = ("series", "series")
    whole = data if corpus else data.subset(rows)
    return Looked(count, noun, rows, whole, some, results, found.found)


def named_rows(rows: Rows, looked: Looked) -> list[int]:
    """The sequences that a user named, to show."""
    return checked_rows(rows, looked.size, source=looked.sample.source, noun=looked.noun[1])


def rows_to_show(looked: Looked, count: int) -> list[int]:
    """So many sequences to show, right and wrong answers among them."""
    first = looked.rows[:count]
    if isinstance(looked.results.predictions[0].value, str) and looked.results.references:
        pairs = zip(looked.rows, looked.results.predictions, looked.results.references, strict=True)
        right = {row: prediction.value == reference for row, prediction, reference in pairs}
        for kind in (False, True):
            have = [row for row in first if right[row] is kind]
            more = [row for row in looked.rows if right[row] is kind and row not in first]
            for row in more[: max(0, min(3, len(first) // 2) - len(have))]:
                spare = [one for one in first if right[one] is not kind]
                first[first.index(spare[-1])] = row
    return sorted(first)


def summaries_of(run: "Run", sample: Data, left_out: dict[str, str]) -> dict[str, UnitSummary]:
    """What the units do over the sample, by layer; why not, in ``left_out``."""
    try:
        return {summary.layer: summary for summary in run.units(sample)}
    except GatewiseError as error:
        left_out["units"] = f"Units are not summarised: {error}"
        return {}


def memory_of(run: "Run", data: Any, targets: Any, rows: list[int], left_out: dict[str, str]) -> Memory | None:
    """How far back the answers to some of these rows reach; why that is not told, in ``left_out``."""
    every = np.linspace(0, len(rows) - 1, min(REMEMBERED, len(rows))).round().astype(int)
    of_series = isinstance(run.adapter, SeriesAdapter)  # there its rows are windows
    try:
        if of_series:
            return run.memory(data, targets, count=REMEMBERED)
        return run.memory(data, targets, rows=[rows[place] for place in every])
    except GatewiseError as error:
        left_out["memory"] = f"How far back it remembers is not told here: {error}"
        return None
