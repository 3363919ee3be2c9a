"""Sums over the pieces of one layer's runs, from which what its units do is told; constant memory."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewise.kernels.columns import column_sums
from gatewise.nn.tracing import LayerRun, WholeRun

OPEN, SHUT = 0.9, 0.1
LEAST = 1e-18  # of f where its logarithm is taken: the product of two is still a float32


class Spread:
    """Mean and sum of squares about it, of many values that come in parts.

    Parts are joined by the formula of Chan, Golub & LeVeque 1983: no large numbers are subtracted.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, count: int, mean: Tensor, squares: Tensor) -> Tensor:
        """A part; returns how far its mean was from that of all before."""
        ahead: Tensor = mean - self.mean
        total = self.count + count
        self.squares = self.squares + squares + ahead * ahead * (self.count * count / total)
        self.mean = self.mean + ahead * (count / total)
        self.count = total
        return ahead

    def add_rows(self, rows: Tensor) -> Tensor:
        """The same of rows ``[n, H]``, for each column."""
        centre = rows[0] if self.count == 0 else self.mean.to(rows.dtype)  # near enough that no digits are lost
        total, _, _, squares = column_sums(rows, centre, above=0.0, below=0.0).double()
        mean = total / len(rows)
        about_mean = squares - len(rows) * (mean - centre.double()).square()
        return self.add(len(rows), mean, about_mean.clamp(min=0))


class DirectionSums:
    """One direction of a layer.

    Args:
        zoneout: rate at which its cell is held.
    """

    def __init__(self, zoneout: float) -> None:
        self._zoneout = zoneout
        self.gates: Tensor | None = None  # [10, H]: see _of_gates
        self.cell, self.hidden, self.input = Spread(), Spread(), Spread()
        self.products: Any = 0.0  # [H, I], of the cell's and the input's distances from their means
        self._room: Tensor | None = None  # for what is made and forgotten: fresh memory costs as much as the sums

    def add(self, i: Tensor, f: Tensor, o: Tensor, c: Tensor, h: Tensor, x: Tensor | None) -> None:
        """Real steps ``[n, H]``, with the input's ``[n, I]``."""
        if self._room is None or len(self._room) < len(f):
            self._room = torch.empty_like(f)
        sums = _of_gates(i, f, o, self._zoneout, self._room[: len(f)])
        self.gates = sums if self.gates is None else self.gates + sums
        before, count = self.cell.count, len(c)
        c_ahead = self.cell.add_rows(c)
        self.hidden.add_rows(h)
        if x is not None:
            mean = x.mean(0)
            away = x - mean
            x_ahead = self.input.add(count, mean.double(), away.square().sum(0).double())
            apart = torch.outer(c_ahead, x_ahead) * (before * count / (before + count))
            self.products = self.products + (c.T @ away).double() + apart


def _of_gates(i: Tensor, f: Tensor, o: Tensor, zoneout: float, room: Tensor) -> Tensor:
    """``[10, H]`` float64: each gate's sum, how often it was open, how often shut; and the sum of ln of what stays."""
    nowhere = torch.zeros_like(f[0])
    sums = [column_sums(gate, nowhere, above=OPEN, below=SHUT)[:3] for gate in (i, f, o)]
    return torch.cat([*sums, _sum_of_logs(f, zoneout, room)[None]]).double()


def _sum_of_logs(f: Tensor, zoneout: float, room: Tensor) -> Tensor:
    """Of ``[n, H]`` the sum ``[H]`` of ln f; with zoneout at rate z of ln(z + (1 - z) f), by (5) and (8), k = 1 - z.

    A logarithm costs as much as ten sums, so it is taken of two at once.
    """
    torch.clamp(f, min=LEAST, out=room)
    if zoneout:
        room.mul_(1 - zoneout).add_(zoneout)
    half = len(room) // 2
    product = room[:half].mul_(room[half : 2 * half])
    return product.log_().sum(0) + room[2 * half :].log().sum(0)


