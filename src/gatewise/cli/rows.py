"""How commands name sequences: ``--rows 0,5,7``."""

from gatewise.errors import OptionError


def row_numbers(text: str | None) -> list[int] | None:
    """Row numbers as typed.

    >>> row_numbers("0, 5,7"), row_numbers("3"), row_numbers(None)
    ([0, 5, 7], [3], None)

    Raises:
        OptionError: something else.
    """
    if text is None:
        return None
    found = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in found):
        raise OptionError(f'--rows: expected row numbers such as 0,5,7, got "{text}". Rows count from 0.')
    return [int(part) for part in found]
