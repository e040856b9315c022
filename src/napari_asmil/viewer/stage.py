"""Our three layers in a viewer: the slide, the map, the contours, one of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_info, show_warning
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_asmil.annotations import Contours, read_annotations
from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.slides import Slide, open_slide
from napari_asmil.viewer import layers

if TYPE_CHECKING:
    from napari_asmil.runs import MapView, RunSlide

ZOOM_MS = 100


class Stage:
    """Mirrors the layer list: a layer of ours that anyone adds is taken up, one that is deleted is forgotten.

    Layers of a comparison and copies that a person makes are left alone.
    """

    changed = Signal(str, description='Another "slide", "map" or "contours" layer is shown, or none.')

    def __init__(self, viewer: Any) -> None:
        self._viewer: Callable[[], Any] = ref(viewer)
        self._shown: dict[str, Any] = {}
        self._zoomed = QTimer()
        self._zoomed.setSingleShot(True)
        self._zoomed.setInterval(ZOOM_MS)
        self._zoomed.timeout.connect(self._keep_contours_thin)
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")
        viewer.layers.events.removed.connect(self._on_removed, position="last")
        viewer.scene.camera.events.zoom.connect(self._on_zoom)

    @property
    def slide(self) -> Slide | None:
        """The slide whose picture is shown."""
        return self._fact("slide")  # type: ignore[no-any-return]

    @property
    def contours(self) -> Contours | None:
        """The annotation that is drawn."""
        return self._fact("contours")  # type: ignore[no-any-return]

    @property
    def map(self) -> MapView | None:
        """What the map layer shows."""
        return None if self.map_layer is None else layers.view_of(self.map_layer)

    @property
    def map_layer(self) -> Any | None:
        """The one map layer."""
        return self._shown.get("map")

    def layer(self, kind: str) -> Any | None:
        """Our layer of a kind, or None."""
        return self._shown.get(kind)

    def put(self, kind: str, data: layers.LayerData | None) -> None:
        """Replace our layer of `kind`: the slide goes lowest, contours highest; None takes it away."""
        viewer = self._viewer()
        if kind in self._shown:
            viewer.layers.remove(self._shown[kind])
        if data is None:
            return
        above = self._shown.get("contours") if kind == "map" else None
        at = 0 if kind == "slide" else len(viewer.layers) if above is None else viewer.layers.index(above)
        viewer.layers.insert(at, layers.make(data))

    def show(self, view: MapView) -> None:
        """Show another map in place of the one shown."""
        layer = self._shown["map"]
        if layers.fits(layer, view):
            layers.show_view(layer, view)
        else:
            self._shown["map"] = layers.like(layer, view)
            layers.swap(self._viewer(), layer, self._shown["map"])

    def clear(self) -> None:
        """Take all three away."""
        for kind in ("map", "contours", "slide"):
            self.put(kind, None)

    def open_slide(self, path: str | Path, *, mpp: float | None = None, dask: bool = False) -> Slide:
        """Show the picture of a slide in place of the one shown; a map that does not fit it is taken away."""
        slide = open_slide(path, mpp=mpp)
        wrong = "" if self.map is None else misfit(slide, self.map.slide)
        if wrong:
            self.put("map", None)
            show_info(f"The map was taken away. {wrong}")
        elif self.map is not None and self.map.slide.slide_id != layers.slide_name(slide.path):
            show_warning(
                f"The map is of {self.map.slide.slide_id}, the slide is called {slide.path.name}: is it its slide?"
            )
        self._put_slide(slide, dask=dask)
        return slide

    def _put_slide(self, slide: Slide, *, dask: bool = False) -> None:
        self.put("slide", layers.slide_data(slide, dask=dask))
        self._viewer().reset_view()

    def open_contours(self, path: str | Path) -> Contours:
        """Draw an annotation in place of the one drawn; one that lies beside the slide that is shown is refused."""
        return self._draw(path, None if self.slide is None else self.slide.frame)

    def _draw(self, path: str | Path, frame: Frame | None) -> Contours:
        contours = read_annotations(path, frame)
        if frame is not None:
            contours.check_on(frame.size)
        self.put("contours", layers.contours_data(contours))
        return contours

    def change_contours(self, contours: Contours) -> None:
        """Draw the contours that are drawn with other roles, or counted from elsewhere, in their layer."""
        before = self.contours
        if before is not None:
            layers.redraw_contours(self._viewer(), before, contours)
            self.changed.emit("contours")

    def bring(self, recorded: RunSlide) -> None:
        """Show what belongs under the map of a slide, where it is known; the picture of another is taken away."""
        for kind, shown, path, show in (
            ("slide", self.slide, recorded.slide_path, partial(self._bring_slide, recorded)),
            ("contours", self.contours, recorded.contours_path, partial(self._bring_contours, recorded)),
        ):
            at = None if shown is None else shown.path
            if at is not None and (layers.slide_name(at) == recorded.slide_id or at == path):
                continue
            self.put(kind, None)
            try:
                if path is not None and path.exists():
                    show(path)
                elif path is not None:
                    show_info(f"The {kind} of {recorded.slide_id} ({path.name}) is not where the run says.")
            except InputError as error:
                show_warning(str(error))

    def _bring_slide(self, recorded: RunSlide, path: Path) -> None:
        slide = open_slide(path)
        wrong = misfit(slide, recorded)
        if wrong:
            slide.close()
            raise InputError(wrong, remedy="The map is shown without it.", path=path)
        self._put_slide(slide)

    def _bring_contours(self, recorded: RunSlide, path: Path) -> None:
        self._draw(path, recorded.frame if self.slide is None else self.slide.frame)

    def _fact(self, kind: str) -> Any:
        return layers.entry(self._shown[kind])[kind] if kind in self._shown else None

    def _on_inserted(self, event: Any) -> None:
        about = layers.entry(event.value)
        kind = about.get("kind")
        if kind not in layers.KINDS or kind in self._shown or "cell" in about:
            return
        self._shown[kind] = event.value
        if kind == "map":
            layers.name_axes(event.value)
            layers.show_colour_bar(event.value)
        self._zoomed.start()
        self.changed.emit(kind)

    def _on_removed(self, event: Any) -> None:
        about = layers.entry(event.value)
        kind = about.get("kind")
        if kind is not None and self._shown.get(kind) is event.value:
            del self._shown[kind]
            layers.name_colours(self._viewer())
            self.changed.emit(kind)
        slide = about.get("slide")
        if slide is not None and all(layers.entry(other).get("slide") is not slide for other in self._viewer().layers):
            slide.close()

    def _on_zoom(self) -> None:
        self._zoomed.start()

    def _keep_contours_thin(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            layers.keep_contours_thin(viewer)


def misfit(slide: Slide, recorded: RunSlide) -> str:
    """Why a slide cannot be the one that tiles were cut from, as far as sizes tell; empty when it can."""
    height, width = slide.shape
    size = recorded.slide_size
    if size is not None and size != (width, height):
        return (
            f"{slide.path.name} is {width} x {height} px, but the tiles of {recorded.slide_id} were cut from a slide"
            f" of {size[0]} x {size[1]} px."
        )
    if recorded.tiles is not None and recorded.tiles.outside((width, height)).any():
        return f"Some tiles of {recorded.slide_id} lie outside {slide.path.name}, which is {width} x {height} px."
    return ""
