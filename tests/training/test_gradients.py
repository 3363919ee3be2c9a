"""The watch on gradients: what is written down, what is warned of, and that nothing else changes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

import gatewise
from gatewise.data.config import DataConfig
from gatewise.data.dataset import SequenceData
from gatewise.errors import RunError
from gatewise.models.config import ModelConfig
from gatewise.models.recipes import RECIPES
from gatewise.models.sequence_model import BatchModel
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.training import fit as fitting
from gatewise.training.checkpoint import Progress, load_checkpoint
from gatewise.training.config import TrainConfig
from gatewise.training.fit import InterruptedTraining, fit
from gatewise.training.gradients import Watch, _spread, entered, gradient_norm, reach
from gatewise.training.progress import Silent
from gatewise.types import Batch


def series(count=48, steps=12, *, of="regression", seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=(steps - i % 3, 1)) for i in range(count)]
    targets = [[float(x.sum())] if of == "regression" else str(int(x[0, 0] > 0)) for x in values]
    return SequenceData(values, targets, ("a",), ("target",))


def begin(tmp_path, config, model, *, of="regression", data=None, name="state"):
    data = data or series(of=of)
    adapter = SIDES[of].fit(data, DataConfig())
    task = TASKS[of](LossConfig(), adapter)
    torch.manual_seed(0)
    built = task.build(model)
    examples = adapter.encode(data)
    watcher = Noting()

    def run(watcher=watcher):
        return fit(
            task, built, examples[:-8], examples[-8:], config, fabric=Fabric(accelerator="cpu", devices=1),
            state_file=tmp_path / f"{name}.safetensors", watcher=watcher,
        )  # fmt: skip

    return run, built, watcher, task, examples


class Noting(Silent):
    def __init__(self):
        self.notes, self.epochs = [], []

    def on_note(self, note):
        self.notes.append(note)

    def on_epoch(self, epoch):
        self.epochs.append(epoch)


SMALL = ModelConfig(hidden_sizes=(5,))


@pytest.mark.parametrize("clip_norm", [0.0, 0.2])
def test_lengths_are_those_before_clipping(tmp_path, monkeypatch, clip_norm):
    """Against the gradients themselves, looked at where they have just been made."""
    seen = []
    backward = Fabric.backward

    def spy(self, loss, *args, **kwargs):
        backward(self, loss, *args, **kwargs)
        seen.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm().item())

    monkeypatch.setattr(Fabric, "backward", spy)
    run, model, watcher, _, _ = begin(tmp_path, TrainConfig(epochs=2, batch_size=10, clip_norm=clip_norm), SMALL)
    run()
    epochs = np.array(seen).reshape(2, 4)
    assert [epoch.grad_norm for epoch in watcher.epochs] == pytest.approx(epochs.mean(1).tolist(), rel=1e-5)
    if clip_norm:
        assert [epoch.clipped for epoch in watcher.epochs] == (epochs > clip_norm).mean(1).tolist()
        assert 0 < watcher.epochs[0].clipped <= 1
    else:
        assert watcher.epochs[0].clipped is None


def test_training_is_bitwise_as_without_the_watch(tmp_path, monkeypatch):
    config = TrainConfig(epochs=3, batch_size=10)
    watched, _, _, _, _ = begin(tmp_path, config, SMALL)
    with_watch = watched().weights
    monkeypatch.setattr(fitting, "reach", lambda *arguments: None)
    monkeypatch.setattr(Watch, "take", lambda self, norm: None)
    alone, _, watcher, _, _ = begin(tmp_path, config, SMALL, name="alone")
    without = alone().weights
    assert watcher.epochs[0].grad_norm is None
    assert all(torch.equal(value, without[name]) for name, value in with_watch.items())


class StopAt(Noting):
    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_step(self, *, sequences, loss):
        self.left -= 1
        if self.left == 0:
            fitting.signal.raise_signal(fitting.signal.SIGINT)


@pytest.mark.parametrize(("steps", "held"), [(2, 2), (5, 1), (8, 4)])
def test_resumed_training_writes_and_warns_the_same(tmp_path, steps, held):
    config = TrainConfig(epochs=3, batch_size=10, clip_norm=0.0, lr=1.0, optimizer="sgd")
    model = ModelConfig(hidden_sizes=(5,), encoder="rnn", pool="last")
    run, _, whole, _, _ = begin(tmp_path, config, model, name="whole")
    run()
    assert len(whole.notes) == 1
    first, stop = begin(tmp_path, config, model)[0], StopAt(steps)
    with pytest.raises(InterruptedTraining):
        first(stop)
    assert len(load_checkpoint(tmp_path / "state.safetensors").progress.norms) == held
    second, _, rest, _, _ = begin(tmp_path, config, model)
    second()
    assert stop.notes + rest.notes == whole.notes
    numbers = [(epoch.grad_norm, epoch.clipped) for epoch in stop.epochs + rest.epochs]
    assert numbers == [(epoch.grad_norm, epoch.clipped) for epoch in whole.epochs]


def test_exploding_is_told_once_with_what_to_do(tmp_path):
    """A plain RNN at a rate far too high, and nothing that shortens."""
    config = TrainConfig(epochs=4, batch_size=10, clip_norm=0.0, lr=1.0, optimizer="sgd")
    run, _, watcher, _, _ = begin(tmp_path, config, ModelConfig(hidden_sizes=(5,), encoder="rnn", pool="last"))
    run()
    (note,) = watcher.notes
    assert note.startswith("Gradients explode: the longest in epoch ")
    assert note.endswith("Shorten them with train.clip_norm (now 0; 1 is usual), or lower train.lr (now 1)")
    assert run().progress.warned == ["exploding"]


def test_vanishing_is_told_once_with_what_to_do(tmp_path):
    data = series(40, 200, of="classification")
    model = ModelConfig(hidden_sizes=(5,), encoder="rnn", pool="last", bidirectional=False)
    config = TrainConfig(epochs=5, batch_size=32)
    run, _, watcher, task, examples = begin(tmp_path, config, model, of="classification", data=data)
    run()
    (note,) = watcher.notes
    assert note.startswith("Gradients vanish: the beginning of a sequence of ")
    assert 'If it matters: model.encoder "lstm", model.pool "mean" or "attention", model.bidirectional true' in note
    # The same model with the steps pooled has nothing to complain of.
    pooled = task.build(replace(model, pool="mean"))
    found = reach(task, pooled, examples, torch.device("cpu"))
    assert found.least > 1e-3


def test_reach_is_measured_where_gradients_must_go_all_the_way():
    def wanted(epoch, pool):
        model = RECIPES["lstm"](1, 2, hidden_sizes=(3,), pool=pool)
        return Watch(1.0, 0.1).wants_reach(Progress(epoch=epoch), model)

    assert [epoch for epoch in range(1, 40) if wanted(epoch, "last")] == [1, 2, 3, 5, 9, 17, 33]
    assert not any(wanted(1, pool) for pool in ("mean", "max", "attention", "none"))


@pytest.mark.parametrize(
    ("of", "model"),
    [
        ("classification", ModelConfig()),
        ("classification", ModelConfig(recipe="bilstm", hidden_sizes=(8, 8))),
        ("classification", ModelConfig(recipe="lstm-fcn")),
        ("regression", ModelConfig()),
        ("regression", ModelConfig(encoder="gru", pool="mean")),
    ],
    ids=["lstm", "bilstm", "lstm-fcn", "regression", "gru"],
)
def test_nothing_is_told_where_nothing_is_wrong(tmp_path, of, model):
    config = TrainConfig(epochs=5, batch_size=16)
    run, _, watcher, _, _ = begin(tmp_path, config, model, of=of, data=series(64, 40, of=of))
    run()
    assert watcher.notes == []


def test_reach_is_measured_by_the_gradient_of_the_loss(tmp_path):
    """Against autograd, row by row and alone."""
    model = ModelConfig(hidden_sizes=(5,), pool="last", bidirectional=False)
    data = series(6, 50)
    _, built, _, task, examples = begin(tmp_path, TrainConfig(), model, data=data)
    built.train()
    found = reach(task, built, examples, torch.device("cpu"))
    assert built.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in built.parameters())
    built.eval()
    least = []
    for example in examples:
        batch = task.collate([example])
        x = batch.inputs.clone().requires_grad_()
        task.loss(built(batch._replace(inputs=x)), batch).total.backward()
        tenths = np.array([part.mean() for part in np.array_split(x.grad[0].norm(dim=1).numpy(), 10)])
        least.append(tenths.min() / tenths.max())
    assert found.least == pytest.approx(sorted(least)[3], rel=1e-3)
    assert found.tenth == 0
    assert found.steps == 50


def test_spread():
    norms = np.zeros((3, 30))
    norms[0, :20] = np.repeat(np.arange(1, 11), 2)  # a row of 20 steps, padded behind
    norms[1, :5] = 1  # too short to have tenths
    real = np.arange(30) < np.array([20, 5, 0])[:, None]
    assert _spread(norms, real) == (0.1, 0, 20)
    assert _spread(norms[1:], real[1:]) is None
    assert _spread(norms[:1, ::-1], real[:1, ::-1]) == (0.1, 9, 20)


def test_what_was_not_observed_has_no_gradient_to_lose(tmp_path):
    """A forecaster's window whose beginning is a gap."""
    file = tmp_path / "series.csv"
    t = np.arange(150)
    file.write_text("a\n" + "".join(f"{value:.3f}\n" for value in np.sin(t / 3)))
    settings = {
        "train.epochs": 1, "train.threads": 1, "model.hidden_sizes": [4], "model.patch_size": 2, "model.skip": "none",
        "data.series.context_length": 40, "data.series.horizon": 2, "data.valid_fraction": 0.0,
    }  # fmt: skip
    run = gatewise.train("forecasting", data=str(file), out=tmp_path / "run", settings=settings, progress=False)
    window = run.adapter.encode(run.read(file, require_target=True))[0]
    past = window.input.past.copy()
    past[:8, :2] = 0  # neither a value nor the mark that there is one
    gap = window._replace(input=window.input._replace(past=past))
    found = reach(run.task, run._batch_model, [gap], torch.device("cpu"))
    assert found.least > 0
    assert found.steps == 32


