"""The training loop: exact, resumable, deterministic."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from gatewise.data.config import DataConfig
from gatewise.data.dataset import SequenceData
from gatewise.errors import RunError
from gatewise.models.config import ModelConfig
from gatewise.tasks import SIDES, TASKS, LossConfig
from gatewise.training.checkpoint import Progress, load_checkpoint
from gatewise.training.config import TrainConfig
from gatewise.training.fit import InterruptedTraining, fit, is_better, make_schedule
from gatewise.training.progress import Silent


def toy(count=24, seed=0):
    """Ragged sequences whose mean tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count)
    sequences = [rng.normal(label, 1.0, size=(rng.integers(3, 9), 2)) for label in labels]
    return SequenceData(sequences, [str(label) for label in labels], ("a", "b"), ("label",))


def setup(config, tmp_path, data=None):
    data = data or toy()
    adapter = SIDES["classification"].fit(data, DataConfig())
    task = TASKS["classification"](LossConfig(), adapter)
    torch.manual_seed(config.seed)
    model = task.build(ModelConfig(hidden_sizes=(5,)))
    examples = adapter.encode(data)
    state_file = tmp_path / "state.safetensors"

    def run(watcher=None, state_file=state_file):
        return fit(
            task,
            model,
            examples[:16],
            examples[16:],
            config,
            fabric=Fabric(accelerator="cpu", devices=1),
            state_file=state_file,
            watcher=watcher or Silent(),
        )

    return run, model, state_file


class StopAt(Silent):
    """Sends SIGINT after a number of steps, as Ctrl-C does."""

    def __init__(self, steps):
        self.left = steps

    def on_step(self, *, sequences, loss):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("schedule", ["one-cycle", "plateau", "constant"])
@pytest.mark.parametrize("steps", [1, 5, 8])
def test_interrupted_and_resumed_is_bitwise_the_same(tmp_path, schedule, steps):
    config = TrainConfig(epochs=4, batch_size=4, schedule=schedule, lr=0.01)
    run, _, _ = setup(config, tmp_path)
    expected = run(state_file=tmp_path / "whole.safetensors")
    run, _, state_file = setup(config, tmp_path)
    with pytest.raises(InterruptedTraining, match=f"after step {steps}"):
        run(StopAt(steps))
    assert load_checkpoint(state_file).progress.step == steps
    run, model, _ = setup(replace(config, seed=0), tmp_path)
    fitted = run()
    for name, value in expected.weights.items():
        assert torch.equal(fitted.weights[name], value), name
    whole = load_checkpoint(tmp_path / "whole.safetensors")
    for name, value in whole.model.items():
        assert torch.equal(model.state_dict()[name], value), name
    assert fitted.progress == whole.progress


def test_randomness_outside_is_left_alone(tmp_path):
    run, _, _ = setup(TrainConfig(epochs=1, batch_size=4), tmp_path)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    run()
    assert torch.equal(torch.rand(3), expected)


