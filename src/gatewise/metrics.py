"""Metrics over plain lists of answers; torchmetrics where it has the metric.

Fractions are 0 to 1, errors in the units of the data. Names are those of ``evaluate --json``.
"""

from collections.abc import Sequence

import numpy as np
import torch


def accuracy(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Share of right answers."""
    return float(np.mean(np.asarray(predictions) == np.asarray(references)))


def balanced_accuracy(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Mean over the classes that occur of the share of right answers in each: 1/K for a model that always says one."""
    predicted, actual = np.asarray(predictions), np.asarray(references)
    return float(np.mean([np.mean(predicted[actual == k] == k) for k in np.unique(actual)]))


def f1(predictions: Sequence[int], references: Sequence[int], num_classes: int) -> float:
    """Mean over the classes of F1, the harmonic mean of precision and recall (macro F1)."""
    from torchmetrics.functional.classification import multiclass_f1_score

    value = multiclass_f1_score(torch.tensor(predictions), torch.tensor(references), num_classes, average="macro")
    return float(value)


def auroc(probabilities: Sequence[float], references: Sequence[int]) -> float:
    """Area under the ROC curve of two classes: the chance that a positive is ranked above a negative.

    NaN where only one class occurs.
    """
    from torchmetrics.functional.classification import binary_auroc

    if len(set(references)) < 2:
        return float("nan")
    return float(binary_auroc(torch.tensor(probabilities, dtype=torch.float64), torch.tensor(references)))


def mse(predictions: np.ndarray, references: np.ndarray) -> float:
    """Mean squared error."""
    return float(np.mean((predictions - references) ** 2))


def mae(predictions: np.ndarray, references: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(predictions - references)))


def r2(predictions: np.ndarray, references: np.ndarray) -> float:
    """Share of the variance explained: 1 is perfect, 0 is the mean of the references; NaN where they do not vary.

    Values ``[N, K]``; the mean over the K targets.
    """
    residual = ((predictions - references) ** 2).sum(0)
    spread = ((references - references.mean(0)) ** 2).sum(0)
    # The mean of equal numbers is off by a rounding: what is left of them is no spread.
    rounding = (1e-12 * np.abs(references).max(0)) ** 2 * len(references)
    if not np.all(spread > rounding):
        return float("nan")
    return float(np.mean(1 - residual / spread))


def has_spans(tags: Sequence[str]) -> bool:
    """Whether tags are of the BIO scheme: ``B-person``, ``I-person``, ``O``, and no others.

    >>> has_spans(["O", "B-LOC", "I-LOC"]), has_spans(["O", "B-LOC", "E-LOC", "S-LOC"]), has_spans(["O"])
    (True, False, False)
    """
    return any(tag.startswith("B-") for tag in tags) and all(tag == "O" or tag[:2] in ("B-", "I-") for tag in tags)


def bio_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The spans that tags in the BIO scheme mark: first word, word after the last, type.

    ``B-X`` begins a span; so does ``I-X`` where no span of type X is open, as in CoNLL's evaluation (conlleval). Any
    other tag is outside.

    >>> bio_spans(["B-LOC", "I-LOC", "O", "I-PER", "B-PER"])
    [(0, 2, 'LOC'), (3, 4, 'PER'), (4, 5, 'PER')]
    """
    spans: list[tuple[int, int, str]] = []
    for t, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        follows = bool(spans) and spans[-1][1:] == (t, kind)
        if prefix == "I" and follows:
            spans[-1] = (spans[-1][0], t + 1, kind)
        elif prefix in ("B", "I"):
            spans.append((t, t + 1, kind))
    return spans


def span_f1(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """F1 over the spans of all texts together (micro F1): a span is right if its words and its type are.

    Of tags in the BIO scheme, one a word; 0 where no span is right, also where there is none at all (Tjong Kim Sang &
    De Meulder 2003).
    """
    right = predicted = actual = 0
    for guess, truth in zip(predictions, references, strict=True):
        guessed, true = set(bio_spans(guess)), set(bio_spans(truth))
        right, predicted, actual = right + len(guessed & true), predicted + len(guessed), actual + len(true)
    return 2 * right / (predicted + actual) if right else 0.0


def bleu(predictions: Sequence[str], references: Sequence[str], *, tokenised: bool) -> float:
    """BLEU of a whole set of texts, 0 to 100, by sacrebleu (Papineni et al. 2002; Post 2018).

    Args:
        predictions: texts.
        references: one text each.
        tokenised: words and punctuation already stand apart, and spaces say what a word is; else sacrebleu's own
            tokenisation ("13a") does.
    """
    import sacrebleu

    tokenize = "none" if tokenised else "13a"
    return float(sacrebleu.corpus_bleu(list(predictions), [list(references)], tokenize=tokenize, force=True).score)


def rouge(predictions: Sequence[str], references: Sequence[str], name: str) -> float:
    """ROUGE F1, mean over texts, 0 to 100, by rouge-score with stemming (Lin 2004).

    Args:
        predictions: texts.
        references: one text each.
        name: ``"rouge1"`` (words), ``"rouge2"`` (pairs of words) or ``"rougeL"`` (longest common subsequence).
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name], use_stemmer=True)
    pairs = zip(references, predictions, strict=True)
    return 100 * float(np.mean([scorer.score(reference, text)[name].fmeasure for reference, text in pairs]))


