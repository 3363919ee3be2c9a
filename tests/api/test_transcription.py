"""Transcripts of files and of live streams, in Python and on the command line."""

import io
import json
import sys

import numpy as np
import pytest

import gatewise
from gatewise.api.transcription import LiveTranscriber, transcripts
from gatewise.data.media import MediaData
from gatewise.errors import DataError, OptionError, RunError, ShapeError

RATE = 1000
FREQUENCIES = {"a": 80.0, "b": 200.0, "c": 400.0}
TEXTS = ("ab", "ba", "cab", "acb", "bc", "abba", "c", "aa")


def tones(text, seed=0):
    """Each character a tone of about a tenth of a second, a pause after it."""
    rng = np.random.default_rng((seed, *map(ord, text)))
    parts = [np.zeros(40)]
    for character in text:
        n = int(rng.integers(80, 120))
        parts += [0.5 * np.sin(2 * np.pi * FREQUENCIES[character] * np.arange(n) / RATE), np.zeros(40)]
    sound = np.concatenate(parts)
    return (sound + rng.normal(0, 0.005, len(sound))).astype(np.float32)


def train(out, **settings):
    """A model of tones."""
    texts = TEXTS * 3
    sounds = [tones(text, seed) for seed, text in enumerate(texts)]
    given = {
        "data.media.rate": RATE,
        "data.media.ngram_order": 3,
        "data.valid_fraction": 0.0,
        "model.recipe": "speech-lstm",
        "model.hidden_sizes": [24],
        "model.stem_channels": [16],
        "model.mel_bands": 8,
        "model.dropout": 0.0,
        "model.speed": 0.0,
        "model.time_masks": 0,
        "model.frequency_masks": 0,
        "train.epochs": 80,
        "train.batch_size": 4,
        "train.lr": 0.01,
        **settings,
    }
    return gatewise.train(
        "speech-to-text", data=sounds, targets=list(texts), out=out, settings=given, progress=False, report=False
    )


@pytest.fixture(scope="module")
def ahead(tmp_path_factory):
    return train(tmp_path_factory.mktemp("both") / "run")


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return train(
        tmp_path_factory.mktemp("one") / "run",
        **{"model.bidirectional": False, "model.hidden_sizes": [24, 16], "model.batch_norm": True},
    )


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    """A language model that has mostly read "ab"."""
    return gatewise.train(
        "language-model",
        data=["abab"] * 40 + ["cab"] * 4,
        out=tmp_path_factory.mktemp("lm") / "run",
        settings={"model.embedding_size": 8, "model.hidden_sizes": [8], "train.epochs": 3, "train.batch_size": 2},
        progress=False,
        report=False,
    )


@pytest.fixture
def files(tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="needs the audio extra")
    paths = []
    for text in ("ab", "cab", "acb"):
        paths.append(tmp_path / f"{text}.wav")
        soundfile.write(paths[-1], tones(text, 99), RATE, subtype="PCM_16")
    return paths


