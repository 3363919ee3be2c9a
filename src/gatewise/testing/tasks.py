"""Checks that any task should pass; run them on your own with :func:`check_task`."""

import inspect
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from gatewise.models.config import ModelConfig
from gatewise.models.recipes import RECIPES
from gatewise.tasks.task import Task
from gatewise.training.carry import Carry
from gatewise.training.checkpoint import cpu_state, load_into
from gatewise.training.config import TrainConfig
from gatewise.training.evaluate import follows, measure, run_model
from gatewise.training.fit import fit
from gatewise.training.progress import Silent
from gatewise.types import Batch, Example, Pair, Prediction, Window, Words

# Numbers that padding may hold; token numbers that any vocabulary has.
FILLS = {True: (0.0, 1e9, float("nan")), False: (0, 1, 3)}
# What a metric is when every answer is right.
PERFECT = {"perplexity": 1.0, "bits_per_character": 0.0, "bleu": 100.0, "rouge1": 100.0}


def check_overfits(task: Task, config: ModelConfig, examples: Sequence[Example], *, loss: float = 0.1) -> None:
    """A model that cannot learn eight examples by heart is wired wrongly."""
    few = examples[:8]
    model = _trained(task, without_dropout(config), few, epochs=120)
    results = run_model(task, model, few, fabric=_cpu(), batch_size=8)
    assert results.loss < loss, f"{task.name}: loss {results.loss:.3f} on 8 examples after 120 epochs"


