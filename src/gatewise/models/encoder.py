"""The encoder: a stack of recurrent layers with normalisation and dropout between them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, did_you_mean
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.initializers import initialize, initialize_chrono
from gatewise.nn.lstm import LSTM
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.nn.stateful import StatefulStep
from gatewise.sequences import mask_of_lengths

LARGEST = 65_536  # units of a layer: beyond, a typing error is likelier than 64 GiB of weights
ENCODERS = ("lstm", "gru", "rnn")


class Encoded(NamedTuple):
    """What an encoder returns.

    ``steps [B, T, D*H]`` of the last layer, zero in the padding; ``last [B, D*H]``, its hidden state after each row's
    last step; ``state``, one recurrent state a layer.
    """

    steps: Tensor
    last: Tensor
    state: tuple[Any, ...]


class Encoder(nn.Module):
    """Recurrent layers, one after the other; between two of them batch normalisation (if asked for) and dropout.

    Args:
        input_size: features per step.
        hidden_sizes: units per direction, one number a layer.
        kind: ``"lstm"`` (gatewise's), ``"gru"`` or ``"rnn"`` (torch's, to compare with).
        bidirectional: each layer also reads the sequence backwards.
        batch_norm: normalise after each layer but the last.
        dropout: probability of zeroing a value after each layer but the last.
        variational_dropout: as ``dropout``, which it replaces, with one mask a sequence, the same at every step.
        weight_drop: share of the recurrent weights zeroed in training; only for ``kind="lstm"``.
        cell: which LSTM equations; only for ``kind="lstm"``.
        kernel: implementation of the LSTM; only for ``kind="lstm"``.
        checkpoint_steps: memory instead of time, as :class:`~gatewise.nn.lstm.LSTM` has it; only for ``kind="lstm"``.
        chrono: steps that the longest memory should begin with (:func:`~gatewise.nn.initializers.initialize_chrono`);
            None: every forget gate begins with a bias of 1. Only for ``kind="lstm"``.

    Shape:
        - x ``[B, T, input_size]``, lengths ``[B]`` or None, state as returned earlier or None
        - returns :class:`Encoded`

    Raises:
        OptionError: ``kind`` does not exist, something of an LSTM is asked of another, or ``variational_dropout``
            meets ``dropout`` or ``batch_norm``.

    References:
        Gal & Ghahramani 2016 (one mask a sequence); Merity, Keskar & Socher 2018 (dropped recurrent weights).
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: tuple[int, ...],
        *,
        kind: str = "lstm",
        bidirectional: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.0,
        variational_dropout: float = 0.0,
        weight_drop: float = 0.0,
        cell: Cell | None = None,
        kernel: str = "auto",
        checkpoint_steps: int | None = None,
        chrono: int | None = None,
    ) -> None:
        super().__init__()
        if not hidden_sizes or min(hidden_sizes) < 1 or max(hidden_sizes) > LARGEST:
            raise OptionError(
                f"hidden_sizes: expected one number from 1 to {LARGEST} a layer, got {hidden_sizes}. Try 64, 64."
            )
        _check_options_of_lstm(kind, cell, kernel, weight_drop, checkpoint_steps, chrono)
        if variational_dropout and (batch_norm or dropout):
            raise OptionError(
                f"encoder: expected variational_dropout without batch_norm and dropout, got {variational_dropout}, "
                f"{batch_norm} and {dropout}. Choose one of them for between the layers."
            )
        directions = 2 if bidirectional else 1
        self.output_size = directions * hidden_sizes[-1]
        self.layers = nn.ModuleList()
        self.between = nn.ModuleList()
        size = input_size
        for depth, hidden_size in enumerate(hidden_sizes):
            self.layers.append(
                _layer(kind, size, hidden_size, bidirectional, cell or Cell(), kernel, weight_drop, checkpoint_steps)
            )
            size = directions * hidden_size
            if depth == len(hidden_sizes) - 1:
                break
            if batch_norm:
                self.between.append(SequenceBatchNorm(size, dropout=dropout))
            else:
                locked = variational_dropout > 0
                self.between.append(SequenceDropout(variational_dropout if locked else dropout, locked=locked))
        if chrono is None:
            initialize(self)
        else:
            initialize_chrono(self, chrono)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: tuple[Any, ...] | None = None) -> Encoded:
        mask = None if lengths is None else mask_of_lengths(lengths, x.shape[1])
        final = []
        for depth, layer in enumerate(self.layers):
            layer_state = None if state is None else state[depth]
            between = self.between[depth - 1] if depth else None
            if isinstance(between, SequenceBatchNorm) and isinstance(layer, LSTM) and folds(between, layer, x):
                scale, shift = between.affine()
                x, layer_state = layer.forward_affine(x, layer_state, scale=scale, shift=shift, lengths=lengths)
            else:
                if isinstance(between, SequenceBatchNorm):
                    x = between(x, mask)
                elif between is not None:
                    x = between(x)
                x, layer_state = layer(x, layer_state, lengths=lengths)
            final.append(layer_state)
        h = final[-1][0] if isinstance(final[-1], tuple) else final[-1]  # [D, B, H]
        return Encoded(steps=x, last=h.transpose(0, 1).flatten(1), state=tuple(final))


