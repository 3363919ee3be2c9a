"""Checks that any task should pass; run them on your own with :func:`check_task`."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from gatewise.models.config import ModelConfig
from gatewise.tasks.task import Task
from gatewise.training.checkpoint import cpu_state
from gatewise.training.config import TrainConfig
from gatewise.training.evaluate import measure, run_model
from gatewise.training.fit import fit
from gatewise.training.progress import Silent
from gatewise.types import Batch, Example, Prediction


def check_overfits(task: Task, config: ModelConfig, examples: Sequence[Example], *, loss: float = 0.1) -> None:
    """A model that cannot learn eight examples by heart is wired wrongly."""
    few = examples[:8]
    model = _trained(task, replace(config, dropout=0.0), few, epochs=120)
    results = run_model(task, model, few, fabric=_cpu(), batch_size=8)
    assert results.loss < loss, f"{task.name}: loss {results.loss:.3f} on 8 examples after 120 epochs"


def check_padding_is_ignored(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """More padding, or NaN in it, changes neither loss nor answers."""
    batch = task.collate(examples)
    expected = _answers(task, model, batch)
    for fill in (0.0, 1e9, float("nan")):
        other = _answers(task, model, _repadded(batch, fill))
        assert abs(other[0] - expected[0]) <= 1e-4 * max(1.0, abs(expected[0])), (
            f"{task.name}: padding of {fill} counts"
        )
        _same(expected[1], other[1], f"{task.name}: padding of {fill} changes answers")


def check_one_equals_many(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """A sequence gets the same answer alone, in a batch, and in a batch in another order."""
    together = _answers(task, model, task.collate(examples))[1]
    alone = [_answers(task, model, task.collate([example]))[1][0] for example in examples]
    _same(together, alone, f"{task.name}: an answer depends on the batch")
    backwards = _answers(task, model, task.collate(examples[::-1]))[1][::-1]
    _same(together, backwards, f"{task.name}: an answer depends on the order")
    split = run_model(task, model, examples, fabric=_cpu(), batch_size=3)
    _same(together, split.predictions, f"{task.name}: an answer depends on the batch size")


def check_length_one(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """A sequence of one step has finite scores."""
    short = [example._replace(input=example.input[:1]) for example in examples]
    batch = task.collate(short)._replace(targets=None, target_lengths=None)
    outputs = model(batch)
    assert torch.isfinite(outputs.scores).all(), f"{task.name}: sequences of one step have no finite score"


def check_same_seed_same_curve(task: Task, config: ModelConfig, examples: Sequence[Example]) -> None:
    """Two trainings with one seed end with the same bits; with another seed they do not."""
    first, second, other = (cpu_state(_trained(task, config, examples, epochs=3, seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first), f"{task.name}: a seed does not decide"
    assert any(not torch.equal(first[name], other[name]) for name in first), f"{task.name}: the seed has no effect"


def check_metrics(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """The monitored metric exists; perfect answers get perfect marks."""
    results = run_model(task, model, examples, fabric=_cpu(), batch_size=4)
    metrics = measure(task, results)
    assert task.monitor.metric in metrics
    assert task.monitor.mode in ("min", "max")
    assert all(isinstance(value, int | float) for value in metrics.values())
    perfect = [
        prediction._replace(value=reference)
        for prediction, reference in zip(results.predictions, results.references, strict=True)
    ]
    best = task.metrics[task.monitor.metric](replace(results, predictions=perfect))
    given = metrics[task.monitor.metric]
    assert best >= given if task.monitor.mode == "max" else best <= given, f"{task.name}: perfect answers are not best"
    assert math.isclose(best, 1.0 if task.monitor.mode == "max" else 0.0, abs_tol=1e-9)


def check_task(task: Task, config: ModelConfig, examples: Sequence[Example]) -> None:
    """All of the above.

    Args:
        task: to be checked.
        config: of a small model.
        examples: 8 to 32 encoded examples, ragged.
    """
    model = _trained(task, config, examples, epochs=2).eval()
    check_overfits(task, config, examples)
    check_padding_is_ignored(task, model, examples)
    check_one_equals_many(task, model, examples)
    check_length_one(task, model, examples)
    check_same_seed_same_curve(task, config, examples)
    check_metrics(task, model, examples)


def _cpu() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def _trained(task: Task, config: ModelConfig, examples: Sequence[Example], *, epochs: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = task.build(config)
    settings = TrainConfig(epochs=epochs, batch_size=8, lr=0.02, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            task,
            model,
            examples,
            examples,
            settings,
            fabric=_cpu(),
            state_file=Path(folder) / "state.safetensors",
            watcher=Silent(),
        )
    return model


def _repadded(batch: Batch, fill: float) -> Batch:
    """The batch with five more steps of padding, all padding filled."""
    steps = batch.inputs.shape[1]
    inputs = nn.functional.pad(batch.inputs, (0, 0, 0, 5))
    padding = torch.arange(steps + 5) >= batch.lengths[:, None]
    targets = batch.targets
    if batch.target_lengths is batch.lengths and targets is not None:  # one a step
        targets = nn.functional.pad(targets, (0, 0, 0, 5))
    return batch._replace(inputs=inputs.masked_fill(padding[..., None], fill), targets=targets)


def _answers(task: Task, model: nn.Module, batch: Batch) -> tuple[float, list[Prediction]]:
    with torch.no_grad():
        outputs = model(batch)
        return float(task.loss(outputs, batch).total), task.predict(model, batch, outputs)


def _same(expected: Sequence[Prediction], got: Sequence[Prediction], what: str) -> None:
    for one, other in zip(expected, got, strict=True):
        for a, b in zip(one, other, strict=True):
            if isinstance(a, str) or a is None:
                assert a == b, what
            else:
                np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=1e-4, rtol=1e-4, err_msg=what)
