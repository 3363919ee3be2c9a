"""Metrics of resamples: every metric of a task as a function of how often each cluster of the data is counted.

A percentile bootstrap (Efron & Tibshirani 1993, chapter 13) asks for each metric on thousands of resamples. Nearly all
of them follow from sums over sequences, those of corpora too (BLEU from counts of n-grams, span F1 from counts of
spans), and then a resample is one row of a product of matrices; the tests hold each to the task's own metric.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gatewise import metrics
from gatewise.data.adapter import Adapter, labels_of
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.targets import Labels, Values
from gatewise.data.text_adapters import PairAdapter
from gatewise.tasks import Task
from gatewise.tasks.regression import flatten
from gatewise.types import Results

Statistic = Callable[[np.ndarray], np.ndarray]
"""Counts ``[R, U]``, how often each cluster is in each resample, to the metric of each ``[R]``; NaN where undefined."""

BLOCK = 4_000_000  # counts held at once


def bootstrap(
    runs: Sequence[Mapping[str, Statistic]],
    clusters: int,
    *,
    resamples: int,
    seed: int,
    predictions: int = 0,
    on_step: Callable[[int], None] = lambda done: None,
) -> list[dict[str, np.ndarray]]:
    """Every metric of every run on the same resamples: clusters drawn with replacement, as many as there are.

    Args:
        runs: the metrics of each, by name.
        clusters: ``U``, what is drawn: sequences, or groups of them.
        resamples: ``R``.
        seed: of the draws.
        predictions: ``N`` of all clusters together, so that memory stays the same however many a cluster has.
        on_step: told how many resamples were done.

    Returns:
        For each run, by metric, ``[R]`` float64.
    """
    rng = np.random.default_rng(seed)
    found: list[dict[str, list[np.ndarray]]] = [{name: [] for name in run} for run in runs]
    block = max(1, BLOCK // max(clusters, predictions))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        for run, parts in zip(runs, found, strict=True):
            for name, statistic in run.items():
                parts[name].append(statistic(counts))
        on_step(rows)
    return [{name: np.concatenate(values) for name, values in parts.items()} for parts in found]


def statistics_of(task: Task, adapter: Adapter, results: Results, clusters: np.ndarray) -> dict[str, Statistic]:
    """The metrics of a task as functions of counts.

    Args:
        task: whose metrics.
        adapter: of the same run.
        results: predictions and references.
        clusters: ``[N]`` int64, the cluster of each prediction, 0 to ``U - 1``.

    Returns:
        One function for each of ``task.metrics``, in their order. Counts of 1 give the metric itself.
    """
    labels = labels_of(adapter)
    found = _of_labels(results, labels, clusters) if labels is not None else SUMS[task.name](results, adapter, clusters)
    return {name: found[name] for name in task.metrics}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def of_sums(parts: Any, value: Callable[[np.ndarray], np.ndarray], clusters: np.ndarray) -> Statistic:
    """A metric that follows from sums.

    Args:
        parts: ``[N, M]``, what each sequence adds.
        value: ``[M, R]`` sums to ``[R]`` metrics.
        clusters: ``[N]``.
    """
    rows = np.asarray(parts, dtype=np.float64).reshape(len(clusters), -1)
    sums = np.zeros((int(clusters.max()) + 1, rows.shape[1]))
    np.add.at(sums, clusters, rows)
    return lambda counts: value((counts @ sums).T)


def _mean(sums: np.ndarray) -> np.ndarray:
    return _ratio(sums[0], sums[1])


# Classes -------------------------------------------------------------------------------------------------------------


def _of_labels(results: Results, labels: Labels, clusters: np.ndarray) -> dict[str, Statistic]:
    number = {label: k for k, label in enumerate(labels.classes)}
    said = np.array([number[prediction.value] for prediction in results.predictions])
    right = np.array([number[reference] for reference in results.references])
    size = len(number)

    def classes(counts: np.ndarray) -> tuple[np.ndarray, ...]:
        """Hits, said and actual ``[R, K]``."""
        weights = counts[:, clusters].astype(np.float64)
        tallies = ((right, weights * (said == right)), (said, weights), (right, weights))
        return tuple(np.stack([np.bincount(which, row, size) for row in rows]) for which, rows in tallies)

    def balanced(counts: np.ndarray) -> np.ndarray:
        hits, _, actual = classes(counts)
        return np.asarray(np.nanmean(_ratio(hits, actual), axis=1))

    def f1(counts: np.ndarray) -> np.ndarray:
        hits, guessed, actual = classes(counts)
        return np.asarray(np.nanmean(_ratio(2 * hits, guessed + actual), axis=1))

    hits = np.stack([said == right, np.ones(len(said))], axis=1)
    found: dict[str, Statistic] = {"accuracy": of_sums(hits, _mean, clusters), "balanced_accuracy": balanced, "f1": f1}
    if size == 2:
        second = np.array([(prediction.probabilities or (0, 0))[1] for prediction in results.predictions])
        found["auroc"] = _auroc(second, right == 1, clusters)
    return found


def _auroc(scores: np.ndarray, positive: np.ndarray, clusters: np.ndarray) -> Statistic:
    """Pairs of a positive and a negative that are ranked in the right order, ties by half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # of each run of equal scores
    kind, cluster = positive[order], clusters[order]

    def area(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, cluster].astype(np.float64)
        high = np.add.reduceat(weights * kind, starts, axis=1)
        low = np.add.reduceat(weights * ~kind, starts, axis=1)
        below = np.cumsum(low, axis=1) - low
        return _ratio((high * (below + low / 2)).sum(1), high.sum(1) * low.sum(1))

    return area


