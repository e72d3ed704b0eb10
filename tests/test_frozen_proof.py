"""The proof of freezing: it counts, it hashes, and it fails where something moved."""

import hashlib

import numpy as np
import pytest
from finetune_cases import finetune as finetune_command
from finetune_cases import pretrained, reviews
from test_finetune import LAYER_0, classifier, texts, train
from test_finetune_strategies import loaded

from minift import finetune
from minift.data import ArrayDataset
from minift.finetune import FrozenProof
from minift.objectives import Classification
from minift.train import Callback, TrainConfig, Trainer


def hashes(model):
    """SHA-256 of every weight, by this file's own hand."""
    return {n: hashlib.sha256(a.tobytes()).hexdigest() for n, a in model.state_dict().items()}


@pytest.mark.parametrize("strategy", [finetune.head_only, finetune.lora])
def test_frozen_tensors_are_hash_identical_after_training(strategy, device):
    model = classifier()
    chosen, proof = strategy(model, lr=1e-2), FrozenProof(model)
    before, frozen = hashes(model), [n for n, p in model.named_parameters() if not p.requires_grad]
    train(model, chosen, epochs=3, callbacks=[proof], device=device)
    after = hashes(model)
    assert all(before[name] == after[name] for name in frozen)
    assert any(before[name] != after[name] for name in after if name not in frozen)
    said = proof.numbers
    assert (said["tensors"], said["steps"]) == (len(frozen), 6)
    assert said["values"] == sum(p.size for p in model.parameters() if not p.requires_grad)


def test_a_body_below_a_head_on_features_is_proved_too():
    model = classifier()
    strategy, proof = finetune.head_only(model, lr=1e-2), FrozenProof(model)
    data = texts()
    given = ArrayDataset(
        features=finetune.extract_features(model, data), labels=data.targets["labels"]
    )
    train_on = Trainer(
        finetune.Head(model), given, objective=Classification(),
        config=TrainConfig(epochs=1, device="cpu"), callbacks=[proof],
    )  # fmt: skip
    train_on.fit()
    assert proof.numbers["tensors"] == len(model.bert.parameters())
    assert strategy.param_groups


class Meddler(Callback):
    """Does to a frozen weight what no one should."""

    def __init__(self, name, gradient=False):
        self.name, self.gradient = name, gradient

    def on_step_end(self, trainer):
        weight = dict(trainer.model.named_parameters())[self.name]
        if self.gradient:
            weight.requires_grad = True
            (weight * weight).sum().backward()
            weight.requires_grad = False
        else:
            weight.data = weight.data + 1e-6


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (False, "was frozen, and yet training changed it"),
        (True, "is frozen, and yet a gradient of it was computed"),
    ],
)
def test_what_moved_all_the_same_is_named(gradient, message):
    model = classifier()
    name = f"{LAYER_0}.attention.self.key.weight"
    strategy = finetune.head_only(model, lr=1e-2)
    with pytest.raises(RuntimeError, match=f"{name} {message}"):
        train(model, strategy, callbacks=[Meddler(name, gradient), FrozenProof(model)])


def test_what_thaws_on_the_way_is_no_part_of_the_proof():
    model = classifier()
    strategy, proof = finetune.gradual_unfreezing(model, lr=1e-2), FrozenProof(model)
    train(model, strategy, epochs=2, callbacks=[proof])  # the embeddings and layer 0 stay
    names = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert proof.numbers["tensors"] == len(names) > 0


def test_a_resumed_proof_compares_with_the_beginning():
    model = classifier()
    finetune.head_only(model, lr=1e-2)
    first = FrozenProof(model)
    first.on_fit_start(None)
    weight = model.bert.embeddings.LayerNorm.weight
    weight.data = weight.data + 1  # while the run was down
    second = FrozenProof(model)
    second.load_state_dict(first.state_dict())
    second.on_fit_start(None)
    with pytest.raises(RuntimeError, match=r"embeddings\.LayerNorm\.weight was frozen"):
        second.on_fit_end(None)


def test_frozen_modules_rest_while_the_head_trains():
    model = classifier(hidden_dropout_prob=0.5, classifier_dropout=0.5)
    modes = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            modes.append((trainer.model.bert.training, trainer.model.dropout.training))

    train(model, finetune.head_only(model, lr=1e-2), callbacks=[Watch()])
    assert set(modes) == {(False, True)}


def test_the_report_prints_the_proof(capsys, tmp_path):
    model = pretrained(tmp_path / "base")
    table = reviews(tmp_path / "reviews.csv")
    said = finetune_command(capsys, model, table, tmp_path / "head", "--strategy", "head")
    proof = loaded(tmp_path / "head" / "metrics.json")["frozen"]
    assert f"Frozen: {proof['values']:,} of {proof['of']:,} values, bit for bit" in said
    assert 0 < proof["values"] < proof["of"]
    said = finetune_command(capsys, model, table, tmp_path / "full")
    assert "Frozen: " not in said
    assert loaded(tmp_path / "full" / "metrics.json")["frozen"]["tensors"] == 0
    assert np.isfinite(proof["steps"])
