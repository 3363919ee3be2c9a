"""What series hold, before anyone trains on them."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gatewise.data.series import SeriesData
from gatewise.data.text_description import as_lines

_SHOWN = 8  # channels


@dataclass(frozen=True)
class ChannelRange:
    """How the values of one channel are spread over all series, and the share that is missing."""

    name: str
    mean: float
    std: float
    min: float
    max: float
    missing: float


@dataclass(frozen=True)
class SeriesDescription:
    """What a data set of series holds.

    Attributes:
        source: the file, or ``"memory"``.
        layout: how it was understood.
        series: how many.
        frequency: the steps in words.
        season: steps of the main season.
        length_min, length_median, length_max: steps of a series.
        first, last: the first and the last time of all; None where steps are counted.
        channels: what is to be forecast.
        covariates: columns known until now, ahead, and that do not change.
        notes: what was filled in or left out.
    """

    source: str
    layout: str
    series: int
    frequency: str
    season: int
    length_min: int
    length_median: float
    length_max: int
    first: str | None
    last: str | None
    channels: tuple[ChannelRange, ...]
    covariates: tuple[str, ...]
    notes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text, for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """(what, value) pairs for a table; notes are apart."""
        same = self.length_min == self.length_max
        spread = f"{self.length_min:,} to {self.length_max:,}, median {self.length_median:,g}"
        rows = [("read as", self.layout), ("steps", f"{self.length_max:,} each" if same else spread)]
        rows.append(("frequency", f"{self.frequency}, a season of {self.season}"))
        if self.first is not None:
            rows.append(("times", f"{self.first} to {self.last}"))
        for channel in self.channels[:_SHOWN]:
            missing = f", {channel.missing:.1%} missing" if channel.missing else ""
            rows.append(
                (
                    f"channel {channel.name}",
                    f"mean {channel.mean:.4g}, std {channel.std:.4g}, {channel.min:.4g} to {channel.max:.4g}{missing}",
                )
            )
        if len(self.channels) > _SHOWN:
            rows.append(("", f"and {len(self.channels) - _SHOWN} more channels"))
        return [*rows, *([("covariates", ", ".join(self.covariates))] if self.covariates else [])]

    def to_text(self) -> str:
        """A few lines for a terminal."""
        return as_lines(self.source, self.rows(), self.notes)


def describe_series(data: SeriesData) -> SeriesDescription:
    """Lengths, times, spread and missing values of series.

    Args:
        data: as read; at least one series.

    Returns:
        A plain record; ``to_text`` and ``to_plain`` show it.
    """
    whole = np.concatenate(data.values)
    channels = []
    for name, column in zip(data.target_names, whole.T, strict=True):
        known = column[~np.isnan(column)]
        mean, std, low, high = (float(of()) for of in (known.mean, known.std, known.min, known.max))
        channels.append(ChannelRange(name, mean, std, low, high, 1 - len(known) / len(column)))
    lengths = data.lengths
    times = None if data.times is None else np.concatenate(data.times)
    return SeriesDescription(
        data.source,
        data.layout,
        len(data),
        data.frequency,
        data.season,
        int(lengths.min()),
        float(np.median(lengths)),
        int(lengths.max()),
        None if times is None else _shown(times.min()),
        None if times is None else _shown(times.max()),
        tuple(channels),
        (*data.past_names, *data.future_names, *data.static_names),
        data.notes,
    )


def _shown(moment: Any) -> str:
    return str(moment.astype("datetime64[s]")).replace("T", " ") if moment.dtype.kind == "M" else str(moment)
