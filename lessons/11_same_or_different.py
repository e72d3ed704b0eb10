# %% [markdown]
# # Lesson 11: Same or different
#
# - **You build:** the contrastive loss NT-Xent, and a network that recognises a digit wherever it
#   stands
# - **You need:** lessons 05 (cross-entropy) and 09 (codes, baselines); nothing but what ships
# - **Time:** 40 minutes to read, 30 seconds to run
# - **Exercise:** implement it
#
# An autoencoder must keep *everything*, because it has to draw everything again: also where in the
# image the digit stands, how thick the pen was, how dark the ink. Often we know that such things do
# not matter. *Contrastive learning* lets us say so, without one label: change an image in ways that
# do not matter, twice, at random. The two *views* show the same thing and should get nearly the
# same code. Views of other images should get other codes.
#
# ## A task for which pixels are no use
#
# Shift every test digit by up to two pixels in each direction. For us nothing has changed. For
# whoever compares pixel by pixel, everything has.

# %%
import numpy as np

import minift as mf
from minift import learn
from minift.objectives.contrastive import nt_xent as library_nt_xent
from minift.probes import NearestNeighbours

digits = mf.data.load_digits()
(images, labels), (test_images, test_labels) = digits.train, digits.test
shift = mf.data.Augmentation(shift=2)  # up to 2 pixels left or right, and up or down
shifted = shift(test_images, np.random.default_rng(0))


def neighbours(codes, code_labels, test_codes):
    """Accuracy of the class that most of the 5 nearest training codes have."""
    fitted = NearestNeighbours(5).fit(codes, code_labels)
    return (fitted.predict(test_codes) == test_labels).mean()


unmoved, raw = neighbours(images, labels, test_images), neighbours(images, labels, shifted)
print(f"5 nearest neighbours on pixels, digits as they are: {unmoved:.3f}")
print(f"5 nearest neighbours on pixels, digits shifted:     {raw:.3f}")

# %% [markdown]
# ## The loss
#
# Take *N* images and make two views of each: 2*N* views. The network gives each view *i* a vector
# *zᵢ* of *P* numbers. How similar are two views *i* and *j*? The *cosine* of the angle between
# their vectors says it: 1 if they point the same way, 0 if they stand at right angles, −1 if they
# point opposite ways,
#
# $$s_{ij} = \frac{z_i \cdot z_j}{\lVert z_i \rVert \, \lVert z_j \rVert}.$$
#
# Now ask view *i*: which of the other 2*N* − 1 views is your twin *j*? That is a classification
# with 2*N* − 1 classes, and we know its loss from lesson 05: cross-entropy, with the similarities
# as logits. They are divided by a *temperature* τ first (here 0.2), because cosines between −1 and
# 1 would make much too mild a softmax. The name is NT-Xent, *normalised temperature-scaled cross-
# entropy*:
#
# $$\ell_i = -\log \frac{\exp(s_{ij} / \tau)}{\sum_{k \neq i} \exp(s_{ik} / \tau)}.$$
#
# The sum goes over all views *k* but *i* itself. The loss of the batch is the mean of ℓᵢ over all
# 2*N* views. In the code the first views stand in rows 0 to *N* − 1 and the second in the next *N*,
# so the twin is *N* rows further, counted round the end. To leave out *i* itself, its logit becomes
# −10³⁰: exp makes 0 of it.

# %%


def similarities(z):
    """Cosines of all pairs of rows of z, (2N, P) -> (2N, 2N)."""
    unit = z / (z * z).sum(axis=1, keepdims=True).sqrt()
    return unit @ unit.T


def nt_xent(first, second, temperature):
    """Row i of `first` and row i of `second`, both (N, P), are twins."""
    N = len(first)
    scores = similarities(mf.functional.concatenate([first, second])) / temperature
    itself = np.eye(2 * N, dtype=bool)
    twin = (np.arange(2 * N) + N) % (2 * N)
    return mf.functional.cross_entropy(mf.functional.where(itself, -1e30, scores), twin)


rng = np.random.default_rng(0)
first, second = mf.Tensor(rng.normal(size=(64, 32))), mf.Tensor(rng.normal(size=(64, 32)))
loss = nt_xent(first, second, 0.2).item()
theirs = library_nt_xent(first, second, 0.2).item()
print(f"random vectors: loss {loss:.4f}, the library's {theirs:.4f}; log 127 = {np.log(127):.4f}")
assert abs(loss - theirs) < 1e-12

# %% [markdown]
# Random vectors know nothing of twins, so each of the 128 views can only guess among 127 others:
# log 127 is the least that this costs, and here it costs a little more, since chance makes some
# wrong views similar.
#
# > **Erratum E48.** The formula is printed with exp(s_ij/τ) + Σ_{k≠j} exp(s_ik/τ) below the line.
# > This sum contains k = i, the similarity of a view with *itself*: s_ii = 1, the largest that
# > there is. Then even perfect twins (s_ij = 1) share the probability with it: the loss stays near
# > log 2 = 0.693 for ever. Leave the view itself out: **k ≠ i**. (The article does not say either
# > what s is, **erratum E49**: it has to be bounded, as the cosine is, or τ means nothing.)
# >
# > **Erratum E67.** One program divides the similarities by their sum and takes the mean of that as
# > the loss. The mean of *n* numbers that sum to 1 is 1/*n*, whatever they are: its gradient is
# > zero everywhere. What is missing is softmax, and −log of the twin's share.
# >
# > **Erratum E95.** "Minimise the similarity between positive and negative samples" (twins are
# > called *positive*, strangers *negative*). That is half of it, and alone it has an easy way out:
# > all views far apart, twins too. *Raise* the similarity of twins, *lower* that of strangers.
#
# Let us see E48 with our own eyes. Each view and its twin get the same vector; strangers get random
# ones of 512 numbers, which are nearly at right angles. And τ is 0.1.

