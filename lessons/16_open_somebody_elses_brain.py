# %% [markdown]
# # Lesson 16: Open somebody else's brain
#
# - **You build:** a reader of weight files, the translation of their names, a report of what was
#   loaded, and a new head that the configuration knows of
# - **You need:** lessons 04 (names of parameters), 12 (tokens), 13 (attention); the checkpoint
#   `tiny`, which ships; with `minift fetch minilm` the lesson does more
# - **Time:** 35 minutes to read, 5 seconds to run
# - **Exercise:** fix the bug
#
# Others have trained models for months and give the result away: a folder with a few files. This
# lesson opens such a folder without any library for it. There are 30 lines to write and four ways
# to get them wrong that nobody notices, because the program runs and prints numbers.
#
# A model folder holds three things:
#
# - `config.json`, the *configuration*: how large the model is, how many layers, how many classes;
# - `model.safetensors`, the *weights*: arrays of numbers, each with a name;
# - `vocab.txt`, the pieces that texts are cut into (lesson 12).

# %%
import json
import tempfile

import numpy as np

import minift as mf
from minift import hub, learn
from minift.models import BertConfig, BertForSequenceClassification, BertModel

folder = hub.resolve("tiny")  # a small BERT, which ships with minift
print(*sorted(file.name for file in folder.iterdir()))

# %% [markdown]
# ## The weights
#
# A *safetensors* file is simple. Its first 8 bytes are a whole number *n*. Then come *n* bytes of
# text in JSON, the *header*: for each array its name, the kind of its numbers, its shape, and where
# in the rest of the file its bytes begin and end. The rest is nothing but numbers. Reading it can
# run no program, which is more than can be said of a *pickle*, the older way.

# %%
KINDS = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


def read_weights(file):
    """{name: array} of a safetensors file; numbers of 16 bits become those of 32."""
    content = file.read_bytes()
    n = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = np.frombuffer(content[8 + n + begin : 8 + n + end], KINDS[entry["dtype"]])
        wide = numbers.astype(np.float32) if entry["dtype"] == "F16" else numbers
        arrays[name] = wide.reshape(entry["shape"])
    return arrays


weights = read_weights(folder / "model.safetensors")
library = hub.read_arrays(folder / "model.safetensors")
assert weights.keys() == library.keys()
assert all(np.array_equal(weights[name], library[name]) for name in library)
print(f"{len(weights)} arrays, {sum(a.size for a in weights.values()):,} numbers; some of them:")
for name in list(weights)[:8]:
    print(f"  {name:<55}{weights[name].shape}")

# %% [markdown]
# ## The configuration comes with the weights
#
# > **Erratum E79.** One program makes a *default* configuration, `BertConfig()`, and loads the
# > weights into that. It works by luck: the defaults are those of one certain model. The numbers of
# > a configuration belong to their weights, like the shape to the array. Read them from the folder.

# %%
config = BertConfig.from_dict(json.loads((folder / "config.json").read_text()))
default = BertConfig()
for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"):
    print(f"{name:<22} here {getattr(config, name):>6,}   by default {getattr(default, name):>6,}")

# %% [markdown]
# Not every number shows in a shape. With 2 heads or with 8, the arrays of attention have the same
# shapes (lesson 13). A wrong number of heads loads without complaint and computes something else.
#
# ## Names
#
# We make an empty model by the configuration and want to fill it. Its parameters have names, the
# arrays have names, and they are not the same:
#
# - the file begins names with `bert.`, because it holds a BERT *and* the head that guessed hidden
#   words; a bare encoder has no such *prefix*;
# - the oldest files call the two arrays of a layer norm `gamma` and `beta`, newer ones `weight` and
#   `bias`;
# - the file holds arrays for which our model has no place: that head.
#
# So there is a table of what is called how, and a *report* of what happened. The report is not a
# luxury. Loading whatever fits and keeping silent about the rest is how people come to "fine-tune a
# BERT" whose body is random numbers.

# %%


def our_name(name):
    """The name of an array in a bare encoder."""
    name = name.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")


def load(model, arrays):
    """Fill the model; returns the names that are loaded, missing, unexpected and of wrong shape."""
    named = {our_name(name): array for name, array in arrays.items()}
    parameters, report = dict(model.named_parameters()), {}
    wrong = [n for n in parameters if n in named and named[n].shape != parameters[n].shape]
    report["loaded"] = [n for n in parameters if n in named and n not in wrong]
    report["missing"] = [n for n in parameters if n not in named]
    report["unexpected"] = [n for n in named if n not in parameters]
    report["wrong shape"] = wrong
    for name in report["loaded"]:
        parameters[name].data = named[name].copy()
    return report


