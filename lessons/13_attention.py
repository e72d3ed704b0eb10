# %% [markdown]
# # Lesson 13: Attention
#
# - **You build:** the transformer's block: look-up of vectors, attention with masks and heads, and
#   the two-layer network behind it
# - **You need:** lessons 04 (layers) and 12 (tokens); nothing but what ships
# - **Time:** 40 minutes to read, 5 seconds to run
# - **Exercise:** fix the bug
#
# After lesson 12 a text is a row of ids, such as `[7, 2, 2, 9]`. A network must now do two things:
# give every token a meaning, and let the tokens of a text look at each other. "Bank" means one
# thing beside "river" and another beside "money".
#
# ## From an id to a vector
#
# An id is a *name*, not a quantity: token 6 is not twice token 3. So we keep a table *E* with one
# row for each of the *V* tokens of the vocabulary. A row has *C* numbers, which are trained like
# all other weights. Token *i* becomes row *i*: this is called an *embedding*.

# %%
import math

import numpy as np

import minift as mf
from minift import learn

rng = np.random.default_rng(0)
V, C = 10, 32  # tokens in the vocabulary, numbers in a vector
E = mf.Tensor(rng.normal(size=(V, C)))
ids = np.array([7, 2, 2, 9])
looked_up = E[ids]  # (4, C)
one_hot = mf.Tensor(np.eye(V)[ids])  # (4, V): row t has a single 1, at its token
assert np.array_equal(looked_up.numpy(), (one_hot @ E).numpy())
assert np.array_equal(looked_up.numpy(), mf.functional.embedding(ids, E).numpy())
print("four ids as vectors:", looked_up.shape)

# %% [markdown]
# > **Erratum E51, E53.** One article's language model computes W · ids, a matrix times the ids
# > themselves. The shapes do not even fit, and if they did, token 6 would be exactly twice token 3.
# > What is meant is a matrix times *one-hot* vectors, zeros with a single 1. That product picks one
# > row, so the look-up above is the same, without *V* multiplications for each number.
#
# ## Asking and answering
#
# Now the tokens look at each other. Each token makes three vectors of *D* numbers out of its own:
#
# - a *query* q: what am I looking for?
# - a *key* k: what can be found here?
# - a *value* v: what do I tell those who look at me?
#
# The scalar product q·k says how well a question fits an offer. Softmax (lesson 05) turns the fits
# of one query to all keys into *weights*: positive, with sum 1. The answer is the mean of the
# values with these weights. With the queries of all tokens as the rows of one matrix q, and
# likewise for k and v:
#
# $$\text{attention}(q, k, v) = \text{softmax}\!\left(\frac{q\,k^\top}{\sqrt{D}}\right) v.$$
#
# Why divide by √D? A scalar product of D random numbers has a standard deviation of √D. For D = 64
# that is 8, and e to the 8 is 3,000: softmax would give nearly everything to one key, and where
# softmax is that sure, its derivative is nearly 0, so nothing is learned.

# %%
q, k = rng.normal(size=(1000, 64)), rng.normal(size=(10, 64))
for name, fits in (("as it is", q @ k.T), ("divided by √D", q @ k.T / math.sqrt(64))):
    largest = mf.functional.softmax(fits, axis=-1).numpy().max(axis=1).mean()
    print(f"{name:<14} standard deviation {fits.std():.1f}, largest of 10 weights {largest:.2f}")

# %% [markdown]
# ## Masks: who may look where
#
# Not every token may look at every other. Two reasons are common:
#
# - *Padding.* Short texts of a batch are filled up (lesson 12). Nobody may look at the filling.
# - *The future.* Who learns to guess the next token (lesson 15) must not see it. Token *t* looks at
#   tokens 0 to *t* only. This mask is called *causal*.
#
# Both say where a weight must be 0. Softmax computes exp(score), and exp(−∞) = 0: so a forbidden
# score is *replaced* by −∞, before softmax. The others then share the whole weight among them.


# %%
def attention_weights(q, k, mask=None):
    """softmax(q kᵀ / √D), (..., T, D) and (..., S, D) -> (..., T, S). Mask: True = may look."""
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = mf.functional.where(mask, scores, -np.inf)
    return mf.functional.softmax(scores, axis=-1)


T = 6
q, k, v = (mf.Tensor(rng.normal(size=(1, 1, T, 8))) for _ in range(3))
causal = np.tri(T, dtype=bool)  # row t: True up to column t
by_hand = attention_weights(q, k, causal) @ v
library = mf.functional.scaled_dot_product_attention(q, k, v, causal=True)
print("the causal mask of 4 tokens:", np.tri(4, dtype=int).tolist())
assert np.abs(by_hand.numpy() - library.numpy()).max() < 1e-12

