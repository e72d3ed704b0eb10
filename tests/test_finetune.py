"""Fine-tuning strategies: what is frozen costs nothing and stays, what thaws moves at once."""

import numpy as np
import pytest

import minift as mf
from minift import finetune, nn
from minift.backend.random import manual_seed
from minift.data import TokenDataset
from minift.models import BertConfig, BertForSequenceClassification
from minift.objectives import Classification
from minift.probes import LinearProbe, NearestNeighbours, Prototypes
from minift.train import Callback, TrainConfig, Trainer, adamw

EMBEDDINGS, LAYER_0, LAYER_1 = "bert.embeddings", "bert.encoder.layer.0", "bert.encoder.layer.1"


def classifier(**changes):
    manual_seed(0)
    config = {
        "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 10, "num_labels": 3,
        "classifier_pooling": "mean", **changes,
    }  # fmt: skip
    return BertForSequenceClassification(BertConfig(**config))


def texts(n=12):
    rng = np.random.default_rng(0)
    rows = [rng.integers(5, 20, size=rng.integers(2, 8)).tolist() for _ in range(n)]
    return TokenDataset.from_lists(rows, pad_id=0, labels=np.arange(n) % 3)


def train(model, strategy, epochs=1, callbacks=(), device="cpu"):
    Trainer(
        model,
        texts(),
        objective=Classification(),
        config=TrainConfig(epochs=epochs, batch_size=6, device=device),
        optimizer=adamw(strategy.param_groups, lr=1e-2, weight_decay=0.01),
        callbacks=[*strategy.callbacks, *callbacks],
    ).fit()


def moved(model, before):
    """Which of the model's layers differ from `before`."""
    now = model.state_dict()
    parts = (EMBEDDINGS, LAYER_0, LAYER_1, "classifier")
    return [
        part
        for part in parts
        if any(not np.array_equal(now[n], before[n]) for n in before if n.startswith(part))
    ]


# ------------------------------------------------------------------------------------- layers


def test_layers_of_bert_from_the_embeddings_to_the_head():
    layers = finetune.layers_of(classifier())
    assert len(layers) == 4
    assert all(name.startswith(EMBEDDINGS) for name in layers[0])
    assert all(name.startswith(LAYER_0) for name in layers[1])
    assert all(name.startswith(LAYER_1) for name in layers[2])
    assert layers[3] == ["classifier.weight", "classifier.bias"]


def test_the_pooler_belongs_to_the_head():
    head = finetune.layers_of(classifier(classifier_pooling="cls"))[-1]
    assert head[0] == "bert.pooler.dense.weight"
    assert head[-1] == "classifier.bias"


def test_layers_of_a_sequential_are_its_members():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    assert finetune.layers_of(model) == [["0.weight", "0.bias"], ["2.weight", "2.bias"]]


def test_a_model_without_a_stack_is_refused():
    with pytest.raises(ValueError, match="Linear has no layers to tell apart"):
        finetune.layers_of(nn.Linear(2, 2))


def test_layerwise_rates_fall_towards_the_embeddings():
    model = classifier()
    groups = finetune.layerwise_lr(model, lr=1.0, decay=0.5)
    assert [group["lr"] for group in groups] == [1.0, 0.5, 0.25, 0.125]
    assert groups[0]["params"] == model.classifier.parameters()
    assert groups[3]["params"] == model.bert.embeddings.parameters()
    assert sum(len(group["params"]) for group in groups) == len(model.parameters())


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5])
def test_a_decay_that_is_no_share_is_refused(decay):
    with pytest.raises(ValueError, match=rf"decay must lie in \(0, 1\], got {decay}"):
        finetune.layerwise_lr(classifier(), 1.0, decay)


# --------------------------------------------------------------------------------- strategies


def test_head_only_moves_the_head_and_leaves_the_body_bit_for_bit(device):
    model = classifier()
    before = model.state_dict()
    train(model, finetune.head_only(model, lr=1e-2), epochs=3, device=device)
    assert moved(model, before) == ["classifier"]


@pytest.mark.parametrize("strategy", [finetune.full, finetune.discriminative])
def test_full_strategies_move_everything(strategy, device):
    model = classifier()
    model.freeze()
    before = model.state_dict()
    train(model, strategy(model, lr=1e-2), device=device)
    assert moved(model, before) == [EMBEDDINGS, LAYER_0, LAYER_1, "classifier"]


def test_discriminative_moves_deep_layers_less():
    model = classifier()
    before = model.state_dict()
    train(model, finetune.discriminative(model, lr=1e-2, decay=0.1), epochs=2)
    now = model.state_dict()
    names = [f"{layer}.output.dense.weight" for layer in (LAYER_0, LAYER_1)]
    deep, shallow = (np.abs(now[name] - before[name]).mean() for name in names)
    assert 0 < deep < 0.3 * shallow


