"""The explorer: one page in which to scrub through sequences and see what every gate and cell does.

What is here is the page's content as plain records, whose fields are the names that its script reads, and the page
around them. :mod:`gatewise.reports.explorer_parts` makes the records from arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib import resources
from typing import Any, Literal

from gatewise.reports import page
from gatewise.reports.page import Html

Kind = Literal["numbers", "tokens", "sound", "pictures"]


@dataclass(frozen=True)
class Packed:
    """Values ``[rows, columns]`` as whole numbers from 0 to ``most``.

    Attributes:
        d: the numbers in base64, row by row; of one byte each, or of two, the lower first, where ``most`` needs them.
        lo, hi: what 0 and ``most`` stand for: one value, or one a row.
        most: 255 or 65535.
        rows, columns: how many.
    """

    d: str
    lo: float | list[float]
    hi: float | list[float]
    most: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Lines:
    """The input as lines over its steps.

    Attributes:
        names: of the channels.
        packed: the values, a row a channel.
        low, high: of each channel, so that those that are drawn decide on the axis.
        first: channels that are drawn to begin with.
        why: what these are, where there are more.
        unit: what stands at the axis of several channels.
        places: the step of each column where not every step is kept; else None.
        missing: ``row * columns + column`` of values that are missing.
    """

    names: list[str]
    packed: Packed
    low: list[float]
    high: list[float]
    first: list[int]
    why: str = ""
    unit: str = "value"
    places: list[int] | None = None
    missing: list[int] | None = None


@dataclass(frozen=True)
class Picture:
    """A picture over time, such as a spectrogram: a PNG as a data address, and the steps that it covers.

    ``high`` and ``low`` stand at its upper and lower edge, ``unit`` beside it. ``aspect``: its width by its height
    where it is not to be stretched; 0 where it may be.
    """

    source: str
    begin: float
    end: float
    high: str = ""
    low: str = ""
    unit: str = ""
    aspect: float = 0.0


@dataclass(frozen=True)
class Strip:
    """Values over the steps ``begin`` to ``end`` as a coloured strip under the sequence; ``most`` has the full colour.

    ``diverging``: blue for negative and orange for positive ones; else from dark to bright. ``meaning`` is a sentence.
    """

    names: list[str]
    packed: Packed
    diverging: bool
    most: float
    meaning: str
    begin: float
    end: float


@dataclass(frozen=True)
class Stretch:
    """One layer over one sequence.

    Attributes:
        begin, end: the steps of the input that its columns cover, evenly.
        columns: how many; each is the mean of ``per`` steps of the layer.
        per: see ``columns``.
        directions: for each direction the six quantities of a :class:`~gatewise.inspection.trace.LayerTrace`, a row a
            unit, and ``jacobian``, one row: the largest singular value of the step; None where it was not computed.
    """

    begin: float
    end: float
    columns: int
    per: int
    directions: list[dict[str, Packed | None]]


@dataclass(frozen=True)
class Row:
    """One sequence.

    Attributes:
        row: its place in the data, from 0.
        label: what the choice of sequences calls it.
        facts: name, value and note of each figure above it.
        why: sentences: what decided, and how far back.
        verdict: ``"right"``, ``"wrong"`` or something else that was found of the answer; empty without a reference.
        right: whether it is; None where that cannot be said.
        steps: of the input.
        unit: what a step is called.
        names: of the steps; None where numbers do.
        rate: steps a second; None where there is no such thing.
        start: the step to begin at: the one that mattered most.
        decisive: the shortest stretch in which half of what decided lies; None where that is not told.
        carried: the state came in from the sequence before.
        lines, picture, strips: the input and what belongs to its steps.
        layers: in the order of :attr:`Explorer.layers`.
    """

    row: int
    label: str
    facts: list[tuple[str, str, str]]
    why: list[str]
    verdict: str
    right: bool | None
    steps: int
    unit: str
    names: list[str] | None
    rate: float | None
    start: int
    decisive: tuple[float, float] | None
    carried: bool
    lines: Lines | None
    picture: Picture | None
    strips: list[Strip]
    layers: list[Stretch]


@dataclass(frozen=True)
class Order:
    """Units sorted: what it is called, and for each direction the units."""

    key: str
    name: str
    units: list[list[int]]


@dataclass(frozen=True)
class Places:
    """The places of all units, ``[D, H, each]`` flat: item of the gallery (-1: none), step of the input, value."""

    sequence: list[int]
    step: list[int]
    value: list[float]


@dataclass(frozen=True)
class Examples:
    """Where each unit's input gate is most open, and where its cell is largest in size."""

    each: int
    input: Places
    cell: Places


