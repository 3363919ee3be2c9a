"""Traces: every gate, cell and hidden state of every LSTM layer of a model, at every step."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.inspection.layers import DIRECTIONS, layer_name, layers_by_module, zoneout_of
from gatewise.nn.lstm import LSTM
from gatewise.nn.tracing import LayerRun, WholeRun, record_layers

if TYPE_CHECKING:
    import polars

MAX_BYTES = 2**30
GATES = ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")  # in the order of kernels' Gates


@dataclass(frozen=True)
class LayerTrace:
    """What happened inside one layer; zero in the padding.

    Attributes:
        name: the module's path in the model, ``"encoder.layers.0"``; of an LSTM of several layers ``".l1"`` follows for
            the second of them.
        input_gate, forget_gate, candidate, output_gate, cell: ``[B, T', D, H]`` float32, after sigmoid and tanh; the
            cell state as the next step sees it. Without a forget gate it is 1, coupled 1 less the input gate. The
            second direction stands at the time of its input, not in the order of its steps.
        hidden: ``[B, T', D, H]``, or ``P`` in the place of ``H`` where it is projected: the layer's output.
        lengths: ``[B]`` int64, steps of ``T'`` that are real.
        first: the layer's step that stands at 0, where only a stretch was traced.
        whole: ``[B]`` int64, real steps of the layer's whole run; None where all of it was traced.
        repeats: rows of the layer for each sequence: 1, but the number of channels in a forecaster that reads each of
            them by itself; then ``B`` counts rows, channel after channel of each sequence.
        zoneout: rate z at which the cell is held: outside training ``c_t = z c_{t-1} + (1 - z)(f c_{t-1} + i g)``.
    """

    name: str
    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    output_gate: Tensor
    cell: Tensor
    hidden: Tensor
    lengths: Tensor
    first: int = 0
    whole: Tensor | None = None
    repeats: int = 1
    zoneout: float = 0.0

    def covers(self, row: int, length: int) -> np.ndarray:
        """The steps of the input that each real step of this layer stands for: ``[T', 2]`` int64, from and until.

        A stem with a stride leaves fewer steps than the input has. Of ``L`` steps of which ``L'`` are left, step ``t``
        stands for the time from ``t L/L'`` to ``(t+1) L/L'``; a stem that does not go evenly over time is taken to.

        Args:
            row: of this layer.
            length: ``L``, of that row's sequence.
        """
        left = int((self.lengths if self.whole is None else self.whole)[row])
        borders = (self.first + np.arange(int(self.lengths[row]) + 1)) * length
        return np.stack([borders[:-1] // max(left, 1), -(-borders[1:] // max(left, 1))], 1)


@dataclass(frozen=True)
class Trace:
    """What happened inside a model while it read some sequences.

    Attributes:
        layers: those that read the sequences, in the order in which they ran.
        lengths: ``[B]`` int64, steps of the input.
        scores: what the model gave; None where that is no tensor.
    """

    layers: tuple[LayerTrace, ...]
    lengths: Tensor
    scores: Tensor | None

    def covers(self, layer: int, row: int) -> np.ndarray:
        """Of a layer and a row of it, the input's steps for each of its own; see :meth:`LayerTrace.covers`."""
        found = self.layers[layer]
        return found.covers(row, int(self.lengths[row // found.repeats]))

    def table(self) -> "polars.DataFrame":
        """Tidy: a line for each row, layer, direction, unit and real step; gates and states as columns.

        Columns ``row``, ``layer``, ``direction`` ("forward" or "reverse"), ``unit``, ``step`` (the layer's own),
        ``input_gate``, ``forget_gate``, ``candidate``, ``output_gate``, ``cell``, ``hidden`` (none in units beyond a
        projection); and ``channel`` behind ``row`` where a forecaster reads channels one by one.
        """
        import polars

        several = any(layer.repeats > 1 for layer in self.layers)
        names = polars.Enum([layer.name for layer in self.layers])
        parts = []
        for layer in self.layers:
            columns = _columns(layer)
            if several:
                columns["channel"] = (columns["row"] % layer.repeats).astype(np.int32)
                columns["row"] //= layer.repeats
            frame = polars.DataFrame(columns)
            parts.append(
                frame.with_columns(
                    polars.lit(layer.name).cast(names).alias("layer"),
                    polars.Series("direction", columns["direction"]).replace_strict(
                        dict(enumerate(DIRECTIONS)), return_dtype=polars.Enum(DIRECTIONS)
                    ),
                    polars.col("hidden").fill_nan(None),
                )
            )
        head = ["row", *(["channel"] if several else []), "layer", "direction", "unit", "step"]
        return polars.concat(parts).select(*head, *GATES)

    def arrays(self) -> dict[str, np.ndarray]:
        """``lengths`` and ``scores``; of each layer ``"<layer>/<gate>"`` and ``"<layer>/lengths"``. For numpy.savez."""
        found = {"lengths": self.lengths.numpy()}
        if self.scores is not None:
            found["scores"] = self.scores.float().numpy()
        for layer in self.layers:
            found |= {f"{layer.name}/{name}": getattr(layer, name).numpy() for name in (*GATES, "lengths")}
        return found


def trace(
    module: nn.Module,
    x: Any,
    lengths: Tensor | None = None,
    *,
    steps: tuple[int, int] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Trace:
    """Every gate and state of every LSTM layer in a module while it runs on ``x``, on the kernel that it runs on.

    The module runs in the mode that it is in: call ``eval()`` before where dropout should not act. Decoders, which read
    answers, and layers over the characters of single words are left out.

    Args:
        module: any with :class:`gatewise.LSTM` layers inside, each of which runs once; called as ``module(x)`` or
            ``module(x, lengths=lengths)``.
        x: what it takes: ``[B, T, ...]``, or a NamedTuple of tensors; ``[T, B, I]`` for an LSTM that is so itself.
        lengths: ``[B]``, real steps of each row; None for all.
        steps: a stretch ``(from, until)`` of the input, traced without holding the rest; None for all.
        max_bytes: the most that the trace may take.

    Returns:
        The trace, on the CPU.

    Raises:
        OptionError: there is no LSTM layer, one ran twice, the trace would be too large, or ``steps`` go beyond ``T``.

    Example:
        >>> from gatewise.models.recipes import bilstm
        >>> found = trace(bilstm(input_size=1, num_classes=2).eval(), torch.randn(3, 20, 1))
        >>> [(layer.name, tuple(layer.cell.shape)) for layer in found.layers][:2]
        [('encoder.layers.0', (3, 20, 2, 64)), ('encoder.layers.1', (3, 20, 2, 64))]
        >>> layer = found.layers[0]
        >>> bool(torch.allclose(layer.hidden, layer.output_gate * layer.cell.tanh(), atol=1e-6))
        True
    """
    B, T = count_steps(module, x)
    if lengths is not None and not isinstance(lengths, Tensor):
        raise OptionError(f"trace: expected lengths as a tensor, got {type(lengths).__name__}. Use torch.tensor(...).")
    full = torch.full((B,), T) if lengths is None else lengths.cpu().long()
    with recording(module, full, steps=steps, max_bytes=max_bytes) as found:
        result = run_on(module, x, lengths)
    return found.trace(result)


def count_steps(module: nn.Module, x: Any) -> tuple[int, int]:
    """How many rows and steps ``x`` has, as the module reads it."""
    first = x[0] if isinstance(x, tuple) and x else x
    if not isinstance(first, Tensor) or first.dim() < 2:
        got = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise OptionError(f"x: expected a tensor of sequences, [B, T, ...], got {got}. Use torch.as_tensor(...).")
    if isinstance(module, LSTM) and first.dim() == 2:
        return 1, first.shape[0]
    if isinstance(module, LSTM) and not module.batch_first:
        return first.shape[1], first.shape[0]
    return first.shape[0], first.shape[1]


def run_on(module: nn.Module, x: Any, lengths: Tensor | None) -> Any:
    """Calls the module.

    Raises:
        OptionError: it takes no lengths, and there are some.
    """
    if lengths is None:
        return module(x)
    if "lengths" not in inspect.signature(module.forward).parameters:
        raise OptionError(f"trace: expected a module that takes lengths, got {type(module).__name__}. Leave them out.")
    return module(x, lengths=lengths)


@contextmanager
def recording(
    module: nn.Module, lengths: Tensor, *, steps: tuple[int, int] | None = None, max_bytes: int = MAX_BYTES
) -> Iterator["Recording"]:
    """What runs inside the ``with`` is traced; :meth:`Recording.trace` then gives it.

    Args:
        module: whose layers; others are let be.
        lengths: ``[B]``, steps of the input.
        steps: as in :func:`trace`.
        max_bytes: as in :func:`trace`.

    Raises:
        OptionError: as :func:`trace`.
    """
    found = Recording(module, lengths, steps, max_bytes)
    with record_layers(found.consume):
        yield found


def _is_stretch(steps: Any, longest: int) -> bool:
    """Whether these are two whole numbers, from and until, within so many steps."""
    if not isinstance(steps, tuple | list) or len(steps) != 2:
        return False
    whole = all(isinstance(step, int) and not isinstance(step, bool) for step in steps)
    return whole and 0 <= steps[0] < steps[1] <= longest


class Recording:
    """Collects the pieces of a run; see :func:`recording`."""

    def __init__(
        self, module: nn.Module, lengths: Tensor, steps: tuple[int, int] | None, max_bytes: int = MAX_BYTES
    ) -> None:
        self._module, self._names = module, layers_by_module(module, who="trace")
        self._lengths, self._stretch, self._max_bytes = lengths, steps, max_bytes
        longest = int(lengths.max()) if len(lengths) else 0
        if steps is not None and not _is_stretch(steps, longest):
            raise OptionError(f"steps: expected a stretch (from, until) of the {longest} steps, got {steps}. "
                              f"For example (0, {min(longest, 100)}).")  # fmt: skip
        self._layers: dict[str, LayerTrace] = {}
        self._wholes: dict[str, WholeRun] = {}

    def consume(self, run: LayerRun) -> None:
        """Writes a piece where it belongs."""
        whole = run.whole
        if whole.module not in self._names:
            return
        name = layer_name(self._names[whole.module], whole.layer)
        if self._wholes.get(name) is not whole:
            self._begin(name, run)
        layer = self._layers[name]
        stop = layer.first + layer.cell.shape[1]
        start, until = max(run.start, layer.first), min(run.stop, stop)
        if start >= until:
            return
        for field, values in zip(GATES, run.gates, strict=True):
            here = values[0, start - run.start : until - run.start].transpose(0, 1)
            getattr(layer, field)[run.rows, start - layer.first : until - layer.first, run.direction] = here

    def trace(self, result: Any) -> Trace:
        """The whole, with what the module gave: a tensor, or what has ``scores``."""
        if not self._layers:
            raise nothing_ran(self._module, who="trace")
        scores = getattr(result, "scores", result)
        scores = scores.detach().cpu() if isinstance(scores, Tensor) else None
        return Trace(tuple(self._layers.values()), self._lengths, scores)

    def _begin(self, name: str, run: LayerRun) -> None:
        whole, (_, _, _, _, c, h) = run.whole, run.gates
        if name in self._wholes:
            raise ran_again(name, who="trace")
        repeats, rest = divmod(whole.batch_size, max(len(self._lengths), 1))
        if rest:
            raise OptionError(f"trace: expected a row of each layer for each of the {len(self._lengths)} sequences, "
                              f"got {whole.batch_size} in {name}. Trace a part of the module.")  # fmt: skip
        lengths = torch.full((whole.batch_size,), whole.steps) if whole.lengths is None else whole.lengths.cpu()
        first, until = self._of_layer(lengths, repeats)
        self._check_bytes(whole, until - first)
        shape = (whole.batch_size, until - first, whole.directions)
        arrays = {name: torch.zeros(*shape, (h if name == "hidden" else c).shape[-1]) for name in GATES}
        inside = (lengths - first).clamp(0, until - first)
        self._wholes[name] = whole
        of_all = None if self._stretch is None else lengths
        self._layers[name] = LayerTrace(
            name=name,
            **arrays,
            lengths=inside,
            first=first,
            whole=of_all,
            repeats=repeats,
            zoneout=zoneout_of(whole.module),
        )

    def _of_layer(self, lengths: Tensor, repeats: int) -> tuple[int, int]:
        """The layer's steps of the stretch, first and the one after the last, over all rows."""
        longest = int(lengths.max()) if len(lengths) else 0
        if self._stretch is None:
            return 0, longest
        of_input = self._lengths.repeat_interleave(repeats).clamp(min=1)
        start, stop = self._stretch
        first = int((start * lengths // of_input).min())
        return min(first, longest - 1), min(int((-(-stop * lengths // of_input)).max()), longest)

    def _check_bytes(self, whole: WholeRun, steps: int) -> None:
        """All layers take as many rows and steps as the first, as a rule: so it is told before anything is kept."""
        values = 0
        for module in self._names:
            if self._layers and module is not whole.module:
                continue
            of_layer = module.num_directions * (5 * module.hidden_size + (module.proj_size or module.hidden_size))
            values += of_layer * (module.num_layers if not self._layers else 1)
        kept = sum(getattr(layer, name).nbytes for layer in self._layers.values() for name in GATES)
        size = kept + 4 * values * whole.batch_size * steps
        if size > self._max_bytes:
            rows = f"{whole.batch_size} row{'s' if whole.batch_size > 1 else ''}"
            raise OptionError(
                f"trace: expected at most {_in_words(self._max_bytes)}, got {rows} of {steps} steps "
                f"that take {_in_words(size)}. Give fewer rows, a stretch steps=(from, until), or a larger max_bytes; "
                "units summarises any number of steps."
            )


def nothing_ran(module: nn.Module, *, who: str) -> OptionError:
    """The error of a module none of whose layers ran, or none that could be seen to."""
    if any(hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) for part in module.modules()):
        advice = "the module is compiled, and nobody sees inside. Give the one from before torch.compile."
    else:
        advice = "the sequences may have no steps."
    return OptionError(f"{who}: expected LSTM layers to run, got none that did: {advice}")


def ran_again(name: str, *, who: str) -> OptionError:
    """The error of a layer that runs twice on the same rows."""
    return OptionError(
        f"{who}: expected each layer to run once, got {name} running again. "
        "Give a part of the module that runs it once."
    )


def _columns(layer: LayerTrace) -> dict[str, np.ndarray]:
    """The columns of one layer's real steps; units of one row after those of another."""
    B, T, D, H = layer.cell.shape
    real = np.arange(T) < layer.lengths.numpy()[:, None]  # [B, T]
    real = np.broadcast_to(real[:, None, None], (B, D, H, T)).reshape(-1)
    places = np.indices((B, D, H, T), dtype=np.int32).reshape(4, -1)[:, real]
    columns = dict(zip(("row", "direction", "unit", "step"), places, strict=True))
    columns["step"] += layer.first
    for name in GATES:
        values = getattr(layer, name).permute(0, 2, 3, 1)
        missing = H - values.shape[2]
        if missing:  # a projection has fewer units
            values = torch.cat([values, values.new_full((B, D, missing, T), torch.nan)], 2)
        columns[name] = values.reshape(-1).numpy()[real]
    return columns


def _in_words(size: int) -> str:
    """Bytes as people read them."""
    for unit, bytes_of_unit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of_unit:
            return f"{size / bytes_of_unit:.1f} {unit}"
    return f"{size} bytes"
