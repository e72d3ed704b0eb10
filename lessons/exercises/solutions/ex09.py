"""The target is the clean image, and the mean is over images and pixels."""


def denoising_loss(rebuild, images, sigma, rng):
    spoilt = images + sigma * rng.standard_normal(images.shape)
    return ((rebuild(spoilt) - images) ** 2).mean()
