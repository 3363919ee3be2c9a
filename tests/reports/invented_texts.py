"""Invented texts, and answers to them like those of real models."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from gatewise.data.config import TextConfig
from gatewise.data.corpus import Surprisal
from gatewise.data.text import TextData
from gatewise.reports.report import Report
from gatewise.tasks import SIDES
from gatewise.training.config import Config, DataConfig
from gatewise.types import Prediction, Results
from reports.invented import report

EVIL = "<script>alert(1)</script>"
FEELING = {
    "bad": ["dreadful", "boring", "a waste of time", "flat", "clumsy", "painfully slow"],
    "good": ["wonderful", "moving", "a small miracle", "funny", "superb", "beautifully shot"],
}
THINGS = ["the plot", "the acting", "the music", "the ending", "the first hour", "the camera work", "the dialogue"]
FILLING = [
    "I saw it on a rainy Tuesday, in a nearly empty cinema.",
    "My brother-in-law (who hates everything) fell asleep.",
    "It's based on a novel that I haven't read.",
    "The popcorn cost 7.50, by the way.",
    "There is a scene with a dog 🐕 and a bicycle.",
]


def _config(task: str, **text: Any) -> Config:
    return Config(task=task, data=DataConfig(train="data/train.txt", text=TextConfig(**text)))


def _fitted(config: Config, train: TextData) -> Any:
    return SIDES[config.task].fit(train, config.data)


def review(feeling: str, rng: np.random.Generator) -> str:
    """A few sentences on a film."""
    parts = [
        f"{str(rng.choice(THINGS)).capitalize()} was {rng.choice(FEELING[feeling])}." for _ in range(rng.integers(1, 4))
    ]
    parts += [str(part) for part in rng.choice(FILLING, rng.integers(0, 5), replace=False)]
    return " ".join(str(part) for part in rng.permutation(parts))


def opinions(
    texts: Sequence[str], labels: Sequence[str], adapter: Any, *, skill: float, attends: bool = True
) -> Results:
    """Answers that are right the more often, the larger the skill; attention is on words of feeling."""
    rng = np.random.default_rng(3)
    vocabulary, classes = adapter.vocabulary, adapter.labels.classes
    telling = {word for phrases in FEELING.values() for phrase in phrases for word in phrase.split() if len(word) > 3}
    scores = rng.normal(0, 1, (len(texts), len(classes)))
    for i, label in enumerate(labels):
        scores[i, classes.index(label)] += skill
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    predictions = []
    for text, row in zip(texts, chances, strict=True):
        numbers = vocabulary.encode(text)[: adapter.max_length]
        weights = [4.0 * (vocabulary.shown[n].strip() in telling) + rng.normal(0, 0.8) for n in numbers] or [0.0]
        shares = (np.exp(weights) / np.exp(weights).sum()).tolist()
        predictions.append(Prediction(classes[adapter.labels.decide(row)], row.tolist(), shares if attends else None))
    return Results(float(-np.log(chances).mean()), predictions, list(labels))


def reviews(*, count: int = 120, extra: Sequence[tuple[str, str]] = (), attends: bool = True, **text: Any) -> Report:
    """Good and bad films; ``extra`` are texts with labels that come first in the test data."""
    rng = np.random.default_rng(1)
    parts = []
    for k in range(3):
        labels = [str(label) for label in rng.choice(["bad", "good"], count)]
        texts = [review(label, rng) for label in labels]
        more = list(extra) if k == 2 else []
        texts, labels = [a for a, _ in more] + texts, [b for _, b in more] + labels
        parts.append(TextData(texts, labels, rows=range(1, len(texts) + 1), source="reviews.tsv"))
    config = _config("text-classification", min_count=2, **text)
    adapter = _fitted(config, parts[0])
    sets = {
        name: (part, opinions(part.texts, part.targets, adapter, skill=1.8, attends=attends))
        for name, part in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report("text-classification", parts[0], sets, config=config, adapter=adapter, title="reviews")


LANGUAGES = {
    "de": "der Hund läuft durch den Garten und sucht seinen alten Ball unter dem Baum",
    "fr": "le chien court dans le jardin et cherche sa vieille balle sous l'arbre",
    "es": "el perro corre por el jardín y busca su vieja pelota debajo del árbol",
    "he": "הכלב רץ בגינה ומחפש את הכדור הישן שלו מתחת לעץ",
    "ar": "يركض الكلب في الحديقة ويبحث عن كرته القديمة تحت الشجرة",
    "ja": "犬は庭を走り回って木の下で古いボールを探しています",
}


def languages() -> Report:
    """Six languages by characters, two of them from right to left."""
    rng = np.random.default_rng(2)
    parts = []
    for count in (150, 40, 60):
        labels = [*LANGUAGES, *(str(name) for name in rng.choice(list(LANGUAGES), count - 6))]
        texts = []
        for label in labels:
            words = LANGUAGES[label].split() if label != "ja" else list(LANGUAGES[label])
            kept = [str(word) for word in rng.choice(words, max(1, int(rng.integers(1, len(words)))), replace=False)]
            texts.append(("" if label == "ja" else " ").join(kept))
        parts.append(TextData(texts, labels, ids=[f"{label}-{i}" for i, label in enumerate(labels)]))
    config = _config("text-classification", tokens="characters")
    adapter = _fitted(config, parts[0])
    sets = {
        name: (part, opinions(part.texts, part.targets, adapter, skill=2.5))
        for name, part in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report("text-classification", parts[0], sets, config=config, adapter=adapter, title="languages")


NAMES = {
    "PER": ["Ada Lovelace", "Grace Hopper", "J. R. Firth", "Karen Spärck Jones", "Noam", "מרים"],
    "LOC": ["Paris", "New South Wales", "Ouagadougou", "the Baltic Sea", "القاهرة"],
    "ORG": ["Bell Labs", "European Space Agency", "FC Barcelona", "UNESCO"],
}
FRAMES = [
    "{PER} of {ORG} arrived in {LOC} on Monday .",
    "{ORG} said that it would open an office in {LOC} next year .",
    "It was {PER} who told {PER} about the letters from {LOC} 📬 .",
    "Shares of {ORG} fell by 3.2 per cent , analysts in {LOC} and {LOC} said .",
    "Nobody was hurt , according to {PER} , a spokesman for {ORG} .",
    "Rain is expected tomorrow .",
]


def sentence(rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words with BIO tags."""
    words, tags = [], []
    for part in str(rng.choice(FRAMES)).split():
        kind = part.strip("{}")
        if kind in NAMES:
            name = str(rng.choice(NAMES[kind])).split()
            words += name
            tags += [f"{'BI'[i > 0]}-{kind}" for i in range(len(name))]
        else:
            words.append(part)
            tags.append("O")
    return tuple(words), tuple(tags)


