"""Chunks of a zarr array decoded only where they become about as large as a chunk is.

A megabyte of zlib may hold a gigabyte, and numcodecs takes memory for whatever comes out. How much that is, is told
from the headers of blosc, LZ4 (numcodecs' four bytes before it) and Zstandard (RFC 8878), and by unpacking the other
codecs piece by piece without keeping it.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer

PIECE = 2**20
"""Bytes that are unpacked at once to be counted."""

MOST_CHUNKS = 2**20
"""Chunks of a shard at most: an index of them all is read."""

_KEEP_SIZE = ("delta", "shuffle")
"""Filters of zarr 2 after which there are as many bytes as before."""

_ZSTD_BLOCK = 2**17
"""Bytes that a block of Zstandard becomes at most."""


def bounded(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """The same array, of which a chunk that becomes far larger than a chunk is refused before memory is taken for it.

    Raises
    ------
    ValueError
        When a codec is none of which that can be told; so is reading a chunk that is too large.
    """
    metadata, most = array.metadata, 2 * prod(array.chunks) * array.dtype.itemsize + PIECE
    if array.shards and prod(array.shards) > MOST_CHUNKS * prod(array.chunks):
        raise ValueError(f"a shard is of {' x '.join(map(str, array.shards))} samples")
    if metadata.zarr_format == 2:
        for one in metadata.filters or ():
            if one.codec_id not in _KEEP_SIZE:
                raise ValueError(f"the filter {one.codec_id} is not read")
        changed: dict[str, Any] = {"compressor": metadata.compressor and _Compressor(metadata.compressor, most)}
    else:
        changed = {"codecs": tuple(_bounded(codec, most) for codec in metadata.codecs)}
    for name, value in changed.items():
        object.__setattr__(metadata, name, value)  # zarr offers no way to open an array with other codecs
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))


def _bounded(codec: Any, most: int) -> Any:
    if isinstance(codec, BytesCodec | Crc32cCodec | TransposeCodec):
        return codec
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=tuple(_bounded(one, most) for one in codec.codecs))
    name = str(codec.to_dict()["name"]).removeprefix("numcodecs.")
    if not isinstance(codec, BytesBytesCodec) or name not in _SIZES:
        raise ValueError(f"the codec {name} is not read")
    return _Codec(codec, name, most)


class _Compressor:
    """A compressor of zarr 2."""

    def __init__(self, inner: Any, most: int) -> None:
        if inner.codec_id not in _SIZES:
            raise ValueError(f"the codec {inner.codec_id} is not read")
        self.codec_id = inner.codec_id
        self._inner, self._most = inner, most

    def get_config(self) -> Any:
        return self._inner.get_config()

    def encode(self, data: Any) -> Any:
        raise NotImplementedError

    def decode(self, data: Any, out: Any = None) -> Any:
        _check(self.codec_id, data, self._most)
        return self._inner.decode(data, out)


@dataclass(frozen=True)
class _Codec(BytesBytesCodec):
    """A compressor of zarr 3."""

    inner: BytesBytesCodec
    name: str
    most: int
    is_fixed_size = False

    def to_dict(self) -> dict[str, Any]:
        return self.inner.to_dict()

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> _Codec:
        return replace(self, inner=self.inner.evolve_from_array_spec(array_spec))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        return self.inner.compute_encoded_size(input_byte_length, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        await asyncio.to_thread(_check, self.name, chunk_data.as_numpy_array(), self.most)
        (found,) = await self.inner.decode([(chunk_data, chunk_spec)])
        assert found is not None
        return found


def _check(name: str, data: Any, most: int) -> None:
    packed, size = memoryview(data).cast("B"), 0
    for more in _SIZES[name](packed):
        size += more
        if size > most:
            raise ValueError(f"a chunk of {len(packed):,} bytes becomes more than the {most:,} that it may")


def _blosc(packed: memoryview) -> Iterator[int]:
    yield int.from_bytes(packed[4:8], "little")


def _lz4(packed: memoryview) -> Iterator[int]:
    yield int.from_bytes(packed[:4], "little")


def _zlib(packed: memoryview) -> Iterator[int]:
    unpacking, left = zlib.decompressobj(), bytes(packed)
    while not unpacking.eof and (found := unpacking.decompress(left, PIECE)):
        left = unpacking.unconsumed_tail
        yield len(found)


def _stream(opened: Callable[[io.BytesIO], Any]) -> Callable[[memoryview], Iterator[int]]:
    def sizes(packed: memoryview) -> Iterator[int]:
        with opened(io.BytesIO(packed)) as file:
            while found := file.read(PIECE):
                yield len(found)

    return sizes


def _zstd(packed: memoryview) -> Iterator[int]:
    """The size that a frame states, else what its blocks become at most; of all its frames."""
    at = 0
    while at + 5 <= len(packed):
        if bytes(packed[at + 1 : at + 4]) == b"\x2a\x4d\x18":  # a frame to be skipped
            at += 8 + int.from_bytes(packed[at + 4 : at + 8], "little")
            continue
        described = packed[at + 4]
        in_one, kind = described >> 5 & 1, described >> 6
        width = (in_one, 2, 4, 8)[kind]
        at += 5 + (1 - in_one) + (0, 1, 2, 4)[described & 3]
        stated = int.from_bytes(packed[at : at + width], "little") + (256 if width == 2 else 0)
        yield stated
        at += width
        last = False
        while not last and at + 3 <= len(packed):
            block = int.from_bytes(packed[at : at + 3], "little")
            last = bool(block & 1)
            at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            yield 0 if width else _ZSTD_BLOCK
        at += 4 * (described >> 2 & 1)


_SIZES: dict[str, Callable[[memoryview], Iterator[int]]] = {
    "blosc": _blosc,
    "lz4": _lz4,
    "zstd": _zstd,
    "zlib": _zlib,
    "gzip": _stream(lambda file: gzip.GzipFile(fileobj=file)),
    "bz2": _stream(bz2.BZ2File),
}
"""By the name of the codec: sizes of the pieces that packed bytes become, one after the other."""
