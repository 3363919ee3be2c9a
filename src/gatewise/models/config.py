"""`ModelConfig`: which recipe, with which sizes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from torch import nn

from gatewise.cell import Cell
from gatewise.errors import ConfigError, did_you_mean
from gatewise.models.recipes import RECIPES
from gatewise.models.transcriber import Search
from gatewise.nn.augmentation import Augment


@dataclass(frozen=True)
class ModelConfig:
    """A recipe and its options. An option that is None takes the recipe's own default."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  read by pydantic where settings are checked

    recipe: Literal[
        "lstm",
        "bilstm",
        "lstm-fcn",
        "text-lstm",
        "tagger",
        "lstm-lm",
        "awd-lstm",
        "seq2seq",
        "pointer",
        "audio-lstm",
        "speech-lstm",
        "ctc-lstm",
        "stroke-lstm",
        "skeleton-lstm",
        "line-lstm",
        "video-lstm",
        "forecaster",
        "auto",
    ] = "lstm"
    """Which model. Numbers: lstm (small and fast), bilstm (three layers, batch norm), lstm-fcn (convolutions beside
    it). Texts: text-lstm, tagger, lstm-lm and awd-lstm (language models), seq2seq and pointer (with
    copying). Sound: audio-lstm, speech-lstm. Pictures: line-lstm, video-lstm. Strokes:
    stroke-lstm, ctc-lstm (to text). Skeletons: skeleton-lstm. What comes
    next: forecaster. auto looks at the data."""
    encoder: Literal["lstm", "gru", "rnn"] | None = None
    """The recurrent layer; gru and rnn are torch's, to compare with."""
    hidden_sizes: tuple[int, ...] | None = None
    """Units per direction, one number a layer."""
    bidirectional: bool | None = None
    """Read the sequence in both directions; false for a model that can follow a stream."""
    pool: Literal["last", "mean", "max", "attention", "none"] | None = None
    """From one vector a step to one a sequence."""
    dropout: float | None = None
    """Share of values zeroed in training; where, the recipe says."""
    variational_dropout: float | None = None
    """Share zeroed between layers, the same at every step of a sequence."""
    weight_drop: float | None = None
    """Share of the recurrent weights zeroed in a training step."""
    batch_norm: bool | None = None
    """Normalise between layers."""
    stem_channels: tuple[int, ...] | None = None
    """Features of each convolution before the encoder; [] for none."""
    stem_kernel_sizes: tuple[int, ...] | None = None
    """Steps that each of them sees; odd numbers."""
    stem_strides: tuple[int, ...] | None = None
    """Steps from one of its outputs to the next; 2 halves the work of the encoder."""
    dense_size: int | None = None
    """Units of the layer before the scores."""
    conv_channels: tuple[int, ...] | None = None
    """Features of each convolution."""
    conv_kernel_sizes: tuple[int, ...] | None = None
    """Steps that each convolution sees; odd numbers."""
    embedding_size: int | None = None
    """Features of a token."""
    embedding_dropout: float | None = None
    """Share of the vocabulary that is dropped whole in a training step."""
    input_dropout: float | None = None
    """Share of the features of a text's tokens that is zeroed, the same at every step."""
    character_size: int | None = None
    """Tagging: features of a character; 0 for words without their spelling."""
    character_hidden_size: int | None = None
    """Tagging: units per direction that read a word's characters."""
    crf: bool | None = None
    """Tagging: a conditional random field, which scores the tags of a sentence together; none for spans only."""
    tied: bool | None = None
    """The weights of the scores are those of the embeddings."""
    activation_regularization: float | None = None
    """Language models: weight of the mean square of the outputs in the loss."""
    temporal_regularization: float | None = None
    """Language models: weight of the mean square of their changes from step to step."""
    decoder_size: int | None = None
    """Units of the decoder."""
    attention: Literal["additive", "multiplicative"] | None = None
    """How the decoder scores the steps of the source: Bahdanau's way or Luong's."""
    input_feeding: bool | None = None
    """What was attended to at a step is an input of the next one."""
    copy: bool | None = None
    """Answer with tokens of the source too (pointer-generator); needs data.text.shared."""
    sampling_decay: float | None = None
    """Scheduled sampling: after so many steps the decoder mostly reads its own answers; 0 for never."""
    beam_size: int | None = None
    """Answers that the search follows side by side."""
    length_penalty: float | None = None
    """Above 0 the search prefers longer answers."""
    lm_weight: float | None = None
    """Transcripts: weight of a language model in the search; needs a beam and data.media.ngram_order."""
    length_bonus: float | None = None
    """Transcripts: above 0 the search prefers longer ones; a language model makes short ones likelier."""
    max_answer: int | None = None
    """Most tokens of an answer."""
    patch_size: int | None = None
    """Forecasts: steps that the encoder reads at once."""
    independent: bool | None = None
    """Forecasts: each channel is read by itself, with the same weights; false: all together."""
    head: Literal["direct", "autoregressive"] | None = None
    """Forecasts: the whole horizon at once, or step by step by a decoder that reads its own answer."""
    skip: Literal["none", "last", "seasonal", "linear", "linear-last", "linear-seasonal"] | None = None
    """Forecasts: what the answer is counted from: the mean of the window, its last value, the value a season before, or
    a linear map of the window beside one of these."""
    samples: int | None = None
    """Forecasts: paths that an autoregressive head draws for its quantiles; 0 for none."""
    mel_bands: int | None = None
    """Sound: frequency bands of a frame."""
    normalize: Literal["utterance", "level", "running"] | None = None
    """Sound: each recording's bands by itself, its level alone, or neither, so that it can follow a stream; none for
    what the recipe likes best, or for running where nothing may look ahead."""
    trim: float | None = None
    """Sound: leave out both ends of a recording where they are more than so many dB below its loudest frame; 0 not."""
    speed: float | None = None
    """Sound, in training: a recording is faster or slower by up to this share."""
    noise: float | None = None
    """Sound, in training: the loudest noise added; 0.1 is 20 dB below the recording."""
    warp: float | None = None
    """Sound, in training: frequencies are stretched by up to this share, as by another speaker."""
    time_masks: int | None = None
    """Sound, in training: how many stretches of frames are hidden."""
    time_mask: int | None = None
    """Sound, in training: most frames of each; of 10 ms."""
    frequency_masks: int | None = None
    """Sound, in training: how many stretches of bands are hidden."""
    frequency_mask: int | None = None
    """Sound, in training: most bands of each."""
    image_channels: tuple[int, ...] | None = None
    """Images of lines: features of each convolution, which also halves the height."""
    halvings: int | None = None
    """Images of lines: how many of the convolutions halve the number of columns too."""
    frame_channels: tuple[int, ...] | None = None
    """Films: features of each convolution over a frame, which also halves it."""
    motion: bool | None = None
    """Films: beside each frame what changed since the one before."""
    frame_features: int | None = None
    """Films: features of a frame after the convolutions."""
    jitter: float | None = None
    """Strokes and skeletons: how much they are turned, slanted and stretched in training; 1 is usual, 0 for none."""
    path_steps: int | None = None
    """Strokes: points that each drawing is brought to, evenly along its path; 0 leaves them as they are."""
    resample: int | None = None
    """Skeletons: frames that every clip is brought to."""
    crop: float | None = None
    """Skeletons, in training: share of a clip that is left out at either end, at most."""
    pace: float | None = None
    """Skeletons, in training: how much faster or slower a clip runs on the way, at most."""
    kernel: str | None = None
    """Implementation of the LSTM; `gatewise kernels` lists them."""
    chrono: int | None = None
    """Steps that the longest memory of a fresh LSTM reaches: forget gates begin with memories of 1 step to so many
    (chrono initialisation). For answers that hang on what was seen long before."""
    checkpoint_steps: int | None = None
    """Long sequences: the LSTM is differentiated in chunks of so many steps and computes each again, for less memory; 0
    lets the length decide."""
    augment: Augment = field(default_factory=Augment)
    """Changes to the inputs in training; numbers only."""
    cell: Cell = field(default_factory=Cell)
    """Which LSTM equations."""


