"""Accuracy on public data sets: one command each, mean over seeds, the published figure beside it.

    python benchmarks/accuracy/run.py forda-bilstm --seeds 0 1 2 --jobs 2

Each seed is a process of its own with one thread, so that its result does not depend on how many run at once. Results
are kept in runs/accuracy/NAME-SEED; a seed that is there is only measured again (and refused if its settings were
others), one that was interrupted goes on. Nothing is chosen by the test data. The data lie in ../shared/data, beside
the repository.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev

import forecasts
import pictures
import sequences
import sounds
import speech
from experiment import DATA, ROOT

EXPERIMENTS = {
    **sequences.EXPERIMENTS,
    **pictures.EXPERIMENTS,
    **sounds.EXPERIMENTS,
    **speech.EXPERIMENTS,
    **forecasts.EXPERIMENTS,
}


def train(name: str, seed: int, threads: int) -> None:
    """Trains one seed in this process."""
    import gatewise
    from gatewise.training.allocator import keep_freed_memory

    keep_freed_memory()
    experiment = EXPERIMENTS[name]
    experiment.prepare()
    gatewise.train(
        experiment.task,
        data=located(experiment.train),
        valid=None if experiment.valid is None else located(experiment.valid),
        test=located(experiment.test),
        out=directory(name, seed),
        settings={**experiment.settings, "train.seed": seed, "train.threads": threads, "train.device": "cpu"},
        resume=True,
    )


def located(names: str) -> str:
    """The paths of the files of an experiment."""
    return ",".join(str(DATA / name) for name in names.split(","))


def directory(name: str, seed: int) -> Path:
    return ROOT / "runs" / "accuracy" / f"{name}-{seed}"


def row(name: str, seeds: list[int]) -> str:
    """A line of the table of RESULTS.md."""
    import gatewise

    runs = [gatewise.load(directory(name, seed)) for seed in seeds]
    metric = EXPERIMENTS[name].metric
    scale = 100 if metric in ("accuracy", "f1", "wer", "cer") else 1  # the others are no fractions
    values = [scale * run.results["test"][metric] for run in runs]
    minutes = mean(sum(line["seconds"] for line in run.history) for run in runs) / 60
    digits = {"bits_per_character": 3, "scaled_mse": 4, "mase": 3, "rse": 5}.get(metric, 1)
    spread = f" ± {stdev(values):.{digits}f}" if len(seeds) > 1 else ""
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    recipe = runs[0].config.model.recipe
    measured = f"{metric} **{mean(values):.{digits}f}**{spread}"
    return (
        f"| {name} | {recipe} | {measured} | {each} | {EXPERIMENTS[name].published} "
        f"| {minutes:.1f} | `python benchmarks/accuracy/run.py {name} --seeds {' '.join(map(str, seeds))}` |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        train(arguments.name, arguments.seeds[0], arguments.threads)
        return
    waiting = list(arguments.seeds)
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < arguments.jobs:
            command = [sys.executable, __file__, arguments.name, "--one", "--threads", str(arguments.threads)]
            running.append(subprocess.Popen([*command, "--seeds", str(waiting.pop(0))]))
        for process in [process for process in running if process.poll() is not None]:
            running.remove(process)
            if process.returncode:
                for other in running:
                    other.terminate()
                sys.exit(process.returncode)
        time.sleep(0.2)
    print("| data, recipe | | test | each seed | published | minutes a seed | command |")
    print(row(arguments.name, arguments.seeds))


if __name__ == "__main__":
    main()
