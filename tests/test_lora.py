"""LoRA: the base never moves, merging is exact, and an adapter is saved with its head."""

import json

import numpy as np
import pytest
from oracle import oracle
from test_finetune import LAYER_0, LAYER_1, classifier, moved, texts, train

import minift as mf
from minift import finetune, hub, nn
from minift.finetune import LoRA

QUERY = f"{LAYER_0}.attention.self.query"


def scores(model):
    with mf.no_grad(), model.evaluating():
        return model(**texts().padded(np.arange(12))).numpy()


def trained(device="cpu", **adapter):
    """A classifier with adapters that have moved, its adapter, and its weights before."""
    model = classifier()
    before = model.state_dict()
    lora = LoRA(**{"r": 2, "alpha": 4.0, **adapter})
    train(model, finetune.lora(model, lr=0.05, adapter=lora), epochs=3, device=device)
    return model, lora, before


# ------------------------------------------------------------------------------ before training


def test_a_fresh_adapter_changes_nothing(device):
    model = classifier().to(device)
    before = scores(model)
    paths = LoRA(r=2).apply(model)
    np.testing.assert_array_equal(scores(model), before)
    assert paths == [
        f"{layer}.attention.self.{part}"
        for layer in (LAYER_0, LAYER_1)
        for part in ("query", "value")
    ]


def test_only_adapters_and_head_are_trainable():
    model = classifier(classifier_pooling="cls")
    LoRA(r=2).apply(model)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert names == [
        *(f"{LAYER_0}.attention.self.{part}" for part in adapter_parts()),
        *(f"{LAYER_1}.attention.self.{part}" for part in adapter_parts()),
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ]


def adapter_parts():
    return [f"{part}.{letter}" for part in ("query", "value") for letter in ("lora_A", "lora_B")]


def test_a_bert_trains_less_than_two_percent_of_its_weights():
    model = classifier(
        vocab_size=8000, hidden_size=128, num_hidden_layers=4, intermediate_size=512, num_labels=24
    )
    total = sum(p.size for p in model.parameters())
    finetune.lora(model, lr=1e-3)
    trained = sum(p.size for p in model.parameters() if p.requires_grad)
    assert 0 < trained < 0.02 * total


def test_the_adapted_matrix_is_the_sum_of_the_paper(device):
    linear = nn.Linear(5, 4).to(device)
    layer = finetune.low_rank.LoRALinear(linear, r=3, alpha=6.0)
    rng = np.random.default_rng(0)
    layer.lora_B.data = layer.lora_B.data + rng.standard_normal((4, 3)).astype(np.float32)[0, 0]
    x = mf.Tensor(rng.standard_normal((7, 5)).astype(np.float32), device=device)
    w, a, b = (t.numpy() for t in (linear.weight, layer.lora_A, layer.lora_B))
    expected = x.numpy() @ w.T + 2.0 * (x.numpy() @ a.T @ b.T) + linear.bias.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_gradients_of_an_adapter():
    rng = np.random.default_rng(0)
    layer = finetune.low_rank.LoRALinear(nn.Linear(5, 4), r=3, alpha=6.0)
    for tensor in (layer.base, layer.bias, layer.lora_A, layer.lora_B):
        tensor.data = rng.standard_normal(tensor.shape)
    x = mf.Tensor(rng.standard_normal((7, 5)), requires_grad=True)

    def output(x, a, b):
        layer.lora_A, layer.lora_B = a, b
        return layer(x)

    assert mf.gradcheck(output, [x, layer.lora_A, layer.lora_B])


# -------------------------------------------------------------------------------------- training


def test_the_base_stays_bit_for_bit_and_the_adapters_move(device):
    model, _, before = trained(device)
    assert moved(model, before) == ["classifier"]
    now = model.state_dict()
    for part in adapter_parts():
        assert now[f"{LAYER_0}.attention.self.{part}"].any(), part


def test_a_frozen_matrix_gets_no_gradient():
    model = classifier()
    finetune.lora(model, lr=1e-3, adapter=LoRA(r=2))
    model.train()(**texts().padded(np.arange(4))).sum().backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in model.named_parameters() if p.requires_grad}


# --------------------------------------------------------------------------------------- merging


def test_merging_keeps_every_score_and_leaves_an_ordinary_model(device):
    model, lora, before = trained(device)
    adapted = scores(model)
    paths = lora.merge(model)
    np.testing.assert_array_equal(scores(model), adapted)
    assert QUERY in paths
    assert list(model.state_dict()) == list(before)
    plain = classifier()
    plain.load_state_dict(model.state_dict())
    np.testing.assert_allclose(scores(plain), adapted, rtol=1e-5, atol=1e-5)


def test_unmerging_restores_the_base_and_the_adapters_bit_for_bit(device):
    model, lora, _ = trained(device)
    before = model.state_dict()
    lora.merge(model)
    assert not np.array_equal(model.state_dict()[f"{QUERY}.weight"], before[f"{QUERY}.weight"])
    lora.unmerge(model)
    now = model.state_dict()
    assert list(now) == list(before)
    for name in before:
        np.testing.assert_array_equal(now[name], before[name], err_msg=name)


def test_a_merged_model_that_moved_to_another_device_can_be_unmerged(device):
    model, lora, _ = trained()
    before = scores(model)
    lora.merge(model)
    model.to(device)
    lora.unmerge(model)
    np.testing.assert_allclose(scores(model), before, rtol=1e-5, atol=1e-5)


