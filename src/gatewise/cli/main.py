"""The command line: one file per verb, all of them thin over :mod:`gatewise.api`."""

import os
import sys

import typer

from gatewise.cli.backtest import backtest
from gatewise.cli.bench import bench
from gatewise.cli.common import printable
from gatewise.cli.compare import compare
from gatewise.cli.data import data
from gatewise.cli.evaluate import evaluate
from gatewise.cli.experiment import experiment
from gatewise.cli.explain import explain
from gatewise.cli.forecast import forecast
from gatewise.cli.generate import generate
from gatewise.cli.inspect import inspect
from gatewise.cli.kernels import kernels
from gatewise.cli.predict import predict
from gatewise.cli.probe import probe
from gatewise.cli.report import report
from gatewise.cli.sample import sample
from gatewise.cli.trace import trace
from gatewise.cli.train import train
from gatewise.cli.transcribe import transcribe
from gatewise.cli.translate import translate
from gatewise.errors import GatewiseError
from gatewise.training.allocator import keep_freed_memory

# What typer raises when a command line is wrong: an option that does not exist, an argument that is missing.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    help="Train, measure and run LSTM models on sequences of any kind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(train, evaluate, predict, generate, translate, transcribe, forecast, backtest),
    *(report, inspect, compare, trace, explain, probe, data, sample, kernels, bench, experiment),
):
    app.command()(command)


def version(asked: bool) -> None:
    """Prints the version and stops."""
    if asked:
        from gatewise import __version__

        typer.echo(f"gatewise {__version__}")
        raise typer.Exit


@app.callback()
def common(
    show_version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
) -> None:
    """Train, measure and run LSTM models on sequences of any kind."""


def main() -> None:
    """Runs a command.

    Exit code 0, or 2 for a user's mistake with one line on standard error; 130 after Ctrl-C.
    """
    keep_freed_memory()  # a command owns its process
    try:
        code = app(standalone_mode=False)
    except GatewiseError as error:
        code = _fail(str(error))
    except UsageError as error:
        code = _fail(f"{error.format_message().rstrip('.')}. See --help.")  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a full disk, a name that is too long, a file system that cannot be written
        what = f"{error.filename}: " if error.filename else ""
        code = _fail(f"{what}{error.strerror or error}. Choose another place or make room.")
    except MemoryError:
        code = _fail("out of memory. Use shorter sequences, smaller batches or a smaller model.")
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    # A file name may hold bytes that are no text, and what is quoted from a file could steer the terminal.
    typer.echo(printable(f"gatewise: {' '.join(message.split())}"), err=True)
    return 2
