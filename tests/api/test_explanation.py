"""Why a run answers as it does: every task, in the words of its data."""

import datetime

import numpy as np
import polars as pl
import pytest
import torch

import gatewise
from gatewise.errors import OptionError, RunError
from small_runs import trained, trained_on_tones
from texts import TINY, train_all

METHODS = ("integrated-gradients", "occlusion")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 9, 2)) * [1, 5] + [0, 3]
X[:, 4, 0] += 6 * (np.arange(30) % 3)
CLASSES = np.array(["low", "middle", "high"])[np.arange(30) % 3]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    more = {"train.epochs": 15, "train.lr": 0.02, "model.dropout": 0.0}
    return trained("classification", tmp_path_factory.mktemp("a") / "run", X, CLASSES, **more)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return train_all(tmp_path_factory.mktemp("texts"))


def complete(found):
    """The values are what the score differs by, but for what is told."""
    one = found.attribution
    assert one.values.sum() + one.residual == pytest.approx(one.difference, rel=1e-6, abs=1e-6)
    if one.method == "integrated-gradients":
        assert one.complete
        assert abs(one.residual) <= 5e-3 * max(abs(one.difference), 0.01 * np.abs(one.values).sum())
    return one


def test_every_part_of_the_model_is_left_in_its_mode(run):
    """Parts that are kept as they are while the rest trains, such as a normalisation, stay so."""
    parts = list(run.model.modules())
    for place, part in enumerate(parts):
        part.training = place % 2 == 0  # the whole in training, some parts not
    try:
        run.explain(X, row=4)
        assert [part.training for part in parts] == [place % 2 == 0 for place in range(len(parts))]
    finally:
        run.model.eval()


@pytest.mark.parametrize("method", METHODS)
def test_of_a_class_in_units_of_the_data(run, method):
    found = run.explain(X, row=4, method=method)
    one = complete(found)
    assert one.values.shape == (9, 2)
    assert found.axis == [str(step) for step in range(9)]
    assert len(found.features) == 2
    np.testing.assert_array_equal(found.inputs, X[4])
    assert found.prediction.value == run.predict(X)[4]
    p = run.predict_proba(X)[4]
    k = run.classes.index(found.prediction.value)
    assert one.score == pytest.approx(np.log(p[k] / (1 - p[k])), rel=1e-4)
    assert one.target == f"log-odds of {found.prediction.value}"
    assert np.abs(found.per_step).argmax() == 4  # where the classes differ
    other = run.explain(X, row=4, method=method, target="low")
    assert other.attribution.target == "log-odds of low"


def test_the_baseline_is_the_mean_of_the_training_data(run, tmp_path):
    """Also where values are not scaled: what is then zero means something else."""
    for scale in ("channel", "none"):
        model = (
            run
            if scale == "channel"
            else trained("classification", tmp_path / "r", X, CLASSES, **{"data.scale": scale})
        )
        nothing = np.broadcast_to(model.adapter.inputs.mean, (9, 2))
        p = model.predict_proba([nothing])[0]
        one = model.explain(X, row=1, target="high").attribution
        k = model.classes.index("high")
        assert one.score - one.difference == pytest.approx(np.log(p[k] / (1 - p[k])), rel=1e-4)


def test_models_are_left_as_they_were(run):
    before = run.predict_proba(X)
    run.explain(X)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in run.model.parameters())
    np.testing.assert_array_equal(run.predict_proba(X), before)


def test_data_as_read_and_the_runs_own_rows_are_the_same(run):
    read = run.read(X)
    np.testing.assert_array_equal(run.explain(read, row=7).attribution.values, run.explain(X, row=7).attribution.values)


def test_targets_are_told_and_explain_nothing(run):
    found = run.explain(X, CLASSES, row=np.int64(7))
    assert (found.row, found.reference) == (7, CLASSES[7])
    plain = run.explain(X, row=7)
    assert plain.reference is None
    np.testing.assert_array_equal(found.attribution.values, plain.attribution.values)
    assert run.explain(X, ["unheard of"] * 30, row=7).prediction.value == plain.prediction.value


def test_missing_values_have_a_part_of_their_own(tmp_path):
    gaps = X.copy()
    gaps[:, 2, 1] = np.nan
    model = trained("classification", tmp_path / "r", gaps, CLASSES, **{"data.missing": "indicator"})
    found = model.explain(gaps, row=0)
    assert complete(found).values.shape == (9, 4)
    assert found.features[2:] == tuple(f"{name} missing" for name in found.features[:2])


