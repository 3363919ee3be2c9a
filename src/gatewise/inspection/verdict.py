"""What a comparison says in words, and how metrics and their differences are shown."""

import math

from gatewise.inspection.comparison import Difference

ALPHA = 0.05
HIGHER = frozenset({"accuracy", "balanced_accuracy", "f1", "auroc", "r2", "bleu", "rouge1", "rouge2", "rougeL"})
"""Metrics of which more is better; of all others less is."""
SHARES = frozenset({"accuracy", "balanced_accuracy", "f1", "wer", "cer"})
"""Metrics that are told in per cent, and whose differences in points."""
NAMES = {
    "auroc": "AUC",
    "f1": "F1",
    "r2": "R²",
    "bleu": "BLEU",
    "wer": "word error rate",
    "cer": "character error rate",
}
NAMES |= {"mse": "MSE", "mae": "MAE", "scaled_mse": "scaled MSE", "scaled_mae": "scaled MAE", "smape": "sMAPE"}
NAMES |= {"mase": "MASE", "rse": "RSE", "wql": "quantile loss", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2"}
NAMES |= {"rougeL": "ROUGE-L"}

# Percentiles are too narrow where two runs differ on a handful of sequences; exact tests are not.
ONLY_INTERVAL = " The interval alone leaves 0 out, but the test, which is exact or corrected, goes before it."


def name_of(metric: str) -> str:
    """A metric in words."""
    return NAMES.get(metric, metric.replace("_", " "))


def shown(metric: str, value: float) -> str:
    """A metric's value: per cent, or three digits that matter.

    >>> shown("accuracy", 0.8612), shown("mse", 0.012345), shown("bleu", 31.42), shown("perplexity", 4112.7)
    ('86.1%', '0.0123', '31.4', '4,113')
    """
    if math.isnan(value):
        return "—"
    return f"{value:.1%}" if metric in SHARES else _digits(value)


def change(metric: str, value: float) -> str:
    """A difference with its sign, of shares in points.

    >>> change("accuracy", 0.012), change("mse", -0.5), change("accuracy", 0.0), change("accuracy", -0.0003)
    ('+1.2', '-0.5', '0', '-0.03')
    """
    if math.isnan(value):
        return "—"
    if metric in SHARES:
        return f"{100 * value:+.1f}" if abs(value) >= 5e-4 else f"{100 * value:+.1g}" if abs(value) > 1e-9 else "0"
    return ("+" if value > 0 else "") + _digits(value)


def span(metric: str, value: float) -> str:
    """The size of a difference, without a sign: ``"1.2"``."""
    return change(metric, value).lstrip("+")


def p_shown(p: float) -> str:
    """``p = 0.031``.

    >>> p_shown(0.0312), p_shown(0.00001), p_shown(1.0)
    ('p = 0.031', 'p < 0.001', 'p = 1')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.3g}"


def verdict(metric: str, first: str, one: Difference, *, where: str) -> str:
    """What follows for a setup and the first one, in a sentence.

    Args:
        metric: that it is about.
        first: name of the first setup.
        one: the difference.
        where: what they were measured on, such as ``"370 sequences"``.
    """
    if one.same:
        return f"{first} and {one.name} give the same answers on {where}."
    value, low, high, _ = one.metrics[metric]
    if math.isnan(value):
        return f"{first} and {one.name} cannot be compared on {where}: {name_of(metric)} is not defined there."
    told = _counted(one, first)
    if math.isnan(low):
        return (
            f"Nothing can be said of {first} and {one.name} from {where}: the difference of {change(metric, value)} in "
            f"{name_of(metric)} has no interval."
        )
    unit = " points" if metric in SHARES else ""
    if not one.p < ALPHA:
        told_apart = f"{change(metric, value)}{unit} [{change(metric, low)}, {change(metric, high)}]"
        return (
            f"No difference can be seen on {where}: the {name_of(metric)} of {one.name} less that of {first} is "
            f"{told_apart}{told}, {p_shown(one.p)}.{'' if low <= 0 <= high else ONLY_INTERVAL}"
        )
    sign = 1 if metric in HIGHER else -1
    better, worse = (one.name, first) if sign * value > 0 else (first, one.name)
    ends = sorted(sign * (1 if better == one.name else -1) * end for end in (low, high))
    by = f"{span(metric, abs(value))}{unit} [{span(metric, ends[0])}, {span(metric, ends[1])}]"
    way = "higher" if metric in HIGHER else "lower"
    told = f"{name_of(metric)} {way} by {by} on {where}{told}, {p_shown(one.p)}"
    return f"{better} is better than {worse}: {told}."


def _counted(one: Difference, first: str) -> str:
    if one.agreement is None or one.test != "McNemar":  # p is of something else
        return ""
    b, c = one.agreement.only_first, one.agreement.only_second
    if not b + c:
        return "; both are right on the same ones"
    return f"; just one of them is right on {b + c:,}, {one.name} on {c:,} and {first} on {b:,}"
