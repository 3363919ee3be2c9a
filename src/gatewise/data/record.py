"""Frozen dataclasses from JSON, strictly: what a damaged or foreign file holds is refused, never guessed."""

import json
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def record(kind: type[T], content: dict[str, Any]) -> T:
    """The dataclass ``kind`` with exactly these fields.

    Raises:
        KeyError: a field is missing, or one too many is there.
        pydantic.ValidationError: a field has another type.
    """
    known = {field.name for field in fields(kind) if field.init and field.compare}  # type: ignore[arg-type]
    if unknown := content.keys() - known:
        raise KeyError(f"unknown {', '.join(sorted(unknown))}")
    if absent := known - content.keys():
        raise KeyError(f"no {', '.join(sorted(absent))}")
    return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
