"""Transcripts by CTC: the loss, what is too short, the task and its search."""

import itertools
import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

import gatewise
from gatewise import losses, metrics
from gatewise.data.adapter import adapter_from_json, adapter_to_json
from gatewise.data.config import DataConfig, MediaConfig
from gatewise.data.media import MediaData
from gatewise.data.media_adapter import MediaAdapter
from gatewise.decoding.ctc import steps_needed
from gatewise.errors import ConfigError, DataError, OptionError
from gatewise.models.config import ModelConfig, build, resolve
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.tasks.transcription import too_short
from gatewise.testing.tasks import check_task
from gatewise.training.evaluate import run_model

WORDS = ("ab", "ba", "abba", "a b", "cab", "aab", "c", "bac a")
SMALL = ModelConfig(recipe="ctc-lstm", hidden_sizes=(16,))


def strokes(texts, *, seed=0, points=4):
    """Each character a stroke of so many points in a direction of its own, the pen lifted at its end."""
    rng = np.random.default_rng(seed)
    items = []
    for text in texts:
        drawn = [np.zeros((1, 3))]
        for character in text:
            angle = 2 * math.pi * "abc ".index(character.lower()) / 4
            n = points + int(rng.integers(0, 3))
            moves = np.cumsum(np.tile([math.cos(angle), math.sin(angle)], (n, 1)), 0) + rng.normal(0, 0.1, (n, 2))
            drawn.append(np.concatenate([drawn[-1][-1, :2] + moves, np.arange(n)[:, None] == n - 1], 1))
        items.append(np.concatenate(drawn).astype(np.float32))
    steps = np.array([len(item) for item in items])
    return MediaData("strokes", items, steps, list(texts), texts=True, ids=[f"w{i}" for i in range(len(items))])


def make(texts=WORDS * 2, *, media=None, **options):
    data = strokes(texts)
    config = DataConfig(media=MediaConfig(**(media or {})))
    adapter = SIDES["handwriting"].fit(data, config)
    task = TASKS["handwriting"](LossConfig(), adapter)
    return task, ModelConfig(recipe="ctc-lstm", hidden_sizes=(16,), **options), adapter, data


# The loss


def brute_force(log_probs, target):
    """Minus the logarithm of the sum over all paths of a text."""
    total = -math.inf
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if tuple(symbol for symbol, _ in itertools.groupby(path) if symbol) == tuple(target):
            total = np.logaddexp(total, sum(float(log_probs[t, symbol]) for t, symbol in enumerate(path)))
    return -total


def padded(rows, width):
    return torch.tensor([[*row, *[9] * (width - len(row))] for row in rows])  # beyond the end may be anything


def test_the_loss_is_the_sum_over_all_paths():
    scores = torch.randn(5, 6, 3, dtype=torch.float64)
    targets, lengths = [[1, 2], [], [1], [2, 2], [1, 1, 2]], [6, 4, 1, 5, 6]
    loss = losses.ctc(scores, torch.tensor(lengths), padded(targets, 3), torch.tensor([2, 0, 1, 2, 3]))
    log_probs = scores.log_softmax(-1)
    expected = [brute_force(row[:n], target) for row, n, target in zip(log_probs, lengths, targets, strict=True)]
    assert float(loss.total) == pytest.approx(sum(expected), abs=1e-9)
    assert loss.count == 2 + 1 + 1 + 2 + 3  # the empty one counts as a symbol


def test_means_over_batches_are_exact():
    scores, lengths = torch.randn(6, 9, 5), torch.tensor([9, 3, 7, 9, 2, 5])
    targets = torch.randint(1, 5, (6, 4))
    target_lengths = torch.tensor([4, 2, 3, 0, 4, 1])  # the fifth does not fit
    whole = losses.ctc(scores, lengths, targets, target_lengths)
    parts = [losses.ctc(scores[i : i + 2], lengths[i : i + 2], targets[i : i + 2], target_lengths[i : i + 2])
             for i in (0, 2, 4)]  # fmt: skip
    assert sum(float(part.total) for part in parts) == pytest.approx(float(whole.total), rel=1e-5)
    assert sum(part.count for part in parts) == whole.count == 4 + 2 + 3 + 1 + 1


