"""ResNet against transformers and torchvision: logits, loss, gradients, statistics, names."""

import numpy as np
import pytest
from compare import (
    PRECISIONS,
    assert_close,
    assert_same_gradients,
    copied,
    opened,
    torch,
    transformers,
)

from minift import hub, ops
from minift.models import ResNet, ResNetConfig, ResNetForImageClassification, ResNetModel

CASES = {
    "basic": {
        "layer_type": "basic", "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [2, 1],
    },
    "bottleneck": {
        # 8 and 16 channels inside: with 2 and 4, PyTorch's own float32 gradients in training mode
        # are 5e-6 from those of float64, too far to compare with
        "layer_type": "bottleneck", "embedding_size": 16, "hidden_sizes": [32, 64],
        "depths": [1, 2],
    },
    "strides elsewhere": {
        "layer_type": "bottleneck", "embedding_size": 4, "hidden_sizes": [8], "depths": [2],
        "downsample_in_bottleneck": True, "downsample_in_first_stage": True, "num_channels": 1,
    },
}  # fmt: skip


def config_of(case="basic", **more):
    return ResNetConfig(**{**CASES[case], **more})


def images(config, dtype=np.float64):
    """Handwritten digits of scikit-learn, sixteen to an image of 32 × 32."""
    from sklearn.datasets import load_digits

    digits = load_digits().images[:128].reshape(8, 4, 4, 8, 8) / 8 - 1
    tiles = digits.transpose(0, 1, 3, 2, 4).reshape(8, 1, 32, 32)
    return np.repeat(tiles, config.num_channels, axis=1).astype(dtype)


def spread_norms(theirs):
    """Norms away from 1 and 0, and statistics as if some data had been seen."""
    torch.manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1.0, 0.3)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
            torch.nn.init.normal_(module.running_mean, 0.0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)


def twin_of(theirs, ours, dtype, device="cpu"):
    spread_norms(theirs)
    return copied(theirs, ours, dtype, device)


PARTS = [
    (case, *precision, training)
    for case in CASES
    for precision in PRECISIONS
    for training in (False, True)
]


@pytest.mark.parametrize(("case", "dtype", "tolerance", "training"), PARTS)
def test_the_classifier_has_the_logits_loss_and_gradients_of_transformers(
    case, dtype, tolerance, training, device
):
    config = config_of(case, num_labels=5)
    torch.manual_seed(0)
    theirs = transformers.ResNetForImageClassification(
        transformers.ResNetConfig(**config.to_dict())
    )
    ours = twin_of(theirs, ResNetForImageClassification(config), dtype, device)
    theirs.train(training)
    (ours.train if training else ours.eval)()
    x, labels = images(config, dtype), np.arange(8) % 5
    expected = theirs(torch.tensor(x), labels=torch.tensor(labels))
    expected.loss.backward()
    logits = ours(x)
    assert logits.dtype == dtype
    assert_close(logits.numpy(), expected.logits.detach(), tolerance)
    loss = ops.cross_entropy(logits, labels.tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)
    statistics = {n: t.numpy() for n, t in theirs.named_buffers() if "running" in n}
    assert len(statistics) == sum("running" in name for name in ours.state_dict())
    for name, expected_value in statistics.items():
        assert_close(ours.state_dict()[name], expected_value, tolerance, name)


def test_what_passes_inside_is_shown_to_those_who_ask():
    config = config_of()
    theirs = transformers.ResNetModel(transformers.ResNetConfig(**config.to_dict()))
    ours = twin_of(theirs, ResNetModel(config), np.float64)
    x = images(config)
    expected = theirs(torch.tensor(x), output_hidden_states=True)
    shown = ours(x, output_hidden_states=True)
    assert_close(shown.last_hidden_state.numpy(), expected.last_hidden_state.detach(), 1e-10)
    assert len(shown.hidden_states) == len(expected.hidden_states) == 3
    for a, b in zip(shown.hidden_states, expected.hidden_states):
        assert_close(a.numpy(), b.detach(), 1e-10)
    assert shown.attentions is None


def test_weights_start_as_he_et_al_drew_them():
    model = ResNet(config_of(hidden_sizes=[32, 64], embedding_size=32))
    for name, value in model.state_dict().items():
        if name.endswith("convolution.weight"):
            fan_out = value.shape[0] * value.shape[2] * value.shape[3]
            assert abs(value.std() / np.sqrt(2 / fan_out) - 1) < 0.1, name
        elif "normalization" in name:
            assert (value == float(name.endswith(("weight", "var")))).all(), name
        else:
            assert 0.9 / 8 < np.abs(value).max() <= 1 / 8 or value.ndim == 1, name


def test_defaults_are_those_of_transformers():
    theirs = transformers.ResNetConfig()
    for name, value in ResNetConfig().to_dict().items():
        if name not in ("id2label", "label2id"):
            expected = getattr(theirs, name)
            assert value == (list(expected) if isinstance(expected, tuple) else expected), name


