"""What goes wrong with texts is told in one line: what, where, what to do. Nothing is left behind."""

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tables import QUICK, write_wide
from texts import quick, train_all, write_corpus, write_labelled, write_pairs, write_tagged

ALL = ("text-classification", "tagging", "language-model", "translation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each task, in a folder of its name."""
    return train_all(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def refused(mistake, tmp_path):
    """A training that must be refused, and must leave no directory."""

    def run(task, data, *words):
        message = mistake("train", task, "--data", data, "--out", tmp_path / "out", *quick(task), *words)
        assert not (tmp_path / "out").exists()
        return message

    return run


@pytest.fixture
def write(tmp_path):
    """Writes a file and returns its path."""

    def to_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


LATIN = "pos\tfine film\nneg\tthé one\n".encode("latin-1") * 5


@pytest.mark.parametrize("task", ALL)
@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.txt", "", ["a.txt: expected data, got an empty file"]),
        ("a.txt", "\n \n\n", ["a.txt: expected data, got an empty file"]),
        ("a.jsonl", "", ["a.jsonl: expected data, got an empty file"]),
        ("a.txt", LATIN, ["a.txt, row 2: expected UTF-8", "0xe9 (byte 7 of the row, byte 21 of the file)"]),
        ("a.txt", "pos\tfine\nneg\td\0ll\n" * 3, ["a.txt, row 2: expected text, got a NUL byte"]),
        ("a.txt", "pos\tfine\n".encode("utf-16"), ["a.txt: expected UTF-8 text, got UTF-16"]),
        ("a.txt.gz", "pos\tfine\n", ["a.txt.gz: expected a .gz file, got damaged"]),
        ("a.jsonl", '{"text": "a b", "label": "x"}\n[1]\n', ["a.jsonl, row 2: expected a JSON object", "a list"]),
        ("a.jsonl", '{"text": "a b"}\n{"text": "a\n', ["a.jsonl, row 2: expected a JSON object", '"{"text": "a"']),
        ("a.jsonl", '{"txt": 1}\n{"txt": 2}\n', ["a.jsonl: expected a column", 'got txt', 'perhaps "txt"']),
    ],
)  # fmt: skip
def test_content_that_is_no_text(refused, write, task, name, content, parts):
    if task == "tagging" and parts[-1].startswith("perhaps"):
        parts = parts[:2]  # its first choice is a list of words, under the name of "tokens"
    message = refused(task, write(name, content))
    for part in parts:
        assert part in message


@pytest.mark.parametrize("task", ALL)
def test_a_folder_and_a_file_that_is_not_there(refused, tmp_path, task):
    assert f"{tmp_path}: expected a file, got a folder" in refused(task, tmp_path)
    assert "no.txt: expected a file, got nothing of that name" in refused(task, tmp_path / "no.txt")


def test_one_side_longer_than_the_other(refused, write):
    message = refused("translation", f"{write('a.en', 'a' + chr(10) + 'b')},{write('a.de', 'x')}")
    assert "expected as many lines in both, got 2 and 1" in message
    assert "Row 2 of" in message and "a.en" in message


def test_a_line_without_its_tag(refused, write):
    message = refused("tagging", write("a.conll", "Ann B-PER\nsees\n\n"))
    assert 'a.conll, row 2: expected 2 columns, got 1 in "sees"' in message


def test_one_label_one_tag(refused, write):
    assert 'at least two classes, got only "pos"' in refused("text-classification", write("a.txt", "pos\ta b\n" * 9))
    assert 'at least two tags, got only "O"' in refused("tagging", write("a.conll", "a O\n\n" * 9))


def test_columns(refused, write):
    data = write("a.jsonl", '{"text": "a b", "lable": "x", "n": 1}\n' * 3)
    assert 'expected a column "label", got none' in refused("text-classification", data, "--target", "label")
    assert 'Did you mean "lable"?' in refused("text-classification", data, "--target", "label")
    assert 'Say which column is the target, perhaps "lable"' in refused("text-classification", data)
    assert 'Did you mean "text"?' in refused("text-classification", data, "--text", "txet")


