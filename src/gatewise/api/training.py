"""`train`: from data to a finished run."""

import contextlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gatewise.api.run import Run, fresh_model, read_optional, read_with_targets
from gatewise.data.adapter import Adapter, labels_of
from gatewise.errors import ConfigError, RunError
from gatewise.models.config import resolve
from gatewise.tasks import SIDES, TASKS, Task
from gatewise.training.checkpoint import Progress, Tensors
from gatewise.training.config import (
    Config,
    Plain,
    from_plain,
    merge,
    overlay,
    read_toml,
    settle,
    with_defaults,
)
from gatewise.training.fit import Epoch, Watcher, fit, make_fabric
from gatewise.training.prepare import Prepared, prepare
from gatewise.training.progress import make_watcher
from gatewise.training.run import RunDirectory, check_resumable
from gatewise.training.threads import cpu_threads


def train(
    task: str | None = None,
    *,
    data: Any = None,
    targets: Any = None,
    valid: Any = None,
    test: Any = None,
    out: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    init: str | Path | None = None,
    progress: bool = True,
    report: bool = True,
) -> "Run":
    """Trains a model and measures it; what ``gatewise train`` does.

    Args:
        task: ``"classification"`` or ``"regression"``; may stand in ``config`` instead.
        data: a file, an array ``[N, T, I]`` or ``[N, T]``, a list of arrays ``[T, I]`` or ``[T]``, a Polars or pandas
            frame, a PyTorch Dataset of (sequence, target), or a pair (sequences, targets).
        targets: one a sequence, where ``data`` has none in it.
        valid: data to choose the best epoch on, in any of these forms; default: a part of ``data``.
        test: data to measure on at the end; nothing is chosen by it.
        out: the run directory; default ``runs/<task>-<time>``.
        config: a TOML file with settings.
        settings: settings by name, such as ``{"train.lr": 1e-3, "model.recipe": "bilstm"}``; they win over the file.
        resume: go on with the training in ``out``; where there is none yet, begin.
        overwrite: replace the run in ``out``.
        init: a run whose weights to start from (fine-tuning); what does not fit is left as initialised, and said.
        progress: show progress on standard error.
        report: write ``report.html`` at the end.

    Returns:
        The finished run.

    Raises:
        ConfigError: settings that do not exist, or contradict each other; all of them.
        DataError: data that cannot be read, or do not fit the task.
        RunError: ``out`` is in use, or damaged.
        InterruptedTraining: SIGINT or SIGTERM came; the state is saved.

    Example:
        >>> import numpy as np, tempfile
        >>> x = np.random.default_rng(0).normal(size=(24, 8, 1))
        >>> y = ["up" if sequence.sum() > 0 else "down" for sequence in x]
        >>> out = tempfile.mkdtemp()
        >>> settings = {"train.epochs": 2}
        >>> run = train("classification", data=x, targets=y, out=out, settings=settings, progress=False, report=False)
        >>> run.predict(x[:3])[0] in ("up", "down")
        True
    """
    if resume and (out is None or overwrite):
        raise ConfigError("resume: expected out (--out) with the run to go on with, and no overwrite. Name it.")
    directory = None if out is None else RunDirectory(Path(out))
    before = directory.read_plain() if resume and directory is not None and directory.holds_run else {}
    chosen = configure(before, task, data, valid, test, init, config, settings)
    if chosen.data.folds is not None and chosen.data.fold is None:
        raise ConfigError("data.folds: expected data.fold beside it, got none. cross_validate runs all folds.")
    directory = directory or new_directory(chosen.task)
    directory.check_free(resume=resume, overwrite=overwrite)
    resumes = bool(before) and directory.file("state.safetensors").exists()  # without a checkpoint, from the beginning

    # Everything that can be wrong with data and settings is found before the first file is written.
    train_data = read_with_targets(chosen.data.train if data is None else data, targets, chosen)
    chosen = replace(chosen, data=SIDES[chosen.task].settle(chosen.data, train_data))
    valid_data = read_optional(valid if valid is not None else chosen.data.valid, chosen)
    test_data = read_optional(test if test is not None else chosen.data.test, chosen)
    prepared = prepare(train_data, valid_data, chosen)
    chosen = _settled(chosen, prepared)
    if resumes:
        check_resumable(directory, chosen)
    made = TASKS[chosen.task](chosen.loss, prepared.adapter)
    if test_data is not None:
        prepared.adapter.encode(test_data)  # what does not fit is told before the training, not after it
    with cpu_threads(chosen.train.threads):
        fabric = make_fabric(chosen.train)
        fabric.launch()
        model = fresh_model(made, chosen)
        notes = list(prepared.notes)
        if chosen.init is not None and not resumes:
            notes += _start_from(model, RunDirectory(Path(chosen.init)), prepared.adapter)
        notes += _try_out(made, model, prepared)
        shown = make_watcher(made.monitor.metric, show=progress and fabric.is_global_zero)
        holding = directory.held(anew=not resumes) if fabric.is_global_zero else contextlib.nullcontext()
        with holding:
            if fabric.is_global_zero and not resumes:
                directory.write_adapter(prepared.adapter)
                directory.write_config(chosen)
            fabric.barrier()
            shown.on_summary(_summary(chosen, prepared, model, fabric.device))
            for note in notes:
                shown.on_note(note)
            try:
                fitted = fit(
                    made,
                    model,
                    prepared.train,
                    prepared.valid,
                    chosen.train,
                    fabric=fabric,
                    state_file=directory.file("state.safetensors"),
                    watcher=_Recorder(directory, shown) if fabric.is_global_zero else shown,
                    on_best=directory.write_weights,
                )
            finally:
                shown.close()
            run = Run(directory, device=chosen.train.device, threads=chosen.train.threads)
            if fabric.is_global_zero:
                directory.write_weights(fitted.weights)
                run.finish(prepared, test_data, report=report)
            fabric.barrier()
    return run


