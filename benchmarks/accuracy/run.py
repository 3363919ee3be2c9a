"""Accuracy on public data sets: one command each, mean over seeds, the published figure beside it.

    python benchmarks/accuracy/run.py forda-bilstm --seeds 0 1 2 --jobs 2

Each seed is a process of its own with one thread, so that its result does not depend on how many run at once. Results
are kept in runs/accuracy/NAME-SEED; a seed that is there is only measured again (and refused if its settings were
others), one that was interrupted goes on. Nothing is chosen by the test data. The data lie in ../shared/data, beside
the repository.
"""

import argparse
import lzma
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Experiment:
    """A data set, the settings, and the figure to compare with; files below the data folder, or "SOURCE,TARGET"."""

    train: str
    test: str
    published: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    valid: str | None = None
    metric: str = "accuracy"
    prepare: Callable[[], None] = lambda: None


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


def files(folder: str, names: str, **blanks: str) -> str:
    """Paths below the data folder: ``names`` with its blanks filled in, two of them with a comma between."""
    return ",".join(f"{folder}/{name}" for name in names.format(**blanks).split(","))


def texts(task: str, folder: str, names: str, splits: tuple[str, str, str], **more: Any) -> Experiment:
    """Texts with validation files of their own; ``names`` has a blank ``{split}``."""
    train, valid, test = (files(folder, names, split=split) for split in splits)
    return Experiment(train, test, task=task, valid=valid, **more)


def cut_shakespeare() -> None:
    """The first 90 % of the characters to learn from, the last 10 % to measure, as is usual for this text."""
    with lzma.open(DATA / "tinyshakespeare" / "input.txt.xz", "rt", encoding="utf-8") as file:
        text = file.read()
    end = len(text) * 9 // 10
    for name, part in {"train": text[:end], "test": text[end:]}.items():
        path = ROOT / "runs" / "accuracy" / f"shakespeare_{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(part, encoding="utf-8")


EXPERIMENTS |= {
    "sst": texts(
        "text-classification",
        "sst",
        "stsa.binary.{split}.xz",
        ("train", "dev", "test"),
        published="84.9 LSTM, 87.5 BiLSTM, with phrases and GloVe (Tai et al. 2015)",
    ),
    "ewt": texts(
        "tagging",
        "ud_english_ewt",
        "en_ewt-ud-{split}.conllu.xz",
        ("train", "dev", "test"),
        published="95.4 Stanza, with outside vectors",
        settings={
            "model.embedding_dropout": 0.2,
            "model.dropout": 0.5,
            "model.character_hidden_size": 75,
            "train.epochs": 10,
        },
    ),
    "wnut17": Experiment(
        "wnut17/wnut17train.conll.xz",
        "wnut17/emerging.test.annotated.xz",
        "41.9 best at the shared task, 45.6 Aguilar et al. 2018, with outside vectors",
        {"train.lr": 5e-3},
        task="tagging",
        valid="wnut17/emerging.dev.conll.xz",
        metric="f1",
    ),
    "shakespeare": Experiment(
        str(ROOT / "runs" / "accuracy" / "shakespeare_train.txt"),
        str(ROOT / "runs" / "accuracy" / "shakespeare_test.txt"),
        "2.12 small transformers (nanoGPT, 1.47 nats)",
        {
            "data.valid_fraction": 0.05,
            "data.text.steps": 100,
            "model.embedding_size": 128,
            "model.tied": False,
            "model.hidden_sizes": [512, 512],
            "model.input_dropout": 0.1,
            "model.variational_dropout": 0.3,
            "model.dropout": 0.3,
            "model.weight_drop": 0.3,
            "train.batch_size": 64,
            "train.lr": 4e-3,
            "train.epochs": 45,
            "train.precision": "bf16",
        },
        task="language-model",
        metric="bits_per_character",
        prepare=cut_shakespeare,
    ),
    "wikitext2": texts(
        "language-model",
        "wikitext2",
        "wiki.{split}.tokens.xz",
        ("train", "valid", "test"),
        published="65.8 AWD-LSTM after 750 epochs (Merity et al. 2018)",
        metric="perplexity",
        settings={
            "data.text.tokens": "words",
            "data.text.steps": 64,
            "model.embedding_size": 256,
            "model.hidden_sizes": [512, 256],
            "model.embedding_dropout": 0.05,
            "model.input_dropout": 0.2,
            "model.variational_dropout": 0.2,
            "model.dropout": 0.2,
            "train.lr": 3e-3,
            "train.epochs": 5,
            "train.precision": "bf16",
        },
    ),
    "multi30k": texts(
        "translation",
        "multi30k",
        "{split}.lc.norm.tok.en.xz,{split}.lc.norm.tok.de.xz",
        ("train", "val", "test_2016_flickr"),
        published="33-38 best text-only (WMT16/17 task papers)",
        metric="bleu",
        settings={"model.input_feeding": False, "train.epochs": 14, "train.precision": "bf16"},
    ),
    "aeslc": texts(
        "summarisation",
        "aeslc",
        "{split}.jsonl.xz",
        ("train", "dev", "test"),
        published="23.7 Zhang & Tetreault 2019; 15.0 Transformer-base",
        metric="rouge1",
    ),
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
    scale = 100 if metric in ("accuracy", "f1") else 1  # the others are no fractions
    values = [scale * run.results["test"][metric] for run in runs]
    minutes = mean(sum(line["seconds"] for line in run.history) for run in runs) / 60
    digits = 3 if metric == "bits_per_character" else 1
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
