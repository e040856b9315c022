"""What a picture of a map must say about itself, in words: the same on its legend and in its file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

import napari_asmil
from napari_asmil.analysis import dynamics
from napari_asmil.errors import InputError
from napari_asmil.render.compositor import Limits
from napari_asmil.render.scene import tiles_of
from napari_asmil.runs.imported import NO_NUMBER

if TYPE_CHECKING:
    from napari_asmil.annotations import Contours
    from napari_asmil.runs.view import MapView
    from napari_asmil.slides.slide import Slide

SOFTWARE = f"napari-asmil {napari_asmil.__version__}"


def chosen_limits(view: MapView, epoch: int, limits: Limits | str | None) -> tuple[Limits, str]:
    """Colour limits, and where they are from in words.

    `limits` is None (locked over all committed epochs), "epoch" (of this one alone) or two numbers.
    """
    if view.transform.limits is not None and limits in (None, "epoch"):
        return view.transform.limits, "the whole range of this transform"
    if limits is None:
        return view.limits(), f"locked over epochs 0–{len(view) - 1}" if len(view) > 1 else "of its one epoch"
    if limits == "epoch":
        return view.limits(epoch), "of this epoch alone"
    if isinstance(limits, str) or not (np.isfinite(limits).all() and limits[0] < limits[1]):
        raise InputError(f"Colour limits must be two finite numbers, the lower first, not {limits!r}.")
    return (float(limits[0]), float(limits[1])), "given"


def limits_text(limits: Limits, why: str) -> str:
    """Limits in words."""
    return f"limits {limits[0]:.3g} to {limits[1]:.3g}, {why}"


def beyond_text(limits: Limits, values: NDArray[np.floating]) -> str:
    """How many tiles lie beyond the limits, in words; "" where none does."""
    rounding = 1e-6 * (limits[1] - limits[0])
    beyond = int(np.sum((values < limits[0] - rounding) | (values > limits[1] + rounding)))
    return f"; {beyond} of {len(values)} tiles lie beyond and take the end colours" if beyond else ""


def colour_text(colormap: str, opacity: float) -> str:
    """Colour map and opacity in words."""
    seen = " (lower half of the bar: over white)" if opacity < 1 else ""
    return f"{colormap}, opacity {opacity:.0%}{seen}"


def concentration(p: NDArray[np.float64]) -> str:
    """Effective tiles in words: what must stand beside every JSD."""
    effective = float(dynamics.effective_tiles(p))
    return f"{effective:.4g} of {len(p)} ({share(effective / len(p))})"


def share(value: float) -> str:
    """A share as a percentage that does not round a concentrated map up to a flat one, nor down to nothing."""
    percent = 100 * value
    if 99 <= percent < 100:
        return f"{math.floor(percent * 100) / 100:g} %"
    return f"{percent:.3g} %"


def verdict(p: NDArray[np.float64]) -> str:
    """A sentence for a map that looks better than it is, or ""."""
    found = dynamics.verdict(p)
    if found == "flat":
        return (
            f"FLAT MAP: effective tiles / M is {float(dynamics.effective_tiles(p)) / len(p):.4f} (flat from"
            f" {dynamics.FLAT}). It looks at all tiles alike, and a low JSD says nothing here."
        )
    if found == "collapsed":
        return (
            f"COLLAPSED MAP: normalised entropy is {float(dynamics.normalized_entropy(p)):.3f} (collapsed below"
            f" {dynamics.COLLAPSED}). Nearly all of it is on {float(dynamics.effective_tiles(p)):.1f} effective tiles."
        )
    return ""


def caution(view: MapView) -> str:
    """A sentence for a transform that hides how concentrated a map is, or for what is no attention, or ""."""
    if view.run.no_attention:
        return view.run.no_attention
    if not view.transform.hides_concentration:
        return ""
    return f"The transform {view.transform.label} shows a flat and a collapsed map alike: read the effective tiles."


def shown_text(view: MapView) -> str:
    """Display transform and its unit."""
    return f"{view.transform.label} ({view.transform.unit})"


def shown_slide(view: MapView) -> str:
    """Slide and its split."""
    return view.slide.slide_id + (f" ({view.slide.split})" if view.slide.split else "")


def note(view: MapView) -> str:
    """What the run says of itself beyond its recipe, or ""."""
    return str(view.run.attrs.get("notes", ""))


def origin(view: MapView) -> str:
    """Where the features are from, which is what a run notes of itself first, or ""."""
    return note(view).partition("; ")[0]


def map_text(view: MapView) -> str:
    """What the map is by, and its anchor, whose normaliser is another, by."""
    own = view.run.anchor_normalizer
    return view.source_label + (
        f"; anchor by {own.label}" if own is not None and view.source.branch == "online" else ""
    )


def epoch_name(view: MapView, epoch: int) -> str:
    """An epoch in the words of console, pictures and files: where a model was applied, the one it was trained to."""
    return view.run.applied or f"epoch {epoch}"


def epoch_text(view: MapView, epoch: int) -> str:
    """As `epoch_name`, with how many there are."""
    if view.run.applied:
        return view.run.applied
    return f"{epoch} of {view.run.planned_epochs}" + (" (the initialisation)" if epoch == 0 else "")


def jsd_text(view: MapView, epoch: int, p: NDArray[np.float64]) -> str:
    """JSD to the epoch before, in words."""
    if epoch == 0:
        return "none: there is no epoch before"
    try:
        before = whole_map(view, epoch - 1)
    except InputError:
        return f"unknown: the map of epoch {epoch - 1} is not there to compare with"
    return f"{float(dynamics.jsd(before, p)):.3g} bits to epoch {epoch - 1}"


def check_epoch(view: MapView, epoch: int) -> None:
    """Refuse an epoch that is not committed."""
    if not 0 <= epoch < len(view):
        raise InputError(f"Epoch {epoch} is not there; epochs 0 to {len(view) - 1} are.", path=view.run.path)


def whole_map(view: MapView, epoch: int) -> NDArray[np.float64]:
    """Probabilities (M,) of a committed epoch.

    Raises
    ------
    InputError
        When the run does not hold them any more, or they are no numbers.
    """
    p = view.probabilities(epoch)
    if not np.isfinite(p).all():
        raise InputError(
            f"The map of epoch {epoch} is not a number (NaN) on {int((~np.isfinite(p)).sum())} of {len(p)} tiles.",
            remedy="The training went astray there: look at an earlier epoch.",
            path=view.run.path,
        )
    return p


def mass_of(view: MapView, epoch: int) -> NDArray[np.float64] | None:
    """As `whole_map`; None for values that are no attention over the tiles."""
    return None if view.run.no_attention else whole_map(view, epoch)


def facts_of(view: MapView, epoch: int, p: NDArray[np.float64] | None) -> dict[str, str]:
    """Everything said of map `p` of `view` at `epoch` but its colours, by name; `p` as `mass_of` gives it."""
    side = tiles_of(view.slide).size
    microns = f" ({side * view.slide.mpp:.4g} µm)" if view.slide.mpp else ""
    return {
        "slide": shown_slide(view),
        "features": origin(view),
        **_classes(view, epoch),
        "run": view.run.name,
        "method": view.run.label,
        "epoch": epoch_text(view, epoch),
        "normaliser": view.source_label,
        **_anchor(view),
        "shown": shown_text(view),
        "tiles": f"{view.slide.n_tiles} of {side:g} level-0 px{microns}",
        "effective tiles": NO_NUMBER if p is None else concentration(p),
        "normalised entropy": NO_NUMBER if p is None else f"{float(dynamics.normalized_entropy(p)):.4f}",
        "JSD": NO_NUMBER if p is None else jsd_text(view, epoch, p),
        "verdict": "" if p is None else verdict(p),
        "caution": caution(view),
        "note": note(view),
    }


def files_of(slide: Slide | None, contours: Contours | None) -> dict[str, str]:
    """The files a picture is made from, by name alone."""
    drawn = "none"
    if contours is not None:
        drawn = f"{len(contours.polygons)}" + (f" from {contours.path.name}" if contours.path else "")
        if set(contours.roles.values()) - {"tumour"}:
            roles = (f"{name or '(no group)'} = {role}" for name, role in contours.roles.items())
            drawn += f" ({', '.join(roles)}; tumour white, exclude amber, others grey)"
    return {"slide file": "none" if slide is None else slide.path.name, "contours": drawn}


def _anchor(view: MapView) -> dict[str, str]:
    """The anchor's normaliser, which is not that of the model's own map."""
    own = view.run.anchor_normalizer
    return {} if own is None else {"anchor": f"by {own.label}"}


def _classes(view: MapView, epoch: int) -> dict[str, str]:
    """Label and prediction of the slide."""
    names, label = view.run.class_names, view.slide.label
    given = {} if label is None or not 0 <= label < len(names) else {"label": names[label]}
    logits = view.run.logits(epoch)[view.slide.index]
    if len(names) < 2 or not np.isfinite(logits).all():
        return given
    best = int(np.argmax(logits))
    return {**given, "prediction": f"{names[best]} ({float(softmax(logits)[best]):.3f})"}
