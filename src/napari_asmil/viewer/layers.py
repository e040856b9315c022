"""The layers of a window: one slide, one map over epochs, one set of contours.

World coordinates are level-0 px. No Shapes layer is used: removing one can crash napari 0.9.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Vectors
from napari.utils.colormaps import Colormap

from napari_asmil.render.colormaps import lookup_table

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs import LazyMaps, Run
    from napari_asmil.slides import Slide

KEY = "napari-asmil"
"""Our entry in a layer's metadata."""
KINDS = ("slide", "map", "contours")
"""What there is one of, and all of a comparison's panes have."""
DIFFERENCE, INSTEAD = "difference", "instead"
"""Kinds of layers that are derived from several maps."""
BORDER = "border"
"""The kind of the line between two maps that are swiped."""
MARKS = "marks"
"""The kind of the layer that marks tiles."""
COLORMAP = "viridis"
OPACITY = 0.6
CONTOUR_COLOR = "#00e5ff"
CONTOUR_WIDTH = 2.0
"""In screen px, whatever the zoom."""

FONT_SIZE = 8
"""Of what we write on the canvas."""
COLOURS = "colours: "
"""Begins our words on the canvas."""
BAR_SIZE = (16.0, 120.0)
"""Width and height of the colour bar on the canvas in screen px."""

LayerData = tuple[Any, dict[str, Any], str]


def slide_name(path: Path) -> str:
    """How a slide file is called: without its suffix, and without the ``.ome`` before it."""
    return path.stem.removesuffix(".ome")


def entry(layer: Any) -> dict[str, Any]:
    """What a layer of ours says about itself; empty for a stranger's layer."""
    found: dict[str, Any] = layer.metadata.get(KEY, {})
    return found


def epoch_axis(viewer: Any) -> int | None:
    """The dims axis of the epochs, None where nothing has epochs."""
    return viewer.dims.ndim - 3 if viewer.dims.ndim >= 3 else None


def slide_data(slide: Slide, *, dask: bool = False) -> LayerData:
    """The picture of a slide, multiscale, through the bounded tile cache or through dask."""
    levels = [slide.dask(level) for level in range(len(slide.levels))] if dask else list(slide.levels)
    return (
        levels,
        {
            "name": slide_name(slide.path),
            "rgb": True,
            "multiscale": True,
            "contrast_limits": (0, 255),
            "cache": False,
            "axis_labels": ("y", "x"),
            "units": ("pixel", "pixel"),
            "metadata": {KEY: {"kind": "slide", "slide": slide}},
        },
        "image",
    )


def colours(name: str) -> Colormap:
    """A colour map that napari may not have."""
    return Colormap(lookup_table(name) / 255, name=name)


def map_data(view: LazyMaps, kind: str = "map") -> LayerData:
    """A map over epochs: a raster pixel is a tile or a part of one, transparent where there is none."""
    return (
        view,
        {
            **_map_facts(view, kind),
            "rgb": False,
            "multiscale": False,
            "contrast_limits": view.limits(view.n_epochs - 1),
            "colormap": COLORMAP,
            "opacity": OPACITY,
            "cache": False,
            "axis_labels": ("epoch", "y", "x"),
            "units": ("pixel", "pixel", "pixel"),
        },
        "image",
    )


def _map_facts(view: LazyMaps, kind: str) -> dict[str, Any]:
    """What changes when a map layer is given another view."""
    return {
        "scale": (1, view.raster.pixel, view.raster.pixel),
        "translate": (0, *view.raster.origin),
        "name": view.name,
        "metadata": {KEY: {"kind": kind, "run": str(view.runs[0].path), "label": view.label}},
    }


def contours_data(contours: Contours) -> LayerData:
    """The outlines as line segments: fast to draw, and safe to remove."""
    return (
        contours.segments(),
        {
            "ndim": 2,
            "name": "contours" if contours.path is None else f"{slide_name(contours.path)} contours",
            "vector_style": "line",
            "edge_color": CONTOUR_COLOR,
            "edge_width": CONTOUR_WIDTH,
            "opacity": 1.0,
            "axis_labels": ("y", "x"),
            "units": ("pixel", "pixel"),
            "metadata": {KEY: {"kind": "contours", "contours": contours}},
        },
        "vectors",
    )


def marks_data(segments: Any, zoom: float) -> LayerData:
    """Line segments that mark tiles, as wide on the screen as contours."""
    return (
        segments,
        {
            "ndim": 2,
            "name": MARKS,
            "vector_style": "line",
            "edge_width": CONTOUR_WIDTH / zoom,
            "opacity": 1.0,
            "axis_labels": ("y", "x"),
            "units": ("pixel", "pixel"),
            "metadata": {KEY: {"kind": MARKS}},
        },
        "vectors",
    )


def show_colour_bar(layer: Any, visible: bool = True) -> None:
    """Show the colour bar of a map on the canvas."""
    layer.colorbar.font_size = FONT_SIZE
    layer.colorbar.size = BAR_SIZE
    layer.colorbar.visible = visible


def name_colours(viewer: Any) -> None:
    """Write on the canvas what its colour bars count, where a person has not written words of their own."""
    words, bars = viewer.canvas.overlays.text, [la for la in maps_of(viewer) if la.visible and la.colorbar.visible]
    if words.text == "" or words.text.startswith(COLOURS):
        said = dict.fromkeys(f"{layer.data.quantity} ({layer.data.unit})" for layer in bars)
        words.text = f"{COLOURS}{'; '.join(said)}" if bars else ""
        words.font_size, words.position = FONT_SIZE, "bottom_right"
        words.visible = bool(bars)


def make(data: LayerData, **changes: Any) -> Any:
    """A layer from its data, with some properties changed."""
    what, properties, kind = data
    return {"image": Image, "vectors": Vectors}[kind](what, **{**properties, **changes})


def redraw(layer: Any) -> None:
    """Show a map layer's view again after it was given another source or transform; nothing is copied."""
    layer.refresh(extent=False)
    facts = _map_facts(layer.data, entry(layer)["kind"])
    layer.name = pane_name(entry(layer).get("cell"), facts["name"])
    entry(layer).update(facts["metadata"][KEY])


def pane_name(cell: int | None, name: str) -> str:
    """The name of a layer, with the number of its pane where it is in one."""
    return name if cell is None else f"{cell + 1} {name}"


def show_view(layer: Any, view: LazyMaps) -> None:
    """Show another view in a map layer, which keeps its colours and opacity."""
    kind = entry(layer)["kind"]
    layer.data = view
    for name, value in _map_facts(view, kind).items():
        setattr(layer, name, value)


def maps_of(viewer: Any, run: Run | None = None) -> list[Any]:
    """Every layer of maps and of what is derived from them, in a comparison too; of `run` alone where it is given."""
    found = [layer for layer in viewer.layers if entry(layer).get("kind") in ("map", DIFFERENCE, INSTEAD)]
    return found if run is None else [layer for layer in found if run in layer.data.runs]


def grow(shown: list[Any]) -> None:
    """Let map layers reach the newest committed epoch of their run."""
    for layer in shown:
        view = layer.data
        view.refresh()
        layer.data = view


def keep_contours_thin(viewer: Any) -> None:
    """Give contours and marks their width in screen px at the present zoom; small changes of zoom are let pass."""
    width = CONTOUR_WIDTH / viewer.scene.camera.zoom
    for layer in viewer.layers:
        if entry(layer).get("kind") in ("contours", MARKS, BORDER) and not 0.7 < layer.edge_width / width < 1.4:
            layer.edge_width = width
