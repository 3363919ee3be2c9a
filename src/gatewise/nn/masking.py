"""Changes to recordings in training, so that little data go further: speed, noise, and masks over their spectra."""

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.sequences import mask_of_lengths

LARGEST_SHARE = 0.2  # of a recording's frames that one mask may hide
QUIETEST = 2.0  # powers of ten between the loudest noise and the quietest


class Perturbation(nn.Module):
    r"""Plays each recording faster or slower and adds noise to it, in training; else changes nothing.

    .. math::
        \tilde x_k = x(k r) + n\, \mathrm{rms}(x)\, \epsilon_k, \qquad r \sim U(1 - s, 1 + s), \quad
        \lg n \sim U(\lg N - 2, \lg N), \quad \epsilon_k \sim N(0, 1)

    with :math:`x(\cdot)` interpolated linearly between samples. Speed changes length and pitch alike, as with a tape:
    ``n`` samples become ``1 + floor((n - 1) / r)``.

    Args:
        speed: ``s``, the largest share by which it is faster or slower; 0 for never.
        noise: ``N``, the loudest noise in units of the recording's root mean square: 0.1 is 20 dB below it; 0 for none.

    Shape:
        - x ``[B, T]``, lengths ``[B]`` or None; returns the same with another ``T``

    Raises:
        OptionError: ``speed`` outside [0, 0.9] or ``noise`` below 0.

    References:
        Ko et al. 2015, Audio augmentation for speech recognition (speed perturbation by 0.9 and 1.1).
    """

    def __init__(self, *, speed: float = 0.0, noise: float = 0.0) -> None:
        super().__init__()
        if not (0 <= speed <= 0.9 and noise >= 0):
            raise OptionError(f"Perturbation: expected speed in [0, 0.9] and noise from 0, got {speed} and {noise}.")
        self.speed, self.noise = speed, noise

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if not self.training:
            return x, lengths
        if self.speed > 0:
            rates = 1 + self.speed * (2 * torch.rand(x.shape[0], device=x.device) - 1)
            x, lengths = at_speed(x, lengths, rates)
        if self.noise > 0:
            x = self._noisy(x, lengths)
        return x, lengths

    def stream(self) -> "Unchanged":
        """As in evaluation."""
        return Unchanged()

    def _noisy(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        count = x.shape[1] if lengths is None else lengths.clamp(min=1)[:, None]
        loudness = (x.square().sum(1, keepdim=True) / count).sqrt()  # the padding is zero
        level = self.noise * 10 ** (-QUIETEST * torch.rand(x.shape[0], 1, dtype=x.dtype, device=x.device))
        noise = level * loudness * torch.randn_like(x)
        return x + (noise if lengths is None else noise.masked_fill(~mask_of_lengths(lengths, x.shape[1]), 0.0))

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"speed={self.speed}, noise={self.noise}"


class Masking(nn.Module):
    """Hides stretches of time and of bands, in training; else changes nothing.

    Each mask is as wide as a uniform draw from 0 to its largest width says, and anywhere with the same probability. A
    mask over time hides at most a fifth of a recording. What is hidden is 0: the mean of normalised features.

    Args:
        time_masks: how many masks over time.
        time_mask: most steps that one of them hides.
        frequency_masks: how many masks over bands.
        frequency_mask: most bands that one of them hides.

    Shape:
        - x ``[B, T, I]``, lengths ``[B]`` or None; returns the same

    Raises:
        OptionError: a number below 0.

    References:
        Park et al. 2019, SpecAugment, section 2, without time warping.
    """

    def __init__(
        self, *, time_masks: int = 0, time_mask: int = 0, frequency_masks: int = 0, frequency_mask: int = 0
    ) -> None:
        super().__init__()
        given = (time_masks, time_mask, frequency_masks, frequency_mask)
        if min(given) < 0:
            raise OptionError(f"Masking: expected numbers and widths of masks from 0, got {given}.")
        self.time_masks, self.time_mask, self.frequency_masks, self.frequency_mask = given

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if not self.training:
            return x, lengths
        B, T, bands = x.shape
        if self.time_masks * self.time_mask > 0:
            steps = torch.full((B,), T, device=x.device) if lengths is None else lengths
            widest = (LARGEST_SHARE * steps).clamp(max=self.time_mask)
            hidden = _stretches(self.time_masks, steps, widest, T)
            x = x.masked_fill(hidden[..., None], 0.0)
        if self.frequency_masks * self.frequency_mask > 0:
            every = torch.full((B,), bands, device=x.device)
            hidden = _stretches(self.frequency_masks, every, every.clamp(max=self.frequency_mask).float(), bands)
            x = x.masked_fill(hidden[:, None], 0.0)
        return x, lengths

    def stream(self) -> "Unchanged":
        """As in evaluation."""
        return Unchanged()

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return (
            f"time_masks={self.time_masks}, time_mask={self.time_mask}, frequency_masks={self.frequency_masks}, "
            f"frequency_mask={self.frequency_mask}"
        )


class Unchanged:
    """The stream of what does nothing in evaluation."""

    def push(self, x: Tensor) -> Tensor:
        """What comes in."""
        return x

    def finish(self) -> None:
        """Nothing was kept back."""


def at_speed(x: Tensor, lengths: Tensor | None, rates: Tensor) -> tuple[Tensor, Tensor]:
    """Recordings ``[B, T]`` read at every ``rates [B]``-th place, between samples linearly; with their new lengths."""
    B, T = x.shape
    lengths = torch.full((B,), T, device=x.device) if lengths is None else lengths
    wide = rates.double()[:, None]  # in float32 the place in a long recording would be off by whole samples
    shorter = torch.where(lengths > 0, 1 + ((lengths - 1) / wide[:, 0]).floor().long(), 0)
    most = max(1, int(shorter.max()))
    place = torch.arange(most, device=x.device) * wide
    before = place.floor().long().clamp(max=T - 1)
    share = (place - before).to(x.dtype)
    left, right = x.gather(1, before), x.gather(1, (before + 1).clamp(max=T - 1))
    return torch.lerp(left, right, share).masked_fill(~mask_of_lengths(shorter, most), 0.0), shorter


def _stretches(count: int, steps: Tensor, widest: Tensor, size: int) -> Tensor:
    """True in ``count`` stretches a row: ``[B, size]``, each inside the row's ``steps [B]``, at most ``widest [B]``."""
    places = torch.arange(size, device=steps.device)
    hidden = torch.zeros(len(steps), size, dtype=torch.bool, device=steps.device)
    for _ in range(count):
        drawn = torch.rand(2, len(steps), device=steps.device)
        width = (drawn[0] * (widest.floor() + 1)).floor()
        start = (drawn[1] * (steps - width + 1)).floor()
        hidden |= (places >= start[:, None]) & (places < (start + width)[:, None])
    return hidden