def _part_of_speech(word: str, tag: str) -> str:
    if tag != "O":
        return "PROPN"
    return "PUNCT" if not word[0].isalnum() else "VERB" if word.endswith("ed") else "WORD"


def guessed_tags(data: TextData, adapter: Any, *, wrong: float) -> Results:
    """Tags of which some are others than they should be."""
    rng = np.random.default_rng(5)
    predictions = []
    for tags in data.targets:
        changed = [str(rng.choice(adapter.tags)) if rng.random() < wrong else tag for tag in tags]
        sure = [float(rng.beta(8, 1 + 3 * (a != b))) for a, b in zip(changed, tags, strict=True)]
        predictions.append(Prediction(changed, sure))
    return Results(0.21, predictions, [list(tags) for tags in data.targets])


def tagged(*, wrong: float = 0.06, spans: bool = True, extra: Sequence[Any] = ()) -> Report:
    """Names of people, places and companies; without spans the tags are parts of speech, by and large."""
    rng = np.random.default_rng(4)
    parts = []
    for k, count in enumerate((200, 40, 60)):
        made = [*(extra if k == 2 else ()), *(sentence(rng) for _ in range(count))]
        words, tags = [words for words, _ in made], [tags for _, tags in made]
        if not spans:
            tags = [tuple(map(_part_of_speech, *pair)) for pair in zip(words, tags, strict=True)]
        parts.append(TextData(words, tags, rows=range(1, 10 * len(words), 10), source="names.conll"))
    config = _config("tagging", lowercase=True, min_count=2)
    adapter = _fitted(config, parts[0])
    sets = {
        name: (part, guessed_tags(part, adapter, wrong=wrong))
        for name, part in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report("tagging", parts[0], sets, config=config, adapter=adapter, title="names")


STORY = [
    "The lighthouse keeper counted the ships that passed before noon.",
    "There were seven of them, and one was on fire.",
    "“That,” said his daughter, “is not a good sign.”",
    "He wrote it down, as he wrote everything down, in a green book.",
    "The wind had turned to the north-east in the night 🌬️.",
    "By evening there was nothing to be seen but the naïve little boats of the crab fishers.",
    "",
    "In the morning a letter came, with a stamp that nobody knew.",
    "It said: do not count the ships.",
    "So the keeper counted the waves, and his daughter counted the ships.",
]


def surprised(adapter: Any, train: TextData, data: TextData) -> Results:
    """Bits of a model that knows the frequencies of tokens and of pairs of them."""
    before, single = Counter[tuple[int, int]](), Counter[int]()
    known = np.asarray(adapter.encode(train).tokens, dtype=np.int64).tolist()
    before.update(pairwise(known))
    single.update(known)
    predictions, references = [], []
    for example in adapter.encode(data):
        bits = []
        for a, b in zip(example.input.tolist(), example.target.tolist(), strict=True):
            alone = (single[b] + 1) / (len(known) + len(adapter.vocabulary))
            pair = before[a, b] / max(single[a], 1)
            bits.append(float(-np.log2(0.2 * alone + 0.8 * pair)))
        characters = adapter.vocabulary.characters(example.target)
        predictions.append(Prediction(Surprisal(bits, characters)))
        references.append(Surprisal([0.0] * len(bits), characters))
    loss = float(np.mean(np.concatenate([p.value.bits for p in predictions]))) * np.log(2)
    return Results(loss, predictions, references)


def corpus(unit: str, *, lines: bool = True, more: Sequence[str] = ()) -> Report:
    """A story that goes on for a while; ``more`` stands at the beginning of the training and of the test text."""
    rng = np.random.default_rng(6)

    def tell(count: int) -> list[str]:
        return [str(line) for line in rng.choice(STORY, count)]

    parts = [TextData([*more, *tell(400)], lines=lines), TextData(tell(40), lines=lines)]
    parts.append(TextData([*more, *tell(120)], lines=lines))
    config = _config("language-model", tokens=unit, vocabulary_size=400 if unit == "subwords" else None, steps=32)
    adapter = _fitted(config, parts[0])
    sets = {
        name: (part, surprised(adapter, parts[0], part))
        for name, part in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report("language-model", parts[0], sets, config=config, adapter=adapter, title="story")


PHRASES = [
    [("the old man", "der alte Mann"), ("my neighbour", "mein Nachbar"), ("a young doctor", "eine junge Ärztin")],
    [("sees", "sieht"), ("is looking for", "sucht"), ("has painted", "hat gemalt"), ("forgets", "vergisst")],
    [("the green house", "das grüne Haus"), ("his keys", "seine Schlüssel"), ("a dog", "einen Hund")],
    [("in the morning", "am Morgen"), ("every day", "jeden Tag"), ("without saying a word", "ohne ein Wort zu sagen")],
]


def translations(data: TextData, adapter: Any, *, wrong: float, attends: bool = True) -> Results:
    """References with words left out, said twice or replaced; attention runs along the diagonal."""
    rng = np.random.default_rng(8)
    predictions = []
    for source, target in zip(data.texts, data.targets, strict=True):
        words: list[str] = []
        for word in target.split():
            lot = rng.random()
            words += [] if lot < wrong / 3 else [word] * 2 if lot < wrong / 2 else ["etwas"] if lot < wrong else [word]
        answer = "" if rng.random() < 0.02 else " ".join(words)
        S, T = len(adapter.target.encode(answer)), min(len(adapter.source.encode(source)), adapter.max_length or 10**9)
        place = np.abs(np.arange(S)[:, None] / max(S, 1) - np.arange(T + 1) / (T + 1))
        raw = np.exp(-25 * place + rng.normal(0, 0.6, place.shape))
        shares = (raw / raw.sum(axis=1, keepdims=True)).tolist()
        predictions.append(Prediction(answer, None, shares if attends else None))
    return Results(1.4, predictions, list(data.targets))


def translated(
    *, task: str = "translation", extra: Sequence[tuple[str, str]] = (), attends: bool = True, **text: Any
) -> Report:
    """English and German, or, for summaries, long texts and their first phrase."""
    rng = np.random.default_rng(7)
    parts = []
    for k, count in enumerate((300, 40, 80)):
        sources, targets = [], []
        for _ in range(count):
            chosen = [phrases[rng.integers(len(phrases))] for phrases in PHRASES]
            source, target = (" ".join(pair[side] for pair in chosen) for side in (0, 1))
            if task == "summarisation":
                target, source = (
                    source,
                    f"{source.capitalize()}. " + " ".join(str(part) for part in rng.permutation([*FILLING, *STORY])),
                )
            sources.append(source)
            targets.append(target)
        more = list(extra) if k == 2 else []
        sources, targets = [a for a, _ in more] + sources, [b for _, b in more] + targets
        parts.append(TextData(sources, targets, source="pairs.tsv"))
    config = _config(task, **text)
    adapter = _fitted(config, parts[0])
    sets = {
        name: (part, translations(part, adapter, wrong=0.25, attends=attends))
        for name, part in zip(("validation", "test"), parts[1:], strict=True)
    }
    return report(task, parts[0], sets, config=config, adapter=adapter, title="pairs")


def hostile() -> dict[str, Report]:
    """Texts, words, labels and tags that would do harm as HTML."""
    evil = f'{EVIL} <b>bold</b> "><img src=http://evil.example/x.png onerror=alert(1)> & so on'
    films = reviews(extra=[(f"It was dreadful. {evil}", "good"), (f"It was superb. {evil}", "good")])
    results = films.measured[1].results
    surest = [
        results.predictions[0]._replace(value="bad", probabilities=[0.999, 0.001]),
        results.predictions[1]._replace(value="good", probabilities=[0.001, 0.999]),
    ]
    answers = replace(results, predictions=[*surest, *results.predictions[2:]])
    films = replace(films, measured=[films.measured[0], replace(films.measured[1], results=answers)])
    words = tuple(evil.split())
    names = tagged(extra=[(words, ("B-ORG",) * len(words))], wrong=0.3)
    story = corpus("words", more=[evil] * 40)
    pairs = translated(extra=[(evil, evil)] * 30)
    return {"films": films, "names": names, "story": story, "pairs": pairs}


def every_report() -> dict[str, Report]:
    """Every task, every unit of tokens, long and empty texts, with and without attention."""
    odd = [((), ()), (("Hm",), ("O",)), (("word",) * 10_000, ("O",) * 10_000)]
    long = " ".join([FILLING[k % 4] for k in range(900)]) + " It was superb."
    return {
        "reviews": reviews(extra=[("", "bad"), ("Superb", "good"), (long, "good")]),
        "reviews cut": reviews(extra=[(long, "good")], max_length=12, lowercase=True),
        "reviews in subwords": reviews(tokens="subwords", vocabulary_size=400),
        "reviews without attention": reviews(attends=False),
        "languages": languages(),
        "names": tagged(),
        "names, all right": tagged(wrong=0.0),
        "parts of speech": tagged(spans=False, extra=odd),
        "story in words": corpus("words"),
        "story in characters": corpus("characters"),
        "story in bytes": corpus("bytes"),
        "story in subwords": corpus("subwords", lines=False),
        "translation": translated(),
        "translation in subwords": translated(tokens="subwords", vocabulary_size=400),
        "translation without attention": translated(attends=False),
        "summaries": translated(task="summarisation", shared=True, max_length=60),
    }
