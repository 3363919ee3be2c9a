"""Series from files and frames: times, steps, gaps, roles; and what is wrong with them."""

import calendar as python_calendar
import datetime
import gzip

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data.calendar import (
    calendar_features,
    cycles_of,
    frequency_of,
    moments_after,
    parse_step,
    places_of,
    season_of,
    step_of,
)
from gatewise.data.describe_series import describe_series
from gatewise.data.series import SeriesData, SeriesOptions
from gatewise.data.series_files import file_of, read_series
from gatewise.data.series_times import times_in
from gatewise.errors import DataError

STEPS = ("1s", "90s", "1m", "15m", "30m", "1h", "6h", "1d", "2d", "7d", "1mo", "3mo", "12mo", "1me", "3me", "1b")


def days(*texts):
    return np.array(texts, dtype="datetime64[ns]")


def table(tmp_path, text, name="series.csv"):
    file = tmp_path / name
    file.write_text(text)
    return file


# Steps of time -------------------------------------------------------------------------------------------------------


@given(
    step=st.sampled_from(STEPS),
    start=st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2080, 1, 1)),
    gaps=st.lists(st.integers(1, 3), min_size=30, max_size=60),
)
def test_moments_and_places_are_each_others_inverse(step, start, gaps):
    unit = parse_step(step)[1]
    first = start.replace(microsecond=0)
    if unit == "mo":
        first = first.replace(day=min(first.day, 28))
    if unit == "me":
        first = first.replace(day=python_calendar.monthrange(first.year, first.month)[1])
    if unit == "b":
        first -= datetime.timedelta(days=max(0, first.weekday() - 4))
    places = np.concatenate([[0], np.cumsum(gaps)])
    times = moments_after(np.datetime64(first, "ns"), step, places)
    assert (np.diff(times) > np.timedelta64(0)).all()
    np.testing.assert_array_equal(places_of(times, step), places)


@pytest.mark.parametrize("step", STEPS)
def test_the_step_of_regular_times_is_found_despite_gaps(step):
    start = np.datetime64("2023-01-31T00:00", "ns") if step.endswith("me") else np.datetime64("2023-01-02T00:00", "ns")
    places = np.delete(np.arange(60), [7, 20, 21, 22])
    found = step_of([moments_after(start, step, places)])
    assert found is not None
    np.testing.assert_array_equal(places_of(moments_after(start, step, places), found), places)
    assert frequency_of(found) == frequency_of(step)


def test_months_agree_with_python():
    times = moments_after(np.datetime64("2023-11-30T18:00", "ns"), "1me", np.arange(30))
    for i, moment in enumerate(times.astype("datetime64[s]").tolist()):
        year, month = divmod(2023 * 12 + 10 + i, 12)
        last = python_calendar.monthrange(year, month + 1)[1]
        assert moment == datetime.datetime(year, month + 1, last, 18)


def test_business_days_agree_with_python():
    times = moments_after(np.datetime64("2024-02-29", "ns"), "1b", np.arange(400)).astype("datetime64[D]").tolist()
    day, expected = datetime.date(2024, 2, 29), []
    while len(expected) < 400:
        if day.weekday() < 5:
            expected.append(day)
        day += datetime.timedelta(days=1)
    assert times == expected