def test_what_does_not_fit_is_left_out_whole():
    scores = torch.randn(3, 4, 5, requires_grad=True)
    lengths, target_lengths = torch.tensor([4, 3, 4]), torch.tensor([2, 2, 4])
    targets = torch.tensor([[1, 2, 0, 0], [3, 3, 0, 0], [1, 1, 2, 3]])
    fits = losses.ctc_fits(lengths, targets, target_lengths)
    needed = [steps_needed(row[:n].numpy()) for row, n in zip(targets, target_lengths.tolist(), strict=True)]
    assert fits.tolist() == [n <= steps for n, steps in zip(needed, lengths.tolist(), strict=True)]
    assert fits.tolist() == [True, True, False]
    loss = losses.ctc(scores, lengths, targets, target_lengths)
    alone = losses.ctc(scores[:2], lengths[:2], targets[:2], target_lengths[:2])
    assert loss.total.item() == pytest.approx(alone.total.item())
    assert loss.count == alone.count == 4
    loss.total.backward()
    assert (scores.grad[2] == 0).all()
    assert (scores.grad[:2].abs().sum((1, 2)) > 0).all()


def test_a_batch_of_which_nothing_fits_has_a_gradient_of_zero():
    scores = torch.randn(2, 2, 5, requires_grad=True)
    loss = losses.ctc(scores, torch.tensor([2, 0]), torch.tensor([[1, 2, 3], [1, 2, 3]]), torch.tensor([3, 1]))
    (loss.total / loss.count).backward()
    assert loss.total.item() == 0
    assert (scores.grad == 0).all()


def test_nothing_read_without_a_step_is_certain():
    loss = losses.ctc(torch.randn(1, 1, 5), torch.tensor([0]), torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0]))
    assert (float(loss.total), loss.count) == (0.0, 1)


def test_the_loss_is_float32_at_least():
    scores = (torch.randn(2, 8, 5) * 4).bfloat16()
    arguments = torch.tensor([8, 6]), torch.tensor([[1, 2], [3, 3]]), torch.tensor([2, 2])
    exact = losses.ctc(scores.double(), *arguments).total
    assert losses.ctc(scores, *arguments).total.dtype == torch.float32
    torch.testing.assert_close(losses.ctc(scores, *arguments).total.double(), exact, rtol=1e-6, atol=1e-6)


# Error rates


@pytest.mark.parametrize("unit", ["wer", "cer"])
def test_error_rates_are_those_of_torchmetrics(unit):
    from torchmetrics.functional.text import char_error_rate, word_error_rate

    rng = np.random.default_rng(0)
    drawn = [["".join(rng.choice(list("ab c"), rng.integers(1, 15))) for _ in range(40)] for _ in range(2)]
    theirs = {"wer": word_error_rate, "cer": char_error_rate}[unit](*drawn)
    assert getattr(metrics, unit)(*drawn) == pytest.approx(float(theirs), rel=1e-6)


def test_error_rates_are_pooled_and_may_exceed_one():
    assert metrics.cer(["abc", ""], ["abd", "a"]) == 2 / 4  # not the mean of 1/3 and 1
    assert metrics.wer(["a b c d", "x"], ["e", "x"]) == 4 / 2
    assert metrics.wer(["", "two words"], ["", ""]) == 2
    assert metrics.cer([], []) == 0


# The task


STEM = {"stem_channels": (8,), "stem_kernel_sizes": (3,), "stem_strides": (2,)}


@pytest.mark.parametrize("options", [{"beam_size": 1}, {"beam_size": 4, **STEM}], ids=["greedy", "beam"])
def test_checks_of_the_task(options):
    task, config, adapter, data = make(**options)
    check_task(task, config, adapter.encode(data))


