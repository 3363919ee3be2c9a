"""``gatewise trace``."""

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    OverwriteOption,
    RunArgument,
    ThreadsOption,
    progress,
    tell,
)
from gatewise.cli.rows import row_numbers
from gatewise.errors import OptionError


def trace(
    run: RunArgument,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Table: .parquet .csv. Arrays: .npz.", show_default=False),
    ],
    data: DataOption = None,
    rows: Annotated[str | None, typer.Option(metavar="N,N,...", help="Which sequences, from 0.  [default: 0]")] = None,
    steps: Annotated[
        str | None, typer.Option(metavar="FROM..UNTIL", help="A stretch of the sequence.  [default: all]")
    ] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Trace: every gate, cell and hidden state of every LSTM layer at every step of some sequences.

    Example: `gatewise trace runs/vowels --data test.ts --rows 3 --out trace.parquet`
    """
    from gatewise.api import load
    from gatewise.api.predictions import check_target
    from gatewise.api.tracing import SUFFIXES

    chosen, stretch = row_numbers(rows), stretch_of(steps)
    check_target(out, overwrite=overwrite, suffixes=SUFFIXES)
    loaded = load(run, device=device or "auto", threads=threads)
    with progress(2, "tracing") as advance:
        found = loaded.trace(data, rows=0 if chosen is None else chosen, steps=stretch)
        advance(1)
        found.write(out)
    units = sum(layer.cell.shape[2] * layer.cell.shape[3] for layer in found.trace.layers)
    for number, axis, prediction in zip(found.rows, found.axis, found.predictions, strict=True):
        tell(f"Row {number}: {len(axis):,} steps; the run says {_shortened(prediction.value)}.")
    tell(f"{units:,} units of {len(found.trace.layers)} layers in {out}")


def stretch_of(text: str | None) -> tuple[int, int] | None:
    """``"100..200"`` as numbers.

    >>> stretch_of("100..200"), stretch_of(None)
    ((100, 200), None)

    Raises:
        OptionError: something else.
    """
    if text is None:
        return None
    first, dots, until = text.partition("..")
    if not dots or not first.strip().isdecimal() or not until.strip().isdecimal():
        raise OptionError(f'--steps: expected FROM..UNTIL such as 0..100, got "{text}". Steps count from 0.')
    return int(first), int(until)


def _shortened(value: object) -> str:
    """An answer in a few words."""
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