# ---------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("ours", "auto"),
    [(ResNetModel, "AutoModel"), (ResNet, "AutoModelForImageClassification")],
)
def test_a_saved_folder_opens_in_transformers_with_equal_logits_and_back(
    ours, auto, case, tmp_path
):
    config = config_of(case, id2label={0: "cat", 1: "dog", 2: "tree"}, num_labels=3)
    model, x = ours(config), images(config, np.float32)
    model.train()(x)  # moves the running statistics
    model.eval().save_pretrained(tmp_path / "ours")
    theirs = opened(auto, tmp_path / "ours")
    assert theirs.config.id2label == config.id2label
    assert_close(model(x).numpy(), theirs(torch.tensor(x))[0].detach(), 1e-5)
    theirs.save_pretrained(tmp_path / "theirs")
    back = ours.from_pretrained(tmp_path / "theirs")
    np.testing.assert_array_equal(back(x).numpy(), model(x).numpy())
    assert back.load_report.problems() == []


class TorchvisionLayer(torch.nn.Module):
    """torchvision's BasicBlock, or its Bottleneck, under their names."""

    def __init__(self, inputs, outputs, stride, kernels):
        super().__init__()
        widths = [
            inputs,
            *[outputs // (4 if len(kernels) == 3 else 1)] * (len(kernels) - 1),
            outputs,
        ]
        strides = (1, stride, 1) if len(kernels) == 3 else (stride, 1)
        self.count = len(kernels)
        for i, kernel in enumerate(kernels):
            convolution = torch.nn.Conv2d(
                widths[i], widths[i + 1], kernel, strides[i], kernel // 2, bias=False
            )
            setattr(self, f"conv{i + 1}", convolution)
            setattr(self, f"bn{i + 1}", torch.nn.BatchNorm2d(widths[i + 1]))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                torch.nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.count else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class TorchvisionResNet(torch.nn.Module):
    """torchvision's ResNet: layer1 to layer4, conv1, bn1, fc."""

    def __init__(self, sizes, depths, kernels, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, sizes[0], 7, 2, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(sizes[0])
        for i, depth in enumerate(depths):
            layers = [TorchvisionLayer(sizes[i], sizes[i + 1], 2 if i else 1, kernels)]
            layers += [
                TorchvisionLayer(sizes[i + 1], sizes[i + 1], 1, kernels) for _ in range(depth - 1)
            ]
            setattr(self, f"layer{i + 1}", torch.nn.Sequential(*layers))
        self.fc = torch.nn.Linear(sizes[-1], classes)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("layer_type", "kernels", "depths"),
    [("basic", (3, 3), [2, 2, 2, 2]), ("bottleneck", (1, 3, 1), [1, 2, 1, 1])],
)
def test_torchvisions_names_are_read(layer_type, kernels, depths, tmp_path):
    """The layout of its resnet18 (basic, 2 2 2 2) and of its resnet50, narrower."""
    sizes = [4, 4, 8, 12, 16] if layer_type == "basic" else [4, 8, 16, 24, 32]
    theirs = TorchvisionResNet(sizes, depths, kernels, 5)
    names = theirs.state_dict().keys()
    assert {"layer1.0.conv1.weight", "layer2.0.downsample.1.running_var", "fc.bias"} < names
    assert len(names) == (122 if layer_type == "basic" else len(names))  # as resnet18 has
    config = ResNetConfig(
        layer_type=layer_type, embedding_size=4, hidden_sizes=sizes[1:], depths=depths, num_labels=5
    )
    spread_norms(theirs)
    ResNet(config).save_pretrained(tmp_path)
    hub.write_arrays(tmp_path / hub.WEIGHTS, {n: t.numpy() for n, t in theirs.state_dict().items()})
    back = ResNet.from_pretrained(tmp_path)
    assert back.load_report.problems() == []
    x = images(config, np.float32)
    assert_close(back(x).numpy(), theirs.eval()(torch.tensor(x)).detach(), 1e-5)


def test_running_statistics_must_be_in_the_file(tmp_path):
    model = ResNet(config_of())
    model.save_pretrained(tmp_path)
    lost = "resnet.embedder.embedder.normalization.running_var"
    arrays = {n: a for n, a in model.state_dict().items() if n != lost}
    hub.write_arrays(tmp_path / hub.WEIGHTS, arrays)
    with pytest.raises(ValueError, match=f"missing: {lost}"):
        ResNet.from_pretrained(tmp_path)


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": [1]}, r"hidden_sizes \[4, 8\] and depths \[1\] must name as many stages"),
        ({"depths": []}, r"depths must be a list of whole numbers of at least 1, got \[\]"),
        ({"depths": [1, 0]}, r"depths must be a list of whole numbers of at least 1, got \[1, 0"),
        ({"hidden_sizes": "48"}, "hidden_sizes must be a list of whole numbers of at least 1"),
        ({"layer_type": "wide"}, "layer_type must be basic or bottleneck, got 'wide'"),
        ({"hidden_act": "gelu"}, "hidden_act must be relu, got 'gelu'"),
        ({"embedding_size": 0}, "embedding_size must be a whole number of at least 1, got 0"),
    ],
)
def test_a_configuration_that_makes_no_resnet_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        config_of(**settings)


def test_pixels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"must be \(images, 3 channels, height, width\), got sh"):
        ResNet(config_of())(np.zeros((2, 1, 32, 32)))
