"""Predictions as a table: CSV, Parquet or JSON lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatewise.data.adapter import Adapter
from gatewise.errors import OptionError, RunError
from gatewise.tasks import Data
from gatewise.training.files import write_atomic
from gatewise.types import Results

if TYPE_CHECKING:
    import polars

SUFFIXES = (".csv", ".parquet", ".jsonl")


def to_frame(adapter: Adapter, data: Data, results: Results) -> "polars.DataFrame":
    """The table of predictions; what its rows and columns are, the kind of data decides. Rows count from 0."""
    import polars

    return polars.DataFrame(adapter.columns(data, results))


def check_target(path: Path, *, overwrite: bool, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Refuses a file that could not be written, before anything is computed.

    Raises:
        OptionError: the name does not end in one of ``suffixes``.
        RunError: the file exists, or its folder does not.
    """
    if path.suffix not in suffixes:
        raise OptionError(f'--out: expected a name ending in {", ".join(suffixes)}, got "{path}".')
    if path.exists() and not overwrite:
        raise RunError(f"{path}: expected a new file, got one that exists. Choose another --out, or use --overwrite.")
    if path.is_dir():
        raise RunError(f"{path}: expected a file, got a folder. Choose another --out.")
    if not path.parent.is_dir():
        raise RunError(f"{path}: expected a folder to write to, got none at {path.parent}. Make it first.")


def write_frame(path: Path, frame: "polars.DataFrame") -> None:
    """Writes a table in the format that the name says; whole or not at all."""
    import io

    if path.suffix == ".csv":
        write_atomic(path, frame.write_csv())
    elif path.suffix == ".jsonl":
        write_atomic(path, frame.write_ndjson())
    else:
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        write_atomic(path, buffer.getvalue())
