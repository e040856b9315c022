"""How many level-0 px a tile spans."""

from __future__ import annotations

from dataclasses import dataclass

from napari_asmil.encoders.base import Encoder
from napari_asmil.errors import InputError
from napari_asmil.slides import Slide


@dataclass(frozen=True)
class TileEdge:
    """Edge of a tile: `level0` px on the slide, `px` as the encoder sees it, and how that was derived."""

    level0: int
    px: int
    derivation: str


@dataclass(frozen=True)
class TileSize:
    """How large tiles are to be on any slide: `size` level-0 px, or `tile_px` at `mpp` micrometres per px."""

    size: int | None = None
    tile_px: int | None = None
    mpp: float | None = None

    def suited(self, encoder: Encoder) -> TileSize:
        """The same, with what the encoder was made for where nothing else is asked.

        Raises
        ------
        InputError
            When neither or both ways are given, or a number is not positive.
        """
        if self.size is not None:
            found = self
        else:
            found = TileSize(None, self.tile_px or encoder.tile_px, encoder.mpp if self.mpp is None else self.mpp)
        check_tile_size(tile_px=found.tile_px, mpp=found.mpp, size=found.size)
        return found


def tile_edge(
    slide: Slide,
    *,
    tile_px: int | None = None,
    mpp: float | None = None,
    size: int | None = None,
    sees: int | None = None,
) -> TileEdge:
    """The whole number of level-0 px that a tile spans.

    Either `size` in level-0 px, the tile then being the slide's own pixels, or `tile_px` at `mpp` micrometres per
    pixel, converted with the slide's own mpp and rounded. An encoder that `sees` an edge of its own gets tiles
    resampled to that.

    Raises
    ------
    InputError
        When neither or both are given, a number is not positive, or the slide has no mpp to convert with.
    """
    check_tile_size(tile_px=tile_px, mpp=mpp, size=size)
    if size is not None:
        seen = "" if sees in (None, size) else f", seen by the encoder as {sees} px"
        return TileEdge(size, sees or size, f"tile edge {size} level-0 px, as asked{seen}")
    assert tile_px is not None
    assert mpp is not None
    if slide.mpp is None:
        raise InputError(
            f"The slide does not say its micrometres per pixel, so {tile_px} px at {mpp:g} mpp cannot be laid on it.",
            remedy="Give the tile size in level-0 px (--size), or the pixel size of the slide (--slide-mpp).",
            path=slide.path,
        )
    exact = tile_px * mpp / slide.mpp
    edge = max(1, round(exact))
    px = sees or tile_px
    seen = "" if px == tile_px else f" of the {px} px that the encoder sees"
    derivation = (
        f"tile edge {edge} level-0 px = {tile_px} px x {mpp:g} mpp / {slide.mpp:g} mpp of the slide"
        f" ({slide.mpp_source}) = {exact:.3f}, rounded; true mpp {slide.mpp * edge / px:.5g}{seen}"
    )
    return TileEdge(edge, px, derivation)


def check_tile_size(*, tile_px: int | None, mpp: float | None, size: int | None) -> None:
    """Refuse what is no tile size on any slide.

    Raises
    ------
    InputError
        When neither or both ways are given, or a number is not positive.
    """
    if (size is None) == (tile_px is None) or (tile_px is None) != (mpp is None):
        raise InputError(
            "The tile size must be either a size in level-0 px (--size), or px at a scale"
            " (--tile-px together with --mpp)."
        )
    if size is not None and size < 1:
        raise InputError(f"The tile size (--size) must be positive, not {size} px.")
    if tile_px is not None and mpp is not None and not (tile_px >= 1 and mpp > 0):
        raise InputError(f"The tile size (--tile-px at --mpp) must be positive, not {tile_px} px at {mpp} mpp.")