@pytest.mark.parametrize("task", ALL)
def test_a_number_where_a_text_belongs(refused, write, task):
    records = (
        '{"text": "a b", "label": "x", "tags": ["O", "P"], "target": "x"}\n{"text": 3, "label": "y", "tags": []}\n'
    )
    message = refused(task, write("a.jsonl", records))
    assert "a.jsonl, row 2, column text: expected" in message and "got the int 3" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("film 1 2 3\nfine 1 2\n", "v.txt, row 2: expected a word and 3 numbers as in the first line, got 2"),
        ("film 1 x 3\n", 'v.txt, row 1: expected a word and 3 numbers, got "film 1 x 3"'),
        ("film 1 nan 3\n", "v.txt, row 1: expected finite numbers"),
        (b"\x1b[2J\x00\xff\n" * 9, r"v.txt, row 1: expected a word and its numbers, got " + '"' + r"\x1b[2J\x00"),
        ("nobody 1 2 3\n", "v.txt: expected vectors for some of the words, got none"),
        ("", "v.txt: expected vectors for some of the words, got none"),
        ("film 1 2 3\n", "model.embedding_size: expected 3 as in the file of embeddings, got 4"),
    ],
)
def test_word_vectors(refused, write, tmp_path, content, part):
    data = write_labelled(tmp_path / "a.txt")
    message = refused("text-classification", data, "--embeddings", write("v.txt", content))
    assert part in message


def test_word_vectors_that_are_a_folder_or_of_no_use(refused, tmp_path):
    data = write_labelled(tmp_path / "a.txt")
    assert "word vectors, got a folder" in refused("text-classification", data, "--embeddings", tmp_path)
    assert "word vectors, got nothing" in refused("text-classification", data, "--embeddings", tmp_path / "no")
    (tmp_path / "v.txt").write_text("dog 1 2 3 4\n")
    for task, write_data in (("language-model", write_corpus), ("translation", write_pairs)):
        message = refused(task, write_data(tmp_path / "b.txt"), "--embeddings", tmp_path / "v.txt")
        assert "data.text.embeddings: expected none but for text-classification and tagging" in message


@pytest.mark.parametrize(
    ("task", "words", "part"),
    [
        ("text-classification", ("--tokens", "banana"), "'subwords', got 'banana'"),
        ("text-clasification", (), 'Did you mean "text-classification"?'),
        ("text-classification", ("--set", "model.copy=true"), 'recipe "text-lstm" has no such option'),
        ("text-classification", ("--features", "n"), "data.features: expected none with texts, got ('n',)"),
        ("text-classification", ("--length", "9"), "data.text.max_length cuts texts"),
        ("text-classification", ("--scale", "none"), "data.scale: expected none with texts"),
        ("text-classification", ("--seed", "99999999999999999999"), "train.seed"),
        ("language-model", ("--class-weights", "balanced"), "no loss.class_weights"),
        ("tagging", ("--tokens", "bytes"), 'expected data.text.tokens "words", got "bytes"'),
        ("tagging", ("--threshold", "auto"), "threshold: expected two classes"),
        ("text-classification", ("--set", "data.text.vocabulary_size=4"), "data.text.vocabulary_size"),
        ("text-classification", ("--tokens", "subwords", "--set", "data.text.vocabulary_size=9"), "at least 260"),
    ],
)
def test_settings_that_cannot_be(refused, tmp_path, task, words, part):
    write = {"tagging": write_tagged, "language-model": write_corpus}.get(task, write_labelled)
    assert part in refused(task, write(tmp_path / "a.txt"), *words)


def test_recipes_for_other_data(mistake, tmp_path):
    for task, write, recipe, fitting in (
        ("text-classification", write_labelled, "bilstm", "text-lstm"),
        ("language-model", write_corpus, "text-lstm", "lstm-lm or awd-lstm"),
        ("translation", write_pairs, "tagger", "seq2seq or pointer"),
    ):
        data = ("--data", write(tmp_path / "a.txt"), "--out", tmp_path / "out")
        message = mistake("train", task, *data, "--recipe", recipe)
        assert f'expected {fitting} for these data, got "{recipe}"' in message
        assert not (tmp_path / "out").exists()