def wer(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Word error rate: words that must be replaced, put in or taken out, by the words of all references together.

    Words stand between white space. May exceed 1; where no reference has a word, it is the number of errors.
    """
    return _error_rate([text.split() for text in predictions], [text.split() for text in references])


def cer(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Character error rate: as :func:`wer`, of characters; a space is one."""
    return _error_rate(predictions, references)


def _error_rate(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    errors = sum(edit_distance(one, other) for one, other in zip(predictions, references, strict=True))
    return errors / max(1, sum(map(len, references)))


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """How many symbols must be replaced, put in or taken out to make one sequence of the other (Levenshtein 1966).

    torchmetrics has it in plain Python, which takes minutes where transcripts are long.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "ab")
    (3, 2)
    """
    numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys((*one, *other)))}
    across = np.array([numbers[symbol] for symbol in other], dtype=np.int64)
    places = np.arange(len(other) + 1)
    row = places  # the distance of what was read of `one` to each beginning of `other`
    for read, symbol in enumerate(one, start=1):
        below = np.concatenate([[read], np.minimum(row[1:] + 1, row[:-1] + (across != numbers[symbol]))])
        row = np.minimum.accumulate(below - places) + places  # symbols of `other` put in
    return int(row[-1])


def smape(predictions: np.ndarray, references: np.ndarray) -> float:
    """Symmetric mean absolute percentage error, 0 to 2: the mean of ``2 |f - y| / (|f| + |y|)``, 0 where both are 0.

    Of arrays of one shape. The M competitions tell it times 100 (Makridakis 1993).
    """
    size = np.abs(predictions) + np.abs(references)
    error = 2 * np.abs(predictions - references)
    return float(np.mean(np.divide(error, size, out=np.zeros_like(error), where=size > 0)))


def relative_error(predictions: np.ndarray, references: np.ndarray) -> float:
    """Root relative squared error: 0 is perfect, 1 the mean of the references; NaN where they do not vary.

    Of arrays of one shape, all values together (Lai et al. 2018, LSTNet).
    """
    spread = np.sum((references - references.mean()) ** 2)
    return float(np.sqrt(np.sum((predictions - references) ** 2) / spread)) if spread > 0 else float("nan")


def mase(predictions: np.ndarray, references: np.ndarray, naive_errors: np.ndarray) -> float:
    """Mean absolute scaled error: that of each forecast in units of the naive error of its series, then the mean.

    Below 1 the forecast is better than the naive one of a single step was before it. What has no naive error, or one of
    0 (a series that never changed), cannot be scaled and is left out; NaN if nothing is left.

    Args:
        predictions: ``[N, h, K]``.
        references: ``[N, h, K]``, NaN where unobserved.
        naive_errors: ``[N, K]``, mean absolute error of the seasonal naive forecast in the series before.

    References:
        Hyndman & Koehler 2006, Another look at measures of forecast accuracy.
    """
    unit = np.where(naive_errors > 0, naive_errors, np.nan)[:, None]
    scaled = np.abs(predictions - references) / unit
    observed = ~np.isnan(scaled)
    return float(np.mean(scaled[observed])) if observed.any() else float("nan")


def weighted_quantile_loss(
    quantiles: Sequence[tuple[float, np.ndarray]], references: np.ndarray, *, observed: np.ndarray | None = None
) -> float:
    """Twice the pinball loss of all values by the sum of their sizes, mean over levels (CRPS, approximately).

    Of the median alone it is the sum of absolute errors by the sum of absolute values.

    Args:
        quantiles: level and values ``[...]`` of each.
        references: ``[...]``; NaN if all of them are 0.
        observed: ``[...]``, which of them count; None for all.

    References:
        Salinas et al. 2020, DeepAR (the rho-risk); Alexandrov et al. 2020, GluonTS.
    """
    counted = np.ones(references.shape, bool) if observed is None else observed
    actual = references[counted]
    size = np.abs(actual).sum()
    if not size > 0:
        return float("nan")
    errors = [(level, actual - values[counted]) for level, values in quantiles]
    return float(np.mean([2 * np.maximum(level * e, (level - 1) * e).sum() / size for level, e in errors]))
