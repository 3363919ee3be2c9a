"""Numbers as a reader wants them."""

import math
from collections.abc import Sequence
from os.path import commonprefix

NOTHING = "—"  # where a number is not defined


def number(value: float, digits: int = 4) -> str:
    """Rounded to so many digits that matter, thousands apart.

    >>> number(0.123456), number(1234567), number(float("nan")), number(-0.00001234)
    ('0.1235', '1,234,567', '—', '-1.234e-05')
    """
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) or 10 ** (digits - 1) <= abs(value) < 1e9:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.{digits}g}"
    return f"{value:.{digits}g}"


def percent(share: float) -> str:
    """A share of 1 as per cent; never rounded to all or to nothing.

    >>> percent(0.9423), percent(1.0), percent(0.99999), percent(0.0), percent(0.0002), percent(float("nan"))
    ('94.2%', '100%', '>99.9%', '0%', '<0.1%', '—')
    """
    if math.isnan(share):
        return NOTHING
    if share in (0, 1):
        return f"{share:.0%}"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def duration(seconds: float) -> str:
    """A time in the two units that matter.

    >>> duration(0.31), duration(12.3), duration(83), duration(7384)
    ('0.3 s', '12 s', '1 min 23 s', '2 h 3 min')
    """
    if math.isnan(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "sequence"), counted(1200, "sequence"), counted(2, "class", "classes")
    ('1 sequence', '1,200 sequences', '2 classes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: list[str], limit: int = 12) -> str:
    """Names in a row, the rest counted.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters; the middle is left out, since names often differ at their ends.

    >>> shorten("a_very_long_class_name_7", 12)
    'a_very…ame_7'
    """
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def told_apart(names: Sequence[str], limit: int) -> list[str]:
    """Names shortened; where some would then look alike, without what all of them begin and end with.

    >>> told_apart(["the gesture number 1 of all", "the gesture number 2 of all"], 10)
    ['…1…', '…2…']
    """
    short = [shorten(name, limit) for name in names]
    if len(set(short)) == len(set(names)):
        return short
    head = len(commonprefix(names))  # noqa: RUF071  character by character is what is wanted
    tail = len(commonprefix([name[head:][::-1] for name in names]))  # noqa: RUF071
    middles = [name[head : len(name) - tail] for name in names]
    return [shorten(f"{'…' if head else ''}{middle}{'…' if tail else ''}", limit) for middle in middles]
