"""Predictions, loss and metrics of a data set."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from gatewise.data.batching import evaluation_order, in_file_order, shard
from gatewise.tasks.task import Task
from gatewise.types import Example, Prediction, Results

OnBatch = Callable[[int], None]


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
    batches = evaluation_order([len(example.input) for example in examples], batch_size)
    mine = shard(batches, rank=fabric.global_rank, world_size=fabric.world_size) if fabric.world_size > 1 else batches
    predictions: list[Prediction] = []
    references: list[Any] = []
    total = count = 0.0
    with torch.inference_mode():
        for indices in mine:
            batch = task.collate([examples[i] for i in indices]).to(fabric.device)
            outputs = model(batch)
            if batch.targets is not None:
                loss = task.loss(outputs, batch)
                total += float(loss.total)
                count += float(loss.count)
            predictions += task.predict(model, batch, outputs)
            references += task.references(batch)
            on_batch(len(indices))
    model.train(was_training)
    if fabric.world_size > 1:
        predictions, references, mine, total, count = _gather(predictions, references, mine, total, count)
    return Results(
        total / count if count else float("nan"),
        in_file_order(predictions, mine),
        in_file_order(references, mine) if references else [],
    )


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
