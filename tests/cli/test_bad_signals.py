"""What goes wrong with series, recordings, drawings and films is told in one line, and nothing is left behind."""

import math

import numpy as np
import pytest

from gatewise.data.audio_files import read_header, read_samples
from gatewise.errors import DataError

QUICK = ("--epochs", "1", "--seed", "1", "--threads", "1", "--quiet", "--set", "model.hidden_sizes=[4]")


@pytest.fixture
def refused(mistake, tmp_path, monkeypatch):
    """A training in an empty folder that must be refused, and must leave no directory."""
    monkeypatch.chdir(tmp_path)

    def run(task, data, *words):
        message = mistake("train", task, "--data", data, "--out", "out", *QUICK, *words)
        assert not (tmp_path / "out").exists()
        return message

    return run


@pytest.fixture
def sales(tmp_path):
    """Two series of 60 days."""
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    rows = [f"{shop},{day},{9 + math.sin(t):.3f}" for shop in ("north", "south") for t, day in enumerate(days)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["shop,day,sold", *rows]) + "\n")
    return path


@pytest.fixture
def sounds(tmp_path):
    """One folder a class, four recordings of a fifth of a second each."""
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    for name in ("hum", "hiss"):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        for k in range(4):
            wave = rng.normal(0, 0.1, 1600).astype(np.float32)
            soundfile.write(tmp_path / "sounds" / name / f"{k}.wav", wave, 8000)
    return tmp_path / "sounds"


SERIES = ("--id", "shop", "--target", "sold")


@pytest.mark.parametrize("part", ["2024-02-01..2024-01-15", "..1999-01-01", "2030-01-01..", "5..2", "70..", "..0"])
def test_a_part_of_a_series_without_a_step_tells_where_the_file_is(refused, sales, part):
    told = refused("forecasting", f"{sales}@{part}", *SERIES)
    assert f"{sales}@{part}: expected " in told
    assert "The file ends at 2024-02-29 and begins at 2024-01-01." in told


def test_a_horizon_of_0_is_not_the_default(gatewise, mistake, sales, tmp_path):
    assert gatewise("train", "forecasting", "--data", sales, "--out", tmp_path / "run", *SERIES, *QUICK).code == 0
    assert "horizon: expected at least 1, got 0" in mistake("forecast", tmp_path / "run", "--horizon", "0")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.media.rate=8000", "data.media.rate: expected none with forecasting, got 8000"),
        ("data.media.skip_bad=true", "data.media.skip_bad: expected none with forecasting, got True"),
    ],
)
def test_settings_of_media_are_none_of_series(refused, sales, setting, told):
    assert told in refused("forecasting", sales, *SERIES, "--set", setting)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--horizon", "3"), "data.series.horizon: expected none with audio-classification, got 3"),
        (("--set", "data.series.season=4"), "data.series.season: expected none with audio-classification, got 4"),
        (("--length", "5"), "data.length: expected none with audio-classification, got 5"),
        (("--set", "model.mel_bands=0"), "LogMel: expected rate, bands, floor and hop above 0"),
    ],
)
def test_settings_that_recordings_do_not_have(refused, sounds, words, told):
    assert told in refused("audio-classification", sounds, *words)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("height=40", "data.media.height: expected none with recordings, got 40"),
        ("size=32", "data.media.size: expected none with recordings, got 32"),
        ("frames=3", "data.media.frames: expected none with recordings, got 3"),
        ("ngram_order=3", "data.media.ngram_order: expected none with classes, got 3"),
        ("lowercase=true", "data.media.lowercase: expected none with classes, got True"),
    ],
)
def test_settings_of_other_kinds_of_media(refused, sounds, setting, told):
    assert told in refused("audio-classification", sounds, "--set", f"data.media.{setting}")


def test_settings_of_media_that_drawings_and_skeletons_do_not_have(refused, tmp_path):
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(8, 5, 4, 3)).astype(np.float32), ["a", "b"] * 4
    np.savez(tmp_path / "clips.npz", x=x, label=label)
    np.savez(tmp_path / "ink.npz", x=x[:, :, 0], label=label)
    clips, ink = tmp_path / "clips.npz", tmp_path / "ink.npz"
    told = refused("video", clips, "--set", "data.media.size=32")
    assert "data.media.size: expected none with clips of skeletons, got 32" in told
    told = refused("handwriting", ink, "--set", "data.media.height=32")
    assert "data.media.height: expected none with drawings, got 32" in told
    told = refused("handwriting", ink, "--set", "data.media.rate=8000")
    assert "data.media.rate: expected none with drawings, got 8000" in told


def test_levels_of_a_forecast_without_any(refused, sales):
    told = refused("forecasting", sales, *SERIES, "--set", "loss.levels=[0.1,0.5]")
    assert 'loss.levels: expected none with distribution "squared", got (0.1, 0.5)' in told


