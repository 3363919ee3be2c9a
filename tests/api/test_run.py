"""What a Python user holds."""

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import Dataset

import gatewise
from gatewise.errors import DataError, RunError

SETTINGS = {"train.epochs": 2, "train.threads": 1, "model.hidden_sizes": [4]}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6, 2)) + np.arange(24)[:, None, None] % 2
Y = ["up" if row % 2 else "down" for row in range(24)]


class Pairs(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return torch.tensor(X[index]), Y[index]


def trained(out, **options):
    return gatewise.train("classification", out=out, settings=SETTINGS, progress=False, report=False, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("api") / "run", data=X, targets=Y, test=(X, Y))


def test_probabilities_are_those_of_the_classes(run):
    p = run.predict_proba(X)
    assert run.classes == ("down", "up")
    assert p.shape == (24, 2)
    np.testing.assert_allclose(p.sum(1), 1)
    assert run.predict(X) == [run.classes[k] for k in p.argmax(1)]
    scaled = torch.tensor(np.stack([example.input for example in run.adapter.encode(gatewise.data.from_python(X))]))
    assert not any(module.training for module in run.model.modules())  # also after it has predicted
    with torch.no_grad():
        np.testing.assert_allclose(run.model(scaled).softmax(1), p, rtol=1e-5)


def test_metrics_are_those_of_the_answers(run):
    measured = run.evaluate(X, Y)
    assert measured["count"] == 24
    assert measured["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(run.predict(X), Y, strict=True)]))
    assert measured == pytest.approx(run.results["test"])


def test_loaded_again_it_says_the_same(run):
    same = gatewise.load(run.path)
    np.testing.assert_array_equal(same.predict_proba(X), run.predict_proba(X))
    assert same.history == run.history
    assert len(same.history) == 2


@pytest.mark.parametrize("data", [Pairs(), list(X), torch.tensor(X)], ids=["Dataset", "list", "tensor"])
def test_every_form_trains_the_same_model(run, tmp_path, data):
    targets = None if isinstance(data, Pairs) else Y
    other = trained(tmp_path / "run", data=data, targets=targets)
    np.testing.assert_array_equal(other.predict_proba(data), run.predict_proba(X))


def test_a_frame_trains_the_same_model(run, tmp_path):
    rows = [(i, t, *X[i, t], Y[i]) for i in range(24) for t in range(6)]
    frame = pl.DataFrame(rows, schema=["id", "t", "a", "b", "y"], orient="row")
    columns = {"data.id": "id", "data.time": "t", "data.target": "y"}
    other = gatewise.train(
        "classification", data=frame, out=tmp_path / "r", settings={**SETTINGS, **columns}, progress=False, report=False
    )
    np.testing.assert_array_equal(other.predict_proba(X), run.predict_proba(X))


def test_data_without_answers_are_never_passed_over(run, tmp_path):
    for options in ({"test": X}, {"valid": X}):
        with pytest.raises(DataError, match="expected a target for every sequence, got none"):
            trained(tmp_path / "run", data=X, targets=Y, **options)
    with pytest.raises(DataError, match="expected a target for every sequence, got none"):
        run.evaluate(X)
    assert not (tmp_path / "run").exists()


def test_a_regression_has_no_probabilities(tmp_path):
    run = gatewise.train(
        "regression",
        data=X,
        targets=X.mean((1, 2)),
        out=tmp_path / "r",
        settings=SETTINGS,
        progress=False,
        report=False,
    )
    with pytest.raises(RunError, match="expected a classification for probabilities, got a run of regression"):
        run.predict_proba(X)
