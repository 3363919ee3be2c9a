"""Which files there are, and what belongs to each: a folder with one folder a class, a manifest, or just files."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gatewise.data.fields import is_missing, shorten
from gatewise.data.files import suffixes
from gatewise.data.media import MediaOptions
from gatewise.data.text_table import TextTable, read_table
from gatewise.errors import DataError

MANIFESTS = (".csv", ".tsv", ".jsonl")
METADATA = "metadata"  # the name of the manifest in a folder
FILES = ("file_name", "file", "path")
TEXTS = ("text", "transcription", "transcript", "sentence")
LABELS = ("label", "class")


@dataclass(frozen=True)
class MediaFiles:
    """Files with what is known of each, one entry a file; as in :class:`MediaData` where the names are the same.

    Attributes:
        paths: where each is.
        ids: their names, relative to the folder, unless a column names them.
    """

    paths: Sequence[Path]
    ids: Sequence[str]
    source: str
    layout: str
    targets: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    rows: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, index: int) -> str:
        """How an error names file ``index``: the row that names it and its path, or the path alone."""
        path = self.paths[index]
        return str(path) if self.rows is None else f"{self.source}, row {self.rows[index]}: {path}"

    def keep(self, indices: Sequence[int]) -> "MediaFiles":
        """Those at these positions."""

        def pick(values: Sequence[Any] | None) -> Any:
            return None if values is None else [values[i] for i in indices]

        return replace(
            self,
            paths=pick(self.paths),
            ids=pick(self.ids),
            targets=pick(self.targets),
            groups=pick(self.groups),
            rows=pick(self.rows),
        )


def find_media(
    path: Path, options: MediaOptions, kinds: Sequence[str], noun: str, *, texts: bool, require_target: bool
) -> MediaFiles:
    """The files below a folder or in a manifest, with their targets; none of them is opened.

    A folder is read by its manifest, ``metadata.csv``, ``.tsv`` or ``.jsonl``, where there is one; else each folder in
    it is a class, and all files below that, however deep, are examples of it.

    Args:
        path: a folder, a manifest, or a single file.
        options: which column plays which role.
        kinds: suffixes of files to take, in lower case; others, and those that are hidden, are left alone.
        noun: what the files are called, in the plural.
        texts: whether targets are transcripts rather than labels.
        require_target: whether files without targets are an error.

    Returns:
        The files, in the order of the manifest or of their names.

    Raises:
        DataError: nothing there, no files of these kinds, no targets, a manifest that cannot be read, that lacks a
            column or a value, or that names a file twice.
    """
    if not path.exists():
        raise DataError(f"{path}: expected a folder or a file, got nothing of that name. Check the path.")
    if path.is_dir():
        manifests = [path / f"{METADATA}{suffix}" for suffix in MANIFESTS if (path / f"{METADATA}{suffix}").is_file()]
        if len(manifests) > 1:
            names = " and ".join(manifest.name for manifest in manifests)
            raise DataError(f"{path}: expected one manifest, got {names}. Name the one that is meant as the data.")
        if not manifests:
            return _of_folder(path, options, kinds, noun, texts=texts, require_target=require_target)
        path = manifests[0]
    elif suffixes(path)[0] not in MANIFESTS:
        return _single(path, noun, require_target=require_target)
    return of_table(read_table(path), path.parent, options, texts=texts, require_target=require_target)


def of_table(table: TextTable, folder: Path, options: MediaOptions, *, texts: bool, require_target: bool) -> MediaFiles:
    """The files that a table names, relative to a folder; see :func:`find_media`."""
    column = options.file or table.known(FILES, (options.target, options.id, options.group))
    if column is None:
        raise table.missing("file's name", FILES)
    names = _named(table, column)
    _refuse_twice(table, column, names)
    wanted = TEXTS if texts else LABELS
    target = options.target or table.known(wanted, (column, options.id, options.group))
    if target is not None and target not in table.columns and not require_target:
        target = None
    if target is None and require_target:
        raise table.missing("transcript" if texts else "label", wanted)
    if target is None:
        targets = None
    elif texts:
        table.check(target)
        targets = _transcripts(table, target, required=require_target)
    else:
        table.check(target)
        targets = table.labels(target, required=require_target)
    if targets is None and require_target:
        raise DataError(f"{table.source}, column {target}: expected targets, got only missing ones. Fill them in.")
    given = table.names(options.id, required=require_target)
    return MediaFiles(
        [folder / name for name in names],
        [Path(name).as_posix() for name in names] if given is None else given,
        table.source,
        table.layout(("files", column), ("targets", target), ("groups", options.group)),
        targets,
        table.names(options.group, required=require_target),
        table.rows,
    )


def _named(table: TextTable, column: str) -> list[str]:
    table.check(column)
    for index, value in enumerate(table.columns[column]):
        if not isinstance(value, str) or not value.strip():
            raise DataError(
                f"{table.where(index, column)}: expected the name of a file, got "
                f"{'none' if value in (None, '') else value!r}. Fill it in or leave the row out."
            )
    return [value.strip() for value in table.columns[column]]


def _refuse_twice(table: TextTable, column: str, names: Sequence[str]) -> None:
    """A file that is both learnt from and chosen on would be known by heart."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        earlier = first.setdefault(os.path.normpath(name), index)
        if earlier != index:
            before = f"row {table.rows[earlier]}" if table.rows is not None else f"number {earlier}"
            raise DataError(
                f"{table.where(index, column)}: expected each file once, got {shorten(name)} as in {before}. "
                "Take one of the two out."
            )


