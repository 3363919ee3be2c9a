"""From samples to the logarithm of the energy in mel bands, all at once or as they come in."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.errors import OptionError, did_you_mean
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths

NORMALIZATIONS = ("utterance", "level", "running")
LARGEST_FFT = 1 << 16
_EPS = 1e-5  # added to a variance: a recording of one frame has none
_QUIET = 1e-4  # with a level of 1: about 40 dB below what is said, where the noise of most rooms is


class LogMel(nn.Module):
    r"""Samples to log-mel frames: the logarithm of the mean power in each of some bands, frame by frame.

    Frame :math:`k` covers the samples :math:`x_{kH}, \ldots, x_{kH+W-1}` and no others: nothing is padded or centred,
    samples at the end that do not fill a window are left out, and a recording shorter than one window is one frame,
    filled up with zeros. With the Hann window :math:`w_n = \frac12 - \frac12\cos(2\pi n/W)`:

    .. math::
        P_{kj} &= \Big|\sum_{n=0}^{W-1} w_n\, x_{kH+n}\, e^{-2\pi i jn/N}\Big|^2 \Big/ \sum_n w_n^2,
            \qquad j = 0 \ldots N/2 \\
        \mathrm{mel}(f) &= 2595 \log_{10}(1 + f/700) \\
        y_{km} &= \ln\Big(\sum_j F_{mj} P_{kj} + \mathrm{floor}\Big)

    :math:`F_m` is a triangle on the mel axis (HTK's): 0 at :math:`e_m`, highest at :math:`e_{m+1}`, 0 at
    :math:`e_{m+2}`, where :math:`e_0 \ldots e_{M+1}` are equally far apart from the lowest to the highest frequency.
    Its weights add up to 1, so that white noise of variance :math:`\sigma^2` has the energy :math:`\sigma^2` in every
    band, whatever the sizes. ``N`` is the smallest power of two of at least ``W`` with which no band is empty.

    Then each band is normalised. ``"utterance"``: to mean 0 and variance 1 over the recording's own frames; what does
    not change within a recording, such as a microphone or a steady hum, is gone. ``"running"``: by
    :class:`SequenceBatchNorm`, in evaluation with the statistics of training, so that a frame does not depend on those
    after it. ``"level"``: as ``"running"``, of a recording that was first brought to a mean square of 1; what is left
    is how its power is spread over time and bands.

    Args:
        sample_rate: samples a second.
        mel_bands: bands, ``M``.
        window_seconds: length of a frame; ``W`` is the nearest number of samples.
        hop_seconds: from one frame to the next; ``H`` is the nearest number of samples.
        low_frequency: where the lowest band begins, in Hz.
        high_frequency: where the highest band ends, in Hz; None for half the sample rate.
        floor: added to the energy before the logarithm; None for 1e-4 with ``"level"``, else 1e-8: 40 dB below the
            recording, and 80 dB below full scale.
        normalize: ``"utterance"``, ``"level"`` or ``"running"``.
        warp: in training, the frequencies of each recording are stretched by a factor from ``1 - warp`` to
            ``1 + warp``, as by a vocal tract of another length (Jaitly & Hinton 2013); see :func:`warped`.
        trim: leave out frames at both ends whose power is more than so many dB below that of the loudest one; 0 leaves
            out none. Lengths then are those of what is left.

    Shape:
        - x ``[B, T]`` floating, lengths ``[B]`` or None; half precisions, and any under autocast, are computed in
          float32
        - returns frames ``[B, T', M]``, zero beyond their lengths, and lengths ``[B]`` or None;
          ``T' = 1 + max(T - W, 0) // H``, a row without samples has no frame

    Raises:
        OptionError: a size that is not above 0, frequencies out of order, more bands than any resolution has lines
            for, or an unknown normalisation.

    Example:
        >>> mel = LogMel(8000).eval()
        >>> frames, lengths = mel(torch.randn(2, 4000), torch.tensor([4000, 150]))
        >>> frames.shape, lengths.tolist()
        (torch.Size([2, 48, 40]), [48, 1])

    References:
        Davis & Mermelstein 1980; the mel scale after O'Shaughnessy 1987, as in Young et al., The HTK Book, section
        5.4. Jaitly & Hinton 2013, Vocal tract length perturbation improves speech recognition.
    """

    makes_frames = True  # a step of the output is no step of the input with more features

    window: Tensor
    filters: Tensor
    centres: Tensor

    def __init__(
        self,
        sample_rate: int,
        *,
        mel_bands: int = 40,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.010,
        low_frequency: float = 20.0,
        high_frequency: float | None = None,
        floor: float | None = None,
        normalize: str = "utterance",
        warp: float = 0.0,
        trim: float = 0.0,
    ) -> None:
        super().__init__()
        high = sample_rate / 2 if high_frequency is None else high_frequency
        floor = (_QUIET if normalize == "level" else 1e-8) if floor is None else floor
        self.sample_rate, self.mel_bands, self.floor, self.warp = sample_rate, mel_bands, floor, warp
        self.window_size = round(sample_rate * window_seconds)
        self.hop_size = round(sample_rate * hop_seconds)
        if min(sample_rate, mel_bands, self.hop_size) < 1 or self.window_size < max(2, self.hop_size) or floor <= 0:
            raise OptionError(
                "LogMel: expected rate, bands, floor and hop above 0 and a window no shorter than the hop, got "
                f"{sample_rate}, {mel_bands}, {floor}, {hop_seconds} s and {window_seconds} s."
            )
        if not 0 <= low_frequency < high <= sample_rate / 2:
            raise OptionError(
                f"LogMel: expected 0 <= low_frequency < high_frequency <= {sample_rate / 2:g}, half the sample rate, "
                f"got {low_frequency:g} and {high:g}."
            )
        if not 0 <= warp < 1:
            raise OptionError(f"LogMel: expected warp in [0, 1), got {warp}. 0.1 stretches by up to a tenth.")
        if trim < 0 or (trim and normalize == "running"):
            raise OptionError(
                f'LogMel: expected trim from 0, and 0 with normalize "running", got {trim} and "{normalize}". What is '
                "loudest is only known at the end."
            )
        if normalize not in NORMALIZATIONS:
            raise OptionError(
                f'LogMel: expected normalize {", ".join(NORMALIZATIONS)}, got "{normalize}". '
                f"{did_you_mean(normalize, NORMALIZATIONS)}"
            )
        edges = mel_edges(mel_bands, low_frequency, high)
        self.fft_size, filters = _filters(sample_rate, self.window_size, edges)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window_size) / self.window_size)
        # In the weights' dtype; not in the state dict: the options say what they are.
        scaled = torch.tensor(window / np.sqrt((window**2).sum()), dtype=torch.float32)
        self.register_buffer("window", scaled, persistent=False)
        self.register_buffer("filters", torch.tensor(filters.T, dtype=torch.float32), persistent=False)
        self.register_buffer("centres", torch.tensor(edges[1:-1], dtype=torch.float32), persistent=False)
        self.high_frequency = high
        self.normalize, self.trim = normalize, trim
        self.norm = None if normalize == "utterance" else SequenceBatchNorm(mel_bands)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(x.device.type, enabled=False):
            if self.normalize == "level":
                x = _of_level_1(x, lengths)
            y = self.log_energies(self._cut(x))
            if self.training and self.warp > 0:
                y = self._stretched(y)
            lengths = None if lengths is None else self.frames_of(lengths)
            if self.trim > 0:
                y, lengths = trimmed(y, lengths, self.trim)
            mask = None if lengths is None else mask_of_lengths(lengths, y.shape[1])
            if self.norm is not None:
                return self.norm(y, mask), lengths
            return _standardized(y, mask), lengths

    def log_energies(self, frames: Tensor) -> Tensor:
        """``[..., W]`` samples of frames to ``[..., M]``, before any normalisation."""
        spectrum = torch.fft.rfft(frames * self.window, n=self.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(power @ self.filters.to(power.dtype) + self.floor)

    def frames_of(self, lengths: Tensor) -> Tensor:
        """How many frames so many samples have; integers of any shape."""
        frames = 1 + torch.div((lengths - self.window_size).clamp(min=0), self.hop_size, rounding_mode="floor")
        return torch.where(lengths > 0, frames, 0)

    def stream(self) -> "LogMelStream":
        """Takes samples as they come in and gives the frames that :meth:`forward` has in evaluation.

        Raises:
            OptionError: ``normalize`` is another than ``"running"``: it needs the whole recording.
        """
        return LogMelStream(self)

    def _cut(self, x: Tensor) -> Tensor:
        """``[B, T]`` to ``[B, T', W]``, a view where nothing must be filled up."""
        x = x.to(torch.promote_types(self.window.dtype, torch.float32))
        return F.pad(x, (0, max(0, self.window_size - x.shape[1]))).unfold(1, self.window_size, self.hop_size)

    def _stretched(self, y: Tensor) -> Tensor:
        factors = 1 + self.warp * (2 * torch.rand(y.shape[0], dtype=y.dtype, device=y.device) - 1)
        return warped(y, factors, self.centres, self.high_frequency)

    def extra_repr(self) -> str:
        """The sizes, for ``repr``."""
        return (
            f"{self.sample_rate}, mel_bands={self.mel_bands}, window_size={self.window_size}, "
            f"hop_size={self.hop_size}, fft_size={self.fft_size}, warp={self.warp}, trim={self.trim}, {self.normalize}"
        )


class LogMelStream:
    """Frames of a recording of which one part after another comes in; memory does not grow.

    Together, the frames are those of :meth:`LogMel.forward` in evaluation over the whole. Samples that do not fill a
    window yet are kept for the next call: fewer than ``window_size``. No gradient passes through.

    Args:
        mel: with ``normalize="running"``; its statistics are taken as they are now.

    Raises:
        OptionError: ``mel`` normalises over the whole recording.

    Example:
        >>> mel = LogMel(8000, normalize="running").eval()
        >>> x = torch.randn(1000)
        >>> stream = mel.stream()
        >>> parts = [stream.push(part) for part in x.split(130)] + [stream.finish()]
        >>> bool(torch.allclose(torch.cat(parts), mel(x[None])[0][0], atol=1e-5))
        True
    """

    def __init__(self, mel: LogMel) -> None:
        if mel.norm is None or mel.normalize != "running":
            raise OptionError(
                f'LogMel.stream: expected normalize "running", got "{mel.normalize}". A mean over the recording is '
                "only known at its end: train with model.normalize=running."
            )
        self._mel = mel
        self._scale, self._shift = (part.detach().clone() for part in mel.norm.affine())
        self._rest = mel.window.new_zeros(0)
        self._begun = False  # whether any frame was given

    @torch.no_grad()
    def push(self, samples: Tensor) -> Tensor:
        """The next samples ``[n]``, any number of them; returns the frames ``[k, M]`` that are complete now."""
        mel = self._mel
        samples = torch.cat([self._rest, samples.to(self._rest)])
        if len(samples) < mel.window_size:
            self._rest = samples
            return samples.new_zeros(0, mel.mel_bands)
        cut = samples.unfold(0, mel.window_size, mel.hop_size)
        self._rest = samples[len(cut) * mel.hop_size :].clone()  # a view would keep all samples alive
        self._begun = True
        return self._frames(cut)

    @torch.no_grad()
    def finish(self) -> Tensor:
        """The end of the recording: one frame ``[1, M]`` if it was shorter than a window, else none ``[0, M]``.

        Afterwards the stream is ready for the next recording.
        """
        rest, begun = self._rest, self._begun
        self._rest, self._begun = rest.new_zeros(0), False
        if begun or not len(rest):
            return rest.new_zeros(0, self._mel.mel_bands)
        return self._frames(F.pad(rest, (0, self._mel.window_size - len(rest)))[None])

    def _frames(self, cut: Tensor) -> Tensor:
        return self._mel.log_energies(cut) * self._scale + self._shift


def mel_of(frequency: np.ndarray | float) -> np.ndarray:
    """Hz to mel, ``2595 log10(1 + f / 700)``."""
    return 2595 * np.log10(1 + np.asarray(frequency, dtype=np.float64) / 700)


def mel_edges(mel_bands: int, low: float, high: float) -> np.ndarray:
    """``[M + 2]`` Hz: where the bands begin, have their peak, and end: band ``m`` at ``m``, ``m + 1``, ``m + 2``.

    >>> mel_edges(2, 0.0, 4000.0).round(1).tolist()
    [0.0, 620.6, 1791.3, 4000.0]
    """
    mels = np.linspace(mel_of(low), mel_of(high), mel_bands + 2)
    return np.asarray(700 * (10 ** (mels / 2595) - 1))


def warped(y: Tensor, factors: Tensor, centres: Tensor, high: float) -> Tensor:
    r"""Log-mel frames as if all frequencies had been multiplied by a factor, one a row.

    A band takes the value that stood at its centre :math:`f` divided by the factor :math:`\alpha`, interpolated
    between the bands there; beyond 0.8 of the highest frequency the division fades out, so that this frequency stays
    where it is (a piecewise linear map, as equation 1 of Jaitly & Hinton 2013).

    Args:
        y: ``[B, T, M]``.
        factors: ``[B]``, above 0.
        centres: ``[M]`` Hz, of the bands.
        high: Hz, the highest frequency.

    Returns:
        ``[B, T, M]``.
    """
    slope = (1 / factors)[:, None]  # [B, 1]
    knee = 0.8 * high / slope.clamp(min=1)
    beyond = high - (high - slope * knee) / (high - knee) * (high - centres)
    source = torch.where(centres <= knee, slope * centres, beyond)  # [B, M] Hz
    mels, axis = torch.log1p(source / 700), torch.log1p(centres / 700)
    last = len(centres) - 1
    place = ((mels - axis[0]) / ((axis[-1] - axis[0]) / max(last, 1) + 1e-12)).clamp(0, last)
    bands = torch.arange(last + 1, device=y.device, dtype=y.dtype)
    weights = (1 - (bands[:, None] - place[:, None, :]).abs()).clamp(min=0)  # [B, from, to]: two neighbours each
    return y @ weights


def trimmed(y: Tensor, lengths: Tensor | None, decibels: float) -> tuple[Tensor, Tensor]:
    """Log-mel frames without the quiet ones at both ends.

    Args:
        y: ``[B, T, M]``.
        lengths: ``[B]``, or None for ``T`` of each.
        decibels: how far a frame's power, the mean over its bands, may be below that of the loudest frame of its row.

    Returns:
        From the first frame that is loud enough to the last one ``[B, T'', M]``, and how many that are ``[B]``: at
        least one, unless there was none.
    """
    B, T, M = y.shape
    steps = torch.arange(T, device=y.device)
    real = steps.expand(B, T) < (T if lengths is None else lengths[:, None])
    loudness = y.logsumexp(2).masked_fill(~real, -torch.inf)
    loud = real & (loudness >= loudness.amax(1, keepdim=True) - decibels * math.log(10) / 10)
    first = torch.where(loud, steps, T).amin(1)
    left = (torch.where(loud, steps, -1).amax(1) - first + 1).clamp(min=0)
    most = T if torch.compiler.is_compiling() else max(1, int(left.max()))
    places = (first[:, None] + steps[:most]).clamp(max=T - 1)
    return y.gather(1, places[..., None].expand(B, most, M)), left


def _filters(sample_rate: int, window_size: int, edges: np.ndarray) -> tuple[int, np.ndarray]:
    """The size of the transform ``N`` and the triangles ``[M, N/2 + 1]``, each of sum 1."""
    low, peak, high = (mel_of(part)[:, None] for part in (edges[:-2], edges[1:-1], edges[2:]))
    fft_size = 1 << max(1, math.ceil(math.log2(window_size)))
    while fft_size <= max(LARGEST_FFT, window_size * 2):
        mels = mel_of(np.arange(fft_size // 2 + 1) * sample_rate / fft_size)
        triangles = np.minimum((mels - low) / (peak - low), (high - mels) / (high - peak)).clip(0)
        if (sums := triangles.sum(1, keepdims=True)).all():
            return fft_size, triangles / sums
        fft_size *= 2
    raise OptionError(f"LogMel: expected bands that a spectrum can tell apart, got {len(peak)}. Take fewer mel_bands.")


def _of_level_1(x: Tensor, lengths: Tensor | None) -> Tensor:
    """``[B, T]`` with a mean square of 1 over the real samples of each row; silence stays silence."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    count = x.shape[1] if lengths is None else lengths.clamp(min=1)[:, None]
    power = x.square().sum(1, keepdim=True) / count  # the padding is zero
    return x * torch.rsqrt(power.clamp(min=1e-12))


def _standardized(y: Tensor, mask: Tensor | None) -> Tensor:
    """``[B, T, M]`` to mean 0 and variance 1 over the real frames of each row and band; zero in the padding."""
    if mask is None:
        mean = y.mean(1, keepdim=True)
        centred = y - mean
        return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + _EPS)
    real = mask[..., None]
    count = mask.sum(1).clamp(min=1)[:, None, None]
    y = y.masked_fill(~real, 0.0)
    centred = (y - y.sum(1, keepdim=True) / count).masked_fill(~real, 0.0)
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / count + _EPS)
