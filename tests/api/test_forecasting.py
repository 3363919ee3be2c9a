"""Forecasts, backtests and growing series of a trained run."""

import datetime
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import gatewise
from gatewise.api.forecasting import LiveForecast, verdict
from gatewise.cli.main import app
from gatewise.errors import DataError, OptionError, RunError
from gatewise.training.evaluate import measure
from gatewise.training.prepare import prepare
from gatewise.types import Prediction, Results

SMALL = {"train.epochs": 2, "train.threads": 1, "train.batch_size": 8, "data.series.context_length": 14}
HORIZON = 7


def make_table(steps=150, ahead=12):
    """Two daily series that the price, known ahead, moves; nothing is known of the last rows but the price."""
    rng = np.random.default_rng(0)
    frames = []
    for name in ("north", "south"):
        price = rng.normal(size=steps + ahead)
        sales = 50 + 10 * np.sin(np.arange(steps) * 2 * np.pi / 7) + 3 * price[:steps] + rng.normal(size=steps)
        first = np.datetime64("2023-01-02")
        frames.append(
            pl.DataFrame(
                {
                    "shop": [name] * (steps + ahead),
                    "day": (first + np.arange(steps + ahead)).astype("datetime64[D]"),
                    "sales": [*sales, *[None] * ahead],
                    "price": price,
                },
                strict=False,
            )
        )
    return pl.concat(frames)


def opened_late(folder):
    """The same in a file, but north opens after 105 days."""
    file = folder / "late.csv"
    make_table().filter((pl.col("shop") == "south") | (pl.col("day") >= datetime.date(2023, 4, 17))).write_csv(file)
    return file


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    file = tmp_path_factory.mktemp("shops") / "shops.csv"
    make_table().write_csv(file)
    return file


@pytest.fixture(scope="module")
def run(shops, tmp_path_factory):
    settings = {
        "data.id": "shop",
        "data.time": "day",
        "data.target": "sales",
        "data.series.future": "price",
        "loss.distribution": "quantile",
        **SMALL,
    }
    out = tmp_path_factory.mktemp("runs") / "shops"
    return gatewise.train("forecasting", data=shops, out=out, settings=settings, progress=False, report=False)


def test_a_forecast_has_a_row_for_every_step_after_the_end(run, shops):
    frame = run.forecast()
    assert frame.columns[:3] == ["series", "time", "sales"]
    assert frame["series"].to_list() == ["north"] * HORIZON + ["south"] * HORIZON
    days = np.datetime64("2023-01-02") + 150 + np.arange(HORIZON)
    assert frame["time"].to_list() == [*days.tolist(), *days.tolist()]
    bands = frame.select([f"sales_q{level}" for level in range(10, 100, 10)]).to_numpy()
    assert np.isfinite(bands).all() and (np.diff(bands, axis=1) >= 0).all()
    assert frame.equals(run.forecast(shops)) and frame.equals(run.forecast(pl.read_csv(shops)))


def test_a_loaded_run_forecasts_the_same_and_predict_is_the_forecast(run, shops):
    frame = gatewise.load(run.path).forecast(shops)
    assert frame.equals(run.forecast(shops))
    values = np.array(run.predict(shops))
    np.testing.assert_allclose(values[:, :, 0].reshape(-1), frame["sales"].to_numpy(), rtol=1e-5)


def test_a_shorter_horizon_is_the_beginning_of_the_whole(run, shops):
    whole, part = run.forecast(shops), run.forecast(shops, horizon=3)
    assert part.equals(pl.concat([whole[:3], whole[HORIZON : HORIZON + 3]]))


