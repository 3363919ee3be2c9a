"""The chosen threshold is the best there is: compared with trying every one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data.targets import Labels
from gatewise.training.threshold import choose_threshold
from gatewise.types import Prediction, Results

LABELS = Labels(("no", "yes"))


def results(scores, positive):
    predictions = [Prediction("", (1 - score, score)) for score in scores]
    return Results(0.0, predictions, ["yes" if p else "no" for p in positive])


def balanced(scores, positive, threshold):
    said = np.array(scores) > threshold
    positive = np.array(positive)
    return said[positive].mean() + (~said[~positive]).mean()


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=30))
def test_no_threshold_is_better(pairs):
    scores, positive = [(score + 1) / 22 for score, _ in pairs], [p for _, p in pairs]
    chosen = choose_threshold(LABELS, results(scores, positive))
    if all(positive) or not any(positive):
        assert chosen == 0.5
        return
    candidates = [(k + 0.5) / 22 for k in range(22)]
    best = max(balanced(scores, positive, candidate) for candidate in [*candidates, 0.5])
    assert balanced(scores, positive, chosen) == pytest.approx(best)


def test_among_equals_the_one_nearest_to_a_half():
    assert choose_threshold(LABELS, results([0.1, 0.9], [False, True])) == 0.5
    assert choose_threshold(LABELS, results([0.7, 0.9], [False, True])) == pytest.approx(0.8)
