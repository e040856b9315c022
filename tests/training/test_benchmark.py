from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import ttest_rel

from napari_asmil.bags import Cohort
from napari_asmil.bags.mil_sets import read_mil_set
from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Event, Finished
from napari_asmil.mil.layers import ClassRows
from napari_asmil.training import Recipe, preset
from napari_asmil.training.benchmark import Dataset, benchmark
from napari_asmil.training.benchmark_table import Trial, as_text, difference, reference, summarise
from napari_asmil.training.folds import make_folds
from napari_asmil.training.trial import _joined, rows_jsd, trial
from tests.training.cohorts import small_cohort

FOLDS = 3


def dataset(cohort: Cohort | None = None) -> Dataset:
    return Dataset("small", partial(make_folds, cohort or small_cohort(slides=24), FOLDS))


def recipes(**changes: object) -> dict[str, Recipe]:
    settings = {"dim": 16, "attention_dim": 8}
    return {name: preset("classic", name, epochs=2, settings=settings, **changes) for name in ("abmil", "abmil_nsf")}


def test_every_method_is_trained_on_every_fold_and_the_first_on_permuted_labels_too(tmp_path: Path) -> None:
    events = list(benchmark([dataset()], recipes(), tmp_path, device="cpu"))
    assert isinstance(events[-1], Finished) and events[-1].why == "done"
    assert sum(isinstance(e, EpochDone) for e in events) == 3 * FOLDS
    (result,) = json.loads((tmp_path / "report.json").read_text())
    assert set(result["means"]) == {"abmil", "abmil_nsf", "permuted labels"}
    assert {"auc", "accuracy", "macro_f1", "jsd_bits", "normalized_entropy", "tile_auc"} <= result["means"][
        "abmil"
    ].keys()
    assert result["differences"]["abmil_nsf"]["auc"]["against"] == "abmil"
    text = (tmp_path / "report.txt").read_text()
    assert "ABMIL + anchor (NSF)" in text and "logistic regression, pooled: mean" in text


def cohorts_trained(monkeypatch: pytest.MonkeyPatch, given: Dataset, out: Path) -> dict[str, list[Cohort]]:
    """The cohorts that a benchmark of one method trains on, by the folder of the result; nothing is trained."""
    cohorts: dict[str, list[Cohort]] = {}

    def noted(cohort: Cohort, *rest: object) -> Iterator[Event]:
        found, path = rest[-2:]
        assert isinstance(found, dict) and isinstance(path, Path)
        cohorts.setdefault(path.parent.name, []).append(cohort)
        found["auc"] = 0.5
        yield from ()

    monkeypatch.setattr("napari_asmil.training.benchmark.trial", noted)
    list(benchmark([given], {"abmil": recipes()["abmil"]}, out, seeds=(0, 1), device="cpu"))
    return cohorts


def test_independent_cohorts_have_the_control_at_every_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Dataset("worlds", lambda seed: [small_cohort(slides=24, seed=seed)], independent=True)
    trained = cohorts_trained(monkeypatch, given, tmp_path)
    assert {method: len(cohorts) for method, cohorts in trained.items()} == {"abmil": 2, "permuted-labels": 2}
    assert "permuted labels" in (tmp_path / "report.txt").read_text()


def test_folds_of_one_cohort_have_the_control_at_the_first_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = cohorts_trained(monkeypatch, dataset(), tmp_path)
    assert {m: len(c) for m, c in trained.items()} == {"abmil": 2 * FOLDS, "permuted-labels": FOLDS}


def test_the_control_has_as_many_bags_of_each_class_in_each_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained = cohorts_trained(monkeypatch, dataset(), tmp_path)
    for true, dealt in zip(trained["abmil"][:FOLDS], trained["permuted-labels"], strict=True):
        assert dealt.splits == true.splits
        assert dealt.labels != true.labels
        for split in ("train", "test"):
            assert dealt.counts(dealt.select(split)) == true.counts(true.select(split))


