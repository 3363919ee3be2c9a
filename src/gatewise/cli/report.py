"""``gatewise report``."""

from gatewise.cli.common import DataOption, DeviceOption, RunArgument, output, progress


def report(run: RunArgument, data: DataOption = None, device: DeviceOption = None) -> None:
    """Write a run's report.html anew; with `--data`, with its pictures of that file too.

    Example: `gatewise report runs/vowels --data new.ts`
    """
    from gatewise.api import load

    loaded = load(run, device=device or "auto")
    with progress(1, "writing the report"):
        path = loaded.write_report(data)
    output.print(f"Report: {path}", highlight=False, markup=False, soft_wrap=True)