@pytest.mark.parametrize("task", ["classification", "text-classification"])
def test_settings_of_series_are_none_of_sequences_and_texts(refused, tmp_path, task):
    data = tmp_path / ("a.tsv" if task == "classification" else "a.txt")
    data.write_text("1\t0.5\t0.25\n2\t0.25\t0.5\n" * 8 if task == "classification" else "a\tx y\nb\tz w\n" * 8)
    assert "data.series.horizon: expected none with" in refused(task, data, "--horizon", "3")
    assert "data.media.height: expected none with" in refused(task, data, "--set", "data.media.height=40")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda whole: b"", "got an empty file"),
        (lambda whole: b"no sound at all\n" * 9, "got content that cannot be decoded"),
        (lambda whole: whole[:30], "got content that cannot be decoded"),
        (lambda whole: whole[:44], "got no samples"),
        (lambda whole: whole[:300], "got 2,944 bytes less than its header says: cut off"),
    ],
)
def test_a_bad_recording_is_named_or_left_out(refused, gatewise, sounds, tmp_path, change, told):
    (sounds / "hum" / "0.wav").write_bytes(change((sounds / "hum" / "0.wav").read_bytes()))
    message = refused("audio-classification", sounds)
    assert f"{sounds / 'hum' / '0.wav'}: expected a recording, " in message
    assert told in message
    answer = gatewise("data", sounds, "--task", "audio-classification")
    assert answer.code == 2
    assert told in answer.err


def test_what_cannot_be_read_may_be_left_out_of_predictions(gatewise, mistake, sounds, tmp_path):
    run, out = tmp_path / "run", tmp_path / "answers.csv"
    assert gatewise("train", "audio-classification", "--data", sounds, "--out", run, *QUICK).code == 0
    (sounds / "hum" / "0.wav").write_bytes(b"")
    assert "0.wav: expected a recording, got an empty file" in mistake("predict", run, "--data", sounds, "--out", out)
    answer = gatewise("predict", run, "--data", sounds, "--out", out, "--skip-bad")
    assert answer.code == 0 and out.read_text().count("\n") == 8
    assert "Note: 1 of 8 recordings was left out: hum/0.wav (an empty file)." in answer.err
    assert "7 predictions in " in answer.err
    assert "data.media.skip_bad: expected none" not in answer.err


def test_skipping_is_of_media_alone(mistake, trained):
    told = mistake("predict", trained / "run", "--data", trained / "test.csv", "--skip-bad")
    assert "data.media.skip_bad: expected none with classification, got True" in told


def test_only_headers_are_read_to_describe_recordings(gatewise, sounds):
    answer = gatewise("data", sounds, "--task", "audio-classification")
    assert answer.code == 0
    assert "only the headers of these 8 files were read" in answer.out


def test_a_recipe_of_another_task_is_named(refused, sounds):
    rows = "".join(f"hum/{k}.wav,a\n" for k in range(4))
    (sounds / "metadata.csv").write_text("file_name,text\n" + rows)
    told = refused("speech-to-text", sounds, "--recipe", "line-lstm")
    assert told.startswith('gatewise: model.recipe: expected speech-lstm for these data, got "line-lstm"')
    told = refused("speech-to-text", sounds, "--recipe", "line-lstm", "--set", "model.batch_norm=true")
    assert 'model.batch_norm: recipe "line-lstm" has no such option' in told


def test_a_header_of_a_pipe_and_one_that_miscounts_are_no_cut_off_recordings(sounds):
    path = sounds / "hum" / "0.wav"
    whole = path.read_bytes()
    at = whole.index(b"data") + 4
    for told in (0x7FFFFFFF, 0xFFFFFFFF, 3200 + 44, 3200):
        path.write_bytes(whole[:at] + told.to_bytes(4, "little") + whole[at + 4 :])
        assert read_header(path).samples == 1600


@pytest.mark.parametrize("value", [1e11, -1e30, np.nan, np.inf])
def test_samples_that_no_microphone_gives(refused, sounds, value):
    soundfile = pytest.importorskip("soundfile")
    wave = np.full(1600, 0.1, np.float32)
    wave[7] = value
    soundfile.write(sounds / "hum" / "0.wav", wave, 8000, subtype="FLOAT")
    assert "at sample 7" in refused("audio-classification", sounds)


def test_integers_kept_as_floats_are_read(sounds):
    soundfile = pytest.importorskip("soundfile")
    path = sounds / "hum" / "0.wav"
    soundfile.write(path, np.full(1600, -(2.0**31), np.float32), 8000, subtype="FLOAT")
    assert read_samples(path, read_header(path), 8000).min() == -(2.0**31)


@pytest.mark.parametrize("value", [1e300, -1e13])
def test_coordinates_that_overflow(refused, tmp_path, value):
    xy = np.arange(80.0).reshape(40, 2)
    xy[13, 1] = value
    np.savez(tmp_path / "signs.npz", xy=xy, lengths=[10] * 4, label=["a", "b"] * 2)
    message = refused("handwriting", tmp_path / "signs.npz")
    assert "signs.npz, item 1, point 3: expected coordinates up to 1e+12" in message


def test_a_bad_header_says_so_in_python(tmp_path):
    pytest.importorskip("soundfile")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="content that cannot be decoded"):
        read_header(tmp_path / "a.wav")
