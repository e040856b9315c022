"""Attention files for a real slide and its real features."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_asmil.bags import Given
from napari_asmil.maps import import_map, read_map
from napari_asmil.render import overlay_image
from napari_asmil.render.colormaps import lookup_table
from napari_asmil.runs.view import MapView
from napari_asmil.slides import open_slide

HOT = 40


def test_a_vector_of_scores_lands_on_the_tiles_of_its_trident_features(real_data: Path, tmp_path: Path) -> None:
    features = real_data / "features" / "CMU-1-Small-Region_trident_layout.h5"
    slide = real_data / "wsi" / "CMU-1-Small-Region.svs"
    with h5py.File(features, "r") as file:
        xy, edge = file["coords"][()], int(file["coords"].attrs["patch_size_level0"])
    z = np.random.default_rng(0).normal(0, 1, len(xy))
    z[HOT] = 12
    np.save(tmp_path / "CMU-1-Small-Region_attention.npy", z)
    scores = tmp_path / "CMU-1-Small-Region_attention.npy"
    run = import_map(scores, tmp_path / "r.asmil", features=features, given=Given.of(slide), values="logits")
    (shown,) = run.slides
    assert shown.slide_id == "CMU-1-Small-Region_trident_layout"
    assert shown.slide_path is not None and shown.slide_path.samefile(slide)
    assert shown.tiles is not None and shown.mpp is not None and abs(shown.mpp - 0.499) < 1e-3
    np.testing.assert_array_equal(shown.tiles.xy, xy)
    with open_slide(slide) as opened:
        picture = overlay_image(
            MapView(run, shown.slide_id), 0, slide=opened, max_px=2967, opacity=1.0, legend=False, limits=(0.0, 1.0)
        )
    rows, columns = np.nonzero((np.asarray(picture) == lookup_table("viridis")[-1]).all(axis=2))
    assert [columns.min(), rows.min()] == xy[HOT].tolist()
    assert [columns.max() + 1, rows.max() + 1] == (xy[HOT] + edge).tolist()


def test_a_block_map_on_a_real_slide_is_judged_by_its_tissue(real_data: Path, tmp_path: Path) -> None:
    with h5py.File(real_data / "features" / "CMU-1-Small-Region_trident_layout.h5", "r") as file:
        xy = file["coords"][()]
    with h5py.File(tmp_path / "CMU-1-Small-Region_blockmap.h5", "w") as file:
        file["attention_scores"], file["coords"] = np.linspace(-3, 3, len(xy))[:, None], xy.astype(np.int32)
    slide = real_data / "wsi" / "CMU-1-Small-Region.svs"
    found = read_map(tmp_path / "CMU-1-Small-Region_blockmap.h5", given=Given.of(slide, tile_size=224))
    assert found.bag.slide_id == "CMU-1-Small-Region" and found.bag.slide_size == (2220, 2967)
    assert any("have their centre on tissue" in line and "are these" not in line for line in found.facts)
