"""Writes docs/settings.md from the dataclasses and the docstrings under their fields; a test holds it to them.

python scripts/settings_page.py docs/settings.md
"""

import ast
import inspect
import sys
import textwrap
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import tomli_w

from gatewise.cell import Cell
from gatewise.data.config import MediaConfig, SeriesConfig, TextConfig
from gatewise.models.config import ModelConfig
from gatewise.models.recipes import RECIPES
from gatewise.nn.augmentation import Augment
from gatewise.tasks import LossConfig
from gatewise.training.config import RECIPE_SETTINGS, TASK_SETTINGS, Config, DataConfig, TrainConfig

SECTIONS = {
    "": Config,
    "data": DataConfig,
    "data.text": TextConfig,
    "data.media": MediaConfig,
    "data.series": SeriesConfig,
    "model": ModelConfig,
    "model.augment": Augment,
    "model.cell": Cell,
    "loss": LossConfig,
    "train": TrainConfig,
}

HEAD = """# Settings

Every setting of a training: in a TOML file (`--config`), on the command line (`--set train.lr=1e-3`, or the option of
the same name), or in Python (`settings={"train.lr": 1e-3}`). What is given last wins: defaults, those of the task,
those of the recipe, the file, the options. A name that does not exist is an error. The resolved settings are in each
run's `config.toml`, which can be used as `--config` again.

This page is written by `python scripts/settings_page.py docs/settings.md`.
"""


def described(kind: type) -> dict[str, str]:
    """What stands under each field, or in the docstring's Args or Attributes."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    if found:
        return found
    names = [field.name for field in fields(kind)]
    for line in (inspect.getdoc(kind) or "").splitlines():
        name, colon, words = line.strip().partition(": ")
        if colon and name in names:
            found[name] = words
        elif found and line.startswith("        "):
            found[list(found)[-1]] += " " + line.strip()
        elif found and not line.startswith("    "):
            break
    return found


def default(kind: type, name: str) -> str:
    """The default as TOML, or a word for it."""
    value: Any = next(field.default for field in fields(kind) if field.name == name)
    if kind is ModelConfig and value is None:
        return "by recipe"
    if value is None:
        return "none"
    if not isinstance(value, str | int | float | bool | tuple):
        return "required"
    plain = list(value) if isinstance(value, tuple) else value
    return "`" + " ".join(tomli_w.dumps({"x": plain})[4:].split()) + "`"


def table(section: str, kind: type) -> list[str]:
    """The settings of a section."""
    lines = [f"## {f'[{section}]' if section else 'Top level'}", "", "| setting | default | |", "|---|---|---|"]
    words = described(kind)
    for field in fields(kind):
        if is_dataclass(field.type) or is_dataclass(getattr(field, "default_factory", None)):
            continue
        lines.append(f"| `{field.name}` | {default(kind, field.name)} | {words[field.name]} |")
    return [*lines, ""]


def recipes() -> list[str]:
    """What each recipe puts where nothing is said."""
    lines = ["## Defaults by recipe", "", "| setting | " + " | ".join(RECIPES) + " |", "|---|" + "---|" * len(RECIPES)]
    signatures = {name: inspect.signature(recipe).parameters for name, recipe in RECIPES.items()}
    for field in fields(ModelConfig):
        if field.name in ("recipe", "cell", "augment"):
            continue
        cells = [f"`{p[field.name].default!r}`" if field.name in p else "" for p in signatures.values()]
        lines.append(f"| `model.{field.name}` | " + " | ".join(cells) + " |")
    lines += ["", "Some tasks and recipes begin with other settings than those above:", ""]
    for name, settings in {**TASK_SETTINGS, **RECIPE_SETTINGS}.items():
        if settings:
            lines.append(f"- `{name}`: " + ", ".join(f"`{key} = {value!r}`" for key, value in settings.items()))
    return lines


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for section, kind in SECTIONS.items():
        lines += table(section, kind)
    return "\n".join([*lines, *recipes()]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
