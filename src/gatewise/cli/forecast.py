"""``gatewise forecast``."""

from typing import Annotated

import typer

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    OutOption,
    OverwriteOption,
    RunArgument,
    ThreadsOption,
    check_out,
    note,
    show_frame,
)


def forecast(
    run: RunArgument,
    data: DataOption = None,
    horizon: Annotated[
        int | None, typer.Option(help="Steps, up to 100,000.  [default: as many as it was trained for]")
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Forecast what comes after the end of each series. Without `--data` after the end of the run's training file.

    Example: `gatewise forecast runs/load --data load.csv --out forecast.csv`
    """
    from gatewise.api import load

    check_out(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    frame = loaded.forecast(data, horizon=horizon, on_note=note)
    show_frame(frame, out, f"{len(frame)} rows")
