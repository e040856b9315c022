from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy.special import rel_entr
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from napari_asmil.annotations import read_annotations
from napari_asmil.bags import read_cohort
from napari_asmil.cli.demonstration import ROWS, demo_table
from napari_asmil.demo import run_demo
from napari_asmil.demo.cohort import drawn_slides
from napari_asmil.demo.run_demo import cpu_seconds, demo
from napari_asmil.demo.world import World, make_world
from napari_asmil.errors import InputError
from napari_asmil.events import EpochDone, Event, Finished
from napari_asmil.render.facts import origin
from napari_asmil.render.overlay import overlay_image
from napari_asmil.runs import MapView, Run, open_run
from napari_asmil.slides import open_slide

SEED = 11


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SEED)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """The demo of one method, stopped once on its way."""
    out = tmp_path_factory.mktemp("demo") / "out"
    stop = threading.Event()
    seen: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_demo, "METHODS", ("abmil",))
        for event in demo(out, seed=SEED, stop=stop):
            seen.append(event)
            if isinstance(event, EpochDone) and event.epoch == 2:
                stop.set()
        seen += demo(out, seed=SEED)
    return out, seen


@pytest.fixture(scope="module")
def out(events: tuple[Path, list[Event]]) -> Path:
    return events[0]


@pytest.fixture(scope="module")
def run(out: Path) -> Run:
    return open_run(out / "runs" / "abmil.asmil")


def summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def maps(run: Run, slide_id: str) -> np.ndarray:
    rows = np.stack([run.attention(e, slide_id) for e in range(run.n_epochs)]).astype(np.float64)
    return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)


def test_a_stopped_demo_goes_on_where_it_was(events: tuple[Path, list[Event]]) -> None:
    seen = events[1]
    assert [e.why for e in seen if isinstance(e, Finished)] == ["stopped", "done"]
    assert [e.epoch for e in seen if isinstance(e, EpochDone)] == list(range(13))


def test_the_cohort_on_disk_is_the_world(out: Path, world: World) -> None:
    cohort = read_cohort(out / "features", out / "labels.csv")
    cohort.check()
    assert cohort.labels == world.cohort.labels
    assert cohort.splits == world.cohort.splits
    assert cohort.class_names == world.cohort.class_names
    made = {b.slide_id: b for b in world.cohort.bags}
    for bag in cohort.bags[::13]:
        assert bag.content_hash() == made[bag.slide_id].content_hash()
        assert bag.encoder == made[bag.slide_id].encoder


def test_the_first_drawn_slide_is_a_test_slide_with_two_foci_and_a_mimic_and_another_is_normal(world: World) -> None:
    drawn = drawn_slides(world)
    first = world.places[drawn[0]]
    assert len(first.foci) == 2
    assert first.mimics
    assert len(set(drawn)) == len(drawn) == 5
    assert {world.cohort.splits[i] for i in drawn} == {"test"}
    assert any(not world.places[i].foci for i in drawn)


def test_contours_of_every_drawn_slide_give_the_tile_labels_of_its_bag(out: Path, world: World) -> None:
    placed = [b for b in read_cohort(out / "features", out / "labels.csv").bags if b.slide_path is not None]
    assert {b.slide_id for b in placed} == set(drawn_slides(world))
    for bag in placed:
        assert bag.tiles is not None
        truth = read_annotations(bag.contours_path).tile_share(bag.tiles)
        np.testing.assert_array_equal(truth >= 0.5, bag.tile_labels >= 0.5)


