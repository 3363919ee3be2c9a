"""What the explorer says of an answer: what it is, what it should have been, and what decided."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewise.data.corpus import Surprisal
from gatewise.reports.words import NOTHING, counted, listed, number, percent, shorten
from gatewise.types import Prediction

LONG = 160  # characters of a text that is an answer
TOLD = 4  # tokens that are named


class Told(NamedTuple):
    """Cards (name, value, note), a word on whether the answer is right, whether it is, and a short form of it."""

    facts: list[tuple[str, str, str]]
    verdict: str
    right: bool | None
    short: str


def told(prediction: Prediction, reference: Any = None) -> Told:
    """An answer of any task; without a reference nothing is said about whether it is right.

    Example:
        >>> told(Prediction("cat", [0.9, 0.1]), "dog").verdict
        'wrong'
    """
    value = prediction.value
    if isinstance(value, Surprisal):
        return _surprised(value)
    if isinstance(value, str):
        return _text(prediction, reference)
    if isinstance(value, int | float | np.number):
        return _number(float(value), reference)
    if len(value) and isinstance(value[0], str):
        return _tags(value, reference)
    return _numbers(value, reference)


def _text(prediction: Prediction, reference: Any) -> Told:
    value, known = str(prediction.value), reference is not None
    right = value == str(reference) if known else None
    chances = prediction.probabilities
    note = "" if chances is None else f"probability {percent(float(max(chances)))}"
    facts = [("Answer", shorten(value, LONG) or "(empty)", note)]
    if known:
        facts.append(("Truth", shorten(str(reference), LONG) or "(empty)", "as the data have it"))
    verdict = "" if right is None else "right" if right else "wrong" if chances is not None else "differs"
    return Told(facts, verdict, right, shorten(value, 30))


def _number(value: float, reference: Any) -> Told:
    facts = [("Answer", number(value), "")]
    if reference is not None:
        facts.append(("Truth", number(float(reference)), f"error {number(value - float(reference))}"))
    return Told(facts, "", None, number(value))


def _tags(value: Sequence[str], reference: Any) -> Told:
    common = len(set(value))
    facts = [("Answer", counted(len(value), "tag"), f"{counted(common, 'kind')} of them")]
    if reference is None:
        return Told(facts, "", None, counted(len(value), "word"))
    hits = sum(said == truth for said, truth in zip(value, reference, strict=True))
    facts.append(("Right", f"{hits} of {len(value)}", percent(hits / max(len(value), 1))))
    right = hits == len(value)
    return Told(facts, "all right" if right else f"{len(value) - hits} wrong", right, f"{hits} of {len(value)} right")


def _numbers(value: Any, reference: Any) -> Told:
    found = np.asarray(value, dtype=np.float64)
    shape = counted(len(found), "value" if found.ndim == 1 else "step")
    if found.ndim > 1 and found.shape[1] > 1:
        shape += f" of {found.shape[1]:,}"
    facts = [("Answer", shape, f"from {number(float(np.nanmin(found)))} to {number(float(np.nanmax(found)))}")]
    if reference is not None:
        error = np.abs(found - np.asarray(reference, dtype=np.float64))
        known = error[np.isfinite(error)]
        facts.append(
            ("Mean absolute error", number(float(known.mean())) if known.size else NOTHING, "of this sequence")
        )
    return Told(facts, "", None, shape)


def _surprised(value: Surprisal) -> Told:
    bits = np.asarray(value.bits)
    each = float(bits.mean()) if bits.size else float("nan")
    facts = [
        ("Surprise", f"{number(each, 3)} bits", "a token, on average: what it cost to be told what came next"),
        ("Perplexity", number(float(2**each), 3), "as if it chose among so many tokens each time"),
    ]
    return Told(facts, "", None, f"{number(each, 3)} bits a token")


def tagged(names: Sequence[str], tags: Sequence[str], reference: Sequence[str] | None) -> str:
    """The tags of a text that say something, and what the wrong ones should have been.

    >>> tagged(["in", "New", "York"], ["O", "B-LOC", "O"], ["O", "B-LOC", "I-LOC"])
    'Tagged: New B-LOC, York O (I-LOC).'
    """
    truth = tags if reference is None else reference
    said = [
        f"{name} {tag}" + (f" ({right})" if tag != right else "")
        for name, tag, right in zip(names, tags, truth, strict=False)
        if tag != "O" or right != "O"
    ]
    return f"Tagged: {listed(said, limit=40)}." if said else "Nothing in it is tagged."


def decisive(values: np.ndarray, cover: tuple[float, float]) -> tuple[float, float] | None:
    """The shortest stretch of the input in which half of what decided lies; None where nothing did.

    ``cover``: the steps of the input that the values ``[N]`` stand for, evenly.
    """
    size = np.abs(values)
    if not size.sum() > 0:
        return None
    first, last = (cover[0] + place * (cover[1] - cover[0]) / len(values) for place in shortest(size, 0.5))
    return first, last


def decided(
    values: np.ndarray,
    names: Sequence[str] | None,
    unit: str,
    *,
    target: str,
    rate: float | None,
    cover: tuple[float, float],
) -> str:
    """What made the answer, in a sentence.

    Args:
        values: what each of ``N`` steps adds to the score ``[N]``.
        names: tokens ``[N]``; None where the steps are parts of a signal.
        unit: what a step of the input is called.
        target: the score, in words.
        rate: steps of the input a second, if there is such a thing.
        cover: the steps of the input that the values stand for, evenly.

    Returns:
        The sentence; a plain one where nothing decided.
    """
    stretch = decisive(values, cover)
    if stretch is None:
        return "No part of it moved the answer."
    if names is not None:
        return _tokens(values, names, target)
    begin, end = stretch
    scale = (cover[1] - cover[0]) / len(values)
    where = (
        f"from {begin / rate:.2f} to {end / rate:.2f} s"
        if rate
        else f"in {unit}s {round(begin):,} to {max(round(end) - 1, round(begin)):,}"
    )
    strongest = cover[0] + (int(np.abs(values).argmax()) + 0.5) * scale
    most = f"{strongest / rate:.2f} s" if rate else f"{unit} {int(strongest):,}"
    share = percent((end - begin) / (cover[1] - cover[0]))
    return f"Half of what decided lies {where}, {share} of the sequence; the strongest is {most}."


def _tokens(values: np.ndarray, names: Sequence[str], target: str) -> str:
    order = np.argsort(-values, kind="stable")
    largest = np.abs(values).max()
    most = [int(k) for k in order[:TOLD] if values[k] > 0.1 * largest]
    least = [int(k) for k in order[::-1][:TOLD] if values[k] < -0.1 * largest]

    def told_of(chosen: list[int]) -> str:
        return ", ".join(f"“{names[k]}” ({values[k]:+.2f})".replace("-", "\N{MINUS SIGN}") for k in chosen)

    parts = []
    if most:
        parts.append(f"What raises the {target} most: {told_of(most)}")
    if least:
        parts.append(f"what lowers it: {told_of(least)}" if most else f"What lowers the {target}: {told_of(least)}")
    return "; ".join(parts) + "."


def shortest(size: np.ndarray, share: float) -> tuple[int, int]:
    """The shortest stretch with at least this share of the sum, of several the one with most, as first step and end.

    >>> shortest(np.array([0, 1, 5, 5, 1, 0]), 0.5), shortest(np.array([4, 0, 0, 4]), 0.9)
    ((2, 4), (0, 4))
    """
    until = np.concatenate([[0.0], np.cumsum(size)])
    wanted = share * until[-1] * (1 - 1e-12)
    ends = np.searchsorted(until, until + wanted)  # first end that suffices for each beginning
    fits = np.flatnonzero(ends < len(until))
    lengths = ends[fits] - fits
    first = int(fits[np.lexsort((until[fits] - until[ends[fits]], lengths))[0]])
    return first, int(ends[first])
