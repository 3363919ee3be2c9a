"""Reports of invented runs: no model behind them, but data, answers and curves like those of real ones."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from gatewise.data.dataset import SequenceData, default_channels
from gatewise.reports.report import Report, render
from gatewise.tasks import SIDES
from gatewise.training.config import Config, DataConfig
from gatewise.types import Prediction, Results
from reports import invented_texts
from reports.invented import report


def waves(lengths: Sequence[int], kinds: Sequence[float], channels: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Noisy waves whose frequency tells the kind."""
    sequences = []
    for length, kind in zip(lengths, kinds, strict=True):
        t = np.arange(length)[:, None]
        phase = np.arange(channels)[None] * 0.7
        sequences.append(np.sin(t * (0.15 + 0.08 * kind) + phase) + rng.normal(0, 0.1, (length, channels)))
    return sequences


def labelled(
    classes: Sequence[str], labels: Sequence[str], lengths: Sequence[int], channels: int, seed: int, **more: Any
):
    """Sequences of these classes."""
    kinds = [list(classes).index(label) for label in labels]
    sequences = waves(lengths, kinds, channels, np.random.default_rng(seed))
    return SequenceData(
        sequences,
        list(labels),
        channels=default_channels(channels),
        target_names=("label",),
        classes=tuple(classes),
        **more,
    )


def guesses(data: SequenceData, adapter: Any, *, skill: float, seed: int) -> Results:
    """Softmax answers that are right the more often, the larger the skill."""
    rng, classes = np.random.default_rng(seed), adapter.targets.classes
    scores = rng.normal(0, 1, (len(data), len(classes)))
    for i, target in enumerate(data.targets):
        scores[i, classes.index(target)] += skill
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    predictions = [Prediction(classes[adapter.targets.decide(row)], row.tolist()) for row in chances]
    return Results(float(-np.log(chances).mean()), predictions, list(data.targets))


def classified(
    classes: Sequence[str],
    *,
    counts: Sequence[int] = (200, 60, 90),
    skill: float = 3.0,
    channels: int = 12,
    threshold: float = 0.5,
) -> Report:
    """Training, validation and test data of these classes, ragged."""
    rng = np.random.default_rng(len(classes))
    parts = []
    for seed, count in enumerate(counts):
        labels = (
            [*classes, *rng.choice(classes, max(count - len(classes), 0))] if not seed else rng.choice(classes, count)
        )
        ids = [f"s{seed}-{i}" for i in range(len(labels))]
        lengths = rng.integers(7, 30, len(labels))
        parts.append(
            labelled(
                classes,
                [str(name) for name in labels],
                lengths,
                channels,
                seed,
                ids=ids,
                rows=range(10, 10 + len(labels)),
            )
        )
    adapter = SIDES["classification"].fit(parts[0], DataConfig())
    adapter = replace(adapter, targets=replace(adapter.targets, threshold=threshold))
    names = ("validation", "test")
    sets = {
        name: (part, guesses(part, adapter, skill=skill, seed=seed))
        for seed, (name, part) in enumerate(zip(names, parts[1:], strict=False))
    }
    return report("classification", parts[0], sets, adapter=adapter)


def regressed(targets: int, *, per_step: bool = False, count: int = 150) -> Report:
    """Numbers for sequences or steps; one channel a thousand times wider than the other, some values missing."""
    rng = np.random.default_rng(targets)
    parts = []
    for _ in range(3):
        kinds, lengths = rng.uniform(0, 5, count), rng.integers(40, 90, count)
        sequences = waves(lengths, kinds, 2, rng)
        values = []
        for kind, sequence in zip(kinds, sequences, strict=True):
            steps = [np.cumsum(sequence[:, 0]) / 10 + k * kind for k in range(targets)]
            values.append(np.stack(steps, axis=1) if per_step else kind * 10 + np.arange(targets))
            sequence[:, 1] *= 1000
            sequence[rng.random(sequence.shape) < 0.02] = np.nan
        if targets == 1 and not per_step:
            values = [float(value[0]) for value in values]
        names = tuple(f"target {k}" for k in range(targets))
        parts.append(SequenceData(sequences, values, channels=("angle", "pressure"), target_names=names))
    train, *rest = parts
    sets = {}
    for name, data in zip(("validation", "test"), rest, strict=True):
        references = [
            target[:, 0].tolist() if per_step and targets == 1 else np.asarray(target).tolist()
            for target in data.targets
        ]
        noisy = [np.asarray(target) + rng.normal(0, 0.4, np.shape(target)) for target in references]
        sets[name] = (data, Results(0.02, [Prediction(value.tolist()) for value in noisy], references))
    return report("regression", train, sets, title="pressure")


@pytest.fixture(scope="session")
def vowels() -> Report:
    """Nine classes, ragged, twelve channels."""
    return classified([str(k) for k in range(1, 10)])


