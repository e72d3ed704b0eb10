# %% [markdown]
# # Lesson 04: Layers, names and starts
#
# - **You build:** modules that find their own weights and name them; `Linear`, `LayerNorm`,
#   `Dropout`; and weights that start at the right size
# - **You need:** lesson 03 (tensors), and what a standard deviation is; nothing but what ships
# - **Time:** 40 minutes to read, 2 seconds to run
# - **Exercise:** implement it
#
# BERT has 199 arrays of weights. Three questions come up at once. How does the training loop find
# them all? What are they called, so that a file can hold them and a user can say "freeze layer 3"?
# And which numbers do they start from? The third sounds harmless, and decides whether a deep
# network learns at all.

# %% [markdown]
# ## A tree of modules
#
# A *parameter* is a tensor that is to be trained. A *module* is any object that has parameters, or
# other modules, as its attributes. So a model is a tree, and Python already knows it:
# `vars(module)` is the dictionary of an object's attributes, in the order in which they were
# assigned. We walk that tree. The *path* to a parameter, such as `layers.0.weight`, is its name.
#
# Why the order matters: an optimizer keeps a memory for each parameter, and a file lists them. If
# we gathered them in a Python `set`, the order could change from run to run.

# %%
import math

import numpy as np

import minift as mf
from minift import learn


class Parameter(mf.Tensor):
    """A tensor that is trained."""

    def __init__(self, data):
        super().__init__(data, requires_grad=True)


class Module:
    """An object whose parameters are found by walking its attributes."""

    training = True

    def __call__(self, x):
        return self.forward(x)

    def named_parameters(self):
        return [(path, v) for path, v in walk(self) if isinstance(v, Parameter)]

    def train(self, mode=True):
        """Training or evaluation, for this module and all below it."""
        for _, value in walk(self):
            if isinstance(value, Module):
                value.training = mode
        return self


def walk(value, path=""):
    """(path, value) of a module and of everything below it."""
    yield path, value
    if isinstance(value, Module):
        members = vars(value).items()
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return
    for name, member in members:
        yield from walk(member, f"{path}.{name}" if path else str(name))


# %% [markdown]
# ## Three layers
#
# * `Linear` computes *x* Wᵀ + *b*. Its weight W has one row for each output and one column for each
#   input, (out, in), as in PyTorch; hence the transpose.
# * `LayerNorm` brings each example to mean 0 and standard deviation 1 over its last axis, then
#   scales and shifts: *y* = (*x* − mean) / √(variance + ε) · weight + bias. The small ε avoids a
#   division by 0.
# * `Dropout` sets each number to 0 with probability *p*, so that no unit may rely on another one,
#   and divides the rest by 1 − *p*, so that the mean stays. It acts in **training only**. This is
#   why a module must know its mode, and why forgetting `eval()` spoils a test.

# %%
rng = np.random.default_rng(0)


class Linear(Module):
    def __init__(self, n_in, n_out, scale=1.0):
        self.weight = Parameter(scale * rng.standard_normal((n_out, n_in)))
        self.bias = Parameter(np.zeros(n_out))

    def forward(self, x):
        return x @ self.weight.transpose() + self.bias


