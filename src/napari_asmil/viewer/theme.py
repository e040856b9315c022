"""Colours of napari's theme for our own widgets."""

from __future__ import annotations

from napari.utils.theme import get_theme

from napari_asmil.viewer.plots.style import Palette


def palette_of(theme: str) -> Palette:
    """Return the colours of plots under a napari theme, given by its name (``viewer.theme``)."""
    colours = get_theme(theme)
    return Palette(
        background=colours.background.as_hex("long"),
        text=colours.text.as_hex("long"),
        grid=colours.secondary.as_hex("long"),
        cursor=colours.text.as_hex("long"),
        dark=colours.type == "dark",
    )


def warning_colour(theme: str) -> str:
    """Colour of warnings in words, ``#rrggbb``: napari's own is too pale to be read on a light ground."""
    colours = get_theme(theme)
    return colours.warning.as_hex("long") if colours.type == "dark" else "#8a5a00"
