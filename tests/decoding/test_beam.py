"""Beam search against every sequence there is, and against greedy search."""

import itertools
import math
import random
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from gatewise.decoding.beam import beam_search, first_best
from gatewise.errors import OptionError, RunError

BOS, EOS = 0, 1


class Written(NamedTuple):
    """A state that is all that was written: of each row, which answer it is for and its tokens."""

    answer: Tensor
    tokens: Tensor


class RandomModel:
    """Log-probabilities that depend on the whole beginning, drawn when first asked for; never BOS."""

    def __init__(self, seed, vocabulary_size, *, sharpness=1.0, grid=None):
        self.seed, self.V, self.sharpness, self.grid = seed, vocabulary_size, sharpness, grid

    def log_probs(self, answer, beginning):
        generator = torch.Generator().manual_seed(hash((self.seed, answer, *beginning)) % 2**31)
        scores = torch.randn(self.V, dtype=torch.float64, generator=generator) * self.sharpness
        scores[BOS] = -torch.inf
        log_probs = scores.log_softmax(0)
        return log_probs if self.grid is None else (log_probs / self.grid).round() * self.grid

    def step(self, tokens, state):
        state = Written(state.answer, torch.cat([state.tokens, tokens[:, None]], 1))
        rows = zip(state.answer.tolist(), state.tokens.tolist(), strict=True)
        return torch.stack([self.log_probs(answer, beginning) for answer, beginning in rows]), state

    def start(self, rows):
        return Written(torch.arange(rows), torch.zeros(rows, 0, dtype=torch.int64))

    def score(self, answer, tokens):
        """The log-probability of these tokens and of the end behind them."""
        written, total = [BOS], 0.0
        for token in [*tokens, EOS]:
            total += self.log_probs(answer, written)[token].item()
            written.append(token)
        return total


def reorder(state, rows, kept):
    """Also checks what beam_search says of it."""
    after = Written(state.answer[rows], state.tokens[rows])
    stays = state.answer.unique() if kept is None else state.answer.unique()[kept]
    assert torch.equal(after.answer, stays.repeat_interleave(len(rows) // len(stays)))
    return after


def search(model, rows, **options):
    return beam_search(model.step, model.start(rows), rows=rows, reorder=reorder, bos=BOS, eos=EOS, **options)


def penalised(score, tokens, alpha):
    return score / ((5 + len(tokens) + 1) / 6) ** alpha


def every_sequence(vocabulary_size, longest):
    """All that may be written, without the end."""
    for length in range(longest + 1):
        yield from itertools.product(range(2, vocabulary_size), repeat=length)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("vocabulary_size", "limits"), [(3, [4, 0, 2]), (4, [3, 4, 1, 0]), (5, [3, 2])])
def test_a_wide_beam_finds_the_best_of_all(vocabulary_size, limits, alpha):
    for seed in range(5):
        model = RandomModel(seed, vocabulary_size)
        width = sum(1 for _ in every_sequence(vocabulary_size, max(limits)))
        found = search(model, len(limits), beam_size=width, max_length=limits, length_penalty=alpha)
        for row, limit in enumerate(limits):
            scores = {tokens: model.score(row, tokens) for tokens in every_sequence(vocabulary_size, limit)}
            best = max(scores, key=lambda tokens: penalised(scores[tokens], tokens, alpha))
            assert tuple(found[row][0].tokens) == best
            ranks = [penalised(one.score, one.tokens, alpha) for one in found[row]]
            assert ranks == sorted(ranks, reverse=True)
            assert len({tuple(one.tokens) for one in found[row]}) == len(found[row])
            for one in found[row]:
                assert one.score == pytest.approx(scores[tuple(one.tokens)], rel=1e-12)


def test_all_of_them_in_order_where_no_row_is_done_early():
    """With so high a reward for length that the open ones might always win, every sequence is listed."""
    model = RandomModel(0, 4)
    everything = list(every_sequence(4, 3))
    (found,) = search(model, 1, beam_size=len(everything) + 1, max_length=3, length_penalty=30.0)
    ranked = sorted(everything, key=lambda tokens: -penalised(model.score(0, tokens), tokens, 30.0))
    assert [tuple(one.tokens) for one in found] == ranked


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_one_beam_is_greedy(alpha):
    for seed in range(20):
        model = RandomModel(seed, 6)
        limits = [7, 3, 0, 9]
        found = search(model, 4, beam_size=1, max_length=limits, length_penalty=alpha)
        for row, limit in enumerate(limits):
            written = [BOS]
            while len(written) <= limit and (token := model.log_probs(row, written).argmax().item()) != EOS:
                written.append(token)
            (one,) = found[row]
            assert one.tokens == written[1:]
            assert one.score == pytest.approx(model.score(row, one.tokens), rel=1e-12)


def loops(model, row, *, beam_size, limit, alpha):
    """Beam search once more, for one row, with lists: what the docstring says and nothing else."""
    open_ones, finished = [(0.0, ())], []
    for length in range(limit + 1):
        continued = []
        for place, (score, tokens) in enumerate(open_ones):
            log_probs = model.log_probs(row, [BOS, *tokens]).tolist()
            for token, log_prob in enumerate(log_probs):
                if log_prob > -math.inf and (token == EOS or length < limit):
                    continued.append((-(score + log_prob), place, token, tokens))
        continued.sort()
        for score, _, token, tokens in continued[:beam_size]:
            if token == EOS:
                finished.append((penalised(-score, tokens, alpha), -score, list(tokens)))
        open_ones = [(-score, (*tokens, token)) for score, _, token, tokens in continued if token != EOS][:beam_size]
        best = max((one[0] for one in finished), default=-math.inf)
        if not open_ones or len(finished) >= beam_size:
            break
        if open_ones[0][0] / ((6 + limit) / 6) ** alpha <= best:
            break
    finished.sort(key=lambda one: -one[0])
    return [tokens for _, _, tokens in finished]


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 4.0])
def test_equals_loops(beam_size, alpha):
    draw = random.Random(0)
    for seed in range(8):
        model = RandomModel(seed, draw.randint(3, 9), sharpness=draw.choice([0.3, 1.0, 3.0]))
        limits = [draw.randint(0, 8) for _ in range(6)]
        found = search(model, 6, beam_size=beam_size, max_length=limits, length_penalty=alpha)
        for row, limit in enumerate(limits):
            expected = loops(model, row, beam_size=beam_size, limit=limit, alpha=alpha)
            assert [one.tokens for one in found[row]] == expected