# %%
z = mf.Tensor(rng.normal(size=(64, 512)))
right = nt_xent(z, z, 0.1).item()
scores = similarities(mf.functional.concatenate([z, z])) / 0.1  # nothing left out
wrong = mf.functional.cross_entropy(scores, (np.arange(128) + 64) % 128).item()
print(f"perfect twins: loss {right:.4f}, with itself in the sum {wrong:.4f} (log 2 = 0.6931)")
assert right < 0.05 < 0.69 < wrong

# %% [markdown]
# ## Learning
#
# The network has two parts. The *encoder* makes a code of 128 numbers. On it sits a small *head*
# whose *P* = 32 outputs are the *z* that the loss compares. (The method is called SimCLR.) Views
# are shifted by up to two pixels, turned by up to ten degrees, and get a little noise. No label is
# used.

# %%
mf.manual_seed(0)
model = mf.models.SimCLR(mf.models.SimCLRConfig(hidden_sizes=(512, 512, 128)))
views = mf.objectives.Contrastive(
    mf.data.Augmentation(shift=2, rotate=10, noise=0.05), temperature=0.2
)
config = mf.TrainConfig(epochs=110, batch_size=128, lr=2e-3, seed=0, device="cpu")


def codes_of(x, network=model):
    """What the network gives for images, each vector brought to length 1."""
    with mf.no_grad():
        z = network(x).numpy()
    return z / np.linalg.norm(z, axis=1, keepdims=True)


sample = np.argsort(test_labels[:40], kind="stable")  # 40 test digits, sorted by class


def cosines_of_pairs():
    """Each of the 40 digits with a shifted view of each of them, (40, 40)."""
    chosen = test_images[sample]
    return codes_of(chosen) @ codes_of(shift(chosen, np.random.default_rng(3))).T


before = cosines_of_pairs()
trainer = mf.Trainer(
    model, mf.data.ArrayDataset(pixel_values=images), objective=views, config=config
)
trainer.fit()
after = cosines_of_pairs()
reached = neighbours(codes_of(images), labels, codes_of(shifted))
below = neighbours(codes_of(images, model.encode), labels, codes_of(shifted, model.encode))
print(f"5 nearest neighbours on the head's outputs, digits shifted:     {reached:.3f}")
print(f"5 nearest neighbours on the code below the head, digits shifted: {below:.3f}")

# %% [markdown]
# Two views agree best where the loss asked for it, in the outputs of the head. For other tasks one
# takes the head off, as the code below it still knows more of what the views have changed.
#
# ## The honest baseline
#
# From .28 to above .92 looks like magic. But we *told* the network that shifts do not matter. We
# could tell the nearest neighbours as well: put ten randomly shifted copies of each training image
# into their memory.

# %%
rng = np.random.default_rng(1)
copies = np.concatenate([shift(images, rng) for _ in range(10)])
honest = neighbours(copies, np.tile(labels, 10), shifted)
print(f"5 nearest neighbours on pixels, 10 shifted copies: {honest:.3f}")
print("the shifted copies win" if honest > reached else "what was learned wins")

# %% [markdown]
# On digits of 8 × 8 the simple method is as good or better. It needs ten times the memory and ten
# times the time for each answer, and no training at all. Say so when you report such a thing.
# Contrastive learning pays where the changes that do not matter are too many to list.
#
# ## The picture
#
# Rows are 40 test digits, sorted by class; columns are shifted views of the same 40, in the same
# order. The colour is the cosine. Before, every digit resembles every shifted digit. After, each
# finds its own view on the diagonal, and yellowish squares along the diagonal are digits of one
# class (the white lines show where a class begins). Nobody has told the network what a class is.

# %%
figure, panels = learn.new_figure(columns=2, width=7.6, height=3.7)
classes, starts, sizes = np.unique(test_labels[sample], return_index=True, return_counts=True)
for axes, shown, when in zip(panels, (before, after), ("before", "after")):
    image = axes.imshow(shown, cmap="cividis", vmin=-0.5, vmax=1)
    middles = starts + sizes / 2 - 0.5
    axes.set(title=f"{when} training", xlabel="class of the shifted view")
    axes.set_xticks(middles, classes)
    axes.set_yticks(middles, classes)
    axes.tick_params(length=0)
    for start in starts[1:] - 0.5:
        axes.axhline(start, color="white", linewidth=0.5)
        axes.axvline(start, color="white", linewidth=0.5)
panels[0].set_ylabel("class of the test digit")
figure.colorbar(image, ax=panels, label="cosine similarity", shrink=0.8)
learn.picture(figure, "11_same_or_different")

# %% [markdown]
# ## Exercise (implement it)
#
# `lessons/exercises/ex11.py`: NT-Xent with NumPy alone, from vectors to the loss. The traps of the
# box above are waiting. Check with `minift learn check 11`.

# %%
half = 1.96 * np.sqrt(reached * (1 - reached) / len(test_labels))
learn.result(
    lesson=11,
    metric="5-NN accuracy on shifted digits",
    value=reached,
    baseline=honest,
    against="5-NN over ten shifted copies of each image",
    interval=(reached - half, reached + half),
    passed=reached > 0.9 > raw,
    also={"raw pixels": raw, "perfect twins' loss": right, "the same with itself": wrong},
)
