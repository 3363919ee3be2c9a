"""What a report says of a translation or a summarisation: a text for a text."""

from collections.abc import Callable, Sequence

import numpy as np

from gatewise import metrics
from gatewise.data.pair_adapter import PairAdapter
from gatewise.data.text import TextData
from gatewise.data.vocabulary import Text, Vocabulary
from gatewise.reports import page, plots, shading, text_plots, texts
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Metric, about, metrics_table, row_name
from gatewise.reports.words import counted, number, percent

METRICS = {
    "bleu": Metric("BLEU", "runs of one to four words shared with the reference, 0 to 100", share=False),
    "rouge1": Metric("ROUGE-1", "words shared with the reference, 0 to 100", share=False),
    "rouge2": Metric("ROUGE-2", "pairs of neighbouring words shared with it", share=False),
    "rougeL": Metric("ROUGE-L", "longest common subsequence of words", share=False),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
MAIN = ("bleu", "rouge1")  # the metric by which answers are compared
SCORED = 1_000  # answers that are scored one by one
COMPARED = 500  # references that the baseline is measured on
SHOWN = 3  # best and worst answers, and a few from the middle
MIDDLE = 2
EXAMPLES = 4
SOURCE, ANSWER = 900, 600  # characters
PICTURES = 3
WIDEST, TALLEST = 40, 40  # tokens in a picture of attention
NARROW = 12  # tokens across where two pictures fit side by side


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """BLEU or ROUGE, and what saying the source again would give."""
    main = _main(measured)
    cards = []
    if main:
        cards.append((f"{METRICS[main].name}, {measured.name}", number(measured.metrics[main], 3), "0 to 100"))
        cards.append(_baseline(report, measured, main))
    others = [name for name in METRICS if name in measured.metrics and name not in (main, "loss")]
    if others:
        values = ", ".join(f"{number(measured.metrics[name], 3)}" for name in others)
        cards.append((", ".join(METRICS[name].name for name in others), values, f"on {measured.name}"))
    return cards


def _baseline(report: Report, measured: Measured, main: str) -> tuple[str, str, str]:
    """What an answer gets that is the source again, or for a summary its beginning."""
    references = measured.results.references
    places = texts.drawn(len(references), COMPARED)
    said = [shading.as_text(measured.data.texts[i]) for i in places]
    right = [references[i] for i in places]
    note = "saying the source again"
    if main != "bleu":
        words = int(np.median([len(text.split()) for text in right]))
        said = [" ".join(text.split()[:words]) for text in said]
        note = f"the first {counted(words, 'word')} of the source"
    if len(places) < len(references):
        note += f", {COMPARED:,} drawn by lot"
    return f"Baseline {METRICS[main].name}", number(_score(report, main, said, right), 3), note


def data(report: Report) -> list[Html]:
    """Both sides: sizes, lengths, vocabularies, and the first pairs."""
    adapter: PairAdapter = report.adapter
    train: TextData = report.train_data
    sides = [
        texts.Side("source", adapter.source),
        texts.Side("target", adapter.target, texts.answers_of),
    ]
    pairs = [
        page.card(
            page.answers(
                [
                    ("source", shading.plain(shading.as_text(train.texts[i]), limit=ANSWER)),
                    ("target", shading.plain(shading.as_text((train.targets or [])[i]), limit=ANSWER)),
                ]
            ),
            title="",
            note=row_name(train, i),
        )
        for i in range(min(EXAMPLES, len(train)))
    ]
    words = page.paragraph("The first training pairs, long texts without their end.")
    examples = page.subsection("Examples", words, page.cards(pairs, wide=True))
    return [*texts.overview(report, sides), examples]


def results(report: Report, measured: Measured) -> list[Html]:
    """Metrics, lengths, the best and the worst answers, and where the model looked."""
    many = counted(len(measured.results.references), "text")
    parts = [
        page.paragraph(about(measured, many=many)),
        metrics_table(report, METRICS, noun="text"),
        _lengths(report, measured),
    ]
    places = texts.drawn(len(measured.results.references), SCORED)
    order = _ranked(report, measured, places)
    return [*parts, _examples(report, measured, order), _attention(report.adapter, measured, [i for i, _ in order])]


def _main(measured: Measured) -> str | None:
    return next((name for name in MAIN if name in measured.metrics), None)


def _score(report: Report, name: str, said: Sequence[str], right: Sequence[str]) -> float:
    if name == "bleu":
        return metrics.bleu(said, right, tokenised=report.adapter.target.tokenised)
    return metrics.rouge(said, right, name)


def _score_of_one(report: Report, measured: Measured) -> Callable[[str, str], float]:
    """A score of a single answer: BLEU of short texts needs smoothing, and runs no longer than the text."""
    if _main(measured) == "bleu":
        from sacrebleu.metrics.bleu import BLEU

        bleu = BLEU(effective_order=True, tokenize="none" if report.adapter.target.tokenised else "13a")
        return lambda said, right: float(bleu.sentence_score(said, [right]).score)
    from rouge_score.rouge_scorer import RougeScorer

    rouge = RougeScorer(["rouge1"], use_stemmer=True)
    return lambda said, right: 100 * float(rouge.score(right, said)["rouge1"].fmeasure)


def _ranked(report: Report, measured: Measured, places: np.ndarray) -> list[tuple[int, float]]:
    """Where the answers stand, the best first, with their scores."""
    score, results = _score_of_one(report, measured), measured.results
    scores = [(i, score(results.predictions[i].value, results.references[i])) for i in places.tolist()]
    return sorted(scores, key=lambda pair: -pair[1])


def _lengths(report: Report, measured: Measured) -> Html:
    """Tokens of the answers against those of the references."""
    vocabulary: Vocabulary = report.adapter.target
    results = measured.results
    places = texts.drawn(len(results.references), plots.SCATTER_POINTS).tolist()
    said = np.array([len(vocabulary.encode(results.predictions[i].value)) for i in places], dtype=np.float64)
    right = np.array([len(vocabulary.encode(results.references[i])) for i in places], dtype=np.float64)
    same = sum(results.predictions[i].value == results.references[i] for i in places)
    facts = [
        f"Answers have {number(float(said.mean()), 3)} tokens on average, references {number(float(right.mean()), 3)}.",
        f"{counted(same, 'answer')} of {len(places):,} {'is its reference' if same == 1 else 'are their references'} "
        "word for word.",
    ]
    if empty := int((said == 0).sum()):
        facts.append(f"{counted(empty, 'answer')} {'is' if empty == 1 else 'are'} empty.")
    lot = " Drawn by lot." if len(places) < len(results.references) else ""
    picture = page.picture(
        plots.predicted_against_actual(said, right, name="length"),
        caption="One point a text, in tokens: on the dashed line where the answer is as long as its reference, above "
        f"it where it is longer. Models that stop too early or repeat themselves show here.{lot}",
        alt=f"Scatter of lengths of answers against references, {counted(len(places), 'point')}.",
        max_width=640,
    )
    return page.subsection("Lengths of the answers", page.paragraph(" ".join(facts)), picture)


def _examples(report: Report, measured: Measured, order: Sequence[tuple[int, float]]) -> Html:
    """The best answers, some from the middle, and the worst."""
    name = METRICS[_main(measured) or "rouge1"].name
    few = len(order) <= 2 * SHOWN + MIDDLE
    middle = len(order) // 2 - MIDDLE // 2
    groups = (
        [("All answers, the best first", order)]
        if few
        else [
            ("The best answers", order[:SHOWN]),
            ("Answers from the middle", order[middle : middle + MIDDLE]),
            ("The worst answers", order[-SHOWN:][::-1]),
        ]
    )
    words = f"Scored one by one with {name} of the single text, which is a rough guide: other words may be as right."
    if len(order) < len(measured.results.references):
        words += f" {len(order):,} answers were scored, drawn by lot."
    shown = [
        part
        for title, group in groups
        for part in (
            Html(f"<h4>{page.text(title)}</h4>"),
            page.cards([_card(measured, name, *one) for one in group], wide=True),
        )
    ]
    return page.subsection("Answers", page.paragraph(words), *shown)


def _card(measured: Measured, name: str, index: int, score: float) -> Html:
    results = measured.results
    parts = [
        ("source", shading.plain(shading.as_text(measured.data.texts[index]), limit=SOURCE)),
        ("answer", shading.plain(results.predictions[index].value, limit=ANSWER)),
        ("reference", shading.plain(results.references[index], limit=ANSWER)),
    ]
    return page.card(page.answers(parts), title=f"{name} {number(score, 3)}", note=row_name(measured.data, index))


def _attention(adapter: PairAdapter, measured: Measured, order: Sequence[int]) -> Html:
    """Where the model looked while it wrote, for answers better than most that are neither short nor too long."""
    found: list[tuple[int, np.ndarray, list[str], list[str]]] = []
    fitting: list[tuple[int, np.ndarray, list[str], list[str]]] = []
    for i in order[len(order) // 10 :]:
        one = _matrix(adapter, measured, i)
        if one is None:
            continue
        found.append(one)
        S, T = one[1].shape
        if 4 <= S <= TALLEST and T <= WIDEST:
            fitting.append(one)
        if len(fitting) == PICTURES or len(found) == 50:
            break
    chosen = (fitting or found)[:PICTURES]
    if not chosen:
        return Html("")
    pictures = [_picture(measured, *one) for one in chosen]
    words = (
        "One row for each token of the answer: the stronger a cell, the more the model looked at the token of the "
        "source above it while it wrote. A diagonal means that it reads along."
    )
    narrow = all(shares.shape[1] <= NARROW for _, shares, _, _ in chosen)
    shown = page.columns(*pictures) if narrow else page.join(*pictures)
    return page.subsection("Where it looked", page.paragraph(words), shown)


def _matrix(adapter: PairAdapter, measured: Measured, i: int) -> tuple[int, np.ndarray, list[str], list[str]] | None:
    """Attention ``[S, T]`` with names of its rows and columns; None where there is none, or nobody can name them."""
    prediction = measured.results.predictions[i]
    if prediction.attention is None or not len(prediction.attention):
        return None
    shares = np.array(prediction.attention, dtype=np.float64)
    source, answer = _named(adapter.source, measured.data.texts[i]), _named(adapter.target, prediction.value)
    if len(shares) not in (len(answer) - 1, len(answer)):
        return None  # the text of the answer is cut into other tokens than those it was written with
    source = [*source[: shares.shape[1] - 1], source[-1]]
    if len(source) != shares.shape[1]:
        return None
    return i, shares, source, answer[: len(shares)]


def _named(vocabulary: Vocabulary, text: Text) -> list[str]:
    return [*vocabulary.pieces(text), "(end)"]


def _picture(measured: Measured, index: int, shares: np.ndarray, source: list[str], answer: list[str]) -> Html:
    S = min(len(answer), TALLEST)
    shares = np.nan_to_num(shares[:S])
    kept = np.sort(np.argsort(-shares.sum(axis=0), kind="stable")[:WIDEST])
    T = len(kept)
    cut = f" Of {len(source)} tokens of the source, those that got most are shown." if len(source) > T else ""
    cut += f" The answer goes on for {counted(len(answer) - S, 'token')}." if len(answer) > S else ""
    peak = np.unravel_index(int(shares.argmax()), shares.shape)
    return page.picture(
        text_plots.attention(shares[:, kept], source=[source[i] for i in kept], answer=answer[:S]),
        caption=f"{row_name(measured.data, index).capitalize()}: the source across, the answer down.{cut}",
        alt=f"Attention of {counted(len(answer), 'token')} to {counted(len(source), 'token')}; the largest share, "
        f"{percent(float(shares.max()))}, is that of “{answer[peak[0]]}” to “{source[peak[1]]}”.",
        min_width=100 + 22 * T,
        max_width=200 + 32 * T,
    )
