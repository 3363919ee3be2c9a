from pathlib import Path

import pytest
import torch

from gatewise.cell import Cell
from gatewise.errors import KernelUnavailable, OptionError
from gatewise.kernels import KERNELS, describe, explain, record_kernels, select, use_kernel
from gatewise.kernels.cpu import library
from gatewise.kernels.select import AUTO, AUTO_ELSEWHERE, plain_request
from gatewise.nn.lstm import LSTM
from gatewise.testing.support import support_table, with_table

PLAIN = plain_request("cpu")
FIRST = "cpu" if library.why_not() is None else "native"
VARIANTS = "cpu" if library.why_not() is None else "reference"
PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"


@pytest.mark.skipif(library.why_not() is not None, reason="the page is of an installation with the compiled kernel")
def test_support_table_is_current():
    assert with_table(PAGE.read_text()) == PAGE.read_text(), "run: python -m gatewise.testing.support docs/kernels.md"
    assert "torch.nn.LSTM does not offer zoneout" in support_table()


def test_the_reference_serves_everything():
    assert all(line.endswith("| yes |") for line in support_table().splitlines()[2:])


def test_auto_takes_the_first_that_serves():
    assert select(PLAIN).name == FIRST
    assert select(PLAIN._replace(cell=Cell(peephole=True))).name == VARIANTS
    assert select(PLAIN._replace(compiling=True)).name == VARIANTS
    assert select(PLAIN._replace(dtype=torch.float64)).name == "native"
    assert select(PLAIN._replace(device="elsewhere")).name == "native"


def test_the_order_of_auto_names_kernels_that_exist():
    names = {kernel.name for kernel in KERNELS}
    assert all(set(order) <= names for order in (*AUTO.values(), AUTO_ELSEWHERE))


def test_a_named_kernel_that_cannot_serve_raises_with_its_reason():
    with pytest.raises(KernelUnavailable, match=r"'native'.*does not offer peephole"):
        LSTM(3, 4, cell=Cell(peephole=True), kernel="native")(torch.randn(2, 1, 3))


def test_no_kernel_at_all_raises_with_every_reason():
    with pytest.raises(KernelUnavailable, match=r"native: .*int64.*reference: .*int64"):
        select(PLAIN._replace(dtype=torch.int64))


def test_an_unknown_name_is_refused_at_once_with_the_nearest():
    with pytest.raises(OptionError, match='Did you mean "reference"'):
        LSTM(3, 4, kernel="refernce")
    with pytest.raises(OptionError, match="native"), use_kernel("nativ"):
        pass


def test_use_kernel_holds_inside_and_nests():
    lstm, x = LSTM(3, 4), torch.randn(2, 1, 3)
    with record_kernels() as ran:
        lstm(x)
        with use_kernel("reference"):
            lstm(x)
            with use_kernel("native"):
                lstm(x)
            lstm(x)
        lstm(x)
    assert ran == [FIRST, "reference", "native", "reference", FIRST]


def test_use_kernel_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), use_kernel("reference"):
        raise ZeroDivisionError
    assert select(PLAIN).name == FIRST


def test_dropout_rates_do_not_matter_in_evaluation():
    lstm, x = LSTM(3, 4, cell=Cell(hidden_dropout=0.5, recurrent_dropout=0.5)), torch.randn(2, 1, 3)
    with record_kernels() as ran:
        lstm(x)
        lstm.eval()(x)
    assert ran == [VARIANTS, FIRST]


def test_explain_and_describe_name_every_kernel():
    assert list(explain()) == [kernel.name for kernel in KERNELS]
    assert describe()[0] == "cpu:"
    assert [line.split()[0] for line in describe()[1:4]] == [kernel.name for kernel in KERNELS]