def test_other_times_have_no_place():
    times = days("2024-01-01", "2024-01-02T00:30", "2024-01-03")
    assert places_of(times, "1d").tolist() == [0, -1, 2]
    assert places_of(days("2024-01-31", "2024-02-29", "2024-03-30"), "1me").tolist() == [0, 1, -1]
    assert places_of(days("2024-01-05", "2024-01-06"), "1b").tolist() == [0, -1]
    assert places_of(np.array([1821, 1823, 1826]), "2i").tolist() == [0, 1, -1]


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)))
def test_calendar_features_follow_their_definition(moment):
    moment = moment.replace(microsecond=0)
    within_day = (moment.hour * 3600 + moment.minute * 60 + moment.second) / 86400
    month = (moment.day - 1 + within_day) / python_calendar.monthrange(moment.year, moment.month)[1]
    phases = {
        "hour": (moment.minute * 60 + moment.second) / 3600,
        "day": within_day,
        "week": (moment.weekday() + within_day) / 7,
        "month": month,
        "year": (moment.month - 1 + month) / 12,
    }
    got = calendar_features(np.array([moment], dtype="datetime64[ns]"), tuple(phases))
    expected = [wave(2 * np.pi * phase) for phase in phases.values() for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(got[0], expected, atol=2e-5)


def test_cycles_are_those_that_vary_and_came_round_twice():
    assert cycles_of("1h", 24 * 13) == ("day",)
    assert cycles_of("1h", 24 * 14) == ("day", "week")
    assert cycles_of("1m", 3000) == ("hour", "day")
    assert cycles_of("1d", 800) == ("week", "month", "year")
    assert cycles_of("1b", 600) == ("week", "month", "year")
    assert cycles_of("1mo", 23) == ()
    assert cycles_of("12mo", 500) == ()
    assert cycles_of("1i", 500) == cycles_of(None, 500) == ()


def test_seasons():
    assert [season_of(step) for step in ("1s", "10m", "2h", "7h", "2d", "2mo", "5mo")] == [3600, 144, 12, 1, 1, 6, 1]


# Times as they are written -------------------------------------------------------------------------------------------

WRITTEN = {
    "2016-07-01 13:00:00": "2016-07-01T13:00",
    "2016-07-01T13:00": "2016-07-01T13:00",
    "2016/7/1": "2016-07-01",
    "1949-02": "1949-02-01",
    "20160731": "2016-07-31",
    "04/30/2021": "2021-04-30",
    "30/04/2021": "2021-04-30",
    "30.4.2021": "2021-04-30",
    "Jan 2 2000": "2000-01-02",
    "2 January 2000": "2000-01-02",
    "May 5, 2020": "2020-05-05",
    "2020Q3": "2020-07-01",
    "2020-02-29 12:05 am": "2020-02-29T00:05",
    "2020-02-29 12:05 PM": "2020-02-29T12:05",
    "2020-02-29 01:02:03.25": "2020-02-29T01:02:03.25",
    "2020-02-29T01:00:00+02:00": "2020-02-28T23:00",
    "2020-02-29T01:00:00Z": "2020-02-29T01:00",
    "1600000000": "2020-09-13T12:26:40",
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.items())
def test_times_are_read_as_people_write_them(text, expected):
    got = times_in(pl.Series("t", [text, text]), "f", np.arange(2)).moments
    np.testing.assert_array_equal(got, days(expected, expected))


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (["2020-02-28", "2020-02-30"], "row 1, column t: expected a day of the calendar.*2020-02-30"),
        (["2020-02-28", "soon"], 'row 1, column t: expected a time.*"soon"'),
        (["2020-02-28", ""], "row 1, column t: expected a value, got none"),
        (["01/02/2020", "03/04/2020"], 'row 0, column t: .*told apart.*"01/02/2020"'),
        (["Abc 1 2020"], "row 0, column t: expected an English name of a month"),
        (["2020-02-28 24:30"], "row 0, column t: expected a time from 00:00"),
        (["2020-02-28 10:75"], "row 0, column t: expected a time from 00:00"),
        (["0.5", "1.0"], "row 0, column t: expected a date or a whole number"),
    ],
)
def test_times_that_are_none_are_told_with_their_row(texts, what):
    with pytest.raises(DataError, match=what):
        times_in(pl.Series("t", texts), "f", np.arange(len(texts)))


def test_zones_become_utc_but_days_stay_days():
    hours = pl.Series("t", [datetime.datetime(2024, 7, 1, 12)]).dt.replace_time_zone("Europe/Berlin")
    assert times_in(hours, "f", np.arange(1)).moments[0] == np.datetime64("2024-07-01T10:00", "ns")
    midnights = pl.Series("t", [datetime.datetime(2024, 7, 1)]).dt.replace_time_zone("Europe/Berlin")
    read = times_in(midnights, "f", np.arange(1))
    assert read.moments[0] == np.datetime64("2024-07-01", "ns")
    assert "zone" in read.note


# Tables --------------------------------------------------------------------------------------------------------------


