"""The compiled kernel: every instruction set, sizes beside its tiles, threads, strides, calls that must not pass."""

import ctypes
import itertools
import random
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from gatewise.cell import Cell, Weights
from gatewise.errors import KernelUnavailable, OptionError, ShapeError
from gatewise.kernels import use_kernel
from gatewise.kernels.contract import Inputs, Masks
from gatewise.kernels.cpu import library, memory
from gatewise.kernels.cpu.kernel import Call, Cpu, cpu
from gatewise.kernels.native import native
from gatewise.nn import LSTM
from gatewise.testing import CASES, Case, KernelCheck, kernel_checks, lattice, outcome
from gatewise.types import State

pytestmark = pytest.mark.skipif(library.why_not() is not None, reason=str(library.why_not()))

ISAS = library.available_isas()
DTYPES = (torch.float32, torch.bfloat16)
RAGGED = Case("ragged", B=5, T=19, I=4, H=40, lengths=(19, 7, 1, 0, 19), directions=2)
EVERYTHING = next(case for case in CASES if case.name == "everything at once")


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    monkeypatch.setenv("GATEWISE_CPU_ISA", request.param)
    return request.param


# Right


@pytest.mark.parametrize("check", kernel_checks(cpu, CASES, DTYPES), ids=str)
def test_every_instruction_set_passes_the_suite(isa, check, nan_filled_memory):
    check()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_combination_of_variants(isa, dtype, nan_filled_memory):
    for check in kernel_checks(cpu, lattice(), (dtype,)):
        check()


# Each T with each B, every H with some of them: tiles that are full, or have one row or lane too many or too few.
SIZES = [
    Case(f"T {T}, B {B}, H {H}", T=T, B=B, H=H, I=I, directions=1 + (n % 2), state=n % 3 > 0)
    for n, ((T, B), H, I) in enumerate(
        zip(
            itertools.product((0, 1, 7, 513), (1, 3, 17, 64)),
            itertools.cycle((1, 7, 32, 33, 64, 100, 256)),
            itertools.cycle((1, 5, 16, 33)),
        )
    )
]