def test_a_longer_horizon_goes_on_from_its_own_values(run, shops):
    with pytest.warns(UserWarning, match=r"trained for 7 steps; from step 8 on it goes on from its own"):
        longer = run.forecast(shops, horizon=12)
    assert len(longer) == 24
    table = pl.read_csv(shops)
    filled = table.clone()
    sales = filled["sales"].to_numpy().copy()
    sales[150:157] = longer["sales"].to_numpy()[:7]
    sales[162 + 150 : 162 + 157] = longer["sales"].to_numpy()[12:19]
    filled = filled.with_columns(pl.Series("sales", sales).fill_nan(None))
    second = run.forecast(filled, horizon=5)
    for name in ("sales", "sales_q10", "sales_q90"):
        np.testing.assert_allclose(longer[name].to_numpy()[7:12], second[name].to_numpy()[:5], rtol=1e-5)
    with pytest.raises(DataError, match=r"expected 13 rows after the last value with price, got 12"):
        run.forecast(shops, horizon=13, on_note=lambda note: None)
    with pytest.raises(OptionError, match="horizon: expected at least 1, got -1"):
        run.forecast(shops, horizon=-1)


def test_a_horizon_that_no_calendar_has(run, tmp_path):
    with pytest.raises(OptionError, match="horizon: expected at most 100,000 steps, got 1,000,000,000"):
        run.forecast(make_table().drop("price").with_columns(price=0.5), horizon=10**9)
    months = pl.DataFrame({"month": [f"{2000 + k // 12}-{k % 12 + 1:02d}-01" for k in range(120)], "y": range(120)})
    settings = {**SMALL, "data.series.horizon": 3, "data.target": "y"}
    monthly = gatewise.train(
        "forecasting", data=months, out=tmp_path / "run", settings=settings, progress=False, report=False
    )
    told = r"horizon: expected a forecast that ends before 2262-01-01, got 4,000 steps \(monthly\)"
    with pytest.raises(OptionError, match=told):
        monthly.forecast(months, horizon=4000, on_note=lambda note: None)
    assert monthly.forecast(months, horizon=8, on_note=lambda note: None)["time"].max() == datetime.date(2010, 8, 1)


def test_what_is_known_ahead_and_empty_is_noticed(run):
    table = make_table()
    last = pl.col("day") >= datetime.date(2023, 6, 1)  # the first of the rows ahead
    empty = table.with_columns(pl.when(last).then(None).otherwise(pl.col("price")).alias("price"))
    with pytest.raises(DataError, match=r"expected price to be known after the last value, got only missing values"):
        run.forecast(empty)
    some = (pl.col("day") == datetime.date(2023, 6, 3)) & (pl.col("shop") == "south")
    gap = table.with_columns(pl.when(some).then(None).otherwise(pl.col("price")).alias("price"))
    notes = []
    run.forecast(gap, on_note=notes.append)
    assert notes == ["1 of 14 values known ahead (price) are missing"]


@pytest.mark.parametrize(("every", "words"), [("1h", "hourly"), ("7d", "weekly"), ("12h", "every 12 hours")])
def test_times_of_another_frequency_are_told_with_both(run, every, words):
    table = make_table().filter(pl.col("shop") == "north")
    count = len(table)
    days = pl.datetime_range(datetime.datetime(2023, 1, 2), datetime.datetime(2030, 1, 2), every, eager=True)[:count]
    with pytest.raises(DataError, match=rf"column day: expected times as in training \(daily\), got .* \({words}\)"):
        run.forecast(table.with_columns(day=days))


def test_gaps_are_no_other_frequency(run):
    """A third of the days is missing, and some weekends: still days."""
    table = make_table().filter(pl.col("shop") == "north")
    known = pl.int_range(pl.len()) < 150
    kept = table.filter(~(known & ((pl.int_range(pl.len()) % 7) >= 5)))
    assert len(run.forecast(kept)) == HORIZON
    assert len(run.forecast(table.filter(~known | pl.int_range(pl.len()).is_in([3, 9, 149])))) == HORIZON


def test_points_pushed_one_by_one_give_the_forecast_of_the_whole(run):
    table = make_table()
    whole = run.forecast(table)
    start = table.with_columns(
        pl.when(pl.col("day") < pl.lit(np.datetime64("2023-05-22")).cast(pl.Date)).then(pl.col("sales")).alias("sales")
    )
    live = run.live_forecast(start)
    assert isinstance(live, LiveForecast)
    assert not live.forecast().equals(whole)
    for series, name in enumerate(("north", "south")):
        for value in table.filter(pl.col("shop") == name)["sales"].to_list()[140:150]:
            live.push([value], series=series)
    streamed = live.forecast()
    assert streamed["time"].to_list() == whole["time"].to_list()
    np.testing.assert_allclose(
        streamed.select(pl.exclude("series", "time")).to_numpy(),
        whole.select(pl.exclude("series", "time")).to_numpy(),
        rtol=1e-6,
    )
    with pytest.raises(DataError, match=r"values: expected \[1\] or \[n, 1\] numbers"):
        live.push([1.0, 2.0])
    with pytest.raises(OptionError, match="series: expected 0 to 1, got 2"):
        live.push([1.0], series=2)


