"""The forecaster: channels, patches, gaps and padding, its two heads, and what it says before it has learnt."""

import numpy as np
import pytest
import torch

from gatewise.errors import ConfigError, OptionError, ShapeError
from gatewise.likelihoods import make_likelihood
from gatewise.models.config import ModelConfig, build
from gatewise.models.encoder import Encoded
from gatewise.models.forecaster import Layout, WindowModel, forecaster
from gatewise.types import Batch, Window

LAYOUT = Layout(num_channels=2, context_length=11, horizon=4, past_size=7, future_size=2, static_size=1)
SMALL = {"hidden_sizes": (5,), "embedding_size": 6, "decoder_size": 5, "patch_size": 3, "dropout": 0.0}


def model_of(name="squared", **options):
    return forecaster(LAYOUT, make_likelihood(name, (0.1, 0.5, 0.9)), **{**SMALL, **options}).eval()


def windows(count=3, steps=11, *, gaps=True):
    past = torch.randn(count, steps, 7)
    past[..., 2:4] = 1.0
    if gaps:
        past[0, 4:6, 2] = 0.0
        past[1, -1, 3] = 0.0
        past[2, :, 2] = 0.0  # nothing at all
    loc, scale = torch.tensor([3.0, -1.0]).expand(count, 2), torch.tensor([2.0, 0.5]).expand(count, 2)
    return Window(past, torch.randn(count, 4, 2), torch.randn(count, 1), loc.double(), scale.double())


def awake(model):
    """Heads begin near zero, where a wrong wire changes nothing."""
    for name, parameter in model.named_parameters():
        if not name.startswith("encoder."):
            torch.nn.init.normal_(parameter, std=0.4)
    return model


HEADS = pytest.mark.parametrize("head", ["direct", "autoregressive"])
CHANNELS = pytest.mark.parametrize("independent", [True, False])


@HEADS
@CHANNELS
@pytest.mark.parametrize("skip", ["none", "last", "linear", "linear-last"])
def test_untrained_it_forecasts_the_last_value_or_the_mean(head, independent, skip):
    window = windows()
    scores = model_of("student-t", head=head, independent=independent, skip=skip)(window)
    assert scores.shape == (3, 4, 2, 3)
    last = window.past[:, -1, :2].clone()
    last[1, 1] = window.past[1, -2, 1]  # the last that was observed
    last[2, 0] = 0.0
    expected = last if skip.endswith("last") else torch.zeros(3, 2)
    torch.testing.assert_close(scores[..., 0], expected[:, None].expand(3, 4, 2), atol=0.02, rtol=0)


@HEADS
@CHANNELS
def test_what_was_not_observed_and_what_is_padding_may_be_anything(head, independent):
    model = awake(model_of(head=head, independent=independent))
    window = windows()
    window.past[1, :4] = 0.0  # as if the row had begun later
    window.past[0, 4:6, 0] = 0.0
    lengths = torch.tensor([11, 7, 11])
    expected = model(window, lengths)
    past = window.past.clone()
    past[..., :2][past[..., 2:4] == 0] = float("nan")
    past[1, :4] = 1e9
    torch.testing.assert_close(model(window._replace(past=past), lengths), expected)
    short = Window(*(part[1:2] for part in window[:5]))._replace(past=window.past[1:2, 4:])
    torch.testing.assert_close(model(short), expected[1:2])
    longer = torch.cat([torch.full((3, 6, 7), float("nan")), past], 1)
    torch.testing.assert_close(model(window._replace(past=longer), lengths), expected)
    assert not torch.allclose(model(window._replace(past=window.past + 0.1 * window.past), lengths), expected)


@HEADS
def test_independent_channels_share_their_weights_and_do_not_see_one_another(head):
    model = awake(model_of(head=head))
    window = windows()
    scores = model(window)
    swapped = window.past[..., [1, 0, 3, 2, 4, 5, 6]]
    torch.testing.assert_close(model(window._replace(past=swapped)), scores.flip(2))
    other = window.past.clone()
    other[..., 0] += 1.0
    changed = model(window._replace(past=other))
    torch.testing.assert_close(changed[:, :, 1], scores[:, :, 1])
    assert not torch.allclose(changed[:, :, 0], scores[:, :, 0])
    joint = awake(model_of(head=head, independent=False))
    assert not torch.allclose(joint(window._replace(past=other))[:, :, 1], joint(window)[:, :, 1])


