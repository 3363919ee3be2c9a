"""Units whose cell state follows a property of a text: found on one part of it, measured on another.

A correlation by itself proves little. Among a thousand units some follow anything on the text that they were chosen on,
so each is measured on text that it was not. And cell states change slowly, as positions in lines do, so that neighbours
say the same thing many times: how large a figure chance gives is read off the same two series, one of them turned round
against the other by every number of steps (circular shifts), which keeps all that each of them is by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gatewise.inspection.layers import DIRECTIONS, layer_name, unit_name
from gatewise.inspection.text_properties import Property
from gatewise.nn.tracing import LayerRun, record_layers

if TYPE_CHECKING:
    import polars

BINS = 512  # of a unit's cell state: an area under the curve is exact but for ties within one of them
LEAST = 20  # tokens of either answer, and turns from one to the other, in each part: fewer prove nothing
CHANCE = 0.99  # the share of shifts that give less than the figure of chance
SHOWN = 600  # tokens whose cell states are kept to be shown
NEAR = 1_000  # shifts of fewer steps still overlap with the truth
FOLLOWS = {"number": 0.7, "class": 0.7, "yes-no": 0.9}  # half of the variance; nine pairs in ten told apart
LEANS = {"number": 0.35, "class": 0.35, "yes-no": 0.75}


class Unit(NamedTuple):
    """A unit of a model: the name of its layer, its direction (0: forward) and its number."""

    layer: str
    direction: int
    unit: int


class Stretch(NamedTuple):
    """Texts side by side on which a model runs once.

    Attributes:
        run: runs the model on them.
        values: ``[B, T, P]`` float32, each property of each token.
        real: ``[B, T]`` bool.
        rows: ``B`` numbers: a text that goes on in a later stretch has the same one.
    """

    run: Callable[[], object]
    values: np.ndarray
    real: np.ndarray
    rows: Sequence[int]


@dataclass(frozen=True)
class Probe:
    """The unit that follows one property best.

    Attributes:
        name: the property, or class.
        kind: ``"number"``: figures are Pearson correlations with the cell state. ``"yes-no"``: areas under the ROC
            curve, 0.5 for a unit that knows nothing and 0 for one that says the opposite. ``"class"``: correlations of
            a sequence's mean cell state with its being of the class.
        unit: the best one; None where the property hardly occurs.
        selected: its figure on the part that it was chosen on.
        held_out: its figure on the other part.
        chance: so far from nothing (0, or 0.5) chance comes in 1 of 100 cases.
        verdict: ``"follows"``, ``"leans"`` (more than chance, but little), ``"none"`` or ``"absent"``.
        cells: the unit's cell state at the first tokens of the other part; none of classes, or where there is no unit.
    """

    name: str
    kind: str
    unit: Unit | None
    selected: float
    held_out: float
    chance: float
    verdict: str
    cells: tuple[float, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        if self.unit is None:
            return f"{self.name}: hardly occurs, so nothing can be said."
        what = "AUC" if self.kind == "yes-no" else "r"
        where = unit_name(*self.unit)
        figures = f"{what} {self.held_out:.2f} where it was not chosen, chance {_chance(self)}"
        if self.verdict == "none":
            return f"{self.name}: no unit follows it (the best, {where}: {figures})."
        return f"{self.name}: {where} {'follows it' if self.verdict == 'follows' else 'leans on it'} ({figures})."


def _chance(probe: Probe) -> str:
    return f"0.5 ± {probe.chance:.2f}" if probe.kind == "yes-no" else f"± {probe.chance:.2f}"


@dataclass(frozen=True)
class Probes:
    """What was found for each property.

    Attributes:
        probes: one a property.
        tokens: tokens (of classes: sequences) read in all.
        units: how many units were looked at.
        notes: what a reader must know, a sentence each.
        passage: the tokens that :attr:`Probe.cells` belong to; none of classes.
    """

    probes: tuple[Probe, ...]
    tokens: int
    units: int
    notes: tuple[str, ...] = ()
    passage: tuple[str, ...] = ()

    def table(self) -> "polars.DataFrame":
        """``property, kind, layer, direction, unit, selected, held_out, chance, verdict``, named as in other tables."""
        import polars

        rows = [
            (
                one.name,
                one.kind,
                *((one.unit.layer, DIRECTIONS[one.unit.direction], one.unit.unit) if one.unit else (None, None, None)),
                *(None if np.isnan(figure) else figure for figure in (one.selected, one.held_out, one.chance)),
                one.verdict,
            )
            for one in self.probes
        ]
        text, number, whole = polars.String, polars.Float64, polars.Int64
        schema = dict(
            zip(
                ("property", "kind", "layer", "direction", "unit", "selected", "held_out", "chance", "verdict"),
                (text, text, text, text, whole, number, number, number, text),
                strict=True,
            )
        )
        return polars.DataFrame(rows, schema=schema, orient="row")

    def __str__(self) -> str:
        return "\n".join([*map(str, self.probes), *self.notes])


@dataclass
class _Sums:
    """What is kept of one direction of a layer, whatever the length of the text: ``H`` units, ``P`` properties."""

    units: int
    numbers: int
    marks: int
    count: int = 0
    cell: np.ndarray = field(init=False)
    square: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)
    every: np.ndarray = field(init=False)
    yes: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.cell, self.square = np.zeros(self.units), np.zeros(self.units)
        self.cross = np.zeros((self.numbers, self.units))
        self.every = np.zeros((self.units, BINS), dtype=np.int64)
        self.yes = np.zeros((self.marks, self.units, BINS), dtype=np.int64)

    def add(self, cells: Tensor, numbers: Tensor, marks: Tensor) -> None:
        """Cell states ``[n, H]`` with centred numbers ``[n, P]`` and marks ``[n, Q]`` of as many tokens."""
        wide = cells.double()
        self.count += len(cells)
        self.cell += wide.sum(0).numpy()
        self.square += wide.square().sum(0).numpy()
        self.cross += (numbers.double().T @ wide).numpy()
        places = binned(cells) + BINS * torch.arange(self.units)
        size = self.units * BINS
        self.every += torch.bincount(places.view(-1), minlength=size).view(self.units, BINS).numpy()
        for q in range(self.marks):
            chosen = places[marks[:, q]].view(-1)
            self.yes[q] += torch.bincount(chosen, minlength=size).view(self.units, BINS).numpy()


def binned(cells: Tensor) -> Tensor:
    """The bin of each cell state, ``0 .. BINS - 1``: fine around 0, and none too large for the last."""
    return ((cells / (1 + cells.abs()) + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)


def probe_text(
    select: Iterable[Stretch],
    measure: Iterable[Stretch],
    properties: Sequence[Property],
    parts: tuple[np.ndarray, np.ndarray],
    layers: Mapping[nn.Module, str],
    *,
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> tuple[tuple[Probe, ...], int]:
    """For each property the unit that follows it best.

    Memory does not grow with the text, but for one series of numbers a property on the part to measure.

    Args:
        select: the stretches to choose units on, made when they are asked for.
        measure: those to measure them on; asked for when the others are done.
        properties: names and kinds, in the order of :attr:`Stretch.values`; their values are not looked at.
        parts: values of all properties ``[m, P]`` on either part, row after row: what occurs, and what its mean is.
        layers: the LSTMs whose units are looked at, and their names.
        on_tokens: told how many tokens were read.

    Returns:
        A probe a property, and how many units were looked at.
    """
    occurs = [_occurs(one, parts[0][:, p], parts[1][:, p]) for p, one in enumerate(properties)]
    numbers = [p for p, one in enumerate(properties) if one.kind == "number" and occurs[p]]
    marks = [p for p, one in enumerate(properties) if one.kind == "yes-no" and occurs[p]]
    means, spread = parts[0][:, numbers].mean(0, dtype=np.float64), parts[0][:, numbers].std(0, dtype=np.float64)
    sums: dict[tuple[str, int], _Sums] = {}

    def add(told: _Told) -> None:
        if (told.layer, told.direction) not in sums:
            sums[told.layer, told.direction] = _Sums(told.cells.shape[2], len(numbers), len(marks))
        values = told.values[told.real]
        centred = values[:, numbers].double() - torch.from_numpy(means)
        sums[told.layer, told.direction].add(told.cells[told.real], centred, values[:, marks] > 0)

    _read(select, layers, add, on_tokens)
    best: dict[int, tuple[Unit, float]] = {}
    for (layer, direction), found in sums.items():
        for k, p in enumerate(numbers):
            _keep(best, p, layer, direction, _correlations(found, k, spread[k]), 0.0)
        for k, p in enumerate(marks):
            _keep(best, p, layer, direction, areas(found.yes[k], found.every), 0.5)
    series: dict[int, dict[tuple[int, ...], np.ndarray]] = {p: {} for p in best}

    def collect(told: _Told) -> None:
        for p, (unit, _) in best.items():
            if unit[:2] != (told.layer, told.direction):
                continue
            for row, cells, values, real in zip(told.rows, told.cells, told.values, told.real, strict=True):
                both = torch.stack([cells[:, unit.unit], values[:, p]])[:, real]
                series[p][row, *told.place] = both.numpy()  # pieces of a direction may come in any order

    _read(measure, layers, collect, on_tokens)
    probes = []
    for p, one in enumerate(properties):
        if p in best:
            probes.append(_judged(one, *best[p], np.concatenate([series[p][key] for key in sorted(series[p])], 1)))
        else:
            nothing = float("nan")
            probes.append(Probe(one.name, one.kind, None, nothing, nothing, nothing, "absent"))
    return tuple(probes), sum(found.units for found in sums.values())


class _Told(NamedTuple):
    """A piece of what happened in one direction of a layer; ``[b, t, ...]`` in the order of time."""

    layer: str
    direction: int
    cells: Tensor
    values: Tensor
    real: Tensor
    rows: Sequence[int]
    place: tuple[int, int]


def _read(
    stretches: Iterable[Stretch],
    layers: Mapping[nn.Module, str],
    tell: Callable[[_Told], None],
    on_tokens: Callable[[int], None],
) -> None:
    """Runs the model over some stretches; every piece of the layers that are looked at is told."""
    for number, stretch in enumerate(stretches):
        values, real = torch.from_numpy(stretch.values), torch.from_numpy(stretch.real)

        def consume(
            run: LayerRun, values: Tensor = values, real: Tensor = real, number: int = number, of: Stretch = stretch
        ) -> None:
            whole = run.whole
            if whole.module not in layers:
                return
            here = (run.rows, slice(run.start, run.stop))
            name = layer_name(layers[whole.module], whole.layer)
            cells = run.gates.c[0].transpose(0, 1).cpu()
            tell(_Told(name, run.direction, cells, values[here], real[here], of.rows[run.rows], (number, run.start)))

        with record_layers(consume):
            stretch.run()
        on_tokens(int(stretch.real.sum()))


def _occurs(one: Property, select: np.ndarray, measure: np.ndarray) -> bool:
    """Whether a property varies enough on both parts for anything to be said."""
    if one.kind == "number":
        return all(len(part) > 2 * LEAST and float(part.std()) > 0 for part in (select, measure))
    yes = [part > 0 for part in (select, measure)]
    return all(
        min(int(part.sum()), int((~part).sum())) >= LEAST and int((part[1:] & ~part[:-1]).sum()) >= LEAST
        for part in yes
    )


def _keep(
    best: dict[int, tuple[Unit, float]], p: int, layer: str, direction: int, figures: np.ndarray, nothing: float
) -> None:
    """Puts the best unit of this layer in the place of the best so far, where it is better."""
    unit = int(np.abs(figures - nothing).argmax())
    if p not in best or abs(figures[unit] - nothing) > abs(best[p][1] - nothing):
        best[p] = Unit(layer, direction, unit), float(figures[unit])


def _correlations(found: _Sums, k: int, spread: float) -> np.ndarray:
    """Pearson's, of property ``k`` with each unit, ``[H]``; 0 for a unit that never changes."""
    mean = found.cell / found.count
    deviation = np.sqrt(np.maximum(found.square / found.count - mean**2, 0))
    steady = deviation < 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return np.where(steady, 0.0, found.cross[k] / found.count / np.where(steady, 1.0, deviation * spread))


