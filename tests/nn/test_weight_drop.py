"""LSTM(weight_drop=): the same layer with some recurrent weights gone."""

import pytest
import torch

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.kernels import KERNELS, record_kernels
from gatewise.models.encoder import Encoder
from gatewise.nn import lstm as module
from gatewise.nn.lstm import LSTM
from gatewise.nn.stateful import StatefulStep

T, B, I, H = 6, 3, 4, 5
EVERYTHING = Cell(peephole=True, norm="layer", coupled=True)
OPTIONS = {
    "plain": {},
    "two layers, both directions": {"num_layers": 2, "bidirectional": True},
    "projection": {"proj_size": 3},
    "every equation": {"cell": EVERYTHING},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@pytest.fixture
def masks(monkeypatch):
    """The masks that a layer draws, in order."""
    drawn = []

    def draw(p, shape, like):
        drawn.append(original(p, shape, like))
        return drawn[-1]

    original = module.dropout_mask
    monkeypatch.setattr(module, "dropout_mask", draw)
    return drawn


def recurrent(lstm):
    """The names of the recurrent weights, in the order of layers and directions."""
    return [name for name, _ in lstm.named_parameters() if name.startswith("weight_hh")]


@pytest.mark.parametrize("kernel", [kernel.name for kernel in KERNELS])
@each_option
def test_equals_the_layer_with_masked_weights(kernel, options, masks):
    if kernel == "native" and "cell" in options:
        pytest.skip("native: torch.nn.LSTM does not offer the variants")
    lstm = LSTM(I, H, weight_drop=0.4, kernel=kernel, **options)
    plain = LSTM(I, H, kernel=kernel, **options)
    x, lengths = torch.randn(T, B, I), torch.tensor([6, 2, 4])
    with record_kernels() as ran:
        output, state = lstm(x, lengths=lengths)
    assert ran == [kernel] * lstm.num_layers
    plain.load_state_dict(lstm.state_dict())
    assert len(masks) == len(recurrent(lstm))
    with torch.no_grad():
        for name, mask in zip(recurrent(plain), masks, strict=True):
            assert mask.shape == plain.get_parameter(name).shape
            plain.get_parameter(name).mul_(mask)
    expected, last = plain(x, lengths=lengths)
    assert torch.equal(output, expected)
    assert torch.equal(state.c, last.c)
    pull = torch.randn_like(output)
    (output * pull).sum().backward()
    (expected * pull).sum().backward()
    gone = dict(zip(recurrent(lstm), masks, strict=True))
    for name, parameter in lstm.named_parameters():
        theirs = plain.get_parameter(name).grad
        torch.testing.assert_close(parameter.grad, theirs * gone[name] if name in gone else theirs)


def test_share_and_scale(masks):
    LSTM(2, 100, weight_drop=0.3)(torch.randn(2, 1, 2))
    (mask,) = masks
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.7], rel=1e-4)
    assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=5 * (0.21 / mask.numel()) ** 0.5)


def test_new_masks_at_each_call_by_the_seed_and_none_in_evaluation():
    lstm, x = LSTM(I, H, weight_drop=0.5), torch.randn(T, B, I)
    torch.manual_seed(4)
    first, second = lstm(x)[0], lstm(x)[0]
    torch.manual_seed(4)
    assert torch.equal(lstm(x)[0], first)
    assert not torch.equal(second, first)
    plain = LSTM(I, H)
    plain.load_state_dict(lstm.state_dict())
    assert torch.equal(lstm.eval()(x)[0], plain(x)[0])


def test_without_it_nothing_is_drawn(masks):
    LSTM(I, H)(torch.randn(T, B, I))
    LSTM(I, H, weight_drop=0.5).eval()(torch.randn(T, B, I))
    assert masks == []


def test_the_parameters_keep_their_values():
    lstm = LSTM(I, H, weight_drop=0.5)
    before = {name: p.detach().clone() for name, p in lstm.named_parameters()}
    lstm(torch.randn(T, B, I))
    assert all(torch.equal(p, before[name]) for name, p in lstm.named_parameters())
    assert list(lstm.state_dict()) == list(LSTM(I, H).state_dict())
    assert torch.equal(lstm.weights()[0][0].weight_hh, lstm.weight_hh_l0)
    x = torch.randn(T, 1, I)
    step = StatefulStep([lstm])  # from a layer in training
    torch.testing.assert_close(torch.stack([step(x_t) for x_t in x]), lstm.eval()(x)[0])


def test_under_autocast():
    lstm = LSTM(I, H, weight_drop=0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lstm(torch.randn(T, B, I))[0].float().sum().backward()
    assert lstm.weight_hh_l0.grad.dtype == torch.float32
    assert (lstm.weight_hh_l0.grad == 0).any()


def test_one_graph():
    lstm = LSTM(I, H, weight_drop=0.5)
    compiled = torch.compile(lstm, fullgraph=True, backend="aot_eager")
    compiled(torch.randn(T, B, I))[0].sum().backward()
    assert (lstm.weight_hh_l0.grad == 0).any()


@pytest.mark.parametrize("share", [-0.1, 1.0, True, "half"])
def test_share_out_of_range(share):
    with pytest.raises(OptionError, match=rf"weight_drop in \[0, 1\), got {share!r}"):
        LSTM(I, H, weight_drop=share)


def test_representation():
    assert repr(LSTM(3, 4, weight_drop=0.5)) == "LSTM(3, 4, weight_drop=0.5)"


def test_encoder_passes_it_on_and_locks_its_dropout():
    encoder = Encoder(4, (5, 3), variational_dropout=0.5, weight_drop=0.25)
    assert [layer.weight_drop for layer in encoder.layers] == [0.25, 0.25]
    (between,) = encoder.between
    assert (between.p, between.locked) == (0.5, True)
    (between,) = Encoder(4, (5, 3), dropout=0.5).between
    assert (between.p, between.locked) == (0.5, False)
    x = torch.randn(2, 6, 4)
    assert not torch.equal(encoder(x).steps, encoder(x).steps)
    plain = Encoder(4, (5, 3)).eval()
    plain.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(x).steps, plain(x).steps)


def test_encoder_refuses_what_does_not_go_together():
    with pytest.raises(OptionError, match=r"without batch_norm and dropout, got 0.5, True and 0.0"):
        Encoder(4, (5, 3), batch_norm=True, variational_dropout=0.5)
    with pytest.raises(OptionError, match=r"without batch_norm and dropout, got 0.5, False and 0.2"):
        Encoder(4, (5, 3), dropout=0.2, variational_dropout=0.5)
    with pytest.raises(OptionError, match=r'no weight_drop for "gru", got 0.5. It belongs to encoder "lstm"'):
        Encoder(4, (5, 3), kind="gru", weight_drop=0.5)