def test_what_is_there_is_not_trained_again_and_a_stopped_benchmark_goes_on(tmp_path: Path) -> None:
    stop = threading.Event()
    for event in benchmark([dataset()], recipes(), tmp_path, device="cpu", stop=stop):
        if isinstance(event, EpochDone) and event.epoch == 4:
            stop.set()
    assert isinstance(event, Finished) and event.why == "stopped"
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("seed*.json")}
    assert len(first) == 4 and not (tmp_path / "report.json").exists()
    *_, last = benchmark([dataset()], recipes(), tmp_path, device="cpu")
    assert isinstance(last, Finished) and last.why == "done"
    assert all(path.stat().st_mtime_ns == written for path, written in first.items())
    again = [type(e).__name__ for e in benchmark([dataset()], recipes(), tmp_path, device="cpu")]
    assert "BatchDone" not in again


def test_results_of_another_recipe_are_in_the_way_before_anything_is_trained(tmp_path: Path) -> None:
    list(benchmark([dataset()], recipes(), tmp_path, device="cpu"))
    with pytest.raises(InputError, match="of another recipe"):
        list(benchmark([dataset()], recipes(lr=1e-2), tmp_path, device="cpu"))


@pytest.mark.parametrize("what", ["features", "labels", "tile labels", "folds"])
def test_results_of_other_data_are_in_the_way_before_anything_is_trained(tmp_path: Path, what: str) -> None:
    cohort, one = small_cohort(slides=24), {"abmil": recipes()["abmil"]}
    list(benchmark([dataset(cohort)], one, tmp_path, device="cpu"))
    first, folds = cohort.bags[0], FOLDS
    if what == "features":
        other = replace(cohort, bags=(replace(first, load=lambda: first.features() + 1), *cohort.bags[1:]))
    elif what == "labels":
        other = replace(cohort, labels={**cohort.labels, "s0": 1, "s1": 0})
    elif what == "tile labels":
        other = replace(cohort, bags=(replace(first, tile_labels=1 - first.tile_labels), *cohort.bags[1:]))
    else:
        other, folds = cohort, FOLDS + 1
    there = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(InputError, match="of other bags, labels or splits"):
        list(benchmark([Dataset("small", lambda seed: make_folds(other, folds, seed)[:FOLDS])], one, tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == there


def test_two_datasets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="More than one dataset is called small"):
        list(benchmark([dataset(), dataset()], recipes(), tmp_path, device="cpu"))


def test_a_difference_of_independent_trials_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.8, 0.1, 9), rng.normal(0.75, 0.1, 9)
    found, oracle = difference(ours - theirs, "b", 0.0), ttest_rel(ours, theirs).confidence_interval()
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high))


def test_folds_that_share_bags_widen_the_interval_as_nadeau_and_bengio_have_it() -> None:
    values = np.random.default_rng(1).normal(0.02, 0.05, 10)
    plain, shared = difference(values, "b", 0.0), difference(values, "b", 1 / 9)
    assert (shared.high - shared.low) / (plain.high - plain.low) == pytest.approx(np.sqrt((1 / 10 + 1 / 9) * 10))
    assert shared.mean == plain.mean
    assert np.isnan(difference(values[:1], "b", 0.0).low)


def test_pairs_are_made_by_seed_and_fold_whatever_their_order() -> None:
    def trials(method: str, gain: float) -> list[Trial]:
        return [Trial(method, s, k, 90, 10, {"auc": s + k / 10 + gain}) for s in range(2) for k in range(5)]

    mixed = [*trials("abmil", 0.0), *reversed(trials("abmil_nsf", 0.25))]
    found = summarise("x", mixed, recipes(), {}, independent=False).differences["abmil_nsf"]["auc"]
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def trials_of(method: str, aucs: Sequence[float]) -> list[Trial]:
    return [Trial(method, 0, k, 90, 10, {"auc": auc, "accuracy": 0.5}) for k, auc in enumerate(aucs)]


def test_a_fold_without_an_auc_is_left_out_of_the_mean_and_that_is_said() -> None:
    given = [0.4, 0.6, np.nan, 0.5, 0.7]
    trials = trials_of("abmil", given) + trials_of("abmil_nsf", [auc + 0.1 for auc in given])
    found = summarise("x", trials, recipes(), {"mean": given}, independent=False)
    assert found.means["abmil"]["auc"] == pytest.approx(0.55)
    assert (found.defined["abmil"]["auc"], found.defined["abmil"]["accuracy"]) == (4, 5)
    assert found.differences["abmil_nsf"]["auc"].mean == pytest.approx(0.1)
    lines = [line for line in as_text(found).splitlines() if "(4 of 5)" in line]
    assert [line.split("  ")[0] for line in lines] == [
        "ABMIL",
        "ABMIL + anchor (NSF)",
        "logistic regression, pooled: mean",
        "ABMIL + anchor (NSF)",
    ]
    assert "nan" not in as_text(found)


