"""An experiment from its plan to its results, network by network; what is finished is never done again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from gatewise.errors import OptionError, RunError
from gatewise.experiments.learning import Finished, Settings, learn
from gatewise.experiments.models import check_model
from gatewise.experiments.problems import Problem, problem
from gatewise.experiments.results import FILE, Key, Results, check_ours, read_results

DEFAULT_MODELS = ("rnn", "gru", "lstm-1997", "lstm", "lstm-chrono")


@dataclass(frozen=True)
class Plan:
    """What an experiment compares.

    Args:
        name: adding, copy, noise or order.
        variant: the paper's number of the task: noise 2a, 2c or 3a; order 6a or 6b. Default: noise 2c, order 6a.
        models: names in :data:`gatewise.experiments.models.MODELS`.
        lengths: ``T``, each.
        seeds: so many, from 0.
        settings: how each network learns.

    Raises:
        OptionError: a value is not one of those offered or too short.
    """

    name: str
    variant: str | None = None
    models: tuple[str, ...] = DEFAULT_MODELS
    lengths: tuple[int, ...] = (100,)
    seeds: int = 1
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        asked = problem(self.name, self.variant)
        for model in self.models:
            check_model(model)
        if not self.models or not self.lengths:
            raise OptionError("experiment: expected a model and a length at least, got none. Leave the option out.")
        for length in self.lengths:
            if isinstance(length, bool) or not isinstance(length, int) or length < asked.shortest:
                raise OptionError(f"experiment {self.name}: expected lengths of at least {asked.shortest} steps, got "
                                  f"{length!r}. Choose longer ones, such as 100.")  # fmt: skip
        if isinstance(self.seeds, bool) or not isinstance(self.seeds, int) or self.seeds < 1:
            raise OptionError(f"experiment: expected seeds to be a whole number from 1, got {self.seeds!r}.")

    @property
    def problem(self) -> Problem:
        """What is to be learnt."""
        return problem(self.name, self.variant)

    def networks(self) -> list[Key]:
        """The networks in the order in which they learn: one of each before the second seed, shorter before longer."""
        return [
            Key(model, length, seed)
            for seed in range(self.seeds)
            for length in dict.fromkeys(self.lengths)
            for model in dict.fromkeys(self.models)
        ]

    def command(self) -> str:
        """What to type for the same; settings that are defaults are left out.

        >>> Plan("order", variant="6b", models=("lstm",), settings=Settings(steps=50)).command()
        'gatewise experiment order --variant 6b --models lstm --lengths 100 --seeds 1 --steps 50'
        """
        words = ["gatewise", "experiment", self.name, *(["--variant", self.variant] if self.variant else [])]
        words += ["--models", *self.models, "--lengths", *map(str, self.lengths), "--seeds", str(self.seeds)]
        for name, value in asdict(self.settings).items():
            if value != getattr(Settings, name):
                words += [f"--{name.replace('_', '-')}", f"{value:g}"]
        return " ".join(words)


Watch = Callable[[Key, int, float], None]
"""Is told which network learns, at which step, and the share of recent sequences that was right."""


def prepare(plan: Plan, folder: Path | None, *, overwrite: bool = False) -> Results:
    """The results to go on from: those in the folder, or none.

    Raises:
        RunError: the folder has other content, or results of another experiment or with other settings.
    """
    empty = Results(plan.problem, plan.settings)
    if folder is None:
        return empty
    if folder.exists() and not folder.is_dir():
        raise RunError(f"experiment: expected a folder for --out, got the file {folder}. Choose another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    check_ours(folder)
    if overwrite:
        empty.save(folder)
        return empty
    found = read_results(folder)
    if found is None:
        return empty
    if (found.problem.name, found.problem.variant) != (plan.problem.name, plan.problem.variant):
        theirs = " ".join(filter(None, (found.problem.name, found.problem.variant)))
        raise RunError(f"experiment {plan.name}: expected {folder / FILE} to be of this experiment, got {theirs}. "
                       "Choose another --out.")  # fmt: skip
    mine, theirs_too = asdict(plan.settings), asdict(found.settings)
    # Minutes decide which networks are finished, not what comes of them.
    if other := [name for name in mine if mine[name] != theirs_too[name] and name != "minutes"]:
        named = ", ".join(f"{name} {theirs_too[name]:g}" for name in other)
        raise RunError(f"experiment {plan.name}: expected the settings with which {folder} began, {named}, got others. "
                       "Give the same, or choose another --out.")  # fmt: skip
    return replace(found, settings=plan.settings)


def run(
    plan: Plan,
    results: Results,
    *,
    folder: Path | None = None,
    watch: Watch | None = None,
    on_finished: Callable[[Finished], None] | None = None,
) -> Results:
    """Every network of the plan that the results lack, or hold unfinished after less time than it may take now.

    Args:
        plan: which networks.
        results: what there is already, from :func:`prepare`.
        folder: each network is kept in its ``results.json`` as soon as it is finished, beside those that another
            process has finished there meanwhile. A lock keeps two from writing at once.
        watch: is told of progress.
        on_finished: is given each network that was learnt.

    Returns:
        All results, earlier ones included.
    """
    seconds = 60 * plan.settings.minutes
    there = {
        Key(each.model, each.length, each.seed)
        for each in results.finished
        if each.complete or each.cpu_seconds >= seconds
    }
    with _no_denormals():
        for key in plan.networks():
            if key in there:
                continue

            def tell(step: int, right: float, key: Key = key) -> None:
                if watch is not None:
                    watch(key, step, right)

            finished = learn(plan.problem, key.model, key.length, key.seed, plan.settings, watch=tell)
            results = results.add(finished)
            if folder is not None:
                results = results.merge(folder)
            if on_finished is not None:
                on_finished(finished)
    return results


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Gradients that vanish pass through numbers too small for float32, on which a processor takes its time."""
    supported = torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if supported:
            torch.set_flush_denormal(False)
