"""`compare`: runs beside one another on the same data, with intervals, speed and what follows."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gatewise.api.comparability import (
    Answered,
    OnStep,
    RunLike,
    answer_all,
    check_alike,
    check_references,
    common_file,
    load_setups,
)
from gatewise.api.predictions import check_target
from gatewise.api.run import Run
from gatewise.benchmark.contender import Contender
from gatewise.benchmark.measure import in_turn
from gatewise.data.adapter import labels_of
from gatewise.data.corpus import CorpusAdapter
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.series_files import file_of
from gatewise.errors import OptionError
from gatewise.inspection.comparison import (
    NOT_MEASURED,
    Comparison,
    Difference,
    Estimate,
    Rate,
    Setup,
    agreement,
    bootstrap_p,
    holm,
    interval,
    over_runs,
)
from gatewise.inspection.grouping import Units, units_of
from gatewise.inspection.resampling import Statistic, bootstrap, statistics_of
from gatewise.inspection.verdict import SHARES, verdict
from gatewise.reports.comparison import render
from gatewise.tasks import Data
from gatewise.training.config import to_plain
from gatewise.training.evaluate import measure
from gatewise.training.files import write_atomic
from gatewise.training.fit import make_fabric
from gatewise.training.threads import cpu_threads

RESAMPLES = 2000
ROWS = 32  # sequences of the batch that is timed
ROUNDS = 15
SECONDS = 2.0
BUSY = 1.5  # quartiles of the speed that are further apart tell of other programs
ROUGH = 30  # with fewer units an interval is told to be rough
ITEMS = 2000  # units whose own metric is kept for pictures


def compare(
    runs: Sequence[RunLike | Sequence[RunLike]],
    data: Any = None,
    targets: Any = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    speed: bool = True,
    device: str = "auto",
    threads: int | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    on_step: OnStep = lambda what, done, total: None,
) -> Comparison:
    """Runs beside one another, on the same data.

    Every metric has an interval by the percentile bootstrap: sequences are drawn with replacement, the same ones for
    all runs, so that differences have intervals too. Sequences of one group are drawn together, so are the windows of
    a series, and a text is drawn in stretches. Two runs that tell classes apart are also compared by McNemar's exact
    test; several differences share one error by Holm's correction.

    Args:
        runs: two or more, as run directories or :class:`Run`; in place of a run also several runs of one setup (seeds,
            folds), whose mean is compared and which are then drawn anew as well.
        data: as in :func:`train`, with answers; default: the test file of the runs, if all have the same one.
        targets: one a sequence, where ``data`` has none in it.
        resamples: how often to draw.
        seed: of the draws.
        speed: whether to measure how fast each run answers: the models in turn on the same batch, the median of
            several rounds of a forward pass.
        device: where to compute.
        threads: CPU threads of all runs; default: as each was trained, and one number for all where speed is measured.
        out: a page to write, ``.html``: one file that needs nothing else.
        overwrite: replace the page that is there.
        on_step: told what is done, how much of it is, and how much there is.

    Returns:
        The comparison; the first run, or setup, is the one that the others are compared with.

    Raises:
        OptionError: fewer than two runs, a run twice, fewer than 100 resamples, or a page that is no ``.html``.
        RunError: a run is missing or damaged, the runs do not do the same, or a page is in the way.
        DataError: the data cannot be read, have no answers, do not fit a run, or no data are known.
    """
    if resamples < 100:
        raise OptionError(f"resamples: expected at least 100, got {resamples}. 2000 is a good start.")
    if out is not None:
        check_target(Path(out), overwrite=overwrite, suffixes=(".html",))
    setups = load_setups(runs, device=device, threads=threads)
    everyone = [run for setup in setups for run in setup]
    check_alike(everyone)
    data = common_file(everyone) if data is None else data
    answered, read = answer_all(everyone, data, targets, on_step)
    check_references(answered)
    units = units_of(read, [one.examples for one in answered])
    statistics = []
    for place, (one, of_run) in enumerate(zip(answered, units.of_runs, strict=True)):
        on_step(f"measuring {one.run.path.name}", place, len(answered))
        statistics.append(statistics_of(one.run.task, one.run.adapter, one.results, of_run))
    draws = _draw(statistics, units, resamples, seed, max(len(one.results.predictions) for one in answered), on_step)
    noun = "tokens" if isinstance(everyone[0].adapter, CorpusAdapter) else _noun(read)
    firsts = [next(one for one in answered if one.run is setup[0]) for setup in setups]
    rates = _rates(firsts, threads, noun, on_step) if speed else [NOT_MEASURED] * len(setups)
    found = _compare(setups, answered, read, units, statistics, draws, rates, noun, resamples, seed)
    if out is not None:
        on_step("writing the page", 0, 1)
        write_atomic(Path(out), render(found))
    return found


# Resampling and speed ------------------------------------------------------------------------------------------------


def _noun(data: Data) -> str:
    return "windows" if isinstance(data, SeriesData) else data.noun


def _draw(
    statistics: Sequence[dict[str, Statistic]], units: Units, resamples: int, seed: int, most: int, on_step: OnStep
) -> list[dict[str, np.ndarray]]:
    """Metrics of all resamples; not a number where a single unit leaves nothing to resample."""
    if units.size < 2:
        return [{name: np.full(resamples, np.nan) for name in one} for one in statistics]
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_step("resampling", done, resamples)

    return bootstrap(statistics, units.size, resamples=resamples, seed=seed, predictions=most, on_step=advance)


def _rates(answered: Sequence[Answered], threads: int | None, noun: str, on_step: OnStep) -> list[Rate]:
    """Sequences (tokens of a text) a second in forward passes of one batch, the models in turn."""
    contenders, sizes = [], []
    for place, one in enumerate(answered):
        fabric = make_fabric(replace(one.run.config.train, device=one.run.device), distributed=False)
        model = fabric.setup_module(one.run._batch_model).eval()
        rows = np.unique(np.linspace(0, len(one.examples) - 1, ROWS).round().astype(np.int64))
        batch = one.run.task.collate([one.examples[i] for i in rows.tolist()]).to(fabric.device)

        def forward(model: Any = model, batch: Any = batch, cuda: bool = fabric.device.type == "cuda") -> None:
            model(batch, None)
            if cuda:
                torch.cuda.synchronize()

        contenders.append(Contender(str(place), forward, inference=True))
        sizes.append(int(batch.lengths.sum()) if noun == "tokens" else len(rows))
    on_step("measuring the speed", 0, 1)
    used = threads or max(one.run.threads or one.run.config.train.threads or 1 for one in answered)
    with cpu_threads(used):
        times = in_turn(contenders, rounds=ROUNDS, seconds=SECONDS)
    on_step("measuring the speed", 1, 1)
    quartiles = [np.percentile(times[str(place)], (50, 75, 25)) for place in range(len(sizes))]
    return [Rate(*(1e3 * size / part).tolist()) for size, part in zip(sizes, quartiles, strict=True)]


# Putting together ----------------------------------------------------------------------------------------------------


def _compare(
    setups: Sequence[Sequence[Run]],
    answered: Sequence[Answered],
    read: Data,
    units: Units,
    statistics: Sequence[dict[str, Statistic]],
    draws: Sequence[dict[str, np.ndarray]],
    rates: Sequence[Rate],
    noun: str,
    resamples: int,
    seed: int,
) -> Comparison:
    first = answered[0].run
    ends = np.cumsum([0, *map(len, setups)]).tolist()
    parts = [slice(start, stop) for start, stop in pairwise(ends)]
    rng = np.random.default_rng((seed, 1))
    names = [name for name in first.task.metrics if all(name in one.run.task.metrics for one in answered)]
    metric = first.task.monitor.metric if first.task.monitor.metric in names else names[0]
    values = [measure(one.run.task, one.results) for one in answered]
    drawn = [{name: over_runs([run[name] for run in draws[part]], rng) for name in names} for part in parts]
    titles = _titles([[_name(run, answered) for run in setup] for setup in setups])
    made = [
        Setup(
            name=titles[place],
            runs=tuple(_name(run, answered) for run in setups[place]),
            metrics={name: _estimate([one[name] for one in values[part]], drawn[place][name]) for name in names},
            recipe=setups[place][0].config.model.recipe,
            parameters=sum(parameter.numel() for parameter in setups[place][0]._batch_model.parameters()),
            minutes=float(np.mean([sum(line["seconds"] for line in run.history) for run in setups[place]])) / 60,
            best_epochs=tuple(_best(run) for run in setups[place]),
            rate=rates[place],
            histories=tuple(run.history for run in setups[place]),
            results=tuple(one.results for one in answered[part]),
        )
        for place, part in enumerate(parts)
    ]
    differences = _differences(made, drawn, metric, with_labels=labels_of(first.adapter) is not None)
    rows = np.unique(np.linspace(0, units.size - 1, ITEMS).round().astype(np.int64))
    alone = [_alone(one[metric], units.size, rows) for one in statistics]
    return Comparison(
        task=first.config.task,
        source=read.source,
        count=len(answered[0].results.predictions),
        noun=_noun(read) if noun != "tokens" else "stretches",
        units=units.words,
        metric=metric,
        resamples=resamples,
        seed=seed,
        setups=tuple(made),
        differences=differences,
        settings=_settings(setups),
        rate_unit=noun,
        words=tuple(verdict(metric, made[0].name, one, where=units.words) for one in differences),
        notes=tuple(_notes(made, differences, units, read, [one.run for one in answered], metric)),
        data=read,
        items=tuple(np.mean(alone[part], axis=0) for part in parts),
    )


def _estimate(values: Sequence[float], draws: np.ndarray) -> Estimate:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Estimate(float(np.mean(values)), *interval(draws), deviation)


def _differences(
    setups: Sequence[Setup], drawn: Sequence[dict[str, np.ndarray]], metric: str, *, with_labels: bool
) -> tuple[Difference, ...]:
    first, found = setups[0], []
    for setup, draws in zip(setups[1:], drawn[1:], strict=True):
        metrics = {
            name: Estimate(one.value - first.metrics[name].value, *interval(draws[name] - drawn[0][name]))
            for name, one in setup.metrics.items()
        }
        pair = first.results + setup.results
        alone = len(pair) == 2
        told = agreement(*pair) if alone and with_labels else None
        exact = told is not None and metric == "accuracy"
        same = alone and [one.value for one in pair[0].predictions] == [one.value for one in pair[1].predictions]
        p = told.p if told is not None and exact else bootstrap_p(draws[metric] - drawn[0][metric])
        found.append(Difference(setup.name, metrics, p, "McNemar" if exact else "bootstrap", same, told))
    corrected = holm([one.p for one in found])
    return tuple(replace(one, p=p) for one, p in zip(found, corrected, strict=True))


def _alone(statistic: Statistic, count: int, rows: np.ndarray) -> np.ndarray:
    """The metric on each of these units alone."""
    return np.concatenate([statistic(_one_hot(part, count)) for part in np.array_split(rows, max(1, len(rows) // 100))])


def _one_hot(rows: np.ndarray, count: int) -> np.ndarray:
    counts = np.zeros((len(rows), count), dtype=np.int64)
    counts[np.arange(len(rows)), rows] = 1
    return counts


def _best(run: Run) -> int | None:
    best = [line["epoch"] for line in run.history if line["best"]]
    return int(best[-1]) if best else None


def _name(run: Run, answered: Sequence[Answered]) -> str:
    """The name of its directory, with the folder before it where two have the same."""
    alike = [one for one in answered if one.run.path.name == run.path.name]
    return run.path.name if len(alike) == 1 else str(run.path)


def _titles(names: Sequence[Sequence[str]]) -> list[str]:
    """What the runs of each setup have in common, ``"lstm (3 runs)"``; where that tells nothing, first and last."""
    titles = []
    for group in names:
        common = os.path.commonprefix(list(group))  # noqa: RUF071  character by character is what is wanted
        common = re.sub(r"[-_. /]+(seed|fold)?[-_. ]*\d*$", "", common)
        whole = f"{common or f'{group[0]} ... {group[-1]}'} ({len(group)} runs)"
        titles.append(group[0] if len(group) == 1 else whole)
    if len(set(titles)) == len(titles):
        return titles
    return [group[0] if len(group) == 1 else f"{group[0]} ... {group[-1]}" for group in names]


def _settings(setups: Sequence[Sequence[Run]]) -> dict[str, tuple[str, ...]]:
    """Settings in which setups differ; what varies alike within each (the seed) is none."""
    flat = [[dict(_flat(to_plain(run.config))) for run in setup] for setup in setups]
    names = sorted({name for setup in flat for one in setup for name in one})
    found = {
        name: tuple(", ".join(dict.fromkeys(one.get(name, "-") for one in setup)) for setup in flat) for name in names
    }
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def _flat(plain: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in plain.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", str(value)))
    return found


def _notes(
    setups: Sequence[Setup],
    differences: Sequence[Difference],
    units: Units,
    data: Data,
    runs: Sequence[Run],
    metric: str,
) -> list[str]:
    """What a user should know, a sentence each."""
    notes = []
    for role, of_what in (("train", "learnt from"), ("valid", "chosen their best epoch on")):
        known = [run.path.name for run in runs if _is_file(getattr(run.config.data, role), data.source)]
        if known:
            notes.append(f"These data are what {', '.join(known)} have {of_what}: too hopeful")
    if units.size < 2:
        notes.append(f"There is but {units.words}, so nothing can be resampled: no intervals")
    elif units.size < ROUGH:
        notes.append(f"Intervals from {units.words} are rough, and rather too narrow")
    sure = [setup.name for setup in setups if metric in SHARES and _without_width(setup.metrics[metric])]
    if sure and units.size >= 2:
        notes.append(
            f"{', '.join(sure)}: an interval without width, since no sequence differs from the others; with "
            f"{units.words} up to {min(1.0, 3 / units.size):.1%} of others could still be otherwise (rule of three)"
        )
    if any(one.agreement for one in differences) and units.size < len(units.of_runs[0]):
        notes.append("McNemar's test takes sequences of one group for independent: p is too small; go by the interval")
    if len(differences) > 1:
        notes.append(f"p after Holm's correction for {len(differences)} comparisons with {setups[0].name}")
    if any(setup.rate.high > BUSY * setup.rate.low for setup in setups):
        notes.append(
            "Speed varied widely from round to round, since the machine is busy with other work: measure again"
        )
    few = [setup.name for setup in setups if 1 < len(setup.runs) < 5]
    if few:
        notes.append(f"{', '.join(few)}: so few runs tell little of how much runs vary; intervals are rough")
    if isinstance(runs[0].adapter, SeriesAdapter) and len({run.adapter.std for run in runs}) > 1:  # type: ignore[attr-defined]
        notes.append("Scaled errors are in units of each run's own training data, which differ: compare MSE and MAE")
    return notes


def _is_file(path: str | None, source: str) -> bool:
    """Whether it is that file; of a part of a file (``FILE@FROM..UNTIL``) nobody knows here."""
    return path is not None and path == file_of(path) and os.path.realpath(path) == os.path.realpath(source)


def _without_width(estimate: Estimate) -> bool:
    return estimate.low == estimate.high
