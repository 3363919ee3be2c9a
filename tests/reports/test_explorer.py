"""The explorer's records from arrays, and its page as text; in a browser it is tried by test_explorer_browser.py."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data.corpus import Surprisal
from gatewise.reports import explorer_parts as parts
from gatewise.reports.explorer import render
from gatewise.reports.explorer_words import decided, shortest, told
from gatewise.types import Prediction
from reports import invented_traces


def unpacked(packed):
    """What the page's script makes of it."""
    whole = np.frombuffer(base64.b64decode(packed.d), "<u2" if packed.most > 255 else "u1")
    low, high = (np.reshape(bound, (-1, 1)) for bound in (packed.lo, packed.hi))
    return low + (high - low) * whole.reshape(packed.rows, packed.columns) / packed.most


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sampled_from([parts.FINE, parts.COARSE]),
)
def test_packed_values_are_off_by_half_a_step_at_most(rows, most):
    values = np.array(rows)
    packed = parts.pack(values, most)
    step = np.ptp(values, axis=1, keepdims=True) / most
    # The bounds of a row are written with six digits.
    assert (np.abs(unpacked(packed) - values) <= step / 2 + 1e-5 * np.abs(values).max(1, keepdims=True) + 1e-9).all()


def test_packing_keeps_constants_and_survives_what_is_not_finite():
    packed = parts.pack(np.array([[3.0, 3.0], [np.nan, np.nan], [np.inf, 1.0]]), parts.FINE)
    assert unpacked(packed)[0] == pytest.approx([3, 3], rel=1e-5)
    assert np.isfinite(unpacked(packed)).all()
    json.dumps([packed.lo, packed.hi], allow_nan=False)


@given(st.integers(1, 60), st.integers(1, 9))
def test_means_of_bins_are_means(steps, per):
    values = np.random.default_rng(steps).normal(size=(steps, 3))
    found = parts.means(values, per)
    assert len(found) == -(-steps // per)
    for k, mean in enumerate(found):
        np.testing.assert_allclose(mean, values[k * per : (k + 1) * per].mean(0))


def test_long_sequences_are_thinned_and_the_page_says_so():
    layer = invented_traces.layer_trace([4500], units=2, directions=1)
    per = parts.bins(4500)
    thin = parts.thinned(layer, per)
    assert (per, thin.cell.shape[1], int(thin.lengths[0])) == (3, 1500, 1500)
    torch.testing.assert_close(thin.cell[0, 7], layer.cell[0, 21:24].mean(0))
    made = parts.stretch(thin, 0, (0, 4500), parts.COARSE, per=per)
    assert (made.columns, made.per) == (1500, 3)


def test_a_long_line_keeps_its_peaks():
    values = np.random.default_rng(0).normal(size=(50_000, 2))
    values[31_234, 1] = 99.0
    values[5, 0] = np.nan
    made = parts.lines_of(values, ("a", "b"))
    assert made.packed.columns <= parts.POINTS
    assert unpacked(made.packed)[1].max() == pytest.approx(99.0, rel=1e-4)
    place = made.places[int(unpacked(made.packed)[1].argmax())]
    assert abs(place - 31_234) < 50_000 / parts.POINTS * 2
    assert made.places == sorted(made.places)


def test_missing_values_are_gaps_and_important_channels_come_first():
    values = np.arange(12.0).reshape(4, 3)
    values[2, 1] = np.nan
    made = parts.lines_of(values, ("a", "b", "c"), important=np.array([1.0, 9.0, 5.0]))
    assert made.missing == [1 * 4 + 2]
    assert made.first == [1, 2, 0]
    assert (made.low[1], made.high[1]) == (1.0, 10.0)


def test_the_strip_of_several_channels_begins_with_their_sum():
    values = np.array([[1.0, -2.0], [3.0, 0.5]])
    made = parts.strip(values, ("a", "b"), "", (0, 2))
    assert made.names == ["all", "a", "b"]
    assert unpacked(made.packed)[0] == pytest.approx([-1, 3.5], abs=1e-3)
    assert made.diverging
    assert parts.strip(values, (), "", (0, 2)).names == ["decided"]  # features without names: their sum alone


def test_units_are_sorted_by_what_they_do():
    trace = invented_traces.layer_trace([20], units=5)
    summary = invented_traces.summary(trace)
    orders = {order.key: order.units for order in parts.orders_of(summary, ("x",))}
    assert orders["half_life"][0][0] == 0  # the one that never forgets
    for d in (0, 1):
        assert summary.input_mean[d][orders["input_mean"][d]].tolist() == sorted(summary.input_mean[d], reverse=True)
        strength = np.abs(summary.with_class[d]).max(-1)
        assert strength[orders["with_class"][d]].tolist() == sorted(strength, reverse=True)
    layer = parts.layer_of(trace, parts.spans_of([trace]), summary)
    assert layer.half_life[0][0] is None
    assert layer.directions == ["forward", "reverse"]
    assert "above 0.9" in layer.habits[1][3]


def test_the_rate_at_which_a_cell_is_held_is_on_the_page():
    trace = replace(invented_traces.layer_trace([20]), zoneout=0.25)
    assert parts.layer_of(trace, parts.spans_of([trace]), None).zoneout == 0.25


def test_the_page_says_what_a_largest_singular_value_bounds():
    page = " ".join(render(invented_traces.explorer()).split())
    assert "Below 1 (dashed) every gradient shrinks in that step; above it some direction may grow." in page


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any), st.sampled_from([0.3, 0.5, 0.9, 1.0]))
def test_the_shortest_stretch_is_the_shortest(size, share):
    size = np.array(size, dtype=float)
    first, last = shortest(size, share)
    enough = share * size.sum() - 1e-9
    assert size[first:last].sum() >= enough
    lengths = [b - a for a in range(len(size)) for b in range(a + 1, len(size) + 1) if size[a:b].sum() >= enough]
    assert last - first == min(lengths)


