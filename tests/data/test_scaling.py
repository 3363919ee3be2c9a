import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import Scaler, SequenceData
from gatewise.errors import DataError, OptionError

NAN = np.nan


def data_of(*sequences, **about):
    return SequenceData([np.asarray(sequence, dtype=np.float64) for sequence in sequences], **about)


def test_training_steps_get_mean_zero_and_std_one():
    rng = np.random.default_rng(0)
    data = data_of(*(rng.normal([3, -1e6], [5, 1e-3], (length, 2)) for length in (7, 1, 30)))
    scaler = Scaler.fit(data)
    steps = np.concatenate([scaler.encode(sequence) for sequence in data.sequences])
    assert steps.dtype == np.float32
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-6)


def test_missing_values_are_left_out_of_the_fit():
    scaler = Scaler.fit(data_of([[1], [NAN], [3]]))
    assert scaler.mean == (2.0,) and scaler.std == (1.0,)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e-300])
def test_constant_channel(value):
    scaler = Scaler.fit(data_of([[value]] * 7, [[value]] * 3))
    assert scaler.std == (1.0,)
    assert np.abs(scaler.encode(np.full((4, 1), value))).max() < 1e-6


def test_every_sequence_by_its_own_values():
    scaler = Scaler.fit(data_of([[0], [2]]), mode="sequence")
    np.testing.assert_allclose(scaler.encode(np.array([[10], [30], [NAN]])), [[-1], [1], [0]])
    np.testing.assert_allclose(scaler.encode(np.full((3, 1), 8.0)), 0)
    np.testing.assert_allclose(scaler.encode(np.full((3, 1), NAN)), 0)


@pytest.mark.parametrize("mode", ["channel", "sequence"])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e200, 1e307])
def test_large_values_keep_their_shape(mode, unit):
    sequence = np.array([[1.0], [NAN], [3.0]]) * unit
    np.testing.assert_allclose(Scaler.fit(data_of(sequence), mode=mode).encode(sequence), [[-1], [0], [1]])


def test_what_overflows_all_the_same_is_refused():
    sequence = np.array([[1.7e308]] + [[-1.7e308]] * 9)
    with pytest.raises(DataError, match=r"step 0: expected a finite number .*got 1\.7e\+308"):
        Scaler.fit(data_of(sequence), mode="sequence").encode(sequence)


@pytest.mark.parametrize(
    ("mode", "missing", "expected"),
    [
        ("channel", "mean", [[0], [1], [0], [3]]),
        ("channel", "previous", [[0], [1], [1], [3]]),
        ("channel", "indicator", [[0, 1], [1, 0], [0, 1], [3, 0]]),
        ("none", "mean", [[2], [3], [2], [5]]),
        ("none", "previous", [[2], [3], [3], [5]]),
        ("none", "indicator", [[2, 1], [3, 0], [2, 1], [5, 0]]),
    ],
)
def test_missing_values(mode, missing, expected):
    scaler = Scaler.fit(data_of([[1], [3]]), mode=mode, missing=missing)  # mean 2, std 1
    np.testing.assert_allclose(scaler.encode(np.array([[NAN], [3], [NAN], [5]])), expected)
    assert scaler.input_size == len(expected[0])


def test_fixed_length_cuts_and_pads_with_zeros():
    scaler = Scaler.fit(data_of([[1], [3], [1000]]), length=2, missing="indicator")
    assert scaler.mean == (2.0,)  # of the steps that the model sees
    assert scaler.encode(np.array([[3], [3], [3]])).tolist() == [[1, 0], [1, 0]]
    assert scaler.encode(np.array([[3]])).tolist() == [[1, 0], [0, 0]]


def test_sequence_without_steps():
    assert Scaler.fit(data_of([[1], [2]]), missing="previous").encode(np.empty((0, 1))).shape == (0, 1)


def test_errors_of_fit():
    with pytest.raises(DataError, match=r"memory, column speed: .*got only missing values"):
        Scaler.fit(data_of([[1, NAN]], [[2, NAN]], channels=("turn", "speed")))
    with pytest.raises(DataError, match=r"memory, sequence 1, step 2, column c0: .*got mean inf"):
        Scaler.fit(data_of([[1]], [[1], [2], [np.inf]]))
    with pytest.raises(DataError, match="expected at least one sequence, got none"):
        Scaler.fit(data_of())
    with pytest.raises(OptionError, match=r'got "chanel".*Did you mean "channel"'):
        Scaler.fit(data_of([[1]]), mode="chanel")
    with pytest.raises(OptionError, match="at least 1 step, got 0"):
        Scaler.fit(data_of([[1]]), length=0)


def test_errors_of_encode():
    scaler = Scaler.fit(data_of([[1, 2], [3, 4]], channels=("x", "y")))
    with pytest.raises(DataError, match=r"a\.ts, row 3: expected 2 channels, got 3"):
        scaler.encode(np.zeros((5, 3)), where="a.ts, row 3")
    with pytest.raises(DataError, match=r"row 3, column y, step 1: expected a finite number .*got -inf"):
        scaler.encode(np.array([[1, NAN], [1, -np.inf]]), where="row 3")
    with pytest.raises(DataError, match=r"column x, step 0: .*float32 can hold.*got 1e\+200"):
        scaler.encode(np.array([[1e200, 1]]))


def test_channels_are_compared_by_name():
    scaler = Scaler.fit(data_of([[1, 2], [3, 4]], channels=("x", "y")))
    with pytest.raises(DataError, match=r"expected 2 channels \(x, y\), got 1 \(x\)"):
        scaler.check(data_of([[1]], channels=("x",)))
    with pytest.raises(DataError, match=r"expected the channels x, y in this order, got y, x"):
        scaler.check(data_of([[1, 2]], channels=("y", "x")))
    scaler.check(data_of([[1, 2]], channels=("c0", "c1")))  # an array has no names
    scaler.check(data_of([[1, 2]]))


@given(
    st.lists(st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), min_size=1, max_size=9), min_size=1, max_size=5),
    st.sampled_from(["channel", "sequence", "none"]),
    st.sampled_from(["mean", "previous", "indicator"]),
)
def test_whatever_is_missing_the_result_is_finite(rows, mode, missing):
    data = data_of(*(np.array(row)[:, None] for row in rows), [[1.0]])
    scaler = Scaler.fit(data, mode=mode, missing=missing)
    for sequence in data.sequences:
        encoded = scaler.encode(sequence)
        assert encoded.shape == (len(sequence), scaler.input_size) and np.isfinite(encoded).all()
