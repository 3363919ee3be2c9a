"""`SequenceAdapter`: everything fitted on numeric training data: scaling, labels or target values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gatewise.data.config import DataConfig
from gatewise.data.dataset import SequenceData
from gatewise.data.record import record
from gatewise.data.scaling import Scaler
from gatewise.data.targets import Labels, Values
from gatewise.errors import DataError
from gatewise.types import Example, Results

TARGETS: dict[str, type[Labels] | type[Values]] = {"labels": Labels, "values": Values}


@dataclass(frozen=True)
class SequenceAdapter:
    """The two fitted sides of numeric sequences: inputs and targets.

    Attributes:
        inputs: scales the sequences and fills in what is missing.
        targets: numbers the labels, or scales the target values.

    Raises:
        DataError: a fixed length together with one answer a step: padded steps have no answer.
    """

    inputs: Scaler
    targets: Labels | Values

    def __post_init__(self) -> None:
        if self.inputs.length is not None and isinstance(self.targets, Values) and self.targets.per_step:
            raise DataError(
                f"SequenceAdapter: expected no fixed length with one answer a step, got length {self.inputs.length}. "
                "Leave the length out; sequences may differ in length."
            )

    @classmethod
    def fit_labels(cls, data: SequenceData, config: DataConfig) -> "SequenceAdapter":
        """Measures training data for a classification.

        Raises:
            DataError: the data have no class labels.
        """
        return cls(_scaler(data, config), Labels.fit(data))

    @classmethod
    def fit_values(cls, data: SequenceData, config: DataConfig) -> "SequenceAdapter":
        """Measures training data for a regression.

        Raises:
            DataError: the data have no target numbers.
        """
        return cls(_scaler(data, config), Values.fit(data))

    @property
    def input_size(self) -> int:
        """Channels that the model takes, ``I``."""
        return self.inputs.input_size

    @property
    def output_size(self) -> int:
        """Scores that the model gives, ``K``: classes, or target values."""
        return len(self.targets.classes) if isinstance(self.targets, Labels) else len(self.targets.names)

    def encode(self, data: SequenceData) -> list[Example]:
        """Every sequence as ``[T, input_size]`` float32 with its target: a class number, ``[K]`` or ``[T, K]`` float32.

        Data without targets gives examples without targets.

        Args:
            data: as read.

        Returns:
            One example a sequence, in the order of the data.

        Raises:
            DataError: channels that the model was not trained on, a sequence without steps, an infinite value, an
                unknown label, or a target with another number of steps than its sequence; names file, row and column.
        """
        self.inputs.check(data)
        for index, sequence in enumerate(data.sequences):
            if not len(sequence):
                raise DataError(f"{data.where(index)}: expected at least one step, got none. Take the sequence out.")
        return [
            Example(self.inputs.encode(sequence, where=data.where(index)), self._target(data, index))
            for index, sequence in enumerate(data.sequences)
        ]

    def _target(self, data: SequenceData, index: int) -> Any:
        if data.targets is None:
            return None
        if isinstance(self.targets, Labels):
            return self.targets.encode(data.targets[index], where=data.where(index))
        encoded = self.targets.encode(data.targets[index], where=data.where(index))
        steps = len(data.sequences[index])
        if self.targets.per_step and len(encoded) != steps:
            raise DataError(
                f"{data.where(index)}: expected one target a step, {steps} in all, got {len(encoded)}. "
                "Give each step its answer."
            )
        return encoded

    @property
    def labels(self) -> Labels | None:
        """The classes; None for numbers."""
        return self.targets if isinstance(self.targets, Labels) else None

    def with_labels(self, labels: Labels) -> "SequenceAdapter":
        """The same with other labels."""
        return replace(self, targets=labels)

    def summary(self, data: SequenceData) -> str:
        """Channels, steps and what there is to answer."""
        lengths = data.lengths
        steps = f"{lengths.min()}" if lengths.min() == lengths.max() else f"{lengths.min()} to {lengths.max()}"
        channels = f"{self.input_size} channel{'s' if self.input_size > 1 else ''}"
        return f"{channels}, {steps} steps; {_answers(self.targets)}"

    def notes(self, data: SequenceData) -> list[str]:
        """Nothing: what is wrong with numbers is an error."""
        return []

    def columns(self, data: SequenceData, results: Results) -> dict[str, list[Any]]:
        """``row, id, label, p_<class>...``, or ``row, id, <target>...``; one row a sequence, counted from 0.

        A regression with one answer a step has one row a step, with the column ``step``. ``id`` is there where the data
        have names.
        """
        if isinstance(self.targets, Labels):
            return label_columns(self.targets, data.ids, results)
        return _value_columns(self.targets, data.ids, results)

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """The head's scores are of these classes, or of these target values."""
        return {".head.": self.targets.classes if isinstance(self.targets, Labels) else self.targets.names}

    def to_plain(self) -> dict[str, Any]:
        """For ``adapter.json``."""
        kind = "labels" if isinstance(self.targets, Labels) else "values"
        return {"inputs": asdict(self.inputs), "targets": {"kind": kind, **asdict(self.targets)}}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "SequenceAdapter":
        """What ``to_plain`` gave."""
        targets = dict(content["targets"])
        kind: type[Any] = TARGETS[targets.pop("kind")]
        return cls(record(Scaler, content["inputs"]), record(kind, targets))


def _scaler(data: SequenceData, config: DataConfig) -> Scaler:
    return Scaler.fit(data, mode=config.scale, missing=config.missing, length=config.length)


def label_columns(labels: Labels, ids: Sequence[str] | None, results: Results) -> dict[str, list[Any]]:
    """The table of class predictions: ``row, id, label, p_<class>...``."""
    predictions = results.predictions
    probabilities = [prediction.probabilities or () for prediction in predictions]
    return {
        "row": list(range(len(predictions))),
        **({} if ids is None else {"id": list(ids)}),
        "label": [prediction.value for prediction in predictions],
        **{f"p_{name}": [row[k] for row in probabilities] for k, name in enumerate(labels.classes)},
    }


def _value_columns(values: Values, ids: Sequence[str] | None, results: Results) -> dict[str, list[Any]]:
    answers = [prediction.value for prediction in results.predictions]
    rows = [(row, 0, answer) for row, answer in enumerate(answers)]
    if values.per_step:
        rows = [(row, step, part) for row, answer in enumerate(answers) for step, part in enumerate(answer)]
    several = len(values.names) > 1
    return {
        "row": [row for row, _, _ in rows],
        **({} if ids is None else {"id": [ids[row] for row, _, _ in rows]}),
        **({"step": [step for _, step, _ in rows]} if values.per_step else {}),
        **{
            _beside(name): [answer[k] if several else answer for _, _, answer in rows]
            for k, name in enumerate(values.names)
        },
    }


def _beside(name: str) -> str:
    """A target's column; one that is called like a column of ours says what it is."""
    return f"predicted_{name}" if name in ("row", "id", "step") else name


def _answers(targets: Labels | Values) -> str:
    if isinstance(targets, Labels):
        return f"{len(targets.classes)} classes"
    names = ", ".join(targets.names)
    return f"predicts {names} for every step" if targets.per_step else f"predicts {names}"
