"""Language models against plain loops; a token at a time is the whole text at once."""

import copy
import inspect
import itertools

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save

from gatewise.errors import OptionError, ShapeError
from gatewise.kernels import use_kernel
from gatewise.kernels.cpu import library
from gatewise.models.encoder import Encoder
from gatewise.models.language_model import LanguageModel, Stepper, awd_lstm, lstm_lm
from gatewise.nn.embedding import TokenEmbedding
from gatewise.types import State

VOCABULARY = 11
LENGTHS = torch.tensor([6, 1, 0, 4])


def tiny(**options):
    sizes = {"embedding_size": 5, "hidden_sizes": (7, 5)}
    return lstm_lm(VOCABULARY, **{**sizes, **options})


def tokens_of(rows=4, steps=6):
    return torch.randint(VOCABULARY, (rows, steps))


def by_hand(model, row):
    """Scores of one text without padding: torch's own LSTM, the weights picked by name."""
    x = torch.stack([model.embedding.weight[token] for token in row])
    for layer in model.encoder.layers:
        plain = torch.nn.LSTM(layer.input_size, layer.hidden_size, dtype=x.dtype)
        plain.load_state_dict(layer.state_dict())
        x, _ = plain(x)
    weight = model.embedding.weight if model.weight is None else model.weight
    return torch.stack([weight @ h + model.bias for h in x])


@pytest.mark.parametrize("options", [{}, {"tied": False, "hidden_sizes": (4, 3)}], ids=["tied", "untied"])
def test_scores_are_those_of_each_text_alone(options):
    model, tokens = tiny(**options).double().eval(), tokens_of()
    with torch.no_grad():
        model.bias.normal_()
    outputs = model.run(tokens, LENGTHS)
    assert outputs.scores.shape == (4, 6, VOCABULARY)
    assert outputs.lengths.equal(LENGTHS)
    assert outputs.penalty is None
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            expected = by_hand(model, tokens[row, :length])
            torch.testing.assert_close(outputs.scores[row, :length], expected, atol=1e-12, rtol=1e-12)
    other = tokens.masked_fill(torch.arange(6) >= LENGTHS[:, None], 3)
    assert torch.equal(model.run(other, LENGTHS).scores, outputs.scores)
    assert torch.equal(model(tokens, LENGTHS), outputs.scores)


@pytest.mark.parametrize("encoder", ["lstm", "gru", "rnn"])
def test_nothing_is_seen_before_its_time_and_a_state_carries_on(encoder):
    model, tokens = tiny(encoder=encoder).eval(), tokens_of(3, 8)
    whole = model.run(tokens)
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % VOCABULARY
    assert torch.equal(model(changed)[:, :5], whole.scores[:, :5])
    assert not torch.equal(model(changed)[:, 5:], whole.scores[:, 5:])
    first = model.run(tokens[:, :3])
    second = model.run(tokens[:, 3:], state=first.state)
    torch.testing.assert_close(torch.cat([first.scores, second.scores], 1), whole.scores)
    assert len(second.state) == 2
    if encoder == "lstm":
        assert all(isinstance(state, State) for state in second.state)


def penalty_by_hand(alpha, beta, steps, dropped, lengths):
    squares, changes = [], []
    for row, length in enumerate(lengths):
        squares += [value**2 for t in range(length) for value in dropped[row, t].tolist()]
        for t in range(1, length):
            changes += [value**2 for value in (steps[row, t] - steps[row, t - 1]).tolist()]
    mean_of = [sum(values) / len(values) if values else 0.0 for values in (squares, changes)]
    return alpha * mean_of[0] + beta * mean_of[1]


@pytest.mark.parametrize("lengths", [None, [6, 1, 0, 4], [1, 1, 0, 1], [0, 0, 0, 0]], ids=str)
def test_penalty_is_a_mean_over_the_real_steps(lengths):
    model = tiny(activation_regularization=2, temporal_regularization=0.7, dropout=0.4).double()
    seen = {}
    model.encoder.register_forward_hook(lambda _, given, out: seen.update(steps=out.steps.detach()))
    model.dropout.register_forward_hook(lambda _, given, out: seen.update(dropped=out.detach()))
    outputs = model.run(tokens_of(), None if lengths is None else torch.tensor(lengths))
    expected = penalty_by_hand(2, 0.7, seen["steps"], seen["dropped"], lengths or [6] * 4)
    torch.testing.assert_close(outputs.penalty.item(), expected, atol=1e-14, rtol=1e-12)
    outputs.penalty.backward()
    gradients = [parameter.grad for parameter in model.encoder.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients) == (expected > 0)
    assert model.eval().run(tokens_of()).penalty is None


def test_no_penalty_unless_asked_for():
    assert tiny().run(tokens_of()).penalty is None
    only_changes = tiny(temporal_regularization=1.0)
    assert only_changes.run(tokens_of(2, 1)).penalty == 0
    assert only_changes.run(tokens_of(2, 2)).penalty > 0


def test_tied_weights_are_one_and_learn_from_both_ends():
    tied = tiny(input_dropout=0, variational_dropout=0, dropout=0).double()
    untied = tiny(input_dropout=0, variational_dropout=0, dropout=0, tied=False).double()
    untied.load_state_dict({**tied.state_dict(), "weight": tied.embedding.weight.detach()})
    tokens = tokens_of()
    for model in (tied, untied):
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    both = untied.embedding.weight.grad + untied.weight.grad
    torch.testing.assert_close(tied.embedding.weight.grad, both)
    assert "weight" not in tied.state_dict()
    tied.load_state_dict(load(save(tied.state_dict())))  # a format that refuses one tensor under two names
    assert tied.score_weight is tied.embedding.weight


