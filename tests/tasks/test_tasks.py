"""Every task passes the checks that gatewise ships, and those checks can fail."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from gatewise.data.config import DataConfig, TextConfig
from gatewise.data.corpus import Surprisal
from gatewise.data.dataset import SequenceData
from gatewise.data.text import TextData
from gatewise.errors import ConfigError, DataError
from gatewise.models.config import ModelConfig
from gatewise.nn.crf import log_partition, sequence_score
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.tasks.tagging import with_cost
from gatewise.testing.tasks import _trained, check_padding_is_ignored, check_task
from gatewise.training.evaluate import run_model
from gatewise.types import Prediction, Results

SMALL = ModelConfig(hidden_sizes=(6,))


def toy(kind):
    """Ragged sequences with targets of a kind."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(rng.integers(2, 9), 2)) for _ in range(16)]
    targets = {
        "labels": [str(i % 3) for i in range(16)],
        "one value": [float(sequence.mean() * 40 + 7) for sequence in sequences],
        "several values": [sequence.mean(0) * 5 - 3 for sequence in sequences],
        "one a step": [np.cumsum(sequence, 0)[:, :1] for sequence in sequences],
        "several a step": [np.cumsum(sequence, 0) for sequence in sequences],
    }[kind]
    return SequenceData(sequences, targets, ("a", "b"), ("y",) if "one" in kind else ("y", "z"))


KINDS = {
    "labels": "classification",
    "one value": "regression",
    "several values": "regression",
    "one a step": "regression",
    "several a step": "regression",
}


SPOKEN = (
    "the cat sat",
    "a dog ran far away",
    "the dog sat",
    "no cat ran",
    "cats sit",
    "go",
    "a bird , far away , sang",
)
TEXTS = {
    "text-classification": ("text-lstm", {"embedding_size": 8, "hidden_sizes": (6,)}, {}),
    "tagging": (
        "tagger",
        {"embedding_size": 8, "hidden_sizes": (6,), "character_size": 4, "character_hidden_size": 4},
        {},
    ),
    "language-model": ("lstm-lm", {"embedding_size": 32, "hidden_sizes": (32,)}, {"tokens": "characters", "steps": 7}),
    "translation": ("seq2seq", {"embedding_size": 16, "hidden_sizes": (12,), "decoder_size": 16, "max_answer": 9}, {}),
    "summarisation": (
        "pointer",
        {"embedding_size": 16, "hidden_sizes": (12,), "decoder_size": 16, "max_answer": 9},
        {"shared": True},
    ),
}


