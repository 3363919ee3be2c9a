"""What an experiment found: kept after each network, read again to go on, summed up by model and length."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from filelock import FileLock

from gatewise.errors import RunError
from gatewise.experiments.gradients import Reach
from gatewise.experiments.learning import Finished, Settings
from gatewise.experiments.models import MODELS
from gatewise.experiments.problems import Problem, problem
from gatewise.training.files import to_json, write_atomic

VERSION = 1
FILE = "results.json"
LOCK = ".results.lock"  # held from reading the file to replacing it; stays, empty


class Key(NamedTuple):
    """One network of an experiment."""

    model: str
    length: int
    seed: int


class Band(NamedTuple):
    """A share of successes with its 95 % interval after Wilson 1927."""

    share: float
    low: float
    high: float


class Summary(NamedTuple):
    """A model at a length, over its seeds.

    ``seeds``: those that went to their end, of which all the rest speaks; ``unfinished``: those beside them whose
    processor time ran out. ``steps`` and ``sequences``: median over the seeds that solved it, NaN if none; ``wrong``:
    median share of the test that is wrong; ``seconds`` and ``cpu_seconds``: median of all seeds.
    """

    model: str
    length: int
    seeds: int
    unfinished: int
    solved: int
    band: Band
    steps: float
    sequences: float
    wrong: float
    error: float
    seconds: float
    cpu_seconds: float
    parameters: int


@dataclass(frozen=True)
class Results:
    """An experiment's networks so far, and how they learnt."""

    problem: Problem
    settings: Settings
    finished: tuple[Finished, ...] = ()

    def add(self, finished: Finished) -> "Results":
        """With one more network, or with a newer try of one that had not been finished."""
        return replace(self, finished=tuple({**self._by_key(), _key(finished): finished}.values()))

    def joined(self, other: "Results | None") -> "Results":
        """With those networks of another that are not among these, or not finished here."""
        both = self._by_key()
        for each in () if other is None else other.finished:
            mine = both.setdefault(_key(each), each)
            if each.complete and not mine.complete:
                both[_key(each)] = each
        return replace(self, finished=tuple(both.values()))

    def networks(self) -> set[Key]:
        """Which are there."""
        return set(self._by_key())

    def _by_key(self) -> dict[Key, Finished]:
        return {_key(each): each for each in self.finished}

    def only(self, keys: Iterable[Key]) -> "Results":
        """Those asked for, in their order."""
        found = self._by_key()
        return replace(self, finished=tuple(found[key] for key in keys if key in found))

    @property
    def models(self) -> list[str]:
        """Those that occur, as :data:`MODELS` orders them."""
        return [name for name in MODELS if any(each.model == name for each in self.finished)]

    @property
    def lengths(self) -> list[int]:
        """Those that occur, ascending."""
        return sorted({each.length for each in self.finished})

    def of(self, model: str, length: int) -> list[Finished]:
        """The seeds of a model at a length."""
        found = [each for each in self.finished if (each.model, each.length) == (model, length)]
        return sorted(found, key=lambda each: each.seed)

    def summaries(self) -> list[Summary]:
        """A line for each length and model."""
        cells = ((model, length) for length in self.lengths for model in self.models)
        return [summarize(runs) for cell in cells if (runs := self.of(*cell))]

    def merge(self, folder: Path) -> "Results":
        """Joins what a folder holds and keeps both there; other processes that do so at the same time wait."""
        with _alone(folder):
            both = self.joined(read_results(folder))
            both._write(folder)
        return both

    def save(self, folder: Path) -> None:
        """Writes ``results.json`` in place of what is there, in one step."""
        with _alone(folder):
            self._write(folder)

    def _write(self, folder: Path) -> None:
        content = {
            "version": VERSION,
            "experiment": self.problem.name,
            "variant": self.problem.variant,
            "settings": asdict(self.settings),
            "networks": [_plain(each) for each in self.finished],
        }
        write_atomic(folder / FILE, to_json(content, indent=1) + "\n")


