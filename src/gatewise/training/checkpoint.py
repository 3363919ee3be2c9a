"""The state of a training in one safetensors file: numbers in its header, tensors in its body, nothing pickled."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gatewise.errors import RunError
from gatewise.training.files import write_atomic

Tensors = dict[str, Tensor]


@dataclass
class Progress:
    """How far a training is: everything but weights and optimiser.

    Attributes:
        epoch: the one under way, from 0.
        batch: the next batch of that epoch, from 0.
        step: optimiser steps so far.
        total, count: training loss summed over the epoch so far, and over how much.
        best: monitored metric of the best epoch; None before the first.
        best_loss: its validation loss, which decides between equals.
        best_epoch: counted from 1; 0 before the first.
        done: all epochs are over, or patience is.
        valid_losses: of every epoch so far.
        norms: lengths of the gradients of the epoch so far.
        usual_norm: the median of the first epoch; None before its end.
        lost: a part of the sequence got no gradient to speak of when that was last measured.
        warned: what a user was told of gradients, and is not told again.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    total: float = 0.0
    count: float = 0.0
    best: float | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    done: bool = False
    valid_losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    usual_norm: float | None = None
    lost: bool = False
    warned: list[str] = field(default_factory=list)


@dataclass
class Checkpoint:
    """All that is needed to go on as if nothing had happened. Random numbers need no state: see :mod:`.fit`."""

    progress: Progress
    model: Tensors
    best: Tensors
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]  # of gradients, in float16; else empty
    fingerprint: str
    average: Tensors = field(default_factory=dict)  # of the weights, where one is kept
    carried: Tensors = field(default_factory=dict)  # recurrent state within an epoch of a long text


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes ``state.safetensors``, replacing the one before in one step."""
    tensors = {f"model.{name}": value for name, value in checkpoint.model.items()}
    tensors |= {f"best.{name}": value for name, value in checkpoint.best.items()}
    tensors |= {f"average.{name}": value for name, value in checkpoint.average.items()}
    tensors |= {f"carried.{name}": value for name, value in checkpoint.carried.items()}
    numbers: dict[str, dict[str, Any]] = {}
    for index, slots in checkpoint.optimizer["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    header = {
        "progress": asdict(checkpoint.progress),
        "groups": checkpoint.optimizer["param_groups"],
        "numbers": numbers,
        "schedule": checkpoint.schedule,
        "scaler": checkpoint.scaler,
        "fingerprint": checkpoint.fingerprint,
    }
    write_atomic(path, save(detached(tensors), {"training": json.dumps(header)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads ``state.safetensors``.

    Raises:
        RunError: the file is damaged.
    """
    header, tensors = read_tensors(path, "training")
    try:
        return _checkpoint(header, tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{path}: expected the state of a training, got another file or another version's ({error!r}). "
            "Start anew with --overwrite."
        ) from None


def _checkpoint(header: dict[str, Any], tensors: Tensors) -> Checkpoint:
    parts: dict[str, Tensors] = {"model": {}, "best": {}, "average": {}, "carried": {}}
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        if part == "optimizer":
            index, slot = rest.split(".", 1)
            state.setdefault(int(index), {})[slot] = tensor
        else:
            parts[part][rest] = tensor
    for index, values in header["numbers"].items():
        state.setdefault(int(index), {}).update(values)
    return Checkpoint(
        progress=Progress(**header["progress"]),
        model=parts["model"],
        best=parts["best"],
        optimizer={"state": state, "param_groups": header["groups"]},
        schedule=header["schedule"],
        scaler=header["scaler"],
        fingerprint=header["fingerprint"],
        average=parts["average"],
        carried=parts["carried"],
    )


def read_tensors(path: Path, key: str) -> tuple[dict[str, Any], Tensors]:
    """Header entry ``key`` as JSON, and every tensor.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return json.loads(metadata[key]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path}: expected a weights file, got none. Is this a run directory?") from None
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise RunError(
            f"{path}: expected a complete safetensors file, got a damaged one ({error}). "
            "Restore it from a copy, or train again."
        ) from None


def detached(tensors: Tensors) -> Tensors:
    """On the CPU, contiguous, sharing memory with nothing: safetensors wants it so, and later steps must not show."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}


def load_into(model: nn.Module, tensors: Tensors, *, source: Path | str) -> None:
    """Puts weights into a model.

    Raises:
        RunError: the weights are of another model; names the first that does not fit.
    """
    mine = model.state_dict()
    wrong = [
        name
        for name in sorted(mine.keys() | tensors.keys())
        if name not in mine or name not in tensors or mine[name].shape != tensors[name].shape
    ]
    if wrong:
        raise RunError(
            f"{source}: expected the weights of this run's model, got others ({len(wrong)} do not fit, "
            f"first {wrong[0]}). Was config.toml changed?"
        )
    model.load_state_dict(tensors)


def cpu_state(model: nn.Module) -> Tensors:
    """A copy of a model's weights and buffers, on the CPU."""
    with torch.no_grad():
        return detached(model.state_dict())
