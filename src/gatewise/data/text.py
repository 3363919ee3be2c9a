"""`TextData`: what every reader of text returns and everything after it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatewise.data.dataset import SequenceData, place_in_source
from gatewise.data.lines import Selected
from gatewise.data.media import MediaData
from gatewise.data.series import SeriesData


@dataclass(frozen=True)
class TextData:
    """Texts with their targets, as read: nothing cut into tokens, lower-cased or numbered.

    Attributes:
        texts: one ``str`` each, or a tuple of words where the source itself says what a word is (CoNLL).
        targets: None, or one a text: a label (``str``), a tuple of tags (one a word), or the text that should come out
            (``str``). All of the same kind.
        classes: labels that the source itself declares, in its order; None without.
        ids: the name of each text in its source; None where it has none.
        groups: the group of each text (an author, a document); None unless asked for.
        rows: where each text stands in its file (line number from 1, or row of a table), for errors; may be None.
        source: the file, or ``"memory"``; errors begin with it.
        layout: how the source was understood, in words.
        lines: the texts are the successive lines of one text, without their line feeds.

    Example:
        >>> data = TextData(["good", "so so"], ["1", "0"])
        >>> data.lengths.tolist(), data.subset([1]).texts
        ([4, 5], ['so so'])
    """

    texts: Sequence[str | tuple[str, ...]]
    targets: Sequence[Any] | None = None
    classes: tuple[str, ...] | None = None
    ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    rows: Sequence[int] | None = None
    source: str = "memory"
    layout: str = ""
    lines: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def noun(self) -> str:
        """What one of them is called, in the plural."""
        return "lines" if self.lines else "texts"

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: words of a tuple, characters of a ``str``."""
        return np.fromiter(map(len, self.texts), dtype=np.int64, count=len(self.texts))

    def subset(self, indices: Sequence[int] | np.ndarray) -> "TextData":
        """The texts at these positions, in this order; what is not a list stays where it is and is looked up later."""
        places = np.asarray(indices, dtype=np.int64)

        def pick(values: Sequence[Any] | None) -> Sequence[Any] | None:
            if values is None:
                return None
            if isinstance(values, list | tuple):
                return [values[i] for i in places.tolist()]
            return Selected(values, places)

        return replace(
            self,
            texts=pick(self.texts) or [],
            targets=pick(self.targets),
            ids=pick(self.ids),
            groups=pick(self.groups),
            rows=pick(self.rows),
        )

    def where(self, index: int) -> str:
        """How an error names text ``index``: file and line where known, else its number."""
        return place_in_source(self.source, index, rows=self.rows, ids=self.ids, noun="text")


@dataclass(frozen=True)
class TextOptions:
    """Which column, or which key of JSON lines, plays which role.

    Attributes:
        text: the text. Default: "text", else "sentence", "body", "source", else the only column of text.
        target: the answer. Default: "label", "target", "tags", "subject" or "summary", as fits the task, else the only
            other column. Of plain lines with labels ``"first"``, the first word of each line is its label, or
            ``"none"``, a line is a text; of CoNLL a column number from 1; of CoNLL-U a column name.
        id: the name of each text; default: none.
        group: whose text it is, or what it is part of; default: none.
    """

    text: str | None = None
    target: str | None = None
    id: str | None = None
    group: str | None = None


Data = SequenceData | TextData | MediaData | SeriesData
