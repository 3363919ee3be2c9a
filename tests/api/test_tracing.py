"""Traces and units of runs of every kind, with the names of their steps."""

import numpy as np
import polars as pl
import pytest
import torch

import gatewise
from gatewise.data.sequence_adapter import SequenceAdapter
from gatewise.errors import OptionError
from gatewise.inspection.trace import trace

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(steps, 2)) + 3 for steps in (9, 6, 1, 9, 7, 5, 8, 9)] * 3
Y = ["up" if row % 2 else "down" for row in range(24)]
TEXT = "so it goes, and so it went; as it was, so it is.\n" * 30
SMALL = {"train.epochs": 1, "train.threads": 1, "model.hidden_sizes": [4]}


def trained(task, out, data, settings=(), **options):
    return gatewise.train(
        task, data=data, out=out, settings={**SMALL, **dict(settings)}, progress=False, report=False, **options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"model.recipe": "bilstm", "model.dense_size": 4}
    return trained("classification", tmp_path_factory.mktemp("trace") / "run", X, settings, targets=Y, test=(X, Y))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    (folder / "text.txt").write_text(TEXT)
    settings = {"data.text.tokens": "characters", "data.text.steps": 10, "model.embedding_size": 4}
    return trained("language-model", folder / "run", str(folder / "text.txt"), settings), str(folder / "text.txt")


def test_rows_are_traced_as_the_run_predicts_them(run):
    data = gatewise.data.from_python(X, Y)
    found = run.trace(data, rows=[2, 0, 6])
    assert found.rows == [2, 0, 6]
    assert found.trace.lengths.tolist() == [1, 9, 8]
    assert [layer.name for layer in found.trace.layers] == ["encoder.layers.0"]
    assert found.axis == [["0"], [str(t) for t in range(9)], [str(t) for t in range(8)]]
    np.testing.assert_array_equal(found.inputs[1], X[0])  # in units of the data
    assert found.references == ["down", "down", "down"]
    everything = run.predict_proba(X)
    for row, prediction in zip(found.rows, found.predictions, strict=True):
        np.testing.assert_allclose(prediction.probabilities, everything[row], rtol=1e-5)
    assert run.trace(X, Y, rows=[2, 0, 6]).references == found.references
    alone = run.trace(data, rows=6).trace.layers[0]
    torch.testing.assert_close(alone.cell[0, :8], found.trace.layers[0].cell[2, :8], rtol=1e-5, atol=1e-6)


def test_the_same_model_by_hand_says_the_same(run):
    example = run.adapter.encode(gatewise.data.from_python(X))[3]
    by_hand = trace(run.model, torch.tensor(example.input)[None])
    found = run.trace(gatewise.data.from_python(X), rows=3)
    assert found.references is None
    torch.testing.assert_close(by_hand.layers[0].cell, found.trace.layers[0].cell)


def test_only_rows_that_are_traced_are_encoded(run, monkeypatch):
    seen, encode = [], SequenceAdapter.encode
    monkeypatch.setattr(SequenceAdapter, "encode", lambda self, data: seen.append(len(data)) or encode(self, data))
    run.trace(X, rows=[3, 1])
    assert seen == [2]


def test_a_stretch_has_its_own_names(run):
    found = run.trace(gatewise.data.from_python(X, Y), rows=[0, 5], steps=(4, 8))
    assert found.axis == [["4", "5", "6", "7"], ["4"]]
    assert [len(part) for part in found.inputs] == [4, 1]
    frame = found.table()
    assert sorted(frame.filter(row=0)["at"].unique()) == ["4", "5", "6", "7"]
    assert (frame["at"] == frame["step"].cast(str)).all()
    assert frame.filter(row=5)["at"].unique().to_list() == ["4"]


def test_units_are_compared_with_input_and_class(run):
    told = []
    (found,) = run.units(gatewise.data.from_python(X, Y), on_batch=told.append)
    assert sum(told) == 24
    assert found.steps == sum(map(len, X))
    assert found.classes == ("down", "up")
    assert found.with_input.shape == (2, 4, 2)
    assert found.with_class.shape == (2, 4, 2)
    np.testing.assert_allclose(found.with_class[..., 0], -found.with_class[..., 1], atol=1e-6)
    (from_arrays,) = run.units(X, Y)
    np.testing.assert_array_equal(from_arrays.with_class, found.with_class)
    (unlabelled,) = run.units(gatewise.data.from_python(X))
    assert unlabelled.with_class is None
    whole = run.trace(gatewise.data.from_python(X), rows=range(24)).trace.layers[0]
    real = (torch.arange(9) < whole.lengths[:, None]).numpy()
    np.testing.assert_allclose(found.cell_mean, whole.cell.numpy()[real].mean(0), atol=1e-6)


