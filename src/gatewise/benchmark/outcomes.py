"""Whether what is about to be timed is right: no speed is told of a wrong answer."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatewise.accuracy import max_error

FACTOR = 2.0


class Outcome(NamedTuple):
    """What a piece of work computes, by name."""

    results: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def what_is_wrong(actual: Outcome, baselines: Sequence[Outcome], truth: Outcome, *, terms: int) -> str | None:
    """None, if it is at most twice as wrong as plain PyTorch in the same dtype; else in a few words.

    Each tensor's error counts relative to the tensor's largest value, and the worst of all results (and of all
    gradients) is compared with PyTorch's worst: over a whole model the error of a single small tensor is luck. Beyond
    that, one rounding of the dtype is allowed, and what sums of so many terms in float32 may differ by if their order
    does: roundings add up by chance, so the square root of their number.

    Args:
        actual: ours.
        baselines: by plain PyTorch in the same dtype, in one order of summation or several; the worst counts.
        truth: by plain PyTorch in float64.
        terms: how many terms the longest sums have.

    Example:
        >>> right = Outcome({"output": torch.tensor([1.0, 2.0])}, {})
        >>> what_is_wrong(right, [right], right, terms=2) is None
        True
        >>> what_is_wrong(Outcome({"output": torch.tensor([1.0, 2.1])}, {}), [right], right, terms=2)
        'output is 5e-02 off, torch 0e+00'
    """
    for number, (part, exact) in enumerate(zip(actual, truth, strict=True)):
        if missing := exact.keys() - part.keys():
            return f"no {min(missing)}"
        if misshapen := [name for name in exact if part[name].shape != exact[name].shape]:
            return f"{misshapen[0]} has shape {tuple(part[misshapen[0]].shape)}"
        if not exact:
            continue
        errors = {name: _relative_error(part[name], exact[name]) for name in exact}
        of_torch = max(_relative_error(by[number][name], exact[name]) for by in baselines for name in exact)
        worst = max(errors, key=lambda name: errors[name])
        rounding = max(torch.finfo(part[name].dtype).eps for name in exact)
        by_order = math.sqrt(terms) * torch.finfo(torch.float32).eps
        if errors[worst] > FACTOR * of_torch + rounding + by_order:
            return f"{worst} is {errors[worst]:.0e} off, torch {of_torch:.0e}"
    return None


def _relative_error(x: Tensor, truth: Tensor) -> float:
    return max_error(x, truth) / (truth.abs().max().item() or 1.0)
