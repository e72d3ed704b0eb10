"""ViT against transformers: logits, loss, every gradient, and the names of three kinds of files."""

import numpy as np
import pytest
from compare import (
    PRECISIONS,
    assert_close,
    assert_same_gradients,
    opened,
    torch,
    transformers,
    twin_of,
)

from minift import hub, ops
from minift.models import ViT, ViTConfig, ViTForImageClassification, ViTModel
from minift.tensor import Tensor

SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "image_size": 8,
    "patch_size": 4,
    "num_channels": 3,
}
CASES = {
    "small": {},
    "no bias in the projections": {"qkv_bias": False, "num_attention_heads": 1},
    "more patches of one channel": {"patch_size": 2, "num_channels": 1, "layer_norm_eps": 1e-3},
}


def config_of(case="small", **more):
    return ViTConfig(**{**SIZES, **CASES[case], **more})


def their_config(config, attention="sdpa"):
    """Their eager attention takes the softmax in float32 always: it shows weights, no more."""
    return transformers.ViTConfig(**{**config.to_dict(), "attn_implementation": attention})


def images(config, count=3, dtype=np.float64):
    """Handwritten digits of scikit-learn, brought to the model's channels and range."""
    from sklearn.datasets import load_digits

    digits = load_digits().images[:count, None] / 8 - 1  # (B, 1, 8, 8), from -1 to 1
    return np.repeat(digits, config.num_channels, axis=1).astype(dtype)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_classifier_has_the_logits_loss_and_gradients_of_transformers(
    case, dtype, tolerance, device
):
    config = config_of(case, num_labels=5)
    theirs = transformers.ViTForImageClassification(their_config(config))
    ours = twin_of(theirs, ViTForImageClassification(config), dtype, device)
    x, labels = images(config, dtype=dtype), np.array([4, 0, 2])
    expected = theirs(torch.tensor(x), labels=torch.tensor(labels))
    expected.loss.backward()
    logits = ours(x)
    assert logits.dtype == dtype
    assert_close(logits.numpy(), expected.logits.detach(), tolerance)
    loss = ops.cross_entropy(logits, labels.tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


def test_the_bare_encoder_has_the_hidden_states_and_the_pooler_of_transformers():
    config = config_of(pooler_output_size=7)
    theirs = transformers.ViTModel(their_config(config))
    ours = twin_of(theirs, ViTModel(config), np.float64)
    x = images(config)
    expected = theirs(torch.tensor(x))
    hidden = ours(x)
    assert_close(hidden.numpy(), expected.last_hidden_state.detach(), 1e-10)
    assert_close(ours.pooler(hidden).numpy(), expected.pooler_output.detach(), 1e-10)


def test_what_passes_inside_is_shown_to_those_who_ask(device):
    config = config_of()
    theirs = transformers.ViTForImageClassification(their_config(config, "eager"))
    ours = twin_of(theirs, ViTForImageClassification(config), np.float32, device)
    look, x = {"output_attentions": True, "output_hidden_states": True}, images(config, 2)
    expected, shown = theirs(torch.tensor(x), **look), ours(x, **look)
    for mine, other in (
        (shown.hidden_states, expected.hidden_states),
        (shown.attentions, expected.attentions),
    ):
        assert len(mine) == len(other)
        for a, b in zip(mine, other):
            assert_close(a.numpy(), b.detach(), 1e-5)


def test_the_gradient_reaches_the_pixels(device):
    config = config_of()
    theirs = transformers.ViTForImageClassification(their_config(config))
    ours = twin_of(theirs, ViTForImageClassification(config), np.float64, device)
    x = images(config)
    mine, other = Tensor(x, requires_grad=True, device=device), torch.tensor(x, requires_grad=True)
    ours(mine)[:, 0].sum().backward()
    theirs(other).logits[:, 0].sum().backward()
    assert_close(mine.grad.numpy(), other.grad, 1e-10)


def test_the_order_of_the_patches_matters():
    config = config_of()
    model = ViTForImageClassification(config).eval()
    x = images(config)
    assert not np.allclose(model(x).numpy(), model(x[:, :, ::-1].copy()).numpy())
    model.vit.embeddings.position_embeddings.data *= 0
    swapped = np.concatenate([x[:, :, 4:], x[:, :, :4]], axis=2)  # whole patches change places
    assert_close(model(x).numpy(), model(swapped).numpy(), 1e-5)


def test_defaults_are_those_of_transformers():
    theirs = transformers.ViTConfig()
    for name, value in ViTConfig().to_dict().items():
        if name not in ("id2label", "label2id"):
            assert getattr(theirs, name) == value, name


# ---------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("ours", "auto"),
    [(ViTModel, "AutoModel"), (ViTForImageClassification, "AutoModelForImageClassification")],
)
def test_a_saved_folder_opens_in_transformers_with_equal_logits_and_back(ours, auto, tmp_path):
    config = config_of(id2label={0: "cat", 1: "dog", 2: "tree"}, num_labels=3)
    config.initializer_range = 0.4
    model, x = ours(config).eval(), images(config, dtype=np.float32)
    model.save_pretrained(tmp_path / "ours")
    theirs = opened(auto, tmp_path / "ours")
    assert theirs.config.id2label == config.id2label
    assert_close(model(x).numpy(), theirs(torch.tensor(x))[0].detach(), 1e-5)
    theirs.save_pretrained(tmp_path / "theirs")
    back = ours.from_pretrained(tmp_path / "theirs")
    np.testing.assert_array_equal(back(x).numpy(), model(x).numpy())
    assert back.load_report.problems() == []


