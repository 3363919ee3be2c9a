"""Recordings from folders, manifests and Python; what cannot be read is named."""

import json
import os

import numpy as np
import pytest

from gatewise.data.audio import read_audio
from gatewise.data.audio_files import resampled_length
from gatewise.data.media import MediaOptions
from gatewise.errors import DataError

soundfile = pytest.importorskip("soundfile", reason="needs gatewise[audio]")
pytest.importorskip("soxr", reason="needs gatewise[audio]")

DEFAULT = MediaOptions()


def tone(samples=400, *, rate=8000, channels=1, frequency=440.0):
    x = 0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)
    return x if channels == 1 else np.stack([x * (c + 1) / channels for c in range(channels)], 1)


def write(path, samples=None, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if samples is None else samples, rate, **options)
    return path


@pytest.fixture
def classes(tmp_path):
    """One folder a class, one of them with a folder inside."""
    write(tmp_path / "yes" / "a.wav")
    write(tmp_path / "yes" / "more" / "b.wav")
    write(tmp_path / "no" / "c.wav", tone(300))
    (tmp_path / "no" / "notes.txt").write_text("not a recording")
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "d.wav")
    return tmp_path


def steps_are_lengths(data):
    assert data.steps.dtype == np.int64
    assert [len(item) for item in data.items] == data.steps.tolist()
    assert all(item.dtype == np.float32 and item.ndim == 1 for item in data.items)


def test_a_recording_that_changes_while_it_is_learnt_from(classes):
    data = read_audio(classes, None, DEFAULT)
    write(classes / "no" / "c.wav", -tone(300))  # as long as before, so that its header says the same
    os.utime(classes / "no" / "c.wav", (0, 0))
    with pytest.raises(DataError, match=r"c\.wav: expected the file as it was at first, got another content"):
        data.items[0]


# Folders and manifests ----------------------------------------------------------------------------------------------


def test_a_folder_with_one_folder_a_class(classes):
    data = read_audio(classes, None, DEFAULT)
    assert data.ids == ["no/c.wav", "yes/a.wav", "yes/more/b.wav"]
    assert data.targets == ["no", "yes", "yes"]
    assert (data.kind, data.rate, data.texts) == ("audio", 8000.0, False)
    assert data.layout == "one folder a class; not read: 1 .txt"
    assert data.source == str(classes)
    steps_are_lengths(data)
    np.testing.assert_allclose(data.items[0], tone(300), atol=1 / 32768)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("in_folder", [True, False])
def test_manifests(classes, suffix, in_folder):
    rows = [("yes/a.wav", "da", "x"), ("no/c.wav", "net", "y")]
    names = ("file_name", "label", "who")
    path = classes / f"{'metadata' if in_folder else 'list'}.{suffix}"
    if suffix == "jsonl":
        path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    else:
        comma = "," if suffix == "csv" else "\t"
        path.write_text("\n".join(comma.join(row) for row in [names, *rows]))
    data = read_audio(classes if in_folder else path, None, MediaOptions(group="who"))
    assert data.ids == ["yes/a.wav", "no/c.wav"]
    assert data.targets == ["da", "net"]
    assert data.groups == ["x", "y"]
    assert list(data.rows) == ([1, 2] if suffix == "jsonl" else [2, 3])
    assert data.source == str(path)
    steps_are_lengths(data)


def test_columns_that_are_named(classes):
    (classes / "list.csv").write_text("sound,answer,key\nyes/a.wav,1,k1\nno/c.wav,2,k2\n")
    options = MediaOptions(file="sound", target="answer", id="key")
    data = read_audio(classes / "list.csv", None, options)
    assert (data.ids, data.targets) == (["k1", "k2"], ["1", "2"])


@pytest.mark.parametrize("column", ["text", "transcription", "transcript", "sentence"])
def test_transcripts(classes, column):
    (classes / "list.csv").write_text(f'path,label,{column}\nyes/a.wav,y,"oh, yes"\nno/c.wav,n,007\n')
    data = read_audio(classes / "list.csv", None, DEFAULT, texts=True)
    assert data.targets == ["oh, yes", "007"]  # text stays as it is
    assert data.texts
    assert read_audio(classes / "list.csv", None, DEFAULT).targets == ["y", "n"]


