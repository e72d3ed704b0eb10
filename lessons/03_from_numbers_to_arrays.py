# %% [markdown]
# # Lesson 03: From numbers to arrays
#
# - **You build:** a tensor with automatic differentiation: sums, products, matrix products,
#   look-ups
# - **You need:** lesson 01, and matrices; nothing but what ships
# - **Time:** 40 minutes to read, 4 seconds to run
# - **Exercise:** predict before you run
#
# A `Value` of lesson 01 holds one number. A small network for 100 examples makes tens of thousands
# of them, and Python needs about a microsecond for each step. The remedy: let one object hold a
# whole array. The walk back stays as it is, line by line. Only the local derivatives change, and
# three of them are new: undoing a *broadcast*, the *matrix product*, and the *look-up*.

# %% [markdown]
# ## The gradient has the shape of its tensor
#
# Write *g* for the derivative of the loss by a tensor. It is an array of the same shape: one slope
# for each number. In lesson 01 a parent's share was *g* times a local derivative. For arrays we
# note down a **function** that takes the *g* of the result and returns the *g* of the parent.
#
# *Broadcasting* is NumPy's habit of stretching: if *x* has the shape (5, 3) and *b* the shape (3,),
# then *x* + *b* adds *b* to each of the five rows. So each number of *b* is used five times, and
# lesson 01 told us what to do then: **add the contributions**. `unbroadcast` sums *g* over all axes
# along which the tensor was stretched.

# %%
import itertools
import math
import time

import numpy as np

import minift as mf
from minift import learn

clock = itertools.count()


