"""Autoencoders: the loss written out, what a code has to be for, and bad batches."""

from functools import partial

import numpy as np
import pytest

from minift import gradcheck, hub, ops
from minift.backend.random import manual_seed
from minift.data import ArrayDataset, load_digits
from minift.models import MLP, Autoencoder, AutoencoderConfig, MLPConfig, load
from minift.nn import Module, Parameter
from minift.objectives import Denoising, Reconstruction
from minift.probes import LinearProbe, PrincipalComponents, draw_per_class
from minift.tensor import Tensor
from minift.train import TrainConfig, Trainer

SMALL = AutoencoderConfig(image_size=4, hidden_sizes=(6,), code_size=2)
SMALL_CONVOLUTIONAL = AutoencoderConfig(
    image_size=8, num_channels=2, hidden_sizes=(3, 4, 5), convolutional=True, code_size=2
)
RNG = np.random.default_rng(0)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same numbers, whichever others run."""
    manual_seed(0)
    RNG.bit_generator.state = START


class Copy(Module):
    """The perfect and worthless autoencoder: a code as large as the image."""

    def __init__(self):
        self.scale = Parameter(np.float32(1))

    def forward(self, pixel_values):
        return Tensor(pixel_values) * self.scale


def images(count=5, shape=(1, 4, 4)):
    return RNG.random((count, *shape)).astype(np.float32)


def in_float64(model):
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    return model


@pytest.mark.parametrize("config", [SMALL, SMALL_CONVOLUTIONAL], ids=["dense", "convolutional"])
def test_reconstruction_is_the_mean_square_written_out(config, device):
    model = in_float64(Autoencoder(config)).to(device)
    x = images(3, config.image_shape).astype(np.float64)
    loss, log = Reconstruction()(model, {"pixel_values": x})
    drawn, total = model(x).numpy(), 0.0
    for i in range(3):
        for place in np.ndindex(config.image_shape):
            total += (float(drawn[i][place]) - float(x[i][place])) ** 2
    assert drawn.shape == x.shape
    assert loss.shape == ()
    assert loss.item() == pytest.approx(total / x.size, rel=1e-12)
    assert log == {"loss": loss.item(), "count": 3}
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("config", [SMALL, SMALL_CONVOLUTIONAL], ids=["dense", "convolutional"])
def test_the_gradient_of_every_weight_agrees_with_finite_differences(config):
    model = in_float64(Autoencoder(config))
    x = RNG.random((3, *config.image_shape))
    for name, weight in model.named_parameters():
        weight.data = RNG.standard_normal(weight.shape) * 0.5
        start = Tensor(weight.data, requires_grad=True)
        assert gradcheck(partial(loss_with, model, x, name), start)


def loss_with(model, x, name, value):
    """The loss as a function of one weight, which is put in its place."""
    *path, last = name.split(".")
    owner = model
    for part in path:
        owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
    kept = getattr(owner, last)
    setattr(owner, last, value)
    try:
        return ops.mse_loss(model(x), x)
    finally:
        setattr(owner, last, kept)


def test_a_perfect_copy_costs_nothing_and_one_image_is_a_batch():
    assert Reconstruction()(Copy(), {"pixel_values": images(1)})[0].item() == 0
    same = np.repeat(images(1), 4, axis=0)
    one = Reconstruction()(Autoencoder(SMALL), {"pixel_values": same[:1]})[1]
    assert one["count"] == 1


def test_the_loss_does_not_grow_with_the_batch():
    """E03: the sum over images makes the right learning rate depend on how many there are."""
    model, x = Autoencoder(SMALL), images(4)
    once = Reconstruction()(model, {"pixel_values": x})[0].item()
    twice = Reconstruction()(model, {"pixel_values": np.concatenate([x, x])})[0].item()
    assert twice == pytest.approx(once, rel=1e-6)


def test_without_a_bottleneck_copying_is_perfect_but_denoising_asks_more():
    """E03: an identity has loss 0 by the article's formula; beside noise it pays the noise."""
    x = images(500)
    assert Reconstruction()(Copy(), {"pixel_values": x})[0].item() == 0
    paid = Denoising(0.5)(Copy(), {"pixel_values": x})[0].item()
    assert paid == pytest.approx(0.25, rel=0.05)


def test_denoising_aims_at_the_clean_image_and_its_noise_is_normal():
    seen = []

    class Spy(Copy):
        def forward(self, pixel_values):
            seen.append(pixel_values)
            return Tensor(np.zeros_like(pixel_values)) * self.scale

    x = images(4000)
    loss, _ = Denoising(0.3)(Spy(), {"pixel_values": x})
    assert loss.item() == pytest.approx((x**2).mean(), rel=1e-5)  # nothing of the noise in it
    noise = ((seen[0] - x) / 0.3).ravel()
    edges = np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816])
    counts = np.bincount(np.searchsorted(edges, noise), minlength=10)
    expected = noise.size / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.88  # χ² with 9 degrees, .999
    assert seen[0].dtype == np.float32


def test_a_code_of_8_halves_the_error_of_principal_components():
    """The measured goal, in a tenth of the benchmark's training."""
    digits = load_digits()
    model = Autoencoder(AutoencoderConfig(hidden_sizes=(256,), code_size=8))
    config = TrainConfig(epochs=40, batch_size=64, lr=3e-3, weight_decay=0.1, device="cpu")
    data = ArrayDataset(pixel_values=digits.train[0])
    trainer = Trainer(model, data, objective=Reconstruction(), config=config)
    trainer.fit()
    reached = trainer.evaluate(ArrayDataset(pixel_values=digits.test[0]))["loss"]
    pca = PrincipalComponents(8).fit(digits.train[0])
    baseline = ((pca.reconstruct(digits.test[0]) - digits.test[0]) ** 2).mean()
    assert baseline == pytest.approx(0.0242, abs=1e-4)
    assert reached < 0.7 * baseline