@dataclass(frozen=True)
class Layer:
    """What is known of a layer beyond any one sequence.

    Attributes:
        title: its name.
        directions: ``["forward"]``, or with ``"reverse"``.
        units: ``H``.
        hidden: ``P``, or ``H``.
        spans: for candidate, cell and hidden state the size that gets the full colour.
        orders: ways to sort the units; the page begins with the first.
        half_life: ``[D][H]`` steps, None for never; None where the data set was not looked through.
        zoneout: rate at which the cell is held: a step leaves so much of it besides what the forget gate leaves.
        habits: ``[D][H]`` a sentence on each unit.
        examples: places across the data set.
    """

    title: str
    directions: list[str]
    units: int
    hidden: int
    spans: dict[str, float]
    orders: list[Order]
    half_life: list[list[float | None]] | None = None
    habits: list[list[str]] | None = None
    examples: Examples | None = None
    zoneout: float = 0.0


@dataclass(frozen=True)
class Item:
    """A sequence of the data set, of which stretches are shown as examples: its tokens, or its values."""

    row: int
    name: str
    truth: str
    steps: int
    rate: float | None = None
    names: list[str] | None = None
    packed: Packed | None = None


@dataclass(frozen=True)
class Curve:
    """Influence by steps away, 1 at its largest; ``half`` and ``ninety`` per cent of it lie within so many."""

    name: str
    lags: list[float]
    influence: list[float]
    half: float | None
    ninety: float | None


@dataclass(frozen=True)
class Remembered:
    """How far back the model remembers: curves, the main one first, what their axis counts, and sentences."""

    curves: list[Curve]
    axis: str
    words: list[str]


@dataclass(frozen=True)
class Explorer:
    """Everything that the page shows.

    Attributes:
        title: of the run.
        subtitle: task, data, sequences.
        kind: what a sequence is.
        rows, layers, gallery: see there.
        memory: None where it was not measured, and ``left_out`` says why.
        most: the largest whole number of the packed gates.
        spaced: tokens are words, with spaces between them.
        around: tokens on each side of an example.
        searched: in how many sequences examples were looked for, in words.
        left_out: by part of the page, why it is not there.
    """

    title: str
    subtitle: str
    kind: Kind
    rows: list[Row]
    layers: list[Layer]
    gallery: list[Item]
    memory: Remembered | None
    most: int
    spaced: bool = True
    around: int = 8
    searched: str = ""
    left_out: Mapping[str, str] | None = None


PARTS = ("page.css", "explorer.css"), ("explorer_tools.js", "explorer_figures.js", "explorer.js")


def _plain(value: Any) -> Any:
    """Records as dictionaries, for JSON."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def render(explorer: Explorer) -> str:
    """The page: one HTML file that loads nothing from anywhere, and whose policy forbids it to."""
    files = resources.files("gatewise.reports")
    style, script = ("".join(files.joinpath(name).read_text(encoding="utf-8") for name in names) for names in PARTS)
    return f"""{page.head(f"Inside {explorer.title}", style)}
<body>
<header>
<h1>Inside {page.text(explorer.title)}</h1>
<p class="kind">{page.text(explorer.subtitle)}</p>
<noscript><p>This page needs JavaScript: everything on it is drawn from the values that it holds.</p></noscript>
</header>
{_CONTROLS}
<main>
{_ANSWER}
<div class="inside">
{_sequence(explorer)}
{_heat(explorer)}
{_PANEL}
{_unit(explorer)}
</div>
{_examples(explorer)}
{_memory(explorer)}
{_KEYS}
</main>
<script type="application/json" id="content">{page.script_json(_plain(explorer))}</script>
<script>
(() => {{
"use strict";
{script}}})();
</script>
</body>
</html>
"""


def _choice(name: str, label: str) -> str:
    return f'<label>{label}<select id="{name}"></select></label>'


_CONTROLS = f"""<div class="controls" role="region" aria-label="Sequence and time">
<div class="together"><button type="button" id="before" aria-label="Sequence before">◀</button>\
{_choice("row", "Sequence")}\
<button type="button" id="after" aria-label="Sequence after">▶</button></div>
<label class="scrubber"><span>Time<output id="where" for="step"></output></span>\
<input type="range" id="step" min="0" value="0" step="1"></label>
<div class="together" role="group" aria-label="Zoom">\
<button type="button" id="wider" aria-label="Show more steps">&minus;</button>\
<button type="button" id="closer" aria-label="Show fewer steps">+</button></div>
</div>"""

_ANSWER = """<section aria-label="The answer">
<h2>The answer <span id="right" class="verdict"></span></h2>
<dl id="facts" class="facts"></dl>
<div id="why"></div>
</section>"""

_PANEL = """<aside class="panel-of-unit" aria-labelledby="panel-title">
<h2 id="panel-title"></h2>
<table aria-label="Gates and states of the unit at this step"><tbody id="values"></tbody></table>
<div id="equations"></div>
<div id="unit-notes"></div>
</aside>"""

_KEYS = """<section aria-label="Keys"><h2>Keys</h2>
<p class="keys"><kbd>←</kbd> <kbd>→</kbd> move through time, with <kbd>Shift</kbd> by ten. With the focus on a
picture, <kbd>↑</kbd> <kbd>↓</kbd> move between units, <kbd>Home</kbd> <kbd>End</kbd> to the first and last step,
<kbd>Page up</kbd> <kbd>Page down</kbd> by ten steps. <kbd>+</kbd> <kbd>&minus;</kbd> show fewer or more steps.
<kbd>Tab</kbd> goes from control to control. The address of the page keeps what is shown: send it to show the same to
others.</p></section>"""


def _canvas(name: str, label: str, *, slider: bool = True) -> str:
    role = 'role="slider" tabindex="0" aria-valuemin="0"' if slider else 'role="img"'
    return f'<canvas id="{name}" {role} aria-label="{page.text(label)}"></canvas>'


def _sequence(explorer: Explorer) -> Html:
    return Html(f"""<section class="wide" aria-label="The sequence"><h2>The sequence</h2>
