"""Encoders and recipes."""

import inspect
import math
from dataclasses import fields

import pytest
import torch
from torch import nn

import gatewise
from gatewise.cell import Cell
from gatewise.errors import ConfigError, OptionError, ShapeError
from gatewise.models.config import ModelConfig, build, resolve
from gatewise.models.encoder import ENCODERS, Encoder, RaggedRecurrent
from gatewise.models.recipes import RECIPES, bilstm, lstm, lstm_fcn
from gatewise.nn.augmentation import Augment, Augmentation

LENGTHS = torch.tensor([9, 4, 1])
NUMERIC = ("lstm", "bilstm", "lstm-fcn")  # the recipes for texts have files of tests of their own


def test_bilstm_is_the_founding_architecture():
    model = bilstm(input_size=1, num_classes=2)
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == 177_762
    assert [layer.hidden_size for layer in model.encoder.layers] == [64, 64, 32]
    assert all(layer.bidirectional for layer in model.encoder.layers)
    assert [between.dropout.p for between in model.encoder.between] == [0.5, 0.5]
    assert [type(part) for part in model.head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert model(torch.randn(3, 512, 1)).shape == (3, 2)


def test_bilstm_equals_the_same_layers_of_torch():
    """Put together by hand from torch's own layers, with the same weights."""
    model = bilstm(input_size=1, num_classes=2).eval()
    x = torch.randn(3, 20, 1)
    y = x
    for depth, layer in enumerate(model.encoder.layers):
        y, (h, _) = gatewise.to_torch(layer)(y)
        if depth < 2:
            y = model.encoder.between[depth](y)
    expected = model.head(torch.cat([h[0], h[1]], 1))
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention", "none"])
@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("recipe", NUMERIC)
def test_padding_changes_nothing(recipe, kind, pool):
    if recipe == "lstm-fcn" and pool == "none":
        pytest.skip("lstm-fcn gives one answer a sequence; test_per_step_needs_another_recipe shows its error")
    model = RECIPES[recipe](2, 3, encoder=kind, pool=pool).eval()
    x = torch.randn(3, 9, 2)
    for row, length in enumerate(LENGTHS.tolist()):
        x[row, length:] = float("nan")
    together = model(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(x[row : row + 1, :length])[0]
        got = together[row, :length] if pool == "none" else together[row]
        torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("recipe", NUMERIC)
def test_nan_in_padding_reaches_no_gradient(recipe):
    model = RECIPES[recipe](2, 3)
    x = torch.randn(3, 9, 2)
    x[1, 4:] = float("nan")
    x[2, 1:] = float("nan")
    model(x, LENGTHS).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("recipe", NUMERIC)
def test_full_graph(recipe):
    """Training mode with dropout and batch norm, as one graph. CONTRIBUTING says why aot_eager."""
    model = RECIPES[recipe](2, 3)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 6, 2)
    assert compiled(x).shape == (4, 3)
    compiled(x).sum().backward()
    model.eval()
    torch.testing.assert_close(compiled(x), model(x))


def test_state_carries_a_causal_model_on():
    model = lstm(2, 3, bidirectional=False, hidden_sizes=(5, 4), pool="none", stem_channels=()).eval()
    x = torch.randn(2, 10, 2)
    whole = model.run(x)
    first = model.run(x[:, :6])
    second = model.run(x[:, 6:], state=first.state)
    torch.testing.assert_close(torch.cat([first.scores, second.scores], 1), whole.scores)


def test_ragged_recurrent_keeps_the_state_of_an_empty_row():
    layer = RaggedRecurrent(nn.GRU(2, 3, batch_first=True, bidirectional=True))
    h_0 = torch.randn(2, 2, 3)
    output, h_n = layer(torch.randn(2, 4, 2), h_0, lengths=torch.tensor([4, 0]))
    assert torch.equal(h_n[:, 1], h_0[:, 1])
    assert torch.all(output[1] == 0)


@pytest.mark.parametrize("recipe", NUMERIC)
def test_sequences_without_steps(recipe):
    """Alone, or beside others: the same finite answer."""
    model = RECIPES[recipe](2, 3).eval()
    alone = model(torch.zeros(1, 0, 2))
    beside = model(torch.randn(2, 5, 2), torch.tensor([5, 0]))
    assert torch.isfinite(alone).all()
    torch.testing.assert_close(alone[0], beside[1])


@pytest.mark.parametrize("lengths", [[5, -1], [5, 6]])
def test_impossible_lengths(lengths):
    with pytest.raises(ShapeError, match=r"expected 0 to 5 steps, got \[5, "):
        lstm(2, 3)(torch.randn(2, 5, 2), torch.tensor(lengths))


def test_a_stride_loses_steps():
    with pytest.raises(OptionError, match=r"stem_strides of 1 for an answer a step, got \(3,\)"):
        lstm(2, 3, pool="none", stem_strides=(3,))
    assert lstm(2, 3, pool="none")(torch.randn(2, 7, 2)).shape == (2, 7, 3)
    assert lstm(2, 3).run(torch.randn(2, 7, 2)).encoded.shape[1] == 4


def test_augmentation_is_for_training_only():
    model = lstm(2, 3, augment=Augment(noise=0.5, scale=0.5, dropout=0.5), dropout=0.0, stem_channels=())
    x = torch.randn(4, 6, 2)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    with pytest.raises(OptionError, match="noise and scale from 0 to 100"):
        Augment(noise=-0.1)


def test_augmentation_by_its_own_numbers():
    torch.manual_seed(0)
    noisy = Augmentation(Augment(noise=0.1))(torch.zeros(100, 100, 2))
    assert noisy.std().item() == pytest.approx(0.1, rel=0.05)
    scaled = Augmentation(Augment(scale=0.2))(torch.ones(4000, 3, 2))
    assert torch.equal(scaled, scaled[:, :1, :1].expand_as(scaled))
    assert scaled[:, 0, 0].std().item() == pytest.approx(0.2, rel=0.1)


def test_cell_reaches_the_layers():
    model = build(ModelConfig(cell=Cell(peephole=True)), {"input_size": 2, "num_classes": 3})
    assert model.encoder.layers[0].cell == Cell(peephole=True)
    with pytest.raises(OptionError, match='Both belong to encoder "lstm"'):
        Encoder(2, (3,), kind="gru", cell=Cell(peephole=True))
    with pytest.raises(OptionError, match='Both belong to encoder "lstm"'):
        Encoder(2, (3,), kind="gru", kernel="reference")


def test_forget_gates_begin_open():
    layer = bilstm(1, 2).encoder.layers[0]
    for suffix in ("", "_reverse"):
        bias = getattr(layer, f"bias_ih_l0{suffix}") + getattr(layer, f"bias_hh_l0{suffix}")
        assert torch.equal(bias[64:128], torch.ones(64))
        assert torch.all(bias[:64] == 0)
        assert torch.all(bias[128:] == 0)


def test_every_option_of_every_recipe_can_be_configured():
    configurable = {field.name for field in fields(ModelConfig)}
    for recipe in RECIPES.values():
        parameters = inspect.signature(recipe).parameters.values()
        assert {one.name for one in parameters if one.default is not one.empty} <= configurable


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_takes_the_place_of_one_for_other_data(recipe):
    sizes = {"input_size": 2, "num_classes": 3} if recipe not in NUMERIC else {"vocabulary_size": 9, "num_classes": 3}
    fitting = "lstm or bilstm or lstm-fcn" if recipe not in NUMERIC else "text-lstm"
    with pytest.raises(ConfigError, match=rf'model.recipe: expected {fitting} for these data, got "{recipe}"'):
        build(ModelConfig(recipe=recipe), sizes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_resolve_fills_in_the_defaults(recipe):
    resolved = resolve(ModelConfig(recipe=recipe))
    parameters = inspect.signature(RECIPES[recipe]).parameters
    for field in fields(resolved):
        if field.name in parameters and field.name != "cell":
            assert getattr(resolved, field.name) == parameters[field.name].default
    assert resolve(resolved) == resolved


def test_option_of_another_recipe():
    with pytest.raises(ConfigError, match=r'model.conv_channels: recipe "bilstm" has no such option'):
        resolve(ModelConfig(recipe="bilstm", conv_channels=(3,)))


@pytest.mark.parametrize(
    ("recipe", "idle", "used", "needed"),
    [
        ("forecaster", {"samples": 7}, {"head": "autoregressive"}, 'model.head "autoregressive"'),
        ("audio-lstm", {"halvings": 2}, {"conv_channels": (8, 8)}, "convolutions over an image"),
        ("speech-lstm", {"time_mask": 7, "time_masks": 0}, {"time_masks": 1}, "model.time_masks above 0"),
        ("audio-lstm", {"frequency_mask": 7, "frequency_masks": 0}, {"frequency_masks": 1}, "model.frequency_masks"),
        ("tagger", {"character_hidden_size": 7, "character_size": 0}, {"character_size": 5}, "model.character_size"),
    ],
)
def test_an_option_that_does_nothing_beside_the_others(recipe, idle, used, needed):
    name, value = next(iter(idle.items()))
    with pytest.raises(ConfigError) as caught:
        resolve(ModelConfig(recipe=recipe, **idle))
    assert str(caught.value).startswith(f"model.{name}: expected {needed}")
    assert str(caught.value).endswith(f"got {value} without. Leave it out.")
    assert getattr(resolve(ModelConfig(recipe=recipe, **{**idle, **used})), name) == value
    default = getattr(resolve(ModelConfig(recipe=recipe)), name)
    assert resolve(ModelConfig(recipe=recipe, **{**idle, name: default})), "as it stands in the settings of a run"


def test_per_step_needs_another_recipe():
    with pytest.raises(OptionError, match="use recipe lstm or bilstm"):
        lstm_fcn(2, 3, pool="none")
    with pytest.raises(OptionError, match="got 2, 1 and 2"):
        lstm_fcn(2, 3, conv_channels=(3, 4), conv_kernel_sizes=(3,))


def test_chrono_spreads_the_memories_of_a_fresh_lstm():
    torch.manual_seed(0)
    layer = lstm(1, 2, hidden_sizes=(64,), stem_channels=(), chrono=500).encoder.layers[0]
    i, f, _, _ = (layer.bias_ih_l0 + layer.bias_hh_l0).split(64)
    assert torch.equal(i, -f)
    assert 0 <= f.min() < f.max() <= math.log(499)
    assert f.std() > 0.5  # not one memory for all
    plain = lstm(1, 2, hidden_sizes=(64,), stem_channels=()).encoder.layers[0]
    assert (plain.bias_ih_l0.split(64)[1] == 1).all()


def test_chrono_belongs_to_the_lstm():
    with pytest.raises(OptionError, match=r'expected no chrono for "gru"'):
        lstm(1, 2, encoder="gru", chrono=100)