# Numbers -------------------------------------------------------------------------------------------------------------


def _regression(results: Results, adapter: Any, clusters: np.ndarray) -> dict[str, Statistic]:
    values: Values = adapter.targets
    width = len(values.names)
    pairs = [
        (flatten([prediction.value], values), flatten([reference], values))
        for prediction, reference in zip(results.predictions, results.references, strict=True)
    ]
    centre = np.concatenate([y for _, y in pairs]).mean(0)  # sums of squares lose digits far from zero
    squared = [((f - y) ** 2).sum(0) for f, y in pairs]
    moments = [np.concatenate([((y - centre) ** 2).sum(0), (y - centre).sum(0), [len(y)]]) for _, y in pairs]
    sizes = [y.size for _, y in pairs]

    def r2(sums: np.ndarray) -> np.ndarray:
        residual, squares, totals, count = sums[:width], sums[width : 2 * width], sums[2 * width : -1], sums[-1]
        spread = squares - totals**2 / count
        known = np.where(spread > 1e-12 * (1 + squares), spread, np.nan)
        return np.asarray(np.mean(1 - residual / known, axis=0))

    return {
        "mse": of_sums([(one.sum(), n) for one, n in zip(squared, sizes, strict=True)], _mean, clusters),
        "mae": of_sums([(np.abs(f - y).sum(), y.size) for f, y in pairs], _mean, clusters),
        "r2": of_sums(np.concatenate([squared, moments], axis=1), r2, clusters),
    }


def _forecasting(results: Results, adapter: SeriesAdapter, clusters: np.ndarray) -> dict[str, Statistic]:
    deviation = np.asarray(adapter.std, dtype=np.float64)
    rows: dict[str, list[list[float]]] = {name: [] for name in ("mse", "mae", "smape", "mase", "rse", "wql")}
    rows |= {"scaled_mse": [], "scaled_mae": []}
    lasts = np.array([np.asarray(reference, dtype=np.float64)[-1] for reference in results.references])
    centre = float(np.nanmean(lasts)) if not np.isnan(lasts).all() else 0.0
    for prediction, reference in zip(results.predictions, results.references, strict=True):
        y, f = np.asarray(reference, dtype=np.float64), np.asarray(prediction.value, dtype=np.float64)
        seen = ~np.isnan(y)
        count = float(seen.sum())
        error = np.where(seen, f - y, 0.0)
        size = np.where(seen, np.abs(f) + np.abs(y), 0.0)
        relative = np.divide(2 * np.abs(error), size, out=np.zeros_like(error), where=size > 0)
        rows["mse"].append([float((error**2).sum()), count])
        rows["mae"].append([float(np.abs(error).sum()), count])
        rows["scaled_mse"].append([float(((error / deviation) ** 2).sum()), count])
        rows["scaled_mae"].append([float((np.abs(error) / deviation).sum()), count])
        rows["smape"].append([float(relative.sum()), count])
        rows["mase"].append(_scaled_errors(prediction.naive_error, error, seen))
        last = y[-1][seen[-1]] - centre
        rows["rse"].append([float((error[-1] ** 2).sum()), float((last**2).sum()), float(last.sum()), len(last)])
        rows["wql"].append(_pinball(prediction.quantiles, f, y, seen))

    def rse(sums: np.ndarray) -> np.ndarray:
        spread = sums[1] - _ratio(sums[2] ** 2, sums[3])
        return np.asarray(np.sqrt(_ratio(sums[0], np.where(spread > 1e-12 * sums[1], spread, 0.0))))

    def wql(sums: np.ndarray) -> np.ndarray:
        return np.asarray(np.mean(_ratio(2 * sums[1:], sums[:1]), axis=0))

    values = {"rse": rse, "wql": wql}
    return {name: of_sums(parts, values.get(name, _mean), clusters) for name, parts in rows.items()}


