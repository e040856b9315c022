"""The layers of a window: one slide, one map over epochs, one set of contours.

World coordinates are level-0 px. No Shapes layer is used: removing one can crash napari 0.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Vectors

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs import MapView, Run
    from napari_asmil.slides import Slide

KEY = "napari-asmil"
"""Our entry in a layer's metadata."""
COLORMAP = "viridis"
OPACITY = 0.6
CONTOUR_COLOR = "#00e5ff"
CONTOUR_SCREEN_PX = 2


def epoch_axis(viewer: Any) -> int | None:
    """The dims axis of the epochs, None where nothing has epochs."""
    return viewer.dims.ndim - 3 if viewer.dims.ndim >= 3 else None


def last_step(viewer: Any) -> int | None:
    """The newest epoch the slider reaches, None where nothing has epochs."""
    axis = epoch_axis(viewer)
    return None if axis is None else viewer.dims.nsteps[axis] - 1


def ours(viewer: Any, kind: str) -> list[Any]:
    """Our layers of one kind: "slide", "map" or "contours"."""
    return [layer for layer in viewer.layers if layer.metadata.get(KEY, {}).get("kind") == kind]


def slide_layer(slide: Slide, *, dask: bool = False) -> Image:
    """The picture of a slide, multiscale, through the bounded tile cache or through dask."""
    levels = [slide.dask(level) for level in range(len(slide.levels))] if dask else list(slide.levels)
    return Image(
        levels,
        name=slide.path.stem,
        rgb=True,
        multiscale=True,
        contrast_limits=(0, 255),
        cache=False,
        axis_labels=("y", "x"),
        units=("pixel", "pixel"),
        metadata={KEY: {"kind": "slide", "path": str(slide.path), "mpp": slide.mpp}},
    )


def map_layer(view: MapView) -> Image:
    """A map over epochs: one raster pixel is one tile (or a part of it), transparent where there is none."""
    layer = Image(
        view,
        rgb=False,
        multiscale=False,
        contrast_limits=view.limits(0),
        colormap=COLORMAP,
        opacity=OPACITY,
        cache=False,
        axis_labels=("epoch", "y", "x"),
        units=("pixel", "pixel", "pixel"),
    )
    fit_map(layer, view)
    return layer


def fit_map(layer: Any, view: MapView) -> None:
    """Let a map layer show `view`: data, place, name and what it is."""
    layer.data = view
    layer.scale = (1, view.raster.pixel, view.raster.pixel)
    layer.translate = (0, *view.raster.origin)
    layer.name = f"{view.run.name}: {view.source_label}"
    layer.metadata = {KEY: {"kind": "map", "run": str(view.run.path), "label": view.label}}


def contours_layer(contours: Contours) -> Vectors:
    """The outlines as line segments: fast, and safe to remove."""
    return Vectors(
        contours.segments(),
        ndim=2,
        name=contours.path.stem,
        vector_style="line",
        edge_color=CONTOUR_COLOR,
        edge_width=CONTOUR_SCREEN_PX,
        opacity=1.0,
        axis_labels=("y", "x"),
        units=("pixel", "pixel"),
        metadata={KEY: {"kind": "contours", "path": str(contours.path)}},
    )


def replace(viewer: Any, kind: str, layer: Any | None, *, bottom: bool = False) -> None:
    """Put `layer` (or nothing) where our layer of that kind was."""
    for old in ours(viewer, kind):
        viewer.layers.remove(old)
    if layer is not None:
        viewer.layers.insert(0 if bottom else len(viewer.layers), layer)


def show_slide(viewer: Any, slide: Slide | None, *, dask: bool = False) -> None:
    """Show one slide under everything else, or none."""
    replace(viewer, "slide", None if slide is None else slide_layer(slide, dask=dask), bottom=True)
    if slide is not None:
        viewer.reset_view()


def show_contours(viewer: Any, contours: Contours | None) -> None:
    """Show one set of contours above everything else, or none."""
    replace(viewer, "contours", None if contours is None else contours_layer(contours))


def show_map(viewer: Any, view: MapView) -> Any:
    """Show one map below the contours; the layer that is there already is given the new data."""
    found = ours(viewer, "map")
    if found:
        fit_map(found[0], view)
        return found[0]
    layer = map_layer(view)
    contours = ours(viewer, "contours")
    viewer.layers.insert(viewer.layers.index(contours[0]) if contours else len(viewer.layers), layer)
    return layer


def grow(viewer: Any, run: Run) -> None:
    """Let every layer that shows `run` reach its newest committed epoch."""
    for layer in ours(viewer, "map"):
        view = layer.data
        if view.run is run:
            view.refresh()
            layer.data = view
