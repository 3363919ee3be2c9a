"""How runs differ: intervals from resamples, McNemar's exact test, and what all of it is gathered in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.types import Results

if TYPE_CHECKING:
    import polars

LEVEL = 0.95


class Estimate(NamedTuple):
    """A number, where it lies with 95 % confidence, and how it varies from run to run.

    Attributes:
        value: on all of the data; of several runs their mean.
        low, high: by the bootstrap of a run, by Student's t of several; NaN where nothing can be said.
        deviation: sample standard deviation over the runs of a setup; NaN for one.
    """

    value: float
    low: float
    high: float
    deviation: float = float("nan")


class Rate(NamedTuple):
    """How many a second: the median of the rounds, and their quartiles; NaN where nobody measured."""

    value: float
    low: float
    high: float


NOT_MEASURED = Rate(float("nan"), float("nan"), float("nan"))


class Agreement(NamedTuple):
    """How often two runs are right on the same sequences, and McNemar's exact p of that.

    The p is NaN where sequences are not independent, as those of one group.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


@dataclass(frozen=True)
class Setup:
    """One run, or several that differ by chance alone: the same settings with other seeds.

    Attributes:
        name: of the run, or what the names of its runs have in common.
        runs: their names.
        metrics: name to estimate.
        recipe: of the model.
        parameters: of one model.
        minutes: mean training time.
        best_epochs: of each run; None where there was none.
        rate: of a forward pass of its first run here, ``Comparison.rate_unit`` a second.
        histories: lines of ``metrics.jsonl`` of each run.
        results: predictions and references of each run.
    """

    name: str
    runs: tuple[str, ...]
    metrics: Mapping[str, Estimate]
    recipe: str
    parameters: int
    minutes: float
    best_epochs: tuple[int | None, ...]
    rate: Rate
    histories: tuple[Sequence[Mapping[str, Any]], ...] = field(repr=False, default=())
    results: tuple[Results, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class Difference:
    """A setup less the first one.

    Attributes:
        name: of the setup.
        metrics: name to its value less that of the first setup, on the same resamples.
        p: of the comparison's metric, after Holm's correction where there are several differences; NaN where there is
            none.
        test: ``"McNemar"`` for the accuracy of two runs on sequences that are drawn one by one, ``"bootstrap"`` for two
            runs otherwise, ``"Student's t"`` where both setups have several runs, ``"none"`` where just one has.
        same: all answers are the same.
        agreement: of two runs that tell classes apart; else None.
    """

    name: str
    metrics: Mapping[str, Estimate]
    p: float
    test: str
    same: bool
    agreement: Agreement | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs beside one another, on the same data.

    Attributes:
        task: that all of them do.
        source: the data.
        count: sequences (windows, stretches) that were answered.
        noun: what one of them is called, in the plural.
        clusters: what was resampled, in words: ``"370 sequences"``.
        metric: the one that the words are about: that by which the best epoch was chosen.
        resamples, seed: of the bootstrap.
        setups: in the order given.
        differences: of each but the first from the first.
        settings: those that differ, by dotted name, a text for each setup.
        rate_unit: of ``Setup.rate``.
        words: what follows, a sentence each; the first is the headline.
        notes: what a user should know, a sentence each.
        data: as read by the first run.
        items: ``[U]`` of each setup, the metric on each cluster alone, mean over its runs.
    """

    task: str
    source: str
    count: int
    noun: str
    clusters: str
    metric: str
    resamples: int
    seed: int
    setups: tuple[Setup, ...]
    differences: tuple[Difference, ...]
    settings: Mapping[str, tuple[str, ...]]
    rate_unit: str
    words: tuple[str, ...]
    notes: tuple[str, ...]
    data: Any = field(repr=False, default=None)
    items: tuple[np.ndarray, ...] = field(repr=False, default=())

    def table(self) -> "polars.DataFrame":
        """A row for each setup and metric.

        Returns:
            ``setup, metric, value, low, high, deviation``, and the ``difference`` from the first setup with
            ``difference_low, difference_high``; null where there is none.
        """
        import polars

        rows = []
        for place, setup in enumerate(self.setups):
            for name, estimate in setup.metrics.items():
                other = self.differences[place - 1].metrics[name] if place else (None, None, None)
                rows.append((setup.name, name, *map(_known, (*estimate, *other[:3]))))
        columns = ["setup", "metric", "value", "low", "high", "deviation"]
        columns += ["difference", "difference_low", "difference_high"]
        schema = {name: polars.String if place < 2 else polars.Float64 for place, name in enumerate(columns)}
        return polars.DataFrame(rows, schema=schema, orient="row")

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON; without data, answers and curves."""
        setups = [
            {
                "name": setup.name,
                "runs": list(setup.runs),
                "metrics": {name: estimate._asdict() for name, estimate in setup.metrics.items()},
                "recipe": setup.recipe,
                "parameters": setup.parameters,
                "training_minutes": setup.minutes,
                "best_epochs": list(setup.best_epochs),
                "rate": setup.rate._asdict(),
            }
            for setup in self.setups
        ]
        differences = [
            {
                "name": one.name,
                "against": self.setups[0].name,
                "metrics": {name: estimate._asdict() for name, estimate in one.metrics.items()},
                "p": one.p,
                "test": one.test,
                "same": one.same,
                "agreement": None if one.agreement is None else one.agreement._asdict(),
            }
            for one in self.differences
        ]
        plain = {name: getattr(self, name) for name in ("task", "source", "count", "noun", "clusters", "metric")}
        return plain | {
            "resamples": self.resamples,
            "seed": self.seed,
            "setups": setups,
            "differences": differences,
            "settings": {name: list(values) for name, values in self.settings.items()},
            "rate_unit": self.rate_unit,
            "words": list(self.words),
            "notes": list(self.notes),
        }


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


# Numbers -------------------------------------------------------------------------------------------------------------


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5 % and 97.5 % percentiles of ``[R]`` resamples; NaN where fewer than two are defined."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap_p(differences: np.ndarray) -> float:
    """Twice the share of ``[R]`` resampled differences on the rarer side of 0, which counts for both; at most 1.

    Below 0.05 just where the interval leaves 0 out, and never below ``2 / (R + 1)``.
    """
    known = differences[np.isfinite(differences)]
    if not len(known):
        return float("nan")
    rarer = 1 + min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    return min(1.0, 2 * float(rarer) / (len(known) + 1))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: whether of two answers one is right more often, by where just one is.

    Were both as good, each of the ``n`` sequences on which just one is right would be a throw of a coin:
    ``p = min(1, 2 P(X <= min(b, c)))`` with ``X ~ Binomial(n, 1/2)``.

    Args:
        only_first: ``b``, where only the first is right.
        only_second: ``c``, where only the second is.

    References:
        McNemar 1947; Dietterich 1998, Approximate statistical tests for comparing supervised classifiers.

    >>> mcnemar(0, 0), mcnemar(1, 5), mcnemar(0, 6)
    (1.0, 0.21875, 0.03125)
    """
    n, least = only_first + only_second, min(only_first, only_second)
    term = total = 1
    for k in range(least):  # whole numbers: exact however many there are
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, float(2 * total / 2**n))


def holm(ps: Sequence[float]) -> list[float]:
    """P-values that hold for all of several tests together; in the order given, NaN where NaN (Holm 1979).

    >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(ps) if not math.isnan(p))
    corrected, largest = [float("nan")] * len(ps), 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return corrected


def agreement(first: Results, second: Results, *, independent: bool) -> Agreement:
    """Who is right where, of two runs that tell the same classes apart.

    Args:
        first: answers.
        second: those of the other run, to the same sequences.
        independent: whether one sequence tells nothing of the next; without that a throw of coins is no likeness.
    """
    one, other = (np.array(_right(part)) for part in (first, second))
    b, c = int((one & ~other).sum()), int((~one & other).sum())
    p = mcnemar(b, c) if independent else float("nan")
    return Agreement(int((one & other).sum()), b, c, int((~one & ~other).sum()), p)


def _right(results: Results) -> list[bool]:
    pairs = zip(results.predictions, results.references, strict=True)
    return [prediction.value == reference for prediction, reference in pairs]
