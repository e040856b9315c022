"""The layers of a window: one slide, one map over epochs, one set of contours.

World coordinates are level-0 px. No Shapes layer is used: removing one can crash napari 0.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Surface, Vectors
from napari.utils.colormaps import Colormap
from napari.utils.colormaps.standardize_color import transform_color

from napari_asmil.errors import InputError
from napari_asmil.geometry import TileQuads
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.slides import slide_name as slide_name
from napari_asmil.viewer.corners import Corners

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
FOOTPRINT = "footprint"
"""The kind of the layer that shows where the tiles of a bag lie."""
TISSUE = "tissue"
"""The kind of the layer that shows what tiles will be laid on."""
LINES = ("contours", MARKS, FOOTPRINT, TISSUE, BORDER)
"""Kinds drawn as lines of the same width on the screen at every zoom."""
COLORMAP = "viridis"
OPACITY = 0.6
CONTOUR_COLOR = "#00e5ff"
ROLE_COLORS = {"tumour": CONTOUR_COLOR, "exclude": "#ffb000", "ignore": "#909090", "undecided": "#909090"}
"""Of contours by what their group counts as; told apart without red and green, and by their brightness."""
CONTOUR_WIDTH = 2.0
"""In screen px, whatever the zoom."""

MAP_AXES = ("epoch", "y", "x")
FONT_SIZE = 8
"""Of what we write on the canvas."""
COLOURS = "colours: "
"""Begins our words on the canvas."""
BAR_SIZE = (16.0, 120.0)
"""Width and height of the colour bar on the canvas in screen px."""

LayerData = tuple[Any, dict[str, Any], str]


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


def check_has_epochs(run: Run) -> None:
    """Refuse a run of which nothing is committed yet."""
    if run.n_epochs == 0:
        raise InputError(
            "No epoch of this run is committed yet.", remedy="Its map appears with the first.", path=run.path
        )


def map_data(view: LazyMaps, kind: str = "map") -> LayerData:
    """A map over epochs: a raster pixel is a tile or a part of one, transparent where there is none.

    Tiles that share no raster are rectangles of a surface; `name_axes` is for its layer, whose maker knows two alone.
    """
    looks = {
        **_map_facts(view, kind),
        "contrast_limits": view.limits(view.n_epochs - 1),
        "colormap": COLORMAP,
        "opacity": OPACITY,
        "cache": False,
    }
    if isinstance(view.drawing, TileQuads):
        return _surface(view, view.drawing), {**looks, "shading": "none"}, "surface"
    flat = {"rgb": False, "multiscale": False, "axis_labels": MAP_AXES, "units": ("pixel",) * 3}
    return view, {**looks, **flat}, "image"


def _surface(view: LazyMaps, quads: TileQuads) -> tuple[Any, ...]:
    """What napari's Surface is of: places in world coordinates, triangles, values."""
    return quads.vertices, quads.faces, Corners(view)


def _map_facts(view: LazyMaps, kind: str) -> dict[str, Any]:
    """What changes when a map layer is given another view."""
    places = {}
    if not isinstance(view.drawing, TileQuads):
        places = {"scale": (1, view.raster.pixel, view.raster.pixel), "translate": (0, *view.raster.origin)}
    return {
        **places,
        "name": view.name,
        "metadata": {KEY: {"kind": kind, "run": str(view.runs[0].path), "label": view.label}},
    }


def name_axes(layer: Any) -> None:
    """Name the axes of a map layer."""
    if tuple(layer.axis_labels) != MAP_AXES:
        layer.axis_labels = MAP_AXES


def view_of(layer: Any) -> Any:
    """What a map layer shows: its `LazyMaps`."""
    return layer.vertex_values.view if isinstance(layer, Surface) else layer.data


def contours_data(contours: Contours) -> LayerData:
    """The outlines as line segments: fast to draw, and safe to remove."""
    return (
        contours.segments(),
        {
            "ndim": 2,
            "name": "contours" if contours.path is None else f"{slide_name(contours.path)} contours",
            "vector_style": "line",
            "edge_color": contour_colors(contours),
            "edge_width": CONTOUR_WIDTH,
            "opacity": 1.0,
            "axis_labels": ("y", "x"),
            "units": ("pixel", "pixel"),
            "metadata": {KEY: {"kind": "contours", "contours": contours}},
        },
        "vectors",
    )


def contour_colors(contours: Contours) -> Any:
    """The colour of every segment, float (S, 4), or the one that all have."""
    roles, at = np.unique(contours.segment_roles(), return_inverse=True)
    if len(roles) < 2:
        return ROLE_COLORS[str(roles[0])] if len(roles) else CONTOUR_COLOR
    return transform_color([ROLE_COLORS[str(role)] for role in roles])[at]


