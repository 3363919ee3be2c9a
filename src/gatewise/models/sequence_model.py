"""Models of one sequence: encoder, pool, head."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gatewise.errors import ShapeError
from gatewise.models.encoder import Encoder
from gatewise.nn.attention import AttentionPool
from gatewise.nn.augmentation import Augment, Augmentation
from gatewise.nn.convolution import ConvolutionBlock
from gatewise.sequences import mask_of_lengths
from gatewise.types import Batch, Outputs


class Scorer(Protocol):
    """A model of single sequences, as users hold it and as tasks run it."""

    def __call__(self, x: Tensor, lengths: Tensor | None = None) -> Tensor: ...

    def run(self, x: Tensor, lengths: Tensor | None = None, state: Any = None) -> Outputs: ...


class SequenceModel(nn.Module):
    """Encoder, pool and head: scores for a sequence, or for each of its steps.

    Args:
        encoder: gives a vector a step and the last state.
        pool: reduces the steps to one vector, or keeps them (:mod:`gatewise.nn.attention`).
        head: from the pooled vector to the scores.
        stem: blocks before the encoder, from (x, lengths) to the same; with a stride they shorten the sequence.
        augment: changes to the inputs in training.

    Shape:
        - x ``[B, T, I]``, lengths ``[B]`` or None; padding may hold anything
        - returns scores ``[B, K]``, or ``[B, T, K]`` where the pool keeps the steps

    Example:
        >>> from gatewise.models.recipes import bilstm
        >>> model = bilstm(input_size=1, num_classes=2).eval()
        >>> x = torch.randn(2, 6, 1)
        >>> alone = model(x[1:, :4])
        >>> together = model(x, lengths=torch.tensor([6, 4]))
        >>> bool(torch.allclose(alone[0], together[1], atol=1e-5))
        True
    """

    def __init__(
        self,
        encoder: Encoder,
        pool: nn.Module,
        head: nn.Module,
        *,
        stem: Sequence[nn.Module] = (),
        augment: Augment = Augment(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.augmentation = Augmentation(augment)
        self.stem = nn.ModuleList(stem)
        self.encoder = encoder
        self.pool = pool
        self.head = head

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.run(x, lengths).scores

    def run(self, x: Tensor, lengths: Tensor | None = None, state: Any = None) -> Outputs:
        """Scores with everything else that a task may need; ``state`` continues an earlier call."""
        steps = x.shape[1]
        x, lengths = at_the_door(x, lengths)
        before = every_length(x, lengths)
        x = self.augmentation(x)
        attended = None
        for block in self.stem:
            x, lengths = block(x, lengths)
            if getattr(block, "makes_frames", False):  # a share of a single sample says nothing, and takes its place
                steps, before = x.shape[1], every_length(x, lengths)
                attended = before
        encoded = self.encoder(x, lengths, state)
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        after = every_length(x, lengths)
        attention = None
        if isinstance(self.pool, AttentionPool):
            shares = self.pool.weights(encoded.steps, mask)
            pooled = (shares[:, None] @ encoded.steps).squeeze(1)
            if not any(getattr(block, "uneven", False) for block in self.stem):
                attention = spread_shares(shares, after, before, steps)
        else:
            pooled = self.pool(encoded.steps, mask, encoded.last)
        attended = None if attention is None else attended
        return Outputs(self.head(pooled), after, encoded.state, encoded.steps, attention, attended=attended)


class ConvolutionBeside(nn.Module):
    """A branch of convolutions beside a recurrent one, their pooled outputs joined (the LSTM-FCN shape).

    Args:
        encoder, pool: the recurrent branch.
        blocks: the convolution branch; pooled by its mean over the real steps.
        head: from both pooled vectors, recurrent first, to the scores.
        augment: changes to the inputs in training.

    Shape:
        - x ``[B, T, I]``, lengths ``[B]`` or None; returns scores ``[B, K]``

    References:
        Karim et al. 2018 (LSTM-FCN), 2019 (MLSTM-FCN).
    """

    def __init__(
        self,
        encoder: Encoder,
        pool: nn.Module,
        blocks: Sequence[ConvolutionBlock],
        head: nn.Module,
        *,
        augment: Augment = Augment(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.augmentation = Augmentation(augment)
        self.encoder = encoder
        self.pool = pool
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.run(x, lengths).scores

    def run(self, x: Tensor, lengths: Tensor | None = None, state: Any = None) -> Outputs:
        """Scores with everything else that a task may need."""
        x, lengths = at_the_door(x, lengths)
        x = self.augmentation(x)
        encoded = self.encoder(x, lengths, state)
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        recurrent = self.pool(encoded.steps, mask, encoded.last)
        y, left = x, lengths
        for block in self.blocks:
            y, left = block(y, left)
        # Padded steps are zero: the sum over all steps is that over the real ones.
        local = y.mean(1) if left is None else y.sum(1) / left.clamp(min=1)[:, None]
        scores = self.head(torch.cat([recurrent, local], 1))
        return Outputs(scores, every_length(x, lengths), encoded.state, encoded.steps)


class BatchModel(nn.Module):
    """Gives a model of tensors the form that tasks train: ``model(batch, state=None) -> Outputs``.

    Args:
        model: a :class:`Scorer`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, state: Any = None) -> Outputs:
        return self.model.run(batch.inputs, batch.lengths, state)  # type: ignore[no-any-return, operator]