def ragged(case):
    lengths = torch.linspace(0, case.T, case.B).round().long().tolist()
    return replace(case, name=f"{case.name}, ragged", lengths=tuple(lengths), state=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", [*SIZES, *map(ragged, SIZES)], ids=lambda case: case.name)
def test_sizes_beside_the_tiles(isa, case, dtype, nan_filled_memory):
    """Held to torch's own LSTM: quick enough for long sequences."""
    if reason := native.why_not(case.request(dtype)):
        pytest.skip(f"no baseline: {reason}")
    KernelCheck(cpu, case, dtype, baseline=native.run)()


def test_a_long_sequence_with_everything(isa):
    """Chunk after chunk: what passes from one to the next."""
    cell = EVERYTHING.cell
    lengths = (700, 1, 0, 699, 350)
    for check in kernel_checks(
        cpu, (Case("long", T=700, B=5, I=3, H=19, P=5, directions=2, cell=cell, lengths=lengths, resets=True),),
        (torch.float32,),
    ):  # fmt: skip
        check()


# The same


@pytest.mark.parametrize("case", [RAGGED, EVERYTHING, Case("wide", T=40, B=70, I=9, H=33, directions=2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_threads_and_repetition_change_no_bit(case, dtype):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            found.append(outcome(cpu.run, case, dtype))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(found[0][name], other[name]) for name in other)


def test_several_python_threads_at_once():
    cases = [RAGGED, EVERYTHING, Case("other", T=30, B=9, H=21)] * 8
    expected = {case.name: outcome(cpu.run, case, torch.float32) for case in cases[:3]}
    with ThreadPoolExecutor(8) as pool:
        for case, actual in zip(
            cases, pool.map(lambda case: outcome(cpu.run, case, torch.float32), cases), strict=True
        ):
            assert all(torch.equal(actual[name], y) for name, y in expected[case.name].items()), case.name


LAYOUTS = {
    "batch first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every second feature": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "features first": lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "backwards in memory": lambda x: x.flip(1).contiguous().flip(1),
    "one row for all": lambda x: x[:, :1].expand_as(x),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_order_of_memory(layout, dtype):
    case = replace(RAGGED, lengths=None)
    inputs = case.inputs(dtype)
    placed = LAYOUTS[layout](inputs.input.detach())
    d_output = LAYOUTS[layout](torch.randn(case.T, case.B, 2 * case.H).to(dtype))
    kernel = Cpu()
    results = []
    for x, d in ((placed, d_output), (placed.contiguous(), d_output.contiguous())):
        call = replace(inputs, input=x)
        output, state, tape = kernel.forward(call, save=True)
        gradients = kernel.backward(call, output, tape, d, (None, None), with_input=True)
        results.append([output, *state, gradients.input, *gradients.state, *gradients.weights[0][:4]])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_inference_keeps_no_tape_and_gives_the_same():
    case = EVERYTHING
    inputs = case.inputs(torch.float32)
    with_tape, state, tape = Cpu().forward(inputs, save=True)
    without, same, nothing = Cpu().forward(inputs, save=False)
    assert nothing == [] and tape[0].numel() > 0
    assert torch.equal(with_tape, without) and torch.equal(state.c, same.c)


# What is not finite


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_not_finite_stays_in_its_row_and_shows_as_in_torch(isa, bad, dtype):
    case = Case("bad", T=6, B=7, I=3, H=17, directions=2)
    inputs = case.inputs(dtype)
    with torch.no_grad():
        inputs.input[2, 3, 1] = bad
    output, _ = cpu.run(case.request(dtype), inputs)
    expected, _ = native.run(case.request(torch.float64), _double(inputs))
    assert torch.equal(output.isnan(), expected.isnan())
    others = torch.arange(7) != 3
    assert output[:, others].isfinite().all()
    output.sum().backward()
    assert torch.equal(inputs.input.grad[:, others].isfinite(), torch.ones(6, 6, 3, dtype=torch.bool))
    if bad is torch.nan:
        assert inputs.weights[0].weight_ih.grad.isnan().any()


def _double(inputs):
    weights = tuple(Weights(*(None if w is None else w.detach().double() for w in ws)) for ws in inputs.weights)
    state = State(*(part.detach().double() for part in inputs.state))
    return replace(inputs, input=inputs.input.detach().double(), weights=weights, state=state)


def test_weights_that_are_not_finite_show():
    lstm = LSTM(3, 5, kernel="cpu")
    with torch.no_grad():
        lstm.weight_hh_l0[7, 2] = torch.nan
    output, _ = lstm(torch.randn(4, 2, 3))
    assert output[1:].isnan().any()


# Memory


def test_memory_does_not_grow():
    """Sequences of ever other lengths: what is kept stays near what one step needs."""
    lstm = LSTM(16, 64, bidirectional=True, kernel="cpu")
    draw, most = random.Random(0), 0
    for step in range(1000):
        x = torch.randn(draw.randint(50, 400) if step else 400, 8, 16, requires_grad=True)
        output, _ = lstm(x[: 400 if step % 100 == 0 else 60])
        output.sum().backward()
        if step == 20:
            most = memory.held()
        del output
    assert memory.held() <= 1.3 * most + 2**22


def test_many_rows_of_large_weights_need_no_gradients_for_each():
    """Short sequences in a large batch: a few groups of rows, not one for every sixteen."""
    lstm = LSTM(128, 256, kernel="cpu")
    x = torch.randn(1, 4096, 128, requires_grad=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lstm(x)[0].sum().backward()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024  # KiB; by 256 groups it would be 400 MiB for their sums alone


def test_the_tape_is_as_long_as_the_library_says(isa):
    for case in (RAGGED, EVERYTHING):
        inputs = case.inputs(torch.float32)
        [(shape, _)] = Cpu().tape_shapes(inputs)
        size = library.functions(isa).tape_size(ctypes.byref(Call(inputs).layer))
        assert shape == (size,)


def test_large_results_are_like_small_ones():
    with torch.no_grad():
        y, _ = LSTM(2, 512, kernel="cpu")(torch.randn(600, 1, 2))
    y += torch.nn.Parameter(torch.ones(512))  # which a view made under no_grad would refuse
    assert y.requires_grad


def test_freed_memory_is_taken_again():
    first = memory.empty((2**20,), torch.float32)
    place = first.data_ptr()
    view = first[5:]
    del first
    other = memory.empty((2**20,), torch.float32)
    assert other.data_ptr() != place  # the view still holds it
    del view
    assert memory.empty((2**20,), torch.float32).data_ptr() == place


def test_small_tensors_and_stand_ins_are_torchs():
    assert not memory.serves(torch.empty(0), (10,), torch.float32)
    assert not memory.serves(torch.empty(0, device="meta"), (2**22,), torch.float32)
    assert memory.serves(torch.empty(0), (2**22,), torch.float32)


# Calls that must not pass


def test_what_it_does_not_serve_has_a_reason():
    assert "float64" in cpu.why_not(RAGGED.request(torch.float64))
    assert "cuda" in cpu.why_not(RAGGED.request(torch.float32, "cuda"))


def test_an_instruction_set_that_is_not_here_is_a_users_mistake(monkeypatch):
    monkeypatch.setenv("GATEWISE_CPU_ISA", "avx1024")
    with pytest.raises(OptionError, match=r"GATEWISE_CPU_ISA: expected .* got 'avx1024'"), use_kernel("cpu"):
        LSTM(2, 3)(torch.randn(4, 1, 2))


def with_weights(inputs, **changed):
    return replace(inputs, weights=(inputs.weights[0]._replace(**changed),))


HUGE = torch.zeros(1, 1, 1).expand(2**31, 2**25, 4)
WRONG = {
    "input of two dimensions": lambda i: replace(i, input=i.input[0]),
    "input of another dtype": lambda i: replace(i, input=i.input.double()),
    "input of another size": lambda i: replace(i, input=i.input[..., :-1]),
    "three directions": lambda i: replace(i, weights=i.weights * 3),
    "no directions": lambda i: replace(i, weights=()),
    "weights of another size": lambda i: with_weights(i, weight_hh=i.weights[0].weight_hh[:-1]),
    "weights of another dtype": lambda i: with_weights(i, bias_ih=i.weights[0].bias_ih.half()),
    "a weight missing": lambda i: with_weights(i, bias_hh=None),
    "a weight too many": lambda i: with_weights(i, gain_c=torch.ones(40)),
    "peepholes missing": lambda i: replace(i, cell=Cell(peephole=True)),
    "another number of gates": lambda i: replace(i, cell=Cell(coupled=True)),
    "a state of another size": lambda i: replace(i, state=State(i.state.h[:, :1], i.state.c)),
    "lengths too long": lambda i: replace(i, lengths=i.lengths + 1),
    "lengths below zero": lambda i: replace(i, lengths=i.lengths - 1),
    "too few lengths": lambda i: replace(i, lengths=i.lengths[:2]),
    "lengths of another dtype": lambda i: replace(i, lengths=i.lengths.int()),
    "resets of another shape": lambda i: replace(i, resets=torch.zeros(3, 3, dtype=torch.bool)),
    "resets of another dtype": lambda i: replace(i, resets=torch.zeros(19, 5)),
    "a mask of another shape": lambda i: replace(i, masks=Masks(hidden=torch.ones(1, 5, 3))),
    "more than memory can hold": lambda i: replace(i, input=HUGE, lengths=None, state=None),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_library_would_take_on_trust_is_refused(wrong):
    case = replace(RAGGED, directions=1)
    with pytest.raises((ShapeError, KernelUnavailable), match=r"^kernel 'cpu': expected [^\n]*$"):
        Cpu().forward(WRONG[wrong](case.inputs(torch.float32)), save=True)


def test_a_wrong_backward_call_is_refused():
    inputs = RAGGED.inputs(torch.float32)
    kernel = Cpu()
    output, _, tape = kernel.forward(inputs, save=True)
    nothing = (None, None)
    for call in (
        (output[1:], tape, None, nothing),
        (output, [], None, nothing),
        (output, [tape[0][:-1]], None, nothing),
        (output, [tape[0].double()], None, nothing),
        (output, [tape[0][:1].expand_as(tape[0])], None, nothing),
        (output, tape, output[:, 1:], nothing),
        (output, tape, None, (output, None)),
    ):
        with pytest.raises(ShapeError, match="kernel 'cpu': expected"):
            kernel.backward(inputs, *call, with_input=True)


def test_ten_thousand_random_calls_never_crash():
    """Shapes, dtypes, lengths and strides at random, mostly wrong: an answer or a refusal, and nothing else."""
    draw = random.Random(1)
    torch.manual_seed(1)
    kernel, answered, refused = Cpu(), 0, 0
    for _ in range(10_000):
        inputs = _random_inputs(draw)
        try:
            output, _, tape = kernel.forward(inputs, save=True)
            d_output = draw.choice([None, output, torch.randn_like(output[:, :1]).expand_as(output)])
            kernel.backward(inputs, output, tape, d_output, (None, None), with_input=draw.random() < 0.5)
            answered += 1
        except (ShapeError, KernelUnavailable):
            refused += 1
    assert answered > 1000 and refused > 1000


def _random_inputs(draw):
    T, B, I, H = (draw.choice([0, 1, 2, 3, 5, 17]) for _ in range(4))
    I, H, D = max(I, 1), max(H, 1), draw.choice([1, 2])
    P = draw.choice([0, 0, max(1, H - 1)])
    cell = Cell(
        peephole=draw.random() < 0.3,
        norm=draw.choice([None, None, "layer"]),
        zoneout=draw.choice([0.0, 0.0, 0.2]),
        **draw.choice([{}, {"coupled": True}, {"forget": False}]),
    )
    dtype = draw.choice([torch.float32, torch.float32, torch.bfloat16])

    def tensor(*shape):
        """Mostly what is asked for; else of another size, dtype or order."""
        wrong = draw.random()
        if wrong < 0.01:
            shape = tuple(draw.choice([0, size, size + 1, 2**33]) if n == 0 else size for n, size in enumerate(shape))
            return torch.zeros(1, dtype=dtype).expand(shape)
        if wrong < 0.015:
            return torch.randn(shape, dtype=draw.choice([torch.float64, torch.float16, torch.float32]))
        if wrong < 0.1 and shape:
            return torch.randn(*shape[:-1], 2 * shape[-1]).to(dtype)[..., ::2]
        return torch.randn(shape).to(dtype)

    shapes = cell.parameter_shapes(I, H, proj_size=P, bias=draw.random() < 0.8)
    weights = tuple(Weights(**{name: tensor(*shape) for name, shape in shapes.items()}) for _ in range(D))
    state = State(tensor(D, B, P or H), tensor(D, B, H)) if draw.random() < 0.5 else None
    lengths = torch.randint(0, T + 1 + (draw.random() < 0.05), (B,)) if draw.random() < 0.5 else None
    resets = torch.rand(T, B) < 0.3 if draw.random() < 0.3 else None
    masks = Masks(
        *(
            tensor(*shape) if draw.random() < 0.2 else None
            for shape in ((D, B, P or H), (D, T, B, H), (D, T, B, P or H), (D, T, B, H))
        )
    )
    return Inputs(cell, tensor(T, B, I), weights, state, lengths, resets, masks)
