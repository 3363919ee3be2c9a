"""Encoder-decoder models: against loops over the papers' equations, and against themselves step by step."""

import inspect
import itertools

import pytest
import torch
import torch.nn.functional as F

import gatewise
from gatewise.cell import Cell
from gatewise.decoding.beam import beam_search
from gatewise.errors import OptionError, ShapeError
from gatewise.models.pointer import mix_copy
from gatewise.models.seq2seq import PairModel, pointer, seq2seq
from gatewise.sequences import BOS, EOS, PAD, UNK
from gatewise.types import Batch, Pair

V = 11
FORBIDDEN = [PAD, UNK, BOS]
LENGTHS, TARGET_LENGTHS = torch.tensor([5, 1, 3]), torch.tensor([2, 4, 3])
VARIANTS = list(itertools.product([False, True], [False, True]))  # input_feeding, copy
OPTIONS = [
    pytest.param({}, id="plain"),
    pytest.param({"attention": "multiplicative", "tied": False}, id="multiplicative, not tied"),
    pytest.param({"hidden_sizes": (4, 3)}, id="two layers"),
    pytest.param({"embedding_size": 6, "cell": Cell(peephole=True)}, id="one size, peephole"),
]
each_variant = pytest.mark.parametrize(("input_feeding", "copy"), VARIANTS)


def build(*, scale=3.0, end=0.0, **options):
    """A small model in float64, its weights larger than at the start of training so that tokens differ.

    ``end`` makes the end of an answer likelier, so that searches find answers of several lengths.
    """
    defaults = {"embedding_size": 4, "hidden_sizes": (3,), "decoder_size": 6, "embedding_dropout": 0.0,
                "input_dropout": 0.0, "variational_dropout": 0.0, "dropout": 0.0}  # fmt: skip
    model = seq2seq(V, V, **{**defaults, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) / parameter.shape[-1] ** 0.5 * scale)
        model.decoder.bias[EOS] += end
    return model.eval()


def pairs(rows=3, steps=5, answer=4):
    source = torch.randint(4, V, (rows, steps))
    source[:, 1:] = torch.where(torch.rand(rows, steps - 1) < 0.4, source[:, :1], source[:, 1:])  # some occur twice
    shifted = torch.randint(4, V, (rows, answer))
    shifted[:, 0] = BOS
    return Pair(source, shifted)


def stepwise(model, inputs, lengths):
    """Log-probabilities ``[B, S, V]`` and attention ``[B, S, T]``, one token a call."""
    state = model.start(model.run(Pair(inputs.source), lengths).encoded, lengths, inputs.source)
    log_probs, attention = [], []
    for tokens in inputs.shifted.T:
        scores, state = model.step(tokens, state)
        log_probs.append(scores)
        attention.append(state.attention)
    return torch.stack(log_probs, 1), torch.stack(attention, 1)


# The equations ------------------------------------------------------------------------------------------------------


def lstm_step(lstm, x, h, c):
    gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    i, f, g, o = gates.split(len(h))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_hand(model, source, shifted):
    """Probabilities of one pair without padding, one layer, additive attention, tied through a projection."""
    decoder = model.decoder
    embedding = decoder.embedding if model.source_embedding is None else model.source_embedding
    memory, _ = gatewise.to_torch(model.encoder.layers[0])(embedding.weight[source][None])
    memory = memory[0]
    H = memory.shape[1] // 2
    last = torch.cat([memory[-1, :H], memory[0, H:]])
    h, c = torch.tanh(decoder.bridge.weight @ last + decoder.bridge.bias).chunk(2)
    fed = torch.zeros_like(h)
    attend, found = decoder.attention, []
    for token in shifted:
        embedded = decoder.embedding.weight[token]
        x = torch.cat([embedded, fed]) if decoder.input_feeding else embedded
        h, c = lstm_step(decoder.layers.layers[0], x, h, c)
        energies = [attend.score.weight[0] @ torch.tanh(attend.query.weight @ h + attend.key.weight @ m
                                                        + attend.key.bias) for m in memory]  # fmt: skip
        weights = torch.stack(energies).softmax(0)
        context = sum(weight * m for weight, m in zip(weights, memory, strict=True))
        fed = torch.tanh(decoder.combine.weight @ torch.cat([context, h]))
        scores = decoder.embedding.weight @ decoder.projection.weight @ fed + decoder.bias
        p = scores.softmax(0)
        if decoder.gate is not None:
            g = torch.sigmoid(decoder.gate.weight[0] @ torch.cat([context, h, embedded]) + decoder.gate.bias)
            p = g * p
            for weight, word in zip(weights, source, strict=True):
                p[word] = p[word] + (1 - g[0]) * weight
        found.append(p)
    return torch.stack(found)


