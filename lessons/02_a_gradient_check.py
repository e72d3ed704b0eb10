# %% [markdown]
# # Lesson 02: A gradient check that cannot be fooled
#
# - **You build:** a judge of derivatives: two runs of a function tell whether its derivative is
#   right
# - **You need:** lesson 01 (derivatives, the central difference) and NumPy arrays; nothing but what
#   ships
# - **Time:** 30 minutes to read, 2 seconds to run
# - **Exercise:** fix the bug
#
# A wrong derivative does not crash. The loss still falls, only slower, or not as far, and nobody
# knows why. So each derivative needs a judge. Lesson 01 had one, the central difference. In this
# lesson we make it fast, choose its step size, and learn how a judge can be fooled: a popular way
# to check gradients accepts a softmax whose derivative is zero.

# %% [markdown]
# ## What is to be judged
#
# A function *f* takes an array *x* and returns an array *y*. In a model, *y* goes on to a loss, a
# single number. Write *v* for the derivative of that loss by *y*: an array of the shape of *y*,
# called the *cotangent*. The walk back of lesson 01 hands *v* to *f* and wants back the derivative
# by *x*.
#
# From here on, · multiplies two arrays element by element, and Σ adds up all elements of what
# follows. If *y* changes a little, the loss changes by Σ *v* · (change of *y*). So for the walk
# back the loss may as well *be* the number Σ *v* · *f*(*x*), with a *v* that stays as it is. Every
# function comes with a partner:
#
# * `forward(x)` returns *y* = *f*(*x*),
# * `backward(x, v)` returns the derivative of Σ *v* · *f*(*x*) by *x*, an array of the shape of
#   *x*.
#
# Here are six such pairs. Our *x* will have rows of four numbers. *Softmax* turns the numbers of a
# row into shares that sum to 1. *Standard* brings each row to mean 0 and variance 1.

# %%
import numpy as np

import minift as mf
from minift import learn

M = np.random.default_rng(1).standard_normal((4, 4))  # a fixed matrix to multiply with


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def softmax_back(x, v):
    y = softmax(x)
    return y * (v - (v * y).sum(axis=1, keepdims=True))


def standard(x):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / x.std(axis=1, keepdims=True)


def standard_back(x, v):
    y = standard(x)
    inner = v - v.mean(axis=1, keepdims=True) - y * (v * y).mean(axis=1, keepdims=True)
    return inner / x.std(axis=1, keepdims=True)


right = {
    "exp": (np.exp, lambda x, v: v * np.exp(x)),
    "tanh": (np.tanh, lambda x, v: v * (1 - np.tanh(x) ** 2)),
    "mean of a row": (lambda x: x.mean(axis=1), lambda x, v: np.repeat(v[:, None], 4, 1) / 4),
    "product with M": (lambda x: x @ M, lambda x, v: v @ M.T),
    "softmax": (softmax, softmax_back),
    "standard": (standard, standard_back),
}

# %% [markdown]
# And here are eight pairs with a mistake in `backward`. Each is one that people really make.

# %%
broken = {
    "exp: forgot to multiply": (np.exp, lambda x, v: v),
    "tanh: 1 − x² for 1 − y²": (np.tanh, lambda x, v: v * (1 - x * x)),
    "mean: forgot 1/n": (right["mean of a row"][0], lambda x, v: np.repeat(v[:, None], 4, 1)),
    "product: forgot to transpose": (lambda x: x @ M, lambda x, v: v @ M),
    "softmax: zero": (softmax, lambda x, v: 0 * x),
    "softmax: 7 times too large": (softmax, lambda x, v: 7 * softmax_back(x, v)),
    "softmax: forgot the sum": (softmax, lambda x, v: softmax(x) * v),
    "standard: variance for deviation": (
        standard, lambda x, v: standard_back(x, v) / x.std(axis=1, keepdims=True)),
}  # fmt: skip

