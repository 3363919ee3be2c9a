"""Units that follow a text, each shown on the text that it was measured on."""

import numpy as np

from gatewise.inspection.layers import unit_name
from gatewise.inspection.probes import Probe, Probes
from gatewise.reports import page
from gatewise.reports.attributions import text
from gatewise.reports.page import Html
from gatewise.reports.words import counted

FIGURES = {"yes-no": "AUC", "number": "r", "class": "r"}


def page_of(found: Probes, *, title: str) -> str:
    """A page: what was found for each property, and each unit's cell state along a passage.

    Args:
        found: from :meth:`gatewise.Run.probe`.
        title: of the page, such as the run's name.
    """
    what = "tokens" if found.passage else "sequences"
    head = f"The best of {counted(found.units, 'unit')} for each property, by {found.tokens:,} {what}"
    header = page.join(Html(f"<h1>{page.text(title)}: units</h1>"), Html(f'<p class="kind">{page.text(head)}</p>'))
    shown = [one for one in found.probes if one.cells]
    chapters = {"Found": page.join(_table(found), page.paragraph(HOW), page.bullets(found.notes))}
    if shown and found.passage:
        passages = [page.subsection(_title(one), _passage(found, one)) for one in shown]
        chapters["On the text"] = page.join(page.paragraph(READ), *passages)
    return page.page(f"{title}: units", header, chapters)


HOW = (
    "Each unit was chosen on one half of the data and measured on the other. Figures are correlations r with its cell "
    "state, and for yes and no areas under the ROC curve, where 0.5 knows nothing and 0 is as good as 1. Chance is how "
    "far from nothing 99 of 100 turns of one series against the other stay."
)
READ = (
    "A passage that the units were not chosen on. Orange: the cell state is above its mean here, blue: below; the "
    "stronger, the further."
)


def _table(found: Probes) -> Html:
    rows = []
    for one in found.probes:
        if one.unit is None:
            rows.append([one.name, one.verdict, "", "", "", ""])
            continue
        middle = "0.5 " if one.kind == "yes-no" else ""
        figures = [f"{FIGURES[one.kind]} {figure:.2f}" for figure in (one.selected, one.held_out)]
        rows.append([one.name, one.verdict, _where(one), *figures, f"{middle}± {one.chance:.2f}"])
    head = ["Property", "Verdict", "Best unit", "Where chosen", "Elsewhere", "Chance"]
    return page.table(head, rows, name="Units by property", texts=3)


def _passage(found: Probes, one: Probe) -> Html:
    cells = np.array(one.cells)
    return text(found.passage[: len(cells)], cells - cells.mean(), spaced=False)


def _title(one: Probe) -> str:
    return f"{one.name.capitalize()}: {_where(one)}, {FIGURES[one.kind]} {one.held_out:.2f} ({one.verdict})"


def _where(one: Probe) -> str:
    assert one.unit is not None
    return unit_name(*one.unit)
