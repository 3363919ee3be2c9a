"""Which sequences to learn from and which to judge by: pure functions of the data and a seed."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gatewise.data.text import Data
from gatewise.errors import DataError, OptionError, did_you_mean

BY = ("stratified", "group", "time", "random")
Split = tuple[np.ndarray, np.ndarray]


def split(data: Data, *, fraction: float = 0.2, by: str | None = None, seed: int = 0) -> Split:
    """Sets a fraction of the sequences aside for validation.

    Args:
        data: what to divide.
        fraction: share of the validation side, above 0 and below 1.
        by: ``"stratified"`` keeps the share of every class, ``"random"`` does not look, ``"group"`` keeps each group
            on one side (and the classes as balanced as the groups allow), ``"time"`` takes the last sequences of the
            file. None: stratified for labels, random for numbers.
        seed: another seed, another draw; ``"time"`` draws nothing.

    Returns:
        Training and validation positions, int64, each ascending: disjoint, complete, neither empty. Stratified, a class
        of two or more examples is on both sides; a single example stays in training (see ``split_notes``).

    Raises:
        DataError: fewer than two sequences or groups, or no labels or groups to go by.
        OptionError: a fraction or a way that is not offered.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"fraction: expected above 0 and below 1, got {fraction}. 0.2 is a good start.")
    by = _way(data, by)
    if len(data) < 2:
        raise DataError(f"{data.source}: expected at least 2 sequences to split, got {len(data)}. "
                        "Add data, or give other data to choose the best epoch on.")  # fmt: skip
    rng = np.random.default_rng(seed)
    if by == "group":
        valid = _split_groups(data, fraction, rng)
    elif by == "time":
        valid = np.arange(len(data) - _share(len(data), fraction), len(data))
    elif by == "random":
        valid = rng.permutation(len(data))[: _share(len(data), fraction)]
    else:
        valid = _split_classes(_codes(_labels(data)), fraction, rng)
        if not len(valid):
            raise DataError(
                f"{data.source}: expected a class with at least 2 examples to split, got none. Split at random."
            )
    return _sides(len(data), valid)


