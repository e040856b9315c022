"""Pictures and files of what a run holds, without a screen."""

from napari_asmil.render.colormaps import COLORMAPS, OKABE_ITO
from napari_asmil.render.figure import figure
from napari_asmil.render.film import film
from napari_asmil.render.geojson import export_tiles
from napari_asmil.render.overlay import export_overlay, overlay_image

__all__ = ["COLORMAPS", "OKABE_ITO", "export_overlay", "export_tiles", "figure", "film", "overlay_image"]
