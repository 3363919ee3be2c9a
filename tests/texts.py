"""Small files of texts to train on, and the settings for it."""

import gatewise

TINY = {
    "train.epochs": 1,
    "train.threads": 1,
    "train.seed": 1,
    "model.embedding_size": 4,
    "model.hidden_sizes": [4],
}
TINY_OF_TASK = {
    "tagging": {"model.character_size": 3, "model.character_hidden_size": 3},
    "translation": {"model.decoder_size": 4, "model.beam_size": 2, "model.max_answer": 6},
}


def words_of(settings):
    """Settings as they are typed."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def quick(task):
    """The smallest model of a task, as words of a command."""
    return words_of({**TINY, **TINY_OF_TASK.get(task, {})})


def write_labelled(path, *, count=24, labels=("neg", "pos"), words=("dull", "fine")):
    """Lines with a label before a tab."""
    lines = [f"{labels[i % 2]}\tthe film is {words[i % 2]} , no {i % 5} ." for i in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_tagged(path, *, count=8):
    """CoNLL: two sentences, again and again."""
    path.write_text("Ann B-PER\nsees O\nBob B-PER\n\nMax B-PER\nis O\nin O\nNew B-LOC\nYork I-LOC\n\n" * count)
    return path


def write_corpus(path, *, count=40, line="To be, or not to be, that is the question."):
    """Lines of one text."""
    path.write_text(f"{line}\n" * count)
    return path


def write_pairs(path, *, count=5):
    """Source, tab, target."""
    words = (("guter", "good"), ("alter", "old"), ("neuer", "new"), ("roter", "red"))
    path.write_text("".join(f"ein {german} hund .\ta {english} dog .\n" for german, english in words) * count)
    return path


WRITERS = {
    "text-classification": write_labelled,
    "tagging": write_tagged,
    "language-model": write_corpus,
    "translation": write_pairs,
}


def train_all(folder):
    """A run of each task in ``folder/<task>``, trained on ``folder/<task>.txt``."""
    for task, write in WRITERS.items():
        gatewise.train(
            task,
            data=write(folder / f"{task}.txt"),
            out=folder / task,
            settings={**TINY, **TINY_OF_TASK.get(task, {})},
            progress=False,
            report=False,
        )
    return folder