model = BertModel(config, add_pooling_layer=False).eval()
report = load(model, weights)
for what, names in report.items():
    print(f"{what:<12}{len(names):>3}  {', '.join(names[:2])}{' …' if len(names) > 2 else ''}")
assert report["missing"] == report["wrong shape"] == []
assert all(name.startswith("cls.") for name in report["unexpected"])  # the old head

theirs = mf.load("tiny").bert.state_dict()  # the library's way to the same weights
assert all(np.array_equal(p.numpy(), theirs[name]) for name, p in model.named_parameters())

# %% [markdown]
# The same weights under the oldest names: without the table, all norms would be missing.

# %%
old = {name.removeprefix("bert."): array for name, array in weights.items()}
for ours, theirs in (("weight", "gamma"), ("bias", "beta")):
    old = {n.replace(f"LayerNorm.{ours}", f"LayerNorm.{theirs}"): a for n, a in old.items()}
blank = BertModel(config, add_pooling_layer=False)
print("without a table:", *blank.load_state_dict(old, strict=False).missing[:2], "… are missing")
assert load(blank, old)["missing"] == []

# %% [markdown]
# ## Does it think the same?
#
# A report says that names and shapes fit. It cannot say that the numbers are in the right places.
# For that, compare what the model *computes* with what its makers' own program computed. The file
# `lessons/data/sentence_vectors.safetensors` holds the vectors of twelve sentences, made by another
# library (transformers) from the same folder. A sentence's vector is the mean of its tokens'
# vectors, divided by its length (lesson 17 says why the mean).

# %%
sentences = json.loads((learn.DATA / "sentences.json").read_text())
stored = read_weights(learn.DATA / "sentence_vectors.safetensors")


def vectors(model, folder):
    """One row of length 1 a sentence, (12, C)."""
    batch = mf.data.WordPieceTokenizer.from_pretrained(folder)(sentences)
    with mf.no_grad():
        hidden = model(**batch).numpy()
    real = batch["attention_mask"][:, :, None]
    mean = (hidden * real).sum(axis=1) / real.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


ours = vectors(model, folder)
error = float(np.abs(ours - stored["tiny"]).max())
print(f"largest difference from the stored vectors: {error:.1e}")
assert error < 1e-4

# %% [markdown]
# Now the two ways to be wrong that no report sees. Some libraries keep the matrix of a layer the
# other way round, inputs before outputs. If you forget to turn it, most layers do not fit, and the
# report says so. But the matrices of attention are *square*: 128 × 128 fits both ways.

# %%


def opened(folder, arrays, **changes):
    """A model of a folder with these arrays; `changes` spoil the configuration."""
    config = BertConfig.from_dict(json.loads((folder / "config.json").read_text()), **changes)
    model = BertModel(config, add_pooling_layer=False).eval()
    report = load(model, arrays)
    assert report["missing"] == report["wrong shape"] == []  # nothing to complain about
    return model


turned = {
    name: array.T if ".attention." in name and array.ndim == 2 else array
    for name, array in weights.items()
}
transposed = float(np.abs(vectors(opened(folder, turned), folder) - stored["tiny"]).max())
many = opened(folder, weights, num_attention_heads=8)
heads = float(np.abs(vectors(many, folder) - stored["tiny"]).max())
print(f"square matrices transposed: the report is clean, the largest difference {transposed:.2f}")
print(f"8 heads in place of 2:      the report is clean, the largest difference {heads:.2f}")
assert error < 1e-4 < min(transposed, heads)

# %% [markdown]
# So: keep a few outputs of the original beside its weights, and compare.
#
# ## A real one
#
# `minift fetch minilm` brings a BERT of 6 layers that was trained for sentence vectors on a billion
# pairs of sentences. Our 30 lines open it as well: it is a bare encoder, so its names have no
# prefix.

# %%
try:
    minilm = hub.resolve("minilm")
    real = vectors(opened(minilm, read_weights(minilm / "model.safetensors")), minilm)
    print(f"minilm: largest difference {np.abs(real - stored['minilm']).max():.1e}")
    assert np.abs(real - stored["minilm"]).max() < 1e-4
except FileNotFoundError:
    print("not fetched: minift fetch minilm")

