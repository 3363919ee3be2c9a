"""Handwriting and films: plain files made of the public data, and the settings chosen on validation data."""

import gzip
import lzma
import os
from typing import Any

import numpy as np
from experiment import DATA, MADE, Experiment

DRAWERS = 15  # of twenty: the first ones are learnt from, the others measured
LINES = {"train": 4000, "test": 1000}
CLIPS = {"train": 6000, "test": 1000}
FRAMES, FIELD = 12, 32  # of a moving digit: frames of a clip, pixels of a side
DIRECTIONS = 8
ROWS = np.arange(28 * 28)
SPEEDS = {"slow": 0.7, "fast": 1.4}  # pixels a frame


def save(name: str, **arrays: np.ndarray) -> None:
    """One file below the folder of made data, whole or not at all."""
    MADE.mkdir(parents=True, exist_ok=True)
    partial = MADE / f"{name}.{os.getpid()}.partial.npz"  # seeds may be prepared side by side
    np.savez_compressed(partial, **arrays)
    partial.replace(MADE / f"{name}.npz")


def omniglot() -> None:
    """Drawers 1-15 and 16-20; the arrays as they are, with y upwards."""
    with np.load(DATA / "omniglot_strokes" / "omniglot_strokes.npz") as file:
        arrays = {name: file[name] for name in file.files}
    for split, chosen in {"train": arrays["drawer"] <= DRAWERS, "test": arrays["drawer"] > DRAWERS}.items():
        points = np.repeat(chosen, arrays["lengths"])
        parts = {name: arrays[name][points] for name in ("xy", "pen_up")}
        parts |= {name: arrays[name][chosen] for name in ("lengths", "label", "drawer")}
        save(f"omniglot_{split}", classes=arrays["classes"], y_up=np.True_, **parts)


