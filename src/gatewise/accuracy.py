"""The rule of accuracy: how wrong may a fast result be? Derived, never chosen."""

import torch
from torch import Tensor


def max_error(x: Tensor, truth: Tensor) -> float:
    """The largest absolute difference, in float64; infinite where ``x`` has a NaN that ``truth`` has not.

    >>> max_error(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    0.5
    """
    if x.numel() == 0:
        return 0.0
    return (x.double() - truth.double()).abs().nan_to_num(nan=torch.inf).max().item()


def excess(actual: Tensor, baseline: Tensor, truth: Tensor, *, factor: float = 2.0) -> float:
    """The error as a share of what is allowed, as :func:`assert_as_accurate` says; beyond 1 it is too large.

    >>> excess(torch.tensor([1.5]), torch.tensor([1.0]), torch.tensor([1.0])) > 1e6
    True
    """
    rounding = torch.finfo(actual.dtype).eps
    finer = rounding / torch.finfo(baseline.dtype).eps
    factor += actual.dtype == torch.float64
    scale = truth.abs().max().item() if truth.numel() else 0.0
    allowed = factor * finer * max_error(baseline, truth) + rounding * scale
    error = max_error(actual, truth)
    return error / allowed if allowed else (torch.inf if error else 0.0)


def assert_as_accurate(
    actual: Tensor, baseline: Tensor, truth: Tensor, *, factor: float = 2.0, what: str = "result"
) -> None:
    """At most ``factor`` times as wrong as plain PyTorch in the same dtype, plus one rounding.

    No truth is finer than a float64 result. It is held to a float32 baseline, whose error is scaled to the finer dtype,
    and the truth may be wrong by as much as the baseline would be.

    Args:
        actual: what a kernel computed.
        baseline: the same by plain PyTorch, in the dtype of ``actual``; in float32 if that is float64.
        truth: the same in float64, from the same values as the baseline.
        factor: how many times the baseline's error is allowed.
        what: begins the message.

    Raises:
        AssertionError: it is more wrong than that, or of another shape.
    """
    assert actual.shape == baseline.shape, f"{what}: expected shape {tuple(baseline.shape)}, got {tuple(actual.shape)}"
    share = excess(actual, baseline, truth, factor=factor)
    assert share <= 1, f"{what}: error {max_error(actual, truth):.2e} is {share:.2f} times what is allowed"