def test_one_step_is_adam_on_the_mean_loss(tmp_path):
    """The loop's first step against the same written out with torch alone."""
    config = TrainConfig(epochs=1, batch_size=16, schedule="constant", lr=0.01, clip_norm=0.0, weight_decay=0.0)
    # No convolution: Adam's first step is the sign of the gradient, and that of normalised weights is nearly zero.
    plain = ModelConfig(hidden_sizes=(5,), dropout=0.0, stem_channels=())
    data = toy()
    adapter = SIDES["classification"].fit(data, DataConfig())
    task = TASKS["classification"](LossConfig(), adapter)
    torch.manual_seed(0)
    twin = task.build(plain).train()
    examples = adapter.encode(data)
    batch = task.collate(examples[:16])
    loss = nn.functional.cross_entropy(twin(batch).scores, batch.targets)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
    loss.backward()
    optimizer.step()

    torch.manual_seed(0)
    model = task.build(plain)
    fit(
        task,
        model,
        examples[:16],
        examples[16:],
        config,
        fabric=Fabric(accelerator="cpu", devices=1),
        state_file=tmp_path / "state.safetensors",
        watcher=Silent(),
    )
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_gradients_are_clipped(tmp_path, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(torch.nn.utils.get_total_norm(gradients).item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    run, _, _ = setup(TrainConfig(epochs=1, batch_size=4, clip_norm=1e-3), tmp_path)
    run()
    assert norms
    assert max(norms) <= 1e-3 * (1 + 1e-4)


def test_best_weights_are_those_of_the_best_epoch(tmp_path):
    class Remember(Silent):
        def __init__(self):
            self.epochs, self.weights = [], []

        def on_epoch(self, epoch):
            self.epochs.append(epoch)
            self.weights.append({name: value.clone() for name, value in model.state_dict().items()})

    run, model, _ = setup(TrainConfig(epochs=6, batch_size=4, lr=0.05), tmp_path)
    seen = Remember()
    fitted = run(seen)
    ranks = [(-epoch.valid["accuracy"], epoch.valid["loss"]) for epoch in seen.epochs]
    best = ranks.index(min(ranks))
    assert fitted.progress.best_epoch == best + 1
    for name, value in fitted.weights.items():
        assert torch.equal(value, seen.weights[best][name])


def test_patience_stops_early(tmp_path):
    run, _, _ = setup(TrainConfig(epochs=200, batch_size=16, patience=3, schedule="constant", lr=0.05), tmp_path)
    progress = run().progress
    assert progress.epoch < 200
    assert progress.epoch == progress.best_epoch + 3


def test_other_data_cannot_be_resumed(tmp_path):
    config = TrainConfig(epochs=2, batch_size=4)
    run, _, _ = setup(config, tmp_path)
    run()
    run, _, _ = setup(config, tmp_path, data=toy(seed=1))
    with pytest.raises(RunError, match="expected the data that this training began with"):
        run()


def test_exploded_loss_is_told(tmp_path):
    run, model, _ = setup(TrainConfig(epochs=2, batch_size=4), tmp_path)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(RunError, match=r"expected a finite loss, got nan at step 1\. Lower train\.lr"):
        run()


def test_better():
    best = Progress(best=0.9, best_loss=0.5)
    assert is_better(0.91, 9.0, best, "max")
    assert is_better(0.9, 0.4, best, "max")
    assert not is_better(0.9, 0.5, best, "max")
    assert not is_better(0.89, 0.1, best, "max")
    assert is_better(0.89, 9.0, best, "min")
    assert not is_better(float("nan"), 0.1, best, "max")
    assert is_better(0.1, 0.1, Progress(), "max")


def test_one_cycle_rises_and_falls():
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, TrainConfig(lr=0.5), 100, "max")
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.5, rel=1e-3)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-3


COMMAND = ["train", "classification", "--epochs", "12", "--batch-size", "4", "--seed", "3", "--threads", "1", "--quiet"]


@contextmanager
def training(data, out):
    """A training in a process of its own."""
    command = [sys.executable, "-m", "gatewise", *COMMAND, "--data", str(data), "--out", str(out), "--resume"]
    with out.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_killed_three_times_ends_with_the_same_weights(tmp_path):
    """SIGKILL at any moment; the run that was never killed says what must come out, bit by bit."""
    data, whole, killed = tmp_path / "data.npz", tmp_path / "whole", tmp_path / "killed"
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=60)
    np.savez(data, x=rng.normal(size=(60, 20, 2)) + y[:, None, None], y=y.astype(str))
    with training(data, whole) as never_killed:
        for kill in range(3):
            with training(data, killed) as process:
                seen = count_lines(killed)
                deadline = time.monotonic() + 120
                while count_lines(killed) < seen + 2 and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.002)
                time.sleep(0.013 * kill)  # within an epoch, at its end, while a file is being written
        assert 0 < count_lines(killed) < 12, "killed too late to mean anything"
        with training(data, killed) as process:
            assert process.wait(120) == 0, killed.with_suffix(".log").read_text()
        assert never_killed.wait(120) == 0, whole.with_suffix(".log").read_text()
    for name in ("weights.safetensors", "adapter.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    last = [load_checkpoint(folder / "state.safetensors") for folder in (killed, whole)]
    assert all(torch.equal(last[0].model[name], last[1].model[name]) for name in last[1].model)
    metrics = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]
        for lines in ((folder / "metrics.jsonl").read_text().splitlines() for folder in (killed, whole))
    ]
    assert metrics[0] == metrics[1]


def count_lines(out):
    path = out / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0
