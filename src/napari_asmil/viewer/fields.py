"""Sentences that name an option of the command line, with the field of the dock that it is in the window."""

from __future__ import annotations

import re

FIELDS = {
    "--tile-size": "Tile edge",
    "--slide-mpp": "Pixel size",
    "--values": "Scores are",
    "--column": "Column",
    "--label": "Column",
    "--labels": "Labels",
    "--features": "Features",
    "--role GROUP=tumour": "What the contours count as",
    "--role": "What the contours count as",
    "--cropped": "Counted from the scanned area",
    "--within-cropped": "From the scanned area",
    "--tile-px": "Tile edge",
    "--min-tissue": "Least tissue",
    "--size": "Tile edge",
    "--cover": "Whole image",
    "--within": "Within",
}
_OPTION = re.compile("|".join(sorted(map(re.escape, FIELDS), key=len, reverse=True)))


def in_fields(text: str) -> str:
    """The text with the names of fields in place of options."""
    return _OPTION.sub(lambda found: FIELDS[found[0]], text)