def test_a_language_model_reads_on_from_what_stands_before(reader):
    """The stretch of a row, traced after all that stands before it, is that of one long run."""
    run, path = reader
    data = run.read(path)
    tokens = torch.tensor(run.adapter.encode(data).tokens.astype(np.int64))
    one = trace(run.model, tokens[None, :40]).layers[0]
    found = run.trace(path, rows=[2, 1])
    layer = found.trace.layers[0]
    torch.testing.assert_close(layer.cell[0], one.cell[0, 20:30], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.cell[1], one.cell[0, 10:20], rtol=1e-4, atol=1e-5)
    assert "".join(found.axis[1]) == TEXT[10:20]
    np.testing.assert_array_equal(found.inputs[1], tokens[10:20])
    (summary,) = run.units(path)
    assert summary.steps == len(tokens) - 1
    assert summary.with_input is None


def test_the_last_stretch_is_shorter(reader):
    run, path = reader
    examples = run.adapter.encode(run.read(path))
    last = len(examples) - 1
    found = run.trace(path, rows=[last - 1, last])
    assert found.trace.lengths.tolist() == [10, examples.lengths[-1]]
    assert (found.trace.layers[0].cell[1, examples.lengths[-1] :] == 0).all()


def test_tokens_of_texts_are_on_the_axis(tmp_path):
    pl.DataFrame({"text": ["good, so good", "bad film"] * 8, "label": ["1", "0"] * 8}).write_csv(tmp_path / "t.csv")
    run = trained("text-classification", tmp_path / "run", str(tmp_path / "t.csv"), {"model.embedding_size": 4})
    found = run.trace(str(tmp_path / "t.csv"), rows=[1, 0])
    assert found.axis[1] == ["good", ",", "so", "good"]
    assert found.references == ["0", "1"]
    assert (
        found.table().filter(row=0, step=2, unit=0, direction="forward", layer="encoder.layers.0")["at"].item() == "so"
    )


def test_times_of_series_are_on_the_axis(tmp_path):
    times = pl.datetime_range(pl.date(2024, 1, 1), pl.date(2024, 3, 30), "1d", eager=True).dt.date()
    values = np.sin(np.arange(len(times)))
    pl.DataFrame({"day": times, "load": values}).write_csv(tmp_path / "s.csv")
    settings = {"data.time": "day", "data.target": "load", "data.series.context_length": 16, "data.series.horizon": 4}
    run = trained("forecasting", tmp_path / "run", str(tmp_path / "s.csv"), settings)
    found = run.trace(str(tmp_path / "s.csv"))
    assert found.axis[0][-1] == "2024-03-30"
    assert len(found.axis[0]) == 16
    np.testing.assert_allclose(found.inputs[0][:, 0], values[-16:], atol=1e-6)
    assert found.trace.covers(0, 0)[-1].tolist() == [8, 16]  # patches of eight steps
    assert run.units(str(tmp_path / "s.csv"))[0].with_input is not None


def test_a_stem_that_shortens_is_told(tmp_path):
    """The default recipe halves the steps: each of a layer's covers two of the input's."""
    run = trained("classification", tmp_path / "run", [x[:6] for x in X if len(x) >= 6], targets=Y[:18])
    found = run.trace([x for x in X if len(x) == 6], rows=0)
    assert found.trace.layers[0].cell.shape[1] == 3
    assert found.trace.covers(0, 0).tolist() == [[0, 2], [2, 4], [4, 6]]
    frame = found.table()
    assert frame.select("step", "at").unique(maintain_order=True).rows() == [(0, "0"), (1, "2"), (2, "4")]
    assert run.units([x for x in X if len(x) == 6])[0].with_input.shape == (2, 4, 2)


def test_what_is_written_can_be_read(run, tmp_path):
    found = run.trace(gatewise.data.from_python(X, Y), rows=[4, 1])
    frame = pl.read_parquet(found.write(tmp_path / "t.parquet"))
    assert len(frame) == (7 + 6) * 2 * 4
    assert pl.read_csv(found.write(tmp_path / "t.csv")).columns == frame.columns
    with np.load(found.write(tmp_path / "t.npz")) as arrays:
        np.testing.assert_array_equal(arrays["rows"], [4, 1])
        assert arrays["axis/4"].tolist() == [str(t) for t in range(7)]
        value = frame.filter(row=1, direction="reverse", unit=3, step=5)["forget_gate"].item()
        assert arrays["encoder.layers.0/forget_gate"][1, 5, 1, 3] == value
    with pytest.raises(OptionError, match=r"\.npz, got .*t\.txt"):
        found.write(tmp_path / "t.txt")


def test_what_there_is_not_is_refused(run, tmp_path):
    data = gatewise.data.from_python(X, Y)
    for rows, message in ((24, "0 to 23, got 24"), ([0, -1], "0 to 23, got -1"), ([], r"got \[\]"), (True, "got True"),
                          ([1, 1], "each row once")):  # fmt: skip
        with pytest.raises(OptionError, match=message):
            run.trace(data, rows=rows)
    with pytest.raises(OptionError, match=r"of the 9 steps, got \(5, 12\)"):
        run.trace(data, steps=(5, 12))
    with pytest.raises(OptionError, match=r"1 row of 9 steps that take .* steps=\(from, until\)"):
        run.trace(data, max_bytes=100)
    other = trained("classification", tmp_path / "gru", X, {"model.encoder": "gru"}, targets=Y)
    for look in (other.trace, other.units):
        with pytest.raises(OptionError, match="LSTM layers of gatewise, got SequenceModel with GRU"):
            look(data)
