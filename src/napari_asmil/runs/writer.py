"""Writing a run: data first, commit last; one writer."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_asmil.errors import InputError
from napari_asmil.files import complete, json_text, replacing
from napari_asmil.runs import schema
from napari_asmil.runs.layout import lay_out
from napari_asmil.runs.records import EpochRecord, RunHeader

MAPS = ("attention/online", "attention/anchor", "scores", "evidence", "values")
"""Arrays with an axis of tiles; a run has some of them."""


class RunWriter:
    """The one writer of a run folder; use as a context manager.

    Raises
    ------
    InputError
        When the folder cannot be made or written, exists already (`create`), is no run (`resume`), or is being
        written by another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / schema.LOCK, thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                "Another process is writing this run.", remedy="Stop it first or choose another folder.", path=path
            ) from None
        except OSError as error:
            raise InputError(
                f"The run cannot be written ({error.strerror or error}).",
                remedy="Choose a folder with room that you may write to.",
                path=path,
            ) from error
        self._group = zarr.open_group(path, mode="r+", zarr_format=3)
        self.attrs: dict[str, Any] = dict(self._group.attrs[schema.KEY])  # type: ignore[arg-type]
        self._online = self._array("attention/online")
        self._n_epochs = 0
        while schema.commit_path(path, self._n_epochs).is_file():
            self._n_epochs += 1
        rows = self._online[self._n_epochs - 1] if self._n_epochs else None
        self._previous: NDArray[np.float32] | None = None if rows is None else np.asarray(rows, dtype=np.float32)
        self._labels = np.asarray(self._array("tiles/labels")[:], dtype=np.float32)

    @classmethod
    def create(cls, path: str | Path, header: RunHeader) -> RunWriter:
        """Make a new run; it appears under its name complete or not at all."""
        path = Path(path)
        if path.exists():
            raise InputError("This folder exists already.", remedy="Choose another name or remove it.", path=path)
        with complete(path) as partial:
            path.parent.mkdir(parents=True, exist_ok=True)
            lay_out(partial, header)
        return cls(path)

    @classmethod
    def resume(cls, path: str | Path) -> RunWriter:
        """Go on writing an existing run after its last committed epoch."""
        from napari_asmil.runs.reader import open_run

        return cls(open_run(path).path)

    @property
    def n_epochs(self) -> int:
        """Committed epochs, the initialisation included."""
        return self._n_epochs

    def commit_of(self, epoch: int) -> dict[str, Any]:
        """The commit of an epoch as written."""
        return dict(json.loads(schema.commit_path(self.path, epoch).read_text(encoding="utf-8")))

    def write(self, record: EpochRecord) -> int:
        """Write the next epoch and commit it; returns its number."""
        epoch = self._n_epochs
        try:
            self._write_arrays(epoch, record)
            self._commit(epoch, record)
        except OSError as error:
            raise InputError(
                f"Epoch {epoch} could not be written ({error.strerror or error}); the epochs before it are safe.",
                remedy="Make room and start again: training resumes from the last committed epoch.",
                path=self.path,
            ) from error
        self._n_epochs += 1
        return epoch

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _array(self, name: str) -> zarr.Array[Any]:
        with zarr.config.set({"array.write_empty_chunks": True}):  # else a row of NaN has no file and seems damaged
            found = self._group[name]
        assert isinstance(found, zarr.Array)
        return found

    def _write_arrays(self, epoch: int, record: EpochRecord) -> None:
        slides = self.attrs["slides"]
        given = [record.slides[s["slide_id"]] for s in slides]
        self._make_room(epoch)
        online = np.concatenate([np.asarray(g.online, dtype=np.float32) for g in given])
        anchors = [g.anchor for g in given if g.anchor is not None]
        anchor = np.concatenate(anchors).astype(np.float32) if anchors else None
        self._online[epoch] = online
        if anchor is not None:
            self._array("attention/anchor")[epoch] = anchor
        scores = [g.z for g, s in zip(given, slides, strict=True) if s["score_offset"] is not None]
        if scores:
            self._array("scores")[epoch] = np.concatenate([np.asarray(z, dtype=np.float32) for z in scores], axis=1)
        evidence = [g.evidence for g in given if g.evidence is not None]
        if evidence:
            self._array("evidence")[epoch] = np.concatenate(evidence, axis=1).astype(np.float32)
        values = [g.values for g in given if g.values is not None]
        if values:
            self._array("values")[epoch] = np.concatenate(values).astype(np.float32)
        self._array("scalars")[epoch] = self._scalars(online, anchor)
        self._array("logits")[epoch] = np.stack([g.logits for g in given]).astype(np.float32)
        self._array("bags")[epoch] = np.stack([g.bag for g in given]).astype(np.float32)
        self._previous = online

    def _scalars(self, online: NDArray[np.float32], anchor: NDArray[np.float32] | None) -> NDArray[np.float64]:
        rows = []
        for s in self.attrs["slides"]:
            here = slice(s["offset"], s["offset"] + s["n_tiles"])
            before = None if self._previous is None else self._previous[here]
            mirror = None if anchor is None else anchor[here]
            rows.append(schema.scalars_of(online[here], before, mirror, self._labels[here]))
        return np.stack(rows)

    def _make_room(self, epoch: int) -> None:
        rows = self._online.shape[0]
        if epoch < rows:
            return
        for name in (*MAPS, "scalars", "logits", "bags"):
            if name in self._group:
                array = self._array(name)
                array.resize((max(epoch + 1, rows + rows // 2), *array.shape[1:]))
        self._online = self._array("attention/online")

    def _commit(self, epoch: int, record: EpochRecord) -> None:
        target = schema.commit_path(self.path, epoch)
        text = json_text(
            {
                "epoch": epoch,
                "step": record.step,
                "written": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": record.seconds,
                "curves": dict(record.curves),
                "checkpoint": record.checkpoint,
            }
        )
        with replacing(target) as partial, partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