def test_of_numbers_and_of_numbers_a_step(tmp_path):
    one = trained("regression", tmp_path / "one", X, X.sum((1, 2)))
    found = one.explain(X, row=2)
    assert complete(found).score == pytest.approx(one.predict(X)[2], rel=1e-5)
    each = trained("regression", tmp_path / "each", list(X), [x[:, :1] * 2 for x in X])
    found = each.explain(X, row=2, step=3)
    assert complete(found).score == pytest.approx(np.ravel(each.predict(X)[2])[3], rel=1e-5)
    with pytest.raises(OptionError, match=r"step: expected one of the 9 steps, got none"):
        each.explain(X)
    with pytest.raises(OptionError, match=r"step: expected 0 to 8, got 9"):
        each.explain(X, step=9)


@pytest.mark.parametrize("method", METHODS)
def test_of_texts(texts, method):
    run = gatewise.load(texts / "text-classification")
    found = run.explain(["the film is fine , no 3 ."], method=method)
    assert found.axis == ["the", "film", "is", "fine", ",", "no", "3", "."]
    assert complete(found).values.shape == (8,)
    assert found.inputs.dtype == np.int64


def test_of_tags(texts):
    run = gatewise.load(texts / "tagging")
    found = run.explain(texts / "tagging.txt", row=1, step=3, target="B-LOC")
    assert found.axis == ["Max", "is", "in", "New", "York"]
    assert complete(found).target == "log-odds of B-LOC for word 3"
    with pytest.raises(OptionError, match=r'expected a tag.*got "B-LOK". Did you mean "B-LOC"'):
        run.explain(texts / "tagging.txt", row=1, step=3, target="B-LOK")
    with pytest.raises(OptionError, match=r"expected one of the 5 words, got none"):
        run.explain(texts / "tagging.txt", row=1)


def test_of_the_next_token(texts):
    run = gatewise.load(texts / "language-model")
    found = run.explain(texts / "language-model.txt", row=0, step=4)
    assert complete(found).values.shape == (len(found.axis),)
    np.testing.assert_array_equal(found.attribution.values[5:], 0)  # what comes later cannot have counted
    assert found.attribution.target == f"log-odds of {found.axis[5]!r} after token 4"
    bits = run.predict(texts / "language-model.txt")[3].bits[7]  # read on from what stands before, as measured
    later = run.explain(texts / "language-model.txt", row=3, step=7).attribution.score
    assert later == pytest.approx(-np.log(2**bits - 1), abs=1e-4)
    chosen = run.explain(texts / "language-model.txt", step=4, target="b")
    assert chosen.attribution.target == "log-odds of 'b' after token 4"
    with pytest.raises(OptionError, match=r"expected one token.*got 2 of them in 'be'"):
        run.explain(texts / "language-model.txt", target="be")
    with pytest.raises(OptionError, match="got one that it does not know in 'z'"):
        run.explain(texts / "language-model.txt", target="z")


def test_of_a_translation_whole_and_token_by_token(texts):
    run = gatewise.load(texts / "translation")
    whole = run.explain(["ein alter hund ."])
    assert complete(whole).target == "log-probability of the answer"
    assert whole.attribution.score < 0
    assert [name.strip() for name in whole.axis] == ["ein", "alter", "hund", ".", "<eos>"]
    first = run.explain(["ein alter hund ."], step=0, method="occlusion")
    assert complete(first).target.endswith("as token 0 of the answer")
    shares = run.explain(["ein alter hund ."], method="attention", step=0).attribution.values
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    with pytest.raises(OptionError, match="target: expected none, got 'x'"):
        run.explain(["ein alter hund ."], target="x")


def test_of_a_forecast(tmp_path):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(90)]
    values = 50 + 10 * np.sin(np.arange(90) * 2 * np.pi / 7) + RNG.normal(size=90)
    frame = pl.DataFrame({"day": days, "sales": values, "heat": RNG.normal(size=90)})
    settings = {"data.time": "day", "data.target": "sales", "data.series.past": "heat", "train.batch_size": 8,
                "data.series.context_length": 14, "data.series.horizon": 7}  # fmt: skip
    run = trained("forecasting", tmp_path / "run", frame, **settings)
    found = run.explain(frame)
    one = complete(found)
    assert one.score == pytest.approx(np.mean(run.predict(frame)[0]), rel=1e-5)
    assert found.features == ("sales", "heat")
    assert found.axis == [str(day) for day in days[-14:]]
    assert one.values.shape == (14, 2)
    np.testing.assert_allclose(found.inputs[:, 0], values[-14:], rtol=1e-5)
    step = run.explain(frame, step=2, method="occlusion")
    assert complete(step).score == pytest.approx(np.ravel(run.predict(frame)[0])[2], rel=1e-5)
    with pytest.raises(OptionError, match=r'expected a channel.*got "sale". Did you mean "sales"'):
        run.explain(frame, target="sale")


