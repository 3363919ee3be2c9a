"""Runs that are compared: loaded, checked to be of one kind, and asked the same questions."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gatewise.api.forecasting import answer
from gatewise.api.run import Run, load
from gatewise.data.adapter import labels_of
from gatewise.data.corpus import CorpusAdapter, CorpusExamples
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.series_windows import Windows
from gatewise.data.targets import Values
from gatewise.data.text_adapters import TaggingAdapter
from gatewise.data.vocabulary import Vocabulary
from gatewise.errors import DataError, OptionError, RunError
from gatewise.tasks import Data
from gatewise.types import Example, Results

RunLike = Run | str | Path
OnStep = Callable[[str, int, int], None]


class Answered(NamedTuple):
    """One run, the data as it understands them, and its answers."""

    run: Run
    examples: Sequence[Example]
    results: Results


def load_setups(runs: Sequence[RunLike | Sequence[RunLike]], *, device: str, threads: int | None) -> list[list[Run]]:
    """The runs of each setup; one alone is a setup of one.

    Raises:
        OptionError: fewer than two setups, or a run twice.
        RunError: a run is missing or damaged.
    """
    if isinstance(runs, str | Path | Run):
        raise OptionError("compare: expected a list of runs, got one alone. Give two or more.")
    groups = [[one] if isinstance(one, Run | str | Path) else list(one) for one in runs]
    if len(groups) < 2 or not all(groups):
        raise OptionError(f"compare: expected at least two runs, got {sum(map(len, groups))}. Name another.")
    found = [
        [one if isinstance(one, Run) else load(one, device=device, threads=threads) for one in group]
        for group in groups
    ]
    seen: set[Path] = set()
    for run in (run for setup in found for run in setup):
        if run.path.resolve() in seen:
            raise OptionError(f"compare: expected each run once, got {run.path} twice. Leave one out.")
        seen.add(run.path.resolve())
    return found


def check_alike(runs: Sequence[Run]) -> None:
    """Raises RunError unless all runs answer the same question in the same terms."""
    first = runs[0]
    for run in runs[1:]:
        if run.config.task != first.config.task:
            raise RunError(
                f"{run.path}: expected a run of {first.config.task}, as {first.path} is, got one of {run.config.task}. "
                "Compare runs of one task."
            )
        mine, theirs = (_terms(one) for one in (run, first))
        for what, content in theirs.items():
            if mine.get(what) != content:
                raise RunError(
                    f"{run.path}: expected the {what} of {first.path}, got others: {_unlike(content, mine.get(what))}. "
                    "Compare runs that answer in the same terms."
                )


def _terms(run: Run) -> dict[str, Any]:
    """What an answer is made of; the order does not matter."""
    adapter = run.adapter
    labels = labels_of(adapter)
    terms: dict[str, Any] = {"metrics": frozenset(run.task.metrics) - {"wql"}}  # which a point forecast has not
    if labels is not None:
        return {"labels": frozenset(labels.classes)}
    if isinstance(adapter, SeriesAdapter):
        return terms | {"series": adapter.names, "horizon": adapter.horizon}
    if isinstance(adapter, CorpusAdapter):
        return {"vocabulary": adapter.vocabulary}
    if isinstance(adapter, TaggingAdapter):
        return {"tags": frozenset(adapter.tags)}
    if isinstance(adapter, SequenceAdapter) and isinstance(adapter.targets, Values):
        return terms | {"targets": adapter.targets.names, "answers": "a step" if adapter.targets.per_step else "one"}
    return terms


def _unlike(expected: Any, got: Any) -> str:
    if isinstance(expected, frozenset) and isinstance(got, frozenset):
        lacking, more = sorted(expected - got), sorted(got - expected)
        return "; ".join(
            f"{word} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            for word, names in (("without", lacking), ("with", more))
            if names
        )
    if got is None:
        return "none"
    if isinstance(expected, Vocabulary) and isinstance(got, Vocabulary):
        return f"{len(got.tokens):,} {got.unit}, not {len(expected.tokens):,} {expected.unit}, or not the same ones"
    return f"{got}, not {expected}"


def common_file(runs: Sequence[Run]) -> str:
    """The test file that all runs have."""
    files: dict[str, Run] = {}
    for run in runs:
        if run.config.data.test is None:
            raise DataError(f"{run.path}: expected data, got none, and the run has no test file. Name a file (--data).")
        files.setdefault(os.path.realpath(run.config.data.test), run)
    if len(files) > 1:
        (one, first), (other, second) = list(files.items())[:2]
        raise DataError(
            f"compare: expected one test file of all runs, got {one} of {first.path.name} and {other} of "
            f"{second.path.name}. Name a file (--data)."
        )
    return str(runs[0].config.data.test)


def answer_all(runs: Sequence[Run], data: Any, targets: Any, on_step: OnStep) -> tuple[list[Answered], Data]:
    """The answers of all runs to the same sequences; the data as the first one reads them."""
    read = [run.read(data, targets, require_target=True) for run in runs]
    examples = [run.adapter.encode(part) for run, part in zip(runs, read, strict=True)]
    if all(isinstance(one, Windows) for one in examples):
        examples = _common_windows(runs, read, examples)
    total, done, answered = sum(map(len, examples)), 0, []
    for run, part in zip(runs, examples, strict=True):

        def advance(count: int, name: str = run.path.name) -> None:
            nonlocal done
            done += count
            on_step(f"answers of {name}", done, total)

        answered.append(Answered(run, part, answer(run, part, on_batch=advance)))  # type: ignore[arg-type]
    grouped = next((part for part in read if part.groups is not None), read[0])
    return answered, replace(read[0], groups=grouped.groups)


def _common_windows(runs: Sequence[Run], read: Sequence[Any], examples: Sequence[Any]) -> list[Sequence[Example]]:
    """Windows that all runs can forecast: those with other contexts begin elsewhere."""
    common = set(map(tuple, examples[0].places.tolist()))
    for part in examples[1:]:
        common &= set(map(tuple, part.places.tolist()))
    if not common:
        raise DataError(
            f"{read[0].source}: expected windows that all runs can forecast, got none. Give longer series, or set the "
            "same data.series.stride."
        )
    places = np.array(sorted(common), dtype=np.int64)
    return [run.adapter.at(part, places) for run, part in zip(runs, read, strict=True)]  # type: ignore[attr-defined]


def check_references(answered: Sequence[Answered]) -> None:
    """Raises DataError where two runs do not see the same right answers."""
    first = answered[0]
    corpus = isinstance(first.examples, CorpusExamples)
    for other in answered[1:]:
        a, b = first.results.references, other.results.references
        if corpus:  # stretches may be cut elsewhere; the tokens are the same
            a, b = ([sum(len(one.bits) for one in part)] for part in (a, b))
        if len(a) != len(b):
            raise DataError(
                f"{other.run.path}: expected {len(a):,} answers, as {first.run.path} gives, got {len(b):,}. The runs "
                "read the data in another way: compare their settings of data."
            )
        place = next((i for i, pair in enumerate(zip(a, b, strict=True)) if not _same(*pair)), None)
        if place is not None:
            raise DataError(
                f"{other.run.path}: expected the right answers that {first.run.path} sees, got others, first that of "
                f"sequence {place}. The runs read the data in another way: compare their settings of data."
            )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str) or (isinstance(one, list) and one and isinstance(one[0], str)):
        return bool(one == other)
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    # Targets are scaled to float32 and back, by the training data of each run.
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True))
