"""Models of recordings: a row's answer is its own, nothing looks ahead where it must not, and they learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

import gatewise
from gatewise.data.config import DataConfig
from gatewise.data.media import MediaData
from gatewise.errors import ConfigError, DataError, OptionError
from gatewise.models.audio import audio_lstm, speech_lstm
from gatewise.models.config import ModelConfig, build
from gatewise.models.encoder import stateful_step
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.testing.tasks import check_task

DIGITS = Path(__file__).parents[3] / "shared" / "data" / "speech_digits_fsdd" / "recordings.tar.xz"
SMALL = {"hidden_sizes": (6,), "stem_channels": (8,), "stem_kernel_sizes": (3,), "stem_strides": (2,), "mel_bands": 16}
STILL = {"speed": 0.0, "noise": 0.0, "warp": 0.0, "time_masks": 0, "frequency_masks": 0}


def whistles(count=16, *, texts=False):
    """Tones that rise, fall, or swing; a text has a letter for each."""
    rng = np.random.default_rng(0)
    items, answers = [], []
    for index in range(count):
        moves = [index % 3] if not texts else rng.integers(0, 3, 1 + index % 2).tolist()
        parts = []
        for move in moves:
            t = np.arange(rng.integers(900, 1500)) / 8000
            sweep = {0: 600 + 9000 * t, 1: 2400 - 9000 * t, 2: 1500 + 800 * np.sin(120 * t)}[move]
            parts.append(0.4 * np.sin(2 * np.pi * np.cumsum(sweep) / 8000) + 0.01 * rng.normal(size=len(t)))
        items.append(np.concatenate(parts).astype(np.float32))
        answers.append("".join("rfs"[move] for move in moves))
    steps = np.array([len(item) for item in items])
    return MediaData("audio", items, steps, answers, texts=texts, rate=8000.0)


def task_of(name, data):
    adapter = SIDES[name].fit(data, DataConfig())
    return TASKS[name](LossConfig(), adapter), adapter.encode(data)


@pytest.mark.parametrize("normalize", ["utterance", "level"])
def test_checks_of_classification(normalize):
    task, examples = task_of("audio-classification", whistles())
    check_task(task, ModelConfig(recipe="audio-lstm", normalize=normalize, **SMALL), examples)


def test_checks_of_transcription():
    task, examples = task_of("speech-to-text", whistles(texts=True))
    # The checks learn eight recordings by heart: what is to keep a model from that is off.
    check_task(task, ModelConfig(recipe="speech-lstm", **{**SMALL, **STILL, "hidden_sizes": (12,)}), examples)


@pytest.mark.parametrize("recipe", [audio_lstm, speech_lstm])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_row_is_scored_as_if_alone(recipe, bidirectional):
    model = recipe(8000, 5, bidirectional=bidirectional).eval()
    x, lengths = torch.randn(3, 2000), torch.tensor([2000, 777, 60])
    x[torch.arange(2000) >= lengths[:, None]] = torch.nan
    together = model.run(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model.run(x[row : row + 1, :length])
        steps = int(alone.lengths[0])
        assert int(together.lengths[row]) == steps >= 1
        scores = together.scores[row] if together.scores.ndim == 2 else together.scores[row, :steps]
        torch.testing.assert_close(scores, alone.scores[0], atol=1e-4, rtol=1e-4)


def test_one_direction_does_not_look_ahead():
    model = speech_lstm(8000, 5, bidirectional=False).eval()
    x = torch.randn(1, 4000)
    whole, part = model(x), model(x[:, :2000])
    torch.testing.assert_close(whole[:, : part.shape[1]], part, atol=1e-5, rtol=1e-5)
    two = speech_lstm(8000, 5).eval()
    assert not torch.allclose(two(x)[:, : part.shape[1]], two(x[:, :2000]), atol=1e-3)


def test_attention_is_told_of_the_frames_and_not_of_the_samples():
    """As many shares as the recording has frames, the same alone as in a batch."""
    data = whistles(6)
    task, examples = task_of("audio-classification", data)
    torch.manual_seed(0)
    model = task.build(ModelConfig(recipe="audio-lstm", pool="attention", **SMALL)).eval()
    batch = task.collate([examples[i] for i in range(6)])
    outputs = model(batch)
    shares = [answer.attention for answer in task.predict(model, batch, outputs)]
    frames = [1 + (int(steps) - 200) // 80 for steps in data.steps]  # windows of 25 ms, one every 10 ms, at 8 kHz
    assert [len(share) for share in shares] == frames == outputs.attended.tolist()
    assert all(share.sum() == pytest.approx(1, abs=1e-5) and share.dtype == np.float32 for share in shares)
    alone = task.collate([examples[2]])
    np.testing.assert_allclose(task.predict(model, alone, model(alone))[0].attention, shares[2], atol=1e-5)


def test_a_stream_has_the_scores_of_the_whole():
    """Every block of the stem has a stream, and the encoder a step."""
    model = speech_lstm(8000, 5, bidirectional=False, hidden_sizes=(8, 8), stem_channels=(6, 7),
                        stem_kernel_sizes=(5, 3), stem_strides=(2, 1))  # fmt: skip
    model(torch.randn(4, 3000))  # statistics that are not the initial ones
    model.eval()
    x = torch.randn(3000)
    streams = [block.stream() for block in model.stem]
    step = stateful_step(model.encoder)
    scores = []
    with torch.no_grad():
        for samples in x.split(333):
            part = samples
            for stream in streams:
                part = stream.push(part)
            scores += [model.head(step(frame)) for frame in part]
        torch.testing.assert_close(torch.stack(scores), model(x[None])[0], atol=1e-5, rtol=1e-5)


def test_evaluation_is_the_same_every_time_and_training_is_not():
    model = audio_lstm(8000, 3, dropout=0.0)
    x = torch.randn(2, 3000)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_gradients_reach_every_weight():
    for recipe in (audio_lstm, speech_lstm):
        model = recipe(8000, 3)
        model(torch.randn(4, 3000)).square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_steps_of_a_second():
    """A hundred frames of 10 ms, less those that do not fill a window, over the strides."""
    lengths = speech_lstm(16_000, 4, stem_strides=(2,)).eval().run(torch.randn(1, 16_000)).lengths
    assert lengths.tolist() == [49]


def test_the_sample_rate_is_taken_from_the_data():
    model = build(ModelConfig(recipe="audio-lstm", mel_bands=20), {"sample_rate": 16_000, "num_classes": 4})
    assert model.stem[1].sample_rate == 16_000
    assert model.stem[1].filters.shape[1] == 20
    assert [audio_lstm(rate, 2).stem[1].mel_bands for rate in (8000, 16_000, 44_100)] == [20, 27, 37]


@pytest.mark.parametrize(
    ("build_it", "message"),
    [
        (lambda: audio_lstm(8000, 3, pool="none"), r'pool.*"none".*speech_lstm'),
        (lambda: audio_lstm(8000, 3, stem_channels=(4, 4, 4)), r"got 3"),
        (lambda: audio_lstm(8000, 3, bidirectional=False, conv_channels=(8,)), r"conv_channels.*\(8,\)"),
        (lambda: audio_lstm(8000, 3, normalize="no"), r'"no"'),
        (lambda: audio_lstm(8000, 3, pool="attention", trim=20.0), r"attention.*20\.0"),
    ],
)
def test_options_that_do_not_fit(build_it, message):
    with pytest.raises(OptionError, match=message):
        build_it()


def test_a_recipe_for_other_data_is_refused():
    with pytest.raises(ConfigError, match=r'audio-lstm.*"lstm"'):
        build(ModelConfig(recipe="lstm"), {"sample_rate": 8000, "num_classes": 4})


@pytest.mark.skipif(not DIGITS.exists(), reason=f"needs {DIGITS}")
def test_it_learns_spoken_digits(tmp_path):
    """Eighty recordings of one and six: others of the same speakers are told apart."""
    import tarfile

    pytest.importorskip("soundfile", reason="needs gatewise[audio]")
    with tarfile.open(DIGITS) as archive:
        for member in archive:
            digit, _, number = member.name.removesuffix(".wav").split("_")
            if digit in "16" and int(number) < 12:
                archive.extract(member, tmp_path / ("test" if int(number) < 4 else "train") / digit, filter="data")
    run = gatewise.train(
        "audio-classification",
        data=tmp_path / "train",
        test=tmp_path / "test",
        out=tmp_path / "run",
        settings={"train.epochs": 8, "train.batch_size": 16, "train.threads": 1, "data.valid_fraction": 0.0},
        report=False,
    )
    assert run.results["test"]["accuracy"] > 0.9


def test_other_recordings_are_brought_to_the_rate_of_training(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    for name, rate in (("train", 8000), ("test", 16000)):
        for label, pitch in (("low", 300), ("high", 1500)):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for i in range(6):
                time = np.arange(rate // 4) / rate
                tone = 0.5 * np.sin(2 * np.pi * pitch * time) + 0.01 * rng.normal(size=len(time))
                soundfile.write(folder / f"{i}.wav", tone, rate)
    settings = {"train.epochs": 1, "train.threads": 1, "model.hidden_sizes": [4]}
    run = gatewise.train(
        "audio-classification",
        data=tmp_path / "train",
        test=tmp_path / "test",
        out=tmp_path / "run",
        settings=settings,
        progress=False,
        report=False,
    )
    assert run.config.data.media.rate == 8000
    measured = run.evaluate(tmp_path / "test")
    assert measured["loss"] == pytest.approx(run.results["test"]["loss"], rel=1e-6)
    wide = MediaData("audio", [np.zeros(800, np.float32)], np.array([800]), rate=16000.0)
    with pytest.raises(DataError, match=r"expected 8,000 samples a second as in training, got 16,000"):
        run.adapter.encode(wide)
