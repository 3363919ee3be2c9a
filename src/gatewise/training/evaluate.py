"""Predictions, loss and metrics of a data set."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from gatewise.data.batching import carried_order, evaluation_order, in_file_order, shard, steps_of
from gatewise.tasks.task import Task
from gatewise.training.carry import Carry
from gatewise.types import Example, Prediction, Results

OnBatch = Callable[[int], None]

# A long text is measured in so many runs side by side, each of so many stretches at least.
ROWS = 8
LEAST = 32


def run_model(
    task: Task,
    model: nn.Module,
    examples: Sequence[Example],
    *,
    fabric: Fabric,
    batch_size: int,
    on_batch: OnBatch = lambda sequences: None,
) -> Results:
    """Every prediction, in the order of the examples, with references and mean loss where there are targets.

    Args:
        task: what is predicted.
        model: called as ``model(batch) -> Outputs``; its training mode is put back afterwards.
        examples: encoded sequences.
        fabric: device and precision; with several processes each runs its share and all return everything.
        batch_size: sequences at once; no answer depends on it.
        on_batch: told how many sequences were done.

    Returns:
        Results; the loss is NaN without targets.
    """
    was_training = model.training
    model.eval()
    batches = measuring_order(examples, batch_size)
    # Too few rows to deal out: each process then does all of them.
    together = 1 < fabric.world_size <= min(map(len, batches), default=0)
    mine = shard(batches, rank=fabric.global_rank, world_size=fabric.world_size) if together else batches
    predictions: list[Prediction] = []
    references: list[Any] = []
    total = count = 0.0
    carry, reads_on = Carry(), follows(examples)
    with torch.inference_mode():
        for indices in mine:
            chosen = [examples[i] for i in indices]
            batch, state = carry.resume(task.collate(chosen).to(fabric.device), chosen, indices)
            outputs = model(batch, state)
            if reads_on:
                carry.keep(outputs.state, indices)
            if batch.targets is not None:
                loss = task.loss(outputs, batch)
                total += float(loss.total)
                count += float(loss.count)
            predictions += task.predict(model, batch, outputs)
            references += task.references(batch)
            on_batch(len(indices))
    model.train(was_training)
    if together:
        predictions, references, mine, total, count = _gather(predictions, references, mine, total, count)
    return Results(
        total / count if count else float("nan"),
        in_file_order(predictions, mine),
        in_file_order(references, mine) if references else [],
    )


def measuring_order(examples: Sequence[Example], batch_size: int) -> list[np.ndarray]:
    """The batches in which examples are measured: the longest first, or reading on where they follow one another.

    Those that follow are read in at most :data:`ROWS` runs, whatever the batch size, so that it changes no answer: only
    the first example of each run lacks what came before it.
    """
    if follows(examples):
        return carried_order(len(examples), max(1, min(ROWS, len(examples) // LEAST)))
    return evaluation_order(steps_of(examples), batch_size)


def follows(examples: Sequence[Example]) -> bool:
    """Whether these are stretches of one long sequence."""
    return len(examples) > 1 and examples[1].follows


def _gather(*mine: Any) -> list[Any]:
    """What each process has of each thing, added: lists one after another, numbers summed."""
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, mine)
    return [functools.reduce(operator.add, things) for things in zip(*parts, strict=True)]


def measure(task: Task, results: Results) -> dict[str, float]:
    """Count, loss and every metric of the task, flat."""
    return {
        "count": len(results.predictions),
        "loss": results.loss,
        **{name: metric(results) for name, metric in task.metrics.items()},
    }
