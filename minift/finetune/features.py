"""Feature extraction: what a frozen body says of each text, computed once.

A body that neither learns nor drops anything gives one text the same features in every epoch.
Training the head on stored features is therefore head-only fine-tuning, only faster by the
number of epochs.
"""

from __future__ import annotations

import numpy as np

from minift.data import BucketSampler, TokenDataset
from minift.models import BertForSequenceClassification
from minift.tape import no_grad


def extract_features(
    model: BertForSequenceClassification, dataset: TokenDataset, batch_tokens: int = 4096
) -> np.ndarray:
    """The pooled vectors that the classifier would get, (n, C), in the order of the data set."""
    sampler = BucketSampler(dataset.lengths, max(batch_tokens, int(dataset.lengths.max())))
    batches = sampler.batches(0)
    features = np.empty((len(dataset), model.config.hidden_size), np.float32)
    asked_to_train = model._asked_to_train
    model.eval()
    try:
        with no_grad():
            for rows in batches:
                batch = dataset.padded(rows)
                hidden = model.bert(**batch)  # (B, T, C)
                features[rows] = model.pool(hidden, batch["attention_mask"]).numpy()
    finally:
        model._ask_to_train(asked_to_train)
    return features