def redraw_contours(viewer: Any, before: Contours, contours: Contours) -> None:
    """Show contours, in every layer that draws them, with other roles or at another place."""
    for layer in viewer.layers:
        if entry(layer).get("contours") is before:
            layer.data = contours.segments()
            layer.edge_color = contour_colors(contours)
            entry(layer)["contours"] = contours


def lines_data(segments: Any, zoom: float, kind: str = MARKS) -> LayerData:
    """Line segments that mark tiles, as wide on the screen as contours."""
    return (
        segments,
        {
            "ndim": 2,
            "name": kind,
            "vector_style": "line",
            "edge_width": CONTOUR_WIDTH / zoom,
            "opacity": 1.0,
            "axis_labels": ("y", "x"),
            "units": ("pixel", "pixel"),
            "metadata": {KEY: {"kind": kind}},
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
        said = dict.fromkeys(f"{view.quantity} ({view.unit})" for view in map(view_of, bars))
        words.text = f"{COLOURS}{'; '.join(said)}" if bars else ""
        words.font_size, words.position = FONT_SIZE, "bottom_right"
        words.visible = bool(bars)


def make(data: LayerData, **changes: Any) -> Any:
    """A layer from its data, with some properties changed."""
    what, properties, kind = data
    made = {"image": Image, "surface": Surface, "vectors": Vectors}[kind](what, **{**properties, **changes})
    if kind == "surface":
        name_axes(made)
    return made


def redraw(layer: Any) -> None:
    """Show a map layer's view again after it was given another source or transform; nothing is copied."""
    layer.refresh(extent=False)
    facts = _map_facts(view_of(layer), entry(layer)["kind"])
    layer.name = pane_name(entry(layer).get("cell"), facts["name"])
    entry(layer).update(facts["metadata"][KEY])


def pane_name(cell: int | None, name: str) -> str:
    """The name of a layer, with the number of its pane where it is in one."""
    return name if cell is None else f"{cell + 1} {name}"


def fits(layer: Any, view: LazyMaps) -> bool:
    """Whether a map layer can be given a view: an image one on a raster, a surface one of rectangles."""
    return isinstance(layer, Surface) == isinstance(view.drawing, TileQuads)


def show_view(layer: Any, view: LazyMaps) -> None:
    """Show another view, one that fits, in a map layer, which keeps its colours and opacity."""
    kind = entry(layer)["kind"]
    layer.data = _surface(view, view.drawing) if isinstance(view.drawing, TileQuads) else view
    for name, value in _map_facts(view, kind).items():
        setattr(layer, name, value)


def like(layer: Any, view: LazyMaps) -> Any:
    """A layer that shows a view with the looks of a map layer which the view does not fit."""
    looks = {name: getattr(layer, name) for name in ("colormap", "opacity", "gamma", "blending", "visible")}
    made = make(map_data(view, entry(layer)["kind"]), **looks)
    show_colour_bar(made, layer.colorbar.visible)
    return made


def swap(viewer: Any, layer: Any, other: Any) -> None:
    """Put another layer in the place of one; there is always one of them, so that the slider stays where it is."""
    selected = [other if each is layer else each for each in viewer.layers.selection]
    viewer.layers.insert(viewer.layers.index(layer) + 1, other)
    viewer.layers.remove(layer)
    viewer.layers.selection = selected


def smoothing(layer: Any) -> str:
    """How a map layer makes up colours between tiles; "" where it does not, as rectangles never do."""
    drawn = str(getattr(layer, "interpolation2d", "nearest"))
    return "" if drawn == "nearest" else drawn


def maps_of(viewer: Any, run: Run | None = None) -> list[Any]:
    """Every layer of maps and of what is derived from them, in a comparison too; of `run` alone where it is given."""
    found = [layer for layer in viewer.layers if entry(layer).get("kind") in ("map", DIFFERENCE, INSTEAD)]
    return found if run is None else [layer for layer in found if run in view_of(layer).runs]


def grow(shown: list[Any]) -> None:
    """Let map layers reach the newest committed epoch of their run."""
    for layer in shown:
        view_of(layer).refresh()
        layer.data = layer.data


def keep_contours_thin(viewer: Any) -> None:
    """Give contours and marks their width in screen px at the present zoom; small changes of zoom are let pass."""
    width = CONTOUR_WIDTH / viewer.scene.camera.zoom
    for layer in viewer.layers:
        if entry(layer).get("kind") in LINES and not 0.7 < layer.edge_width / width < 1.4:
            layer.edge_width = width
