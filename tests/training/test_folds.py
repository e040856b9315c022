from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_asmil.bags import Cohort, in_memory_bag
from napari_asmil.errors import InputError
from napari_asmil.training.folds import make_folds, permute_labels


def cohort_of(positives: int, negatives: int, patients: dict[str, str] | None = None) -> Cohort:
    ids = [f"s{number}" for number in range(positives + negatives)]
    bags = tuple(in_memory_bag(one, np.zeros((2, 3))) for one in ids)
    labels = {one: int(number < positives) for number, one in enumerate(ids)}
    return Cohort(bags, labels, ("normal", "tumour"), {}, patients)


def test_every_bag_is_tested_in_exactly_one_fold() -> None:
    cohort = cohort_of(10, 12)
    tested = [bag.slide_id for fold in make_folds(cohort, 5) for bag in fold.select("test")]
    assert sorted(tested) == sorted(cohort.labels)


def test_a_bag_that_is_not_tested_is_trained_on() -> None:
    for fold in make_folds(cohort_of(10, 12), 5):
        assert len(fold.select("train")) + len(fold.select("test")) == 22


def test_every_fold_tests_the_classes_in_their_proportion() -> None:
    folds = make_folds(cohort_of(10, 20), 5, seed=3)
    assert [sum(fold.labels[bag.slide_id] for bag in fold.select("test")) for fold in folds] == [2] * 5


def test_the_seed_decides_the_folds() -> None:
    one, same, other = (
        [[bag.slide_id for bag in fold.select("test")] for fold in make_folds(cohort_of(10, 10), 5, seed)]
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_slides_of_one_patient_are_never_trained_and_tested_on_at_once() -> None:
    patients = {f"s{number}": f"p{number // 2}" for number in range(40)}
    for fold in make_folds(cohort_of(20, 20, patients), 5):
        sides = [{patients[bag.slide_id] for bag in fold.select(split)} for split in ("train", "test")]
        assert not sides[0] & sides[1]


@pytest.mark.parametrize(("n_folds", "reason"), [(1, "at least 2"), (5, "'tumour' has 4 bags")])
def test_too_few_folds_or_bags_are_refused(n_folds: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make_folds(cohort_of(4, 10), n_folds)


def test_too_few_patients_of_a_class_are_refused() -> None:
    cohort = cohort_of(8, 8, {f"s{number}": f"p{number // 4}" for number in range(16)})
    with pytest.raises(InputError, match="2 patients"):
        make_folds(cohort, 5)


def test_permuting_labels_keeps_their_counts_and_changes_their_places() -> None:
    cohort = cohort_of(30, 30)
    shuffled = permute_labels(cohort, seed=0)
    assert sorted(shuffled.labels.values()) == sorted(cohort.labels.values())
    moved = sum(shuffled.labels[one] != cohort.labels[one] for one in cohort.labels)
    assert 15 < moved < 45
    assert shuffled.bags == cohort.bags


def test_permuting_is_decided_by_the_seed() -> None:
    cohort = replace(cohort_of(10, 10))
    assert permute_labels(cohort, 4).labels == permute_labels(cohort, 4).labels
    assert permute_labels(cohort, 4).labels != permute_labels(cohort, 5).labels
