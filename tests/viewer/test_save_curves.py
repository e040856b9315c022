"""Curves in files: a table that says what it is, a picture with text as text, and a sentence when it cannot be."""

from __future__ import annotations

import csv
import errno
import os
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from qtpy.QtCore import QRectF, QSizeF
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QGraphicsLineItem, QGraphicsTextItem

from napari_asmil.errors import InputError
from napari_asmil.viewer.plots import save as save_module
from napari_asmil.viewer.plots.lines import Series, Threads, style_of
from napari_asmil.viewer.plots.save import MARGIN, WIDTH, Saved, Sheet, save
from napari_asmil.viewer.plots.style import PAPER, line_pen

SVG = "{http://www.w3.org/2000/svg}"
Y = np.array([np.nan, 0.1, 1 / 3, 0.0])


@pytest.fixture
def sheet(qapp: Any) -> Sheet:
    band = (Y - 0.05, Y + 0.05)
    jsd = Saved(
        "JSD to the epoch before", "bits",
        "Median over 2 slides of the JSD of the mean map of 8 rows; band: quartiles.",
        [Series("a, one", Y, 0, band), Series("b", np.array([1.0, 2.0]), 1)],
        [Threads(["s0 · a", "s1 · a"], np.stack([Y, 2 * Y]))],
    )  # fmt: skip
    share = Saved("Effective tiles / M", "share", "Of the map as stored.", [Series("a, one", Y + 0.5)], (), True)
    key = [[(0, "a, one (ABMIL)"), (2, "normal")], [(1, "b (ASMIL & Co)")]]
    return Sheet([jsd, share], key, ["Runs: a.asmil, b.asmil", "Software: napari-asmil 1"])


def rendered(path: Path) -> QImage:
    renderer = QSvgRenderer(str(path))
    assert renderer.isValid()
    image = QImage(renderer.defaultSize(), QImage.Format.Format_RGB32)
    image.fill(QColor("#ff00ff"))
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    return image


def pixels(image: QImage) -> np.ndarray:
    """Red, green and blue, (y, x, 3)."""
    whole = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = whole.constBits()
    rows = np.frombuffer(bits.asarray(whole.sizeInBytes()) if hasattr(bits, "asarray") else bits, np.uint8)
    return rows.reshape(whole.height(), whole.bytesPerLine())[:, : 3 * whole.width()].reshape(whole.height(), -1, 3)


def of_colour(image: QImage, colour: QColor) -> np.ndarray:
    """Where a picture has all but a colour, bool (y, x)."""
    return np.abs(pixels(image).astype(int) - colour.getRgb()[:3]).max(axis=2) < 40


def has_curves(image: QImage, *styles: int) -> bool:
    return all(of_colour(image, line_pen(style, PAPER).color()).any() for style in styles)


def test_a_table_begins_with_what_it_is_and_holds_every_curve_exactly(sheet: Sheet, tmp_path: Path) -> None:
    save(tmp_path / "a.csv", sheet)
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("# ")]
    assert head == [
        "# Runs: a.asmil, b.asmil",
        "# Software: napari-asmil 1",
        "# JSD to the epoch before (bits): Median over 2 slides of the JSD of the mean map of 8 rows; band: quartiles.",
        "# Effective tiles / M (share): Of the map as stored.",
    ]
    rows = list(csv.reader(lines[len(head) :]))
    assert rows[0] == [
        "epoch",
        "JSD to the epoch before (bits): a, one",
        "JSD to the epoch before (bits): a, one, lower end of the band",
        "JSD to the epoch before (bits): a, one, upper end of the band",
        "JSD to the epoch before (bits): b",
        "JSD to the epoch before (bits): s0 · a",
        "JSD to the epoch before (bits): s1 · a",
        "Effective tiles / M (share): a, one",
    ]
    table = np.array([[float(cell or "nan") for cell in row] for row in rows[1:]])
    short = [1.0, 2.0, np.nan, np.nan]
    expected = [np.arange(4), Y, Y - 0.05, Y + 0.05, short, Y, 2 * Y, Y + 0.5]
    np.testing.assert_array_equal(table, np.array(expected).T)


def test_a_vector_picture_opens_is_white_and_has_its_words_as_text(sheet: Sheet, tmp_path: Path) -> None:
    save(tmp_path / "a.svg", sheet)
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    text = " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))
    for words in ("JSD to the epoch before (bits)", "mean map of 8 rows", "a, one (ABMIL)", "normal", "b (ASMIL & Co)"):
        assert words in text
    for words in ("Effective tiles / M (share)", "epoch", "bits", "Software: napari-asmil 1", "Runs: a.asmil"):
        assert words in text
    assert not list(root.iter(f"{SVG}image"))
    image = rendered(tmp_path / "a.svg")
    corners = [(0, 0), (image.width() - 1, 0), (0, image.height() - 1), (image.width() - 1, image.height() - 1)]
    assert {image.pixelColor(*corner).name() for corner in corners} == {PAPER.background}
    assert has_curves(image, 0, 1, 2)


