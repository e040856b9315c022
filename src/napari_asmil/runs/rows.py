"""Names of score rows such as "head 3 / token 1", and the groups that share a part of their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

APART = " / "


def groups(names: Sequence[str]) -> tuple[str, ...]:
    """Parts that several rows share, but not all: "head 3", "token 1"; none where names have one part."""
    if not any(APART in name for name in names):
        return ()
    shared = Counter((at, part) for name in names for at, part in enumerate(name.split(APART)))
    found = sorted((at, first) for first, ((at, _), count) in enumerate(shared.items()) if 1 < count < len(names))
    parts = [part for _, part in shared]
    return tuple(parts[first] for _, first in found)


def rows_called(names: Sequence[str], name: str) -> list[int]:
    """Places of the row of this name, or of the rows that share it as a part; none where there is no such row."""
    if name in names:
        return [list(names).index(name)]
    return [at for at, row in enumerate(names) if name in row.split(APART)]
