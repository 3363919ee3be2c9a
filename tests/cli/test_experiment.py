"""``gatewise experiment``."""

import json
import signal

import pytest

from gatewise.experiments import Settings, learning

FEW = ("--steps", "3", "--hidden-size", "4", "--batch-size", "4", "--threads", "1")


def test_a_table_a_report_and_results(gatewise, tmp_path):
    answer = gatewise("experiment", "adding", *FEW, "--lengths", "20", "30", "--models", "rnn", "lstm-chrono",
                      "--out", tmp_path)  # fmt: skip
    assert answer.code == 0, answer.err
    assert "0 of 1" in answer.out
    assert answer.out.count("plain RNN") == answer.out.count("LSTM, chrono") == 2
    assert "LSTM, chrono, T = 30, seed 0:" in answer.err
    assert (tmp_path / "report.html").exists()
    commas = gatewise("experiment", "adding", *FEW, "--lengths", "20,30", "--models", "rnn,lstm-chrono", "--json",
                      "--out", tmp_path)  # fmt: skip
    assert commas.err == ""  # nothing was left to learn
    assert {(each["model"], each["length"]) for each in json.loads(commas.out)["results"]} == {
        (model, length) for model in ("rnn", "lstm-chrono") for length in (20, 30)
    }


@pytest.mark.parametrize("words", [("copy",), ("noise", "--variant", "2a"), ("order", "--variant", "6b")])
def test_every_experiment_runs(gatewise, tmp_path, words):
    answer = gatewise("experiment", *words, *FEW, "--lengths", "20", "--models", "lstm", "--out", tmp_path)
    assert answer.code == 0, answer.err


def test_gradients_alone_with_a_picture(gatewise, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    picture = tmp_path / "reach.svg"
    answer = gatewise("experiment", "adding", *FEW, "--steps", "0", "--lengths", "20", "--models", "lstm", "--picture",
                      picture, "--panel", "gradients", "--out", tmp_path / "out")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "<svg" in picture.read_text()


def test_as_is_learns_nothing_and_draws_what_is_there(gatewise, mistake, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    out, picture = tmp_path / "out", tmp_path / "success.svg"
    words = ("experiment", "adding", *FEW, "--lengths", "20", "--out", out, "--as-is")
    assert "expected results" in mistake(*words, "--models", "rnn")
    assert not out.exists()
    assert gatewise(*words[:-1], "--models", "rnn").code == 0
    kept = (out / "results.json").read_bytes()
    answer = gatewise(*words, "--models", "rnn", "lstm", "--seeds", "2", "--picture", picture, "--panel", "success")
    assert answer.code == 0, answer.err
    assert answer.err == ""
    assert "0 of 1" in answer.out
    assert "plain RNN" in picture.read_text()
    assert (out / "results.json").read_bytes() == kept
    assert "--as-is" in mistake(*words, "--models", "lstm")
    assert "overwrite" in mistake(*words, "--overwrite")


def test_minutes_that_end_a_network_are_told(gatewise, tmp_path):
    answer = gatewise("experiment", "adding", *FEW, "--minutes", "1e-9", "--lengths", "20", "--models", "lstm", "--out",
                      tmp_path)  # fmt: skip
    assert "not finished, stopped by --minutes at step 1" in answer.err
    assert "1 not finished" in answer.out


def test_control_c_leaves_everything_usable(gatewise, tmp_path, monkeypatch):
    steps = [0]
    original = learning._step

    def step(*arguments):
        steps[0] += 1
        if steps[0] == 5:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(learning, "_step", step)
    words = ("experiment", "adding", *FEW, "--lengths", "20", "--models", "rnn", "lstm", "--out", tmp_path)
    answer = gatewise(*words)
    assert answer.code == 130
    assert "the same command goes on" in answer.err
    assert "plain RNN" in (tmp_path / "report.html").read_text()
    answer = gatewise(*words)
    assert answer.code == 0
    assert "plain RNN" not in answer.err
    assert steps[0] == 5 + 3


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("adding", "--lengths", "3"), "at least 20"),
        (("subtracting",), "adding, copy, noise, order"),
        (("adding", "--models", "rnn", "lstn"), "lstn"),
        (("adding", "lstm"), "--models"),
        (("adding", "--lengths", "1e3"), "whole numbers"),
        (("order", "--variant", "7"), "6a, 6b"),
        (("adding", "--lr", "0"), "lr"),
        (("adding", "--picture", "a.gif"), r"\.svg"),
    ],
)
def test_mistakes_take_one_line(mistake, tmp_path, monkeypatch, words, match):
    monkeypatch.chdir(tmp_path)
    assert match.replace("\\", "") in mistake("experiment", *words)
    assert not list(tmp_path.iterdir())


def test_help_tells_the_defaults_and_how_to_get_the_full_figures(gatewise):
    out = " ".join(gatewise("experiment", "--help").out.replace("│", " ").split())
    for value in (Settings.steps, Settings.hidden_size, Settings.batch_size):
        assert f"[default: {value}]" in out
    assert "--lengths 100 400 1000 --seeds 5" in out
