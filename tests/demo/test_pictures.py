from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_asmil.annotations import read_annotations
from napari_asmil.demo.pictures import write_contours, write_slide
from napari_asmil.demo.world import TILE, Place, make_world, tissue
from napari_asmil.slides import open_slide

GLASS = 240


@pytest.fixture(scope="module")
def place() -> Place:
    """The smallest slide with at least two foci."""
    places = make_world(3).places.values()
    return min((p for p in places if len(p.foci) > 1), key=lambda p: p.across)


@pytest.fixture(scope="module")
def picture(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "slide.ome.tif"
    write_slide(path, place, np.random.default_rng(0))
    return path


@pytest.fixture(scope="module")
def pixels(picture: Path) -> np.ndarray:
    with open_slide(picture) as slide:
        height, width = slide.shape
        return slide.read(0, 0, height, 0, width)


def inside(shapes: tuple[np.ndarray, ...], size: tuple[int, int]) -> np.ndarray:
    page = Image.new("1", size)
    for shape in shapes:
        ImageDraw.Draw(page).polygon([tuple(corner - 0.5) for corner in shape], fill=1)
    return np.asarray(page)


def darkness(pixels: np.ndarray) -> np.ndarray:
    """Haematoxylin takes red light away; eosin hardly does."""
    return 255.0 - pixels[..., 0]


def test_the_slide_is_a_tiled_jpeg_pyramid_with_its_scale(picture: Path, place: Place) -> None:
    with open_slide(picture) as slide:
        assert slide.shape == place.size[::-1]
        assert slide.mpp == 1.0
        assert len(slide.levels) >= 3
    with tifffile.TiffFile(picture) as tiff:
        assert tiff.is_ome
        page = tiff.pages[0]
        assert page.compression.name == "JPEG"
        assert (page.tilewidth, page.tilelength) == (256, 256)
        assert len(page.subifds) == len(tiff.series[0].levels) - 1


def test_the_description_says_that_the_features_are_not_from_the_picture(picture: Path) -> None:
    with tifffile.TiffFile(picture) as tiff:
        assert "simulated embeddings, not extracted from this picture" in tiff.ome_metadata


def test_nothing_lies_beside_a_written_slide(picture: Path) -> None:
    assert [p.name for p in picture.parent.iterdir()] == [picture.name]


def test_the_same_seed_paints_the_same_picture(place: Place, pixels: np.ndarray, tmp_path: Path) -> None:
    again = tmp_path / "again.ome.tif"
    write_slide(again, place, np.random.default_rng(0))
    with open_slide(again) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, slide.shape[0], 0, slide.shape[1]), pixels)


def test_there_is_glass_where_the_bag_has_no_tissue(place: Place, pixels: np.ndarray) -> None:
    at = (np.arange(place.across * TILE) + 0.5)[::8] / TILE
    ground = tissue(place.outline, place.across, at, at) * place.across / 2 * TILE
    far = ground < -24
    assert far.any()
    assert (pixels[4::8, 4::8][far] >= GLASS).mean() > 0.999
    deep = pixels[4::8, 4::8][ground > 24]
    assert (deep < GLASS).any(axis=1).mean() > 0.7, "all but fat and lumens is stained"


def test_tiles_of_the_bag_are_the_tiles_with_tissue_in_the_picture(place: Place, pixels: np.ndarray) -> None:
    stained = ndimage.binary_closing(ndimage.binary_fill_holes((pixels < GLASS).any(axis=2)[::4, ::4]), iterations=10)
    per_tile = TILE // 4
    share = stained.reshape(place.across, per_tile, place.across, per_tile).mean(axis=(1, 3))
    taken = np.zeros_like(share, dtype=bool)
    columns, rows = (place.tiles.xy // TILE).T
    taken[rows, columns] = True
    clear = np.abs(share - 0.5) > 0.1
    np.testing.assert_array_equal(share[clear] > 0.5, taken[clear])


def test_foci_and_mimics_are_dark_to_their_edge_and_nothing_else_is(place: Place, pixels: np.ndarray) -> None:
    dark = ndimage.gaussian_filter(darkness(pixels), 12)
    foci, mimics = inside(place.foci, place.size), inside(place.mimics, place.size)
    cells = foci | mimics
    within = ndimage.binary_erosion(cells[::4, ::4], iterations=5)
    around = ~ndimage.binary_dilation(cells[::4, ::4], iterations=5)
    assert np.median(dark[::4, ::4][within]) > 1.5 * np.quantile(dark[::4, ::4][around], 0.95)
    middle = (np.median(dark[::4, ::4][within]) + np.median(dark[::4, ::4][around])) / 2
    edges = ndimage.binary_dilation(cells, iterations=40) & ~ndimage.binary_erosion(cells, iterations=40)
    agree = (dark > middle) == cells
    assert agree[edges].mean() > 0.85


def test_tumour_nuclei_are_larger_than_those_of_the_mimic(place: Place, pixels: np.ndarray) -> None:
    nuclei = darkness(pixels) > 110
    sizes = {}
    for name, shapes in (("tumour", place.foci), ("mimic", place.mimics)):
        opened = ndimage.binary_opening(nuclei & inside(shapes, place.size), iterations=3)
        sizes[name] = opened.sum() / inside(shapes, place.size).sum()
    assert sizes["tumour"] > 2 * sizes["mimic"]


def test_the_contours_give_the_bags_tile_labels(place: Place, tmp_path: Path) -> None:
    write_contours(tmp_path / "slide.geojson", place)
    contours = read_annotations(tmp_path / "slide.geojson")
    assert {c.group for c in contours.polygons} == {"Tumor"}
    np.testing.assert_array_equal(contours.tile_share(place.tiles) >= 0.5, place.tumour >= 0.5)


def test_a_normal_slide_has_no_contours(tmp_path: Path) -> None:
    normal = next(p for p in make_world(3).places.values() if not p.foci)
    write_contours(tmp_path / "normal.geojson", normal)
    assert read_annotations(tmp_path / "normal.geojson").polygons == []
