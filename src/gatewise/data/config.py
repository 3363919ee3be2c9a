"""The settings of the data: which files, how they are read, scaled, cut into tokens and split."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gatewise.data.dataset import ReadOptions
from gatewise.data.media import MediaOptions
from gatewise.data.series import SeriesOptions
from gatewise.data.text import TextOptions

_STRICT = ConfigDict(extra="forbid")  # a setting that does not exist is a mistake, never ignored


@dataclass(frozen=True)
class TextConfig:
    """How texts become tokens."""

    __pydantic_config__ = _STRICT

    column: str | None = None
    """Tables and JSON lines: where the text is; none looks for "text", "sentence", "source" and the like."""
    tokens: Literal["words", "characters", "bytes", "subwords"] = "words"
    """What a token is. Subwords (byte-level BPE) are learnt from the data and know no unknown word."""
    vocabulary_size: Annotated[int, Field(ge=5)] | None = None
    """Most tokens to know, the most frequent ones; none for 8,000 subwords and for every other token."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """A word or character that is rarer in the training data is unknown."""
    lowercase: bool = False
    """Make no difference between upper and lower case."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of a text; what is longer is cut, and the number of such texts told."""
    max_target_length: Annotated[int, Field(ge=1)] | None = None
    """Translation, summarisation: most tokens of an answer to learn from."""
    shared: bool = False
    """Translation, summarisation: one vocabulary for both sides, as copying needs."""
    steps: Annotated[int, Field(ge=1)] = 64
    """Language model: tokens between two updates (truncated backpropagation); the state is carried on."""
    embeddings: str | None = None
    """File of word vectors (word2vec or GloVe as text) to begin with."""


@dataclass(frozen=True)
class MediaConfig:
    """How recordings, drawings and films are read."""

    __pydantic_config__ = _STRICT

    file: str | None = None
    """Manifest: column of the file's name; none looks for "file_name", "file" and "path"."""
    rate: Annotated[int, Field(ge=1000, le=192_000)] | None = None
    """Audio: samples a second to bring every recording to; none takes that of most of them."""
    height: Annotated[int, Field(ge=4, le=512)] = 28
    """Images of lines: pixels to scale their height to."""
    size: Annotated[int, Field(ge=4, le=1024)] | None = 64
    """Frames of films: pixels to scale their longer side to; none takes that of the first film."""
    frames: Annotated[int, Field(ge=1)] | None = None
    """Films: at most so many frames of a clip, evenly over it; none takes all."""
    lowercase: bool = False
    """Transcripts: make no difference between upper and lower case."""
    ngram_order: Annotated[int, Field(ge=0, le=20)] = 0
    """Transcripts: count so many characters in a row, as a language model for the search (model.lm_weight); 0: none."""
    skip_bad: bool = False
    """Leave out what cannot be read, and say so, rather than stop."""


@dataclass(frozen=True)
class SeriesConfig:
    """Forecasting: how much is looked back on, how far it goes, and what else is known."""

    __pydantic_config__ = _STRICT

    context_length: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Steps that a forecast looks back on; none takes three seasons and at least twice the horizon, as far as the
    series are long enough."""
    horizon: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Steps to forecast; none for a season, at least 6."""
    past: tuple[str, ...] = ()
    """Columns that help and are known until now."""
    future: tuple[str, ...] = ()
    """Columns that are known ahead, too: prices, holidays."""
    static: tuple[str, ...] = ()
    """Columns that do not change within a series: numbers, or categories."""
    season: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Steps of the main season; none for that of the frequency: 24 hours, 7 days, 12 months, 4 quarters, 52 weeks."""
    calendar: bool = True
    """Also give the hour of the day, the day of the week and so on, where the training part has two rounds of it."""
    scale: Literal["window", "series", "channel", "none"] = "window"
    """To mean 0 and deviation 1: by what each forecast looks back on, by all of the series until then, by the channel's
    training part, or not at all."""
    stride: Annotated[int, Field(ge=1)] | None = None
    """Steps from one window to the next; none takes every step, or as few as leave 20,000 windows."""
    wrapped: bool = False
    """One series that runs on from row to row of a table: twelve months a line."""


@dataclass(frozen=True)
class DataConfig:
    """Which files, and how they become sequences."""

    __pydantic_config__ = _STRICT

    train: str | None = None
    """File to learn from; two line-aligned ones as "SOURCE,TARGET"; none where the data were given in Python."""
    valid: str | None = None
    """File to choose the best epoch on; none takes a part of the training data."""
    test: str | None = None
    """File to measure on at the end; nothing is ever chosen by it."""
    id: str | None = None
    """Tables: column that names the sequence of a row (one row a step)."""
    time: str | None = None
    """Tables: column to sort the steps by."""
    features: tuple[str, ...] | None = None
    """Tables: input columns; none takes every numeric column without another role."""
    target: tuple[str, ...] | None = None
    """Tables: column of the answer; several for a regression with several values."""
    group: str | None = None
    """Column that names whose sequence it is; a group is never both learnt from and chosen on."""
    scale: Literal["channel", "sequence", "none"] = "channel"
    """To mean 0 and deviation 1: each channel over the training data, each sequence by itself, or not at all."""
    missing: Literal["mean", "previous", "indicator"] = "mean"
    """A missing value becomes the channel's mean, the value before it, or the mean with a channel that says so."""
    length: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Cut or pad every sequence to so many steps; none keeps their lengths (padding is then ignored)."""
    split: Literal["auto", "stratified", "group", "time", "random"] = "auto"
    """How the validation part is taken; auto: by group where one is given, else stratified by label, else random."""
    valid_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the training data to choose the best epoch on, where no file is given for it; 0 learns from all data
    and keeps the last weights."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Cross-validation: into how many parts the data are cut."""
    fold: Annotated[int, Field(ge=1)] | None = None
    """Cross-validation: which part, from 1, this run chooses on."""
    text: TextConfig = field(default_factory=TextConfig)
    """Texts: into which tokens they are cut."""
    media: MediaConfig = field(default_factory=MediaConfig)
    """Recordings, drawings and films: how they are read."""
    series: SeriesConfig = field(default_factory=SeriesConfig)
    """Forecasting: windows, covariates, seasons."""


def read_options(config: DataConfig, task: str) -> ReadOptions:
    """How tables of numbers become sequences."""
    return ReadOptions(
        id=config.id, time=config.time, features=config.features, target=config.target, group=config.group, task=task
    )


def media_options(config: DataConfig) -> MediaOptions:
    """Where a folder or a manifest has its files and answers, and how they are read."""
    media = config.media
    return MediaOptions(
        file=media.file,
        target=None if config.target is None else config.target[0],
        id=config.id,
        group=config.group,
        rate=media.rate,
        height=media.height,
        size=media.size,
        frames=media.frames,
        skip_bad=media.skip_bad,
    )


def series_options(config: DataConfig) -> SeriesOptions:
    """Where a table has series to forecast."""
    series = config.series
    return SeriesOptions(
        id=config.id,
        time=config.time,
        target=config.target,
        group=config.group,
        past=series.past,
        future=series.future,
        static=series.static,
        season=series.season,
        wrapped=series.wrapped,
    )


def text_options(config: DataConfig) -> TextOptions:
    """Where a file of texts has them."""
    target = None if config.target is None else config.target[0]
    return TextOptions(text=config.text.column, target=target, id=config.id, group=config.group)
