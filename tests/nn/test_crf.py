"""The CRF against counting over every sequence of tags."""

import itertools

import pytest
import torch

from gatewise.errors import OptionError, ShapeError
from gatewise.nn.crf import CRF, bio_transitions, log_partition, marginals, sequence_score, viterbi
from gatewise.sequences import mask_of_lengths

BIO = ("O", "B-X", "I-X", "B-Y")
SHAPES = [(1, 1, (1,)), (2, 5, (5, 3, 0, 1)), (3, 4, (4, 0, 2)), (4, 5, (5, 1, 4))]  # K, T, lengths
each_shape = pytest.mark.parametrize(("K", "T", "lengths"), SHAPES)


def drawn(K, T, lengths, **options):
    """A CRF with random parameters and random emissions, in float64."""
    crf = CRF(K, **options).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf, torch.randn(len(lengths), T, K, dtype=torch.float64), torch.tensor(lengths)


def score_by_hand(crf, emissions, tags):
    """The definition, of one row without padding."""
    if not tags:
        return 0.0
    total = crf.start[tags[0]] + crf.end[tags[-1]] + sum(emissions[t, tag] for t, tag in enumerate(tags))
    return (total + sum(crf.transitions[i, j] for i, j in itertools.pairwise(tags))).item()


def every_sequence(crf, emissions, length, allowed=None):
    """Each possible sequence of tags of a row with its score."""
    K = emissions.shape[-1]
    allowed = torch.ones(K + 1, K, dtype=torch.bool) if allowed is None else allowed
    return {
        tags: score_by_hand(crf, emissions, tags)
        for tags in itertools.product(range(K), repeat=length)
        if all(allowed[i, j] for i, j in itertools.pairwise((K, *tags)))
    }


@each_shape
def test_score_is_the_definition(K, T, lengths):
    crf, emissions, lengths = drawn(K, T, lengths)
    tags = torch.randint(K, (len(lengths), T))
    got = sequence_score(crf(emissions, lengths), tags, lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = score_by_hand(crf, emissions[row], tags[row, :length].tolist())
        assert got[row].item() == pytest.approx(expected, abs=1e-12)


@each_shape
@pytest.mark.parametrize("forbid", [False, True])
def test_partition_marginals_and_best_by_every_sequence(K, T, lengths, forbid):
    allowed = bio_transitions(BIO[:K]) if forbid else None
    crf, emissions, lengths = drawn(K, T, lengths, allowed=allowed)
    scores = crf(emissions, lengths)
    partition, shares, paths = log_partition(scores, lengths), marginals(scores, lengths), viterbi(scores, lengths)
    padded = torch.tensor([path + [0] * (T - len(path)) for path in paths])
    best = sequence_score(scores, padded, lengths)
    for row, length in enumerate(lengths.tolist()):
        each = every_sequence(crf, emissions[row], length, allowed)
        weights = torch.tensor(list(each.values()), dtype=torch.float64)
        assert partition[row].item() == pytest.approx(weights.logsumexp(0).item(), abs=1e-9)
        assert best[row].item() == pytest.approx(weights.max().item(), abs=1e-9)
        assert tuple(paths[row]) == max(each, key=each.get)
        expected = torch.zeros(T, K, dtype=torch.float64)
        for tags, share in zip(each, weights.softmax(0), strict=True):
            for t, tag in enumerate(tags):
                expected[t, tag] += share
        torch.testing.assert_close(shares[row], expected, atol=1e-9, rtol=0)


def test_marginals_are_the_gradient_of_the_partition():
    _, _, lengths = drawn(4, 9, (9, 3, 0, 6))
    scores = torch.randn(4, 9, 4, 4, dtype=torch.float64)
    scores[:, 0] = scores[:, 0, :1]
    scores.requires_grad_()
    (gradient,) = torch.autograd.grad(log_partition(scores, lengths).sum(), scores)
    torch.testing.assert_close(gradient.sum(2), marginals(scores, lengths))
    shares = marginals(scores, lengths).sum(2)
    torch.testing.assert_close(shares, mask_of_lengths(lengths, 9).double())


@pytest.mark.parametrize("allowed", [None, bio_transitions(BIO)], ids=["all", "bio"])
def test_gradients_by_finite_differences(allowed):
    crf, emissions, lengths = drawn(4, 4, (4, 2, 0), allowed=allowed)
    tags = torch.tensor([[1, 2, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0]])

    def loss(emissions, *_):
        scores = crf(emissions, lengths)
        return log_partition(scores, lengths) - sequence_score(scores, tags, lengths)

    assert torch.autograd.gradcheck(loss, (emissions.requires_grad_(), *crf.parameters()))
    assert torch.autograd.gradcheck(lambda e: marginals(crf(e, lengths), lengths), (emissions,))


def test_learning_reaches_the_likelihood_of_the_counts():
    """Without emissions the likeliest chain is that of the counts: A follows A in 3 of 4, B in 1."""
    crf, lengths = CRF(2).double(), torch.full((4,), 2)
    tags = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1]])
    optimizer = torch.optim.LBFGS(crf.parameters(), max_iter=100)

    def loss():
        optimizer.zero_grad()
        scores = crf(torch.zeros(4, 2, 2, dtype=torch.float64), lengths)
        total = (log_partition(scores, lengths) - sequence_score(scores, tags, lengths)).sum()
        total.backward()
        return total

    optimizer.step(loss)
    shares = marginals(crf(torch.zeros(1, 2, 2, dtype=torch.float64)), torch.tensor([2]))
    torch.testing.assert_close(shares[0], torch.tensor([[1.0, 0.0], [0.75, 0.25]]).double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forbidden_tags_never_come_and_gradients_stay_finite(dtype):
    allowed = bio_transitions(BIO)
    crf, lengths = CRF(4, allowed), torch.tensor([30, 17, 0, 1])
    emissions = (50 * torch.randn(4, 30, 4)).to(dtype)
    emissions[..., 2] += 200  # I-X, wherever it stands
    emissions.requires_grad_()
    scores = crf(emissions, lengths)
    assert scores.dtype == torch.float32
    for path in viterbi(scores, lengths):
        assert all(allowed[i, j] for i, j in itertools.pairwise((4, *path)))
    illegal = torch.full((4, 30), 2)
    (log_partition(scores, lengths) - sequence_score(scores, illegal, lengths)).sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (emissions, *crf.parameters()))
    assert torch.all(crf.transitions.grad[~allowed[:-1]] == 0)
    assert marginals(scores, lengths)[0, 0, 2] == 0


