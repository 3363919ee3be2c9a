"""The memory of trained runs, of every kind of answer, against gradients by hand and by differences."""

import math

import numpy as np
import pytest
import torch

import gatewise
from gatewise.api.memory import JOINED, in_words
from gatewise.errors import DataError, OptionError, RunError
from gatewise.inspection.memory import Horizon, within
from gatewise.nn.crf import log_partition
from gatewise.tasks import TASKS
from texts import WRITERS, train_all

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(8 + i % 5, 2)) for i in range(20)]
Y = ["up" if x[0, 0] > 0 else "down" for x in X]
SETTINGS = {"train.epochs": 1, "train.threads": 1, "model.hidden_sizes": [4]}


def trained(out, task="classification", settings=None, **data):
    settings = {**SETTINGS, **(settings or {})}
    return gatewise.train(task, out=out, settings=settings, progress=False, report=False, **data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"model.pool": "last", "model.bidirectional": False}
    return trained(tmp_path_factory.mktemp("memory") / "run", settings=settings, data=X, targets=Y)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return train_all(tmp_path_factory.mktemp("texts"))


def gradient_lengths(run, sequence, target=None):
    """By autograd, of one sequence alone: of the largest score, or of the loss."""
    (example,) = run.adapter.encode(gatewise.data.from_python([sequence]))
    x = torch.tensor(example.input)[None].requires_grad_()
    scores = run.model(x)
    if target is None:
        value = scores.max()
    else:
        wanted = torch.tensor([run.classes.index(target)])
        value = torch.nn.functional.cross_entropy(scores, wanted, label_smoothing=0.1)
    (gradient,) = torch.autograd.grad(value, x)
    return gradient[0].norm(dim=1).numpy().astype(float)


def test_of_a_classification(run):
    told = []
    found = run.memory(X, Y, rows=[0, 3, 7], on_batch=told.append)
    assert sum(told) == 3
    assert found.rows == (0, 3, 7)
    assert found.answers == 3
    assert found.unit == "step"
    (horizon,) = found.horizons
    assert horizon is found.horizon
    assert horizon.name == "end"
    sums = np.zeros((2, 12))
    counts = np.zeros(12)
    for row in found.rows:
        length = len(X[row])
        sums[0, :length] += gradient_lengths(run, X[row])[::-1]
        sums[1, :length] += gradient_lengths(run, X[row], Y[row])[::-1]
        counts[:length] += 1
    counts = counts[counts > 0]
    sums = sums[:, : len(counts)]
    means = sums / counts
    assert horizon.counts.tolist() == counts.tolist()
    assert horizon.influence == pytest.approx(means[0] / means[0].max(), rel=1e-4)
    assert horizon.loss_influence == pytest.approx(means[1] / means[1].max(), rel=1e-4)
    assert horizon.ninety == pytest.approx(within(sums[0], 0.9), rel=1e-4)
    assert horizon.loss_half == pytest.approx(within(sums[1], 0.5), rel=1e-4)
    assert found.words == (
        f"Half of what decides lies within the last {math.ceil(horizon.half)} steps, nine tenths within "
        f"{math.ceil(horizon.ninety)}, in a sequence of {len(X[7])} steps (the median)."
    )


def test_without_targets_there_is_no_loss(run):
    found = run.memory(X, count=2)
    assert len(found.rows) == 2
    assert found.horizon.loss_influence is None
    assert np.isnan(found.horizon.loss_half)
    assert found.flow[0].hidden.max() > 0  # of the answer


def test_flow_and_spectrum_of_a_run(run):
    found = run.memory(X, Y, rows=[2, 4])
    (flow,) = found.flow
    assert found.flow_rows == (2, 4)
    assert flow.layer == "encoder.layers.0"
    steps = flow.lengths.tolist()
    assert flow.hidden.shape == (2, max(steps), 1)
    assert (flow.hidden[0, : steps[0]] > 0).all()
    (spectrum,) = found.spectrum
    assert len(spectrum.largest) == sum(steps)  # every step, of so small a layer
    assert (spectrum.largest > 0).all()


@pytest.mark.parametrize("encoder", ["gru", "rnn"])
def test_of_other_layers_there_is_no_spectrum(tmp_path, encoder):
    run = trained(tmp_path / "run", settings={"model.encoder": encoder, "model.pool": "last"}, data=X, targets=Y)
    found = run.memory(X, Y, rows=[0, 1])
    assert found.spectrum == ()
    assert found.horizon.name == "ends"
    (flow,) = found.flow
    assert flow.cell is None
    assert flow.hidden.shape[2] == 2
    assert flow.hidden.max() > 0


