"""Recordings: spoken digits, by the official split and with one speaker left out."""

import csv
import os
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from experiment import DATA, MADE, Experiment

FSDD = MADE / "fsdd"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def unpack(archive: Path, folder: Path) -> Path:
    """The files of an archive, in a folder; once, whole or not at all, whoever else does the same.

    Args:
        archive: ``.tar``, compressed or not.
        folder: where they are to be.

    Returns:
        The folder.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            with tarfile.open(archive) as packed:
                packed.extractall(Path(beside) / "all", filter="data")
            try:
                (Path(beside) / "all").rename(folder)
            except OSError:
                if not folder.exists():  # else another process was faster
                    raise
    return folder


def write_manifest(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A CSV file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    beside.replace(path)


def prepare_fsdd() -> None:
    """Manifests of both kinds of split: recordings 0 to 4 of each digit and speaker for test; and speaker by speaker.

    A file is called DIGIT_SPEAKER_NUMBER.wav.
    """
    folder = unpack(DATA / "speech_digits_fsdd" / "recordings.tar.xz", FSDD / "recordings")
    rows = []
    for file in sorted(folder.glob("*.wav")):
        digit, speaker, number = file.stem.split("_")
        rows.append((f"recordings/{file.name}", digit, speaker, number))
    write = partial(write_manifest, header=("file_name", "label", "speaker", "number"))
    write(FSDD / "test.csv", rows=[row for row in rows if int(row[3]) < 5])
    write(FSDD / "train.csv", rows=[row for row in rows if int(row[3]) >= 5])
    for speaker in SPEAKERS:
        write(FSDD / f"only_{speaker}.csv", rows=[row for row in rows if row[2] == speaker])
        write(FSDD / f"without_{speaker}.csv", rows=[row for row in rows if row[2] != speaker])


# Chosen with a speaker held out, two ways of six (learning from four, choosing on the fifth): all else is the default.
SETTINGS = {"data.valid_fraction": 0.0, "train.epochs": 16}


def without(speaker: str) -> Experiment:
    """Five speakers to learn from, none of them set aside, and the sixth to measure on."""
    return Experiment(
        str(FSDD / f"without_{speaker}.csv"),
        str(FSDD / f"only_{speaker}.csv"),
        "none: 71 seen in one try",
        SETTINGS,
        task="audio-classification",
        prepare=prepare_fsdd,
    )


EXPERIMENTS = {
    "fsdd": Experiment(
        str(FSDD / "train.csv"),
        str(FSDD / "test.csv"),
        "97 to 99 of networks (recalled)",
        SETTINGS,
        task="audio-classification",
        prepare=prepare_fsdd,
    ),
    **{f"fsdd-without-{speaker}": without(speaker) for speaker in SPEAKERS},
}
