"""σ taken for the variance: the noise has the standard deviation √σ."""


def denoising_loss(rebuild, images, sigma, rng):
    spoilt = images + sigma**0.5 * rng.standard_normal(images.shape)
    return ((rebuild(spoilt) - images) ** 2).mean()
