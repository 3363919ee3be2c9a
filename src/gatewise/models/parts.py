"""What recipes of sequences are put together from."""

from collections.abc import Sequence

from torch import nn

from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.sequence_model import SequenceModel
from gatewise.nn.attention import make_pool
from gatewise.nn.augmentation import Augment
from gatewise.nn.convolution import ConvolutionBlock
from gatewise.nn.dropout import SequenceDropout


def convolutions(
    name: str,
    input_size: int,
    channels: tuple[int, ...],
    kernel_sizes: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    causal: bool = False,
) -> list[ConvolutionBlock]:
    """Blocks over time, one after another.

    Args:
        name: begins the options' names in errors.
        input_size: features per step before them.
        channels: features of each; none for no convolution, whatever size the others would have.
        kernel_sizes: steps that each of them sees; odd.
        strides: steps from one output to the next, of each.
        causal: none of them looks ahead.

    Returns:
        The blocks; the last one has ``channels[-1]`` features.

    Raises:
        OptionError: the lists differ in length.
    """
    if not channels:
        return []
    if not len(channels) == len(kernel_sizes) == len(strides):
        raise OptionError(
            f"{name}_channels: expected as many as {name}_kernel_sizes and strides, got {len(channels)}, "
            f"{len(kernel_sizes)} and {len(strides)}. Give the lists the same length."
        )
    sizes = (input_size, *channels)
    return [
        ConvolutionBlock(before, after, kernel_size, stride=stride, causal=causal)
        for before, after, kernel_size, stride in zip(sizes[:-1], channels, kernel_sizes, strides, strict=True)
    ]


def scored(
    stem: Sequence[nn.Module],
    encoder: Encoder,
    scores: int,
    *,
    pool: str,
    dropout: float,
    augment: Augment = Augment(),  # noqa: B008  frozen
) -> SequenceModel:
    """The model of a stem and an encoder: pool, dropout, and a layer of so many scores after them."""
    head = nn.Sequential(SequenceDropout(dropout), nn.Linear(encoder.output_size, scores))
    return SequenceModel(encoder, make_pool(pool, encoder.output_size), head, stem=stem, augment=augment)
