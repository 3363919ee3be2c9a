"""`Experiment`: a data set with settings and the figure to compare with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
MADE = ROOT / "runs" / "accuracy" / "data"  # what `prepare` makes of them


@dataclass(frozen=True)
class Experiment:
    """A data set, the settings, and the figure to compare with; files below the data folder, or "SOURCE,TARGET"."""

    train: str
    test: str
    published: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    valid: str | None = None
    metric: str = "accuracy"
    prepare: Callable[[], None] = lambda: None
