"""`MediaAdapter`: recordings, drawings and films as inputs, with a class or a transcript as the target."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gatewise.data.media import Kind, MediaData
from gatewise.data.ngram import NGram
from gatewise.data.record import record
from gatewise.data.sequence_adapter import label_columns
from gatewise.data.skeletons import skeleton_features
from gatewise.data.strokes import stroke_features
from gatewise.data.targets import Labels
from gatewise.data.vocabulary import Vocabulary
from gatewise.errors import DataError
from gatewise.sequences import UNK
from gatewise.types import Example, Results


def _as_they_are(item: np.ndarray) -> np.ndarray:
    return item


def _frames(item: np.ndarray) -> np.ndarray:
    """``[T, H, W, C]`` from 0..255 to 0..1."""
    return item.astype(np.float32) / 255


# What a model is given of an item; none changes the number of steps.
FEATURES: dict[Kind, Callable[[np.ndarray], np.ndarray]] = {
    "audio": _as_they_are,
    "strokes": stroke_features,
    "lines": _as_they_are,
    "frames": _frames,
    "skeletons": skeleton_features,
}


class MediaExamples(Sequence[Example]):
    """Examples that are made when they are asked for."""

    def __init__(self, data: MediaData, targets: Sequence[Any] | None, shape: tuple[int, ...]) -> None:
        self._data = data
        self._targets = targets
        self._shape = shape

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        features = FEATURES[self._data.kind](self._data.items[place])
        if features.shape[1:] != self._shape:
            raise DataError(
                f"{self._data.where(place)}: expected steps of shape {self._shape} as in training, got "
                f"{features.shape[1:]}. Bring them to one shape."
            )
        if self._targets is None:
            return Example(features)
        reference = self._data.targets[place] if self._data.texts and self._data.targets is not None else None
        return Example(features, self._targets[place], reference=reference)

    @property
    def lengths(self) -> np.ndarray:
        """``[N]`` int64: steps of each example, without making any."""
        return self._data.steps

    @property
    def targets(self) -> Sequence[Any] | None:
        """The targets alone, without making any example."""
        return self._targets


@dataclass(frozen=True)
class MediaAdapter:
    """What was found in the training data.

    Attributes:
        kind: what the model reads.
        targets: classes, or the characters of transcripts; ``PAD``, number 0, is CTC's blank.
        shape: of one step of the model's input: ``()`` for audio, ``(features,)``, or ``(H, W, C)`` of a frame.
        rate: samples, or frames, a second.
        ngram: characters of the training transcripts as a language model; None without.
    """

    kind: Kind
    targets: Labels | Vocabulary
    shape: tuple[int, ...]
    rate: float | None = None
    ngram: NGram | None = None

    @classmethod
    def fit(
        cls, data: MediaData, *, lowercase: bool = False, min_count: int = 1, ngram_order: int = 0
    ) -> "MediaAdapter":
        """Classes or alphabet of the training data, and what its items look like.

        Args:
            data: training data as read.
            lowercase: transcripts: make no difference between upper and lower case.
            min_count: transcripts: a character that is rarer is unknown, and never written.
            ngram_order: transcripts: characters to count together for a language model; 0 for none.

        Returns:
            The fitted adapter.

        Raises:
            DataError: no data, a single class, or transcripts without any character.
        """
        if not len(data):
            raise DataError(f"{data.source}: expected {data.noun}, got none. Check the folder or the manifest.")
        targets: Labels | Vocabulary
        ngram = None
        if data.texts:
            texts = [text.strip() for text in data.targets or ()]
            if not any(texts):
                raise DataError(f"{data.source}: expected transcripts, got none with a character. Check the column.")
            targets = Vocabulary.fit(
                texts, unit="characters", lowercase=lowercase, min_count=min_count, where=data.where
            )
            if ngram_order:
                ngram = NGram.fit(targets.encode_all(texts), order=ngram_order, size=len(targets))
        else:
            targets = Labels.fit(data)
        return cls(data.kind, targets, FEATURES[data.kind](data.items[0]).shape[1:], data.rate, ngram)

    @property
    def labels(self) -> Labels | None:
        """The classes; None where answers are transcripts."""
        return self.targets if isinstance(self.targets, Labels) else None

    def with_labels(self, labels: Labels) -> "MediaAdapter":
        """The same with other labels."""
        return replace(self, targets=labels)

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of transcripts.

        Raises:
            DataError: answers are classes.
        """
        if not isinstance(self.targets, Vocabulary):
            raise DataError("expected transcripts as targets, got classes. Name the column of the text with --target.")
        return self.targets

    def encode(self, data: MediaData) -> MediaExamples:
        """Every item as the model reads it, with the number of its class or those of its characters ``[S]``.

        Args:
            data: as read; without targets the examples have none.

        Returns:
            One example an item, in the order of the data, made when asked for.

        Raises:
            DataError: items of another kind or rate, or a label that the training data do not have; of another shape
                when they are made.
        """
        if data.kind != self.kind:
            raise DataError(f"{data.source}: expected {self.kind} as in training, got {data.kind}.")
        if self.kind == "audio" and None not in (data.rate, self.rate) and data.rate != self.rate:
            raise DataError(
                f"{data.source}: expected {self.rate:,.0f} samples a second as in training, got {data.rate:,.0f}. "
                f"Read it with data.media.rate={self.rate:.0f}."
            )
        if data.targets is None:
            return MediaExamples(data, None, self.shape)
        targets: list[Any]
        if isinstance(self.targets, Labels):
            if data.texts:
                raise DataError(f"{data.source}: expected class labels as in training, got transcripts.")
            targets = [self.targets.encode(label, where=data.where(i)) for i, label in enumerate(data.targets)]
        else:
            texts = (text.strip() for text in data.targets)
            targets = list(self.targets.encode_all(texts, where=data.where))
        return MediaExamples(data, targets, self.shape)

    def notes(self, data: MediaData) -> list[str]:
        """What was left out, and characters that are unknown."""
        notes = list(data.skipped)
        if isinstance(self.targets, Vocabulary) and data.targets is not None:
            numbers = np.concatenate([*self.targets.encode_all(data.targets, where=data.where), np.zeros(0, np.int64)])
            if unknown := int((numbers == UNK).sum()):
                notes.append(f"{unknown:,} of {len(numbers):,} characters are unknown and will never be written")
        return notes

    def summary(self, data: MediaData) -> str:
        """Sizes and lengths in a line."""
        rate = f" at {self.rate:,.0f} Hz" if self.kind == "audio" and self.rate else ""
        steps = "samples" if self.kind == "audio" else "steps"
        if isinstance(self.targets, Labels):
            answers = f"{len(self.targets.classes)} classes"
        else:
            answers = f"{len(self.targets.tokens) - 4} characters"
        shortest, longest = int(data.steps.min()), int(data.steps.max())
        length = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        return f"{length} {steps}{rate}; {answers}"

    def columns(self, data: MediaData, results: Results) -> dict[str, list[Any]]:
        """``row, id, label, p_<class>...``, or ``row, id, text``; one row an item."""
        if isinstance(self.targets, Labels):
            return label_columns(self.targets, data.ids, results)
        return {
            "row": list(range(len(results.predictions))),
            **({} if data.ids is None else {"id": list(data.ids)}),
            "text": [prediction.value for prediction in results.predictions],
        }

    def meanings(self) -> dict[str, tuple[str, ...]]:
        """The head's scores are of these classes, or of these characters."""
        return {".head.": self.targets.classes if isinstance(self.targets, Labels) else self.targets.tokens}

    def to_plain(self) -> dict[str, Any]:
        """For ``adapter.json``."""
        labels = isinstance(self.targets, Labels)
        targets = asdict(self.targets) if isinstance(self.targets, Labels) else self.targets.to_plain()
        return {
            "media": self.kind,
            "targets": {"kind": "labels" if labels else "characters", **targets},
            "shape": list(self.shape),
            "rate": self.rate,
            "ngram": None if self.ngram is None else self.ngram.to_plain(),
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "MediaAdapter":
        """What :meth:`to_plain` gave, strictly."""
        targets = dict(content["targets"])
        read: dict[str, Callable[[Any], Labels | Vocabulary]] = {
            "labels": lambda plain: record(Labels, plain),
            "characters": Vocabulary.from_plain,
        }
        if content.keys() != {"media", "targets", "shape", "rate", "ngram"} or content["media"] not in FEATURES:
            raise KeyError("expected media, targets, shape, rate and ngram")
        return cls(
            content["media"],
            read[targets.pop("kind")](targets),
            tuple(int(size) for size in content["shape"]),
            None if content["rate"] is None else float(content["rate"]),
            None if content["ngram"] is None else NGram.from_plain(content["ngram"]),
        )
