"""The map of what a model says of each tile alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, RunWriter, open_run
from napari_asmil.runs.alone import TilesAlone
from tests.conftest import header, record


def logits_of(epoch: int) -> np.ndarray:
    return np.random.default_rng([5, epoch]).normal(0, 3, (2, 25)).astype(np.float32)


@pytest.fixture
def view(tmp_path: Path) -> MapView:
    told = replace(header(1, 1, 5, 2, False), evidence=True)
    with RunWriter.create(tmp_path / "run.asmil", told) as writer:
        for epoch in range(3):
            given = record(epoch, 1, 1, 25, False)
            writer.write(replace(given, slides={"s0": replace(given.slides["s0"], evidence=logits_of(epoch))}))
    return MapView(open_run(tmp_path / "run.asmil"), "s0")


def test_it_is_the_softmax_over_classes_of_each_tile(view: MapView) -> None:
    alone = TilesAlone(view)
    for epoch in range(3):
        z = logits_of(epoch).astype(np.float64)
        np.testing.assert_allclose(alone.values(epoch), 1 / (1 + np.exp(z[0] - z[1])), rtol=1e-6)
    np.testing.assert_allclose(TilesAlone(view, "normal").values(1) + alone.values(1), 1, rtol=1e-6)
    assert (alone.quantity, alone.unit, alone.limits()) == ("P(tumour | tile alone)", "probability", (0.0, 1.0))


def test_it_lies_where_the_attention_lies_and_follows_the_epochs(view: MapView) -> None:
    alone = TilesAlone(view)
    assert alone.shape == view.shape and alone.raster is view.raster
    np.testing.assert_array_equal(alone[2], alone.raster.to_image(alone.values(2)))


def test_a_run_with_evidence_says_so(view: MapView, make_run: Callable[..., Path]) -> None:
    said = "what the classifier says of each tile alone"
    assert said in "\n".join(view.run.describe())
    assert said not in "\n".join(open_run(make_run("plain")).describe())


def test_a_class_that_is_not_there_is_refused(view: MapView) -> None:
    with pytest.raises(InputError, match="Classes: normal, tumour"):
        TilesAlone(view, "stroma")


def test_a_run_without_evidence_says_how_to_have_it(make_run: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="evidence=true"):
        TilesAlone(MapView(open_run(make_run()), "s0"))
