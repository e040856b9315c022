"""Numbers over epochs that a run does not store: right, derived once, derived on when the run grows."""

from __future__ import annotations

import gc
import shutil
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, rel_entr, softmax
from scipy.stats import entropy, spearmanr

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.runs import EpochRecord, Run, RunWriter, SlideRecord, open_run
from napari_asmil.runs import courses as module
from napari_asmil.runs.courses import FAMILY, OF_SCORES, Courses
from tests.conftest import RunMaker, header, random_z, record

ONCE = [name for name, family in FAMILY.items() if family != "last"]
"""Courses whose number of an epoch never changes."""


def computed(run: Run, name: str, *slides: str) -> np.ndarray:
    list(Courses.of(run).compute(name, slides))
    return Courses.of(run).values(name, slides[-1])


def stored(run: Run, epoch: int, slide_id: str) -> np.ndarray:
    p = np.exp(run.attention(epoch, slide_id).astype(np.float64))
    return p / p.sum()


def bits(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    m = (p + q) / 2
    return (rel_entr(p, m).sum(-1) + rel_entr(q, m).sum(-1)) / 2 / np.log(2)


def grow(path: Path, first: int, last: int, rows: int = 1, tiles: int = 25) -> None:
    with RunWriter.resume(path) as writer:
        for epoch in range(first, last + 1):
            writer.write(record(epoch, 2, rows, tiles, False))


def test_numbers_of_the_map_as_stored(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3, side=40))
    maps = [stored(run, epoch, "s1") for epoch in range(5)]
    last = computed(run, "jsd_last", "s1")
    np.testing.assert_allclose(last, [bits(p, maps[-1]) for p in maps], atol=1e-12)
    assert last[-1] == 0
    ranks = computed(run, "rank_correlation", "s1")
    oracle = [spearmanr(before, p).statistic for before, p in pairwise(maps)]
    np.testing.assert_allclose(ranks, [np.nan, *oracle], atol=1e-12)
    for name, tiles in (("top01_mass", 2), ("top10_mass", 160)):  # of 1600
        np.testing.assert_allclose(computed(run, name, "s1"), [np.sort(p)[-tiles:].sum() for p in maps], atol=1e-12)


def test_numbers_of_the_scores_of_each_row(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3))
    z = [random_z(epoch, 1, 3, 25).astype(np.float64) for epoch in range(5)]
    np.testing.assert_allclose(computed(run, "z_mean", "s1"), [s.mean(axis=1) for s in z], atol=1e-12)
    np.testing.assert_allclose(computed(run, "z_sd", "s1"), [s.std(axis=1) for s in z], atol=1e-12)
    maps = [softmax(s, axis=1) for s in z]
    np.testing.assert_allclose(computed(run, "row_entropy", "s1"), [entropy(p, axis=1) for p in maps], atol=1e-12)
    moved = computed(run, "row_jsd", "s1")
    assert moved.shape == (5, 3) and np.isnan(moved[0]).all()
    np.testing.assert_allclose(moved[1:], [bits(p, q) for p, q in pairwise(maps)], atol=1e-12)


def test_the_jsd_of_the_mean_map_is_another_number_than_the_mean_of_the_rows_jsd(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=8))
    of_rows, of_mean = computed(run, "row_jsd", "s0").mean(axis=1)[1:], run.scalars("jsd")[1:, 0]
    assert (of_rows > 2 * of_mean).all()


def test_saturation_is_where_the_sigmoid_no_longer_tells_tiles_apart() -> None:
    z = np.random.default_rng(0).normal(0, 4, (4, 1000))
    expected = ((expit(z) > 0.99) | (expit(z) < 0.01)).mean(axis=1)
    assert expected.min() > 0 and expected.max() < 1
    np.testing.assert_array_equal(module.saturation(z), expected)
    assert np.isnan(module.saturation(np.array([0.0, np.nan])))


@pytest.mark.parametrize("name", ["nsf", "entmax"])
def test_rows_are_normalised_as_the_model_does_it(tmp_path: Path, name: str) -> None:
    own = Normalizer(name, temperature=2.0) if name == "nsf" else Normalizer(name, alpha=2.0)
    with RunWriter.create(tmp_path / "a.asmil", replace(header(2, 2, 5, 1, False), normalizer=own)) as writer:
        for epoch in (0, 1):
            writer.write(record(epoch, 2, 2, 25, False))
    run = open_run(tmp_path / "a.asmil")
    maps = [np.exp(own.log(random_z(epoch, 0, 2, 25))) for epoch in (0, 1)]
    np.testing.assert_allclose(computed(run, "row_jsd", "s0")[1], bits(*maps), atol=1e-12)


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_a_run_that_grew_has_the_numbers_of_one_that_was_whole(make_run: RunMaker, name: str) -> None:
    path = make_run("grown", epochs=2, planned=6, rows=2)
    run = open_run(path)
    before = computed(run, name, "s0", "s1")
    grow(path, 3, 6, rows=2)
    run.refresh()
    whole = open_run(make_run("whole", epochs=6, rows=2))
    np.testing.assert_array_equal(computed(run, name, "s0", "s1"), computed(whole, name, "s1"))
    assert len(before) == 3 and Courses.of(run).missing(name, ["s0", "s1"]) == 0


