"""Transcribers: scores of symbols for each step of a sequence, to be trained and read by CTC."""

from typing import Any

from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError
from gatewise.models.encoder import Encoder
from gatewise.models.parts import convolutions, scored
from gatewise.models.sequence_model import SequenceModel
from gatewise.nn.augmentation import Augment
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths
from gatewise.types import Batch, Outputs


class Search(nn.Module):
    r"""How scores become a text; it has no weights, and may be changed after the training.

    Args:
        beam_size: beginnings that the search follows side by side; 1 reads the likeliest path, which is quicker and a
            little worse.
        lm_weight: weight of the language model in the search, :math:`\alpha`.
        length_bonus: added to the score of a text for each of its characters, :math:`\beta`.

    Attributes:
        language_model: what scores texts in the place of the n-gram of the training transcripts, which None stands
            for: a :class:`~gatewise.decoding.ctc.SymbolModel`.

    Raises:
        OptionError: an option is out of range, or needs a beam.
    """

    def __init__(self, *, beam_size: int = 8, lm_weight: float = 0.0, length_bonus: float = 0.0) -> None:
        super().__init__()
        self.language_model: Any = None
        self.set(beam_size=beam_size, lm_weight=lm_weight, length_bonus=length_bonus)

    def set(self, *, beam_size: int, lm_weight: float, length_bonus: float) -> None:
        """Takes other options."""
        if beam_size < 1:
            raise OptionError(f"beam_size: expected at least 1, got {beam_size}. 1 reads the likeliest path.")
        if not 0 <= lm_weight <= 100 or not -100 <= length_bonus <= 100:
            raise OptionError(
                f"lm_weight, length_bonus: expected 0 to 100 and -100 to 100, got {lm_weight} and {length_bonus}. "
                "Below 3 is usual."
            )
        if beam_size == 1 and (lm_weight or length_bonus):
            raise OptionError(
                f"lm_weight, length_bonus: expected none with a beam_size of 1, got {lm_weight} and {length_bonus}. "
                "Follow more beginnings, such as 16."
            )
        self.beam_size, self.lm_weight, self.length_bonus = beam_size, lm_weight, length_bonus

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"beam_size={self.beam_size}, lm_weight={self.lm_weight}, length_bonus={self.length_bonus}"


class Transcriber(nn.Module):
    """A model of scores per step in the form that tasks train, with the search that reads them.

    Args:
        model: a :class:`~gatewise.models.sequence_model.Scorer` of scores ``[B, T', V]``.
        search: how they become a text.
    """

    def __init__(self, model: nn.Module, search: Search) -> None:
        super().__init__()
        self.model = model
        self.search = search

    def forward(self, batch: Batch, state: Any = None) -> Outputs:
        return self.model.run(batch.inputs, batch.lengths, state)  # type: ignore[no-any-return, operator]


class Standardisation(nn.Module):
    """Brings each feature to mean 0 and deviation 1 as measured in training; a block of a stem.

    Args:
        num_features: features per step, ``I``.

    Shape:
        - input: ``[B, T, I]``, lengths ``[B]`` or None
        - output: the same, zero in the padding
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.norm = SequenceBatchNorm(num_features)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        return self.norm(x, mask), lengths

    def stream(self) -> "StandardisationStream":
        """Takes steps as they come in, as in evaluation."""
        return StandardisationStream(self.norm)


class StandardisationStream:
    """The steps of a sequence of which one part after another comes in, standardised.

    Args:
        norm: its statistics are taken as they are now.
    """

    def __init__(self, norm: SequenceBatchNorm) -> None:
        self._scale, self._shift = (part.detach().clone() for part in norm.affine())

    def push(self, x: Tensor) -> Tensor:
        """The next steps ``[n, I]``."""
        return x * self._scale + self._shift

    def finish(self) -> None:
        """Nothing was kept back."""


def ctc_lstm(
    input_size: int,
    num_symbols: int,
    *,
    hidden_sizes: tuple[int, ...] = (128, 128),
    encoder: str = "lstm",
    bidirectional: bool = True,
    batch_norm: bool = True,
    dropout: float = 0.3,
    stem_channels: tuple[int, ...] = (),
    stem_kernel_sizes: tuple[int, ...] = (),
    stem_strides: tuple[int, ...] = (),
    augment: Augment = Augment(),  # noqa: B008  frozen
    cell: Cell | None = None,
    kernel: str = "auto",
) -> SequenceModel:
    """A sequence of features, such as the strokes of a pen, to text: BiLSTM and CTC.

    BatchNorm → convolutions, if any → BiLSTM(128) → BatchNorm → Dropout → BiLSTM(128) → Dropout → Dense.

    Args:
        input_size: features per step.
        num_symbols: scores per step: blank, the other special symbols, characters.
        hidden_sizes: units per direction, one number a layer.
        encoder: ``"lstm"``, or torch's ``"gru"`` and ``"rnn"``.
        bidirectional: read the sequence in both directions; else nothing looks ahead, so that it can follow a stream.
        batch_norm: between layers.
        dropout: between layers and before the head.
        stem_channels: features of each convolution before the encoder; none for none.
        stem_kernel_sizes: steps that each of them sees; odd.
        stem_strides: steps from one output to the next, of each; a text needs as many steps as are left.
        augment: changes to the inputs in training.
        cell: which LSTM equations.
        kernel: which implementation.

    Returns:
        A model of encoder and head that keeps the steps.

    Raises:
        OptionError: the stem's lists differ in length.

    References:
        Graves et al. 2009, A novel connectionist system for unconstrained handwriting recognition.
    """
    stem: list[nn.Module] = [Standardisation(input_size)]
    stem += convolutions("stem", input_size, stem_channels, stem_kernel_sizes, stem_strides, causal=not bidirectional)
    body = Encoder(
        stem_channels[-1] if stem_channels else input_size,
        hidden_sizes,
        kind=encoder,
        bidirectional=bidirectional,
        batch_norm=batch_norm,
        dropout=dropout,
        cell=cell,
        kernel=kernel,
    )
    return scored(stem, body, num_symbols, pool="none", dropout=dropout, augment=augment)
