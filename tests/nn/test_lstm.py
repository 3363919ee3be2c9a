"""nn.LSTM against torch.nn.LSTM, and what torch's has not."""

import copy
import pickle
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.kernels import KERNELS, record_kernels, use_kernel
from gatewise.nn import from_torch, to_torch
from gatewise.nn.lstm import LSTM
from gatewise.testing import assert_as_accurate

T, B, I, H = 7, 4, 5, 6
LENGTHS = torch.tensor([7, 3, 1, 5])
ZEROS = torch.zeros(T, B, I)
EVERYTHING = Cell(peephole=True, norm="layer", hidden_dropout=0.25, recurrent_dropout=0.25, zoneout=(0.25, 0.5))

each_kernel = pytest.mark.parametrize("kernel", [kernel.name for kernel in KERNELS])
OPTIONS = {
    "plain": {},
    "two layers, both directions": {"num_layers": 2, "bidirectional": True},
    "three layers, batch first, no bias": {"num_layers": 3, "batch_first": True, "bias": False},
    "projection": {"proj_size": 3},
    "projection, two layers, both directions, batch first": {
        "proj_size": 3, "num_layers": 2, "bidirectional": True, "batch_first": True,
    },
}  # fmt: skip
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def pair(dtype=torch.float32, **options):
    """Torch's and ours with the same weights, which the same seed gives."""
    torch.manual_seed(1)
    theirs = torch.nn.LSTM(I, H, dtype=dtype, **options)
    torch.manual_seed(1)
    return theirs, LSTM(I, H, dtype=dtype, **options)


def initial(module, dtype=torch.float32, rows=B):
    leading = (module.num_layers * (1 + module.bidirectional), rows)
    draw = torch.Generator().manual_seed(2)
    sizes = (module.proj_size or H, H)
    return tuple(torch.randn(*leading, size, generator=draw).to(dtype).requires_grad_() for size in sizes)


def results(module, call, x, state):
    """Output, states and every gradient, by name."""
    output, (h, c) = call(module, x, state)
    named = {"output": output, "h_n": h, "c_n": c}
    loss = sum((y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).cos().view_as(y)).sum() for y in named.values())
    leaves = {"x": x, **dict(module.named_parameters())}
    if state is not None:
        leaves |= {"h_0": state[0], "c_0": state[1]}
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {name: y.detach() for name, y in named.items()} | dict(zip(leaves, gradients, strict=True))


def dense(module, x, state):
    return module(x, state)


def packed(module, x, state):
    """What a torch user writes for ragged rows."""
    rows = pack_padded_sequence(x, LENGTHS, batch_first=module.batch_first, enforce_sorted=False)
    output, last = module(rows, state)
    return pad_packed_sequence(output, batch_first=module.batch_first, total_length=T)[0], last


def ragged(module, x, state):
    return module(x, state, lengths=LENGTHS)


def source(module, dtype=torch.float32):
    draw = torch.Generator().manual_seed(3)
    shape = (B, T, I) if module.batch_first else (T, B, I)
    return torch.randn(shape, generator=draw).to(dtype).requires_grad_()


@each_kernel
@each_option
@pytest.mark.parametrize("with_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize(("theirs_by", "ours_by"), [(dense, dense), (packed, ragged)], ids=["dense", "ragged"])
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_equals_torch(kernel, options, with_state, theirs_by, ours_by):
    (exact, _), (theirs, ours) = pair(torch.float64, **options), pair(**options)
    exact.load_state_dict(theirs.state_dict())
    state, exact_state = (initial(m, d) if with_state else None for m, d in ((ours, None), (exact, torch.float64)))
    truth = results(exact, theirs_by, source(exact, torch.float64), exact_state)
    baseline = results(theirs, theirs_by, source(theirs), state)
    with use_kernel(kernel), record_kernels() as ran:
        actual = results(ours, ours_by, source(ours), state)
    assert ran == [kernel] * ours.num_layers
    assert list(actual) == list(baseline)
    for name in baseline:
        assert_as_accurate(actual[name], baseline[name], truth[name], what=name, factor=3.0)


@each_option
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_the_same_seed_gives_torchs_weights(options):
    theirs, ours = pair(**options)
    for (their_name, theirs_), (name, ours_) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert name == their_name
        assert torch.equal(ours_, theirs_)


def test_state_dicts_load_both_ways():
    theirs, ours = torch.nn.LSTM(I, H, 2, bidirectional=True), LSTM(I, H, 2, bidirectional=True, kernel="native")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, I)
    assert torch.equal(ours(x)[0], theirs(x)[0])
    torch.nn.init.normal_(ours.weight_hh_l1)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours(x)[0], theirs(x)[0])


