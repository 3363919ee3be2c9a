"""What a report says of forecasts: how good they are beside those that cost nothing, and what they look like."""

from collections.abc import Sequence

import numpy as np

from gatewise.data.series_adapter import SeriesAdapter
from gatewise.reports import forecast_plots, page
from gatewise.reports.content import Measured, Report
from gatewise.reports.forecast_answers import (
    MODEL,
    Answers,
    answers_of,
    below,
    by_step,
    chosen_windows,
    inside,
    mean,
    named,
    verdict,
    window_errors,
)
from gatewise.reports.forecast_data import data, moment
from gatewise.reports.page import Html
from gatewise.reports.parts import Metric, about
from gatewise.reports.style import NEUTRAL
from gatewise.reports.words import NOTHING, counted, number, percent, shorten

METRICS = {
    "scaled_mse": Metric("Scaled MSE", "mean squared error in units of each channel's training deviation", share=False),
    "scaled_mae": Metric("Scaled MAE", "mean absolute error in the same units", share=False),
    "wql": Metric(
        "Quantile loss",
        "weighted quantile loss: what all quantiles are off by, as a share of the size of the values; of a forecast "
        "without quantiles the sum of its errors as such a share",
        share=False,
    ),
    "mse": Metric("MSE", "mean squared error, large errors count more", share=False),
    "mae": Metric("MAE", "mean absolute error, in units of the data", share=False),
    "smape": Metric("sMAPE", "symmetric percentage error as a share, 0 to 2", share=False),
    "mase": Metric(
        "MASE",
        "errors in units of what the forecast of the same step a season before (without one: the step before) was off "
        "by, in the series until then",
        share=False,
    ),
    "rse": Metric(
        "Relative error, last step",
        "root of the squared errors at the last step of the horizon by those of the mean; 1 is no better than it",
        share=False,
    ),
}
ROWS = 20  # of a table of series or channels
LOOKED_BACK = 3  # horizons that are drawn before a forecast, or a season and a half
BANDS = 3
FEW = 3  # pictures of a kind that are worth a heading


def headline(report: Report, measured: Measured) -> list[tuple[str, str, str]]:
    """The metric that the best epoch was chosen by, beside the best baseline; an error in other units; a band."""
    answers = answers_of(report, measured)
    cards = [_card(answers, answers.monitor, measured.name)]
    other = "mase" if np.isfinite(answers.metrics[MODEL].get("mase", np.nan)) else "mae"
    if other in answers.metrics[MODEL]:
        cards.append(_card(answers, other, measured.name))
    if answers.bands:
        nominal, low, high = answers.bands[0]
        share = float(mean(inside(answers, low, high)))
        cards.append((f"In the {nominal:.0%} band", percent(share), f"of what happened; {nominal:.0%} would be right"))
    return cards


def _card(answers: Answers, metric: str, where: str) -> tuple[str, str, str]:
    own = answers.metrics[MODEL][metric]
    others = {name: answers.metrics[name][metric] for name in answers.forecasts if name != MODEL}
    others = {name: value for name, value in others.items() if np.isfinite(value)}
    title = f"{_words(metric).name}, {where}"
    if not others:
        return title, number(own, 3), "smaller is better"
    best = min(others, key=others.__getitem__)
    if not others[best] > own:
        return title, number(own, 3), f"The {named(best)} baseline is better: {number(others[best], 3)}"
    return title, number(own, 3), f"the best baseline, {named(best)}, has {number(others[best], 3)}"


def _words(metric: str) -> Metric:
    return METRICS.get(metric, Metric(metric.replace("_", " ").capitalize(), "", share=False))


def _within(name: str) -> str:
    """A metric's name within a sentence.

    >>> _within("Quantile loss"), _within("MASE")
    ('quantile loss', 'MASE')
    """
    return name[0].lower() + name[1:] if name[1:2].islower() else name


def results(report: Report, measured: Measured) -> list[Html]:
    """The model beside the baselines, errors by step, forecasts, how sure they are, and errors by series."""
    answers = answers_of(report, measured)
    windows = counted(len(answers.places), "window")
    several = f" of {counted(len(measured.data), 'series', 'series')}" if len(measured.data) > 1 else ""
    many = f"{windows} of {counted(answers.horizon, 'step')}{several}"
    lost = int((~np.isfinite(answers.forecasts[MODEL])).sum())
    return [
        page.paragraph(about(measured, many=many)),
        page.paragraph(verdict(answers, _within(_words(answers.monitor).name))),
        page.paragraph(otherwise) if (otherwise := _otherwise(answers)) else Html(""),
        page.paragraph(f"Not a finite number: {counted(lost, 'forecast value')}.") if lost else Html(""),
        _beside(report, measured, answers),
        _by_step(answers),
        _forecasts(report, answers),
        _sureness(answers),
        _by_series(answers),
        _by_channel(answers),
    ]