class _Recorder:
    """Writes ``metrics.jsonl`` and passes everything on to what shows it."""

    def __init__(self, directory: RunDirectory, shown: Watcher) -> None:
        self.directory, self.shown = directory, shown

    def on_start(self, *, epochs: int, batches: int, progress: Progress) -> None:
        self.directory.cut_metrics(progress.epoch)
        self.shown.on_start(epochs=epochs, batches=batches, progress=progress)

    def on_step(self, *, sequences: int, loss: float) -> None:
        self.shown.on_step(sequences=sequences, loss=loss)

    def on_epoch(self, epoch: Epoch) -> None:
        self.directory.append_metrics(epoch.to_plain())
        self.shown.on_epoch(epoch)

    def on_note(self, note: str) -> None:
        self.shown.on_note(note)


def configure(
    before: Plain,
    task: str | None,
    data: Any,
    valid: Any,
    test: Any,
    init: str | Path | None,
    file: str | Path | None,
    settings: Mapping[str, Any] | None,
) -> Config:
    """Settings given, over those of a file, over those of the run that is resumed, over the defaults."""
    plain = overlay(before, read_toml(file) if file is not None else {})
    plain.pop("versions", None)  # a run's own config.toml may be used again
    files = {"data.train": data, "data.valid": valid, "data.test": test, "init": init}
    given = {name: str(value) for name, value in files.items() if isinstance(value, str | Path)}
    if task is not None:
        given["task"] = task
    plain = merge(plain, {**given, **(settings or {})})
    if "task" not in plain:
        raise ConfigError(f"task: expected one, got none. Choose from {', '.join(TASKS)}.")
    config = from_plain(with_defaults(plain), source=str(file) if file else "settings")
    if data is not None and not isinstance(data, str | Path):
        config = replace(config, data=replace(config.data, train=None))
    resolve(config.model)  # an option that the recipe does not have is told before any data are read
    return config


def _settled(config: Config, prepared: Prepared) -> Config:
    """The same with everything filled in that depends on the data.

    Raises:
        ConfigError: a threshold without two classes to decide between.
    """
    model = resolve(SIDES[config.task].model(config.model, prepared.adapter))
    train = settle(config.train, sequences=len(prepared.train), hidden_size=max(model.hidden_sizes or (0,)))
    labels = labels_of(prepared.adapter)
    if config.threshold != 0.5 and (labels is None or len(labels.classes) != 2):
        raise ConfigError(f"threshold: expected two classes to decide between, got {config.threshold} without them.")
    return replace(config, model=model, train=train)


def _try_out(task: Task, model: nn.Module, prepared: Prepared) -> list[str]:
    """One batch through model and loss: what fails there fails before an old run is replaced. Returns notes."""
    batch = task.collate(prepared.train[:2])
    model.eval()
    with torch.no_grad():
        task.loss(model(batch), batch)
    notes = SIDES[task.name].tried(model, prepared.train, prepared.train_data.where)
    model.train()
    return notes


def _summary(config: Config, prepared: Prepared, model: nn.Module, device: torch.device) -> str:
    data = prepared.train_data
    layout = f"{data.source}: {data.layout}.\n" if data.layout else ""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    threads = (
        f", {config.train.threads} thread{'s' if config.train.threads > 1 else ''}" if device.type == "cpu" else ""
    )
    return layout + (
        f"{len(data):,} {data.noun} to learn from, {len(prepared.valid_data):,} to choose the best epoch on; "
        f"{prepared.adapter.summary(data)}. "
        f"Recipe {config.model.recipe}, {parameters:,} parameters, {device.type}{threads}."
    )


def new_directory(name: str) -> RunDirectory:
    """Where a run goes that nobody gave a place: ``runs/<name>-<time>``, with a number where that is taken."""
    stem = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    places = itertools.chain([stem], (stem.with_name(f"{stem.name}-{number}") for number in itertools.count(2)))
    return RunDirectory(next(place for place in places if not place.exists()))


def _start_from(model: nn.Module, other: RunDirectory, adapter: Adapter) -> list[str]:
    """Takes over the weights of another run; returns what was left as initialised.

    Weights that do not fit are left, and those whose rows stand for something else: other classes, another vocabulary.
    """
    weights: Tensors = other.read_weights()
    mine = model.state_dict()
    theirs, ours = other.read_adapter().meanings(), adapter.meanings()
    others = [part for part, names in ours.items() if theirs.get(part) != names]
    fitting = {
        name: value
        for name, value in weights.items()
        if name in mine and mine[name].shape == value.shape and not any(part in name for part in others)
    }
    if not fitting:
        raise RunError(f"{other.path}: expected weights that fit this model, got none that do. Use the same recipe.")
    model.load_state_dict({**mine, **fitting})
    left = sorted(mine.keys() - fitting.keys())
    return [f"{other.path} had no fitting weights for {', '.join(left)}; they start anew"] if left else []
