"""Content for the explorer that no model stands behind, but that looks like one's."""

from dataclasses import replace

import numpy as np
import torch

from gatewise.inspection.trace import LayerTrace
from gatewise.inspection.units import UnitSummary
from gatewise.reports import explorer_parts as parts
from gatewise.reports.explorer import Curve, Examples, Explorer, Item, Places, Remembered, Row

WORDS = ("the", "film", "is", "not", "a", "good", "one", ",", "but", "it", "was", "never", "dull", "and", "funny", "↵")


def layer_trace(lengths, *, units=12, directions=2, seed=0):
    """Smooth gates, and the cell that follows from them by equation (5)."""
    rng = np.random.default_rng(seed)
    rows, steps, shape = len(lengths), max(lengths), (len(lengths), 1, directions, units)
    t = np.arange(steps)[None, :, None, None]
    gates = []
    for bias in (-0.3, 0.8, -0.3):
        wave = np.sin(t / rng.uniform(3, 30, shape) + rng.uniform(0, 6, shape))
        gates.append(1 / (1 + np.exp(-2.5 * wave - rng.normal(bias, 1.2, (1, 1, directions, units)))))
    i, f, o = gates
    g = np.tanh(rng.normal(0, 1, (rows, steps, directions, units)))
    cell = np.zeros_like(g)
    for row, length in enumerate(lengths):
        for d in range(directions):
            before = np.zeros(units)
            for step in range(length) if d == 0 else reversed(range(length)):
                before = f[row, step, d] * before + i[row, step, d] * g[row, step, d]
                cell[row, step, d] = before
    real = torch.arange(steps)[None] < torch.tensor(lengths)[:, None]
    fields = [torch.tensor(v, dtype=torch.float32) * real[..., None, None] for v in (i, f, g, o, cell)]
    return LayerTrace("encoder.layers.0", *fields, fields[3] * torch.tanh(fields[4]), torch.tensor(lengths))


def summary(trace, classes=("calm", "wild")):
    """Of one layer, as far as the explorer shows it."""
    rng = np.random.default_rng(0)
    shape = tuple(trace.cell.shape[2:])
    kinds = [f"{gate}_{kind}" for gate in ("input", "forget", "output") for kind in ("mean", "open", "shut")]
    life = np.exp(rng.normal(1.5, 1.2, shape))
    life[0, 0] = np.inf
    return UnitSummary(
        layer=trace.name,
        steps=100,
        half_life=life,
        cell_mean=rng.normal(size=shape),
        cell_std=rng.random(shape),
        hidden_std=rng.random(shape),
        with_input=rng.uniform(-1, 1, (*shape, 1)),
        with_class=rng.uniform(-1, 1, (*shape, len(classes))),
        classes=classes,
        **{kind: rng.random(shape) for kind in kinds},
    )


def explorer(kind="numbers", lengths=(60, 45), *, stride=1, most=parts.FINE, evil=""):
    """A page of two sequences of three channels, with 12 units in each of two directions."""
    rng = np.random.default_rng(1)
    trace = layer_trace([-(-length // stride) for length in lengths])
    rows = [_row(trace, kind, place, length, most, evil, rng) for place, length in enumerate(lengths)]
    total = 2 * 12 * 4
    sequence, step = rng.integers(-1, 2, total).tolist(), rng.integers(5, 40, total).tolist()
    places = Places(sequence, step, np.round(rng.random(total), 3).tolist())
    layer = parts.layer_of(trace, parts.spans_of([trace]), summary(trace))
    layer = replace(layer, examples=Examples(4, places, places))
    gallery = [
        Item(row.row, f"row {row.row}{evil}", "calm", row.steps, names=row.names)
        if kind == "tokens"
        else Item(row.row, f"row {row.row}{evil}", "calm", row.steps, packed=parts.pack(rng.normal(size=(2, 60)), 255))
        for row in rows
    ]
    lags = np.arange(40.0)
    curve = Curve("answer", lags.tolist(), np.exp(-lags / 9).tolist(), 6.2, 20.7)
    memory = Remembered([curve], "steps ago", ["Half of the influence lies within 6 steps, 90 % within 21."])
    return Explorer(
        title=f"runs/invented{evil}",
        subtitle="classification, 2 of 40 sequences",
        kind=kind,
        rows=rows,
        layers=[layer],
        gallery=gallery,
        memory=memory,
        most=most,
        searched="Looked for in 40 sequences.",
    )


def _row(trace, kind, place, length, most, evil, rng):
    """One sequence: the first is answered rightly, the second wrongly."""
    names = [f"channel {k}{evil}" for k in range(3)]
    values = np.cumsum(rng.normal(size=(length, 3)), axis=0)
    attribution = rng.normal(size=(length,) if kind == "tokens" else (length, 3))
    jacobian = 1 + 0.5 * rng.random((2, int(trace.lengths[place])))
    spoken = kind == "tokens"
    return Row(
        row=3 * place,
        label=f"row {3 * place}: calm{evil}",
        facts=[("Answer", f"calm{evil}", "91.3% sure"), ("Truth", ("calm", "wild")[place], "as given")],
        why=[f"Half of what decided lies in steps 10 to 19.{evil}"],
        verdict=("right", "wrong")[place],
        right=place == 0,
        steps=length,
        unit="token" if spoken else "step",
        names=[WORDS[k % len(WORDS)] + evil for k in range(length)] if spoken else None,
        rate=100.0 if kind == "sound" else None,
        start=length // 3,
        decisive=None if spoken else (10, 20),
        carried=False,
        lines=None if spoken else parts.lines_of(values, names),
        picture=parts.spectrogram(values[:, 0], 100.0) if kind == "sound" else None,
        strips=[parts.strip(attribution, names, f"Orange speaks for “calm”, blue against it.{evil}", (0, length))],
        layers=[parts.stretch(trace, place, (0, length), most, jacobian=jacobian)],
    )
