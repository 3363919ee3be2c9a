"""Every error that gatewise raises on purpose.

    GatewiseError
    ├── ShapeError(ValueError)             a tensor's size or dtype does not fit
    ├── OptionError(ValueError)            an argument's value is not one of those offered
    ├── DataError(ValueError)              a file or array cannot be read as sequences; names file, row and column
    ├── ConfigError(ValueError)            settings that contradict each other or do not exist; all of them at once
    ├── RunError(RuntimeError)             a run directory is missing, in the way, or damaged
    ├── KernelUnavailable(RuntimeError)    a kernel asked for by name cannot serve; says why
    └── InterruptedTraining                Ctrl-C while training; everything is saved (gatewise.training.fit)

A message reads ``<Who>: expected <what>, got <what>. <What to do.>`` and fits on one line. To catch them all:

    try:
        run = gatewise.train("classification", data="train.ts")
    except gatewise.GatewiseError as error:
        print(error)
"""

import difflib
from collections.abc import Iterable


class GatewiseError(Exception):
    """Base of every error raised on purpose."""


class ShapeError(GatewiseError, ValueError):
    """A tensor's size or dtype does not fit."""


class OptionError(GatewiseError, ValueError):
    """An argument's value is not one of those offered."""


class DataError(GatewiseError, ValueError):
    """A file or an array cannot be read as sequences."""


class ConfigError(GatewiseError, ValueError):
    """Settings contradict each other or do not exist."""


class RunError(GatewiseError, RuntimeError):
    """A run directory is missing, in the way, or damaged."""


class KernelUnavailable(GatewiseError, RuntimeError):  # noqa: N818  an established name: it reads as a state, not a fault
    """A kernel that was asked for by name cannot serve this request."""


def did_you_mean(given: str, offered: Iterable[str]) -> str:
    """Ends a message: the nearest of the offered words, or all of them.

    >>> did_you_mean("peepole", ["peephole", "coupled"])
    'Did you mean "peephole"?'
    >>> did_you_mean("x", ["peephole", "coupled"])
    'Choose from coupled, peephole.'
    """
    offered = sorted(offered)
    nearest = difflib.get_close_matches(given, offered, n=1)
    return f'Did you mean "{nearest[0]}"?' if nearest else f"Choose from {', '.join(offered)}."
