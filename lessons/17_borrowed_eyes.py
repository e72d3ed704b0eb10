# %% [markdown]
# # Lesson 17: Borrowed eyes
#
# - **You build:** features of a frozen body, computed once; masked mean pooling; a head that trains
#   in a second
# - **You need:** lessons 06 (Adam), 09 (probes), 13 (attention, masks); the checkpoint `tiny`,
#   which ships
# - **Time:** 35 minutes to read, 30 seconds to run
# - **Exercise:** implement it
#
# The cheapest way to use a pre-trained model is to train nothing in it. Let it look at your texts
# once and write down what it sees: one vector for each text. These vectors are *features*, and the
# model that made them is the *body*. It is *frozen*: none of its weights will ever change. On the
# features you train a small *head*, here one linear layer. You have borrowed somebody's eyes and
# learn only to name what they see.
#
# What is that worth? We count in labels, because labels cost money: *how many labels do you save?*
#
# ## The task and the body
#
# A definition of a noun, "a young cat", and 24 classes: animal, food, feeling and so on. The body
# is that of `tiny`, a small BERT which ships with minift. It has guessed hidden words in a hundred
# thousand definitions; no definition that we test on was among them, and no label ever.

# %%
import math

import numpy as np

import minift as mf
from minift import finetune, learn
from minift.probes import LinearProbe

glosses = mf.data.load_glosses()
model = mf.load("tiny")  # a BERT with the head for hidden words, in evaluation mode
body, tokenizer = model.bert, model.tokenizer
texts, labels = mf.data.draw_labelled(glosses, 128, seed=0)  # 128 of each class
test_texts, test_labels = glosses.test
print(f"{len(texts):,} labelled definitions to draw from, {len(test_texts):,} to test on")

# %% [markdown]
# ## One vector for each text
#
# For a text of *T* tokens the body gives *T* vectors *h₁* … *h_T* of *C* numbers each (here *C* =
# 128). A head wants one vector. The simplest way: their mean. In a batch, shorter texts are filled
# up with padding (lesson 12), and padding is no token. The mask *mₜ* is 1 for real tokens and 0 for
# padding, so that
#
# $$\text{feature} = \frac{\sum_t m_t\, h_t}{\sum_t m_t}.$$
#
# This is *masked mean pooling*.

# %%


def mean_pool(hidden, mask):
    """The mean over real tokens: (B, T, C), (B, T) -> (B, C)."""
    real = mask[:, :, None].astype(hidden.dtype)
    return (hidden * real).sum(axis=1) / real.sum(axis=1)


def first_token(hidden, mask):
    """The vector of [CLS], which stands before every text."""
    return hidden[:, 0]


def mean_of_all(hidden, mask):
    """The wrong mean: padding is counted."""
    return hidden.mean(axis=1)


def features(body, texts, *pools):
    """One table (n, C) for each way to pool. Each text passes the body once."""
    out = []
    with mf.no_grad():  # nothing will be learned here: keep no memory of the way
        for start in range(0, len(texts), 64):
            batch = tokenizer(texts[start : start + 64], max_length=64, truncation=True)
            hidden = body(**batch).numpy()
            out.append([pool(hidden, batch["attention_mask"]) for pool in pools])
    return [np.concatenate(tables) for tables in zip(*out)]


# %% [markdown]
# The library has this as `extract_features`. It sorts the texts by length, so that there is little
# padding, and a correct mean does not notice. The wrong one does.

# %%
some = texts[:256]
classifier = mf.models.BertForSequenceClassification(
    mf.models.BertConfig.from_dict(model.config.to_dict(), num_labels=24)
)
classifier.bert.load_state_dict(body.state_dict(), strict=False)
theirs = finetune.extract_features(classifier, tokenizer.dataset(some, 64))
ours, wrong = features(body, some, mean_pool, mean_of_all)
difference, wrong = np.abs(ours - theirs).max(), np.abs(wrong - theirs).max()
print(f"largest difference from the library: {difference:.1e}; with padding counted: {wrong:.2f}")
assert difference < 1e-5 < wrong

# %% [markdown]
# ## Frozen means at rest
#
# > **Erratum E100.** One program sets `requires_grad = False` for the body and then calls
# > `model.train()`. That keeps the weights as they are, but *dropout* is on again: in each step a
# > random share of the body's numbers is set to zero. The features of one text change from step to
# > step, the head learns from noise, and nothing can be computed once and kept. A frozen body
# > belongs in evaluation mode.

