"""Files of scores that are refused, each in a sentence."""

from __future__ import annotations

import pickle
import time
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_asmil.bags import Given, read_bag
from napari_asmil.errors import InputError
from napari_asmil.maps import read_map
from tests.maps import layouts
from tests.maps.conftest import told
from tests.maps.layouts import EDGE, LAYOUTS, LOGITS, SLIDE, TILES, XY, block_map

KNOWN = Given(tile_size=EDGE)


def refused(path: Path, why: str, **more: object) -> None:
    with pytest.raises(InputError, match=why) as caught:
        read_map(path, **{"given": KNOWN, **more})  # type: ignore[arg-type]
    assert str(caught.value).startswith(str(caught.value.path))


def test_a_file_that_is_not_there_or_no_map_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5", "no such file of scores")
    (tmp_path / "a.txt").write_text("hello")
    refused(tmp_path / "a.txt", "no file of attention scores.*csv with the columns x, y and attention")
    refused(layouts.features(tmp_path), "no file of attention scores")


def test_scores_of_other_tiles_than_the_places(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["attention_scores"], file["coords"] = LOGITS[:-2], XY
    refused(tmp_path / "s.h5", "22 scores, but the slide has 24 tiles")
    np.save(tmp_path / "v.npy", np.append(LOGITS, 0))
    refused(tmp_path / "v.npy", "25 scores, but the slide has 24 tiles", features=layouts.features(tmp_path))


def test_an_attention_matrix_of_tokens(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((1, 8, 32, 32), dtype=np.float16))
    refused(tmp_path / "v.npy", "row of the class token alone", features=layouts.features(tmp_path))


def test_scores_that_are_nan(tmp_path: Path) -> None:
    z = LOGITS.copy()
    z[[3, 5]] = np.nan
    refused(block_map(tmp_path / "s_blockmap.h5", z), "2 NaN or infinite values, on 2 of 24 tiles")


def test_tiles_outside_the_slide(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((400, SLIDE[0], 3), np.uint8), tile=(64, 64), photometric="rgb")
    known = Given.of(tmp_path / "s.tif", tile_size=EDGE)
    refused(block_map(tmp_path / "s_blockmap.h5"), "6 of 24 tiles of slide s lie outside it", given=known)


def test_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    refused(tmp_path / "o.npy", r"Python objects \(a pickle\).*not read. Save the scores as numbers")
    (tmp_path / "p.npy").write_bytes(pickle.dumps(LOGITS))
    refused(tmp_path / "p.npy", "no file of attention scores")
    np.savez(tmp_path / "o.npz", attention=np.array([{}], dtype=object), coords=XY)
    refused(tmp_path / "o.npz", "no file of attention scores")


def test_features_without_places(tmp_path: Path) -> None:
    path = tmp_path / "job" / "own" / "h5_files" / "s1.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = np.ones((TILES, 2)), XY
    np.save(tmp_path / "v.npy", LOGITS)
    refused(tmp_path / "v.npy", "features of s1 do not say where their tiles lie", features=path, given=Given())


def test_features_of_another_slide_or_another_edge(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", LOGITS)
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((700, 900, 3), np.uint8), tile=(64, 64), photometric="rgb")
    features, small = layouts.features(tmp_path), Given.of(tmp_path / "s.tif")
    for given_as in (features, read_bag(features)):
        why = "It is 900 x 700 px, but the features of s1 are of a slide of 1000 x 800 px"
        refused(tmp_path / "v.npy", why, features=given_as, given=small)
    refused(tmp_path / "v.npy", "contradicts the f", features=features, given=Given(tile_size=50))
    refused(
        block_map(tmp_path / "s1_blockmap.h5"), "contradicts", features=read_bag(features), given=Given(tile_size=50)
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x,y,attention\n0,0,abc\n", "Row 1 has no number in one of the columns attention, x, y"),
        ("x,y,attention\n0,0,1\n0\n", "Row 2 has no number"),
        ("x,y,attention\n", "It has no rows"),
        ("x,y,attention\n0.5,0,1\n", "not whole level-0 px"),
        ("x,y,attention\nnan,0,1\n", "NaN, infinite or absurd"),
        ("x,y,tile_size,attention\n0,0,64,1\n64,0,32,-1\n", "edges from 32 to 64 level-0 px"),
        ("x,y,width,height,attention\n0,0,64,60,1\n", "edges from 60 to 64"),
        ("x,X,y,attention\n0,0,0,1\n", "no file of attention scores"),
        ("x,y,attention\n0,0,-1\n", "the table has no column of their edge"),
        (
            "slide,x,y,tile_size,attention\na,0,0,9,1\nb,0,0,9,2\n",
            "scores of several slides: a, b. Save a file of each",
        ),
        ("x,y,attention,case_id\n0,0,1,c\n0,9,1,c\n# x\n9,0,1,d\n", "scores of several slides: c, d"),
    ],
)
def test_tables(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    refused(tmp_path / "s.csv", why, given=Given())


def test_rows_and_columns_of_a_grid_are_no_level_0_px(tmp_path: Path) -> None:
    rows = [f"{x},{y},64,{x + y}" for x in range(8) for y in range(6)]
    (tmp_path / "s.csv").write_text("\n".join(["x,y,tile_size,logit", *rows]))
    refused(tmp_path / "s.csv", "64 level-0 px wide and lie mostly 1 px apart: x and y seem to be rows", given=Given())
    dense = [f"{6 * x},{6 * y},64,{x + y}" for x in range(8) for y in range(6)]  # 90 % overlap, as heatmaps have
    (tmp_path / "s.csv").write_text("\n".join(["x,y,tile_size,logit", *dense]))
    assert len(read_map(tmp_path / "s.csv").tiles) == 48


def test_a_table_that_names_its_one_slide_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("slide,x,y,tile_size,logit\na,0,0,9,1\na,0,9,9,2\n# a remark\n")
    assert len(read_map(tmp_path / "s.csv").tiles) == 2


def test_a_block_map_whose_numbers_lie_elsewhere_is_not_followed(tmp_path: Path) -> None:
    block_map(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["attention_scores"] = h5py.ExternalLink("secret.h5", "attention_scores")
        file["coords"] = XY
    refused(tmp_path / "s.h5", "lies in another file or place")


def test_a_small_file_that_declares_a_huge_array_takes_no_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("attention_scores", (10**12,), "f4", chunks=(1024,))
        file["coords"] = XY
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    with (tmp_path / "v.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(64))
    tracemalloc.start()
    refused(tmp_path / "s.h5", "more than its .* bytes can hold")
    refused(tmp_path / "v.npy", "cut off or damaged", features=layouts.features(tmp_path))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_a_sentence_and_soon(
    tmp_path_factory: pytest.TempPathFactory, layout: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "own"
    folder.mkdir()
    path = LAYOUTS[layout](folder)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    begun = time.perf_counter()
    try:
        found = read_map(path, **told(folder, layout))
        assert np.isfinite(found.scores).all() and found.scores.shape[1] == len(found.tiles)
    except InputError as error:
        assert "Traceback" not in str(error)
    assert time.perf_counter() - begun < 5


def test_an_index_of_slideflow_alone_is_told_as_what_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "s1.index.npz", XY + EDGE // 2)
    why = r"says where tiles lie \(it is slideflow's index\), and holds no scores\. Give s1_att\.npz with the scores"
    refused(tmp_path / "s1.index.npz", why)


def test_scores_alone_name_the_slide_whose_features_they_need(tmp_path: Path) -> None:
    np.savez(tmp_path / "s1_att.npz", LOGITS)
    why = r"Give the features of s1 that.*\(--features\), or put s1\.index\.npz of slideflow beside it"
    refused(tmp_path / "s1_att.npz", why)
