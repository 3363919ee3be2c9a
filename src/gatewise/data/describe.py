"""`describe`: what a file holds, before anyone trains on it; with whatever looks suspicious."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gatewise.data.batching import epoch_order, padding_share
from gatewise.data.dataset import SequenceData, default_channels
from gatewise.data.scaling import mean_and_std, moments
from gatewise.data.text_description import as_lines
from gatewise.errors import DataError

BATCH_SIZE = 32
FEW_EXAMPLES = 8
IMBALANCE = 5.0  # largest class over smallest
SCALES = 3.0  # decades between the widest channel and the narrowest


@dataclass(frozen=True)
class ValueRange:
    """How one target value is spread over the sequences, or over the steps."""

    name: str
    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True)
class Description:
    """What a data set holds.

    Attributes:
        source: the file, or ``"memory"``.
        sequences: how many.
        channels: their names.
        length_min: steps of the shortest sequence.
        length_median: steps of the one in the middle.
        length_max: steps of the longest sequence.
        classes: (label, examples) of each class in the order of the file's declaration, else the most frequent first;
            None where there are no labels.
        values: spread of the finite numbers of each target of a regression; None where there is none.
        per_step: whether targets are one a step.
        missing: share of missing values of each channel, 0 to 1.
        padding: share of padding in batches of 32 in the order of the file, 0 to 1.
        padding_bucketed: the same with sequences of similar length together, as in training.
        ids: whether sequences have names.
        groups: number of groups; None without groups.
        notes: what looks suspicious, one sentence each.
    """

    source: str
    layout: str
    sequences: int
    channels: tuple[str, ...]
    length_min: int
    length_median: float
    length_max: int
    classes: tuple[tuple[str, int], ...] | None
    values: tuple[ValueRange, ...] | None
    per_step: bool
    missing: tuple[float, ...]
    padding: float
    padding_bucketed: float
    ids: bool
    groups: int | None
    notes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text, for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """(what, value) pairs for a table; notes are apart."""
        same = self.length_min == self.length_max
        spread = f"{self.length_min} to {self.length_max}, median {self.length_median:g}"
        rows = [
            *([("read as", self.layout)] if self.layout else []),
            ("sequences", str(self.sequences)),
            ("channels", f"{len(self.channels)} ({_listed(self.channels)})"),
            ("steps", f"{self.length_min} each" if same else spread),
        ]
        if self.classes is not None:
            rows.append(("classes", _classes_in_words(self.classes, self.sequences)))
        for value in self.values or ():
            unit = " a step" if self.per_step else ""
            text = f"mean {value.mean:.4g}, std {value.std:.4g}, {value.min:.4g} to {value.max:.4g}"
            rows.append((f"target {value.name}", text + unit))
        if self.classes is None and self.values is None:
            rows.append(("target", "none"))
        gaps = [f"{name}: {share:.1%}" for name, share in zip(self.channels, self.missing, strict=True) if share]
        rows.append(("missing", _listed(gaps) if gaps else "none"))
        if not same:
            rows.append(("padding", f"{self.padding:.1%} in file order, {self.padding_bucketed:.1%} bucketed"))
        if self.groups is not None:
            rows.append(("groups", str(self.groups)))
        return rows

    def to_text(self) -> str:
        """A few lines for a terminal."""
        return as_lines(self.source, self.rows(), self.notes)


def describe(data: SequenceData) -> Description:
    """Counts, lengths, classes, missing values, padding, and notes on what looks suspicious.

    Args:
        data: as read.

    Returns:
        A plain record; ``to_text`` and ``to_plain`` show it.

    Raises:
        DataError: there is no sequence.

    Example:
        >>> data = SequenceData([np.zeros((3, 1)), np.ones((5, 1))], ["rest", "walk"])
        >>> describe(data).length_max, describe(data).classes
        (5, (('rest', 1), ('walk', 1)))
    """
    if not len(data):
        raise DataError(f"{data.source}: expected at least one sequence, got none. There is nothing to describe.")
    steps = np.concatenate(data.sequences)  # [sum of T, I]
    lengths = data.lengths
    channels = data.channels or default_channels(steps.shape[1])
    classes, values, per_step = _targets(data)
    count = -(-len(data) // BATCH_SIZE)
    return Description(
        source=data.source,
        layout=data.layout,
        sequences=len(data),
        channels=channels,
        length_min=int(lengths.min()),
        length_median=float(np.median(lengths)),
        length_max=int(lengths.max()),
        classes=classes,
        values=values,
        per_step=per_step,
        missing=tuple(np.isnan(steps).mean(axis=0).tolist()) if len(steps) else (0.0,) * len(channels),
        padding=padding_share(np.array_split(np.arange(len(data)), count), lengths),
        padding_bucketed=padding_share(epoch_order(lengths, BATCH_SIZE, seed=0, epoch=0), lengths),
        ids=data.ids is not None,
        groups=None if data.groups is None else len(set(data.groups)),
        notes=(
            *_length_notes(lengths),
            *_channel_notes(steps, channels),
            *_target_notes(data),
            *_class_notes(classes),
            *_duplicate_notes(data),
        ),
    )


def _targets(
    data: SequenceData,
) -> tuple[tuple[tuple[str, int], ...] | None, tuple[ValueRange, ...] | None, bool]:
    """Classes or values, and whether there is one answer a step."""
    if data.targets is None:
        return None, None, False
    if isinstance(data.targets[0], str):
        counts = Counter(data.targets)
        labels = dict.fromkeys((*(data.classes or ()), *(label for label, _ in counts.most_common())))
        return tuple((label, counts[label]) for label in labels), None, False
    per_step = np.ndim(data.targets[0]) == 2
    numbers = np.concatenate(
        [np.reshape(target, (-1, np.shape(target)[-1] if np.ndim(target) else 1)) for target in data.targets]
    )  # [*, K]
    names = data.target_names if len(data.target_names) == numbers.shape[1] else default_channels(numbers.shape[1])
    ranges = []
    for name, column in zip(names, numbers.T, strict=True):
        if len(known := column[np.isfinite(column)]):
            mean, std = mean_and_std(known)
            ranges.append(ValueRange(name, float(mean), float(std), float(known.min()), float(known.max())))
    return None, tuple(ranges), per_step


def _classes_in_words(classes: tuple[tuple[str, int], ...], sequences: int) -> str:
    counts = {count for _, count in classes}
    if len(counts) == 1 < len(classes):
        return f"{len(classes)}, {counts.pop()} each ({_listed([label for label, _ in classes], 10)})"
    few = len(classes) <= 10
    shares = [f"{label}: {count}" + (f" ({count / sequences:.1%})" if few else "") for label, count in classes]
    return f"{len(classes)} ({_listed(shares, 10)})"


def _length_notes(lengths: np.ndarray) -> list[str]:
    if lengths.max() == 1 and len(lengths) > 1:
        return ["every sequence has a single step; if the rows are the steps of sequences, name the id or time column"]
    empty = int((lengths == 0).sum())
    return [f"{empty} sequences have no step at all"] if empty else []


def _channel_notes(steps: np.ndarray, channels: tuple[str, ...]) -> list[str]:
    notes = []
    infinite = [name for name, some in zip(channels, np.isinf(steps).any(axis=0), strict=True) if some]
    if infinite:
        notes.append(f"infinite values in {_listed(infinite)}")
    values = np.where(np.isinf(steps), np.nan, steps)
    absent = np.isnan(values).all(axis=0)
    if absent.any():
        notes.append(f"no value at all in {_listed(_those(channels, absent))}")
    low = np.min(np.where(np.isnan(values), np.inf, values), axis=0, initial=np.inf)
    high = np.max(np.where(np.isnan(values), -np.inf, values), axis=0, initial=-np.inf)
    constant = np.equal(low, high) & ~absent
    if constant.any():
        notes.append(f"the value never changes in {_listed(_those(channels, constant))}")
    spread = moments(values)[1][~constant & ~absent]
    if len(spread) > 1:
        decades = float(np.log10(spread.max()) - np.log10(spread.min()))  # the factor itself may overflow
        if decades > SCALES:
            factor = f"{10**decades:.0f}" if decades < 6 else f"1e{decades:.0f}"
            notes.append(f"channels differ in scale by a factor of {factor}; keep scaling on")
    return notes


def _target_notes(data: SequenceData) -> list[str]:
    if data.targets is None or isinstance(data.targets[0], str):
        return []
    wrong = [i for i, target in enumerate(data.targets) if not np.isfinite(target).all()]
    return [f"{len(wrong)} targets are not finite, the first: {data.where(wrong[0])}"] if wrong else []


def _class_notes(classes: tuple[tuple[str, int], ...] | None) -> list[str]:
    if not classes:
        return []
    notes = []
    if len(classes) == 1:
        notes.append(f'all sequences are of the class "{classes[0][0]}"')
    few = [f'"{label}" ({count})' for label, count in classes if count < FEW_EXAMPLES]
    if few:
        notes.append(f"few examples of the class{'es' if len(few) > 1 else ''} {_listed(few)}")
    present = [count for _, count in classes if count]
    if present and max(present) >= IMBALANCE * min(present):
        notes.append(
            f"classes are unbalanced, {max(present)} examples to {min(present)}; look at F1 beside accuracy, "
            "and consider class weights"
        )
    return notes


def _duplicate_notes(data: SequenceData) -> list[str]:
    alike: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, sequence in enumerate(data.sequences):
        alike[len(sequence), blake2b(np.ascontiguousarray(sequence).tobytes(), digest_size=16).digest()].append(index)
    repeated = [same for same in alike.values() if len(same) > 1]
    if not repeated:
        return []
    extra = sum(len(same) - 1 for same in repeated)
    first = repeated[0]
    notes = [f"{extra} sequences repeat another one, the first: {data.where(first[1])} as {data.where(first[0])}"]
    if data.targets is not None and isinstance(data.targets[0], str):
        torn = sum(len({data.targets[i] for i in same}) > 1 for same in repeated)
        if torn:
            notes.append(f"{torn} sequences occur with different labels")
    return notes


def _those(channels: tuple[str, ...], chosen: ArrayLike) -> list[str]:
    return [channels[i] for i in np.flatnonzero(chosen)]


def _listed(names: tuple[str, ...] | list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, ... {len(names) - most} more" if len(names) > most else shown
