"""Damaged, lying and malicious files: a sentence, soon, and no memory taken for what is not there."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from tests.slides.mutations import directory_places, mutated, within_bounds

TILED = {"photometric": "rgb", "tile": (64, 64), "metadata": None}
KINDS = ("jpeg", "deflate", "lzw", "jpeg2000", "webp", None, "ome", "channels", "palette", "png", "jpg")


def written(path: Path, kind: str | None, pixels: NDArray[np.uint8]) -> Path:
    if kind in ("png", "jpg"):
        Image.fromarray(pixels).save(path, format={"png": "PNG", "jpg": "JPEG"}[kind])
    elif kind == "channels":
        stack = np.moveaxis(pixels, 2, 0).astype(np.uint16)
        tifffile.imwrite(path, stack, ome=True, metadata={"axes": "CYX"}, photometric="minisblack")
    elif kind == "palette":
        colours = np.zeros((3, 256), np.uint16)
        tifffile.imwrite(path, pixels[..., 0], photometric="palette", colormap=colours, metadata=None)
    elif kind == "ome":
        options = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
        with tifffile.TiffWriter(path, ome=True) as writer:
            writer.write(
                pixels, subifds=1, metadata={"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}, **options
            )
            writer.write(pixels[::2, ::2], subfiletype=1, **options)
    else:
        with tifffile.TiffWriter(path) as writer:
            for step in (1, 2, 4):
                described = "Aperio Image Library v1\r\nMPP = 0.25"
                writer.write(pixels[::step, ::step], compression=kind, description=described, **TILED)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_files_with_changed_bytes_open_or_are_refused_in_words(tmp_path, kind, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    content = written(tmp_path / "whole", kind, pixels).read_bytes()
    places = directory_places(content)
    opened = 0
    for seed in range(60):
        path = tmp_path / f"mutated{seed}"
        path.write_bytes(mutated(content, places, seed))
        opened += within_bounds(path)
    assert opened > 0
    assert "Traceback" not in capsys.readouterr().err


def classic_tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of one directory with these entries (tag, type, count, value or offset)."""
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return (
        head + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", following) + bytes(4096)
    )


def plain(width: int, height: int, tile: int = 0, count: int = 1) -> list[tuple[int, int, int, int]]:
    """Entries of an uncompressed grey image, in `count` tiles or strips that lie somewhere."""
    common = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    if tile:
        return [
            *common,
            (277, 3, 1, 1),
            (322, 4, 1, tile),
            (323, 4, 1, tile),
            (324, 4, count, 600),
            (325, 4, count, 600),
        ]
    return [*common, (273, 4, count, 600), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, count, 600)]


@pytest.mark.parametrize(
    "content",
    [
        classic_tiff(*plain(10**9, 10**9, 256)),
        classic_tiff(*plain(10**9, 10**9, 256, count=1000)),
        classic_tiff(*plain(10**9, 10**9, 256, count=10**8)),
        classic_tiff(*plain(10**9, 10**9, 10**9)),
        classic_tiff(*plain(65536, 65536, 65536)),
        classic_tiff(*plain(10**9, 10**9)),
        classic_tiff(*plain(10**9, 10**9, count=10**9)),
        classic_tiff(*plain(0, 0)),
        classic_tiff(*plain(10, 0, 256)),
        classic_tiff(*plain(2**32 - 1, 2**32 - 1, 2**32 - 1)),
        classic_tiff(),
        classic_tiff(*plain(16, 16), (270, 2, 2**32 - 1, 200)),
        b"II+\0\x08\0\0\0" + bytes(8),
    ],
)
def test_a_size_or_number_of_tiles_that_is_not_there_is_refused_at_once(tmp_path, content):
    path = tmp_path / "liar.tif"
    path.write_bytes(content)
    assert not within_bounds(path)


def test_a_directory_that_leads_back_to_itself_ends(tmp_path):
    path = tmp_path / "circle.tif"
    path.write_bytes(classic_tiff(*plain(16, 16), following=8))
    within_bounds(path)
    with pytest.raises(InputError, match=r"circle\.tif"):
        open_slide(path)


def ome(sizes: str, inside: str) -> str:
    """OME-XML of one image."""
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {sizes}>{inside}</Pixels>'
    where = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<?xml version="1.0"?><OME xmlns="{where}"><Image ID="Image:0">{pixels}</Image></OME>'


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
        + "]><OME>&i;</OME>",
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><scn>&b;</scn>',
        "<a>" * 50_000 + "</OME>",
        ome('SizeX="1000000000" SizeY="9" SizeZ="9" SizeC="9" SizeT="9"', "<TiffData/>"),
        ome('SizeX="64" SizeY="64" SizeZ="1" SizeC="3" SizeT="1"', '<TiffData PlaneCount="1000000000"/>'),
        ome('SizeX="64" SizeY="64" SizeZ="1000000000" SizeC="3" SizeT="1"', '<TiffData FirstZ="999999999"/>'),
        ome('SizeX="64" SizeY="64" SizeZ="-1" SizeC="3" SizeT="1"', "<TiffData/>"),
        "<scn><collection><image><pixels><dimension c='1000000000' ifd='0'/></pixels></image></collection></scn>",
        '{"shape": [1000000000, 64, 64, 3]}',
        "ImageJ=1.11a\nimages=1000000000\nslices=1000000000\nhyperstack=true\n",
        "<OME>" + "<Image/>" * 10_000 + "</OME>",
    ],
)
def test_metadata_made_to_harm_does_not(tmp_path, text):
    path = tmp_path / "harm.tif"
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), description=text, photometric="rgb", metadata=None)
    within_bounds(path)


def test_an_ome_set_does_not_lead_to_files_elsewhere(tmp_path):
    outside = tmp_path / "outside.tif"
    tifffile.imwrite(outside, np.full((64, 64, 3), 7, np.uint8), photometric="rgb", metadata=None)
    folder = tmp_path / "inside"
    folder.mkdir()
    text = ome(
        'SizeX="64" SizeY="64" SizeZ="1" SizeC="3" SizeT="1"',
        '<Channel SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"><UUID FileName="../outside.tif">'
        "urn:uuid:00000000-0000-0000-0000-000000000000</UUID></TiffData>",
    )
    path = folder / "set.ome.tif"
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), description=text, photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        assert (np.asarray(slide.levels[0]) == 0).all()
        assert any("names 1 other file(s)" in line and "not read" in line for line in slide.describe())
