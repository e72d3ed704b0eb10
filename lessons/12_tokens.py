# %% [markdown]
# # Lesson 12: Tokens
#
# - **You build:** a vocabulary of word pieces, the cutting of text into them, and batches that
#   waste nothing
# - **You need:** lesson 07 (data); nothing but what ships
# - **Time:** 30 minutes to read, 20 seconds to run
# - **Exercise:** implement it
#
# A network eats numbers. Images are numbers already; text is not. So text is cut into pieces, the
# *tokens*, and each piece has a number, its *id*. Which pieces?
#
# - *Characters*: some hundred of them write everything, but a sentence becomes very long, and a
#   character means nothing by itself.
# - *Words*: short sentences, but there is no end of words. Whatever was not in the training text is
#   unknown: `unzipped`, `brûlée`, every name.
# - *Pieces of words*: frequent words stay whole, rare ones are cut: `un ##zip ##ped`. Nothing is
#   unknown, and sentences stay short. All language models do this.
#
# The sign `##` says "this piece continues a word". It makes the cutting reversible.

# %%
import collections
import itertools
import re

import numpy as np

import minift as mf
from minift import learn
from minift.data.wordpiece_training import learn_pieces

glosses = mf.data.load_glosses()
texts, test_texts = glosses.unlabelled[:5000], glosses.test[0]
print(f"{len(texts)} definitions to learn pieces from, such as {texts[7]!r}")

# %% [markdown]
# ## Learning the pieces
#
# Start with single characters. Count how often each pair of neighbouring pieces occurs, join the
# most frequent pair everywhere, and count again. Every join adds a piece to the vocabulary. This is
# *byte-pair encoding* (BPE), and BERT's *WordPiece* vocabularies are learned nearly the same way.

# %%


def words_of(text):
    """Lower-case words; each punctuation mark is a word of its own."""
    return re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower())


def joined(pieces, pair):
    """The pieces with every occurrence of the pair replaced by one piece, from left to right."""
    out = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece.removeprefix("##")
        else:
            out.append(piece)
    return out


def learn_joins(word_counts, joins):
    """The pieces that `joins` joins make, in order."""
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in word_counts}
    made = []
    for _ in range(joins):
        counts = collections.Counter()
        for word, pieces in cut.items():
            for pair in itertools.pairwise(pieces):
                counts[pair] += word_counts[word]
        best = min(counts, key=lambda pair: (-counts[pair], pair))  # of equals the first by name
        made.append(best[0] + best[1].removeprefix("##"))
        for word, pieces in cut.items():
            if best[0] in pieces:
                cut[word] = joined(pieces, best)
    return made


word_counts = collections.Counter(word for text in texts[:1500] for word in words_of(text))
ours = learn_joins(word_counts, 150)
characters = len(set("".join(word_counts))) + len({c for word in word_counts for c in word[1:]})
theirs = learn_pieces(word_counts, characters + 150, min_frequency=1, alphabet_limit=1000)
print("first joins:", " ".join(ours[:16]))
print("last joins: ", " ".join(ours[-8:]))
assert ours == theirs[characters:]

# %% [markdown]
# First come syllables like `##in` and `##er`, later whole words. Our loop counts everything anew
# for each join; the library touches only the words that changed, which is all the difference.
#
# ## Cutting a word
#
# With the vocabulary made, a word is cut from the left: take the **longest** piece that fits, then
# go on behind it. If at some place nothing fits, the whole word is unknown, `[UNK]`.

# %%
tokenizer = mf.data.WordPieceTokenizer.train(texts, vocab_size=4000)


