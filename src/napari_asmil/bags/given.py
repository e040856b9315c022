"""What a person knows of a bag that its file may not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_asmil.errors import InputError
from napari_asmil.frame import Frame
from napari_asmil.slides import open_slide


@dataclass(frozen=True)
class Given:
    """Facts for a layout's ``read`` besides the file; each may be None.

    Attributes
    ----------
    slide : Path or None
        The slide's file.
    frame : Frame or None
        Of that slide.
    mpp : float or None
        Micrometres per level-0 px: what the user says, else what the slide says.
    tile_size : float or None
        Edge of a tile in level-0 px, as the user says.
    """

    slide: Path | None = None
    frame: Frame | None = None
    mpp: float | None = None
    tile_size: float | None = None

    @classmethod
    def of(cls, slide: str | Path | None = None, *, mpp: float | None = None, tile_size: float | None = None) -> Given:
        """Checked, and with what the slide file says.

        Raises
        ------
        InputError
            When the slide cannot be opened or a number is not positive.
        """
        for what, number in (("size of a pixel", mpp), ("tile edge", tile_size)):
            if number is not None and not 0 < number < float("inf"):
                raise InputError(f"{number} is no {what}.", remedy="Give a positive number.")
        if slide is None:
            return cls(mpp=mpp, tile_size=tile_size)
        with open_slide(slide, mpp=mpp) as opened:
            return cls(Path(slide), opened.frame, opened.mpp, tile_size)
