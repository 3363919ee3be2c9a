"""Named models with sizes: plain functions. Every size is free; the defaults are what was found to work.

The first parameters of a recipe, those without a default, are what only the data can tell. For series of numbers,
defined here: from ``[B, T, input_size]`` to scores ``[B, num_classes]``, called as ``model(x, lengths=None)``;
``num_classes`` is the number of scores, for a regression that of values. Those for texts stand with their models.
"""

from collections.abc import Callable

from torch import nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.audio import audio_lstm, speech_lstm
from gatewise.models.encoder import Encoder
from gatewise.models.forecaster import forecaster
from gatewise.models.language_model import awd_lstm, lstm_lm
from gatewise.models.parts import convolutions, scored
from gatewise.models.pictures import line_lstm, skeleton_lstm, stroke_lstm, video_lstm
from gatewise.models.seq2seq import pointer, seq2seq
from gatewise.models.sequence_model import ConvolutionBeside, SequenceModel
from gatewise.models.tagger import tagger
from gatewise.models.text_classifier import text_lstm
from gatewise.models.transcriber import ctc_lstm
from gatewise.nn.attention import make_pool
from gatewise.nn.augmentation import Augment
from gatewise.nn.dropout import SequenceDropout


def lstm(
    input_size: int,
    num_classes: int,
    *,
    hidden_sizes: tuple[int, ...] = (64,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "max",
    batch_norm: bool = True,
    dropout: float = 0.3,
    stem_channels: tuple[int, ...] = (64,),
    stem_kernel_sizes: tuple[int, ...] = (7,),
    stem_strides: tuple[int, ...] | None = None,
    augment: Augment = Augment(),  # noqa: B008  frozen
    cell: Cell | None = None,
    kernel: str = "auto",
    checkpoint_steps: int | None = None,
    chrono: int | None = None,
) -> SequenceModel:
    """The default: small, fast, good on short sequences and little data.

    Convolution (7 steps, every second) → BatchNorm → ReLU → BiLSTM(64) → maximum over time → Dropout → Dense. The
    convolution halves the steps of the LSTM and gives it short shapes instead of single values;
    ``stem_channels=()`` leaves it out.

    Args:
        input_size: features per step.
        num_classes: scores per sequence.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the sequence in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"``, ``"attention"``, or ``"none"`` for scores per step.
        batch_norm: between layers.
        dropout: between layers and before the head.
        stem_channels: features of each convolution before the encoder; none for none.
        stem_kernel_sizes: steps that each of them sees; odd.
        stem_strides: steps from one output to the next, of each; None for 2, or for 1 with scores per step.
        augment: changes to the inputs in training.
        cell: which LSTM equations.
        kernel: which implementation.
        checkpoint_steps: of the LSTM, for long sequences; see :class:`~gatewise.nn.lstm.LSTM`.
        chrono: steps that the LSTM's longest memory should begin with; None for forget gates that begin open alike.

    Returns:
        A model of encoder, pool and head.

    Raises:
        OptionError: the stem's lists differ in length, or scores per step of fewer steps are asked for
            (``stem_strides`` above 1 with ``pool="none"``).
    """
    if stem_strides is None:
        stem_strides = (1 if pool == "none" else 2,) * len(stem_channels)
    if pool == "none" and max(stem_strides, default=1) > 1:
        raise OptionError(f"lstm: expected stem_strides of 1 for an answer a step, got {stem_strides}.")
    stem = convolutions("stem", input_size, stem_channels, stem_kernel_sizes, stem_strides)
    body = Encoder(
        stem_channels[-1] if stem_channels else input_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=batch_norm,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
        checkpoint_steps=checkpoint_steps,
        chrono=chrono,
    )
    return scored(stem, body, num_classes, pool=pool, dropout=dropout, augment=augment)


def bilstm(
    input_size: int,
    num_classes: int,
    *,
    hidden_sizes: tuple[int, ...] = (64, 64, 32),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "last",
    dropout: float = 0.5,
    dense_size: int = 32,
    augment: Augment = Augment(),  # noqa: B008  frozen
    cell: Cell | None = None,
    kernel: str = "auto",
    checkpoint_steps: int | None = None,
) -> SequenceModel:
    """The founding architecture: three bidirectional LSTMs with batch normalisation and dropout between them.

    BiLSTM(64) → BatchNorm → Dropout → BiLSTM(64) → BatchNorm → Dropout → BiLSTM(32), last state → Dense(32), ReLU →
    Dense(num_classes). 177,762 trainable parameters with one input feature and two classes.

    Args:
        input_size: features per step.
        num_classes: scores per sequence.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the sequence in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"``, ``"attention"``, or ``"none"`` for scores per step.
        dropout: after each batch normalisation.
        dense_size: units of the layer before the scores.
        augment: changes to the inputs in training.
        cell: which LSTM equations.
        kernel: which implementation.
        checkpoint_steps: of the LSTM, for long sequences; see :class:`~gatewise.nn.lstm.LSTM`.

    Returns:
        A model of encoder, pool and head.
    """
    if dense_size < 1:
        raise OptionError(f"bilstm: expected dense_size of at least 1, got {dense_size}.")
    body = Encoder(
        input_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=True,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
        checkpoint_steps=checkpoint_steps,
    )
    head = nn.Sequential(nn.Linear(body.output_size, dense_size), nn.ReLU(), nn.Linear(dense_size, num_classes))
    return SequenceModel(body, make_pool(pool, body.output_size), head, augment=augment)


def lstm_fcn(
    input_size: int,
    num_classes: int,
    *,
    hidden_sizes: tuple[int, ...] = (64,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "mean",
    dropout: float = 0.3,
    conv_channels: tuple[int, ...] = (64, 128, 64),
    conv_kernel_sizes: tuple[int, ...] = (7, 5, 3),
    augment: Augment = Augment(),  # noqa: B008  frozen
    cell: Cell | None = None,
    kernel: str = "auto",
    checkpoint_steps: int | None = None,
) -> ConvolutionBeside:
    """A fully convolutional branch beside the LSTM: local shapes and long memory together.

    Args:
        input_size: features per step.
        num_classes: scores per sequence.
        hidden_sizes: units per direction of the recurrent branch, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the sequence in both directions.
        pool: ``"last"``, ``"mean"``, ``"max"`` or ``"attention"``, of the recurrent branch.
        dropout: between recurrent layers and before the head.
        conv_channels: features of each convolution.
        conv_kernel_sizes: steps that each convolution sees; odd.
        augment: changes to the inputs in training.
        cell: which LSTM equations.
        kernel: which implementation.
        checkpoint_steps: of the LSTM, for long sequences; see :class:`~gatewise.nn.lstm.LSTM`.

    Returns:
        A model of two branches and a head.

    Raises:
        OptionError: the lists of convolutions differ in length, or ``pool`` is ``"none"``.
    """
    if pool == "none":
        raise OptionError('lstm_fcn: expected a pool, got "none". For an answer per step use recipe lstm or bilstm.')
    body = Encoder(
        input_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
        checkpoint_steps=checkpoint_steps,
    )
    blocks = convolutions("conv", input_size, conv_channels, conv_kernel_sizes, (1,) * len(conv_channels))
    head = nn.Sequential(SequenceDropout(dropout), nn.Linear(body.output_size + conv_channels[-1], num_classes))
    return ConvolutionBeside(body, make_pool(pool, body.output_size), blocks, head, augment=augment)


RECIPES: dict[str, Callable[..., nn.Module]] = {
    "lstm": lstm,
    "bilstm": bilstm,
    "lstm-fcn": lstm_fcn,
    "text-lstm": text_lstm,
    "tagger": tagger,
    "lstm-lm": lstm_lm,
    "awd-lstm": awd_lstm,
    "seq2seq": seq2seq,
    "pointer": pointer,
    "audio-lstm": audio_lstm,
    "speech-lstm": speech_lstm,
    "ctc-lstm": ctc_lstm,
    "stroke-lstm": stroke_lstm,
    "skeleton-lstm": skeleton_lstm,
    "line-lstm": line_lstm,
    "video-lstm": video_lstm,
    "forecaster": forecaster,
}
