"""What a model says of a number that it forecasts, and what is charged when another comes.

A model gives some *parameters* for each value, ``[..., P]``; the first of them is always the location, so that a
forecast made otherwise can be added to it. Values are *scaled*, as the model sees them: ``value * scale + loc`` is one
in units of the data, and only counts need to know.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gatewise.errors import OptionError, did_you_mean
from gatewise.types import Loss

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LEAST_SCALE = 1e-3  # of a distribution, in scaled units: a narrower one pays for a lucky guess without end
LEAST_FREEDOM = 2.0  # with fewer degrees of freedom Student's t has no variance

Error = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Likelihood:
    """A loss for forecasts and what can be read off its parameters. All functions take and give scaled values.

    Attributes:
        name: as ``loss.distribution`` has it.
        size: ``P``, parameters of a value.
        levels: of the quantiles that are told, between 0 and 1, ascending; none of a point forecast.
        error: ``error(parameters [..., P], values [...], loc [...], scale [...]) -> [...]``, what each value costs.
        point: ``point(parameters [..., P], loc, scale) -> [...]``, the forecast as a single number.
        quantile: ``quantile(parameters [..., P], levels [..., Q], loc, scale) -> [..., Q]``; None of a point forecast.
        power: an error in a unit of ``1/u`` costs ``u**power`` as much; 0 where units change no more than a constant.
    """

    name: str
    size: int
    levels: tuple[float, ...]
    error: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    point: Callable[[Tensor, Tensor, Tensor], Tensor]
    quantile: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None
    power: int = 0

    def loss(self, parameters: Tensor, values: Tensor, loc: Tensor, scale: Tensor, unit: Tensor | None = None) -> Loss:
        """The cost summed over the values that were observed, and their number; NaN is a value that was not.

        Args:
            parameters: ``[B, h, K, P]``.
            values: ``[B, h, K]``, scaled.
            loc: ``[B, K]``.
            scale: ``[B, K]``.
            unit: ``[K]`` in units of the data, what errors are measured in; None for ``scale``.
        """
        observed = ~torch.isnan(values)
        parameters = parameters.to(torch.promote_types(parameters.dtype, torch.float32))
        # Not multiplied by the mask afterwards: the gradient of what is NaN stays NaN.
        known = torch.where(observed, values, 0.0).to(parameters.dtype)
        error = self.error(parameters, known, loc[:, None], scale[:, None])
        if unit is not None:
            error = error * (scale / unit).to(error.dtype)[:, None] ** self.power
        return Loss(error.masked_fill(~observed, 0.0).sum(), observed.sum())


def make_likelihood(name: str, levels: tuple[float, ...] = LEVELS) -> Likelihood:
    """The likelihood of a name.

    Args:
        name: ``"squared"``, ``"absolute"`` or ``"huber"``: a number alone. ``"quantile"``: the quantiles at ``levels``.
            ``"normal"``, ``"student-t"`` (heavier tails), ``"negative-binomial"`` (counts): a distribution.
        levels: of the quantiles that are told.

    Raises:
        OptionError: no such name, or levels that are not ascending between 0 and 1.
    """
    ascending = all(low < high for low, high in itertools.pairwise(levels))
    if not levels or not ascending or levels[0] <= 0 or levels[-1] >= 1:
        raise OptionError(f"levels: expected ascending numbers between 0 and 1, got {levels}. Try 0.1, 0.5, 0.9.")
    if name in POINT_ERRORS:
        error = _of_point(POINT_ERRORS[name])
        return Likelihood(name, 1, (), error, _location, power={"squared": 2, "absolute": 1}.get(name, 0))
    if name == "quantile":
        return _quantiles(levels)
    if name in DISTRIBUTIONS:
        size, cost, point, quantile = DISTRIBUTIONS[name]
        return Likelihood(name, size, levels, cost, point, quantile)
    raise OptionError(f'distribution: expected one of {", ".join(NAMES)}, got "{name}". {did_you_mean(name, NAMES)}')


# A number alone ------------------------------------------------------------------------------------------------------


def _location(parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    return parameters[..., 0]


def _of_point(error: Error) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    return lambda parameters, values, loc, scale: error(parameters[..., 0], values)


POINT_ERRORS: dict[str, Error] = {
    "squared": lambda forecast, value: (forecast - value).square(),
    "absolute": lambda forecast, value: (forecast - value).abs(),
    "huber": lambda forecast, value: F.huber_loss(forecast, value, reduction="none"),
}


# Quantiles -----------------------------------------------------------------------------------------------------------


def _quantiles(levels: tuple[float, ...]) -> Likelihood:
    centre = min(range(len(levels)), key=lambda q: abs(levels[q] - 0.5))

    def error(parameters: Tensor, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        return pinball(ordered(parameters, centre), values, levels)

    def quantile(parameters: Tensor, wanted: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        return _between(ordered(parameters, centre), wanted, levels)

    return Likelihood("quantile", len(levels), levels, error, _location, quantile, power=1)


def ordered(parameters: Tensor, centre: int) -> Tensor:
    """Quantiles ``[..., Q]`` that never cross, from as many parameters: the one at ``centre``, then the others' steps.

    The first parameter is the quantile number ``centre``; each of the others, by softplus, the distance of a quantile
    to its neighbour nearer the centre: those below it first, from the lowest up.

    >>> ordered(torch.tensor([5.0, -40.0, -40.0]), 1).tolist()
    [5.0, 5.0, 5.0]
    """
    middle, steps = parameters[..., :1], F.softplus(parameters[..., 1:])
    below, above = steps[..., :centre], steps[..., centre:]
    return torch.cat([middle - below.flip(-1).cumsum(-1).flip(-1), middle, middle + above.cumsum(-1)], -1)


def pinball(quantiles: Tensor, values: Tensor, levels: tuple[float, ...]) -> Tensor:
    r"""Twice the pinball loss, mean over levels: :math:`2 \max(q\,e, (q-1)\,e)` with :math:`e = value - quantile`.

    Twice, so that the median alone costs its absolute error.

    Args:
        quantiles: ``[..., Q]``.
        values: ``[...]``.
        levels: ``Q`` numbers.

    References:
        Koenker & Bassett 1978, Regression quantiles.
    """
    q = torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    e = values[..., None] - quantiles
    cost: Tensor = 2 * torch.maximum(q * e, (q - 1) * e).mean(-1)
    return cost


def _between(quantiles: Tensor, wanted: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Quantiles at other levels ``[..., Q']``: on straight lines between the known ones, beyond the last along theirs.

    The slope there is that of the normal distribution with the two outermost quantiles, so that tails stay finite.
    """
    if len(levels) == 1:
        return quantiles.expand(wanted.shape)
    known = torch.special.ndtri(torch.tensor(levels, dtype=quantiles.dtype, device=quantiles.device))
    z = torch.special.ndtri(wanted.to(quantiles.dtype))  # straight over normal deviates, not over levels
    right = torch.searchsorted(known, z.contiguous()).clamp(1, len(levels) - 1)
    z_0, z_1 = known[right - 1], known[right]
    wide = quantiles.expand(*wanted.shape[:-1], len(levels))
    y_0, y_1 = wide.gather(-1, right - 1), wide.gather(-1, right)
    between: Tensor = y_0 + (y_1 - y_0) * (z - z_0) / (z_1 - z_0)
    return between


