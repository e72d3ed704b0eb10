"""Grids of images: every pixel in its place, a picture on disk."""

import numpy as np
import pytest

from minift.plot import image_grid
from minift.plot.images import laid_out


def test_images_stand_in_their_rows_with_a_frame():
    images = np.random.default_rng(0).random((2, 3, 1, 4, 5))
    sheet = laid_out(images)
    assert sheet.shape == (2 * 6, 3 * 7)
    np.testing.assert_array_equal(sheet[6 + 1 : 6 + 5, 14 + 1 : 14 + 6], images[1, 2, 0])
    assert sheet.sum() == pytest.approx(images.sum())  # nothing but frames of 0 between
    colours = laid_out(np.random.default_rng(0).random((1, 2, 3, 4, 4)))
    assert colours.shape == (6, 12, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_is_a_png(channels, tmp_path):
    path = image_grid(np.zeros((2, 5, channels, 8, 8)), tmp_path / "grid.png")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (5 * 50, 2 * 50)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grid.png"]


def test_what_is_no_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"1 or 3 channels, height, width\), got \(5, 1, 8, 8\)"):
        image_grid(np.zeros((5, 1, 8, 8)), tmp_path / "grid.png")
