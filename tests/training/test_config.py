"""Settings: all mistakes at once, nothing ignored, nothing lost on the way through a file."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from gatewise.cell import Cell
from gatewise.errors import ConfigError
from gatewise.models.config import ModelConfig, resolve
from gatewise.training.config import (
    Config,
    DataConfig,
    TrainConfig,
    from_plain,
    merge,
    parse_setting,
    read_toml,
    settle,
    to_plain,
)

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.toml"))


def test_round_trip_through_toml():
    config = Config(
        "classification",
        threshold="auto",
        data=DataConfig(features=("a", "b"), length=12),
        model=resolve(ModelConfig(recipe="bilstm", cell=Cell(peephole=True, zoneout=(0.1, 0.05)))),
        train=TrainConfig(lr=1 / 3, seed=7),
    )
    assert from_plain(tomllib.loads(tomli_w.dumps(to_plain(config)))) == config


def test_three_mistakes_are_told_together():
    plain = {"task": "clasification", "train": {"epoch": 3, "lr": -1.0}, "model": {"dropout": "much"}}
    with pytest.raises(ConfigError) as caught:
        from_plain(plain, source="c.toml")
    message = str(caught.value)
    assert message.startswith("c.toml: 3 settings are wrong: ")
    assert 'train.epoch: no such setting. Did you mean "epochs"?' in message
    assert "train.lr: expected greater than 0, got -1.0" in message
    assert "model.dropout: " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"task": "clasification"}, 'no task "clasification". Did you mean "classification"'),
        ({"task": "classification", "format": 99}, "format: expected 1, got 99"),
        ({"task": "classification", "threshold": 1.5}, "threshold"),
        ({"task": "classification", "threshold": "high"}, "threshold"),
        ({"task": "classification", "model": {"recipe": "gru"}}, "model.recipe: expected 'lstm', 'bilstm', 'lstm-fcn'"),
        ({"task": "classification", "model": {"cell": {"peepole": True}}}, 'Did you mean "peephole"'),
        ({"task": "classification", "data": {"fold": 6, "folds": 5}}, "data.fold: expected 1 to data.folds, got 6"),
        ({"task": "classification", "trian": {}}, 'trian: no such setting. Did you mean "train"'),
        ({"task": "classification", "data": {"valid_fraction": 0}, "threshold": "auto"}, "needs validation data"),
        ({}, "task: not given"),
    ],
)
def test_one_mistake(plain, words):
    with pytest.raises(ConfigError) as caught:
        from_plain(plain)
    assert words in str(caught.value)
    assert "a setting is wrong" in str(caught.value)


def test_types_are_strict():
    with pytest.raises(ConfigError, match=r"train.epochs: .*'3'"):
        from_plain({"task": "regression", "train": {"epochs": "3"}})
    assert from_plain({"task": "regression", "train": {"lr": 1}}).train.lr == 1.0


@pytest.mark.parametrize(
    ("sequences", "epochs"),
    [(40, 125), (216, 125), (1000, 32), (6400, 30), (6401, 30), (7000, 28), (20_000, 10), (64_000, 3), (10**7, 3)],
)
def test_epochs_where_nobody_says(sequences, epochs):
    """At least 1,000 steps, and 30 epochs where they are at most about 6,000 steps; never fewer than 3."""
    settled = settle(TrainConfig(), sequences=sequences, hidden_size=64)
    assert settled.epochs == epochs
    assert settle(TrainConfig(epochs=7), sequences=sequences, hidden_size=64).epochs == 7


def test_merge_and_parse():
    assert merge({"train": {"lr": 1}}, {"train.epochs": 2}) == {"train": {"lr": 1, "epochs": 2}}
    with pytest.raises(ConfigError, match='"task" is a setting, not a section'):
        merge({"task": "regression"}, {"task.x": 2})
    assert parse_setting("train.lr=1e-3") == ("train.lr", 1e-3)
    assert parse_setting("data.train=a=b.csv") == ("data.train", "a=b.csv")
    with pytest.raises(ConfigError, match=r'name=value, got "train.lr"'):
        parse_setting("train.lr")


def test_files_that_are_no_toml(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml: expected a configuration file, got none"):
        read_toml(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_text("a = \n")
    with pytest.raises(ConfigError, match=r"bad\.toml: expected TOML.*line 1"):
        read_toml(tmp_path / "bad.toml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_shipped_configurations_are_right(path):
    config = from_plain(read_toml(path), source=str(path))
    assert replace(config, model=resolve(config.model)).task == config.task


def test_some_configurations_are_shipped():
    assert EXAMPLES