# Normal --------------------------------------------------------------------------------------------------------------


def _spread(parameters: Tensor) -> Tensor:
    return LEAST_SCALE + F.softplus(parameters[..., 1])


def normal_error(parameters: Tensor, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    r"""Of :math:`N(\mu, \sigma)`: :math:`\frac12\log 2\pi + \log\sigma + \frac12 z^2`, :math:`z = (y - \mu)/\sigma`."""
    sigma = _spread(parameters)
    z = (values - parameters[..., 0]) / sigma
    error: Tensor = 0.5 * math.log(2 * math.pi) + sigma.log() + 0.5 * z * z
    return error


def _normal_quantile(parameters: Tensor, levels: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    deviates: Tensor = torch.special.ndtri(levels)
    return parameters[..., :1] + _spread(parameters)[..., None] * deviates


# Student's t ---------------------------------------------------------------------------------------------------------


def _freedom(parameters: Tensor) -> Tensor:
    return LEAST_FREEDOM + F.softplus(parameters[..., 2])


def student_t_error(parameters: Tensor, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    r"""Negative log likelihood of a Student's t with location, scale and degrees of freedom :math:`\nu > 2`.

    .. math::
        \log\sigma + \tfrac12\log(\nu\pi) + \log\Gamma(\tfrac\nu2) - \log\Gamma(\tfrac{\nu+1}2)
        + \tfrac{\nu+1}2 \log(1 + z^2/\nu), \qquad z = (y - \mu)/\sigma

    References:
        Salinas et al. 2020, DeepAR.
    """
    sigma, nu = _spread(parameters), _freedom(parameters)
    z = (values - parameters[..., 0]) / sigma
    constant = 0.5 * (nu * math.pi).log() + torch.lgamma(nu / 2) - torch.lgamma((nu + 1) / 2)
    return sigma.log() + constant + (nu + 1) / 2 * torch.log1p(z * z / nu)


def _student_t_quantile(parameters: Tensor, levels: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    standard = student_t_deviate(levels, _freedom(parameters)[..., None])
    return parameters[..., :1] + _spread(parameters)[..., None] * standard


def student_t_deviate(levels: Tensor, nu: Tensor) -> Tensor:
    """Quantiles of the standard Student's t, by Hill's expansion; relative error below 1e-3 from 2 degrees on.

    Args:
        levels: between 0 and 1; broadcast with ``nu``.
        nu: degrees of freedom, at least 2.

    References:
        Hill 1970, Algorithm 396: Student's t-quantiles.
    """
    levels, nu = levels.double(), nu.double()
    p = 2 * torch.minimum(levels, 1 - levels)  # of both tails
    a = 1 / (nu - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * torch.sqrt(a * math.pi / 2) * nu
    y = (d * p) ** (2 / nu)
    # The middle: an expansion about the normal deviate.
    x = torch.special.ndtri(p / 2)
    y_middle = x * x
    c = c + torch.where(nu < 5, 0.3 * (nu - 4.5) * (x + 0.6), 0.0)
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    y_middle = (((((0.4 * y_middle + 6.3) * y_middle + 36) * y_middle + 94.5) / c - y_middle - 3) / b + 1) * x
    y_middle = torch.expm1(a * y_middle**2)
    # The tail.
    y_tail = ((1 / (((nu + 6) / (nu * y) - 0.089 * d - 0.822) * (nu + 2) * 3) + 0.5 / (nu + 4)) * y - 1) * (nu + 1)
    y_tail = y_tail / (nu + 2) + 1 / y
    t = torch.sqrt(nu * torch.where(y > a + 0.05, y_middle, y_tail))
    return torch.where(levels < 0.5, -t, t)


# Counts --------------------------------------------------------------------------------------------------------------


def _counts(parameters: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and size (inverse dispersion) in units of the data.

    Whatever the window was scaled by, the mean is positive, and where it is well above its scale it is the location in
    units of the data. Float64 whatever the parameters are: a count of a million is told from the next one.
    """
    parameters, loc, scale = parameters.double(), loc.double(), scale.double()
    mean = scale * F.softplus(parameters[..., 0] + loc / scale)
    size = torch.exp(-parameters[..., 1].clamp(-8, 8))
    return mean.clamp(min=1e-6), size


def negative_binomial_error(parameters: Tensor, values: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    r"""Negative log likelihood of a count with mean :math:`\mu` and size :math:`r`: variance :math:`\mu + \mu^2/r`.

    .. math::
        \log\Gamma(r) + \log\Gamma(y+1) - \log\Gamma(y+r) + r \log(1 + \mu/r) + y \log(1 + r/\mu)

    The count is ``values * scale + loc``, rounded. Computed in float64: the log gammas of large counts are large, and
    nearly all of them cancels.

    References:
        Salinas et al. 2020, DeepAR.
    """
    mean, size = _counts(parameters, loc, scale)
    y = torch.round(values.double() * scale + loc).clamp(min=0)
    gammas = torch.lgamma(size) + torch.lgamma(y + 1) - torch.lgamma(y + size)
    error = gammas + size * torch.log1p(mean / size) + y * torch.log1p(size / mean)
    return error.to(parameters.dtype)


def _negative_binomial_mean(parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    return ((_counts(parameters, loc, scale)[0] - loc) / scale).to(parameters.dtype)


def _negative_binomial_quantile(parameters: Tensor, levels: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    mean, size = (part[..., None] for part in _counts(parameters, loc, scale))
    counts = negative_binomial_count(levels.double(), mean, size)
    return (counts - loc[..., None]) / scale[..., None]


def negative_binomial_count(levels: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    """The smallest count whose cumulative probability reaches a level, by bisection; float64, shapes broadcast."""
    nothing = torch.zeros_like(levels + mean + size)
    levels, mean, size = levels + nothing, mean + nothing, size + nothing
    chance = size / (size + mean)
    low = torch.full_like(mean, -1.0)  # not reached
    high = torch.ceil(mean + 4 * torch.sqrt(mean + mean**2 / size)) + 1
    while bool((short := incomplete_beta(size, high + 1, chance) < levels).any()):
        high = torch.where(short, 2 * high, high)
    while bool(((high - low) > 1).any()):
        middle = torch.floor((low + high) / 2)
        reached = incomplete_beta(size, middle.clamp(min=0) + 1, chance) >= levels
        open_ = high - low > 1
        high, low = torch.where(open_ & reached, middle, high), torch.where(open_ & ~reached, middle, low)
    return high


def incomplete_beta(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """The regularised incomplete beta function ``I_x(a, b)``, by its continued fraction (Lentz); float64.

    With ``a = r``, ``b = y + 1`` and ``x = r / (r + mean)`` the chance of at most y of a negative binomial.
    """
    swap = x > (a + 1) / (a + b + 2)  # there the fraction of the mirrored function converges
    a, b, x = torch.where(swap, b, a), torch.where(swap, a, b), torch.where(swap, 1 - x, x)
    gammas = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    front = torch.exp(gammas + torch.xlogy(a, x) + b * torch.log1p(-x)) / a
    tiny = 1e-300
    c = torch.ones_like(x)
    d = 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 2000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + step * d, tiny)
            c = _away(1 + step / c, tiny)
            fraction = fraction * c * d
        if bool(((c * d - 1).abs() < 1e-12).all()):
            break
    value = front * fraction
    return torch.where(swap, 1 - value, value)


def _away(value: Tensor, tiny: float) -> Tensor:
    """Never zero."""
    return torch.where(value.abs() < tiny, tiny, value)


DISTRIBUTIONS = {
    "normal": (2, normal_error, _location, _normal_quantile),
    "student-t": (3, student_t_error, _location, _student_t_quantile),
    "negative-binomial": (2, negative_binomial_error, _negative_binomial_mean, _negative_binomial_quantile),
}
NAMES = (*POINT_ERRORS, "quantile", *DISTRIBUTIONS)