def test_a_backtest_measures_windows_at_the_end_beside_the_baselines(run, shops):
    done = run.backtest(shops, windows=5, stride=2)
    assert (done.windows, done.horizon) == (10, HORIZON)
    assert set(done.metrics) == {"model", "naive", "seasonal-naive", "linear"}
    assert done.forecasts["origin"].n_unique() == 5
    assert done.notes == ()
    values = pl.read_csv(shops, try_parse_dates=True)
    known = {(row["shop"], row["day"]): row["sales"] for row in values.iter_rows(named=True)}
    rows = done.forecasts.rows(named=True)
    errors = [abs(row["sales"] - known[row["series"], row["time"]]) for row in rows]
    np.testing.assert_allclose(done.metrics["model"]["mae"], np.mean(errors), rtol=1e-5)
    last = {(row["series"], row["origin"]) for row in rows}
    naive = [
        abs(known[shop, origin] - known[row["series"], row["time"]])
        for shop, origin in last
        for row in rows
        if (row["series"], row["origin"]) == (shop, origin)
    ]
    np.testing.assert_allclose(done.metrics["naive"]["mae"], np.mean(naive), rtol=1e-5)


def test_a_backtest_on_what_was_learnt_says_so(run, shops):
    assert "have learnt" not in " ".join(run.backtest(shops, windows=3).notes)
    notes = run.backtest(shops, windows=60).notes
    # origins from 150 - 7 - 59 on, of which those before 120 are learnt from
    assert notes == ("72 of 120 windows forecast steps that the model has learnt from: too hopeful",)
    assert run.backtest(f"{shops}@..2023-05-02", windows=1).notes[0].startswith("2 of 2 windows")


def test_what_was_learnt_is_known_by_any_path_and_by_the_names_of_series(run, shops, tmp_path, monkeypatch):
    monkeypatch.chdir(shops.parent)
    expected = ("72 of 120 windows forecast steps that the model has learnt from: too hopeful",)
    for path in (shops.name, f"../{shops.parent.name}/{shops.name}"):
        assert run.backtest(path, windows=60).notes == expected
    # north, the first in the file, opens when the part that is forecast again is over: south is learnt up to step 102
    late = gatewise.load(run.path)
    file = opened_late(tmp_path)
    late.config = replace(run.config, data=replace(run.config.data, train=f"{file}@..2023-05-10"))
    assert late.backtest(f"{file}@..2023-04-17", windows=10).notes[0].startswith("10 of 10 windows")


def test_a_series_that_begins_after_the_part_is_not_forecast(run, tmp_path):
    file = opened_late(tmp_path)
    assert run.forecast(f"{file}@..2023-04-01")["series"].to_list() == ["south"] * HORIZON


def test_evaluate_measures_the_part_that_is_named(run, shops):
    part = run.evaluate(f"{shops}@2023-05-15..")
    done = run.backtest(f"{shops}@2023-05-15..", windows=100)
    assert part["count"] == done.windows == 2 * (150 - 133 - HORIZON + 1)
    np.testing.assert_allclose(part["mae"], done.metrics["model"]["mae"], rtol=1e-6)


def test_a_verdict_names_who_is_better():
    metrics = {"model": {"mse": 2.0}, "naive": {"mse": 2.0}, "seasonal-naive": {"mse": 1.0}, "linear": {"mse": 3.0}}
    assert verdict(metrics, "mse") == (
        "The model does not beat the naive forecast (mse 2 to 2), nor the seasonal naive one (1); it beats the linear "
        "one (3)."
    )
    good = {"model": {"mse": 0.5}, "naive": {"mse": 2.0}, "linear": {"mse": 3.0}}
    assert verdict(good, "mse") == "The model (mse 0.5) beats the naive forecast (2) and the linear one (3)."
    assert verdict({**good, "model": {"mse": 9.0}}, "mse").endswith("nor the linear one (3).")
    assert "does not beat" in verdict({"model": {"mse": float("nan")}, "naive": {"mse": 2.0}}, "mse")


