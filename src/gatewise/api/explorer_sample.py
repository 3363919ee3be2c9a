"""The sample of a data set that the explorer looks through: where units are most active, and answers to choose from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.api.memory import Memory
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.errors import GatewiseError, OptionError
from gatewise.inspection.examples import Found, Strongest
from gatewise.inspection.layers import layer_name, layers_by_module
from gatewise.inspection.units import UnitSummary
from gatewise.nn.tracing import record_layers
from gatewise.tasks import Data
from gatewise.training.evaluate import measuring_order, run_model
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads
from gatewise.types import Results

if TYPE_CHECKING:
    from gatewise.api.run import Run

ROWS = 8
REMEMBERED = 32  # sequences of the sample whose gradients are taken


class Looked(NamedTuple):
    """What a look through a sample of the data found.

    ``size`` sequences in all, of which ``rows`` were looked at; ``noun``: what one and several of them are called;
    ``sample`` holds those that were looked at, as read; ``found`` has the places of the units, by layer.
    """

    size: int
    noun: tuple[str, str]
    rows: list[int]
    sample: Data
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
    found = Strongest(
        {
            (module, layer): layer_name(path, layer)
            for module, path in layers_by_module(run.model, who="inspect").items()
            for layer in range(module.num_layers)
        }
    )
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
    return Looked(count, noun, rows, whole, results, found.found)


def rows_to_show(rows: Sequence[int] | int | None, looked: Looked, path: Any) -> list[int]:
    """The sequences to show."""
    if isinstance(rows, int):
        if rows < 1:
            raise OptionError(f"rows: expected at least 1, got {rows}. It counts sequences.")
        return list(range(min(rows, looked.size)))
    if rows is not None:
        wrong = [row for row in rows if not 0 <= row < looked.size]
        if wrong or not rows:
            got = wrong[0] if wrong else "none"
            raise OptionError(f"rows: expected numbers from 0 to {looked.size - 1}, got {got}. Rows count from 0.")
        return list(dict.fromkeys(rows))
    first = looked.rows[: min(ROWS, len(looked.rows))]
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


def memory_of(run: "Run", data: Any, rows: list[int], left_out: dict[str, str]) -> Memory | None:
    """How far back the answers to some of these rows reach; why that is not told, in ``left_out``."""
    every = np.linspace(0, len(rows) - 1, min(REMEMBERED, len(rows))).round().astype(int)
    of_series = isinstance(run.adapter, SeriesAdapter)  # there its rows are windows
    try:
        return run.memory(data, rows=REMEMBERED if of_series else [rows[place] for place in every])
    except GatewiseError as error:
        left_out["memory"] = f"How far back it remembers is not told here: {error}"
        return None
