"""Sentences whose every word has a tag: CoNLL, CoNLL-U, JSON lines, tables and Python objects."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.data.fields import shorten
from gatewise.data.files import suffixes
from gatewise.data.lines import read_lines
from gatewise.data.text import TextData, TextOptions
from gatewise.data.text_table import FORMATS, TextTable, check_text, kind_of, read_table, table_of
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
from gatewise.errors import DataError, did_you_mean

TOKENS = ("tokens", "words", "text")
TAGS = ("tags", "ner_tags", "pos_tags", "labels", "label", "target")
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
COLUMN_SUFFIXES = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".tsv")
BLANK = " \t\r"  # other white space may be a word
_CONLLU_LINE = re.compile(r"1(-\d+)?\t([^\t]*\t){8}[^\t]*")
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")  # a range of words written as one, a word that is not written


def read_tagged(
    data: Any,
    targets: Any = None,
    options: TextOptions = TextOptions(),  # noqa: B008  frozen
    *,
    require_target: bool = True,
) -> TextData:
    """Sentences of words with a tag each.

    CoNLL: a word a line, a blank line ends a sentence, columns by tabs or spaces; the word is the first column and the
    tag the last one unless ``options.text`` and ``options.target`` give numbers from 1. Lines that begin with
    ``-DOCSTART-`` are left out. CoNLL-U (``.conllu``, or ten columns by tabs): the word is ``form`` and
    ``options.target`` names a column (default ``upos``); ranges (1-2), empty nodes (1.1) and comments are left out,
    ``sent_id`` is the id. JSON lines and Parquet: ``{"tokens": [...], "tags": [...]}``.

    Without ``require_target``, a file whose name does not say CoNLL is read as CoNLL if its lines have equally many
    columns by tabs, or stand in blocks of several lines with equally many columns; else a line is a sentence, its words
    apart by spaces.

    Args:
        data: a path; a list of sentences, each a list of words; a list of pairs (words, tags); a tuple (sentences,
            tags); a Polars or pandas frame; a list of dicts.
        targets: the tags of a list of sentences.
        options: which column is what.
        require_target: pass False for data to predict on: tags that are absent are then no error.

    Returns:
        Tuples of words, and tuples of tags as text.

    Raises:
        DataError: no such file or column, a wrong encoding, a line without its column, a word that is empty or no text,
            a sentence without words, another number of tags than words; names file and row.

    Example:
        >>> data = read_tagged([["Ann", "sleeps"]], [["PER", "O"]])
        >>> data.texts, data.targets
        ([('Ann', 'sleeps')], [('PER', 'O')])
    """
    table = table_of(data)
    if is_path(data) or table is not None:
        refuse_targets(targets)
    if is_path(data):
        path = Path(data)
        if suffixes(path)[0] not in FORMATS or suffixes(path)[0] == ".tsv":
            return _read_lines(path, options, require_target=require_target)
        table = read_table(path)
    if table is not None:
        return _tagged_table(table, options, require_target=require_target)
    refuse_names(options, SOURCE, require_target=require_target)
    texts, tags = take_apart(data, targets, _is_sentence)
    sentences = _Sentences(SOURCE, [f"{SOURCE}, text {index}" for index in range(len(texts))], require_target)
    return TextData(sentences.words(texts), sentences.tags(texts, tags), layout="lists of words")


def _is_sentence(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


@dataclass(frozen=True)
class _Sentences:
    """Checks words and tags that are values; ``places`` names each sentence in an error."""

    source: str
    places: Sequence[str]
    require_target: bool

    def words(self, values: Sequence[Any]) -> list[str | tuple[str, ...]]:
        return [self._strings(value, place, "word") for value, place in zip(values, self.places, strict=True)]

    def tags(self, texts: Sequence[Any], values: Sequence[Any] | None) -> list[tuple[str, ...]] | None:
        if values is None or (not self.require_target and any(value is None for value in values)):
            return None
        found = []
        for text, value, place in zip(texts, values, self.places, strict=True):
            tags = self._strings(_as_text(value), place, "tag")
            words = len(_split(text)) if isinstance(text, str) else len(text)
            if len(tags) != words:
                raise DataError(f"{place}: expected {words} tags, one a word, got {len(tags)}. Give each word its tag.")
            found.append(tags)
        return found

    def _strings(self, value: Any, place: str, what: str) -> tuple[str, ...]:
        if isinstance(value, str):
            value = _split(value)
        if not isinstance(value, list | tuple):
            raise DataError(f"{place}: expected a list of {what}s, got {kind_of(value)}. Give a list of texts.")
        for number, item in enumerate(value):
            check_text(item, f"{place}, {what} {number}")
            if not item.strip(BLANK):
                raise DataError(f"{place}, {what} {number}: expected a {what}, got an empty text. Leave it out.")
        if not value and self.require_target:
            raise DataError(f"{place}: expected at least one {what}, got an empty list. Leave the sentence out.")
        return tuple(value)


def _split(line: str) -> list[str]:
    """The words of a line: what spaces and tabs separate, but not what other white space does."""
    return [word for word in line.replace("\t", " ").strip(BLANK).split(" ") if word]


def _as_text(tags: Any) -> Any:
    """Tags that are numbers of classes, as text."""
    return [str(tag) if isinstance(tag, int) else tag for tag in tags] if isinstance(tags, list | tuple) else tags


def _tagged_table(table: TextTable, options: TextOptions, *, require_target: bool) -> TextData:
    column = text_column(table, options, TOKENS, TAGS)
    answer = target_column(table, column, options, TAGS, required=require_target)
    places = [table.where(index, column) for index in range(len(table.columns[column]))]
    texts = table.columns[column]
    words = _Sentences(table.source, places, require_target).words(texts)
    tags = None
    if answer is not None:
        places = [table.where(index, answer) for index in range(len(texts))]
        tags = _Sentences(table.source, places, require_target).tags(texts, table.columns[answer])
    id, group = options.id, options.group
    return TextData(
        words,
        tags,
        ids=table.names(id, required=require_target),
        groups=table.names(group, required=require_target),
        rows=table.rows,
        source=table.source,
        layout=table.layout(("words", column), ("tags", answer), ("ids", id), ("groups", group)),
    )


@dataclass(frozen=True)
class _Block:
    """The lines of a sentence: where each stands and its fields; ``name`` is its ``sent_id``."""

    rows: list[int]
    fields: list[list[str]]
    name: str | None


def _read_lines(path: Path, options: TextOptions, *, require_target: bool) -> TextData:
    source = str(path)
    for role in ("id", "group"):
        if require_target and getattr(options, role) is not None:
            raise DataError(
                f'{source}: expected no column for {role}, got "{getattr(options, role)}". Lines of words have none; '
                "give JSON lines."
            )
    lines = read_lines(path)
    kind = suffixes(path)[0]
    first = next((line for line in lines if line.strip(BLANK) and not line.startswith("#")), None)
    universal = kind == ".conllu" or (first is not None and _CONLLU_LINE.fullmatch(first) is not None)
    tabbed = universal or _is_tabbed(lines)
    blocks = list(_blocks(lines, tabbed=tabbed, universal=universal))
    if not blocks:
        raise DataError(f"{source}: expected a word a line, got none. Check how it was written.")
    if not require_target and not universal and kind not in COLUMN_SUFFIXES and not _in_columns(blocks, tabbed=tabbed):
        texts: list[str | tuple[str, ...]] = [tuple(_split(line)) for line in lines]
        layout = f"{plain_text(path)}: one sentence a line, words apart by spaces, without tags"
        return TextData(texts, rows=range(1, len(lines) + 1), source=source, layout=layout)
    name = plain_text(path) if kind not in COLUMN_SUFFIXES else "CoNLL"
    columns = _columns(blocks, source, options, universal=universal, require_target=require_target)
    return _from_blocks(blocks, source, columns, "CoNLL-U" if universal else f"{name}, a word a line", require_target)


def _is_tabbed(lines: Sequence[str]) -> bool:
    """Whether tabs are what separates the columns: the first line of a word has one."""
    first = next((line for line in lines if line.strip(BLANK) and not line.startswith("-DOCSTART-")), "")
    return "\t" in first


def _blocks(lines: Sequence[str], *, tabbed: bool, universal: bool) -> Iterator[_Block]:
    block = _Block([], [], None)
    name = None
    for row, line in enumerate([*lines, ""], 1):
        if not line.strip(BLANK):
            if block.rows:
                yield block
            block, name = _Block([], [], None), None
        elif universal and line.startswith("#"):
            key, equals, value = line[1:].partition("=")
            if equals and key.strip() == "sent_id":
                name = value.strip()
                block = _Block(block.rows, block.fields, name)
        elif not line.startswith("-DOCSTART-"):
            fields = line.split("\t") if tabbed else _split(line)
            if not (universal and _NOT_A_WORD.fullmatch(fields[0])):
                block.rows.append(row)
                block.fields.append(fields)


def _in_columns(blocks: Sequence[_Block], *, tabbed: bool) -> bool:
    """Whether lines that may be whole sentences are rather a word each: see `read_tagged`."""
    widths = {len(fields) for block in blocks for fields in block.fields}
    several = len(blocks) > 1 and any(len(block.rows) > 1 for block in blocks)
    return len(widths) == 1 and (tabbed or several)


@dataclass(frozen=True)
class _Columns:
    """Places from 0 of the word and the tag among ``width`` columns; what the tag's column is called."""

    width: int
    word: int
    tag: int | None
    name: str


