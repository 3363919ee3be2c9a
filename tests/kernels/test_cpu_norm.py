"""The CPU's batch norm and dropout: as right as torch's, masks that are pure functions of seeds, a visible choice."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from gatewise import use_kernel
from gatewise.errors import ShapeError
from gatewise.kernels.cpu import library, norm
from gatewise.nn import norm as nn_norm
from gatewise.nn.dropout import SequenceDropout
from gatewise.nn.norm import SequenceBatchNorm
from gatewise.sequences import mask_of_lengths
from gatewise.testing import assert_as_accurate

pytestmark = [
    pytest.mark.skipif(library.why_not() is not None, reason=str(library.why_not())),
    pytest.mark.usefixtures("nan_filled_memory"),
]
ISAS = library.available_isas()
SIZES = [1, 7, 16, 33, 64, 128, 150]
SEED = torch.tensor(0x0123_4567_89AB_CDEF)


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    monkeypatch.setenv("GATEWISE_CPU_ISA", request.param)
    return request.param


@pytest.fixture
def threads():
    """Sets the number of threads, which is put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def lengths_of(B, T):
    """One row whole, one empty, the others in between."""
    return torch.tensor([T, 0, *torch.randint(1, T + 1, (B - 2,)).tolist()])


def in_memory(x, order):
    """``[B, T, C]`` with the same values, laid out differently."""
    if order == "batch first":
        return x.contiguous()
    if order == "time first":
        return x.transpose(0, 1).contiguous().transpose(0, 1)
    if order == "features outside":
        return x.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    wider = torch.full((*x.shape[:2], x.shape[2] + 3), torch.nan, dtype=x.dtype)
    wider[..., 1:-2] = x
    return wider[..., 1:-2]


ORDERS = ["batch first", "time first", "features outside", "inside a wider one"]


# Against torch's own -------------------------------------------------------------------------------------------------


def twins(C, dtype, parameters):
    """Ours, torch's, and torch's in float64, with the same weights and running statistics."""
    ours = SequenceBatchNorm(C).to(parameters)
    with torch.no_grad():
        ours.weight.uniform_(-2, 2)
        ours.bias.normal_()
        ours.running_mean.normal_()
        ours.running_var.uniform_(0.5, 2)
    theirs, exact = nn.BatchNorm1d(C).to(parameters), nn.BatchNorm1d(C).double()
    for module in (theirs, exact):
        module.load_state_dict(ours.state_dict())
    return ours, theirs, exact


def results(module, x, real, d_y, *, training):
    """The output, every gradient and the running statistics of torch's module on the real steps."""
    x = x[real].detach().requires_grad_()
    y = module.train(training)(x)
    y.backward(d_y[real].to(x.dtype))
    return {"y": y, "d_x": x.grad, **of_module(module)}


def of_module(module):
    return {
        "d_weight": module.weight.grad,
        "d_bias": module.bias.grad,
        "running_mean": module.running_mean,
        "running_var": module.running_var,
    }


def compare(x, mask, d_y, *, dtype, parameters=torch.float32, training=True):
    real = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
    ours, theirs, exact = twins(x.shape[2], dtype, parameters)
    truth = results(exact, x.double(), real, d_y.double(), training=training)
    baseline = results(theirs, x, real, d_y, training=training)
    x = x.detach().requires_grad_()
    assert ours.why_not_fused(x) is None
    y = ours.train(training)(x, mask)
    y.backward(d_y)
    assert y.dtype == x.grad.dtype == dtype
    assert torch.all(y[~real] == 0)
    assert torch.all(x.grad[~real] == 0)
    actual = {"y": y[real], "d_x": x.grad[real], **of_module(ours)}
    for name, value in actual.items():
        assert_as_accurate(value.detach(), baseline[name].detach(), truth[name].detach(), what=name)
    assert ours.num_batches_tracked == training


