"""The validation part of series: the end of each, forecast from what stands before it."""

import numpy as np

from gatewise.data.config import DataConfig
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import horizon_of
from gatewise.errors import DataError

Parts = tuple[SeriesData, SeriesData]


def cut_in_time(data: SeriesData, config: DataConfig) -> Parts:
    """Cuts every series in time: what is learnt from ends where the steps begin that validation windows forecast.

    The validation part is the last ``valid_fraction`` of each series, at least one horizon; its windows look back into
    the training part. With folds each series is cut into folds + 1 stretches: fold i learns from the first i and is
    judged on the next (a rolling origin). A series that is too short for a horizon on both sides stays in training.

    Args:
        data: as read; ``first_target`` counts: what stands before it is nobody's to forecast.
        config: of the data.

    Returns:
        Training part and validation part.

    Raises:
        DataError: no series is long enough for both.
    """
    horizon = horizon_of(config.series, data.season)
    starts, stops = [], []
    for length, first in zip(data.lengths.tolist(), data.firsts, strict=True):
        start, stop = _stretch(length - first, horizon, config)
        long_enough = start > horizon and stop - start >= horizon
        starts.append(first + start if long_enough else length)
        stops.append(first + stop if long_enough else length)
    held_out = np.flatnonzero(np.array(starts) < data.lengths)
    if not len(held_out):
        raise _too_short(data, horizon, config)
    return data.until(starts), data.until(stops).since(starts).subset(held_out)


def _too_short(data: SeriesData, horizon: int, config: DataConfig) -> DataError:
    longest = int((data.lengths - np.array(data.firsts)).max())
    if config.folds is None:
        return DataError(
            f"{data.source}: expected a series of at least {2 * horizon + 1:,} points to learn from and to choose on "
            f"(horizon {horizon:,}), got at most {longest:,}. Lower data.series.horizon, or set "
            "data.valid_fraction to 0."
        )
    return DataError(
        f"{data.source}: expected a series of at least {(config.folds + 1) * (horizon + 1):,} points, for data.folds "
        f"{config.folds} cut it into {config.folds + 1} stretches that each need more than the horizon {horizon:,}, "
        f"got at most {longest:,}. Lower data.folds or data.series.horizon."
    )


def _stretch(length: int, horizon: int, config: DataConfig) -> tuple[int, int]:
    """From where to where validation windows forecast, in steps of what may be forecast at all."""
    if config.folds is None:
        held_out = max(horizon, round(length * config.valid_fraction))
        return length - held_out, length
    fold = config.fold or 1
    return length * fold // (config.folds + 1), length * (fold + 1) // (config.folds + 1)
