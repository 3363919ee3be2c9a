"""A comparison as one HTML page: what follows, metrics with intervals, who is right where, training, cost, settings."""

import math
from pathlib import Path

import numpy as np

from gatewise.inspection.comparison import Agreement, Comparison, Difference, Setup
from gatewise.inspection.verdict import KINDS, change, name_of, p_shown, shown, span
from gatewise.reports import comparison_plots as plots
from gatewise.reports import page
from gatewise.reports.page import Html
from gatewise.reports.parts import row_name
from gatewise.reports.words import NOTHING, counted, listed, percent, shorten

TOLD = 20  # sequences in a table
CLASSES = 40  # drawn at most
PAIRS = 3  # scatters


def render(comparison: Comparison) -> str:
    """The whole page; it computes nothing that is not in the comparison.

    Args:
        comparison: of :func:`gatewise.compare`.

    Returns:
        HTML of about 5 MB that loads nothing from anywhere.
    """
    chapters = {
        "Metrics": _metrics(comparison),
        "Answers": page.join(*_answers(comparison)),
        "Training": _training(comparison),
        "Speed and size": _costs(comparison),
        "Settings": _settings(comparison),
    }
    title = " and ".join(setup.name for setup in comparison.setups) if len(comparison.setups) == 2 else "Comparison"
    return page.page(title, _header(comparison), chapters)


def _header(comparison: Comparison) -> Html:
    setups, metric = comparison.setups, comparison.metric
    names = [setup.name for setup in setups]
    head = " and ".join(names) if len(names) == 2 else f"{names[0]} and {len(names) - 1} others"
    source = Path(comparison.source).name
    kind = f"{comparison.task.replace('-', ' ').capitalize()} of {source}: {comparison.count:,} {comparison.noun}"
    cards = [
        (shorten(setup.name, 30), shown(metric, setup.metrics[metric].value), _interval_words(metric, setup))
        for setup in setups[:6]
    ]
    sentences = page.paragraph(comparison.words[0]) if len(comparison.words) == 1 else page.bullets(comparison.words)
    return page.join(
        Html(f"<h1>{page.text(head)}</h1>"),
        Html(f'<p class="kind">{page.text(kind)}</p>'),
        sentences,
        page.facts(cards),
    )


def _interval_words(metric: str, setup: Setup) -> str:
    one = setup.metrics[metric]
    told = f"{name_of(metric)}, "
    if math.isnan(one.low):
        return f"{told}no interval"
    told += f"95% sure: {shown(metric, one.low)} to {shown(metric, one.high)}"
    return told if math.isnan(one.deviation) else f"{told}; ±{span(metric, one.deviation)} from run to run"


# Metrics -------------------------------------------------------------------------------------------------------------


def _metrics(comparison: Comparison) -> Html:
    setups = comparison.setups
    names = [setup.name for setup in setups]
    panels = []
    for name in setups[0].metrics:
        estimates = [setup.metrics[name] for setup in setups]
        texts = [
            f"{setup.name}: {shown(name, one.value)} ({shown(name, one.low)} to {shown(name, one.high)})"
            for setup, one in zip(setups, estimates, strict=True)
        ]
        drawn = plots.whiskers(names, [one[:3] for one in estimates], texts=texts, share=KINDS[name].share, named=False)
        better = "higher is better" if KINDS[name].higher else "lower is better"
        title = name_of(name)
        panels.append(page.panel(drawn, title=title[:1].upper() + title[1:], note=better, alt="; ".join(texts)))
    return page.join(
        page.legend(names),
        page.panels(panels),
        page.subsection(f"Difference from {setups[0].name}", _differences(comparison)),
        page.subsection("In numbers", _table(comparison)),
        page.paragraph(_method(comparison)),
        page.bullets([f"{note}." for note in comparison.notes]),
    )