@each_variant
def test_equals_the_equations(input_feeding, copy):
    model, inputs = build(input_feeding=input_feeding, copy=copy), pairs()
    together = model.run(inputs, LENGTHS).scores.softmax(-1)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = by_hand(model, inputs.source[row, :length], inputs.shifted[row])
        torch.testing.assert_close(together[row], expected, rtol=1e-9, atol=1e-12)


def test_copying_equals_loops():
    scores, gate = torch.randn(2, 3, 7).double(), torch.randn(2, 3, 1).double()
    weights, source = torch.randn(2, 3, 5).double().softmax(-1), torch.randint(0, 4, (2, 5))
    found = mix_copy(scores, gate, weights, source).exp()
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3).double())
    for b, s, v in itertools.product(range(2), range(3), range(7)):
        g = torch.sigmoid(gate[b, s, 0])
        copied = sum(weights[b, s, t] for t in range(5) if source[b, t] == v)
        torch.testing.assert_close(found[b, s, v], g * scores[b, s].softmax(0)[v] + (1 - g) * copied)
    inputs = [part.requires_grad_() for part in (scores, gate, weights)]
    assert torch.autograd.gradcheck(lambda *parts: mix_copy(*parts, source), inputs)


def test_copying_stays_finite_at_the_extremes():
    scores = torch.tensor([[[0.0, 200.0, -200.0, 5.0]]]).requires_grad_()
    weights = torch.tensor([[[1.0, 1e-42, 0.0]]]).requires_grad_()
    for gate in (-200.0, 0.0, 200.0):
        at = torch.tensor([[[gate]]], requires_grad=True)
        found = mix_copy(scores, at, weights, torch.tensor([[3, 0, 1]]))
        assert torch.isfinite(found).all()
        expected = scores.double().log_softmax(-1)[0, 0, 2] + F.logsigmoid(at.double())[0, 0, 0]
        assert found[0, 0, 2].item() == pytest.approx(expected.item(), rel=1e-6)  # not in the source
        grads = torch.autograd.grad(found.sum(), [scores, at, weights])
        assert all(torch.isfinite(grad).all() for grad in grads)


# One token after another --------------------------------------------------------------------------------------------


@each_variant
@pytest.mark.parametrize("options", OPTIONS)
def test_whole_answers_equal_step_by_step(input_feeding, copy, options):
    model, inputs = build(input_feeding=input_feeding, copy=copy, **options), pairs()
    outputs = model.run(inputs, LENGTHS)
    log_probs, attention = stepwise(model, inputs, LENGTHS)
    torch.testing.assert_close(log_probs[..., 3:], outputs.scores.log_softmax(-1)[..., 3:])
    assert torch.all(log_probs[..., FORBIDDEN] == -torch.inf)
    torch.testing.assert_close(attention, outputs.attention)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 4).double())


@each_variant
def test_training_equals_evaluation_without_dropout(input_feeding, copy):
    model, inputs = build(input_feeding=input_feeding, copy=copy), pairs()
    expected = model.run(inputs, LENGTHS).scores
    torch.testing.assert_close(model.train().run(inputs, LENGTHS).scores, expected)


