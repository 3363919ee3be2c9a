"""Spans and their F1 against cases written out by hand."""

import random

import pytest

from gatewise.metrics import bio_spans, has_spans, span_f1


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("", []),
        ("O O O", []),
        ("B-X", [(0, 1, "X")]),
        ("B-X I-X I-X", [(0, 3, "X")]),
        ("B-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        ("O I-X I-X O", [(1, 3, "X")]),  # I after O begins a span
        ("I-X", [(0, 1, "X")]),
        ("B-X I-Y I-Y", [(0, 1, "X"), (1, 3, "Y")]),  # and after another type
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),  # a gap of one word parts two spans
        ("B-a-b I-a-b I-a", [(0, 2, "a-b"), (2, 3, "a")]),
        ("B I O I", [(0, 2, ""), (3, 4, "")]),
        ("B-X NOUN I-X", [(0, 1, "X"), (2, 3, "X")]),
    ],
)
def test_spans(tags, spans):
    assert bio_spans(tags.split()) == spans


def test_f1_counts_whole_spans():
    truth = [["B-X", "I-X", "O", "B-Y"], ["O", "B-Y", "O"], ["O", "O"]]
    guess = [["B-X", "I-X", "O", "B-X"], ["O", "B-Y", "I-Y"], ["B-Y", "O"]]
    # Right: X at 0..2. Wrong: the type of the second, the end of the third, the fourth is no span.
    assert span_f1(guess, truth) == pytest.approx(2 * (1 / 4) * (1 / 3) / (1 / 4 + 1 / 3))
    assert span_f1(truth, truth) == 1.0


def test_the_same_span_of_another_text_does_not_count():
    assert span_f1([["B-X", "O"], ["O", "O"]], [["O", "O"], ["B-X", "O"]]) == 0.0


def test_nothing_right():
    assert span_f1([["O"]], [["B-X"]]) == 0.0
    assert span_f1([["B-X"]], [["O"]]) == 0.0
    assert span_f1([["O"]], [["O"]]) == 0.0
    assert span_f1([], []) == 0.0


def test_spans_give_back_the_tags():
    """Written as tags and read again, random spans are the same."""
    draw = random.Random(0)
    for _ in range(300):
        tags, spans, t = [], [], 0
        while t < 20:
            if draw.random() < 0.5:
                length, kind = draw.randint(1, 4), draw.choice("XY")
                tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
                spans.append((t, t + length, kind))
                t += length
            else:
                tags.append("O")
                t += 1
        assert bio_spans(tags) == spans


def test_predictions_and_references_must_pair_up():
    with pytest.raises(ValueError, match="zip"):
        span_f1([["O"]], [])


def test_only_bio_has_spans():
    """Of IOBES the ends would be missed: no F1 is better than a wrong one."""
    assert has_spans(["O", "B-X", "I-X"]) and has_spans(["B-X"])
    assert not has_spans(["O", "B-X", "I-X", "E-X", "S-X"])
    assert not has_spans(["O"]) and not has_spans(["NOUN", "VERB"]) and not has_spans([])
