"""Invented recordings, drawings and films, and answers to them like those of real models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatewise.data.media import MediaData
from gatewise.reports.report import Report
from gatewise.tasks import SIDES
from gatewise.training.config import Config, DataConfig
from gatewise.types import Prediction, Results
from reports.invented import report

RATE = 8000
EVIL = '<script>alert(1)</script><b>bold</b>"><img src=http://evil.example/x.png onerror=alert(1)> & so on'
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("ann", "ben", "cleo")


def sound(kinds: Sequence[int], rng: np.random.Generator, *, long: float = 0.3) -> np.ndarray:
    """A tone for each kind, one after the other, with pauses and a little noise."""
    parts = []
    for kind in kinds:
        time = np.arange(int(RATE * long * rng.uniform(0.7, 1.3))) / RATE
        tone = np.sin(2 * np.pi * (300 + 250 * kind) * time) * np.hanning(len(time))
        parts += [0.4 * tone, np.zeros(int(0.06 * RATE))]
    wave = np.concatenate(parts)
    return (wave + rng.normal(0, 0.005, len(wave))).astype(np.float32)


def drawing(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A round for each kind, beside one another; the pen is lifted after each, and some get a dot."""
    points = []
    for k, kind in enumerate(kinds):
        turns = np.linspace(0, 2 * np.pi * (0.6 + 0.1 * kind), 30)
        x, y = 60 * k + 20 * np.cos(turns), 20 * np.sin((1 + kind % 3) * turns)
        pen = np.zeros(30)
        pen[-1] = 1
        points.append(np.stack([x, y, pen], axis=1))
        if kind % 2:
            points.append(np.array([[60.0 * k, -35.0, 1.0]]))
    drawn = np.concatenate(points)
    drawn[:, :2] += rng.normal(0, 0.5, (len(drawn), 2))
    return drawn.astype(np.float32)


