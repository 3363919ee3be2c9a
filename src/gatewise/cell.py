"""Which equations an LSTM follows: the one place where variants are named."""

from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

from torch import Tensor

from gatewise.errors import OptionError, did_you_mean

NORMS = ("layer",)


class Weights(NamedTuple):
    """The parameters of one direction of one layer, under their names in a state dict (less the suffix ``_l0``).

    With ``G`` gates (4, or 3 without a forget gate of its own), in the order i f g o:
    """

    weight_ih: Tensor  # [G*H, I]
    weight_hh: Tensor  # [G*H, P or H]
    bias_ih: Tensor | None = None  # [G*H]
    bias_hh: Tensor | None = None  # [G*H]
    weight_hr: Tensor | None = None  # [P, H], the projection
    weight_peephole: Tensor | None = None  # [G-1, H]: i, f, o
    gain_ih: Tensor | None = None  # [G*H], layer norm of the input term
    gain_hh: Tensor | None = None  # [G*H], layer norm of the recurrent term
    gain_c: Tensor | None = None  # [H], layer norm of the cell state


@dataclass(frozen=True)
class Cell:
    r"""Which LSTM equations. The default is the plain LSTM, as in PyTorch; options combine freely.

    Numbers refer to the sheet in :mod:`gatewise.equations`.

    Args:
        peephole: gates look at the cell state: i and f at the old one (2, 3), o at the new one (6).
            Gers, Schraudolph & Schmidhuber 2002.
        coupled: one gate for both, ``f = 1 - i`` (3'). Greff et al. 2017.
        norm: ``"layer"``: layer normalisation of the input term, the recurrent term and the cell state (1', 7).
            Ba, Kiros & Hinton 2016.
        forget: False takes the forget gate away, ``f = 1`` (3'). Hochreiter & Schmidhuber 1997.
        hidden_dropout: rate of dropout on h inside the recurrent product, one mask a sequence (1).
            Gal & Ghahramani 2016.
        recurrent_dropout: rate of dropout on the candidate g, a new mask each step (4'). Semeniuta et al. 2016.
        zoneout: rates ``(h, c)`` at which units keep their old value (8, 9); one number means both.
            Krueger et al. 2017.

    Raises:
        OptionError: an option that does not exist or contradicts another.

    Example:
        >>> Cell(coupled=True).num_gates
        3
        >>> Cell(peephole=True, zoneout=0.1)
        Cell(peephole=True, zoneout=(0.1, 0.1))
    """

    peephole: bool = False
    coupled: bool = False
    norm: Literal["layer"] | None = None
    forget: bool = True
    hidden_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("peephole", "coupled", "forget"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"Cell: expected {name} to be True or False, got {getattr(self, name)!r}.")
        if self.norm is not None and self.norm not in NORMS:
            raise OptionError(f"Cell: expected norm to be None or one of {NORMS}, got {self.norm!r}. "
                              f"{did_you_mean(str(self.norm), NORMS)}")  # fmt: skip
        if self.coupled and not self.forget:
            raise OptionError("Cell: expected coupled or forget=False, got both. "
                              "A coupled cell forgets by 1 - i; leave one of them out.")  # fmt: skip
        object.__setattr__(self, "zoneout", _pair(self.zoneout))
        for name in ("hidden_dropout", "recurrent_dropout"):
            object.__setattr__(self, name, _rate(name, getattr(self, name)))

    @property
    def num_gates(self) -> int:
        """``G``: 4, or 3 where the forget gate has no weights of its own."""
        return 4 if self.forget and not self.coupled else 3

    @property
    def is_plain(self) -> bool:
        """Whether these are the equations of :class:`torch.nn.LSTM`."""
        return self == PLAIN

    def without_dropout(self) -> "Cell":
        """The cell as it acts outside training: without dropout. Zoneout then acts by its mean."""
        return replace(self, hidden_dropout=0.0, recurrent_dropout=0.0)

    def variants(self) -> list[str]:
        """The options in which this cell differs from the plain one, by name.

        >>> Cell(norm="layer", peephole=True).variants()
        ['peephole', 'norm']
        """
        return [f.name for f in fields(self) if getattr(self, f.name) != f.default]

    def parameter_shapes(
        self, input_size: int, hidden_size: int, *, proj_size: int = 0, bias: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter of one direction, in the order of :class:`Weights`.

        >>> Cell(coupled=True).parameter_shapes(2, 5, bias=False)
        {'weight_ih': (15, 2), 'weight_hh': (15, 5)}
        """
        gates = self.num_gates * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (gates, input_size),
            "weight_hh": (gates, proj_size or hidden_size),
        }
        if bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if proj_size:
            shapes |= {"weight_hr": (proj_size, hidden_size)}
        if self.peephole:
            shapes |= {"weight_peephole": (self.num_gates - 1, hidden_size)}
        if self.norm == "layer":
            shapes |= {"gain_ih": (gates,), "gain_hh": (gates,), "gain_c": (hidden_size,)}
        return shapes

    def __repr__(self) -> str:
        return f"Cell({', '.join(f'{name}={getattr(self, name)!r}' for name in self.variants())})"


def _rate(name: str, rate: object) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise OptionError(f"Cell: expected {name} in [0, 1), got {rate!r}. A rate is the share that is dropped.")
    return float(rate)


def _pair(zoneout: object) -> tuple[float, float]:
    if isinstance(zoneout, int | float) and not isinstance(zoneout, bool):
        zoneout = (zoneout, zoneout)
    if not isinstance(zoneout, tuple | list) or len(zoneout) != 2:
        raise OptionError(f"Cell: expected zoneout as two rates (h, c), got {zoneout!r}.")
    return _rate("zoneout of h", zoneout[0]), _rate("zoneout of c", zoneout[1])


PLAIN = Cell()
"""The equations of :class:`torch.nn.LSTM`."""
