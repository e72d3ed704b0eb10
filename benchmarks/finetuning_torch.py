"""Two strategies of `finetuning_quality.py` in a plain PyTorch loop, from the same weights.

The batches, rates and schedule are ours, and the head starts from our weights; what differs is the
arithmetic and the dropout masks. Not here: anything of the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.data import BucketSampler, TokenDataset
from minift.data.loader import Sampler
from minift.models import BertForSequenceClassification
from minift.optim import schedules


class TorchClassifier:
    """transformers' encoder, the mean of its tokens, dropout, a linear layer."""

    def __init__(self, ours: BertForSequenceClassification):
        import torch
        from transformers import BertConfig, BertModel

        assert ours.config.classifier_pooling == "mean"
        fields = {k: v for k, v in ours.config.to_dict().items() if hasattr(BertConfig(), k)}
        self.bert = BertModel(BertConfig(**fields), add_pooling_layer=False)
        state = {n: torch.tensor(a) for n, a in ours.bert.state_dict().items()}
        self.bert.load_state_dict(state)
        self.head = torch.nn.Linear(*ours.classifier.weight.shape[::-1])
        state = {n: torch.tensor(a) for n, a in ours.classifier.state_dict().items()}
        self.head.load_state_dict(state)
        self.dropout = torch.nn.Dropout(ours.dropout.p)

    def parts(self) -> list[Any]:
        return [self.bert, self.dropout, self.head]

    def features(self, batch: dict[str, np.ndarray]) -> Any:
        """(B, C)."""
        import torch

        tensors = {name: torch.tensor(a) for name, a in batch.items() if name != "labels"}
        hidden = self.bert(**tensors).last_hidden_state  # (B, T, C)
        real = tensors["attention_mask"][:, :, None].float()  # (B, T, 1)
        return (hidden * real).sum(1) / real.sum(1)

    def scores(self, batch: dict[str, np.ndarray]) -> Any:
        return self.head(self.dropout(self.features(batch)))


def finetune(
    ours: BertForSequenceClassification,
    texts: TokenDataset,
    sampler: Sampler,
    groups: list[tuple[str, float]],
    steps: int,
    seed: int,
) -> TorchClassifier:
    """Train by `groups`, pairs of "head" or "body" and a rate; without a body on features."""
    import torch

    torch.manual_seed(seed)
    model = TorchClassifier(ours)
    for part in model.parts():
        part.train("body" in dict(groups) or part is not model.bert)
    labels = torch.tensor(texts.targets["labels"])
    optimizer = torch.optim.AdamW(parameter_groups(model, groups))
    peaks = [group["lr"] for group in optimizer.param_groups]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    fixed = None if "body" in dict(groups) else all_features(model, texts)
    for step, rows in enumerate(batches_of(sampler, steps)):
        if fixed is None:
            scores = model.scores(texts.padded(rows))
        else:
            scores = model.head(model.dropout(fixed[rows]))
        torch.nn.functional.cross_entropy(scores, labels[rows]).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group, peak in zip(optimizer.param_groups, peaks):
            group["lr"] = peak * schedules.linear(step, steps, int(0.1 * steps))
        optimizer.step()
        optimizer.zero_grad()
    return model


def parameter_groups(model: TorchClassifier, groups: list[tuple[str, float]]) -> list[Any]:
    """Matrices decay, vectors do not."""
    found = []
    for name, lr in groups:
        parameters = list((model.head if name == "head" else model.bert).parameters())
        matrices = [p for p in parameters if p.ndim >= 2]
        vectors = [p for p in parameters if p.ndim < 2]
        found.append({"params": matrices, "lr": lr, "weight_decay": 0.01})
        found.append({"params": vectors, "lr": lr, "weight_decay": 0.0})
    return found


def batches_of(sampler: Sampler, steps: int) -> list[np.ndarray]:
    """The rows of that many steps."""
    found: list[np.ndarray] = []
    epoch = 0
    while len(found) < steps:
        found += sampler.batches(epoch)
        epoch += 1
    return found[:steps]


def all_features(model: TorchClassifier, texts: TokenDataset) -> Any:
    """(n, C), without a graph."""
    import torch

    found = torch.empty(len(texts), model.head.in_features)
    with torch.no_grad():
        for rows in evaluation_batches(texts):
            found[rows] = model.features(texts.padded(rows))
    return found


def classes(model: TorchClassifier, texts: TokenDataset) -> np.ndarray:
    """The most probable class of each text, (n,)."""
    import torch

    for part in model.parts():
        part.eval()
    found = np.empty(len(texts), np.int64)
    with torch.no_grad():
        for rows in evaluation_batches(texts):
            found[rows] = model.scores(texts.padded(rows)).argmax(-1).numpy()
    return found


def evaluation_batches(texts: TokenDataset) -> list[np.ndarray]:
    return BucketSampler(texts.lengths, 4096).batches(0)