def _scaled_errors(naive: Any, error: np.ndarray, seen: np.ndarray) -> list[float]:
    """Sum and number of the errors of a window ``[h, K]`` that can be told in units of its naive error ``[K]``."""
    if naive is None:
        return [0.0, 0.0]
    unit = np.asarray(naive, dtype=np.float64)
    known = seen & (unit > 0)
    return [float((np.abs(error) / np.where(unit > 0, unit, 1.0))[known].sum()), float(known.sum())]


def _pinball(bands: Any, f: np.ndarray, y: np.ndarray, seen: np.ndarray) -> list[float]:
    """Size of the values of a window, and the pinball loss of each quantile; of the forecast itself without any."""
    told = bands or [(0.5, f)]
    losses = [np.maximum(level * (y - q)[seen], (level - 1) * (y - q)[seen]).sum() for level, q in told]
    return [float(np.abs(y[seen]).sum()), *map(float, losses)]


# Texts ---------------------------------------------------------------------------------------------------------------


def _answers(results: Results) -> list[tuple[Any, Any]]:
    return [(one.value, reference) for one, reference in zip(results.predictions, results.references, strict=True)]


def _tagging(results: Results, adapter: Any, clusters: np.ndarray) -> dict[str, Statistic]:
    words, spans = [], []
    for said, right in _answers(results):
        words.append((sum(a == b for a, b in zip(said, right, strict=True)), len(right)))
        guessed, true = set(metrics.bio_spans(said)), set(metrics.bio_spans(right))
        spans.append((2 * len(guessed & true), len(guessed) + len(true)))
    return {
        "accuracy": of_sums(words, _mean, clusters),
        "f1": of_sums(spans, lambda sums: np.nan_to_num(_mean(sums)), clusters),
    }


def _language_model(results: Results, adapter: Any, clusters: np.ndarray) -> dict[str, Statistic]:
    parts = [(sum(said.bits), len(said.bits), truth.characters) for said, truth in _answers(results)]

    def perplexity(sums: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp2(_ratio(sums[0], sums[1])))

    return {
        "perplexity": of_sums(parts, perplexity, clusters),
        "bits_per_character": of_sums(parts, lambda sums: _ratio(sums[0], sums[2]), clusters),
    }


def _translation(results: Results, adapter: PairAdapter, clusters: np.ndarray) -> dict[str, Statistic]:
    import sacrebleu

    tokenize = "none" if adapter.target.tokenised else "13a"
    parts = []
    for said, right in _answers(results):
        one = sacrebleu.corpus_bleu([said], [[right]], tokenize=tokenize, force=True)
        parts.append([*one.counts, *one.totals, one.sys_len, one.ref_len])

    def bleu(sums: np.ndarray) -> np.ndarray:
        rows = np.rint(sums).astype(np.int64).T.tolist()
        made = [sacrebleu.BLEU.compute_bleu(row[:4], row[4:8], row[8], row[9], "exp") for row in rows]
        return np.array([one.score for one in made])

    return {"bleu": of_sums(parts, bleu, clusters)}


def _summarisation(results: Results, adapter: Any, clusters: np.ndarray) -> dict[str, Statistic]:
    return {
        name: of_sums([(metrics.rouge([said], [right], name), 1) for said, right in _answers(results)], _mean, clusters)
        for name in ("rouge1", "rouge2", "rougeL")
    }


def _transcripts(results: Results, adapter: Any, clusters: np.ndarray) -> dict[str, Statistic]:
    def rate(split: Callable[[str], Sequence[str]]) -> Statistic:
        pairs = [(split(said), split(right)) for said, right in _answers(results)]
        parts = [(metrics.edit_distance(said, right), len(right)) for said, right in pairs]
        return of_sums(parts, lambda sums: sums[0] / np.maximum(1, sums[1]), clusters)

    return {"wer": rate(str.split), "cer": rate(str)}


SUMS: dict[str, Callable[[Results, Any, np.ndarray], dict[str, Statistic]]] = {
    "regression": _regression,
    "forecasting": _forecasting,
    "tagging": _tagging,
    "language-model": _language_model,
    "translation": _translation,
    "summarisation": _summarisation,
    "speech-to-text": _transcripts,
    "handwriting": _transcripts,
}
"""Of tasks whose answers are no classes."""
