"""Windows of series against their definition, the split in time, and what is written down."""

import numpy as np
import pytest

from gatewise.data.adapter import adapter_from_json, adapter_to_json
from gatewise.data.calendar import calendar_features, moments_after
from gatewise.data.config import DataConfig, SeriesConfig
from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter, Static
from gatewise.data.series_files import read_series
from gatewise.data.series_split import cut_in_time
from gatewise.data.series_windows import MOST_WINDOWS, thinned
from gatewise.data.split import split
from gatewise.errors import DataError
from gatewise.types import Prediction, Results

HOURS = np.datetime64("2024-01-01T05:00", "ns")
SCALES = ("window", "series", "channel", "none")


def wave(steps, channels=1, *, seed=0, missing=0.0, level=100.0):
    """``[T, K]``: a season, noise and a level; some values missing."""
    rng = np.random.default_rng(seed)
    values = (
        level + np.sin(np.arange(steps)[:, None] / 4 + np.arange(channels)) + 0.1 * rng.normal(size=(steps, channels))
    )
    values[rng.random(values.shape) < missing] = np.nan
    return values


def hourly(lengths=(60, 45), channels=2, *, missing=0.1, ahead=0):
    """Series with everything that they may have."""
    rng = np.random.default_rng(1)
    return SeriesData(
        [wave(n, channels, seed=i, missing=missing) for i, n in enumerate(lengths)],
        times=[moments_after(HOURS + i * np.timedelta64(30, "h"), "1h", np.arange(n)) for i, n in enumerate(lengths)],
        past=[rng.normal(5, 2, size=(n, 1)) for n in lengths],
        future=[rng.normal(-1, 3, size=(n + ahead, 2)) for n in lengths],
        static=[("big", 1.0), ("small", 3.0)][: len(lengths)],
        target_names=tuple(f"y{k}" for k in range(channels)),
        past_names=("p",),
        future_names=("f", "g"),
        static_names=("kind", "area"),
        ids=["a", "b"][: len(lengths)],
        step="1h",
        season=4,
    )


def fit(data, **settings):
    return SeriesAdapter.fit(data, SeriesConfig(**{"context_length": 12, "horizon": 3, **settings}))


# What a window is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_every_window_follows_the_definition(scale):
    data = hourly()
    adapter = fit(data, scale=scale)
    windows = adapter.encode(data)
    expected_places = []
    for i, values in enumerate(data.values):
        for t in range(12, len(values) - 3 + 1):
            expected_places.append((i, t))
    assert [windows.place(n) for n in range(len(windows))] == expected_places
    whole = np.concatenate(data.values)
    mean, std = np.nanmean(whole, axis=0), np.nanstd(whole, axis=0)
    np.testing.assert_allclose(adapter.mean, mean)
    np.testing.assert_allclose(adapter.std, std)
    past_all, future_all = np.concatenate(data.past), np.concatenate(data.future)
    for n, (i, t) in enumerate(expected_places):
        example = windows[n]
        window, values = example.input, data.values[i]
        context = values[t - 12 : t]
        seen = values[:t] if scale == "series" else context
        loc = {"channel": mean, "none": np.zeros(2)}.get(scale, np.nanmean(seen, axis=0))
        deviation = {"channel": std, "none": np.ones(2)}.get(scale, np.nanstd(seen, axis=0))
        np.testing.assert_allclose(window.loc, loc, rtol=1e-12)
        np.testing.assert_allclose(window.scale, deviation, rtol=1e-9)
        observed = ~np.isnan(context)
        calendar = calendar_features(moments_after(data.times[i][0], "1h", np.arange(t + 3)), adapter.calendar)
        known = np.concatenate([(data.future[i][: t + 3] - future_all.mean(0)) / future_all.std(0), calendar], axis=1)
        rows = [
            np.where(observed, (np.nan_to_num(context) - loc) / deviation, 0),
            observed,
            ((data.past[i] - past_all.mean(0)) / past_all.std(0))[t - 12 : t],
            known[t - 12 : t],
        ]
        np.testing.assert_allclose(window.past, np.concatenate(rows, axis=1), atol=1e-5)
        np.testing.assert_allclose(window.future, known[t:], atol=1e-5)
        np.testing.assert_allclose(window.static, [i == 0, i == 1, -1 if i == 0 else 1], atol=1e-6)
        np.testing.assert_array_equal(example.reference, values[t : t + 3])
        np.testing.assert_allclose(example.target * window.scale + window.loc, values[t : t + 3], rtol=1e-5)
        before = np.abs(values[4:t] - values[: t - 4])
        np.testing.assert_allclose(window.naive_error, np.nanmean(before, axis=0), rtol=1e-9)
    assert adapter.calendar == ("day",)
    assert window.past.dtype == window.future.dtype == window.static.dtype == example.target.dtype == np.float32
    assert (adapter.num_channels, adapter.input_size) == (2, window.past.shape[1])
    assert (adapter.future_size, adapter.static_size) == (window.future.shape[1], window.static.shape[0])
    assert windows.lengths.tolist() == [12] * len(windows)
    assert example.steps == 12


