"""Explanations drawn: what adds is orange, what takes is blue, and nothing of a user's text runs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gatewise.inspection.attribution import Attribution
from gatewise.inspection.probes import Probe, Probes, Unit
from gatewise.reports import attributions, probes, style
from gatewise.reports.attributions import Explained, drawing, page_of, text

RNG = np.random.default_rng(0)
SIDES = ("orange", "blue")
HOSTILE = '<script>alert("x")</script>'


def explained(values, inputs, axis=None, features=(), method="integrated-gradients"):
    one = Attribution(values, method, f"log-odds of {HOSTILE}", 1.5, 0.01, 2.0, 32)
    return Explained(one, axis or [str(step) for step in range(len(values))], features, inputs)


def figure_of(html):
    """What plotly is given."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])


def test_words_are_orange_for_and_blue_against():
    drawn = text(["good", "film", HOSTILE, "bad"], np.array([1.0, 0.001, 0.5, -0.5]))
    assert '<span class="for" style="--s:1.00" title="+1">good</span>' in drawn
    assert '<span class="against" style="--s:0.50" title="-0.5">bad</span>' in drawn
    assert " film " in drawn  # without a shade
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_all_pages_have_the_same_colours_the_same_way_round():
    """Orange above the middle and blue below: of the figures, of words, of the explorer, and in the sentences."""
    files = Path(attributions.__file__).parent
    css = (files / "page.css").read_text()
    dark = css[css.index("prefers-color-scheme: dark") :]
    variable = {name: tuple(map(int, re.search(rf"--{name}: (\d+) (\d+) (\d+);", dark).groups())) for name in SIDES}
    assert variable == {"orange": style.FOR, "blue": style.AGAINST}
    assert ".for { --shade: var(--orange); }" in css
    assert ".against { --shade: var(--blue); }" in css
    assert [stop for stop, _ in style.DIVERGING] == [0, 0.5, 1]
    assert style.DIVERGING[0][1] == "rgb({},{},{})".format(*style.AGAINST)
    tools = (files / "explorer_tools.js").read_text()
    for stops in re.findall(r"\[([^]]*)\]", tools[tools.index("const DIVERGING") : tools.index("const LINES")]):
        colours = [bytes.fromhex(stop) for stop in re.findall(r'"(\w{6})"', stops)]
        assert all(colour[2] > colour[0] for colour in colours[:2])  # the lowest are blue
        assert all(colour[0] > colour[2] for colour in colours[-2:])  # the highest are orange
    assert 'share < 0 ? "--blue" : "--orange"' in (files / "explorer.js").read_text()
    assert "Orange speaks for the answer, blue against it" in attributions.legend(
        explained(np.ones(3), None).attribution
    )
    assert "Orange: the cell state is above its mean here, blue: below" in probes.READ


def test_characters_stand_as_in_the_text():
    drawn = text(list("a b\nc"), np.array([1.0, -1.0, 0.0, 1.0, 1.0]))
    assert re.sub(r"<[^>]*>", "", drawn) == "a b↵\nc"


def test_a_long_text_is_shown_where_it_says_most():
    values = np.zeros(20_000)
    values[15_000] = 1
    drawn = text(["x"] * 20_000, values)
    assert len(drawn) < 7_000
    assert 'title="+1"' in drawn
    assert drawn.count("…") == 2


@pytest.mark.parametrize("steps", [1, 40, 3000])
@pytest.mark.parametrize("channels", [1, 3])
def test_lines_have_points_in_the_colours_of_the_strip_below(steps, channels):
    values, inputs = RNG.normal(size=(steps, channels)), RNG.normal(size=(steps, channels))
    features = tuple("abc"[:channels])
    data = figure_of(drawing(explained(values, inputs, features=features)))["data"]
    strip = data[-1]
    assert strip["type"] == "heatmap"
    assert strip["zmin"] == -strip["zmax"]  # nothing has no colour
    assert np.shape(strip["z"]) == (channels, min(steps, 500))
    np.testing.assert_allclose(np.sum(strip["z"]), values.sum(), rtol=1e-3)  # nothing is lost in thinning
    points = [trace for trace in data if trace.get("mode") == "markers"]
    assert len(points) == channels
    for k, trace in enumerate(points):
        assert (trace["marker"]["cmin"], trace["marker"]["cmax"]) == (strip["zmin"], strip["zmax"])
        np.testing.assert_allclose(trace["marker"]["color"], values[trace["x"], k], rtol=1e-4)
        assert len(trace["marker"]["size"]) == len(trace["x"])


