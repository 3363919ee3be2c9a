"""The main pictures as files for papers and pages, by matplotlib: transparent, readable on white and on black."""

from pathlib import Path
from typing import Any

from gatewise.errors import OptionError, did_you_mean
from gatewise.experiments.drawing import COLORS, DASHES, FLOOR, Line, curves, gradients, success
from gatewise.experiments.results import Results

PANELS = ("gradients", "learning", "success")
"""What can be drawn; "all" is the three side by side."""
ENDINGS = (".svg", ".png", ".pdf")
INK = "#7A828C"  # grey enough to be read on white and on black
STYLES = {"solid": "-", "dash": "--", "dot": ":"}


def check_picture(path: Path, panel: str) -> None:
    """Whether a picture can be drawn, before anything long begins.

    Raises:
        OptionError: an ending or a panel that does not exist, or matplotlib is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(f"experiment: expected --picture to end in {', '.join(ENDINGS)}, got {path.name!r}. "
                          "Choose one of them.")  # fmt: skip
    if panel not in (*PANELS, "all"):
        raise OptionError(f"experiment: expected --panel of {', '.join(PANELS)} or all, got {panel!r}. "
                          f"{did_you_mean(panel, [*PANELS, 'all'])}")  # fmt: skip
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise OptionError("experiment: expected matplotlib for --picture, got none installed. "
                          'Install it: pip install "gatewise[figures]".') from None  # fmt: skip


def draw_picture(results: Results, path: Path, panel: str = "all") -> None:
    """Draws an experiment into a file.

    Args:
        results: with one finished network at least; curves are those of the longest T.
        path: ends in .svg, .png or .pdf.
        panel: one of :data:`PANELS`, or "all".

    Raises:
        OptionError: as :func:`check_picture`.
    """
    check_picture(path, panel)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = PANELS if panel == "all" else (panel,)
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text: small, sharp, and found by a search
        "svg.hashsalt": "gatewise",  # the same numbers give the same file
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Arial"],
        "font.size": 9,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(4.6 * len(panels) + 1.9 * (len(panels) == 1), 3.1), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, name in zip(axes, panels, strict=True):
            _plain(axis)
            _DRAW[name](axis, results)
        handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda pair: len(pair[0]))
        figure.legend(handles, labels, loc="outside right center" if len(panels) == 1 else "outside lower center",
                      ncols=1 if len(panels) == 1 else 7, frameon=False)  # fmt: skip
        when = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, transparent=True, dpi=200, metadata=when)


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color=INK, alpha=0.22, linewidth=0.6)


def _draw_lines(axis: Any, lines: list[Line]) -> None:
    for line in lines:
        color = COLORS[line.model]
        if line.low != line.high:
            axis.fill_between(line.x, line.low, line.high, color=color, alpha=0.18, linewidth=0)
        dash = STYLES[DASHES.get(line.model, "solid")]
        axis.plot(line.x, line.y, dash, color=color, linewidth=1.7, label=line.title)


def _draw_gradients(axis: Any, results: Results) -> None:
    length = results.lengths[-1]
    _draw_lines(axis, gradients(results, length, "state, start"))
    axis.set_yscale("log")
    axis.set_ylim(bottom=FLOOR)
    axis.set_xlabel("lag k, steps")
    axis.set_ylabel(r"$|\partial h_T\,/\,\partial s_{T-k}|$ before learning")


def _draw_learning(axis: Any, results: Results) -> None:
    length = results.lengths[-1]
    _draw_lines(axis, curves(results, length))
    _shares(axis)
    axis.set_xlabel(f"steps, T = {length:,}")
    axis.set_ylabel("sequences that are right")


def _draw_success(axis: Any, results: Results) -> None:
    lines = success(results)
    for place, line in enumerate(lines):
        offset = (place - (len(lines) - 1) / 2) * 0.8 / len(lines)
        at = [results.lengths.index(int(length)) + offset for length in line.x]
        reach = [
            [y - low for y, low in zip(line.y, line.low, strict=True)],
            [high - y for y, high in zip(line.y, line.high, strict=True)],
        ]
        axis.errorbar(at, line.y, reach, fmt="o", color=COLORS[line.model], markersize=5, linewidth=1.4, capsize=2.5,
                      label=line.title)  # fmt: skip
    axis.set_xticks(range(len(results.lengths)), [f"{length:,}" for length in results.lengths])
    _shares(axis)
    axis.set_xlabel("length T, steps")
    axis.set_ylabel("seeds that solved it")


def _shares(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_ylim(-0.04, 1.04)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


_DRAW = {"gradients": _draw_gradients, "learning": _draw_learning, "success": _draw_success}