def line(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A column of ink for each kind, wider and lower the larger the kind."""
    columns = []
    for kind in kinds:
        letter = np.zeros((12 + kind, 28), dtype=np.float32)
        letter[3:-3, 4 + kind : 24] = rng.uniform(0.6, 1.0)
        columns.append(letter)
    return np.concatenate(columns) if columns else np.zeros((4, 28), dtype=np.float32)


def clip(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A square that moves, in colours."""
    frames = int(rng.integers(5, 24))
    film = np.full((frames, 40, 56, 3), 30, dtype=np.uint8)
    for t in range(frames):
        x = int(2 + t * 1.5 * (kinds[0] + 1)) % 44
        film[t, 12:24, x : x + 12] = (220, 90 + 40 * kinds[0], 40)
    return film


def poses(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A body of nine joints that lifts an arm the higher, the larger the kind."""
    frames = int(rng.integers(10, 40))
    body = np.array([[0, 0], [0, 0.5], [0, 0.7], [-0.2, 0.45], [-0.35, 0.2], [0.2, 0.45], [0.35, 0.2], [-0.1, -0.6]])
    body = np.concatenate([body, [[0.1, -0.6]]])
    moving = np.repeat(body[None], frames, axis=0)
    lift = np.sin(np.linspace(0, np.pi, frames)) * (0.3 + 0.3 * kinds[0])
    moving[:, 6, 1] += lift
    depth = np.full((frames, 9, 1), 2.5)
    noise = rng.normal(0, 0.01, (frames, 9, 3))
    return (np.concatenate([moving, depth], axis=2) + noise).astype(np.float32)


MAKE = {"audio": sound, "strokes": drawing, "lines": line, "frames": clip, "skeletons": poses}
RATES = {"audio": float(RATE), "frames": 12.0, "skeletons": 15.0}
TASK = {"audio": "audio-classification", "strokes": "handwriting", "lines": "handwriting"}


def data_of(kind: str, kinds: Sequence[Sequence[int]], targets: Sequence[str], seed: int, **more: Any) -> MediaData:
    """An item for each list of kinds."""
    rng = np.random.default_rng(seed)
    items = [MAKE[kind](one, rng) for one in kinds]
    steps = np.array([len(item) for item in items], dtype=np.int64)
    defaults = {
        "ids": [f"{k:03d}.dat" for k in range(len(items))],
        "groups": [SPEAKERS[k % 3] for k in range(len(items))],
        "rows": range(2, 2 + len(items)),
        "layout": "a manifest, labels from “label”",
        "rate": RATES.get(kind),
    }
    return MediaData(kind, items, steps, list(targets), **{**defaults, **more})  # type: ignore[arg-type]


def looked(steps: int, rng: np.random.Generator) -> list[float]:
    """Attention about the middle."""
    place = np.linspace(-1, 1, steps) if steps > 1 else np.zeros(1)
    raw = np.exp(-4 * (place - rng.uniform(-0.5, 0.5)) ** 2)
    return (raw / raw.sum()).tolist()


def classified(
    kind: str,
    classes: Sequence[str] = WORDS,
    *,
    counts: Sequence[int] = (40, 12, 30),
    skill: float = 3.0,
    attends: bool = True,
    extra: Sequence[tuple[np.ndarray, str]] = (),
    **more: Any,
) -> Report:
    """Items of these classes; ``extra`` ones come first in the test data."""
    rng = np.random.default_rng(5)
    parts = []
    for seed, count in enumerate(counts):
        kinds = [k % len(classes) for k in range(count)]
        parts.append(data_of(kind, [[k] for k in kinds], [classes[k] for k in kinds], seed, **more))
    parts[2] = _preceded(parts[2], extra)
    task = TASK.get(kind, "video")
    config = Config(task=task, data=DataConfig(train="data/train.csv"))
    adapter = SIDES[task].fit(parts[0], config.data)
    sets = {}
    for name, data in zip(("validation", "test"), parts[1:], strict=True):
        scores = rng.normal(0, 1, (len(data), len(adapter.labels.classes)))
        for i, target in enumerate(data.targets or ()):
            scores[i, adapter.labels.classes.index(target)] += skill
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        answers = [
            Prediction(
                adapter.labels.classes[adapter.labels.decide(row)],
                row.tolist(),
                looked(max(1, steps // 80) if kind == "audio" else steps, rng) if attends else None,  # of sound: frames
            )
            for row, steps in zip(chances, data.steps.tolist(), strict=True)
        ]
        sets[name] = (data, Results(float(-np.log(chances).mean()), answers, list(data.targets or ())))
    return report(task, parts[0], sets, config=config, adapter=adapter, title=kind)


def _preceded(data: MediaData, extra: Sequence[tuple[np.ndarray, str]]) -> MediaData:
    items = [*(item for item, _ in extra), *data.items]
    return replace(
        data,
        items=items,
        steps=np.array([len(item) for item in items], dtype=np.int64),
        targets=[*(target for _, target in extra), *(data.targets or ())],
        ids=None if data.ids is None else [*(f"extra {k}" for k in range(len(extra))), *data.ids],
        groups=None if data.groups is None else [*("ann" for _ in extra), *data.groups],
        rows=None if data.rows is None else range(2, 2 + len(items)),
    )


def heard(data: MediaData, rng: np.random.Generator, *, wrong: float, spans: bool) -> list[Prediction]:
    """Transcripts with characters left out, doubled or replaced; each was read from an even part of the input."""
    found = []
    for target, steps in zip(data.targets or (), data.steps.tolist(), strict=True):
        said: list[str] = []
        for character in target.strip():
            lot = rng.random()
            if lot >= wrong / 3:
                said.append("e" if wrong / 3 <= lot < wrong else character)
            if rng.random() < wrong / 6:
                said.append(character)
        text = "".join(said)
        edges = np.linspace(0, steps, len(text) + 1).astype(int)
        places = np.stack([edges[:-1], np.minimum(edges[:-1] + max(steps // 60, 1), edges[1:])], axis=1)
        found.append(Prediction(text, spans=places if spans else None))
    return found


def transcribed(
    kind: str = "audio",
    *,
    wrong: float = 0.15,
    spans: bool = True,
    counts: Sequence[int] = (40, 10, 30),
    extra: Sequence[tuple[np.ndarray, str]] = (),
    **more: Any,
) -> Report:
    """Strings of one to six words; ``extra`` ones come first in the test data."""
    rng = np.random.default_rng(9)
    parts = []
    for seed, count in enumerate(counts):
        kinds = [rng.integers(10, size=rng.integers(1, 7)).tolist() for _ in range(count)]
        parts.append(data_of(kind, kinds, [" ".join(WORDS[k] for k in one) for one in kinds], seed, texts=True, **more))
    parts[2] = _preceded(parts[2], extra)
    task = "speech-to-text" if kind == "audio" else "handwriting"
    config = Config(task=task, data=DataConfig(train="data/train.csv"))
    adapter = SIDES[task].fit(parts[0], config.data)
    sets = {
        name: (data, Results(0.4, heard(data, rng, wrong=wrong, spans=spans), list(data.targets or ())))
        for name, data in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report(task, parts[0], sets, config=config, adapter=adapter, title=f"{kind} to text")


def hostile() -> dict[str, Report]:
    """Labels, transcripts, names of files and of groups that would do harm as HTML."""
    evil = {"layout": EVIL, "skipped": (EVIL,)}
    names = [EVIL, f"{EVIL} again", "a & b"]
    runs = {}
    for kind in MAKE:
        run = classified(kind, names, skill=0.5, ids=None, **evil)
        named = [replace(m.data, groups=[f"{EVIL}{k % 3}" for k in range(len(m.data))]) for m in run.measured]
        measured = [replace(m, data=data) for m, data in zip(run.measured, named, strict=True)]
        runs[kind] = replace(run, measured=measured)
    for kind in ("audio", "strokes", "lines"):
        few = np.random.default_rng(0)
        runs[f"{kind} to text"] = transcribed(kind, extra=[(MAKE[kind]([1, 2], few), EVIL)] * 9, **evil)
    return runs


def every_report() -> dict[str, Report]:
    """Every kind with classes and with transcripts, with and without attention and spans, odd items among them."""
    silence, noise = np.zeros(1, np.float32), np.full(4000, np.nan, np.float32)
    odd_sounds = [(silence, "one"), (noise, "two"), (np.zeros(30 * RATE, np.float32), "three")]
    dot = np.array([[3.0, 3.0, 1.0]], np.float32)
    one_frame = np.zeros((1, 40, 56, 3), np.uint8)
    grey = [np.full((3, 128, 300, 1), 128, np.uint8)]
    texts = [(silence, ""), (silence, "a"), (np.zeros(9 * RATE, np.float32), "a long one " * 60)]
    fiftieth = [f"a rather long name of a class, number {k:02d} of them" for k in range(50)]
    few = classified("frames", ("left", "right"), extra=[(one_frame, "left")])
    return {
        "sounds": classified("audio", extra=odd_sounds),
        "sounds, many classes": classified("audio", fiftieth, counts=(100, 50, 80), groups=None),
        "sounds, all right": classified("audio", ("no", "yes"), skill=99.0, attends=False),
        "drawings": classified("strokes", extra=[(dot, "one")] * 3),
        "drawings without attention": classified("strokes", attends=False, ids=None, rows=None),
        "images": classified("lines"),
        "clips": few,
        "grey clips": classified("frames", ("left", "right"), extra=[(grey[0], "right")] * 2, rate=None),
        "skeletons": classified("skeletons", extra=[(poses([0], np.random.default_rng(0))[:1], "one")] * 2),
        "speech": transcribed(extra=texts),
        "speech without spans": transcribed(spans=False, groups=None),
        "speech, all right": transcribed(wrong=0.0),
        "lines to text": transcribed("lines", extra=[(line([], np.random.default_rng(0)), "")]),
        "strokes to text": transcribed("strokes", extra=[(dot, "i")]),
    }
