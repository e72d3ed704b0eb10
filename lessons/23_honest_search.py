# %% [markdown]
# # Lesson 23: Honest search
#
# - **You build:** grid search, random search, successive halving, and nested cross-validation,
#   which says what the winner of a search is really worth
# - **You need:** lessons 07 (splits, intervals) and 08 (the Trainer); the digits that ship
# - **Time:** 40 minutes to read, 25 seconds to run
# - **Exercise:** implement it
#
# Training finds the weights. Somebody else has to choose the learning rate, the width of the
# network, the number of epochs. These are *hyper-parameters*; here we just say *settings*. To
# choose them there is one way only: try some, and see.
#
# > **Erratum E44, E71.** One article calls the search for settings a kind of *fine-tuning*, and
# > shows it with a model that was never pre-trained. It is nothing of the kind. It is *model
# > selection*: it chooses the settings of any training, from scratch or not.
# >
# > **Erratum E73.** "Cross-validation *or* grid search": these are two different jobs. A grid
# > *proposes* settings, cross-validation *judges* them. One needs both.
#
# So this lesson has two halves. What shall we propose? And whom may we believe?

# %%
import math

import numpy as np

import minift as mf
from minift import learn, search

digits = mf.data.load_digits()
images, labels = digits.train[0].reshape(-1, 64), digits.train[1]
test = digits.test[0].reshape(-1, 64), digits.test[1]

# %% [markdown]
# ## What is tried
#
# The task: a network with one hidden layer learns 200 digits. Another 200 digits, the *validation*
# rows, choose the settings. The 500 test digits have no say; they are looked at once, at the very
# end. `objective(settings, budget, seed)` does one *trial*: it trains for `budget` epochs and
# returns the accuracy on the validation rows.

# %%


def accuracy(model, x, y):
    with mf.no_grad():
        return float((model(x).numpy().argmax(axis=1) == y).mean())


def trained(settings, budget, seed):
    mf.manual_seed(seed)
    shape = mf.models.MLPConfig(input_size=64, hidden_sizes=(settings["hidden"],), num_labels=10)
    model, rows = mf.models.MLP(shape), np.random.default_rng(seed).permutation(len(labels))[:200]
    mf.Trainer(
        model,
        mf.data.ArrayDataset(x=images[rows], labels=labels[rows]),
        objective=mf.objectives.Classification(),
        config=mf.TrainConfig(epochs=budget, lr=settings["lr"], seed=seed, device="cpu"),
    ).fit()
    return model


def objective(settings, budget, seed):
    rows = np.random.default_rng(seed).permutation(len(labels))[200:400]
    return accuracy(trained(settings, budget, seed), images[rows], labels[rows])


# %% [markdown]
# ## Numbers that live on a logarithmic scale
#
# The learning rate may lie anywhere from *a* = 0.0001 to *b* = 1. Draw it uniformly between the
# two, and nine of ten draws are above 0.1: the small rates are hardly ever tried. But the step from
# 0.001 to 0.01 matters as much as the step from 0.1 to 1. So let the *logarithm* be uniform:
#
# $$u \sim \text{Uniform}(0, 1), \qquad \text{rate} = \exp(\log a + u \, (\log b - \log a)).$$
#
# Now each power of ten gets the same share of the draws.

# %%


def log_uniform(low, high, u):
    return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))


draw = np.random.default_rng(0).random(10_000)  # from 0 to 1
linear, logarithmic = 1e-4 + (1 - 1e-4) * draw, [log_uniform(1e-4, 1, u) for u in draw]
for name, values in (("uniform", linear), ("log-uniform", logarithmic)):
    shares = np.histogram(values, bins=[1e-4, 1e-3, 1e-2, 1e-1, 1])[0] / len(values)
    print(f"{name:<12} share of each power of ten: {np.round(shares, 3)}")

# %% [markdown]
# ## Proposing: a grid, or chance
#
# A *grid* takes 8 rates and 8 widths and tries all 64 pairs. *Random search* draws rate and width
# anew for every trial. It sounds careless, and is not. Usually few settings matter. If only the
# rate mattered, the 64 trials of the grid would try 8 rates, each of them 8 times. 16 random trials
# try 16 rates.
#
# Only, chance lumps. Cut the range into 16 equal parts: 16 draws leave (1 − 1/16)¹⁶, more than a
# third, of them empty. So a draw goes where none has been. The first two lie in different halves of
# the range, the first four in different quarters, and so on. For rate and width that is done
# separately: which rate meets which width stays chance. It is called a *Latin hypercube*.

# %%
space = {"lr": search.log_uniform(1e-4, 1), "hidden": search.integer(8, 128)}


def grid(points):
    rates = np.geomspace(1e-4, 1, points).tolist()  # equal factors, not equal steps
    widths = np.linspace(8, 128, points).round().astype(int).tolist()
    return [{"lr": lr, "hidden": h} for lr in rates for h in widths]


