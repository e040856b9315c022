"""Keys of the window: one table, bound while a viewer lives, and shown wherever they are told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import ref

from napari.utils.notifications import show_error

from napari_asmil.errors import InputError
from napari_asmil.viewer.steps import step_epoch, step_run, step_slide


@dataclass(frozen=True)
class Key:
    """A key, what it does in words, and what it calls with the controller."""

    key: str
    does: str
    act: Callable[[Any], None]


KEYS = (
    Key(",", "epoch before", partial(step_epoch, by=-1)),
    Key(".", "next epoch", partial(step_epoch, by=1)),
    Key("[", "slide before", partial(step_slide, by=-1)),
    Key("]", "next slide", partial(step_slide, by=1)),
    Key(";", "run before, same slide", partial(step_run, by=-1)),
    Key("'", "next run, same slide", partial(step_run, by=1)),
    Key("/", "flip to the map shown before, and back", lambda controller: controller.flip.back()),
)


def bind(viewer: Any, controller: Any) -> None:
    """Bind the keys, but for those that a person or another plugin has bound already."""
    taken = {str(key) for key in viewer.keymap}
    for key in KEYS:
        if key.key not in taken:
            viewer.bind_key(key.key, _presser(key, ref(controller)))


def words(*keys: str) -> str:
    """Keys and what they do, for a tooltip; all where none is named."""
    return "; ".join(f"{key.key}  {key.does}" for key in KEYS if not keys or key.key in keys)


def _presser(key: Key, controller: ref[Any]) -> Callable[[Any], None]:
    """What napari calls; it must have a name, which a partial has not."""

    def press(viewer: Any) -> None:
        there = controller()
        if there is not None:
            try:
                key.act(there)
            except InputError as error:
                show_error(str(error))

    return press
