"""``gatewise translate``."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from gatewise.cli.common import DeviceOption, RunArgument, ThreadsOption


def translate(
    run: RunArgument,
    beam_size: Annotated[
        int | None, typer.Option(min=1, help="Answers followed side by side; 1 is fastest.  [default: the run's]")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Lines at once, where they come from a file or pipe.")] = 32,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Translate, or summarise: a line on standard input, a line on standard output.

    Example: `echo "two dogs play in the snow ." | gatewise translate runs/en-de`
    """
    from gatewise.api import load

    loaded = load(run, device=device or "auto", threads=threads)
    loaded.translate([])  # another task is told before anybody types
    # A person who types waits for each line; a file does not.
    size = 1 if sys.stdin.isatty() else batch_size
    for lines in _batches(size):
        for answer in loaded.translate(lines, beam_size=beam_size):
            sys.stdout.write(answer.replace("\n", " ") + "\n")
        sys.stdout.flush()


def _batches(size: int) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in _lines():
        lines.append(line)
        if len(lines) == size:
            yield lines
            lines = []
    if lines:
        yield lines


def _lines() -> Iterator[str]:
    """Standard input as text files are read: UTF-8, and a line ends with its line feed alone."""
    from gatewise.data.files import wrong_byte

    read = 0
    for row, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise wrong_byte("standard input", row, error.start, read + error.start, line[error.start]) from error
        read += len(line)