@pytest.fixture
def command(monkeypatch, capsys):
    """``command("transcribe", ...)`` as typed in a shell, with bytes on standard input."""
    from gatewise.cli import main as cli

    class Answer:
        def __init__(self, code, captured):
            self.code, self.out, self.err = code, captured.out, captured.err

    def run(*words, given=b""):
        monkeypatch.setattr(sys, "argv", ["gatewise", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return Answer(exit_.value.code, capsys.readouterr())

    return run


# Files and arrays


def test_it_reads_what_it_has_learnt(ahead, causal):
    unseen = [tones(text, 77) for text in TEXTS]
    for run in (ahead, causal):
        assert run.transcribe(unseen) == list(TEXTS)
        assert run.transcribe(unseen, beam_size=1) == list(TEXTS)


def test_files_are_named_and_characters_have_their_time(ahead, files):
    found = transcripts(ahead, [str(file) for file in files])
    assert [one.text for one in found] == ["ab", "cab", "acb"]
    assert [one.name.endswith(f"{one.text}.wav") for one in found] == [True] * 3
    for one in found:
        # As drawn: 0.04 s of silence, then 0.08 to 0.12 s of tone and 0.04 s of pause each.
        starts = one.spans[:, 0]
        assert (np.diff(starts) > 0.04).all()
        assert (np.diff(starts) < 0.28).all()
        assert 0 <= starts[0] < 0.2
        assert one.spans[-1, 1] <= len(tones(one.text, 99)) / RATE


def test_the_search_is_as_asked_for_and_then_as_before(ahead, characters):
    sounds = [tones("ab", 7)]
    search = ahead.search
    before = (search.beam_size, search.lm_weight, search.length_bonus)
    assert ahead.transcribe(sounds, beam_size=16, length_bonus=20.0)[0] != "ab"
    assert ahead.transcribe(sounds, lm_weight=0.3) == ["ab"]  # the n-gram of its own transcripts
    assert ahead.transcribe(sounds, language_model=characters, lm_weight=0.1) == ["ab"]
    assert ahead.transcribe(sounds, language_model=characters.path) == ["ab"]
    assert (search.beam_size, search.lm_weight, search.length_bonus) == before
    assert search.language_model is None


def test_a_language_model_of_a_run_is_asked_for_the_right_characters(ahead, characters):
    import torch

    from gatewise.api.transcription import RunModel
    from gatewise.sequences import BOS, EOS

    vocabulary, lm = ahead.adapter.vocabulary, characters.adapter.vocabulary
    model = RunModel(characters.model, characters.adapter, vocabulary)
    end = characters.adapter.line_end
    text = "cab"
    state, symbol, total = None, BOS, 0.0
    for following in [*vocabulary.encode(text).tolist(), EOS]:
        log_probs, state = model.step(state, symbol)
        total += log_probs[following]
        symbol = following
    tokens = [end, *lm.encode(text).tolist(), end]
    with torch.no_grad():
        scores = characters.model(torch.tensor([tokens[:-1]]))[0].double().log_softmax(-1)
    assert total == pytest.approx(sum(float(scores[t, token]) for t, token in enumerate(tokens[1:])), abs=1e-5)


def test_wrong_wishes_are_refused(ahead, causal, characters, tmp_path):
    sounds = [tones("ab")]
    with pytest.raises(OptionError, match=r"lm_weight.*0\.5"):
        ahead.transcribe(sounds, beam_size=1, lm_weight=0.5)
    with pytest.raises(OptionError, match=r"got 0\.0 with a beam_size of 1"):
        ahead.transcribe(sounds, beam_size=1, language_model=characters)
    with pytest.raises(RunError, match="expected a language model, got a run of speech-to-text"):
        ahead.transcribe(sounds, language_model=causal)
    with pytest.raises(RunError, match="gives transcripts, got a run of language-model"):
        characters.transcribe(sounds)
    with pytest.raises(RunError, match="gives transcripts, got a run of language-model"):
        characters.transcriber()
    with pytest.raises(DataError, match=r"nothing\.wav"):
        ahead.transcribe([tmp_path / "nothing.wav"])


# A live stream


@pytest.mark.parametrize("sizes", [(1,), (7, 13), (250,), (10_000,), (0, 33, 0, 5)])
def test_a_stream_reads_what_the_whole_does(causal, sizes):
    live = causal.transcriber()
    for text in ("cab", "abba", "", "bc"):  # one transcriber, one recording after the other
        sound = tones(text, 5)
        expected = causal.transcribe([sound], beam_size=1)[0]
        if text:
            assert expected == text
        read, place, turn = "", 0, 0
        while place < len(sound):
            size = sizes[turn % len(sizes)]
            read += live.push(sound[place : place + size])
            place, turn = place + size, turn + 1
        assert read + live.finish() == expected


def test_a_stream_shorter_than_a_window(causal):
    live = causal.transcriber()
    assert live.push(tones("ab")[:9]) == ""
    assert live.finish() == causal.transcribe([tones("ab")[:9]], beam_size=1)[0]
    assert live.finish() == ""  # nothing came


def test_text_comes_before_the_end(causal):
    live, sound = causal.transcriber(), tones("acb", 3)
    assert live.push(sound[: len(sound) * 2 // 3]).startswith("a")


def test_memory_does_not_grow(causal):
    import tracemalloc

    live, sound = causal.transcriber(), tones("abcabc")

    def push(times):
        for _ in range(times):
            live.push(sound)

    push(5)
    tracemalloc.start()
    push(40)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000  # 40 of them are 200,000 bytes of samples
    size = sum(part.numel() for layer in live._state for part in layer)
    assert size == 2 * (24 + 16)


def test_what_looks_ahead_is_named(ahead, tmp_path):
    with pytest.raises(OptionError, match="layers that also read backwards"):
        ahead.transcriber()
    quick = {"train.epochs": 0, "model.bidirectional": False}
    run = train(tmp_path / "utterance", **quick | {"model.normalize": "utterance", "train.epochs": 1})
    with pytest.raises(OptionError, match='got "utterance"'):
        run.transcriber()


def test_a_part_of_another_shape_is_refused(causal):
    with pytest.raises(ShapeError, match=r"shape \(n\), got \(4, 2\)"):
        causal.transcriber().push(np.zeros((4, 2)))


def test_a_stream_of_strokes(tmp_path):
    rng = np.random.default_rng(0)
    items = [rng.normal(size=(n, 3)).astype(np.float32) for n in rng.integers(12, 30, 12)]
    data = MediaData("strokes", items, np.array([len(item) for item in items]), ["ab", "ba c", "c"] * 4, texts=True)
    run = gatewise.train(
        "handwriting",
        data=data,
        out=tmp_path / "run",
        settings={
            "model.recipe": "ctc-lstm",
            "model.bidirectional": False,
            "model.hidden_sizes": [16],
            "model.stem_channels": [8],
            "model.stem_kernel_sizes": [3],
            "model.stem_strides": [2],
            "data.valid_fraction": 0.0,
            "train.epochs": 60,
            "train.lr": 0.02,
        },
        progress=False,
        report=False,
    )
    live = LiveTranscriber(run)
    features = [example.input for example in run.adapter.encode(data)]
    told = run.transcribe(data, beam_size=1)
    assert any(told)
    for steps, text in zip(features, told, strict=True):
        assert "".join(live.push(part) for part in np.array_split(steps, 5)) + live.finish() == text


# The command


def test_one_file_and_several(command, ahead, files):
    answer = command("transcribe", ahead.path, files[1])
    assert (answer.code, answer.out) == (0, "cab\n")
    answer = command("transcribe", ahead.path, *files, "--beam-size", "4")
    assert answer.out == "".join(f"{file}\t{file.stem}\n" for file in files)


def test_what_cannot_be_read_may_be_left_out(command, ahead, files, tmp_path):
    broken, folder = tmp_path / "broken.wav", tmp_path / "sounds"
    broken.write_bytes(b"RIFF no recording")
    answer = command("transcribe", ahead.path, files[0], broken, "--skip-bad")
    assert (answer.code, answer.out) == (0, f"{files[0]}\tab\n")
    assert "1 of 2 files were left out" in answer.err and "broken.wav" in answer.err
    folder.mkdir()
    (folder / "a.wav").write_bytes(files[0].read_bytes())
    (folder / "b.wav").write_bytes(b"")
    answer = command("transcribe", ahead.path, folder, "--skip-bad")
    assert (answer.code, answer.out) == (0, "ab\n")
    assert "Note: 1 of 2 recordings was left out: b.wav (an empty file)." in answer.err
    answer = command("transcribe", ahead.path, broken, "--skip-bad")
    assert answer.code == 2 and "broken.wav" in answer.err


def test_json_has_characters_with_their_times(command, ahead, files):
    answer = command("transcribe", ahead.path, files[0], "--json")
    line = json.loads(answer.out)
    assert (line["file"], line["text"]) == (str(files[0]), "ab")
    assert [one["character"] for one in line["characters"]] == ["a", "b"]
    assert 0 <= line["characters"][0]["start"] < line["characters"][0]["end"] <= line["characters"][1]["start"] < 1


def test_a_stream_on_standard_input(command, ahead, causal):
    sound = (tones("acb", 3) * 32767).astype("<i2").tobytes()
    answer = command("transcribe", causal.path, "-", given=sound + b"\x01")  # half a sample is no sample
    assert (answer.code, answer.out) == (0, "acb\n")
    assert "the likeliest path is read" in answer.err
    answer = command("transcribe", ahead.path, "-", given=sound)
    assert (answer.code, answer.out) == (0, "acb\n")
    assert "at the end of the stream" in answer.err
    answer = command("transcribe", causal.path, "-", "--json", given=sound)
    assert json.loads(answer.out)["text"] == "acb"


def test_mistakes_are_told_in_a_line(command, ahead, characters, files, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no recording")
    for words, expected in (
        ((ahead.path, files[0], broken), "broken.wav"),
        ((ahead.path, tmp_path / "none.wav"), "none.wav"),
        ((characters.path, files[0]), "got one of language-model"),
        ((ahead.path, "-", files[0]), 'expected "-" alone'),
        ((ahead.path, "-", "--skip-bad"), "--skip-bad: expected files with it"),
        ((ahead.path, files[0], "--lm", ahead.path), "expected a language model"),
        ((ahead.path, files[0], "--beam-size", "1", "--lm-weight", "1"), "lm_weight"),
    ):
        answer = command("transcribe", *words)
        assert (answer.code, answer.out) == (2, ""), answer.out
        assert expected in answer.err
        assert answer.err.count("\n") == 1
