"""Speech to text: strings of digits, prompts of a telephone system, yes and no."""

import csv
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from experiment import DATA, MADE, Experiment
from sounds import SPEAKERS, unpack, write_manifest

STRINGS = MADE / "digit_strings"
PROMPTS = MADE / "asterisk"
YESNO = MADE / "yesno"
RATE = 8000
HEADER = ("file_name", "text")


def prepare_strings() -> None:
    """Three to seven digits of one speaker in a row, with 0.05 to 0.25 s of silence around each, as WAV files.

    Numbers 0 to 4 of each digit and speaker (the official test part) make the 300 strings for test, 5 to 9 the 200
    for validation, the others the 2,400 to learn from. No clip is in two parts. The seed is fixed.
    """
    if (STRINGS / "train.csv").exists():
        return
    import soundfile

    folder = unpack(DATA / "speech_digits_fsdd" / "recordings.tar.xz", STRINGS / "recordings")
    rng = np.random.default_rng(0)
    parts = {"test": (range(5), 300), "valid": (range(5, 10), 200), "train": (range(10, 50), 2400)}
    for part, (numbers, count) in parts.items():
        rows = []
        for index in range(count):
            speaker = SPEAKERS[rng.integers(len(SPEAKERS))]
            digits = rng.integers(10, size=rng.integers(3, 8))
            pieces = [_silence(rng)]
            for digit in digits:
                samples, rate = soundfile.read(folder / f"{digit}_{speaker}_{rng.choice(numbers)}.wav", dtype="float32")
                assert rate == RATE
                pieces += [samples, _silence(rng)]
            name = f"{part}/{index:04d}_{speaker}.wav"
            (STRINGS / part).mkdir(exist_ok=True)
            soundfile.write(STRINGS / name, np.concatenate(pieces), RATE, subtype="PCM_16")
            rows.append((name, " ".join(map(str, digits))))
        write_manifest(STRINGS / f"{part}.csv", HEADER, rows)


