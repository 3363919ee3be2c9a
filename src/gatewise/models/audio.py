"""Models of recordings: from samples ``[B, T]`` to a class, or to a score of each character at each step."""

from typing import NamedTuple

from torch import nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.parts import convolutions, scored
from gatewise.models.sequence_model import SequenceModel
from gatewise.nn.image import ColumnConvolution
from gatewise.nn.masking import Masking, Perturbation
from gatewise.nn.spectrogram import LogMel, mel_of

MEL_PER_BAND = 105
TRIM = 20.0  # dB


class _Layers(NamedTuple):
    """The options of the encoder, as the recipes have them."""

    hidden_sizes: tuple[int, ...]
    encoder: str
    bidirectional: bool
    batch_norm: bool
    dropout: float
    cell: Cell | None
    kernel: str


def audio_lstm(
    sample_rate: int,
    num_classes: int,
    *,
    hidden_sizes: tuple[int, ...] = (64,),
    encoder: str = "lstm",
    bidirectional: bool = True,
    pool: str = "mean",
    batch_norm: bool = True,
    dropout: float = 0.5,
    conv_channels: tuple[int, ...] = (),
    halvings: int = 1,
    stem_channels: tuple[int, ...] = (64, 64),
    stem_kernel_sizes: tuple[int, ...] = (5, 5),
    stem_strides: tuple[int, ...] = (2, 2),
    mel_bands: int | None = None,
    normalize: str | None = None,
    trim: float | None = None,
    speed: float = 0.1,
    noise: float = 0.1,
    warp: float = 0.0,
    time_masks: int = 1,
    time_mask: int = 10,
    frequency_masks: int = 1,
    frequency_mask: int = 4,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """Tells recordings apart: log-mel frames, convolutions over time, a BiLSTM, the mean.

    Trimming → LogMel → Convolution(64), every second → Convolution(64), every second → BiLSTM(64) → mean over time →
    Dropout → Dense. The defaults are those that tell words of speakers best who were not in training.

    Args:
        sample_rate: samples a second.
        num_classes: scores per recording.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the recording in both directions; else nothing looks ahead, the convolutions neither.
        pool: ``"last"``, ``"mean"``, ``"max"`` or ``"attention"``.
        batch_norm: between recurrent layers.
        dropout: between recurrent layers and before the head.
        conv_channels: features of each convolution over time and bands, 3 x 3; each halves the bands. None by default,
            and none where nothing may look ahead.
        halvings: how many of these also halve the frames.
        stem_channels: features of each convolution over time that follows; none for none.
        stem_kernel_sizes: frames that each of them sees; odd.
        stem_strides: frames from one output to the next, of each.
        mel_bands: frequency bands of a frame; None for one in about 100 mel: 20 at 8 kHz, 27 at 16 kHz. Broad bands
            show less of who speaks.
        normalize: ``"utterance"``, ``"level"`` or ``"running"``; see :class:`LogMel`. None for ``"level"``, or for
            ``"running"`` where nothing may look ahead.
        trim: leave out both ends of a recording where they are more than so many dB below its loudest frame; 0 does
            not. None for 20, or for 0 where nothing may look ahead or with attention, which is shown over the whole.
        speed: in training, by which share at most a recording is faster or slower.
        noise: in training, the loudest noise added, in units of the recording's root mean square.
        warp: in training, by which share at most frequencies are stretched, as by another speaker.
        time_masks: in training, how many stretches of frames are hidden.
        time_mask: most frames of each.
        frequency_masks: in training, how many stretches of bands are hidden.
        frequency_mask: most bands of each.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder, pool and head.

    Raises:
        OptionError: the stem's lists differ in length, or ``pool`` is ``"none"``.
    """
    if pool == "none":
        raise OptionError('audio_lstm: expected a pool, got "none". For a text take speech_lstm.')
    masking = Masking(
        time_masks=time_masks, time_mask=time_mask, frequency_masks=frequency_masks, frequency_mask=frequency_mask
    )
    mel = _mel_of_classes(sample_rate, mel_bands, normalize, trim, warp, looks_ahead=bidirectional, pool=pool)
    stem: list[nn.Module] = [Perturbation(speed=speed, noise=noise), mel, masking]
    over_time = (stem_channels, stem_kernel_sizes, stem_strides)
    size = _add_convolutions(stem, mel.mel_bands, conv_channels, halvings, over_time, causal=not bidirectional)
    layers = _Layers(hidden_sizes, encoder, bidirectional, batch_norm, dropout, cell, kernel)
    return _model(stem, size, layers, pool, num_classes)


def speech_lstm(
    sample_rate: int,
    num_symbols: int,
    *,
    hidden_sizes: tuple[int, ...] = (128, 128),
    encoder: str = "lstm",
    bidirectional: bool = True,
    batch_norm: bool = False,
    dropout: float = 0.3,
    conv_channels: tuple[int, ...] = (),
    halvings: int = 1,
    stem_channels: tuple[int, ...] = (128,),
    stem_kernel_sizes: tuple[int, ...] = (5,),
    stem_strides: tuple[int, ...] = (2,),
    mel_bands: int = 40,
    normalize: str | None = None,
    speed: float = 0.1,
    noise: float = 0.0,
    warp: float = 0.0,
    time_masks: int = 2,
    time_mask: int = 10,
    frequency_masks: int = 2,
    frequency_mask: int = 8,
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """Scores for each symbol at each step, for connectionist temporal classification: log-mel, convolution, BiLSTMs.

    A step of the scores is as many frames of 10 ms as the strides multiply to. No text can be longer than its
    recording has steps.

    Args:
        sample_rate: samples a second.
        num_symbols: scores per step, the blank (0) among them.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the recording in both directions; else nothing looks ahead, so that it can follow a stream.
        batch_norm: between recurrent layers.
        dropout: between recurrent layers and before the head.
        conv_channels: features of each convolution over time and bands, 3 x 3; each halves the bands. None by default,
            and none where nothing may look ahead.
        halvings: how many of these also halve the frames.
        stem_channels: features of each convolution over time that follows; none for none.
        stem_kernel_sizes: frames that each of them sees; odd.
        stem_strides: frames from one output to the next, of each.
        mel_bands: frequency bands of a frame.
        normalize: ``"utterance"``, ``"level"`` or ``"running"``; see :class:`LogMel`. None for ``"utterance"``, or for
            ``"running"`` where nothing may look ahead.
        speed: in training, by which share at most a recording is faster or slower.
        noise: in training, the loudest noise added, in units of the recording's root mean square.
        warp: in training, by which share at most frequencies are stretched, as by another speaker.
        time_masks: in training, how many stretches of frames are hidden.
        time_mask: most frames of each.
        frequency_masks: in training, how many stretches of bands are hidden.
        frequency_mask: most bands of each.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder and head; its pool keeps every step.

    Raises:
        OptionError: the stem's lists differ in length.
    """
    masking = Masking(
        time_masks=time_masks, time_mask=time_mask, frequency_masks=frequency_masks, frequency_mask=frequency_mask
    )
    normalize = normalize or ("utterance" if bidirectional else "running")
    mel = LogMel(sample_rate, mel_bands=mel_bands, normalize=normalize, warp=warp)
    stem: list[nn.Module] = [Perturbation(speed=speed, noise=noise), mel, masking]
    over_time = (stem_channels, stem_kernel_sizes, stem_strides)
    size = _add_convolutions(stem, mel.mel_bands, conv_channels, halvings, over_time, causal=not bidirectional)
    layers = _Layers(hidden_sizes, encoder, bidirectional, batch_norm, dropout, cell, kernel)
    return _model(stem, size, layers, "none", num_symbols)


def _mel_of_classes(
    sample_rate: int,
    mel_bands: int | None,
    normalize: str | None,
    trim: float | None,
    warp: float,
    *,
    looks_ahead: bool,
    pool: str,
) -> LogMel:
    """What is left open is chosen by the sample rate, and by whether the whole recording is known."""
    normalize = normalize or ("level" if looks_ahead else "running")
    if trim is None:
        trim = 0.0 if normalize == "running" or pool == "attention" else TRIM
    if trim and pool == "attention":
        raise OptionError(
            f'audio_lstm: expected trim 0 with pool "attention", got {trim}. It is shown over the whole recording.'
        )
    if mel_bands is None:
        mel_bands = max(1, round(float(mel_of(sample_rate / 2)) / MEL_PER_BAND))
    return LogMel(sample_rate, mel_bands=mel_bands, normalize=normalize, warp=warp, trim=trim)


def _add_convolutions(
    stem: list[nn.Module],
    mel_bands: int,
    conv_channels: tuple[int, ...],
    halvings: int,
    over_time: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    *,
    causal: bool,
) -> int:
    """Those over time and bands, then those over time; returns the features after them."""
    if conv_channels and causal:
        raise OptionError(
            f"conv_channels: expected none with bidirectional=False, got {conv_channels}. They look ahead; take "
            "stem_channels alone."
        )
    channels, kernel_sizes, strides = over_time
    size = mel_bands
    if conv_channels:
        columns = ColumnConvolution(mel_bands, conv_channels, halvings=halvings)
        stem.append(columns)
        size = columns.output_size
    stem += convolutions("stem", size, channels, kernel_sizes, strides, causal=causal)
    return channels[-1] if channels else size


def _model(stem: list[nn.Module], size: int, layers: _Layers, pool: str, scores: int) -> SequenceModel:
    """Encoder, pool and head after a stem of ``size`` features."""
    body = Encoder(
        size,
        layers.hidden_sizes,
        kind=layers.encoder,
        bidirectional=layers.bidirectional,
        batch_norm=layers.batch_norm,
        dropout=layers.dropout,
        cell=layers.cell,
        kernel=layers.kernel,
    )
    return scored(stem, body, scores, pool=pool, dropout=layers.dropout)
