# %% [markdown]
# # Lesson 06: Five optimizers, five formulas
#
# - **You build:** SGD, momentum, RMSProp, Adam and AdamW, gradient clipping, and a learning rate
#   that warms up and decays
# - **You need:** lessons 03 and 05; the digits that ship
# - **Time:** 40 minutes to read, 8 seconds to run
# - **Exercise:** predict before you run
#
# We have the gradient, so we know which way is downhill. How far do we go? That is all an optimizer
# decides. Five answers are in use, and each is two or three lines long.
#
# > **Erratum E06.** One article says "use SGD or other algorithms such as Adam or RMSProp" and
# > prints one formula for all of them: θ ← θ − η ∇L(θ). That is gradient descent on all the data at
# > once, and none of the three. SGD takes the gradient of a small random batch; RMSProp and Adam
# > divide by its typical size, each weight by its own. The five formulas below are the right ones.

# %% [markdown]
# ## The formulas
#
# θ is a weight, *g* its gradient on the current batch, η (eta) the *learning rate*. Each weight may
# have a memory, which starts at 0.
#
# | | memory | step |
# |--|--|--|
# | **SGD** | | θ ← θ − η *g* |
# | **momentum** | *b* ← μ *b* + *g* | θ ← θ − η *b* |
# | **RMSProp** | *v* ← α *v* + (1 − α) *g*² | θ ← θ − η *g* / (√*v* + ε) |
# | **Adam** | *m* ← β₁*m* + (1−β₁)*g*, *v* ← β₂*v* + (1−β₂)*g*² | θ ← θ − η *m̂* / (√*v̂* + ε) |
# | **AdamW** | as Adam | first θ ← θ − η λ θ, then Adam |
#
# *Momentum* adds up old gradients, each weaker by the factor μ than the one after it: a ball that
# rolls. *RMSProp* keeps a running mean of *g*² and divides by its root: a weight whose gradients
# are always small takes steps as large as the others. *Adam* does both. Because its memories start
# at 0, they are too small at first; step *t* repairs it by *m̂* = *m* / (1 − β₁ᵗ) and *v̂* = *v* /
# (1 − β₂ᵗ), the *bias correction*. *AdamW* pulls every weight towards 0 by the share η λ in each
# step (*weight decay*). ε = 10⁻⁸ avoids a division by 0.

# %%
import numpy as np

import minift as mf
from minift import functional as F
from minift import learn


def sgd(w, g, memory, t, lr):
    w -= lr * g


def momentum(w, g, memory, t, lr, mu=0.9):
    b = memory["b"] = mu * memory.get("b", 0) + g
    w -= lr * b


def rmsprop(w, g, memory, t, lr, alpha=0.99, eps=1e-8):
    v = memory["v"] = alpha * memory.get("v", 0) + (1 - alpha) * g * g
    w -= lr * g / (np.sqrt(v) + eps)


def adam(w, g, memory, t, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    m = memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
    v = memory["v"] = beta2 * memory.get("v", 0) + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)  # t counts from 1
    w -= lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw(w, g, memory, t, lr, decay=0.01):
    w -= lr * decay * w
    adam(w, g, memory, t, lr)


# %% [markdown]
# ## The library does the same
#
# A valley that is 25 times steeper in one direction than in the other: *f*(*w*) = ½ (*w*₁² + 25
# *w*₂²). We walk 200 steps with each formula, and with `minift.optim`. The two paths must be the
# same, number by number.

# %%
steepness = np.array([1.0, 25.0])
start = np.array([-4.0, 1.5])


def our_path(rule, lr, steps=200):
    w, memory, path = start.copy(), {}, [start.copy()]
    for t in range(1, steps + 1):
        rule(w, steepness * w, memory, t, lr)
        path.append(w.copy())
    return np.array(path)


def library_path(make, steps=200):
    w = mf.Tensor(start.copy(), requires_grad=True)
    optimizer, path = make([w]), [start.copy()]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * steepness * w * w).sum().backward()
        optimizer.step()
        path.append(w.numpy().copy())
    return np.array(path)


