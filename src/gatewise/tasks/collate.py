"""From encoded examples to a padded batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gatewise.sequences import BOS, PAD
from gatewise.types import Batch, Example, Pair, Window, Words


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


def with_transcripts(examples: Sequence[Example]) -> Batch:
    """The characters of a transcript ``[B, S]`` a row, 0 beyond each one's length, and the text itself."""
    inputs, lengths = pad_inputs(examples)
    if examples[0].target is None:
        return Batch(inputs, lengths)
    targets, target_lengths = pad_tokens([example.target for example in examples])
    return Batch(inputs, lengths, targets, target_lengths, references=[example.reference for example in examples])


def with_values(examples: Sequence[Example]) -> Batch:
    """A vector ``[K]`` a row, or values ``[T, K]`` for the steps of a row."""
    inputs, lengths = pad_inputs(examples)
    if examples[0].target is None:
        return Batch(inputs, lengths)
    targets = [torch.from_numpy(np.asarray(example.target, dtype=np.float32)) for example in examples]
    if targets[0].ndim == 2:
        return Batch(inputs, lengths, pad_sequence(targets, batch_first=True), target_lengths=lengths)
    return Batch(inputs, lengths, torch.stack(targets))


def pad_tokens(rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Token numbers ``[B, T]``, ``PAD`` beyond each row's length, and lengths ``[B]``."""
    numbers = [torch.from_numpy(row) for row in rows]
    return pad_sequence(numbers, batch_first=True, padding_value=PAD), torch.tensor([len(row) for row in numbers])


def tokens_with_labels(examples: Sequence[Example]) -> Batch:
    """Texts with one class number each."""
    tokens, lengths = pad_tokens([example.input for example in examples])
    if examples[0].target is None:
        return Batch(tokens, lengths)
    return Batch(tokens, lengths, torch.tensor([example.target for example in examples]))


def words_with_tags(examples: Sequence[Example]) -> Batch:
    """Words, their characters, and a tag number for each."""
    words, lengths = pad_tokens([example.input.words for example in examples])
    longest = max(example.input.characters.shape[1] for example in examples)
    characters = torch.zeros(*words.shape, longest, dtype=torch.int64)
    for row, example in enumerate(examples):
        spelt = torch.from_numpy(example.input.characters)
        characters[row, : spelt.shape[0], : spelt.shape[1]] = spelt
    inputs = Words(words, characters)
    if examples[0].target is None:
        return Batch(inputs, lengths)
    return Batch(inputs, lengths, pad_tokens([example.target for example in examples])[0], target_lengths=lengths)


def tokens_with_next(examples: Sequence[Example]) -> Batch:
    """Stretches of a text, and for each token the one that comes after it."""
    tokens, lengths = pad_tokens([example.input for example in examples])
    following, _ = pad_tokens([example.target for example in examples])
    return Batch(tokens, lengths, following, target_lengths=lengths)


def sources_with_answers(examples: Sequence[Example]) -> Batch:
    """Texts, and the texts that answer them with a lead of one token for the decoder."""
    source, lengths = pad_tokens([example.input for example in examples])
    if examples[0].target is None:
        return Batch(Pair(source), lengths)
    targets, target_lengths = pad_tokens([example.target for example in examples])
    begin = torch.full((len(examples), 1), BOS)
    shifted = torch.cat([begin, targets[:, :-1]], 1)
    references = [example.reference for example in examples]
    return Batch(Pair(source, shifted), lengths, targets, target_lengths, references=references)


def windows(examples: Sequence[Example]) -> Batch:
    """Windows of series; shorter pasts are padded *before* their first step, so that all end at the same place."""
    pasts = [torch.from_numpy(example.input.past) for example in examples]
    lengths = torch.tensor([len(past) for past in pasts])
    longest = int(lengths.max())
    past = torch.stack([torch.nn.functional.pad(past, (0, 0, longest - len(past), 0)) for past in pasts])
    others = zip(*(example.input[1:] for example in examples), strict=True)
    inputs = Window(past, *(None if part[0] is None else torch.from_numpy(np.stack(part)) for part in others))
    if examples[0].target is None:
        return Batch(inputs, lengths)
    targets = torch.from_numpy(np.stack([example.target for example in examples]))
    return Batch(inputs, lengths, targets, references=[example.reference for example in examples])
