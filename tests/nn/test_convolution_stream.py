"""A causal convolution sees nothing of what comes later, and gives a stream what it gives the whole."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.errors import OptionError
from gatewise.nn.convolution import ConvolutionBlock


def trained(*sizes, **options):
    """In evaluation, with statistics that are not the initial ones."""
    block = ConvolutionBlock(*sizes, **options)
    block(torch.randn(4, 30, sizes[0]))
    return block.eval()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_an_output_sees_its_own_step_and_those_before(stride):
    block = trained(3, 64, 5, stride=stride, causal=True)
    x = torch.randn(1, 20, 3)
    y, _ = block(x)
    assert y.shape[1] == -(-20 // stride)
    changed = x.clone()
    changed[:, 13:] += 1
    same = (block(changed)[0] == y).all(2)[0]
    assert same[: -(-13 // stride)].all()
    assert not same[-(-13 // stride) :].any()


def test_it_is_the_centred_block_a_little_later():
    causal, centred = trained(3, 4, 5, causal=True), trained(3, 4, 5)
    centred.load_state_dict(causal.state_dict())
    x = torch.randn(2, 11, 3)
    torch.testing.assert_close(causal(F.pad(x, (0, 0, 0, 2)))[0][:, 2:], centred(x)[0])


def test_ragged_rows_are_as_alone():
    block = trained(3, 4, 5, stride=2, causal=True)
    x, lengths = torch.randn(3, 9, 3), torch.tensor([9, 4, 0])
    y, left = block(x, lengths)
    assert left.tolist() == [5, 2, 0]
    torch.testing.assert_close(y[1, :2], block(x[1:2, :4])[0][0])
    assert (y[1, 2:] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from([1, 3, 5]), st.integers(1, 6))
def test_a_stream_has_the_outputs_of_the_whole(sizes, kernel_size, stride):
    block = trained(2, 3, kernel_size, stride=stride, causal=True)
    stream = block.stream()
    for _ in range(2):
        x = torch.randn(sum(sizes), 2)
        outputs = torch.cat([*(stream.push(part) for part in x.split(sizes)), stream.finish()])
        assert len(outputs) == -(-len(x) // stride)
        if len(x):
            torch.testing.assert_close(outputs, block(x[None])[0][0], atol=1e-5, rtol=1e-5)


def test_a_centred_block_cannot_be_streamed():
    with pytest.raises(OptionError, match="sees 2 steps ahead"):
        ConvolutionBlock(2, 3, 5).stream()