def _transcripts(table: TextTable, column: str, *, required: bool) -> list[str] | None:
    values = table.columns[column]
    if not required and any(value is None or is_missing(str(value)) for value in values):
        return None
    texts = table.texts(column)
    for index, text in enumerate(texts):
        if not text.strip():
            raise DataError(
                f"{table.where(index, column)}: expected a transcript, got none. Fill it in or leave the row out."
            )
    return texts


def _single(path: Path, noun: str, *, require_target: bool) -> MediaFiles:
    if require_target:
        raise DataError(
            f"{path}: expected {noun} with targets, got a single file. Name a folder with one folder a class, or a "
            f"manifest ({', '.join(MANIFESTS)}) with the columns {FILES[0]} and {LABELS[0]} or {TEXTS[0]}."
        )
    return MediaFiles([path], [path.name], str(path), "a single file")


def _of_folder(
    folder: Path, options: MediaOptions, kinds: Sequence[str], noun: str, *, texts: bool, require_target: bool
) -> MediaFiles:
    found, others = _below(folder, kinds)
    left = f"; not read: {_counted(others)}" if others else ""
    if not found:
        got = f"only {_counted(others)}" if others else "none"
        raise DataError(f"{folder}: expected {noun} ({', '.join(kinds)}), got {got}. Check the folder.")
    for role in ("file", "target", "id", "group"):
        if (name := getattr(options, role)) is not None and require_target:
            raise DataError(
                f'{folder}: expected no column for {role}, got "{name}". Without {METADATA}.csv a folder has no '
                "columns; write one, or leave it out."
            )
    names = [path.relative_to(folder) for path in found]
    beside = [name for name in names if len(name.parts) == 1]
    labelled = not beside and not texts
    if not labelled and require_target:
        if texts:
            got = f"a folder without {METADATA}.csv"
            advice = f"Write one with the columns {FILES[0]} and {TEXTS[0]}."
        else:
            got = f"{shorten(str(beside[0]))} beside them" if len(beside) < len(names) else f"{noun} without labels"
            advice = f"Sort them into such folders, or write {METADATA}.csv with {FILES[0]} and {LABELS[0]}."
        expected = "a manifest with transcripts" if texts else "one folder a class"
        raise DataError(f"{folder}: expected {expected}, got {got}. {advice}")
    return MediaFiles(
        found,
        [name.as_posix() for name in names],
        str(folder),
        f"{'one folder a class' if labelled else f'a folder of {noun}'}{left}",
        [name.parts[0] for name in names] if labelled else None,
    )


def _below(folder: Path, kinds: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """Files of these kinds, by name, and how many others there are of each suffix; hidden ones are none of both."""
    found, others = [], Counter[str]()
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            suffix = Path(name).suffix.lower()
            if suffix in kinds:
                found.append(Path(here) / name)
            else:
                others[suffix or name] += 1
    return sorted(found), others


def _counted(others: Counter[str]) -> str:
    """How many files of each suffix, the most frequent first."""
    return ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common(4))
