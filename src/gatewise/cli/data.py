"""``gatewise data``."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewise.cli.common import (
    FeaturesOption,
    GroupOption,
    IdOption,
    TargetOption,
    TextOption,
    TimeOption,
    names,
    output,
)

if TYPE_CHECKING:
    from gatewise.data.config import DataConfig
    from gatewise.data.describe import Description
    from gatewise.data.describe_media import MediaDescription
    from gatewise.data.describe_series import SeriesDescription
    from gatewise.data.text_description import TextDescription


def data(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Sequences, or texts; also two files, SOURCE,TARGET.", show_default=False),
    ],
    task: Annotated[
        str | None, typer.Option(help="What it is for, as in `gatewise train`.  [default: sequences of numbers]")
    ] = None,
    id: IdOption = None,
    time: TimeOption = None,
    features: FeaturesOption = None,
    target: TargetOption = None,
    group: GroupOption = None,
    text: TextOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
) -> None:
    """Tell what is read from a file - rows, lengths, classes, vocabulary, what is missing - before anyone trains.

    Example: `gatewise data train.csv --id recording --time t --target label`
    Of texts: `gatewise data train.jsonl --task text-classification`
    """
    from gatewise.data.config import DataConfig, TextConfig

    columns, targets = names(features), names(target)
    config = DataConfig(
        id=id,
        time=time,
        features=tuple(columns) if columns else None,
        target=tuple(targets) if targets else None,
        group=group,
        text=TextConfig(column=text),
    )
    description = _numbers(file, config) if task is None else _of_task(file, config, task)
    if json:
        typer.echo(json_format.dumps(description.to_plain(), ensure_ascii=False))
    else:
        output.print(description.to_text(), highlight=False, markup=False, soft_wrap=True)


def _of_task(
    file: str, config: "DataConfig", task: str
) -> "Description | TextDescription | SeriesDescription | MediaDescription":
    """Read as a training for this task reads it."""
    from gatewise.data.describe import describe
    from gatewise.data.describe_media import describe_media
    from gatewise.data.describe_series import describe_series
    from gatewise.data.describe_text import describe_text
    from gatewise.data.media import MediaData
    from gatewise.data.series import SeriesData
    from gatewise.data.text import TextData
    from gatewise.errors import OptionError, did_you_mean
    from gatewise.tasks import SIDES

    if task not in SIDES:
        raise OptionError(f'--task: expected the name of a task, got "{task}". {did_you_mean(task, SIDES)}')
    side = SIDES[task]
    found = side.read(file, None, config, None, True)
    if isinstance(found, SeriesData):
        return describe_series(found)
    if isinstance(found, MediaData):
        return describe_media(found, unread=True)
    if isinstance(found, TextData):
        return describe_text(found, labelled=side.classes is not None)
    return describe(found)


def _numbers(file: str, config: "DataConfig") -> "Description":
    """Read as sequences of numbers."""
    from gatewise.data.dataset import ReadOptions
    from gatewise.data.describe import describe
    from gatewise.data.describe_text import seems_text
    from gatewise.data.read import read
    from gatewise.errors import DataError
    from gatewise.tasks.sides import OF_TEXTS

    options = ReadOptions(
        id=config.id, time=config.time, features=config.features, target=config.target, group=config.group
    )
    try:
        return describe(read(file, options))
    except DataError as error:
        if not seems_text(Path(file)):
            raise
        raise DataError(f"{error} If these are texts, say what for: --task {', '.join(OF_TEXTS)}.") from error
