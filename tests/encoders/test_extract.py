from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Event as Flag

import h5py
import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from napari_asmil.bags import in_memory_bag, read_bag, write_bag
from napari_asmil.encoders import extract, extract_all, get_encoder, reading, torch_encoder
from napari_asmil.encoders.kept import SETTINGS, fingerprint
from napari_asmil.encoders.torch_encoder import TorchEncoder
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, Event, Finished, Started
from napari_asmil.geometry import TileGrid
from napari_asmil.slides import open_slide
from tests.slides.layouts import ome_zarr


def tissue(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth pink and violet picture with fine grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    share = (np.sin(y / 23) * np.cos(x / 31) + 1)[..., None] / 2
    picture = share * (90, 60, 150) + (1 - share) * (225, 140, 190) + rng.normal(0, 6, (height, width, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, NDArray[np.uint8]]:
    """A PNG of 100 rows and 164 columns without a pixel size."""
    pixels = tissue(100, 164)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


@pytest.fixture
def slide(tmp_path: Path) -> tuple[Path, NDArray[np.uint8]]:
    """An SVS of 600 x 900 px at 0.25 mpp, with levels of downsample 1 and 4."""
    pixels = tissue(600, 900)
    path = tmp_path / "slide.svs"
    text = "Aperio Image Library\r\n900x600 |AppMag = 40|MPP = 0.25"
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb", "metadata": None}
    quarter = pixels.reshape(150, 4, 225, 4, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, description=text, **options)
        writer.write(pixels[::8, ::8], description=text, photometric="rgb", metadata=None)
        writer.write(quarter, description=text, **options)
    return path, pixels


def outcome(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_features_are_those_of_the_tiles_cut_from_the_picture(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    path, pixels = image
    list(extract(path, tmp_path / "image.h5", size=32, cover=True))
    bag = read_bag(tmp_path / "image.h5")
    assert bag.tiles is not None
    assert bag.tiles.xy[:7].tolist() == [[0, 0], [32, 0], [64, 0], [96, 0], [128, 0], [0, 32], [32, 32]]
    cut = np.stack([pixels[y : y + 32, x : x + 32] for x, y in bag.tiles.xy])
    np.testing.assert_array_equal(bag.features(), get_encoder("colour")(cut))


def test_the_bag_says_what_it_was_made_from(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    list(extract(image[0], tmp_path / "image.h5", size=32, cover=True))
    bag = read_bag(tmp_path / "image.h5")
    assert (bag.encoder, bag.slide_size, bag.tile_px, bag.mpp) == ("colour", (164, 100), 32, None)
    assert bag.slide_path is not None and bag.slide_path.samefile(image[0])


def test_a_tile_size_in_micrometres_becomes_a_whole_number_of_slide_pixels_and_says_how(
    slide: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    list(extract(slide[0], tmp_path / "slide.h5", tile_px=50, mpp=0.499, cover=True))
    bag = read_bag(tmp_path / "slide.h5")
    assert bag.tiles is not None
    assert (bag.tiles.size, bag.tile_px, bag.mpp) == (100, 50, 0.25)
    assert any("99.800, rounded" in line and "true mpp 0.5" in line for line in bag.derivation)


@pytest.mark.parametrize(("mpp", "level"), [(0.25, 0), (0.5, 0), (1.0, 1)])
def test_resampled_tiles_show_the_same_place_at_the_resolution_asked_for(
    slide: tuple[Path, NDArray[np.uint8]], mpp: float, level: int
) -> None:
    path, pixels = slide
    factor = round(mpp / 0.25)
    grid = TileGrid(np.array([(0, 0), (160, 40), (520, 360)]), 32 * factor)
    with open_slide(path) as opened:
        assert reading.read_level(opened.downsamples, factor) == level
        ((indices, tiles),) = reading.tile_batches(opened, grid, 32)
    for index, tile in zip(indices, tiles, strict=True):
        x, y = grid.xy[index]
        area = pixels[y : y + 32 * factor, x : x + 32 * factor].reshape(32, factor, 32, factor, 3).mean(axis=(1, 3))
        assert np.abs(tile - area).mean() < 3
        shifted = np.roll(area, 2, axis=(0, 1))
        assert np.abs(tile - area).mean() < np.abs(tile - shifted).mean()


def test_every_tile_is_read_once_in_blocks_of_whole_rows() -> None:
    rng = np.random.default_rng(0)
    grid = TileGrid(rng.integers(0, 30_000, (5000, 2)), 256)
    found = reading.blocks(grid)
    assert sorted(np.concatenate(found).tolist()) == list(range(5000))
    assert len(found) < 130
    for block in found:
        height, width = np.ptp(grid.xy[block], axis=0)[::-1]
        assert height < reading.BLOCK[0] and width < reading.BLOCK[1]


def test_the_tiles_of_a_file_are_decoded_once_though_many_of_a_grid_lie_on_each(
    slide: tuple[Path, NDArray[np.uint8]],
) -> None:
    x, y = np.meshgrid(np.arange(0, 896, 32), np.arange(0, 576, 32))
    grid = TileGrid(np.stack([x.ravel(), y.ravel()], axis=1), 32)
    with open_slide(slide[0]) as opened:
        assert sum(len(indices) for indices, _ in reading.tile_batches(opened, grid, 32)) == len(grid) == 504
        rows, columns = (
            -(-int(edge) // chunk) for edge, chunk in zip((576, 896), opened.levels[0].chunks, strict=False)
        )
        assert opened.reads == rows * columns


def test_events_count_the_tiles_up_to_all_of_them(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_PIXELS", 4 * 32 * 32)
    out = tmp_path / "image.h5"
    first, *batches, last = extract(image[0], out, size=32, cover=True)
    assert first == Started(out, 15, unit="tiles")
    assert batches == [BatchDone(0, done, 15, phase="extract") for done in (4, 8, 12, 15)]
    assert outcome([last]).why == "done"


def test_a_stopped_extraction_ends_within_a_batch_and_leaves_no_file(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_PIXELS", 32 * 32)
    stop, seen = Flag(), []
    for event in extract(image[0], tmp_path / "out" / "image.h5", size=32, cover=True, stop=stop):
        seen.append(event)
        if isinstance(event, BatchDone) and event.step == 3:
            stop.set()
    assert outcome(seen).why == "stopped"
    assert sum(isinstance(event, BatchDone) for event in seen) == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_with_the_same_settings_is_kept(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    out = tmp_path / "image.h5"
    list(extract(image[0], out, size=32, cover=True))
    before = out.stat().st_mtime_ns
    events = list(extract(image[0], out, size=32, cover=True))
    assert [type(event) for event in events] == [Finished]
    assert out.stat().st_mtime_ns == before


def test_a_bag_of_other_settings_or_another_picture_is_never_overwritten(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    path, pixels = image
    out = tmp_path / "image.h5"
    list(extract(path, out, size=32, cover=True))
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"image\.h5.*made with another tile size; it is not overwritten"):
        list(extract(path, out, size=50, cover=True))
    with pytest.raises(InputError, match="another choice of covering the whole slide, another stride"):
        list(extract(path, out, size=32, stride=8))
    Image.fromarray(255 - pixels).save(path)
    with pytest.raises(InputError, match="another slide file"):
        list(extract(path, out, size=32, cover=True))
    assert out.read_bytes() == before


def test_a_feature_file_of_another_tool_is_never_overwritten(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    out = tmp_path / "image.h5"
    write_bag(out, in_memory_bag("image", np.ones((1, 3)), TileGrid([[0, 0]], 32)))
    with pytest.raises(InputError, match="made by something else"):
        list(extract(image[0], out, size=32, cover=True))


def test_a_damaged_bag_in_the_way_is_written_anew(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    out = tmp_path / "image.h5"
    list(extract(image[0], out, size=32, cover=True))
    os.truncate(out, out.stat().st_size // 2)
    list(extract(image[0], out, size=32, cover=True))
    assert read_bag(out).n_tiles == 15


def test_tiles_with_an_epithelial_nucleus_are_positive(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("image,x,y,cls\nimage,33.0,1.0,epithelial\nimage,1.0,40.0,fibroblast\nother,1,1,epithelial\n")
    list(extract(image[0], tmp_path / "image.h5", size=32, cover=True, points=points))
    labels = read_bag(tmp_path / "image.h5").tile_labels
    assert labels is not None
    assert np.flatnonzero(labels).tolist() == [1]


def test_contours_give_each_tile_its_share_of_tumour(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    contours = _square(tmp_path / "image.geojson")
    list(extract(image[0], tmp_path / "image.h5", size=32, cover=True, contours=contours))
    bag = read_bag(tmp_path / "image.h5")
    assert bag.tile_labels is not None
    assert bag.tile_labels[:6].tolist() == [1, 0.5, 0, 0, 0, 0]
    assert bag.contours_path is not None and bag.contours_path.samefile(contours)


def _square(path: Path) -> Path:
    """A tumour of 48 x 32 px in the top-left corner."""
    ring = [[0, 0], [48, 0], [48, 32], [0, 32], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "either a size"),
        ({"size": 32, "tile_px": 32, "mpp": 0.5}, "either a size"),
        ({"tile_px": 32}, "--tile-px together with --mpp"),
        ({"tile_px": 32, "mpp": 0.5}, "does not say its micrometres per pixel"),
        ({"size": 0}, "must be positive"),
        ({"size": 32, "encoder": "clairvoyant"}, "no encoder"),
        ({"size": 32, "points": "p.csv", "contours": "c.geojson"}, "not both"),
        ({"size": 32, "cover": True, "points": "nowhere.csv"}, r"nowhere\.csv"),
    ],
)
def test_settings_that_do_not_fit_are_refused_and_nothing_is_written(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        list(extract(image[0], tmp_path / "bags" / "image.h5", **options))  # type: ignore[arg-type]
    assert not (tmp_path / "bags" / "image.h5").exists()


class Stand:
    """An encoder that keeps the tiles it saw: their mean red, and their edge."""

    name, dim, licence, how = "stand", 2, "", "in a test"

    def __init__(self, tile_px: int | None = None, mpp: float | None = None, batch: int = 1) -> None:
        self.tile_px, self.mpp, self.batch = tile_px, mpp, batch
        self.sizes: list[int] = []

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.sizes.append(len(tiles))
        red = tiles[..., 0].mean(axis=(1, 2))
        return np.stack([red, np.full(len(tiles), tiles.shape[1])], axis=1).astype(np.float32)


def test_tiles_are_of_the_size_and_scale_that_the_encoder_was_made_for(
    slide: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    list(extract(slide[0], tmp_path / "a.h5", encoder=Stand(40, 0.5), cover=True))
    bag = read_bag(tmp_path / "a.h5")
    assert bag.tiles is not None
    assert (bag.tiles.size, bag.tile_px, bag.encoder) == (80, 40, "stand")
    assert set(bag.features()[:, 1]) == {40}
    assert any("encoder stand: in a test" in line for line in bag.derivation)


@pytest.mark.parametrize(
    ("options", "level0", "says"),
    [
        ({"size": 120}, 120, "tile edge 120 level-0 px, as asked, seen by the encoder as 40 px"),
        ({"tile_px": 60}, 120, "= 60 px x 0.5 mpp"),
        ({"tile_px": 60}, 120, "true mpp 0.75 of the 40 px that the encoder sees"),
        ({"mpp": 0.25}, 40, "= 40 px x 0.25 mpp"),
        ({"tile_px": 64, "mpp": 1.0}, 256, "= 64 px x 1 mpp"),
    ],
)
def test_what_is_asked_for_counts_more_and_the_encoder_still_sees_its_own_size(
    slide: tuple[Path, NDArray[np.uint8]], tmp_path: Path, options: dict[str, float], level0: int, says: str
) -> None:
    list(extract(slide[0], tmp_path / "a.h5", encoder=Stand(40, 0.5), cover=True, **options))  # type: ignore[arg-type]
    bag = read_bag(tmp_path / "a.h5")
    assert bag.tiles is not None
    assert (bag.tiles.size, bag.tile_px) == (level0, 40)
    assert set(bag.features()[:, 1]) == {40}
    assert any(says in line for line in bag.derivation)


def test_resampling_to_the_encoders_size_keeps_the_mean(slide: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    path, pixels = slide
    list(extract(path, tmp_path / "a.h5", encoder=Stand(40), size=100, cover=True))
    bag = read_bag(tmp_path / "a.h5")
    assert bag.tiles is not None
    means = [pixels[y : y + 100, x : x + 100, 0].mean() for x, y in bag.tiles.xy]
    np.testing.assert_allclose(bag.features()[:, 0], means, atol=1.5)


def test_an_encoder_that_wants_many_tiles_at_once_gets_them(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_PIXELS", 2 * 32 * 32)
    encoder = Stand(batch=6)
    list(extract(image[0], tmp_path / "a.h5", encoder=encoder, size=32, cover=True))
    assert len(encoder.sizes) < 5 and min(encoder.sizes[:-1]) >= 6 and sum(encoder.sizes) == 15


def test_a_bag_made_before_settings_were_many_is_kept(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROUTE", 1, raising=False)
    out = tmp_path / "image.h5"
    list(extract(image[0], out, size=32, cover=True))
    with h5py.File(out, "r+") as file:
        said = json.loads(file.attrs[SETTINGS])
        for name in ("within", "min_tissue", "roles", "route"):
            del said[name]
        file.attrs[SETTINGS] = json.dumps(said)
    assert [type(event) for event in extract(image[0], out, size=32, cover=True)] == [Finished]


def test_a_bag_whose_pixels_were_read_in_another_way_is_never_overwritten(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "image.h5"
    list(extract(image[0], out, size=32, cover=True))
    monkeypatch.setattr(reading, "ROUTE", "by hand")
    with pytest.raises(InputError, match="made with another way of reading pixels"):
        list(extract(image[0], out, size=32, cover=True))


def test_a_group_counts_as_what_it_is_said_to_be(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    path = _square(tmp_path / "image.geojson")
    two = json.loads(path.read_text())
    other = json.loads(path.read_text())["features"][0]
    other["geometry"]["coordinates"] = [[[64, 0], [96, 0], [96, 32], [64, 32], [64, 0]]]
    other["properties"]["classification"]["name"] = "Gland"
    path.write_text(json.dumps({**two, "features": [*two["features"], other]}))
    labels = []
    for number, roles in enumerate([None, {"Gland": "tumour"}, {"Gland": "tumour", "Tumor": "ignore"}]):
        out = tmp_path / f"{number}.h5"
        list(extract(image[0], out, size=32, cover=True, contours=path, roles=roles))  # type: ignore[arg-type]
        found = read_bag(out).tile_labels
        assert found is not None
        labels.append(found[:3].tolist())
    assert labels == [[1, 0.5, 0], [1, 0.5, 1], [0, 0, 1]]
    said = outcome(list(extract(image[0], out.with_name("x.h5"), size=32, contours=path, roles={"Nest": "tumour"})))
    assert "Note: no group of contours is called Nest." in said.message


def test_it_is_said_how_many_tiles_are_tumour(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    contours = _square(tmp_path / "image.geojson")
    said = outcome(list(extract(image[0], tmp_path / "a.h5", size=32, cover=True, contours=contours))).message
    assert said.endswith("; 2 of 15 tiles tumour by image.geojson.")


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (0.25, "there are tumour contours, and none of the tiles is tumour"),
        (4.0, "reach beyond the slide of 164 x 100"),
    ],
)
def test_contours_of_another_scale_are_doubted(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, times: float, says: str
) -> None:
    path = _square(tmp_path / "image.geojson")
    told = json.loads(path.read_text())
    ring = told["features"][0]["geometry"]["coordinates"][0]
    told["features"][0]["geometry"]["coordinates"][0] = [[x * times, y * times] for x, y in ring]
    path.write_text(json.dumps(told))
    said = outcome(list(extract(image[0], tmp_path / "a.h5", size=32, cover=True, contours=path))).message
    assert f"Note: {'' if times < 1 else 'some contours '}{says}" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"contours": "contours"}, "made with other contours;"),
        ({"points": "points"}, "made with other points;"),
        ({"roles": {"Gland": "tumour"}}, "made with other roles of contours;"),
        ({"slide_mpp": 0.5}, "made with another pixel size of the slide;"),
    ],
)
def test_every_choice_is_of_the_settings(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, options: dict[str, object], says: str
) -> None:
    (tmp_path / "points.csv").write_text("image,x,y,cls\nimage,33.0,1.0,epithelial\n")
    files = {"contours": _square(tmp_path / "image.geojson"), "points": tmp_path / "points.csv"}
    given = {name: files.get(name, value) for name, value in options.items()}
    list(extract(image[0], tmp_path / "a.h5", size=32, cover=True))
    with pytest.raises(InputError, match=says):
        list(extract(image[0], tmp_path / "a.h5", size=32, cover=True, **given))  # type: ignore[arg-type]


def test_the_folder_of_an_mrxs_is_part_of_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").write_bytes(b"an index")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Data0000.dat").write_bytes(bytes(1000))
    before = fingerprint(tmp_path / "a.mrxs")
    (tmp_path / "a" / "Data0000.dat").write_bytes(bytes(1001))
    assert fingerprint(tmp_path / "a.mrxs") != before


def test_bags_of_one_folder_are_computed_in_one_precision(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(gain: float) -> TorchEncoder:
        monkeypatch.setattr(torch_encoder, "GAIN", gain)
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten()).eval()
        cpu = torch.device("cpu")
        return TorchEncoder(net, name="net", size=32, mean=(0, 0, 0), std=(1, 1, 1), device=cpu)

    other = image[0].with_name("other.png")
    other.write_bytes(image[0].read_bytes())
    out, options = tmp_path / "bags", {"size": 32, "cover": True}
    list(extract_all([image[0]], out, encoder=started(0.0), **options))
    encoder = started(float("inf"))
    assert encoder.precision == "float32"
    *_, last = extract_all([image[0], other], out, encoder=encoder, **options)
    assert (last.why, encoder.precision) == ("done", "bfloat16")
    assert "bfloat16" in " ".join(read_bag(out / "other.h5").derivation)


def test_tissue_is_looked_for_after_a_word_and_a_stop_is_heard_then(
    image: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    stop = Flag()
    events = extract(image[0], tmp_path / "a.h5", size=32, stop=stop)
    assert next(events) == BatchDone(0, 0, 1, phase="tissue")
    stop.set()
    (last,) = events
    assert outcome([last]).why == "stopped" and not (tmp_path / "a.h5").exists()


def test_a_stranger_encoder_that_breaks_leaves_no_file(image: tuple[Path, NDArray[np.uint8]], tmp_path: Path) -> None:
    class Breaks(Stand):
        def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.full((len(tiles), 2), np.nan, np.float32)

    with pytest.raises(InputError, match="NaN or infinite values, in 15 of 15 tiles"):
        list(extract(image[0], tmp_path / "bags" / "a.h5", encoder=Breaks(), size=32, cover=True))
    assert list((tmp_path / "bags").iterdir()) == []


def test_a_slide_that_is_a_folder_is_extracted_and_known_again(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "slide.zarr", tissue(400, 600), "0.5")
    first = list(extract(path, tmp_path / "slide.h5", size=64, cover=True))[-1]
    again = list(extract(path, tmp_path / "slide.h5", size=64, cover=True))[-1]
    assert isinstance(first, Finished) and first.message.startswith("54 tiles x 45 features")
    assert isinstance(again, Finished) and "already" in again.message
    (path / "zarr.json").write_text((path / "zarr.json").read_text().replace("micrometer", "nanometer"))
    with pytest.raises(InputError, match="made with another slide file"):
        list(extract(path, tmp_path / "slide.h5", size=64, cover=True))
