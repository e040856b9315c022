"""Every codec that writers of OME-Zarr use is read; a chunk that would become far larger than itself is not."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs

from napari_asmil import open_slide
from napari_asmil.errors import InputError
from tests.memory import forget_peak, needs_watching, peak

pytestmark = needs_watching

SHAPE = (200, 150)
OF_2 = {
    "none": None,
    "blosc": numcodecs.Blosc("lz4"),
    "zlib": numcodecs.Zlib(),
    "gzip": numcodecs.GZip(),
    "bz2": numcodecs.BZ2(),
    "lz4": numcodecs.LZ4(),
    "zstd": numcodecs.Zstd(),
}
OF_3 = {
    "none": None,
    "blosc": zarr.codecs.BloscCodec(),
    "gzip": zarr.codecs.GzipCodec(),
    "zstd": zarr.codecs.ZstdCodec(checksum=True),
    "zstd, then a checksum": (zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()),
}
ZEROS = bytes(2**26)


def written(folder: Path, version: int, **options: Any) -> tuple[Path, np.ndarray]:
    """A grey image of one level in chunks of 64 px."""
    values = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    root = zarr.create_group(folder, zarr_format=version)
    root.create_array("0", shape=SHAPE, chunks=(64, 64), dtype=np.uint8, **options)[:] = values
    image = {"axes": [{"name": axis, "type": "space"} for axis in "yx"], "datasets": [{"path": "0"}]}
    if version == 2:
        root.attrs["multiscales"] = [image]
    else:
        root.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return folder, values


def assert_reads(folder: Path, values: np.ndarray) -> None:
    with open_slide(folder) as slide:
        np.testing.assert_array_equal(slide.levels[0], np.stack([values] * 3, axis=2))


def assert_refused(folder: Path) -> None:
    with open_slide(folder) as slide:
        before = forget_peak()
        with pytest.raises(InputError, match=r"a chunk of [\d,]+ bytes becomes more than the [\d,]+ that it may"):
            slide.read(0, 0, 8, 0, 8)
        assert peak() - before < len(ZEROS) / 2**20 / 2


@pytest.mark.parametrize("codec", OF_2)
def test_chunks_of_zarr_2_are_read_and_bombs_are_not(tmp_path, codec):
    folder, values = written(tmp_path / "s.zarr", 2, compressors=OF_2[codec])
    assert_reads(folder, values)
    if OF_2[codec] is not None:
        (folder / "0" / "0.0").write_bytes(OF_2[codec].encode(ZEROS))
        assert_refused(folder)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("codec", OF_3)
def test_chunks_of_zarr_3_are_read_and_bombs_are_not(tmp_path, codec, sharded):
    shards = {"shards": (256, 192)} if sharded else {}
    folder, values = written(tmp_path / "s.zarr", 3, compressors=OF_3[codec], **shards)
    assert_reads(folder, values)
    if codec in OF_2 and OF_2[codec] is not None:
        bomb = OF_2[codec].encode(ZEROS)
        if sharded:  # the bytes of chunks, then where each lies, then the checksum of that
            index = struct.pack("<2Q", 0, len(bomb)) * 12
            bomb += index + crc32c(index)
        (folder / "0" / "c" / "0" / "0").write_bytes(bomb)
        assert_refused(folder)


def crc32c(content: bytes) -> bytes:
    """The Castagnoli checksum (RFC 3720), bit by bit."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return (rest ^ 0xFFFFFFFF).to_bytes(4, "little")


def streamed(*blocks: bytes) -> bytes:
    """A frame of Zstandard (RFC 8878) that does not say its size, of blocks stored as they are."""
    heads = [(len(block) << 3 | (block is blocks[-1])).to_bytes(3, "little") for block in blocks]
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(head + block for head, block in zip(heads, blocks, strict=True))


def test_zstandard_that_does_not_say_its_size_is_read_by_what_its_blocks_become_at_most(tmp_path):
    folder, values = written(tmp_path / "s.zarr", 2, compressors=numcodecs.Zstd())
    first = values[:64, :64].tobytes()
    (folder / "0" / "0.0").write_bytes(streamed(first[:1000], first[1000:]))
    assert_reads(folder, values)
    repeated = (2**17 << 3 | 2).to_bytes(3, "little") + b"\0"  # one byte, 128 KB of it
    (folder / "0" / "0.0").write_bytes(b"\x28\xb5\x2f\xfd\x00\x58" + 2000 * repeated + b"\x01\0\0")
    assert_refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"compressor": {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}},
        {"filters": [{"id": "zlib", "level": 1}]},
        {"filters": [{"id": "pickle", "protocol": 5}]},
        {"compressor": {"id": "pickle", "protocol": 5}},
    ],
)
def test_codecs_of_which_nobody_can_tell_what_they_become_are_refused_by_name(tmp_path, change):
    folder, _ = written(tmp_path / "s.zarr", 2)
    described = json.loads((folder / "0" / ".zarray").read_text())
    (folder / "0" / ".zarray").write_text(json.dumps({**described, **change}))
    with pytest.raises(InputError, match=r"s\.zarr.*(lzma is not read|zlib is not read|pickle)"):
        open_slide(folder)


def test_a_zlib_chunk_that_ends_too_early_is_a_sentence(tmp_path):
    folder, values = written(tmp_path / "s.zarr", 2, compressors=numcodecs.Zlib())
    (folder / "0" / "0.0").write_bytes(zlib.compress(values.tobytes())[:100])
    with open_slide(folder) as slide, pytest.raises(InputError, match="cannot be decoded"):
        slide.read(0, 0, 8, 0, 8)
