"""What the readers of text share: which column is what, and texts that are Python values."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from gatewise.data.files import suffixes
from gatewise.data.text import TextOptions
from gatewise.data.text_table import TextTable, kind_of
from gatewise.errors import DataError

SOURCE = "memory"
TEXTS = ("text", "sentence", "body", "source")
LABELS = ("label", "target", "class")
ANSWERS = (*LABELS, "tags", "subject", "summary")
PLAIN_TARGETS = ("first", "none")


def text_column(table: TextTable, options: TextOptions, texts: Sequence[str], answers: Sequence[str]) -> str:
    """The column of the text: the one named, else the first known name, else the only column of text."""
    if options.text is not None:
        table.check(options.text)
        if options.text == options.target:
            raise DataError(
                f'{table.source}: expected one role for the column "{options.text}", got two. Name another column.'
            )
        return options.text
    taken = (options.target, options.id, options.group)
    if found := table.known(texts, taken):
        return found
    found = table.only((*taken, table.known(answers)), textual=True)
    if found and (len(table.columns) > 1 or len(found.split()) == 1):  # else it may be a text, and no header at all
        return found
    raise table.missing("text", texts)


def target_column(
    table: TextTable, text: str, options: TextOptions, answers: Sequence[str], *, required: bool
) -> str | None:
    """The column of the answer: the one named, else the first known name, else the only other column.

    Where it is not required, it is never the only other column: that may be anything.
    """
    if options.target is not None:
        if not required and options.target not in table.columns:
            return None
        table.check(options.target)
        return options.target
    taken = (text, options.id, options.group)
    found = table.known(answers, taken) or (table.only(taken) if required else None)
    if found is None and required:
        raise table.missing("target", answers)
    return found


def is_path(data: Any) -> bool:
    """Whether data is given by the name of its file."""
    return isinstance(data, str | Path)


def refuse_targets(targets: Any) -> None:
    """Raises DataError for targets beside a file or a frame."""
    if targets is not None:
        raise DataError(
            f"{SOURCE}: expected no separate targets with data that has columns or lines of its own, got some. "
            "Name the target column in the options."
        )


def refuse_names(options: TextOptions, source: str, *, require_target: bool) -> None:
    """Raises DataError for columns that are named where there are none; to predict, they may be those of training."""
    for role in ("text", "target", "id", "group"):
        if require_target and (name := getattr(options, role)) is not None and name not in PLAIN_TARGETS:
            raise DataError(
                f'{source}: expected no column for {role}, got "{name}". Plain texts have no columns; leave it out, or '
                "give JSON lines or a table."
            )


def take_apart(data: Any, targets: Any, is_text: Callable[[Any], bool]) -> tuple[list[Any], list[Any] | None]:
    """Texts and targets of lists, of a tuple of both, or of a list of pairs; equally many, at least one.

    Args:
        data: as the user gave it.
        targets: the same; None if ``data`` holds them or there are none.
        is_text: tells a text from a pair and from several texts.

    Returns:
        Texts, and targets or None; neither looked at.

    Raises:
        DataError: nothing that holds several values, no text at all, or another number of targets.
    """

    def is_pair(item: Any) -> bool:
        return isinstance(item, tuple) and len(item) == 2 and is_text(item[0])

    if targets is None and isinstance(data, tuple) and len(data) == 2 and not is_text(data[0]) and not is_pair(data[0]):
        data, targets = data
    texts = listed(data, "texts")
    if targets is None:
        if all(map(is_pair, texts)):
            return [text for text, _ in texts], [target for _, target in texts]
        return texts, None
    answers = listed(targets, "targets")
    if len(answers) != len(texts):
        raise DataError(f"{SOURCE}: expected {len(texts)} targets, one a text, got {len(answers)}. Give one each.")
    return texts, answers


def listed(values: Any, what: str) -> list[Any]:
    """A list of whatever holds several values in an order; DataError for what does not, or holds none."""
    for method in ("to_list", "tolist"):  # series, arrays and tensors
        if hasattr(values, method):
            values = getattr(values, method)()
            break
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise DataError(
            f"{SOURCE}: expected a path, a list of {what} or a data frame, got {kind_of(values)}. "
            "Turn it into one of these."
        )
    found = list(values)
    if not found:
        raise DataError(f"{SOURCE}: expected at least one of the {what}, got none. Check where they come from.")
    return found


def plain_text(path: Path) -> str:
    """What a file without columns is called in a layout; says so where its name says something else."""
    kind = suffixes(path)[0]
    return "plain text" if kind in ("", ".txt") else f'plain text ("{kind}" is no format of its own)'
