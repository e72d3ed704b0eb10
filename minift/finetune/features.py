"""Feature extraction: what a frozen body says of each text, computed once.

A body that neither learns nor drops anything gives one text the same features in every epoch.
Training the head on stored features is therefore head-only fine-tuning, only faster by the
number of epochs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub, nn
from minift.data import BucketSampler, TokenDataset
from minift.finetune.fingerprint import fingerprint
from minift.models import BertForSequenceClassification
from minift.models.bert import mean_over_tokens
from minift.tape import no_grad
from minift.tensor import Tensor

# what a body computes depends on, beside its weights
SETTINGS = ("num_attention_heads", "hidden_act", "layer_norm_eps", "classifier_pooling")


def extract_features(
    model: BertForSequenceClassification,
    dataset: TokenDataset,
    batch_tokens: int = 4096,
    watch: Callable[[int], None] | None = None,
    cache: str | Path | None = None,
) -> np.ndarray:
    """What the head would get of each text, (n, C) float32, in the order of the data set.

    With a pooler, which is a part of the head, that is the first token; else the mean of all.
    `watch` is told after each batch how many texts it had. With the folder `cache`, features are
    kept there and read again as long as the body's weights and the texts are the same; a damaged
    file is replaced. Any head may stand on them: `Head`, or those of `minift/probes.py`.
    """
    if cache is not None:
        return cached_features(model, dataset, batch_tokens, watch, Path(cache))
    sampler = BucketSampler(dataset.lengths, max(batch_tokens, int(dataset.lengths.max(initial=1))))
    batches = sampler.batches(0)
    features = np.empty((len(dataset), model.config.hidden_size), np.float32)
    asked_to_train = model._asked_to_train
    model.eval()
    try:
        with no_grad():
            for rows in batches:
                batch = dataset.padded(rows)
                hidden = model.bert(**batch)  # (B, T, C)
                pooler = model.bert.pooler
                pooled = (
                    hidden[:, 0] if pooler else mean_over_tokens(hidden, batch["attention_mask"])
                )
                features[rows] = pooled.numpy()
                if watch is not None:
                    watch(len(rows))
    finally:
        model._ask_to_train(asked_to_train)
    return features


def cached_features(
    model: BertForSequenceClassification,
    dataset: TokenDataset,
    batch_tokens: int,
    watch: Callable[[int], None] | None,
    cache: Path,
) -> np.ndarray:
    """The features out of the cache, or into it."""
    file = cache / f"features-{key_of(model, dataset)}.safetensors"
    if file.is_file():
        try:
            features = hub.read_arrays(file)["features"]
        except (ValueError, KeyError) as error:
            warnings.warn(f"{file} is computed anew, because {error}", stacklevel=3)
        else:
            if watch is not None:
                watch(len(dataset))
            return features
    features = extract_features(model, dataset, batch_tokens, watch)
    hub.write_arrays(file, {"features": features})
    return features


def key_of(model: BertForSequenceClassification, dataset: TokenDataset) -> str:
    """What the features depend on: the body's weights and settings, and the texts' tokens."""
    config = model.config
    settings = {name: getattr(config, name) for name in SETTINGS}
    weights = model.bert.state_dict()
    weights = {name: array for name, array in weights.items() if not name.startswith("pooler.")}
    texts: dict[str, np.ndarray] = {"ids": dataset.ids, "offsets": dataset.offsets}
    if dataset.second_starts is not None:
        texts["second_starts"] = dataset.second_starts
    said = f"{settings} {fingerprint(weights)} {fingerprint(texts)}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]


class Head(nn.Module):
    """The last part of a classifier, on features that are already there: (B, C) -> (B, L).

    Its weights are the classifier's own: training the one trains the other.
    """

    def __init__(self, model: BertForSequenceClassification):
        self.pooler, self.dropout = model.bert.pooler, model.dropout
        self.classifier = model.classifier

    def forward(self, features: Any) -> Tensor:
        B, C = features.shape
        x = Tensor(features, device=self.classifier.weight.device)
        if self.pooler is not None:
            x = self.pooler(x.reshape(B, 1, C))  # a text of one token; (B, C)
        return self.classifier(self.dropout(x))
