"""Every layout of attention files, written from its description and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_asmil import bags
from napari_asmil.bags import Given
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.maps import ScoreMap, read_map, sniff
from tests.bags.layouts import stamp
from tests.maps import layouts
from tests.maps.layouts import EDGE, LAYOUTS, LOGITS, PERCENTILES, TILES, XY, block_map, patches, softmax

Reader = Callable[..., ScoreMap]

HELD = {
    "CLAM block map": ("logits", LOGITS),
    "CLAM region of percentiles": ("percentiles", PERCENTILES),
    "slideflow npz": ("probabilities", softmax(LOGITS)),
    "npz with places": ("logits", LOGITS),
    "npy with features": ("logits", LOGITS),
    "csv": ("logits", LOGITS),
    "WSInfer csv": ("scaled", 1 / (1 + np.exp(-LOGITS))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scores_places_and_what_they_are_come_back(read: Reader, layout: str) -> None:
    found = read(layout)
    values, scores = HELD[layout]
    assert found.values == values
    assert found.scores.shape == (1, TILES) and found.scores.dtype == np.float64
    np.testing.assert_allclose(found.scores[0], scores, rtol=1e-6)
    np.testing.assert_array_equal(found.tiles.xy, XY)
    assert found.tiles.size == EDGE and found.bag.slide_id == "s1"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_told_by_content(tmp_path: Path, layout: str) -> None:
    path = LAYOUTS[layout](tmp_path)
    assert sniff(path) and not bags.sniff(path)
    other = path.rename(path.with_name("anything.dat"))
    assert sniff(other)


def test_features_annotations_and_label_tables_are_no_maps(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("slide_id,label\ns1,tumour\n")
    (tmp_path / "points.csv").write_text("image,x,y,cls\na,1,2,other\n")
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    np.savez(tmp_path / "bag.npz", features=np.ones((3, 2)), coords=XY[:3], attention=np.ones(3))
    for path in (layouts.features(tmp_path), patches(tmp_path), *tmp_path.iterdir()):
        assert not sniff(path), path


def test_the_edge_of_a_block_map_is_that_of_its_patches_file_and_said(read: Reader) -> None:
    assert (
        "tile edge: 50 px at level 1 x 2.0 = 100 level-0 px, from ../patches/s1.h5" in read("CLAM block map").describe()
    )


def test_without_a_patches_file_the_edge_is_asked_for_and_the_lattice_only_told_of(tmp_path: Path) -> None:
    path = block_map(tmp_path / "job" / "own" / "s1_blockmap.h5")
    with pytest.raises(InputError, match=r"give it in level-0 px \(--tile-size\).*mostly 100 level-0 px apart"):
        read_map(path)
    assert read_map(path, given=Given(tile_size=96)).tiles.size == 96


def test_a_patches_file_of_other_corners_says_nothing_of_a_block_map(tmp_path: Path) -> None:
    patches(tmp_path / "job" / "own", xy=XY + 1)
    path = block_map(tmp_path / "job" / "own" / "heatmaps" / "s1_blockmap.h5")
    with pytest.raises(InputError, match=r"\.\./patches/s1\.h5 holds other corners \(24\)"):
        read_map(path)


def test_an_edge_that_contradicts_the_patches_file_is_refused(read: Reader) -> None:
    with pytest.raises(InputError, match=r"contradicts the file: 50 px at level 1 x 2\.0 = 100 level-0 px"):
        read("CLAM block map", given=Given(tile_size=50))


def test_a_block_map_of_overlapping_tiles_takes_the_edge_of_the_features(tmp_path: Path) -> None:
    fine = np.concatenate([XY, XY + np.array([50, 0])])
    path = block_map(tmp_path / "s1_0.5_roi_True.h5", np.tile(LOGITS, 2), fine)
    found = read_map(path, features=layouts.features(tmp_path))
    assert found.tiles.size == EDGE and len(found.tiles) == 48 and found.bag.slide_id == "s1"
    said = " ".join(found.describe())
    assert "that of the features, which have other corners (24)" in said and "tiles overlap by 50 px" in said
    assert found.digest == ""


def test_a_vector_takes_its_places_and_the_slide_from_the_features(read: Reader) -> None:
    found = read("npy with features")
    assert found.bag.slide_size == layouts.SLIDE and found.bag.mpp == 0.5 and len(found.digest) == 64


def test_a_vector_alone_has_no_place(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LOGITS)
    with pytest.raises(InputError, match=r"not where their tiles lie. Give the features .* in the same order"):
        read_map(tmp_path / "a.npy")


def test_several_modalities_of_slideflow_are_chosen_by_name(tmp_path: Path) -> None:
    path = layouts.slideflow_npz(tmp_path)
    np.savez(path, arr_0=softmax(LOGITS), arr_1=softmax(-LOGITS))
    with pytest.raises(InputError, match=r"several arrays of scores: arr_0, arr_1\. Choose one"):
        read_map(path, given=Given(tile_size=EDGE))
    found = read_map(path, given=Given(tile_size=EDGE), column="arr_1")
    np.testing.assert_allclose(found.scores[0], softmax(-LOGITS))
    assert found.name == "arr_1"


def test_an_index_of_centres_needs_the_edge(tmp_path: Path) -> None:
    path = layouts.slideflow_npz(tmp_path)
    with pytest.raises(
        InputError, match=r"the size of a tile in µm is not known: give their edge in level-0 px \(--tile-size\)"
    ):
        read_map(path)
    (tmp_path / "bags_config.json").write_text('{"tile_px": 224, "tile_um": 50}')
    with pytest.raises(InputError, match="tiles are 50 µm wide, so the slide, or its mpp, is needed"):
        read_map(path)
    found = read_map(path, given=Given(mpp=0.5))
    np.testing.assert_array_equal(found.tiles.xy, XY)
    assert found.tiles.size == 100 and found.bag.mpp == 0.5


@pytest.mark.parametrize("edge", [99, 100, 101])
def test_a_centre_less_half_an_edge_is_the_corner_for_odd_edges_too(tmp_path: Path, edge: int) -> None:
    np.savez(tmp_path / "s1.index.npz", arr_0=(XY + edge / 2).astype(int))
    np.savez(tmp_path / "s1_att.npz", arr_0=LOGITS)
    found = read_map(tmp_path / "s1_att.npz", given=Given(tile_size=edge), values="logits")
    np.testing.assert_array_equal(found.tiles.xy, XY)


def test_classes_of_wsinfer_are_chosen_by_name(tmp_path: Path) -> None:
    path = layouts.wsinfer_csv(tmp_path)
    with pytest.raises(InputError, match="several columns of scores: prob_Other, prob_Tumor"):
        read_map(path)
    found = read_map(path, column="prob_other")
    np.testing.assert_allclose(found.scores[0], 1 / (1 + np.exp(LOGITS)))
    assert found.name == "prob_Other"
    with pytest.raises(InputError, match=r"no column 'prob_x'\. Columns: minx, miny"):
        read_map(path, column="prob_x")


def test_a_table_may_be_separated_by_semicolons_and_begin_with_remarks(tmp_path: Path) -> None:
    path = tmp_path / "s2_attention.csv"
    path.write_text(
        "\ufeff# made by hand\nX;Y;Tile_Size;Attention\n0;0;64;-1.5\n64;0;64;2\n# end\n\n", encoding="utf-8"
    )
    found = read_map(path, values="logits")
    np.testing.assert_array_equal(found.scores, [[-1.5, 2.0]])
    assert found.tiles.size == 64 and found.bag.slide_id == "s2"


def test_a_table_without_places_takes_them_from_the_features(tmp_path: Path) -> None:
    path = tmp_path / "s1.csv"
    path.write_text("attention\n" + "\n".join(map(str, LOGITS)))
    found = read_map(path, features=layouts.features(tmp_path), column="attention", values="logits")
    np.testing.assert_array_equal(found.tiles.xy, XY)


@pytest.mark.parametrize("name", ["logit", "logits", "attention_logits"])
def test_scores_that_are_called_logits_are_raw_scores_in_every_layout(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "s.npz", coords=XY, **{name: np.abs(LOGITS)})
    block_map(tmp_path / "s.h5", np.abs(LOGITS), name=name)
    rows = [f"{x},{y},{score!r}" for (x, y), score in zip(XY, np.abs(LOGITS).tolist(), strict=True)]
    (tmp_path / "s.csv").write_text("\n".join([f"x,y,{name}", *rows]))
    for file in ("s.npz", "s.h5", "s.csv"):
        assert read_map(tmp_path / file, given=Given(tile_size=EDGE)).values == "logits"


def test_clams_raw_scores_are_told_by_what_cannot_be_a_percentile_and_by_being_floats(tmp_path: Path) -> None:
    known = Given(tile_size=EDGE)
    assert read_map(block_map(tmp_path / "a.h5", LOGITS), given=known).values == "logits"
    assert read_map(block_map(tmp_path / "b.h5", np.abs(LOGITS) + 100), given=known).values == "logits"
    assert read_map(block_map(tmp_path / "c.h5", PERCENTILES), given=known).values == "percentiles"
    assert read_map(block_map(tmp_path / "d.h5", softmax(LOGITS)), given=known).values == "probabilities"
    block_map(tmp_path / "e.h5", np.linspace(0, 90, TILES))
    block_map(tmp_path / "f.h5", LOGITS, name="attention")
    with h5py.File(tmp_path / "g.h5", "w") as file:
        file["attention_scores"], file["coords"] = np.arange(TILES, dtype=np.uint8) + 200, XY
    for asked in ("e.h5", "f.h5", "g.h5"):
        with pytest.raises(InputError, match="Nothing tells what its values are"):
            read_map(tmp_path / asked, given=known)


def test_an_array_of_hdf5_is_chosen_by_name_as_one_of_npz_is(tmp_path: Path) -> None:
    path, known = block_map(tmp_path / "s.h5", LOGITS), Given(tile_size=EDGE)
    with h5py.File(path, "a") as file:
        file["scores"], file["mine"] = -LOGITS, LOGITS / 2
    with pytest.raises(InputError, match=r"several arrays of scores: attention_scores, scores\. Choose one"):
        read_map(path, given=known)
    with pytest.raises(InputError, match=r"no array 'none'\. Arrays: attention_scores, coords, mine, scores"):
        read_map(path, given=known, column="none")
    for name, expected in (("scores", -LOGITS), ("mine", LOGITS / 2)):
        found = read_map(path, given=known, column=name, values="logits")
        np.testing.assert_allclose(found.scores[0], expected)
        assert found.name == name


Place = st.integers(0, 700).map(lambda step: 3 + 277 * step)
Tile = st.tuples(Place, Place, st.floats(-1e30, 1e30))


@settings(max_examples=40, deadline=None)
@given(st.lists(Tile, min_size=1, max_size=30), st.integers(1, 4096))
def test_any_places_and_scores_come_back_from_a_table_and_from_arrays(
    tmp_path_factory: pytest.TempPathFactory, tiles: list[tuple[int, int, float]], edge: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    xy, z = np.array([tile[:2] for tile in tiles]), np.array([tile[2] for tile in tiles])
    rows = [f"{x};{y};{edge};{score!r}" for x, y, score in tiles]
    (folder / "s.csv").write_text("\n".join(["x;y;tile_size;score", *rows]))
    np.savez(folder / "s.npz", coords=xy, scores=z)
    block_map(folder / "s.h5", z, xy, "scores")
    for name in ("s.csv", "s.npz", "s.h5"):
        found = read_map(folder / name, given=Given(tile_size=edge), values="logits")
        np.testing.assert_array_equal(found.tiles.xy, xy)
        expected = z.astype(np.float32) if name == "s.h5" else z
        np.testing.assert_array_equal(found.scores[0], expected)
        assert found.tiles.size == edge


def white(path: Path, size: tuple[int, int] = layouts.SLIDE) -> Path:
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb", resolution=(20000, 20000), resolutionunit=3)
    return path


def test_the_size_of_a_pixel_that_a_person_says_counts_also_with_features(tmp_path: Path) -> None:
    path, slide = layouts.npy_vector(tmp_path), white(tmp_path / "s1.tif")
    file = tmp_path / "s1_features" / "s1.h5"
    for features in (file, bags.read_bag(file)):
        for known in (Given.of(slide, mpp=0.25), Given(mpp=0.25)):
            assert read_map(path, features=features, given=known, values="logits").bag.mpp == 0.25
        assert read_map(path, features=features, given=Given(), values="logits").bag.mpp == 0.5


def test_places_of_slideflow_are_those_of_the_features_where_they_are_given(tmp_path: Path) -> None:
    path = layouts.slideflow_npz(tmp_path)
    np.savez(tmp_path / "s1.index.npz", arr_0=XY + 1000)
    found = read_map(path, features=layouts.features(tmp_path))
    np.testing.assert_array_equal(found.tiles.xy, XY)
    assert len(found.digest) == 64


def test_features_of_the_same_corners_and_another_edge_are_of_other_tiles(tmp_path: Path) -> None:
    patches(tmp_path)
    path = block_map(tmp_path / "heatmaps" / "s1_blockmap.h5")
    other = bags.in_memory_bag("s1", np.ones((TILES, 3)), TileGrid(XY, 50), slide_size=layouts.SLIDE)
    found = read_map(path, features=other)
    assert found.tiles.size == EDGE and found.digest == ""
    assert "the features of s1 are of other tiles and say nothing more here" in found.facts


def test_an_edge_that_contradicts_the_features_is_refused_for_scores_without_places(tmp_path: Path) -> None:
    path = layouts.npy_vector(tmp_path)
    bag = bags.read_bag(tmp_path / "s1_features" / "s1.h5")
    with pytest.raises(InputError, match="The tile edge given, 50 level-0 px, contradicts the features"):
        read_map(path, features=bag, given=Given(tile_size=50), values="logits")


def test_features_in_micrometres_are_placed_by_the_size_of_a_pixel_that_is_given(tmp_path: Path) -> None:
    bag = bags.read_bag(stamp(tmp_path))
    assert bag.tiles is None
    np.save(tmp_path / "v.npy", np.arange(bag.n_tiles))
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((9000, 9000), np.uint8), tile=(512, 512), compression="zlib")
    found = read_map(tmp_path / "v.npy", features=bag, given=Given.of(tmp_path / "s.tif", mpp=0.5), values="logits")
    assert found.bag.mpp == 0.5 and len(found.tiles) == bag.n_tiles
