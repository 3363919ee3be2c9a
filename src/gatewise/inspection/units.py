"""What each unit of a model does, over a whole data set, in constant memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.errors import OptionError, did_you_mean
from gatewise.inspection.layers import DIRECTIONS, layer_name, layers_by_module, zoneout_of
from gatewise.inspection.sums import LayerSums
from gatewise.inspection.trace import count_steps, nothing_ran, ran_again, run_on
from gatewise.nn.tracing import LayerRun, WholeRun, record_layers

if TYPE_CHECKING:
    import polars

MEASURES = (
    *("input_mean", "forget_mean", "output_mean", "input_open", "input_shut", "forget_open", "forget_shut"),
    *("output_open", "output_shut", "half_life", "cell_mean", "cell_std", "hidden_std"),
)
BATCH_SIZE = 64
MOST_SHORTENED = 16  # a mean over more steps of the input, such as the samples of a sound, says nothing of it


@dataclass(frozen=True)
class UnitSummary:
    """What each unit of a layer did over all real steps of all sequences; arrays ``[D, H]`` float64.

    Attributes:
        layer: its name, as in a :class:`~gatewise.inspection.trace.LayerTrace`.
        steps: real steps, of all sequences.
        input_mean, forget_mean, output_mean: how far each gate was open.
        input_open, forget_open, output_open: share of the steps at which it was above 0.9.
        input_shut, forget_shut, output_shut: share of the steps at which it was below 0.1.
        half_life: steps until half of the cell is forgotten, ``ln 2 / -mean(ln f)``; inf where it never is. With
            zoneout at rate z a step leaves z + (1 - z) f of the cell, as in evaluation, and that stands for f.
        cell_mean, cell_std: of the cell state.
        hidden_std: of the hidden state ``[D, P or H]``.
        with_input: correlation of the cell state with each channel of the input, over the steps, ``[D, H, I]``; NaN
            where one of the two never changes. None where the input has no channels (tokens, images), or the layer
            sees far fewer steps than it has (sounds). Where a stem shortens a sequence the input's mean over the steps
            that a layer's step stands for is taken.
        with_class: correlation of a sequence's mean cell state with its being of each class, ``[D, H, K]``; None
            without classes.
        classes: what ``K`` stands for.

    References:
        Karpathy, Johnson & Fei-Fei 2015, Visualizing and understanding recurrent networks (open and shut gates).
    """

    layer: str
    steps: int
    input_mean: np.ndarray
    forget_mean: np.ndarray
    output_mean: np.ndarray
    input_open: np.ndarray
    input_shut: np.ndarray
    forget_open: np.ndarray
    forget_shut: np.ndarray
    output_open: np.ndarray
    output_shut: np.ndarray
    half_life: np.ndarray
    cell_mean: np.ndarray
    cell_std: np.ndarray
    hidden_std: np.ndarray
    with_input: np.ndarray | None = None
    with_class: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def table(self) -> "polars.DataFrame":
        """A line for each direction and unit: ``layer``, ``direction``, ``unit``, then every measure.

        Correlations stand in ``with_input_<channel>`` and ``with_class_<class>``; ``hidden_std`` is null beyond a
        projection.
        """
        import polars

        D, H = self.cell_mean.shape
        columns: dict[str, Any] = {
            "layer": [self.layer] * (D * H),
            "direction": [DIRECTIONS[d] for d in range(D) for _ in range(H)],
            "unit": list(range(H)) * D,
        }
        for name in MEASURES:
            values = getattr(self, name)
            columns[name] = np.pad(values, ((0, 0), (0, H - values.shape[1])), constant_values=np.nan).reshape(-1)
        for kind, found in (("input", self.with_input), ("class", self.with_class)):
            for k in range(0 if found is None else found.shape[2]):
                assert found is not None
                label = self.classes[k] if kind == "class" and self.classes else k
                columns[f"with_{kind}_{label}"] = found[..., k].reshape(-1)
        return polars.DataFrame(columns).with_columns(polars.col("hidden_std").fill_nan(None))

    def order(self, by: str, *, channel: int | None = None) -> np.ndarray:
        """Every unit as ``(direction, unit)``, those with the most of something first: ``[D*H, 2]`` int64.

        Args:
            by: a measure's name, ``"with_input"`` or ``"with_class"``: the largest correlation of either sign, with any
                channel or class.
            channel: only with this one.

        Raises:
            OptionError: there is no such measure here.
        """
        offered = [*MEASURES, *(name for name in ("with_input", "with_class") if getattr(self, name) is not None)]
        if by not in offered:
            raise OptionError(f"order: expected one of the measures, got {by!r}. {did_you_mean(by, offered)}")
        values = getattr(self, by)
        if values.ndim == 3:
            strength = np.nan_to_num(np.abs(values), nan=-1.0)
            values = strength.max(2) if channel is None else strength[..., channel]
        first = np.argsort(-values, axis=None, kind="stable")
        return np.stack(np.unravel_index(first, values.shape), 1)


def units(
    module: nn.Module,
    x: Any,
    lengths: Tensor | None = None,
    *,
    classes: Tensor | None = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[UnitSummary, ...]:
    """What each unit of every LSTM layer in a module does on ``x``, in memory that does not grow with ``B``.

    Args:
        module: as in :func:`~gatewise.inspection.trace.trace`, batch first.
        x: ``[B, T, ...]``.
        lengths: ``[B]``, real steps of each row; None for all.
        classes: ``[B]``, the number of each row's class; None for none.
        batch_size: rows at once. Longest first is fastest.

    Returns:
        One summary a layer.

    Raises:
        OptionError: as :func:`~gatewise.inspection.trace.trace`.

    Example:
        >>> from gatewise.nn.lstm import LSTM
        >>> lstm = LSTM(2, 8, batch_first=True)
        >>> (found,) = units(lstm, torch.randn(5, 30, 2))
        >>> found.steps, found.forget_mean.shape, found.with_input.shape
        (150, (1, 8), (1, 8, 2))
        >>> unit = found.order("half_life")[0, 1]  # the longest memory
        >>> bool(found.half_life[0, unit] == found.half_life.max())
        True
    """
    names = () if classes is None else tuple(str(k) for k in range(int(classes.max()) + 1))
    counter = UnitCounter(module, classes=names)
    B, T = count_steps(module, x)
    for start in range(0, B, batch_size):
        rows = slice(start, start + batch_size)
        some = x[rows] if isinstance(x, Tensor) else type(x)(*(part[rows] for part in x))
        full = torch.full((len(range(B)[rows]),), T) if lengths is None else lengths[rows]
        with counter.batch(some, full, None if classes is None else classes[rows]):
            run_on(module, some, None if lengths is None else full)
    return counter.summaries()


class UnitCounter:
    """Sums over what happens in a model's layers, batch by batch; constant memory.

    Args:
        module: whose layers; others are let be.
        classes: their names, where batches tell the rows' classes.

    Raises:
        OptionError: the module has no LSTM layer.
    """

    def __init__(self, module: nn.Module, *, classes: Sequence[str] = ()) -> None:
        self._module, self._names = module, layers_by_module(module, who="units")
        self._wholes: dict[str, WholeRun] = {}
        self._classes = tuple(classes)
        self._sums: dict[str, LayerSums] = {}
        self._x: Tensor | None = None
        self._lengths = torch.zeros(0)
        self._resampled: dict[int, Tensor] = {}

    @contextmanager
    def batch(self, x: Any, lengths: Tensor, classes: Tensor | None = None) -> Iterator[None]:
        """What runs inside the ``with`` is counted.

        Args:
            x: what the model reads; correlated with the cells if it is ``[B, T, I]`` of floating dtype.
            lengths: ``[B]``, real steps of each row.
            classes: ``[B]``, the number of each row's class.

        Raises:
            OptionError: a layer ran twice.
        """
        self._wholes = {}
        channels = isinstance(x, Tensor) and x.dim() == 3 and x.is_floating_point()
        self._x = x if channels else None
        self._lengths, self._resampled = lengths.to(x.device) if channels else lengths, {}
        with record_layers(self._consume):
            yield
        for sums in self._sums.values():
            sums.finish_rows(classes, len(self._classes))

    def summaries(self) -> tuple[UnitSummary, ...]:
        """One a layer, in the order in which they ran first.

        Raises:
            OptionError: no layer ran.
        """
        if not self._sums:
            raise nothing_ran(self._module, who="units")
        return tuple(
            UnitSummary(name, **sums.measures(), classes=self._classes if sums.has_classes else ())
            for name, sums in self._sums.items()
        )

    def _consume(self, run: LayerRun) -> None:
        whole = run.whole
        if whole.module not in self._names:
            return
        name = layer_name(self._names[whole.module], whole.layer)
        if self._wholes.setdefault(name, whole) is not whole:
            raise ran_again(name, who="units")
        if name not in self._sums:
            h, c = run.gates.h, run.gates.c
            self._sums[name] = LayerSums(whole.directions, c.shape[-1], h.shape[-1], zoneout_of(whole.module))
        self._sums[name].add(run, self._input_of(run))

    def _input_of(self, run: LayerRun) -> Tensor | None:
        """The input ``[t, b, I]`` of a piece; None where it has no channels to compare."""
        whole, x = run.whole, self._x
        if x is None or whole.batch_size != len(x) or x.shape[1] > MOST_SHORTENED * whole.steps:
            return None
        if whole.steps not in self._resampled:
            self._resampled[whole.steps] = _resampled(x, self._lengths, whole.lengths, whole.steps)
        return self._resampled[whole.steps][run.rows, run.start : run.stop].transpose(0, 1)


def _resampled(x: Tensor, before: Tensor, after: Tensor | None, steps: int) -> Tensor:
    """``[B, T', I]``: the mean of ``x [B, T, I]`` over the time from ``t L/L'`` to ``(t+1) L/L'``; zero in padding."""
    T = x.shape[1]
    padding = torch.arange(T, device=x.device) >= before[:, None]
    x = x.masked_fill(padding[..., None], 0.0)
    after = torch.full_like(before, steps) if after is None else after
    if steps == T and bool((after == before).all()):
        return x
    total = nn.functional.pad(x.double().cumsum(1), (0, 0, 1, 0))  # [B, T + 1, I]: until each border
    ratio = before / after.clamp(min=1)
    border = torch.minimum(torch.arange(steps + 1, device=x.device) * ratio[:, None].double(), before[:, None].double())
    lower = border.floor().long().clamp(max=T - 1)
    share = (border - lower)[..., None]
    at = [total.gather(1, (lower + more)[..., None].expand(-1, -1, x.shape[2])) for more in (0, 1)]
    until = torch.lerp(at[0], at[1], share)
    return (until.diff(dim=1) / ratio.clamp(min=1e-9)[:, None, None]).to(x.dtype)
