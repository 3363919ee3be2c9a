"""Averages of the weights over training steps: they often answer better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

_mean: Any = get_swa_multi_avg_fn  # torch does not type them
_exponential: Any = get_ema_multi_avg_fn
PATIENCE = 5  # epochs without progress before the averaging of "triggered" begins (Merity et al. 2018)
EMA_DECAY = 0.999


class Averaging:
    """Keeps an average of a model's weights beside it.

    Args:
        model: being trained.
        way: ``"none"``; ``"ema"``, an exponential moving average from the first step on; ``"triggered"``, the plain
            mean of all steps since the validation loss was first no better than more than five epochs before (NT-ASGD).

    References:
        Polyak & Juditsky 1992; Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models.
    """

    def __init__(self, model: nn.Module, way: str) -> None:
        self.way, self.source = way, model
        self.average: AveragedModel | None = None
        if way == "ema":
            self.begin()

    def begin(self) -> None:
        """Starts an average at the weights as they are."""
        self.average = AveragedModel(self.source, multi_avg_fn=_of_fractions(_mean()), use_buffers=True)

    def step(self) -> None:
        """Takes the weights after an optimiser step in."""
        if self.average is None:
            return
        if self.way == "ema":
            # It forgets faster at first: the random weights of the beginning are soon out of it.
            taken = int(self.average.n_averaged)
            self.average.multi_avg_fn = _of_fractions(_exponential(min(EMA_DECAY, (1 + taken) / (10 + taken))))
        self.average.update_parameters(self.source)

    def end_epoch(self, losses: list[float]) -> None:
        """Begins the average of ``"triggered"``, once the last of these validation losses is no progress."""
        stalled = len(losses) > PATIENCE and losses[-1] > min(losses[:-PATIENCE])
        if self.way == "triggered" and self.average is None and stalled:
            self.begin()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the average of its weights inside the ``with``, where there is one."""
        if self.average is None:
            yield
            return
        last = {name: value.clone() for name, value in self.source.state_dict().items()}
        self.source.load_state_dict(self.average.module.state_dict())
        try:
            yield
        finally:
            self.source.load_state_dict(last)

    def to_tensors(self) -> dict[str, Tensor]:
        """For the checkpoint."""
        return {} if self.average is None else self.average.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """What ``to_tensors`` gave."""
        if tensors:
            self.begin()
            assert self.average is not None
            self.average.load_state_dict(tensors)


def _of_fractions(average: Any) -> Any:
    """The same way of averaging, but of whole numbers (how many batches were seen) the latest: torch divides none."""

    def update(averages: list[Tensor], latest: list[Tensor], taken: Tensor) -> None:
        if averages[0].is_floating_point():
            average(averages, latest, taken)
        else:
            torch._foreach_copy_(averages, latest)

    return update
