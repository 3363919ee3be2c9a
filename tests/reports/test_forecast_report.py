import re
import shutil
import subprocess
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data.config import SeriesConfig
from gatewise.data.series import SeriesData
from gatewise.data.series_split import cut_in_time
from gatewise.reports import forecast_answers, forecast_data, forecast_plots
from gatewise.reports.forecast_answers import answers_of
from gatewise.reports.report import render
from gatewise.tasks import SIDES, LossConfig
from gatewise.training.config import Config, DataConfig
from gatewise.types import Prediction, Results
from reports import invented

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
EVIL = "<script>alert(1)</script><b>x</b>"
LEVELS = (0.1, 0.5, 0.9)


def months(count, start="1990-01"):
    return (np.datetime64(start, "M") + np.arange(count)).astype("datetime64[ns]")


def season(steps, seed, *, noise=0.5, channels=1, period=12):
    """A trend, a season and noise, ``[T, K]``."""
    t, rng = np.arange(steps)[:, None], np.random.default_rng(seed)
    phase = np.arange(channels)[None] * 0.9
    return 20 + 0.05 * t + 4 * np.sin(2 * np.pi * t / period + phase) + rng.normal(0, noise, (steps, channels))


def answered(adapter, data, *, error, seed, probabilistic, wide=1.0):
    """Answers that are off by normal numbers of this deviation, and quantiles of normal numbers of ``wide``."""
    rng = np.random.default_rng(seed)
    examples = list(adapter.encode(data))
    predictions = []
    for example in examples:
        truth = np.where(np.isnan(example.reference), 20.0, example.reference)
        said = truth + rng.normal(0, error, truth.shape)
        bands = [
            (level, (said + wide * z).astype(np.float32)) for level, z in zip(LEVELS, (-1.28, 0, 1.28), strict=True)
        ]
        predictions.append(
            Prediction(said.tolist(), quantiles=bands if probabilistic else None, naive_error=example.input.naive_error)
        )
    return Results(0.3, predictions, [example.reference.tolist() for example in examples])


def forecast(train, sets, *, horizon, context, error=0.5, probabilistic=True, season=None, **more):
    """A report of invented answers."""
    loss = LossConfig(distribution="quantile", levels=LEVELS) if probabilistic else LossConfig()
    config = Config("forecasting", data=DataConfig(train="load.csv", series=SeriesConfig(context, horizon)), loss=loss)
    adapter = SIDES["forecasting"].fit(train, config.data)
    found = {
        name: (data, answered(adapter, data, error=error, seed=place, probabilistic=probabilistic))
        for place, (name, data) in enumerate(sets.items())
    }
    return invented.report("forecasting", train, found, config=config, adapter=adapter, title="load", **more)


def monthly(**more):
    """One series of months; validation and test follow it in time."""
    values, times = season(180, 0), months(180)
    whole = SeriesData([values], [times], step="1mo", season=12, target_names=("load",))
    train, valid = cut_in_time(whole.until([140]), DataConfig(series=SeriesConfig(24, 6)))
    return forecast(train, {"validation": valid, "test": whole.since([140])}, horizon=6, context=24, **more)


def hourly_channels():
    """Eight channels of unequal width with gaps, numbers alone, many windows."""
    values = season(900, 1, channels=8, period=24) * 10.0 ** np.arange(-2, 6)
    values[np.random.default_rng(2).random(values.shape) < 0.02] = np.nan
    values[300:340, 1] = np.nan
    times = np.datetime64("2024-01-01", "ns") + np.arange(900) * np.timedelta64(1, "h")
    whole = SeriesData([values], [times], step="1h", season=24, target_names=tuple(f"sensor {k}" for k in range(8)))
    train, valid = cut_in_time(whole, DataConfig(series=SeriesConfig(48, 24)))
    return forecast(train, {"validation": valid}, horizon=24, context=48, probabilistic=False)