def _differences(comparison: Comparison) -> Html:
    metric, others = comparison.metric, comparison.differences
    scale = 100 if KINDS[metric].share else 1
    values = [tuple(scale * end for end in one.metrics[metric][:3]) for one in others]
    texts = [_difference_words(metric, one) for one in others]
    unit = " in points" if KINDS[metric].share else ""
    drawn = plots.whiskers(
        [one.name for one in others],
        [(value, low, high) for value, low, high in values],
        texts=texts,
        title=f"{name_of(metric)} less that of {shorten(comparison.setups[0].name, 30)}{unit}",
        first=1,
        zero=True,
    )
    better = "Right" if KINDS[metric].higher else "Left"
    return page.picture(
        drawn,
        caption=f"{better} of the dashed line is better than {comparison.setups[0].name}. An interval that crosses it "
        f"leaves open which of the two is better.{_how_sure({one.test for one in others})}",
        alt="; ".join(texts),
        min_width=420,
        max_width=760,
    )


def _how_sure(tests: set[str]) -> str:
    told = ""
    if tests & {"McNemar", "bootstrap"}:
        told += (
            " Differences of two runs are surer than the intervals above suggest, since all answer the same sequences."
        )
    if "none" in tests:
        told += " A setup of one run and one of several have no interval."
    return told


def _difference_words(metric: str, one: Difference) -> str:
    value, low, high, _ = one.metrics[metric]
    unit = " points" if KINDS[metric].share else ""
    return (
        f"{one.name}: {change(metric, value)}{unit} ({change(metric, low)} to {change(metric, high)}), {p_shown(one.p)}"
    )


def _table(comparison: Comparison) -> Html:
    first = comparison.setups[0].name
    head = ["Metric", "Of", "Value", "95% interval", f"Less {shorten(first, 24)}", "95% interval"]
    rows = []
    for metric in comparison.setups[0].metrics:
        for place, setup in enumerate(comparison.setups):
            one = setup.metrics[metric]
            value = shown(metric, one.value) + (f" ± {span(metric, one.deviation)}" if len(setup.runs) > 1 else "")
            cells = [name_of(metric) if not place else "", setup.name, value]
            cells.append(_ends(shown(metric, one.low), shown(metric, one.high)))
            less = comparison.differences[place - 1].metrics[metric] if place else None
            cells += ["", ""] if less is None else [change(metric, less.value)]
            cells += [] if less is None else [_ends(change(metric, less.low), change(metric, less.high))]
            rows.append(cells)
    return page.table(head, rows, name="Metrics with intervals", texts=2)


def _ends(low: str, high: str) -> str:
    return NOTHING if NOTHING in (low, high) else f"{low} to {high}"


def _method(comparison: Comparison) -> str:
    told = (
        f"Intervals: {comparison.resamples:,} times {comparison.clusters} were drawn with replacement, the same ones "
        f"for all (percentile bootstrap, seed {comparison.seed}); differences of shares are in points."
    )
    tests = {one.test for one in comparison.differences}
    if "McNemar" in tests:
        told += " p of two runs: McNemar's exact test of the sequences that just one of them is right on."
    if "bootstrap" in tests:
        told += " p of two runs: twice the share of resamples in which the difference is on the other side of zero."
    if any(len(setup.runs) > 1 for setup in comparison.setups):
        told += (
            " Means of several runs: interval and p by Student's t, from how the runs vary and from the resamples "
            "(Welch's degrees of freedom)."
        )
    return told


# Answers -------------------------------------------------------------------------------------------------------------


def _answers(comparison: Comparison) -> list[Html]:
    first = comparison.setups[0].results[0]
    if first.predictions and isinstance(first.predictions[0].value, str) and first.predictions[0].probabilities:
        return _labels(comparison)
    return _scatters(comparison)


def _labels(comparison: Comparison) -> list[Html]:
    setups = comparison.setups
    right = [_right(setup) for setup in setups]  # [N] each: share of the runs that are right
    parts = [_pairs(comparison), _by_class(comparison, right)]
    single = [one for one in comparison.differences if one.agreement is not None]
    if single:
        parts.append(page.subsection("Where they part", _disagreements(comparison, right)))
    return [part for part in parts if part]


def _right(setup: Setup) -> np.ndarray:
    runs = [
        [one.value == truth for one, truth in zip(part.predictions, part.references, strict=True)]
        for part in setup.results
    ]
    return np.asarray(np.mean(np.array(runs, dtype=np.float64), axis=0))


