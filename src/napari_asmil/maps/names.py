"""What scores are called in files, and which of several are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_asmil.errors import InputError
from napari_asmil.words import listed

LOGITS = ("logit", "logits", "attention_logit", "attention_logits")
"""Names that say what the numbers are: raw scores before the softmax."""
SCORES = (
    *("attention_scores", "attention_score", "attention", "attention_weights", "attention_weight", "attn", "att"),
    *("scores", "score", *LOGITS),
)


def chosen(there: Sequence[str], all_names: Iterable[str], asked: str, what: str, path: Path) -> str:
    """The name of the scores: what is asked for, else the only one that is `there`.

    Parameters
    ----------
    there : sequence of str
        Names that scores are known by.
    all_names : iterable of str
        Everything that the file holds.
    asked : str
        What the user says; "" for nothing.
    what : str
        What has a name in this file: "array", "column".
    path : Path
        The file, for messages.

    Raises
    ------
    InputError
        When what is asked for is not there, nothing is, or there are several.
    """
    names = list(all_names)
    held = listed(names, 12) or "none that can be read"
    if asked:
        if asked not in names:
            raise InputError(f"It has no {what} {asked!r}.", remedy=f"{what.capitalize()}s: {held}.", path=path)
        return asked
    if not there:
        raise InputError(
            f"It has no {what} of scores that is known; its {what}s are {held}.",
            remedy="Name it attention, or say which it is (--column).",
            path=path,
        )
    if len(there) > 1:
        raise InputError(
            f"It has several {what}s of scores: {listed(there, 12)}.", remedy="Choose one (--column).", path=path
        )
    return there[0]