def folds(data: Data, k: int = 5, *, by: str | None = None, seed: int = 0) -> list[Split]:
    """``k`` splits for cross-validation; every sequence is judged exactly once.

    ``"time"`` never learns from the future: the file is cut into k + 1 stretches, fold i learns from the first i + 1
    and is judged by the next, so the first stretch is never judged.

    Args:
        data: what to divide.
        k: number of folds, 2 or more.
        by: as in `split`.
        seed: as in `split`.

    Returns:
        Training and validation positions of each fold.

    Raises:
        DataError: fewer sequences or groups than folds.
        OptionError: fewer than two folds, or a way that is not offered.
    """
    if k < 2:
        raise OptionError(f"folds: expected at least 2, got {k}. 5 is a good start.")
    by = _way(data, by)
    needed = k + 1 if by == "time" else k
    if len(data) < needed:
        raise DataError(
            f"{data.source}: expected at least {needed} sequences for {k} folds, got {len(data)}. Use fewer."
        )
    rng = np.random.default_rng(seed)
    if by == "time":
        ends = [len(data) * i // (k + 1) for i in range(1, k + 2)]
        return [(np.arange(start), np.arange(start, stop)) for start, stop in pairwise(ends)]
    if by == "group":
        fold_of = _deal_groups(data, k, rng)
    else:
        order = rng.permutation(len(data))
        if by == "stratified":
            order = order[np.argsort(_codes(_labels(data))[order], kind="stable")]
        fold_of = np.empty(len(data), dtype=np.int64)
        fold_of[order] = np.arange(len(data)) % k  # dealt like cards, class after class
    return [_sides(len(data), np.flatnonzero(fold_of == fold)) for fold in range(k)]


def split_notes(data: Data, train: np.ndarray, valid: np.ndarray) -> list[str]:
    """What a user should know of a split: classes that one side lacks. Empty for numbers."""
    if not _has_labels(data):
        return []
    labels = np.array(_labels(data))
    learned, judged = set(labels[train].tolist()), set(labels[valid].tolist())
    notes = [f'class "{label}" has no example in training' for label in sorted(judged - learned)]
    for label in sorted(learned - judged):
        single = int((labels == label).sum()) == 1
        notes.append(
            f'class "{label}" has one example; it stays in training'
            if single
            else f'class "{label}" has no example in validation'
        )
    return notes


def _way(data: Data, by: str | None) -> str:
    if by is None:
        return "stratified" if _has_labels(data) else "random"
    if by not in BY:
        raise OptionError(f'split by: expected one of {", ".join(BY)}, got "{by}". {did_you_mean(by, BY)}')
    return by


def _has_labels(data: Data) -> bool:
    return data.targets is not None and len(data.targets) > 0 and isinstance(data.targets[0], str)


def _labels(data: Data) -> Sequence[str]:
    if data.targets is None or not _has_labels(data):
        raise DataError(f"{data.source}: expected class labels to stratify by, got none. Split at random.")
    labels: Sequence[str] = data.targets
    return labels


def _groups(data: Data, needed: int) -> np.ndarray:
    """``[N]`` int64: the number of each sequence's group."""
    if data.groups is None:
        raise DataError(f"{data.source}: expected groups to split by, got none. Name the group column.")
    groups = _codes(data.groups)
    if (got := int(groups.max(initial=-1)) + 1) < needed:
        raise DataError(
            f"{data.source}: expected at least {needed} groups, got {got}. Use fewer folds or split in another way."
        )
    return groups


def _codes(names: Sequence[str]) -> np.ndarray:
    codes: np.ndarray = np.unique(np.asarray(names, dtype=str), return_inverse=True)[1]
    return codes


def _share(count: int, fraction: float) -> int:
    return min(max(round(count * fraction), 1), count - 1)


def _sides(count: int, valid: np.ndarray) -> Split:
    aside = np.zeros(count, dtype=bool)
    aside[valid] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def _split_classes(classes: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Validation positions; the places that rounding leaves over go to the classes that lost most by it."""
    sizes = np.bincount(classes)
    most = np.maximum(sizes - 1, 0)
    quota = np.minimum(np.maximum(np.floor(sizes * fraction).astype(np.int64), 1), most)
    left = round(len(classes) * fraction) - int(quota.sum())
    for c in np.argsort(quota - sizes * fraction, kind="stable"):
        if left > 0 and quota[c] < min(most[c], sizes[c] * fraction):  # at most its share rounded up
            quota[c] += 1
            left -= 1
    chosen = [rng.permutation(np.flatnonzero(classes == c))[: quota[c]] for c in range(len(sizes))]
    return np.concatenate(chosen)


def _class_counts(data: Data, groups: np.ndarray) -> np.ndarray:
    """``[groups, K]``: sequences of each class in each group; K is 1 without labels."""
    classes = _codes(_labels(data)) if _has_labels(data) else np.zeros(len(data), dtype=np.int64)
    counts = np.zeros((groups.max() + 1, classes.max() + 1))
    np.add.at(counts, (groups, classes), 1)
    return counts


def _split_groups(data: Data, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Takes groups, in random order, as long as that brings the class counts nearer to their share."""
    groups = _groups(data, 2)
    counts = _class_counts(data, groups)
    missing = counts.sum(axis=0) * fraction  # what validation still lacks of each class
    chosen: list[int] = []
    order = rng.permutation(len(counts))
    for group in order:
        nearer = np.sum((missing - counts[group]) ** 2) < np.sum(missing**2)
        if nearer and len(chosen) < len(counts) - 1:
            chosen.append(group)
            missing = missing - counts[group]
    if not chosen:  # every group is larger than the share: the nearest one
        chosen = [min(order, key=lambda group: float(np.sum((missing - counts[group]) ** 2)))]
    return np.flatnonzero(np.isin(groups, chosen))


def _deal_groups(data: Data, k: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each sequence: large groups first, each to the fold that it leaves most even."""
    groups = _groups(data, k)
    counts = _class_counts(data, groups)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    held = np.zeros((k, counts.shape[1]))
    fold_of = np.empty(len(counts), dtype=np.int64)
    for position, group in enumerate(order):
        empty = np.flatnonzero(held.sum(axis=1) == 0)
        open_folds = empty if len(empty) >= len(order) - position else np.arange(k)  # no fold may end empty
        growth = [float(np.sum((held[fold] + counts[group]) ** 2 - held[fold] ** 2)) for fold in open_folds]
        fold_of[group] = open_folds[int(np.argmin(growth))]
        held[fold_of[group]] += counts[group]
    dealt: np.ndarray = fold_of[groups]
    return dealt
