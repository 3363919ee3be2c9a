"""Drawings and movements as other people, or the same at another time, would have made them: blocks before a model.

Like every block of a stem they take ``(x, lengths)`` and return the same. What is random is so in training only.
"""

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.sequences import mask_of_lengths


class StrokeJitter(nn.Module):
    """In training each drawing is turned, slanted and stretched a little; its features are then those of the new one.

    It reads features as the data side makes them of the points of a pen: x and y, about the middle of the drawing, its
    larger side from -1 to 1; the way from the point before over the root mean square of the ways that were drawn; its
    direction as cosine and sine; 1 where the pen is lifted after the point.

    Args:
        amount: of all changes: standard deviations are so many times 0.15 radians of rotation, 0.2 of slant and 0.15 of
            stretch (its logarithm) of each axis; 0 for none.

    Shape:
        - input, output: ``[B, T, 7]`` and lengths ``[B]`` or None; the output is zero in the padding

    Raises:
        OptionError: an amount below 0 or above 10.

    References:
        Simard, Steinkraus & Platt 2003 (affine distortions of characters).
    """

    ROTATION, SLANT, STRETCH = 0.15, 0.2, 0.15

    def __init__(self, amount: float = 1.0) -> None:
        super().__init__()
        if not 0 <= amount <= 10:
            raise OptionError(f"StrokeJitter: expected an amount from 0 to 10, got {amount}. 1 is a good start.")
        self.amount = amount

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if not self.training or self.amount == 0:
            return x, lengths
        return transformed_strokes(x, lengths, self.draw(x)), lengths

    def draw(self, x: Tensor) -> Tensor:
        """One map of the plane a row ``[B, 2, 2]``."""
        turn, slant, across, along = self.amount * torch.randn(4, len(x), dtype=x.dtype, device=x.device)
        turn, slant = turn * self.ROTATION, slant * self.SLANT
        rows = [turn.cos(), -turn.sin(), turn.sin(), turn.cos()]
        rotation = torch.stack(rows, -1).view(-1, 2, 2)
        one, zero = torch.ones_like(turn), torch.zeros_like(turn)
        shear = torch.stack([one, slant, zero, one], -1).view(-1, 2, 2)
        stretch = torch.stack([across, along], -1).mul(self.STRETCH).exp().diag_embed()
        drawn: Tensor = rotation @ shear @ stretch
        return drawn

    def extra_repr(self) -> str:
        """The option, for ``repr``."""
        return f"amount={self.amount}"


def transformed_strokes(x: Tensor, lengths: Tensor | None, matrix: Tensor) -> Tensor:
    """The features of drawings ``[B, T, 7]`` of which every point went through ``matrix [B, 2, 2]``."""
    position, way = (part @ matrix.mT for part in (x[..., 0:2], x[..., 2:4]))
    real = x.new_ones(x.shape[:2], dtype=torch.bool) if lengths is None else mask_of_lengths(lengths, x.shape[1])
    low = position.masked_fill(~real[..., None], torch.inf).amin(1, keepdim=True)
    high = position.masked_fill(~real[..., None], -torch.inf).amax(1, keepdim=True)
    half = ((high - low) / 2).amax(2, keepdim=True)
    position = (position - (low + high) / 2) / torch.where(half > 0, half, 1.0)
    length = way.norm(dim=-1, keepdim=True)
    drawn = real.clone()
    drawn[:, 0] = False
    drawn[:, 1:] &= x[:, :-1, 6] < 0.5
    count = drawn.sum(1).clamp(min=1)[:, None, None]
    length = length.masked_fill(~real[..., None], 0.0)
    usual = ((length**2 * drawn[..., None]).sum(1, keepdim=True) / count).sqrt()
    usual = torch.where(usual > 0, usual, length.amax(1, keepdim=True))
    direction = way / torch.where(length > 0, length, 1.0)
    changed = torch.cat([position, way / torch.where(usual > 0, usual, 1.0), direction, x[..., 6:]], -1)
    return changed.masked_fill(~real[..., None], 0.0)


