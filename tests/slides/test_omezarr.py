"""OME-Zarr folders of version 0.4 and 0.5, written from their specification, and those that lead astray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from napari_asmil.slides import omezarr, sniff

SHAPE = (300, 421)


def write(
    folder: Path,
    levels: list[NDArray[np.generic]],
    axes: str,
    version: str = "0.4",
    *,
    scale: float = 0.25,
    unit: str | None = "micrometer",
    paths: list[str] | None = None,
    overall: float | None = None,
) -> Path:
    """A pyramid of levels whose axes are called so; a pixel of level 0 is `scale` units."""
    form = 2 if version == "0.4" else 3
    root = zarr.create_group(folder, zarr_format=form)
    datasets = []
    for index, level in enumerate(levels):
        chunks = tuple(64 if axis in "yx" else 1 for axis in axes)
        separator = {"chunk_key_encoding": {"name": "v2" if form == 2 else "default", "separator": "/"}}
        array = root.create_array(str(index), shape=level.shape, chunks=chunks, dtype=level.dtype, **separator)
        array[:] = level
        factor = levels[0].shape[axes.index("y")] / level.shape[axes.index("y")]
        transform = {"type": "scale", "scale": [scale * factor if axis in "yx" else 1.0 for axis in axes]}
        path = str(index) if paths is None else paths[index]
        datasets.append({"path": path, "coordinateTransformations": [transform]})
    kinds = {"t": "time", "c": "channel"}
    described = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    for axis in described:
        if unit and axis["type"] == "space":
            axis["unit"] = unit
    image: dict[str, object] = {"axes": described, "datasets": datasets}
    if overall is not None:
        image["coordinateTransformations"] = [{"type": "scale", "scale": [overall] * len(axes)}]
    if version == "0.4":
        root.attrs["multiscales"] = [{"version": "0.4", **image}]
    else:
        root.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return folder


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_scale_and_pixels_are_those_of_the_folder(tmp_path, rgb, version):
    folder = write(tmp_path / "slide.zarr", [rgb, rgb[:, ::2, ::2], rgb[:, ::4, ::4]], "cyx", version)
    assert sniff(folder)
    with open_slide(folder) as slide:
        assert slide.describe()[0] == f"slide, OME-Zarr {version}, read by zarr"
        assert slide.mpp == pytest.approx(0.25)
        assert slide.mpp_source == "scale and unit of the OME-Zarr metadata"
        assert slide.reads == 0
        assert [level.shape[:2] for level in slide.levels] == [SHAPE, (150, 211), (75, 106)]
        for level, step in zip(slide.levels, (1, 2, 4), strict=True):
            np.testing.assert_array_equal(level, np.moveaxis(rgb[:, ::step, ::step], 0, 2))
        np.testing.assert_array_equal(slide.read(0, 50, 200, 60, 130), np.moveaxis(rgb, 0, 2)[50:200, 60:130])


@pytest.mark.parametrize("axes", ["tczyx", "czyx", "tcyx", "zyx", "yx", "tyx", "yxc", "cyx"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_axes_are_told_by_name_and_the_first_time_and_plane_are_shown(tmp_path, axes, channels):
    if "c" not in axes and channels > 1:
        return
    lengths = {"t": 2, "z": 3, "c": channels, "y": 40, "x": 50}
    array = np.random.default_rng(1).integers(0, 256, [lengths[axis] for axis in axes], dtype=np.uint8)
    first = array[tuple(0 if axis in "tz" else slice(None) for axis in axes)]
    first = (
        np.moveaxis(first, axes.replace("t", "").replace("z", "").index("c"), 2) if "c" in axes else first[..., None]
    )
    shown = np.repeat(first, 3, axis=2) if first.shape[2] == 1 else first[..., :3]
    shown = np.pad(shown, ((0, 0), (0, 0), (0, 3 - shown.shape[2])))
    with open_slide(write(tmp_path / "s.zarr", [array], axes)) as slide:
        np.testing.assert_array_equal(slide.levels[0], shown)
        told = " ".join(slide.describe())
        assert ("the first of 2 time points" in told) == ("t" in axes)
        assert ("the first of 3 focal planes" in told) == ("z" in axes)
        assert ("5 channels, of which the first three" in told) == (channels == 5)


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"scale": 250, "unit": "nanometer"}, 0.25),
        ({"scale": 0.00025, "unit": "millimeter"}, 0.25),
        ({"scale": 1.0, "overall": 0.25}, 0.25),
        ({"unit": None}, None),
        ({"unit": "parsec"}, None),
        ({"scale": 0.0}, None),
        ({"scale": 4000.0}, None),
    ],
)
def test_the_pixel_size_is_scale_times_unit_or_unknown_with_the_reason(tmp_path, rgb, options, mpp):
    with open_slide(write(tmp_path / "s.zarr", [rgb], "cyx", **options)) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp))
        assert mpp is not None or slide.mpp_source.startswith("unknown")


def test_16_bit_values_are_scaled_by_the_bits_in_use(tmp_path, rgb):
    deep = rgb.astype(np.uint16) << 4
    deep[:, 0, 0] = 4095
    with open_slide(write(tmp_path / "s.zarr", [deep], "cyx")) as slide:
        assert slide.reads == 0
        np.testing.assert_array_equal(slide.levels[0], np.moveaxis(deep >> 4, 0, 2))


def test_a_folder_of_bioformats2raw_shows_its_first_image_and_says_so(tmp_path, rgb):
    zarr.create_group(tmp_path / "s.zarr", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for image in ("0", "1"):
        write(tmp_path / "s.zarr" / image, [rgb if image == "0" else rgb[:, ::2, ::2]], "cyx")
    with open_slide(tmp_path / "s.zarr") as slide:
        assert slide.shape == SHAPE
        assert any("2 images in the folder; image 0 is shown" in line for line in slide.describe())


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../outside.zarr/0", "/etc", "..", ".", "", "0/../../outside.zarr/0"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_outside_the_folder_is_refused(tmp_path, rgb, path, version):
    write(tmp_path / "outside.zarr", [rgb], "cyx", version)
    folder = write(tmp_path / "s.zarr", [rgb], "cyx", version, paths=[path])
    with pytest.raises(InputError, match=r"s\.zarr.*lies outside its folder"):
        open_slide(folder)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, rgb):
    outside = write(tmp_path / "outside.zarr", [rgb], "cyx")
    folder = write(tmp_path / "s.zarr", [rgb], "cyx")
    shutil.rmtree(folder / "0")
    (folder / "0").symlink_to(outside / "0")
    with pytest.raises(InputError, match="lies outside its folder"):
        open_slide(folder)
    (folder / "0").unlink()
    shutil.copytree(outside / "0", folder / "0")
    chunk = folder / "0" / "0" / "0" / "0"
    chunk.unlink()
    chunk.symlink_to(outside / "0" / "0" / "0" / "0")
    with open_slide(folder) as slide, pytest.raises(InputError, match="leads out of its folder"):
        slide.read(0, 0, 10, 0, 10)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16])
def test_other_samples_than_8_or_16_bits_are_refused(tmp_path, dtype):
    with pytest.raises(InputError, match=rf"{np.dtype(dtype).name}.*8-bit RGB"):
        open_slide(write(tmp_path / "s.zarr", [np.zeros((20, 30), dtype)], "yx"))


def test_chunks_too_large_to_be_decoded_are_refused(tmp_path):
    folder = write(tmp_path / "s.zarr", [np.zeros((20, 30), np.uint8)], "yx")
    described = json.loads((folder / "0" / ".zarray").read_text())
    (folder / "0" / ".zarray").write_text(json.dumps({**described, "shape": [10**9, 10**9], "chunks": [10**9, 10**9]}))
    with pytest.raises(InputError, match="can only be decoded whole"):
        open_slide(folder)


def test_a_size_that_no_slide_has_is_refused_at_once(tmp_path):
    folder = write(tmp_path / "s.zarr", [np.zeros((20, 30), np.uint8)], "yx")
    described = json.loads((folder / "0" / ".zarray").read_text())
    (folder / "0" / ".zarray").write_text(json.dumps({**described, "shape": [10**9, 10**9]}))
    with pytest.raises(InputError, match="smallest level has 1000000000 x 1000000000 px"):
        open_slide(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.pop("datasets"),
        lambda image: image.update(datasets=[]),
        lambda image: image.update(datasets=[{"path": 3}]),
        lambda image: image.update(datasets=[{"path": "9"}]),
        lambda image: image.update(axes=[{"name": "a"}] * 3),
        lambda image: image.update(axes=[{"name": "y"}, {"name": "x"}]),
        lambda image: image.update(axes=7),
        lambda image: image["datasets"][0].update(coordinateTransformations=[{"type": "scale", "scale": ["a", 1]}]),
        lambda image: image["datasets"][0].update(coordinateTransformations=3),
    ],
)
def test_metadata_that_does_not_hold_together_is_a_sentence(tmp_path, rgb, change):
    folder = write(tmp_path / "s.zarr", [rgb], "cyx")
    described = json.loads((folder / ".zattrs").read_text())
    change(described["multiscales"][0])
    (folder / ".zattrs").write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"s\.zarr"):
        open_slide(folder)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"multiscales": ' + "[" * 100_000, "", "null", "[]", "{", "\udc80"]
)
def test_a_folder_whose_metadata_says_nothing_is_just_a_folder(tmp_path, content):
    folder = tmp_path / "s.zarr"
    folder.mkdir()
    (folder / ".zattrs").write_text(content, errors="surrogateescape")
    assert not omezarr.sniff(folder)
    with pytest.raises(InputError, match="folder"):
        open_slide(folder)
