"""gatewise: train, measure and run LSTM models on sequences of any kind."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewise import data, decoding, inspection, kernels, nn, samples
    from gatewise.api import Run, compare, cross_validate, experiment, load, train
    from gatewise.cell import Cell
    from gatewise.errors import (
        ConfigError,
        DataError,
        GatewiseError,
        KernelUnavailable,
        OptionError,
        RunError,
        ShapeError,
    )
    from gatewise.inspection.trace import trace
    from gatewise.kernels import use_kernel
    from gatewise.models import recipes
    from gatewise.nn import LSTM, LSTMCell, from_torch, to_torch
    from gatewise.nn.augmentation import Augment
    from gatewise.nn.norm import SequenceBatchNorm
    from gatewise.nn.stateful import StatefulStep
    from gatewise.training.fit import InterruptedTraining
    from gatewise.types import State

__version__ = "0.1.0"

# Public name -> where it lives. Resolved when first used (PEP 562), so that `import gatewise` costs little.
_HOMES = {
    "Augment": "gatewise.nn.augmentation",
    "Cell": "gatewise.cell",
    "ConfigError": "gatewise.errors",
    "DataError": "gatewise.errors",
    "GatewiseError": "gatewise.errors",
    "InterruptedTraining": "gatewise.training.fit",
    "KernelUnavailable": "gatewise.errors",
    "LSTM": "gatewise.nn",
    "LSTMCell": "gatewise.nn",
    "OptionError": "gatewise.errors",
    "Run": "gatewise.api",
    "RunError": "gatewise.errors",
    "SequenceBatchNorm": "gatewise.nn.norm",
    "ShapeError": "gatewise.errors",
    "State": "gatewise.types",
    "StatefulStep": "gatewise.nn.stateful",
    "compare": "gatewise.api",
    "cross_validate": "gatewise.api",
    "data": "",
    "decoding": "",
    "experiment": "gatewise.api",
    "from_torch": "gatewise.nn",
    "inspection": "",
    "kernels": "",
    "load": "gatewise.api",
    "nn": "",
    "recipes": "gatewise.models",
    "samples": "",
    "to_torch": "gatewise.nn",
    "trace": "gatewise.inspection.trace",
    "train": "gatewise.api",
    "use_kernel": "gatewise.kernels",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list, not two


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module "gatewise" has no attribute "{name}"')
    home = _HOMES[name]
    value = getattr(importlib.import_module(home), name) if home else importlib.import_module(f"gatewise.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
