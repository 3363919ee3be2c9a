"""TextClassifier and its recipe."""

import pytest
import torch
from torch import nn

from gatewise.cell import Cell
from gatewise.errors import OptionError, ShapeError
from gatewise.kernels import record_kernels
from gatewise.models.encoder import ENCODERS
from gatewise.models.text_classifier import text_lstm
from gatewise.nn import to_torch

V, K, T = 30, 3, 9
LENGTHS = torch.tensor([9, 4, 1, 0])
POOLS = ("last", "mean", "max", "attention")
SMALL = {"embedding_size": 6, "hidden_sizes": (5, 4)}


def drawn(*shape):
    return torch.randint(V, shape)


def test_equals_the_same_layers_of_torch():
    """Put together by hand from torch's own layers, with the same weights."""
    model = text_lstm(V, K, embedding_size=6, hidden_sizes=(5,), dense_size=7).eval()
    tokens = drawn(4, T)
    y, _ = to_torch(model.encoder.layers[0])(nn.functional.embedding(tokens, model.embedding.weight))
    u = model.pool.score(torch.tanh(model.pool.projection(y)))
    pooled = (torch.softmax(u, 1) * y).sum(1)
    _, dense, _, scores = model.head
    torch.testing.assert_close(model(tokens), scores(torch.relu(dense(pooled))))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_and_other_rows_change_nothing(kind, pool):
    model = text_lstm(V, K, encoder=kind, pool=pool, **SMALL).eval()
    tokens = drawn(4, T)
    together = model(tokens, LENGTHS)
    padded = tokens.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(tokens[row : row + 1, :length])
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-4)
        padded[row, length:] = 0
    assert torch.equal(model(padded, LENGTHS), together)


def test_attention_is_a_distribution_over_the_real_tokens():
    model = text_lstm(V, K, **SMALL).eval()
    outputs = model.run(drawn(4, T), LENGTHS)
    assert outputs.attention.shape == (4, T)
    torch.testing.assert_close(outputs.attention.sum(1), (LENGTHS > 0).float())
    assert torch.all(outputs.attention[torch.arange(T) >= LENGTHS[:, None]] == 0)
    pooled = (outputs.attention[..., None] * outputs.encoded).sum(1)
    torch.testing.assert_close(model.head(pooled), outputs.scores)
    assert torch.equal(outputs.lengths, LENGTHS)
    assert all(text_lstm(V, K, pool=pool, **SMALL).run(drawn(2, 5)).attention is None for pool in POOLS[:3])


def test_texts_without_tokens():
    model = text_lstm(V, K, **SMALL).eval()
    outputs = model.run(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([0, 0]))
    assert outputs.attention.shape == (2, 0)
    assert torch.isfinite(outputs.scores).all()
    torch.testing.assert_close(outputs.scores[0], model(drawn(2, 5), torch.tensor([5, 0]))[1])


def test_padding_gets_no_gradient():
    model = text_lstm(V, K, embedding_dropout=0.0, **SMALL)
    tokens = torch.arange(1, 13).reshape(2, 6)
    model(tokens, torch.tensor([6, 2])).sum().backward()
    used = model.embedding.weight.grad.abs().sum(1) > 0
    assert torch.all(used[1:9])
    assert not torch.any(used[9:])


def test_input_dropout_is_locked():
    model = text_lstm(V, K, embedding_dropout=0.0, input_dropout=0.5, **SMALL)
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    tokens = drawn(3, T)
    model(tokens)
    scale = seen[0] / model.embedding.weight[tokens].detach()
    torch.testing.assert_close(scale, scale[:, :1].expand_as(scale))
    assert set(scale.round().unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(scale[0], scale[1])


def test_options_reach_the_layers():
    cell = Cell(peephole=True)
    options = {"variational_dropout": 0.2, "weight_drop": 0.3, "cell": cell, "kernel": "reference"}
    model = text_lstm(V, K, embedding_dropout=0.4, bidirectional=False, **options, **SMALL)
    assert model.embedding.dropout == 0.4
    assert [layer.hidden_size for layer in model.encoder.layers] == [5, 4]
    assert all(layer.weight_drop == 0.3 and layer.cell == cell for layer in model.encoder.layers)
    assert not any(layer.bidirectional for layer in model.encoder.layers)
    (between,) = model.encoder.between
    assert (between.p, between.locked) == (0.2, True)
    with record_kernels() as ran:
        model(drawn(2, 4))
    assert ran == ["reference", "reference"]


def test_state_carries_a_causal_model_on():
    model = text_lstm(V, K, pool="last", bidirectional=False, **SMALL).eval()
    tokens = drawn(2, 10)
    first = model.run(tokens[:, :6])
    torch.testing.assert_close(model.run(tokens[:, 6:], state=first.state).scores, model(tokens))


def test_full_graph():
    """Training mode with every dropout, as one graph. CONTRIBUTING says why aot_eager."""
    model = text_lstm(V, K, weight_drop=0.3, **SMALL)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    tokens = drawn(4, 6)
    compiled(tokens).sum().backward()
    model.eval()
    torch.testing.assert_close(compiled(tokens), model(tokens))


def test_learns_which_word_decides():
    """One of two words somewhere in noise: only the order and the rest must not matter."""
    model = text_lstm(V, 2, embedding_size=16, hidden_sizes=(16,))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def batch(rows):
        tokens, labels = torch.randint(6, V, (rows, 12)), torch.randint(2, (rows,))
        tokens[torch.arange(rows), torch.randint(12, (rows,))] = 4 + labels
        return tokens, labels

    for _ in range(150):
        tokens, labels = batch(32)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens), labels).backward()
        optimizer.step()
    tokens, labels = batch(200)
    outputs = model.eval().run(tokens)
    assert (outputs.scores.argmax(1) == labels).float().mean() > 0.97


def test_wrong_use():
    with pytest.raises(OptionError, match=r'expected a pool, got "none"\. .* recipe tagger'):
        text_lstm(V, K, pool="none")
    with pytest.raises(OptionError, match="dense_size of at least 1 or None, got 0"):
        text_lstm(V, K, dense_size=0)
    with pytest.raises(ShapeError, match=f"0 to {V - 1}, got {V} to {V}"):
        text_lstm(V, K)(torch.full((1, 2), V))
    with pytest.raises(ShapeError, match=r"0 to 9 steps, got \[9, 10\]"):
        text_lstm(V, K)(drawn(2, T), torch.tensor([9, 10]))
