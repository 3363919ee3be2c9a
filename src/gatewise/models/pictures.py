"""Recipes for what is drawn, written and filmed: strokes, images of lines, frames, skeletons."""

from torch import nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.parts import convolutions, scored
from gatewise.models.sequence_model import SequenceModel
from gatewise.nn.augmentation import Augment
from gatewise.nn.image import ColumnConvolution, FrameChange, FrameConvolution
from gatewise.nn.movement import MovementJitter, StrokeJitter, TimeResample
from gatewise.nn.strokepath import StrokePath


def stroke_lstm(
    point_size: int,
    num_classes: int,
    *,
    jitter: float = 1.0,
    path_steps: int = 64,
    stem_channels: tuple[int, ...] = (64, 128),
    stem_kernel_sizes: tuple[int, ...] = (5, 5),
    stem_strides: tuple[int, ...] = (1, 2),
    hidden_sizes: tuple[int, ...] = (128, 128),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "max",
    dropout: float = 0.4,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """A drawing to its class: strokes turned and slanted a little in training, convolutions, BiLSTMs.

    Args:
        point_size: features of a point: those of :func:`~gatewise.data.strokes.stroke_features`, seven.
        num_classes: scores per drawing.
        jitter: how much drawings are changed in training (`StrokeJitter`); 0 for not at all.
        path_steps: points that each drawing is brought to, evenly along its path, with a picture of what is around them
            (`StrokePath`); 0 leaves the points as they are.
        stem_channels: features of each convolution before the encoder; none for none.
        stem_kernel_sizes: points that each of them sees; odd.
        stem_strides: points from one output to the next, of each.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the drawing in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"`` or ``"attention"``.
        dropout: between layers and before the head.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder, pool and head.

    Raises:
        OptionError: the stem's lists differ in length, or an option is out of range.
    """
    stem: list[nn.Module] = [StrokeJitter(jitter)]
    size = point_size
    if path_steps:
        stem.append(StrokePath(path_steps))
        size = StrokePath.OUTPUT_SIZE
    stem += convolutions("stem", size, stem_channels, stem_kernel_sizes, stem_strides)
    body = Encoder(
        stem_channels[-1] if stem_channels else size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=True,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
    return scored(stem, body, num_classes, pool=pool, dropout=dropout)


def skeleton_lstm(
    joints_size: int,
    num_classes: int,
    *,
    jitter: float = 1.0,
    resample: int = 64,
    crop: float = 0.1,
    pace: float = 0.3,
    hidden_sizes: tuple[int, ...] = (128, 128),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "mean",
    dropout: float = 0.5,
    augment: Augment = Augment(),  # noqa: B008  frozen
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """The movement of a skeleton to its class: every clip with as many frames, seen from another side in training.

    Args:
        joints_size: features of a frame: those of :func:`~gatewise.data.skeletons.skeleton_features`, triples.
        num_classes: scores per clip.
        jitter: how much clips are turned and stretched in training (`MovementJitter`); 0 for not at all.
        resample: frames of each clip, whatever it has.
        crop: share of a clip that is left out at either end in training, at most.
        pace: how much faster or slower it runs on the way in training, at most.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the clip in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"`` or ``"attention"``.
        dropout: between layers and before the head.
        augment: other changes to the features in training.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder, pool and head.

    Raises:
        OptionError: an option is out of range, or features that are no triples.
    """
    if joints_size % 3:
        raise OptionError(f"skeleton_lstm: expected triples of coordinates, got {joints_size} features. Use lstm.")
    stem = [MovementJitter(jitter), TimeResample(resample, crop=crop, pace=pace)]
    body = Encoder(
        joints_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=True,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
    return scored(stem, body, num_classes, pool=pool, dropout=dropout, augment=augment)


def line_lstm(
    input_size: int,
    num_symbols: int,
    *,
    image_channels: tuple[int, ...] = (16, 32, 48),
    halvings: int = 1,
    hidden_sizes: tuple[int, ...] = (128,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    dropout: float = 0.3,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """An image of a line to its text: convolutions, then BiLSTMs over its columns, and CTC.

    Args:
        input_size: pixels of a column.
        num_symbols: scores per step: blank, the other special symbols, characters.
        image_channels: features of each convolution over the image.
        halvings: how often the number of columns is halved; a text needs as many columns as characters, and one more
            between two that are alike.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the line in both directions.
        dropout: before and between layers and before the head.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder and head that keeps the columns that are left.

    Raises:
        OptionError: an option is out of range.

    References:
        Graves & Schmidhuber 2009, Offline handwriting recognition with multidimensional recurrent neural networks;
        Shi, Bai & Yao 2017 (convolutions, BiLSTM and CTC).
    """
    columns = ColumnConvolution(input_size, image_channels, halvings=halvings)
    body = Encoder(
        columns.output_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=True,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
    return scored([columns], body, num_symbols, pool="none", dropout=dropout)


def video_lstm(
    frame_shape: tuple[int, int, int],
    num_classes: int,
    *,
    frame_channels: tuple[int, ...] = (16, 32, 64),
    frame_features: int = 128,
    motion: bool = True,
    hidden_sizes: tuple[int, ...] = (128,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "attention",
    dropout: float = 0.3,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """A film to its class: convolutions over each frame, BiLSTMs over their features, attention over time.

    Args:
        frame_shape: of a frame, ``(H, W, C)``.
        num_classes: scores per clip.
        frame_channels: features of each convolution over a frame.
        frame_features: features of a frame after them.
        motion: beside each frame what changed since the one before.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the clip in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"``, or ``"attention"``, which tells the share of each frame.
        dropout: between layers and before the head.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder, pool and head.

    Raises:
        OptionError: an option is out of range.

    References:
        Donahue et al. 2015 (LRCN).
    """
    height, width, channels = frame_shape
    stem: list[nn.Module] = [FrameChange()] if motion else []
    shape = (height, width, 2 * channels if motion else channels)
    stem.append(FrameConvolution(shape, frame_channels, frame_features))
    body = Encoder(
        frame_features,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=True,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
    return scored(stem, body, num_classes, pool=pool, dropout=dropout)
