# %% [markdown]
# # Lesson 20: The rare class
#
# - **You build:** four remedies for classes of unequal size: class weights, the focal loss,
#   over-sampling, and a threshold that is chosen
# - **You need:** lessons 05 (cross-entropy) and 07 (macro-F1, intervals); the definitions that ship
# - **Time:** 35 minutes to read, 10 seconds to run
# - **Exercise:** implement it
#
# Spam, a rare disease, a broken bolt on the belt: often the class that matters is the one that
# hardly occurs. Here it is WordNet's class `substance` among all other nouns, one definition in
# twenty. Call it the *positive* class, 1; the others are class 0.
#
# The model is as small as can be, so that nothing distracts: each definition is a row of word
# weights (TF-IDF: how often a word occurs here, the more the rarer it is elsewhere), and one linear
# layer makes two scores of it. A BERT meets the same trouble and takes the same remedies.

# %%
import numpy as np

import minift as mf
from minift import learn
from minift.baselines import TfidfLogistic
from minift.imbalance import best_offsets, precision_recall_curve
from minift.metrics import average_precision, macro_f1, macro_f1_interval, precision_recall_f1

glosses = mf.data.load_glosses()
RARE = glosses.classes.index("substance")


def one_in_twenty(part, positives, seed):
    """Texts, and labels (n,) of which one in twenty is 1."""
    texts, classes = part
    rng = np.random.default_rng(seed)
    rare = rng.permutation(np.flatnonzero(classes == RARE))[:positives]
    others = rng.permutation(np.flatnonzero(classes != RARE))[: 19 * positives]
    rows = rng.permutation(np.concatenate([rare, others]))
    return [texts[i] for i in rows], (classes[rows] == RARE).astype(np.int64)


texts, y = one_in_twenty(glosses.train, 100, seed=0)  # 2,000 to learn from
dev_texts, dev_y = one_in_twenty(glosses.dev, 100, seed=0)  # 2,000 to choose on
test_texts, test_y = one_in_twenty(glosses.test, 105, seed=0)  # 2,100 to judge on
words = TfidfLogistic(texts)  # its words and their weights


def dense(given):
    rows = words.rows(given)
    x = np.zeros((len(given), rows.width), np.float32)
    x[rows.rows, rows.columns] = rows.values
    return x


x, dev_x, test_x = dense(texts), dense(dev_texts), dense(test_texts)
print(f"{len(y)} rows of {x.shape[1]} words, {y.sum()} of them positive")

# %% [markdown]
# ## The number that praises doing nothing
#
# Whoever always answers 0 is right in 95 of 100 cases. Accuracy cannot see the difference between
# him and somebody who tries. *Macro-F1* (lesson 07) can: it is the mean of the F1 of both classes,
# and the F1 of a class that one never finds is 0.

# %%
never = np.zeros_like(test_y)
nothing = macro_f1(test_y, never)
print(f"always 0: accuracy {(never == test_y).mean():.3f}, macro-F1 {nothing:.3f}")

# %% [markdown]
# ## Remedy 1: class weights
#
# Let *zᵢ* be the scores of row *i*, *yᵢ* its class, and *pᵢ* = softmax(*zᵢ*) at *yᵢ*, the
# probability that the model gives to the right answer. Cross-entropy is the mean of −log *pᵢ*. With
# *N* rows, *C* classes and *n_c* rows of class *c*, give each row the weight
#
# $$w_c = \frac{N}{C \, n_c}, \qquad L = \frac{\sum_i w_{y_i} (-\log p_i)}{\sum_i w_{y_i}}.$$
#
# A row of the rare class now weighs 10, one of the other 0.53, and both classes together the same.
#
# ## Remedy 2: the focal loss
#
# The *focal loss* looks at how hard a row is, whatever its class:
#
# $$\ell_i = -(1 - p_i)^{\gamma} \log p_i.$$
#
# A row that the model is sure of (*p* = 0.9) counts (1 − 0.9)² = 0.01 times with γ = 2. With γ = 0
# the factor is 1, and it is cross-entropy. The thought: 1,900 easy rows should not drown 100 hard
# ones.
#
# > **Erratum E88.** One article calls the focal loss a "soft-label method". It is not: the label
# > stays as hard as it was, and the *row* gets another weight. Soft labels are label smoothing
# > (lesson 05) or another model's probabilities.

# %%


def log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def weighted_cross_entropy(z, target, weight):
    log_p = log_softmax(z)[np.arange(len(z)), target]
    w = weight[target]
    return (w * -log_p).sum() / w.sum()


def focal(z, target, gamma):
    log_p = log_softmax(z)[np.arange(len(z)), target]
    return (-((1 - np.exp(log_p)) ** gamma) * log_p).mean()