@pytest.fixture(scope="session")
def two_classes() -> Report:
    """Two classes, one channel, a threshold of 0.3."""
    return classified(["normal", "abnormal"], skill=1.2, channels=1, threshold=0.3)


@pytest.fixture(scope="session")
def many_classes() -> Report:
    """Fifty classes with long names, some without a sequence in the validation data."""
    return classified([f"a rather long name of a class, number {k:02d} of them" for k in range(50)], skill=4.0)


@pytest.fixture(scope="session")
def twenty_classes() -> Report:
    """Twenty classes."""
    return classified([f"gesture {k}" for k in range(20)], skill=4.0, counts=(400, 200, 300), channels=3)


@pytest.fixture(scope="session")
def perfect() -> Report:
    """No mistakes, no test set, one epoch, sequences of a single step, not a number for a loss."""
    run = classified(["no", "yes"], skill=50.0, counts=(20, 9), channels=1)
    single = [sequence[:1] for sequence in run.train_data.sequences]
    measured = [replace(m, data=replace(m.data, sequences=[s[:1] for s in m.data.sequences])) for m in run.measured]
    line = {**run.history[0], "valid_loss": float("nan"), "best": True}
    return replace(run, train_data=replace(run.train_data, sequences=single), measured=measured, history=[line])


@pytest.fixture(scope="session")
def hostile() -> Report:
    """Names of files, classes and channels that would do harm as HTML."""
    evil = "<script>alert(1)</script>"
    run = classified(
        [f"{evil}", '"><img src=http://evil.example/x.png onerror=alert(1)>', "a & b"], skill=1.0, channels=2
    )
    scaler = replace(run.adapter.inputs, channels=("<b>x</b>", f"</script>{evil}"))
    config = Config(task="classification", data=DataConfig(train=f"{evil}.ts"))
    adapter = replace(run.adapter, inputs=scaler)
    measured = [
        replace(m, name=f"{evil} {m.name}", data=replace(m.data, ids=[f"{evil}{i}" for i in m.data.ids]))
        for m in run.measured
    ]
    return replace(run, title=f"run {evil}", config=config, adapter=adapter, measured=measured)


@pytest.fixture(scope="session")
def one_value() -> Report:
    """One number a sequence."""
    return regressed(1)


@pytest.fixture(scope="session")
def several_values() -> Report:
    """Three numbers a sequence."""
    return regressed(3)


@pytest.fixture(scope="session")
def per_step() -> Report:
    """One number a step."""
    return regressed(1, per_step=True)


@pytest.fixture(scope="session")
def several_per_step() -> Report:
    """Two numbers a step."""
    return regressed(2, per_step=True)


@pytest.fixture
def every_report(
    vowels,
    two_classes,
    many_classes,
    twenty_classes,
    perfect,
    hostile,
    one_value,
    several_values,
    per_step,
    several_per_step,
    text_reports,
) -> dict[str, Report]:
    """All of them by name."""
    return {name: value for name, value in locals().items() if isinstance(value, Report)} | text_reports


@pytest.fixture(scope="session")
def text_reports() -> dict[str, Report]:
    """Reports of every task on text, by name."""
    return invented_texts.every_report()


@dataclass
class Read:
    """What a browser would find in a page."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""

    def table(self, *head: str) -> list[list[str]]:
        """The rows of the one table with these columns."""
        (found,) = [table[1:] for table in self.tables if table[0] == list(head)]
        return found

    def figure(self, words: str) -> dict[str, Any]:
        """The figure whose alternative text begins so."""
        labels = [attributes["aria-label"] for _, attributes in self.elements if attributes.get("class") == "chart"]
        (found,) = [figure for figure, label in zip(self.figures, labels, strict=True) if label.startswith(words)]
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.open = Read(), []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.elements.append((tag, dict(attrs)))
        if tag in ("meta", "link", "img", "input", "br"):
            return
        self.open.append((tag, dict(attrs)))
        if tag == "table":
            self.read.tables.append([])
        elif tag == "tr":
            self.read.tables[-1].append([])
        elif tag in ("th", "td"):
            self.read.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3", "h4"):
            self.read.headings.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag == "script":
            if attributes.get("type") == "application/json" and "id" not in attributes:
                self.read.figures.append(json.loads(data))
            return
        if tag in ("th", "td"):
            self.read.tables[-1][-1][-1] += data
        elif tag in ("h1", "h2", "h3", "h4"):
            self.read.headings[-1] = (tag, self.read.headings[-1][1] + data)
        if tag != "style":
            self.read.text += data + " "


@pytest.fixture(scope="session")
def read() -> Callable[[Report], Read]:
    """Renders a report and reads the page."""

    found: dict[int, tuple[Report, Read]] = {}

    def of(run: Report) -> Read:
        if id(run) in found:
            return found[id(run)][1]
        reader = _Reader()
        reader.feed(render(run))
        reader.close()
        assert not reader.open
        found[id(run)] = run, reader.read  # the report, too, so that no other one gets its id
        return reader.read

    return of
