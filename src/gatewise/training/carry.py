"""Truncated backpropagation: the state is carried from batch to batch, the gradient is not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewise.types import Batch, Example


class Carry:
    """What a row remembers from one batch to the next.

    A row goes on where the batch before ended if its example follows the one that the row held there; else it begins
    with a state of zeros.

    In training a row also begins anew now and then, by chance: a model that has only ever read on can be driven by an
    unusual beginning into a saturated state that it never leaves (Melis, Dyer & Blunsom 2018 reset one row in a
    hundred).

    Args:
        reset: that chance, for each row and batch; drawn from torch's generator.

    Attributes:
        state: as the model returned it, cut off from its gradient; None before the first batch.
        positions: the examples of the batch before.
    """

    def __init__(self, reset: float = 0.0) -> None:
        self.reset = reset
        self.state: Any = None
        self.positions = np.arange(0)

    def resume(self, batch: Batch, examples: Sequence[Example], positions: np.ndarray) -> tuple[Batch, Any]:
        """The batch with what is known of its rows, and the state to begin with (None for zeros)."""
        if self.state is None or not any(example.follows for example in examples):
            return batch, None
        rows = len(positions)
        before = self.positions[:rows]
        follows = [
            row < len(before) and example.follows and position == before[row] + 1
            for row, (example, position) in enumerate(zip(examples, positions.tolist(), strict=True))
        ]
        continues = torch.tensor(follows)
        if self.reset:
            continues &= torch.rand(rows) >= self.reset
        continues = continues.to(batch.lengths.device)

        def begin(part: Tensor) -> Tensor:
            missing = rows - part.shape[1]
            kept = torch.nn.functional.pad(part, (0, 0, 0, missing)) if missing > 0 else part[:, :rows]
            return kept * continues[:, None]

        return batch._replace(continues=continues), map_state(begin, self.state)

    def keep(self, state: Any, positions: np.ndarray) -> None:
        """Remembers the state after a batch."""
        self.state = None if state is None else map_state(torch.Tensor.detach, state)
        self.positions = positions

    def to_tensors(self) -> dict[str, Tensor]:
        """For the checkpoint: each tensor by its place in the nested tuples, ``"0.1"``; and the positions."""
        if self.state is None:
            return {}
        return {**dict(_leaves(self.state)), "positions": torch.from_numpy(self.positions)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], device: torch.device, reset: float = 0.0) -> "Carry":
        """What ``to_tensors`` gave, on a device."""
        carry = cls(reset)
        if tensors:
            carry.positions = tensors["positions"].numpy()
            carry.state = _nested({name: value.to(device) for name, value in tensors.items() if name != "positions"})
        return carry


def map_state(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    """The same nested tuples with every tensor changed; states are ``[L*D, B, H]``."""
    if isinstance(state, Tensor):
        return change(state)
    parts = [map_state(change, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def _leaves(state: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield path, state
        return
    for number, part in enumerate(state):
        yield from _leaves(part, f"{path}.{number}" if path else str(number))


def _nested(tensors: dict[str, Tensor]) -> Any:
    if "" in tensors:
        return tensors[""]
    parts: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        first, _, rest = name.partition(".")
        parts.setdefault(int(first), {})[rest] = value
    return tuple(_nested(parts[number]) for number in sorted(parts))