# %%


def unlike(body):
    """How far two passes over the same texts are from each other, as a share of their length."""
    [one], [two] = features(body, some, mean_pool), features(body, some, mean_pool)
    return np.linalg.norm(one - two) / np.linalg.norm(one)


resting = unlike(body)
body.train()
noise = unlike(body)
body.freeze()  # minift puts what is wholly frozen to rest, whatever train() says
body.train()
frozen = unlike(body)
print(f"two passes differ: at rest {resting}, in training mode {noise:.2f}, frozen {frozen}")
assert resting == frozen == 0 < noise

# %% [markdown]
# ## Once for all
#
# Now every text passes the body once. All that follows works on these two tables of numbers, and
# each training takes a second at most.

# %%
WAYS = {"masked mean": mean_pool, "[CLS]": first_token, "mean with padding": mean_of_all}
tables = dict(zip(WAYS, features(body, texts, *WAYS.values())))
test_tables = dict(zip(WAYS, features(body, test_texts, *WAYS.values())))
x, test_x = tables["masked mean"], test_tables["masked mean"]
print(f"features {x.shape}, {x.nbytes / 1e6:.1f} MB; for testing {test_x.shape}")


def rows_of(per_class, seed):
    """Which labelled definitions a seed draws."""
    return mf.probes.draw_per_class(labels, per_class, seed)


def probe(x, test_x, rows):
    """Test accuracy of a linear head, fitted to its optimum on these rows."""
    fitted = LinearProbe(C=0.1).fit(x[rows], labels[rows])
    return (fitted.predict(test_x) == test_labels).mean()


# %% [markdown]
# > **Erratum E101.** One program freezes the whole of a BERT and reads the vector of `[CLS]`, the
# > sign before each text, through the frozen *pooler*, a layer that was made for another task. Take
# > what the body was *trained* with: for MiniLM and most models for sentences that is the masked
# > mean. A model like `tiny`, which has only guessed hidden words, was trained with neither; then
# > measure, as we do here.
#
# Beside the mean and `[CLS]` stand two controls: the mean that counts padding, and the same body
# with *random* weights. The last one shows how much is owed to pre-training, and not to the network
# as such.

# %%
mf.manual_seed(0)
stranger = mf.models.BertModel(model.config).eval()
[tables["a random body"]] = features(stranger, texts, mean_pool)
[test_tables["a random body"]] = features(stranger, test_texts, mean_pool)
rows = rows_of(32, seed=0)
worth = {name: probe(tables[name], test_tables[name], rows) for name in tables}
for name, reached in worth.items():
    print(f"32 labels a class, {name:<20}{reached:.3f}")

# %% [markdown]
# Pre-training is worth far more than the way of pooling: the random body is lost. Among the ways,
# `[CLS]` falls three points behind. Nobody trained it to stand for a text, but in each layer it
# attends to all other tokens, and so it has become a mean of its own kind. (In an earlier `tiny`,
# pre-trained on nearly the same texts, it was in front: so much decides nothing.) In batches of
# texts of all lengths the padded mean moves the vectors far, and a linear head forgives even that
# here, since training and test texts are spoilt alike.
#
# ## How fast may a head learn?
#
# > **Erratum E97.** An article trains a new head on a frozen body at the rate 2e-5. That small rate
# > is for *pre-trained* weights, which should stay near where they are. The head starts from random
# > numbers and has a way to go. Adam moves a weight by about the rate in each step (lesson 06): in
# > 200 steps at 2e-5 by 0.004, and that is nothing.

# %%


