import tomllib
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gatewise.reports.report import REPORTS, Measured, render
from gatewise.tasks import TASKS
from gatewise.training.config import Config, to_plain
from gatewise.types import Prediction, Results

VOID = ("src", "href", "srcset", "action", "data", "poster", "xlink:href")


def test_every_task_has_a_report():
    assert REPORTS.keys() == TASKS.keys()


def test_page_is_whole_and_loads_nothing(every_report, read):
    for name, run in every_report.items():
        page = read(run)
        links = [value for _, attributes in page.elements for key, value in attributes.items() if key in VOID]
        assert all(link.startswith("#") for link in links), name
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), name
        assert {link[1:] for link in links} <= set(ids), name
        (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert not any(tag in ("link", "iframe", "img", "object", "base") for tag, _ in page.elements), name
        assert "@import" not in render(run).split("</style>")[0], name


def test_page_is_accessible(every_report, read):
    for name, run in every_report.items():
        page = read(run)
        levels = [int(tag[1]) for tag, _ in page.headings]
        assert levels[0] == 1, name
        assert levels.count(1) == 1, name
        assert all(after - before <= 1 for before, after in pairwise(levels)), name
        charts = [attributes for _, attributes in page.elements if attributes.get("class") == "chart"]
        assert len(charts) == len(page.figures) > 5, name
        assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts), name
        scrolling = [attributes for _, attributes in page.elements if attributes.get("class") == "scroll"]
        assert all(part["tabindex"] == "0" and part["aria-label"] for part in scrolling), name


def test_page_is_of_reasonable_size(every_report):
    assert all(len(render(run)) < 5.5e6 for run in every_report.values())


def test_users_text_is_escaped(hostile, read):
    page = read(hostile)
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len(scripts) == len(page.figures) + 3  # each figure's data; templates, plotly and the page's own script
    assert not any(tag in ("b", "img") for tag, _ in page.elements)
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert page.headings[0] == ("h1", "run <script>alert(1)</script>")
    figures = str([{key: trace.get(key) for key in ("name", "text")} for f in page.figures for trace in f["data"]])
    figures += str([figure["layout"].get(axis) for figure in page.figures for axis in ("xaxis", "yaxis")])
    assert "<script" not in figures
    assert "<img" not in figures
    assert "&lt;script&gt;" in figures


def test_headline_numbers(vowels, read):
    page, test = read(vowels), vowels.measured[1]
    answers = list(zip(test.results.predictions, test.results.references, strict=True))
    right = sum(prediction.value == reference for prediction, reference in answers)
    assert f" {100 * right / 90:.1f}% " in page.text
    commonest = max(Counter(test.results.references).values())
    assert f" {100 * commonest / 90:.1f}% " in page.text
    for part in (
        "Accuracy, test",
        "31 of 40",
        "176,994",
        "55 s",
        "CPU, 2 threads",
        "data/train.ts",
        "3.4% of the values",
    ):
        assert part in page.text
    low, high = 0.9 * 100 * right / 90, min(100.0, 1.1 * 100 * right / 90)
    start = page.text.index("95% sure: between ")
    ends = [float(word.rstrip("%")) for word in page.text[start:].split()[3:6:2]]
    assert low < ends[0] < 100 * right / 90 < ends[1] < high


def test_class_table_by_brute_force(vowels, read):
    page, results = read(vowels), vowels.measured[1].results
    said, right = [prediction.value for prediction in results.predictions], results.references
    for name, precision, recall, f1, support in page.table("Class", "Precision", "Recall", "F1", "Support"):
        hits = sum(s == r == name for s, r in zip(said, right, strict=True))
        p, r = hits / said.count(name), hits / right.count(name)
        shown = [f"{100 * value:.1f}%".replace("100.0%", "100%") for value in (p, r, 2 * p * r / (p + r))]
        assert [precision, recall, f1] == shown
        assert int(support) == right.count(name)


