"""docs/why-lstm.md: its commands are those of its pictures, and each of them runs."""

import re
import shlex
from pathlib import Path

import pytest

from gatewise.cli import main as cli

PAGE = Path(__file__).parents[2] / "docs" / "why-lstm.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
PICTURES = re.findall(r"!\[[^\]]+\]\(pictures/([\w.-]+)\)\n\n```sh\n(.*?)\n```", PAGE.read_text(encoding="utf-8"))
SMALL = (("--lengths", "24"), ("--seeds", "1"), ("--steps", "1"))


def made_small(command):
    """The words of a command with what takes time replaced: its lengths, seeds and steps."""
    words = shlex.split(command)[1:]
    for option, value in SMALL:
        if option in words:
            start = words.index(option) + 1
            end = next((i for i in range(start, len(words)) if words[i].startswith("--")), len(words))
            words[start:end] = [value]
        else:
            words += [option, value]
    return [*words, "--hidden-size", "2", "--batch-size", "2", "--threads", "1"]


def test_every_picture_has_its_command_under_it():
    named = re.findall(r"\]\(pictures/([\w.-]+)\)", PAGE.read_text(encoding="utf-8"))
    assert named == [name for name, _ in PICTURES]
    assert len(named) == 3
    for name, command in PICTURES:
        assert f"--picture {name} --panel {Path(name).stem}" in command
        drawn = (PAGE.parent / "pictures" / name).read_text(encoding="utf-8")
        assert "LSTM, chrono" in drawn
        assert len(drawn) < 100_000


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS), ids=lambda command: " ".join(command.split()[2:5]))
def test_its_commands_run(command, tmp_path, monkeypatch):
    if "--picture" in command:
        pytest.importorskip("matplotlib", reason="the extra figures is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gatewise", *made_small(command)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert list(tmp_path.glob("runs/*/report.html"))


def test_the_printed_half_lives_are_those_of_its_code(capsys):
    text = PAGE.read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n```\n(.*?)```", text, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out == printed
