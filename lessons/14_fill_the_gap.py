# %% [markdown]
# # Lesson 14: Fill the gap: a mini-BERT
#
# - **You build:** the task that BERT learns from, hidden words with tied output weights, and a
#   small BERT that solves it
# - **You need:** lessons 05 (cross-entropy), 12 (tokens) and 13 (attention); nothing but what ships
# - **Time:** 40 minutes to read, 70 seconds to run
# - **Exercise:** implement it
#
# "A person who [MASK] music": you know which words could stand there, although nobody has ever
# labelled this sentence for you. You know it because you know English. Turn it round: whoever
# learns to fill gaps must learn something about English on the way. And gaps cost nothing: take any
# text, hide some words, and ask for them back. This is *masked language modelling*, the task with
# which BERT is *pre-trained*.
#
# Be careful with words here (erratum E76): this is neither unsupervised nor semi-supervised
# learning. There is a target for every gap, and the loss is the cross-entropy of lesson 05. Only,
# the targets are made from the text itself: *self-supervised*. Another thing that BERT is not
# (erratum E19) is a model of the *next* word. It sees both sides of the gap; lesson 15 does not.

# %%
import math

import numpy as np

import minift as mf
from minift import learn
from minift.quickstart.recipe import carry_more

glosses = mf.data.load_glosses()
tokenizer = mf.data.WordPieceTokenizer.train(glosses.unlabelled[:20_000], vocab_size=4000)
texts = tokenizer.dataset(glosses.unlabelled, max_length=64)
held_out = tokenizer.dataset(glosses.dev[0], max_length=64)
print(f"{len(texts):,} definitions to learn from, {len(held_out):,} held out, such as")
print("  ", glosses.dev[0][2])

# %% [markdown]
# ## Hiding words
#
# Choose 15 % of the tokens, by a throw of the dice for each. Fewer, and there is little to learn
# from a text; more, and too little of it is left to guess from. *Special* tokens, such as `[CLS]`
# and padding, are never chosen. Now put `[MASK]` there? Then the model would learn that only
# `[MASK]` needs a thought, and would care about no other token; but later, in real use, there is no
# `[MASK]` at all. So of the chosen tokens
#
# - 80 % become `[MASK]`,
# - 10 % become a random token, so that no token can be trusted blindly,
# - 10 % stay as they are, so that the model may not simply distrust what it sees.
#
# All of them are asked for. The *labels* hold the old id at the chosen places, and −100 everywhere
# else, which the loss leaves out (lesson 05). If nothing was chosen in a text, one token is.

# %%
special = set(tokenizer.special_ids)  # [PAD] [UNK] [CLS] [SEP] [MASK]
ordinary = [i for i in range(tokenizer.vocab_size) if i not in special]


def hide(ids, rng):
    """One text: its ids with some hidden, and the labels."""
    seen, labels = list(ids), [-100] * len(ids)
    places = [t for t, token in enumerate(ids) if token not in special]
    chosen = [t for t in places if rng.random() < 0.15]
    for t in chosen or [rng.choice(places)]:  # at least one
        labels[t], fate = ids[t], rng.random()
        if fate < 0.8:
            seen[t] = tokenizer.mask_id
        elif fate < 0.9:
            seen[t] = rng.choice(ordinary)
    return seen, labels


def shares(ids, seen, labels):
    """Of all ordinary tokens: chosen. Of the chosen: hidden, replaced, left as they were."""
    chosen = labels != -100
    masked, left = seen == tokenizer.mask_id, seen == ids
    fates = [(fate & chosen).sum() / chosen.sum() for fate in (masked, ~masked & ~left, left)]
    return [chosen.sum() / (~np.isin(ids, list(special))).sum(), *fates]


rng = np.random.default_rng(0)
rows = [held_out[i]["input_ids"] for i in range(1000)]
by_hand = [hide(row, rng) for row in rows]
ours = shares(*(np.concatenate(part) for part in (rows, *zip(*by_hand))))
library = [mf.data.mask_tokens(row[None], tokenizer, rng=rng) for row in rows]
theirs = shares(*(np.concatenate(part, axis=None) for part in (rows, *zip(*library))))
print("           chosen  [MASK]  random  as it was")
print("by hand   ", "   ".join(f"{share:.3f}" for share in ours))
print("library   ", "   ".join(f"{share:.3f}" for share in theirs))
assert np.abs(np.subtract(ours, theirs)).max() < 0.03

