"""Reading a run, live or finished: numpy and zarr only, committed epochs only."""

from __future__ import annotations

from functools import cached_property
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.geometry import TileGrid
from napari_asmil.runs import schema
from napari_asmil.runs.damage import REMEDY, find_array, read_commit, read_rows
from napari_asmil.runs.describing import describe_run
from napari_asmil.runs.imported import NO_ATTENTION, UNKNOWN_SCORES
from napari_asmil.runs.recorded import RunSlide
from napari_asmil.runs.rows import rows_called
from napari_asmil.words import counted, listed

Branch = Literal["online", "anchor"]


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises
    ------
    InputError
        When it is missing, no run, damaged, or from a newer schema.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("There is no such run.", remedy="Check the path.", path=path)
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attrs = group.attrs[schema.KEY]
    except JSONDecodeError as error:
        raise InputError("This run is damaged: its zarr.json cannot be read.", remedy=REMEDY, path=path) from error
    except (FileNotFoundError, NotADirectoryError, KeyError, ValueError) as error:
        raise InputError(
            "This is no napari-asmil run (no zarr group with our attributes).",
            remedy="A run is the whole folder, usually named *.asmil.",
            path=path,
        ) from error
    if not isinstance(attrs, dict) or not isinstance(attrs.get("schema"), int):
        raise InputError("This run does not say which schema it has; it is damaged.", path=path)
    if int(attrs["schema"]) > schema.SCHEMA:
        raise InputError(
            f"This run has schema {attrs['schema']}; this version reads up to {schema.SCHEMA}.",
            remedy="Update napari-asmil.",
            path=path,
        )
    return Run(path, group, dict(attrs))


