"""The parts of a page: small functions from data to HTML. Whatever is text becomes HTML through :func:`text` alone."""

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, NewType

from gatewise.reports.style import PALETTE, template

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Html = NewType("Html", str)
"""Text that is HTML already; a type of its own, so that the type checker finds what was not escaped."""


def text(value: object) -> Html:
    """A user's or any other text, escaped."""
    return Html(html.escape(str(value)))


def join(*parts: Html) -> Html:
    """Parts one after another."""
    return Html("\n".join(part for part in parts if part))


def paragraph(sentence: str) -> Html:
    """A paragraph of plain text."""
    return Html(f"<p>{text(sentence)}</p>")


def bullets(sentences: Sequence[str]) -> Html:
    """A list of plain sentences; nothing for none."""
    if not sentences:
        return Html("")
    return Html("<ul>\n" + "\n".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "\n</ul>")


def code(content: str, *, name: str) -> Html:
    """Text to copy, with a button for it; ``name`` says what it is."""
    return Html(
        f'<div class="code"><button type="button" aria-label="Copy {text(name)}">Copy</button>'
        f'<pre tabindex="0" role="region" aria-label="{text(name)}"><code>{text(content)}</code></pre></div>'
    )


def section(title: str, *parts: Html) -> Html:
    """A chapter; the page's menu leads to it."""
    return Html(
        f'<section id="{anchor(title)}" aria-label="{text(title)}">\n<h2>{text(title)}</h2>\n{join(*parts)}\n</section>'
    )


def subsection(title: str, *parts: Html) -> Html:
    """A part of a chapter."""
    return Html(f'<div class="part">\n<h3>{text(title)}</h3>\n{join(*parts)}\n</div>')


def columns(*parts: Html) -> Html:
    """Parts side by side where the page is wide enough."""
    return Html(f'<div class="columns">\n{join(*parts)}\n</div>')