def head_accuracy(rate, steps=200):
    """One linear layer by AdamW on the features of `rows`, which are standardised first."""
    mean, std = x[rows].mean(axis=0), x[rows].std(axis=0)
    given, right = mf.Tensor((x[rows] - mean) / std), labels[rows]
    mf.manual_seed(0)
    head = mf.nn.Linear(x.shape[1], len(glosses.classes))
    optimizer = mf.optim.AdamW(head.parameters(), lr=rate)
    for _ in range(steps):
        loss = mf.functional.cross_entropy(head(given), right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with mf.no_grad():
        said = head((test_x - mean) / std).numpy().argmax(axis=1)
    return (said == test_labels).mean()


slow, fast = head_accuracy(2e-5), head_accuracy(1e-2)
print(f"head after 200 steps at 2e-5: {slow:.3f}, at 1e-2: {fast:.3f}")
assert slow < fast

# %% [markdown]
# ## Labels saved
#
# The honest baseline needs no network: count the words of each text, weigh rare words more
# (TF-IDF), and fit a linear model on the counts. It gets the same labelled definitions. Its word
# weights come from the same unlabelled definitions that `tiny` has read. We draw 2 to 64 labels a
# class, each five times.

# %%
SIZES, SEEDS = np.array([2, 4, 8, 16, 32, 64]), range(5)
words = mf.baselines.TfidfLogistic(glosses.unlabelled)


def word_counts(rows):
    fitted = words.fit([texts[i] for i in rows], labels[rows])
    return (fitted.predict(test_texts) == test_labels).mean()


draws = [[rows_of(size, seed) for size in SIZES] for seed in SEEDS]
borrowed = np.array([[probe(x, test_x, rows) for rows in row] for row in draws])  # (seeds, sizes)
counted = np.array([[word_counts(rows) for rows in row] for row in draws])
for size, ours, theirs in zip(SIZES, borrowed.mean(axis=0), counted.mean(axis=0)):
    print(f"{size:>4} labels a class: borrowed eyes {ours:.3f}, word counts {theirs:.3f}")

# %% [markdown]
# How many labels do word counts need to be as good as borrowed eyes with 8 labels a class? Read it
# off their curve. Between two measured points the curve is taken as straight, on a logarithmic
# scale of labels. Each seed gives one answer; from the five answers comes an interval, by Student's
# *t*.


# %%
def labels_needed(accuracy, curve):
    """Where a curve over SIZES first reaches the accuracy."""
    rising = np.maximum.accumulate(curve)
    return 2 ** np.interp(accuracy, rising, np.log2(SIZES))


def interval(values):
    """The mean and half of its 95 % interval."""
    t = mf.metrics.student_quantile(0.975, len(values) - 1)
    return np.mean(values), t * np.std(values, ddof=1, axis=0) / math.sqrt(len(values))


needed = [labels_needed(ours[2], theirs) for ours, theirs in zip(borrowed, counted)]
value, half = interval(needed)
print(f"8 labels a class on borrowed eyes are worth {value:.1f} ± {half:.1f} on word counts")

# %%
figure, axes = learn.new_figure(width=7.2, height=4.0)
for curves, name, color, mark in [
    (borrowed, "borrowed eyes: tiny, frozen, and a linear head", learn.BLUE, "o"),
    (counted, "word counts: TF-IDF and a linear head", learn.ORANGE, "s"),
]:
    middle = curves.mean(axis=0)
    spread = interval(curves)[1]
    axes.errorbar(SIZES, middle, spread, fmt=f"{mark}-", color=color, capsize=4, label=name)
level = borrowed.mean(axis=0)[2]
axes.annotate("", (value, level), (8, level), arrowprops={"arrowstyle": "->"})
axes.text(math.sqrt(8 * value), level - 0.008, "labels saved", ha="center", va="top")
axes.set(xscale="log", xlabel="labelled definitions of each of 24 classes",
         ylabel="accuracy on 3,000 test definitions")  # fmt: skip
axes.set_xticks(SIZES, SIZES)
axes.minorticks_off()
axes.legend(loc="lower right", frameon=False)
axes.set_title("A frozen body saves labels while they are few")
learn.picture(figure, "17_borrowed_eyes")

# %% [markdown]
# The curves come together on the right. With enough labels the words themselves can be learned, and
# a frozen body cannot learn what it did not see before. Then let it move: lesson 18.
#
# ## Exercise (implement it)
#
# `lessons/exercises/ex17.py`: masked mean pooling, also of texts without any token, and the
# features of a body that was left in training mode. Check with `minift learn check 17`.

# %%
learn.result(
    lesson=17,
    metric="labels a class that word counts need for what borrowed eyes reach with 8",
    value=value,
    baseline=8,
    against="borrowed eyes",
    interval=(value - half, value + half),
    passed=value - half > 8,
    also={
        "accuracy with 8 labels": borrowed.mean(axis=0)[2],
        "word counts with 8": counted.mean(axis=0)[2],
        "accuracy with 64 labels": borrowed.mean(axis=0)[5],
        "word counts with 64": counted.mean(axis=0)[5],
        "[CLS]": worth["[CLS]"],
        "a random body": worth["a random body"],
        "head at 2e-5": slow,
        "head at 1e-2": fast,
    },
)