def trained(task, config, examples, epochs=60):
    from gatewise.testing.tasks import _trained, without_dropout

    return _trained(task, without_dropout(config), examples, epochs=epochs).eval()


@pytest.fixture(scope="module")
def learnt():
    task, config, adapter, data = make(media={"ngram_order": 3}, beam_size=4, lm_weight=0.2, length_bonus=0.2)
    return task, trained(task, config, adapter.encode(data)), adapter, data


def answers(task, model, examples):
    return run_model(task, model, examples, fabric=Fabric(accelerator="cpu", devices=1), batch_size=4)


def test_it_learns_and_says_where_each_character_is(learnt):
    task, model, adapter, data = learnt
    results = answers(task, model, adapter.encode(data))
    assert task.metrics["cer"](results) == task.metrics["wer"](results) == 0
    assert results.references == list(data.targets)
    for prediction, item in zip(results.predictions, data.items, strict=True):
        spans = prediction.spans
        assert spans.shape == (len(prediction.value), 2)
        assert (spans[:, 0] < spans[:, 1]).all()
        assert (spans[1:, 0] >= spans[:-1, 1]).all()
        assert spans.min() >= 0
        assert spans.max() <= len(item)


def test_the_search_may_be_changed_afterwards(learnt):
    task, model, adapter, data = learnt
    examples, before = adapter.encode(data), model.search.beam_size
    try:
        model.search.set(beam_size=1, lm_weight=0.0, length_bonus=0.0)
        assert task.metrics["cer"](answers(task, model, examples)) == 0
        model.search.set(beam_size=4, lm_weight=0.0, length_bonus=5.0)
        longer = answers(task, model, examples)
        assert sum(len(p.value) for p in longer.predictions) > sum(map(len, data.targets))
    finally:
        model.search.set(beam_size=before, lm_weight=0.2, length_bonus=0.2)


def test_what_stands_for_no_character_is_never_written(learnt):
    task, model, adapter, data = learnt
    batch = task.collate(adapter.encode(data))
    with torch.no_grad():
        outputs = model(batch)
        scores = outputs.scores.clone()
        scores[..., 1:4] += 100
        told = task.predict(model, batch, outputs._replace(scores=scores))
    assert [one.value for one in told] == list(data.targets)
    assert scores[0, 0, 1] > 50, "what was given is left as it was"


def test_references_are_stripped_and_lower_cased():
    task, _, adapter, data = make(["Ab", " bA ", "C"], media={"lowercase": True})
    assert task.references(task.collate(adapter.encode(data))) == ["ab", "ba", "c"]
    task, _, adapter, data = make(["Ab", " bA ", "C"])
    assert task.references(task.collate(adapter.encode(data))) == ["Ab", "bA", "C"]


def test_an_adapter_with_an_ngram_comes_back():
    _, _, adapter, _ = make(media={"ngram_order": 4})
    again = adapter_from_json(adapter_to_json(adapter))
    assert isinstance(again, MediaAdapter)
    assert again == adapter
    assert again.ngram.order == 4


def test_without_targets_there_are_only_answers(learnt):
    task, model, adapter, data = learnt
    results = answers(task, model, adapter.encode(MediaData("strokes", data.items, data.steps)))
    assert [one.value for one in results.predictions] == list(data.targets)
    assert (results.references, math.isnan(results.loss)) == ([], True)


