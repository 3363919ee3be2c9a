"""What a report says of a tagging of words."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatewise import metrics
from gatewise.data.tagging_adapter import TaggingAdapter
from gatewise.data.text import TextData
from gatewise.reports import classification, measures, page, shading, texts
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Metric, about, metrics_table, row_name
from gatewise.reports.words import counted, percent, shorten
from gatewise.sequences import UNK

METRICS = {
    "f1": Metric("F1", "precision and recall of spans in one number; a span is right if all of it and its type are"),
    "accuracy": Metric("Accuracy", "share of words with the right tag"),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
SENTENCES = 8  # with mistakes
EXAMPLES = 6
WORDS = 40  # of a sentence that are shown
LARGEST = 40  # tags in a picture of their confusion


class Answers(NamedTuple):
    """Numbers of the tags said and right, and the probability of the one said, ``[N]`` of all words; counts ``[K, K]``.

    ``sentence`` is where each word's sentence stands in the data, ``known`` whether the word is in the vocabulary.
    """

    said: np.ndarray
    right: np.ndarray
    sure: np.ndarray
    sentence: np.ndarray
    known: np.ndarray
    counts: np.ndarray


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """F1 of spans where there are any, accuracy with its interval, and what it is to be compared with."""
    predictions, references = measured.results.predictions, measured.results.references
    pairs = zip(predictions, references, strict=True)
    hits = np.array([sum(a == b for a, b in zip(p.value, tags, strict=True)) for p, tags in pairs], dtype=np.float64)
    counts = np.array([len(tags) for tags in references])
    interval = measures.mean_interval(hits, counts)
    note = "share of words with the right tag"
    if interval:
        note = f"95% sure: between {percent(interval.low)} and {percent(min(interval.high, 1.0))}"
    accuracy = (f"Accuracy, {measured.name}", percent(float(hits.sum() / max(counts.sum(), 1))), note)
    baseline = ("Baseline accuracy", percent(_baseline(report, measured)), "each word's commonest tag in training")
    if "f1" not in measured.metrics:
        return [accuracy, baseline]
    spans = (f"F1, {measured.name}", METRICS["f1"].show(measured.metrics["f1"]), "all of a span and its type right")
    return [spans, accuracy, baseline]


def data(report: Report) -> list[Html]:
    """Sentences, words, tags, and the first sentences."""
    adapter: TaggingAdapter = report.adapter
    train: TextData = report.train_data
    sentences = [
        page.card(
            _tagged(adapter.words.pieces(train.texts[i])[:WORDS], list(targets[:WORDS]), targets[:WORDS]),
            title="",
            note=row_name(train, i),
        )
        for i, targets in enumerate((train.targets or [])[:EXAMPLES])
    ]
    words = "The first training sentences, each word with its tag" + (
        ", if it is part of anything." if _outside(adapter) else "."
    )
    return [
        *texts.overview(report, [texts.Side("sentence", adapter.words)]),
        _tags(report),
        page.subsection("Examples", page.paragraph(words), page.cards(sentences, wide=True)),
    ]


def results(report: Report, measured: Measured) -> list[Html]:
    """Scores by type or tag, confusion, known and unknown words, calibration, and sentences with mistakes."""
    adapter: TaggingAdapter = report.adapter
    answers = _answers(adapter, measured)
    sentences, words = len(measured.results.references), len(answers.said)
    many = f"{counted(sentences, 'sentence')}, {counted(words, 'word')}"
    parts = [page.paragraph(about(measured, many=many)), metrics_table(report, METRICS, noun="sentence")]
    if "f1" in measured.metrics:
        parts.append(_by_type(measured))
    if len(adapter.tags) <= LARGEST:
        parts.append(classification.confusion(answers.counts, adapter.tags, noun="word", kind="tag"))
    by_tag = classification.by_class(answers.counts, adapter.tags, noun="word", kind="tag")
    parts.append(page.columns(by_tag, classification.pairs(answers.counts, adapter.tags, kind="tag")))
    parts.append(_known(answers))
    if words and np.isfinite(answers.sure).all():
        happened = answers.said == answers.right
        parts.append(classification.calibration(answers.sure, happened, "probability of the said tag", noun="word"))
    return [*parts, _mistakes(adapter, measured, answers)]


def _outside(adapter: TaggingAdapter) -> bool:
    return "O" in adapter.tags


def _answers(adapter: TaggingAdapter, measured: Measured) -> Answers:
    place = {name: k for k, name in enumerate(adapter.tags)}
    said: list[int] = []
    right: list[int] = []
    sure: list[float] = []
    sentence: list[int] = []
    known: list[bool] = []
    for i, (prediction, tags) in enumerate(zip(measured.results.predictions, measured.results.references, strict=True)):
        said += [place[tag] for tag in prediction.value]
        right += [place[tag] for tag in tags]
        sure += prediction.probabilities or [np.nan] * len(tags)
        sentence += [i] * len(tags)
        numbers = adapter.words.encode(measured.data.texts[i])[: len(tags)]
        known += [*(numbers != UNK).tolist(), *[False] * (len(tags) - len(numbers))]
    numbers_said, numbers_right = np.array(said, dtype=np.int64), np.array(right, dtype=np.int64)
    counts = measures.confusion_counts(numbers_said, numbers_right, len(adapter.tags))
    return Answers(numbers_said, numbers_right, np.array(sure), np.array(sentence), np.array(known, dtype=bool), counts)


def _baseline(report: Report, measured: Measured) -> float:
    """Share of words that are right if each gets the tag that it most often has in training, new ones the commonest."""
    words, train = report.adapter.words, report.train_data
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    everything: Counter[str] = Counter()
    for i in texts.drawn(len(train), 50_000).tolist():
        tags = train.targets[i]
        everything.update(tags)
        for word, tag in zip(words.pieces(train.texts[i]), tags, strict=True):
            seen[word][tag] += 1
    if not everything:
        return float("nan")
    best = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    commonest = everything.most_common(1)[0][0]
    hits = count = 0
    for i, tags in enumerate(measured.results.references):
        pieces = words.pieces(measured.data.texts[i]) or [""]  # no words at all were read as an unknown one
        hits += sum(best.get(word, commonest) == tag for word, tag in zip(pieces, tags, strict=False))
        count += len(tags)
    return hits / max(count, 1)


def _tags(report: Report) -> Html:
    """How often each tag occurs in each set."""
    tags = report.adapter.tags
    counts = {
        name: Counter(tag for sentence in split.targets for tag in sentence)
        for name, split in report.splits.items()
        if split.targets is not None
    }
    rows = [
        [
            shorten(tag, 40),
            *(f"{part[tag]:,} ({percent(part[tag] / max(part.total(), 1))})" for part in counts.values()),
        ]
        for tag in sorted(tags, key=lambda tag: -sum(part[tag] for part in counts.values()))
    ]
    words = "How many words of each set have each tag, and their share."
    return page.subsection("Tags", page.paragraph(words), page.table(["Tag", *counts], rows, name="Tags"))


def _by_type(measured: Measured) -> Html:
    """Precision, recall and F1 of spans."""
    right, said, actual = Counter[str](), Counter[str](), Counter[str]()
    for prediction, tags in zip(measured.results.predictions, measured.results.references, strict=True):
        found, true = set(metrics.bio_spans(prediction.value)), set(metrics.bio_spans(tags))
        said.update(kind for _, _, kind in found)
        actual.update(kind for _, _, kind in true)
        right.update(kind for _, _, kind in found & true)

    def row(name: str, hits: int, found: int, true: int) -> list[str]:
        shares = (hits / found if found else np.nan, hits / true if true else np.nan)
        both = 2 * hits / (found + true) if found + true else np.nan
        return [name, *(percent(float(share)) for share in (*shares, both)), f"{true:,}"]

    kinds = sorted(said | actual, key=lambda kind: (-actual[kind], kind))
    rows = [row(shorten(kind, 80) or "(none)", right[kind], said[kind], actual[kind]) for kind in kinds]
    rows.append(row("all", right.total(), said.total(), actual.total()))
    return page.subsection(
        "Precision and recall by type",
        page.paragraph(
            "Of spans: a span is right if it begins and ends where it should, and its type is right. Precision: of the "
            "spans said, the share that is right. Recall: of those that there are, the share that was found."
        ),
        page.table(["Type", "Precision", "Recall", "F1", "Spans"], rows, name="Scores by type"),
    )


def _known(answers: Answers) -> Html:
    """Accuracy on words that the vocabulary has and on those that it has not."""
    rows = []
    for name, chosen in (("in the vocabulary", answers.known), ("unknown", ~answers.known)):
        hits = answers.said[chosen] == answers.right[chosen]
        rows.append([name, f"{len(hits):,}", percent(float(hits.mean()) if len(hits) else float("nan"))])
    words = "Of unknown words the model has only their spelling and their neighbours."
    table = page.table(["Words", "How many", "Accuracy"], rows, name="Known and unknown words")
    return page.subsection("Known and unknown words", page.paragraph(words), table)


def _mistakes(adapter: TaggingAdapter, measured: Measured, answers: Answers) -> Html:
    """The sentences whose mistakes were made with the highest probability."""
    title = "Sentences with mistakes"
    wrong = np.flatnonzero(answers.said != answers.right)
    if not len(wrong):
        return page.subsection(title, page.paragraph(f"There are none: every answer on {measured.name} is right."))
    order = wrong[np.argsort(-np.nan_to_num(answers.sure[wrong]), kind="stable")]
    all_sentences = list(dict.fromkeys(answers.sentence[order].tolist()))
    chosen = all_sentences[:SENTENCES]
    which = f"All {counted(len(chosen), 'sentence')} with mistakes, the surest mistake first"
    if len(all_sentences) > len(chosen):
        which = f"Of {counted(len(all_sentences), 'sentence')} with mistakes the {len(chosen)} with the surest one"
    words = f"{which}. Under a word stands what the model said"
    words += ", if anything; where it is wrong, " if _outside(adapter) else "; where it is wrong, "
    words += "how sure it was, and after an arrow what is right. Look for wrong tags in the data, too."
    sentences = [_sentence(adapter, measured, i) for i in chosen]
    return page.subsection(title, page.paragraph(words), page.cards(sentences, wide=True))


def _sentence(adapter: TaggingAdapter, measured: Measured, index: int) -> Html:
    prediction, right = measured.results.predictions[index], measured.results.references[index]
    words = (adapter.words.pieces(measured.data.texts[index]) or ["(empty)"])[: len(right)]
    wrong = [a != b for a, b in zip(prediction.value, right, strict=True)]
    first, last = shading.window([1] * len(words), [float(part) for part in wrong], WORDS)
    sure = prediction.probabilities
    shown = _tagged(
        words[first:last],
        prediction.value[first:last],
        right[first:last],
        None if sure is None else sure[first:last],
        before=first > 0,
        after=last < len(words),
    )
    title = f"{counted(sum(wrong), 'mistake')} in {counted(len(words), 'word')}"
    return page.card(shown, title=title, note=row_name(measured.data, index))


def _tagged(
    words: Sequence[str],
    said: Sequence[str],
    right: Sequence[str],
    sure: Sequence[float] | None = None,
    *,
    before: bool = False,
    after: bool = False,
) -> Html:
    """Words with what was said under them, and what is right where that differs; ``O`` goes without saying."""
    parts = ["<span><b>…</b></span>"] if before else []
    for i, (word, tag, true) in enumerate(zip(words, said, right, strict=True)):
        name = f"<b>{page.text(shorten(word, 60))}</b>"
        if tag == true:
            parts.append(f"<span>{name}<em>{page.text('' if tag == 'O' else shorten(tag, 24))}</em></span>")
            continue
        chance = "" if sure is None else f" {percent(sure[i])}"
        labels = f"<em>{page.text(shorten(tag, 24))}{page.text(chance)}</em><ins>→ {page.text(shorten(true, 24))}</ins>"
        parts.append(f'<span class="wrong">{name}{labels}</span>')
    parts += ["<span><b>…</b></span>"] if after else []
    return Html(f'<div class="tagged" dir="auto">{" ".join(parts)}</div>')
