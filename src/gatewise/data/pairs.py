"""Texts and the texts that should come out of them: translation, summaries, headlines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatewise.data.files import suffixes
from gatewise.data.lines import read_lines
from gatewise.data.text import TextData, TextOptions
from gatewise.data.text_table import FORMATS, TextTable, check_text, read_table, table_of
from gatewise.data.text_values import (
    SOURCE,
    is_path,
    plain_text,
    refuse_names,
    refuse_targets,
    take_apart,
    target_column,
    text_column,
)
from gatewise.errors import DataError

NAMES = (("source", "target"), ("text", "summary"), ("body", "subject"), ("document", "summary"))
SOURCES = ("source", "text", "body", "document", "sentence")
ANSWERS = ("target", "summary", "subject")


def read_pairs(
    data: Any,
    targets: Any = None,
    options: TextOptions = TextOptions(),  # noqa: B008  frozen
    *,
    require_target: bool = True,
) -> TextData:
    """Sources and targets, text to text.

    Two files whose lines belong together: a path with a comma ("train.en,train.de"; a file of that whole name comes
    first), a tuple of two paths, or a path as ``data`` and one as ``targets``. One file: JSON lines, CSV or Parquet
    with named columns; TSV with names, or without and then source, target; plain lines with a tab between the two.
    Without ``require_target``, plain lines without tabs are sources.

    A pair of which one side is blank is left out, and ``layout`` says how many were; without ``require_target`` it
    stays.

    Args:
        data: as above; a list of sources; a list of pairs; a tuple (sources, targets); a Polars or pandas frame; a list
            of dicts.
        targets: the targets of a list of sources, or the path of their file.
        options: which column is what; numbers from 1 for a TSV without names.
        require_target: pass False for data to predict on: absent targets are then no error.

    Returns:
        Sources as texts, targets as they should come out.

    Raises:
        DataError: no such file or column, a wrong encoding, a value that is no text, files of different lengths, no
            pair at all; names file and row.

    Example:
        >>> data = read_pairs(["ein Hund"], ["a dog"])
        >>> data.texts, data.targets
        (['ein Hund'], ['a dog'])
    """
    if (paths := _two_paths(data, targets)) is not None:
        refuse_names(options, f"{paths[0]}, {paths[1]}", require_target=require_target)
        pairs = _two_files(*paths)
    elif is_path(data):
        refuse_targets(targets)
        pairs = _one_file(Path(data), options, require_target=require_target)
    elif (table := table_of(data)) is not None:
        refuse_targets(targets)
        pairs = _from_table(table, options, require_target=require_target)
    else:
        pairs = _from_python(data, targets, options, require_target=require_target)
    if require_target and pairs.targets is None:
        raise DataError(f"{pairs.source}: expected a target for each text, got none. Give the targets, too.")
    return _without_blanks(pairs) if require_target else pairs


def _two_paths(data: Any, targets: Any) -> tuple[Path, Path] | None:
    """The two files that data is given by, if it is."""
    if isinstance(data, tuple) and len(data) == 2 and all(map(is_path, data)) and targets is None:
        return Path(data[0]), Path(data[1])
    if is_path(data) and is_path(targets):
        return Path(data), Path(targets)
    if not isinstance(data, str) or "," not in data or Path(data).exists():
        return None
    pieces = data.split(",")
    cuts = [(Path(",".join(pieces[:at])), Path(",".join(pieces[at:]))) for at in range(1, len(pieces))]
    both = [cut for cut in cuts if cut[0].exists() and cut[1].exists()]
    return (both or cuts)[0]


def _two_files(first: Path, second: Path) -> TextData:
    source = f"{first}, {second}"
    sides = [[line.strip() for line in read_lines(path)] for path in (first, second)]
    sizes = [len(side) for side in sides]
    if sizes[0] != sizes[1]:
        longer = first if sizes[0] > sizes[1] else second
        raise DataError(
            f"{source}: expected as many lines in both, got {sizes[0]} and {sizes[1]}. "
            f"Row {min(sizes) + 1} of {longer} is the first that has no partner."
        )
    layout = f"two files of plain text, line by line: {first.name} to {second.name}"
    return TextData(sides[0], sides[1], rows=range(1, sizes[0] + 1), source=source, layout=layout)


def _one_file(path: Path, options: TextOptions, *, require_target: bool) -> TextData:
    kind = suffixes(path)[0]
    if kind in FORMATS and kind != ".tsv":
        return _from_table(read_table(path), options, require_target=require_target)
    lines = read_lines(path)
    if kind == ".tsv" and _has_names(lines, options, require_target=require_target):
        return _from_table(read_table(path), options, require_target=require_target)
    source = str(path)
    form = "TSV without names" if kind == ".tsv" else plain_text(path)
    numbered = replace(options, text=_number(options.text), target=_number(options.target))
    refuse_names(numbered, source, require_target=require_target)
    rows = [row for row, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataError(f"{source}: expected a text a line, got only blank lines. Check how it was written.")
    widths = [lines[row - 1].count("\t") + 1 for row in rows]
    if not require_target and (max(widths) == 1 or (kind != ".tsv" and len(set(widths)) > 1)):
        texts = [line.strip() for line in lines]
        return TextData(texts, rows=range(1, len(lines) + 1), source=source, layout=f"{form}: one source a line")
    if require_target and max(widths) == 1:
        raise DataError(
            f"{source}, row {rows[0]}: expected a source and a target with a tab between them, got no tab. "
            'Name two files, "SOURCES,TARGETS", or write both in each line.'
        )
    for row, width in zip(rows, widths, strict=True):
        if width != widths[0]:
            raise DataError(
                f"{source}, row {row}: expected {widths[0]} fields as in row {rows[0]}, got {width}. "
                "Let no text contain a tab."
            )
    places = _places(options, widths[0], source, require_target=require_target)
    return _from_fields([line.split("\t") for line in lines], widths[0], places, source, form)


def _has_names(lines: Sequence[str], options: TextOptions, *, require_target: bool) -> bool:
    """Whether a TSV begins with the names of its columns: known ones, or those of the options."""
    header = [name.strip() for name in lines[0].split("\t")] if lines else []
    lower = [name.lower() for name in header]
    asked = [name for name in (options.text, options.target, options.id, options.group) if name is not None]
    if any(name in header or (require_target and not name.isdigit()) for name in asked):
        return True
    return any(source in lower and (target in lower or not require_target) for source, target in NAMES)


def _number(column: str | None) -> str | None:
    """None for the number of a column, so that only names are refused where there are none."""
    return None if column is not None and column.isdigit() else column


def _places(options: TextOptions, width: int, source: str, *, require_target: bool) -> tuple[int, int | None]:
    """Where source and target stand in each line, from 0."""
    asked = [column if _number(column) is None else None for column in (options.text, options.target)]
    if width > 2 and asked[1] is None and require_target:
        raise DataError(
            f"{source}: expected a source and a target in each line, got {width} fields. "
            "Say which they are, by number from 1."
        )
    places = [int(column or default) - 1 for column, default in zip(asked, (1, 2), strict=True)]
    for place in places:
        if not 0 <= place < width:
            raise DataError(f"{source}: expected a column from 1 to {width}, got {place + 1}. Give another number.")
    if places[0] == places[1]:
        raise DataError(f"{source}: expected two columns, got {places[0] + 1} twice. Give another number.")
    return places[0], places[1] if width == 2 or asked[1] is not None else None


def _from_fields(
    fields: Sequence[Sequence[str]], width: int, places: tuple[int, int | None], source: str, form: str
) -> TextData:
    """Pairs from lines that were cut at their tabs; a blank line is a pair of empty texts."""
    text, target = places
    filled = [line if len(line) == width else [""] * width for line in fields]
    layout = f"{form}: source from column {text + 1} of {width}"
    return TextData(
        [line[text].strip() for line in filled],
        None if target is None else [line[target].strip() for line in filled],
        rows=range(1, len(fields) + 1),
        source=source,
        layout=layout + ("" if target is None else f", target from column {target + 1}"),
    )


def _from_table(table: TextTable, options: TextOptions, *, require_target: bool) -> TextData:
    if options.text is None and options.target is None:
        for names in NAMES:
            text, target = (table.known((name,), (options.id, options.group)) for name in names)
            if text is not None and target is not None:  # which of the names is meant shows in its partner
                options = replace(options, text=text, target=target)
                break
    column = text_column(table, options, SOURCES, ANSWERS)
    answer = target_column(table, column, options, ANSWERS, required=require_target)
    if answer is not None and not require_target and None in table.columns[answer]:
        answer = None
    id, group = options.id, options.group
    return TextData(
        table.texts(column),
        None if answer is None else table.texts(answer),
        ids=table.names(id, required=require_target),
        groups=table.names(group, required=require_target),
        rows=table.rows,
        source=table.source,
        layout=table.layout(("source", column), ("target", answer), ("ids", id), ("groups", group)),
    )


def _from_python(data: Any, targets: Any, options: TextOptions, *, require_target: bool) -> TextData:
    refuse_names(options, SOURCE, require_target=require_target)
    sources, answers = take_apart(data, targets, lambda value: isinstance(value, str))
    for what, texts in (("text", sources), ("target", answers or [])):
        for index, text in enumerate(texts):
            check_text(text, f"{SOURCE}, {what} {index}")
    return TextData(sources, answers, layout="sources and their targets" if answers else "sources without targets")


def _without_blanks(pairs: TextData) -> TextData:
    """Only pairs that can be learnt from: neither side is blank."""
    sides = zip(pairs.texts, pairs.targets or (), strict=True)
    blank = [index for index, (text, target) in enumerate(sides) if not str(text).strip() or not target.strip()]
    if not blank:
        return pairs
    if len(blank) == len(pairs):
        raise DataError(
            f"{pairs.source}: expected a pair of texts, got only such of which one side is blank. Check the columns."
        )
    left_out = set(blank)
    kept = pairs.subset([index for index in range(len(pairs)) if index not in left_out])
    count = f"{len(blank):,} pairs left out" if len(blank) > 1 else "1 pair left out"
    first = pairs.where(blank[0]).removeprefix(f"{pairs.source}, ")
    return replace(kept, layout=f"{pairs.layout}; {count} because a side is blank, the first in {first}")
