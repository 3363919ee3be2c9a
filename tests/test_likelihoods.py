"""Likelihoods against torch.distributions, against formulas written out in float64, and against numeric integrals."""

import math

import mpmath
import numpy as np
import pytest
import torch
from torch.distributions import NegativeBinomial, Normal, StudentT

from gatewise.errors import OptionError
from gatewise.likelihoods import (
    LEVELS,
    NAMES,
    incomplete_beta,
    make_likelihood,
    negative_binomial_count,
    ordered,
    pinball,
    student_t_deviate,
)

LOC, SCALE = torch.tensor([[3.0, 40.0]]).double(), torch.tensor([[2.0, 5.0]]).double()  # [B, K]
UNITS = LOC[:, None], SCALE[:, None]


def given(name, *, dtype=torch.float64):
    """Parameters ``[1, 6, 2, P]`` and scaled values ``[1, 6, 2]``, of which two are missing; counts in data units."""
    generator = torch.Generator().manual_seed(3)
    parameters = torch.randn(1, 6, 2, make_likelihood(name).size, generator=generator, dtype=torch.float64)
    counts = torch.poisson(torch.tensor([4.0, 40.0]).expand(1, 6, 2), generator=generator).double()
    values = (counts - LOC[:, None]) / SCALE[:, None]
    values[0, 1, 0] = values[0, 5, 1] = float("nan")
    return parameters.to(dtype), values.to(dtype)


def softplus(x):
    return math.log1p(math.exp(x))


