"""Extraction of many slides: one bag each, what cannot be used is named once, and it can be stopped in between."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event as Flag
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_asmil.bags import read_bag
from napari_asmil.encoders import bag_path, extract_all, reading
from napari_asmil.errors import InputError
from napari_asmil.events import BatchDone, EpochDone, Event, Finished, Started


def tissue(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth pink and violet picture with fine grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    share = (np.sin(y / 23) * np.cos(x / 31) + 1)[..., None] / 2
    picture = share * (90, 60, 150) + (1 - share) * (225, 140, 190) + rng.normal(0, 6, (height, width, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def outcome(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def _square(path: Path) -> Path:
    """A tumour of 48 x 32 px in the top-left corner."""
    ring = [[0, 0], [48, 0], [48, 32], [0, 32], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_many_slides_give_a_bag_each_and_count_slides(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for number, path in enumerate(paths):
        Image.fromarray(tissue(64, 64, number)).save(path)
    events = list(extract_all(paths, tmp_path / "bags", size=32, cover=True))
    assert events[0] == Started(tmp_path / "bags", 2, unit="slides")
    done = [event for event in events if isinstance(event, EpochDone)]
    assert [(event.path, event.epoch, event.epochs) for event in done] == [
        (bag_path(tmp_path / "bags", path), number, 2) for number, path in enumerate(paths, 1)
    ]
    assert outcome(events).why == "done"
    assert [read_bag(event.path).n_tiles for event in done] == [4, 4]


def test_a_slide_that_cannot_be_read_is_named_and_does_not_keep_the_others(tmp_path: Path) -> None:
    Image.fromarray(tissue(64, 64)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    events = list(extract_all([tmp_path / "bad.png", tmp_path / "good.png"], tmp_path / "bags", size=32, cover=True))
    assert outcome(events).why == "failed"
    assert "1 of 2" in outcome(events).message and "bad.png" in outcome(events).message
    assert [path.name for path in (tmp_path / "bags").iterdir()] == ["good.h5"]


def test_slides_of_one_name_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same name"):
        list(extract_all([tmp_path / "a" / "x.svs", tmp_path / "b" / "x.svs"], tmp_path / "bags", size=32))


def test_no_slide_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no slide"):
        list(extract_all([], tmp_path / "bags", size=32))


def test_each_slide_gets_the_contours_of_its_name(tmp_path: Path) -> None:
    for name in ("with", "without"):
        Image.fromarray(tissue(64, 64)).save(tmp_path / f"{name}.png")
    (tmp_path / "contours").mkdir()
    _square(tmp_path / "contours" / "with.geojson")
    slides = [tmp_path / "with.png", tmp_path / "without.png"]
    list(extract_all(slides, tmp_path / "bags", size=32, cover=True, contours=tmp_path / "contours"))
    assert read_bag(tmp_path / "bags" / "with.h5").tile_labels is not None
    assert read_bag(tmp_path / "bags" / "without.h5").tile_labels is None


def test_stopping_many_slides_keeps_the_bags_that_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_PIXELS", 32 * 32)
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        Image.fromarray(tissue(96, 96)).save(path)
    stop, events = Flag(), []
    for event in extract_all(paths, tmp_path / "bags", size=32, cover=True, stop=stop):
        events.append(event)
        if isinstance(event, EpochDone):
            stop.set()
    assert outcome(events).why == "stopped"
    assert [path.name for path in (tmp_path / "bags").iterdir()] == ["a.h5"]


@pytest.mark.parametrize("options", [{}, {"size": 32, "encoder": "clairvoyant"}, {"tile_px": 32, "mpp": -1.0}])
def test_options_that_suit_no_slide_are_refused_once_before_anything_starts(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        next(extract_all([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "bags", **options))


def test_one_slide_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: There is no such file"):
        list(extract_all([tmp_path / "gone.png"], tmp_path / "bags", size=32))


def test_slides_with_one_fault_share_a_sentence(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    message = outcome(list(extract_all(paths, tmp_path / "bags", size=32))).message
    assert message.startswith("9 of 9 slides refused.\n") and len(message.splitlines()) == 2
    assert "4.png and 4 more: There is no such file" in message


def test_small_slides_can_be_stopped_between_one_another(tmp_path: Path) -> None:
    for name in "abc":
        Image.fromarray(tissue(64, 64)).save(tmp_path / f"{name}.png")
    stop, events = Flag(), []
    for event in extract_all(sorted(tmp_path.glob("*.png")), tmp_path / "bags", size=32, cover=True, stop=stop):
        events.append(event)
        if isinstance(event, BatchDone):
            stop.set()
    assert outcome(events).why == "stopped" and "before slide 2 of 3" in outcome(events).message
    assert [path.name for path in (tmp_path / "bags").iterdir()] == ["a.h5"]


def test_it_is_said_how_many_slides_had_contours(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(tissue(64, 64)).save(tmp_path / f"{name}.png")
    (tmp_path / "contours").mkdir()
    _square(tmp_path / "contours" / "b.geojson")
    slides, options = sorted(tmp_path.glob("*.png")), {"size": 32, "cover": True, "contours": tmp_path / "contours"}
    assert outcome(list(extract_all(slides, tmp_path / "bags", **options))).message == (
        "2 bags, 1 of them with contours: 2 of 4 tiles tumour by contours"
    )


def test_a_group_that_one_slide_lacks_is_noted_and_one_that_all_lack_refused(tmp_path: Path) -> None:
    (tmp_path / "contours").mkdir()
    for name in "ab":
        Image.fromarray(tissue(64, 64)).save(tmp_path / f"{name}.png")
        _square(tmp_path / "contours" / f"{name}.geojson")
    only = tmp_path / "contours" / "b.geojson"
    only.write_text(only.read_text().replace("Tumor", "artefact"))
    slides, options = sorted(tmp_path.glob("*.png")), {"size": 32, "cover": True, "contours": tmp_path / "contours"}
    last = outcome(list(extract_all(slides, tmp_path / "bags", roles={"artefact": "exclude"}, **options)))
    assert last.why == "done"
    assert "Note: a.png: no group of contours is called artefact." in last.message
    with pytest.raises(InputError, match="No slide has a group of contours called nest"):
        next(extract_all(slides, tmp_path / "bags", roles={"nest": "tumour"}, **options))


def test_a_slide_and_what_belongs_to_it_are_called_without_the_ome_of_an_ome_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "t.ome.tif", tissue(64, 64), photometric="rgb", metadata={"axes": "YXS"})
    (tmp_path / "contours").mkdir()
    _square(tmp_path / "contours" / "t.geojson")
    options = {"size": 32, "cover": True, "contours": tmp_path / "contours"}
    list(extract_all([tmp_path / "t.ome.tif"], tmp_path / "bags", **options))
    assert read_bag(tmp_path / "bags" / "t.h5").slide_id == "t"
    assert read_bag(tmp_path / "bags" / "t.h5").tile_labels is not None


def test_a_folder_of_contours_of_other_slides_is_refused(tmp_path: Path) -> None:
    Image.fromarray(tissue(64, 64)).save(tmp_path / "a.png")
    (tmp_path / "contours").mkdir()
    _square(tmp_path / "contours" / "z.geojson")
    with pytest.raises(InputError, match=r"contours: No annotation file in it is named as a slide is \(a\)"):
        list(extract_all([tmp_path / "a.png"], tmp_path / "bags", size=32, cover=True, contours=tmp_path / "contours"))


def test_contours_that_lie_wholly_outside_the_slide_are_refused(tmp_path: Path) -> None:
    Image.fromarray(tissue(64, 64)).save(tmp_path / "a.png")
    far = [[9000, 100], [9500, 100], [9500, 700], [9000, 100]]
    (tmp_path / "far.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [far]}))
    with pytest.raises(
        InputError, match=r"far\.geojson.*slide of 64 x 64 px: they are at x 9000 to 9500, y 100 to 700"
    ):
        list(
            extract_all([tmp_path / "a.png"], tmp_path / "bags", size=32, cover=True, contours=tmp_path / "far.geojson")
        )
    assert not list((tmp_path / "bags").glob("*.h5"))


def test_slides_that_are_no_h_and_e_are_told_of_at_the_end(tmp_path: Path) -> None:
    dark = np.full((256, 256, 3), 2, np.uint8)
    dark[64:192, 64:192] = (90, 10, 20)
    for name in "ab":
        Image.fromarray(dark).save(tmp_path / f"{name}.png")
    message = outcome(list(extract_all(sorted(tmp_path.glob("*.png")), tmp_path / "bags", size=32))).message
    assert message.startswith("2 bags\nNote: a.png, b.png: the ground is dark")
    assert any("ground is dark" in line for line in read_bag(tmp_path / "bags" / "a.h5").describe())


def test_a_bag_says_when_a_tile_counts_as_positive(tmp_path: Path) -> None:
    Image.fromarray(tissue(64, 64)).save(tmp_path / "a.png")
    (tmp_path / "p.csv").write_text("image,x,y,cls\na,1,1,epithelial\n")
    list(extract_all([tmp_path / "a.png"], tmp_path / "bags", size=32, cover=True, points=tmp_path / "p.csv"))
    said = "tile labels: 1 of 4 tiles positive (the tile holds a nucleus of class epithelial)"
    assert said in read_bag(tmp_path / "bags" / "a.h5").describe()
