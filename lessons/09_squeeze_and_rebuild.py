# %% [markdown]
# # Lesson 09: Squeeze and rebuild
#
# - **You build:** an autoencoder and a denoising autoencoder: two ways to learn from images that
#   nobody has labelled
# - **You need:** lessons 04 (layers), 06 (optimizers) and 08 (the Trainer); nothing but what ships
# - **Time:** 30 minutes to read, 20 seconds to run
# - **Exercise:** fix the bug
#
# Up to here every example came with its right answer, the *label*. Labels are expensive: somebody
# has to sit down and give them. Images without labels cost nothing. What can be learned from them?
#
# An old idea: *describe the image in few words, so that somebody else can draw it again.* Whoever
# can do that has understood something about images. The network that describes is the *encoder*
# *e*, the one that draws is the *decoder* *d*, and the few words are a few numbers, the *code*:
#
# $$x \;\longrightarrow\; e(x) = \text{code} \;\longrightarrow\; d(e(x)) \approx x.$$
#
# The image is its own label. This is why such learning is called *self-supervised*: the targets are
# made from the data. (Erratum E34: what one article calls pre-training is given labels.)

# %%
import numpy as np

import minift as mf
from minift import learn
from minift.probes import LinearProbe, draw_per_class

digits = mf.data.load_digits()
(images, labels), (test_images, test_labels) = digits.train, digits.test
print(f"{len(images)} images to learn from, {len(test_images)} to test on, each {images[0].shape}")

# %% [markdown]
# Our images are 8 × 8 pixels, 64 numbers between 0 (white) and 1 (ink). The code shall have 8.
# How good is a reconstruction? Take the squared difference of each pixel, and the mean over all
# *D* = 64 pixels and all *N* images:
#
# $$L = \frac{1}{N D} \sum_{i=1}^{N} \big\lVert x_i - d(e(x_i)) \big\rVert^2.$$

# %%


def error(rebuilt, originals):
    """The mean squared difference of a pixel."""
    return float(((rebuilt - originals) ** 2).mean())


# %% [markdown]
# ## The honest baseline: eight numbers without any network
#
# *Principal component analysis* (PCA) is the best that can be done with additions and
# multiplications by constants alone. It finds the 8 directions along which the training images
# differ most, and describes an image by how far it lies along each. Two lines of linear algebra do
# it. A second baseline needs no code at all: always draw the mean of the training images.

# %%
flat, test_flat = images.reshape(-1, 64), test_images.reshape(-1, 64)
mean = flat.mean(axis=0)
_, _, directions = np.linalg.svd(flat - mean, full_matrices=False)
pca = mean + (test_flat - mean) @ directions[:8].T @ directions[:8]  # encode, then decode
print(f"always the mean image: error {error(mean, test_flat):.4f}")
print(f"PCA with 8 numbers:    error {error(pca, test_flat):.4f}")

# %% [markdown]
# ## An autoencoder by hand
#
# Encoder and decoder are two layers each, with max(0, ·) between them. Layers and parameters are
# those of lesson 04. At the end the sigmoid 1/(1 + exp(−z)) brings each pixel between 0 and 1.
# There is nothing new in this network but its waist of 8 numbers.

# %%


class Squeeze(mf.nn.Module):
    """64 pixels -> 512 -> 8 numbers -> 512 -> 64 pixels."""

    def __init__(self, code_size):
        self.widen = mf.nn.Linear(64, 512)
        self.narrow = mf.nn.Linear(512, code_size)
        self.unfold = mf.nn.Linear(code_size, 512)
        self.draw = mf.nn.Linear(512, 64)

    def encode(self, x):
        return self.narrow(self.widen(x).relu())

    def decode(self, code):
        return self.draw(self.unfold(code).relu()).sigmoid()


def reconstruction_loss(model, x):
    """1/(N·D) Σ ‖x − d(e(x))‖²"""
    difference = model.decode(model.encode(x)) - x
    return (difference * difference).mean()


# %% [markdown]
# The library has the same model and the same loss. Give both the same weights, and they must agree.

# %%


def library_model(code_size):
    mf.manual_seed(0)
    config = mf.models.AutoencoderConfig(hidden_sizes=(512,), code_size=code_size)
    return mf.models.Autoencoder(config)


ours, theirs = Squeeze(8), library_model(8)
ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values())))
loss = reconstruction_loss(ours, mf.Tensor(flat[:32]))
expected, _ = mf.objectives.Reconstruction()(theirs, {"pixel_values": images[:32]})
print(f"loss by hand {loss.item():.6f}, the library's {expected.item():.6f}")
assert abs(loss.item() - expected.item()) < 1e-6

# %% [markdown]
# Now train it, with the Trainer of lesson 08. No label is passed to it: there is none to pass.

# %%


def trained(code_size, objective):
    model = library_model(code_size)
    config = mf.TrainConfig(
        epochs=150, batch_size=64, lr=2e-3, weight_decay=0.3, seed=0, device="cpu"
    )
    data = mf.data.ArrayDataset(pixel_values=images)
    mf.Trainer(model, data, objective=objective, config=config).fit()
    return model


def rebuild(model, given):
    with mf.no_grad():
        return model(given).numpy()


narrow = trained(8, mf.objectives.Reconstruction())
drawn = rebuild(narrow, test_images)
print(f"autoencoder with 8 numbers: error {error(drawn, test_images):.4f}")

