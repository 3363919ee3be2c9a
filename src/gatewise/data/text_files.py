"""Texts with a label each, and plain corpora: from lines, JSON lines, tables and Python objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatewise.data.fields import label_text, parse_targets, shorten
from gatewise.data.files import suffixes
from gatewise.data.lines import map_lines, read_lines
from gatewise.data.text import TextData, TextOptions
from gatewise.data.text_table import FORMATS, TextTable, check_text, read_table, table_of
from gatewise.data.text_values import (
    ANSWERS,
    LABELS,
    PLAIN_TARGETS,
    SOURCE,
    TEXTS,
    is_path,
    listed,
    plain_text,
    refuse_names,
    refuse_targets,
    take_apart,
    target_column,
    text_column,
)
from gatewise.errors import DataError

PREFIX = "__label__"  # of fastText
MOST_LABELS = 20  # a file may have so many without two texts of each


def read_labelled(
    data: Any,
    targets: Any = None,
    options: TextOptions = TextOptions(),  # noqa: B008  frozen
    *,
    require_target: bool = True,
    classes: Sequence[str] | None = None,
) -> TextData:
    r"""Texts with a label each, for text classification.

    JSON lines (``.jsonl``, ``.json``), ``.csv``, ``.tsv`` and ``.parquet`` have named columns. Any other file is plain
    lines: ``LABEL<tab>text`` where every line has a tab, else ``LABEL text``, with or without fastText's
    ``__label__``. Without ``require_target`` a plain line is a whole text, unless ``options.target`` is ``"first"``,
    every line begins with ``__label__``, or every line begins with one of the known ``classes``.

    Args:
        data: a path; a list of texts; a list of pairs (text, label); a tuple (texts, labels); a Polars or pandas frame;
            a list of dicts.
        targets: the labels of a list of texts.
        options: which column is what.
        require_target: pass False for data to predict on: labels that are absent or incomplete are then no error.
        classes: the labels that a trained model knows.

    Returns:
        Texts without the white space around them if they were plain lines; labels as text.

    Raises:
        DataError: no such file or column, a wrong encoding, text or a label that is none, a label that is missing;
            names file and row.

    Example:
        >>> data = read_labelled(["a fine film", "dull"], [1, 0])
        >>> data.texts, data.targets
        (['a fine film', 'dull'], ['1', '0'])
    """
    if is_path(data):
        refuse_targets(targets)
        path = Path(data)
        if suffixes(path)[0] not in FORMATS:
            return _plain_lines(path, options, require_target=require_target, classes=classes)
        return _labelled_table(read_table(path), options, require_target=require_target, classes=classes)
    if (table := table_of(data)) is not None:
        refuse_targets(targets)
        return _labelled_table(table, options, require_target=require_target, classes=classes)
    refuse_names(options, SOURCE, require_target=require_target)
    texts, targets = take_apart(data, targets, lambda value: isinstance(value, str))
    for index, text in enumerate(texts):
        check_text(text, f"{SOURCE}, text {index}")
    if targets is None:
        return TextData(texts, layout="texts without labels")
    labels = TextTable({"label": targets}, None, SOURCE, "").labels("label", required=require_target)
    return TextData(texts, labels, layout="texts and their labels")


def read_corpus(
    data: Any,
    options: TextOptions = TextOptions(),  # noqa: B008  frozen
) -> TextData:
    """Text without answers, for a language model.

    Args:
        data: the path of a text file, whose successive lines are the texts, or of JSON lines, CSV, TSV or Parquet, one
            document a record; a list of documents; a Polars or pandas frame; a list of dicts.
        options: which column is the text.

    Returns:
        Texts as they stand, white space included. A text file stays on disk: its lines are decoded when asked for.

    Raises:
        DataError: no such file or column, a wrong encoding, or a value that is no text; names file and row.
    """
    if is_path(data) and suffixes(path := Path(data))[0] not in FORMATS:
        refuse_names(options, str(path), require_target=False)
        lines = map_lines(path)
        layout = f"{plain_text(path)}: one text, line after line"
        return TextData(lines, rows=range(1, len(lines) + 1), source=str(path), layout=layout, lines=True)
    table = read_table(Path(data)) if is_path(data) else table_of(data)
    if table is None:
        documents = listed(data, "documents")
        for index, text in enumerate(documents):
            check_text(text, f"{SOURCE}, text {index}")
        return TextData(documents, layout="a list of documents")
    column = text_column(table, options, TEXTS, ANSWERS)
    return TextData(
        table.texts(column),
        ids=table.names(options.id),
        groups=table.names(options.group),
        rows=table.rows,
        source=table.source,
        layout=table.layout(("documents", column), ("ids", options.id), ("groups", options.group)),
    )


def _labelled_table(
    table: TextTable, options: TextOptions, *, require_target: bool, classes: Sequence[str] | None
) -> TextData:
    column = text_column(table, options, TEXTS, LABELS)
    answer = target_column(table, column, options, LABELS, required=require_target)
    labels = None if answer is None else table.labels(answer, required=require_target)
    if answer is None and classes is not None and (other := table.only((column, options.id, options.group))):
        found = table.labels(other, required=False)
        if found is not None and set(found) <= set(classes):  # what else would it be
            answer, labels = other, found
    id, group = options.id, options.group
    return TextData(
        table.texts(column),
        labels,
        ids=table.names(id, required=require_target),
        groups=table.names(group, required=require_target),
        rows=table.rows,
        source=table.source,
        layout=table.layout(("text", column), ("label", answer), ("ids", id), ("groups", group)),
    )


def _plain_lines(path: Path, options: TextOptions, *, require_target: bool, classes: Sequence[str] | None) -> TextData:
    source = str(path)
    refuse_names(options, source, require_target=require_target)
    lines = read_lines(path)
    filled = [index for index, line in enumerate(lines) if line and not line.isspace()]
    if not filled:
        raise DataError(f"{source}: expected a text a line, got only blank lines. Check how it was written.")
    tabbed = all("\t" in lines[index] for index in filled)
    heads = [_head(lines[index], tabbed=tabbed) for index in filled]
    rows = [index + 1 for index in filled]
    if options.target in PLAIN_TARGETS:
        labelled = options.target == "first"
    else:
        prefixed = all(lines[index].startswith(PREFIX) for index in filled)
        labelled = require_target or prefixed or _are_known([label for label, _ in heads], rows, source, classes)
    if not labelled:
        layout = f"{plain_text(path)}: one text a line, without labels"
        texts = [line.strip() for line in lines]
        return TextData(texts, rows=range(1, len(lines) + 1), source=source, layout=layout)
    labels = _labels(heads, rows, source, require_target=require_target, guessed=options.target is None)
    layout = (
        f"{plain_text(path)}: one text a line, its label {'before the first tab' if tabbed else 'as the first word'}"
    )
    return TextData([text for _, text in heads], labels, rows=rows, source=source, layout=layout)


def _head(line: str, *, tabbed: bool) -> tuple[str, str]:
    r"""Label and text of a line.

    >>> _head("__label__good a film", tabbed=False), _head("very good\tso so", tabbed=True)
    (('good', 'a film'), ('very good', 'so so'))
    """
    label, *rest = line.split("\t" if tabbed else None, 1)
    return label_text(label.strip().removeprefix(PREFIX)), "".join(rest).strip()


def _are_known(labels: Sequence[str], rows: Sequence[int], source: str, classes: Sequence[str] | None) -> bool:
    """Whether the lines of a file without a word on it begin with labels; neither yes nor no is an error."""
    known = set(classes or ())
    strange = [index for index, label in enumerate(labels) if label not in known]
    if len(strange) > len(labels) / 2:
        return False
    if strange:
        raise DataError(
            f"{source}, row {rows[strange[0]]}: expected a label at the beginning of every line or of none, got "
            f'"{shorten(labels[strange[0]])}" here and labels in {len(labels) - len(strange)} of {len(labels)} lines. '
            'Say target "first" if the lines have labels, "none" if not.'
        )
    return True


def _labels(
    heads: Sequence[tuple[str, str]], rows: Sequence[int], source: str, *, require_target: bool, guessed: bool
) -> list[str] | None:
    """The labels of lines; where nobody said that there are some, nearly one a line is an error."""
    for row, (_, text) in zip(rows, heads, strict=True):
        if text.startswith(PREFIX):
            raise DataError(f"{source}, row {row}: expected one label, got several. Leave one of them in each line.")
    labels = [label for label, _ in heads]
    if guessed and require_target and len(set(labels)) > max(MOST_LABELS, len(labels) / 2):
        raise DataError(
            f"{source}: expected a label at the beginning of each line, got {len(set(labels))} different ones in "
            f'{len(labels)} lines, such as "{shorten(labels[0])}" in row {rows[0]}. Give lines LABEL text, or say '
            'target "first" if these are labels.'
        )
    return parse_targets(
        labels, "classification", lambda index: f"{source}, row {rows[index]}", required=require_target
    )