# Numbers -------------------------------------------------------------------------------------------------------------


def _beside(report: Report, measured: Measured, answers: Answers) -> Html:
    """Every metric of the model and the baselines on the same windows, then the model's on the other sets."""
    names = list(answers.forecasts)
    rows = []
    for metric, own in answers.metrics[MODEL].items():
        values = {MODEL: own} | {name: answers.metrics[name][metric] for name in names if name != MODEL}
        known = [name for name in names if np.isfinite(values[name])]
        best = named(min(known, key=values.__getitem__)) if known else NOTHING
        rows.append([_words(metric).name, *(number(values[name]) for name in names), best])
    head = ["", *map(named, names), "best"]
    parts = [
        page.table(head, rows, name=f"Metrics of the model and the baselines, {measured.name}"),
        page.bullets([f"{_words(metric).name}: {_words(metric).meaning}." for metric in answers.metrics[MODEL]]),
        page.paragraph(_baselines_in_words(report, answers)),
    ]
    if len(report.measured) > 1:
        parts.append(_by_set(report, list(answers.metrics[MODEL])))
    return page.subsection("Beside the baselines", *parts)


def _baselines_in_words(report: Report, answers: Answers) -> str:
    adapter: SeriesAdapter = report.adapter
    words = ["Smaller is better everywhere. Naive: the last observed value goes on."]
    if "seasonal-naive" in answers.forecasts:
        words.append(f"Seasonal naive: the value a season of {adapter.season} steps before.")
    every = answers.fitted_on
    which = f"one in {every} training windows" if every > 1 else "the training windows"
    words.append(
        "Linear: each step a weighted sum of the past, one set of weights a channel, fitted for this page by least "
        f"squares on {which}; nothing else is fitted here."
    )
    words.append(
        "MSE and MAE are in units of the data" + (", over all channels alike." if len(answers.names) > 1 else ".")
    )
    return " ".join(words)


def _otherwise(answers: Answers) -> str:
    """By which other metrics some baseline is better."""
    better = []
    for metric, own in answers.metrics[MODEL].items():
        values = {name: answers.metrics[name][metric] for name in answers.forecasts if name != MODEL}
        known = {name: value for name, value in values.items() if not value > own and np.isfinite(value)}
        if known and metric != answers.monitor:
            better.append(f"{_words(metric).name} ({named(min(known, key=known.__getitem__))})")
    return f"By other measures a baseline is better: {', '.join(better)}." if better else ""


def _by_set(report: Report, metrics: Sequence[str]) -> Html:
    rows = [
        ["Series", *(f"{len(one.data):,}" for one in report.measured)],
        ["Windows", *(f"{len(one.results.predictions):,}" for one in report.measured)],
    ]
    for metric in metrics:
        values = [one.metrics.get(metric, float("nan")) for one in report.measured]
        rows.append([_words(metric).name, *map(number, values)])
    return page.join(
        page.paragraph("The model alone on each set that was measured:"),
        page.table(["", *(one.name for one in report.measured)], rows, name="Metrics by data set"),
    )


def _by_step(answers: Answers) -> Html:
    """How the error grows with the horizon."""
    if answers.horizon == 1:
        return Html("")
    errors = by_step(answers)
    colors = forecast_plots.colors_of(list(errors), answers.best_baseline)
    unit = "in deviations of each channel" if len(answers.names) > 1 else "in units of the data"
    first, last = (number(float(errors[MODEL][place]), 3) for place in (0, -1))
    better = [name for name in errors if name != MODEL and (errors[name] < errors[MODEL]).any()]
    crossed = [
        f"{named(name)} at {counted(int((errors[name] < errors[MODEL]).sum()), 'step')} of {answers.horizon}"
        for name in better
    ]
    told = f"A baseline is better where its line is below: {', '.join(crossed)}." if crossed else ""
    picture = page.picture(
        forecast_plots.by_step(
            {named(name): values for name, values in errors.items()},
            {named(name): color for name, color in colors.items()},
            title="mean absolute error",
        ),
        caption=f"How far off each step of the horizon is, {unit}: the model from {first} at the first to {last} at "
        f"the last. {told}",
        alt=f"Mean absolute error over {counted(answers.horizon, 'step')} of the horizon, model and baselines; "
        f"the model's from {first} to {last}.",
    )
    return page.subsection("Errors by step", picture)


