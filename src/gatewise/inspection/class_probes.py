"""Units whose cell state tells a class: found on some sequences, measured on others."""

import math
from collections.abc import Sequence

import numpy as np

from gatewise.inspection.probes import Probe, Unit, verdict_of
from gatewise.inspection.units import UnitSummary

NORMAL = 2.576  # of 100 values of a normal distribution, 99 lie within so many deviations


def probe_classes(select: Sequence[UnitSummary], measure: Sequence[UnitSummary], rows: int) -> tuple[Probe, ...]:
    """For each class the unit whose mean cell state over a sequence goes with it most.

    Sequences are drawn by themselves, so that chance needs no shifts: a correlation over ``n`` of them that means
    nothing lies within 2.576 divided by the root of ``n - 1`` in 99 of 100 cases.

    Args:
        select: a summary a layer, of the sequences to choose units on.
        measure: the same layers on other sequences.
        rows: how many these are.

    Returns:
        A probe a class, in the order of the classes; figures are correlations.
    """
    chance = NORMAL / math.sqrt(max(1, rows - 1))
    probes = []
    for k, name in enumerate(select[0].classes):
        figures = [_of_class(layer, k) for layer in select]
        best = max(range(len(select)), key=lambda place: float(np.abs(figures[place]).max()))
        direction, unit = np.unravel_index(int(np.abs(figures[best]).argmax()), figures[best].shape)
        selected = float(figures[best][direction, unit])
        held_out = float(_of_class(measure[best], k)[direction, unit])
        found = Unit(select[best].layer, int(direction), int(unit))
        if selected == 0.0:  # a class that does not occur
            nothing = float("nan")
            probes.append(Probe(f"class {name}", "class", None, nothing, nothing, nothing, "absent"))
            continue
        verdict = verdict_of("class", selected, held_out, chance)
        probes.append(Probe(f"class {name}", "class", found, selected, held_out, chance, verdict))
    return tuple(probes)


def _of_class(layer: UnitSummary, k: int) -> np.ndarray:
    """Correlations ``[D, H]`` with a class; 0 where there are none to be had."""
    assert layer.with_class is not None
    return np.asarray(np.nan_to_num(layer.with_class[..., k]))
