"""The one family of errors a user is meant to read."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Something given to us cannot be used; the message is a sentence for the user.

    Parameters
    ----------
    what : str
        What is wrong, and why it stops us.
    remedy : str, optional
        What the user can do about it.
    path : path-like, optional
        The file or folder concerned; named first in the message.

    Attributes
    ----------
    sentence : str
        The message without the path, the same for all files that have the same fault.
    """

    def __init__(self, what: str, *, remedy: str = "", path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.sentence = what + (f" {remedy}" if remedy else "")
        super().__init__(self.sentence if path is None else f"{path}: {self.sentence}")