def test_confusion_in_the_page(vowels, read):
    figure, results = read(vowels).figure("Confusion matrix"), vowels.measured[1].results
    classes = vowels.adapter.targets.classes
    pairs = Counter(zip(results.references, [p.value for p in results.predictions], strict=True))
    cells = figure["data"][0]["customdata"]
    assert all(cells[i][j][0] == pairs[a, b] for i, a in enumerate(classes) for j, b in enumerate(classes))


def test_sizes_and_class_counts(vowels, read):
    page = read(vowels)
    rows = page.table("Set", "Sequences", "Steps: fewest", "median", "most", "Missing values")
    for row, data in zip(rows, [vowels.train_data, *(m.data for m in vowels.measured)], strict=True):
        assert row[1] == str(len(data))
        assert (int(row[2]), float(row[3]), int(row[4])) == (
            min(data.lengths),
            np.median(data.lengths),
            max(data.lengths),
        )
        assert row[5] == "0%"
    bars = page.figure("Bars: sequences of each")["data"]
    for bar, data in zip(bars, [vowels.train_data, *(m.data for m in vowels.measured)], strict=True):
        assert bar["x"] == [list(data.targets).count(name) for name in vowels.adapter.targets.classes]


def test_two_classes_show_threshold_and_auc(two_classes, read):
    page, test = read(two_classes), two_classes.measured[1]
    positive = np.array([reference == "abnormal" for reference in test.results.references])
    chance = np.array([prediction.probabilities[1] for prediction in test.results.predictions])
    pairs = [(a > b) + (a == b) / 2 for a in chance[positive] for b in chance[~positive]]
    assert f"(AUC) is {np.mean(pairs):.4g};" in page.text
    mark = page.figure("ROC curve")["data"][2]
    assert mark["name"] == "threshold 0.3"
    assert mark["x"][0] == pytest.approx((chance[~positive] > 0.3).mean(), rel=1e-5)
    assert mark["y"][0] == pytest.approx((chance[positive] > 0.3).mean(), rel=1e-5)


def test_mistakes_are_the_most_confident(vowels, read):
    page, test = read(vowels), vowels.measured[1]
    wrong = [
        (max(prediction.probabilities), prediction.value, reference, i)
        for i, (prediction, reference) in enumerate(zip(test.results.predictions, test.results.references, strict=True))
        if prediction.value != reference
    ]
    start = page.text.index("The most confident mistakes")
    for chance, said, right, i in sorted(wrong, reverse=True)[:8]:
        title = f"said {said} ({100 * chance:.1f}%), right is {right} ("
        start = page.text.index(title, start)
        assert f"row {i}, line {test.data.rows[i]}, id {test.data.ids[i]}" in page.text[start : start + 150]


def test_curves_and_best_epoch(vowels, read):
    figure = read(vowels).figure("Training and validation loss")
    assert figure["data"][0]["y"] == [float(f"{line['train_loss']:.6g}") for line in vowels.history]
    assert figure["layout"]["shapes"][0]["x0"] == 31


def test_settings_can_be_used_again(vowels, read):
    start = render(vowels).index('aria-label="the settings"><code>')
    shown = render(vowels)[start:].split("<code>")[1].split("</code>")[0].replace("&quot;", '"')
    assert tomllib.loads(shown) == to_plain(vowels.config)
    assert "gatewise train --config config.toml --out vowels-again" in read(vowels).text
    in_memory = replace(vowels, config=Config(task="classification"))
    assert "The data were given in Python" in read(in_memory).text


def test_no_mistakes_one_epoch_no_test_set_one_step(perfect, read):
    page = read(perfect)
    for part in ("There are none: every answer on validation is right.", "Every sequence has 1 step.", "1 of 1"):
        assert part in page.text
    assert "Not a number in some epochs: validation loss." in page.text
    assert "The best epoch was chosen on them" in page.text


def test_classes_absent_from_a_set(many_classes, read):
    page = read(many_classes)
    rows = page.table("Class", "Precision", "Recall", "F1", "Support")
    assert len(rows) == 50
    assert any(row[4] == "0" and row[2] == "—" for row in rows)
    assert "Not every set holds each class" in page.text


