"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: "1 bag", "2 bags"."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    given = list(names)
    more = f" and {len(given) - most} more" if len(given) > most else ""
    return ", ".join(given[:most]) + more
