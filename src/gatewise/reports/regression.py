"""What a report says of a regression."""

import numpy as np

from gatewise import metrics
from gatewise.data.targets import Values
from gatewise.reports import measures, page, plots, sequences
from gatewise.reports.content import Measured, Report
from gatewise.reports.page import Html
from gatewise.reports.parts import Drawing, Metric, about, drawings, metrics_table, row_name
from gatewise.reports.words import counted, number, shorten

METRICS = {
    "mae": Metric("Mean absolute error", "how far off an answer is, in the units of the target", share=False),
    "mse": Metric("Mean squared error", "mean of the squared errors, so that large ones count more", share=False),
    "r2": Metric("R²", "share of the variation explained; 1 is perfect, 0 no better than the mean", share=False),
    "loss": Metric("Loss", "what training makes small, of scaled targets; compare it only within one run", share=False),
}
TARGETS = 6  # with pictures of their own
EXAMPLES = 6
WORST = 6
OVERLAID = 3  # targets in one drawing of answers


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """The mean absolute error with its interval, and R²."""
    said, right = _arrays(measured)
    sums = np.array([np.abs(a - b).sum() for a, b in zip(said, right, strict=True)])
    counts = np.array([a.size for a in right])
    interval = measures.mean_interval(sums, counts)
    low, high = (number(end, 3) for end in interval) if interval else ("", "")
    cards = [
        (
            f"Mean absolute error, {measured.name}",
            number(float(sums.sum() / counts.sum()), 3),
            f"95% sure: between {low} and {high}" if interval else "in the units of the target",
        )
    ]
    if "r2" in measured.metrics:
        cards.append(("R²", number(measured.metrics["r2"], 3), "1 is perfect, 0 no better than the mean"))
    return cards


def data(report: Report) -> list[Html]:
    """How the targets are spread, and what sequences look like from the lowest target to the highest."""
    values = _values(report)
    spread = {
        name: [_rows(target) for target in split.targets]
        for name, split in report.splits.items()
        if split.targets is not None
    }
    pictures = [
        page.picture(
            plots.histogram(
                {name: np.concatenate([row[:, k] for row in rows]) for name, rows in spread.items()},
                title=shorten(name, 40),
            ),
            caption=f"How often each value of {name} occurs; the sets should look alike.",
            alt=f"Histogram of the target {name} in each set.",
        )
        for k, name in enumerate(values.names[:TARGETS])
    ]
    targets = page.subsection("Targets", _limited(values), page.columns(*pictures))
    return [*sequences.overview(report), targets, _examples(report, values)]


def results(report: Report, measured: Measured) -> list[Html]:
    """Predicted against actual, errors, and the worst answers."""
    values = _values(report)
    said, right = _arrays(measured)  # [*, K] each
    all_said, all_right = np.concatenate(said), np.concatenate(right)  # [N, K]
    parts = [page.paragraph(about(measured)), metrics_table(report, METRICS)]
    if len(values.names) > 1:
        parts.append(_by_target(values, all_said, all_right))
    what = "step" if values.per_step else "sequence"
    for k, name in enumerate(values.names[:TARGETS]):
        errors = all_said[:, k] - all_right[:, k]
        parts.append(_target(shorten(name, 40), all_said[:, k], all_right[:, k], errors, what))
    return [*parts, _worst(report, measured, values, said, right)]


def _values(report: Report) -> Values:
    values: Values = report.adapter.targets
    return values


def _rows(answer: object) -> np.ndarray:
    """A number, ``[K]``, or ``[T, K]`` as read -> ``[1 or T, K]``."""
    row = np.asarray(answer, dtype=np.float64)
    return row if row.ndim == 2 else row.reshape(1, -1)


