"""What is said of a map that is shown in place of attention."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from napari_asmil.analysis.dynamics import is_flat
from napari_asmil.render.facts import share
from napari_asmil.runs import LazyMaps
from napari_asmil.runs.alone import TilesAlone
from napari_asmil.runs.courses import SATURATED, score_numbers
from napari_asmil.runs.extremes import RowExtreme
from napari_asmil.runs.kin import differ_by_seed_alone
from napari_asmil.runs.raw import RawScores
from napari_asmil.runs.spread import Spread


@singledispatch
def told(view: LazyMaps, epoch: int) -> list[str]:
    """Phrases about a map at an epoch.

    Raises
    ------
    InputError
        When there is none.
    """
    raise TypeError(f"nothing is known to say of {type(view).__name__}")


@told.register
def _(view: Spread, epoch: int) -> list[str]:
    effective, tiles = view.effective(epoch), view.slide.n_tiles
    flat = ", which is flat: maps that say nothing cannot disagree" if is_flat(effective / tiles, tiles) else ""
    concentrated = f"effective tiles of their mean {effective:.4g} of {tiles} ({share(effective / tiles)}){flat}"
    runs = list(dict.fromkeys(view.runs))
    mixed = any(not differ_by_seed_alone(runs[0], run) for run in runs[1:])
    return [
        f"over {view.varied(epoch)}, divided by their number",
        *(["these runs differ in more than their seed"] if mixed else []),
        f"of {view.subject}",
        concentrated,
    ]


@told.register
def _(view: RowExtreme, epoch: int) -> list[str]:
    meaning = {
        "least": "bright where every row attends: a row that does not takes a tile out",
        "greatest": "bright where any row attends, if it is one alone",
    }
    whose = f"of {view.varied(epoch)}, of {view.like.run.name}"
    return [whose, meaning[view.which], "these values do not sum to 1 or M"]


@told.register
def _(view: RawScores, epoch: int) -> list[str]:
    z = view.values(epoch)
    if unknown := int(np.isnan(z).sum()):
        return [f"of {view.run.name}", f"not a number (NaN) on {unknown} of {len(z)} tiles: the training went astray"]
    mean, deviation, lost = score_numbers(z).tolist()
    return [
        f"of {view.run.name}",
        f"mean {mean:.3g}, standard deviation {deviation:.3g}",
        f"on {share(lost)} of the tiles their sigmoid is below {1 - SATURATED:.2g} or above {SATURATED}: there NSF"
        " tells tiles apart no longer",
    ]


@told.register
def _(view: TilesAlone, epoch: int) -> list[str]:
    p = view.values(epoch)
    return [
        f"of {view.run.name}: what the classifier says of each tile as if it were the whole bag; this is no attention",
        f"above one half on {share(float((p > 0.5).mean()))} of the tiles",
    ]
