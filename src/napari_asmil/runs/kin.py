"""Which runs are the same training but for the seed."""

from __future__ import annotations

from napari_asmil.runs.reader import Run

SAME = ("label", "bag_hashes", "labels", "splits")


def differ_by_seed_alone(a: Run, b: Run) -> bool:
    """Whether two runs are of one recipe, but for its seed, on the same bags, labels and splits: folds are not."""
    recipes = [{name: value for name, value in run.recipe.items() if name != "seed"} for run in (a, b)]
    same = all(a.attrs.get(name) == b.attrs.get(name) for name in SAME)
    return same and recipes[0] == recipes[1] and _tiles(a) == _tiles(b)


def _tiles(run: Run) -> list[tuple[str, str]]:
    return [(slide.slide_id, slide.bag_hash) for slide in run.slides]
