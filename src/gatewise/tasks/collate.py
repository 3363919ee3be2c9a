"""From encoded examples to a padded batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gatewise.types import Batch, Example


def pad_inputs(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Inputs ``[B, T, I]``, zero beyond each row's length, and lengths ``[B]``."""
    sequences = [torch.from_numpy(example.input) for example in examples]
    return pad_sequence(sequences, batch_first=True), torch.tensor([len(sequence) for sequence in sequences])


def with_labels(examples: Sequence[Example]) -> Batch:
    """One class number a row."""
    inputs, lengths = pad_inputs(examples)
    if examples[0].target is None:
        return Batch(inputs, lengths)
    return Batch(inputs, lengths, torch.tensor([example.target for example in examples]))


def with_values(examples: Sequence[Example]) -> Batch:
    """A vector ``[K]`` a row, or values ``[T, K]`` for the steps of a row."""
    inputs, lengths = pad_inputs(examples)
    if examples[0].target is None:
        return Batch(inputs, lengths)
    targets = [torch.from_numpy(np.asarray(example.target, dtype=np.float32)) for example in examples]
    if targets[0].ndim == 2:
        return Batch(inputs, lengths, pad_sequence(targets, batch_first=True), target_lengths=lengths)
    return Batch(inputs, lengths, torch.stack(targets))
