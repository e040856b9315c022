"""A run in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_asmil.runs.imported import UNKNOWN_SCORES
from napari_asmil.words import counted, listed

if TYPE_CHECKING:
    from napari_asmil.runs.reader import Run


def describe_run(run: Run) -> list[str]:
    """What was trained, how far, and what is recorded."""
    anchor = "no anchor" if run.anchor_normalizer is None else f"anchor {run.anchor_normalizer.label}"
    epochs = f"{run.n_epochs} of {counted(run.planned_epochs + 1, 'epoch')} committed, the initialisation included"
    scored = [slide.slide_id for slide in run.slides if slide.has_scores]
    rows = len(run.row_names)
    kept = f"raw scores kept of {'every slide' if len(scored) == len(run.slides) else listed(scored) or 'no slide'}"
    if run.imported:
        return [
            f"{run.label}: {run.map_words}",
            f"schema {run.attrs['schema']}, created {run.attrs['created']}",
            f"{counted(len(run.slides), 'slide')}: {listed(slide.slide_id for slide in run.slides)}",
            run.no_attention or (kept if scored else UNKNOWN_SCORES),
            *str(run.attrs.get("notes", "")).split("; "),
        ]
    return [
        f"run of {run.label} (method {run.method}, {run.normalizer.label}, {anchor})",
        f"schema {run.attrs['schema']}, created {run.attrs['created']}",
        f"a trained model applied: {run.applied}" if run.applied else epochs,
        f"{counted(len(run.slides), 'slide')} recorded: {listed(slide.slide_id for slide in run.slides)}",
        f"{counted(rows, 'row')} of scores" + (f": {listed(run.row_names)}" if rows > 1 else ""),
        kept + (", and what the classifier says of each tile alone" if run.has_evidence else ""),
        f"classes: {', '.join(run.class_names)}",
    ]
