"""What a model has to beat: honest baselines without any neural network.

`words` classifies texts by the words in them, `ngrams` guesses the next token from the last few.
"""

from minift.baselines.ngrams import NGram, character_nats
from minift.baselines.words import (
    NaiveBayes,
    SparseRows,
    TfidfLogistic,
    minimize,
    regression_loss,
    words_of,
)

__all__ = [
    "NGram",
    "NaiveBayes",
    "SparseRows",
    "TfidfLogistic",
    "character_nats",
    "minimize",
    "regression_loss",
    "words_of",
]
