# %% [markdown]
# # Lesson 01: Numbers that remember
#
# - **You build:** a number that remembers how it was made, and the walk back that turns this memory
#   into derivatives
# - **You need:** Python, and what a derivative is; nothing but what ships
# - **Time:** 30 minutes to read, 2 seconds to run
# - **Exercise:** implement it
#
# Training a model means: compute one number that says how wrong the model is, the *loss*, and then
# change every weight a little so that the loss gets smaller. For that we must know, for each weight
# *w*, in which direction to change it and how much it matters. That is the derivative
#
# $$\frac{d\,\text{loss}}{dw} \approx \frac{\text{change of the loss}}{\text{small change of } w}.$$
#
# A model may have 100 million weights. Nobody writes 100 million derivatives by hand, and trying a
# small change of each weight would take 100 million runs. There is a better way, and it fits into
# 60 lines: *numbers that remember how they were made*.

# %% [markdown]
# ## A number with a memory
#
# A `Value` holds a number, and for each number that it was made from (a *parent*) the derivative of
# itself with respect to that parent. For one single operation on *a* and *b* this *local
# derivative* is school mathematics:
#
# | operation | derivative by *a* | derivative by *b* |
# |--|--|--|
# | *a* + *b* | 1 | 1 |
# | *a* − *b* | 1 | −1 |
# | *a* · *b* | *b* | *a* |
# | exp *a* | exp *a* | |
# | log *a* | 1 / *a* | |
#
# So `a * b` returns a new `Value` and notes down `((a, b.data), (b, a.data))`: two pairs (parent,
# local derivative). Each value also takes a number from a clock, `order`: first made, first
# counted. We need it below. The sign of the operation, `op`, is kept for the picture only.

# %%
import itertools
import math

import numpy as np

import minift as mf
from minift import learn

clock = itertools.count()


class Value:
    """A number that remembers how it was made."""

    def __init__(self, data, parents=(), op=""):
        self.data = float(data)
        self.parents = parents  # pairs (parent, d self / d parent)
        self.op = op  # the sign of the operation, for the picture
        self.order = next(clock)

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)), "+")

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)), "×")

    def __sub__(self, other):
        other = as_value(other)
        return Value(self.data - other.data, ((self, 1.0), (other, -1.0)), "−")


def as_value(x):  # so that a plain number may stand on the right: e * 2
    return x if isinstance(x, Value) else Value(x)


def exp(x):
    y = math.exp(x.data)
    return Value(y, ((x, y),), "exp")


def log(x):
    return Value(math.log(x.data), ((x, 1 / x.data),), "log")


# %% [markdown]
# Here is the smallest model that there is: one weight *w*, one bias *b*, and one example. The input
# is *x* = 2, the right answer is *y* = 1. The model says *wx* + *b*, its *output*. The error is
# *e* = output − *y*, and the loss is the squared error *e* · *e*.

# %%
w, x, b, y = Value(1.5), Value(2.0), Value(-1.0), Value(1.0)
output = w * x + b
e = output - y
loss = e * e
print(f"error {e.data}, loss {loss.data}")

# %% [markdown]
# ## The walk back
#
# The *chain rule* says how derivatives join. If a value *w* is used to make *p*, and *p* leads to
# the loss, then *w* reaches the loss through *p*:
#
# $$\frac{d\,\text{loss}}{dw} \;=\; \sum_{\text{uses of } w \text{, each to make some } p}
# \frac{d\,\text{loss}}{dp} \cdot \frac{dp}{dw}.$$
#
# The last factor is the local derivative that *p* noted down for this use. The sum matters. Above,
# `e` is used twice in `e * e`, so two contributions arrive at `e`, and they are **added**.
#
# One thing can go wrong: the *order*. We may pass on the derivative of `e` only when **all** its
# contributions have arrived. A value is always made later than its parents, so the numbers that we
# gave out already hold the right order: go from the newest value to the oldest. Whatever was made
# from `e` is newer than `e`, and had its turn before.
#
# The walk starts at the loss: d loss / d loss = 1. What has arrived so far is kept in a dictionary
# `found`, whose keys are the values themselves.

