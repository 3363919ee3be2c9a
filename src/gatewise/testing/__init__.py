"""Checks that anyone can run on a kernel or a task of their own. Nothing in the package imports this.

@pytest.mark.parametrize("check", [*kernel_checks(my_kernel), *trace_checks(my_kernel)], ids=str)
def test_my_kernel(check):
    check()
"""

from gatewise.accuracy import assert_as_accurate, max_error
from gatewise.testing.kernels import (
    CASES,
    Case,
    KernelCheck,
    TraceCheck,
    kernel_checks,
    lattice,
    outcome,
    plain,
    trace_checks,
)

__all__ = [
    "CASES",
    "Case",
    "KernelCheck",
    "TraceCheck",
    "assert_as_accurate",
    "kernel_checks",
    "lattice",
    "max_error",
    "outcome",
    "plain",
    "trace_checks",
]