def test_axes_and_curves_of_a_vector_picture_agree(qapp: Any, tmp_path: Path) -> None:
    """The line ends over the number of its last epoch, whatever resolution the axes were recorded at."""
    y = np.full(51, np.nan)
    y[45:] = 1.0
    save(tmp_path / "a.svg", Sheet([Saved("JSD", "bits", "", [Series("a", y, 0)], ())], [], []))
    image = rendered(tmp_path / "a.svg")
    last = np.flatnonzero(of_colour(image, line_pen(0, PAPER).color()).any(axis=0)).max()
    scale = image.width() / WIDTH
    numbers = pixels(image)[round(210 * scale) : round(225 * scale)].max(axis=2) < 90  # under the axis, over "epoch"
    assert numbers.any() and abs(np.flatnonzero(numbers.any(axis=0)).max() - last) < 14  # half of "50"


def test_a_picture_is_white_and_has_every_curve(sheet: Sheet, tmp_path: Path) -> None:
    save(tmp_path / "a.PNG", sheet)
    image = QImage(str(tmp_path / "a.PNG"))
    assert image.width() >= 1200 and image.pixelColor(2, 2).name() == PAPER.background
    assert has_curves(image, 0, 1, 2)
    assert "napari-asmil 1" in image.text()


def test_a_picture_grows_with_its_panels(sheet: Sheet, tmp_path: Path) -> None:
    save(tmp_path / "two.png", sheet)
    save(tmp_path / "one.png", Sheet(sheet.panels[:1], sheet.key, sheet.facts))
    assert QImage(str(tmp_path / "two.png")).height() > QImage(str(tmp_path / "one.png")).height() + 300


@pytest.mark.parametrize("longest", [20, 40, 60, 110])
def test_nothing_in_the_key_lies_over_another(qapp: Any, tmp_path: Path, longest: int) -> None:
    names = [f"{'a long name of a run ' * 8}"[: longest - 2 * k] + f"{k}" for k in range(4)]
    key = [
        [(style_of(k, 0), name), (style_of(k, 1), "normal tissue"), (style_of(k, 2), "tumour")]
        for k, name in enumerate(names)
    ]
    view, _ = save_module._picture(Sheet([Saved("JSD", "bits", "", [Series("a", Y)], ())], key, []))
    texts = [item for item in view.scene().items() if isinstance(item, QGraphicsTextItem) and item.parentItem() is None]
    texts = [item for item in texts if item.toPlainText() in {name for row in key for _, name in row}]
    lines = [i for i in view.scene().items() if isinstance(i, QGraphicsLineItem) and i.parentItem() is None]
    assert len(texts) == len(lines) == 12
    words = [QRectF(text.pos(), QSizeF(text.document().idealWidth(), text.boundingRect().height())) for text in texts]
    boxes = [*words, *(line.sceneBoundingRect() for line in lines)]
    assert not [
        (a, b) for a, b in combinations(boxes, 2) if a.adjusted(0, 1, 0, -1).intersects(b.adjusted(0, 1, 0, -1))
    ]
    assert all(box.left() + 1 >= MARGIN and box.right() <= WIDTH - MARGIN + 1 for box in boxes)
    assert all(line.line().length() >= 36 for line in lines)
    view.close()


@pytest.mark.parametrize("name", ["a.xlsx", "a"])
def test_another_suffix_is_refused_with_those_there_are(sheet: Sheet, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.csv, \.svg, \.png"):
        save(tmp_path / name, sheet)


def test_nothing_to_save_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no curves"):
        save(tmp_path / "a.csv", Sheet([Saved("JSD", "bits", "", (), ())], [], []))


@pytest.mark.parametrize("suffix", ["csv", "svg", "png"])
def test_a_folder_that_is_not_there_is_said(sheet: Sheet, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "nowhere" / f"a.{suffix}", sheet)


@pytest.mark.parametrize("suffix", ["csv", "svg", "png"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_without_room_or_leave_the_old_file_stays_and_no_half_one(
    sheet: Sheet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, error: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("before")

    def fail(self: Path, *_: Any, **__: Any) -> None:
        self.touch()
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "write_bytes", fail)
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(InputError, match=os.strerror(error)):
        save(path, sheet)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
