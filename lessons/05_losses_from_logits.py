# %% [markdown]
# # Lesson 05: Losses from logits
#
# - **You build:** cross-entropy with its derivative: safe for huge numbers, with ignored targets,
#   class weights and label smoothing
# - **You need:** lessons 02 and 03, and the logarithm; the digits that ship
# - **Time:** 35 minutes to read, 3 seconds to run
# - **Exercise:** fix the bug
#
# Nearly every model in this course ends in the same few lines: scores come out, one class is right,
# and a single number must say how bad the scores were. That number is the *cross-entropy*. It looks
# simple, and three things about it go wrong again and again: it overflows, it is fed with
# probabilities where it wants scores, and it counts what it should ignore.

# %% [markdown]
# ## From scores to a loss
#
# For one example the model gives C scores *z*₁ ... *z*_C, one for each class. They may be any
# numbers and are called *logits*. *Softmax* makes probabilities of them, positive numbers that sum
# to 1:
#
# $$p_c = \frac{e^{z_c}}{\sum_k e^{z_k}}.$$
#
# If *y* is the right class, the loss is −log *p_y*. It is 0 if the model is sure and right, log 2 =
# 0.69 if it gives the right class half of the probability, and grows without end as *p_y* goes to
# 0. The loss of a batch is the **mean** over its examples.
#
# The number *e*^*z* overflows beyond *z* = 709. But the logarithm of a quotient is a difference:
#
# $$\log p_c = z_c - \log\sum_k e^{z_k}, \qquad
# \log\sum_k e^{z_k} = m + \log\sum_k e^{z_k - m} \;\text{ for every number } m.$$
#
# With *m* the largest of the *z*, no exponent is above 0, and nothing can overflow. This is the
# *log-sum-exp* trick.

# %%
import math

import numpy as np

import minift as mf
from minift import functional as F
from minift import learn


def log_softmax(z):
    """log of the probabilities, (N, C) -> (N, C)."""
    top = z.max(axis=1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True))


def by_the_book(z):
    """The same as it is often written: first the probabilities, then their logarithm."""
    with np.errstate(all="ignore"):
        e = np.exp(z)
        return np.log(e / e.sum(axis=1, keepdims=True))


z = np.array([[2.0, 1.0, 0.0], [1e4, 0.0, -1e4]])
print("safe:       ", log_softmax(z).round(3).tolist())
print("by the book:", by_the_book(z).round(3).tolist())

# %% [markdown]
# ## The derivative is beautifully simple
#
# Write *t* for the target as a row: 1 at the right class, 0 elsewhere. The loss of one example is
# −Σ *t_c* log *p_c*. Its derivative by the logits is
#
# $$\frac{\partial\,\text{loss}}{\partial z_c} = p_c - t_c,$$
#
# what the model said minus what it should have said. For the mean over N examples it is
# (*p* − *t*) / N. Every logit moves exactly as far as it was wrong.
#
# Three wishes fit into the same two formulas, through a general row *t*:
#
# * **Label smoothing**: not even the right class should be 1. With ε = 0.1, the right class gets
#   1 − ε, and ε is shared out evenly over all C classes.
# * **Class weights**: the term of class *c* counts *w_c* times. The mean divides by the sum of the
#   weights of the examples' right classes, so that it stays a mean.
# * **Ignored targets**: some positions have no right answer (padding, words that were not hidden).
#   Their target is −100. They are left out, and N counts the rest.

# %%


def cross_entropy(z, y, weight=None, ignore=-100, smoothing=0.0):
    """Loss and its derivative by the logits z (N, C), for classes y (N,)."""
    C, counted = z.shape[1], y != ignore
    y = y[counted]
    weight = np.ones(C) if weight is None else weight
    t = ((1 - smoothing) * np.eye(C)[y] + smoothing / C) * weight  # (n, C)
    total = weight[y].sum()
    gradient = np.zeros_like(z)
    if not counted.any():
        return 0.0, gradient  # nothing to learn from: 0 and not 0/0
    log_p = log_softmax(z[counted])
    loss = -(t * log_p).sum() / total
    gradient[counted] = (t.sum(axis=1, keepdims=True) * np.exp(log_p) - t) / total
    return loss, gradient


# %% [markdown]
# ## The library does the same
#
# In all eight combinations of the three wishes, for the value and the derivative. The derivative
# also has to pass the check of lesson 02.

# %%
rng = np.random.default_rng(0)
z, y = 5 * rng.standard_normal((6, 4)), np.array([0, 3, -100, 1, -100, 2])
weight = np.array([1.0, 2.0, 0.5, 3.0])
worst = 0.0
for w in (None, weight):
    for smoothing in (0.0, 0.1):
        for targets in (y, np.abs(y) % 4):  # the second one ignores nothing
            loss, gradient = cross_entropy(z, targets, w, smoothing=smoothing)
            tensor = mf.Tensor(z, requires_grad=True)
            theirs = F.cross_entropy(tensor, targets, weight=w, label_smoothing=smoothing)
            theirs.backward()
            worst = max(worst, abs(loss - theirs.item()),
                        np.abs(gradient - tensor.grad.numpy()).max())  # fmt: skip