def test_of_sound(tmp_path):
    run, sounds = trained_on_tones(tmp_path / "run")
    found = run.explain(sounds, row=1)
    one = complete(found)
    assert one.values.shape == found.inputs.shape == (len(found.axis), 6)
    assert all(name.endswith(" Hz") for name in found.features)
    seconds = [float(name.removesuffix(" s")) for name in found.axis]
    assert 0.15 < seconds[0] < 0.25  # quiet ends were left out, and the times are those of the recording
    assert 0.35 < seconds[-1] < 0.45
    assert complete(run.explain(sounds, row=1, method="occlusion")).values.shape == (len(found.axis),)


def test_of_transcripts(tmp_path):
    """The probability of what the run writes, over all alignments."""
    rate, time = 1000, np.arange(100) / 1000
    tones = {"a": np.sin(500 * time), "b": np.sin(1500 * time)}
    spoken = ["ab", "ba", "aa", "bb"] * 3
    pause = np.zeros(40)
    sounds = [np.concatenate([pause, tones[one], pause, tones[two], pause]).astype(np.float32) for one, two in spoken]
    more = {"data.media.rate": rate, "model.recipe": "speech-lstm", "model.mel_bands": 8, "data.valid_fraction": 0.0,
            "model.hidden_sizes": [16], "model.stem_channels": [16], "model.dropout": 0.0, "model.time_masks": 0,
            "model.frequency_masks": 0, "train.epochs": 25, "train.batch_size": 4, "train.lr": 0.02}  # fmt: skip
    run = trained("speech-to-text", tmp_path / "run", sounds, spoken, **more)
    found = run.explain(sounds, row=1)
    assert found.prediction.value == "ba"
    assert complete(found).target == "log-probability of the transcript"
    assert found.attribution.score <= 0
    assert found.per_step.max() > 0
    with pytest.raises(OptionError, match="step: expected none"):
        run.explain(sounds, step=0)


@pytest.mark.parametrize("method", [*METHODS, "attention"])
def test_of_films(tmp_path, method):
    films = [(RNG.random((6, 16, 16, 1)) * 255).astype(np.uint8) for _ in range(6)]
    more = {"data.valid_fraction": 0.0, "model.frame_channels": [4], "model.frame_features": 8}
    run = trained("video", tmp_path / "run", films, ["a", "b"] * 3, **more)
    found = run.explain(films, row=1, method=method)
    assert found.attribution.values.shape == ((6, 16, 16, 1) if method == "integrated-gradients" else (6,))
    assert found.per_step.shape == (6,)
    if method != "attention":
        complete(found)
    assert found.write(tmp_path / "why.html").exists()


def test_of_drawings_point_by_point(tmp_path):
    time = np.linspace(0, 6, 15)
    drawings = [np.stack([np.sin(k * time), np.cos(time), time > 5.9], 1).astype(np.float32) for k in (1, 2)] * 5
    more = {"data.valid_fraction": 0.0, "model.recipe": "stroke-lstm", "model.path_steps": 9}
    run = trained("handwriting", tmp_path / "run", drawings, ["o", "8"] * 5, **more)
    found = run.explain(drawings, row=1)
    assert complete(found).values.shape == (9,)
    assert found.axis[0] == "point 0"
    assert found.inputs.shape[0] == 9


def test_in_double_precision(tmp_path):
    run = trained("classification", tmp_path / "run", X, CLASSES, **{"train.precision": "64"})
    found = run.explain(X, row=3)
    assert next(run.model.parameters()).dtype == torch.float64
    complete(found)


