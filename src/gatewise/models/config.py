"""`ModelConfig`: which recipe, with which sizes."""

import inspect
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from torch import nn

from gatewise.cell import Cell
from gatewise.errors import ConfigError, did_you_mean
from gatewise.models.recipes import RECIPES
from gatewise.nn.augmentation import Augment


@dataclass(frozen=True)
class ModelConfig:
    """A recipe and its options. An option that is None takes the recipe's own default."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  read by pydantic where settings are checked

    recipe: Literal["lstm", "bilstm", "lstm-fcn"] = "lstm"
    """Which model: lstm (small and fast), bilstm (three layers, batch norm), lstm-fcn (convolutions beside it)."""
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
    kernel: str | None = None
    """Implementation of the LSTM; `gatewise kernels` lists them."""
    augment: Augment = field(default_factory=Augment)
    """Changes to the inputs in training."""
    cell: Cell = field(default_factory=Cell)
    """Which LSTM equations."""


def resolve(config: ModelConfig) -> ModelConfig:
    """The same with every None replaced by the recipe's default; options that the recipe has not stay None.

    Raises:
        ConfigError: an option is set that the recipe does not have.
    """
    offered = inspect.signature(RECIPES[config.recipe]).parameters
    problems = []
    defaults = {}
    for option in fields(config):
        value = getattr(config, option.name)
        if option.name in ("recipe", "augment", "cell"):
            continue
        if option.name not in offered:
            if value is not None:
                names = [name for name in offered if name not in ("input_size", "num_classes")]
                problems.append(
                    f'model.{option.name}: recipe "{config.recipe}" has no such option. '
                    f"{did_you_mean(option.name, names)}"
                )
        elif value is None:
            defaults[option.name] = offered[option.name].default
    if problems:
        raise ConfigError("; ".join(problems))
    return replace(config, **defaults)


def build(config: ModelConfig, input_size: int, num_classes: int) -> nn.Module:
    """The model of a configuration, from ``[B, T, input_size]`` to scores.

    Raises:
        ConfigError: an option is set that the recipe does not have.
    """
    config = resolve(config)
    options = {
        option.name: getattr(config, option.name)
        for option in fields(config)
        if option.name != "recipe" and getattr(config, option.name) is not None
    }
    return RECIPES[config.recipe](input_size, num_classes, **options)