def spoken(task):
    """Sixteen short texts with targets of a task."""
    texts = [SPOKEN[i % len(SPOKEN)] + " now" * (i // len(SPOKEN)) for i in range(16)]
    words = [tuple(text.split()) for text in texts]
    return {
        "text-classification": TextData(texts, ["cat" if "cat" in text else "other" for text in texts]),
        "tagging": TextData(words, [_names(row) for row in words]),
        "language-model": TextData(texts, lines=True),
        "translation": TextData(texts, [" ".join(reversed(row)) for row in words]),
        "summarisation": TextData(texts, [row[-1] for row in words]),
    }[task]


def _names(words):
    """Animals are spans, with the word before them."""
    animal = [word in ("cat", "dog", "bird") for word in words]
    return tuple(
        "I-animal" if is_one else "B-animal" if k + 1 < len(words) and animal[k + 1] else "O"
        for k, is_one in enumerate(animal)
    )


# Tasks whose checks stand with their models and data.
SIGNALS = {
    "forecasting": "tasks/test_forecasting.py",
    "audio-classification": "models/test_audio.py",
    "speech-to-text": "models/test_audio.py",
    "handwriting": "models/test_pictures.py",
    "video": "models/test_pictures.py",
}


def make_text(name, **options):
    recipe, sizes, text = TEXTS[name]
    data = spoken(name)
    adapter = SIDES[name].fit(data, DataConfig(text=TextConfig(**text)))
    task = TASKS[name](LossConfig(), adapter)
    return task, ModelConfig(recipe=recipe, **{**sizes, **options}), adapter, data


def make(kind, config=None):
    data = toy(kind)
    adapter = SIDES[KINDS[kind]].fit(data, DataConfig())
    return TASKS[KINDS[kind]](config or LossConfig(), adapter), adapter.encode(data), adapter, data


@pytest.mark.parametrize("kind", KINDS)
def test_checks_of_every_task(kind):
    task, examples, _, _ = make(kind)
    check_task(task, SMALL, examples)


@pytest.mark.parametrize("name", TEXTS)
def test_checks_of_every_text_task(name):
    task, config, adapter, data = make_text(name)
    check_task(task, config, adapter.encode(data))


def test_the_checks_of_tagging_without_a_field():
    task, config, adapter, data = make_text("tagging", crf=False)
    check_task(task, config, adapter.encode(data))


def test_the_cost_of_what_is_missed():
    """With a field, the loss is that of every sequence of tags, rated by its score and what it misses."""
    rng = np.random.default_rng(0)
    scores = torch.tensor(rng.normal(size=(1, 3, 3, 3)))
    scores[0, 0] = scores[0, 0, :1]  # nothing stands before the first step
    targets = torch.tensor([[1, 2, 0]])  # O is 0

    def rating(tags, cost=0.0):
        before, total = 0, 0.0
        for t, tag in enumerate(tags):
            total += float(scores[0, t, before, tag]) + cost * (tag == 0 and int(targets[0, t]) != 0)
            before = tag
        return total

    ratings = [rating(tags, cost=1.5) for tags in itertools.product(range(3), repeat=3)]
    expected = np.log(np.sum(np.exp(ratings))) - rating(targets[0].tolist())
    costly = with_cost(scores, targets, 1.5, 0)
    lengths = torch.tensor([3])
    loss = log_partition(costly, lengths) - sequence_score(costly, targets, lengths)
    assert float(loss) == pytest.approx(expected)
    flat = with_cost(scores[:, :, 0], targets, 1.5, 0) - scores[:, :, 0]
    assert flat[0].tolist() == [pytest.approx(row) for row in ([1.5, 0, 0], [1.5, 0, 0], [0, 0, 0])]


@pytest.mark.parametrize("crf", [True, False])
def test_a_cost_of_what_is_missed_finds_more(crf):
    data, found = spoken("tagging"), []
    for cost in (0.0, 3.0):
        adapter = SIDES["tagging"].fit(data, DataConfig())
        task = TASKS["tagging"](LossConfig(missed_cost=cost), adapter)
        recipe, sizes, _ = TEXTS["tagging"]
        config = ModelConfig(recipe=recipe, **{**sizes, "crf": crf})
        model = _trained(task, config, adapter.encode(data), epochs=8)
        results = run_model(task, model, adapter.encode(data), fabric=Fabric(accelerator="cpu"), batch_size=8)
        found.append(sum(tag != "O" for prediction in results.predictions for tag in prediction.value))
    assert found[1] > found[0]


def test_every_task_is_checked():
    assert set(KINDS.values()) | set(TEXTS) | set(SIGNALS) == set(TASKS) == set(SIDES)
    for name, file in SIGNALS.items():
        text = (Path(__file__).parents[1] / file).read_text()
        assert "check_task(" in text and name in text, name


def test_the_padding_check_can_fail():
    task, examples, _, _ = make("labels")
    model = task.build(SMALL).eval()

    def leaky(batch):
        return model(batch)._replace(scores=batch.inputs.sum((1, 2))[:, None] * torch.arange(3))

    with pytest.raises(AssertionError, match=r"padding of 1000000000\.0 counts"):
        check_padding_is_ignored(task, leaky, examples)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "labels"])
def test_references_come_back_in_the_units_of_the_data(kind):
    task, examples, _, data = make(kind)
    for reference, target in zip(task.references(task.collate(examples)), data.targets, strict=True):
        np.testing.assert_allclose(np.asarray(reference).ravel(), np.asarray(target).ravel(), rtol=1e-5, atol=1e-5)


def test_balanced_weights_make_classes_weigh_alike():
    data = toy("labels")
    data = SequenceData(data.sequences, ["rare"] * 2 + ["common"] * 14, data.channels)
    adapter = SIDES["classification"].fit(data, DataConfig())
    task = TASKS["classification"](LossConfig(class_weights="balanced"), adapter)
    assert task.monitor.metric == "balanced_accuracy"
    batch = task.collate(adapter.encode(data))
    outputs = task.build(SMALL).eval()(batch)
    scores = torch.zeros(16, 2)
    uniform = task.loss(outputs._replace(scores=scores), batch)
    assert float(uniform.total / uniform.count) == pytest.approx(np.log(2))
    # Wrong about every rare one, or about every common one: the same price.
    wrong = []
    for label in range(2):
        says = torch.nn.functional.one_hot(batch.targets, 2).float() * 10
        says[batch.targets == label] = says[batch.targets == label].flip(1)
        wrong.append(float(task.loss(outputs._replace(scores=says), batch).total))
    assert wrong[0] == pytest.approx(wrong[1], rel=1e-4)


