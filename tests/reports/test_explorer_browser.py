"""The explorer in a real browser: it draws what it was given, keys and the address steer it, nothing leaves it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gatewise.reports import explorer_parts as parts
from gatewise.reports.explorer import render
from reports import invented_traces
from reports.browser import BROWSER, ask

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")

NAMES = ("input_gate", "forget_gate", "output_gate", "candidate", "cell", "hidden")


@pytest.fixture(scope="module")
def trace():
    return invented_traces.layer_trace([60, 45])


def order_of(page, key):
    return next(order.units[0] for order in page.layers[0].orders if order.key == key)


GO = """
    const panel = async (address) => {
      location.hash = address;
      await new Promise((done) => setTimeout(done, 40));
      await drawn();
      const texts = (where) =>
        [...document.querySelectorAll(where)].map((one) => one.textContent.replaceAll("\\u2212", "-"));
      return { values: texts("#values td:last-child"), equations: texts("#equations div div") };
    };
"""


@pytest.mark.parametrize("most", [parts.FINE, parts.COARSE])
def test_the_panel_shows_the_values_of_the_trace_and_the_equation_adds_up(trace, most, tmp_path):
    question = GO + "".join(
        f'answers.of{direction} = await panel("#row=3&step=31&unit=7&direction={direction}");' for direction in (0, 1)
    )
    answers = ask(render(invented_traces.explorer(most=most)), question, tmp_path)
    assert answers["failures"] == []
    assert answers["requests"] == []
    for direction, before in ((0, 30), (1, 32)):
        shown = answers[f"of{direction}"]
        spreads = [1.0] * 3 + [float(np.ptp(getattr(trace, name)[1, :45, direction, 7].numpy())) for name in NAMES[3:]]
        for name, value, spread in zip(NAMES, shown["values"], spreads, strict=True):
            right = float(getattr(trace, name)[1, 31, direction, 7])
            assert float(value) == pytest.approx(right, abs=0.0051 + spread / most), name
        if most == parts.COARSE:
            assert all("≈" in line for line in shown["equations"][1:3])
            continue
        f, held, i, g = map(float, re.findall(r"-?\d+\.\d+", shown["equations"][1]))
        c = float(shown["equations"][2].removeprefix("= "))
        assert held == pytest.approx(float(trace.cell[1, before, direction, 7]), abs=0.0051)
        assert f * held + i * g == pytest.approx(c, abs=0.03)
        assert c == pytest.approx(float(trace.cell[1, 31, direction, 7]), abs=0.0051)


@pytest.mark.parametrize("zoneout", [0.0, 0.6])
def test_the_half_life_of_a_step_is_that_of_its_gate_and_zoneout(trace, zoneout, tmp_path):
    question = f"""{GO}
    await panel("#row=3&step=31&unit=7&direction=0");
    answers.notes = document.getElementById("unit-notes").textContent;
    """
    page = invented_traces.explorer()
    page = replace(page, layers=[replace(layer, zoneout=zoneout) for layer in page.layers])
    answers = ask(render(page), question, tmp_path)
    stays = zoneout + (1 - zoneout) * float(trace.forget_gate[1, 31, 0, 7])
    found = re.search(r"at the gate of this step alone: ([\d.]+) steps", answers["notes"])
    half_life = np.log(2) / -np.log(stays)
    assert float(found[1]) == pytest.approx(half_life, abs=0.051 if half_life < 10 else 0.51)


def test_keys_move_through_time_and_units_and_the_address_keeps_it(tmp_path):
    question = """
    const heat = document.getElementById("heat"), at = () => new URLSearchParams(location.hash.slice(1));
    answers.start = location.hash;
    await press(document.body, "ArrowRight"); answers.right = at().get("step");
    await press(document.body, "ArrowLeft", { shiftKey: true }); answers.far = at().get("step");
    await press(document.body, "ArrowDown"); answers.untouched = at().get("unit");
    heat.focus(); answers.focus = document.activeElement.id;
    await press(heat, "ArrowDown"); answers.down = at().get("unit");
    await press(heat, "End"); answers.end = at().get("step");
    await press(heat, "Home"); answers.home = at().get("step");
    await press(heat, "+"); answers.zoom = at().get("zoom");
    const quantity = document.getElementById("quantity");
    quantity.value = "cell"; quantity.dispatchEvent(new Event("change")); await drawn();
    answers.quantity = at().get("quantity"); answers.heading = document.getElementById("layer-title").textContent;
    document.getElementById("after").click(); await drawn(); answers.row = at().get("row");
    answers.truth = [...document.querySelectorAll("#facts strong")].map((one) => one.textContent);
    answers.verdict = document.getElementById("right").textContent;
    const slider = document.getElementById("step");
    slider.value = "7"; slider.dispatchEvent(new Event("input")); await drawn(); answers.slid = at().get("step");
    answers.said = heat.getAttribute("aria-valuetext");
    location.hash = "#row=0&step=12&unit=4"; await new Promise((done) => setTimeout(done, 50)); await drawn();
    answers.restored = document.getElementById("panel-title").textContent;
    """
    order = order_of(invented_traces.explorer(), "half_life")
    unit = order[3]
    answers = ask(
        render(invented_traces.explorer()), question, tmp_path, fragment=f"#row=0&step=20&unit={unit}&order=half_life"
    )
    assert answers["failures"] == []
    assert answers["right"] == "21"
    assert answers["far"] == "11"
    assert answers["untouched"] == str(unit)  # the page scrolls; units move where a picture has the focus
    assert answers["focus"] == "heat"
    assert answers["down"] == str(order[4])
    assert (answers["end"], answers["home"]) == ("59", "0")
    assert answers["zoom"] == "30"
    assert answers["quantity"] == "cell"
    assert answers["heading"].startswith("Cell state of every unit")
    assert (answers["row"], answers["verdict"], answers["truth"][1]) == ("3", "wrong", "wild")
    assert answers["slid"] == "7"
    assert answers["said"].startswith(f"step 7, unit {order[4]}: input gate 0.")
    assert answers["restored"] == "Unit 4, step 12"


def test_the_heat_map_has_the_colours_of_the_values(trace, tmp_path):
    """A pixel in the middle of a cell, in the order of the units that was chosen, on the axis that the steps share."""
    question = """
    const heat = document.getElementById("heat"), pen = heat.getContext("2d");
    answers.pixels = [[0, 50], [3, 10], [11, 44], [6, 30]].map(([line, step]) => {
      const x = 84 + ((step + 0.5) / 60) * (heat.width - 84 - 14), y = 4 + (line + 0.5) * 14;
      return [...pen.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3);
    });
    """
    page = invented_traces.explorer()
    order = order_of(page, "input_mean")
    answers = ask(render(page), question, tmp_path, fragment="#row=0&step=5&unit=0&order=input_mean")
    for pixel, (line, step) in zip(answers["pixels"], [(0, 50), (3, 10), (11, 44), (6, 30)], strict=True):
        if order[line] == 0:
            continue
        value = float(trace.input_gate[0, step, 0, order[line]])
        assert np.abs(np.array(pixel) - parts._viridis()[round(255 * value)].astype(int)).max() <= 4, (line, step)


@pytest.mark.parametrize(("kind", "dark"), [("numbers", True), ("tokens", False), ("sound", True)])
def test_every_kind_is_drawn_without_errors_on_a_narrow_screen(kind, dark, tmp_path):
    question = """
    answers.wide = document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1;
    answers.blank = [...document.querySelectorAll("canvas[id]")].filter((one) => {
      const pixels = one.getContext("2d").getImageData(0, 0, one.width, one.height).data;
      return !one.closest("[hidden]") && !pixels.some((value) => value);
    }).map((one) => one.id);
    answers.unnamed = [...document.querySelectorAll("select, input, button, canvas")].filter((one) =>
      !one.closest("[hidden]") && !one.getAttribute("aria-label") && !one.closest("label") && !one.textContent
    ).map((one) => one.outerHTML);
    const lives = document.getElementById("lives");
    const seen = lives.getContext("2d").getImageData(0, 0, lives.width, lives.height).data;
    const dots = seen.filter((value, at) => at % 4 === 2 && value - seen[at - 2] > 60).length;  // bluer than red
    answers.dots = dots > 50;
    """
    answers = ask(render(invented_traces.explorer(kind)), question, tmp_path, size=(500, 900), dark=dark)
    assert answers == {"wide": True, "blank": [], "unnamed": [], "dots": True, "failures": [], "requests": []}


def test_hostile_text_stays_text(tmp_path):
    evil = '</script><img src=x onerror="failures.push(1)"><script>failures.push(2)</script>'
    page = invented_traces.explorer("tokens", evil=evil)
    answers = ask(render(page), "answers.images = document.images.length;", tmp_path)
    assert answers == {"images": 0, "failures": [], "requests": []}


def test_a_layer_with_fewer_steps_than_the_input_moves_by_its_own_steps(tmp_path):
    question = """
    const at = () => new URLSearchParams(location.hash.slice(1)).get("step");
    await press(document.body, "ArrowRight"); answers.first = at();
    await press(document.body, "ArrowRight"); answers.second = at();
    answers.slider = document.getElementById("step").max;
    """
    answers = ask(
        render(invented_traces.explorer(stride=4, lengths=(60, 44))), question, tmp_path, fragment="#row=0&step=2"
    )
    assert answers["failures"] == []
    assert (answers["first"], answers["second"], answers["slider"]) == ("6", "10", "14")
