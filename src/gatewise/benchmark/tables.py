"""A report as tables of text, for a terminal and for a page alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatewise.benchmark.runner import Report, Row, Spread

TITLES = {
    "train": "Training step of `bilstm`: forward, cross entropy, backward, Adam",
    "infer": "Inference of `bilstm`",
    "layers": "A layer of both directions (T, B, I, H), forward and backward",
    "ragged": "The same, ragged (55 % full), torch packed",
    "variants": "Options of the cell beside the plain cell on the same kernel, forward and backward",
    "streaming": "Streaming: `bilstm` in one direction",
    "language": "Training step of a language model, tokens a second: forward, cross entropy, backward, Adam",
    "generation": "Generation, tokens a second: scores and a draw, one text",
}


@dataclass(frozen=True)
class Table:
    """Cells of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def to_markdown(self) -> str:
        """A pipe table under its title."""
        lines = [self.columns, tuple("---" if i == 0 else "---:" for i in range(len(self.columns))), *self.rows]
        return "\n".join([f"{self.title}:", "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def tables(report: Report) -> Iterator[Table]:
    """One for each group, then the profiles."""
    for group, title in TITLES.items():
        rows = [row for row in report.rows if row.group == group]
        if rows:
            build = {"variants": _variants, "language": _tokens, "generation": _tokens}.get(group, _beside_torch)
            yield build(title, rows)
    for profile in report.profiles:
        yield _profile(profile)


def header(report: Report) -> str:
    """What the figures were taken on, in a line."""
    found = report.machine
    kernels = sorted({row.kernel for row in report.rows if row.kernel is not None})
    named = [f"{name} ({found['cpu_kernel_instruction_set']})" if name == "cpu" else name for name in kernels]
    parts = [
        f"{found['processor']}, {found['cores']} core(s)",
        f"{found['threads']} thread(s)",
        f"torch {found['torch']} ({found['torch_instruction_set']})",
        f"gatewise {found['gatewise']}" + (f", kernel {', '.join(named)}" if named else ""),
    ]
    if report.settings.isa is not None:
        parts.append(f"both held to {report.settings.isa}")
    return "; ".join(parts)


def method(report: Report) -> str:
    """How they were taken, and what the words in the tables mean."""
    settings = report.settings
    return (
        f"Both sides in turn, {settings.rounds} rounds or more in each of {settings.processes} process(es): medians "
        "over the processes of each one's median, with the smallest and the largest. Kept, tuned: both sides keep "
        f"freed memory; tuned also asks for huge pages (the system: {report.machine['huge_pages']}). bfloat16 is ours, "
        "beside torch's float32."
    )


def busy(report: Report) -> str | None:
    """A warning, where the figures are not to be trusted."""
    load = report.machine["load_average"]
    if not report.machine["busy"]:
        return None
    return f"The machine was busy before the start (load average {load:.1f}): do not trust these figures."


def show(value: float) -> str:
    """Three digits.

    >>> [show(value) for value in (0.01234, 1.2345, 48.23, 317.6)]
    ['0.0123', '1.23', '48.2', '318']
    """
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def _spread(spread: Spread, factor: float = 1.0) -> str:
    low, high = show(spread.min * factor), show(spread.max * factor)
    middle = show(spread.median * factor)
    return middle if low == high else f"{middle} ({low}-{high})"


def _ratio(spread: Spread) -> str:
    low, high = f"{spread.min:.2f}", f"{spread.max:.2f}"
    return f"{spread.median:.2f}" if low == high else f"{spread.median:.2f} ({low}-{high})"


def _beside_torch(title: str, rows: list[Row]) -> Table:
    unit, factor = ("µs", 1e3) if rows[0].group == "streaming" else ("ms", 1.0)
    cells = []
    for row in rows:
        cells.append((_named(row), *_figures(row, factor)))
    if rows[0].group in ("train", "infer"):
        title = f"{title}, {rows[0].work.T} steps"
    return Table(title, ("work", "kernel", f"gatewise, {unit}", f"torch, {unit}", "torch / gatewise"), cells)


def _tokens(title: str, rows: list[Row]) -> Table:
    """Rates, so that larger is better on both sides."""
    cells: list[tuple[str, ...]] = []
    for row in rows:
        kernel, mine, theirs, ratio = _figures(row, 1.0)
        if row.ours_ms is not None and row.against_ms is not None:
            count = 1e3 * row.work.B * row.work.T
            mine, theirs = _rate(row.ours_ms, count), _rate(row.against_ms, count)
        cells.append((_named(row), kernel, mine, theirs, ratio))
    return Table(title, ("work", "kernel", "gatewise", "torch", "gatewise / torch"), cells)


def _rate(spread: Spread, count: float) -> str:
    """How often a second, from how many milliseconds for so many thousandths of them."""
    low, middle, high = (f"{count / value:,.0f}" for value in (spread.max, spread.median, spread.min))
    return middle if low == high else f"{middle} ({low}-{high})"


def _named(row: Row) -> str:
    what = [row.work.name]
    what += ["bfloat16"] if row.contender == "bfloat16" else []
    what += [row.allocator] if row.allocator != "default" else []
    return ", ".join(what)


def _variants(title: str, rows: list[Row]) -> Table:
    work = rows[0].work
    sizes = f"{title} (T, B, I, H: {work.name}, {work.dtypes[0]})"
    names = [f"`{row.contender}`" + (f", {row.allocator}" if row.allocator != "default" else "") for row in rows]
    cells = [(name, *_figures(row, 1.0)) for name, row in zip(names, rows, strict=True)]
    return Table(sizes, ("option", "kernel", "ms", "plain, ms", "option / plain"), cells)


def _figures(row: Row, factor: float) -> tuple[str, ...]:
    kernel = row.kernel or ""
    if row.wrong is not None:
        return kernel, "", "", f"wrong: {row.wrong}"
    if row.ours_ms is None or row.against_ms is None or row.ratio is None:
        return kernel, "", "", f"not served: {row.not_served}"
    return kernel, _spread(row.ours_ms, factor), _spread(row.against_ms, factor), _ratio(row.ratio)


def _profile(profile: dict[str, Any]) -> Table:
    title = f"Where the time of a training step goes: `bilstm`, {profile['name']}, {profile['dtype']}, one process"
    if profile["wrong"]:
        return Table(title, ("part", "gatewise, ms", "torch, ms"), [("", f"wrong: {profile['wrong']}", "")])
    mine, theirs = profile["parts_ms"]["gatewise"], profile["parts_ms"]["torch"]
    cells: list[tuple[str, ...]] = [(part, _share(mine, part), _share(theirs, part)) for part in mine | theirs]
    cells.append(("together", show(sum(mine.values())), show(sum(theirs.values()))))
    return Table(title, ("part", "gatewise, ms", "torch, ms"), cells)


def _share(side: dict[str, float], part: str) -> str:
    return f"{show(side[part])} ({100 * side[part] / sum(side.values()):.0f} %)" if part in side else ""