@each_kernel
@pytest.mark.parametrize("cell", [Cell(), EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("with_state", [False, True])
def test_nan_in_padding_reaches_neither_output_nor_gradient(kernel, cell, with_state):
    if kernel == "native" and not cell.is_plain:
        pytest.skip("native: torch.nn.LSTM does not offer the variants")
    lstm = LSTM(I, H, 2, bidirectional=True, batch_first=True, cell=cell, kernel=kernel).eval()
    lengths, state = torch.tensor([7, 0, 1, 5]), initial(lstm) if with_state else None

    def run(fill):
        padded = torch.arange(T) >= lengths[:, None]
        x = source(lstm).detach().masked_fill(padded[..., None], fill).requires_grad_()
        return results(lstm, lambda m, x, s: m(x, s, lengths=lengths), x, state)

    clean, dirty = run(0.0), run(torch.nan)
    for name in clean:
        assert torch.equal(clean[name], dirty[name]), name
    assert (dirty["x"][1] == 0).all()
    assert (dirty["output"][1] == 0).all()


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    both=st.booleans(),
    cell=st.sampled_from([Cell(), Cell(peephole=True), Cell(coupled=True, norm="layer"), Cell(zoneout=(0.2, 0.3))]),
    kernel=st.sampled_from(["auto", "reference"]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_a_ragged_batch_is_its_rows_one_by_one(lengths, both, cell, kernel, seed):
    """Up to roundings, which layer norm over few, nearly equal units makes large: so more units than elsewhere."""
    torch.manual_seed(seed)
    lstm = LSTM(2, 16, 2, bidirectional=both, batch_first=True, cell=cell, kernel=kernel).eval()
    x, state = torch.randn(len(lengths), 6, 2), initial_of(lstm, len(lengths))
    with torch.no_grad():
        output, last = lstm(x, state, lengths=torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone, after = lstm(x[row : row + 1, :length], tuple(part[:, row : row + 1] for part in state))
            torch.testing.assert_close(output[row, :length], alone[0], atol=1e-4, rtol=1e-3)
            torch.testing.assert_close(last.h[:, row], after.h[:, 0], atol=1e-4, rtol=1e-3)
            torch.testing.assert_close(last.c[:, row], after.c[:, 0], atol=1e-4, rtol=1e-3)
            assert (output[row, length:] == 0).all()


def initial_of(lstm, rows):
    leading = (lstm.num_layers * lstm.num_directions, rows)
    return torch.randn(*leading, lstm.hidden_size), torch.randn(*leading, lstm.hidden_size)


@given(cuts=st.lists(st.booleans(), min_size=8, max_size=8), both=st.booleans())
@settings(deadline=None, max_examples=30)
def test_resets_are_pieces_run_one_by_one(cuts, both):
    lstm = LSTM(2, 3, 2, bidirectional=both)
    x, starts = torch.randn(8, 1, 2), [0, *(t for t in range(1, 8) if cuts[t]), 8]
    with torch.no_grad():
        output, _ = lstm(x, resets=torch.tensor(cuts)[:, None])
        pieces = [lstm(x[a:b])[0] for a, b in pairwise(starts)]
    torch.testing.assert_close(output, torch.cat(pieces))


def test_a_reset_at_the_first_step_drops_the_initial_state():
    lstm, x = LSTM(2, 3, batch_first=True), torch.randn(2, 4, 2)
    resets = torch.zeros(2, 4, dtype=torch.bool)
    resets[0, 0] = True
    state = initial_of(lstm, 2)
    output, _ = lstm(x, state, resets=resets)
    torch.testing.assert_close(output[0], lstm(x)[0][0])
    torch.testing.assert_close(output[1], lstm(x, state)[0][1])


def test_a_reset_in_padding_does_nothing():
    lstm, x = LSTM(2, 3, bidirectional=True), torch.randn(4, 1, 2)
    resets, lengths = torch.tensor([[False], [False], [True], [True]]), torch.tensor([2])
    state = tuple(part[:, :1] for part in initial_of(lstm, 1))
    expected, actual = lstm(x, state, lengths=lengths), lstm(x, state, lengths=lengths, resets=resets)
    torch.testing.assert_close(actual, expected)


@each_kernel
@pytest.mark.parametrize("batch_first", [False, True])
def test_no_steps_and_no_rows(kernel, batch_first):
    lstm = LSTM(I, H, 2, bidirectional=True, batch_first=batch_first, kernel=kernel)
    state = initial(lstm)
    output, last = lstm(torch.empty((B, 0, I) if batch_first else (0, B, I)), state)
    assert output.shape == ((B, 0, 2 * H) if batch_first else (0, B, 2 * H))
    assert torch.equal(last.h, state[0])
    assert torch.equal(last.c, state[1])
    output, last = lstm(torch.empty((0, T, I) if batch_first else (T, 0, I)), lengths=LENGTHS[:0])
    assert output.shape == ((0, T, 2 * H) if batch_first else (T, 0, 2 * H))
    assert last.c.shape == (4, 0, H)


@each_kernel
def test_unbatched_input_gives_unbatched_results(kernel):
    theirs, ours = pair(num_layers=2, bidirectional=True)
    ours.kernel = kernel
    x, state = torch.randn(T, I), tuple(part[:, 0] for part in initial(ours))
    expected, (h, c) = theirs(x, state)
    output, last = ours(x, state)
    torch.testing.assert_close((output, last.h, last.c), (expected, h, c))
    assert output.shape == (T, 2 * H)


@each_kernel
@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_packed_input_gives_packed_results(kernel, enforce_sorted):
    theirs, ours = pair(bidirectional=True)
    ours.kernel = kernel
    lengths = sorted(LENGTHS.tolist(), reverse=True) if enforce_sorted else LENGTHS.tolist()
    rows = pack_sequence([torch.randn(n, I) for n in lengths], enforce_sorted=enforce_sorted)
    state = initial(ours)
    (expected, (h, c)), (output, last) = theirs(rows, state), ours(rows, state)
    assert isinstance(output, PackedSequence)
    torch.testing.assert_close((output.data, last.h, last.c), (expected.data, h, c))
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    assert output.sorted_indices is expected.sorted_indices


@pytest.mark.parametrize("cell", [Cell(), Cell(peephole=True)], ids=str)
def test_autocast_gives_what_torch_gives(cell):
    theirs, ours = torch.nn.LSTM(I, H), LSTM(I, H, cell=cell)
    x = torch.randn(T, B, I)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, actual = theirs(x, initial(ours)), ours(x, initial(ours))
    assert [actual[0].dtype, *(part.dtype for part in actual[1])] == [
        expected[0].dtype,
        *(s.dtype for s in expected[1]),
    ]
    actual[0].float().sum().backward()
    assert ours.weight_hh_l0.grad.dtype == torch.float32


def test_dropout_acts_between_layers_and_in_training_only():
    lstm, x = LSTM(I, H, 2, dropout=0.5), torch.randn(T, B, I)
    assert not torch.equal(lstm(x)[0], lstm(x)[0])
    lstm.eval()
    assert torch.equal(lstm(x)[0], lstm(x)[0])
    with pytest.warns(UserWarning, match="only one"):
        LSTM(I, H, dropout=0.5)


@pytest.mark.parametrize("name", ["hidden_dropout", "recurrent_dropout", "zoneout"])
def test_masks_are_drawn_in_training_only_and_by_the_seed(name):
    lstm, x = LSTM(I, H, cell=Cell(**{name: 0.5})), torch.randn(T, B, I)
    torch.manual_seed(4)
    first, second = lstm(x)[0], lstm(x)[0]
    torch.manual_seed(4)
    assert torch.equal(lstm(x)[0], first)
    assert not torch.equal(first, second)
    lstm.eval()
    assert torch.equal(lstm(x)[0], lstm(x)[0])


@pytest.mark.parametrize("name", ["hidden_dropout", "recurrent_dropout"])
def test_dropout_masks_have_mean_one(name):
    lstm = LSTM(2, 200, cell=Cell(**{name: 0.25}))
    masks = lstm._draw_masks(torch.zeros(5, 20, 2))
    (mask,) = (mask for mask in masks if mask is not None)
    assert mask.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert mask.mean().item() == pytest.approx(1.0, abs=0.05)


def test_dropout_rates_do_not_change_evaluation():
    x, plain = torch.randn(T, B, I), LSTM(I, H).eval()
    dropped = LSTM(I, H, cell=Cell(hidden_dropout=0.5, recurrent_dropout=0.5)).eval()
    dropped.load_state_dict(plain.state_dict())
    assert torch.equal(dropped(x)[0], plain(x)[0])


def test_weights_may_be_replaced_from_outside():
    """functional_call and parametrizations work: the layer asks for its weights at each call."""
    lstm, x = LSTM(I, H), torch.randn(T, B, I)
    zeros = {name: torch.zeros_like(p) for name, p in lstm.named_parameters()}
    assert torch.func.functional_call(lstm, zeros, (x,))[0].abs().max() == 0
    before = lstm(x)[0]
    torch.nn.utils.parametrizations.weight_norm(lstm, "weight_hh_l0")
    torch.testing.assert_close(lstm(x)[0], before)


@pytest.mark.parametrize("cell", [Cell(), EVERYTHING], ids=["plain", "everything"])
def test_copies_and_pickles(cell):
    lstm, x = LSTM(I, H, 2, bidirectional=True, cell=cell).eval(), torch.randn(T, B, I)
    for twin in (copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))):
        assert torch.equal(twin(x)[0], lstm(x)[0])
        assert twin.cell == cell


def test_representation_shows_what_differs():
    assert repr(LSTM(3, 4)) == "LSTM(3, 4)"
    lstm = LSTM(3, 4, 2, proj_size=2, bias=False, cell=Cell(peephole=True), kernel="reference")
    assert (
        repr(lstm) == "LSTM(3, 4, proj_size=2, num_layers=2, bias=False, cell=Cell(peephole=True), kernel='reference')"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(torch.zeros(T, B, 9)), r"input_size 5 features, got 9"),
        (lambda m: m(torch.zeros(T, B, I, 1)), r"\(time, batch, features\), got \(7, 4, 5, 1\)"),
        (lambda m: m(torch.zeros(T, B, I, dtype=torch.float64)), r"float32, as the parameters, got torch.float64"),
        (lambda m: m(ZEROS, (torch.zeros(1, 3, H), torch.zeros(1, B, H))), r"h of shape \(1, 4, 6\), got \(1, 3, 6\)"),
        (lambda m: m(ZEROS, (torch.zeros(1, B, H), torch.zeros(2, B, H))), r"c of shape \(1, 4, 6\), got \(2, 4, 6\)"),
        (lambda m: m(ZEROS, torch.zeros(1, B, H)), r"a pair \(h, c\), got 1 items"),
        (lambda m: m(ZEROS, lengths=torch.ones(3, dtype=torch.int64)), r"lengths of shape \(4,\).*got \(3,\)"),
        (lambda m: m(ZEROS, lengths=torch.ones(B)), r"integer dtype, got \(4,\) and torch.float32"),
        (lambda m: m(ZEROS, lengths=torch.tensor([8, 1, 1, 1])), r"lengths in 0..7, got \[8, 1, 1, 1\]"),
        (lambda m: m(ZEROS, lengths=torch.tensor([7, -1, 1, 1])), r"lengths in 0..7, got \[7, -1"),
        (lambda m: m(ZEROS, resets=torch.zeros(B, T, dtype=torch.bool)), r"7 steps of 4 rows"),
        (lambda m: m(torch.zeros(T, I), lengths=torch.tensor([3])), "no lengths with unbatched"),
        (lambda m: m(pack_sequence([torch.zeros(2, I)]), lengths=torch.tensor([2])), "with a PackedSequence"),
    ],
)  # fmt: skip
def test_shapes_are_checked(call, message):
    with pytest.raises(ShapeError, match=message):
        call(LSTM(I, H))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size to be a positive integer, got 0"),
        ({"num_layers": 1.5}, "num_layers.*got 1.5"),
        ({"proj_size": 6}, "proj_size in 0..5.*got 6"),
        ({"dropout": 1.5}, r"dropout in \[0, 1\], got 1.5"),
        ({"cell": "peephole"}, "cell to be a gatewise.Cell, got 'peephole'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        LSTM(**{"input_size": I, "hidden_size": H, **options})


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False}])
def test_to_and_from_torch(options):
    theirs = torch.nn.LSTM(I, H, dtype=torch.float64, **options).eval()
    ours = from_torch(theirs)
    x = torch.randn(T, B, I, dtype=torch.float64)
    assert torch.equal(ours(x)[0], theirs(x)[0])
    assert not ours.training
    assert torch.equal(to_torch(ours)(x)[0], theirs(x)[0])
    assert ours.weight_ih_l0 is not theirs.weight_ih_l0


def test_to_torch_names_what_torch_has_not():
    with pytest.raises(OptionError, match="does not offer peephole, zoneout"):
        to_torch(LSTM(I, H, cell=Cell(peephole=True, zoneout=0.1)))
    with pytest.raises(OptionError, match="got GRU"):
        from_torch(torch.nn.GRU(I, H))


def test_masks_are_the_same_in_every_dtype_and_for_every_kernel():
    cell = Cell(hidden_dropout=0.3, recurrent_dropout=0.3, zoneout=0.3)
    drawn = []
    for dtype, kernel in ((torch.float32, "auto"), (torch.float64, "auto"), (torch.bfloat16, "reference")):
        torch.manual_seed(3)
        with use_kernel(kernel):
            drawn.append(LSTM(2, 5, cell=cell)._draw_masks(torch.zeros(7, 4, 2, dtype=dtype)))
    for first, *others in zip(*drawn, strict=True):
        for other in others:
            assert torch.equal(other > 0, first > 0)
            torch.testing.assert_close(other.float(), first, atol=0.01, rtol=0)