@each_variant
def test_rows_and_padding_do_not_matter(input_feeding, copy):
    model, inputs = build(input_feeding=input_feeding, copy=copy), pairs()
    together = model.run(inputs, LENGTHS, target_lengths=TARGET_LENGTHS)
    for filler in (PAD, UNK, 7):
        source, shifted = inputs.source.clone(), inputs.shifted.clone()
        for row, (length, answer) in enumerate(zip(LENGTHS.tolist(), TARGET_LENGTHS.tolist(), strict=True)):
            source[row, length:], shifted[row, answer:] = filler, filler
            alone = model.run(Pair(source[row : row + 1, :length], shifted[row : row + 1, :answer]))
            torch.testing.assert_close(alone.scores[0], together.scores[row, :answer])
            torch.testing.assert_close(alone.attention[0], together.attention[row, :answer, :length])
            torch.testing.assert_close(alone.encoded[0], together.encoded[row, :length])
        refilled = model.run(Pair(source, shifted), LENGTHS, target_lengths=TARGET_LENGTHS)
        assert torch.equal(refilled.encoded, together.encoded)
        for row, answer in enumerate(TARGET_LENGTHS.tolist()):
            torch.testing.assert_close(refilled.scores[row, :answer], together.scores[row, :answer])
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.all(together.attention[row, :, length:] == 0)
        assert torch.all(together.encoded[row, length:] == 0)


def test_no_answer_yet_and_no_source():
    model, inputs = build(copy=True), pairs()
    outputs = model.run(Pair(inputs.source), LENGTHS)
    assert outputs.scores.shape == (3, 0, V)
    assert outputs.attention is None
    assert outputs.lengths.tolist() == [0, 0, 0]
    assert torch.equal(outputs.encoded, model.run(inputs, LENGTHS).encoded)
    assert torch.equal(model.run(inputs, LENGTHS, target_lengths=TARGET_LENGTHS).lengths, TARGET_LENGTHS)
    alone = model.run(Pair(inputs.source[:1, :0], inputs.shifted[:1]), torch.tensor([0]))
    beside = model.run(Pair(inputs.source[:2], inputs.shifted[:1].expand(2, -1)), torch.tensor([0, 5]))
    assert torch.isfinite(alone.scores).all()
    torch.testing.assert_close(alone.scores[0], beside.scores[0])
    assert torch.all(beside.attention[0] == 0)
    with pytest.raises(ShapeError, match=r"expected 0 to 5 steps, got \[5, 6, 1\]"):
        model.run(inputs, torch.tensor([5, 6, 1]))


# Search -------------------------------------------------------------------------------------------------------------


def search(model, source, lengths, **options):
    defaults = {"beam_size": 4, "max_length": 6, "length_penalty": 0.7}
    with torch.no_grad():
        state = model.start(model.run(Pair(source), lengths).encoded, lengths, source)
        return beam_search(model.step, state, rows=len(source), reorder=model.reorder,
                           attention=lambda state: state.attention, **{**defaults, **options})  # fmt: skip


@each_variant
def test_what_is_found_has_the_score_of_its_tokens(input_feeding, copy):
    model = build(input_feeding=input_feeding, copy=copy, scale=1.5, end=1.5)
    source, lengths = pairs(6).source, torch.tensor([5, 1, 3, 4, 2, 5])
    found = search(model, source, lengths)
    answers = {tuple(one.tokens) for of_row in found for one in of_row}
    assert len({len(answer) for answer in answers}) > 1
    for row, of_row in enumerate(found):
        for one in of_row:
            shifted = torch.tensor([[BOS, *one.tokens]])
            outputs = model.run(Pair(source[row : row + 1], shifted), lengths[row : row + 1])
            log_probs = outputs.scores[0].log_softmax(-1)
            total = sum(log_probs[step, token].item() for step, token in enumerate([*one.tokens, EOS]))
            assert one.score == pytest.approx(total, rel=1e-9)
            looked = outputs.attention[0, : len(one.tokens)].float()
            torch.testing.assert_close(torch.tensor(one.attention).reshape(-1, 5), looked)
            assert not {*one.tokens} & {PAD, UNK, BOS, EOS}


