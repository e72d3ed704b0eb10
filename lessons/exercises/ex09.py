"""Exercise 09: a denoising loss that teaches the network to copy noise.

`broken_denoising_loss` has two mistakes. Write `denoising_loss` without them.
Check with: minift learn check 9
"""


def broken_denoising_loss(rebuild, images, sigma, rng):
    """Runs, and falls in training; but the network learns the wrong thing."""
    spoilt = images + sigma * rng.standard_normal(images.shape)
    return ((rebuild(spoilt) - spoilt) ** 2).sum()


def denoising_loss(rebuild, images, sigma, rng):
    """1/(N·D) Σ ‖x − d(e(x̃))‖² with x̃ = x + σ·ε.

    `rebuild` is the whole network, d(e(·)): a function of images (N, D), giving images (N, D).
    `images` are N images of D pixels, `sigma` is σ, and `rng.standard_normal(shape)` draws ε.
    Returns a number.
    """
    raise NotImplementedError("exercise 09: write denoising_loss")