rules = {
    "SGD": (sgd, 0.03, lambda p: mf.optim.SGD(p, lr=0.03)),
    "momentum": (momentum, 0.01, lambda p: mf.optim.SGD(p, lr=0.01, momentum=0.9)),
    "RMSProp": (rmsprop, 0.05, lambda p: mf.optim.RMSprop(p, lr=0.05)),
    "Adam": (adam, 0.2, lambda p: mf.optim.Adam(p, lr=0.2)),
    "AdamW": (adamw, 0.2, lambda p: mf.optim.AdamW(p, lr=0.2)),
}
paths = {name: our_path(rule, lr) for name, (rule, lr, _) in rules.items()}
worst = max(np.abs(paths[name] - library_path(make)).max() for name, (*_, make) in rules.items())
print(f"largest difference from minift.optim in 200 steps of five rules: {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# ## What Adam does with the size of a gradient
#
# In the first step *m̂* = *g* and *v̂* = *g*², so the step is η *g* / |*g*|: **η, whatever the size
# of the gradient**. So a learning rate of Adam says how far a weight may move in one step. A
# hundred steps at 2 · 10⁻⁵ move it by about 0.002 at most: remember this when a new layer will not
# learn (lesson 17). But Adam is no cure for gradients that explode, whatever one article says
# (erratum E87): one huge *g* stays in *v* for a thousand steps, and for so long the weight hardly
# moves. Therefore the gradients of all weights together are shortened to a largest length first.
# This is *clipping*.

# %%
for size in (1e-3, 1.0, 1e3):
    w = np.array([1.0])
    adam(w, np.array([size]), {}, t=1, lr=0.1)
    print(f"gradient {size:6g}: the first step of Adam is {1 - w[0]:.4f}")


def clip(gradients, longest):
    """Scale all gradients by one factor, so that their joint length is at most `longest`."""
    length = np.sqrt(sum((g * g).sum() for g in gradients))
    return [g * min(1.0, longest / length) for g in gradients]


a, b = mf.zeros(2, requires_grad=True), mf.zeros(1, requires_grad=True)
(a @ np.array([3.0, 4.0], np.float32) + b * 12.0).sum().backward()  # joint length 13
ours = clip([a.grad.numpy(), b.grad.numpy()], longest=1.0)
mf.optim.clip_grad_norm_([a, b], 1.0)
assert np.allclose(ours[0], a.grad.numpy())
assert np.allclose(ours[1], b.grad.numpy())

# %% [markdown]
# ## A rate that changes
#
# Large steps get near the goal fast, small steps get into it. So the rate falls during training,
# most simply on a straight line to 0. And it rises first, for some *warm-up* steps: Adam's memory
# of *g*² is still guesswork then. A schedule is a pure function of the step; nothing is stored.

# %%


def linear(step, total, warmup=0):
    """Factor of the rate for a step, counted from 0."""
    rise = min(1.0, (step + 1) / (warmup + 1))
    return rise * min(1.0, (total - step) / (total - warmup))


for warmup in (0, 10):
    ours = [linear(step, 100, warmup) for step in range(100)]
    assert np.allclose(ours, [mf.optim.schedules.linear(s, 100, warmup) for s in range(100)])

# %% [markdown]
# ## The picture
#
# The first 60 steps of four rules in the valley, seen from above; the lines join places of equal
# height. SGD's rate is limited by the steep direction, so it creeps along the flat one. Momentum
# swings, RMSProp and Adam walk nearly straight, as if both directions were equally steep.

# %%
figure, axes = learn.new_figure(height=4.2)
x, y = np.meshgrid(np.linspace(-4.6, 2.2, 200), np.linspace(-1.9, 2.3, 200))
axes.contour(x, y, x**2 + 25 * y**2, levels=np.logspace(-1, 2.2, 9), colors="#CCCCCC",
             linewidths=0.8)  # fmt: skip
looks = {"SGD": (learn.BLACK, "o"), "momentum": (learn.ORANGE, "s"),
         "RMSProp": (learn.SKY, "v"), "Adam": (learn.BLUE, "^")}  # fmt: skip
for name, (color, mark) in looks.items():
    path = paths[name][:61]
    axes.plot(
        *path.T, marker=mark, ms=3, lw=1.2, color=color, label=f"{name}, η = {rules[name][1]}"
    )
axes.plot(0, 0, "*", ms=15, color=learn.RED)
axes.set(xlabel="weight 1 (flat direction)", ylabel="weight 2 (steep direction)")
axes.set_title("In a steep valley SGD creeps, momentum swings, Adam turns in")
axes.legend(frameon=False, loc="upper right")
learn.picture(figure, "06_five_optimizers")

# %% [markdown]
# ## Which one is best? An honest race
#
# A race is honest only if every rule may choose its own learning rate. A small network learns the
# digits for 400 batches of 32; each rule tries five rates, and we keep the rate with the lowest
# loss on digits that were set aside from training.

# %%
digits = mf.data.load_digits()
images, labels = digits.train[0].reshape(-1, 64), digits.train[1]
held_images, held_labels = images[1000:], labels[1000:]


def race(make, lr, batches=400):
    """Loss on the 297 images that were set aside."""
    mf.manual_seed(0)
    net = mf.nn.Sequential(mf.nn.Linear(64, 32), mf.nn.Tanh(), mf.nn.Linear(32, 10))
    optimizer, rng = make(net.parameters(), lr), np.random.default_rng(0)
    for step in range(batches):
        rows = rng.integers(0, 1000, 32)
        optimizer.param_groups[0]["lr"] = lr * linear(step, batches)
        optimizer.zero_grad()
        F.cross_entropy(net(mf.Tensor(images[rows])), labels[rows]).backward()
        optimizer.step()
    return F.cross_entropy(net(mf.Tensor(held_images)), held_labels).item()


racers = {
    "SGD": (mf.optim.SGD, [0.03, 0.1, 0.3, 1.0, 3.0]),
    "momentum": (lambda p, lr: mf.optim.SGD(p, lr, momentum=0.9), [0.01, 0.03, 0.1, 0.3, 1.0]),
    "RMSProp": (mf.optim.RMSprop, [1e-3, 3e-3, 1e-2, 3e-2, 0.1]),
    "Adam": (mf.optim.Adam, [1e-3, 3e-3, 1e-2, 3e-2, 0.1]),
    "AdamW": (mf.optim.AdamW, [1e-3, 3e-3, 1e-2, 3e-2, 0.1]),
}
best = {}
for name, (make, rates) in racers.items():
    losses = [race(make, lr) for lr in rates]
    best[name] = min(losses)
    print(f"{name:9} " + "  ".join(f"η={lr:<5g} {loss:.3f}" for lr, loss in zip(rates, losses)))

# %% [markdown]
# Each with its best rate, the rules are close together on this small task, and momentum is ahead by
# a hair (with one seed, a difference of 0.02 is not to be trusted). A wrong rate costs far more
# than the wrong rule. Adam's rates, 0.01 to 0.1, all do well, while SGD loses everything one step
# to the right of its best rate. That, and deep networks whose layers have gradients of very
# different sizes, is why Adam is what people reach for.
#
# ## Exercise (predict before you run)
#
# `lessons/exercises/ex06.py` asks where a weight stands after one or a few steps. One question is
# about a mistake in an article (erratum E68): it makes a *new* Adam for every batch. Predict first,
# then `minift learn check 6`.

# %%
learn.result(
    lesson=6,
    metric="loss on held-out digits, Adam at its best rate",
    value=best["Adam"],
    baseline=best["SGD"],
    against="plain SGD at its best rate",
    passed=worst < 1e-12,
    also={"largest difference from the library": worst, "best of all": min(best.values())},
)