def test_gradual_unfreezing_thaws_one_layer_an_epoch_from_the_top(device):
    model = classifier()
    before, seen = model.state_dict(), []

    class Watch(Callback):
        def on_epoch_end(self, trainer):
            seen.append(moved(trainer.model, before))

    strategy = finetune.gradual_unfreezing(model, lr=1e-2)
    train(model, strategy, epochs=5, callbacks=[Watch()], device=device)
    assert seen == [
        ["classifier"],
        [LAYER_1, "classifier"],
        [LAYER_0, LAYER_1, "classifier"],
        [EMBEDDINGS, LAYER_0, LAYER_1, "classifier"],
        [EMBEDDINGS, LAYER_0, LAYER_1, "classifier"],
    ]


def test_a_thawed_layer_moves_within_one_step():
    model = classifier()
    before, first_moved = model.state_dict(), {}

    class Watch(Callback):
        def on_step_end(self, trainer):
            for part in moved(trainer.model, before):
                first_moved.setdefault(part, trainer.step)

    strategy = finetune.gradual_unfreezing(model, lr=1e-2, epochs_per_layer=2)
    train(model, strategy, epochs=8, callbacks=[Watch()])  # 2 steps an epoch
    assert first_moved == {"classifier": 1, LAYER_1: 5, LAYER_0: 9, EMBEDDINGS: 13}


def test_epochs_per_layer_below_one_is_refused():
    with pytest.raises(ValueError, match="epochs_per_layer must be 1 or more, got 0"):
        finetune.gradual_unfreezing(classifier(), lr=1e-2, epochs_per_layer=0)


# ----------------------------------------------------------------- frozen parts cost no backward


def counting_op(calls):
    @mf.op
    def counted(x, w):
        def to_x(g):
            calls.append("x")
            return g * w

        def to_w(g):
            calls.append("w")
            return g * x

        return x * w, (to_x, to_w)

    return counted


class Counted(nn.Module):
    """x · w, counting how often each derivative is asked for."""

    def __init__(self, calls):
        self.w, self.op = nn.Parameter(np.ones(4, np.float32)), counting_op(calls)

    def forward(self, x):
        return self.op(x, self.w)


def test_a_frozen_body_costs_no_backward():
    calls, head_calls = [], []
    model = nn.Sequential(Counted(calls), Counted(calls), Counted(head_calls))
    strategy = finetune.head_only(model, lr=0.1)
    model(mf.ones((4,))).sum().backward()
    assert calls == []
    assert head_calls == ["w"]
    assert [p.grad is None for p in model.parameters()] == [True, True, False]
    assert [len(group["params"]) for group in strategy.param_groups] == [1]
    finetune.full(model, lr=0.1)
    model(mf.ones((4,))).sum().backward()
    assert sorted(calls) == ["w", "w", "x"]  # the first layer's input needs no gradient


def test_a_frozen_bert_body_leaves_no_graph_and_no_gradients():
    model = classifier(hidden_dropout_prob=0.5)
    finetune.head_only(model, lr=0.1)
    batch = texts().padded(np.arange(4))
    hidden = model.train().bert(**batch)
    assert not hidden.requires_grad
    np.testing.assert_array_equal(hidden.numpy(), model.bert(**batch).numpy())  # no dropout
    model(**batch).sum().backward()
    with_gradient = [name for name, p in model.named_parameters() if p.grad is not None]
    assert with_gradient == ["classifier.weight", "classifier.bias"]


# ----------------------------------------------------------------------------------- features


def test_features_are_what_the_classifier_gets(device):
    model, data = classifier(hidden_dropout_prob=0.5).to(device), texts()
    features = finetune.extract_features(model, data, batch_tokens=20)
    assert features.shape == (12, 8)
    assert model.training  # as before, and yet nothing was dropped
    model.eval()
    for i in range(len(data)):
        logits = model(**data.padded(np.array([i]))).numpy()[0]
        expected = features[i] @ model.classifier.weight.numpy().T + model.classifier.bias.numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-5)


# --------------------------------------------------------------------- thawing when it stalls


def stalling(losses, patience, **settings):
    """The layers that moved by each evaluation, if the validation losses are these."""
    model = classifier()
    before, seen, waiting = model.state_dict(), [], iter(losses)

    class Losses(Callback):
        def on_evaluate(self, trainer):
            seen.append(moved(trainer.model, before))
            trainer.history.evaluations[-1]["validation_loss"] = next(waiting)

    strategy = finetune.gradual_unfreezing(model, lr=1e-2, patience=patience)
    Trainer(
        model,
        texts(),
        texts(),
        objective=Classification(),
        config=TrainConfig(epochs=len(losses), batch_size=6, device="cpu"),
        optimizer=adamw(strategy.param_groups, lr=1e-2, weight_decay=0.01),
        callbacks=[Losses(), *strategy.callbacks],
        **settings,
    ).fit()
    return [len(parts) for parts in seen]


