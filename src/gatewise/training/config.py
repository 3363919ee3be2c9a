"""Every setting of a run, as frozen dataclasses; from and to TOML."""

import copy
import inspect
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gatewise.data.config import DataConfig
from gatewise.errors import ConfigError, did_you_mean
from gatewise.models.config import ModelConfig
from gatewise.models.recipes import RECIPES
from gatewise.tasks import TASKS, LossConfig
from gatewise.training.threads import suggested_threads

FORMAT = 1  # of a run directory; one that is not known is refused
_STRICT = ConfigDict(extra="forbid")  # a setting that does not exist is a mistake, never ignored


@dataclass(frozen=True)
class TrainConfig:
    """How the model is fitted."""

    __pydantic_config__ = _STRICT

    epochs: Annotated[int, Field(ge=0)] = 0
    """Passes over the training data; 0 for as many as 1,000 steps take, but at least 30, or, where these are more than
    6,000 steps, as many as 6,000 steps take, but at least 3."""
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Sequences per step; 0 for an eighth of the data, but at least 4 and at most 32."""
    lr: Annotated[float, Field(gt=0, le=100)] = 2e-3
    """Learning rate; with one-cycle its peak."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or plain stochastic gradient descent (at a rate of 1 to 30)."""
    average: Literal["none", "ema", "triggered"] = "none"
    """Answer with an average of the weights over steps: exponential, or from the first stall on (NT-ASGD)."""
    schedule: Literal["one-cycle", "plateau", "constant"] = "one-cycle"
    """One-cycle: up, then down to zero over all epochs. Plateau: a tenth after some epochs without progress."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decay of the weights towards zero (decoupled in AdamW)."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Gradients longer than this are shortened to it; 0 for never. Recurrent gradients explode now and then."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without progress; 0 for never. The best weights are kept either way."""
    state_reset: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Texts that are read on: chance that a row begins a step anew, with a state of zeros. A model that never does may
    be lost where it begins in the middle of a text."""
    bucket: bool = True
    """Batches of sequences of similar length, so that little is padding."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the initial weights, the order of examples, dropout and the split."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    precision: Literal["32", "bf16", "16", "64"] = "32"
    """32; bf16 or 16: weights in 32 bits, the rest in 16 where that is safe; 64 to compare with."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads; 0 for one where the LSTM is small, else for all cores. On an idle machine two cores are nearly
    twice as fast for small ones too; where another program is busy they are slower than one."""
    save_minutes: Annotated[float, Field(gt=0)] = 10.0
    """Also save within an epoch after so many minutes."""