def test_entry_of_tokens_is_what_the_encoder_reads():
    torch.manual_seed(0)
    model = BatchModel(RECIPES["text-lstm"](30, 3, embedding_size=6, hidden_sizes=(4,))).eval()
    tokens, lengths = torch.randint(4, 30, (2, 7)), torch.tensor([7, 3])
    entry = entered(model, Batch(tokens, lengths))
    assert not entry.numbers
    assert torch.equal(entry.lengths, lengths)
    assert torch.equal(entry.x[0], model.model.embedding(tokens)[0])
    (gradient,) = torch.autograd.grad(entry.outputs.scores.sum(), entry.x)
    assert gradient[1, :3].any()
    assert not gradient[1, 3:].any()
    assert not model.model.encoder._forward_pre_hooks


def test_infinite_lengths_of_float16_are_left_out():
    watch, progress = Watch(1.0, 0.1), Progress(epoch=1)
    for norm in (0.5, float("inf"), 1.5):
        watch.take(torch.tensor(norm))
    assert watch.end_epoch(progress) == (1.0, 0.5, [])
    assert watch.end_epoch(progress) == (None, None, [])


def test_long_gradients_are_told_in_spite_of_clipping():
    watch, progress = Watch(1.0, 0.1), Progress(epoch=1)
    for norm, told in ((2.0, 0), (150.0, 0), (250.0, 1), (250.0, 0)):
        watch.take(torch.tensor(norm))
        notes = watch.end_epoch(progress)[2]
        assert len(notes) == told, norm
        progress.epoch += 1
    spiky = Watch(1.0, 0.1)
    for norm in [1.0] * 20 + [5000.0]:
        spiky.take(torch.tensor(norm))
    assert spiky.end_epoch(Progress(epoch=1))[2] == []  # it was shortened: that is what clipping is for


def test_length_of_the_gradient():
    layer = nn.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    assert float(gradient_norm(layer.parameters())) == pytest.approx(8**0.5)


def test_a_loss_that_exploded_names_clipping(tmp_path):
    run, model, _, _, _ = begin(tmp_path, TrainConfig(epochs=1, batch_size=10, clip_norm=0.0), SMALL)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(RunError, match=r"Lower train\.lr, shorten gradients \(train\.clip_norm, now 0\), or look"):
        run()


def test_metrics_and_report_have_them(tmp_path):
    data = series(24, of="classification")
    run = gatewise.train(
        "classification", data=data.sequences, targets=data.targets, out=tmp_path / "run",
        settings={"train.epochs": 2, "model.hidden_sizes": [4]}, progress=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["grad_norm"] > 0 and 0 <= line["clipped"] <= 1 for line in lines)
    assert "gradient length" in run.path.joinpath("report.html").read_text()