def test_nothing_of_the_run_is_changed(run):
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    answers = run.predict_proba(X)
    state = torch.random.get_rng_state()
    run.memory(X, Y, count=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    assert not any(module.training for module in run.model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in run.model.parameters())
    np.testing.assert_array_equal(run.predict_proba(X), answers)


def test_the_same_seed_looks_at_the_same(run):
    first, same = run.memory(X, count=5), run.memory(X, count=5)
    assert first.rows == same.rows
    assert np.array_equal(first.horizon.influence, same.horizon.influence)
    assert run.memory(X, count=5, seed=1).rows != first.rows


@pytest.mark.parametrize("pool", ["max", "mean", "attention"])
def test_of_pooled_answers_what_steps_pass_on_comes_first(tmp_path, pool):
    run = trained(tmp_path / "run", settings={"model.pool": pool}, data=X, targets=Y)
    found = run.memory(X, count=4, steps=3)
    assert [one.name for one in found.horizons] == ["passed past", "passed future", "ends", "end", "beginning"]
    assert found.words.startswith("Of what the encoder passes on at a step, half comes from the ")
    assert found.horizon.counts[0] == 4 * 3


def test_of_numbers_a_step(tmp_path):
    """Against differences in float64: of each drawn step no value may be off."""
    targets = [x.cumsum(0) for x in X]
    settings = {"model.bidirectional": False, "train.precision": "64", "model.stem_channels": []}
    run = trained(tmp_path / "run", "regression", settings, data=X, targets=targets)
    found = run.memory(X, targets, rows=[1], steps=1)
    (horizon,) = found.horizons
    assert horizon.name == "past"
    now = len(horizon.lags) - 1
    (example,) = run.adapter.encode(gatewise.data.from_python([X[1]]))
    x = torch.tensor(example.input).double()

    def answers(t, i, change):
        moved = x.clone()
        moved[t, i] += change
        with torch.no_grad():
            return run.model(moved[None])[0, now]

    slopes = torch.stack(
        [torch.stack([(answers(t, i, 1e-6) - answers(t, i, -1e-6)) / 2e-6 for i in range(2)]) for t in range(now + 1)]
    )  # [T, I, K]
    norms = slopes.norm(dim=1).flip(0)  # [lags, K]
    which = [k for k in range(2) if np.allclose(norms[:, k] / norms[:, k].max(), horizon.influence, rtol=1e-5)]
    assert len(which) == 1  # one of the numbers, drawn by lot
    assert horizon.scale == pytest.approx(float(norms[:, which[0]].max()), rel=1e-5)
    assert horizon.loss_influence is not None


def test_of_a_text(texts):
    run = gatewise.load(texts / "text-classification")
    found = run.memory(texts / "text-classification.txt", count=3)
    assert found.unit == "token"
    assert found.by == "the vector of each token that the first recurrent layer over them reads"
    assert found.horizon.name == "passed past"
    assert {one.name: one.loss_influence is not None for one in found.horizons}["ends"]


def test_of_tags_the_loss_is_that_of_the_right_tag(texts):
    """The probability of a tag is that of all sequences that have it, over that of all."""
    run = gatewise.load(texts / "tagging")
    found = run.memory(texts / "tagging.txt", rows=[0], steps=1)
    past = found.horizon
    assert past.name == "past"
    data = run.read(texts / "tagging.txt", require_target=True)
    task, example = TASKS["tagging"](run.config.loss, run.adapter), run.adapter.encode(data)[0]
    batch = task.collate([example])
    model, seen = run.model, []
    handle = model.encoder.register_forward_pre_hook(
        lambda module, args: (seen.append(args[0].detach().requires_grad_()), *args[1:])[1:] and (seen[0], *args[1:])
    )
    scores = model(batch.inputs, batch.lengths)
    handle.remove()
    now = len(past.lags) - 1
    tag = batch.targets[0, now]
    others = torch.arange(scores.shape[-1]) != tag
    with_it = scores.masked_fill(others & (torch.arange(scores.shape[1]) == now)[None, :, None, None], -1e4)
    loss = log_partition(scores, batch.lengths) - log_partition(with_it, batch.lengths)
    (gradient,) = torch.autograd.grad(loss.sum(), seen[0])
    norms = gradient[0, : now + 1].norm(dim=1).flip(0).numpy()
    assert past.loss_scale == pytest.approx(norms.max(), rel=1e-3)
    assert past.loss_influence == pytest.approx(norms / norms.max(), rel=1e-3, abs=1e-5)


def test_of_a_text_that_is_read_on(texts):
    """Stretches are put together: nothing is remembered only because the stretch ended."""
    run = gatewise.load(texts / "language-model")
    found = run.memory(texts / "language-model.txt", count=2, steps=2)
    (past,) = found.horizons
    assert past.name == "past"
    assert run.config.data.text.steps < JOINED
    assert len(past.lags) > run.config.data.text.steps
    assert past.loss_influence is not None
    assert found.words.startswith("Half of what decides the answer to a token lies within the ")


def test_of_a_translation_there_is_none(texts):
    with pytest.raises(
        RunError, match=r"expected a model that reads one sequence, got a run of translation, .*attention"
    ):
        gatewise.load(texts / "translation").memory(texts / "translation.txt")
    assert set(WRITERS) >= {"translation"}


@pytest.mark.parametrize("distribution", ["squared", "quantile", "student-t"])
def test_of_a_forecast(tmp_path, distribution):
    file = tmp_path / "series.csv"
    t = np.arange(160)
    rows = [f"{x:.3f},{y:.3f}" for x, y in zip(np.sin(t / 3), np.cos(t / 5), strict=True)]
    file.write_text("a,b\n" + "\n".join(rows) + "\n")
    settings = {
        "data.series.context_length": 16,
        "data.series.horizon": 4,
        "model.patch_size": 4,
        "model.embedding_size": 4,
        "loss.distribution": distribution,
    }
    run = trained(tmp_path / "run", "forecasting", settings, data=str(file))
    found = run.memory(file, rows=[2], steps=1)
    (horizon,) = found.horizons
    assert horizon.name == "forecast"
    assert horizon.lags.tolist() == list(range(1, 17))
    assert found.words.startswith("Half of what decides a forecast lies within the last ")
    assert found.words.endswith("in a sequence of 16 steps (the median).")
    # By differences of the point forecast, in the units of the window: one of its steps and channels fits, throughout.
    data = run.read(file, require_target=True)
    example = run.adapter.encode(data)[2]
    task = TASKS["forecasting"](run.config.loss, run.adapter)
    model = run._batch_model.double()

    def point(step, channel, change):
        batch = task.collate([example])
        past = batch.inputs.past.double()
        past[0, step, channel] += change
        with torch.no_grad():
            batch = batch._replace(inputs=batch.inputs._replace(past=past))
            answer = np.array(task.predict(model, batch, model(batch))[0].value)
        return (answer - np.asarray(example.input.loc)) / np.asarray(example.input.scale)

    slopes = np.array([[(point(t, k, 1e-5) - point(t, k, -1e-5)) / 2e-5 for k in range(2)] for t in range(16)])
    norms = np.linalg.norm(slopes, axis=1)[::-1]  # [16, h, K]
    fits = [
        np.allclose(norms[:, j, k] / norms[:, j, k].max(), horizon.influence, atol=1e-3)
        for j in range(4)
        for k in range(2)
    ]
    assert sum(fits) == 1


def test_bad_input(run):
    with pytest.raises(OptionError, match=r"rows: expected 0 to 19, got 20\. memory has 20 sequences"):
        run.memory(X, rows=[3, 20])
    with pytest.raises(OptionError, match=r"rows: expected numbers of rows, got \[\]"):
        run.memory(X, rows=[])
    with pytest.raises(OptionError, match="count: expected at least 1, got 0"):
        run.memory(X, count=0)
    with pytest.raises(OptionError, match="steps: expected at least 1, got 0"):
        run.memory(X, steps=0)
    with pytest.raises(DataError, match="expected data, got none, and the run has no test file"):
        run.memory()
    with pytest.raises(DataError, match="expected at least one sequence, got none"):
        run.memory([])


def one(name, half, ninety):
    return Horizon(name, np.arange(3), np.ones(3), 1.0, np.ones(3, int), half, ninety)


def test_words():
    said = in_words([one("ends", 11.2, 79.9), one("end", 5, 6)], unit="step", length=500)
    where = "in a sequence of 500 steps (the median)"
    assert said == f"Half of what decides lies within 12 steps of either end, nine tenths within 80, {where}."
    assert in_words([one("end", 0.2, 6)], unit="step", length=500) == (
        f"Half of what decides lies within the last step, nine tenths within 6, {where}."
    )
    said = in_words([one("past", 0.8, 2.4), one("future", 0.4, 3)], unit="token", length=20)
    assert said == (
        "Half of what decides the answer to a token lies within the token itself, nine tenths within 3. "
        "Of what it knows of later tokens, half lies within 1 token, nine tenths within 3."
    )
    nothing = Horizon("end", np.arange(3), np.zeros(3), 0.0, np.ones(3, int), math.nan, math.nan)
    assert in_words([nothing], unit="step", length=3) == "Nothing in the input moves the answers."