<div class="choices">{_choice("channel", "Channels")}</div>
<p id="passage" class="passage" tabindex="0" aria-label="The text; each token shaded by what it adds to the answer"></p>
<ul id="channels" class="legend" aria-label="Channels"></ul>
<figure>{_canvas("sequence", "The sequence over time; arrow keys move through time")}
<figcaption><span id="whole"></span></figcaption></figure>
<div id="strips"></div>
{_notes(_why_not(explorer, "explanation"))}</section>""")


def _heat(explorer: Explorer) -> Html:
    return Html(f"""<section class="wide" aria-label="Inside a layer"><h2>Gates and memory</h2>
<div class="choices">{_choice("layer", "Layer")}{_choice("direction", "Reads")}{_choice("quantity", "Show")}\
{_choice("order", "Sort units by")}</div>
<figure><figcaption id="layer-title"></figcaption>
<div class="colours" role="img" aria-label="Colours"><span id="bar-low"></span><i id="bar"></i>\
<span id="bar-high"></span>\
<small id="bar-middle"></small></div>
{_canvas("heat", "Heat map, a row a unit; left and right move through time, up and down between units")}
<p id="pointed"></p><figcaption id="thinned"></figcaption></figure>
<figure id="jacobian-figure"><figcaption>How much of a small change of the state one step lets through: the largest
singular value of its Jacobian. Below 1 (dashed) every gradient shrinks in that step; above it some direction may
grow.</figcaption>
{_canvas("jacobian", "Largest singular value of the Jacobian of each step", slider=False)}</figure>
{_notes([*_why_not(explorer, "jacobian"), *_why_not(explorer, "channels"), *_why_not(explorer, "units")])}</section>""")


def _unit(explorer: Explorer) -> Html:
    return Html(f"""<section class="wide" aria-label="One unit"><h2 id="unit-title"></h2>
<ul id="gate-legend" class="legend" aria-label="Gates"></ul>
<ul id="cell-legend" class="legend" aria-label="States"></ul>
<figure>{_canvas("gates", "Gates and states of the unit over time")}</figure></section>""")


def _examples(explorer: Explorer) -> Html:
    return Html(f"""<section id="examples" aria-label="The unit across the data set"><h2 id="examples-title"></h2>
<p>{page.text(explorer.searched)}</p>
<div class="columns"><div><h3>Where its input gate is most open</h3><ol id="examples-input" class="examples"></ol></div>
<div><h3>Where its cell holds most</h3><ol id="examples-cell" class="examples"></ol></div></div>
</section>{_notes(_why_not(explorer, "examples"))}""")


def _memory(explorer: Explorer) -> Html:
    words = explorer.memory.words if explorer.memory else []
    notes = [*words, *_why_not(explorer, "memory")]
    return Html(f"""<section aria-label="How far back it remembers"><h2>How far back it remembers</h2>
{_notes(notes)}
<div class="columns"><figure id="horizon-figure"><figcaption>How strongly the answer depends on what was read so many
steps away, as a share of the strongest. Dotted: within so many lie 50 and 90 % of it.</figcaption>
<ul id="horizon-legend" class="legend" aria-label="Curves"></ul>
{_canvas("horizon", "Influence on the answer by steps ago", slider=False)}</figure>
<figure id="lives-figure"><figcaption>After how many steps half of what a unit's cell holds is forgotten, on average
over the data set (forget gate and zoneout), on a scale of powers of ten. A click chooses a unit.</figcaption>
{_canvas("lives", "Half-lives of the units, sorted", slider=False)}</figure></div></section>""")


def _why_not(explorer: Explorer, part: str) -> list[str]:
    return [explorer.left_out[part]] if explorer.left_out and part in explorer.left_out else []


def _notes(sentences: Sequence[str]) -> Html:
    return page.join(*map(page.paragraph, sentences))
