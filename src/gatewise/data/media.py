"""`MediaData`: recordings, drawings and films with their targets, each loaded when it is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gatewise.data.dataset import place_in_source
from gatewise.data.lines import Selected
from gatewise.errors import DataError

Kind = Literal["audio", "strokes", "lines", "frames", "skeletons"]
SHOWN = 3  # of what was left out
KEPT = 1 << 30  # bytes of what was loaded that stay in memory; beyond, a file is read again in every epoch
NOUNS: dict[Kind, str] = {
    "audio": "recordings",
    "strokes": "drawings",
    "lines": "images",
    "frames": "clips",
    "skeletons": "clips",
}


@dataclass(frozen=True)
class MediaOptions:
    """Which column of a manifest plays which role, and how files are read.

    Attributes:
        file: column of the file's name. Default: "file_name", else "file" or "path".
        target: column of the answer. Default: "text" or "transcription" of a transcript, "label" of a class.
        id: column with a name for each; default: the file's name.
        group: column that says whose it is (a speaker, a writer); default: none.
        rate: audio: samples a second to bring every recording to; default: that of most of them.
        height: images of lines: pixels to scale their height to.
        size: frames: pixels to scale their longer side to; None takes that of the first clip.
        frames: of a clip, at most so many, evenly over it; None takes all.
        skip_bad: leave out what cannot be read, and say so, rather than stop.
    """

    file: str | None = None
    target: str | None = None
    id: str | None = None
    group: str | None = None
    rate: int | None = None
    height: int = 28
    size: int | None = 64
    frames: int | None = None
    skip_bad: bool = False


@dataclass(frozen=True)
class MediaData:
    """What was recorded, drawn or filmed.

    Attributes:
        kind: what an item is, and so its shape; ``T`` is samples, points, columns or frames:
            ``"audio"`` ``[T]`` float32, -1 to 1; ``"strokes"`` ``[T, 3]`` float32: x, y (downwards) and 1 where the pen
            is lifted after the point; ``"lines"`` ``[T, height]`` float32, 0 for paper to 1 for ink, column by column
            from the left; ``"frames"`` ``[T, H, W, C]`` uint8; ``"skeletons"`` ``[T, joints, 3]`` float32.
        items: one array each; may load it at every access.
        steps: ``[N]`` int64, ``T`` of each, known without loading.
        targets: None, or one a text each: a class label, or a transcript.
        texts: whether targets are transcripts.
        rate: samples, or frames, a second; None where there is no such thing.
        classes: labels that the source itself declares, in its order; None without.
        ids, groups, rows: name, group, and place in the source of each; may be None.
        source: the folder or file, or ``"memory"``; errors begin with it.
        layout: how the source was understood, in words.
        skipped: what was left out because it could not be read: none, or a sentence with the number (`left_out`).
    """

    kind: Kind
    items: Sequence[np.ndarray]
    steps: np.ndarray
    targets: Sequence[str] | None = None
    texts: bool = False
    rate: float | None = None
    classes: tuple[str, ...] | None = None
    ids: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    rows: Sequence[int] | None = None
    source: str = "memory"
    layout: str = ""
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def noun(self) -> str:
        """What one of them is called, in the plural."""
        return NOUNS[self.kind]

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each."""
        return self.steps

    def subset(self, indices: Sequence[int] | np.ndarray) -> "MediaData":
        """Those at these positions, in this order; nothing is loaded."""
        places = np.asarray(indices, dtype=np.int64)

        def pick(values: Sequence[Any] | None) -> list[Any] | None:
            return None if values is None else [values[i] for i in places.tolist()]

        return replace(
            self,
            items=Selected(self.items, places),
            steps=self.steps[places],
            targets=pick(self.targets),
            ids=pick(self.ids),
            groups=pick(self.groups),
            rows=pick(self.rows),
        )

    def where(self, index: int) -> str:
        """How an error names item ``index``: file and line where known, else its number."""
        return place_in_source(self.source, index, rows=self.rows, ids=self.ids, noun=NOUNS[self.kind].rstrip("s"))


class Loaded(Sequence[np.ndarray]):
    """Arrays that a function loads when they are asked for; the first of them, up to 1 GB, stay in memory.

    Args:
        load: array ``i``.
        count: how many there are.
        paths: the file of each, which must stay as it is now; none where they come from elsewhere.

    Raises:
        DataError: where an array is loaded, its file has changed since it was first looked at, or is gone.

    Example:
        >>> squares = Loaded(lambda i: np.full(2, i * i), 4)
        >>> squares[3].tolist(), len(squares)
        ([9, 9], 4)
    """

    def __init__(self, load: Callable[[int], np.ndarray], count: int, paths: Sequence[Path] = ()) -> None:
        self._load = load
        self._count = count
        self.paths = paths
        self._states = [_state(path) for path in paths]
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        place = range(self._count)[index]
        if place in self._kept:
            return self._kept[place]
        if self.paths and (state := _state(self.paths[place])) != self._states[place]:
            raise DataError(
                f"{self.paths[place]}: expected the file as it was at first, got "
                f"{'none of that name' if state is None else 'another content'}. Leave data alone while they are "
                "learnt from, and begin again."
            )
        array = self._load(place)
        if self._bytes + array.nbytes <= KEPT:
            self._kept[place] = array
            self._bytes += array.nbytes
        return array


def _state(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written: its size and when that was; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def left_out(bad: Sequence[str], total: int, noun: str) -> tuple[str, ...]:
    """How many of so many could not be read, and what is wrong with the first of them; nothing where all could.

    >>> left_out(["a.png (torn)"], 42, "images")
    ('1 of 42 images was left out: a.png (torn).',)
    """
    if not bad:
        return ()
    first = "; ".join(one.rstrip(".") for one in bad[:SHOWN])
    more = f" and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return (f"{len(bad):,} of {total:,} {noun} {'was' if len(bad) == 1 else 'were'} left out: {first}{more}.",)