weight = len(y) / (2 * np.bincount(y))
z, target = np.random.default_rng(0).normal(size=(50, 2)), y[:50]
library = mf.functional
theirs = library.cross_entropy(z, target, weight=weight).item()
assert abs(weighted_cross_entropy(z, target, weight) - theirs) < 1e-12
assert abs(focal(z, target, 2.0) - library.focal_loss(z, target, 2.0).item()) < 1e-12
assert abs(focal(z, target, 0.0) - library.cross_entropy(z, target).item()) < 1e-12
sure = np.log([[0.1, 0.9]])
print(f"weights of the classes: {weight.round(2)}")
print(f"p = 0.9: cross-entropy {focal(sure, [1], 0):.4f}, focal loss {focal(sure, [1], 2):.5f}")

# %% [markdown]
# ## Remedy 3: over-sampling
#
# Show the rare rows more often: in each epoch every class is seen as often as the largest one, its
# rows repeated over and over. In the mean this is the same as class weights; but 19 copies of a
# hundred rows are still only a hundred rows, and a strong model soon knows them by heart.
#
# > **Erratum E89.** Against imbalance one article names "random grabbing and flipping", which means
# > random *cropping* and flipping of images. If it is done to all rows, the classes are as unequal
# > as before. It helps only if the rare class gets more of it: that is over-sampling.

# %%


def over_sampled(classes, rng):
    """Row numbers in which every class stands as often as the largest."""
    most = np.bincount(classes).max()
    own = [rng.permutation(np.flatnonzero(classes == c)) for c in np.unique(classes)]
    return np.concatenate([np.resize(rows, most) for rows in own])


def batches_of(rows):
    return mf.data.loader.UniformSampler(len(rows), 64, shuffle=True, seed=0)


sampler = mf.data.OverSampler(y, batches_of, seed=0)
ours = over_sampled(y, np.random.default_rng([0, 0]))  # the seed, and epoch 0
assert np.array_equal(ours, sampler.rows(0))
print("rows of each class in an epoch:", np.bincount(y[ours]))

# %% [markdown]
# ## Remedy 4: move the threshold
#
# The fourth remedy does not train at all. The model says 1 if the score of class 1 is the higher
# one, so if its probability is above ½. Who says that ½ is right? Take the *plain* model, try all
# thresholds on the validation rows, and keep the one with the best macro-F1. Never choose it on the
# test rows: lesson 23 says what that score would be worth.

# %%


def best_threshold(right, margin):
    """The place between two margins (score of 1 minus score of 0) with the best macro-F1."""
    places = np.unique(margin)
    middles = (places[1:] + places[:-1]) / 2
    found = [macro_f1(right, (margin > place).astype(int)) for place in middles]
    return middles[int(np.argmax(found))]


# %% [markdown]
# ## The race
#
# The same layer, the same rows, the same number of steps; three starts and orders of the rows each.

# %%


def scores(remedy, seed):
    """Scores (n, 2) of the validation and of the test rows, after training with a remedy."""
    mf.manual_seed(seed)
    model, data = mf.nn.Linear(x.shape[1], 2), mf.data.ArrayDataset(x=x, labels=y)
    loss = {"class weights": {"weight": weight.tolist()}, "focal loss": {"focal_gamma": 2.0}}
    if remedy == "over-sampling":
        order = mf.data.OverSampler(y, batches_of, seed)
    else:
        order = mf.data.loader.UniformSampler(len(y), 64, shuffle=True, seed=seed)
    mf.Trainer(
        model,
        mf.data.DataLoader(data, sampler=order),
        objective=mf.objectives.Classification(**loss.get(remedy, {})),
        config=mf.TrainConfig(steps=500, lr=3e-2, weight_decay=0.01, seed=seed, device="cpu"),
    ).fit()
    with mf.no_grad():
        return model(dev_x).numpy(), model(test_x).numpy()


def margin(z):
    return z[:, 1].astype(float) - z[:, 0]


REMEDIES = ["plain", "class weights", "focal loss", "over-sampling"]
trained = {name: [scores(name, seed) for seed in range(3)] for name in REMEDIES}
answers = {name: [(margin(z) > 0).astype(int) for _, z in runs] for name, runs in trained.items()}
moved = [best_threshold(dev_y, margin(z)) for z, _ in trained["plain"]]
answers["moved threshold"] = [
    (margin(z) > t).astype(int) for (_, z), t in zip(trained["plain"], moved)
]

# %% [markdown]
# The library's `best_offsets` finds the same best macro-F1 on the validation rows, up to the places
# that it tries (200 at most):

