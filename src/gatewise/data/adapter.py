"""`Adapter`: everything fitted on the training data, whatever the data; a run keeps it as ``adapter.json``."""

import json
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from gatewise.data.fields import shorten
from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.targets import Labels
from gatewise.data.text_adapters import CorpusAdapter, PairAdapter, TaggingAdapter, TextAdapter
from gatewise.errors import DataError
from gatewise.types import Example, Results

FORMAT = 1
KINDS: dict[str, type[Any]] = {
    "sequences": SequenceAdapter,
    "text": TextAdapter,
    "tagging": TaggingAdapter,
    "corpus": CorpusAdapter,
    "pairs": PairAdapter,
    "media": MediaAdapter,
    "series": SeriesAdapter,
}


class Adapter(Protocol):
    """The fitted side of data: a frozen dataclass that encodes what a reader read.

    ``from_plain(content)``, a class method, gives back what ``to_plain`` gave.
    """

    def encode(self, data: Any) -> Sequence[Example]:
        """Every sequence or text as numbers, with its target where there is one, in the order of the data."""
        ...

    def summary(self, data: Any) -> str:
        """The data in a line: sizes, lengths, what there is to answer."""
        ...

    def notes(self, data: Any) -> list[str]:
        """What a user should know of these data, a sentence each: texts that are cut, words that are unknown."""
        ...

    def columns(self, data: Any, results: Results) -> dict[str, list[Any]]:
        """Predictions as the columns of a table."""
        ...

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """What rows of weights stand for, by a part of the weights' names: ``{".head.": classes}``."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """An adapter whose targets may be class labels: ``labels`` is None where they are not."""

    @property
    def labels(self) -> Labels | None:
        """Numbers the classes."""
        ...

    def with_labels(self, labels: Labels) -> Adapter:
        """The same with other labels, such as those with another threshold."""
        ...


def labels_of(adapter: Adapter) -> Labels | None:
    """The classes that answers are chosen from; None where answers are no classes."""
    return adapter.labels if isinstance(adapter, Labelled) else None


def adapter_to_json(adapter: Adapter) -> str:
    """JSON text, indented; :func:`adapter_from_json` gives back an equal adapter. Floats keep every bit."""
    kind = next(name for name, cls in KINDS.items() if type(adapter) is cls)
    content = {"format": FORMAT, "kind": kind, **adapter.to_plain()}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def adapter_from_json(text: str, *, source: str = "adapter.json") -> Adapter:
    """Reads what :func:`adapter_to_json` wrote.

    Args:
        text: the JSON text.
        source: how an error names it.

    Returns:
        An adapter equal to the one that was written.

    Raises:
        DataError: damaged text, or a format that this version does not know.
    """
    try:
        content = json.loads(text)
        if content.pop("format") != FORMAT:
            found = json.loads(text)["format"]
            raise DataError(
                f"{source}: expected format {FORMAT}, got {found}. Read it with the version of gatewise that wrote it."
            )
        kind = KINDS[content.pop("kind", "sequences")]  # runs of version 0.1 had no other kind
        return kind.from_plain(content)  # type: ignore[no-any-return]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(source, str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(source, f"{where}: {first['msg']}" if where else first["msg"]) from error


def _damaged(source: str, reason: str) -> DataError:
    return DataError(
        f"{source}: expected the adapter of a run, got damaged text ({shorten(reason, 100)}). "
        "Restore the file or train again."
    )
