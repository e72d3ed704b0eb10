# %% [markdown]
# # Lesson 10: Two generative cousins
#
# - **You build:** the loss of a variational autoencoder, and the game of a generative adversarial
#   network
# - **You need:** lessons 05 (losses from logits) and 09 (autoencoders); nothing but what ships
# - **Time:** 40 minutes to read, 30 seconds to run
# - **Exercise:** predict before you run
#
# The autoencoder of lesson 09 can redraw an image. Can it draw a *new* one? Pick eight numbers at
# random, decode them, and you will mostly see smudges: nobody told the network what the codes
# between those of the training images should mean. This lesson shows two cures. The *variational
# autoencoder* (VAE) fills the space of codes without holes. The *generative adversarial network*
# (GAN) has no codes to start with: it learns to draw from a critic who is learning too.

# %%
import numpy as np

import minift as mf
from minift import functional as F
from minift import learn

digits = mf.data.load_digits()
images, test_images = digits.train[0], digits.test[0]

# %% [markdown]
# ## A code that is a cloud
#
# The VAE's encoder does not say "the code is 0.7". It says "the code is about 0.7, give or take
# 0.2": for each of the *K* numbers of the code it gives a mean μ and a standard deviation σ. The
# code *z* is then drawn from this normal distribution, and decoded. As a neighbouring *z* may be
# drawn any time, neighbours must decode to nearly the same image: no holes.
#
# Drawing is not an operation that has a derivative. The trick, called *reparameterisation*, is to
# draw a number ε that depends on nothing, and to compute *z* from it:
#
# $$z = \mu + \sigma \, \varepsilon, \qquad \varepsilon \sim N(0, 1).$$
#
# Now dz/dμ = 1 and dz/dσ = ε, and gradients flow. The encoder's second output is log σ², which may
# be any number, and σ = exp(½ log σ²) is positive by itself.

# %%


def draw_code(mean, log_variance, epsilon):
    """z = μ + σ·ε"""
    return mean + (log_variance * 0.5).exp() * epsilon


# %% [markdown]
# > **Erratum E29.** "μ(x) and σ(x) are the mean and the variance": no, σ is the standard deviation,
# > σ² the variance.
# >
# > **Erratum E30.** The decoder is printed as p(x|z) = N(x; f(μ(x), σ(x))): a distribution given
# > *z* that does not contain *z*, and that looks at the very image it should draw. Right is
# > z = μ + σε and p(x|z) = N(x; f(z), s²): **the decoder sees z alone**. And no objective was given
# > at all (erratum E31); it follows.
#
# ## The price of a code
#
# One thing is missing. The encoder could make all clouds tiny (σ near 0) and far apart: an ordinary
# autoencoder again, holes and all. So it must pay for being precise. The price of a cloud is its
# *Kullback-Leibler divergence* (KL) from a fixed one, N(0, 1): the mean, over draws *z* from the
# cloud *q*, of how much more probable *q* makes *z* than N(0, 1) does,
#
# $$\mathrm{KL} = E_{z \sim q}\left[\log \frac{q(z)}{p(z)}\right]
# = \tfrac12 \sum_{k=1}^{K} \left(\mu_k^2 + \sigma_k^2 - \log \sigma_k^2 - 1\right).$$
#
# It is 0 if μ = 0 and σ = 1, and positive otherwise. The left form can be computed by drawing many
# times (*Monte Carlo*), the right form is exact. They had better agree.

# %%


def kl_exact(mean, log_variance):
    return 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=-1)


def kl_by_drawing(mean, log_variance, draws, rng):
    epsilon = rng.standard_normal((draws, len(mean)))
    z = mean + np.exp(0.5 * log_variance) * epsilon
    log_q = -0.5 * (epsilon**2 + log_variance)  # both without the −½ log 2π that they share
    log_p = -0.5 * z**2
    return (log_q - log_p).sum(axis=1).mean()


rng = np.random.default_rng(0)
mean, log_variance = rng.normal(size=(2, 8))
exact, drawn = kl_exact(mean, log_variance), kl_by_drawing(mean, log_variance, 200_000, rng)
print(f"KL, exact {exact:.4f}, by 200,000 draws {drawn:.4f}, ratio {drawn / exact:.4f}")
assert abs(drawn / exact - 1) < 0.01
assert abs(F.kl_normal(mean[None], log_variance[None]).item() - exact) < 1e-9