def test_what_decided_is_told_in_the_units_of_the_input():
    values = np.array([0.0, 0.1, -3.0, 2.9, 0.01, 0.0, 0.0, 0.0])
    assert "in steps 12 to 15, 12.5% of the sequence" in decided(
        np.array([0, 0, 0, 9.0, 0, 0, 0, 0]), None, "step", target="t", rate=None, cover=(0, 32)
    )
    assert "from 1.00 to 2.00 s" in decided(values, None, "sample", target="t", rate=8, cover=(0, 32))
    assert decided(np.zeros(3), None, "step", target="t", rate=None, cover=(0, 3)) == "No part of it moved the answer."
    said = decided(values, list("abcdefgh"), "token", target="log-odds of x", rate=None, cover=(0, 8))
    assert said == "What raises the log-odds of x most: “d” (+2.90); what lowers it: “c” (\N{MINUS SIGN}3.00)."


@pytest.mark.parametrize(
    ("prediction", "reference", "verdict", "right", "words"),
    [
        (Prediction("cat", [0.2, 0.8]), "cat", "right", True, "probability 80.0%"),
        (Prediction("cat", [0.2, 0.8]), "dog", "wrong", False, "dog"),
        (Prediction("cat", [0.2, 0.8]), None, "", None, "cat"),
        (Prediction("a text"), "another", "differs", False, "another"),
        (Prediction(2.5), 2.0, "", None, "error 0.5"),
        (Prediction(["N", "V", "N"]), ["N", "V", "V"], "1 wrong", False, "2 of 3"),
        (Prediction([[1.0, 2.0], [3.0, 5.0]]), [[1.0, 2.0], [3.0, float("nan")]], "", None, "2 steps of 2"),
        (Prediction(Surprisal([1.0, 3.0], 2)), None, "", None, "2 bits"),
    ],
    ids=["right", "wrong", "unknown", "text", "number", "tags", "numbers", "surprise"],
)
def test_answers_of_every_task_are_told(prediction, reference, verdict, right, words):
    found = told(prediction, reference)
    assert (found.verdict, found.right) == (verdict, right)
    assert words in str(found.facts)


def test_the_page_is_one_file_that_may_load_nothing():
    page = render(invented_traces.explorer("sound", evil='"><img src=http://evil.example/x.png>'))
    head = page[: page.index("</head>")]
    assert "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:\"" in head
    assert "<link" not in page
    assert not re.search(r"<(img|script|iframe)[^>]*\ssrc=", page)
    content = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(content)["rows"][1]["row"] == 3


def test_what_is_missing_is_said():
    whole = invented_traces.explorer()
    reasons = {"memory": "No memory: a reason.", "explanation": "No why: a reason.", "jacobian": "No step: a reason."}
    page = render(replace(whole, memory=None, left_out=reasons))
    assert all(reason in page for reason in reasons.values())
