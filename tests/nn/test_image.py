"""Convolutions over images and frames: as torch has them, without the padding."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.image import ColumnConvolution, FrameChange, FrameConvolution

LENGTHS = torch.tensor([11, 6, 1, 0])


def torch_twin(block):
    """The same blocks made of torch's own layers, with the same weights."""
    layers = []
    for one in block.blocks:
        convolution = nn.Conv2d(one.convolution.in_channels, one.convolution.out_channels, 3, padding=1, bias=False)
        convolution.load_state_dict(one.convolution.state_dict())
        norm = nn.BatchNorm2d(one.norm.num_features)
        norm.load_state_dict(one.norm.state_dict())
        layers += [convolution, norm, nn.ReLU(), nn.MaxPool2d((one.stride, 2), ceil_mode=True)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("halvings", [0, 1, 2])
def test_columns_are_those_of_torch(halvings):
    torch.manual_seed(0)
    block = ColumnConvolution(7, (3, 5), halvings=halvings).double()
    x = torch.randn(2, 9, 7, dtype=torch.float64)
    for training in (True, False):
        twin = torch_twin(block).double().train(training)  # with the statistics as they were before
        got, lengths = block.train(training)(x)
        expected = twin(x[:, None])  # [B, C, W, H]
        assert lengths is None
        torch.testing.assert_close(got, expected.permute(0, 2, 3, 1).flatten(2))
        assert got.shape[2] == block.output_size


def test_statistics_are_those_of_the_real_columns():
    torch.manual_seed(0)
    x = torch.randn(2, 9, 6, dtype=torch.float64)
    x[1, 4:] = float("nan")
    block = ColumnConvolution(6, (3,)).double().train()
    block(x, torch.tensor([9, 4]))
    convolution = block.blocks[0].convolution
    rows = [convolution(x[b : b + 1, None, :length]) for b, length in ((0, 9), (1, 4))]
    values = torch.cat([row.permute(0, 2, 3, 1).reshape(-1, 3) for row in rows])
    torch.testing.assert_close(block.blocks[0].norm.running_mean, 0.1 * values.mean(0))


@pytest.mark.parametrize("halvings", [0, 1, 2])
@pytest.mark.parametrize("fill", [0.0, 1e9, float("nan")])
def test_a_row_of_columns_does_not_see_the_batch(halvings, fill):
    torch.manual_seed(0)
    block = ColumnConvolution(8, (4, 6), halvings=halvings).eval()
    x = torch.randn(4, 11, 8)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = fill
    together, lengths = block(x, LENGTHS)
    assert lengths.tolist() == [-(-n // 2**halvings) for n in LENGTHS.tolist()]
    for row, length in enumerate(LENGTHS.tolist()):
        assert (together[row, lengths[row] :] == 0).all()
        if length:
            alone, _ = block(x[row : row + 1, :length])
            torch.testing.assert_close(together[row, : lengths[row]], alone[0], atol=1e-5, rtol=1e-5)


def test_frames_are_those_of_torch():
    torch.manual_seed(0)
    block = FrameConvolution((20, 13, 2), (3, 4), 5).double().train()
    x = torch.randn(2, 3, 20, 13, 2, dtype=torch.float64)
    y = x.flatten(0, 1).permute(0, 3, 1, 2)
    for convolution in block.convolutions:
        y = F.max_pool2d(F.relu(F.batch_norm(convolution(y), None, None, training=True)), 2, ceil_mode=True)
    assert y.shape[2:] == (5, 4)
    pooled = F.adaptive_avg_pool2d(y, (4, 4))
    expected = F.relu(block.dense(pooled.flatten(1))).view(2, 3, 5)
    torch.testing.assert_close(block(x)[0], expected)


@pytest.mark.parametrize("fill", [0.0, float("nan")])
def test_a_frame_does_not_see_the_others(fill):
    torch.manual_seed(0)
    block = FrameConvolution((8, 8, 3), (4,), 6).eval()
    x = torch.randn(4, 11, 8, 8, 3)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = fill
    together, lengths = block(x, LENGTHS)
    assert lengths is LENGTHS
    for row, length in enumerate(LENGTHS.tolist()):
        assert (together[row, length:] == 0).all()
        for t in range(length):
            alone, _ = block(x[row : row + 1, t : t + 1])
            torch.testing.assert_close(together[row, t], alone[0, 0], atol=1e-5, rtol=1e-5)


def test_padding_does_not_move_the_statistics():
    x = torch.randn(2, 4, 8, 8, 1)
    torch.manual_seed(0)
    with_padding, alone = (FrameConvolution((8, 8, 1), (4,), 6).train() for _ in range(2))
    alone.load_state_dict(with_padding.state_dict())
    with_padding(x, torch.tensor([4, 2]))
    alone(torch.cat([x[0], x[1, :2]])[None])
    torch.testing.assert_close(with_padding.norms[0].running_var, alone.norms[0].running_var)


def test_a_batch_without_any_frame():
    block = FrameConvolution((8, 8, 1), (4,), 6)
    y, _ = block(torch.zeros(2, 1, 8, 8, 1), torch.tensor([0, 0]))
    assert (y == 0).all()


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_small_pictures(size):
    block = FrameConvolution((size, 5, 1), (2, 2, 2), 3).eval()
    assert block(torch.randn(1, 2, size, 5, 1))[0].shape == (1, 2, 3)
    columns = ColumnConvolution(size, (2, 2, 2)).eval()
    assert columns(torch.randn(1, 2, size))[0].shape == (1, 1, columns.output_size)


def test_gradients_reach_every_weight():
    block = FrameConvolution((8, 8, 1), (4, 4), 6)
    block(torch.randn(2, 3, 8, 8, 1), torch.tensor([3, 1]))[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in block.parameters())


def test_what_is_refused():
    with pytest.raises(OptionError, match=r"0 to 2 halvings.*got 3"):
        ColumnConvolution(8, (2, 2), halvings=3)
    with pytest.raises(OptionError, match=r"at least 1, got \(\)"):
        ColumnConvolution(8, ())
    with pytest.raises(OptionError, match=r"at least 1, got \(2, 0\)"):
        FrameConvolution((8, 8, 1), (2, 0), 4)
    with pytest.raises(ShapeError, match=r"frames \(8, 8, 1\), got \(8, 9, 1\)"):
        FrameConvolution((8, 8, 1), (2,), 4)(torch.zeros(1, 1, 8, 9, 1))


def test_what_changed_since_the_frame_before():
    x = torch.randn(2, 4, 3, 2, 1)
    y, _ = FrameChange()(x, torch.tensor([4, 2]))
    assert torch.equal(y[..., :1][0], x[0]) and torch.equal(y[0, 0, ..., 1:], torch.zeros(3, 2, 1))
    for t in range(1, 4):
        assert torch.equal(y[0, t, ..., 1:], x[0, t] - x[0, t - 1])
    assert torch.equal(y[1, 2:], torch.zeros(2, 3, 2, 2))
    alone, _ = FrameChange()(x[1:, :2])
    assert torch.equal(alone[0], y[1, :2])
