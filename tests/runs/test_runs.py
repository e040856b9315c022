from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, RunWriter, Source, open_run, sources
from tests.conftest import RunMaker, header, random_z, record


def test_a_run_reads_back_what_was_written(make_run: RunMaker) -> None:
    run = open_run(make_run(rows=3, anchor=True))
    assert run.n_epochs == 5
    for epoch in range(5):
        for s in range(2):
            z = random_z(epoch, s, 3, 25)
            np.testing.assert_array_equal(run.scores(epoch, f"s{s}"), z)
            expected = softmax(z.astype(np.float64), axis=1).mean(axis=0)
            np.testing.assert_allclose(np.exp(run.attention(epoch, f"s{s}")), expected, rtol=1e-6)
    assert run.logits(4).shape == (2, 2)
    np.testing.assert_allclose(run.curves()["loss_ce"], 1 / np.arange(1, 6))


def test_jsd_of_a_run_is_that_of_its_stored_rows_in_float64(make_run: RunMaker) -> None:
    run = open_run(make_run())
    stored = run.scalars("jsd")
    assert np.isnan(stored[0]).all()
    for epoch in range(1, 5):
        p, q = (np.exp(run.attention(e, "s1").astype(np.float64)) for e in (epoch - 1, epoch))
        p, q = p / p.sum(), q / q.sum()
        m = (p + q) / 2
        oracle = (rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2 / np.log(2)
        assert stored[epoch, 1] == pytest.approx(oracle, abs=1e-12)


def test_an_epoch_exists_only_when_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "run.asmil"
    writer = RunWriter.create(path, header(1, 1, 3, 2, False))
    run = open_run(path)
    assert run.refresh() == 0
    writer._write_arrays(0, record(0, 1, 1, 9, False))
    assert run.refresh() == 0
    writer._commit(0, record(0, 1, 1, 9, False))
    assert run.refresh() == 1
    writer.close()


def test_a_curve_without_a_value_at_an_epoch_is_null_on_disk_and_nan_to_readers(tmp_path: Path) -> None:
    path = tmp_path / "run.asmil"
    with RunWriter.create(path, header(1, 1, 3, 2, False)) as writer:
        for auc in (float("nan"), 0.75):
            writer.write(replace(record(0, 1, 1, 9, False), curves={"test_auc": auc}))
    commit = json.loads((path / "epochs" / "000000.json").read_text(), parse_constant=pytest.fail)
    assert commit["curves"] == {"test_auc": None}
    np.testing.assert_array_equal(open_run(path).curves()["test_auc"], [np.nan, 0.75])


def test_training_past_the_plan_enlarges_a_run_that_a_reader_holds_open(tmp_path: Path) -> None:
    path = tmp_path / "run.asmil"
    with RunWriter.create(path, header(1, 1, 3, 1, False)) as writer:
        writer.write(record(0, 1, 1, 9, False))
        run = open_run(path)
        run.attention(0, "s0")
        for epoch in (1, 2, 3, 4):
            writer.write(record(epoch, 1, 1, 9, False))
        run.refresh()
        np.testing.assert_array_equal(run.scores(4, "s0"), random_z(4, 0, 1, 9))
        assert run.scalars("jsd").shape == (5, 1)


def test_a_resumed_writer_goes_on_with_the_same_numbers(tmp_path: Path, make_run: RunMaker) -> None:
    whole = open_run(make_run("whole", epochs=4, anchor=True))
    broken = make_run("broken", epochs=2, planned=4, anchor=True)
    with RunWriter.resume(broken) as writer:
        assert writer.n_epochs == 3
        for epoch in (3, 4):
            writer.write(record(epoch, 2, 1, 25, True))
    for name in whole.scalar_names:
        np.testing.assert_array_equal(open_run(broken).scalars(name), whole.scalars(name))


def test_a_run_has_one_writer(make_run: RunMaker) -> None:
    path = make_run()
    with RunWriter.resume(path), pytest.raises(InputError, match="Another process is writing"):
        RunWriter.resume(path)
    RunWriter.resume(path).close()


def test_a_new_run_never_overwrites_an_old_one(make_run: RunMaker) -> None:
    with pytest.raises(InputError, match="exists already"):
        RunWriter.create(make_run(), header(1, 1, 3, 1, False))


@pytest.mark.parametrize(
    ("damage", "says"),
    [("newer", "schema 2.*Update"), ("no attributes", "no napari-asmil run"), ("missing", "no such run")],
)
def test_what_is_no_readable_run_is_refused_with_a_sentence(make_run: RunMaker, damage: str, says: str) -> None:
    path = make_run()
    meta = path / "zarr.json"
    content = json.loads(meta.read_text())
    if damage == "newer":
        content["attributes"]["napari_asmil"]["schema"] = 2
        meta.write_text(json.dumps(content))
    elif damage == "no attributes":
        meta.write_text(json.dumps({**content, "attributes": {}}))
    else:
        path = path / "elsewhere"
    with pytest.raises(InputError, match=says):
        open_run(path)


def test_a_folder_that_is_no_zarr_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no napari-asmil run"):
        open_run(tmp_path)


@pytest.mark.parametrize("name", ["softmax", "nsf", "entmax"])
@pytest.mark.parametrize("row", ["mean", "head 2"])
def test_a_view_derives_any_normaliser_from_raw_scores(make_run: RunMaker, name: str, row: str) -> None:
    run = open_run(make_run(rows=3))
    normalizer = Normalizer(name, temperature=0.7, offset=0.3)  # type: ignore[arg-type]
    view = MapView(run, "s1", Source(normalizer, row))
    z = random_z(2, 1, 3, 25)
    z = z if row == "mean" else z[1:2]
    p = np.exp(normalizer.log(z)).mean(axis=0)
    np.testing.assert_allclose(view[2].ravel(), p * 25, rtol=1e-5)


def test_a_view_places_each_tile_by_its_corner(make_run: RunMaker) -> None:
    view = MapView(open_run(make_run(side=4)), "s0", transform="probability")
    tiles = view.slide.tiles
    assert tiles is not None
    values = view.probabilities(3)
    image = view[3]
    for (x, y), value in zip(tiles.xy, values, strict=True):
        row = (y + tiles.size / 2 - 0.5 - view.raster.origin[0]) / view.raster.pixel
        column = (x + tiles.size / 2 - 0.5 - view.raster.origin[1]) / view.raster.pixel
        assert image[int(row), int(column)] == pytest.approx(value, rel=1e-6)


def test_a_view_slices_like_the_array_it_stands_for(make_run: RunMaker) -> None:
    view = MapView(open_run(make_run()), "s0")
    whole = np.asarray(view)
    assert whole.shape == view.shape == (5, 5, 5)
    for key in [2, -1, np.int64(1), slice(1, 4), (2, slice(1, 3)), (slice(None), 2, 3), (..., 1), (1, ..., 2)]:
        np.testing.assert_array_equal(view[key], whole[key])
    with pytest.raises(IndexError):
        view[5]


def test_locked_limits_span_every_epoch_and_grow_with_the_run(make_run: RunMaker) -> None:
    run = open_run(make_run())
    for source in (Source(), Source(Normalizer("nsf"))):
        for transform in ("m_alpha", "log10", "probability"):
            view = MapView(run, "s0", source, transform)
            values = np.asarray(view)
            low, high = view.limits()
            assert high == pytest.approx(values.max(), rel=1e-5)
            assert low == (pytest.approx(max(values.min(), -3), rel=1e-5) if transform == "log10" else 0)
            assert view.limits(3)[1] == pytest.approx(values[3].max(), rel=1e-5)


def test_only_what_a_run_can_derive_is_offered(tmp_path: Path) -> None:
    path = tmp_path / "run.asmil"
    made = header(1, 2, 3, 0, False)
    unwatched = tuple(type(s)(**{**vars(s), "watched": False}) for s in made.slides)
    with RunWriter.create(path, type(made)(**{**vars(made), "slides": unwatched})) as writer:
        writer.write(record(0, 1, 2, 9, False))
    run = open_run(path)
    offered, reasons = sources(run, "s0")
    assert offered == [Source()]
    assert any("without an anchor" in r for r in reasons) and any("raw scores" in r for r in reasons)
    with pytest.raises(InputError, match="not recorded"):
        MapView(run, "s0", Source(Normalizer("nsf")))


def test_what_is_not_stored_is_not_shown_under_its_name(make_run: RunMaker) -> None:
    view = MapView(open_run(make_run(rows=2, anchor=True)), "s0")
    with pytest.raises(InputError, match="mean of the rows"):
        view.set(Source(row="head 1"))
    with pytest.raises(InputError, match="anchor's map is there as stored alone"):
        view.set(Source(Normalizer("softmax"), branch="anchor"))
    with pytest.raises(InputError, match="no anchor"):
        MapView(open_run(make_run("plain")), "s0", Source(branch="anchor"))


def test_the_map_as_stored_is_named_by_how_its_model_joins_the_rows(tmp_path: Path, make_run: RunMaker) -> None:
    assert "mean of 3 rows, as stored" in MapView(open_run(make_run(rows=3)), "s0").source_label
    path = tmp_path / "other.asmil"
    with RunWriter.create(path, replace(header(1, 3, 3, 0, False), row_join="row of the predicted class")) as writer:
        writer.write(record(0, 1, 3, 9, False))
    view = MapView(open_run(path), "s0")
    assert "row of the predicted class, as stored" in view.source_label and "mean" not in view.source_label
    with pytest.raises(InputError, match="as stored is the row of the predicted class"):
        view.set(Source(row="head 1"))
    view.set(Source(Normalizer("softmax")))
    assert view.source_label.endswith("mean of 3 rows")


def test_a_map_that_is_not_the_normaliser_of_its_scores_is_named_by_what_it_is(tmp_path: Path) -> None:
    path, words = tmp_path / "other.asmil", "Nyström attention of CLS"
    with RunWriter.create(path, replace(header(1, 2, 3, 0, True), map_words=words)) as writer:
        writer.write(record(0, 1, 2, 9, True))
    view = MapView(open_run(path), "s0")
    assert view.source_label == f"{words}, mean of 2 rows, as stored"
    view.set(Source(branch="anchor"))
    assert view.source_label == "anchor NSF T=1 offset=0, mean of 2 rows, as stored"
    view.set(Source(Normalizer("softmax")))
    assert view.source_label == "softmax T=1, mean of 2 rows"
