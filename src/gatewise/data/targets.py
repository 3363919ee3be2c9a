"""`Labels` and `Values`: the fitted side of the targets, for classification and for regression."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gatewise.data.dataset import SequenceData
from gatewise.data.scaling import check_moments, mean_and_std
from gatewise.data.text import Data
from gatewise.errors import DataError, OptionError, did_you_mean


@dataclass(frozen=True)
class Labels:
    """The class names of a classification and the number of each.

    Attributes:
        classes: the names; the number of a class is its place here, and so is its column in the scores.
        threshold: with two classes, the second one is answered where its probability is above this; unused with more.
        examples: training examples of each class; empty where nobody counted.

    Raises:
        DataError: fewer than two classes, the same one twice, or another number of counts than classes.
        OptionError: a threshold outside 0 to 1.
    """

    classes: tuple[str, ...]
    threshold: float = 0.5
    examples: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            got = f'only "{self.classes[0]}"' if self.classes else "none"
            raise DataError(f"Labels: expected at least two classes, got {got}. There is nothing to tell apart.")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(
                f"Labels: expected each class once, got {', '.join(self.classes)}. Take the second one out."
            )
        if self.examples and (len(self.examples) != len(self.classes) or min(self.examples) < 0):
            raise DataError(
                f"Labels: expected {len(self.classes)} counts of examples, none below 0, got {self.examples}. "
                "Count each class."
            )
        if not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold: expected 0 to 1, got {self.threshold}. 0.5 treats both classes alike.")

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.classes)}

    @classmethod
    def fit(cls, data: Data) -> "Labels":
        """Declared classes in the file's own order, else those that occur: numbers by value, text by alphabet.

        Args:
            data: training data as read.

        Returns:
            Labels with the number of examples of each.

        Raises:
            DataError: no targets, targets that are not labels, or a single class.
        """
        targets = _targets(data)
        for index, target in enumerate(targets):
            if not isinstance(target, str):
                raise DataError(
                    f"{data.where(index)}: expected a class label, got {_kind(target)}. "
                    "Labels are text; numbers are a regression."
                )
        found = sorted(set(targets), key=_by_value)
        if len(found) < 2:
            raise DataError(
                f'{data.source}: expected at least two classes, got only "{found[0]}". There is nothing to tell apart.'
            )
        declared = data.classes or ()
        classes = (*declared, *(label for label in found if label not in declared))
        return cls(classes, examples=tuple(Counter(targets)[label] for label in classes))

    def encode(self, label: str, *, where: str = "Labels") -> int:
        """The number of a class.

        Args:
            label: as read.
            where: how an error names its sequence.

        Returns:
            The place in ``classes``.

        Raises:
            DataError: a label that the training data does not have.
        """
        if label in self._numbers:
            return self._numbers[label]
        known = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        raise DataError(f'{where}: expected one of the labels {known}, got "{label}". {_advice(label, self.classes)}')

    def decode(self, number: int) -> str:
        """The name of a class."""
        return self.classes[number]

    def decide(self, probabilities: Sequence[float] | np.ndarray) -> int:
        """The number of the class to answer: ``[K]`` probabilities -> the largest, or by ``threshold`` with two."""
        if len(self.classes) == 2:
            return int(probabilities[1] > self.threshold)
        return int(np.argmax(probabilities))

    def balanced_weights(self) -> tuple[float, ...]:
        """One weight a class, so that all classes weigh alike in a loss: N / (K * examples of the class).

        A declared class without examples weighs nothing.
        """
        occurring = sum(count > 0 for count in self.examples)
        return tuple(sum(self.examples) / (occurring * count) if count else 0.0 for count in self.examples)


@dataclass(frozen=True)
class Values:
    """The target numbers of a regression and how they are scaled, so that each weighs alike in the loss.

    Attributes:
        names: of the K target values.
        mean: of each over the training data.
        std: the same; 1 for a target that does not vary.
        per_step: True for one answer a step, False for one a sequence.

    Raises:
        DataError: not one finite mean and one finite std above 0 for each target.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    per_step: bool = False

    def __post_init__(self) -> None:
        check_moments("Values", self.names, self.mean, self.std)

    @classmethod
    def fit(cls, data: SequenceData) -> "Values":
        """Measures mean and std of every target, of training data only.

        Args:
            data: training data as read.

        Returns:
            The fitted values.

        Raises:
            DataError: no targets, labels instead of numbers, a missing or infinite one, or unequal numbers of targets.
        """
        targets = _targets(data)
        per_step = np.ndim(targets[0]) == 2
        rows = [_numbers(target, per_step, data.where(index)) for index, target in enumerate(targets)]  # each [*, K]
        size = rows[0].shape[1]
        for index, row in enumerate(rows):
            _check_size(row, size, data.where(index))
        stacked = np.concatenate(rows)
        mean, std = mean_and_std(stacked)
        std = np.where(std > 1e-12 * np.abs(mean), std, 1.0)
        names = data.target_names if len(data.target_names) == size else tuple(f"y{k}" for k in range(size))
        return cls(names, tuple(mean.tolist()), tuple(std.tolist()), per_step)

    def encode(self, target: Any, *, where: str = "Values") -> np.ndarray:
        """A float or ``[K]`` -> ``[K]`` float32; with ``per_step`` ``[T, K]`` (``[T]`` if K is 1) -> ``[T, K]``.

        Args:
            target: as read.
            where: how an error names its sequence.

        Returns:
            A new array, scaled.

        Raises:
            DataError: not a number, missing, infinite, or another number of targets.
        """
        numbers = _numbers(target, self.per_step, where)
        _check_size(numbers, len(self.names), where)
        scaled = ((numbers - self.mean) / self.std).astype(np.float32)
        return scaled if self.per_step else scaled[0]

    def decode(self, scaled: np.ndarray) -> np.ndarray:
        """Undoes ``encode``: ``[..., K]`` -> ``[..., K]`` float64 in the units of the data."""
        decoded: np.ndarray = np.asarray(scaled, dtype=np.float64) * self.std + self.mean
        return decoded