# %%


def gradients(out):
    """d out / d v for every value v that out was made from, as {v: derivative}."""
    found = {out: 1.0}  # d out / d out = 1
    for value in sorted(ancestors(out), key=lambda v: v.order, reverse=True):
        for parent, local in value.parents:
            found[parent] = found.get(parent, 0.0) + found[value] * local  # the chain rule
    return found


def ancestors(out):
    """All values that out was made from, and out itself. A loop: recursion would hit its limit."""
    seen, stack = set(), [out]
    while stack:
        value = stack.pop()
        if value not in seen:
            seen.add(value)
            stack.extend(parent for parent, _ in value.parents)
    return seen


slopes = gradients(loss)
print(f"d loss / dw = {slopes[w]}   (by hand: 2 e x = {2 * e.data * x.data})")
print(f"d loss / db = {slopes[b]}   (by hand: 2 e   = {2 * e.data})")
assert slopes[w] == 2 * e.data * x.data
assert slopes[b] == 2 * e.data

# %% [markdown]
# That is all of *back-propagation*, also called *automatic differentiation in reverse*. One walk
# back gives the derivatives by **all** weights, for about the price of computing the loss itself.
# All these derivatives together are called the *gradient* of the loss, written ∇.
#
# > **Erratum E78.** Training subtracts from each weight its derivative times a small step size η.
# > Articles on fine-tuning print this as "θ ← θ − η ∇L(y, ŷ)", where θ stands for all weights and
# > L(y, ŷ) for the loss of the answer y and the prediction ŷ. A gradient with respect to *what*? As
# > printed it is by the prediction, and the code of one article does just that: it changes the
# > weights by the derivative by the *output*. The picture below shows the difference: by the output
# > it is 2, by *w* it is 4. What is meant is the derivative by the weights, ∇_θ, of the mean loss
# > of |B| examples, a *batch* B: θ ← θ − η ∇_θ (1/|B|) Σ L(yᵢ, f(xᵢ; θ)). The sum goes over the
# > examples i of the batch, and f(xᵢ; θ) is what the model with the weights θ says to the input xᵢ.
#
# ## The picture
#
# Each box shows a value (above) and its slope (below), which is the derivative of the loss by this
# value. Blue boxes are what we put in. The red sign above a box is the operation that made it, and
# arrows point to it from its parents. Follow the slopes from right to left: a plus hands its slope
# on as it is; so does a minus, but with the other sign to what is subtracted; a times multiplies it
# by the other factor.

# %%
names = {w: "w", x: "x", b: "b", y: "y", output: "output", e: "e", loss: "loss"}
places = {w: (0, 3), x: (0, 2), b: (0, 1), y: (0, 0)}
for value in sorted(ancestors(loss), key=lambda v: v.order):
    if value.parents:
        above = [places[parent] for parent, _ in value.parents]
        places[value] = (max(px for px, _ in above) + 1, np.mean([py for _, py in above]))

figure, axes = learn.new_figure(width=8.2, height=3.6)
for value, (px, py) in places.items():
    name = f"{names[value]} = " if value in names else ""
    text = f"{name}{value.data:g}\nslope {slopes[value]:g}"
    color = "white" if value.parents else "#D6EAF8"
    box = {"boxstyle": "round,pad=0.45", "facecolor": color, "edgecolor": learn.BLUE}
    axes.text(px, py, text, ha="center", va="center", bbox=box, zorder=3)
    if value.parents:
        axes.text(px, py + 0.52, value.op, ha="center", fontsize=14, color=learn.RED)
    for i, (parent, _) in enumerate(value.parents):
        bend = (0.25 - 0.5 * i) if parent is e else 0.0  # e * e: two arrows
        arrow = {"arrowstyle": "-|>", "shrinkA": 39, "shrinkB": 39, "color": learn.GREY,
                 "connectionstyle": f"arc3,rad={bend}"}  # fmt: skip
        axes.annotate("", (px, py), places[parent], arrowprops=arrow)