def test_copying_needs_one_vocabulary(refused, tmp_path):
    data = write_pairs(tmp_path / "a.txt")
    assert "expected data.text.shared with model.copy" in refused("translation", data, "--set", "model.copy=true")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--recipe", "text-lstm"), 'lstm or bilstm or lstm-fcn for these data, got "text-lstm"'),
        (("--recipe", "awd-lstm"), "Leave it out, and take a recipe for numbers"),
        (("--text", "t0"), "expected no settings of texts with sequences of numbers, got data.text.column"),
        (("--tokens", "bytes"), "expected no settings of texts with sequences of numbers, got data.text.tokens"),
    ],
)
def test_settings_of_texts_for_numbers(mistake, tmp_path, words, part):
    data = ("--data", write_wide(tmp_path / "a.csv"), "--target", "label", "--out", tmp_path / "out", *QUICK)
    message = mistake("train", "classification", *data, *words)
    assert (
        part in message.replace(" or bilstm", ", bilstm").replace(", or ", " or ") or part.split(" or ")[0] in message
    )
    assert not (tmp_path / "out").exists()


def test_three_characters_are_no_corpus(refused, write):
    message = refused("language-model", write("a.txt", "abc"))
    assert "expected at least 2 sequences to split, got 1. Add data, or give other data" in message


def test_texts_that_are_all_empty(refused, write):
    records = '{"text": "", "label": "a"}\n{"text": "", "label": "b"}\n' * 5
    assert "expected texts with at least one word, got none" in refused(
        "text-classification", write("a.jsonl", records)
    )


def test_answers_that_are_not_known(mistake, runs, write):
    evaluate = ("evaluate", runs / "text-classification", "--data")
    message = mistake(*evaluate, write("a.txt", "pos\ta b\nnegg\tc\n"))
    assert 'a.txt, row 2: expected one of the labels neg, pos, got "negg". Did you mean "neg"?' in message
    message = mistake("evaluate", runs / "tagging", "--data", write("a.conll", "Ann O\n\nBob O\nsees B-LOX\n\n"))
    assert "a.conll, row 3: expected one of the labels" in message
    assert 'got "B-LOX". Did you mean "B-LOC"?' in message


def test_evaluate_without_answers(mistake, runs, write):
    for task, name, content, part in (
        ("text-classification", "a.jsonl", '{"text": "a b"}\n', 'expected a column "label", got text'),
        (
            "text-classification",
            "a.txt",
            "fine film\nso dull\n",
            'row 1: expected one of the labels neg, pos, got "fine"',
        ),
        ("tagging", "a.conll", "Ann\nsees\n\n", "row 1: expected a word and its tag, got one column"),
        ("translation", "b.txt", "ein hund .\n", "row 1: expected a source and a target with a tab between them"),
    ):
        assert part in mistake("evaluate", runs / task, "--data", write(name, content))
    assert "the run has no test file" in mistake("evaluate", runs / "language-model")


def test_predict_on_what_is_no_text(mistake, runs, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 8, 2)))
    for task in ALL:
        assert "a.npz, row 1: expected text, got a NUL byte" in mistake(
            "predict", runs / task, "--data", tmp_path / "a.npz"
        )


def test_some_lines_with_a_label(mistake, runs, write):
    message = mistake("predict", runs / "text-classification", "--data", write("a.txt", "pos\ta\nneg\tb\nwhat\tc\n"))
    assert 'a.txt, row 3: expected a label at the beginning of every line or of none, got "what"' in message


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--temperature", "-1"), "temperature: expected a number of at least 0, got -1.0"),
        (("--temperature", "nan"), "temperature: expected a number of at least 0, got nan"),
        (("--top-p", "0"), "top_p: expected a probability in (0, 1], got 0.0"),
        (("--top-k", "0"), "top_k: expected at least 1 token to choose from, got 0"),
        (("--max-length", "-1"), "--max-length"),
        (("--seed", "-1"), "seed: expected 0 to 2147483647, got -1"),
        (("--seed", "99999999999999999999"), "seed: expected 0 to 2147483647"),
        (("--prompt", "a\udce9"), "prompt: expected Unicode text, got half of a surrogate pair at character 1"),
        (("--device", "tpu"), 'got "tpu"'),
        (("--device", "cuda:7"), "cuda:7"),
    ],
)
def test_generate(mistake, runs, words, part):
    assert part in mistake("generate", runs / "language-model", *words)