def test_transformers_gives_the_scores_of_the_merged_model(tmp_path):
    transformers = oracle("transformers")
    torch = oracle("torch")
    model = classifier(classifier_pooling="cls")
    lora = LoRA(r=2)
    train(model, finetune.lora(model, lr=0.05, adapter=lora), epochs=2)
    lora.merge(model)
    model.save_pretrained(tmp_path)
    theirs = transformers.BertForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = {n: torch.tensor(a) for n, a in texts().padded(np.arange(12)).items()}
    with torch.no_grad():
        np.testing.assert_allclose(scores(model), theirs(**batch).logits.numpy(), atol=1e-5)


# --------------------------------------------------------------------------------- save and load


def test_a_saved_adapter_brings_its_head_to_a_fresh_copy_of_the_base(tmp_path):
    model, lora, before = trained()
    lora.save(model, tmp_path)
    fresh = classifier()
    fresh.load_state_dict(before)
    fresh.classifier.weight.data = fresh.classifier.weight.data * 0 + 9  # any other head
    loaded = LoRA.load(fresh, tmp_path)
    assert loaded == lora
    np.testing.assert_array_equal(scores(fresh), scores(model))
    size = (tmp_path / "adapter.safetensors").stat().st_size
    assert size < 0.5 * 4 * sum(array.size for array in before.values())


def test_an_adapter_without_its_head_is_refused(tmp_path):
    """Its scores would be those of a random head: peft #310, #577, #876."""
    model, lora, before = trained()
    lora.save(model, tmp_path)
    file = tmp_path / "adapter.safetensors"
    arrays = hub.read_arrays(file)
    hub.write_arrays(file, {n: a for n, a in arrays.items() if not n.startswith("classifier")})
    fresh = classifier()
    fresh.load_state_dict(before)
    with pytest.raises(
        ValueError, match=r"holds no classifier\.weight: an adapter without its head"
    ):
        LoRA.load(fresh, tmp_path)
    assert list(fresh.state_dict()) == list(before)  # untouched


def test_an_adapter_for_another_base_is_refused(tmp_path):
    model, lora, _ = trained()
    lora.save(model, tmp_path)
    other = classifier()
    name = f"{LAYER_0}.output.dense.weight"
    dict(other.named_parameters())[name].data[0, 0] += 1e-3
    with pytest.raises(ValueError, match="was trained on other weights than this Bert"):
        LoRA.load(other, tmp_path)


def test_an_adapter_for_other_labels_is_refused(tmp_path):
    model, lora, _ = trained()
    lora.save(model, tmp_path)
    with pytest.raises(ValueError, match=r"classifier.weight is \(3, 8\), the model's \(2, 8\)"):
        LoRA.load(classifier(num_labels=2), tmp_path)


@pytest.mark.parametrize("content", [{}, {"r": 2}, {"r": 0, "alpha": 1, "patterns": ["*"]}])
def test_a_damaged_description_is_refused(tmp_path, content):
    model, lora, _ = trained()
    lora.save(model, tmp_path)
    (tmp_path / "adapter.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"adapter.json does not describe a LoRA adapter"):
        LoRA.load(classifier(), tmp_path)


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 0}, "LoRA: r must be a whole number of at least 1, got 0"),
        ({"alpha": 0.0}, "LoRA: alpha must be a number above 0, got 0.0"),
    ],
)
def test_settings_that_make_no_adapter_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LoRA(**settings)


def test_a_pattern_that_names_no_linear_layer_is_refused():
    model = classifier()
    before = list(model.state_dict())
    with pytest.raises(ValueError, match=r"no Linear of BertForSequence.* matches '\*.querry'"):
        LoRA(patterns=("*.value", "*.querry")).apply(model)
    assert list(model.state_dict()) == before
    assert all(p.requires_grad for p in model.parameters())


def test_steps_out_of_order_are_refused():
    model, lora = classifier(), LoRA(r=2)
    with pytest.raises(ValueError, match=r"has no adapters; lora.apply\(model\) adds them"):
        lora.merge(model)
    lora.apply(model)
    with pytest.raises(ValueError, match="has adapters already"):
        lora.apply(model)
    with pytest.raises(ValueError, match="are not merged"):
        lora.unmerge(model)
    lora.merge(model)
    with pytest.raises(ValueError, match="are merged already"):
        lora.merge(model)


def test_a_tied_matrix_is_refused():
    class Tied(nn.Module):
        def __init__(self):
            self.layer = [nn.Linear(4, 4), nn.Linear(4, 4)]
            self.layer[1].weight = self.layer[0].weight
            self.classifier = nn.Linear(4, 2)

    with pytest.raises(ValueError, match=r"LoRA: layer\.0 shares its matrix with another layer"):
        LoRA(patterns=("layer.0",)).apply(Tied())


def test_layers_in_lists_dicts_and_sequentials_are_found():
    class Odd(nn.Module):
        def __init__(self):
            self.stack = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
            self.parts = [{"one": nn.Linear(3, 3)}]
            self.head = nn.Linear(3, 2)

    model = Odd()
    assert LoRA(r=1, patterns=("*",)).apply(model) == ["stack.0", "parts.0.one"]
    assert type(model.parts[0]["one"]) is type(model.stack[0]) is finetune.low_rank.LoRALinear