def test_nothing_measured_and_no_epoch(vowels, read):
    page = read(replace(vowels, measured=[], history=[]))
    assert "Nothing was measured." in page.text
    assert "No epoch was finished." in page.text


def test_probabilities_that_are_not_numbers(two_classes, read):
    test = two_classes.measured[0]
    predictions = [Prediction("normal", [float("nan")] * 2) for _ in test.results.predictions]
    metrics = dict.fromkeys(test.metrics, float("nan"))
    broken = Measured("test", test.data, Results(float("nan"), predictions, test.results.references), metrics)
    page = read(replace(two_classes, measured=[broken]))
    assert "Some probabilities are not numbers" in page.text
    assert "nan" not in page.text


def test_only_one_class_in_the_answers(two_classes, read):
    test = two_classes.measured[1]
    kept = [i for i, reference in enumerate(test.results.references) if reference == "normal"]
    results = Results(0.1, [test.results.predictions[i] for i in kept], ["normal"] * len(kept))
    page = read(replace(two_classes, measured=[Measured("new.ts", test.data.subset(kept), results, test.metrics)]))
    assert "Only one class occurs here" in page.text
    assert "Measured on new.ts, " in page.text


def test_regression_numbers(one_value, read):
    page, test = read(one_value), one_value.measured[1]
    errors = np.array([p.value - r for p, r in zip(test.results.predictions, test.results.references, strict=True)])
    assert f"Mean absolute error, test {np.abs(errors).mean():.3g} " in " ".join(page.text.split())
    scatter = page.figure("Scatter of predicted")["data"][1]
    assert scatter["x"] == pytest.approx(test.results.references, rel=1e-5)
    worst = int(np.argmax(np.abs(errors)))
    said, right = test.results.predictions[worst].value, test.results.references[worst]
    start = page.text.index("The largest errors")
    first = page.text[page.text.index("said", start) :]
    assert first.startswith(f"said {said:.4g}, right is {right:.4g} ")


def test_several_targets_have_a_table(several_values, read):
    page, test = read(several_values), several_values.measured[1]
    said = np.array([prediction.value for prediction in test.results.predictions])
    right = np.array(test.results.references)
    rows = page.table("Target", "Mean absolute error", "Root mean square", "Bias", "R²")
    for k, row in enumerate(rows):
        errors = said[:, k] - right[:, k]
        numbers = [
            np.abs(errors).mean(),
            np.sqrt((errors**2).mean()),
            errors.mean(),
            1 - errors.var() / right[:, k].var(),
        ]
        assert row[0] == f"target {k}"
        assert [float(cell) for cell in row[1:3]] == pytest.approx(numbers[:2], rel=5e-3)
        assert float(row[3]) == pytest.approx(numbers[2], rel=5e-3)


@pytest.mark.parametrize("name", ["per_step", "several_per_step"])
def test_answers_per_step_are_drawn(every_report, read, name):
    page, test = read(every_report[name]), every_report[name].measured[1]
    errors = [
        np.abs(np.subtract(p.value, r)).mean()
        for p, r in zip(test.results.predictions, test.results.references, strict=True)
    ]
    worst = int(np.argmax(errors)) if name == "per_step" else None
    drawn = [figure for figure in page.figures if figure["data"][0].get("name", "").startswith("right")]
    assert len(drawn) == 6
    if worst is not None:
        reference, prediction = drawn[0]["data"]
        assert reference["y"] == pytest.approx(test.results.references[worst], rel=1e-5)
        assert prediction["y"] == pytest.approx(test.results.predictions[worst].value, rel=1e-5)


def test_regression_that_went_astray(one_value, read):
    test = one_value.measured[1]
    predictions = [Prediction(float("nan")) for _ in test.results.predictions]
    results = Results(float("nan"), predictions, test.results.references)
    page = read(replace(one_value, measured=[replace(test, results=results)]))
    assert "150 answers" in page.text
    assert "nan" not in page.text
