"""A run made from a file of scores: what it gives, and what it refuses to derive, in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_asmil.analysis.display import TRANSFORMS
from napari_asmil.analysis.normalizers import Normalizer, nsf
from napari_asmil.bags import Given
from napari_asmil.errors import InputError
from napari_asmil.info import describe, kind_of
from napari_asmil.maps import import_map, read_map, write_maps
from napari_asmil.runs import MapView, Run, Source, open_run, schema, sources
from napari_asmil.runs.contrast import Difference
from napari_asmil.runs.raw import RawScores
from napari_asmil.runs.spread import OverViews
from tests.maps import layouts
from tests.maps.layouts import EDGE, HOT, LAYOUTS, LOGITS, PERCENTILES, SLIDE, TILES, XY, block_map, softmax

RunOf = Callable[..., Run]
ORDERS = ("CLAM region of percentiles", "WSInfer csv")


def import_scores(folder: Path, scores: np.ndarray, **more: object) -> Run:
    path = block_map(folder / "s1_blockmap.h5", scores)
    return import_map(path, folder / "r.asmil", given=Given(tile_size=EDGE), **more)  # type: ignore[arg-type]


def test_raw_scores_keep_every_normaliser_and_the_stored_map_is_their_softmax(run_of: RunOf) -> None:
    run = run_of("CLAM block map")
    assert run.n_epochs == 1 and run.planned_epochs == 0 and run.slides[0].has_scores
    stored = MapView(run, "s1").probabilities(0)
    np.testing.assert_allclose(stored, softmax(LOGITS.astype(np.float32)), rtol=1e-5)
    assert stored.argmax() == HOT
    by_nsf = MapView(run, "s1", Source(Normalizer("nsf"))).probabilities(0)
    np.testing.assert_allclose(by_nsf, nsf(LOGITS.astype(np.float32)), rtol=1e-6)
    np.testing.assert_allclose(RawScores(MapView(run, "s1")).values(0), LOGITS, rtol=1e-6)
    assert "softmax T=1 of the scores in the file" in MapView(run, "s1").source_label
    assert {s.normalizer.name for s in sources(run, "s1")[0] if s.normalizer} == {"softmax", "nsf", "entmax"}
    assert sources(run, "s1")[1] == []


def test_scalars_of_raw_scores_are_those_of_their_softmax(run_of: RunOf) -> None:
    run, p = run_of("CLAM block map"), softmax(LOGITS)
    entropy = -(p * np.log(p)).sum()
    assert run.scalars("entropy")[0, 0] == pytest.approx(entropy, rel=1e-6)
    assert run.scalars("effective_tiles")[0, 0] == pytest.approx(np.exp(entropy), rel=1e-6)


def test_rows_of_a_multi_branch_model_are_named_by_number_and_joined_by_their_mean(tmp_path: Path) -> None:
    z = np.stack([LOGITS, -LOGITS, LOGITS / 3])
    run = import_scores(tmp_path, z.T)
    assert run.row_names == ("row 0", "row 1", "row 2")
    mean = np.mean([softmax(row) for row in z.astype(np.float32)], axis=0)
    np.testing.assert_allclose(MapView(run, "s1").probabilities(0), mean, rtol=1e-5)
    one = MapView(run, "s1", Source(Normalizer(), "row 1")).probabilities(0)
    np.testing.assert_allclose(one, softmax(-LOGITS.astype(np.float32)), rtol=1e-5)


def test_probabilities_are_the_map_as_stored_and_nothing_else_is_derived_of_them(run_of: RunOf) -> None:
    run = run_of("slideflow npz")
    np.testing.assert_allclose(MapView(run, "s1").probabilities(0), softmax(LOGITS), rtol=1e-5)
    offered, reasons = sources(run, "s1")
    assert offered == [Source()]
    assert "scores before the normaliser are not known" in reasons[0]
    for refused in (lambda: MapView(run, "s1", Source(Normalizer("nsf"))), lambda: RawScores(MapView(run, "s1"))):
        with pytest.raises(InputError, match=r"holds probabilities.*open a file of the model's raw scores"):
            refused()


def test_a_probability_of_zero_stays_zero(tmp_path: Path) -> None:
    p = np.zeros(TILES)
    p[HOT] = 1
    run = import_scores(tmp_path, p)
    np.testing.assert_array_equal(MapView(run, "s1").probabilities(0), p)
    assert run.scalars("effective_tiles")[0, 0] == 1.0


@pytest.mark.parametrize("layout", ORDERS)
def test_percentiles_and_scaled_values_are_shown_as_stored_and_have_no_other_display(
    run_of: RunOf, layout: str
) -> None:
    run = run_of(layout)
    expected = PERCENTILES if layout == ORDERS[0] else 1 / (1 + np.exp(-LOGITS))
    for transform in TRANSFORMS:
        view = MapView(run, "s1", transform=transform)
        np.testing.assert_allclose(view.values(0), expected, rtol=1e-6)
        assert "as stored" in view.unit and view.limits() == ((0, 100) if layout == ORDERS[0] else (0, 1))
        assert list(view.transforms) == [view.transform_name]


@pytest.mark.parametrize("layout", ORDERS)
def test_of_percentiles_and_scaled_values_there_is_no_mass_entropy_or_normaliser(run_of: RunOf, layout: str) -> None:
    run = run_of(layout)
    assert "mass, entropy and effective tiles mean nothing for them" in run.no_attention
    for name in run.scalar_names:
        assert np.isnan(run.scalars(name)).all(), name
    assert np.isnan(run.attention(0, "s1")).all()
    view = MapView(run, "s1")
    for refused in (
        lambda: view.probabilities(0),
        lambda: MapView(run, "s1", Source(Normalizer())),
        lambda: RawScores(view),
        lambda: run.scores(0, "s1"),
    ):
        with pytest.raises(InputError, match="mean nothing for them"):
            refused()
    assert sources(run, "s1") == ([Source()], [run.no_attention])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_info_says_what_the_file_held_and_how_its_geometry_was_found(run_of: RunOf, layout: str) -> None:
    said = describe(run_of(layout).path)
    assert "from elsewhere" in said[0] and "1 slide: s1" in said
    assert any(line.startswith("values: ") for line in said)
    assert any(line.startswith("tile edge: ") and "100 level-0 px" in line for line in said)
    assert not any("train" in line for line in said)


def test_info_tells_of_a_file_of_scores_before_it_is_a_run(tmp_path: Path) -> None:
    path = layouts.clam_blockmap(tmp_path)
    said = describe(path)
    assert kind_of(path) == "map" and said[0] == "attention on slide s1: 24 tiles"
    assert any(line.startswith("values: logits") for line in said)
    path = layouts.named_npz(tmp_path)
    with pytest.raises(InputError, match="the file does not say their edge"):
        describe(path)
    with pytest.raises(InputError, match="Nothing tells what its values are"):
        describe(path, tile_size=EDGE)
    np.savez(path, logits=LOGITS, coords=XY)
    assert "tile edge: 100 level-0 px, as given" in describe(path, tile_size=EDGE)


def test_a_run_that_was_recorded_before_there_were_such_files_is_read_as_ever(run_of: RunOf) -> None:
    path = run_of("CLAM block map").path
    group = zarr.open_group(path, mode="r+")
    attrs = dict(group.attrs[schema.KEY])  # type: ignore[arg-type]
    del attrs["imported"]
    group.attrs[schema.KEY] = attrs
    old = open_run(path)
    assert old.imported == "" and old.no_attention == "" and attrs["schema"] == 1
    assert list(MapView(old, "s1").transforms) == list(TRANSFORMS)


def test_contours_judge_where_the_attention_lies(tmp_path: Path) -> None:
    x, y = XY[HOT].tolist()
    ring = [[x, y], [x + 100, y], [x + 100, y + 100], [x, y + 100], [x, y]]
    (tmp_path / "c.geojson").write_text(
        '{"type": "Feature", "properties": {"classification": {"name": "Tumor"}},'
        f' "geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}'
    )
    run = import_scores(tmp_path, LOGITS, contours=tmp_path / "c.geojson")
    np.testing.assert_array_equal(run.slides[0].tile_labels, np.eye(TILES)[HOT])
    assert run.scalars("tile_auc")[0, 0] == 1.0
    assert run.scalars("tumour_mass")[0, 0] == pytest.approx(softmax(LOGITS)[HOT], rel=1e-5)
    assert run.slides[0].contours_path == tmp_path / "c.geojson"


def test_several_slides_make_one_run_where_they_hold_the_same(tmp_path: Path) -> None:
    known = Given(tile_size=EDGE)
    one = read_map(block_map(tmp_path / "a_blockmap.h5"), given=known)
    two = read_map(block_map(tmp_path / "b_blockmap.h5", -LOGITS), given=known)
    run = write_maps([one, two], tmp_path / "both.asmil")
    assert [slide.slide_id for slide in run.slides] == ["a", "b"]
    np.testing.assert_allclose(run.scores(0, "b")[0], -LOGITS, rtol=1e-6)
    assert run.applied == "as in 2 files"
    shares = read_map(block_map(tmp_path / "c_blockmap.h5", softmax(LOGITS)), given=known)
    rows = read_map(block_map(tmp_path / "d_blockmap.h5", np.stack([LOGITS, LOGITS], axis=1)), given=known)
    for other, why in ((one, "more than one file of slide a"), (shares, "holds probabilities, but"), (rows, "2 rows")):
        with pytest.raises(InputError, match=why):
            write_maps([one, other], tmp_path / "no.asmil")
        assert not (tmp_path / "no.asmil").exists()
    with pytest.raises(InputError, match="exists already"):
        write_maps([one], tmp_path / "both.asmil")
    with pytest.raises(InputError, match="Contours go with one file"):
        write_maps([one, two], tmp_path / "no.asmil", contours=tmp_path / "c.geojson")


def test_the_hash_of_the_features_says_that_tiles_are_the_same(run_of: RunOf) -> None:
    run = run_of("npy with features")
    assert len(run.slides[0].bag_hash) == 64 and run.slides[0].slide_size == SLIDE
    assert run.slides[0].tiles.size == layouts.EDGE  # type: ignore[union-attr]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(z=arrays(np.float32, TILES, elements=st.floats(-60, 60, width=32)).filter(lambda z: z.min() < 0))
def test_any_raw_scores_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, z: np.ndarray) -> None:
    run = import_scores(tmp_path_factory.mktemp("any"), z)
    np.testing.assert_array_equal(run.scores(0, "s1")[0], z)
    np.testing.assert_allclose(MapView(run, "s1").probabilities(0), softmax(z), rtol=1e-4, atol=1e-30)


def test_contours_are_placed_by_the_slide_that_is_given(tmp_path: Path) -> None:
    pixels = np.full((SLIDE[1], SLIDE[0], 3), 255, np.uint8)
    tifffile.imwrite(tmp_path / "s1.tif", pixels, tile=(64, 64), photometric="rgb")
    mask = np.zeros((SLIDE[1], SLIDE[0]), np.uint8)
    x, y = XY[HOT].tolist()
    mask[y : y + EDGE, x : x + EDGE] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask[::1, ::1])
    path = block_map(tmp_path / "s1_blockmap.h5", LOGITS)
    known = Given.of(tmp_path / "s1.tif", tile_size=EDGE)
    run = import_map(path, tmp_path / "r.asmil", given=known, contours=tmp_path / "mask.tif")
    np.testing.assert_allclose(run.slides[0].tile_labels, np.eye(TILES)[HOT])


def test_the_slide_of_a_run_is_as_wide_and_high_as_its_frame(run_of: RunOf) -> None:
    frame = run_of("npy with features").slides[0].frame
    assert frame is not None and frame.size == SLIDE and frame.mpp == 0.5


def test_each_slide_of_a_run_of_percentiles_shows_its_own_values(tmp_path: Path) -> None:
    known = Given(tile_size=EDGE)
    one = read_map(block_map(tmp_path / "a_blockmap.h5", PERCENTILES), given=known)
    two = read_map(block_map(tmp_path / "b_blockmap.h5", PERCENTILES[::-1]), given=known)
    run = write_maps([one, two], tmp_path / "both.asmil")
    for name, expected in (("a", PERCENTILES), ("b", PERCENTILES[::-1])):
        np.testing.assert_allclose(MapView(run, name).values(0), expected, rtol=1e-6)


def test_percentiles_are_neither_subtracted_nor_laid_over_views_of_attention(tmp_path: Path) -> None:
    order = import_scores(tmp_path, PERCENTILES)
    views = [MapView(order, "s1"), MapView(order, "s1")]
    for refused in (lambda: Difference(*views), lambda: OverViews(views, ["a", "b"])):
        with pytest.raises(InputError, match="mean nothing for them"):
            refused()
