import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import Labels, Scaler, SequenceAdapter, SequenceData, Values, adapter_from_json, adapter_to_json
from gatewise.errors import DataError, OptionError


def data_of(targets, **about):
    return SequenceData([np.full((3, 2), float(i)) for i in range(len(targets))], targets, **about)


def test_labels_in_their_order():
    assert Labels.fit(data_of(["10", "9", "-1"])).classes == ("-1", "9", "10")
    assert Labels.fit(data_of(["b", "a", "2"])).classes == ("2", "a", "b")
    assert Labels.fit(data_of(["a", "b"], classes=("b", "c", "a"))).classes == ("b", "c", "a")
    assert Labels.fit(data_of(["a", "b", "a"])).examples == (2, 1)


def test_encode_decode_and_decide():
    labels = Labels(("no", "yes"), threshold=0.7)
    assert [labels.decode(labels.encode(label)) for label in ("yes", "no")] == ["yes", "no"]
    assert [labels.decide([0.35, 0.65]), labels.decide([0.2, 0.8])] == [0, 1]
    assert Labels(("a", "b")).decide([0.5, 0.5]) == 0  # as argmax
    assert Labels(("a", "b", "c"), threshold=0.9).decide([0.2, 0.5, 0.3]) == 1


def test_errors_of_labels():
    with pytest.raises(DataError, match=r'memory: expected at least two classes, got only "a"'):
        Labels.fit(data_of(["a", "a"]))
    with pytest.raises(DataError, match=r"memory: expected a target for each sequence, got none"):
        Labels.fit(SequenceData([np.zeros((1, 1))]))
    with pytest.raises(DataError, match=r"sequence 0: expected a class label, got the number 1.5"):
        Labels.fit(data_of([1.5, 2.0]))
    with pytest.raises(DataError, match=r'row 4: expected one of the labels run, walk, got "walc".*mean "walk"'):
        Labels(("run", "walk")).encode("walc", where="row 4")
    with pytest.raises(OptionError, match=r"threshold: expected 0 to 1, got 1\.5"):
        Labels(("run", "walk"), threshold=1.5)


def test_values_are_scaled_and_restored():
    data = data_of([1.0, 3.0], target_names=("price",))
    values = Values.fit(data)
    assert values == Values(("price",), (2.0,), (1.0,))
    assert values.encode(3.0).tolist() == [1.0] and values.encode(3.0).dtype == np.float32
    assert values.decode(np.array([[1.0], [0.0]])).tolist() == [[3.0], [2.0]]
    assert Values.fit(data_of([5.0, 5.0])).std == (1.0,)


def test_values_of_each_step():
    values = Values.fit(data_of([np.array([[0.0], [2], [4]]), np.array([[2.0]])]))
    assert values.per_step and values.mean == (2.0,) and values.encode(np.array([0.0, 4])).shape == (2, 1)


def test_errors_of_values():
    with pytest.raises(DataError, match=r'sequence 1: expected a number, .*got the label "a"'):
        Values.fit(data_of([1.0, "a"]))
    with pytest.raises(DataError, match=r"sequence 1: expected 2 target numbers, got 3"):
        Values.fit(data_of([np.zeros(2), np.zeros(3)]))
    with pytest.raises(DataError, match=r"sequence 1: expected finite target numbers, got inf"):
        Values.fit(data_of([1.0, np.inf]))


def test_adapter_encodes_examples():
    data = data_of(["b", "a", "b"])
    adapter = SequenceAdapter(Scaler.fit(data), Labels.fit(data))
    examples = adapter.encode(data)
    assert [example.target for example in examples] == [1, 0, 1]
    assert (adapter.input_size, adapter.output_size) == (2, 2) and examples[0].input.shape == (3, 2)
    assert adapter.encode(SequenceData(data.sequences))[0].target is None


def test_adapter_errors_name_the_row():
    data = data_of(["b", "a"])
    adapter = SequenceAdapter(Scaler.fit(data), Labels.fit(data))
    with pytest.raises(DataError, match=r'x\.csv, row 7 \(id u\): expected one of the labels a, b, got "c"'):
        adapter.encode(data_of(["c"], source="x.csv", rows=[7], ids=["u"]))
    with pytest.raises(DataError, match=r"x\.csv: expected 2 channels \(c0, c1\), got 1"):
        adapter.encode(SequenceData([np.zeros((3, 1))], source="x.csv"))
    with pytest.raises(DataError, match=r"sequence 0, column c1, step 2: .*got inf"):
        adapter.encode(SequenceData([np.array([[1, 1], [1, 1], [1, np.inf]])]))