@HEADS
@CHANNELS
@pytest.mark.parametrize("part", ["future", "static", "past"])
def test_everything_known_is_used(head, independent, part):
    model = awake(model_of(head=head, independent=independent))
    window = windows()
    before = getattr(window, part).clone().requires_grad_()
    model(window._replace(**{part: before})).sum().backward()
    seen = before.grad.abs().sum((0, 1)) > 0 if part == "past" else before.grad != 0
    if part == "past":
        seen = seen[[0, 1, 4, 5, 6]]  # the marks of what was observed have no slope
    assert bool(seen.all())


def test_what_is_known_of_a_step_ahead_is_no_news_for_earlier_ones():
    """Of the decoder, step by step; the direct head looks at each step alone."""
    window = windows()
    later = window.future.clone()
    later[:, 2] += 1.0
    for head, same in (("direct", [0, 1, 3]), ("autoregressive", [0, 1])):
        model = awake(model_of(head=head))
        difference = (model(window._replace(future=later)) - model(window)).abs().amax((0, 2, 3))
        assert bool((difference[same] == 0).all())
        assert difference[2] > 0


def test_the_linear_map_by_hand():
    """With a silent head the forecast is a + W (x - a) + b, over what was observed."""
    window = windows()
    x, observed = window.past[..., :2].double(), window.past[..., 2:4].double()
    for skip in ("linear", "linear-last"):
        model = model_of(skip=skip).double()
        torch.nn.init.zeros_(model.head.all_steps.weight)
        torch.nn.init.zeros_(model.head.each_step.weight)
        torch.nn.init.normal_(model.linear.weight)
        torch.nn.init.normal_(model.linear.bias)
        got = model(Window(*(part.double() for part in window[:5])))[..., 0]
        for b in range(3):
            for k in range(2):
                seen = [t for t in range(11) if observed[b, t, k]]
                anchor = x[b, seen[-1], k] if seen and skip == "linear-last" else torch.tensor(0.0)
                expected = anchor + model.linear.bias
                for t in seen:
                    expected = expected + model.linear.weight[:, t] * (x[b, t, k] - anchor)
                torch.testing.assert_close(got[b, :, k], expected)


def test_patches_hold_the_steps_in_order_and_the_last_one_ends_with_the_past():
    model = model_of(independent=False)
    past = model.at_the_door(windows(gaps=False), None)
    patches = model.in_patches(past)
    assert patches.shape == (3, 4, 3 * 7)
    x = torch.cat([past.values, past.observed, past.covariates], -1)
    steps = patches.view(3, 12, 7)
    assert torch.equal(steps[:, 1:], x)
    assert bool((steps[:, 0] == 0).all())


def test_in_training_the_decoder_reads_the_truth_and_after_it_itself():
    model = awake(model_of(head="autoregressive"))
    window, targets = windows(), torch.randn(3, 4, 2)
    free = model.run(window, None, targets).scores
    torch.testing.assert_close(free, model(window))  # in evaluation the truth is not looked at
    model.train()
    forced = model.run(window, None, targets).scores
    torch.testing.assert_close(forced[:, 0], free[:, 0])
    assert not torch.allclose(forced[:, 1:], free[:, 1:])
    own = free[..., 0].detach()  # told its own answers as the truth, it says the same
    torch.testing.assert_close(model.run(window, None, own).scores, free, atol=1e-5, rtol=1e-5)
    late = targets.clone()
    late[:, 2] += 1.0
    difference = (model.run(window, None, late).scores - forced).abs().amax((0, 2, 3))
    assert bool((difference[:3] == 0).all())
    assert difference[3] > 0
    missing = targets.clone()
    missing[0, 1, 0] = float("nan")
    loss = model.run(window, None, missing).scores.square().sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


@CHANNELS
def test_paths_are_drawn_from_what_the_decoder_says(independent):
    """The first step of the paths has the distribution of the scores; a window's paths do not depend on the batch."""
    model = awake(model_of("normal", head="autoregressive", independent=independent, samples=400))
    window = windows()
    paths = model.sample(window)
    assert paths.shape == (400, 3, 4, 2)
    scores = model(window)[:, 0]
    levels = torch.tensor([0.1, 0.5, 0.9])
    expected = model.likelihood.quantile(scores, levels.expand(3, 2, 3), None, None).movedim(-1, 0)
    torch.testing.assert_close(paths[:, :, 0].quantile(levels, 0), expected, atol=0.05, rtol=0.05)
    one = Window(*(part[1:2] for part in window[:5]))
    torch.testing.assert_close(model.sample(one)[:, 0], paths[:, 1], atol=1e-5, rtol=1e-4)
    assert torch.equal(model.sample(window), paths)


