"""Files of pictures and films: found, told apart by what is known of them, and looked at one by one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gatewise.data.fields import label_text
from gatewise.data.files import check_file, suffixes
from gatewise.data.media import MediaOptions
from gatewise.data.recordings import MANIFESTS, METADATA, TEXTS, MediaFiles, find_media, of_table
from gatewise.data.text_table import TextTable, read_table, table_of
from gatewise.errors import DataError

T = TypeVar("T")


def find_pictures(
    data: Any,
    targets: Any,
    options: MediaOptions,
    kinds: Sequence[str],
    noun: str,
    *,
    texts: bool = False,
    require_target: bool = True,
) -> tuple[MediaFiles, bool]:
    """Every file of a kind, and whether what is known of each is a transcript.

    Args:
        data: what `find_media` takes (a folder, a manifest, a file), a table in Python, or a list of paths.
        targets: one a path, for a list of paths.
        options: which columns; a manifest with a column "text" holds transcripts, unless another target is named.
        kinds: endings of the names of files to take.
        noun: what such files are called, in the plural.
        texts: targets must be transcripts.
        require_target: whether files without targets are an error.

    Returns:
        The files, none of them opened, and whether targets are transcripts.

    Raises:
        DataError: what `find_media` raises, or targets that do not fit.
    """
    table = None if isinstance(data, str | Path) else table_of(data)
    folder = Path()
    if isinstance(data, str | Path):
        path = Path(data)
        manifest = _manifest(path)
        if manifest is None:
            _check_kind(path, kinds, noun)
            found = find_media(path, options, kinds, noun, texts=texts, require_target=require_target)
            return found, texts
        table, folder = read_table(manifest), manifest.parent
    if table is None:
        return _of_list(data, targets, noun, options, texts=texts)
    if targets is not None:
        raise DataError("memory: expected no separate targets with a table, got some. Name the column of the target.")
    texts = texts or _are_texts(table, options)
    return of_table(table, folder, options, texts=texts, require_target=require_target), texts


def _manifest(path: Path) -> Path | None:
    """The manifest in a folder, where there is exactly one, or the path if it is one."""
    if path.is_dir():
        found = [path / f"{METADATA}{ending}" for ending in MANIFESTS if (path / f"{METADATA}{ending}").is_file()]
        return found[0] if len(found) == 1 else None
    return path if path.is_file() and suffixes(path)[0] in MANIFESTS else None


def _check_kind(path: Path, kinds: Sequence[str], noun: str) -> None:
    if path.is_file() and suffixes(path)[0] not in kinds:
        raise DataError(
            f"{path}: expected {noun} ({', '.join(kinds)}), a folder of them or a manifest ({', '.join(MANIFESTS)}), "
            f'got "{path.suffix or path.name}". Convert it.'
        )


def _are_texts(table: TextTable, options: MediaOptions) -> bool:
    if options.target is not None and options.target in table.columns:
        return options.target.lower() in TEXTS
    return table.known(TEXTS, (options.file, options.id, options.group)) is not None


def _of_list(data: Any, targets: Any, noun: str, options: MediaOptions, *, texts: bool) -> tuple[MediaFiles, bool]:
    try:
        paths = [Path(item) for item in data]
    except TypeError as error:
        raise DataError(
            f"memory: expected paths of {noun}, a table of them or arrays, got {type(data).__name__}. Give a list."
        ) from error
    if not paths:
        raise DataError(f"memory: expected paths of {noun}, got none. Give at least one.")
    texts = texts or (options.target or "").lower() in TEXTS
    answers = targets_in_python(targets, len(paths), texts=texts)
    return MediaFiles(paths, [path.name for path in paths], "memory", "a list of paths", answers), texts


def targets_in_python(targets: Any, count: int, *, texts: bool) -> list[str] | None:
    """One text a target, a label or a transcript; raises DataError for another number of them."""
    if targets is None:
        return None
    values = targets.tolist() if hasattr(targets, "tolist") else list(targets)
    if len(values) != count:
        raise DataError(f"memory: expected {count} targets, one an item, got {len(values)}. Give each its own.")
    return [str(value) if texts else label_text(str(value)) for value in values]


def probed(
    files: MediaFiles, probe: Callable[[Path], T], *, skip_bad: bool
) -> tuple[list[T], MediaFiles, tuple[str, ...]]:
    """What ``probe`` finds of each file.

    Args:
        files: to look at.
        probe: of a path; raises DataError, which names the file, for one that is of no use.
        skip_bad: leave such files out.

    Returns:
        One finding a file, the files that are left, and a sentence for each that was left out.

    Raises:
        DataError: a file that is missing or cannot be read, unless it may be skipped; or none is left.
    """
    found, kept, skipped = [], [], []
    for place, path in enumerate(files.paths):
        try:
            check_file(path)
            found.append(probe(path))
        except DataError as error:
            told = str(error) if files.rows is None else f"{files.source}, row {files.rows[place]}: {error}"
            if not skip_bad:
                raise DataError(told) from error
            skipped.append(told)
            continue
        kept.append(place)
    if not kept:
        raise DataError(f"{files.source}: expected files that can be read, got none of {len(skipped)}. {skipped[0]}")
    return found, files.keep(kept), tuple(skipped)


def missing_library(name: str, extra: str, what: str) -> DataError:
    """The error of an optional library that is not installed."""
    return DataError(f'{what}: expected the library {name}, got none. Run: pip install "gatewise[{extra}]".')