def test_transcripts_are_not_taken_from_labels(classes):
    (classes / "list.csv").write_text("file_name,label\nyes/a.wav,y\n")
    with pytest.raises(DataError, match=r'list\.csv.*"text".*file_name, label'):
        read_audio(classes / "list.csv", None, DEFAULT, texts=True)
    with pytest.raises(DataError, match=r"manifest with transcripts.*metadata\.csv.*text"):
        read_audio(classes, None, DEFAULT, texts=True)


def test_without_targets(classes):
    single = read_audio(classes / "no" / "c.wav", None, DEFAULT, require_target=False)
    assert (single.ids, single.targets, len(single)) == (["c.wav"], None, 1)
    folder = read_audio(classes / "yes", None, MediaOptions(target="label", group="who"), require_target=False)
    assert (folder.ids, folder.targets, folder.groups) == (["a.wav", "more/b.wav"], None, None)
    (classes / "list.csv").write_text("file_name\nyes/a.wav\n")
    assert read_audio(classes / "list.csv", None, DEFAULT, require_target=False).targets is None
    transcripts = read_audio(classes, None, DEFAULT, texts=True, require_target=False)
    assert (len(transcripts), transcripts.targets) == (3, None)


@pytest.mark.parametrize(
    ("place", "texts", "message"),
    [
        ("no/c.wav", False, r"c\.wav.*single file.*one folder a class"),
        ("yes", False, r"yes.*one folder a class.*a\.wav beside them"),
        ("nowhere", False, r"nowhere.*nothing of that name"),
    ],
)
def test_targets_that_are_missing(classes, place, texts, message):
    with pytest.raises(DataError, match=message):
        read_audio(classes / place, None, DEFAULT, texts=texts)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("file_name,label\nyes/a.wav,y\nyes/./a.wav,n\n", DEFAULT, r"row 3, column file_name.*yes/\./a\.wav.*row 2"),
        ("file_name,label\nyes/a.wav,y\n,n\n", DEFAULT, r"row 3, column file_name.*none"),
        ("file_name,label\nyes/a.wav,y\nno/c.wav,\n", DEFAULT, r"row 3, column label.*got none"),
        ("file_name,label\nyes/a.wav,y\nno/x.wav,n\n", DEFAULT, r"row 3: .*no/x\.wav.*no file of that name"),
        ("name,label\nyes/a.wav,y\n", DEFAULT, r'"file_name".*name, label'),
        ("file_name,label\nyes/a.wav,y\n", MediaOptions(target="lable"), r'"lable".*"label"'),
        ("file_name,label\nyes/a.wav,y\n", MediaOptions(group="who"), r'"who"'),
        ("file_name,label\n", DEFAULT, r"list\.csv"),
    ],
)
def test_mistakes_in_a_manifest(classes, content, options, message):
    (classes / "list.csv").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_audio(classes / "list.csv", None, options)
    assert str(caught.value).count("\n") == 0


def test_an_empty_transcript_is_told(classes):
    (classes / "list.csv").write_text('file_name,text\nyes/a.wav,yes\nno/c.wav," "\n')
    with pytest.raises(DataError, match=r"row 3, column text.*transcript"):
        read_audio(classes / "list.csv", None, DEFAULT, texts=True)


def test_no_recordings(tmp_path):
    with pytest.raises(DataError, match=r"expected recordings.*got none"):
        read_audio(tmp_path, None, DEFAULT)
    (tmp_path / "a.m4a").write_bytes(b"x")
    with pytest.raises(DataError, match=r"got only 1 \.m4a"):
        read_audio(tmp_path, None, DEFAULT)


def test_two_manifests(classes):
    for suffix in ("csv", "tsv"):
        (classes / f"metadata.{suffix}").write_text("file_name\n")
    with pytest.raises(DataError, match=r"metadata\.csv and metadata\.tsv"):
        read_audio(classes, None, DEFAULT)


# Formats and rates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2)])
def test_formats(tmp_path, suffix, rate, channels):
    samples = tone(rate // 2 + 13, rate=rate, channels=channels)
    for label in "ab":
        write(tmp_path / label / f"x.{suffix}", samples, rate)
    data = read_audio(tmp_path, None, MediaOptions(rate=8000))
    steps_are_lengths(data)
    mono = samples if channels == 1 else samples.mean(1)
    assert data.steps[0] >= resampled_length(len(mono), rate, 8000)  # some formats fill up their last block
    middle = data.items[0][1000:3000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * 8000 / len(middle) == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(np.abs(mono).max(), rel=0.1)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(16_000, 8000), (44_100, 8000), (8000, 11_025), (48_000, 44_100)])
