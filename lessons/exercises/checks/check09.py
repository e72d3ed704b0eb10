"""Checks of exercise 09: networks of one line, for which all know what the loss must be."""

import numpy as np

from minift.learn import same, true

IMAGES = np.random.default_rng(1).uniform(size=(200, 64))


def loss(exercise, rebuild, images=IMAGES, sigma=0.5):
    return exercise.denoising_loss(rebuild, images, sigma, np.random.default_rng(0))


def case_a_perfect_denoiser_has_no_loss(exercise):
    """a network that gives the clean images, whatever it sees, is perfect: its loss is 0"""
    same("loss of a network that always returns the clean images",
         loss(exercise, lambda x: IMAGES), 0.0)  # fmt: skip


def case_copying_is_not_perfect(exercise):
    """a network that copies its input leaves all the noise in: that must cost something"""
    value = loss(exercise, lambda x: x)
    true(f"the loss of a network that copies its input is {value}: to copy should not be perfect",
         value is not None and value > 1e-6)  # fmt: skip


def case_the_network_sees_noise_in_each_pixel(exercise):
    """the network is shown a spoilt image, each pixel with noise of its own of deviation sigma"""
    seen = []
    loss(exercise, lambda x: seen.append(np.array(x)) or IMAGES, sigma=0.3)
    noise = seen[0] - IMAGES
    spread = noise.std(axis=1)  # over the pixels of each image
    same("how far the noise of sigma = 0.3 spreads over an image's pixels (mean of 200 images)",
         spread.mean(), 0.3, atol=0.02)  # fmt: skip


def case_copying_costs_the_noise(exercise):
    """the mean over images and pixels: a network that copies has an error of sigma² a pixel"""
    same("loss of a network that copies its input, for sigma = 0.5",
         loss(exercise, lambda x: x), 0.25, atol=0.03)  # fmt: skip


def case_the_number_of_images_does_not_matter(exercise):
    """the same network on more images, or on larger ones, has about the same loss"""
    for n, d in ((50, 64), (800, 64), (200, 16), (200, 256)):
        same(f"loss of a network that copies {n} images of {d} pixels, for sigma = 0.5",
             loss(exercise, lambda x: x, np.zeros((n, d))), 0.25, atol=0.03)  # fmt: skip
