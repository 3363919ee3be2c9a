"""`from_python`: whatever holds sequences in Python to `SequenceData`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from gatewise.data.dataset import ReadOptions, SequenceData, default_channels, refuse_columns
from gatewise.data.fields import shorten, target_names
from gatewise.data.memory import sequences_of, targets_of
from gatewise.data.read import read
from gatewise.data.table import from_frame
from gatewise.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SOURCE = "memory"


def from_python(
    data: Any,
    targets: Any = None,
    options: ReadOptions = ReadOptions(),  # noqa: B008  frozen
    *,
    require_target: bool = True,
) -> SequenceData:
    """Sequences and targets from Python objects, copied to float64.

    Args:
        data: a path; an array or tensor ``[N, T, I]`` or ``[N, T]``; a list of arrays ``[T, I]`` or ``[T]``; a tuple
            (sequences, targets); a Polars or pandas frame; a map-style PyTorch dataset of sequences or of pairs
            (sequence, target); or `SequenceData`, which is returned as it is.
        targets: one a sequence, where ``data`` does not hold them itself: text or whole numbers are labels, numbers
            with a fraction, ``[K]`` and, one row a step, ``[T, K]`` a regression (``options.task`` decides otherwise).
        options: the columns of a file or frame; what targets are read as.
        require_target: as in `read`.

    Returns:
        The sequences, with targets where there are any.

    Raises:
        DataError: another kind of object, shapes that do not fit one another, or what `read` raises.

    Example:
        >>> data = from_python([np.zeros((3, 2)), np.ones((5, 2))], ["rest", "walk"])
        >>> data.lengths.tolist(), data.targets
        ([3, 5], ['rest', 'walk'])
    """
    if isinstance(data, tuple) and len(data) == 2 and targets is None:
        return from_python(data[0], data[1], options, require_target=require_target)
    if isinstance(data, SequenceData | str | Path) or _library(data) in ("polars", "pandas"):
        if targets is not None:
            raise DataError(
                f"{SOURCE}: expected no separate targets with {type(data).__name__}, which holds its own, got some. "
                "Name the target column in the options."
            )
        if isinstance(data, SequenceData):
            return data
        if isinstance(data, str | Path):
            return read(data, options, require_target=require_target)
        if type(data).__name__ != "DataFrame":
            raise DataError(
                f"{SOURCE}: expected a data frame, got a {_library(data)} {type(data).__name__}. "
                "Make it a DataFrame; a LazyFrame has collect()."
            )
        frame = data if _library(data) == "polars" else from_pandas(data)
        return from_frame(frame, SOURCE, options, require_target=require_target)
    advice = "Arrays and lists have no columns; leave {role} out, or give a data frame."
    refuse_columns(options, SOURCE, advice, require_target=require_target)
    sequences, targets = _take_apart(data, targets)
    found = sequences_of(sequences, SOURCE)
    answers = targets_of(
        _to_numpy(targets), [len(sequence) for sequence in found], SOURCE, options.task, required=require_target
    )
    channels = default_channels(found[0].shape[1])
    return SequenceData(found, answers, channels=channels, target_names=target_names(answers), source=SOURCE)


def _take_apart(data: Any, targets: Any) -> tuple[Any, Any]:
    """Sequences and targets of a dataset, a list of pairs, an array or a list."""
    if isinstance(data, IterableDataset) or (isinstance(data, Dataset) and not hasattr(data, "__len__")):
        raise DataError(
            f"{SOURCE}: expected a dataset with a length and numbered items, got a stream. Collect it first."
        )
    if isinstance(data, Dataset):
        data = [_item(data, i) for i in range(len(data))]  # type: ignore[arg-type]
    if isinstance(data, np.ndarray | torch.Tensor):
        return _to_numpy(data), targets
    if not isinstance(data, Sequence) or isinstance(data, Mapping | bytes):
        raise DataError(
            f"{SOURCE}: expected a path, an array, a list of arrays, a data frame or a PyTorch dataset, "
            f"got {type(data).__name__}. Turn it into one of these."
        )
    items = list(data)
    if targets is None and items and all(isinstance(item, tuple) and _is_pair(item) for item in items):
        return [_to_numpy(item[0]) for item in items], [_to_numpy(item[1]) for item in items]
    return [_to_numpy(item) for item in items], targets


def _item(data: Any, index: int) -> Any:
    try:
        return data[index]
    except Exception as error:
        raise DataError(
            f"{SOURCE}, item {index} of the dataset: expected a sequence or a pair (sequence, target), "
            f"got {type(error).__name__}: {shorten(str(error), 200)}. Mend its __getitem__."
        ) from error


def _is_pair(item: tuple[Any, ...]) -> bool:
    """(sequence, target), and not two steps of numbers."""
    return len(item) == 2 and hasattr(item[0], "__len__") and getattr(item[0], "ndim", 1) > 0


def _to_numpy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        try:
            dense = value.detach().cpu()
            return (dense.float() if dense.dtype is torch.bfloat16 else dense).numpy()
        except (TypeError, RuntimeError) as error:
            raise DataError(
                f"{SOURCE}: expected a dense tensor of numbers, got one of layout {str(value.layout)[6:]} and dtype "
                f"{str(value.dtype)[6:]} on {value.device}. Make it dense on a device, of an ordinary dtype."
            ) from error
    if _library(value) in ("polars", "pandas"):
        return (
            value.to_list() if hasattr(value, "to_list") else value.to_numpy() if hasattr(value, "to_numpy") else value
        )
    if isinstance(value, Iterator):
        return _to_numpy(list(value))
    if isinstance(value, list) and any(isinstance(item, torch.Tensor) for item in value):
        return [_to_numpy(item) for item in value]
    return value


def _library(value: Any) -> str:
    """The package that a value's type comes from; tells a frame without importing its package."""
    return type(value).__module__.split(".")[0]


def from_pandas(frame: Any) -> "pl.DataFrame":
    """Column by column, so that pyarrow is not needed; the index is left out."""
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for name, column in frame.items():
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert(None)  # noqa: PLW2901
        values = column.to_numpy() if column.dtype.kind in "biufM" and not column.hasnans else _listed(column)
        if str(name) in columns:
            raise DataError(f'{SOURCE}: expected different column names, got "{name}" twice. Rename one.')
        try:
            columns[str(name)] = pl.Series(str(name), values, strict=False)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            columns[str(name)] = pl.Series(str(name), values, dtype=pl.Object)  # refused where it has a role
    return pl.DataFrame(columns)


def _listed(column: Any) -> list[Any]:
    """Values with None for whatever pandas calls missing."""
    return [None if gone else value for value, gone in zip(column.tolist(), column.isna().tolist(), strict=True)]
