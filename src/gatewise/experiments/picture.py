"""The main pictures as files for papers and pages, by matplotlib: transparent, readable on white and on black."""

import math
from pathlib import Path
from typing import Any

from gatewise.errors import OptionError, did_you_mean
from gatewise.experiments.drawing import COLORS, DASHES, Line, carousels, curves, gradients, success
from gatewise.experiments.results import Results
from gatewise.reports.words import counted

PANELS = ("gradients", "carousel", "learning", "success")
"""What can be drawn; "all" is all of them, two beside each other."""
ENDINGS = (".svg", ".png", ".pdf")
INK = "#7A828C"  # grey enough to be read on white and on black
SEEDS = 1.12  # how high above the shares their number of seeds is written
STYLES = {"solid": "-", "dash": "--", "dot": ":"}


def check_picture(path: Path, panel: str) -> None:
    """Whether a picture can be drawn, before anything long begins.

    Raises:
        OptionError: an ending or a panel that does not exist, or matplotlib is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(f"experiment: expected --picture to end in {', '.join(ENDINGS)}, got {path.name!r}. "
                          "Choose one of them.")  # fmt: skip
    if not path.parent.is_dir():
        raise OptionError(f"experiment: expected a folder for --picture, got none at {path.parent}. Make it first.")
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
        alone = len(panels) == 1
        figure = Figure(figsize=(6.5, 3.3) if alone else (9.2, 6.6), layout="constrained")
        axes = figure.subplots(1 if alone else 2, 1 if alone else 2, squeeze=False).ravel()
        for axis, name in zip(axes, panels, strict=True):
            _plain(axis)
            _DRAW[name](axis, results)
        handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda pair: len(pair[0]))
        figure.legend(handles, labels, loc="outside right center" if alone else "outside lower center",
                      ncols=1 if alone else 4, frameon=False)  # fmt: skip
        when = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, transparent=True, dpi=200, metadata=when)


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color=INK, alpha=0.22, linewidth=0.6)


def _draw_line(axis: Any, line: Line, dash: str, label: str = "") -> None:
    color = COLORS[line.model]
    if line.low != line.high:
        axis.fill_between(line.x, line.low, line.high, color=color, alpha=0.18, linewidth=0)
    axis.plot(line.x, line.y, dash, color=color, linewidth=1.7, label=label or line.title)


def _draw_gradients(axis: Any, results: Results) -> None:
    length = results.lengths[-1]
    for line in gradients(results, length, "state, start"):
        _draw_line(axis, line, STYLES[DASHES.get(line.model, "solid")])
    _lags(axis)


def _draw_carousel(axis: Any, results: Results) -> None:
    """Measured lines of the models with forget gates, and dashed beside them what the forget gates alone keep."""
    length = results.lengths[-1]
    alone = carousels(results, length)
    models = [line.model for line in alone]
    measured = [line for line in gradients(results, length, "state, start") if line.model in models]
    for line in measured:
        _draw_line(axis, line, "-")
    _lags(axis)
    limits = axis.get_ylim()
    for line in alone:
        axis.plot(line.x, line.y, STYLES["dash"], color=COLORS[line.model], linewidth=1.2)
    if alone:
        axis.set_ylim(limits)  # what forgets faster than anything that was measured leaves the picture
        (dashed,) = axis.plot([], [], STYLES["dash"], color=INK, linewidth=1.2)
        axis.legend([dashed], ["$f^{\\,k}$ alone"], loc="best", frameon=False)


def _lags(axis: Any) -> None:
    """A line of the grid for every 1, 2, 5, 10 and so on powers of ten, at most nine, one of them at 1."""
    axis.set_yscale("log")
    low, high = (math.floor(math.log10(limit)) for limit in axis.get_ylim())
    apart = next(step * ten for ten in (1, 10, 100) for step in (1, 2, 5) if high - low <= 8 * step * ten)
    powers = range(-(-low // apart) * apart, high + 1, apart)
    axis.set_yticks([10.0**power for power in powers])
    axis.minorticks_off()
    axis.set_xlabel("lag k, steps")
    axis.set_ylabel(r"$|\partial h_T\,/\,\partial s_{T-k}|$ before learning")


def _draw_learning(axis: Any, results: Results) -> None:
    length = results.lengths[-1]
    seeds = {each.model: each.seeds for each in results.summaries() if each.length == length}
    for line in curves(results, length):
        label = f"{line.title}, {counted(seeds[line.model], 'seed')}"
        _draw_line(axis, line, STYLES[DASHES.get(line.model, "solid")], label)
    _shares(axis)
    axis.set_xlabel(f"steps, T = {length:,}")
    axis.set_ylabel("sequences that are right")


def _draw_success(axis: Any, results: Results) -> None:
    lines = success(results)
    cells = {(each.model, each.length): each.seeds for each in results.summaries()}
    axis.annotate("seeds", (0, SEEDS), (-4, 0), ("axes fraction", "data"), textcoords="offset points", ha="right",
                  va="center", fontsize=7.5)  # fmt: skip
    for place, line in enumerate(lines):
        offset = (place - (len(lines) - 1) / 2) * 0.8 / len(lines)
        at = [results.lengths.index(int(length)) + offset for length in line.x]
        reach = [
            [y - low for y, low in zip(line.y, line.low, strict=True)],
            [high - y for y, high in zip(line.y, line.high, strict=True)],
        ]
        axis.errorbar(at, line.y, reach, fmt="o", color=COLORS[line.model], markersize=5, linewidth=1.4, capsize=2.5,
                      label=line.title)  # fmt: skip
        for column, length in enumerate(results.lengths):
            seeds = cells.get((line.model, length), 0)
            axis.text(column + offset, SEEDS, str(seeds or "\u2013"), color=COLORS[line.model], fontsize=7.5,
                      ha="center", va="center", gid=f"seeds-{line.model}-{length}")  # fmt: skip
    axis.set_xticks(range(len(results.lengths)), [f"{length:,}" for length in results.lengths])
    _shares(axis)
    axis.set_ylim(top=SEEDS + 0.06)
    axis.set_xlabel("length T, steps")
    axis.set_ylabel("seeds that solved it")


def _shares(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_ylim(-0.04, 1.04)
    axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


_DRAW = {
    "gradients": _draw_gradients,
    "carousel": _draw_carousel,
    "learning": _draw_learning,
    "success": _draw_success,
}