@pytest.mark.parametrize("samples", [1, 2, 7, 999, 1000, 12_345])
def test_steps_are_the_length_after_resampling(tmp_path, from_rate, to_rate, samples):
    write(tmp_path / "x.wav", tone(samples, rate=from_rate), from_rate)
    data = read_audio(tmp_path / "x.wav", None, MediaOptions(rate=to_rate), require_target=False)
    assert data.steps.tolist() == [-(-samples * to_rate // from_rate)]
    steps_are_lengths(data)


def test_mixed_rates_become_the_usual_one(tmp_path):
    for index in range(5):
        write(tmp_path / "a" / f"{index}.wav", tone(800))
    for index in range(2):
        write(tmp_path / "b" / f"{index}.wav", tone(1600, rate=16_000), 16_000)
    write(tmp_path / "b" / "last.wav", tone(1100, rate=11_025), 11_025)
    data = read_audio(tmp_path, None, DEFAULT)
    assert data.rate == 8000
    assert data.layout == (
        "one folder a class; 1 of 8 recordings resampled from 11,025 to 8,000 Hz; "
        "2 of 8 recordings resampled from 16,000 to 8,000 Hz"
    )
    steps_are_lengths(data)
    assert data.steps.tolist() == [800] * 7 + [799]
    np.testing.assert_allclose(data.items[5][100:700], tone(800)[100:700], atol=2e-3)
    assert read_audio(tmp_path, None, MediaOptions(rate=16_000)).steps.tolist()[:1] == [1600]


def test_resampling_keeps_out_what_the_new_rate_cannot_hold(tmp_path):
    write(tmp_path / "x.wav", tone(16_000, rate=16_000, frequency=6000.0), 16_000)
    data = read_audio(tmp_path / "x.wav", None, MediaOptions(rate=8000), require_target=False)
    assert np.abs(data.items[0][200:-200]).max() < 0.01  # else it would be a tone of 2000 Hz


def test_recordings_are_decoded_when_asked_for(classes, monkeypatch):
    data = read_audio(classes, None, DEFAULT)
    monkeypatch.setattr(soundfile, "read", lambda *args, **options: pytest.fail("was decoded"))
    part = data.subset([2, 0])
    assert part.ids == ["yes/more/b.wav", "no/c.wav"]
    assert part.steps.tolist() == [400, 300]


# What cannot be read ------------------------------------------------------------------------------------------------


def spoil(folder):
    """One recording each of what may be wrong; returns the reason of each."""
    write(folder / "yes" / "empty.wav", np.zeros(0))
    (folder / "yes" / "nothing.wav").write_bytes(b"")
    (folder / "no" / "text.wav").write_text("this is no sound at all, only text " * 10)
    bad = tone(500)
    bad[123] = np.nan
    write(folder / "no" / "nan.wav", bad, subtype="FLOAT")
    path = write(folder / "no" / "cut.flac", np.random.default_rng(0).normal(size=40_000) * 0.1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return {
        "yes/empty.wav": "no samples",
        "yes/nothing.wav": "an empty file",
        "no/text.wav": "cannot be decoded",
        "no/nan.wav": "not finite, at sample 123",
        "no/cut.flac": "cannot be decoded",
    }


def test_each_bad_recording_is_named(classes):
    reasons = spoil(classes)
    for name, reason in reasons.items():
        (classes / "list.csv").write_text(f"file_name,label\nyes/a.wav,y\n{name},n\n")
        with pytest.raises(DataError, match=rf"row 3: .*{name}: expected a recording.*{reason}.*skip_bad") as caught:
            [*read_audio(classes / "list.csv", None, DEFAULT).items]
        assert str(caught.value).count("\n") == 0


def test_what_can_hold_nan_is_looked_at_before_training(classes):
    spoil(classes)
    (classes / "list.csv").write_text("file_name,label\nno/nan.wav,y\n")
    with pytest.raises(DataError, match=r"nan\.wav"):
        read_audio(classes / "list.csv", None, DEFAULT)


def test_bad_recordings_are_left_out_and_counted(classes):
    reasons = spoil(classes)
    data = read_audio(classes, None, MediaOptions(skip_bad=True))
    assert data.ids == ["no/c.wav", "yes/a.wav", "yes/more/b.wav"]
    assert data.targets == ["no", "yes", "yes"]
    steps_are_lengths(data)
    (note,) = data.skipped
    assert note.startswith(f"{len(reasons)} of {len(reasons) + 3} recordings were left out: ")
    assert note.endswith(") and 2 more.")
    first = note.split(": ", 1)[1].split(" (")[0]
    assert first in reasons


def test_a_row_without_a_file_can_be_left_out(classes):
    (classes / "list.csv").write_text("file_name,label\nyes/a.wav,y\nno/x.wav,n\nno/c.wav,n\n")
    data = read_audio(classes / "list.csv", None, MediaOptions(skip_bad=True))
    assert (data.ids, list(data.rows)) == (["yes/a.wav", "no/c.wav"], [2, 4])
    assert data.skipped == ("1 of 3 recordings was left out: no/x.wav (no file of that name).",)


def test_none_that_can_be_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.wav").write_text("text")
    with pytest.raises(DataError, match=r"none of 1, the first: a/x\.wav"):
        read_audio(tmp_path, None, MediaOptions(skip_bad=True))


def test_a_missing_library_is_told(classes, monkeypatch):
    import importlib

    def gone(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(DataError, match=r'soundfile.*pip install "gatewise\[audio\]"'):
        read_audio(classes, None, DEFAULT)


# Python -------------------------------------------------------------------------------------------------------------


def test_arrays():
    whole = np.array([0, 16384, -32768], dtype=np.int16)
    data = read_audio([tone(50), tone(40, channels=2), whole], ["a", "b", 1.0], MediaOptions(rate=8000))
    assert data.targets == ["a", "b", "1"]
    assert data.rate == 8000
    steps_are_lengths(data)
    np.testing.assert_allclose(data.items[1], tone(40, channels=2).mean(1), atol=1e-6)
    assert data.items[2].tolist() == [0, 0.5, -1]
    assert read_audio(([tone(5)], ["a"]), None, MediaOptions(rate=8000)).targets == ["a"]
    assert read_audio([tone(5)], [" Ja "], MediaOptions(rate=8000), texts=True).targets == [" Ja "]
    assert read_audio(data, None, DEFAULT) is data


def test_paths_and_tables(classes):
    paths = [classes / "yes" / "a.wav", str(classes / "no" / "c.wav")]
    data = read_audio(paths, ["y", "n"], DEFAULT)
    assert (data.targets, data.steps.tolist()) == (["y", "n"], [400, 300])
    rows = [{"file_name": str(path), "label": label} for path, label in zip(paths, "yn", strict=True)]
    assert read_audio(rows, None, DEFAULT).targets == ["y", "n"]


@pytest.mark.parametrize(
    ("data", "targets", "options", "message"),
    [
        ([tone()], ["a"], DEFAULT, r"data\.media\.rate"),
        ([tone()], None, MediaOptions(rate=8000), r"target for each of 1"),
        ([tone()], ["a", "b"], MediaOptions(rate=8000), r"1 targets.*got 2"),
        ([], [], MediaOptions(rate=8000), r"empty list"),
        (tone(), ["a"], MediaOptions(rate=8000), r"ndarray.*into a list"),
        ([tone(), tone()[:0]], "ab", MediaOptions(rate=8000), r"recording 1.*no samples"),
        ([tone(), np.array([np.inf])], "ab", MediaOptions(rate=8000), r"recording 1.*sample 0"),
        ([tone(), tone(channels=2).T], "ab", MediaOptions(rate=8000), r"recording 1.*channels.*\(2, 400\)"),
        ([tone(), np.array(["x"])], "ab", MediaOptions(rate=8000), r"recording 1.*numbers"),
        ("x.wav", ["a"], DEFAULT, r"no separate targets"),
    ],
)
def test_mistakes_in_python(data, targets, options, message):
    with pytest.raises(DataError, match=message):
        read_audio(data, targets, options)


def test_arrays_that_are_left_out():
    data = read_audio([tone(9), tone()[:0], tone(7)], "abc", MediaOptions(rate=8000, skip_bad=True))
    assert (data.targets, data.ids) == (["a", "c"], ["0", "2"])
    assert data.skipped == ("1 of 3 recordings was left out: 1 (no samples).",)
