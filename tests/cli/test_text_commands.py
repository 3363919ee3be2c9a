"""Commands on texts that must work, also where what they are given is unusual."""

import io
import json
import re
import signal
import sys

import polars as pl
import pytest
import torch

import gatewise as package
from gatewise.api import training
from gatewise.errors import RunError
from gatewise.training.checkpoint import load_checkpoint
from gatewise.training.fit import InterruptedTraining
from gatewise.training.progress import Silent
from texts import TINY, quick, train_all, write_corpus, write_labelled, write_pairs, write_tagged


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each task, in a folder of its name."""
    return train_all(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def typed(monkeypatch):
    """Puts bytes on standard input."""

    def put(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))

    return put


@pytest.fixture
def train(gatewise, tmp_path):
    """A training that must succeed; what it said."""

    def run(task, data, *words):
        answer = gatewise("train", task, "--data", data, "--out", tmp_path / "out", *quick(task), *words)
        assert answer.code == 0, answer.err
        return answer

    return run


def test_data_tells_of_each_task(gatewise, runs):
    for task, part in (
        ("text-classification", "classes      2 (neg: 12 (50.0%), pos: 12 (50.0%))"),
        ("tagging", "spans        2 (PER: 24 (75.0%), LOC: 8 (25.0%))"),
        ("language-model", "lines        40"),
        ("translation", "equal sides          none"),
    ):
        answer = gatewise("data", runs / f"{task}.txt", "--task", task)
        assert answer.code == 0 and part in answer.out, answer


def test_data_as_json(gatewise, runs):
    told = json.loads(gatewise("data", runs / "tagging.txt", "--task", "tagging", "--json").out)
    assert told["texts"] == 16 and told["spans"] == [["PER", 24], ["LOC", 8]] and told["text"]["vocabulary"] == 8


def test_data_takes_columns_and_two_files(gatewise, tmp_path):
    (tmp_path / "a.csv").write_text("review,n,stars\nfine film,1,5\nbad film,2,1\n")
    answer = gatewise(
        "data", tmp_path / "a.csv", "--task", "text-classification", "--text", "review", "--target", "stars"
    )
    assert 'label from "stars"; not used: "n"' in answer.out
    (tmp_path / "a.de").write_text("ein\nzwei\n")
    (tmp_path / "a.en").write_text("one\ntwo\n")
    answer = gatewise("data", f"{tmp_path}/a.de,{tmp_path}/a.en", "--task", "translation")
    assert answer.code == 0 and "a.de to a.en" in answer.out


def test_a_line_of_10_mb(gatewise, train, runs, tmp_path):
    """Longest so far or alone in its file: nothing that grows faster than the text."""
    long = "word other thing " * 600_000
    write_labelled(tmp_path / "a.txt")
    with (tmp_path / "a.txt").open("a") as file:
        file.write(f"pos\t{long}\n")
    answer = train("text-classification", tmp_path / "a.txt", "--set", "data.valid_fraction=0")
    assert "1 of 25 texts are longer than 400 words and cut there, the longest has 1,800,000" in answer.err
    answer = gatewise("predict", runs / "text-classification", "--data", tmp_path / "a.txt")
    assert answer.out.count("\n") == 26
    assert "1 of 25 texts have more than 1,000 words, the first: row 25" in gatewise(
        "data", tmp_path / "a.txt", "--task", "text-classification").out  # fmt: skip


def test_one_long_line_is_a_corpus(train, tmp_path):
    (tmp_path / "a.txt").write_text("to be or not " * 2000 + "\n")
    answer = train("language-model", tmp_path / "a.txt", "--set", "data.valid_fraction=0")
    assert "26,001 tokens" in answer.err


def test_blank_lines_of_a_corpus_are_kept(train, tmp_path):
    answer = train("language-model", write_corpus(tmp_path / "a.txt", line="a b c\n\nd"))
    assert "324 tokens" in answer.err  # nine tenths of 40 times "a b c", nothing, "d", with their line feeds


def test_a_prompt_that_is_not_known_is_told_and_read_on(gatewise, runs):
    words = ("generate", runs / "language-model", "--max-length", 5)
    answer = gatewise(*words, "--prompt", "T☃ be ☃☃Z")
    assert answer.code == 0 and answer.out.startswith("T☃ be ☃☃Z") and len(answer.out) == len("T☃ be ☃☃Z") + 6
    assert answer.err == 'Note: the model does not know 4 of the 9 characters of the prompt: "☃", "Z".\n'
    assert gatewise(*words, "--prompt", "To be").err == ""


def test_the_note_on_a_prompt_is_a_warning_in_python(runs):
    run = package.load(runs / "language-model")
    with pytest.warns(UserWarning, match="does not know 1 of the 2 characters"):
        run.generate("T☃", max_length=1)


def test_generate_runs_where_it_is_told(runs):
    run = package.load(runs / "language-model", device="cpu")
    assert "".join(run.generate("To", max_length=9, seed=3)) == "".join(
        package.load(runs / "language-model").generate("To", max_length=9, seed=3)
    )


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", 0),
        (b"\n", 1),
        (b"ein hund .", 1),
        (b"ein hund .\n\n \nein\r\n", 4),
        ("a\u2028b\x0bc\x85d\re\n\tf\n\n".encode(), 3),
        (b"\n" * 40 + b"ein hund .\n" * 3, 43),
    ],
)
def test_translate_answers_each_line_with_a_line(gatewise, typed, runs, content, lines):
    typed(content)
    answer = gatewise("translate", runs / "translation", "--batch-size", 7)
    assert answer.code == 0 and answer.err == ""
    assert answer.out.count("\n") == lines


def test_a_blank_line_has_a_blank_translation(runs):
    run = package.load(runs / "translation")
    answers = run.translate(["", "ein hund .", "  "])
    assert (answers[0], answers[2]) == ("", "") and answers[1] == run.translate(["ein hund ."])[0]
    assert run.translate([]) == [] == run.translate([])


def test_predict_plain_lines(gatewise, runs, tmp_path):
    """A text a line, one prediction a line, also where the line is empty."""
    (tmp_path / "a.txt").write_text("the film is fine\nso dull\n\nfine\n")
    answer = gatewise("predict", runs / "text-classification", "--data", tmp_path / "a.txt")
    table = pl.read_csv(io.StringIO(answer.out))
    assert table.columns == ["row", "label", "p_neg", "p_pos"] and table.height == 4
    assert set(table["label"]) <= {"neg", "pos"}


def test_predict_does_not_look_at_labels(gatewise, runs, tmp_path):
    plain = [line.split("\t")[1] for line in (runs / "text-classification.txt").read_text().splitlines()]
    (tmp_path / "plain.txt").write_text("\n".join(plain) + "\n")
    predict = ("predict", runs / "text-classification", "--data")
    assert gatewise(*predict, runs / "text-classification.txt").out == gatewise(*predict, tmp_path / "plain.txt").out


def test_predict_a_tagged_file_and_the_same_without_tags(gatewise, runs, tmp_path):
    (tmp_path / "a.conll").write_text(
        "\n".join(line.split(" ")[0] for line in (runs / "tagging.txt").read_text().splitlines()) + "\n"
    )
    predict = ("predict", runs / "tagging", "--data")
    answer = gatewise(*predict, runs / "tagging.txt")
    table = pl.read_csv(io.StringIO(answer.out))
    assert table.columns == ["row", "step", "word", "tag"] and table.height == 8 * 8
    assert table["word"][:3].to_list() == ["Ann", "sees", "Bob"]
    assert gatewise(*predict, tmp_path / "a.conll").out == answer.out
    (tmp_path / "a.txt").write_text("Ann sees Bob\nMax is in New York\n")
    assert pl.read_csv(io.StringIO(gatewise(*predict, tmp_path / "a.txt").out)).height == 8


class StopAt(Silent):
    """Sends SIGINT after a number of steps, as Ctrl-C does."""

    def __init__(self, steps):
        self.left = steps

    def on_step(self, *, sequences, loss):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("recipe", "steps"), [("lstm-lm", 3), ("lstm-lm", 8), ("awd-lstm", 4)])
def test_a_language_model_resumed_within_an_epoch_is_bitwise_the_same(tmp_path, monkeypatch, recipe, steps):
    """The carried state and the averaged weights go on, too."""
    settings = {
        **TINY,
        "train.epochs": 3,
        "train.batch_size": 3,
        "data.text.steps": 10,
        "data.text.tokens": "characters",
        "model.recipe": recipe,
        "model.hidden_sizes": [6, 4],
    }
    data = write_corpus(tmp_path / "a.txt", count=5)  # 173 characters to learn from: 6 batches an epoch

    def train(out, *, watcher=None, **options):
        monkeypatch.setattr(training, "make_watcher", lambda *_, **__: watcher or Silent())
        return package.train(
            "language-model", data=data, out=tmp_path / out, settings=settings, progress=False, report=False, **options
        )

    whole = train("whole")
    with pytest.raises(InterruptedTraining, match=f"after step {steps}"):
        train("stopped", watcher=StopAt(steps))
    checkpoint = load_checkpoint(tmp_path / "stopped" / "state.safetensors")
    assert checkpoint.progress.batch and checkpoint.carried, "stopped at the end of an epoch: proves nothing"
    resumed = train("stopped", resume=True)
    for name in ("weights.safetensors", "adapter.json", "results.json"):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    states = [load_checkpoint(run.path / "state.safetensors") for run in (whole, resumed)]
    assert states[0].progress == states[1].progress
    for part in ("model", "average", "carried"):
        first, second = (getattr(state, part) for state in states)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), part


def test_init_from_another_vocabulary_tells_what_was_left(train, runs, tmp_path):
    data = write_labelled(tmp_path / "a.txt", words=("horrid", "nice"))
    answer = train("text-classification", data, "--init", runs / "text-classification")
    assert "had no fitting weights for model.embedding.weight; they start anew" in answer.err
    data = write_labelled(tmp_path / "b.txt", labels=("down", "up"))
    answer = train("text-classification", data, "--init", runs / "text-classification", "--overwrite")
    assert "had no fitting weights for model.head.1.bias, model.head.1.weight; they start anew" in answer.err
    data = write_labelled(tmp_path / "c.txt")
    answer = train("text-classification", data, "--init", runs / "text-classification", "--overwrite")
    assert "no fitting weights" not in answer.err


def test_init_takes_over_what_fits(tmp_path):
    """Every weight but those whose rows mean something else, before the first step."""

    def train(out, seed, **options):
        settings = {"train.lr": 1e-30, "train.average": "none", "train.weight_decay": 0.0, "data.valid_fraction": 0}
        return package.train(
            "text-classification",
            out=tmp_path / out,
            settings={**TINY, **settings, "train.seed": seed},
            report=False,
            **options,
        )

    first = train("first", 1, data=write_labelled(tmp_path / "a.txt"))
    data = write_labelled(tmp_path / "b.txt", labels=("down", "up"))
    alone, second = train("alone", 2, data=data), train("second", 2, data=data, init=first.path)
    for name, value in second.model.state_dict().items():
        of_labels = name.startswith("head.")
        torch.testing.assert_close(value, (alone if of_labels else first).model.state_dict()[name], msg=name)
    assert not torch.equal(alone.model.state_dict()["embedding.weight"], first.model.state_dict()["embedding.weight"])


def test_word_vectors_of_the_size_of_the_embeddings(train, tmp_path):
    (tmp_path / "v.txt").write_text("film 1 2 3\nfine 1 2 3\n")
    size = ("--set", "model.embedding_size=3")
    answer = train("text-classification", write_labelled(tmp_path / "a.txt"), "--embeddings", tmp_path / "v.txt", *size)
    assert re.search(r"2 of \d+ words have a vector in the file of embeddings", answer.err)


def test_tags_are_no_classes_of_texts(runs):
    """A tagger knows the probability of each tag that it gives, not one of each class for a text."""
    with pytest.raises(RunError, match="expected a classification for probabilities, got a run of tagging"):
        package.load(runs / "tagging").predict_proba([["Ann", "sees", "Bob"], ["Max"]])


@pytest.mark.parametrize(
    ("task", "write", "usage"),
    [
        ("language-model", write_corpus, 'generate {} --prompt "TEXT"'),
        ("translation", write_pairs, "translate {} < FILE"),
        ("tagging", write_tagged, "predict {} --data FILE"),
    ],
)
def test_a_training_tells_what_to_do_next(train, tmp_path, task, write, usage):
    answer = train(task, write(tmp_path / "a.txt"))
    assert f"gatewise {usage.format(tmp_path / 'out')}" in answer.out.replace("\n", " ")
