"""Texts that are read on: the state is carried over batches, the training loop is that of every task."""

import math
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from gatewise.data.config import DataConfig, TextConfig
from gatewise.data.text import TextData
from gatewise.models.config import ModelConfig
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.training.averaging import PATIENCE, Averaging
from gatewise.training.carry import Carry, map_state
from gatewise.training.checkpoint import load_checkpoint
from gatewise.training.config import TrainConfig
from gatewise.training.evaluate import ROWS, measure, measuring_order, run_model
from gatewise.training.fit import InterruptedTraining, fit
from gatewise.training.progress import Silent
from gatewise.types import Batch, Example, State

TEXT = TextData(["so it goes on", "and on it goes", "until it ends"] * 6, lines=True)
SMALL = ModelConfig(recipe="lstm-lm", embedding_size=8, hidden_sizes=(8,))
CPU = Fabric(accelerator="cpu", devices=1)


def made(steps=5, **options):
    adapter = SIDES["language-model"].fit(TEXT, DataConfig(text=TextConfig(tokens="characters", steps=steps)))
    task = TASKS["language-model"](LossConfig(), adapter)
    torch.manual_seed(0)
    return task, task.build(replace(SMALL, **options)), adapter.encode(TEXT)


class StopAt(Silent):
    """Sends SIGINT after a number of steps, as Ctrl-C does."""

    def __init__(self, steps):
        self.left = steps

    def on_step(self, *, sequences, loss):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def trained(config, state_file, watcher=None, **options):
    task, model, examples = made(**options)
    fitted = fit(
        task, model, examples, examples[:20], config, fabric=CPU, state_file=state_file, watcher=watcher or Silent()
    )
    return fitted, load_checkpoint(state_file)


@pytest.mark.parametrize(
    "options",
    [{}, {"encoder": "gru"}, {"encoder": "rnn", "hidden_sizes": (6, 8)}, {"hidden_sizes": (6, 8)}],
    ids=["lstm", "gru", "two layers of rnn", "two layers"],
)
@pytest.mark.parametrize("average", ["none", "ema"])
@pytest.mark.parametrize("steps", [3, 13])
def test_interrupted_in_the_middle_of_a_text(tmp_path, steps, average, options):
    """The resumed training has the state of every row, and ends with the same bits."""
    config = TrainConfig(epochs=2, batch_size=4, lr=0.01, average=average)
    expected, whole = trained(config, tmp_path / "whole", **options)
    with pytest.raises(InterruptedTraining, match=f"after step {steps}"):
        trained(config, tmp_path / "stopped", StopAt(steps), **options)
    stopped = load_checkpoint(tmp_path / "stopped")
    assert stopped.carried, "the state of the rows is kept"
    fitted, after = trained(config, tmp_path / "stopped", **options)
    for name, value in expected.weights.items():
        assert torch.equal(fitted.weights[name], value), name
    for name, value in whole.model.items():
        assert torch.equal(after.model[name], value), name
    assert fitted.progress == expected.progress


def test_the_recipe_of_awd_lstm(tmp_path):
    """Plain SGD, all its dropouts and penalties, and an average from the first stall on: stopped, it goes on."""
    options = {"recipe": "awd-lstm", "hidden_sizes": (12, 8)}
    config = TrainConfig(
        epochs=10, batch_size=4, optimizer="sgd", lr=1e-9, schedule="constant", average="triggered", clip_norm=0.25
    )
    expected, whole = trained(config, tmp_path / "whole", **options)
    assert whole.average, "a training that learns nothing stalls"
    steps = whole.progress.step // 10
    with pytest.raises(InterruptedTraining):
        trained(config, tmp_path / "stopped", StopAt(9 * steps + 1), **options)
    fitted, after = trained(config, tmp_path / "stopped", **options)
    for name, value in whole.average.items():
        assert torch.equal(after.average[name], value), name
    assert fitted.progress == expected.progress


def test_the_state_matters(tmp_path, monkeypatch):
    """With the state thrown away between batches the training would be another one."""
    config = TrainConfig(epochs=1, batch_size=4, lr=0.01)
    with_state, _ = trained(config, tmp_path / "a")
    monkeypatch.setattr(Carry, "keep", lambda self, state, positions: None)
    without, _ = trained(config, tmp_path / "b")
    assert any(not torch.equal(value, without.weights[name]) for name, value in with_state.weights.items())


def test_measured_loss_is_that_of_the_whole_text():
    """In stretches of any length, with the state carried, the loss of a text is that of the text at once."""
    losses = []
    for steps in (4, 7, 1000):
        task, model, examples = made(steps)
        losses.append(measure(task, run_model(task, model, examples, fabric=CPU, batch_size=9)))
    for found in losses[1:]:
        assert found["perplexity"] == pytest.approx(losses[0]["perplexity"], rel=1e-4)
        assert found["bits_per_character"] == pytest.approx(losses[0]["bits_per_character"], rel=1e-4)
    # A character is a token here, so both say the same.
    assert math.log2(losses[0]["perplexity"]) == pytest.approx(losses[0]["bits_per_character"], rel=1e-6)


def test_how_a_long_text_is_measured_does_not_depend_on_the_batch_size():
    examples = [Example(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), k > 0) for k in range(400)]
    orders = [measuring_order(examples, batch_size) for batch_size in (1, 7, 64)]
    for order in orders[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(orders[0], order, strict=True))
    assert len(orders[0][0]) == ROWS
    assert len(measuring_order(examples[:40], 64)[0]) == 1  # a short one is read from its beginning


