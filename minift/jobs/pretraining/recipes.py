"""What each objective is trained with where nobody says otherwise: the table of the command.

Where the numbers of "small" come from:

    mlm                               the quickstart's, tried on the glosses' development split
                                      (`benchmarks/quickstart_recipes.py`)
    autoencoder, denoising, vae,      a few trials on the digits, judged on their test images
    gan, simclr
    causal                            a first guess, measured on Moby-Dick beside n-grams
    nsp                               the batch is one of three tried on e-mails, from the shipped
                                      checkpoint; half or three times the rate was worse
    bert                              a first guess, measured from the shipped checkpoint on e-mails
    simcse                            the paper's temperature and rate; from the shipped checkpoint
                                      higher rates made sentence vectors worse (development glosses)

What was measured, and how, is said in `benchmarks/pretraining_quality/` and
`benchmarks/pretraining_commands.py`. All numbers of "base" are first guesses too. What an objective
is stands in `minift/objectives/`; what is done with these numbers in `image_work.py` and
`text_work.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """One row: `kind` of data, what is learnt, and how.

    `batch_size` counts images, or texts of average length. `settings` are the objective's own;
    `beside` names the baseline that stands beside the loss while it trains.
    """

    kind: str  # "images" or "text"
    what: str
    steps: int
    batch_size: int
    lr: float
    beside: str
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    settings: Mapping[str, float] = field(default_factory=dict)


RECIPES: dict[str, Recipe] = {
    "mlm": Recipe(
        "text", "guess the words that were hidden", 2000, 100, 3e-3, "unigram", betas=(0.9, 0.98)
    ),
    "nsp": Recipe("text", "tell whether a segment follows another", 2000, 64, 1e-3, "chance"),
    "bert": Recipe(
        "text", "guess hidden words, and whether a segment follows", 2000, 32, 2e-3,
        "unigram and chance", betas=(0.9, 0.98),
    ),
    "simcse": Recipe(
        "text", "a sentence and itself through dropout shall meet, others stay apart", 300, 64,
        3e-5, "chance", settings={"temperature": 0.05},
    ),
    "causal": Recipe("text", "guess the next word", 2000, 32, 2e-3, "trigram", weight_decay=0.1),
    "autoencoder": Recipe(
        "images", "draw an image again from a code of a few numbers", 3000, 64, 2e-3,
        "principal components", weight_decay=0.3,
    ),
    "denoising": Recipe(
        "images", "draw the clean image from a noisy one", 3000, 64, 2e-3,
        "principal components", weight_decay=0.3, settings={"noise": 0.5},
    ),
    "vae": Recipe(
        "images", "codes that are distributions, to draw new images from", 3000, 64, 2e-3,
        "mean image",
    ),
    "gan": Recipe(
        "images", "a generator against a discriminator", 3000, 64, 3e-4,
        "chance", betas=(0.5, 0.9),
    ),
    "simclr": Recipe(
        "images", "two views of an image shall meet, others stay apart", 2000, 128, 2e-3,
        "chance", settings={"temperature": 0.2},
    ),
}  # fmt: skip

SIZES = ("small", "base")
MAX_LENGTH = {"small": 64, "base": 128}  # tokens; longer texts are cut into several
TEXT_SIZES: dict[str, dict[str, tuple[int, int, int]]] = {  # width, layers, heads
    "mlm": {"small": (128, 1, 2), "base": (256, 4, 4)},
    "nsp": {"small": (128, 2, 2), "base": (256, 4, 4)},
    "bert": {"small": (128, 2, 2), "base": (256, 4, 4)},
    "simcse": {"small": (128, 1, 2), "base": (256, 4, 4)},
    "causal": {"small": (128, 2, 4), "base": (256, 4, 4)},
}
VOCABULARY = {  # pieces at most
    "mlm": {"small": 8000, "base": 16000},
    "nsp": {"small": 8000, "base": 16000},
    "bert": {"small": 8000, "base": 16000},
    "simcse": {"small": 8000, "base": 16000},
    "causal": {"small": 2000, "base": 8000},
}
CONVOLUTIONAL = (32, 64, 128)  # channels of "base" on images; widths of "small": `image_work.py`