# %% [markdown]
# > **Erratum E93.** "Mask some tokens and predict them" is all that the article says. What matters
# > is left out: 15 % of the tokens **that are not special** (`[CLS]` and padding need no guessing);
# > 80/10/10; the loss at the chosen places **only**; and **at least one** in each text. A batch in
# > which nothing is chosen has a loss of 0/0 = NaN, and one NaN spoils all weights.
#
# The shares are a little above 15 %, because very short texts must give one token, too.
#
# ## The model
#
# It is the block of lesson 13 with 128 numbers a token. BERT stacks twelve blocks; one block is
# enough for our time. Above it stands one more small layer, `transform` (`Linear`, GELU,
# `LayerNorm`), which makes a vector *h* of 128 numbers for each place. From the *h* of a gap the
# last step has to make a score for each of the V = 4,000 tokens of the vocabulary. That would be a
# large matrix; but we have one already: the table *E* of the embeddings, whose row *E*ᵥ says what
# token *v* means. The score is a scalar product plus a bias *b*ᵥ, and softmax makes it a
# probability:
#
# $$\text{score}_v = h \cdot E_v + b_v, \qquad
#   p_v = \frac{\exp(\text{score}_v)}{\sum_{u=1}^{V} \exp(\text{score}_u)}.$$
#
# The same weights serve at both ends (they are *tied*): the gap's vector must point to where the
# missing word lies. The bias *b* starts at the logarithms of the tokens' frequencies: then the
# model begins near the unigram line (see below), and wastes no step on getting there. (Each count
# is taken one higher, as no frequency may be 0.)
#
# The loss is −log *p* of the right token, averaged over the *n* chosen places. Its unit is the
# *nat*, that of the natural logarithm: *k* nats are what guessing among e to the *k* equally likely
# tokens costs.