# %% [markdown]
# ## What it knows
#
# Since the rows have length 1, their scalar products are cosines (lesson 11): one matrix product
# gives all 144 similarities. The sentences come in four groups of three: animals, food, feelings,
# weather. Within a group hardly a word occurs twice, so whoever compares words sees nothing.


# %%
def in_group(cosines):
    """Of how many sentences is the most similar other one of the same group?"""
    others = cosines - 2 * np.eye(12)
    return int((others.argmax(axis=1) // 3 == np.arange(12) // 3).sum())


cosines = ours @ ours.T
counts = mf.baselines.TfidfLogistic(mf.data.load_glosses().unlabelled).rows(sentences)
dense = np.zeros((12, counts.width))  # a column a word
dense[counts.rows, counts.columns] = counts.values
overlap = dense @ dense.T
print(f"most similar sentence in the same group: tiny {in_group(cosines)} of 12, "
      f"MiniLM {in_group(stored['minilm'] @ stored['minilm'].T)}, words in common "
      f"{in_group(overlap)}")  # fmt: skip

# %%
GROUPS = ["animals", "food", "feelings", "weather"]
figure, panels = learn.new_figure(columns=2, width=7.8, height=3.5)
shown = {"words in common (TF-IDF)": (overlap, 0, 1), "vectors of tiny": (cosines, 0.6, 1)}
for axes, (title, (matrix, low, high)) in zip(panels, shown.items()):
    image = axes.imshow(matrix, cmap="cividis", vmin=low, vmax=high)
    axes.set(title=title, xticks=[1, 4, 7, 10], yticks=[1, 4, 7, 10])
    axes.set_xticklabels(GROUPS, fontsize=8)
    axes.set_yticklabels(GROUPS, fontsize=8, rotation=90, va="center")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="cosine similarity", shrink=0.75)
learn.picture(figure, "16_open_somebody_elses_brain")

# %% [markdown]
# All cosines of `tiny` are high. It was trained to guess words, not to keep sentences apart. What
# counts is the order, and the blocks along the diagonal are there.
#
# ## A new head
#
# The old head guessed words. For classes we need another one, and this is where the second half of
# the model has to hear of it: the configuration.
#
# > **Erratum E99.** One program loads a classifier with the default of 2 classes and then puts a
# > new layer on: `model.classifier = Linear(C, 24)`. The configuration still says 2. Whatever asks
# > *it*, the loss, the names of the classes, whoever loads the saved folder, gets a wrong answer.
# > Change both in one place, or say the number of classes while loading.

# %%
classes = mf.data.load_glosses().classes


def replace_head(model, classes):
    """A fresh linear layer with an output a class, and a configuration that knows them."""
    model.classifier = mf.nn.Linear(model.config.hidden_size, len(classes))
    model.config.num_labels = len(classes)
    model.config.id2label = dict(enumerate(classes))


def saved_and_opened(model):
    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place)
        return BertForSequenceClassification.from_pretrained(place)


half = BertForSequenceClassification.from_pretrained("tiny")
half.classifier = mf.nn.Linear(half.config.hidden_size, len(classes))
try:
    saved_and_opened(half)
except ValueError as error_of_half:
    print(str(error_of_half).splitlines()[-1].strip())

whole = BertForSequenceClassification.from_pretrained("tiny")
replace_head(whole, classes)
again = saved_and_opened(whole)
straight = BertForSequenceClassification.from_pretrained("tiny", num_labels=len(classes))
print(f"class 3 is called {again.config.id2label[3]!r}, as in {classes[:4]}")
assert again.config.num_labels == straight.config.num_labels == len(classes)
assert again.classifier.weight.shape == straight.classifier.weight.shape
assert again.config.id2label == dict(enumerate(classes))

# %% [markdown]
# ## Exercise (fix the bug)
#
# `lessons/exercises/ex16.py`: the first BERTs were saved by TensorFlow, with other names and turned
# matrices. The translation shown there runs, and spoils the model in four ways. Check with
# `minift learn check 16`.

# %%
learn.result(
    lesson=16,
    metric="largest difference from the stored vectors of tiny", value=error, baseline=transposed,
    against="square matrices transposed, the report clean",
    passed=error < 1e-4 < min(transposed, heads),
    also={"8 heads in place of 2": heads, "nearest in its group, tiny": in_group(cosines),
          "nearest in its group, words": in_group(overlap)},
)  # fmt: skip
