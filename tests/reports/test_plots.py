import json

import numpy as np
import pytest

from gatewise.reports import class_plots, measures, plots
from gatewise.reports.style import label, marks, template, thin
from gatewise.reports.words import shorten, told_apart


def test_thin_keeps_peaks_gaps_and_ends():
    values = np.sin(np.arange(100_000) / 50)
    values[31_234], values[70_001] = 99.0, -99.0
    values[50_000:50_800] = np.nan
    kept = thin(values)
    assert len(kept) <= 500
    assert {0, 31_234, 70_001, 99_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    assert np.isnan(values[kept]).any()
    assert thin(np.arange(500.0)).tolist() == list(range(500))


def test_sequence_has_a_gap_where_values_are_missing_and_marks_lone_points():
    values = np.ones((40, 1))
    values[[3, 5, 6]] = np.nan  # step 4 stands alone
    (trace,) = plots.sequence(values, channels=["x"]).data
    assert [step for step, value in zip(trace.x, trace.y, strict=True) if value is None] == [3, 5, 6]
    assert trace.mode == "lines+markers"
    assert [step for step, size in enumerate(trace.marker.size) if size] == [4]
    assert marks(np.ones(40))["mode"] == "lines"


@pytest.mark.parametrize(
    "values", [np.ones((1, 2)), np.full((1, 1), np.nan), np.zeros((0, 1)), np.full((60, 1), 1e300)]
)
def test_sequence_of_any_kind_is_plain_json(values):
    figure = plots.sequence(values, channels=[f"c{i}" for i in range(values.shape[1])], value_range=(0.0, 0.0))
    assert json.loads(figure.to_json())["data"]


def test_answers_are_the_numbers_given():
    reference, prediction = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2) + 0.5
    traces = plots.answers(reference, prediction, names=["a", "b"]).data
    assert [trace.name for trace in traces] == ["right a", "said a", "right b", "said b"]
    assert [list(trace.y) for trace in traces] == [[0, 2, 4], [0.5, 2.5, 4.5], [1, 3, 5], [1.5, 3.5, 5.5]]
    assert traces[0].line.color == traces[1].line.color != traces[2].line.color


def test_histogram_counts_every_finite_value_once():
    values = {"a": np.array([1, 1, 2, 5]), "b": np.array([2.0, np.nan, np.inf])}
    first, second = plots.histogram(values, title="steps").data
    assert dict(zip(first.x, first.y, strict=True)) == {1: 0.5, 2: 0.25, 3: 0, 4: 0, 5: 0.25}
    assert dict(zip(second.x, second.y, strict=True))[2] == 1
    wide = plots.histogram({"a": np.random.default_rng(0).normal(0, 1, 1000)}, title="x").data[0]
    assert sum(wide.y) == pytest.approx(1)
    assert not plots.histogram({"a": np.array([np.nan])}, title="x").data


def test_confusion_shows_counts_shares_and_rows_without_sequences():
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2]])
    (trace,) = class_plots.confusion(counts, classes=["a", "b", "c"]).data
    assert [list(row) for row in trace.z] == [[0.75, 0.25, 0], [0, 0, 0], [0, 0.5, 0.5]]
    assert [list(row) for row in trace.text] == [
        ["3<br>75.0%", "1<br>25.0%", ""],
        ["", "", ""],
        ["", "2<br>50.0%", "2<br>50.0%"],
    ]
    large = class_plots.confusion(np.eye(50, dtype=int), classes=[str(k) for k in range(50)])
    assert large.data[0].text is None
    assert 800 <= large.layout.height <= 1000


def test_roc_marks_the_threshold():
    chances, positive = np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True])
    figure = class_plots.roc(measures.threshold_curve(chances, positive), chosen=(0.5, 0.5), threshold=0.55)
    _, curve, mark = figure.data
    assert list(zip(curve.x, curve.y, strict=True)) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert (mark.x[0], mark.y[0], mark.name) == (0.5, 0.5, "threshold 0.55")


def test_many_points_are_drawn_by_lot():
    actual = np.arange(50_000.0)
    points = plots.predicted_against_actual(actual + 1, actual, name="y").data[1]
    assert len(points.x) == 2000
    assert all(y == pytest.approx(x + 1, rel=1e-4) for x, y in zip(points.x, points.y, strict=True))


def test_labels_are_escaped_and_short():
    assert label("<b>&") == "&lt;b&gt;&amp;"
    assert shorten("x" * 100, 24) == "x" * 12 + "…" + "x" * 11
    names = [f"a very long beginning {k} and a very long end" for k in range(30)]
    assert len(set(told_apart(names, 12))) == 30


def test_templates_differ_only_in_colour():
    light, dark = template(), template(dark=True)
    assert light["layout"]["font"]["color"] != dark["layout"]["font"]["color"]
    assert light["layout"].keys() == dark["layout"].keys()
