"""How a training shows itself: a bar in a terminal, plain lines elsewhere, or not at all."""

import sys
import time
import warnings
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.progress import Task as BarTask
from rich.text import Text

from gatewise.training.checkpoint import Progress
from gatewise.training.fit import Epoch, Watcher


class Silent:
    """Shows nothing."""

    def on_start(self, *, epochs: int, batches: int, progress: Progress) -> None:
        """See :class:`gatewise.training.fit.Watcher`."""

    def on_step(self, *, sequences: int, loss: float) -> None:
        """See :class:`gatewise.training.fit.Watcher`."""

    def on_epoch(self, epoch: Epoch) -> None:
        """See :class:`gatewise.training.fit.Watcher`."""

    def on_summary(self, summary: str) -> None:
        """What is about to be trained, in a line."""

    def on_note(self, note: str) -> None:
        """Something that a user should know. Nobody is looking: a warning."""
        warnings.warn(f"{note}.", stacklevel=3)

    def close(self) -> None:
        """Takes down what is on the screen."""


class PlainLines(Silent):
    """One line an epoch, for logs and pipes; the first, the last, and one every few seconds.

    Args:
        metric: the monitored one, shown beside the losses.
        console: where to.
    """

    def __init__(self, metric: str, console: Console) -> None:
        self.metric, self.console = metric, console
        self.epochs = 0
        self.shown_at = -1e9

    def on_summary(self, summary: str) -> None:
        """Prints it."""
        self.console.print(summary, highlight=False, markup=False, soft_wrap=True)

    def on_note(self, note: str) -> None:
        """Prints it."""
        _print_note(self.console, note)

    def on_start(self, *, epochs: int, batches: int, progress: Progress) -> None:
        """Remembers the number of epochs."""
        self.epochs = epochs

    def on_epoch(self, epoch: Epoch) -> None:
        """Prints the line."""
        now = time.monotonic()
        if epoch.epoch in (1, self.epochs) or now - self.shown_at > 5:
            self.console.print(epoch_line(epoch, self.epochs, self.metric), highlight=False)
            self.shown_at = now


class LiveBar(Silent):
    """A bar over all steps with loss, best metric, speed and time left.

    Args:
        metric: the monitored one.
        console: a terminal.
    """

    def __init__(self, metric: str, console: Console) -> None:
        self.metric = metric
        self.bar = Bar(
            SpinnerColumn(),
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("[bold]{task.fields[best]}"),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.epochs = 0
        self.id: Any = None

    def on_summary(self, summary: str) -> None:
        """Prints it above the bar."""
        self.bar.console.print(summary, highlight=False, markup=False, soft_wrap=True)

    def on_note(self, note: str) -> None:
        """Prints it above the bar."""
        _print_note(self.bar.console, note)

    def on_start(self, *, epochs: int, batches: int, progress: Progress) -> None:
        """Puts up the bar."""
        self.epochs = epochs
        self.bar.start()
        self.id = self.bar.add_task(
            "",
            total=epochs * batches,
            completed=progress.epoch * batches + progress.batch,
            epoch=progress.epoch + 1,
            epochs=epochs,
            loss="…",
            best="",
            sequences=0,
        )

    def on_step(self, *, sequences: int, loss: float) -> None:
        """Moves it on."""
        done = self.bar.tasks[0].fields["sequences"] + sequences
        self.bar.update(self.id, advance=1, loss=f"{loss:.4f}", sequences=done)

    def on_epoch(self, epoch: Epoch) -> None:
        """Shows the metric, and leaves a line of a best epoch."""
        if epoch.best and epoch.valid:
            self.bar.update(self.id, best=f"best {self.metric} {epoch.valid[self.metric]:.4f} (epoch {epoch.epoch})")
        self.bar.update(self.id, epoch=min(epoch.epoch + 1, self.epochs))

    def close(self) -> None:
        """Takes the bar down."""
        self.bar.stop()


class _Speed(ProgressColumn):
    """Sequences per second."""

    def render(self, task: BarTask) -> Text:
        elapsed = task.elapsed or 0.0
        return Text(f"{task.fields['sequences'] / elapsed:.0f} seq/s" if elapsed > 0 else "", style="cyan")


def _print_note(console: Console, note: str) -> None:
    console.print(f"Note: {note}.", highlight=False, markup=False, soft_wrap=True)


def epoch_line(epoch: Epoch, epochs: int, metric: str) -> str:
    """One epoch in a line."""
    parts = [f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}", f"loss {epoch.train_loss:.4f}"]
    if epoch.valid:
        parts += [f"valid loss {epoch.valid['loss']:.4f}", f"{metric} {epoch.valid[metric]:.4f}"]
    parts.append(f"{epoch.seconds:.1f} s")
    return "  ".join(parts) + ("  best" if epoch.best and epoch.valid else "")


def make_watcher(metric: str, *, show: bool, console: Console | None = None) -> Silent:
    """The right one for where the output goes; progress goes to standard error.

    Args:
        metric: the monitored one.
        show: False for silence.
        console: instead of standard error.
    """
    if not show:
        return Silent()
    console = console or Console(file=sys.stderr)
    return LiveBar(metric, console) if console.is_terminal else PlainLines(metric, console)


_: type[Watcher] = Silent  # checked by the type checker: it keeps to the protocol
