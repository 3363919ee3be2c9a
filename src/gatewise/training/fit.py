"""The training loop: one for every task.

Everything random in it is a pure function of (seed, step): before each step torch's generator is seeded anew, and the
order of examples is computed from (seed, epoch). So a training that was stopped anywhere needs no random state to go
on exactly as if it had not been. The generator belongs to the process: trainings in several threads take turns.
"""

import hashlib
import logging
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from gatewise.data.batching import carried_order, epoch_order, padding_share, shard, steps_of
from gatewise.errors import ConfigError, GatewiseError, RunError
from gatewise.tasks.task import Task
from gatewise.training.allocator import release_gaps
from gatewise.training.averaging import Averaging
from gatewise.training.carry import Carry
from gatewise.training.checkpoint import (
    Checkpoint,
    Progress,
    Tensors,
    cpu_state,
    load_checkpoint,
    load_into,
    save_checkpoint,
)
from gatewise.training.config import TrainConfig
from gatewise.training.evaluate import follows, measure, run_model
from gatewise.training.gradients import Watch, gradient_norm, reach
from gatewise.types import Example

RELEASE_EVERY = 50  # steps between two looks for memory that is kept and not used


class Epoch(NamedTuple):
    """What is known at the end of an epoch; one line of ``metrics.jsonl``."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    valid: dict[str, float]
    best: bool
    seconds: float
    grad_norm: float | None = None  # mean length of the gradients, before they are shortened
    clipped: float | None = None  # share of the steps in which they were

    def to_plain(self) -> dict[str, Any]:
        """As written to ``metrics.jsonl``."""
        plain: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "lr": self.lr, "train_loss": self.train_loss}
        plain |= {f"valid_{name}": value for name, value in self.valid.items() if name != "count"}
        gradients = {"grad_norm": self.grad_norm, "clipped": self.clipped}
        plain |= {name: value for name, value in gradients.items() if value is not None}
        return plain | {"best": self.best, "seconds": round(self.seconds, 3)}


class Watcher(Protocol):
    """Told of everything that happens; shows progress, or not."""

    def on_start(self, *, epochs: int, batches: int, progress: Progress) -> None: ...

    def on_step(self, *, sequences: int, loss: float) -> None: ...

    def on_epoch(self, epoch: Epoch) -> None: ...

    def on_note(self, note: str) -> None: ...


class InterruptedTraining(GatewiseError):  # noqa: N818  not an error but a stop that was asked for
    """The user stopped the training; its state is saved in the run directory ``path``."""

    def __init__(self, path: Path, epoch: int, step: int) -> None:
        super().__init__(f"Stopped in epoch {epoch}, after step {step}; everything is saved in {path}.")
        self.path = path


@dataclass(frozen=True)
class Fitted:
    """The outcome: the best weights, and when they were found."""

    weights: Tensors
    progress: Progress


def fit(
    task: Task,
    model: nn.Module,
    train: Sequence[Example],
    valid: Sequence[Example],
    config: TrainConfig,
    *,
    fabric: Fabric,
    state_file: Path,
    watcher: Watcher,
    on_best: Callable[[Tensors], None] = lambda weights: None,
) -> Fitted:
    """Trains until the epochs or the patience are over, or goes on where ``state_file`` left off.

    Args:
        task: what is learnt.
        model: as ``task.build`` made it.
        train: examples to learn from.
        valid: examples to choose the best epoch on; where there are none, the last weights are kept.
        config: how.
        fabric: launched; device, precision, processes.
        state_file: where the state is kept; if it exists, the training goes on from it.
        watcher: told of every step and epoch.
        on_best: given the weights whenever they are the best so far, before the state says so.

    Returns:
        The best weights.

    Raises:
        InterruptedTraining: SIGINT or SIGTERM came; the state is saved.
        RunError: ``state_file`` is damaged, or of other data.
    """
    loop = _Loop(task, model, train, valid, config, fabric, state_file, watcher, on_best)
    with _TURN, torch.random.fork_rng(devices=_cuda_devices(fabric)), _stop_on_signals() as stop:
        loop.run(stop)
    return Fitted(loop.best, loop.progress)


_TURN = threading.Lock()


class _Loop:
    """The objects that one training needs together."""

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        train: Sequence[Example],
        valid: Sequence[Example],
        config: TrainConfig,
        fabric: Fabric,
        state_file: Path,
        watcher: Watcher,
        on_best: Callable[[Tensors], None],
    ) -> None:
        self.task, self.train, self.valid, self.config = task, train, valid, config
        self.fabric, self.state_file, self.watcher, self.on_best = fabric, state_file, watcher, on_best
        self.reads_on = follows(train)
        self.lengths = np.zeros(0, np.int64) if self.reads_on else steps_of(train)
        self.steps_per_epoch = len(self.batches(0))
        self.fingerprint = fingerprint(train, valid)
        optimizer = make_optimizer(model, config)
        self.raw_model = model
        self.carry = Carry(self.config.state_reset)
        self.progress = Progress()
        self.best: Tensors = cpu_state(model)
        self.schedule = make_schedule(optimizer, config, self.steps_per_epoch * config.epochs, task.monitor.mode)
        self.optimizer: Any
        self.model, self.optimizer = fabric.setup(model, optimizer)
        self.averaging = Averaging(model, config.average)
        self.watch = Watch(config.clip_norm, config.lr)
        if state_file.exists():
            # Only now: the optimiser's state takes device and dtype of the weights, which Fabric has just moved.
            self.restore(load_checkpoint(state_file), optimizer)
        self.saved_at = time.monotonic()

    def batches(self, epoch: int) -> list[np.ndarray]:
        if self.reads_on:
            order = carried_order(len(self.train), self.config.batch_size)
        else:
            order = epoch_order(
                self.lengths, self.config.batch_size, seed=self.config.seed, epoch=epoch, bucket=self.config.bucket
            )
        if self.fabric.world_size == 1:
            return order
        return shard(order, rank=self.fabric.global_rank, world_size=self.fabric.world_size)

    def run(self, stop: threading.Event) -> None:
        progress = self.progress
        self.watcher.on_start(epochs=self.config.epochs, batches=self.steps_per_epoch, progress=progress)
        while not progress.done:
            started = time.monotonic()
            self.model.train()
            for indices in self.batches(progress.epoch)[progress.batch :]:
                if self.step(indices, stop):
                    self.save()
                    raise InterruptedTraining(self.state_file.parent, progress.epoch + 1, progress.step)
                if progress.step % RELEASE_EVERY == 0:
                    release_gaps()
                if time.monotonic() - self.saved_at > 60 * self.config.save_minutes:
                    self.save()
            self.end_epoch(started)

    def step(self, indices: np.ndarray, stop: threading.Event) -> bool:
        """One optimiser step; returns whether any process was asked to stop, so that all stop together."""
        asked = False
        progress, config = self.progress, self.config
        torch.manual_seed(_step_seed(config.seed, progress.step, self.fabric.global_rank))
        chosen = [self.train[i] for i in indices]
        batch, state = self.carry.resume(self.task.collate(chosen).to(self.fabric.device), chosen, indices)
        outputs = self.model(batch, state)
        loss = self.task.loss(outputs, batch)
        if self.reads_on:
            self.carry.keep(outputs.state, indices)
        total, count = float(loss.total.detach()), float(loss.count)
        if self.fabric.world_size > 1:
            # Data parallelism averages gradients; dividing by the global count makes that the global mean.
            sums = torch.tensor([total, count, stop.is_set()], dtype=torch.float64, device=self.fabric.device)
            torch.distributed.all_reduce(sums)
            total, count, asked = float(sums[0]), float(sums[1]), bool(sums[2])
        if not math.isfinite(total):
            raise RunError(
                f"Training: expected a finite loss, got {total} at step {progress.step + 1}. "
                f"Lower train.lr{self.unshortened}, or look for extreme values in the data (gatewise data)."
            )
        self.optimizer.zero_grad()
        self.fabric.backward(loss.total * (self.fabric.world_size / count))
        self.clip()
        self.optimizer.step()
        self.averaging.step()
        if not isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step()
        progress.total += total
        progress.count += count
        progress.batch += 1
        progress.step += 1
        self.watcher.on_step(sequences=len(indices) * self.fabric.world_size, loss=progress.total / progress.count)
        return asked if self.fabric.world_size > 1 else stop.is_set()

    @property
    def unshortened(self) -> str:
        """What else may be done against gradients that explode: in the middle of a list."""
        return "" if self.config.clip_norm else ", shorten gradients (train.clip_norm, now 0)"

    def clip(self) -> None:
        """Shortens the gradient; one that is not finite would turn every weight into NaN."""
        if self.config.clip_norm == 0:
            if self.config.precision != "16":  # there it is scaled, and nothing has yet scaled it back
                self.watch.take(gradient_norm(self.raw_model.parameters()))
            return
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
        )
        if norm is not None:
            self.watch.take(norm)
        # In float16 it happens now and then: the scaler sees it, leaves the step out and scales less.
        if self.config.precision != "16" and norm is not None and not math.isfinite(float(norm)):
            raise RunError(
                f"Training: expected a finite gradient, got {float(norm)} at step {self.progress.step + 1}. "
                "Lower train.lr, or look for extreme values in the data (gatewise data)."
            )

    def end_epoch(self, started: float) -> None:
        """Measures, keeps the best, writes down."""
        progress, monitor = self.progress, self.task.monitor
        valid: dict[str, float] = {}
        with self.averaging.applied():
            if self.valid:
                results = run_model(
                    self.task, self.model, self.valid, fabric=self.fabric, batch_size=2 * self.config.batch_size
                )
                valid = measure(self.task, results)
                progress.valid_losses.append(valid["loss"])
            self.keep_best(valid)
        self.averaging.end_epoch(progress.valid_losses)
        self.carry = Carry(self.config.state_reset)
        better = progress.best_epoch == progress.epoch + 1
        lr = self.optimizer.param_groups[0]["lr"]
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(valid[monitor.metric])
        train_loss = progress.total / progress.count
        progress.epoch += 1
        progress.batch, progress.total, progress.count = 0, 0.0, 0.0
        grad_norm, clipped, notes = self.watch.end_epoch(progress)
        if self.fabric.is_global_zero and self.watch.wants_reach(progress, self.raw_model):
            found = reach(self.task, self.raw_model, self.train, self.fabric.device)
            notes += self.watch.vanishing(progress, found, self.raw_model)
        stale = progress.epoch - progress.best_epoch
        progress.done = progress.epoch >= self.config.epochs or 0 < self.config.patience <= stale
        # The line first: metrics that are ahead of the state are cut back, the other way round one would be lost.
        self.watcher.on_epoch(
            Epoch(
                progress.epoch,
                progress.step,
                lr,
                train_loss,
                valid,
                better,
                time.monotonic() - started,
                grad_norm,
                clipped,
            )
        )
        for note in notes if self.fabric.is_global_zero else []:
            self.watcher.on_note(note)
        self.save()

    def keep_best(self, valid: dict[str, float]) -> None:
        """Keeps the weights where they are the best so far; where nothing chooses, always."""
        progress, monitor = self.progress, self.task.monitor
        if valid and not is_better(valid[monitor.metric], valid["loss"], progress, monitor.mode):
            return
        progress.best, progress.best_loss = valid.get(monitor.metric), valid.get("loss")
        progress.best_epoch = progress.epoch + 1
        self.best = cpu_state(self.raw_model)
        if self.fabric.is_global_zero:
            self.on_best(self.best)

    def save(self) -> None:
        self.watch.settle(self.progress)
        if self.fabric.is_global_zero:
            checkpoint = Checkpoint(
                self.progress,
                self.raw_model.state_dict(),
                self.best,
                self.optimizer.state_dict(),
                _json_ready(self.schedule.state_dict()),
                _json_ready(self.fabric.strategy.precision.state_dict()),
                self.fingerprint,
                self.averaging.to_tensors(),
                self.carry.to_tensors(),
            )
            save_checkpoint(self.state_file, checkpoint)
        self.saved_at = time.monotonic()

    def restore(self, checkpoint: Checkpoint, optimizer: torch.optim.Optimizer) -> None:
        if checkpoint.fingerprint != self.fingerprint:
            raise RunError(
                f"{self.state_file}: expected the data that this training began with, got other sequences. "
                "Resume with the same file, or start anew in another directory."
            )
        load_into(self.raw_model, checkpoint.model, source=self.state_file)
        optimizer.load_state_dict(checkpoint.optimizer)
        self.schedule.load_state_dict(checkpoint.schedule)
        self.fabric.strategy.precision.load_state_dict(checkpoint.scaler)
        self.progress, self.best = checkpoint.progress, checkpoint.best
        self.averaging.restore(checkpoint.average)
        self.carry = Carry.from_tensors(checkpoint.carried, self.fabric.device, self.config.state_reset)


def is_better(metric: float, loss: float, progress: Progress, mode: str) -> bool:
    """Whether an epoch beats the best so far: by the metric, between equals by the loss. NaN beats nothing."""
    if math.isnan(metric):
        return False
    if progress.best is None or progress.best_loss is None:
        return True
    if metric == progress.best:
        return loss < progress.best_loss
    return metric > progress.best if mode == "max" else metric < progress.best


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """What turns gradients into steps; see :class:`TrainConfig`."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def make_schedule(
    optimizer: torch.optim.Optimizer, config: TrainConfig, steps: int, mode: str
) -> LambdaLR | OneCycleLR | ReduceLROnPlateau:
    """The learning rate over time; see :class:`TrainConfig`."""
    if config.schedule == "one-cycle":
        # +1: torch asks for the rate of the step after the last one too.
        return OneCycleLR(optimizer, max_lr=config.lr, total_steps=steps + 1, pct_start=0.3)
    if config.schedule == "plateau":
        wait = max(config.patience // 2, 1) if config.patience else 5
        return ReduceLROnPlateau(optimizer, mode=mode, patience=wait)  # type: ignore[arg-type]
    return LambdaLR(optimizer, lambda step: 1.0)


def make_fabric(config: TrainConfig, *, distributed: bool = True) -> Fabric:
    """Device, precision and processes of a run; several processes where ``torchrun`` started it.

    Args:
        config: of the run.
        distributed: False for one process in any case: each then works for itself.

    Returns:
        The fabric, to be launched.

    Raises:
        ConfigError: the device does not exist here.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", config.device):
        raise ConfigError(f'train.device: expected auto, cpu, cuda, cuda:N or mps, got "{config.device}".')
    kind, _, number = config.device.partition(":")
    if config.precision == "16" and (kind == "cpu" or (kind == "auto" and not torch.cuda.is_available())):
        raise ConfigError("train.precision: expected 32, bf16 or 64 on a CPU, got 16. Use --precision bf16.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"train.device: expected a device that is here, got {config.device} with {torch.cuda.device_count()} "
            "CUDA devices. Use --device cpu."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            "train.device: expected a device that is here, got mps without Apple's GPU. Use --device cpu."
        )
    precision = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed", "16": "16-mixed"}[config.precision]
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what the user has just asked for
    if "TORCHELASTIC_RUN_ID" in os.environ and distributed:
        if number:
            raise ConfigError(
                f"train.device: expected cuda under torchrun, got {config.device}. It deals out the GPUs."
            )
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        return Fabric(accelerator=kind, devices=local, num_nodes=nodes, precision=precision, strategy="ddp")  # type: ignore[arg-type]
    devices: Any = [int(number)] if number else 1
    return Fabric(accelerator=kind, devices=devices, precision=precision)  # type: ignore[arg-type]


def fingerprint(*sides: Sequence[Example]) -> str:
    """A hash of encoded examples: a training can only go on with the data it began with."""
    digest = hashlib.sha256()
    for examples in sides:
        digest.update(b"side")
        for example in examples:
            inputs = example.input if isinstance(example.input, tuple) else (example.input,)
            for values in (*inputs, np.asarray(example.target)):
                digest.update(f"{values.shape} {values.dtype}".encode())
                digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def training_padding(examples: Sequence[Example], config: TrainConfig) -> float:
    """Share of padding in the batches of the first epoch."""
    if follows(examples):
        return 0.0
    lengths = steps_of(examples)
    batches = epoch_order(lengths, config.batch_size, seed=config.seed, epoch=0, bucket=config.bucket)
    return padding_share(batches, lengths)


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Distinct for distinct arguments, and far apart for neighbours."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)


def _cuda_devices(fabric: Fabric) -> list[int]:
    return [fabric.device.index or 0] if fabric.device.type == "cuda" else []


def _json_ready(state: dict[str, Any]) -> dict[str, Any]:
    """A schedule's numbers; LambdaLR keeps its functions there too, as None."""
    return {name: value for name, value in state.items() if isinstance(value, int | float | str | list | None)}


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event, so that a step is always whole; a second SIGINT stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return

    def handle(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