axes.set(xlim=(-0.5, 4.5), ylim=(-0.5, 3.6))
axes.set_title("Values are computed from left to right, slopes from right to left")
axes.axis("off")
learn.picture(figure, "01_numbers_that_remember")

# %% [markdown]
# ## Is it right?
#
# Never believe a derivative that you have not checked. A derivative is the slope of a curve, so we
# can measure it: go a small step *h* to each side and see how much the result changes,
#
# $$\frac{f(a + h) - f(a - h)}{2h}.$$
#
# This is the *central difference*. It needs two runs for each single input, which is why nobody
# trains with it; but it knows nothing of our rules, which makes it an honest judge. The function
# below uses its inputs several times, at different depths.

# %%


def expression(a, b, c):
    d = a * b + c
    e = d * d + exp(a)
    return log(e) * d + e * b


def central_difference(point, i, h=1e-5):
    """How the expression changes with input i, by two runs."""
    there, back = list(point), list(point)
    there[i] += h
    back[i] -= h
    ends = [expression(*map(Value, p)).data for p in (there, back)]
    return (ends[0] - ends[1]) / (2 * h)


points = np.random.default_rng(0).uniform(-1, 1, (100, 3))
differences = np.array([[central_difference(p, i) for i in range(3)] for p in points])


def largest_error(method):
    """Of a method that differentiates, over all points and inputs."""
    found = []
    for point in points:
        inputs = [Value(number) for number in point]
        slopes = method(expression(*inputs))
        found.append([slopes[value] for value in inputs])
    return np.abs(np.array(found) - differences).max()


ours = largest_error(gradients)
print(f"largest difference from the central difference: {ours:.1e}")

# %% [markdown]
# ## The honest baseline: recursion
#
# The walk back looks simple enough to do without any order: give each parent its share, then let
# the parent do the same at once. Many people write this first, and it works as long as nothing is
# used twice. But if something is, it passes on its *first* contribution at once, and later the
# first again together with the second. In `b = a + a; c = b + b` the slope of *a* is 4; recursion
# says 6.

# %%


def recursion(out):
    found = {out: 1.0}

    def pass_on(value):
        for parent, local in value.parents:
            found[parent] = found.get(parent, 0.0) + found[value] * local
            pass_on(parent)  # too early: more contributions to this parent may follow

    pass_on(out)
    return found


a = Value(1.0)
b2 = a + a
c = b2 + b2
print(f"b = a + a; c = b + b: walk in order {gradients(c)[a]}, recursion {recursion(c)[a]}")
theirs = largest_error(recursion)
print(f"largest difference by recursion: {theirs:.3g}")
assert gradients(c)[a] == 4.0

# %% [markdown]
# ## The library does the same
#
# `minift.Tensor` is our `Value` with an array in place of a single number (lesson 03), and its walk
# back is the one above: nodes are numbered when they are made and visited from the newest to the
# oldest (`minift/autograd.py`). It remembers only where a derivative is asked for,
# `requires_grad=True`; `backward()` walks, and puts each derivative into `.grad`. On the same
# points it must give the same derivatives.

# %%
worst = 0.0
for point in points:
    ours_here = [Value(number) for number in point]
    slopes = gradients(expression(*ours_here))
    a, b, c = (mf.Tensor(float(number), requires_grad=True, dtype="float64") for number in point)
    d = a * b + c
    e = d * d + a.exp()
    (e.log() * d + e * b).backward()
    pairs = zip(ours_here, (a, b, c))
    worst = max(worst, *(abs(slopes[v] - t.grad.item()) for v, t in pairs))
print(f"largest difference from minift.Tensor: {worst:.1e}")
assert worst < 1e-12

# %% [markdown]
# ## Exercise (implement it)
#
# `lessons/exercises/ex01.py` has a `Value` whose numbers carry **no** `order`. Write `tanh`, and a
# `backward` that finds the right order by itself, so that `b = a + a; c = b + b` gives 4.
# Check it with `minift learn check 1`; `minift learn hint 1` helps.

# %%
learn.result(
    lesson=1,
    metric="largest error of a gradient",
    value=ours,
    baseline=theirs,
    against="plain recursion",
    passed=ours < 1e-8 < theirs,
)