def test_runs_of_another_task(mistake, runs, monkeypatch):
    for task in ALL:
        if task != "language-model":
            line = mistake("generate", runs / task)
            assert f"expected a language model to generate with, got a run of {task}" in line
        if task != "translation":
            for typed in ("", "ein hund .\n"):  # before anybody has typed anything
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
                line = mistake("translate", runs / task)
                assert f"expected a translation or summarisation, got a run of {task}" in line


def test_translate_bytes_that_are_no_text(gatewise, runs, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ein\nein\nth\xe9 hund\n")))
    answer = gatewise("translate", runs / "translation", "--batch-size", 1)
    assert answer.code == 2 and answer.out.count("\n") == 2  # those before it are answered
    assert answer.err.startswith("gatewise: standard input, row 3: expected UTF-8 text, got the byte 0xe9 (byte 3 of")
    assert "byte 11 of the file" in answer.err and answer.err.count("\n") == 1


def test_weights_of_other_classes(mistake, runs, tmp_path):
    """A run whose adapter was exchanged for one of other labels."""
    run = shutil.copytree(runs / "text-classification", tmp_path / "mine")
    text = (run / "adapter.json").read_text()
    (run / "adapter.json").write_text(text.replace('"pos"', '"pos", "so so"', 1).replace("[12, 12]", "[12, 12, 0]"))
    message = mistake("predict", run, "--data", runs / "text-classification.txt")
    assert "adapter.json" in message or "weights of this run's model" in message


def test_init_from_a_run_of_another_kind(refused, runs, tmp_path):
    data = write_labelled(tmp_path / "a.txt")
    message = refused("text-classification", data, "--init", runs / "tagging", "--set", "model.hidden_sizes=[5]")
    assert "expected weights that fit this model, got none that do" in message
    assert "expected a weights file, got none" in refused("text-classification", data, "--init", tmp_path / "no")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "a b", "label": "x"}\n'),
        ("a.conll", "Ann B-PER\nsees O\n\n"),
        ("a.conllu", "# text = a\n"),
        ("a.txt", "To be or not\nthat is\n"),
        ("a.csv", "text,label\nA fine film,good\nso very dull,bad\n"),
    ],
)
def test_data_of_texts_without_a_task(mistake, write, name, content):
    message = mistake("data", write(name, content))
    assert name in message and "If these are texts, say what for: --task text-classification, tagging" in message


def test_data_of_what_is_neither(mistake, write, tmp_path):
    for path in (
        write("a.csv", "t0,t1\n1,2\n3\n"),
        tmp_path / "no.txt",
        tmp_path,
        write("b.txt", b"\0\0"),
        write("c.txt", ""),
    ):
        assert "--task" not in mistake("data", path)
    assert 'Did you mean "tagging"?' in mistake("data", write("a.txt", "a b\n"), "--task", "taging")
    assert "a.txt" in mistake("data", write("a.txt", "a\n"), "--task", "tagging")
    assert "--features" not in mistake("data", write("a.txt", "a\tb\n"), "--task", "tagging", "--features", "x")


def test_the_real_command_line(write):
    """As typed in a shell, once: the exit code and the line are those of the process."""
    command = [sys.executable, "-m", "gatewise", "data", str(write("th\xe9.txt", LATIN)), "--task", "language-model"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 2 and done.stdout == b""
    assert done.stderr.count(b"\n") == 1 and b"byte 21 of the file" in done.stderr


def test_texts_where_numbers_are_expected(gatewise, tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("once upon a time there was a fox\nit ran over the hill and far away\n" * 5)
    answer = gatewise("train", "classification", "--data", str(path), "--out", str(tmp_path / "run"))
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "If these are texts, train text-classification, tagging, language-model" in answer.err
