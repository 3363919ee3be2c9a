"""The pictures of texts, as plotly figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gatewise.reports.shading import visible
from gatewise.reports.style import PALETTE, figure, label, plain
from gatewise.reports.words import counted, percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TICK = 14  # characters of a token beside a picture of attention


def by_rank(names: Sequence[str], bits: np.ndarray, tokens: np.ndarray, total: np.ndarray) -> "Figure":
    """Mean surprisal of common and of rare tokens.

    Args:
        names: of the R groups of tokens, the commonest first.
        bits: mean of each, ``[R]``.
        tokens: share of all tokens, ``[R]``.
        total: share of all bits, ``[R]``.
    """
    bars = {
        "type": "bar",
        "x": list(range(len(names))),
        "y": plain(bits),
        "customdata": [[percent(float(a)), percent(float(b))] for a, b in zip(tokens, total, strict=True)],
        "marker": {"color": PALETTE[0]},
        "hovertemplate": "%{y:.2f} bits a token<br>%{customdata[0]} of all tokens, %{customdata[1]} of all bits"
        "<extra></extra>",
    }
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names), "tickangle": 0 if len(names) < 8 else -45}
    return figure(
        [bars],
        280,
        {
            "bargap": 0.25,
            "xaxis": {**ticks, "title": {"text": "rank in the training data"}},
            "yaxis": {"title": {"text": "bits a token"}, "rangemode": "tozero"},
        },
    )


def by_place(places: Sequence[int], bits: np.ndarray, counts: np.ndarray, *, title: str) -> "Figure":
    """Mean surprisal by place.

    Args:
        places: ``[P]``, from 1.
        bits: mean of each, ``[P]``.
        counts: tokens at each, ``[P]``.
        title: of the horizontal axis.
    """
    line = {
        "type": "scatter",
        "x": list(places),
        "y": plain(bits),
        "customdata": [counted(int(count), "token") for count in counts],
        "mode": "lines+markers",
        "marker": {"size": 6},
        "line": {"color": PALETTE[0], "width": 2},
        "hovertemplate": "%{x}: %{y:.2f} bits a token (%{customdata})<extra></extra>",
    }
    return figure(
        [line],
        280,
        {
            "xaxis": {"title": {"text": title}, "tickformat": "d", **({"dtick": 1} if len(places) <= 16 else {})},
            "yaxis": {"title": {"text": "bits a token"}, "rangemode": "tozero"},
        },
    )


def attention(shares: np.ndarray, *, source: Sequence[str], answer: Sequence[str]) -> "Figure":
    """Which tokens of the source each token of the answer looked at; each row sums to one.

    Args:
        shares: ``[S, T]``.
        source: the T tokens across.
        answer: the S tokens down.
    """
    trace = {
        "type": "heatmap",
        "z": [plain(np.nan_to_num(row)) for row in shares.round(4)],
        "zmin": 0,
        "zmax": max(0.5, float(np.nan_to_num(shares).max(initial=0.0))),  # where attention is diffuse, all is pale
        "showscale": False,
        "customdata": [[[label(visible(a)), label(visible(b))] for b in source] for a in answer],
        "hovertemplate": "“%{customdata[0]}” looked at “%{customdata[1]}”: %{z:.1%}<extra></extra>",
    }
    return figure(
        [trace],
        120 + 20 * len(answer),
        {
            "xaxis": {**_tokens(source), "side": "top", "tickangle": -60},
            "yaxis": {**_tokens(answer), "autorange": "reversed"},
            "margin": {"r": 50},  # the last of the slanted tokens
        },
    )


def _tokens(tokens: Sequence[str]) -> dict[str, object]:
    """Tokens at numbered places: the same one may come twice."""
    return {
        "tickvals": list(range(len(tokens))),
        "ticktext": [label(visible(token), TICK) for token in tokens],
        "tickfont": {"size": 11},
        "showgrid": False,
    }
