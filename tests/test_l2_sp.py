"""L2-SP: the body is pulled to where it came from, the head is not."""

import numpy as np
import pytest
from test_finetune import LAYER_0, classifier, texts

import minift as mf
from minift import finetune
from minift.finetune import L2SP
from minift.objectives import Classification
from minift.train import TrainConfig, Trainer, adamw

BATCH = texts().__getitems__(np.arange(12))


def pulled(alpha, device="cpu", steps=20, lr=1e-2):
    """A trained model, and how far its body and head went."""
    model = classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    before = model.state_dict()
    strategy, objective = finetune.full(model, lr), Classification()
    if alpha:
        strategy, objective = finetune.l2_sp(model, strategy, objective, alpha)
    trainer = Trainer(
        model,
        texts(),
        objective=objective,
        config=TrainConfig(steps=steps, batch_size=12, device=device),
        optimizer=adamw(strategy.param_groups, lr=lr, weight_decay=0.0),
    )
    history = trainer.fit()
    now = model.state_dict()
    lengths = {
        part: sum(float(((now[n] - before[n]) ** 2).sum()) for n in now if n.startswith(part))
        for part in ("bert", "classifier")
    }
    return lengths, history, model, before


def test_the_penalty_is_half_alpha_times_the_squared_distance(device):
    model = classifier().to(device).train()
    objective = L2SP(Classification(), model, alpha=0.3)
    rng = np.random.default_rng(0)
    squares = 0.0
    for name, weight in model.named_parameters():
        step = rng.standard_normal(weight.shape).astype(np.float32)
        weight.data = mf.Tensor(weight.numpy() + step, device=device).data
        squares += 0.0 if name.startswith("classifier") else float((step.astype(float) ** 2).sum())
    loss, log = objective(model, BATCH)
    assert float(log["l2_sp"]) == pytest.approx(0.15 * squares, rel=1e-5)
    assert loss.item() == pytest.approx(float(log["loss"]) + float(log["l2_sp"]), rel=1e-6)


def test_its_gradient_is_alpha_times_the_difference(device):
    model = classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).to(device).train()
    name = f"{LAYER_0}.output.dense.weight"
    weight, objective = dict(model.named_parameters())[name], L2SP(Classification(), model, 0.3)
    start = weight.numpy().copy()
    weight.data = weight.data + 0.1
    gradients = []
    for one in (objective, objective.objective):
        weight.grad = None
        one(model, BATCH)[0].backward()
        gradients.append(weight.grad.numpy())
    pull = 0.3 * (weight.numpy() - start)
    np.testing.assert_allclose(gradients[0] - gradients[1], pull, rtol=1e-4, atol=1e-6)


def test_a_stronger_pull_leaves_the_body_nearer_to_its_start(device):
    free, weak, strong = (pulled(alpha, device)[0]["bert"] for alpha in (None, 0.01, 1.0))
    assert 0 < strong < 0.5 * free
    assert strong < weak < free


def test_the_head_is_not_pulled():
    free, strong = (pulled(alpha)[0]["classifier"] for alpha in (None, 1.0))
    assert strong > 0.5 * free


def test_the_body_no_longer_decays_towards_zero_and_the_head_still_does():
    model = classifier()
    strategy, _ = finetune.l2_sp(model, finetune.full(model, 1e-3), Classification())
    groups = adamw(strategy.param_groups, lr=1e-3, weight_decay=0.01).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert len(decay) == len(named)
    assert {decay[id(p)] for n, p in named.items() if n.startswith("bert")} == {0.0}
    assert decay[id(named["classifier.weight"])] == 0.01


def test_evaluation_is_that_of_the_plain_loss():
    _, _, model, _ = pulled(None)
    objective = L2SP(Classification(), classifier(), alpha=5.0)
    plain, with_pull = (
        Trainer(model, texts(), objective=one, config=TrainConfig(device="cpu")).evaluate(texts())
        for one in (Classification(), objective)
    )
    assert with_pull == plain


def test_the_log_has_the_loss_of_the_labels_and_the_pull_apart():
    _, history, _, _ = pulled(0.1)
    assert history["l2_sp"][0] == 0
    assert history["l2_sp"][-1] > 0
    assert history["loss"][-1] < history["loss"][0]


def test_accumulated_batches_are_pulled_once():
    ends = []
    for batch_size, accumulate in ((12, 1), (4, 3)):
        model = classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        objective = L2SP(Classification(), model, alpha=1.0)
        config = TrainConfig(steps=4, batch_size=batch_size, accumulate=accumulate, device="cpu")
        optimizer = mf.optim.SGD(model.parameters(), lr=0.3)
        Trainer(model, texts(), objective=objective, config=config, optimizer=optimizer).fit()
        ends.append(model.state_dict())
    for name in ends[0]:
        np.testing.assert_allclose(ends[0][name], ends[1][name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_an_alpha_that_pulls_nowhere_is_refused(alpha):
    with pytest.raises(ValueError, match=f"L2SP: alpha must be a number above 0, got {alpha}"):
        L2SP(Classification(), classifier(), alpha)
