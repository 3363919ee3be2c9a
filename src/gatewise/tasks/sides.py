"""The data side of a task: how its files are read, measured and split. The other side is :class:`Task`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from gatewise.data.adapter import Adapter
from gatewise.data.arrays import from_python
from gatewise.data.audio import read_audio
from gatewise.data.config import (
    DataConfig,
    MediaConfig,
    SeriesConfig,
    TextConfig,
    media_options,
    read_options,
    series_options,
    text_options,
)
from gatewise.data.conll import read_tagged
from gatewise.data.dataset import ReadOptions, SequenceData, default_channels
from gatewise.data.describe_text import seems_text
from gatewise.data.files import suffixes
from gatewise.data.handwriting import read_handwriting
from gatewise.data.media import MediaData
from gatewise.data.media_adapter import MediaAdapter
from gatewise.data.pairs import read_pairs
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.data.series_files import has_no_columns, read_series
from gatewise.data.series_split import cut_in_time
from gatewise.data.targets import Labels, Values
from gatewise.data.text import Data, TextData, TextOptions
from gatewise.data.text_adapters import CorpusAdapter, PairAdapter, TaggingAdapter, TextAdapter
from gatewise.data.text_files import read_corpus, read_labelled
from gatewise.data.video import read_video
from gatewise.errors import ConfigError, DataError
from gatewise.metrics import has_spans
from gatewise.models.config import ModelConfig
from gatewise.tasks.transcription import too_short
from gatewise.types import Example

Reader = Callable[..., MediaData]
OF_TEXTS = ("text-classification", "tagging", "language-model", "translation", "summarisation")


@dataclass(frozen=True)
class DataSide:
    """From files to examples.

    Attributes:
        read: ``read(data, targets, config, adapter, require_target) -> Data``. ``adapter`` is that of a trained run,
            where one reads for it: what it was trained on is then looked for again. Without ``require_target`` answers
            may be missing.
        fit: measures training data.
        split: how validation data are taken where nobody says: ``"stratified"`` (transcripts of media, which are no
            classes: at random), ``"random"`` or ``"time"``.
        classes: every class that occurs, so that one which a split leaves out of training is known too; None where
            answers are no classes.
        unsupervised: what is to be predicted is in the data themselves; nobody gives targets.
        model: what the data decide of a model that the settings leave open.
        usage: the command that asks a trained run, ``{run}`` for its directory.
        cut: ``cut(data, config) -> (training part, validation part)``, of data that are cut in themselves rather than
            shared out: the end of each series is what is to be forecast. None where there is no such thing.
        settle: ``settle(config, data)``: the settings with which data beside these are read, such as the rate that
            recordings were brought to.
        tried: ``tried(model, examples, where)``: what a user should know of training examples that only a model can
            tell, before it learns from them, a sentence each; ``where(i)`` names example ``i``.
    """

    read: Callable[[Any, Any, DataConfig, Any, bool], Any]
    fit: Callable[[Any, DataConfig], Adapter]
    split: str = "random"
    classes: Callable[[Any], tuple[str, ...]] | None = None
    unsupervised: bool = False
    model: Callable[[ModelConfig, Any], ModelConfig] = lambda config, adapter: config
    usage: str = "predict {run} --data FILE"
    cut: Callable[[Any, DataConfig], tuple[Any, Any]] | None = None
    settle: Callable[[DataConfig, Any], DataConfig] = lambda config, data: config
    tried: Callable[[nn.Module, Sequence[Example], Callable[[int], str]], list[str]] = lambda model, examples, where: []


def _read_sequences(
    task: str, data: Any, targets: Any, config: DataConfig, adapter: SequenceAdapter | None, require_target: bool
) -> SequenceData:
    if config.text != TextConfig():
        given = [name for name, value in asdict(config.text).items() if value != getattr(TextConfig(), name)]
        raise ConfigError(
            f"{task}: expected no settings of texts with sequences of numbers, got data.text.{given[0]}. "
            "Leave it out, and take a recipe for numbers."
        )
    _refuse_other(config, "media", task)
    _refuse_other(config, "series", task)
    options = read_options(config, task)
    if adapter is not None:
        channels = adapter.inputs.channels
        if not _has_columns(data):
            options = ReadOptions(task=options.task)
        elif channels != default_channels(len(channels)):
            # Named columns: those that the model was trained on, whatever else stands in the new table.
            options = replace(options, features=channels)
    try:
        return from_python(data, targets, options, require_target=require_target)
    except DataError as error:
        if not isinstance(data, str | Path) or not seems_text(Path(data)):
            raise
        raise DataError(f"{error} If these are texts, train {', '.join(OF_TEXTS[:-1])} or {OF_TEXTS[-1]}.") from error


def _has_columns(data: Any) -> bool:
    """Whether the columns that a run was trained with can be asked of these data."""
    if isinstance(data, str | Path):
        return suffixes(Path(data))[0] not in (".ts", ".npz")
    return hasattr(data, "columns")  # a frame


# What texts do not have, and what to do instead. A setting that is of no use is a mistake, never ignored.
NOT_OF_TEXTS = {
    "time": "Leave it out.",
    "features": "data.text.column (--text) names the text.",
    "scale": "Leave it out.",
    "missing": "Leave it out.",
    "length": "data.text.max_length cuts texts.",
}


def _options(config: DataConfig) -> TextOptions:
    for name, advice in NOT_OF_TEXTS.items():
        if (value := getattr(config, name)) != getattr(DataConfig(), name):
            raise ConfigError(f"data.{name}: expected none with texts, got {value}. {advice}")
    _refuse_other(config, "media", "texts")
    _refuse_other(config, "series", "texts")
    return text_options(config)


def _refuse_other(config: DataConfig, of: Literal["media", "series"], task: str) -> None:
    """Raises ConfigError where a setting of other data was given."""
    given: MediaConfig | SeriesConfig = config.media if of == "media" else config.series
    for name, value in asdict(given).items():
        if value != getattr(type(given)(), name):
            raise ConfigError(f"data.{of}.{name}: expected none with {task}, got {value}. Leave it out.")


def _read_labelled(
    data: Any, targets: Any, config: DataConfig, adapter: TextAdapter | None, require_target: bool
) -> TextData:
    classes = None if adapter is None else adapter.labels.classes
    return read_labelled(data, targets, _options(config), require_target=require_target, classes=classes)


def _read_tagged(
    data: Any, targets: Any, config: DataConfig, adapter: TaggingAdapter | None, require_target: bool
) -> TextData:
    return read_tagged(data, targets, _options(config), require_target=require_target)


def _read_corpus(
    data: Any, targets: Any, config: DataConfig, adapter: CorpusAdapter | None, require_target: bool
) -> TextData:
    if config.target is not None:
        raise ConfigError(
            f"data.target: expected none with language-model, got {config.target}. What comes next is its target."
        )
    if targets is not None:
        raise DataError("language-model: expected no targets, got some. What comes next in the text is its target.")
    return read_corpus(data, _options(config))


def _read_pairs(
    data: Any, targets: Any, config: DataConfig, adapter: PairAdapter | None, require_target: bool
) -> TextData:
    return read_pairs(data, targets, _options(config), require_target=require_target)


def _labels(data: Data) -> tuple[str, ...]:
    return Labels.fit(data).classes


def _tags(data: TextData) -> tuple[str, ...]:
    return tuple(sorted({tag for tags in data.targets or () for tag in tags}))


def _fit_texts(data: TextData, config: DataConfig) -> TextAdapter:
    text = config.text
    _refuse(text, "text-classification", "max_target_length", "shared")
    return TextAdapter.fit(
        data,
        unit=text.tokens,
        size=text.vocabulary_size,
        min_count=text.min_count,
        lowercase=text.lowercase,
        max_length=text.max_length,
        embeddings=text.embeddings,
    )


def _fit_tagged(data: TextData, config: DataConfig) -> TaggingAdapter:
    text = config.text
    if text.tokens != "words":
        raise ConfigError(f'tagging: expected data.text.tokens "words", got "{text.tokens}". A tag belongs to a word.')
    _refuse(text, "tagging", "max_target_length", "shared")
    return TaggingAdapter.fit(
        data,
        size=text.vocabulary_size,
        min_count=text.min_count,
        lowercase=text.lowercase,
        max_length=text.max_length,
        embeddings=text.embeddings,
    )


def _fit_corpus(data: TextData, config: DataConfig) -> CorpusAdapter:
    text = config.text
    _refuse_embeddings(config)
    _refuse(text, "language-model", "max_length", "max_target_length", "shared")
    return CorpusAdapter.fit(
        data,
        unit=text.tokens,
        size=text.vocabulary_size,
        min_count=text.min_count,
        lowercase=text.lowercase,
        steps=text.steps,
    )


def _fit_pairs(data: TextData, config: DataConfig) -> PairAdapter:
    text = config.text
    _refuse_embeddings(config)
    return PairAdapter.fit(
        data,
        unit=text.tokens,
        size=text.vocabulary_size,
        min_count=text.min_count,
        lowercase=text.lowercase,
        max_length=text.max_length,
        max_target_length=text.max_target_length,
        shared=text.shared,
    )


def _refuse(text: TextConfig, task: str, *names: str) -> None:
    """Settings that a task has no use for; not ``steps``: a recipe sets it, and is told itself if it is wrong."""
    for name in names:
        if (value := getattr(text, name)) != getattr(TextConfig(), name):
            raise ConfigError(f"data.text.{name}: expected none with {task}, got {value}. Leave it out.")


def _refuse_embeddings(config: DataConfig) -> None:
    if config.text.embeddings is not None:
        raise ConfigError(
            f"data.text.embeddings: expected none but for text-classification and tagging, got "
            f"{config.text.embeddings}. Leave it out."
        )


def _keep_steps(config: ModelConfig, adapter: SequenceAdapter) -> ModelConfig:
    """An answer a step needs every step kept."""
    per_step = isinstance(adapter.targets, Values) and adapter.targets.per_step
    return replace(config, pool="none") if per_step and config.pool is None else config


def _field_for_spans(config: ModelConfig, adapter: TaggingAdapter) -> ModelConfig:
    """Where tags make spans, which of them may follow another is known, and a conditional random field knows it."""
    config = config if config.crf is not None else replace(config, crf=has_spans(adapter.tags))
    return _size_of_vectors(config, adapter)


def _size_of_vectors(config: ModelConfig, adapter: TextAdapter | TaggingAdapter) -> ModelConfig:
    """Given word vectors decide the size of the embeddings."""
    if adapter.vectors is None:
        return config
    size = adapter.vectors.shape[1]
    if config.embedding_size not in (None, size):
        raise ConfigError(
            f"model.embedding_size: expected {size} as in the file of embeddings, got {config.embedding_size}. "
            "Leave it out."
        )
    return replace(config, embedding_size=size)


def _read_media(
    task: str, reader: Reader, texts: bool, data: Any, targets: Any, config: DataConfig, adapter: Any, require: bool
) -> MediaData:
    """Recordings and the like; those for a trained run are brought to the rate and the size that it knows."""
    for name, advice in NOT_OF_MEDIA.items():
        if (value := getattr(config, name)) != getattr(DataConfig(), name):
            raise ConfigError(f"data.{name}: expected none with {task}, got {value}. {advice}")
    if config.text != TextConfig():
        raise ConfigError(f"{task}: expected no settings of data.text. Those of transcripts are in data.media.")
    _refuse_other(config, "series", task)
    options = media_options(config)
    if adapter is not None:
        options = replace(options, rate=None if adapter.rate is None else int(adapter.rate))
        texts = adapter.labels is None
    found = reader(data, targets, options, texts=texts, require_target=require)
    if adapter is None:
        _refuse_of_other_kinds(config.media, found)
    return found


# What says something of some kinds of media alone, or of transcripts.
OF_KINDS: dict[str, tuple[str, ...]] = {
    "rate": ("audio",),
    "height": ("lines",),
    "size": ("frames",),
    "frames": ("frames", "skeletons"),
    "lowercase": ("transcripts",),
    "ngram_order": ("transcripts",),
}
IN_WORDS = {"audio": "recordings", "lines": "images of lines", "skeletons": "clips of skeletons"}


def _refuse_of_other_kinds(media: MediaConfig, data: MediaData) -> None:
    """Raises ConfigError where a setting says nothing of what was found."""
    found = {data.kind, "transcripts" if data.texts else "classes"}
    for name, kinds in OF_KINDS.items():
        if (value := getattr(media, name)) != getattr(MediaConfig(), name) and found.isdisjoint(kinds):
            what = "classes" if "transcripts" in kinds else IN_WORDS.get(data.kind, data.noun)
            raise ConfigError(f"data.media.{name}: expected none with {what}, got {value}. Leave it out.")


# What has no columns of numbers, and what to do instead.
NOT_OF_MEDIA = {
    "time": "Leave it out.",
    "features": "Leave it out.",
    "scale": "Leave it out.",
    "missing": "Leave it out.",
    "length": "Leave it out.",
}


def _at_its_rate(config: DataConfig, data: MediaData) -> DataConfig:
    """Recordings beside these are brought to the rate of these."""
    rate = None if data.rate is None else int(data.rate)
    return replace(config, media=replace(config.media, rate=rate))


def _at_its_size(config: DataConfig, data: MediaData) -> DataConfig:
    """Films beside these are brought to the size of these, also where nobody gave any."""
    if data.kind != "frames" or config.media.size is not None:
        return config
    return replace(config, media=replace(config.media, size=max(data.items[0].shape[1:3])))


def _fit_media(data: MediaData, config: DataConfig) -> MediaAdapter:
    return MediaAdapter.fit(data, lowercase=config.media.lowercase, ngram_order=config.media.ngram_order)


def _classes_of_media(data: MediaData) -> tuple[str, ...]:
    return () if data.texts else Labels.fit(data).classes


def _recipe_of_media(config: ModelConfig, adapter: MediaAdapter) -> ModelConfig:
    """What the items are decides which model reads them, where nobody says."""
    if config.recipe != "auto":
        return config
    of_kind = {"audio": "speech-lstm", "strokes": "ctc-lstm", "lines": "line-lstm"}
    if adapter.labels is not None:
        of_kind = {
            "audio": "audio-lstm",
            "frames": "video-lstm",
            "strokes": "stroke-lstm",
            "skeletons": "skeleton-lstm",
        }
    return replace(config, recipe=of_kind.get(adapter.kind, "lstm"))  # type: ignore[arg-type]


def _read_series(
    data: Any, targets: Any, config: DataConfig, adapter: SeriesAdapter | None, require_target: bool
) -> SeriesData:
    for name, advice in NOT_OF_SERIES.items():
        if (value := getattr(config, name)) != getattr(DataConfig(), name):
            raise ConfigError(f"data.{name}: expected none with forecasting, got {value}. {advice}")
    if config.text != TextConfig():
        raise ConfigError("forecasting: expected no settings of data.text. Leave them out.")
    _refuse_other(config, "media", "forecasting")
    if targets is not None:
        raise DataError("forecasting: expected no targets, got some. What comes next in a series is its target.")
    options = series_options(config)
    if adapter is not None:
        # Named columns: those that the model was trained on, whatever else stands in the new table.
        named = adapter.names != ("value",) and adapter.names != default_channels(len(adapter.names))
        options = replace(options, step=adapter.step, season=adapter.season)
        options = replace(options, target=adapter.names) if named and not has_no_columns(data) else options
    return read_series(data, options)


# What series do not have, or have by another name.
NOT_OF_SERIES = {
    "features": "Name what helps to forecast with data.series.past, .future and .static.",
    "scale": "data.series.scale scales series.",
    "missing": "A missing value is told to the model as such.",
    "length": "data.series.context_length says how far a forecast looks back.",
}


_PAIRS = DataSide(_read_pairs, _fit_pairs, usage="translate {run} < FILE")

SIDES = {
    "forecasting": DataSide(
        _read_series,
        lambda data, config: SeriesAdapter.fit(data, config.series),
        split="random",
        unsupervised=True,
        usage="forecast {run} --data FILE",
        cut=cut_in_time,
    ),
    "classification": DataSide(
        partial(_read_sequences, "classification"), SequenceAdapter.fit_labels, split="stratified", classes=_labels
    ),
    "regression": DataSide(partial(_read_sequences, "regression"), SequenceAdapter.fit_values, model=_keep_steps),
    "text-classification": DataSide(
        _read_labelled, _fit_texts, split="stratified", classes=_labels, model=_size_of_vectors
    ),
    "tagging": DataSide(_read_tagged, _fit_tagged, classes=_tags, model=_field_for_spans),
    "language-model": DataSide(
        _read_corpus, _fit_corpus, split="time", unsupervised=True, usage='generate {run} --prompt "TEXT"'
    ),
    "translation": _PAIRS,
    "summarisation": _PAIRS,
    "audio-classification": DataSide(
        partial(_read_media, "audio-classification", read_audio, False),
        _fit_media,
        split="stratified",
        classes=_classes_of_media,
        model=_recipe_of_media,
        settle=_at_its_rate,
    ),
    "speech-to-text": DataSide(
        partial(_read_media, "speech-to-text", read_audio, True),
        _fit_media,
        model=_recipe_of_media,
        settle=_at_its_rate,
        usage="transcribe {run} FILE",
        tried=too_short,
    ),
    "handwriting": DataSide(
        partial(_read_media, "handwriting", read_handwriting, False),
        _fit_media,
        split="stratified",
        classes=_classes_of_media,
        model=_recipe_of_media,
        tried=too_short,
    ),
    "video": DataSide(
        partial(_read_media, "video", read_video, False),
        _fit_media,
        split="stratified",
        classes=_classes_of_media,
        model=_recipe_of_media,
        settle=_at_its_size,
    ),
}
