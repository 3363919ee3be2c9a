"""`experiment`: the founding problems of the LSTM, learnt by it and by what it is compared with."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gatewise.errors import OptionError, RunError
from gatewise.experiments.learning import Finished, Settings
from gatewise.experiments.page import experiment_page
from gatewise.experiments.results import Results, read_results
from gatewise.experiments.runner import DEFAULT_MODELS, Plan, Watch, prepare, run
from gatewise.training.files import write_atomic
from gatewise.training.threads import cpu_threads, suggested_threads


def experiment(
    name: str,
    *,
    variant: str | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    lengths: Sequence[int] = (100,),
    seeds: int = 1,
    settings: Settings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    as_is: bool = False,
    threads: int | None = None,
    watch: Watch | None = None,
    on_finished: Callable[[Finished], None] | None = None,
) -> Results:
    """Networks learn a founding problem of the LSTM; what ``gatewise experiment`` does.

    Args:
        name: "adding", "copy", "noise" or "order".
        variant: the paper's number of the task: noise "2c" (default), "2a" or "3a"; order "6a" (default) or "6b".
        models: of "rnn", "gru", "gru-chrono", "lstm-1997", "lstm-no-bias", "lstm" and "lstm-chrono".
        lengths: steps ``T`` of the sequences, each.
        seeds: so many networks of each, seeds from 0.
        settings: how they learn; default: ``gatewise.experiments.Settings()``.
        out: a directory for ``results.json`` and ``report.html``. Networks that are finished there are not learnt
            again, so that an interrupted experiment goes on. None: nothing is written.
        overwrite: begin anew in ``out``.
        as_is: learn nothing more: what ``out`` holds of the networks asked for.
        threads: of the CPU; default: what suits the size.
        watch: is told which network learns, its step, and the share of sequences that were right.
        on_finished: is given each network that was learnt.

    Returns:
        The networks asked for; ``.summaries()`` has a line for each model and length.

    Raises:
        OptionError: a name or number that does not exist.   RunError: ``out`` holds something else, or with
            ``as_is`` nothing.

    Example:
        >>> few = Settings(steps=3, hidden_size=4)
        >>> results = experiment("adding", models=["lstm-chrono"], lengths=[20], settings=few)
        >>> results.summaries()[0].seeds
        1
    """
    plan = Plan(name, variant, tuple(models), tuple(lengths), seeds, settings or Settings())
    folder = None if out is None else Path(out)
    if as_is:
        _check_there(name, folder, overwrite=overwrite)
    results = prepare(plan, folder, overwrite=overwrite)
    threads = threads or suggested_threads(plan.settings.batch_size, plan.settings.hidden_size)
    kept = [results]

    def keep(finished: Finished) -> None:
        kept[0] = kept[0].add(finished)
        if on_finished is not None:
            on_finished(finished)

    try:
        if not as_is:
            with cpu_threads(threads):
                run(plan, results, folder=folder, watch=watch, on_finished=keep)
    finally:  # Ctrl-C too leaves the page of what there is
        asked = kept[0].only(plan.networks())
        if folder is not None and asked.finished:
            write_atomic(folder / "report.html", experiment_page(asked, command=plan.command()))
    if as_is and not asked.finished:
        raise RunError(f"experiment {name}: expected finished networks of those asked for in {folder}, got none. "
                       "Leave out --as-is (as_is=True), and they learn.")  # fmt: skip
    return asked


def _check_there(name: str, folder: Path | None, *, overwrite: bool) -> None:
    """Whether there is something to show as it is."""
    if overwrite:
        raise OptionError(f"experiment {name}: expected as_is or overwrite, got both. Leave one out.")
    if folder is None or read_results(folder) is None:
        raise RunError(f"experiment {name}: expected results in {folder or 'out'}, got none. "
                       "Leave out --as-is (as_is=True), and they are made.")  # fmt: skip