# %% [markdown]
# ## Two runs for all elements at once
#
# Lesson 01 moved one input at a time: two runs for each number in *x*. We can move **all** of them
# at once, by a small step *h* along a direction *u* of the shape of *x*, and look at the single
# number Σ *v* · *f*. Each element of *x* contributes its part of *u* times its derivative. So if
# `backward` tells the truth, then
#
# $$\frac{\sum v \cdot f(x + h u) \;-\; \sum v \cdot f(x - h u)}{2h}
# \;\approx\; \sum u \cdot \text{backward}(x, v).$$
#
# On the left are two runs of `forward`: what was *measured*. On the right is one of `backward`:
# what was *promised*. Which *u* and *v*? Nobody knows in which direction a mistake lies, so let
# chance decide: a random size with a random sign. No number is near 0, so that no element of
# `backward` goes unseen.
#
# How far apart may the two sides be? An error of 0.01 is small beside 1,000,000 and huge beside
# 0.0001, so we allow a share of the size: 10⁻⁵ of Σ |*u* · backward(*x*, *v*)|, or of what was
# measured if that is larger. The bars |·| matter: the sum itself can be near 0, because its parts
# cancel. And 10⁻⁸ is allowed on top, for derivatives that are 0.

# %%


def random_numbers(rng, shape):
    """Sizes between 0.5 and 1.5 with random signs."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def slope(forward, x, u, v, h):
    """How Σ v · forward changes along u: the left side of the formula."""
    return ((v * forward(x + h * u)).sum() - (v * forward(x - h * u)).sum()) / (2 * h)


def gradcheck(forward, backward, x, v=None, h=1e-6, tolerance=1e-5):
    """Whether backward agrees with two runs of forward, along a random direction."""
    rng = np.random.default_rng(0)
    u = random_numbers(rng, x.shape)
    v = random_numbers(rng, forward(x).shape) if v is None else v
    measured = slope(forward, x, u, v, h)
    promised = u * backward(x, v)
    allowed = 1e-8 + tolerance * max(np.abs(promised).sum(), abs(measured))
    return bool(abs(measured - promised.sum()) <= allowed)


x = np.random.default_rng(2).standard_normal((3, 4))
accepted = [name for name, pair in right.items() if gradcheck(*pair, x)]
caught = [name for name, pair in broken.items() if not gradcheck(*pair, x)]
print(f"right derivatives accepted: {len(accepted)} of {len(right)}")
print(f"broken derivatives caught:  {len(caught)} of {len(broken)}")

# %% [markdown]
# ## How the judge is fooled: a cotangent of ones
#
# Many checkers take the sum of all outputs as the loss. That is the cotangent *v* = 1, 1, 1, ...
# Now think of softmax: its outputs **always** sum to 1, whatever *x* is. So the derivative of their
# sum is 0, and any multiple of the right derivative passes: 7 times it, or 0 times. The same holds
# for *standard*, whose outputs always sum to 0. We take this checker as our baseline, since it is
# how teaching frameworks check their gradients.

# %%
sum_of_outputs = [
    name for name, (forward, backward) in broken.items()
    if not gradcheck(forward, backward, x, v=np.ones_like(forward(x)))
]  # fmt: skip
print(f"caught with a cotangent of ones: {len(sum_of_outputs)} of {len(broken)}; it accepted")
print("\n".join(f"  {name}" for name in broken if name not in sum_of_outputs))

# %% [markdown]
# ## How small is a small step?
#
# With a large step *h* the curve bends between the two points: the central difference is wrong by
# about *h*² · *f*‴ / 6, where *f*‴ is the third derivative. With a tiny step the two runs give
# nearly the same number, and subtracting them leaves mostly rounding: a `float64` has 16 digits, so
# for values near 1 the error is about 10⁻¹⁶ / *h*. A smaller *h* makes the first error smaller and
# the second larger. In the middle is the best step. The *one-sided* difference (*f*(*x* + *h*) −
# *f*(*x*)) / *h* uses two runs as well and is much worse: it is wrong by about *h* · *f*″ / 2.
# `float32` has 7 digits: even its best step leaves an error of 10⁻⁵. That is why gradients are
# checked in `float64`.
#
# The picture shows all this for tanh(exp *a*), whose derivative we know exactly. Each point is the
# median over 25 random *a*.

# %%
steps = np.logspace(-12, -0.5, 47)


def errors(kind, dtype):
    """Median relative error over 25 points a, for every step, on tanh(exp(a))."""
    rng, all_errors = np.random.default_rng(3), []
    for _ in range(25):
        a = rng.uniform(-1, 1)
        exact = (1 - np.tanh(np.exp(a)) ** 2) * np.exp(a)
        low, high = (a, a + steps) if kind == "one-sided" else (a - steps, a + steps)
        low, high = np.asarray(low, dtype), np.asarray(high, dtype)
        rise = (np.tanh(np.exp(high)) - np.tanh(np.exp(low))).astype(np.float64)
        run = steps if kind == "one-sided" else 2 * steps
        all_errors.append(np.abs(rise / run / exact - 1))
    return np.median(all_errors, axis=0)


central = errors("central", np.float64)
best = steps[central.argmin()]
print(f"best step of the central difference: {best:.0e}, relative error {central.min():.0e}")

figure, axes = learn.new_figure()
axes.loglog(steps, errors("central", np.float32), "s-", ms=3, color=learn.ORANGE,
            label="central, float32")  # fmt: skip
axes.loglog(steps, errors("one-sided", np.float64), "^-", ms=3, color=learn.SKY,
            label="one-sided, float64")  # fmt: skip
axes.loglog(steps, central, "o-", ms=3, color=learn.BLUE, label="central, float64")
axes.annotate(f"best: h = {best:.0e}", (best, central.min()), xytext=(1e-10, 2e-12),
              arrowprops={"arrowstyle": "->", "color": learn.GREY})  # fmt: skip
axes.set(xlabel="step size h", ylabel="relative error of the slope", ylim=(3e-13, 3e2))
axes.set_title("A step too small is as bad as a step too large")
axes.legend(frameon=False, loc="upper right")
learn.picture(figure, "02_a_gradient_check")

# %% [markdown]
# > **Erratum E58.** One article trains a network of two layers, output = tanh(x W₁) W₂, on the
# > squared error L. As gradient it takes δ = 2 (output − target), and changes W₁ and W₂ both by
# > that. But δ is the derivative by the *output*. With a = tanh(x W₁), the chain rule gives
# > ∂L/∂W₂ = aᵀ δ, and ∂L/∂W₁ = xᵀ (δ W₂ᵀ ⊙ (1 − a²)), where ᵀ transposes a matrix and ⊙ multiplies
# > element by element. In the check below δ and W₁ have the same shape only by accident. It rejects
# > the article's derivative and accepts ours (`v` is a single number here, since L is one):

# %%
rng = np.random.default_rng(4)
target, W2 = rng.standard_normal((3, 4)), rng.standard_normal((4, 4))
inputs = rng.standard_normal((3, 3))
W1 = rng.standard_normal((3, 4))


def loss(w1):
    return ((np.tanh(inputs @ w1) @ W2 - target) ** 2).sum()


def as_printed(w1, v):
    return v * 2 * (np.tanh(inputs @ w1) @ W2 - target)


def as_it_should_be(w1, v):
    a = np.tanh(inputs @ w1)
    delta = v * 2 * (a @ W2 - target)
    return inputs.T @ (delta @ W2.T * (1 - a * a))


print("the article's derivative by W1 passes:", gradcheck(loss, as_printed, W1))
print("the chain rule's derivative passes:   ", gradcheck(loss, as_it_should_be, W1))
assert not gradcheck(loss, as_printed, W1)
assert gradcheck(loss, as_it_should_be, W1)

# %% [markdown]
# ## The library does the same
#
# `minift.gradcheck` is this function for tensors, the library's arrays (lesson 03). Every
# derivative in `minift/ops/` passes it in the tests. An `@mf.op` is a pair like ours: a function
# that returns its value, and for each input the function from *v* to its derivative. A wrong one
# raises `GradientError`. The library must give all fourteen of our verdicts.

# %%


def library_accepts(forward, backward):
    @mf.op
    def pair(x):
        return forward(x), (lambda v: backward(x, v),)

    try:
        return mf.gradcheck(pair, mf.Tensor(x, requires_grad=True))
    except mf.GradientError:
        return False


for name, pair in {**right, **broken}.items():
    assert library_accepts(*pair) == gradcheck(*pair, x), name
print("minift.gradcheck agrees in all", len(right) + len(broken), "cases")

# %% [markdown]
# ## Exercise (fix the bug)
#
# `lessons/exercises/ex02.py` shows a checker, `fooled`, that several broken derivatives pass. Find
# out why, and write one that accepts every right derivative and rejects every broken one.
# `minift learn check 2` tries it on six right and eight broken ones.

# %%
assert len(accepted) == len(right)
learn.result(
    lesson=2,
    metric="broken derivatives caught, of 8",
    value=len(caught),
    baseline=len(sum_of_outputs),
    against="cotangent of ones",
    passed=len(caught) == 8 and 1e-6 <= best <= 2e-5,
    also={"best step": best},
)
