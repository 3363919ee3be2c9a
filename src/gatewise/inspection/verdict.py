"""What a comparison says in words, and how metrics and their differences are shown."""

import math
from typing import NamedTuple

from gatewise.inspection.comparison import Difference

ALPHA = 0.05


class Kind(NamedTuple):
    """What a metric is.

    Attributes:
        name: in words.
        higher: whether more is better.
        least, most: what it cannot leave.
        share: whether it is told in per cent, and its differences in points.
    """

    name: str
    higher: bool
    least: float = 0.0
    most: float = math.inf
    share: bool = False


KINDS = {
    "accuracy": Kind("accuracy", higher=True, most=1, share=True),
    "balanced_accuracy": Kind("balanced accuracy", higher=True, most=1, share=True),
    "f1": Kind("F1", higher=True, most=1, share=True),
    "auroc": Kind("AUC", higher=True, most=1),
    "mse": Kind("MSE", higher=False),
    "mae": Kind("MAE", higher=False),
    "r2": Kind("R²", higher=True, least=-math.inf, most=1),
    "scaled_mse": Kind("scaled MSE", higher=False),
    "scaled_mae": Kind("scaled MAE", higher=False),
    "smape": Kind("sMAPE", higher=False, most=2),
    "mase": Kind("MASE", higher=False),
    "rse": Kind("RSE", higher=False),
    "wql": Kind("quantile loss", higher=False),
    "perplexity": Kind("perplexity", higher=False, least=1),
    "bits_per_character": Kind("bits per character", higher=False),
    "bleu": Kind("BLEU", higher=True, most=100),
    "rouge1": Kind("ROUGE-1", higher=True, most=100),
    "rouge2": Kind("ROUGE-2", higher=True, most=100),
    "rougeL": Kind("ROUGE-L", higher=True, most=100),
    "wer": Kind("word error rate", higher=False, share=True),
    "cer": Kind("character error rate", higher=False, share=True),
}
"""Every metric of every task."""

# Percentiles are too narrow where two runs differ on a handful of sequences; exact tests are not.
ONLY_INTERVAL = " The interval alone leaves 0 out, but the test, which is exact or corrected, goes before it."


def name_of(metric: str) -> str:
    """A metric in words."""
    return KINDS[metric].name


def shown(metric: str, value: float) -> str:
    """A metric's value: per cent, or three digits that matter.

    >>> shown("accuracy", 0.8612), shown("mse", 0.012345), shown("bleu", 31.42), shown("perplexity", 4112.7)
    ('86.1%', '0.0123', '31.4', '4,113')
    """
    if math.isnan(value):
        return "—"
    return f"{value:.1%}" if KINDS[metric].share else _digits(value)


def change(metric: str, value: float) -> str:
    """A difference with its sign, of shares in points.

    >>> change("accuracy", 0.012), change("mse", -0.5), change("accuracy", 0.0), change("accuracy", -0.0003)
    ('+1.2', '-0.5', '0', '-0.03')
    """
    if math.isnan(value):
        return "—"
    if KINDS[metric].share:
        return f"{100 * value:+.1f}" if abs(value) >= 5e-4 else f"{100 * value:+.1g}" if abs(value) > 1e-9 else "0"
    return ("+" if value > 0 else "") + _digits(value)


def span(metric: str, value: float) -> str:
    """The size of a difference, without a sign: ``"1.2"``."""
    return change(metric, value).lstrip("+")


def p_shown(p: float) -> str:
    """``p = 0.031``.

    >>> p_shown(0.0312), p_shown(0.00001), p_shown(1.0), p_shown(math.nan)
    ('p = 0.031', 'p < 0.001', 'p = 1', 'no p')
    """
    if math.isnan(p):
        return "no p"
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
    if one.test == "none":
        return (
            f"Nothing can be said of {first} and {one.name} as setups, since one of them is a single run, which does "
            f"not tell how others like it would do: the {name_of(metric)} of {one.name} less that of {first} is "
            f"{change(metric, value)}{_points(metric)} on {where}."
        )
    told = _counted(one, first)
    if math.isnan(low):
        return (
            f"Nothing can be said of {first} and {one.name} from {where}: the difference of {change(metric, value)} in "
            f"{name_of(metric)} has no interval."
        )
    unit = _points(metric)
    if not one.p < ALPHA:
        told_apart = f"{change(metric, value)}{unit} [{change(metric, low)}, {change(metric, high)}]"
        return (
            f"No difference can be seen on {where}: the {name_of(metric)} of {one.name} less that of {first} is "
            f"{told_apart}{told}, {p_shown(one.p)}.{'' if low <= 0 <= high else ONLY_INTERVAL}"
        )
    sign = 1 if KINDS[metric].higher else -1
    better, worse = (one.name, first) if sign * value > 0 else (first, one.name)
    ends = sorted(sign * (1 if better == one.name else -1) * end for end in (low, high))
    by = f"{span(metric, abs(value))}{unit} [{span(metric, ends[0])}, {span(metric, ends[1])}]"
    way = "higher" if KINDS[metric].higher else "lower"
    told = f"{name_of(metric)} {way} by {by} on {where}{told}, {p_shown(one.p)}"
    return f"{better} is better than {worse}: {told}."


def _points(metric: str) -> str:
    return " points" if KINDS[metric].share else ""


def _counted(one: Difference, first: str) -> str:
    if one.agreement is None or one.test != "McNemar":  # p is of something else
        return ""
    b, c = one.agreement.only_first, one.agreement.only_second
    if not b + c:
        return "; both are right on the same ones"
    return f"; just one of them is right on {b + c:,}, {one.name} on {c:,} and {first} on {b:,}"