# Options that say something only beside another one: what it takes, and whether it is so.
BESIDE: dict[str, tuple[str, Callable[[ModelConfig], bool]]] = {
    "samples": ('model.head "autoregressive"', lambda config: config.head == "autoregressive"),
    "halvings": (
        "convolutions over an image (model.conv_channels, model.image_channels)",
        lambda config: bool(config.conv_channels or config.image_channels),
    ),
    "time_mask": ("model.time_masks above 0", lambda config: config.time_masks != 0),
    "frequency_mask": ("model.frequency_masks above 0", lambda config: config.frequency_masks != 0),
    "character_hidden_size": ("model.character_size above 0", lambda config: config.character_size != 0),
}

SEARCH = dict(inspect.signature(Search).parameters)  # options of every recipe of a transcriber


def resolve(config: ModelConfig) -> ModelConfig:
    """The same with every None replaced by the recipe's default; options that the recipe has not stay None.

    Raises:
        ConfigError: an option is set that the recipe does not have, or that does nothing beside the others.
    """
    if config.recipe == "auto":  # the data decide first
        return config
    offered = _options(config.recipe)
    problems = []
    defaults = {}
    for option in fields(config):
        value = getattr(config, option.name)
        if option.name == "recipe":
            continue
        if option.name in ("augment", "cell"):
            if option.name not in offered and value not in (Augment(), Cell()):
                problems.append(f'model.{option.name}: recipe "{config.recipe}" has no such option.')
        elif option.name not in offered:
            if value is not None:
                problems.append(
                    f'model.{option.name}: recipe "{config.recipe}" has no such option. '
                    f"{did_you_mean(option.name, list(offered))}"
                )
        elif value is None:
            defaults[option.name] = offered[option.name].default
    resolved = replace(config, **defaults)
    problems += [
        f"model.{name}: expected {needed} with it, got {getattr(config, name)} without. Leave it out."
        for name, (needed, is_so) in BESIDE.items()
        if name in offered and getattr(resolved, name) != offered[name].default and not is_so(resolved)
    ]
    if problems:
        raise ConfigError("; ".join(problems))
    return resolved