def cut(word, vocabulary):
    pieces, start = [], 0
    while start < len(word):
        sign = "##" if start else ""
        ends = range(len(word), start, -1)  # the longest first
        end = next((e for e in ends if sign + word[start:e] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(sign + word[start:end])
        start = end
    return pieces


vocabulary = set(tokenizer.pieces)
for word in ("dog", "unzipped", "creme", "ξ"):
    print(f"{word:<10}{' '.join(cut(word, vocabulary))}")
plain = [text for text in test_texts if text.isascii()]
by_hand = [[piece for w in words_of(text) for piece in cut(w, vocabulary)] for text in plain]
same = [pieces == tokenizer.tokenize(text) for pieces, text in zip(by_hand, plain)]
print(f"same pieces as the library: {np.mean(same):.1%} of {len(plain)} test definitions")
assert all(same)

# %% [markdown]
# Real text needs more care before the cutting: `é` becomes `e`, Chinese characters stand alone,
# control characters vanish. `explain` shows each stage.

# %%
print(tokenizer.explain("Crème brûlée, unzipped 東京!"))


def squeezed(text):
    """What must survive: the words, without the spaces between them."""
    return "".join(words_of(text))


known = [text for text, pieces in zip(plain, by_hand) if "[UNK]" not in pieces]
whole = [squeezed(tokenizer.decode(tokenizer.encode(text))) == squeezed(text) for text in known]
print(f"without an unknown word: {len(known) / len(plain):.1%} of the test definitions")
print(f"of these, there and back again: {np.mean(whole):.1%}")

# %% [markdown]
# ## How many pieces?
#
# A larger vocabulary makes shorter sentences, but each piece needs a row of weights and is seen
# less often. Forty times as many pieces only halve the tokens (picture, left).

# %%
sizes = [200, 500, 1000, 2000, 4000, 8000]
lengths = []
for size in sizes:
    encoded = mf.data.WordPieceTokenizer.train(texts, size).encode_all(test_texts[:1000])
    lengths.append(np.mean([len(ids) for ids in encoded]))
print("tokens a definition:", {s: round(float(n), 1) for s, n in zip(sizes, lengths)})

# %% [markdown]
# ## Batches without waste
#
# A batch is a rectangle, texts are not equally long: shorter rows are filled with `[PAD]`. The
# network computes on the padding too, for nothing.
#
# > **Erratum E11.** The articles pad *every* text to 128 tokens. Our definitions have about 20. Pad
# > to the longest text **of the batch**, and put texts of like length into one batch (*buckets*).
#
# We count: how many tokens must be computed for each real one?

# %%
encoded = tokenizer.encode_all(test_texts, max_length=128, truncation=True)
rows = np.array([len(ids) for ids in encoded])


def cost(batches, width=None):
    """Tokens computed, padding and all, for each real one."""
    computed = sum(len(batch) * (width or rows[batch].max()) for batch in batches)
    return float(computed / rows.sum())


def in_order(batch_size=32):
    return np.split(np.arange(len(rows)), range(batch_size, len(rows), batch_size))


to_128, to_longest = cost(in_order(), 128), cost(in_order())
buckets = mf.data.BucketSampler(rows, batch_tokens=32 * 20, seed=0).batches(epoch=0)
assert sorted(np.concatenate(buckets).tolist()) == list(range(len(rows)))  # each text once
bucketed = cost(buckets)
print(f"to 128 {to_128:.2f}, to the longest {to_longest:.2f}, in buckets {bucketed:.2f}")

# %%
figure, (left, right) = learn.new_figure(columns=2, width=7.8, height=3.4)
left.plot(sizes, lengths, "o-", color=learn.BLUE)
left.set(xscale="log", ylim=(0, 40))
left.set(xlabel="pieces in the vocabulary", ylabel="tokens a definition")
left.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8)
left.minorticks_off()
left.set_title("Forty times as many pieces\nonly halve the tokens")
names = ["to 128", "to the longest\nof the batch", "in buckets"]
bars = right.bar(names, [to_128, to_longest, bucketed], color=[learn.GREY, learn.SKY, learn.BLUE])
right.bar_label(bars, fmt="%.2f")
right.axhline(1, color=learn.BLACK, linewidth=0.8, linestyle="--")
right.set(ylabel="tokens computed for a real one")
right.set_title("Padding: the same texts,\na sixth of the work")
learn.picture(figure, "12_tokens")

# %% [markdown]
# ## With a real BERT's vocabulary
#
# `minift fetch minilm` brings a real BERT with its 30,522 pieces. If it is there, look at how it
# cuts.

# %%
try:
    real = mf.data.WordPieceTokenizer.from_pretrained("minilm")
    print("a real BERT:", " ".join(real.tokenize("Crème brûlée, unzipped 東京!")))
except (OSError, ValueError):
    print("not fetched: minift fetch minilm")

# %% [markdown]
# ## Exercise (implement it)
#
# `lessons/exercises/ex12.py`: cut a word by the longest match, and turn the pieces back into text.
# Check with `minift learn check 12`.

# %%
learn.result(
    lesson=12,
    metric="tokens computed for each real one, in buckets",
    value=bucketed,
    baseline=to_128,
    against="padded to 128",
    passed=all(same) and np.mean(whole) == 1 and bucketed < to_longest < to_128,
    also={"padded to the longest": to_longest, "there and back again": np.mean(whole)},
)
