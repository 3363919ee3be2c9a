"""`cross_validate`: one run a fold, and what they have in common."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.api.run import Run
from gatewise.api.training import configure, new_directory, train
from gatewise.errors import ConfigError
from gatewise.training.files import to_json, write_atomic


@dataclass(frozen=True)
class CrossValidation:
    """The runs of all folds.

    Attributes:
        path: the directory with one run directory a fold, ``fold-1`` and so on, and ``folds.json``.
        runs: one a fold.
    """

    path: Path
    runs: tuple[Run, ...]

    def columns(self) -> dict[str, dict[str, float]]:
        """Mean and standard deviation (of a sample) of each metric over the folds, each on its held-out part."""
        measured = [run.results["validation"] for run in self.runs]
        names = [name for name in measured[0] if name != "count"]
        values = {name: np.array([fold[name] for fold in measured]) for name in names}
        return {
            "mean": {name: float(values[name].mean()) for name in names},
            "std": {name: float(values[name].std(ddof=1)) for name in names},
        }


def cross_validate(
    task: str | None = None,
    *,
    folds: int | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    data: Any = None,
    targets: Any = None,
    valid: Any = None,
    test: Any = None,
    config: str | Path | None = None,
    init: str | Path | None = None,
    progress: bool = True,
) -> CrossValidation:
    """Trains one model a fold, each judged on the part it has not seen; what ``gatewise train --folds`` does.

    Args:
        task: as in :func:`gatewise.train`, as all others below.
        folds: into how many parts the data are cut; or ``data.folds`` in the settings.
        out: directory for the run directories of all folds.
        settings: as in :func:`gatewise.train`.
        resume: go on where a fold is missing or not finished.
        overwrite: replace the runs of all folds.
        data: as in :func:`gatewise.train`.
        targets: as in :func:`gatewise.train`.
        valid: must be None: each fold chooses its best epoch on its own part.
        test: as in :func:`gatewise.train`.
        config: as in :func:`gatewise.train`.
        init: as in :func:`gatewise.train`.
        progress: as in :func:`gatewise.train`.

    Returns:
        All runs. The measured part is also the one that chose the best epoch: a slightly hopeful estimate, which a
        ``test`` file is free of.

    Raises:
        ConfigError: no number of folds.
    """
    if valid is not None:
        raise ConfigError("folds: expected no validation file beside them, got one. Leave out one of the two.")
    chosen = configure({}, task, data, valid, test, init, config, settings)
    folds = folds or chosen.data.folds
    if folds is None or folds < 2:
        raise ConfigError(f"folds: expected at least 2, got {folds}. 5 is a good start.")
    settings = dict(settings or {})
    path = Path(out) if out is not None else new_directory(f"{chosen.task}-folds").path
    runs = []
    for fold in range(1, folds + 1):
        if progress:
            print(f"Fold {fold} of {folds}", file=sys.stderr)
        of_fold = {**settings, "data.folds": folds, "data.fold": fold}
        runs.append(
            train(
                task,
                data=data,
                targets=targets,
                test=test,
                out=path / f"fold-{fold}",
                config=config,
                settings=of_fold,
                resume=resume,
                overwrite=overwrite,
                init=init,
                progress=progress,
            )
        )
    result = CrossValidation(path, tuple(runs))
    write_atomic(path / "folds.json", to_json(result.columns(), indent=1))
    return result
