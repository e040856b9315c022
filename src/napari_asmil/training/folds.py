"""Splitting a cohort for cross-validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from napari_asmil.bags import Cohort
from napari_asmil.errors import InputError


def make_folds(cohort: Cohort, n_folds: int = 5, seed: int = 0) -> tuple[Cohort, ...]:
    """The cohort once a fold, every bag in the test split of exactly one of them and in "train" otherwise.

    Folds are stratified on the label, and patient-disjoint where the cohort names patients.

    Raises
    ------
    InputError
        When some class has fewer bags (or patients) than there are folds.
    """
    ids = [bag.slide_id for bag in cohort.bags]
    labels = np.array([cohort.labels[slide_id] for slide_id in ids])
    patients = None if cohort.patients is None else np.array([cohort.patients[slide_id] for slide_id in ids])
    _check_sizes(cohort, labels, patients, n_folds)
    splitter = (StratifiedKFold if patients is None else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    folds = []
    for _, test in splitter.split(labels, labels, patients):
        held_out = {ids[index] for index in test}
        folds.append(cohort.with_splits({one: "test" if one in held_out else "train" for one in ids}))
    return tuple(folds)


def _check_sizes(cohort: Cohort, labels: np.ndarray, patients: np.ndarray | None, n_folds: int) -> None:
    if n_folds < 2:
        raise InputError(f"Cross-validation needs at least 2 folds, not {n_folds}.")
    for number, name in enumerate(cohort.class_names):
        members = labels == number
        count = int(members.sum()) if patients is None else len(set(patients[members]))
        if count < n_folds:
            what = "bags" if patients is None else "patients"
            raise InputError(
                f"Class {name!r} has {count} {what}, too few for {n_folds} folds.", remedy="Use fewer folds."
            )


def permute_labels(cohort: Cohort, seed: int = 0) -> Cohort:
    """The cohort with its labels dealt out anew: what can be learned from it is chance, or a leak."""
    ids = list(cohort.labels)
    order = np.random.default_rng(seed).permutation(len(ids))
    return replace(cohort, labels={ids[at]: cohort.labels[ids[of]] for at, of in enumerate(order)})
