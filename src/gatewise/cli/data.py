"""``gatewise data``."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import (
    FeaturesOption,
    GroupOption,
    IdOption,
    TargetOption,
    TimeOption,
    names,
    output,
)


def data(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Sequences.", show_default=False)],
    id: IdOption = None,
    time: TimeOption = None,
    features: FeaturesOption = None,
    target: TargetOption = None,
    group: GroupOption = None,
    task: Annotated[str | None, typer.Option(help="Read targets as classification or regression.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
) -> None:
    """Tell what is read from a file - rows, lengths, channels, classes, missing values - before anyone trains.

    Example: `gatewise data train.csv --id recording --time t --target label`
    """
    from gatewise.data.dataset import ReadOptions
    from gatewise.data.describe import describe
    from gatewise.data.read import read

    columns, targets = names(features), names(target)
    options = ReadOptions(
        id=id,
        time=time,
        features=tuple(columns) if columns else None,
        target=tuple(targets) if targets else None,
        group=group,
        task=task,
    )
    description = describe(read(file, options))
    if json:
        typer.echo(json_format.dumps(description.to_plain(), ensure_ascii=False))
    else:
        output.print(description.to_text(), highlight=False, markup=False, soft_wrap=True)
