"""What a report says of a language model."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatewise.data.corpus import CorpusAdapter
from gatewise.data.text import TextData
from gatewise.data.vocabulary import Vocabulary
from gatewise.reports import page, shading, text_plots, texts
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Metric, about, metrics_table
from gatewise.reports.shading import Shade
from gatewise.reports.words import counted, number, percent, shorten
from gatewise.sequences import EOS, UNK

METRICS = {
    "perplexity": Metric(
        "Perplexity", "among how many equally likely tokens the model hesitates on average; 1 is perfect", share=False
    ),
    "bits_per_character": Metric(
        "Bits per character", "what a character costs in a file compressed with the model", share=False
    ),
    "loss": Metric("Loss", "what training makes small; compare it only within one run", share=False),
}
PASSAGE = 1500  # characters
BEGINNING = 900  # of the training text
WORDS = 12
CONTEXT = 40  # characters before a word
LOOKED_AT = 200_000  # tokens in which surprising words are sought
RANKS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
LEAST = 20  # tokens that a mean is taken of
PLACES = {True: 30, False: 12}  # in a line of words, in a word of other tokens


class Tokens(NamedTuple):
    """What came, and how surprising it was: numbers and bits, ``[M]`` both."""

    numbers: np.ndarray
    bits: np.ndarray


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """Perplexity and bits per character, and what it is to be compared with."""
    tokens = _tokens(report.adapter, measured)
    cards = [
        (f"Perplexity, {measured.name}", number(measured.metrics["perplexity"]), "1 is perfect"),
        ("Baseline perplexity", number(_baseline(report, tokens)), "from how often each token occurs in training"),
        ("Bits per character", number(measured.metrics["bits_per_character"]), f"on {measured.name}"),
    ]
    return cards


def data(report: Report) -> list[Html]:
    """Sizes, vocabulary, and how the training text begins."""
    train: TextData = report.train_data
    side = texts.Side("line" if train.lines else "text", report.adapter.vocabulary)
    beginning: list[str] = []
    for text in train.texts:
        beginning.append(shading.as_text(text))
        if sum(map(len, beginning)) > BEGINNING:
            break
    content = "\n".join(beginning).strip("\n")
    shown = shading.shaded([Shade(content[:BEGINNING])], kind="surprisal", after=len(content) > BEGINNING)
    return [*texts.overview(report, [side]), page.subsection("How the training text begins", shown)]


def results(report: Report, measured: Measured) -> list[Html]:
    """A passage with the surprisal of each token, the most surprising words, common and rare tokens."""
    adapter: CorpusAdapter = report.adapter
    tokens = _tokens(adapter, measured)
    many = counted(len(tokens.bits), "token")
    noun = "line" if measured.data.lines else "text"
    parts = [page.paragraph(about(measured, many=many)), metrics_table(report, METRICS, noun=noun)]
    if not np.isfinite(tokens.bits).all():
        sentence = "Some surprisals are not numbers: the training went astray. A smaller learning rate may help."
        return [*parts, page.subsection("Surprisal", page.paragraph(sentence))]
    pictures = [part for part in (_by_rank(report, tokens), _by_place(adapter, tokens)) if part]
    return [*parts, _passage(adapter, tokens), page.columns(*pictures), _surprising(adapter, tokens)]


def _tokens(adapter: CorpusAdapter, measured: Measured) -> Tokens:
    examples = adapter.encode(measured.data)
    predictions = measured.results.predictions
    numbers = [examples[i].target for i in range(len(predictions))]
    bits = [np.array(prediction.value.bits, dtype=np.float64) for prediction in predictions]
    return Tokens(np.concatenate(numbers), np.concatenate(bits))


def _counts(report: Report) -> np.ndarray:
    """How often each token occurs in the training text, or in what was looked at of it, ``[V]``."""
    adapter: CorpusAdapter = report.adapter
    train: TextData = report.train_data
    counts = texts.counts_of(adapter.vocabulary, train.texts)
    end = adapter.line_end if train.lines else EOS
    counts.tokens[end] += len(counts.lengths)
    return counts.tokens


def _baseline(report: Report, tokens: Tokens) -> float:
    """Perplexity of a model that knows but how often each token occurs; each is counted once more than it was seen."""
    counts = _counts(report) + 1.0
    return float(2 ** -np.log2(counts[tokens.numbers] / counts.sum()).mean())


def _strongest(tokens: Tokens) -> float:
    """Bits that get the full shade."""
    return float(max(4, 2 * math.ceil(np.percentile(tokens.bits, 97) / 2)))


def _passage(adapter: CorpusAdapter, tokens: Tokens) -> Html:
    """A stretch from the middle, where the model has read something already."""
    vocabulary = adapter.vocabulary
    start = 0 if len(tokens.bits) <= PASSAGE else _after_blank(vocabulary, tokens.numbers, len(tokens.bits) // 3)
    bits, most = tokens.bits[start:], _strongest(tokens)
    shades: list[Shade] = []
    size = end = 0
    for piece in shading.pieces_of_numbers(vocabulary, tokens.numbers[start : start + 4 * PASSAGE].tolist()):
        cost = float(bits[piece.start : piece.end].sum())
        shades.append(
            Shade(piece.text[:PASSAGE], cost / most, f"{cost:.1f} bits, 1 in {number(2 ** min(cost, 900), 3)}")
        )
        size, end = size + len(piece.text), piece.end
        if size >= PASSAGE:
            break
    shown = shading.shaded(shades, kind="surprisal", before=start > 0, after=start + end < len(tokens.bits))
    steps = [(share, f"{number(share * most)} bit{'' if share * most == 1 else 's'}") for share in (0, 0.25, 0.5)]
    steps.append((1, f"{number(most)} and more"))
    words = (
        "The stronger a token is shaded, the less the model expected it: a token of 1 bit was as likely as heads of a "
        "coin, one of 10 bits as likely as 1 in 1,024. At each token the model has seen all before it and none after."
    )
    return page.subsection("What surprised it", page.paragraph(words), page.scale(steps, kind="surprisal"), shown)


def _after_blank(vocabulary: Vocabulary, numbers: np.ndarray, start: int) -> int:
    """The next place from ``start`` on where a word begins."""
    begins = _word_begins(vocabulary, numbers[start : start + 100])
    later = np.flatnonzero(begins[1:])
    return start + 1 + int(later[0]) if len(later) else start


def _written(vocabulary: Vocabulary) -> list[str]:
    """Each token by itself."""
    known = [vocabulary.decode([n]) for n in range(len(vocabulary))] if vocabulary.unit == "bytes" else vocabulary.shown
    return ["\n" if n == EOS else text for n, text in enumerate(known)]


def _blank(vocabulary: Vocabulary) -> np.ndarray:
    """``[V]`` bool."""
    return np.array([not text.strip() for text in _written(vocabulary)])


def _word_begins(vocabulary: Vocabulary, numbers: np.ndarray) -> np.ndarray:
    """``[M]`` bool: at a blank, after one, and where a token begins with one; each token of words is a word."""
    if vocabulary.unit == "words":
        return np.ones(len(numbers), dtype=bool)
    written = _written(vocabulary)
    first = np.array([text[:1].isspace() for text in written])[numbers]
    last = np.array([text[-1:].isspace() for text in written])[numbers]
    begins: np.ndarray = first | np.concatenate([[True], last])[: len(numbers)]
    return begins


def _by_rank(report: Report, tokens: Tokens) -> Html:
    """Mean surprisal of the commonest tokens, of rarer ones, and of the rarest."""
    counts = _counts(report)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    bins = np.searchsorted(RANKS, rank[tokens.numbers], side="right") - 1
    size = np.bincount(bins, minlength=len(RANKS))
    bits = np.bincount(bins, weights=tokens.bits, minlength=len(RANKS))
    kept = np.flatnonzero(size)
    if len(kept) < 2:
        return Html("")
    ends = [end - 1 for end in RANKS[1:]]
    names = [f"{RANKS[k]:,} to {ends[k]:,}" if k < len(ends) else f"from {RANKS[k]:,}" for k in kept]
    shares, of_bits = size[kept] / size.sum(), bits[kept] / max(bits.sum(), 1e-300)
    means = bits[kept] / size[kept]
    picture = page.picture(
        text_plots.by_rank(names, means, shares, of_bits),
        caption="How surprising the commonest tokens were, and rarer ones: rank 1 is the commonest of all. The rare "
        f"ones, from rank {RANKS[kept[-1]]:,} on, are {percent(float(shares[-1]))} of the tokens and cost "
        f"{percent(float(of_bits[-1]))} of the bits.",
        alt=f"Bars of mean surprisal by rank: {number(float(means[0]), 3)} bits for {names[0]}, "
        f"{number(float(means[-1]), 3)} for {names[-1]}.",
    )
    return page.subsection("Common and rare tokens", picture)


def _by_place(adapter: CorpusAdapter, tokens: Tokens) -> Html:
    """Mean surprisal by place in the line, for words; in the word, for what words are made of."""
    words = adapter.vocabulary.unit == "words"
    if words:
        begins = np.concatenate([[False], tokens.numbers[:-1] == EOS])
    else:
        begins = _word_begins(adapter.vocabulary, tokens.numbers)
        begins[0] = False  # the word may have begun before
    if not begins.any():
        return Html("")
    starts = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), -1))
    place = np.where(starts >= 0, np.arange(len(begins)) - starts + 1, 0)
    if not words:
        place[_blank(adapter.vocabulary)[tokens.numbers]] = 0
    inside = (place > 0) & (place <= PLACES[words])
    size = np.bincount(place[inside], minlength=PLACES[words] + 1)
    bits = np.bincount(place[inside], weights=tokens.bits[inside], minlength=PLACES[words] + 1)
    kept = np.flatnonzero(size >= LEAST)
    if len(kept) < 2:
        return Html("")
    whole, part = ("line", "word") if words else ("word", texts.ONE[adapter.vocabulary.unit])
    means = bits[kept] / size[kept]
    picture = page.picture(
        text_plots.by_place(kept.tolist(), means, size[kept], title=f"{part} of the {whole}"),
        caption=f"How surprising the first {part} of a {whole} was, the second, and so on: what has been read of the "
        f"{whole} helps to guess the rest.",
        alt=f"Mean surprisal by place in the {whole}: {number(float(means[0]), 3)} bits at the first, "
        f"{number(float(means[-1]), 3)} at place {kept[-1]}.",
    )
    return page.subsection(f"Place in the {whole}", picture)


def _surprising(adapter: CorpusAdapter, tokens: Tokens) -> Html:
    """Words with the most bits, each once, with what came before."""
    vocabulary = adapter.vocabulary
    numbers, bits = tokens.numbers[:LOOKED_AT], tokens.bits[:LOOKED_AT]
    starts = np.flatnonzero(_word_begins(vocabulary, numbers))
    sums = np.add.reduceat(bits, starts) if len(starts) else np.zeros(0)
    ends = np.append(starts[1:], len(numbers))
    rows: list[list[str]] = []
    seen: set[str] = set()
    for k in np.argsort(-sums, kind="stable")[: 50 * WORDS].tolist():
        word = vocabulary.decode(numbers[starts[k] : ends[k]]).strip()
        strange = UNK in numbers[starts[k] : ends[k]] or not any(map(str.isalnum, word))
        if strange or word.lower() in seen:
            continue
        seen.add(word.lower())
        rows.append([shorten(word, 40), _before(vocabulary, numbers[: starts[k]]), number(float(sums[k]), 3)])
        if len(rows) == WORDS:
            break
    if not rows:
        return Html("")
    where = f" among the first {LOOKED_AT:,} tokens" if len(tokens.bits) > LOOKED_AT else ""
    words = f"The words that were expected least{where}, each once, with what stood before them and their bits in all."
    table = page.table(["Word", "Before it", "Bits"], rows, name="The most surprising words", texts=2)
    return page.subsection("The most surprising words", page.paragraph(words), table)


def _before(vocabulary: Vocabulary, numbers: Sequence[int] | np.ndarray) -> str:
    """The end of what came before."""
    pieces = shading.pieces_of_numbers(vocabulary, np.asarray(numbers[-3 * CONTEXT :]).tolist())
    text = " ".join("".join(piece.text for piece in pieces).split())
    return text if len(text) <= CONTEXT else f"…{text[-CONTEXT:]}"