def build(config: ModelConfig, sizes: Mapping[str, Any]) -> nn.Module:
    """The model of a configuration.

    Args:
        config: recipe and options.
        sizes: what the data decide, by the names of the recipe's first parameters.

    Raises:
        ConfigError: an option is set that the recipe does not have, or the recipe is for other data.
    """
    config = resolve(config)
    if _sizes(config.recipe) != sizes.keys():
        fitting = [name for name in RECIPES if _sizes(name) == sizes.keys()]
        raise ConfigError(
            f'model.recipe: expected {" or ".join(fitting)} for these data, got "{config.recipe}". Choose another.'
        )
    offered = _options(config.recipe)
    given = {name: getattr(config, name) for name in offered if getattr(config, name) is not None}
    options = {name: value for name, value in given.items() if name not in SEARCH or name in _keywords(config.recipe)}
    return RECIPES[config.recipe](**sizes, **options)


def search_of(config: ModelConfig) -> Search:
    """How the scores of a transcriber become text."""
    config = resolve(config)
    given = {name: getattr(config, name) for name in SEARCH}
    return Search(**{name: value for name, value in given.items() if value is not None})


def _options(recipe: str) -> dict[str, inspect.Parameter]:
    """The keyword parameters of a recipe; whatever the transcriber, its scores are read in the same ways."""
    return {**(SEARCH if "num_symbols" in _sizes(recipe) else {}), **_keywords(recipe)}


def _keywords(recipe: str) -> dict[str, inspect.Parameter]:
    """The keyword parameters of a recipe."""
    parameters = inspect.signature(RECIPES[recipe]).parameters
    return {name: one for name, one in parameters.items() if one.default is not inspect.Parameter.empty}


def _sizes(recipe: str) -> set[str]:
    """The parameters of a recipe that have no default: what only the data can tell."""
    parameters = inspect.signature(RECIPES[recipe]).parameters
    return {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}
