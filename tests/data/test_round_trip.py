"""The same sequences written in each format come back as they were, every bit of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.data import ReadOptions, read

numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(np.nan))


@st.composite
def sequences(draw, channels=None):
    """Ragged sequences ``[T, I]`` that end in a value, with labels."""
    width = channels or draw(st.integers(1, 3))
    rows = draw(
        st.lists(st.lists(st.lists(numbers, min_size=width, max_size=width), max_size=4), min_size=1, max_size=5)
    )
    labels = draw(st.lists(st.sampled_from(["a", "b c", "-1"]), min_size=len(rows), max_size=len(rows)))
    return [np.array([*row, [float(i)] * width]) for i, row in enumerate(rows)], labels


def as_ts(rows, labels):
    lines = [
        ":".join(",".join("?" if np.isnan(v) else repr(float(v)) for v in column) for column in row.T) for row in rows
    ]
    answers = [f"{line}:{label}" for line, label in zip(lines, labels, strict=True)]
    return "@timeStamps false\n@classLabel true\n@data\n" + "\n".join(answers)


def as_long_csv(rows, labels, rng):
    lines = [
        f"{i},{t},{labels[i]}," + ",".join("" if np.isnan(v) else repr(float(v)) for v in step)
        for i, row in enumerate(rows)
        for t, step in enumerate(row)
    ]
    head = ",".join(f"x{c}" for c in range(rows[0].shape[1]))
    return f"id,t,label,{head}\n" + "\n".join(lines[i] for i in rng.permutation(len(lines)))


def as_ucr(rows, labels):
    longest = max(len(row) for row in rows)
    padded = [[*row[:, 0].tolist(), *[np.nan] * (longest - len(row))] for row in rows]
    lines = ["\t".join([label, *map(repr, row)]) for row, label in zip(padded, labels, strict=True)]
    return "\n".join(lines)


def check(data, rows, labels):
    assert data.targets == labels
    for ours, row in zip(data.sequences, rows, strict=True):
        np.testing.assert_array_equal(ours, row)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round_trip")


@given(sequences())
def test_ts(folder, drawn):
    (folder / "a.ts").write_text(as_ts(*drawn))
    check(read(folder / "a.ts"), *drawn)


@given(sequences(), st.integers(0, 9))
def test_long_csv_in_any_order_of_rows(folder, drawn, seed):
    rows, labels = drawn
    (folder / "a.csv").write_text(as_long_csv(rows, labels, np.random.default_rng(seed)))
    data = read(folder / "a.csv", ReadOptions(id="id", time="t", target=("label",)))
    order = [int(name) for name in data.ids]
    assert sorted(order) == list(range(len(rows)))
    check(data, [rows[i] for i in order], [labels[i] for i in order])


@given(sequences(channels=1))
def test_ucr(folder, drawn):
    (folder / "a.tsv").write_text(as_ucr(*drawn))
    check(read(folder / "a.tsv"), *drawn)


@given(sequences())
def test_npz(folder, drawn):
    rows, labels = drawn
    x, lengths = np.concatenate(rows), np.array([len(row) for row in rows])
    np.savez(folder / "a.npz", x=x, y=np.array(labels), lengths=lengths)
    check(read(folder / "a.npz"), rows, labels)
