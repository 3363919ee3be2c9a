"""What a report says of a classification; much of it is said of texts and of words, too."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gatewise import metrics
from gatewise.data.targets import Labels
from gatewise.reports import class_plots, measures, page, sequences
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Drawing, Metric, about, drawings, metrics_table, row_name
from gatewise.reports.words import NOTHING, counted, number, percent, shorten
from gatewise.tasks import Data
from gatewise.types import Results

METRICS = {
    "accuracy": Metric("Accuracy", "share of right answers"),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "mean over the classes of the share found, so that rare ones count"
    ),
    "f1": Metric("F1", "precision and recall in one number, mean over the classes"),
    "auroc": Metric(
        "AUC", "chance that one of the second class gets a higher probability than one of the first", share=False
    ),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
EXAMPLES = 24  # drawings at most
MISTAKES = 8
PAIRS = 10


class Answers(NamedTuple):
    """Numbers of the classes said and right ``[N]``, probabilities ``[N, K]``, and how often what was said for what."""

    said: np.ndarray
    right: np.ndarray
    probabilities: np.ndarray
    counts: np.ndarray


class Shown(NamedTuple):
    """An example to show: where it stands in the data, and what is written above it."""

    place: int
    title: str
    note: str


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """Accuracy with its interval, and what it is to be compared with."""
    references = measured.results.references
    answers = zip(measured.results.predictions, references, strict=True)
    right, count = sum(prediction.value == reference for prediction, reference in answers), len(references)
    low, high = measures.wilson(right, count)
    commonest = Counter(references).most_common(1)[0][1] / count
    cards = [
        (f"Accuracy, {measured.name}", percent(right / count), f"95% sure: between {percent(low)} and {percent(high)}"),
        ("Baseline accuracy", percent(commonest), "always saying the commonest class"),
    ]
    if "balanced_accuracy" in measured.metrics:
        name, note = "balanced_accuracy", f"on {measured.name}"
        if "auroc" in measured.metrics:  # in the same card: six fit a line
            note += f"; AUC {METRICS['auroc'].show(measured.metrics['auroc'])}"
        cards.append((METRICS[name].name, METRICS[name].show(measured.metrics[name]), note))
    return cards


def data(report: Report) -> list[Html]:
    """Sequences by class, and what they look like."""
    return [*sequences.overview(report), class_counts(report), _examples(report)]


def results(report: Report, measured: Measured) -> list[Html]:
    """Confusion, scores by class, thresholds, calibration and the worst mistakes."""
    labels: Labels = report.adapter.labels
    answers = answers_of(measured.results, labels)

    def draw(items: Sequence[Shown]) -> Html:
        drawn = [Drawing(measured.data.sequences[place], title, note) for place, title, note in items]
        return drawings(drawn, report.adapter.inputs)

    return [
        page.paragraph(about(measured)),
        metrics_table(report, METRICS),
        *scores(answers, labels, noun="sequence"),
        mistakes(measured, answers, labels, draw),
    ]


def answers_of(results: Results, labels: Labels) -> Answers:
    """Answers and references as arrays."""
    place = {name: k for k, name in enumerate(labels.classes)}
    said = np.array([place[prediction.value] for prediction in results.predictions])
    right = np.array([place[reference] for reference in results.references])
    probabilities = np.array([prediction.probabilities for prediction in results.predictions])
    return Answers(said, right, probabilities, measures.confusion_counts(said, right, len(labels.classes)))


def scores(answers: Answers, labels: Labels, *, noun: str) -> list[Html]:
    """Confusion, scores by class, thresholds and calibration; ``noun`` is what has a class."""
    return [
        confusion(answers.counts, labels.classes, noun=noun),
        page.columns(by_class(answers.counts, labels.classes, noun=noun), pairs(answers.counts, labels.classes)),
        *_of_probabilities(answers, labels, noun),
    ]


def class_counts(report: Report, *, noun: str = "sequence") -> Html:
    """How many of each class each set holds."""
    classes = report.adapter.labels.classes
    counts = {name: _counts(split, classes) for name, split in report.splits.items() if split.targets is not None}
    absent = [name for k, name in enumerate(classes) if not all(part[k] for part in counts.values())]
    caption = f"How many {noun}s of each class each set holds."
    if absent:
        names = ", ".join(shorten(name, 24) for name in absent[:8]) + (" and others" if len(absent) > 8 else "")
        caption += f" Not every set holds each class: {names}."
    largest = ", ".join(f"{name} {max(part):,}" for name, part in counts.items())
    picture = page.picture(
        class_plots.class_counts(counts, classes=classes, noun=noun),
        caption=caption,
        alt=f"Bars: {noun}s of each of {len(classes)} classes. Largest class: {largest}.",
    )
    return page.subsection("Classes", picture)


def _counts(split: Data, classes: Sequence[str]) -> list[int]:
    counted_labels = Counter(split.targets)
    return [counted_labels[name] for name in classes]


def first_of_each(data: Data, classes: Sequence[str], *, most: int, each: int) -> dict[str, list[int]]:
    """Where the first few of each class stand, ``most`` in all and ``each`` of a class at most."""
    few = max(1, min(each, most // len(classes)))
    found: dict[str, list[int]] = {name: [] for name in classes[:most]}
    for index, target in enumerate(data.targets or ()):
        if target in found and len(found[target]) < few:
            found[target].append(index)
    return found


def _examples(report: Report) -> Html:
    """The first few training sequences of each class."""
    classes, train = report.adapter.labels.classes, report.train_data
    items = [
        Drawing(train.sequences[index], shorten(name, 60), row_name(train, index))
        for name, indices in first_of_each(train, classes, most=EXAMPLES, each=3).items()
        for index in indices
    ]
    few = f" Of {len(classes)} classes the first {EXAMPLES} are drawn." if len(classes) > EXAMPLES else ""
    return page.subsection(
        "Examples",
        page.paragraph(f"The first training sequences of each class, value over step.{few}"),
        drawings(items, report.adapter.inputs),
    )


def confusion(counts: np.ndarray, classes: Sequence[str], *, noun: str, kind: str = "class") -> Html:
    """The picture of ``[K, K]`` counts; ``kind`` is what a class is called."""
    least, most = _confusion_widths(len(classes))
    right, total = int(np.trace(counts)), int(counts.sum())
    kinds = "classes" if kind == "class" else f"{kind}s"
    picture = page.picture(
        class_plots.confusion(counts, classes=classes),
        caption=f"Each row holds the {noun}s of one {kind}, each column those that the model said to be of a {kind}. "
        "Right answers are on the diagonal; the stronger the colour of a cell, the larger its share of the row.",
        alt=f"Confusion matrix of {len(classes)} {kinds}: {right:,} of {total:,} on the diagonal.",
        min_width=least,
        max_width=most,
    )
    return page.subsection("Confusion: what was taken for what", picture)


def _confusion_widths(size: int) -> tuple[int, int]:
    """Least and most pixels: cells that text fits in, and no wider than the eye can follow."""
    narrow, wide = (0, 160) if size <= 3 else (52, 90) if size <= 12 else (26, 44) if size <= 25 else (15, 20)
    return (140 + narrow * size if narrow else 0), 160 + wide * size


def pairs(counts: np.ndarray, classes: Sequence[str], *, kind: str = "class") -> Html:
    """Which class was most often taken for which."""
    found = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    if len(classes) == 2 or not found:
        return Html("")
    found.sort(key=lambda pair: -pair[0])
    rows = [
        [shorten(classes[i], 80), shorten(classes[j], 80), f"{count:,}", percent(count / counts[i].sum())]
        for count, i, j in found[:PAIRS]
    ]
    return page.subsection(
        "The commonest mistakes",
        page.paragraph(f"How often a {kind} was said where another one was right, and of how much of that {kind}."),
        page.table(["Right", "Said", "Times", f"Of its {kind}"], rows, name="The commonest mistakes", texts=2),
    )


def by_class(counts: np.ndarray, classes: Sequence[str], *, noun: str, kind: str = "class") -> Html:
    """Precision, recall and F1 of each class."""
    found = measures.class_scores(counts)
    rows = [
        [
            shorten(name, 80),
            *(percent(float(part[k])) for part in (found.precision, found.recall, found.f1)),
            f"{found.support[k]:,}",
        ]
        for k, name in enumerate(classes)
    ]
    return page.subsection(
        f"Precision and recall by {kind}",
        page.paragraph(
            f"Precision: of those said to be of the {kind}, the share that is. Recall: of those of the {kind}, the "
            f"share that was found. F1: both in one number. Support: {noun}s of the {kind}. {NOTHING}: there are none."
        ),
        page.table([kind.capitalize(), "Precision", "Recall", "F1", "Support"], rows, name=f"Scores by {kind}"),
    )


def _of_probabilities(answers: Answers, labels: Labels, noun: str) -> list[Html]:
    """Thresholds (two classes) and calibration."""
    said, right, probabilities, _ = answers
    if not np.isfinite(probabilities).all():
        sentence = "Some probabilities are not numbers: the training went astray. A smaller learning rate may help."
        return [page.subsection("Probabilities", page.paragraph(sentence))]
    if len(labels.classes) > 2:
        sure = probabilities[np.arange(len(said)), said]
        return [calibration(sure, right == said, "probability of the said class", noun=noun)]
    chances, positive = probabilities[:, 1], right == 1
    name = shorten(labels.classes[1], 40)
    what = f"probability of “{name}”"
    return [_thresholds(chances, positive, labels), calibration(chances, positive, what, noun=noun)]


def _thresholds(probability: np.ndarray, positive: np.ndarray, labels: Labels) -> Html:
    """ROC and precision-recall of the second class."""
    name, title = shorten(labels.classes[1], 40), "Choosing the threshold"
    if positive.all() or not positive.any():
        return page.subsection(title, page.paragraph("Only one class occurs here, so there is nothing to choose."))
    said = probability > labels.threshold
    curve = measures.threshold_curve(probability, positive)
    recall, false_alarms = float(said[positive].mean()), float(said[~positive].mean())
    precision = float(positive[said].mean()) if said.any() else float("nan")
    area = number(metrics.auroc(probability.tolist(), positive.astype(int).tolist()))
    threshold, base = number(labels.threshold), float(positive.mean())
    intro = (
        f"The model says “{name}” where its probability is above {threshold}: it then finds {percent(recall)} of them, "
        f"at the price of {percent(false_alarms)} false alarms among the others. "
        "Another threshold trades one for the other."
    )
    roc = page.picture(
        class_plots.roc(curve, chosen=(false_alarms, recall), threshold=labels.threshold),
        caption=f"ROC: share of “{name}” found against share of false alarms, for every threshold. The area under it "
        f"(AUC) is {area}; 1 is perfect, 0.5 a coin.",
        alt=f"ROC curve, area {area}; "
        f"at threshold {threshold}: {percent(recall)} found, {percent(false_alarms)} false alarms.",
    )
    precision_recall = page.picture(
        class_plots.precision_recall(curve, chosen=(recall, precision), threshold=labels.threshold, base=base),
        caption=f"Precision and recall: how many of those said to be “{name}” are, against how many of them are found.",
        alt="Precision-recall curve; "
        f"at threshold {threshold}: precision {percent(precision)}, recall {percent(recall)}.",
    )
    return page.subsection(title, page.paragraph(intro), page.columns(roc, precision_recall))


def calibration(chances: np.ndarray, happened: np.ndarray, what: str, *, noun: str) -> Html:
    """Whether the probabilities ``[N]`` of ``what`` come true as often as they say."""
    bins = measures.calibration(chances, happened)
    picture = page.picture(
        class_plots.reliability(bins, title=what, noun=noun),
        caption="Of what is said with a probability of 80%, 80% should come true: points below the dashed line are "
        f"too sure, above it too careful. The mean gap (expected calibration error) is {percent(bins.error)}.",
        alt=f"Reliability diagram of the {what}; expected calibration error {percent(bins.error)}.",
        max_width=640,
    )
    return page.subsection("Calibration: can its probabilities be believed?", picture)


def mistakes(measured: Measured, answers: Answers, labels: Labels, draw: Callable[[Sequence[Shown]], Html]) -> Html:
    """The mistakes that were made with the highest probability, as ``draw`` shows examples."""
    said, right, probabilities, _ = answers
    classes, title = labels.classes, "The most confident mistakes"
    wrong = np.flatnonzero(said != right)
    if not len(wrong):
        return page.subsection(title, page.paragraph(f"There are none: every answer on {measured.name} is right."))
    sure = probabilities[wrong, said[wrong]]
    worst = wrong[np.argsort(-sure, kind="stable")][:MISTAKES]
    items = [
        Shown(
            int(i),
            f"said {shorten(classes[said[i]], 40)} ({percent(probabilities[i, said[i]])}), "
            f"right is {shorten(classes[right[i]], 40)} ({percent(probabilities[i, right[i]])})",
            row_name(measured.data, int(i)),
        )
        for i in worst
    ]
    which = "All mistakes, the surest first"
    if len(wrong) > len(items):
        which = f"Of {counted(len(wrong), 'mistake')} the {len(items)} in which the model was surest"
    words = f"{which}, with the probabilities it gave. Look for wrong labels, too."
    return page.subsection(title, page.paragraph(words), draw(items))
