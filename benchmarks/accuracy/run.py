"""Accuracy on public data sets: one command each, mean over seeds, the published figure beside it.

    python benchmarks/accuracy/run.py forda-bilstm --seeds 0 1 2 --jobs 2

Each seed is a process of its own with one thread, so that its result does not depend on how many run at once. Results
are kept in runs/accuracy/NAME-SEED; a seed that is there is only measured again (and refused if its settings were
others), one that was interrupted goes on. Nothing is chosen by the test data. The data lie in ../shared/data, beside
the
repository.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Experiment:
    """A data set, the settings, and the figure to compare with."""

    train: str
    test: str
    published: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def ucr(name: str, suffix: str, published: str, settings: Mapping[str, Any] | None = None) -> Experiment:
    folder = name if name.startswith("uea_") else f"ucr_{name}"
    stem = name.removeprefix("uea_")
    return Experiment(f"{folder}/{stem}_TRAIN.{suffix}", f"{folder}/{stem}_TEST.{suffix}", published, settings or {})


FORDA = "93.7 ResNet, 91.4 FCN, 81.6 MLP (dl-4-tsc, mean of 5)"

# Too few recordings to set some aside: all are learnt from, nothing is chosen, the last weights are measured.
ALL = {"data.valid_fraction": 0.0}

EXPERIMENTS = {
    "japanese-vowels": ucr("uea_JapaneseVowels", "ts.xz", "97.6 MLSTM-FCN (as tabled in the TapNet paper)"),
    "ecg200": ucr("ECG200", "tsv.xz", "90.0 ALSTM-FCN, 87.0 LSTM-FCN (titu1994/LSTM-FCN)", ALL),
    "gunpoint": ucr("GunPoint", "ts.xz", "100.0 LSTM-FCN (titu1994/LSTM-FCN)", ALL),
    "italypowerdemand": ucr("ItalyPowerDemand", "ts.xz", "96.2 LSTM-FCN (titu1994/LSTM-FCN)", ALL),
    "basicmotions": ucr("uea_BasicMotions", "ts.xz", "95.0 MLSTM-FCN (as tabled in the TapNet paper)", ALL),
    # Chosen on the validation part: long kernels with strides before the LSTM, which then reads 125 steps.
    "forda-best": ucr(
        "FordA",
        "tsv.xz",
        FORDA,
        {
            "model.stem_channels": [64, 64],
            "model.stem_kernel_sizes": [31, 15],
            "model.stem_strides": [2, 2],
            "model.pool": "mean",
            "train.epochs": 25,
        },
    ),
    # The founding document: Adam at a constant 5e-4, 512 steps, dropout 0.5, the last state.
    "forda-bilstm": ucr("FordA", "tsv.xz", FORDA, {"model.recipe": "bilstm", "data.length": 512}),
}


# The same small sets with a fifth set aside to choose the best epoch on, as the defaults have it.
EXPERIMENTS |= {
    f"{name}-split": replace(EXPERIMENTS[name], settings={}) for name in ("ecg200", "gunpoint", "italypowerdemand")
}


def train(name: str, seed: int, threads: int) -> None:
    """Trains one seed in this process."""
    import gatewise
    from gatewise.training.allocator import keep_freed_memory

    keep_freed_memory()
    experiment = EXPERIMENTS[name]
    gatewise.train(
        "classification",
        data=DATA / experiment.train,
        test=DATA / experiment.test,
        out=directory(name, seed),
        settings={**experiment.settings, "train.seed": seed, "train.threads": threads, "train.device": "cpu"},
        resume=True,
    )


def directory(name: str, seed: int) -> Path:
    return ROOT / "runs" / "accuracy" / f"{name}-{seed}"


def row(name: str, seeds: list[int]) -> str:
    """A line of the table of RESULTS.md."""
    import gatewise

    runs = [gatewise.load(directory(name, seed)) for seed in seeds]
    accuracies = [100 * run.results["test"]["accuracy"] for run in runs]
    minutes = mean(sum(line["seconds"] for line in run.history) for run in runs) / 60
    spread = f" ± {stdev(accuracies):.1f}" if len(seeds) > 1 else ""
    each = ", ".join(f"{value:.1f}" for value in accuracies)
    recipe = runs[0].config.model.recipe
    return (
        f"| {name} | {recipe} | **{mean(accuracies):.1f}**{spread} | {each} | {EXPERIMENTS[name].published} "
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
    print("| data, recipe | | test accuracy, % | each seed | published | minutes a seed | command |")
    print(row(arguments.name, arguments.seeds))


if __name__ == "__main__":
    main()