def stateful_step(encoder: Encoder, *, batch_size: int = 1) -> StatefulStep:
    """The encoder, in evaluation, one time step a call: for a live stream.

    Raises:
        OptionError: its layers are no LSTMs, or look ahead.
    """
    layers, affines = [], []
    for depth, layer in enumerate(encoder.layers):
        if not isinstance(layer, LSTM):
            raise OptionError(f"stateful_step: expected LSTM layers, got {type(layer).__name__}. Train an LSTM.")
        between = encoder.between[depth - 1] if depth else None
        layers.append(layer)
        affines.append(between.affine() if isinstance(between, SequenceBatchNorm) else None)
    return StatefulStep(layers, affines=affines, batch_size=batch_size)


def folds(norm: SequenceBatchNorm, lstm: LSTM, x: Tensor) -> bool:
    """Whether :meth:`LSTM.forward_affine` on ``x`` computes ``lstm(norm(x))``: in inference, where that is faster.

    In evaluation the normalisation scales and shifts each feature. To take that into the weights costs two passes over
    them, so the input must be the larger. Where someone watches the modules by hooks, they run as they are.
    """
    if norm.training or norm.dropout.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if not lstm.bias or lstm.cell.norm is not None or x.shape[-1] != norm.num_features:
        return False
    if any(module._forward_hooks or module._forward_pre_hooks for module in (norm, lstm)):
        return False
    rows_of_weights = lstm.num_directions * lstm.cell.num_gates * lstm.hidden_size
    return x.shape[0] * x.shape[1] >= 2 * rows_of_weights


def _check_options_of_lstm(
    kind: str,
    cell: Cell | None,
    kernel: str,
    weight_drop: float,
    checkpoint_steps: int | None,
    chrono: int | None,
) -> None:
    if kind == "lstm":
        return
    if cell not in (None, Cell()) or kernel != "auto":
        raise OptionError(
            f'encoder: expected no cell and no kernel for "{kind}", got {cell} and "{kernel}". '
            'Both belong to encoder "lstm".'
        )
    if weight_drop:
        raise OptionError(
            f'encoder: expected no weight_drop for "{kind}", got {weight_drop}. It belongs to encoder "lstm".'
        )
    if checkpoint_steps is not None:
        raise OptionError(
            f'encoder: expected no checkpoint_steps for "{kind}", got {checkpoint_steps}. It belongs to encoder "lstm".'
        )
    if chrono is not None:
        raise OptionError(f'encoder: expected no chrono for "{kind}", got {chrono}. It belongs to encoder "lstm".')


def _layer(
    kind: str,
    input_size: int,
    hidden_size: int,
    bidirectional: bool,
    cell: Cell,
    kernel: str,
    weight_drop: float,
    checkpoint_steps: int | None,
) -> nn.Module:
    if kind == "lstm":
        return LSTM(
            input_size,
            hidden_size,
            batch_first=True,
            bidirectional=bidirectional,
            cell=cell,
            kernel=kernel,
            weight_drop=weight_drop,
            checkpoint_steps=checkpoint_steps,
        )
    if kind == "gru":
        return RaggedRecurrent(nn.GRU(input_size, hidden_size, batch_first=True, bidirectional=bidirectional))
    if kind == "rnn":
        return RaggedRecurrent(nn.RNN(input_size, hidden_size, batch_first=True, bidirectional=bidirectional))
    raise OptionError(f'encoder: expected one of {", ".join(ENCODERS)}, got "{kind}". {did_you_mean(kind, ENCODERS)}')


class RaggedRecurrent(nn.Module):
    """torch's own GRU or RNN with ``lengths``, as gatewise's LSTM takes them.

    Args:
        layer: a batch-first :class:`torch.nn.GRU` or :class:`torch.nn.RNN`.

    Shape:
        - x ``[B, T, I]``, h_0 ``[L*D, B, H]`` or None, lengths ``[B]`` or None
        - returns output ``[B, T, D*H]`` (zero in the padding) and h_n ``[L*D, B, H]``; a row of length 0 keeps h_0
    """

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, h_0: Tensor | None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if lengths is None:
            return self.layer(x, h_0)  # type: ignore[no-any-return]
        mask = mask_of_lengths(lengths, x.shape[1])
        x = x.masked_fill(~mask[..., None], 0.0)
        # torch's packing refuses length 0: such a row runs for one step, and its state is put back.
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        output, h_n = self.layer(packed, h_0)
        output, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
        before = torch.zeros_like(h_n) if h_0 is None else h_0
        h_n = torch.where((lengths > 0)[None, :, None], h_n, before)
        return output.masked_fill(~mask[..., None], 0.0), h_n
