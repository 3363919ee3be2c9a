"""The path of a pen at equal distances, with the ink around each of its points."""

import torch
from torch import Tensor, nn

from gatewise.errors import OptionError
from gatewise.sequences import mask_of_lengths

IN_THE_AIR = 0.3  # how much a way in the air counts beside one that is drawn
CENTRES = (0.0, 0.15, 0.45, 1.0)  # distances at which ink is looked for, as half the larger side of the drawing
WIDTHS = (0.08, 0.1, 0.2, 0.35)  # and how sharply: where the eye rests it sees the most


class StrokePath(nn.Module):
    """Drawings as fast and as slow pens made them, all with the same number of points, evenly along the path.

    For each of these points: x and y; the way from the one before, in units of ``8 / steps``, and its direction as
    cosine and sine; 1 where it lies between two strokes; and the share of the drawing's ink in 7 x 7 places around it,
    the more closely the nearer. That picture is the same in whatever order the strokes are drawn.

    Args:
        steps: points of a path, ``N``.

    Shape:
        - input: ``[B, T, 7]``, features of strokes: x and y, from -1 to 1; four that are not looked at; 1 where the pen
          is lifted after the point. Lengths ``[B]`` or None
        - output: ``[B, N, 56]`` and lengths: ``N``, or 0 for a row of no points (then zeros); None as given

    Raises:
        OptionError: fewer than two steps.

    Example:
        >>> corner = torch.tensor([[[-1.0, 0], [-1, 0.5], [1, 0.5]]])  # half a unit down, two to the right
        >>> path, _ = StrokePath(6)(torch.cat([corner, torch.zeros(1, 3, 5)], 2))
        >>> path[0, :, :2].tolist()
        [[-1.0, 0.0], [-1.0, 0.5], [-0.5, 0.5], [0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]

    References:
        Belongie, Malik & Puzicha 2002 (shape contexts); Graves et al. 2009 (a picture of the surroundings beside the
        pen, against delayed strokes).
    """

    uneven = True  # a step of the output is no fixed stretch of steps of the input

    OUTPUT_SIZE = 7 + (2 * len(CENTRES) - 1) ** 2

    def __init__(self, steps: int) -> None:
        super().__init__()
        if steps < 2:
            raise OptionError(f"StrokePath: expected at least 2 steps, got {steps}. 64 is a good start.")
        self.steps = steps
        beside = tuple(zip(CENTRES, WIDTHS, strict=True))
        places = torch.tensor([(-centre, width) for centre, width in beside[:0:-1]] + list(beside))
        self.register_buffer("centres", places[:, 0].clone(), persistent=False)
        self.register_buffer("widths", places[:, 1].clone(), persistent=False)

    centres: Tensor
    widths: Tensor

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        B, T, _ = x.shape
        real = torch.full((B,), T, device=x.device) if lengths is None else lengths
        points, lifted = x[..., :2].float(), x[..., 6] > 0.5
        position, air = self._along(points, lifted, real)
        way = position.diff(dim=1, prepend=position[:, :1])
        length = way.norm(dim=-1, keepdim=True)
        direction = way / torch.where(length > 0, length, 1.0)
        context = self._around(position, ~air)
        y = torch.cat([position, way * (self.steps / 8), direction, air[..., None].float(), context], -1).to(x.dtype)
        if lengths is None:
            return y, None
        return y.masked_fill((real == 0)[:, None, None], 0.0), (real > 0) * self.steps

    def _along(self, points: Tensor, lifted: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Points ``[B, N, 2]`` evenly along the path, and whether each lies in the air ``[B, N]``."""
        T = points.shape[1]
        ways = points.diff(dim=1).norm(dim=-1)
        ways = torch.where(lifted[:, :-1], IN_THE_AIR * ways, ways)
        ways = ways.masked_fill(~mask_of_lengths(real - 1, T - 1), 0.0)
        until = torch.cat([ways.new_zeros(len(ways), 1), ways.cumsum(1)], 1)  # [B, T]
        wanted = torch.linspace(0, 1, self.steps, device=points.device) * until[:, -1:]
        last = (real - 1).clamp(min=0)[:, None]
        before = torch.searchsorted(until, wanted, right=True) - 1
        before = torch.minimum(before.clamp(min=0), (last - 1).clamp(min=0))
        after = torch.minimum(before + 1, last)
        start, stop = until.gather(1, before), until.gather(1, after)
        share = ((wanted - start) / torch.where(stop > start, stop - start, 1.0)).clamp(0, 1)
        origin, end = (points.gather(1, at[..., None].expand(-1, -1, 2)) for at in (before, after))
        # A point at the very end of a way has been reached: it is on paper.
        return torch.lerp(origin, end, share[..., None]), lifted.gather(1, before) & (share > 0) & (share < 1)

    def _around(self, position: Tensor, drawn: Tensor) -> Tensor:
        """The share of the points ``[B, N, 49]`` that were drawn, by where they lie from each point."""
        offset = position[:, None] - position[:, :, None]  # [B, N, N, 2]: of the second from the first
        near = torch.exp(-(((offset[..., None] - self.centres) / self.widths) ** 2) / 2)  # [B, N, N, 2, 7]
        seen = near[..., 1, :] * drawn[:, None, :, None]
        share = torch.einsum("bnmi,bnmj->bnij", near[..., 0, :], seen).flatten(2)
        return share * (8 / self.steps)

    def extra_repr(self) -> str:
        """The option, for ``repr``."""
        return f"steps={self.steps}"
