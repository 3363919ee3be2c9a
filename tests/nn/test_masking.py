"""Changes to recordings in training: as defined, where allowed, and nowhere else."""

import numpy as np
import pytest
import torch

from gatewise.errors import OptionError
from gatewise.nn.masking import Masking, Perturbation, at_speed

LENGTHS = torch.tensor([500, 123, 1, 0])


def recordings():
    x = torch.randn(4, 500)
    return x.masked_fill(torch.arange(500) >= LENGTHS[:, None], 0.0)


# Speed and noise ----------------------------------------------------------------------------------------------------


def test_speed_reads_between_samples():
    x, rates = recordings().double(), torch.tensor([1.1, 0.9, 1.05, 0.95], dtype=torch.float64)
    y, lengths = at_speed(x, LENGTHS, rates)
    assert lengths.tolist() == [1 + int(499 / 1.1), 1 + int(122 / 0.9), 1, 0]
    for row, (rate, length) in enumerate(zip(rates.tolist(), lengths.tolist(), strict=True)):
        expected = np.interp(np.arange(length) * rate, np.arange(500), x[row].numpy())
        np.testing.assert_allclose(y[row, :length].numpy(), expected, atol=1e-12)
        assert (y[row, length:] == 0).all()


def test_speed_of_one_changes_nothing():
    x = recordings()
    y, lengths = at_speed(x, LENGTHS, torch.ones(4))
    assert torch.equal(y, x)
    assert torch.equal(lengths, LENGTHS)


def test_speed_shifts_a_tone():
    x = torch.sin(2 * np.pi * 0.05 * torch.arange(1000.0))[None]
    y, lengths = at_speed(x, None, torch.tensor([1.2]))
    spectrum = torch.fft.rfft(y[0, : lengths[0]]).abs()
    assert spectrum.argmax().item() / int(lengths[0]) == pytest.approx(0.06, abs=0.001)


def test_a_long_recording_is_not_read_off_its_place():
    x = torch.arange(3_000_000, dtype=torch.float32)[None]
    y, _ = at_speed(x, None, torch.tensor([0.999]))
    assert y[0, 2_900_000] == pytest.approx(2_900_000 * 0.999, abs=0.5)


def test_noise_is_as_loud_as_said():
    perturbation = Perturbation(noise=0.1)
    x = torch.sin(torch.arange(20_000.0)).repeat(200, 1) * torch.rand(200, 1)
    y, lengths = perturbation(x)
    assert lengths is None
    ratio = ((y - x).square().mean(1) / x.square().mean(1)).sqrt()
    assert 0.001 * 0.97 < ratio.min() < 0.0015
    assert 0.07 < ratio.max() < 0.1 * 1.03
    assert 0.3 < (ratio < 0.01).float().mean() < 0.7  # half of the decades


def test_padding_stays_zero_and_evaluation_is_untouched():
    x = recordings()
    perturbation = Perturbation(speed=0.2, noise=0.5)
    y, lengths = perturbation(x, LENGTHS)
    assert lengths[:2].tolist() != LENGTHS[:2].tolist()
    assert lengths[2:].tolist() == [1, 0]
    assert (y[torch.arange(y.shape[1]) >= lengths[:, None]] == 0).all()
    assert torch.isfinite(y).all()
    y, lengths = perturbation.eval()(x, LENGTHS)
    assert y is x
    assert lengths is LENGTHS


# Masks --------------------------------------------------------------------------------------------------------------


def test_masks_hide_stretches_of_the_width_allowed():
    masking = Masking(time_masks=1, time_mask=7, frequency_masks=1, frequency_mask=4)
    x = torch.ones(2000, 60, 12)
    hidden = masking(x)[0] == 0
    steps, bands = hidden.all(2).sum(1), hidden.all(1).sum(1)
    assert set(steps.tolist()) == set(range(8))
    assert set(bands.tolist()) == set(range(5))
    # Uniform: each width as often, each step hidden, those in the middle not less often than those at the edge.
    torch.testing.assert_close(steps.float().mean(), torch.tensor(3.5), atol=0.2, rtol=0)
    assert hidden.all(2).any(0).all()
    starts = hidden.all(2).int().diff(dim=1).clamp(min=0).sum(1)
    assert starts.max() <= 1  # one stretch


def test_a_time_mask_lies_inside_its_recording_and_hides_a_fifth_at_most():
    masking = Masking(time_masks=1, time_mask=50)
    lengths = torch.tensor([40, 10, 4, 1, 0]).repeat(300)
    x = torch.ones(1500, 40, 3).masked_fill((torch.arange(40) >= lengths[:, None])[..., None], 0.0)
    y, same = masking(x, lengths)
    assert same is lengths
    hidden = ((y == 0) & (x == 1)).all(2).sum(1).view(300, 5)
    assert hidden.amax(0).tolist() == [8, 2, 0, 0, 0]


def test_more_masks_hide_more():
    x = torch.ones(300, 80, 10)
    few = (Masking(time_masks=1, time_mask=10)(x)[0] == 0).float().mean()
    many = (Masking(time_masks=4, time_mask=10)(x)[0] == 0).float().mean()
    assert many > 2.5 * few


def test_no_mask_outside_training():
    x = torch.randn(2, 10, 5)
    assert Masking(time_masks=2, time_mask=5, frequency_masks=2, frequency_mask=3).eval()(x)[0] is x
    assert torch.equal(Masking()(x)[0], x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Perturbation(speed=1.5), r"speed.*1\.5"),
        (lambda: Perturbation(noise=-0.1), r"noise.*-0\.1"),
        (lambda: Masking(time_masks=-1), r"-1"),
    ],
)
def test_options_that_do_not_fit(build, message):
    with pytest.raises(OptionError, match=message):
        build()
