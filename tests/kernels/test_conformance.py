"""Every kernel against the equations, and the facts that every kernel must live by."""

import os
from types import SimpleNamespace

import pytest
import torch

from gatewise.cell import Cell
from gatewise.kernels import KERNELS
from gatewise.kernels.reference import reference
from gatewise.kernels.select import plain_request
from gatewise.testing import CASES, Case, assert_as_accurate, kernel_checks, lattice, outcome, plain, trace_checks

CHECKS = [check for kernel in KERNELS for check in kernel_checks(kernel)]
# Few and small numbers: the baseline may be exact by luck. A wrong formula is off by 1e-1, not by a few roundings.
LATTICE = kernel_checks(reference, lattice(), (torch.float64,), factor=10.0)
TRACES = [check for kernel in KERNELS for check in trace_checks(kernel)]
TRACES += trace_checks(reference, lattice(), (torch.float64,), factor=10.0)

each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
FORWARD = Case("ragged, one direction", B=4, T=6, lengths=(6, 3, 0, 1))
RAGGED = Case("ragged", B=4, T=6, lengths=(6, 3, 0, 1), directions=2)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_kernel_is_as_accurate_as_plain_pytorch(check, nan_filled_memory):
    check()


@pytest.mark.parametrize("check", LATTICE, ids=str)
def test_every_combination_of_variants(check, nan_filled_memory):
    check()


@pytest.mark.parametrize("check", TRACES, ids=str)
def test_a_trace_is_what_the_equations_say_of_every_step(check, nan_filled_memory):
    check()


def test_the_suite_notices_a_wrong_trace():
    def late(request, inputs):
        output, state, gates = reference.trace(request, inputs)
        return output, state, gates._replace(c=gates.c.roll(1, dims=1))  # one step late

    kernel = SimpleNamespace(name="late", why_not=reference.why_not, trace=late)
    with pytest.raises(AssertionError, match="late-trace-plain-float32, c: error"):
        trace_checks(kernel)[0]()


def test_the_suite_notices_a_wrong_result():
    case = CASES[0]
    exact, baseline = outcome(plain, case, torch.float64), outcome(plain, case, torch.float32)
    with pytest.raises(AssertionError, match=r"h_n: error .* times what is allowed"):
        assert_as_accurate(baseline["h_n"] + 1e-4, baseline["h_n"], exact["h_n"], what="h_n")
    with pytest.raises(AssertionError, match="error inf"):
        assert_as_accurate(baseline["h_n"] * torch.nan, baseline["h_n"], exact["h_n"])


@each_kernel
def test_the_same_call_gives_the_same_bits(kernel):
    first, second = outcome(kernel.run, RAGGED, torch.float32), outcome(kernel.run, RAGGED, torch.float32)
    assert all(torch.equal(first[name], second[name]) for name in first)


@each_kernel
@pytest.mark.parametrize("case", [FORWARD, RAGGED], ids=lambda case: case.name)
def test_rows_that_have_ended_have_exactly_zero_gradient(kernel, case):
    d_input = outcome(kernel.run, case, torch.float32)["d_input"]
    for row, length in enumerate(case.lengths):
        assert (d_input[length:, row] == 0).all()
        assert length == 0 or (d_input[:length, row] != 0).all()


@each_kernel
@pytest.mark.parametrize("case", [FORWARD, RAGGED], ids=lambda case: case.name)
def test_a_row_of_length_zero_returns_its_initial_state(kernel, case):
    inputs = case.inputs(torch.float32)
    output, state = kernel.run(case.request(torch.float32), inputs)
    assert torch.equal(state.h[:, 2], inputs.state.h[:, 2])
    assert torch.equal(state.c[:, 2], inputs.state.c[:, 2])
    assert (output[:, 2] == 0).all()


@each_kernel
def test_long_sequences_do_not_drift(kernel):
    case = Case("long", T=2000, B=2, I=3, H=5)
    exact, baseline = outcome(plain, case, torch.float64), outcome(plain, case, torch.float32)
    actual = outcome(kernel.run, case, torch.float32)
    for name in ("output", "h_n", "c_n", "d_input", "d_h_0", "d_c_0"):  # the parameters' sums grow with T by themselves
        assert_as_accurate(actual[name], baseline[name], exact[name], what=name)


def test_kernels_expected_on_this_machine_run():
    """A broken build cannot hide as a skip: CI names the kernels of each machine in GATEWISE_EXPECT_KERNELS."""
    expected = [name for name in os.environ.get("GATEWISE_EXPECT_KERNELS", "native,reference").split(",") if name]
    by_name = {kernel.name: kernel for kernel in KERNELS}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert {name: by_name[name].why_not(plain_request(device)) for name in expected} == dict.fromkeys(expected)


def test_c_is_wide_inside_whatever_the_dtype():
    """A thousand small additions to a c of 1 are lost in bfloat16."""
    case = Case("sum", T=1000, B=1, I=1, H=1, state=False, cell=Cell(forget=False))
    inputs = case.inputs(torch.bfloat16)
    (weights,) = inputs.weights
    with torch.no_grad():
        for w in weights:
            w.zero_() if w is not None else None
        weights.bias_ih[:] = torch.tensor([-6.0, 0.5, 0.0])  # i = 0.0025, g = 0.46
        _, state = reference.run(case.request(torch.bfloat16)._replace(differentiable=False), inputs)
    expected = 1000 * torch.tensor(-6.0).sigmoid() * torch.tensor(0.5).tanh()
    assert state.c.item() == pytest.approx(expected.item(), rel=2**-8)