@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("C", SIZES)
def test_as_accurate_as_torch(isa, C, dtype, ragged):
    B, T = 5, 61  # more rows than a block has, and no multiple of it
    x = (torch.randn(B, T, C) * torch.rand(C) * 3 + torch.randn(C)).to(dtype)
    mask = mask_of_lengths(lengths_of(B, T), T) if ragged else None
    if ragged:
        x = x.masked_fill(~mask[..., None], torch.nan)
    compare(x, mask, torch.randn(B, T, C).to(dtype), dtype=dtype)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_memory(order, training):
    x, d_y = in_memory(torch.randn(4, 50, 33), order), in_memory(torch.randn(4, 50, 33), ORDERS[0])
    mask = in_memory(mask_of_lengths(lengths_of(4, 50), 50)[..., None], order)[..., 0]
    compare(x, mask, d_y, dtype=torch.float32, training=training)
    y = SequenceBatchNorm(33)(x)
    assert y.transpose(0, 1).is_contiguous() == (order == "time first")  # as the next LSTM reads it
    assert y.stride(2) == 1


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_mask_may_have_holes_and_gradients_no_memory(training):
    mask = torch.rand(5, 70) < 0.6
    compare(torch.randn(5, 70, 20), mask, torch.ones(1, 1, 1).expand(5, 70, 20), dtype=torch.float32, training=training)


def test_a_model_in_bfloat16():
    mask = mask_of_lengths(lengths_of(4, 30), 30)
    x, d_y = torch.randn(4, 30, 40).bfloat16(), torch.randn(4, 30, 40).bfloat16()
    compare(x, mask, d_y, dtype=torch.bfloat16, parameters=torch.bfloat16)
    compare(x, mask, d_y, dtype=torch.bfloat16, parameters=torch.bfloat16, training=False)


def test_statistics_far_from_zero(isa):
    """Sums of squares would lose every digit of the variance."""
    x = torch.randn(8, 200, 19) + 1e6
    _, moments = norm.batch_norm(x, None, torch.ones(19), torch.zeros(19), given=None, eps=0.0, dropout=0.0)
    torch.testing.assert_close(moments[0].double(), x.double().mean((0, 1)), rtol=2**-24, atol=0)
    torch.testing.assert_close(moments[2].double(), x.double().flatten(0, 1).var(0), rtol=1e-6, atol=0)
    compare(x, None, torch.randn(8, 200, 19), dtype=torch.float32)


def test_many_rows_lose_no_digits(isa):
    compare(torch.randn(16, 1500, 5) + 1, None, torch.randn(16, 1500, 5) + 1, dtype=torch.float32)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_shows(bad):
    x = torch.randn(3, 40, 9)
    x[1, 7, 4] = bad
    for dropout in (0.0, 0.5):
        y = SequenceBatchNorm(9, dropout=dropout)(x)
        assert y[..., 4].isnan().all(), "a mean that is not finite"
        assert y[..., :4].isfinite().all()
        given = SequenceBatchNorm(9, dropout=dropout).eval()
        given.dropout.train()
        assert not given(x)[1, 7, 4].isfinite() or (dropout and bad == torch.inf)


