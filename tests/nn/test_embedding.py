"""TokenEmbedding: torch's lookup, and whole words dropped."""

import pytest
import torch
import torch.nn.functional as F

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.embedding import TokenEmbedding


def test_is_torchs_lookup_with_its_gradient():
    embedding, tokens = TokenEmbedding(7, 3), torch.randint(7, (4, 5))
    theirs = embedding.weight.detach().clone().requires_grad_()
    pull = torch.randn(4, 5, 3)
    (embedding(tokens) * pull).sum().backward()
    (F.embedding(tokens, theirs) * pull).sum().backward()
    assert torch.equal(embedding(tokens), F.embedding(tokens, theirs))
    assert torch.equal(embedding.weight.grad, theirs.grad)
    assert list(embedding.state_dict()) == ["weight"]
    assert embedding.weight.abs().max() <= 0.1


def test_a_word_is_dropped_everywhere_or_nowhere():
    embedding = TokenEmbedding(1000, 4, dropout=0.3)
    tokens = torch.randint(1000, (50, 200))
    x = embedding(tokens)
    scale = (x / embedding.weight[tokens]).detach()
    of_word = scale[..., 0]
    torch.testing.assert_close(scale, of_word[..., None].expand_as(scale))
    kept = of_word[of_word > 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.7), rtol=1e-4, atol=0)
    for word in range(0, 1000, 50):
        assert (of_word[tokens == word] > 0).unique().numel() <= 1
    first = torch.zeros(1000).scatter_(0, tokens.flatten(), of_word.flatten())
    dropped = (first == 0).float().mean().item()
    assert abs(dropped - 0.3) < 5 * (0.3 * 0.7 / 1000) ** 0.5  # five standard deviations
    assert not torch.equal(embedding(tokens), x)


def test_the_gradient_of_a_dropped_word_is_zero():
    embedding, tokens = TokenEmbedding(50, 3, dropout=0.5), torch.arange(50)
    x = embedding(tokens)
    x.sum().backward()
    torch.testing.assert_close(embedding.weight.grad * embedding.weight.detach(), x.detach())


def test_the_seed_decides_and_evaluation_drops_nothing():
    embedding, tokens = TokenEmbedding(100, 3, dropout=0.5), torch.randint(100, (4, 6))
    torch.manual_seed(5)
    first = embedding(tokens)
    torch.manual_seed(5)
    assert torch.equal(embedding(tokens), first)
    assert torch.equal(embedding.eval()(tokens), F.embedding(tokens, embedding.weight))


def test_one_graph():
    embedding = TokenEmbedding(9, 3, dropout=0.5)
    compiled = torch.compile(embedding, fullgraph=True, backend="aot_eager")
    tokens = torch.randint(9, (2, 5))
    assert set((compiled(tokens) / embedding.weight[tokens]).detach().round().unique().tolist()) <= {0.0, 2.0}
    embedding.eval()
    assert torch.equal(compiled(tokens), embedding(tokens))


def test_no_tokens():
    assert TokenEmbedding(4, 3, dropout=0.5)(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 3)


@pytest.mark.parametrize("tokens", [[0, 4], [-1, 2]])
def test_tokens_of_another_vocabulary(tokens):
    with pytest.raises(ShapeError, match=rf"0 to 3, got {min(tokens)} to {max(tokens)}"):
        TokenEmbedding(4, 3)(torch.tensor(tokens))


def test_wrong_use():
    with pytest.raises(ShapeError, match=r"int64 or int32, got torch.float32"):
        TokenEmbedding(4, 3)(torch.zeros(2))
    with pytest.raises(OptionError, match="vocabulary_size to be a positive integer, got 0"):
        TokenEmbedding(0, 3)
    for p in (1.0, -0.1):
        with pytest.raises(OptionError, match=rf"dropout in \[0, 1\), got {p}"):
            TokenEmbedding(4, 3, dropout=p)
    assert repr(TokenEmbedding(4, 3)) == "TokenEmbedding(4, 3)"
    assert repr(TokenEmbedding(4, 3, dropout=0.5)) == "TokenEmbedding(4, 3, dropout=0.5)"


def test_words_are_dropped_whatever_the_default_dtype_is():
    """As in a training with precision 64, where Fabric makes float64 the default."""
    embedding, tokens = TokenEmbedding(40, 3, dropout=0.5).double(), torch.arange(40)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        x = embedding(tokens)
    finally:
        torch.set_default_dtype(before)
    assert x.dtype == torch.float64
    assert 0 < int((x == 0).all(-1).sum()) < 40