@each_variant
def test_each_source_alone_finds_the_same(input_feeding, copy):
    model = build(input_feeding=input_feeding, copy=copy, scale=1.5, end=1.5)
    source, lengths = pairs(6).source, torch.tensor([5, 1, 3, 4, 2, 5])
    together = search(model, source, lengths)
    for row, length in enumerate(lengths.tolist()):
        (alone,) = search(model, source[row : row + 1, :length], None)
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]


@each_variant
def test_one_beam_is_the_greedy_loop(input_feeding, copy):
    model = build(input_feeding=input_feeding, copy=copy, scale=1.5, end=1.5)
    source = pairs(6).source
    for row, (one,) in enumerate(search(model, source, None, beam_size=1)):
        written = [BOS]
        while len(written) <= 6:
            scores = model(Pair(source[row : row + 1], torch.tensor([written])))[0, -1]
            scores[FORBIDDEN] = -torch.inf
            if (token := scores.argmax().item()) == EOS:
                break
            written.append(token)
        assert one.tokens == written[1:]


# Training -----------------------------------------------------------------------------------------------------------


@each_variant
@pytest.mark.parametrize("sampling_decay", [0.0, 10.0])
def test_gradients_reach_everything(input_feeding, copy, sampling_decay):
    model = seq2seq(V, V, embedding_size=4, hidden_sizes=(3, 3), decoder_size=6, input_feeding=input_feeding, copy=copy,
                    sampling_decay=sampling_decay)  # fmt: skip
    inputs = pairs(8)
    model.run(inputs, torch.tensor([5, 1, 3, 5, 0, 2, 5, 4])).scores.log_softmax(-1)[..., 5].sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.any(), name
    assert not set(dict(model.named_parameters(remove_duplicate=False))) - set(dict(model.named_parameters()))


def test_sampling_follows_its_schedule():
    """After i batches, a share k / (k + exp(i / k)) of the rows is fed the true token, here one no model samples."""
    model = build(sampling_decay=2.0, input_feeding=False)
    rows = 3000
    inputs = Pair(torch.full((rows, 2), 5), torch.tensor([[BOS, UNK]]).expand(rows, 2))
    truth = model.run(Pair(inputs.source[:1], inputs.shifted[:1])).scores[0, 1]
    for i in (0, 1, 4):
        model.train().decoder.calls.fill_(i)
        with torch.no_grad():
            scores = model.run(inputs).scores[:, 1]
        share = torch.isclose(scores, truth).all(1).double().mean().item()
        expected = 2 / (2 + torch.tensor(i / 2).exp().item())
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / rows) ** 0.5 + 1e-12)
        assert model.decoder.calls.item() == i + 1
    model.eval().run(inputs)
    assert model.decoder.calls.item() == 5
    assert model.state_dict()["decoder.calls"].item() == 5


def test_sampling_feeds_what_the_model_says():
    """Late in the schedule the true answer is not seen; what is fed has the model's own distribution."""
    model = build(sampling_decay=1.0, input_feeding=True, scale=1.5).train()
    rows = 4000
    model.decoder.calls.fill_(10_000)
    inputs = Pair(torch.full((rows, 2), 5), torch.tensor([[BOS, UNK]]).expand(rows, 2))
    with torch.no_grad():
        scores = model.run(inputs).scores
        first, second = scores[0, 0].clone(), scores[:, 1]
        first[FORBIDDEN] = -torch.inf
        for token, p in enumerate(first.softmax(0).tolist()):
            fed = Pair(inputs.source[:1], torch.tensor([[BOS, token]]))
            expected = model.eval().run(fed).scores[0, 1]
            share = torch.isclose(second, expected).all(1).double().mean().item()
            assert share == pytest.approx(p, abs=4.5 * (p * (1 - p) / rows) ** 0.5 + 1e-12)


def test_dropout_is_for_training_only():
    model = seq2seq(V, V, embedding_size=4, hidden_sizes=(3,), decoder_size=6)
    inputs = pairs()
    assert not torch.equal(model(inputs), model(inputs))
    assert torch.equal(model.eval()(inputs), model(inputs))


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("sampling_decay", [0.0, 2.0])
def test_input_dropout_has_one_mask_an_answer(input_feeding, sampling_decay):
    model = build(input_dropout=0.5, embedding_size=40, input_feeding=input_feeding, sampling_decay=sampling_decay)
    seen = []
    model.decoder.layers.register_forward_hook(lambda module, args, output: seen.append(args[0][..., :40]))
    model.train().run(pairs())
    x = torch.cat(seen, 1)
    assert x.shape == (3, 4, 40)
    dropped = x == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    assert 0.3 < dropped.double().mean() < 0.7


