"""Runs compared: the same data, the same resamples, and a clear line where they cannot be."""

import math
import shutil

import numpy as np
import polars as pl
import pytest

import gatewise
from gatewise.errors import DataError, OptionError, RunError
from gatewise.reports.comparison import render
from tables import write_long, write_wide
from texts import TINY, write_corpus

QUICK = {"train.epochs": 2, "train.threads": 1, "model.hidden_sizes": [4]}


def train(task, folder, name, data, **settings):
    settings = {**QUICK, **settings}
    test = settings.pop("test", None)
    return gatewise.train(
        task, data=data, test=test, out=folder / name, settings=settings, progress=False, report=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classifications of one table, with seeds; the first twice."""
    place = tmp_path_factory.mktemp("compared")
    data, test = write_wide(place / "train.csv"), write_wide(place / "test.csv", seed=1, rows=40)
    for seed in range(3):
        train("classification", place, f"net-{seed}", data, test=test, **{"data.target": ["label"], "train.seed": seed})
    shutil.copytree(place / "net-0", place / "copy")
    return place


@pytest.fixture(scope="module")
def compared(folder):
    return gatewise.compare([folder / f"net-{seed}" for seed in range(3)], resamples=200)


def test_values_are_those_of_evaluate(compared, folder):
    assert [setup.name for setup in compared.setups] == ["net-0", "net-1", "net-2"]
    for setup in compared.setups:
        measured = gatewise.load(folder / setup.name).evaluate()
        assert setup.metrics.keys() == measured.keys() - {"count", "loss"}
        for name, one in setup.metrics.items():
            assert one.value == measured[name]
            assert one.low <= one.value <= one.high
    assert compared.count == 40
    assert compared.clusters == "40 sequences"
    assert compared.settings == {"train.seed": ("0", "1", "2")}
    assert all(
        setup.parameters > 0 and setup.rate.low <= setup.rate.value <= setup.rate.high for setup in compared.setups
    )
    assert any("Holm's correction for 2" in note for note in compared.notes)


def test_differences_are_those_of_the_values(compared):
    first, *others = compared.setups
    for setup, one in zip(others, compared.differences, strict=True):
        assert one.metrics["accuracy"].value == setup.metrics["accuracy"].value - first.metrics["accuracy"].value
        told = one.agreement
        assert told.both + told.only_first + told.only_second + told.neither == 40
        assert (told.only_second - told.only_first) / 40 == pytest.approx(one.metrics["accuracy"].value)
        assert one.p >= told.p


def test_the_table(compared):
    table = compared.table()
    assert table.shape == (12, 9)
    assert table.filter(pl.col("setup") == "net-0")["difference"].is_null().all()
    row = table.row(by_predicate=(pl.col("setup") == "net-2") & (pl.col("metric") == "f1"), named=True)
    assert row["difference_low"] == compared.differences[1].metrics["f1"].low


def test_a_run_and_its_copy_are_exactly_alike(folder):
    found = gatewise.compare([folder / "net-0", folder / "copy"], resamples=150, speed=False)
    (one,) = found.differences
    assert one.same
    assert one.p == 1.0
    assert all(tuple(estimate[:3]) == (0.0, 0.0, 0.0) for estimate in one.metrics.values())
    assert found.words == ("net-0 and copy give the same answers on 40 sequences.",)
    assert found.settings == {}
    assert math.isnan(found.setups[0].rate.value)


def test_the_order_only_turns_signs(folder, compared):
    turned = gatewise.compare([folder / "net-1", folder / "net-0"], resamples=200, speed=False)
    (back,), there = turned.differences, compared.differences[0]
    for name, estimate in back.metrics.items():
        value, low, high, _ = there.metrics[name]
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((-value, -high, -low), abs=1e-15)
    assert back.agreement.p == there.agreement.p
    assert back.agreement.only_first == there.agreement.only_second
    again = gatewise.compare([folder / "net-1", folder / "net-0"], resamples=200, speed=False)
    assert again.differences == turned.differences
    other = gatewise.compare([folder / "net-1", folder / "net-0"], resamples=200, speed=False, seed=1)
    assert other.setups[0].metrics["auroc"].low != turned.setups[0].metrics["auroc"].low


def test_several_runs_of_a_setup(folder):
    found = gatewise.compare([[folder / "net-0", folder / "net-1"], [folder / "net-2"]], resamples=200, speed=False)
    assert [setup.name for setup in found.setups] == ["net (2 runs)", "net-2"]
    single = [gatewise.load(folder / f"net-{seed}").evaluate()["accuracy"] for seed in range(3)]
    both = found.setups[0].metrics["accuracy"]
    assert both.value == pytest.approx(np.mean(single[:2]))
    assert both.deviation == pytest.approx(np.std(single[:2], ddof=1))
    (one,) = found.differences
    assert (one.test, one.agreement) == ("none", None)  # how runs of the other setup would vary, one does not tell
    assert math.isnan(one.p)
    assert math.isnan(one.metrics["f1"].low)
    assert "Nothing can be said of net (2 runs) and net-2 as setups" in found.words[0]
    assert any("net-2: a single run. Two seeds" in note for note in found.notes)
    page = render(found)
    assert "A setup of one run and one of several have no interval." in page
    assert "surer than the intervals" not in page  # which holds for two runs, where no seeds come in


def test_setups_are_compared_by_how_their_runs_vary(folder):
    groups = [[folder / "net-0", folder / "net-1"], [folder / "net-2", folder / "copy"]]
    found = gatewise.compare(groups, resamples=200, speed=False)
    (one,) = found.differences
    single = [gatewise.load(run).evaluate()["accuracy"] for group in groups for run in group]
    estimate, both = one.metrics["accuracy"], found.setups[0].metrics["accuracy"]
    assert one.test == "Student's t"
    assert estimate.value == pytest.approx(np.mean(single[2:]) - np.mean(single[:2]))
    error = np.sqrt(np.var(single[:2], ddof=1) / 2 + np.var(single[2:], ddof=1) / 2)
    assert estimate.high - estimate.low >= 2 * 2.77 * error  # t of at most n - 1 + n - 1 = 2 runs, and the data besides
    assert 0 <= both.low <= both.value <= both.high <= 1
    assert any("So few runs show large differences only" in note for note in found.notes)
    assert "Student's t" in render(found) or "Student&#x27;s t" in render(found)


def test_single_runs_are_told_to_be_no_more_than_that(compared):
    assert any("net-0, net-1, net-2: single runs. Two seeds of one setup differ too" in one for one in compared.notes)


def test_sequences_of_one_group_are_drawn_together(tmp_path):
    data, test = write_long(tmp_path / "a.csv"), write_long(tmp_path / "b.csv", seed=1)
    columns = {"data.id": "recording", "data.time": "t", "data.target": ["label"], "data.features": ["x", "y"]}
    for name, more in (("with", {"data.group": "person"}), ("without", {"data.split": "random"})):
        train("classification", tmp_path, name, data, test=test, **columns, **more)
    found = gatewise.compare([tmp_path / "with", tmp_path / "without"], resamples=100, speed=False)
    assert found.clusters == "6 groups (24 sequences)"
    assert any("rough" in note for note in found.notes)
    (one,) = found.differences
    assert one.test == "bootstrap"  # McNemar takes 24 sequences of 6 people for 24 throws of a coin
    assert math.isnan(one.agreement.p)
    page = render(found)
    assert "only with on" in page
    assert "McNemar" not in page


def test_texts_cut_into_other_stretches(tmp_path):
    data = write_corpus(tmp_path / "a.txt", count=60)
    for steps in (16, 24):
        settings = {**TINY, "data.text.steps": steps, "data.text.tokens": "characters"}
        gatewise.train("language-model", data=data, test=data, out=tmp_path / f"s{steps}", settings=settings,
                       progress=False, report=False)  # fmt: skip
    found = gatewise.compare([tmp_path / "s16", tmp_path / "s24"], resamples=100)
    assert found.clusters == "5 stretches of 528 tokens"  # 528: what both 16 and 24 divide, 512 or more
    assert found.rate_unit == "tokens"
    for setup in found.setups:
        assert setup.metrics["perplexity"].value == gatewise.load(tmp_path / setup.name).evaluate()["perplexity"]
    assert any("learnt from" in note for note in found.notes)
    assert render(found).count('class="chart"') >= 5
    settings = {**TINY, "data.text.tokens": "words"}
    gatewise.train("language-model", data=data, test=data, out=tmp_path / "words", settings=settings, progress=False,
                   report=False)  # fmt: skip
    with pytest.raises(RunError, match=r"words: expected the vocabulary of .*s16.*words, not .*characters"):
        gatewise.compare([tmp_path / "s16", tmp_path / "words"])


def test_forecasts_with_other_contexts_are_compared_on_common_windows(tmp_path):
    rng = np.random.default_rng(0)
    series = 10 + np.sin(np.arange(160) * np.pi / 3) + 0.1 * rng.normal(size=160)
    pl.DataFrame({"y": series}).write_csv(tmp_path / "a.csv")
    for context in (12, 24):
        settings = {
            "train.epochs": 1,
            "train.threads": 1,
            "data.series.context_length": context,
            "data.series.horizon": 4,
        }
        if context == 24:
            settings["loss.distribution"] = "quantile"
        gatewise.train("forecasting", data=tmp_path / "a.csv", out=tmp_path / f"c{context}", settings=settings,
                       progress=False, report=False)  # fmt: skip
    found = gatewise.compare([tmp_path / "c12", tmp_path / "c24"], tmp_path / "a.csv", resamples=100, speed=False)
    assert found.count == 160 - 24 - 4 + 1
    assert found.clusters == "17 stretches of 8 steps (133 windows)"
    assert "wql" not in found.setups[0].metrics  # the other has no quantiles
    assert found.metric == "scaled_mse"


def test_what_cannot_be_compared(folder, tmp_path):
    with pytest.raises(OptionError, match="at least two runs, got 1"):
        gatewise.compare([folder / "net-0"])
    with pytest.raises(OptionError, match="a list of runs, got one alone"):
        gatewise.compare(folder / "net-0")
    with pytest.raises(OptionError, match=r"each run once, got .*net-0 twice"):
        gatewise.compare([folder / "net-0", folder / "net-1", folder / "net-1" / ".." / "net-0"])
    with pytest.raises(OptionError, match="at least 100, got 5"):
        gatewise.compare([folder / "net-0", folder / "net-1"], resamples=5)
    with pytest.raises(OptionError, match="from 0 on, got -1"):
        gatewise.compare([folder / "net-0", folder / "net-1"], seed=-1)
    with pytest.raises(RunError, match=r"missing: expected a run directory"):
        gatewise.compare([folder / "net-0", folder / "missing"])
    shutil.copytree(folder / "net-0", tmp_path / "damaged")
    (tmp_path / "damaged" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"damaged.*weights"):
        gatewise.compare([folder / "net-0", tmp_path / "damaged"])


def test_runs_of_another_kind(folder, tmp_path):
    data = write_wide(tmp_path / "a.csv", labels=("left", "right"))
    train("classification", tmp_path, "sides", data, **{"data.target": ["label"]})
    with pytest.raises(RunError, match=r"sides: expected the labels of .*net-0.*without down, up; with left, right"):
        gatewise.compare([folder / "net-0", tmp_path / "sides"], data)
    numbers = [np.zeros((4, 1)) + i for i in range(12)]
    gatewise.train("regression", data=numbers, targets=[float(i) for i in range(12)], out=tmp_path / "numbers",
                   settings=QUICK, progress=False, report=False)  # fmt: skip
    with pytest.raises(RunError, match=r"numbers: expected a run of classification.*got one of regression"):
        gatewise.compare([folder / "net-0", tmp_path / "numbers"])
    shutil.copytree(tmp_path / "numbers", tmp_path / "copy")
    with pytest.raises(DataError, match=r"numbers: expected data, got none.*--data"):
        gatewise.compare([tmp_path / "numbers", tmp_path / "copy"])


def test_data_that_do_not_do(folder, tmp_path):
    runs = [folder / "net-0", folder / "net-1"]
    bare = pl.read_csv(folder / "test.csv").drop("label")
    bare.write_csv(tmp_path / "bare.csv")
    with pytest.raises(DataError, match=r"bare\.csv.*label"):
        gatewise.compare(runs, tmp_path / "bare.csv")
    other = write_wide(tmp_path / "b.csv", seed=3)
    train("classification", tmp_path, "elsewhere", folder / "train.csv", test=other, **{"data.target": ["label"]})
    with pytest.raises(DataError, match=r"one test file of all runs, got .*test\.csv of net-0 .*b\.csv of elsewhere"):
        gatewise.compare([folder / "net-0", tmp_path / "elsewhere"])
    assert gatewise.compare([folder / "net-0", tmp_path / "elsewhere"], other, resamples=100, speed=False).count == 24


def test_a_single_sequence_says_nothing(folder, tmp_path):
    pl.read_csv(folder / "test.csv").head(1).write_csv(tmp_path / "one.csv")
    found = gatewise.compare([folder / "net-0", folder / "net-2"], tmp_path / "one.csv", resamples=100, speed=False)
    assert math.isnan(found.setups[0].metrics["accuracy"].low)
    assert any("nothing can be resampled" in note for note in found.notes)
    assert "1 sequence" in found.words[0]
    assert found.table()["low"].is_null().all()
    assert "no interval" in render(found)


def test_answers_without_a_mistake_are_told_to_be_less_sure_than_they_look(folder, tmp_path):
    run = gatewise.load(folder / "net-0")
    said = run.predict(folder / "test.csv")
    table = pl.read_csv(folder / "test.csv").with_columns(label=pl.Series(said))
    if len(set(said)) == 2:
        table.write_csv(tmp_path / "right.csv")
        found = gatewise.compare([run, folder / "copy"], tmp_path / "right.csv", resamples=100, speed=False)
        assert any("rule of three" in note and "7.5%" in note for note in found.notes)