# Transcripts that are too long


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_what_is_too_short_is_found_and_named(stride):
    texts = ["ab", "abcabc", "aaaa", "c", "abab", "cc"]
    data = strokes(texts, points=20)  # these are cut: 11 steps by two are 6, 6 are 3
    cut = [99, 11, 14, 99, 6, 14]
    items = [item[:n] for item, n in zip(data.items, cut, strict=True)]
    data = MediaData("strokes", items, np.array([len(item) for item in items]), texts, texts=True)
    adapter = SIDES["handwriting"].fit(data, DataConfig())
    task = TASKS["handwriting"](LossConfig(), adapter)
    config = ModelConfig(
        recipe="ctc-lstm", hidden_sizes=(4,), stem_channels=(4,), stem_kernel_sizes=(3,), stem_strides=(stride,)
    )
    examples = adapter.encode(data)
    model = task.build(config).eval()
    batch = task.collate(examples)
    fits = losses.ctc_fits(model(batch).lengths, batch.targets, batch.target_lengths)
    notes = too_short(model, examples, data.where)
    unfit = (~fits).nonzero().flatten().tolist()
    assert bool(unfit) == (stride > 1)
    if unfit:
        assert notes[0].startswith(f"{len(unfit)} of 6 to learn from are too short for their transcripts")
        assert f"{data.where(unfit[0])}: {steps_needed(examples[unfit[0]].target)} steps are needed" in notes[0]
    else:
        assert notes == []


def test_training_tells_what_is_too_short(tmp_path, capsys):
    data = strokes(WORDS * 3)
    short = list(data.items)
    short[5] = short[5][:3]
    data = MediaData("strokes", short, np.array([len(item) for item in short]), data.targets, texts=True)
    adapter = SIDES["handwriting"].fit(data, DataConfig())
    task = TASKS["handwriting"](LossConfig(), adapter)
    notes = too_short(task.build(SMALL).eval(), adapter.encode(data), data.where)
    assert notes == [
        "1 of 24 to learn from are too short for their transcripts and teach nothing. "
        f"The first is {data.where(5)}: 4 steps are needed"
    ]


def test_data_of_which_nothing_fits_are_refused():
    data = strokes(WORDS)
    items = [item[:1] for item in data.items]
    data = MediaData("strokes", items, np.ones(len(items), np.int64), ["abba"] * len(items), texts=True)
    adapter = SIDES["handwriting"].fit(data, DataConfig())
    task = TASKS["handwriting"](LossConfig(), adapter)
    with pytest.raises(DataError, match=r"none of 8.*5 steps are needed"):
        too_short(task.build(SMALL).eval(), adapter.encode(data), data.where)


# Options


def test_options_of_the_search_are_those_of_every_transcriber():
    resolved = resolve(ModelConfig(recipe="ctc-lstm"))
    assert (resolved.beam_size, resolved.lm_weight, resolved.length_bonus) == (8, 0.0, 0.0)
    with pytest.raises(ConfigError, match=r"model\.lm_weight: recipe \"lstm\" has no such option"):
        resolve(ModelConfig(recipe="lstm", lm_weight=0.5))
    assert resolve(ModelConfig(recipe="seq2seq")).beam_size > 1
    model = build(ModelConfig(recipe="ctc-lstm", beam_size=3), {"input_size": 2, "num_symbols": 9})
    assert model(torch.zeros(1, 5, 2)).shape == (1, 5, 9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beam_size": 8, "lm_weight": 0.5}, ConfigError, r"data\.media\.ngram_order above 0.*0\.5"),
        ({"beam_size": 1, "length_bonus": 0.5}, OptionError, r"beam_size of 1.*0\.5"),
        ({"beam_size": 0}, OptionError, "at least 1, got 0"),
        ({"beam_size": 4, "length_bonus": float("nan")}, OptionError, "nan"),
        ({"stem_channels": (8,)}, OptionError, "got 1, 0 and 0"),
        ({"pool": "max"}, ConfigError, "no such option"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    task, config, _, _ = make(**options)
    with pytest.raises(error, match=message):
        task.build(config)


def test_settings_for_other_tasks_are_refused():
    _, _, adapter, _ = make()
    with pytest.raises(ConfigError, match="label_smoothing"):
        TASKS["handwriting"](LossConfig(label_smoothing=0.1), adapter)


def test_recipes_of_transcribers_are_offered():
    assert gatewise.recipes.ctc_lstm(input_size=3, num_symbols=9)(torch.zeros(2, 4, 3)).shape == (2, 4, 9)
