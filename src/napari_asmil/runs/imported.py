"""What is said of a run that was made from a file of attention from elsewhere."""

from __future__ import annotations

UNKNOWN_SCORES = (
    "The file this map is from holds probabilities: the scores before the normaliser are not known, so only the map"
    " as stored can be shown."
)
NO_ATTENTION = {
    "percentiles": "Percentiles as stored: mass, entropy and effective tiles mean nothing for them.",
    "scaled": "Values from 0 to 1 as stored, each tile on its own: mass, entropy and effective tiles mean nothing for"
    " them.",
}
"""By what the file holds."""
NO_NUMBER = "means nothing for these values"
"""In place of what only attention has."""