def test_dropout_is_the_same_at_every_step():
    model = tiny(input_dropout=0.5, dropout=0.5)
    kept = {}
    for name in ("input_dropout", "dropout"):
        getattr(model, name).register_forward_hook(lambda _, given, out, name=name: kept.update({name: out != 0}))
    model(tokens_of(8, 6))
    for mask in kept.values():
        assert torch.equal(mask, mask[:, :1].expand_as(mask))
        assert not torch.equal(mask[:1].expand_as(mask), mask)
        assert not mask.all()


def test_an_empty_text_gives_finite_scores():
    outputs = tiny().eval().run(torch.zeros(2, 0, dtype=torch.int64))
    assert outputs.scores.isfinite().all()
    assert outputs.lengths.tolist() == [0, 0]


def test_autocast_scores_in_16_bits():
    model, tokens = lstm_lm(VOCABULARY).eval(), tokens_of()
    with torch.autocast("cpu", torch.bfloat16):
        low = model.run(tokens).scores
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), model(tokens), atol=0.02, rtol=0.02)
    trained = tiny(activation_regularization=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert trained.run(tokens).penalty.dtype == torch.float32


def test_recipes_have_the_sizes_of_their_source():
    model = awd_lstm(VOCABULARY, hidden_sizes=(12, 12, 6), embedding_size=6)
    assert [layer.weight_drop for layer in model.encoder.layers] == [0.5] * 3
    assert [between.p for between in model.encoder.between] == [0.25] * 2
    assert all(between.locked for between in model.encoder.between)
    assert (model.embedding.dropout, model.input_dropout.p, model.dropout.p) == (0.1, 0.65, 0.4)
    assert (model.activation_regularization, model.temporal_regularization) == (2, 1)
    defaults = {name: one.default for name, one in inspect.signature(awd_lstm).parameters.items()}
    sizes, vocabulary_size = (defaults["embedding_size"], *defaults["hidden_sizes"]), 33_278
    weights = sum(4 * after * (before + after + 2) for before, after in itertools.pairwise(sizes))
    assert round((weights + vocabulary_size * (sizes[0] + 1)) / 1e6, 1) == 33.6
    assert defaults["tied"] is True


def test_parts_that_do_not_fit():
    with pytest.raises(OptionError, match=r"tied: .*hidden_sizes.*embedding_size, 8, got 9\."):
        lstm_lm(5, embedding_size=8, hidden_sizes=(8, 9))
    embedding = TokenEmbedding(5, 4, 0.0)
    with pytest.raises(OptionError, match="one direction"):
        LanguageModel(embedding, Encoder(4, (2,)), tied=True)
    with pytest.raises(OptionError, match=r"encoder of 4 features.*got one of 3"):
        LanguageModel(embedding, Encoder(3, (4,), bidirectional=False))
    with pytest.raises(OptionError, match=r"temporal_regularization: .*got -1"):
        tiny(temporal_regularization=-1)
    with pytest.raises(OptionError, match=r"activation_regularization: .*got nan"):
        tiny(activation_regularization=float("nan"))
    with pytest.raises(ShapeError, match=r"\(batch, time\), got \(6,\)"):
        tiny()(tokens_of()[0])
    with pytest.raises(ShapeError, match=r"lengths: expected 0 to 6"):
        tiny()(tokens_of(), torch.tensor([7, 1, 1, 1]))


KERNELS = ["reference", *(["auto"] if library.why_not() is None else [])]
STREAMS = [
    *({"kernel": kernel, "options": options} for kernel in KERNELS for options in ({}, {"tied": False})),
    {"kernel": "auto", "options": {"encoder": "gru"}},
    {"kernel": "auto", "options": {"encoder": "rnn", "tied": False}},
]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_a_token_at_a_time_is_the_whole_text(stream, batch_size):
    model = tiny(**stream["options"], embedding_dropout=0.5, dropout=0.5)
    with torch.no_grad():
        model.bias.normal_()
    tokens = tokens_of(batch_size, 40)
    with use_kernel(stream["kernel"]):
        step = model.stream(batch_size=batch_size)
    assert isinstance(step, Stepper)
    model.eval()
    whole = model(tokens)
    for _ in range(2):
        scores = torch.stack([step(column) for column in tokens.T], 1)
        torch.testing.assert_close(scores, whole, atol=1e-5, rtol=1e-5)
        step.reset()
    assert not scores.requires_grad


@pytest.mark.parametrize("encoder", ["lstm", "gru"])
def test_a_stream_keeps_the_weights_it_was_built_with(encoder):
    for tied in (True, False):
        model = tiny(encoder=encoder, tied=tied).eval()
        step, token = model.stream(), torch.tensor([4])
        before = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        torch.testing.assert_close(step(token), before(token[None])[0])


def test_a_stream_in_16_bits():
    model = tiny().bfloat16().eval()
    step, tokens = model.stream(), tokens_of(1, 20)
    scores = torch.cat([step(token[None]) for token in tokens[0]])
    assert scores.dtype == torch.bfloat16
    torch.testing.assert_close(scores, model(tokens)[0], atol=0.05, rtol=0.05)


def test_what_a_stream_refuses():
    with pytest.raises(OptionError, match="batch_size of at least 1, got 0"):
        tiny().stream(batch_size=0)
    step = tiny().stream(batch_size=2)
    with pytest.raises(ShapeError, match=r"shape \(2,\), got \(1,\)"):
        step(torch.tensor([1]))
    with pytest.raises(ShapeError, match="0 to 10, got 1 to 11"):
        step(torch.tensor([1, VOCABULARY]))
