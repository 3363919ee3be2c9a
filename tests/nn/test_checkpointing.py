"""LSTM(checkpoint_steps=): the same layer, with a tape of one chunk at a time."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from gatewise.cell import Cell
from gatewise.errors import KernelUnavailable, OptionError
from gatewise.kernels import KERNELS, record_kernels, use_kernel
from gatewise.kernels.select import KERNELS as BY_NAME
from gatewise.models.config import ModelConfig, build, resolve
from gatewise.models.encoder import Encoder
from gatewise.nn.checkpointing import chunk_steps, run_in_chunks
from gatewise.nn.lstm import LSTM
from gatewise.testing import CASES, Case, kernel_checks, lattice, outcome

NAMES = [kernel.name for kernel in KERNELS]
EVERYTHING = Cell(peephole=True, norm="layer", hidden_dropout=0.25, recurrent_dropout=0.25, zoneout=(0.25, 0.5))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
each_kernel = pytest.mark.parametrize("kernel", NAMES)


@dataclass(frozen=True)
class InChunks:
    """A kernel behind checkpoints, so that it can stand trial as a kernel does."""

    inner: str
    steps: int

    @property
    def name(self):
        return f"{self.inner} in chunks of {self.steps}"

    def why_not(self, request):
        kernel = next(kernel for kernel in BY_NAME if kernel.name == self.inner)
        return kernel.why_not(request._replace(directions=1, initial_state=True))

    def run(self, request, inputs):
        return run_in_chunks(request, inputs, self.inner, self.steps)


CHECKS = [
    *kernel_checks(InChunks("cpu", 4), CASES, (torch.float32,)),
    *kernel_checks(InChunks("native", 4), CASES, (torch.float64,)),
    *kernel_checks(InChunks("reference", 4), CASES, (torch.float64,)),
    *kernel_checks(InChunks("cpu", 2), lattice()[::7], (torch.float32,), factor=10.0),
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_chunks_are_as_accurate_as_plain_pytorch(check, nan_filled_memory):
    check()


LONG = (
    Case("both directions", B=3, T=43, I=4, H=9, directions=2, lengths=(43, 17, 0)),
    Case("masks", B=3, T=43, H=9, directions=2, cell=EVERYTHING, lengths=(20, 43, 1), resets=True, P=4),
    Case("no initial state", B=3, T=43, H=9, state=False),
)


@pytest.mark.parametrize("steps", [1, 10, 100, 0])
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
@pytest.mark.parametrize(("kernel", "dtype"), [("cpu", torch.float32), ("native", torch.float64),
                                               ("reference", torch.float64)])  # fmt: skip
def test_equals_the_layer_in_one_piece(kernel, dtype, case, steps):
    chunked, whole = InChunks(kernel, steps), next(one for one in BY_NAME if one.name == kernel)
    if reason := whole.why_not(case.request(dtype)) or chunked.why_not(case.request(dtype)):
        pytest.skip(reason)
    expected = outcome(whole.run, case, dtype)
    actual = outcome(chunked.run, case, dtype)
    assert list(actual) == list(expected)
    for name, truth in expected.items():
        error = (actual[name] - truth).abs().max() / truth.abs().max()
        assert error <= TOLERANCE[dtype], f"{name}: {error}"


@pytest.mark.parametrize("direction", [0, 1])
def test_a_chunk_hands_its_state_on(direction):
    """Chunks that begin from zero would pass every test of shape."""
    case = LONG[0]
    inputs = case.inputs(torch.float64)
    output, _ = run_in_chunks(case.request(torch.float64), inputs, "reference", 10)
    far = output[-1 if direction == 0 else 0, 0, slice(9) if direction == 0 else slice(9, 18)].sum()
    (d_x,) = torch.autograd.grad(far, inputs.input)
    assert d_x[0 if direction == 0 else -1, 0].abs().max() > 0


def layers(kernel, steps, **options):
    """The same layers, in one piece and in chunks."""
    torch.manual_seed(4)
    whole = LSTM(5, 8, kernel=kernel, **options)
    chunked = LSTM(5, 8, kernel=kernel, checkpoint_steps=steps, **options)
    chunked.load_state_dict(whole.state_dict())
    return whole, chunked


def gradients(module, x, loss=lambda y, s: y.square().sum() + s.h.sum() + s.c.square().sum(), **given):
    module.zero_grad()
    x = x.clone().requires_grad_()
    torch.manual_seed(9)
    output, state = module(x, **given)
    loss(output, state).backward()
    found = {"output": output.detach(), "h": state.h.detach(), "c": state.c.detach(), "x": x.grad}
    return found | {name: p.grad for name, p in module.named_parameters()}


def assert_equal(actual, expected, tolerance):
    for name, truth in expected.items():
        scale = truth.abs().max().clamp(min=1e-30)
        assert (actual[name] - truth).abs().max() / scale <= tolerance, name


@each_kernel
@pytest.mark.parametrize("cell", [Cell(), EVERYTHING], ids=["plain", "everything"])
def test_a_stack_in_training_draws_the_same_masks(kernel, cell):
    if kernel == "native" and not cell.is_plain:
        pytest.skip("native: torch.nn.LSTM does not offer the variants")
    options = {"num_layers": 3, "bidirectional": True, "dropout": 0.3, "weight_drop": 0.3, "batch_first": True}
    whole, chunked = layers(kernel, 6, cell=cell, **options)
    x, lengths = torch.randn(3, 20, 5), torch.tensor([20, 0, 9])
    x[1:, 9:] = torch.nan
    with record_kernels() as ran:
        actual = gradients(chunked, x, lengths=lengths)
    assert ran == [kernel] * 3  # as many names as layers, not as chunks
    assert_equal(actual, gradients(whole, x, lengths=lengths), 1e-5)
    assert actual["x"].isfinite().all()
    assert (actual["x"][1:, 9:] == 0).all()


def test_without_a_gradient_the_layer_runs_whole():
    whole, chunked = layers("auto", 3, bidirectional=True)
    x = torch.randn(11, 2, 5)
    with torch.no_grad():
        assert torch.equal(chunked(x)[0], whole(x)[0])
    assert torch.equal(chunked(x)[0], chunked(x)[0])


def test_only_what_is_asked_for_gets_a_gradient():
    _, lstm = layers("auto", 3, bidirectional=True)
    lstm.weight_hh_l0.requires_grad_(False)
    x = torch.randn(11, 2, 5)
    lstm(x)[0].sum().backward()
    assert lstm.weight_hh_l0.grad is None
    assert lstm.weight_ih_l0.grad is not None
    for parameter in lstm.parameters():
        parameter.requires_grad_(False)
    h, c = torch.zeros(2, 2, 8), torch.zeros(2, 2, 8, requires_grad=True)
    lstm(x, (h, c))[1].h.sum().backward()  # by the last state alone
    assert c.grad.abs().min() > 0


@pytest.mark.parametrize("bidirectional", [False, True])
def test_first_and_second_derivatives(bidirectional):
    lstm = LSTM(1, 2, bidirectional=bidirectional, dtype=torch.float64, checkpoint_steps=2, kernel="reference")
    x = torch.randn(3, 2, 1, dtype=torch.float64, requires_grad=True)
    lengths, weights = torch.tensor([3, 1]), tuple(lstm.parameters())

    def run(x, *_):
        output, state = lstm(x, lengths=lengths)
        return output, *state

    assert torch.autograd.gradcheck(run, (x, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, *weights), fast_mode=True)


def test_second_derivative_where_the_state_comes_from_the_input():
    """The recomputed backward must not run on from the input through the state that was made of it."""
    lstm = LSTM(2, 3, kernel="reference", dtype=torch.float64, checkpoint_steps=2)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(x):
        first = torch.cat([x[0], x[0, :, :1]], -1)[None]
        return lstm(x, (first, first * 2))[0]

    assert torch.autograd.gradcheck(run, x)
    assert torch.autograd.gradgradcheck(run, x, fast_mode=True)


def test_transforms_look_through():
    whole, chunked = layers("reference", 2, dtype=torch.float64)
    x = torch.randn(5, 1, 5, dtype=torch.float64)
    expected, actual = (torch.func.grad(lambda x, m=m: m(x)[0].square().sum())(x) for m in (whole, chunked))
    assert torch.equal(actual, expected)


def test_sixteen_bits():
    """Weights' gradients are summed in float32; c is rounded at each border, which a tape in one piece does not."""
    whole, chunked = layers("cpu", 50, bidirectional=True)
    if reason := InChunks("cpu", 50).why_not(Case("plain").request(torch.bfloat16)):
        pytest.skip(reason)
    x = torch.randn(1000, 2, 5)
    exact = gradients(whole, x)
    with torch.autocast("cpu", torch.bfloat16):
        low, actual = gradients(whole, x), gradients(chunked, x)
    for name in ("weight_ih_l0", "weight_hh_l0_reverse", "bias_ih_l0", "x"):
        error, allowed = ((found[name] - exact[name]).norm() / exact[name].norm() for found in (actual, low))
        assert error <= 2 * allowed, name


