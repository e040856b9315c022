"""Words and bars on a legend: readable, inside their column, in true units."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from napari_asmil.render import sheet
from napari_asmil.render.sheet import Sheet, scale_length, spelled, text_width, ticks, wrapped


@pytest.fixture
def no_open_sans(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sheet, "_font_file", lambda bold: None)
    sheet.font.cache_clear()
    yield
    sheet.font.cache_clear()


@pytest.mark.parametrize(
    ("longest", "mpp", "length", "words"),
    [
        (1000, 0.25, 800, "200 µm"),
        (9000, 0.5, 4000, "2 mm"),
        (1000, None, 1000, "1000 level-0 px (mpp unknown)"),
        (730, None, 500, "500 level-0 px (mpp unknown)"),
    ],
)
def test_a_scale_bar_has_a_round_length_in_um_or_says_that_mpp_is_unknown(
    longest: float, mpp: float | None, length: float, words: str
) -> None:
    assert scale_length(longest, mpp) == (pytest.approx(length), words)


@pytest.mark.parametrize("step", [0.5, 1.0, 3.7])
def test_a_scale_bar_is_as_long_on_paper_as_it_says(step: float) -> None:
    page = Sheet(400, 60)
    page.scale_bar(10, 10, 300, step, 0.5, 14)
    drawn = np.nonzero((np.asarray(page.picture)[11] < 60).all(axis=1))[0]
    length, _ = scale_length(300 * step, 0.5)
    assert abs((drawn.max() - drawn.min()) - length / step) <= 1


@pytest.mark.parametrize(("low", "high"), [(0.0, 157.0), (-6.0, 2.69), (0.0, 100.0), (0.0, 3e-5), (0.98, 1.02)])
def test_ticks_are_round_evenly_spaced_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 4 <= len(found) <= 12
    assert min(found) >= low - 1e-12
    assert max(found) <= high * (1 + 1e-12)
    np.testing.assert_allclose(np.diff(found), found[1] - found[0])


def test_both_ends_of_a_colour_bar_are_its_limits_and_its_lower_half_is_what_shows_over_white() -> None:
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    page = Sheet(300, 60)
    page.colour_bar(10, 10, 256, table, (0.0, 5.0), 0.5, 20)
    pixels = np.asarray(page.picture)[..., 0].astype(int)
    np.testing.assert_allclose(pixels[14, 11:265], np.arange(1, 255), atol=1)
    np.testing.assert_allclose(pixels[26, 11:265], 127.5 + np.arange(1, 255) / 2, atol=1)


@pytest.mark.parametrize("width", [80, 120, 240])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.11), (-0.494, 1.11), (0.98, 1.02)])
def test_numbers_under_a_narrow_colour_bar_do_not_touch(width: int, low: float, high: float) -> None:
    written: list[tuple[float, float]] = []

    class Page(Sheet):
        def text(self, x: float, y: float, text: str, size: int, **given: str) -> None:
            left = x - text_width(text, size) * {"la": 0, "ma": 0.5, "ra": 1}[given["anchor"]]
            written.append((left, left + text_width(text, size)))

    table = np.zeros((256, 3), np.uint8)
    Page(300, 60).colour_bar(10, 10, width, table, (low, high), 1.0, 14)
    spans = sorted(written)
    assert all(after[0] > before[1] for before, after in pairwise(spans))


@pytest.mark.parametrize("text", ["a few words that need some lines", "x" * 200, "", "short " + "y" * 99 + " end"])
def test_no_line_is_wider_than_its_column_and_no_letter_is_lost(text: str) -> None:
    lines = wrapped(text, 90, 14)
    assert all(text_width(line, 14) <= 90 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_with_open_sans_greek_and_micro_are_written_as_they_are() -> None:
    if sheet._font_file(False) is None:
        pytest.skip("Open Sans is not installed")
    assert spelled("M·α, 5 µm, é") == "M·α, 5 µm, é"


@pytest.mark.usefixtures("no_open_sans")
def test_without_it_they_are_spelled_out_and_text_still_has_a_width() -> None:
    assert spelled("M·α × 5 µm – é ≥ 漢") == "M·alpha x 5 um - e >= ?"
    assert text_width("M·α", 14) > 20
    page = Sheet(200, 40)
    page.text(5, 5, "M·α", 14)
    assert (np.asarray(page.picture) < 100).any()
