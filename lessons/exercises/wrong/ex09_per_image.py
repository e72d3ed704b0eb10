"""The mean over images only, the sum over pixels."""


def denoising_loss(rebuild, images, sigma, rng):
    spoilt = images + sigma * rng.standard_normal(images.shape)
    return ((rebuild(spoilt) - images) ** 2).sum(axis=1).mean()
