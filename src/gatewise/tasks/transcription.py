"""A text for a sequence that is longer than it, by connectionist temporal classification (CTC)."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import nn

from gatewise.data.media_adapter import MediaAdapter
from gatewise.models.config import ModelConfig
from gatewise.tasks.collate import with_transcripts
from gatewise.tasks.task import LossConfig, Task
from gatewise.types import Batch, Loss, Monitor, Outputs, Prediction, Results


def of_transcripts(
    name: str, config: LossConfig, adapter: MediaAdapter, build_model: Callable[[ModelConfig], nn.Module]
) -> Task:
    """STUB: to be written by the author of CTC."""

    def loss(outputs: Outputs, batch: Batch) -> Loss:
        assert batch.targets is not None
        assert batch.target_lengths is not None
        total = F.ctc_loss(
            outputs.scores.float().log_softmax(-1).transpose(0, 1),
            batch.targets,
            outputs.lengths,
            batch.target_lengths,
            reduction="sum",
            zero_infinity=True,
        )
        return Loss(total, float(batch.target_lengths.sum()))

    def predict(model: nn.Module, batch: Batch, outputs: Outputs) -> list[Prediction]:
        answers = []
        for row, length in zip(outputs.scores.argmax(-1).tolist(), outputs.lengths.tolist(), strict=True):
            path = row[:length]
            numbers = [n for t, n in enumerate(path) if n and (t == 0 or n != path[t - 1])]
            answers.append(Prediction(adapter.vocabulary.decode(numbers)))
        return answers

    def references(batch: Batch) -> list[Any]:
        return batch.references or []

    def cer(results: Results) -> float:
        return float(sum(p.value != r for p, r in zip(results.predictions, results.references, strict=True)))

    return Task(name, with_transcripts, build_model, loss, predict, references, {"cer": cer}, Monitor("cer", "min"))
