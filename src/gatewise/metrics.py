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
