"""`read`: any file of numeric sequences to `SequenceData`."""

from pathlib import Path

from gatewise.data.dataset import ReadOptions, SequenceData
from gatewise.data.fields import check_task, counts_up, is_missing, is_number
from gatewise.data.files import decode, load_bytes, suffixes
from gatewise.data.npz import read_npz
from gatewise.data.table import read_csv, read_parquet
from gatewise.data.ts import read_ts
from gatewise.data.ucr import read_ucr, separator_of
from gatewise.errors import DataError

FORMATS = (".ts", ".tsv", ".txt", ".csv", ".parquet", ".npz")


def read(
    path: str | Path,
    options: ReadOptions = ReadOptions(),  # noqa: B008  frozen
    *,
    require_target: bool = True,
) -> SequenceData:
    r"""Reads sequences from a file; the format is told from its name, ``.gz``, ``.xz`` and ``.bz2`` are unpacked.

    ``.ts`` (UEA and UCR archives), ``.tsv`` and ``.txt`` (UCR: label first; a table if there is a header line or
    the options name columns), ``.csv`` and ``.parquet`` (tables in long or wide form), ``.npz`` (arrays ``x``, ``y``,
    ``lengths``, ``ids``, ``groups``).

    Args:
        path: the file.
        options: which column of a table plays which role, and what targets are read as.
        require_target: pass False for data to predict on: a target column that is absent, or a target that is missing
            in some rows, is then no error and the data has no targets. No target at all is never an error here.

    Returns:
        Sequences with whatever targets and names the file holds.

    Raises:
        DataError: the file is missing, empty, damaged, of a format not read, or holds something else than it should;
            names file, row (line number from 1) and column.
        OptionError: a task that is not offered.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "two.csv"
        ...     _ = file.write_text("id,speed,turn,kind\na,1,0,walk\na,2,,walk\nb,9,1,run\n")
        ...     data = read(file, ReadOptions(id="id", target=("kind",)))
        >>> data.lengths.tolist(), data.targets, data.channels
        ([2, 1], ['walk', 'run'], ('speed', 'turn'))
    """
    path = Path(path)
    source = str(path)
    check_task(options.task)
    kind, _ = suffixes(path)
    if path.is_file() and kind not in FORMATS:
        raise DataError(
            f"{source}: expected a file that ends in {', '.join(FORMATS)} (or these with .gz, .xz, .bz2), "
            f'got "{kind or path.name}". Rename or convert it.'
        )
    content = load_bytes(path)
    if kind == ".npz":
        return read_npz(content, source, options, require_target=require_target)
    if kind == ".parquet":
        return read_parquet(content, source, options, require_target=require_target)
    text = decode(content, source)
    if kind == ".ts":
        return read_ts(text, source, options, require_target=require_target)
    if kind == ".csv" or _is_table(text, options):
        return read_csv(content, text, source, options, require_target=require_target)
    return read_ucr(text, source, options, require_target=require_target)


def _is_table(text: str, options: ReadOptions) -> bool:
    """Whether a ``.tsv`` or ``.txt`` begins with column names: UCR has a label and then numbers only."""
    if any((options.id, options.time, options.features, options.target, options.group)):
        return True
    first = text.lstrip().split("\n", 1)[0].rstrip("\r")
    label, *values = first.split(separator_of(first)) or [""]
    if len(values) > 1 and counts_up(values) and not is_number(label):
        return True
    return not all(is_number(value) or is_missing(value) for value in values)