def test_the_spread_is_that_of_a_sample() -> None:
    aucs = [0.4, 0.6, 0.5, 0.9]
    found = summarise("x", trials_of("abmil", aucs), {"abmil": recipes()["abmil"]}, {"mean": aucs}, independent=True)
    assert found.spreads["abmil"]["auc"] == pytest.approx(stdev(aucs))
    assert as_text(found).count(f"0.600 ± {stdev(aucs):.3f}") == 2


@pytest.mark.parametrize("aucs", [[0.75], [0.75, np.nan]])
def test_one_trial_has_neither_spread_nor_interval_and_nothing_says_nan(aucs: list[float]) -> None:
    trials = trials_of("abmil", aucs) + trials_of("abmil_nsf", [auc + 0.125 for auc in aucs])
    text = as_text(summarise("x", trials, recipes(), {"mean": aucs}, independent=True))
    assert text.count("0.750 ± -") == 2
    assert "+0.125" in text and "+0.125 [" not in text
    assert "nan" not in text


def test_intervals_of_the_auc_hold_together_and_the_others_are_said_to_be_uncorrected() -> None:
    rng = np.random.default_rng(3)
    names = ("abmil", "abmil_nsf", "abmil_aem", "abmil_softmax")
    values = {name: rng.uniform(0.4, 0.9, 8) for name in names}
    trials = [
        Trial(name, seed, 0, 90, 10, {"auc": value, "accuracy": value})
        for name, of in values.items()
        for seed, value in enumerate(of)
    ]
    compared = {name: preset("classic", name) for name in names}
    found = summarise("x", trials, compared, {}, independent=True)
    for name in names[1:]:
        test = ttest_rel(values[name], values["abmil"])
        for number, confidence in (("auc", 1 - 0.05 / 3), ("accuracy", 0.95)):
            pair, oracle = found.differences[name][number], test.confidence_interval(confidence)
            assert (pair.low, pair.high) == pytest.approx((oracle.low, oracle.high))
    text = as_text(found)
    assert "AUC is the primary number: its intervals hold with 95% together (Bonferroni, 3 comparisons)" in text
    assert "The 3 others are of 95% each, not corrected" in text


@pytest.mark.parametrize(
    ("method", "others", "against"),
    [
        ("abmil_nsf:dim=32", ("mha", "abmil", "abmil:dim=32"), "abmil:dim=32"),
        ("abmil_nsf:dim=32,beta=0.1", ("abmil", "abmil:lr=0.01,dim=32", "abmil:dim=32"), "abmil:dim=32"),
        ("asmil", ("mha", "asmil_no_anchor"), "asmil_no_anchor"),
        ("abmil_aem:dim=32", ("mha", "abmil"), "abmil"),
        ("abmil_nsf", ("mha", "abmil_softmax"), "mha"),
        ("abmil:dim=32", ("mha", "abmil"), "abmil"),
        ("abmil", ("mha",), "mha"),
    ],
)
def test_a_method_is_compared_with_the_same_recipe_unsteadied_else_the_plain_method_else_the_first(
    method: str, others: tuple[str, ...], against: str
) -> None:
    compared = {name: preset("classic", name) for name in (*others, method)}
    assert reference(method, compared) == against


def test_the_first_method_is_compared_with_none_but_its_own_unsteadied_recipe() -> None:
    assert reference("mha", {name: preset("classic", name) for name in ("mha", "abmil")}) is None
    assert reference("mha_nsf", {name: preset("classic", name) for name in ("mha_nsf", "mha")}) == "mha"