def check_padding_is_ignored(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """More padding, or NaN in it, changes neither loss nor answers."""
    batch = task.collate(examples)
    expected = _answers(task, model, batch)
    first = batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs[0]
    for fill in FILLS[first.is_floating_point()]:
        other = _answers(task, model, repadded(batch, fill))
        assert abs(other[0] - expected[0]) <= 1e-4 * max(1.0, abs(expected[0])), (
            f"{task.name}: padding of {fill} counts"
        )
        _same(expected[1], other[1], f"{task.name}: padding of {fill} changes answers")


def check_one_equals_many(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """A sequence gets the same answer alone, in a batch, and in a batch in another order."""
    together = _answers(task, model, task.collate(examples))[1]
    alone = [_answers(task, model, task.collate([example]))[1][0] for example in examples]
    _same(together, alone, f"{task.name}: an answer depends on the batch")
    backwards = _answers(task, model, task.collate(examples[::-1]))[1][::-1]
    _same(together, backwards, f"{task.name}: an answer depends on the order")
    whole = run_model(task, model, examples, fabric=_cpu(), batch_size=len(examples)).predictions
    split = run_model(task, model, examples, fabric=_cpu(), batch_size=3).predictions
    _same(whole, split, f"{task.name}: an answer depends on the batch size")
    if not follows(examples):
        _same(together, whole, f"{task.name}: an answer depends on how it is asked for")


def check_stream_equals_whole(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """Stretches of a text, the state carried on, have the scores of the whole text."""
    if not follows(examples):
        return
    few = list(examples[:4])
    carry, scores = Carry(), []
    with torch.no_grad():
        for position, example in enumerate(few):
            positions = np.array([position])
            batch, state = carry.resume(task.collate([example]), [example], positions)
            outputs = model(batch, state)
            carry.keep(outputs.state, positions)
            scores.append(outputs.scores)
        whole = Example(np.concatenate([part.input for part in few]), np.concatenate([part.target for part in few]))
        expected = model(task.collate([whole])).scores
    torch.testing.assert_close(torch.cat(scores, 1), expected, atol=1e-4, rtol=1e-4)


def check_length_one(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """A sequence of one step has finite scores."""
    # What comes next is the target of a text that is read on: it is never without.
    reads_on = follows(examples)
    short = [
        Example(_first_step(example.input), example.target[:1] if reads_on else None, example.follows)
        for example in examples
    ]
    batch = task.collate(short)
    with torch.no_grad():
        outputs = model(batch)
        answers = task.predict(model, batch, outputs)
    assert torch.isfinite(outputs.scores).all(), f"{task.name}: sequences of one step have no finite score"
    assert len(answers) == len(short)


def check_same_seed_same_curve(task: Task, config: ModelConfig, examples: Sequence[Example]) -> None:
    """Two trainings with one seed end with the same bits; with another seed they do not."""
    first, second, other = (cpu_state(_trained(task, config, examples, epochs=3, seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first), f"{task.name}: a seed does not decide"
    assert any(not torch.equal(first[name], other[name]) for name in first), f"{task.name}: the seed has no effect"


def check_weights_are_all(task: Task, config: ModelConfig, model: nn.Module, examples: Sequence[Example]) -> None:
    """A new model with the weights of another gives its answers: nothing else is learnt."""
    other = task.build(config)
    load_into(other, cpu_state(model), source="memory")
    batch = task.collate(examples)
    _same(_answers(task, model, batch)[1], _answers(task, other.eval(), batch)[1], f"{task.name}: weights are not all")


def check_metrics(task: Task, model: nn.Module, examples: Sequence[Example]) -> None:
    """The monitored metric exists; perfect answers get perfect marks."""
    results = run_model(task, model, examples, fabric=_cpu(), batch_size=4)
    metrics = measure(task, results)
    assert task.monitor.metric in metrics
    assert task.monitor.mode in ("min", "max")
    assert all(isinstance(value, int | float) for value in metrics.values())
    perfect = [
        prediction._replace(value=reference, quantiles=None)
        for prediction, reference in zip(results.predictions, results.references, strict=True)
    ]
    best = task.metrics[task.monitor.metric](replace(results, predictions=perfect))
    given = metrics[task.monitor.metric]
    assert best >= given if task.monitor.mode == "max" else best <= given, f"{task.name}: perfect answers are not best"
    top = PERFECT.get(task.monitor.metric, 1.0 if task.monitor.mode == "max" else 0.0)
    assert math.isclose(best, top, abs_tol=1e-9), f"{task.name}: perfect answers get {best}, not {top}"


def check_task(task: Task, config: ModelConfig, examples: Sequence[Example]) -> None:
    """All of the above.

    Args:
        task: to be checked.
        config: of a small model.
        examples: 8 to 32 encoded examples, ragged; or stretches of a text.
    """
    model = _trained(task, config, examples, epochs=2).eval()
    check_overfits(task, config, examples)
    check_padding_is_ignored(task, model, examples)
    check_one_equals_many(task, model, examples)
    check_stream_equals_whole(task, model, examples)
    check_length_one(task, model, examples)
    check_same_seed_same_curve(task, config, examples)
    check_weights_are_all(task, config, model, examples)
    check_metrics(task, model, examples)


def without_dropout(config: ModelConfig) -> ModelConfig:
    """The same with everything off that hides a part from the model in training."""
    offered = inspect.signature(RECIPES[config.recipe]).parameters
    return replace(config, **{name: 0.0 for name in offered if "drop" in name})  # type: ignore[arg-type]


def repadded(batch: Batch, fill: float) -> Batch:
    """The batch with five more steps of padding, all padding filled."""
    inputs, targets = batch.inputs, batch.targets
    if isinstance(inputs, Pair):
        shifted = None if inputs.shifted is None else _filled(inputs.shifted, batch.target_lengths, fill)
        inputs = Pair(_filled(inputs.source, batch.lengths, fill), shifted)
    elif isinstance(inputs, Window):
        inputs = _repadded_window(inputs, batch.lengths, fill)
    elif isinstance(inputs, Words):
        inputs = Words(*(_filled(part, batch.lengths, fill) for part in inputs))
    else:
        inputs = _filled(inputs, batch.lengths, fill)
    if batch.target_lengths is not None and targets is not None:
        targets = _filled(targets, batch.target_lengths, 0)
    return batch._replace(inputs=inputs, targets=targets)


def _filled(values: Tensor, lengths: Tensor | None, fill: float) -> Tensor:
    """``[B, T, ...]`` with five more steps, and ``fill`` in all beyond the lengths."""
    assert lengths is not None
    longer = torch.cat([values, values.new_zeros(values.shape[0], 5, *values.shape[2:])], 1)
    padding = torch.arange(longer.shape[1]) >= lengths[:, None]
    return longer.masked_fill(padding.view(*padding.shape, *[1] * (values.ndim - 2)), fill)


def _repadded_window(window: Window, lengths: Tensor, fill: float) -> Window:
    """Five more steps before the past, and ``fill`` in all that is padding there and in every unobserved value."""
    past = torch.cat([window.past.new_zeros(len(window.past), 5, window.past.shape[2]), window.past], 1)
    padding = torch.arange(past.shape[1]) < past.shape[1] - lengths[:, None]
    channels = window.loc.shape[1]
    past[..., :channels] = past[..., :channels].masked_fill(past[..., channels : 2 * channels] == 0, fill)
    return window._replace(past=past.masked_fill(padding[..., None], fill))


def _first_step(inputs: Any) -> Any:
    if isinstance(inputs, Window):  # one step of the past; what is ahead is no part of the sequence
        return inputs._replace(past=inputs.past[-1:])
    return type(inputs)(*(part[:1] for part in inputs)) if isinstance(inputs, tuple) else inputs[:1]


def _cpu() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def _trained(task: Task, config: ModelConfig, examples: Sequence[Example], *, epochs: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = task.build(config)
    # Stretches of a text are read as they are measured: one after the other.
    settings = TrainConfig(epochs=epochs, batch_size=1 if follows(examples) else 8, lr=0.02, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            task,
            model,
            examples,
            examples,
            settings,
            fabric=_cpu(),
            state_file=Path(folder) / "state.safetensors",
            watcher=Silent(),
        )
    return model


def _answers(task: Task, model: nn.Module, batch: Batch) -> tuple[float, list[Prediction]]:
    with torch.no_grad():
        outputs = model(batch)
        return float(task.loss(outputs, batch).total), task.predict(model, batch, outputs)


def _same(expected: Sequence[Prediction], got: Sequence[Prediction], what: str) -> None:
    assert len(expected) == len(got), what
    for one, other in zip(expected, got, strict=True):
        _alike(tuple(one), tuple(other), what)


def _alike(expected: Any, got: Any, what: str) -> None:
    if isinstance(expected, str) or expected is None:
        assert expected == got, what
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(got), what
        if all(isinstance(part, int | float) for part in expected):
            np.testing.assert_allclose(np.asarray(got), np.asarray(expected), atol=1e-4, rtol=1e-4, err_msg=what)
        else:
            for one, other in zip(expected, got, strict=True):
                _alike(one, other, what)
    else:
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), atol=1e-4, rtol=1e-4, err_msg=what)