def test_a_wide_table_is_one_series_of_all_its_numbers(tmp_path):
    file = table(tmp_path, "date,a,weather,b\n2024-01-02,2,sun,5\n2024-01-01,1,rain,4\n2024-01-03,3,,6\n")
    data = read_series(file)
    np.testing.assert_array_equal(data.values[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(data.times[0], days("2024-01-01", "2024-01-02", "2024-01-03"))
    assert (data.target_names, data.step, data.season, data.frequency) == (("a", "b"), "1d", 7, "daily")
    assert "not used: weather" in data.layout


def test_a_long_table_is_sorted_into_series_and_gaps_are_missing_values(tmp_path):
    text = "name,month,y\nb,2024-05,5\na,2024-01,1\nb,2024-02,2\na,2024-04,4\na,2024-02,\nb,2024-03,3\n"
    data = read_series(table(tmp_path, text), SeriesOptions(id="name", target=("y",)))
    assert data.ids == ["b", "a"]
    np.testing.assert_array_equal(data.values[0], [[2], [3], [np.nan], [5]])
    np.testing.assert_array_equal(data.values[1], [[1], [np.nan], [np.nan], [4]])
    np.testing.assert_array_equal(data.times[1], days("2024-01", "2024-02", "2024-03", "2024-04"))
    assert data.notes == ("2 gaps, 2 steps, are missing values", "1 of 8 values are missing")
    assert data.where(1).endswith("series.csv, row 3 (id a)")


def test_frames_and_compressed_and_parquet_files_give_the_same(tmp_path):
    text = "".join(f"2024-01-01T{h:02d}:00,{h * h}\n" for h in range(24))
    file = table(tmp_path, f"time,y\n{text}")
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    frame = pl.read_csv(file, try_parse_dates=True)
    frame.write_parquet(tmp_path / "y.parquet")
    (tmp_path / "y.tsv").write_text(file.read_text().replace(",", "\t"))
    expected = read_series(file)
    for other in (tmp_path / "z.csv.gz", tmp_path / "y.parquet", tmp_path / "y.tsv", frame):
        data = read_series(other)
        np.testing.assert_array_equal(data.values[0], expected.values[0])
        np.testing.assert_array_equal(data.times[0], expected.times[0])
        assert data.step == "1h"


def test_a_pandas_index_of_times_is_the_time():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"y": [1.0, np.nan, 3.0]}, index=pandas.date_range("2024-01-01", periods=3, freq="D"))
    data = read_series(frame)
    np.testing.assert_array_equal(data.values[0], [[1], [np.nan], [3]])
    np.testing.assert_array_equal(data.times[0], days("2024-01-01", "2024-01-02", "2024-01-03"))


def test_arrays_are_series_of_counted_steps():
    one = read_series(np.arange(5.0))
    assert (one.target_names, one.lengths.tolist(), one.times, one.step) == (("value",), [5], None, None)
    assert read_series(np.zeros((5, 3))).target_names == ("c0", "c1", "c2")
    assert read_series(np.zeros((4, 5, 3))).lengths.tolist() == [5, 5, 5, 5]
    with pytest.raises(DataError, match="series 1: expected finite numbers"):
        read_series([np.ones(3), np.full(3, np.nan)])


def test_rows_after_the_last_known_value_are_to_be_forecast(tmp_path):
    text = "day,y,price,visitors\n2024-01-01,1,10,7\n2024-01-02,2,11,8\n2024-01-03,,12,\n2024-01-04,,13,\n"
    data = read_series(table(tmp_path, text), SeriesOptions(target=("y",), future=("price",), past=("visitors",)))
    np.testing.assert_array_equal(data.values[0], [[1], [2]])
    np.testing.assert_array_equal(data.past[0], [[7], [8]])
    np.testing.assert_array_equal(data.future[0], [[10], [11], [12], [13]])
    assert data.times[0][-1] == np.datetime64("2024-01-02", "ns")
    assert "2 rows known ahead" in data.layout
    without = read_series(table(tmp_path, text), SeriesOptions(target=("y",)))
    assert without.lengths.tolist() == [2]
    assert without.notes == ("2 rows at the end without a known value left out: steps to forecast",)