def test_empty_and_single_rows():
    norm_ = SequenceBatchNorm(6).eval()
    for shape in ((0, 5, 6), (3, 0, 6), (1, 1, 6)):
        x = torch.randn(shape, requires_grad=True)
        y = norm_(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == shape
    mask = torch.tensor([[False, False], [True, True]])
    assert torch.all(SequenceBatchNorm(6)(torch.randn(2, 2, 6), mask)[0] == 0)


# Dropout -------------------------------------------------------------------------------------------------------------


def threefry(counter, key, rounds=13):
    """Threefry-4x32 in numpy: ``[..., 4]`` counters and a key of 4 words to ``[..., 4]`` words."""
    rotations = [(10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20)]
    key = [*(int(k) for k in key), 0x1BD11BDA]
    for k in key[:4]:
        key[4] ^= k
    x = [(counter[..., i].astype(np.uint64) + key[i]) & 0xFFFFFFFF for i in range(4)]
    for r in range(rounds):
        for (a, b), by in zip(((0, 1), (2, 3)) if r % 2 == 0 else ((0, 3), (2, 1)), rotations[r % 8], strict=True):
            x[a] = (x[a] + x[b]) & 0xFFFFFFFF
            x[b] = ((x[b] << by) | (x[b] >> (32 - by))) & 0xFFFFFFFF ^ x[a]
        if r % 4 == 3:
            turn = r // 4 + 1
            x = [(x[i] + key[(turn + i) % 5] + (turn if i == 3 else 0)) & 0xFFFFFFFF for i in range(4)]
    return np.stack(x, -1).astype(np.uint32)


def test_the_generator_gives_the_published_answers():
    """Random123's known answers."""
    cases = [
        ([0] * 4, [0] * 4, [0x531C7E4F, 0x39491EE5, 0x2C855A92, 0x3D6ABF9A]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 4, [0xC4189358, 0x1C9CC83A, 0xD5881C67, 0x6A0A89E0]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89],
            [0x4AA71D8F, 0x734738C2, 0x431FC6A8, 0xAE6DEBF1],
        ),
    ]
    for counter, key, expected in cases:
        assert threefry(np.array(counter), key).tolist() == expected