def pendigits() -> None:
    """Eight points a digit, y upwards in the source, one stroke."""
    for split, ending in {"train": "tra", "test": "tes"}.items():
        with lzma.open(DATA / "pendigits" / f"pendigits.{ending}.xz", "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)
        points = table[:, :-1].reshape(len(table), -1, 2).astype(np.float32)
        points[..., 1] = 100 - points[..., 1]
        save(f"pendigits_{split}", x=points, label=table[:, -1])


def skeletons() -> None:
    """Odd subjects to learn from, even ones to measure."""
    with np.load(DATA / "skeleton_msraction3d" / "msraction3d.npz") as file:
        x, lengths, names = file["x"], file["lengths"], file["names"]
    subjects = np.array([int(name[5:7]) for name in names])
    for split, chosen in {"train": subjects % 2 == 1, "test": subjects % 2 == 0}.items():
        save(
            f"msraction3d_{split}",
            x=x[np.repeat(chosen, lengths)],
            lengths=lengths[chosen],
            label=np.array([name[:3] for name in names])[chosen],
            subject=subjects[chosen],
            names=names[chosen],
        )


def digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """MNIST: images ``[N, 28, 28]`` uint8 and labels ``[N]``."""
    stem = {"train": "train", "test": "t10k"}[split]
    with gzip.open(DATA / "mnist" / f"{stem}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DATA / "mnist" / f"{stem}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
    return images, labels


def lines() -> None:
    """Five to ten digits beside each other, with gaps of 0 to 5 columns; columns end to end."""
    for seed, split in enumerate(LINES):
        rng = np.random.default_rng(seed)
        images, labels = digits(split)
        columns, lengths, texts = [], [], []
        for _ in range(LINES[split]):
            chosen = rng.integers(len(images), size=rng.integers(5, 11))
            parts = []
            for place in chosen:
                parts += [np.zeros((rng.integers(0, 6), 28), np.uint8), images[place].T]
            columns.append(np.concatenate(parts))
            lengths.append(len(columns[-1]))
            texts.append("".join(str(labels[place]) for place in chosen))
        save(f"digit_lines_{split}", x=np.concatenate(columns), lengths=np.array(lengths), text=np.array(texts))


def pixels(order: np.ndarray = ROWS, name: str = "mnist_pixels") -> None:
    """One grey value a step, 784 of them, row by row or in another order."""
    for split in ("train", "test"):
        images, labels = digits(split)
        save(f"{name}_{split}", x=images.reshape(len(images), -1, 1)[:, order].astype(np.float32) / 255, y=labels)


def permuted() -> None:
    """The same in one random order for all images."""
    pixels(np.random.default_rng(0).permutation(ROWS), "mnist_permuted")


def moving() -> None:
    """A digit, half as large, that moves in one of eight directions, slowly or fast, and comes in again opposite.

    It begins anywhere, so that no single frame tells the class.
    """
    for seed, split in enumerate(CLIPS):
        rng = np.random.default_rng(10 + seed)
        images, _ = digits(split)
        small = images.reshape(-1, 14, 2, 14, 2).mean((2, 4))
        clips = np.zeros((CLIPS[split], FRAMES, FIELD, FIELD), dtype=np.uint8)
        names = []
        for clip in clips:
            direction, speed = rng.integers(DIRECTIONS), rng.choice(list(SPEEDS))
            angle = 2 * np.pi * direction / DIRECTIONS
            page = np.zeros((FIELD, FIELD))
            page[:14, :14] = small[rng.integers(len(small))]
            start = rng.integers(FIELD, size=2)
            for t, frame in enumerate(clip):
                way = SPEEDS[speed] * t * np.array([np.sin(angle), np.cos(angle)])
                frame[:] = np.roll(page, np.round(start + way).astype(int), axis=(0, 1))
            names.append(f"{direction * 360 // DIRECTIONS} degrees, {speed}")
        save(f"moving_digits_{split}", x=clips, label=np.array(names))


def made(name: str, task: str, prepare: Any, published: str, **more: Any) -> Experiment:
    """An experiment with the two files that ``prepare`` makes."""
    return Experiment(
        str(MADE / f"{name}_train.npz"),
        str(MADE / f"{name}_test.npz"),
        published,
        task=task,
        prepare=prepare,
        **more,
    )


# One layer, one direction, nothing but the LSTM between a pixel and the scores; memories of up to the whole image.
PLAIN = {
    "model.hidden_sizes": [128],
    "model.bidirectional": False,
    "model.stem_channels": [],
    "model.batch_norm": False,
    "model.dropout": 0.1,
    "model.pool": "last",
    "model.chrono": 784,
    "data.valid_fraction": 0.1,
    "train.epochs": 40,
    "train.batch_size": 128,
    "train.precision": "bf16",
}

# Chosen on drawers, and on subjects, that were held out of the training part; then all of it is learnt from, and the
# last weights are measured.
EXPERIMENTS = {
    "omniglot": made(
        "omniglot",
        "handwriting",
        omniglot,
        "none: 242 classes, drawers 16-20",
        settings={
            "data.valid_fraction": 0.0,
            "loss.label_smoothing": 0.1,
            "train.epochs": 36,
            "train.lr": 3e-3,
        },
    ),
    "pendigits": made(
        "pendigits",
        "handwriting",
        pendigits,
        "97.8 MLSTM-FCN, 97.7 1-NN",
        settings={
            "data.split": "random",  # as it was measured
            "data.valid_fraction": 0.1,
            "model.path_steps": 32,
            "train.epochs": 10,
        },
    ),
    "digit-lines": made(
        "digit_lines",
        "handwriting",
        lines,
        "none: made of MNIST here",
        settings={"data.valid_fraction": 0.1, "train.epochs": 5, "train.batch_size": 16, "train.lr": 3e-3},
        metric="cer",
    ),
    "msraction3d": made(
        "msraction3d",
        "video",
        skeletons,
        "94.5 HBRNN-L (Du 2015), mean of three easier subsets",
        settings={"data.valid_fraction": 0.0, "train.epochs": 100, "train.batch_size": 16},
    ),
    "mnist-pixels": made("mnist_pixels", "classification", pixels, "98.9 LSTM (Cooijmans 2017)", settings=PLAIN),
    "mnist-permuted": made("mnist_permuted", "classification", permuted, "90.2 LSTM (Cooijmans 2017)", settings=PLAIN),
    "moving-digits": made(
        "moving_digits",
        "video",
        moving,
        "none: made of MNIST here",
        settings={"train.epochs": 12, "train.batch_size": 16},
    ),
}
