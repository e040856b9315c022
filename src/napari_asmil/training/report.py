"""What a cross-validation shows, read back from its runs, with the floors that keep it honest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from napari_asmil.analysis.localisation import is_tumour
from napari_asmil.analysis.metrics import accuracy, auc, macro_f1
from napari_asmil.errors import InputError
from napari_asmil.runs import Run, open_run
from napari_asmil.runs.recorded import RunSlide
from napari_asmil.training.floors import Floors


@dataclass(frozen=True)
class Paired:
    """An anchored method against the same model without an anchor, on the same folds and bags.

    Attributes
    ----------
    tile_auc_gain, bag_auc_gain, entropy_gain : float
        Means of the differences; `tile_auc_gain` over bags, `bag_auc_gain` over folds, entropy on positive bags.
    bags_won : float
        Share of the bags whose tile AUC rose.
    jsd_ratio : float
        Mean JSD over that of the model without an anchor.
    """

    baseline: str
    tile_auc_gain: float
    bags_won: float
    bag_auc_gain: float
    entropy_gain: float
    jsd_ratio: float


@dataclass(frozen=True)
class MethodResult:
    """One method over all folds, at the last epoch, on test bags.

    Attributes
    ----------
    bags : int
        Test bags of all folds together.
    bag_auc, accuracy, macro_f1 : list of float
        One value a fold.
    tile_auc, average_precision : dict of str to float
        Attention against tile truth, by slide, for bags that hold tumour tiles and others.
    entropy_positive, entropy_negative : float
        Mean normalised entropy of the maps of test bags of the first class (negative) and of the others.
    effective_share : float
        Mean of effective tiles / M over all test bags.
    jsd_bits : float
        Mean over the test bags and all intervals from epoch 0.
    """

    name: str
    label: str
    model: str
    has_anchor: bool
    epochs: int
    bags: int
    bag_auc: list[float]
    accuracy: list[float]
    macro_f1: list[float]
    tile_auc: dict[str, float]
    average_precision: dict[str, float]
    entropy_positive: float
    entropy_negative: float
    effective_share: float
    jsd_bits: float
    paired: Paired | None = None

    @property
    def means(self) -> dict[str, float]:
        """The measures as one number each."""
        return {
            "bag_auc": _mean(self.bag_auc),
            "accuracy": _mean(self.accuracy),
            "macro_f1": _mean(self.macro_f1),
            "tile_auc": _mean(self.tile_auc.values()),
            "average_precision": _mean(self.average_precision.values()),
            "entropy_positive": self.entropy_positive,
            "entropy_negative": self.entropy_negative,
            "effective_share": self.effective_share,
            "jsd_bits": self.jsd_bits,
        }


@dataclass(frozen=True)
class Report:
    """Everything a cross-validation shows.

    `permuted` is the bag AUC per fold of the control, the method `permuted_label` on labels dealt out anew.
    """

    methods: tuple[MethodResult, ...]
    floors: Floors | None
    permuted: list[float] | None
    patient_disjoint: bool
    permuted_label: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        methods = {method.name: {**asdict(method), "mean": method.means} for method in self.methods}
        floors = None if self.floors is None else asdict(self.floors)
        return {
            "methods": methods,
            "floors": floors,
            "permuted_labels_bag_auc": self.permuted,
            "permuted_labels_method": self.permuted_label,
            "patient_disjoint": self.patient_disjoint,
        }


def _mean(values: Any) -> float:
    given = np.array(list(values), dtype=float)
    return float(np.nanmean(given)) if np.isfinite(given).any() else float("nan")


def summarise(
    runs: Mapping[str, Sequence[Path]],
    floors: Floors | None = None,
    permuted: Sequence[Path] = (),
    *,
    patient_disjoint: bool = False,
) -> Report:
    """Read the runs of every method (one a fold, in the same order for all) and compare them.

    Raises
    ------
    InputError
        When a run is missing, unfinished, or recorded no test bag.
    """
    methods = [_result(name, [_finished(path) for path in paths]) for name, paths in runs.items()]
    plain = {method.model: method for method in methods if not method.has_anchor}
    return Report(
        methods=tuple(_with_pair(method, plain.get(method.model)) for method in methods),
        floors=floors,
        permuted=[_bag_numbers(_finished(path))[0] for path in permuted] or None,
        patient_disjoint=patient_disjoint,
        permuted_label=open_run(permuted[0]).label if permuted else "",
    )


def _finished(path: Path) -> Run:
    run = open_run(path)
    if run.n_epochs <= run.planned_epochs:
        raise InputError(f"Only {run.n_epochs} of {run.planned_epochs + 1} epochs are there.", path=path)
    if not _test(run):
        raise InputError("It recorded no test bag.", path=path)
    return run


def _test(run: Run) -> list[RunSlide]:
    return [slide for slide in run.slides if slide.split == "test" and slide.label is not None]


def _bag_numbers(run: Run) -> tuple[float, float, float]:
    """Bag AUC, accuracy and macro F1 of the last epoch."""
    slides = _test(run)
    logits = run.logits(run.n_epochs - 1)[[slide.index for slide in slides]]
    labels = np.array([slide.label for slide in slides])
    return auc(logits, labels), accuracy(logits, labels), macro_f1(logits, labels)


def _last(run: Run, name: str) -> NDArray[np.float64]:
    return np.asarray(run.scalars(name)[-1])


def _result(name: str, runs: Sequence[Run]) -> MethodResult:
    aucs, accuracies, f1s = zip(*[_bag_numbers(run) for run in runs], strict=True)
    tested = [(run, slide) for run in runs for slide in _test(run)]
    entropy = {run.path: _last(run, "normalized_entropy") for run in runs}
    share = {run.path: _last(run, "effective_share") for run in runs}
    located = {run.path: _last(run, "tile_auc") for run in runs}
    moved = {run.path: run.scalars("jsd")[1:] for run in runs}
    judged = [(run, slide) for run, slide in tested if np.isfinite(located[run.path][slide.index])]
    return MethodResult(
        name=name,
        label=runs[0].label,
        model=runs[0].method,
        has_anchor=runs[0].has_anchor,
        epochs=runs[0].planned_epochs,
        bags=len(tested),
        bag_auc=list(aucs),
        accuracy=list(accuracies),
        macro_f1=list(f1s),
        tile_auc={slide.slide_id: float(located[run.path][slide.index]) for run, slide in judged},
        average_precision={slide.slide_id: _precision(run, slide) for run, slide in judged},
        entropy_positive=_mean(entropy[run.path][slide.index] for run, slide in tested if slide.label != 0),
        entropy_negative=_mean(entropy[run.path][slide.index] for run, slide in tested if slide.label == 0),
        effective_share=_mean(share[run.path][slide.index] for run, slide in tested),
        jsd_bits=_mean(moved[run.path][:, slide.index].mean() for run, slide in tested),
    )


def _precision(run: Run, slide: RunSlide) -> float:
    assert slide.tile_labels is not None
    attention = run.attention(run.n_epochs - 1, slide.slide_id)
    return float(average_precision_score(is_tumour(slide.tile_labels), np.nan_to_num(attention, neginf=-1e30)))


def _with_pair(method: MethodResult, plain: MethodResult | None) -> MethodResult:
    if plain is None or not method.has_anchor:
        return method
    common = [slide for slide in method.tile_auc if slide in plain.tile_auc]
    gains = np.array([method.tile_auc[slide] - plain.tile_auc[slide] for slide in common])
    pair = Paired(
        baseline=plain.name,
        tile_auc_gain=_mean(gains),
        bags_won=_mean(gains > 0),
        bag_auc_gain=_mean(np.subtract(method.bag_auc, plain.bag_auc)),
        entropy_gain=method.entropy_positive - plain.entropy_positive,
        jsd_ratio=method.jsd_bits / plain.jsd_bits if plain.jsd_bits else float("nan"),
    )
    return replace(method, paired=pair)
