"""Log-mel frames against their written definition, and frames of a stream against those of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.errors import OptionError
from gatewise.nn.spectrogram import LogMel, mel_edges, mel_of, trimmed, warped


def by_hand(x, rate, *, bands, window, hop, low, high, floor, fft_size):
    """The definition in the docstring, sample by sample, in float64."""
    shape = [0.5 - 0.5 * np.cos(2 * np.pi * n / window) for n in range(window)]

    def mel(f):
        return 2595 * np.log10(1 + f / 700)

    edges = [mel(low) + m * (mel(high) - mel(low)) / (bands + 1) for m in range(bands + 2)]
    lines = [mel(j * rate / fft_size) for j in range(fft_size // 2 + 1)]
    frames = []
    for k in range(1 + max(len(x) - window, 0) // hop):
        part = list(x[k * hop : k * hop + window])
        part = np.array(part + [0.0] * (window - len(part))) * shape
        n = np.arange(window)
        power = [
            abs(np.sum(part * np.exp(-2j * np.pi * n * j / fft_size))) ** 2 / np.sum(np.square(shape))
            for j in range(fft_size // 2 + 1)
        ]
        frame = []
        for m in range(bands):
            left, top, right = edges[m : m + 3]
            weights = [max(0, min((f - left) / (top - left), (right - f) / (right - top))) for f in lines]
            frame.append(np.log(np.dot(weights, power) / sum(weights) + floor))
        frames.append(frame)
    return np.array(frames)


@pytest.mark.parametrize("samples", [1, 57, 99, 100, 101, 139, 140, 700])
def test_frames_are_as_defined(samples):
    rate = 4000
    mel = LogMel(rate, mel_bands=9, high_frequency=1900).double()
    x = np.random.default_rng(samples).normal(size=samples) * 0.3
    expected = by_hand(x, rate, bands=9, window=100, hop=40, low=20, high=1900, floor=1e-8, fft_size=mel.fft_size)
    frames = mel.log_energies(mel._cut(torch.tensor(x)[None]))[0]
    # Filters and window are kept in float32: seven digits.
    np.testing.assert_allclose(frames.numpy(), expected, rtol=1e-6, atol=2e-6)
    assert len(frames) == mel.frames_of(torch.tensor([samples]))


def test_mel_points():
    assert mel_of(0) == 0
    assert mel_of(700) == pytest.approx(2595 * np.log10(2))  # 781.17
    assert mel_of(1000) == pytest.approx(999.99, abs=0.01)  # the scale's anchor: 1000 Hz is 1000 mel
    # 4000 Hz is 2595 * log10(6.714) = 2146.1 mel, a third of it 715.4: 700 * (10^(715.4 / 2595) - 1) = 620.6 Hz.
    np.testing.assert_allclose(mel_edges(2, 0, 4000), [0, 620.6, 1791.3, 4000], atol=0.1)


def test_utterance_is_standardized_over_its_own_frames():
    mel = LogMel(8000, mel_bands=7)
    x = torch.randn(3, 900)
    lengths = torch.tensor([900, 450, 200])
    x = x.masked_fill(torch.arange(900) >= lengths[:, None], 0.0)
    y, steps = mel(x, lengths)
    assert steps.tolist() == [9, 4, 1]
    for row in range(2):
        real = y[row, : steps[row]]
        torch.testing.assert_close(real.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
        torch.testing.assert_close(real.std(0, correction=0), torch.ones(7), atol=1e-3, rtol=0)
    assert (y[2, 0] == 0).all()  # one frame is its own mean
    assert (y[1, 4:] == 0).all()
    alone = mel(x[1:2, :450])[0]
    torch.testing.assert_close(alone[0], y[1, :4], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalize", ["utterance", "level"])
def test_loudness_changes_nothing(normalize):
    mel = LogMel(8000, normalize=normalize).eval()
    x = torch.randn(1, 4000)
    torch.testing.assert_close(mel(x)[0], mel(x * 0.1)[0], atol=1e-4, rtol=1e-4)
    running = LogMel(8000, normalize="running").eval()
    assert not torch.allclose(running(x)[0], running(x * 0.1)[0], atol=1)


def test_level_is_of_the_real_samples_and_keeps_what_does_not_change():
    """A steady tone is nothing to "utterance"; by its level alone, its band stands out."""
    x = 0.01 * torch.sin(2 * np.pi * 1000 * torch.arange(4000.0) / 8000).repeat(2, 1)
    lengths = torch.tensor([4000, 1500])
    x = x.masked_fill(torch.arange(4000) >= lengths[:, None], 0.0)
    mel = LogMel(8000, mel_bands=12, normalize="level").eval()
    y, steps = mel(x, lengths)
    torch.testing.assert_close(y[1, : steps[1]], y[0, : steps[1]], atol=1e-4, rtol=1e-4)
    assert y[0].std(1).min() > 2
    assert LogMel(8000, mel_bands=12)(x, lengths)[0].abs().max() < 0.3
    # A level of 1, whose power is spread over one band's triangle and the window's width.
    plain = mel.log_energies(mel._cut(x[:1] / x[0].square().mean().sqrt()))
    torch.testing.assert_close(y[0], plain[0], atol=1e-4, rtol=1e-4)
    assert plain.amax() > 0


def test_silence_is_finite():
    for normalize in ("utterance", "level", "running"):
        x = torch.zeros(2, 1000, requires_grad=True)
        y = LogMel(8000, normalize=normalize)(x)[0]
        y.sum().backward()
        assert torch.isfinite(y).all()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 3000.0])
def test_a_tone_is_in_its_band(frequency):
    mel = LogMel(8000, mel_bands=20)
    x = 0.5 * torch.sin(2 * np.pi * frequency * torch.arange(4000) / 8000)[None]
    loudest = mel.log_energies(mel._cut(x))[0].mean(0).argmax().item()
    edges = mel_edges(20, 20.0, 4000.0)
    assert edges[loudest] < frequency < edges[loudest + 2]


def test_white_noise_has_its_variance_in_every_band():
    mel = LogMel(8000, mel_bands=12).double()
    x = 0.2 * torch.randn(1, 400_000, dtype=torch.float64)
    energy = mel.log_energies(mel._cut(x))[0].exp().mean(0)
    torch.testing.assert_close(energy, torch.full_like(energy, 0.04), rtol=0.1, atol=0)


def test_no_band_is_empty_however_many_there_are():
    mel = LogMel(8000, mel_bands=128)
    assert mel.fft_size > 256
    assert (mel.filters.sum(0) - 1).abs().max() < 1e-5


def test_frames_do_not_depend_on_what_comes_later():
    mel = LogMel(8000, normalize="running").eval()
    x = torch.randn(1, 2000)
    whole = mel(x)[0]
    torch.testing.assert_close(mel(x[:, :1000])[0], whole[:, :11], atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_a_stream_has_the_frames_of_the_whole(sizes):
    mel = LogMel(8000, mel_bands=6, normalize="running")
    mel(torch.randn(2, 3000))  # statistics that are not the initial ones
    mel.eval()
    stream = mel.stream()
    for _ in range(2):  # finish leaves it ready for the next recording
        x = torch.randn(sum(sizes))
        parts = [stream.push(part) for part in x.split(sizes)]
        assert len(stream._rest) < mel.window_size
        frames = torch.cat([*parts, stream.finish()])
        if not len(x):
            assert frames.shape == (0, 6)
            continue
        torch.testing.assert_close(frames, mel(x[None])[0][0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalize", ["utterance", "level"])
def test_a_mean_over_the_recording_cannot_be_streamed(normalize):
    with pytest.raises(OptionError, match=rf"running.*{normalize}"):
        LogMel(8000, normalize=normalize).stream()


def test_gradients():
    mel = LogMel(1000, mel_bands=3, floor=1e-3).double()
    x = torch.randn(2, 60, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([60, 41])
    assert torch.autograd.gradcheck(lambda x: mel(x, lengths)[0], (x,), atol=1e-4)


def test_autocast_computes_in_float32():
    mel = LogMel(8000).eval()
    x = torch.randn(2, 1000)
    with torch.autocast("cpu", torch.bfloat16):
        y = mel(x)[0]
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, mel(x)[0])
    assert mel(x.half())[0].dtype == torch.float32


def test_export():
    mel = LogMel(8000).eval()
    program = torch.export.export(mel, (torch.randn(2, 900),), dynamic_shapes=({1: torch.export.Dim.DYNAMIC},))
    x = torch.randn(2, 1500)
    torch.testing.assert_close(program.module()(x)[0], mel(x)[0], atol=1e-5, rtol=1e-5)


# Warping ------------------------------------------------------------------------------------------------------------


def test_a_warped_tone_is_at_the_frequency_times_the_factor():
    mel = LogMel(16_000, mel_bands=60)
    frames = []
    for frequency in (1000, 1200):
        x = 0.5 * torch.sin(2 * np.pi * frequency * torch.arange(8000) / 16_000)[None]
        frames.append(mel.log_energies(mel._cut(x)).mean(1))
    moved = warped(frames[0][None], torch.tensor([1.2]), mel.centres, mel.high_frequency)[0]
    assert moved.argmax() == frames[1].argmax() != frames[0].argmax()


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.0, 1.1, 1.25])
def test_warping_interpolates_on_the_mel_axis(factor):
    centres, high = mel_edges(10, 50, 4000)[1:-1], 4000.0
    y = np.random.default_rng(0).normal(size=(1, 3, 10))

    def source(f):
        slope = 1 / factor
        knee = 0.8 * high * min(slope, 1) / slope
        return slope * f if f <= knee else high - (high - slope * knee) / (high - knee) * (high - f)

    places = mel_of(np.array([source(f) for f in centres]))
    expected = np.stack([np.interp(places, mel_of(centres), frame) for frame in y[0]])
    got = warped(torch.tensor(y), torch.tensor([factor], dtype=torch.float64), torch.tensor(centres), high)
    np.testing.assert_allclose(got[0].numpy(), expected, atol=1e-9)


def test_warping_is_for_training_only():
    mel = LogMel(8000, warp=0.3)
    x = torch.randn(2, 1000)
    assert not torch.equal(mel(x)[0], mel(x)[0])
    mel.eval()
    assert torch.equal(mel(x)[0], mel(x)[0])
    torch.testing.assert_close(mel(x)[0], LogMel(8000).eval()(x)[0])


# Trimming -----------------------------------------------------------------------------------------------------------


def test_quiet_ends_are_left_out():
    """Frames of one band at 0, -10, -20 ... dB: those above -15 dB, and whatever lies between them, are kept."""
    decibels = torch.tensor([[-40, -10, 0, -30, -14, -16, 0], [-20, 0, -99, -99, -99, 5, 5], [0, 0, 0, 0, 0, 0, 0]])
    y = (decibels * np.log(10) / 10)[..., None].repeat(1, 1, 3).float()
    kept, lengths = trimmed(y, torch.tensor([6, 5, 0]), 15.0)
    assert lengths.tolist() == [4, 1, 0]
    torch.testing.assert_close(kept[0, :4], y[0, 1:5])
    torch.testing.assert_close(kept[1, :1], y[1, 1:2])
    assert kept.shape == (3, 4, 3)
    whole, lengths = trimmed(y[2:], None, 15.0)
    assert lengths.tolist() == [7]
    assert torch.equal(whole, y[2:])


def test_silence_around_a_word_changes_little():
    word = torch.sin(torch.arange(2400.0) ** 2 / 9000)
    around = 1e-4 * torch.randn(4000)
    around[800:3200] += word  # whole hops
    mel = LogMel(8000, normalize="level", trim=25.0).eval()
    y, lengths = mel(around[None])
    expected = LogMel(8000, normalize="level").eval()(word[None])[0]
    assert abs(int(lengths[0]) - expected.shape[1]) <= 4  # windows that lie half on the word
    assert y.shape[1] == int(lengths[0])
    assert LogMel(8000).eval()(around[None])[1] is None


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, r"above 0.*got 0"),
        ({"mel_bands": 0}, r"above 0.*, 0,"),
        ({"hop_seconds": 0.05}, r"0\.05.*0\.025"),
        ({"high_frequency": 5000.0}, r"4000.*5000"),
        ({"low_frequency": 4000.0}, r"4000"),
        ({"normalize": "utterence"}, r'Did you mean "utterance"'),
        ({"warp": 1.0}, r"warp.*1\.0"),
        ({"trim": -1.0}, r"trim.*-1\.0"),
        ({"trim": 20.0, "normalize": "running"}, r"20\.0.*running"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(OptionError, match=message):
        LogMel(**{"sample_rate": 8000, **options})