class LayerSums:
    """One layer.

    Args:
        directions: ``D``.
        hidden_size: ``H``.
        output_size: ``P or H``.
        zoneout: rate at which its cell is held.
    """

    def __init__(self, directions: int, hidden_size: int, output_size: int, zoneout: float = 0.0) -> None:
        self._sizes = directions, hidden_size, output_size
        self._directions = [DirectionSums(zoneout) for _ in range(directions)]
        self._with_input = True
        self._whole: WholeRun | None = None
        self._rows: Tensor | None = None  # [D, B, H], sums of the cell of each row of this batch
        self._of_rows = Spread()
        self._by_class: Any = 0.0  # [D, H, K], sums of the rows' means
        self._counts: Any = 0.0  # [K]

    @property
    def has_classes(self) -> bool:
        """Whether rows told their classes."""
        return self._of_rows.count > 0

    def add(self, run: LayerRun, x: Tensor | None) -> None:
        """A piece, with the input of its steps ``[t, b, I]``."""
        if self._whole is not run.whole:
            self._whole = run.whole
            D, H, _ = self._sizes
            self._rows = run.gates.c.new_zeros(D, run.whole.batch_size, H, dtype=torch.float64)
        assert self._rows is not None
        i, f, _, o, c, h = (part[0] for part in run.gates)  # [t, b, H]
        self._rows[run.direction, run.rows] += c.sum(0)
        self._with_input &= x is not None
        if run.lengths is None:
            real = [part.flatten(0, 1) for part in (i, f, o, c, h)]
            x = None if x is None else x.flatten(0, 1)
        else:
            alive = torch.arange(len(c), device=c.device)[:, None] < run.lengths
            real = [part[alive] for part in (i, f, o, c, h)]
            x = None if x is None else x[alive]
        if len(real[0]):
            i, f, o, c, h = real
            self._directions[run.direction].add(i, f, o, c, h, None if x is None else x.to(c.dtype))

    def finish_rows(self, classes: Tensor | None, num_classes: int) -> None:
        """The end of a batch: the means of its rows, by class ``[B]``."""
        whole, rows, self._whole = self._whole, self._rows, None
        if whole is None or rows is None or classes is None or len(classes) != whole.batch_size or not len(classes):
            return
        steps = torch.full((whole.batch_size,), whole.steps) if whole.lengths is None else whole.lengths
        kept = steps.to(rows.device) > 0
        means = (rows / steps.to(rows.device).clamp(min=1)[:, None])[:, kept]  # [D, B, H]
        members = torch.nn.functional.one_hot(classes.to(rows.device)[kept].long(), num_classes).double()  # [B, K]
        if not len(members):
            return
        centre = means.mean(1)
        self._of_rows.add(len(members), centre, (means - centre[:, None]).square().sum(1))
        self._by_class = self._by_class + means.transpose(1, 2) @ members
        self._counts = self._counts + members.sum(0)

    def measures(self) -> dict[str, Any]:
        """Everything of a :class:`~gatewise.inspection.units.UnitSummary` but its name and classes."""
        steps = self._directions[0].cell.count
        gates = np.stack([_array(part.gates) for part in self._directions], 1) / steps  # [10, D, H]
        names = [f"{gate}_{what}" for gate in ("input", "forget", "output") for what in ("mean", "open", "shut")]
        with np.errstate(divide="ignore"):
            half_life = math.log(2) / np.abs(gates[9])  # the logarithm of a share is never above 0
        return {
            "steps": steps,
            **dict(zip(names, gates, strict=False)),
            "half_life": half_life,
            "cell_mean": np.stack([_array(part.cell.mean) for part in self._directions]),
            "cell_std": np.sqrt(np.stack([_array(part.cell.squares) for part in self._directions]) / steps),
            "hidden_std": np.sqrt(np.stack([_array(part.hidden.squares) for part in self._directions]) / steps),
            "with_input": self._input_correlation() if self._with_input else None,
            "with_class": self._class_correlation() if self.has_classes else None,
        }

    def _input_correlation(self) -> np.ndarray:
        found = []
        for part in self._directions:
            scale = np.sqrt(np.outer(_array(part.cell.squares), _array(part.input.squares)))
            found.append(_quotient(_array(part.products), scale))
        return np.stack(found)

    def _class_correlation(self) -> np.ndarray:
        """Of the rows' means with 1 for a row of the class and 0 for another."""
        count, counts = self._of_rows.count, _array(self._counts)
        products = _array(self._by_class) - _array(self._of_rows.mean)[..., None] * counts
        squares = counts * (count - counts) / count
        return _quotient(products, np.sqrt(_array(self._of_rows.squares)[..., None] * squares))


def _quotient(products: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A correlation; NaN where one of the two never changes."""
    found: np.ndarray = np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)
    return found.clip(-1, 1)


def _array(values: Any) -> np.ndarray:
    found: np.ndarray = values.cpu().numpy()
    return found
