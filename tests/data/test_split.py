import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewise.data import SequenceData, folds, split, split_notes
from gatewise.errors import DataError, OptionError


def data_of(targets, groups=None):
    return SequenceData([np.zeros((1, 1))] * len(targets), targets, groups=groups)


labels = st.lists(st.sampled_from("abcd"), min_size=2, max_size=60)
fractions = st.floats(0.01, 0.99)


def complete(train, valid, count):
    return sorted([*train.tolist(), *valid.tolist()]) == list(range(count)) and len(train) and len(valid)


@given(labels, fractions, st.integers(0, 5))
@example(["a", "a", "a", "b", "c"], 0.3125, 0)  # the share of "b" and "c" is not made up for by "a"
def test_stratified_is_complete_and_has_each_class_on_both_sides(targets, fraction, seed):
    data = data_of(targets)
    if all(targets.count(label) == 1 for label in targets):
        with pytest.raises(DataError, match="a class with at least 2 examples"):
            split(data, fraction=fraction, seed=seed)
        return
    train, valid = split(data, fraction=fraction, seed=seed)
    assert complete(train, valid, len(targets))
    for label in set(targets):
        aside = sum(targets[i] == label for i in valid)
        if targets.count(label) == 1:
            assert aside == 0
            assert f'class "{label}" has one example; it stays in training' in split_notes(data, train, valid)
        else:
            assert 0 < aside < targets.count(label)
            assert abs(aside - targets.count(label) * fraction) <= 1 + 1e-9
    again = split(data, fraction=fraction, seed=seed)
    assert all(np.array_equal(left, right) for left, right in zip((train, valid), again, strict=True))


@given(st.integers(2, 50), fractions, st.sampled_from(["random", "time"]))
def test_random_and_time(count, fraction, by):
    data = data_of([float(i) for i in range(count)])
    train, valid = split(data, fraction=fraction, by=by)
    assert complete(train, valid, count)
    assert len(valid) == min(max(round(count * fraction), 1), count - 1)
    if by == "time":
        assert train.max() < valid.min()
    assert split_notes(data, train, valid) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), min_size=2, max_size=60), fractions)
def test_no_group_on_both_sides(rows, fraction):
    groups = [f"g{group}" for _, group in rows]
    data = data_of([label for label, _ in rows], groups)
    if len(set(groups)) < 2:
        with pytest.raises(DataError, match="expected at least 2 groups, got 1"):
            split(data, fraction=fraction, by="group")
        return
    train, valid = split(data, fraction=fraction, by="group")
    assert complete(train, valid, len(rows))
    assert not {groups[i] for i in train} & {groups[i] for i in valid}


def test_groups_keep_the_classes_balanced():
    targets = ["a"] * 50 + ["b"] * 50
    groups = [str(i % 50 // 5) + target for i, target in enumerate(targets)]  # 20 groups of 5, of one class each
    _, valid = split(data_of(targets, groups), fraction=0.2, by="group", seed=3)
    assert [sum(targets[i] == label for i in valid) for label in "ab"] == [10, 10]
    for _, judged in folds(data_of(targets, groups), 5, by="group"):
        assert [sum(targets[i] == label for i in judged) for label in "ab"] == [10, 10]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=2, max_size=50), st.integers(2, 5))
def test_folds_judge_every_sequence_once(rows, k):
    groups = [str(group) for _, group in rows]
    data = data_of([label for label, _ in rows], groups)
    for by in ("stratified", "random", "group"):
        if len(set(groups) if by == "group" else rows) < k:
            with pytest.raises(DataError, match=f"expected at least {k}"):
                folds(data, k, by=by)
            continue
        parts = folds(data, k, by=by, seed=1)
        assert len(parts) == k and all(complete(train, valid, len(rows)) for train, valid in parts)
        assert sorted(np.concatenate([valid for _, valid in parts]).tolist()) == list(range(len(rows)))
        if by == "stratified":
            for label in "ab":
                held = [sum(rows[i][0] == label for i in valid) for _, valid in parts]
                assert max(held) - min(held) <= 1
        if by == "group":
            assert all(not {groups[i] for i in train} & {groups[i] for i in valid} for train, valid in parts)


def test_folds_by_time_never_learn_from_the_future():
    parts = folds(data_of([0.0] * 11), 3, by="time")
    assert [valid.tolist() for _, valid in parts] == [[2, 3, 4], [5, 6, 7], [8, 9, 10]]
    assert all(train.tolist() == list(range(valid[0])) for train, valid in parts)


def test_default_and_seed():
    data = data_of(["a"] * 90 + ["b"] * 10)
    _, valid = split(data)
    assert len(valid) == 20 and sum(data.targets[i] == "b" for i in valid) == 2
    assert not np.array_equal(valid, split(data, seed=1)[1])
    assert len(split(data_of([1.0] * 10))[1]) == 2
    assert len(split(SequenceData([np.zeros((1, 1))] * 10))[1]) == 2


def test_errors():
    with pytest.raises(OptionError, match=r'got "groups"\. Did you mean "group"'):
        split(data_of(["a", "b"]), by="groups")
    with pytest.raises(OptionError, match=r"above 0 and below 1, got 1\.5"):
        split(data_of(["a", "b"]), fraction=1.5)
    with pytest.raises(OptionError, match=r"folds: expected at least 2, got 1"):
        folds(data_of(["a", "b"]), 1)
    with pytest.raises(DataError, match="expected at least 2 sequences to split, got 1"):
        split(data_of(["a"]))
    with pytest.raises(DataError, match="expected class labels to stratify by"):
        split(data_of([1.0, 2.0]), by="stratified")
    with pytest.raises(DataError, match="expected groups to split by"):
        split(data_of(["a", "b"]), by="group")
