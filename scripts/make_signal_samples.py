"""Makes the samples `spoken-digits` and `omniglot` from the data sets that they are parts of.

python scripts/make_signal_samples.py recordings/ omniglot_strokes.npz src/gatewise/samples

`recordings/` is that of the Free Spoken Digit Dataset; the archive holds strokes of Omniglot with xy, pen_up, lengths,
label, drawer and classes.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = {"train": (5, 6, 7), "test": (0,)}  # takes 0 to 4 are the test part of the whole data set
ALPHABET = "Greek"
LETTERS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
)
DRAWERS = {"train": range(1, 16), "test": range(16, 21)}


def spoken_digits(recordings: Path, folder: Path) -> None:
    """Recordings as FLAC, and a manifest for each part."""
    for part, takes in TAKES.items():
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["file_name", "label", "text", "speaker"])
            for digit, word in enumerate(WORDS):
                for speaker in SPEAKERS:
                    for take in takes:
                        name = f"{digit}_{speaker}_{take}"
                        wave, rate = soundfile.read(recordings / f"{name}.wav", dtype="int16")
                        soundfile.write(folder / f"{name}.flac", wave, rate, subtype="PCM_16", compression_level=1.0)
                        table.writerow([f"{name}.flac", digit, word, speaker])


def omniglot(archive: Path, folder: Path) -> None:
    """Drawings of one alphabet: some drawers to learn from, others to test on."""
    arrays = np.load(archive)
    ends = np.cumsum(arrays["lengths"])
    names = [str(name) for name in arrays["classes"]]
    first = next(k for k, name in enumerate(names) if name.startswith(f"{ALPHABET}/"))
    for part, drawers in DRAWERS.items():
        label, drawer = arrays["label"], arrays["drawer"]
        chosen = np.isin(drawer, list(drawers)) & (label >= first) & (label < first + len(LETTERS))
        points = np.concatenate([np.arange(ends[i] - arrays["lengths"][i], ends[i]) for i in np.flatnonzero(chosen)])
        np.savez_compressed(
            folder / f"{part}.npz",
            xy=arrays["xy"][points],
            pen_up=arrays["pen_up"][points],
            lengths=arrays["lengths"][chosen],
            label=label[chosen] - first,
            classes=np.array(LETTERS),
            drawer=drawer[chosen],
            y_up=np.True_,
        )


if __name__ == "__main__":
    recordings, archive, samples = map(Path, sys.argv[1:])
    spoken_digits(recordings, samples / "spoken_digits")
    omniglot(archive, samples / "omniglot")
