"""Predictions as a table: CSV, Parquet or JSON lines."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewise.data.adapter import SequenceAdapter
from gatewise.data.dataset import SequenceData
from gatewise.data.targets import Labels, Values
from gatewise.errors import OptionError, RunError
from gatewise.training.files import write_atomic
from gatewise.types import Results

if TYPE_CHECKING:
    import polars

SUFFIXES = (".csv", ".parquet", ".jsonl")


def to_frame(adapter: SequenceAdapter, data: SequenceData, results: Results) -> "polars.DataFrame":
    """One row a sequence, counted from 0: ``row, id, label, p_<class>...``, or ``row, id, <target>...``.

    A regression with one answer a step has one row a step, with the column ``step``. ``id`` is there where the data
    have names.
    """
    import polars

    build: dict[type, Callable[..., dict[str, list[Any]]]] = {Labels: _labels, Values: _values}
    columns = build[type(adapter.targets)](adapter.targets, data, results)
    return polars.DataFrame(columns)


def _labels(labels: Labels, data: SequenceData, results: Results) -> dict[str, list[Any]]:
    predictions = results.predictions
    probabilities = [prediction.probabilities or () for prediction in predictions]
    return {
        "row": list(range(len(predictions))),
        **({} if data.ids is None else {"id": list(data.ids)}),
        "label": [prediction.value for prediction in predictions],
        **{f"p_{name}": [row[k] for row in probabilities] for k, name in enumerate(labels.classes)},
    }


def _values(values: Values, data: SequenceData, results: Results) -> dict[str, list[Any]]:
    answers = [prediction.value for prediction in results.predictions]
    rows = [(row, 0, answer) for row, answer in enumerate(answers)]
    if values.per_step:
        rows = [(row, step, part) for row, answer in enumerate(answers) for step, part in enumerate(answer)]
    several = len(values.names) > 1
    return {
        "row": [row for row, _, _ in rows],
        **({} if data.ids is None else {"id": [data.ids[row] for row, _, _ in rows]}),
        **({"step": [step for _, step, _ in rows]} if values.per_step else {}),
        **{
            _beside(name): [answer[k] if several else answer for _, _, answer in rows]
            for k, name in enumerate(values.names)
        },
    }


def _beside(name: str) -> str:
    """A target's column; one that is called like a column of ours says what it is."""
    return f"predicted_{name}" if name in ("row", "id", "step") else name


def to_csv(adapter: SequenceAdapter, data: SequenceData, results: Results) -> str:
    """The table as CSV text."""
    return to_frame(adapter, data, results).write_csv()


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuses a file that could not be written, before anything is computed.

    Raises:
        OptionError: the name does not end in one of :data:`SUFFIXES`.
        RunError: the file exists, or its folder does not.
    """
    if path.suffix not in SUFFIXES:
        raise OptionError(f'--out: expected a name ending in {", ".join(SUFFIXES)}, got "{path}".')
    if path.exists() and not overwrite:
        raise RunError(f"{path}: expected a new file, got one that exists. Choose another --out, or use --overwrite.")
    if path.is_dir():
        raise RunError(f"{path}: expected a file, got a folder. Choose another --out.")
    if not path.parent.is_dir():
        raise RunError(f"{path}: expected a folder to write to, got none at {path.parent}. Make it first.")


def write(path: Path, adapter: SequenceAdapter, data: SequenceData, results: Results) -> None:
    """Writes the table in the format that the name says; whole or not at all."""
    import io

    frame = to_frame(adapter, data, results)
    if path.suffix == ".csv":
        write_atomic(path, frame.write_csv())
    elif path.suffix == ".jsonl":
        write_atomic(path, frame.write_ndjson())
    else:
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        write_atomic(path, buffer.getvalue())