def test_what_is_learned_on_training_images_stops_helping_on_others():
    """E02: "until convergence" goes on after the held-out loss has turned: choose by that one."""
    digits = load_digits().train[0]
    config = TrainConfig(epochs=200, batch_size=20, lr=5e-3, evaluate_every=50, device="cpu")
    trainer = Trainer(
        Autoencoder(AutoencoderConfig(hidden_sizes=(256, 256), code_size=16)),
        ArrayDataset(pixel_values=digits[:40]),
        ArrayDataset(pixel_values=digits[100:300]),
        objective=Reconstruction(),
        config=config,
    )
    history = trainer.fit()
    held_out = [record["validation_loss"] for record in history.evaluations]
    assert np.mean(history["loss"][-10:]) < 0.5 * np.mean(history["loss"][100:110])
    assert held_out[-1] > 1.02 * min(held_out)


def test_a_pretrained_encoder_is_saved_loaded_and_of_use(tmp_path):
    """E34, E36: pre-training needs no label, ends in a folder, and few labels go further with it.

    The article's "pre-training" is a classifier fitted to all labels, and nothing is saved.
    """
    digits = load_digits()
    model = Autoencoder(AutoencoderConfig(hidden_sizes=(256,), code_size=16))
    config = TrainConfig(epochs=40, batch_size=64, lr=3e-3, weight_decay=0.3, device="cpu")
    data = ArrayDataset(pixel_values=digits.train[0])
    Trainer(model, data, objective=Denoising(0.5), config=config).fit()
    model.save_pretrained(tmp_path)
    encode = load(tmp_path).encode
    raw = [digits.train[0], digits.test[0]]
    codes = [encode(x).numpy() for x in raw]
    scores = {"codes": [], "raw": []}
    for seed in range(5):
        rows = draw_per_class(digits.train[1], 5, seed)
        for name, (train, test) in (("codes", codes), ("raw", raw)):
            probe = LinearProbe().fit(train[rows], digits.train[1][rows])
            scores[name].append((probe.predict(test) == digits.test[1]).mean())
    assert np.mean(scores["codes"]) > np.mean(scores["raw"]) + 0.01


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"labels": [1]}, "the batch has no pixel_values, only labels"),
        (
            {"pixel_values": [np.zeros((1, 4, 4)), np.zeros((1, 5, 4))]},
            "the images of a batch must be of one size, got 1 × 4 × 4 and 1 × 5 × 4",
        ),
        ({"pixel_values": np.zeros((0, 1, 4, 4))}, r"at least one image .* shape \(0, 1, 4, 4\)"),
        ({"pixel_values": []}, r"at least one image .* got float64 of shape \(0,\)"),
        ({"pixel_values": np.zeros((2, 1, 4, 4), np.uint8)}, "of floats, got uint8"),
        ({"pixel_values": np.full((2, 1, 4, 4), np.nan)}, "NaN or infinite values; remove"),
        ({"pixel_values": np.zeros((2, 1, 4, 5))}, r"must be 4 × 4 \(image_size\), got 4 × 5"),
        ({"pixel_values": np.zeros((2, 3, 4, 4))}, "1 channels, height, width"),
    ],
)
def test_batches_that_are_no_images_are_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        Reconstruction()(Autoencoder(SMALL), batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_sizes": ()}, r"hidden_sizes must be a row of at least one whole number, got \("),
        ({"hidden_sizes": 8}, "hidden_sizes must be a row of at least one whole number, got 8"),
        ({"hidden_sizes": (8, 0)}, "hidden_sizes must be a whole number of at least 1, got 0"),
        ({"code_size": 0}, "code_size must be a whole number of at least 1, got 0"),
        ({"convolutional": 1}, "convolutional must be True or False, got 1"),
        (
            {"convolutional": True, "hidden_sizes": (4, 4, 4), "image_size": 6},
            r"2 halvings \(hidden_sizes\) need an image_size that is a multiple of 4, got 6",
        ),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderConfig(**settings)


@pytest.mark.parametrize("noise", [0, -1, float("inf"), float("nan")])
def test_denoising_needs_noise(noise):
    with pytest.raises(ValueError, match="Denoising: noise is a standard deviation above 0, got"):
        Denoising(noise)


@pytest.mark.parametrize("config", [SMALL, SMALL_CONVOLUTIONAL], ids=["dense", "convolutional"])
def test_a_saved_autoencoder_comes_back(config, tmp_path):
    model, x = Autoencoder(config).eval(), images(3, config.image_shape)
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert type(again) is Autoencoder
    assert again.config == config
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    assert hub.read_config(tmp_path)["model_type"] == "minift-autoencoder"


def test_mlp_is_the_formula_written_out(device):
    model = MLP(MLPConfig(input_size=6, hidden_sizes=(5, 4), num_labels=3)).to(device)
    weights = {name: p.numpy() for name, p in model.named_parameters()}
    x = RNG.standard_normal((7, 2, 3)).astype(np.float32)
    h = x.reshape(7, 6)
    for layer in ("body.0", "body.2", "classifier"):
        h = h @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        h = h if layer == "classifier" else np.maximum(h, 0)
    np.testing.assert_allclose(model(x).numpy(), h, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"rows must hold 6 numbers \(input_size\), got shape"):
        model(np.zeros((2, 7), np.float32))


def test_he_keeps_the_size_of_what_passes_through():
    model = MLP(MLPConfig(input_size=400, hidden_sizes=(400,) * 6, num_labels=400))
    x = RNG.standard_normal((50, 400)).astype(np.float32)
    assert 0.5 < (model(x).numpy() ** 2).mean() / 2 < 2
