"""A decoder's attention against loops over single rows, queries and steps, in float64."""

import pytest
import torch

from gatewise.errors import OptionError
from gatewise.nn import attention as module
from gatewise.nn.attention import ATTENTIONS, AdditiveAttention, make_attention
from gatewise.sequences import mask_of_lengths

LENGTHS = torch.tensor([6, 1, 0, 4])
MASK = mask_of_lengths(LENGTHS, 6)


def by_hand(attention, query, row):
    """Context and weights of one query over one sequence without padding, from the papers' formulas."""
    if len(row) == 0:
        return torch.zeros(row.shape[1]).double(), torch.zeros(0).double()
    scores = []
    for step in row:
        if isinstance(attention, AdditiveAttention):
            inside = attention.query.weight @ query + attention.key.weight @ step + attention.key.bias
            scores.append(attention.score.weight[0] @ torch.tanh(inside))
        else:
            scores.append(query @ attention.key.weight @ step)
    exponentials = [torch.exp(score) for score in scores]
    weights = torch.stack([e / sum(exponentials) for e in exponentials])
    return sum(weight * step for weight, step in zip(weights, row, strict=True)), weights


@pytest.mark.parametrize("name", ATTENTIONS)
def test_equals_loops(name):
    attention = make_attention(name, 3, 5).double()
    memory, queries = torch.randn(4, 6, 3).double(), torch.randn(4, 7, 5).double()
    for row, length in enumerate(LENGTHS.tolist()):
        memory[row, length:] = float("nan")
    context, weights = attention(queries, attention.prepare(memory, MASK))
    for row, length in enumerate(LENGTHS.tolist()):
        for s in range(7):
            expected, shares = by_hand(attention, queries[row, s], memory[row, :length])
            torch.testing.assert_close(context[row, s], expected)
            torch.testing.assert_close(weights[row, s, :length], shares)
            assert torch.all(weights[row, s, length:] == 0)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_one_query_a_call_and_no_mask(name):
    attention = make_attention(name, 3, 5).double()
    memory, queries = torch.randn(4, 6, 3).double(), torch.randn(4, 7, 5).double()
    prepared = attention.prepare(memory, MASK)
    together = attention(queries, prepared)
    for s in range(7):
        for alone, whole in zip(attention(queries[:, s : s + 1], prepared), together, strict=True):
            torch.testing.assert_close(alone[:, 0], whole[:, s])
    full = attention(queries, attention.prepare(memory, torch.ones_like(MASK)))
    for masked, unmasked in zip(full, attention(queries, attention.prepare(memory, None)), strict=True):
        assert torch.equal(masked, unmasked)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients(name):
    attention = make_attention(name, 2, 3).double()
    memory, queries = torch.randn(4, 6, 2).double(), torch.randn(4, 2, 3).double()
    inputs = (queries.requires_grad_(), memory.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, m: attention(q, attention.prepare(m, MASK)), inputs)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_nan_in_padding_reaches_no_gradient(name):
    attention = make_attention(name, 3, 5)
    memory = torch.randn(4, 6, 3).masked_fill(~MASK[..., None], float("nan")).requires_grad_()
    context, weights = attention(torch.randn(4, 7, 5), attention.prepare(memory, MASK))
    (context.sum() + weights.square().sum()).backward()
    assert torch.all(memory.grad[~MASK] == 0)
    assert all(torch.isfinite(p.grad).all() for p in (memory, *attention.parameters()))


def test_pieces_change_nothing(monkeypatch):
    """What is too large to keep is computed again, in pieces: the same values and gradients."""
    attention = AdditiveAttention(3, 5).double()
    memory, queries = torch.randn(4, 6, 3).double(), torch.randn(4, 7, 5).double()

    def run():
        q, m = queries.clone().requires_grad_(), memory.clone().requires_grad_()
        context, weights = attention(q, attention.prepare(m, MASK))
        grads = torch.autograd.grad((context * context.detach().cos()).sum(), [q, m, *attention.parameters()])
        return [context, weights, *grads]

    whole = run()
    for size in (1, 4 * 6 * 5 * 3):
        monkeypatch.setattr(module, "LARGEST_PIECE", size)
        for pieced, expected in zip(run(), whole, strict=True):
            torch.testing.assert_close(pieced, expected)
        with torch.no_grad():
            torch.testing.assert_close(attention(queries, attention.prepare(memory, MASK))[0], whole[0])


def test_weights_are_a_distribution_in_bfloat16():
    attention = make_attention("additive", 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context, weights = attention(torch.randn(4, 7, 8), attention.prepare(torch.randn(4, 6, 8), MASK))
    assert context.dtype == torch.bfloat16
    torch.testing.assert_close(weights.sum(-1), (LENGTHS > 0).float()[:, None].expand(4, 7))


def test_unknown_attention():
    with pytest.raises(OptionError, match=r'got "additiv".*"additive"'):
        make_attention("additiv", 3, 3)
