"""The explorer of runs of every kind: what stands on the page is what the run's own functions say."""

import base64
import datetime
import json
import re

import numpy as np
import polars as pl
import pytest

import gatewise
from gatewise.api.explorer import explore
from gatewise.api.explorer_items import item_of
from gatewise.api.explorer_sample import look_through
from gatewise.api.pages import check_page
from gatewise.data.corpus import CorpusAdapter
from gatewise.errors import OptionError, RunError
from reports.browser import BROWSER, ask
from small_runs import RATE, trained, trained_on_tones
from texts import train_all

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12, 2)) * [1, 5] + [0, 3]
X[:, 4, 0] += 6 * (np.arange(40) % 2)
CLASSES = np.array(["low", "high"])[np.arange(40) % 2]


def content_of(page):
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)[1])


def unpacked(packed):
    whole = np.frombuffer(base64.b64decode(packed["d"]), "<u2" if packed["most"] > 255 else "u1")
    low, high = (np.reshape(packed[bound], (-1, 1)) for bound in ("lo", "hi"))
    return low + (high - low) * whole.reshape(packed["rows"], packed["columns"]) / packed["most"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    more = {"train.epochs": 12, "train.lr": 0.02, "model.stem_channels": [4], "model.stem_kernel_sizes": [3]}
    return trained("classification", tmp_path_factory.mktemp("a") / "run", X, CLASSES, **more)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return train_all(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def page(run):
    data = gatewise.data.from_python(X, CLASSES)
    return data, content_of(explore(run, data, rows=[3, 0]).html)


def test_values_are_those_of_the_trace(run, page):
    data, content = page
    found = run.trace(data, rows=[3])
    layer = found.trace.layers[0]
    stretch = content["rows"][0]["layers"][0]
    assert [row["row"] for row in content["rows"]] == [3, 0]
    assert stretch["columns"] == layer.cell.shape[1] == int(layer.lengths[0])
    cover = found.trace.covers(0, 0)
    assert [stretch["begin"], stretch["end"]] == [cover[0, 0], cover[-1, 1]]
    for d in (0, 1):
        for name in ("input_gate", "forget_gate", "output_gate", "candidate", "cell", "hidden"):
            truth = getattr(layer, name)[0, :, d].T.numpy()
            np.testing.assert_allclose(unpacked(stretch["directions"][d][name]), truth, atol=1e-3)
    assert content["layers"][0]["title"] == layer.name


def test_the_answer_and_what_decided_are_those_of_the_run(run, page):
    data, content = page
    row = content["rows"][0]
    facts = {name: (value, note) for name, value, note in row["facts"]}
    probability = run.predict_proba(X)[3].max()
    assert facts["Answer"] == (run.predict(X)[3], f"probability {probability:.1%}")
    assert facts["Truth"][0] == CLASSES[3]
    assert row["right"] is bool(run.predict(X)[3] == CLASSES[3])
    explained = run.explain(data, row=3)
    strip = unpacked(row["strips"][0]["packed"])
    np.testing.assert_allclose(strip[0], explained.per_step, atol=1e-3 * np.abs(explained.per_step).max() + 1e-6)
    begin, end = row["decisive"]
    size = np.abs(explained.per_step)
    assert size[int(begin) : int(end)].sum() >= size.sum() / 2 - 1e-9
    assert np.isclose(unpacked(row["lines"]["packed"]), X[3].T, atol=1e-2).all()
    assert facts["Memory"][0].endswith("steps")
    some = np.linspace(0, 39, 32).round().astype(int).tolist()
    assert content["memory"]["words"][0] == run.memory(data, rows=some).words


def test_units_and_examples_are_those_of_the_data_set(run, page):
    data, content = page
    layer, summary = content["layers"][0], run.units(data)[0]
    np.testing.assert_allclose(np.array(layer["half_life"], float), summary.half_life, rtol=1e-3)
    assert layer["orders"][0]["units"][1] == np.argsort(-summary.half_life[1], kind="stable").tolist()
    examples, each = layer["examples"]["input"], layer["examples"]["each"]
    gates = run.trace(data, rows=range(40)).trace.layers[0].input_gate  # [B, T', D, H]
    best = gates.amax(1)  # [B, D, H]
    for d, unit in ((0, 0), (1, 3)):
        place = (d * 4 + unit) * each
        assert examples["value"][place] == pytest.approx(float(best[:, d, unit].max()), abs=2e-3)
        item = content["gallery"][examples["sequence"][place]]
        assert float(best[item["row"], d, unit]) == pytest.approx(examples["value"][place], abs=2e-3)
        assert item["truth"] == CLASSES[item["row"]]


def test_rows_are_chosen_with_right_and_wrong_answers_among_them(run):
    said = np.array(run.predict(X))
    wrong = [12, 25]
    answers = said.copy()
    answers[wrong] = [{"low": "high", "high": "low"}[one] for one in said[wrong]]
    content = content_of(explore(run, X, answers).html)
    assert len(content["rows"]) == 8
    assert [row["row"] for row in content["rows"] if not row["right"]] == wrong
    plain = content_of(explore(run, X, count=2).html)  # without answers
    assert [row["row"] for row in plain["rows"]] == [0, 1]
    assert plain["rows"][0]["right"] is None
    assert "Truth" not in str(plain["rows"][0]["facts"])


@pytest.mark.parametrize("task", ["text-classification", "tagging", "language-model", "translation"])
def test_texts(texts, task, tmp_path):
    run = gatewise.load(texts / task)
    found = sorted(texts.glob(f"{task}.*"))
    data = ",".join(map(str, found)) if task == "translation" else found[0]
    content = content_of(explore(run, data, count=2).html)
    assert content["kind"] == "tokens"
    row = content["rows"][0]
    assert len(row["names"]) == row["steps"]
    assert row["strips"][0]["packed"]["columns"] == row["steps"]
    if task == "tagging":
        assert any(why.startswith(("Tagged: ", "Nothing in it")) for why in row["why"])
    if task == "language-model":
        assert [strip["names"] for strip in row["strips"]] == [["decided"], ["surprise"]]
        bits = run.predict(data)[0].bits
        np.testing.assert_allclose(unpacked(row["strips"][1]["packed"])[0], bits, atol=1e-3 * max(bits))
        assert [row["carried"] for row in content["rows"]] == [False, True]
    if task == "translation":
        assert content["memory"] is None
        assert "attention" in content["left_out"]["memory"]
    else:
        assert content["memory"]["curves"]


def test_numbers_for_every_step_and_series(tmp_path):
    each = trained("regression", tmp_path / "each", list(X), [x[:, :1] * 2 for x in X])
    row = content_of(explore(each, X, count=1).html)["rows"][0]
    assert row["strips"][0]["names"][0] == "all"
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(90)]
    values = 50 + 10 * np.sin(np.arange(90) * 2 * np.pi / 7) + RNG.normal(size=90)
    frame = pl.DataFrame({"day": days, "sales": values, "heat": RNG.normal(size=90)})
    settings = {"data.time": "day", "data.target": "sales", "data.series.past": "heat", "train.batch_size": 8,
                "data.series.context_length": 14, "data.series.horizon": 7}  # fmt: skip
    run = trained("forecasting", tmp_path / "run", frame, **settings)
    content = content_of(explore(run, frame).html)
    row = content["rows"][0]
    assert row["names"][-1] == str(days[-1])
    assert row["lines"]["names"] == ["sales", "heat"]
    np.testing.assert_allclose(unpacked(row["lines"]["packed"])[0], values[-14:], atol=0.01)


def test_sound_whose_quiet_ends_are_left_out(tmp_path):
    run, sounds = trained_on_tones(tmp_path / "run")
    content = content_of(explore(run, sounds, rows=[1]).html)
    row = content["rows"][0]
    stretch = row["layers"][0]
    assert 0.15 < stretch["begin"] / RATE < 0.25
    assert 0.35 < stretch["end"] / RATE < 0.45
    assert row["picture"]["source"].startswith("data:image/png;base64,")
    places = content["layers"][0]["examples"]["cell"]
    known = [step / RATE for sequence, step in zip(places["sequence"], places["step"], strict=True) if sequence >= 0]
    assert min(known) > 0.15
    assert max(known) < 0.45


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_a_real_page_runs_without_an_error(run, tmp_path):
    question = 'answers.title = document.getElementById("panel-title").textContent;'
    answers = ask(explore(run, X, count=2).html, question, tmp_path, fragment="#row=1&step=4&unit=2")
    assert answers == {"title": "Unit 2, step 4", "failures": [], "requests": []}


def test_a_page_without_room_shows_fewer_sequences(run, monkeypatch):
    whole = explore(run, X, count=4)
    monkeypatch.setattr("gatewise.api.explorer.SAFE", 800)
    found = explore(run, X, count=4)
    assert whole.notes == []
    assert content_of(whole.html)["most"] == 65535
    content = content_of(found.html)
    assert (content["most"], len(content["rows"])) == (255, 2)
    assert "room for 2 sequences of 4" in found.notes[0]


def test_mistakes_are_told_in_a_line(run, tmp_path):
    with pytest.raises(OptionError, match=r"rows: expected 0 to 39, got 40. memory has 40 sequences"):
        explore(run, X, rows=[0, 40])
    with pytest.raises(OptionError, match=r"count: expected at least 1, got 0"):
        explore(run, X, count=0)
    gru = trained("classification", tmp_path / "gru", X, CLASSES, **{"model.encoder": "gru"})
    with pytest.raises(OptionError, match=r"inspect: expected a model with LSTM layers"):
        explore(gru, X)
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises(RunError, match="got one that exists"):
        check_page(tmp_path / "there.html", overwrite=False)
    with pytest.raises(OptionError, match=r"\.html, got"):
        check_page(tmp_path / "page.pdf", overwrite=False)
    with pytest.raises(RunError, match="expected a folder to write to"):
        check_page(tmp_path / "nowhere" / "page.html", overwrite=False)


def test_a_text_is_encoded_once_for_all_examples(texts, monkeypatch):
    run = gatewise.load(texts / "language-model")
    looked = look_through(run, run.read(texts / "language-model.txt"), 200)
    monkeypatch.setattr(CorpusAdapter, "encode", lambda *args: pytest.fail("once more"))
    items = [item_of(run, looked, place) for place in range(3)]
    assert [item.name for item in items] == ["stretch 0", "stretch 1", "stretch 2"]
    assert all(item.steps == len(item.names) for item in items)


def test_advice_is_in_the_words_of_python(run):
    with pytest.raises(OptionError, match=r"^out: expected a name ending in \.html, got .x\.pdf.\."):
        run.inspect(X, out="x.pdf")


def test_the_run_writes_its_page(run):
    path = run.inspect(X, rows=[1])
    assert path == run.path / "inspect.html"
    assert content_of(path.read_text(encoding="utf-8"))["rows"][0]["row"] == 1