class Run:
    """A run as its readers see it; make one with `open_run`."""

    def __init__(self, path: Path, group: zarr.Group, attrs: dict[str, Any]) -> None:
        self.path = path
        self.attrs = attrs
        self._group = group
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._commits: list[dict[str, Any]] = []
        self._scalars = np.empty((0, len(attrs["slides"]), len(attrs["scalar_names"])))
        self._lost: set[int] = set()
        self.refresh()

    def __repr__(self) -> str:
        epochs, slides = counted(self.n_epochs, "epoch"), counted(len(self.attrs["slides"]), "slide")
        return f"Run({self.name}, {self.label}, {epochs}, {slides})"

    @property
    def name(self) -> str:
        """Folder name without its suffix, see `schema.run_name`."""
        return schema.run_name(self.path)

    @property
    def label(self) -> str:
        """How legends name the run's method."""
        return str(self.attrs["label"])

    @property
    def method(self) -> str:
        """Name of the method in the registry."""
        return str(self.attrs["method"])

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe as written."""
        return dict(self.attrs["recipe"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes, in the order of the logits."""
        return tuple(self.attrs["class_names"])

    @property
    def row_names(self) -> tuple[str, ...]:
        """Names of the K score rows."""
        return tuple(self.attrs["row_names"])

    @property
    def row_join(self) -> str:
        """How the rows become the map as stored, in words."""
        return "mean of the rows" if self.attrs["row_join"] == "mean" else str(self.attrs["row_join"])

    @property
    def map_words(self) -> str:
        """What the map as stored is by: the model's normaliser, or what else its method says."""
        return str(self.attrs.get("map_words", "")) or self.normalizer.label

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """Names of the recorded scalars."""
        return tuple(self.attrs["scalar_names"])

    @property
    def applied(self) -> str:
        """Which epoch of which run was applied, where this one holds the look of a trained model; else empty."""
        return str(self.attrs.get("applied", ""))

    @property
    def imported(self) -> str:
        """What the file of a map from elsewhere holds, see `RunHeader`; empty for a run that was recorded."""
        return str(self.attrs.get("imported", ""))

    @property
    def no_attention(self) -> str:
        """Why what is shown is no attention over the tiles, in words; empty where it is."""
        return NO_ATTENTION.get(self.imported, "")

    @property
    def planned_epochs(self) -> int:
        """Epochs planned after the initialisation."""
        return int(self.attrs["planned_epochs"])

    @property
    def normalizer(self) -> Normalizer:
        """The normaliser of the model itself."""
        return Normalizer.from_dict(self.attrs["normalizer"])

    @property
    def anchor_normalizer(self) -> Normalizer | None:
        """The anchor's normaliser, or None without an anchor."""
        given = self.attrs["anchor_normalizer"]
        return None if given is None else Normalizer.from_dict(given)

    @property
    def has_anchor(self) -> bool:
        """Whether the anchor's maps are recorded."""
        return self.attrs["anchor_normalizer"] is not None

    @property
    def n_epochs(self) -> int:
        """Committed epochs as of the last `refresh`, the initialisation included."""
        return len(self._commits)

    @cached_property
    def slides(self) -> tuple[RunSlide, ...]:
        """The recorded slides, in the order of every S axis."""
        xy = np.asarray(self._array("tiles/xy")[:])
        labels = np.asarray(self._array("tiles/labels")[:])
        found = []
        for index, s in enumerate(self.attrs["slides"]):
            here = slice(s["offset"], s["offset"] + s["n_tiles"])
            truth = labels[here]
            size = s["slide_size"]
            found.append(
                RunSlide(
                    slide_id=s["slide_id"],
                    label=s["label"],
                    split=s["split"],
                    tiles=None if s["tile_size"] is None else TileGrid(xy[here], s["tile_size"]),
                    tile_labels=truth if np.isfinite(truth).all() else None,
                    mpp=s["mpp"],
                    slide_size=None if size is None else (int(size[0]), int(size[1])),
                    slide_path=self._resolve(s["slide_path"]),
                    contours_path=self._resolve(s["contours_path"]),
                    bag_hash=s["bag_hash"],
                    index=index,
                    offset=s["offset"],
                    n_tiles=s["n_tiles"],
                    score_offset=s["score_offset"],
                )
            )
        return tuple(found)

    def slide(self, slide_id: str) -> RunSlide:
        """The recorded slide of that name."""
        for s in self.slides:
            if s.slide_id == slide_id:
                return s
        known = listed(s.slide_id for s in self.slides)
        raise InputError(
            f"Slide {slide_id!r} is not recorded in this run.", remedy=f"Recorded: {known}.", path=self.path
        )

    def check_row(self, name: str) -> None:
        """Refuse what is no name of a row, nor a part that rows share."""
        if not rows_called(self.row_names, name):
            raise InputError(
                f"This run has no row {name!r}.", remedy=f"Rows: {listed(self.row_names)}, or mean.", path=self.path
            )

    def check_scores(self, slide_id: str) -> None:
        """Refuse a slide without raw scores, from which no other normaliser and no single row can be derived."""
        if self.imported and not self.slide(slide_id).has_scores:
            raise InputError(
                self.no_attention or UNKNOWN_SCORES,
                remedy="For other normalisers, open a file of the model's raw scores.",
                path=self.path,
            )
        if not self.slide(slide_id).has_scores:
            kept = [s.slide_id for s in self.slides if s.has_scores]
            raise InputError(
                f"Raw scores of {slide_id!r} were not recorded, so only the map as stored can be shown.",
                remedy=(f"They are there for {listed(kept)}; train" if kept else "Train")
                + " with `--watch all`, or this slide in the recipe's `watch`, to have them.",
                path=self.path,
            )

    def refresh(self) -> int:
        """Look for newly committed epochs; returns how many there are now."""
        while schema.commit_path(self.path, len(self._commits)).is_file():
            self._commits.append(read_commit(self.path, len(self._commits)))
        return len(self._commits)

    def commit(self, epoch: int) -> dict[str, Any]:
        """The commit of an epoch: step, time, curves, checkpoint name."""
        return self._commits[self._checked(epoch)]

    def attention(self, epoch: int, slide_id: str, branch: Branch = "online") -> NDArray[np.float32]:
        """Log of the map as stored, float32 (M,), natural log, -inf where a tile has none."""
        if branch == "anchor" and not self.has_anchor:
            raise InputError("This run has no anchor, so it has no anchor maps.", path=self.path)
        s = self.slide(slide_id)
        return self._row(f"attention/{branch}", epoch, slice(s.offset, s.offset + s.n_tiles))

    def values(self, epoch: int, slide_id: str) -> NDArray[np.float32]:
        """What the file holds that the run is from, float32 (M,), where that is no attention over the tiles."""
        s = self.slide(slide_id)
        return self._row("values", epoch, slice(s.offset, s.offset + s.n_tiles))

    def scores(self, epoch: int, slide_id: str) -> NDArray[np.float32]:
        """Raw scores z before any normaliser, float32 (K, M)."""
        self.check_scores(slide_id)
        s = self.slide(slide_id)
        assert s.score_offset is not None
        return self._row("scores", epoch, slice(None), slice(s.score_offset, s.score_offset + s.n_tiles))

    @cached_property
    def has_evidence(self) -> bool:
        """Whether slides with raw scores have evidence, what the classifier says of each tile alone."""
        return "evidence" in self._group

    def check_evidence(self, slide_id: str) -> None:
        """Refuse a slide of which there is no evidence."""
        if not self.has_evidence:
            raise InputError(
                "This run has no evidence map: what the classifier says of each tile alone was not recorded.",
                remedy="Train with `evidence=true` in the recipe.",
                path=self.path,
            )
        self.check_scores(slide_id)

    def evidence(self, epoch: int, slide_id: str) -> NDArray[np.float32]:
        """Logits of each tile as if it were the whole bag, float32 (C, M).

        Raises
        ------
        InputError
            When the run, or this slide in it, has none.
        """
        self.check_evidence(slide_id)
        s = self.slide(slide_id)
        assert s.score_offset is not None
        return self._row("evidence", epoch, slice(None), slice(s.score_offset, s.score_offset + s.n_tiles))

    def scalars(self, name: str) -> NDArray[np.float64]:
        """A recorded scalar, float64 (E, S), NaN where it is not defined."""
        if name not in self.scalar_names:
            raise InputError(f"No scalar {name!r} in this run.", remedy=f"Known: {', '.join(self.scalar_names)}.")
        known = self._known_scalars()
        if self._lost:
            known = self._rows("scalars", range(self.n_epochs))  # says which, and why
        return np.array(known[:, :, self.scalar_names.index(name)])

    def scalars_at(self, epoch: int) -> NDArray[np.float64]:
        """Every recorded scalar of an epoch, float64 (S, F), F as `scalar_names`."""
        known = self._known_scalars()[self._checked(epoch)]
        return self._row("scalars", epoch) if epoch in self._lost else np.array(known)

    def logits(self, epoch: int) -> NDArray[np.float32]:
        """Logits of the recorded slides at an epoch, float32 (S, C)."""
        return self._row("logits", epoch)

    def bags(self, epochs: range | None = None) -> NDArray[np.float32]:
        """Bag vectors of the recorded slides, float32 (E, S, D), of all epochs or of these."""
        return self._rows("bags", range(self.n_epochs) if epochs is None else epochs)

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Every curve by name, float64 (E,), NaN where an epoch has no value."""
        names = sorted({name for c in self._commits for name in c["curves"]})
        return {name: np.array([c["curves"].get(name, np.nan) for c in self._commits], dtype=float) for name in names}

    def describe(self) -> list[str]:
        """Sentences for `napari-asmil info`."""
        return describe_run(self)

    def _known_scalars(self) -> NDArray[np.float64]:
        """Scalars of all committed epochs, float64 (E, S, F); each is read once; NaN where one is `_lost`."""
        known, epochs = self._scalars, self.n_epochs  # an export may ask at the same time, from its own thread
        if len(known) < epochs:
            missing = range(len(known), epochs)
            try:
                fresh = self._rows("scalars", missing)
            except InputError:
                fresh = np.stack([self._scalars_or_lost(epoch) for epoch in missing])
            self._scalars = known = np.concatenate([known, fresh])
        return known

    def _scalars_or_lost(self, epoch: int) -> NDArray[np.float64]:
        try:
            return self._row("scalars", epoch)
        except InputError:
            self._lost.add(epoch)
            return np.full(self._scalars.shape[1:], np.nan)

    def _checked(self, epoch: int) -> int:
        if not 0 <= epoch < self.n_epochs:
            raise IndexError(f"epoch {epoch} of {self.n_epochs} committed")
        return int(epoch)

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._arrays:
            self._arrays[name] = find_array(self.path, self._group, name)
        return self._arrays[name]

    def _row(self, name: str, epoch: int, *within: slice) -> NDArray[Any]:
        return np.asarray(self._rows(name, range(self._checked(epoch), epoch + 1), *within)[0])

    def _rows(self, name: str, epochs: range, *within: slice) -> NDArray[Any]:
        """Rows of an array, which is opened anew when its writer has enlarged it since."""
        if self._array(name).shape[0] < epochs.stop:
            self._arrays.clear()
        return read_rows(self.path, self._array(name), epochs, *within)

    def _resolve(self, given: str) -> Path | None:
        """Paths are written relative to the run where that works; a moved absolute one stays as it is."""
        return None if not given else (self.path / given).resolve()
