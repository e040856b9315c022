"""A run of which something is missing says what, instead of showing maps of nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Run, Source, open_run
from tests.conftest import RunMaker

READS: dict[str, Callable[[Run], object]] = {
    "attention/online": lambda run: run.attention(3, "s1"),
    "attention/anchor": lambda run: run.attention(3, "s1", "anchor"),
    "scores": lambda run: run.scores(3, "s1"),
    "scalars": lambda run: run.scalars("jsd"),
    "logits": lambda run: run.logits(3),
    "bags": lambda run: run.bags(),
}


def file_of(run: Path, name: str, epoch: int) -> Path:
    return next(file for file in (run / name / "c" / str(epoch)).rglob("0") if file.is_file())


@pytest.mark.parametrize("name", READS)
def test_a_missing_file_of_a_committed_epoch_is_named(make_run: RunMaker, name: str) -> None:
    path = make_run(anchor=True)
    gone = file_of(path, name, 3)
    gone.unlink()
    with pytest.raises(InputError, match=rf"run is damaged: Epoch 3 .*{gone.relative_to(path)} is missing"):
        READS[name](open_run(path))


@pytest.mark.parametrize("name", READS)
def test_a_file_that_was_cut_off_is_named(make_run: RunMaker, name: str) -> None:
    path = make_run(anchor=True)
    cut = file_of(path, name, 3)
    cut.write_bytes(cut.read_bytes()[:20])
    with pytest.raises(InputError, match=rf"run is damaged: {name}.* cannot be decoded"):
        READS[name](open_run(path))


def test_scalars_of_the_other_epochs_are_there(make_run: RunMaker) -> None:
    path = make_run()
    whole = open_run(path)
    expected = [whole.scalars_at(epoch) for epoch in range(5)]
    file_of(path, "scalars", 3).unlink()
    run = open_run(path)
    for epoch in (0, 1, 2, 4):
        np.testing.assert_array_equal(run.scalars_at(epoch), expected[epoch])
    for _ in range(2):
        with pytest.raises(InputError, match="run is damaged: Epoch 3"):
            run.scalars_at(3)


def test_a_missing_array_is_named(make_run: RunMaker) -> None:
    path = make_run()
    (path / "attention" / "online" / "zarr.json").unlink()
    with pytest.raises(InputError, match=r"attention/online/zarr\.json is missing"):
        open_run(path).attention(0, "s0")


def test_a_commit_that_cannot_be_read_is_named(make_run: RunMaker) -> None:
    path = make_run()
    (path / "epochs" / "000002.json").write_text("{")
    with pytest.raises(InputError, match=r"epochs/000002\.json, the commit of epoch 2"):
        open_run(path)


def test_no_picture_is_made_of_a_map_that_is_not_there(make_run: RunMaker) -> None:
    path = make_run()
    file_of(path, "attention/online", 3).unlink()
    view = MapView(open_run(path), "s0")
    assert view.image(2).shape
    with pytest.raises(InputError, match="Epoch 3"):
        view.image(3)


@pytest.mark.parametrize("source", [Source(), Source(Normalizer("nsf"))])
def test_an_array_of_all_epochs_is_empty_at_the_one_that_is_lost_and_its_limits_are_of_the_others(
    make_run: RunMaker, source: Source
) -> None:
    path = make_run()
    whole = MapView(open_run(path), "s0", source)
    shown, limits = np.asarray(whole), [whole.limits(epoch) for epoch in (0, 1, 2, 4)]
    file_of(path, "attention/online" if source == Source() else "scores", 3).unlink()
    view = MapView(open_run(path), "s0", source)
    assert np.isnan(view[3]).all()
    np.testing.assert_array_equal(np.asarray(view)[[0, 1, 2, 4]], shown[[0, 1, 2, 4]])
    if source != Source():
        assert view.limits() == (0.0, max(high for _, high in limits))