def wilson(successes: int, trials: int, *, z: float = 1.959964) -> Band:
    """A share and its interval, which is honest for few trials too.

    >>> tuple(round(part, 3) for part in wilson(5, 5))
    (1.0, 0.566, 1.0)
    """
    if not trials:
        return Band(math.nan, 0.0, 1.0)
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Band(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def summarize(runs: Sequence[Finished]) -> Summary:
    """The seeds of one model at one length in a line; not finished ones are counted, and nothing else."""
    first, tried, runs = runs[0], len(runs), [each for each in runs if each.complete]
    solved = [each for each in runs if each.solved]
    return Summary(
        model=first.model,
        length=first.length,
        seeds=len(runs),
        unfinished=tried - len(runs),
        solved=len(solved),
        band=wilson(len(solved), len(runs)),
        steps=_median(each.steps for each in solved),
        sequences=_median(each.sequences for each in solved),
        wrong=_median(1 - each.right for each in runs),
        error=_median(each.error for each in runs),
        seconds=_median(each.seconds for each in runs),
        cpu_seconds=_median(each.cpu_seconds for each in runs),
        parameters=first.parameters,
    )


def _median(values: Iterable[float]) -> float:
    """NaN of none."""
    listed = list(values)
    return median(listed) if listed else math.nan


def _key(finished: Finished) -> Key:
    return Key(finished.model, finished.length, finished.seed)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other processes from ``results.json``, between reading and replacing it."""
    with FileLock(folder / LOCK):
        yield


def read_results(folder: Path) -> Results | None:
    """What a folder holds of an experiment, or None.

    Raises:
        RunError: its ``results.json`` cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not is_of_experiment(content):
            raise RunError(f"experiment: expected {folder} to be empty or an experiment's, got other files in it. "
                           "Choose another --out.")  # fmt: skip
        if content["version"] != VERSION:
            raise RunError(f"experiment: expected {path} of version {VERSION}, got {content['version']!r}. "
                           "Choose another --out.")  # fmt: skip
        finished = tuple(_finished(each) for each in content["networks"])
        asked = problem(content["experiment"], content["variant"] or None)
        return Results(asked, Settings(**content["settings"]), finished)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"experiment: expected results in {path}, got a file that is damaged ({type(error).__name__}). "
                       "Choose another --out, or start anew with --overwrite.") from None  # fmt: skip


def is_of_experiment(content: Any) -> bool:
    """Whether this was in a ``results.json`` of an experiment, and not of a training or of anybody else."""
    return isinstance(content, dict) and {"experiment", "networks"} <= content.keys()


def check_ours(folder: Path) -> None:
    """Refuses a folder with somebody else's files, also where its results are to be replaced.

    Raises:
        RunError: there are such files.
    """
    path, content = folder / FILE, {}
    if path.exists():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return  # cut off while it was written: it begins anew
    if not is_of_experiment(content) and any(each.name != LOCK for each in folder.iterdir()):
        raise RunError(f"experiment: expected {folder} to be empty or an experiment's, got other files in it. "
                       "Choose another --out.")  # fmt: skip


def _plain(finished: Finished) -> dict[str, Any]:
    plain = asdict(finished)
    for name in ("start", "after"):
        part = getattr(finished, name)
        plain[name] = None if part is None else part._asdict()
    return plain


def _finished(plain: dict[str, Any]) -> Finished:
    """A value that was not finite came as null."""
    values = {field.name: plain[field.name] for field in fields(Finished)}
    for name in ("right", "error", "loss"):
        values[name] = math.nan if values[name] is None else values[name]
    values["curve_loss"] = _numbers(values["curve_loss"])
    for name in ("start", "after"):
        part = values[name]
        values[name] = part and Reach(part["lags"], _numbers(part["inputs"]), _numbers(part["state"]))
    return Finished(**values)


def _numbers(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
