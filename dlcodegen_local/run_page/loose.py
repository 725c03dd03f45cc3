"""Values of a JSON text that nobody vouches for, as the type that is wanted, or as nothing.

A record may be another version's or a stranger's: what is not of the type is left out, never an error.
"""

import math
from collections.abc import Mapping
from typing import Any

_MAX_ITEMS = 2000


def text_of(value: object) -> str:
    """Return a text, "" for anything else but a number."""
    if isinstance(value, str):
        return value
    return f"{value}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def table_of(value: object) -> Mapping[str, Any]:
    """Return an object of JSON, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: object) -> list[Any]:
    """Return a list of bounded length, an empty one for anything else."""
    return list(value[:_MAX_ITEMS]) if isinstance(value, list | tuple) else []


def texts_of(value: object) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(item for item in list_of(value) if isinstance(item, str))


def text_table_of(value: object) -> dict[str, str]:
    """Return an object whose values are texts; others are left out."""
    pairs = list(table_of(value).items())[:_MAX_ITEMS]
    return {str(key): item for key, item in pairs if isinstance(item, str)}


def number_of(value: object) -> float | None:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def count_of(value: object) -> int | None:
    """Return a whole number from 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def numbers_of(value: object) -> tuple[float, ...]:
    """Return the finite numbers of a list, to four digits: what is drawn is no finer."""
    found = (number_of(item) for item in list_of(value))
    return tuple(float(f"{number:.4g}") for number in found if number is not None)


def number_table_of(value: object) -> dict[str, float]:
    """Return an object whose values are finite numbers, to four digits."""
    found = {str(key): number_of(item) for key, item in list(table_of(value).items())[:_MAX_ITEMS]}
    return {key: float(f"{number:.4g}") for key, number in found.items() if number is not None}
