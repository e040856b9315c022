from __future__ import annotations

import json
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.bags import in_memory_bag
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started
from napari_asmil.runs import open_run
from napari_asmil.training import Recipe, attend, fit, preset, variants
from napari_asmil.training.attend import find_checkpoint
from napari_asmil.training.epoch import sizes_of
from napari_asmil.training.state import State
from tests.training.cohorts import assert_same_run, small_cohort, small_recipe, weights

VARIANTS = [
    {"method": "abmil", "anchor": None},
    {"method": "abmil", "anchor": {"normalizer": Normalizer("softmax"), "beta": 1.0}},
    {"method": "asmil"},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_epoch_is_on_disk_before_it_is_announced(tmp_path: Path, variant: dict[str, object]) -> None:
    announced = []
    for event in fit(small_cohort(), small_recipe(**variant), tmp_path / "a.asmil"):
        if isinstance(event, EpochDone):
            announced.append(event.epoch)
            run = open_run(tmp_path / "a.asmil")
            assert run.n_epochs == event.epoch + 1
            assert np.isfinite(run.attention(event.epoch, "s2")).all()
            assert (tmp_path / "a.asmil" / "checkpoints" / run.commit(event.epoch)["checkpoint"]).is_dir()
    assert announced == [0, 1, 2, 3]
    assert isinstance(event, Finished) and event.why == "done"


@pytest.mark.parametrize("method", ["abmil", "asmil", "clam_mb"])
def test_the_recorded_evidence_is_what_the_trained_model_says_of_each_tile_alone(tmp_path: Path, method: str) -> None:
    cohort = small_cohort()
    for _ in fit(cohort, small_recipe(method=method, anchor=None, evidence=True, watch=("s2",)), tmp_path / "a.asmil"):
        pass
    run = open_run(tmp_path / "a.asmil")
    state = State.fresh(Recipe.make(run.recipe), sizes_of(cohort), torch.device("cpu"))
    state.load(find_checkpoint(tmp_path / "a.asmil"))
    bag = next(bag for bag in cohort.bags if bag.slide_id == "s2")
    model = state.model.eval()
    alone = model.evidence(model.prepare(torch.tensor(bag.features())))
    np.testing.assert_allclose(run.evidence(3, "s2"), alone.T.numpy(), rtol=1e-5, atol=1e-6)
    if run.slide("s3").has_scores:  # of a model of one row every slide keeps them
        assert run.evidence(3, "s3").shape == (2, run.slide("s3").n_tiles)
    else:
        with pytest.raises(InputError, match="Raw scores of 's3'"):
            run.evidence(3, "s3")


def test_a_run_of_a_time_that_knew_no_evidence_is_gone_on_with(tmp_path: Path) -> None:
    stop = threading.Event()
    for event in fit(small_cohort(), small_recipe(), tmp_path / "a.asmil", stop=stop):
        if isinstance(event, EpochDone):
            stop.set()
    about = tmp_path / "a.asmil" / "zarr.json"
    told = json.loads(about.read_text())
    del told["attributes"]["napari_asmil"]["recipe"]["evidence"]
    about.write_text(json.dumps(told))
    *_, last = fit(small_cohort(), small_recipe(), tmp_path / "a.asmil")
    assert isinstance(last, Finished) and last.why == "done"


def test_without_being_asked_no_evidence_is_recorded(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(), tmp_path / "a.asmil"):
        pass
    run = open_run(tmp_path / "a.asmil")
    assert not run.has_evidence
    with pytest.raises(InputError, match="evidence=true"):
        run.evidence(0, "s2")


def test_how_far_model_and_anchor_are_apart_is_a_curve_where_there_is_an_anchor(tmp_path: Path) -> None:
    for name, anchor in (("with", {"beta": 1.0}), ("without", None)):
        for _ in fit(small_cohort(), small_recipe(method="abmil", anchor=anchor), tmp_path / f"{name}.asmil"):
            pass
    drift = open_run(tmp_path / "with.asmil").curves()["anchor_drift"]
    assert np.isnan(drift[0]) and (drift[1:] > 0).all()
    assert "anchor_drift" not in open_run(tmp_path / "without.asmil").curves()


def test_a_batch_is_never_silent(tmp_path: Path) -> None:
    events = list(fit(small_cohort(), small_recipe(), tmp_path / "a.asmil"))
    assert isinstance(next(e for e in events if not isinstance(e, BatchDone)), Started)
    trained = [e for e in events if isinstance(e, BatchDone) and e.phase == "train"]
    assert [(e.epoch, e.step, e.steps) for e in trained] == [(e, s, 4) for e in (1, 2, 3) for s in (1, 2, 3, 4)]


def test_the_recorded_map_is_that_of_the_recorded_prediction(tmp_path: Path) -> None:
    cohort = small_cohort()
    for _ in fit(cohort, small_recipe(watch=("s2",)), tmp_path / "a.asmil"):
        pass
    run = open_run(tmp_path / "a.asmil")
    z = run.scores(3, "s2")
    np.testing.assert_allclose(np.exp(run.attention(3, "s2")), np.exp(run.normalizer.log(z)).mean(axis=0), rtol=1e-5)
    assert run.slide("s2").has_scores and not run.slide("s3").has_scores
    assert run.has_anchor and run.curves()["test_auc"].shape == (4,)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("after", [1, 9, 14, 25])
def test_a_stopped_training_resumes_to_the_same_weights(tmp_path: Path, variant: dict[str, object], after: int) -> None:
    cohort, recipe = small_cohort(), small_recipe(**variant)
    for _ in fit(cohort, recipe, tmp_path / "whole.asmil"):
        pass
    stop = threading.Event()
    events: list[Event] = []
    for event in fit(cohort, recipe, tmp_path / "broken.asmil", stop=stop):
        events.append(event)
        if len(events) == after:
            stop.set()
    assert isinstance(events[-1], Finished) and events[-1].why == "stopped"
    assert len(events) <= after + 2
    torch.rand(3)
    for _ in fit(cohort, recipe, tmp_path / "broken.asmil"):
        pass
    assert_same_run(tmp_path / "whole.asmil", tmp_path / "broken.asmil")


def test_training_leaves_the_random_state_of_others_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    for _ in fit(small_cohort(), small_recipe(epochs=1), tmp_path / "a.asmil"):
        pass
    assert torch.equal(torch.rand(4), expected)


def test_a_run_is_not_continued_past_its_plan_where_the_learning_rate_would_start_again(tmp_path: Path) -> None:
    cohort, path = small_cohort(), tmp_path / "a.asmil"
    for _ in fit(cohort, small_recipe(epochs=1), path):
        pass
    for epochs in (0, 3):
        with pytest.raises(InputError, match=r"another recipe \(differs in epochs\)"):
            fit(cohort, small_recipe(epochs=epochs), path)


def test_a_model_that_leaves_tiles_out_takes_no_anchor() -> None:
    with pytest.raises(InputError, match="entmax leaves tiles out"):
        small_recipe(normalizer={"name": "entmax"})
    assert small_recipe(normalizer={"name": "entmax"}, anchor=None).normalizer.name == "entmax"


def test_a_run_says_how_its_method_joins_the_rows(tmp_path: Path) -> None:
    for method, joined in (("abmil", "mean of the rows"), ("clam_mb", "row of the predicted class")):
        path = tmp_path / f"{method}.asmil"
        for _ in fit(small_cohort(), small_recipe(method=method, epochs=0), path):
            pass
        assert open_run(path).row_join == joined


def test_the_bags_named_for_watching_must_be_recorded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Raw scores of s99 .* no such slide is recorded"):
        list(fit(small_cohort(), small_recipe(watch=("s99",)), tmp_path / "a.asmil"))


def test_without_an_anchor_weight_the_model_is_the_plain_one_bit_for_bit(tmp_path: Path) -> None:
    cohort = small_cohort()
    plain, idle = small_recipe(anchor=None), small_recipe(anchor={"beta": 0.0})
    for recipe, name in ((plain, "plain"), (idle, "idle")):
        for _ in fit(cohort, recipe, tmp_path / f"{name}.asmil"):
            pass
    a, b = weights(tmp_path / "plain.asmil"), weights(tmp_path / "idle.asmil")
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_another_recipe_does_not_resume_a_run(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(epochs=1), tmp_path / "a.asmil"):
        pass
    with pytest.raises(InputError, match=r"another recipe \(differs in lr\)"):
        fit(small_cohort(), small_recipe(epochs=1, lr=0.5), tmp_path / "a.asmil")


def test_other_bags_do_not_resume_a_run(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(epochs=1), tmp_path / "a.asmil"):
        pass
    with pytest.raises(InputError, match="bags are not those"):
        list(fit(small_cohort(seed=1), small_recipe(epochs=1), tmp_path / "a.asmil"))


@pytest.mark.parametrize("what", ["labels", "splits"])
def test_other_labels_or_splits_do_not_resume_a_run(tmp_path: Path, what: str) -> None:
    cohort = small_cohort()
    for _ in fit(cohort, small_recipe(epochs=1), tmp_path / "a.asmil"):
        pass
    other = {"s0": 1, "s1": 0} if what == "labels" else {"s0": "test"}
    with pytest.raises(InputError, match=f"{what} are not those"):
        changed = replace(cohort, **{what: {**getattr(cohort, what), **other}})
        list(fit(changed, small_recipe(epochs=1), tmp_path / "a.asmil"))


@pytest.mark.parametrize("what", ["bags", "labels", "splits"])
def test_a_run_of_an_older_version_that_did_not_note_its_data_is_not_gone_on_with(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.asmil"
    for _ in fit(small_cohort(), small_recipe(epochs=1), path):
        pass
    meta = json.loads((path / "zarr.json").read_text())
    del meta["attributes"]["napari_asmil"][what.replace("bags", "bag_hashes")]
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match=rf"a\.asmil: An older version .* without noting its {what}"):
        list(fit(small_cohort(), small_recipe(epochs=1), path))
    assert open_run(path).n_epochs == 2


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        list(fit(small_cohort(), small_recipe(), tmp_path / "file" / "a.asmil"))


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"no device 'cuda:99'.*cpu"):
        fit(small_cohort(), small_recipe(), "a.asmil", device="cuda:99")