def at_the_door(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Checks lengths, zeroes the padding, and drops lengths that say nothing: kernels are faster without.

    Raises:
        ShapeError: a length below 0 or above T.
    """
    if x.shape[1] == 0:  # one step of padding: convolutions and pooling then have something to look at
        return x.new_zeros(x.shape[0], 1, *x.shape[2:]), torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
    if lengths is None:
        return x, None
    if not torch.compiler.is_compiling():
        shortest, longest = lengths.aminmax()
        if shortest < 0 or longest > x.shape[1]:
            raise ShapeError(f"lengths: expected 0 to {x.shape[1]} steps, got {lengths.tolist()}.")
        if shortest == x.shape[1]:
            return x, None
    mask = mask_of_lengths(lengths, x.shape[1])
    return x.masked_fill(~mask.view(*mask.shape, *[1] * (x.ndim - 2)), 0.0), lengths


def spread_shares(shares: Tensor, after: Tensor, before: Tensor, steps: int) -> Tensor:
    """The shares of what a stem left of a sequence, given to the steps that it was made of.

    A row of ``L`` steps of which ``L'`` are left: the share of step ``t'`` belongs evenly to the time from ``t' L/L'``
    to ``(t'+1) L/L'``. Sums stay.

    Args:
        shares: ``[B, T']``, zero in the padding.
        after: ``[B]``, steps of each row that are left.
        before: ``[B]``, steps that each had.
        steps: ``T`` of the answer.

    Returns:
        ``[B, T]``, zero in the padding; computed in float64, or the small shares of long sequences would be lost in the
        sum of all before them.

    Example:
        >>> spread_shares(torch.tensor([[0.75, 0.25, 0.0]]), torch.tensor([2]), torch.tensor([4]), 5).tolist()
        [[0.375, 0.375, 0.125, 0.125, 0.0]]
    """
    if shares.shape[1] == steps and not torch.compiler.is_compiling() and torch.equal(after, before):
        return shares
    there = torch.device("cpu") if shares.device.type == "mps" else shares.device  # where there is float64
    total = nn.functional.pad(shares.to(there, torch.float64), (1, 0)).cumsum(1)  # [B, T' + 1]: until each border
    after, before = after.to(there), before.to(there)
    ratio = (after.double() / before.clamp(min=1))[:, None]
    border = torch.arange(steps + 1, device=there) * ratio
    border = torch.minimum(border, after[:, None].to(border.dtype))
    lower = border.floor().long().clamp(max=shares.shape[1] - 1)
    until = torch.lerp(total.gather(1, lower), total.gather(1, lower + 1), border - lower)
    return until.diff(dim=1).to(shares)


def every_length(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The lengths ``[B]``, all of them ``T`` where none are given."""
    return torch.full((x.shape[0],), x.shape[1], device=x.device) if lengths is None else lengths
