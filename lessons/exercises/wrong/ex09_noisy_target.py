"""The target is the spoilt image: a network that copies is perfect."""


def denoising_loss(rebuild, images, sigma, rng):
    spoilt = images + sigma * rng.standard_normal(images.shape)
    return ((rebuild(spoilt) - spoilt) ** 2).mean()