def _pairs(comparison: Comparison) -> Html:
    told = [(one.name, one.agreement) for one in comparison.differences if one.agreement is not None]
    if not told:
        return Html("")
    first = comparison.setups[0].name
    counts = [(one.only_first, one.only_second) for _, one in told]
    words = [
        f"{first} and {name}: both right on {one.both:,}, only {first} on {one.only_first:,}, only {name} on "
        f"{one.only_second:,}, neither on {one.neither:,}{_exact(one, corrected=len(told) > 1)}"
        for name, one in told
    ]
    return page.picture(
        plots.who_is_right(first, [name for name, _ in told], counts),
        caption=". ".join(words) + ". Only the sequences drawn here tell them apart.",
        alt="; ".join(words),
        min_width=420,
        max_width=760,
    )


def _exact(one: Agreement, *, corrected: bool) -> str:
    """McNemar's p, where it holds."""
    if math.isnan(one.p):
        return ""
    return f"; McNemar's {p_shown(one.p)}" + (" before correction" if corrected else "")


def _by_class(comparison: Comparison, right: list[np.ndarray]) -> Html:
    references = np.array(comparison.setups[0].results[0].references)
    classes, codes = np.unique(references, return_inverse=True)
    counts = np.bincount(codes)
    spread = np.zeros(len(classes))
    found = {}
    for setup, part in zip(comparison.setups, right, strict=True):
        found[setup.name] = np.bincount(codes, part) / counts
        spread = np.maximum(spread, np.abs(found[setup.name] - found[comparison.setups[0].name]))
    order = np.argsort(-spread, kind="stable")[:CLASSES]
    shares = {name: values[order].tolist() for name, values in found.items()}
    most = classes[order[0]]
    told = f"Apart most in {shorten(str(most), 40)}: " + ", ".join(
        f"{name} {percent(values[0])}" for name, values in shares.items()
    )
    some = f" The {CLASSES} of {len(classes)} in which they differ most." if len(classes) > CLASSES else ""
    return page.subsection(
        "By class",
        page.picture(
            plots.by_class(classes[order].tolist(), shares, counts[order].tolist()),
            caption=f"The share of each class that is found.{some} {told}.",
            alt=f"Share found of {counted(len(order), 'class', 'classes')}. {told}.",
        ),
    )


def _disagreements(comparison: Comparison, right: list[np.ndarray]) -> Html:
    table = np.stack(right)
    places = np.flatnonzero((table.max(0) == 1) & (table.min(0) == 0))
    if not len(places):
        return page.paragraph("Nowhere: all are right on the same sequences.")
    order = places[np.argsort(table[:, places].sum(0) != 1, kind="stable")][:TOLD]
    head = ["Sequence", "Right", *(f"{shorten(setup.name, 24)} says" for setup in comparison.setups)]
    references = comparison.setups[0].results[0].references
    rows = [
        [
            row_name(comparison.data, int(i)),
            shorten(references[i], 40),
            *(_said(setup, int(i)) for setup in comparison.setups),
        ]
        for i in sorted(order.tolist())
    ]
    few = f"{len(places):,} in all" + (f", {len(rows)} of them below" if len(rows) < len(places) else "")
    return page.join(
        page.paragraph(f"Sequences that some are right on and others are not, with the probability given: {few}."),
        page.table(head, rows, name="Sequences that just one is right on", texts=len(head)),
    )


def _said(setup: Setup, place: int) -> str:
    answers = []
    for part in setup.results:
        one = part.predictions[place]
        sure = f" ({percent(max(one.probabilities))})" if one.probabilities else ""
        answers.append(f"{'✓' if one.value == part.references[place] else '✗'} {shorten(one.value, 30)}{sure}")
    return ", ".join(answers)