def areas(yes: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Areas under ROC curves from counts by bin: the chance that a yes lies above a no, ties half.

    Args:
        yes: ``[..., BINS]``.
        every: the same, of either answer.

    Returns:
        ``[...]``.

    >>> areas(np.array([0, 1, 3]), np.array([4, 2, 3])).item()
    0.975
    """
    no = every - yes
    below = np.cumsum(no, -1) - no
    pairs = yes.sum(-1, dtype=np.float64) * no.sum(-1)
    return np.asarray((yes * (below + no / 2)).sum(-1) / np.where(pairs > 0, pairs, np.nan))


def _judged(one: Property, unit: Unit, selected: float, series: np.ndarray) -> Probe:
    """The figure of a unit on text that it was not chosen on, beside those that chance gives.

    Args:
        one: the property.
        unit: chosen.
        selected: its figure where it was chosen.
        series: ``[2, m]``, cell states and values, in the order of the text.
    """
    nothing = 0.5 if one.kind == "yes-no" else 0.0
    figures = shifted_figures(series[0], series[1], one.kind)
    near = min(NEAR, len(figures) // 10)
    others = np.abs(figures[near : len(figures) - near] - nothing)
    chance, held_out = float(np.quantile(others, CHANCE)), float(figures[0])
    verdict = verdict_of(one.kind, selected, held_out, chance)
    return Probe(one.name, one.kind, unit, selected, held_out, chance, verdict, tuple(series[0, :SHOWN].tolist()))


def verdict_of(kind: str, selected: float, held_out: float, chance: float) -> str:
    """``"follows"``, ``"leans"`` or ``"none"``: more than chance, on the same side on both parts, and how much."""
    nothing = 0.5 if kind == "yes-no" else 0.0
    size = abs(held_out - nothing)
    if size <= chance or (held_out - nothing) * (selected - nothing) <= 0:
        return "none"
    return "follows" if size + nothing >= FOLLOWS[kind] else "leans" if size + nothing >= LEANS[kind] else "none"


def shifted_figures(cells: np.ndarray, values: np.ndarray, kind: str) -> np.ndarray:
    """Correlation, or area under the ROC curve, of two series and of every turn of one against the other, ``[m]``.

    Both are linear in a product of two series (of ranks for the area), so that Fourier's transform gives them all.

    Args:
        cells: ``[m]``.
        values: ``[m]`` numbers, or 0 and 1.
        kind: ``"number"`` or ``"yes-no"``.
    """
    if kind == "number":
        one, other = (np.asarray(part, dtype=np.float64) - part.mean(dtype=np.float64) for part in (cells, values))
        size = np.sqrt((one**2).sum() * (other**2).sum())
        return _products(one, other) / size if size > 0 else np.zeros(len(cells))
    _, place, counts = np.unique(cells, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # from 1; the mean of those that are equal
    yes = (values > 0).astype(np.float64)
    count = yes.sum()
    return np.asarray((_products(ranks, yes) - count * (count + 1) / 2) / (count * (len(yes) - count)))


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``sum_t one[t] other[t - s]`` for every turn ``s``, ``[m]``."""
    centre = one.mean()  # what is large and constant would cost the small the digits that matter
    turned = np.fft.irfft(np.fft.rfft(one - centre) * np.fft.rfft(other).conj(), len(one))
    return np.asarray(turned + centre * other.sum())