def hostile():
    """Thirty counted series with wicked names, one step ahead; another file for test."""

    def some(count, seed):
        parts = [season(60 + i, seed + i) for i in range(count)]
        names = [f"{EVIL} {seed + i}" for i in range(count)]
        return SeriesData(parts, ids=names, target_names=(EVIL,), source=f"{EVIL}.csv")

    train = some(30, 0)
    return forecast(train, {EVIL: some(25, 100)}, horizon=1, context=12)


def unnamed():
    """Counted series without names, of which some are too short; a test set that follows nothing."""
    rng = np.random.default_rng(5)
    whole = SeriesData([rng.normal(0, 1, (n, 1)).cumsum(0) for n in (5, 90, 80, 70)], season=1)
    train, valid = cut_in_time(whole, DataConfig(series=SeriesConfig(10, 4)))
    other = SeriesData([rng.normal(0, 1, (60, 1)).cumsum(0)])
    return forecast(train, {"validation": valid, "test": other}, horizon=4, context=10, error=9.0)


def broken():
    """Forecasts that are not finite, of a series that does not vary, and a single window."""
    train = SeriesData([np.full((30, 1), 7.0)])
    data = SeriesData([np.full((12, 1), 7.0)])
    run = forecast(train, {"test": data}, horizon=2, context=10, error=1.0)
    (measured,) = run.measured
    predictions = [one._replace(value=[[float("nan")], [7.0]]) for one in measured.results.predictions]
    results = replace(measured.results, predictions=predictions)
    return invented.report("forecasting", train, {"test": (data, results)}, config=run.config, adapter=run.adapter)


@pytest.fixture(scope="module")
def runs():
    made = (monthly, hourly_channels, hostile, unnamed, broken)
    return {of.__name__: of() for of in made}


NAMES = ("monthly", "hourly_channels", "hostile", "unnamed", "broken")


def test_all_are_tested(runs):
    assert set(NAMES) == runs.keys()


@pytest.mark.parametrize("name", NAMES)
def test_page_is_whole_and_accessible(runs, read, name):
    page = read(runs[name])
    assert not any(tag in ("link", "iframe", "img", "object", "base") for tag, _ in page.elements)
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    charts = [attributes for _, attributes in page.elements if attributes.get("class") == "chart"]
    assert len(charts) == len(page.figures) > 3
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert not re.search(r"\bnan\b|\bNaT\b|\binf\b|None", page.text)
    assert len(str(page.figures)) < 1.5e6  # beside the 4.6 MB of the library that draws


