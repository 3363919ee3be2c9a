"""What a report says of a classification of texts."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gatewise.data.text import TextData
from gatewise.data.text_adapters import TextAdapter
from gatewise.reports import classification, page, shading, texts
from gatewise.reports.classification import Answers, Shown
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import about, metrics_table, row_name
from gatewise.reports.words import counted, percent, shorten
from gatewise.sequences import UNK

EXAMPLES = 12  # training texts
RIGHT = 12  # right answers
LIMIT = 700  # characters of a text
SHORT = 360
CLASSES = 30  # rows of the table of words
WORDS = 8

headline = classification.headline


def data(report: Report) -> list[Html]:
    """Texts by class, and the first of each."""
    adapter: TextAdapter = report.adapter
    side = texts.Side("text", adapter.vocabulary)
    return [*texts.overview(report, [side]), classification.class_counts(report, noun="text"), _examples(report)]


def results(report: Report, measured: Measured) -> list[Html]:
    """What a classification of numbers shows, with texts as examples, and where the model looks."""
    adapter: TextAdapter = report.adapter
    answers = classification.answers_of(measured.results, adapter.labels)

    def draw(items: Sequence[Shown]) -> Html:
        return page.join(_key(measured), _cards(adapter, measured, items, LIMIT))

    return [
        page.paragraph(about(measured, many=counted(len(answers.said), "text"))),
        metrics_table(report, classification.METRICS, noun="text"),
        *classification.scores(answers, adapter.labels, noun="text"),
        _looked_at(adapter, measured),
        classification.mistakes(measured, answers, adapter.labels, draw),
        _right(adapter, measured, answers),
    ]


def _examples(report: Report) -> Html:
    """The first training texts of each class."""
    classes, train = report.adapter.labels.classes, report.train_data
    items = [
        page.card(
            shading.plain(shading.as_text(train.texts[index]), limit=SHORT),
            title=shorten(name, 60),
            note=row_name(train, index),
        )
        for name, indices in classification.first_of_each(train, classes, most=EXAMPLES, each=2).items()
        for index in indices
    ]
    few = f" Of {len(classes)} classes the first {EXAMPLES} are shown." if len(classes) > EXAMPLES else ""
    words = f"The first training texts of each class, long ones without their end.{few}"
    return page.subsection("Examples", page.paragraph(words), page.cards(items))


def _attends(measured: Measured) -> bool:
    return any(prediction.attention is not None for prediction in measured.results.predictions)


def _key(measured: Measured) -> Html:
    """What the shades mean; nothing where there are none."""
    if not _attends(measured):
        return Html("")
    words = (
        "The stronger a token is shaded, the larger its share of the model's attention, compared with the largest in "
        "its text; where attention is spread evenly, all are pale. Of a long text, the stretch with most is shown."
    )
    return page.join(page.paragraph(words), page.scale([(0.25, "some"), (0.6, "more"), (1, "most")], kind="attention"))


def _cards(adapter: TextAdapter, measured: Measured, items: Sequence[Shown], limit: int) -> Html:
    predictions, data = measured.results.predictions, measured.data
    return page.cards(
        [
            page.card(
                shading.attended(adapter.vocabulary, data.texts[index], predictions[index].attention, limit=limit),
                title=title,
                note=note,
            )
            for index, title, note in items
        ]
    )


def _right(adapter: TextAdapter, measured: Measured, answers: Answers) -> Html:
    """The surest right answers of each class."""
    title, classes = "Right answers", adapter.labels.classes
    chosen: list[Shown] = []
    each = max(1, min(2, RIGHT // len(classes)))
    for k, name in enumerate(classes[:RIGHT]):
        hits = np.flatnonzero((answers.said == k) & (answers.right == k))
        sure = answers.probabilities[hits, k]
        for i in hits[np.argsort(-np.nan_to_num(sure), kind="stable")][:each].tolist():
            said = f"{shorten(name, 40)} ({percent(float(answers.probabilities[i, k]))})"
            chosen.append(Shown(i, said, row_name(measured.data, i)))
    if not chosen:
        return page.subsection(title, page.paragraph("There are none."))
    few = f" Of {len(classes)} classes the first {RIGHT} are shown." if len(classes) > RIGHT else ""
    words = page.paragraph(f"For each class, those in which the model was surest.{few}")
    return page.subsection(title, words, _cards(adapter, measured, chosen, SHORT))


def _looked_at(adapter: TextAdapter, measured: Measured) -> Html:
    """Words that most often got the largest share of a text's attention, by the class that was then said."""
    if not _attends(measured) or adapter.vocabulary.unit in ("characters", "bytes"):
        return Html("")
    found: dict[str, Counter[str]] = {name: Counter() for name in adapter.labels.classes}
    places = texts.drawn(len(measured.results.predictions), 5000)
    for place in places.tolist():
        prediction = measured.results.predictions[place]
        if (word := _strongest(adapter, measured.data, place, prediction.attention)) is not None:
            found[prediction.value][word] += 1
    rows = [
        [shorten(name, 40), ", ".join(f"{shorten(word, 30)} ({count:,})" for word, count in words.most_common(WORDS))]
        for name, words in list(found.items())[:CLASSES]
        if words
    ]
    if not rows:
        return Html("")
    which = f", in {len(places):,} texts drawn by lot" if len(places) < len(measured.results.predictions) else ""
    return page.subsection(
        "Where it looks",
        page.paragraph(
            f"In how many texts a word got the largest share of attention, by the class that was said{which}. Known "
            "words only. Attention says where the model looked, which is a hint of its reasons, not a proof."
        ),
        page.table(["Said", "Words (texts)"], rows, name="Words with most attention", texts=2),
    )


def _strongest(adapter: TextAdapter, data: TextData, place: int, attention: Sequence[float] | None) -> str | None:
    numbers = adapter.vocabulary.encode(data.texts[place])
    if attention is None or not len(attention) or not len(numbers):
        return None
    number = int(numbers[int(np.argmax(np.nan_to_num(attention)))])
    return None if number == UNK else shading.visible(adapter.vocabulary.shown[number])
