"""A film shows the epochs, every frame with its numbers."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_asmil.errors import InputError
from napari_asmil.render import film
from napari_asmil.render.colormaps import lookup_table

from .conftest import LATTICE, collapsed, flat, uneven

M = len(LATTICE)


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as file:
        found = []
        for index in range(file.n_frames):
            file.seek(index)
            found.append(np.asarray(file.convert("RGB")))
        return found


def test_each_epoch_is_a_frame_and_the_last_stays_longer(tmp_path: Path, make_view) -> None:
    path = film(tmp_path / "f.gif", [make_view([uneven(e, M) for e in range(5)])], seconds=0.2)
    with Image.open(path) as file:
        assert file.n_frames == 5
        durations = []
        for index in range(5):
            file.seek(index)
            durations.append(file.info["duration"])
    assert durations == [200, 200, 200, 200, 800]


def test_the_bright_tile_moves_from_frame_to_frame(tmp_path: Path, make_view) -> None:
    order = [0, 9, 27]
    path = film(tmp_path / "f.gif", [make_view([collapsed(t, M) for t in order])], panel_px=370)
    bright = lookup_table("viridis")[-1].astype(int)
    found = []
    for frame in frames_of(path):
        # the bar below holds the bright colour too, at the same place in every frame
        rows, columns = np.nonzero(np.abs(frame[: frame.shape[0] - 150].astype(int) - bright).max(axis=2) <= 4)
        found.append((columns.mean(), rows.mean()))
    moved = np.diff(found, axis=0) * 3
    np.testing.assert_allclose(moved, np.diff(LATTICE[order], axis=0), atol=3)


def test_white_paper_stays_white_in_every_frame(tmp_path: Path, make_view) -> None:
    for frame in frames_of(film(tmp_path / "f.gif", [make_view([uneven(0, M), flat(M)])])):
        assert (frame[:3] == 255).all()


def test_it_names_what_it_shows(tmp_path: Path, make_view) -> None:
    views = [make_view([uneven(0, M), flat(M)], name=n, label=n.upper()) for n in ("a", "b")]
    path = film(tmp_path / "f.gif", views)
    with Image.open(path) as file:
        said = file.info["comment"].decode()
    assert said.startswith(f"{views[0].label}; {views[1].label}; limits 0 to ")
    assert "locked over all maps and epochs" in said


def test_many_epochs_are_thinned_evenly_first_and_last_kept(
    tmp_path: Path, make_view, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("napari_asmil.render.film"), "MAX_FRAMES", 4)
    path = film(tmp_path / "f.gif", [make_view([uneven(e, M) for e in range(10)])])
    assert len(frames_of(path)) == 4


def test_maps_that_do_not_belong_together_are_refused(tmp_path: Path, make_view) -> None:
    one, other = make_view([flat(M)]), make_view([flat(M)], name="other", transform="log10")
    with pytest.raises(InputError, match=r"different transforms \(log10, m_alpha\)"):
        film(tmp_path / "f.gif", [one, other])
    with pytest.raises(InputError, match="no map"):
        film(tmp_path / "f.gif", [])
    with pytest.raises(InputError, match="at most 4 maps"):
        film(tmp_path / "f.gif", [one] * 5)
    with pytest.raises(InputError, match=r"Epochs \[0, 3\] were asked for; epochs 0 to 0"):
        film(tmp_path / "f.gif", [one], epochs=[0, 3])
    with pytest.raises(InputError, match="longer side must be 64 to 8192 px, not 9000"):
        film(tmp_path / "f.gif", [one], panel_px=9000)
    assert not list(tmp_path.glob("*.gif"))