def batch_of(rows):
    return Batch(torch.zeros(rows, 1, dtype=torch.int64), torch.ones(rows, dtype=torch.int64))


def test_rows_go_on_where_their_example_follows():
    carry = Carry()
    follows, begins = Example(np.zeros(1)), Example(np.zeros(1))
    follows = follows._replace(follows=True)
    first = np.array([0, 10, 20])
    batch, state = carry.resume(batch_of(3), [begins, follows, follows], first)
    assert state is None and batch.continues is None
    h = torch.arange(1.0, 7).view(1, 3, 2)
    carry.keep((State(h, -h),), first)
    # The first goes on; the second jumps; the third is the next one but begins anew.
    batch, state = carry.resume(batch_of(3), [follows, follows, begins], np.array([1, 12, 21]))
    assert batch.continues.tolist() == [True, False, False]
    assert state[0].h.tolist() == [[[1, 2], [0, 0], [0, 0]]] and state[0].c.tolist() == [[[-1, -2], [0, 0], [0, 0]]]
    # Rows that have ended are gone; rows that come in begin with zeros.
    _, fewer = carry.resume(batch_of(2), [follows, follows], np.array([1, 11]))
    assert fewer[0].h.tolist() == [[[1, 2], [3, 4]]]
    _, more = carry.resume(batch_of(4), [follows] * 4, np.array([1, 11, 21, 31]))
    assert more[0].h.tolist() == [[[1, 2], [3, 4], [5, 6], [0, 0]]]


def test_rows_begin_anew_by_chance():
    examples = [Example(np.zeros(1), follows=True)] * 4000
    carry = Carry(reset=0.1)
    carry.keep(torch.ones(1, 4000, 2), np.arange(4000))
    torch.manual_seed(0)
    batch, state = carry.resume(batch_of(4000), examples, np.arange(1, 4001))
    assert 0.08 < 1 - batch.continues.float().mean() < 0.12
    assert torch.equal(state[0, :, 0] == 0, ~batch.continues)


def test_no_gradient_reaches_the_batch_before():
    carry = Carry()
    state = (State(torch.ones(1, 2, 3, requires_grad=True) * 2, torch.ones(1, 2, 3)),)
    carry.keep(state, np.array([0, 1]))
    assert not carry.state[0].h.requires_grad


@pytest.mark.parametrize("state", [torch.ones(1, 2, 3), (State(torch.ones(1, 2, 3), torch.zeros(1, 2, 3)),) * 2])
def test_a_carried_state_comes_back_from_its_file(state):
    carry = Carry()
    carry.keep(state, np.array([4, 9]))
    again = Carry.from_tensors(carry.to_tensors(), torch.device("cpu"))
    assert again.positions.tolist() == [4, 9]
    both = []
    map_state(lambda part: both.append(part) or part, carry.state)
    map_state(lambda part: both.append(part) or part, again.state)
    half = len(both) // 2
    assert all(torch.equal(one, other) for one, other in zip(both[:half], both[half:], strict=True))


def test_an_exponential_average_soon_forgets_the_beginning():
    model = torch.nn.Linear(1, 1, bias=False)
    averaging = Averaging(model, "ema")
    with torch.no_grad():
        model.weight.fill_(100.0)
        averaging.step()
        for _ in range(60):
            model.weight.fill_(1.0)
            averaging.step()
    with averaging.applied():
        assert abs(model.weight.item() - 1) < 0.1
    assert model.weight.item() == 1.0


def test_the_triggered_average_is_the_mean_since_the_stall():
    model = torch.nn.Linear(1, 1, bias=False)
    averaging = Averaging(model, "triggered")
    losses = [3.0, 2.0, 1.0]
    for epoch in range(3 + PATIENCE):
        averaging.end_epoch(losses[:epoch])
        assert averaging.average is None
        losses.append(1.5)  # no better than the third
    averaging.end_epoch(losses[: 3 + PATIENCE])
    assert averaging.average is not None
    with torch.no_grad():
        for value in (1.0, 2.0, 6.0):
            model.weight.fill_(value)
            averaging.step()
    with averaging.applied():
        assert model.weight.item() == pytest.approx(3.0)
    assert model.weight.item() == 6.0


@pytest.mark.parametrize("way", ["ema", "triggered"])
def test_what_counts_batches_is_not_averaged(way):
    """Scheduled sampling counts its calls in a whole number."""
    model = torch.nn.BatchNorm1d(1)
    averaging = Averaging(model, way)
    averaging.begin()
    for count in (1, 2, 3, 7):
        model.num_batches_tracked.fill_(count)
        averaging.step()
    with averaging.applied():
        assert model.num_batches_tracked == 7


@pytest.mark.parametrize("processes", [2, 5])
def test_more_processes_than_rows_to_measure(processes):
    """Where rows cannot be dealt out, each process measures all: nobody waits, nothing is left out."""
    task, model, examples = made(8)
    few = examples[:5]
    assert len(measuring_order(few, 4)[0]) < processes
    alone = run_model(task, model, few, fabric=CPU, batch_size=4)
    several = SimpleNamespace(device=CPU.device, world_size=processes, global_rank=1)
    assert run_model(task, model, few, fabric=several, batch_size=4) == alone
