"""A picture that was cut off is called so, not a format that nobody knows."""

import numpy as np
import pytest
from PIL import Image

from napari_asmil import open_slide
from napari_asmil.errors import InputError


@pytest.mark.parametrize("kept", [20, 400])
@pytest.mark.parametrize("ending", ["webp", "png", "jpg"])
def test_a_picture_that_was_cut_off_is_called_so(tmp_path, ending, kept):
    path = tmp_path / f"t.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with (
        pytest.raises(InputError, match=rf"t\.{ending}.*(cut off or damaged|damaged or incomplete)"),
        open_slide(path) as slide,
    ):
        slide.read(0, 0, 8, 0, 8)
