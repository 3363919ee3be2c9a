"""Integrated gradients and occlusion against closed forms, a Riemann sum in float64 and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gatewise.errors import OptionError, ShapeError
from gatewise.inspection.attribution import integrated_gradients, occlusion, windows_of
from gatewise.models.recipes import bilstm
from gatewise.nn import LSTM


class Scored(nn.Module):
    """An LSTM and a linear score of its last step, smooth everywhere."""

    def __init__(self, dtype):
        super().__init__()
        self.lstm = LSTM(3, 6, batch_first=True, bidirectional=True, dtype=dtype)
        self.head = nn.Linear(12, 1, dtype=dtype)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7)

    def forward(self, x):
        return self.head(torch.tanh(self.lstm(x)[0]).sum(1))[:, 0]


def riemann(score, x, baseline, points=4000):
    """The definition: a sum over equal pieces of the path, at their middles."""
    total = torch.zeros_like(x)
    for part in torch.arange(points, dtype=x.dtype).add(0.5).div(points).split(500):
        inputs = (baseline + part.view(-1, *[1] * x.ndim) * (x - baseline)).requires_grad_()
        total += torch.autograd.grad(score(inputs).sum(), inputs)[0].sum(0)
    return (x - baseline) * total / points


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_a_linear_score_is_explained_exactly_by_both(steps, features, seed):
    generator = torch.Generator().manual_seed(seed)
    x, baseline, weight = torch.randn(3, steps, features, generator=generator, dtype=torch.float64)

    def score(inputs):
        return (inputs * weight).sum((1, 2)) + 3.0

    expected = ((x - baseline) * weight).numpy()
    found = integrated_gradients(score, x, baseline)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.complete
    windows = [(t, t + 1) for t in range(steps)]
    np.testing.assert_allclose(occlusion(score, x, windows, baseline).values, expected, atol=1e-12)
    together = occlusion(score, x, windows, baseline, each_channel=False)
    np.testing.assert_allclose(together.values, expected.sum(1), atol=1e-12)
    assert abs(together.residual) < 1e-12
    np.testing.assert_allclose(found.difference, expected.sum(), atol=1e-12)


def test_a_product_is_shared_equally():
    """For x*y from zero each factor gets half: the integral of t*x over the path, times y."""
    found = integrated_gradients(lambda inputs: inputs.prod(1)[:, 0], torch.tensor([[3.0], [5.0]]), torch.zeros(2, 1))
    np.testing.assert_allclose(found.values[:, 0], [7.5, 7.5], rtol=1e-6)


def test_an_lstm_agrees_with_the_definition_in_float64():
    model = Scored(torch.float64)
    x, baseline = torch.randn(2, 9, 3, dtype=torch.float64)
    expected = riemann(model, x, baseline).numpy()
    found = integrated_gradients(model, x, baseline, tolerance=1e-6)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert abs(found.residual) <= 1e-6 * abs(found.difference)
    np.testing.assert_allclose(found.difference, (model(x[None]) - model(baseline[None])).item(), rtol=1e-12)


def test_the_gradient_on_the_path_is_that_of_finite_differences():
    """Near the baseline integrated gradients are the gradient there times the way: compared by moving one value."""
    model = Scored(torch.float64)
    baseline = torch.randn(5, 3, dtype=torch.float64)
    way = 1e-4 * torch.randn(5, 3, dtype=torch.float64)
    found = integrated_gradients(model, baseline + way, baseline)
    for t, i in ((0, 0), (2, 1), (4, 2)):
        step = torch.zeros_like(way)
        step[t, i] = 1e-5
        slope = (model((baseline + step)[None]) - model((baseline - step)[None])).item() / 2e-5
        assert found.values[t, i] == pytest.approx(slope * way[t, i].item(), rel=1e-3)


def test_completeness_of_the_reference_model():
    """Max-pooling and batch norm make kinks; the residual is told, and within the tolerance where it says complete."""
    model = bilstm(2, 3, hidden_sizes=(8,)).eval()
    x = torch.randn(60, 2)
    found = integrated_gradients(lambda inputs: model(inputs)[:, 1], x, torch.zeros(60, 2))
    assert found.complete
    assert abs(found.residual) <= 5e-3 * max(abs(found.difference), 0.01 * np.abs(found.values).sum())
    np.testing.assert_allclose(found.values.sum() + found.residual, found.difference, rtol=1e-9)


def test_points_are_doubled_until_they_are_enough_or_too_many():
    def steep(inputs):
        return torch.sigmoid(400 * (inputs.sum((1, 2)) - 0.5))

    x, baseline = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    enough = integrated_gradients(steep, x, baseline)
    assert enough.complete
    assert enough.steps > 32
    few = integrated_gradients(steep, x, baseline, most_steps=16)
    assert not few.complete
    assert few.steps == 16
    assert abs(few.residual) > 5e-3
    np.testing.assert_allclose(few.residual, few.difference - few.values.sum())


def test_a_lucky_sum_is_not_enough():
    """Two values whose errors cancel: the sum is right at any number of points, the values are not."""

    def cancelling(inputs):
        a, b = inputs[:, 0, 0], inputs[:, 0, 1]
        return torch.sigmoid(300 * (a - 0.51)) - torch.sigmoid(300 * (b - 0.51)) + a

    found = integrated_gradients(
        cancelling, torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    )
    np.testing.assert_allclose(found.values[0], [2.0, -1.0], atol=0.03)
    assert found.steps > 32


def test_batches_do_not_change_anything():
    model = Scored(torch.float64)
    x, baseline = torch.randn(2, 7, 3, dtype=torch.float64)
    sizes = []

    def watched(inputs):
        sizes.append(len(inputs))
        return model(inputs)

    whole = integrated_gradients(model, x, baseline)
    single = integrated_gradients(watched, x, baseline, at_once=14)
    np.testing.assert_allclose(single.values, whole.values, rtol=1e-12, atol=1e-14)
    assert max(sizes) == 2  # however many points there are
    parts = [occlusion(model, x, None, baseline, at_once=at_once).values for at_once in (1, 10_000)]
    np.testing.assert_allclose(parts[0], parts[1], atol=1e-12)


def test_occlusion_is_what_replacing_a_window_does():
    model = Scored(torch.float64)
    x, baseline = torch.randn(2, 10, 3, dtype=torch.float64)
    windows = [(0, 4), (2, 6), (6, 10)]
    found = occlusion(model, x, windows, baseline)
    expected, times = np.zeros((10, 3)), np.zeros((10, 3))
    for start, stop in windows:
        for k in range(3):
            other = x.clone()
            other[start:stop, k] = baseline[start:stop, k]
            expected[start:stop, k] += (model(x[None]) - model(other[None])).item() / (stop - start)
            times[start:stop, k] += 1
    np.testing.assert_allclose(found.values, expected / times, atol=1e-12)
    assert found.steps == 9
    assert found.window == 4
    np.testing.assert_allclose(found.residual, found.difference - found.values.sum())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5000))
def test_windows_cover_each_step_once(steps):
    windows = windows_of(steps)
    assert [step for start, stop in windows for step in range(start, stop)] == list(range(steps))
    assert len(windows) <= 60
    assert len(windows) >= min(steps, 31)


def test_what_does_not_fit_is_refused():
    x = torch.zeros(4, 2)
    with pytest.raises(ShapeError, match=r"\(4, 2\).*\(4, 3\)"):
        integrated_gradients(lambda inputs: inputs.sum((1, 2)), x, torch.zeros(4, 3))
    with pytest.raises(ShapeError, match=r"2 inputs, got \(2, 2\)"):
        integrated_gradients(lambda inputs: inputs.sum(1), x, torch.zeros(4, 2))
    with pytest.raises(OptionError, match=r"0 to 4, got 3 to 5"):
        occlusion(lambda inputs: inputs.sum((1, 2)), x, [(3, 5)], x)
    with pytest.raises(OptionError, match=r"tolerance above 0.*got 16, 1024 and 0"):
        integrated_gradients(lambda inputs: inputs.sum((1, 2)), x, x, tolerance=0)
    with pytest.raises(ShapeError, match=r"each_channel, got \(4,\)"):
        occlusion(lambda inputs: inputs.sum(1), torch.zeros(4), None, torch.zeros(4))


def test_points_are_as_many_as_were_asked_for():
    def total(inputs):
        return inputs.sum((1, 2))

    found = integrated_gradients(total, torch.ones(3, 2), torch.zeros(3, 2), steps=24, most_steps=24)
    assert found.steps == 24
    for steps in (20, 4, 0, -8):
        with pytest.raises(OptionError, match=f"steps in multiples of 8, .* got {steps}, 1024"):
            integrated_gradients(total, torch.ones(3, 2), torch.zeros(3, 2), steps=steps)