class MovementJitter(nn.Module):
    """In training each clip of a skeleton is turned about the vertical axis, tilted, and stretched a little.

    Features are triples of coordinates, the second one vertical.

    Args:
        amount: of all changes: standard deviations are so many times 0.3 radians about the vertical, 0.1 of tilt about
            each other axis, and 0.1 of stretch (its logarithm) of each axis; 0 for none.

    Shape:
        - input, output: ``[B, T, 3 K]`` and lengths ``[B]`` or None

    Raises:
        OptionError: an amount below 0 or above 10.
    """

    TURN, TILT, STRETCH = 0.3, 0.1, 0.1

    def __init__(self, amount: float = 1.0) -> None:
        super().__init__()
        if not 0 <= amount <= 10:
            raise OptionError(f"MovementJitter: expected an amount from 0 to 10, got {amount}. 1 is a good start.")
        self.amount = amount

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if not self.training or self.amount == 0:
            return x, lengths
        B, T, size = x.shape
        return (x.view(B, T * size // 3, 3) @ self.draw(x).mT).view(B, T, size), lengths

    def draw(self, x: Tensor) -> Tensor:
        """One map of space a row ``[B, 3, 3]``."""
        angles = torch.randn(len(x), 3, dtype=x.dtype, device=x.device)
        angles = self.amount * angles * angles.new_tensor([self.TILT, self.TURN, self.TILT])
        # The exponential of a skew-symmetric matrix is the rotation about that axis by its length (Rodrigues).
        a, b, c = angles.unbind(-1)
        zero = torch.zeros_like(a)
        skew = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], -1).view(-1, 3, 3)
        stretch = (self.amount * self.STRETCH * torch.randn_like(angles)).exp()
        turned: Tensor = torch.linalg.matrix_exp(skew)
        return turned * stretch[:, None]

    def extra_repr(self) -> str:
        """The option, for ``repr``."""
        return f"amount={self.amount}"


class TimeResample(nn.Module):
    """Every sequence with the same number of steps, evenly over it, values between two steps interpolated.

    In training a part at both ends may be left out, and the pace may change on the way.

    Args:
        steps: of the output, ``N``.
        crop: at most this share is left out at either end, in training.
        pace: it is at most this share faster or slower than even, in training; below 1.

    Shape:
        - input: ``[B, T, I]``, lengths ``[B]`` or None
        - output: ``[B, N, I]`` and lengths: ``N``, or 0 for a row of no steps (then zeros); None where none is empty
          because none were given

    Raises:
        OptionError: no steps, or a share out of range.

    Example:
        >>> x = torch.tensor([[[0.0], [2.0], [9.0]]])
        >>> TimeResample(5).eval()(x, torch.tensor([2]))[0].flatten().tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    def __init__(self, steps: int, *, crop: float = 0.0, pace: float = 0.0) -> None:
        super().__init__()
        if steps < 1 or not 0 <= crop < 0.5 or not 0 <= pace < 1:
            raise OptionError(
                f"TimeResample: expected at least 1 step, crop in [0, 0.5) and pace in [0, 1), got {steps}, {crop} "
                f"and {pace}."
            )
        self.steps, self.crop, self.pace = steps, crop, pace

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        B, T, _ = x.shape
        real = torch.full((B,), T, device=x.device) if lengths is None else lengths
        # Positions in float32 whatever the precision: 16 bits do not tell step 2,049 from 2,048.
        at = torch.linspace(0, 1, self.steps, device=x.device).expand(B, -1)
        if self.training and self.pace:
            # The derivative is 1 + w cos(...): the pace, never below 1 - w.
            phase = torch.rand(B, 1, device=x.device)
            pace = self.pace * (2 * torch.rand(B, 1, device=x.device) - 1)
            turn = 2 * torch.pi
            at = at + pace / turn * ((turn * (at + phase)).sin() - (turn * phase).sin())
        if self.training and self.crop:
            start, stop = self.crop * torch.rand(2, B, 1, device=x.device)
            at = start + at * (1 - start - stop)
        position = at.clamp(0, 1) * (real - 1).clamp(min=0)[:, None]
        before = position.floor().long()
        after = torch.minimum(before + 1, (real - 1).clamp(min=0)[:, None])
        share = (position - before)[..., None].to(x.dtype)
        y = torch.lerp(_at(x, before), _at(x, after), share)
        if lengths is None:
            return y, None
        return y.masked_fill((real == 0)[:, None, None], 0.0), (real > 0) * self.steps

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"steps={self.steps}, crop={self.crop}, pace={self.pace}"


def _at(x: Tensor, steps: Tensor) -> Tensor:
    """``x [B, T, I]`` at ``steps [B, N]``."""
    return x.gather(1, steps[..., None].expand(-1, -1, x.shape[2]))