# Pictures of forecasts -----------------------------------------------------------------------------------------------


def _forecasts(report: Report, answers: Answers) -> Html:
    """Windows with large, middling and small errors, over what came before them."""
    adapter: SeriesAdapter = report.adapter
    longest = max(LOOKED_BACK * answers.horizon, 3 * adapter.season // 2, 8)
    context = min(adapter.context_length, longest)
    best = answers.best_baseline
    errors = window_errors(answers)
    names = ["what happened", "forecast", *([named(best)] if best else [])]
    groups: dict[str, list[Html]] = {}
    chosen = chosen_windows(answers, context)
    few = max(map(len, chosen.values()), default=0) < FEW
    for kind, places in chosen.items():
        before = f"{kind}: " if few else ""
        for n, k in places:
            panel = _window(adapter, answers, n, k, context, best, float(errors[n, k]), before)
            groups.setdefault("" if few else kind, []).append(panel)
    drawn = [
        page.join(Html(f"<h4>{page.text(kind)}</h4>" if kind else ""), page.panels(panels))
        for kind, panels in groups.items()
    ]
    scaled = "their channel's deviation in the training data"
    if np.isfinite(answers.naive_errors).all() and (answers.naive_errors > 0).all():
        scaled = "the naive error of their series (as in MASE)"
    bands = [f"{nominal:.0%}" for nominal, _, _ in _drawn_bands(answers)]
    shaded = f" Shaded: where {', '.join(bands)} of what happens should lie." if bands else ""
    cut = (
        f" Of {adapter.context_length} steps that are looked back on the last {context} are drawn."
        if (context < adapter.context_length)
        else ""
    )
    words = (
        "The forecast begins at the dotted line. Windows are ordered by their mean absolute error in units of "
        f"{scaled}; none overlaps another of its kind.{shaded}{cut}"
    )
    return page.subsection("Forecasts", page.paragraph(words), page.legend(names), *drawn)


def _drawn_bands(answers: Answers) -> list[tuple[float, int, int]]:
    """At most three, the widest and the narrowest among them."""
    bands = answers.bands
    if len(bands) <= BANDS:
        return bands
    return [bands[place] for place in np.linspace(0, len(bands) - 1, BANDS).round().astype(int)]


def _window(
    adapter: SeriesAdapter, answers: Answers, n: int, k: int, context: int, best: str | None, error: float, before: str
) -> Html:
    series, origin = answers.places[n].tolist()
    begin = max(0, origin - context)
    end = origin + answers.horizon
    times = adapter.times(answers.data, series, end)[begin:]
    happened = answers.data.values[series][begin:end, k]
    bands = [
        (answers.quantiles[low][n, :, k], answers.quantiles[high][n, :, k]) for _, low, high in _drawn_bands(answers)
    ]
    compared = None if best is None else (named(best), answers.forecasts[best][n, :, k])
    figure = forecast_plots.fan(times, happened, answers.forecasts[MODEL][n, :, k], bands=bands, compared=compared)
    names = [answers.series_name(series)] if answers.data.ids is not None or len(answers.data) > 1 else []
    names += [answers.names[k]] if len(answers.names) > 1 or not names else []
    place = ", ".join(shorten(name, 32) for name in names)
    said = number(float(mean(np.abs(answers.errors()[n, :, k]))), 3)
    since = moment(times[origin - begin])
    beside = ""
    if compared is not None:
        other = number(float(mean(np.abs(answers.errors(best or "")[n, :, k]))), 3)
        beside = f", {compared[0]} {other}"
    return page.panel(
        figure,
        title=f"{before}{place}, from {since}",
        note=f"mean error {said} ({number(error, 3)} scaled){beside}",
        alt=f"Forecast of {place} from {since} on: mean absolute error {said} over {counted(answers.horizon, 'step')}"
        f"{beside}.",
    )


# How sure ------------------------------------------------------------------------------------------------------------


def _sureness(answers: Answers) -> Html:
    """Whether quantiles and bands hold what they promise."""
    if not answers.levels:
        words = "The model gives a number alone. With loss.distribution quantile or student-t (of counts "
        words += "negative-binomial) it says how sure it is."
        return page.subsection("How sure it is", page.paragraph(words))
    found = below(answers)
    off = float(np.abs(found - np.array(answers.levels)).max())
    picture = page.picture(
        forecast_plots.calibration(answers.levels, found),
        caption="How often what happened was not above each quantile; on the dashed line as often as promised. Steeper "
        "than it the bands are too wide, flatter too narrow; all above it the forecasts are too high, below too low.",
        alt="Calibration: "
        + ", ".join(f"{level:.0%} {share:.1%}" for level, share in zip(answers.levels, found, strict=True)),
    )
    parts = [picture]
    if answers.bands and answers.horizon > 1:
        parts.append(_bands_by_step(answers))
    overlap = "Windows overlap and share their surprises, so that with few of them these shares say little."
    told = f"At any level the share is at most {100 * off:.1f} points off. {overlap}"
    return page.subsection("How sure it is", page.paragraph(told), page.columns(*parts), _bands(answers))


def _bands_by_step(answers: Answers) -> Html:
    nominal, low, high = answers.bands[0]
    shares = mean(inside(answers, low, high), axis=(0, 2))
    steps = answers.horizon
    lines = {f"in the {nominal:.0%} band": shares, "right": np.full(steps, nominal)}
    colors = dict(zip(lines, (forecast_plots.SAID, NEUTRAL), strict=True))
    return page.picture(
        forecast_plots.by_step(lines, colors, title="share of what happened", percent=True),
        caption=f"How much of what happened lay in the {nominal:.0%} band at each step. Below the dashed line the band "
        "is too narrow there, above it too wide.",
        alt=f"Share inside the {nominal:.0%} band over the steps, from {percent(float(shares[0]))} to "
        f"{percent(float(shares[-1]))}.",
    )


def _bands(answers: Answers) -> Html:
    rows = []
    unit = answers.std if len(answers.names) > 1 else 1.0
    for nominal, low, high in answers.bands:
        share = float(mean(inside(answers, low, high)))
        wide = float(mean((answers.quantiles[high] - answers.quantiles[low]) / unit))
        ends = f"{answers.levels[low]:.3g} to {answers.levels[high]:.3g}"
        rows.append([percent(round(nominal, 6)), ends, percent(share), number(wide, 3)])
    width = "Mean width, deviations" if len(answers.names) > 1 else "Mean width"
    return page.table(["Should hold", "Quantiles", "Held", width], rows, name="Bands") if rows else Html("")


# By series and channel -----------------------------------------------------------------------------------------------


def _by_series(answers: Answers) -> Html:
    """Errors of each series, the worst first."""
    series = answers.places[:, 0]
    found = np.unique(series).tolist()
    if len(found) < 2:
        return Html("")
    groups = [(answers.series_name(i), np.flatnonzero(series == i)) for i in found]
    every = np.arange(len(answers.names))
    rows = [(name, windows, every) for name, windows in groups]
    return page.subsection("By series", *_errors_of(answers, rows, "Series", counted(len(rows), "series", "series")))


def _by_channel(answers: Answers) -> Html:
    """Errors of each channel, the worst first."""
    if len(answers.names) < 2:
        return Html("")
    every = np.arange(len(answers.places))
    rows = [(name, every, np.array([k])) for k, name in enumerate(answers.names)]
    return page.subsection("By channel", *_errors_of(answers, rows, "Channel", counted(len(rows), "channel")))


def _errors_of(
    answers: Answers, groups: Sequence[tuple[str, np.ndarray, np.ndarray]], what: str, many: str
) -> list[Html]:
    """A row for each group of windows and channels: name, windows, error beside the best baseline, bias."""
    best = answers.best_baseline
    own, scaled = answers.errors(), window_errors(answers)
    other = None if best is None else answers.errors(best)
    ranked = []
    for name, windows, channels in groups:
        errors = own[windows][:, :, channels]
        rank = float(mean(scaled[windows][:, channels]))
        error = float(mean(np.abs(errors)))
        cells = [shorten(name, 40), f"{len(windows):,}", number(rank, 3), number(error), number(float(mean(errors)), 3)]
        if other is not None:
            beside = float(mean(np.abs(other[windows][:, :, channels])))
            cells += [number(beside), number(error / beside, 3) if beside > 0 else NOTHING]
        ranked.append((rank, cells))
    ranked.sort(key=lambda row: -np.inf if np.isnan(row[0]) else -row[0])
    head = [what, "Windows", "Scaled error", "Mean error", "Bias"]
    head += [] if best is None else [named(best), "model / it"]
    words = "The largest scaled errors first; mean errors and bias (said less what happened) are in units of the data."
    if len(groups) > ROWS:
        words += f" The first {ROWS} of {many}."
    if best is not None:
        words += f" Beside them the mean error of the {named(best)} baseline: above 1 the model is worse."
    return [
        page.paragraph(words),
        page.table(head, [cells for _, cells in ranked[:ROWS]], name=f"Errors by {what.lower()}"),
    ]


__all__ = ["data", "headline", "results"]