def stratified(number, rng):
    """Of the first 1, 2, 4, 8, ... numbers one lies in each of as many equal parts of 0 to 1."""
    drawn = [rng.random()]
    while len(drawn) < number:
        parts = 2 * len(drawn)
        empty = sorted(set(range(parts)) - {int(parts * x) for x in drawn})
        drawn += [(part + rng.random()) / parts for part in rng.permutation(empty)]
    return drawn[:number]


def draws(number, seed):
    rates, widths = (stratified(number, np.random.default_rng([seed, i])) for i in (0, 1))
    found = zip([log_uniform(1e-4, 1, u) for u in rates], [8 + int(121 * u) for u in widths])
    return [{"lr": lr, "hidden": hidden} for lr, hidden in found]


EPOCHS = 9
assert grid(8) == search.grid(space, points=8)
assert draws(16, seed=0) == search.draws(space, 16, seed=0)
ours = max(draws(16, seed=0), key=lambda one: objective(one, EPOCHS, 0))
assert ours == search.random_search(objective, space, trials=16, budget=EPOCHS).best.settings

# %% [markdown]
# ## Stop the hopeless early
#
# A rate of 0.0001 gets nowhere, and one sees it after the first epoch. *Successive halving* spends
# its time accordingly: 27 settings for 1 epoch, the best third of them for 3 epochs, the best third
# of those for 9. (The name comes from keeping a half; a third is as good.) Every round costs the
# same: 27 × 1 = 9 × 3 = 3 × 9 epochs.

# %%