def test_one_target_a_step_fits_its_sequence():
    data = data_of([np.zeros((3, 1)), np.ones((3, 1))])
    adapter = SequenceAdapter(Scaler.fit(data), Values.fit(data))
    assert adapter.encode(data)[0].target.shape == (3, 1)
    with pytest.raises(DataError, match=r"sequence 0: expected one target a step, 3 in all, got 2"):
        adapter.encode(data_of([np.zeros((2, 1))]))
    with pytest.raises(DataError, match=r"expected no fixed length with one answer a step, got length 9"):
        SequenceAdapter(Scaler.fit(data, length=9), Values.fit(data))


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.text(), min_size=2, max_size=6, unique=True),
    st.floats(0, 1),
    st.lists(
        st.tuples(st.text(), finite, st.floats(0, exclude_min=True, allow_infinity=False)), min_size=1, max_size=4
    ),
)
def test_json_round_trip(classes, threshold, columns):
    names, mean, std = (tuple(column) for column in zip(*columns, strict=True))
    scaler = Scaler(names, mean, std, "none", "indicator", 12)
    for targets in (Labels(tuple(classes), threshold, (1,) * len(classes)), Values(names, mean, std)):
        adapter = SequenceAdapter(scaler, targets)
        assert adapter_from_json(adapter_to_json(adapter)) == adapter


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(format=2), "expected format 1, got 2"),
        (lambda content: content.pop("inputs"), "got damaged text"),
        (lambda content: content["inputs"].update(colour=1), "unknown colour"),
        (lambda content: content["targets"].update(kind="words"), "got damaged text"),
        (lambda content: content["inputs"].update(std="1"), r"got damaged text \(std: .*array"),
        (lambda content: content["inputs"].update(std=["1", "1"]), r"got damaged text \(std\.0: .*number"),
        (lambda content: content["inputs"].update(std=[1.0]), r"damaged .*expected 2 means and stds.*got 2 and 1"),
        (lambda content: content["inputs"].update(std=[1.0] * 3), r"damaged .*expected 2 means and stds.*got 2 and 3"),
        (lambda content: content["inputs"].update(std=[1.0, 0.0]), r"damaged .*column c1: .*std above 0"),
        (lambda content: content["inputs"].update(mean=[1.0, float("nan")]), r"damaged .*column c1: .*finite mean"),
        (lambda content: content["inputs"].update(mode="chanel"), r"damaged .*chanel"),
        (lambda content: content["inputs"].update(length=2.5), r"damaged text \(length: "),
        (lambda content: content["targets"].pop("threshold"), r"damaged text .*no threshold"),
        (lambda content: content["targets"].update(threshold=7), r"damaged .*expected 0 to 1, got 7"),
        (lambda content: content["targets"].update(classes=["a", 2]), r"damaged text \(classes\.1: "),
        (lambda content: content["targets"].update(classes=["a", "a"]), r"damaged .*each class once"),
        (lambda content: content["targets"].update(examples=[1]), r"damaged .*2 counts of examples"),
    ],
)
def test_damaged_adapter(change, message):
    data = data_of(["b", "a"])
    content = json.loads(adapter_to_json(SequenceAdapter(Scaler.fit(data), Labels.fit(data))))
    change(content)
    with pytest.raises(DataError, match=r"runs/x/adapter\.json: " + ".*" + message) as caught:
        adapter_from_json(json.dumps(content), source="runs/x/adapter.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="damaged"):
        adapter_from_json("{")


def test_damaged_values():
    data = data_of([1.0, 3.0])
    content = json.loads(adapter_to_json(SequenceAdapter(Scaler.fit(data), Values.fit(data))))
    for change in ({"std": [1.0, 1.0]}, {"std": [-1.0]}, {"per_step": 1}):
        damaged = {**content, "targets": {**content["targets"], **change}}
        with pytest.raises(DataError, match="damaged"):
            adapter_from_json(json.dumps(damaged))


def test_a_sequence_without_steps_is_named():
    data = data_of(["b", "a"])
    adapter = SequenceAdapter(Scaler.fit(data), Labels.fit(data))
    empty = SequenceData([np.ones((1, 2)), np.empty((0, 2))], source="x.npz", ids=["u", "v"])
    with pytest.raises(DataError, match=r"x\.npz, sequence 1 \(id v\): expected at least one step, got none"):
        adapter.encode(empty)


def test_large_target_values_are_scaled():
    values = Values.fit(data_of([1e200, 3e200]))
    assert values.mean == (2e200,) and values.encode(3e200).tolist() == [1.0]
