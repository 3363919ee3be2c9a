"""``gatewise predict``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, ThreadsOption, errors, progress


def predict(
    run: RunArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=".csv, .parquet or .jsonl.  [default: CSV on standard output]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Predict: a table with the answer to each sequence, word or text, and how probable it is.

    Example: `gatewise predict runs/vowels --data new.csv --out predictions.csv`
    """
    from gatewise.api import load
    from gatewise.api.predictions import check_target, to_csv, write

    if out is not None:
        check_target(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    sequences = loaded.read(data)
    with progress(len(sequences), "predicting") as advance:
        results = loaded.run(sequences, on_batch=advance)
    if out is None:
        typer.echo(to_csv(loaded.adapter, sequences, results), nl=False)
    else:
        write(out, loaded.adapter, sequences, results)
        errors.print(f"{len(sequences)} predictions in {out}", highlight=False, markup=False, soft_wrap=True)
