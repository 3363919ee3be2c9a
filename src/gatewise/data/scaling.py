"""`Scaler`: the fitted side of the inputs; what was measured on the training data and nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatewise.data.dataset import SequenceData, default_channels
from gatewise.errors import DataError, OptionError, did_you_mean

MODES = ("channel", "sequence", "none")
MISSING = ("mean", "previous", "indicator")


@dataclass(frozen=True)
class Scaler:
    """Turns a sequence as read into what a model takes: scaled, without gaps, float32.

    In this order: cut to ``length``, scale, fill in missing values, pad to ``length``.

    Attributes:
        channels: names of the I input channels.
        mean: of each channel over all training steps, missing ones left out.
        std: the same; 1 for a channel that does not vary.
        mode: ``"channel"`` scales with the mean and std of the training data, ``"sequence"`` gives every sequence mean
            0 and std 1 by its own values, channel by channel, ``"none"`` leaves the values as they are.
        missing: ``"mean"`` puts the channel's mean in place of a missing value, ``"previous"`` the last value before it
            (the mean where there is none), ``"indicator"`` the mean, and adds one channel an input channel that is 1
            where the value was missing and 0 elsewhere.
        length: every sequence gets exactly this many steps: longer ones lose their end, shorter ones end in zeros that
            count as real steps. None keeps each as long as it is; batches of unequal lengths are no trouble to an LSTM.

    Raises:
        OptionError: a mode, a way with missing values or a length that is not offered.
        DataError: not one finite mean and one finite std above 0 for each channel.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: str = "channel"
    missing: str = "mean"
    length: int | None = None

    def __post_init__(self) -> None:
        _check_options(self.mode, self.missing, self.length)
        check_moments("Scaler", self.channels, self.mean, self.std)

    @classmethod
    def fit(
        cls, data: SequenceData, *, mode: str = "channel", missing: str = "mean", length: int | None = None
    ) -> "Scaler":
        """Measures mean and std of every channel, of training data only.

        Args:
            data: training data as read.
            mode: as the attribute.
            missing: as the attribute.
            length: as the attribute.

        Returns:
            The fitted scaler.

        Raises:
            DataError: there is no sequence, a channel has no value at all, or its values are too large to scale.
        """
        _check_options(mode, missing, length)
        if not len(data):
            raise DataError(f"{data.source}: expected at least one sequence, got none. There is nothing to fit.")
        steps = np.concatenate([sequence[:length] for sequence in data.sequences])  # [sum of T, I]
        channels = data.channels or default_channels(steps.shape[1])
        mean, std = moments(steps)
        for channel, of_mean, of_std in zip(channels, mean, std, strict=True):
            if np.isnan(of_mean):
                raise DataError(
                    f"{data.source}, column {channel}: expected numbers, got only missing values. "
                    "Leave the column out of the features."
                )
            if not np.isfinite([of_mean, of_std]).all():
                raise DataError(
                    f"{_infinite(data, channels.index(channel))}, column {channel}: expected values whose mean and "
                    f"spread are finite, got mean {of_mean} and std {of_std}. Mark infinite values as missing, or "
                    "change the unit."
                )
        return cls(channels, tuple(mean.tolist()), tuple(std.tolist()), mode, missing, length)

    @property
    def input_size(self) -> int:
        """Channels after encoding: I, or 2 I with indicators."""
        return len(self.channels) * (2 if self.missing == "indicator" else 1)

    def check(self, data: SequenceData) -> None:
        """Holds the data's channels against those of the training data.

        Names are compared where both sides have names of their own; arrays and .ts files have none.

        Args:
            data: to be encoded.

        Raises:
            DataError: another number of channels, other names, or another order.
        """
        expected = len(self.channels)
        got = len(data.channels) or (data.sequences[0].shape[1] if len(data) else expected)
        if got != expected:
            raise DataError(
                f"{data.source}: expected {expected} channels ({_listed(self.channels)}), got {got} "
                f"({_listed(data.channels)}). Choose the features that the model was trained on."
            )
        unnamed = default_channels(expected)
        if data.channels and unnamed not in (data.channels, self.channels) and data.channels != self.channels:
            raise DataError(
                f"{data.source}: expected the channels {_listed(self.channels)} in this order, "
                f"got {_listed(data.channels)}. Choose the features that the model was trained on."
            )

    def encode(self, sequence: np.ndarray, *, where: str = "sequence") -> np.ndarray:
        """``[T, I]`` float with NaN for missing values -> ``[T, input_size]`` float32, all finite.

        Args:
            sequence: as read.
            where: how an error names the sequence.

        Returns:
            A new array; the sequence is left as it is.

        Raises:
            DataError: another number of channels, an infinite value, or one that float32 cannot hold.
        """
        if sequence.ndim != 2 or sequence.shape[1] != len(self.channels):
            got = f"{sequence.shape[1]}" if sequence.ndim == 2 else f"an array of shape {sequence.shape}"
            raise DataError(
                f"{where}: expected {len(self.channels)} channels, got {got}. "
                "A sequence is [T, I] with the channels that the model was trained on."
            )
        sequence = np.asarray(sequence[: self.length], dtype=np.float64)
        gaps = np.isnan(sequence)
        filler: float | np.ndarray = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            if self.mode == "channel":
                scaled = (sequence - self.mean) / self.std
            elif self.mode == "sequence":
                mean, std = moments(sequence)
                scaled = (sequence - mean) / std
            else:
                scaled, filler = sequence, np.asarray(self.mean)
            if gaps.any():
                scaled = _previous(scaled, gaps) if self.missing == "previous" else scaled
                scaled = np.where(gaps & np.isnan(scaled), filler, scaled)
            encoded = scaled.astype(np.float32)
        if not np.isfinite(encoded).all():
            self._refuse(sequence, encoded, where)
        if self.missing == "indicator":
            encoded = np.concatenate([encoded, gaps.astype(np.float32)], axis=1)
        if self.length is not None and len(encoded) < self.length:
            encoded = np.pad(encoded, ((0, self.length - len(encoded)), (0, 0)))
        return encoded

    def _refuse(self, sequence: np.ndarray, encoded: np.ndarray, where: str) -> None:
        wrong = ~np.isfinite(sequence) & ~np.isnan(sequence)
        step, channel = np.argwhere(wrong if wrong.any() else ~np.isfinite(encoded))[0]
        raise DataError(
            f"{where}, column {self.channels[channel]}, step {step}: expected a finite number that float32 can hold "
            f"once scaled, got {sequence[step, channel]}. Mark it as missing or put a number in its place."
        )


