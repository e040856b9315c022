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
        Micrometres per level-0 px, as the user says.
    tile_size : float or None
        Edge of a tile in level-0 px, as the user says.
    """

    slide: Path | None = None
    frame: Frame | None = None
    mpp: float | None = None
    tile_size: float | None = None

    @property
    def known_mpp(self) -> float | None:
        """What the user says, else what the slide says."""
        return self.mpp or (None if self.frame is None else self.frame.mpp)

    @property
    def mpp_source(self) -> str:
        """Who says that, in words."""
        return "as given" if self.mpp or self.known_mpp is None else "the slide"

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
            return cls(Path(slide), opened.frame, mpp, tile_size)


def pixel_size(*said: tuple[float | None, str]) -> tuple[float | None, list[str]]:
    """Micrometres per level-0 px by the first who says them, and a line for each other who says something else.

    Parameters
    ----------
    said : (float or None, str)
        What each says and who it is, the one to be believed first: the user, then the feature file, then the slide.
    """
    known = [(mpp, who) for mpp, who in said if mpp]
    if not known:
        return None, []
    taken, by = known[0]
    return taken, [
        f"pixel sizes differ: {taken:.4g} µm per level-0 px, {by}, is taken, and not {mpp:.4g}, {who}"
        for mpp, who in known[1:]
        if abs(mpp - taken) > 0.01 * taken
    ]