def expected_factors(B, T, C, seed, dropped):
    """``[B, T, C]``: what dropout multiplies by, from the generator's definition."""
    b, t, c = np.meshgrid(np.arange(B), np.arange(T), np.arange(C), indexing="ij")
    counter = np.stack([c // 128 * 16 + c % 16, b, t, np.zeros_like(c)], -1)
    words = threefry(counter, [seed & 0xFFFFFFFF, seed >> 32, 0, 0])
    half = c % 128 // 16
    bits = np.take_along_axis(words, (half // 2)[..., None], -1)[..., 0] >> (16 * (half % 2)) & 0xFFFF
    return torch.from_numpy(np.where(bits >= dropped, np.float32(65536 / (65536 - dropped)), np.float32(0)))


def factors(B, T, C, seed=SEED, p=0.5, order="batch first"):
    """What the operator multiplies by: its output where the normalised value is 1."""
    zeros, ones = torch.zeros(C), torch.ones(C)
    x = in_memory(torch.zeros(B, T, C), order)
    y, _ = torch.ops.gatewise.batch_norm(x, None, zeros, ones, zeros, ones, seed, norm.dropped_of(p), 0.0)
    return y


@pytest.mark.parametrize("C", [*SIZES, 128 * 3 + 17])
def test_the_mask_is_that_of_the_generator(isa, C):
    for order, p in itertools.product(ORDERS, (0.1, 0.5)):
        expected = expected_factors(3, 5, C, SEED.item(), norm.dropped_of(p))
        assert torch.equal(factors(3, 5, C, p=p, order=order), expected)
    flat = torch.ops.gatewise.dropout(torch.ones(3 * C), SEED, norm.dropped_of(0.3))
    assert torch.equal(flat, expected_factors(1, 1, 3 * C, SEED.item(), norm.dropped_of(0.3))[0, 0])


def test_longer_padding_changes_nothing():
    ours = SequenceBatchNorm(9, dropout=0.4)
    x, mask = torch.randn(4, 20, 9), mask_of_lengths(lengths_of(4, 20), 20)
    longer = torch.cat([x, torch.full((4, 30, 9), torch.nan)], 1)
    torch.manual_seed(1)
    short = ours(x, mask)
    torch.manual_seed(1)
    long = ours(longer, nn.functional.pad(mask, (0, 30)))
    torch.testing.assert_close(long[:, :20], short)
    assert torch.all(long[:, 20:] == 0)


def weaknesses(kept):
    """What gives a bad mask ``[S, B, T, C]`` bool of rate 1/2 away, for S neighbouring seeds; empty: nothing."""
    found = []
    n = kept.numel()
    signs = kept.float() * 2 - 1
    if abs(signs.mean()) > 5 / n**0.5:
        found.append("mean")
    steps = [(0, 0, 0, 1), (0, 0, 0, 16), (0, 0, 0, 32), (0, 0, 0, 64), (0, 0, 1, 0), (0, 1, 0, 0), (1, 0, 0, 0),
             (0, 1, 1, 0), (0, 0, 1, 1), (0, 0, 2, 0)]  # fmt: skip
    for step in steps:
        first = signs[tuple(slice(0, size - by) for size, by in zip(signs.shape, step, strict=True))]
        second = signs[tuple(slice(by, size) for size, by in zip(signs.shape, step, strict=True))]
        if abs((first * second).mean()) > 5 / first.numel() ** 0.5:
            found.append(f"correlation {step}")
    for dim in range(4):  # the patterns of eight neighbours are equally frequent
        along = kept.movedim(dim, -1)
        along = along[..., : along.shape[-1] // 8 * 8].reshape(-1, 8)
        counts = torch.bincount((along.int() * 2 ** torch.arange(8)).sum(1), minlength=256).double()
        expected = len(along) / 256
        chi_square = ((counts - expected) ** 2 / expected).sum().item()
        if abs(chi_square - 255) > 6 * (2 * 255) ** 0.5:  # 255 degrees of freedom
            found.append(f"patterns along {dim}: {chi_square:.0f}")
    per_feature = signs.mean((0, 1, 2)) * (n / signs.shape[-1]) ** 0.5  # standard normal
    if abs(per_feature.square().mean() - 1) > 6 * (2 / len(per_feature)) ** 0.5:
        found.append("spread over features")
    return found


def test_the_mask_looks_random():
    kept = torch.stack([factors(8, 32, 128, seed=SEED + s) for s in range(16)]) != 0
    assert weaknesses(kept) == []


def test_a_bad_generator_is_seen():
    """A hash of one multiplication, and counters that overlap between seeds."""
    s, b, t, c = (i.long() for i in torch.meshgrid(*(torch.arange(n) for n in (16, 8, 32, 128)), indexing="ij"))
    index = (b * 32 + t) * 128 + c
    multiplied = (index + s * 7919) * 2654435769 % 2**32
    assert weaknesses(multiplied >= 2**31) != []
    overlapping = torch.stack([expected_factors(1, 8 * 32 + 16, 128, 0, 32768)[:, i : i + 256] for i in range(16)])
    assert any("correlation" in weakness for weakness in weaknesses(overlapping.view(16, 8, 32, 128) != 0))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.99])
def test_rate_and_mean(p):
    y = factors(16, 64, 128, p=p)
    n = y.numel()
    assert abs((y == 0).float().mean().item() - p) < 5 * (p * (1 - p) / n) ** 0.5
    assert abs(y.mean().item() - 1) < 5 * (p / (1 - p) / n) ** 0.5
    assert y[y != 0].unique().numel() == 1


def test_backward_has_the_mask_of_forward(isa):
    ours = SequenceBatchNorm(40, dropout=0.5).eval()  # scale and shift, which leaves the mask to see
    ours.dropout.train()
    with torch.no_grad():
        ours.bias.fill_(100.0)
    x = torch.randn(3, 31, 40, requires_grad=True)
    y = ours(x)
    y.backward(torch.ones_like(y))
    torch.testing.assert_close(x.grad, (y != 0) * 2 * torch.rsqrt(torch.tensor(1 + ours.eps)))


@pytest.mark.parametrize("given", [False, True], ids=["training", "evaluation"])
def test_gradients_are_the_slopes(isa, given):
    """Finite differences along random directions, the mask held fast."""
    B, T, C = 3, 20, 11
    mask = mask_of_lengths(lengths_of(B, T), T)
    x, weight, bias = torch.randn(B, T, C), torch.randn(C), torch.randn(C)
    mean, variance = (torch.randn(C), torch.rand(C) + 0.5) if given else (None, None)
    d_y = torch.randn(B, T, C)

    def loss(x, weight, bias):
        y, _ = torch.ops.gatewise.batch_norm(x, mask, weight, bias, mean, variance, SEED, 20000, 1e-5)
        return (y.double() * d_y.double()).sum()

    sources = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    gradients = torch.autograd.grad(loss(*sources), sources)
    for which, gradient in enumerate(gradients):
        for _ in range(3):
            way = torch.randn_like(gradient)
            step = 2e-2 / way.norm()
            ahead, behind = ([*sources] for _ in range(2))
            with torch.no_grad():
                ahead[which], behind[which] = sources[which] + step * way, sources[which] - step * way
                slope = (loss(*ahead) - loss(*behind)) / (2 * step)
            expected = (gradient.double() * way.double()).sum()
            torch.testing.assert_close(slope, expected, rtol=2e-3, atol=2e-3 * float(way.norm()))


def test_second_derivatives():
    """Of the operator, against autograd through the same equations in float64."""
    B, T, C = 3, 9, 5
    mask = mask_of_lengths(lengths_of(B, T), T)
    x, weight, bias, d_y = torch.randn(B, T, C), torch.randn(C), torch.randn(C), torch.randn(B, T, C)
    factor = factors(B, T, C)

    def exact(x, weight, bias):
        real = x.masked_fill(~mask[..., None], 0.0)
        mean = real.sum((0, 1)) / mask.sum()
        centred = (real - mean).masked_fill(~mask[..., None], 0.0)
        variance = centred.square().sum((0, 1)) / mask.sum()
        return ((centred * torch.rsqrt(variance + 1e-5) * weight + bias) * factor).masked_fill(~mask[..., None], 0.0)

    def ours(x, weight, bias):
        return torch.ops.gatewise.batch_norm(x, mask, weight, bias, None, None, SEED, 32768, 1e-5)[0]

    def second(function, dtype):
        sources = [tensor.to(dtype).requires_grad_() for tensor in (x, weight, bias, d_y)]
        y = function(*sources[:3])
        first = torch.autograd.grad(y, sources[:3], sources[3], create_graph=True)
        return torch.autograd.grad(sum((g**2).sum() for g in first), sources, allow_unused=True)

    for actual, expected in zip(second(ours, torch.float32), second(exact, torch.float64), strict=True):
        assert (actual is None) == (expected is None)
        if expected is not None:
            torch.testing.assert_close(actual, expected.float(), rtol=1e-4, atol=1e-3)


# The same bits -------------------------------------------------------------------------------------------------------


def one_step(threads=1, **options):
    torch.manual_seed(5)
    ours = SequenceBatchNorm(70, dropout=0.3, **options)
    x = torch.randn(40, 30, 70, requires_grad=True)
    mask = mask_of_lengths(lengths_of(40, 30), 30)
    ours(x, mask).pow(3).sum().backward()
    dropped = SequenceDropout(0.5)(torch.ones(7, 1000, 33))
    return [x.grad, ours.weight.grad, ours.bias.grad, ours.running_mean, ours.running_var, dropped]


def test_threads_and_repetition_change_no_bit(isa, threads):
    first = one_step()
    for count in (1, 2, 3, 7):
        threads(count)
        assert all(torch.equal(a, b) for a, b in zip(one_step(), first, strict=True)), count


def test_one_draw_a_call_and_only_where_something_is_dropped():
    x = torch.randn(2, 5, 4)

    def draws(module):
        before = torch.get_rng_state()
        module(x)
        after = torch.get_rng_state()
        torch.set_rng_state(before)
        torch.randint(0, 2**63 - 1, ())
        return 0 if torch.equal(before, after) else 1 if torch.equal(after, torch.get_rng_state()) else 2

    assert draws(SequenceBatchNorm(4, dropout=0.5)) == 1
    assert draws(SequenceBatchNorm(4, dropout=0.5).eval()) == 0
    assert draws(SequenceBatchNorm(4)) == 0
    assert draws(SequenceDropout(0.5)) == 1
    assert draws(SequenceDropout(0.5).eval()) == 0


# The choice, and torch's machinery ------------------------------------------------------------------------------------


def test_what_the_kernel_refuses():
    ours, x = SequenceBatchNorm(3), torch.randn(2, 4, 3)
    assert ours.why_not_fused(x) is None
    with use_kernel("native"):
        assert "native" in ours.why_not_fused(x)
    with use_kernel("reference"):
        assert "reference" in ours.why_not_fused(x)
    assert "float64" in ours.double().why_not_fused(x.double())
    assert "float64" in ours.why_not_fused(x)  # the parameters
    assert "dimensions" in ours.float().why_not_fused(x[0])
    assert "meta" in ours.why_not_fused(x.to("meta"))


def test_several_processes_share_statistics_in_plain_pytorch(monkeypatch):
    monkeypatch.setattr(nn_norm, "_processes", lambda: 2)
    ours, x = SequenceBatchNorm(3), torch.randn(2, 4, 3)
    assert "processes" in ours.why_not_fused(x)
    assert ours.eval().why_not_fused(x) is None


def test_both_paths_agree():
    fast, plain = SequenceBatchNorm(6), SequenceBatchNorm(6)
    mask = mask_of_lengths(lengths_of(4, 9), 9)
    for _ in range(3):
        x = torch.randn(4, 9, 6)
        y = fast(x, mask)
        with use_kernel("reference"):
            torch.testing.assert_close(plain(x, mask), y)
    for name, buffer in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], buffer, msg=name)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # by torch itself
def test_forward_mode_takes_the_plain_path():
    ours, x = SequenceBatchNorm(3).eval(), torch.randn(2, 4, 3)
    y, slope = torch.func.jvp(ours, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(slope, torch.full_like(x, (1 + ours.eps) ** -0.5))
    torch.testing.assert_close(y, ours(x))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_operators_keep_torchs_rules(training):
    C = 5
    given = (None, None) if training else (torch.randn(C), torch.rand(C))
    weight, bias = torch.randn(C, requires_grad=True), torch.randn(C, requires_grad=True)
    mask = mask_of_lengths(lengths_of(4, 6), 6)
    for order in ORDERS[:3]:
        x = in_memory(torch.randn(4, 6, C), order).requires_grad_()
        torch.library.opcheck(torch.ops.gatewise.batch_norm.default, (x, mask, weight, bias, *given, SEED, 9000, 1e-5))
    moments = torch.rand(3, C)
    torch.library.opcheck(
        torch.ops.gatewise.batch_norm_backward.default,
        (torch.randn(4, 6, C), x.detach(), mask, weight.detach(), moments, None, 0, 1e-5, not training, True),
    )
    torch.library.opcheck(torch.ops.gatewise.dropout.default, (x, SEED, 9000))


def test_compiles_without_a_break():
    torch._dynamo.reset()
    ours, other = SequenceBatchNorm(6, dropout=0.25), SequenceBatchNorm(6, dropout=0.25)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    mask = mask_of_lengths(lengths_of(3, 8), 8)
    for order in ("batch first", "time first"):
        for training in (True, False):
            x = in_memory(torch.randn(3, 8, 6), order)
            x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
            torch.manual_seed(3)
            y1 = ours.train(training)(x1, mask)
            torch.manual_seed(3)
            y2 = compiled.train(training)(x2, mask)
            assert torch.equal(y1, y2)
            y1.square().sum().backward()
            y2.square().sum().backward()
            assert torch.equal(x1.grad, x2.grad)
    for name, buffer in ours.state_dict().items():
        assert torch.equal(other.state_dict()[name], buffer), name


WRONG = [
    ({"x": torch.randn(4, 5)}, r"\(4, 5\)"),
    ({"x": torch.randn(3, 4, 5).double()}, "float64"),
    ({"mask": torch.ones(2, 4, dtype=torch.bool)}, r"\(3, 4\).*\(2, 4\)"),
    ({"mask": torch.ones(4, 3, dtype=torch.bool)}, r"\(3, 4\).*\(4, 3\)"),
    ({"mask": torch.ones(3, 4, dtype=torch.int32)}, "bool.*int32"),
    *(({name: torch.ones(4)}, r"\(5,\).*\(4,\)") for name in ("weight", "bias", "mean", "variance")),
    ({"seed": torch.tensor(1.0)}, "int64.*float32"),
    ({"seed": torch.tensor([1, 2])}, r"\(2,\)"),
    ({"seed": None}, "None"),
    ({"mean": None}, "neither"),
    ({"variance": None}, "neither"),
    ({"dropped": 65536}, "65536"),
    ({"dropped": -1}, "-1"),
]


@pytest.mark.parametrize(
    ("wrong", "message"), WRONG, ids=lambda value: "-".join(value) if isinstance(value, dict) else ""
)
def test_what_would_be_read_wrongly_is_refused(wrong, message):
    c = torch.ones(5)
    right = {"x": torch.randn(3, 4, 5), "mask": torch.ones(3, 4, dtype=torch.bool), "weight": c, "bias": c, "mean": c}
    right |= {"variance": c, "seed": SEED, "dropped": 9, "eps": 1e-5}
    torch.ops.gatewise.batch_norm(**right)
    with pytest.raises(ShapeError, match=message):
        torch.ops.gatewise.batch_norm(**right | wrong)


def test_a_wrong_gradient_is_refused():
    x, c, moments = torch.randn(3, 4, 5), torch.ones(5), torch.rand(3, 5)
    backward = torch.ops.gatewise.batch_norm_backward
    for d_y, given in ((x[:2], moments), (x.bfloat16(), moments), (x, moments[:2]), (x, moments.T.contiguous().T)):
        with pytest.raises(ShapeError, match="expected"):
            backward(d_y, x, None, c, given, None, 0, 1e-5, False, True)
    with pytest.raises(ShapeError, match=r"\(3, 5\).*mask|mask.*\(3, 5\)"):
        SequenceBatchNorm(5)(x, torch.ones(3, 5, dtype=torch.bool))
    with pytest.raises(ShapeError, match="float64"):
        torch.ops.gatewise.dropout(x.double(), SEED, 9)


def test_too_little_memory_is_an_error():
    with pytest.raises(MemoryError, match="smaller batch"):
        norm._finish(1)


# Dropout alone -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3,), (4, 33), (5, 700, 11), (2, 3, 4, 5), (0, 7, 3)])
def test_dropout_of_any_shape(isa, shape, dtype):
    x = torch.randn(shape).to(dtype).requires_grad_()
    torch.manual_seed(2)
    y = SequenceDropout(0.5)(x)
    assert y.dtype == dtype
    assert torch.equal(y, torch.where(y == 0, 0, 2 * x))
    y.backward(torch.ones_like(y))
    assert torch.equal(x.grad, torch.where(y == 0, 0, 2).to(dtype))


def test_dropout_keeps_the_order_of_memory():
    x = torch.randn(8, 20, 6).transpose(0, 1)
    assert SequenceDropout(0.5)(x).transpose(0, 1).is_contiguous()


def test_dropout_looks_random_and_seeds_differ():
    ones, half = torch.ones(8 * 32 * 128), norm.dropped_of(0.5)
    kept = torch.stack([torch.ops.gatewise.dropout(ones, SEED + s, half) for s in range(16)]) != 0
    assert weaknesses(kept.view(16, 8, 32, 128)) == []