# %% [markdown]
# ## Heads
#
# One set of weights can follow one question. A token may have several: what is my verb? which noun
# do I belong to? So the C numbers are cut into *H* parts of D = C / H, the *heads*. Each head asks
# on its own, and a last matrix mixes the answers. In the comments, B is the number of texts.


# %%
class Attention(mf.nn.Module):
    """Every token of a text asks all others, in several heads."""

    def __init__(self, width, heads):
        self.heads = heads
        self.query, self.key = mf.nn.Linear(width, width), mf.nn.Linear(width, width)
        self.value, self.mix = mf.nn.Linear(width, width), mf.nn.Linear(width, width)

    def split(self, x):
        B, T, C = x.shape
        return x.reshape(B, T, self.heads, C // self.heads).swapaxes(1, 2)  # (B, H, T, D)

    def weights(self, x, mask=None):
        return attention_weights(self.split(self.query(x)), self.split(self.key(x)), mask)

    def forward(self, x, mask=None):
        answers = self.weights(x, mask) @ self.split(self.value(x))  # (B, H, T, D)
        return self.mix(answers.swapaxes(1, 2).reshape(x.shape))  # (B, T, C)


# %% [markdown]
# ## The block
#
# Attention only takes means. To compute with what it has heard, each token then passes a network of
# two layers, the same for all. Between them stands *GELU*, a smooth relative of max(0, x): it is
# x·Φ(x), where Φ(x) is the probability that a normally distributed number is below x.
#
# Both parts *add* to what came in (the *residual* path), so that a deep stack of blocks begins by
# passing its input on; and both sums are normalised (lesson 04). That is all of it:
#
# $$y = \text{norm}(x + \text{attention}(x)), \qquad
#   z = \text{norm}\big(y + W_2\,\text{gelu}(W_1 y)\big).$$


# %%
class Block(mf.nn.Module):
    """Attention between the tokens, then a network at each token."""

    def __init__(self, width, heads):
        self.attention = Attention(width, heads)
        self.norm1, self.norm2 = mf.nn.LayerNorm(width), mf.nn.LayerNorm(width)
        self.widen, self.narrow = mf.nn.Linear(width, 4 * width), mf.nn.Linear(4 * width, width)

    def forward(self, x, mask=None):
        y = self.norm1(x + self.attention(x, mask))
        return self.norm2(y + self.narrow(mf.functional.gelu(self.widen(y))))


# %% [markdown]
# The library's block is `TransformerEncoderLayer`, under PyTorch's names. It keeps the matrices for
# queries, keys and values in one, below each other. With our weights it must compute what we do.

# %%
mf.manual_seed(0)
ours, theirs = Block(C, heads=4), mf.nn.TransformerEncoderLayer(C, 4, 4 * C, 0.0, "gelu")
state = ours.state_dict()
names = {"norm1": "norm1", "norm2": "norm2", "linear1": "widen", "linear2": "narrow",
         "self_attn.out_proj": "attention.mix"}  # fmt: skip
copied = {}
for part in ("weight", "bias"):
    copied |= {f"{new}.{part}": state[f"{old}.{part}"] for new, old in names.items()}
    rows = [np.asarray(state[f"attention.{one}.{part}"]) for one in ("query", "key", "value")]
    copied[f"self_attn.in_proj_{part}"] = np.concatenate(rows)
theirs.load_state_dict(copied)
x = mf.Tensor(rng.normal(size=(3, 7, C)).astype("float32"))
far = np.abs(ours(x).numpy() - theirs(x).numpy()).max()
far_attention = np.abs(ours.attention(x).numpy() - theirs.self_attn(x).numpy()).max()
print(f"difference from the library: attention {far_attention:.1e}, block {far:.1e}")
assert max(far, far_attention) < 1e-5

# %% [markdown]
# ## Do the masks hold?
#
# *Padding.* Compute texts of 3 to 12 tokens, each alone. Then compute them in one batch, filled up
# to 12 with large numbers that must not matter. With a right mask nothing changes but the rounding.
# The baseline is what most first attempts do: no mask.
#
# *The future.* Let a token's output depend on a later input, and the derivative shows it. It must
# be 0, and not 0.0001: a language model finds the smallest hole in its mask and looks through it.

# %%
for parameter in ours.parameters():
    parameter.data = parameter.data.astype("float64")
lengths = np.arange(3, 13)
real = np.arange(12) < lengths[:, None]  # (10, 12)
texts = np.where(real[..., None], rng.normal(size=(10, 12, C)), 5.0)
may_look = real[:, None, None, :]  # (B, 1, 1, S): the same for all heads and all queries


def change(mask):
    """The largest change of a real token's output when its text is in a padded batch."""
    batch = ours(mf.Tensor(texts), mask).numpy()
    alone = [ours(mf.Tensor(text[None, :n])).numpy()[0] for text, n in zip(texts, lengths)]
    return max(np.abs(batch[i, :n] - alone[i]).max() for i, n in enumerate(lengths))


def leak(mask):
    """The largest derivative of an output by a later input."""
    x = mf.Tensor(rng.normal(size=(1, 8, C)), requires_grad=True)
    direction = rng.normal(size=C)
    slopes = [mf.grad((ours(x, mask)[0, t] * direction).sum(), [x])[0].numpy() for t in range(7)]
    return max(np.abs(slope[0, t + 1 :]).max() for t, slope in enumerate(slopes))


padding, no_mask = change(may_look), change(None)
leaks = leak(np.tri(8, dtype=bool)), leak(None)
print(f"padding changes a real token by {padding:.1e}; without a mask by {no_mask:.2f}")
print(f"derivative by the future: {leaks[0]}; without a mask {leaks[1]:.2f}")

# %% [markdown]
# ## What a block learns
#
# Attention does not know any order: mix up the tokens, and the answers are the same, mixed up.
# Therefore each *place* gets a vector from a second table, and it is added to the token's.
#
# Let us train one block, with one head so that we can look at it, to write 8 digits *backwards*:
# place *t* must give out the digit of place 7 − *t*. Then a second one, under a causal mask. Before
# you look: how many of its 8 answers can be right?


# %%
class Backwards(mf.nn.Module):
    """8 digits -> scores of the digit that belongs to each place, (B, 8, 10)."""

    def __init__(self, mask):
        self.mask = mask
        self.digits, self.places = mf.nn.Embedding(10, C), mf.nn.Embedding(8, C)
        self.block, self.answer = Block(C, heads=1), mf.nn.Linear(C, 10)

    def vectors(self, ids):
        return self.digits(ids) + self.places.weight  # (B, 8, C)

    def forward(self, ids):
        return self.answer(self.block(self.vectors(ids), self.mask))


def trained(mask, steps=400):
    mf.manual_seed(1)
    model, draw = Backwards(mask), np.random.default_rng(1)
    optimizer = mf.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        ids = draw.integers(0, 10, (64, 8))
        loss = mf.functional.cross_entropy(model(ids), ids[:, ::-1].copy())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


tests = np.random.default_rng(2).integers(0, 10, (1000, 8))
shown, right = [], []
for mask in (None, np.tri(8, dtype=bool)):
    model = trained(mask)
    right.append((model(tests).numpy().argmax(-1) == tests[:, ::-1]).mean(axis=0))
    weights = model.block.attention.weights(model.vectors(tests), mask).numpy()
    shown.append(weights.mean(axis=(0, 1)))  # (8, 8)
everything, first_half, second_half = right[0].mean(), right[1][:4].mean(), right[1][4:].mean()
print(f"all may be seen: {everything:.2f} right")
print(f"causal: first four places {first_half:.2f}, last four {second_half:.2f} (guessing: .10)")

# %% [markdown]
# Four. The first four answers stand in the future, so the model guesses one digit in ten. The
# others are in the past and come out right. In the picture each row is a query: where does this
# place look? Nobody has drawn the diagonal; it was learned. The white triangle is the mask.

# %%
figure, panels = learn.new_figure(columns=2, width=7.6, height=4.3)
titles = (f"All may be seen:\n{everything:.0%} of the digits right",
          f"Causal: {first_half:.0%} of the first four,\n"
          f"{second_half:.0%} of the last four")  # fmt: skip
assert np.all(shown[1][~np.tri(8, dtype=bool)] == 0)
shown[1] = np.where(np.tri(8, dtype=bool), shown[1], np.nan)  # not drawn
panels[1].text(5.1, 1.6, "the future:\nexactly 0", ha="center", va="center")
for axes, image, title in zip(panels, shown, titles):
    drawn = axes.imshow(image, cmap="cividis", vmin=0, vmax=1)
    axes.set(title=title, xlabel="place that is looked at", xticks=range(8), yticks=range(8))
panels[0].set_ylabel("place that looks")
figure.colorbar(drawn, ax=panels, label="attention weight", shrink=0.8)
learn.picture(figure, "13_attention")

# %% [markdown]
# ## Exercise (fix the bug)
#
# Many programs *add* −10,000 to forbidden scores. That is "hardly ever", not "never"; and what if a
# query may look nowhere at all? `lessons/exercises/ex13.py` has such an attention in NumPy. Mend
# it. Check with `minift learn check 13`.

# %%
learn.result(
    lesson=13,
    metric="largest change of an output by padding",
    value=padding,
    baseline=no_mask,
    against="without a mask",
    passed=padding < 1e-12 and leaks[0] == 0 and everything > 0.99 and first_half < 0.2,
    also={
        "causal leak": leaks[0],
        "leak without a mask": leaks[1],
        "backwards, all seen": everything,
        "backwards, first half, causal": first_half,
        "backwards, second half, causal": second_half,
    },
)
