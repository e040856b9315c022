"""A cross-validation's report as plain text: a table, the floors beside it, and what they mean in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_asmil.analysis.dynamics import FLAT
from napari_asmil.training.floors import Floors, NumberFloor
from napari_asmil.training.report import MethodResult, Report

LEAK = 0.75
"""Bag AUC on permuted labels above which chance is no longer an explanation."""

COLUMNS = (
    "method",
    "bag AUC (sd)",
    "accuracy",
    "macro F1",
    "tile AUC",
    "gain (bags won)",
    "AP",
    "entropy +/-",
    "JSD bits",
    "JSD ratio",
)
LEGEND = """\
bag AUC, accuracy, macro F1: test bags, mean over folds (sd over folds). tile AUC, AP: attention against tile truth,
mean over bags. gain: tile AUC minus that of the same model without anchor, on the same bags. entropy: normalised,
bags with / without tumour; 1 is a flat map. JSD: mean over test bags and epochs; ratio: to the same model without
anchor. A small JSD is worth something only beside an entropy below 1."""


def as_text(report: Report) -> str:
    """The report as text."""
    first = report.methods[0]
    epochs = " or ".join(map(str, sorted({method.epochs for method in report.methods})))
    heading = (
        f"Cross-validation: {len(first.bag_auc)} folds, last epoch ({epochs}) of each, {first.bags} test bags,"
        f" {len(first.tile_auc)} of them with both tumour tiles and others."
    )
    rows = [_row(method) for method in report.methods]
    parts = [heading, columns([COLUMNS, *rows]), LEGEND]
    if report.floors is not None:
        parts += ["Floors, on the same bags and folds", columns(list(_floor_rows(report.floors, report)))]
    return "\n\n".join([*parts, "\n".join(f"* {sentence}" for sentence in sentences(report))])


def _row(method: MethodResult) -> tuple[str, ...]:
    mean, pair = method.means, method.paired
    return (
        method.label,
        f"{mean['bag_auc']:.3f} ({np.std(method.bag_auc):.3f})",
        _number(mean["accuracy"]),
        _number(mean["macro_f1"]),
        _number(mean["tile_auc"]),
        "-" if pair is None else f"{pair.tile_auc_gain:+.3f} ({pair.bags_won:.0%})",
        _number(mean["average_precision"]),
        f"{_number(method.entropy_positive)} / {_number(method.entropy_negative)}",
        f"{method.jsd_bits:.5f}",
        "-" if pair is None else f"{pair.jsd_ratio:.3f}",
    )


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Aligned columns; the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _floor_rows(floors: Floors, report: Report) -> Iterator[tuple[str, ...]]:
    yield ("", "bag AUC (sd)", "tile AUC", "AP")
    for pooling, aucs in floors.pooled.items():
        yield (
            f"logistic regression on pooled features: {pooling}",
            f"{np.mean(aucs):.3f} ({np.std(aucs):.3f})",
            "-",
            "-",
        )
    for what, number in (
        ("one number per tile", floors.named),
        ("best single number, picked by the truth", floors.best),
    ):
        if number is not None:
            yield (f"{what}: {number.label}", "-", _number(number.tile_auc), _number(number.average_precision))
    if floors.prevalence is not None:
        yield ("a blind map", "-", "0.500", _number(floors.prevalence))
    permuted = report.permuted
    if permuted is not None:
        yield (
            f"{report.permuted_label} on permuted bag labels",
            f"{np.mean(permuted):.3f} ({np.std(permuted):.3f})",
            "-",
            "-",
        )


def sentences(report: Report) -> Iterator[str]:
    """What must be said beside the numbers."""
    floors = report.floors
    if floors is not None:
        yield from _against_number(report.methods, floors)
        yield _against_pooling(report.methods, floors)
    if report.permuted is not None:
        yield _on_permuted(np.array(report.permuted))
    for method in report.methods:
        if method.effective_share >= FLAT:
            yield f"The maps of {method.label} are flat (effective tiles / M {method.effective_share:.3f})."
    if not report.patient_disjoint:
        yield "The folds are not known to be patient-disjoint: all bag AUCs are optimistic for new patients."


def _on_permuted(aucs: NDArray[np.float64]) -> str:
    """The control in words; a fold whose test bags have one class only has no AUC."""
    known = aucs[np.isfinite(aucs)]
    if not len(known):
        return "On permuted bag labels no fold has test bags of two classes: the control says nothing."
    mean, spread = float(known.mean()), float(known.std())
    told = f"On permuted bag labels the bag AUC is {mean:.3f} (sd over folds {spread:.3f})"
    if mean > LEAK:
        return f"{told}, too much for chance: something leaks."
    return f"{told}; above {LEAK} would mean a leak, and small leaks this control does not see."


def _against_number(methods: Sequence[MethodResult], floors: Floors) -> Iterator[str]:
    """Mean haematoxylin, or the best number where that one beats more maps, against every attention map."""
    numbers = [one for one in (floors.named, floors.best) if one is not None]
    if not numbers:
        return
    number = max(numbers, key=lambda one: len(_beaten(methods, one)))
    picked = "" if number is floors.named else ", picked by the truth"
    one = f"A single number per tile ({number.label}{picked}) has tile AUC {number.tile_auc:.3f}"
    beaten = _beaten(methods, number)
    if beaten:
        names = ", ".join(f"{method.label} {method.means['tile_auc']:.3f}" for method in beaten)
        whose = "every attention map" if len(beaten) == len(methods) else "the attention"
        yield f"{one} and beats {whose} ({names}): such a map is no evidence that the model found the tumour."
    else:
        yield f"{one}; every attention map is above it."


def _beaten(methods: Sequence[MethodResult], number: NumberFloor) -> list[MethodResult]:
    return [method for method in methods if method.means["tile_auc"] <= number.tile_auc]


def _against_pooling(methods: Sequence[MethodResult], floors: Floors) -> str:
    pooling, aucs = max(floors.pooled.items(), key=lambda item: float(np.mean(item[1])))
    floor = float(np.mean(aucs))
    best = max(methods, key=lambda method: method.means["bag_auc"])
    gain, spread = best.means["bag_auc"] - floor, float(np.std(best.bag_auc))
    verdict = "no better" if gain <= 0 else f"{gain:.3f} better"
    doubt = ", which is within the spread between folds" if 0 < gain < spread else ""
    return (
        f"Logistic regression on pooled features ({pooling}) has bag AUC {floor:.3f}; the best model here"
        f" ({best.label}, {floor + gain:.3f}) is {verdict}{doubt}."
    )