def _scatters(comparison: Comparison) -> list[Html]:
    metric = comparison.metric
    title = name_of(metric)
    first, items = comparison.setups[0].name, comparison.items
    pictures = []
    for place, (setup, values) in list(enumerate(zip(comparison.setups, items, strict=True)))[1 : PAIRS + 1]:
        known = np.isfinite(values) & np.isfinite(items[0])
        if known.sum() < 2:
            continue
        less = (values - items[0])[known] * (1 if KINDS[metric].higher else -1)
        better, worse = int((less > 0).sum()), int((less < 0).sum())
        told = (
            f"Of {len(less):,} drawn here {setup.name} is better on {better:,}, {first} on {worse:,}; alike on "
            f"{len(less) - better - worse:,}"
        )
        pictures.append(
            page.picture(
                plots.against(items[0], values, names=(first, setup.name), metric=title, place=place),
                caption=f"One point for each that was drawn ({comparison.clusters}). {told}.",
                alt=told,
                max_width=560,
            )
        )
    if not pictures:
        return [page.paragraph("There is nothing to draw: nothing that was drawn has the metric by itself.")]
    return [page.columns(*pictures)]


# Training, cost, settings --------------------------------------------------------------------------------------------


def _training(comparison: Comparison) -> Html:
    setups, metric = comparison.setups, comparison.metric
    names = [setup.name for setup in setups]
    best = [setup.best_epochs for setup in setups]
    pictures = []
    for key, title in (("valid_loss", "validation loss"), (f"valid_{metric}", f"validation {name_of(metric)}")):
        lines = [
            [([line["epoch"] for line in run if key in line], [float(line[key]) for line in run if key in line])
             for run in setup.histories]
            for setup in setups
        ]  # fmt: skip
        if not any(epochs for runs in lines for epochs, _ in runs):
            continue
        lacking = [name for name, runs in zip(names, lines, strict=True) if not any(epochs for epochs, _ in runs)]
        without = f" Without validation data: {listed(lacking)}." if lacking else ""
        pictures.append(
            page.picture(
                plots.over_epochs(names, lines, title=title, best=best),
                caption=f"The {title} over the epochs; the large mark is the best epoch, whose weights are compared. "
                f"Each on its own validation data.{without}",
                alt=f"{title.capitalize()} over epochs of {listed(names)}.",
            )
        )
    if not pictures:
        return page.paragraph("No run has validation data, so there are no curves to compare.")
    return page.columns(*pictures)


def _costs(comparison: Comparison) -> Html:
    setups = comparison.setups
    names = [setup.name for setup in setups]
    drawn = [
        ("Forward pass here", f"{comparison.rate_unit} a second", [one.rate.value for one in setups], ",.0f"),
        ("Parameters", "numbers that were learnt", [float(one.parameters) for one in setups], ",.0f"),
        ("Training", "minutes, mean over runs", [one.minutes for one in setups], ",.1f"),
    ]
    panels = []
    for title, note, values, show in drawn:
        if all(map(math.isnan, values)):
            continue
        texts = [NOTHING if math.isnan(value) else format(value, show) for value in values]
        alt = "; ".join(f"{name}: {told} {note}" for name, told in zip(names, texts, strict=True))
        panels.append(page.panel(plots.bars(names, values, texts), title=title, note=note, alt=alt))
    head = [
        "",
        "Recipe",
        "Runs",
        "Best epoch",
        "Parameters",
        "Training, minutes",
        f"{comparison.rate_unit.capitalize()}/s",
    ]
    rows = [
        [
            one.name,
            one.recipe,
            ", ".join(one.runs),
            ", ".join(NOTHING if epoch is None else str(epoch) for epoch in one.best_epochs),
            f"{one.parameters:,}",
            f"{one.minutes:.1f}",
            NOTHING
            if math.isnan(one.rate.value)
            else f"{one.rate.value:,.0f} ({one.rate.low:,.0f} to {one.rate.high:,.0f})",
        ]
        for one in setups
    ]
    measured = (
        "Speed: the models in turn on the same batch of up to 32, the median of several rounds of a forward pass "
    )
    measured += "without any search. Training times may be of another machine."
    return page.join(
        page.legend(names),
        page.panels(panels),
        page.table(head, rows, name="Cost of each", texts=3),
        page.paragraph(measured),
    )


def _settings(comparison: Comparison) -> Html:
    if not comparison.settings:
        return page.paragraph("No setting differs but what varies within each, such as the seed.")
    head = ["Setting", *(setup.name for setup in comparison.setups)]
    rows = [[name, *values] for name, values in comparison.settings.items()]
    return page.join(
        page.paragraph("Only those that differ."),
        page.table(head, rows, name="Settings that differ", texts=len(head)),
    )
