"""Files that open as a picture and are the index of a slide that lies beside them: Olympus VSI, 3DHISTECH MRXS."""

from __future__ import annotations

from pathlib import Path

from napari_asmil.slides.backend import Unreadable


def refuse_index(path: Path) -> None:
    """Refuse what would open as something far smaller than the slide it stands for.

    A VSI is a TIFF of an overview, whose slide is in ``_NAME_/stack*/*.ets``; an MRXS is a JPEG, whose slide is in
    ``NAME/*.dat`` with a ``Slidedat.ini``.

    Raises
    ------
    Unreadable
        Other backends may know how to follow it.
    """
    if path.suffix.lower() == ".vsi" or any(path.with_name(f"_{path.stem}_").glob("*/*.ets")):
        raise Unreadable(
            f"It is the index of an Olympus VSI slide, whose pixels are in the .ets files of the folder _{path.stem}_,"
            " which neither tifffile nor OpenSlide reads.",
            remedy="Convert it to a pyramidal OME-TIFF (for example with bfconvert or QuPath).",
            path=path,
        )
    if path.suffix.lower() == ".mrxs" or path.with_suffix("").joinpath("Slidedat.ini").is_file():
        raise Unreadable(
            f"It is the index of an MRXS slide, whose pixels are in the folder {path.stem} beside it.",
            remedy="Copy that folder too, whole and under this name.",
            path=path,
        )