def _columns(
    blocks: Sequence[_Block], source: str, options: TextOptions, *, universal: bool, require_target: bool
) -> _Columns:
    width = len(CONLLU) if universal else len(blocks[0].fields[0])
    names = CONLLU if universal else ()
    word = _place(options.text or ("form" if universal else "1"), names, width, source)
    if universal:
        asked = options.target or "upos"
    elif options.target is None and width == 1:
        if require_target:
            raise DataError(
                f"{source}, row {blocks[0].rows[0]}: expected a word and its tag, got one column. "
                "Add a tab and the tag to each line."
            )
        return _Columns(width, word, None, "")
    else:
        asked = options.target or str(width)
    if not require_target and not universal and not (asked.isdigit() and 1 <= int(asked) <= width):
        return _Columns(width, word, None, "")  # to predict, the column of training may be absent
    tag = _place(asked, names, width, source)
    return _Columns(width, word, tag, CONLLU[tag] if universal else asked)


def _place(asked: str, names: Sequence[str], width: int, source: str) -> int:
    """The place from 0 of a column that is given by name or by number from 1."""
    if asked.lower() in names:
        return names.index(asked.lower())
    if asked.isdigit() and 1 <= int(asked) <= width:
        return int(asked) - 1
    advice = did_you_mean(asked, names) if names else "Columns are given by number, from 1."
    raise DataError(f'{source}: expected one of {width} columns, got "{asked}". {advice}')


