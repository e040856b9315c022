"""How large a picture is that lies in a tile, from its header: JPEG, JPEG 2000, JPEG XR, PNG and WebP.

Described in ITU T.81 (B.2), T.800 (A.5 and I.4), T.832 (annex A), the PNG specification (5.6) and RFC 9649.
"""

from __future__ import annotations

from collections.abc import Callable

Size = tuple[int, int, int]
"""Rows, columns and samples a pixel."""

_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
"""Markers that a picture's size follows."""


def jpeg(data: bytes) -> Size | None:
    """Of the frame; None where there is none, as of all here."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            return _big(data, at + 5, 2), _big(data, at + 7, 2), data[at + 9]
        at += 1 if marker == 0xFF else 2 + _big(data, at + 2, 2)
    return None


def jpeg2000(data: bytes) -> Size | None:
    """Of the codestream, which may lie in a box."""
    at = 0
    if data[4:8] == b"jP  ":
        while at + 8 <= len(data) and data[at + 4 : at + 8] != b"jp2c":
            length = _big(data, at, 4)
            if length < 8:
                return None
            at += length
        at += 16 if _big(data, at, 4) == 1 else 8
    if data[at : at + 4] != b"\xff\x4f\xff\x51" or len(data) < at + 42:
        return None
    return _big(data, at + 12, 4), _big(data, at + 8, 4), _big(data, at + 40, 2)


def jpeg_xr(data: bytes) -> Size | None:
    """Of the first directory, built as a TIFF's."""
    if data[:3] != b"II\xbc":
        return None
    at = _little(data, 4, 4)
    entries = (data[place : place + 12] for place in range(at + 2, at + 2 + 12 * _little(data, at, 2), 12))
    found = {_little(one, 0, 2): _little(one, 8, 2 if _little(one, 2, 2) == 3 else 4) for one in entries}
    return (found[0xBC81], found[0xBC80], 4) if {0xBC80, 0xBC81} <= found.keys() else None


def png(data: bytes) -> Size | None:
    """Of the header."""
    return (_big(data, 20, 4), _big(data, 16, 4), 4) if data[12:16] == b"IHDR" and len(data) > 24 else None


def webp(data: bytes) -> Size | None:
    """Of the canvas, or of the only picture."""
    kind = data[12:16] if data[:4] == b"RIFF" and len(data) >= 30 else b""
    if kind == b"VP8X":
        return 1 + _little(data, 27, 3), 1 + _little(data, 24, 3), 4
    if kind == b"VP8L":
        packed = _little(data, 21, 4)
        return 1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF), 4
    if kind == b"VP8 ":
        return _little(data, 28, 2) & 0x3FFF, _little(data, 26, 2) & 0x3FFF, 4
    return None


def _big(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "big")


def _little(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "little")


SIZES: dict[int, Callable[[bytes], Size | None]] = {
    **dict.fromkeys((6, 7, 34892, 33007), jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), jpeg2000),
    **dict.fromkeys((22610, 34934), jpeg_xr),
    34933: png,
    **dict.fromkeys((34927, 50001), webp),
}
"""By TIFF's number of the compression."""

BOUNDED = (1, 5, 8, 32773, 32946, 34925, 50000, 34926)
"""Compressions whose decoder is told how much may come out: none, LZW, deflate, PackBits, LZMA and Zstandard."""
