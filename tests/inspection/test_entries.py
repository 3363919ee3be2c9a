"""Entries: the model's own answers when given what it was given, gradients where there are none at the tokens."""

import itertools

import pytest
import torch
from torch import nn

from gatewise.inspection.entries import entry_of
from gatewise.inspection.scores import log_odds, log_probability, tag_log_odds, transcript_log_probability
from gatewise.models.audio import audio_lstm
from gatewise.models.language_model import lstm_lm
from gatewise.models.pictures import stroke_lstm
from gatewise.models.recipes import bilstm
from gatewise.models.sequence_model import BatchModel
from gatewise.models.tagger import tagger
from gatewise.models.text_classifier import text_lstm
from gatewise.nn.crf import FORBIDDEN, bio_transitions
from gatewise.training.gradients import evaluated, frozen
from gatewise.types import Batch, Words

TOKENS = torch.randint(4, 20, (1, 7))
SMALL = {"hidden_sizes": (6,)}
MODELS = {
    "numbers": (lambda: bilstm(2, 3, **SMALL), torch.randn(1, 7, 2), "input", (7, 2)),
    "gru": (lambda: bilstm(2, 3, encoder="gru", **SMALL), torch.randn(1, 7, 2), "input", (7, 2)),
    "text": (lambda: text_lstm(20, 3, embedding_size=5, **SMALL), TOKENS, "tokens", (7, 5)),
    "next token": (lambda: lstm_lm(20, embedding_size=6, **SMALL), TOKENS, "tokens", (7, 6)),
    "tags": (
        lambda: tagger(20, 9, 4, None, embedding_size=5, character_size=3, character_hidden_size=2, **SMALL),
        Words(TOKENS, torch.randint(0, 9, (1, 7, 4))),
        "tokens",
        (7, 9),
    ),
    "sound": (lambda: audio_lstm(8000, 3, mel_bands=8, **SMALL), torch.randn(1, 2000), "frames", (23, 8)),
    "strokes": (lambda: stroke_lstm(7, 3, path_steps=9, **SMALL), torch.rand(1, 12, 7), "points", (9, 56)),
}


@pytest.mark.parametrize("name", MODELS)
def test_given_its_own_input_the_model_says_what_it_says(name):
    make, inputs, of, shape = MODELS[name]
    model = BatchModel(make()).eval()
    first = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
    batch = Batch(inputs, torch.tensor([first.shape[1]]))
    with evaluated(model), frozen(model):
        entry = entry_of(model, batch)
        assert (entry.of, tuple(entry.x.shape)) == (of, shape)
        points = torch.stack([entry.x, entry.baseline, entry.x]).requires_grad_()
        outputs = entry.run(points)
        expected = model(batch).scores
        torch.testing.assert_close(
            outputs.scores[[0, 2]], expected.expand(2, *expected.shape[1:]), atol=1e-5, rtol=1e-5
        )
        (gradient,) = torch.autograd.grad(outputs.scores.sum(), points)
    assert gradient.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_freezing_puts_everything_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    model[1].eval()  # its statistics are kept while the rest trains
    model[0].bias.requires_grad_(False)
    model[1].requires_grad_(False)
    with evaluated(model), frozen(model):
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    assert not model[1].training
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, False, False, False]


def test_log_odds_are_those_of_the_softmax():
    scores = torch.randn(5, 4, dtype=torch.float64)
    p = scores.softmax(-1)
    torch.testing.assert_close(log_odds(scores, 2), (p[:, 2] / (1 - p[:, 2])).log())
    torch.testing.assert_close(log_odds(scores + 100, 2), log_odds(scores, 2))  # what a softmax does not see


def test_log_odds_of_a_tag_are_those_of_all_sequences():
    """Every sequence of tags, written out."""
    K, T = 3, 4
    scores = torch.randn(1, T, K, K, dtype=torch.float64)
    allowed = bio_transitions(["O", "B-x", "I-x"])
    scores[:, 1:] = scores[:, 1:].masked_fill(~allowed[:-1], FORBIDDEN)
    scores[:, 0] = scores[:, 0, :1].masked_fill(~allowed[-1], FORBIDDEN)  # nothing comes before the first
    totals = {True: [], False: []}
    for tags in itertools.product(range(K), repeat=T):
        before = (tags[0], *tags[:-1])
        total = sum(scores[0, t, before[t], tags[t]] for t in range(T))
        totals[tags[2] == 1].append(total)
    expected = torch.stack(totals[True]).logsumexp(0) - torch.stack(totals[False]).logsumexp(0)
    torch.testing.assert_close(tag_log_odds(scores, torch.tensor([T]), 2, 1)[0], expected)


def test_log_probability_of_an_answer():
    scores, tokens = torch.randn(2, 5, 6, dtype=torch.float64), torch.tensor([3, 0, 5])
    p = scores.softmax(-1)
    torch.testing.assert_close(log_probability(scores, tokens, None), (p[:, 0, 3] * p[:, 1, 0] * p[:, 2, 5]).log())
    torch.testing.assert_close(log_probability(scores, tokens, 2), (p[:, 2, 5] / (1 - p[:, 2, 5])).log())


def test_log_probability_of_a_transcript_sums_its_alignments():
    scores = torch.randn(1, 3, 3, dtype=torch.float64)
    p = scores.softmax(-1)[0]
    alignments = [(1, 2, 0), (1, 2, 2), (1, 1, 2), (1, 0, 2), (0, 1, 2)]  # all that read "1 2"
    expected = sum(p[0, a] * p[1, b] * p[2, c] for a, b, c in alignments).log()
    found = transcript_log_probability(scores, torch.tensor([1, 2]), torch.tensor([3]))
    torch.testing.assert_close(found[0], expected)
