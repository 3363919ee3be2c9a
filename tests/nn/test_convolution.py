"""ConvolutionBlock: what stands beyond a sequence's end reaches nothing."""

import pytest
import torch

from gatewise.errors import OptionError
from gatewise.nn.convolution import ConvolutionBlock


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_ragged_equals_each_row_alone(stride):
    block = ConvolutionBlock(2, 4, 5, stride=stride).eval()
    lengths = torch.tensor([9, 4, 1])
    x = torch.randn(3, 9, 2)
    x[1, 4:] = float("nan")
    x[2, 1:] = 1e9
    y, after = block(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, none = block(x[row : row + 1, :length])
        assert none is None
        assert after[row] == alone.shape[1]
        torch.testing.assert_close(y[row, : after[row]], alone[0])
        assert torch.all(y[row, after[row] :] == 0)


def test_even_kernel_is_refused():
    with pytest.raises(OptionError, match=r"odd.*got 4.*3 or 5"):
        ConvolutionBlock(2, 4, 4)
