"""What a report says of transcripts: error rates, what was written for what, and each text beside its reference."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatewise.data.media import MediaData
from gatewise.data.media_adapter import MediaAdapter
from gatewise.reports import edits, media_drawings, media_plots, page, plots, shading
from gatewise.reports.content import Measured, Report
from gatewise.reports.edits import Edit
from gatewise.reports.measures import wilson
from gatewise.reports.media_drawings import Item, noun
from gatewise.reports.media_plots import Letter
from gatewise.reports.page import Html
from gatewise.reports.parts import Metric, metrics_table, row_name
from gatewise.reports.texts import drawn
from gatewise.reports.words import NOTHING, counted, number, percent, shorten
from gatewise.sequences import UNK

METRICS = {
    "wer": Metric("Word error rate", "words replaced, put in or left out, by the words there are; it can exceed 100%"),
    "cer": Metric("Character error rate", "the same of characters"),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
COMPARED = 2_000  # texts that are aligned with their references
CONFUSIONS = 12  # rows of a table
SHOWN = 4  # best and worst answers, and a few from the middle
MIDDLE = 3
LISTED = 1_000  # transcripts in the list of all
TEXT = 400  # characters of a text that are shown
FREQUENT = 12
BINS = 6
GROUPS = 40


class Compared(NamedTuple):
    """A text beside its reference: where it stands, and the edits of its characters and of its words."""

    place: int
    characters: list[Edit]
    words: list[Edit]

    @property
    def rate(self) -> float:
        """Character error rate; of an empty reference, how many characters were written."""
        return edits.mistakes(self.characters) / max(_size(self.characters), 1)


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """Word and character error rate with their intervals, and what writing the same each time would give."""
    found = _compared(report.adapter, measured)
    cards = []
    for name, parts in (("wer", [one.words for one in found]), ("cer", [one.characters for one in found])):
        if name in measured.metrics:
            title = f"{METRICS[name].name}, {measured.name}"
            cards.append((title, percent(measured.metrics[name]), _sureness(parts, measured)))
    return [*cards, _baseline(report, measured)]


def _sureness(parts: Sequence[Sequence[Edit]], measured: Measured) -> str:
    """The interval of an error rate, in words."""
    wrong = np.array([edits.mistakes(part) for part in parts], dtype=np.float64)
    if not wrong.any():
        most = wilson(0, len(parts)).high
        return f"95% sure: fewer than {percent(most)} of the {measured.data.noun} have a mistake"
    low, high = edits.bootstrap(wrong, np.array([_size(part) for part in parts], dtype=np.float64))
    return f"95% sure: between {percent(low)} and {percent(high)}"


def _baseline(report: Report, measured: Measured) -> tuple[str, str, str]:
    """Error rate of always writing the commonest transcript of the training data."""
    texts = Counter(_folded(report.adapter, text) for text in report.train_data.targets or ())
    said = texts.most_common(1)[0][0] if texts else ""
    places = drawn(len(measured.results.references), COMPARED).tolist()
    pairs = [(_folded(report.adapter, measured.results.references[i]).split(), said.split()) for i in places]
    wrong = sum(edits.mistakes(edits.align(right, written)) for right, written in pairs)
    rate = wrong / max(sum(len(right) for right, _ in pairs), 1)
    note = f"always writing “{shorten(said, 40)}”, the commonest"
    return "Baseline word error rate", percent(min(rate, 1.0)), note if rate <= 1 else "writing nothing at all"


def of_data(report: Report) -> Html:
    """Characters of the transcripts of each set."""
    adapter: MediaAdapter = report.adapter
    rows, lengths = [], {}
    for name, split in report.splits.items():
        if split.targets is None:
            continue
        texts = [text.strip() for text in split.targets]
        lengths[name] = np.array([len(text) for text in texts], dtype=np.int64)
        rows.append([name, *_sizes(split, texts, lengths[name])])
    unit = "second" if report.train_data.rate else media_drawings.UNITS[report.train_data.kind][0]
    head = ["Set", "Characters", "fewest", "median", "most", "Words", "Different texts", f"Characters a {unit}"]
    everything = np.concatenate(list(lengths.values()))
    picture = Html("")
    if everything.min() < everything.max():
        picture = page.picture(
            plots.histogram({name: part for name, part in lengths.items() if len(part)}, title="characters"),
            caption="How long the transcripts are, as shares of each set.",
            alt=f"Histogram of lengths of transcripts, {everything.min()} to {everything.max()} characters.",
        )
    table = page.table(head, rows, name="Sizes of the transcripts")
    return page.subsection("Transcripts", table, page.columns(picture, _alphabet(adapter, report.train_data)))


def _sizes(split: MediaData, texts: Sequence[str], lengths: np.ndarray) -> list[str]:
    if not len(texts):
        return ["0", *[NOTHING] * 6]
    time = float(split.steps.sum() / (split.rate or 1))
    found = [f"{lengths.sum():,}", f"{lengths.min():,}", number(float(np.median(lengths))), f"{lengths.max():,}"]
    words = f"{sum(len(text.split()) for text in texts):,}"
    return [*found, words, f"{len(set(texts)):,}", number(float(lengths.sum()) / time, 3) if time else NOTHING]


def _alphabet(adapter: MediaAdapter, train: MediaData) -> Html:
    """The commonest and the rarest characters of the training data."""
    vocabulary = adapter.vocabulary
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    for numbers in vocabulary.encode_all(text.strip() for text in train.targets or ()):
        counts += np.bincount(numbers, minlength=len(vocabulary))
    order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k] and k != UNK]

    def told(places: Sequence[int]) -> str:
        return ", ".join(f"{_visible(vocabulary.tokens[k])} ({counts[k]:,})" for k in places)

    sentences = [f"{counted(len(order), 'character')} can be written. The commonest: {told(order[:FREQUENT])}."]
    if len(order) > FREQUENT:
        sentences.append(f"The rarest: {told(order[FREQUENT:][-FREQUENT:])}.")
    if adapter.vocabulary.lowercase:
        sentences.append("Upper and lower case are alike.")
    return page.join(*(page.paragraph(sentence) for sentence in sentences))


def results(report: Report, measured: Measured) -> list[Html]:
    """Metrics, what was written for what, errors by length and by group, and the texts themselves."""
    found = _compared(report.adapter, measured)
    lot = ""
    if len(found) < len(measured.results.references):
        lot = f" Of {len(measured.results.references):,} texts {len(found):,}, drawn by lot, were compared in detail."
    bootstrap = (
        f"The intervals at the top are those of {edits.SAMPLES:,} bootstrap samples of whole "
        f"{measured.data.noun} (percentiles 2.5 and 97.5).{lot}"
    )
    return [
        metrics_table(report, METRICS, noun=noun(measured.data)),
        page.paragraph(bootstrap),
        page.columns(
            _confusions([one.characters for one in found], "character"),
            _confusions([one.words for one in found], "word"),
        ),
        page.columns(_by_length(found), _by_group(measured, found)),
        _examples(measured, found),
        _all(measured, found),
    ]


def _folded(adapter: MediaAdapter, text: str) -> str:
    """A reference as the model could write it at best, but for characters that it does not know."""
    return text.strip().lower() if adapter.vocabulary.lowercase else text.strip()


def _compared(adapter: MediaAdapter, measured: Measured) -> list[Compared]:
    found = []
    for place in drawn(len(measured.results.references), COMPARED).tolist():
        right, said = _folded(adapter, measured.results.references[place]), measured.results.predictions[place].value
        found.append(Compared(place, edits.align(right, said), edits.align(right.split(), said.split())))
    return found


def _size(parts: Sequence[Edit]) -> int:
    return sum(edit.right is not None for edit in parts)


def _visible(piece: str | None) -> str:
    return "(nothing)" if piece is None else "(space)" if piece == " " else shorten(piece, 40)


def _confusions(texts: Sequence[Sequence[Edit]], unit: str) -> Html:
    """What was written for what, most often first."""
    title = f"What was written for what: {unit}s"
    times, size = Counter(edit for text in texts for edit in text if not edit.same), Counter[str | None]()
    size.update(edit.right for text in texts for edit in text)
    total = sum(count for piece, count in size.items() if piece is not None)
    if not times:
        return page.subsection(title, page.paragraph(f"Every {unit} is right." if total else f"There are no {unit}s."))
    missing = sum(count for edit, count in times.items() if edit.written is None)
    put_in = sum(count for edit, count in times.items() if edit.right is None)
    kinds = {"replaced": times.total() - missing - put_in, "left out": missing, "put in": put_in}
    sums = ", ".join(f"{count:,} {name} ({percent(count / max(total, 1))})" for name, count in kinds.items())
    rows = [
        [
            _visible(edit.right),
            _visible(edit.written),
            f"{count:,}",
            NOTHING if edit.right is None else percent(count / size[edit.right]),
        ]
        for edit, count in times.most_common(CONFUSIONS)
    ]
    words = f"Of {counted(total, unit)}: {sums}. The commonest mistakes, and of how much of the right {unit}."
    table = page.table(["Right", "Written", "Times", f"Of this {unit}"], rows, name=title, texts=2)
    return page.subsection(title, page.paragraph(words), table)


def _by_length(found: Sequence[Compared]) -> Html:
    """Character error rate of short and of long references."""
    lengths = np.array([_size(one.characters) for one in found])
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)).round().astype(int))
    if len(edges) < 3:
        return Html("")
    bins = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, len(edges) - 2)
    wrong = np.array([edits.mistakes(one.characters) for one in found])
    names, rates, counts = [], [], []
    for k in sorted(set(bins.tolist())):
        part = bins == k
        low, high = int(lengths[part].min()), int(lengths[part].max())
        names.append(str(low) if low == high else f"{low} to {high}")
        rates.append(float(wrong[part].sum() / max(lengths[part].sum(), 1)))
        counts.append(int(part.sum()))
    picture = page.picture(
        media_plots.rates_by_length(names, rates, counts),
        caption="Character error rate of short and of long texts; the groups hold about as many texts each.",
        alt=f"Bars: character error rate by length of the reference; {percent(rates[0])} of the shortest, "
        f"{percent(rates[-1])} of the longest.",
    )
    return page.subsection("Short and long texts", picture)


def _by_group(measured: Measured, found: Sequence[Compared]) -> Html:
    """Error rates for each speaker, writer or the like."""
    groups = measured.data.groups
    if groups is None or not 1 < len(set(groups)) <= GROUPS:
        return Html("")
    of_group: dict[str, list[Compared]] = {}
    for one in found:
        of_group.setdefault(groups[one.place], []).append(one)

    def rate(parts: Sequence[Sequence[Edit]]) -> float:
        return sum(map(edits.mistakes, parts)) / max(sum(map(_size, parts)), 1)

    rows = []
    for group, part in of_group.items():
        words, characters = rate([one.words for one in part]), rate([one.characters for one in part])
        rows.append((characters, [shorten(group, 40), f"{len(part):,}", percent(words), percent(characters)]))
    rows.sort(key=lambda row: -row[0])
    head = ["Group", measured.data.noun.capitalize(), "Word errors", "Character errors"]
    table = page.table(head, [row for _, row in rows], name="Error rates by group")
    return page.subsection("Errors by group", page.paragraph("The worst first."), table)


def _examples(measured: Measured, found: Sequence[Compared]) -> Html:
    """The best, some from the middle, and the worst, with pictures of what was read where."""
    order = sorted(found, key=lambda one: (one.rate, -_size(one.characters)))
    middle = len(order) // 2 - MIDDLE // 2
    groups = [
        ("The worst", order[-SHOWN:][::-1]),
        ("From the middle", order[middle : middle + MIDDLE]),
        ("The best, long ones first", order[:SHOWN]),
    ]
    if len(order) <= 2 * SHOWN + MIDDLE:
        groups = [("All, the worst first", order[::-1])]
    spans = any(prediction.spans is not None for prediction in measured.results.predictions)
    side = "Under the drawing" if measured.data.kind == "strokes" else "In the picture"
    where = f" {side} each character of the answer stands where the model read it; a wrong one is bold, in brackets."
    words = (
        f"By character error rate. In the line “changes”, what is right stands before an arrow and what was written "
        f"for it after it; a space is ␣.{where if spans else ''}"
    )
    shown = []
    for title, group in groups:
        items = [_item(measured, one) for one in group]
        shown += [Html(f"<h4>{page.text(title)}</h4>"), media_drawings.drawings(measured.data, items, wide=True)]
    attends = media_drawings.attends(measured.results.predictions)
    key = media_drawings.key(measured.data.kind, attends=attends)
    return page.subsection("Transcripts", page.paragraph(words), key, *shown)


def _item(measured: Measured, one: Compared) -> Item:
    prediction = measured.results.predictions[one.place]
    parts = [
        ("reference", shading.plain(measured.results.references[one.place], limit=TEXT)),
        ("written", shading.plain(prediction.value, limit=TEXT)),
    ]
    if one.rate:
        parts.append(("changes", changes(one.characters)))
    wrong = edits.mistakes(one.characters)
    title = f"{counted(wrong, 'mistake')} in {counted(_size(one.characters), 'character')}" if wrong else "no mistake"
    letters = _letters(measured, one)
    return Item(one.place, title, row_name(measured.data, one.place), prediction, letters, (page.answers(parts),))


def _letters(measured: Measured, one: Compared) -> tuple[Letter, ...]:
    """The characters of the answer where they were read."""
    prediction = measured.results.predictions[one.place]
    spans, steps = prediction.spans, int(measured.data.steps[one.place])
    if spans is None or len(spans) != len(prediction.value) or not steps:
        return ()
    right = [edit.same for edit in one.characters if edit.written is not None]
    return tuple(
        Letter(character, min(float(start) / steps, 1.0), min(float(end) / steps, 1.0), good)
        for character, (start, end), good in zip(prediction.value, spans, right, strict=True)
    )


def changes(parts: Sequence[Edit]) -> Html:
    """A text in which each change stands in brackets: what is right, an arrow, and what was written."""
    pieces: list[str] = []
    shown = 0
    for edit in parts:
        if shown >= TEXT:
            pieces.append("…")
            break
        shown += 1
        if edit.same:
            pieces.append(page.text(edit.right))
            continue
        right, written = ((piece or "").replace(" ", "␣") for piece in edit)
        pieces.append(f"[<del>{page.text(right)}</del>→<ins>{page.text(written)}</ins>]")
    return Html(f'<p class="passage changes" dir="auto">{"".join(pieces)}</p>')


def _all(measured: Measured, found: Sequence[Compared]) -> Html:
    """Every text beside its reference, in the order of the data."""
    rows = [
        [
            str(one.place),
            shorten(measured.results.references[one.place], TEXT),
            shorten(measured.results.predictions[one.place].value, TEXT),
            f"{edits.mistakes(one.characters):,} of {_size(one.characters):,}",
        ]
        for one in found[:LISTED]
    ]
    title = f"All {len(rows):,}" if len(rows) == len(measured.results.references) else f"{len(rows):,} of them"
    table = page.table(["Row", "Reference", "Written", "Mistakes"], rows, name="Transcripts", texts=3)
    return page.subsection("Every text beside its reference", page.details(title, table))