def test_static_columns_are_numbers_or_categories_and_constant(tmp_path):
    text = "id,t,y,kind,size\na,1,1,shop,3\na,2,2,,3\nb,1,1,mall,\nb,2,1,mall,\n"
    options = SeriesOptions(id="id", time="t", target=("y",), static=("kind", "size"))
    data = read_series(table(tmp_path, text), options)
    assert data.static[0] == ("shop", 3.0)
    assert data.static[1][0] == "mall"
    assert np.isnan(data.static[1][1])
    with pytest.raises(DataError, match=r'row 3, column kind: expected one value of series a, got "mall" after "shop"'):
        read_series(table(tmp_path, text.replace("a,2,2,,3", "a,2,2,mall,3")), options)


def test_one_series_may_run_on_from_row_to_row(tmp_path):
    file = table(tmp_path, " 1.0  2.0 3.0\n 4.0 5.0  6.0\n", "numbers.txt")
    assert read_series(file).values[0].shape == (2, 3)
    data = read_series(file, SeriesOptions(wrapped=True, season=3))
    np.testing.assert_array_equal(data.values[0][:, 0], [1, 2, 3, 4, 5, 6])
    assert data.season == 3


def test_a_column_without_a_name_is_the_time_only_where_it_counts(tmp_path):
    data = read_series(table(tmp_path, ",0\n1821,269\n1822,321\n1824,585\n"))
    assert (data.target_names, data.times[0].tolist(), data.step) == (("0",), [1821, 1822, 1823, 1824], "1i")
    np.testing.assert_array_equal(data.values[0][:, 0], [269, 321, np.nan, 585])


def test_steps_are_counted_on_request(tmp_path):
    text = "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-05T07:00,3\n"
    data = read_series(table(tmp_path, text), SeriesOptions(time="none", target=("y",)))
    assert data.times is None
    assert data.values[0][:, 0].tolist() == [1, 2, 3]


def test_the_step_of_a_trained_run_is_kept(tmp_path):
    text = "date,y\n2024-01-01,1\n2024-01-03,2\n"
    assert read_series(table(tmp_path, text)).step == "2d"
    data = read_series(table(tmp_path, text), SeriesOptions(step="1d"))
    np.testing.assert_array_equal(data.values[0][:, 0], [1, np.nan, 2])


# Parts of a file -----------------------------------------------------------------------------------------------------


def test_a_part_of_a_file_ends_before_until_and_is_context_before_from(tmp_path):
    file = table(tmp_path, "date,y\n" + "".join(f"2024-01-{day:02d},{day}\n" for day in range(1, 32)))
    for part in ("@2024-01-11..2024-01-21", "@10..20"):
        data = read_series(f"{file}{part}")
        assert (data.lengths.tolist(), data.firsts) == ([20], [10])
        assert data.values[0][-1, 0] == 20
        assert data.source == f"{file}{part}"
    assert read_series(f"{file}@..20").firsts == [0]
    assert read_series(f"{file}@2024-01-30..").firsts == [29]
    assert file_of(f"{file}@10..20") == str(file)
    with pytest.raises(DataError, match=r"expected steps from FROM to UNTIL, got none\. The file ends at 2024-01-31"):
        read_series(f"{file}@2025..")
    with pytest.raises(DataError, match=r"FILE@FROM\.\.UNTIL"):
        read_series(f"{file}@yesterday..")


def yearly(first, last):
    return "date,y\n" + "".join(f"{year}-01-01,{year}\n" for year in range(first, last + 1))


def test_a_bare_number_of_four_digits_is_a_year_where_the_dates_have_it(tmp_path):
    file = table(tmp_path, yearly(1980, 1999))
    early, late = read_series(f"{file}@..1990"), read_series(f"{file}@1990..")
    np.testing.assert_array_equal(early.values[0][:, 0], np.arange(1980, 1990))
    assert (late.lengths.tolist(), late.firsts) == ([20], [10])
    assert read_series(f"{file}@..2000").lengths.tolist() == [20]  # all of 1999 is before it
    assert read_series(f"{file}@..7").lengths.tolist() == [7]
    for part in ("..21", "21..", "..1979", "2001..", "..19900101"):
        number = part.strip(".")
        with pytest.raises(
            DataError, match=rf"expected a step from 0 to 20, got {number}\. The file ends at 1999-01-01"
        ):
            read_series(f"{file}@{part}")


