"""Convolution in two dimensions as the first layers of a model of sequences: images read by columns, and films.

Blocks take ``(x, lengths)`` and return the same. Normalisation is `SequenceBatchNorm` over the positions of the real
columns or frames: that is :class:`torch.nn.BatchNorm2d` without the padding, which in training would else move the
statistics, and so the answer. (Normalising each column by itself, as group normalisation would have to, makes the
noise of empty paper as loud as ink.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths

SIZE = 3  # pixels that a convolution sees, across and along


class ColumnConvolution(nn.Module):
    """Convolutions over an image of a line, which is then a sequence of its columns.

    One block a number of channels: convolution 3 x 3, batch normalisation over the real columns, ReLU, and the largest
    of two pixels above each other. The first ``halvings`` blocks also take the larger of two columns: W columns become
    ``ceil(W / 2 ** halvings)``.

    Args:
        height: pixels of a column.
        channels: of each block.
        halvings: how many blocks halve the number of columns.

    Shape:
        - input: ``[B, W, height]``, lengths ``[B]`` or None
        - output: ``[B, W', output_size]`` (zero in the padding) and its lengths, or None

    Raises:
        OptionError: no channels, or more halvings than blocks.

    Example:
        >>> import torch
        >>> block = ColumnConvolution(8, (4, 6))
        >>> columns, lengths = block(torch.randn(2, 9, 8), torch.tensor([9, 4]))
        >>> columns.shape, lengths.tolist(), bool((columns[1, 2:] == 0).all())
        (torch.Size([2, 5, 12]), [5, 2], True)

    References:
        Shi, Bai & Yao 2017, An end-to-end trainable neural network for image-based sequence recognition (CRNN).
    """

    def __init__(self, height: int, channels: tuple[int, ...], *, halvings: int = 1) -> None:
        super().__init__()
        _check_channels("ColumnConvolution", height, channels)
        if not 0 <= halvings <= len(channels):
            raise OptionError(
                f"ColumnConvolution: expected 0 to {len(channels)} halvings, one a block, got {halvings}. "
                "Use more channels or fewer halvings."
            )
        sizes = (1, *channels)
        self.blocks = nn.ModuleList(
            _PixelBlock(before, after, halves_width=place < halvings)
            for place, (before, after) in enumerate(zip(sizes[:-1], channels, strict=True))
        )
        for _ in channels:
            height = (height + 1) // 2
        self.output_size = height * channels[-1]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is not None:
            x = x.masked_fill(~mask_of_lengths(lengths, x.shape[1])[..., None], 0.0)
        pixels = x[..., None]  # [B, W, H, C]
        for block in self.blocks:
            pixels, lengths = block(pixels, lengths)
        return pixels.flatten(2), lengths


class _PixelBlock(nn.Module):
    """Convolution, normalisation, ReLU and pooling of ``[B, W, H, C]``, of which lengths ``[B]`` count the columns."""

    def __init__(self, before: int, after: int, *, halves_width: bool) -> None:
        super().__init__()
        # The bias would be taken out again by the normalisation.
        self.convolution = nn.Conv2d(before, after, SIZE, padding=SIZE // 2, bias=False)
        self.norm = SequenceBatchNorm(after)
        self.stride = 2 if halves_width else 1

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        B, W, H, _ = x.shape
        y = self.convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # [B, W, H, C]
        mask = None
        if lengths is not None:
            mask = mask_of_lengths(lengths, W)[..., None].expand(B, W, H).reshape(B, W * H)
        y = F.relu(self.norm(y.reshape(B, W * H, -1), mask)).view(B, W, H, -1)
        # Nothing is below 0, so that the zeros of the padding are as if the image ended there.
        y = F.max_pool2d(y.permute(0, 3, 1, 2), (self.stride, 2), ceil_mode=True).permute(0, 2, 3, 1)
        return y, None if lengths is None else (lengths + self.stride - 1) // self.stride


class FrameChange(nn.Module):
    """Beside each frame, what changed since the one before: where something moves, and which way.

    Shape:
        - input: ``[B, T, H, W, C]``, lengths ``[B]`` or None
        - output: ``[B, T, H, W, 2C]`` (zero in the padding) and the lengths as given; at the first one nothing did

    References:
        Simonyan & Zisserman 2014, Two-stream convolutional networks: motion as an input of its own.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        y = torch.cat([x, x - torch.cat([x[:, :1], x[:, :-1]], 1)], -1)
        if lengths is None:
            return y, None
        return y.masked_fill(~mask_of_lengths(lengths, x.shape[1])[:, :, None, None, None], 0.0), lengths


class FrameConvolution(nn.Module):
    """A small network of convolutions over each frame of a film by itself.

    One block a number of channels: convolution 3 x 3, batch normalisation over the real frames, ReLU, the largest of
    2 x 2 pixels; then a linear layer over what is left of the picture, at most ``GRID`` x ``GRID`` places, and ReLU.
    Only real frames are computed.

    Args:
        frame_shape: of a frame, ``(H, W, C)``.
        channels: of each block.
        output_size: features of a frame.

    Shape:
        - input: ``[B, T, H, W, C]``, lengths ``[B]`` or None
        - output: ``[B, T, output_size]`` (zero in the padding) and the lengths as given

    Raises:
        OptionError: no channels, or a size below 1.
        ShapeError: frames of another shape.

    References:
        Donahue et al. 2015, Long-term recurrent convolutional networks for visual recognition and description.
    """

    GRID = 4

    def __init__(self, frame_shape: tuple[int, int, int], channels: tuple[int, ...], output_size: int) -> None:
        super().__init__()
        _check_channels("FrameConvolution", min(*frame_shape, output_size), channels)
        self.frame_shape = tuple(frame_shape)
        sizes = (frame_shape[2], *channels)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, SIZE, padding=SIZE // 2, bias=False)
            for before, after in zip(sizes[:-1], channels, strict=True)
        )
        self.norms = nn.ModuleList(SequenceBatchNorm(size) for size in channels)
        places = 1
        for size in frame_shape[:2]:
            for _ in channels:
                size = (size + 1) // 2  # noqa: PLW2901
            places *= min(size, self.GRID)
        self.dense = nn.Linear(places * channels[-1], output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if tuple(x.shape[2:]) != self.frame_shape:
            raise ShapeError(
                f"FrameConvolution: expected frames {self.frame_shape}, got {tuple(x.shape[2:])}. Scale them."
            )
        B, T = x.shape[:2]
        if lengths is None:
            return self._features(x.flatten(0, 1)).view(B, T, -1), None
        mask = mask_of_lengths(lengths, T)
        y = x.new_zeros(B, T, self.dense.out_features)
        if mask.any():
            y[mask] = self._features(x[mask]).to(y.dtype)
        return y, lengths

    def _features(self, frames: Tensor) -> Tensor:
        """``[N, H, W, C]`` to ``[N, output_size]``."""
        y = frames.permute(0, 3, 1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = convolution(y).permute(0, 2, 3, 1)  # [N, H, W, C]
            y = norm(y.reshape(len(y), -1, y.shape[3])).view(y.shape)
            y = F.max_pool2d(F.relu(y).permute(0, 3, 1, 2), 2, ceil_mode=True)
        grid = (min(y.shape[2], self.GRID), min(y.shape[3], self.GRID))
        y = F.adaptive_avg_pool2d(y, grid) if grid != tuple(y.shape[2:]) else y
        return F.relu(self.dense(y.flatten(1)))


def _check_channels(who: str, smallest: int, channels: tuple[int, ...]) -> None:
    if not channels or min(*channels, smallest) < 1:
        raise OptionError(f"{who}: expected channels and sizes of at least 1, got {channels} and {smallest}.")
