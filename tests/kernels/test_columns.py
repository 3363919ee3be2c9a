"""Sums of columns: by the library and by torch, against float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewise.kernels import columns
from gatewise.kernels.columns import by_torch, column_sums
from gatewise.kernels.cpu import library

ISAS = library.available_isas()
SEEDS = st.integers(0, 99)


def exact(x, centre, above, below):
    x, centre = x.double(), centre.double()
    low, high = torch.tensor(below).item(), torch.tensor(above).item()  # thresholds as float32 has them
    return torch.stack([x.sum(0), (x > high).sum(0), (x < low).sum(0), (x - centre).square().sum(0)])


@pytest.mark.parametrize("isa", [*ISAS, None], ids=str)
@settings(max_examples=40, deadline=None)
@given(
    n=st.sampled_from([0, 1, 2, 63, 64, 65, 1000]),
    size=st.integers(1, 40),
    apart=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_sums_are_those_of_float64(isa, n, size, apart, seed):
    """Any number of rows and columns, rows one behind the other or apart."""
    torch.manual_seed(seed)
    x = torch.rand(n, size + apart)[:, :size]
    centre = torch.rand(size)
    with pytest.MonkeyPatch.context() as patch:
        if isa is None:
            patch.setattr(columns, "serves", lambda x: False)
        else:
            patch.setenv("GATEWISE_CPU_ISA", isa)
        found = column_sums(x, centre, above=0.9, below=0.1)
    truth = exact(x, centre, 0.9, 0.1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[1:3], truth[1:3].float(), rtol=0, atol=0)
    torch.testing.assert_close(found.double(), truth, rtol=1e-5, atol=1e-6)


def test_a_threshold_itself_is_neither_above_nor_below():
    x = torch.tensor([[0.9], [0.1], [1.0], [0.0]])
    for compute in (column_sums, by_torch):
        assert compute(x, torch.zeros(1), above=0.9, below=0.1)[1:3].flatten().tolist() == [1, 1]


def test_other_layouts_and_dtypes_are_summed_too():
    torch.manual_seed(0)
    x, centre = torch.randn(30, 7), torch.randn(7)
    wanted = exact(x, centre, 0.5, -0.5)
    columns_first = x.T.contiguous().T
    found = column_sums(columns_first, centre, above=0.5, below=-0.5)
    torch.testing.assert_close(found, wanted.float(), rtol=1e-5, atol=1e-5)
    wide = column_sums(x.double(), centre.double(), above=0.5, below=-0.5)
    assert wide.dtype == torch.float64
    torch.testing.assert_close(wide, wanted, rtol=1e-12, atol=1e-12)


def test_what_is_not_a_number_stays_so():
    x = torch.ones(70, 2)
    x[69, 1] = torch.nan
    total, above, below, squares = column_sums(x, torch.zeros(2), above=0.5, below=0.5)
    assert total[0] == squares[0] == above[0] == 70
    assert total[1].isnan() and squares[1].isnan()
    assert above[1] == 69
    assert below.tolist() == [0, 0]
