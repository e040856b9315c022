"""Maps from files of scores in the window: what is shown, what is said, and that no number is false."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_asmil.analysis.display import TRANSFORMS
from napari_asmil.bags import Cohort, Given, read_bag
from napari_asmil.errors import InputError
from napari_asmil.maps import import_map
from napari_asmil.runs import MapView, Run
from napari_asmil.viewer.compare import cell_of
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.dynamics import DynamicsDock
from napari_asmil.viewer.docks.explore import ExploreDock
from napari_asmil.viewer.docks.inspect import InspectDock
from napari_asmil.viewer.docks.open import OpenDock
from napari_asmil.viewer.docks.survey import SurveyDock
from napari_asmil.viewer.inspected import Inspected
from napari_asmil.viewer.instead import WAYS
from napari_asmil.viewer.legend import map_facts
from napari_asmil.viewer.opening import Request, open_request
from napari_asmil.viewer.taking import take
from napari_asmil.viewer.tile_facts import tile_facts
from napari_asmil.viewer.window import open_runs
from tests.maps import layouts
from tests.maps.layouts import EDGE, HOT, PERCENTILES, SLIDE, TILES, XY
from tests.viewer.conftest import write_contours

NOTHING = "means nothing for these values"


def open_map(controller: Controller, path: Path, column: str = "label", **known: Any) -> tuple[Run, list[str]]:
    """Open a file of scores as the dock does: the run that is shown, and what is said."""
    said = open_request(controller, Request(scores=path, label_column=column, **known))
    assert controller.current is not None
    return controller.current[0], said


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """A grey slide named after the maps."""
    tifffile.imwrite(tmp_path / "s1.tif", np.full((SLIDE[1], SLIDE[0], 3), 90, np.uint8), tile=(64, 64))
    return tmp_path / "s1.tif"


def test_a_block_map_is_drawn_where_its_tiles_lie_on_the_slide_that_is_open(
    model: Any, tmp_path: Path, slide: Path
) -> None:
    controller = Controller.of(model)
    controller.open_slide(slide)
    run, said = open_map(controller, layouts.clam_blockmap(tmp_path))
    assert run in controller.runs and controller.map is not None and controller.map.run is run
    assert controller.slide is not None and controller.slide.path == slide
    assert run.slides[0].slide_path == slide and run.slides[0].slide_size == SLIDE
    layer: Any = controller.map_layer
    hottest = np.unravel_index(np.nanargmax(np.asarray(layer.data[0])), layer.data.shape[1:])
    x, y = XY[HOT]
    place = np.array(layer.data_to_world((0, *hottest)))[-2:]
    np.testing.assert_allclose(place, (y + EDGE / 2 - 0.5, x + EDGE / 2 - 0.5))
    assert any(line.startswith("tile edge: ") for line in said) and said[0] == "ATTENTION s1_blockmap.h5"
    assert run.path.parent.name.startswith("napari-asmil-map-")


def test_a_slide_of_another_name_is_taken_only_when_it_is_given(model: Any, tmp_path: Path, slide: Path) -> None:
    controller = Controller.of(model)
    controller.open_slide(slide.rename(tmp_path / "other.tif"))
    write_contours(tmp_path / "other.geojson")
    controller.open_contours(tmp_path / "other.geojson")
    run, said = open_map(controller, layouts.clam_blockmap(tmp_path))
    assert run.slides[0].contours_path is None and run.slides[0].mpp is None
    assert (
        said[-1]
        == "not laid on other.tif, whose name is another: choose both in the fields and open them, if they belong so"
    )
    assert run.slides[0].slide_path is None and run.slides[0].slide_id == "s1"
    run, _ = open_map(controller, layouts.clam_blockmap(tmp_path), slide=tmp_path / "other.tif")
    assert run.slides[0].slide_path == tmp_path / "other.tif" and run.slides[0].slide_id == "other"


def test_a_vector_takes_its_places_from_the_features_that_are_open(model: Any, tmp_path: Path) -> None:
    controller = Controller.of(model)
    path = layouts.npy_vector(tmp_path)
    with pytest.raises(InputError, match="not where their tiles lie"):
        open_map(controller, path)
    assert not list(controller.runs)
    controller.set_cohort(Cohort((read_bag(tmp_path / "s1_features" / "s1.h5"),)))
    run, _ = open_map(controller, path, values="logits")
    np.testing.assert_array_equal(run.slides[0].tiles.xy, XY)  # type: ignore[union-attr]


def test_the_legend_of_percentiles_says_what_means_nothing_and_shows_no_number_for_it(
    model: Any, tmp_path: Path
) -> None:
    controller = Controller.of(model)
    open_map(controller, layouts.clam_roi_percentiles(tmp_path))
    words = "Percentiles as stored: mass, entropy and effective tiles mean nothing for them."
    facts = map_facts(controller.map_layer, 0)
    for name in ("effective tiles", "normalised entropy", "JSD", "top 1 %"):
        assert facts[name] == NOTHING
    assert facts["caution"] == words and facts["verdict"] == ""
    assert facts["shown"] == "percentile (as stored)"
    assert facts["epoch"] == "as in s1_0.5_roi_False.h5"
    layer: Any = controller.map_layer
    assert tuple(layer.contrast_limits) == (0, 100)
    drawn = np.asarray(layer.data[0])
    np.testing.assert_allclose(np.unique(drawn[np.isfinite(drawn)]), np.sort(PERCENTILES), rtol=1e-6)


def test_a_tile_of_percentiles_has_its_value_and_no_rank_or_attention(model: Any, tmp_path: Path) -> None:
    controller = Controller.of(model)
    open_map(controller, layouts.clam_roi_percentiles(tmp_path))
    said = tile_facts(Inspected(controller), HOT)
    assert said[0] == f"Tile {HOT}: percentile 100 (as stored)"
    assert not any("α" in line or "rank" in line for line in said)


def shown(kind: type[Any], controller: Controller, qtbot: Any) -> Any:
    dock = kind(controller.viewer)
    qtbot.addWidget(dock)
    dock.resize(400, 900)
    dock.show()
    qtbot.waitExposed(dock)
    controller.idle.finish()
    return dock


def test_explore_offers_what_a_map_allows_and_says_why_not_more(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    dock = shown(ExploreDock, controller, qtbot)
    chooser = dock.chooser
    order, _ = open_map(controller, layouts.clam_roi_percentiles(tmp_path))
    dock.write_legend()
    assert [chooser.transform.itemText(i) for i in range(chooser.transform.count())] == ["percentile"]
    assert chooser.normalizer.count() == 1 and chooser.reasons.text() == order.no_attention
    assert order.no_attention in dock.legend.warnings.text() and NOTHING in dock.legend.facts.text()
    stored, _ = open_map(controller, layouts.slideflow_npz(tmp_path), tile_size=EDGE)
    dock.write_legend()
    assert chooser.transform.count() == len(TRANSFORMS) and chooser.normalizer.count() == 1
    assert "scores before the normaliser are not known" in chooser.reasons.text()
    assert "effective tiles" in dock.legend.facts.text() and NOTHING not in dock.legend.facts.text()
    scores, _ = open_map(controller, layouts.clam_blockmap(tmp_path))
    assert chooser.normalizer.count() == 4 and chooser.reasons.text() == ""
    controller.show_map(order, "s1", transform="m_alpha")
    assert chooser.transform.currentText() == "percentile"
    assert list(controller.runs) == [order, stored, scores]


@pytest.mark.parametrize("layout", ["CLAM region of percentiles", "WSInfer csv", "slideflow npz", "CLAM block map"])
def test_the_other_docks_take_such_a_run_and_give_no_number_that_it_has_not(
    model: Any, tmp_path: Path, qtbot: Any, layout: str
) -> None:
    controller = Controller.of(model)
    run, _ = open_map(controller, layouts.LAYOUTS[layout](tmp_path), **layouts.HELP.get(layout, {}))
    inspect, dynamics, survey = (shown(kind, controller, qtbot) for kind in (InspectDock, DynamicsDock, SurveyDock))
    controller.selection.select(np.arange(TILES) < 4)
    controller.selection.pin(HOT)
    for dock in (inspect, survey):
        for at in range(dock.tabs.count()):
            dock.tabs.setCurrentIndex(at)
            controller.idle.finish()
    assert dynamics.isVisible()
    assert ("of the attention" in inspect.selected.text()) == (not run.no_attention)
    for what in WAYS:
        if run.no_attention or what != "score":
            assert controller.instead.reason(what), what


def test_two_runs_of_percentiles_have_no_spread_and_no_difference_and_say_so(model: Any, tmp_path: Path) -> None:
    controller = Controller.of(model)
    runs = [open_map(controller, layouts.clam_roi_percentiles(tmp_path))[0] for _ in range(2)]
    controller.instead.chosen = runs
    assert controller.instead.reason("runs") == runs[0].no_attention
    controller.comparison.enter([cell_of(MapView(run, "s1")) for run in runs], "s1", "log10")
    assert controller.comparison.refusal == runs[0].no_attention
    assert all(tuple(layer.contrast_limits) == (0, 100) for layer in controller.comparison.maps)
    assert map_facts(controller.comparison.maps[1], 0)["effective tiles"] == NOTHING


def test_a_run_that_the_command_line_wrote_is_opened_like_any_other(model: Any, tmp_path: Path, slide: Path) -> None:
    out = tmp_path / "mine.asmil"
    import_map(layouts.clam_blockmap(tmp_path), out, given=Given.of(slide))
    controller = Controller.of(model)
    (run,) = open_runs(controller, [out])
    assert controller.map is not None and controller.map.run is run
    assert controller.slide is not None and controller.slide.path == slide
    assert controller.map.probabilities(0).argmax() == HOT


def test_a_dropped_map_is_laid_on_the_slide_that_is_open_with_its_contours(
    model: Any, tmp_path: Path, slide: Path
) -> None:
    controller = Controller.of(model)
    take(controller, slide)
    write_contours(tmp_path / "s1.geojson", around=(37.0, 53.0, 237.0, 153.0))
    take(controller, tmp_path / "s1.geojson")
    take(controller, layouts.clam_blockmap(tmp_path))
    said = controller.report
    assert said[0] == "ATTENTION s1_blockmap.h5" and "shown as softmax T=1 of the scores in the file" in said
    assert said[-1] == "this run goes when napari is closed; `napari-asmil map` writes one to keep"
    assert controller.report == tuple(said)
    assert controller.map is not None
    shown_slide = controller.map.slide
    assert shown_slide.slide_path == slide and shown_slide.contours_path == tmp_path / "s1.geojson"
    np.testing.assert_array_equal(np.flatnonzero(shown_slide.tile_labels), [0, 1])  # type: ignore[arg-type]


def test_the_dock_opens_slide_features_and_scores_together_and_asks_what_the_scores_are(
    model: Any, tmp_path: Path, slide: Path, qtbot: Any
) -> None:
    controller = Controller.of(model)
    dock = shown(OpenDock, controller, qtbot)
    np.save(tmp_path / "model_7.npy", np.abs(layouts.LOGITS))
    dock.slide.set_path(slide)
    dock.features.set_path(layouts.features(tmp_path))
    dock.scores.set_path(tmp_path / "model_7.npy")
    dock.open()
    assert "Nothing tells what its values are" in dock.report.toPlainText()
    assert controller.slide is None and not list(controller.runs)
    dock.values.setCurrentIndex(dock.values.findData("logits"))
    dock.open()
    (run,) = controller.runs
    assert run.slides[0].slide_path == slide and "values: logits, as given" in dock.report.toPlainText()
    assert dock.scores.path is None and controller.cohort is not None
    np.testing.assert_array_equal(run.slides[0].tiles.xy, XY)  # type: ignore[union-attr]


def test_of_several_columns_of_scores_the_one_that_is_named_is_shown(model: Any, tmp_path: Path, qtbot: Any) -> None:
    controller = Controller.of(model)
    dock = shown(OpenDock, controller, qtbot)
    dock.scores.set_path(layouts.wsinfer_csv(tmp_path))
    dock.open_button.click()
    assert "several columns of scores" in dock.report.toPlainText()
    dock.column.setText("prob_Tumor")
    dock.open_button.click()
    assert controller.map is not None
    assert "prob_Tumor" in dock.report.toPlainText()