def test_a_tag_that_nothing_leads_to():
    allowed = torch.ones(4, 3, dtype=torch.bool)
    allowed[:, 1] = False
    crf, lengths = CRF(3, allowed), torch.tensor([4, 2])
    emissions = torch.randn(2, 4, 3, requires_grad=True)
    scores = crf(emissions, lengths)
    log_partition(scores, lengths).sum().backward()
    assert torch.isfinite(emissions.grad).all()
    assert torch.all(marginals(scores, lengths)[..., 1] == 0)
    assert all(1 not in path for path in viterbi(scores, lengths))


def test_padding_may_hold_anything():
    crf, emissions, lengths = drawn(3, 6, (6, 2, 0))
    tags = torch.randint(3, (3, 6))
    alive = mask_of_lengths(lengths, 6)

    def everything(emissions, tags):
        emissions = emissions.clone().requires_grad_()
        scores = crf(emissions, lengths)
        partition, score = log_partition(scores, lengths), sequence_score(scores, tags, lengths)
        gradients = torch.autograd.grad((partition - score).sum(), (emissions, *crf.parameters()))
        return [partition, score, marginals(scores, lengths), *gradients], viterbi(scores, lengths)

    clean = everything(emissions, tags)
    dirty = everything(emissions.masked_fill(~alive[..., None], torch.nan), tags.masked_fill(~alive, -100))
    assert clean[1] == dirty[1]
    for one, other in zip(clean[0], dirty[0], strict=True):
        assert torch.isfinite(one).all()
        assert torch.equal(one, other)


def test_a_row_does_not_depend_on_the_others():
    crf, emissions, lengths = drawn(3, 5, (5, 3, 1))
    together = log_partition(crf(emissions, lengths), lengths)
    for row, length in enumerate(lengths.tolist()):
        cut = crf(emissions[row : row + 1, :length])
        torch.testing.assert_close(log_partition(cut, lengths[row : row + 1])[0], together[row])


def test_without_steps():
    crf, lengths = CRF(3), torch.tensor([0, 0])
    scores = crf(torch.zeros(2, 0, 3), lengths)
    assert scores.shape == crf(torch.zeros(2, 0, 3)).shape == (2, 0, 3, 3)
    assert viterbi(scores, lengths) == [[], []]
    assert marginals(scores, lengths).shape == (2, 0, 3)
    score = sequence_score(scores, torch.zeros(2, 0, dtype=torch.int64), lengths)
    total = log_partition(scores, lengths) - score
    assert total.tolist() == [0.0, 0.0]
    total.sum().backward()


def test_float32_over_a_long_row_is_as_good_as_float32_can_be():
    crf, emissions, lengths = drawn(5, 2000, (2000,))
    truth = log_partition(crf(emissions, lengths), lengths)
    got = log_partition(crf.float()(emissions.float(), lengths), lengths)
    assert abs(got.item() / truth.item() - 1) < 1e-5


def test_bio_transitions():
    allowed = bio_transitions(["O", "B-X", "I-X", "B-Y", "I-Y"])
    assert allowed[:, 2].tolist() == [False, True, True, False, False, False]
    assert allowed[:, 4].tolist() == [False, False, False, True, True, False]
    assert allowed[:, [0, 1, 3]].all()
    assert bio_transitions(["B", "I", "O"])[:, 1].tolist() == [True, True, False, False]
    assert bio_transitions(["NOUN", "INTJ", "-LRB-", "I-X"]).all()  # no B-X: nothing could lead to I-X


def test_wrong_use():
    with pytest.raises(OptionError, match="num_tags to be a positive integer, got 0"):
        CRF(0)
    with pytest.raises(OptionError, match=r"allowed of shape \(4, 3\) and dtype bool, got \(3, 3\)"):
        CRF(3, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"\(batch, time, 3\), got \(2, 5, 4\)"):
        CRF(3)(torch.zeros(2, 5, 4))
    assert repr(CRF(4, bio_transitions(BIO))) == "CRF(4, forbidden=3)"
    assert repr(CRF(4)) == "CRF(4)"
    assert list(CRF(4, bio_transitions(BIO)).state_dict()) == ["transitions", "start", "end"]
