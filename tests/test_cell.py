import itertools

import pytest

from gatewise.cell import Cell, Weights
from gatewise.errors import OptionError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peephole": 1}, "peephole.*True or False, got 1"),
        ({"norm": "leyer"}, 'norm.*Did you mean "layer"'),
        ({"norm": "batch"}, "norm.*got 'batch'.*Choose from layer"),
        ({"coupled": True, "forget": False}, "coupled or forget=False, got both"),
        ({"hidden_dropout": 1.0}, r"hidden_dropout in \[0, 1\), got 1.0"),
        ({"recurrent_dropout": -0.1}, r"recurrent_dropout in \[0, 1\), got -0.1"),
        ({"recurrent_dropout": True}, "recurrent_dropout.*got True"),
        ({"zoneout": (0.1, 1.5)}, r"zoneout of c in \[0, 1\), got 1.5"),
        ({"zoneout": (0.1,)}, r"zoneout as two rates.*got \(0.1,\)"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        Cell(**options)


def test_equal_cells_are_one_key():
    assert {Cell(zoneout=0.1): 1} == {Cell(zoneout=[0.1, 0.1]): 1}
    assert Cell(zoneout=0).is_plain
    assert not Cell(forget=False).is_plain


def test_representation_builds_the_same_cell():
    cell = Cell(peephole=True, norm="layer", forget=False, zoneout=(0.1, 0.2), hidden_dropout=0.5)
    assert eval(repr(cell)) == cell
    assert cell.variants() == ["peephole", "norm", "forget", "hidden_dropout", "zoneout"]


def test_evaluation_leaves_dropout_out_and_keeps_zoneout():
    cell = Cell(hidden_dropout=0.1, recurrent_dropout=0.1, zoneout=0.3, peephole=True)
    assert cell.without_dropout() == Cell(zoneout=0.3, peephole=True)


def test_shapes_follow_the_number_of_gates():
    full = Cell(peephole=True, norm="layer").parameter_shapes(3, 5, proj_size=2)
    assert full == {
        "weight_ih": (20, 3), "weight_hh": (20, 2), "bias_ih": (20,), "bias_hh": (20,), "weight_hr": (2, 5),
        "weight_peephole": (3, 5), "gain_ih": (20,), "gain_hh": (20,), "gain_c": (5,),
    }  # fmt: skip
    assert Cell(coupled=True, peephole=True).parameter_shapes(3, 5)["weight_peephole"] == (2, 5)
    assert Cell(forget=False).parameter_shapes(3, 5)["weight_hh"] == (15, 5)


def test_parameters_come_in_the_order_of_weights():
    for peephole, norm, bias, proj_size in itertools.product([False, True], [None, "layer"], [False, True], [0, 2]):
        names = list(Cell(peephole=peephole, norm=norm).parameter_shapes(3, 5, proj_size=proj_size, bias=bias))
        assert names == [name for name in Weights._fields if name in names]