def unbroadcast(g, shape):
    """Sum g over the axes along which an array of this shape was stretched to g's."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))  # axes that were put in front
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return g.sum(axis=stretched, keepdims=True)


# %% [markdown]
# ## The tensor
#
# The *matrix product* *Y* = *A B* has two derivatives worth remembering, because the shapes leave
# no choice: with *A* of (n, k) and *B* of (k, m), *g* is (n, m), and
#
# $$g_A = g\,B^T \quad (n, k), \qquad\qquad g_B = A^T g \quad (k, m).$$
#
# Axes before the last two are a *batch* of matrices; they may be broadcast, too.
#
# A *look-up* `x[ids]` picks rows of *x*. On the way back each picked row's *g* goes to where it
# came from. A row that was picked twice gets two contributions, and again they are added. In NumPy
# `G[ids] += g` would lose all but one of them; `np.add.at(G, ids, g)` adds all. (Adding into places
# that an array of indices names is called *scatter-add*.)

# %%


class Tensor:
    """An array that remembers how it was made."""

    def __init__(self, data, parents=()):
        self.data = np.asarray(data, dtype=np.float64)
        self.parents = parents  # pairs (parent, function from our g to the parent's)
        self.order = next(clock)

    def __add__(self, other):
        a, b = self.data, other.data
        return Tensor(a + b, ((self, lambda g: unbroadcast(g, a.shape)),
                              (other, lambda g: unbroadcast(g, b.shape))))  # fmt: skip

    def __sub__(self, other):
        return self + other * Tensor(-1.0)

    def __mul__(self, other):
        a, b = self.data, other.data
        return Tensor(a * b, ((self, lambda g: unbroadcast(g * b, a.shape)),
                              (other, lambda g: unbroadcast(g * a, b.shape))))  # fmt: skip

    def __matmul__(self, other):
        a, b = self.data, other.data
        return Tensor(a @ b, ((self, lambda g: unbroadcast(g @ b.swapaxes(-1, -2), a.shape)),
                              (other, lambda g: unbroadcast(a.swapaxes(-1, -2) @ g, b.shape))),
                      )  # fmt: skip

    def __getitem__(self, ids):
        def scatter_add(g):
            full = np.zeros_like(self.data)
            np.add.at(full, ids, g)
            return full

        return Tensor(self.data[ids], ((self, scatter_add),))

    def tanh(self):
        y = np.tanh(self.data)
        return Tensor(y, ((self, lambda g: g * (1 - y * y)),))

    def mean(self):
        x = self.data
        return Tensor(x.mean(), ((self, lambda g: np.full(x.shape, g / x.size)),))


def gradients(out):
    """d out / d t for every tensor t that out was made from: lesson 01, with arrays."""
    found, seen, stack = {out: 0 * out.data + 1}, set(), [out]  # ones, of the shape of out
    while stack:
        tensor = stack.pop()
        if tensor not in seen:
            seen.add(tensor)
            stack.extend(parent for parent, _ in tensor.parents)
    for tensor in sorted(seen, key=lambda t: t.order, reverse=True):
        for parent, to_parent in tensor.parents:
            g = to_parent(found[tensor])
            found[parent] = found[parent] + g if parent in found else g
    return found


# %% [markdown]
# ## The library does the same
#
# A chain with everything in it: a batch of two matrices times one matrix, a bias that is stretched,
# and a look-up that picks row 0 twice. `minift.Tensor` must give the same gradients.

# %%
rng = np.random.default_rng(0)
shapes = {"A": (2, 3, 4), "B": (4, 5), "bias": (5,), "column": (3, 1)}
arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def chain(A, B, bias, column):
    y = (A @ B + bias) * column
    return (y.tanh()[[0, 1, 0]] * y[[0, 1, 0]]).mean()


ours = {name: Tensor(array) for name, array in arrays.items()}
theirs = {name: mf.Tensor(array, requires_grad=True) for name, array in arrays.items()}
slopes = gradients(chain(**ours))
chain(**theirs).backward()
for name in shapes:
    g = slopes[ours[name]]
    assert g.shape == shapes[name]
    assert np.allclose(g, theirs[name].grad.numpy(), rtol=1e-12, atol=1e-15)
    print(f"{name:6} {g.shape!s:9} largest difference from minift.Tensor:",
          f"{np.abs(g - theirs[name].grad.numpy()).max():.0e}")  # fmt: skip

# %% [markdown]
# > **Erratum E52.** Where one article's network needs a bias, it adds `np.zeros(...)`: a constant,
# > which is never trained. (The line before stops the program already, **erratum E51**: it
# > multiplies a matrix of shape (6, 3) with an input of shape (1,), whose inner sizes differ.) With
# > one example in each *row* of X, of shape (B, d), a layer is tanh(X W₁ + b₁), with W₁ of shape
# > (d, H) and b₁ of shape (H,). The gradient of b₁ is a sum over the B rows: `unbroadcast` does it.
#
# ## A network that learns
#
# Now we have all that a small network needs. The data are Fisher's 150 irises: four lengths of each
# flower, and which of three species it is. The network has 16 hidden units. Its three outputs
# should be 1 for the right species and 0 for the others; the loss is the mean squared error.
# (Lesson 05 has a better one.) To test on every flower, we split the data into five parts and train
# five times, each time on four parts; the flowers of the fifth part are then new to the network.
#
# The honest baseline is the *nearest neighbour*. It learns nothing: it answers with the species of
# the training flower that is most alike.

# %%
table = mf.data.read_csv(learn.DATA / "iris.csv")
X = np.array([table[name] for name in table.names[:4]], dtype=float).T  # (150, 4)
y = np.unique(table["species"], return_inverse=True)[1]  # (150,): 0, 1 or 2


def network(x, W1, b1, W2, b2):
    return (x @ W1 + b1).tanh() @ W2 + b2


def train(X, wanted, steps=1000, rate=0.5):
    """Weights after so many steps downhill on the mean squared error."""
    rng = np.random.default_rng(0)
    W1, W2 = 0.5 * rng.standard_normal((4, 16)), 0.5 * rng.standard_normal((16, 3))
    weights = [Tensor(start) for start in (W1, np.zeros(16), W2, np.zeros(3))]
    for _ in range(steps):
        error = network(Tensor(X), *weights) - Tensor(wanted)
        slopes = gradients((error * error).mean())
        for w in weights:
            w.data = w.data - rate * slopes[w]  # one step downhill
    return weights


right, neighbour_right = np.zeros(150, bool), np.zeros(150, bool)
for part, test in mf.data.k_folds(150, 5, seed=0, stratify=y):
    mean, std = X[part].mean(axis=0), X[part].std(axis=0)
    known, new = (X[part] - mean) / std, (X[test] - mean) / std
    weights = train(known, np.eye(3)[y[part]])  # wanted: a 1 for the right species
    right[test] = network(Tensor(new), *weights).data.argmax(axis=1) == y[test]
    nearest = ((new[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)  # (30,)
    neighbour_right[test] = y[part][nearest] == y[test]

accuracy, baseline = right.mean(), neighbour_right.mean()
low, high = mf.metrics.bootstrap_interval(right)
print(f"test accuracy {accuracy:.3f} ({low:.3f} to {high:.3f}), nearest neighbour {baseline:.3f}")

# %% [markdown]
# ## What arrays buy
#
# How long does one pass take, forward and back, with single numbers and with arrays? Below is the
# `Value` of lesson 01 with just what this network needs.

# %%


class Value:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.order = data, parents, next(clock)

    def __add__(self, other):
        return Value(self.data + other.data, ((self, lambda g: g), (other, lambda g: g)))

    def __mul__(self, other):
        a, b = self.data, other.data
        return Value(a * b, ((self, lambda g: g * b), (other, lambda g: g * a)))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, ((self, lambda g: g * (1 - y * y)),))


numbers = np.vectorize(Value, otypes=[object])  # an array of Values: each remembers for itself


def pass_with_numbers(x, target):
    W1, b1, W2, b2 = [numbers(w.data) for w in weights]
    error = np.vectorize(Value.tanh)(numbers(x) @ W1 + b1) @ W2 + b2 + numbers(-target)
    return gradients((error * error).sum())


def pass_with_arrays(x, target):
    error = network(Tensor(x), *weights) - Tensor(target)
    return gradients((error * error).mean())


def seconds(one_pass, n, repeats):
    """The shortest of several runs: the others were disturbed."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        one_pass(X[:n], np.eye(3)[y[:n]])
        times.append(time.perf_counter() - begun)
    return min(times)


