"""The run directory: what is in it, and how it is written and read. Loading runs no code from it.

config.toml          every setting, resolved; the versions it was trained with
adapter.json         what was measured on the training data: scaling, classes
weights.safetensors  the best weights
state.safetensors    all that is needed to resume
metrics.jsonl        one line an epoch
results.json         the best weights measured on validation and test data
report.html          one page with pictures
"""

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save

from gatewise.data.adapter import Adapter, adapter_from_json, adapter_to_json
from gatewise.errors import ConfigError, DataError, RunError
from gatewise.training.checkpoint import Tensors, read_tensors
from gatewise.training.config import FORMAT, Config, Plain, from_plain, read_toml, to_plain
from gatewise.training.files import append_line, to_json, write_atomic

NAMES = (
    "config.toml",
    "adapter.json",
    "weights.safetensors",
    "state.safetensors",
    "metrics.jsonl",
    "results.json",
    "report.html",
)


@dataclass(frozen=True)
class RunDirectory:
    """A folder and the files that gatewise keeps in it."""

    path: Path

    def file(self, name: str) -> Path:
        """The path of one of :data:`NAMES`."""
        assert name in NAMES, name
        return self.path / name

    @property
    def holds_run(self) -> bool:
        """Whether a training was begun here."""
        return self.file("config.toml").exists()

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Refuses a directory that something is in, unless it is to be resumed or overwritten.

        Raises:
            RunError: something is in the way.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path}: expected a directory for the run, got a file. Choose another --out.")
        if not self.path.exists() or not any(self.path.iterdir()) or (resume and self.holds_run):
            return
        if not self.holds_run:
            ours = all(file.name in NAMES or file.name.startswith(".") for file in self.path.iterdir())
            if ours and (resume or overwrite):
                return  # killed before its first file was whole
            raise RunError(f"{self.path}: expected an empty directory or a run, got other files. Choose another --out.")
        if not overwrite:
            raise RunError(
                f"{self.path}: expected a new directory, got one with a run in it. "
                "Go on with --resume, replace it with --overwrite, or choose another --out."
            )

    @contextmanager
    def held(self, *, anew: bool) -> Iterator[None]:
        """Holds the directory for one training; nobody else can train in it meanwhile.

        Args:
            anew: what is there gives way. It is only set aside until the training has its first state: one that fails
                before that leaves the directory as it was.

        Raises:
            RunError: another training holds it.
        """
        made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.path}: expected nobody else to train here, got another training. Choose another --out."
            ) from None
        try:
            if self._aside.exists():  # a training was killed while it replaced a run
                self._put_back()
            if anew:
                self._move(self.path, self._aside)
            yield
        finally:
            self._put_back()
            lock.release()
            (self.path / ".lock").unlink(missing_ok=True)
            if made and not any(self.path.iterdir()):
                self.path.rmdir()

    @property
    def _aside(self) -> Path:
        return self.path / ".replaced"

    def _put_back(self) -> None:
        """Without a state, what is here was never trained, and what was set aside returns; else it is forgotten."""
        if self.file("state.safetensors").exists():
            self._remove(self._aside)
        else:
            self._remove(self.path)
            self._move(self._aside, self.path)
        if self._aside.exists():
            self._aside.rmdir()

    def _move(self, source: Path, target: Path) -> None:
        for name in NAMES:
            if (source / name).exists():
                target.mkdir(exist_ok=True)
                (source / name).replace(target / name)

    def _remove(self, folder: Path) -> None:
        """Removes a run's files from a folder, and nothing else."""
        for name in ("config.toml", *NAMES):  # without its configuration it is no run any more
            (folder / name).unlink(missing_ok=True)
            for left_by_a_crash in folder.glob(f".{name}.*"):
                left_by_a_crash.unlink()

    def write_config(self, config: Config) -> None:
        """Writes the resolved settings and the versions they were used with."""
        from importlib.metadata import version

        from gatewise import __version__

        versions = {
            "gatewise": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning_fabric": version("lightning-fabric"),
            "polars": version("polars"),
        }
        write_atomic(self.file("config.toml"), tomli_w.dumps({**to_plain(config), "versions": versions}))

    def read_config(self) -> Config:
        """The settings of the run.

        Raises:
            RunError: there is no run here, or its format is unknown.
        """
        return from_plain(self.read_plain(), source=str(self.file("config.toml")))

    def read_plain(self) -> Plain:
        """The settings of the run as written.

        Raises:
            RunError: there is no run here, or its format is unknown.
        """
        plain = self._plain_config()
        plain.pop("versions", None)
        return plain

    def versions(self) -> dict[str, str]:
        """Versions that the run was trained with."""
        versions = self._plain_config().get("versions")
        return versions if isinstance(versions, dict) else {}

    def _plain_config(self) -> dict[str, Any]:
        if not self.holds_run:
            folds = RunDirectory(self.path / "fold-1").holds_run
            hint = f"It holds folds: name one of them, such as {self.path / 'fold-1'}." if folds else "Check the path."
            raise RunError(f"{self.path}: expected a run directory with config.toml, got none. {hint}")
        path = self.file("config.toml")
        plain = read_toml(path)
        if plain.get("format") != FORMAT:
            raise RunError(
                f"{path}: expected a run of format {FORMAT}, got {plain.get('format', 'none')}. "
                "Read it with the version of gatewise that wrote it."
            )
        return plain

    def write_adapter(self, adapter: Adapter) -> None:
        """Writes ``adapter.json``."""
        write_atomic(self.file("adapter.json"), adapter_to_json(adapter))

    def read_adapter(self) -> Adapter:
        """What was measured on the training data.

        Raises:
            RunError: the file is missing or damaged.
        """
        path = self.file("adapter.json")
        try:
            return adapter_from_json(path.read_text(encoding="utf-8"), source=str(path))
        except (FileNotFoundError, UnicodeDecodeError):
            raise RunError(f"{path}: expected the adapter of a run, got none. Train again.") from None
        except DataError as error:
            raise RunError(str(error)) from None

    def write_weights(self, weights: Tensors) -> None:
        """Writes ``weights.safetensors``."""
        write_atomic(self.file("weights.safetensors"), save(weights, {"gatewise": json.dumps({"format": FORMAT})}))

    def read_weights(self) -> Tensors:
        """The best weights so far.

        Raises:
            RunError: there are none yet, or the file is damaged.
        """
        path = self.file("weights.safetensors")
        if not path.exists() and self.holds_run:
            raise RunError(f"{path}: expected weights, got none: no epoch was finished. Go on with --resume.")
        return read_tensors(path, "gatewise")[1]

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Adds a line to ``metrics.jsonl``."""
        append_line(self.file("metrics.jsonl"), to_json(line))

    def read_metrics(self) -> list[dict[str, Any]]:
        """One entry an epoch; from a damaged line on, as a crash leaves one, the rest is left out."""
        path = self.file("metrics.jsonl")
        if not path.exists():
            return []
        lines = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                break
            if not isinstance(entry, dict) or not {"epoch", "best", "seconds"} <= entry.keys():
                break
            lines.append(entry)
        return lines

    def cut_metrics(self, epochs: int) -> None:
        """Keeps the first epochs: those that the state knows of."""
        kept = [line for line in self.read_metrics() if line["epoch"] <= epochs]
        write_atomic(self.file("metrics.jsonl"), "".join(to_json(line) + "\n" for line in kept))

    def write_results(self, results: dict[str, Any]) -> None:
        """Writes ``results.json``."""
        write_atomic(self.file("results.json"), to_json(results, indent=1))

    def read_results(self) -> dict[str, Any]:
        """Metrics by data set; empty while the training is not finished."""
        path = self.file("results.json")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def check_resumable(directory: RunDirectory, config: Config) -> None:
    """Refuses settings that are not those of the run: it would no longer be one training.

    Where it runs (device, threads) and how often it saves may change.

    Raises:
        ConfigError: other settings differ; names them.
    """
    before = directory.read_config()
    train = replace(
        before.train,
        device=config.train.device,
        threads=config.train.threads,
        save_minutes=config.train.save_minutes,
    )
    different = _differences(to_plain(replace(before, train=train)), to_plain(config))
    if different:
        raise ConfigError(
            f"{directory.path}: expected the settings of the run that is resumed, got others: {'; '.join(different)}. "
            "Leave them out, or start anew with --overwrite."
        )


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) or isinstance(new, dict):
            found += _differences(old or {}, new or {}, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name} was {old}, is {new}")
    return found