# %%
z = trained["plain"][0][0]
by_hand = macro_f1(dev_y, (margin(z) > moved[0]).astype(int))
by_library = macro_f1(dev_y, (z + best_offsets(dev_y, z)).argmax(axis=1))
print(f"best macro-F1 on validation rows: by hand {by_hand:.4f}, the library's {by_library:.4f}")
assert abs(by_hand - by_library) < 0.01

# %% [markdown]
# *Average precision* is the area under the curve of precision against recall. It asks only in which
# *order* the model puts the rows, and does not care for any threshold. The last column gives every
# remedy a threshold of its own, chosen on the validation rows.

# %%
f1, ap, own = {}, {}, {}
print(f"{'':<16} macro-F1  precision  recall  accuracy  average precision  own threshold")
for name, runs in answers.items():
    f1[name] = np.mean([macro_f1(test_y, said) for said in runs])
    made = trained.get(name, trained["plain"])
    ap[name] = np.mean([average_precision(test_y, margin(z)) for _, z in made])
    chosen = [(margin(z) > best_threshold(dev_y, margin(dev))).astype(int) for dev, z in made]
    own[name] = np.mean([macro_f1(test_y, said) for said in chosen])
    precision, recall, _ = np.mean([precision_recall_f1(test_y, s, 2) for s in runs], axis=0)
    right = np.mean([said == test_y for said in runs])
    print(
        f"{name:<16} {f1[name]:>8.3f} {precision[1]:>10.3f} {recall[1]:>7.3f} {right:>9.3f}"
        f" {ap[name]:>18.3f} {own[name]:>14.3f}"
    )
low, high = macro_f1_interval(test_y, answers["moved threshold"][0])
winner = max(f1, key=f1.get)
print(f"the best macro-F1: {winner}; the interval of a moved threshold: {low:.3f} to {high:.3f}")

# %% [markdown]
# Read the first column against the last. At threshold ½ the five look very different. Give each its
# own threshold, and nearly all of the difference is gone: what the losses changed was mostly *where
# the line is drawn*. To move the line of the plain model costs nothing: no second training, no new
# setting of the loss. It beats class weights and the focal loss at ½: try it first.
#
# Over-sampling is a little ahead of it here, by less than the width of the interval: with 105
# positive test rows that is undecided. (It also saw each rare row ten times as often in the same
# number of steps.) The focal loss alone is the weakest: it makes the model less sure of *easy* rows
# of both classes, and does not lean to the rare one. And accuracy? The best model gains one point
# of it over "always 0".
#
# One thing no threshold can do: improve the order of the rows. For that one needs better features
# or more rows of the rare class. Weights also change what the probabilities mean; a threshold
# leaves them alone.
#
# ## The picture

# %%
figure, axes = learn.new_figure(width=7.2, height=4.2)
colours = [learn.BLACK, learn.BLUE, learn.ORANGE, learn.GREEN]
marks = {"plain": "o", "class weights": "s", "focal loss": "D", "over-sampling": "^"}
for (name, runs), colour in zip(trained.items(), colours):
    precision, recall, _ = precision_recall_curve(test_y, margin(runs[0][1]))
    axes.plot(recall, precision, color=colour, linewidth=1.4, label=name)
    p, r, _ = precision_recall_f1(test_y, answers[name][0], 2)
    axes.plot(r[1], p[1], marks[name], color=colour, markersize=9)
p, r, _ = precision_recall_f1(test_y, answers["moved threshold"][0], 2)
axes.plot(r[1], p[1], "*", color=learn.RED, markersize=17, label="moved threshold", linestyle="")
axes.axhline(test_y.mean(), color=learn.GREY, linestyle="--", linewidth=0.8)
axes.text(0.99, test_y.mean() + 0.015, "guessing", ha="right", color=learn.GREY, fontsize=9)
axes.set(xlim=(0, 1), ylim=(0, 1.02))
axes.set(xlabel="recall: share of the rare rows that are found", ylabel="precision")
axes.set_title("The remedies differ less in the curve than in where they stand on it")
axes.legend(frameon=False)
learn.picture(figure, "20_the_rare_class")

# %% [markdown]
# ## Exercise (implement it)
#
# `lessons/exercises/ex20.py`: the class weights, and the focal loss from scores, however huge.
# Check with `minift learn check 20`.

# %%
learn.result(
    lesson=20,
    metric="macro-F1 of the plain model with a chosen threshold",
    value=f1["moved threshold"],
    baseline=f1["plain"],
    against="the same at threshold ½",
    interval=(low, high),
    passed=f1["moved threshold"] > f1["plain"] + 0.02 and nothing < 0.5,
    also={name: f1[name] for name in REMEDIES[1:]}
    | {"over-sampling, own threshold": own["over-sampling"], "always 0": nothing},
)
