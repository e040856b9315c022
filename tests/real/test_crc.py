"""Real H&E images with the class of every nucleus: extraction, tile truth, floors, and what an anchor changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_asmil.bags import Cohort, read_bag, read_cohort
from napari_asmil.encoders import extract_all
from napari_asmil.events import Finished
from napari_asmil.training import preset
from napari_asmil.training.crossval import cross_validate, run_path
from napari_asmil.training.floors import number_floors, pooled_floors, with_truth
from napari_asmil.training.folds import make_folds
from napari_asmil.training.report import summarise
from tests.encoders.plain_features import one_by_one

STARTS = [*range(0, 480, 32), 468]
"""Tiles of 32 px over 500 px; the last column and row are shifted inside."""


@pytest.fixture(scope="module")
def crc(real_data: Path) -> Path:
    folder = real_data / "crchistophenotypes"
    if not folder.is_dir():
        pytest.skip(f"no images at {folder}")
    return folder


@pytest.fixture(scope="module")
def bags(crc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crc")
    images = sorted((crc / "images").iterdir())
    *_, last = extract_all(images, out, size=32, cover=True, points=crc / "points.csv")
    assert isinstance(last, Finished) and last.why == "done"
    return out


@pytest.fixture(scope="module")
def cohort(crc: Path, bags: Path) -> Cohort:
    return read_cohort(bags, crc / "labels.csv", label="bag_label")


@pytest.mark.parametrize("image", ["img1", "img50", "img99"])
def test_features_equal_a_plain_computation_on_tiles_cut_from_the_image(crc: Path, bags: Path, image: str) -> None:
    pixels = np.asarray(Image.open(crc / "images" / f"{image}.webp").convert("RGB"))
    bag = read_bag(bags / f"{image}.h5")
    assert bag.tiles is not None
    assert bag.tiles.xy.tolist() == [[x, y] for y in STARTS for x in STARTS]
    for tile in (0, 100, 255):
        x, y = bag.tiles.xy[tile]
        expected = one_by_one(pixels[y : y + 32, x : x + 32])
        np.testing.assert_allclose(bag.features()[tile], expected, rtol=5e-4, atol=5e-5)


def test_positive_images_and_only_they_hold_positive_tiles(cohort: Cohort) -> None:
    shares = {True: [], False: []}
    for bag in cohort.bags:
        assert bag.tile_labels is not None
        shares[bool(cohort.labels[bag.slide_id])].append(float(bag.tile_labels.mean()))
    positive = np.array(shares[True])
    assert (len(positive), len(shares[False]), max(shares[False])) == (51, 49, 0)
    assert [positive.min(), np.median(positive), positive.max()] == pytest.approx([0.047, 0.305, 0.711], abs=5e-4)


def test_a_single_stain_number_is_the_floor_that_it_is_known_to_be(cohort: Cohort) -> None:
    named, best = number_floors(with_truth(cohort.bags))
    assert named is not None and best is not None
    assert named.tile_auc == pytest.approx(0.853, abs=0.01)
    assert best.tile_auc >= named.tile_auc


def test_pooled_regression_is_the_floor_that_it_is_known_to_be(cohort: Cohort) -> None:
    found = [pooled_floors(make_folds(cohort, 5, seed)) for seed in range(3)]
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    assert means["mean"] == pytest.approx(0.949, abs=0.02)
    assert means["mean, sd"] == pytest.approx(0.974, abs=0.02)


def test_an_anchor_calms_and_spreads_attention_on_real_bags(cohort: Cohort, tmp_path: Path) -> None:
    recipes = {name: preset("crc-r1", name, epochs=6) for name in ("abmil", "abmil_nsf")}
    *_, last = cross_validate(cohort, recipes, tmp_path, n_folds=2, floors=False, device="cpu")
    assert isinstance(last, Finished) and last.why == "done"
    report = summarise({name: [run_path(tmp_path, name, fold) for fold in range(2)] for name in recipes})
    plain, anchored = report.methods
    assert anchored.paired is not None
    assert anchored.paired.jsd_ratio < 0.2
    assert anchored.entropy_positive > 0.98 > plain.entropy_positive
    assert min(plain.means["bag_auc"], anchored.means["bag_auc"]) > 0.8