def test_metrics_of_known_answers():
    task, _, _, _ = make("labels")
    results = Results(0.0, [Prediction(v, (0.5, 0.3, 0.2)) for v in "0012"], list("0112"))
    assert task.metrics["accuracy"](results) == 0.75
    task, _, _, _ = make("several a step")
    predictions = [Prediction([[1.0, 2.0]]), Prediction([[0.0, 0.0], [0.0, 3.0]])]
    results = Results(0.0, predictions, [[[1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert task.metrics["mse"](results) == pytest.approx(10 / 6)


def test_steps_count_alike_whether_lengths_agree_or_not():
    task, _, _, _ = make("one a step")
    whole = Results(0.0, [Prediction([1.0, 2.0]), Prediction([3.0, 5.0])], [[1.0, 2.5], [3.0, 4.0]])
    parts = Results(0.0, [Prediction([1.0]), Prediction([2.0, 3.0, 5.0])], [[1.0], [2.5, 3.0, 4.0]])
    for name, metric in task.metrics.items():
        assert metric(whole) == pytest.approx(metric(parts)), name


@pytest.mark.parametrize("error", ["squared", "absolute", "huber"])
def test_losses_by_name(error):
    task, examples, _, _ = make("one value", LossConfig(error=error))
    batch = task.collate(examples)
    loss = task.loss(task.build(SMALL).eval()(batch), batch)
    assert loss.total.item() > 0


def test_targets_of_the_wrong_kind():
    _, _, labels, _ = make("labels")
    _, _, values, _ = make("one value")
    with pytest.raises(ConfigError, match=r"got numbers\. Train a regression"):
        TASKS["classification"](LossConfig(), values)
    with pytest.raises(ConfigError, match=r"got class labels\. Train a classification"):
        TASKS["regression"](LossConfig(), labels)


def test_pool_none_needs_answers_per_step():
    for kind in ("labels", "one value"):
        task, _, _, _ = make(kind)
        with pytest.raises(ConfigError, match=r'expected a pool.*got "none"'):
            task.build(ModelConfig(pool="none"))


def test_a_setting_that_would_do_nothing_is_refused():
    adapter = SIDES["tagging"].fit(spoken("tagging"), DataConfig())
    task = TASKS["tagging"](LossConfig(label_smoothing=0.1), adapter)
    with pytest.raises(ConfigError, match=r"no loss\.label_smoothing with model\.crf, got 0\.1"):
        task.build(ModelConfig(recipe="tagger"))
    task.build(ModelConfig(recipe="tagger", crf=False))
    with pytest.raises(ConfigError, match=r"data\.target: expected none with language-model"):
        SIDES["language-model"].read(["a text"], None, DataConfig(target=("label",)), None, True)
    with pytest.raises(DataError, match=r"language-model: expected no targets"):
        SIDES["language-model"].read(["a text"], ["a label"], DataConfig(), None, True)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_answers_are_searched_for_in_any_precision(precision):
    """A search calls the model's parts, outside of what Fabric casts."""
    task, config, adapter, data = make_text("translation")
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    torch.manual_seed(0)
    model = fabric.setup_module(task.build(config))
    results = run_model(task, model, adapter.encode(data)[:3], fabric=fabric, batch_size=2)
    assert len(results.predictions) == 3
    for prediction, example in zip(results.predictions, adapter.encode(data), strict=False):
        assert prediction.attention.dtype == np.float32  # a data set's worth of it is kept
        assert prediction.attention.size in (0, len(prediction.attention) * example.steps)


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("text-classification", {"shared": True}),
        ("tagging", {"max_target_length": 9}),
        ("language-model", {"max_length": 9}),
    ],
)
def test_a_setting_of_another_task_is_refused(task, settings):
    (name, value), *_ = settings.items()
    with pytest.raises(ConfigError, match=rf"data\.text\.{name}: expected none with {task}, got {value}"):
        SIDES[task].fit(spoken(task), DataConfig(text=TextConfig(**settings)))


def test_perplexity_of_a_model_that_went_astray():
    task, *_ = make_text("language-model")
    for bits, expected in ((3.0, 8.0), (5000.0, float("inf"))):
        results = Results(0.0, [Prediction(Surprisal([bits] * 2, 2))], [Surprisal([0.0] * 2, 2)])
        assert task.metrics["perplexity"](results) == expected
