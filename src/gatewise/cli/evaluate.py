"""``gatewise evaluate``."""

from typing import Annotated

import typer

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, ThreadsOption, metrics_table, output, progress


def evaluate(
    run: RunArgument,
    data: DataOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure a trained model on data with answers. Without `--data` on the run's own test file.

    Example: `gatewise evaluate runs/vowels --data test.ts --json`
    """
    from gatewise.api import load
    from gatewise.training.evaluate import measure
    from gatewise.training.files import to_json

    loaded = load(run, device=device or "auto", threads=threads)
    sequences = loaded.read(data, require_target=True)
    with progress(len(sequences), "evaluating") as advance:
        results = measure(loaded.task, loaded.run(sequences, on_batch=advance))
    if json:
        typer.echo(to_json(results))
    else:
        output.print(metrics_table({sequences.source: results}))
