"""Reports of invented runs: curves like those of real ones, around data and answers that somebody else invents."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gatewise.reports.report import Measured, Report
from gatewise.tasks import SIDES, TASKS, Data
from gatewise.training.config import Config, DataConfig, TrainConfig
from gatewise.training.evaluate import measure
from gatewise.types import Results


def history(epochs: int, metrics: Mapping[str, float], *, best: int) -> list[dict[str, Any]]:
    """Curves that fall and level off."""
    lines = []
    for epoch in range(1, epochs + 1):
        fall = np.exp(-epoch / 8)
        valid = {
            f"valid_{name}": value * (1 - fall) for name, value in metrics.items() if name not in ("loss", "count")
        }
        lines.append(
            {
                "epoch": epoch,
                "step": epoch * 9,
                "lr": 3e-3 * np.sin(np.pi * epoch / (epochs + 1)),
                "train_loss": 2 * fall,
            }
            | {"valid_loss": 0.3 + 1.8 * fall + 0.004 * epoch, **valid, "best": epoch == best, "seconds": 1.37}
        )
    return lines


def report(task: str, train: Data, sets: Mapping[str, tuple[Data, Results]], **more: Any) -> Report:
    """A report of these data and answers."""
    config = more.pop("config", Config(task=task, data=DataConfig(train="data/train.ts"), train=TrainConfig(epochs=40)))
    adapter = more.pop("adapter", None) or SIDES[task].fit(train, config.data)
    measured = [
        Measured(name, data, results, measure(TASKS[task](config.loss, adapter), results))
        for name, (data, results) in sets.items()
    ]
    defaults = {
        "title": "vowels",
        "config": config,
        "versions": {"gatewise": "0.1.0", "python": "3.11.9", "torch": "2.13.0"},
        "adapter": adapter,
        "history": history(40, measured[0].metrics if measured else {}, best=31),
        "train_data": train,
        "measured": measured,
        "padding": 0.034,
        "parameters": 176_994,
        "seconds": 54.8,
        "device": "CPU, 2 threads",
    }
    return Report(**{**defaults, **more})