def test_rows_that_stay_have_no_jsd_whatever_the_prediction_does() -> None:
    cohort, found = make_folds(small_cohort(slides=24), FOLDS)[0], {}
    still = preset("classic", "clam_mb", epochs=2, lr=1e-30, settings={"dim": 8, "attention_dim": 4})
    flips = cycle(torch.eye(2)[[0, 1, 0, 0, 1]])  # a cycle of 5 on 12 probes: no probe keeps its row
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassRows, "row_weights", lambda *_: next(flips))
        list(trial(cohort, still, torch.device("cpu"), threading.Event(), found, Path("x")))
    assert found["jsd_bits"] == found["jsd_rows_bits"] == pytest.approx(0, abs=1e-9)


def test_the_jsd_of_rows_is_the_mean_of_each_row_s() -> None:
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    q = np.array([[0.1, 0.2, 0.7], [0.0, 0.0, 1.0]])
    with np.errstate(divide="ignore"):
        found = rows_jsd(np.log(p).astype(np.float32), np.log(q).astype(np.float32))
    assert found == pytest.approx((jensenshannon(p[0], q[0], base=2) ** 2 + 1) / 2, rel=1e-5)
    one = summarise("x", trials_of("abmil", [0.5]), {"abmil": recipes()["abmil"]}, {}, independent=True)
    assert "mean over rows" in as_text(one)


def write_set(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    bag_id = np.repeat(np.arange(6), [1, 2, 3, 4, 2, 3])
    arrays = {"features": rng.normal(size=(15, 4)), "bag_id": bag_id, "bag_label": np.array([0, 1, 0, 1, 1, 0])}
    np.savez(path, **(arrays | changes))
    return path


def test_a_classical_set_is_read_as_a_cohort_of_bags_without_places(tmp_path: Path) -> None:
    cohort = read_mil_set(write_set(tmp_path / "musk.npz"))
    assert [bag.n_tiles for bag in cohort.bags] == [1, 2, 3, 4, 2, 3]
    assert list(cohort.labels.values()) == [0, 1, 0, 1, 1, 0] and cohort.class_names == ("0", "1")
    assert all(bag.tiles is None for bag in cohort.bags)
    with np.load(tmp_path / "musk.npz") as file:
        np.testing.assert_allclose(cohort.bags[2].features(), file["features"][3:6].astype(np.float32))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bag_label": np.zeros(7, int)}, "Bag 6 has a label but no instance"),
        ({"features": np.zeros((14, 4))}, "shapes do not fit"),
        ({"features": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_a_classical_set_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    with pytest.raises(InputError, match=f"musk.npz.*{why}|{why}.*musk.npz"):
        read_mil_set(write_set(tmp_path / "musk.npz", **changes))


def test_changes_in_a_variant_s_name_reach_the_part_they_mean() -> None:
    recipe = preset("demo", "abmil_nsf:beta=0.1,temperature=0.5,lr=3e-4,gated=false")
    assert recipe.anchor is not None
    assert (recipe.anchor.beta, recipe.anchor.normalizer.temperature, recipe.anchor.normalizer.name) == (
        0.1,
        0.5,
        "nsf",
    )
    assert recipe.lr == 3e-4 and recipe.settings["gated"] is False
    entmax = preset("demo", "abmil_nsf:normalizer=entmax,alpha=1.75").anchor
    assert entmax is not None and (entmax.normalizer.name, entmax.normalizer.alpha) == ("entmax", 1.75)
    aem = preset("demo", "abmil_aem:weight=0.3,anneal=none").entropy
    assert aem is not None and (aem.weight, aem.anneal) == (0.3, "none")
    with pytest.raises(InputError, match="is no change"):
        preset("demo", "abmil:fast")
    with pytest.raises(InputError, match="lr"):
        preset("demo", "abmil:lr=-1")


def test_a_method_s_own_settings_in_a_preset_give_way_to_what_steadies_it() -> None:
    plain, ensembled = preset("demo", "transmil"), preset("demo", "transmil_ensemble")
    assert (plain.epochs, plain.subsample) == (24, 0.5)
    assert (ensembled.epochs, ensembled.subsample) == (24, 1.0)
    assert preset("demo", "abmil").epochs == 12


def test_a_mean_of_rows_that_move_against_each_other_does_not_move() -> None:
    p, q = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.1, 0.9], [0.9, 0.1]])
    before, now = (np.log(rows).astype(np.float32) for rows in (p, q))
    assert rows_jsd(_joined(before), _joined(now)) == pytest.approx(0, abs=1e-9)
    assert rows_jsd(before, now) > 0.5