rows = [1, 3, 10, 30, 100]
slow = [seconds(pass_with_numbers, n, repeats=2) for n in rows]
fast = [seconds(pass_with_arrays, n, repeats=20) for n in rows]
gain = slow[-1] / fast[-1]
print(f"100 rows: {1000 * slow[-1]:.0f} ms with numbers, {1000 * fast[-1]:.2f} ms with arrays")

figure, axes = learn.new_figure()
axes.loglog(rows, slow, "s-", color=learn.RED, label="single numbers (lesson 01)")
axes.loglog(rows, fast, "o-", color=learn.BLUE, label="arrays")
axes.annotate("", (100, slow[-1]), (100, fast[-1]), arrowprops={"arrowstyle": "<->"})
axes.text(92, math.sqrt(slow[-1] * fast[-1]), f"{gain:,.0f} times", ha="right", size=13)
axes.set_xticks(rows, [str(n) for n in rows])
axes.minorticks_off()
axes.set(xlabel="examples in one pass", ylabel="seconds, forward and back")
axes.set_title("An array costs little more than a single number")
axes.legend(frameon=False, loc="upper left")
learn.picture(figure, "03_from_numbers_to_arrays")

# %% [markdown]
# ## Exercise (predict before you run)
#
# `lessons/exercises/ex03.py` asks for seven gradients. Work them out on paper, write them down, and
# only then run `minift learn check 3`. It says which is wrong, and what to think about again.

# %%
learn.result(
    lesson=3,
    metric="test accuracy on iris, trained with our tensor",
    value=accuracy,
    baseline=baseline,
    against="nearest neighbour",
    interval=(low, high),
    passed=accuracy >= 0.93 and gain > 100,
    timing={"times faster than single numbers": gain},
)
