"""One draw an image in place of one a pixel: the whole image only becomes darker or lighter."""


def denoising_loss(rebuild, images, sigma, rng):
    spoilt = images + sigma * rng.standard_normal((len(images), 1))
    return ((rebuild(spoilt) - images) ** 2).mean()