@CHANNELS
def test_paths_are_the_same_however_many_are_drawn_at_once(independent, monkeypatch):
    model = awake(model_of("normal", head="autoregressive", independent=independent, samples=10))
    window, rows = windows(), []
    whole = model.sample(window)
    model.head.register_forward_pre_hook(lambda head, inputs: rows.append(len(inputs[0].state)))
    for most in (1, 8, 20, 1000):
        monkeypatch.setattr("gatewise.models.forecaster.ROWS_AT_ONCE", most)
        rows.clear()
        torch.testing.assert_close(model.sample(window), whole, atol=1e-6, rtol=1e-5)
        assert sum(rows) == 10 * 3 * (2 if independent else 1)
        assert max(rows) <= max(most, 6 if independent else 3)


class WalkOn(torch.nn.Module):
    """In place of the decoder's LSTM: the value before, and what makes a deviation of 1."""

    def forward(self, x, lengths, state):
        spread = np.log(np.expm1(1 - 1e-3))
        return Encoded(torch.stack([x[..., :1], torch.full_like(x[..., :1], spread)], -1), x[:, 0], None)


def test_bands_of_a_random_walk_widen_as_its_root():
    """A decoder that adds noise of deviation 1 to the value before: after t steps the deviation is the root of t."""
    layout = Layout(1, 3, 16, 2, 0, 0)
    likelihood = make_likelihood("normal")
    options = {**SMALL, "head": "autoregressive", "skip": "none", "samples": 2000}
    model = forecaster(layout, likelihood, **options).eval()
    model.head.steps = WalkOn()
    model.head.parameters_of = lambda steps, base: steps
    past = torch.cat([torch.zeros(1, 3, 1), torch.ones(1, 3, 1)], -1)
    window = Window(past, torch.zeros(1, 16, 0), torch.zeros(1, 0), torch.zeros(1, 1), torch.ones(1, 1))
    deviations = model.sample(window)[:, 0, :, 0].std(0)
    torch.testing.assert_close(deviations, torch.arange(1, 17).sqrt(), rtol=0.08, atol=0)


@HEADS
@CHANNELS
@pytest.mark.parametrize("skip", ["seasonal", "linear-seasonal"])
def test_untrained_it_forecasts_the_season_before(head, independent, skip):
    """A season of 3; where that step was not observed, the last value."""
    layout = LAYOUT._replace(season=3)
    options = {**SMALL, "head": head, "independent": independent, "skip": skip}
    window = windows()
    window.past[0, -2, 2] = 0.0
    scores = forecaster(layout, make_likelihood("squared"), **options).eval()(window)[..., 0]
    x = window.past[..., :2]
    torch.testing.assert_close(scores[0, :, 1], x[0, [-3, -2, -1, -3], 1], atol=0.02, rtol=0)
    torch.testing.assert_close(scores[0, :, 0], x[0, [-3, -1, -1, -3], 0], atol=0.02, rtol=0)
    torch.testing.assert_close(scores[1, :, 1], x[1, [-3, -2, -2, -3], 1], atol=0.02, rtol=0)
    distant = forecaster(layout._replace(season=12), make_likelihood("squared"), **options).eval()(window)[..., 0]
    torch.testing.assert_close(distant[0, :, 1], x[0, [-1] * 4, 1], atol=0.02, rtol=0)


def test_it_can_be_trained_in_every_form():
    for options in ({}, {"independent": False}, {"head": "autoregressive"}, {"encoder": "gru", "hidden_sizes": (4, 4)}):
        model = model_of("quantile", **options).train()
        batch = Batch(windows(), torch.full((3,), 11), torch.randn(3, 4, 2))
        outputs = WindowModel(model)(batch)
        assert outputs.lengths.tolist() == [4, 4, 4]
        outputs.scores.square().sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_unusable_options_and_windows_are_told():
    with pytest.raises(OptionError, match=r'head: expected one of direct, autoregressive, got "autoregresive"\. Did'):
        model_of(head="autoregresive")
    with pytest.raises(OptionError, match=r'skip: .*got "mean"'):
        model_of(skip="mean")
    with pytest.raises(OptionError, match="patch_size: expected at least 1, got 0"):
        model_of(patch_size=0)
    with pytest.raises(OptionError, match="samples: expected 0 or more, got -1"):
        model_of(samples=-1)
    window = windows()
    with pytest.raises(ShapeError, match=r"past of 7 features .* got 6"):
        model_of()(window._replace(past=window.past[..., :6]))
    with pytest.raises(ShapeError, match=r"future of 4 steps .* got 7 and \(3, 2\)"):
        model_of()(window._replace(future=window.future[:, :3]))
    with pytest.raises(ConfigError, match=r"expected forecaster for these data, got \"lstm\""):
        build(ModelConfig(), {"layout": LAYOUT, "likelihood": make_likelihood("squared")})
