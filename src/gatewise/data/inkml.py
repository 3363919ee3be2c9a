"""InkML: the W3C's format of digital ink, as far as handwriting uses it."""

import re
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from gatewise.data.files import load_bytes
from gatewise.data.strokes import as_drawing
from gatewise.errors import DataError

TRANSCRIPTS = ("truth", "transcription", "text")
CLASSES = ("label", "class")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class Ink(NamedTuple):
    """A drawing ``[T, 3]``, and what its annotations say: a transcript, a class, a name; each may be None."""

    points: np.ndarray
    text: str | None = None
    label: str | None = None
    name: str | None = None


def read_inkml(path: Path) -> list[Ink]:
    """The drawings of a file: one, or one for each ``traceGroup`` below the root that has an annotation of its own.

    A trace is points separated by commas, their channels by white space, decimal; which channel is X and which Y is
    told by ``traceFormat``, without it they are the first two. Y is downwards, as the standard has it. Traces of
    ``type="penUp"`` are left out.

    Args:
        path: of the file; ``.gz`` and the like are unpacked.

    Returns:
        The drawings in the order of the file.

    Raises:
        DataError: no XML, entities (which are never expanded), another root than ``ink``, no points, or points that
            are not decimal numbers.

    References:
        Ink Markup Language (InkML), W3C Recommendation, 20 September 2011.
    """
    source = str(path)
    root = _parse(load_bytes(path), source)
    if _tag(root) != "ink":
        raise DataError(f"{source}: expected InkML, which begins with <ink>, got <{_tag(root)}>. Convert it.")
    axes = _axes(root, source)
    groups = [child for child in root if _tag(child) == "traceGroup" and any(_annotations(child)[:2])]
    if groups and not any(_annotations(root)[:2]):
        return [_ink(group, axes, f"{source}, traceGroup {i}") for i, group in enumerate(groups)]
    return [_ink(root, axes, source)]


def _parse(content: bytes, source: str) -> ElementTree.Element:
    def refuse(*declaration: Any) -> None:
        raise DataError(f'{source}: expected InkML without entities, got "{declaration[0]}". Take the declaration out.')

    guard = expat.ParserCreate()
    guard.EntityDeclHandler = refuse  # a few of them, each made of many of the one before, fill any memory
    try:
        guard.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source}: expected InkML, got something else ({error}). Export it again.") from error


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _axes(root: ElementTree.Element, source: str) -> tuple[int, int]:
    """Places of X and Y among the channels of a point."""
    for form in root.iter():
        if _tag(form) == "traceFormat":
            names = [channel.get("name", "").upper() for channel in form if _tag(channel) == "channel"]
            if "X" not in names or "Y" not in names:
                raise DataError(f"{source}: expected channels X and Y, got {', '.join(names) or 'none'}. Export these.")
            return names.index("X"), names.index("Y")
    return 0, 1


def _annotations(element: ElementTree.Element) -> tuple[str | None, str | None, str | None]:
    """Transcript, class and name that the element itself is annotated with."""
    said = {
        child.get("type", "").lower(): (child.text or "").strip() for child in element if _tag(child) == "annotation"
    }

    def first(names: tuple[str, ...]) -> str | None:
        return next((said[name] for name in names if said.get(name)), None)

    return first(TRANSCRIPTS), first(CLASSES), first(("ui", "id", "name"))


def _ink(element: ElementTree.Element, axes: tuple[int, int], where: str) -> Ink:
    strokes = []
    traces = (child for child in element.iter() if _tag(child) == "trace" and child.get("type") != "penUp")
    for number, trace in enumerate(traces):
        points = _points(trace.text or "", axes, f"{where}, trace {number}")
        if len(points):
            lifted = np.zeros((len(points), 1))
            lifted[-1] = 1
            strokes.append(np.concatenate([points, lifted], 1))
    if not strokes:
        raise DataError(f"{where}: expected traces with points, got none. Leave it out.")
    return Ink(as_drawing(np.concatenate(strokes)), *_annotations(element))


def _points(text: str, axes: tuple[int, int], where: str) -> np.ndarray:
    """``[T, 2]`` float64."""
    points = []
    for point in text.split(","):
        if not point.strip():
            continue
        numbers = _NUMBER.findall(point)
        rest = _NUMBER.sub("", point).strip()
        # T and F are values of channels that are true or false.
        if len(numbers) <= max(axes) or rest.strip("TF \t\r\n"):
            raise DataError(
                f'{where}: expected points of decimal X and Y, got "{point.strip()[:40]}". '
                "Export it without differences between points, and without hexadecimal numbers."
            )
        points.append((float(numbers[axes[0]]), float(numbers[axes[1]])))
    return np.array(points, dtype=np.float64).reshape(-1, 2)