def _infinite(data: SequenceData, column: int) -> str:
    """Where the first infinite value of a channel stands; the source alone if it is only too large."""
    for index, sequence in enumerate(data.sequences):
        if len(steps := np.flatnonzero(np.isinf(sequence[:, column]))):
            return f"{data.where(index)}, step {steps[0]}"
    return data.source


def _check_options(mode: str, missing: str, length: int | None) -> None:
    for name, value, offered in (("scaling", mode, MODES), ("missing", missing, MISSING)):
        if value not in offered:
            raise OptionError(
                f'{name}: expected one of {", ".join(offered)}, got "{value}". {did_you_mean(str(value), offered)}'
            )
    if length is not None and length < 1:
        raise OptionError(f"length: expected at least 1 step, got {length}. Leave it out to keep each sequence whole.")


def check_moments(who: str, names: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> None:
    """Raises DataError unless there is one finite mean and one finite std above 0 for each name."""
    if not len(names) == len(mean) == len(std):
        raise DataError(
            f"{who}: expected {len(names)} means and stds, one a name, got {len(mean)} and {len(std)}. Give each one."
        )
    for name, of_mean, of_std in zip(names, mean, std, strict=True):
        if not (math.isfinite(of_mean) and math.isfinite(of_std) and of_std > 0):
            raise DataError(
                f"{who}, column {name}: expected a finite mean and a finite std above 0, got {of_mean} and {of_std}. "
                "Fit it to data again."
            )


def mean_and_std(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of each column ``[I]``, NaN left out; NaN where nothing is left. Large values do not overflow."""
    present = ~np.isnan(steps)
    count = present.sum(axis=0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        largest = np.max(np.abs(steps), axis=0, where=present, initial=0.0)
        # a power of two, so that no bit is lost; infinite values stay what they are
        exponent = np.frexp(np.where(np.isfinite(largest), largest, 1.0))[1]
        steps = np.ldexp(steps, -exponent)
        mean = np.where(present, steps, 0.0).sum(axis=0) / count
        std = np.sqrt((np.where(present, steps - mean, 0.0) ** 2).sum(axis=0) / count)
        return np.ldexp(mean, exponent), np.ldexp(std, exponent)


def moments(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As ``mean_and_std``, with std 1 where nothing varies."""
    mean, std = mean_and_std(steps)
    with np.errstate(invalid="ignore"):
        # what is left of a constant by rounding, or is too small for float32, is no spread
        steady = ~(std > np.maximum(1e-12 * np.abs(mean), np.finfo(np.float32).tiny)) & ~np.isnan(mean)
    return mean, np.where(steady & np.isfinite(mean), 1.0, std)


def _previous(values: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Puts the last value before it in place of each gap; gaps at the start remain."""
    steps = np.where(gaps, 0, np.arange(len(values))[:, None])  # [T, I]
    return np.take_along_axis(values, np.maximum.accumulate(steps, axis=0), axis=0)


def _listed(names: tuple[str, ...], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, ..." if len(names) > most else shown or "unnamed"