@pytest.mark.parametrize("name", ONCE)
def test_an_epoch_is_computed_once(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = make_run("grown", epochs=3, planned=5)
    run, read = open_run(path), []
    for reader in ("attention", "scores"):
        known = getattr(run, reader)
        monkeypatch.setattr(run, reader, lambda epoch, *of, known=known: (read.append(epoch), known(epoch, *of))[1])
    computed(run, name, "s0")
    assert read == [0, 1, 2, 3]
    computed(run, name, "s0")
    assert read == [0, 1, 2, 3]
    grow(path, 4, 5)
    run.refresh()
    computed(run, name, "s0")
    assert set(read[4:]) <= {3, 4, 5} and {4, 5} <= set(read[4:])


def test_the_jsd_to_the_last_epoch_is_to_the_new_last_one_when_the_run_grew(make_run: RunMaker) -> None:
    path = make_run("grown", epochs=2, planned=4)
    run = open_run(path)
    courses = Courses.of(run)
    before = computed(run, "jsd_last", "s0")
    grow(path, 3, 4)
    run.refresh()
    assert courses.reference(["s0"]) == {2} and courses.missing("jsd_last", ["s0"]) == 5
    np.testing.assert_array_equal(courses.values("jsd_last", "s0"), [*before, np.nan, np.nan])
    steps = courses.compute("jsd_last", ["s0"])
    next(steps)
    next(steps)
    assert courses.missing("jsd_last", ["s0"]) == 3  # the numbers to epoch 2 stand until all new ones are there
    np.testing.assert_array_equal(courses.values("jsd_last", "s0"), [*before, np.nan, np.nan])
    list(steps)
    maps = [stored(run, epoch, "s0") for epoch in range(5)]
    np.testing.assert_allclose(courses.values("jsd_last", "s0"), [bits(p, maps[4]) for p in maps], atol=1e-12)
    assert courses.reference(["s0"]) == {4}


@pytest.mark.parametrize("name", ["jsd_last", "rank_correlation", "row_jsd"])
def test_a_run_that_grows_while_it_is_computed_is_computed_to_its_end(make_run: RunMaker, name: str) -> None:
    path = make_run("grown", epochs=2, planned=4)
    run = open_run(path)
    steps = Courses.of(run).compute(name, ["s0"])
    next(steps)
    grow(path, 3, 4)
    run.refresh()
    list(steps)
    whole = open_run(make_run("whole"))
    assert Courses.of(run).missing(name, ["s0"]) == 0
    np.testing.assert_array_equal(Courses.of(run).values(name, "s0"), computed(whole, name, "s0"))


def test_what_was_computed_before_it_was_given_up_is_known(make_run: RunMaker) -> None:
    run = open_run(make_run())
    courses = Courses.of(run)
    steps = courses.compute("top10_mass", ["s0", "s1"])
    for _ in range(3):
        next(steps)
    steps.close()
    assert courses.missing("top10_mass", ["s0", "s1"]) == 7
    assert np.isfinite(courses.values("top10_mass", "s0")).tolist() == [True, True, True, False, False]


def test_two_who_ask_for_the_same_get_the_same(make_run: RunMaker) -> None:
    run, apart = open_run(make_run(rows=2)), open_run(make_run("apart", rows=2))
    courses = Courses.of(run)
    first: list[Iterator[None]] = [courses.compute(name, ["s0"]) for name in ("row_jsd", "row_entropy")]
    for turn in range(7):
        next(first[turn % 2], None)
    for steps in first:
        list(steps)
    assert courses.missing("row_jsd", ["s0"]) == 0
    np.testing.assert_array_equal(courses.values("row_jsd", "s0"), computed(apart, "row_jsd", "s0"))


def test_a_pause_comes_after_a_few_rows(make_run: RunMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP", 50)
    run = open_run(make_run(rows=8))
    assert len(list(Courses.of(run).compute("row_jsd", ["s0"]))) == 5 * (4 + 1)  # 2 rows of 25 tiles each


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_an_epoch_that_a_damaged_run_lost_is_a_gap_and_is_counted(make_run: RunMaker, name: str) -> None:
    path = make_run()
    array = "scores" if FAMILY[name] in OF_SCORES else "attention/online"
    for file in (path / array / "c").glob("2"):
        shutil.rmtree(file)
    run = open_run(path)
    values = computed(run, name, "s0").reshape(5, -1)[:, 0]
    assert np.isnan(values[2]) and np.isfinite(values[4]) and np.isfinite(values[1])
    assert Courses.of(run).lost(name, ["s0"]) == 1


def test_maps_that_are_no_numbers_have_no_numbers(tmp_path: Path) -> None:
    plain = header(1, 1, 5, 2, False)
    unlabelled = replace(plain, slides=(replace(plain.slides[0], labels=None),))
    with RunWriter.create(tmp_path / "a.asmil", unlabelled) as writer:
        for epoch in range(3):
            good = record(epoch, 1, 1, 25, False).slides["s0"]
            lost = np.full(25, np.nan, np.float32)
            bad = SlideRecord(lost, good.logits, good.bag, None, lost[None])
            with np.errstate(invalid="ignore"):
                writer.write(EpochRecord({"s0": good if epoch == 0 else bad}))
    run = open_run(tmp_path / "a.asmil")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in FAMILY:
            assert np.isnan(computed(run, name, "s0")[1:]).all(), name


def test_a_bag_of_one_tile(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path / "a.asmil", header(1, 1, 1, 1, False)) as writer:
        for epoch in (0, 1):
            writer.write(record(epoch, 1, 1, 1, False))
    run = open_run(tmp_path / "a.asmil")
    one = {name: computed(run, name, "s0")[1].item() for name in FAMILY}
    assert one["top01_mass"] == one["top10_mass"] == 1
    assert one["jsd_last"] == one["row_jsd"] == one["row_entropy"] == one["z_sd"] == 0
    assert np.isnan(one["rank_correlation"])


def test_courses_live_as_long_as_their_run(make_run: RunMaker) -> None:
    run = open_run(make_run())
    assert Courses.of(run) is Courses.of(run)
    gone = weakref.ref(Courses.of(run))
    del run
    gc.collect()
    assert gone() is None
