"""What a report says of a classification."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gatewise import metrics
from gatewise.data.dataset import SequenceData
from gatewise.data.targets import Labels
from gatewise.reports import class_plots, measures, page
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Drawing, Metric, about, drawings, metrics_table, row_name
from gatewise.reports.words import NOTHING, counted, number, percent, shorten

METRICS = {
    "accuracy": Metric("Accuracy", "share of right answers"),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "mean over the classes of the share found, so that rare ones count"
    ),
    "f1": Metric("F1", "precision and recall in one number, mean over the classes"),
    "auroc": Metric(
        "AUC", "chance that a sequence of the second class gets a higher probability than one of the first", share=False
    ),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
EXAMPLES = 24  # drawings at most
MISTAKES = 8
PAIRS = 10


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
    classes = _labels(report).classes
    counts = {name: _counts(split, classes) for name, split in report.splits.items() if split.targets is not None}
    absent = [name for k, name in enumerate(classes) if not all(part[k] for part in counts.values())]
    caption = "How many sequences of each class each set holds."
    if absent:
        names = ", ".join(shorten(name, 24) for name in absent[:8]) + (" and others" if len(absent) > 8 else "")
        caption += f" Not every set holds each class: {names}."
    largest = ", ".join(f"{name} {max(part):,}" for name, part in counts.items())
    picture = page.picture(
        class_plots.class_counts(counts, classes=classes),
        caption=caption,
        alt=f"Bars: sequences of each of {len(classes)} classes. Largest class: {largest}.",
    )
    return [page.subsection("Classes", picture), _examples(report)]


def results(report: Report, measured: Measured) -> list[Html]:
    """Confusion, scores by class, thresholds, calibration and the worst mistakes."""
    labels = _labels(report)
    place = {name: k for k, name in enumerate(labels.classes)}
    said = np.array([place[prediction.value] for prediction in measured.results.predictions])
    right = np.array([place[reference] for reference in measured.results.references])
    probabilities = np.array([prediction.probabilities for prediction in measured.results.predictions])  # [N, K]
    counts = measures.confusion_counts(said, right, len(labels.classes))
    return [
        page.paragraph(about(measured)),
        metrics_table(report, METRICS),
        _confusion(counts, labels.classes),
        page.columns(_by_class(counts, labels.classes), _pairs(counts, labels.classes)),
        *_of_probabilities(probabilities, said, right, labels),
        _mistakes(report, measured, said, right, probabilities),
    ]


def _labels(report: Report) -> Labels:
    labels = report.adapter.targets
    assert isinstance(labels, Labels)
    return labels


def _counts(split: SequenceData, classes: Sequence[str]) -> list[int]:
    counted_labels = Counter(split.targets)
    return [counted_labels[name] for name in classes]


def _examples(report: Report) -> Html:
    """The first few training sequences of each class."""
    classes, train = _labels(report).classes, report.train_data
    each = max(1, min(3, EXAMPLES // len(classes)))
    of_class: dict[str, list[int]] = {name: [] for name in classes[:EXAMPLES]}
    for index, target in enumerate(train.targets or ()):
        if target in of_class and len(of_class[target]) < each:
            of_class[target].append(index)
    items = [
        Drawing(train.sequences[index], shorten(name, 60), row_name(train, index))
        for name, indices in of_class.items()
        for index in indices
    ]
    few = f" Of {len(classes)} classes the first {EXAMPLES} are drawn." if len(classes) > EXAMPLES else ""
    return page.subsection(
        "Examples",
        page.paragraph(f"The first training sequences of each class, value over step.{few}"),
        drawings(items, report.adapter.inputs),
    )


def _confusion(counts: np.ndarray, classes: Sequence[str]) -> Html:
    least, most = _confusion_widths(len(classes))
    right, total = int(np.trace(counts)), int(counts.sum())
    picture = page.picture(
        class_plots.confusion(counts, classes=classes),
        caption="Each row holds the sequences of one class, each column those that the model said to be of a class. "
        "Right answers are on the diagonal; the stronger the colour of a cell, the larger its share of the row.",
        alt=f"Confusion matrix of {len(classes)} classes: {right:,} of {total:,} on the diagonal.",
        min_width=least,
        max_width=most,
    )
    return page.subsection("Confusion: what was taken for what", picture)


def _confusion_widths(size: int) -> tuple[int, int]:
    """Least and most pixels: cells that text fits in, and no wider than the eye can follow."""
    narrow, wide = (0, 160) if size <= 3 else (52, 90) if size <= 12 else (26, 44) if size <= 25 else (15, 20)
    return (140 + narrow * size if narrow else 0), 160 + wide * size


def _pairs(counts: np.ndarray, classes: Sequence[str]) -> Html:
    """Which class was most often taken for which."""
    pairs = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    if len(classes) == 2 or not pairs:
        return Html("")
    pairs.sort(key=lambda pair: -pair[0])
    rows = [
        [shorten(classes[i], 80), shorten(classes[j], 80), f"{count:,}", percent(count / counts[i].sum())]
        for count, i, j in pairs[:PAIRS]
    ]
    return page.subsection(
        "The commonest mistakes",
        page.paragraph("How often a class was said where another one was right, and of how much of that class."),
        page.table(["Right", "Said", "Times", "Of its class"], rows, name="The commonest mistakes", texts=2),
    )


def _by_class(counts: np.ndarray, classes: Sequence[str]) -> Html:
    scores = measures.class_scores(counts)
    rows = [
        [
            shorten(name, 80),
            *(percent(float(part[k])) for part in (scores.precision, scores.recall, scores.f1)),
            f"{scores.support[k]:,}",
        ]
        for k, name in enumerate(classes)
    ]
    return page.subsection(
        "Precision and recall by class",
        page.paragraph(
            "Precision: of those said to be of the class, the share that is. Recall: of those of the class, the share "
            f"that was found. F1: both in one number. Support: sequences of the class. {NOTHING}: there are none."
        ),
        page.table(["Class", "Precision", "Recall", "F1", "Support"], rows, name="Scores by class"),
    )


def _of_probabilities(probabilities: np.ndarray, said: np.ndarray, right: np.ndarray, labels: Labels) -> list[Html]:
    """Thresholds (two classes) and calibration."""
    if not np.isfinite(probabilities).all():
        sentence = "Some probabilities are not numbers: the training went astray. A smaller learning rate may help."
        return [page.subsection("Probabilities", page.paragraph(sentence))]
    if len(labels.classes) > 2:
        return [_calibration(probabilities[np.arange(len(said)), said], right == said, "probability of the said class")]
    chances, positive = probabilities[:, 1], right == 1
    name = shorten(labels.classes[1], 40)
    return [_thresholds(chances, positive, labels), _calibration(chances, positive, f"probability of “{name}”")]


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


def _calibration(chances: np.ndarray, happened: np.ndarray, what: str) -> Html:
    bins = measures.calibration(chances, happened)
    picture = page.picture(
        class_plots.reliability(bins, title=what),
        caption="Of what is said with a probability of 80%, 80% should come true: points below the dashed line are "
        f"too sure, above it too careful. The mean gap (expected calibration error) is {percent(bins.error)}.",
        alt=f"Reliability diagram of the {what}; expected calibration error {percent(bins.error)}.",
        max_width=640,
    )
    return page.subsection("Calibration: can its probabilities be believed?", picture)


def _mistakes(
    report: Report, measured: Measured, said: np.ndarray, right: np.ndarray, probabilities: np.ndarray
) -> Html:
    """The mistakes that were made with the highest probability."""
    classes, title = _labels(report).classes, "The most confident mistakes"
    wrong = np.flatnonzero(said != right)
    if not len(wrong):
        return page.subsection(title, page.paragraph(f"There are none: every answer on {measured.name} is right."))
    sure = probabilities[wrong, said[wrong]]
    worst = wrong[np.argsort(-sure, kind="stable")][:MISTAKES]
    items = [
        Drawing(
            measured.data.sequences[i],
            f"said {shorten(classes[said[i]], 40)} ({percent(probabilities[i, said[i]])}), "
            f"right is {shorten(classes[right[i]], 40)} ({percent(probabilities[i, right[i]])})",
            row_name(measured.data, int(i)),
        )
        for i in worst
    ]
    which = "All mistakes, the surest first"
    if len(wrong) > len(items):
        which = f"Of {counted(len(wrong), 'mistake')} the {len(items)} in which the model was surest"
    return page.subsection(
        title,
        page.paragraph(f"{which}, with the probabilities it gave. Look for wrong labels, too."),
        drawings(items, report.adapter.inputs),
    )
