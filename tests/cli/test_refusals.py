"""What the command line says and does when something given to it cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.cli.conftest import Command
from tests.conftest import RunMaker


def write_cohort(folder: Path, *, labels: dict[str, str] | None = None, slides: int = 4) -> tuple[Path, Path]:
    """Feature files in TRIDENT's layout and a label table."""
    features = folder / "features"
    features.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for s in range(slides):
        with h5py.File(features / f"s{s}.h5", "w") as file:
            file["features"] = rng.normal(size=(9, 5)).astype(np.float32)
            rows, columns = np.divmod(np.arange(9), 3)
            file["coords"] = np.stack([columns, rows], axis=1) * 64
            file["coords"].attrs.update(
                {"patch_size": 64, "patch_size_level0": 64, "level0_width": 192, "level0_height": 192}
            )
    table = folder / "labels.csv"
    given = labels or {f"s{s}": "tumour" if s % 2 else "normal" for s in range(slides)}
    table.write_text("slide_id,label\n" + "".join(f"{k},{v}\n" for k, v in given.items()))
    return features, table


def change(path: Path, edit: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        edit(file)


def nan(file: h5py.File) -> None:
    file["features"][3, 2] = np.nan


def outside(file: h5py.File) -> None:
    file["coords"][8] = (4000, 10)


SMALL = ("--preset", "demo", "--method", "abmil", "--epochs", "1", "--device", "cpu")


@pytest.mark.parametrize(
    ("break_it", "names", "says"),
    [
        (lambda f, t: change(f / "s2.h5", outside), "s2.h5", "outside"),
        (lambda f, t: change(f / "s1.h5", nan), "s1", "NaN"),
        (lambda f, t: t.write_text("slide_id,label\ns0,a\ns1,b\n"), "s2, s3", "no row"),
        (lambda f, t: (f / "s3.h5").unlink(), "s3", "no bag"),
        (lambda f, t: t.write_text("slide_id,label\n" + "".join(f"s{i},a\n" for i in range(4))), "a", "one class"),
    ],
    ids=["tiles outside the slide", "NaN features", "bags without labels", "labels without bags", "one class only"],
)
def test_bags_that_cannot_be_trained_on_are_named_before_anything_starts(
    command: Command, tmp_path: Path, break_it: Callable[[Path, Path], object], names: str, says: str
) -> None:
    features, table = write_cohort(tmp_path)
    break_it(features, table)
    out = tmp_path / "out"
    code, _, complaint = command("train", features, "--labels", table, "--out", out, *SMALL)
    assert code == 2
    assert names in complaint and says in complaint
    assert "Traceback" not in complaint
    assert not list(tmp_path.rglob("*.asmil"))


def test_an_unknown_method_is_told_with_those_there_are(command: Command, tmp_path: Path) -> None:
    features, table = write_cohort(tmp_path)
    code, _, complaint = command("train", features, "--labels", table, "--out", tmp_path / "o", "--method", "nomil")
    assert code == 2 and "nomil" in complaint and "asmil" in complaint


def test_an_output_that_cannot_be_written_is_told_before_training(command: Command, tmp_path: Path) -> None:
    features, table = write_cohort(tmp_path)
    (tmp_path / "file").write_text("")
    code, _, complaint = command("train", features, "--labels", table, "--out", tmp_path / "file" / "o", *SMALL)
    assert code == 2 and "cannot be written" in complaint


def test_a_good_cohort_trains_and_its_run_is_described(command: Command, tmp_path: Path) -> None:
    features, table = write_cohort(tmp_path)
    code, _, complaint = command("train", features, "--labels", table, "--out", tmp_path / "o.asmil", *SMALL)
    assert code == 0, complaint
    run = tmp_path / "o.asmil"
    code, said, _ = command("info", run)
    assert code == 0 and "2 of 2 epochs committed" in said
    code, said, complaint = command("export", run, "--out", tmp_path / "map.png", "--normalizer", "nsf")
    assert code == 0, complaint
    assert (tmp_path / "map.png").is_file() and "NSF T=1 offset=0" in said


@pytest.mark.parametrize(
    ("ending", "options", "says"),
    [
        (".gif", ("--epoch", 1), "--epoch does nothing for a .gif file: a film shows all epochs"),
        (".gif", ("--limits", "epoch"), "locked over all epochs"),
        (".geojson", ("--limits", "locked"), "--limits does nothing for a .geojson file"),
        (".geojson", ("--max-px", 500), "--max-px does nothing for a .geojson file"),
        (".geojson", ("--transform", "log10"), "--transform does nothing for a .geojson file"),
        (".png", ("--limits", "auto"), "Unknown limits 'auto'"),
        (".png", ("--max-px", 0), "longer side must be 64 to 8192 px, not 0"),
        (".gif", ("--max-px", 9000), "longer side must be 64 to 8192 px, not 9000"),
        (".bmp", (), "Unknown ending '.bmp'"),
        (".png", ("--temperature", 2), "--temperature does nothing with --normalizer stored"),
        (".png", ("--offset", 1), "--offset does nothing with --normalizer stored"),
        (".png", ("--normalizer", "softmax", "--offset", 1), "--offset does nothing with --normalizer softmax"),
        (".png", ("--normalizer", "entmax", "--temperature", 2), "--temperature does nothing with --normalizer entmax"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_and_nothing_is_written(
    command: Command, make_run: RunMaker, ending: str, options: tuple[object, ...], says: str
) -> None:
    run = make_run()
    out = run.parent / f"x{ending}"
    code, _, complaint = command("export", run, "--out", out, *options)
    assert code == 2 and says in complaint
    assert not out.exists()


def test_a_film_is_as_large_as_asked_for_and_said_to_hold_all_epochs(command: Command, make_run: RunMaker) -> None:
    run, widths = make_run(epochs=2), []
    for size in (300, 500):
        out = run.parent / f"{size}.gif"
        code, said, complaint = command("export", run, "--out", out, "--max-px", size)
        assert code == 0, complaint
        assert "epochs 0 to 2" in said
        with Image.open(out) as picture:
            widths.append(picture.width)
    assert widths[1] - widths[0] == 200


def test_the_numbers_of_a_normaliser_are_taken_and_shown(command: Command, make_run: RunMaker) -> None:
    run = make_run()
    options = ("--normalizer", "nsf", "--temperature", 0.5, "--offset", 2, "--epoch", 3)
    code, said, complaint = command("export", run, "--out", run.parent / "x.geojson", *options)
    assert code == 0, complaint
    assert "NSF T=0.5 offset=2" in said and "epoch 3" in said


@pytest.mark.parametrize("cut", [0, 40, 2000])
def test_a_truncated_slide_is_refused_by_name(command: Command, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "slide.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), compression="deflate")
    path.write_bytes(path.read_bytes()[:cut])
    code, said, complaint = command("info", path)
    assert code == 2 and "slide.tif" in complaint and not said


def test_a_missing_file_is_refused_by_name(command: Command, tmp_path: Path) -> None:
    for given in (tmp_path / "nothing.svs", tmp_path / "nothing.asmil"):
        code, _, complaint = command("info", given)
        assert code == 2 and given.name in complaint


def test_a_run_of_a_newer_schema_says_to_update(command: Command, make_run: RunMaker) -> None:
    run = make_run()
    meta = json.loads((run / "zarr.json").read_text())
    meta["attributes"]["napari_asmil"]["schema"] = 99
    (run / "zarr.json").write_text(json.dumps(meta))
    for given in (("info", run), ("export", run, "--out", run.parent / "x.png")):
        code, _, complaint = command(*given)
        assert code == 2 and "schema 99" in complaint and "Update" in complaint


def test_without_a_screen_no_window_is_tried(
    command: Command, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, _, complaint = command("open", make_run())
    assert code == 2 and "no screen" in complaint


def test_what_nobody_foresaw_ends_in_a_sentence_and_a_log(
    command: Command, monkeypatch: pytest.MonkeyPatch, make_run: RunMaker
) -> None:
    monkeypatch.setattr("napari_asmil.info.describe", lambda *_, **__: 1 / 0)
    code, _, complaint = command("info", make_run())
    assert code == 1 and "ZeroDivisionError" in complaint and "Traceback" not in complaint


def test_the_installed_command_tells_its_exit_code(tmp_path: Path) -> None:
    given = [sys.executable, "-m", "napari_asmil.cli", "info", tmp_path / "no.svs"]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no.svs" in done.stderr and "Traceback" not in done.stderr
