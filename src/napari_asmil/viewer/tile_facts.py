"""What is said of one tile, in words."""

from __future__ import annotations

import numpy as np

from napari_asmil.analysis.histogram import standing
from napari_asmil.runs import MapView
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.words import counted


def tile_facts(inspected: Inspected, tile: int) -> list[str]:
    """What is known of a tile at the epoch at hand, in a few lines.

    Raises
    ------
    InputError
        When there is no map to tell of.
    """
    view, epoch = inspected.view, inspected.epoch()
    assert view is not None and view.slide.tiles is not None
    slide = view.slide
    if view.run.no_attention:
        said = [f"Tile {tile}: {view.quantity} {view.values(epoch)[tile]:.4g} ({view.unit})"]
    else:
        said = _standing(inspected, view, tile)
    x, y = view.slide.tiles.xy[tile].tolist()
    microns = f" = {x * slide.mpp:.0f}, {y * slide.mpp:.0f} µm" if slide.mpp else ""
    said.append(f"x {x}, y {y} level-0 px{microns}")
    if slide.tile_labels is not None:
        said.append(f"tumour share {float(np.asarray(slide.tile_labels)[tile]):.3g}")
    return said


def _standing(inspected: Inspected, view: MapView, tile: int) -> list[str]:
    """Rank and attention of a tile."""
    p, values = inspected.p(), inspected.values()
    stands = standing(p, tile)
    ties = f", tied with {counted(stands.ties, 'other')}" if stands.ties else ""
    said = [f"Tile {tile}: rank {stands.rank} of {len(p)}{ties}, percentile {stands.percentile:.1f}"]
    if view.transform_name != "m_alpha":
        said.append(f"{view.transform.label} {values[tile]:.4g} ({view.transform.unit})")
    return [*said, f"M·α {p[tile] * len(p):.4g} × uniform"]