def _silence(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(rng.integers(RATE // 20, RATE // 4)), dtype=np.float32)


def prepare_prompts() -> None:
    """Every tenth prompt for test (rows 0, 10, 20, ... of the manifest), every tenth from the fifth for validation.

    Transcripts are put in lower case; of what is no letter, digit, apostrophe or space, nothing is left.
    """
    unpack(DATA / "speech_asterisk_en" / "wav8k.tar.xz", PROMPTS / "wav")
    with (DATA / "speech_asterisk_en" / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [(f"wav/{name}", plain(text)) for name, _, text in lines if name.endswith(".wav")]
    held_out = {"test": range(0, len(rows), 10), "valid": range(5, len(rows), 10)}
    taken = {index for indices in held_out.values() for index in indices}
    write_manifest(PROMPTS / "train.csv", HEADER, [row for index, row in enumerate(rows) if index not in taken])
    for part, indices in held_out.items():
        write_manifest(PROMPTS / f"{part}.csv", HEADER, [rows[index] for index in indices])


def prepare_yesno() -> None:
    """Kaldi's split: of the 60 names in order the first 31 to learn from, the others for test.

    Every recording to learn from begins with "no", every one of the test with "yes". So that the beginning says
    nothing, the ends of the former are learnt from too: the silence before the first word, and then each from its
    second word on, from its third, and so on, cut in the pauses. A recording in which the pauses are not as many as its
    words want is only taken whole.
    """
    import soundfile

    folder = unpack(DATA / "speech_yesno" / "waves_yesno.tar.xz", YESNO / "wav")
    (YESNO / "cut").mkdir(exist_ok=True)
    files = sorted(folder.glob("*.wav"))
    assert len(files) == 60
    rows = []
    for file in files:
        words = ["yes" if word == "1" else "no" for word in file.stem.split("_")]
        rows.append((f"wav/{file.name}", " ".join(words)))
    cut = []
    for file, (_, text) in zip(files[:31], rows, strict=False):
        samples, rate = soundfile.read(file, dtype="float32")
        assert rate == RATE
        words = text.split()
        begin, *middles = pauses(samples, len(words)) or [0]
        for number, middle in enumerate(middles, start=1):
            name = f"cut/{file.stem}-{number}.wav"
            piece = np.concatenate([samples[:begin], samples[middle:]])
            soundfile.write(YESNO / name, piece, RATE, subtype="PCM_16")
            cut.append((name, " ".join(words[number:])))
    learnt = [(name, text, name[4:19]) for name, text in (*rows[:31], *cut)]
    write_manifest(YESNO / "train.csv", (*HEADER, "recording"), learnt)
    write_manifest(YESNO / "test.csv", HEADER, rows[31:])


def pauses(samples: np.ndarray, words: int) -> list[int]:
    """Where the first of so many words begins, and the middle of the pause after each but the last.

    None where no threshold gives that number of words, about equally long.
    """
    frame = RATE // 100
    power = np.square(samples[: len(samples) // frame * frame]).reshape(-1, frame).mean(1)
    level = np.log(np.convolve(power, np.ones(7) / 7, "same") + 1e-9)
    quiet, loud = np.percentile(level, [5, 95])
    for share in np.arange(0.25, 0.7, 0.05):
        heard = level > quiet + share * (loud - quiet)
        edges = np.flatnonzero(np.diff(heard.astype(int), prepend=0, append=0))
        begins, ends = edges[::2], edges[1::2]
        if len(begins) == words:
            middles = frame * (ends[:-1] + begins[1:]) // 2
            apart = np.diff(middles)
            return [int(begins[0]) * frame, *map(int, middles)] if apart.max() < 1.6 * apart.min() else []
    return []


def plain(text: str) -> str:
    """A transcript in lower case without punctuation.

    >>> plain("Press 1, please -- it's OK.")
    "press 1 please it's ok"
    """
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower()).split())


def transcripts(folder: str, prepare: Callable[[], None], **more: Any) -> Experiment:
    """Recordings with transcripts, in the manifests that ``prepare`` writes."""
    place = MADE / folder
    valid = str(place / "valid.csv") if more.pop("validation", True) else None
    return Experiment(
        str(place / "train.csv"), str(place / "test.csv"), task="speech-to-text", valid=valid, prepare=prepare, **more
    )


EXPERIMENTS = {
    "asterisk": transcripts(
        "asterisk",
        prepare_prompts,
        published="none",
        metric="cer",
        # The search was chosen on the validation part: order 6 or 10, weights 0.3 to 1.1, bonuses 0 to 1.5.
        settings={
            "data.media.ngram_order": 6,
            "model.beam_size": 16,
            "model.lm_weight": 0.5,
            "model.length_bonus": 1.5,
            "model.batch_norm": True,
            "train.batch_size": 12,
            "train.lr": 3e-3,
            "train.epochs": 90,
        },
    ),
    "digit-strings": transcripts(
        "digit_strings",
        prepare_strings,
        published="none",
        metric="wer",
        settings={
            "model.batch_norm": True,
            "model.hidden_sizes": [96, 96],
            "model.stem_channels": [96, 96],
            "model.stem_kernel_sizes": [5, 5],
            "model.stem_strides": [2, 2],
            "model.warp": 0.1,
            "train.batch_size": 32,
            "train.lr": 4e-3,
            "train.epochs": 14,
        },
    ),
    # Too few to set some aside: all are learnt from, nothing is chosen, the last weights are measured.
    "yesno": transcripts(
        "yesno",
        prepare_yesno,
        published="0 (Kaldi)",
        metric="wer",
        validation=False,
        settings={
            "data.valid_fraction": 0.0,
            "model.hidden_sizes": [64, 64],
            "model.stem_channels": [64, 64],
            "model.stem_kernel_sizes": [5, 5],
            "model.stem_strides": [2, 2],
            "train.batch_size": 8,
            "train.epochs": 24,
        },
    ),
}
