"""The LSTM layer: torch's signature and names, with a choice of equations and of kernels."""

import math
import warnings
from collections.abc import Callable
from typing import Any, Self, overload

import torch
from torch import Tensor, nn
from torch.backends import cudnn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatewise.cell import PLAIN, Cell, Weights
from gatewise.errors import OptionError, ShapeError
from gatewise.kernels.contract import NO_MASKS, Inputs, Masks, Request
from gatewise.kernels.select import check_name, run_layer
from gatewise.nn.checkpointing import check_steps, run_in_chunks
from gatewise.nn.dropout import dropout, dropout_mask
from gatewise.nn.tracing import consumer, run_recorded
from gatewise.sequences import mask_of_lengths
from gatewise.types import State


class LSTM(nn.Module):
    r"""Multi-layer LSTM over padded sequences, with a choice of cell and kernel.

    For each step :math:`t`, with :math:`(i, f, g, o)` the input, forget, candidate and output gates:

    .. math::
        a_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}                    \tag{1}\\
        i_t &= \sigma(a_i), \quad f_t = \sigma(a_f), \quad g_t = \tanh(a_g)     \tag{2-4}\\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t                                \tag{5}\\
        h_t &= \sigma(a_o) \odot \tanh(c_t)                                     \tag{6-7}

    :class:`~gatewise.cell.Cell` switches the variants; ``docs/equations.md`` has the full sheet. State-dict names,
    shapes and initial values are those of :class:`torch.nn.LSTM`, so plain checkpoints load in both directions.

    Args:
        input_size: features per step, ``I``.
        hidden_size: units per direction, ``H``.
        num_layers: layers ``L``, each over the output of the one before.
        bias: whether there are ``bias_ih`` and ``bias_hh``.
        batch_first: ``[B, T, ...]`` in and out instead of ``[T, B, ...]``; states are ``[L*D, B, ...]`` in any case.
        dropout: rate of dropout between layers, in training.
        bidirectional: a second direction from the end to the beginning; ``D`` is 2.
        proj_size: ``P``: h is projected from ``H`` to this size; 0: it is not.
        device: where the parameters live.
        dtype: of the parameters.
        cell: which equations. Default: the plain LSTM.
        kernel: ``"auto"`` or a name from :func:`gatewise.kernels.explain`. A named kernel that cannot serve raises.
        weight_drop: share of the recurrent weights ``weight_hh`` that is zeroed in training, the others scaled so that
            the mean stays; one mask a call, the same for every row and step (DropConnect). Any kernel serves it.
        checkpoint_steps: memory instead of time, for long sequences. Each layer is differentiated in chunks of so many
            steps, last chunk first, and computes each of them again; 0: four times the root of ``T``. Equations, masks
            and random numbers stay the same. None: a layer keeps what every step leaves for the backward pass.

    Shape:
        - input: ``[B, T, I]`` if ``batch_first``, else ``[T, B, I]``; unbatched ``[T, I]``; or a PackedSequence. The
          output is of the same kind. Dtype as the parameters', or anything under autocast.
        - hx: h ``[L*D, B, P or H]`` and c ``[L*D, B, H]``, without ``B`` if unbatched; default zeros
        - lengths: ``[B]`` integers in ``0..T``, or None for all ``T``. Padding may hold anything, even NaN
        - resets: bool, of the input's first two sizes (``[T]`` if unbatched). True at step t cuts the row between t-1
          and t: the state is zero there, in both directions, as if the pieces had been run one by one
        - output: ``[B, T, D*(P or H)]``, or ``[T, B, ...]``; in the input's dtype; zero beyond ``lengths``
        - returned state: after each row's own last step; a row of length 0 returns its initial state

    Raises:
        OptionError: an argument of the constructor is out of range.
        ShapeError: a size or dtype does not fit.
        KernelUnavailable: the named kernel cannot serve, with the reason.

    Example:
        >>> lstm = LSTM(4, 8, bidirectional=True, batch_first=True)
        >>> output, state = lstm(torch.randn(3, 5, 4), lengths=torch.tensor([5, 2, 0]))
        >>> output.shape, state.h.shape
        (torch.Size([3, 5, 16]), torch.Size([2, 3, 8]))
        >>> bool((output[1, 2:] == 0).all())
        True

    References:
        Hochreiter & Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber & Cummins 2000, Learning to forget;
        Graves & Schmidhuber 2005 (bidirectional); Sak, Senior & Beaufays 2014 (projection); Wan et al. 2013 and
        Merity, Keskar & Socher 2018 (``weight_drop``); each variant on ``Cell``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: Cell = PLAIN,
        kernel: str = "auto",
        weight_drop: float = 0.0,
        checkpoint_steps: int | None = None,
    ) -> None:
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, dropout=dropout, proj_size=proj_size, cell=cell)
        _check_weight_drop(weight_drop)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.weight_drop = float(weight_drop)
        self.checkpoint_steps = check_steps(checkpoint_steps)
        self.cell = cell
        self.kernel = check_name(kernel)
        self._cell_in_eval = cell.without_dropout()
        self._names: list[list[list[str | None]]] = []  # [layer][direction][field of Weights]
        for layer in range(num_layers):
            self._names.append([self._add_direction(layer, suffix, device, dtype) for suffix in self._suffixes])
        self.reset_parameters()
        self.flatten_parameters()

    @property
    def num_directions(self) -> int:
        """``D``."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """``D * (P or H)``, the last size of the output."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _add_direction(
        self, layer: int, suffix: str, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> list[str | None]:
        input_size = self.input_size if layer == 0 else self.output_size
        shapes = self.cell.parameter_shapes(input_size, self.hidden_size, proj_size=self.proj_size, bias=self.bias)
        for field, shape in shapes.items():
            self.register_parameter(
                f"{field}_l{layer}{suffix}", nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            )
        return [f"{field}_l{layer}{suffix}" if field in shapes else None for field in Weights._fields]

    def weights(self) -> list[tuple[Weights, ...]]:
        """The parameters, for each layer and direction."""
        return [tuple(self._weights(names, None, None) for names in of_layer) for of_layer in self._names]

    def reset_parameters(self) -> None:
        """As torch: uniform in ±1/sqrt(H), from the same random numbers; gains are one."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    @overload
    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None, *, lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]: ...  # fmt: skip

    @overload
    def forward(
        self, input: PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[PackedSequence, State]: ...

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, State]:
        """Output and last state; see the class."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, resets)
        if input.dim() == 2:
            return self._forward_unbatched(input, hx, lengths, resets)
        if input.dim() != 3:
            layout = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
            raise ShapeError(
                f"LSTM: expected input of shape {layout}, got {tuple(input.shape)}. Add or drop a dimension."
            )
        if not self.batch_first:
            return self._run(input, hx, lengths, resets)
        output, state = self._run(input.transpose(0, 1), hx, lengths, None if resets is None else resets.T)
        return output.transpose(0, 1), state

    def forward_affine(
        self,
        input: Tensor,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        scale: Tensor,
        shift: Tensor,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """As ``forward`` on ``input * scale + shift``, without computing that: the first layer's weights take it in.

        For inference, where it saves a pass over the input. Of the class' options it needs ``bias`` and a cell without
        layer norm, which would normalise without the shift.

        Args:
            input: ``[B, T, I]`` if ``batch_first``, else ``[T, B, I]``.
            hx: as in ``forward``.
            scale: ``[I]``.
            shift: ``[I]``.
            lengths: as in ``forward``.
        """
        assert self.bias and self.cell.norm is None and input.dim() == 3
        x = input.transpose(0, 1) if self.batch_first else input
        output, state = self._run(x, hx, lengths, None, affine=(scale, shift))
        return output.transpose(0, 1) if self.batch_first else output, state

    def _forward_unbatched(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        if lengths is not None:
            raise ShapeError("LSTM: expected no lengths with unbatched input, got some. Cut the input instead.")
        state = None if hx is None else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        resets = None if resets is None else resets.unsqueeze(1)
        output, (h_n, c_n) = self._run(input.unsqueeze(1), state, None, resets)
        return output.squeeze(1), State(h_n.squeeze(1), c_n.squeeze(1))

    def _forward_packed(
        self,
        input: PackedSequence,
        hx: tuple[Tensor, Tensor] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[PackedSequence, State]:
        if lengths is not None or resets is not None:
            raise ShapeError("LSTM: expected neither lengths nor resets with a PackedSequence, got some. Pass the "
                             "padded tensor instead.")  # fmt: skip
        padded, lengths = pad_packed_sequence(input)
        output, state = self._run(padded, hx, lengths.to(padded.device), None)
        order = input.sorted_indices
        if order is not None:
            output, lengths = output.index_select(1, order), lengths[order.cpu()]
        data = pack_padded_sequence(output, lengths).data
        return PackedSequence(data, input.batch_sizes, order, input.unsorted_indices), state

    def _run(
        self,
        x: Tensor,
        hx: tuple[Tensor, Tensor] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        *,
        affine: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, State]:
        """All layers on ``[T, B, I]``, or on what ``affine`` (scale and shift) makes of it."""
        self._check_input(x, hx)
        device = x.device.type
        if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
            low = torch.get_autocast_dtype(device)
            state = None if hx is None else (hx[0].to(low), hx[1].to(low))
            with torch.autocast(device, enabled=False):
                return self._run_layers(x.to(low), state, *_check_ragged(x, lengths, resets), cast=low, affine=affine)
        if x.dtype != self.weight_ih_l0.dtype:
            raise ShapeError(f"LSTM: expected input of dtype {self.weight_ih_l0.dtype}, as the parameters, "
                             f"got {x.dtype}. Convert one of them, or use autocast.")  # fmt: skip
        return self._run_layers(x, hx, *_check_ragged(x, lengths, resets), cast=None, affine=affine)

    def _run_layers(
        self,
        x: Tensor,
        hx: tuple[Tensor, Tensor] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        *,
        cast: torch.dtype | None,
        affine: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, State]:
        cell = self.cell if self.training else self._cell_in_eval
        directions, last = self.num_directions, []
        drop = self.weight_drop if self.training else 0.0
        for layer, names in enumerate(self._names):
            fold = affine if layer == 0 else None
            weights = tuple([self._weights(of_direction, cast, fold, drop) for of_direction in names])
            first = layer * directions
            state = None if hx is None else State(*(part[first : first + directions] for part in hx))
            if layer > 0 and self.dropout and self.training:
                x = dropout(x, self.dropout)
            masks = self._draw_masks(x) if self.training and not cell.is_plain else NO_MASKS
            inputs = Inputs(cell, x, weights, state, lengths, resets, masks)
            x, state = self._run_layer(inputs, layer)
            last.append(state)
        if len(last) == 1:
            return x, last[0]
        h_n, c_n = zip(*last, strict=True)
        return x, State(torch.cat(h_n), torch.cat(c_n))

    def _run_layer(self, inputs: Inputs, layer: int) -> tuple[Tensor, State]:
        request = self._request(inputs)
        if not request.compiling and (consume := consumer()) is not None:
            return run_recorded(request, inputs, self.kernel, self, layer, consume)
        if self.checkpoint_steps is None:
            return run_layer(request, inputs, self.kernel)
        if request.compiling and self.training:
            raise OptionError(f"LSTM: expected no torch.compile in training with checkpoint_steps, got "
                              f"{self.checkpoint_steps}. Leave out one of them.")  # fmt: skip
        return run_in_chunks(request, inputs, self.kernel, self.checkpoint_steps)

    def _weights(
        self,
        names: list[str | None],
        cast: torch.dtype | None,
        affine: tuple[Tensor, Tensor] | None,
        drop: float = 0.0,
    ) -> Weights:
        found: Any = [None if name is None else getattr(self, name) for name in names]
        if affine is not None:
            found = after_affine(Weights(*found), *affine)
        if drop:
            found = _without_some(Weights(*found), drop)  # before the cast: 16 bits would round the scale
        return Weights(*(found if cast is None else [w if w is None else w.to(cast) for w in found]))

    def _request(self, inputs: Inputs) -> Request:
        x, state, weights = inputs.input, inputs.state, inputs.weights
        differentiable = torch.is_grad_enabled() and (
            x.requires_grad
            or (state is not None and (state.h.requires_grad or state.c.requires_grad))
            or any(w is not None and w.requires_grad for direction in weights for w in direction)
        )
        steps, batch_size, input_size = x.shape
        return Request(
            inputs.cell, x.dtype, x.device.type, input_size, self.hidden_size, self.proj_size, self.bias, len(weights),
            steps, batch_size, inputs.lengths is not None, inputs.resets is not None, state is not None,
            differentiable, torch.compiler.is_compiling(),
        )  # fmt: skip

    def _draw_masks(self, x: Tensor) -> Masks:
        """Everything random inside a layer: dropout is 0 or 1 / (1 - rate); zoneout 1 where the new value is taken."""
        cell = self.cell
        steps, batch_size, _ = x.shape
        row, at_each = (self.num_directions, batch_size), (self.num_directions, steps, batch_size)
        size, hidden_size = self.proj_size or self.hidden_size, self.hidden_size

        def dropout_of(rate: float, *shape: int) -> Tensor | None:
            return dropout_mask(rate, shape, x) if rate else None

        def zoneout_of(rate: float, *shape: int) -> Tensor | None:
            return dropout_mask(rate, shape, x).clamp_(max=1.0) if rate else None

        return Masks(
            hidden=dropout_of(cell.hidden_dropout, *row, size),
            recurrent=dropout_of(cell.recurrent_dropout, *at_each, hidden_size),
            zoneout_h=zoneout_of(cell.zoneout[0], *at_each, size),
            zoneout_c=zoneout_of(cell.zoneout[1], *at_each, hidden_size),
        )

    def _check_input(self, x: Tensor, hx: tuple[Tensor, Tensor] | None) -> None:
        if x.shape[2] != self.input_size:
            raise ShapeError(f"LSTM: expected input of input_size {self.input_size} features, got {x.shape[2]}. "
                             "The last size of the input must equal input_size.")  # fmt: skip
        if hx is None:
            return
        if len(hx) != 2:
            raise ShapeError(f"LSTM: expected hx as a pair (h, c), got {len(hx)} items. Pass both.")
        rows = (self.num_layers * self.num_directions, x.shape[1])
        for name, part, size in (("h", hx[0], self.proj_size or self.hidden_size), ("c", hx[1], self.hidden_size)):
            if part.shape != (*rows, size):
                raise ShapeError(f"LSTM: expected {name} of shape {(*rows, size)}, got {tuple(part.shape)}. "
                                 "States are (layers * directions, batch, size), batch_first or not.")  # fmt: skip

    def flatten_parameters(self) -> None:
        """Puts each layer's weights into one piece of memory, as cuDNN wants them; elsewhere does nothing."""
        if not self.cell.is_plain:
            return
        for layer, names in enumerate(self._names):
            flat = [getattr(self, name) for of_direction in names for name in of_direction if name is not None]
            if not _cudnn_can_flatten(flat):
                return
            with torch.no_grad(), torch.cuda.device_of(flat[0]):  # type: ignore[no-untyped-call]
                torch._cudnn_rnn_flatten_weight(
                    flat,
                    len(flat) // self.num_directions,
                    self.input_size if layer == 0 else self.output_size,
                    2,
                    self.hidden_size,
                    self.proj_size,
                    1,
                    False,
                    self.bidirectional,
                )  # fmt: skip  2: an LSTM

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.flatten_parameters()
        return self

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
            "cell": PLAIN, "kernel": "auto", "weight_drop": 0.0, "checkpoint_steps": None,
        }  # fmt: skip
        shown += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(shown)


def after_affine(weights: Weights, scale: Tensor, shift: Tensor) -> Weights:
    """Weights that give on x what ``weights`` give on ``x * scale + shift``."""
    weight_ih, bias_ih = weights.weight_ih, weights.bias_ih
    assert bias_ih is not None
    shifted = torch.addmv(bias_ih.to(shift.dtype), weight_ih.to(shift.dtype), shift)
    return weights._replace(weight_ih=(weight_ih * scale).to(weight_ih.dtype), bias_ih=shifted.to(bias_ih.dtype))


def _without_some(weights: Weights, share: float) -> Weights:
    """Each recurrent weight zero with probability ``share``, else scaled by ``1 / (1 - share)``."""
    weight_hh = weights.weight_hh
    return weights._replace(weight_hh=weight_hh * dropout_mask(share, tuple(weight_hh.shape), weight_hh))


def _check_ragged(x: Tensor, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Lengths as int64 on the input's device, resets False in padding."""
    steps, batch_size = x.shape[:2]
    if lengths is not None:
        if not isinstance(lengths, Tensor):
            raise ShapeError(
                f"LSTM: expected lengths as a tensor, got {type(lengths).__name__}. Use torch.tensor(...)."
            )
        if lengths.shape != (batch_size,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ShapeError(f"LSTM: expected lengths of shape ({batch_size},) and an integer dtype, got "
                             f"{tuple(lengths.shape)} and {lengths.dtype}. One length a row.")  # fmt: skip
        on_cpu = lengths.device.type == "cpu" and not torch.compiler.is_compiling()  # elsewhere a look would wait
        if on_cpu and batch_size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
            raise ShapeError(f"LSTM: expected lengths in 0..{steps}, got {lengths.tolist()}. "
                             "A length counts steps, and the input has so many.")  # fmt: skip
        lengths = lengths.to(x.device, torch.int64)
    if resets is not None:
        if resets.shape != (steps, batch_size) or resets.dtype != torch.bool:
            raise ShapeError(f"LSTM: expected resets of dtype bool and the layout of the input, {steps} steps of "
                             f"{batch_size} rows, got {resets.dtype} with {resets.numel()} values. "
                             "One value a row and step.")  # fmt: skip
        resets = resets.to(x.device)
        if lengths is not None:
            resets = resets & mask_of_lengths(lengths, steps).T
    return lengths, resets


def _check_options(
    input_size: int, hidden_size: int, num_layers: int, *, dropout: float, proj_size: int, cell: Cell
) -> None:
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise OptionError(f"LSTM: expected {name} to be a positive integer, got {size!r}.")
    if not isinstance(proj_size, int) or not 0 <= proj_size < hidden_size:
        raise OptionError(f"LSTM: expected proj_size in 0..{hidden_size - 1}, below hidden_size, got {proj_size!r}. "
                          "0 means no projection.")  # fmt: skip
    if isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise OptionError(f"LSTM: expected dropout in [0, 1], got {dropout!r}. It is the share that is zeroed.")
    if dropout and num_layers == 1:
        warnings.warn(f"LSTM: dropout={dropout} acts between layers, and there is only one.", stacklevel=3)
    if not isinstance(cell, Cell):
        raise OptionError(f"LSTM: expected cell to be a gatewise.Cell, got {cell!r}. For example Cell(peephole=True).")


def _check_weight_drop(share: float) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise OptionError(f"LSTM: expected weight_drop in [0, 1), got {share!r}. It is the share of recurrent weights "
                          "that is zeroed in training.")  # fmt: skip


def _cudnn_can_flatten(weights: list[Tensor]) -> bool:
    """What torch.nn.LSTM asks before it flattens: CUDA, one dtype that cuDNN takes, no two weights the same memory."""
    first = weights[0]
    fits = all(w.is_cuda and w.dtype == first.dtype and cudnn.is_acceptable(w) for w in weights)  # type: ignore[no-untyped-call]
    return fits and len({w.data_ptr() for w in weights}) == len(weights) and torch._use_cudnn_rnn_flatten_weight()
