"""An experiment's page: one HTML file, in the house style of the reports."""

import math

from gatewise.experiments import figures
from gatewise.experiments.drawing import curves, gradients
from gatewise.experiments.learning import RECENT, RIGHT, TEST
from gatewise.experiments.models import MODELS
from gatewise.experiments.results import Results, Summary
from gatewise.reports import page
from gatewise.reports.page import Html
from gatewise.reports.words import NOTHING, counted, duration, number, percent

HEAD = ("model", "T", "solved", "95 % interval", "steps", "sequences", "wrong", "error", "a seed", "parameters")


def experiment_page(results: Results, *, command: str = "") -> str:
    """The whole page.

    Args:
        results: with one finished network at least.
        command: that makes it again; "" leaves it out.
    """
    problem = results.problem
    learnt = any(each.steps for each in results.finished)  # else gradients at the start are all there is
    chapters = {
        **({"Who solves it": _success(results)} if learnt else {}),
        **({"Learning": page.join(*(_curves(results, length) for length in results.lengths))} if learnt else {}),
        "Gradients": page.join(
            page.paragraph(
                "How strongly the answer depends on what was k steps ago: norms of exact gradients, computed in "
                "float64 on sequences of exactly T steps. Lines: median of the seeds; bands: lowest to highest. A line "
                "that ends early has fallen beneath what float64 holds, 1e-308."
            ),
            *(_gradients(results, length) for length in results.lengths),
        ),
        "How it was made": _method(results, command),
    }
    return page.page(f"{problem.title} - gatewise", _header(results), chapters)


def _header(results: Results) -> Html:
    problem = results.problem
    number_of = f"task {problem.variant} of " if problem.variant else ""
    source = (
        "after Arjovsky, Shah & Bengio 2016"
        if problem.name == "copy"
        else f"{number_of}Hochreiter & Schmidhuber 1997, Long short-term memory"
    )
    cards = []
    longest = results.lengths[-1]
    for cell in results.summaries():
        if cell.length == longest and not math.isnan(cell.wrong):
            note = "solved" + ("" if math.isnan(cell.steps) else f", after {number(cell.steps)} steps")
            cards.append((MODELS[cell.model].title, f"{cell.solved} of {cell.seeds}", f"{note}, T = {longest:,}"))
    headline = page.facts(cards) if cards else Html("")
    return Html(
        f'<h1>{page.text(problem.title)}</h1>\n<p class="kind">{page.text(source)}</p>\n'
        f"{page.paragraph(f'{problem.task} {problem.criterion}')}\n{headline}"
    )


def _success(results: Results) -> Html:
    summaries = results.summaries()
    told = "; ".join(f"{MODELS[s.model].title}, T = {s.length:,}: {solved(s)}" for s in summaries)
    return page.join(
        page.picture(
            figures.success(summaries),
            caption="Share of the seeds that solved it, with 95 % intervals after Wilson: five of five still leave "
            "room down to 57 %.",
            alt=f"Seeds that solved it. {told}.",
        ),
        page.table(HEAD, [row(each) for each in summaries], name="Results by length and model"),
        page.paragraph(
            f"Steps and sequences: median of the seeds that solved it. Wrong and error: of {TEST:,} fresh sequences, "
            "median of all seeds. A seed: its time by the clock, tests included. Not finished is a seed whose "
            "processor time ran out: it is left out of everything else."
        ),
    )


def row(each: Summary) -> list[str]:
    """A summary in words, as :data:`HEAD` names the columns."""
    return [
        MODELS[each.model].title,
        f"{each.length:,}",
        solved(each),
        NOTHING if math.isnan(each.wrong) else f"{each.band.low:.0%} to {each.band.high:.0%}",
        number(each.steps),
        number(each.sequences),
        percent(each.wrong),
        number(each.error, 2),
        duration(each.seconds),
        f"{each.parameters:,}",
    ]


def solved(each: Summary) -> str:
    """How many of how many seeds, and how many were not finished.

    >>> from gatewise.experiments.results import wilson
    >>> solved(Summary("lstm", 100, 3, 1, 2, wilson(2, 3), 5, 5, 0.1, 0.1, 1, 1, 7))
    '2 of 3, 1 not finished'
    """
    told = [] if math.isnan(each.wrong) else [f"{each.solved} of {each.seeds}"]
    return ", ".join([*told, *([f"{each.unfinished} not finished"] if each.unfinished else [])]) or NOTHING


def _curves(results: Results, length: int) -> Html:
    right, loss = curves(results, length), curves(results, length, "loss")
    if not right:
        return Html("")
    told = "; ".join(f"{line.title} ends at {percent(line.y[-1])}" for line in right)
    return page.subsection(
        f"T = {length:,}",
        page.columns(
            page.picture(
                figures.lines(right, x="steps", y="sequences that are right", share=True),
                caption="Share of fresh sequences that were right before the network learnt from them. Median of the "
                "seeds, and their range.",
                alt=f"Share right over steps at T = {length:,}. {told}.",
            ),
            page.picture(
                figures.lines(
                    loss, x="steps", y="loss", log=True, reference=(results.problem.blind(length), "remembers nothing")
                ),
                caption="The same, as loss; the dashed line is the best answer that remembers nothing.",
                alt=f"Loss over steps at T = {length:,}.",
            ),
        ),
    )


def _gradients(results: Results, length: int) -> Html:
    words = {
        "state, start": ("Before learning: the state k steps ago", "|∂h(T)/∂s(T-k)|"),
        "inputs, start": ("Before learning: the input k steps ago", "|∂L/∂x(T-k)|"),
        "inputs, after": ("After learning: the input k steps ago", "|∂L/∂x(T-k)|"),
    }
    pictures = []
    for which, (caption, y) in words.items():
        drawn = gradients(results, length, which)
        if drawn:
            told = "; ".join(f"{line.title} {line.y[-1]:.0e}" for line in drawn)
            pictures.append(
                page.picture(
                    figures.lines(drawn, x="lag k, steps", y=y, log=True),
                    caption=f"{caption}.",
                    alt=f"{caption}, T = {length:,}; at the largest lag: {told}.",
                )
            )
    return page.subsection(f"T = {length:,}", page.columns(*pictures))


def _method(results: Results, command: str) -> Html:
    settings, problem = results.settings, results.problem
    sentences = [
        f"One recurrent layer of {counted(settings.hidden_size, 'unit')} and a linear answer; input weights Xavier, "
        "recurrent ones orthogonal; the models differ in their equations and in the biases of their gates.",
        f"Adam at {settings.lr:g}, {counted(settings.batch_size, 'sequence')} a step, gradients clipped at "
        f"{settings.clip:g}; fresh sequences at every step, the same for every model of a seed.",
        f"Solved: {RIGHT:.0%} of the last {RECENT:,} sequences right before they were learnt from, then {RIGHT:.0%} of "
        f"{TEST:,} fresh ones. A network stops there, or after {counted(settings.steps, 'step')}, or "
        f"{settings.minutes:g} minutes of processor time: then it is not finished, and left out of shares and lines.",
        f"{problem.criterion}",
    ]
    for end, said in (("diverged", "Diverged, and counted as not solved"), ("time", "Not finished")):
        if many := sum(each.end == end for each in results.finished):
            sentences.append(f"{said}: {many}.")
    again = page.code(command, name="the command") if command else Html("")
    return page.join(page.bullets(sentences), again)