print(f"largest difference from minift's cross_entropy: {worst:.0e}")
assert worst < 1e-12


@mf.op
def ours(z):
    loss, gradient = cross_entropy(z, y, weight, smoothing=0.1)
    return np.asarray(loss), (lambda g: g * gradient,)


assert mf.gradcheck(ours, mf.Tensor(z, requires_grad=True))
assert cross_entropy(1e4 * z, y)[0] < math.inf
assert cross_entropy(z, np.full(6, -100))[0] == 0

# %% [markdown]
# ## One softmax too many
#
# > **Erratum E04.** One article ends its model in "a fully connected layer and a softmax layer" and
# > then trains it with the cross-entropy of its framework. But that function takes logits and has
# > its own softmax inside. So softmax is applied twice: the inner one can say at most 1 for the
# > right class and at least 0 for the others, and the outer one makes of that at most e / (e + C −
# > 1). The loss can never go below **log(1 + (C − 1)/e)**, which is 0.3133 for two classes and
# > 1.4612 for ten. A model's output should be logits; softmax is for reporting probabilities.
# > (**Erratum E05**: the formula is printed as a sum over examples, with a *p* that falls from the
# > sky. It should be the mean, and *p* = softmax(*z*). **Erratum E57**: another article takes the
# > squared error between the outputs and the *numbers* of the classes, as if class 5 were five
# > times class 1.)
#
# We train the same model twice on 1,297 handwritten digits of 8 × 8 pixels: ten classes, one matrix
# and a bias, 1,000 steps downhill. Only the loss differs.

# %%
digits = mf.data.load_digits()
X, labels = digits.train[0].reshape(-1, 64), digits.train[1]
X_test, labels_test = digits.test[0].reshape(-1, 64), digits.test[1]


def train(loss_of, steps=1000, rate=0.5):
    """The loss after each step, and the accuracy on the 500 digits of the test."""
    W = mf.zeros((64, 10), requires_grad=True)
    b = mf.zeros(10, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = loss_of(X @ W + b)
        losses.append(loss.item())
        for parameter, g in zip((W, b), mf.grad(loss, [W, b])):
            parameter.data = parameter.data - rate * g.data
    predicted = (X_test @ W + b).numpy().argmax(axis=1)
    return losses, mf.metrics.accuracy(labels_test, predicted)


once, accuracy = train(lambda z: F.cross_entropy(z, labels))
twice, accuracy_twice = train(lambda z: F.cross_entropy(F.softmax(z), labels))
print(f"logits:               loss {once[-1]:.4f}, test accuracy {accuracy:.3f}")
print(f"softmax of a softmax: loss {twice[-1]:.4f}, test accuracy {accuracy_twice:.3f}")

# %% [markdown]
# The accuracy suffers by three points, and nobody would suspect a bug behind an accuracy of 0.948:
# the largest probability is still the largest after a second softmax. This is why the mistake
# survives. The loss tells at once, if you know where its floor is. Here is the floor, measured with
# logits so large that the model is as sure as it can be. (The unit of a loss is the *nat*, because
# the logarithm is the natural one.)

# %%
sure = 1000.0 * np.eye(10)
measured = F.cross_entropy(F.softmax(mf.Tensor(sure)), np.arange(10)).item()
formula = math.log(1 + 9 / math.e)
print(f"floor: measured {measured:.7f}, by the formula {formula:.7f}")
assert abs(measured - formula) < 1e-6

figure, axes = learn.new_figure()
axes.plot(twice, color=learn.RED, label=f"softmax twice: {twice[-1]:.2f}")
axes.plot(once, color=learn.BLUE, label=f"from logits: {once[-1]:.2f}")
axes.axhline(formula, color=learn.GREY, linestyle="--", linewidth=1)
axes.text(
    1000, formula - 0.03, "floor of the second softmax: log(1 + 9/e) = 1.46", ha="right", va="top"
)
axes.set(xlabel="step of training", ylabel="loss (nats)", ylim=(0, 2.5), xlim=(0, 1000))
axes.set_title("With a softmax too many, the loss has a floor")
axes.legend(frameon=False, loc="upper right")
learn.picture(figure, "05_losses_from_logits")

# %% [markdown]
# ## Exercise (fix the bug)
#
# `lessons/exercises/ex05.py` shows a cross-entropy with its derivative, written by the book. It has
# five bugs: three are named in this lesson, two are slips that anybody makes. Mend it, and check it
# with `minift learn check 5`.

# %%
learn.result(
    lesson=5,
    metric="training loss on digits, in nats",
    value=once[-1],
    baseline=twice[-1],
    against="with a second softmax",
    passed=once[-1] < 0.3 and twice[-1] > formula,
    also={"floor of the second softmax": measured, "accuracy": accuracy},
)