# Memory ---------------------------------------------------------------------------------------------------------------


class Tape:
    """Counts the bytes that autograd keeps, beyond tensors that exist anyway."""

    def __init__(self, *known):
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.now = self.peak = 0

    def __enter__(self):
        self.hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: Kept(self, t), lambda kept: kept.tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error):
        self.hooks.__exit__(*error)

    def add(self, size):
        self.now += size
        self.peak = max(self.peak, self.now)


class Kept:
    """A tensor on the tape, until autograd lets go of it."""

    def __init__(self, tape, tensor):
        known = tensor.untyped_storage().data_ptr() in tape.known
        self.tape, self.tensor, self.size = tape, tensor, 0 if known else tensor.nbytes
        tape.add(self.size)

    def __del__(self):
        self.tape.add(-self.size)


def peak(lstm, steps, batch_size=2):
    """The most that the tape of a layer, and of its backward pass, ever holds."""
    x = torch.randn(steps, batch_size, lstm.input_size, requires_grad=True)
    with Tape(x, *lstm.parameters()) as tape:
        output, _ = lstm(x)
        tape.known.add(output.untyped_storage().data_ptr())
        output.sum().backward()
    return tape.peak


@pytest.mark.parametrize(("kernel", "lengths"), [("cpu", (256, 1024, 4096)), ("native", (256, 1024, 4096)),
                                                 ("reference", (64, 256))])  # fmt: skip
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_tape_grows_with_the_square_root_of_the_length(kernel, lengths, bidirectional):
    whole, chunked = layers(kernel, 0, bidirectional=bidirectional)
    if reason := InChunks(kernel, 0).why_not(Case("plain").request(torch.float32)):
        pytest.skip(reason)
    tapes = [peak(whole, steps) for steps in lengths]
    roots = [peak(chunked, steps) for steps in lengths]
    for short, long in pairwise(tapes):
        assert long >= 3.6 * short  # what is compared with does grow with the length
    for short, long in pairwise(roots):
        assert long <= 2.2 * short  # fourfold steps
    share = chunk_steps(0, lengths[-1]) / lengths[-1]
    assert roots[-1] < 1.5 * share * tapes[-1]  # a chunk's tape, and little beside it


