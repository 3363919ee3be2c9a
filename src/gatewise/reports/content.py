"""What a report is made of: plain data, gathered by whoever trained or evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatewise.training.config import Config
from gatewise.types import Results


@dataclass(frozen=True)
class Measured:
    """One data set on which the best weights were run.

    Attributes:
        name: ``"validation"``, ``"test"``, or a file's name.
        data: as read, of the kind that the task reads: targets, ids and rows, for the pictures.
        results: predictions and references, in the order of the data.
        metrics: name to value.
        memo: what a page has worked out of all this, so that it is not done twice.
    """

    name: str
    data: Any
    results: Results
    metrics: Mapping[str, float]
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Report:
    """Everything that the page of a run shows.

    Attributes:
        title: the name of the run's directory.
        config: every setting, resolved.
        versions: package to version.
        adapter: what was measured on the training data; that of the task.
        history: lines of ``metrics.jsonl``, one an epoch.
        train_data: what was learnt from, of the same kind as that of ``measured``.
        measured: validation first, test after it where there is one; the last is what the headline is about.
        padding: share of padding in training batches, 0 to 1.
        parameters: trainable parameters.
        seconds: training time.
        device: on what it was trained, such as ``"cpu, 2 threads"``.
    """

    title: str
    config: Config
    versions: Mapping[str, str]
    adapter: Any
    history: Sequence[Mapping[str, Any]]
    train_data: Any
    measured: Sequence[Measured]
    padding: float
    parameters: int
    seconds: float
    device: str

    @property
    def shown(self) -> Measured | None:
        """The last data set that has answers to compare with: the headline and the pictures are about it."""
        known = [measured for measured in self.measured if len(measured.results.references)]
        return known[-1] if known else None

    @property
    def splits(self) -> dict[str, Any]:
        """Every data set by name, training first."""
        return {"training": self.train_data, **{measured.name: measured.data for measured in self.measured}}

    @property
    def best_epoch(self) -> int | None:
        """The last epoch that was the best so far; its weights are kept."""
        best = [line["epoch"] for line in self.history if line.get("best")]
        return best[-1] if best else None