def _arrays(measured: Measured) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Answers and references as ``[1 or T, K]`` each; a single target a step comes as a list of T numbers."""
    targets = measured.data.targets or ()
    shapes = [_rows(target).shape for target in targets]
    said = [
        np.asarray(p.value, dtype=np.float64).reshape(s)
        for p, s in zip(measured.results.predictions, shapes, strict=True)
    ]
    right = [
        np.asarray(r, dtype=np.float64).reshape(s) for r, s in zip(measured.results.references, shapes, strict=True)
    ]
    return said, right


def _limited(values: Values) -> Html:
    if len(values.names) <= TARGETS:
        return Html("")
    return page.paragraph(f"Of {len(values.names)} targets the first {TARGETS} are drawn.")


def _examples(report: Report, values: Values) -> Html:
    """Training sequences in even steps from the lowest target to the highest."""
    train = report.train_data
    means = np.array([_rows(target)[:, 0].mean() for target in train.targets or ()])
    order = np.argsort(means, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(EXAMPLES, len(order))).round().astype(int))]
    name = shorten(values.names[0], 24)
    title = f"mean {name}" if values.per_step else name
    items = [Drawing(train.sequences[i], f"{title} {number(means[i])}", row_name(train, int(i))) for i in chosen]
    return page.subsection(
        "Examples",
        page.paragraph(f"Training sequences from the lowest {title} to the highest, value over step."),
        drawings(items, report.adapter.inputs),
    )


def _by_target(values: Values, said: np.ndarray, right: np.ndarray) -> Html:
    rows = []
    for k, name in enumerate(values.names):
        errors = said[:, k] - right[:, k]
        r2 = metrics.r2(said[:, k : k + 1], right[:, k : k + 1])
        numbers = (np.abs(errors).mean(), np.sqrt((errors**2).mean()), errors.mean(), r2)
        rows.append([name, *(number(float(value), 3) for value in numbers)])
    return page.subsection(
        "By target",
        page.paragraph(
            "Root mean square: like the mean absolute error, but large errors count more. Bias: the mean error."
        ),
        page.table(["Target", "Mean absolute error", "Root mean square", "Bias", "R²"], rows, name="Errors by target"),
    )


def _target(name: str, said: np.ndarray, right: np.ndarray, errors: np.ndarray, what: str) -> Html:
    lost = int((~np.isfinite(errors)).sum())
    notes = f" Not a finite number, and left out: {counted(lost, 'answer')}." if lost else ""
    if len(errors) > plots.SCATTER_POINTS:
        notes += f" {plots.SCATTER_POINTS:,} of {len(errors):,} points are drawn, by lot."
    scatter = page.picture(
        plots.predicted_against_actual(said, right, name=name),
        caption=f"One point a {what}: on the dashed line where the answer is right, above it where it is too high."
        + notes,
        alt=f"Scatter of predicted against actual {name}, {counted(len(errors), 'point')}.",
    )
    mean, half = number(float(errors.mean()), 3), number(float(np.median(np.abs(errors))), 3)
    histogram = page.picture(
        plots.histogram({"errors": errors}, title=f"said minus right, {name}", zero=True),
        caption="How large the errors are and how often: a narrow heap around 0 is good. "
        f"Their mean is {mean}; half of them are smaller than {half}.",
        alt=f"Histogram of the errors of {name}.",
    )
    return page.subsection(f"Errors of {name}", page.columns(scatter, histogram))


def _worst(report: Report, measured: Measured, values: Values, said: list[np.ndarray], right: list[np.ndarray]) -> Html:
    """Sequences with the largest mean error, each target in units of its deviation; answers a step are drawn below."""
    std = np.array(values.std)
    errors = np.array([float((np.abs(a - b) / std).mean()) for a, b in zip(said, right, strict=True)])
    worst = np.argsort(-np.nan_to_num(errors, nan=np.inf, posinf=np.inf), kind="stable")[:WORST]

    def draw(i: int) -> Drawing:
        place = row_name(measured.data, i)
        if not values.per_step:
            title = f"said {_listed(said[i][0])}, right is {_listed(right[i][0])}"
            return Drawing(measured.data.sequences[i], title, place)
        title = f"mean error {_listed(np.abs(said[i] - right[i]).mean(axis=0), digits=3)}"
        overlaid = plots.answers(right[i][:, :OVERLAID], said[i][:, :OVERLAID], names=values.names[:OVERLAID])
        return Drawing(measured.data.sequences[i], title, place, (overlaid,))

    items = [draw(int(i)) for i in worst]
    words = "The sequences with the largest errors, value over step." + (_key(values) if values.per_step else "")
    return page.subsection("The largest errors", page.paragraph(words), drawings(items, report.adapter.inputs))


def _key(values: Values) -> str:
    """Which line of the answers is which."""
    if len(values.names) == 1:
        return " Below each sequence its answers: what was right is grey, what was said is orange and dashed."
    colors = ", ".join(
        f"{shorten(name, 24)} is {color}"
        for name, color in zip(values.names[:OVERLAID], ("blue", "orange", "green"), strict=False)
    )
    return f" Below each sequence its answers: what was right is solid, what was said is dashed; {colors}."


def _listed(numbers: np.ndarray, digits: int = 4) -> str:
    shown = ", ".join(number(float(value), digits) for value in numbers[:TARGETS])
    return shown + (", …" if len(numbers) > TARGETS else "")
