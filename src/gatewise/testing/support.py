"""Which kernel serves what: the table of ``docs/kernels.md``, made from the kernels' own reasons.

python -m gatewise.testing.support docs/kernels.md      # brings the page up to date
"""

import sys
from pathlib import Path

import torch

from gatewise.cell import Cell
from gatewise.kernels.contract import Request
from gatewise.kernels.select import KERNELS, plain_request

BEGIN, END = "<!-- support table: begin -->", "<!-- support table: end -->"


def support_table() -> str:
    """One line for each variant, one column for each kernel: yes, or the reason why not. On the CPU."""
    head = ["", *(kernel.name for kernel in KERNELS)]
    lines = [_line(head), _line(["---"] * len(head))]
    for name, request in _variants().items():
        lines.append(_line([name, *(kernel.why_not(request) or "yes" for kernel in KERNELS)]))
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the table between its markers replaced."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{support_table()}\n{END}{after}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _variants() -> dict[str, Request]:
    plain = plain_request("cpu")
    return {
        "plain, float32": plain,
        "float64": plain._replace(dtype=torch.float64),
        "both directions": plain._replace(directions=2),
        "projection": plain._replace(proj_size=32),
        "ragged": plain._replace(ragged=True),
        "ragged, both directions, initial state": plain._replace(ragged=True, directions=2, initial_state=True),
        "resets": plain._replace(resets=True),
        "gradients": plain._replace(differentiable=True),
        "`torch.compile`, `torch.export`": plain._replace(compiling=True),
        "`peephole`": plain._replace(cell=Cell(peephole=True)),
        "`coupled`": plain._replace(cell=Cell(coupled=True)),
        "`norm`": plain._replace(cell=Cell(norm="layer")),
        "`forget=False`": plain._replace(cell=Cell(forget=False)),
        "`hidden_dropout`, in training": plain._replace(cell=Cell(hidden_dropout=0.1)),
        "`recurrent_dropout`, in training": plain._replace(cell=Cell(recurrent_dropout=0.1)),
        "`zoneout`": plain._replace(cell=Cell(zoneout=(0.1, 0.1))),
    }


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.write_text(with_table(where.read_text()))
