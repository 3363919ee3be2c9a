"""`SequenceAdapter`: everything fitted on the training data, together; a run keeps it as ``adapter.json``."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gatewise.data.dataset import SequenceData
from gatewise.data.fields import shorten
from gatewise.data.scaling import Scaler
from gatewise.data.targets import Labels, Values
from gatewise.errors import DataError
from gatewise.types import Example

FORMAT = 1
TARGETS = {"labels": Labels, "values": Values}


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

    def to_json(self) -> str:
        """JSON text, indented; ``adapter_from_json`` gives back an equal adapter. Floats keep every bit."""
        kind = "labels" if isinstance(self.targets, Labels) else "values"
        content = {"format": FORMAT, "inputs": asdict(self.inputs), "targets": {"kind": kind, **asdict(self.targets)}}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def adapter_from_json(text: str, *, source: str = "adapter.json") -> SequenceAdapter:
    """Reads what ``SequenceAdapter.to_json`` wrote.

    Args:
        text: the JSON text.
        source: how an error names it.

    Returns:
        An adapter equal to the one that was written.

    Raises:
        DataError: damaged text, or a format that this version does not know.
    """
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise DataError(
                f"{source}: expected format {FORMAT}, got {content['format']}. "
                "Read it with the version of gatewise that wrote it."
            )
        kind = TARGETS[content["targets"].pop("kind")]
        return SequenceAdapter(_record(Scaler, content["inputs"]), _record(kind, content["targets"]))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(source, str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(source, f"{where}: {first['msg']}" if where else first["msg"]) from error


def _record(kind: type[Any], content: dict[str, Any]) -> Any:
    known = {field.name for field in fields(kind)}
    if unknown := content.keys() - known:
        raise KeyError(f"unknown {', '.join(sorted(unknown))}")
    if absent := known - content.keys():
        raise KeyError(f"no {', '.join(sorted(absent))}")
    return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)


def _damaged(source: str, reason: str) -> DataError:
    return DataError(
        f"{source}: expected the adapter of a run, got damaged text ({shorten(reason, 100)}). "
        "Restore the file or train again."
    )
