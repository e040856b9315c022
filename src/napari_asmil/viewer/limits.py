"""Colour limits of the maps: locked over epochs, or of the epoch at hand, and always said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_asmil.errors import InputError
from napari_asmil.runs import MapView
from napari_asmil.viewer.layers import entry, view_of

if TYPE_CHECKING:
    from napari_asmil.runs import LazyMaps

MOST_VALUES = 1e7
"""A derived map is locked over so many epochs, evenly spaced, that it takes as long as this many scores by softmax do:
about a tenth of a second."""

Limits = tuple[float, float]


def locked_limits(view: LazyMaps) -> tuple[Limits, str]:
    """Limits over all epochs where that is known or cheap, over a stated sample otherwise, and the words for it."""
    epochs = view.n_epochs
    if (fixed := _fixed(view)) is not None:
        return fixed, "fixed"
    if _whole(view):
        return view.limits(), f"locked over all {epochs} epochs"
    step = 2
    while epochs > step * _affordable(view):
        step *= 2  # powers of two, so that a growing run asks for the same epochs again
    sample = sorted({*range(0, epochs, step), epochs - 1})
    return _union([view.limits(e) for e in sample]), f"locked over {len(sample)} of {epochs} epochs"


def _fixed(view: LazyMaps) -> Limits | None:
    return view.transform.limits if isinstance(view, MapView) else None


def _whole(view: LazyMaps) -> bool:
    """Whether limits over all epochs are cheap: recorded with the map as stored, or of few epochs."""
    return view.recorded_limits or view.n_epochs <= _affordable(view)


def _affordable(view: LazyMaps) -> int:
    """How many epochs can be derived before a person would notice."""
    return max(1, int(MOST_VALUES / view.cost))


def limits_at(view: LazyMaps, step: int) -> tuple[Limits, str]:
    """Limits of the epoch at a step of the slider (of the last, where there is none), and the words for it."""
    if (fixed := _fixed(view)) is not None:
        return fixed, "fixed"
    try:
        epoch = view.epoch_at(step)
    except InputError:
        epoch = view.n_epochs - 1
    return view.limits(epoch), "of this epoch alone"


def apply(layers: list[Any], epoch: int, *, locked: bool, shared: bool = False, unless_by_hand: bool = False) -> None:
    """Give map layers their limits.

    Parameters
    ----------
    layers : list of layers
        Of maps.
    epoch : int
        The epoch at hand.
    locked : bool
        Over epochs, or of this epoch alone.
    shared : bool
        The same for all `layers`, so that one colour is one number.
    unless_by_hand : bool
        Leave what a person set in the layer controls.
    """
    views = [view_of(layer) for layer in layers]
    found = [locked_limits(view) if locked else limits_at(view, epoch) for view in views]
    if shared and len({view.transform_name for view in views}) == 1:
        both = _union([limits for limits, _ in found])
        found = [(both, f"{words}, shared by all panes") for _, words in found]
    for layer, (limits, words) in zip(layers, found, strict=True):
        if not (unless_by_hand and by_hand(layer)):
            if tuple(layer.contrast_limits) != limits:  # the colour bar is drawn anew even for the same ones
                layer.contrast_limits = limits
            entry(layer).update(limits=limits, limits_words=words)


def by_hand(layer: Any) -> bool:
    """Whether a person has changed the limits since we gave them."""
    given = entry(layer).get("limits")
    return given is not None and tuple(layer.contrast_limits) != tuple(given)


def words(layer: Any) -> str:
    """How the limits of a map layer came about."""
    return "set by hand" if by_hand(layer) else str(entry(layer).get("limits_words", ""))


def as_rendered(layer: Any, *, locked: bool) -> Limits | str | None:
    """The limits of a map layer as `render.export_overlay` takes them, so that it names them in the same way."""
    if not by_hand(layer):
        if not locked:
            return "epoch"
        if _whole(view_of(layer)):
            return None
    low, high = layer.contrast_limits
    return float(low), float(high)


def _union(ranges: list[Limits]) -> Limits:
    return min(low for low, _ in ranges), max(high for _, high in ranges)