def halving(trials, budgets, seed):
    """The settings that are left after the last budget."""
    rung = list(enumerate(draws(trials, seed)))
    for budget in budgets:
        scores = {number: objective(one, budget, seed) for number, one in rung}
        rung.sort(key=lambda trial: (-scores[trial[0]], trial[0]))  # of equals the first drawn
        rung = rung[: max(1, len(rung) // 3)]
    return rung[0][1]


def library_halving(seed):
    return search.successive_halving(objective, space, trials=27, smallest=1, largest=9, seed=seed)


assert halving(27, [1, 3, 9], seed=0) == library_halving(0).best.settings

# %% [markdown]
# Now the comparison, for five seeds. Each seed draws its own 400 digits. The winner of each search
# is trained again, and judged on the test digits, which nobody has seen.

# %%
found = {"grid, 64 trials": [], "random, 16 trials": [], "halving, 27 trials": []}
for seed in range(5):
    whole = search.grid_search(objective, space, points=8, budget=EPOCHS, seed=seed)
    few = search.random_search(objective, space, trials=16, budget=EPOCHS, seed=seed)
    if seed == 0:
        surface, drawn = np.reshape([trial.score for trial in whole.trials], (8, 8)), few
    for name, result in zip(found, (whole, few, library_halving(seed))):
        found[name].append(accuracy(trained(result.best.settings, EPOCHS, seed), *test))
for (name, reached), epochs in zip(found.items(), (64 * 9, 16 * 9, 27 + 9 * 3 + 3 * 9)):
    print(f"{name:<19} {epochs:>3} epochs in all, test accuracy {np.mean(reached):.3f}")
by_grid, by_chance, by_halving = found.values()
gap, low, high = mf.metrics.paired_interval(by_chance, by_grid)
print(f"random minus grid: {100 * gap:+.1f} points (95 %: {100 * low:+.1f} to {100 * high:+.1f})")

# %% [markdown]
# A quarter of the work, and the loss is within a point. Halving needs still fewer epochs. The grid
# is not *wrong*: with two settings one can afford it. With six settings it would need 8⁶ = 262,144
# trials, and 16 random draws are still 16.
#
# ## Judging: the winner is lucky
#
# Somebody shows you the best of 64 settings, with the score by which it was chosen. How good is it
# really? Think of 64 people who toss a coin ten times each. The best of them has eight or nine
# heads. Nobody expects that of his *next* ten tosses: he was chosen for his luck. A score that
# chose something is too high, even if every single score is fair.
#
# Let us make a case in which we know the truth. Take 40 images of a 3 or an 8, and **shuffle the
# labels**. Nothing can be learned, and the true accuracy of anything is ½. The model is as simple
# as can be: which class mean is nearer? The settings say which pixels it looks at.

# %%


def nearest_mean(train, held, settings, seed):
    """Accuracy on `held` if each row gets the class whose mean in `train` is nearer."""
    (x, y), (held_x, held_y) = train, held
    pixels = np.random.default_rng(settings["draw"]).permutation(64)[: settings["pixels"]]
    means = np.stack([x[y == c][:, pixels].mean(axis=0) for c in (0, 1)])
    distances = ((held_x[:, None, pixels] - means) ** 2).sum(axis=2)  # (rows, 2)
    return float((distances.argmin(axis=1) == held_y).mean())


def folds(x, y, k):
    """k times (training part, held-out part), each part as (x, y)."""
    return [((x[t], y[t]), (x[h], y[h])) for t, h in mf.data.k_folds(len(y), k, stratify=y)]


def validated(candidates, x, y, k):
    """The cross-validated score of each candidate: its mean over the k held-out parts."""
    parts = folds(x, y, k)
    return [np.mean([nearest_mean(t, h, one, 0) for t, h in parts]) for one in candidates]


# %% [markdown]
# *Plain* cross-validation scores each candidate, takes the best, and reports its score. *Nested*
# cross-validation treats the choice as a part of the training. It holds out a fold, makes the whole
# choice with the other folds (which needs folds within folds), and scores what was chosen on the
# fold that had no say. This again for each fold.

# %%


def nested(candidates, x, y):
    scores = []
    for train, held in folds(x, y, 5):
        inner = validated(candidates, *train, k=4)
        scores.append(nearest_mean(train, held, candidates[int(np.argmax(inner))], 0))
    return np.mean(scores)


kept = np.flatnonzero(np.isin(labels, (3, 8)))
pairs, eights = images[kept], (labels[kept] == 8).astype(int)
what = {"draw": search.integer(0, 10**6), "pixels": search.integer(5, 64)}


def forty(seed):
    """40 rows, 20 of each class; as the labels are shuffled, these are no classes at all."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(eights)
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:20] for c in (0, 1)])
    return pairs[rows], y[rows]


x, y = forty(0)
candidates = search.draws(what, 10, seed=0)
theirs = search.nested_cross_validate(nearest_mean, x, y, candidates=candidates, stratify=y)
assert abs(nested(candidates, x, y) - theirs.mean) < 1e-12

# %% [markdown]
# How much does the luck grow with the number of candidates? The mean of 20 repetitions, each with
# its own shuffle and its own candidates:

# %%
COUNTS = [1, 4, 16, 64]
plain_scores, nested_scores = np.zeros((2, 20, len(COUNTS)))
for seed in range(20):
    x, y = forty(seed)
    candidates = search.draws(what, COUNTS[-1], seed)
    single = validated(candidates, x, y, k=5)
    for i, count in enumerate(COUNTS):
        plain_scores[seed, i] = max(single[:count])
        nested_scores[seed, i] = nested(candidates[:count], x, y)
for count, plain, fair in zip(COUNTS, plain_scores.mean(axis=0), nested_scores.mean(axis=0)):
    print(f"best of {count:>2} candidates: plain {plain:.3f}, nested {fair:.3f}, truth 0.500")

# %% [markdown]
# With one candidate both are fair. With 64, plain cross-validation finds much in labels that mean
# *nothing*. What it reports above the truth is its *optimism*. Nested cross-validation stays at
# about a half, however many candidates there are.
#
# Where there is something to be found the optimism is smaller, but it is there. So never report the
# score that chose. If you have rows enough, a test part that you open once says the truth for less
# work (erratum E17). If rows are few, nest.
#
# ## The picture

# %%
figure, (left, right) = learn.new_figure(columns=2, width=9.2, height=3.9)
rates, widths = np.geomspace(1e-4, 1, 8), np.linspace(8, 128, 8).round()
shown = left.pcolormesh(widths, rates, surface, cmap="cividis", shading="nearest", vmin=0, vmax=1)
places = [(trial.settings["hidden"], trial.settings["lr"]) for trial in drawn.trials]
left.plot(*zip(*places), "o", color="white", markeredgecolor=learn.BLACK)
left.set(yscale="log", xlabel="hidden units", ylabel="learning rate")
left.set_title("64 scores of a grid, 16 random draws (dots):\nthe rate matters, the width hardly")
figure.colorbar(shown, ax=left, label="validation accuracy")
names = ["plain: the score that chose", "nested"]
for values, colour, name in zip([plain_scores, nested_scores], [learn.RED, learn.BLUE], names):
    error = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    right.errorbar(COUNTS, values.mean(axis=0), error, fmt="o-", color=colour, label=name)
right.axhline(0.5, color=learn.BLACK, linestyle="--", linewidth=0.8, label="the truth")
right.set(xscale="log", ylim=(0.35, 0.75), xlabel="candidates tried", ylabel="accuracy")
right.set_xticks(COUNTS, COUNTS)
right.minorticks_off()
right.set_title("Shuffled labels: the more you try,\nthe better it looks")
right.legend(loc="upper left", fontsize=8, frameon=False)
learn.picture(figure, "23_honest_search")

# %% [markdown]
# ## Exercise (implement it)
#
# `lessons/exercises/ex23.py`: the sampler on which every random search of learning rates stands,
# and the grid that goes with it. Check with `minift learn check 23`.

# %%
_, low, high = mf.metrics.paired_interval(by_chance, np.zeros(5))  # of the mean over seeds
optimism = plain_scores[:, -1].mean() - 0.5
learn.result(
    lesson=23,
    metric="test accuracy of the best of 16 random trials",
    value=np.mean(by_chance),
    baseline=np.mean(by_grid),
    against="the best of a grid of 64",
    interval=(low, high),
    passed=gap > -0.01 and optimism > 0.05 > abs(nested_scores[:, -1].mean() - 0.5),
    also={
        "halving, at 81 epochs": np.mean(by_halving),
        "shuffled labels, plain": plain_scores[:, -1].mean(),
        "shuffled labels, nested": nested_scores[:, -1].mean(),
    },
)
