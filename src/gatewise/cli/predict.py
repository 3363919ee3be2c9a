"""``gatewise predict``."""

from gatewise.cli.common import (
    DataOption,
    DeviceOption,
    OutOption,
    OverwriteOption,
    RunArgument,
    SkipBadOption,
    ThreadsOption,
    check_out,
    note,
    progress,
    show_frame,
)


def predict(
    run: RunArgument,
    data: DataOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    skip_bad: SkipBadOption = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Predict: a table with the answer to each sequence, word or text, and how probable it is.

    Example: `gatewise predict runs/vowels --data new.csv --out predictions.csv`
    """
    from gatewise.api import load
    from gatewise.api.predictions import to_frame

    check_out(out, overwrite=overwrite)
    loaded = load(run, device=device or "auto", threads=threads)
    sequences = loaded.read(data, skip_bad=skip_bad)
    for left_out in getattr(sequences, "skipped", ()):
        note(left_out.rstrip("."))
    with progress(len(sequences), "predicting") as advance:
        results = loaded.run(sequences, on_batch=advance)
    show_frame(to_frame(loaded.adapter, sequences, results), out, f"{len(sequences)} predictions")