class LayerNorm(Module):
    def __init__(self, size):
        self.weight = Parameter(np.ones(size))
        self.bias = Parameter(np.zeros(size))

    def forward(self, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return centred / (variance + 1e-5).sqrt() * self.weight + self.bias


class Dropout(Module):
    def __init__(self, p):
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        kept = rng.random(x.shape) >= self.p
        return x * mf.Tensor(kept / (1 - self.p))


# %% [markdown]
# ## The library does the same
#
# The same tree built from `minift.nn` must have the same names, and with the same weights the same
# outputs. Dropout is random, so we compare what is promised: what is kept is divided by 1 − *p*,
# and in evaluation nothing happens.

# %%


def build(base, linear, norm, dropout):
    """One and the same network out of our modules, or out of the library's."""

    class Network(base):
        def __init__(self):
            self.layers = [linear(4, 8), linear(8, 3)]
            self.norm = norm(8)
            self.drop = dropout(0.25)

        def forward(self, x):
            return self.layers[1](self.drop(self.norm(self.layers[0](x)).tanh()))

    return Network()


ours = build(Module, Linear, LayerNorm, Dropout)
theirs = build(mf.nn.Module, mf.nn.Linear, mf.nn.LayerNorm, mf.nn.Dropout)
names = [name for name, _ in ours.named_parameters()]
print(names)
assert names == [name for name, _ in theirs.named_parameters()]

theirs.load_state_dict(dict(ours.named_parameters()))
x = mf.Tensor(rng.standard_normal((5, 4)).astype(np.float32))
difference = np.abs(ours.train(False)(x).numpy() - theirs.eval()(x).numpy()).max()
print(f"largest difference of the outputs: {difference:.0e}")
assert difference < 1e-5

ones = mf.ones((1000, 100))
for layer in (Dropout(0.25), mf.nn.Dropout(0.25)):
    dropped = layer.train()(ones).numpy()
    assert np.allclose(np.unique(dropped), [0, 4 / 3])
    assert abs(dropped.mean() - 1) < 0.01
    layer.training = False
    assert (layer(ones).numpy() == 1).all()

# %% [markdown]
# ## How large should weights be at the start?
#
# Take a unit with *n* inputs, each of standard deviation 1, and weights of standard deviation *s*,
# all independent. The unit's sum has *n* terms of variance *s*², so its standard deviation is
#
# $$\sqrt{n}\; s.$$
#
# With *s* = 1 and *n* = 100 that is 10. Then tanh gets numbers like ±10 and answers ±1, always; its
# slope there is 1 − tanh² ≈ 0, and nothing flows back. With *s* = 1/√*n* the sum has standard
# deviation 1. That is the rule. One more thing: tanh makes numbers smaller, so after several layers
# they fade. A factor of 5/3 (the *gain* of tanh) makes up for it.
#
# > **Erratum E62.** One article draws all weights from N(0, 1), the normal distribution of standard
# > deviation 1, for any number of inputs. The first tanh is saturated then, and hardly a gradient
# > comes through. The standard deviation must be about 1/√(number of inputs).
#
# We send 1,000 random examples through 8 layers of 100 units, and note for each layer the standard
# deviation of the sums that go **into** tanh (1 would be ideal), and the numbers that come out.

# %%


def through_layers(start, normalise=False, layers=8, width=100):
    """Standard deviations of the sums, and what tanh makes of them, layer by layer."""
    x = mf.Tensor(np.random.default_rng(1).standard_normal((1000, width)))
    spreads, outputs = [], []
    for _ in range(layers):
        sums = start(width)(x)
        sums = LayerNorm(width)(sums) if normalise else sums
        x = sums.tanh()
        spreads.append(sums.numpy().std())
        outputs.append(x.numpy().ravel())
    return np.array(spreads), outputs


starts = {
    "N(0, 1), as in the article": lambda n: Linear(n, n, scale=1.0),
    "1/√n": lambda n: Linear(n, n, scale=1 / math.sqrt(n)),
    "gain 5/3: (5/3)/√n": lambda n: Linear(n, n, scale=5 / 3 / math.sqrt(n)),
    "library's default": lambda n: mf.nn.Linear(n, n),
}
mf.manual_seed(0)
found = {name: through_layers(start) for name, start in starts.items()}
for name, (spreads, outputs) in found.items():
    stuck = np.mean(np.abs(outputs[-1]) > 0.99)
    print(f"{name:27} layer 1: {spreads[0]:6.3f}   layer 8: {spreads[-1]:6.3f}   "
          f"units stuck at ±1: {stuck:4.0%}")  # fmt: skip
normalised, _ = through_layers(starts["N(0, 1), as in the article"], normalise=True)
print(
    f"{'N(0, 1) and a LayerNorm':27} layer 1: {normalised[0]:6.3f}   layer 8: {normalised[-1]:6.3f}"
)

# %% [markdown]
# The library's default is PyTorch's: uniform between ±1/√*n*, whose standard deviation is only
# 1/√(3*n*). So the numbers fade; after eight layers little is left. And a `LayerNorm` puts the
# spread right wherever the weights started. That is one reason why every Transformer has them.
#
# In the picture, each layer has a little histogram of what its 100 units answer to 1,000 examples.

# %%
figure, axes = learn.new_figure(columns=2, height=4.2)
shown = ["N(0, 1), as in the article", "gain 5/3: (5/3)/√n"]
titles = ["weights ~ N(0, 1): stuck at ±1", "weights ~ N(0, (5/3)²/n): alive"]
for axis, name, title, color in zip(axes, shown, titles, (learn.RED, learn.BLUE)):
    for layer, outputs in enumerate(found[name][1], 1):
        counts, edges = np.histogram(outputs, bins=50, range=(-1, 1))
        height = 0.85 * counts / counts.max()
        axis.stairs(height - layer, edges, baseline=-layer, fill=True, color=color)
        axis.axhline(-layer, color=color, linewidth=0.8)
    axis.set_yticks(range(-8, 0), range(8, 0, -1))
    axis.set(xlabel="output of tanh", title=title, ylim=(-8.3, 0))
axes[0].set(ylabel="layer")
learn.picture(figure, "04_layers_names_and_starts")

# %% [markdown]
# ## Exercise (implement it)
#
# Our `walk` has a gap: a weight that stands in two places (an embedding that also serves as the
# last layer, lesson 14) is listed twice, and would be updated twice in each step.
# `lessons/exercises/ex04.py` asks for a `named_parameters` that lists it once, looks into
# dictionaries too, and always keeps the order. Check it with `minift learn check 4`.

# %%


def farthest_from_1(spreads):
    return max(spreads.max(), 1 / spreads.min())


ours_worst = farthest_from_1(found["gain 5/3: (5/3)/√n"][0])
theirs_worst = farthest_from_1(found["N(0, 1), as in the article"][0])
learn.result(
    lesson=4,
    metric="farthest that the spread leaves 1 in 8 layers, as a factor",
    value=ours_worst,
    baseline=theirs_worst,
    against="weights from N(0, 1)",
    passed=ours_worst <= 2 < theirs_worst,
)
