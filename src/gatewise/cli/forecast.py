"""``gatewise forecast``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, ThreadsOption, errors


def forecast(
    run: RunArgument,
    data: DataOption = None,
    horizon: Annotated[int | None, typer.Option(help="Steps.  [default: as many as it was trained for]")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=".csv, .parquet or .jsonl.  [default: CSV on standard output]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Forecast what comes after the end of each series. Without `--data` after the end of the run's training file.

    Example: `gatewise forecast runs/load --data load.csv --out forecast.csv`
    """
    from gatewise.api import load
    from gatewise.api.predictions import check_target, write_frame

    if out is not None:
        check_target(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    frame = loaded.forecast(
        data,
        horizon=horizon,
        on_note=lambda note: errors.print(f"Note: {note}.", highlight=False, markup=False, soft_wrap=True),
    )
    if out is None:
        typer.echo(frame.write_csv(), nl=False)
    else:
        write_frame(out, frame)
        errors.print(f"{len(frame)} rows in {out}", highlight=False, markup=False, soft_wrap=True)
