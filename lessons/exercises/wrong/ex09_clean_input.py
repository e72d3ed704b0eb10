"""The network sees the clean image: nothing is there to be removed."""


def denoising_loss(rebuild, images, sigma, rng):
    return ((rebuild(images) - images) ** 2).mean()