def test_validation_is_the_end_of_each_series_or_some_of_the_series(shops, run):
    config = run.config
    data = run.read(shops, require_target=True)
    in_time = prepare(data, None, config)
    assert in_time.train_data.lengths.tolist() == [120, 120]
    assert in_time.valid_data.firsts == [120, 120]
    whole = prepare(data, None, replace(config, data=replace(config.data, split="random")))
    assert (whole.train_data.lengths.tolist(), whole.valid_data.firsts) == ([150], [0])
    grouped = replace(data, groups=["one", "other"])
    by_group = prepare(grouped, None, config)
    assert (len(by_group.train_data), len(by_group.valid_data)) == (1, 1)
    none = prepare(data, None, replace(config, data=replace(config.data, valid_fraction=0.0)))
    assert none.train_data.lengths.tolist() == [150, 150] and len(none.valid) == 0


def test_perfect_predictions_have_no_error(run, shops):
    results = run.run(run.read(f"{shops}@2023-05-15..", require_target=True))
    perfect = [Prediction(reference) for reference in results.references]
    measured = measure(run.task, Results(0.0, perfect, results.references))
    assert measured["mae"] == measured["scaled_mse"] == 0


def test_arrays_are_forecast_too(tmp_path):
    values = np.sin(np.arange(80) / 3)
    run = gatewise.train("forecasting", data=values, out=tmp_path / "run", settings=SMALL, progress=False, report=False)
    frame = run.forecast(values)
    assert frame["step"].to_list() == list(range(80, 86))
    with pytest.raises(RunError, match="trained on data in memory"):
        run.forecast()
    done = run.backtest(values, windows=3)
    assert "linear" not in done.metrics and "no linear forecast" in done.notes[0]
    live = run.live_forecast(values[:70])
    live.push(values[70:, None])
    assert live.forecast().equals(frame)


def test_another_task_forecasts_nothing(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 5, 1))
    y = ["up" if row.sum() > 0 else "down" for row in x]
    run = gatewise.train(
        "classification",
        data=x,
        targets=y,
        out=tmp_path / "run",
        settings={"train.epochs": 1},
        progress=False,
        report=False,
    )
    for ask in (run.forecast, run.backtest):
        with pytest.raises(RunError, match="expected a forecasting, got a run of classification"):
            ask(x)


def test_settings_of_other_data_are_refused(shops):
    for name, value in {"data.scale": "none", "data.features": ["price"], "data.length": 5}.items():
        with pytest.raises(gatewise.ConfigError, match=f"{name}: expected none with forecasting"):
            gatewise.train("forecasting", data=shops, settings={name: value, **SMALL}, progress=False)


def test_commands_write_what_the_library_gives(run, shops, tmp_path, capsys):
    def call(*words):
        app([*map(str, words)], standalone_mode=False)
        return capsys.readouterr().out

    expected = run.forecast(shops)
    assert call("forecast", run.path, "--data", shops) == expected.write_csv()
    out = tmp_path / "forecast.parquet"
    call("forecast", run.path, "--data", shops, "--out", out)
    assert pl.read_parquet(out).equals(expected)
    told = call("backtest", run.path, "--data", shops, "--windows", 4, "--out", tmp_path / "windows.csv")
    done = run.backtest(shops, windows=4)
    assert done.verdict in told and "8 windows of 7 steps" in told and "seasonal-naive" in told
    assert len(pl.read_csv(tmp_path / "windows.csv")) == 8 * HORIZON
    plain = json.loads(call("backtest", run.path, "--data", shops, "--windows", 4, "--json"))
    assert plain["metrics"]["model"]["mae"] == pytest.approx(done.metrics["model"]["mae"])
    assert plain["verdict"] == done.verdict and "forecasts" in plain