def _targets(data: Data) -> Sequence[Any]:
    if data.targets is None or not len(data):
        got = "none" if len(data) else "no sequence at all"
        raise DataError(f"{data.source}: expected a target for each sequence, got {got}. Name the target column.")
    targets: Sequence[Any] = data.targets
    return targets


def _numbers(target: Any, per_step: bool, where: str) -> np.ndarray:
    """``[1, K]``, or ``[T, K]`` with ``per_step``; float64, finite."""
    shapes = (1, 2) if per_step else (0, 1)
    if isinstance(target, str) or np.ndim(target) not in shapes:
        wanted = "one row of numbers a step" if per_step else "a number, or one number a target"
        raise DataError(f"{where}: expected {wanted}, got {_kind(target)}. All targets must be of one kind.")
    numbers = np.asarray(target, dtype=np.float64)
    numbers = numbers[:, None] if per_step and numbers.ndim == 1 else np.atleast_1d(numbers)
    numbers = numbers if per_step else numbers[None]
    if not np.isfinite(numbers).all():
        raise DataError(
            f"{where}: expected finite target numbers, got {numbers[~np.isfinite(numbers)][0]}. "
            "Leave out what has no answer."
        )
    return numbers


def _check_size(numbers: np.ndarray, size: int, where: str) -> None:
    if numbers.shape[1] != size:
        raise DataError(
            f"{where}: expected {size} target numbers, got {numbers.shape[1]}. Every sequence has the same targets."
        )


def _kind(target: Any) -> str:
    if isinstance(target, str):
        return f'the label "{target}"'
    return f"an array of shape {np.shape(target)}" if np.ndim(target) else f"the number {target}"


def _by_value(label: str) -> tuple[int, float, str]:
    """Numbers before text, by value; text by alphabet."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _advice(label: str, known: Sequence[str]) -> str:
    hint = did_you_mean(label, known)
    suffix = "Correct the label, or train with examples of it."
    return f"{hint} {suffix}" if hint.startswith("Did") else suffix