@dataclass(frozen=True)
class Config:
    """Every setting of a run."""

    __pydantic_config__ = _STRICT

    task: str
    """What is learnt; `gatewise train --help` lists the tasks."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = 0.5
    """Two classes: above which probability of the second (in the order of the predictions' columns) it is said; auto
    takes the one with the best balanced accuracy on the validation data."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    init: str | None = None
    """Run whose weights to start from (fine-tuning)."""
    format: int = FORMAT
    """Layout of the run directory."""


# What differs from the defaults above by task and by recipe. A file's settings win over these, options over both.
TASK_SETTINGS: dict[str, dict[str, Any]] = {
    "classification": {"loss.label_smoothing": 0.1, "model.augment.noise": 0.1, "model.augment.scale": 0.1},
    "regression": {},
    "text-classification": {
        "model.recipe": "text-lstm",
        "data.text.max_length": 400,
        "data.text.min_count": 2,
        "train.epochs": 8,
        "train.batch_size": 32,
        "train.average": "ema",
        "loss.label_smoothing": 0.1,
    },
    "tagging": {
        "model.recipe": "tagger",
        "data.text.min_count": 2,
        "data.text.lowercase": True,
        "train.epochs": 12,
        "train.batch_size": 32,
        "train.lr": 4e-3,
        "train.average": "ema",
    },
    "language-model": {
        "model.recipe": "lstm-lm",
        "data.text.tokens": "characters",
        "data.valid_fraction": 0.1,
        "train.epochs": 10,
        "train.batch_size": 32,
        "train.weight_decay": 0.0,
    },
    "translation": {
        "model.recipe": "seq2seq",
        "data.text.tokens": "subwords",
        "data.text.max_length": 100,
        "data.text.max_target_length": 100,
        "data.valid_fraction": 0.05,
        "train.epochs": 15,
        "train.batch_size": 64,
        "train.lr": 1e-3,
        "train.average": "ema",
        "loss.label_smoothing": 0.1,
    },
    "summarisation": {
        "model.recipe": "pointer",
        "data.text.tokens": "subwords",
        "data.text.shared": True,
        "data.text.max_length": 400,
        "data.text.max_target_length": 100,
        "data.valid_fraction": 0.05,
        "train.epochs": 15,
        "train.batch_size": 32,
        "train.lr": 1e-3,
        "train.average": "ema",
    },
    "audio-classification": {"model.recipe": "auto", "loss.label_smoothing": 0.1},
    # Until a model of CTC says more than the blank it takes hundreds of steps: more of them than others need.
    "speech-to-text": {
        "model.recipe": "auto",
        "model.batch_norm": True,
        "train.batch_size": 16,
        "train.epochs": 60,
        "train.lr": 3e-3,
    },
    "handwriting": {"model.recipe": "auto"},
    "video": {"model.recipe": "auto", "loss.label_smoothing": 0.1},
    "forecasting": {
        "model.recipe": "forecaster",
        "train.lr": 1e-3,
        "train.average": "ema",
    },
}
RECIPE_SETTINGS: dict[str, dict[str, Any]] = {
    # The founding architecture is trained as its document says: Adam at a constant rate, nothing added.
    "bilstm": {
        "loss.label_smoothing": 0.0,
        "model.augment.noise": 0.0,
        "model.augment.scale": 0.0,
        "train.lr": 5e-4,
        "train.schedule": "constant",
        "train.weight_decay": 0.0,
        "train.epochs": 60,
        "train.batch_size": 32,
    },
    # Merity, Keskar & Socher 2018 for WikiText-2, without the random lengths of their stretches.
    "awd-lstm": {
        "data.text.tokens": "words",
        "data.text.steps": 70,
        "train.batch_size": 80,
        "train.optimizer": "sgd",
        "train.lr": 30.0,
        "train.schedule": "constant",
        "train.clip_norm": 0.25,
        "train.weight_decay": 1.2e-6,
        "train.average": "triggered",
        "train.epochs": 750,
    },
}

Plain = dict[str, Any]


def settle(config: TrainConfig, *, sequences: int, hidden_size: int) -> TrainConfig:
    """The same with epochs, batch size and threads as numbers, for so many training sequences and units of a layer.

    >>> settled = settle(TrainConfig(), sequences=216, hidden_size=64)
    >>> settled.batch_size, settled.epochs, settled.threads
    (27, 125, 1)
    """
    batch_size = config.batch_size or min(32, max(4, sequences // 8))
    steps_per_epoch = max(1, -(-sequences // batch_size))
    least = min(30, max(3, -(-6000 // steps_per_epoch)))
    epochs = config.epochs or max(least, -(-1000 // steps_per_epoch))
    threads = config.threads or suggested_threads(batch_size, hidden_size)
    return replace(config, epochs=epochs, batch_size=batch_size, threads=threads)


def with_defaults(plain: Mapping[str, Any]) -> Plain:
    """Settings with those of their task and recipe put under them."""
    task = plain.get("task")
    model = plain.get("model")
    recipe = model.get("recipe") if isinstance(model, Mapping) else None
    settings: Plain = {}
    for table, name in ((TASK_SETTINGS, task), (RECIPE_SETTINGS, recipe)):
        settings = merge(settings, table.get(name, {}) if isinstance(name, str) else {})
    if isinstance(recipe, str) and recipe in RECIPES and "model" in settings:
        # What a task sets of a model and this one has not: it is refused as a recipe for other data, not for this.
        has = {"recipe", *inspect.signature(RECIPES[recipe]).parameters}
        settings["model"] = {name: value for name, value in settings["model"].items() if name in has}
    data = plain.get("data")
    if isinstance(data, Mapping) and data.get("scale") == "none":
        # The sizes of these changes are meant for scaled inputs.
        settings = merge(settings, {"model.augment.noise": 0.0})
    return overlay(settings, plain)


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> Plain:
    """Nested settings with others laid over them.

    >>> overlay({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def to_plain(config: Config) -> Plain:
    """Nested dictionaries and lists without None, as TOML wants them."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: clean(part) for name, part in value.items() if part is not None}
        return list(value) if isinstance(value, tuple) else value

    return clean(asdict(config))  # type: ignore[no-any-return]


def from_plain(plain: Mapping[str, Any], *, source: str = "config") -> Config:
    """Checks settings and fills in defaults.

    Args:
        plain: nested dictionaries, as TOML gives them.
        source: named in errors: the file, or "config".

    Returns:
        The configuration.

    Raises:
        ConfigError: one message with every unknown name, wrong type and value out of range.
    """
    plain = _listed(plain)
    try:
        # Through JSON: a strict check there still takes a list for a tuple, which TOML has not.
        config = TypeAdapter(Config).validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        # Each branch of a union ("a number, or auto") reports its own failure: one of them is enough.
        explained = {_path(problem): _explain(problem) for problem in reversed(error.errors())}
        problems = list(reversed(explained.values()))
    except TypeError as error:  # TOML has dates, which no setting takes
        problems = [f"{error}. Write text in quotes."]
    else:
        problems = []
        if config.task not in TASKS:
            problems.append(f'task: no task "{config.task}". {did_you_mean(config.task, TASKS)}')
        if config.format != FORMAT:
            problems.append(
                f"format: expected {FORMAT}, got {config.format}. Use the version of gatewise that wrote it."
            )
        if config.data.fold is not None and config.data.fold > (config.data.folds or 0):
            problems.append(f"data.fold: expected 1 to data.folds, got {config.data.fold}.")
        problems += _without_validation(config)
        if not problems:
            return config
    raise ConfigError(f"{source}: {_count(problems)}: {'; '.join(problems)}")


def _listed(plain: Mapping[str, Any]) -> Plain:
    """The same with ``target = "label"`` taken as a list of one."""
    data = plain.get("data")
    if not isinstance(data, Mapping):
        return dict(plain)
    names: Plain = {name: [data[name]] for name in ("features", "target") if isinstance(data.get(name), str)}
    if isinstance(series := data.get("series"), Mapping):
        columns = {name: [series[name]] for name in ("past", "future", "static") if isinstance(series.get(name), str)}
        names["series"] = {**series, **columns}
    return {**plain, "data": {**data, **names}}


def _without_validation(config: Config) -> list[str]:
    """Settings that need validation data where there are none."""
    data, train = config.data, config.train
    if data.valid_fraction > 0 or data.valid is not None or data.folds is not None:
        return []
    needing = {
        "train.patience": train.patience > 0,
        'train.schedule = "plateau"': train.schedule == "plateau",
        'threshold = "auto"': config.threshold == "auto",
    }
    return [f"{name}: needs validation data, and data.valid_fraction is 0." for name, set_ in needing.items() if set_]


def _count(problems: list[str]) -> str:
    return "a setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"


def _explain(problem: Any) -> str:
    """One problem that pydantic found, in our words."""
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        unknown = str(problem["loc"][-1])
        section = ".".join(str(part) for part in problem["loc"][:-1])
        return f"{'.'.join(map(str, problem['loc']))}: no such setting. {did_you_mean(unknown, _settings(section))}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be ", "expected ").rstrip(".")
    if problem["type"] == "missing":
        return f"{_path(problem)}: not given. {message}."
    return f"{_path(problem)}: {message}, got {problem['input']!r}."


def _path(problem: Any) -> str:
    """The setting's name: pydantic adds the branch of a union that it tried ("float"), which users do not know."""
    path = [str(part) for part in problem["loc"]]
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return ".".join(path)
    return ".".join([part for part in path if part in _NAMES] or path[:1])


def _settings(section: str) -> list[str]:
    defaults: Any = to_plain_with_none()
    for name in section.split(".") if section else []:
        defaults = defaults.get(name, {})
    return list(defaults)


def to_plain_with_none() -> Plain:
    """Every setting with its default, None included: the names that exist."""
    return asdict(Config(task="classification"))


def _names(plain: Plain) -> Iterable[str]:
    for name, value in plain.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)


_NAMES = frozenset(_names(to_plain_with_none()))


def read_toml(path: Path | str) -> Plain:
    """The content of a TOML file.

    Raises:
        ConfigError: the file is missing or is no TOML; names line and column.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a configuration file, got none. Check the path.") from None
    except (ValueError, RecursionError, IsADirectoryError) as error:  # ValueError: no TOML, or no UTF-8
        raise ConfigError(f"{path}: expected TOML, got a text that is not: {error}. Mend it.") from None


def merge(plain: Plain, settings: Mapping[str, Any]) -> Plain:
    """A copy with settings by dotted name, such as ``{"train.lr": 1e-3}``, put in.

    >>> merge({"task": "regression"}, {"train.lr": 0.001})
    {'task': 'regression', 'train': {'lr': 0.001}}
    """
    merged: Plain = copy.deepcopy(dict(plain))
    for name, value in settings.items():
        *sections, last = name.split(".")
        place = merged
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f'{name}: "{section}" is a setting, not a section. Write {section} alone.')
        place[last] = value
    return merged


def parse_setting(text: str) -> tuple[str, Any]:
    """``"train.lr=1e-3"`` as name and value; the value is TOML, or plain text.

    >>> parse_setting("model.hidden_sizes=[64, 32]"), parse_setting("model.pool=mean")
    (('model.hidden_sizes', [64, 32]), ('model.pool', 'mean'))

    Raises:
        ConfigError: there is no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f'--set: expected name=value, got "{text}". For example --set train.lr=1e-3')
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):  # ValueError: no TOML, so plain text
        return name.strip(), value.strip()
