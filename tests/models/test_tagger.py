"""Tagger, its spelling, and its recipe."""

import pytest
import torch
from torch import nn

from gatewise.errors import OptionError
from gatewise.models.encoder import ENCODERS
from gatewise.models.tagger import Spelling, tagger
from gatewise.nn.crf import bio_transitions, log_partition, marginals, sequence_score, viterbi
from gatewise.types import Words

V, A, K = 30, 12, 4  # words, characters, tags
TAGS = ("O", "B-X", "I-X", "B-Y")
LENGTHS = torch.tensor([7, 3, 1, 0])
SMALL = {"embedding_size": 6, "character_size": 4, "character_hidden_size": 3, "hidden_sizes": (5,)}


def drawn(B, T, C):
    """Random words of 1 to C characters."""
    characters = torch.randint(1, A, (B, T, C))
    spelt = torch.arange(C) < torch.randint(1, C + 1, (B, T, 1))
    return Words(torch.randint(V, (B, T)), characters * spelt)


def small(**options):
    return tagger(V, A, K, bio_transitions(TAGS), **(SMALL | options))


@pytest.mark.parametrize("kind", ENCODERS)
def test_spelling_is_each_word_by_itself(kind):
    spelling = small(encoder=kind).spelling
    characters = drawn(3, 5, 6).characters
    characters[1, 2] = 0  # no characters
    characters[0, 1] = characters[2, 4]  # the same word twice
    vectors = spelling(characters)
    for row in range(3):
        for t in range(5):
            word = characters[row, t][characters[row, t] > 0]
            expected = torch.zeros(6)
            if len(word):
                layer = spelling.encoder.layers[0]
                y, _ = layer(nn.functional.embedding(word[None], spelling.embedding.weight))
                expected = torch.cat([y[0, -1, :3], y[0, 0, 3:]])  # where each direction ends
            torch.testing.assert_close(vectors[row, t], expected)


def test_spelling_runs_once_a_spelling():
    spelling = small().spelling
    seen = []
    spelling.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    characters = torch.tensor([[[1, 2, 0], [3, 0, 0], [1, 2, 0]], [[3, 0, 0], [0, 0, 0], [0, 0, 0]]])
    spelling(characters).sum().backward()
    assert seen == [(3, 3, 4)]  # "12", "3" and none
    grad = spelling.embedding.weight.grad
    assert grad[1:4].abs().sum(1).all()
    assert not grad[4:].any()


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_and_other_rows_change_nothing(kind, crf):
    model = small(encoder=kind, crf=crf).eval()
    if crf:
        for parameter in model.crf.parameters():
            nn.init.normal_(parameter)
    inputs = drawn(4, 7, 6)
    together = model(inputs, LENGTHS)
    assert together.shape == ((4, 7, K, K) if crf else (4, 7, K))
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(Words(inputs.words[row : row + 1, :length], inputs.characters[row : row + 1, :length]))
        torch.testing.assert_close(together[row, :length], alone[0], atol=1e-5, rtol=1e-4)
    other = drawn(4, 7, 6)
    alive = torch.arange(7) < LENGTHS[:, None]
    padded = Words(inputs.words.where(alive, other.words), inputs.characters.where(alive[..., None], other.characters))
    again = model(padded, LENGTHS)
    assert torch.equal(again[alive], together[alive])


def test_more_room_for_characters_changes_nothing():
    model, inputs = small().eval(), drawn(2, 5, 4)
    wide = Words(inputs.words, nn.functional.pad(inputs.characters, (0, 3)))
    torch.testing.assert_close(model(wide), model(inputs))


def test_scores_of_the_crf_are_its_own():
    model, inputs = small().eval(), drawn(2, 5, 4)
    outputs = model.run(inputs, torch.tensor([5, 2]))
    expected = model.crf(model.head(outputs.encoded), torch.tensor([5, 2]))
    torch.testing.assert_close(outputs.scores, expected)
    assert torch.equal(outputs.lengths, torch.tensor([5, 2]))
    for path in viterbi(outputs.scores, outputs.lengths):
        assert path[0] != 2


def test_texts_without_words():
    nothing = Words(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0, 0, dtype=torch.int64))
    lengths = torch.tensor([0, 0])
    outputs = small().run(nothing, lengths)
    assert outputs.scores.shape == (2, 0, K, K)
    assert log_partition(outputs.scores, lengths).tolist() == [0.0, 0.0]
    assert small(crf=False)(nothing, lengths).shape == (2, 0, K)
    assert small(crf=False)(nothing).shape == (2, 0, K)


def test_without_spelling_words_go_by_their_number():
    model, inputs = small(character_size=0).eval(), drawn(2, 5, 4)
    assert model.spelling is None
    assert torch.equal(model(inputs), model(Words(inputs.words, torch.zeros_like(inputs.characters))))
    assert not torch.equal(small().eval()(inputs), small().eval()(Words(inputs.words, inputs.characters.flip(2))))


def test_gradients_reach_every_parameter_and_are_finite():
    model, inputs = small(hidden_sizes=(5, 4)), drawn(4, 7, 6)
    scores = model(inputs, LENGTHS)
    tags = torch.randint(2, (4, 7))
    (log_partition(scores, LENGTHS) - sequence_score(scores, tags, LENGTHS)).sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_input_dropout_is_locked_over_words_and_spelling():
    model = small(embedding_dropout=0.0, input_dropout=0.5)
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    inputs = drawn(3, 7, 4)
    model(inputs)
    whole = torch.cat([model.embedding(inputs.words), model.spelling(inputs.characters)], -1).detach()
    scale = seen[0] / whole
    torch.testing.assert_close(scale, scale[:, :1].expand_as(scale), atol=1e-3, rtol=1e-3)
    assert set(scale.round().unique().tolist()) == {0.0, 2.0}


def test_learns_spans_that_only_spelling_and_neighbours_tell():
    """Unknown words all: what begins with 1 begins a span, the word after it goes on."""
    model = tagger(5, A, K, bio_transitions(TAGS), **SMALL, dropout=0.1, input_dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)

    def batch():
        inputs, tags = drawn(16, 8, 4), torch.zeros(16, 8, dtype=torch.int64)
        inputs.characters[..., 0].clamp_(min=2)
        start = torch.randint(0, 7, (16,))
        rows = torch.arange(16)
        inputs.characters[rows, start, 0] = 1
        tags[rows, start], tags[rows, start + 1] = 1, 2
        return Words(torch.ones_like(inputs.words), inputs.characters), tags

    lengths = torch.full((16,), 8)
    for _ in range(100):
        inputs, tags = batch()
        scores = model(inputs)
        optimizer.zero_grad()
        (log_partition(scores, lengths) - sequence_score(scores, tags, lengths)).mean().backward()
        optimizer.step()
    inputs, tags = batch()
    scores = model.eval()(inputs)
    assert (torch.tensor(viterbi(scores, lengths)) == tags).float().mean() > 0.97
    assert marginals(scores, lengths).gather(2, tags[..., None]).mean() > 0.9


def test_parts_may_be_put_together_by_hand():
    model = small()
    assert isinstance(model.spelling, Spelling)
    assert [name for name, _ in model.named_parameters() if name.startswith("crf")] == [
        "crf.transitions", "crf.start", "crf.end",
    ]  # fmt: skip
    assert small(crf=False).crf is None
    with pytest.raises(OptionError, match=r"allowed of shape \(5, 4\)"):
        tagger(V, A, K, torch.ones(4, 4, dtype=torch.bool))