def test_the_length_decides_about_the_chunk():
    assert [chunk_steps(0, length) for length in (1, 100, 101, 10_000)] == [4, 40, 44, 400]


# Errors and models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [-1, True, 2.5, "auto"])
def test_refuses_what_is_no_number_of_steps(steps):
    with pytest.raises(OptionError, match=rf"checkpoint_steps.*{steps!r}"):
        LSTM(2, 3, checkpoint_steps=steps)


def test_a_named_kernel_that_cannot_serve_says_so():
    lstm = LSTM(5, 8, cell=Cell(peephole=True), kernel="native", checkpoint_steps=2)
    with pytest.raises(KernelUnavailable, match="does not offer peephole"):
        lstm(torch.randn(6, 2, 5))


def test_the_kernel_in_force_runs():
    with use_kernel("reference"), record_kernels() as ran:
        LSTM(5, 8, checkpoint_steps=2)(torch.randn(6, 2, 5))
    assert ran == ["reference"]


def test_a_compiled_training_is_refused():
    lstm = LSTM(5, 8, checkpoint_steps=2)
    compiled = torch.compile(lstm, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match=r"checkpoint_steps, got 2"):
        compiled(torch.randn(6, 2, 5))
    assert torch.export.export(lstm.eval(), (torch.randn(6, 2, 5),)) is not None


def test_the_encoder_takes_it_for_lstms_only():
    assert all(layer.checkpoint_steps == 0 for layer in Encoder(3, (4, 4), checkpoint_steps=0).layers)
    with pytest.raises(OptionError, match=r'checkpoint_steps for "gru", got 5'):
        Encoder(3, (4,), kind="gru", checkpoint_steps=5)


@pytest.mark.parametrize("recipe", ["lstm", "bilstm", "lstm-fcn"])
def test_a_recipe_trains_the_same_with_it(recipe):
    sizes, x, lengths = {"input_size": 3, "num_classes": 2}, torch.randn(4, 50, 3), torch.tensor([50, 31, 8, 1])
    found = []
    for steps in (None, 7):
        torch.manual_seed(1)
        model = build(ModelConfig(recipe=recipe, checkpoint_steps=steps), sizes).train()
        torch.manual_seed(2)
        model(x, lengths).square().sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
        assert {m.checkpoint_steps for m in model.modules() if isinstance(m, LSTM)} == {steps}
    # Where batch norm follows, a bias has no gradient but rounding.
    scale = max(truth.abs().max() for truth in found[0].values())
    for name, truth in found[0].items():
        assert (found[1][name] - truth).abs().max() <= 1e-5 * max(scale, truth.abs().max()), name


def test_settings_carry_it():
    assert resolve(ModelConfig()).checkpoint_steps is None
    assert resolve(ModelConfig(checkpoint_steps=0)).checkpoint_steps == 0