def test_a_bare_number_of_four_digits_is_a_step_where_no_date_has_that_year(tmp_path):
    hours = moments_after(np.datetime64("2016-07-01", "ns"), "1h", np.arange(3000))
    file = tmp_path / "hours.parquet"
    pl.DataFrame({"date": hours, "y": np.arange(3000.0)}).write_parquet(file)
    data = read_series(f"{file}@1100..2640")
    assert (data.lengths.tolist(), data.firsts) == ([2640], [1100])
    for part in ("..2016", "2017.."):
        with pytest.raises(
            DataError, match=r"expected a year or a step, got 201\d, which may be both.*Write 201\d-01-01"
        ):
            read_series(f"{file}@{part}")
    assert read_series(f"{file}@..2018").lengths.tolist() == [2018]
    assert read_series(f"{file}@2016-08-01..").firsts == [31 * 24]


def test_a_step_beyond_counted_steps_is_refused(tmp_path):
    file = table(tmp_path, "y\n1\n2\n3\n")
    assert read_series(f"{file}@1..3").firsts == [1]
    for part in ("..4", "4.."):
        with pytest.raises(DataError, match="expected a step from 0 to 3, got 4"):
            read_series(f"{file}@{part}")


def test_series_that_begin_after_a_part_are_left_out_and_told(tmp_path):
    rows = [f"{name},2024-01-{day:02d},{day}\n" for name, first in (("b", 20), ("a", 1)) for day in range(first, 32)]
    file = table(tmp_path, f"id,date,y\n{''.join(rows)}")
    data = read_series(f"{file}@..2024-01-11", SeriesOptions(id="id"))
    assert (data.ids, data.lengths.tolist(), data.firsts, len(data.times)) == (["a"], [10], [0], 1)
    assert data.notes == ("1 of 2 series begin after the part that is read, and are left out",)
    assert read_series(f"{file}@..2024-01-21", SeriesOptions(id="id")).notes == ()


def test_a_file_whose_name_looks_like_a_part_is_a_file(tmp_path):
    file = table(tmp_path, "y\n1\n2\n", "a@1..2")
    assert file_of(str(file)) == str(file)


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        ("date,y\n2024-01-01,1\n2024-01-01,2\n", {}, r"row 3, column date: .*once, got 2024-01-01 as in row 2.*--id"),
        (
            "s,date,y\na,2024-01-01,1\nb,2024-01-01,2\nb,2024-01-01,3\n",
            {"id": "s"},
            "row 4, column date: expected each time of series b once, got 2024-01-01 as in row 3",
        ),
        (
            "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n2024-01-03T12:00,4\n",
            {},
            r"row 5, column date: expected regular times \(daily.*got 2024-01-03 12:00:00 after 2024-01-03",
        ),
        ("date,y\n2024-01-01,1\n2024-01-02,2\n2044-01-03,3\n", {}, "nothing from 2024-01-02 to 2044-01-03"),
        ("date,y\n2024-01-01,1\n2024-01-02,many\n2024-01-03,1\n", {}, 'row 3, column y: expected a number, got "many"'),
        ("date,y\n2024-01-01,1\n2024-01-02,inf\n", {}, "row 3, column y: expected a finite number"),
        ("date,y,z\n2024-01-01,1,\n2024-01-02,2,\n", {"target": ("y", "z")}, "column z: .*only missing values"),
        ("date,load\n2024-01-01,1\n", {"target": ("laod",)}, 'column "laod".*Did you mean "load"'),
        ("date,y,p\n2024-01-01,1,1\n", {"target": ("y",), "past": ("q",)}, 'column "q", got none'),
        ("date,y\n2024-01-01,1\n", {"target": ("y",), "past": ("y",)}, 'one role for the column "y"'),
        ("s,t,y\na,1,1\nb,1,\nb,2,\n", {"id": "s"}, "row 3: expected a known value of series b, got only missing"),
    ],
)
def test_mistakes_name_file_row_and_column(tmp_path, text, options, what):
    with pytest.raises(DataError, match=what) as caught:
        read_series(table(tmp_path, text), SeriesOptions(**options))
    assert "series.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_subsets_parts_and_growth_keep_everything_together():
    data = SeriesData(
        [np.arange(n, dtype=float)[:, None] for n in (4, 6)],
        times=[np.arange(n) for n in (4, 6)],
        past=[np.ones((n, 1)) for n in (4, 6)],
        future=[np.ones((n + 3, 2)) for n in (4, 6)],
        past_names=("p",),
        future_names=("f", "g"),
        ids=["a", "b"],
    )
    one = data.subset([1]).until([5]).since([2])
    assert (one.ids, one.lengths.tolist(), one.firsts, len(one.future[0]), len(one.past[0])) == (["b"], [5], [2], 9, 5)
    grown = one.extended([np.array([[9.0]])], times=[np.array([5])])
    assert grown.values[0][-1, 0] == 9
    assert np.isnan(grown.past[0][-1]).all()
    tail = grown.last(2)
    assert (tail.lengths.tolist(), len(tail.future[0]), tail.firsts, tail.times[0].tolist()) == ([2], 5, [0], [4, 5])