# %%
mf.manual_seed(0)
config = mf.models.BertConfig(
    vocab_size=tokenizer.vocab_size, hidden_size=128, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=512, max_position_embeddings=64, initializer_range=0.05,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
model = mf.models.BertForMaskedLM(config)
# What attention carries starts 2.5 times as strong: a gap hears its neighbours from the first step.
carry_more(model, 2.5)
counts = np.bincount(texts.ids, minlength=config.vocab_size)
counts[tokenizer.special_ids] = 0
frequency = (counts + 1) / (counts + 1).sum()
model.cls.predictions.bias.data = np.log(frequency).astype("float32")


def loss_by_hand(batch):
    """−1/n Σ log p of the right token, over the n chosen places."""
    h = model.cls.predictions.transform(model.bert(batch["input_ids"], batch["attention_mask"]))
    E, b = model.bert.embeddings.word_embeddings.weight, model.cls.predictions.bias
    log_p = mf.functional.log_softmax(h @ E.T + b, axis=-1).numpy()  # (B, T, V)
    rows, places = np.nonzero(batch["labels"] != -100)
    return -log_p[rows, places, batch["labels"][rows, places]].mean()


def batches(data):
    """Batches of about 2,048 tokens, with other words hidden each time."""
    sampler = mf.data.BucketSampler(data.lengths, 2048, seed=0)
    return mf.data.DataLoader(data, sampler=sampler, collate_fn=mf.data.MaskingCollator(tokenizer))


objective = mf.objectives.MaskedLM()
batch = next(iter(batches(held_out)))
print(
    f"loss by hand {loss_by_hand(batch):.5f}, the library's {objective(model, batch)[0].item():.5f}"
)
assert abs(loss_by_hand(batch) - objective(model, batch)[0].item()) < 1e-4

# %% [markdown]
# ## The honest baseline
#
# How far does one get without reading the text at all? Always say the most frequent token; or give
# each token its frequency as probability. The second has a loss of −log(frequency of the right
# token), on average: the *unigram* line. A model that stays on this line has learned nothing about
# language but a list of frequencies. Many first attempts at pre-training end there unnoticed.

# %%
hidden = np.concatenate([batch["labels"].reshape(-1) for batch in batches(held_out)])
hidden = hidden[hidden != -100]
unigram, most_frequent = -np.log(frequency[hidden]).mean(), (hidden == frequency.argmax()).mean()
print(f"{len(hidden):,} words are hidden in the held-out definitions")
print(f"without reading: loss {unigram:.3f}, always {tokenizer.pieces[frequency.argmax()]!r}: "
      f"{most_frequent:.3f} right")  # fmt: skip

# %%
settings = mf.TrainConfig(steps=1000, lr=3e-3, seed=0, device="cpu")
trainer = mf.Trainer(model, batches(texts), objective=objective, config=settings)
history = trainer.fit()
reached = trainer.evaluate(batches(held_out))
print(f"with reading:    loss {reached['loss']:.3f}, {reached['accuracy']:.3f} right")

# %% [markdown]
# The model has seen each definition about once. Let it fill some gaps. WordNet's definitions
# are a language of their own, so we ask in this language.


# %%
def fill(text, count=5):
    """The likeliest tokens for the one [MASK] in a text, with their probabilities."""
    batch = tokenizer(text)
    place = np.flatnonzero(batch["input_ids"][0] == tokenizer.mask_id)
    with mf.no_grad():
        scores = model(**batch, positions=place)  # of the gap only, (1, V)
        p = mf.functional.softmax(scores, axis=-1).numpy()[0]
    return [(tokenizer.pieces[i], float(p[i])) for i in np.argsort(-p)[:count]]


gaps = ["a [MASK] who plays music", "any of various plants of the [MASK] liliaceae",
        "make or become [MASK] cold", "a city in southern [MASK]"]  # fmt: skip
for gap in gaps:
    print(f"{gap}:  ", ", ".join(f"{word} {p:.2f}" for word, p in fill(gap)))

# %% [markdown]
# ## The picture
#
# Left: the loss in training; each point is the mean of ten steps, and the dashed line is what
# frequencies alone would pay. The model leaves it after a hundred steps and goes on falling. Right:
# what the trained model puts into the first gap, and how sure it is. (`##ist` is a word's end, as
# in lesson 12.) One block and a thousand steps are little: into the other gaps it puts frequent
# words that fit half-way, and is not sure of them.

# %%
figure, (left, right) = learn.new_figure(columns=2, width=7.8, height=3.5)
losses = np.array(history["loss"])
smooth = losses[: len(losses) // 10 * 10].reshape(-1, 10).mean(axis=1)
left.plot(np.arange(len(smooth)) * 10 + 5, smooth, color=learn.BLUE, label="mini-BERT, in training")
left.axhline(unigram, color=learn.RED, linestyle="--", label="unigram: without reading")
left.set(xlabel="step", ylabel="loss, nats a hidden word", title="Below what frequencies can say")
left.legend(frameon=False)
words, p = zip(*reversed(fill(gaps[0])))
bars = right.barh(words, p, color=learn.BLUE)
right.bar_label(bars, fmt="%.2f", padding=2)
right.set(xlabel="probability", xlim=(0, 1.15 * max(p)), title=gaps[0])
learn.picture(figure, "14_fill_the_gap")

# %% [markdown]
# ## Does the next sentence follow?
#
# BERT had a second task: given two pieces of text, does the second follow the first? Half of the
# pairs do, the others are drawn at random. This is *next sentence prediction*, NSP.
#
# > **Erratum E94.** The article names the task and stops. What it leaves out decides what is
# > learned. In published weights label **0** means "follows" and **1** "random". And where does the
# > random piece come from? If from **another document**, it often has another *topic*, and
# > comparing words helps to tell; if from the **same document**, only what holds neighbours
# > together helps.
#
# We can show this without any network. Score a pair by the tokens that both pieces share, rare ones
# counting more: each counts log(frequency of the most frequent token / its own frequency). How
# often has a pair that follows a higher score than a random one, ties counting half? Guessing gives
# .5. The documents are the chapters of "Moby-Dick".

# %%
segments = mf.data.Segments(mf.data.load_moby_dick().train, tokenizer, max_length=64, least=4)
counts = np.bincount(np.concatenate(segments.ids), minlength=config.vocab_size) + 1.0
worth = np.log(counts.max() / counts)  # of a shared token


def topics(negatives):
    """How often word overlap puts a pair that follows above a random one."""
    collate = mf.data.PairingCollator(segments, negatives)
    pairs = collate(segments[np.arange(len(segments))])
    scores = []
    for row, piece in zip(pairs["input_ids"], pairs["token_type_ids"]):  # piece 0, piece 1
        shared = np.setdiff1d(np.intersect1d(row[piece == 0], row[piece == 1]), list(special))
        scores.append(worth[shared].sum())
    scores, random = np.array(scores), pairs["next_sentence_label"] == 1
    difference = scores[~random][:, None] - scores[random]
    return (difference > 0).mean() + 0.5 * (difference == 0).mean()


other, own = topics("other-documents"), topics("same-document")
print(f"random pieces of other chapters: {other:.3f}; of the same chapter: {own:.3f}")

# %% [markdown]
# Shared words betray a piece of another chapter more often than one of the same chapter. Both
# numbers are far from 1, since all chapters tell of one voyage. The more the documents differ, the
# more the first question is one of topic only, and the less a model learns from it.
#
# ## Exercise (implement it)
#
# `lessons/exercises/ex14.py`: `mask_tokens` for whole batches. The check counts what your function
# does to 100,000 tokens, and computes how probable such counts would be if the shares were right.
# Check with `minift learn check 14`.

# %%
half = 1.96 * math.sqrt(reached["accuracy"] * (1 - reached["accuracy"]) / len(hidden))
learn.result(
    lesson=14,
    metric="hidden words guessed right",
    value=reached["accuracy"],
    baseline=most_frequent,
    against="always the most frequent word",
    interval=(reached["accuracy"] - half, reached["accuracy"] + half),
    passed=reached["accuracy"] > 3 * most_frequent and reached["loss"] < unigram - 1,
    also={
        "loss": reached["loss"],
        "unigram loss": unigram,
        "chosen": ours[0],
        "word overlap, other chapters": other,
        "word overlap, same chapter": own,
    },
)
