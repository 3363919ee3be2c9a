"""What a report says of series: how many, how long, where the parts begin, which gaps, which season."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gatewise.data.series import SeriesData
from gatewise.data.series_adapter import SeriesAdapter
from gatewise.reports import forecast_plots, page
from gatewise.reports.content import Report
from gatewise.reports.forecast_plots import Part
from gatewise.reports.page import Html
from gatewise.reports.style import PALETTE
from gatewise.reports.words import NOTHING, counted, listed, number, percent, shorten

CHANNELS = 20  # rows of the table of channels
DRAWN = 6  # whole series, or channels of them
COMPARED = 500  # series without names that are looked through for the one that goes on
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_YEAR = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SCALES = {
    "window": "Each window is scaled by its own mean and deviation, and its forecast scaled back.",
    "series": "Each window is scaled by the mean and deviation of all of its series until then.",
    "channel": "Values are scaled by the mean and deviation of their channel in the training data.",
    "none": "Values are not scaled.",
}


def data(report: Report) -> list[Html]:
    """Sizes, what a forecast sees, channels with their gaps, whole series, and the season."""
    adapter: SeriesAdapter = report.adapter
    told: dict[str, list[str]] = {}
    for name, split in report.splits.items():
        for note in adapter.notes(split):
            told.setdefault(note, []).append(name)
    # What several sets say is of the file that they are parts of.
    notes = [f"{note}." if len(names) > 1 else f"{names[0]}: {note}." for note, names in told.items()]
    return [
        page.paragraph(_seen(report)),
        _sizes(report),
        page.bullets(notes),
        _whole(report),
        page.columns(_season(report), _channels(report)),
    ]


def _seen(report: Report) -> str:
    """What a forecast looks back on and what it knows."""
    adapter: SeriesAdapter = report.adapter
    steps = "steps are counted" if adapter.step is None else f"steps are {adapter.frequency}"
    season = f", with a season of {adapter.season}" if adapter.season > 1 else ", without a season"
    channels = f"{counted(adapter.num_channels, 'channel')} to forecast: {listed(list(adapter.names))}"
    sentences = [
        f"{channels}; {steps}{season}.",
        f"A window looks {counted(adapter.context_length, 'step')} back and {adapter.horizon:,} ahead.",
        _SCALES[adapter.scale],
    ]
    known = [
        ("known until now", adapter.past.names),
        ("known ahead", adapter.future.names),
        ("that do not change", tuple(column.name for column in adapter.static)),
    ]
    sentences += [f"Columns {kind}: {listed(list(names))}." for kind, names in known if names]
    if adapter.calendar:
        sentences.append(f"Of the calendar it is told the place in the {' and the '.join(adapter.calendar)}.")
    return " ".join(sentences)


def _sizes(report: Report) -> Html:
    """Of each set the steps that may be forecast; what stands before them is context."""
    adapter: SeriesAdapter = report.adapter
    head = ["Set", "Series", "Steps: fewest", "median", "most", "From", "To", "Windows", "Missing values"]
    rows = []
    for name, split in report.splits.items():
        if not len(split):
            rows.append([name, "0", *[NOTHING] * 7])
            continue
        own = [values[first:] for values, first in zip(split.values, split.firsts, strict=True)]
        lengths = np.array([len(values) for values in own])
        missing = sum(int(np.isnan(values).sum()) for values in own) / max(1, sum(values.size for values in own))
        first, last = _span(adapter, split)
        windows = f"{len(adapter.encode(split)):,}"
        sizes = (f"{lengths.min():,}", number(float(np.median(lengths))), f"{lengths.max():,}")
        rows.append([name, f"{len(split):,}", *sizes, first, last, windows, percent(missing)])
    words = "Steps are those that are forecast in a set. What stands before them is looked back on there, too."
    return page.join(page.table(head, rows, name="Sizes of the data sets"), page.paragraph(words))


def _span(adapter: SeriesAdapter, data: SeriesData) -> tuple[str, str]:
    """The first and the last moment of what is forecast."""
    found = [adapter.times(data, i, len(data.values[i]))[first:] for i, first in enumerate(data.firsts)]
    known = [times for times in found if len(times)]
    if not known:
        return NOTHING, NOTHING
    return moment(min(times[0] for times in known)), moment(max(times[-1] for times in known))


def moment(time: np.datetime64 | np.integer | int) -> str:
    """A time in words, without a clock at midnight; a number as it is.

    >>> moment(np.datetime64("2024-02-01", "ns")), moment(np.datetime64("2024-02-01T06:30", "ns")), moment(7)
    ('2024-02-01', '2024-02-01 06:30', '7')
    """
    if not isinstance(time, np.datetime64):
        return str(int(time))
    return str(time.astype("datetime64[s]")).replace("T", " ").removesuffix(":00").removesuffix(" 00:00")


# Channels ------------------------------------------------------------------------------------------------------------


def _channels(report: Report) -> Html:
    """Spread and gaps of each channel in the training data."""
    adapter: SeriesAdapter = report.adapter
    parts: Sequence[np.ndarray] = report.train_data.values
    rows = []
    for k, name in enumerate(adapter.names[:CHANNELS]):
        columns = [values[:, k] for values in parts]
        gaps = np.concatenate([gap_lengths(column) for column in columns])
        missing = sum(int(np.isnan(column).sum()) for column in columns) / max(1, sum(map(len, columns)))
        longest = f"{counted(len(gaps), 'gap')}, longest {gaps.max():,}" if len(gaps) else "none"
        spread = (adapter.mean[k], adapter.std[k], min(map(_low, columns)), max(-_low(-column) for column in columns))
        rows.append([shorten(name, 40), *(number(float(value)) for value in spread), percent(missing), longest])
    head = ["Channel", "Mean", "Deviation", "Lowest", "Highest", "Missing", "Gaps"]
    more = page.paragraph(f"The first {CHANNELS} of {adapter.num_channels} channels.")
    table = page.table(head, rows, name="Channels in the training data")
    return page.subsection("Channels", table, more if adapter.num_channels > CHANNELS else Html(""))


def gap_lengths(values: np.ndarray) -> np.ndarray:
    """How many steps in a row are missing, of each gap.

    >>> gap_lengths(np.array([np.nan, 1, np.nan, np.nan, 2])).tolist()
    [1, 2]
    """
    missing = np.concatenate([[0], np.isnan(values).astype(np.int8), [0]])
    return np.asarray(np.flatnonzero(np.diff(missing) == -1) - np.flatnonzero(np.diff(missing) == 1))


def _low(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.min()) if len(known) else float("inf")


# Whole series --------------------------------------------------------------------------------------------------------


class _Stretch(NamedTuple):
    """The part of a series that a set forecasts."""

    name: str
    color: str
    data: SeriesData
    series: int


def _whole(report: Report) -> Html:
    """A few series from beginning to end, each set in its colour."""
    adapter: SeriesAdapter = report.adapter
    found = _stretches(report)
    channels = adapter.num_channels
    places = [(stretches, k) for k in range(channels) for stretches in found][:DRAWN]
    height = 260 if len(places) == 1 else 170
    panels = [_panel(report, stretches, k, height) for stretches, k in places]
    names = list(report.splits)
    words = f"From beginning to end, value over {'step' if adapter.step is None else 'time'}."
    if len(names) > 1:
        words += " A dotted line marks where another set begins: what stands before it is all that its forecasts know."
    total = sum(len(split) for split in report.splits.values()) if len(found) > 1 else 1
    if len(found) * channels > DRAWN or len(report.train_data) > len(found):
        several = f"{counted(len(report.train_data), 'training series', 'training series')}" if total > 1 else ""
        many = f"{counted(channels, 'channel')}" if channels > 1 else ""
        words += f" Of {' and '.join(part for part in (several, many) if part)} {len(places)} pictures are drawn."
    drawn = panels[0] if len(panels) == 1 else page.columns(*panels)
    return page.subsection("Series", page.paragraph(words), page.legend(names), drawn)


def _stretches(report: Report) -> list[list[_Stretch]]:
    """Training series, evenly chosen, each with what goes on in the other sets; then series that only those have."""
    train: SeriesData = report.train_data
    colors = dict(zip(report.splits, PALETTE, strict=False))
    others = [(measured.name, measured.data) for measured in report.measured if measured.name in colors]
    train_name = next(iter(report.splits))
    drawn = []
    for i in _evenly(len(train), DRAWN):
        stretches = [_Stretch(train_name, colors[train_name], train, i)]
        for name, data in others:
            j = next(_that_follow(report.adapter, train, i, data), None)
            stretches += [] if j is None else [_Stretch(name, colors[name], data, j)]
        drawn.append(stretches)
    drawn.sort(key=len, reverse=True)  # those that are judged, before those that are only learnt from
    alone = []
    for name, data in others:
        for j in _evenly(len(data), 2):
            if not any(_follows(report.adapter, train, i, data, j) for i in range(min(len(train), COMPARED))):
                alone.append([_Stretch(name, colors[name], data, j)])
    return [*drawn[: DRAWN - len(alone[:4])], *alone[:4]]


def _evenly(count: int, most: int) -> list[int]:
    if not count:
        return []
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()  # type: ignore[no-any-return]


def _that_follow(adapter: SeriesAdapter, train: SeriesData, i: int, data: SeriesData) -> Iterator[int]:
    """Series of a set that are the same as a training series."""
    if train.ids is not None and data.ids is not None:
        places = [j for j, name in enumerate(data.ids) if name == train.ids[i]]
    else:
        places = list(range(min(len(data), COMPARED)))
    return (j for j in places if _follows(adapter, train, i, data, j))


def _follows(adapter: SeriesAdapter, train: SeriesData, i: int, data: SeriesData, j: int) -> bool:
    """Whether a series goes on where a training series ends.

    It begins with the same values; or it has the same name, and later times.
    """
    learnt, values, first = train.values[i], data.values[j], data.firsts[j]
    if train.ids is not None and data.ids is not None and train.ids[i] != data.ids[j]:
        return False
    if len(learnt) <= first and np.array_equal(learnt, values[: len(learnt)], equal_nan=True):
        return True
    named = train.ids is not None or len(train) == len(data) == 1
    if not named or train.times is None or data.times is None or not len(learnt) or first >= len(values):
        return False
    return bool(data.times[j][first] > train.times[i][-1])


def _panel(report: Report, stretches: list[_Stretch], k: int, height: int) -> Html:
    adapter: SeriesAdapter = report.adapter
    parts = []
    for name, color, data, i in stretches:
        first, values = data.firsts[i], data.values[i]
        parts.append(Part(name, adapter.times(data, i, len(values))[first:], values[first:, k], color))
    parts = [part for part in parts if len(part.values)]
    if not parts:
        return Html("")
    _, _, data, i = stretches[0]
    names = [] if data.ids is None and len(data) == 1 else [f"series {i}" if data.ids is None else str(data.ids[i])]
    names += [adapter.names[k]] if adapter.num_channels > 1 or not names else []
    title = ", ".join(shorten(name, 40) for name in names)
    starts = "; ".join(f"{part.name} from {moment(part.times[0])}" for part in parts)
    return page.picture(
        forecast_plots.whole_series(parts, height=height),
        caption=f"{title}: {starts}.",
        alt=f"{title} from beginning to end, {counted(sum(len(part.values) for part in parts), 'step')}. {starts}.",
    )


# The season ----------------------------------------------------------------------------------------------------------


def _season(report: Report) -> Html:
    """What is usual at each step of the season, in the longest training series."""
    adapter: SeriesAdapter = report.adapter
    train: SeriesData = report.train_data
    season = adapter.season
    longest = int(np.argmax(train.lengths))
    if season < 2 or train.lengths[longest] < 3 * season:
        known = "No season is known: set data.series.season where there is one."
        short = f"No series has three seasons of {counted(season, 'step')}: too little to see one."
        return page.subsection("Season", page.paragraph(known if season < 2 else short))
    phases, names, what = _phases(adapter, train, longest)
    lines, strengths = {}, {}
    for k, name in enumerate(adapter.names[: len(PALETTE)]):
        profile, strength = seasonal(train.values[longest][:, k], season, phases)
        if np.isfinite(strength):
            lines[name] = profile / (adapter.std[k] if adapter.num_channels > 1 else 1.0)
            strengths[name] = strength
    if not lines:
        return page.subsection("Season", page.paragraph("Too much is missing to see a season."))
    told = ", ".join(f"{shorten(name, 24)} {percent(strength)}" for name, strength in strengths.items())
    if len(strengths) == 1:
        (told,) = (percent(strength) for strength in strengths.values())
    unit = "in deviations of the channel" if adapter.num_channels > 1 else "in units of the data"
    which = f" of the longest series, {train.ids[longest] if train.ids else longest}," if len(train) > 1 else ""
    caption = (
        f"What is usual at each step of the season{which} beside the mean of a season around it, {unit}. "
        f"Share of the variation around that mean that comes back each season: {told}. Where it is high, the seasonal "
        "naive forecast is hard to beat."
    )
    picture = page.picture(
        forecast_plots.season(lines, phases=names, what=what, title="above or below the mean"),
        caption=caption,
        alt=f"Usual values over a season of {counted(season, 'step')}; strength {told}.",
    )
    return page.subsection("Season", picture)


def _phases(adapter: SeriesAdapter, data: SeriesData, index: int) -> tuple[np.ndarray, tuple[str, ...], str]:
    """Which step of the season each step is, from 0; what those are called, and all of them together."""
    times = adapter.times(data, index, len(data.values[index]))
    unit = (data.step or adapter.step, adapter.season)
    if times.dtype.kind == "M":
        if unit in (("1mo", 12), ("1me", 12)):
            return times.astype("datetime64[M]").astype(np.int64) % 12, _YEAR, "month"
        if unit == ("1d", 7):
            return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7, _WEEK, "day"  # 1970 began on a Thursday
        if unit == ("1h", 24):
            hours = times.astype("datetime64[h]").astype(np.int64) % 24
            return hours, tuple(str(hour) for hour in range(24)), "hour of the day"
    return np.arange(len(times)) % adapter.season, (), "step of the season, from the series' first"


def seasonal(values: np.ndarray, season: int, phases: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean of each phase around a centred mean over a season, and how much of the variation it is.

    Args:
        values: ``[T]``, NaN where unobserved.
        season: ``s`` steps.
        phases: ``[T]``, 0 to s - 1.

    Returns:
        ``[s]``, NaN for a phase that was never observed, and a share from 0 to 1: one less the variance that is left
        by that around the mean, each by its degrees of freedom; NaN where nothing varies or too little is known.

    References:
        Wang, Smith & Hyndman 2006, Characteristic-based clustering for time series data (strength of seasonality).
    """
    around, begin = _moving_mean(values, season)
    rest = values[begin : begin + len(around)] - around
    places = phases[begin : begin + len(around)]
    known = ~np.isnan(rest)
    rest, places = rest[known], places[known]
    count = np.bincount(places, minlength=season)
    profile = np.where(count > 0, np.bincount(places, rest, season) / np.maximum(count, 1), np.nan)
    freedom = len(rest) - int((count > 0).sum())
    whole = float(((rest - rest.mean()) ** 2).sum()) if len(rest) else 0.0
    scale = float(np.abs(values[~np.isnan(values)]).max(initial=0.0))
    if freedom < 1 or not whole > (1e-9 * scale) ** 2 * len(rest):
        return profile, float("nan")
    left = float(((rest - profile[places]) ** 2).sum())
    return profile, min(1.0, max(0.0, 1 - (left / freedom) / (whole / (len(rest) - 1))))


def _moving_mean(values: np.ndarray, season: int) -> tuple[np.ndarray, int]:
    """The centred mean over a season, half a step more at both ends of an even one, and where it begins.

    Of what is observed, if that is more than half of it; else NaN.
    """
    observed = ~np.isnan(values)
    centre = float(values[observed].mean()) if observed.any() else 0.0  # sums lose digits far from zero
    sums, counts = (_sums(part, season) for part in (np.where(observed, values - centre, 0), observed.astype(float)))
    if season % 2 == 0:
        sums, counts = sums[1:] + sums[:-1], (counts[1:] + counts[:-1])
    enough = counts > season / 2 * (2 - season % 2)
    return np.where(enough, sums / np.maximum(counts, 1) + centre, np.nan), season // 2


def _sums(values: np.ndarray, season: int) -> np.ndarray:
    """Of each stretch of a season's length."""
    before = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(before[season:] - before[:-season])
