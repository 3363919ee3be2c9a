"""Runs commands in this process: a line typed, what came out."""

import sys
from dataclasses import dataclass

import pytest

from gatewise.cli import main as cli
from tables import write_wide


@dataclass(frozen=True)
class Answer:
    """Exit code and both outputs of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def gatewise(monkeypatch, capsys):
    """``gatewise("train", "classification", ...)`` as typed in a shell."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gatewise", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return Answer(exit_.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def mistake(gatewise):
    """A command that must be refused: exit code 2, one line on standard error, which is returned."""

    def run(*words):
        answer = gatewise(*words)
        assert answer.code == 2, answer
        assert answer.out == ""
        assert answer.err.endswith("\n")
        assert answer.err.count("\n") == 1, answer.err
        assert answer.err.startswith("gatewise: ")
        assert "Traceback" not in answer.err
        return answer.err

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run of two classes, with the file it was trained on."""
    import gatewise

    folder = tmp_path_factory.mktemp("trained")
    data = write_wide(folder / "train.csv")
    gatewise.train(
        "classification",
        data=data,
        test=write_wide(folder / "test.csv", seed=1),
        out=folder / "run",
        settings={"data.target": ["label"], "train.epochs": 3, "model.hidden_sizes": [4]},
        progress=False,
    )
    return folder
