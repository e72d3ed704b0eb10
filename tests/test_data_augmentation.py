"""Augmentation: each change does what it says to each image, and its draws are even (χ²)."""

import numpy as np
import pytest

from minift.data import Augmentation, augment, load_digits
from minift.data.augmentation import crop, erase, flip, interpolate, noise, rotate, shift

CHI_SQUARE_999 = {4: 18.47, 9: 27.88, 24: 51.18, 35: 66.62}  # by degrees of freedom


def rng(seed=0):
    return np.random.default_rng(seed)


def chi_square(counts):
    expected = counts.sum() / counts.size
    return ((counts - expected) ** 2 / expected).sum()


def dots(count, size=9, channels=1):
    """Images with one white pixel in the middle."""
    images = np.zeros((count, channels, size, size), np.float32)
    images[:, :, size // 2, size // 2] = 1
    return images


def blobs(count, size=41, radius=14):
    """Images with a soft spot to the right of the centre, and the places of all pixels."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    spot = np.exp(-((x - radius) ** 2 + y**2) / 8)
    return np.tile(spot, (count, 1, 1, 1)), y, x


def test_shifts_are_even_over_all_places():
    moved = shift(dots(5000), 2, rng())
    places = moved[:, 0].reshape(5000, -1).argmax(1)
    down, right = places // 9 - 4, places % 9 - 4
    assert (moved.sum((1, 2, 3)) == 1).all()
    counts = np.histogram2d(down, right, bins=np.arange(-2.5, 3))[0]
    assert counts.sum() == 5000
    assert chi_square(counts) < CHI_SQUARE_999[24]


def test_a_shift_moves_all_pixels_alike_and_brings_in_0():
    image = rng().random((1, 2, 6, 5)).astype(np.float32) + 1
    for seed in range(20):
        moved = shift(image, 2, rng(seed))[0]
        rows, columns = np.nonzero(moved[0])
        h, w = np.ptp(rows) + 1, np.ptp(columns) + 1
        part = moved[:, rows.min() : rows.min() + h, columns.min() : columns.min() + w]
        windows = np.lib.stride_tricks.sliding_window_view(image[0], (h, w), axis=(1, 2))
        assert (windows == part[:, None, None]).all((0, 3, 4)).any()
        assert h >= 4
        assert w >= 3


def test_flips_come_with_their_probability():
    image = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    flipped = flip(np.repeat(image, 10_000, axis=0), 0.3, rng())
    mirrored = (flipped == image[..., ::-1]).all((1, 2, 3))
    assert ((flipped == image).all((1, 2, 3)) ^ mirrored).all()
    z = (mirrored.sum() - 3000) / np.sqrt(10_000 * 0.3 * 0.7)
    assert abs(z) < 3.29


def test_angles_are_even_and_anticlockwise_is_positive():
    images, y, x = blobs(3000)
    turned = rotate(images, 40, rng())[:, 0]
    weight = turned.sum((1, 2))
    angles = np.rad2deg(np.arctan2(-(turned * y).sum((1, 2)), (turned * x).sum((1, 2))))
    np.testing.assert_allclose(weight, images[0].sum(), rtol=0.03)
    assert np.abs(angles).max() < 40.5
    counts = np.histogram(angles, bins=10, range=(-40, 40))[0]
    assert chi_square(counts) < CHI_SQUARE_999[9]
    drawn = np.rad2deg(np.deg2rad(rng().uniform(-40, 40, (3000, 1, 1)))).ravel()
    np.testing.assert_allclose(angles, drawn, atol=0.5)


def test_crops_are_even_in_area_and_lie_inside():
    ramp = np.broadcast_to(np.arange(64, dtype=np.float64), (4000, 1, 64, 64))
    cut = crop(ramp, 0.25, rng())[:, 0, 32]  # a row: where its pixels came from
    side = (cut[:, 50] - cut[:, 10]) / 40
    assert ((side >= 0.499) & (side <= 1.001)).all()
    counts = np.histogram(side**2, bins=10, range=(0.25, 1))[0]
    assert chi_square(counts) < CHI_SQUARE_999[9]
    left = cut[:, 32] - 32.5 * side + 0.5  # where the cut begins, in pixels
    place = left / (64 * (1 - side))
    inner = place[side < 0.95]
    assert chi_square(np.histogram(inner, bins=10, range=(0, 1))[0]) < CHI_SQUARE_999[9]


def test_a_crop_of_everything_is_the_image():
    images = load_digits().test[0][:20]
    np.testing.assert_allclose(crop(images, 1.0, rng()), images, atol=1e-6)


def test_erased_squares_are_even_over_all_places():
    erased = erase(np.ones((4000, 3, 8, 8), np.float32), 3, rng())
    assert (erased == erased[:, :1]).all()  # channels alike
    assert ((erased[:, 0] == 0).sum((1, 2)) == 9).all()
    corner = (erased[:, 0] == 0).reshape(4000, 64).argmax(1)
    counts = np.histogram2d(corner // 8, corner % 8, bins=np.arange(-0.5, 6))[0]
    assert counts.sum() == 4000
    assert chi_square(counts) < CHI_SQUARE_999[35]


def test_noise_is_normal():
    spoilt = noise(np.ones((50, 1, 20, 20), np.float32), 0.2, rng())
    draws = (spoilt.ravel() - 1) / 0.2
    edges = [-0.8416, -0.2533, 0.2533, 0.8416]  # fifths of the normal distribution
    counts = np.bincount(np.searchsorted(edges, draws), minlength=5)
    assert chi_square(counts) < CHI_SQUARE_999[4]
    assert spoilt.dtype == np.float32


def test_between_pixels_lies_their_mean():
    image = np.array([[1.0, 3.0], [5.0, 7.0]]).reshape(1, 1, 2, 2)
    places = np.array([[[0, 0.5], [1, -0.5]]])
    found = interpolate(image, places, np.array([[[0, 0.5], [1, 1]]]))
    np.testing.assert_allclose(found[0, 0], [[1, 4], [7, 1.5]])


def test_images_have_draws_of_their_own_and_a_seed_repeats_them():
    change = Augmentation(crop=0.7, rotate=15, shift=1, flip=0.5, erase=2, noise=0.1)
    images = np.repeat(load_digits().test[0][:1], 8, axis=0)
    once, again, other = (change(images, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert len(np.unique(once.reshape(8, -1), axis=0)) == 8
    assert once.shape == images.shape
    assert once.dtype == np.float32
    np.testing.assert_array_equal(augment(images, rng(1), shift=1), shift(images, 1, rng(1)))


def test_the_defaults_change_nothing_and_no_change_writes_into_the_images():
    images = load_digits().test[0][:5]
    before = images.copy()
    assert Augmentation()(images, rng()) is images
    Augmentation(crop=0.7, rotate=15, shift=1, flip=0.5, erase=2, noise=0.1)(images, rng())
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 0}, r"crop is a share in \(0, 1\], got 0"),
        ({"flip": 1.5}, r"flip is a probability in \[0, 1\], got 1.5"),
        ({"shift": -1}, "shift must be 0 or more, got -1"),
        ({"rotate": float("nan")}, "rotate must be 0 or more, got nan"),
        ({"noise": float("inf")}, "noise must be 0 or more, got inf"),
        ({"shift": 1.5}, "shift must be whole pixels, got 1.5"),
        ({"erase": 0.5}, "erase must be whole pixels, got 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"Augmentation: {message}"):
        Augmentation(**settings)


def test_what_is_no_batch_of_images_is_refused():
    with pytest.raises(ValueError, match=r"images must be floats .* got float32 of shape \(8, 8\)"):
        augment(dots(1)[0, 0, :8, :8], rng(), shift=1)
    with pytest.raises(ValueError, match=r"images must be floats .* got uint8"):
        augment(dots(2).astype(np.uint8), rng(), shift=1)
    with pytest.raises(ValueError, match="a square of 10 pixels does not fit into 9 × 9"):
        augment(dots(2), rng(), erase=10)
