"""Series of numbers and texts."""

import lzma
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiment import DATA, MADE, ROOT, Experiment


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


def join_wnut17() -> None:
    """Training and validation sentences in one file."""
    parts = []
    for name in ("wnut17train.conll.xz", "emerging.dev.conll.xz"):
        with lzma.open(DATA / "wnut17" / name, "rt", encoding="utf-8") as file:
            parts.append(file.read().strip())
    MADE.mkdir(parents=True, exist_ok=True)
    (MADE / "wnut17.conll").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


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
        {"train.lr": 5e-3, "loss.missed_cost": 4.0},
        task="tagging",
        valid="wnut17/emerging.dev.conll.xz",
        metric="f1",
    ),
    # As wnut17, whose settings and epochs were chosen on the validation file, which is then learnt from too.
    "wnut17-all": Experiment(
        str(MADE / "wnut17.conll"),
        "wnut17/emerging.test.annotated.xz",
        "41.9 best at the shared task, 45.6 Aguilar et al. 2018, with outside vectors",
        {"train.lr": 5e-3, "loss.missed_cost": 4.0, "data.valid_fraction": 0.0},
        task="tagging",
        metric="f1",
        prepare=join_wnut17,
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
        settings={
            "data.text.max_length": 150,  # a subject is mostly told in the first lines
            "model.input_feeding": False,
            "train.epochs": 14,
            "train.precision": "bf16",
        },
    ),
}

# The same small sets with a fifth set aside to choose the best epoch on, as the defaults have it.
EXPERIMENTS |= {
    f"{name}-split": replace(EXPERIMENTS[name], settings={}) for name in ("ecg200", "gunpoint", "italypowerdemand")
}