def test_the_overlay_draws_tiles_and_contours_within_a_pixel_of_where_their_files_say(out: Path, run: Run) -> None:
    slide_id = summary(out)["slide"]
    contours = read_annotations(out / "annotations" / f"{slide_id}.geojson")
    view, tiles = MapView(run, slide_id), run.slide(slide_id).tiles
    assert tiles is not None
    with open_slide(out / "slides" / f"{slide_id}.ome.tif") as slide:
        edge = max(slide.shape)
        bare = slide.read(0, 0, edge, 0, edge)
        laid = overlay_image(view, 0, slide=slide, max_px=edge, legend=False)
        lined = overlay_image(view, 0, slide=slide, contours=contours, max_px=edge, legend=False)
    rows, columns = np.nonzero((np.asarray(laid)[..., :3] != bare).any(axis=2))
    x0, y0, x1, y1 = tiles.bounds
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [x0, y0, x1, y1], atol=1)
    rows, columns = np.nonzero((np.asarray(laid) != np.asarray(lined)).any(axis=2))
    drawn = shapely.points(columns + 0.5, rows + 0.5)
    rings = shapely.union_all([shapely.LinearRing(contour.exterior) for contour in contours.polygons])
    ends = shapely.get_coordinates(shapely.shortest_line(drawn, rings)).reshape(-1, 2, 2)
    off = ends[:, 0] - ends[:, 1]
    assert len(off) > 1000
    assert np.abs(off.mean(axis=0)).max() < 0.1, "the lines lie to one side of the contours"
    assert np.hypot(*off.T).max() < 7, "wider than a line and its joints"


def test_drawn_slides_have_raw_scores(run: Run, world: World) -> None:
    assert all(run.slide(i).has_scores for i in drawn_slides(world))
    assert all(run.slide(i).slide_path.is_file() for i in drawn_slides(world))


def test_the_summary_tells_of_the_whole_demo(out: Path) -> None:
    told = summary(out)
    assert told["seed"] == SEED
    assert 0 < told["methods"]["abmil"]["cpu_seconds"] < told["cpu_seconds"]
    assert told["wall_seconds"] > 0
    assert told["features"] == "simulated embeddings, not extracted from this picture"


def test_a_demo_that_trained_nothing_says_so(out: Path) -> None:
    told = summary(out)
    assert told["epochs_trained"] == 10  # epochs 3 to 12: it was stopped once
    assert "nothing was trained" not in demo_table(told)
    assert "nothing was trained, the runs were there" in demo_table({**told, "epochs_trained": 0})


def test_the_summary_is_what_the_run_shows(out: Path, run: Run, world: World) -> None:
    told = summary(out)["methods"]["abmil"]
    jsd, share, normalized = [], [], []
    found: dict[str, list[float]] = {"tile_auc": [], "topk_recall": [], "tumour_mass": [], "dice": []}
    for s in run.slides:
        p = maps(run, s.slide_id)
        middle = (p[1:] + p[:-1]) / 2
        jsd.append((rel_entr(p[1:], middle) + rel_entr(p[:-1], middle)).sum(axis=1).mean() / 2 / np.log(2))
        share.append(np.exp(entropy(p[-1])) / s.n_tiles)
        normalized.append(entropy(p[-1]) / np.log(s.n_tiles))
        truth = s.tile_labels >= 0.5
        if s.split == "test" and truth.any():
            top = np.argsort(-p[-1])[: truth.sum()]
            marked = (p[-1] - p[-1].min()) / np.ptp(p[-1]) >= 0.5
            found["tile_auc"].append(roc_auc_score(truth, p[-1]))
            found["topk_recall"].append(truth[top].mean())
            found["tumour_mass"].append(p[-1][truth].sum())
            found["dice"].append(2 * (marked & truth).sum() / (marked.sum() + truth.sum()))
    assert len(found["dice"]) == 30
    expected = {name: np.mean(values) for name, values in found.items()}
    expected |= {"jsd_mean_bits": np.mean(jsd), "effective_share": np.mean(share), "entropy_final": np.mean(normalized)}
    tests = [s for s in run.slides if s.split == "test"]
    logits = run.logits(run.n_epochs - 1)[[s.index for s in tests]]
    labels = [world.cohort.labels[s.slide_id] for s in tests]
    expected["auc"] = roc_auc_score(labels, logits[:, 1] - logits[:, 0])
    expected["macro_f1"] = f1_score(labels, logits.argmax(axis=1), average="macro")
    assert expected.keys() | {"cpu_seconds"} == told.keys()
    for name, value in expected.items():
        assert told[name] == pytest.approx(value, abs=1e-6), name