def normal(p, y, loc, scale):
    sigma = 1e-3 + softplus(p[1])
    return -math.log(math.exp(-0.5 * ((y - p[0]) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))


def student_t(p, y, loc, scale):
    sigma, nu = 1e-3 + softplus(p[1]), 2 + softplus(p[2])
    z = (y - p[0]) / sigma
    density = math.gamma((nu + 1) / 2) / math.gamma(nu / 2) / math.sqrt(nu * math.pi) / sigma
    return -math.log(density * (1 + z**2 / nu) ** (-(nu + 1) / 2))


def negative_binomial(p, y, loc, scale):
    """The chance of so many failures before r successes of chance r / (r + mean)."""
    mean, r = scale * softplus(p[0] + loc / scale), math.exp(-p[1])
    n = round(y * scale + loc)
    chance = r / (r + mean)
    log = math.lgamma(n + r) - math.lgamma(r) - math.lgamma(n + 1) + r * math.log(chance) + n * math.log(1 - chance)
    return -log


def quantiles(p, y, loc, scale):
    steps = [softplus(x) for x in p[1:]]
    below, above = steps[:4], steps[4:]
    each = [p[0] - sum(below[q:]) for q in range(4)] + [p[0]] + [p[0] + sum(above[: q + 1]) for q in range(4)]
    losses = [2 * (level * (y - f) if y > f else (1 - level) * (f - y)) for level, f in zip(LEVELS, each, strict=True)]
    return sum(losses) / len(losses)


DEFINITIONS = {
    "squared": lambda p, y, loc, scale: (y - p[0]) ** 2,
    "absolute": lambda p, y, loc, scale: abs(y - p[0]),
    "huber": lambda p, y, loc, scale: 0.5 * (y - p[0]) ** 2 if abs(y - p[0]) < 1 else abs(y - p[0]) - 0.5,
    "quantile": quantiles,
    "normal": normal,
    "student-t": student_t,
    "negative-binomial": negative_binomial,
}


@pytest.mark.parametrize("name", NAMES)
def test_loss_by_definition_over_what_was_observed(name):
    parameters, values = given(name)
    loss = make_likelihood(name).loss(parameters, values, LOC, SCALE)
    expected = [
        DEFINITIONS[name](parameters[0, t, k].tolist(), float(values[0, t, k]), float(LOC[0, k]), float(SCALE[0, k]))
        for t in range(6)
        for k in range(2)
        if not math.isnan(values[0, t, k])
    ]
    assert float(loss.total) == pytest.approx(math.fsum(expected), rel=1e-9)
    assert int(loss.count) == len(expected) == 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_in_fewer_bits(name, dtype):
    parameters, values = given(name, dtype=dtype)
    likelihood = make_likelihood(name)
    truth = float(likelihood.loss(parameters.double(), values.double(), LOC, SCALE).total)
    loss = likelihood.loss(parameters, values.float(), LOC, SCALE)
    assert loss.total.dtype == torch.float32
    assert float(loss.total) == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("count", [0, 1, 300, 40_000, 3_000_000])
@pytest.mark.parametrize("dispersion", [-7.0, -1.0, 0.0, 7.0])
def test_large_counts_cost_what_they_should_in_float32(count, dispersion):
    """The log gammas of a million are millions, of which a few are left; by mpmath, with 50 digits."""
    mpmath.mp.dps = 50
    loc, scale = torch.tensor([[0.9 * count]]), torch.tensor([[1 + 0.3 * count]])
    value = (count - loc) / scale
    parameters = torch.tensor([[[[0.2, dispersion]]]])
    loss = make_likelihood("negative-binomial").loss(parameters, value[:, None], loc, scale)
    assert loss.total.dtype == torch.float32
    mean = mpmath.mpf(float(scale)) * mpmath.log1p(mpmath.exp(mpmath.mpf(0.2) + mpmath.mpf(float(loc)) / float(scale)))
    r, y = mpmath.exp(-dispersion), count
    chance = r / (r + mean)
    log = mpmath.loggamma(y + r) - mpmath.loggamma(r) - mpmath.loggamma(y + 1)
    log += r * mpmath.log(chance) + y * mpmath.log(1 - chance)
    assert float(loss.total) == pytest.approx(float(-log), rel=2e-6, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_right_and_those_of_what_is_missing_zero(name):
    parameters, values = given(name)
    parameters.requires_grad_()
    likelihood = make_likelihood(name)
    assert torch.autograd.gradcheck(lambda p: likelihood.loss(p, values, LOC, SCALE).total, parameters)
    likelihood.loss(parameters, values, LOC, SCALE).total.backward()
    assert bool((parameters.grad[torch.isnan(values)] == 0).all())
    assert bool((parameters.grad[~torch.isnan(values)][:, 0] != 0).all())


def test_densities_are_torchs():
    softplus = torch.nn.functional.softplus
    parameters, values = given("student-t")
    values = values.nan_to_num(0.0)
    got = make_likelihood("student-t").error(parameters, values, *UNITS)
    sigma, nu = 1e-3 + softplus(parameters[..., 1]), 2 + softplus(parameters[..., 2])
    torch.testing.assert_close(got, -StudentT(nu, parameters[..., 0], sigma).log_prob(values))
    got = make_likelihood("normal").error(parameters, values, *UNITS)
    torch.testing.assert_close(got, -Normal(parameters[..., 0], sigma).log_prob(values))
    likelihood = make_likelihood("negative-binomial")
    got = likelihood.error(parameters, values, *UNITS)
    counts = values * UNITS[1] + UNITS[0]
    mean, size = likelihood.point(parameters, *UNITS) * UNITS[1] + UNITS[0], torch.exp(-parameters[..., 1])
    torch.testing.assert_close(got, -NegativeBinomial(size, probs=mean / (mean + size)).log_prob(counts.round()))


@pytest.mark.parametrize("name", [name for name in NAMES if make_likelihood(name).quantile])
def test_quantiles_never_cross(name):
    parameters, _ = given(name)
    likelihood = make_likelihood(name)
    levels = torch.tensor([0.01, 0.1, 0.25, 0.5, 0.9, 0.999]).double()
    bands = likelihood.quantile(parameters, levels.expand(1, 6, 2, 6), *UNITS)
    assert bands.shape == (1, 6, 2, 6)
    assert bool((bands.diff(dim=-1) >= 0).all())
    if name == "normal":
        sigma = 1e-3 + torch.nn.functional.softplus(parameters[..., 1:2])
        torch.testing.assert_close(Normal(parameters[..., :1], sigma).cdf(bands), levels.expand_as(bands))
    if name in ("quantile", "student-t"):
        torch.testing.assert_close(bands[..., 3], likelihood.point(parameters, *UNITS))


def test_known_quantiles_come_back_and_others_lie_between():
    likelihood = make_likelihood("quantile", (0.1, 0.5, 0.8))
    parameters = torch.tensor([[1.0, 0.3, -0.2]])
    wanted = torch.tensor([[0.05, 0.1, 0.3, 0.5, 0.8, 0.95]])
    low, first, between, middle, last, high = likelihood.quantile(parameters, wanted, *UNITS)[0].tolist()
    torch.testing.assert_close(torch.tensor([first, middle, last]), ordered(parameters, 1)[0])
    assert low < first < between < middle < last < high
    alone = make_likelihood("quantile", (0.5,))
    assert alone.quantile(torch.tensor([[2.0]]), torch.tensor([[0.1, 0.9]]), *UNITS).tolist() == [[2.0, 2.0]]


def test_the_median_alone_costs_its_absolute_error():
    error = pinball(torch.tensor([[2.0], [5.0]]), torch.tensor([3.5, 1.0]), (0.5,))
    assert error.tolist() == [1.5, 4.0]


def test_the_best_constant_quantiles_are_those_of_the_sample():
    """Training by the pinball loss finds the sample's quantiles."""
    torch.manual_seed(0)
    sample = torch.randn(2001).exp()
    likelihood = make_likelihood("quantile", (0.1, 0.5, 0.9))
    parameters = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = pinball(ordered(parameters, 1).expand(2001, 3), sample, (0.1, 0.5, 0.9)).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = likelihood.quantile(parameters.detach(), torch.tensor([0.1, 0.5, 0.9]), *UNITS)
    torch.testing.assert_close(found, sample.quantile(torch.tensor([0.1, 0.5, 0.9])), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("nu", [2.0, 2.3, 3.0, 4.9, 5.0, 9.5, 30.0, 400.0])
def test_deviates_of_student_have_their_probability(nu):
    """The density integrated up to them, with t = tan(u) so that the tail is finite."""
    levels = torch.tensor([0.001, 0.01, 0.1, 0.3, 0.45, 0.6, 0.9, 0.999], dtype=torch.float64)
    deviates = student_t_deviate(levels, torch.tensor(nu))
    constant = math.exp(math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)) / math.sqrt(nu * math.pi)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    for level, deviate in zip(levels.tolist(), deviates.tolist(), strict=True):
        end = math.atan(deviate)
        u = (nodes + 1) / 2 * (end + math.pi / 2) - math.pi / 2
        t = np.tan(u)
        chance = (constant * (1 + t**2 / nu) ** (-(nu + 1) / 2) * (1 + t**2) @ weights) * (end + math.pi / 2) / 2
        assert chance == pytest.approx(level, rel=2e-3, abs=1e-6)
    assert float(student_t_deviate(torch.tensor(0.5), torch.tensor(nu))) == pytest.approx(0, abs=1e-6)


def test_incomplete_beta_by_sums_of_a_binomial():
    """``I_p(a, n - a + 1)`` is the chance of at least a of n."""
    for n, a, p in [(5, 2, 0.3), (40, 39, 0.9), (300, 10, 0.02), (7, 1, 0.999)]:
        expected = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(a, n + 1))
        got = incomplete_beta(*(torch.tensor(float(x), dtype=torch.float64) for x in (a, n - a + 1, p)))
        assert float(got) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("mean", "size"), [(0.3, 0.5), (4.0, 1.0), (40.0, 3.0), (2000.0, 50.0), (0.01, 1000.0)])
def test_counts_at_a_level_are_the_first_to_reach_it(mean, size):
    levels = torch.tensor([0.01, 0.3, 0.5, 0.9, 0.999]).double()
    counts = negative_binomial_count(levels, torch.tensor(mean).double(), torch.tensor(size).double())
    every = torch.arange(20_000).double()
    log_chance = NegativeBinomial(torch.tensor(size).double(), probs=torch.tensor(mean / (mean + size)).double())
    cumulative = log_chance.log_prob(every).exp().cumsum(0)
    assert counts.tolist() == [float((cumulative < level).sum()) for level in levels]


def test_unusable_settings_are_told():
    with pytest.raises(OptionError, match=r'got "studentt".*Did you mean "student-t"'):
        make_likelihood("studentt")
    for levels in ((), (0.5, 0.1), (0.0, 0.5), (0.5, 0.5)):
        with pytest.raises(OptionError, match="ascending numbers between 0 and 1"):
            make_likelihood("quantile", levels)
