import json

import numpy as np
import pytest

from gatewise.data import SequenceData, describe
from gatewise.errors import DataError


def test_classification():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 2)) * [1, 1e5] for i in range(1, 21) for length in (i, 41 - i)]
    sequences[3][0, 1] = np.nan
    sequences[5] = sequences[4]
    told = describe(SequenceData(sequences, ["a"] * 36 + ["b"] * 4, channels=("x", "y"), classes=("b", "a")))
    assert (told.sequences, told.length_min, told.length_median, told.length_max) == (40, 1, 19.5, 40)
    assert told.classes == (("b", 4), ("a", 36)) and told.values is None
    assert told.missing[0] == 0 and told.missing[1] == pytest.approx(1 / sum(map(len, sequences)))
    assert told.padding > told.padding_bucketed > 0
    notes = " | ".join(told.notes)
    assert "differ in scale by a factor" in notes and 'few examples of the class "b" (4)' in notes
    assert "36 examples to 4" in notes and "1 sequences repeat another one" in notes
    assert json.loads(json.dumps(told.to_plain()))["classes"] == [["b", 4], ["a", 36]]
    text = told.to_text()
    assert "1 to 40, median 19.5" in text and "a: 36 (90.0%)" in text and "note: " in text


def test_regression_and_bare_data():
    sequences = [np.full((2, 1), float(i)) for i in range(3)]
    told = describe(SequenceData(sequences, [1.0, 2.0, 6.0], target_names=("price",), groups=["p", "q", "p"]))
    assert told.values[0].name == "price" and told.values[0].mean == 3 and told.values[0].max == 6
    assert told.groups == 2 and "target price" in told.to_text() and told.notes == ()
    per_step = describe(SequenceData(sequences, [np.array([[0.0], [1]])] * 3))
    assert per_step.per_step and "a step" in per_step.to_text()
    assert ("target", "none") in describe(SequenceData(sequences)).rows()


def test_notes_on_channels_and_lengths():
    sequence = np.array([[1, np.nan, np.inf, 2], [1, np.nan, 0, 3]], dtype=float)
    notes = " | ".join(describe(SequenceData([sequence])).notes)
    assert "infinite values in c2" in notes and "no value at all in c1" in notes
    assert "never changes in c0" in notes
    assert "name the id or time column" in describe(SequenceData([np.zeros((1, 1)), np.ones((1, 1))])).notes[0]
    torn = describe(SequenceData([np.ones((2, 1))] * 2, ["a", "b"]))
    assert "1 sequences occur with different labels" in torn.notes
    with pytest.raises(DataError, match="got none"):
        describe(SequenceData([]))


def test_classes_in_words():
    def told(labels):
        data = SequenceData([np.full((2, 1), float(i)) for i in range(len(labels))], labels)
        return dict(describe(data).rows())["classes"]

    assert told(list("abc") * 3) == "3, 3 each (a, b, c)"
    assert told([str(i) for i in range(12)]) == "12, 1 each (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 2 more)"
    assert told(["a", "a", "a", "b"]) == "2 (a: 3 (75.0%), b: 1 (25.0%))"
    assert told(["a", *"abcdefghijk"]).startswith("11 (a: 2, b: 1, ")
    assert told(["a", "a"]) == "1 (a: 2 (100.0%))"


def test_values_that_are_huge_or_infinite():  # a warning of numpy would fail
    sequence = np.array([[1e308, 1e-30], [-1.7e308, 2e-30]])
    told = describe(SequenceData([sequence, 0.5 * sequence], [1e308, 1.5e308], target_names=("y",)))
    assert (told.values[0].mean, told.values[0].std) == (pytest.approx(1.25e308), pytest.approx(0.25e308))
    assert "differ in scale by a factor of 1e338" in " | ".join(told.notes)
    told = describe(SequenceData([sequence[:, :1]] * 3, [np.inf, 1.0, 3.0], target_names=("y",)))
    assert (told.values[0].mean, told.values[0].std, told.values[0].max) == (2, 1, 3)
    assert "1 targets are not finite, the first: memory, sequence 0" in told.notes
    assert describe(SequenceData([sequence], [-np.inf])).values == ()
