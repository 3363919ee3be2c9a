"""Convolution over padded sequences, all at once or step by step."""

import torch
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
        causal: an output sees the steps up to its own and none after it: all the zeros stand before the sequence.

    Shape:
        - input: ``[B, T, input_size]``, lengths ``[B]`` or None
        - output: ``[B, ceil(T/s), output_size]`` (zero in the padding) and its lengths, or None

    Raises:
        OptionError: ``kernel_size`` is even, or a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dropout: float = 0.0,
        causal: bool = False,
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
        padding = 0 if causal else kernel_size // 2
        self.convolution = nn.Conv1d(input_size, output_size, kernel_size, stride=stride, padding=padding, bias=False)
        self.norm = SequenceBatchNorm(output_size, dropout=dropout)
        self.stride = stride
        self.ahead = kernel_size - 1 if causal else 0  # zeros before the sequence that the convolution does not add

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is not None:
            x = x.masked_fill(~mask_of_lengths(lengths, x.shape[1])[..., None], 0.0)
            lengths = (lengths + self.stride - 1) // self.stride
        if self.ahead:
            x = F.pad(x, (0, 0, self.ahead, 0))
        y = self.convolution(x.transpose(1, 2)).transpose(1, 2)  # [B, T', C]
        mask = None if lengths is None else mask_of_lengths(lengths, y.shape[1])
        return F.relu(self.norm(y, mask)), lengths

    def stream(self) -> "ConvolutionStream":
        """Takes steps as they come in and gives the outputs that :meth:`forward` has in evaluation.

        Raises:
            OptionError: an output sees steps after its own.
        """
        return ConvolutionStream(self)


class ConvolutionStream:
    """Outputs of a causal block for a sequence of which one part after another comes in; memory does not grow.

    Together they are those of :meth:`ConvolutionBlock.forward` in evaluation over the whole. No gradient passes.

    Args:
        block: causal, or of ``kernel_size`` 1; its statistics are taken as they are now.

    Raises:
        OptionError: it sees steps after its own.

    Example:
        >>> block = ConvolutionBlock(3, 4, 5, stride=2, causal=True).eval()
        >>> x = torch.randn(11, 3)
        >>> stream = block.stream()
        >>> parts = [stream.push(part) for part in x.split(3)]
        >>> bool(torch.allclose(torch.cat(parts), block(x[None])[0][0], atol=1e-6))
        True
    """

    def __init__(self, block: ConvolutionBlock) -> None:
        size = block.convolution.kernel_size[0]
        if size > 1 and not block.ahead:
            raise OptionError(
                f"ConvolutionBlock.stream: expected a causal block, got one that sees {size // 2} steps ahead. Train "
                "a model of one direction (model.bidirectional=false)."
            )
        self._block = block
        self._scale, self._shift = (part.detach().clone() for part in block.norm.affine())
        self._rest = self._beginning()
        self._skip = 0  # steps still to come that no output sees: a stride beyond the kernel

    def _beginning(self) -> Tensor:
        convolution = self._block.convolution
        return convolution.weight.new_zeros(self._block.ahead, convolution.in_channels)

    @torch.no_grad()
    def push(self, x: Tensor) -> Tensor:
        """The next steps ``[n, input_size]``; returns the outputs ``[k, output_size]`` that are complete now."""
        convolution, stride = self._block.convolution, self._block.stride
        steps = torch.cat([self._rest, x.to(self._rest)])
        self._skip, steps = max(0, self._skip - len(steps)), steps[self._skip :]
        complete = max(0, (len(steps) - convolution.kernel_size[0]) // stride + 1)
        self._rest = steps[complete * stride :].clone()  # a view would keep all steps alive
        self._skip += max(0, complete * stride - len(steps))
        if not complete:
            return steps.new_zeros(0, convolution.out_channels)
        y = F.conv1d(steps.T[None], convolution.weight, stride=stride)[0].T
        return F.relu(y * self._scale + self._shift)

    def finish(self) -> Tensor:
        """The end of the sequence, ``[0, output_size]``: nothing was kept back. Ready for the next one."""
        self._rest, self._skip = self._beginning(), 0
        return self._rest.new_zeros(0, self._block.convolution.out_channels)
