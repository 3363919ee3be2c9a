"""Real files of the public archives, against what their documentation says of them."""

import numpy as np
import pytest

from gatewise.data import Labels, ReadOptions, Scaler, SequenceAdapter, describe, read
from gatewise.errors import DataError

COUNTS = [  # file, sequences, channels, shortest, longest, classes
    ("ucr_ECG200/ECG200_TRAIN.tsv.xz", 100, 1, 96, 96, ("-1", "1")),
    ("ucr_ECG200/ECG200_TEST.tsv.xz", 100, 1, 96, 96, ("-1", "1")),
    ("ucr_FordA/FordA_TRAIN.tsv.xz", 3601, 1, 500, 500, ("-1", "1")),
    ("ucr_GunPoint/GunPoint_TEST.ts.xz", 150, 1, 150, 150, ("1", "2")),
    ("ucr_ItalyPowerDemand/ItalyPowerDemand_TEST.ts.xz", 1029, 1, 24, 24, ("1", "2")),
    ("uea_BasicMotions/BasicMotions_TRAIN.ts.xz", 40, 6, 100, 100, ("Standing", "Running", "Walking", "Badminton")),
    ("uea_JapaneseVowels/JapaneseVowels_TRAIN.ts.xz", 270, 12, 7, 26, tuple("123456789")),
    ("uea_JapaneseVowels/JapaneseVowels_TEST.ts.xz", 370, 12, 7, 29, tuple("123456789")),
]


@pytest.mark.parametrize("expected", COUNTS, ids=lambda expected: expected[0])
def test_archive_file(archive, expected):
    name, sequences, channels, shortest, longest, classes = expected
    data = read(archive(name))
    assert len(data) == sequences
    assert {sequence.shape[1] for sequence in data.sequences} == {channels} == {len(data.channels)}
    assert (data.lengths.min(), data.lengths.max()) == (shortest, longest)
    assert Labels.fit(data).classes == classes
    assert all(sequence.dtype == np.float64 and np.isfinite(sequence).all() for sequence in data.sequences)
    adapter = SequenceAdapter(Scaler.fit(data), Labels.fit(data))
    steps = np.concatenate([example.input for example in adapter.encode(data)])
    assert np.abs(steps.mean(axis=0)).max() < 1e-5 and np.abs(steps.std(axis=0) - 1).max() < 1e-4


def test_first_and_last_values_of_japanese_vowels(archive):
    data = read(archive("uea_JapaneseVowels/JapaneseVowels_TRAIN.ts.xz"))
    assert data.sequences[0].shape == (20, 12)
    assert data.sequences[0][0, 0] == 1.860936 and data.sequences[0][-1, 0] == 1.261441
    assert data.sequences[0][0, 1] == -0.207383
    assert data.targets[0] == "1" and data.targets[-1] == "9"


def test_pendigits_without_a_header(archive, tmp_path):
    path = tmp_path / "digits.csv.xz"
    path.write_bytes(archive("pendigits/pendigits.tra.xz").read_bytes())
    data = read(path, ReadOptions(target=("c16",)))
    assert len(data) == 7494 and set(data.lengths.tolist()) == {16}
    assert Labels.fit(data).classes == tuple("0123456789")
    assert data.sequences[0][:4, 0].tolist() == [0, 100, 62, 99] and data.rows[0] == 1


def test_stocks_in_long_form(archive):
    path = archive("forecast_small/stocks.csv")
    data = read(path, ReadOptions(id="symbol"))
    assert data.ids == ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"] and data.channels == ("price",)
    assert data.lengths.tolist() == [123, 123, 123, 68, 123] and data.rows[:2] == [2, 125]
    with pytest.raises(DataError, match=r'row 2, column date.*got "Jan 1 2000"'):
        read(path, ReadOptions(id="symbol", time="date"))


def test_weather_as_one_sequence(archive):
    data = read(archive("forecast_small/seattle-weather.csv"), ReadOptions(time="date"))
    assert data.sequences[0].shape == (1461, 4) and data.channels[0] == "precipitation"


def test_missing_values_of_flu_reports(archive):
    data = read(archive("forecast_small/ILINet.csv.xz"), ReadOptions(time="DATE"))
    missing = dict(zip(data.channels, describe(data).missing, strict=True))
    assert missing["AGE 0-4"] == 0 and missing["AGE 25-49"] == pytest.approx(529 / 1301)