def test_users_text_is_escaped(runs, read):
    page = read(runs["hostile"])
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len(scripts) == len(page.figures) + 3
    assert not any(tag in ("img", "b") for tag, _ in page.elements)
    assert "alert(1)" in page.text
    assert not re.search(r"<(script|b)\b", str(page.figures))


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("name", ["hostile", "monthly"])
def test_every_figure_is_drawn(runs, name, tmp_path):
    content = render(runs[name])
    page = tmp_path / "report.html"
    page.write_text(content, encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom"]
    drawn = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    assert drawn.count('class="chart js-plotly-plot"') == content.count('class="chart"')


# Beside the baselines ------------------------------------------------------------------------------------------------


def test_table_beside_the_baselines_by_brute_force(runs, read):
    run = runs["monthly"]
    test = run.measured[-1]
    values, (first,) = test.data.values[0][:, 0], test.data.firsts
    origins = range(first, len(values) - 6 + 1)
    off = {"model": [], "naive": [], "seasonal naive": []}
    for origin, prediction in zip(origins, test.results.predictions, strict=True):
        for step in range(6):
            y = values[origin + step]
            off["model"].append(abs(prediction.value[step][0] - y))
            off["naive"].append(abs(values[origin - 1] - y))
            off["seasonal naive"].append(abs(values[origin + step - 12] - y))
    rows = {row[0]: row[1:] for row in read(run).table("", "model", "naive", "seasonal naive", "linear", "best")}
    assert [float(cell) for cell in rows["MAE"][:3]] == pytest.approx(
        [np.mean(part) for part in off.values()], rel=1e-3
    )
    squares = [np.mean(np.square(part)) for part in off.values()]
    assert [float(cell) for cell in rows["MSE"][:3]] == pytest.approx(squares, rel=1e-3)
    assert float(rows["Quantile loss"][1]) == pytest.approx(
        np.sum(off["naive"]) / sum(abs(values[o + s]) for o in origins for s in range(6)), rel=1e-3
    )
    assert rows["MAE"][4] == "model"
    assert next(iter(rows)) == "Quantile loss"  # what the best epoch is chosen by comes first


def test_linear_baseline_is_that_of_the_task(runs):
    run = runs["monthly"]
    answers = answers_of(run, run.measured[-1])
    train = run.train_data.values[0][:, 0]
    # One channel, 24 values counted from the last one and a constant: ordinary least squares on the same windows.
    x, y = [], []
    for window, origin in zip(run.adapter.encode(run.train_data), range(24, len(train) - 6 + 1), strict=True):
        loc, scale = window.input.loc[0], window.input.scale[0]
        past = (train[origin - 24 : origin] - loc) / scale
        x.append([*(past - past[-1]), 1])
        y.append((train[origin : origin + 6] - loc) / scale - past[-1])
    x, y = np.array(x), np.array(y)
    weights = np.linalg.solve(x.T @ x + np.diag([1.0] * 24 + [1e-6]), x.T @ y)
    values, (first,) = run.measured[-1].data.values[0][:, 0], run.measured[-1].data.firsts
    past = values[first - 24 : first]
    scaled = (past - past.mean()) / past.std()
    expected = (np.array([*(scaled - scaled[-1]), 1]) @ weights + scaled[-1]) * past.std() + past.mean()
    assert answers.forecasts["linear"][0, :, 0] == pytest.approx(expected, rel=1e-5)


def test_a_model_that_wins_and_one_that_loses_say_so(runs, read):
    page = read(runs["monthly"])
    assert "The model beats every baseline: its quantile loss is" in page.text
    assert "the best baseline, " in page.text and "baseline is better" not in page.text
    page = read(runs["unnamed"])
    assert re.search(
        r"The \w+ \([\d.]+\) and \w+ \([\d.]+\) baselines are better: the model's quantile loss is", page.text
    )
    assert re.search(r"The (naive|linear) baseline is better: [\d.]+", page.text)
    assert "By other measures a baseline is better: MSE" in page.text
    assert "Not a finite number: 1 forecast value." in read(runs["broken"]).text


def test_verdict_of_a_tie_is_not_won(runs):
    run = runs["monthly"]
    answers = answers_of(run, run.measured[-1])
    own = answers.metrics["model"]
    tied = replace(answers, metrics={**answers.metrics, "naive": own})
    assert tied.better == ["naive"]
    assert forecast_answers.verdict(tied, "loss").startswith("The naive (")


def test_baselines_are_worked_out_once(monkeypatch):
    calls = []
    real = forecast_answers.fit_linear
    monkeypatch.setattr(forecast_answers, "fit_linear", lambda *given: calls.append(1) or real(*given))
    run = monthly()
    render(run)
    render(run)
    assert len(calls) == 1
    assert replace(run.measured[-1], name="again").memo == {}  # other answers may not find these


def test_a_costly_fit_takes_fewer_windows_and_says_so(monkeypatch, read):
    monkeypatch.setattr(forecast_answers, "FITTED", 25 * 30 * 30)
    run = monthly()
    windows = len(run.adapter.encode(run.train_data))
    every = answers_of(run, run.measured[-1]).fitted_on
    assert windows / every <= 30 < windows / (every - 1)
    assert f"on one in {every} training windows;" in read(run).text


def test_errors_by_step_by_brute_force(runs, read):
    run = runs["hourly_channels"]
    figure = read(run).figure("Mean absolute error over 24 steps")
    test = run.measured[-1]
    by_name = {trace["name"]: trace["y"] for trace in figure["data"]}
    assert by_name.keys() == {"model", "naive", "seasonal naive", "linear"}
    for step in (0, 23):
        off = [
            abs(p.value[step][k] - r[step][k]) / run.adapter.std[k]
            for p, r in zip(test.results.predictions, test.results.references, strict=True)
            for k in range(8)
            if not np.isnan(r[step][k])
        ]
        assert by_name["model"][step] == pytest.approx(np.mean(off), rel=1e-4)


# Quantiles -----------------------------------------------------------------------------------------------------------


def test_calibration_by_counting(runs, read):
    run = runs["monthly"]
    test = run.measured[-1]
    page = read(run)
    counts, held, total = [0, 0, 0], 0, 0
    for prediction, reference in zip(test.results.predictions, test.results.references, strict=True):
        for step in range(6):
            y = reference[step][0]
            bands = [band[step, 0] for _, band in prediction.quantiles]
            counts = [count + (y <= band) for count, band in zip(counts, bands, strict=True)]
            held += bands[0] <= y <= bands[2]
            total += 1
    points = page.figure("Calibration")["data"][1]
    assert points["x"] == list(LEVELS)
    assert points["y"] == pytest.approx([count / total for count in counts], rel=1e-5)
    ((should, ends, share, width),) = page.table("Should hold", "Quantiles", "Held", "Mean width")
    assert (should, ends, float(width)) == ("80.0%", "0.1 to 0.9", 2.56)
    assert share == f"{100 * held / total:.1f}%"
    assert f"In the 80% band {share}" in " ".join(page.text.split())


def test_a_forecast_of_numbers_alone_has_no_bands(runs, read):
    page = read(runs["hourly_channels"])
    assert "The model gives a number alone." in page.text
    assert "Shaded" not in page.text and "In the 80% band" not in page.text


def test_counts_below_where_nothing_is_known(runs):
    run = runs["monthly"]
    answers = answers_of(run, run.measured[-1])
    gaps = answers.references.copy()
    gaps[0] = np.nan
    holed, without = (
        replace(answers, references=gaps),
        replace(answers, references=answers.references[1:], quantiles=answers.quantiles[:, 1:]),
    )
    assert forecast_answers.below(holed) == pytest.approx(forecast_answers.below(without))
    assert np.isnan(forecast_answers.inside(holed, 0, 2)[0]).all()


# Which windows are drawn ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_windows_that_are_drawn(runs, name):
    run = runs[name]
    answers = answers_of(run, run.measured[-1])
    chosen = forecast_answers.chosen_windows(answers, 30)
    every = [place for places in chosen.values() for place in places]
    assert len(every) == len(set(every)) <= 12
    errors = forecast_answers.window_errors(answers)
    if np.isfinite(errors).any():
        assert errors[chosen["The largest errors"][0]] == np.nanmax(errors)
    for places in chosen.values():
        spans = [(*answers.places[n], k) for n, k in places]
        for i, (series, origin, channel) in enumerate(spans):
            for other, start, k in spans[:i]:
                assert (other, k) != (series, channel) or abs(start - origin) >= answers.horizon
    for n, k in chosen["With missing values"]:
        series, origin = answers.places[n]
        assert np.isnan(run.measured[-1].data.values[series][max(0, origin - 30) : origin + answers.horizon, k]).any()
    assert bool(chosen["With missing values"]) == (name == "hourly_channels")


def test_a_window_is_drawn_as_it_is(runs, read):
    run = runs["monthly"]
    test = run.measured[-1]
    answers = answers_of(run, test)
    (n, _), *_ = forecast_answers.chosen_windows(answers, 18)["The largest errors"]
    origin = test.data.firsts[0] + n
    since = str(test.data.times[0][origin].astype("datetime64[D]"))
    figure = read(run).figure(f"Forecast of load from {since} on")
    traces = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    assert traces["what happened"]["x"][-6] == since == traces["forecast"]["x"][0]
    assert traces["what happened"]["y"] == pytest.approx(test.data.values[0][origin - 18 : origin + 6, 0], rel=1e-5)
    assert traces["forecast"]["y"] == pytest.approx(np.array(test.results.predictions[n].value)[:, 0], rel=1e-5)
    low, high = figure["data"][:2]
    assert high["fill"] == "tonexty"
    bands = dict(test.results.predictions[n].quantiles)
    assert low["y"] == pytest.approx(bands[0.1][:, 0], rel=1e-5)
    assert high["y"] == pytest.approx(bands[0.9][:, 0], rel=1e-5)
    (border,) = figure["layout"]["shapes"]
    assert border["x0"] == str(test.data.times[0][origin - 1].astype("datetime64[D]"))


def test_worst_series_and_channels_come_first(runs, read):
    run = runs["hostile"]
    best = answers_of(run, run.measured[-1]).best_baseline.replace("-", " ")
    rows = read(run).table("Series", "Windows", "Scaled error", "Mean error", "Bias", best, "model / it")
    scaled = [float(row[2]) for row in rows]
    assert len(rows) == 20 and scaled == sorted(scaled, reverse=True)
    run = runs["hourly_channels"]
    best = answers_of(run, run.measured[-1]).best_baseline.replace("-", " ")
    rows = read(run).table("Channel", "Windows", "Scaled error", "Mean error", "Bias", best, "model / it")
    assert {row[0] for row in rows} == {f"sensor {k}" for k in range(8)}
    first = next(row for row in rows if row[0] == "sensor 5")
    test = run.measured[-1]
    off = np.array([p.value for p in test.results.predictions])[..., 5] - np.array(test.results.references)[..., 5]
    assert float(first[3].replace(",", "")) == pytest.approx(np.nanmean(np.abs(off)), rel=1e-3)
    assert float(first[4].replace(",", "")) == pytest.approx(np.nanmean(off), rel=1e-2)


# Data ----------------------------------------------------------------------------------------------------------------


def test_sizes_of_what_is_forecast(runs, read):
    rows = read(runs["monthly"]).table(
        "Set", "Series", "Steps: fewest", "median", "most", "From", "To", "Windows", "Missing values"
    )
    train, valid, test = rows
    assert train[:2] == ["training", "1"] and train[5:7] == ["1990-01-01", "1999-04-01"]
    assert valid[2:7] == ["28", "28", "28", "1999-05-01", "2001-08-01"]
    assert test[2:8] == ["40", "40", "40", "2001-09-01", "2004-12-01", "35"]
    assert all(row[8] == "0%" for row in rows)


def test_a_note_on_the_whole_file_is_told_once(runs, read):
    run = runs["monthly"]
    note = "5 of 180 values are missing"
    sets = [replace(one, data=replace(one.data, notes=(note,))) for one in run.measured]
    train = replace(run.train_data, notes=(note, "only here"))
    text = read(replace(run, train_data=train, measured=sets)).text
    assert text.count(note) == 1
    assert "training: only here." in text


def test_sets_of_one_series_are_drawn_as_one(runs, read):
    run = runs["monthly"]
    figure = read(run).figure("load from beginning to end")
    assert [trace["name"] for trace in figure["data"]] == ["training", "validation", "test"]
    shapes = [shape["x0"] for shape in figure["layout"]["shapes"]]
    assert shapes == ["1999-05-01", "2001-09-01"]
    drawn = [value for trace in figure["data"][:-1] for value in trace["y"][:-1]] + figure["data"][-1]["y"]
    assert drawn == pytest.approx(run.measured[-1].data.values[0][:, 0], rel=1e-5)


def test_another_series_is_drawn_for_itself(runs, read):
    """Counted steps do not say that a file of its own goes on where training ended."""
    page = read(runs["unnamed"])
    labels = [a["aria-label"] for _, a in page.elements if a.get("class") == "chart"]
    whole = [
        [trace["name"] for trace in figure["data"]]
        for figure, label in zip(page.figures, labels, strict=True)
        if "from beginning to end" in label
    ]
    assert whole.count(["training", "validation"]) == 3
    assert whole.count(["test"]) == 1
    assert not any("test" in names and "training" in names for names in whole)


def test_what_was_learnt_from_is_drawn_for_itself_when_it_is_measured():
    run = monthly()
    whole = replace(run.measured[-1].data, first_target=None)
    stretches = forecast_data._stretches(replace(run, measured=[replace(run.measured[-1], data=whole)]))
    assert [[one.name for one in part] for part in stretches] == [["training"], ["test"]]


def test_channels_and_their_gaps(runs, read):
    run = runs["hourly_channels"]
    rows = read(run).table("Channel", "Mean", "Deviation", "Lowest", "Highest", "Missing", "Gaps")
    column = run.train_data.values[0][:, 1]
    runs_of = [len(list(part)) for missing, part in groupby(np.isnan(column)) if missing]
    assert rows[1][6] == f"{len(runs_of)} gaps, longest {max(runs_of)}"
    assert rows[1][5] == f"{100 * np.isnan(column).mean():.1f}%"
    assert float(rows[1][3]) == pytest.approx(np.nanmin(column), rel=1e-3)
    assert float(rows[1][4]) == pytest.approx(np.nanmax(column), rel=1e-3)


@given(st.lists(st.sampled_from([1.0, float("nan")]), max_size=30))
def test_gap_lengths(values):
    expected = [len(list(part)) for missing, part in groupby(values, key=np.isnan) if missing]
    assert forecast_data.gap_lengths(np.array(values)).tolist() == expected


@pytest.mark.parametrize("period", [4, 7, 12])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_season_of_a_trend_and_a_season_is_found(period, offset):
    pattern = np.random.default_rng(period).normal(0, 1, period)
    pattern -= pattern.mean()
    t = np.arange(6 * period + 3)
    values = offset + 0.3 * t + pattern[t % period]
    profile, strength = forecast_data.seasonal(values, period, t % period)
    assert profile == pytest.approx(pattern, abs=1e-7)
    assert strength == pytest.approx(1, abs=1e-9)
    values[[5, 17]] = np.nan
    assert forecast_data.seasonal(values, period, t % period)[1] > 0.9


def test_noise_and_constants_have_no_season():
    strengths = [
        forecast_data.seasonal(np.random.default_rng(seed).normal(0, 1, 60), 12, np.arange(60) % 12)[1]
        for seed in range(40)
    ]
    assert np.median(strengths) < 0.1
    for constant in (0.0, 0.1, 1e8 + 0.1):
        assert np.isnan(forecast_data.seasonal(np.full(60, constant), 12, np.arange(60) % 12)[1])
    assert np.isnan(forecast_data.seasonal(np.full(60, np.nan), 12, np.arange(60) % 12)[1])


def test_months_have_their_names(runs, read):
    (line,) = read(runs["monthly"]).figure("Usual values over a season of 12 steps")["data"]
    assert line["x"][0] == "Jan"
    expected = 4 * np.sin(2 * np.pi * np.arange(12) / 12)  # the series begins in January
    assert line["y"] == pytest.approx(expected, abs=0.6)


def test_dates_and_numbers_on_an_axis():
    assert forecast_plots.on_axis(months(2)) == ["1990-01-01", "1990-02-01"]
    assert forecast_plots.on_axis(np.array(["2024-01-01T06:30"], dtype="datetime64[ns]")) == ["2024-01-01T06:30:00"]
    assert forecast_plots.on_axis(np.arange(2)) == [0, 1]