def test_a_description_tells_what_there_is(tmp_path):
    text = "id,month,y,price\na,2024-01,1,5\na,2024-02,,5\na,2024-03,4,5\nb,2024-01,7,5\n"
    data = read_series(table(tmp_path, text), SeriesOptions(id="id", target=("y",), past=("price",)))
    told = describe_series(data)
    assert (told.series, told.length_min, told.length_median, told.length_max, told.season) == (2, 1, 2.0, 3, 12)
    (channel,) = told.channels
    assert (channel.name, channel.mean, channel.min, channel.max, channel.missing) == ("y", 4, 1, 7, 0.25)
    assert channel.std == np.std([1, 4, 7])
    shown = told.to_text()
    for words in (
        "2 series, monthly",
        "1 to 3, median 2",
        "2024-01-01 00:00:00 to 2024-03-01",
        "25.0% missing",
        "price",
    ):
        assert words in shown
    assert told.to_plain()["channels"][0]["mean"] == 4


# Files that people have ----------------------------------------------------------------------------------------------

EXPECTED = {  # options, step, steps, channels
    "etth/ETTh1.csv.xz": ({}, "1h", 17420, 7),
    "etth/ETTh2.csv.xz": ({}, "1h", 17420, 7),
    "exchange_rate/exchange_rate.txt.xz": ({}, None, 7588, 8),
    "forecast_small/AirPassengers.csv.xz": ({}, "1mo", 144, 1),
    "forecast_small/Airline.csv": ({}, "1mo", 144, 1),
    "forecast_small/ILINet.csv.xz": ({}, "7d", 1305, 11),
    "forecast_small/Longley.csv": ({}, "1i", 16, 7),
    "forecast_small/Lynx.csv": ({}, "1i", 114, 1),
    "forecast_small/ShampooSales.csv": ({}, "1mo", 36, 1),
    "forecast_small/heart_rate.csv.xz": ({}, None, 1800, 1),
    "forecast_small/monthly-milk.csv.xz": ({}, "1mo", 168, 1),
    "forecast_small/monthly-sunspots.csv.xz": ({}, "1mo", 2820, 1),
    "forecast_small/seattle-weather.csv": ({}, "1d", 1461, 4),
    "forecast_small/sp500.csv.gz": ({}, "1b", 1302, 11),
    "forecast_small/stocks.csv": ({"id": "symbol", "target": ("price",)}, "1mo", 123, 1),
    "forecast_small/sunspots_monthly_1749-1983.txt.gz": ({"wrapped": True, "season": 12}, None, 2820, 1),
    "forecast_small/taylor.csv.xz": ({}, None, 4032, 1),
    "forecast_small/us_gasoline.csv.xz": ({}, "7d", 1578, 1),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_known_files_are_read_as_they_are(archive, name):
    options, step, steps, channels = EXPECTED[name]
    data = read_series(archive(name), SeriesOptions(**options))
    assert (data.step, int(data.lengths.max()), data.values[0].shape[1]) == (step, steps, channels)


def test_two_writings_of_the_sunspots_agree(archive):
    folder = archive("forecast_small")
    rows = read_series(folder / "sunspots_monthly_1749-1983.txt.gz", SeriesOptions(wrapped=True))
    np.testing.assert_array_equal(rows.values[0], read_series(folder / "monthly-sunspots.csv.xz").values[0])
