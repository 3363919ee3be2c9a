"""``gatewise backtest``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    OverwriteOption,
    RunArgument,
    ThreadsOption,
    check_out,
    metrics_table,
    note,
    output,
    progress,
)


def backtest(
    run: RunArgument,
    data: DataOption = None,
    windows: Annotated[int, typer.Option(min=1, help="Most origins of each series, counted from its end.")] = 20,
    stride: Annotated[int, typer.Option(min=1, help="Steps from one origin to the next.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The forecasts themselves: .csv, .parquet or .jsonl.")
    ] = None,
    overwrite: OverwriteOption = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Forecast again what is known by now, from one origin after another, beside naive and linear forecasts.

    Without `--data` on the run's own test file, or what it was trained on.

    Example: `gatewise backtest runs/load --data load.csv --windows 20`
    """
    from gatewise.api import load
    from gatewise.api.predictions import write_frame
    from gatewise.training.files import to_json

    check_out(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    with progress(windows, "forecasting") as advance:
        done = loaded.backtest(data, windows=windows, stride=stride, on_batch=advance)
    if out is not None:
        write_frame(out, done.forecasts)
    if json:
        typer.echo(to_json(done.to_plain()))
        return
    output.print(f"{done.windows:,} windows of {done.horizon:,} steps", highlight=False, markup=False)
    output.print(metrics_table(done.metrics))
    output.print(f"\n{done.verdict}", highlight=False, markup=False, soft_wrap=True)
    for told in done.notes:
        note(told)