def _from_blocks(blocks: Sequence[_Block], source: str, columns: _Columns, form: str, require_target: bool) -> TextData:
    for block in blocks:
        for row, fields in zip(block.rows, block.fields, strict=True):
            _check_fields(fields, columns, f"{source}, row {row}")
    tags: list[tuple[str, ...]] | None = None
    if columns.tag is not None:
        tags = [tuple(fields[columns.tag] for fields in block.fields) for block in blocks]
        if columns.name in CONLLU and all(tag == "_" for sentence in tags for tag in sentence):
            if require_target:
                raise DataError(
                    f'{source}: expected tags in column {columns.name}, got "_" throughout. Name another column.'
                )
            tags = None
    ids = [block.name for block in blocks if block.name is not None]
    layout = f"{form}: words from column {columns.word + 1} of {columns.width}"
    return TextData(
        [tuple(fields[columns.word] for fields in block.fields) for block in blocks],
        tags,
        ids=ids if len(ids) == len(blocks) else None,
        rows=[block.rows[0] for block in blocks],
        source=source,
        layout=layout + (", without tags" if tags is None else f", tags from column {columns.name}"),
    )


def _check_fields(fields: Sequence[str], columns: _Columns, where: str) -> None:
    if len(fields) != columns.width:
        raise DataError(
            f'{where}: expected {columns.width} columns, got {len(fields)} in "{shorten(" ".join(fields))}". '
            "Give each line a word and all its columns, and separate sentences by a blank line."
        )
    for place, what in ((columns.word, "word"), (columns.tag, "tag")):
        if place is not None and not fields[place].strip(BLANK):
            raise DataError(f"{where}: expected a {what} in column {place + 1}, got nothing. Fill it in.")