def test_attention_where_there_is_some(texts, run, tmp_path):
    attending = gatewise.load(texts / "text-classification")
    found = attending.explain(["the film is fine"], method="attention")
    assert found.attribution.values.sum() == pytest.approx(1, abs=1e-5)
    assert np.isnan(found.attribution.difference)
    last = trained("classification", tmp_path / "run", X, CLASSES, **{"model.pool": "last"})
    with pytest.raises(OptionError, match='does not attend, got "attention"'):
        last.explain(X, method="attention")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"row": 30}, "row: expected 0 to 29, got 30. memory has 30 sequences"),
        ({"row": -1}, "row: expected 0 to 29, got -1"),
        ({"row": True}, "row: expected the number of a row, got True"),
        ({"row": [3]}, r"row: expected the number of a row, got \[3\]"),
        ({"target": "hihg"}, 'expected a class.*got "hihg". Did you mean "high"'),
        ({"method": "gradients"}, 'method: expected one of.*got "gradients". Did you mean "integrated-gradients"'),
        ({"step": 3}, "step: expected none, got 3"),
        ({"method": "attention", "target": "high"}, "attend|target: expected none"),
    ],
)
def test_what_does_not_exist_is_told_in_a_line(run, options, expected):
    with pytest.raises(OptionError, match=expected) as error:
        run.explain(X, **options)
    assert "\n" not in str(error.value)


def test_a_table_words_and_a_page(run, texts, tmp_path):
    found = run.explain(X, row=4)
    table = found.table()
    assert table.columns == ["step", "name", "feature", "value"]
    assert len(table) == 18
    assert table["value"].sum() == pytest.approx(found.attribution.values.sum())
    assert str(found).startswith(f"Row 4: log-odds of {found.prediction.value} is")
    page = found.write(tmp_path / "why.html").read_text()
    assert found.attribution.target in page
    assert "http://" not in page.split("<script>")[0]
    with pytest.raises(OptionError, match=r"\.html, got .*why\.csv"):
        found.write(tmp_path / "why.csv")
    assert not (tmp_path / "why.csv").exists()
    words = gatewise.load(texts / "text-classification").explain(["the <b>film</b> is fine"])
    page = words.write(tmp_path / "words.html").read_text()
    assert "&lt;b&gt;" in page or "&lt;" in page
    assert "<b>film" not in page


def test_probes_of_texts_and_classes(texts, run):
    found = gatewise.load(texts / "tagging").probe(texts / "tagging.txt")
    assert {one.name for one in found.probes} >= {"position in the line", "inside double quotes"}
    assert found.units == 8
    x = np.concatenate([X] * 2)
    classes = run.probe(x, np.concatenate([CLASSES] * 2))
    assert [one.name for one in classes.probes] == [f"class {name}" for name in run.classes]
    assert any(one.verdict == "follows" for one in classes.probes)  # told apart, and not by chance
    with pytest.raises(RunError, match="translation"):
        gatewise.load(texts / "translation").probe(["ein hund"])


def test_classes_that_cannot_be_probed_are_no_secret(texts, run, tmp_path):
    """A class that the run does not know is an error; answers that are not there are missed in words."""
    model = gatewise.load(texts / "text-classification")
    several = ["the film is fine", "a film", "fine !"] * 8
    told = model.probe(several, [model.classes[row % len(model.classes)] for row in range(24)])
    assert told.notes == ()
    assert {f"class {name}" for name in model.classes} <= {one.name for one in told.probes}
    with pytest.raises(gatewise.DataError, match="unheard of"):
        model.probe(several, ["unheard of"] * 24)
    (note,) = model.probe(several).notes
    assert note.startswith("No unit was looked for that tells a class: memory has none for every text. Give targets")
    with pytest.raises(gatewise.DataError, match="expected a class for every sequence, got none") as error:
        run.probe(X)
    assert "--target" not in str(error.value)
    assert "give targets" in str(error.value)


def test_a_language_model_is_probed_with_its_state_carried_on(tmp_path):
    lines = [" ".join(["word"] * int(n)) for n in RNG.integers(2, 12, 300)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n")
    tiny = {**TINY, "data.text.tokens": "characters", "model.hidden_sizes": [4]}
    run = gatewise.train("language-model", data=tmp_path / "text.txt", out=tmp_path / "run", settings=tiny,
                         progress=False, report=False)  # fmt: skip
    told = []
    found = run.probe(tmp_path / "text.txt", on_tokens=told.append)
    assert sum(told) < found.tokens <= (tmp_path / "text.txt").stat().st_size  # beginnings do not count
    by_name = {one.name: one for one in found.probes}
    assert by_name["position in the word"].unit is not None
    assert by_name["a digit"].verdict == "absent"
    assert str(found) == str(run.probe(tmp_path / "text.txt"))
    with pytest.raises(gatewise.DataError, match=r"expected at least 3,200 tokens.*got 25"):
        run.probe(["word word word word word"])
