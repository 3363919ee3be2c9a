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
)
from gatewise.inspection.grouping import Clusters, clusters_of
from gatewise.inspection.resampling import Statistic, bootstrap, statistics_of
from gatewise.inspection.student import Part, infer
from gatewise.inspection.verdict import KINDS, name_of, span, verdict
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
ROUGH = 30  # with fewer clusters an interval is told to be rough
FEW = 5  # with fewer runs a setup, what they cannot show is told
ITEMS = 2000  # clusters whose own metric is kept for pictures


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
    a series, and a text is drawn in stretches. Two runs that tell classes apart are compared by McNemar's exact test
    where each sequence is drawn by itself; several differences share one error by Holm's correction.

    Two runs are two models: what is found of them need not hold for their settings, since two seeds of one setup
    differ too. Of setups with several runs each the means are compared by Student's t, by how runs vary and how the
    data do; a setup of one run and one of several cannot be compared, but for their values.

    Args:
        runs: two or more, as run directories or :class:`Run`; in place of a run also several runs of one setup (seeds,
            folds), whose mean is compared.
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
        OptionError: fewer than two runs, a run twice, fewer than 100 resamples, a seed below 0, or a page that is no
            ``.html``.
        RunError: a run is missing or damaged, the runs do not do the same, or a page is in the way.
        DataError: the data cannot be read, have no answers, do not fit a run, or no data are known.
    """
    if resamples < 100:
        raise OptionError(f"resamples: expected at least 100, got {resamples}. 2000 is a good start.")
    if seed < 0:
        raise OptionError(f"seed: expected a whole number from 0 on, got {seed}.")
    if out is not None:
        check_target(Path(out), overwrite=overwrite, suffixes=(".html",))
    setups = load_setups(runs, device=device, threads=threads)
    everyone = [run for setup in setups for run in setup]
    check_alike(everyone)
    data = common_file(everyone) if data is None else data
    answered, read = answer_all(everyone, data, targets, on_step)
    check_references(answered)
    clusters = clusters_of(read, [one.examples for one in answered])
    statistics = []
    for place, (one, of_run) in enumerate(zip(answered, clusters.of_runs, strict=True)):
        on_step(f"measuring {one.run.path.name}", place, len(answered))
        statistics.append(statistics_of(one.run.task, one.run.adapter, one.results, of_run))
    draws = _draw(statistics, clusters, resamples, seed, max(len(one.results.predictions) for one in answered), on_step)
    noun = "tokens" if isinstance(everyone[0].adapter, CorpusAdapter) else _noun(read)
    firsts = [next(one for one in answered if one.run is setup[0]) for setup in setups]
    rates = _rates(firsts, threads, noun, on_step) if speed else [NOT_MEASURED] * len(setups)
    found = _compare(setups, answered, read, clusters, statistics, draws, rates, noun, resamples, seed)
    if out is not None:
        on_step("writing the page", 0, 1)
        write_atomic(Path(out), render(found))
    return found


# Resampling and speed ------------------------------------------------------------------------------------------------


def _noun(data: Data) -> str:
    return "windows" if isinstance(data, SeriesData) else data.noun


def _draw(
    statistics: Sequence[dict[str, Statistic]],
    clusters: Clusters,
    resamples: int,
    seed: int,
    most: int,
    on_step: OnStep,
) -> list[dict[str, np.ndarray]]:
    """Metrics of all resamples; not a number where a single cluster leaves nothing to resample."""
    if clusters.size < 2:
        return [{name: np.full(resamples, np.nan) for name in one} for one in statistics]
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_step("resampling", done, resamples)

    return bootstrap(statistics, clusters.size, resamples=resamples, seed=seed, predictions=most, on_step=advance)


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
    clusters: Clusters,
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
    names = [name for name in first.task.metrics if all(name in one.run.task.metrics for one in answered)]
    metric = first.task.monitor.metric if first.task.monitor.metric in names else names[0]
    values = [measure(one.run.task, one.results) for one in answered]
    measured = [
        {
            name: Part(1, np.array([one[name] for one in values[part]]), np.stack([one[name] for one in draws[part]]))
            for name in names
        }
        for part in parts
    ]
    titles = _titles([[_name(run, answered) for run in setup] for setup in setups])
    made = [
        Setup(
            name=titles[place],
            runs=tuple(_name(run, answered) for run in setups[place]),
            metrics={name: _estimate(name, one, clusters.size) for name, one in measured[place].items()},
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
    differences = _differences(made, measured, metric, clusters, with_labels=labels_of(first.adapter) is not None)
    rows = np.unique(np.linspace(0, clusters.size - 1, ITEMS).round().astype(np.int64))
    alone = [_alone(one[metric], clusters.size, rows) for one in statistics]
    return Comparison(
        task=first.config.task,
        source=read.source,
        count=len(answered[0].results.predictions),
        noun=_noun(read) if noun != "tokens" else "stretches",
        clusters=clusters.words,
        metric=metric,
        resamples=resamples,
        seed=seed,
        setups=tuple(made),
        differences=differences,
        settings=_settings(setups),
        rate_unit=noun,
        words=tuple(verdict(metric, made[0].name, one, where=clusters.words) for one in differences),
        notes=tuple(_notes(made, differences, clusters, read, [one.run for one in answered], metric)),
        data=read,
        items=tuple(np.mean(alone[part], axis=0) for part in parts),
    )


def _estimate(name: str, part: Part, clusters: int) -> Estimate:
    if len(part.values) == 1:
        return Estimate(float(part.values[0]), *interval(part.draws[0]))
    found = infer([part], clusters)
    low, high = np.clip((found.low, found.high), KINDS[name].least, KINDS[name].most).tolist()
    return Estimate(found.value, low, high, float(np.std(part.values, ddof=1)))


def _differences(
    setups: Sequence[Setup],
    measured: Sequence[dict[str, Part]],
    metric: str,
    clusters: Clusters,
    *,
    with_labels: bool,
) -> tuple[Difference, ...]:
    first, found = setups[0], []
    for setup, parts in zip(setups[1:], measured[1:], strict=True):
        less = {name: _less(parts[name], measured[0][name], clusters.size) for name in parts}
        pair = first.results + setup.results
        alone = len(pair) == 2
        told = agreement(*pair, independent=clusters.single) if alone and with_labels else None
        same = alone and [one.value for one in pair[0].predictions] == [one.value for one in pair[1].predictions]
        _, test, p = less[metric]
        if told is not None and clusters.single and metric == "accuracy":
            test, p = "McNemar", told.p
        found.append(Difference(setup.name, {name: one for name, (one, _, _) in less.items()}, p, test, same, told))
    corrected = holm([one.p for one in found])
    return tuple(replace(one, p=p) for one, p in zip(found, corrected, strict=True))


def _less(part: Part, first: Part, clusters: int) -> tuple[Estimate, str, float]:
    """A setup less the first one, which test tells of it, and its p."""
    value, unknown = float(part.values.mean() - first.values.mean()), float("nan")
    if len(part.values) == len(first.values) == 1:
        drawn = part.draws[0] - first.draws[0]
        return Estimate(value, *interval(drawn)), "bootstrap", bootstrap_p(drawn)
    if 1 in (len(part.values), len(first.values)):  # how the runs of one of them vary, nobody knows
        return Estimate(value, unknown, unknown), "none", unknown
    found = infer([part, first._replace(sign=-1)], clusters)
    if np.isnan(found.p):
        return Estimate(value, unknown, unknown), "Student's t", unknown
    return Estimate(value, found.low, found.high), "Student's t", found.p


def _alone(statistic: Statistic, count: int, rows: np.ndarray) -> np.ndarray:
    """The metric on each of these clusters alone."""
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
    clusters: Clusters,
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
    if clusters.size < 2:
        notes.append(f"There is but {clusters.words}, so nothing can be resampled: no intervals")
    elif clusters.size < ROUGH:
        notes.append(f"Intervals from {clusters.words} are rough, and rather too narrow")
    sure = [setup.name for setup in setups if KINDS[metric].share and _without_width(setup.metrics[metric])]
    if sure and clusters.size >= 2:
        notes.append(
            f"{', '.join(sure)}: an interval without width, since no sequence differs from the others; with "
            f"{clusters.words} up to {min(1.0, 3 / clusters.size):.1%} of others could still be otherwise (rule of "
            "three)"
        )
    if len(differences) > 1:
        notes.append(f"p after Holm's correction for {len(differences)} comparisons with {setups[0].name}")
    if any(setup.rate.high > BUSY * setup.rate.low for setup in setups):
        notes.append(
            "Speed varied widely from round to round, since the machine is busy with other work: measure again"
        )
    notes += _on_runs(setups, differences, metric)
    if isinstance(runs[0].adapter, SeriesAdapter) and len({run.adapter.std for run in runs}) > 1:  # type: ignore[attr-defined]
        notes.append("Scaled errors are in units of each run's own training data, which differ: compare MSE and MAE")
    return notes


def _on_runs(setups: Sequence[Setup], differences: Sequence[Difference], metric: str) -> list[str]:
    """What can be concluded from this many runs, and what not."""
    notes = []
    single = [setup.name for setup in setups if len(setup.runs) == 1]
    if single:
        notes.append(
            f"{', '.join(single)}: {'single runs' if len(single) > 1 else 'a single run'}. Two seeds of one setup "
            "differ too, so this tells of these models, not of their settings; that takes several seeds of each setup"
        )
    few = [
        f"{setups[0].name} and {setup.name} {span(metric, (one.metrics[metric].high - one.metrics[metric].low) / 2)}"
        for setup, one in zip(setups[1:], differences, strict=True)
        if min(len(setups[0].runs), len(setup.runs)) < FEW and not np.isnan(one.metrics[metric].low)
        if one.test == "Student's t"
    ]
    if few:
        unit = ", in points" if KINDS[metric].share else ""
        notes.append(
            f"So few runs show large differences only, of {name_of(metric)} beyond these{unit}: {'; '.join(few)}. "
            "Where none is seen there may still be a smaller one"
        )
    return notes


def _is_file(path: str | None, source: str) -> bool:
    """Whether it is that file; of a part of a file (``FILE@FROM..UNTIL``) nobody knows here."""
    return path is not None and path == file_of(path) and os.path.realpath(path) == os.path.realpath(source)


def _without_width(estimate: Estimate) -> bool:
    return estimate.low == estimate.high