def test_learns_to_turn_a_sequence_round():
    """The last token first needs attention: what comes out is exact on sequences that were not trained on."""
    model = seq2seq(12, 12, embedding_size=16, hidden_sizes=(16,), decoder_size=32, embedding_dropout=0.0,
                    input_dropout=0.0, dropout=0.0)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2, betas=(0.9, 0.98))

    def draw(rows):
        lengths = torch.randint(1, 5, (rows,))
        source, answer = torch.full((rows, 5), PAD), torch.full((rows, 5), PAD)
        for row, length in enumerate(lengths.tolist()):
            tokens = torch.randint(4, 12, (length,))
            source[row, : length + 1] = torch.cat([tokens, torch.tensor([EOS])])
            answer[row, : length + 1] = torch.cat([tokens.flip(0), torch.tensor([EOS])])
        shifted = torch.cat([torch.full((rows, 1), BOS), answer[:, :-1]], 1)
        return Batch(Pair(source, shifted), lengths + 1, answer, lengths + 1)

    for _ in range(170):
        batch = draw(48)
        outputs = PairModel(model)(batch)
        loss = F.cross_entropy(outputs.scores.transpose(1, 2), batch.targets, ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = draw(100)
    found = search(model.eval(), batch.inputs.source, batch.lengths, max_length=8)
    right = [of_row[0].tokens == row[: length - 1].tolist()
             for of_row, row, length in zip(found, batch.targets, batch.lengths.tolist(), strict=True)]  # fmt: skip
    assert sum(right) >= 97


@each_variant
def test_autocast(input_feeding, copy):
    model = build(input_feeding=input_feeding, copy=copy, scale=1.0).float()
    inputs = pairs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = model.train().run(inputs, LENGTHS).scores
        log_probs, _ = stepwise(model, inputs, LENGTHS)
    scores.float().log_softmax(-1)[..., 5].sum().backward()
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(scores.float().log_softmax(-1)[..., 3:], log_probs[..., 3:], rtol=0.05, atol=0.05)


# Options ------------------------------------------------------------------------------------------------------------


def test_pointer_shares_one_embedding():
    model = pointer(V, V, embedding_size=4, decoder_size=4, max_answer=7, beam_size=2, length_penalty=0.5)
    assert model.source_embedding is None
    assert model.decoder.weight is None
    assert model.decoder.projection is None
    assert (model.beam_size, model.length_penalty, model.max_answer) == (2, 0.5, 7)
    assert seq2seq(V, V).source_embedding is not None
    assert pointer(V, V, copy=False).decoder.gate is None
    assert inspect.signature(pointer).parameters.keys() == inspect.signature(seq2seq).parameters.keys()


def test_wrong_options():
    with pytest.raises(OptionError, match="one vocabulary for source and answer, got 11 and 12"):
        pointer(11, 12)
    with pytest.raises(OptionError, match=r"0 or at least 1, got 0\.5"):
        seq2seq(V, V, sampling_decay=0.5)
    with pytest.raises(OptionError, match=r"without hidden_dropout, got 0\.1"):
        seq2seq(V, V, cell=Cell(hidden_dropout=0.1), input_feeding=True)
    assert seq2seq(V, V, cell=Cell(hidden_dropout=0.1), input_feeding=False)
    with pytest.raises(OptionError, match="beam_size: expected at least 1, got 0"):
        seq2seq(V, V, beam_size=0)
    with pytest.raises(OptionError, match="length_penalty: expected at least 0, got -1"):
        seq2seq(V, V, length_penalty=-1)
    with pytest.raises(OptionError, match='got "dot"'):
        seq2seq(V, V, attention="dot")
