"""Convolution over padded sequences."""

import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths


class ConvolutionBlock(nn.Module):
    """Convolution over time, batch normalisation over the real steps, ReLU.

    Zeros surround a sequence, so that without a stride its length stays; what stands in the padding of a batch reaches
    nothing. With ``stride`` s, T steps become ``ceil(T / s)``.

    Args:
        input_size: features per step before.
        output_size: features per step after.
        kernel_size: steps that one output sees; odd, so that it is centred.
        stride: steps from one output to the next.
        dropout: probability of zeroing an output, in training.

    Shape:
        - input: ``[B, T, input_size]``, lengths ``[B]`` or None
        - output: ``[B, ceil(T/s), output_size]`` (zero in the padding) and its lengths, or None

    Raises:
        OptionError: ``kernel_size`` is even, or a size is below 1.
    """

    def __init__(
        self, input_size: int, output_size: int, kernel_size: int, *, stride: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if min(output_size, kernel_size, stride) < 1:
            raise OptionError(
                f"ConvolutionBlock: expected features, kernel_size and stride of at least 1, got {output_size}, "
                f"{kernel_size} and {stride}."
            )
        if kernel_size % 2 == 0:
            raise OptionError(
                f"ConvolutionBlock: expected an odd kernel_size, got {kernel_size}. "
                f"Use {kernel_size - 1} or {kernel_size + 1}: an even one has no centre."
            )
        # The bias would be taken out again by the normalisation.
        self.convolution = nn.Conv1d(
            input_size, output_size, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = SequenceBatchNorm(output_size, dropout=dropout)
        self.stride = stride

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is not None:
            x = x.masked_fill(~mask_of_lengths(lengths, x.shape[1])[..., None], 0.0)
            lengths = (lengths + self.stride - 1) // self.stride
        y = self.convolution(x.transpose(1, 2)).transpose(1, 2)  # [B, T', C]
        mask = None if lengths is None else mask_of_lengths(lengths, y.shape[1])
        return F.relu(self.norm(y, mask)), lengths