# %% [markdown]
# ## The bound
#
# Together they make the *evidence lower bound* (ELBO): how well the drawn code explains the image,
# minus the price of the code. It is a lower bound of log p(x), the logarithm of the probability of
# the image, and training makes it as large as possible. Our pixels are between 0 (white) and 1
# (ink), so we read the decoder's output *f* as logits of ink, as in lesson 05:
#
# $$\mathrm{ELBO} = E_{z \sim q}\Big[\sum_{\text{pixels}} x \log s(f(z)) + (1 - x)
# \log(1 - s(f(z)))\Big] - \mathrm{KL}, \qquad s(f) = \frac{1}{1 + e^{-f}}.$$

# %%


def negative_elbo(model, x):
    """Per pixel, the mean over the images; one draw stands for the expectation."""
    mean, log_variance = model.encode(x)
    epsilon = mf.backend.random.generator("code").standard_normal(mean.shape)
    f = model.decoder(draw_code(mean, log_variance, epsilon.astype("float32")))
    x = mf.Tensor(x)
    reconstruction = (f.softplus() - x * f).sum()  # −x log s(f) − (1 − x) log(1 − s(f))
    kl = (mean * mean + log_variance.exp() - log_variance - 1).sum() * 0.5
    return (reconstruction + kl) * (1 / x.size)


mf.manual_seed(0)
vae = mf.models.VAE(mf.models.VAEConfig(hidden_sizes=(256,), code_size=8))
mf.manual_seed(1)
by_hand = negative_elbo(vae, images[:64]).item()
mf.manual_seed(1)  # the same ε for the library
expected, _ = mf.objectives.EvidenceLowerBound()(vae, {"pixel_values": images[:64]})
print(f"−ELBO a pixel by hand {by_hand:.6f}, the library's {expected.item():.6f}")
assert abs(by_hand - expected.item()) < 1e-6

# %%
config = mf.TrainConfig(epochs=100, batch_size=64, lr=2e-3, seed=0, device="cpu")
data = mf.data.ArrayDataset(pixel_values=images)
trainer = mf.Trainer(vae, data, objective=mf.objectives.EvidenceLowerBound(), config=config)
trainer.fit()
reached = -trainer.evaluate(mf.data.ArrayDataset(pixel_values=test_images))["elbo"]

# %% [markdown]
# The honest baseline: give every image the same code, so that nothing must be paid for it, and
# always answer with the mean image. Its −ELBO is a plain cross-entropy.

# %%
ink = np.clip(images.mean(axis=0), 1e-4, 1 - 1e-4)
trivial = -(test_images * np.log(ink) + (1 - test_images) * np.log(1 - ink)).mean()
print(f"−ELBO on test images: {reached:.4f} nats a pixel; always the mean image: {trivial:.4f}")

# %% [markdown]
# And now a walk: from the code of one digit to that of another, in twelve equal steps. Each step is
# an image that nobody has ever drawn, and most of them look like a digit (picture, left).
#
# ## A critic instead of a formula
#
# The GAN's *generator* G turns noise *z* into a sample. It never sees the data. It sees a critic,
# the *discriminator* D, that gets samples of both kinds and says how probable it is that a sample
# is real. D learns to tell them apart; G learns to make D say "real".
#
# > **Erratum E32.** "D(x) → y, where x is the real sample and y the generated sample": D does not
# > make samples. D maps *any* sample to the probability that it is real, a number between 0 and 1.
# > D and G play for min_G max_D E_x log D(x) + E_z log(1 − D(G(z))); in practice G raises
# > log D(G(z)), because the slope of log(1 − D) is nearly 0 while D is sure of itself.
#
# If G becomes perfect, both kinds are the same and D can only say ½, everywhere. To *see* this, our
# samples are single numbers: half of the real ones lie near −2, half near 1.

# %%
mf.manual_seed(1)
rng = np.random.default_rng(1)