def test_what_trivial_methods_reach_stands_beside_it(out: Path, world: World) -> None:
    floors = summary(out)["floors"]
    bags = {split: world.cohort.select(split) for split in ("train", "test")}
    pooled = {s: np.array([b.features().mean(axis=0) for b in held], np.float64) for s, held in bags.items()}
    labels = {s: [world.cohort.labels[b.slide_id] for b in held] for s, held in bags.items()}
    mean, sd = pooled["train"].mean(axis=0), pooled["train"].std(axis=0)
    model = LogisticRegression(max_iter=5000).fit((pooled["train"] - mean) / sd, labels["train"])
    of_means = roc_auc_score(labels["test"], model.decision_function((pooled["test"] - mean) / sd))
    assert of_means - 1e-3 <= floors["pooled"]["auc"] <= 1
    shares = [(b.tile_labels >= 0.5).mean() for b in bags["test"] if (b.tile_labels >= 0.5).any()]
    assert floors["blind"]["tumour_mass"] == floors["blind"]["topk_recall"] == pytest.approx(np.mean(shares))
    assert (floors["blind"]["tile_auc"], floors["blind"]["effective_share"]) == (0.5, 1.0)


def test_the_table_says_every_number_in_words_and_each_with_what_is_to_be_beaten(out: Path) -> None:
    told = summary(out)
    lines = demo_table(told).splitlines()
    assert lines[0].split("  ")[-3:] == ["abmil", "pooled regression", "blind map"]
    assert all("_" not in words and len(words) <= 50 for words in ROWS.values())
    assert ROWS.keys() <= told["methods"]["abmil"].keys()
    (recall,) = (line for line in lines if line.startswith("tumour tiles among the top k"))
    numbers = [told["methods"]["abmil"]["topk_recall"], told["floors"]["blind"]["topk_recall"]]
    assert recall.split()[-3:] == [f"{numbers[0]:.4f}", "-", f"{numbers[1]:.4f}"]


def test_the_figure_compares_whole_slides_with_the_regression_and_warns_of_the_last_jsd(out: Path) -> None:
    with Image.open(out / "figure.png") as picture:
        said = picture.text["remarks"]  # type: ignore[attr-defined]
    told = summary(out)
    for value in (told["methods"]["abmil"]["auc"], told["floors"]["pooled"]["auc"]):
        assert f"{value:.3f}" in said
    assert "learning rate falls to 0" in said


def test_pictures_say_that_the_features_are_simulated(out: Path) -> None:
    for name in ("figure.png", f"{summary(out)['slide']}-abmil.png"):
        with Image.open(out / name) as picture:
            assert any("simulated embeddings" in str(text) for text in picture.info.values())
    assert origin(MapView(open_run(out / "runs" / "abmil.asmil"), summary(out)["slide"])).startswith("features: simul")
    with Image.open(out / "film.gif") as film:
        assert film.n_frames == 13


def test_another_seed_in_the_same_folder_is_refused(out: Path) -> None:
    before = (out / "labels.csv").read_bytes()
    with pytest.raises(InputError, match="seed"):
        list(demo(out, seed=SEED + 1))
    assert (out / "labels.csv").read_bytes() == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        list(demo(tmp_path, seed=SEED))
    assert [p.name for p in tmp_path.iterdir()] == ["labels.csv"]


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        list(demo(tmp_path / "file" / "demo", seed=SEED))


def test_cpu_seconds_count_this_process() -> None:
    before = cpu_seconds()
    while cpu_seconds() < before + 0.02:
        np.linalg.svd(np.eye(60))
    assert cpu_seconds() > before