def test_a_layer_thaws_when_validation_stalls():
    assert stalling([5, 4, 3, 2, 1], patience=1) == [1, 1, 1, 1, 1]  # it never stalls
    assert stalling([5, 5, 4, 4, 4, 4, 4], patience=1) == [1, 1, 2, 2, 3, 4, 4]
    assert stalling([5, 6, 4, 5, 6, 5], patience=2) == [1, 1, 1, 1, 1, 2]
    assert stalling([float("nan")] * 4, patience=1) == [1, 2, 3, 4]  # NaN is no better


def test_thawing_by_stalling_wants_validation_data_and_a_patience():
    model = classifier()
    with pytest.raises(ValueError, match="patience must be 1 or more, got 0"):
        finetune.gradual_unfreezing(model, lr=1e-2, patience=0)
    strategy = finetune.gradual_unfreezing(model, lr=1e-2, patience=1)
    with pytest.raises(ValueError, match="patience needs validation data, there are none"):
        train(model, strategy)


def test_a_layer_that_is_not_in_the_optimizer_is_refused_before_the_first_step():
    model = classifier()
    strategy = finetune.gradual_unfreezing(model, lr=1e-2)
    strategy.param_groups = strategy.param_groups[:1]  # the head alone
    with pytest.raises(ValueError, match=r"bert\.embed.* is to thaw but not in the optimizer"):
        train(model, strategy)


def test_a_resumed_run_thaws_where_the_uninterrupted_one_does():
    callback = finetune.GradualUnfreezing(classifier(), patience=3)
    callback.thawed, callback.waited = 2, 1
    callback.best.improves({"step": 7, "validation_loss": 0.5})
    other = finetune.GradualUnfreezing(classifier(), patience=3)
    other.load_state_dict(callback.state_dict())
    assert (other.thawed, other.waited, other.best.step, other.best.score) == (2, 1, 7, 0.5)


def test_thawing_leaves_the_moments_of_what_already_trains_untouched():
    """The head's Adam state after the step that thaws is that of a run in which nothing thaws."""
    states = []
    for epochs_per_layer in (1, 9):
        model = classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        strategy = finetune.gradual_unfreezing(model, 1e-2, epochs_per_layer=epochs_per_layer)
        optimizer = adamw(strategy.param_groups, lr=1e-2, weight_decay=0.01)
        config = TrainConfig(steps=3, batch_size=6, device="cpu", max_grad_norm=None)
        Trainer(
            model, texts(), objective=Classification(), config=config, optimizer=optimizer,
            callbacks=strategy.callbacks,
        ).fit()  # fmt: skip  # step 3 is the first of epoch 1
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        named = {id(p): name for name, p in model.named_parameters()}
        states.append({named[id(p)]: s for p, s in zip(trained, optimizer.state)})
    thawed, frozen = states
    for name in ("classifier.weight", "classifier.bias"):
        assert thawed[name]["step"] == frozen[name]["step"] == 3
        for moment in ("exp_avg", "exp_avg_sq"):
            np.testing.assert_array_equal(thawed[name][moment], frozen[name][moment])
    new = f"{LAYER_1}.output.dense.weight"
    assert thawed[new]["step"] == 1  # its own count: its bias correction starts here
    assert frozen[new] == {}


def test_cached_features_are_read_until_weights_texts_or_settings_change(tmp_path, monkeypatch):
    model, data = classifier(), texts()
    forward, seen = type(model.bert).forward, []

    def counting(self, input_ids, *rest, **named):
        seen.append(len(input_ids))
        return forward(self, input_ids, *rest, **named)

    monkeypatch.setattr(type(model.bert), "forward", counting)

    def texts_read(model=model, data=data):
        seen.clear()
        features = finetune.extract_features(model, data, cache=tmp_path)
        np.testing.assert_array_equal(features, finetune.extract_features(model, data))
        return sum(seen) - len(data)

    assert [texts_read(), texts_read()] == [12, 0]
    assert texts_read(data=texts(9)) == 9
    model.classifier.weight.data = model.classifier.weight.data + 1  # the head has no say
    assert texts_read() == 0
    assert texts_read(model=classifier(num_attention_heads=4)) == 12  # the same weights
    model.bert.embeddings.LayerNorm.bias.data = model.bert.embeddings.LayerNorm.bias.data + 1
    assert [texts_read(), texts_read()] == [12, 0]


def test_a_damaged_cache_is_replaced_with_a_warning(tmp_path):
    model, data = classifier(), texts()
    features = finetune.extract_features(model, data, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="is computed anew, because .* not a whole safetensors"):
        again = finetune.extract_features(model, data, cache=tmp_path)
    np.testing.assert_array_equal(again, features)
    np.testing.assert_array_equal(finetune.extract_features(model, data, cache=tmp_path), features)


@pytest.mark.parametrize("head", [LinearProbe, NearestNeighbours, Prototypes])
def test_any_head_stands_on_features(head):
    model, data = classifier(), texts()
    features = finetune.extract_features(model, data)
    labels = data.targets["labels"]
    shifted = features + 5 * np.eye(3)[labels] @ np.eye(3, 8)  # so that there is something to find
    assert (head().fit(shifted, labels).predict(shifted) == labels).all()