def anchor(title: str) -> str:
    """The id of a chapter."""
    return "-".join(title.lower().split())


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, name: str, texts: int = 1) -> Html:
    """A table whose first column names its rows; it scrolls by itself where it is too wide.

    Args:
        head: names of the columns.
        rows: cells, the first of each being its name.
        name: what the table holds, for those who hear the page.
        texts: how many columns are text and begin at the left; the others are numbers.
    """
    sides = [' class="text" dir="auto"' if place < texts else "" for place in range(len(head))]
    top = "".join(f'<th scope="col"{side}>{text(cell)}</th>' for cell, side in zip(head, sides, strict=True))
    body = "\n".join(
        f'<tr><th scope="row"{sides[0]}>{text(row[0])}</th>'
        + "".join(f"<td{side}>{text(cell)}</td>" for cell, side in zip(row[1:], sides[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(name)}"><table>\n'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def facts(cards: Sequence[tuple[str, str, str]]) -> Html:
    """The numbers of the headline: name, value, and a few words on it."""
    return Html(
        '<dl class="facts">\n'
        + "\n".join(
            f"<div><dt>{text(name)}</dt><dd><strong>{text(value)}</strong><span>{text(note)}</span></dd></div>"
            for name, value, note in cards
        )
        + "\n</dl>"
    )


def chart(figure: "Figure", *, alt: str, min_width: int = 0, max_width: int = 0) -> Html:
    """A figure, drawn by the page's script from its data.

    Args:
        figure: plotly's.
        alt: what is to be seen, for those who hear the page.
        min_width: in pixels; on a narrower screen the figure scrolls. 0 for none.
        max_width: in pixels; 0 for as wide as the page.
    """
    plain = json.loads(figure.to_json())
    plain["layout"].pop("template", None)  # the page's script puts in the light or the dark one
    content = script_json({"data": plain["data"], "layout": plain["layout"]})
    style = f"height:{int(figure.layout.height)}px"
    style += f";min-width:{min_width}px" if min_width else ""
    style += f";max-width:{max_width}px" if max_width else ""
    inner = (
        f'<script type="application/json">{content}</script>'
        f'<div class="chart" role="img" aria-label="{text(alt)}" style="{style}"></div>'
    )
    if not min_width:
        return Html(inner)
    return Html(f'<div class="scroll" tabindex="0" role="region" aria-label="{text(alt)}">{inner}</div>')


def picture(figure: "Figure", *, caption: str, alt: str, min_width: int = 0, max_width: int = 0) -> Html:
    """A figure with the sentence that explains it."""
    drawn = chart(figure, alt=alt, min_width=min_width, max_width=max_width)
    return Html(f"<figure>{drawn}<figcaption>{text(caption)}</figcaption></figure>")


def panel(*figures: "Figure", title: str, note: str, alt: str) -> Html:
    """One of many small drawings: figures below one another, under a title and a note."""
    drawn = join(*(chart(figure, alt=alt) for figure in figures))
    return Html(
        f'<figure class="panel"><figcaption><strong>{text(title)}</strong><span>{text(note)}</span></figcaption>'
        f"{drawn}</figure>"
    )


def panels(drawings: Sequence[Html]) -> Html:
    """Many small drawings in as many columns as there is room for."""
    return Html(f'<div class="panels">\n{join(*drawings)}\n</div>')


def card(*parts: Html, title: str, note: str) -> Html:
    """One of many texts, under a title and a note."""
    head = f"<figcaption><strong>{text(title)}</strong><span>{text(note)}</span></figcaption>"
    return Html(f'<figure class="card">{head}{join(*parts)}</figure>')


def cards(texts: Sequence[Html], *, wide: bool = False) -> Html:
    """Cards, ``wide`` ones below one another, others side by side where the page is wide enough."""
    return Html(f'<div class="cards{" wide" if wide else ""}">\n{join(*texts)}\n</div>')


def answers(parts: Sequence[tuple[str, Html]]) -> Html:
    """Texts that belong together, each with its name: source, answer, reference."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{part}</dd>" for name, part in parts)
    return Html(f'<dl class="answers">{rows}</dl>')


def details(title: str, *parts: Html) -> Html:
    """Parts that are shown when their title is chosen."""
    return Html(f"<details><summary>{text(title)}</summary>\n{join(*parts)}\n</details>")


def scale(steps: Sequence[tuple[float, str]], *, kind: str) -> Html:
    """What shades of a text mean: strength, 0 to 1, and its name."""
    items = "".join(f'<li><span style="--s:{strength:.2f}">{text(name)}</span></li>' for strength, name in steps)
    return Html(f'<ul class="scale {kind}" aria-label="Shades">{items}</ul>')


def legend(names: Sequence[str]) -> Html:
    """Colours of the lines of drawings; none for a single line."""
    if len(names) < 2:
        return Html("")
    items = "".join(
        f'<li><i style="background:{PALETTE[i % len(PALETTE)]}"></i>{text(name)}</li>' for i, name in enumerate(names)
    )
    return Html(f'<ul class="legend" aria-label="Lines">{items}</ul>')


def script_json(value: object) -> str:
    """JSON that cannot end the script it stands in."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def head(title: str, style: str) -> Html:
    """The beginning of a document, until its body. Its policy forbids it to load anything from anywhere.

    Args:
        title: of the browser's window.
        style: CSS.
    """
    return Html(f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<title>{text(title)}</title>
<style>
{style}</style>
</head>""")


def page(title: str, header: Html, chapters: Mapping[str, Html]) -> str:
    """The whole document; it loads nothing from anywhere, and its policy forbids it to.

    Args:
        title: of the browser's window.
        header: what stands at its top, with the ``h1``.
        chapters: title to content, in order.
    """
    from plotly.offline import get_plotlyjs

    files = resources.files("gatewise.reports")
    menu = "".join(f'<a href="#{anchor(name)}">{text(name)}</a>' for name in chapters)
    templates = script_json({"light": template(), "dark": template(dark=True)})
    return f"""{head(title, files.joinpath("page.css").read_text(encoding="utf-8"))}
<body>
<header>
{header}
</header>
<nav aria-label="Chapters">{menu}</nav>
<main>
<noscript><p>The pictures of this page need JavaScript; its numbers and tables do not.</p></noscript>
{join(*(section(name, content) for name, content in chapters.items()))}
</main>
<script type="application/json" id="templates">{templates}</script>
<script>{get_plotlyjs()}</script>
<script>
{files.joinpath("page.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""