def test_files_have_the_names_of_published_checkpoints(tmp_path):
    """transformers 4 knows no others."""
    ViT(config_of()).save_pretrained(tmp_path)
    names = hub.read_model(tmp_path).keys()
    assert "vit.encoder.layer.1.attention.attention.query.weight" in names
    assert "vit.encoder.layer.1.attention.output.dense.bias" in names
    assert "vit.encoder.layer.1.output.dense.bias" in names
    assert "vit.encoder.layer.0.layernorm_before.weight" in names
    assert not [name for name in names if name.startswith("vit.layers")]


def test_a_new_head_goes_on_a_loaded_body(tmp_path):
    ViT(config_of(num_labels=2)).save_pretrained(tmp_path)
    model = ViT.from_pretrained(tmp_path, num_labels=7)
    assert model.classifier.weight.shape == (7, 12)
    assert model.load_report.notes[0].startswith("the classification head is new (classifier.we")


def as_torchvision(state):
    """The weights of a ViT under torchvision's names, projections fused as nn.MultiheadAttention
    has them."""
    state = {name.removeprefix("vit."): value for name, value in state.items()}
    names = {
        "class_token": "embeddings.cls_token",
        "encoder.pos_embedding": "embeddings.position_embeddings",
        "conv_proj.weight": "embeddings.patch_embeddings.projection.weight",
        "conv_proj.bias": "embeddings.patch_embeddings.projection.bias",
        "heads.head.weight": "classifier.weight",
        "heads.head.bias": "classifier.bias",
        "encoder.ln.weight": "layernorm.weight",
        "encoder.ln.bias": "layernorm.bias",
    }
    file = {old: state[new] for old, new in names.items()}
    for i in range(2):
        theirs, ours = f"encoder.layers.encoder_layer_{i}", f"layers.{i}"
        for kind in ("weight", "bias"):
            parts = [state[f"{ours}.attention.{x}_proj.{kind}"] for x in "qkv"]
            file[f"{theirs}.self_attention.in_proj_{kind}"] = np.concatenate(parts)
            for old, new in (
                ("self_attention.out_proj", "attention.o_proj"),
                ("ln_1", "layernorm_before"),
                ("ln_2", "layernorm_after"),
                ("mlp.0", "mlp.fc1"),
                ("mlp.3", "mlp.fc2"),
            ):
                file[f"{theirs}.{old}.{kind}"] = state[f"{ours}.{new}.{kind}"]
    return file


def test_torchvisions_names_and_fused_projections_are_read(tmp_path):
    config = config_of(initializer_range=0.4)
    model, x = ViT(config).eval(), images(config)
    model.save_pretrained(tmp_path)
    file = as_torchvision(model.state_dict())
    hub.write_arrays(tmp_path / hub.WEIGHTS, file)
    back = ViT.from_pretrained(tmp_path)
    np.testing.assert_array_equal(back(x).numpy(), model(x).numpy())
    assert back.load_report.problems() == []
    attention = torch.nn.MultiheadAttention(12, 3, batch_first=True).eval()
    fused = "encoder.layers.encoder_layer_1.self_attention."
    attention.load_state_dict(
        {n.removeprefix(fused): torch.tensor(a) for n, a in file.items() if n.startswith(fused)}
    )
    hidden = np.random.default_rng(0).standard_normal((2, 5, 12)).astype(np.float32)
    expected = attention(*[torch.tensor(hidden)] * 3)[0].detach()
    assert_close(back.vit.layers[1].attention(Tensor(hidden)).numpy(), expected, 1e-5)


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, 3, 8, 8), np.uint8, "pixel_values must be floats, scaled as in the model's training"),
        ((2, 1, 8, 8), float, r"must be \(images, 3 channels, height, width\), got shape \(2, 1"),
        ((3, 8, 8), float, r"must be \(images, 3 channels, height, width\), got shape \(3, 8, 8"),
        ((2, 3, 8, 4), float, r"pixel_values must be 8 × 8 \(image_size\), got 8 × 4"),
    ],
)
def test_pixels_that_do_not_fit_are_refused(shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        ViT(config_of())(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": [8, 8]}, r"ViTConfig: image_size must be a whole number of at least 1"),
        ({"patch_size": 3}, r"image_size \(8\) must be a multiple of patch_size \(3\)"),
        ({"hidden_act": "relu"}, "hidden_act must be gelu, got 'relu'"),
        ({"qkv_bias": "yes"}, "qkv_bias must be True or False, got 'yes'"),
    ],
)
def test_a_configuration_that_makes_no_vit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        config_of(**settings)


def test_a_body_that_learnt_from_hidden_patches_gets_a_classifier(tmp_path):
    """The token that stood for hidden patches stays behind, with all else of that task."""
    config = config_of(patch_size=2, num_labels=3)
    theirs = transformers.ViTForMaskedImageModeling(
        transformers.ViTConfig(**config.to_dict(), encoder_stride=2)
    )
    theirs.save_pretrained(tmp_path)
    ours = ViTForImageClassification.from_pretrained(tmp_path)
    x = images(config)
    expected = theirs.eval().vit(torch.tensor(x).float()).last_hidden_state.detach()
    assert_close(ours.vit(x).numpy(), expected, 1e-5)
