from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_asmil.annotations import Contour, Contours
from napari_asmil.demo.world import CLASS_NAMES, TILE, Place, World, make_world, steps, tissue


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7)


def of_kind(world: World, positive: bool) -> list[Place]:
    return [place for place in world.places.values() if bool(place.foci) == positive]


def owned(share: np.ndarray) -> float:
    return float((share >= 0.5).mean())


def test_the_same_seed_gives_the_same_bags_and_another_seed_others(world: World) -> None:
    again, other = make_world(7), make_world(8)
    assert [b.content_hash() for b in world.cohort.bags] == [b.content_hash() for b in again.cohort.bags]
    assert world.cohort.labels == again.cohort.labels
    assert world.cohort.bags[0].content_hash() != other.cohort.bags[0].content_hash()


def test_the_cohort_is_balanced_and_fit_for_training(world: World) -> None:
    cohort = world.cohort
    cohort.check()
    assert len(cohort.select("train")) == 200
    assert len(cohort.select("test")) == 60
    for split in ("train", "test"):
        labels = [cohort.labels[b.slide_id] for b in cohort.select(split)]
        assert np.bincount(labels).tolist() == [len(labels) // 2] * 2
    assert cohort.class_names == CLASS_NAMES


def test_five_per_cent_of_the_training_labels_are_wrong_and_no_test_label_is(world: World) -> None:
    wrong = {True: 0, False: 0}
    for bag in world.cohort.bags:
        positive = bool(world.places[bag.slide_id].foci)
        if world.cohort.labels[bag.slide_id] != int(positive):
            assert world.cohort.splits[bag.slide_id] == "train"
            wrong[positive] += 1
    assert wrong == {True: 5, False: 5}


def test_tumour_has_its_share_of_a_positive_slide_and_every_focus_owns_a_tile(world: World) -> None:
    shares = [owned(place.tumour) for place in of_kind(world, True)]
    assert 0.01 <= min(shares) < 0.025
    assert 0.08 < max(shares) <= 0.115
    for place in of_kind(world, True):
        assert 1 <= len(place.foci) <= 3
        for focus in place.foci:
            alone = Contours([Contour("", "Tumor", focus)]).tile_share(place.tiles)
            assert (alone >= 0.5).any()


def test_every_slide_has_a_mimic_and_a_normal_one_no_tumour(world: World) -> None:
    assert all(0.01 <= owned(place.mimic) <= 0.115 for place in world.places.values())
    assert all(not place.tumour.any() for place in of_kind(world, False))


def test_tile_labels_are_the_share_inside_the_foci(world: World) -> None:
    for bag in world.cohort.bags:
        place = world.places[bag.slide_id]
        truth = Contours([Contour("", "Tumor", focus) for focus in place.foci]).tile_share(place.tiles)
        np.testing.assert_allclose(bag.tile_labels, truth, atol=1e-6)
        np.testing.assert_array_equal(bag.tile_labels >= 0.5, truth >= 0.5)


def test_tiles_are_those_at_least_half_covered_by_tissue(world: World) -> None:
    for place in list(world.places.values())[:20]:
        at = steps(place.across, 16)
        inside = tissue(place.outline, place.across, at, at) > 0
        share = inside.reshape(place.across, 16, place.across, 16).mean(axis=(1, 3))
        taken = np.zeros_like(share, dtype=bool)
        columns, rows = (place.tiles.xy // TILE).T
        taken[rows, columns] = True
        assert share[taken].min() > 0.4
        assert share[~taken].max() < 0.6


def test_foci_and_mimics_lie_in_the_tissue_and_apart(world: World) -> None:
    for place in list(world.places.values())[:60]:
        shapes = [shapely.Polygon(shape) for shape in (*place.foci, *place.mimics)]
        assert all(shape.is_valid for shape in shapes)
        for i, shape in enumerate(shapes):
            assert all(shape.disjoint(other) for other in shapes[:i])
            x, y = np.array(shape.exterior.coords).T / TILE
            corners = [tissue(place.outline, place.across, y[k : k + 1], x[k : k + 1])[0, 0] for k in range(len(x))]
            assert min(corners) > 0


def test_a_mimic_resembles_tumour_halfway(world: World) -> None:
    tumour, mimic, rest = [], [], []
    for bag in world.cohort.bags:
        place = world.places[bag.slide_id]
        x = bag.features()
        tumour.append(x[place.tumour >= 0.5])
        mimic.append(x[place.mimic >= 0.5])
        rest.append(x[(place.tumour < 0.5) & (place.mimic < 0.5)])
    base = np.concatenate(rest).mean(axis=0)
    a, b = (np.concatenate(group).mean(axis=0) - base for group in (tumour, mimic))
    assert np.linalg.norm(a) == pytest.approx(0.65 * 7, rel=0.1)
    assert np.linalg.norm(b) == pytest.approx(0.65 * 7, rel=0.1)
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(0.5, abs=0.08)


def test_bags_say_that_their_features_are_simulated(world: World) -> None:
    assert {bag.encoder for bag in world.cohort.bags} == {"simulated embeddings, not extracted from this picture"}