def test_missing_values_are_gaps():
    inputs = RNG.normal(size=(10, 1))
    inputs[3] = np.nan
    data = figure_of(drawing(explained(RNG.normal(size=(10, 1)), inputs)))["data"]
    assert data[0]["y"][3] is None


def test_many_channels_are_a_map_with_the_input_above():
    values, inputs = RNG.normal(size=(30, 20)), RNG.normal(size=(30, 20)) * 100
    figure = figure_of(drawing(explained(values, inputs, features=tuple(map(str, range(20))))))
    assert [trace["type"] for trace in figure["data"]] == ["heatmap", "heatmap"]
    np.testing.assert_allclose(figure["data"][0]["z"], values.T, rtol=1e-4)
    domains = [figure["layout"][axis]["domain"] for axis in ("yaxis", "yaxis2")]
    assert domains[0][1] < domains[1][0]


def test_films_are_a_strip_and_drawings_a_path():
    film = figure_of(drawing(explained(RNG.normal(size=(8, 4, 4, 3)), RNG.random((8, 4, 4, 3)))))["data"]
    assert len(film) == 1
    path = figure_of(drawing(explained(RNG.normal(size=9), RNG.random((9, 56)), [f"point {k}" for k in range(9)])))
    assert path["layout"]["yaxis"]["autorange"] == "reversed"  # y grows downwards
    assert len(path["data"][0]["marker"]["color"]) == 9


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion", "attention"])
def test_a_page_says_how_to_read_it(method):
    one = explained(np.abs(RNG.normal(size=(12, 1))), RNG.normal(size=(12, 1)), method=method)
    page = page_of(one.attribution, one.axis, one.features, one.inputs, title=f"Why {HOSTILE}?")
    assert HOSTILE not in page
    told = {"integrated-gradients": "added up", "occlusion": "the score fell", "attention": "where a model looked"}
    assert told[method] in page
    assert ("Left over" in page) == (method != "attention")


def test_windows_that_were_occluded_stand_in_one_line():
    values = np.repeat([0.1, 0.4, -0.2], [4, 4, 2])[:, None]
    one = Attribution(values, "occlusion", "y", 1.0, 0.0, 2.0, 3, window=4)
    table = attributions.strongest(Explained(one, [str(step) for step in range(10)], (), values))
    assert re.findall(r">([^<>]*to[^<>]*|[+-][^<>]*)</t", table) == [
        "4 to 7",
        "+1.6",
        "0 to 3",
        "+0.4",
        "8 to 9",
        "-0.4",
    ]


def test_what_is_not_exact_says_so():
    one = Attribution(np.ones((3, 1)), "integrated-gradients", "y", 1.0, 0.5, 2.0, 1024, complete=False)
    assert "not exact" in attributions.facts(one)


def test_nothing_at_all_is_drawn_too():
    figure_of(drawing(explained(np.zeros((4, 1)), np.zeros((4, 1)))))
    assert "<span" not in text(["a", "b"], np.zeros(2))


def test_units_are_shown_on_the_text():
    nothing = [float("nan")] * 3
    found = Probes(
        (
            Probe("position in the line", "number", Unit("l", 0, 3), 0.8, 0.7, 0.1, "follows", (1.0, 2.0, 3.0)),
            Probe("a digit", "yes-no", None, *nothing, "absent"),
        ),
        100,
        8,
        ("Of a lot a little was read.",),
        ("a", "<", "c"),
    )
    page = probes.page_of(found, title=HOSTILE)
    assert HOSTILE not in page
    assert '<span class="against" style="--s:1.00" title="-1">a</span>' in page
    assert "Position in the line: unit 3 of l, r 0.70 (follows)" in page
    assert "Of a lot a little was read." in page