def test_of_equals_the_first():
    """Scores on a coarse grid: many are the same, exactly."""
    for seed in range(20):
        model = RandomModel(seed, 6, grid=0.5)
        found = search(model, 3, beam_size=3, max_length=5)
        for row in range(3):
            assert [one.tokens for one in found[row]] == loops(model, row, beam_size=3, limit=5, alpha=0.0)


def test_first_best_of_many_equals():
    scores = torch.randint(0, 4, (50, 300)).double()
    scores[:5] = -torch.inf
    scores[:5, 7] = 0
    for k in (1, 3, 7):
        values, index = first_best(scores, k)
        expected, order = scores.sort(dim=1, descending=True, stable=True)
        assert torch.equal(values, expected[:, :k])
        assert torch.equal(index[5:], order[5:, :k])
        assert torch.all(index[:5, 0] == 7)


def test_rows_do_not_depend_on_one_another():
    model = RandomModel(3, 7)
    together = search(model, 5, beam_size=3, max_length=6)
    for row in range(5):
        alone = beam_search(
            model.step, Written(torch.tensor([row]), torch.zeros(1, 0, dtype=torch.int64)), rows=1, beam_size=3,
            max_length=6, bos=BOS, eos=EOS, reorder=lambda state, rows, kept: Written(*(part[rows] for part in state)),
        )  # fmt: skip
        assert alone == together[row : row + 1]


def test_attention_is_that_of_the_steps_that_chose_the_tokens():
    """Each row looks at numbers that say what it had written, and for whom."""

    def looked(state):
        return torch.cat(
            [state.answer[:, None], torch.nn.functional.pad(state.tokens, (0, 9 - state.tokens.shape[1]))], 1
        )

    model = RandomModel(5, 6, sharpness=0.5)
    found = search(model, 4, beam_size=4, max_length=[6, 2, 0, 8], attention=looked)
    assert any(len(one.tokens) > 3 for of_row in found for one in of_row)
    for row, of_row in enumerate(found):
        for one in of_row:
            assert len(one.attention) == len(one.tokens)
            for step, shares in enumerate(one.attention):
                written = [BOS, *one.tokens[:step]]
                assert shares == [row, *written, *[0] * (9 - len(written))]


def test_rows_that_are_done_leave():
    """Rows end at different lengths; afterwards step is no longer asked about them."""
    asked = []
    model = RandomModel(1, 5)

    def step(tokens, state):
        asked.append(set(state.answer.tolist()))
        return model.step(tokens, state)

    beam_search(step, model.start(3), rows=3, beam_size=2, max_length=[0, 3, 6], length_penalty=30.0, reorder=reorder,
                bos=BOS, eos=EOS)  # fmt: skip
    assert asked[0] == {0, 1, 2}
    assert asked[1] <= {1, 2}
    assert all(after <= before for before, after in itertools.pairwise(asked))
    assert all(not (still & {0, 1}) for still in asked[4:])


def test_nothing_sought_and_no_end_to_be_reached():
    model = RandomModel(1, 5)
    assert search(model, 0, beam_size=2, max_length=3) == []

    def endless(tokens, state):
        log_probs, state = model.step(tokens, state)
        return log_probs.index_fill(1, torch.tensor([EOS]), -torch.inf), state

    options = {"beam_size": 2, "max_length": 3, "reorder": reorder, "bos": BOS, "eos": EOS}
    assert beam_search(endless, model.start(2), rows=2, **options) == [[], []]


def test_wrong_options():
    model = RandomModel(1, 5)
    with pytest.raises(OptionError, match="beam_size of at least 1, got 0"):
        search(model, 1, beam_size=0, max_length=3)
    with pytest.raises(OptionError, match=r"length_penalty of at least 0, got -0\.5"):
        search(model, 1, beam_size=1, max_length=3, length_penalty=-0.5)
    with pytest.raises(OptionError, match=r"each of 2 rows, got \[3\]"):
        search(model, 2, beam_size=1, max_length=[3])
    with pytest.raises(RunError, match="got NaN"):
        model.log_probs = lambda *key: torch.full((5,), torch.nan)
        search(model, 2, beam_size=2, max_length=3)
