"""What a report says of recordings, drawings and films: a class for each, or its transcript."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gatewise.data.media import MediaData
from gatewise.data.media_adapter import MediaAdapter
from gatewise.reports import classification, media_drawings, page, plots, transcripts
from gatewise.reports.classification import Answers, Shown
from gatewise.reports.content import Measured, Report
from gatewise.reports.media_drawings import Item, noun
from gatewise.reports.page import Html
from gatewise.reports.parts import about, metrics_table, row_name
from gatewise.reports.words import NOTHING, counted, duration, listed, number, percent, shorten

EXAMPLES = 12
TRANSCRIBED = 4
RIGHT = 8
GROUPS = 40  # rows of a table of groups
FEW = 8  # of a strip of frames, or of lines, which are wider


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """Accuracy, or error rates, with an interval, and what they are to be compared with."""
    if report.adapter.labels is not None:
        return classification.headline(report, measured)
    return transcripts.headline(report, measured)


def data(report: Report) -> list[Html]:
    """How many, how long, of whom; the classes or the characters; and what they look like."""
    if report.adapter.labels is None:
        of_targets = transcripts.of_data(report)
    else:
        of_targets = classification.class_counts(report, noun=noun(report.train_data))
    return [*_overview(report), of_targets, _examples(report)]


def results(report: Report, measured: Measured) -> list[Html]:
    """What a classification shows, with drawings and attention; of transcripts what was written for what."""
    adapter: MediaAdapter = report.adapter
    named = noun(measured.data)
    beginning = page.paragraph(about(measured, many=counted(len(measured.results.references), named)))
    if adapter.labels is None:
        return [beginning, *transcripts.results(report, measured)]
    answers = classification.answers_of(measured.results, adapter.labels)

    def draw(items: Sequence[Shown]) -> Html:
        predictions = measured.results.predictions
        drawn = [Item(place, title, note, predictions[place]) for place, title, note in items]
        return page.join(_key(measured), media_drawings.drawings(measured.data, drawn))

    return [
        beginning,
        metrics_table(report, classification.METRICS, noun=named),
        *classification.scores(answers, adapter.labels, noun=named),
        _by_group(measured, answers),
        classification.mistakes(measured, answers, adapter.labels, draw),
        _right(measured, adapter.labels.classes, answers),
    ]


def _key(measured: Measured) -> Html:
    return media_drawings.key(measured.data.kind, attends=media_drawings.attends(measured.results.predictions))


def _overview(report: Report) -> list[Html]:
    """Sizes and lengths of every set, what was left out, and groups."""
    train: MediaData = report.train_data
    of_seconds = train.rate is not None
    unit = "seconds" if of_seconds else media_drawings.UNITS[train.kind][1]
    rows = [[name, *_size(split)] for name, split in report.splits.items()]
    head = ["Set", train.noun.capitalize(), "In all", f"{unit.capitalize()}: fewest", "median", "most"]
    rate = f"{counted(int(train.rate), 'sample')} a second" if train.kind == "audio" and train.rate else ""
    if train.kind in ("frames", "skeletons") and train.rate:
        rate = f"{number(train.rate)} frames a second"
    shape = " x ".join(str(size) for size in report.adapter.shape)
    facts = [
        rate,
        f"frames of {shape} (height, width, colours)" if train.kind == "frames" else "",
        f"{percent(report.padding)} of the steps in training batches are padding",
    ]
    read = page.paragraph(f"Read as {train.layout.rstrip('.')}.") if train.layout else Html("")
    notes = [
        f"{name}: {note.rstrip('.')}." for name, split in report.splits.items() for note in report.adapter.notes(split)
    ]
    return [
        page.paragraph("; ".join(fact for fact in facts if fact).capitalize() + "."),
        read,
        page.table(head, rows, name="Sizes of the data sets"),
        page.bullets(notes),
        page.columns(_lengths(report, unit), _groups(report)),
    ]


def _in_units(split: MediaData) -> np.ndarray:
    """Lengths in seconds where there is a rate, else in steps."""
    return split.steps / split.rate if split.rate else split.steps


def _size(split: MediaData) -> list[str]:
    if not len(split):
        return ["0", *[NOTHING] * 4]
    lengths = _in_units(split)
    total = duration(float(lengths.sum())) if split.rate else f"{int(lengths.sum()):,}"
    found = (float(lengths.min()), float(np.median(lengths)), float(lengths.max()))
    return [f"{len(split):,}", total, *(number(value, 3 if split.rate else 4) for value in found)]


def _lengths(report: Report, unit: str) -> Html:
    lengths = {name: _in_units(split) for name, split in report.splits.items() if len(split)}
    everything = np.concatenate(list(lengths.values()))
    low, high = float(everything.min()), float(everything.max())
    if low == high:
        sentence = f"Every {noun(report.train_data)} has {number(low)} {unit}."
        return page.subsection("Lengths", page.paragraph(sentence))
    picture = page.picture(
        plots.histogram(lengths, title=unit),
        caption=f"How long the {report.train_data.noun} are, as shares of each set; the sets should look alike.",
        alt=f"Histogram of lengths, {number(low)} to {number(high)} {unit}.",
    )
    return page.subsection("Lengths", picture)


def _groups(report: Report) -> Html:
    """How many groups each set holds, and which of them were learnt from, too."""
    named = {name: split.groups for name, split in report.splits.items() if split.groups is not None and len(split)}
    if not named:
        return Html("")
    known = set(named.get("training", ()))
    rows = []
    for name, groups in named.items():
        found = Counter(groups)
        shared = NOTHING if name == "training" else f"{len(found.keys() & known):,}"
        names = listed([shorten(str(one), 24) for one in sorted(found)], 8)
        rows.append([name, names, f"{len(found):,}", shared])
    words = (
        "Who or what they come from. Where a group of a set was learnt from, too, the figures say how well the model "
        "does with those that it knows, not with new ones."
    )
    table = page.table(["Set", "Which", "Groups", "Of them in training"], rows, name="Groups", texts=2)
    return page.subsection("Groups", page.paragraph(words), table)


def _examples(report: Report) -> Html:
    """The first of each class, or the first of all with their transcripts."""
    train: MediaData = report.train_data
    if report.adapter.labels is not None:
        classes = report.adapter.labels.classes
        most = EXAMPLES if train.kind in media_drawings.SMALL else FEW
        found = classification.first_of_each(train, classes, most=most, each=3)
        items = [
            Item(place, shorten(name, 60), row_name(train, place)) for name, places in found.items() for place in places
        ]
        few = f" Of {len(classes)} classes the first {most} are drawn." if len(classes) > most else ""
        words = f"The first {train.noun} of each class in the training data.{few}"
    else:
        places = [i for i, target in enumerate(train.targets or ()) if target.strip()][:TRANSCRIBED]
        items = [Item(i, shorten((train.targets or ())[i], 200), row_name(train, i)) for i in places]
        words = f"The first {train.noun} of the training data, with their transcripts."
    return page.subsection(
        "Examples",
        page.paragraph(words),
        media_drawings.key(train.kind, attends=False),
        media_drawings.drawings(train, items),
    )


def _by_group(measured: Measured, answers: Answers) -> Html:
    """How often the answer is right for each speaker, writer or the like."""
    groups = measured.data.groups
    if groups is None or not 1 < len(set(groups)) <= GROUPS:
        return Html("")
    right, count = Counter[str](), Counter(groups)
    right.update(group for group, hit in zip(groups, answers.said == answers.right, strict=True) if hit)
    order = sorted(count, key=lambda group: (right[group] / count[group], group))
    rows = [
        [shorten(group, 40), f"{count[group]:,}", f"{right[group]:,}", percent(right[group] / count[group])]
        for group in order
    ]
    words = f"How many {measured.data.noun} of each group were told right, the worst first."
    head = ["Group", measured.data.noun.capitalize(), "Right", "Accuracy"]
    return page.subsection("Accuracy by group", page.paragraph(words), page.table(head, rows, name="By group"))


def _right(measured: Measured, classes: Sequence[str], answers: Answers) -> Html:
    """The surest right answers of each class."""
    right = np.flatnonzero(answers.said == answers.right)
    if not len(right):
        return Html("")
    sure = answers.probabilities[right, answers.said[right]]
    order = right[np.argsort(-sure, kind="stable")].tolist()
    each = max(1, RIGHT // len(classes))
    seen, chosen = Counter[int](), list[int]()
    for i in order:
        if seen[answers.said[i]] < each and len(chosen) < RIGHT:
            seen[answers.said[i]] += 1
            chosen.append(i)
    predictions = measured.results.predictions
    items = [
        Item(
            i,
            f"{shorten(classes[answers.said[i]], 40)} ({percent(answers.probabilities[i, answers.said[i]])})",
            row_name(measured.data, i),
            predictions[i],
        )
        for i in sorted(chosen, key=lambda i: int(answers.said[i]))
    ]
    words = "Of each class those right answers in which the model was surest, with their probability."
    key = Html("") if len(right) < len(answers.said) else _key(measured)  # it stands above the mistakes
    shown = media_drawings.drawings(measured.data, items)
    return page.subsection("Right answers", page.paragraph(words), key, shown)
