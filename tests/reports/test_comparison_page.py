"""The page of a comparison: what it says, that hostile names stay text, and that a browser draws all of it."""

import shutil
import subprocess

import numpy as np
import pytest

from gatewise.data.dataset import SequenceData
from gatewise.inspection.comparison import NOT_MEASURED, Agreement, Comparison, Difference, Estimate, Rate, Setup
from gatewise.reports.comparison import render
from gatewise.types import Prediction, Results

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
EVIL = "<script>alert(1)</script>"


def invented(kind="labels", *, names=("plain", "deep"), count=30, deviation=float("nan")):
    """Two setups or more on thirty sequences."""
    rng = np.random.default_rng(0)
    classes = (EVIL, "b & c")
    right = [classes[i % 2] for i in range(count)]
    metric = "accuracy" if kind == "labels" else "mse"
    setups = []
    for place, name in enumerate(names):
        said = [one if rng.random() < 0.8 else classes[0] for one in right]
        if kind == "labels":
            results = Results(0.0, [Prediction(one, [0.4, 0.6]) for one in said], right)
        else:
            results = Results(0.0, [Prediction(float(i)) for i in range(count)], [float(i) for i in range(count)])
        epochs = [
            {"epoch": e, "valid_loss": 1 / e, f"valid_{metric}": 1 - 1 / e, "best": e == 5, "seconds": 2.0}
            for e in range(1, 9)
        ]
        estimate = Estimate(0.8 + 0.01 * place, 0.7, 0.9, deviation)
        rate = Rate(1000.0, 900.0, 1100.0) if place else NOT_MEASURED
        setups.append(Setup(name, (name,), {metric: estimate}, "lstm", 1234, 0.5, (5,), rate, (epochs,), (results,)))
    told = Agreement(20, 4, 5, 1, 1.0) if kind == "labels" else None
    differences = tuple(
        Difference(name, {metric: Estimate(0.01, -0.02, 0.04)}, 0.5, "McNemar", False, told) for name in names[1:]
    )
    return Comparison(
        task="classification" if kind == "labels" else "regression", source="data/test.csv", count=count,
        noun="sequences", clusters=f"{count} sequences", metric=metric, resamples=2000, seed=0, setups=tuple(setups),
        differences=differences, settings={"train.lr": tuple(f"{1e-3 * (i + 1)}" for i in range(len(names)))},
        rate_unit="sequences", words=("No difference can be seen.",) * len(differences), notes=("A note",),
        data=SequenceData([np.zeros((3, 1))] * count, right, ("x",)),
        items=tuple(rng.random(count) for _ in names),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["labels", "numbers"])
@pytest.mark.parametrize("names", [("plain", "deep"), tuple("abcdefgh"), (EVIL, "x" * 80)])
def test_a_page_says_what_was_found(kind, names):
    page = render(invented(kind, names=names))
    assert EVIL not in page
    assert "No difference can be seen." in page
    assert "train.lr" in page
    assert "A note." in page
    assert page.count('class="chart"') >= 6
    assert ("Where they part" in page) == (kind == "labels")


def test_nothing_is_drawn_of_what_nobody_measured():
    one = invented("numbers")
    lonely = one.setups[0]
    bare = Setup(lonely.name, lonely.runs, lonely.metrics, "lstm", 1, 0.0, (None,), NOT_MEASURED, ((),), lonely.results)
    other = Setup("other", ("other",), lonely.metrics, "lstm", 1, 0.0, (None,), NOT_MEASURED, ((),), lonely.results)
    page = render(Comparison(**{**vars(one), "setups": (bare, other), "settings": {}}))
    assert "No run has validation data" in page
    assert "Forward pass here" not in page
    assert "No setting differs" in page


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_every_figure_is_drawn(tmp_path):
    content = render(invented(names=(EVIL, "deep", "wide")))
    page = tmp_path / "comparison.html"
    page.write_text(content, encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom"]
    shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    assert shown.count('class="chart js-plotly-plot"') == content.count('class="chart"')
