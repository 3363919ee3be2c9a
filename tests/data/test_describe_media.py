import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gatewise import samples
from gatewise.cli.main import app
from gatewise.data.batching import epoch_order, padding_share
from gatewise.data.describe_media import describe_media
from gatewise.data.media import MediaData, MediaOptions
from gatewise.errors import DataError
from gatewise.tasks.sides import read_audio, read_handwriting


class FirstOnly(Sequence):
    """Items of which only the first may be loaded."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        assert index == 0, "loaded what need not be"
        return self.items[index]


def sounds(targets, *, lengths=None, **more):
    """Silent recordings of these targets at 100 samples a second."""
    steps = np.array(lengths or range(10, 10 + len(targets)), dtype=np.int64)
    items = FirstOnly([np.zeros(length, np.float32) for length in steps])
    return MediaData("audio", items, steps, targets, rate=100.0, source="sounds", **more)


def test_classes_lengths_and_groups_are_counted():
    rng = np.random.default_rng(0)
    targets = [str(label) for label in rng.choice(["yes", "no"], 60)]
    data = sounds(
        targets, groups=[str(who) for who in rng.choice(["ann", "ben", "cleo"], 60)], classes=("no", "yes", "?")
    )
    told = describe_media(data)
    assert told.items == 60 and told.shape == () and told.ids is False
    assert (told.steps.min, told.steps.median, told.steps.max) == (10, 39.5, 69)
    assert told.seconds == pytest.approx(sum(range(10, 70)) / 100)
    assert told.classes == (("no", targets.count("no")), ("yes", targets.count("yes")), ("?", 0))
    assert dict(told.groups) == Counter(data.groups)
    assert told.transcripts is None
    assert told.padding == padding_share(epoch_order(data.steps, 32, seed=0, epoch=0), data.steps)
    assert json.loads(json.dumps(told.to_plain()))["classes"][2] == ["?", 0]
    text = told.to_text()
    assert text.startswith("sounds\n") and "100 samples a second" in text
    assert "0.1 to 0.69, median 0.395; 23.7 s in all" in text


def test_transcripts_are_counted():
    texts = ["one two", "", " one two ", "three ö"]
    told = describe_media(sounds(texts, texts=True)).transcripts
    stripped = [text.strip() for text in texts]
    assert (told.characters_in_all, told.words_in_all, told.different, told.empty) == (21, 6, 3, 1)
    assert (told.characters.min, told.characters.median, told.characters.max) == (0, 7, 7)
    assert dict(told.alphabet) == Counter("".join(stripped))
    text = describe_media(sounds(texts, texts=True)).to_text()
    assert "3 different" in text and "space: 3" in text
    assert "classes" not in text


def test_what_looks_suspicious_is_noted():
    told = describe_media(sounds(["a"] * 30 + ["b"], lengths=[10] * 30 + [400], rows=range(2, 33)))
    notes = " | ".join(told.notes)
    assert 'few recordings of the class "b" (1)' in notes
    assert "classes are unbalanced, 30 recordings to 1" in notes
    assert "1 of 31 recordings are more than 10 times as long as most, up to 40 times: sounds" in notes
    told = describe_media(sounds(["same"] * 9))
    assert told.notes == ('all recordings are of the class "same"',)


def test_transcripts_that_cannot_be_are_noted():
    texts = ["a word"] * 20 + ["a" * 50, ""]
    told = describe_media(sounds(texts, texts=True, lengths=[100] * 22))
    notes = " | ".join(told.notes)
    assert "1 of 22 transcripts have more than 30 characters a second, the first: sounds, recording 20" in notes
    assert "1 of 22 transcripts are empty, the first: sounds, recording 21" in notes
    lines = replace(sounds(["abcdef"] * 9, texts=True, lengths=[5] * 9), kind="lines", rate=None)
    assert "9 of 9 transcripts have more characters than steps" in describe_media(lines).notes[-1]


def test_rare_characters_and_what_was_left_out():
    told = describe_media(
        sounds(["aaaaaaaaé"], texts=True, lengths=[1000], skipped=("1 of 2 recordings was left out.",))
    )
    assert told.notes == ("1 of 2 recordings was left out", "1 characters occur fewer than 8 times: é")


def test_steps_that_have_a_shape():
    data = MediaData("frames", [np.zeros((3, 20, 30, 1), np.uint8)] * 2, np.array([3, 3]), ["a", "b"], rate=12.5)
    told = describe_media(data)
    assert told.shape == (20, 30, 1)
    assert "20 x 30 x 1" in told.to_text() and "12.5 frames a second" in told.to_text()


def test_nothing_and_no_targets():
    assert "target" in describe_media(MediaData("strokes", [np.zeros((4, 3))], np.array([4]))).to_text()
    with pytest.raises(DataError, match="expected at least one of the drawings, got none"):
        describe_media(MediaData("strokes", [], np.zeros(0, np.int64)))


def test_command(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", xy=np.arange(18.0).reshape(9, 2), lengths=[4, 5], label=["a", "b"])
    app(["data", str(tmp_path / "a.npz"), "--task", "handwriting"], standalone_mode=False)
    assert "drawings" in capsys.readouterr().out
    app(["data", str(tmp_path / "a.npz"), "--task", "handwriting", "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "strokes" and told["steps"]["max"] == 5 and told["classes"] == [["a", 1], ["b", 1]]


def test_sample_of_spoken_digits_is_as_its_readme_says():
    pytest.importorskip("soundfile")
    files = {file.name: file for file in samples.files("spoken-digits")}
    named = set()
    for part, count in (("train", 180), ("test", 60)):
        options = MediaOptions(group="speaker", target="label")
        data = read_audio(str(files[f"{part}.csv"]), None, options, texts=False)
        told = describe_media(data)
        assert told.items == count and told.rate == 8000
        assert dict(told.classes) == dict.fromkeys("0123456789", count // 10)
        assert [number for _, number in told.groups] == [count // 6] * 6
        spoken = read_audio(str(files[f"{part}.csv"]), None, replace(options, target="text"), texts=True)
        assert len({*zip(data.targets, spoken.targets, strict=True)}) == 10
        named |= set(data.ids)
    assert len(named) == 240 and named == {name for name in files if name.endswith(".flac")}
    assert sum(file.stat().st_size for file in files.values()) < 1.5e6


def test_sample_of_omniglot_is_as_its_readme_says():
    files = {file.name: file for file in samples.files("omniglot")}
    drawers = []
    for part, count in (("train", 360), ("test", 120)):
        data = read_handwriting(str(files[f"{part}.npz"]), None, MediaOptions(group="drawer"))
        told = describe_media(data)
        assert told.kind == "strokes" and told.items == count
        assert "y counts upwards (y_up)" in data.layout
        assert [number for _, number in told.classes] == [count // 24] * 24
        assert (told.classes[0][0], told.classes[-1][0]) == ("alpha", "omega")
        drawers.append({name for name, _ in told.groups})
        assert all(len(item) == steps for item, steps in zip(data.items, data.steps, strict=True))
    assert (len(drawers[0]), len(drawers[1]), drawers[0] & drawers[1]) == (15, 5, set())
    assert sum(file.stat().st_size for file in files.values()) < 4e5