@pytest.mark.parametrize("scale", SCALES)
def test_nothing_of_what_is_to_be_forecast_is_in_a_window(scale):
    data = hourly()
    adapter = fit(data, scale=scale)
    origin = 30
    other = hourly()
    for part in (other.values, other.past):
        part[0][origin:] = 1e6
    place = np.array([[0, origin]])
    one, changed = adapter.at(data, place)[0].input, adapter.at(other, place)[0].input
    for got, expected in zip(changed, one, strict=True):
        np.testing.assert_array_equal(got, expected)
    other.future[0][origin] += 1  # what is known ahead is seen
    assert not np.array_equal(adapter.at(other, place)[0].input.future, one.future)


def test_a_window_is_a_function_of_its_context_alone():
    data = hourly(ahead=3)
    adapter = fit(data)
    whole, tail = adapter.encode_future(data), adapter.encode_future(data.last(12))
    assert len(whole) == len(tail) == 2
    for one, other in zip(whole, tail, strict=True):
        for got, expected in zip(other.input[:5], one.input[:5], strict=True):
            np.testing.assert_array_equal(got, expected)
        assert one.target is None and one.reference is None


def test_points_that_come_one_by_one_give_the_windows_of_the_whole():
    data = hourly(ahead=3)
    adapter = fit(data)
    grown = data.until([30, 30])
    for t in range(30, 45):
        ends = [t + 1, t + 1]
        more = [values[t : t + 1] for values in data.values]
        times = [adapter.times(grown, i, t + 1)[t:] for i in range(2)]
        grown = grown.extended(more, times=times, past=[part[t : t + 1] for part in data.past])
        expected = adapter.encode_future(data.until(ends))
        for one, other in zip(adapter.encode_future(grown), expected, strict=True):
            for got, wanted in zip(one.input, other.input, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_scaling_is_reversible_far_from_zero():
    values = 1e9 + wave(40, level=0.0)
    adapter = fit(SeriesData([values]))
    for scale in ("window", "series"):
        window = fit(SeriesData([values]), scale=scale).encode(SeriesData([values]))[-1]
        back = window.input.past[:, :1].astype(np.float64) * window.input.scale + window.input.loc
        np.testing.assert_allclose(back, values[-15:-3], atol=1e-5)
    assert adapter.horizon == 3


# Where windows may begin ---------------------------------------------------------------------------------------------


def test_a_series_too_short_for_a_whole_context_is_padded_at_its_left():
    data = SeriesData([wave(40), wave(9, seed=3)], season=4)
    adapter = fit(data)
    windows = adapter.encode(data)
    assert [windows.place(n) for n in range(len(windows)) if windows.place(n)[0] == 1] == [(1, 5), (1, 6)]
    window = windows[len(windows) - 2].input
    assert window.past.shape == (12, 2)
    assert not window.past[:7].any()
    assert window.past[7:, 1].all()
    np.testing.assert_allclose(window.loc, data.values[1][:5].mean(0))


def test_windows_without_anything_in_them_are_left_out():
    values = wave(60)
    values[20:45] = np.nan
    data = SeriesData([values])
    windows = fit(data).encode(data)
    for example in windows:
        assert example.input.past[:, 1].any()
        assert not np.isnan(example.target).all()
    origins = windows.places[:, 1].tolist()
    assert origins == [*range(12, 20), *range(46, 58)]


def test_a_context_that_does_not_vary_is_scaled_by_what_is_usual():
    values = wave(200, level=10.0)
    values[100:130] = 7.0
    zeros = np.zeros((60, 1))
    data = SeriesData([values, zeros])
    adapter = fit(data)
    flat = adapter.at(data, np.array([[0, 120]]))[0].input
    assert flat.loc[0] == 7.0
    np.testing.assert_allclose(flat.scale[0], min(adapter.typical[0], 0.02 * 7.0))
    assert not flat.past[:, 0].any()
    empty = adapter.at(data, np.array([[1, 30]]))[0].input
    np.testing.assert_allclose(empty.scale[0], adapter.typical[0])
    assert np.isfinite(adapter.encode(data)[150].target).all()


def test_a_channel_without_a_value_in_the_context_takes_the_channels_scale():
    values = wave(60, 2)
    values[20:40, 1] = np.nan
    data = SeriesData([values], target_names=("a", "b"))
    adapter = fit(data)
    window = adapter.at(data, np.array([[0, 38]]))[0].input
    np.testing.assert_allclose((window.loc[1], window.scale[1]), (adapter.mean[1], adapter.std[1]))
    assert not window.past[:, 1].any() and not window.past[:, 3].any()


def test_windows_are_thinned_from_the_end():
    origins = [np.arange(10, 21), np.arange(5, 8)]
    assert thinned(origins, 4).tolist() == [[0, 12], [0, 16], [0, 20], [1, 7]]
    many = thinned([np.arange(3 * MOST_WINDOWS + 5)], None)
    assert MOST_WINDOWS * 0.7 < len(many) <= MOST_WINDOWS
    assert many[-1, 1] == 3 * MOST_WINDOWS + 4
    data = hourly()
    assert len(fit(data, stride=5).encode(data)) == -(-46 // 5) + -(-31 // 5)


def test_defaults_fit_the_series():
    data = SeriesData([wave(144)], season=12, step="1mo")
    adapter = SeriesAdapter.fit(data, SeriesConfig())
    assert (adapter.context_length, adapter.horizon) == (36, 12)
    short = SeriesAdapter.fit(SeriesData([wave(40)], season=12), SeriesConfig())
    assert (short.context_length, short.horizon) == (14, 12)
    counted = SeriesAdapter.fit(SeriesData([wave(1000)]), SeriesConfig())
    assert (counted.context_length, counted.horizon) == (12, 6)


# The split in time ---------------------------------------------------------------------------------------------------


def test_validation_is_forecast_from_where_training_ends():
    data = hourly(lengths=(60, 45))
    config = DataConfig(series=SeriesConfig(context_length=12, horizon=3))
    train, valid = cut_in_time(data, config)
    assert train.lengths.tolist() == [48, 36]
    assert valid.firsts == [48, 36]
    adapter = SeriesAdapter.fit(train, config.series)
    learnt, judged = adapter.encode(train), adapter.encode(valid)
    for i, length in enumerate((60, 45)):
        origins = judged.places[judged.places[:, 0] == i, 1].tolist()
        assert origins == list(range((48, 36)[i], length - 3 + 1))
        assert learnt.places[learnt.places[:, 0] == i, 1].max() + 3 <= (48, 36)[i]
    np.testing.assert_allclose(adapter.mean, np.nanmean(np.concatenate([data.values[0][:48], data.values[1][:36]]), 0))


def test_folds_move_their_origin_and_judge_every_step_once():
    data = SeriesData([wave(100)])
    series = SeriesConfig(context_length=5, horizon=2)
    parts = [cut_in_time(data, DataConfig(series=series, folds=4, fold=fold)) for fold in (1, 2, 3, 4)]
    assert [int(train.lengths[0]) for train, _ in parts] == [20, 40, 60, 80]
    assert [(valid.firsts[0], int(valid.lengths[0])) for _, valid in parts] == [(20, 40), (40, 60), (60, 80), (80, 100)]


def test_a_series_too_short_for_both_sides_is_learnt_from():
    data = SeriesData([wave(60), wave(8)])
    config = DataConfig(series=SeriesConfig(context_length=6, horizon=4))
    train, valid = cut_in_time(data, config)
    assert (train.lengths.tolist(), len(valid), valid.lengths.tolist()) == ([48, 8], 1, [60])
    with pytest.raises(DataError, match=r"at least 9 points.*horizon 4.*at most 8"):
        cut_in_time(data.subset([1]), config)


def test_folds_need_stretches_of_a_horizon():
    series = SeriesConfig(context_length=3, horizon=5)
    data = SeriesData([wave(20), wave(60)])
    for fold in (1, 2, 3, 4):
        config = DataConfig(series=series, folds=4, fold=fold)
        train, valid = cut_in_time(data, config)  # stretches of 4 and of 12
        assert (int(train.lengths[0]), valid.lengths.tolist()) == (20, [12 * (fold + 1)])
        assert len(SeriesAdapter.fit(train, series).encode(valid))
        with pytest.raises(DataError, match=r"at least 30 points, for data\.folds 4 .* 5 stretches.*at most 20"):
            cut_in_time(data.subset([0]), config)
    enough = SeriesData([wave(30)])
    for fold in (1, 2, 3, 4):
        assert len(cut_in_time(enough, DataConfig(series=series, folds=4, fold=fold))[1]) == 1


def test_series_may_also_be_shared_out_whole():
    train, valid = split(SeriesData([wave(9)] * 10), by="random")
    assert len(train) == 8 and len(valid) == 2


def test_the_informer_split_of_etth(archive):
    file = archive("etth/ETTh1.csv.xz")
    train, valid, test = (read_series(f"{file}@{part}") for part in ("..8640", "8640..11520", "11520..14400"))
    values = read_series(file).values[0]
    adapter = SeriesAdapter.fit(train, SeriesConfig(context_length=96, horizon=24))
    np.testing.assert_allclose(adapter.mean, values[:8640].mean(0), rtol=1e-12)
    np.testing.assert_allclose(adapter.std, values[:8640].std(0), rtol=1e-12)
    sizes = [len(adapter.encode(part)) for part in (train, valid, test)]
    assert sizes == [8640 - 96 - 24 + 1, 2880 - 24 + 1, 2880 - 24 + 1]
    first = adapter.encode(test)[0]
    np.testing.assert_array_equal(first.reference, values[11520 : 11520 + 24])
    back = first.input.past[:, :7] * first.input.scale + first.input.loc
    np.testing.assert_allclose(back, values[11520 - 96 : 11520], rtol=1e-4, atol=1e-4)


# What is written down ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_an_adapter_survives_json_bit_by_bit(scale):
    adapter = fit(hourly(), scale=scale, stride=2)
    again = adapter_from_json(adapter_to_json(adapter))
    assert again == adapter
    with pytest.raises(DataError, match="damaged"):
        adapter_from_json(adapter_to_json(adapter).replace('"horizon"', '"horizont"'))


def test_static_categories_that_are_new_are_zeros():
    column = Static.fit("kind", ["b", "a", "", "b"])
    assert [column.encode(value, "f") for value in ("a", "b", "c", "")] == [[1, 0], [0, 1], [0, 0], [0, 0]]
    number = Static.fit("area", [1.0, 3.0, float("nan")])
    assert [number.encode(value, "f") for value in (1.0, 5.0, float("nan"))] == [[-1], [3], [0]]
    assert [number.encode(value, "f") for value in (0.0, 0, "")] == [[-2], [-2], [0]]
    with pytest.raises(DataError, match='f, column area: expected a number as in training, got "large"'):
        number.encode("large", "f")


def predictions(count, horizon, channels, levels=()):
    values = np.arange(count * horizon * channels, dtype=float).reshape(count, horizon, channels)
    return [Prediction(value.tolist(), quantiles=[(q, value + q) for q in levels] or None) for value in values]


def test_columns_tell_series_time_and_quantiles():
    data = hourly(ahead=3, lengths=(20, 25))
    adapter = fit(data)
    asked = adapter.columns(
        SeriesData(**{**vars(data), "targets": None}), Results(float("nan"), predictions(2, 3, 2, (0.1, 0.975)), [])
    )
    assert list(asked) == ["series", "time", "y0", "y0_q10", "y0_q97.5", "y1", "y1_q10", "y1_q97.5"]
    assert asked["series"] == ["a"] * 3 + ["b"] * 3
    expected = [moments_after(data.times[i][-1], "1h", np.arange(1, 4)) for i in range(2)]
    np.testing.assert_array_equal(np.array(asked["time"], dtype="datetime64[ns]"), np.concatenate(expected))
    assert asked["y1"] == [1, 3, 5, 7, 9, 11]
    assert asked["y0_q97.5"][2] == 4.975
    windows = adapter.encode(data)
    known = adapter.columns(data, Results(0.0, predictions(len(windows), 3, 2), []))
    assert list(known) == ["series", "origin", "time", "y0", "y1"]
    assert len(known["y0"]) == 3 * len(windows)
    np.testing.assert_array_equal(np.array(known["origin"][:1], dtype="datetime64[ns]"), data.times[0][11:12])


def test_the_origin_is_told_of_several_forecasts_of_one_series_among_short_ones():
    data = SeriesData([wave(40), *[wave(2, seed=i) for i in range(5)]])
    adapter = fit(data, stride=9)
    windows = adapter.encode(data)
    assert windows.places.tolist() == [[0, 19], [0, 28], [0, 37]]
    known = adapter.columns(data, Results(0.0, predictions(3, 3, 1), []))
    assert known["origin"] == [18] * 3 + [27] * 3 + [36] * 3
    one_each = adapter.table(data, np.array([[0, 19], [1, 2]]), predictions(2, 3, 1))
    assert "origin" not in one_each


def test_counted_steps_and_days_are_shown_as_such():
    data = SeriesData([wave(30)], targets=None)
    adapter = fit(SeriesData([wave(30)]))
    assert adapter.columns(data, Results(0.0, predictions(1, 3, 1), [])) == {"step": [30, 31, 32], "value": [0, 1, 2]}
    days = SeriesData(
        [wave(30)], times=[moments_after(np.datetime64("2024-02-01", "ns"), "1d", np.arange(30))], step="1d"
    )
    table = fit(days).table(days, np.array([[0, 30]]), predictions(1, 3, 1))
    assert [str(day) for day in table["time"]] == ["2024-03-02", "2024-03-03", "2024-03-04"]


# Mistakes ------------------------------------------------------------------------------------------------------------


def test_too_few_points_are_told_with_series_count_and_need():
    data = SeriesData([wave(14), wave(10)], ids=["long", "short"], source="f.csv")
    with pytest.raises(DataError, match=r"id long.*at least 15 points .*context_length 12 \+ .*horizon 3\), got 14"):
        fit(data)


def test_a_channel_without_a_value_is_told():
    values = wave(40, 2)
    values[:, 1] = np.nan
    with pytest.raises(DataError, match=r"f\.csv, column b: expected numbers in the training part"):
        fit(SeriesData([values], target_names=("a", "b"), source="f.csv"))


def test_what_is_known_ahead_has_to_reach_the_horizon():
    data = hourly(ahead=2)
    adapter = fit(data)
    assert len(adapter.encode(data))
    with pytest.raises(DataError, match=r"id a.*expected 3 rows after the last value with f, g, got 2"):
        adapter.encode_future(data)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"values": [wave(40)] * 2, "target_names": ("y0",)}, r"expected 2 channels .*\(y0, y1\), got 1"),
        ({"target_names": ("y1", "y0")}, r'expected the channels of training in their order, channel 1 "y0", got "y1"'),
        ({"target_names": ("y0", "z")}, r'expected the channels .*, channel 2 "y1", got "z"\. Name them with --target'),
        ({"step": "1d"}, "expected hourly times as in training, got daily"),
        ({"past": None, "past_names": ()}, r"expected data.series.past as in training \(p\), got none"),
        ({"times": None, "step": None}, "expected dates as in training"),
    ],
)
def test_other_data_than_in_training_are_refused(change, what):
    data = hourly()
    other = SeriesData(**{**vars(data), **change, "source": "new.csv"})
    with pytest.raises(DataError, match=f"new.csv: {what}"):
        fit(data).encode(other)


def test_channels_without_names_are_taken_as_they_stand():
    named, unnamed = (SeriesData([wave(40, 2)], target_names=names) for names in (("y0", "y1"), ("c0", "c1")))
    assert len(fit(named).encode(unnamed)) == len(fit(unnamed).encode(named)) == len(fit(named).encode(named))
    one, other = (SeriesData([wave(40)], target_names=(name,)) for name in ("sales", "value"))
    assert len(fit(one).encode(other)) == len(fit(other).encode(one))


def test_a_series_without_a_step_has_no_future():
    data = SeriesData([wave(40), wave(30)], ids=["a", "b"], source="f.csv")
    with pytest.raises(DataError, match=r"id b\): expected steps that a forecast looks back on, got none"):
        fit(data).encode_future(data.until([40, 0]))


def test_notes_tell_what_cannot_be_learnt_from():
    data = SeriesData([np.concatenate([wave(40), np.ones((40, 1))], 1), np.ones((3, 2))], target_names=("a", "b"))
    notes = fit(data).notes(data)
    assert notes == ["1 of 2 series are too short for a window, and left out", "channels that do not vary: b"]
