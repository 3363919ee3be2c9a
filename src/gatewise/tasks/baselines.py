"""Forecasts that need no training to speak of: what a model has to beat, on the same windows.

Each takes windows as the model sees them and answers in units of the data.
"""

from collections.abc import Sequence

import numpy as np

from gatewise.data.series_adapter import SeriesAdapter
from gatewise.types import Example, Prediction, Window

RIDGE = 1.0  # of the linear forecast, in units of one training window whose values are 1
BLOCK = 512  # windows looked at together


def baselines(
    adapter: SeriesAdapter, train: Sequence[Example], examples: Sequence[Example]
) -> dict[str, list[Prediction]]:
    """The naive, the seasonal naive and the linear forecast of every window.

    Args:
        adapter: fitted on the training data; tells the season, the context and the horizon.
        train: windows that the linear forecast is fitted on.
        examples: windows to forecast.

    Returns:
        By name, one prediction a window. ``"seasonal-naive"`` is left out where there is no season, ``"linear"`` where
        no training window is given.
    """
    channels, horizon, season = adapter.num_channels, adapter.horizon, adapter.season
    answers = {"naive": [naive(example.input, channels, horizon) for example in examples]}
    if season > 1:
        answers["seasonal-naive"] = [seasonal_naive(example.input, channels, horizon, season) for example in examples]
    if len(train):
        fitted = fit_linear(train, channels, adapter.context_length, horizon)
        answers["linear"] = linear(fitted, examples, channels)
    naive_errors = [example.input.naive_error for example in examples]
    return {
        name: [Prediction(one.tolist(), naive_error=error) for one, error in zip(rows, naive_errors, strict=True)]
        for name, rows in answers.items()
    }


def context(window: Window, channels: int) -> np.ndarray:
    """The past in units of the data, ``[C, K]`` float64, NaN where unobserved."""
    past = np.asarray(window.past, dtype=np.float64)
    values = past[:, :channels] * window.scale + window.loc
    return np.where(past[:, channels : 2 * channels] > 0, values, np.nan)


def naive(window: Window, channels: int, horizon: int) -> np.ndarray:
    """The last observed value of each channel at every step ``[h, K]``; its location where none was observed."""
    return np.repeat(_last(context(window, channels), window)[None], horizon, 0)


def seasonal_naive(window: Window, channels: int, horizon: int, season: int) -> np.ndarray:
    """The value a whole number of seasons before, the latest that was observed, ``[h, K]``.

    The last observed value where no such step was; so in a context shorter than a season.
    """
    past = context(window, channels)
    forecast = np.repeat(_last(past, window)[None], horizon, 0)
    for step in range(min(season, horizon)):
        same_phase = past[::-1][season - 1 - step :: season]  # the latest first
        for k in range(channels):
            observed = same_phase[~np.isnan(same_phase[:, k]), k]
            if len(observed):
                forecast[step::season, k] = observed[0]
    return forecast


def fit_linear(train: Sequence[Example], channels: int, context_length: int, horizon: int) -> np.ndarray:
    r"""Weights ``[K, C + 1, h]`` of least squares from the scaled past of a channel to its horizon, and a constant.

    Both are counted from the last observed value: :math:`y - a \approx W (x - a) + b`. Windows with a gap in a
    channel's horizon are left out for that channel; an unobserved value of the past counts as the last one. A little
    ridge keeps W finite where windows are fewer than steps.
    """
    size = context_length + 1
    moments = np.zeros((channels, size, size))
    products = np.zeros((channels, size, horizon))
    for start in range(0, len(train), BLOCK):
        chosen = [train[i] for i in range(start, min(start + BLOCK, len(train)))]
        x, last = _features(chosen, channels, context_length)
        y = np.stack([np.asarray(example.target, dtype=np.float64) for example in chosen]) - last[:, None]  # [N, h, K]
        # Channels first: one product of matrices each, all of them in one call.
        x_of, y_of = (np.ascontiguousarray(part.transpose(2, 0, 1)) for part in (x, y))
        broken = np.isnan(y_of).any(2)  # [K, N]; rows of zeros add nothing
        x_of[broken], y_of[broken] = 0.0, 0.0
        moments += x_of.swapaxes(1, 2) @ x_of
        products += x_of.swapaxes(1, 2) @ y_of
    penalty = np.full(size, RIDGE)
    penalty[-1] = 1e-6  # not of the constant; only so that it has a solution without windows
    return np.linalg.solve(moments + np.diag(penalty), products)


def linear(weights: np.ndarray, examples: Sequence[Example], channels: int) -> list[np.ndarray]:
    """The forecasts ``[h, K]`` of :func:`fit_linear`, in units of the data."""
    answers: list[np.ndarray] = []
    for start in range(0, len(examples), BLOCK):
        chosen = [examples[i] for i in range(start, min(start + BLOCK, len(examples)))]
        x, last = _features(chosen, channels, weights.shape[1] - 1)
        scaled = np.einsum("nck,kch->nhk", x, weights, optimize=True) + last[:, None]
        answers += [row * example.input.scale + example.input.loc for row, example in zip(scaled, chosen, strict=True)]
    return answers


def _features(examples: Sequence[Example], channels: int, context_length: int) -> tuple[np.ndarray, np.ndarray]:
    """The scaled past from its last value on, and a 1, ``[N, C + 1, K]``; that value ``[N, K]``."""
    x = np.zeros((len(examples), context_length + 1, channels))
    x[:, -1] = 1
    last = np.zeros((len(examples), channels))
    for row, example in enumerate(examples):
        past = np.asarray(example.input.past, dtype=np.float64)[-context_length:]
        observed = past[:, channels : 2 * channels] > 0
        values = np.where(observed, past[:, :channels], np.nan)
        last[row] = np.nan_to_num(_last_of(values))
        x[row, context_length - len(past) : -1] = np.where(observed, values - last[row], 0.0)
    return x, last


def _last(past: np.ndarray, window: Window) -> np.ndarray:
    last = _last_of(past)
    return np.where(np.isnan(last), window.loc, last)


def _last_of(past: np.ndarray) -> np.ndarray:
    """The last value of each channel that is not NaN, ``[K]``; NaN without one."""
    observed = ~np.isnan(past)
    place = len(past) - 1 - observed[::-1].argmax(0)
    return np.asarray(past[place, np.arange(past.shape[1])])