def test_a_diverged_loss_stops_with_the_slide_and_keeps_what_was_committed(tmp_path: Path) -> None:
    recipe = small_recipe(lr=1e30, clip=None, epochs=5)
    with pytest.raises(InputError, match=r"loss is no longer finite.*slide 's\d'"):
        list(fit(small_cohort(), recipe, tmp_path / "a.asmil"))
    assert open_run(tmp_path / "a.asmil").n_epochs >= 1


def test_the_bags_named_for_recording_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'s99'"):
        fit(small_cohort(), small_recipe(record=("s99",)), tmp_path / "a.asmil")


def test_standardised_training_takes_its_statistics_from_the_training_split_only(tmp_path: Path) -> None:
    cohort = small_cohort()
    for _ in fit(cohort, small_recipe(standardize=True, epochs=0), tmp_path / "a.asmil"):
        pass
    tiles = np.concatenate([b.features() for b in cohort.select("train")]).astype(np.float64)
    saved = weights(tmp_path / "a.asmil")
    np.testing.assert_allclose(saved["model.mean"], tiles.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(saved["model.scale"], 1 / tiles.std(axis=0), rtol=1e-5)


def test_attending_with_a_trained_run_gives_its_last_map(tmp_path: Path) -> None:
    cohort = small_cohort()
    for _ in fit(cohort, small_recipe(standardize=True), tmp_path / "a.asmil"):
        pass
    bag = next(b for b in cohort.bags if b.slide_id == "s2")
    events = list(attend([bag], tmp_path / "a.asmil", tmp_path / "b.asmil"))
    assert isinstance(events[-1], Finished) and events[-1].why == "done"
    trained, applied = open_run(tmp_path / "a.asmil"), open_run(tmp_path / "b.asmil")
    np.testing.assert_array_equal(applied.attention(0, "s2"), trained.attention(3, "s2"))
    assert applied.applied == "epoch 3 of a" and not trained.applied


def test_a_bag_of_another_encoder_is_refused_by_name(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(epochs=0), tmp_path / "a.asmil"):
        pass
    other = in_memory_bag("other", np.zeros((4, 9)), encoder="resnet")
    with pytest.raises(InputError, match=r"'other'.*9 features a tile, not 6.*'resnet', not 'test'"):
        attend([other], tmp_path / "a.asmil", tmp_path / "b.asmil")


def test_two_bags_of_one_slide_are_not_attended_to(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(epochs=0), tmp_path / "a.asmil"):
        pass
    bags = [small_cohort(seed=seed).bags[0] for seed in (0, 1)]
    with pytest.raises(InputError, match="more than one bag of slide s0"):
        attend(bags, tmp_path / "a.asmil", tmp_path / "b.asmil")


def test_recipes_survive_their_own_json_and_say_what_does_not_fit() -> None:
    for name in ("stable", "paper", "released", "demo", "crc-r1"):
        for variant in variants():
            if name == "released" and not variant.startswith("asmil"):
                with pytest.raises(InputError, match="'released' is ASMIL's own"):
                    preset(name, variant)
                continue
            recipe = preset(name, variant)
            assert Recipe.make(recipe.as_json()) == recipe
    with pytest.raises(InputError, match=r"method: unknown method 'nomil'.*lr"):
        Recipe.make({"method": "nomil", "lr": -1})


def test_the_learning_rate_falls_along_a_cosine_to_nearly_nothing(tmp_path: Path) -> None:
    for _ in fit(small_cohort(), small_recipe(epochs=6), tmp_path / "a.asmil"):
        pass
    rates = open_run(tmp_path / "a.asmil").curves()["lr"][1:]
    assert all(later < earlier for earlier, later in pairwise(rates))
    steps = np.arange(24).reshape(6, 4)
    np.testing.assert_allclose(rates, (1e-3 * 0.5 * (1 + np.cos(np.pi * steps / 24))).mean(axis=1))