# %% [markdown]
# Less than half of PCA's error, with as many numbers: handwriting does not vary along straight
# lines. A stroke that moves by a pixel is a curve through the space of images, and a network can
# follow curves.

# %%
rows = [("original", test_flat), ("PCA, 8 numbers", pca), ("autoencoder, 8", drawn)]
figure, axes = learn.new_figure(width=7.6, height=2.0)
wall = np.ones((3 * 9 - 1, 14 * 9 - 1))
for i, (_, shown) in enumerate(rows):
    for j in range(14):
        square = np.asarray(shown[j]).reshape(8, 8)
        wall[9 * i : 9 * i + 8, 9 * j : 9 * j + 8] = 1 - np.clip(square, 0, 1)
axes.imshow(wall, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
axes.set_yticks([4 + 9 * i for i in range(3)], [name for name, _ in rows])
axes.set_xticks([])
axes.spines[:].set_visible(False)
axes.tick_params(length=0)
axes.set_title("Each digit redrawn from 8 numbers: PCA blurs what the autoencoder keeps")
learn.picture(figure, "09_squeeze_and_rebuild")

# %% [markdown]
# ## A small error proves nothing
#
# > **Erratum E03.** The loss of an autoencoder is printed as L(θ) = Σ ‖xᵢ − f_θ(xᵢ)‖², with nothing
# > said about *f*. Then f(x) = x is perfect: L = 0, and nothing has been learned. The network must
# > be a decoder after an encoder, *f* = *d* ∘ *e*, with a code smaller than the image, or with an
# > input that was spoilt. And the sum makes the right step size depend on the number of images:
# > take the mean over images and pixels.
#
# So the error cannot say what a code is *worth*. Ask a *linear probe* instead: a linear classifier
# that sees the codes of a few labelled images, 5 of each digit here. If the codes say clearly which
# digit it is, the probe will be good. The rival to beat is the same probe on the 64 raw pixels,
# which are the code of the perfect copier f(x) = x. The drawn labels matter, so we take the mean
# over 20 draws.

# %%


def probe(train_codes, test_codes):
    """Accuracy with 5 labels a class, for each of 20 draws of the labelled images."""
    found = []
    for draw in range(20):
        chosen = draw_per_class(labels, 5, draw)
        fitted = LinearProbe().fit(train_codes[chosen], labels[chosen])
        found.append((fitted.predict(test_codes) == test_labels).mean())
    return np.array(found)


def probed(model):
    with mf.no_grad():
        return probe(model.encode(images).numpy(), model.encode(test_images).numpy())


raw, wide = probe(flat, test_flat), trained(256, mf.objectives.Reconstruction())
wide_error, wide_probe = error(rebuild(wide, test_images), test_images), probed(wide).mean()
print(f"copying all pixels:  error 0,      probe {raw.mean():.3f}")
print(f"code of 256 numbers: error {wide_error:.4f}, probe {wide_probe:.3f}")
print(
    f"code of 8 numbers:   error {error(drawn, test_images):.4f}, probe {probed(narrow).mean():.3f}"
)

# %% [markdown]
# The perfect copier has the best error of all and the worst probe. The wide code draws nine times
# better than the narrow one, and what little it gains over the pixels is not owed to its loss,
# which asked for a copy and for nothing else. And on the 8 numbers of the narrow code the probe
# does as well as on all 64 pixels.
#
# ## Spoil the input
#
# There is another way to make copying useless: add noise to the image, and ask for the *clean* one.
#
# $$L = \frac{1}{N D} \sum_i \big\lVert x_i - d(e(\tilde x_i)) \big\rVert^2, \qquad
# \tilde x_i = x_i + \sigma \varepsilon_i, \quad \varepsilon_i \sim N(0, 1).$$
#
# The noisy copy x̃ as input is the only change, and it is easy to get wrong: the target is the
# clean image. To remove the noise, the network has to know which strokes belong to a digit and
# which do not.

# %%
denoiser = trained(16, mf.objectives.Denoising(0.5))
clean = probed(denoiser)
gain = clean - raw  # draw by draw: both probes saw the same labels
half = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
print(f"denoising code of 16: probe {clean.mean():.3f}, raw pixels {raw.mean():.3f}")
print(f"gain {gain.mean():+.3f} ± {half:.3f} (95 % over the draws)")

# %% [markdown]
# So 1,297 images without labels were worth some points of accuracy where labels are few. It is a
# modest gain, on the easiest data there are. Where raw pixels are a poor description, the gain is
# much larger: lesson 11.
#
# ## Exercise (fix the bug)
#
# `lessons/exercises/ex09.py` shows a denoising loss that runs, falls, and teaches the network to
# copy noise. It has two mistakes. Write it as it should be; `minift learn check 9` looks at it.

# %%
learn.result(
    lesson=9,
    metric="test error of a code of 8 numbers",
    value=error(drawn, test_images),
    baseline=error(pca, test_flat),
    against="PCA with 8 numbers",
    passed=error(drawn, test_images) < error(pca, test_flat) / 2 and gain.mean() > half,
    also={
        "denoising probe": clean.mean(),
        "raw pixels' probe": raw.mean(),
        "wide code's error": wide_error,
        "wide code's probe": wide_probe,
    },
)
