"""Stopped at any point, resumed with the command that was printed."""

import shlex
import shutil
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

from gatewise.errors import RunError
from gatewise.training import fit
from gatewise.training.run import RunDirectory
from tables import QUICK, write_wide


@pytest.fixture
def interrupt_at(monkeypatch):
    """Ctrl-C at an optimiser step of this process, once."""

    def arm(at):
        steps = [0]
        original = fit._Loop.step

        def step(self, indices, stop):
            steps[0] += 1
            if steps[0] == at:
                signal.raise_signal(signal.SIGINT)
            return original(self, indices, stop)

        monkeypatch.setattr(fit._Loop, "step", step)

    return arm


def printed_command(answer):
    """The words of the command that an interrupted training printed."""
    words = shlex.split(answer.err.splitlines()[-1])
    assert words[0] == "gatewise"
    return words[1:]


@pytest.mark.parametrize("precision", ["32", "64", "bf16"])
def test_the_printed_command_goes_on(gatewise, interrupt_at, tmp_path, precision):
    data = write_wide(tmp_path / "a.csv")
    words = ("train", "classification", "--data", data, "--target", "label", "--precision", precision, *QUICK)
    assert gatewise(*words, "--out", tmp_path / "whole").code == 0
    interrupt_at(3)
    answer = gatewise(*words, "--out", tmp_path / "run")
    assert answer.code == 130
    assert "after step 3" in answer.err
    answer = gatewise(*printed_command(answer))
    assert answer.code == 0, answer.err
    whole, resumed = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "run"))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert gatewise("predict", tmp_path / "run", "--data", data).code == 0


def test_folds_go_on(gatewise, interrupt_at, tmp_path):
    data = write_wide(tmp_path / "a.csv")
    interrupt_at(7)
    words = ("--data", data, "--target", "label", "--folds", "3", "--out", tmp_path / "cv", *QUICK)
    answer = gatewise("train", "classification", *words)
    assert answer.code == 130
    answer = gatewise(*printed_command(answer))
    assert answer.code == 0, answer.err
    assert (tmp_path / "cv" / "folds.json").exists()


def test_folds_in_a_file(gatewise, tmp_path):
    data = write_wide(tmp_path / "a.csv")
    config = tmp_path / "c.toml"
    config.write_text('task = "classification"\n[data]\nfolds = 2\ntarget = ["label"]\n')
    answer = gatewise("train", "--config", config, "--data", data, "--out", tmp_path / "cv", *QUICK)
    assert answer.code == 0, answer.err
    assert "mean" in answer.out


def test_killed_before_its_first_state_begins_anew(gatewise, tmp_path):
    """The data were mended in between: nothing measured on the old file may survive."""
    run, data = tmp_path / "run", tmp_path / "a.csv"
    words = ("train", "classification", "--data", data, "--target", "label", "--out", run, *QUICK)
    good = write_wide(data).read_text()
    data.write_text(good.replace(good.splitlines()[1].split(",")[0], "99999", 1))
    assert gatewise(*words).code == 0
    old = (run / "adapter.json").read_text()
    for file in run.iterdir():
        if file.name not in ("adapter.json", "config.toml"):
            file.unlink()
    data.write_text(good)
    assert gatewise(*words, "--resume").code == 0
    assert (run / "adapter.json").read_text() != old


@pytest.fixture
def failing(monkeypatch):
    """A training that fails before its first state."""

    def fail(self, stop):
        raise RunError("Training: expected a finite loss, got nan.")

    monkeypatch.setattr(fit._Loop, "run", fail)


def test_a_failed_training_leaves_nothing(gatewise, failing, tmp_path):
    data = write_wide(tmp_path / "a.csv")
    words = ("--data", data, "--target", "label", "--out", tmp_path / "run", *QUICK)
    answer = gatewise("train", "classification", *words)
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == "gatewise: Training: expected a finite loss, got nan."
    assert not (tmp_path / "run").exists()


def test_a_failed_overwrite_leaves_the_old_run(gatewise, failing, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    words = ("--data", trained / "train.csv", "--target", "label", "--out", run, "--overwrite", *QUICK)
    assert gatewise("train", "classification", *words).code == 2
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_failed_overwrite_leaves_a_run_without_its_state(gatewise, failing, trained, tmp_path):
    """Whoever deletes state.safetensors to save room still has a run."""
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    (run / "state.safetensors").unlink()
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    words = ("--data", trained / "train.csv", "--target", "label", "--out", run, "--overwrite", *QUICK)
    assert gatewise("train", "classification", *words).code == 2
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_killed_overwrite_gives_the_old_run_back(gatewise, trained, tmp_path):
    """Killed before the new training's first state: the next command finds the old run set aside."""
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(KeyboardInterrupt), RunDirectory(run).held(anew=True):
        (run / "config.toml").write_text("new")
        shutil.copytree(run, tmp_path / "as killed")
        raise KeyboardInterrupt
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    with RunDirectory(tmp_path / "as killed").held(anew=False):
        pass
    assert {file.name: file.read_bytes() for file in (tmp_path / "as killed").iterdir()} == before


def test_two_trainings_in_one_place(mistake, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "mine")
    words = ("--data", trained / "train.csv", "--target", "label", "--out", run, "--overwrite", *QUICK)
    with RunDirectory(run).held(anew=False):
        assert "got another training" in mistake("train", "classification", *words)
    assert (run / "weights.safetensors").read_bytes() == (trained / "run" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["with space", "k2 [red]x", "[/red]"])
def test_odd_names_come_out_as_they_went_in(gatewise, interrupt_at, tmp_path, name):
    data = write_wide(tmp_path / "a.csv")
    interrupt_at(3)
    words = ("--data", data, "--target", "label", "--out", tmp_path / name, *QUICK)
    answer = gatewise("train", *words, "--", "classification")
    assert answer.code == 130
    answer = gatewise(*printed_command(answer))
    assert answer.code == 0, answer.err
    assert str(tmp_path / name) in answer.out
    assert (tmp_path / name / "results.json").exists()


def test_resume_needs_no_more_than_the_run(gatewise, interrupt_at, tmp_path):
    data = write_wide(tmp_path / "a.csv")
    words = ("train", "classification", "--data", data, "--target", "label", *QUICK)
    interrupt_at(3)
    assert gatewise(*words, "--out", tmp_path / "run").code == 130
    answer = gatewise("train", "--resume", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