def small_network(inputs):
    sizes = [(inputs, 64), (64, 64), (64, 1)]
    first, second, last = [mf.nn.Linear(*size) for size in sizes]
    return mf.nn.Sequential(first, mf.nn.Tanh(), second, mf.nn.Tanh(), last)


D, G = small_network(1), small_network(2)
d_moves = mf.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
g_moves = mf.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))


def real_samples(n):
    return (rng.choice([-2.0, 1.0], (n, 1)) + 0.3 * rng.standard_normal((n, 1))).astype("float32")


def made_samples(n):
    return G(mf.Tensor(rng.standard_normal((n, 2)).astype("float32")))


def play(turns, n=256):
    """D's losses are −log D(real) and −log(1 − D(made)), G's is −log D(made), all from logits."""
    for turn in range(turns):
        for optimizer, lr in ((d_moves, 2e-3), (g_moves, 1e-3)):
            optimizer.param_groups[0]["lr"] = lr * (1 - turn / turns)  # the game calms down
        d_moves.zero_grad()
        fakes = made_samples(n).detach()  # this loss moves D alone
        ((-D(real_samples(n))).softplus().mean() + D(fakes).softplus().mean()).backward()
        d_moves.step()
        g_moves.zero_grad()
        (-D(made_samples(n))).softplus().mean().backward()
        g_moves.step()


axis = np.linspace(-4, 3, 200, dtype="float32")[:, None]


def belief():
    """What D says of each number."""
    return D(axis).sigmoid().numpy()[:, 0]


play(60)
early = belief()
play(3000)
late = belief()
near = (abs(axis[:, 0] + 2) < 0.6) | (abs(axis[:, 0] - 1) < 0.6)  # where there are data
made = made_samples(2000).numpy()[:, 0]
print(f"D where there are data: from {early[near].min():.2f}..{early[near].max():.2f} "
      f"to {late[near].min():.2f}..{late[near].max():.2f}")  # fmt: skip
print(f"made near -2: {(made < -0.5).mean():.0%}, mean {made[made < -0.5].mean():.2f}; "
      f"near 1: {(made > -0.5).mean():.0%}, mean {made[made > -0.5].mean():.2f}")  # fmt: skip

# %%
figure, (left, right) = learn.new_figure(columns=2, width=8.4, height=3.4)
walks = [vae.walk(test_images[i], test_images[i + 1], 12)[:, 0] for i in (0, 4, 8, 12, 16)]
wall = np.ones((5 * 9 - 1, 12 * 9 - 1))
for i, walk in enumerate(walks):
    for j, image in enumerate(walk):
        wall[9 * i : 9 * i + 8, 9 * j : 9 * j + 8] = 1 - image
left.imshow(wall, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
left.axis("off")
left.set_title("VAE: each row walks from a digit's code\nto another's; no holes on the way")
right.hist(real_samples(4000)[:, 0], 50, density=True, color=learn.SKY, alpha=0.5, label="real")
right.hist(made, 50, density=True, histtype="step", color=learn.BLACK, label="made")
right.plot(axis, early, "--", color=learn.ORANGE, label="D after 60 turns")
right.plot(axis, late, color=learn.RED, label="D after 3,060 turns")
right.axhline(0.5, color=learn.GREY, linewidth=0.8)
right.set(xlabel="sample (one number)", ylabel="density, and D(sample)", ylim=(0, 1.3))
right.legend(fontsize=7, loc="upper right", frameon=False)
right.set_title("GAN: where there are data,\nthe critic ends near ½")
learn.picture(figure, "10_two_generative_cousins")

# %% [markdown]
# The game is moody: with another seed the generator may heap its samples on a few points, and D and
# G chase each other for ever (*mode collapse*). A VAE's loss simply falls; its images are blurred.
#
# ## Exercise (predict before you run)
#
# `lessons/exercises/ex10.py` asks for seven numbers about σ, KL and D. Write what you expect, on
# paper first; then `minift learn check 10` tells you.

# %%
learn.result(
    lesson=10,
    metric="−ELBO on test images, nats a pixel",
    value=reached,
    baseline=trivial,
    against="always the mean image",
    passed=reached < trivial and abs(late[near] - 0.5).max() < 0.25,
    also={"KL by drawing / exact": drawn / exact, "D at the data": late[near].mean()},
)
