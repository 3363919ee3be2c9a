"""docs/why-lstm.md: its commands are those of its pictures, and each of them runs."""

import math
import re
import shlex
from pathlib import Path

import pytest
import torch

from gatewise.cli import main as cli
from gatewise.experiments import MODELS, Settings, learn, problem
from gatewise.experiments.drawing import COLORS
from gatewise.experiments.gradients import carousel
from gatewise.experiments.models import seeded

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
    assert len(named) == 4
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


def test_its_pictures_and_the_table_rest_on_the_same_seeds():
    text = (PAGE.parents[1] / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| adding \| ([\d,]+) \| ([^|]+) \|[^|]+\| \**\d+ of (\d+)\** \|", text, re.MULTILINE)
    told = {(title, int(length.replace(",", ""))): seeds for length, title, seeds in rows}
    drawn = (PAGE.parent / "pictures" / "success.svg").read_text(encoding="utf-8")
    found = re.findall(r'<g id="seeds-([\w-]+)-(\d+)">.*?<text[^>]*>(.*?)</text>', drawn, re.DOTALL)
    assert {(MODELS[m].title, int(length)): n for m, length, n in found if n != "\u2013"} == told
    curves = (PAGE.parent / "pictures" / "learning.svg").read_text(encoding="utf-8")
    for title, seeds in re.findall(r">([^<>]+), (\d+) seeds?<", curves):
        assert told[title, 400] == seeds


@pytest.fixture(scope="module")
def measured():
    """One seed of the picture of gradients: model -> {lag: norm}."""
    asked = problem("adding")
    settings = Settings(steps=0)
    found = {model: learn(asked, model, 500, 0, settings).start for model in MODELS}
    return {model: dict(zip(start.lags, start.state, strict=True)) for model, start in found.items()}


@pytest.fixture(scope="module")
def alone():
    """What the forget gates alone keep over 499 steps, same seed."""
    made = {m: seeded(m, problem("adding"), length=500, hidden_size=32, seed=0) for m in ("lstm", "lstm-chrono")}
    return {model: carousel(network.forget_gates(), [499])[0] for model, network in made.items()}


def a_step(curve, start=100, end=499):
    """By what a line changes at each step between two lags."""
    first = min(curve, key=lambda lag: abs(lag - start))
    return (curve[end] / curve[first]) ** (1 / (end - first))


def near(lag):
    return lambda curve: curve[min(curve, key=lambda known: abs(known - lag))]


SAID = [
    # the words of the page with a number in them, the model, what is measured, the largest ratio of the two
    (r"costs it (\d+) orders", "rnn", lambda c: -math.log10(c[499]), 1.1),
    (r"over 499 steps, (\d+) % a step", "rnn", lambda c: 100 * (1 - a_step(c, 0)), 1.1),
    (r"(\d+) orders of magnitude, a quarter lost", "gru", lambda c: -math.log10(c[499]), 1.03),
    (r"(\d+) orders of magnitude, a quarter lost", "lstm-no-bias", lambda c: -math.log10(c[499]), 1.03),
    (r"\*\*rises\*\*, by ([\d.]+) % a step", "lstm-1997", lambda c: 100 * (a_step(c) - 1), 1.2),
    (r"Bias 0 keeps 0.50 a step by \(15\) and ([\d.]+) by", "lstm-no-bias", a_step, 1.01),
    (r"beyond lag 100 ([\d.]+), a half-life", "lstm", a_step, 1.01),
    (r"a half-life of (\d+) steps in place of 2\.", "lstm", lambda c: math.log(2) / -math.log(a_step(c)), 1.25),
    (r"at lag 499 (\S+) is left with bias 1", "lstm", near(499), 4),
    (r"([\d.]+) is measured, and", "lstm-chrono", near(499), 1.1),
    (r"Before learning, (\S+) of the gradient is left at lag\s50", "lstm", near(50), 1.6),
    (r"(\S+) at lag 100, 1e-4 at lag 200", "lstm", near(100), 1.6),
    (r"at lag 100, (\S+) at lag 200", "lstm", near(200), 2.5),
]


@pytest.mark.parametrize(("words", "model", "value", "ratio"), SAID)
def test_what_is_said_of_gradients_is_measured(measured, words, model, value, ratio):
    (said,) = re.findall(words, re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8")))
    assert 1 / ratio < float(said) / value(measured[model]) < ratio


def test_what_is_said_in_words_is_measured(measured, alone):
    text = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    for model in ("gru", "lstm-no-bias"):
        assert a_step(measured[model], 0) == pytest.approx(0.75, abs=0.015)  # a quarter lost
    assert "sixty times what it was at lag 0" in text
    assert 20 < measured["lstm-1997"][499] < 180
    assert "the LSTM keeps a tenth over all 499 steps, and the GRU a quarter" in text
    assert measured["lstm-chrono"][499] == pytest.approx(0.1, abs=0.03)
    assert measured["gru-chrono"][499] == pytest.approx(0.25, abs=0.03)
    assert "the line is the carousel's: 0.20 of it is left after 499 steps" in text
    assert alone["lstm-chrono"] == pytest.approx(0.2, rel=0.25)
    assert "where $f^k$ alone would be 1e-68" in text
    assert alone["lstm"] == pytest.approx(1e-68, rel=0.5)


def test_the_gates_of_a_run_do_not_explain_the_gradient(measured):
    """The product (15) of the forget gates that a run went through, by the equations: it stays what the biases say."""
    assert "that a run with bias 1 went through is 3e-66" in re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    adding = problem("adding")
    layer = seeded("lstm", adding, length=500, hidden_size=32, seed=0).double().layer
    inputs = adding.draw(16, 500, torch.Generator().manual_seed(1), False).inputs.double()
    state = tuple(torch.zeros(1, 16, 32, dtype=torch.float64) for _ in range(2))
    kept = torch.ones(16, 32, dtype=torch.float64)
    with torch.no_grad():
        for t, x in enumerate(inputs):
            gates = x @ layer.weight_ih_l0.T + layer.bias_ih_l0 + state[0][0] @ layer.weight_hh_l0.T + layer.bias_hh_l0
            kept *= torch.sigmoid(gates[:, 32:64]) if t else 1
            _, state = layer(x[None], state)
    assert kept.square().mean().sqrt().item() == pytest.approx(3e-66, rel=0.5)
    assert measured["lstm"][499] > 1e-10


def test_the_picture_of_gradients_shows_them_to_their_end():
    """Lines that lose the same share at every step are straight from lag 0 to 499: no floor, nothing invented."""
    drawn = (PAGE.parent / "pictures" / "gradients.svg").read_text(encoding="utf-8")
    for model in ("gru", "lstm-no-bias"):
        style = rf"fill: none; stroke(?:-dasharray: [\d., ]+; stroke-dashoffset: 0; stroke)?: {COLORS[model].lower()}"
        (path,) = re.findall(rf'<path d="([^"]+)" clip-path="[^"]+" style="{style}; stroke-width: 1.7', drawn)
        points = [tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", path)]
        (x, y), (right, low) = points[0], points[-1]
        assert right - x > 100
        for over, under in points:
            assert under == pytest.approx(y + (over - x) * (low - y) / (right - x), abs=0.05 * (low - y))


def test_the_printed_half_lives_are_those_of_its_code(capsys):
    text = PAGE.read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n```\n(.*?)```", text, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out == printed
